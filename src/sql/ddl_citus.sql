/*
 * What Citus would do to a tagged table is refused, in either storage.
 *
 * Citus takes a table into its metadata, and out of them, and changes it there, in two
 * ways: it renames the table as a shard and makes another one of its name; or it makes
 * another one, fills it by a query, drops the table with CASCADE, and renames the other.
 * Both lose the bin, and what a query does not see.  It is known by what it does, and not
 * by the function that was called: foreign keys do the same.
 *
 * In a database without Citus each of these functions does nothing.
 */

CREATE FUNCTION soft_delete_internal.citus_kind(relation regclass) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	kind text;
BEGIN
	-- it is called for each table of a schema
	IF NOT soft_delete_internal.has_citus() THEN
		RETURN NULL;
	END IF;
	EXECUTE $query$
		SELECT CASE WHEN repmodel = 't' THEN 'a reference table of Citus' WHEN partmethod = 'n' AND colocationid = 0 THEN 'a local table in the metadata of Citus'
			ELSE 'a distributed table of Citus' END
		FROM pg_catalog.pg_dist_partition WHERE logicalrelid = $1
		UNION ALL SELECT 'a shard of Citus' WHERE pg_catalog.relation_is_a_known_shard($1)
		$query$ INTO kind USING relation;
	RETURN kind;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.citus_kind(regclass) IS
'what a table is to Citus, as in "t is a shard of Citus"; null if it is nothing to it';

CREATE FUNCTION soft_delete_internal.is_distributed_schema(schema name) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found boolean := false;
BEGIN
	-- older versions of Citus distribute no schemas
	IF soft_delete_internal.has_citus() AND to_regclass('pg_catalog.pg_dist_schema') IS NOT NULL THEN
		EXECUTE 'SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_schema JOIN pg_catalog.pg_namespace ON oid = schemaid WHERE nspname = $1)' INTO found USING schema;
	END IF;
	RETURN found;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_distributed_schema(name) IS
'whether Citus distributes the tables of a schema, those that come too';

CREATE FUNCTION soft_delete_internal.check_citus(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
	kind text;
BEGIN
	IF NOT soft_delete_internal.has_citus() THEN
		RETURN;
	END IF;
	SELECT m, k INTO member, kind FROM soft_delete_internal.inheritance_tree(relation) AS m, soft_delete_internal.citus_kind(m) AS k WHERE k IS NOT NULL LIMIT 1;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF member = relation AND kind <> 'a shard of Citus' AND (SELECT NOT relispartition FROM pg_class WHERE oid = relation) THEN
		RAISE EXCEPTION 'cannot tag "%" in place, which is %', member, kind
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Citus copies and moves its tables by queries that do not see deleted rows.',
				-- one that foreign keys hold there would come out with all that they connect it with
				HINT = CASE WHEN kind = 'a local table in the metadata of Citus' AND NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid <> confrelid AND member IN (conrelid, confrelid))
					THEN format('SELECT undistribute_table(%L);', member) ELSE format('SELECT soft_delete.tag(%L, storage => ''aside'');', member) END;
	END IF;
	RAISE EXCEPTION 'cannot tag "%", which is %', member, kind
		USING ERRCODE = 'feature_not_supported',
			DETAIL = 'Citus copies and moves its tables by queries that do not see deleted rows.';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_citus(regclass) IS
'raises 0A000 for a table that is in the metadata of Citus, or is a shard of it, or has such a partition or inheritance child';

CREATE FUNCTION soft_delete_internal.refuse_citus(relation regclass, name text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	other regclass := soft_delete_internal.companions_table(relation);
	table_name text := coalesce(other::text, name);
	reason text := CASE WHEN other IS NULL THEN 'It makes another table of the live rows, and the deleted rows, holds and the bin would be lost.'
		ELSE format('Table %s has deleted rows of it, and its bin would be lost.', name) END;
BEGIN
	-- a partition, which Citus has detached, will have no tag of its own when that is undone
	IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgname = '~soft_delete' AND soft_delete_internal.is_own_transaction(xmin)) THEN
		RAISE EXCEPTION 'Citus cannot convert tagged table "%"', table_name
			USING ERRCODE = 'feature_not_supported', DETAIL = reason;
	END IF;
	RAISE EXCEPTION 'Citus cannot convert tagged table "%"', table_name
		USING ERRCODE = 'feature_not_supported', DETAIL = reason, HINT = format('SELECT soft_delete.untag(%L);', table_name);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.refuse_citus(regclass, text) IS
'raises 0A000 for a tagged table, or a companion, that Citus is converting; name: what it is called after that has been undone';

/* Citus makes the name of a copy of the name of the table, and the hash of that. */
CREATE FUNCTION soft_delete_internal.citus_copy_of(relation regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
	RETURN (SELECT copy.oid FROM pg_class AS own JOIN pg_class AS copy ON copy.relnamespace = own.relnamespace
				AND right(copy.relname, 11) LIKE '%\_' || (hashtext(own.relname::text COLLATE "C")::bigint & 4294967295)
			WHERE own.oid = relation AND copy.relkind IN ('r', 'p') AND soft_delete_internal.is_own_transaction(copy.xmin));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.citus_copy_of(regclass) IS
'the table by which Citus replaces another one in this transaction, or null';

CREATE FUNCTION soft_delete_internal.check_citus_copy(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF soft_delete_internal.has_citus() AND soft_delete_internal.citus_copy_of(relation) IS NOT NULL THEN
		PERFORM soft_delete_internal.refuse_citus(other, other::text) FROM coalesce(soft_delete_internal.sharded_table(relation), relation) AS other;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_citus_copy(regclass) IS
'raises 0A000 if Citus drops a tagged table, or a companion, because it has made a copy of it';

CREATE FUNCTION soft_delete_internal.has_new_shard_name(relation regclass) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	shard bigint;
BEGIN
	EXECUTE 'SELECT pg_catalog.currval(''pg_catalog.pg_dist_shardid_seq'')' INTO shard;
	RETURN (SELECT right(relname, length(shard::text) + 1) = '_' || shard FROM pg_class WHERE oid = relation);
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	-- this session has made no shard
	RETURN false;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.has_new_shard_name(regclass) IS
'whether a table is called as the shard that Citus has made last in this session';

CREATE FUNCTION soft_delete_internal.has_new_shard(relation regclass) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	shard bigint;
	name text[];
BEGIN
	EXECUTE 'SELECT pg_catalog.currval(''pg_catalog.pg_dist_shardid_seq'')' INTO shard;
	name := parse_ident(shard_name(relation, shard));
	RETURN EXISTS (SELECT FROM pg_class AS own JOIN pg_class AS made USING (relnamespace) WHERE own.oid = relation AND made.relname = name[cardinality(name)]);
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	RETURN false;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.has_new_shard(regclass) IS
'whether the shard that Citus has made last in this session is called as one of a table';

CREATE FUNCTION soft_delete_internal.check_shard_names() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete_internal.has_citus() THEN
		RETURN;
	END IF;
	PERFORM soft_delete_internal.refuse_citus(objid, format('%I.%I', nspname, soft_delete_internal.renamed_from(command)))
	FROM pg_event_trigger_ddl_commands() JOIN pg_class ON pg_class.oid = objid JOIN pg_namespace ON pg_namespace.oid = relnamespace
	WHERE classid = 'pg_class'::regclass AND objsubid = 0 AND relkind IN ('r', 'p') AND soft_delete_internal.renamed_from(command) IS NOT NULL
	  AND (soft_delete_internal.tag_arguments(objid) IS NOT NULL OR soft_delete_internal.companions_table(objid) IS NOT NULL)
	  AND soft_delete_internal.has_new_shard_name(objid);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_shard_names() IS
'for event triggers: raises 0A000 if Citus has renamed a tagged table, or a companion, as a shard';

CREATE FUNCTION soft_delete_internal.is_made_by_citus(relation regclass) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN soft_delete_internal.has_citus()
		-- of a session of Citus itself, the metadata may not tell yet
		AND (current_setting('application_name') ~ '^citus_(internal|rebalancer) gpid=' OR soft_delete_internal.citus_kind(relation) IS NOT NULL
			 OR soft_delete_internal.has_new_shard_name(relation) OR soft_delete_internal.has_new_shard(relation)
			 OR EXISTS (SELECT FROM pg_class AS made JOIN pg_class AS own ON own.relnamespace = made.relnamespace
						WHERE made.oid = relation AND own.relkind IN ('r', 'p') AND soft_delete_internal.citus_copy_of(own.oid) = relation));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_made_by_citus(regclass) IS
'whether a new table is a shard of Citus, or a copy that will replace another table';

CREATE FUNCTION soft_delete_internal.check_access_method(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
	method name;
	is_tagged boolean;
BEGIN
	SELECT m, amname, soft_delete_internal.tag_arguments(m) IS NOT NULL OR soft_delete_internal.companions_table(m) IS NOT NULL INTO member, method, is_tagged
	FROM soft_delete_internal.inheritance_tree(relation) AS m JOIN pg_class ON pg_class.oid = m JOIN pg_am ON pg_am.oid = relam
	WHERE relkind = 'r' AND amhandler <> 'heap_tableam_handler'::regproc LIMIT 1;
	IF is_tagged THEN
		RAISE EXCEPTION 'tagged table "%" cannot have access method "%"', coalesce(soft_delete_internal.companions_table(member), member), method
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Deleted rows are kept, found and restored in tables of access method heap.';
	ELSIF FOUND THEN
		RAISE EXCEPTION 'cannot tag table "%", which has access method "%"', member, method
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Deleted rows are kept, found and restored in tables of access method heap.',
				HINT = format('ALTER TABLE %s SET ACCESS METHOD heap;', member);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_access_method(regclass) IS
'raises 0A000 if a table, a partition or an inheritance child of it is none of access method heap';
