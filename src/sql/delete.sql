/*
 * The triggers of a tagged table, and the ledger: one row for each deletion.
 */

CREATE FUNCTION soft_delete.delete_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_delete_row';
COMMENT ON FUNCTION soft_delete.delete_row() IS
'the tag: a table is tagged exactly when it carries this BEFORE DELETE trigger; made by soft_delete.tag()';

CREATE FUNCTION soft_delete.guard_truncate() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_guard_truncate';
COMMENT ON FUNCTION soft_delete.guard_truncate() IS
'BEFORE TRUNCATE trigger of a tagged table: refuses what the library does not carry out softly, unless soft_delete.truncate is hard';

CREATE FUNCTION soft_delete.guard_companion() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_guard_companion';
COMMENT ON FUNCTION soft_delete.guard_companion() IS
'BEFORE statement trigger of the companion of a table whose deleted rows are kept aside: refuses what is not the extension''s own, or a dump''s';

CREATE TABLE soft_delete_internal.ledger (
	deleted_at timestamptz PRIMARY KEY,
	xid xid8 NOT NULL,
	-- not name, whose values take 64 bytes each
	deleted_by text NOT NULL,
	session_role text NOT NULL,
	application_name text,
	actor text,
	reason text,
	roleid oid NOT NULL,
	-- the name, not regclass: the record outlives the table
	table_name text
) USING heap;
-- rows of this table are not replicated, even where a publication has all tables
ALTER TABLE soft_delete_internal.ledger REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.ledger IS
'one row per deletion, written by the library; read the view soft_delete.deletions';
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.ledger', '');

CREATE TABLE soft_delete_internal.events (
	deleted_at timestamptz NOT NULL,
	event text NOT NULL CHECK (event IN ('deleted', 'restored', 'purged', 'erased')),
	table_name text NOT NULL,
	rows bigint NOT NULL,
	happened_at timestamptz,
	done_by text,
	actor text,
	reason text,
	roleid oid,
	-- of rows that were restored: for history(), in place of the keys
	key_hashes bigint[]
) USING heap;
ALTER TABLE soft_delete_internal.events REPLICA IDENTITY NOTHING;
CREATE INDEX events_deleted_at_idx ON soft_delete_internal.events (deleted_at);
COMMENT ON TABLE soft_delete_internal.events IS
'what becomes of deletions, written by the library and never changed; read the view soft_delete.events';
COMMENT ON COLUMN soft_delete_internal.events.rows IS
'how many rows; of a deletion, those that its row of the ledger does not stand for: that is one of the first table';
COMMENT ON INDEX soft_delete_internal.events_deleted_at_idx IS 'finds the events of a deletion';
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.events', '');

CREATE TABLE soft_delete_internal.truncations (
	deleted_at timestamptz NOT NULL,
	relation regclass NOT NULL
) USING heap;
CREATE INDEX truncations_deleted_at_idx ON soft_delete_internal.truncations (deleted_at);
ALTER TABLE soft_delete_internal.truncations REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.truncations IS
'tables that deletions truncated: a restore of their rows fires no row triggers, as TRUNCATE fired none';
-- COPY would fail for a table that the restored database does not have, such as a temporary one
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.truncations',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');
