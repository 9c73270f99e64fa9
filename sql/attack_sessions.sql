-- Rule: what a session keeps from one statement to the next (plans, cursors, what a
-- statement has looked up) shows nothing, and loses nothing, when roles, settings and tables
-- have changed in between.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE ROLE regress_sessions_owner;
CREATE ROLE regress_sessions_group;
CREATE ROLE regress_sessions_eve IN ROLE regress_sessions_group;
GRANT EXECUTE ON FUNCTION soft_delete.rows(internal) TO regress_sessions_group;
CREATE SCHEMA vault AUTHORIZATION regress_sessions_owner;
GRANT USAGE ON SCHEMA vault TO regress_sessions_eve;
SET ROLE regress_sessions_owner;
SET search_path = vault;
CREATE TABLE t (id integer PRIMARY KEY, v text);
CREATE TABLE flagged (id integer PRIMARY KEY, deleted boolean NOT NULL DEFAULT false);
SELECT soft_delete.tag('t') IS NOT NULL AND soft_delete.tag('flagged', bridge => 'deleted') IS NOT NULL AS tagged;
INSERT INTO t VALUES (1, 'live'), (2, 'deleted');
INSERT INTO flagged VALUES (1), (2);
DELETE FROM t WHERE id = 2;
UPDATE flagged SET deleted = true WHERE id = 2;
GRANT SELECT ON t, flagged TO regress_sessions_eve;
RESET ROLE;

-- a plan that shows deleted rows ends with the membership, wherever it is kept
SET ROLE regress_sessions_eve;
PREPARE sampled AS SELECT id FROM t TABLESAMPLE soft_delete.rows('deleted');
PREPARE asked AS SELECT id FROM flagged WHERE deleted;
CREATE FUNCTION pg_temp.sampled() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM vault.t TABLESAMPLE soft_delete.rows('all')); END $$;
EXECUTE sampled;
EXECUTE asked;
SELECT pg_temp.sampled();
RESET ROLE;
REVOKE regress_sessions_group FROM regress_sessions_eve;
SET ROLE regress_sessions_eve;
EXECUTE sampled;
EXECUTE asked;
SELECT pg_temp.sampled();
RESET ROLE;
-- nor does it show them to another role, or after the right was revoked from the group
GRANT regress_sessions_group TO regress_sessions_eve;
SET ROLE regress_sessions_eve;
EXECUTE sampled;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION soft_delete.rows(internal) FROM regress_sessions_group;
SET ROLE regress_sessions_eve;
EXECUTE sampled;
RESET ROLE;
DEALLOCATE ALL;

-- who asks for all rows or an error does not get a plan that was made before he asked
SET ROLE regress_sessions_owner;
PREPARE counted AS SELECT count(*) FROM t;
EXECUTE counted;
SET row_security = off;
EXECUTE counted;
RESET row_security;
EXECUTE counted;
SELECT set_config('row_security', 'off', false);
EXECUTE counted;
BEGIN;
SET LOCAL row_security = on;
EXECUTE counted;
ROLLBACK;
EXECUTE counted;
RESET row_security;
RESET ROLE;
SET ROLE regress_sessions_eve;
EXECUTE counted;
SET row_security = off;
EXECUTE counted;
RESET row_security;
RESET ROLE;
DEALLOCATE ALL;

-- a cursor of a maintenance session shows no deleted row to the role that comes after
BEGIN;
SET LOCAL row_security = off;
SET LOCAL ROLE regress_sessions_owner;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v DESC;
SET LOCAL ROLE regress_sessions_eve;
FETCH ALL FROM c;
ROLLBACK;
BEGIN;
SET LOCAL row_security = off;
SET LOCAL ROLE regress_sessions_owner;
DECLARE c CURSOR FOR SELECT id FROM t;
SET LOCAL ROLE regress_sessions_eve;
SET LOCAL row_security = on;
FETCH ALL FROM c;
ROLLBACK;

-- a trigger gives the companion an index while the statement keeps rows there
SET ROLE regress_sessions_owner;
SET search_path = vault;
CREATE TABLE kept (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('kept', storage => 'aside') IS NOT NULL AS tagged;
INSERT INTO kept SELECT n, 'v' || n FROM generate_series(1, 2000) AS n;
CREATE FUNCTION add_index() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.id = 1000 THEN
		CREATE INDEX kept_v ON vault.kept_tombstones (v);
	END IF;
	RETURN OLD;
END
$$;
CREATE TRIGGER before_row BEFORE DELETE ON kept FOR EACH ROW EXECUTE FUNCTION add_index();
DELETE FROM kept;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM kept_tombstones WHERE v > '';
SELECT count(*) FROM kept_tombstones WHERE v > '';
SELECT id FROM kept_deleted WHERE v = 'v1999';
RESET enable_seqscan;
RESET enable_bitmapscan;
-- and takes it away again
INSERT INTO kept SELECT n, 'w' || n FROM generate_series(3001, 3010) AS n;
CREATE OR REPLACE FUNCTION add_index() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.id = 3005 THEN
		DROP INDEX vault.kept_v;
	END IF;
	RETURN OLD;
END
$$;
DELETE FROM kept;
SELECT count(*) FROM kept_deleted WHERE v LIKE 'w%';
RESET ROLE;

-- with row_security = off, an owner's deleted rows take deleted children, as a dump has them, but no live ones in
-- the tables of others: not at once, nor when a deferred foreign key is checked
GRANT CREATE ON SCHEMA vault TO regress_sessions_eve;
SET ROLE regress_sessions_eve;
CREATE TABLE parent (id integer PRIMARY KEY);
SELECT soft_delete.tag('parent') IS NOT NULL AS tagged;
INSERT INTO parent VALUES (1), (2);
GRANT REFERENCES ON parent TO regress_sessions_owner;
SET ROLE regress_sessions_owner;
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent);
CREATE TABLE late_child (id integer PRIMARY KEY, parent_id integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION give_birth() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO vault.child VALUES (4, 1)';
GRANT SELECT, INSERT, UPDATE ON child, late_child TO regress_sessions_eve;
SET ROLE regress_sessions_eve;
DELETE FROM parent WHERE id = 1;
INSERT INTO child VALUES (1, 2);
SET row_security = off;
INSERT INTO child VALUES (2, 1);
UPDATE child SET parent_id = 1;
COPY child FROM stdin;
3	1
\.
SELECT give_birth();
RESET row_security;
BEGIN;
INSERT INTO late_child VALUES (1, 1);
SET row_security = off;
COMMIT;
SET row_security = off;
CREATE TABLE own_child (id integer PRIMARY KEY, parent_id integer REFERENCES parent);
SELECT soft_delete.tag('own_child') IS NOT NULL AS tagged;
INSERT INTO own_child VALUES (1, 1, now());
-- who restores any number of own tables in one transaction
BEGIN;
DO $$BEGIN
  FOR i IN 1 .. 70 LOOP
    EXECUTE format('CREATE TABLE own_%s (id integer)', i);
    EXECUTE format('INSERT INTO own_%s VALUES (1)', i);
  END LOOP;
END$$;
INSERT INTO own_child VALUES (2, 1, now());
SAVEPOINT before_child;
INSERT INTO child VALUES (5, 1);
ROLLBACK TO before_child;
SET LOCAL ROLE regress_sessions_owner;
INSERT INTO late_child VALUES (2, 1);
SET LOCAL ROLE regress_sessions_eve;
COMMIT;
RESET row_security;
SELECT c.id, p.id AS parent FROM child AS c LEFT JOIN parent AS p ON p.id = c.parent_id;
SELECT count(*) FROM late_child;
RESET ROLE;

-- what ends a failed transaction, or goes back in it, looks into no catalog: a server with assertions stopped
BEGIN;
SAVEPOINT before;
CREATE SCHEMA vault_too;
SELECT 1 / 0;
ROLLBACK TO before;
ROLLBACK;

DROP FUNCTION pg_temp.sampled();
DROP SCHEMA vault CASCADE;
DROP OWNED BY regress_sessions_group;
DROP ROLE regress_sessions_owner, regress_sessions_eve, regress_sessions_group;
