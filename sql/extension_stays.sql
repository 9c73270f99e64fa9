-- the extension is not dropped while tables are tagged, by CASCADE neither: their deleted rows would come alive
CREATE DATABASE regress_extension_stays TEMPLATE template0;
\c regress_extension_stays
SET client_min_messages = warning;
CREATE ROLE regress_extension_stays SUPERUSER;
SET ROLE regress_extension_stays;
CREATE EXTENSION soft_delete;
CREATE SCHEMA "a schema";
CREATE TABLE "a schema"."it's" (id integer PRIMARY KEY);
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE) PARTITION BY HASH (id);
CREATE TABLE child_1 PARTITION OF child FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT soft_delete.tag('"a schema"."it''s"'), soft_delete.tag('parent', cascade => true);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1, 1);
DELETE FROM parent WHERE id = 1;

DROP EXTENSION soft_delete;
\set VERBOSITY terse
DROP EXTENSION soft_delete CASCADE;
DROP EXTENSION IF EXISTS no_such_extension, soft_delete CASCADE;
DROP SCHEMA soft_delete;
DROP SCHEMA soft_delete CASCADE;
DROP OWNED BY regress_extension_stays;
DROP OWNED BY regress_extension_stays CASCADE;
DROP EXTENSION plpgsql CASCADE;
DO $$ BEGIN DROP EXTENSION soft_delete CASCADE; END $$;
ALTER EXTENSION soft_delete SET SCHEMA public;
-- a session that has not loaded the library drops no more
SELECT format('ALTER DATABASE %I SET session_preload_libraries = plpgsql', current_database()) \gexec
\c
SET client_min_messages = warning;
SET ROLE regress_extension_stays;
\set VERBOSITY terse
DROP EXTENSION plpgsql CASCADE;
DROP OWNED BY regress_extension_stays CASCADE;
SELECT id FROM parent;
SELECT format('ALTER DATABASE %I RESET session_preload_libraries', current_database()) \gexec
\c
SET client_min_messages = warning;
SELECT count(*) FROM parent_deleted;

-- other extensions and schemas are dropped as ever
CREATE SCHEMA other;
DROP SCHEMA other;
DROP EXTENSION no_such_extension;

-- the hint can be pasted
SELECT soft_delete.untag('"a schema"."it''s"', cascade => true), soft_delete.untag('public.child', cascade => true);
SELECT soft_delete.untag('public.parent', tombstones => 'purge', cascade => true), soft_delete.untag('"a schema"."it''s"', cascade => true);
DROP EXTENSION soft_delete;
SELECT count(*) FROM pg_event_trigger WHERE evtname LIKE 'soft\_delete%';

\c regression
REASSIGN OWNED BY regress_extension_stays TO CURRENT_USER;
DROP DATABASE regress_extension_stays;
DROP ROLE regress_extension_stays;
