-- errors in mid-statement, subtransactions, cached plans, temporary and unlogged tables
CREATE ROLE regress_delete_errors;
CREATE SCHEMA delete_errors AUTHORIZATION regress_delete_errors;
SET ROLE regress_delete_errors;
SET search_path = delete_errors;
\set QUIET off
\set SHOW_CONTEXT never

CREATE TABLE t (id integer PRIMARY KEY, n integer);
INSERT INTO t SELECT g, g FROM generate_series(1, 20) g;
SELECT soft_delete.tag('t');

-- fails half-way: nothing is deleted, and the session goes on deleting softly
DELETE FROM t WHERE 10 / (n - 5) < 100;
SELECT count(*) FROM t;
BEGIN;
DELETE FROM t WHERE id = 1;
SAVEPOINT s;
DELETE FROM t WHERE id = 2;
DELETE FROM t WHERE 10 / (n - 5) < 100;
ROLLBACK TO s;
DELETE FROM t WHERE id = 3;
COMMIT;
SELECT id FROM t_deleted ORDER BY id;

-- exception blocks inside one statement
CREATE FUNCTION try(wanted integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM t WHERE id = wanted;
	IF wanted % 2 = 0 THEN RAISE 'even'; END IF;
	RETURN 'deleted';
EXCEPTION WHEN raise_exception THEN
	RETURN 'undone';
END
$$;
SELECT i, try(i) FROM generate_series(4, 7) i;
SELECT id FROM t WHERE id BETWEEN 4 AND 7;

-- an AFTER trigger that fails undoes the whole statement
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.id = 12 THEN RAISE ''no''; END IF; RETURN NULL; END';
CREATE TRIGGER fail AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION fail();
DELETE FROM t WHERE id BETWEEN 10 AND 14;
SELECT count(*) FROM t WHERE id BETWEEN 10 AND 14;
DROP TRIGGER fail ON t;

-- rolled back, released, committed
BEGIN;
DELETE FROM t;
SELECT count(*) FROM t;
ROLLBACK;
SELECT count(*) FROM t;
BEGIN;
SAVEPOINT a;
DELETE FROM t WHERE id = 8;
SAVEPOINT b;
DELETE FROM t WHERE id = 9;
RELEASE a;
COMMIT;
SELECT count(*) FROM t;

-- plans made before the tag follow it, and follow untag
CREATE TABLE late (id integer);
INSERT INTO late SELECT generate_series(1, 9);
SET plan_cache_mode = force_generic_plan;
PREPARE sel AS SELECT count(*) FROM late;
PREPARE del (integer) AS DELETE FROM late WHERE id = $1;
CREATE FUNCTION count_late() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM late); END';
EXECUTE sel;
EXECUTE del (1);
SELECT count_late();
SELECT soft_delete.tag('late');
EXECUTE sel;
EXECUTE del (2);
EXECUTE sel;
SELECT count_late();
SELECT id FROM late_deleted;
SELECT soft_delete.untag('late', tombstones => 'keep');
EXECUTE sel;
SELECT count_late();
RESET plan_cache_mode;

-- tag, delete and undo the tag in one transaction
BEGIN;
ALTER TABLE late DROP COLUMN deleted_at;
SELECT soft_delete.tag('late');
DELETE FROM late WHERE id = 3;
SELECT count(*) FROM late;
ROLLBACK;
SELECT count(*) FROM late;
DELETE FROM late WHERE id = 3;
SELECT count(*) FROM late TABLESAMPLE soft_delete.rows('all');

-- fails closed: the tombstone column renamed away, which takes a hand in the catalogs
CREATE TABLE renamed (id integer);
INSERT INTO renamed VALUES (1), (2);
SELECT soft_delete.tag('renamed');
DELETE FROM renamed WHERE id = 1;
RESET ROLE;
UPDATE pg_attribute SET attname = 'gone_at' WHERE attrelid = 'renamed'::regclass AND attname = 'deleted_at';
SET ROLE regress_delete_errors;
SELECT * FROM renamed;
DELETE FROM renamed;
ALTER TABLE delete_errors.renamed RENAME COLUMN gone_at TO deleted_at;
SELECT id FROM renamed;

-- temporary and unlogged tables
CREATE TEMP TABLE temporary (id integer PRIMARY KEY, email text UNIQUE);
SELECT soft_delete.tag('temporary');
INSERT INTO temporary VALUES (1, 'a'), (2, 'b');
DELETE FROM temporary WHERE id = 1;
INSERT INTO temporary VALUES (3, 'a');
SELECT * FROM temporary ORDER BY id;
SELECT id, email FROM temporary_deleted;
CREATE UNLOGGED TABLE unlogged (id integer PRIMARY KEY);
SELECT soft_delete.tag('unlogged');
INSERT INTO unlogged VALUES (1), (2);
DELETE FROM unlogged WHERE id = 1;
SELECT id FROM unlogged;
SELECT id FROM unlogged_deleted;

-- isolation levels
BEGIN ISOLATION LEVEL REPEATABLE READ;
DELETE FROM unlogged WHERE id = 2;
SELECT count(*) FROM unlogged;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE unlogged_deleted SET deleted_at = NULL WHERE id = 2;
DELETE FROM unlogged_deleted WHERE id = 1;
SELECT count(*) FROM unlogged;
COMMIT;

-- session_replication_role = replica fires no trigger: the replica does as the origin did
RESET ROLE;
SET session_replication_role = replica;
DELETE FROM t WHERE id = 20;
RESET session_replication_role;
SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('all') WHERE id = 20;

DROP SCHEMA delete_errors CASCADE;
DROP TABLE temporary;
DROP ROLE regress_delete_errors;
