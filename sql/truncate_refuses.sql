-- TRUNCATE of a tagged table is refused where soft_delete.truncate says so, and where it cannot be soft
CREATE ROLE regress_truncate LOGIN;
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
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
INSERT INTO p VALUES (2);
DELETE FROM t WHERE id = 1;

RESET ROLE;
SET soft_delete.truncate = error;
SET ROLE regress_truncate;
TRUNCATE t;
TRUNCATE t CASCADE;
TRUNCATE other, t;
TRUNCATE p;
TRUNCATE p1;
TRUNCATE p2;
TRUNCATE other;
SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('all');
SELECT count(*) FROM p;
RESET ROLE;
RESET soft_delete.truncate;

-- what the server refuses it goes on refusing, with tagged tables in the list
SET ROLE regress_truncate;
CREATE VIEW v AS SELECT 1;
TRUNCATE t, other, v;
TRUNCATE t, other, pg_class;
TRUNCATE t, other, no_such;
TRUNCATE t, other, no_such.no_such;

-- foreign tables are emptied elsewhere
RESET ROLE;
CREATE FOREIGN DATA WRAPPER regress_truncate;
CREATE SERVER regress_truncate FOREIGN DATA WRAPPER regress_truncate;
CREATE FOREIGN TABLE truncate_refuses.f (id integer) SERVER regress_truncate;
ALTER FOREIGN TABLE truncate_refuses.f OWNER TO regress_truncate;
SET ROLE regress_truncate;
TRUNCATE p, f;

-- subscribers have to be able to find the rows, as for an UPDATE
RESET ROLE;
SET client_min_messages = error;
CREATE PUBLICATION regress_truncate FOR TABLE truncate_refuses.p WITH (publish = 'insert, update, truncate');
RESET client_min_messages;
SET ROLE regress_truncate;
TRUNCATE p;
DELETE FROM p;
RESET ROLE;
DROP PUBLICATION regress_truncate;

-- a statement that the library has not seen: the first of a session that had not loaded it
RESET ROLE;
SELECT format('options=''%s -c session_preload_libraries=''',
	CASE WHEN current_setting('server_version_num')::integer >= 170000 THEN '-c event_triggers=off' END) AS bare \gset
\c -reuse-previous=on :bare
\set SHOW_CONTEXT never
SET ROLE regress_truncate;
TRUNCATE truncate_refuses.p;
TRUNCATE truncate_refuses.p;
SELECT count(*) FROM truncate_refuses.p_deleted;
-- nor can such a session choose what only a superuser may
\c -reuse-previous=on :bare
SET ROLE regress_truncate;
SET soft_delete.truncate = hard;
TRUNCATE truncate_refuses.t, truncate_refuses.other;
SELECT count(*) FROM truncate_refuses.t TABLESAMPLE soft_delete.rows('all');
\c -reuse-previous=on "options=''"

-- the guard is for TRUNCATE
SET ROLE regress_truncate;
SET search_path = truncate_refuses;
\set SHOW_CONTEXT never
SELECT soft_delete.guard_truncate();
CREATE TRIGGER wrong BEFORE DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate();
DELETE FROM t;

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA truncate_refuses CASCADE;
DROP FOREIGN DATA WRAPPER regress_truncate CASCADE;
DROP ROLE regress_truncate;
