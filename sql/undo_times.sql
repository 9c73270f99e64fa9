-- stamps of a column of type timestamp, which has UTC, and of one with a precision, mean the
-- same deletion wherever the session is, and bins show them with time zone
\set SHOW_CONTEXT never
CREATE ROLE regress_times;
CREATE SCHEMA times AUTHORIZATION regress_times;
SET ROLE regress_times;
SET search_path = times;
SET timezone = 'Asia/Tokyo';
CREATE TABLE t (id integer PRIMARY KEY, deleted_at timestamp);
CREATE TABLE z (id integer PRIMARY KEY, deleted_at timestamptz(6));
CREATE TABLE p (id integer, deleted_at timestamp(6)) PARTITION BY LIST (id);
CREATE TABLE p_1 PARTITION OF p DEFAULT;
SELECT soft_delete.tag('t'), soft_delete.tag('z'), soft_delete.tag('p');
ALTER TABLE z ADD COLUMN v text;
ALTER TABLE p ADD COLUMN v text;
INSERT INTO t VALUES (1), (2);
INSERT INTO z VALUES (1), (2);
INSERT INTO p VALUES (1), (2);
DELETE FROM t;
DELETE FROM z WHERE id = 1;
DELETE FROM z WHERE id = 2;
DELETE FROM p;
SELECT count(DISTINCT deleted_at) FROM z_deleted;
SELECT relation, "row", outcome FROM soft_delete.preview((SELECT max(deleted_at) FROM t_deleted)) ORDER BY "row";
SELECT d.* FROM t_deleted, soft_delete.deletion_rows(deleted_at) AS d WHERE id = 1;
SELECT soft_delete.hold_deletion(max(deleted_at), 'case') FROM t_deleted;
SELECT id, hold FROM t_deleted ORDER BY id;
SELECT soft_delete.hold_deletion(max(deleted_at), NULL) FROM t_deleted;
SELECT count(*) FROM soft_delete.deletions AS d JOIN t_deleted USING (deleted_at);
SELECT DISTINCT pg_typeof(t.deleted_at), pg_typeof(z.deleted_at), pg_typeof(p.deleted_at), t.deleted_at > now() - interval '1 day' AS is_today FROM t_deleted AS t, z_deleted AS z, p_deleted AS p;
UPDATE t_deleted SET deleted_at = NULL WHERE deleted_at = (SELECT max(deleted_at) FROM t_deleted);
DELETE FROM t;
-- the table shows what it stores
SELECT soft_delete.undo(max(deleted_at)) FROM t TABLESAMPLE soft_delete.rows('deleted');
SELECT soft_delete.undo(max(deleted_at)) FROM p_deleted;
SELECT soft_delete.undo(deleted_at, with_parents => true) FROM z_deleted WHERE id = 1;
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM z), (SELECT count(*) FROM p);
SELECT soft_delete.undo(timestamp '2020-01-01');
SELECT soft_delete.hold_deletion(timestamp '2020-01-01', 'case');

-- a lower precision is not enough for stamps; the hint changes no time, and rewrites nothing
CREATE TABLE s (id integer PRIMARY KEY, deleted_at timestamp(3));
INSERT INTO s VALUES (1, '2025-05-05 12:34:56.789');
SELECT pg_relation_filenode('s') AS file \gset
SELECT soft_delete.tag('s');
ALTER TABLE times.s ALTER COLUMN deleted_at TYPE timestamp without time zone;
SELECT pg_relation_filenode('s') = :file AS is_same;
SELECT soft_delete.tag('s');
SELECT id, deleted_at FROM s_deleted;
SELECT id, deleted_at FROM s TABLESAMPLE soft_delete.rows('all');

-- the index of the bin serves it, whatever it is asked
CREATE TABLE many (id integer PRIMARY KEY, deleted_at timestamp);
INSERT INTO many SELECT g, CASE WHEN g % 2 = 0 THEN timestamp '2025-05-05' + g * interval '1 second' END FROM generate_series(1, 10000) AS g;
SELECT soft_delete.tag('many');
VACUUM ANALYZE many;
CREATE FUNCTION index_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ ' Index ' THEN
			RETURN NEXT btrim(line);
		END IF;
	END LOOP;
END
$$;
SELECT index_of($$SELECT id FROM many_deleted WHERE deleted_at = '2025-05-05 00:00:02+00'$$);
SELECT index_of($$SELECT id FROM many_deleted WHERE deleted_at > '2025-05-05 02:46:00+00'$$);
SELECT index_of($$SELECT id FROM many_deleted WHERE deleted_at = ANY ('{2025-05-05 00:00:02+00,2025-05-05 00:00:04+00}')$$);
SELECT deleted_rows, oldest FROM soft_delete.tables WHERE relation = 'many'::regclass;
SELECT * FROM soft_delete.check();
CALL soft_delete.purge('many', older_than => now() - '2025-05-05 02:46:00+00');
SELECT count(*), min(deleted_at) FROM many_deleted;
-- the column keeps its type
ALTER TABLE many ALTER COLUMN deleted_at TYPE timestamptz;
ALTER TABLE many RENAME COLUMN deleted_at TO gone;
ALTER TABLE many ADD COLUMN v text;
SELECT id, v FROM many_deleted WHERE gone = (SELECT max(gone) FROM many_deleted);
SELECT soft_delete.untag('many', tombstones => 'purge');

-- every precision of both types, by what the hints say
CREATE TABLE adopted (precision_of_it integer, type text, is_first boolean, keeps_file boolean, keeps_time boolean, restored bigint);
DO $$
DECLARE
	type text;
	hint text;
	file oid;
	is_first boolean;
	restored bigint;
BEGIN
	FOREACH type IN ARRAY '{timestamp,timestamptz}'::text[] LOOP
		FOR digits IN 0 .. 6 LOOP
			EXECUTE format('CREATE TABLE a (id integer PRIMARY KEY, deleted_at %s(%s))', type, digits);
			INSERT INTO a VALUES (1, '2025-05-05 12:34:56 UTC'), (2, NULL), (3, NULL);
			file := pg_relation_filenode('a');
			BEGIN
				PERFORM soft_delete.tag('a');
				is_first := true;
			EXCEPTION WHEN datatype_mismatch THEN
				GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
				EXECUTE hint;
				is_first := false;
				PERFORM soft_delete.tag('a');
			END;
			DELETE FROM a WHERE id = 2;
			DELETE FROM a WHERE id = 3;
			EXECUTE 'SELECT soft_delete.undo(max(deleted_at)) FROM a_deleted' INTO restored;
			INSERT INTO adopted SELECT digits, type, is_first, pg_relation_filenode('a') = file,
				deleted_at = '2025-05-05 12:34:56 UTC', restored
			FROM a_deleted WHERE id = 1;
			DROP TABLE a;
		END LOOP;
	END LOOP;
END
$$;
SELECT * FROM adopted ORDER BY type, precision_of_it;
CREATE TABLE d (id integer PRIMARY KEY, deleted_at date);
SELECT soft_delete.tag('d');
SELECT soft_delete.tag('times.d', deleted_at => 'deleted_at_by_delete');
RESET ROLE;
DROP SCHEMA times CASCADE;
DROP ROLE regress_times;
