-- a whole deletion can be held, and a whole table
CREATE ROLE regress_wide;
CREATE SCHEMA wide AUTHORIZATION regress_wide;
SET ROLE regress_wide;
SET search_path = wide;
\set QUIET off
\set VERBOSITY terse

CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE other (id integer PRIMARY KEY);
SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('other');
INSERT INTO parent SELECT generate_series(1, 4);
INSERT INTO child SELECT generate_series(1, 4);
INSERT INTO other SELECT generate_series(1, 4);
DELETE FROM parent WHERE id = 1;
DELETE FROM parent WHERE id = 2;
DELETE FROM other;

-- a deletion, in the tables that it reached
SELECT soft_delete.hold_deletion((SELECT deleted_at FROM parent_deleted WHERE id = 1), 'case 1');
SELECT relation, key, hold FROM soft_delete.holds ORDER BY relation;
SELECT id, hold FROM parent_deleted ORDER BY id;
SELECT parent_id, hold FROM child_deleted ORDER BY parent_id;
DELETE FROM parent_deleted WHERE id = 1;
DELETE FROM child_deleted WHERE parent_id = 1;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 1;
SELECT soft_delete.untag('parent', tombstones => 'purge', cascade => true);
DELETE FROM parent_deleted WHERE id = 2;
-- its rows have no hold of their own, but may get one
UPDATE parent_deleted SET hold = NULL WHERE id = 1;
UPDATE parent_deleted SET hold = 'case 2' WHERE id = 1;
SELECT id, hold FROM parent_deleted;
UPDATE parent_deleted SET hold = NULL WHERE id = 1;
SELECT id, hold FROM parent_deleted;
SELECT soft_delete.hold_deletion((SELECT deleted_at FROM parent_deleted WHERE id = 1), 'case 3');
SELECT soft_delete.hold_deletion((SELECT deleted_at FROM parent_deleted WHERE id = 1), NULL);
SELECT soft_delete.hold_deletion((SELECT deleted_at FROM parent_deleted WHERE id = 1), NULL);
SELECT soft_delete.hold_deletion('2000-01-01', 'case 1');
SELECT soft_delete.hold_deletion(NULL, 'case 1');
SELECT relation, deleted_at IS NOT NULL AS of_deletion, key, hold FROM soft_delete.lifted_holds ORDER BY lifted_at, relation;

-- a table: what is deleted, and what will be; restores go on
SELECT soft_delete.hold('parent', 'case 4');
DELETE FROM parent WHERE id = 3;
SELECT id, hold FROM parent_deleted ORDER BY id;
DELETE FROM parent_deleted;
DELETE FROM child_deleted WHERE parent_id = 1;
SELECT soft_delete.undo((SELECT deleted_at FROM parent_deleted WHERE id = 3));
SELECT id, hold FROM parent_deleted;
UPDATE parent_deleted SET hold = NULL;
SELECT soft_delete.hold('parent', NULL);
SELECT soft_delete.hold('parent', NULL);
DELETE FROM parent_deleted;

-- nothing deleted yet: the tag stays all the same
SELECT soft_delete.hold('parent', 'case 5');
SELECT soft_delete.untag('parent', cascade => true);
SELECT soft_delete.hold('parent', NULL);

-- partitions and inheritance children, and one of them
CREATE TABLE part (id integer PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1) PARTITION BY LIST (id);
CREATE TABLE part_1_1 PARTITION OF part_1 FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
SELECT soft_delete.tag('part');
INSERT INTO part VALUES (1), (2);
DELETE FROM part;
SELECT soft_delete.hold('part', 'case 6');
SELECT id, hold FROM part_deleted ORDER BY id;
DELETE FROM part_deleted WHERE id = 1;
SELECT soft_delete.hold('part', NULL), soft_delete.hold('part_1', 'case 7');
SELECT id, hold FROM part_deleted ORDER BY id;
DELETE FROM part_deleted WHERE id = 1;
SELECT soft_delete.untag('part', tombstones => 'purge');
SELECT soft_delete.hold('part_1', NULL), soft_delete.hold_deletion((SELECT max(deleted_at) FROM part_deleted), 'case 8');
SELECT id, hold FROM part_deleted ORDER BY id;
DELETE FROM part_deleted WHERE id = 2;
UPDATE part_deleted SET hold = 'case 9' WHERE id = 2;
SELECT relation, deleted_at IS NOT NULL AS of_deletion, key, hold FROM soft_delete.holds ORDER BY hold;
-- a partition with held rows neither leaves nor goes
ALTER TABLE part DETACH PARTITION part_2;
DROP TABLE part_2;
SELECT soft_delete.lift('part_2', 'case 9');
DROP TABLE part_2;
SELECT soft_delete.lift('case 8');
ALTER TABLE part DETACH PARTITION part_2;
SELECT relation, hold FROM soft_delete.holds;
DROP TABLE part, part_2;

CREATE TABLE root (id integer PRIMARY KEY);
CREATE TABLE leaf (PRIMARY KEY (id)) INHERITS (root);
SELECT soft_delete.tag('root');
INSERT INTO root VALUES (1);
INSERT INTO leaf VALUES (1);
DELETE FROM root;
UPDATE root_deleted SET hold = 'case 10' WHERE stored_in = 'leaf'::regclass;
SELECT stored_in::regclass, id, hold FROM root_deleted ORDER BY 1;
DELETE FROM root_deleted WHERE stored_in = 'root'::regclass;
DELETE FROM root_deleted;
UPDATE root_deleted SET hold = NULL;
SELECT soft_delete.hold('root', 'case 11');
DELETE FROM root_deleted;
SELECT soft_delete.hold('root', NULL);

-- bad arguments
SELECT soft_delete.hold(NULL, 'case 1');
SELECT soft_delete.hold('root', '');
SELECT soft_delete.hold('root_deleted', 'case 1');
CREATE TABLE untagged (id integer);
SELECT soft_delete.hold('untagged', 'case 1');
SELECT soft_delete.hold('pg_class', 'case 1');
-- and what comes after one in its transaction
BEGIN;
SAVEPOINT a;
SELECT soft_delete.hold('untagged', 'case 1');
ROLLBACK TO a;
SELECT soft_delete.hold('root', 'case 12');
SELECT relation, hold FROM soft_delete.holds WHERE hold = 'case 12';
ROLLBACK;

-- a quoted name, and what a hint says can be pasted
\set VERBOSITY default
CREATE TABLE "Odd ""name" (id integer PRIMARY KEY);
SELECT soft_delete.tag('"Odd ""name"');
INSERT INTO "Odd ""name" VALUES (1);
DELETE FROM "Odd ""name";
SELECT soft_delete.hold('"Odd ""name"', E'it''s "held"');
DELETE FROM "Odd ""name_deleted";
SELECT soft_delete.hold('wide."Odd ""name"', NULL);
DELETE FROM "Odd ""name_deleted";

RESET ROLE;
DELETE FROM soft_delete_internal.holds;
DROP SCHEMA wide CASCADE;
DROP ROLE regress_wide;
TRUNCATE soft_delete_internal.lifted_holds;
