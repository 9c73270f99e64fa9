-- a row whose key is taken comes back under another one, by the bin, and nothing else of it changes
\set SHOW_CONTEXT never
CREATE ROLE regress_rekeys;
CREATE ROLE regress_rekeys_support;
CREATE SCHEMA rekeys AUTHORIZATION regress_rekeys;
SET ROLE regress_rekeys;
SET search_path = rekeys;
CREATE DOMAIN address AS text CHECK (value LIKE '%@%');
CREATE FUNCTION make(storage text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TABLE person (id integer PRIMARY KEY, email address UNIQUE, code varchar(4) NOT NULL UNIQUE, name text,
		sorted text GENERATED ALWAYS AS (lower(email)) STORED UNIQUE, CHECK (code <> 'none'));
	CREATE TABLE letter (id integer PRIMARY KEY, person_id integer REFERENCES person ON DELETE CASCADE);
	PERFORM soft_delete.tag('person', cascade => true, storage => make.storage);
	INSERT INTO person VALUES (1, 'A@x', 'a', 'Ann'), (2, 'b@x', 'b', 'Bob');
	INSERT INTO letter VALUES (1, 1);
	DELETE FROM person WHERE id = 1;
	INSERT INTO person VALUES (3, 'A@x', 'a', 'Another');
	GRANT SELECT, UPDATE (deleted_at) ON person_deleted TO regress_rekeys_support;
END
$$;
GRANT USAGE ON SCHEMA rekeys TO regress_rekeys_support;

-- in place
SELECT make('in_place');
UPDATE person_deleted SET deleted_at = NULL;
-- what the server would refuse
UPDATE person_deleted SET deleted_at = NULL, email = 'nowhere', code = 'c';
UPDATE person_deleted SET deleted_at = NULL, email = 'c@x', code = NULL;
UPDATE person_deleted SET deleted_at = NULL, email = 'c@x', code = 'long code';
UPDATE person_deleted SET deleted_at = NULL, email = 'b@x', code = 'c';
\set VERBOSITY terse
UPDATE person_deleted SET deleted_at = NULL, email = 'c@x', code = 'none';
-- no other columns, none that foreign keys reference, nothing without a restore
UPDATE person_deleted SET deleted_at = NULL, name = 'Other';
UPDATE person_deleted SET deleted_at = NULL, sorted = 'other';
UPDATE person_deleted SET deleted_at = NULL, id = 7;
UPDATE person_deleted SET email = 'c@x';
\set VERBOSITY default
-- what is held is known by its key
SELECT soft_delete.hold('person', 1, 'case');
UPDATE person_deleted SET deleted_at = NULL, email = 'c@x', code = 'c';
SELECT soft_delete.lift('case');
SET ROLE regress_rekeys_support;
UPDATE person_deleted SET deleted_at = NULL, email = 'c@x', code = 'c';
SET ROLE regress_rekeys;
UPDATE person_deleted SET deleted_at = NULL, email = 'C@x', code = 'c' WHERE id = 1 RETURNING email;
SELECT id, email, code, name, sorted FROM person ORDER BY id;
SELECT id, person_id FROM letter;
SELECT count(*) FROM person_deleted;
DROP TABLE person, letter;

-- aside
SELECT make('aside');
UPDATE person_deleted SET deleted_at = NULL;
-- what the server would refuse
UPDATE person_deleted SET deleted_at = NULL, email = 'nowhere', code = 'c';
UPDATE person_deleted SET deleted_at = NULL, email = 'c@x', code = NULL;
UPDATE person_deleted SET deleted_at = NULL, email = 'c@x', code = 'long code';
UPDATE person_deleted SET deleted_at = NULL, email = 'b@x', code = 'c';
\set VERBOSITY terse
UPDATE person_deleted SET deleted_at = NULL, email = 'c@x', code = 'none';
-- no other columns, none that foreign keys reference, nothing without a restore
UPDATE person_deleted SET deleted_at = NULL, name = 'Other';
UPDATE person_deleted SET deleted_at = NULL, sorted = 'other';
UPDATE person_deleted SET deleted_at = NULL, id = 7;
UPDATE person_deleted SET email = 'c@x';
\set VERBOSITY default
-- what is held is known by its key
SELECT soft_delete.hold('person', 1, 'case');
UPDATE person_deleted SET deleted_at = NULL, email = 'c@x', code = 'c';
SELECT soft_delete.lift('case');
SET ROLE regress_rekeys_support;
UPDATE person_deleted SET deleted_at = NULL, email = 'c@x', code = 'c';
SET ROLE regress_rekeys;
UPDATE person_deleted SET deleted_at = NULL, email = 'C@x', code = 'c' WHERE id = 1 RETURNING email;
SELECT id, email, code, name, sorted FROM person ORDER BY id;
SELECT id, person_id FROM letter;
SELECT count(*) FROM person_deleted;
DROP TABLE person, letter;

-- a primary key that tombstones share, many rows at once, keys of partitions and of exclusion constraints
CREATE TABLE w (id integer PRIMARY KEY, k integer UNIQUE DEFERRABLE);
SELECT soft_delete.tag('w');
INSERT INTO w SELECT g, g FROM generate_series(1, 3) AS g;
DELETE FROM w;
INSERT INTO w SELECT g, g FROM generate_series(1, 3) AS g;
UPDATE w_deleted SET deleted_at = NULL, id = id + 1;
UPDATE w_deleted SET deleted_at = NULL, id = id + 10, k = k + 10;
SELECT id, k FROM w ORDER BY id;
CREATE TABLE p (id integer, k integer, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2);
SELECT soft_delete.tag('p');
INSERT INTO p VALUES (1, 1);
DELETE FROM p;
INSERT INTO p VALUES (1, 1);
UPDATE p_deleted SET deleted_at = NULL, k = 2;
UPDATE p_deleted SET deleted_at = NULL, id = 2;
SELECT tableoid::regclass, id, k FROM p ORDER BY id;
CREATE TABLE e (id integer PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&));
SELECT soft_delete.tag('e');
INSERT INTO e VALUES (1, '[1,5)');
DELETE FROM e;
INSERT INTO e VALUES (2, '[3,4)');
UPDATE e_deleted SET deleted_at = NULL;
-- the hint finds the live row
SELECT * FROM rekeys.e WHERE r && '[1,5)'::int4range;
UPDATE e_deleted SET deleted_at = NULL, r = '[5,9)';
SELECT id, r FROM e ORDER BY id;
-- what the expression of a key reads, in either storage
CREATE TABLE low (id integer PRIMARY KEY, email text, note text);
CREATE UNIQUE INDEX low_email ON low (lower(email)) WHERE note IS NOT NULL;
CREATE TABLE low_aside (LIKE low INCLUDING ALL);
SELECT soft_delete.tag('low'), soft_delete.tag('low_aside', storage => 'aside');
INSERT INTO low VALUES (1, 'Ann', 'a');
INSERT INTO low_aside VALUES (1, 'Ann', 'a');
DELETE FROM low;
DELETE FROM low_aside;
INSERT INTO low VALUES (2, 'ANN', 'b');
INSERT INTO low_aside VALUES (2, 'ANN', 'b');
UPDATE low_deleted SET deleted_at = NULL, note = NULL;
UPDATE low_deleted SET deleted_at = NULL, email = 'ann';
UPDATE low_aside_deleted SET deleted_at = NULL, email = 'ann';
UPDATE low_deleted SET deleted_at = NULL, email = 'Anna';
UPDATE low_aside_deleted SET deleted_at = NULL, email = 'Anna';
SELECT * FROM low_active UNION ALL SELECT * FROM low_aside ORDER BY id, email;
RESET ROLE;
DROP SCHEMA rekeys CASCADE;
DROP ROLE regress_rekeys, regress_rekeys_support;
