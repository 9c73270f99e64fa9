-- tag_schema() tags the tables of a schema, in any order, and remembers that
CREATE ROLE regress_schema;
CREATE SCHEMA app AUTHORIZATION regress_schema;
CREATE SCHEMA app_views AUTHORIZATION regress_schema;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_schema', current_database()) \gexec
SET ROLE regress_schema;
SET search_path = app;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
RESET ROLE;
CREATE VIEW pg_temp.tables AS
	SELECT relname, (soft_delete_internal.tag_arguments(oid))[1] AS tombstone_column FROM pg_class
	WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'f') AND relname NOT LIKE '%\_tombstones';
SET ROLE regress_schema;

-- connected by cascades, in an order in which none of them could be tagged alone
CREATE TABLE votes (id integer PRIMARY KEY, post_id integer);
CREATE TABLE users (id integer PRIMARY KEY, email text UNIQUE);
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE);
ALTER TABLE votes ADD FOREIGN KEY (post_id) REFERENCES posts ON DELETE CASCADE;
CREATE TABLE nodes (id integer PRIMARY KEY, up integer REFERENCES nodes ON DELETE CASCADE);
CREATE TABLE parts (id integer PRIMARY KEY, node_id integer REFERENCES nodes ON DELETE CASCADE) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parent (id integer);
CREATE TABLE child () INHERITS (parent);
CREATE UNLOGGED TABLE "Quoted ""name""" (id integer);
CREATE TABLE adopted (id integer, deleted_at timestamp);
CREATE TABLE migrations (version integer);
CREATE VIEW some_view AS SELECT 1;
SELECT soft_delete.tag('adopted');

SELECT soft_delete.tag_schema('app', exempt => '{migrations,later}');
RESET ROLE;
SELECT * FROM pg_temp.tables ORDER BY 1;
SET ROLE regress_schema;
SELECT * FROM soft_delete.tagged_schemas;
INSERT INTO users VALUES (1, 'a');
INSERT INTO posts VALUES (1, 1);
INSERT INTO votes VALUES (1, 1);
DELETE FROM users;
SELECT (SELECT count(*) FROM users_deleted), (SELECT count(*) FROM posts_deleted), (SELECT count(*) FROM votes_deleted);

-- twice changes nothing; what is not said stays as it was
SELECT soft_delete.tag_schema('app');
SELECT * FROM soft_delete.tagged_schemas;
CREATE TABLE later (id integer);
CREATE TABLE sooner (id integer);
RESET ROLE;
SELECT * FROM pg_temp.tables WHERE relname IN ('later', 'sooner') ORDER BY 1;
SET ROLE regress_schema;

-- exemptions are lifted and added; what is tagged stays so until it is untagged
SELECT soft_delete.tag_schema('app', exempt => '{later,sooner}');
RESET ROLE;
SELECT * FROM pg_temp.tables WHERE relname IN ('migrations', 'later', 'sooner') ORDER BY 1;
SET ROLE regress_schema;
SELECT soft_delete.untag('sooner');
SELECT soft_delete.tag('later');
SELECT exempt FROM soft_delete.tagged_schemas;
SELECT soft_delete.tag_schema('app');
RESET ROLE;
SELECT * FROM pg_temp.tables WHERE relname IN ('later', 'sooner') ORDER BY 1;
SET ROLE regress_schema;
SELECT soft_delete.untag('users', tombstones => 'purge', cascade => true);
SELECT exempt FROM soft_delete.tagged_schemas;
SELECT soft_delete.tag_schema('app', exempt => '{}');
RESET ROLE;
SELECT relname FROM pg_temp.tables WHERE tombstone_column IS NULL;
SET ROLE regress_schema;

-- an exempt table may be dropped, made again and renamed
SELECT soft_delete.untag('sooner');
DROP TABLE sooner;
CREATE TABLE sooner (id integer);
ALTER TABLE sooner RENAME TO "So oner";
SELECT exempt FROM soft_delete.tagged_schemas;
RESET ROLE;
SELECT * FROM pg_temp.tables WHERE relname = 'So oner';
SET ROLE regress_schema;

-- another column, other indexes, other views
SELECT soft_delete.tag_schema('app', deleted_at => 'removed', indexes => 'unique', views => 'app_views');
CREATE TABLE different (id integer PRIMARY KEY, a text UNIQUE, b text);
CREATE TABLE different_too (id integer PRIMARY KEY, a text, EXCLUDE (a WITH =));
RESET ROLE;
SELECT relname, tombstone_column, soft_delete_internal.bin_of(relname::regclass) FROM pg_temp.tables WHERE relname ~ 'different' OR relname = 'users' ORDER BY 1;
SET ROLE regress_schema;

-- it follows its name, and that of the schema of its views
ALTER SCHEMA app RENAME TO "App 2";
ALTER SCHEMA app_views RENAME TO views_2;
SELECT * FROM soft_delete.tagged_schemas;
CREATE TABLE "App 2".renamed (id integer);
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('"App 2".renamed');
SET ROLE regress_schema;

-- others do not see to it
RESET ROLE;
CREATE ROLE regress_stranger;
GRANT USAGE, CREATE ON SCHEMA "App 2" TO regress_stranger;
SET ROLE regress_stranger;
SELECT schema FROM soft_delete.tagged_schemas;
UPDATE soft_delete_internal.tagged_schemas SET exempt = '{users}';
DELETE FROM soft_delete_internal.tagged_schemas;
INSERT INTO soft_delete_internal.tagged_schemas VALUES ('public', '{}', 'deleted_at', 'all');
CREATE TABLE "App 2".of_stranger (id integer);
SELECT soft_delete.untag('"App 2".of_stranger');
SELECT exempt FROM soft_delete.tagged_schemas;
RESET ROLE;

-- a reference that a restore gives back is not warned of, whichever table is tagged first; one that it does not give back is
CREATE SCHEMA schema_links;
CREATE TABLE schema_links.p (id integer PRIMARY KEY);
CREATE TABLE schema_links.ab (id integer PRIMARY KEY, p integer REFERENCES schema_links.p ON DELETE SET NULL);
SELECT soft_delete.tag_schema('schema_links');
SELECT soft_delete.untag_schema('schema_links');
CREATE TABLE schema_links.bare (p integer REFERENCES schema_links.p ON DELETE SET NULL);
SELECT soft_delete.tag_schema('schema_links', exempt => '{bare}');
CREATE TABLE schema_links.later (id integer PRIMARY KEY, p integer REFERENCES schema_links.p ON DELETE SET NULL);
DROP SCHEMA schema_links CASCADE;

-- it goes with the schema
DROP SCHEMA "App 2", views_2 CASCADE;
SELECT * FROM soft_delete.tagged_schemas;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_schema', current_database()) \gexec
DISCARD TEMP;
DROP ROLE regress_schema, regress_stranger;
