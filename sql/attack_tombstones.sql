-- The wall, rule 10: deleted stays deleted, and what is held is not destroyed.
CREATE SCHEMA attack_tombstones;
SET search_path = attack_tombstones, public;
SET client_min_messages = warning;
CREATE ROLE regress_attack_owner;
GRANT ALL ON SCHEMA attack_tombstones TO regress_attack_owner;
SET ROLE regress_attack_owner;
\set VERBOSITY terse

CREATE TABLE us (id integer PRIMARY KEY, v text, spare timestamptz);
SELECT soft_delete.tag('us');
INSERT INTO us VALUES (1, 'a'), (2, 'b');
DELETE FROM us WHERE id = 1;

-- commands that would change the tombstone column, in every kind of session
CREATE PROCEDURE attack() LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	FOREACH command IN ARRAY ARRAY[
		'ALTER TABLE us ALTER deleted_at TYPE timestamptz USING NULL',
		'ALTER TABLE us ALTER deleted_at SET DATA TYPE timestamptz USING deleted_at',
		'ALTER TABLE us ALTER deleted_at TYPE timestamptz(0)',
		'ALTER TABLE us ALTER deleted_at TYPE timestamp',
		'ALTER TABLE us ALTER v TYPE text, ALTER deleted_at TYPE timestamptz USING NULL',
		'ALTER TABLE us ALTER deleted_at SET DEFAULT now()',
		'ALTER TABLE us ALTER deleted_at SET NOT NULL',
		'ALTER TABLE us ALTER deleted_at ADD GENERATED ALWAYS AS IDENTITY',
		'ALTER TABLE us DROP deleted_at',
		'ALTER TABLE us DROP deleted_at CASCADE',
		'ALTER TABLE us DROP deleted_at CASCADE, ADD deleted_at timestamptz',
		'ALTER TABLE ONLY us DROP IF EXISTS deleted_at',
		'DROP INDEX us_deleted_at_idx',
		'DROP INDEX IF EXISTS us_deleted_at_idx CASCADE',
		'DO $do$ BEGIN ALTER TABLE us ALTER deleted_at TYPE timestamptz USING NULL; END $do$',
		'CREATE OR REPLACE TRIGGER "~soft_delete" BEFORE DELETE ON us FOR EACH ROW WHEN (false) EXECUTE FUNCTION soft_delete.delete_row(deleted_at)',
		'DROP TRIGGER "~soft_delete" ON us',
		'ALTER INDEX us_deleted_at_idx DEPENDS ON EXTENSION plpgsql',
		'ALTER TRIGGER "~soft_delete" ON us DEPENDS ON EXTENSION plpgsql',
		-- harmless
		'ALTER TABLE us ALTER deleted_at TYPE timestamptz',
		'ALTER TABLE us ALTER deleted_at DROP DEFAULT',
		'ALTER TABLE us ALTER deleted_at DROP NOT NULL',
		'ALTER TABLE us ALTER deleted_at SET STATISTICS 10',
		'ALTER INDEX us_deleted_at_idx SET (fillfactor = 80)',
		'ALTER INDEX us_deleted_at_idx RENAME TO other_name',
		'ALTER INDEX other_name RENAME TO us_deleted_at_idx',
		'REINDEX TABLE us']
	LOOP
		BEGIN
			EXECUTE command;
			RAISE NOTICE 'done: %', command;
		EXCEPTION WHEN OTHERS THEN
			RAISE NOTICE '% %: %', SQLSTATE, SQLERRM, command;
		END;
	END LOOP;
END
$$;
SET client_min_messages = notice;
CALL attack();
RESET ROLE;
SET session_replication_role = replica;
CALL attack();
-- by a rename no other column takes its place
ALTER TABLE us RENAME deleted_at TO gone;
ALTER TABLE us RENAME spare TO deleted_at;
RESET session_replication_role;
SET client_min_messages = warning;
SET ROLE regress_attack_owner;
SELECT id, v FROM us;
CREATE TABLE named (id integer PRIMARY KEY, spare timestamptz);
SELECT soft_delete.tag('named');
INSERT INTO named VALUES (1), (2);
DELETE FROM named WHERE id = 1;
ALTER TABLE named RENAME deleted_at TO gone;
ALTER TABLE named RENAME spare TO deleted_at;
SELECT * FROM named;
SELECT id, gone IS NOT NULL AS deleted FROM named_deleted;

-- a type's attribute is the tombstone column of its tables
CREATE TYPE shape AS (id integer, deleted_at timestamptz);
CREATE TABLE typed OF shape;
SELECT soft_delete.tag('typed');
INSERT INTO typed VALUES (1);
DELETE FROM typed;
ALTER TYPE shape ALTER ATTRIBUTE deleted_at TYPE timestamp CASCADE;
ALTER TYPE shape DROP ATTRIBUTE deleted_at CASCADE;
SELECT count(*) FROM typed;

-- children and partitions
CREATE TABLE parent (id integer, deleted_at timestamptz);
CREATE TABLE child () INHERITS (parent);
SELECT soft_delete.tag('parent');
INSERT INTO child VALUES (1);
DELETE FROM parent;
ALTER TABLE parent DROP deleted_at;
ALTER TABLE child ALTER deleted_at TYPE timestamptz USING NULL;
ALTER TABLE parent ALTER deleted_at TYPE timestamptz USING NULL;
SELECT count(*) FROM parent;
CREATE TABLE parted (id integer, deleted_at timestamptz) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES IN (1);
SELECT soft_delete.tag('parted');
INSERT INTO parted VALUES (1);
DELETE FROM parted;
ALTER TABLE part_1 ALTER deleted_at TYPE timestamptz USING NULL;
DROP INDEX part_1_deleted_at_idx;
DROP INDEX parted_deleted_at_idx;
SELECT count(*) FROM parted;

-- nobody writes a tombstone, or clears one, by hand
CREATE TABLE none ();
SELECT soft_delete.tag('none');
COPY none FROM stdin;
2020-01-01
\.
COPY none FROM stdin;
\N
\.
SELECT count(*) FROM none;
SELECT count(*) FROM none_deleted;
INSERT INTO none VALUES (now());
INSERT INTO none SELECT now();
CREATE TABLE w (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('w');
INSERT INTO w VALUES (1, 'a'), (2, 'b');
DELETE FROM w WHERE id = 2;
INSERT INTO w VALUES (3, 'c', now());
COPY w (id, deleted_at) FROM stdin;
3	2020-01-01
\.
UPDATE w SET deleted_at = now();
UPDATE w SET (v, deleted_at) = (SELECT 'x', now()) RETURNING id;
INSERT INTO w VALUES (1) ON CONFLICT (id) DO UPDATE SET deleted_at = now();
MERGE INTO w USING (VALUES (1)) AS s(id) ON s.id = w.id WHEN MATCHED THEN UPDATE SET deleted_at = now();
MERGE INTO w USING (VALUES (4)) AS s(id) ON s.id = w.id WHEN NOT MATCHED THEN INSERT VALUES (4, 'x', now());
CREATE VIEW v AS SELECT * FROM w;
UPDATE v SET deleted_at = now();
INSERT INTO v VALUES (5, 'x', now());
WITH u AS (UPDATE w SET deleted_at = now() RETURNING id) SELECT * FROM u;
DO 'BEGIN EXECUTE ''UPDATE w SET deleted_at = now()''; END';
CREATE FUNCTION set_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.deleted_at := now(); RETURN NEW; END';
CREATE TRIGGER set_it BEFORE INSERT OR UPDATE ON w FOR EACH ROW EXECUTE FUNCTION set_it();
INSERT INTO w VALUES (6, 'x');
UPDATE w SET v = 'y';
DROP TRIGGER set_it ON w;
CREATE TABLE times (t timestamptz PRIMARY KEY);
CREATE TABLE refers (id integer PRIMARY KEY, deleted_at timestamptz REFERENCES times ON UPDATE CASCADE ON DELETE SET DEFAULT);
SELECT soft_delete.tag('refers');
INSERT INTO refers VALUES (1);
UPDATE refers SET deleted_at = now();
-- nor does a foreign key, by what it does to deleted rows
CREATE TABLE nulled (id integer PRIMARY KEY, deleted_at timestamptz REFERENCES times ON UPDATE SET NULL ON DELETE SET NULL);
SELECT soft_delete.tag('nulled');
INSERT INTO nulled VALUES (1);
DELETE FROM refers;
DELETE FROM nulled;
INSERT INTO times SELECT deleted_at FROM refers_deleted UNION ALL SELECT deleted_at FROM nulled_deleted;
CREATE TABLE before AS SELECT 'refers' AS t, deleted_at FROM refers_deleted UNION ALL SELECT 'nulled', deleted_at FROM nulled_deleted;
UPDATE times SET t = t + interval '1 day';
DELETE FROM times;
SELECT count(*) FROM refers;
SELECT count(*) FROM nulled;
SELECT count(*) FROM before JOIN (SELECT 'refers' AS t, deleted_at FROM refers_deleted UNION ALL SELECT 'nulled', deleted_at FROM nulled_deleted) AS now USING (t, deleted_at);
SELECT * FROM w ORDER BY id;

-- what is held stays as it is in a maintenance session
CREATE TABLE hb (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('hb');
INSERT INTO hb VALUES (1, 'evidence'), (2, 'free'), (3, 'live');
DELETE FROM hb WHERE id = 1;
DELETE FROM hb WHERE id = 2;
UPDATE hb_deleted SET hold = 'case 15' WHERE id = 1;
SET row_security = off;
UPDATE hb SET deleted_at = NULL WHERE id = 1;
UPDATE hb SET deleted_at = now() WHERE id = 1;
UPDATE hb SET v = 'forged' WHERE id = 1;
UPDATE hb SET v = 'forged';
UPDATE hb SET v = 'forged' FROM (VALUES (1)) AS s(i) WHERE i = id;
MERGE INTO hb USING (VALUES (1)) AS s(i) ON i = id WHEN MATCHED THEN UPDATE SET deleted_at = NULL;
MERGE INTO hb USING (VALUES (1)) AS s(i) ON i = id WHEN MATCHED THEN DELETE;
INSERT INTO hb VALUES (1) ON CONFLICT (id) DO UPDATE SET deleted_at = NULL;
WITH u AS (UPDATE hb SET deleted_at = NULL RETURNING id) SELECT * FROM u;
CREATE VIEW hv AS SELECT * FROM hb;
UPDATE hv SET deleted_at = NULL WHERE id = 1;
-- nor does a restore that cleans up, which drops the trigger before the table
DROP TRIGGER "~soft_delete" ON hb;
CREATE OR REPLACE TRIGGER "~soft_delete" BEFORE DELETE ON hb FOR EACH ROW EXECUTE FUNCTION set_it();
-- without the tag's trigger a DELETE is hard, but takes live rows only
ALTER TABLE hb DISABLE TRIGGER "~soft_delete";
DELETE FROM hb WHERE id < 3;
MERGE INTO hb USING (VALUES (1)) AS s(i) ON i = id WHEN MATCHED THEN DELETE;
ALTER TABLE hb ENABLE TRIGGER "~soft_delete";
-- what is not held may be changed, by whom a dump is restored, for one
UPDATE hb SET v = 'changed' WHERE id = 2;
UPDATE hb SET v = 'changed' FROM (VALUES (2)) AS s(i) WHERE i = id;
MERGE INTO hb USING (VALUES (2)) AS s(i) ON i = id WHEN MATCHED THEN UPDATE SET v = 'merged';
INSERT INTO hb VALUES (4, 'restored', '2020-01-01');
COPY hb FROM stdin;
5	restored	2020-01-01
\.
RESET row_security;
DELETE FROM hb_deleted WHERE id = 1;
SELECT id, v, hold FROM hb_deleted ORDER BY id;
-- prepared outside, run inside, and the other way round
PREPARE revive AS UPDATE hb SET deleted_at = NULL WHERE id = 1;
SET row_security = off;
EXECUTE revive;
RESET row_security;
EXECUTE revive;
RESET ROLE;
SET session_replication_role = replica;
DELETE FROM hb WHERE id = 1;
SET soft_delete.truncate = 'hard';
TRUNCATE hb;
SET row_security = off;
DELETE FROM hb WHERE id = 1;
UPDATE hb SET deleted_at = NULL WHERE id = 1;
RESET row_security;
RESET soft_delete.truncate;
SELECT id, hold FROM hb_deleted WHERE id = 1;
-- DROP TABLE is refused; what is lifted leaves a note
DROP TABLE hb CASCADE;
RESET session_replication_role;
SELECT soft_delete.lift('case 15');
DROP TABLE hb CASCADE;
SELECT count(*) FROM soft_delete_internal.holds WHERE hold = 'case 15';
SELECT relation, hold, lifted_by = current_user AS by_me FROM soft_delete_internal.lifted_holds WHERE hold = 'case 15';

-- temporary tables leave nothing behind
SET ROLE regress_attack_owner;
CREATE TEMPORARY TABLE temp (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('temp');
CREATE TEMPORARY TABLE temp_child (id integer PRIMARY KEY, parent integer REFERENCES temp ON DELETE SET NULL);
SELECT soft_delete.tag('temp_child');
INSERT INTO temp VALUES (1, 'a'), (2, 'b');
INSERT INTO temp_child VALUES (1, 1);
DELETE FROM temp WHERE id = 1;
INSERT INTO temp VALUES (1, 'again');
SELECT soft_delete.hold('temp', 'temporary');
SELECT soft_delete.retain('temp', '1 day');
RESET ROLE;
SELECT 'temp'::regclass::oid AS temp, 'temp_child'::regclass::oid AS temp_child, 'temp_tombstones'::regclass::oid AS temp_tombstones \gset
CREATE VIEW left_behind AS
	SELECT 'holds' AS kept_in, relation::oid FROM soft_delete_internal.holds UNION ALL
	SELECT 'retention', relation FROM soft_delete_internal.retention UNION ALL
	SELECT 'companion', conrelid FROM pg_constraint WHERE conname = 'soft_delete_companion' UNION ALL
	SELECT 'cut_references', relation FROM soft_delete_internal.set_null_references;
SELECT kept_in, count(*) FROM left_behind WHERE relation IN (:temp, :temp_child, :temp_tombstones) GROUP BY 1 ORDER BY 1;
\c
SET search_path = attack_tombstones, public;
DO $$
BEGIN
	-- the other session may end after this one has begun
	FOR i IN 1..100 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM pg_class WHERE relname = 'temp_child' AND relpersistence = 't');
		PERFORM pg_sleep(0.1);
	END LOOP;
END
$$;
SELECT kept_in, count(*) FROM left_behind WHERE relation IN (:temp, :temp_child, :temp_tombstones) GROUP BY 1 ORDER BY 1;
SET client_min_messages = warning;
BEGIN;
CREATE TEMPORARY TABLE fleeting (id integer PRIMARY KEY) ON COMMIT DROP;
SELECT soft_delete.tag('fleeting');
SELECT soft_delete.hold('fleeting', 'temporary');
SELECT soft_delete.retain('fleeting', '1 day');
SELECT 'fleeting'::regclass::oid AS fleeting \gset
SELECT kept_in, count(*) FROM left_behind WHERE relation = :fleeting GROUP BY 1 ORDER BY 1;
COMMIT;
SELECT kept_in, count(*) FROM left_behind WHERE relation = :fleeting GROUP BY 1 ORDER BY 1;

-- a held row is known by its primary key, which a session that restores a dump, as anybody
-- may say that it does, neither changes nor drops without a record
RESET ROLE;
CREATE SCHEMA keyed AUTHORIZATION regress_attack_owner;
SET ROLE regress_attack_owner;
CREATE TYPE keyed.mood AS ENUM ('sad', 'ok');
CREATE TABLE keyed.t (id integer PRIMARY KEY);
CREATE TABLE keyed.m (id keyed.mood PRIMARY KEY);
CREATE TABLE keyed.r (id regclass PRIMARY KEY);
SELECT soft_delete.tag('keyed.t'), soft_delete.tag('keyed.m'), soft_delete.tag('keyed.r');
INSERT INTO keyed.t VALUES (1);
INSERT INTO keyed.m VALUES ('sad');
INSERT INTO keyed.r VALUES ('pg_class');
DELETE FROM keyed.t;
DELETE FROM keyed.m;
DELETE FROM keyed.r;
UPDATE keyed.t_deleted SET hold = 'kept';
UPDATE keyed.m_deleted SET hold = 'kept';
UPDATE keyed.r_deleted SET hold = 'its name is not its own';
SET row_security = off;
ALTER TABLE keyed.t ALTER id TYPE bigint USING id + 1000;
ALTER TYPE keyed.mood RENAME VALUE 'sad' TO 'glad';
ALTER TABLE keyed.t DROP CONSTRAINT t_pkey;
RESET row_security;
SELECT relation, key, hold, lifted_by FROM soft_delete.lifted_holds WHERE relation = 'keyed.t';
SELECT id, hold FROM keyed.m_deleted;
-- a record has a relation's name as it always has it
SET quote_all_identifiers = on;
UPDATE keyed.m_deleted SET hold = NULL;
RESET quote_all_identifiers;
SELECT relation FROM soft_delete.lifted_holds WHERE relation ~ 'keyed' ORDER BY 1;
-- a parent that is not tagged is no way around
CREATE TABLE keyed.above (id integer, deleted_at timestamptz);
CREATE TABLE keyed.below () INHERITS (keyed.above);
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON keyed.below FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at');
INSERT INTO keyed.below VALUES (1);
DELETE FROM keyed.below;
SET row_security = off;
UPDATE keyed.above SET deleted_at = NULL;
RESET row_security;
SELECT count(*) FROM keyed.below;
RESET ROLE;
SET client_min_messages = error;
DELETE FROM soft_delete_internal.holds;
DROP SCHEMA keyed CASCADE;

DROP SCHEMA attack_tombstones CASCADE;
DROP ROLE regress_attack_owner;

-- code of an owner does not restore others' rows with the rights of who calls the extension
SET client_min_messages = warning;
CREATE ROLE regress_deputy_eve;
CREATE ROLE regress_deputy_alice;
CREATE SCHEMA deputy;
GRANT ALL ON SCHEMA deputy TO regress_deputy_eve, regress_deputy_alice;
SET ROLE regress_deputy_alice;
CREATE TABLE deputy.parent (id integer PRIMARY KEY);
SELECT soft_delete.tag('deputy.parent');
INSERT INTO deputy.parent VALUES (1);
GRANT REFERENCES ON deputy.parent TO regress_deputy_eve;
SET ROLE regress_deputy_eve;
CREATE TABLE deputy.child (id integer PRIMARY KEY, parent_id integer REFERENCES deputy.parent ON DELETE CASCADE);
CREATE TABLE deputy.bait (id integer PRIMARY KEY);
SELECT soft_delete.tag('deputy.child'), soft_delete.tag('deputy.bait');
INSERT INTO deputy.child VALUES (1, 1);
INSERT INTO deputy.bait VALUES (1);
DELETE FROM deputy.child;
SELECT deleted_at AS child_stamp FROM deputy.child_deleted \gset
DELETE FROM deputy.bait;
SELECT deleted_at AS bait_stamp FROM deputy.bait_deleted \gset
CREATE FUNCTION deputy.restore() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('soft_delete.with_parents', 'on', true);
	BEGIN
		UPDATE deputy.child_deleted SET deleted_at = NULL;
	EXCEPTION WHEN insufficient_privilege THEN
		RAISE WARNING '%', SQLERRM;
	END;
	RETURN NULL;
END
$$;
CREATE TRIGGER a AFTER INSERT ON deputy.bait FOR EACH ROW EXECUTE FUNCTION deputy.restore();
-- nor what the planner calls in the statement that the extension runs
CREATE FUNCTION deputy.plans() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM deputy.restores(); RETURN true; END $$;
CREATE FUNCTION deputy.restores() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE deputy.child_deleted SET deleted_at = NULL;
EXCEPTION WHEN insufficient_privilege THEN
	NULL;
END
$$;
DO $$
DECLARE
	definition text := rtrim(pg_get_viewdef('deputy.bait_deleted'), ';');
BEGIN
	SET LOCAL check_function_bodies = off;
	EXECUTE format('CREATE OR REPLACE VIEW deputy.bait_deleted AS SELECT * FROM (%s) AS bin WHERE deputy.plans()', definition);
END
$$;
SET ROLE regress_deputy_alice;
DELETE FROM deputy.parent;
RESET ROLE;
\set VERBOSITY terse
SELECT soft_delete.undo(:'bait_stamp', with_parents => true);
SELECT count(*) FROM deputy.parent;
-- but who may, brings them back
SELECT soft_delete.undo(:'child_stamp', with_parents => true);
SELECT count(*) FROM deputy.parent;
SET client_min_messages = error;
DROP SCHEMA deputy CASCADE;
DROP ROLE regress_deputy_eve, regress_deputy_alice;
