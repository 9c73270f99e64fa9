-- Rule: what is the extension's is so by membership, not by its name.  A role makes a
-- schema, functions and tables that have the names of the extension's, in a database
-- without it: the library, which is loaded, takes them for nothing, and CREATE
-- EXTENSION does not take them over.
-- the context of an error in a script differs between majors
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE ROLE regress_names_eve;
CREATE DATABASE regress_attack_names;
ALTER DATABASE regress_attack_names OWNER TO regress_names_eve;
\c regress_attack_names
SET ROLE regress_names_eve;
CREATE TABLE loot (who name, what text);
CREATE SCHEMA soft_delete AUTHORIZATION regress_names_eve;
CREATE SCHEMA soft_delete_internal AUTHORIZATION regress_names_eve;
CREATE FUNCTION soft_delete.note(what text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.loot VALUES (current_user, what); RETURN true; END $$;
DO $$
DECLARE
	schema name;
BEGIN
	FOREACH schema IN ARRAY '{soft_delete,soft_delete_internal}'::name[] LOOP
		EXECUTE format('CREATE FUNCTION %I.delete_row() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM soft_delete.note(''delete_row''); RETURN OLD; END $f$', schema);
		EXECUTE format('CREATE FUNCTION %I.claim_key() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NEW; END $f$', schema);
		EXECUTE format('CREATE FUNCTION %I.guard_truncate() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NULL; END $f$', schema);
		EXECUTE format('CREATE FUNCTION %I.shows_statistics(oid) RETURNS boolean LANGUAGE sql AS $f$ SELECT soft_delete.note(''statistics'') $f$', schema);
		EXECUTE format('CREATE FUNCTION %I.shows_tombstones(oid) RETURNS boolean LANGUAGE sql AS $f$ SELECT soft_delete.note(''tombstones'') $f$', schema);
		EXECUTE format('CREATE FUNCTION %I.admits_tombstone(oid) RETURNS boolean LANGUAGE sql AS $f$ SELECT soft_delete.note(''admits'') $f$', schema);
		EXECUTE format('CREATE FUNCTION %I.wants_row(text, boolean) RETURNS boolean LANGUAGE sql AS $f$ SELECT soft_delete.note(''wants'') $f$', schema);
		EXECUTE format('CREATE FUNCTION %I.rename_views(regclass, name, oid, oid) RETURNS void LANGUAGE sql AS $f$ SELECT soft_delete.note(''follow'') $f$', schema);
		EXECUTE format('CREATE FUNCTION %I.copy_grants(regclass) RETURNS void LANGUAGE sql AS $f$ SELECT soft_delete.note(''follow'') $f$', schema);
		EXECUTE format('CREATE FUNCTION %I.tagged_leaves() RETURNS SETOF regclass LANGUAGE sql AS $f$ SELECT NULL::regclass FROM soft_delete.note(''leaves'') $f$', schema);
		EXECUTE format('CREATE TABLE %I.ledger (deleted_at text, xid text)', schema);
		EXECUTE format('CREATE TABLE %I.holds (a text)', schema);
		EXECUTE format('CREATE TABLE %I.ledger (a text)', schema);
		EXECUTE format('CREATE TABLE %I.tagged_schemas (a text)', schema);
	END LOOP;
END
$$;
CREATE PROCEDURE soft_delete.purge() LANGUAGE plpgsql AS $$ BEGIN PERFORM soft_delete.note('purge'); END $$;
CREATE TABLE t (id integer PRIMARY KEY, deleted_at timestamptz);
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at');
CREATE TRIGGER "~soft_delete_key" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key();
CREATE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON t EXECUTE FUNCTION soft_delete.guard_truncate();
INSERT INTO t VALUES (1, NULL), (2, now()), (3, NULL);
GRANT ALL ON t TO PUBLIC;
-- what a superuser does all day
RESET ROLE;
SELECT count(*) > 0 FROM pg_stats;
SELECT count(*) FROM t;
SET row_security = off;
SELECT count(*) FROM t;
RESET row_security;
COPY t FROM stdin;
4	2001-02-03 00:00
\.
UPDATE t SET deleted_at = now() WHERE id = 3;
ANALYZE t;
ALTER TABLE t ALTER deleted_at TYPE timestamp;
GRANT SELECT ON t TO pg_monitor;
ALTER TABLE t RENAME TO u;
ALTER TABLE u RENAME TO t;
TRUNCATE t;
INSERT INTO t VALUES (1);
SELECT * FROM loot;
DROP TABLE t;
-- the extension is not made of it
\set VERBOSITY default
CREATE EXTENSION soft_delete;
DROP SCHEMA soft_delete CASCADE;
CREATE EXTENSION soft_delete;
DROP SCHEMA soft_delete_internal CASCADE;
SET ROLE regress_names_eve;
CREATE SCHEMA soft_delete;
RESET ROLE;
CREATE EXTENSION soft_delete;
ALTER SCHEMA soft_delete OWNER TO CURRENT_USER;
GRANT CREATE ON SCHEMA soft_delete TO regress_names_eve;
CREATE EXTENSION soft_delete;
REVOKE CREATE ON SCHEMA soft_delete FROM regress_names_eve;
CREATE OPERATOR soft_delete.=== (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);
CREATE EXTENSION soft_delete;
DROP OPERATOR soft_delete.=== (integer, integer);
-- as a dump has made it
CREATE EXTENSION soft_delete;
-- default privileges say nothing about what is the extension's
DROP EXTENSION soft_delete;
DROP SCHEMA soft_delete;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_names_eve;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_names_eve;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_names_eve;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC;
CREATE EXTENSION soft_delete;
SELECT 'function' AS kind, pg_proc.oid::regprocedure::text AS object, acl::text FROM pg_proc, unnest(proacl) AS acl
	WHERE pronamespace::regnamespace::text ~ '^soft_delete' AND acl::text ~ 'eve'
UNION ALL
SELECT 'relation', pg_class.oid::regclass::text, acl::text FROM pg_class, unnest(relacl) AS acl WHERE relnamespace::regnamespace::text ~ '^soft_delete' AND acl::text ~ 'eve'
UNION ALL
SELECT 'schema', nspname, acl::text FROM pg_namespace, unnest(nspacl) AS acl WHERE nspname ~ '^soft_delete' AND acl::text ~ 'eve';
-- and an ordinary role runs DDL all the same
SET ROLE regress_names_eve;
CREATE TABLE t (id integer PRIMARY KEY, v text UNIQUE);
ALTER TABLE t ADD COLUMN w text;
SELECT soft_delete.tag('t');
INSERT INTO t VALUES (1, 'a', 'b');
DELETE FROM t;
SELECT id, v, w FROM t_deleted;
DROP TABLE t;
RESET ROLE;
\c regression
DROP DATABASE regress_attack_names;
DROP ROLE regress_names_eve;
