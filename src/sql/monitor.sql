/*
 * Figures of tagged tables.  They come from statistics and from the index of the bin;
 * no table is read.
 */

CREATE FUNCTION soft_delete_internal.may_watch(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_may_watch';
COMMENT ON FUNCTION soft_delete_internal.may_watch(regclass) IS
'whether the caller may know figures of a tagged table: its owner, who may read its bin, and members of pg_read_all_stats';

/* The settings have the planner use the index of the bin: the query is not run with another plan. */
CREATE FUNCTION soft_delete_internal.count_tombstones(relation regclass, before timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_count_tombstones'
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on SET enable_indexonlyscan = on;
COMMENT ON FUNCTION soft_delete_internal.count_tombstones(regclass, timestamptz) IS
'how many tombstones a tagged table has, of those with an earlier stamp if one is given: exactly up to 1,000, else the planner''s estimate; null for who may not know, or where no index tells';

CREATE FUNCTION soft_delete_internal.oldest_tombstone(relation regclass) RETURNS timestamptz
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_oldest_tombstone'
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on SET enable_indexonlyscan = on;
COMMENT ON FUNCTION soft_delete_internal.oldest_tombstone(regclass) IS
'the stamp of the oldest tombstone in a tagged table; null for who may not know, or where no index tells';

CREATE FUNCTION soft_delete_internal.has_no_tombstone(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_has_no_tombstone';
COMMENT ON FUNCTION soft_delete_internal.has_no_tombstone(regclass) IS
'whether a tagged table certainly has no tombstones, in it or elsewhere; false, too, if no index tells, or if another session has locked it';

CREATE FUNCTION soft_delete_internal.companion_bytes(relation regclass) RETURNS bigint
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_companion_bytes';
COMMENT ON FUNCTION soft_delete_internal.companion_bytes(regclass) IS
'how many bytes the companions of a table and its inheritance children take, with their months and indexes';

/* In PL/pgSQL, which keeps the plans: list_tables() asks for each table. */
CREATE FUNCTION soft_delete_internal.estimated_rows(relation regclass) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- who may restore statistics can say anything
	RETURN (SELECT CASE WHEN total < 9e18 THEN total WHEN total IS NOT NULL THEN 9e18 END::bigint FROM (
		SELECT sum(CASE
			-- as the planner estimates it: by the rows per page that the last VACUUM or ANALYZE found
			WHEN relpages > 0 THEN reltuples * (pg_relation_size(oid) / current_setting('block_size')::bigint) / relpages
			WHEN pg_stat_get_live_tuples(oid) + pg_stat_get_dead_tuples(oid) > 0 THEN pg_stat_get_live_tuples(oid)
			WHEN reltuples = 0 THEN 0 END) AS total
		FROM soft_delete_internal.inheritance_tree(relation) AS member JOIN pg_class ON oid = member
		WHERE relkind = 'r') AS estimate);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.estimated_rows(regclass) IS
'how many rows, tombstones included, a table and its partitions have by what statistics say';

CREATE FUNCTION soft_delete_internal.live_index_bytes(relation regclass) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT sum((relpages - 1) * current_setting('block_size')::bigint)
	FROM soft_delete_internal.tag_arguments(relation) AS arguments, soft_delete_internal.inheritance_tree(relation) AS member
		JOIN pg_index ON indrelid = member
		JOIN pg_class ON pg_class.oid = indexrelid
		JOIN pg_attribute ON attrelid = member
	WHERE attname = arguments[1] AND relkind = 'i'
	  -- the size of a small index says nothing about the size of an entry; CASE, so that no plan
	  -- opens small indexes, or those of other tables
	  AND CASE WHEN indrelid = member AND reltuples >= 1000 THEN soft_delete_internal.index_hides(indexrelid, attnum) END
	  AND 'partial:' || (SELECT relname FROM pg_class WHERE oid = soft_delete_internal.root(indexrelid)) <> ALL (arguments));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.live_index_bytes(regclass) IS
'size of the indexes of a table that tag() made partial, as the last VACUUM or ANALYZE found it; the small ones are left out';

CREATE FUNCTION soft_delete_internal.last_purge(relation regclass) RETURNS soft_delete_internal.purge_log
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT log FROM soft_delete_internal.purge_log AS log
			WHERE log.relation = soft_delete_internal.qualified_name(last_purge.relation)
			  AND roleid = (SELECT relowner FROM pg_class WHERE oid = last_purge.relation) ORDER BY purged_at DESC LIMIT 1);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.last_purge(regclass) IS
'what the log says of the last purge of a table';

/* What cannot be read, or is locked by another session, is null, and other tables are listed nevertheless. */
CREATE FUNCTION soft_delete_internal.list_tables()
RETURNS TABLE (relation regclass, tombstone_column name, bin regclass, active_view regclass, live_rows bigint, deleted_rows bigint, graveyard_share numeric,
	displaced_rows bigint, oldest timestamptz, retention interval, due_rows bigint, last_purge timestamptz, last_purge_rows bigint, last_purge_result text,
	index_bytes_saved bigint, storage text, companion regclass, companion_bytes bigint, holds bigint, bridge text, ledger_bytes bigint)
LANGUAGE plpgsql ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off -- catalogs are read by their indexes, whatever their size was when a plan was made
AS $$
#variable_conflict use_variable
DECLARE
	is_watched boolean;
	due_before timestamptz;
	error text;
	stated record;
	is_any_retained boolean := EXISTS (SELECT FROM soft_delete_internal.retention);
	is_any_purged boolean := EXISTS (SELECT FROM soft_delete_internal.purge_log);
	is_any_held boolean := EXISTS (SELECT FROM soft_delete_internal.holds);
	is_empty boolean;
BEGIN
	ledger_bytes := pg_total_relation_size('soft_delete_internal.ledger') + pg_total_relation_size('soft_delete_internal.events');
	FOR relation, tombstone_column IN SELECT t.relation, t.tombstone_column FROM soft_delete_internal.tagged_tables() AS t LOOP
		is_watched := false;
		bin := NULL; active_view := NULL; live_rows := NULL; deleted_rows := NULL; graveyard_share := NULL; displaced_rows := NULL; oldest := NULL;
		retention := NULL; due_before := NULL; due_rows := NULL; last_purge := NULL; last_purge_rows := NULL; last_purge_result := NULL; index_bytes_saved := NULL;
		storage := soft_delete_internal.storage_of(relation); companion := NULL; companion_bytes := NULL; holds := NULL; bridge := NULL;
		BEGIN
			is_watched := soft_delete_internal.may_watch(relation);
			CONTINUE WHEN NOT is_watched;
			bin := soft_delete_internal.bin_of(relation);
			active_view := soft_delete_internal.active_view_of(relation);
			companion := soft_delete_internal.companion_of(relation);
			bridge := soft_delete_internal.bridge_text(soft_delete_internal.bridge_arguments(relation));
			IF is_any_purged THEN
				SELECT purged_at, rows, log.error INTO last_purge, last_purge_rows, error FROM soft_delete_internal.last_purge(relation) AS log;
			END IF;
			last_purge_result := CASE WHEN last_purge IS NULL THEN NULL WHEN error IS NULL OR error = 'not finished' THEN coalesce(error, 'done')
				ELSE 'failed' || CASE WHEN soft_delete_internal.caller_owns(relation) THEN ': ' || error ELSE '' END END;

			IF is_any_retained THEN
				SELECT * INTO stated FROM soft_delete_internal.retention_of(relation);
				retention := CASE WHEN stated.is_known AND NOT stated.is_eternal THEN stated.retain END;
			END IF;
			-- an expression without a query needs no plan to be run
			holds := 0;
			IF is_any_held THEN
				holds := (SELECT count(*) FROM soft_delete_internal.holds AS h WHERE h.relation IN (SELECT soft_delete_internal.inheritance_tree(relation)));
			END IF;

			is_empty := soft_delete_internal.has_no_tombstone(relation);
			IF is_empty THEN
				live_rows := soft_delete_internal.estimated_rows(relation);
				deleted_rows := 0; displaced_rows := 0; due_rows := 0; graveyard_share := round(0::numeric / nullif(live_rows, 0), 3);
				companion_bytes := soft_delete_internal.companion_bytes(relation);
				-- smaller ones have no index of 1,000 entries
				index_bytes_saved := CASE WHEN live_rows >= 1000 AND storage = 'in_place' AND soft_delete_internal.live_index_bytes(relation) IS NOT NULL THEN 0 END;
			ELSIF soft_delete_internal.is_free(relation, false) THEN
				companion_bytes := soft_delete_internal.companion_bytes(relation);
				displaced_rows := CASE WHEN storage = 'aside' OR companion IS NULL THEN 0 ELSE soft_delete_internal.count_tombstones(companion) END;
				deleted_rows := soft_delete_internal.count_tombstones(relation);
				oldest := least(soft_delete_internal.oldest_tombstone(relation), CASE WHEN displaced_rows > 0 THEN soft_delete_internal.oldest_tombstone(companion) END);
				live_rows := soft_delete_internal.estimated_rows(relation);
				live_rows := CASE WHEN soft_delete_internal.is_aside(relation) THEN live_rows WHEN live_rows < deleted_rows THEN 0 ELSE live_rows - deleted_rows END;
				graveyard_share := round(deleted_rows::numeric / nullif(live_rows + deleted_rows, 0), 3);
				index_bytes_saved := CASE WHEN NOT soft_delete_internal.is_aside(relation) THEN (soft_delete_internal.live_index_bytes(relation)::numeric * deleted_rows / nullif(live_rows, 0))::bigint END;
				-- raises an error for an interval that is out of range
				due_before := now() - retention;
				due_rows := CASE WHEN due_before IS NULL THEN 0
					ELSE soft_delete_internal.count_tombstones(relation, due_before)
						+ CASE WHEN displaced_rows > 0 THEN soft_delete_internal.count_tombstones(companion, due_before) ELSE 0 END END;
			END IF;
			-- the locks on all tables may be more than the server has: an error releases those on this one
			RAISE SQLSTATE 'SDEND';
		EXCEPTION WHEN SQLSTATE 'SDEND' THEN
			NULL;
		WHEN OTHERS THEN
			IF soft_delete_internal.must_propagate(SQLSTATE) THEN
				RAISE;
			END IF;
		END;
		CONTINUE WHEN NOT is_watched;
		RETURN NEXT;
	END LOOP;
	RETURN QUERY
		SELECT s.relation, s.tombstone_column, s.bin, NULL::regclass, s.live_rows, s.deleted_rows, s.graveyard_share, 0::bigint, s.oldest, s.retention, s.due_rows,
			s.last_purge, s.last_purge_rows, s.last_purge_result, NULL::bigint, 'aside', s.bin, s.companion_bytes, s.holds, NULL, list_tables.ledger_bytes
		FROM soft_delete_internal.list_sharded_tables() AS s;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.list_tables() IS
'does soft_delete.list_tables()';

CREATE FUNCTION soft_delete_internal.bar(deleted bigint, purged bigint, most bigint) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	-- 40 characters for the largest number, and at least one for any number above zero
	SELECT repeat('#', of_deleted) || repeat('-', length - of_deleted)
	FROM (SELECT greatest(ceil(40.0 * (deleted + purged) / nullif(most, 0)), (deleted > 0)::integer + (purged > 0)::integer)::integer) AS l(length),
		LATERAL (SELECT CASE WHEN deleted > 0
				THEN least(greatest(round(length::numeric * deleted / (deleted + purged)), 1), length - (purged > 0)::integer) ELSE 0 END::integer) AS d(of_deleted)
$$;
COMMENT ON FUNCTION soft_delete_internal.bar(bigint, bigint, bigint) IS
'one bar of the chart of timeline()';

CREATE FUNCTION soft_delete_internal.timeline(relation regclass DEFAULT NULL, days integer DEFAULT 14)
RETURNS TABLE (day date, deleted bigint, purged bigint, chart text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	first_day date := current_date - least(days, 36525) + 1;
	item record;
	found record;
	deletions bigint[] := array_fill(0::bigint, ARRAY[least(greatest(days, 1), 36525)]);
	purges bigint[] := deletions;
	days_deleted bigint[];
	is_known boolean := timeline.relation IS NULL;
BEGIN
	IF days IS NULL OR days < 1 OR days > 36525 THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.timeline()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = CASE WHEN days > 1 THEN 'There can be up to 36525 days.' ELSE 'There must be at least one day.' END,
				HINT = 'SELECT * FROM soft_delete.timeline(days => 14);';
	END IF;

	FOR item IN
		SELECT tagged.relation, soft_delete_internal.bin_of(tagged.relation) AS bin, tombstone_column AS tombstone,
			soft_delete_internal.qualified_name(tagged.relation) AS name
		FROM soft_delete_internal.tagged_tables() AS tagged
		WHERE (timeline.relation IS NULL OR tagged.relation = timeline.relation) AND soft_delete_internal.may_watch(tagged.relation)
		  AND soft_delete_internal.bin_of(tagged.relation) IS NOT NULL
		  AND soft_delete_internal.has_column(soft_delete_internal.tombstones_in(tagged.relation), tombstone_column)
		UNION ALL
		SELECT s.relation, s.bin, s.stamp, soft_delete_internal.qualified_name(s.relation) FROM soft_delete_internal.sharded_tables() AS s
		WHERE (timeline.relation IS NULL OR s.relation = timeline.relation) AND s.bin IS NOT NULL AND soft_delete_internal.may_watch_sharded(s.relation, s.bin)
	LOOP
		is_known := true;
		days_deleted := '{}';
		BEGIN
			IF soft_delete_internal.tag_arguments(item.relation) IS NULL OR NOT soft_delete_internal.has_no_tombstone(item.relation) THEN
				FOR found IN
					SELECT * FROM soft_delete_internal.query_as_owner(item.relation,
						format('SELECT %I::date - %L::date + 1, count(*) FROM %s WHERE %1$I >= %2$L::timestamptz AND %1$I < now() GROUP BY 1',
							   item.tombstone, first_day, item.bin)) AS q(n integer, rows bigint)
				LOOP
					days_deleted[found.n] := found.rows;
				END LOOP;
				FOR n IN 1 .. coalesce(array_upper(days_deleted, 1), 0) LOOP
					deletions[n] := deletions[n] + coalesce(days_deleted[n], 0);
				END LOOP;
			END IF;
			RAISE SQLSTATE 'SDEND';	-- as in list_tables()
		EXCEPTION WHEN SQLSTATE 'SDEND' THEN
			NULL;
		WHEN OTHERS THEN
			-- an error may quote a row
			PERFORM soft_delete_internal.warn_unreadable(item.relation, SQLSTATE,
				CASE WHEN soft_delete_internal.must_propagate(SQLSTATE) OR soft_delete_internal.caller_owns(item.relation) THEN SQLERRM ELSE 'error ' || SQLSTATE END);
		END;
		FOR found IN
			SELECT purged_at::date - first_day + 1 AS n, sum(rows) AS rows FROM soft_delete_internal.purge_log
			WHERE purge_log.relation = item.name AND roleid = (SELECT relowner FROM pg_class WHERE oid = item.relation) AND purged_at >= first_day AND purged_at < current_date + 1 GROUP BY 1
		LOOP
			purges[found.n] := purges[found.n] + found.rows;
		END LOOP;
	END LOOP;
	IF NOT is_known THEN
		RAISE EXCEPTION 'table "%" is not tagged, or its bin is not yours to read', timeline.relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'SELECT relation, bin FROM soft_delete.tables;';
	END IF;

	RETURN QUERY
	SELECT first_day + n - 1, d, p, soft_delete_internal.bar(d, p, max(d + p) OVER ())
	FROM unnest(deletions, purges) WITH ORDINALITY AS u(d, p, number), CAST(number AS integer) AS n ORDER BY n;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.timeline(regclass, integer) IS
'does soft_delete.timeline()';
