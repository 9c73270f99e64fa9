/*
 * Holds: which deleted rows must not be destroyed or restored.
 */

CREATE TABLE soft_delete_internal.holds (
	relation regclass NOT NULL,
	deleted_at timestamptz,
	key text[],
	hold text NOT NULL CHECK (hold <> '' AND octet_length(hold) <= 10000),
	held_by text NOT NULL,
	held_at timestamptz NOT NULL
) USING heap;
-- not unique: a hold may be too long for an index, and who places one has locked what it is on
CREATE INDEX holds_relation_deleted_at_key_idx ON soft_delete_internal.holds (relation, deleted_at, key);
-- rows of this table are not replicated, even where a publication has all tables
ALTER TABLE soft_delete_internal.holds REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.holds IS
'holds in force: on a deleted row, on the row with a key (deleted_at is null), on what one deletion took from a table (key is null), or on all that is deleted from a table (both are null)';
COMMENT ON COLUMN soft_delete_internal.holds.relation IS 'the table; of a row, the table or partition that it is in';
COMMENT ON COLUMN soft_delete_internal.holds.deleted_at IS 'the stamp of what is held';
COMMENT ON COLUMN soft_delete_internal.holds.key IS 'its primary key as text';
COMMENT ON COLUMN soft_delete_internal.holds.hold IS 'why it is held';
COMMENT ON COLUMN soft_delete_internal.holds.held_by IS 'the role that holds it';
COMMENT ON COLUMN soft_delete_internal.holds.held_at IS 'since when';
-- COPY would fail for a table that the restored database does not have, such as a temporary one
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.holds',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

CREATE TABLE soft_delete_internal.lifted_holds (
	-- the name, not regclass: the record outlives the table
	relation text NOT NULL,
	deleted_at timestamptz,
	key text[],
	hold text NOT NULL,
	held_by text NOT NULL,
	held_at timestamptz NOT NULL,
	lifted_by text NOT NULL,
	lifted_at timestamptz NOT NULL,
	-- the owner of the table then, to whom the record belongs; another role may have the name by now
	owner text,
	roleid oid
) USING heap;
ALTER TABLE soft_delete_internal.lifted_holds REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.lifted_holds IS
'holds that were lifted';
COMMENT ON COLUMN soft_delete_internal.lifted_holds.lifted_by IS 'the role that lifted it';
COMMENT ON COLUMN soft_delete_internal.lifted_holds.lifted_at IS 'when';
COMMENT ON COLUMN soft_delete_internal.lifted_holds.owner IS 'the role that owned the table then';
COMMENT ON COLUMN soft_delete_internal.lifted_holds.roleid IS 'its OID';
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.lifted_holds', '');

CREATE FUNCTION soft_delete_internal.set_hold(relation regclass, deleted_at timestamptz, hold text) RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_set_hold';
COMMENT ON FUNCTION soft_delete_internal.set_hold(regclass, timestamptz, text) IS
'holds the rows that a deletion deleted from a table, or all deleted rows where deleted_at is null; a null hold lifts all such holds; returns false if there was none';

CREATE FUNCTION soft_delete_internal.may_hold(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_may_hold';
COMMENT ON FUNCTION soft_delete_internal.may_hold(regclass) IS
'whether the caller may hold deleted rows of a table: its owner, and who may update column hold of its bin';

CREATE FUNCTION soft_delete_internal.spares_held(relation oid, place tid, internal) RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'soft_delete_spares_held';
COMMENT ON FUNCTION soft_delete_internal.spares_held(oid, tid, internal) IS
'for statements of maintenance sessions: raises 55006 if a deleted row that is going to be changed is held';

CREATE FUNCTION soft_delete_internal.check_holds(relation regclass, action text, former_parents regclass[] DEFAULT '{}') RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_check_holds';
COMMENT ON FUNCTION soft_delete_internal.check_holds(regclass, text, regclass[]) IS
'raises 55006 if rows of a table are held, also by holds on tables that were its ancestors until now; action: the verb of the message';

/*
 * A hold on the key of a live row follows the row.
 */
CREATE FUNCTION soft_delete_internal.follow_hold() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_hold';
COMMENT ON FUNCTION soft_delete_internal.follow_hold() IS
'trigger of the primary key of a table with holds on keys: moves these to the new key of a row';

CREATE FUNCTION soft_delete_internal.make_hold_triggers(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_make_hold_triggers';
COMMENT ON FUNCTION soft_delete_internal.make_hold_triggers(regclass) IS
'creates the triggers that a table and its partitions need for holds on their keys, and drops those of a table that is not tagged';

/*
 * A hold finds its row by the text of the primary key.
 */
CREATE FUNCTION soft_delete_internal.held_by_altered_types() RETURNS regclass[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE parts(relation, type) AS (
		SELECT conrelid::regclass, atttypid
		FROM (SELECT DISTINCT relation FROM soft_delete_internal.holds WHERE key IS NOT NULL) AS held
			JOIN pg_constraint ON conrelid = relation AND contype = 'p' JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
		UNION
		SELECT relation, part
		FROM parts JOIN pg_type ON pg_type.oid = type,
			LATERAL (SELECT typelem UNION ALL SELECT typbasetype
					 UNION ALL SELECT atttypid FROM pg_attribute WHERE attrelid = typrelid AND attnum > 0 AND NOT attisdropped
					 UNION ALL SELECT rngsubtype FROM pg_range WHERE type IN (rngtypid, rngmultitypid)) AS p(part)
		WHERE part <> 0
	)
	SELECT coalesce(array_agg(DISTINCT relation), '{}') FROM parts
	WHERE type IN (SELECT CASE WHEN classid = 'pg_type'::regclass THEN objid ELSE (SELECT reltype FROM pg_class WHERE pg_class.oid = objid) END
				   FROM pg_event_trigger_ddl_commands() WHERE classid IN ('pg_type'::regclass, 'pg_class'::regclass))
$$;
COMMENT ON FUNCTION soft_delete_internal.held_by_altered_types() IS
'for event triggers: the tables with held rows whose primary key has a type that ALTER TYPE has changed, or an array, a domain, a composite or a range of it';

CREATE FUNCTION soft_delete_internal.check_held_keys(members regclass[], retyped regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	lost text;
BEGIN
	-- each ALTER TABLE asks
	IF NOT EXISTS (SELECT FROM soft_delete_internal.holds WHERE key IS NOT NULL) THEN
		RETURN;
	END IF;
	FOR item IN
		SELECT relation, min(hold) AS hold, soft_delete_internal.caller_owns(relation) AS is_own,
			relation = ANY (retyped) OR
			EXISTS (SELECT FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
					WHERE conrelid = relation AND contype = 'p'
					  AND (soft_delete_internal.is_own_transaction(pg_constraint.xmin) OR soft_delete_internal.is_own_transaction(pg_attribute.xmin))) AS is_changed,
			soft_delete_internal.key_expressions(relation) AS columns,
			quote_ident((soft_delete_internal.tag_arguments(relation))[1]) AS stamp
		FROM soft_delete_internal.holds JOIN pg_class ON pg_class.oid = relation
		WHERE key IS NOT NULL AND relation = ANY (members || retyped)
		  -- a table that cannot be read must not keep others from altering types
		  AND NOT pg_is_other_temp_schema(relnamespace) AND has_table_privilege(relowner, pg_class.oid, 'SELECT')
		GROUP BY relation, relowner
	LOOP
		lost := item.hold;
		BEGIN
			IF item.columns IS NOT NULL THEN
				-- as the owner: to plan the query may call functions that the owner has written
				lost := (SELECT answer FROM soft_delete_internal.query_as_owner(item.relation,
						format('SELECT min(hold) FROM soft_delete.holds AS h WHERE relation = %4$L::regclass AND key IS NOT NULL AND (deleted_at IS NOT NULL OR %5$L AND NOT EXISTS '
							   -- a hold on a key may be on a live row
							   '(SELECT FROM %4$s AS t WHERE ARRAY[%2$s] = h.key)) AND NOT EXISTS '
							   '(SELECT FROM (SELECT %1$s, ARRAY[%2$s] FROM %3$s) AS r(stamp, key) WHERE r.stamp = coalesce(h.deleted_at, r.stamp) AND r.key = h.key)',
							   item.stamp, item.columns, soft_delete_internal.from_item(item.relation, 't', 'tombstones'), item.relation, item.is_changed), form => 'key') AS q(answer text));
			END IF;
		EXCEPTION WHEN OTHERS THEN
			-- an error in another role's table is no reason to refuse the command
			IF item.is_own OR soft_delete_internal.must_propagate(SQLSTATE) THEN
				RAISE;
			END IF;
			lost := NULL;
			RAISE WARNING 'could not search for held rows of table "%": %', item.relation, SQLERRM
				USING ERRCODE = '01000';
		END;
		IF lost IS NOT NULL THEN
			RAISE EXCEPTION 'cannot change the primary key of table "%", by which held rows are known%', item.relation, CASE WHEN item.is_own THEN ': ' || lost ELSE '' END
				USING ERRCODE = 'object_in_use',
					DETAIL = 'A hold would not find its row any more.',
					HINT = format('SELECT soft_delete.hold(%1$L, hold) FROM soft_delete.holds WHERE relation = %1$L::regclass AND key IS NOT NULL; '
								  'SELECT soft_delete.lift(%1$L, VARIADIC key || hold) FROM soft_delete.holds WHERE relation = %1$L::regclass AND key IS NOT NULL;', item.relation);
		END IF;
		-- they went with the former primary key
		PERFORM soft_delete_internal.make_hold_triggers(item.relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_held_keys(regclass[], regclass[]) IS
'for event triggers: raises 55006 if a held row of these tables is not found by its key; retyped: those whose primary key has a type that has changed';

CREATE FUNCTION soft_delete_internal.hold(relation regclass, hold text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
	was_held boolean;
BEGIN
	-- not within the condition of IF: it is not evaluated where the rest decides
	IF soft_delete_internal.sharded_tag(relation) IS NOT NULL THEN
		was_held := soft_delete_internal.hold_sharded(relation, hold);
	ELSE
		was_held := soft_delete_internal.set_hold(relation, NULL, hold);
	END IF;
	IF NOT was_held AND hold IS NULL THEN
		RAISE NOTICE 'table "%" is not held', relation;
	END IF;
	-- a key that no name follows is taken for a name
	IF EXISTS (SELECT FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey) JOIN pg_type ON pg_type.oid = atttypid
			   WHERE conrelid = relation AND contype = 'p' AND cardinality(conkey) = 1
				 AND CASE typcategory WHEN 'N' THEN hold ~ '^\s*[-+]?\d+\s*$' WHEN 'S' THEN hold IS NOT NULL
						ELSE atttypid = 'uuid'::regtype AND hold ~* '^\s*[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\s*$' END) THEN
		RAISE NOTICE 'all that is deleted from table "%" is held: %', relation, hold
			USING DETAIL = 'A single row is held by its key, which comes before the name of the hold.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold(regclass, text) IS
'does soft_delete.hold()';

CREATE FUNCTION soft_delete_internal.hold_schema(schema name, hold text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tables regclass[] := ARRAY(SELECT relation FROM soft_delete_internal.tagged_tables() JOIN pg_class ON oid = relation
							   WHERE relnamespace = to_regnamespace(quote_ident(hold_schema.schema)) ORDER BY relation);
	sharded regclass[] := ARRAY(SELECT s.relation FROM soft_delete_internal.sharded_tables() AS s JOIN pg_class ON oid = s.relation
								WHERE relnamespace = to_regnamespace(quote_ident(hold_schema.schema)) ORDER BY s.relation);
	relation regclass;
	held bigint := 0;
BEGIN
	IF tables || sharded = '{}' THEN
		RAISE EXCEPTION 'no table of schema "%" is tagged', schema
			USING ERRCODE = 'undefined_object',
				DETAIL = 'Only rows of tagged tables can be held.';
	END IF;
	FOREACH relation IN ARRAY tables LOOP
		held := held + soft_delete_internal.set_hold(relation, NULL, hold)::integer;
	END LOOP;
	FOREACH relation IN ARRAY sharded LOOP
		held := held + soft_delete_internal.hold_sharded(relation, hold)::integer;
	END LOOP;
	RETURN held;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_schema(name, text) IS
'does soft_delete.hold_schema()';

CREATE FUNCTION soft_delete_internal.has_deletion(relation regclass, tombstone name, deleted_at timestamptz) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $$
DECLARE
	found boolean;
BEGIN
	SELECT answer INTO found FROM soft_delete_internal.query_as_owner(relation,
		format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L::timestamptz)', soft_delete_internal.bin_of(relation), tombstone, deleted_at)) AS q(answer boolean);
	RAISE SQLSTATE 'SDEND';	-- as in list_tables()
EXCEPTION WHEN SQLSTATE 'SDEND' THEN
	RETURN found;
WHEN OTHERS THEN
	PERFORM soft_delete_internal.warn_unreadable(relation, SQLSTATE, SQLERRM);
	RETURN false;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.has_deletion(regclass, name, timestamptz) IS
'whether a table has rows that a deletion has deleted; warns and says no if its bin cannot be read';

CREATE FUNCTION soft_delete_internal.hold_deletion(deleted_at timestamptz, hold text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	found boolean;
	tables bigint := 0;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.tagged_tables() AS tagged WHERE soft_delete_internal.may_hold(tagged.relation) LOOP
		found := hold IS NULL AND EXISTS (SELECT FROM soft_delete_internal.holds AS h
										  WHERE h.relation = item.relation AND h.deleted_at = hold_deletion.deleted_at AND key IS NULL);
		IF hold IS NOT NULL AND soft_delete_internal.bin_of(item.relation) IS NOT NULL THEN
			found := soft_delete_internal.has_deletion(item.relation, item.tombstone_column, deleted_at);
		END IF;
		IF found THEN
			BEGIN
				found := soft_delete_internal.set_hold(item.relation, deleted_at, hold);
				-- it may have waited for who has purged or restored the rows
				IF hold IS NOT NULL AND NOT soft_delete_internal.has_deletion(item.relation, item.tombstone_column, deleted_at) THEN
					RAISE no_data_found;
				END IF;
				tables := tables + found::integer;
			EXCEPTION WHEN no_data_found THEN
				NULL; -- the hold is undone
			END;
		END IF;
	END LOOP;
	tables := tables + soft_delete_internal.hold_sharded_deletion(deleted_at, hold);
	IF tables = 0 AND hold IS NOT NULL THEN
		RAISE EXCEPTION 'no deleted row that you may hold carries the stamp %', deleted_at
			USING ERRCODE = 'undefined_object',
				HINT = 'SELECT * FROM soft_delete.deletions ORDER BY deleted_at DESC;';
	END IF;
	RETURN tables;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_deletion(timestamptz, text) IS
'does soft_delete.hold_deletion()';

CREATE FUNCTION soft_delete_internal.holds_without_rows(table_name regclass, tombstone name, OUT relation regclass, OUT deleted_at timestamptz) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $$
DECLARE
	bin regclass := soft_delete_internal.bin_of(table_name);
BEGIN
	FOR relation, deleted_at IN
		SELECT h.relation, h.deleted_at FROM soft_delete_internal.holds AS h
		WHERE h.relation IN (SELECT soft_delete_internal.inheritance_tree(table_name)) AND h.deleted_at IS NOT NULL AND h.key IS NULL
		  AND bin IS NOT NULL AND soft_delete_internal.has_column(soft_delete_internal.tombstones_in(table_name), tombstone)
	LOOP
		IF NOT (SELECT answer FROM soft_delete_internal.query_as_owner(table_name,
				format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L::timestamptz AND %I = ANY (%L::oid[]))', bin, tombstone,
					   deleted_at, (soft_delete_internal.bin_columns(table_name))[5], ARRAY[soft_delete_internal.tombstones_in(relation)::oid, soft_delete_internal.companion_of(relation)::oid] || ARRAY(SELECT soft_delete_internal.inheritance_tree(relation)::oid))) AS q(answer boolean)) THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.holds_without_rows(regclass, name) IS
'the holds on deletions that have no row left in a table';
