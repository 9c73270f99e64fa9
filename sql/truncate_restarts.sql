-- TRUNCATE … RESTART IDENTITY restarts sequences; deleted rows step aside as their keys are claimed again
CREATE ROLE regress_truncate;
CREATE ROLE regress_truncate_app;
CREATE SCHEMA truncate_restarts AUTHORIZATION regress_truncate;
GRANT USAGE ON SCHEMA truncate_restarts TO regress_truncate_app;
SET ROLE regress_truncate;
SET search_path = truncate_restarts;
\set QUIET off
\set SHOW_CONTEXT never

CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n serial, v text UNIQUE);
CREATE TABLE plain (id integer GENERATED ALWAYS AS IDENTITY (START 100), t_id integer REFERENCES t);
SELECT soft_delete.tag('t');
INSERT INTO t (v) VALUES ('a'), ('b');
INSERT INTO plain (t_id) VALUES (1);

TRUNCATE t, plain CONTINUE IDENTITY;
INSERT INTO t (v) VALUES ('a');
SELECT id, n, v FROM t;
TRUNCATE t, plain RESTART IDENTITY;
INSERT INTO t (v) VALUES ('a'), ('b');
INSERT INTO plain (t_id) VALUES (2);
SELECT id, n, v FROM t ORDER BY id;
SELECT id FROM plain;
SELECT id, n, v, dense_rank() OVER (ORDER BY deleted_at) AS deletion FROM t_deleted ORDER BY deleted_at, id;
-- they can come back once the keys are free again
SELECT soft_delete.undo(min(deleted_at)) FROM t_deleted;
DELETE FROM plain;
DELETE FROM t;
SELECT soft_delete.undo(min(deleted_at)) FROM t_deleted;
SELECT id, n, v FROM t ORDER BY id;

-- undone with the transaction
BEGIN;
TRUNCATE t, plain RESTART IDENTITY;
ROLLBACK;
INSERT INTO t (v) VALUES ('c') RETURNING id;

-- sequences are restarted by their owner
GRANT TRUNCATE ON t, plain TO regress_truncate_app;
SET ROLE regress_truncate_app;
TRUNCATE truncate_restarts.t, truncate_restarts.plain RESTART IDENTITY;
TRUNCATE truncate_restarts.t, truncate_restarts.plain;
SET ROLE regress_truncate;
SELECT count(*) FROM t;

RESET ROLE;
\set QUIET on
SET client_min_messages = warning;
DROP SCHEMA truncate_restarts CASCADE;
DROP ROLE regress_truncate, regress_truncate_app;
