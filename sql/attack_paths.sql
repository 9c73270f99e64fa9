-- Rule: an owner's code runs with the owner's rights, and then not with the search_path of
-- another role, for it would call that one's functions.  Eve writes to tables of an owner
-- whose functions call others without naming the schema, as most do; hers have the same
-- names.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE ROLE regress_paths_owner;
CREATE ROLE regress_paths_eve;
CREATE SCHEMA shop AUTHORIZATION regress_paths_owner;
CREATE SCHEMA eve AUTHORIZATION regress_paths_eve;
CREATE TABLE public.calls (n serial, called text, runs_as name, path text);
GRANT INSERT ON public.calls TO PUBLIC;
GRANT USAGE ON SEQUENCE public.calls_n_seq TO PUBLIC;
GRANT USAGE ON SCHEMA shop TO regress_paths_eve;
GRANT USAGE ON SCHEMA eve TO regress_paths_owner;
SET ROLE regress_paths_owner;
SET search_path = shop;
CREATE FUNCTION note(what text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.calls (called, runs_as, path) VALUES (what || ' calls shop.note', current_user, current_setting('search_path')); RETURN true; END $$;
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM note(TG_NAME); RETURN coalesce(NEW, OLD); END $$;
-- the application deletes softly by itself
CREATE TABLE users (id integer PRIMARY KEY, deleted boolean NOT NULL DEFAULT false);
CREATE TRIGGER after_row AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION log_it();
CREATE TRIGGER before_row BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION log_it();
CREATE TRIGGER before_statement BEFORE DELETE ON users FOR EACH STATEMENT EXECUTE FUNCTION log_it();
SELECT soft_delete.tag('users', bridge => 'deleted') IS NOT NULL AS tagged;
INSERT INTO users SELECT generate_series(1, 9);
GRANT SELECT, UPDATE ON users TO regress_paths_eve;
RESET ROLE;
SET ROLE regress_paths_eve;
SET search_path = eve;
CREATE FUNCTION note(what text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.calls (called, runs_as, path) VALUES (what || ' calls eve.note', current_user, current_setting('search_path')); RETURN true; END $$;
UPDATE shop.users SET deleted = true WHERE id = 1;
RESET ROLE;
-- as for a DELETE of her own: nothing of hers has run as the owner
SELECT called, runs_as, path FROM public.calls ORDER BY n;
-- she does not need the privilege to delete; row security is that of her UPDATE
TRUNCATE public.calls;
GRANT INSERT ON public.calls TO PUBLIC;
ALTER TABLE shop.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY hers ON shop.users TO regress_paths_eve USING (id < 4);
SET ROLE regress_paths_eve;
UPDATE shop.users SET deleted = true WHERE id IN (2, 5);
RESET ROLE;
SELECT called, runs_as, path FROM public.calls ORDER BY n;
SET search_path = shop;
SELECT id, deleted_by FROM users_deleted ORDER BY id;
-- the owner's own statements are as before
TRUNCATE public.calls;
SET ROLE regress_paths_owner;
UPDATE users SET deleted = true WHERE id = 6;
RESET ROLE;
SELECT called, runs_as, path FROM public.calls ORDER BY n;
-- rights that a function lends are those of the triggers, too
TRUNCATE public.calls;
CREATE FUNCTION eve.remove(integer) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = shop AS 'UPDATE users SET deleted = true WHERE id = $1';
ALTER FUNCTION eve.remove(integer) OWNER TO regress_paths_owner;
GRANT EXECUTE ON FUNCTION eve.remove(integer) TO regress_paths_eve;
SET ROLE regress_paths_eve;
SELECT eve.remove(7);
RESET ROLE;
SELECT called, runs_as, path FROM public.calls ORDER BY n;

-- a trigger invalidates plans, and has another row deleted: the plan that runs stays
SET ROLE regress_paths_owner;
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('soft_delete.bridge', CASE current_setting('soft_delete.bridge') WHEN 'column' THEN 'application' ELSE 'column' END, true);
	UPDATE shop.users SET deleted = true WHERE id = OLD.id + 100;
	RETURN OLD;
END
$$;
CREATE TRIGGER before_row_2 BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION follow();
INSERT INTO users SELECT n FROM generate_series(101, 1009) AS n WHERE n % 100 IN (8, 9);
UPDATE users SET deleted = true WHERE id IN (8, 9);
SELECT count(*) FROM users_deleted WHERE id % 100 IN (8, 9);
RESET ROLE;

-- queries of the extension that run as the owner call nothing of eve's
TRUNCATE public.calls;
SET ROLE regress_paths_owner;
CREATE FUNCTION is_open(what text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN note(what); EXCEPTION WHEN undefined_function THEN RETURN true; END $$;
CREATE TABLE t (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('t') IS NOT NULL AS tagged;
INSERT INTO t VALUES (1), (2);
DELETE FROM t WHERE id = 2;
CREATE INDEX t_open ON t (v) WHERE is_open('index');
GRANT SELECT, UPDATE ON t_deleted TO regress_paths_eve;
GRANT SELECT ON t TO regress_paths_eve;
RESET ROLE;
TRUNCATE public.calls;
\c
SET client_min_messages = warning;
\set VERBOSITY terse
SET ROLE regress_paths_eve;
SET search_path = eve;
SELECT soft_delete.hold('shop.t', 2, 'why');
RESET ROLE;
SELECT called, runs_as FROM public.calls WHERE called LIKE '%eve%' AND runs_as <> 'regress_paths_eve';

-- nor do they take a relation of hers for a temporary one of that name, where the caller has pg_temp last
TRUNCATE public.calls;
SET ROLE regress_paths_eve;
SET search_path = eve;
CREATE TABLE short_deleted (id integer, deleted_at timestamptz);
CREATE FUNCTION caught() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.calls (called, runs_as) VALUES (TG_OP || ' calls eve.caught', current_user); RETURN NULL; END $$;
CREATE TRIGGER caught BEFORE UPDATE OR DELETE ON short_deleted FOR EACH STATEMENT EXECUTE FUNCTION caught();
GRANT ALL ON short_deleted TO regress_paths_owner;
SET ROLE regress_paths_owner;
SET search_path = eve, pg_temp;
CREATE TEMPORARY TABLE short (id integer PRIMARY KEY);
SELECT soft_delete.tag('short') IS NOT NULL AS tagged;
INSERT INTO short VALUES (1), (2);
DELETE FROM short WHERE id = 1;
SELECT soft_delete.undo(max(deleted_at)) FROM pg_temp.short_deleted;
DELETE FROM short WHERE id = 1;
SELECT soft_delete.untag('short', tombstones => 'purge');
ALTER TABLE short DROP COLUMN deleted_at;
SELECT soft_delete.tag('short', storage => 'aside') IS NOT NULL AS tagged;
DELETE FROM short;
SELECT soft_delete.untag('short', tombstones => 'keep');
SELECT soft_delete.tag('short', storage => 'aside') IS NOT NULL AS tagged;
SELECT id FROM short;
DELETE FROM short;
SELECT soft_delete.untag('short', tombstones => 'purge');
DROP TABLE short;
RESET ROLE;
SELECT called, runs_as FROM public.calls;

SELECT soft_delete.lift('why');

-- nor do triggers that a restore of hers fires find a temporary view of hers
ALTER ROLE regress_paths_owner SET search_path = shop;
SET ROLE regress_paths_owner;
CREATE TABLE shop.settings (v boolean);
CREATE FUNCTION shop.read_settings() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM FROM settings WHERE v; RETURN NULL; END';
CREATE TRIGGER read_settings AFTER INSERT OR UPDATE ON shop.t FOR EACH ROW EXECUTE FUNCTION shop.read_settings();
RESET ROLE;
TRUNCATE public.calls;
SET ROLE regress_paths_eve;
CREATE TEMPORARY VIEW settings AS SELECT eve.note('view') AS v;
GRANT SELECT ON settings TO PUBLIC;
SELECT soft_delete.undo(deleted_at) FROM shop.t_deleted;
DROP VIEW settings;
RESET ROLE;
SELECT called, runs_as FROM public.calls WHERE called LIKE '%eve%' AND runs_as <> 'regress_paths_eve';

-- nor do queries for a superuser, in whose search_path an operator and a function of eve's fit better than the server's
TRUNCATE public.calls;
SET ROLE regress_paths_eve;
CREATE FUNCTION eve.equals(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM eve.note('operator'); RETURN $1::text OPERATOR(pg_catalog.=) $2::text; END $$;
CREATE OPERATOR eve.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = eve.equals);
CREATE FUNCTION eve.format(text, varchar) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM eve.note('function'); RETURN $2; END $$;
RESET ROLE;
CREATE SCHEMA root;
CREATE TABLE root.plain (id varchar PRIMARY KEY, state varchar);
CREATE TABLE root.bridged (id varchar PRIMARY KEY, state varchar);
SELECT soft_delete.tag('root.plain') IS NOT NULL AND soft_delete.tag('root.bridged', storage => 'aside', bridge => 'state=gone') IS NOT NULL AS tagged;
INSERT INTO root.plain VALUES ('a'), ('b'), ('c');
INSERT INTO root.bridged VALUES ('a', 'new'), ('b', 'new');
DELETE FROM root.plain;
DELETE FROM root.bridged;
SET search_path = root, eve;
SELECT event FROM soft_delete.history('plain', 'a');
SELECT soft_delete.hold('plain', 'a', 'why');
SELECT soft_delete.lift('why');
SELECT soft_delete.erase('plain', 'a');
ALTER TABLE plain ADD COLUMN more integer;
ALTER TABLE bridged ADD COLUMN more integer DEFAULT 1;
ALTER TABLE bridged ALTER COLUMN more TYPE text;
SELECT problem FROM soft_delete.check();
SELECT soft_delete.repair('plain'), soft_delete.repair('bridged');
SELECT soft_delete.untag('bridged', tombstones => 'purge');
RESET search_path;
SELECT called, runs_as FROM public.calls WHERE runs_as <> 'regress_paths_eve';

DROP SCHEMA shop, eve, root CASCADE;
DROP TABLE public.calls;
TRUNCATE soft_delete_internal.erasures;
TRUNCATE soft_delete_internal.lifted_holds;
DROP ROLE regress_paths_owner, regress_paths_eve;
