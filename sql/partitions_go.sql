-- a partition or inheritance child that leaves a tagged table is tagged by itself
-- in the same command: no deleted row is seen again, and all can be restored
CREATE ROLE regress_partitions;
CREATE SCHEMA go AUTHORIZATION regress_partitions;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_partitions', current_database()) \gexec
SET ROLE regress_partitions;
SET search_path = go;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE p (id integer PRIMARY KEY, code text, note text, UNIQUE (code, id)) PARTITION BY RANGE (id);
CREATE INDEX p_note_idx ON p (note);
CREATE TABLE a PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE tree PARTITION OF p FOR VALUES FROM (100) TO (300) PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF tree FOR VALUES FROM (100) TO (200);
SELECT soft_delete.tag('p');
CREATE TABLE "b B" PARTITION OF p FOR VALUES FROM (300) TO (400);
CREATE TABLE c PARTITION OF p FOR VALUES FROM (400) TO (500);
INSERT INTO p SELECT h * 100 + g, 'code ' || g FROM generate_series(1, 3) g, unnest('{0,1,3,4}'::integer[]) h;
DELETE FROM p WHERE id % 100 = 1;
-- one steps aside
INSERT INTO p VALUES (1, 'new');

-- it is undone with its transaction
BEGIN;
ALTER TABLE p DETACH PARTITION a;
SELECT id, code FROM a ORDER BY id;
ROLLBACK;
RESET ROLE;
SELECT to_regclass('a_deleted'), soft_delete_internal.root('a');
SET ROLE regress_partitions;

ALTER TABLE p DETACH PARTITION a;
SELECT id, code FROM a ORDER BY id;
SELECT id, code FROM a_deleted;
SELECT id FROM a_active ORDER BY id;
SELECT id FROM p_deleted ORDER BY id;
BEGIN;
TRUNCATE a;
SELECT count(*) FROM a_deleted;
ROLLBACK;
DELETE FROM a WHERE id = 2 RETURNING id;
INSERT INTO a VALUES (2, 'code 2') ON CONFLICT ON CONSTRAINT a_code_id_key DO NOTHING RETURNING id;
DELETE FROM a WHERE id = 1;
UPDATE a_deleted SET deleted_at = NULL WHERE code = 'code 1' RETURNING id, code;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'a'::regclass AND NOT tgisinternal ORDER BY 1;
SELECT conname FROM pg_constraint WHERE conrelid = 'a'::regclass AND contype <> 'n' ORDER BY 1;

-- with its partitions
ALTER TABLE p DETACH PARTITION tree;
SELECT tableoid::regclass, id FROM tree ORDER BY id;
SELECT stored_in::regclass, id FROM tree_deleted;
DELETE FROM leaf WHERE id = 102;
SELECT stored_in::regclass, id FROM tree_deleted;

-- without blocking readers, and finished later
ALTER TABLE p DETACH PARTITION "b B" CONCURRENTLY;
SELECT id FROM "b B" ORDER BY id;
SELECT id FROM "b B_deleted";

-- and comes back with its deleted rows
ALTER TABLE p ATTACH PARTITION a FOR VALUES FROM (0) TO (100);
ALTER TABLE p ATTACH PARTITION tree FOR VALUES FROM (100) TO (300);
SELECT tableoid::regclass, id FROM p ORDER BY id;
SELECT stored_in::regclass, id FROM p_deleted ORDER BY id;
SELECT relname FROM pg_class WHERE relnamespace = 'go'::regnamespace AND relkind = 'v' ORDER BY 1;

-- the views cannot be made: it stays where it is
RESET ROLE;
REVOKE CREATE ON SCHEMA go FROM regress_partitions;
SET ROLE regress_partitions;
ALTER TABLE p DETACH PARTITION c;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT soft_delete_internal.root('c');
SET ROLE regress_partitions;
ALTER TABLE p DETACH PARTITION c CONCURRENTLY;
SELECT id FROM c ORDER BY id;
RESET ROLE;
GRANT CREATE ON SCHEMA go TO regress_partitions;
-- a name that the views need, and others have taken, does not keep it
CREATE TABLE c_deleted (id integer);
CREATE TABLE c_tombstones (id integer);
SET ROLE regress_partitions;
ALTER TABLE p DETACH PARTITION c FINALIZE;
SELECT id FROM c ORDER BY id;
SELECT id FROM c_deleted_1;

-- another table of that name, made by the same transaction, is left alone
BEGIN;
CREATE SCHEMA views;
CREATE TABLE views.e (id integer, deleted_at timestamptz);
CREATE TABLE e PARTITION OF p FOR VALUES FROM (1000) TO (1100);
INSERT INTO p VALUES (1001), (1002);
DELETE FROM p WHERE id = 1001;
ALTER TABLE p DETACH PARTITION e;
SELECT id FROM e;
SELECT id FROM e_deleted;
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('views.e');
SET ROLE regress_partitions;
ROLLBACK;

-- untag() gives back what it would have given back before
SELECT soft_delete.untag('a');
SELECT soft_delete.untag('c', tombstones => 'purge');
SELECT indexrelid::regclass, indpred IS NULL AS whole, contype FROM pg_index LEFT JOIN pg_constraint ON conindid = indexrelid WHERE indrelid = 'c'::regclass ORDER BY 1;

-- views go where those of the root are
CREATE SCHEMA views;
CREATE TABLE q (id integer) PARTITION BY LIST (id);
CREATE TABLE q1 PARTITION OF q FOR VALUES IN (1);
CREATE INDEX q_idx ON q (id);
SELECT soft_delete.tag('q', indexes => 'unique', views => 'views');
ALTER TABLE q DETACH PARTITION q1;
RESET ROLE;
SELECT soft_delete_internal.bin_of('q1'), soft_delete_internal.tag_arguments('q1');
SET ROLE regress_partitions;

-- an inheritance child
CREATE TABLE parent (id integer);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE grandchild () INHERITS (child);
SELECT soft_delete.tag('parent');
INSERT INTO child VALUES (1), (2);
INSERT INTO grandchild VALUES (3), (4);
DELETE FROM parent WHERE id IN (1, 3);
ALTER TABLE child NO INHERIT parent;
SELECT id FROM child ORDER BY id;
SELECT stored_in::regclass, id FROM child_deleted ORDER BY id;
UPDATE child_deleted SET deleted_at = NULL WHERE id = 3 RETURNING id;
DELETE FROM child WHERE id = 4;
SELECT stored_in::regclass, id FROM child_deleted ORDER BY id;
-- one that has another tagged parent stays with it
CREATE TABLE second (id integer);
SELECT soft_delete.tag('second');
ALTER TABLE child INHERIT second;
ALTER TABLE child INHERIT parent;
ALTER TABLE child NO INHERIT second;
SELECT to_regclass('child_deleted'), count(*) FROM parent_deleted;

-- the application is not told how wide the rows are that a DELETE copies to the companion
SET client_min_messages = notice;
CREATE TABLE wide (id integer, blob text) PARTITION BY LIST (id);
CREATE TABLE wide_1 PARTITION OF wide FOR VALUES IN (1);
ALTER TABLE wide_1 ALTER blob SET STORAGE EXTERNAL;
SELECT soft_delete.tag('wide', storage => 'aside');
INSERT INTO wide SELECT 1, repeat('x', 20000) FROM generate_series(1, 10);
ANALYZE wide_1;
ALTER TABLE wide DETACH PARTITION wide_1;
SELECT storage FROM soft_delete.tables WHERE relation = 'wide_1'::regclass;
SELECT soft_delete.untag('wide_1'), soft_delete.tag('wide_1', storage => 'aside');
SET client_min_messages = warning;

RESET ROLE;
DROP SCHEMA go, views CASCADE;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_partitions', current_database()) \gexec
DROP ROLE regress_partitions;
