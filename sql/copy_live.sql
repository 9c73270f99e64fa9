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
COPY t FROM stdin;
4	d
3	taken
\.
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

-- many rows at once, as into an untagged table: the context of an error has no line then; deleted rows step aside
CREATE TABLE plain_bulk (id integer PRIMARY KEY);
CREATE TABLE bulk (id integer PRIMARY KEY);
CREATE TABLE told (op text, n bigint);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO copy_live.told SELECT TG_OP, count(*) FROM new_rows; RETURN NULL; END';
SELECT soft_delete.tag('bulk');
CREATE TRIGGER tell AFTER INSERT ON bulk REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell();
\copy bulk FROM PROGRAM 'seq 1 3000'
DELETE FROM bulk WHERE id % 3 <> 0;
\copy bulk FROM PROGRAM 'seq 1 3 3000'
SELECT count(*), (SELECT count(*) FROM bulk_deleted) AS deleted, (SELECT count(*) FROM bulk_tombstones) AS aside FROM bulk;
INSERT INTO plain_bulk VALUES (3);
\copy plain_bulk FROM PROGRAM 'seq 2 3'
\copy bulk FROM PROGRAM 'seq 2 3'
TABLE told;
-- where something must be done for each row, one by one
CREATE TRIGGER each_row BEFORE INSERT ON bulk FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
\copy bulk FROM PROGRAM 'seq 2 3'
DROP TRIGGER each_row ON bulk;
ALTER TABLE bulk ADD CONSTRAINT later UNIQUE (id) DEFERRABLE;
\copy bulk FROM PROGRAM 'seq 2 3'
ALTER TABLE bulk DROP CONSTRAINT later;
ALTER TABLE bulk DISABLE TRIGGER "~soft_delete_key";
\copy bulk FROM PROGRAM 'seq 2 3'
ALTER TABLE bulk ENABLE TRIGGER "~soft_delete_key";
-- the trigger fires again
INSERT INTO bulk VALUES (2);
\copy bulk (id, deleted_at) FROM PROGRAM 'echo 5,now' (FORMAT csv)
SET row_security = off;
\copy bulk (id, deleted_at) FROM PROGRAM 'echo 3001,now' (FORMAT csv)
RESET row_security;
SELECT count(*) FROM bulk WHERE id > 3000;

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
