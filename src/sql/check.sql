/*
 * Health
 */

CREATE FUNCTION soft_delete.check_dangling("constraint" oid, OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	con pg_constraint;
	is_reference text;
	without_parent text;
	which text;
	n bigint;
BEGIN
	SELECT * INTO STRICT con FROM pg_constraint WHERE oid = "constraint";
	SELECT string_agg(format('c.%I IS NOT NULL', attname), ' AND ') INTO is_reference
	FROM pg_attribute WHERE attrelid = con.conrelid AND attnum = ANY (con.conkey);
	relation := con.conrelid;

	FOREACH which IN ARRAY CASE WHEN soft_delete.tag_arguments(relation) IS NULL THEN '{live}' ELSE '{live,deleted}'::text[] END LOOP
		without_parent := format('%s AND NOT EXISTS (SELECT FROM %s WHERE %s)', is_reference,
			soft_delete.rows_of(con.confrelid, 'p', CASE which WHEN 'live' THEN 'live' ELSE 'all' END),
			soft_delete.key_match("constraint"));
		EXECUTE format('SELECT count(*) FROM %s WHERE %s', soft_delete.rows_of(relation, 'c', which), without_parent) INTO n;
		CONTINUE WHEN n = 0;

		severity := 'error';
		IF which = 'live' THEN
			problem := format('%s live rows reference deleted or missing rows of %s by foreign key "%s"', n, con.confrelid::regclass, con.conname);
			remedy := format('DELETE FROM %s c WHERE %s;', relation, without_parent);
		ELSE
			problem := format('%s deleted rows reference missing rows of %s by foreign key "%s", and cannot be restored', n, con.confrelid::regclass, con.conname);
			remedy := format('DELETE FROM %s c WHERE %s;', soft_delete.bin_of(soft_delete.root(relation)), without_parent);
		END IF;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.check_dangling(oid) IS
'the problems of check() with one foreign key: rows that reference nothing';

CREATE FUNCTION soft_delete.check(OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete.new_sessions_load() THEN
		severity := 'error';
		problem := format('new sessions of database "%s" will not load the library, and see deleted rows', current_database());
		remedy := format('ALTER DATABASE %I SET session_preload_libraries = ''soft_delete'';', current_database());
		RETURN NEXT;
	END IF;

	RETURN QUERY
	SELECT 'error', tgrelid::regclass, 'the tag is disabled: deletes are hard',
		format('ALTER TABLE %s ENABLE TRIGGER %I;', tgrelid::regclass, tgname)
	FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
	WHERE pg_has_role(relowner, 'USAGE') AND tgfoid = 'soft_delete.delete_row()'::regprocedure AND tgenabled NOT IN ('O', 'A')
	UNION ALL
	SELECT 'error', later.tgrelid::regclass, format('trigger "%s" would fire after the tag: deletes fail', later.tgname),
		format('ALTER TRIGGER %I ON %s RENAME TO ...;', later.tgname, later.tgrelid::regclass)
	FROM pg_trigger AS tag JOIN pg_trigger AS later USING (tgrelid) JOIN pg_class ON pg_class.oid = tgrelid
	WHERE pg_has_role(relowner, 'USAGE') AND tag.tgfoid = 'soft_delete.delete_row()'::regprocedure AND later.tgenabled <> 'D'
	  AND later.tgtype & 11 = 11		-- FOR EACH ROW BEFORE DELETE
	  AND later.tgname COLLATE "C" > tag.tgname COLLATE "C"
	UNION ALL
	SELECT 'warning', untagged, format('the table is not tagged, but its schema "%s" is', nspname), format('SELECT soft_delete.tag(%L);', untagged)
	FROM soft_delete.untagged_tables() AS untagged JOIN pg_class ON pg_class.oid = untagged JOIN pg_namespace n ON n.oid = relnamespace
	WHERE pg_has_role(relowner, 'USAGE');

	RETURN QUERY
	SELECT found.* FROM pg_constraint AS con, soft_delete.check_dangling(con.oid) AS found
	WHERE contype = 'f' AND conparentid = 0
	  AND (soft_delete.tag_arguments(conrelid) IS NOT NULL OR soft_delete.tag_arguments(confrelid) IS NOT NULL)
	  AND NOT EXISTS (SELECT FROM pg_class WHERE oid IN (conrelid, confrelid)
					  AND (NOT pg_has_role(relowner, 'USAGE') OR pg_is_other_temp_schema(relnamespace)))
	ORDER BY con.oid;
END
$$;
COMMENT ON FUNCTION soft_delete.check() IS
'problems of the tagged tables that the caller owns, each with severity and remedy: above all, rows that reference what is deleted or gone';
