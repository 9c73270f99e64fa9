-- The view of live rows follows the grants on its table; the bin does not.
CREATE ROLE regress_ddl_grants;
CREATE ROLE regress_ddl_grants_a;
CREATE ROLE regress_ddl_grants_b;
CREATE SCHEMA ddl_grants AUTHORIZATION regress_ddl_grants;
GRANT USAGE ON SCHEMA ddl_grants TO PUBLIC;
SET search_path = ddl_grants;
SET ROLE regress_ddl_grants;
\set SHOW_CONTEXT never
CREATE FUNCTION grants_on(relation regclass) RETURNS TABLE (grantee text, privileges text) LANGUAGE sql AS
$$ SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE substr(grantee::regrole::text, 20) END,
	string_agg(privilege_type || coalesce(' (' || attname || ')', '') || CASE WHEN is_grantable THEN '*' ELSE '' END, ', ' ORDER BY privilege_type, attname)
   FROM (SELECT NULL::name AS attname, a.* FROM pg_class, aclexplode(relacl) AS a WHERE oid = relation AND grantee <> relowner
		 UNION ALL SELECT attname, a.* FROM pg_attribute, aclexplode(attacl) AS a WHERE attrelid = relation) AS all_grants
   GROUP BY grantee ORDER BY 1 $$;

CREATE TABLE t (id integer PRIMARY KEY, a text, b text);
CREATE TABLE untagged (id integer);
CREATE TABLE "Other" (id integer PRIMARY KEY);
GRANT INSERT ON t TO regress_ddl_grants_a;
SELECT soft_delete.tag('t'), soft_delete.tag('"Other"');
GRANT SELECT, DELETE ON t TO regress_ddl_grants_a WITH GRANT OPTION;
GRANT UPDATE (id), SELECT (id) ON TABLE untagged, t, "Other" TO regress_ddl_grants_b;
GRANT UPDATE (a, b), SELECT (id), REFERENCES (a) ON t TO regress_ddl_grants_b;
GRANT SELECT ON untagged, t, "Other" TO PUBLIC;
SELECT * FROM grants_on('t_active');
SELECT * FROM grants_on('"Other_active"');
SELECT * FROM grants_on('t_deleted');

-- what one may do by the view is what one may do
INSERT INTO t VALUES (1, 'a', 'b');
SET ROLE regress_ddl_grants_b;
UPDATE t_active SET a = 'x' WHERE id = 1 RETURNING *;
DELETE FROM t_active;
SET ROLE regress_ddl_grants_a;
DELETE FROM t_active;

-- a role that was given the option grants, and what hangs on it goes with it
GRANT DELETE ON t TO regress_ddl_grants_b;
SELECT * FROM grants_on('t_active');
SET ROLE regress_ddl_grants;
REVOKE GRANT OPTION FOR SELECT ON t FROM regress_ddl_grants_a;
REVOKE DELETE ON t FROM regress_ddl_grants_a CASCADE;
REVOKE UPDATE (b) ON t FROM regress_ddl_grants_b;
SELECT * FROM grants_on('t_active');

-- all tables of schemas; a superuser grants as the owner
RESET ROLE;
GRANT INSERT ON ALL TABLES IN SCHEMA ddl_grants TO regress_ddl_grants_b;
SELECT * FROM grants_on('t_active');
SELECT * FROM grants_on('"Other_active"');
SELECT DISTINCT grantor::regrole FROM pg_class, aclexplode(relacl) WHERE oid = 'ddl_grants.t_active'::regclass;
REVOKE ALL ON ALL TABLES IN SCHEMA ddl_grants FROM PUBLIC, regress_ddl_grants_a, regress_ddl_grants_b;
SELECT * FROM grants_on('t_active');

-- other changes of the table leave alone what was granted on the views
SET ROLE regress_ddl_grants;
GRANT SELECT ON t_active TO regress_ddl_grants_a;
ALTER TABLE t ADD COLUMN c text;
ALTER TABLE t DROP COLUMN a;
SELECT * FROM grants_on('t_active');
GRANT SELECT (id) ON t TO regress_ddl_grants_b;
SELECT * FROM grants_on('t_active');

-- a role without the right is told so as ever
SET ROLE regress_ddl_grants_b;
GRANT SELECT ON t TO PUBLIC;
GRANT SELECT ON nowhere TO PUBLIC;
RESET ROLE;
GRANT SELECT ON ddl_grants.t_deleted TO regress_ddl_grants_b;
DROP OWNED BY regress_ddl_grants_b;
SELECT * FROM grants_on('t_active');
SELECT * FROM grants_on('t_deleted');

-- what is granted on tables to come is not granted on bins
SET ROLE regress_ddl_grants;
ALTER DEFAULT PRIVILEGES IN SCHEMA ddl_grants GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO regress_ddl_grants_a;
CREATE TABLE later (id integer PRIMARY KEY);
SELECT soft_delete.tag('later');
SELECT * FROM grants_on('later_active');
SELECT * FROM grants_on('later_deleted');
INSERT INTO later VALUES (1);
DELETE FROM later;
SET ROLE regress_ddl_grants_a;
SELECT * FROM later_deleted;
DELETE FROM later_deleted;
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA ddl_grants CASCADE;
DROP ROLE regress_ddl_grants, regress_ddl_grants_a, regress_ddl_grants_b;
