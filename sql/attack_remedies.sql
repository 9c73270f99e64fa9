-- Rule: an owner's code runs with the owner's rights, whoever pastes what the extension proposes.
-- A superuser runs all remedies of check() that it calls safe, in a session that has planned no
-- query of these tables.  Nor do records by the name of a table tell of another one that had it.
SET client_min_messages = error;
CREATE ROLE regress_remedies_eve;
CREATE ROLE regress_remedies_alice;
CREATE SCHEMA eve AUTHORIZATION regress_remedies_eve;
CREATE SCHEMA shared;
GRANT ALL ON SCHEMA shared TO regress_remedies_eve, regress_remedies_alice;
CREATE TABLE public.loot (who name, trap text);
GRANT INSERT ON public.loot TO PUBLIC;
SET ROLE regress_remedies_eve;
SET search_path = eve;
CREATE FUNCTION note(trap text) RETURNS boolean LANGUAGE sql AS 'INSERT INTO public.loot VALUES (current_user, trap) RETURNING true';
CREATE FUNCTION spy(trap text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN eve.note(trap); END';
CREATE TABLE parent (id integer PRIMARY KEY, gone boolean);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent);
INSERT INTO parent VALUES (1, true), (2, NULL);
INSERT INTO child VALUES (1, 1), (2, 2);
SELECT soft_delete.tag('parent', bridge => 'gone') IS NOT NULL AND soft_delete.tag('child') IS NOT NULL AS tagged;
CREATE INDEX ON parent (gone) WHERE eve.spy('index of the parent');
CREATE INDEX ON child (parent_id) WHERE eve.spy('index of the child');
-- more to repair
CREATE TABLE broken (id integer PRIMARY KEY, v integer);
SELECT soft_delete.tag('broken') IS NOT NULL AS tagged;
INSERT INTO broken VALUES (1, 1), (2, 2);
DELETE FROM broken WHERE id = 1;
CREATE INDEX ON broken (v) WHERE eve.spy('index');
SET row_security = off;
DROP TRIGGER "~soft_delete_key" ON broken;
DROP TRIGGER soft_delete_restore ON broken_deleted;
ALTER TABLE broken DISABLE TRIGGER "~soft_delete";
RESET row_security;
SELECT problem, is_safe FROM soft_delete.check() ORDER BY problem COLLATE "C";
RESET ROLE;
RESET search_path;
\c -
SET client_min_messages = error;
SELECT problem, is_safe FROM soft_delete.check() WHERE relation::text ~ '^eve\.' ORDER BY problem COLLATE "C";
SELECT string_agg(remedy, ' ') AS remedies FROM soft_delete.check() WHERE relation::text ~ '^eve\.' AND is_safe \gset
TRUNCATE public.loot;
\c -
SET client_min_messages = error;
:remedies
SELECT who, trap FROM public.loot WHERE who <> 'regress_remedies_eve';
SELECT problem FROM soft_delete.check() WHERE relation::text ~ '^eve\.';

-- what a trigger of eve's raises does not make undo() propose to a superuser to become eve: a function could undo that
SET ROLE regress_remedies_eve;
CREATE FUNCTION eve.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'insufficient_privilege'; END $$;
CREATE TRIGGER refuse AFTER INSERT ON eve.broken FOR EACH ROW EXECUTE FUNCTION eve.refuse();
RESET ROLE;
\set SHOW_CONTEXT never
SELECT soft_delete.undo(deleted_at) FROM eve.broken_deleted;

-- a table that had the name
SET ROLE regress_remedies_alice;
SET soft_delete.reason = 'reason of alice';
SET soft_delete.actor = 'actor of alice';
CREATE TABLE shared.orders (id integer PRIMARY KEY);
SELECT soft_delete.tag('shared.orders') IS NOT NULL AS tagged;
INSERT INTO shared.orders VALUES (1), (2);
DELETE FROM shared.orders WHERE id = 1;
UPDATE shared.orders_deleted SET deleted_at = NULL;
SELECT soft_delete.erase('shared.orders', 2);
SELECT event, done_by, actor, reason FROM soft_delete.history('shared.orders', '1');
SELECT event, done_by FROM soft_delete.history('shared.orders', '2');
DROP TABLE shared.orders;
RESET soft_delete.reason;
RESET soft_delete.actor;
SET ROLE regress_remedies_eve;
CREATE TABLE shared.orders (id integer PRIMARY KEY);
SELECT soft_delete.tag('shared.orders') IS NOT NULL AS tagged;
SELECT event, done_by, actor, reason FROM soft_delete.history('shared.orders', '1');
SELECT event, done_by FROM soft_delete.history('shared.orders', '2');
-- an auditor is told all
RESET ROLE;
SELECT event, done_by, actor, reason FROM soft_delete.history('shared.orders', '1');
SELECT event, done_by FROM soft_delete.history('shared.orders', '2');

DROP SCHEMA eve, shared CASCADE;
DROP TABLE public.loot;
TRUNCATE soft_delete_internal.erasures;
DROP ROLE regress_remedies_eve, regress_remedies_alice;
