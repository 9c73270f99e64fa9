-- a live row that claims a key which only a tombstone keeps gets it, and the tombstone steps aside
CREATE ROLE regress_keys;
CREATE ROLE regress_keys_app;
CREATE SCHEMA keys AUTHORIZATION regress_keys;
GRANT USAGE ON SCHEMA keys TO regress_keys_app;
SET ROLE regress_keys;
SET search_path = keys;
\set QUIET off

CREATE TABLE t (id integer PRIMARY KEY, v text);
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f'), (7, 'g');
SELECT soft_delete.tag('t');
GRANT SELECT, INSERT, UPDATE, DELETE ON t TO regress_keys_app;
CREATE VIEW bin AS SELECT id, v, deleted_at IS NOT NULL AS deleted, stored_in::regclass AS held_in FROM t_deleted;

-- every statement, by a role that has no right on anything of the extension
SET ROLE regress_keys_app;
DELETE FROM t WHERE id < 7;
INSERT INTO t VALUES (1, 'inserted') RETURNING id, v;
INSERT INTO t VALUES (1, 'again');
COPY t (id, v) FROM stdin;
2	copied
\.
INSERT INTO t VALUES (3, 'upserted') ON CONFLICT (id) DO UPDATE SET v = 'updated' RETURNING id, v;
INSERT INTO t VALUES (3, 'upserted') ON CONFLICT (id) DO UPDATE SET v = 'updated' RETURNING id, v;
INSERT INTO t VALUES (4, 'upserted') ON CONFLICT DO NOTHING RETURNING id, v;
INSERT INTO t VALUES (4, 'upserted') ON CONFLICT DO NOTHING RETURNING id, v;
UPDATE t SET id = 5, v = 'updated' WHERE id = 7 RETURNING id, v;
MERGE INTO t USING (VALUES (5, 6), (7, 7)) AS s (id, new_id) ON t.id = s.id
	WHEN MATCHED THEN UPDATE SET id = new_id, v = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (s.new_id, 'merged');
SELECT id, v FROM t ORDER BY id;
SET ROLE regress_keys;
SELECT * FROM bin ORDER BY id, v;

-- in one statement, one transaction, and a function
WITH gone AS (DELETE FROM t WHERE id < 3 RETURNING id) INSERT INTO t SELECT id, 'moved' FROM gone;
BEGIN;
DELETE FROM t;
INSERT INTO t SELECT g, 'reloaded' FROM generate_series(1, 3) g;
COMMIT;
CREATE FUNCTION replace_all() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..3 LOOP
		DELETE FROM t WHERE id = i;
		INSERT INTO t VALUES (i, 'replaced');
	END LOOP;
END
$$;
SELECT replace_all();
SELECT id, v FROM t ORDER BY id;
SELECT v, count(*), min(held_in::text), max(held_in::text) FROM bin WHERE v IN ('moved', 'reloaded') GROUP BY v ORDER BY v;

-- a failure takes it all back
DELETE FROM t;
SELECT count(*) AS tombstones FROM t TABLESAMPLE soft_delete.rows('deleted');
INSERT INTO t VALUES (1, 'x'), (2, 'x'), (1, 'x');
BEGIN;
SAVEPOINT s;
INSERT INTO t VALUES (1, 'x');
ROLLBACK TO s;
SELECT count(*) AS tombstones FROM t TABLESAMPLE soft_delete.rows('deleted');
INSERT INTO t VALUES (1, 'y');
COMMIT;
SELECT count(*) AS tombstones FROM t TABLESAMPLE soft_delete.rows('deleted');
SELECT id, v FROM t;

-- no trigger of the application sees it, no row is counted
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% %', TG_WHEN, TG_OP; RETURN coalesce(NEW, OLD); END $$;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION tell();
INSERT INTO t VALUES (2, 'z');
DROP TRIGGER before_row ON t;
DROP TRIGGER after_row ON t;

-- what a BEFORE trigger makes of the key counts
CREATE FUNCTION other_key() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := 3; RETURN NEW; END';
CREATE TRIGGER other_key BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION other_key();
INSERT INTO t VALUES (100, 'by trigger');
DELETE FROM t WHERE id = 3;
UPDATE t SET v = 'by trigger, updated' WHERE id = 2;
SELECT id, v FROM t ORDER BY id;

-- the other keys that cannot be partial: deferrable, replica identity, referenced; several columns; generated
CREATE TABLE k (
	a integer, b text, twice integer GENERATED ALWAYS AS (a * 2) STORED, n integer, code text NOT NULL, ident integer NOT NULL,
	PRIMARY KEY (twice, b),
	CONSTRAINT late UNIQUE NULLS NOT DISTINCT (n) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT one_code UNIQUE (code) INCLUDE (a),
	CONSTRAINT one_ident UNIQUE (ident)
);
CREATE TABLE child (code text REFERENCES k (code));
ALTER TABLE k REPLICA IDENTITY USING INDEX one_ident;
SELECT soft_delete.tag('k');
INSERT INTO k (a, b, n, code, ident) VALUES (1, 'x', NULL, 'c1', 1), (2, 'y', 2, 'c2', 2), (3, 'z', 3, 'c3', 3);
DELETE FROM k;
INSERT INTO k (a, b, n, code, ident) VALUES (1, 'x', 10, 'd1', 10);
INSERT INTO k (a, b, n, code, ident) VALUES (11, 'x', 2, 'd2', 11);
INSERT INTO k (a, b, n, code, ident) VALUES (12, 'x', 12, 'c3', 12);
SELECT a, b, n, code, ident, stored_in::regclass FROM k_deleted ORDER BY a;
DELETE FROM k;
INSERT INTO k (a, b, n, code, ident) VALUES (13, 'x', 13, 'd4', 10) ON CONFLICT (ident) DO UPDATE SET b = 'conflict';
INSERT INTO k (a, b, n, code, ident) VALUES (1, 'x', 14, 'd1', 14) ON CONFLICT (twice, b) DO UPDATE SET b = 'conflict';
UPDATE k SET a = 11 WHERE a = 13;
UPDATE k SET n = 12 WHERE a = 11;
SELECT a, b, n, code, ident FROM k ORDER BY a;
SELECT stored_in::regclass, count(*) FROM k_deleted GROUP BY 1;
INSERT INTO k (a, b, n, code, ident) VALUES (20, 'x', 14, 'd5', 20);

-- deferred: a row that is deleted after another has taken its key, while both are there
BEGIN;
INSERT INTO k (a, b, n, code, ident) VALUES (21, 'x', 14, 'd6', 21);
DELETE FROM k WHERE a = 1;
SET CONSTRAINTS ALL IMMEDIATE;
COMMIT;
SELECT a, n FROM k ORDER BY a;
BEGIN;
INSERT INTO k (a, b, n, code, ident) VALUES (22, 'x', 14, 'd7', 22);
COMMIT;

-- one row can make several tombstones step aside
DELETE FROM k;
INSERT INTO k (a, b, n, code, ident) VALUES (11, 'x', 14, 'c1', 2);
SELECT a, b, n, code, ident FROM k;

-- partitions, and rows that move between them
CREATE TABLE p (id integer, k integer, v text, PRIMARY KEY (k, id)) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 (v text, dropped text, k integer NOT NULL, id integer NOT NULL);
ALTER TABLE p2 DROP COLUMN dropped;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
SELECT soft_delete.tag('p');
INSERT INTO p VALUES (1, 1, 'a'), (1, 2, 'b'), (2, 2, 'c');
DELETE FROM p;
INSERT INTO p VALUES (1, 1, 'new a'), (1, 2, 'new b') ON CONFLICT (k, id) DO UPDATE SET v = 'conflict';
UPDATE p SET id = 2, k = 2 WHERE k = 1;
UPDATE p SET id = 1 WHERE id = 2;
DELETE FROM p WHERE id = 1;
UPDATE p SET id = 1 WHERE id = 2;
SELECT id, k, v FROM p;
SELECT id, k, v, stored_in::regclass FROM p_deleted ORDER BY v;
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE heir (v text, PRIMARY KEY (id)) INHERITS (parent);
SELECT soft_delete.tag('parent');
INSERT INTO heir VALUES (1, 'a');
DELETE FROM parent;
INSERT INTO heir VALUES (1, 'b');
SELECT id, stored_in::regclass FROM parent_deleted;

-- a deleted child of a parent that stepped aside still has a parent
CREATE TABLE author (id integer PRIMARY KEY);
CREATE TABLE post (id integer PRIMARY KEY, author_id integer REFERENCES author ON DELETE CASCADE);
SELECT soft_delete.tag('author', cascade => true);
INSERT INTO author VALUES (1);
INSERT INTO post VALUES (1, 1);
DELETE FROM author;
INSERT INTO author VALUES (1);
SELECT count(*) FROM post p TABLESAMPLE soft_delete.rows('deleted') JOIN author a ON p.author_id = a.id;

-- many keys in one statement: two keys of a row, gaps, a key that a live row has, errors that are caught, DDL between
CREATE TABLE many (id integer PRIMARY KEY, code text UNIQUE, v text);
CREATE TABLE refers (code text REFERENCES many (code));
SELECT soft_delete.tag('many');
INSERT INTO many SELECT g, 'c' || g, 'old' FROM generate_series(1, 500) AS g;
DELETE FROM many WHERE id % 5 <> 0 OR id = 250;
SELECT count(*) FROM many;
BEGIN;
INSERT INTO many SELECT g, 'c' || g + 1, 'first' FROM generate_series(2, 495) AS g WHERE g % 5 IN (1, 2, 3);
SAVEPOINT s;
INSERT INTO many SELECT g, 'c' || g, 'taken' FROM generate_series(497, 500) AS g;
ROLLBACK TO s;
INSERT INTO many VALUES (499, 'c499', 'second');
ALTER TABLE many ADD COLUMN w integer;
INSERT INTO many VALUES (498, 'c498', 'second'), (250, 'c250', 'second');
DELETE FROM many WHERE v = 'first' AND id < 11;
INSERT INTO many VALUES (1, 'c11', 'third'), (2, 'c2', 'third');
INSERT INTO many VALUES (3, 'c3', 'third'), (6, 'c6', 'third') ON CONFLICT (id) DO UPDATE SET v = 'not so';
COMMIT;
SELECT v, count(*), min(id), max(id) FROM many GROUP BY v ORDER BY v;
SELECT v, stored_in::regclass, count(*), count(DISTINCT (id, code)), min(id), max(id) FROM many_deleted GROUP BY 1, 2 ORDER BY 1, 2;
SELECT (SELECT array_agg(m.id ORDER BY id) FROM many AS m WHERE id IN (SELECT id FROM many GROUP BY id HAVING count(*) > 1)) AS twice, count(DISTINCT code) = count(*) AS once FROM many;
-- errors that a loop catches leave no memory behind
RESET ROLE;
DO $$
BEGIN
	FOR n IN 1 .. 100 LOOP
		BEGIN
			INSERT INTO keys.many (id, code, v) VALUES (5, 'c5', 'taken');
		EXCEPTION WHEN unique_violation THEN
		END;
	END LOOP;
	-- none where changes are decoded
	RAISE NOTICE 'at most one: %', (SELECT count(*) <= 1 FROM pg_backend_memory_contexts WHERE name = 'soft_delete displacer');
END
$$;
-- nor do the rows of tables that take turns
CREATE TABLE turn (id integer PRIMARY KEY);
CREATE TABLE other_turn (id integer PRIMARY KEY);
SELECT soft_delete.tag('turn'), soft_delete.tag('other_turn');
INSERT INTO turn SELECT generate_series(1, 200);
INSERT INTO other_turn SELECT generate_series(1, 200);
DELETE FROM turn;
DELETE FROM other_turn;
DO $$
BEGIN
	FOR n IN 1 .. 200 LOOP
		INSERT INTO keys.turn VALUES (n);
		INSERT INTO keys.other_turn VALUES (n);
	END LOOP;
	RAISE NOTICE 'less than one each: %', (SELECT count(*) < 100 FROM pg_backend_memory_contexts WHERE name = 'ExecutorState');
END
$$;
SELECT count(*), count(DISTINCT id) FROM turn_tombstones;
DROP TABLE turn, other_turn CASCADE;
SET ROLE regress_keys;

-- what stepped aside is for the owner of the table, and comes and goes by the extension
SELECT id, tableoid::regclass FROM author_tombstones UNION ALL SELECT id, tableoid::regclass FROM parent_tombstones;
DELETE FROM author_tombstones;
SET ROLE regress_keys_app;
SELECT id FROM author_tombstones;
DELETE FROM author_tombstones;
INSERT INTO author_tombstones VALUES (now(), 7);
SET ROLE regress_keys;

-- a maintenance session enters what it is told
DELETE FROM author;
SET row_security = off;
INSERT INTO author VALUES (1);
RESET row_security;

RESET ROLE;
DROP SCHEMA keys CASCADE;
DROP ROLE regress_keys, regress_keys_app;
