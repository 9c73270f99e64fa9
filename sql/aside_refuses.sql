-- nothing that is done to a companion, or to its bin, loses a deleted row: it is refused or followed, or check() has the remedy
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE regress_refuses_other;
CREATE ROLE regress_refuses IN ROLE regress_refuses_other;
CREATE SCHEMA aside_refuses AUTHORIZATION regress_refuses;
GRANT ALL ON SCHEMA aside_refuses TO regress_refuses_other;
SET ROLE regress_refuses;
SET search_path = aside_refuses;
CREATE TYPE mood AS ENUM ('fine');
CREATE TABLE t (id integer PRIMARY KEY, a text, m mood);
SELECT soft_delete.tag('t', storage => 'aside');
INSERT INTO t VALUES (1, 'one', 'fine'), (2, 'two', 'fine'), (3, 'three', 'fine');
DELETE FROM t WHERE id = 1;

-- it keeps its columns, its owner, its constraint and its trigger, and is nobody's parent or partition
ALTER TABLE t_tombstones DROP COLUMN a;
ALTER TABLE t_tombstones DROP COLUMN a CASCADE;
ALTER TABLE t_tombstones RENAME COLUMN a TO b;
ALTER TABLE t_tombstones RENAME COLUMN deleted_at TO b;
ALTER TABLE t_tombstones ALTER COLUMN id TYPE bigint;
ALTER TABLE t_tombstones OWNER TO regress_refuses_other;
ALTER TABLE t_tombstones DROP CONSTRAINT soft_delete_companion;
ALTER TABLE t_tombstones DISABLE TRIGGER USER;
ALTER TABLE t_tombstones ADD CHECK (id < 2);
DROP TRIGGER "~soft_delete_companion" ON t_tombstones;
CREATE TABLE heir () INHERITS (t_tombstones);
CREATE TABLE parent (deleted_at timestamptz NOT NULL, id integer, a text, m mood);
ALTER TABLE t_tombstones INHERIT parent;
CREATE TABLE partitioned (LIKE t_tombstones) PARTITION BY LIST (id);
ALTER TABLE partitioned ATTACH PARTITION t_tombstones DEFAULT;
DROP TABLE t_tombstones;
DROP TABLE t_tombstones CASCADE;
DROP VIEW t_deleted;
-- it cannot be tagged, and nothing but the extension writes to it
SELECT soft_delete.tag('t_tombstones');
SELECT soft_delete.tag('t_tombstones', storage => 'aside');
MERGE INTO t_tombstones USING (VALUES (1)) AS v(id) ON v.id = t_tombstones.id WHEN MATCHED THEN DELETE;
CREATE VIEW through AS SELECT * FROM t_tombstones;
DELETE FROM through;
DROP VIEW through;
SELECT * FROM soft_delete.check();

-- rows that are deleted later would violate NOT NULL unseen, and a dump of them could not be restored
ALTER TABLE t_tombstones ADD COLUMN note text DEFAULT 'none' NOT NULL;
ALTER TABLE t_tombstones ADD COLUMN n integer GENERATED ALWAYS AS IDENTITY;
ALTER TABLE t_tombstones ADD PRIMARY KEY (id);
-- what is harmless is allowed: other names, further columns, triggers, grants and indexes
ALTER TABLE t_tombstones ADD COLUMN note text DEFAULT 'none';
ALTER TABLE t_tombstones DROP COLUMN note;
ALTER TABLE t_tombstones RENAME TO kept_rows;
ALTER VIEW t_deleted RENAME TO bin;
ALTER TABLE kept_rows REPLICA IDENTITY FULL;
CREATE INDEX ON kept_rows (a);
GRANT SELECT, INSERT, DELETE ON kept_rows TO regress_refuses_other;
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER skip BEFORE INSERT OR DELETE ON kept_rows FOR EACH ROW EXECUTE FUNCTION skip();
DELETE FROM t WHERE id = 2;
SELECT id, a, m FROM bin ORDER BY id;
UPDATE bin SET deleted_at = NULL WHERE id = 2;
SELECT id FROM t ORDER BY id;
DROP TRIGGER skip ON kept_rows;
SET ROLE regress_refuses_other;
INSERT INTO kept_rows (deleted_at, id) VALUES (now(), 4);
DELETE FROM kept_rows;
SET ROLE regress_refuses;
SELECT * FROM soft_delete.check();

-- the table gets a column of the name of the stamps: those give way
CREATE VIEW on_bin AS SELECT id, deleted_at FROM bin;
ALTER TABLE t ADD COLUMN deleted_at date DEFAULT '2020-01-01';
SELECT id, deleted_at, deleted_at_by_delete IS NOT NULL AS has_stamp FROM bin ORDER BY id;
SELECT id, deleted_at IS NOT NULL AS has_stamp FROM on_bin ORDER BY id;
ALTER TABLE t RENAME COLUMN a TO deleted_at_by_delete;
SELECT id, deleted_at_by_delete, deleted_at_by_delete_by_delete IS NOT NULL AS has_stamp FROM bin ORDER BY id;
DELETE FROM t WHERE id = 2;
SELECT soft_delete.undo(max(deleted_at_by_delete_by_delete)) FROM bin;
SELECT relation, tombstone_column FROM soft_delete.tables WHERE relation = 't'::regclass;
SELECT * FROM soft_delete.check();
ALTER TABLE t DROP COLUMN deleted_at;
ALTER TABLE t RENAME COLUMN deleted_at_by_delete TO a;
DROP VIEW on_bin;

-- what the replica role can do: DELETE fails rather than loses a row, and check() has the remedy
CREATE PROCEDURE damage(command text) LANGUAGE plpgsql AS $$
DECLARE
	item text;
BEGIN
	EXECUTE command;
	SET LOCAL session_replication_role = origin;
	SET LOCAL ROLE regress_refuses;
	BEGIN
		DELETE FROM t WHERE id = 3;
		RAISE NOTICE 'deleted';
	EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE '% %', SQLSTATE, SQLERRM;
	END;
	FOR item IN SELECT remedy FROM soft_delete.check() LOOP
		RAISE NOTICE '%', item;
		RESET ROLE;
		EXECUTE item;
	END LOOP;
	SET LOCAL ROLE regress_refuses;
	RAISE NOTICE '% problems left', (SELECT count(*) FROM soft_delete.check());
	DELETE FROM t WHERE id = 3;
	RESET ROLE;
END
$$;
ALTER VIEW bin RENAME TO t_deleted;
ALTER TABLE kept_rows RENAME TO t_tombstones;
RESET ROLE;
BEGIN; SET LOCAL session_replication_role = replica; CALL damage('ALTER TABLE t_tombstones DROP COLUMN a CASCADE'); SELECT id, a, m FROM t_deleted ORDER BY id; ROLLBACK;
BEGIN; SET LOCAL session_replication_role = replica; CALL damage('ALTER TABLE t_tombstones DROP COLUMN deleted_at_by_delete_by_delete CASCADE'); SELECT id, a, m FROM t_deleted ORDER BY id; ROLLBACK;
BEGIN; SET LOCAL session_replication_role = replica; CALL damage('DROP INDEX t_tombstones_deleted_at_idx'); SELECT id, a, m FROM t_deleted ORDER BY id; ROLLBACK;
BEGIN; SET LOCAL session_replication_role = replica; CALL damage('ALTER TABLE t_tombstones OWNER TO regress_refuses_other'); SELECT id, a, m FROM t_deleted ORDER BY id; ROLLBACK;
BEGIN; SET LOCAL session_replication_role = replica; CALL damage('DROP TABLE t_tombstones CASCADE'); SELECT id, a, m FROM t_deleted ORDER BY id; ROLLBACK;
ALTER VIEW t_deleted OWNER TO regress_refuses_other;
BEGIN; SET LOCAL session_replication_role = replica; CALL damage('ALTER VIEW t_deleted OWNER TO regress_refuses_other'); SELECT id, a, m FROM t_deleted ORDER BY id; ROLLBACK;

-- without a primary key: only holds of single rows and erasures lack something, and say so
SET ROLE regress_refuses;
CREATE TABLE keyless (id integer, a text);
SELECT soft_delete.tag('keyless', storage => 'aside');
INSERT INTO keyless VALUES (1, 'one'), (1, 'one'), (2, NULL);
DELETE FROM keyless WHERE id = 1;
UPDATE keyless_deleted SET hold = 'why' WHERE id = 1;
SELECT soft_delete.hold_deletion(max(deleted_at), 'why') FROM keyless_deleted;
DELETE FROM keyless_deleted;
SELECT soft_delete.hold_deletion(max(deleted_at), NULL) FROM keyless_deleted;
SELECT soft_delete.erase('keyless', '1');
SELECT soft_delete.undo(max(deleted_at)) FROM keyless_deleted;
SELECT soft_delete.tag('keyless', storage => 'in_place');
DELETE FROM keyless;
SELECT soft_delete.tag('keyless', storage => 'aside');
SELECT id, a FROM keyless_deleted ORDER BY id;
-- names as long as they can be, which two tables share
CREATE TABLE a234567890123456789012345678901234567890123456789012345678901_1 (id integer);
CREATE TABLE a234567890123456789012345678901234567890123456789012345678901_2 (id integer);
SELECT soft_delete.tag('a234567890123456789012345678901234567890123456789012345678901_1', storage => 'aside');
SELECT soft_delete.tag('a234567890123456789012345678901234567890123456789012345678901_2', storage => 'aside');

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA aside_refuses CASCADE;
DROP OWNED BY regress_refuses, regress_refuses_other;
DROP ROLE regress_refuses, regress_refuses_other;
