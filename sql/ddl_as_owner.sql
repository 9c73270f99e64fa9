-- what follows a superuser's DDL on the table of someone else runs nobody's code
-- with the superuser's rights
CREATE ROLE regress_ddl_as_owner;
CREATE SCHEMA ddl_as_owner AUTHORIZATION regress_ddl_as_owner;
SET ROLE regress_ddl_as_owner;
SET search_path = ddl_as_owner;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TABLE seen (role name);
GRANT INSERT ON seen TO PUBLIC;
CREATE FUNCTION spy() RETURNS text LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO ddl_as_owner.seen VALUES (current_user); RETURN '0'; END $$;
CREATE TABLE t (id integer PRIMARY KEY, v integer);
SELECT soft_delete.tag('t');
INSERT INTO t VALUES (1, 1);
DELETE FROM t;
INSERT INTO t VALUES (1, 2);

-- the owner may rewrite what stepped aside, the names of its types included
RESET ROLE;
SELECT soft_delete_internal.rewrite_displaced(ctid, "row", types || '{"v": "text || ddl_as_owner.spy()"}') FROM soft_delete_internal.displaced WHERE relation = 't'::regclass;
SET ROLE regress_ddl_as_owner;
RESET ROLE;
ALTER TABLE t SET (fillfactor = 90);
SELECT DISTINCT role FROM seen;

-- and leave out a column whose default is to be computed
SET ROLE regress_ddl_as_owner;
TRUNCATE seen;
ALTER TABLE t ADD COLUMN w text;
ALTER TABLE t ALTER COLUMN w SET DEFAULT spy();
RESET ROLE;
SELECT soft_delete_internal.rewrite_displaced(ctid, "row" - 'w', types - 'w') FROM soft_delete_internal.displaced WHERE relation = 't'::regclass;
SET ROLE regress_ddl_as_owner;
RESET ROLE;
ALTER TABLE t SET (fillfactor = 80);
SELECT DISTINCT role FROM seen;
SELECT id, v, w FROM t_deleted;

-- others may not have it run at all
CREATE ROLE regress_ddl_as_owner_other;
SET ROLE regress_ddl_as_owner_other;
SELECT soft_delete_internal.update_views(oid) FROM pg_class WHERE relname = 't' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ddl_as_owner');
RESET ROLE;
-- nor does it for a table that has gone
SELECT soft_delete_internal.update_views(0);
SELECT soft_delete_internal.update_views(0);
SELECT soft_delete_internal.bind_view(0, 0);
DROP SCHEMA ddl_as_owner CASCADE;
DROP ROLE regress_ddl_as_owner, regress_ddl_as_owner_other;
