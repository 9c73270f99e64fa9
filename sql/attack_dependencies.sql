-- The server's own dependencies stay: no DDL, wherever it is run, leaves a view
-- with a rule that does not fit its table, and following it runs nobody's text
-- with the rights of somebody else.
CREATE ROLE regress_dep_owner;
CREATE ROLE regress_dep_other;
CREATE SCHEMA attack_dependencies;
GRANT USAGE, CREATE ON SCHEMA attack_dependencies TO regress_dep_owner, regress_dep_other;
SET search_path = attack_dependencies;
SET client_min_messages = warning;
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- a rule depends on every column that it shows, the view on its table; no column of a view on one of the table
CREATE FUNCTION problems(VARIADIC tables regclass[]) RETURNS TABLE (relation regclass, problem text) LANGUAGE sql SECURITY DEFINER AS $$
	SELECT t, format('%s.%s has no rule that depends on it', v, a.attname)
	FROM unnest(tables) AS t, LATERAL (VALUES (soft_delete_internal.active_view_of(t)), (soft_delete_internal.bin_of(t))) AS views(v), pg_attribute a
	WHERE a.attrelid = t AND attnum > 0 AND NOT attisdropped AND (v = soft_delete_internal.bin_of(t) OR attname <> 'deleted_at')
	  AND NOT EXISTS (SELECT FROM pg_rewrite r JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = r.oid
					  WHERE ev_class = v AND refclassid = 'pg_class'::regclass AND refobjid = t AND refobjsubid = attnum AND deptype = 'n')
	UNION ALL
	SELECT t, format('%s.%s differs', v, a.attname)
	FROM unnest(tables) AS t, LATERAL (VALUES (soft_delete_internal.active_view_of(t)), (soft_delete_internal.bin_of(t))) AS views(v), pg_attribute a
	WHERE a.attrelid = t AND attnum > 0 AND NOT attisdropped AND (v = soft_delete_internal.bin_of(t) OR attname <> 'deleted_at')
	  AND NOT EXISTS (SELECT FROM pg_attribute x WHERE x.attrelid = v AND x.attname = a.attname AND NOT x.attisdropped
					  AND (x.atttypid, x.atttypmod, x.attcollation) = (a.atttypid, a.atttypmod, a.attcollation))
	UNION ALL
	SELECT t, format('%s depends on %s', objid::regclass, refobjid::regclass) FROM unnest(tables) AS t, pg_depend
	WHERE classid = 'pg_class'::regclass AND objsubid > 0 AND refclassid = 'pg_class'::regclass AND refobjid = t AND deptype = 'a'
	  AND (SELECT relkind FROM pg_class WHERE oid = objid) = 'v'
	UNION ALL
	SELECT t, 'is without a view' FROM unnest(tables) AS t WHERE soft_delete_internal.active_view_of(t) IS NULL OR soft_delete_internal.bin_of(t) IS NULL
$$;

-- 1. bind_view() takes nothing away, and binds nothing that is not ours
SET ROLE regress_dep_owner;
CREATE TABLE plain (id integer, a text);
INSERT INTO plain SELECT g, 'x' || g FROM generate_series(1, 100) g;
CREATE VIEW upon_plain AS SELECT id AS i, a AS b FROM plain;
RESET ROLE;
SELECT soft_delete_internal.bind_view('upon_plain', 'plain');
SELECT soft_delete_internal.update_views('plain');
SET ROLE regress_dep_owner;
ALTER TABLE plain ALTER a TYPE integer USING length(a);
CREATE TABLE t (id integer PRIMARY KEY, a text, b text, c text);
SELECT soft_delete.tag('t');
CREATE VIEW joined AS SELECT t.id, t.a FROM plain JOIN t USING (id);
RESET ROLE;
SELECT soft_delete_internal.bind_view('joined', 't');
SELECT soft_delete_internal.bind_view('plain', 't');
-- another role's view is bound by nobody
SET ROLE regress_dep_owner;
GRANT SELECT ON t TO regress_dep_other;
SET ROLE regress_dep_other;
CREATE VIEW foreign_view AS SELECT id FROM t;
RESET ROLE;
SELECT soft_delete_internal.bind_view('foreign_view', 't');
SELECT soft_delete_internal.change_view_column('t_active', 1::smallint, 't', 2::smallint);
DROP VIEW joined, foreign_view;
SELECT * FROM problems('t');

-- 2. each kind of DDL, however little of us there is in the session
CREATE TYPE kind AS (id integer, a text, b text, c text, deleted_at timestamptz);
ALTER TYPE kind OWNER TO regress_dep_owner;
GRANT CREATE ON SCHEMA attack_dependencies TO regress_dep_owner;
CREATE FUNCTION twelve_rows(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %I (id, a, b, c) SELECT g, g, g, g FROM generate_series(1, 12) g', name);
	EXECUTE format('DELETE FROM %I WHERE id %% 2 = 0', name);
END $$;
CREATE FUNCTION change(how text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	SET LOCAL ROLE regress_dep_owner;
	CREATE TABLE simple (id integer PRIMARY KEY, a text, b text, c text);
	CREATE TABLE parted (id integer PRIMARY KEY, a text, b text, c text) PARTITION BY RANGE (id);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (100);
	CREATE TABLE parent (id integer PRIMARY KEY, a text, b text, c text);
	CREATE TABLE child (x integer) INHERITS (parent);
	CREATE TABLE typed OF kind;
	FOREACH name IN ARRAY '{simple,parted,parent,typed}'::text[] LOOP
		PERFORM soft_delete.tag(name::regclass);
		PERFORM twelve_rows(name);
		EXECUTE format('PREPARE %1$s_a AS SELECT count(*) FROM %1$I_active WHERE a::text = ''3''', name);
		EXECUTE format('PREPARE %1$s_d AS SELECT count(*) FROM %1$I_deleted WHERE a::text = ''4''', name);
		EXECUTE format('EXECUTE %1$s_a', name);
		EXECUTE format('EXECUTE %1$s_d', name);
	END LOOP;
	IF how = 'replica' THEN
		RESET ROLE;
		SET LOCAL session_replication_role = replica;
	ELSIF how = 'disabled' THEN
		RESET ROLE;
		ALTER EVENT TRIGGER soft_delete_ddl DISABLE;
		ALTER EVENT TRIGGER soft_delete_drops DISABLE;
	END IF;

	ALTER TABLE simple ALTER a TYPE integer USING a::integer, DROP b, ADD d integer DEFAULT 7;
	ALTER TABLE simple RENAME c TO e;
	ALTER TABLE parted ALTER a TYPE integer USING a::integer;
	ALTER TABLE parted DROP b;
	ALTER TABLE parted ADD d integer DEFAULT 7;
	ALTER TABLE parted RENAME c TO e;
	ALTER TABLE parent ALTER a TYPE bigint USING a::bigint, ADD d integer DEFAULT 7;
	ALTER TABLE parent DROP b;
	ALTER TABLE parent RENAME c TO e;
	ALTER TYPE kind ALTER ATTRIBUTE a TYPE varchar(3) CASCADE, DROP ATTRIBUTE b CASCADE, ADD ATTRIBUTE d integer CASCADE;
	ALTER TYPE kind RENAME ATTRIBUTE c TO e CASCADE;
	-- columns that go with something else
	CREATE TYPE mood AS ENUM ('good');
	ALTER TABLE simple ADD m mood, ADD o mood[];
	ALTER TABLE parted ADD m mood;
	DROP TYPE mood CASCADE;
	RESET ROLE;
	RESET session_replication_role;
	ALTER EVENT TRIGGER soft_delete_ddl ENABLE;
	ALTER EVENT TRIGGER soft_delete_drops ENABLE;
END $$;
CREATE FUNCTION change_back() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE simple, parted, child, parent, typed;
	ALTER TYPE kind RENAME ATTRIBUTE e TO c;
	ALTER TYPE kind DROP ATTRIBUTE d, DROP ATTRIBUTE a, DROP ATTRIBUTE c, DROP ATTRIBUTE deleted_at;
	ALTER TYPE kind ADD ATTRIBUTE a text, ADD ATTRIBUTE b text, ADD ATTRIBUTE c text, ADD ATTRIBUTE deleted_at timestamptz;
	DEALLOCATE ALL;
END $$;
CREATE FUNCTION columns(view regclass) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(format('%s %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) FROM pg_attribute
   WHERE attrelid = view AND attnum > 0 AND attname NOT IN ('deleted_at', 'deleted_by', 'actor', 'reason', 'hold', 'stored_in', 'stored_place') $$;

\set query 'SELECT ''simple'', (SELECT count(*) FROM simple_active WHERE a = 3 AND e = ''3'' AND d = 7), (SELECT count(*) FROM simple_deleted WHERE a = 4 AND e = ''4'' AND d = 7), columns(''simple_active''), columns(''simple_deleted'') UNION ALL SELECT ''parted'', (SELECT count(*) FROM parted_active WHERE a = 3 AND e = ''3'' AND d = 7), (SELECT count(*) FROM parted_deleted WHERE a = 4 AND e = ''4'' AND d = 7), columns(''parted_active''), columns(''parted_deleted'') UNION ALL SELECT ''parent'', (SELECT count(*) FROM parent_active WHERE a = 3 AND e = ''3'' AND d = 7), (SELECT count(*) FROM parent_deleted WHERE a = 4 AND e = ''4'' AND d = 7), columns(''parent_active''), columns(''parent_deleted'') UNION ALL SELECT ''typed'', (SELECT count(*) FROM typed_active WHERE a = ''3'' AND e = ''3''), (SELECT count(*) FROM typed_deleted WHERE a = ''4'' AND e = ''4''), columns(''typed_active''), columns(''typed_deleted'')'

SELECT change('normal');
ANALYZE simple, parted, parent, typed;
:query;
EXECUTE simple_a; EXECUTE simple_d; EXECUTE parted_a; EXECUTE parted_d; EXECUTE parent_a; EXECUTE parent_d; EXECUTE typed_a; EXECUTE typed_d;
SELECT * FROM problems('simple', 'parted', 'parent', 'typed');
SELECT change_back();

SELECT change('replica');
ANALYZE simple, parted, parent, typed;
:query;
EXECUTE simple_a; EXECUTE simple_d; EXECUTE parted_a; EXECUTE parted_d; EXECUTE parent_a; EXECUTE parent_d; EXECUTE typed_a; EXECUTE typed_d;
SELECT * FROM problems('simple', 'parted', 'parent', 'typed');
SELECT change_back();

SELECT change('disabled');
ANALYZE simple, parted, parent, typed;
:query;
EXECUTE simple_a; EXECUTE simple_d; EXECUTE parted_a; EXECUTE parted_d; EXECUTE parent_a; EXECUTE parent_d; EXECUTE typed_a; EXECUTE typed_d;
SELECT * FROM problems('simple', 'parted', 'parent', 'typed');
SELECT change_back();

-- 3. while the command runs nobody reads a view: neither a function of its own ...
SET ROLE regress_dep_owner;
SELECT twelve_rows('t');
CREATE FUNCTION peek(text) RETURNS integer LANGUAGE plpgsql AS
$$ BEGIN PERFORM FROM t_active WHERE a = 'x'; RETURN 0; END $$;
ALTER TABLE t ALTER a TYPE integer USING peek(a);
SELECT count(*) FROM t_active WHERE a = '3';
RESET ROLE;
-- ... nor an event trigger
CREATE FUNCTION peek_event() RETURNS event_trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM FROM attack_dependencies.t_deleted WHERE a = 'x'; EXCEPTION WHEN object_in_use THEN RAISE WARNING '%', SQLERRM; END $$;
CREATE EVENT TRIGGER a_peek ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION peek_event();
ALTER TABLE t ALTER a TYPE integer USING a::integer;
DROP EVENT TRIGGER a_peek;
SELECT count(*) FROM t_deleted WHERE a = 4;
SELECT * FROM problems('t');

-- 4. what the owner has made upon the views is not run by who alters his table
SET ROLE regress_dep_owner;
CREATE TABLE who (what text, role name);
GRANT INSERT ON who TO PUBLIC;
CREATE FUNCTION note(what text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN INSERT INTO attack_dependencies.who VALUES (what, current_user); RETURN what; END $$;
CREATE DOMAIN noting AS text CHECK (attack_dependencies.note('domain') <> VALUE);
CREATE VIEW "v"";ALTER ROLE regress_dep_owner SUPERUSER;--" AS SELECT id, c, 'k'::noting AS n FROM t_active WHERE note('view') = 'x';
CREATE RULE "r"";ALTER ROLE regress_dep_owner SUPERUSER;--" AS ON INSERT TO "v"";ALTER ROLE regress_dep_owner SUPERUSER;--" WHERE note('rule') = 'y' DO INSTEAD NOTHING;
CREATE RULE nothing AS ON INSERT TO "v"";ALTER ROLE regress_dep_owner SUPERUSER;--" DO INSTEAD NOTHING;
ALTER VIEW t_active ALTER c SET DEFAULT note('default');
COMMENT ON VIEW t_active IS $$';ALTER ROLE regress_dep_owner SUPERUSER;--$$;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER "t"";ALTER ROLE regress_dep_owner SUPERUSER;--" AFTER INSERT ON t_active FOR EACH STATEMENT EXECUTE FUNCTION tell();
RESET ROLE;
ALTER TABLE t DROP COLUMN b;
SELECT * FROM who WHERE role <> 'regress_dep_owner';
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_dep_owner';
SELECT relname, relowner::regrole FROM pg_class WHERE relnamespace = 'attack_dependencies'::regnamespace AND relkind = 'v' ORDER BY 1;
SELECT tgname FROM pg_trigger WHERE tgrelid = 't_active'::regclass;
SELECT rulename FROM pg_rewrite WHERE ev_class = $$"v"";ALTER ROLE regress_dep_owner SUPERUSER;--"$$::regclass ORDER BY 1;
SELECT * FROM problems('t');

-- 5. users' views: those upon other columns stay as they are, a materialized one, one of another role
SET ROLE regress_dep_owner;
DROP VIEW "v"";ALTER ROLE regress_dep_owner SUPERUSER;--";
CREATE MATERIALIZED VIEW copied AS SELECT id FROM t_active;
GRANT SELECT ON t_active TO regress_dep_other;
SET ROLE regress_dep_other;
CREATE VIEW borrowed AS SELECT id, a FROM t_active;
SET ROLE regress_dep_owner;
ALTER TABLE t ALTER a TYPE bigint;
ALTER TABLE t ALTER c TYPE varchar(20), ADD z integer;
ALTER TABLE t DROP COLUMN z;
RESET ROLE;
SET session_replication_role = replica;
ALTER TABLE t ALTER a TYPE bigint;
ALTER TABLE t DROP COLUMN z;
ALTER TABLE t DROP COLUMN deleted_at CASCADE;
RESET session_replication_role;
-- a default, a rule and a trigger of the view itself
SET ROLE regress_dep_owner;
ALTER VIEW t_active ALTER c SET DEFAULT 'x'::varchar;
ALTER TABLE t ALTER c TYPE integer USING 1;
ALTER VIEW t_active ALTER c DROP DEFAULT;
CREATE RULE own AS ON INSERT TO t_active WHERE NEW.c = 'x' DO ALSO NOTHING;
ALTER TABLE t ALTER c TYPE text;
DROP RULE own ON t_active;
CREATE TABLE uses_type (x t_active);
ALTER TABLE t ALTER c TYPE text;
DROP TABLE uses_type;
SELECT * FROM problems('t');
SELECT count(*) FROM t_active WHERE c = '3';

-- 6. a view that its owner has written otherwise is his, and protected by the server
DROP MATERIALIZED VIEW copied;
RESET ROLE;
DROP VIEW borrowed;
SET ROLE regress_dep_owner;
CREATE OR REPLACE VIEW t_active AS SELECT id, a, c, z FROM t WHERE deleted_at IS NULL AND id > 0;
ALTER TABLE t ALTER c TYPE varchar(30);
SELECT pg_get_viewdef('t_active') LIKE '%id > 0%' AS kept;

-- 7. DDL in functions, in subtransactions, and after one that failed
CREATE TABLE u (id integer PRIMARY KEY, a text, b text);
SELECT soft_delete.tag('u');
DO $$
BEGIN
	BEGIN
		ALTER TABLE u ALTER a TYPE integer USING a::integer, DROP b;
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		ALTER TABLE u ALTER b TYPE varchar(5);
	END;
	EXECUTE 'ALTER TABLE u ADD s serial, ADD r integer REFERENCES u';
END $$;
SELECT columns('u_active'), columns('u_deleted');
SELECT * FROM problems('u');
-- names that change places
ALTER TABLE u RENAME a TO tmp;
ALTER TABLE u RENAME b TO a;
ALTER TABLE u RENAME tmp TO b;
SELECT columns('u_active');
SELECT * FROM problems('u');
-- a stranger neither alters nor waits nor locks
SET ROLE regress_dep_other;
BEGIN;
ALTER TABLE u ALTER a TYPE integer USING 1;
ROLLBACK;
DROP TYPE kind CASCADE;
RESET ROLE;

-- 8. renaming makes no view where its owner could not
CREATE SCHEMA attack_dependencies_closed;
SET ROLE regress_dep_owner;
SELECT soft_delete.untag('u');
SELECT soft_delete.tag('u', views => 'attack_dependencies_closed');
RESET ROLE;
SELECT soft_delete.tag('u', views => 'attack_dependencies_closed');

-- what a security module knows the views by is put back, or the command fails
SET allow_system_table_mods = on;
CREATE TABLE labelled (id integer PRIMARY KEY, a text);
SELECT soft_delete.tag('labelled') IS NOT NULL AS tagged;
INSERT INTO pg_seclabel VALUES ('labelled_deleted'::regclass, 'pg_class'::regclass, 0, 'none', 'secret');
ALTER TABLE labelled DROP COLUMN a;
DELETE FROM pg_seclabel;
RESET allow_system_table_mods;

-- 9. DROP TABLE takes the views along without CASCADE
DROP TABLE u;
DROP TABLE t;
SELECT to_regclass('t_deleted'), to_regclass('u_active');
DROP SCHEMA attack_dependencies, attack_dependencies_closed CASCADE;
DROP ROLE regress_dep_owner, regress_dep_other;
