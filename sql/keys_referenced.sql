-- a foreign key finds the unique key of a tagged table, though that hides deleted rows
CREATE ROLE regress_keys_owner;
CREATE ROLE regress_keys_other;
CREATE SCHEMA keys_referenced AUTHORIZATION regress_keys_owner;
GRANT USAGE, CREATE ON SCHEMA keys_referenced TO regress_keys_other;
SET ROLE regress_keys_owner;
SET search_path = keys_referenced;

CREATE FUNCTION keys(parent regclass) RETURNS TABLE (index name, kind text, is_whole boolean) LANGUAGE sql AS $$
	SELECT relname, coalesce(contype::text, 'index'), indpred IS NULL
	FROM pg_index JOIN pg_class ON oid = indexrelid LEFT JOIN pg_constraint ON conindid = indexrelid AND conrelid = indrelid
	WHERE indrelid = parent AND indisunique ORDER BY relname
$$;

CREATE TABLE p (id integer PRIMARY KEY, a text UNIQUE, b integer, c integer, d integer, UNIQUE (b, c));
CREATE UNIQUE INDEX p_d ON p (d);
SELECT soft_delete.tag('p');
-- deleted rows that have the key of a live one, the key of each other, and none
INSERT INTO p VALUES (1, 'x', 1, 1, 1), (2, 'y', 1, 2, 2), (3, 'z', 2, 2, 3), (4, NULL, NULL, 4, NULL);
DELETE FROM p WHERE id IN (1, 3, 4);
INSERT INTO p VALUES (5, 'x', 1, 1, 1), (6, NULL, NULL, 4, NULL);
DELETE FROM p WHERE id IN (5, 6);
INSERT INTO p VALUES (7, 'x', 3, 3, 7);
SELECT * FROM keys('p');

-- who may not reference it changes nothing, nor does who fails
SET ROLE regress_keys_other;
CREATE TABLE c (id integer PRIMARY KEY, a text REFERENCES p (a));
SET ROLE regress_keys_owner;
\set VERBOSITY terse
CREATE TABLE c (id integer PRIMARY KEY, a integer REFERENCES p (a));
\set VERBOSITY default
CREATE TABLE c (id integer PRIMARY KEY, a integer REFERENCES p (no_such_column));
CREATE TABLE c (id integer PRIMARY KEY, a integer REFERENCES p (b));
SELECT * FROM keys('p');
GRANT REFERENCES (a) ON p TO regress_keys_other;
CREATE TABLE e (id integer PRIMARY KEY, b integer, c integer);
SET ROLE regress_keys_other;
-- nor does what has no consequences
ALTER TABLE IF EXISTS no_such_table ADD FOREIGN KEY (a) REFERENCES p (a);
ALTER TABLE e ADD FOREIGN KEY (a) REFERENCES p (a);
SET ROLE regress_keys_owner;
ALTER TABLE e ADD COLUMN IF NOT EXISTS b integer REFERENCES p (d);
SELECT * FROM keys('p');
SET ROLE regress_keys_other;

-- with the table, in another order, and with a column
CREATE TABLE c (id integer PRIMARY KEY, a text REFERENCES p (a));
SET ROLE regress_keys_owner;
ALTER TABLE e ADD FOREIGN KEY (c, b) REFERENCES p (c, b) ON UPDATE CASCADE;
ALTER TABLE e ADD COLUMN d integer REFERENCES p (d);
SELECT * FROM keys('p');
SELECT id, a, b, c, d FROM p ORDER BY id;
RESET ROLE;
SELECT id, a, b, c, d, stored_in = 'p_tombstones'::regclass AS aside FROM p_deleted ORDER BY id;
SET ROLE regress_keys_owner;

-- it sees live rows, and their keys only
SET ROLE regress_keys_other;
INSERT INTO c VALUES (1, 'x');
INSERT INTO c VALUES (2, 'z');
SET ROLE regress_keys_owner;
INSERT INTO e VALUES (1, 3, 3, 2);
INSERT INTO e VALUES (2, 2, 2, NULL);
INSERT INTO p VALUES (8, 'z', 2, 2, 3);
INSERT INTO e VALUES (2, 2, 2, 3);
UPDATE p SET b = 5 WHERE id = 8;
SELECT * FROM e ORDER BY id;
DELETE FROM p WHERE id = 7;
INSERT INTO p VALUES (9, 'z') ON CONFLICT (a) DO UPDATE SET c = 9 RETURNING id, c;

-- a deleted row comes back when its key is free
UPDATE p_deleted SET deleted_at = NULL WHERE id = 5;
UPDATE p_deleted SET deleted_at = NULL WHERE id = 6;
SELECT soft_delete.tag('p');
SELECT * FROM keys('p');

-- partitions
CREATE TABLE parted (id integer, a text, UNIQUE (id, a)) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (1) TO (10);
SELECT soft_delete.tag('parted');
INSERT INTO parted VALUES (1, 'x');
DELETE FROM parted;
INSERT INTO parted VALUES (1, 'x');
DELETE FROM parted;
INSERT INTO parted VALUES (1, 'x');
CREATE TABLE f (a text, id integer, FOREIGN KEY (a, id) REFERENCES parted (a, id));
INSERT INTO f VALUES ('x', 1);
INSERT INTO f VALUES ('x', 2);
SELECT count(*) FROM parted_deleted;
SELECT * FROM keys('parted') UNION ALL SELECT * FROM keys('part');
SELECT severity, problem FROM soft_delete.check();

RESET ROLE;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA keys_referenced CASCADE;
DROP ROLE regress_keys_owner, regress_keys_other;
