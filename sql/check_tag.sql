-- check() finds what a tag has lost; the remedies, run as they are, give it back
--
-- Triggers, columns and event triggers that were changed behind the extension's back.
\set VERBOSITY terse
CREATE ROLE regress_check_tag;
CREATE SCHEMA check_tag AUTHORIZATION regress_check_tag;
SET ROLE regress_check_tag;
SET search_path = check_tag;

CREATE TABLE t (id integer PRIMARY KEY, "Removed" timestamptz);
CREATE TABLE child (extra text) INHERITS (t);
SELECT soft_delete.tag('t', deleted_at => 'Removed');
CREATE TABLE p (id integer PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
SELECT soft_delete.tag('p');
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- triggers are missing
RESET ROLE;
SET session_replication_role = replica;
DROP TRIGGER "~soft_delete" ON child;
DROP TRIGGER "~soft_delete_key" ON t;
DROP TRIGGER "~soft_delete_truncate" ON p1;
RESET session_replication_role;
SET ROLE regress_check_tag;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT tgrelid::regclass AS "table", tgname, tgenabled FROM pg_trigger WHERE tgname ~ '^~' AND tgrelid::regclass::text IN ('t', 'child', 'p', 'p1')
ORDER BY tgrelid::regclass::text, tgname COLLATE "C";

-- triggers are disabled
ALTER TABLE child DISABLE TRIGGER "~soft_delete";
ALTER TABLE p1 ENABLE REPLICA TRIGGER "~soft_delete_key";
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- triggers fire too late
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
CREATE TRIGGER zzz BEFORE DELETE ON p FOR EACH ROW EXECUTE FUNCTION nothing();
RESET ROLE;
SET session_replication_role = replica;
CREATE TRIGGER "~zzz" BEFORE DELETE ON p FOR EACH ROW EXECUTE FUNCTION nothing();
RESET session_replication_role;
SET ROLE regress_check_tag;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT tgrelid::regclass AS "table", tgname FROM pg_trigger WHERE tgfoid = 'nothing'::regproc ORDER BY tgrelid::regclass::text, tgname COLLATE "C";

-- the column has lost its name
INSERT INTO t VALUES (1);
DELETE FROM t;
RESET ROLE;
UPDATE pg_attribute SET attname = 'gone_at' WHERE attrelid IN ('t'::regclass, 'child'::regclass) AND attname = 'Removed';
SET ROLE regress_check_tag;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT relation, tombstone_column, deleted_rows, oldest FROM soft_delete.tables WHERE relation = 't'::regclass;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT relation, tombstone_column, deleted_rows, oldest IS NOT NULL AS has_oldest FROM soft_delete.tables WHERE relation = 't'::regclass;

-- event triggers are disabled
RESET ROLE;
ALTER EVENT TRIGGER soft_delete_ddl DISABLE;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- new sessions do not load the library
UPDATE pg_event_trigger SET evtenabled = 'D' WHERE evtname = 'soft_delete_login';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = ''auto_explain''', current_database()); END $$;
SET ROLE regress_check_tag;
SELECT severity, relation, replace(problem, current_database(), '*') AS problem, replace(remedy, current_database(), '*') AS remedy
FROM soft_delete.check() WHERE problem NOT LIKE '%soft_delete_login%';
RESET ROLE;
\set ECHO none
SELECT remedy FROM soft_delete.check() \gexec
\set ECHO all
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET session_preload_libraries', current_database()); END $$;

DROP SCHEMA check_tag CASCADE;
DROP ROLE regress_check_tag;
