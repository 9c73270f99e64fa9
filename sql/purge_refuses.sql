-- a tombstone that another row references, not by CASCADE, is not purged: the error
-- is that of a hard delete of a row with such children, and nothing is lost
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins

CALL make($$
	CREATE TABLE parent (id integer PRIMARY KEY);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
	CREATE TABLE keeper (id integer PRIMARY KEY, parent_id integer CONSTRAINT keeps REFERENCES parent);
	CREATE TABLE late (id integer PRIMARY KEY, child_id integer CONSTRAINT lates REFERENCES child DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE nulled (id integer PRIMARY KEY, parent_id integer CONSTRAINT nulls REFERENCES parent ON DELETE SET NULL);
	CREATE TABLE tree (id integer PRIMARY KEY, up integer CONSTRAINT ups REFERENCES tree);
	CREATE TABLE pieces (id integer PRIMARY KEY, parent_id integer CONSTRAINT pieces_fk REFERENCES parent) PARTITION BY HASH (id);
	CREATE TABLE pieces_1 PARTITION OF pieces FOR VALUES WITH (MODULUS 1, REMAINDER 0);
	INSERT INTO parent SELECT generate_series(1, 7);
	INSERT INTO child SELECT g, g FROM generate_series(1, 3) g;
	INSERT INTO keeper VALUES (1, 1);
	INSERT INTO late VALUES (1, 2);
	INSERT INTO nulled VALUES (1, 3);
	INSERT INTO tree VALUES (1, 1), (2, 1), (3, 2);
	INSERT INTO pieces VALUES (1, 4);
$$);
-- the words, of both twins, as long as the children live
SELECT ask('DELETE FROM parent WHERE id = 1');
SELECT ask('DELETE FROM parent WHERE id = 2');
SELECT ask('DELETE FROM tree WHERE id = 2');
SELECT ask('DELETE FROM parent WHERE id = 4');
SELECT ask('DELETE FROM ' || t) FROM unnest('{keeper,late,nulled,pieces}'::text[]) t;
SELECT ask('DELETE FROM tree WHERE id = 3');
SELECT ask('DELETE FROM tree');
SELECT ask('DELETE FROM parent WHERE id < 7');
SELECT * FROM deletions();

-- deleted children keep their parent from being purged, however they reference it
SET search_path = soft;
DELETE FROM parent_deleted WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
DELETE FROM parent_deleted WHERE id = 2;
DELETE FROM child_deleted WHERE id = 2;
DELETE FROM parent_deleted WHERE id = 3;
DELETE FROM parent_deleted WHERE id = 4;
DELETE FROM tree_deleted WHERE id = 2;
DELETE FROM tree_deleted WHERE id < 3;
DELETE FROM parent_deleted;
SELECT * FROM twins.deletions();
-- unless they go in the same statement, in whatever order, or before
WITH k AS (DELETE FROM keeper_deleted) DELETE FROM parent_deleted WHERE id = 1;
DELETE FROM tree_deleted;
DELETE FROM late_deleted;
DELETE FROM nulled_deleted;
DELETE FROM pieces_deleted;
DELETE FROM parent_deleted WHERE id < 5;
SELECT * FROM twins.deletions();

-- neither may a live row be left without its parent, whoever let it come to that
CREATE TABLE stray (id integer PRIMARY KEY, parent_id integer CONSTRAINT strays REFERENCES parent);
RESET ROLE;
SET session_replication_role = replica;
INSERT INTO stray VALUES (1, 5);
INSERT INTO child VALUES (6, 6);
RESET session_replication_role;
SET ROLE regress_twins;
DELETE FROM parent_deleted WHERE id = 5;
DELETE FROM stray;
DELETE FROM parent_deleted WHERE id = 5;
DELETE FROM parent_deleted;
DELETE FROM child;
DELETE FROM parent_deleted;
SELECT * FROM twins.deletions();

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
