/*
 * check(): what could break the promise, and the command that repairs it.
 *
 * Each function finds the problems of one kind, and takes a tagged table with its
 * tombstone column, or a foreign key.  Those that are called for each table are in
 * PL/pgSQL, which keeps the plans of their queries.  All but find_dangling_rows(), which
 * looks for rows that reference nothing, read catalogs, statistics and the index of
 * the bin.  Tables and bins are read as their owner: else a superuser who checks would
 * call functions that others have written.
 */

CREATE FUNCTION soft_delete_internal.why_not_tagged(relation regclass, OUT reason text, OUT remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tagged record;
	native_detail text;
	tombstone name;
BEGIN
	SELECT * INTO tagged FROM soft_delete_internal.settings_of(relation);
	IF NOT soft_delete_internal.caller_owns(relation) THEN
		SELECT format('its owner, %I, can tag it', pg_get_userbyid(relowner)), format('SELECT soft_delete.tag(%L);', relation) INTO reason, remedy FROM pg_class WHERE oid = relation;
		RETURN;
	END IF;
	BEGIN
		tombstone := soft_delete_internal.tombstone_for(relation, tagged.deleted_at, soft_delete_internal.resolve_bridge(relation, tagged.bridge, is_named => false));
	EXCEPTION WHEN OTHERS THEN
		IF soft_delete_internal.must_propagate(SQLSTATE) THEN
			RAISE;
		END IF;
		GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT, native_detail = PG_EXCEPTION_DETAIL, remedy = PG_EXCEPTION_HINT;
		reason := format('refused (%s): %s', SQLSTATE, concat_ws('. ', reason, nullif(native_detail, '')));
		remedy := nullif(remedy, '');
		RETURN;
	END;
	SELECT r.effect, r.remedy INTO reason, remedy
	FROM soft_delete_internal.preview_refusals(relation, ARRAY[relation], tombstone, tagged.indexes, tagged.views, replace(tagged.storage, 'aside_monthly', 'aside')) AS r LIMIT 1;
	IF NOT FOUND THEN
		remedy := format('SELECT soft_delete.tag(%L);', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.why_not_tagged(regclass) IS
'why a table of a tagged schema cannot be tagged, null if it can, and what helps, null if nothing does; only its owner is told what tag() refuses';

CREATE FUNCTION soft_delete_internal.find_installation_problems(OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'error', NULL::regclass, format('new sessions of database "%s" will not load the library, and see deleted rows', current_database()),
		soft_delete_internal.load_command()
	WHERE NOT soft_delete_internal.new_sessions_load()
	  AND (soft_delete_internal.current_tagged_schemas() IS NOT NULL
		   OR EXISTS (SELECT FROM soft_delete_internal.tagged_tables() AS tagged WHERE NOT soft_delete_internal.is_aside(tagged.relation)))
	UNION ALL
	SELECT 'error', NULL, format('event trigger "%s" is disabled: tagged tables do not follow DDL', evtname),
		format('ALTER EVENT TRIGGER %I ENABLE%s;', evtname, CASE evtevent WHEN 'login' THEN ' ALWAYS' END)
	FROM pg_event_trigger
		JOIN pg_depend ON classid = 'pg_event_trigger'::regclass AND objid = pg_event_trigger.oid AND deptype = 'e'
		JOIN pg_extension ON refclassid = 'pg_extension'::regclass AND refobjid = pg_extension.oid
	WHERE extname = 'soft_delete' AND evtenabled NOT IN ('O', 'A')
	UNION ALL
	-- tag_new_table() warned of these
	SELECT 'warning', untagged, concat_ws('; ', format('the table is not tagged, but its schema "%s" is', tagged.schema), why.reason), why.remedy
	FROM unnest(soft_delete_internal.current_tagged_schemas()) AS tagged, soft_delete_internal.tables_of(tagged.schema) AS untagged JOIN pg_class ON pg_class.oid = untagged,
		LATERAL soft_delete_internal.why_not_tagged(untagged) AS why
	WHERE relkind <> 'f' AND relname <> ALL (tagged.exempt) AND soft_delete_internal.tag_arguments(untagged) IS NULL
	  AND soft_delete_internal.may_watch(untagged) AND soft_delete_internal.citus_kind(untagged) IS NULL
	UNION ALL
	SELECT 'warning', untagged, format('the table is not tagged, but its schema "%s" is', schema), format('SELECT soft_delete.tag(%L, storage => ''aside'', cascade => true);', untagged)
	FROM unnest(soft_delete_internal.current_tagged_schemas()), soft_delete_internal.tables_of(schema) AS untagged JOIN pg_class ON pg_class.oid = untagged
	WHERE storage <> 'in_place' AND relname <> ALL (exempt) AND soft_delete_internal.is_sharded(untagged) AND soft_delete_internal.sharded_tag(untagged) IS NULL
	  AND soft_delete_internal.may_watch(untagged)
	UNION ALL
	SELECT 'notice', retention.relation, 'the table has a retention, but is not tagged', format('SELECT soft_delete.repair(%L);', retention.relation)
	FROM soft_delete_internal.retention
	WHERE soft_delete_internal.may_watch(retention.relation) AND soft_delete_internal.tag_arguments(retention.relation) IS NULL
	  AND soft_delete_internal.sharded_tag(retention.relation) IS NULL
$$;
COMMENT ON FUNCTION soft_delete_internal.find_installation_problems() IS
'the problems of check() with the database as a whole, and with tables that are not tagged';

CREATE FUNCTION soft_delete_internal.find_trigger_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT 'error', member,
		CASE name WHEN '~soft_delete' THEN 'the tag is missing: deletes are hard'
			WHEN '~soft_delete_key' THEN 'trigger "~soft_delete_key" is missing: deleted rows do not release their keys'
			ELSE 'trigger "~soft_delete_truncate" is missing: TRUNCATE destroys' END,
		soft_delete_internal.tag_command(table_name, tombstone, 'unique') || ';'
	FROM soft_delete_internal.missing_triggers(table_name, soft_delete_internal.storage_of(table_name))
	UNION ALL
	SELECT 'error', member, format('trigger "%s" is missing: what the application deletes by column "%s" is not deleted', expected, bridge[1]),
		soft_delete_internal.tag_command(table_name, tombstone, 'unique', soft_delete_internal.bridge_text(bridge)) || ';'
	FROM soft_delete_internal.bridge_arguments(table_name) AS bridge, soft_delete_internal.inheritance_tree(table_name) AS member,
		unnest('{~soft_delete_bridge,~soft_delete_bridge_end,~soft_delete_bridge_insert}'::name[]) AS expected
	WHERE bridge IS NOT NULL AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = member AND tgname = expected)
	UNION ALL
	SELECT 'error', table_name, format('trigger "%s" of its bin is missing', expected),
		format('SELECT soft_delete.repair(%L);', table_name)
	FROM soft_delete_internal.bin_of(table_name) AS bin, unnest('{soft_delete_restore,soft_delete_statement}'::name[]) AS expected
	WHERE bin IS NOT NULL AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = bin AND tgname = expected)
	UNION ALL
	SELECT 'error', tgrelid::regclass,
		CASE tgfoid WHEN 'soft_delete.delete_row()'::regprocedure THEN 'the tag is disabled: deletes are hard'
			ELSE format('trigger "%s" is disabled', tgname) END,
		format('ALTER TABLE %s ENABLE TRIGGER %I;', tgrelid::regclass, tgname)
	FROM soft_delete_internal.inheritance_tree(table_name) AS member JOIN pg_trigger ON tgrelid = member
		JOIN pg_proc ON pg_proc.oid = tgfoid JOIN pg_namespace ON pg_namespace.oid = pronamespace
	WHERE nspname = 'soft_delete' AND tgenabled NOT IN ('O', 'A')
	UNION ALL
	SELECT 'error', later.tgrelid::regclass, format('trigger "%s" would fire after the tag: deletes fail', later.tgname),
		-- a name that sorts before the tag, but after most other names
		format('ALTER TRIGGER %I ON %s RENAME TO %I;', later.tgname, later.tgrelid::regclass, ('}' || later.tgname)::name)
	FROM soft_delete_internal.inheritance_tree(table_name) AS member JOIN pg_trigger AS later ON later.tgrelid = member
	WHERE later.tgenabled <> 'D' AND later.tgparentid = 0
	  AND later.tgtype & 11 = 11		-- FOR EACH ROW BEFORE DELETE
	  AND later.tgname COLLATE "C" > '~soft_delete';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_trigger_problems(regclass, name) IS
'the problems of check() with the triggers of a tagged table';

CREATE FUNCTION soft_delete_internal.find_companion_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	companion regclass := soft_delete_internal.companion_of(table_name);
	is_aside boolean := soft_delete_internal.is_aside(table_name);
	kept text := CASE WHEN is_aside THEN 'its deleted rows' ELSE 'deleted rows whose key a live row takes' END;
	statements text := CASE WHEN is_aside THEN 'deletes' ELSE 'inserts of such a key' END;
	views name := (SELECT substr(argument, 7) FROM unnest(soft_delete_internal.tag_arguments(table_name)) AS argument WHERE argument LIKE 'views:%');
	-- a dump of some schemas may lack that of the views
	remaking text := CASE WHEN is_aside AND views IS NOT NULL AND to_regnamespace(quote_ident(views)) IS NULL THEN format('CREATE SCHEMA %I; ', views) ELSE '' END
		|| format('SELECT soft_delete.repair(%L);', table_name);
BEGIN
	RETURN QUERY
	SELECT 'error', table_name, CASE WHEN bound IS NULL THEN format('its companion, which keeps %s, is missing: %s fail', kept, statements)
			ELSE format('its companion %s does not belong to its owner: %s fail', bound, statements) END,
		CASE WHEN bound IS NULL THEN remaking ELSE format('ALTER TABLE %s OWNER TO %I;', bound, pg_get_userbyid(relowner)) END
	-- companion_of() does not find one of another owner
	FROM pg_class, (SELECT (SELECT other.oid::regclass FROM pg_class AS other, pg_class AS own
							WHERE other.oid = soft_delete_internal.bound_companion(table_name) AND own.oid = table_name AND other.relowner <> own.relowner)) AS found(bound)
	WHERE oid = table_name AND companion IS NULL
	UNION ALL
	SELECT 'error', table_name, format('its companion %s lacks column "%s", which has the stamps: %s fail', companion, tombstone, statements),
		format('ALTER TABLE %s ADD COLUMN %I timestamptz NOT NULL DEFAULT now(); SELECT soft_delete.repair(%L);', companion, tombstone, table_name)
	WHERE companion IS NOT NULL AND NOT soft_delete_internal.has_column(companion, soft_delete_internal.companion_stamp(companion))
	UNION ALL
	SELECT 'error', table_name, format('its companion %s lacks column "%s", or has another type: %s fail', companion, own.attname, statements),
		format('SELECT soft_delete.repair(%L);', table_name)
	FROM pg_attribute AS own LEFT JOIN pg_attribute AS kept ON kept.attrelid = companion AND kept.attname = own.attname AND NOT kept.attisdropped
	WHERE companion IS NOT NULL AND own.attrelid = table_name AND own.attnum > 0 AND NOT own.attisdropped AND own.attgenerated <> 'v'
	  AND own.attname <> tombstone AND (is_aside OR soft_delete_internal.has_column(table_name, tombstone))
	  AND kept.atttypid IS DISTINCT FROM (SELECT base FROM soft_delete_internal.base_type(own.atttypid, own.atttypmod))
	UNION ALL
	SELECT 'error', table_name, CASE WHEN bound IS NULL THEN 'its bin is missing' ELSE format('%s does not belong to the owner of its table', bound) END,
		CASE WHEN bound IS NULL THEN remaking ELSE format('ALTER VIEW %s OWNER TO %I;', bound, pg_get_userbyid(relowner)) END
	FROM pg_class, soft_delete_internal.bound_bin(table_name) AS bound
	WHERE oid = table_name AND is_aside AND soft_delete_internal.bin_of(table_name) IS NULL AND NOT EXISTS (SELECT FROM pg_class AS view WHERE view.oid = bound AND view.relowner = pg_class.relowner)
	UNION ALL
	SELECT 'warning', table_name, format('index on column "%s" of its companion %s is missing: the bin reads the whole companion', tombstone, companion),
		format('SELECT soft_delete.repair(%L);', table_name)
	WHERE companion IS NOT NULL AND soft_delete_internal.has_column(companion, tombstone) AND NOT soft_delete_internal.has_stamp_index(companion, tombstone)
	UNION ALL
	SELECT 'notice', table_name, format('no index is for foreign key "%s" in %s: a change of the key that it references reads all %s deleted rows there', m.key, m.place, m.rows), m.command || ';'
	FROM soft_delete_internal.missing_reference_indexes(table_name) AS m WHERE is_aside
	UNION ALL
	SELECT 'warning', table_name, format('%s is not tied to its table: DROP TABLE would fail', part), format('SELECT soft_delete.repair(%L);', table_name)
	FROM unnest(array_remove(ARRAY[companion, CASE WHEN is_aside THEN soft_delete_internal.bin_of(table_name) END], NULL)) AS part
	WHERE NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = part AND objsubid = 0
					  AND refclassid = 'pg_class'::regclass AND refobjid = table_name AND refobjsubid = 0 AND deptype = 'a');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_companion_problems(regclass, name) IS
'the problems of check() with the companion of a table, and with its bin';

CREATE FUNCTION soft_delete_internal.find_column_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	-- the index of the bin is on the renamed column
	SELECT 'error', table_name, format('tombstone column "%s" has another name: every statement fails', tombstone),
		format('ALTER TABLE %s RENAME COLUMN %I TO %I;', table_name, attname, tombstone)
	FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND (attnum = indkey[0] OR soft_delete_internal.is_soft_delete_btree(indexrelid))
	WHERE indrelid = table_name AND pg_get_expr(indpred, indrelid) = format('(%I IS NOT NULL)', attname)
	  AND atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype)
	  AND NOT soft_delete_internal.has_column(table_name, tombstone)
	LIMIT 1;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_column_problems(regclass, name) IS
'the problem of check() with the column that a tag names';

CREATE FUNCTION soft_delete_internal.find_index_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT CASE WHEN is_exclusion THEN 'error' WHEN indisunique THEN 'warning' ELSE 'notice' END, indrelid::regclass,
		CASE WHEN is_exclusion THEN format('exclusion constraint "%s" is in force for deleted rows, too', name)
			WHEN indisunique THEN format('unique index "%s" holds deleted rows, which must step aside', name)
			ELSE format('index "%s" holds deleted rows, which are %s %% of the table', name, round(100 * share)) END,
		soft_delete_internal.tag_command(table_name, tombstone, CASE WHEN is_exclusion OR indisunique THEN 'unique' ELSE 'all' END) || ';'
	FROM soft_delete_internal.convertible_indexes(table_name, tombstone, 'all') AS c JOIN pg_index ON indexrelid = c.index
		JOIN pg_attribute ON attrelid = indrelid AND attname = tombstone AND NOT attisdropped
		CROSS JOIN LATERAL (SELECT CASE WHEN NOT (is_exclusion OR indisunique OR hides) THEN
				soft_delete_internal.count_tombstones(table_name)::numeric / nullif(soft_delete_internal.estimated_rows(table_name), 0) END) AS graveyard(share)
	WHERE NOT hides AND (is_exclusion OR indisunique OR share > 0.5)
	UNION ALL
	SELECT 'notice', m."table", format('reads in the order of key "%s" pass %s deleted rows, which are %s %% of the table', relname, deleted, round(100 * deleted / total)), command || ';'
	FROM soft_delete_internal.missing_live_keys(table_name, tombstone) AS m JOIN pg_class ON oid = key
	UNION ALL
	-- the index of a partitioned table is on its partitions, too
	SELECT CASE WHEN invalid IS NULL THEN 'error' ELSE 'warning' END, member, CASE
			WHEN invalid IS NULL THEN 'no index of access method soft_delete_btree finds deleted rows: background workers see them, and the bin reads the whole table'
			ELSE format('index "%s", which is to find deleted rows, is invalid: the bin reads the whole table', invalid) END,
		concat_ws(' ', 'DROP INDEX ' || invalid::text || ';', soft_delete_internal.tag_command(table_name, tombstone, 'unique') || ';')
	FROM soft_delete_internal.inheritance_tree(table_name) AS member JOIN pg_class ON pg_class.oid = member
		CROSS JOIN LATERAL (SELECT (SELECT indexrelid::regclass FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND (attnum = indkey[0] OR soft_delete_internal.is_soft_delete_btree(indexrelid))
									WHERE indrelid = member AND attname = tombstone AND NOT indisvalid LIMIT 1)) AS broken(invalid)
	WHERE NOT relispartition AND NOT soft_delete_internal.has_bin_index(member, tombstone)
	  AND soft_delete_internal.has_column(member, tombstone);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_index_problems(regclass, name) IS
'the problems of check() with indexes: deleted rows in them, none to find these by, or none that passes them';

CREATE FUNCTION soft_delete_internal.find_stand_in_problems(table_name regclass,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH stand_ins AS (
		SELECT con.oid, conrelid::regclass, conname, own.oid AS index, bound.relname AS bound_name
		FROM soft_delete_internal.inheritance_tree(table_name) AS member JOIN pg_constraint con ON conrelid = member
			LEFT JOIN (pg_index JOIN pg_class own ON own.oid = indexrelid) ON indrelid = conrelid AND own.relname = conname
			LEFT JOIN pg_depend ON classid = 'pg_class'::regclass AND refclassid = 'pg_constraint'::regclass
				AND refobjid = con.oid AND deptype = 'a'
			LEFT JOIN pg_class bound ON bound.oid = objid
		WHERE contype = 'c' AND coninhcount = 0
		  -- CASE, so that no plan asks for those of other tables, which others may have locked
		  AND CASE WHEN conrelid = member THEN pg_get_expr(conbin, conrelid) = 'true' END
	)
	SELECT 'warning', conrelid, format('constraint "%s" stands in for an index that is gone', conname),
		format('ALTER TABLE %s DROP CONSTRAINT %I;', conrelid, conname)
	FROM stand_ins WHERE index IS NULL AND bound_name IS NULL
	UNION ALL
	SELECT 'warning', conrelid, format('constraint "%s" stands in for index "%s", and has another name', conname, bound_name),
		format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I;', conrelid, conname, bound_name)
	FROM stand_ins WHERE bound_name <> conname
	UNION ALL
	SELECT 'warning', conrelid, format('constraint "%s" is not tied to its index: DROP CONSTRAINT would leave that', conname),
		format('SELECT soft_delete.repair(%L);', table_name)
	FROM stand_ins WHERE bound_name IS NULL AND oid = soft_delete_internal.stand_in(index);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_stand_in_problems(regclass) IS
'the problems of check() with constraints that stand in for unique indexes';

CREATE FUNCTION soft_delete_internal.find_view_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH views AS (
		SELECT what, tied, t.relowner, soft_delete_internal.view_name(table_name, suffix) AS view_name,
			coalesce((SELECT relnamespace FROM pg_class WHERE oid = coalesce(bin, active)), t.relnamespace) AS view_schema
		FROM pg_class t, soft_delete_internal.active_view_of(table_name) AS active,
			-- bin_of() does not find one that was given to another owner
			coalesce(soft_delete_internal.bin_of(table_name), (SELECT tgrelid FROM pg_depend JOIN pg_trigger ON tgrelid = objid
				WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = table_name AND refobjsubid = 0
				  AND deptype = 'a' AND tgfoid = 'soft_delete.purge_row()'::regprocedure AND tgtype = 73)) AS bin,
			LATERAL (VALUES ('bin', bin, '_deleted'), ('view of live rows', active, '_active')) AS made(what, tied, suffix)
		WHERE t.oid = table_name
	), found AS (
		SELECT what, views.relowner, view_name, v.oid::regclass AS view, v.relowner AS view_owner,
			-- the bin is found by its triggers, the other view by the table that it reads
			CASE what WHEN 'bin' THEN tied IS NOT NULL ELSE EXISTS
				(SELECT FROM pg_rewrite JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
				 WHERE ev_class = v.oid AND refclassid = 'pg_class'::regclass AND refobjid = table_name) END AS is_own,
			EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = v.oid AND objsubid = 0
					AND refclassid = 'pg_class'::regclass AND refobjid = table_name AND refobjsubid = 0 AND deptype = 'a') AS is_tied
		FROM views LEFT JOIN pg_class v ON v.oid = tied OR (tied IS NULL AND relname = view_name AND relnamespace = view_schema)
	)
	SELECT 'error', table_name, format('relation "%s" has the name of its %s', view_name, what),
		-- the owner of the table cannot rename a relation of another owner
		CASE WHEN view_owner = relowner THEN format('ALTER TABLE %s RENAME TO %I;', view, soft_delete_internal.add_suffix(view_name, '_old')) END
	FROM found WHERE view IS NOT NULL AND NOT is_own
	UNION ALL
	SELECT 'error', table_name, format('its %s is missing', what), soft_delete_internal.tag_command(table_name, tombstone, 'unique') || ';'
	FROM found WHERE view IS NULL OR NOT is_own
	UNION ALL
	SELECT 'warning', table_name, format('%s is not tied to its table: DROP TABLE would fail', view),
		format('SELECT soft_delete.repair(%L);', table_name)
	FROM found WHERE is_own AND NOT is_tied
	UNION ALL
	SELECT 'error', table_name, format('%s does not belong to the owner of its table', view),
		CASE WHEN is_tied THEN format('ALTER VIEW %s OWNER TO %I;', view, pg_get_userbyid(relowner)) END
	FROM found WHERE is_own AND view_owner <> relowner;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_view_problems(regclass, name) IS
'the problems of check() with the two views of a tagged table';

CREATE FUNCTION soft_delete_internal.find_hold_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $$
BEGIN
	IF EXISTS (SELECT FROM soft_delete_internal.holds) THEN
		RETURN QUERY SELECT 'notice', h.relation, format('a hold is on a deletion that has no row left: %s', h.deleted_at), format('SELECT soft_delete.repair(%L);', table_name)
		FROM soft_delete_internal.holds_without_rows(table_name, tombstone) AS h;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_hold_problems(regclass, name) IS
'the problems of check() with holds on deletions that have no row left in a tagged table';

CREATE FUNCTION soft_delete_internal.find_purge_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres' SET datestyle = 'ISO'
AS $$
DECLARE
	patience interval := greatest('1 day', 2 * coalesce(nullif(current_setting('soft_delete.purge_interval', true), ''), '0')::interval);
	due_before timestamptz := soft_delete_internal.purge_limit(table_name, now() - patience, NULL);
	bin regclass := soft_delete_internal.bin_of(table_name);
	last soft_delete_internal.purge_log := soft_delete_internal.last_purge(table_name);
	overdue bigint;
BEGIN
	relation := table_name;
	remedy := format('CALL soft_delete.purge(%L);', table_name);

	IF last.error <> 'not finished' THEN
		severity := 'error';
		problem := 'its last purge failed' || CASE WHEN soft_delete_internal.caller_owns(table_name) THEN ': ' || last.error ELSE '' END;
		RETURN NEXT;
	ELSIF last.error IS NOT NULL AND last.purged_at + last.duration < now() - patience THEN
		severity := 'warning';
		problem := format('its last purge was broken off after %s rows', last.rows);
		RETURN NEXT;
	END IF;

	IF due_before IS NOT NULL THEN
		overdue := soft_delete_internal.count_due(table_name, due_before);
		-- held rows are not overdue
		IF overdue > 0 AND bin IS NOT NULL AND EXISTS (SELECT FROM soft_delete_internal.holds) THEN
			overdue := (SELECT answer FROM soft_delete_internal.query_as_owner(table_name,
				format('SELECT count(*) FROM (SELECT FROM %s WHERE %I < %L::timestamptz AND soft_delete.hold_of(%I, %I, true) IS NULL LIMIT 1000) AS due',
					   bin, tombstone, due_before,
					   (soft_delete_internal.bin_columns(table_name))[5], (soft_delete_internal.bin_columns(table_name))[6])) AS q(answer bigint));
		END IF;
		IF overdue > 0 THEN
			severity := 'warning';
			problem := format('%s deleted rows have been due for more than %s', overdue, patience);
			RETURN NEXT;
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_purge_problems(regclass, name) IS
'the problems of check() with the purge of a tagged table';

CREATE FUNCTION soft_delete_internal.find_reference_problems("constraint" oid,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH sides AS (
		SELECT conname, confdeltype, conparentid, conrelid, soft_delete_internal.root(conrelid) AS child, soft_delete_internal.root(confrelid) AS parent,
			soft_delete_internal.tag_arguments(conrelid) IS NOT NULL AS child_is_tagged,
			soft_delete_internal.tag_arguments(confrelid) IS NOT NULL AS parent_is_tagged
		FROM pg_constraint AS con WHERE oid = "constraint" AND coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true)
	)
	SELECT 'error', child,
		format(CASE WHEN parent_is_tagged THEN 'a delete from %s would destroy rows for good by foreign key "%s"'
			ELSE 'a delete from %s would leave deleted rows without a parent by foreign key "%s"' END, parent, conname),
		format('SELECT soft_delete.tag(%L, cascade => true);', CASE WHEN parent_is_tagged THEN child ELSE parent END)
	FROM sides WHERE confdeltype = 'c' AND conparentid = 0 AND child_is_tagged <> parent_is_tagged
	UNION ALL
	SELECT 'error', conrelid::regclass, format('foreign key "%s" lacks a trigger of the extension', conname),
		format('SELECT soft_delete.repair(%L);', CASE WHEN parent_is_tagged THEN parent ELSE child END)
	FROM sides WHERE soft_delete_internal.lacks_reference_trigger("constraint");
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_reference_problems(oid) IS
'the problems of check() with a foreign key as such: actions that connect a tagged and an untagged table, missing triggers';

/* Aliases: c is the referencing table, p the referenced one. */
CREATE FUNCTION soft_delete_internal.find_deleted_parents("constraint" oid, n bigint, without_parent text, all_rows text)
RETURNS TABLE (severity text, relation regclass, problem text, remedy text)
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	con pg_constraint;
	bin regclass;
	has_deleted_parent text;
	n_deleted bigint := 0;
	n_inherited bigint := 0;
BEGIN
	SELECT * INTO STRICT con FROM pg_constraint WHERE oid = find_deleted_parents."constraint";
	bin := soft_delete_internal.bin_of(soft_delete_internal.root(con.confrelid));
	IF bin IS NOT NULL AND con.confrelid = soft_delete_internal.root(con.confrelid) THEN
		has_deleted_parent := format('EXISTS (SELECT FROM %s WHERE %s)',
			soft_delete_internal.from_item(con.confrelid, 'p', 'tombstones'), soft_delete_internal.key_match(con.oid));
		n_deleted := (SELECT answer FROM soft_delete_internal.query_as_owner(con.conrelid,
			format('SELECT count(*) FROM %s WHERE %s AND %s', soft_delete_internal.from_item(con.conrelid, 'c', 'live'), without_parent, has_deleted_parent)) AS q(answer bigint));
	END IF;
	-- of what the application has deleted before the bridge, the ledger knows nothing
	IF n_deleted > 0 AND soft_delete_internal.bridge_arguments(con.confrelid) IS NOT NULL THEN
		n_inherited := (SELECT answer FROM soft_delete_internal.query_as_owner(con.conrelid,
			format('SELECT count(*) FROM %s WHERE %s AND EXISTS (SELECT FROM %s WHERE %s AND soft_delete.deletion_of(p.tableoid, p.ctid, p.%I, ''deleted_by'') IS NULL)',
				   soft_delete_internal.from_item(con.conrelid, 'c', 'live'), without_parent, soft_delete_internal.from_item(con.confrelid, 'p', 'tombstones'),
				   soft_delete_internal.key_match(con.oid), (soft_delete_internal.tag_arguments(con.confrelid))[1])) AS q(answer bigint));
	END IF;
	IF n_inherited > 0 THEN
		RETURN QUERY SELECT 'notice', con.conrelid::regclass,
			format('%s live rows reference rows of %s that were deleted before it had a bridge, by foreign key "%s"', n_inherited, con.confrelid::regclass, con.conname),
			format('SELECT tableoid::regclass, ctid FROM %s WHERE %s AND %s;', soft_delete_internal.from_item(con.conrelid, 'c', 'live'), without_parent, has_deleted_parent);
		n := n - n_inherited;
		n_deleted := n_deleted - n_inherited;
	END IF;
	IF n_deleted > 0 THEN
		RETURN QUERY SELECT 'error', con.conrelid::regclass,
			format('%s live rows reference deleted rows of %s by foreign key "%s"', n_deleted, con.confrelid::regclass, con.conname),
			format('UPDATE %s AS p SET %I = NULL WHERE EXISTS (SELECT FROM %s WHERE %s AND %s);', bin, (soft_delete_internal.tag_arguments(con.confrelid))[1],
				   soft_delete_internal.from_item(con.conrelid, 'c', 'live'), without_parent, soft_delete_internal.key_match(con.oid));
	END IF;
	IF n > n_deleted THEN
		RETURN QUERY SELECT 'error', con.conrelid::regclass,
			format('%s live rows reference missing rows of %s by foreign key "%s"', n - n_deleted, con.confrelid::regclass, con.conname),
			CASE n_deleted WHEN 0 THEN all_rows
				ELSE format('SELECT tableoid::regclass, ctid FROM %s WHERE %s AND NOT %s;', soft_delete_internal.from_item(con.conrelid, 'c', 'live'), without_parent, has_deleted_parent) END;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_deleted_parents(oid, bigint, text, text) IS
'the problems of check() with live rows without a live parent: those whose parent can be restored, and the others';

CREATE FUNCTION soft_delete_internal.find_dangling_rows("constraint" oid, OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	con pg_constraint;
	is_reference text;
	without_parent text;
	which text;
	parents text;
	key_match text := soft_delete_internal.key_match("constraint");
	n bigint;
BEGIN
	SELECT * INTO STRICT con FROM pg_constraint WHERE oid = "constraint";
	SELECT string_agg(format('c.%I IS NOT NULL', attname), ' AND ' ORDER BY array_position(con.conkey, attnum)) INTO is_reference
	FROM pg_attribute WHERE attrelid = con.conrelid AND attnum = ANY (con.conkey);
	relation := con.conrelid;
	-- who reads both would call functions of both owners: to plan that calls those of index predicates
	IF (SELECT count(DISTINCT relowner) FROM pg_class WHERE oid IN (con.conrelid, con.confrelid)) > 1 THEN
		severity := 'notice';
		problem := format('rows that reference missing rows of %s by foreign key "%s" are not searched for: the two tables have different owners',
						  con.confrelid::regclass, con.conname);
		RETURN NEXT;
		RETURN;
	END IF;

	FOREACH which IN ARRAY CASE WHEN soft_delete_internal.tag_arguments(relation) IS NULL THEN '{live}' ELSE '{live,deleted}'::text[] END LOOP
		CONTINUE WHEN which = 'deleted' AND soft_delete_internal.has_no_tombstone(soft_delete_internal.root(relation));
		-- an empty file has no rows
		CONTINUE WHEN (SELECT relkind = 'r' AND relam = (SELECT oid FROM pg_am WHERE amname = 'heap') AND pg_relation_size(oid, 'main') = 0
					   FROM pg_class WHERE oid = CASE which WHEN 'live' THEN relation ELSE soft_delete_internal.tombstones_in(relation) END);
		-- the companion has the deleted rows of all partitions, and one of these may have a foreign key of its own
		without_parent := concat_ws(' AND ', is_reference, (SELECT bounds FROM soft_delete_internal.row_places(soft_delete_internal.root(relation)) WHERE place = relation AND which = 'deleted'));
		-- a parent that has stepped aside can be restored
		FOREACH parents IN ARRAY CASE WHEN which = 'live' THEN '{live}' WHEN soft_delete_internal.is_aside(con.confrelid) THEN '{live,deleted}' WHEN soft_delete_internal.tag_arguments(con.confrelid) IS NULL THEN '{all}'
			WHEN soft_delete_internal.companion_of(con.confrelid) IS NULL THEN '{all}' ELSE '{all,aside}'::text[] END LOOP
			without_parent := format('%s AND NOT EXISTS (SELECT FROM %s WHERE %s)', without_parent,
				soft_delete_internal.from_item(con.confrelid, 'p', parents), key_match);
		END LOOP;
		n := (SELECT answer FROM soft_delete_internal.query_as_owner(relation, format('SELECT count(*) FROM %s WHERE %s', soft_delete_internal.from_item(relation, 'c', which), without_parent)) AS q(answer bigint));
		CONTINUE WHEN n = 0;

		severity := 'error';
		problem := format('%s deleted rows reference missing rows of %s by foreign key "%s", and cannot be restored', n, con.confrelid::regclass, con.conname);
		-- the query shows the rows: their owner decides what becomes of them
		remedy := format('SELECT tableoid::regclass, ctid FROM %s WHERE %s;', soft_delete_internal.from_item(relation, 'c', which), without_parent);
		IF which = 'live' THEN
			RETURN QUERY SELECT * FROM soft_delete_internal.find_deleted_parents("constraint", n, without_parent, remedy);
		ELSE
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_dangling_rows(oid) IS
'the problems of check() with one foreign key: rows that reference nothing';

CREATE FUNCTION soft_delete_internal.find_bridge_problems(table_name regclass,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bridge text[] := soft_delete_internal.bridge_arguments(table_name);
	n bigint;
BEGIN
	IF bridge IS NULL THEN
		RETURN;
	END IF;
	n := soft_delete_internal.count_as_owner(table_name, format('SELECT count(*) FROM %s AS t %s WHERE %s',
		table_name, CASE WHEN NOT soft_delete_internal.is_aside(table_name) THEN 'TABLESAMPLE soft_delete.rows(''live'')' END, soft_delete_internal.deleted_test(table_name, bridge, 't')));
	IF n > 0 THEN
		RETURN QUERY SELECT 'notice', table_name, format('%s live rows are deleted, says column "%s"', n, bridge[1]), format('SELECT soft_delete.adopt(%L);', table_name);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_bridge_problems(regclass) IS
'the problems of check() with the bridge of a table: rows that are not taken over yet';

CREATE FUNCTION soft_delete_internal.find_problems_of_kinds(table_name regclass, tombstone name, kinds text[],
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	kind text;
BEGIN
	FOREACH kind IN ARRAY kinds LOOP
		CASE kind
			WHEN 'companion' THEN RETURN QUERY SELECT * FROM soft_delete_internal.find_companion_problems(table_name, tombstone);
			WHEN 'column' THEN RETURN QUERY SELECT * FROM soft_delete_internal.find_column_problems(table_name, tombstone);
			WHEN 'trigger' THEN RETURN QUERY SELECT * FROM soft_delete_internal.find_trigger_problems(table_name, tombstone);
			WHEN 'view' THEN RETURN QUERY SELECT * FROM soft_delete_internal.find_view_problems(table_name, tombstone);
			WHEN 'index' THEN RETURN QUERY SELECT * FROM soft_delete_internal.find_index_problems(table_name, tombstone);
			WHEN 'stand-in' THEN RETURN QUERY SELECT * FROM soft_delete_internal.find_stand_in_problems(table_name);
			WHEN 'purge' THEN RETURN QUERY SELECT * FROM soft_delete_internal.find_purge_problems(table_name, tombstone);
			WHEN 'bridge' THEN RETURN QUERY SELECT * FROM soft_delete_internal.find_bridge_problems(table_name);
			WHEN 'hold' THEN RETURN QUERY SELECT * FROM soft_delete_internal.find_hold_problems(table_name, tombstone);
		END CASE;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_problems_of_kinds(regclass, name, text[]) IS
'the problems of check() with a tagged table, of some kinds';

/* An error in one kind of check is a row of its own, and does not stop the others. */
CREATE FUNCTION soft_delete_internal.find_table_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	kind text;
	kinds text[];
BEGIN
	IF NOT soft_delete_internal.is_free(table_name, false) THEN
		relation := table_name;
		severity := 'notice';
		problem := 'another session has locked the table: it is not checked';
		RETURN NEXT;
		RETURN;
	END IF;
	kind := soft_delete_internal.citus_kind(table_name);
	IF kind IS NOT NULL THEN
		relation := table_name;
		severity := 'error';
		problem := format('the table has become %s, which copies it without its deleted rows', kind);
		RETURN NEXT;
		RETURN;
	END IF;
	kinds := CASE WHEN soft_delete_internal.is_aside(table_name) THEN '{companion,trigger,purge,hold,bridge}'
			ELSE '{column,trigger,companion,view,index,stand-in,purge,hold,bridge}' END;
	-- all at once, for subtransactions take time where many locks are held; after an error, each by itself
	BEGIN
		RETURN QUERY SELECT * FROM soft_delete_internal.find_problems_of_kinds(table_name, tombstone, kinds);
		RETURN;
	EXCEPTION WHEN OTHERS THEN
		IF soft_delete_internal.must_propagate(SQLSTATE) THEN
			RAISE;
		END IF;
	END;
	FOREACH kind IN ARRAY kinds LOOP
		BEGIN
			RETURN QUERY SELECT * FROM soft_delete_internal.find_problems_of_kinds(table_name, tombstone, ARRAY[kind]);
		EXCEPTION WHEN OTHERS THEN
			IF soft_delete_internal.must_propagate(SQLSTATE) THEN
				RAISE;
			END IF;
			relation := table_name;
			severity := 'error';
			problem := format('could not check it (%s)', kind) || CASE WHEN soft_delete_internal.caller_owns(table_name) THEN ': ' || left(SQLERRM, 1000) ELSE '' END;
			RETURN NEXT;
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_table_problems(regclass, name) IS
'the problems of check() with a tagged table';

CREATE FUNCTION soft_delete_internal.find_problems_of_keys(constraints oid[], looks_for_rows boolean[],
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	con pg_constraint;
BEGIN
	FOR i IN 1 .. cardinality(constraints) LOOP
		SELECT * INTO con FROM pg_constraint WHERE oid = constraints[i];
		IF NOT (soft_delete_internal.is_free(con.conrelid, false) AND soft_delete_internal.is_free(con.confrelid, false)) THEN
			severity := 'notice';
			relation := con.conrelid;
			problem := format('rows that reference missing rows of %s by foreign key "%s" are not searched for: another session has locked a table', con.confrelid::regclass, con.conname);
			RETURN NEXT;
			CONTINUE;
		END IF;
		RETURN QUERY SELECT * FROM soft_delete_internal.find_reference_problems(constraints[i]);
		IF looks_for_rows[i] THEN
			RETURN QUERY SELECT * FROM soft_delete_internal.find_dangling_rows(constraints[i]);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_problems_of_keys(oid[], boolean[]) IS
'the problems of check() with some foreign keys; looks_for_rows: with the rows of each, too';

CREATE FUNCTION soft_delete_internal.find_foreign_key_problems("constraint" oid, looks_for_rows boolean,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	con pg_constraint;
	reason text;
BEGIN
	SELECT * INTO con FROM pg_constraint WHERE oid = "constraint";
	severity := 'notice';
	BEGIN
		RETURN QUERY SELECT * FROM soft_delete_internal.find_problems_of_keys(ARRAY["constraint"], ARRAY[looks_for_rows]);
		RETURN;
	EXCEPTION WHEN OTHERS THEN
		IF soft_delete_internal.must_propagate(SQLSTATE) THEN
			RAISE;
		END IF;
		-- the owner who may read both tables may lack the right to read deleted rows
		IF SQLSTATE <> '42501' THEN
			severity := 'error';
		END IF;
		reason := left(SQLERRM, 1000);
	END;
	relation := con.conrelid;
	problem := format('rows that reference missing rows of %s by foreign key "%s" are not searched for: %s', con.confrelid::regclass, con.conname, reason);
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_foreign_key_problems(oid, boolean) IS
'the problems of check() with a foreign key; looks_for_rows: with its rows, too';

CREATE FUNCTION soft_delete_internal.find_foreign_keys_problems(constraints oid[], looks_for_rows boolean[],
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- all at once, for subtransactions take time where many locks are held; after an error, each by itself
	BEGIN
		RETURN QUERY SELECT * FROM soft_delete_internal.find_problems_of_keys(constraints, looks_for_rows);
		RETURN;
	EXCEPTION WHEN OTHERS THEN
		IF soft_delete_internal.must_propagate(SQLSTATE) THEN
			RAISE;
		END IF;
	END;
	FOR i IN 1 .. cardinality(constraints) LOOP
		RETURN QUERY SELECT * FROM soft_delete_internal.find_foreign_key_problems(constraints[i], looks_for_rows[i]);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_foreign_keys_problems(oid[], boolean[]) IS
'the problems of check() with some foreign keys: those of one that cannot be checked do not hide those of others';

/*
 * What is not known to be safe is a decision: a restore, a purge, a tag, an index that costs, a relation of somebody
 * else that gets another name.
 */
CREATE FUNCTION soft_delete_internal.is_safe_remedy(remedy text, completes_tag boolean, relation regclass) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
	RETURN remedy ~ '^(SELECT soft_delete\.repair\(|ALTER DATABASE |ALTER EVENT TRIGGER |ALTER TRIGGER |ALTER VIEW .* OWNER TO |DROP INDEX '
		'|ALTER TABLE .* (ENABLE TRIGGER|OWNER TO|DROP CONSTRAINT|RENAME CONSTRAINT|RENAME COLUMN) )'
		OR (completes_tag AND starts_with(remedy, 'SELECT soft_delete.tag('))
		-- a query of a table calls what its owner has written, as whoever runs it
		OR (starts_with(remedy, 'SELECT tableoid::') AND (SELECT relowner = soft_delete_internal.caller() FROM pg_class WHERE oid = relation));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_safe_remedy(text, boolean, regclass) IS
'whether a remedy of check() puts back what was and no more, or shows rows to their owner; completes_tag: a call of tag() is for a tagged table; null if there is no remedy';

CREATE FUNCTION soft_delete_internal.check(OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text, OUT is_safe boolean)
RETURNS SETOF record
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off -- catalogs are read by their indexes, whatever their size was when a plan was made
AS $$
DECLARE
	is_monitor boolean := pg_has_role(soft_delete_internal.caller(), 'pg_read_all_stats', 'USAGE');
	watched regclass[];
	broken regclass[];
	item record;
BEGIN
	SELECT coalesce(array_agg(tagged.relation), '{}'),
		coalesce(array_agg(tagged.relation) FILTER (WHERE attname IS NULL), '{}')
	INTO watched, broken
	FROM soft_delete_internal.tagged_tables() AS tagged
		LEFT JOIN pg_attribute ON attrelid = soft_delete_internal.tombstones_in(tagged.relation) AND attname = tombstone_column AND NOT attisdropped
	WHERE is_monitor OR soft_delete_internal.caller_owns(tagged.relation);

	RETURN QUERY SELECT p.*, soft_delete_internal.is_safe_remedy(p.remedy, false, p.relation) FROM soft_delete_internal.find_installation_problems() AS p;
	FOR item IN SELECT * FROM soft_delete_internal.tagged_tables() AS tagged WHERE tagged.relation = ANY (watched) LOOP
		BEGIN
			RETURN QUERY SELECT p.*, soft_delete_internal.is_safe_remedy(p.remedy, true, p.relation) FROM soft_delete_internal.find_table_problems(item.relation, item.tombstone_column) AS p;
			RAISE SQLSTATE 'SDEND';	-- as in list_tables()
		EXCEPTION WHEN SQLSTATE 'SDEND' THEN
			NULL;
		END;
	END LOOP;

	RETURN QUERY SELECT p.*, soft_delete_internal.is_safe_remedy(p.remedy, false, p.relation) FROM soft_delete_internal.find_sharded_problems() AS p;

	FOR item IN
		SELECT array_agg(oid ORDER BY oid) AS keys, array_agg(looks_for_rows ORDER BY oid) AS look FROM (
			SELECT con.oid, row_number() OVER (ORDER BY con.oid) / 64 AS part, conparentid = 0 AND NOT tables && broken
				-- one that is not enforced, or is on periods, allows rows without a parent; these columns came with PostgreSQL 18
				AND coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true) AND NOT coalesce((to_jsonb(con) ->> 'conperiod')::boolean, false)
				AND NOT EXISTS (SELECT FROM pg_class WHERE oid IN (conrelid, confrelid)
								AND (NOT pg_has_role(soft_delete_internal.caller(), relowner, 'USAGE') OR pg_is_other_temp_schema(relnamespace))) AS looks_for_rows
			FROM (SELECT con.*, ARRAY[soft_delete_internal.root(conrelid), soft_delete_internal.root(confrelid)] AS tables FROM pg_constraint AS con WHERE contype = 'f') AS con
			WHERE tables && watched) AS u
		GROUP BY part ORDER BY part
	LOOP
		BEGIN
			RETURN QUERY SELECT p.*, soft_delete_internal.is_safe_remedy(p.remedy, false, p.relation) FROM soft_delete_internal.find_foreign_keys_problems(item.keys, item.look) AS p;
			RAISE SQLSTATE 'SDEND';
		EXCEPTION WHEN SQLSTATE 'SDEND' THEN
			NULL;
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check() IS
'does soft_delete.check()';
