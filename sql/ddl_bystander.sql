-- DDL on tables that are not tagged is what it was, though others are tagged:
-- for any role, under any search_path, in a maintenance session too.
CREATE TABLE bystander_tagged (id integer PRIMARY KEY, u text UNIQUE);
SELECT soft_delete.tag('bystander_tagged');
CREATE ROLE regress_ddl_bystander;
CREATE SCHEMA ddl_bystander AUTHORIZATION regress_ddl_bystander;

-- whatever is found by name only is hostile
CREATE SCHEMA hostile;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
CREATE FUNCTION hostile.fail(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile'; END $$;
CREATE OPERATOR hostile.= (leftarg = oid, rightarg = oid, function = hostile.fail);
CREATE FUNCTION hostile.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile'; END $$;
CREATE FUNCTION hostile.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile'; END $$;
CREATE FUNCTION hostile.pg_event_trigger_ddl_commands() RETURNS SETOF integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile'; END $$;

-- no statement below may fail
CREATE FUNCTION hostile.run(path text, maintenance boolean) RETURNS text LANGUAGE plpgsql AS $test$
DECLARE
	command text;
BEGIN
	PERFORM pg_catalog.set_config('search_path', path, true), pg_catalog.set_config('row_security', (NOT maintenance)::text, true);
	FOREACH command IN ARRAY ARRAY[
		'CREATE TABLE a (id integer PRIMARY KEY, b text UNIQUE, c integer, d integer)',
		'CREATE TABLE "B ""b" (id integer PRIMARY KEY, a integer REFERENCES a ON DELETE CASCADE, n integer REFERENCES a ON DELETE SET NULL)',
		'CREATE VIEW a_active AS SELECT id, b FROM a', 'CREATE VIEW a_deleted AS SELECT id FROM a_active',
		'ALTER TABLE a DROP COLUMN c', 'ALTER TABLE a ADD COLUMN e integer UNIQUE, ALTER COLUMN d TYPE text, ADD CONSTRAINT u UNIQUE (d)',
		'ALTER TABLE a RENAME COLUMN b TO bb', 'ALTER TABLE a RENAME CONSTRAINT u TO v', 'ALTER INDEX v RENAME TO w',
		'CREATE UNIQUE INDEX ON a (bb)', 'CREATE UNIQUE INDEX i ON a (d)', 'ALTER TABLE a ADD CONSTRAINT x UNIQUE USING INDEX i',
		'ALTER TABLE a RENAME TO aa', 'DROP VIEW a_deleted, a_active', 'DROP INDEX a_bb_idx', 'ALTER TABLE aa DROP CONSTRAINT w',
		'CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN OLD; END''',
		'CREATE TRIGGER "~zz" BEFORE DELETE ON aa FOR EACH ROW EXECUTE FUNCTION trg()', 'ALTER TRIGGER "~zz" ON aa RENAME TO "~soft_delete"',
		'ALTER TABLE aa DISABLE TRIGGER USER', 'DROP TRIGGER "~soft_delete" ON aa', 'DROP FUNCTION trg() CASCADE',
		'CREATE TYPE mood AS ENUM (''x'')', 'ALTER TYPE mood RENAME VALUE ''x'' TO ''y''',
		'CREATE TYPE comp AS (id integer, b text, c mood)', 'CREATE TABLE typed OF comp', 'ALTER TYPE comp ALTER ATTRIBUTE b TYPE varchar CASCADE',
		'ALTER TYPE comp DROP ATTRIBUTE b CASCADE', 'ALTER TYPE comp RENAME ATTRIBUTE id TO deleted_at CASCADE',
		'DROP TYPE mood CASCADE', 'CREATE DOMAIN dom AS text', 'CREATE TABLE uses (d dom, deleted_at timestamptz)',
		'ALTER TABLE uses ALTER COLUMN deleted_at SET DEFAULT pg_catalog.now(), ALTER COLUMN deleted_at SET NOT NULL',
		'DROP DOMAIN dom CASCADE', 'ALTER TABLE uses DROP COLUMN deleted_at',
		'GRANT SELECT ON aa TO PUBLIC', 'GRANT SELECT (id) ON aa, "B ""b" TO PUBLIC', 'REVOKE ALL ON aa FROM PUBLIC',
		'CREATE TABLE part (id integer PRIMARY KEY) PARTITION BY RANGE (id)', 'CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (2)',
		'CREATE TABLE part_2 (id integer NOT NULL)', 'ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (2) TO (3)',
		'ALTER TABLE part ADD COLUMN x integer', 'ALTER TABLE part DETACH PARTITION part_1',
		'CREATE TABLE child (y integer) INHERITS (aa)', 'ALTER TABLE aa DROP COLUMN e', 'ALTER TABLE child NO INHERIT aa',
		'CREATE TEMP TABLE passing (id integer PRIMARY KEY)', 'ALTER TABLE passing ADD COLUMN x integer', 'DROP TABLE passing',
		'CREATE SEQUENCE s', 'ALTER SEQUENCE s OWNED BY aa.id', 'ALTER TABLE s RENAME TO s2',
		'CREATE MATERIALIZED VIEW mv AS SELECT id FROM aa', 'ALTER TABLE mv RENAME TO mv2', 'DROP MATERIALIZED VIEW mv2',
		'CREATE TABLE copied AS SELECT id FROM aa', 'DROP TABLE copied, "B ""b"', 'DROP TABLE aa, part, part_1, uses, child, typed CASCADE', 'DROP TYPE comp']
	LOOP
		EXECUTE command;
	END LOOP;
	RETURN 'all done';
EXCEPTION WHEN OTHERS THEN
	RETURN pg_catalog.concat(command, ': ', SQLERRM);
END
$test$;
SET client_min_messages = error;
\set SHOW_CONTEXT never
SET ROLE regress_ddl_bystander;
SELECT hostile.run('ddl_bystander', false);
SELECT hostile.run('ddl_bystander, hostile, pg_catalog', false);
SELECT hostile.run('ddl_bystander', true);
RESET ROLE;
SELECT hostile.run('ddl_bystander, hostile, pg_catalog', true);
SET session_replication_role = replica;
SELECT hostile.run('ddl_bystander, hostile', false);
RESET session_replication_role;

-- extensions of others, roles, other kinds of objects
CREATE EXTENSION hstore SCHEMA ddl_bystander;
CREATE TABLE ddl_bystander.uses (h ddl_bystander.hstore, id integer);
DROP EXTENSION hstore CASCADE;
ALTER TABLE ddl_bystander.uses OWNER TO regress_ddl_bystander;
REASSIGN OWNED BY regress_ddl_bystander TO CURRENT_USER;
ALTER TABLE ddl_bystander.uses OWNER TO regress_ddl_bystander;
CREATE SCHEMA moved;
ALTER TABLE ddl_bystander.uses SET SCHEMA moved;
DROP OWNED BY regress_ddl_bystander;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE moved.foreign_table (id integer, a text) SERVER nowhere;
ALTER TABLE moved.foreign_table DROP COLUMN a;
ALTER FOREIGN TABLE moved.foreign_table RENAME TO renamed;
DROP FOREIGN DATA WRAPPER nowhere CASCADE;
SELECT relname FROM pg_class WHERE relnamespace IN ('moved'::regnamespace, 'ddl_bystander'::regnamespace);

-- nor does the one that is tagged mind
INSERT INTO bystander_tagged VALUES (1, 'a');
DELETE FROM bystander_tagged;
SELECT id, u FROM bystander_tagged_deleted;
SET ROLE regress_ddl_bystander;
SELECT soft_delete_internal.update_views('public.bystander_tagged');
SELECT soft_delete_internal.bind_view('public.bystander_tagged_active', 'public.bystander_tagged');
RESET ROLE;
DROP TABLE bystander_tagged;
DROP SCHEMA ddl_bystander, hostile, moved CASCADE;
DROP ROLE regress_ddl_bystander;
