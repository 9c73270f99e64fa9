-- COPY without a column list gives and takes the application's columns, whatever its options
CREATE ROLE regress_copy;
CREATE SCHEMA copy_columns AUTHORIZATION regress_copy;
SET search_path = copy_columns;
SET client_min_messages = warning;
\set QUIET off
SELECT current_setting('server_version_num')::integer >= 170000 AS has_on_error,
	current_setting('server_version_num')::integer >= 190000 AS has_json \gset

-- with the tombstone column in between, and a name that must be quoted
CREATE TABLE "T t" (id integer PRIMARY KEY, deleted_at timestamptz, "V v" text, n integer DEFAULT 7);
ALTER TABLE "T t" OWNER TO regress_copy;
SET ROLE regress_copy;
SELECT soft_delete.tag('"T t"');

COPY "T t" FROM stdin;
1	a	1
2	b	2
\.
COPY "T t" FROM stdin (FORMAT csv, HEADER MATCH);
id,V v,n
3,c,3
\.
COPY "T t" FROM stdin (FORMAT csv, HEADER MATCH);
id,deleted_at,V v,n
4,,d,4
\.
COPY "T t" (id, "V v") FROM stdin (FORMAT csv, FORCE_NOT_NULL ("V v"));
4,
\.
COPY "T t" FROM stdin (FORMAT csv) WHERE id > 5;
5,e,5
6,f,6
\.
COPY "T t" FROM stdin (FORMAT csv) WHERE deleted_at IS NULL AND id = 7;
7,g,7
\.
DELETE FROM "T t" WHERE id = 2;
COPY "T t" TO stdout;
COPY "T t" TO stdout (FORMAT csv, HEADER, FORCE_QUOTE *);
COPY "T t" TO stdout (FORMAT csv, FORCE_QUOTE (deleted_at));
COPY "T t" (deleted_at, id) TO stdout (NULL 'null');
\copy "T t" to stdout csv

-- naming the tombstone column is allowed, writing it is not
COPY "T t" (id, deleted_at) FROM stdin;
8	\N
\.
COPY "T t" (id, deleted_at) FROM stdin;
9	2020-01-01
\.
COPY "T t" (id, deleted_at) FROM stdin WHERE id < 10;
9	2020-01-01
\.
COPY "T t" (id, deleted_at) FROM stdin WHERE id > 10;
9	2020-01-01
10	\N
\.
SELECT id, "V v", n, deleted_at FROM "T t" ORDER BY id;

-- the keys of deleted rows are free
COPY "T t" FROM stdin;
2	new	2
\.
SELECT id, "V v" FROM "T t_deleted";

-- in binary, there and back
RESET ROLE;
SELECT current_setting('data_directory') || '/copy_columns' AS file \gset
COPY "T t" TO :'file' (FORMAT binary);
SET ROLE regress_copy;
DELETE FROM "T t";
RESET ROLE;
COPY "T t" FROM :'file' (FORMAT binary);
COPY (SELECT) TO :'file';
SET ROLE regress_copy;
SELECT count(*) FROM "T t";

-- rows that do not fit are skipped where the server can
RESET ROLE;
SELECT CASE WHEN :'has_on_error' THEN $$COPY "T t" FROM PROGRAM 'printf "x\tbad\t1\n20\tgood\t1\n"' (ON_ERROR ignore)$$
	ELSE $$COPY "T t" FROM PROGRAM 'printf "20\tgood\t1\n"'$$ END AS copy \gset
:copy;
SELECT id, "V v" FROM "T t" WHERE id = 20;

-- as JSON where the server can
SELECT CASE WHEN :'has_json' THEN 'COPY "T t" TO stdout (FORMAT json)' ELSE 'COPY (SELECT row_to_json(t) FROM (SELECT id, "V v", n FROM "T t") AS t) TO stdout' END AS copy \gset
DELETE FROM "T t" WHERE id <> 20;
:copy;

-- a partitioned table where the server can
CREATE TABLE p (id integer) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
SELECT soft_delete.tag('p');
COPY p FROM stdin;
1
2
\.
DELETE FROM p WHERE id = 1;
SELECT CASE WHEN :'has_json' THEN 'COPY p TO stdout' ELSE 'COPY (SELECT id FROM p) TO stdout' END AS copy \gset
:copy;
COPY p1 TO stdout;
COPY p2 TO stdout;

-- FREEZE, where the transaction has truncated the table
SET ROLE regress_copy;
CREATE TABLE t (id integer PRIMARY KEY);
SELECT soft_delete.tag('t');
INSERT INTO t VALUES (1), (2);
COPY t FROM stdin (FREEZE);
3
\.
BEGIN;
TRUNCATE t;
COPY t FROM stdin (FORMAT csv, FREEZE);
1
\.
COMMIT;
SELECT id FROM t;
SELECT id FROM t_deleted ORDER BY id;
BEGIN;
SAVEPOINT s;
TRUNCATE t;
RELEASE s;
COPY t FROM stdin WITH FREEZE;
2
\.
ROLLBACK;
BEGIN;
SAVEPOINT s;
TRUNCATE t;
ROLLBACK TO s;
COPY t FROM stdin WITH FREEZE;
2
\.
ROLLBACK;
BEGIN;
TRUNCATE t;
SAVEPOINT s;
COPY t FROM stdin WITH FREEZE;
2
\.
ROLLBACK;
SELECT id FROM t;

RESET ROLE;
\set QUIET on
DROP SCHEMA copy_columns CASCADE;
DROP ROLE regress_copy;
