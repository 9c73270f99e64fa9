/*
 * Figures and problems of tagged tables that Citus has sharded.
 */

CREATE FUNCTION soft_delete_internal.may_watch_sharded(relation regclass, bin regclass) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN soft_delete_internal.caller_owns(relation) OR pg_has_role(soft_delete_internal.caller(), 'pg_read_all_stats', 'USAGE')
		OR coalesce(has_table_privilege(soft_delete_internal.caller(), bin, 'SELECT'), false);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.may_watch_sharded(regclass, regclass) IS
'whether the caller may know figures of a sharded table with that bin: its owner, who may read the bin, and members of pg_read_all_stats';

CREATE FUNCTION soft_delete_internal.estimate_sharded(relation regclass) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT coalesce(sum(answer), 0) FROM soft_delete_internal.inheritance_tree(relation) AS member JOIN pg_class ON pg_class.oid = member,
		LATERAL soft_delete_internal.query_as_owner(member, format('SELECT pg_catalog.sum(result::bigint)::bigint FROM run_command_on_shards(%L, ''SELECT CASE WHEN reltuples < 0 THEN pg_stat_get_live_tuples(oid) ELSE reltuples::bigint END FROM pg_class WHERE oid = ''''%%s''''::regclass'') WHERE success', member), form => 'glance') AS q(answer bigint)
		WHERE relkind = 'r');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.estimate_sharded(regclass) IS
'how many rows a distributed table has by what the statistics of its shards say';

CREATE FUNCTION soft_delete_internal.list_sharded_tables()
RETURNS TABLE (relation regclass, tombstone_column name, bin regclass, live_rows bigint, deleted_rows bigint, graveyard_share numeric, oldest timestamptz,
	retention interval, due_rows bigint, last_purge timestamptz, last_purge_rows bigint, last_purge_result text, companion_bytes bigint, holds bigint)
LANGUAGE plpgsql ROWS 10
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
	stated record;
	log record;
BEGIN
	FOR relation, bin, tombstone_column IN SELECT * FROM soft_delete_internal.sharded_tables() AS s WHERE soft_delete_internal.may_watch_sharded(s.relation, s.bin) LOOP
		live_rows := NULL; deleted_rows := NULL; graveyard_share := NULL; oldest := NULL; due_rows := NULL; companion_bytes := NULL; holds := NULL;
		SELECT * INTO stated FROM soft_delete_internal.retention_of(relation);
		retention := CASE WHEN stated.is_known AND NOT stated.is_eternal THEN stated.retain END;
		SELECT purged_at, rows, error INTO log FROM soft_delete_internal.last_purge(relation);
		last_purge := log.purged_at;
		last_purge_rows := log.rows;
		last_purge_result := CASE WHEN log.purged_at IS NULL THEN NULL WHEN log.error IS NULL OR log.error = 'not finished' THEN coalesce(log.error, 'done')
			ELSE 'failed' || CASE WHEN soft_delete_internal.caller_owns(relation) THEN ': ' || log.error ELSE '' END END;
		BEGIN
			SELECT q.rows, q.oldest, q.held INTO deleted_rows, oldest, holds FROM soft_delete_internal.query_as_owner(relation,
				format('SELECT (SELECT pg_catalog.count(*) FROM (SELECT 1 FROM %1$s LIMIT 1001) AS first), (SELECT pg_catalog.min(%2$I) FROM %1$s), (SELECT pg_catalog.count(*) FROM %1$s WHERE hold IS NOT NULL)', bin, tombstone_column), form => 'glance') AS q(rows bigint, oldest timestamptz, held bigint);
			holds := holds + (SELECT count(*) FROM soft_delete_internal.sharded_holds(bin) AS t WHERE t.tgname LIKE '%\_delete') + (SELECT count(*) FROM soft_delete_internal.live_holds(relation));
			IF deleted_rows > 1000 THEN
				deleted_rows := greatest(deleted_rows, soft_delete_internal.estimate_sharded(bin));
			END IF;
			live_rows := soft_delete_internal.estimate_sharded(relation);
			graveyard_share := round(deleted_rows::numeric / nullif(live_rows + deleted_rows, 0), 3);
			-- raises an error for an interval that is out of range
			due_rows := CASE WHEN retention IS NULL OR oldest IS NULL OR oldest >= now() - retention THEN 0 ELSE soft_delete_internal.count_sharded(relation, now() - retention, 'glance') END;
			companion_bytes := (SELECT answer FROM soft_delete_internal.query_as_owner(relation, format('SELECT citus_total_relation_size(%L)', bin), form => 'glance') AS q(answer bigint));
		EXCEPTION WHEN OTHERS THEN
			IF soft_delete_internal.must_propagate(SQLSTATE) THEN
				RAISE;
			END IF;
		END;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.list_sharded_tables() IS
'the rows of the view soft_delete.tables for sharded tables; what cannot be read is null';

CREATE FUNCTION soft_delete_internal.find_sharded_problems(OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	item record;
	has_holds boolean;
BEGIN
	FOR item IN
		SELECT s.*, relname, relowner FROM soft_delete_internal.sharded_tables() AS s JOIN pg_class ON pg_class.oid = s.relation
		WHERE soft_delete_internal.caller_owns(s.relation) OR pg_has_role(soft_delete_internal.caller(), 'pg_read_all_stats', 'USAGE')
	LOOP
		RETURN QUERY
		-- of another owner, it is not found as the bin
		SELECT 'error', item.relation, format('its bin %s belongs to role %I: DELETE fails', other.tgrelid::regclass, pg_get_userbyid(relowner)), format('ALTER TABLE %s OWNER TO %I;', other.tgrelid::regclass, pg_get_userbyid(item.relowner))
		FROM pg_trigger AS other JOIN pg_class ON pg_class.oid = other.tgrelid JOIN pg_dist_partition ON logicalrelid = other.tgrelid
		WHERE item.bin IS NULL AND other.tgfoid = 'soft_delete.restore_shard_rows()'::regprocedure AND other.tgargs = soft_delete_internal.sharded_tag(item.relation) AND relowner <> item.relowner
		UNION ALL
		SELECT 'error', item.relation, 'it has two bins, of which none is the one: DELETE fails', NULL
		WHERE item.bin IS NULL AND (SELECT count(*) > 1 FROM pg_trigger JOIN pg_dist_partition ON logicalrelid = tgrelid JOIN pg_class ON pg_class.oid = tgrelid
									WHERE tgfoid = 'soft_delete.restore_shard_rows()'::regprocedure AND tgargs = soft_delete_internal.sharded_tag(item.relation) AND relowner = item.relowner)
		UNION ALL
		SELECT 'error', item.relation, 'it has no bin: DELETE fails', format('SELECT soft_delete.untag(%L);', item.relation)
		WHERE item.bin IS NULL AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = 'soft_delete.restore_shard_rows()'::regprocedure AND tgargs = soft_delete_internal.sharded_tag(item.relation))
		UNION ALL
		SELECT 'error', item.relation, format('its bin lacks column "%s": DELETE fails', attname), format('SELECT soft_delete.repair(%L);', item.relation)
		FROM pg_attribute WHERE attrelid = item.relation AND attnum > 0 AND NOT attisdropped AND attgenerated <> 'v' AND item.bin IS NOT NULL AND NOT soft_delete_internal.has_column(item.bin, attname)
		UNION ALL
		SELECT 'error', item.relation, format('foreign key "%s" would destroy rows of table %s, which is not tagged: DELETE fails', conname, conrelid::regclass), format('SELECT soft_delete.tag(%L, storage => ''aside'', cascade => true);', item.relation)
		FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND confrelid = item.relation AND confdeltype = 'c' AND soft_delete_internal.sharded_tag(conrelid) IS NULL
		UNION ALL
		SELECT 'error', item.relation, format('foreign key "%s" would overwrite references of table %s: DELETE fails', conname, conrelid::regclass),
			CASE WHEN soft_delete_internal.is_relinkable(pg_constraint.oid) THEN format('SELECT soft_delete.repair(%L);', item.relation) END
		FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND confrelid = item.relation AND confdeltype IN ('n', 'd')
			AND (NOT soft_delete_internal.is_relinkable(pg_constraint.oid) OR NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = item.relation AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND starts_with(tgname, '!')))
		UNION ALL
		SELECT 'error', tgrelid::regclass, format('trigger "%s" is disabled: %s', tgname, CASE WHEN tgfoid = 'soft_delete.guard_shard_row()'::regprocedure THEN 'held rows can be purged' WHEN tgrelid = item.relation THEN 'deleted rows are not kept' ELSE 'nothing is restored' END), format('ALTER TABLE %s ENABLE TRIGGER %I;', tgrelid::regclass, tgname)
		FROM pg_trigger WHERE tgrelid IN (item.relation, item.bin) AND tgname ~ '^[!~]soft_delete' AND tgenabled NOT IN ('O', 'A')
		UNION ALL
		SELECT 'error', item.relation, 'trigger "~soft_delete_shard_truncate" is missing: TRUNCATE destroys', format('SELECT soft_delete.untag(%L, tombstones => ''keep'');', item.relation)
		WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = item.relation AND tgfoid = 'soft_delete.keep_truncated()'::regprocedure)
		UNION ALL
		SELECT 'error', partition, 'trigger "~soft_delete_shard_truncate" is missing: TRUNCATE destroys', format('SELECT soft_delete.repair(%L);', item.relation)
		FROM soft_delete_internal.unguarded_partitions(item.relation) AS partition
		UNION ALL
		SELECT 'error', tgrelid::regclass, format('trigger "%s" is disabled: deleted rows are not kept', tgname), format('ALTER TABLE %s ENABLE TRIGGER %I;', tgrelid::regclass, tgname)
		FROM pg_trigger WHERE tgrelid <> item.relation AND tgrelid IN (SELECT soft_delete_internal.inheritance_tree(item.relation)) AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND tgenabled NOT IN ('O', 'A');
		CONTINUE WHEN item.bin IS NULL;
		BEGIN
			has_holds := EXISTS (SELECT FROM soft_delete_internal.sharded_holds(item.bin)) OR soft_delete_internal.held_row_of(item.bin) IS NOT NULL;
		EXCEPTION WHEN OTHERS THEN
			IF soft_delete_internal.must_propagate(SQLSTATE) THEN
				RAISE;
			END IF;
			has_holds := false;
		END;
		-- held rows are not overdue, and here they are not told from others
		RETURN QUERY SELECT * FROM soft_delete_internal.find_purge_problems(item.relation, item.stamp) AS p
			WHERE p.severity = 'error' OR NOT has_holds;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_sharded_problems() IS
'the problems of check() with the sharded tables that the caller owns, or all for members of pg_read_all_stats';
