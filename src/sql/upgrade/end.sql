/*
 * The end of an upgrade: tagged tables get the triggers that tag() gives them
 * now, and companions, which are not to be the extension's own; what the install script
 * has not made again goes.  The rest is made anew by follow_extension().
 */
-- they act when the upgrade is done, not on the companions that are made and leave the extension here
ALTER EVENT TRIGGER soft_delete_renew DISABLE;
ALTER EVENT TRIGGER soft_delete_ddl DISABLE;

DO $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT m.member, coalesce(bin.relnamespace::regnamespace::text, m.schema)::name AS schema
		FROM pg_catalog.pg_trigger JOIN pg_catalog.pg_class ON pg_class.oid = tgrelid
			LEFT JOIN pg_catalog.pg_class AS bin ON bin.oid = soft_delete_internal.bin_of(tgrelid),
			soft_delete_internal.missing_companions(tgrelid) AS m
		WHERE tgfoid = 'soft_delete.delete_row()'::regprocedure AND NOT pg_catalog.pg_is_other_temp_schema(pg_class.relnamespace)
		  AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = tgrelid)
	LOOP
		PERFORM soft_delete_internal.make_companion(item.member, (soft_delete_internal.tag_arguments(item.member))[1], item.schema);
		EXECUTE format('ALTER EXTENSION soft_delete DROP TABLE %s', soft_delete_internal.own_companion(item.member));
		PERFORM soft_delete_internal.bind_companion(item.member);
	END LOOP;

	-- rows that stepped aside were kept in one table, as text by the name of their columns
	SET LOCAL DateStyle = 'ISO, YMD';
	SET LOCAL IntervalStyle = 'postgres';
	SET LOCAL lc_monetary = 'C';
	SET LOCAL array_nulls = on;
	FOR item IN
		SELECT companion, key FROM soft_delete_internal.displaced, pg_catalog.jsonb_object_keys("row") AS key, soft_delete_internal.companion_of(relation) AS companion
		WHERE NOT soft_delete_internal.has_column(companion, key) GROUP BY companion, key
	LOOP
		EXECUTE format('ALTER TABLE %s ADD COLUMN %I text', item.companion, item.key);
	END LOOP;
	FOR item IN
		SELECT d.*, companion, soft_delete_internal.companion_stamp(companion) AS stamp
		FROM soft_delete_internal.displaced AS d, soft_delete_internal.companion_of(relation) AS companion WHERE companion IS NOT NULL
	LOOP
		PERFORM soft_delete_internal.write_companion(item.relation, (
			SELECT format('INSERT INTO %s (%I, %s) VALUES (%L, %s)', item.companion, item.stamp, string_agg(quote_ident(attname), ', ' ORDER BY attnum),
				item.deleted_at, string_agg(quote_nullable(item."row" ->> attname::text), ', ' ORDER BY attnum))
			FROM pg_catalog.pg_attribute WHERE attrelid = item.companion AND attnum > 0 AND NOT attisdropped AND attname <> item.stamp));
	END LOOP;
	ALTER EXTENSION soft_delete DROP TABLE soft_delete_internal.displaced;
	DROP TABLE soft_delete_internal.displaced;
END
$$;

ALTER EVENT TRIGGER soft_delete_renew ENABLE ALWAYS;
ALTER EVENT TRIGGER soft_delete_ddl ENABLE;

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
