-- Rule: least surface.  What the extension consists of, and who may do what with it:
-- an object that comes, or a right that is given, shows here.
\set VERBOSITY terse
SET search_path = pg_catalog;
CREATE TEMP VIEW members AS
SELECT classid, objid, pg_describe_object(classid, objid, objsubid) AS object
FROM pg_depend JOIN pg_extension ON pg_extension.oid = refobjid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'soft_delete';
-- what PUBLIC, or anybody but the owner, has been granted
SELECT object, grantee, privilege_type, is_grantable
FROM members JOIN pg_proc ON classid = 'pg_proc'::regclass AND oid = objid, aclexplode(coalesce(proacl, acldefault('f', proowner)))
WHERE grantee <> proowner ORDER BY object COLLATE "C";
SELECT object, grantee, privilege_type, is_grantable FROM members JOIN pg_class ON classid = 'pg_class'::regclass AND oid = objid, aclexplode(relacl)
WHERE grantee <> relowner ORDER BY object COLLATE "C";
SELECT nspname, grantee, privilege_type, is_grantable FROM pg_namespace, aclexplode(nspacl)
WHERE nspname IN ('soft_delete', 'soft_delete_internal') AND grantee <> nspowner;
-- few functions are for people
SELECT count(DISTINCT proname) <= 32 AS few FROM pg_proc WHERE pronamespace = 'soft_delete'::regnamespace AND prorettype <> 'trigger'::regtype;
-- none of them lends rights by itself
SELECT object FROM members JOIN pg_proc ON classid = 'pg_proc'::regclass AND oid = objid WHERE prosecdef;
-- what is in SQL chooses its search_path, unless its names are bound already
SELECT object FROM members JOIN pg_proc ON classid = 'pg_proc'::regclass AND oid = objid
WHERE prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') AND prosqlbody IS NULL
  AND (proconfig && ARRAY['search_path=pg_catalog, pg_temp']) IS NOT TRUE;
-- what filters by rights is a security barrier, and nothing is guarded by row security alone
SELECT object FROM members JOIN pg_class ON classid = 'pg_class'::regclass AND oid = objid
WHERE relkind = 'v' AND relname NOT IN ('tables', 'metrics') AND (reloptions && '{security_barrier=true}') IS NOT TRUE;
SELECT object FROM members JOIN pg_class ON classid = 'pg_class'::regclass AND oid = objid WHERE relrowsecurity;
-- each has a comment
SELECT object FROM members
WHERE classid <> 'pg_type'::regclass AND obj_description(objid, classid::regclass::text) IS NULL AND object !~ '^(language|operator [0-9]|function [0-9])'
ORDER BY object COLLATE "C";
-- and this is all there is
SELECT object FROM members WHERE classid <> 'pg_type'::regclass AND object <> 'event trigger soft_delete_login' ORDER BY object COLLATE "C";

-- predefined roles write to all tables, not to these
CREATE ROLE regress_grants_all;
GRANT pg_read_all_data, pg_write_all_data TO regress_grants_all;
CREATE TABLE public.grants (id integer PRIMARY KEY);
INSERT INTO public.grants VALUES (1);
SELECT soft_delete.tag('public.grants');
DELETE FROM public.grants;
UPDATE public.grants_deleted SET hold = 'it stays';
INSERT INTO public.grants VALUES (1);	-- it steps aside
SET ROLE regress_grants_all;
DELETE FROM public.grants_tombstones;
UPDATE public.grants_tombstones SET deleted_at = now();
DELETE FROM soft_delete_internal.holds;
UPDATE soft_delete_internal.ledger SET reason = 'forged';
INSERT INTO soft_delete_internal.ledger SELECT 'epoch', '0', 'nobody', 'nobody', NULL, NULL, NULL, 10;
COPY soft_delete_internal.purge_log FROM stdin;
\.
-- COPY of a dump inserts into views
COPY soft_delete_internal.holds FROM stdin;
public.grants	\N	\N	forged	nobody	2026-01-01
\.
INSERT INTO soft_delete_internal.restored_retention VALUES ('public.grants', NULL, '0');
RESET ROLE;
SELECT hold FROM public.grants_deleted;
SELECT oid::regclass AS unguarded FROM pg_class
WHERE relnamespace = 'soft_delete_internal'::regnamespace AND relkind = 'r'
  -- each statement, and each row, for a subscription executes none
  AND (SELECT array_agg(tgtype ORDER BY tgtype) FROM pg_trigger
	   WHERE tgrelid = pg_class.oid AND tgfoid = 'soft_delete_internal.refuse_write()'::regprocedure AND tgenabled = 'A') IS DISTINCT FROM '{31,62}'::smallint[];
UPDATE public.grants_deleted SET hold = NULL;
SET client_min_messages = error;
DROP TABLE public.grants;
DROP ROLE regress_grants_all;
