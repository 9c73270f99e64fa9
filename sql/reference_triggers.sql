-- what lets deleted children follow a changed key: guards that come and go with
-- the foreign key and the tag, whether the parent is tagged or not
--
-- What each action does is in on_update_*.
CREATE ROLE regress_follow;
CREATE SCHEMA soft AUTHORIZATION regress_follow;
SET ROLE regress_follow;
SET search_path = soft;
SET client_min_messages = warning;
CREATE TABLE parent (id integer PRIMARY KEY, code varchar UNIQUE, n integer);
CREATE TABLE cascades (id integer PRIMARY KEY, p smallint CONSTRAINT cascades_fk REFERENCES parent ON UPDATE CASCADE);
CREATE TABLE nothing (id integer PRIMARY KEY, p bigint CONSTRAINT nothing_fk REFERENCES parent);
CREATE TABLE restricts (id integer PRIMARY KEY, p integer CONSTRAINT restricts_fk REFERENCES parent ON UPDATE RESTRICT);
CREATE TABLE codes (id integer PRIMARY KEY, p text CONSTRAINT codes_fk REFERENCES parent (code) ON UPDATE CASCADE);
CREATE TABLE parts (id integer, p integer, x integer, PRIMARY KEY (id)) PARTITION BY HASH (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_2 (x integer, p integer, id integer NOT NULL);
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
ALTER TABLE parts ADD CONSTRAINT parts_fk FOREIGN KEY (p) REFERENCES parent ON UPDATE CASCADE;
-- a key that is itself referenced
CREATE TABLE middle (p integer CONSTRAINT middle_fk REFERENCES parent ON UPDATE CASCADE, n integer, PRIMARY KEY (p, n));
CREATE TABLE lowest (id integer PRIMARY KEY, p integer, n integer, CONSTRAINT lowest_fk FOREIGN KEY (p, n) REFERENCES middle (p, n) ON UPDATE CASCADE);
INSERT INTO parent SELECT g, 'code ' || g, g FROM generate_series(1, 9) g;
INSERT INTO cascades VALUES (1, 1);
INSERT INTO nothing VALUES (1, 1);
INSERT INTO restricts VALUES (1, 1);
INSERT INTO codes VALUES (1, 'code 1');
INSERT INTO parts VALUES (1, 1), (2, 1), (3, 1);
INSERT INTO middle VALUES (1, 1), (1, 2);
INSERT INTO lowest VALUES (1, 1, 1), (2, 1, 2);
-- the parent is tagged at last: an untagged one is followed too
SELECT count(soft_delete.tag(t::regclass)) FROM unnest('{cascades,nothing,restricts,codes,parts,middle,lowest}'::text[]) t;
DELETE FROM cascades;
DELETE FROM nothing;
DELETE FROM restricts;
DELETE FROM codes;
DELETE FROM parts;
DELETE FROM lowest;
DELETE FROM middle;
UPDATE parent SET id = 11, code = 'code 11' WHERE id = 1;

SELECT * FROM soft_delete.check();
CREATE VIEW deleted AS
	SELECT 'cascades' AS what, id, p::text FROM cascades_deleted UNION ALL SELECT 'nothing', id, p::text FROM nothing_deleted
	UNION ALL SELECT 'restricts', id, p::text FROM restricts_deleted
	UNION ALL SELECT 'codes', id, p FROM codes_deleted UNION ALL SELECT 'parts', id, p::text FROM parts_deleted
	UNION ALL SELECT 'middle', n, p::text FROM middle_deleted UNION ALL SELECT 'lowest', id, p::text FROM lowest_deleted ORDER BY 1, 2;
TABLE deleted;

-- the guards are not in the way of DDL, and are made anew with the foreign keys
ALTER TABLE parent ALTER COLUMN id TYPE bigint;
UPDATE parent SET id = 17 WHERE id = 11;
UPDATE parent SET id = 11 WHERE id = 17;
SELECT p FROM nothing_deleted;

-- with the parent tagged; back again in one transaction, and undone with it
SELECT soft_delete.tag('parent');
BEGIN;
UPDATE parent SET id = 12 WHERE id = 11;
UPDATE parent SET id = 13 WHERE id = 12;
SELECT what, p FROM deleted WHERE what IN ('cascades', 'nothing', 'parts');
SAVEPOINT s;
UPDATE parent SET id = 14 WHERE id = 13;
ROLLBACK TO s;
SELECT what, p FROM deleted WHERE what = 'nothing';
ROLLBACK;
SELECT what, p FROM deleted WHERE what = 'nothing';
-- another row takes the key over in the same statement: the child stays with the key, as a live one does
WITH a AS (UPDATE parent SET id = 15 WHERE id = 11 RETURNING n) INSERT INTO parent SELECT 11, 'eleven', n FROM a;
SELECT what, p FROM deleted WHERE what IN ('cascades', 'nothing', 'restricts');
SELECT * FROM soft_delete.check();
-- what does not change a key does not look for children
UPDATE parent SET n = n + 1;
RESET ROLE;
SELECT tgname ~ '^RI_SoftDelete_follow' AS follows, tgrelid::regclass, count(*) FROM pg_trigger
WHERE tgfoid = 'soft_delete_internal.on_update_key()'::regprocedure AND tgrelid IN ('parent'::regclass, 'middle'::regclass) GROUP BY 1, 2 ORDER BY 2;
SET ROLE regress_follow;

-- the other columns of the child, and its index, are as they were
UPDATE parent SET id = 16 WHERE id = 15;
UPDATE cascades_deleted SET deleted_at = NULL;
SELECT * FROM cascades;
SET enable_seqscan = off;
UPDATE middle_deleted SET deleted_at = NULL;
SELECT * FROM middle WHERE p = 16 AND n = 2;
RESET enable_seqscan;
UPDATE lowest_deleted SET deleted_at = NULL;
SELECT * FROM lowest ORDER BY id;

-- a value that the child cannot take
UPDATE cascades SET p = 2;
DELETE FROM cascades;
UPDATE parent SET id = 70000 WHERE id = 2;
SELECT * FROM soft_delete.check();

-- the guards go with the foreign key, and with the tag
ALTER TABLE parent RENAME COLUMN code TO name;
UPDATE parent SET name = 'code 12' WHERE name = 'code 11';
SELECT p FROM codes_deleted;
ALTER TABLE codes DROP CONSTRAINT codes_fk;
UPDATE parent SET name = 'code 13' WHERE name = 'code 12';
SELECT p FROM codes_deleted;
DROP VIEW deleted;
SELECT soft_delete.untag('nothing', tombstones => 'keep');
RESET ROLE;
SELECT conname FROM pg_trigger JOIN pg_constraint ON pg_constraint.oid = tgconstraint
WHERE tgfoid = 'soft_delete_internal.on_update_key()'::regprocedure AND connamespace = 'soft'::regnamespace AND conparentid = 0 ORDER BY 1;
SET ROLE regress_follow;

-- a partitioned parent: followed within a partition; what moves to another is refused
CREATE TABLE ranges (id integer PRIMARY KEY, n integer) PARTITION BY RANGE (id);
CREATE TABLE ranges_1 PARTITION OF ranges FOR VALUES FROM (0) TO (100);
CREATE TABLE ranges_2 (n integer, id integer NOT NULL);
ALTER TABLE ranges ATTACH PARTITION ranges_2 FOR VALUES FROM (100) TO (200);
CREATE TABLE ranged (id integer PRIMARY KEY, p integer CONSTRAINT ranged_fk REFERENCES ranges ON UPDATE CASCADE);
SELECT soft_delete.tag('ranged'), soft_delete.tag('ranges');
INSERT INTO ranges VALUES (1, 1), (2, 2), (101, 101);
INSERT INTO ranged VALUES (1, 1), (2, 2), (101, 101);
DELETE FROM ranged WHERE id <> 2;
UPDATE ranges SET id = id + 10 WHERE id IN (1, 101);
SELECT id, p FROM ranged_deleted ORDER BY id;
UPDATE ranges SET id = 120 WHERE id = 11;
UPDATE ranges SET id = 130 WHERE id = 2;
SELECT id, p FROM ranged;
CREATE TABLE ranges_3 PARTITION OF ranges FOR VALUES FROM (200) TO (300);
INSERT INTO ranges VALUES (201, 201);
INSERT INTO ranged VALUES (201, 201);
DELETE FROM ranged WHERE id = 201;
UPDATE ranges SET id = 202 WHERE id = 201;
SELECT id, p FROM ranged_deleted WHERE id = 201;
SELECT * FROM soft_delete.check();

-- by hand
CREATE TRIGGER by_hand AFTER UPDATE ON nothing FOR EACH ROW EXECUTE FUNCTION soft_delete_internal.on_update_key();
UPDATE nothing SET id = 2;

RESET ROLE;
DROP SCHEMA soft CASCADE;
DROP ROLE regress_follow;
