/*
 * Default privileges may have given anything to anybody: what is new is nobody's.
 * An upgrade leaves out this part, and so what administrators have granted.
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
