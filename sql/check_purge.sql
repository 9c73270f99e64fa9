-- check() finds deleted rows that should be gone, and why they are not
--
-- Purges that fail, or that nobody runs.
\set VERBOSITY terse
CREATE ROLE regress_check_purge;
CREATE SCHEMA check_purge AUTHORIZATION regress_check_purge;
SET ROLE regress_check_purge;
SET search_path = check_purge;

CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE plain (id integer);
SELECT soft_delete.tag('t');
SELECT soft_delete.retain('t', '10 days');
SET row_security = off;
INSERT INTO t VALUES (1, now() - interval '9 days'), (2, now() - interval '10 days 23 hours'), (3, now() - interval '12 days'), (4, now() - interval '20 days'), (5, NULL);
SELECT * FROM soft_delete.check() WHERE problem NOT LIKE '%due%';
RESET row_security;

-- overdue for more than a day, one of them aside
INSERT INTO t VALUES (4);
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT id FROM t_deleted;

-- held rows stay, and are not in the way of what is said of others
SET row_security = off;
INSERT INTO t VALUES (11, now() - interval '12 days'), (12, now() - interval '13 days'), (13, now() - interval '14 days');
RESET row_security;
UPDATE t_deleted SET hold = 'case 4711' WHERE id = 11;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT soft_delete.hold_deletion(deleted_at, 'case 4712') FROM t_deleted WHERE id = 12;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT id FROM t_deleted ORDER BY id;

-- a hold on what is not there any more
UPDATE t_deleted SET hold = NULL WHERE id = 11;
RESET ROLE;
-- no statement can do that: by hand in our own table
CREATE TEMPORARY TABLE saved AS SELECT * FROM soft_delete_internal.holds WHERE relation = 't'::regclass;
DELETE FROM soft_delete_internal.holds WHERE relation = 't'::regclass;
DELETE FROM t_deleted WHERE id IN (11, 12);
INSERT INTO soft_delete_internal.holds SELECT * FROM saved;
SET ROLE regress_check_purge;
SELECT count(*) FROM soft_delete.holds WHERE relation = 't'::regclass;
SELECT severity, relation, regexp_replace(problem, ': .*', ': ...') AS problem, regexp_replace(remedy, $$, '\d.*', $$, ', ..., ') AS remedy FROM soft_delete.check() ORDER BY relation::text, problem;
\set ECHO none
SELECT remedy FROM soft_delete.check() \gexec
\set ECHO all
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT count(*) FROM soft_delete.holds WHERE relation = 't'::regclass;

-- where nothing says how long, nothing is due
RESET ROLE;
DELETE FROM soft_delete_internal.retention WHERE relation = 't'::regclass;
SET ROLE regress_check_purge;
SET row_security = off;
INSERT INTO t VALUES (6, now() - interval '12 days');
RESET row_security;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- a purge that fails, and one that was broken off
SELECT soft_delete.retain('t', '10 days');
RESET ROLE;
INSERT INTO soft_delete_internal.purge_log VALUES ('check_purge.t', now() - interval '2 days', 'regress_check_purge', 7, NULL, NULL, '1 hour', 'not finished', 'regress_check_purge', 'regress_check_purge'::regrole);
DELETE FROM soft_delete_internal.purge_log WHERE relation = 'check_purge.t' AND error IS NULL;
SET ROLE regress_check_purge;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
RESET ROLE;
INSERT INTO soft_delete_internal.purge_log VALUES ('check_purge.t', now() - interval '1 minute', 'regress_check_purge', 7, NULL, NULL, '1 hour', 'could not', 'regress_check_purge', 'regress_check_purge'::regrole);
SET ROLE regress_check_purge;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- a retention of what is not tagged
RESET ROLE;
INSERT INTO soft_delete_internal.retention VALUES ('plain', NULL, '1 day');
SET ROLE regress_check_purge;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

RESET ROLE;
DROP SCHEMA check_purge CASCADE;
DELETE FROM soft_delete_internal.purge_log WHERE relation LIKE 'check_purge.%';
DROP ROLE regress_check_purge;
