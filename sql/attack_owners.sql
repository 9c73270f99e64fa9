-- Rule: an owner's code runs with the owner's rights, whoever looks at the table.  Eve
-- puts a spy wherever a table can have a function: triggers, defaults, CHECKs,
-- generated columns, domains (in composites, too), index expressions and predicates,
-- policies, the bin itself, a view upon it.  A superuser calls whatever the extension
-- has.  The spy must not have met one.
SET client_min_messages = error;
\set VERBOSITY terse
CREATE ROLE regress_owners_eve;
CREATE ROLE regress_owners_desk;
CREATE SCHEMA eve AUTHORIZATION regress_owners_eve;
CREATE TABLE public.loot (who name, trap text);
GRANT INSERT ON public.loot TO PUBLIC;
CREATE FUNCTION public.is_super() RETURNS boolean LANGUAGE sql AS 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user';
SET ROLE regress_owners_eve;
SET search_path = eve;
CREATE FUNCTION note(trap text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.loot VALUES (current_user, trap); RETURN true; END $$;
CREATE FUNCTION spy(trap text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN eve.note(trap); END $$;
CREATE FUNCTION spy_int(x integer, trap text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM eve.note(trap); RETURN x; END $$;
CREATE FUNCTION spy_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM eve.note('trigger ' || TG_NAME);
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	RETURN NEW;
END
$$;
CREATE DOMAIN watched AS integer CHECK (eve.spy_int(VALUE, 'domain') = VALUE);	-- of a constant it would be called once
CREATE TYPE pair AS (a watched, b text);
CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE);
CREATE TABLE t (
	id integer PRIMARY KEY, v watched, p pair, email text UNIQUE,
	d integer DEFAULT eve.spy_int(1, 'default'), g integer GENERATED ALWAYS AS (eve.spy_int(id, 'generated')) STORED,
	parent_id integer REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE,
	CHECK (eve.spy('check')));
INSERT INTO parent VALUES (1, 'a'), (2, 'b');
INSERT INTO t (id, v, p, email, parent_id) SELECT i, i, ROW(i::watched, 'x'::text)::pair, 'm' || i, 1 + i % 2 FROM generate_series(1, 9) AS i;
CREATE INDEX t_expression ON t ((eve.spy_int(v, 'index expression')));
CREATE INDEX t_predicate ON t (id) WHERE eve.spy('index predicate');
CREATE UNIQUE INDEX t_key ON t ((eve.spy_int(id, 'unique expression'))) WHERE eve.spy_int(1, 'unique predicate') = 1;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_it ON t USING (eve.note('policy'));
DO $$
DECLARE
	event text;
	timing text;
BEGIN
	FOREACH event IN ARRAY '{INSERT,UPDATE,DELETE}'::text[] LOOP
		FOREACH timing IN ARRAY '{BEFORE,AFTER}'::text[] LOOP
			EXECUTE format('CREATE TRIGGER %I %s %s ON t FOR EACH ROW EXECUTE FUNCTION spy_trigger()', lower(timing || '_' || event), timing, event);
			EXECUTE format('CREATE TRIGGER %I %s %s ON t FOR EACH ROW WHEN (eve.spy(''when'')) EXECUTE FUNCTION spy_trigger()', lower('when_' || timing || '_' || event), timing, event);
		END LOOP;
		EXECUTE format('CREATE CONSTRAINT TRIGGER %I AFTER %s ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spy_trigger()', lower('late_' || event), event);
	END LOOP;
END
$$;
RESET ROLE;
SELECT soft_delete.plan('eve.t') IS NOT NULL AS plans LIMIT 1;
SELECT soft_delete.tag('eve.parent');
SELECT soft_delete.tag('eve.t');
SET ROLE regress_owners_eve;
DELETE FROM t WHERE id IN (1, 2, 3);
SELECT max(deleted_at) AS first FROM t_deleted \gset
DELETE FROM t WHERE id IN (4, 5);
SELECT max(deleted_at) AS second FROM t_deleted \gset
DELETE FROM parent WHERE id = 2;
SELECT max(deleted_at) AS third FROM parent_deleted \gset
INSERT INTO t (id, v, p, email) VALUES (1, 1, ROW(1::watched, 'x'::text)::pair, 'm1'), (4, 1, ROW(1::watched, 'x'::text)::pair, 'm4');	-- two step aside
CREATE VIEW upon AS SELECT id, v FROM t_active WHERE eve.note('view upon it');
DO $$
BEGIN
	EXECUTE format('CREATE OR REPLACE VIEW eve.t_deleted AS SELECT * FROM (%s) AS bin WHERE eve.note(''bin'')', rtrim(pg_get_viewdef('eve.t_deleted'), ';'));
END
$$;
CREATE TABLE aside (id integer PRIMARY KEY, p pair, vs watched[]);
SELECT soft_delete.tag('aside');
INSERT INTO aside VALUES (1, ROW(1::watched, 'x'::text)::pair, ARRAY[1::watched]);
DELETE FROM aside;
INSERT INTO aside VALUES (1);	-- it steps aside
GRANT USAGE ON SCHEMA eve TO PUBLIC;
GRANT SELECT, UPDATE, DELETE ON t_deleted TO regress_owners_desk;
RESET ROLE;
RESET search_path;
TRUNCATE public.loot;
-- a row that stepped aside, in the bin as it was made: a domain in it is not checked again
SELECT id, p, vs FROM eve.aside_deleted;
SELECT who, trap FROM public.loot GROUP BY 1, 2 ORDER BY 1, 2;
-- what looks
SELECT count(*) > 0 AS some FROM soft_delete.tables;
SELECT count(*) > 0 AS some FROM soft_delete.metrics;
SELECT count(*) >= 0 AS some FROM soft_delete.check();
SELECT soft_delete.timeline('eve.t') IS NOT NULL AS drawn LIMIT 1;
SELECT count(*) > 0 AS some FROM soft_delete.timeline();
SELECT relation, rows FROM soft_delete.deletion_rows(:'first');
SELECT count(*) > 0 AS some FROM soft_delete.preview(:'first', :'second', :'third');
SELECT count(*) > 0 AS some FROM soft_delete.preview_purge('eve.t', '0');
SELECT count(*) >= 0 AS some FROM soft_delete.plan('eve.t');
-- what writes
SELECT soft_delete.hold_deletion(:'second', 'why');
SELECT soft_delete.hold_deletion(:'second', NULL);
SELECT soft_delete.undo(:'third');
SELECT soft_delete.erase('eve.t', '9');
SELECT soft_delete.erase('eve.t', '2');
SELECT soft_delete.repair('eve.t');
SELECT soft_delete.tag('eve.t');
SELECT soft_delete.retain('eve.t', '100 years');
CALL soft_delete.purge('eve.t');
-- what alters, by a superuser, and what follows
ALTER TABLE eve.t ADD COLUMN later text;
ALTER TABLE eve.t RENAME COLUMN later TO much_later;
ALTER TABLE eve.t DROP COLUMN much_later;
ALTER TABLE eve.t RENAME TO u;
ALTER TABLE eve.u RENAME TO t;
GRANT SELECT ON eve.t TO regress_owners_desk;
SELECT soft_delete.tag_schema('eve');
SELECT soft_delete.untag_schema('eve', tombstones => 'purge');
DROP VIEW eve.upon;
SELECT soft_delete.untag_schema('eve', tombstones => 'purge');
SELECT who, count(*) > 0 AS met FROM public.loot GROUP BY 1 ORDER BY 1;
SELECT DISTINCT trap FROM public.loot WHERE who <> 'regress_owners_eve' ORDER BY 1;
-- the spies were there
SELECT count(DISTINCT trap) > 8 AS many FROM public.loot;
DROP SCHEMA eve CASCADE;
DROP TABLE public.loot;
DROP FUNCTION public.is_super();
TRUNCATE soft_delete_internal.erasures, soft_delete_internal.lifted_holds;
DROP ROLE regress_owners_eve, regress_owners_desk;

-- rights that a function lends do not fire what its caller has left pending
SET search_path = public;
CREATE ROLE regress_owners_eve;
CREATE SCHEMA eve AUTHORIZATION regress_owners_eve;
CREATE TABLE public.loot (who name);
GRANT INSERT ON public.loot TO PUBLIC;
CREATE FUNCTION public.helpdesk_erase(relation regclass, key text) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT soft_delete.erase(relation, key)';
CREATE FUNCTION public.helpdesk_undo(stamp timestamptz) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT soft_delete.undo(stamp)';
SET ROLE regress_owners_eve;
CREATE TABLE eve.t (id integer PRIMARY KEY);
SELECT soft_delete.tag('eve.t');
INSERT INTO eve.t VALUES (1), (2);
CREATE TABLE eve.pending (id integer);
CREATE FUNCTION eve.evil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.loot VALUES (current_user); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON eve.pending DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION eve.evil();
DELETE FROM eve.t WHERE id = 1;
SELECT deleted_at AS stamp FROM eve.t_deleted \gset
BEGIN;
INSERT INTO eve.pending VALUES (1);
SELECT public.helpdesk_erase('eve.t', '2');
SELECT public.helpdesk_undo(:'stamp');
COMMIT;
RESET ROLE;
SELECT * FROM public.loot;
-- nor does an owner's code see or write others' deleted rows in a superuser's maintenance session
CREATE TABLE public.good (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('public.good');
GRANT SELECT, INSERT ON public.good TO regress_owners_eve;
INSERT INTO public.good VALUES (1, 'secret'), (2, 'live');
DELETE FROM public.good WHERE id = 1;
SET ROLE regress_owners_eve;
CREATE FUNCTION eve.peek() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% sees %', current_user, (SELECT string_agg(v, ', ') FROM public.good);
	BEGIN
		INSERT INTO public.good VALUES (777, 'forged', '2001-01-01');
	EXCEPTION WHEN feature_not_supported THEN
		RAISE NOTICE 'refused';
	END;
	RETURN true;
END
$$;
DELETE FROM eve.t WHERE id = 1;
DO $$ BEGIN EXECUTE format('CREATE OR REPLACE VIEW eve.t_deleted AS SELECT * FROM (%s) AS bin WHERE eve.peek()', rtrim(pg_get_viewdef('eve.t_deleted'), ';')); END $$;
RESET ROLE;
SET row_security = off;
SET client_min_messages = notice;
SELECT relation, rows FROM soft_delete.deletion_rows((SELECT max(deleted_at) FROM soft_delete.deletions));
RESET row_security;
SET client_min_messages = error;
SELECT id, v FROM public.good_deleted ORDER BY id;
-- who may have a trigger makes no tag, nor replaces one
CREATE TABLE public.untagged (id integer PRIMARY KEY, deleted_at timestamptz);
GRANT SELECT, DELETE, TRIGGER ON public.good, public.untagged TO regress_owners_eve;
SET ROLE regress_owners_eve;
CREATE OR REPLACE TRIGGER "~soft_delete" BEFORE DELETE ON public.good FOR EACH ROW EXECUTE FUNCTION eve.evil();
CREATE TRIGGER "a" BEFORE DELETE ON public.good FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at');
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON public.untagged FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at');
SELECT count(*) FROM public.good;
-- nor does the owner make a second one
CREATE TRIGGER "a" BEFORE DELETE ON eve.t FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at');
RESET ROLE;
-- what check() proposes gives nobody a right, and takes no relation from anybody
CREATE SCHEMA shared;
GRANT ALL ON SCHEMA shared TO PUBLIC;
CREATE TABLE shared.orders_active (id integer);
GRANT REFERENCES ON public.good TO regress_owners_eve;
SET ROLE regress_owners_eve;
CREATE TABLE shared.orders (id integer PRIMARY KEY, good_id integer REFERENCES public.good, deleted_at timestamptz);
INSERT INTO shared.orders VALUES (1);
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON shared.orders FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at');
RESET ROLE;
SELECT problem, remedy FROM soft_delete.check() WHERE relation::text ~ 'orders' AND (remedy IS NULL OR remedy !~ 'tag|repair') ORDER BY problem COLLATE "C";
DROP SCHEMA eve, shared CASCADE;
DROP TABLE public.loot, public.good, public.untagged;
DROP FUNCTION public.helpdesk_erase(regclass, text), public.helpdesk_undo(timestamptz);
TRUNCATE soft_delete_internal.erasures;
DROP ROLE regress_owners_eve;

-- nor does who restores a row lend his rights to the owners of the rows that come back with it
CREATE ROLE regress_owners_eve;
CREATE ROLE regress_owners_alice;
CREATE SCHEMA eve AUTHORIZATION regress_owners_eve;
CREATE SCHEMA alice AUTHORIZATION regress_owners_alice;
GRANT USAGE ON SCHEMA alice TO regress_owners_eve;
CREATE TABLE public.loot (who name, trap text);
GRANT INSERT ON public.loot TO PUBLIC;
SET ROLE regress_owners_alice;
CREATE TABLE alice.parent (id integer PRIMARY KEY);
GRANT REFERENCES ON alice.parent TO regress_owners_eve;
SELECT soft_delete.tag('alice.parent');
INSERT INTO alice.parent VALUES (1), (2);
SET ROLE regress_owners_eve;
CREATE FUNCTION eve.note(trap text) RETURNS void LANGUAGE sql AS 'INSERT INTO public.loot VALUES (current_user, trap)';
CREATE FUNCTION eve.spy(x integer, trap text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM eve.note(trap); RETURN x; END $$;
CREATE FUNCTION eve.spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM eve.spy(1, TG_NAME); RETURN NULL; END $$;
-- restored in order, and at once
CREATE TABLE eve.plain (id integer PRIMARY KEY, code text UNIQUE, parent_id integer REFERENCES alice.parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, CHECK (eve.spy(id, 'check') = id));
CREATE TABLE eve.late (id integer PRIMARY KEY, code text UNIQUE DEFERRABLE INITIALLY DEFERRED, parent_id integer REFERENCES alice.parent ON DELETE CASCADE);
CREATE INDEX ON eve.plain ((eve.spy(id, 'index')));
CREATE INDEX ON eve.late ((eve.spy(id, 'late index')));
CREATE TRIGGER row_trigger AFTER INSERT ON eve.plain FOR EACH ROW EXECUTE FUNCTION eve.spy();
CREATE TRIGGER statement_trigger AFTER INSERT ON eve.plain REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION eve.spy();
CREATE CONSTRAINT TRIGGER constraint_trigger AFTER INSERT ON eve.plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION eve.spy();
CREATE CONSTRAINT TRIGGER late_constraint_trigger AFTER INSERT ON eve.late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION eve.spy();
-- by a partition key that calls a function
CREATE TABLE eve.parted (id integer, parent_id integer REFERENCES alice.parent ON DELETE CASCADE) PARTITION BY RANGE ((eve.spy(id, 'partition key')));
CREATE TABLE eve.part PARTITION OF eve.parted FOR VALUES FROM (0) TO (10);
CREATE TRIGGER part_trigger AFTER INSERT ON eve.parted FOR EACH ROW EXECUTE FUNCTION eve.spy();
SELECT soft_delete.tag('eve.plain'), soft_delete.tag('eve.late'), soft_delete.tag('eve.parted', storage => 'aside');
INSERT INTO eve.plain VALUES (1, 'secret', 1), (2, 'b', 2);
INSERT INTO eve.late VALUES (1, 'a', 1), (2, 'b', 2);
INSERT INTO eve.parted VALUES (1, 1), (2, 2);
SET ROLE regress_owners_alice;
DELETE FROM alice.parent;
SELECT max(deleted_at) AS stamp FROM alice.parent_deleted \gset
RESET ROLE;
TRUNCATE public.loot;
SET ROLE regress_owners_alice;
UPDATE alice.parent_deleted SET deleted_at = NULL WHERE id = 2;
RESET ROLE;
SELECT who, trap FROM public.loot GROUP BY 1, 2 ORDER BY who, trap COLLATE "C";
TRUNCATE public.loot;
SET ROLE regress_owners_eve;
DROP TRIGGER row_trigger ON eve.plain;
DROP TRIGGER statement_trigger ON eve.plain;
DROP TRIGGER part_trigger ON eve.parted;
SET ROLE regress_owners_alice;
DELETE FROM alice.parent;
RESET ROLE;
TRUNCATE public.loot;
UPDATE alice.parent_deleted SET deleted_at = NULL WHERE id = 2;
SELECT who, trap FROM public.loot GROUP BY 1, 2 ORDER BY who, trap COLLATE "C";
SELECT id, parent_id FROM eve.plain;
SELECT id, parent_id FROM eve.late;
SELECT id, parent_id FROM eve.parted;
-- nor does the error tell him of a row of theirs
SET ROLE regress_owners_eve;
INSERT INTO eve.plain VALUES (3, 'secret', NULL);
SET ROLE regress_owners_alice;
\set VERBOSITY default
\set SHOW_CONTEXT never
UPDATE alice.parent_deleted SET deleted_at = NULL WHERE id = 1;
SELECT soft_delete.undo(:'stamp');
SET ROLE regress_owners_eve;
DELETE FROM eve.plain WHERE id = 3;
SET ROLE regress_owners_alice;
SELECT soft_delete.undo(:'stamp');
RESET ROLE;
SELECT id, code, parent_id FROM eve.plain ORDER BY id;
-- nor does the server stop where an index changes the table that rows are being restored to
SET ROLE regress_owners_eve;
CREATE TABLE eve.changes (id integer PRIMARY KEY);
SELECT soft_delete.tag('eve.changes', storage => 'aside') IS NOT NULL AS tagged;
CREATE FUNCTION eve.change() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM soft_delete.untag('eve.changes', tombstones => 'purge');
EXCEPTION WHEN OTHERS THEN
	RAISE NOTICE '%', SQLERRM;
END
$$;
CREATE FUNCTION eve.changing(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('eve.changing', true) = 'on' THEN
		PERFORM eve.change();
	END IF;
	RETURN $1;
END
$$;
CREATE INDEX ON eve.changes (eve.changing(id));
INSERT INTO eve.changes VALUES (1), (2);
DELETE FROM eve.changes;
SET eve.changing = on;
RESET ROLE;
SELECT soft_delete.undo(max(deleted_at)) FROM eve.changes_deleted;
RESET eve.changing;
SELECT id FROM eve.changes ORDER BY id;
-- what a trigger or an index of others leaves behind does not run with the restorer's rights
-- when the transaction ends, and no setting stays
CREATE TABLE public.top (id integer PRIMARY KEY, note text);
GRANT SELECT, REFERENCES ON public.top TO regress_owners_eve;
SELECT soft_delete.tag('public.top') IS NOT NULL AS tagged;
INSERT INTO public.top VALUES (1), (2);
SET ROLE regress_owners_eve;
CREATE FUNCTION eve.take(trap text) RETURNS boolean LANGUAGE sql AS 'INSERT INTO public.loot VALUES (current_user, trap) RETURNING true';
CREATE FUNCTION eve.deferred() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM eve.take('deferred'); RETURN NULL; END $$;
CREATE TABLE eve.queue (id integer);
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON eve.queue DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION eve.deferred();
CREATE FUNCTION eve.escape() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('search_path', 'eve', false);
	FOR i IN 1 .. 3 LOOP
		BEGIN
			EXECUTE (ARRAY['DECLARE held CURSOR WITH HOLD FOR SELECT eve.take(''cursor'')', 'PREPARE prepared AS SELECT 1', 'INSERT INTO eve.queue VALUES (1)'])[i];
		EXCEPTION WHEN OTHERS THEN
			RAISE NOTICE '%', SQLERRM;
		END;
	END LOOP;
	PERFORM eve.take(TG_TABLE_NAME || ' ' || TG_OP);
	PERFORM helper();
	RETURN NULL;
END $$;
CREATE FUNCTION eve.helper() RETURNS boolean LANGUAGE sql AS $$ SELECT eve.take('helper') $$;
CREATE FUNCTION eve.of_index(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN eve.take('index'); END $$;
CREATE TABLE eve.goes (id integer PRIMARY KEY, top_id integer REFERENCES public.top ON DELETE CASCADE);
CREATE TABLE eve.stays (id integer PRIMARY KEY, top_id integer REFERENCES public.top ON DELETE SET NULL);
-- the other one is tagged already
SELECT soft_delete.tag('eve.stays') IS NOT NULL AS tagged;
INSERT INTO eve.goes VALUES (1, 1);
INSERT INTO eve.stays VALUES (1, 1);
RESET ROLE;
DELETE FROM public.top WHERE id = 1;
SET ROLE regress_owners_eve;
CREATE TRIGGER escape AFTER INSERT ON eve.goes FOR EACH ROW EXECUTE FUNCTION eve.escape();
CREATE TRIGGER escape AFTER UPDATE ON eve.stays FOR EACH ROW EXECUTE FUNCTION eve.escape();
ALTER ROLE regress_owners_eve SET search_path = eve;
RESET ROLE;
TRUNCATE public.loot;
-- nor do they call what the restorer has on his search_path
CREATE FUNCTION public.helper() RETURNS boolean LANGUAGE sql AS $$ INSERT INTO public.loot VALUES (current_user, 'helper of the restorer') RETURNING true $$;
SET search_path = public;
UPDATE public.top_deleted SET deleted_at = NULL;
SHOW search_path;
RESET search_path;
SELECT name FROM pg_cursors UNION ALL SELECT name FROM pg_prepared_statements;
SELECT who, trap FROM public.loot ORDER BY trap COLLATE "C";
ALTER TABLE eve.goes DISABLE TRIGGER escape;
ALTER TABLE eve.stays DISABLE TRIGGER escape;
DELETE FROM public.top WHERE id = 1;
ALTER TABLE eve.goes ENABLE TRIGGER escape;
ALTER TABLE eve.stays ENABLE TRIGGER escape;
TRUNCATE public.loot;
SET search_path = public;
SELECT soft_delete.undo(deleted_at) FROM public.top_deleted;
SHOW search_path;
RESET search_path;
SELECT name FROM pg_cursors UNION ALL SELECT name FROM pg_prepared_statements;
SELECT who, trap FROM public.loot ORDER BY trap COLLATE "C";
SELECT top_id FROM eve.stays;

-- nor does who owns a table that references one of others, or is referenced by it, run their functions
SET ROLE regress_owners_eve;
CREATE TABLE eve.base (id integer PRIMARY KEY, v integer);
CREATE TABLE eve.base_aside (id integer PRIMARY KEY, v integer);
SELECT soft_delete.tag('eve.base') IS NOT NULL AND soft_delete.tag('eve.base_aside', storage => 'aside') IS NOT NULL AS tagged;
GRANT SELECT ON eve.base, eve.base_aside, eve.base_deleted, eve.base_aside_deleted, eve.goes, eve.stays TO PUBLIC;
INSERT INTO eve.base VALUES (1), (2);
INSERT INTO eve.base_aside VALUES (1), (2);
RESET ROLE;
CREATE TABLE public.upon (id integer PRIMARY KEY, base_id integer REFERENCES eve.base, aside_id integer REFERENCES eve.base_aside);
SELECT soft_delete.tag('public.upon') IS NOT NULL AS tagged;
INSERT INTO public.upon VALUES (1, 1, 1), (2, 2, 2);
DELETE FROM public.upon WHERE id = 1;
DELETE FROM public.top WHERE id = 2;
SET ROLE regress_owners_eve;
DELETE FROM eve.base WHERE id = 1;
DELETE FROM eve.base_aside WHERE id = 1;
CREATE INDEX ON eve.base (v) WHERE eve.of_index(1);
CREATE INDEX ON eve.base_tombstones (v) WHERE eve.of_index(1);
CREATE INDEX ON eve.base_aside (v) WHERE eve.of_index(1);
CREATE INDEX ON eve.base_aside_tombstones (v) WHERE eve.of_index(1);
CREATE INDEX ON eve.goes (top_id) WHERE eve.of_index(1);
CREATE INDEX ON eve.stays (top_id) WHERE eve.of_index(1);
CREATE TABLE eve.early (id integer PRIMARY KEY, deleted_at timestamptz);
CREATE INDEX ON eve.early (deleted_at) WHERE eve.of_index(1);
SELECT soft_delete.tag('eve.early') IS NOT NULL AS tagged;
INSERT INTO eve.early VALUES (1);
DELETE FROM eve.early;
RESET ROLE;
TRUNCATE public.loot;
SELECT deleted_at AS of_upon FROM public.upon_deleted \gset
SELECT deleted_at AS of_top FROM public.top_deleted \gset
-- a session that has not planned with these indexes yet
\c -
\set VERBOSITY terse
SELECT outcome FROM soft_delete.preview(:'of_upon');
\c -
\set VERBOSITY terse
SELECT soft_delete.undo(:'of_upon', skip_conflicts => true);
\c -
\set VERBOSITY terse
SELECT problem FROM soft_delete.check() WHERE relation IN ('public.upon'::regclass, 'eve.goes'::regclass, 'eve.stays'::regclass) ORDER BY problem COLLATE "C";
\c -
\set VERBOSITY terse
SELECT outcome FROM soft_delete.preview(:'of_top');
\c -
\set VERBOSITY terse
SET ROLE regress_owners_eve;
SELECT soft_delete.move_aside('eve.early', 10);
RESET ROLE;
SELECT DISTINCT who, trap FROM public.loot WHERE who <> 'regress_owners_eve';
SET client_min_messages = error;
DROP TABLE public.upon, public.top CASCADE;
DROP FUNCTION public.helper();
SET client_min_messages = error;
DROP SCHEMA eve, alice CASCADE;
DROP TABLE public.loot;
DROP ROLE regress_owners_eve, regress_owners_alice;
