/*
 * Which tables ON DELETE CASCADE connects.
 */

CREATE FUNCTION soft_delete_internal.cascade_tables(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE connected(member) AS (
		SELECT relation
		UNION
		SELECT CASE WHEN parent = member THEN child ELSE parent END
		FROM connected, soft_delete_internal.references_of(member) WHERE action = 'c'
	)
	SELECT member FROM connected
$$;
COMMENT ON FUNCTION soft_delete_internal.cascade_tables(regclass) IS
'a table and all that ON DELETE CASCADE connects it with, in either direction';

CREATE FUNCTION soft_delete_internal.cascade_parents(relation regclass) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		SELECT DISTINCT soft_delete_internal.root(confrelid) FROM pg_constraint
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype = 'c'
		  AND conrelid IN (SELECT soft_delete_internal.inheritance_tree(relation)) AND soft_delete_internal.root(confrelid) <> relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.cascade_parents(regclass) IS
'the other tables whose deletes reach a table by ON DELETE CASCADE';

CREATE FUNCTION soft_delete_internal.skip_rows(relations oid[], places tid[]) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_skip_rows';
COMMENT ON FUNCTION soft_delete_internal.skip_rows(oid[], tid[]) IS
'names the rows, by tableoid and ctid as bins list them, that restores skip from now on';
