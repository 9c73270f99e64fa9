-- The views follow the name and the schema of their table, the tag the name of
-- the tombstone column.
CREATE ROLE regress_ddl_renames;
CREATE SCHEMA ddl_renames AUTHORIZATION regress_ddl_renames;
CREATE SCHEMA ddl_renamed AUTHORIZATION regress_ddl_renames;
SET search_path = ddl_renames, ddl_renamed;
SET ROLE regress_ddl_renames;
\set SHOW_CONTEXT never
RESET ROLE;
CREATE FUNCTION views_of(relation regclass) RETURNS TABLE (view name, schema regnamespace, comment text) LANGUAGE sql AS
$$ SELECT relname, relnamespace::regnamespace, obj_description(oid, 'pg_class')
   FROM pg_class WHERE oid IN (soft_delete_internal.active_view_of(relation), soft_delete_internal.bin_of(relation)) ORDER BY relname $$;
SET ROLE regress_ddl_renames;

CREATE TABLE posts (id integer PRIMARY KEY, title text);
SELECT soft_delete.tag('posts');
INSERT INTO posts VALUES (1, 'a'), (2, 'b');
DELETE FROM posts WHERE id = 1;
CREATE VIEW titles AS SELECT title FROM posts_active;
-- the server lets ALTER INDEX rename a table
ALTER INDEX posts RENAME TO texts;
RESET ROLE;
SELECT * FROM views_of('texts');
SET ROLE regress_ddl_renames;
ALTER TABLE texts RENAME TO articles;
RESET ROLE;
SELECT * FROM views_of('articles');
SET ROLE regress_ddl_renames;
SELECT id, title FROM articles_deleted;
SELECT * FROM titles;

ALTER TABLE articles SET SCHEMA ddl_renamed;
RESET ROLE;
SELECT * FROM views_of('articles');
SET ROLE regress_ddl_renames;

-- a name that is taken is not needed
CREATE TABLE taken_active (id integer);
CREATE TABLE ddl_renamed.taken_deleted (id integer);
ALTER TABLE articles RENAME TO taken;
RESET ROLE;
SELECT * FROM views_of('taken');
SET ROLE regress_ddl_renames;
ALTER TABLE taken SET SCHEMA ddl_renames;
RESET ROLE;
SELECT * FROM views_of('taken');
SET ROLE regress_ddl_renames;
DROP TABLE taken_active, ddl_renamed.taken_deleted;
ALTER VIEW articles_deleted RENAME TO taken_deleted;
ALTER VIEW ddl_renamed.taken_active SET SCHEMA ddl_renames;

-- views that were named or placed by hand stay
CREATE TABLE hand (id integer PRIMARY KEY);
SELECT soft_delete.tag('hand', views => 'ddl_renamed');
ALTER VIEW ddl_renamed.hand_active RENAME TO current_hands;
ALTER TABLE hand RENAME TO hands;
ALTER TABLE hands ADD COLUMN a integer;
RESET ROLE;
SELECT * FROM views_of('hands');
SET ROLE regress_ddl_renames;
SELECT * FROM ddl_renamed.current_hands;

-- long names are cut as tag() cuts them
CREATE TABLE short (id integer PRIMARY KEY);
SELECT soft_delete.tag('short');
ALTER TABLE short RENAME TO "a very long name, of which the views can have only as much as f";
RESET ROLE;
SELECT view FROM views_of('"a very long name, of which the views can have only as much as f"');
SET ROLE regress_ddl_renames;

-- the tombstone column: deleted rows stay deleted
ALTER TABLE taken RENAME COLUMN deleted_at TO "Gone at";
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('taken') = '{Gone at,bin:posts_deleted_at_idx}' AS follows;
SET ROLE regress_ddl_renames;
SELECT * FROM taken;
DELETE FROM taken RETURNING *;
SELECT id, title, "Gone at" IS NOT NULL AS gone FROM taken_deleted ORDER BY id;
RESET ROLE;
SELECT * FROM views_of('taken');
SET ROLE regress_ddl_renames;
UPDATE taken_deleted SET "Gone at" = NULL WHERE id = 2 RETURNING id;
SELECT id FROM taken_active;
BEGIN;
ALTER TABLE taken RENAME COLUMN "Gone at" TO x;
SELECT id FROM taken;
ROLLBACK;
SELECT id FROM taken;
ALTER TABLE taken RENAME COLUMN title TO "Gone";
ALTER TABLE taken RENAME COLUMN "Gone at" TO title;
SELECT * FROM taken;
SELECT id, "Gone", title IS NOT NULL AS gone FROM taken_deleted;
DROP VIEW titles;
SELECT soft_delete.untag('taken', tombstones => 'keep');
SELECT count(*) FROM taken;

-- of a partitioned and of an inherited table
CREATE TABLE part (id integer PRIMARY KEY, email text, UNIQUE (id, email)) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10);
CREATE TABLE base (id integer PRIMARY KEY);
CREATE TABLE child () INHERITS (base);
SELECT soft_delete.tag('part'), soft_delete.tag('base');
INSERT INTO part VALUES (1, 'a'), (2, 'b');
INSERT INTO child VALUES (1), (2);
DELETE FROM part WHERE id = 1;
DELETE FROM base WHERE id = 1;
ALTER TABLE part RENAME COLUMN deleted_at TO gone;
ALTER TABLE base RENAME COLUMN deleted_at TO gone;
SELECT id FROM part;
SELECT id FROM part_1;
SELECT id FROM base;
SELECT id FROM child;
SELECT id FROM part_deleted;
SELECT id FROM base_deleted;
-- a prepared plan meets the new name
PREPARE all_parts AS SELECT id FROM part;
EXECUTE all_parts;
ALTER TABLE part RENAME COLUMN gone TO left_at;
EXECUTE all_parts;

-- ALTER OWNER
RESET ROLE;
CREATE ROLE regress_ddl_renames_2;
GRANT CREATE, USAGE ON SCHEMA ddl_renames, ddl_renamed TO regress_ddl_renames_2;
GRANT regress_ddl_renames_2 TO regress_ddl_renames;
SET ROLE regress_ddl_renames;
ALTER TABLE part OWNER TO regress_ddl_renames_2;
SELECT relname, relowner::regrole FROM pg_class WHERE relname ~ '^part' AND relkind IN ('v', 'p') ORDER BY 1;
SET ROLE regress_ddl_renames_2;
SELECT id FROM part_deleted;
DELETE FROM part;
RESET ROLE;
-- a reference that ON DELETE SET NULL has cut is found by other names, too
SET ROLE regress_ddl_renames;
CREATE TABLE author (id integer PRIMARY KEY);
CREATE TABLE book (id integer PRIMARY KEY, author integer CONSTRAINT fk REFERENCES author ON DELETE SET NULL);
SELECT soft_delete.tag('book'), soft_delete.tag('author');
INSERT INTO author VALUES (1), (2);
INSERT INTO book VALUES (1, 1), (2, 2);
DELETE FROM author WHERE id = 1;
ALTER TABLE book RENAME CONSTRAINT fk TO fk2;
UPDATE author_deleted SET deleted_at = NULL;
SELECT * FROM book ORDER BY 1;
DELETE FROM author WHERE id = 2;
ALTER TABLE book RENAME COLUMN author TO by;
ALTER TABLE book RENAME id TO nr;
ALTER TABLE book RENAME TO books;
UPDATE author_deleted SET deleted_at = NULL;
SELECT * FROM books ORDER BY 1;
RESET ROLE;

-- neither role need be a member of the other
CREATE ROLE regress_ddl_renames_3;
GRANT ALL ON SCHEMA ddl_renames TO regress_ddl_renames_3;
CREATE TABLE given (id integer PRIMARY KEY);
ALTER TABLE given OWNER TO regress_ddl_renames_2;
SELECT soft_delete.tag('given');
INSERT INTO given VALUES (1);
DELETE FROM given;
ALTER TABLE given OWNER TO regress_ddl_renames_3;
SELECT relname, relowner::regrole FROM pg_class WHERE relname ~ '^given' AND relkind IN ('v', 'r') ORDER BY 1;
SELECT soft_delete_internal.bin_of('given');
DROP TABLE given;
DROP OWNED BY regress_ddl_renames_3;
DROP ROLE regress_ddl_renames_3;
REASSIGN OWNED BY regress_ddl_renames TO regress_ddl_renames_2;
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace IN ('ddl_renames'::regnamespace, 'ddl_renamed'::regnamespace);

SET client_min_messages = warning;
DROP SCHEMA ddl_renames, ddl_renamed CASCADE;
DROP OWNED BY regress_ddl_renames, regress_ddl_renames_2;
DROP ROLE regress_ddl_renames, regress_ddl_renames_2;
