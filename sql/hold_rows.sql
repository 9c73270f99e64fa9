-- a held row is neither purged nor restored, and lifting is written down
\set SHOW_CONTEXT never
CREATE ROLE regress_hold;
CREATE SCHEMA hold AUTHORIZATION regress_hold;
SET ROLE regress_hold;
SET search_path = hold;
\set QUIET off

CREATE TABLE parent (id integer PRIMARY KEY, note text);
CREATE TABLE child (id integer, part text, parent_id integer REFERENCES parent ON DELETE CASCADE, PRIMARY KEY (id, part));
SELECT soft_delete.tag('parent', cascade => true);
INSERT INTO parent SELECT g, 'note' FROM generate_series(1, 6) g;
INSERT INTO child SELECT g, 'a''b', g FROM generate_series(1, 6) g;
DELETE FROM child WHERE id = 6;
DELETE FROM parent;

-- rows, in one statement
UPDATE parent_deleted SET hold = 'case ' || id WHERE id < 3 RETURNING id, hold;
UPDATE parent_deleted SET hold = 'case ' || id WHERE id < 3;
SELECT id, hold FROM parent_deleted ORDER BY id;
SELECT relation, key, hold, held_by, deleted_at IN (SELECT deleted_at FROM parent_deleted) AS of_row FROM soft_delete.holds ORDER BY key;
SELECT count(*) FROM soft_delete.lifted_holds WHERE relation LIKE 'hold.%';

-- it stays, and all that a statement would take along with it
DELETE FROM parent_deleted WHERE id = 1;
DELETE FROM parent_deleted;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 1;
SELECT count(*) FROM parent_deleted;
DELETE FROM parent_deleted WHERE hold IS NULL AND id < 5;
SELECT id FROM parent_deleted ORDER BY id;

-- a row below, of this deletion or another
UPDATE child_deleted SET hold = 'case 5' WHERE id >= 5;
DELETE FROM parent_deleted WHERE id = 5;
DELETE FROM parent_deleted WHERE id = 6;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 5;
-- that was deleted before, and stays where it is
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 6;
SELECT id, hold FROM child_deleted WHERE hold IS NOT NULL ORDER BY id;

-- the dry run knows, and a whole deletion does not come back without them
SELECT relation, "row", outcome, detail FROM soft_delete.preview((SELECT deleted_at FROM parent_deleted WHERE id = 1)) ORDER BY 1, 2, 3;
SELECT soft_delete.undo((SELECT deleted_at FROM parent_deleted WHERE id = 1));

-- another hold beside it, lifting, and both with a restore
UPDATE parent_deleted SET hold = 'case 7' WHERE id = 1;
SELECT id, hold FROM parent_deleted WHERE id = 1;
UPDATE parent_deleted SET hold = NULL WHERE id = 1;
UPDATE parent_deleted SET hold = NULL WHERE id = 1;
UPDATE parent_deleted SET hold = '' WHERE id = 1;
DELETE FROM parent_deleted WHERE id = 1;
UPDATE parent_deleted SET hold = 'case 8', deleted_at = NULL WHERE id = 2;
UPDATE parent_deleted SET hold = NULL, deleted_at = NULL WHERE id = 2;
SELECT * FROM parent_active ORDER BY id;
SELECT relation, key, hold, held_by, lifted_by, lifted_at > held_at AS later FROM soft_delete.lifted_holds WHERE relation LIKE 'hold.%' ORDER BY lifted_at;
BEGIN;
UPDATE child_deleted SET hold = NULL WHERE id = 5;
ROLLBACK;
SELECT relation, key, hold FROM soft_delete.holds ORDER BY key;

-- held and purged, or lifted and purged, by one statement
WITH h AS (UPDATE parent_deleted SET hold = 'case 9' WHERE id = 5) DELETE FROM child_deleted WHERE id = 6;
WITH h AS (UPDATE child_deleted SET hold = NULL WHERE id >= 5) DELETE FROM child_deleted WHERE id = 6;
SELECT relation, key, hold FROM soft_delete.holds ORDER BY key;
-- twice in one statement
UPDATE child_deleted SET hold = 'case ' || n FROM generate_series(10, 11) AS n WHERE id = 5;
SELECT key, hold LIKE 'case 1_' AS held FROM soft_delete.holds;

-- a table without a key
CREATE TABLE keyless (v text);
SELECT soft_delete.tag('keyless');
INSERT INTO keyless VALUES ('a');
DELETE FROM keyless;
\set VERBOSITY terse
UPDATE keyless_deleted SET hold = 'case 1';
\set VERBOSITY default
UPDATE keyless_deleted SET hold = NULL;

-- text that settings could change
CREATE TABLE odd (at timestamptz, bits bytea, span interval, PRIMARY KEY (at, bits, span));
SELECT soft_delete.tag('odd');
INSERT INTO odd VALUES ('2020-01-01 12:00+00', '\x00ff', '1 mon 2 days');
DELETE FROM odd;
UPDATE odd_deleted SET hold = 'case 1';
SELECT key FROM soft_delete.holds WHERE relation = 'odd'::regclass;
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German';
SET bytea_output = 'escape';
SET intervalstyle = 'iso_8601';
SELECT hold FROM odd_deleted;
\set VERBOSITY terse
DELETE FROM odd_deleted;
\set VERBOSITY default
RESET timezone;
RESET datestyle;
RESET bytea_output;
RESET intervalstyle;

-- the tag stays as long as anything is held
SELECT soft_delete.untag('odd', tombstones => 'purge');
SELECT soft_delete.untag('odd', tombstones => 'keep');
UPDATE odd_deleted SET hold = NULL;
SELECT soft_delete.untag('odd', tombstones => 'keep');
-- DROP TABLE is refused, until what it would destroy is free
DROP TABLE child, parent;
SELECT soft_delete.lift('hold.child', 'case 10'), soft_delete.lift('child', 5, 'a''b', 'case 11');
DROP TABLE child, parent;
SELECT count(*) FROM soft_delete.holds;
RESET ROLE;
SELECT relation, key, hold LIKE 'case 1_' AS held, lifted_by FROM soft_delete.lifted_holds WHERE relation = 'hold.child' ORDER BY lifted_at DESC LIMIT 1;

DELETE FROM soft_delete_internal.holds;
DROP SCHEMA hold CASCADE;
DROP ROLE regress_hold;
TRUNCATE soft_delete_internal.lifted_holds;
