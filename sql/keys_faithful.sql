-- what stepped aside keeps every value, and follows the columns of its table
CREATE ROLE regress_faithful;
CREATE SCHEMA faithful AUTHORIZATION regress_faithful;
SET ROLE regress_faithful;
SET search_path = faithful;
SET timezone = 'UTC';

CREATE TYPE mood AS ENUM ('sad', 'glad ''or'' not');
CREATE TYPE pair AS (n integer, t text);
CREATE DOMAIN positive AS integer CHECK (value > 0);
CREATE TABLE t (
	id integer PRIMARY KEY, t text, "Quoted ""c""" varchar(20), c char(5), b bytea, flag boolean, small smallint, big bigint,
	num numeric, nums numeric[], r4 real, r8 double precision, r8s double precision[], day date, at time, atz timetz, ts timestamp, tz timestamptz,
	span interval, spans interval[], mood mood, moods mood[], pair pair, pairs pair[], positive positive, ints int4range, times tstzmultirange,
	js json, jb jsonb, u uuid, mac macaddr, net inet, bits bit varying, point point, box box, path path, money money, xml xml, rel regclass,
	vector tsvector, query tsquery, lsn pg_lsn, empty text, nothing text, list integer[]
);
SELECT soft_delete.tag('t');
SET lc_monetary = 'C';
INSERT INTO t VALUES (1, E'tab\t"quote" ''and'' \\ \n {}', 'Ä', 'ab', '\x00ff5c', true, -1, 9223372036854775807,
	'NaN', '{Infinity,-Infinity,1.500,NULL}', 0.1, 0.1::float8 + 0.2::float8, '{NaN,-0,1e-300}', '4713-01-01 BC', '24:00', '10:00:00.123456+05:30', 'infinity', '2026-02-03 04:05:06.000001+09',
	'-1 year +2 mons -3 days +04:05:06.7', '{"1 day -1:00"}', 'glad ''or'' not', '{sad,NULL}', ROW(1, 'a,"b"'), ARRAY[ROW(NULL, '')::pair, NULL], 5, '[1,5)', '{[2026-01-01 00:00+01,2026-06-01 00:00+02)}',
	'{"a":  1.10}', '{"b": [1.10, null]}', '00000000-0000-0000-0000-000000000001', '08:00:2b:01:02:03', '::1/64', B'0101', '(0.1,-2e-10)', '((1,2),(3,4))', '[(1,2)]', '1234.56', '<a/>', 't',
	'a:1 ''b c'':2', 'a & !b', '16/B374D848', '', NULL, '[0:1]={7,8}');
CREATE TABLE was AS SELECT to_jsonb(x.*) - 'deleted_at' AS j FROM t AS x;
DELETE FROM t;

-- stored under other settings than it is read under
SET datestyle = 'SQL, DMY';
SET intervalstyle = 'sql_standard';
SET extra_float_digits = -15;
SET timezone = 'Asia/Tokyo';
SET bytea_output = escape;
SET xmloption = document;
INSERT INTO t (id) VALUES (1);
RESET datestyle;
RESET intervalstyle;
RESET extra_float_digits;
RESET bytea_output;
RESET xmloption;
SET timezone = 'UTC';
SELECT j = to_jsonb(x.*) - 'deleted_at' AS same, r8 = 0.1::float8 + 0.2::float8 AS same_float
FROM was, t_tombstones AS x;
SELECT stored_in::regclass, (SELECT j FROM was) = to_jsonb(d) - '{deleted_at,deleted_by,actor,reason,hold,stored_in,stored_place}'::text[] AS same FROM t_deleted d;
SET array_nulls = off;
SELECT (SELECT j FROM was) = to_jsonb(d) - '{deleted_at,deleted_by,actor,reason,hold,stored_in,stored_place}'::text[] AS same FROM t_deleted d;
RESET array_nulls;

-- columns come, go, and are renamed
CREATE TABLE c (id integer PRIMARY KEY, a text, b text, gone text);
SELECT soft_delete.tag('c');
INSERT INTO c VALUES (1, 'one', 'two', 'three');
DELETE FROM c;
INSERT INTO c VALUES (1);
ALTER TABLE c ADD COLUMN d integer NOT NULL DEFAULT 7, ADD COLUMN twice integer GENERATED ALWAYS AS (id * 2) STORED, ADD COLUMN s serial, ADD COLUMN i integer GENERATED ALWAYS AS IDENTITY;
ALTER TABLE c RENAME a TO swap;
ALTER TABLE c RENAME b TO a;
ALTER TABLE c RENAME swap TO b;
ALTER TABLE c DROP COLUMN gone, ADD COLUMN gone integer;
ALTER TABLE c RENAME TO "C";
SELECT id, a, b, d, twice, s, i, gone FROM "C_tombstones";

-- types change
CREATE TABLE y (id integer PRIMARY KEY, i integer, t text, f numeric, at timestamptz, v varchar(10), k text, e text, d positive);
SELECT soft_delete.tag('y');
INSERT INTO y VALUES (1, 42, '17', 2.5, '2026-02-03 04:05:06+00', 'long text', '5 kg', 'sad', 4);
DELETE FROM y;
INSERT INTO y (id) VALUES (1);
ALTER TABLE y ALTER id TYPE bigint, ALTER i TYPE text, ALTER t TYPE integer USING t::integer, ALTER f TYPE integer, ALTER at TYPE date, ALTER v TYPE varchar(4) USING v::varchar(4);
ALTER TABLE y ALTER k TYPE integer USING k::integer;
ALTER TABLE y ALTER e TYPE mood USING e::mood;
SELECT id, i, t, f, at, v, k, e, d FROM y_tombstones;
-- what no cast converts is not lost
SELECT "k (text)" FROM y_tombstones;
-- nor is a value that a domain would not accept any more
ALTER DOMAIN positive ADD CHECK (value > 10) NOT VALID;
SELECT d FROM y_tombstones;

-- values of an enum get other names
CREATE TABLE e (id integer PRIMARY KEY, mood mood, again mood, moods mood[]);
SELECT soft_delete.tag('e');
INSERT INTO e VALUES (1, 'sad', 'glad ''or'' not', '{sad,NULL,sad}'), (2, NULL, 'sad', NULL), (3, 'sad', 'sad', '{}');
DELETE FROM e;
INSERT INTO e VALUES (1), (2), (3);
ALTER TYPE mood ADD VALUE 'new';
BEGIN;
ALTER TYPE mood RENAME VALUE 'sad' TO 'so, sad';
ALTER TYPE mood RENAME VALUE 'glad ''or'' not' TO 'glad';
COMMIT;
SELECT id, mood, again, moods FROM e_tombstones ORDER BY id;

-- partitions follow their root
CREATE TABLE p (id integer PRIMARY KEY, v text) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
SELECT soft_delete.tag('p');
INSERT INTO p VALUES (1, 'v');
DELETE FROM p;
INSERT INTO p VALUES (1, 'w');
ALTER TABLE p ADD COLUMN n integer DEFAULT 3;
ALTER TABLE p RENAME v TO w;
ALTER TABLE p DROP COLUMN n;
SELECT id, w, tableoid::regclass FROM p_tombstones;
SELECT relname FROM pg_class WHERE relname LIKE '%\_tombstones' AND relnamespace = 'faithful'::regnamespace ORDER BY relname COLLATE "C";

-- dropping a table drops what stepped aside in it
DROP TABLE p, y, e;
SELECT relname FROM pg_class WHERE relname LIKE '%\_tombstones' AND relnamespace = 'faithful'::regnamespace ORDER BY relname COLLATE "C";

RESET ROLE;
DROP SCHEMA faithful CASCADE;
DROP ROLE regress_faithful;
