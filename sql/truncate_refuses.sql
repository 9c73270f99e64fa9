-- TRUNCATE of a tagged table is refused: it would lose rows
CREATE ROLE regress_truncate;
CREATE SCHEMA truncate_refuses AUTHORIZATION regress_truncate;
SET ROLE regress_truncate;
SET search_path = truncate_refuses;
\set SHOW_CONTEXT never

CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE other (id integer REFERENCES t);
CREATE TABLE p (id integer) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
INSERT INTO t VALUES (1), (2);
INSERT INTO p VALUES (1);
SELECT soft_delete.tag('t');
SELECT soft_delete.tag('p');
DELETE FROM t WHERE id = 1;
TRUNCATE t;
TRUNCATE t CASCADE;
TRUNCATE other, t;
TRUNCATE p;
TRUNCATE p1;
TRUNCATE other;
SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('all');
SELECT count(*) FROM p;

RESET ROLE;
DROP SCHEMA truncate_refuses CASCADE;
DROP ROLE regress_truncate;
