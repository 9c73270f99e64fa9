-- rows that reference one another: none is left behind to reference what is gone
CREATE ROLE regress_purge_circles;
CREATE SCHEMA purge_circles AUTHORIZATION regress_purge_circles;
SET ROLE regress_purge_circles;
SET search_path = purge_circles;

CREATE TABLE tree (id integer PRIMARY KEY, up integer CONSTRAINT ups REFERENCES tree DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE a (id integer PRIMARY KEY, b_id integer);
CREATE TABLE b (id integer PRIMARY KEY, a_id integer REFERENCES a DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE c (id integer PRIMARY KEY, b_id integer REFERENCES b);
SELECT soft_delete.tag('tree'), soft_delete.tag('a'), soft_delete.tag('b'), soft_delete.tag('c');
SELECT soft_delete.retain_schema('purge_circles', '0');
RESET ROLE;
SELECT * FROM soft_delete_internal.purge_groups();
SET ROLE regress_purge_circles;
CREATE VIEW left_over AS SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM tree_deleted) AS tree, (SELECT string_agg(id::text, ',' ORDER BY id) FROM a_deleted) AS a,
	(SELECT string_agg(id::text, ',' ORDER BY id) FROM b_deleted) AS b, (SELECT string_agg(id::text, ',' ORDER BY id) FROM c_deleted) AS c;

-- a chain, parents first in the index: each batch leaves no orphan
INSERT INTO tree SELECT g, nullif(g - 1, 0) FROM generate_series(1, 9) g;
DELETE FROM tree;
RESET ROLE;
SELECT rows, done FROM soft_delete_internal.purge_batch('{tree}', clock_timestamp(), NULL, 2, true, false);
SET ROLE regress_purge_circles;
SELECT * FROM left_over;
SELECT * FROM soft_delete.check();
RESET ROLE;
SELECT rows, done FROM soft_delete_internal.purge_batch('{tree}', clock_timestamp(), NULL, 2, false, false);
SET ROLE regress_purge_circles;
SELECT * FROM left_over;
-- goes on where it was broken off
CALL soft_delete.purge(batch_size => 3);
SELECT * FROM left_over;

-- one that is not due keeps those above it
INSERT INTO tree SELECT g, nullif(g - 1, 0) FROM generate_series(1, 9) g;
DELETE FROM tree;
SET row_security = off;
UPDATE tree SET deleted_at = deleted_at + interval '1 day' WHERE id = 5;
RESET row_security;
SELECT member, rows, held, referenced FROM soft_delete.preview_purge();
CALL soft_delete.purge(batch_size => 3);
SELECT * FROM left_over;
SET row_security = off;
UPDATE tree SET deleted_at = deleted_at - interval '1 day' WHERE id = 5;
RESET row_security;
CALL soft_delete.purge();

-- a circle goes at once, whatever the batch size; by itself, or as two, or with one above it
INSERT INTO tree VALUES (1, 1), (2, 3), (3, 2), (4, 5), (5, 6), (6, 4), (7, NULL);
UPDATE tree SET up = 7 WHERE id = 4;
INSERT INTO tree VALUES (8, 4);
UPDATE tree SET up = 8 WHERE id = 6;
DELETE FROM tree;
CALL soft_delete.purge(batch_size => 1);
SELECT * FROM left_over;

-- of two tables
BEGIN;
INSERT INTO a SELECT g, g FROM generate_series(1, 4) g;
INSERT INTO b SELECT g, g FROM generate_series(1, 4) g;
INSERT INTO c VALUES (1, 1), (2, 2);
COMMIT;
BEGIN;
DELETE FROM c;
DELETE FROM a;
DELETE FROM b;
COMMIT;
SELECT soft_delete.retain('c', '1 day');
SELECT member, rows, held, referenced FROM soft_delete.preview_purge();
CALL soft_delete.purge(batch_size => 1);
SELECT * FROM left_over;
SELECT soft_delete.retain('c', '0');
CALL soft_delete.purge();
SELECT * FROM left_over;
SELECT * FROM soft_delete.check();

RESET ROLE;
DROP SCHEMA purge_circles CASCADE;
DROP ROLE regress_purge_circles;
