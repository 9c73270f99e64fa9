-- A table that is replaced by a copy of its live rows, within one transaction, does not lose
-- its deleted rows without a word.
CREATE ROLE regress_copy_owner;
CREATE SCHEMA regress_copy AUTHORIZATION regress_copy_owner;
SET ROLE regress_copy_owner;
SET search_path = regress_copy;
CREATE TABLE t (id integer PRIMARY KEY, a text, b text);
CREATE TABLE u (id integer PRIMARY KEY, a text, b text);
SELECT soft_delete.tag('t'), soft_delete.tag('u', storage => 'aside');
INSERT INTO t SELECT g, 'a', 'b' FROM generate_series(1, 5) AS g;
INSERT INTO u SELECT g, 'a', 'b' FROM generate_series(1, 5) AS g;
DELETE FROM t WHERE id < 3;
DELETE FROM u WHERE id < 3;

-- create, fill, drop, rename
BEGIN;
CREATE TABLE new_t (id integer PRIMARY KEY, a text, c text);
INSERT INTO new_t SELECT id, a FROM t;
DROP TABLE t;
ALTER TABLE new_t RENAME TO t;
ROLLBACK;
BEGIN;
CREATE TABLE new_u AS SELECT * FROM u;
DROP TABLE u;
ROLLBACK;
-- rename, create, fill, drop
BEGIN;
ALTER TABLE t RENAME TO old_t;
CREATE TABLE t (LIKE old_t);
INSERT INTO t SELECT id, a, b FROM old_t;
DROP TABLE old_t;
ROLLBACK;
-- the copy is there already
CREATE TABLE new_t (id integer PRIMARY KEY, a text, b text);
BEGIN;
ALTER TABLE t RENAME TO old_t;
ALTER TABLE new_t RENAME TO t;
DROP TABLE old_t;
ROLLBACK;

-- another table, no table, and no deleted rows: nothing is said
BEGIN;
CREATE TABLE other (id integer PRIMARY KEY, name text);
DROP TABLE t;
ROLLBACK;
-- a table that is only altered replaces none, whatever columns it has
BEGIN;
ALTER TABLE new_t ADD COLUMN c text, ALTER a SET NOT NULL;
CREATE INDEX ON new_t (c);
DROP TABLE u;
ROLLBACK;
DROP TABLE new_t;
BEGIN;
DROP TABLE t;
ROLLBACK;
BEGIN;
CREATE TABLE new_t AS SELECT * FROM t;
DELETE FROM t_deleted;
DROP TABLE t;
ROLLBACK;
-- nor to who restores a dump
BEGIN;
SET LOCAL row_security = off;
CREATE TABLE new_t (LIKE t);
DROP TABLE t;
ROLLBACK;

-- a partition whose rows have been moved away
SET client_min_messages = warning;
CREATE FUNCTION undo(storage text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TABLE p (id integer, a text) PARTITION BY RANGE (id);
	CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (100);
	CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (100) TO (200);
	PERFORM soft_delete.tag('p', storage => storage);
	INSERT INTO p SELECT g, 'a' FROM generate_series(1, 9) AS g;
	DELETE FROM p WHERE id < 3;
END
$$;
SELECT undo('in_place');
CREATE TABLE target (id integer, a text);
BEGIN;
WITH moved AS (DELETE FROM p_1 RETURNING *) INSERT INTO target SELECT id, a FROM moved;
ALTER TABLE p DETACH PARTITION p_1;
DROP TABLE p_1;
ROLLBACK;
-- what is not emptied goes as it would, and so does what has nothing
BEGIN;
ALTER TABLE p DETACH PARTITION p_1;
DROP TABLE p_1;
ROLLBACK;
BEGIN;
ALTER TABLE p DETACH PARTITION p_2;
DROP TABLE p_2;
ROLLBACK;
-- detached only, it keeps them
BEGIN;
WITH moved AS (DELETE FROM p_1 RETURNING *) INSERT INTO target SELECT id, a FROM moved;
ALTER TABLE p DETACH PARTITION p_1;
COMMIT;
SELECT count(*) FROM p_1_deleted;
SELECT id, a FROM target ORDER BY id;
DROP TABLE p, p_1;
SELECT undo('aside');
BEGIN;
WITH moved AS (DELETE FROM p_1 RETURNING *) INSERT INTO target SELECT id, a FROM moved;
ALTER TABLE p DETACH PARTITION p_1;
DROP TABLE p_1;
ROLLBACK;
-- an inheritance child
CREATE TABLE parent (id integer PRIMARY KEY, a text);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
SELECT soft_delete.tag('parent');
INSERT INTO child SELECT generate_series(1, 5);
DELETE FROM parent WHERE id < 3;
BEGIN;
WITH moved AS (DELETE FROM child RETURNING *) INSERT INTO target SELECT id, a FROM moved;
ALTER TABLE child NO INHERIT parent;
DROP TABLE child;
ROLLBACK;

DROP SCHEMA regress_copy CASCADE;
RESET ROLE;
DROP ROLE regress_copy_owner;
