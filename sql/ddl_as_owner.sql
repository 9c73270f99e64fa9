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

-- a function of the owner converts what stepped aside
CREATE TYPE number AS (n integer);
CREATE FUNCTION to_number(integer) RETURNS number LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO ddl_as_owner.seen VALUES (current_user); RETURN ROW($1); END $$;
RESET ROLE;
ALTER TABLE t ALTER COLUMN v TYPE ddl_as_owner.number USING CASE v WHEN 1 THEN ddl_as_owner.to_number(v) END;
SELECT DISTINCT role FROM seen;

-- so does a default that is computed for it; the server computes it for rows of the table
TRUNCATE seen;
SET ROLE regress_ddl_as_owner;
DELETE FROM t;
DELETE FROM t_deleted WHERE stored_in = 't'::regclass;
RESET ROLE;
ALTER TABLE t ADD COLUMN w text DEFAULT ddl_as_owner.spy();
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
