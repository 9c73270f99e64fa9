-- an INSERT fires no row trigger of ours, which EXPLAIN would list, and claims keys of deleted rows all the same
CREATE ROLE regress_insert;
CREATE SCHEMA insert_bulk AUTHORIZATION regress_insert;
SET ROLE regress_insert;
SET search_path = insert_bulk;
\set QUIET off

CREATE TABLE bulk (id integer PRIMARY KEY, mail text UNIQUE, n integer DEFAULT 0);
PREPARE fill(integer, integer) AS INSERT INTO bulk SELECT i, 'mail' || i FROM generate_series($1, $2) AS i;
EXECUTE fill(1, 3000);
SELECT soft_delete.tag('bulk');
CREATE FUNCTION triggers_of(command text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || command LOOP
		IF line LIKE '%Trigger%' THEN
			RETURN NEXT line;
		END IF;
	END LOOP;
END $$;
CREATE VIEW state AS SELECT (SELECT count(*) FROM bulk) AS live, (SELECT count(*) FROM bulk_deleted) AS deleted, (SELECT count(*) FROM bulk_tombstones) AS aside;

DELETE FROM bulk;
EXECUTE fill(1, 1000);
TABLE state;
SELECT * FROM triggers_of('INSERT INTO bulk SELECT i, $m$mail$m$ || i FROM generate_series(1001, 2000) AS i');
SELECT * FROM triggers_of('INSERT INTO bulk VALUES (2001, $m$mail2001$m$) ON CONFLICT (id) DO UPDATE SET n = 1');
SELECT * FROM triggers_of('INSERT INTO bulk VALUES (2001, $m$mail2001$m$) ON CONFLICT (mail) DO UPDATE SET n = bulk.n + 1');
SELECT * FROM triggers_of('WITH new AS (INSERT INTO bulk VALUES (2002, $m$mail2002$m$), (2003, $m$mail2003$m$) RETURNING id) SELECT * FROM new');
TABLE state;
SELECT * FROM bulk WHERE id > 2000 ORDER BY id;
INSERT INTO bulk VALUES (4000, 'mail1');
INSERT INTO bulk VALUES (1, 'other');
-- a tombstone is refused by the plan
INSERT INTO bulk (id, deleted_at) VALUES (4000, now());
-- what is known of the indexes is forgotten in mid-statement
CREATE FUNCTION forget(i integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	ANALYZE insert_bulk.bulk;
	RETURN i;
END $$;
SELECT * FROM triggers_of('INSERT INTO bulk SELECT insert_bulk.forget(i), $m$mail$m$ || i FROM generate_series(2998, 3000) AS i');
SELECT id FROM bulk WHERE id >= 2998 ORDER BY id;
CREATE FUNCTION index() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN CREATE UNIQUE INDEX late ON insert_bulk.bulk (n); RETURN NULL; END';
CREATE TRIGGER index BEFORE INSERT ON bulk FOR EACH STATEMENT EXECUTE FUNCTION index();
INSERT INTO bulk VALUES (2500);
DROP TRIGGER index ON bulk;
-- a plan that was made before a trigger of the application came
CREATE FUNCTION bury() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.deleted_at := now(); RETURN NEW; END';
CREATE TRIGGER bury BEFORE INSERT ON bulk FOR EACH ROW EXECUTE FUNCTION bury();
EXECUTE fill(2501, 2501);
DROP TRIGGER bury ON bulk;

-- where something must be done for each row, it fires
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER each_row BEFORE INSERT ON bulk FOR EACH ROW EXECUTE FUNCTION pass();
SELECT * FROM triggers_of('INSERT INTO bulk VALUES (2500)');
DROP TRIGGER each_row ON bulk;
ALTER TABLE bulk ADD CONSTRAINT later UNIQUE (id) DEFERRABLE;
SELECT * FROM triggers_of('INSERT INTO bulk VALUES (2502), (2503)');
ALTER TABLE bulk DROP CONSTRAINT later;
SET row_security = off;
SELECT * FROM triggers_of('INSERT INTO bulk VALUES (3001)');
EXECUTE fill(2505, 2505);
INSERT INTO bulk (id, deleted_at) VALUES (3002, now());
RESET row_security;
TABLE state;

-- where rows are routed, it fires once for each partition
CREATE TABLE parts (id integer PRIMARY KEY, n integer DEFAULT 0) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 (n integer, gone text, id integer NOT NULL);
ALTER TABLE part2 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION part2 FOR VALUES FROM (10) TO (2000);
SELECT soft_delete.tag('parts');
INSERT INTO parts SELECT generate_series(1, 1000);
DELETE FROM parts;
SELECT * FROM triggers_of('INSERT INTO parts SELECT generate_series(1, 12)');
SELECT * FROM triggers_of('INSERT INTO part1 VALUES (0)');
SELECT * FROM triggers_of('WITH new AS (INSERT INTO parts VALUES (13), (14), (13) ON CONFLICT DO NOTHING RETURNING id) SELECT * FROM new');
SELECT * FROM triggers_of('INSERT INTO parts SELECT generate_series(12, 16) ON CONFLICT (id) DO UPDATE SET n = parts.n + 1');
SELECT tableoid::regclass, count(*), sum(n), (SELECT count(*) FROM parts_deleted) AS deleted FROM parts GROUP BY 1 ORDER BY 1;
INSERT INTO parts VALUES (17), (18), (14);
INSERT INTO parts (id, deleted_at) VALUES (17, NULL), (18, now());
-- what is known of the indexes is forgotten in mid-statement
CREATE FUNCTION forget_part(i integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	ANALYZE insert_bulk.part2;
	RETURN i;
END $$;
SELECT * FROM triggers_of('INSERT INTO parts SELECT insert_bulk.forget_part(i) FROM generate_series(17, 20) AS i');
-- a statement within the statement, which fails, and one that deletes what the outer one has made
CREATE FUNCTION nest(i integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		INSERT INTO insert_bulk.parts VALUES (i + 100), (i + 101), (i + 100);
	EXCEPTION WHEN unique_violation THEN
		DELETE FROM insert_bulk.parts WHERE id = i - 1;
	END;
	RETURN i;
END $$;
INSERT INTO parts SELECT nest(i) FROM generate_series(21, 24) AS i;
SELECT array_agg(id ORDER BY id) FROM parts WHERE id > 20;
SELECT * FROM triggers_of('UPDATE parts SET id = id + 30 WHERE id IN (8, 9)');
CREATE TRIGGER each_row BEFORE INSERT ON part2 FOR EACH ROW EXECUTE FUNCTION pass();
SELECT * FROM triggers_of('INSERT INTO parts VALUES (8), (9), (30), (31)');
CREATE TRIGGER bury BEFORE INSERT ON part1 FOR EACH ROW EXECUTE FUNCTION bury();
INSERT INTO parts VALUES (101), (7);

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA insert_bulk CASCADE;
DROP ROLE regress_insert;
