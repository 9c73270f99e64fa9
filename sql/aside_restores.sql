-- the bin of a table whose deleted rows are aside: restore, hold, purge, erase
\set SHOW_CONTEXT never
CREATE SCHEMA aside_restores;
SET search_path = aside_restores;
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE, n positive, twice integer GENERATED ALWAYS AS (n * 2) STORED);
CREATE TABLE child (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE friend (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL);
SELECT soft_delete.tag('parent', cascade => true, storage => 'aside');
SELECT soft_delete.tag('friend', storage => 'aside');
INSERT INTO parent VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3);
INSERT INTO child (parent_id) VALUES (1), (1), (2), (3);
INSERT INTO friend VALUES (1, 1), (2, 2);
CREATE TABLE log (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (format('%s %s %s', TG_WHEN, TG_OP, coalesce(NEW.id, OLD.id))); RETURN NEW; END $$;
CREATE TRIGGER note_before BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note_after AFTER INSERT OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION note();

-- with what went with it, and what was set to null; to triggers it is an INSERT that nothing changes
DELETE FROM parent WHERE id IN (1, 2);
SELECT * FROM soft_delete.preview((SELECT max(deleted_at) FROM parent_deleted)) ORDER BY relation::text, "row";
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 1;
SELECT * FROM parent ORDER BY id;
SELECT * FROM child ORDER BY id;
SELECT * FROM friend ORDER BY id;
SELECT * FROM log;
SELECT soft_delete.undo((SELECT max(deleted_at) FROM parent_deleted));
SELECT * FROM parent ORDER BY id;
SELECT * FROM child ORDER BY id;
SELECT * FROM friend ORDER BY id;
SELECT count(*) FROM soft_delete.deletions JOIN parent_deleted USING (deleted_at);

-- what a live row has is refused as an INSERT is
DELETE FROM parent WHERE id = 1;
INSERT INTO parent VALUES (10, 'a', 1);
SELECT outcome, "constraint", detail FROM soft_delete.preview((SELECT max(deleted_at) FROM parent_deleted)) ORDER BY relation::text, "row";
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 1;
DELETE FROM parent WHERE id = 10;
UPDATE child_deleted SET deleted_at = NULL;
ALTER TABLE parent ADD CONSTRAINT small CHECK (id > 1) NOT VALID;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 1;
ALTER TABLE parent DROP CONSTRAINT small;
DELETE FROM parent WHERE id = 3;
ALTER DOMAIN positive ADD CONSTRAINT less CHECK (VALUE < 3);
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 3;
ALTER DOMAIN positive DROP CONSTRAINT less;

-- deleted children follow the key of their parent, not that of a namesake
INSERT INTO parent VALUES (1, 'new', 1);
INSERT INTO child (parent_id) VALUES (1);
DELETE FROM child WHERE parent_id = 1;
UPDATE parent SET id = 50 WHERE id = 1;
SELECT id, parent_id FROM child_deleted ORDER BY id;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 1;
SELECT id, parent_id FROM child ORDER BY id;

-- a hold keeps a row from being restored, purged and erased
DELETE FROM parent WHERE id = 2;
UPDATE parent_deleted SET hold = 'case 7' WHERE id = 2;
SELECT id, hold FROM parent_deleted ORDER BY id;
SELECT soft_delete.retain('parent', '0'), soft_delete.retain('child', '0');
SELECT member, rows, held, referenced FROM soft_delete.preview_purge('parent') ORDER BY 1;
CALL soft_delete.purge('parent');
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 2;
DELETE FROM parent_deleted;
SELECT soft_delete.erase('parent', '2');
SELECT soft_delete.untag('parent', tombstones => 'purge', cascade => true);
UPDATE parent_deleted SET hold = NULL;
SELECT soft_delete.hold('parent', 'all');
CALL soft_delete.purge('parent');
SELECT soft_delete.hold('parent', NULL);
SELECT soft_delete.hold_deletion((SELECT deleted_at FROM parent_deleted WHERE id = 2), 'this one');
CALL soft_delete.purge('parent');
SELECT soft_delete.hold_deletion((SELECT deleted_at FROM parent_deleted WHERE id = 2), NULL);

-- purged through the bin, with what went with it; erased, live or deleted
SELECT relation, rows FROM soft_delete.deletion_rows((SELECT deleted_at FROM parent_deleted WHERE id = 2)) ORDER BY relation::text;
DELETE FROM parent_deleted WHERE id = 2;
SELECT id, parent_id FROM child_deleted;
SELECT soft_delete.erase('parent', '50');
DELETE FROM parent WHERE id = 1;
SELECT soft_delete.erase('parent', '1');
SELECT count(*) FROM parent_tombstones;
SELECT count(*) FROM child_tombstones;
SELECT * FROM soft_delete.check();
-- and with them the ledger forgets
SELECT count(*) FROM soft_delete.deletions JOIN soft_delete.deletion_rows(deleted_at) ON true WHERE relation::text ~ 'parent|child';

SET client_min_messages = warning;
DROP SCHEMA aside_restores CASCADE;
