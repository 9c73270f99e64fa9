-- Settings with odd values, by whoever may not set them, and at whatever time: an error with a code, or no effect
\set VERBOSITY terse
\set superuser :USER
SET client_min_messages = warning;
CREATE ROLE regress_settings LOGIN;
CREATE SCHEMA settings AUTHORIZATION regress_settings;
CREATE TABLE settings.t (id integer PRIMARY KEY);
GRANT SELECT, DELETE ON settings.t TO regress_settings;
SELECT soft_delete.tag('settings.t');
INSERT INTO settings.t VALUES (1), (2);
DELETE FROM settings.t WHERE id = 1;

CREATE FUNCTION settings.try(name text, value text, as_role text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('role', as_role, true);
	result := set_config('soft_delete.' || name, value, true);
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = CASE WHEN length(result) > 20 THEN 'long' ELSE quote_literal(result) END;
EXCEPTION WHEN others THEN
	RETURN CASE SQLSTATE WHEN 'ZZ000' THEN SQLERRM ELSE SQLSTATE END;
END
$$;
SELECT name, quote_literal(left(value, 20)) AS value, settings.try(name, value, 'none') AS superuser, settings.try(name, value, 'regress_settings') AS other
FROM (VALUES ('show_deleted', 'on'), ('show_deleted', 'maybe'), ('show_deleted', ''), ('Show_Deleted', 'ON'),
	('truncate', 'hard'), ('truncate', 'SOFT'), ('truncate', ''), ('truncate', 'soft, hard'),
	('actor', ''), ('actor', '%s %I "'''), ('actor', repeat('x', 100000)), ('reason', E'two\nlines'),
	('purge_databases', 'a, "b"'), ('purge_interval', '1h'), ('nothing', '1'), ('actor.x', '1'), ('', '1'), ('a b', '1')) AS v (name, value);

-- what is said before the library is loaded does not count for more
SET ROLE regress_settings;
ALTER ROLE regress_settings SET soft_delete.show_deleted = on;
ALTER ROLE regress_settings SET soft_delete.truncate = hard;
ALTER ROLE regress_settings SET session_preload_libraries = '';
ALTER ROLE regress_settings SET soft_delete.nothing = 1;
ALTER ROLE regress_settings SET soft_delete.actor = 'me';
CREATE FUNCTION settings.shows() RETURNS bigint LANGUAGE sql SET soft_delete.show_deleted = on AS 'SELECT count(*) FROM settings.t';
\setenv PGOPTIONS '-c soft_delete.show_deleted=on -c soft_delete.truncate=hard -c soft_delete.nothing=1'
\c - regress_settings
SHOW soft_delete.show_deleted;
SHOW soft_delete.truncate;
SHOW soft_delete.actor;
SELECT id FROM settings.t;
TRUNCATE settings.t;
BEGIN;
SET LOCAL soft_delete.reason = 'a reason that is written into the ledger';
DELETE FROM settings.t;
ROLLBACK;
SHOW soft_delete.reason;
\setenv PGOPTIONS ''
\c - :superuser
SET client_min_messages = warning;
SELECT count(*) FROM settings.t;

-- who is granted it, may
GRANT SET ON PARAMETER soft_delete.show_deleted TO regress_settings;
SELECT settings.try('show_deleted', 'on', 'regress_settings');
REVOKE SET ON PARAMETER soft_delete.show_deleted FROM regress_settings;

-- nobody learns by the ledger what a setting is that SHOW does not show
CREATE FUNCTION settings.helpdesk() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM settings.t';
SET ROLE regress_settings;
CREATE TABLE settings.own (id integer PRIMARY KEY);
SELECT soft_delete.tag('settings.own', storage => 'aside');
INSERT INTO settings.own VALUES (1), (2);
DELETE FROM settings.own;
SET soft_delete.actor_from = 'config_file';
INSERT INTO settings.own VALUES (3);
DELETE FROM settings.own;
CALL soft_delete.purge('settings.own', '0 s');
SELECT soft_delete.erase('settings.own', 3);
DELETE FROM settings.own_deleted;
SELECT settings.helpdesk();
SELECT count(*) FROM settings.own_deleted;
SELECT event, actor FROM soft_delete.events WHERE relation LIKE 'settings.%' AND actor IS NOT NULL;
RESET ROLE;
RESET soft_delete.actor_from;
DROP SCHEMA settings CASCADE;
DROP ROLE regress_settings;
