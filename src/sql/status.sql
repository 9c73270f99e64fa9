/*
 * What there is to see: figures per tagged table.  They come from statistics
 * and from the index of the bin; no table is read.
 */

CREATE FUNCTION soft_delete.may_watch(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_may_watch';
COMMENT ON FUNCTION soft_delete.may_watch(regclass) IS
'whether the caller may know figures of a tagged table: its owner, who may read its bin, and members of pg_read_all_stats';

/* The planner is to use the bin's index, for only then is the query run. */
CREATE FUNCTION soft_delete.count_tombstones(relation regclass, before timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_count_tombstones'
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on SET enable_indexonlyscan = on;
COMMENT ON FUNCTION soft_delete.count_tombstones(regclass, timestamptz) IS
'how many tombstones a tagged table has, of those with an earlier stamp if one is given: exactly up to 1,000, else the planner''s estimate; null for who may not know, or where no index tells';

CREATE FUNCTION soft_delete.oldest_tombstone(relation regclass) RETURNS timestamptz
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_oldest_tombstone'
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on SET enable_indexonlyscan = on;
COMMENT ON FUNCTION soft_delete.oldest_tombstone(regclass) IS
'the stamp of the oldest tombstone in a tagged table; null for who may not know, or where no index tells';

CREATE FUNCTION soft_delete.estimated_rows(relation regclass) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT sum(CASE
			WHEN pg_stat_get_live_tuples(oid) + pg_stat_get_dead_tuples(oid) > 0 THEN pg_stat_get_live_tuples(oid)
			-- nobody counts on a standby, nor after a crash
			WHEN reltuples >= 0 THEN reltuples END)::bigint
	FROM soft_delete.family(relation) AS member JOIN pg_class ON oid = member
	WHERE relkind = 'r'
$$;
COMMENT ON FUNCTION soft_delete.estimated_rows(regclass) IS
'how many rows, tombstones included, the statistics know of in a table and its partitions';

CREATE FUNCTION soft_delete.live_index_bytes(relation regclass) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT sum((relpages - 1) * current_setting('block_size')::bigint)
	FROM soft_delete.tag_arguments(relation) AS arguments, soft_delete.family(relation) AS member
		JOIN pg_index ON indrelid = member
		JOIN pg_class ON pg_class.oid = indexrelid
		JOIN pg_attribute ON attrelid = member
	WHERE attname = arguments[1] AND relkind = 'i'
	  -- less says nothing about the size of an entry
	  AND reltuples >= 1000
	  AND soft_delete.index_hides(indexrelid, attnum)
	  AND 'partial:' || (SELECT relname FROM pg_class WHERE oid = soft_delete.root(indexrelid)) <> ALL (arguments)
$$;
COMMENT ON FUNCTION soft_delete.live_index_bytes(regclass) IS
'size of the indexes of a table that tag() made partial, as the last VACUUM or ANALYZE found it; the small ones are left out';

/*
 * Whatever is not asked for is not looked up.  Functions in a view run as the
 * reader, the tables in it are read as its owner.
 */
CREATE VIEW soft_delete.tables AS
SELECT tagged.relation, tombstone_column,
	soft_delete.bin_of(tagged.relation) AS bin, soft_delete.active_of(tagged.relation) AS active_view,
	live_rows, deleted_rows, round(deleted_rows::numeric / nullif(live_rows + deleted_rows, 0), 3) AS graveyard_share,
	(SELECT count(*) FROM soft_delete.displaced WHERE relation IN (SELECT soft_delete.family(tagged.relation))) AS displaced_rows,
	least(soft_delete.oldest_tombstone(tagged.relation),
		(SELECT min(deleted_at) FROM soft_delete.displaced WHERE relation IN (SELECT soft_delete.family(tagged.relation)))) AS oldest,
	(soft_delete.live_index_bytes(tagged.relation)::numeric * deleted_rows / nullif(live_rows, 0))::bigint AS index_bytes_saved
FROM soft_delete.tagged_tables() AS tagged
	CROSS JOIN LATERAL (SELECT soft_delete.count_tombstones(tagged.relation) AS deleted_rows,
						soft_delete.estimated_rows(tagged.relation) AS all_rows OFFSET 0) AS estimated
	CROSS JOIN LATERAL (SELECT CASE WHEN all_rows < deleted_rows THEN 0 ELSE all_rows - deleted_rows END AS live_rows) AS difference
WHERE soft_delete.may_watch(tagged.relation);
GRANT SELECT ON soft_delete.tables TO PUBLIC;
COMMENT ON VIEW soft_delete.tables IS
'the tagged tables: those of which the reader may know figures, which are estimates of statistics where nothing else is said';
COMMENT ON COLUMN soft_delete.tables.relation IS 'the table; partitions and inheritance children are counted with it';
COMMENT ON COLUMN soft_delete.tables.tombstone_column IS 'the column that holds the stamp';
COMMENT ON COLUMN soft_delete.tables.bin IS 'the view of its deleted rows';
COMMENT ON COLUMN soft_delete.tables.active_view IS 'the view of its live rows';
COMMENT ON COLUMN soft_delete.tables.live_rows IS 'live rows: an estimate';
COMMENT ON COLUMN soft_delete.tables.deleted_rows IS 'deleted rows in the table: exact up to 1,000, else an estimate; null without an index of the bin';
COMMENT ON COLUMN soft_delete.tables.graveyard_share IS 'deleted rows as a share of all rows in the table: an estimate';
COMMENT ON COLUMN soft_delete.tables.displaced_rows IS 'deleted rows that have stepped aside: exact';
COMMENT ON COLUMN soft_delete.tables.oldest IS 'the stamp of the oldest deleted row: exact; null without an index of the bin';
COMMENT ON COLUMN soft_delete.tables.index_bytes_saved IS
'what the deleted rows would take in the indexes that tag() made partial: an estimate, from indexes of 1,000 entries and more';
