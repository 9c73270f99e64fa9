-- A place (ctid) belongs to one relation.  Deleted rows that stepped aside are shown with
-- their places in the companion: nothing locks, changes or deletes what is at those
-- places in the table that they were taken from.
CREATE ROLE regress_places;
CREATE SCHEMA places AUTHORIZATION regress_places;
SET ROLE regress_places;
SET search_path = places;
\set QUIET off
\set VERBOSITY terse

-- more live rows than the companion has: each place there is one of a live row here
CREATE TABLE many (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('many');
INSERT INTO many SELECT i, 'live ' || i FROM generate_series(4, 20000) AS i;
INSERT INTO many SELECT i, 'secret ' || i FROM generate_series(1, 3) AS i;
DELETE FROM many WHERE id < 4;
INSERT INTO many SELECT i, 'live ' || i FROM generate_series(1, 3) AS i;
SELECT id, v, tableoid::regclass FROM many_tombstones ORDER BY id;
SELECT count(*) FROM many JOIN many_tombstones AS d ON d.ctid = many.ctid;

-- one line pointer only: most places there are none here
CREATE TABLE few (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('few');
INSERT INTO few SELECT i, 'secret ' || i FROM generate_series(1, 100) AS i;
DELETE FROM few;
INSERT INTO few SELECT i, 'live ' || i FROM generate_series(1, 100) AS i;
DELETE FROM few WHERE id > 1;
DELETE FROM few_deleted WHERE stored_in = 'few'::regclass;
VACUUM FULL few;
SELECT count(*) FROM few;
SELECT count(*), count(DISTINCT ctid) FROM few_tombstones;

-- locks are those of the companion's own rows, which nobody but the extension changes
SELECT count(*) FROM (SELECT id, v FROM few_tombstones FOR UPDATE) AS locked;
CREATE VIEW aside AS SELECT * FROM few_tombstones;
UPDATE aside SET v = 'x';
DELETE FROM aside;
PREPARE lock_them(text) AS SELECT id FROM few TABLESAMPLE soft_delete.rows($1) FOR UPDATE;
EXECUTE lock_them('aside');
EXECUTE lock_them('live');
-- other rows of the same statement may be locked
SELECT few.id, d.v FROM few JOIN few_tombstones AS d USING (id) FOR UPDATE OF few;

-- partitions and inheritance children, whose columns stand in another order
CREATE TABLE parted (id integer, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parted_1 (v text, id integer NOT NULL);
ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES FROM (1) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (100);
CREATE TABLE heirs (id integer PRIMARY KEY, v text);
CREATE TABLE heir (more text, PRIMARY KEY (id)) INHERITS (heirs);
SELECT soft_delete.tag('parted'), soft_delete.tag('heirs');
INSERT INTO parted VALUES (1, 'secret'), (10, 'secret');
INSERT INTO heirs VALUES (1, 'secret');
INSERT INTO heir VALUES (2, 'secret');
DELETE FROM parted;
DELETE FROM heirs;
INSERT INTO parted VALUES (1, 'live'), (10, 'live');
INSERT INTO heirs VALUES (1, 'live');
INSERT INTO heir VALUES (2, 'live');
SELECT id, v FROM parted_tombstones FOR UPDATE;
SELECT id, v FROM heirs_tombstones FOR SHARE;
SELECT id, v FROM ONLY heirs_tombstones FOR SHARE;


-- a bin is a UNION ALL, of which FOR UPDATE locks nothing, as of any other
SELECT id, v FROM few_deleted WHERE id = 2 FOR UPDATE;
SELECT id, v FROM parted_deleted ORDER BY id FOR UPDATE;

-- cursors
BEGIN;
DECLARE c CURSOR FOR SELECT id, v FROM many_tombstones;
FETCH c;
SAVEPOINT s;
DELETE FROM many WHERE CURRENT OF c;
ROLLBACK TO s;
UPDATE many SET v = 'x' WHERE CURRENT OF c;
ROLLBACK TO s;
DELETE FROM many_tombstones WHERE CURRENT OF c;
ROLLBACK TO s;
CLOSE c;
DECLARE c CURSOR FOR SELECT id, v FROM few_tombstones WHERE id = 1;
FETCH c;
SAVEPOINT s;
DELETE FROM few WHERE CURRENT OF c;
ROLLBACK TO s;
CLOSE c;
DECLARE c CURSOR FOR SELECT id, v FROM many_deleted;
FETCH c;
DELETE FROM many WHERE CURRENT OF c;
CLOSE c;
DECLARE c CURSOR FOR SELECT id FROM many WHERE id > 19999 UNION ALL SELECT id FROM many_tombstones;
FETCH c;
FETCH c;
DELETE FROM many WHERE CURRENT OF c;
CLOSE c;
DECLARE c CURSOR FOR SELECT id, v FROM parted_tombstones;
FETCH c;
SAVEPOINT s;
DELETE FROM parted WHERE CURRENT OF c;
ROLLBACK TO s;
CLOSE c;
DECLARE c CURSOR FOR SELECT id FROM many_tombstones FOR UPDATE;
ROLLBACK;
SELECT count(*) FROM many;

-- places as values: they lead where they are used, whatever they are of
SELECT count(*) FROM few_tombstones WHERE ctid = '(0,65535)' OR ctid > '(4294967294,1)';
SELECT count(*) FROM few WHERE ctid = ANY (ARRAY(SELECT ctid FROM few_tombstones WHERE id > 1));
DELETE FROM many USING many_tombstones AS d WHERE many.ctid = d.ctid AND many.tableoid = d.tableoid;
DELETE FROM many USING many_deleted AS d WHERE many.ctid = d.stored_place AND many.tableoid = d.stored_in;
SELECT count(xmin) FROM few_tombstones;
SELECT id, v FROM many_tombstones AS d(deleted, id, v) WHERE (d).id = 1 AND d.deleted > '2020-01-01';

-- joined with what is changed
UPDATE many SET v = many.v || d.v FROM many_tombstones AS d WHERE d.id = many.id RETURNING many.id, many.v;
MERGE INTO many USING many_tombstones AS d ON d.id = many.id WHEN MATCHED THEN UPDATE SET v = d.v;
SELECT id, v FROM many WHERE id < 5 ORDER BY id;
DELETE FROM many USING many_tombstones AS d WHERE d.id = many.id RETURNING many.id, d.v;
SELECT id, v FROM many_deleted ORDER BY id, v;
SELECT count(*) FROM many;

-- the other samples are scans of the table: what is locked is what is seen
BEGIN;
SELECT id, v FROM many TABLESAMPLE soft_delete.rows('deleted') ORDER BY id FOR UPDATE;
SELECT id, v FROM many TABLESAMPLE soft_delete.rows('all') WHERE id IN (3, 4) ORDER BY id, v FOR UPDATE;
SELECT id, v FROM many TABLESAMPLE soft_delete.rows('live') WHERE id = 5 FOR SHARE;
SELECT id, deleted_at IS NULL AS is_live FROM many TABLESAMPLE soft_delete.rows('all') WHERE xmax::text::bigint <> 0 AND pg_current_xact_id()::xid = xmax ORDER BY id;
DECLARE c CURSOR FOR SELECT id FROM many TABLESAMPLE soft_delete.rows('all') WHERE id = 6;
FETCH c;
DELETE FROM many WHERE CURRENT OF c;
CLOSE c;
-- a deleted row is none that DELETE finds
DECLARE c CURSOR FOR SELECT id FROM many TABLESAMPLE soft_delete.rows('deleted') WHERE id = 6;
FETCH c;
DELETE FROM many WHERE CURRENT OF c;
DECLARE d CURSOR FOR SELECT id FROM many TABLESAMPLE soft_delete.rows('all') WHERE id IN (6, 7) ORDER BY id FOR UPDATE;
FETCH d;
DELETE FROM many WHERE CURRENT OF d;
FETCH d;
DELETE FROM many WHERE CURRENT OF d;
COMMIT;
SELECT id FROM many_deleted WHERE id > 5 ORDER BY id;

-- nothing is broken, and what stepped aside comes back
RESET ROLE;
CREATE EXTENSION amcheck;
SELECT relname, v.* FROM pg_class, verify_heapam(oid) AS v WHERE relnamespace = 'places'::regnamespace AND relkind = 'r';
SELECT count(bt_index_check(i.oid, true)) > 0 FROM pg_class AS i WHERE relnamespace = 'places'::regnamespace AND relkind = 'i' AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree');
DROP EXTENSION amcheck;
SET ROLE regress_places;
DELETE FROM few;
DELETE FROM few_deleted WHERE v LIKE 'live%';
UPDATE few_deleted SET deleted_at = NULL WHERE id <= 2;
SELECT id, v FROM few ORDER BY id;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA places CASCADE;
DROP ROLE regress_places;
