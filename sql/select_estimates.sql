-- the planner takes the rows of a tagged table for live, before and after ANALYZE
CREATE ROLE regress_select_estimates;
CREATE SCHEMA select_estimates AUTHORIZATION regress_select_estimates;
SET ROLE regress_select_estimates;
SET search_path = select_estimates;

CREATE FUNCTION estimate(query text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END
$$;

CREATE TABLE plain (id integer PRIMARY KEY, n integer) WITH (autovacuum_enabled = off);
CREATE INDEX plain_n ON plain (n);
CREATE TABLE parent (id integer, n integer) PARTITION BY RANGE (id);
CREATE TABLE child PARTITION OF parent FOR VALUES FROM (1) TO (2000) WITH (autovacuum_enabled = off);
INSERT INTO plain SELECT g, g % 10 FROM generate_series(1, 1000) g;
INSERT INTO parent SELECT * FROM plain;

-- what is in the table when it is tagged, with statistics of its other columns and without
ANALYZE plain;
SELECT soft_delete.tag('plain');
SELECT soft_delete.tag('parent');
SELECT estimate('SELECT * FROM plain') BETWEEN 990 AND 1000 AS live,
	estimate('SELECT * FROM plain WHERE n = 3') BETWEEN 90 AND 110 AS live_by_index,
	estimate('SELECT * FROM plain TABLESAMPLE soft_delete.rows(''deleted'')') BETWEEN 1 AND 10 AS deleted;
SELECT estimate('SELECT * FROM parent') > 500 AS live;

-- then what ANALYZE has found
DELETE FROM plain WHERE n < 5;
DELETE FROM parent WHERE n < 5;
ANALYZE plain;
ANALYZE parent;
SELECT estimate('SELECT * FROM plain') BETWEEN 450 AND 550 AS live,
	estimate('SELECT * FROM plain TABLESAMPLE soft_delete.rows(''deleted'')') BETWEEN 450 AND 550 AS deleted;
SELECT estimate('SELECT * FROM parent') BETWEEN 450 AND 550 AS live;

RESET search_path;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA select_estimates CASCADE;
DROP ROLE regress_select_estimates;
