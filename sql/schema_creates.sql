-- a table that comes into a tagged schema is tagged at once, whoever makes it, in
-- whichever way
CREATE EXTENSION postgres_fdw;
CREATE ROLE regress_schema;
CREATE ROLE regress_creator;
CREATE SCHEMA app AUTHORIZATION regress_schema;
CREATE SCHEMA elsewhere AUTHORIZATION regress_creator;
GRANT USAGE, CREATE ON SCHEMA app TO regress_creator;
SELECT current_database() AS database, current_setting('unix_socket_directories') AS socket, current_setting('port') AS port, session_user AS super \gset
CREATE SERVER regress_loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname :'database', host :'socket', port :'port');
CREATE USER MAPPING FOR regress_creator SERVER regress_loop OPTIONS (user :'super', password_required 'false');
GRANT USAGE ON FOREIGN SERVER regress_loop TO regress_creator;
SET ROLE regress_schema;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TABLE app.parent (id integer PRIMARY KEY, code text UNIQUE);
GRANT REFERENCES, SELECT ON app.parent TO regress_creator;
SELECT soft_delete.tag_schema('app');

-- made by somebody who owns nothing else here, and by a superuser
RESET ROLE;
SET ROLE regress_creator;
SET search_path = app;
RESET ROLE;
CREATE VIEW pg_temp.newcomers AS
	SELECT relname, relowner::regrole, (soft_delete_internal.tag_arguments(oid))[1] IS NOT NULL AS tagged, soft_delete_internal.bin_of(oid) AS bin
	FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'f')
	  AND soft_delete_internal.is_own_transaction(xmin);
SET ROLE regress_creator;
CREATE TYPE elsewhere.some_type AS (id integer, code text);
PREPARE some_rows AS SELECT 1 AS id;
BEGIN;
CREATE TABLE plain (id integer PRIMARY KEY, code text UNIQUE);
CREATE TABLE "LIKE" (LIKE parent INCLUDING ALL);
CREATE TABLE as_query AS SELECT g AS id FROM generate_series(1, 3) g;
SELECT g AS id INTO by_into FROM generate_series(1, 3) g;
CREATE TABLE as_execute AS EXECUTE some_rows;
CREATE TABLE partitioned (id integer) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF partitioned FOR VALUES IN (1);
CREATE TABLE child () INHERITS (plain);
CREATE UNLOGGED TABLE unlogged (id integer);
CREATE TABLE typed OF elsewhere.some_type;
CREATE TABLE IF NOT EXISTS plain (id integer);
CREATE TABLE IF NOT EXISTS as_query AS SELECT 1;
CREATE TABLE elsewhere.moved (id integer);
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('elsewhere.moved');
SET ROLE regress_creator;
ALTER TABLE elsewhere.moved SET SCHEMA app;
DO $$ BEGIN EXECUTE 'CREATE TABLE by_do (id integer)'; END $$;
CREATE FUNCTION elsewhere.make() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'CREATE TABLE app.by_function (id integer)';
SELECT elsewhere.make();
RESET ROLE;
SELECT * FROM pg_temp.newcomers ORDER BY 1;
SET ROLE regress_creator;
DELETE FROM as_query WHERE id = 1;
SELECT id FROM as_query ORDER BY id;
SELECT id FROM as_query_deleted;
COMMIT;

-- a foreign key that cascades from a tagged table just works
CREATE TABLE cascades (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
ALTER TABLE plain ADD COLUMN parent_id integer REFERENCES parent ON DELETE CASCADE;
RESET ROLE;
INSERT INTO app.parent VALUES (1, 'a');
INSERT INTO app.cascades VALUES (1, 1);
DELETE FROM app.parent;
SELECT id FROM app.cascades_deleted;
-- but not elsewhere
SET ROLE regress_creator;
CREATE TABLE elsewhere.cascades (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);

-- the copy of a key has the name of a unique constraint
INSERT INTO "LIKE" (id, code) VALUES (1, 'a');
DELETE FROM "LIKE";
INSERT INTO "LIKE" (id, code) VALUES (2, 'a');
INSERT INTO "LIKE" (id, code) VALUES (3, 'a');
INSERT INTO "LIKE" (id, code) VALUES (3, 'a') ON CONFLICT ON CONSTRAINT "LIKE_code_key" DO NOTHING;
SELECT conname, contype FROM pg_constraint WHERE conrelid = '"LIKE"'::regclass AND contype <> 'n' ORDER BY 1;
SELECT soft_delete.untag('"LIKE"', tombstones => 'purge');
SELECT conname, contype FROM pg_constraint WHERE conrelid = '"LIKE"'::regclass AND contype <> 'n' ORDER BY 1;

-- what would hide rows that the statement has just written is not tagged
DELETE FROM as_execute;
CREATE TABLE archive AS SELECT id, deleted_at FROM as_execute_deleted;
SELECT id FROM archive;

-- not tagged: temporary tables, views, foreign tables
CREATE TEMPORARY TABLE temporary (id integer);
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('temporary');
SET ROLE regress_creator;
CREATE MATERIALIZED VIEW materialized AS SELECT 1 AS id;
CREATE FOREIGN TABLE far (id integer) SERVER regress_loop;
CREATE TABLE elsewhere.exported (id integer);
IMPORT FOREIGN SCHEMA elsewhere LIMIT TO (exported) FROM SERVER regress_loop INTO app;
RESET ROLE;
-- nor what restores a dump, and that is said
SET row_security = off;
CREATE TABLE app.restored (id integer);
SET ROLE regress_creator;
CREATE TABLE app.restored_too (id integer);
RESET ROLE;
RESET row_security;
SELECT soft_delete_internal.tag_arguments('app.restored'), soft_delete_internal.tag_arguments('app.restored_too');

DISCARD TEMP;
SET client_min_messages = error;
RESET search_path;
DROP SCHEMA app, elsewhere CASCADE;
DROP EXTENSION postgres_fdw CASCADE;
DROP ROLE regress_schema, regress_creator;
