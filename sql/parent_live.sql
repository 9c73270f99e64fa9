-- a child of a deleted parent is refused with the error of a parent that is gone, on
-- every version: by the live filter up to 18, by a constraint trigger from 19 on
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins

CALL make($$
	CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE, a integer, b text, UNIQUE (a, b));
	CREATE TABLE child (id integer PRIMARY KEY, parent_id bigint REFERENCES parent,
		code varchar REFERENCES parent (code), a integer, b text,
		FOREIGN KEY (a, b) REFERENCES parent (a, b));
	CREATE TABLE self (id integer PRIMARY KEY, up integer REFERENCES self);
	CREATE TABLE pieces (id integer, parent_id integer REFERENCES parent) PARTITION BY LIST (id);
	CREATE TABLE pieces_1 PARTITION OF pieces FOR VALUES IN (1);
	CREATE TABLE regions (id integer PRIMARY KEY) PARTITION BY LIST (id);
	CREATE TABLE regions_1 PARTITION OF regions FOR VALUES IN (1, 2);
	CREATE TABLE regions_3 PARTITION OF regions FOR VALUES IN (3);
	INSERT INTO regions VALUES (1), (2), (3);
	INSERT INTO parent VALUES (1, 'one', 1, 'x'), (2, 'two', 2, 'y');
	INSERT INTO self VALUES (1, NULL), (2, 1);
	INSERT INTO child (id) VALUES (9);
$$);
-- untagged, and made after the tag
CALL make($$
	CREATE TABLE towns (region_id integer REFERENCES regions);
	CREATE TABLE rivers (region_id integer REFERENCES regions) PARTITION BY LIST (region_id);
	CREATE TABLE rivers_1 PARTITION OF rivers FOR VALUES IN (1, 2, 3);
	CREATE TABLE hills (region_id integer REFERENCES regions_1);
	CREATE TABLE pieces_2 PARTITION OF pieces FOR VALUES IN (2);
	CREATE TABLE younger (id integer PRIMARY KEY, parent_id integer);
	ALTER TABLE younger ADD CONSTRAINT younger_fk FOREIGN KEY (parent_id) REFERENCES parent ON UPDATE CASCADE;
	CREATE TABLE attached (LIKE pieces, CONSTRAINT own_name FOREIGN KEY (parent_id) REFERENCES parent);
	ALTER TABLE pieces ATTACH PARTITION attached FOR VALUES IN (3);
$$, tagged => false);

SELECT ask($$DELETE FROM parent WHERE id = 1$$);
SELECT ask($$INSERT INTO child (id, parent_id) VALUES (1, 1)$$);
SELECT ask($$INSERT INTO child (id, parent_id) VALUES (2, 2)$$);
SELECT ask($$INSERT INTO child (id, code) VALUES (3, 'one')$$);
SELECT ask($$INSERT INTO child (id, code) VALUES (4, 'two')$$);
SELECT ask($$INSERT INTO child (id, a, b) VALUES (5, 1, 'x')$$);
SELECT ask($$INSERT INTO child (id, a, b) VALUES (6, 1, NULL)$$);
SELECT ask($$UPDATE child SET parent_id = 1 WHERE id = 2$$);
SELECT ask($$UPDATE child SET b = 'z' WHERE id = 2$$);
SELECT ask($$UPDATE child SET parent_id = 2, code = 'one' WHERE id = 9$$);
SELECT ask($$INSERT INTO child (id, parent_id) SELECT g, g - 9 FROM generate_series(10, 12) g$$);
SELECT ask($$DELETE FROM self WHERE id = 2$$);
SELECT ask($$INSERT INTO self VALUES (3, 2)$$);
SELECT ask($$INSERT INTO self VALUES (4, 4), (5, 4)$$);
SELECT ask($$INSERT INTO pieces VALUES (1, 1)$$);
SELECT ask($$INSERT INTO pieces VALUES (2, 1)$$);
SELECT ask($$INSERT INTO pieces VALUES (3, 1)$$);
SELECT ask($$INSERT INTO pieces VALUES (1, 2), (2, 2), (3, 2)$$);
SELECT ask($$UPDATE pieces SET id = 2 WHERE id = 1$$);
SELECT ask($$DELETE FROM regions WHERE id = 2$$);
SELECT ask(format('INSERT INTO %s VALUES (%s)', child, parent))
FROM unnest('{towns,rivers,hills}'::text[]) child, generate_series(1, 3) parent;
SELECT ask($$INSERT INTO younger VALUES (1, 1)$$);
SELECT ask($$INSERT INTO younger VALUES (2, 2)$$);
SELECT ask($$WITH gone AS (DELETE FROM child WHERE id IN (2, 4)) SELECT 1$$);
SELECT ask($$MERGE INTO younger USING (VALUES (2, 1)) v(id, p) ON v.id = younger.id WHEN MATCHED THEN UPDATE SET parent_id = p$$);

COPY hard.child (id, parent_id) FROM stdin;
20	1
\.
COPY soft.child (id, parent_id) FROM stdin;
20	1
\.

-- keys of every kind: other types, cast or not, domains, collations, arrays,
-- columns in another order than the index has them
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE DOMAIN word AS varchar CHECK (VALUE <> '');
CREATE DOMAIN amount AS smallint;
CALL make($$
	CREATE TABLE keyed (n numeric UNIQUE, i integer UNIQUE, t text UNIQUE, c text COLLATE twins.caseless UNIQUE, p char(5) UNIQUE,
		e twins.mood UNIQUE, l integer[] UNIQUE, u uuid UNIQUE, x integer, y bigint, z text, note text, PRIMARY KEY (x, y, z));
	CREATE TABLE keys (n integer REFERENCES keyed (n), i twins.amount REFERENCES keyed (i), t twins.word REFERENCES keyed (t),
		c text COLLATE twins.caseless REFERENCES keyed (c), p char(9) REFERENCES keyed (p), e twins.mood REFERENCES keyed (e),
		l integer[] REFERENCES keyed (l), u uuid REFERENCES keyed (u), x smallint, y integer, z varchar,
		FOREIGN KEY (z, x, y) REFERENCES keyed (z, x, y) MATCH FULL);
	INSERT INTO keyed SELECT g, g, 't' || g, 'c' || g, 'p' || g, CASE g WHEN 1 THEN 'glad' WHEN 2 THEN 'sad' END::twins.mood, ARRAY[g],
		md5(g::text)::uuid, g, g + 1, repeat('z', g * 40) FROM generate_series(1, 3) g;
	CREATE TABLE parts (id integer, i integer REFERENCES keyed (i)) PARTITION BY LIST (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
	CREATE TABLE orphan (n numeric);
	INSERT INTO orphan VALUES (7.0), (8.0);
	ALTER TABLE orphan ADD CONSTRAINT orphan_fk FOREIGN KEY (n) REFERENCES keyed (n) NOT VALID;
$$, tagged => false);
SELECT soft_delete.tag('soft.keyed');
SELECT ask($$DELETE FROM keyed WHERE x = 1$$);
SELECT ask(format('INSERT INTO keys (%s) VALUES (%s)', columns, key))
FROM (VALUES ('n', '1'), ('n', '2'), ('i', '1'), ('i', '2'), ('t', $$'t1'$$), ('t', $$'t2'$$),
	('c', $$'C1'$$), ('c', $$'C2'$$), ('p', $$'p1'$$), ('p', $$'p2 '$$), ('e', $$'glad'$$), ('e', $$'sad'$$),
	('l', $$'{1}'$$), ('l', $$'{2}'$$), ('u', $$md5('1')::uuid$$), ('u', $$md5('2')::uuid$$),
	('x, y, z', $$1, 2, repeat('z', 40)$$), ('x, y, z', $$2, 3, repeat('z', 80)$$),
	('x, y, z', $$2, 3, repeat('z', 40)$$), ('x, y', '1, 2')) k(columns, key);

SELECT ask(format('INSERT INTO parts VALUES (1, %s)', parent)) FROM generate_series(1, 2) parent;

-- many children in one statement, of the same and of different parents
SELECT ask($$INSERT INTO keys (n) SELECT g % 2 + 2 FROM generate_series(1, 100) g$$);
SELECT ask($$INSERT INTO keys (n) SELECT g / 99 + 3 FROM generate_series(1, 100) g$$);
SELECT ask($$INSERT INTO keys (n) SELECT 3 - g / 50 FROM generate_series(1, 100) g$$);

-- an equal key is not checked, even where there is no parent
SELECT ask($$UPDATE orphan SET n = 7.00 WHERE n = 7$$);
SELECT ask($$UPDATE orphan SET n = 1 WHERE n = 8$$);

-- a parent deleted or born in the same statement or transaction, or in a
-- subtransaction that was rolled back
SELECT ask($$WITH gone AS (DELETE FROM keyed WHERE x = 3 AND y = 0) INSERT INTO keys (i) VALUES (3)$$);
SELECT ask($$WITH born AS (INSERT INTO keyed (n, i, x, y, z) VALUES (4, 4, 4, 4, '') RETURNING n, i) INSERT INTO keys (n, i) SELECT n, i FROM born$$);
SELECT ask($$INSERT INTO keyed (n, i, x, y, z) SELECT g, g, g, g, '' FROM generate_series(5, 7) g$$);
SELECT ask($$WITH gone AS (DELETE FROM keyed WHERE x = 7) INSERT INTO keys (i) VALUES (7)$$);
CREATE FUNCTION twins.refer(parent integer, restored boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		DELETE FROM keyed WHERE x = parent;
		IF restored THEN
			RAISE division_by_zero;
		END IF;
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
	INSERT INTO keys (i) VALUES (parent);
END
$$;
SELECT ask($$SELECT twins.refer(5, true)$$);
SELECT ask($$SELECT twins.refer(6, false)$$);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT ask($$SELECT twins.refer(6, true)$$);
SELECT ask($$DELETE FROM keys WHERE i = 6$$);
SELECT ask($$DELETE FROM keyed WHERE x = 6$$);
SELECT ask($$INSERT INTO keys (i) VALUES (6)$$);
COMMIT;

-- a parent of which there are several versions
SELECT ask($$UPDATE keyed SET note = 'two' WHERE x = 2$$);
SELECT ask($$UPDATE keyed SET note = NULL, y = y WHERE x = 2$$);
SELECT ask($$INSERT INTO keys (n, i, t) VALUES (2, 2, 't2')$$);

-- row security of the parent hides it from queries, not from foreign keys
ALTER TABLE hard.keyed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE soft.keyed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT ask($$INSERT INTO keys (n) SELECT n FROM keyed$$);
SELECT ask($$INSERT INTO keys (n) VALUES (2)$$);
SELECT ask($$INSERT INTO keys (n) VALUES (1)$$);

-- a role that may not read the child is not told the key
RESET ROLE;
CREATE ROLE regress_twins_writer;
GRANT USAGE ON SCHEMA hard, soft, twins TO regress_twins_writer;
GRANT INSERT ON hard.younger, soft.younger TO regress_twins_writer;
SET ROLE regress_twins_writer;
SELECT ask($$INSERT INTO younger VALUES (3, 1)$$);
RESET ROLE;

-- show_deleted shows; it makes no parent
SET soft_delete.show_deleted = on;
INSERT INTO hard.younger VALUES (4, 1);
INSERT INTO soft.younger VALUES (4, 1);
RESET soft_delete.show_deleted;

-- no guard is left behind, and none takes its foreign key along
SELECT soft_delete_internal.set_reference_triggers(oid) FROM pg_constraint WHERE conname = 'younger_fk';
SET ROLE regress_twins_writer;
SELECT soft_delete_internal.set_reference_triggers(max(oid)) FROM pg_constraint WHERE conname = 'younger_fk';
RESET ROLE;
SELECT soft_delete_internal.set_reference_triggers(0);
SET ROLE regress_twins_writer;
RESET ROLE;
SELECT soft_delete.untag(t, tombstones => 'purge') FROM unnest('{soft.parent,soft.keyed,soft.regions}'::regclass[]) t;
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'soft_delete_internal.check_parent()'::regprocedure AND tgconstraint IN
	(SELECT oid FROM pg_constraint WHERE connamespace = 'soft'::regnamespace AND confrelid <> 'soft.self'::regclass);
SELECT conname FROM pg_constraint WHERE conrelid = 'soft.younger'::regclass AND contype = 'f';

DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins, regress_twins_writer;
