/*
 * An upgrade runs the install script again, over what is there: the Makefile
 * makes each CREATE one that replaces, or that leaves a table be.  Before it
 * goes what cannot be replaced; after it, the rest of the old version.  What a
 * version needs by hand is in a file of its own.  test/climb compares the result
 * with a fresh install.
 */
DO $$
DECLARE
	item text;
BEGIN
	FOR item IN
		WITH members AS (
			SELECT classid, objid FROM pg_catalog.pg_depend JOIN pg_catalog.pg_extension ON pg_extension.oid = refobjid
			WHERE refclassid = 'pg_catalog.pg_extension'::regclass AND deptype = 'e' AND extname = 'soft_delete'
		)
		SELECT format('DROP EVENT TRIGGER %I', evtname)
		FROM members JOIN pg_catalog.pg_event_trigger ON classid = 'pg_catalog.pg_event_trigger'::regclass AND oid = objid
		UNION ALL
		SELECT format('DROP POLICY %I ON %s', polname, polrelid::regclass)
		FROM members JOIN pg_catalog.pg_policy ON classid = 'pg_catalog.pg_class'::regclass AND polrelid = objid
		UNION ALL
		SELECT format('DROP FUNCTION %s', oid::regprocedure)
		FROM members JOIN pg_catalog.pg_proc ON classid = 'pg_catalog.pg_proc'::regclass AND oid = objid
		WHERE prorettype = 'pg_catalog.event_trigger'::regtype
	LOOP
		EXECUTE item;
	END LOOP;
END
$$;
