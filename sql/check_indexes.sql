-- check() finds indexes and constraints that are not what tag() makes of them
--
-- A deleted row in the way of a live one, a bin without an index, and names that mean
-- something else than they say.
\set VERBOSITY terse
CREATE ROLE regress_check_indexes;
CREATE SCHEMA check_indexes AUTHORIZATION regress_check_indexes;
SET ROLE regress_check_indexes;
SET search_path = check_indexes;

CREATE TABLE t (id integer PRIMARY KEY, email text CONSTRAINT one_email UNIQUE, phone text CONSTRAINT one_phone UNIQUE, name text UNIQUE,
	during tstzrange, removed timestamptz, CONSTRAINT one_at_a_time EXCLUDE USING gist (during WITH &&));
CREATE TABLE t_names (name text REFERENCES t (name));
ALTER TABLE t CLUSTER ON one_at_a_time;
SELECT soft_delete.tag('t', deleted_at => 'removed');
CREATE TABLE u (id integer PRIMARY KEY, name text);
CREATE INDEX ON u (lower(name));
SELECT soft_delete.tag('u', indexes => 'unique');
CREATE TABLE p (id integer PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
SELECT soft_delete.tag('p');
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- indexes that could not be partial, and can be now
DROP TABLE t_names;
ALTER TABLE t SET WITHOUT CLUSTER;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- indexes of a table most of whose rows are deleted
INSERT INTO u SELECT g, g FROM generate_series(1, 100) g;
DELETE FROM u WHERE id <= 50;
ANALYZE u;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
DELETE FROM u WHERE id <= 60;
ANALYZE u;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- no index of the bin, or none that is valid
SET row_security = off; -- as who restores a dump
DROP INDEX t_removed_idx;
RESET row_security;
SET row_security = off; -- as who restores a dump
DROP INDEX p_deleted_at_idx;
RESET row_security;
CREATE INDEX p_deleted_at_idx ON ONLY p (deleted_at) WHERE deleted_at IS NOT NULL;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT relation, live_rows, deleted_rows, oldest FROM soft_delete.tables WHERE relation <> 'u'::regclass;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT relation, deleted_rows FROM soft_delete.tables WHERE relation <> 'u'::regclass;

-- stand-ins that have lost their index, its name, or what ties the two
RESET ROLE;
SET session_replication_role = replica;
ALTER INDEX one_email RENAME TO another_name;
RESET session_replication_role;
DELETE FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = 'one_phone'::regclass AND refclassid = 'pg_constraint'::regclass;
SET ROLE regress_check_indexes;
ALTER TABLE p ADD CONSTRAINT p_gone CHECK (true) NOT VALID;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
ALTER TABLE t DROP CONSTRAINT another_name, DROP CONSTRAINT one_phone;
SELECT to_regclass('another_name'), to_regclass('one_phone');
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

RESET ROLE;
DROP SCHEMA check_indexes CASCADE;
DROP ROLE regress_check_indexes;
