/*
 * Installs the SQL side of soft_delete.  The Makefile puts these files together in
 * the order that they need; an upgrade leaves this one out.
 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION soft_delete" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

/*
 * A dump makes the schema before the extension, and leaves it empty.  What somebody
 * else has put there, or may put there, could pass for a part of the extension.
 */
DO $$
DECLARE
	reason text;
BEGIN
	SELECT CASE
			WHEN nspowner <> current_user::regrole AND NOT rolsuper THEN format('It belongs to role %I.', rolname)
			-- what default privileges say of one that this command has made is taken back
			WHEN n.xmin <> pg_current_xact_id()::xid
				AND EXISTS (SELECT FROM aclexplode(nspacl) WHERE privilege_type = 'CREATE' AND grantee <> nspowner) THEN 'Others may create objects in it.'
			WHEN EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = n.oid
						 AND classid <> 'pg_extension'::regclass) THEN 'There are objects in it.' END
	INTO reason
	FROM pg_namespace AS n JOIN pg_roles ON pg_roles.oid = nspowner WHERE nspname = 'soft_delete';
	IF reason IS NOT NULL THEN
		RAISE EXCEPTION 'schema "soft_delete" is not one that the extension can have for itself'
			USING ERRCODE = 'duplicate_schema',
				DETAIL = reason,
				HINT = 'ALTER SCHEMA soft_delete RENAME TO soft_delete_before;';
	END IF;
END
$$;
