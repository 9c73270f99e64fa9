-- a second tag() with the other storage moves the deleted rows, with their stamps, holds and what refers to them, or changes nothing
\set SHOW_CONTEXT never
CREATE ROLE regress_changes;
CREATE SCHEMA aside_changes AUTHORIZATION regress_changes;
SET ROLE regress_changes;
SET search_path = aside_changes;
CREATE TABLE parent (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE "C" UNIQUE, price numeric(8, 2) CHECK (price > 0),
	twice numeric GENERATED ALWAYS AS (price * 2) STORED);
CREATE INDEX ON parent (price);
CREATE TABLE child (id integer PRIMARY KEY, parent_id bigint REFERENCES parent ON DELETE CASCADE);
CREATE TABLE fan (id integer PRIMARY KEY, parent_id bigint REFERENCES parent ON DELETE SET NULL);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''% %'', TG_OP, TG_TABLE_NAME; RETURN NULL; END';
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER tell_too AFTER INSERT OR UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION tell();
ALTER TABLE parent ENABLE ALWAYS TRIGGER tell_too;
SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('fan');
SELECT soft_delete.retain('parent', '1 year');
ALTER TABLE parent DISABLE TRIGGER USER;
ALTER TABLE parent ENABLE TRIGGER "~soft_delete", ENABLE TRIGGER "~soft_delete_key", ENABLE TRIGGER "~soft_delete_truncate";
INSERT INTO parent (name, price) VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 5);
INSERT INTO child VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO fan VALUES (1, 1), (2, 2);
DELETE FROM parent WHERE name = 'a';
DELETE FROM parent WHERE name = 'b';
-- one that has stepped aside, and one that is deleted under the same key again
DELETE FROM parent WHERE name = 'c';
INSERT INTO parent (id, name, price) OVERRIDING SYSTEM VALUE VALUES (3, 'c again', 30);
DELETE FROM parent WHERE name = 'c again';
UPDATE parent_deleted SET hold = 'case' WHERE name = 'b';
ALTER TABLE parent ENABLE TRIGGER USER, ENABLE ALWAYS TRIGGER tell_too;
CREATE VIEW on_bin AS SELECT name, deleted_at, hold FROM parent_deleted;
GRANT SELECT (name) ON parent_deleted TO PUBLIC;
COMMENT ON COLUMN parent_deleted.name IS 'whose';
CREATE TABLE before AS SELECT id, name, price, twice, deleted_at, deleted_by, hold FROM parent_deleted;

-- to aside: the table is what it was before it was tagged
SELECT soft_delete.tag('parent', storage => 'aside');
\d parent
SELECT count(*) AS deleted FROM parent_tombstones;
SELECT d.id, d.name, d.price, d.twice, d.deleted_by, d.hold, d.deleted_at = b.deleted_at AS same_stamp FROM parent_deleted AS d JOIN before AS b USING (name) ORDER BY d.name;
SELECT name, hold FROM on_bin ORDER BY name;
SELECT has_column_privilege('pg_monitor', 'parent_deleted', 'name', 'SELECT') AS keeps_grants, col_description('parent_deleted'::regclass, 2) AS keeps_comments, (SELECT retain FROM soft_delete.retention WHERE relation = 'parent'::regclass);
SELECT relation, storage, active_view, companion, companion_bytes > 0 AS has_size, deleted_rows, displaced_rows FROM soft_delete.tables ORDER BY relation::text;
SELECT * FROM soft_delete.check();
-- it goes on: a hold holds, a deletion of before comes back with its children of the other storage, and is linked again
SELECT soft_delete.undo(deleted_at) FROM before WHERE name = 'b';
SELECT soft_delete.undo(deleted_at) FROM before WHERE name = 'a';
SELECT * FROM child ORDER BY id;
SELECT * FROM fan ORDER BY id;
DELETE FROM parent WHERE name = 'e';
DELETE FROM before WHERE name = 'a';

-- and back
SELECT soft_delete.tag('parent', storage => 'in_place', indexes => 'unique');
SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'parent'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'parent'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";
-- a stand-in is not enforced from 18 on
SELECT conname, replace(pg_get_constraintdef(oid), 'NOT ENFORCED', 'NOT VALID') FROM pg_constraint WHERE conrelid = 'parent'::regclass AND contype <> 'n' ORDER BY conname COLLATE "C", contype;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'parent'::regclass AND NOT tgisinternal ORDER BY tgname COLLATE "C";
SELECT to_regclass('parent_tombstones') AS companion;
SELECT d.id, d.name, d.price, d.twice, d.deleted_by, d.hold, d.deleted_at = b.deleted_at AS same_stamp FROM parent_deleted AS d LEFT JOIN before AS b USING (name) ORDER BY d.name;
SELECT name, hold FROM on_bin ORDER BY name;
SELECT has_column_privilege('pg_monitor', 'parent_deleted', 'name', 'SELECT') AS keeps_grants, col_description('parent_deleted'::regclass, 2) AS keeps_comments;
SELECT relation, storage, active_view, companion, companion_bytes > 0 AS has_size FROM soft_delete.tables ORDER BY relation::text;
SELECT * FROM soft_delete.check();
SELECT soft_delete.undo(deleted_at) FROM before WHERE name = 'b';
UPDATE parent_deleted SET hold = NULL;
SELECT soft_delete.undo(deleted_at) FROM before WHERE name = 'b';
UPDATE parent_deleted SET deleted_at = NULL WHERE name = 'c';
UPDATE parent_deleted SET deleted_at = NULL WHERE name = 'c again';
SELECT soft_delete.erase('parent', '3');
SELECT id, name FROM parent_deleted;
SELECT soft_delete.tag('parent', storage => 'aside');
DELETE FROM parent_deleted;
DROP VIEW on_bin;
SELECT soft_delete.untag('parent', cascade => true, tombstones => 'purge');
\d parent

-- partitions: a hold follows its row to the root, and to the partition again
CREATE TABLE p (k integer, part integer, v text, PRIMARY KEY (k, part)) PARTITION BY LIST (part);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 (v text, dropped integer, part integer NOT NULL, k integer NOT NULL);
ALTER TABLE p2 DROP COLUMN dropped;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
SELECT soft_delete.tag('p');
INSERT INTO p SELECT n, n % 2 + 1, n FROM generate_series(1, 6) AS n;
DELETE FROM p WHERE k <= 4;
INSERT INTO p VALUES (1, 2, 'again');
UPDATE p_deleted SET hold = 'row' WHERE k IN (1, 2);
SELECT soft_delete.hold_deletion(max(deleted_at), 'deletion') FROM p_deleted;
SELECT relation, key, hold FROM soft_delete.holds ORDER BY relation::text, key;
SELECT soft_delete.tag('p', storage => 'aside');
SELECT attrelid::regclass, attname FROM pg_attribute WHERE attrelid IN ('p'::regclass, 'p1'::regclass, 'p2'::regclass) AND attname = 'deleted_at';
SELECT relation, key, hold FROM soft_delete.holds ORDER BY relation::text, key;
SELECT k, part, v, hold FROM p_deleted ORDER BY k, part;
DELETE FROM p WHERE k = 5;
SELECT soft_delete.tag('p', storage => 'in_place');
SELECT relation, key, hold FROM soft_delete.holds ORDER BY relation::text, key;
SELECT k, part, v, hold FROM p_deleted ORDER BY k, part;
SELECT * FROM soft_delete.check();
DELETE FROM p_deleted WHERE k = 1;
SELECT soft_delete.hold_deletion(max(deleted_at), NULL) FROM p_deleted WHERE k = 1;
UPDATE p_deleted SET hold = NULL WHERE hold = 'row';
DELETE FROM p WHERE v = 'again';
UPDATE p_deleted SET deleted_at = NULL WHERE v IN ('1', '2', '5');
SELECT tableoid::regclass, k, part, v FROM p ORDER BY k;
-- one on a partition by itself has no place there
SELECT soft_delete.hold('p1', 'partition');
SELECT soft_delete.tag('p', storage => 'aside');
SELECT soft_delete.hold('p1', NULL);
-- rows that no partition takes any more
SELECT soft_delete.tag('p', storage => 'aside');
DELETE FROM p WHERE part = 2;
DROP TABLE p2;
SELECT soft_delete.tag('p', storage => 'in_place');
SELECT storage, deleted_rows FROM soft_delete.tables WHERE relation = 'p'::regclass;
SELECT k, part FROM p_deleted ORDER BY k, part;

-- a column that was there before: in UTC, with indexes of its own, and stamps of its own
CREATE TABLE adopted (id integer PRIMARY KEY, slug text, gone timestamp);
CREATE UNIQUE INDEX adopted_slug ON adopted (slug) WHERE gone IS NULL;
CREATE INDEX adopted_gone ON adopted (gone, id);
INSERT INTO adopted VALUES (1, 'a', '2020-01-01 12:00'), (2, 'a', 'infinity'), (3, 'a', NULL), (4, 'b', '-infinity');
SELECT soft_delete.tag('adopted', deleted_at => 'gone');
SELECT soft_delete.tag('adopted', deleted_at => 'gone', storage => 'aside');
CREATE VIEW on_active AS SELECT id FROM adopted_active;
DROP INDEX adopted_gone;
SELECT soft_delete.tag('adopted', deleted_at => 'gone', storage => 'aside');
DROP VIEW on_active;
SET timezone = 'Asia/Kolkata';
-- under another name for the stamps it stays
BEGIN;
SELECT soft_delete.tag('adopted', storage => 'aside');
\d adopted
SELECT id, slug, gone, deleted_at AT TIME ZONE 'UTC' AS stamp FROM adopted_deleted ORDER BY id;
SELECT soft_delete.tag('adopted', deleted_at => 'gone', storage => 'in_place');
SELECT id, slug, gone FROM adopted_deleted ORDER BY id;
ROLLBACK;
-- under the same it goes, and no key with it
SELECT soft_delete.tag('adopted', deleted_at => 'gone', storage => 'aside');
\d adopted
SELECT id, slug, gone AT TIME ZONE 'UTC' AS stamp FROM adopted_deleted ORDER BY id;
RESET timezone;

-- row security hides nothing from the move, and a snapshot of before does not either
CREATE TABLE secret (id integer PRIMARY KEY, wide text);
SELECT soft_delete.tag('secret');
INSERT INTO secret VALUES (1, repeat('x', 100000)), (2, 'two');
DELETE FROM secret;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM secret;
SELECT soft_delete.tag('secret', storage => 'aside');
COMMIT;
ALTER TABLE secret NO FORCE ROW LEVEL SECURITY;
SELECT id, length(wide) FROM secret_deleted ORDER BY id;
SELECT id FROM secret;
-- all or nothing
CREATE TABLE taken (id integer PRIMARY KEY, at timestamp);
SELECT soft_delete.tag('taken', deleted_at => 'removed', storage => 'aside');
INSERT INTO taken VALUES (1, '2020-01-01'), (2, NULL);
DELETE FROM taken;
BEGIN;
SELECT soft_delete.tag('taken', deleted_at => 'at', storage => 'in_place');
SELECT id, "at (before)" FROM taken_tombstones ORDER BY id;
SELECT * FROM soft_delete.check();
ROLLBACK;
CREATE VIEW taken_active AS SELECT 1 AS one;
SELECT soft_delete.tag('taken', deleted_at => 'removed', storage => 'in_place');
SELECT relation, storage, bin, active_view FROM soft_delete.tables WHERE relation = 'taken'::regclass;
-- temporary and unlogged tables, and a bin in another schema
CREATE TEMPORARY TABLE temporary (id integer PRIMARY KEY);
CREATE UNLOGGED TABLE unlogged (id integer PRIMARY KEY);
RESET ROLE;
CREATE SCHEMA aside_changes_bins AUTHORIZATION regress_changes;
SET ROLE regress_changes;
SELECT soft_delete.tag('temporary'), soft_delete.tag('unlogged', views => 'aside_changes_bins');
INSERT INTO temporary VALUES (1);
INSERT INTO unlogged VALUES (1);
DELETE FROM temporary;
DELETE FROM unlogged;
SELECT soft_delete.tag('temporary', storage => 'aside'), soft_delete.tag('unlogged', storage => 'aside');
SELECT bin, companion, deleted_rows FROM soft_delete.tables WHERE relation IN ('temporary'::regclass, 'unlogged'::regclass) ORDER BY relation::text;
SELECT soft_delete.tag('temporary', storage => 'in_place'), soft_delete.tag('unlogged', storage => 'in_place');
SELECT id FROM temporary_deleted UNION ALL SELECT id FROM aside_changes_bins.unlogged_deleted;
SELECT bin, active_view, companion FROM soft_delete.tables WHERE relation IN ('temporary'::regclass, 'unlogged'::regclass) ORDER BY relation::text;
SELECT * FROM soft_delete.check();
SELECT soft_delete.untag('temporary', tombstones => 'keep'), soft_delete.untag('unlogged', tombstones => 'keep');

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA aside_changes_bins CASCADE;
DROP SCHEMA aside_changes CASCADE;
DROP OWNED BY regress_changes;
DROP ROLE regress_changes;
