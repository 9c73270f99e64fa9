-- every way to read a tagged table sees live rows only
CREATE ROLE regress_select_hides;
CREATE SCHEMA select_hides AUTHORIZATION regress_select_hides;
SET ROLE regress_select_hides;
SET search_path = select_hides;

CREATE TABLE a (id integer PRIMARY KEY, v text, n integer);
CREATE TABLE b (id integer PRIMARY KEY, a_id integer, w text);
CREATE INDEX a_n ON a (n);
CREATE INDEX b_a_id ON b (a_id);
INSERT INTO a SELECT g, 'v' || g, g FROM generate_series(1, 6) g;
INSERT INTO b SELECT g, g, 'w' || g FROM generate_series(1, 6) g;
CREATE VIEW before_tag AS SELECT * FROM a WHERE id > 1;
CREATE VIEW union_view AS SELECT id, v FROM a UNION ALL SELECT id, w FROM b;
SELECT soft_delete.tag('a');
SELECT soft_delete.tag('b');
DELETE FROM a WHERE id IN (1, 6);
DELETE FROM b WHERE id IN (2, 6);

-- plain, ordered, aggregated, by key, min and max by index
SELECT id FROM a ORDER BY id;
SELECT id FROM a WHERE id = 1;
SELECT count(*), min(n), max(n), sum(n) FROM a;
SELECT n FROM a ORDER BY n DESC LIMIT 2;
SELECT DISTINCT n > 3 FROM a ORDER BY 1;
SELECT id, row_number() OVER (ORDER BY id) FROM a;

-- joins: the filter is below the outer join
SELECT a.id, b.id FROM a JOIN b ON b.a_id = a.id ORDER BY 1;
SELECT a.id, b.id FROM a LEFT JOIN b ON b.a_id = a.id ORDER BY 1;
SELECT a.id, b.id FROM a RIGHT JOIN b ON b.a_id = a.id ORDER BY 2;
SELECT a.id, b.id FROM a FULL JOIN b ON b.a_id = a.id ORDER BY 1, 2;
SELECT id FROM a WHERE EXISTS (SELECT FROM b WHERE a_id = a.id) ORDER BY id;
SELECT id FROM a WHERE NOT EXISTS (SELECT FROM b WHERE a_id = a.id) ORDER BY id;
SELECT id FROM a WHERE id NOT IN (SELECT a_id FROM b) ORDER BY id;
SELECT id, (SELECT w FROM b WHERE a_id = a.id) FROM a ORDER BY id;
SELECT a.id, l.w FROM a, LATERAL (SELECT w FROM b WHERE a_id = a.id LIMIT 1) l ORDER BY 1;
SELECT x.id FROM a x JOIN a y ON x.id = y.id + 1 ORDER BY 1;

-- set operations: a member of UNION ALL that the planner flattens
SELECT id FROM a UNION ALL SELECT id FROM b ORDER BY id;
SELECT count(*) FROM (SELECT id FROM a UNION ALL SELECT id FROM b) u WHERE id IN (1, 2, 6);
SELECT count(*) FROM (TABLE before_tag UNION ALL TABLE before_tag) u;
SELECT * FROM union_view WHERE id IN (1, 2, 3) ORDER BY id, v;
SELECT id FROM a EXCEPT SELECT id FROM b ORDER BY id;
SELECT id FROM a INTERSECT SELECT id FROM b ORDER BY id;
EXPLAIN (COSTS OFF) SELECT id FROM a UNION ALL SELECT id FROM b;
WITH RECURSIVE r AS (SELECT id FROM a WHERE id = 2 UNION ALL SELECT a.id FROM a JOIN r ON a.id = r.id + 1) SELECT * FROM r;

-- views, functions inlined or not, materialized views, CTAS
SELECT id FROM before_tag ORDER BY id;
CREATE FUNCTION inlined() RETURNS SETOF a LANGUAGE sql STABLE AS 'SELECT * FROM a';
CREATE FUNCTION inlined_union() RETURNS TABLE (id integer) LANGUAGE sql STABLE AS 'SELECT id FROM a UNION ALL SELECT id FROM b';
CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM a';
CREATE FUNCTION in_plpgsql() RETURNS SETOF integer LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT id FROM a; END';
SELECT id FROM inlined() ORDER BY id;
SELECT id FROM inlined_union() ORDER BY id;
SELECT counted();
SELECT * FROM in_plpgsql() ORDER BY 1;
CREATE MATERIALIZED VIEW mat AS SELECT * FROM a;
SELECT count(*) FROM mat;
CREATE TABLE copied AS TABLE a;
SELECT count(*) FROM copied;
INSERT INTO copied SELECT * FROM a;
SELECT count(*) FROM copied;

-- cursors, sampling, locking, prepared plans
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM a ORDER BY id;
FETCH ALL c;
FETCH FIRST c;
COMMIT;
SELECT count(*) FROM a TABLESAMPLE BERNOULLI (100);
SELECT count(*) FROM a TABLESAMPLE SYSTEM (100);
SELECT id FROM a ORDER BY id FOR UPDATE;
SELECT id FROM a WHERE id = 1 FOR KEY SHARE;
SET plan_cache_mode = force_generic_plan;
PREPARE p (integer) AS SELECT v FROM a WHERE id = $1;
EXECUTE p (1);
EXECUTE p (2);
DELETE FROM a WHERE id = 2;
EXECUTE p (2);
RESET plan_cache_mode;
UPDATE a SET v = v || '!' RETURNING id;
UPDATE a SET v = 'x' WHERE id = 1;

-- plans: the filter is no barrier, partial indexes are proven, parallel workers agree
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT n FROM a WHERE n = 3;
EXPLAIN (COSTS OFF) SELECT a.id FROM a LEFT JOIN b ON b.a_id = a.id WHERE a.n = 3;
RESET enable_seqscan;
RESET enable_bitmapscan;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT count(*) FROM a;
EXPLAIN (COSTS OFF) SELECT count(*) FROM a;

RESET ROLE;
DROP SCHEMA select_hides CASCADE;
DROP ROLE regress_select_hides;
