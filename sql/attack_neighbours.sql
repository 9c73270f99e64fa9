-- One owner's broken, absurd or hostile table concerns nobody else
--
-- Eve owns what is broken, good owns a table that is not, an auditor may read all
-- statistics and good's bin.  Whatever eve does, the others see, hold, purge and
-- restore what is good's.
--
-- An error, a lock or a nonsense value of one table is that table's line, and so is an
-- error that pretends to be a cancellation.
\set VERBOSITY terse
CREATE ROLE regress_eve;
CREATE ROLE regress_good;
CREATE ROLE regress_auditor IN ROLE pg_monitor;
CREATE SCHEMA attack_eve AUTHORIZATION regress_eve;
CREATE SCHEMA attack_good AUTHORIZATION regress_good;
GRANT USAGE ON SCHEMA attack_eve, attack_good TO PUBLIC;
CREATE FOREIGN DATA WRAPPER attack_wrapper;
CREATE SERVER attack_server FOREIGN DATA WRAPPER attack_wrapper;
GRANT USAGE ON FOREIGN SERVER attack_server TO regress_eve;

SET ROLE regress_good;
SET search_path = attack_good;
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE TABLE good (id integer PRIMARY KEY, mood mood);
SELECT soft_delete.tag('good');
INSERT INTO good VALUES (1, 'calm'), (2, 'calm'), (3, 'cross');
DELETE FROM good WHERE id = 1;
GRANT SELECT, UPDATE (hold) ON good_deleted TO regress_auditor;
RESET ROLE;

/*
 * Absurd values are refused
 */
SET ROLE regress_eve;
SET search_path = attack_eve;
CREATE TABLE aged (id integer PRIMARY KEY);
SELECT soft_delete.tag('aged');
INSERT INTO aged VALUES (1), (2);
DELETE FROM aged;
SELECT soft_delete.retain('aged', '178000000 years');
SELECT soft_delete.retain('aged', '-1 day');
SELECT soft_delete.retain('aged', '-1000000 years 400000000 days');
SELECT soft_delete.retain('aged', '2147483647 days');
SELECT soft_delete.retain('aged', '2562047788 hours');
SELECT soft_delete.retain_schema('attack_eve', '178000000 years');
CALL soft_delete.purge(older_than => '178000000 years');
CALL soft_delete.purge(pause => '178000000 years');
CALL soft_delete.purge(pause => '-1 s');
CALL soft_delete.purge(batch_size => 0);
SELECT * FROM soft_delete.preview_purge(older_than => '178000000 years');
SELECT * FROM soft_delete.timeline(days => 2147483647);
SELECT * FROM soft_delete.timeline(days => 0);
SELECT soft_delete.hold('aged', '');
SELECT soft_delete.hold('aged', repeat('x', 10001));
UPDATE aged_deleted SET hold = repeat('x', 10001) WHERE id = 1;
SELECT soft_delete.hold_deletion(min(deleted_at), repeat('x', 10001)) FROM aged_deleted;
SELECT soft_delete.hold_deletion('infinity', 'x'), soft_delete.hold_deletion('-infinity', 'x');
SELECT soft_delete.undo('infinity'), soft_delete.undo('4713-01-01 BC'), soft_delete.undo(NULL);
SELECT * FROM soft_delete.deletion_rows('-infinity');
SELECT soft_delete.retain('aged', '3000 years');
SELECT soft_delete.retain('aged', '0');
CALL soft_delete.purge('aged', batch_size => 2147483647);
RESET ROLE;
-- what a dump brings, too
INSERT INTO soft_delete_internal.retention VALUES ('attack_eve.aged', NULL, '178000000 years') ON CONFLICT (relation) DO UPDATE SET retain = excluded.retain;
UPDATE soft_delete_internal.retention SET retain = '-1 day';
INSERT INTO soft_delete_internal.holds VALUES ('attack_eve.aged', NULL, NULL, '', 'x', now());
INSERT INTO soft_delete_internal.holds VALUES ('attack_eve.aged', NULL, NULL, repeat('x', 10001), 'x', now());

/*
 * Broken tables
 */
SET ROLE regress_eve;
-- a bin that fails
CREATE TABLE bin_fails (id integer PRIMARY KEY);
SELECT soft_delete.tag('bin_fails');
INSERT INTO bin_fails VALUES (1), (2);
DELETE FROM bin_fails WHERE id = 1;
SELECT format('CREATE OR REPLACE VIEW bin_fails_deleted AS SELECT * FROM (%s) AS d WHERE 1 / (id - id) = 0', rtrim(pg_get_viewdef('bin_fails_deleted'), ';')) \gexec
-- no bin at all
CREATE TABLE no_bin (id integer PRIMARY KEY);
SELECT soft_delete.tag('no_bin');
INSERT INTO no_bin VALUES (1);
DELETE FROM no_bin;
SET row_security = off;
DROP VIEW no_bin_deleted;
RESET row_security;
-- an index whose predicate pretends that the query was cancelled
CREATE FUNCTION liar() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE TABLE index_lies (id integer PRIMARY KEY);
SELECT soft_delete.tag('index_lies');
INSERT INTO index_lies VALUES (1), (2);
DELETE FROM index_lies WHERE id = 1;
CREATE INDEX ON index_lies (deleted_at) WHERE attack_eve.liar();
CREATE OR REPLACE FUNCTION liar() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE EXCEPTION 'lie' USING ERRCODE = 'query_canceled'; END $$;
-- one that asserts
CREATE FUNCTION asserts() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE TABLE index_asserts (id integer PRIMARY KEY);
SELECT soft_delete.tag('index_asserts');
CREATE INDEX ON index_asserts (deleted_at) WHERE attack_eve.asserts();
CREATE OR REPLACE FUNCTION asserts() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN ASSERT false, 'no'; RETURN true; END $$;
-- tags made by hand: of no column, of one that holds no stamp, of a foreign table
CREATE TABLE no_column (id integer PRIMARY KEY);
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON no_column FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('nothing');
CREATE TABLE no_stamp (id integer PRIMARY KEY);
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON no_stamp FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('id');
CREATE FOREIGN TABLE "foreign" (id integer, deleted_at timestamptz) SERVER attack_server;
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON "foreign" FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at');
-- an owner without rights, and one with a policy that fails
CREATE TABLE no_rights (id integer PRIMARY KEY);
SELECT soft_delete.tag('no_rights');
INSERT INTO no_rights VALUES (1);
DELETE FROM no_rights;
REVOKE ALL ON no_rights FROM regress_eve;
CREATE TABLE policed (id integer PRIMARY KEY);
SELECT soft_delete.tag('policed');
INSERT INTO policed VALUES (1);
DELETE FROM policed;
CREATE POLICY fails ON policed USING (1 / (id - id) = 0);
ALTER TABLE policed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- what stepped aside cannot be read
CREATE TABLE aside (id integer PRIMARY KEY);
SELECT soft_delete.tag('aside');
INSERT INTO aside VALUES (1);
DELETE FROM aside;
INSERT INTO aside VALUES (1);
ALTER TABLE aside_tombstones ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY fails ON aside_tombstones USING (1 / (id - id) = 0);
RESET ROLE;
-- a retention that is none
ALTER TABLE soft_delete_internal.retention DISABLE TRIGGER USER, DROP CONSTRAINT retention_retain_check;
UPDATE soft_delete_internal.retention SET retain = '178000000 years' WHERE relation = 'attack_eve.aged'::regclass;
INSERT INTO soft_delete_internal.purge_log VALUES ('attack_eve.aged', 'infinity', 'regress_eve', 7, NULL, NULL, '1s', NULL), ('attack_eve.aged', '-infinity', 'regress_eve', 7, NULL, NULL, '1s', NULL),
	('no name', now(), 'regress_eve', 9223372036854775807, NULL, NULL, '1s', NULL);
INSERT INTO soft_delete_internal.lifted_holds VALUES ('no.name.at all"', NULL, '{{1},{2}}', 'x', 'x', now(), 'x', now());

/*
 * The others are shown, and see their own
 */
SET search_path = pg_catalog;
\set show 'SELECT relation, bin, deleted_rows, displaced_rows, due_rows, retention FROM soft_delete.tables WHERE relation::text LIKE ''attack%'' ORDER BY relation::text'
:show;
SELECT name, value FROM soft_delete.metrics WHERE labels = '{"schema": "attack_good", "table": "good"}' AND name LIKE '%rows' AND name <> 'soft_delete_live_rows' ORDER BY name;
SELECT count(*) > 20 AS shown FROM soft_delete.metrics;
SELECT severity, relation, problem FROM soft_delete.check() WHERE relation::text LIKE 'attack%' ORDER BY relation::text, problem;
-- bins are read as their reader: a lie would be one to him
CREATE OR REPLACE FUNCTION attack_eve.liar() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE OR REPLACE FUNCTION attack_eve.asserts() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
SELECT sum(deleted) > 0 AS deleted, sum(purged) AS purged FROM soft_delete.timeline();
SELECT d.relation, d.rows FROM (SELECT deleted_at FROM attack_good.good_deleted) AS g, soft_delete.deletion_rows(g.deleted_at) AS d;
SELECT p.relation, p.row, p.outcome FROM (SELECT deleted_at FROM attack_good.good_deleted) AS g, soft_delete.preview(g.deleted_at) AS p;
SET ROLE regress_auditor;
:show;
SELECT sum(deleted) AS deleted FROM soft_delete.timeline();
SELECT soft_delete.hold_deletion(deleted_at, 'audit') FROM attack_good.good_deleted;
SELECT soft_delete.hold_deletion(deleted_at, NULL) FROM attack_good.good_deleted;
RESET ROLE;
SET ROLE regress_good;
:show;
SELECT severity, relation, problem FROM soft_delete.check();
RESET ROLE;

-- undo is all or nothing: a superuser is told which table fails, and good restores its own
SELECT soft_delete.undo(deleted_at) FROM attack_good.good_deleted;
SELECT count(*) FROM attack_good.good_deleted;
-- even where good may read a bin of eve's that fails
GRANT SELECT, UPDATE ON attack_eve.index_lies_deleted TO regress_good;
SET ROLE regress_good;
SET search_path = attack_good;
SELECT soft_delete.undo(deleted_at) FROM good_deleted;
RESET ROLE;
REVOKE ALL ON attack_eve.index_lies_deleted FROM regress_good;
SET ROLE regress_good;
DELETE FROM good WHERE id = 1;
SELECT soft_delete.retain('good', '0');
RESET ROLE;
SET search_path = pg_catalog;
CREATE OR REPLACE FUNCTION attack_eve.liar() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'lie' USING ERRCODE = 'query_canceled'; END $$;
SELECT soft_delete.retain('attack_eve.index_lies', '0'), soft_delete.retain('attack_eve.bin_fails', '0'), soft_delete.retain('attack_eve.no_bin', '0');
-- a purge by a superuser
SELECT member, rows FROM soft_delete.preview_purge();
CALL soft_delete.purge();
SELECT relation, rows, error FROM soft_delete.purge_log WHERE relation LIKE 'attack%' AND isfinite(purged_at) AND (rows > 0 OR error IS NOT NULL) ORDER BY relation;
SELECT count(*) FROM attack_good.good_deleted;
-- the ledger forgets no deletion that has rows
SELECT soft_delete_internal.remove_empty_deletions('-infinity', 'infinity', 2147483647) IS NULL AS done;
SELECT count(*) FROM (SELECT deleted_at FROM attack_eve.policed TABLESAMPLE soft_delete.rows('deleted')) AS d LEFT JOIN soft_delete.deletions USING (deleted_at) WHERE xid IS NULL;

/*
 * A row with the stamp of somebody else's deletion
 */
SET ROLE regress_good;
SET search_path = attack_good;
INSERT INTO good VALUES (4, 'calm');
DELETE FROM good WHERE id = 4;
SELECT deleted_at AS stamp FROM good_deleted \gset
SET ROLE regress_eve;
SET search_path = attack_eve;
CREATE TABLE stamped (id integer PRIMARY KEY);
SELECT soft_delete.tag('stamped') IS NOT NULL AS tagged;
SET row_security = off;
INSERT INTO stamped VALUES (1, :'stamp');
RESET row_security;
CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the row stays'; END $$;
CREATE TRIGGER fails AFTER INSERT OR UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION fails();
-- with the right to read, and with that to restore
GRANT SELECT ON stamped_deleted TO PUBLIC;
SET ROLE regress_good;
BEGIN;
SELECT relation, outcome FROM soft_delete.preview(:'stamp');
SELECT soft_delete.undo(:'stamp');
ROLLBACK;
SET ROLE regress_eve;
GRANT UPDATE ON stamped_deleted TO PUBLIC;
SET ROLE regress_good;
BEGIN;
SELECT soft_delete.undo(:'stamp', skip_conflicts => true);
ROLLBACK;
RESET ROLE;
SELECT relation, rows FROM soft_delete.deletion_rows(:'stamp');
SELECT soft_delete.undo(:'stamp');
-- it is the owner's own affair
SET ROLE regress_eve;
SELECT soft_delete.undo(:'stamp');
RESET ROLE;

/*
 * Holds of others and types
 */
SET ROLE regress_eve;
SET search_path = attack_eve;
CREATE TABLE held (id integer PRIMARY KEY);
CREATE TABLE held_mood (mood attack_good.mood PRIMARY KEY);
SELECT soft_delete.tag('held'), soft_delete.tag('held_mood');
INSERT INTO held VALUES (1);
DELETE FROM held;
INSERT INTO held_mood VALUES ('calm');
DELETE FROM held_mood;
UPDATE held_deleted SET hold = 'secret of eve';
UPDATE held_mood_deleted SET hold = 'secret of eve';
SET row_security = off;
ALTER TABLE held DROP CONSTRAINT held_pkey;
RESET row_security;
RESET ROLE;
SET ROLE regress_good;
SET search_path = attack_good;
SELECT soft_delete_internal.check_held_keys(NULL);
SELECT soft_delete_internal.check_held_keys('{attack_eve.held}');
CREATE TYPE other AS ENUM ('a');
ALTER TYPE other RENAME VALUE 'a' TO 'b';
ALTER TYPE mood ADD VALUE 'gay';
-- who uses a type can keep it from being changed, but tells no more than that
ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet';
RESET ROLE;
SET ROLE regress_eve;
SET search_path = attack_eve;
UPDATE held_mood_deleted SET hold = NULL;
CREATE TABLE moods (id integer PRIMARY KEY, mood attack_good.mood, many attack_good.mood[]);
SELECT soft_delete.tag('moods');
INSERT INTO moods VALUES (1, 'calm', '{calm}');
DELETE FROM moods;
INSERT INTO moods VALUES (1);
SET ROLE regress_good;
SET search_path = attack_good;
ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet';
RESET ROLE;
SELECT id, mood, many FROM attack_eve.moods_tombstones;

-- foreign keys between two owners
SET ROLE regress_good;
GRANT REFERENCES, SELECT ON good TO regress_eve;
RESET ROLE;
SET ROLE regress_eve;
SET search_path = attack_eve;
CREATE TABLE child (id integer PRIMARY KEY, good_id integer REFERENCES attack_good.good);
INSERT INTO child VALUES (1);
SELECT soft_delete.tag('child');
RESET ROLE;
SET search_path = pg_catalog;
SELECT severity, relation, problem FROM soft_delete.check() WHERE relation = 'attack_eve.child'::regclass;

/*
 * Who makes a tag by hand, without the companion that it needs, keeps nobody from dropping a
 * table of that name, whatever schema he says that it is in
 */
SET ROLE regress_good;
SET search_path = attack_good;
CREATE TABLE namesake (id integer PRIMARY KEY);
SELECT FROM soft_delete.tag('namesake', storage => 'aside');
RESET ROLE;
SET ROLE regress_eve;
SET search_path = attack_eve;
SET row_security = off;
CREATE TABLE namesake (id integer PRIMARY KEY);
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON namesake FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at', 'storage:aside');
RESET row_security;
RESET ROLE;
BEGIN;
DROP TABLE attack_good.namesake;
ROLLBACK;
SET ROLE regress_good;
BEGIN;
DROP TABLE attack_good.namesake;
ROLLBACK;
-- these go with their table
DROP VIEW attack_good.namesake_deleted;
DROP TABLE attack_good.namesake_tombstones CASCADE;
RESET ROLE;
SET ROLE regress_eve;
DROP TABLE namesake;
SET row_security = off;
CREATE TABLE namesake (id integer PRIMARY KEY);
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON namesake FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at', 'storage:aside', 'views:attack_good');
RESET row_security;
RESET ROLE;
BEGIN;
DROP TABLE attack_good.namesake;
ROLLBACK;
SET ROLE regress_good;
DROP TABLE attack_good.namesake;

-- nor is he told whether rows of another's table are held
SELECT soft_delete.hold('attack_good.good', 'secret of good');
RESET ROLE;
SET ROLE regress_eve;
CREATE TABLE parted (id integer PRIMARY KEY) PARTITION BY RANGE (id);
ALTER TABLE parted DETACH PARTITION attack_good.good;
SET row_security = off;
ALTER TABLE parted DETACH PARTITION attack_good.good;
RESET row_security;
RESET ROLE;

-- and who has tables whose columns are all of a type of another's lets that one drop the type
SET ROLE regress_good;
CREATE DOMAIN attack_good.shared AS text;
RESET ROLE;
SET ROLE regress_eve;
CREATE TABLE of_shared (a attack_good.shared, b attack_good.shared);
SELECT FROM soft_delete.tag('of_shared', storage => 'aside');
INSERT INTO of_shared VALUES ('a', 'b');
DELETE FROM of_shared;
RESET ROLE;
SET ROLE regress_good;
DROP DOMAIN attack_good.shared CASCADE;
RESET ROLE;
SET ROLE regress_eve;
UPDATE of_shared_deleted SET deleted_at = NULL;
SELECT count(*) FROM of_shared;
CREATE TABLE columnless ();
SELECT FROM soft_delete.tag('columnless', storage => 'aside');
RESET ROLE;

DELETE FROM soft_delete_internal.purge_log WHERE relation LIKE 'attack%' OR relation = 'no name';
DELETE FROM soft_delete_internal.lifted_holds WHERE relation LIKE 'no.name%' OR relation LIKE 'attack%';
SET client_min_messages = warning;
DELETE FROM soft_delete_internal.retention WHERE relation = 'attack_eve.aged'::regclass;
ALTER TABLE soft_delete_internal.retention ENABLE TRIGGER USER, ENABLE ALWAYS TRIGGER refuse_write, ADD CONSTRAINT retention_retain_check CHECK (soft_delete_internal.is_age(retain));
DELETE FROM soft_delete_internal.holds;
DROP SCHEMA attack_eve CASCADE;
DROP SCHEMA attack_good CASCADE;
DROP SERVER attack_server;
DROP FOREIGN DATA WRAPPER attack_wrapper;
DROP ROLE regress_eve, regress_good, regress_auditor;
