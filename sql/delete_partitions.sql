-- partitioned and inherited tables
--
-- A row that changes partition leaves no tombstone.
CREATE ROLE regress_delete_partitions;
CREATE SCHEMA delete_partitions AUTHORIZATION regress_delete_partitions;
SET ROLE regress_delete_partitions;
SET search_path = delete_partitions;
\set QUIET off
\set SHOW_CONTEXT never

CREATE TABLE p (id integer, k integer, v text, UNIQUE (k, id)) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 (v text, gone integer, k integer, id integer);
ALTER TABLE p2 DROP COLUMN gone;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3) PARTITION BY RANGE (id);
CREATE TABLE p3a PARTITION OF p3 FOR VALUES FROM (0) TO (100);
INSERT INTO p SELECT g, g % 3 + 1, 'v' || g FROM generate_series(1, 30) g;
SELECT soft_delete.tag('p');
CREATE TABLE p4 PARTITION OF p FOR VALUES IN (4);
INSERT INTO p VALUES (40, 4, 'v40'), (41, 4, 'v41');

DELETE FROM p WHERE id IN (1, 2, 3, 40) RETURNING tableoid::regclass, id, v, deleted_at IS NULL AS live;
SELECT stored_in::regclass, id, v FROM p_deleted ORDER BY id;
SELECT count(*) FROM p;
DELETE FROM p2 WHERE id = 4 RETURNING id;
DELETE FROM p3 WHERE id = 5 RETURNING id;
SELECT count(*) FROM p2;
SELECT count(*) FROM p3a;
SELECT count(*) FROM p WHERE id = 4;
SELECT count(*) FROM p_active;

-- a row that moves to another partition leaves no tombstone behind
UPDATE p SET k = 2 WHERE id = 6 RETURNING tableoid::regclass, id, k;
SELECT count(*) FROM p_deleted WHERE id = 6;
SELECT count(*) FROM p TABLESAMPLE soft_delete.rows('all') WHERE id = 6;

-- keys are free again, upserts meet live rows only
INSERT INTO p VALUES (1, 2, 'again');
INSERT INTO p VALUES (1, 2, 'twice') ON CONFLICT (k, id) DO UPDATE SET v = excluded.v RETURNING id, k, v;
UPDATE p_deleted SET deleted_at = NULL WHERE id = 2 RETURNING id, v;
UPDATE p_deleted SET deleted_at = NULL WHERE id = 1;
DELETE FROM p_deleted WHERE id IN (1, 3) RETURNING id;
SELECT stored_in::regclass, id FROM p_deleted ORDER BY id;

-- the guard holds in every partition
INSERT INTO p VALUES (50, 2, 'x', now());
UPDATE p SET deleted_at = now() WHERE id = 7;
UPDATE p2 SET deleted_at = now();

-- EXPLAIN shows the filter once, and pruning
EXPLAIN (COSTS OFF) SELECT v FROM p WHERE k = 2;
EXPLAIN (COSTS OFF) SELECT v FROM p TABLESAMPLE soft_delete.rows('all') WHERE k = 2;

-- inheritance
CREATE TABLE parent (id integer, v text);
CREATE TABLE child (extra integer) INHERITS (parent);
CREATE TABLE grandchild () INHERITS (child);
INSERT INTO parent VALUES (1, 'p'), (2, 'p');
INSERT INTO child VALUES (3, 'c', 1), (4, 'c', 2);
INSERT INTO grandchild VALUES (5, 'g', 1), (6, 'g', 2);
SELECT soft_delete.tag('parent');
DELETE FROM parent WHERE id IN (1, 3, 5) RETURNING tableoid::regclass, id;
DELETE FROM child WHERE id = 6;
SELECT tableoid::regclass, id FROM parent ORDER BY id;
SELECT id FROM ONLY parent;
SELECT id FROM child;
SELECT stored_in::regclass, id FROM parent_deleted ORDER BY id;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 5;
SELECT id, extra FROM child ORDER BY id;
SELECT soft_delete.untag('parent', tombstones => 'purge');
DELETE FROM parent;
SELECT count(*) FROM parent;

RESET ROLE;
DROP SCHEMA delete_partitions CASCADE;
DROP ROLE regress_delete_partitions;
