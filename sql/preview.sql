-- the dry run tells what undo() would do, and every reason why it would not
--
-- undo() is run after it, and does what was said.
\set SHOW_CONTEXT never
CREATE ROLE regress_preview;
CREATE SCHEMA preview AUTHORIZATION regress_preview;
SET ROLE regress_preview;
SET search_path = preview;

CREATE TABLE parent (id integer PRIMARY KEY, "Code" text UNIQUE, email text, room integer, during int4range,
	UNIQUE NULLS NOT DISTINCT (room), EXCLUDE USING gist (during WITH &&));
CREATE UNIQUE INDEX parent_email ON parent (lower(email)) WHERE room > 0;
CREATE TABLE child (id integer, n integer, parent_id bigint REFERENCES parent ON DELETE CASCADE, PRIMARY KEY (id, n));
CREATE TABLE friend (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL, other_id integer REFERENCES parent);
CREATE TABLE part (id integer PRIMARY KEY, "Gone" timestamp) PARTITION BY HASH (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT soft_delete.tag('parent', cascade => true);
SELECT soft_delete.tag('friend');
SELECT soft_delete.tag('part', deleted_at => 'Gone');
INSERT INTO parent SELECT g, 'c' || g, 'E' || g, g, int4range(10 * g, 10 * g + 5) FROM generate_series(1, 6) g;
INSERT INTO child SELECT g, g, g FROM generate_series(1, 6) g;
INSERT INTO friend SELECT g, g, NULL FROM generate_series(1, 6) g;
INSERT INTO part VALUES (1);

-- nothing stands in the way
DELETE FROM parent WHERE id = 1;
SELECT max(deleted_at) AS stamp FROM parent_deleted \gset
SELECT * FROM soft_delete.preview(:'stamp');
SELECT count(*) FROM parent;
SELECT soft_delete.undo(:'stamp');
SELECT * FROM soft_delete.preview(:'stamp');

-- everything does
DELETE FROM parent WHERE id IN (2, 3);
SELECT max(deleted_at) AS stamp FROM parent_deleted \gset
INSERT INTO parent VALUES (7, 'c2', 'e2', 2, '[22,23]'), (8, 'c8', 'e3', -3, NULL);
UPDATE friend SET parent_id = 4 WHERE id = 2;
DELETE FROM friend WHERE id = 3;
SELECT * FROM soft_delete.preview(:'stamp') ORDER BY relation, 2, "constraint";
SELECT soft_delete.undo(:'stamp');
DELETE FROM parent WHERE id IN (7, 8);
SELECT * FROM soft_delete.preview(:'stamp') WHERE outcome <> 'comes back';
SELECT soft_delete.undo(:'stamp');

-- a parent that is deleted by another deletion, or gone; several deletions at once
DELETE FROM child WHERE id = 5;
SELECT max(deleted_at) AS child FROM child_deleted \gset
DELETE FROM parent WHERE id = 5;
SELECT max(deleted_at) AS parent FROM parent_deleted \gset
SELECT * FROM soft_delete.preview(:'child');
SELECT * FROM soft_delete.preview(:'child', :'parent');
RESET ROLE;
SET session_replication_role = replica;
DELETE FROM child WHERE id = 6;
SET session_replication_role = origin;
INSERT INTO child VALUES (6, 6, 6);
DELETE FROM child WHERE id = 6;
SET session_replication_role = replica;
DELETE FROM parent WHERE id = 6;
RESET session_replication_role;
SET ROLE regress_preview;
SELECT max(deleted_at) AS child FROM child_deleted \gset
SELECT * FROM soft_delete.preview(:'child');

-- twice the same key in one deletion, of which one can come back; a constraint on the tombstone
DO $$
BEGIN
	DELETE FROM preview.parent WHERE id = 4;
	INSERT INTO preview.parent (id, "Code", room) VALUES (14, 'c4', 14);
	DELETE FROM preview.parent WHERE id = 14;
END
$$;
SELECT max(deleted_at) AS stamp FROM parent_deleted \gset
SELECT * FROM soft_delete.preview(:'stamp') WHERE relation = 'parent'::regclass ORDER BY 2;
SELECT soft_delete.undo(:'stamp');
DELETE FROM part;
SELECT "Gone" AS stamp FROM part_deleted \gset
SELECT * FROM soft_delete.preview(:'stamp');
ALTER TABLE part ADD CONSTRAINT for_ever CHECK ("Gone" IS NOT NULL) NOT VALID;
SELECT * FROM soft_delete.preview(:'stamp');
SELECT soft_delete.undo(:'stamp');
SELECT * FROM soft_delete.preview(NULL);

-- a trigger that makes what comes back: it is named, unless it asks whether rows are restored
CREATE TABLE "Users" (id integer PRIMARY KEY);
CREATE TABLE profiles (user_id integer PRIMARY KEY REFERENCES "Users" ON DELETE CASCADE);
CREATE TABLE visits (user_id integer REFERENCES "Users" ON DELETE CASCADE);
SELECT soft_delete.tag('"Users"', cascade => true);
CREATE FUNCTION make_profile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO preview.Profiles VALUES (NEW.id);
	RETURN NULL;
END
$$;
CREATE TRIGGER makes AFTER INSERT ON "Users" FOR EACH ROW EXECUTE FUNCTION make_profile();
CREATE TRIGGER early BEFORE INSERT ON "Users" FOR EACH ROW WHEN (false) EXECUTE FUNCTION make_profile();
CREATE TRIGGER off AFTER INSERT ON "Users" FOR EACH ROW EXECUTE FUNCTION make_profile();
ALTER TABLE "Users" DISABLE TRIGGER off;
INSERT INTO "Users" VALUES (1);
INSERT INTO visits VALUES (1);
DELETE FROM "Users";
SELECT max(deleted_at) AS stamp FROM "Users_deleted" \gset
SELECT relation, outcome, detail FROM soft_delete.preview(:'stamp') ORDER BY relation;
SELECT soft_delete.undo(:'stamp');
DROP TRIGGER makes ON "Users";
CREATE TRIGGER makes AFTER INSERT ON "Users" FOR EACH ROW
	WHEN (current_setting('soft_delete.restoring', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION make_profile();
SELECT relation, outcome, detail FROM soft_delete.preview(:'stamp') ORDER BY relation;
SELECT soft_delete.undo(:'stamp');
TABLE profiles;

RESET ROLE;
DROP SCHEMA preview CASCADE;
DROP ROLE regress_preview;
