/*
 * Holds: what must not be destroyed
 */

CREATE TABLE soft_delete_internal.holds (
	relation regclass NOT NULL,
	deleted_at timestamptz,
	key text[],
	hold text NOT NULL,
	held_by text NOT NULL,
	held_at timestamptz NOT NULL,
	UNIQUE NULLS NOT DISTINCT (relation, deleted_at, key)
) USING heap;
-- what is held here is nobody else's business, neither as it is written nor as it goes
ALTER TABLE soft_delete_internal.holds REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.holds IS
'holds in force: on a deleted row, on what one deletion took from a table (key is null), or on all that is deleted from a table (deleted_at is null, too)';
COMMENT ON COLUMN soft_delete_internal.holds.relation IS 'the table; of a row, the table or partition that it is in';
COMMENT ON COLUMN soft_delete_internal.holds.deleted_at IS 'the stamp of what is held';
COMMENT ON COLUMN soft_delete_internal.holds.key IS 'its primary key as text';
COMMENT ON COLUMN soft_delete_internal.holds.hold IS 'why it is held';
COMMENT ON COLUMN soft_delete_internal.holds.held_by IS 'the role that holds it';
COMMENT ON COLUMN soft_delete_internal.holds.held_at IS 'since when';
-- a name that the new database does not have would make it refuse all rows
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.holds',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

/* The owner of a table may see them. */
ALTER TABLE soft_delete_internal.holds ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_own_tables ON soft_delete_internal.holds USING
	(EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) relation AND pg_catalog.pg_has_role(relowner, 'USAGE')));
COMMENT ON POLICY of_own_tables ON soft_delete_internal.holds IS 'the owner of a table sees what is held in it';
GRANT SELECT ON soft_delete_internal.holds TO PUBLIC;

CREATE TABLE soft_delete_internal.lifted_holds (
	-- a name: the table may be gone
	relation text NOT NULL,
	deleted_at timestamptz,
	key text[],
	hold text NOT NULL,
	held_by text NOT NULL,
	held_at timestamptz NOT NULL,
	lifted_by text NOT NULL,
	lifted_at timestamptz NOT NULL
) USING heap;
ALTER TABLE soft_delete_internal.lifted_holds REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.lifted_holds IS
'holds that were lifted, or replaced by others';
COMMENT ON COLUMN soft_delete_internal.lifted_holds.lifted_by IS 'the role that lifted it';
COMMENT ON COLUMN soft_delete_internal.lifted_holds.lifted_at IS 'when';
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.lifted_holds', '');

ALTER TABLE soft_delete_internal.lifted_holds ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_own_tables ON soft_delete_internal.lifted_holds USING (soft_delete_internal.owns_named(relation));
COMMENT ON POLICY of_own_tables ON soft_delete_internal.lifted_holds IS 'the owner of a table sees what was held in it';
GRANT SELECT ON soft_delete_internal.lifted_holds TO PUBLIC;

CREATE VIEW soft_delete.holds WITH (security_barrier) AS
SELECT relation, deleted_at, key, hold, held_by, held_at FROM soft_delete_internal.holds
WHERE EXISTS (SELECT FROM pg_catalog.pg_class
			  WHERE oid OPERATOR(pg_catalog.=) relation AND pg_catalog.pg_has_role(relowner, 'USAGE'));
COMMENT ON VIEW soft_delete.holds IS 'holds in force, of the tables whose owner''s rights the reader has';
COMMENT ON COLUMN soft_delete.holds.relation IS 'the table; of a row, the table or partition that it is in';
COMMENT ON COLUMN soft_delete.holds.deleted_at IS 'the stamp of what is held';
COMMENT ON COLUMN soft_delete.holds.key IS 'its primary key as text';
COMMENT ON COLUMN soft_delete.holds.hold IS 'why it is held';
COMMENT ON COLUMN soft_delete.holds.held_by IS 'the role that holds it';
COMMENT ON COLUMN soft_delete.holds.held_at IS 'since when';
GRANT SELECT ON soft_delete.holds TO PUBLIC;

CREATE VIEW soft_delete.lifted_holds WITH (security_barrier) AS
SELECT relation, deleted_at, key, hold, held_by, held_at, lifted_by, lifted_at FROM soft_delete_internal.lifted_holds
WHERE EXISTS (SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid OPERATOR(pg_catalog.=) relnamespace
			  WHERE pg_catalog.format('%I.%I', nspname, relname) OPERATOR(pg_catalog.=) relation AND pg_catalog.pg_has_role(relowner, 'USAGE'));
COMMENT ON VIEW soft_delete.lifted_holds IS 'holds that were lifted, or replaced by others, of the tables whose owner''s rights the reader has';
COMMENT ON COLUMN soft_delete.lifted_holds.relation IS 'the table; of a row, the table or partition that it is in';
COMMENT ON COLUMN soft_delete.lifted_holds.deleted_at IS 'the stamp of what is held';
COMMENT ON COLUMN soft_delete.lifted_holds.key IS 'its primary key as text';
COMMENT ON COLUMN soft_delete.lifted_holds.hold IS 'why it is held';
COMMENT ON COLUMN soft_delete.lifted_holds.held_by IS 'the role that holds it';
COMMENT ON COLUMN soft_delete.lifted_holds.held_at IS 'since when';
COMMENT ON COLUMN soft_delete.lifted_holds.lifted_by IS 'the role that lifted it';
COMMENT ON COLUMN soft_delete.lifted_holds.lifted_at IS 'when';
GRANT SELECT ON soft_delete.lifted_holds TO PUBLIC;

CREATE FUNCTION soft_delete_internal.set_hold(relation regclass, deleted_at timestamptz, hold text) RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_set_hold';
COMMENT ON FUNCTION soft_delete_internal.set_hold(regclass, timestamptz, text) IS
'holds what a deletion took from a table, or, where that is null, all that is deleted from it; a null hold lifts; returns whether there was such a hold';

CREATE FUNCTION soft_delete_internal.may_hold(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_may_hold';
COMMENT ON FUNCTION soft_delete_internal.may_hold(regclass) IS
'whether the caller may hold deleted rows of a table: its owner, and who may update column hold of its bin';

CREATE FUNCTION soft_delete_internal.lift_holds(relation oid, name text) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_lift_holds';
COMMENT ON FUNCTION soft_delete_internal.lift_holds(oid, text) IS
'lifts all holds on a table that is gone';
REVOKE EXECUTE ON FUNCTION soft_delete_internal.lift_holds(oid, text) FROM PUBLIC;

CREATE FUNCTION soft_delete_internal.spares_held(relation oid, place tid, internal) RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'soft_delete_spares_held';
COMMENT ON FUNCTION soft_delete_internal.spares_held(oid, tid, internal) IS
'for statements of maintenance sessions: raises 55006 if a deleted row that is going to be changed is held';

CREATE FUNCTION soft_delete_internal.copy_holds(relation regclass, partition regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_copy_holds';
COMMENT ON FUNCTION soft_delete_internal.copy_holds(regclass, regclass) IS
'holds for a table that is a partition no more what is held for the table that it was one of';

CREATE FUNCTION soft_delete_internal.check_holds(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
DECLARE
	item soft_delete_internal.holds;
BEGIN
	SELECT * INTO item FROM soft_delete_internal.holds AS h
	WHERE h.relation IN (SELECT soft_delete_internal.family(check_holds.relation)) ORDER BY deleted_at NULLS FIRST, key NULLS FIRST LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'table "%" is held: %', relation, item.hold
			USING ERRCODE = 'object_in_use',
				DETAIL = 'Without the tag nothing would keep what is held from being destroyed.',
				HINT = 'Lift the hold first: ' || CASE
					WHEN item.deleted_at IS NULL THEN format('SELECT soft_delete.hold(%L, NULL);', item.relation)
					WHEN item.key IS NULL THEN format('SELECT soft_delete.hold_deletion(%L, NULL);', item.deleted_at)
					ELSE format('UPDATE %s SET %I = NULL;', soft_delete_internal.bin_of(relation), (soft_delete_internal.bin_columns(relation))[4]) END;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_holds(regclass) IS
'raises 55006 if a table, or a deleted row of it, is held';

/*
 * A hold finds its row by the text of the primary key.
 *
 * Security definer: who alters a type need not own the tables that use it.
 */
CREATE FUNCTION soft_delete_internal.check_held_keys(members regclass[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET lc_monetary = 'C' SET xmloption = 'content'
SET timezone = 'UTC' SET bytea_output = 'hex'
AS $$
DECLARE
	item record;
	lost text;
BEGIN
	FOR item IN
		SELECT relation, min(hold) AS hold,
			(SELECT string_agg(format('format(''%%s'', %I)', attname), ', ' ORDER BY n)
			 FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum)
			 WHERE conrelid = relation AND contype = 'p' AND attrelid = conrelid) AS columns,
			(SELECT format(CASE atttypid WHEN 'timestamp'::regtype THEN 'timezone(''UTC'', %I)' ELSE '%I' END, attname) FROM pg_attribute
			 WHERE attrelid = relation AND attname = (soft_delete_internal.tag_arguments(relation))[1]) AS stamp
		FROM soft_delete_internal.holds JOIN pg_class ON pg_class.oid = relation
		WHERE key IS NOT NULL AND (members IS NULL OR relation = ANY (members))
		  -- what cannot be read must not keep others from altering their types
		  AND NOT pg_is_other_temp_schema(relnamespace) AND has_table_privilege(relowner, pg_class.oid, 'SELECT')
		GROUP BY relation
	LOOP
		lost := item.hold;
		IF item.columns IS NOT NULL THEN
			-- not by ourselves: to plan a query may call functions that the owner of the table has written
			lost := soft_delete_internal.ask_as_owner(item.relation,
					format('SELECT min(hold) FROM soft_delete_internal.holds AS h WHERE relation = %4$L::regclass AND key IS NOT NULL AND NOT EXISTS '
						   '(SELECT FROM (SELECT %1$s, ARRAY[%2$s] FROM ONLY %3$s TABLESAMPLE soft_delete.rows(''all'') '
						   'UNION ALL SELECT %1$s, ARRAY[%2$s] FROM ONLY %3$s TABLESAMPLE soft_delete.rows(''displaced'')) AS r(stamp, key) '
						   'WHERE r.stamp = h.deleted_at AND r.key = h.key)', item.stamp, item.columns, item.relation, item.relation::oid));
		END IF;
		IF lost IS NOT NULL THEN
			RAISE EXCEPTION 'cannot change the primary key of table "%", by which held rows are known: %', item.relation, lost
				USING ERRCODE = 'object_in_use',
					DETAIL = 'A hold would not find its row any more.',
					HINT = format('Hold the table, SELECT soft_delete.hold(%L, ''why''), and then lift the holds on its rows.', item.relation);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_held_keys(regclass[]) IS
'for event triggers: raises 55006 if a held row of these tables, or of any, is not found by its key';

CREATE FUNCTION soft_delete.hold(relation regclass, hold text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	was_held boolean;
BEGIN
	-- by itself, for a condition is not evaluated where its outcome is known without
	was_held := soft_delete_internal.set_hold(relation, NULL, hold);
	IF NOT was_held AND hold IS NULL THEN
		RAISE NOTICE 'table "%" is not held', relation;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.hold(regclass, text) IS
'forbids to purge whatever is deleted from a table; hold says why, null lifts that';

CREATE FUNCTION soft_delete.hold_deletion(deleted_at timestamptz, hold text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	found boolean;
	tables bigint := 0;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.readable_bins() AS bins WHERE soft_delete_internal.may_hold(bins.relation) LOOP
		IF hold IS NULL THEN
			found := soft_delete_internal.set_hold(item.relation, deleted_at, NULL);
		ELSE
			EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = ANY %s)', item.bin, item.tombstone, item.stamps)
				INTO found USING ARRAY[deleted_at];
			IF found THEN
				PERFORM soft_delete_internal.set_hold(item.relation, deleted_at, hold);
			END IF;
		END IF;
		tables := tables + found::integer;
	END LOOP;
	IF tables = 0 AND hold IS NOT NULL THEN
		RAISE EXCEPTION 'no deleted row that you may hold carries the stamp %', deleted_at
			USING ERRCODE = 'undefined_object',
				HINT = 'SELECT * FROM soft_delete.deletions ORDER BY deleted_at DESC;';
	END IF;
	RETURN tables;
END
$$;
COMMENT ON FUNCTION soft_delete.hold_deletion(timestamptz, text) IS
'forbids to purge or restore what one deletion took from the tables whose rows the caller may hold; hold says why, null lifts that; returns the number of tables';
