-- a live row that is held can be changed and deleted, but not destroyed
CREATE ROLE regress_live;
GRANT SET ON PARAMETER soft_delete.truncate TO regress_live;
CREATE SCHEMA hold_live AUTHORIZATION regress_live;
SET ROLE regress_live;
SET search_path = hold_live;
\set QUIET off

CREATE TABLE t (a integer, b text, v text, PRIMARY KEY (a, b));
CREATE TABLE c (id integer PRIMARY KEY, a integer, b text, FOREIGN KEY (a, b) REFERENCES t ON DELETE CASCADE);
SELECT soft_delete.tag('t', cascade => true);
INSERT INTO t VALUES (1, 'x', 'v'), (2, 'x', 'v');
INSERT INTO c VALUES (1, 1, 'x'), (2, 2, 'x');
SELECT soft_delete.hold('t', 1, 'x', 'case 1');
SELECT soft_delete.hold('t', 1, 'x', 'case 2');
SELECT relation, deleted_at, key, hold FROM soft_delete.holds ORDER BY hold;
UPDATE t SET v = 'w' WHERE a = 1;
-- DDL goes on, unless it would part the hold from the row
ALTER TABLE t ADD COLUMN w integer;
ALTER TABLE t RENAME COLUMN a TO k;
ALTER TABLE t RENAME COLUMN k TO a;
ALTER TABLE t ALTER COLUMN v TYPE varchar;
\set VERBOSITY terse
ALTER TABLE c DROP CONSTRAINT c_a_b_fkey, ADD FOREIGN KEY (a, b) REFERENCES t ON DELETE CASCADE;
ALTER TABLE t ALTER COLUMN a TYPE bigint;
CREATE TABLE lone (id integer PRIMARY KEY);
SELECT soft_delete.tag('lone');
INSERT INTO lone VALUES (1);
SELECT soft_delete.hold('lone', 1, 'case 0');
ALTER TABLE lone ALTER COLUMN id TYPE integer USING id + 10;
SELECT soft_delete.lift('case 0');
ALTER TABLE lone ALTER COLUMN id TYPE integer USING id + 10;
ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE;
\set VERBOSITY default
SET soft_delete.truncate = 'hard';
TRUNCATE t CASCADE;
-- the hint of a hold on a live row can be pasted, one hold at a time
SELECT soft_delete.erase('t', '1', 'x');
BEGIN;
SELECT soft_delete.lift('hold_live.t', '1', 'x', 'case 1');
SAVEPOINT one;
SELECT soft_delete.erase('t', '1', 'x');
ROLLBACK TO one;
SELECT soft_delete.lift('hold_live.t', '1', 'x', 'case 2');
SELECT soft_delete.erase('t', '1', 'x');
ROLLBACK;
DROP TABLE t CASCADE;
SELECT soft_delete.untag('t', cascade => true);
RESET soft_delete.truncate;

-- with what is deleted with it
DELETE FROM t;
SELECT a, b, v, hold FROM t_deleted ORDER BY a;
SELECT id, hold FROM c_deleted ORDER BY id;
DELETE FROM t_deleted WHERE a = 1;
DELETE FROM c_deleted WHERE id = 1;
CALL soft_delete.purge('t', older_than => '0');
SELECT a, hold FROM t_deleted;
SELECT id, hold FROM c_deleted;
-- it can be restored, and is still held; so is each row that has the key
UPDATE t_deleted SET deleted_at = NULL;
DELETE FROM t;
INSERT INTO t VALUES (1, 'x', 'new');
DELETE FROM t;
SELECT v, hold FROM t_deleted ORDER BY v;
DELETE FROM t_deleted;
SELECT soft_delete.lift('t', 1, 'x', 'case 1');
DELETE FROM t_deleted WHERE v = 'new';
UPDATE t_deleted SET hold = NULL WHERE v = 'new';
DELETE FROM t_deleted;
SELECT relation, deleted_at, key, hold FROM soft_delete.lifted_holds WHERE key[2] = 'x' ORDER BY hold;

-- aside, in a partition, typed
CREATE TABLE p (id bigint, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE p_2 PARTITION OF p DEFAULT;
SELECT soft_delete.tag('p', storage => 'aside');
INSERT INTO p VALUES (1, '2025-05-05'), (2, '2025-05-05');
SELECT soft_delete.hold('p', 1, date '2025-05-05', 'case 3');
SELECT soft_delete.hold('p_1', 1, date '2025-05-05', 'case 3');
SET soft_delete.truncate = 'hard';
TRUNCATE p;
DROP TABLE p_1;
ALTER TABLE p DETACH PARTITION p_1;
RESET soft_delete.truncate;
TRUNCATE p;
CALL soft_delete.purge('p', older_than => '0');
SELECT id, at, hold FROM p_deleted;

-- the hold follows the row where its key changes, and stays on a deleted row that has the old one
\getenv srcdir PG_ABS_SRCDIR
CREATE TABLE f (a numeric, b text, PRIMARY KEY (b, a) DEFERRABLE);
SELECT soft_delete.tag('f');
CREATE TABLE g (a numeric, b text, PRIMARY KEY (b, a) DEFERRABLE);
SELECT soft_delete.tag('g', storage => 'aside');
\set QUIET on
\set moves :srcdir '/sql/hold_live.inc'
\set table f
\set bin f_deleted
\i :moves
\set table g
\set bin g_deleted
\i :moves
\set QUIET off
UPDATE p SET id = 3 WHERE id = 1;
INSERT INTO p VALUES (4, '2025-05-05'), (5, '2025-05-05');
SELECT soft_delete.hold('p', 4, date '2025-05-05', 'case 5');
UPDATE p SET id = 6 WHERE id = 4;
UPDATE p SET at = '2026-05-05' WHERE id = 6;
UPDATE p SET at = '2026-05-05' WHERE id = 5;
CREATE TABLE p_3 PARTITION OF p FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
INSERT INTO p VALUES (7, '2027-05-05');
SELECT soft_delete.hold('p', 7, date '2027-05-05', 'case 5');
UPDATE p SET id = 8, at = '2027-06-06' WHERE id = 7;
SELECT relation, key, hold FROM soft_delete.holds WHERE hold = 'case 5' ORDER BY key;
SELECT soft_delete.lift('case 5');
-- nothing remains of it where nothing is tagged
SELECT tgrelid::regclass FROM pg_trigger WHERE tgname LIKE '~soft\_delete\_hold%' AND tgrelid = ANY (ARRAY['f', 'g']::regclass[]) ORDER BY 1;
SELECT soft_delete.untag('f', tombstones => 'purge'), soft_delete.untag('g', tombstones => 'purge');
SELECT tgrelid::regclass FROM pg_trigger WHERE tgname LIKE '~soft\_delete\_hold%' AND tgrelid = ANY (ARRAY['f', 'g']::regclass[]) ORDER BY 1;

-- a row that is not there, and keys that are none
SELECT soft_delete.hold('t', 1, 'x', 'case 4');
SELECT soft_delete.hold('t', 1, 'case 4');
SELECT soft_delete.hold('t', 'a', 'x', 'case 4');
SELECT soft_delete.hold('t', NULL, 'x', 'case 4');
SELECT soft_delete.hold('t', 1);
SELECT soft_delete.hold('t', 1, 'x', '');
INSERT INTO t VALUES (1, 'x', 'v');
SELECT soft_delete.hold('t', 1, 'x', 'case 4'), soft_delete.hold('t', 1, 'x', NULL);
SELECT key, hold FROM soft_delete.holds;
RESET ROLE;
DELETE FROM soft_delete_internal.holds;
DROP SCHEMA hold_live CASCADE;
REVOKE SET ON PARAMETER soft_delete.truncate FROM regress_live;
DROP ROLE regress_live;
TRUNCATE soft_delete_internal.lifted_holds, soft_delete_internal.purge_log;
