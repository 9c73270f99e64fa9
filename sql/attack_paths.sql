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
DROP SCHEMA shop, eve CASCADE;
DROP TABLE public.calls;
TRUNCATE soft_delete_internal.lifted_holds;
DROP ROLE regress_paths_owner, regress_paths_eve;
