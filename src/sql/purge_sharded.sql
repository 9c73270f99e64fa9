/*
 * Purges of tables that Citus has sharded.
 *
 * The bin is a distributed table (ddl_sharded.sql), and a batch is a DELETE from it, which
 * Citus commits on all nodes or none.  A batch takes whole stamps, oldest first.  A row
 * stays that a deleted row of another table still references, for this one would not come
 * back without it: its bin is asked where it is colocated, or else its oldest stamp.
 *
 * A row that references another one is deleted before it or with it, so its stamp is not
 * newer.
 */

CREATE FUNCTION soft_delete_internal.change_shards(relation regclass, statement text) RETURNS bigint
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'soft_delete_change_shards';
COMMENT ON FUNCTION soft_delete_internal.change_shards(regclass, text) IS
'runs a statement that writes to a sharded table, or its bin, as the owner of a relation, and returns the number of rows';

CREATE FUNCTION soft_delete_internal.sharded_tables(OUT relation regclass, OUT bin regclass, OUT stamp name) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete_internal.has_citus() THEN
		RETURN;
	END IF;
	RETURN QUERY SELECT tgrelid::regclass, soft_delete_internal.sharded_bin(tgrelid), soft_delete_internal.sharded_stamp(tgrelid)
		FROM pg_trigger JOIN pg_dist_partition ON logicalrelid = tgrelid
		WHERE tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND tgnargs = 2 AND tgparentid = 0 ORDER BY tgrelid;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_tables() IS
'the tagged tables that Citus has sharded, with their bins, null for one that is missing, and the names of the columns for stamps';

CREATE FUNCTION soft_delete_internal.check_lifecycle(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete_internal.check_owner(relation);
	IF soft_delete_internal.sharded_bin(relation) IS NULL THEN
		RAISE EXCEPTION 'there is no bin for the rows of table "%"', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It has the tag of a table that Citus has sharded.';
	ELSIF NOT citus_is_coordinator() THEN
		RAISE EXCEPTION 'that cannot be done for table "%" on a worker of Citus', relation
			USING ERRCODE = 'feature_not_supported', DETAIL = 'The coordinator knows how long deleted rows are kept, and purges those of all nodes.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_lifecycle(regclass) IS
'raises 42501, 55000 or 0A000 unless the current role owns a tagged table that Citus has sharded, and this is the coordinator';

CREATE FUNCTION soft_delete_internal.sharded_groups(relation regclass DEFAULT NULL) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete_internal.has_citus() THEN
		RETURN;
	END IF;
	-- a function of Citus, which the condition above could not name
	IF NOT citus_is_coordinator() THEN
		RETURN;
	END IF;
	RETURN QUERY
		WITH RECURSIVE tables AS MATERIALIZED (
			SELECT s.relation AS member FROM soft_delete_internal.sharded_tables() AS s WHERE s.bin IS NOT NULL AND soft_delete_internal.caller_owns(s.relation)
		), edges AS MATERIALIZED (
			SELECT DISTINCT confrelid::regclass AS parent, conrelid::regclass AS child, confdeltype
			FROM pg_constraint JOIN tables AS p ON p.member = confrelid JOIN tables AS c ON c.member = conrelid
			WHERE contype = 'f' AND conparentid = 0 AND confrelid <> conrelid
		), wanted AS (
			SELECT member FROM tables WHERE sharded_groups.relation IS NULL OR member = sharded_groups.relation
			UNION
			SELECT child FROM wanted JOIN edges ON parent = member WHERE confdeltype = 'c'
		), below AS (
			SELECT parent, child FROM edges
			UNION
			SELECT below.parent, edges.child FROM below JOIN edges ON edges.parent = below.child
		)
		SELECT member FROM wanted ORDER BY (SELECT count(*) FROM below WHERE parent = member), member;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_groups(regclass) IS
'the sharded tables of the current role, or one of them with what its deletes reach by CASCADE, children before parents; none on a worker of Citus';

CREATE FUNCTION soft_delete_internal.sharded_held(bin regclass, stamp name, alias text DEFAULT 'b') RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT concat_ws(' OR ', format('%s.hold IS NOT NULL', alias), string_agg(DISTINCT CASE WHEN arguments[3] IS NULL THEN 'true' ELSE format('%s.%I OPERATOR(pg_catalog.=) %L::pg_catalog.timestamptz', alias, stamp, arguments[3]) END, ' OR '))
			FROM soft_delete_internal.sharded_holds(bin) AS t, soft_delete_internal.trigger_arguments(t.oid) AS arguments);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_held(regclass, name, text) IS
'the condition of rows of the bin of a sharded table that are held; alias: of the bin, in a query';

/* All that a batch has to know of the tables that reference its own: of a bin of the owner that is beside it, the rows; of others the oldest stamp. */
CREATE FUNCTION soft_delete_internal.sharded_references(relation regclass, as_of timestamptz, older_than interval, is_dry_run boolean, OUT condition text, OUT before timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own record;
	other record;
	child_bin regclass;
	child_stamp name;
	child_limit timestamptz;
	oldest timestamptz;
	-- in a dry run what is due in a child is still there
	stays text;
BEGIN
	SELECT partmethod, colocationid, relowner INTO own FROM pg_dist_partition JOIN pg_class ON pg_class.oid = logicalrelid WHERE logicalrelid = relation;
	condition := 'false';
	FOR other IN
		SELECT conrelid::regclass AS child, conrelid <> confrelid AND partmethod = own.partmethod AND colocationid = own.colocationid AND relowner = own.relowner AS is_beside,
			soft_delete_internal.key_match(con.oid, 'b', 'c') AS matches
		FROM pg_constraint AS con JOIN pg_dist_partition ON logicalrelid = conrelid JOIN pg_class ON pg_class.oid = conrelid
		WHERE contype = 'f' AND conparentid = 0 AND confrelid = relation
	LOOP
		child_bin := soft_delete_internal.sharded_bin(other.child);
		CONTINUE WHEN child_bin IS NULL;
		child_stamp := soft_delete_internal.sharded_stamp(other.child);
		stays := 'true';
		IF is_dry_run OR other.child = relation THEN
			child_limit := soft_delete_internal.purge_limit(other.child, as_of, older_than);
			stays := format('(c.%I >= %L::pg_catalog.timestamptz OR %L::pg_catalog.timestamptz IS NULL OR %s)', child_stamp, child_limit, child_limit, soft_delete_internal.sharded_held(child_bin, child_stamp, 'c'));
		END IF;
		IF other.is_beside THEN
			condition := condition || format(' OR EXISTS (SELECT 1 FROM %s AS c WHERE %s AND %s)', child_bin, other.matches, stays);
		ELSE
			SELECT q.oldest INTO oldest FROM soft_delete_internal.query_as_owner(other.child, format('SELECT pg_catalog.min(c.%I) FROM %s AS c WHERE %s', child_stamp, child_bin, stays)) AS q(oldest timestamptz);
			before := least(before, oldest);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_references(regclass, timestamptz, interval, boolean) IS
'the condition of rows of the bin of a sharded table, as b, that rows of bins beside it reference, and the stamp from which on others may';

CREATE FUNCTION soft_delete_internal.log_sharded_purge(relation regclass, started timestamptz, purged bigint, oldest timestamptz, newest timestamptz, error text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	IF purged > 0 OR error IS DISTINCT FROM (SELECT l.error FROM soft_delete_internal.last_purge(relation) AS l) THEN
		INSERT INTO soft_delete_internal.purge_log AS l
		SELECT soft_delete_internal.qualified_name(relation), started, pg_get_userbyid(soft_delete_internal.caller()), purged, oldest, newest, clock_timestamp() - started, left(error, 10000), pg_get_userbyid(relowner), relowner
		FROM pg_class WHERE oid = relation
		ON CONFLICT ON CONSTRAINT purge_log_pkey DO UPDATE
		SET rows = l.rows + excluded.rows, oldest = least(l.oldest, excluded.oldest), newest = greatest(l.newest, excluded.newest), duration = excluded.duration, error = excluded.error;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.log_sharded_purge(regclass, timestamptz, bigint, timestamptz, timestamptz, text) IS
'adds what a batch has purged of a sharded table to the row of its purge in the log';

CREATE FUNCTION soft_delete_internal.report_failed_purge(relation regclass, started timestamptz, error text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete_internal.log_sharded_purge(relation, started, 0, NULL, NULL, error);
	RAISE WARNING 'purge of table "%" failed: %', relation, error
		USING ERRCODE = '01000';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.report_failed_purge(regclass, timestamptz, text) IS
'logs that a batch of a sharded table has failed, and warns';

CREATE FUNCTION soft_delete_internal.purge_sharded(relation regclass, as_of timestamptz, older_than interval, batch_size integer, after timestamptz,
	OUT until timestamptz, OUT purged bigint, OUT held bigint, OUT referenced bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
DECLARE
	bin regclass := soft_delete_internal.sharded_bin(relation);
	stamp name := soft_delete_internal.sharded_stamp(relation);
	is_held text;
	wanted text;
	due_before timestamptz;
	kept record;
	batch record;
BEGIN
	purged := 0;
	held := 0;
	referenced := 0;
	-- a purge of all tables may take long, and others change them meanwhile
	IF bin IS NULL OR NOT soft_delete_internal.caller_owns(relation) THEN
		RETURN;
	END IF;
	PERFORM soft_delete_internal.share_retention(relation);
	due_before := soft_delete_internal.purge_limit(relation, as_of, older_than);
	IF due_before IS NULL THEN
		RETURN;
	END IF;
	is_held := soft_delete_internal.sharded_held(bin, stamp);
	BEGIN
		SELECT * INTO kept FROM soft_delete_internal.sharded_references(relation, as_of, older_than, false);
		wanted := format('b.%I < %L AND NOT (%s)', stamp, least(due_before, kept.before), is_held) || CASE WHEN after IS NULL THEN '' ELSE format(' AND b.%I > %L', stamp, after) END;
		SELECT * INTO batch FROM soft_delete_internal.query_as_owner(relation,
			format('SELECT pg_catalog.count(*), pg_catalog.min(stamp), pg_catalog.max(stamp) FROM (SELECT b.%I AS stamp FROM %s AS b WHERE %s ORDER BY 1 LIMIT %s) AS due', stamp, bin, wanted, batch_size))
			AS q(rows bigint, oldest timestamptz, newest timestamptz);
		IF batch.rows > 0 THEN
			purged := soft_delete_internal.change_shards(relation, format('DELETE FROM %s AS b WHERE %s AND b.%I <= %L AND NOT (%s)', bin, wanted, stamp, batch.newest, kept.condition));
		END IF;
		IF batch.rows = batch_size THEN
			until := batch.newest;
		ELSE
			SELECT q.held, q.referenced INTO held, referenced FROM soft_delete_internal.query_as_owner(relation,
				format('SELECT pg_catalog.count(*) FILTER (WHERE %1$s), pg_catalog.count(*) FILTER (WHERE NOT (%1$s)) FROM %2$s AS b WHERE b.%3$I < %4$L', is_held, bin, stamp, due_before))
				AS q(held bigint, referenced bigint);
		END IF;
		PERFORM soft_delete_internal.log_sharded_purge(relation, as_of, purged, batch.oldest, batch.newest, CASE WHEN until IS NOT NULL THEN 'not finished' END);
	EXCEPTION WHEN OTHERS THEN
		IF soft_delete_internal.must_propagate(SQLSTATE) THEN
			RAISE;
		END IF;
		until := NULL;
		purged := 0;
		PERFORM soft_delete_internal.report_failed_purge(relation, as_of, SQLERRM);
	END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.purge_sharded(regclass, timestamptz, interval, integer, timestamptz) IS
'destroys the next due rows of a sharded table, those with a stamp after a given one; until: the newest stamp of them, null at the end; held, referenced: how many that are due stay, at the end';

CREATE FUNCTION soft_delete_internal.preview_sharded_purge(relation regclass, as_of timestamptz, older_than interval)
RETURNS TABLE (member regclass, rows bigint, held bigint, referenced bigint, oldest timestamptz, newest timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
DECLARE
	due_before timestamptz;
	stamp name;
	bin regclass;
	kept record;
	is_held text;
	is_referenced text;
BEGIN
	FOR member IN SELECT * FROM soft_delete_internal.sharded_groups(relation) LOOP
		due_before := soft_delete_internal.purge_limit(member, as_of, older_than);
		CONTINUE WHEN due_before IS NULL;
		bin := soft_delete_internal.sharded_bin(member);
		stamp := soft_delete_internal.sharded_stamp(member);
		BEGIN
			is_held := soft_delete_internal.sharded_held(bin, stamp);
			SELECT * INTO kept FROM soft_delete_internal.sharded_references(member, as_of, older_than, true);
			is_referenced := format('(%s OR b.%I >= coalesce(%L::pg_catalog.timestamptz, ''infinity''))', kept.condition, stamp, kept.before);
			SELECT q.rows, q.held, q.referenced, q.oldest, q.newest INTO rows, held, referenced, oldest, newest
			FROM soft_delete_internal.query_as_owner(member,
				format('SELECT pg_catalog.count(*) FILTER (WHERE NOT is_held AND NOT is_referenced), pg_catalog.count(*) FILTER (WHERE is_held), pg_catalog.count(*) FILTER (WHERE is_referenced AND NOT is_held), '
					   'pg_catalog.min(stamp) FILTER (WHERE NOT is_held AND NOT is_referenced), pg_catalog.max(stamp) FILTER (WHERE NOT is_held AND NOT is_referenced) '
					   'FROM (SELECT b.%1$I AS stamp, %2$s AS is_held, %3$s AS is_referenced FROM %4$s AS b WHERE b.%1$I < %5$L) AS due', stamp, is_held, is_referenced, bin, due_before))
				AS q(rows bigint, held bigint, referenced bigint, oldest timestamptz, newest timestamptz);
		EXCEPTION WHEN OTHERS THEN
			IF member = preview_sharded_purge.relation THEN
				RAISE;
			END IF;
			PERFORM soft_delete_internal.warn_unreadable(member, SQLSTATE, SQLERRM);
			CONTINUE;
		END;
		IF rows + held + referenced > 0 THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_sharded_purge(regclass, timestamptz, interval) IS
'the rows of preview_purge() for sharded tables';

CREATE FUNCTION soft_delete_internal.count_sharded(relation regclass, before timestamptz DEFAULT NULL, form text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT answer FROM soft_delete_internal.query_as_owner(relation,
		format('SELECT pg_catalog.count(*) FROM %s AS b WHERE %L::pg_catalog.timestamptz IS NULL OR b.%I < %2$L', soft_delete_internal.sharded_bin(relation), before, soft_delete_internal.sharded_stamp(relation)), form => form) AS q(answer bigint));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.count_sharded(regclass, timestamptz, text) IS
'how many deleted rows of a sharded table have an earlier stamp, or how many there are; form: as query_as_owner() has it';
