-- tag_schema() names what it cannot tag, and tags the rest; in a tagged schema no
-- migration fails because a new table cannot be tagged
CREATE ROLE regress_schema;
CREATE ROLE regress_other;
CREATE SCHEMA app AUTHORIZATION regress_schema;
CREATE SCHEMA private AUTHORIZATION regress_other;
GRANT USAGE, CREATE ON SCHEMA app TO regress_other;
CREATE FOREIGN DATA WRAPPER regress_nothing;
CREATE SERVER regress_nowhere FOREIGN DATA WRAPPER regress_nothing;
GRANT USAGE ON FOREIGN SERVER regress_nowhere TO regress_schema;
SET ROLE regress_other;
CREATE TABLE app.of_other (id integer PRIMARY KEY);
GRANT REFERENCES ON app.of_other TO regress_schema;
RESET ROLE;
SET ROLE regress_schema;
SET search_path = app;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
RESET ROLE;
CREATE VIEW pg_temp.untagged AS
	SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'f') AND relname NOT LIKE '%\_tombstones' AND soft_delete_internal.tag_arguments(oid) IS NULL;
SET ROLE regress_schema;

-- bad arguments
SELECT soft_delete.tag_schema(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT soft_delete.tag_schema('app', exempt => ARRAY[NULL::name]);
SELECT soft_delete.tag_schema('app', indexes => 'some');
SELECT soft_delete.tag_schema('app', deleted_at => '');
SELECT soft_delete.tag_schema('nowhere');
\echo :LAST_ERROR_SQLSTATE
SELECT soft_delete.tag_schema('app', views => 'nowhere');
\echo :LAST_ERROR_SQLSTATE
SELECT soft_delete.tag_schema('app', views => 'private');
\echo :LAST_ERROR_SQLSTATE
SELECT soft_delete.tag_schema('private');
\echo :LAST_ERROR_SQLSTATE
SELECT soft_delete.tag_schema('pg_catalog');
\echo :LAST_ERROR_SQLSTATE
SELECT soft_delete.tag_schema('information_schema');
SELECT soft_delete.tag_schema('soft_delete');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT soft_delete.tag_schema('app');
ROLLBACK;
SELECT * FROM soft_delete.tagged_schemas;

-- what cannot be tagged, and what hangs together with it
CREATE TABLE flags (id integer PRIMARY KEY, deleted_at boolean);
CREATE TABLE of_flags (id integer PRIMARY KEY, flag_id integer REFERENCES flags ON DELETE CASCADE);
CREATE TABLE of_other_too (id integer PRIMARY KEY, other_id integer REFERENCES of_other ON DELETE CASCADE);
CREATE TABLE kept (id integer PRIMARY KEY);
CREATE TABLE of_kept (id integer PRIMARY KEY, kept_id integer REFERENCES kept ON DELETE CASCADE);
CREATE TABLE taken (id integer);
CREATE VIEW taken_deleted AS SELECT 1 AS one;
CREATE FOREIGN TABLE far (id integer) SERVER regress_nowhere;
CREATE TABLE good (id integer PRIMARY KEY);
CREATE TABLE of_extension (id integer);
RESET ROLE;
ALTER EXTENSION plpgsql ADD TABLE of_extension;
SET ROLE regress_schema;
SELECT soft_delete.tag_schema('app', exempt => '{kept}');
RESET ROLE;
SELECT * FROM pg_temp.untagged ORDER BY 1;
SET ROLE regress_schema;
SELECT relation, problem, remedy FROM soft_delete.check() ORDER BY relation::text;

RESET ROLE;
ALTER EXTENSION plpgsql DROP TABLE of_extension;
SET ROLE regress_schema;

-- new tables
CREATE TABLE new_flags (id integer PRIMARY KEY, deleted_at boolean);
CREATE TABLE new_of_flags (id integer PRIMARY KEY, flag_id integer REFERENCES new_flags ON DELETE CASCADE, good_id integer REFERENCES good);
CREATE VIEW new_taken_active AS SELECT 1 AS one;
CREATE TABLE new_taken (id integer);
CREATE FOREIGN TABLE new_far (id integer) SERVER regress_nowhere;
RESET ROLE;
SELECT * FROM pg_temp.untagged WHERE relname ~ 'new' ORDER BY 1;
SET ROLE regress_schema;
-- the promise of an unsafe foreign key is not a new table's own affair
CREATE TABLE unsafe (flag_id integer REFERENCES new_flags ON DELETE CASCADE, good_id integer REFERENCES good ON DELETE CASCADE);
SELECT to_regclass('unsafe');
-- a right that is lost
RESET ROLE;
GRANT CREATE, USAGE ON SCHEMA private TO regress_schema;
SET ROLE regress_schema;
SELECT soft_delete.tag_schema('app', exempt => '{}', views => 'private');
RESET ROLE;
REVOKE CREATE ON SCHEMA private FROM regress_schema;
CREATE TABLE app.by_superuser (id integer);
SELECT soft_delete_internal.tag_arguments('app.by_superuser');

DISCARD TEMP;
SET client_min_messages = error;
RESET search_path;
DROP SCHEMA app, private CASCADE;
DROP SERVER regress_nowhere;
DROP FOREIGN DATA WRAPPER regress_nothing;
DROP ROLE regress_schema, regress_other;
