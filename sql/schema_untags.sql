-- untag_schema() untags all tables of a schema, or none, and forgets the schema
CREATE ROLE regress_schema;
CREATE ROLE regress_other;
CREATE SCHEMA app AUTHORIZATION regress_schema;
CREATE SCHEMA elsewhere AUTHORIZATION regress_schema;
GRANT USAGE, CREATE ON SCHEMA app TO regress_other;
SET ROLE regress_schema;
SET search_path = app;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
RESET ROLE;
CREATE VIEW pg_temp.tagged AS
	SELECT oid::regclass AS relation FROM pg_class WHERE relkind IN ('r', 'p') AND soft_delete_internal.tag_arguments(oid) IS NOT NULL;
SET ROLE regress_schema;

CREATE TABLE a (id integer PRIMARY KEY, code text UNIQUE);
CREATE TABLE b (id integer PRIMARY KEY, a_id integer REFERENCES a);
CREATE TABLE c (id integer PRIMARY KEY, b_id integer REFERENCES b ON DELETE CASCADE);
CREATE TABLE exempt (id integer);
SELECT soft_delete.untag_schema('app');
SELECT soft_delete.tag_schema('app', exempt => '{exempt}');
INSERT INTO a VALUES (1, 'x'), (2, 'y');
INSERT INTO b VALUES (1, 1), (2, 2);
INSERT INTO c VALUES (1, 1), (2, 2);
DELETE FROM b WHERE id = 1;
DELETE FROM a WHERE id = 1;

-- bad arguments
SELECT soft_delete.untag_schema(NULL);
SELECT soft_delete.untag_schema('app', tombstones => 'some');
SELECT soft_delete.untag_schema('nowhere');
SELECT soft_delete.untag_schema('pg_catalog');
RESET ROLE;
SET ROLE regress_other;
SELECT soft_delete.untag_schema('app');
\echo :LAST_ERROR_SQLSTATE

-- none, where there are deleted rows,
RESET ROLE;
SET ROLE regress_schema;
SELECT soft_delete.untag_schema('app');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT * FROM pg_temp.tagged ORDER BY relation::text;
SET ROLE regress_schema;
-- or a table of somebody else,
RESET ROLE;
SET ROLE regress_other;
CREATE TABLE of_other (id integer);
RESET ROLE;
SET ROLE regress_schema;
SELECT soft_delete.untag_schema('app', tombstones => 'keep');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP TABLE of_other;
SET ROLE regress_schema;
-- or one elsewhere that is connected with one
CREATE TABLE elsewhere.d (id integer PRIMARY KEY);
SELECT soft_delete.tag('elsewhere.d');
ALTER TABLE elsewhere.d ADD FOREIGN KEY (id) REFERENCES a ON DELETE CASCADE;
SELECT soft_delete.untag_schema('app', tombstones => 'keep');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT * FROM pg_temp.tagged ORDER BY relation::text;
SET ROLE regress_schema;
SELECT schema, exempt FROM soft_delete.tagged_schemas;
DROP TABLE elsewhere.d;

-- keep
BEGIN;
SELECT soft_delete.untag_schema('app', tombstones => 'keep');
SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), (SELECT count(*) FROM c);
ROLLBACK;

-- purge, whatever references what
SELECT soft_delete.untag_schema('app', tombstones => 'purge');
SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), (SELECT count(*) FROM c);
RESET ROLE;
SELECT * FROM pg_temp.tagged;
SET ROLE regress_schema;
SELECT * FROM soft_delete.tagged_schemas;
SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'v';
SELECT conname, contype FROM pg_constraint WHERE conrelid = 'a'::regclass AND contype IN ('u', 'c');
-- what comes is not tagged any more
CREATE TABLE d (id integer);
RESET ROLE;
SELECT * FROM pg_temp.tagged;
SET ROLE regress_schema;

-- what cannot be purged is named
SELECT soft_delete.tag_schema('app');
CREATE TABLE elsewhere.e (id integer);
INSERT INTO elsewhere.e VALUES (2);
DELETE FROM c;
DELETE FROM b;
DELETE FROM a;
RESET ROLE;
SET session_replication_role = replica;
ALTER TABLE elsewhere.e ADD FOREIGN KEY (id) REFERENCES app.a NOT VALID;
RESET session_replication_role;
SET ROLE regress_schema;
SELECT soft_delete.untag_schema('app', tombstones => 'purge');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM b_deleted;

RESET ROLE;
DISCARD TEMP;
SET client_min_messages = error;
DROP SCHEMA app, elsewhere CASCADE;
DROP ROLE regress_schema, regress_other;
