-- check() finds what is wrong with the views of a tagged table
--
-- A missing bin is found before it is needed.
\set VERBOSITY terse
CREATE ROLE regress_check_views;
CREATE ROLE regress_check_views_other;
CREATE SCHEMA check_views AUTHORIZATION regress_check_views;
CREATE SCHEMA check_views_bins AUTHORIZATION regress_check_views;
SET ROLE regress_check_views;
SET search_path = check_views;

CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE u (id integer PRIMARY KEY);
SELECT soft_delete.tag('t');
SELECT soft_delete.tag('u', views => 'check_views_bins');
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- missing
SET row_security = off;
DROP VIEW t_deleted, t_active, check_views_bins.u_active;
RESET row_security;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT relation, bin, active_view FROM soft_delete.tables;

-- something else has the name
SET row_security = off;
DROP VIEW t_deleted, t_active;
RESET row_security;
CREATE VIEW t_active AS SELECT 1 AS id;
CREATE TABLE t_deleted (id integer);
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT relation, bin, active_view FROM soft_delete.tables;

-- a bin that cannot restore
RESET ROLE;
SET session_replication_role = replica;
DROP TRIGGER soft_delete_restore ON t_deleted;
DROP TRIGGER soft_delete_statement ON t_deleted;
RESET session_replication_role;
SET ROLE regress_check_views;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
INSERT INTO t VALUES (1);
DELETE FROM t;
UPDATE t_deleted SET deleted_at = NULL;
SELECT id FROM t;

-- not tied to its table, and not its owner's
RESET ROLE;
DELETE FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid IN ('t_deleted'::regclass, 't_active'::regclass)
  AND refclassid = 'pg_class'::regclass AND refobjid = 't'::regclass;
SET session_replication_role = replica;
ALTER VIEW check_views_bins.u_deleted OWNER TO regress_check_views_other;
RESET session_replication_role;
SET ROLE regress_check_views;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
RESET ROLE;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SET ROLE regress_check_views;
DROP TABLE t;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- a dump of one schema lacks that of the views: the remedy makes it, which is to be decided
CREATE TABLE part (id integer PRIMARY KEY);
RESET ROLE;
CREATE SCHEMA check_views_gone;
GRANT ALL ON SCHEMA check_views_gone TO regress_check_views;
SET ROLE regress_check_views;
SELECT soft_delete.tag('part', views => 'check_views_gone', storage => 'aside') \g /dev/null
RESET ROLE;
SET session_replication_role = replica;
DROP SCHEMA check_views_gone CASCADE;
RESET session_replication_role;
SELECT relation, problem, remedy, is_safe FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() ORDER BY problem LIMIT 1 \gexec
SELECT relation, problem, remedy, is_safe FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT companion, bin FROM soft_delete.tables WHERE relation = 'part'::regclass;
DROP TABLE part;

-- who reads of a table in a tagged schema may not be who can tag it
CREATE SCHEMA check_views_tagged AUTHORIZATION regress_check_views;
SELECT soft_delete.tag_schema('check_views_tagged');
SET session_replication_role = replica;
CREATE TABLE check_views_tagged.missed (id integer PRIMARY KEY);
ALTER TABLE check_views_tagged.missed OWNER TO regress_check_views;
RESET session_replication_role;
GRANT pg_read_all_stats TO regress_check_views_other;
SET ROLE regress_check_views_other;
SELECT relation, problem, remedy, is_safe FROM soft_delete.check() WHERE problem ~ 'but its schema';
SET ROLE regress_check_views;
SELECT relation, problem, remedy, is_safe FROM soft_delete.check() WHERE problem ~ 'but its schema';
RESET ROLE;
DROP SCHEMA check_views_gone, check_views_tagged CASCADE;

RESET ROLE;
DROP SCHEMA check_views, check_views_bins CASCADE;
DROP ROLE regress_check_views, regress_check_views_other;
