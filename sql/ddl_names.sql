-- what tag() has made gives way to a relation of the application that has its name
\set SHOW_CONTEXT never
CREATE ROLE regress_names;
CREATE ROLE regress_names_other;
CREATE SCHEMA names AUTHORIZATION regress_names;
GRANT ALL ON SCHEMA names TO regress_names_other;
SET ROLE regress_names;
SET search_path = names;
CREATE TABLE place (id integer PRIMARY KEY, name text UNIQUE);
CREATE TABLE aside (id integer PRIMARY KEY, name text UNIQUE);
SELECT soft_delete.tag('place'), soft_delete.tag('aside', storage => 'aside');
INSERT INTO place VALUES (1, 'a'), (2, 'b');
INSERT INTO aside VALUES (1, 'a'), (2, 'b');
DELETE FROM place WHERE id = 1;
DELETE FROM aside WHERE id = 1;

-- not where it is another role's
SET ROLE regress_names_other;
CREATE TABLE place_deleted (id integer);
SET ROLE regress_names;

CREATE TABLE place_deleted (id integer PRIMARY KEY, name text);
CREATE TABLE IF NOT EXISTS aside_deleted (id integer PRIMARY KEY);
CREATE TABLE IF NOT EXISTS aside_deleted (id integer PRIMARY KEY);
CREATE VIEW place_active AS SELECT 1 AS one;
CREATE OR REPLACE VIEW place_active AS SELECT 2 AS one;
CREATE TABLE aside_tombstones AS SELECT 3 AS three;
CREATE TEMPORARY TABLE place_tombstones (id integer);
CREATE TABLE place_deleted_1 (id integer);
SELECT relation, bin, active_view, companion FROM soft_delete.tables ORDER BY relation::text;
INSERT INTO place_deleted VALUES (7, 'mine');
DELETE FROM place_deleted;
SELECT count(*) FROM place_deleted;

-- the bins go on
SELECT id, name FROM place_deleted_1_1;
UPDATE place_deleted_1_1 SET deleted_at = NULL;
UPDATE aside_deleted_1 SET deleted_at = NULL;
SELECT * FROM place ORDER BY id;
SELECT * FROM aside ORDER BY id;
DELETE FROM place WHERE id = 2;
SELECT soft_delete.undo(max(deleted_at)) FROM place_deleted_1_1;
SELECT problem FROM soft_delete.check();
ALTER TABLE place ADD more text;
ALTER TABLE aside ADD more text;
ALTER TABLE place RENAME TO renamed;
SELECT relation, bin, active_view, companion FROM soft_delete.tables ORDER BY relation::text;
SELECT soft_delete.untag('renamed'), soft_delete.untag('aside');
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'names'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname;
DROP TABLE place_tombstones;
RESET ROLE;
DROP SCHEMA names CASCADE;
DROP ROLE regress_names, regress_names_other;
