/*
 * Stand-ins follow their indexes, and indexes their stand-ins
 */

CREATE FUNCTION soft_delete_internal.rename_stand_ins() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	FOR command IN
		SELECT CASE WHEN c.classid = 'pg_constraint'::regclass
			THEN format('ALTER INDEX %s RENAME TO %I', index.oid::regclass, conname)
			ELSE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', conrelid::regclass, conname, relname) END
		FROM pg_event_trigger_ddl_commands() AS c
			JOIN pg_depend ON pg_depend.classid = 'pg_class'::regclass AND refclassid = 'pg_constraint'::regclass AND deptype = 'a'
			JOIN pg_constraint con ON con.oid = refobjid AND contype = 'c'
			JOIN pg_class index ON index.oid = pg_depend.objid AND index.relkind IN ('i', 'I')
		WHERE conname <> relname
		  AND ((c.classid = 'pg_constraint'::regclass AND c.objid = con.oid) OR (c.classid = 'pg_class'::regclass AND c.objid = index.oid))
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_stand_ins() IS
'for event triggers: gives a stand-in the new name of its index, or the index that of its stand-in';

CREATE FUNCTION soft_delete_internal.bind_stand_ins(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- an index was made anew, by a change of type or from a dump
	PERFORM soft_delete_internal.bind_index(indexrelid, soft_delete_internal.stand_in(indexrelid))
	FROM pg_index
	WHERE indrelid = relation AND soft_delete_internal.stand_in(indexrelid) IS NOT NULL
	  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid
					  AND refclassid = 'pg_constraint'::regclass AND deptype = 'a');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bind_stand_ins(regclass) IS
'ties the indexes of a tagged table to their stand-ins, where that is not done';

CREATE FUNCTION soft_delete_internal.drop_stand_ins() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	FOR command IN
		WITH orphans AS MATERIALIZED (
			SELECT conrelid, conname, conbin FROM pg_event_trigger_dropped_objects()
				JOIN pg_constraint ON conname = object_name AND contype = 'c' AND conrelid <> 0 AND coninhcount = 0
				JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace AND nspname = schema_name
			WHERE object_type = 'index' AND to_regclass(quote_ident(schema_name) || '.' || quote_ident(object_name)) IS NULL
		)
		SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM orphans
		WHERE pg_get_expr(conbin, conrelid) = 'true' AND soft_delete_internal.tag_arguments(conrelid) IS NOT NULL
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_stand_ins() IS
'for event triggers: drops the stand-ins of dropped indexes';
