/*
 * The views that people read.  A view that filters by rights is a security barrier.
 */

/*
 * Who may read the table of a record sees all of it in its view.  Others see what is about
 * them: a role is known by its OID, too, for another one may have the name by now.
 */
CREATE VIEW soft_delete.deletions WITH (security_barrier) AS
SELECT ledger.deleted_at, xid, deleted_by::name, session_role::name, application_name, actor, reason,
	CASE WHEN table_name IS NOT NULL THEN 1 + coalesce(more, 0) END AS deleted, coalesce(restored, 0) AS restored, coalesce(purged, 0) AS purged,
	coalesce(erased, 0) AS erased, changed_at, changed_by::name
FROM soft_delete_internal.ledger LEFT JOIN LATERAL
	(SELECT (sum(rows) FILTER (WHERE event OPERATOR(pg_catalog.=) 'deleted'))::bigint AS more,
		(sum(rows) FILTER (WHERE event OPERATOR(pg_catalog.=) 'restored'))::bigint AS restored,
		(sum(rows) FILTER (WHERE event OPERATOR(pg_catalog.=) 'purged'))::bigint AS purged,
		(sum(rows) FILTER (WHERE event OPERATOR(pg_catalog.=) 'erased'))::bigint AS erased,
		max(happened_at) AS changed_at, (pg_catalog.array_agg(done_by ORDER BY happened_at DESC NULLS LAST))[1] AS changed_by
	 FROM soft_delete_internal.events WHERE events.deleted_at OPERATOR(pg_catalog.=) ledger.deleted_at) AS e ON true
WHERE pg_catalog.has_table_privilege('soft_delete_internal.ledger'::regclass, 'SELECT')
   OR EXISTS (SELECT FROM pg_catalog.pg_roles
			  WHERE oid OPERATOR(pg_catalog.=) roleid AND rolname OPERATOR(pg_catalog.=) deleted_by::name AND pg_catalog.pg_has_role(oid, 'USAGE'));
COMMENT ON VIEW soft_delete.deletions IS
'who deleted when and why, and what has become of it: the deletions of roles whose rights the reader has';
COMMENT ON COLUMN soft_delete.deletions.deleted_at IS 'the stamp that all rows of the deletion carry';
COMMENT ON COLUMN soft_delete.deletions.xid IS 'the transaction, for soft_delete.undo_transaction()';
COMMENT ON COLUMN soft_delete.deletions.deleted_by IS 'the role that deleted';
COMMENT ON COLUMN soft_delete.deletions.session_role IS 'the role that logged in';
COMMENT ON COLUMN soft_delete.deletions.application_name IS 'application_name of the session';
COMMENT ON COLUMN soft_delete.deletions.actor IS 'soft_delete.actor: whom the application acted for';
COMMENT ON COLUMN soft_delete.deletions.reason IS 'soft_delete.reason: why';
COMMENT ON COLUMN soft_delete.deletions.deleted IS 'how many rows it has deleted, in all tables; null if the ledger was not kept yet as it is now';
COMMENT ON COLUMN soft_delete.deletions.restored IS 'how many of them have been restored';
COMMENT ON COLUMN soft_delete.deletions.purged IS 'how many have been purged';
COMMENT ON COLUMN soft_delete.deletions.erased IS 'how many have been erased';
COMMENT ON COLUMN soft_delete.deletions.changed_at IS 'when the last of that has happened';
COMMENT ON COLUMN soft_delete.deletions.changed_by IS 'the role that has done it';

CREATE VIEW soft_delete.events WITH (security_barrier) AS
SELECT e.deleted_at, e.table_name AS relation, e.event, e.rows, coalesce(e.happened_at, ledger.deleted_at) AS happened_at,
	CASE WHEN happened_at IS NULL THEN deleted_by ELSE done_by END::name AS done_by,
	CASE WHEN happened_at IS NULL THEN ledger.actor ELSE e.actor END AS actor,
	CASE WHEN happened_at IS NULL THEN ledger.reason ELSE e.reason END AS reason
FROM soft_delete_internal.ledger JOIN
	(SELECT deleted_at, table_name, 'deleted' AS event, sum(rows)::bigint AS rows, NULL::timestamptz AS happened_at, NULL AS done_by, NULL AS actor, NULL AS reason, NULL::oid AS roleid
	 FROM (SELECT deleted_at, table_name, 1 AS rows FROM soft_delete_internal.ledger WHERE table_name IS NOT NULL
		   UNION ALL SELECT deleted_at, table_name, rows FROM soft_delete_internal.events WHERE event OPERATOR(pg_catalog.=) 'deleted') AS d
	 GROUP BY deleted_at, table_name
	 UNION ALL
	 -- that of many rows is in several
	 SELECT deleted_at, table_name, event, sum(rows)::bigint, happened_at, done_by, actor, reason, roleid
	 FROM soft_delete_internal.events WHERE event OPERATOR(pg_catalog.<>) 'deleted'
	 GROUP BY deleted_at, table_name, event, happened_at, done_by, actor, reason, roleid) AS e ON e.deleted_at OPERATOR(pg_catalog.=) ledger.deleted_at
WHERE e.rows OPERATOR(pg_catalog.<>) 0
  AND (pg_catalog.has_table_privilege('soft_delete_internal.ledger'::regclass, 'SELECT')
	   OR EXISTS (SELECT FROM pg_catalog.pg_roles
				  WHERE oid OPERATOR(pg_catalog.=) ledger.roleid AND rolname OPERATOR(pg_catalog.=) deleted_by::name AND pg_catalog.pg_has_role(oid, 'USAGE'))
	   OR EXISTS (SELECT FROM pg_catalog.pg_roles
				  WHERE oid OPERATOR(pg_catalog.=) e.roleid AND rolname OPERATOR(pg_catalog.=) done_by::name AND pg_catalog.pg_has_role(oid, 'USAGE')));
COMMENT ON VIEW soft_delete.events IS
'what deletions have deleted, and what has become of it, by table: the deletions of roles whose rights the reader has, and what such roles have done';
COMMENT ON COLUMN soft_delete.events.deleted_at IS 'the stamp of the deletion';
COMMENT ON COLUMN soft_delete.events.relation IS 'the table, as schema.name, by the name that it had then; its partitions and inheritance children are counted with it';
COMMENT ON COLUMN soft_delete.events.event IS 'deleted, restored, purged or erased';
COMMENT ON COLUMN soft_delete.events.rows IS 'how many rows of the table';
COMMENT ON COLUMN soft_delete.events.happened_at IS 'when';
COMMENT ON COLUMN soft_delete.events.done_by IS 'the role that has done it';
COMMENT ON COLUMN soft_delete.events.actor IS 'soft_delete.actor at that time: for whom';
COMMENT ON COLUMN soft_delete.events.reason IS 'soft_delete.reason at that time: why';

CREATE VIEW soft_delete.holds WITH (security_barrier) AS
SELECT relation, deleted_at, key, hold, held_by, held_at FROM soft_delete_internal.holds
WHERE pg_catalog.has_table_privilege('soft_delete_internal.holds'::regclass, 'SELECT')
   OR EXISTS (SELECT FROM pg_catalog.pg_class
			  WHERE oid OPERATOR(pg_catalog.=) relation AND pg_catalog.pg_has_role(relowner, 'USAGE'));
COMMENT ON VIEW soft_delete.holds IS 'holds in force, of the tables whose owner''s rights the reader has';
COMMENT ON COLUMN soft_delete.holds.relation IS 'the table; of a row, the table or partition that it is in';
COMMENT ON COLUMN soft_delete.holds.deleted_at IS 'the stamp of what is held';
COMMENT ON COLUMN soft_delete.holds.key IS 'its primary key as text';
COMMENT ON COLUMN soft_delete.holds.hold IS 'why it is held';
COMMENT ON COLUMN soft_delete.holds.held_by IS 'the role that holds it';
COMMENT ON COLUMN soft_delete.holds.held_at IS 'since when';

CREATE VIEW soft_delete.lifted_holds WITH (security_barrier) AS
SELECT relation, deleted_at, key, hold, held_by, held_at, lifted_by, lifted_at FROM soft_delete_internal.lifted_holds
WHERE pg_catalog.has_table_privilege('soft_delete_internal.lifted_holds'::regclass, 'SELECT')
   OR EXISTS (SELECT FROM pg_catalog.pg_roles
			  WHERE oid OPERATOR(pg_catalog.=) roleid AND rolname OPERATOR(pg_catalog.=) owner::name AND pg_catalog.pg_has_role(oid, 'USAGE'));
COMMENT ON VIEW soft_delete.lifted_holds IS 'holds that were lifted, on tables whose owner then is a role whose rights the reader has';
COMMENT ON COLUMN soft_delete.lifted_holds.relation IS 'the table; of a row, the table or partition that it is in';
COMMENT ON COLUMN soft_delete.lifted_holds.deleted_at IS 'the stamp of what is held';
COMMENT ON COLUMN soft_delete.lifted_holds.key IS 'its primary key as text';
COMMENT ON COLUMN soft_delete.lifted_holds.hold IS 'why it is held';
COMMENT ON COLUMN soft_delete.lifted_holds.held_by IS 'the role that holds it';
COMMENT ON COLUMN soft_delete.lifted_holds.held_at IS 'since when';
COMMENT ON COLUMN soft_delete.lifted_holds.lifted_by IS 'the role that lifted it';
COMMENT ON COLUMN soft_delete.lifted_holds.lifted_at IS 'when';

CREATE VIEW soft_delete.tagged_schemas WITH (security_barrier) AS
SELECT schema, exempt, deleted_at, indexes, views, storage, bridge FROM soft_delete_internal.tagged_schemas;
COMMENT ON VIEW soft_delete.tagged_schemas IS 'schemas whose tables are tagged as they come; made by soft_delete.tag_schema()';
COMMENT ON COLUMN soft_delete.tagged_schemas.schema IS 'the schema';
COMMENT ON COLUMN soft_delete.tagged_schemas.exempt IS 'names of tables that are not tagged, whether they exist or not';
COMMENT ON COLUMN soft_delete.tagged_schemas.deleted_at IS 'the tombstone column of new tables';
COMMENT ON COLUMN soft_delete.tagged_schemas.indexes IS 'which of their indexes become partial: ''all'' or ''unique''';
COMMENT ON COLUMN soft_delete.tagged_schemas.views IS 'the schema of their views; null: their own';
COMMENT ON COLUMN soft_delete.tagged_schemas.storage IS 'where their deleted rows are: ''in_place'', ''aside'' or ''aside_monthly''';
COMMENT ON COLUMN soft_delete.tagged_schemas.bridge IS 'the column by which the application deletes softly from those that have it; null: by none';

CREATE VIEW soft_delete.retention WITH (security_barrier) AS
SELECT relation, schema, retain FROM soft_delete_internal.retention;
COMMENT ON VIEW soft_delete.retention IS 'how long deleted rows are kept before a purge takes them; written by soft_delete.retain() and retain_schema()';
COMMENT ON COLUMN soft_delete.retention.relation IS 'the table that it is about; its own retention comes before that of its schema';
COMMENT ON COLUMN soft_delete.retention.schema IS 'or the schema, for all tables in it';
COMMENT ON COLUMN soft_delete.retention.retain IS 'the least age of what is purged; null: never';

CREATE VIEW soft_delete.purge_log WITH (security_barrier) AS
SELECT relation, purged_at, purged_by, rows, oldest, newest, duration,
	CASE WHEN is_told OR error OPERATOR(pg_catalog.=) 'not finished' THEN error WHEN error IS NOT NULL THEN 'failed' END AS error
FROM soft_delete_internal.purge_log CROSS JOIN LATERAL (
	SELECT pg_catalog.has_table_privilege('soft_delete_internal.purge_log'::regclass, 'SELECT')
		OR EXISTS (SELECT FROM pg_catalog.pg_roles
				   WHERE oid OPERATOR(pg_catalog.=) roleid AND rolname OPERATOR(pg_catalog.=) owner::name AND pg_catalog.pg_has_role(oid, 'USAGE'))) AS reader(is_told)
WHERE is_told OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW soft_delete.purge_log IS 'what purges have destroyed, of the tables of roles whose rights the reader has; members of pg_read_all_stats see all, without the texts of errors';
COMMENT ON COLUMN soft_delete.purge_log.relation IS 'the table, as schema.name';
COMMENT ON COLUMN soft_delete.purge_log.purged_at IS 'when the purge of the table began';
COMMENT ON COLUMN soft_delete.purge_log.purged_by IS 'the role';
COMMENT ON COLUMN soft_delete.purge_log.rows IS 'how many rows it has destroyed';
COMMENT ON COLUMN soft_delete.purge_log.oldest IS 'the oldest stamp of those';
COMMENT ON COLUMN soft_delete.purge_log.newest IS 'the newest';
COMMENT ON COLUMN soft_delete.purge_log.duration IS 'how long it took until its last batch ended';
COMMENT ON COLUMN soft_delete.purge_log.error IS 'why it ended early; ''not finished'' while it runs, and afterwards if it was interrupted; the next successful purge has a row even if it destroys nothing; for who has not the owner''s rights only ''failed''';

CREATE VIEW soft_delete.erasures WITH (security_barrier) AS
SELECT relation, key_hash, erased_at, erased_by, rows, owner FROM soft_delete_internal.erasures
WHERE pg_catalog.has_table_privilege('soft_delete_internal.erasures'::regclass, 'SELECT')
   OR EXISTS (SELECT FROM pg_catalog.pg_roles
			  WHERE oid OPERATOR(pg_catalog.=) roleid AND rolname OPERATOR(pg_catalog.=) owner::name AND pg_catalog.pg_has_role(oid, 'USAGE'));
COMMENT ON VIEW soft_delete.erasures IS 'proofs of erasures, of the tables of roles whose rights the reader has';
COMMENT ON COLUMN soft_delete.erasures.relation IS 'the table';
COMMENT ON COLUMN soft_delete.erasures.key_hash IS 'SHA-256 of the primary key as the text of an array of texts, such as {1}: who can guess the key can test it';
COMMENT ON COLUMN soft_delete.erasures.erased_at IS 'when';
COMMENT ON COLUMN soft_delete.erasures.erased_by IS 'the role that erased';
COMMENT ON COLUMN soft_delete.erasures.rows IS 'how many rows were destroyed, in all tables';
COMMENT ON COLUMN soft_delete.erasures.owner IS 'the owner of the table then: the proof is about no table of another role';

CREATE VIEW soft_delete.tables AS
SELECT relation, tombstone_column, bin, active_view, live_rows, deleted_rows, graveyard_share, displaced_rows, oldest, retention, due_rows,
	last_purge, last_purge_rows, last_purge_result, index_bytes_saved, storage, companion, companion_bytes, holds, bridge, ledger_bytes
FROM soft_delete.list_tables() AS t(relation regclass, tombstone_column name, bin regclass, active_view regclass, live_rows bigint, deleted_rows bigint, graveyard_share numeric,
	displaced_rows bigint, oldest timestamptz, retention interval, due_rows bigint, last_purge timestamptz, last_purge_rows bigint, last_purge_result text,
	index_bytes_saved bigint, storage text, companion regclass, companion_bytes bigint, holds bigint, bridge text, ledger_bytes bigint);
COMMENT ON VIEW soft_delete.tables IS
'the tagged tables of which the reader may know figures: those that it owns or whose bin it may read, or all for members of pg_read_all_stats';
COMMENT ON COLUMN soft_delete.tables.relation IS 'the table; its partitions and inheritance children are counted with it';
COMMENT ON COLUMN soft_delete.tables.tombstone_column IS 'the column that holds the stamp';
COMMENT ON COLUMN soft_delete.tables.bin IS 'the view of its deleted rows';
COMMENT ON COLUMN soft_delete.tables.active_view IS 'the view of its live rows';
COMMENT ON COLUMN soft_delete.tables.live_rows IS 'live rows: an estimate';
COMMENT ON COLUMN soft_delete.tables.deleted_rows IS 'deleted rows in the table: exact up to 1,000, else an estimate; null without an index of the bin';
COMMENT ON COLUMN soft_delete.tables.graveyard_share IS 'deleted rows as a share of all rows in the table: an estimate';
COMMENT ON COLUMN soft_delete.tables.displaced_rows IS 'deleted rows outside of the table, because a live row has their key: exact';
COMMENT ON COLUMN soft_delete.tables.oldest IS 'the stamp of the oldest deleted row: exact; null without an index of the bin';
COMMENT ON COLUMN soft_delete.tables.retention IS 'how long deleted rows are kept, by the retention of the table, of its schema, or of the tables whose deletes reach it by CASCADE; null: for ever';
COMMENT ON COLUMN soft_delete.tables.due_rows IS 'deleted rows that are older than that, held ones too: exact up to 1,000, else an estimate';
COMMENT ON COLUMN soft_delete.tables.last_purge IS 'when the last purge of the table that the log knows began';
COMMENT ON COLUMN soft_delete.tables.last_purge_rows IS 'how many rows that has destroyed';
COMMENT ON COLUMN soft_delete.tables.last_purge_result IS 'done; not finished, which one that was broken off stays; or failed, and for the owner of the table why';
COMMENT ON COLUMN soft_delete.tables.index_bytes_saved IS
'what the deleted rows would take in the indexes that tag() made partial: an estimate, from indexes of 1,000 entries and more';
COMMENT ON COLUMN soft_delete.tables.storage IS 'where deleted rows are: ''in_place'' or ''aside''';
COMMENT ON COLUMN soft_delete.tables.companion IS 'the table that has those that are aside, or have stepped aside';
COMMENT ON COLUMN soft_delete.tables.companion_bytes IS 'its size, with indexes and values out of line';
COMMENT ON COLUMN soft_delete.tables.holds IS 'holds in force, on the table, on deletions and on rows: exact';
COMMENT ON COLUMN soft_delete.tables.bridge IS 'the column by which the application deletes softly by itself, as tag() is told it';
COMMENT ON COLUMN soft_delete.tables.ledger_bytes IS 'size of the ledger with its events, which is one for all tables: the same in each row';

/*
 * For monitors: one row per figure
 */
CREATE VIEW soft_delete.metrics AS
SELECT name, pg_catalog.jsonb_build_object('schema', nspname, 'table', relname) AS labels, value
FROM soft_delete.tables
	JOIN pg_catalog.pg_class ON pg_class.oid = relation
	JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
	CROSS JOIN LATERAL (VALUES
		('soft_delete_live_rows', live_rows::double precision),
		('soft_delete_deleted_rows', deleted_rows),
		('soft_delete_displaced_rows', displaced_rows),
		('soft_delete_graveyard_ratio', graveyard_share),
		('soft_delete_oldest_timestamp_seconds', extract(epoch FROM oldest)),
		('soft_delete_retention_seconds', extract(epoch FROM retention)),
		('soft_delete_due_rows', due_rows),
		('soft_delete_last_purge_timestamp_seconds', extract(epoch FROM last_purge)),
		('soft_delete_last_purge_rows', last_purge_rows),
		('soft_delete_last_purge_failed', (last_purge_result LIKE 'failed%')::integer),
		('soft_delete_index_saved_bytes', index_bytes_saved),
		('soft_delete_companion_bytes', companion_bytes),
		('soft_delete_holds', holds)) AS figures(name, value)
WHERE value IS NOT NULL;
COMMENT ON VIEW soft_delete.metrics IS
'the figures of soft_delete.tables as gauges in the sense of OpenMetrics';
COMMENT ON COLUMN soft_delete.metrics.name IS 'its name, which says the unit';
COMMENT ON COLUMN soft_delete.metrics.labels IS 'schema and table';
COMMENT ON COLUMN soft_delete.metrics.value IS 'its value; there is no row for what is not known';
