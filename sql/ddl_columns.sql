-- The views follow the columns of their table in the same command, and keep
-- what users have given them and made upon them.
CREATE ROLE regress_ddl_columns;
CREATE ROLE regress_ddl_columns_reader;
CREATE SCHEMA ddl_columns AUTHORIZATION regress_ddl_columns;
GRANT USAGE ON SCHEMA ddl_columns TO regress_ddl_columns_reader;
SET search_path = ddl_columns;
SET ROLE regress_ddl_columns;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE FUNCTION columns(view regclass) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(format('%s %s', attname, atttypid::regtype), ', ' ORDER BY attnum) FROM pg_attribute
   WHERE attrelid = view AND attnum > 0 AND NOT attisdropped $$;
CREATE FUNCTION described(view regclass) RETURNS TABLE (what text, value text) LANGUAGE sql AS
$$ SELECT 'options', reloptions::text FROM pg_class WHERE oid = view
   UNION ALL SELECT 'comment', obj_description(view, 'pg_class')
   UNION ALL SELECT 'comment on ' || attname, col_description(view, attnum) FROM pg_attribute
	WHERE attrelid = view AND col_description(view, attnum) IS NOT NULL
   UNION ALL SELECT 'grant of ' || privilege_type, concat(grantee::regrole, CASE WHEN is_grantable THEN ' and on' END)
	FROM pg_class, aclexplode(relacl) WHERE oid = view AND grantee <> relowner
   UNION ALL SELECT 'grants on ' || attname, attacl::text FROM pg_attribute WHERE attrelid = view AND attacl IS NOT NULL
   UNION ALL SELECT 'default of ' || attname, pg_get_expr(adbin, adrelid) FROM pg_attrdef
	JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum WHERE adrelid = view
   UNION ALL SELECT 'trigger', tgname FROM pg_trigger WHERE tgrelid = view
   UNION ALL SELECT 'rule', rulename FROM pg_rewrite WHERE ev_class = view AND rulename <> '_RETURN'
   ORDER BY 1, 2 $$;

CREATE TABLE posts (id integer PRIMARY KEY, slug text UNIQUE, title text, draft text, n integer);
GRANT SELECT ON posts TO regress_ddl_columns_reader;
SELECT soft_delete.tag('posts');
INSERT INTO posts VALUES (1, 'a', 'A', 'x', 1), (2, 'b', 'B', 'y', 2);
DELETE FROM posts WHERE id = 1;

-- what users make of the views, and upon them
GRANT SELECT, UPDATE (deleted_at) ON posts_deleted TO regress_ddl_columns_reader;
COMMENT ON VIEW posts_deleted IS 'the trash';
COMMENT ON COLUMN posts_active.title IS 'a headline';
ALTER VIEW posts_active ALTER COLUMN title SET DEFAULT 'untitled';
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE NOTICE '% %', TG_NAME, TG_OP; RETURN NULL; END $$;
CREATE TRIGGER watch AFTER INSERT ON posts_active FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE VIEW titles WITH (security_barrier) AS SELECT id, title FROM posts_active WHERE id > 0;
COMMENT ON VIEW titles IS 'all titles';
GRANT SELECT ON titles TO regress_ddl_columns_reader WITH GRANT OPTION;
CREATE RULE nothing AS ON DELETE TO titles DO INSTEAD NOTHING;
CREATE VIEW long_titles AS SELECT t.* FROM titles t JOIN posts_active USING (id) WHERE length(t.title) > 10;
CREATE VIEW trash AS SELECT id, slug, deleted_at FROM posts_deleted;

-- ADD: at the end
ALTER TABLE posts ADD COLUMN body text DEFAULT 'none', ADD COLUMN views integer NOT NULL DEFAULT 0;
SELECT columns('posts_active');
SELECT columns('posts_deleted') ~ '^id integer, slug text, title text, draft text, n integer, deleted_at .*, body text, views integer$' AS appended;
SELECT id, body, views FROM posts_deleted;
INSERT INTO posts_active (id, slug, body) VALUES (3, 'c', 'C') RETURNING title, body, views;

-- RENAME: in the views too; views upon them go on as they would upon the table
ALTER TABLE posts RENAME COLUMN title TO headline;
SELECT columns('posts_active'), columns('titles');
SELECT id, headline FROM posts_deleted;
SELECT * FROM titles ORDER BY id;

-- DROP of a column that nobody uses: all that is upon the views stays
ALTER TABLE posts DROP COLUMN draft;
ALTER TABLE posts DROP COLUMN IF EXISTS n, ADD COLUMN m integer;
SELECT columns('posts_active'), columns('posts_deleted') LIKE '%m integer%' AS in_bin;
SELECT * FROM described('posts_active');
SELECT * FROM described('posts_deleted') WHERE what NOT LIKE 'trigger%';
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'posts_deleted'::regclass AND tgenabled = 'O';
SELECT * FROM described('titles');
SELECT * FROM titles ORDER BY id;
SELECT count(*) FROM long_titles;
SELECT id, slug FROM trash;

-- DROP of one that a user's view shows: as with a view upon the table
ALTER TABLE posts DROP COLUMN headline;
SELECT columns('posts_active');
ALTER TABLE posts DROP COLUMN headline CASCADE;
SELECT columns('posts_active'), to_regclass('titles') AS titles, to_regclass('trash') AS trash;

-- ALTER TYPE
CREATE VIEW slugs AS SELECT slug FROM posts_active;
CREATE VIEW ids AS SELECT id FROM posts_active;
ALTER TABLE posts ALTER COLUMN slug TYPE varchar(10);
ALTER TABLE posts ALTER COLUMN body TYPE varchar(10), ALTER COLUMN views TYPE bigint, DROP COLUMN m;
SELECT columns('posts_active'), columns('posts_deleted') LIKE '%views bigint%' AS in_bin;
SELECT * FROM slugs ORDER BY slug;
SELECT id, slug, body, views FROM posts_deleted;
DROP VIEW slugs;
DROP VIEW trash;
ALTER TABLE posts ALTER COLUMN slug TYPE text COLLATE "C";
SELECT attcollation::regcollation FROM pg_attribute WHERE attrelid = 'posts_active'::regclass AND attname = 'slug';
SELECT pg_get_indexdef('posts_slug_key'::regclass);

-- what is no view is in the way of a change that needs the views made anew
CREATE MATERIALIZED VIEW copied AS SELECT id FROM posts_active;
ALTER TABLE posts DROP COLUMN views;
ALTER TABLE posts ADD COLUMN extra integer;
DROP MATERIALIZED VIEW copied;
SET ROLE regress_ddl_columns_reader;
CREATE TEMP VIEW temporary AS SELECT id FROM ddl_columns.posts_active;
SET ROLE regress_ddl_columns;
ALTER TABLE posts DROP COLUMN views;
SET ROLE regress_ddl_columns_reader;
DROP VIEW temporary;
SET ROLE regress_ddl_columns;

-- columns that go with something else, on whose behalf ever
CREATE TYPE mood AS ENUM ('good');
CREATE FUNCTION twice(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $1';
ALTER TABLE posts ADD COLUMN mood mood, ADD COLUMN doubled text GENERATED ALWAYS AS (twice(slug)) STORED;
ALTER TYPE mood OWNER TO CURRENT_USER;
DROP TYPE mood;
DROP TYPE mood CASCADE;
SELECT columns('posts_active');
DROP FUNCTION twice CASCADE;
SELECT columns('posts_active'), columns('posts_deleted') ~ 'doubled|mood' AS in_bin;

-- an error in the command leaves all as it was
ALTER TABLE posts DROP COLUMN extra, ALTER COLUMN slug TYPE integer USING slug::integer;
BEGIN;
ALTER TABLE posts DROP COLUMN extra;
SAVEPOINT s;
ALTER TABLE posts ADD COLUMN again integer;
ROLLBACK TO s;
SELECT columns('posts_active');
ROLLBACK;
SELECT columns('posts_active');
UPDATE posts_deleted SET deleted_at = NULL;
SELECT count(*) FROM posts_active;

-- partitions and inheritance children follow their root, of which alone there are views
CREATE TABLE log (id integer PRIMARY KEY, a integer, b text) PARTITION BY RANGE (id);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (1) TO (10);
SELECT soft_delete.tag('log');
INSERT INTO log VALUES (1, 1, 'b');
DELETE FROM log;
ALTER TABLE log DROP COLUMN a, ADD COLUMN c integer;
ALTER TABLE log RENAME COLUMN b TO bb;
SELECT columns('log_active');
SELECT id, bb, c FROM log_deleted;
CREATE TABLE base (id integer PRIMARY KEY, a integer);
CREATE TABLE child (x integer) INHERITS (base);
SELECT soft_delete.tag('base');
INSERT INTO child VALUES (1, 2, 3);
DELETE FROM base;
ALTER TABLE base ALTER COLUMN a TYPE text;
ALTER TABLE child DROP COLUMN x;
SELECT columns('base_active');
SELECT id, a FROM base_deleted;

-- tables of a type, temporary tables, names that need quotes
CREATE TYPE kind AS (id integer, a integer, deleted_at timestamptz);
CREATE TABLE typed OF kind;
SELECT soft_delete.tag('typed');
ALTER TYPE kind ALTER ATTRIBUTE a TYPE text CASCADE;
ALTER TYPE kind ADD ATTRIBUTE b integer CASCADE, DROP ATTRIBUTE id CASCADE;
SELECT columns('typed_active');
CREATE TEMP TABLE passing (id integer PRIMARY KEY, a integer);
SELECT soft_delete.tag('passing');
CREATE TEMP VIEW upon_passing AS SELECT id FROM passing_active;
ALTER TABLE passing DROP COLUMN a, ADD COLUMN b integer;
SELECT columns('passing_active'), columns('upon_passing');
CREATE TABLE "My ""table" (id integer PRIMARY KEY, "a ""b" text);
SELECT soft_delete.tag('"My ""table"', deleted_at => 'D "x');
ALTER TABLE "My ""table" DROP COLUMN "a ""b", ADD COLUMN "c ""d" text;
ALTER TABLE "My ""table" RENAME COLUMN "c ""d" TO "e ""f";
SELECT columns('"My ""table_active"');

-- whatever the plan of the query that finds the commands
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TABLE planned (id integer PRIMARY KEY, a integer);
SELECT soft_delete.tag('planned');
ALTER TABLE planned DROP COLUMN a, ADD COLUMN b integer;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SELECT columns('planned_active');

RESET ROLE;
-- a superuser's command makes views anew as their owner
ALTER TABLE ddl_columns.posts DROP COLUMN extra;
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'ddl_columns'::regnamespace AND relkind = 'v';
SET client_min_messages = warning;
DROP SCHEMA ddl_columns CASCADE;
DROP OWNED BY regress_ddl_columns, regress_ddl_columns_reader;
DROP ROLE regress_ddl_columns, regress_ddl_columns_reader;
