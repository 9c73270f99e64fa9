/*
 * The index that finds deleted rows by their stamp, and its access method: the
 * B-tree, handed out by the library, so that a session that opens such an index has
 * loaded the library.
 */

CREATE FUNCTION soft_delete_internal.btree_handler(internal) RETURNS index_am_handler
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_btree_handler';
COMMENT ON FUNCTION soft_delete_internal.btree_handler(internal) IS
'handler of the access method soft_delete_btree';

CREATE ACCESS METHOD soft_delete_btree TYPE INDEX HANDLER soft_delete_internal.btree_handler;
COMMENT ON ACCESS METHOD soft_delete_btree IS
'B-tree whose use loads the library soft_delete: no session plans a statement on a tagged table without it';

-- as pg_catalog.datetime_ops
CREATE OPERATOR FAMILY soft_delete_internal.datetime_ops USING soft_delete_btree;
COMMENT ON OPERATOR FAMILY soft_delete_internal.datetime_ops USING soft_delete_btree IS
'order of stamps';

CREATE OPERATOR CLASS soft_delete_internal.timestamptz_ops
DEFAULT FOR TYPE timestamptz USING soft_delete_btree FAMILY soft_delete_internal.datetime_ops AS
	OPERATOR 1 pg_catalog.<, OPERATOR 2 pg_catalog.<=, OPERATOR 3 pg_catalog.=, OPERATOR 4 pg_catalog.>=, OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.timestamptz_cmp(timestamptz, timestamptz),
	FUNCTION 2 pg_catalog.timestamp_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS soft_delete_internal.timestamptz_ops USING soft_delete_btree IS
'order of stamps';

CREATE OPERATOR CLASS soft_delete_internal.timestamp_ops
DEFAULT FOR TYPE timestamp USING soft_delete_btree FAMILY soft_delete_internal.datetime_ops AS
	OPERATOR 1 pg_catalog.<, OPERATOR 2 pg_catalog.<=, OPERATOR 3 pg_catalog.=, OPERATOR 4 pg_catalog.>=, OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.timestamp_cmp(timestamp, timestamp),
	FUNCTION 2 pg_catalog.timestamp_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS soft_delete_internal.timestamp_ops USING soft_delete_btree IS
'order of stamps, where they are without time zone';

ALTER OPERATOR FAMILY soft_delete_internal.datetime_ops USING soft_delete_btree ADD
	OPERATOR 1 pg_catalog.< (timestamptz, timestamp), OPERATOR 2 pg_catalog.<= (timestamptz, timestamp), OPERATOR 3 pg_catalog.= (timestamptz, timestamp),
	OPERATOR 4 pg_catalog.>= (timestamptz, timestamp), OPERATOR 5 pg_catalog.> (timestamptz, timestamp),
	FUNCTION 1 (timestamptz, timestamp) pg_catalog.timestamptz_cmp_timestamp(timestamptz, timestamp),
	OPERATOR 1 pg_catalog.< (timestamp, timestamptz), OPERATOR 2 pg_catalog.<= (timestamp, timestamptz), OPERATOR 3 pg_catalog.= (timestamp, timestamptz),
	OPERATOR 4 pg_catalog.>= (timestamp, timestamptz), OPERATOR 5 pg_catalog.> (timestamp, timestamptz),
	FUNCTION 1 (timestamp, timestamptz) pg_catalog.timestamp_cmp_timestamptz(timestamp, timestamptz),
	OPERATOR 1 pg_catalog.< (timestamptz, date), OPERATOR 2 pg_catalog.<= (timestamptz, date), OPERATOR 3 pg_catalog.= (timestamptz, date),
	OPERATOR 4 pg_catalog.>= (timestamptz, date), OPERATOR 5 pg_catalog.> (timestamptz, date),
	FUNCTION 1 (timestamptz, date) pg_catalog.timestamptz_cmp_date(timestamptz, date),
	OPERATOR 1 pg_catalog.< (timestamp, date), OPERATOR 2 pg_catalog.<= (timestamp, date), OPERATOR 3 pg_catalog.= (timestamp, date),
	OPERATOR 4 pg_catalog.>= (timestamp, date), OPERATOR 5 pg_catalog.> (timestamp, date),
	FUNCTION 1 (timestamp, date) pg_catalog.timestamp_cmp_date(timestamp, date);

CREATE FUNCTION soft_delete_internal.is_soft_delete_btree(index regclass) RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_is_btree';
COMMENT ON FUNCTION soft_delete_internal.is_soft_delete_btree(regclass) IS
'whether an index is of our access method';

CREATE FUNCTION soft_delete_internal.has_bin_index(relation regclass, deleted_at name) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid
				   WHERE indrelid = relation AND attname = deleted_at AND indisvalid AND indnatts = 1 AND indoption[0] & 1 = 0
					 -- stamp_expression(), as the server writes it
					 AND CASE WHEN atttypid = 'timestamp'::regtype THEN pg_get_indexdef(indexrelid, 1, false) = format('timezone(''UTC''::text, %I)', attname) ELSE attnum = indkey[0] END
					 AND coalesce(pg_get_expr(indpred, indrelid) = format('(%I IS NOT NULL)', deleted_at), true)
					 AND soft_delete_internal.is_soft_delete_btree(indexrelid)));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.has_bin_index(regclass, name) IS
'whether an index that loads the library finds all tombstones by their stamp';

CREATE FUNCTION soft_delete_internal.missing_bin_indexes(relation regclass, deleted_at name, OUT member regclass, OUT prepared regclass, OUT name name)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY SELECT m, CASE WHEN has_index THEN prepared END, soft_delete_internal.view_name(m, '_deleted_at_idx')
	FROM soft_delete_internal.inheritance_tree(relation) AS m JOIN pg_class ON oid = m,
		to_regclass(format('%s.%I', relnamespace::regnamespace, soft_delete_internal.prepared_name(m))) AS prepared,
		soft_delete_internal.has_bin_index(m, deleted_at) AS has_index
	WHERE NOT relispartition AND (prepared IS NOT NULL OR NOT has_index)
	ORDER BY m;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.missing_bin_indexes(regclass, name) IS
'where an index that finds tombstones by their stamp is missing, its name, and the one that plan() has prepared';

CREATE FUNCTION soft_delete_internal.make_bin_index(member regclass, deleted_at name, prepared regclass, name name) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	stamp text := soft_delete_internal.stamp_expression(member, deleted_at);
BEGIN
	IF prepared IS NULL THEN
		-- the server does not name an index on an expression so
		EXECUTE format('CREATE INDEX %s ON %s USING soft_delete_btree (%s) WHERE %I IS NOT NULL',
			(SELECT quote_ident(column_name) FROM pg_class, soft_delete_internal.add_suffix(relname, format('_%s_idx', deleted_at)) AS column_name
			 WHERE oid = member AND stamp <> quote_ident(deleted_at) AND to_regclass(format('%s.%I', relnamespace::regnamespace, column_name)) IS NULL),
			member, stamp, deleted_at);
		SELECT indexrelid INTO prepared FROM pg_index WHERE indrelid = member ORDER BY indexrelid DESC LIMIT 1;
	ELSIF to_regclass((SELECT format('%s.%I', relnamespace::regnamespace, make_bin_index.name) FROM pg_class WHERE oid = member)) IS NULL THEN
		EXECUTE format('ALTER INDEX %s RENAME TO %I', prepared, name);
	END IF;
	RETURN (SELECT format('bin:%s', relname) FROM pg_class WHERE oid = prepared);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_bin_index(regclass, name, regclass, name) IS
'makes an index that finds tombstones by their stamp, or takes the prepared one; returns what untag() must know of it';

CREATE FUNCTION soft_delete_internal.make_bin_indexes(relation regclass, deleted_at name) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN ARRAY(SELECT soft_delete_internal.make_bin_index(member, deleted_at, prepared, name)
				 FROM soft_delete_internal.missing_bin_indexes(relation, deleted_at));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_bin_indexes(regclass, name) IS
'indexes tombstones by their stamp where no index does; returns what untag() must know of it';

CREATE FUNCTION soft_delete_internal.replace_old_bin_index(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[] := soft_delete_internal.tag_arguments(relation);
	item regclass;
BEGIN
	-- indexes that tag() has made, not those of the application
	FOR item IN
		SELECT indexrelid FROM soft_delete_internal.inheritance_tree(relation) AS member JOIN pg_index ON indrelid = member
			JOIN pg_class ON pg_class.oid = indexrelid
		WHERE 'bin:' || relname = ANY (soft_delete_internal.tag_arguments(member)) AND NOT soft_delete_internal.is_soft_delete_btree(indexrelid)
		  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)
	LOOP
		EXECUTE format('DROP INDEX %s', item);
	END LOOP;
	PERFORM soft_delete_internal.make_bin_indexes(relation, arguments[1]);
	PERFORM soft_delete_internal.explain_parts(member) FROM soft_delete_internal.inheritance_tree(relation) AS member;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.replace_old_bin_index(regclass) IS
'gives a table that an older version has tagged the index that finds its tombstones';
