-- no command destroys what is held, and each names the hold and the statement that lifts it
CREATE ROLE regress_drops;
GRANT SET ON PARAMETER soft_delete.truncate TO regress_drops;
CREATE SCHEMA hold_drops AUTHORIZATION regress_drops;
SET ROLE regress_drops;
SET search_path = hold_drops;
\set QUIET off

CREATE TABLE p (id integer PRIMARY KEY);
CREATE TABLE c (id integer PRIMARY KEY, p_id integer REFERENCES p ON DELETE CASCADE);
CREATE TABLE free (id integer PRIMARY KEY);
CREATE TABLE aside (id integer PRIMARY KEY);
CREATE TYPE typ AS (id integer);
CREATE TABLE typed OF typ (PRIMARY KEY (id));
SELECT soft_delete.tag('p', cascade => true), soft_delete.tag('free'), soft_delete.tag('aside', storage => 'aside'), soft_delete.tag('typed', storage => 'aside');
INSERT INTO p VALUES (1), (2);
INSERT INTO c VALUES (1, 1), (2, 2);
INSERT INTO aside VALUES (1);
INSERT INTO typed VALUES (1);
DELETE FROM p;
DELETE FROM aside;
DELETE FROM typed;
UPDATE p_deleted SET hold = 'case 1' WHERE id = 1;
UPDATE aside_deleted SET hold = 'case 2';
UPDATE typed_deleted SET hold = 'case 3';
DROP TABLE p CASCADE;
DROP TABLE c;
DROP TABLE free, aside;
DROP TABLE aside_tombstones CASCADE;
DROP TYPE typ CASCADE;
DROP SCHEMA hold_drops CASCADE;
DROP OWNED BY regress_drops;
SELECT soft_delete.untag('p', tombstones => 'purge', cascade => true);
SELECT soft_delete.untag('c', tombstones => 'purge', cascade => true);
SET soft_delete.truncate = 'hard';
TRUNCATE c;
TRUNCATE p CASCADE;
TRUNCATE aside;
RESET soft_delete.truncate;
SET row_security = off;
ALTER TABLE p DROP CONSTRAINT p_pkey CASCADE;
DROP TRIGGER "~soft_delete" ON p;
DROP TABLE p CASCADE;
RESET row_security;
RESET ROLE;
SET session_replication_role = replica;
DROP TABLE hold_drops.c;
DROP TABLE hold_drops.aside;
TRUNCATE hold_drops.aside_tombstones;
RESET session_replication_role;
SELECT count(*) FROM soft_delete.holds;

-- the twin's answers come first
CREATE ROLE regress_drops_other;
SET ROLE regress_drops_other;
DROP TABLE hold_drops.p;
DROP TABLE hold_drops.nothing;
RESET ROLE;
DROP ROLE regress_drops_other;

-- what holds nothing goes, and what was lifted
SET ROLE regress_drops;
DROP TABLE free;
SELECT soft_delete.lift('hold_drops.p', 'case 1');
DROP TABLE c;
DROP TABLE p;
SELECT soft_delete.lift('hold_drops.aside', 'case 2');
DROP TABLE aside;
SELECT soft_delete.lift('hold_drops.typed', 'case 3');
DROP TYPE typ CASCADE;

-- partitions and inheritance
CREATE TABLE part (id integer PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE root (id integer PRIMARY KEY);
CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (root);
SELECT soft_delete.tag('part'), soft_delete.tag('root');
INSERT INTO part VALUES (1), (11);
INSERT INTO heir VALUES (1);
DELETE FROM part;
DELETE FROM root;
UPDATE part_deleted SET hold = 'case 4' WHERE id = 1;
SELECT soft_delete.hold('root', 'case 5');
ALTER TABLE part DETACH PARTITION part_1;
ALTER TABLE part DETACH PARTITION part_1 CONCURRENTLY;
DROP TABLE part_1;
DROP TABLE part;
DROP TABLE heir;
ALTER TABLE heir NO INHERIT root;
DROP TABLE part_2;
SELECT soft_delete.lift('case 4'), soft_delete.lift('case 5');
ALTER TABLE part DETACH PARTITION part_1;
DROP TABLE part, part_1;
-- what is held in a companion stays there, whatever is written to that, by whichever trigger, in whichever session
CREATE TABLE kept (id integer PRIMARY KEY, v text, at timestamptz);
CREATE TABLE stepped (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('kept', storage => 'aside'), soft_delete.tag('stepped');
INSERT INTO kept VALUES (1, 'a'), (2, 'b');
INSERT INTO stepped VALUES (1, 'a');
DELETE FROM kept;
DELETE FROM stepped;
INSERT INTO stepped VALUES (1, 'b');
SELECT soft_delete.hold('kept', 1, 'case 7');
UPDATE stepped_deleted SET hold = 'case 8';
SET row_security = off;
DELETE FROM kept_tombstones;
UPDATE kept_tombstones SET id = 3;
TRUNCATE kept_tombstones;
DELETE FROM stepped_tombstones;
DROP TRIGGER "~soft_delete_companion" ON kept_tombstones;
ALTER TRIGGER "~soft_delete_companion" ON kept_tombstones RENAME TO other;
CREATE OR REPLACE TRIGGER "~soft_delete_companion" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON kept_tombstones FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_companion('at');
ALTER TABLE kept_tombstones DISABLE TRIGGER ALL;
ALTER TABLE kept_tombstones DROP CONSTRAINT soft_delete_companion;
ALTER TABLE kept_tombstones ALTER v TYPE text USING NULL;
CREATE TABLE above (LIKE kept_tombstones);
ALTER TABLE kept_tombstones INHERIT above;
DROP TABLE kept_tombstones CASCADE;
-- nor is it left to a crash
ALTER TABLE kept_tombstones SET UNLOGGED;
ALTER TABLE stepped_tombstones SET UNLOGGED;
ALTER TABLE kept SET UNLOGGED;
ALTER TABLE stepped ADD w text, SET UNLOGGED;
-- to insert is what a dump does
INSERT INTO kept_tombstones (deleted_at, id, v) VALUES ('2001-01-01', 4, 'c');
RESET row_security;
ALTER TABLE kept SET UNLOGGED;
ALTER TABLE stepped SET UNLOGGED;
ALTER TABLE stepped_tombstones RENAME TO renamed;
DROP TRIGGER "~soft_delete_companion" ON renamed;
ALTER TRIGGER "~soft_delete_companion" ON renamed RENAME TO other;
CREATE OR REPLACE TRIGGER "~soft_delete_companion" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON kept_tombstones FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_companion('at');
-- another trigger neither makes it a companion nor says where the stamps are
CREATE TRIGGER "a" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON kept_tombstones FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_companion('at');
DELETE FROM kept_deleted;
-- and what fires while the extension writes to it may not
CREATE FUNCTION destroy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		DELETE FROM hold_drops.kept_tombstones WHERE id = 1;
	EXCEPTION WHEN feature_not_supported THEN
		RAISE NOTICE '%', SQLERRM;
	END;
	RETURN NEW;
END
$$;
DROP TRIGGER a ON kept_tombstones;
CREATE TRIGGER a BEFORE UPDATE ON kept_tombstones FOR EACH ROW EXECUTE FUNCTION destroy();
\set VERBOSITY terse
ALTER TABLE kept ALTER v TYPE integer USING 1 / (id - id);
\set VERBOSITY default
-- nor does a DELETE destroy a live row that is held
INSERT INTO kept VALUES (5, 1);
SELECT soft_delete.hold('kept', 5, 'case 9');
ALTER TABLE kept DISABLE TRIGGER USER;
ALTER TABLE kept DISABLE TRIGGER "~soft_delete";
ALTER TABLE kept ENABLE REPLICA TRIGGER "~soft_delete";
SELECT soft_delete.lift('case 9');
SELECT id, hold FROM kept_deleted ORDER BY id;
SELECT id, hold FROM stepped_deleted;
-- nor what would keep rows that move with a partition
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE parted (id integer PRIMARY KEY, v integer, at timestamptz) PARTITION BY RANGE (id);
SELECT soft_delete.tag('parted', storage => 'aside');
CREATE TRIGGER a BEFORE INSERT ON parted_tombstones FOR EACH ROW EXECUTE FUNCTION skip();
CREATE TABLE comes (id integer PRIMARY KEY, v integer, at timestamptz);
SELECT soft_delete.tag('comes', storage => 'aside');
INSERT INTO comes VALUES (1);
DELETE FROM comes;
ALTER TABLE parted ATTACH PARTITION comes FOR VALUES FROM (0) TO (10);
DROP TRIGGER a ON parted_tombstones;
ALTER TABLE parted ATTACH PARTITION comes FOR VALUES FROM (0) TO (10);
SELECT id FROM parted_deleted;
SELECT soft_delete.lift('case 7'), soft_delete.lift('case 8');
SET row_security = off;
DELETE FROM kept_tombstones WHERE id = 4;
RESET row_security;
DROP TABLE kept, stepped, parted, above;
DROP FUNCTION destroy(), skip();
-- what keeps a companion and its months does not go with another extension
CREATE TABLE months (id integer PRIMARY KEY);
SELECT soft_delete.tag('months', storage => 'aside_monthly') IS NOT NULL AS tagged;
INSERT INTO months VALUES (1);
DELETE FROM months;
UPDATE months_deleted SET hold = 'case 9';
DO $$
DECLARE
	relation regclass;
	trigger name;
BEGIN
	FOR relation, trigger IN SELECT tgrelid, tgname FROM pg_trigger WHERE tgrelid IN ('months_deleted'::regclass, 'months_tombstones'::regclass, (SELECT tableoid FROM months_tombstones)) LOOP
		BEGIN
			EXECUTE format('ALTER TRIGGER %I ON %s DEPENDS ON EXTENSION plpgsql', trigger, relation);
			RAISE WARNING 'trigger % of % depends on another extension', trigger, relation;
		EXCEPTION WHEN feature_not_supported THEN
		END;
	END LOOP;
END
$$;
-- nor is a month taken out of it in a session that restores a dump
SET row_security = off;
DO $$ BEGIN EXECUTE format('ALTER TABLE %s NO INHERIT months_tombstones', (SELECT tableoid::regclass FROM months_tombstones)); EXCEPTION WHEN object_in_use THEN RAISE NOTICE '%', SQLERRM; END $$;
RESET row_security;
SELECT id, hold FROM months_deleted;
SELECT soft_delete.lift('case 9');
DROP TABLE months;
-- a temporary table is its session's
CREATE TEMPORARY TABLE temp (id integer PRIMARY KEY);
SELECT soft_delete.tag('temp');
INSERT INTO temp VALUES (1);
DELETE FROM temp;
UPDATE temp_deleted SET hold = 'case 6';
\set VERBOSITY terse
DROP TABLE temp;
\c -
DROP SCHEMA hold_drops CASCADE;
REVOKE SET ON PARAMETER soft_delete.truncate FROM regress_drops;
DROP ROLE regress_drops;
TRUNCATE soft_delete_internal.lifted_holds;
