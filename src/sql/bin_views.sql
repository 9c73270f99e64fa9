/*
 * The two views of a tagged table, the bin and the view of live rows, are made and
 * then follow their table.
 *
 * The owner of the extension makes and changes them, and gives them to the owner of
 * the table.  What contains text of that owner (defaults, rules, triggers and queries
 * of views upon them) is run as him.
 *
 * The utility hook (src/ddl/alter.c) calls what follows a table within the command that changes
 * it.  A new column is appended to the views, after the extension's own columns; a
 * column whose type has changed gets the new type.  Where a column is gone, both
 * views are dropped and created again, and with them the views of users upon them.
 */

CREATE FUNCTION soft_delete_internal.bind_view(view regclass, relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_bind_view';
COMMENT ON FUNCTION soft_delete_internal.bind_view(regclass, regclass) IS
'makes a view that tag() made depend on its table, so that DROP TABLE drops it';

CREATE FUNCTION soft_delete_internal.view_sources(view regclass, relation regclass) RETURNS smallint[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_view_sources';
COMMENT ON FUNCTION soft_delete_internal.view_sources(regclass, regclass) IS
'for each column of a view the number of the table''s column that it shows, 0 if none; null while a command changes the table';

CREATE FUNCTION soft_delete_internal.change_view_column(view regclass, attnum smallint, relation regclass, source smallint) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_change_view_column';
COMMENT ON FUNCTION soft_delete_internal.change_view_column(regclass, smallint, regclass, smallint) IS
'gives a column of a view the type of the table''s column that it shows, while a command changes the table';

CREATE FUNCTION soft_delete_internal.is_changing() RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'soft_delete_is_changing';
COMMENT ON FUNCTION soft_delete_internal.is_changing() IS
'raises 55006: called by the views of a table while a command changes the table';

CREATE FUNCTION soft_delete_internal.lock_views(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_lock_views';
COMMENT ON FUNCTION soft_delete_internal.lock_views(regclass) IS
'locks the views of a table until the transaction ends; whoever locks the table, too, does so afterwards';

CREATE FUNCTION soft_delete_internal.update_views(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_update_views';
COMMENT ON FUNCTION soft_delete_internal.update_views(regclass) IS
'runs soft_delete_internal.rewrite_views() as the owner of the extension';

CREATE FUNCTION soft_delete_internal.active_query(relation regclass, deleted_at name, columns name[] DEFAULT '{}') RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT format('SELECT %s FROM %s WHERE %I IS NULL',
				  string_agg(quote_ident(attname), ', ' ORDER BY array_position(columns, attname), attnum), relation, deleted_at)
	FROM pg_attribute
	WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attname <> deleted_at);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.active_query(regclass, name, name[]) IS
'the query of the view of live rows; columns: those that come first';

CREATE FUNCTION soft_delete_internal.active_comment(relation text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN format('live rows of %s', relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.active_comment(text) IS
'the comment of the view of live rows of a table';

CREATE FUNCTION soft_delete_internal.set_grants(view regclass, "column" name, wanted aclitem[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	-- a new view has none, but for default privileges
	IF wanted IS NULL AND "column" IS NULL AND (SELECT relacl IS NULL FROM pg_class WHERE oid = view) THEN
		RETURN;
	END IF;
	FOR command IN
		WITH present AS (
			SELECT grantee, privilege_type, bool_or(is_grantable) AS is_grantable
			FROM pg_class LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attname = "column", aclexplode(CASE WHEN "column" IS NULL THEN relacl ELSE attacl END)
			WHERE pg_class.oid = view AND grantee <> relowner GROUP BY 1, 2
		), future AS (
			SELECT grantee, privilege_type, bool_or(is_grantable) AS is_grantable
			FROM aclexplode(wanted), pg_class
			WHERE pg_class.oid = view AND grantee <> relowner GROUP BY 1, 2
		)
		SELECT format(CASE WHEN f.grantee IS NULL THEN 'REVOKE %1$s %2$s ON %3$s FROM %4$s CASCADE'
						WHEN p.is_grantable AND NOT f.is_grantable THEN 'REVOKE GRANT OPTION FOR %1$s %2$s ON %3$s FROM %4$s CASCADE'
						WHEN f.is_grantable THEN 'GRANT %1$s %2$s ON %3$s TO %4$s WITH GRANT OPTION'
						ELSE 'GRANT %1$s %2$s ON %3$s TO %4$s' END,
			privilege_type, '(' || quote_ident("column") || ')', view,
			CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
		FROM present p FULL JOIN future f USING (grantee, privilege_type)
		WHERE p.is_grantable IS DISTINCT FROM f.is_grantable
		ORDER BY f.grantee IS NOT NULL, privilege_type, grantee
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.set_grants(regclass, name, aclitem[]) IS
'grants other roles than the owner exactly these rights on a view, or on one of its columns';

CREATE FUNCTION soft_delete_internal.copy_grants(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass := soft_delete_internal.active_view_of(relation);
BEGIN
	PERFORM soft_delete_internal.set_grants(view, NULL, relacl) FROM pg_class WHERE oid = relation AND view IS NOT NULL;
	PERFORM soft_delete_internal.set_grants(view, t.attname, t.attacl)
	FROM pg_attribute t JOIN pg_attribute v ON v.attrelid = view AND v.attname = t.attname AND v.attnum > 0
	WHERE t.attrelid = relation AND t.attnum > 0 AND t.attacl IS DISTINCT FROM v.attacl;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.copy_grants(regclass) IS
'gives the view of live rows the grants of its table';

CREATE FUNCTION soft_delete_internal.free_name(schema name, name name) RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	candidate name := name;
	n integer := 0;
BEGIN
	WHILE to_regclass(format('%I.%I', schema, candidate)) IS NOT NULL OR to_regtype(format('%I.%I', schema, candidate)) IS NOT NULL LOOP
		n := n + 1;
		candidate := soft_delete_internal.add_suffix(name, '_' || n);
	END LOOP;
	RETURN candidate;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.free_name(name, name) IS
'a name for a relation in a schema, or if it is taken one with a number';

CREATE FUNCTION soft_delete_internal.check_view_schema(relation regclass, view_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner name;
BEGIN
	IF soft_delete_internal.is_distributed_schema(view_schema) THEN
		RAISE EXCEPTION 'cannot keep deleted rows in schema "%", which Citus distributes', view_schema
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Citus expects each table there to be a distributed one. By views => the bin and the companion are made in another schema.';
	END IF;
	-- the rights that the caller needs to create it and to give it to the owner
	SELECT pg_get_userbyid(relowner) INTO owner FROM pg_class
	WHERE oid = relation AND relpersistence <> 't'
	  AND NOT (has_schema_privilege(soft_delete_internal.caller(), view_schema::text, 'CREATE')
			   AND (has_schema_privilege(relowner, view_schema::text, 'CREATE')
					OR (SELECT rolsuper FROM pg_roles WHERE oid = soft_delete_internal.caller())));
	IF FOUND THEN
		RAISE EXCEPTION 'permission denied for schema %', view_schema
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('A view of table %s is made there, for its owner.', relation),
				HINT = format('GRANT CREATE ON SCHEMA %I TO %I;', view_schema, owner);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_view_schema(regclass, name) IS
'raises 0A000 if Citus distributes a schema, 42501 unless the caller and the owner of a table may create its views there';

CREATE FUNCTION soft_delete_internal.check_new_view(relation regclass, view_schema name, view_name name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF to_regclass(format('%I.%I', view_schema, view_name)) IS NOT NULL THEN
		RAISE EXCEPTION 'relation "%" already exists', view_name
			USING ERRCODE = 'duplicate_table',
				DETAIL = format('Table %s needs a view of that name.', relation),
				HINT = format('CREATE SCHEMA %1$I; SELECT soft_delete.tag(%2$L, views => %1$L);', soft_delete_internal.add_suffix(view_schema, '_views'), relation);
	END IF;
	PERFORM soft_delete_internal.check_view_schema(relation, view_schema);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_new_view(regclass, name, name) IS
'raises 42P07 if a view of a table cannot have its name, and what check_view_schema() raises';

CREATE FUNCTION soft_delete_internal.create_view(command text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	propagates text := current_setting('citus.enable_ddl_propagation', true);
BEGIN
	-- Citus would warn that the view is on one node only, and propose to distribute the table
	IF propagates = 'on' THEN
		PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
	END IF;
	EXECUTE command;
	IF propagates = 'on' THEN
		PERFORM set_config('citus.enable_ddl_propagation', propagates, true);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.create_view(text) IS
'runs a command that creates or replaces a view of a tagged table';

CREATE FUNCTION soft_delete_internal.make_view(relation regclass, view_schema name, suffix text, query text, options text) RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	class pg_class;
	usual_name name := soft_delete_internal.view_name(relation, suffix);
	-- of a partition that is detached, the name may be taken
	view_name name := soft_delete_internal.free_name(view_schema, usual_name);
	view text := format('%I.%I', view_schema, view_name);
BEGIN
	SELECT * INTO STRICT class FROM pg_class WHERE oid = relation;
	IF view_name <> usual_name THEN
		RAISE NOTICE 'relation "%" already exists, so a view of table "%" is called "%"', usual_name, relation, view_name;
	END IF;
	PERFORM soft_delete_internal.create_view(format('CREATE %sVIEW %s %s AS %s', CASE class.relpersistence WHEN 't' THEN 'TEMPORARY ' END,
		CASE class.relpersistence WHEN 't' THEN quote_ident(view_name) ELSE view END, options, query));
	IF pg_get_userbyid(class.relowner) <> current_user THEN
		EXECUTE format('ALTER VIEW %s OWNER TO %I', view, pg_get_userbyid(class.relowner));
	END IF;
	IF NOT soft_delete_internal.is_aside(relation) THEN
		PERFORM soft_delete_internal.bind_view(view::regclass, relation);
	END IF;
	RETURN view::regclass;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_view(regclass, name, text, text, text) IS
'creates a view for a tagged table, owned like the table and dropped with it; check_view_schema() says whether it may';

CREATE FUNCTION soft_delete_internal.make_active_view(relation regclass, deleted_at name, view_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass;
BEGIN
	view := soft_delete_internal.make_view(relation, view_schema, '_active', soft_delete_internal.active_query(relation, deleted_at),
		-- privileges on the table and row security are those of the reader
		'WITH (security_invoker = true)');
	PERFORM soft_delete_internal.set_comment('pg_class', view, 0, soft_delete_internal.active_comment(relation::text));
	PERFORM soft_delete_internal.copy_grants(relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_active_view(regclass, name, name) IS
'creates the view of live rows, with the application''s columns and the grants of the table';

CREATE FUNCTION soft_delete_internal.make_bin(relation regclass, deleted_at name, view_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass;
BEGIN
	view := soft_delete_internal.make_view(relation, view_schema, '_deleted', soft_delete_internal.bin_query(relation, deleted_at), '');
	PERFORM soft_delete_internal.set_comment('pg_class', view, 0, soft_delete_internal.bin_comment(relation::text, deleted_at));
	PERFORM soft_delete_internal.make_bin_triggers(view, soft_delete_internal.bin_columns(relation));
	-- default privileges for tables are not meant for the bin
	PERFORM soft_delete_internal.set_grants(view, NULL, NULL);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_bin(regclass, name, name) IS
'creates the view of tombstones, at first readable by the owner alone';

CREATE FUNCTION soft_delete_internal.drop_views(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass;
BEGIN
	FOREACH view IN ARRAY array_remove(ARRAY[soft_delete_internal.bin_of(relation), soft_delete_internal.active_view_of(relation)], NULL) LOOP
		EXECUTE format('DROP VIEW %s', view);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_views(regclass) IS
'drops the two views of a table';

CREATE FUNCTION soft_delete_internal.dependent_views(view regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE dependents(member, depth) AS (
		SELECT view, 0
		UNION
		SELECT ev_class::regclass, depth + 1
		FROM dependents JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = member AND classid = 'pg_rewrite'::regclass
			JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN pg_class ON pg_class.oid = ev_class
		WHERE ev_class <> member AND relkind = 'v'
	)
	SELECT member FROM dependents WHERE member <> view GROUP BY member ORDER BY max(depth), member
$$;
COMMENT ON FUNCTION soft_delete_internal.dependent_views(regclass) IS
'the views that depend on a view, in an order in which they can be created';

CREATE FUNCTION soft_delete_internal.view_options(view regclass) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT ' WITH (' || string_agg(format('%I = %L', option_name, option_value), ', ') || ')'
	FROM pg_class, pg_options_to_table(reloptions) WHERE oid = view
$$;
COMMENT ON FUNCTION soft_delete_internal.view_options(regclass) IS
'the options of a view as CREATE VIEW takes them; null if it has none';

CREATE FUNCTION soft_delete_internal.view_commands(view regclass, query text, OUT command text, OUT as_owner boolean) RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text := soft_delete_internal.qualified_name(view);
BEGIN
	-- sorted, because UNION ALL guarantees no order
	RETURN QUERY
	SELECT commands.command, part NOT IN (2, 3) FROM (
		SELECT 1 AS part, format('CREATE %sVIEW %s%s AS %s', CASE relpersistence WHEN 't' THEN 'TEMPORARY ' END,
			CASE relpersistence WHEN 't' THEN quote_ident(relname) ELSE name END, soft_delete_internal.view_options(view), query) AS command
		FROM pg_class WHERE oid = view
		UNION ALL
		SELECT 2, format('SELECT soft_delete_internal.set_grants(%L, NULL, %L)', name, relacl) FROM pg_class WHERE oid = view
		UNION ALL
		SELECT 3, format('SELECT soft_delete_internal.set_grants(%L, %L, %L)', name, attname, attacl)
		FROM pg_attribute WHERE attrelid = view AND NOT attisdropped AND attacl IS NOT NULL
		UNION ALL
		SELECT 3, format('COMMENT ON VIEW %s IS %L', name, soft_delete_internal.comment_on('pg_class', view))
		WHERE soft_delete_internal.comment_on('pg_class', view) IS NOT NULL
		UNION ALL
		SELECT 3, format('COMMENT ON COLUMN %s.%I IS %L', name, attname, col_description(view, attnum))
		FROM pg_attribute WHERE attrelid = view AND NOT attisdropped AND col_description(view, attnum) IS NOT NULL
		UNION ALL
		SELECT 3, format('SECURITY LABEL FOR %I ON %s IS %L', provider, CASE objsubid WHEN 0 THEN 'VIEW ' || name ELSE format('COLUMN %s.%I', name, attname) END, label)
		FROM pg_seclabel LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid AND attnum > 0
		WHERE classoid = 'pg_class'::regclass AND objoid = view AND coalesce(NOT attisdropped, objsubid = 0)
		UNION ALL
		SELECT 4, format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', name, attname, pg_get_expr(adbin, adrelid))
		FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum WHERE adrelid = view AND NOT attisdropped
		UNION ALL
		SELECT 4 + n, made FROM pg_rewrite, unnest(ARRAY[pg_get_ruledef(pg_rewrite.oid),
			format('COMMENT ON RULE %I ON %s IS %L', rulename, name, soft_delete_internal.comment_on('pg_rewrite', pg_rewrite.oid))]) WITH ORDINALITY AS u(made, n)
		WHERE ev_class = view AND rulename <> '_RETURN'
		UNION ALL
		SELECT 4 + n, made FROM pg_trigger, unnest(ARRAY[pg_get_triggerdef(pg_trigger.oid),
			format('COMMENT ON TRIGGER %I ON %s IS %L', tgname, name, soft_delete_internal.comment_on('pg_trigger', pg_trigger.oid))]) WITH ORDINALITY AS u(made, n)
		-- make_bin_triggers() makes those of a bin
		WHERE tgrelid = view AND NOT tgisinternal
		  AND NOT EXISTS (SELECT FROM pg_depend JOIN pg_extension ON refobjid = pg_extension.oid
						  WHERE classid = 'pg_proc'::regclass AND objid = tgfoid AND refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'soft_delete')) AS commands
	WHERE commands.command IS NOT NULL
	ORDER BY part;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.view_commands(regclass, text) IS
'commands that create a view again with another query, and with its options, grants, comments, security labels, defaults, rules and triggers; as_owner: which contain text of its owner';

/*
 * Views of the owner of the table are created again with its views.  Those of other owners are not:
 * who alters the table would have their text parsed with their rights, and calls by that what types
 * and functions say which have changed meanwhile.  They, and what is no view, make the command
 * fail, as they do DROP VIEW, or are dropped by CASCADE.
 */
CREATE FUNCTION soft_delete_internal.is_recreated(member oid, relation regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m.relkind = 'v' AND m.relowner = t.relowner AND m.relpersistence = CASE t.relpersistence WHEN 't' THEN 't' ELSE 'p' END
	FROM pg_class AS m, pg_class AS t WHERE m.oid = member AND t.oid = relation
$$;
COMMENT ON FUNCTION soft_delete_internal.is_recreated(oid, regclass) IS
'whether a relation that depends on a view of a tagged table is created again with it';

CREATE FUNCTION soft_delete_internal.direct_dependents(members regclass[], OUT member regclass, OUT classid oid, OUT objid oid, OUT objsubid integer, OUT deptype "char", OUT part_of regclass) RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT m, CASE WHEN is_view THEN 'pg_class'::regclass::oid ELSE d.classid END, CASE WHEN is_view THEN ev_class ELSE d.objid END, d.objsubid, d.deptype, coalesce(polrelid, tgrelid, ev_class)::regclass
	FROM unnest(members) AS m JOIN pg_type ON typrelid = m
		JOIN pg_depend AS d ON (refclassid = 'pg_class'::regclass AND refobjid = m) OR (refclassid = 'pg_type'::regclass AND refobjid IN (pg_type.oid, typarray))
		LEFT JOIN pg_rewrite ON d.classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = d.objid
		LEFT JOIN pg_policy ON d.classid = 'pg_policy'::regclass AND pg_policy.oid = d.objid
		LEFT JOIN pg_trigger ON d.classid = 'pg_trigger'::regclass AND pg_trigger.oid = d.objid,
		coalesce(rulename = '_RETURN', false) AS is_view;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.direct_dependents(regclass[]) IS
'what depends on relations or their row types, a view in the place of its query; part_of: the relation whose rule, policy or trigger it is';

CREATE FUNCTION soft_delete_internal.other_dependents(view regclass, relation regclass, OUT classid oid, OUT objid oid) RETURNS SETOF record
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT d.classid, d.objid
	FROM soft_delete_internal.direct_dependents(view || ARRAY(SELECT soft_delete_internal.dependent_views(view))) AS d
	WHERE deptype IN ('n', 'a') AND NOT (d.classid = 'pg_class'::regclass AND d.objid = member)
	  AND part_of IS DISTINCT FROM member
	  AND d.classid NOT IN ('pg_trigger'::regclass, 'pg_attrdef'::regclass)
	  AND NOT (d.classid = 'pg_class'::regclass AND coalesce(soft_delete_internal.is_recreated(d.objid, relation), false));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.other_dependents(regclass, regclass) IS
'what depends on a view of a tagged table, or on a view upon that, and is not created again with it';

CREATE FUNCTION soft_delete_internal.drops_rows(classid oid, objid oid) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE dropped(classid, objid) AS (
		SELECT drops_rows.classid, drops_rows.objid
		UNION
		SELECT found.classid, found.objid
		FROM dropped JOIN pg_depend AS d ON d.refclassid = dropped.classid AND d.refobjid = dropped.objid
			LEFT JOIN pg_rewrite ON d.classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = d.objid AND rulename = '_RETURN'
			LEFT JOIN pg_depend AS e ON e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e',
			LATERAL (VALUES (d.classid, d.objid), ('pg_class'::regclass::oid, ev_class), (e.refclassid, e.refobjid)) AS found(classid, objid)
		WHERE found.objid IS NOT NULL
	)
	SELECT EXISTS (SELECT FROM dropped AS d LEFT JOIN pg_class ON d.classid = 'pg_class'::regclass AND pg_class.oid = d.objid
				   WHERE relkind IN ('r', 'p', 'f') OR d.classid = 'pg_extension'::regclass)
$$;
COMMENT ON FUNCTION soft_delete_internal.drops_rows(oid, oid) IS
'whether DROP ... CASCADE of an object would drop tables, columns of tables or extensions';

CREATE FUNCTION soft_delete_internal.check_dependents(view regclass, relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	SELECT identity.type, identity.identity, pg_describe_object(d.classid, d.objid, 0) AS description,
		(SELECT relowner FROM pg_class WHERE oid = relation) = coalesce(relowner, proowner, (SELECT relowner FROM pg_rewrite JOIN pg_class ON pg_class.oid = ev_class WHERE pg_rewrite.oid = d.objid)) AS is_own
	INTO item
	FROM soft_delete_internal.other_dependents(view, relation) AS d
		LEFT JOIN pg_class ON d.classid = 'pg_class'::regclass AND pg_class.oid = d.objid
		LEFT JOIN pg_proc ON d.classid = 'pg_proc'::regclass AND pg_proc.oid = d.objid,
		pg_identify_object(d.classid, d.objid, 0) AS identity
	ORDER BY d.classid, d.objid LIMIT 1;
	IF FOUND THEN
		PERFORM soft_delete_internal.refuse('2BP01', format('cannot change view %s of table %s because other objects depend on it', view, relation),
			format('%s depends on it, and cannot be created again with it: only views of the same owner can. CASCADE drops it.', item.description),
			-- nothing that has rows of its own
			CASE WHEN item.is_own AND item.type IN ('view', 'materialized view', 'rule', 'function') THEN format('DROP %s %s;', upper(item.type), item.identity)
				WHEN NOT item.is_own AND NOT soft_delete_internal.drops_rows('pg_class'::regclass, view) THEN format('DROP VIEW %s CASCADE;', view) END);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_dependents(regclass, regclass) IS
'raises 2BP01 if another object than a view of the same owner depends on a view of a tagged table';

CREATE FUNCTION soft_delete_internal.run_view_commands(relation regclass, commands jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN SELECT command ->> 'command' AS command, (command -> 'as_owner')::boolean AS as_owner FROM jsonb_array_elements(commands) WITH ORDINALITY AS c(command, n) ORDER BY n LOOP
		IF item.as_owner THEN
			PERFORM soft_delete_internal.alter_as_owner(relation, item.command);
		ELSE
			EXECUTE item.command;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.run_view_commands(regclass, jsonb) IS
'runs commands of view_commands() for a view of a table, or one that depends on it';

CREATE FUNCTION soft_delete_internal.recreate_view(view regclass, relation regclass, query text, meanwhile text DEFAULT NULL, keeps_dependents boolean DEFAULT true) RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text := soft_delete_internal.qualified_name(view);
	is_bin boolean := coalesce(view = soft_delete_internal.bin_of(relation), false);
	own_columns name[] := soft_delete_internal.bin_columns(relation);
	cascades boolean := NOT keeps_dependents OR soft_delete_internal.command_cascades();
	members regclass[] := view || ARRAY(SELECT d FROM soft_delete_internal.dependent_views(view) WITH ORDINALITY AS u(d, n)
										WHERE keeps_dependents AND soft_delete_internal.is_recreated(d, relation) ORDER BY n);
	owner name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = view);
	descriptions text[];
	commands jsonb[];
BEGIN
	IF NOT cascades THEN
		PERFORM soft_delete_internal.check_dependents(view, relation);
	END IF;
	SELECT array_agg(pg_describe_object('pg_class'::regclass, member, 0) ORDER BY n), array_agg(made ORDER BY n) INTO descriptions, commands
	FROM unnest(members) WITH ORDINALITY AS u(member, n),
		LATERAL (SELECT jsonb_agg(c ORDER BY m) FROM soft_delete_internal.view_commands(member, CASE WHEN n = 1 THEN query ELSE pg_get_viewdef(member) END) WITH ORDINALITY AS c(command, as_owner, m)) AS of(made);

	EXECUTE format('DROP VIEW %s %s', array_to_string(members, ', '), CASE WHEN cascades THEN 'CASCADE' END);
	IF meanwhile IS NOT NULL THEN
		EXECUTE meanwhile;
	END IF;
	-- the extension has written its query
	EXECUTE commands[1] -> 0 ->> 'command';
	EXECUTE format('ALTER VIEW %s OWNER TO %I', name, owner);
	PERFORM soft_delete_internal.run_view_commands(relation, commands[1] - 0);
	FOR i IN 2 .. cardinality(commands) LOOP
		BEGIN
			PERFORM soft_delete_internal.run_view_commands(relation, commands[i]);
		EXCEPTION WHEN OTHERS THEN
			-- what it reads may have been dropped
			IF NOT cascades OR soft_delete_internal.must_propagate(SQLSTATE) THEN
				RAISE;
			END IF;
			RAISE NOTICE 'drop cascades to %', descriptions[i];
		END;
	END LOOP;
	IF is_bin THEN
		PERFORM soft_delete_internal.make_bin_triggers(name::regclass, own_columns);
	END IF;
	RETURN name::regclass;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.recreate_view(regclass, regclass, text, text, boolean) IS
'drops a view of a tagged table and the views that depend on it, and creates them again, the first with another query; meanwhile: a statement that is run in between; what cannot be created again, and without keeps_dependents all that depends on the view, is dropped if the command says CASCADE';

CREATE FUNCTION soft_delete_internal.drop_dependents(view regclass, relation regclass, is_own boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tombstone name := (soft_delete_internal.tag_arguments(relation))[1];
	schema name := (SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = view);
BEGIN
	IF view = soft_delete_internal.bin_of(relation) THEN
		PERFORM soft_delete_internal.drop_companion_dependents(relation);
		view := soft_delete_internal.recreate_view(view, relation, soft_delete_internal.bin_query(relation, tombstone), keeps_dependents => false);
	ELSIF is_own THEN
		view := soft_delete_internal.recreate_view(view, relation, soft_delete_internal.active_query(relation, tombstone), keeps_dependents => false);
	ELSE
		-- its owner has written another query
		EXECUTE format('DROP VIEW %s CASCADE', view);
		PERFORM soft_delete_internal.make_active_view(relation, tombstone, schema);
		view := soft_delete_internal.active_view_of(relation);
	END IF;
	IF soft_delete_internal.is_aside(relation) THEN
		PERFORM soft_delete_internal.bind_companion(relation);
	ELSE
		PERFORM soft_delete_internal.bind_view(view, relation);
	END IF;
	RAISE NOTICE 'view "%" of tagged table "%" stays', view, relation
		USING DETAIL = 'It goes with the tag, or with the table.';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_dependents(regclass, regclass, boolean) IS
'does DROP VIEW ... CASCADE of a view of a tagged table, and creates the view again; is_own: it has the query that tag() gave it';

CREATE FUNCTION soft_delete_internal.rename_view_columns(view regclass, relation regclass, sources smallint[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old_names name[];
	new_names name[];
	temporary_names name[];
BEGIN
	SELECT array_agg(v.attname ORDER BY v.attnum), array_agg(t.attname ORDER BY v.attnum), array_agg('soft_delete renames ' || v.attnum ORDER BY v.attnum)
	INTO old_names, new_names, temporary_names
	FROM pg_attribute v JOIN pg_attribute t ON t.attrelid = relation AND t.attnum = sources[v.attnum]
	WHERE v.attrelid = view AND v.attnum > 0 AND v.attname <> t.attname AND NOT v.attisdropped AND NOT t.attisdropped;

	-- columns may have exchanged their names
	IF cardinality(old_names) > 1 THEN
		FOR i IN 1 .. cardinality(old_names) LOOP
			EXECUTE format('ALTER VIEW %s RENAME COLUMN %I TO %I', view, old_names[i], temporary_names[i]);
		END LOOP;
		old_names := temporary_names;
	END IF;
	FOR i IN 1 .. coalesce(cardinality(old_names), 0) LOOP
		EXECUTE format('ALTER VIEW %s RENAME COLUMN %I TO %I', view, old_names[i], new_names[i]);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_view_columns(regclass, regclass, smallint[]) IS
'gives the columns of a view the names that those of its tagged table have now';

CREATE FUNCTION soft_delete_internal.replace_view_query(view regclass, relation regclass, is_bin boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete_internal.tag_arguments(relation))[1];
	columns name[] := ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = view AND attnum > 0 ORDER BY attnum);
	own name[] := ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped ORDER BY attnum);
BEGIN
	PERFORM soft_delete_internal.create_view(format('CREATE OR REPLACE VIEW %s%s AS %s', view, soft_delete_internal.view_options(view),
		CASE WHEN NOT is_bin THEN soft_delete_internal.active_query(relation, deleted_at, columns)
			-- with the columns in the order of the table, no subquery is needed
			WHEN columns = own || soft_delete_internal.bin_columns(relation) THEN soft_delete_internal.bin_query(relation, deleted_at)
			ELSE soft_delete_internal.bin_query(relation, deleted_at, columns) END));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.replace_view_query(regclass, regclass, boolean) IS
'replaces the query of a view of a tagged table by one with the columns that the view has and those that are new';

CREATE FUNCTION soft_delete_internal.update_view_columns(view regclass, relation regclass, sources smallint[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete_internal.tag_arguments(relation))[1];
	is_bin boolean := coalesce(view = soft_delete_internal.bin_of(relation), false);
	has_lost boolean;
	has_gained boolean;
BEGIN
	IF is_bin THEN
		PERFORM soft_delete_internal.rename_bin_columns(view, relation);
	END IF;
	PERFORM soft_delete_internal.rename_view_columns(view, relation, sources);
	PERFORM soft_delete_internal.change_view_column(view, v.attnum, relation, t.attnum)
	FROM pg_attribute v JOIN pg_attribute t ON t.attrelid = relation AND t.attnum = sources[v.attnum],
		-- a tombstone column that is being renamed has its old name here
		LATERAL (SELECT deleted_at IN (t.attname, v.attname)) AS of(is_stamp),
		soft_delete_internal.base_type(CASE WHEN is_stamp THEN 'timestamptz'::regtype ELSE t.atttypid END, t.atttypmod)
	WHERE v.attrelid = view AND v.attnum > 0 AND NOT v.attisdropped AND NOT t.attisdropped
	  -- a bin has the base types of domains, and the stamps of the companion
	  AND (v.atttypid, v.atttypmod, v.attcollation) IS DISTINCT FROM
		(CASE WHEN is_bin THEN base ELSE t.atttypid END, CASE WHEN is_bin AND (base <> t.atttypid OR is_stamp) THEN -1 ELSE t.atttypmod END, t.attcollation);

	SELECT bool_or(v.attisdropped OR coalesce(t.attisdropped, false)) INTO has_lost
	FROM pg_attribute v LEFT JOIN pg_attribute t ON t.attrelid = relation AND t.attnum = sources[v.attnum] AND t.attnum > 0
	WHERE v.attrelid = view AND v.attnum > 0;
	has_gained := EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
						  AND attnum <> ALL (sources) AND (is_bin OR attname <> deleted_at));

	IF has_lost THEN
		view := soft_delete_internal.recreate_view(view, relation, CASE WHEN is_bin THEN soft_delete_internal.bin_query(relation, deleted_at)
																 ELSE soft_delete_internal.active_query(relation, deleted_at) END);
	ELSIF has_gained OR soft_delete_internal.view_sources(view, relation) IS NULL THEN
		PERFORM soft_delete_internal.replace_view_query(view, relation, is_bin);
	ELSE
		RETURN;
	END IF;
	PERFORM soft_delete_internal.bind_view(view, relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.update_view_columns(regclass, regclass, smallint[]) IS
'gives a view of a tagged table the columns that the table has now; sources: the columns that it showed before, as view_sources() returns them';

CREATE FUNCTION soft_delete_internal.rewrite_views(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete_internal.tag_arguments(relation))[1];
	active regclass := soft_delete_internal.active_view_of(relation);
	bin regclass := soft_delete_internal.bin_of(relation);
	view regclass;
BEGIN
	-- a bin that 0.1.0 has made has no columns of the extension, and its triggers no arguments
	IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = bin AND tgfoid = 'soft_delete.restore_row()'::regprocedure AND tgnargs = 0) THEN
		bin := soft_delete_internal.recreate_view(bin, relation, soft_delete_internal.bin_query(relation, deleted_at));
		PERFORM soft_delete_internal.make_bin_triggers(bin, soft_delete_internal.new_bin_columns(relation));
	-- one of 0.2.0 may show a timestamp
	ELSIF EXISTS (SELECT FROM pg_attribute WHERE attrelid = bin AND attname = deleted_at AND atttypid = 'timestamp'::regtype) THEN
		PERFORM soft_delete_internal.rename_bin_columns(bin, relation);
		bin := soft_delete_internal.recreate_view(bin, relation, soft_delete_internal.bin_query(relation, deleted_at));
	END IF;
	FOREACH view IN ARRAY array_remove(ARRAY[active, bin], NULL) LOOP
		-- null while a command that is running changes them
		IF soft_delete_internal.view_sources(view, relation) IS NOT NULL THEN
			PERFORM soft_delete_internal.update_view_columns(view, relation, soft_delete_internal.view_sources(view, relation));
			PERFORM soft_delete_internal.replace_view_query(view, relation, view = bin);
			PERFORM soft_delete_internal.bind_view(view, relation);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rewrite_views(regclass) IS
'writes the queries of the views of a tagged table again; update_views() runs it as the owner of the extension';

/* A dump does not carry what ties the views to their table.  The view of live rows is known by its name then. */
CREATE FUNCTION soft_delete_internal.unbound_views(relation regclass, OUT view regclass, OUT is_bin boolean) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_bin regclass := soft_delete_internal.bin_of(relation);
BEGIN
	IF found_bin IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY
	SELECT v.oid::regclass, v.oid = bin.oid
	FROM pg_class bin JOIN pg_class v ON v.relnamespace = bin.relnamespace AND v.relkind = 'v'
		AND (v.oid = bin.oid OR v.relname = soft_delete_internal.view_name(relation, '_active'))
	WHERE bin.oid = found_bin
	  AND EXISTS (SELECT FROM pg_rewrite JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
				  WHERE ev_class = v.oid AND refclassid = 'pg_class'::regclass AND refobjid = relation)
	  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = v.oid AND objsubid = 0
					  AND refclassid = 'pg_class'::regclass AND refobjid = relation AND refobjsubid = 0 AND deptype = 'a');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.unbound_views(regclass) IS
'the views of a tagged table that are not bound to it';

CREATE FUNCTION soft_delete_internal.bind_views(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- while a dump is restored, the companion that the bin reads may not be one yet
	PERFORM soft_delete_internal.bind_view(view, relation) FROM soft_delete_internal.unbound_views(relation)
	WHERE NOT is_bin OR soft_delete_internal.own_companion(relation) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bind_views(regclass) IS
'makes the views of a tagged table depend on it, where they do not';

CREATE FUNCTION soft_delete_internal.copy_owner(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	FOR command IN
		SELECT format('ALTER TABLE %s OWNER TO %s', view.oid::regclass, t.relowner::regrole)
		-- bin_of() may not find the bin, which the old owner still owns; only the extension makes views depend on tables so
		FROM pg_class t JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = t.oid AND refobjsubid = 0
				AND classid = 'pg_class'::regclass AND objsubid = 0 AND deptype = 'a'
			JOIN pg_class view ON view.oid = objid AND (view.relkind = 'v' OR soft_delete_internal.companion_stamp(view.oid) IS NOT NULL)
		WHERE t.oid = relation AND view.relowner <> t.relowner
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.copy_owner(regclass) IS
'gives the views and the companion of a tagged table to its owner';

CREATE FUNCTION soft_delete_internal.rename_views(relation regclass, old_name name, old_schema oid, role oid) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete_internal.tag_arguments(relation))[1];
	old_table text := (SELECT format('%I.%I', nspname, old_name) FROM pg_namespace WHERE oid = old_schema);
	item record;
	view text;
	kind text;
BEGIN
	FOR item IN
		SELECT v.oid, v.relkind, v.relname AS name, n.nspname AS schema, vn.nspname AS view_schema,
			CASE v.relname WHEN soft_delete_internal.add_suffix(old_name, suffix) THEN soft_delete_internal.add_suffix(t.relname, suffix) ELSE v.relname END AS new_name,
			CASE v.relnamespace WHEN old_schema THEN n.nspname ELSE vn.nspname END AS new_schema,
			CASE WHEN soft_delete_internal.comment_on('pg_class', v.oid) = old_comment THEN new_comment END AS comment
		FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace,
			(VALUES (soft_delete_internal.active_view_of(relation), '_active', soft_delete_internal.active_comment(old_table), soft_delete_internal.active_comment(relation::text)),
					(soft_delete_internal.bin_of(relation), '_deleted', soft_delete_internal.bin_comment(old_table, deleted_at), soft_delete_internal.bin_comment(relation::text, deleted_at)),
					(soft_delete_internal.own_companion(relation), '_tombstones', soft_delete_internal.companion_comment(old_table), soft_delete_internal.companion_comment(relation::text)))
				AS made(oid, suffix, old_comment, new_comment)
			JOIN pg_class v ON v.oid = made.oid JOIN pg_namespace vn ON vn.oid = v.relnamespace
		WHERE t.oid = relation
	LOOP
		view := item.oid::regclass;
		kind := CASE item.relkind WHEN 'v' THEN 'view' ELSE 'table' END;
		IF item.comment IS NOT NULL THEN
			EXECUTE format('COMMENT ON %s %s IS %L', CASE item.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, view, item.comment);
		END IF;
		IF (item.new_name, item.new_schema) <> (item.name, item.view_schema) AND to_regclass(format('%I.%I', item.new_schema, item.new_name)) IS NOT NULL THEN
			RAISE WARNING '% % keeps its name', kind, view
				USING ERRCODE = '01000',
					DETAIL = format('Relation %I.%I already exists.', item.new_schema, item.new_name);
			CONTINUE;
		END IF;
		IF (item.new_name, item.new_schema) <> (item.name, item.view_schema) AND NOT has_schema_privilege(role, item.new_schema, 'CREATE') THEN
			RAISE WARNING '% % keeps its name', kind, view
				USING ERRCODE = '01000',
					DETAIL = format('Role %I may not create anything in schema %I.', pg_get_userbyid(role), item.new_schema);
			CONTINUE;
		END IF;
		IF item.new_name <> item.name THEN
			EXECUTE format('ALTER TABLE %s RENAME TO %I', view, item.new_name);
		END IF;
		IF item.new_schema <> item.view_schema THEN
			EXECUTE format('ALTER TABLE %I.%I SET SCHEMA %I', item.view_schema, item.new_name, item.new_schema);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_views(regclass, name, oid, oid) IS
'renames the views and the companion of a tagged table with the table, or moves them to its new schema, if they have the names that tag() gave them and the role may';

CREATE FUNCTION soft_delete_internal.give_way(part regclass, relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old_name name;
	new_name name;
BEGIN
	SELECT relname, (SELECT candidate FROM generate_series(1, 1600) AS n, soft_delete_internal.add_suffix(own.relname, '_' || n) AS candidate
					 WHERE NOT EXISTS (SELECT FROM pg_class AS other WHERE other.relname = candidate AND other.relnamespace = own.relnamespace)
					   AND NOT EXISTS (SELECT FROM pg_type WHERE typname = candidate AND typnamespace = own.relnamespace) ORDER BY n LIMIT 1)
	INTO old_name, new_name FROM pg_class AS own WHERE oid = part;
	EXECUTE format('ALTER TABLE %s RENAME TO %I', part, new_name);
	RAISE NOTICE '"%", which belongs to tagged table "%", is called "%" now', old_name, relation, new_name
		USING DETAIL = 'The command needs its name.';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.give_way(regclass, regclass) IS
'renames a view or the companion of a tagged table, whose name a command needs';

CREATE FUNCTION soft_delete_internal.check_view_drop(view regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
BEGIN
	SELECT refobjid INTO relation FROM pg_depend
	WHERE classid = 'pg_class'::regclass AND objid = view AND objsubid = 0 AND refclassid = 'pg_class'::regclass AND deptype = 'a'
	  AND soft_delete_internal.tag_arguments(refobjid) IS NOT NULL;
	IF FOUND AND current_setting('row_security')::boolean AND NOT soft_delete_internal.command_is_own() THEN
		RAISE EXCEPTION 'cannot drop view "%" of tagged table "%"', view, relation
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = 'It goes with the tag, or with the table.',
				HINT = format('SELECT soft_delete.untag(%L);', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_view_drop(regclass) IS
'raises 2BP01 for a view of a tagged table';
