-- COPY gives live rows and takes the application's columns
CREATE ROLE regress_copy;
CREATE ROLE regress_copy_reader;
CREATE SCHEMA copy_live AUTHORIZATION regress_copy;
GRANT USAGE ON SCHEMA copy_live TO regress_copy_reader;
SET ROLE regress_copy;
SET search_path = copy_live;
\set QUIET off

CREATE TABLE t (id integer PRIMARY KEY, gone integer, v text, twice integer GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE t DROP COLUMN gone;
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
SELECT soft_delete.tag('t');
DELETE FROM t WHERE id = 2;
GRANT SELECT (id), INSERT (id, v) ON t TO regress_copy_reader;

COPY t TO stdout;
COPY t TO stdout (FORMAT csv, HEADER);
COPY t (v) TO stdout;
COPY t (v, deleted_at) TO stdout (FORMAT csv, FORCE_QUOTE (v));
COPY t (no_such) TO stdout;
COPY (SELECT id FROM t) TO stdout;
COPY t_active TO stdout;
COPY no_such TO stdout;
-- the context has the line where changes are decoded
\set SHOW_CONTEXT never
COPY t FROM stdin;
4	d
3	taken
\.
\set SHOW_CONTEXT errors
COPY t FROM stdin;
4	d
\.
COPY t (v, id) FROM stdin (FORMAT csv);
e,5
\.
COPY t FROM stdin;
6	f	\N
\.
SELECT id, v, twice, deleted_at FROM t ORDER BY id;

-- privileges are those of the columns that are copied
SET ROLE regress_copy_reader;
COPY t (id) TO stdout;
COPY t TO stdout;
COPY t (id, v) FROM stdin;
7	g
\.
COPY t FROM stdin;
8	h
\.
SET ROLE regress_copy;

-- where row security is in force, generated columns come too, as from the plain table
CREATE TABLE plain (id integer, twice integer GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE plain ENABLE ROW LEVEL SECURITY;
ALTER TABLE plain FORCE ROW LEVEL SECURITY;
CREATE POLICY some_rows ON plain USING (id > 1) WITH CHECK (true);
CREATE TABLE secured (LIKE plain INCLUDING ALL);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
ALTER TABLE secured FORCE ROW LEVEL SECURITY;
CREATE POLICY some_rows ON secured USING (id > 1) WITH CHECK (true);
SELECT soft_delete.tag('secured');
INSERT INTO plain VALUES (1), (2);
INSERT INTO secured VALUES (1), (2), (3);
DELETE FROM secured WHERE id = 3;
COPY plain TO stdout;
COPY secured TO stdout;
COPY secured (id) TO stdout;

-- an inheritance parent is copied without its children, as ever
CREATE TABLE parent (id integer);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (3);
SELECT soft_delete.tag('parent');
DELETE FROM parent WHERE id = 1;
COPY parent TO stdout;
COPY child TO stdout;

RESET ROLE;
DROP SCHEMA copy_live CASCADE;
DROP ROLE regress_copy, regress_copy_reader;
