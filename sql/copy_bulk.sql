-- COPY writes many rows at once, as into an untagged table: the context of an error has no line then; deleted rows step aside
CREATE ROLE regress_bulk;
CREATE SCHEMA copy_bulk AUTHORIZATION regress_bulk;
SET ROLE regress_bulk;
SET search_path = copy_bulk;
\set QUIET off

CREATE TABLE plain_bulk (id integer PRIMARY KEY);
CREATE TABLE bulk (id integer PRIMARY KEY);
CREATE TABLE told (op text, n bigint);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO copy_bulk.told SELECT TG_OP, count(*) FROM new_rows; RETURN NULL; END';
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

-- partitions, and what is locked afterwards, as without a tag
CREATE TABLE plain_parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE plain_part1 PARTITION OF plain_parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE plain_part2 PARTITION OF plain_parts FOR VALUES FROM (1000) TO (2000);
CREATE TABLE plain_part3 PARTITION OF plain_parts FOR VALUES FROM (2000) TO (9000);
CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (1000) TO (2000) PARTITION BY RANGE (id);
CREATE TABLE part2a PARTITION OF part2 FOR VALUES FROM (1000) TO (2000);
CREATE TABLE part3 PARTITION OF parts FOR VALUES FROM (2000) TO (9000);
SELECT soft_delete.tag('parts');
\copy parts FROM PROGRAM 'seq 1 3000'
DELETE FROM parts WHERE id % 3 <> 0;
\copy parts FROM PROGRAM 'seq 1 3 3000'
SELECT count(*), (SELECT count(*) FROM parts_deleted) AS deleted FROM parts;
INSERT INTO plain_parts VALUES (3);
\copy plain_parts FROM PROGRAM 'seq 2 3'
\copy parts FROM PROGRAM 'seq 2 3'
BEGIN;
\copy plain_parts FROM PROGRAM 'seq 1001 1002'
\copy parts FROM PROGRAM 'seq 1001 3 1004'
SELECT relation::regclass, mode FROM pg_locks WHERE relation::regclass::text ~ 'part' AND pid = pg_backend_pid() ORDER BY relation::regclass::text COLLATE "C", 2;
ROLLBACK;
-- a partition where something must be done for each row
CREATE TRIGGER each_row BEFORE INSERT ON part1 FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
\copy parts FROM PROGRAM 'seq 1001 3 1004; echo 2; echo 3'
\copy parts FROM PROGRAM 'seq 1001 1002'
-- the triggers fire again
DROP TRIGGER each_row ON part1;
INSERT INTO part3 VALUES (2003);
\copy parts (id, deleted_at) FROM PROGRAM 'echo 5,now' (FORMAT csv)
-- an error while partitions are prepared leaves the triggers of the others as they are
CREATE FUNCTION fails(n integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('copy_bulk.fails', true) = 'on' THEN
		RAISE 'the predicate fails';
	END IF;
	RETURN true;
END $$;
CREATE UNIQUE INDEX broken ON part3 (id) WHERE copy_bulk.fails(1);
\set QUIET on
\c -
\set QUIET off
SET ROLE regress_bulk;
SET search_path = copy_bulk;
SET copy_bulk.fails = on;
COPY parts FROM STDIN;
4
\.
RESET copy_bulk.fails;
DELETE FROM part1 WHERE id IN (9, 12);
ALTER INDEX part1_pkey SET (fillfactor = 90);
INSERT INTO part1 VALUES (9), (12);
DROP INDEX broken;
-- more partitions than are opened in advance
DO $$
BEGIN
	FOR n IN 1 .. 70 LOOP
		EXECUTE format('CREATE TABLE copy_bulk.more%s PARTITION OF copy_bulk.parts FOR VALUES FROM (%s) TO (%s)', n, 9000 + n, 9001 + n);
	END LOOP;
END $$;
\copy parts FROM PROGRAM 'seq 1001 3 1004'
\copy parts FROM PROGRAM 'seq 2 3'
SELECT count(*), (SELECT count(*) FROM parts_deleted) AS deleted FROM parts;

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA copy_bulk CASCADE;
DROP ROLE regress_bulk;
