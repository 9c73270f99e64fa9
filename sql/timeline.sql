-- timeline() draws deletions and purges day by day
\set VERBOSITY terse
CREATE ROLE regress_timeline;
CREATE ROLE regress_timeline_other;
CREATE ROLE regress_timeline_monitor IN ROLE pg_monitor;
CREATE SCHEMA timeline AUTHORIZATION regress_timeline;
GRANT USAGE ON SCHEMA timeline TO regress_timeline_other, regress_timeline_monitor;
SET ROLE regress_timeline;
SET search_path = timeline;
SET timezone = 'America/New_York';

CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE "In UTC" (id integer PRIMARY KEY, deleted_at timestamp);
SELECT soft_delete.tag('t');
SELECT soft_delete.tag('"In UTC"');

-- stamps of one's choice, as a dump restores them
SET row_security = off;
INSERT INTO t (id, deleted_at) SELECT n, current_date - 3 + time '12:00' FROM generate_series(1, 80) AS n;
INSERT INTO t (id, deleted_at) SELECT 100 + n, current_date - 1 + time '00:00' FROM generate_series(1, 20) AS n;
INSERT INTO t (id, deleted_at) VALUES (200, current_date - 2 - interval '1 microsecond'), (201, current_date - 5), (202, current_date - 5 - interval '1 microsecond');
INSERT INTO t (id) VALUES (301), (302);
-- of the same day there, and of the next in UTC
INSERT INTO "In UTC" (id, deleted_at) VALUES (1, timezone('UTC', (current_date - 2 + time '23:30')::timestamptz));
RESET row_security;
SELECT current_date - day AS ago, deleted, purged, chart FROM soft_delete.timeline('t', 6);
SELECT current_date - day AS ago, deleted, purged, chart FROM soft_delete.timeline('"In UTC"', days => 3);
SELECT current_date - day AS ago, deleted, purged, chart FROM soft_delete.timeline(days => 6);
SELECT count(*), max(day) = current_date, sum(deleted) FROM soft_delete.timeline();

-- a restored row is not deleted, one that stepped aside still is
UPDATE t_deleted SET deleted_at = NULL WHERE id = 200;
INSERT INTO t VALUES (101);
SELECT current_date - day AS ago, deleted, purged, chart FROM soft_delete.timeline('t', 6);

-- purges, by the log
RESET ROLE;
INSERT INTO soft_delete_internal.purge_log (relation, purged_at, purged_by, rows, duration, roleid) VALUES
	('timeline.t', current_date - 3 + time '18:00', 'regress_timeline', 40, '1s', 'regress_timeline'::regrole),
	('timeline.t', current_date - 1 + time '00:00', 'regress_timeline', 1, '1s', 'regress_timeline'::regrole),
	('timeline.t', current_date - 4 + time '23:59', 'regress_timeline', 100, '1s', 'regress_timeline'::regrole),
	('timeline."In UTC"', current_date - 2 + time '23:00', 'regress_timeline', 3, '1s', 'regress_timeline'::regrole);
SET ROLE regress_timeline;
SELECT current_date - day AS ago, deleted, purged, chart FROM soft_delete.timeline('t', 6);
SELECT current_date - day AS ago, deleted, purged, chart FROM soft_delete.timeline(days => 6);

-- bars have a sign for whatever there is, and never more than 40
RESET ROLE;
SELECT d, p, bar, length(bar) FROM (VALUES (1, 0), (0, 1), (1, 1), (1, 999), (999, 1), (500, 500), (333, 667), (1000, 0), (0, 1000), (0, 0)) AS v(d, p), soft_delete_internal.bar(d, p, 1000);
SET ROLE regress_timeline;
RESET ROLE;
SELECT soft_delete_internal.bar(0, 0, 0);
SET ROLE regress_timeline;

-- who may not read the bin is told nothing
RESET ROLE;
SET ROLE regress_timeline_other;
SELECT * FROM soft_delete.timeline('t');
SELECT count(*), sum(deleted), sum(purged) FROM soft_delete.timeline();
-- a monitor is told the figures of all, and reads no bin
RESET ROLE;
SET ROLE regress_timeline_monitor;
SELECT current_date - day AS ago, deleted, purged FROM soft_delete.timeline('timeline.t', 6);
SELECT * FROM timeline.t_deleted;
RESET ROLE;
SET ROLE regress_timeline;
SELECT * FROM soft_delete.timeline('pg_class');
SELECT * FROM soft_delete.timeline('t', 0);
SELECT * FROM soft_delete.timeline('t', NULL);

RESET ROLE;
DROP SCHEMA timeline CASCADE;
DELETE FROM soft_delete_internal.purge_log WHERE relation LIKE 'timeline.%';
DROP ROLE regress_timeline, regress_timeline_other, regress_timeline_monitor;
