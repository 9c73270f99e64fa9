-- A sample that asks for a number of rows gets as many live ones, as if the deleted rows
-- were gone.
CREATE SCHEMA regress_samples;
CREATE ROLE regress_sampler;
GRANT ALL ON SCHEMA regress_samples TO regress_sampler;
CREATE EXTENSION tsm_system_rows SCHEMA regress_samples;
SET ROLE regress_sampler;
SET search_path = regress_samples;
CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE p (id integer PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE p_0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE p_1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT soft_delete.tag('t'), soft_delete.tag('p');
INSERT INTO t SELECT generate_series(1, 1000);
INSERT INTO p SELECT generate_series(1, 1000);
DELETE FROM t WHERE id > 100;
DELETE FROM p WHERE id > 100;

SELECT count(*), bool_and(id <= 100) FROM t TABLESAMPLE system_rows(50);
SELECT count(*), bool_and(id <= 100) FROM t TABLESAMPLE system_rows(100);
SELECT count(*), bool_and(id <= 100) FROM t TABLESAMPLE system_rows(1000);
SELECT count(*), bool_and(id <= 100) FROM p TABLESAMPLE system_rows(20);
-- in a subquery, WITH, a function, a prepared statement, a scan that begins again
SELECT (SELECT count(*) FROM t TABLESAMPLE system_rows(50));
WITH s AS MATERIALIZED (SELECT id FROM t TABLESAMPLE system_rows(50)) SELECT count(*) FROM s WHERE (SELECT count(*) FROM s) > 0;
CREATE FUNCTION samples() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM t TABLESAMPLE system_rows(50)); END';
SELECT samples(), samples();
PREPARE s AS SELECT count(*) FROM t TABLESAMPLE system_rows($1);
EXECUTE s(50);
EXECUTE s(60);
SELECT g, n FROM generate_series(48, 50) AS g, LATERAL (SELECT count(*) AS n FROM t TABLESAMPLE system_rows(g)) AS s ORDER BY g;
-- parts of the table
SELECT count(*), bool_and(id <= 100) FROM t TABLESAMPLE system(100);
SELECT count(*), bool_and(id <= 100) FROM t TABLESAMPLE bernoulli(100);
SELECT count(*) < 100, coalesce(bool_and(id <= 100), true) FROM t TABLESAMPLE bernoulli(10);
-- who is shown deleted rows is given them
SET row_security = off;
SELECT count(*) FROM t TABLESAMPLE system_rows(1000);
EXECUTE s(1000);
RESET row_security;
EXECUTE s(1000);
RESET ROLE;
SET soft_delete.show_deleted = on;
EXECUTE s(1000);
RESET soft_delete.show_deleted;
EXECUTE s(1000);
SET client_min_messages = warning;
DROP SCHEMA regress_samples CASCADE;
DROP ROLE regress_sampler;
