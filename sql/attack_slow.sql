-- Rule: nobody blocks others.  An owner's function that does not come to an end is canceled
-- after soft_delete.owner_timeout, and the tables of others are purged.
\set VERBOSITY terse
CREATE ROLE regress_eve;
CREATE ROLE regress_good;
CREATE SCHEMA attack_eve AUTHORIZATION regress_eve;
CREATE SCHEMA attack_good AUTHORIZATION regress_good;
SET ROLE regress_eve;
SET search_path = attack_eve;
CREATE FUNCTION endless() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE TABLE slow (id integer PRIMARY KEY);
CREATE TABLE after_slow (id integer PRIMARY KEY);
SELECT soft_delete.tag('slow') IS NOT NULL AND soft_delete.tag('after_slow') IS NOT NULL AS tagged;
INSERT INTO slow VALUES (1);
INSERT INTO after_slow VALUES (1);
DELETE FROM slow;
DELETE FROM after_slow;
SELECT soft_delete.retain('slow', '0'), soft_delete.retain('after_slow', '0');
-- a purge looks for what references a row: to plan that calls the function
CREATE TABLE child (slow_id integer REFERENCES slow);
CREATE INDEX ON child (slow_id) WHERE endless();
-- and what counts its rows looks at its indexes
CREATE INDEX ON slow (id) WHERE endless();
CREATE TABLE slow_too (id integer PRIMARY KEY, deleted_at timestamptz);
CREATE INDEX ON slow_too (id) WHERE endless();
INSERT INTO slow_too VALUES (1, now());
SELECT soft_delete.tag('slow_too') IS NOT NULL AS tagged;
RESET ROLE;
SET ROLE regress_good;
SET search_path = attack_good;
CREATE TABLE good (id integer PRIMARY KEY);
SELECT soft_delete.tag('good') IS NOT NULL AS tagged;
INSERT INTO good VALUES (1);
DELETE FROM good;
SELECT soft_delete.retain('good', '0');
-- the one that sleeps also catches the cancellation, as often as it can
SET ROLE regress_eve;
CREATE OR REPLACE FUNCTION attack_eve.endless() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	LOOP
		BEGIN
			BEGIN
				PERFORM pg_sleep(1e6);
			EXCEPTION WHEN query_canceled OR OTHERS THEN
			END;
			PERFORM pg_sleep(1e6);
		EXCEPTION WHEN query_canceled OR OTHERS THEN
			PERFORM pg_sleep(1e6);
		END;
	END LOOP;
END $$;
-- which a new session does not know yet
\c -
\set VERBOSITY terse
SET soft_delete.owner_timeout = '1s';
SET statement_timeout = '30s';
CALL soft_delete.purge();
RESET statement_timeout;
SELECT relation, rows, error FROM soft_delete.purge_log WHERE relation LIKE 'attack_%' AND purged_at > now() - interval '1 minute' ORDER BY relation;
-- a dry run, too
SELECT member, rows FROM soft_delete.preview_purge('attack_eve.slow');
-- figures of all tables: they wait for the owner once
SELECT relation, live_rows IS NOT NULL AS known, deleted_rows, bin FROM soft_delete.tables WHERE relation::text LIKE 'attack_%' ORDER BY relation::text;
SELECT labels ->> 'table' AS "table", value FROM soft_delete.metrics WHERE labels ->> 'schema' LIKE 'attack_%' AND name = 'soft_delete_deleted_rows' ORDER BY 1;
-- nobody needs to do more than this
CREATE OR REPLACE FUNCTION attack_eve.endless() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CALL soft_delete.purge();

SET client_min_messages = warning;
DELETE FROM soft_delete_internal.purge_log WHERE relation LIKE 'attack_%';
DROP SCHEMA attack_eve CASCADE;
DROP SCHEMA attack_good CASCADE;
DROP ROLE regress_eve, regress_good;
