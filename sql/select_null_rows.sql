-- "row IS [NOT] NULL" asks for the application's columns, as with hard deletes
\i sql/rows.inc
SELECT make($$
	CREATE TABLE a (id integer PRIMARY KEY, x text);
	CREATE TABLE b (a_id integer, y text, n integer);
	CREATE TABLE p (id integer, x text) PARTITION BY LIST (id);
	CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1, 2);
	CREATE TABLE p2 PARTITION OF p FOR VALUES IN (3, 4);
	CREATE TABLE dropped (id integer, gone text, x text);
	ALTER TABLE dropped DROP gone;
	CREATE TABLE empty ();
	INSERT INTO a VALUES (1, 'one'), (2, NULL), (3, 'three'), (4, 'four');
	INSERT INTO b VALUES (1, 'one', 1), (3, NULL, NULL), (NULL, NULL, NULL), (4, 'four', 4);
	INSERT INTO p SELECT * FROM a;
	INSERT INTO dropped VALUES (1, 'one'), (NULL, NULL), (3, NULL), (4, 'four');
	INSERT INTO empty DEFAULT VALUES;
	INSERT INTO empty DEFAULT VALUES;
	CREATE VIEW old_view AS SELECT * FROM a;
	CREATE VIEW tests_view AS SELECT id, a IS NOT NULL AS whole FROM a$$);
SELECT make('SELECT soft_delete.tag(t) FROM unnest(''{a,b,p,dropped,empty}''::regclass[]) t', '{soft}');
SELECT make($$
	DELETE FROM a WHERE id = 4;
	DELETE FROM b WHERE n = 4;
	DELETE FROM p WHERE id = 4;
	DELETE FROM dropped WHERE id = 4;
	CREATE VIEW new_view AS SELECT * FROM a;
	CREATE VIEW view_of_view AS SELECT upper(x) AS y, v.* FROM (SELECT * FROM new_view) v;
	CREATE VIEW union_view AS SELECT * FROM a UNION ALL SELECT * FROM p;
	CREATE VIEW outer_view AS SELECT a.id, b IS NULL AS none, b IS NOT NULL AS whole FROM a LEFT JOIN b ON b.a_id = a.id;
	CREATE FUNCTION row_of(a) RETURNS boolean LANGUAGE sql AS 'SELECT $1 IS NOT NULL';
	CREATE FUNCTION row_of_atomic(r a) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN r IS NOT NULL;
	CREATE FUNCTION one(k integer) RETURNS a LANGUAGE sql STABLE AS 'SELECT a FROM a WHERE id = k';
	CREATE FUNCTION all_of() RETURNS SETOF a LANGUAGE sql STABLE AS 'SELECT * FROM a';
	CREATE FUNCTION whole() RETURNS SETOF integer LANGUAGE sql STABLE AS 'SELECT id FROM a WHERE a IS NOT NULL';
	CREATE FUNCTION whole_atomic() RETURNS SETOF integer LANGUAGE sql STABLE BEGIN ATOMIC SELECT id FROM a WHERE a IS NOT NULL; END;
	CREATE FUNCTION whole_volatile() RETURNS SETOF integer LANGUAGE sql AS 'SELECT id FROM a WHERE a IS NOT NULL';
	CREATE FUNCTION whole_view() RETURNS SETOF tests_view LANGUAGE sql STABLE AS 'SELECT * FROM tests_view WHERE whole';
	CREATE FUNCTION loop() RETURNS text LANGUAGE plpgsql AS 'DECLARE r a; s text = ''''; BEGIN
		FOR r IN SELECT * FROM a ORDER BY id LOOP s := s || '' '' || r.id || (r IS NOT NULL) || (r IS NULL); END LOOP;
		SELECT * INTO r FROM a WHERE id = 0; RETURN s || (r IS NULL) || (r IS NOT NULL); END'$$);
\set ECHO queries
-- in each clause
SELECT compare('SELECT id, a IS NULL, a IS NOT NULL, NOT (a IS NULL), a.* IS NOT NULL FROM a');
SELECT compare('SELECT y, b IS NULL, b IS NOT NULL FROM b');
SELECT compare('SELECT id FROM a WHERE a IS NOT NULL');
SELECT compare('SELECT count(*) FROM b WHERE b IS NULL');
SELECT compare('SELECT count(*) FILTER (WHERE a IS NOT NULL), bool_and(a IS NOT NULL) FROM a');
SELECT compare('SELECT x, count(*) FROM a GROUP BY a, x HAVING a IS NOT NULL');
SELECT compare('SELECT a IS NOT NULL, count(*) FROM a GROUP BY a IS NOT NULL');
SELECT compare('SELECT a IS NULL, a IS NOT NULL, count(*) FROM a GROUP BY ROLLUP (a)');
SELECT compare('SELECT id, a IS NOT NULL FROM a GROUP BY id');
SELECT compare('SELECT s IS NOT NULL, count(*) FROM (SELECT * FROM a) s GROUP BY s');
SELECT compare('SELECT id, CASE WHEN a IS NOT NULL THEN 1 WHEN a IS NULL THEN 2 END FROM a ORDER BY a IS NULL, id');
SELECT compare('SELECT id, row_number() OVER (PARTITION BY a IS NOT NULL ORDER BY id) FROM a');
SELECT compare('SELECT DISTINCT ON (a IS NOT NULL) id FROM a ORDER BY a IS NOT NULL, id');
-- of all kinds of tables
SELECT compare('SELECT id, p IS NOT NULL FROM p');
SELECT compare('SELECT id, p1 IS NOT NULL FROM p1');
SELECT compare('SELECT id, d IS NULL, d IS NOT NULL FROM dropped d');
SELECT compare('SELECT e IS NULL, e IS NOT NULL FROM empty e');
SELECT compare('SELECT count(*), count(o) FROM a LEFT JOIN empty o ON a.id = 1 WHERE o IS NULL');
-- nullable sides of outer joins
SELECT compare('SELECT a.id, b IS NULL, b IS NOT NULL FROM a LEFT JOIN b ON b.a_id = a.id');
SELECT compare('SELECT a.id FROM a LEFT JOIN b ON b.a_id = a.id WHERE b IS NOT NULL');
SELECT compare('SELECT a.id FROM a LEFT JOIN b ON b.a_id = a.id WHERE b IS NULL');
SELECT compare('SELECT a.id FROM a LEFT JOIN b ON b.a_id = a.id AND b IS NOT NULL');
SELECT compare('SELECT a.id, b.y FROM a LEFT JOIN b ON b.a_id = a.id AND a IS NOT NULL');
SELECT compare('SELECT a.id, b.y FROM b RIGHT JOIN a ON b.a_id = a.id WHERE b IS NULL');
SELECT compare('SELECT a.id, b.y, a IS NULL, b IS NULL FROM a FULL JOIN b ON b.a_id = a.id');
SELECT compare('SELECT a.id, c.id FROM a LEFT JOIN b ON b.a_id = a.id LEFT JOIN a c ON c.id = b.n WHERE c IS NULL OR b IS NOT NULL');
SELECT compare('SELECT j IS NULL, j IS NOT NULL FROM (a LEFT JOIN b ON b.a_id = a.id) j');
SELECT compare('SELECT i.k, j IS NULL FROM generate_series(1, 4) i(k) LEFT JOIN (a JOIN b ON b.a_id = a.id) j ON j.id = i.k');
-- subqueries, WITH, set operations
SELECT compare('SELECT (SELECT a IS NOT NULL), a.id FROM a');
SELECT compare('SELECT b.n FROM b WHERE EXISTS (SELECT FROM a WHERE a.id = b.a_id AND b IS NOT NULL AND a IS NOT NULL)');
SELECT compare('SELECT (SELECT a FROM a WHERE id = k) IS NOT NULL, (SELECT a FROM a WHERE id = k) IS NULL FROM generate_series(1, 4) k');
SELECT compare('SELECT id, s IS NOT NULL FROM (SELECT * FROM a) s');
SELECT compare('SELECT id, s IS NOT NULL FROM (SELECT * FROM a OFFSET 0) s');
SELECT compare('SELECT (q.s).id, q.s IS NOT NULL FROM (SELECT a AS s FROM a OFFSET 0) q');
SELECT compare('SELECT q.s IS NOT NULL FROM (SELECT s FROM (SELECT * FROM a OFFSET 0) s OFFSET 0) q');
SELECT compare('SELECT id, l IS NOT NULL FROM b LEFT JOIN LATERAL (SELECT * FROM a WHERE id = b.a_id) l ON true');
SELECT compare('WITH w AS MATERIALIZED (SELECT * FROM a) SELECT id, w IS NOT NULL, (SELECT w IS NULL) FROM w');
SELECT compare('WITH w AS (SELECT * FROM a) SELECT (SELECT count(*) FROM w WHERE w IS NOT NULL)');
SELECT compare('SELECT u.id, u IS NOT NULL FROM (SELECT * FROM a UNION ALL SELECT * FROM p) u');
SELECT compare('SELECT u.id, u IS NOT NULL FROM (SELECT * FROM a UNION SELECT * FROM p EXCEPT SELECT * FROM p WHERE id = 3) u');
SELECT compare('WITH RECURSIVE w AS (SELECT * FROM a WHERE id = 1 UNION ALL SELECT a.* FROM w JOIN a ON a.id = w.id + 1) SELECT w.id, w IS NOT NULL FROM w');
SELECT compare('SELECT id, (array_agg(a))[1] IS NOT NULL FROM a GROUP BY id');
-- views
SELECT compare('SELECT id, v IS NOT NULL FROM old_view v');
SELECT compare('SELECT id, v IS NOT NULL FROM new_view v');
SELECT compare('SELECT id, v IS NOT NULL FROM union_view v');
SELECT compare('SELECT * FROM tests_view');
SELECT compare('SELECT * FROM outer_view');
SELECT compare('SELECT id, v IS NOT NULL FROM view_of_view v');
-- functions, inlined or not
SELECT compare('SELECT id, row_of(a), row_of_atomic(a) FROM a');
SELECT compare('SELECT k, one(k) IS NOT NULL, one(k) IS NULL FROM generate_series(1, 4) k');
SELECT compare('SELECT r.id, r IS NOT NULL FROM all_of() r');
SELECT compare('SELECT r.id, r.ordinality, r IS NOT NULL FROM all_of() WITH ORDINALITY r');
SELECT compare('SELECT r IS NULL FROM generate_series(1, 4) k LEFT JOIN ROWS FROM (all_of(), generate_series(1, 4)) r(id) ON r.id = k');
SELECT compare('SELECT all_of() IS NOT NULL');
SELECT compare('SELECT * FROM whole()');
SELECT compare('SELECT * FROM whole_atomic()');
SELECT compare('SELECT * FROM whole_volatile()');
SELECT compare('SELECT * FROM whole_view()');
SELECT compare('SELECT loop()');
-- statements that write
SELECT compare('INSERT INTO a VALUES (5, ''five''), (6, NULL) RETURNING id, a IS NOT NULL');
SELECT compare('INSERT INTO a VALUES (5, ''six''), (6, ''six'') ON CONFLICT (id) DO UPDATE SET x = excluded.x WHERE a IS NOT NULL AND excluded IS NOT NULL RETURNING a.id, x');
SELECT compare('INSERT INTO new_view VALUES (7, NULL), (8, ''eight'') RETURNING id, new_view IS NOT NULL');
SELECT compare('UPDATE a SET x = upper(x) WHERE a IS NOT NULL RETURNING id, x, a IS NOT NULL');
SELECT compare('UPDATE a SET x = b.y FROM b WHERE b.a_id = a.id AND b IS NOT NULL RETURNING a.id');
SELECT compare('UPDATE new_view v SET x = ''v'' WHERE v IS NOT NULL AND id > 6 RETURNING id, v IS NOT NULL');
SELECT compare('DELETE FROM a WHERE a IS NOT NULL AND id > 6 RETURNING id, a IS NOT NULL');
SELECT compare('WITH gone AS (DELETE FROM a WHERE id = 5 RETURNING *) SELECT id, gone IS NOT NULL FROM gone');
SELECT make('MERGE INTO a USING b ON a.id = b.a_id WHEN MATCHED AND a IS NOT NULL AND b IS NOT NULL THEN UPDATE SET x = ''merged''');
SELECT compare('SELECT id, x FROM a');
\set ECHO none
SELECT make($$
	CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
		RAISE NOTICE ''% whole, row % %'', (SELECT count(*) FROM gone WHERE gone IS NOT NULL), OLD IS NOT NULL, NEW IS NULL; RETURN NULL; END';
	CREATE TRIGGER seen AFTER DELETE ON a REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION seen()$$);
\set ECHO queries
-- transition tables
SELECT compare('DELETE FROM a WHERE id < 3 RETURNING id');
-- a plan is made anew when the row type gets a tombstone column, or loses it
SET plan_cache_mode = force_generic_plan;
SET search_path = soft;
CREATE TABLE late (id integer, x text);
INSERT INTO late VALUES (1, 'one'), (2, NULL);
PREPARE whole(integer) AS SELECT id FROM late WHERE late IS NOT NULL AND id >= $1;
PREPARE given(late) AS SELECT $1 IS NOT NULL;
EXECUTE whole(0);
EXECUTE given(ROW(1, 'one'));
SELECT soft_delete.tag('late');
EXECUTE whole(0);
EXECUTE given(ROW(1, 'one', NULL));
ALTER TABLE late ADD z integer;
EXECUTE whole(0);
EXECUTE given(ROW(1, 'one', NULL, 3));
EXECUTE given(ROW(1, 'one', NULL, NULL));
SELECT soft_delete.untag('late');
EXECUTE given(ROW(1, 'one', NULL, 3));
EXECUTE given(ROW(1, 'one', now(), 3));
SET plan_cache_mode = auto;
-- the planner uses the tests of columns; a table that is not tagged keeps its test
SET search_path = compared;
EXPLAIN (COSTS OFF) SELECT FROM soft.a LEFT JOIN soft.b ON b.a_id = a.id WHERE b IS NULL;
EXPLAIN (COSTS OFF) SELECT FROM hard.a LEFT JOIN hard.b ON b.a_id = a.id WHERE b IS NULL;
EXPLAIN (COSTS OFF, VERBOSE) SELECT (array_agg(a))[1] IS NOT NULL FROM soft.a;
-- nor is a function kept from being inlined for nothing
SET search_path = hard;
EXPLAIN (COSTS OFF) SELECT * FROM whole();
SET search_path = soft;
EXPLAIN (COSTS OFF) SELECT * FROM whole();
EXPLAIN (COSTS OFF) SELECT * FROM all_of();
-- whoever sees deleted rows sees them by the same rule
SET search_path = soft;
SET row_security = off;
SELECT id, a IS NOT NULL FROM a ORDER BY id, x;
SET row_security = on;
SELECT id, a IS NOT NULL FROM a TABLESAMPLE soft_delete.rows('deleted') ORDER BY id, x;
-- a query of nothing but the tombstone column asks for that
SELECT count(*) FROM (SELECT deleted_at FROM a TABLESAMPLE soft_delete.rows('all')) s WHERE s IS NOT NULL;
\set ECHO none
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA hard, soft, compared CASCADE;
DROP ROLE regress_rows;
