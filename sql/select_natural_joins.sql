-- NATURAL JOIN joins tagged tables by the application's columns, as with hard deletes
\i sql/rows.inc
SELECT make($$
	CREATE TABLE a (id integer, x text);
	CREATE TABLE b (id integer, y text);
	CREATE TABLE c (y text, z integer);
	CREATE TABLE untagged (id integer, w integer);
	INSERT INTO a VALUES (1, 'one'), (2, 'two'), (3, 'three');
	INSERT INTO b VALUES (1, 'I'), (2, 'II'), (3, 'III'), (4, 'IV');
	INSERT INTO c VALUES ('I', 11), ('IV', 44);
	INSERT INTO untagged VALUES (1, 1), (3, 3);
	CREATE VIEW old_view AS SELECT id, x, y FROM a NATURAL JOIN b$$);
SELECT make('SELECT soft_delete.tag(t) FROM unnest(''{a,b,c}''::regclass[]) t', '{soft}');
SELECT make('ALTER TABLE untagged ADD deleted_at timestamptz', '{soft}');
SELECT make($$
	DELETE FROM a WHERE id = 3;
	DELETE FROM b WHERE id = 2;
	CREATE VIEW v_a AS SELECT * FROM a;
	CREATE VIEW natural_view AS SELECT id, x, y FROM a NATURAL LEFT JOIN b;
	DO 'BEGIN EXECUTE ''CREATE VIEW reloaded AS '' || pg_get_viewdef(''natural_view''::regclass); END';
	CREATE FUNCTION inlined() RETURNS SETOF natural_view LANGUAGE sql STABLE AS 'SELECT * FROM natural_view';
	CREATE FUNCTION atomic() RETURNS TABLE (id integer, y text) LANGUAGE sql STABLE BEGIN ATOMIC SELECT id, y FROM a NATURAL JOIN b; END;
	CREATE FUNCTION called() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM a NATURAL JOIN b); END';
	CREATE FUNCTION all_of() RETURNS SETOF a LANGUAGE sql STABLE AS 'SELECT * FROM a'$$);
\set ECHO queries
SELECT compare('SELECT id, x, y FROM a NATURAL JOIN b');
SELECT compare('SELECT id, x, y FROM a NATURAL LEFT JOIN b');
SELECT compare('SELECT id, x, y FROM a NATURAL RIGHT JOIN b');
SELECT compare('SELECT id, x, y FROM a NATURAL FULL JOIN b');
SELECT compare('SELECT id, x, y, z FROM a NATURAL JOIN b NATURAL JOIN c');
SELECT compare('SELECT id, x, y, z FROM a NATURAL FULL JOIN b NATURAL FULL JOIN c');
SELECT compare('SELECT id, x, y, z FROM a NATURAL LEFT JOIN (b NATURAL JOIN c)');
SELECT compare('SELECT id, z FROM (a NATURAL JOIN b) NATURAL JOIN c AS j');
-- no common column is a cross join
SELECT compare('SELECT a.id, z FROM a NATURAL JOIN c');
SELECT compare('SELECT a.id, z FROM a NATURAL FULL JOIN c');
-- a table to itself, to an untagged one, to what selects from it
SELECT compare('SELECT id, a.x FROM a NATURAL JOIN a AS other');
SELECT compare('SELECT id, x, w FROM a NATURAL JOIN untagged');
SELECT compare('SELECT id, x, w FROM untagged NATURAL LEFT JOIN a');
SELECT compare('SELECT id, x, y FROM v_a NATURAL JOIN b');
SELECT compare('SELECT id, x, y FROM (SELECT * FROM a) s NATURAL JOIN (SELECT * FROM b OFFSET 0) t');
SELECT compare('WITH w AS (SELECT * FROM a) SELECT id, x, y FROM w NATURAL JOIN b');
SELECT compare('SELECT id, x, y FROM (SELECT * FROM a UNION ALL SELECT * FROM a) s NATURAL JOIN b');
SELECT compare('SELECT id, x, y FROM all_of() NATURAL JOIN b');
SELECT compare('SELECT j.id, j IS NOT NULL FROM (a NATURAL LEFT JOIN b) j');
-- in views and functions, and in a view as a dump has it
SELECT compare('SELECT * FROM old_view');
SELECT compare('SELECT * FROM natural_view');
SELECT compare('SELECT * FROM reloaded');
SELECT compare('SELECT * FROM inlined()');
SELECT compare('SELECT * FROM atomic()');
SELECT compare('SELECT called()');
SELECT compare('SELECT id, (SELECT count(*) FROM a NATURAL JOIN b WHERE b.id = c.z / 11) FROM b JOIN c USING (y)');
-- in what writes
SELECT compare('UPDATE c SET z = z + 1 FROM a NATURAL JOIN b WHERE b.y = c.y RETURNING c.z');
SELECT compare('DELETE FROM c USING a NATURAL JOIN b WHERE b.y = c.y RETURNING c.z');
SELECT compare('INSERT INTO c SELECT y, id FROM a NATURAL JOIN b RETURNING z');
-- prepared, with a generic plan
SET plan_cache_mode = force_generic_plan;
SET search_path = soft;
PREPARE joined(integer) AS SELECT id, x, y FROM a NATURAL JOIN b WHERE id >= $1;
EXECUTE joined(0);
EXECUTE joined(2);
SET plan_cache_mode = auto;
EXPLAIN (COSTS OFF) SELECT id FROM a NATURAL JOIN b;
-- by hand: what was deleted together; rows that are not deleted do not join by it
SELECT a.id, b.id FROM a JOIN b USING (deleted_at);
SELECT a.id, b.id FROM a JOIN b ON a.id = b.id AND a.deleted_at = b.deleted_at;
SELECT a.id, b.id FROM a TABLESAMPLE soft_delete.rows('all') JOIN b TABLESAMPLE soft_delete.rows('all') USING (id, deleted_at);
WITH gone AS (DELETE FROM a WHERE id = 1 RETURNING id) DELETE FROM b USING gone WHERE b.id = gone.id;
SELECT a.id, b.id FROM a TABLESAMPLE soft_delete.rows('all') JOIN b TABLESAMPLE soft_delete.rows('all') USING (id, deleted_at);
SELECT a.id, b.y FROM a_deleted a JOIN b_deleted b USING (id, deleted_at);
-- whoever sees deleted rows: NATURAL is by the application's columns, USING as it says
SET row_security = off;
SELECT id, x, y FROM a NATURAL JOIN b ORDER BY id;
SELECT id, x, y FROM a JOIN b USING (id, deleted_at) ORDER BY id;
SET row_security = on;
-- the column remains a column of the join
SELECT * FROM a NATURAL RIGHT JOIN b ORDER BY id;
\set ECHO none
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA hard, soft, compared CASCADE;
DROP ROLE regress_rows;
