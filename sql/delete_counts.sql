-- DELETE reports what the hard one reports: tag, count, RETURNING, FOUND
CREATE ROLE regress_delete_counts;
CREATE SCHEMA delete_counts AUTHORIZATION regress_delete_counts;
SET ROLE regress_delete_counts;
SET search_path = delete_counts;
\set QUIET off

CREATE TABLE t (id integer PRIMARY KEY, kind text, email text UNIQUE);
CREATE INDEX t_kind ON t (kind);
INSERT INTO t SELECT g, 'k' || g % 3, 'e' || g FROM generate_series(1, 30) g;
SELECT soft_delete.tag('t');

DELETE FROM t WHERE id = 1;
DELETE FROM t WHERE id = 1;
DELETE FROM t WHERE id IN (2, 3) RETURNING id, kind, deleted_at IS NULL AS live;
DELETE FROM t USING (VALUES (4), (5), (5), (1)) AS v (id) WHERE t.id = v.id RETURNING t.id, v.id;
DELETE FROM t WHERE id = 999;
DELETE FROM ONLY t WHERE email = 'e6' RETURNING *;
DELETE FROM t WHERE EXISTS (SELECT FROM t AS other WHERE other.id = t.id + 20 AND t.id = 7);

-- data-modifying CTEs; the statement itself still sees the rows
WITH gone AS (DELETE FROM t WHERE id IN (8, 9) RETURNING id)
SELECT gone.id, t.email FROM gone LEFT JOIN t USING (id) ORDER BY 1;
WITH gone AS (DELETE FROM t WHERE id = 10 RETURNING email) INSERT INTO t SELECT 100, 'moved', email FROM gone RETURNING *;

-- MERGE
MERGE INTO t USING (VALUES (11), (1), (200)) AS v (id) ON t.id = v.id
WHEN MATCHED THEN DELETE
WHEN NOT MATCHED AND v.id = 200 THEN INSERT VALUES (v.id, 'merged', 'e200');
SELECT id FROM t WHERE id IN (1, 11, 200);

-- cursors
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t WHERE id IN (12, 13) ORDER BY id FOR UPDATE;
FETCH c;
DELETE FROM t WHERE CURRENT OF c;
DELETE FROM t WHERE CURRENT OF c;
FETCH c;
DELETE FROM t WHERE CURRENT OF c RETURNING id;
COMMIT;
BEGIN;
DECLARE d CURSOR FOR SELECT * FROM t WHERE kind = 'k2' AND id < 15;
FETCH d;
DELETE FROM t WHERE CURRENT OF d RETURNING id;
COMMIT;

-- PL/pgSQL, SPI
DO $$
DECLARE
	n bigint;
	gone record;
BEGIN
	DELETE FROM t WHERE id = 16;
	GET DIAGNOSTICS n = ROW_COUNT;
	RAISE NOTICE 'found %, rows %', FOUND, n;
	DELETE FROM t WHERE id = 16;
	GET DIAGNOSTICS n = ROW_COUNT;
	RAISE NOTICE 'found %, rows %', FOUND, n;
	DELETE FROM t WHERE id = 17 RETURNING * INTO STRICT gone;
	RAISE NOTICE '%', gone.email;
	EXECUTE 'DELETE FROM t WHERE id = $1' USING 18;
	GET DIAGNOSTICS n = ROW_COUNT;
	RAISE NOTICE 'rows %', n;
	FOR gone IN DELETE FROM t WHERE id IN (19, 20) RETURNING id LOOP
		RAISE NOTICE 'gone %', gone.id;
	END LOOP;
END
$$;

-- prepared: custom plans, then a generic one
PREPARE del (integer) AS DELETE FROM t WHERE id = $1;
EXECUTE del (21);
EXECUTE del (21);
SET plan_cache_mode = force_generic_plan;
EXECUTE del (22);
EXECUTE del (22);
SET plan_cache_mode = force_custom_plan;
EXECUTE del (23);
RESET plan_cache_mode;

-- through the active view
DELETE FROM t_active WHERE id = 24 RETURNING *;

-- a statement that deletes a row twice, and one that updates and deletes it
WITH a AS (DELETE FROM t WHERE id = 25 RETURNING id), b AS (DELETE FROM t WHERE id = 25 RETURNING id)
SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b) AS once;

-- EXPLAIN ANALYZE runs it
SELECT count(*) FROM t WHERE id = 26;
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE DELETE FROM t WHERE id = 26'; END $$;
SELECT count(*) FROM t WHERE id = 26;

-- nothing was destroyed, and the unique index is free
SELECT count(*) AS live, (SELECT count(*) FROM t_deleted) AS deleted FROM t;
INSERT INTO t VALUES (301, 'again', 'e1'), (302, 'again', 'e22');
DELETE FROM t;
SELECT count(*) FROM t;
SELECT count(*) FROM t_deleted;

-- no column but the tombstone changed
SELECT count(*) FROM t_deleted WHERE id <= 30 AND kind = 'k' || id % 3 AND email = 'e' || id;

RESET ROLE;
DROP SCHEMA delete_counts CASCADE;
DROP ROLE regress_delete_counts;
