-- purging a row purges the tombstones below it by CASCADE, whenever they were
-- deleted
--
-- What keeps a row from being purged is in purge_refuses.
CREATE ROLE regress_purge;
CREATE SCHEMA purge AUTHORIZATION regress_purge;
SET ROLE regress_purge;
SET search_path = purge;

CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE grandchild (id integer PRIMARY KEY, child_id integer REFERENCES child ON DELETE CASCADE);
CREATE TABLE keeper (id integer PRIMARY KEY, parent_id integer CONSTRAINT keeps REFERENCES parent, child_id integer REFERENCES child ON DELETE CASCADE);
CREATE TABLE part (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE) PARTITION BY HASH (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_2 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT soft_delete.tag('parent', cascade => true);
INSERT INTO parent SELECT generate_series(1, 5);
INSERT INTO child SELECT g, g FROM generate_series(1, 5) g;
INSERT INTO grandchild SELECT g, g FROM generate_series(1, 5) g;
INSERT INTO part SELECT g, g FROM generate_series(1, 5) g;
CREATE VIEW bins AS
	SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM parent_deleted) AS parents, (SELECT string_agg(id::text, ',' ORDER BY id) FROM child_deleted) AS children,
		(SELECT string_agg(id::text, ',' ORDER BY id) FROM grandchild_deleted) AS grandchildren, (SELECT string_agg(id::text, ',' ORDER BY id) FROM part_deleted) AS parts,
		(SELECT string_agg(id::text, ',' ORDER BY id) FROM keeper_deleted) AS keepers;

DELETE FROM grandchild WHERE id = 1;
DELETE FROM parent WHERE id IN (1, 2);
SELECT * FROM bins;
DELETE FROM parent_deleted WHERE id = 1;
SELECT * FROM bins;
-- a child alone: what is above it stays
DELETE FROM child_deleted WHERE id = 2;
SELECT * FROM bins;
DELETE FROM parent_deleted;
SELECT * FROM bins;

-- a child comes along by CASCADE, whatever other reference it has
INSERT INTO parent VALUES (6);
INSERT INTO child VALUES (6, 6);
INSERT INTO keeper VALUES (6, 6, 6);
DELETE FROM keeper;
DELETE FROM parent;
DELETE FROM parent_deleted;
SELECT * FROM bins;

-- the rest of a statement that restores and purges
INSERT INTO parent VALUES (8), (9);
INSERT INTO child VALUES (8, 8), (9, 9);
DELETE FROM parent;
WITH r AS (UPDATE child_deleted SET deleted_at = NULL WHERE id = 8) DELETE FROM parent_deleted WHERE id = 8;
WITH r AS (UPDATE parent_deleted SET deleted_at = NULL WHERE id = 8) DELETE FROM parent_deleted WHERE id = 9;
SELECT (SELECT string_agg(id::text, ',') FROM parent) AS parents, (SELECT string_agg(id::text, ',') FROM child) AS children;
SELECT * FROM bins;

RESET ROLE;
DROP SCHEMA purge CASCADE;
DROP ROLE regress_purge;
