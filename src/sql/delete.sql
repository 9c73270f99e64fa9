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
	key_hashes bigint[],
	-- of the table, then: another one may have its name by now
	owner text,
	ownerid oid
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

/*
 * A dump may be restored beside records that were not dropped with the schema of the
 * application.  The library writes without triggers, so these see rows of dumps alone.
 */
CREATE FUNCTION soft_delete_internal.merge_ledger() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM soft_delete_internal.ledger AS l WHERE l.deleted_at = NEW.deleted_at AND l.xid = NEW.xid AND l.deleted_by = NEW.deleted_by) THEN
		RETURN NULL;
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.merge_ledger() IS
'trigger function of the ledger, for dumps: leaves out a deletion that the ledger has';
CREATE TRIGGER merge BEFORE INSERT ON soft_delete_internal.ledger
	FOR EACH ROW EXECUTE FUNCTION soft_delete_internal.merge_ledger();
COMMENT ON TRIGGER merge ON soft_delete_internal.ledger IS 'leaves out a deletion that the ledger has';

CREATE FUNCTION soft_delete_internal.merge_events() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- rows of the dump itself may be equal
	IF EXISTS (SELECT FROM soft_delete_internal.events AS e WHERE e.deleted_at = NEW.deleted_at AND e.* IS NOT DISTINCT FROM NEW AND NOT soft_delete_internal.is_own_transaction(e.xmin)) THEN
		RETURN NULL;
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.merge_events() IS
'trigger function of the events, for dumps: leaves out an event that is there';
CREATE TRIGGER merge BEFORE INSERT ON soft_delete_internal.events
	FOR EACH ROW EXECUTE FUNCTION soft_delete_internal.merge_events();
COMMENT ON TRIGGER merge ON soft_delete_internal.events IS 'leaves out an event that is there';
