/*
 * Deleted rows that are outside of their table: how they come to the companion and back,
 * and which item of a FROM clause has which rows.
 */

CREATE FUNCTION soft_delete_internal.return_aside(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_return_aside';
COMMENT ON FUNCTION soft_delete_internal.return_aside(regclass) IS
'inserts the rows of the companion of a table that is not tagged any more into the table';

CREATE FUNCTION soft_delete_internal.step_aside(relation regclass, "row" tid) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_step_aside';
COMMENT ON FUNCTION soft_delete_internal.step_aside(regclass, tid) IS
'moves a deleted row to the companion of its table; false if the row does not exist';

/* 'tombstones': those in the table and those in its companion; 'aside': the latter alone */
CREATE FUNCTION soft_delete_internal.from_item(relation regclass, alias text, which text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[] := soft_delete_internal.tag_arguments(relation);
	is_aside boolean := coalesce('storage:aside' = ANY (arguments[2:]), false);
	-- foreign keys do not include inheritance children
	item text := concat(CASE WHEN (SELECT relkind FROM pg_class WHERE oid = relation) <> 'p' THEN 'ONLY ' END, relation);
	companion regclass := soft_delete_internal.companion_of(relation);
	-- a companion with months has no other children
	kept text := concat(CASE WHEN NOT EXISTS (SELECT soft_delete_internal.companion_months(companion)) THEN 'ONLY ' END, companion);
BEGIN
	IF which = 'aside' OR is_aside AND which IN ('tombstones', 'deleted') THEN
		RETURN concat(kept, ' ', alias);
	ELSIF arguments IS NULL OR is_aside THEN
		RETURN concat(item, ' ', alias);
	ELSIF which = 'tombstones' THEN
		RETURN format('(SELECT %5$s, tableoid, ctid FROM %1$s TABLESAMPLE soft_delete.rows(''deleted'') '
			'UNION ALL SELECT %4$s, tableoid, ctid FROM %3$s) AS %2$s', item, alias, kept,
			soft_delete_internal.kept_columns(relation, arguments[1]), soft_delete_internal.columns_in_place(relation, arguments[1]));
	END IF;
	RETURN format('%s %s TABLESAMPLE soft_delete.rows(%L)', item, alias, which);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.from_item(regclass, text, text) IS
'an item of a FROM clause: one side of a foreign key with its live rows, its deleted ones, all that are in the table, or the tombstones wherever they are stored';
