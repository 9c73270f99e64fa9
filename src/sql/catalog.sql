/*
 * What the catalogs say of tables: which are tagged, and what belongs to one.
 *
 * Functions that are called for each table are in PL/pgSQL, which keeps the plans of
 * their queries.
 */

CREATE FUNCTION soft_delete_internal.inheritance_tree(relation regclass) RETURNS SETOF regclass
LANGUAGE c STABLE STRICT ROWS 10 AS 'MODULE_PATHNAME', 'soft_delete_inheritance_tree';
COMMENT ON FUNCTION soft_delete_internal.inheritance_tree(regclass) IS
'a table, its partitions and its inheritance children, parents first';

CREATE FUNCTION soft_delete_internal.root(relation regclass) RETURNS regclass
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_root';
COMMENT ON FUNCTION soft_delete_internal.root(regclass) IS
'the table that a partition or inheritance child is tagged with';

CREATE FUNCTION soft_delete_internal.trigger_arguments(trigger oid) RETURNS text[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_trigger_arguments';
COMMENT ON FUNCTION soft_delete_internal.trigger_arguments(oid) IS
'arguments of a trigger; null if there is none';

CREATE FUNCTION soft_delete_internal.tag_arguments(relation regclass) RETURNS text[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_tag_arguments';
COMMENT ON FUNCTION soft_delete_internal.tag_arguments(regclass) IS
'arguments of a table''s tag: the tombstone column, then what untag() must know; null if not tagged';

CREATE FUNCTION soft_delete_internal.is_aside(relation regclass) RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_is_aside';
COMMENT ON FUNCTION soft_delete_internal.is_aside(regclass) IS
'whether the tombstones of a table are kept in its companion';

CREATE FUNCTION soft_delete_internal.base_type(type oid, typmod integer, OUT base oid, OUT base_typmod integer)
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_base_type';
COMMENT ON FUNCTION soft_delete_internal.base_type(oid, integer) IS
'the type that a domain is made of, at any depth, and its modifier; any other type itself';

CREATE FUNCTION soft_delete_internal.storage_of(relation regclass) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_storage_of';
COMMENT ON FUNCTION soft_delete_internal.storage_of(regclass) IS
'where the deleted rows of a table are: ''in_place'' or ''aside''; null if it is not tagged';

CREATE FUNCTION soft_delete_internal.changes_storage(relation regclass, storage text) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN coalesce(soft_delete_internal.storage_of(relation) <> storage, false);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.changes_storage(regclass, text) IS
'whether a table is tagged with another storage';

CREATE FUNCTION soft_delete_internal.companion_of(relation regclass) RETURNS regclass
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_companion_of';
COMMENT ON FUNCTION soft_delete_internal.companion_of(regclass) IS
'the companion of a table, or of the table that a partition belongs to; null if there is none';

CREATE FUNCTION soft_delete_internal.companions_table(companion regclass) RETURNS regclass
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_companions_table';
COMMENT ON FUNCTION soft_delete_internal.companions_table(regclass) IS
'the table that a companion belongs to; null if the relation is none';

CREATE FUNCTION soft_delete_internal.tombstones_in(relation regclass) RETURNS regclass
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_tombstones_in';
COMMENT ON FUNCTION soft_delete_internal.tombstones_in(regclass) IS
'the relation that has the tombstones of a table, and the column for their stamps: the table, or its companion';

CREATE FUNCTION soft_delete_internal.tagged_relations(OUT relation regclass, OUT is_partition boolean) RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	-- an index finds what depends on the function, and none finds the triggers that call it
	SELECT tgrelid::regclass, bool_and(tgparentid <> 0) FROM pg_depend JOIN pg_trigger ON pg_trigger.oid = objid
	WHERE classid = 'pg_trigger'::regclass AND refclassid = 'pg_proc'::regclass AND refobjid = 'soft_delete.delete_row()'::regprocedure
	GROUP BY tgrelid
$$;
COMMENT ON FUNCTION soft_delete_internal.tagged_relations() IS
'all relations that carry the tag, partitions, inheritance children and temporary tables of others among them';

CREATE FUNCTION soft_delete_internal.tagged_tables(OUT relation regclass, OUT tombstone_column name) RETURNS SETOF record
LANGUAGE sql STABLE ROWS 4
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT member, arguments[1]::name
	FROM (SELECT DISTINCT soft_delete_internal.root(t.relation) AS member FROM soft_delete_internal.tagged_relations() AS t WHERE NOT is_partition) AS tagged
		JOIN pg_class ON oid = member,
		soft_delete_internal.tag_arguments(member) AS arguments
	WHERE arguments IS NOT NULL AND NOT pg_is_other_temp_schema(relnamespace)
	ORDER BY member
$$;
COMMENT ON FUNCTION soft_delete_internal.tagged_tables() IS
'the tagged tables, without their partitions and inheritance children';

CREATE FUNCTION soft_delete_internal.index_choice(tag_arguments text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN CASE WHEN 'indexes:unique' = ANY (tag_arguments) THEN 'unique' ELSE 'all' END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.index_choice(text[]) IS
'which indexes of a tagged table become partial: ''all'' or ''unique''';

CREATE FUNCTION soft_delete_internal.is_used() RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_is_used';
COMMENT ON FUNCTION soft_delete_internal.is_used() IS
'whether any table or schema is tagged, or anything kept of one; if not, DDL has no consequences for the extension';

CREATE FUNCTION soft_delete_internal.is_own_transaction(xid) RETURNS boolean
LANGUAGE c STABLE STRICT COST 1000 /* no plan asks it of all rows of a catalog */ AS 'MODULE_PATHNAME', 'soft_delete_is_own_transaction';
COMMENT ON FUNCTION soft_delete_internal.is_own_transaction(xid) IS
'whether a transaction is the current one or one of its subtransactions';

CREATE FUNCTION soft_delete_internal.is_free(relation regclass, purges boolean) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_is_free';
COMMENT ON FUNCTION soft_delete_internal.is_free(regclass, boolean) IS
'locks a table, its partitions and their indexes for reading, or for a purge, until the transaction ends; false if that would wait for another session';

CREATE FUNCTION soft_delete_internal.must_propagate(state text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- transaction rollback, insufficient resources, operator intervention, system error
	RETURN left(state, 2) IN ('40', '53', '57', '58');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.must_propagate(text) IS
'whether an error is that of the transaction or the server and not of one table, so that it must not be caught';

CREATE FUNCTION soft_delete_internal.add_suffix(name name, suffix text) RETURNS name
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'soft_delete_add_suffix';
COMMENT ON FUNCTION soft_delete_internal.add_suffix(name, text) IS
'a name with a suffix, truncated to the length of an identifier';

CREATE FUNCTION soft_delete_internal.caller_owns(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_caller_owns';
COMMENT ON FUNCTION soft_delete_internal.caller_owns(regclass) IS
'whether the caller has the rights of the owner of a relation; null if there is none';

CREATE FUNCTION soft_delete_internal.inheritance_depth(relation regclass) RETURNS bigint
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_inheritance_depth';
COMMENT ON FUNCTION soft_delete_internal.inheritance_depth(regclass) IS
'the number of a table and its ancestors, by which parents come before their children';

CREATE FUNCTION soft_delete_internal.own_companion(relation regclass) RETURNS regclass
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_own_companion';
COMMENT ON FUNCTION soft_delete_internal.own_companion(regclass) IS
'the companion of a table itself; null for a partition, whose root has one';

CREATE FUNCTION soft_delete_internal.companion_month(relation regclass) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_companion_month';
COMMENT ON FUNCTION soft_delete_internal.companion_month(regclass) IS
'of a companion that gets a table for each month ''monthly'', of such a table its month, as ''2026-11''; else null';

CREATE FUNCTION soft_delete_internal.companion_months(companion regclass) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY SELECT inhrelid::regclass FROM pg_inherits
	WHERE inhparent = companion AND soft_delete_internal.companion_month(inhrelid) <> 'monthly' ORDER BY inhrelid::regclass::text COLLATE "C";
END
$$;
COMMENT ON FUNCTION soft_delete_internal.companion_months(regclass) IS
'the tables for the months of a companion';

CREATE FUNCTION soft_delete_internal.companion_places(relation regclass) RETURNS regclass[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	companion regclass := soft_delete_internal.companion_of(relation);
BEGIN
	RETURN array_remove(companion || ARRAY(SELECT soft_delete_internal.companion_months(companion)), NULL);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.companion_places(regclass) IS
'the companion of a table, and the tables for its months';

CREATE FUNCTION soft_delete_internal.stamp_expression(relation regclass, deleted_at name, alias text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- a table that is going to be tagged may not have the column yet
	type oid := (SELECT atttypid FROM pg_attribute WHERE attrelid = relation AND attname = deleted_at);
	col text := concat_ws('.', alias, quote_ident(deleted_at));
BEGIN
	-- a timestamp column holds UTC
	RETURN CASE type WHEN 'timestamp'::regtype THEN format('pg_catalog.timezone(''UTC'', %s)', col) ELSE col END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.stamp_expression(regclass, name, text) IS
'expression for the stamp of a row that is deleted in place as timestamptz, which the index of the bin is on';

CREATE FUNCTION soft_delete_internal.key_expressions(relation regclass) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(format('pg_catalog.format(''%%s'', %I)', attname), ', ' ORDER BY n)
	FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum)
	WHERE conrelid = relation AND contype = 'p' AND attrelid = conrelid
$$;
COMMENT ON FUNCTION soft_delete_internal.key_expressions(regclass) IS
'list of expressions for the columns of the primary key as text; null if there is none';

CREATE FUNCTION soft_delete_internal.qualified_name(relation regclass) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_qualified_name';
COMMENT ON FUNCTION soft_delete_internal.qualified_name(regclass) IS
'schema and name of a relation, whatever the search_path';

CREATE FUNCTION soft_delete_internal.set_comment(classid regclass, objid oid, objsubid integer, comment text) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_set_comment';
COMMENT ON FUNCTION soft_delete_internal.set_comment(regclass, oid, integer, text) IS
'writes the comment on an object, as COMMENT does, but is no command';

CREATE FUNCTION soft_delete_internal.comment_on(classid regclass, objid oid) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_comment_on';
COMMENT ON FUNCTION soft_delete_internal.comment_on(regclass, oid) IS
'the comment on an object; null if it has none';

CREATE FUNCTION soft_delete_internal.has_column(relation regclass, name name) RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_has_column';
COMMENT ON FUNCTION soft_delete_internal.has_column(regclass, name) IS
'whether a relation has a column of that name';

CREATE FUNCTION soft_delete_internal.view_name(relation regclass, suffix text) RETURNS name
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_view_name';
COMMENT ON FUNCTION soft_delete_internal.view_name(regclass, text) IS
'name of a view that tag() makes for a table';

CREATE FUNCTION soft_delete_internal.bin_of(relation regclass) RETURNS regclass
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_bin_of';
COMMENT ON FUNCTION soft_delete_internal.bin_of(regclass) IS
'the bin of a tagged table';

CREATE FUNCTION soft_delete_internal.active_view_of(relation regclass) RETURNS regclass
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_active_view_of';
COMMENT ON FUNCTION soft_delete_internal.active_view_of(regclass) IS
'the view of live rows of a tagged table';

/* RAISE takes no null as a hint, and sends an empty one. */
CREATE FUNCTION soft_delete_internal.refuse(state text, message text, native_detail text, remedy text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF remedy IS NULL THEN
		RAISE EXCEPTION '%', message USING ERRCODE = state, DETAIL = native_detail;
	END IF;
	RAISE EXCEPTION '%', message USING ERRCODE = state, DETAIL = native_detail, HINT = remedy;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.refuse(text, text, text, text) IS
'raises an error, with a hint unless there is none';

CREATE FUNCTION soft_delete_internal.lists_library(setting text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN coalesce(setting ~ '(^|,)[[:space:]"]*([$]libdir/)?soft_delete([.]so)?[[:space:]"]*(,|$)', false);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.lists_library(text) IS
'whether a list of libraries names soft_delete';

CREATE FUNCTION soft_delete_internal.reset_value(setting text) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_reset_value';
COMMENT ON FUNCTION soft_delete_internal.reset_value(text) IS
'the value that RESET gives a setting';

CREATE FUNCTION soft_delete_internal.libraries_of_database() RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT substr(entry, length('session_preload_libraries=') + 1) FROM pg_db_role_setting, unnest(setconfig) AS entry
			WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
			  AND setrole = 0 AND starts_with(entry, 'session_preload_libraries='));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.libraries_of_database() IS
'the libraries that this database has new sessions load; null if it has no such setting of its own';

CREATE FUNCTION soft_delete_internal.libraries_of_server() RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- what this session began with, unless it is a setting of its role
	RETURN (SELECT soft_delete_internal.reset_value('session_preload_libraries')
			WHERE NOT EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS entry
							  WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user)
								AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
								AND starts_with(entry, 'session_preload_libraries=')));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.libraries_of_server() IS
'the libraries that new sessions load where the database does not say which; null if that is not known';

CREATE FUNCTION soft_delete_internal.new_sessions_load() RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT soft_delete_internal.lists_library(current_setting('shared_preload_libraries'))
		-- the setting of the database overrides that of the server
		OR soft_delete_internal.lists_library(coalesce(soft_delete_internal.libraries_of_database(), soft_delete_internal.libraries_of_server()))
		OR EXISTS
			(SELECT FROM pg_event_trigger
			 WHERE evtfoid = 'soft_delete_internal.load()'::regprocedure
			   AND evtevent = 'login' AND evtenabled IN ('O', 'A')));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.new_sessions_load() IS
'whether new sessions of this database will load the library';

/* It keeps the other libraries.  Those of the server are for roles to know that may read all settings. */
CREATE FUNCTION soft_delete_internal.load_command() RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
	present text := coalesce(soft_delete_internal.libraries_of_database(),
		CASE WHEN pg_has_role(soft_delete_internal.caller(), 'pg_read_all_settings', 'USAGE') THEN soft_delete_internal.libraries_of_server() END);
BEGIN
	RETURN format('ALTER DATABASE %I SET session_preload_libraries = %s''soft_delete'';', current_database(),
		(SELECT string_agg(quote_literal(coalesce(replace(library[1], '""', '"'), rtrim(library[2]))) || ', ', '' ORDER BY n)
		 FROM regexp_matches(present, '"((?:[^"]|"")*)"|([^",[:space:]][^",]*)', 'g') WITH ORDINALITY AS f(library, n) WHERE library[1] <> '' OR library[2] <> ''));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.load_command() IS
'the statement by which new sessions of this database load the library, too';

CREATE FUNCTION soft_delete_internal.tag_command(relation regclass, tombstone name, indexes text DEFAULT 'all', bridge text DEFAULT NULL, storage text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT soft_delete.tag(%L%s%s%s%s)', relation,
		CASE WHEN tombstone <> 'deleted_at' THEN format(', deleted_at => %L', tombstone) END,
		CASE WHEN indexes <> 'all' THEN format(', indexes => %L', indexes) END,
		CASE WHEN bridge IS NOT NULL THEN format(', bridge => %L', bridge) END,
		CASE WHEN storage IS NOT NULL THEN format(', storage => %L', storage) END)
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_command(regclass, name, text, text, text) IS
'the statement, without a semicolon, that tags a table, or completes what a tagged table lacks';

CREATE FUNCTION soft_delete_internal.has_citus() RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_has_citus';
COMMENT ON FUNCTION soft_delete_internal.has_citus() IS
'whether this database has Citus';

CREATE FUNCTION soft_delete_internal.replace_record(records regclass, place tid, new_record record) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_replace_record';
COMMENT ON FUNCTION soft_delete_internal.replace_record(regclass, tid, record) IS
'replaces a row of one of the extension''s own tables, or removes it if the new one is null, whatever is published';
