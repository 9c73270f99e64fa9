-- history() tells who has deleted, restored and erased the row of a key, also when it is live again or gone.
CREATE ROLE regress_history;
CREATE ROLE regress_history_clerk;
CREATE SCHEMA history AUTHORIZATION regress_history;
GRANT USAGE ON SCHEMA history TO PUBLIC;
SET ROLE regress_history;
SET search_path = history;
SET client_min_messages = warning;
CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE);
CREATE TABLE child (a numeric(10, 2), b varchar(3), c date, parent_id integer REFERENCES parent ON DELETE CASCADE, PRIMARY KEY (c, a, b));
CREATE TABLE part (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE kept_aside (id uuid PRIMARY KEY);
CREATE TABLE keyless (id integer);
SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('part'), soft_delete.tag('kept_aside', storage => 'aside'), soft_delete.tag('keyless');
INSERT INTO parent SELECT n, n FROM generate_series(1, 5) AS n;
INSERT INTO child VALUES (1.5, 'x', '2026-01-02', 1), (2, 'y"', '2026-01-03', 2);
INSERT INTO part VALUES (1), (2);
INSERT INTO kept_aside VALUES ('11111111-1111-1111-1111-111111111111');
CREATE FUNCTION told(relation regclass, VARIADIC key text[]) RETURNS TABLE (n bigint, event text, done_by name, actor text, reason text, deletion bigint)
BEGIN ATOMIC
	SELECT row_number() OVER (ORDER BY happened_at), event, done_by, actor, reason, dense_rank() OVER (ORDER BY deleted_at) FROM soft_delete.history(relation, VARIADIC key) ORDER BY 1;
END;

SELECT * FROM told('parent', '1');
SET soft_delete.actor = 'alice';
SET soft_delete.reason = 'first';
DELETE FROM parent WHERE id = 1;
SELECT * FROM told('parent', '1');
SET soft_delete.reason = 'a mistake';
SELECT soft_delete.undo(max(deleted_at)) FROM parent_deleted;
SELECT * FROM told('parent', ' 01');
SET soft_delete.reason = 'second';
DELETE FROM parent WHERE id <= 2;
RESET soft_delete.reason;
RESET soft_delete.actor;
SELECT * FROM told('parent', '1');
SELECT * FROM told('parent', '2');

-- what went along, with a key of several columns, whatever the settings say
SET datestyle = 'German, DMY';
SELECT * FROM told('child', '2.1.2026', '1.5', 'x');
RESET datestyle;
UPDATE child_deleted SET deleted_at = NULL WHERE false;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 2;
SELECT * FROM told('child', '2026-01-03', '2', 'y"');
SELECT * FROM told('child', '2026-01-03', '2', 'y"zzz');

-- partitions, rows that stepped aside, and tables aside
DELETE FROM part WHERE id = 1;
UPDATE part_deleted SET deleted_at = NULL;
SELECT * FROM told('part', '1');
SELECT * FROM told('part_1', '1');
DELETE FROM kept_aside;
UPDATE kept_aside_deleted SET deleted_at = NULL;
SELECT event FROM told('kept_aside', '11111111-1111-1111-1111-111111111111');

-- erased: that it was, and what came before as hashes only
SELECT soft_delete.erase('parent', '1'), soft_delete.erase('kept_aside', '11111111-1111-1111-1111-111111111111');
SELECT * FROM told('parent', '1');
RESET ROLE;
SELECT count(*) FROM soft_delete_internal.events AS e WHERE e::text LIKE '%11111111-1111%';
SELECT count(*) FROM soft_delete_internal.erasures AS e WHERE e::text LIKE '%11111111-1111%';
SET ROLE regress_history;

-- of a row that a purge has taken nothing is known
DELETE FROM parent WHERE id = 3;
CALL soft_delete.purge('parent', older_than => '0');
SELECT * FROM told('parent', '3');

-- for who may read the bin
RESET ROLE;
SET ROLE regress_history_clerk;
SELECT * FROM soft_delete.history('history.parent', '2');
RESET ROLE;
GRANT SELECT ON parent_deleted TO regress_history_clerk;
SET ROLE regress_history_clerk;
SELECT event, done_by, actor FROM soft_delete.history('history.parent', '2') ORDER BY happened_at;
RESET ROLE;
SET ROLE regress_history;

\set VERBOSITY terse
SELECT * FROM soft_delete.history('parent');
SELECT * FROM soft_delete.history('parent', '1', '2');
SELECT * FROM soft_delete.history('parent', NULL::text);
SELECT * FROM soft_delete.history('parent', 'x');
SELECT * FROM soft_delete.history('keyless', '1');
CREATE TABLE untagged (id integer PRIMARY KEY);
SELECT * FROM soft_delete.history('untagged', '1');
SELECT * FROM soft_delete.history(NULL, '1');
RESET ROLE;
DROP SCHEMA history CASCADE;
DELETE FROM soft_delete_internal.erasures WHERE relation LIKE 'history.%';
DELETE FROM soft_delete_internal.purge_log WHERE relation LIKE 'history.%';
DROP ROLE regress_history, regress_history_clerk;
