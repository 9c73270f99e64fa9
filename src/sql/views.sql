/*
 * The two views of a tagged table
 */

CREATE FUNCTION soft_delete.make_view(relation regclass, view_schema name, suffix text, query text, options text) RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view_name name := soft_delete.view_name(relation, suffix);
	view text := format('%I.%I', view_schema, view_name);
	persistence text;
BEGIN
	IF to_regclass(view) IS NOT NULL THEN
		RAISE EXCEPTION 'relation "%" already exists', view_name
			USING ERRCODE = 'duplicate_table',
				DETAIL = format('Table %s needs a view of that name.', relation),
				HINT = format('SELECT soft_delete.tag(%L, views => ''another_schema'');', relation);
	END IF;
	SELECT CASE WHEN relpersistence = 't' THEN 'TEMPORARY ' ELSE '' END INTO persistence
	FROM pg_class WHERE oid = relation;

	EXECUTE format('CREATE %sVIEW %s %s AS %s', persistence,
				   CASE WHEN persistence <> '' THEN quote_ident(view_name) ELSE view END, options, query);
	PERFORM soft_delete.bind_view(view::regclass, relation);
	EXECUTE format('ALTER VIEW %s OWNER TO %I', view, (SELECT relowner::regrole::text::name FROM pg_class WHERE oid = relation));
	RETURN view::regclass;
END
$$;
COMMENT ON FUNCTION soft_delete.make_view(regclass, name, text, text, text) IS
'creates a view for a tagged table, owned like the table and dropped with it';

CREATE FUNCTION soft_delete.make_active_view(relation regclass, deleted_at name, view_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass;
	item record;
BEGIN
	view := soft_delete.make_view(relation, view_schema, '_active',
		(SELECT format('SELECT %s FROM %s WHERE %I IS NULL',
					   string_agg(quote_ident(attname), ', ' ORDER BY attnum), relation, deleted_at)
		 FROM pg_attribute
		 WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attname <> deleted_at),
		-- rights on the table, and its row security, are those of who asks
		'WITH (security_invoker = true)');
	EXECUTE format('COMMENT ON VIEW %s IS %L', view, format('live rows of %s', relation));

	FOR item IN
		SELECT privilege_type, is_grantable, '' AS columns,
			CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee
		FROM pg_class, aclexplode(relacl)
		WHERE oid = relation AND grantee <> relowner
		  AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
		UNION ALL
		SELECT privilege_type, is_grantable, format('(%I)', attname),
			CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
		FROM pg_attribute, aclexplode(attacl)
		WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attname <> deleted_at
		  AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE')
	LOOP
		EXECUTE format('GRANT %s %s ON %s TO %s%s', item.privilege_type, item.columns, view, item.grantee,
					   CASE WHEN item.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.make_active_view(regclass, name, name) IS
'creates the view of live rows, with the application''s columns and the grants of the table';

CREATE FUNCTION soft_delete.make_bin(relation regclass, deleted_at name, view_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass;
BEGIN
	view := soft_delete.make_view(relation, view_schema, '_deleted',
		(SELECT format('SELECT %1$s, tableoid, ctid FROM %2$s TABLESAMPLE soft_delete.rows(''all'') WHERE %3$I IS NOT NULL '
					   'UNION ALL SELECT %1$s, tableoid, ctid FROM %2$s TABLESAMPLE soft_delete.rows(''displaced'')',
					   string_agg(quote_ident(attname), ', ' ORDER BY attnum), relation, deleted_at)
		 FROM pg_attribute
		 WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped), '');
	EXECUTE format('COMMENT ON VIEW %s IS %L', view,
		format('bin of %s: UPDATE ... SET %I = NULL restores, DELETE purges', relation, deleted_at));
	EXECUTE format('CREATE TRIGGER soft_delete_restore INSTEAD OF UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row()', view);
	EXECUTE format('CREATE TRIGGER soft_delete_purge INSTEAD OF DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row()', view);
	EXECUTE format('CREATE TRIGGER soft_delete_statement AFTER UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin()', view);
END
$$;
COMMENT ON FUNCTION soft_delete.make_bin(regclass, name, name) IS
'creates the view of tombstones, at first readable by the owner alone';

CREATE FUNCTION soft_delete.drop_views(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bin regclass := soft_delete.bin_of(relation);
BEGIN
	IF bin IS NOT NULL THEN
		EXECUTE format('DROP VIEW %s, %I.%I', bin,
			(SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = bin),
			soft_delete.view_name(relation, '_active'));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.drop_views(regclass) IS
'drops the two views of a table';
