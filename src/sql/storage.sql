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
#variable_conflict use_column
BEGIN
	-- foreign keys do not include inheritance children
	RETURN (SELECT CASE WHEN which = 'aside' OR soft_delete_internal.is_aside(relation) AND which IN ('tombstones', 'deleted')
			THEN concat(kept, ' ', alias)
		WHEN soft_delete_internal.tag_arguments(relation) IS NULL OR soft_delete_internal.is_aside(relation) THEN concat(item, ' ', alias)
		WHEN which = 'tombstones' THEN format('(SELECT *, tableoid, ctid FROM %1$s TABLESAMPLE soft_delete.rows(''deleted'') '
			'UNION ALL SELECT %4$s, tableoid, ctid FROM %3$s) AS %2$s', item, alias, kept,
			soft_delete_internal.kept_columns(relation, (soft_delete_internal.tag_arguments(relation))[1]))
		ELSE format('%s %s TABLESAMPLE soft_delete.rows(%L)', item, alias, which) END
	FROM pg_class, concat(CASE WHEN relkind <> 'p' THEN 'ONLY ' END, relation) AS item,
		-- a companion with months has no other children
		concat(CASE WHEN NOT EXISTS (SELECT soft_delete_internal.companion_months(soft_delete_internal.companion_of(relation))) THEN 'ONLY ' END,
			soft_delete_internal.companion_of(relation)) AS kept
	WHERE pg_class.oid = relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.from_item(regclass, text, text) IS
'an item of a FROM clause: one side of a foreign key with its live rows, its deleted ones, all that are in the table, or the tombstones wherever they are stored';
