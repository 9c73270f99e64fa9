/*
 * Who may do what.  Nothing here is left to default privileges, which may give
 * anything to anybody.
 */
DO $$
DECLARE
	item text;
BEGIN
	FOR item IN
		WITH objects AS (
			SELECT CASE prokind WHEN 'p' THEN 'PROCEDURE ' ELSE 'FUNCTION ' END || pg_proc.oid::regprocedure AS object,
				coalesce(proacl, acldefault('f', proowner)) AS acl, proowner AS owner, pronamespace AS namespace
			FROM pg_proc
			UNION ALL
			SELECT 'TABLE ' || pg_class.oid::regclass, relacl, relowner, relnamespace FROM pg_class WHERE relkind IN ('r', 'v')
			UNION ALL
			SELECT 'SCHEMA ' || oid::regnamespace, nspacl, nspowner, oid FROM pg_namespace
		)
		SELECT DISTINCT format('REVOKE ALL ON %s FROM %s CASCADE', object, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
		FROM objects, aclexplode(acl) WHERE grantee <> owner AND namespace IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace)
	LOOP
		EXECUTE item;
	END LOOP;
END
$$;

GRANT USAGE ON SCHEMA soft_delete TO PUBLIC;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA soft_delete TO PUBLIC;
-- who may see deleted rows of others' tables is told by name
REVOKE EXECUTE ON FUNCTION soft_delete.rows(internal) FROM PUBLIC;
-- these stand in plans, and see for themselves who runs them
GRANT EXECUTE ON FUNCTION soft_delete_internal.shows_tombstones(oid), soft_delete_internal.wants_row(text, boolean),
	soft_delete_internal.claims_key(oid, record, internal), soft_delete_internal.shows_statistics(oid) TO PUBLIC;
GRANT SELECT ON soft_delete.deletions, soft_delete.holds, soft_delete.lifted_holds, soft_delete.retention, soft_delete.purge_log,
	soft_delete.erasures, soft_delete.tagged_schemas, soft_delete.tables, soft_delete.metrics TO PUBLIC;
