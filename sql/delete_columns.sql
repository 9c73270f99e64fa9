-- a tombstone is the row as it was: generated columns, constraints, TOAST, types
CREATE ROLE regress_delete_columns;
CREATE SCHEMA delete_columns AUTHORIZATION regress_delete_columns;
SET ROLE regress_delete_columns;
SET search_path = delete_columns;
\set SHOW_CONTEXT never

-- stored generated columns: what reads the tombstone follows it
CREATE TABLE g (id integer PRIMARY KEY, n integer, twice integer GENERATED ALWAYS AS (n * 2) STORED,
	deleted_at timestamptz, live boolean GENERATED ALWAYS AS (deleted_at IS NULL) STORED);
CREATE INDEX g_live ON g (live, twice);
INSERT INTO g (id, n) VALUES (1, 10), (2, 20);
SELECT soft_delete.tag('g');
DELETE FROM g WHERE id = 1 RETURNING id, n, twice, live;
SELECT id, n, twice, live FROM g_deleted;
UPDATE g_deleted SET deleted_at = NULL;
SELECT id, n, twice, live FROM g ORDER BY id;

-- CHECK constraints: those on the tombstone hold, others are not asked again
CREATE TABLE c (id integer PRIMARY KEY, n integer, deleted_at timestamptz,
	CONSTRAINT never_one CHECK (deleted_at IS NULL OR id <> 1));
INSERT INTO c VALUES (1, 1), (2, -2), (3, 3);
ALTER TABLE c ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;
SELECT soft_delete.tag('c');
DELETE FROM c WHERE id = 1;
DELETE FROM c WHERE id = 2;
DELETE FROM c WHERE id >= 1;
SELECT id FROM c ORDER BY id;
UPDATE c_deleted SET deleted_at = NULL WHERE id = 2;
SELECT * FROM c ORDER BY id;

-- out-of-line values are taken over, not rewritten
CREATE TABLE w (id integer PRIMARY KEY, doc text, small text);
ALTER TABLE w ALTER COLUMN doc SET STORAGE EXTERNAL;
INSERT INTO w SELECT g, repeat(chr(64 + g), 100000), 'x' FROM generate_series(1, 5) g;
SELECT soft_delete.tag('w');
SELECT pg_relation_size(reltoastrelid) AS toast_size FROM pg_class WHERE oid = 'w'::regclass \gset
DELETE FROM w WHERE id < 5;
UPDATE w_deleted SET deleted_at = NULL WHERE id < 3;
SELECT pg_relation_size(reltoastrelid) = :toast_size AS not_rewritten FROM pg_class WHERE oid = 'w'::regclass;
SELECT id, length(doc), left(doc, 3) FROM w ORDER BY id;
SELECT id, length(doc), left(doc, 3) FROM w_deleted ORDER BY id;
DELETE FROM w_deleted;
SELECT id, length(doc) FROM w ORDER BY id;

-- dropped and added columns, and every kind of value
CREATE TABLE v (a integer, gone text, id integer PRIMARY KEY, n numeric, f float8, b bytea, arr integer[], j jsonb, r int4range, nothing text);
INSERT INTO v VALUES (1, 'x', 1, 'NaN', 'Infinity', '\x00ff', '{{1,2},{3,4}}', '{"a": null}', '[1,5)', NULL);
ALTER TABLE v DROP COLUMN gone;
ALTER TABLE v ADD COLUMN later text DEFAULT 'default';
SELECT soft_delete.tag('v');
CREATE TABLE was AS SELECT * FROM v;
DELETE FROM v RETURNING *;
ALTER TABLE v ADD COLUMN latest integer DEFAULT 7;
SELECT a, id, n, f, b, arr, j, r, nothing, later FROM v_deleted;
UPDATE v_deleted SET deleted_at = NULL;
SELECT count(*) FROM v JOIN was ON (v.a, v.id, v.n, v.f, v.b, v.arr, v.j, v.r, v.later) = (was.a, was.id, was.n, was.f, was.b, was.arr, was.j, was.r, was.later) WHERE latest = 7 AND v.nothing IS NULL;

-- every index type holds what it should
CREATE TABLE i (id integer PRIMARY KEY, arr integer[], p point, n integer, t text);
CREATE INDEX ON i USING gin (arr);
CREATE INDEX ON i USING gist (p);
CREATE INDEX ON i USING brin (n);
CREATE INDEX ON i USING hash (t);
CREATE INDEX ON i USING spgist (t);
CREATE INDEX whole ON i (n, t);
INSERT INTO i SELECT g, ARRAY[g, g + 1], point(g, g), g, 't' || g FROM generate_series(1, 2000) g;
SELECT soft_delete.tag('i', indexes => 'unique');
DELETE FROM i WHERE id % 2 = 0;
SET enable_seqscan = off;
SELECT count(*) FROM i WHERE arr @> ARRAY[500];
SELECT count(*) FROM i TABLESAMPLE soft_delete.rows('all') WHERE arr @> ARRAY[500];
SELECT count(*) FROM i TABLESAMPLE soft_delete.rows('deleted') WHERE p <@ box '((1,1),(10,10))';
SELECT count(*) FROM i TABLESAMPLE soft_delete.rows('deleted') WHERE n BETWEEN 100 AND 200;
SELECT count(*) FROM i TABLESAMPLE soft_delete.rows('deleted') WHERE t = 't44';
SELECT count(*) FROM i WHERE t = 't44';
SELECT count(*) FROM i TABLESAMPLE soft_delete.rows('all') WHERE n = 44 AND t = 't44';
RESET enable_seqscan;

-- an index that has come or gone since the last deletion
PREPARE del AS DELETE FROM i WHERE id = $1;
EXECUTE del (1);
CREATE INDEX later ON i ((n + 1), t);
EXECUTE del (3);
DELETE FROM v;
EXECUTE del (5);
SET enable_seqscan = off;
SELECT id FROM i TABLESAMPLE soft_delete.rows('deleted') WHERE n + 1 IN (2, 4, 6) ORDER BY n;
DROP INDEX later, whole;
EXECUTE del (7);
CREATE INDEX whole ON i (n, t);
EXECUTE del (9);
SELECT id FROM i TABLESAMPLE soft_delete.rows('deleted') WHERE n IN (5, 7, 9) AND t > 't' ORDER BY n;
RESET enable_seqscan;

-- row by row, each committed: an index whose keys do not change does not grow
CREATE TABLE slow (id integer PRIMARY KEY, n integer);
CREATE INDEX slow_whole ON slow ((n + 1));
INSERT INTO slow SELECT g, g FROM generate_series(1, 5000) g;
SELECT soft_delete.tag('slow', indexes => 'unique');
SELECT pg_relation_size('slow_pkey') AS pkey, pg_relation_size('slow_whole') AS whole \gset
DO $$
BEGIN
    FOR i IN 1 .. 5000 LOOP
        DELETE FROM slow WHERE id = i;
        COMMIT;
    END LOOP;
END $$;
SELECT pg_relation_size('slow_pkey') < 1.5 * :pkey AS same_pkey, pg_relation_size('slow_whole') < 1.5 * :whole AS same_whole;

RESET ROLE;
DROP SCHEMA delete_columns CASCADE;
DROP ROLE regress_delete_columns;
