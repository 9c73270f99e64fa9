/*
 * The end of an upgrade: tagged tables get the triggers that tag() gives them
 * now, and what the install script has not made again goes.  The rest is made
 * anew by follow_extension(), for views made here would be the extension's own.
 */
DO $$
DECLARE
	item text;
BEGIN
	PERFORM soft_delete_internal.make_triggers(tgrelid, soft_delete_internal.tag_arguments(tgrelid))
	FROM pg_catalog.pg_trigger WHERE tgfoid = 'soft_delete.delete_row()'::regprocedure
	  AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = tgrelid)
	  AND NOT EXISTS (SELECT FROM pg_catalog.pg_class
					  WHERE oid = tgrelid AND pg_catalog.pg_is_other_temp_schema(relnamespace));

	FOR item IN
		SELECT format('DROP ROUTINE %s', pg_proc.oid::regprocedure)
		FROM pg_catalog.pg_proc JOIN pg_catalog.pg_depend ON classid = 'pg_catalog.pg_proc'::regclass AND objid = pg_proc.oid
			JOIN pg_catalog.pg_extension ON refclassid = 'pg_catalog.pg_extension'::regclass AND pg_extension.oid = refobjid
		WHERE deptype = 'e' AND extname = 'soft_delete' AND NOT soft_delete_internal.is_own_transaction(pg_proc.xmin)
	LOOP
		EXECUTE item;
	END LOOP;
END
$$;
