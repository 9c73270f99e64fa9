/*
 * The bin of a tagged table: its trigger functions, the columns that it has beside
 * those of the table, and how the deleted rows of a deletion are read through it.
 */

CREATE FUNCTION soft_delete.restore_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_restore_row';
COMMENT ON FUNCTION soft_delete.restore_row() IS
'INSTEAD OF UPDATE trigger of a bin: SET deleted_at = NULL restores, SET hold = ''why'' holds, SET hold = NULL lifts the hold';

CREATE FUNCTION soft_delete.purge_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_purge_row';
COMMENT ON FUNCTION soft_delete.purge_row() IS
'INSTEAD OF DELETE trigger of a bin: destroys the row for good';

CREATE FUNCTION soft_delete.finish_bin() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_finish_bin';
COMMENT ON FUNCTION soft_delete.finish_bin() IS
'AFTER UPDATE OR DELETE statement trigger of a bin: restores or purges what its row triggers have collected, with what belongs to it';

CREATE FUNCTION soft_delete_internal.restored_rows() RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_restored_rows';
COMMENT ON FUNCTION soft_delete_internal.restored_rows() IS
'how many rows the session has restored, with their cascades, those that were rolled back included';

CREATE FUNCTION soft_delete.deletion_of(tableoid oid, ctid tid, deleted_at timestamptz, what text) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'soft_delete_deletion_of';
COMMENT ON FUNCTION soft_delete.deletion_of(oid, tid, timestamptz, text) IS
'what the ledger says about the deletion of a row that a bin lists: ''deleted_by'', ''actor'' or ''reason''; null for a role that may not read that column of the bin';

CREATE FUNCTION soft_delete.hold_of(tableoid oid, ctid tid, tables boolean) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'soft_delete_hold_of';
COMMENT ON FUNCTION soft_delete.hold_of(oid, tid, boolean) IS
'the hold on a row that a bin lists: on the row, its deletion, or, if tables, on its table; null for a role that may not read that column of the bin';

CREATE FUNCTION soft_delete_internal.lock_bin(relation regclass) RETURNS regclass
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_lock_bin';
COMMENT ON FUNCTION soft_delete_internal.lock_bin(regclass) IS
'the bin of a table, locked until the transaction ends; null if the caller may not read it, or if the table has been untagged or dropped';

CREATE FUNCTION soft_delete_internal.new_bin_columns(relation regclass) RETURNS name[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	usual name[] := '{deleted_by,actor,reason,hold,stored_in,stored_place}';
BEGIN
	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = ANY (usual)) THEN
		RETURN usual;
	END IF;
	RETURN (SELECT array_agg((SELECT candidate FROM generate_series(0, 4) AS n, CAST(repeat('soft_delete_', n) || field AS name) AS candidate
					  WHERE NOT soft_delete_internal.has_column(relation, candidate)
					  ORDER BY n LIMIT 1) ORDER BY position)
	FROM unnest(usual) WITH ORDINALITY AS u(field, position));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.new_bin_columns(regclass) IS
'names for the columns that a bin has beside those of its table: deleted_by, actor, reason, hold, stored_in and stored_place, with soft_delete_ before a name that the table has';

CREATE FUNCTION soft_delete_internal.bin_columns(relation regclass) RETURNS name[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bin regclass := soft_delete_internal.bin_of(relation);
	names name[];
BEGIN
	IF bin IS NOT NULL THEN
		-- the bins of version 0.2.0 have the names of system columns
		names := (SELECT soft_delete_internal.trigger_arguments(oid)::name[] || CASE tgnargs WHEN 4 THEN '{tableoid,ctid}' ELSE '{}' END::name[] FROM pg_trigger
				  WHERE tgrelid = bin AND tgfoid = 'soft_delete.restore_row()'::regprocedure AND tgtype = 81 AND tgnargs IN (4, 6) LIMIT 1);
	END IF;
	RETURN coalesce(names, soft_delete_internal.new_bin_columns(relation));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bin_columns(regclass) IS
'names of the columns that the bin of a table has beside those of the table, or will have';

CREATE FUNCTION soft_delete_internal.bin_expressions(names name[], stamp text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT string_agg(CASE n WHEN 4 THEN format('soft_delete.hold_of(tableoid, ctid, true) AS %I', name)
					  WHEN 5 THEN format('tableoid AS %I', name)
					  WHEN 6 THEN format('ctid AS %I', name)
					  ELSE format('soft_delete.deletion_of(tableoid, ctid, %s, %L) AS %I', stamp, ('{deleted_by,actor,reason}'::text[])[n], name) END,
					  ', ' ORDER BY n)
	FROM unnest(names) WITH ORDINALITY AS u(name, n));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bin_expressions(name[], text) IS
'the columns that a bin has beside those of its table, as expressions; names: theirs, as bin_columns() has them; stamp: that for the stamp of a row';

CREATE FUNCTION soft_delete_internal.columns_in_place(relation regclass, deleted_at name) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	-- a companion has the base types of domains, and stamps with time zone
	RETURN (SELECT string_agg(CASE WHEN attname = deleted_at AND atttypid = 'timestamp'::regtype THEN format('%s AS %I', soft_delete_internal.stamp_expression(relation, deleted_at), attname)
		WHEN typtype = 'd' THEN format('%I::%s AS %1$I', attname, format_type(base, -1)) ELSE quote_ident(attname) END, ', ' ORDER BY attnum)
	FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid, soft_delete_internal.base_type(atttypid, atttypmod)
	WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.columns_in_place(regclass, name) IS
'the columns of a table whose deleted rows are in place, with the types of its companion';

CREATE FUNCTION soft_delete_internal.kept_columns(relation regclass, deleted_at name) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	-- the companion computes no virtual column
	RETURN (SELECT string_agg(CASE WHEN attgenerated = 'v' THEN format('(%s) AS %I', pg_get_expr(adbin, adrelid), attname)
		ELSE quote_ident(attname) END, ', ' ORDER BY attnum)
	FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
	WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.kept_columns(regclass, name) IS
'the columns of a table whose deleted rows are in place, as a query reads them from its companion';

CREATE FUNCTION soft_delete_internal.aside_query(relation regclass, deleted_at name, dropped name[] DEFAULT '{}') RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	companion regclass := soft_delete_internal.tombstones_in(relation);
	-- the companion computes no virtual column; a table may have no column at all
	columns text := (SELECT string_agg(CASE attgenerated WHEN 'v' THEN format('(%s) AS %I', pg_get_expr(adbin, adrelid), attname) ELSE quote_ident(attname) END, ', ' ORDER BY attnum)
		FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
		  AND (attgenerated = 'v' OR dropped = '{}' OR (soft_delete_internal.has_column(companion, attname) AND attname <> ALL (dropped))));
BEGIN
	RETURN 'SELECT ' || concat_ws(', ', columns, quote_ident(deleted_at), soft_delete_internal.bin_expressions(soft_delete_internal.bin_columns(relation), quote_ident(deleted_at)))
		|| ' FROM ' || companion::text;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.aside_query(regclass, name, name[]) IS
'the query of the bin of a table whose deleted rows are aside; dropped: columns that a running command has dropped, whose new ones the companion does not have yet';

CREATE FUNCTION soft_delete_internal.bin_query(relation regclass, deleted_at name, columns name[] DEFAULT '{}') RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	names name[] := soft_delete_internal.bin_columns(relation);
	selected text;
BEGIN
	IF soft_delete_internal.is_aside(relation) THEN
		RETURN soft_delete_internal.aside_query(relation, deleted_at);
	END IF;
	selected := format('SELECT %s, %s FROM %s TABLESAMPLE soft_delete.rows(''all'') WHERE %I IS NOT NULL UNION ALL SELECT %s, %s FROM %s',
		soft_delete_internal.columns_in_place(relation, deleted_at),
		soft_delete_internal.bin_expressions(names, soft_delete_internal.stamp_expression(relation, deleted_at)), relation, deleted_at,
		soft_delete_internal.kept_columns(relation, deleted_at), soft_delete_internal.bin_expressions(names, quote_ident(deleted_at)),
		soft_delete_internal.companion_of(relation));
	IF columns = '{}' THEN
		RETURN selected;
	END IF;
	RETURN format('SELECT %s FROM (%s) AS bin', array_to_string(
		ARRAY(SELECT quote_ident(c) FROM unnest(columns) WITH ORDINALITY AS u(c, n) ORDER BY n)
		|| ARRAY(SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attname <> ALL (columns) ORDER BY attnum), ', '), selected);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bin_query(regclass, name, name[]) IS
'the query of the bin; columns: those that come first, in an order of their own';

CREATE FUNCTION soft_delete_internal.bin_comment(relation text, deleted_at name) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT format('bin of %s: UPDATE ... SET %I = NULL restores, DELETE purges', relation, deleted_at));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bin_comment(text, name) IS
'the comment of the bin of a table';

CREATE FUNCTION soft_delete_internal.make_bin_triggers(bin regclass, columns name[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text := (SELECT string_agg(quote_literal(name), ', ' ORDER BY n) FROM unnest(columns) WITH ORDINALITY AS u(name, n));
BEGIN
	EXECUTE format('CREATE OR REPLACE TRIGGER soft_delete_restore INSTEAD OF UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row(%s)', bin, arguments);
	EXECUTE format('CREATE OR REPLACE TRIGGER soft_delete_purge INSTEAD OF DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row(%s)', bin, arguments);
	EXECUTE format('CREATE OR REPLACE TRIGGER soft_delete_statement AFTER UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin()', bin);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_bin_triggers(regclass, name[]) IS
'makes the triggers of a bin, which know the names of the columns that it has beside those of its table';

CREATE FUNCTION soft_delete_internal.rename_bin_columns(bin regclass, relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old_names name[] := soft_delete_internal.bin_columns(relation);
	new_names name[] := old_names;
BEGIN
	FOR i IN 1 .. cardinality(old_names) LOOP
		IF soft_delete_internal.has_column(relation, old_names[i]) OR old_names[i] IN ('tableoid', 'ctid') THEN
			new_names[i] := (soft_delete_internal.new_bin_columns(relation))[i];
			EXECUTE format('ALTER VIEW %s RENAME COLUMN %I TO %I', bin, old_names[i], new_names[i]);
		END IF;
	END LOOP;
	IF new_names <> old_names THEN
		PERFORM soft_delete_internal.make_bin_triggers(bin, new_names);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_bin_columns(regclass, regclass) IS
'renames the columns of a bin that have the name of a new column of the table, or of a system column';

CREATE FUNCTION soft_delete_internal.warn_unreadable(relation regclass, state text, message text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF soft_delete_internal.must_propagate(state) THEN
		RAISE EXCEPTION '%', message USING ERRCODE = state;
	END IF;
	RAISE WARNING 'could not read the deleted rows of table "%", which are left out: %', relation, message
		USING ERRCODE = '01000';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.warn_unreadable(regclass, text, text) IS
'warns that the deleted rows of a table could not be read; raises the error again if it must propagate';

/*
 * An owner may give a row the stamp of a deletion that took nothing from him.  It must not be in the way
 * of who undoes that.
 */
CREATE FUNCTION soft_delete_internal.owners_in(deletions timestamptz[]) RETURNS oid[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- a dump may have brought rows without the ledger, which at first named no table
	IF EXISTS (SELECT FROM unnest(deletions) AS d
			   WHERE NOT EXISTS (SELECT FROM soft_delete_internal.ledger WHERE deleted_at = d AND table_name IS NOT NULL)) THEN
		RETURN NULL;
	END IF;
	-- a table that is not found may have been renamed
	RETURN (SELECT CASE WHEN bool_and(relowner IS NOT NULL)
				THEN array_agg(DISTINCT relowner)
					|| ARRAY(SELECT oid FROM pg_roles WHERE oid = soft_delete_internal.caller()
							 OR NOT (SELECT rolsuper FROM pg_roles WHERE oid = soft_delete_internal.caller()) AND pg_has_role(soft_delete_internal.caller(), oid, 'USAGE')) END
			FROM (SELECT table_name FROM soft_delete_internal.ledger WHERE deleted_at = ANY (deletions)
				  UNION SELECT table_name FROM soft_delete_internal.events WHERE deleted_at = ANY (deletions) AND event = 'deleted') AS recorded
				LEFT JOIN pg_class ON pg_class.oid = to_regclass(table_name));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.owners_in(timestamptz[]) IS
'the roles whose tables may have rows of some deletions, by the ledger: the owners of those that it names, and the roles that the caller may act as; null if it does not know';

CREATE FUNCTION soft_delete_internal.readable_bins(passes_over boolean DEFAULT false, owners oid[] DEFAULT NULL, OUT relation regclass, OUT bin regclass, OUT tombstone name)
RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	FOR relation, tombstone IN
		SELECT tagged.relation, attname
		FROM soft_delete_internal.tagged_tables() AS tagged
			JOIN pg_attribute ON attrelid = soft_delete_internal.tombstones_in(tagged.relation) AND attname = tombstone_column AND NOT attisdropped
		WHERE owners IS NULL OR (SELECT relowner FROM pg_class WHERE oid = tagged.relation) = ANY (owners)
		ORDER BY tagged.relation
	LOOP
		bin := NULL;
		BEGIN
			bin := soft_delete_internal.lock_bin(relation);
		EXCEPTION WHEN OTHERS THEN
			IF NOT passes_over AND NOT soft_delete_internal.must_propagate(SQLSTATE) THEN
				RAISE EXCEPTION 'could not lock table "%": %', relation, SQLERRM
					USING ERRCODE = SQLSTATE, DETAIL = 'All or nothing is restored.';
			END IF;
			PERFORM soft_delete_internal.warn_unreadable(relation, SQLSTATE, SQLERRM);
		END;
		IF bin IS NOT NULL THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.readable_bins(boolean, oid[]) IS
'the tagged tables, of some owners or of all, whose bin the caller may read, locked so that they stay tagged; passes_over: a table that cannot be locked is a warning, and not an error';

CREATE FUNCTION soft_delete_internal.has_stamps(relation regclass, bin regclass, tombstone name, deletions timestamptz[]) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT answer FROM soft_delete_internal.query_as_owner(relation,
		format('SELECT EXISTS (SELECT FROM %s WHERE %I OPERATOR(pg_catalog.=) ANY ($1))', bin, tombstone), deletions) AS q(answer boolean));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.has_stamps(regclass, regclass, name, timestamptz[]) IS
'whether a bin, as readable_bins() has it, lists rows of some deletions';

/* What was purged of the tables that a restore names is no loss of its rows, unless it was all that was left of them. */
CREATE FUNCTION soft_delete_internal.tell_losses(deletions timestamptz[], named text[], reader oid) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	losses text;
	total bigint;
BEGIN
	IF NOT EXISTS (SELECT FROM soft_delete_internal.events WHERE deleted_at = ANY (deletions) AND event IN ('purged', 'erased')) THEN
		RETURN;
	END IF;
	SELECT string_agg(format('%s of table %s', lost, table_name), ', ' ORDER BY table_name), sum(lost) INTO losses, total
	FROM (SELECT table_name, sum(rows) FILTER (WHERE event IN ('purged', 'erased')) AS lost,
			sum(rows) FILTER (WHERE event = 'deleted') - sum(rows) FILTER (WHERE event <> 'deleted') AS remaining
		  FROM (SELECT table_name, event, rows FROM soft_delete_internal.events WHERE deleted_at = ANY (deletions)
				UNION ALL SELECT table_name, 'deleted', 1 FROM soft_delete_internal.ledger WHERE deleted_at = ANY (deletions)) AS counted
		  GROUP BY table_name) AS counts
	-- deletions of before rows were counted may have none left; that there were rows is for who may read the table
	WHERE lost > 0 AND (table_name <> ALL (named) OR coalesce(remaining, 0) <= 0) AND has_table_privilege(reader, to_regclass(table_name), 'SELECT');
	IF total > 0 THEN
		RAISE NOTICE 'not all that was deleted with the restored rows comes back' USING DETAIL = format('Purged or erased are: %s.', losses);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tell_losses(timestamptz[], text[], oid) IS
'reports what was purged or erased of the deletions that rows have been restored of, as far as a role may know; named: the tables that the restore named rows of';
