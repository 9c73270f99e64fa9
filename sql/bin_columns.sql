-- a bin shows who deleted each row, for whom and why, to whoever may read it
--
-- To anybody else the columns are null.
CREATE ROLE regress_columns;
CREATE ROLE regress_columns_clerk;
CREATE ROLE regress_columns_reader;
CREATE SCHEMA columns AUTHORIZATION regress_columns;
SET ROLE regress_columns;
SET search_path = columns;
\set QUIET off
GRANT USAGE ON SCHEMA columns TO PUBLIC;

CREATE TABLE t (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('t');
INSERT INTO t SELECT g, 'v' FROM generate_series(1, 5) g;
GRANT SELECT, DELETE ON t TO regress_columns_clerk;

RESET ROLE;
SET ROLE regress_columns_clerk;
BEGIN;
SET LOCAL soft_delete.actor = 'alice';
SET LOCAL soft_delete.reason = 'spam';
DELETE FROM t WHERE id < 3;
COMMIT;
DELETE FROM t WHERE id = 3;
SELECT deleted_by FROM t_deleted;
RESET ROLE;

-- the owner of the table, to whom the ledger shows nothing, and who he lets
SET ROLE regress_columns;
SELECT count(*) FROM soft_delete.deletions;
SELECT id, v, deleted_by, actor, reason, hold FROM t_deleted ORDER BY id;
GRANT SELECT ON t_deleted TO regress_columns_reader;
RESET ROLE;
SET ROLE regress_columns_reader;
SELECT id, v, deleted_by, actor, reason, hold FROM t_deleted WHERE actor = 'alice' ORDER BY id;
RESET ROLE;
SET ROLE regress_columns;
REVOKE SELECT ON t_deleted FROM regress_columns_reader;
GRANT SELECT (id, deleted_by, stored_in, stored_place, deleted_at) ON t_deleted TO regress_columns_reader;
RESET ROLE;
SET ROLE regress_columns_reader;
SELECT id, deleted_by FROM t_deleted ORDER BY id;
SELECT reason FROM t_deleted;
SELECT count(soft_delete.deletion_of(stored_in, stored_place, deleted_at, 'deleted_by')) AS who, count(soft_delete.deletion_of(stored_in, stored_place, deleted_at, 'reason')) AS why FROM t_deleted;
RESET ROLE;

-- a row that stepped aside, one that nobody is known to have deleted, and columns that hold UTC
SET ROLE regress_columns;
INSERT INTO t VALUES (1, 'new');
SELECT id, v, deleted_by, actor FROM t_deleted ORDER BY id;
CREATE TABLE adopted (id integer PRIMARY KEY, gone timestamp);
INSERT INTO adopted VALUES (1, '2020-01-01'), (2, NULL);
SELECT soft_delete.tag('adopted', deleted_at => 'gone');
SET timezone = 'Asia/Tokyo';
DELETE FROM adopted;
SELECT id, deleted_by FROM adopted_deleted ORDER BY id;
RESET timezone;

-- partitions
CREATE TABLE part (id integer PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_2 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT soft_delete.tag('part');
INSERT INTO part SELECT generate_series(1, 4);
DELETE FROM part;
SELECT deleted_by, count(*), count(DISTINCT stored_in) AS tables FROM part_deleted GROUP BY 1;

-- the application's columns keep their names
CREATE TABLE busy (id integer PRIMARY KEY, "reason" text, hold boolean, soft_delete_hold text);
SELECT soft_delete.tag('busy', deleted_at => 'deleted_by');
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'busy_deleted'::regclass;
INSERT INTO busy VALUES (1, 'mine', true, 'mine');
DELETE FROM busy;
UPDATE busy_deleted SET soft_delete_soft_delete_hold = 'case 1' RETURNING id, "reason", hold, soft_delete_hold, soft_delete_deleted_by, soft_delete_soft_delete_hold;
UPDATE busy_deleted SET hold = false;
UPDATE busy_deleted SET deleted_by = NULL;
UPDATE busy_deleted SET soft_delete_soft_delete_hold = NULL, deleted_by = NULL;
SELECT id, "reason", hold, soft_delete_hold FROM busy;

-- and get names that ours have had
CREATE TABLE grows (id integer PRIMARY KEY);
SELECT soft_delete.tag('grows');
INSERT INTO grows VALUES (1);
DELETE FROM grows;
ALTER TABLE grows ADD COLUMN hold integer DEFAULT 7, ADD COLUMN note text;
ALTER TABLE grows RENAME COLUMN note TO reason;
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'grows_deleted'::regclass;
UPDATE grows_deleted SET soft_delete_hold = 'case 2' RETURNING id, hold, soft_delete_hold, deleted_by;
ALTER TABLE grows DROP COLUMN hold;
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'grows_deleted'::regclass AND NOT attisdropped;
DELETE FROM grows_deleted;
UPDATE grows_deleted SET soft_delete_hold = NULL, deleted_at = NULL;
SELECT count(*) FROM grows;

-- who asks about what is no row of a bin learns nothing
SELECT soft_delete.deletion_of('pg_class'::regclass, '(0,1)', now(), 'actor');
SELECT soft_delete.deletion_of('part'::regclass, '(0,1)', now(), 'actor');
SELECT soft_delete.deletion_of('t_deleted'::regclass, '(0,1)', now(), 'actor');
SELECT soft_delete.deletion_of('t'::regclass, '(0,1)', now(), 'actor');
SELECT soft_delete.deletion_of(stored_in, stored_place, deleted_at - interval '1 us', 'actor') FROM t_deleted WHERE id = 2;
SELECT soft_delete.deletion_of(stored_in, stored_place, deleted_at, 'xid') FROM t_deleted WHERE id = 2;
SELECT soft_delete.hold_of('t'::regclass, '(0,1)', true), soft_delete.hold_of('pg_class'::regclass, '(0,1)', true);

-- a view that only looks like a bin
CREATE VIEW fake AS SELECT 1 AS tableoid, 2 AS ctid, 3 AS deleted_at, 4 AS hold;
CREATE TRIGGER fake INSTEAD OF UPDATE ON fake FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row();
UPDATE fake SET hold = 5;
DROP VIEW fake;
CREATE VIEW fake AS SELECT id, v, deleted_at, 4 AS hold, stored_in AS tableoid, stored_place AS ctid FROM t_deleted;
CREATE TRIGGER fake INSTEAD OF UPDATE ON fake FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row('a', 'b', 'c', 'hold');
UPDATE fake SET hold = 5;
CREATE OR REPLACE TRIGGER fake INSTEAD OF UPDATE ON fake FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row();
UPDATE fake SET hold = 5;

RESET ROLE;
DROP SCHEMA columns CASCADE;
DROP ROLE regress_columns, regress_columns_clerk, regress_columns_reader;
