-- undo() brings back what one deletion took, from all tables, or nothing
CREATE ROLE regress_undo;
CREATE ROLE regress_undo_helper;
CREATE SCHEMA undo AUTHORIZATION regress_undo;
GRANT USAGE ON SCHEMA undo TO regress_undo_helper;
SET ROLE regress_undo;
SET search_path = undo;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE parent (id integer PRIMARY KEY, name text UNIQUE);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer NOT NULL REFERENCES parent ON DELETE CASCADE);
CREATE TABLE grandchild (id integer PRIMARY KEY, child_id integer NOT NULL REFERENCES child ON DELETE CASCADE) PARTITION BY HASH (id);
CREATE TABLE grandchild_1 PARTITION OF grandchild FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE grandchild_2 PARTITION OF grandchild FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree ON DELETE CASCADE);
-- a cycle of keys that are checked at once
CREATE TABLE egg (id integer PRIMARY KEY, hen_id integer);
CREATE TABLE hen (id integer PRIMARY KEY, egg_id integer REFERENCES egg ON DELETE CASCADE);
ALTER TABLE egg ADD FOREIGN KEY (hen_id) REFERENCES hen ON DELETE CASCADE;
-- a column that holds UTC, under another name
CREATE TABLE other (id integer PRIMARY KEY, "Gone" timestamp);
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM other WHERE id = OLD.id; RETURN NULL; END';
CREATE TRIGGER follow AFTER DELETE ON parent FOR EACH ROW EXECUTE FUNCTION follow();
SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('tree'), soft_delete.tag('egg', cascade => true),
	soft_delete.tag('other', deleted_at => 'Gone');

INSERT INTO parent VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO child SELECT g, g % 3 + 1 FROM generate_series(1, 6) g;
INSERT INTO grandchild SELECT g, g % 6 + 1 FROM generate_series(1, 12) g;
INSERT INTO other SELECT generate_series(1, 3);
INSERT INTO tree SELECT g, nullif(g / 2, 0) FROM generate_series(1, 15) g;
INSERT INTO egg VALUES (1, NULL);
INSERT INTO hen VALUES (1, 1);
UPDATE egg SET hen_id = 1;
CREATE VIEW live AS
	SELECT (SELECT count(*) FROM parent) AS parents, (SELECT count(*) FROM child) AS children,
		(SELECT count(*) FROM grandchild) AS grandchildren, (SELECT count(*) FROM other) AS others,
		(SELECT count(*) FROM tree) AS trees, (SELECT count(*) FROM egg) AS eggs, (SELECT count(*) FROM hen) AS hens;

-- what was deleted before stays deleted
DELETE FROM grandchild WHERE id = 1;
SELECT * FROM live;
DELETE FROM parent WHERE id IN (1, 2);
SELECT * FROM live;
SELECT soft_delete.undo(max(deleted_at)) FROM parent_deleted;
SELECT * FROM live;
SELECT soft_delete.undo(deleted_at) FROM grandchild_deleted;
SELECT soft_delete.undo('2001-01-01');

-- self-reference and cycle
DELETE FROM tree WHERE id IN (2, 3);
SELECT soft_delete.undo(max(deleted_at)) FROM tree_deleted;
DELETE FROM hen;
SELECT * FROM live;
SELECT soft_delete.undo(max(deleted_at)) FROM egg_deleted;
SELECT * FROM live;

-- all or nothing: a key that is taken, a parent that is deleted
DELETE FROM parent WHERE id = 3;
INSERT INTO parent VALUES (4, 'three');
SELECT soft_delete.undo(max(deleted_at)) FROM parent_deleted;
SELECT * FROM live;
DELETE FROM child WHERE id = 3;
DELETE FROM parent WHERE id = 1;
SELECT soft_delete.undo(deleted_at) FROM child_deleted WHERE id = 3;
SELECT * FROM live;

-- all deletions of a transaction; those of an aborted part of it are none
SELECT count(*) FROM tree;
BEGIN;
DELETE FROM tree WHERE id = 2;
SAVEPOINT s;
DELETE FROM hen;
ROLLBACK TO s;
DELETE FROM tree WHERE id = 3;
SELECT pg_current_xact_id() AS xid \gset
COMMIT;
DELETE FROM hen;
SELECT count(*) FROM tree;
SELECT soft_delete.undo_transaction(:'xid');
SELECT soft_delete.undo_transaction(:'xid');
SELECT (SELECT count(*) FROM tree) AS trees, (SELECT count(*) FROM hen) AS hens;
SELECT soft_delete.undo(max(deleted_at)) FROM egg_deleted;

-- the application's triggers run as they do in its own statements
CREATE TABLE counter (n integer);
INSERT INTO counter VALUES (0);
CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE counter SET n = n + 1; RETURN NULL; END';
CREATE TRIGGER count_up AFTER INSERT ON tree FOR EACH ROW EXECUTE FUNCTION count_up();
DELETE FROM tree WHERE id = 4;
SELECT soft_delete.undo(max(deleted_at)) FROM tree_deleted;
TABLE counter;
DROP TRIGGER count_up ON tree;

-- as another role: with the rights on the bins alone
RESET ROLE;
GRANT SELECT ON undo.tree_deleted TO regress_undo_helper;
DELETE FROM undo.tree WHERE id = 4;
SELECT deleted_at AS stamp FROM undo.tree_deleted LIMIT 1 \gset
SET ROLE regress_undo_helper;
SELECT soft_delete.undo(:'stamp');
RESET ROLE;
GRANT UPDATE (deleted_at) ON undo.tree_deleted TO regress_undo_helper;
SET ROLE regress_undo_helper;
SELECT soft_delete.undo(:'stamp');
SELECT soft_delete.undo(NULL);

-- constraints that are deferred, a circle of them, and a trigger: they are checked when
-- it ends, by the owner's rights, and are deferred again after it
SET ROLE regress_undo;
CREATE TABLE loop_a (id integer PRIMARY KEY, b_id integer);
CREATE TABLE loop_b (id integer PRIMARY KEY, a_id integer CONSTRAINT to_a REFERENCES loop_a ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE loop_a ADD CONSTRAINT to_b FOREIGN KEY (b_id) REFERENCES loop_b ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE met (who name);
CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO undo.met VALUES (current_user); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER meet AFTER INSERT ON loop_a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION meet();
SELECT soft_delete.tag('loop_a', cascade => true);
BEGIN;
INSERT INTO loop_a VALUES (1, 1);
INSERT INTO loop_b VALUES (1, 1);
COMMIT;
TRUNCATE met;
DELETE FROM loop_a;
SELECT deleted_at AS stamp FROM loop_a_deleted \gset
GRANT SELECT, UPDATE (deleted_at) ON loop_a_deleted, loop_b_deleted TO regress_undo_helper;
GRANT SELECT ON met TO regress_undo_helper;
RESET ROLE;
BEGIN;
SELECT soft_delete.undo(:'stamp');
TABLE undo.met;
INSERT INTO undo.loop_b VALUES (2, 2);	-- its parent comes later
INSERT INTO undo.loop_a VALUES (2, 2);
ROLLBACK;
SET ROLE regress_undo_helper;
SELECT soft_delete.undo(:'stamp');
TABLE undo.met;
-- what the caller has left pending is checked by its rights
RESET ROLE;
DELETE FROM undo.loop_a;
SELECT deleted_at AS stamp FROM undo.loop_a_deleted \gset
TRUNCATE undo.met;
BEGIN;
INSERT INTO undo.loop_b VALUES (3, 3);
SELECT soft_delete.undo(:'stamp');
ROLLBACK;
SELECT count(*) FROM undo.loop_a;
-- an error of the application's that names no table
SET ROLE regress_undo;
CREATE FUNCTION object() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not now'' USING ERRCODE = ''check_violation''; END';
CREATE TRIGGER object AFTER INSERT ON loop_a FOR EACH ROW EXECUTE FUNCTION object();
RESET ROLE;
SELECT soft_delete.undo(:'stamp');

-- the transaction of another role is not found, and that is said
RESET ROLE;
DROP TABLE loop_a CASCADE;
SET ROLE regress_undo;
CREATE TABLE lent (id integer PRIMARY KEY);
SELECT soft_delete.tag('lent') \g /dev/null
INSERT INTO lent VALUES (1);
GRANT SELECT, DELETE ON lent TO regress_undo_helper;
SET ROLE regress_undo_helper;
BEGIN;
DELETE FROM undo.lent;
SELECT pg_current_xact_id() AS xid \gset
COMMIT;
SET ROLE regress_undo;
SET client_min_messages = notice;
DO $$ BEGIN PERFORM soft_delete.undo_transaction('3'); END $$;
SET client_min_messages = warning;
SELECT soft_delete.undo_transaction(:'xid'), count(*) AS deleted FROM lent_deleted;
SELECT soft_delete.undo(deleted_at) FROM lent_deleted;

RESET ROLE;
SET client_min_messages = error;
DROP SCHEMA undo CASCADE;
DROP ROLE regress_undo, regress_undo_helper;
