/*
 * The access method of the index that finds tombstones: the B-tree, handed out by
 * the library, so that whoever opens such an index has loaded it
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

CREATE FUNCTION soft_delete_internal.is_guard_index(index regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM pg_class JOIN pg_am ON pg_am.oid = relam
				   WHERE pg_class.oid = index AND amhandler = 'soft_delete_internal.btree_handler(internal)'::regprocedure)
$$;
COMMENT ON FUNCTION soft_delete_internal.is_guard_index(regclass) IS
'whether an index is of our access method';
