-- with storage => 'aside', a DELETE is a real one, and keeps what it deletes
\set SHOW_CONTEXT never
CREATE SCHEMA aside_deletes;
SET search_path = aside_deletes;
CREATE TABLE t (id integer PRIMARY KEY, n integer, s text);
CREATE TABLE log (what text);
SELECT soft_delete.tag('t', storage => 'aside');
INSERT INTO t SELECT g, g % 3, repeat('x', g) FROM generate_series(1, 9) AS g;

-- count, RETURNING, whole rows, key order; catalogs
DELETE FROM t WHERE id <= 2 RETURNING *;
DELETE FROM t WHERE id = 99;
WITH gone AS (DELETE FROM t WHERE id = 3 RETURNING *) INSERT INTO log SELECT gone::text FROM gone;
SELECT * FROM log;
SELECT t FROM t WHERE t IS NOT NULL ORDER BY id LIMIT 1;
SELECT id, n, s FROM t_deleted ORDER BY id;
EXPLAIN (COSTS OFF) SELECT * FROM t ORDER BY id LIMIT 1;
CREATE TABLE like_t (LIKE t INCLUDING ALL);
INSERT INTO like_t SELECT * FROM t;
COPY t TO stdout;

-- the key is free at once; an upsert inserts
INSERT INTO t VALUES (1, 1, 'again') ON CONFLICT (id) DO UPDATE SET s = 'updated' RETURNING *;
DELETE FROM t WHERE id = 1;
SELECT id, s FROM t_deleted WHERE id = 1 ORDER BY deleted_at;

-- MERGE
MERGE INTO t USING (VALUES (4), (77)) AS v(id) ON t.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, 0, 'merged');
SELECT id FROM t_deleted WHERE id IN (4, 77);

-- one statement is one deletion, whatever it fires
CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE id = OLD.id + 1; RETURN NULL; END $$;
CREATE TRIGGER more AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION more();
DELETE FROM t WHERE id = 5;
SELECT id, count(*) OVER (PARTITION BY deleted_at) FROM t_deleted WHERE id BETWEEN 5 AND 9 ORDER BY id;
SELECT id FROM t ORDER BY id;
DROP TRIGGER more ON t;

-- a veto, an error, a subtransaction, a rollback: nothing is kept of what was not deleted
INSERT INTO t SELECT g FROM generate_series(11, 15) AS g;
CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id = 11 THEN RETURN NULL; END IF; RETURN OLD; END $$;
CREATE TRIGGER veto BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION veto();
DELETE FROM t WHERE id IN (11, 12);
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER fail AFTER DELETE ON t FOR EACH ROW WHEN (OLD.id = 13) EXECUTE FUNCTION fail();
DELETE FROM t WHERE id >= 13 AND id < 20;
BEGIN;
SAVEPOINT a;
DELETE FROM t WHERE id = 14;
ROLLBACK TO a;
DELETE FROM t WHERE id = 15;
DO $$ BEGIN DELETE FROM t WHERE id = 13; EXCEPTION WHEN OTHERS THEN NULL; END $$;
COMMIT;
BEGIN;
DELETE FROM t WHERE id = 14;
ROLLBACK;
SELECT id FROM t WHERE id > 10 ORDER BY id;
SELECT id FROM t_deleted WHERE id > 10 ORDER BY id;
DROP TRIGGER veto ON t;
DROP TRIGGER fail ON t;

-- foreign keys, at any depth, in both directions between the two storages
CREATE TABLE c1 (id integer PRIMARY KEY, t_id integer);
CREATE TABLE c2 (id integer PRIMARY KEY, c1_id integer);
CREATE TABLE blocked (t_id integer REFERENCES t);
SELECT soft_delete.tag('c1', storage => 'aside');
SELECT soft_delete.tag('c2');
ALTER TABLE c1 ADD FOREIGN KEY (t_id) REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE c2 ADD FOREIGN KEY (c1_id) REFERENCES c1 ON DELETE CASCADE ON UPDATE CASCADE;
INSERT INTO c1 VALUES (1, 11), (2, 11);
INSERT INTO c2 VALUES (1, 1), (2, 2);
INSERT INTO blocked VALUES (13);
DELETE FROM t WHERE id IN (11, 13);
DELETE FROM t WHERE id = 11;
SELECT (SELECT count(*) FROM c1), (SELECT count(*) FROM c2), (SELECT count(*) FROM c1_deleted), (SELECT count(*) FROM c2_deleted);
SELECT count(DISTINCT deleted_at) FROM (SELECT deleted_at FROM t_deleted WHERE id = 11 UNION ALL SELECT deleted_at FROM c1_deleted UNION ALL SELECT deleted_at FROM c2_deleted) AS stamps;
INSERT INTO c1 VALUES (3, 11);
INSERT INTO c2 VALUES (3, 1);
SELECT * FROM soft_delete.check();

-- TRUNCATE
TRUNCATE c1, c2;
TRUNCATE t CASCADE;
SELECT count(*) FROM t;
SELECT count(*) FROM t_deleted WHERE id IN (13, 14, 77);
SET soft_delete.truncate = 'error';
TRUNCATE t CASCADE;
SET soft_delete.truncate = 'hard';
INSERT INTO t VALUES (100);
TRUNCATE t CASCADE;
SELECT count(*) FROM t_deleted WHERE id = 100;
RESET soft_delete.truncate;

-- a session that replicates deletes for good
SET session_replication_role = replica;
INSERT INTO t VALUES (101);
DELETE FROM t WHERE id = 101;
RESET session_replication_role;
SELECT count(*) FROM t_deleted WHERE id = 101;

-- partitions: a row that moves is not deleted
CREATE TABLE p (id integer, d date, note text, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE p2 (note text, junk integer, d date NOT NULL, id integer NOT NULL);
ALTER TABLE p2 DROP COLUMN junk;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
SELECT soft_delete.tag('p', storage => 'aside');
INSERT INTO p VALUES (1, '2024-01-03', 'a'), (2, '2024-02-03', 'b'), (3, '2024-02-04', 'c');
UPDATE p SET d = '2024-01-09' WHERE id = 3;
SELECT count(*) FROM p_deleted;
DELETE FROM p WHERE id = 2;
DELETE FROM p1 WHERE id = 1;
SELECT id, d, note FROM p_deleted ORDER BY id;
UPDATE p_deleted SET deleted_at = NULL;
SELECT tableoid::regclass, * FROM p ORDER BY id;
TRUNCATE p1;
SELECT id, d, note FROM p_deleted ORDER BY id;
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
INSERT INTO p VALUES (4, '2024-03-01', 'd');
TRUNCATE p3;
DELETE FROM p2;
-- one that goes is tagged by itself; what was deleted from it stays where it is
ALTER TABLE p DETACH PARTITION p2;
INSERT INTO p2 VALUES ('e', '2024-02-05', 5);
DELETE FROM p2;
SELECT id FROM p_deleted ORDER BY id;
SELECT id FROM p2_deleted;
UPDATE p_deleted SET deleted_at = NULL WHERE id = 2;
-- and brings its deleted rows along when it comes
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
SELECT id FROM p_deleted ORDER BY id;
UPDATE p_deleted SET deleted_at = NULL;
SELECT tableoid::regclass, id FROM p ORDER BY id;
DROP TABLE p2;
SELECT * FROM soft_delete.check();

-- a temporary table has a temporary companion
CREATE TEMPORARY TABLE scratch (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('scratch', storage => 'aside');
INSERT INTO scratch VALUES (1, 'one'), (2, 'two');
DELETE FROM scratch WHERE id = 1;
SELECT id, v FROM scratch_deleted;
UPDATE scratch_deleted SET deleted_at = NULL;
SELECT * FROM scratch ORDER BY id;
DROP TABLE scratch;
SELECT to_regclass('pg_temp.scratch_tombstones'), to_regclass('pg_temp.scratch_deleted');

SET client_min_messages = warning;
DROP SCHEMA aside_deletes CASCADE;
