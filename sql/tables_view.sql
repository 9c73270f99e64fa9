-- soft_delete.tables shows figures of tagged tables to those who may know them
--
-- What it says is compared with what there is.
\set VERBOSITY terse
CREATE ROLE regress_tables_view;
CREATE ROLE regress_tables_view_reader;
CREATE ROLE regress_tables_view_monitor IN ROLE pg_monitor;
CREATE ROLE regress_tables_view_other;
CREATE SCHEMA tables_view AUTHORIZATION regress_tables_view;
GRANT USAGE ON SCHEMA tables_view TO PUBLIC;
SET ROLE regress_tables_view;
SET search_path = tables_view;

CREATE TABLE t (id integer PRIMARY KEY, email text UNIQUE);
CREATE TABLE "In UTC" (id integer PRIMARY KEY, removed timestamp);
CREATE TABLE p (id integer, part integer, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1) PARTITION BY LIST (part);
CREATE TABLE p1_1 PARTITION OF p1 FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE heir (more text) INHERITS (parent);
CREATE TABLE never_analyzed (id integer PRIMARY KEY);
SELECT soft_delete.tag('t'), soft_delete.tag('"In UTC"', deleted_at => 'removed'), soft_delete.tag('p'), soft_delete.tag('parent'), soft_delete.tag('never_analyzed');
ALTER TABLE t FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY;

SET row_security = off;
INSERT INTO "In UTC" VALUES (1, '2001-02-03 04:05:06'), (2, '2001-02-03 04:05:07');
INSERT INTO p VALUES (1, 1, '2002-01-01 00:00 UTC'), (2, 2, '2001-01-01 00:00 UTC'), (3, 2, NULL), (4, 2, NULL);
INSERT INTO parent VALUES (1, '2003-01-01 00:00 UTC'), (2, NULL);
INSERT INTO heir (id, deleted_at) VALUES (3, '2002-01-01 00:00 UTC');
ALTER TABLE t NO FORCE ROW LEVEL SECURITY;
INSERT INTO t (id, email, deleted_at) SELECT n, n, timestamptz '2004-01-01 00:00 UTC' + n * interval '1 day' FROM generate_series(1, 1000) AS n;
INSERT INTO t (id, email) SELECT n, n FROM generate_series(1001, 4000) AS n;
ALTER TABLE t FORCE ROW LEVEL SECURITY;
RESET row_security;
ANALYZE t, "In UTC", p, parent, heir;
SET timezone = 'UTC';

-- the second row of p2 steps aside
INSERT INTO p VALUES (2, 2);
SELECT pg_stat_force_next_flush() IS NOT NULL AS flushed;
SELECT relation, tombstone_column, bin, active_view FROM soft_delete.tables ORDER BY relation::text;
SELECT relation, live_rows, deleted_rows, graveyard_share, displaced_rows, oldest FROM soft_delete.tables ORDER BY relation::text;

-- a few are counted, many are estimated
RESET ROLE;
SELECT soft_delete_internal.count_tombstones('t'), soft_delete_internal.count_tombstones('t', '2004-01-11 00:00 UTC'), soft_delete_internal.count_tombstones('t', '2003-01-01');
SET ROLE regress_tables_view;
RESET ROLE;
SELECT soft_delete_internal.count_tombstones('"In UTC"', '2001-02-03 04:05:07 UTC'), soft_delete_internal.count_tombstones('"In UTC"', '2001-02-03 04:05:07.000001 UTC'),
	soft_delete_internal.count_tombstones('p', '2001-06-01'), soft_delete_internal.count_tombstones('parent', '2002-06-01'), soft_delete_internal.count_tombstones('p2');
SET ROLE regress_tables_view;
SET row_security = off;
ALTER TABLE t NO FORCE ROW LEVEL SECURITY;
INSERT INTO t (id, email, deleted_at) SELECT n, n, timestamptz '2004-01-01 00:00 UTC' + n * interval '1 minute' FROM generate_series(5001, 14000) AS n;
ALTER TABLE t FORCE ROW LEVEL SECURITY;
RESET row_security;
ANALYZE t;
RESET ROLE;
SELECT soft_delete_internal.count_tombstones('t') BETWEEN 9500 AND 10500 AS all_of_them, soft_delete_internal.count_tombstones('t', '2004-01-08 00:00 UTC') BETWEEN 4000 AND 6000 AS half,
	live_rows BETWEEN 2500 AND 3500 AS live, graveyard_share BETWEEN 0.7 AND 0.8 AS share FROM soft_delete.tables WHERE relation = 't'::regclass;
SET ROLE regress_tables_view;

-- what tag() made partial, and what deleted rows would take there
VACUUM (ANALYZE, FREEZE) t;
SELECT index_bytes_saved BETWEEN 100000 AND 600000 AS saved FROM soft_delete.tables WHERE relation = 't'::regclass;
RESET ROLE;
SELECT soft_delete_internal.live_index_bytes('t') BETWEEN 50000 AND 150000 AS one_index, soft_delete_internal.live_index_bytes('p') AS too_small;
SET ROLE regress_tables_view;

-- nothing reads a table
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
RESET ROLE;
SELECT soft_delete_internal.count_tombstones('p'), soft_delete_internal.oldest_tombstone('p');
SET ROLE regress_tables_view;
RESET enable_indexscan;
RESET enable_indexonlyscan;
SET row_security = off; -- as who restores a dump
DROP INDEX p_deleted_at_idx;
RESET row_security;
RESET ROLE;
SELECT soft_delete_internal.count_tombstones('p'), soft_delete_internal.oldest_tombstone('p');
SET ROLE regress_tables_view;
SELECT live_rows, deleted_rows, graveyard_share, displaced_rows, oldest FROM soft_delete.tables WHERE relation = 'p'::regclass;

-- retention, and what is due by it
SELECT soft_delete.retain('t', now() - '2004-01-11 00:00 UTC');
SELECT soft_delete.retain('"In UTC"', '10 years');
SELECT soft_delete.retain('parent', NULL);
SELECT relation, retention IS NOT NULL AS has_retention, CASE relation WHEN 't'::regclass THEN round(due_rows, -3) ELSE due_rows END AS due_rows
FROM soft_delete.tables WHERE relation <> 'p'::regclass ORDER BY relation::text;
SELECT soft_delete.retain('p', '1 day');
SELECT due_rows FROM soft_delete.tables WHERE relation = 'p'::regclass;		-- no index tells
SELECT soft_delete.tag('p');
SELECT due_rows FROM soft_delete.tables WHERE relation = 'p'::regclass;

-- the last purge
RESET ROLE;
INSERT INTO soft_delete_internal.purge_log (relation, purged_at, purged_by, rows, duration, error, roleid) VALUES
	('tables_view.t', '2005-01-01', 'regress_tables_view', 1, '1s', 'could not', 'regress_tables_view'::regrole), ('tables_view.t', '2006-01-01', 'regress_tables_view', 2, '1s', NULL, 'regress_tables_view'::regrole),
	('tables_view."In UTC"', '2005-01-01', 'regress_tables_view', 3, '1s', NULL, 'regress_tables_view'::regrole), ('tables_view."In UTC"', '2006-01-01', 'regress_tables_view', 4, '1s', 'could not', 'regress_tables_view'::regrole),
	('tables_view.parent', '2005-01-01', 'regress_tables_view', 5, '1s', 'not finished', 'regress_tables_view'::regrole);
SET ROLE regress_tables_view;
SELECT relation, last_purge, last_purge_rows, last_purge_result FROM soft_delete.tables ORDER BY relation::text;

-- holds are counted
SELECT soft_delete.hold('p', 'case 1');
UPDATE "In UTC_deleted" SET hold = 'case 2';
SELECT relation, holds FROM soft_delete.tables ORDER BY relation::text;
-- the ledger is one for all of them
SELECT count(*) > 1 AS are_some, count(DISTINCT ledger_bytes), min(ledger_bytes) > 0 AS has_size FROM soft_delete.tables;

-- who may know
RESET ROLE;
SELECT soft_delete_internal.may_watch('t'), soft_delete_internal.may_watch('pg_class'), soft_delete_internal.may_watch(NULL), soft_delete_internal.count_tombstones('pg_class'), soft_delete_internal.count_tombstones(NULL);
SET ROLE regress_tables_view;
GRANT SELECT ON "In UTC_deleted" TO regress_tables_view_reader;
RESET ROLE;
SET ROLE regress_tables_view_reader;
SELECT relation, live_rows, deleted_rows, oldest, due_rows, last_purge_result FROM soft_delete.tables;
RESET ROLE;
SELECT soft_delete_internal.count_tombstones('t'), soft_delete_internal.oldest_tombstone('t'), soft_delete_internal.count_tombstones('t', now()) AS due_rows;
SET ROLE regress_tables_view_reader;
SELECT * FROM soft_delete.metrics ORDER BY name;
RESET ROLE;
SET ROLE regress_tables_view_other;
SELECT relation FROM soft_delete.tables;
SELECT * FROM soft_delete.metrics;
RESET ROLE;
SET ROLE regress_tables_view_monitor;
SELECT relation, deleted_rows IS NOT NULL, oldest FROM soft_delete.tables WHERE relation <> 'p'::regclass ORDER BY relation::text;
SELECT name, value FROM soft_delete.metrics WHERE labels = '{"schema": "tables_view", "table": "parent"}' ORDER BY name;
SELECT * FROM parent_deleted;

-- another session's temporary table, and one that goes with its session
RESET ROLE;
SET ROLE regress_tables_view;
CREATE TEMPORARY TABLE mine (id integer PRIMARY KEY);
SELECT soft_delete.tag('mine');
INSERT INTO mine VALUES (1);
DELETE FROM mine;
SELECT relation, bin, active_view, deleted_rows FROM soft_delete.tables WHERE relation = 'mine'::regclass;

SELECT soft_delete.hold('p', NULL);
UPDATE "In UTC_deleted" SET hold = NULL;
RESET ROLE;
DROP SCHEMA tables_view CASCADE;
DROP TABLE mine;
DELETE FROM soft_delete_internal.purge_log WHERE relation LIKE 'tables_view.%';
DROP ROLE regress_tables_view, regress_tables_view_reader, regress_tables_view_monitor, regress_tables_view_other;
