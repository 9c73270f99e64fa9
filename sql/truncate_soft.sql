-- TRUNCATE of a tagged table deletes its live rows softly, under one stamp
CREATE ROLE regress_truncate;
CREATE ROLE regress_truncate_app;
CREATE SCHEMA truncate_soft AUTHORIZATION regress_truncate;
GRANT USAGE ON SCHEMA truncate_soft TO regress_truncate_app;
SET ROLE regress_truncate;
SET search_path = truncate_soft;
\set QUIET off

CREATE TABLE t (id integer PRIMARY KEY, v text, gone timestamptz,
	state text GENERATED ALWAYS AS (CASE WHEN gone IS NULL THEN 'live' ELSE 'deleted' END) STORED);
CREATE TABLE log (n integer GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log (what) SELECT concat_ws(' ', TG_WHEN, TG_LEVEL, TG_OP, count(*), 'rows') FROM t;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER before_truncate BEFORE TRUNCATE ON t EXECUTE FUNCTION note();
CREATE TRIGGER after_truncate AFTER TRUNCATE ON t EXECUTE FUNCTION note();
CREATE TRIGGER on_delete BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER on_update AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();
SELECT soft_delete.tag('t', deleted_at => 'gone');
INSERT INTO t VALUES (1, 'deleted before'), (2, repeat('long', 2000));
DELETE FROM t WHERE id = 1;
BEGIN;
INSERT INTO t VALUES (3, 'by the same transaction');
SET LOCAL soft_delete.reason = 'start again';
TRUNCATE t;
SELECT count(*) FROM t;
INSERT INTO t VALUES (2, 'new');
COMMIT;
TRUNCATE TABLE t, t;
TRUNCATE t;
SELECT what FROM log ORDER BY n;
SELECT id, left(v, 30) AS v, state, dense_rank() OVER (ORDER BY gone) AS deletion FROM t_deleted ORDER BY gone, id;
SELECT reason FROM soft_delete.deletions WHERE deleted_at IN (SELECT gone FROM t_deleted) ORDER BY deleted_at;
SELECT soft_delete.undo((SELECT gone FROM t_deleted WHERE id = 3));
SELECT id, state FROM t ORDER BY id;

-- any way it is said
DO 'BEGIN TRUNCATE t; END';
SELECT count(*) FROM t;
INSERT INTO t VALUES (5);
BEGIN;
SAVEPOINT s;
TRUNCATE t;
ROLLBACK TO s;
SELECT id FROM t;
TRUNCATE t;
ROLLBACK;
SELECT id FROM t;

-- the TRUNCATE privilege is needed, and no other; row security does not matter
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
SET ROLE regress_truncate_app;
TRUNCATE truncate_soft.t;
SET ROLE regress_truncate;
GRANT SELECT, DELETE ON t TO regress_truncate_app;
SET ROLE regress_truncate_app;
TRUNCATE truncate_soft.t;
SET ROLE regress_truncate;
REVOKE DELETE ON t FROM regress_truncate_app;
GRANT TRUNCATE ON t TO regress_truncate_app;
GRANT INSERT ON log TO regress_truncate_app;
SET ROLE regress_truncate_app;
TRUNCATE truncate_soft.t;
SET ROLE regress_truncate;
SELECT count(*) FROM t;

-- a table in use
INSERT INTO t VALUES (6);
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t;
FETCH FROM c;
TRUNCATE t;
ROLLBACK;
BEGIN READ ONLY;
TRUNCATE t;
ROLLBACK;

-- a CHECK constraint on the tombstone column, as for DELETE
ALTER TABLE t ADD CONSTRAINT keeps CHECK (id <> 6 OR gone IS NULL);
DELETE FROM t;
TRUNCATE t;
ALTER TABLE t DROP CONSTRAINT keeps;

-- partitions: through the root, alone, and what came later
CREATE TABLE p (id integer PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
SELECT soft_delete.tag('p');
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
INSERT INTO p VALUES (1), (2), (11);
TRUNCATE ONLY p;
TRUNCATE p2;
SELECT id FROM p;
TRUNCATE p;
SELECT id, dense_rank() OVER (ORDER BY deleted_at) AS deletion FROM p_deleted ORDER BY id;

-- inheritance children, and ONLY
CREATE TABLE parent (id integer);
CREATE TABLE child (more text) INHERITS (parent);
SELECT soft_delete.tag('parent');
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2);
TRUNCATE ONLY parent;
SELECT id FROM parent;
TRUNCATE parent;
SELECT id, stored_in::regclass FROM parent_deleted ORDER BY id;

-- a temporary table
CREATE TEMP TABLE temporary (id integer);
SELECT soft_delete.tag('temporary');
INSERT INTO temporary VALUES (1);
TRUNCATE temporary;
SELECT count(*) FROM temporary_deleted;
DROP TABLE temporary;

RESET ROLE;
\set QUIET on
SET client_min_messages = warning;
DROP SCHEMA truncate_soft CASCADE;
DROP ROLE regress_truncate, regress_truncate_app;
