-- what is not tagged notices nothing
CREATE ROLE regress_bystander;
CREATE SCHEMA bystander AUTHORIZATION regress_bystander;
SET ROLE regress_bystander;
SET search_path = bystander;
\set QUIET off

CREATE TABLE t (id integer PRIMARY KEY, deleted_at timestamptz, CONSTRAINT e UNIQUE (deleted_at));
INSERT INTO t VALUES (1, NULL), (2, '2020-01-01'), (3, '2021-01-01');
SELECT id FROM t ORDER BY id;
EXPLAIN (COSTS OFF) SELECT * FROM t;
UPDATE t SET deleted_at = '2022-01-01' WHERE id = 3;
INSERT INTO t VALUES (4, '2022-01-01') ON CONFLICT (deleted_at) DO UPDATE SET id = 5 RETURNING id;
INSERT INTO t VALUES (4, '2022-01-01') ON CONFLICT ON CONSTRAINT e DO NOTHING;
DELETE FROM t WHERE id = 2 RETURNING id;
COPY t TO stdout (DELIMITER ' ');
SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('all');
SELECT count(*) FROM t TABLESAMPLE BERNOULLI (100);

-- a BEFORE DELETE trigger of its own, beside a tagged table of the same shape
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f('deleted_at');
CREATE TABLE tagged (LIKE t INCLUDING ALL);
INSERT INTO tagged SELECT * FROM t;
SELECT soft_delete.tag('tagged');
DELETE FROM tagged;
DELETE FROM t WHERE id = 1;
SELECT id FROM t ORDER BY id;
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('t');
SET ROLE regress_bystander;
TRUNCATE t;
SELECT count(*) FROM t;

RESET ROLE;
DROP SCHEMA bystander CASCADE;
DROP ROLE regress_bystander;
