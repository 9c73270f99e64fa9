/*
 * undo(), erase(), history() and holds of deletions, of tables that Citus has sharded.
 *
 * Restores and purges are statements of the bin that Citus distributes (ddl_sharded.sql);
 * these functions find which.
 */

/*
 * The ledger has nothing of these tables, but undo_transaction() asks for the stamp of a
 * transaction.  The node has it where the client was.
 */
CREATE TABLE soft_delete_internal.sharded_transactions (
	xid xid8 PRIMARY KEY,
	deleted_at timestamptz NOT NULL,
	deleted_by text NOT NULL,
	roleid oid NOT NULL
) USING heap;
ALTER TABLE soft_delete_internal.sharded_transactions REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.sharded_transactions IS
'the stamps of transactions of this node that may have deleted rows of tables that Citus has sharded, written by the library';

CREATE FUNCTION soft_delete_internal.record_sharded_transaction(deleted_at timestamptz) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	INSERT INTO soft_delete_internal.sharded_transactions
	SELECT pg_current_xact_id(), record_sharded_transaction.deleted_at, rolname, pg_roles.oid FROM pg_roles
	WHERE pg_roles.oid = soft_delete_internal.caller() AND EXISTS (SELECT FROM pg_trigger WHERE tgfoid = 'soft_delete.keep_shard_row()'::regprocedure)
	-- of a server whose numbers have begun anew
	ON CONFLICT (xid) DO UPDATE SET deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by, roleid = excluded.roleid;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.record_sharded_transaction(timestamptz) IS
'records the stamp of the current transaction, if sharded tables are tagged';

CREATE FUNCTION soft_delete_internal.transaction_stamps(xid xid8) RETURNS SETOF timestamptz
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- as soft_delete.deletions shows them
	RETURN QUERY SELECT l.deleted_at FROM (
			SELECT ledger.xid, deleted_at, deleted_by, roleid FROM soft_delete_internal.ledger
			UNION ALL SELECT t.* FROM soft_delete_internal.sharded_transactions AS t) AS l
		WHERE l.xid = transaction_stamps.xid
		  AND ((SELECT rolsuper FROM pg_roles WHERE oid = soft_delete_internal.caller())
			   OR EXISTS (SELECT FROM pg_roles WHERE oid = l.roleid AND rolname = l.deleted_by::name AND pg_has_role(soft_delete_internal.caller(), oid, 'USAGE')));
	IF xid = pg_current_xact_id_if_assigned() AND soft_delete_internal.has_citus() THEN
		RETURN QUERY SELECT coalesce(transaction_stamp, now()) FROM get_current_transaction_id();
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.transaction_stamps(xid8) IS
'the stamps of the deletions of a transaction, of sharded and other tables, that the caller may see';

CREATE FUNCTION soft_delete_internal.forget_transactions() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	keep interval := (SELECT make_interval(mins => setting::integer) FROM pg_settings WHERE name = 'soft_delete.keep_ledger' AND setting <> '-1');
	item record;
	oldest timestamptz;
BEGIN
	IF keep IS NULL OR NOT EXISTS (SELECT FROM soft_delete_internal.sharded_transactions WHERE deleted_at < now() - keep) THEN
		RETURN;
	END IF;
	FOR item IN SELECT s.* FROM soft_delete_internal.sharded_tables() AS s WHERE s.bin IS NOT NULL LOOP
		BEGIN
			oldest := least(oldest, (SELECT q.oldest FROM soft_delete_internal.query_as_owner(item.relation, format('SELECT pg_catalog.min(%I) FROM %s', item.stamp, item.bin), form => 'glance') AS q(oldest timestamptz)));
		EXCEPTION WHEN OTHERS THEN
			-- a bin that cannot be read is no concern of the transactions of others
			IF soft_delete_internal.must_propagate(SQLSTATE) THEN
				RAISE;
			END IF;
		END;
	END LOOP;
	PERFORM soft_delete_internal.replace_record('soft_delete_internal.sharded_transactions', t.ctid, NULL) FROM soft_delete_internal.sharded_transactions AS t WHERE deleted_at < least(now() - keep, oldest);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.forget_transactions() IS
'deletes the stamps of transactions that are older than soft_delete.keep_ledger and than all rows of the bins of sharded tables';

CREATE FUNCTION soft_delete_internal.is_of_deletions(alias text, stamp name, deletions timestamptz[]) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
BEGIN
	RETURN format('%s.%I OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.timestamptz[])', alias, stamp, deletions);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_of_deletions(text, name, timestamptz[]) IS
'the condition that a row of a bin was deleted by one of some deletions; alias: of the row, in a query';

CREATE FUNCTION soft_delete_internal.readable_sharded(deletions timestamptz[], OUT relation regclass, OUT bin regclass, OUT stamp name, OUT rows bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
DECLARE
	message text;
BEGIN
	FOR relation, bin, stamp IN
		SELECT s.relation, s.bin, s.stamp FROM soft_delete_internal.sharded_tables() AS s
		WHERE s.bin IS NOT NULL AND has_table_privilege(soft_delete_internal.caller(), s.bin, 'SELECT')
		-- parents first, and in a circle what brings back others
		ORDER BY (SELECT count(*) FROM soft_delete_internal.sharded_ancestors(s.relation)), (SELECT count(*) FROM soft_delete_internal.sharded_reach(s.relation)) DESC, s.relation
	LOOP
		BEGIN
			SELECT q.n INTO rows FROM soft_delete_internal.query_as_owner(relation,
				format('SELECT pg_catalog.count(*) FROM %s AS b WHERE %s', bin, soft_delete_internal.is_of_deletions('b', stamp, deletions))) AS q(n bigint);
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
			IF soft_delete_internal.must_propagate(SQLSTATE) OR relation IS NOT NULL AND soft_delete_internal.caller_owns(relation) THEN
				RAISE;
			END IF;
			PERFORM soft_delete_internal.warn_unreadable(relation, SQLSTATE, message);
			rows := 0;
		END;
		IF rows > 0 THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.readable_sharded(timestamptz[]) IS
'the sharded tables whose bin the caller may read and has rows of some deletions, with their number, parents before children';

CREATE FUNCTION soft_delete_internal.sharded_ancestors(relation regclass) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE ROWS 3
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		WITH RECURSIVE above AS (
			SELECT relation::oid AS member
			UNION
			SELECT confrelid FROM above JOIN pg_constraint ON conrelid = member WHERE contype = 'f' AND conparentid = 0
		)
		SELECT member::regclass FROM above WHERE member <> relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_ancestors(regclass) IS
'the other tables that a table references, at any distance';

CREATE FUNCTION soft_delete_internal.literal_rows(relation regclass, query text, types text[]) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Citus takes them into any statement, as it does not take functions that return rows
	RETURN (SELECT 'VALUES ' || string_agg((SELECT format('(%s)', string_agg(format('%L::%s', v, t), ', ' ORDER BY n)) FROM unnest(key, types) WITH ORDINALITY AS u(v, t, n)), ', ' ORDER BY key)
			FROM soft_delete_internal.query_as_owner(relation, query, form => 'key') AS q(key text[]));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.literal_rows(regclass, text, text[]) IS
'the rows of a query, which returns arrays of texts, as constants of some types; null if there are none';

CREATE FUNCTION soft_delete_internal.columns_of(relation regclass, columns smallint[], alias text, OUT names text, OUT qualified text, OUT texts text, OUT types text[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	SELECT string_agg(quote_ident(attname), ', ' ORDER BY n), string_agg(format('%s.%I', alias, attname), ', ' ORDER BY n), string_agg(format('%I::pg_catalog.text', attname), ', ' ORDER BY n),
		array_agg(format_type(atttypid, atttypmod) ORDER BY n)
	INTO names, qualified, texts, types
	FROM unnest(columns) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum) WHERE attrelid = relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.columns_of(regclass, smallint[], text) IS
'some columns of a table for queries: their names, the same with an alias, as texts, and their types';

CREATE FUNCTION soft_delete_internal.sharded_parents(relation regclass, deletions timestamptz[], OUT con pg_constraint, OUT parent regclass, OUT bin regclass, OUT stamp name, OUT is_live text, OUT is_there text, OUT in_bin text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	matches text;
BEGIN
	FOR con IN
		-- a query runs as the owner of the table
		SELECT c.* FROM pg_constraint AS c JOIN pg_class ON pg_class.oid = confrelid
		WHERE contype = 'f' AND conparentid = 0 AND conrelid = relation AND relowner = (SELECT child.relowner FROM pg_class AS child WHERE child.oid = relation) ORDER BY c.oid
	LOOP
		parent := con.confrelid;
		bin := soft_delete_internal.sharded_bin(parent);
		stamp := soft_delete_internal.sharded_stamp(parent);
		matches := soft_delete_internal.key_match(con.oid, 'p', 'b');
		is_live := format('EXISTS (SELECT 1 FROM %s AS p WHERE %s)', parent, matches);
		is_there := is_live;
		in_bin := 'false';
		IF bin IS NOT NULL THEN
			in_bin := format('EXISTS (SELECT 1 FROM %s AS p WHERE %s)', bin, matches);
			is_there := format('(%s OR EXISTS (SELECT 1 FROM %s AS p WHERE %s AND %s))', is_live, bin, matches, soft_delete_internal.is_of_deletions('p', stamp, deletions));
		END IF;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_parents(regclass, timestamptz[]) IS
'the foreign keys of a sharded table, to tables of its owner, with the bins of these, and the conditions that the parent of a row b is live, is so or was deleted by some deletions, and is in the bin';

CREATE FUNCTION soft_delete_internal.expression_of(expression pg_node_tree, n integer, relation regclass, alias text) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_expression_of';
COMMENT ON FUNCTION soft_delete_internal.expression_of(pg_node_tree, integer, regclass, text) IS
'an expression of the catalogs about the columns of a table, or the n-th of a list, for a query where the table, or its bin, has an alias';

/* Aliases: t is the row that has the key, b the one that wants it. */
CREATE FUNCTION soft_delete_internal.sharded_keys(relation regclass, OUT name name, OUT columns text, OUT matches text, OUT is_subject text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
		SELECT relname, string_agg(pg_get_indexdef(indexrelid, n, false), ', ' ORDER BY n),
			concat_ws(' AND ', '(' || of_other || ')', string_agg(
				CASE WHEN indnullsnotdistinct AND attnotnull IS NOT TRUE AND attname IS DISTINCT FROM distributed_by THEN format('(%1$s OR (%2$s IS NULL AND %3$s IS NULL))', match, other, own)
					-- rows that the condition leaves out may be those for which the expression fails
					WHEN attname IS NULL AND of_other IS NOT NULL THEN format('CASE WHEN %s THEN %s END', of_other, match) ELSE match END, ' AND ' ORDER BY n)),
			of_own
		FROM (
			SELECT indexrelid, indnullsnotdistinct, n, relname, attname, attnotnull, other, own,
				soft_delete_internal.expression_of(indpred, 1, relation, 't') AS of_other, soft_delete_internal.expression_of(indpred, 1, relation, 'b') AS of_own,
				(SELECT column_to_column_name(logicalrelid, partkey) FROM pg_dist_partition WHERE logicalrelid = relation AND partmethod = 'h') AS distributed_by,
				format('%s %s %s%s', other, soft_delete_internal.qualified_operator(coalesce(conexclop[n], amopopr)), own,
					' COLLATE ' || CASE WHEN indcollation[n - 1] <> 0 AND indcollation[n - 1] IS DISTINCT FROM attcollation THEN indcollation[n - 1]::regcollation END) AS match
			FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid LEFT JOIN pg_constraint ON conrelid = indrelid AND conindid = indexrelid AND conexclop IS NOT NULL
				CROSS JOIN LATERAL generate_series(1, indnkeyatts) AS n LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[n - 1] AND attnum <> 0
				JOIN pg_opclass ON pg_opclass.oid = indclass[n - 1]
				LEFT JOIN pg_amop ON amopfamily = opcfamily AND amoplefttype = opcintype AND amoprighttype = opcintype AND amopstrategy = 3
				CROSS JOIN LATERAL (SELECT count(*)::integer FROM generate_series(0, n - 1) AS i WHERE indkey[i] = 0) AS x(nth)
				CROSS JOIN LATERAL (SELECT coalesce('t.' || quote_ident(attname), format('(%s)', soft_delete_internal.expression_of(indexprs, nth, relation, 't'))),
									coalesce('b.' || quote_ident(attname), format('(%s)', soft_delete_internal.expression_of(indexprs, nth, relation, 'b')))) AS part(other, own)
			WHERE indrelid = relation AND indisvalid AND (indisunique OR indisexclusion)
		) AS parts
		GROUP BY indexrelid, relname, of_other, of_own ORDER BY indexrelid;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_keys(regclass) IS
'the unique indexes and exclusion constraints of a sharded table, with their columns: the condition that a row t keeps a row b from being inserted, and that of rows b for which it counts, null for all';

/* staying: of foreign keys that reference the table of a bin, the keys that do not come back, as literal_rows() */
CREATE FUNCTION soft_delete_internal.sharded_conflicts(relation regclass, deletions timestamptz[], staying jsonb, OUT condition text, OUT outcome text, OUT "constraint" name, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	bin regclass := soft_delete_internal.sharded_bin(relation);
	stamp name := soft_delete_internal.sharded_stamp(relation);
	item record;
	needed text;
BEGIN
	RETURN QUERY SELECT 'b.hold IS NOT NULL', 'row is held', NULL::name, 'Column "hold" of the bin says why.';
	RETURN QUERY
		SELECT format(CASE WHEN is_subject IS NULL THEN '%1$s' ELSE 'CASE WHEN %2$s THEN %1$s ELSE false END' END,
				format('(EXISTS (SELECT 1 FROM %1$s AS t WHERE %2$s) OR EXISTS (SELECT 1 FROM %3$s AS t WHERE %2$s AND %5$s AND (t.%4$I OPERATOR(pg_catalog.<>) b.%4$I OR t.ctid OPERATOR(pg_catalog.<>) b.ctid)))',
					relation, matches, bin, stamp, soft_delete_internal.is_of_deletions('t', stamp, deletions)), is_subject),
			'key is taken', name, format('Key (%s) already exists.', columns)
		FROM soft_delete_internal.sharded_keys(relation);
	FOR item IN SELECT * FROM soft_delete_internal.sharded_parents(relation, deletions) LOOP
		"constraint" := (item.con).conname;
		needed := soft_delete_internal.has_reference(item.con, 'b');
		IF item.bin IS NOT NULL THEN
			outcome := 'parent is deleted';
			detail := format('Its parent in table %s is deleted by another deletion.', item.parent);
			condition := format('%s AND NOT %s AND %s', needed, item.is_there, item.in_bin);
			RETURN NEXT;
		END IF;
		IF staying ? (item.con).oid::text THEN
			outcome := 'parent is deleted';
			detail := format('Its parent in table %s does not come back.', item.parent);
			condition := format('EXISTS (SELECT 1 FROM (%s) AS p(%s) WHERE %s) AND NOT %s', staying ->> (item.con).oid::text, (soft_delete_internal.columns_of(item.parent, (item.con).confkey, 'p')).names,
								soft_delete_internal.key_match((item.con).oid, 'p', 'b'), item.is_live);
			RETURN NEXT;
		END IF;
		outcome := 'parent is gone';
		detail := format('Its parent in table %s does not exist.', item.parent);
		condition := format('%s AND NOT %s', needed, item.is_there);
		RETURN NEXT;
	END LOOP;
	-- constraints may be newer than the row
	RETURN QUERY SELECT format('(%s) IS FALSE', soft_delete_internal.expression_of(conbin, 1, relation, 'b')), 'relation is altered', conname, 'The row would violate the constraint.' FROM pg_constraint AS con
		WHERE conrelid = relation AND contype = 'c' AND coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true) ORDER BY con.oid;
	RETURN QUERY SELECT format('b.%I IS NULL', attname), 'relation is altered', NULL::name, format('Column "%s" would be null.', attname) FROM pg_attribute
		WHERE attrelid = relation AND attnum > 0 AND attnotnull AND NOT attisdropped AND attgenerated = '' ORDER BY attnum;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_conflicts(regclass, timestamptz[], jsonb) IS
'what may keep rows of the bin of a sharded table, as b, that some deletions deleted from coming back';

CREATE FUNCTION soft_delete_internal.staying_keys(relation regclass, con pg_constraint, deletions timestamptz[], stays text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	columns record := soft_delete_internal.columns_of(relation, con.confkey, 'b');
BEGIN
	RETURN soft_delete_internal.literal_rows(relation,
		format('SELECT ARRAY[%s] FROM (SELECT %s, (%s) AS soft_delete_stays FROM %s AS b WHERE %s) AS r GROUP BY %s HAVING pg_catalog.bool_and(soft_delete_stays)',
			columns.texts, columns.qualified, stays, soft_delete_internal.sharded_bin(relation), soft_delete_internal.is_of_deletions('b', soft_delete_internal.sharded_stamp(relation), deletions), columns.names), columns.types);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.staying_keys(regclass, pg_constraint, timestamptz[], text) IS
'the keys, of those that a foreign key references, of the rows that some deletions deleted from a sharded table and for which a condition is true, as literal_rows()';

/* Parents come before their children, and rows of a table that references itself after those above them, in a round of their own. */
CREATE FUNCTION soft_delete_internal.sharded_outcomes(deletions timestamptz[], OUT relation regclass, OUT bin regclass, OUT stamp name, OUT conditions text[], OUT outcomes text[], OUT constraints name[], OUT details text[]) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
DECLARE
	staying jsonb := '{}';
	before jsonb;
	con pg_constraint;
	keys text;
BEGIN
	FOR relation, bin, stamp IN SELECT r.relation, r.bin, r.stamp FROM soft_delete_internal.readable_sharded(deletions) AS r LOOP
		BEGIN
			LOOP
				before := staying;
				SELECT array_agg(c.condition ORDER BY n), array_agg(c.outcome ORDER BY n), array_agg(c."constraint" ORDER BY n), array_agg(c.detail ORDER BY n) INTO conditions, outcomes, constraints, details
				FROM soft_delete_internal.sharded_conflicts(relation, deletions, staying) WITH ORDINALITY AS c(condition, outcome, "constraint", detail, n);
				FOR con IN SELECT c.* FROM pg_constraint AS c WHERE contype = 'f' AND conparentid = 0 AND confrelid = relation AND soft_delete_internal.sharded_bin(conrelid) IS NOT NULL ORDER BY c.oid LOOP
					keys := soft_delete_internal.staying_keys(relation, con, deletions, soft_delete_internal.any_of(conditions));
					IF keys IS NOT NULL THEN
						staying := staying || jsonb_build_object(con.oid, keys);
					END IF;
				END LOOP;
				EXIT WHEN staying = before OR NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conrelid = relation AND confrelid = relation);
			END LOOP;
			RETURN NEXT;
		EXCEPTION WHEN OTHERS THEN
			PERFORM soft_delete_internal.warn_unreadable(relation, SQLSTATE, SQLERRM);
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_outcomes(timestamptz[]) IS
'the sharded tables that have rows of some deletions, in the order in which they are restored, with what keeps rows of the bin, as b, from coming back';

CREATE FUNCTION soft_delete_internal.any_of(conditions text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN format('(%s)', array_to_string(conditions, ') OR ('));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.any_of(text[]) IS
'the condition that one of some conditions is true';

CREATE FUNCTION soft_delete_internal.preview_sharded_undo(deletions timestamptz[])
RETURNS TABLE (relation regclass, "row" text, outcome text, "constraint" name, detail text, key jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
#variable_conflict use_column
DECLARE
	item record;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.sharded_outcomes(deletions) LOOP
		BEGIN
			RETURN QUERY
				SELECT item.relation, q."row", coalesce(item.outcomes[q.n], 'comes back'), item.constraints[q.n], item.details[q.n], q.key
				FROM soft_delete_internal.query_as_owner(item.relation,
					format('SELECT %s, %s, soft_delete_outcome FROM (SELECT b.*, CASE %s END AS soft_delete_outcome FROM %s AS b WHERE %s) AS r',
						coalesce((SELECT soft_delete_internal.describe_columns(item.relation, conkey, 'r') FROM pg_constraint WHERE conrelid = item.relation AND contype = 'p'), 'NULL::pg_catalog.text'),
						soft_delete_internal.key_object(item.relation, 'r'),
						(SELECT string_agg(format('WHEN %s THEN %s', c, n), ' ' ORDER BY n) FROM unnest(item.conditions) WITH ORDINALITY AS u(c, n)), item.bin, soft_delete_internal.is_of_deletions('b', item.stamp, deletions))) AS q("row" text, key jsonb, n integer);
		EXCEPTION WHEN OTHERS THEN
			PERFORM soft_delete_internal.warn_unreadable(item.relation, SQLSTATE, SQLERRM);
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_sharded_undo(timestamptz[]) IS
'the rows of preview() for sharded tables';

/* Of several deleted rows with the key, the parent was deleted first after the child, or with it. */
CREATE FUNCTION soft_delete_internal.missing_parents(relation regclass, condition text, deletions timestamptz[], path text[] DEFAULT '{}', OUT member regclass, OUT gone text, OUT stamps timestamptz[]) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
DECLARE
	item record;
	columns record;
	keys text;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.sharded_parents(relation, deletions) WHERE bin IS NOT NULL LOOP
		columns := soft_delete_internal.columns_of(relation, (item.con).conkey, 'b');
		keys := soft_delete_internal.literal_rows(relation,
			format('SELECT ARRAY[%s, soft_delete_stamp::pg_catalog.text] FROM (SELECT %s, pg_catalog.min(p.%I) AS soft_delete_stamp FROM %s AS b, %s AS p WHERE (%s) AND NOT %s AND %s AND p.%3$I OPERATOR(pg_catalog.>=) b.%9$I GROUP BY %2$s) AS r',
				columns.texts, columns.qualified, item.stamp, soft_delete_internal.sharded_bin(relation), item.bin, condition, item.is_there, soft_delete_internal.key_match((item.con).oid, 'p', 'b'),
				soft_delete_internal.sharded_stamp(relation)), columns.types || 'pg_catalog.timestamptz'::text);
		-- rows that reference one another in a circle
		CONTINUE WHEN keys IS NULL OR concat((item.con).oid, keys) = ANY (path);
		gone := format('EXISTS (SELECT 1 FROM (%s) AS c(%s, soft_delete_stamp) WHERE %s AND b.%I OPERATOR(pg_catalog.=) c.soft_delete_stamp)', keys, columns.names, soft_delete_internal.key_match((item.con).oid, 'b', 'c'), item.stamp);
		RETURN QUERY SELECT * FROM soft_delete_internal.missing_parents(item.parent, gone, deletions, path || concat((item.con).oid, keys));
		member := item.parent;
		stamps := ARRAY(SELECT q.stamp FROM soft_delete_internal.query_as_owner(item.parent, format('SELECT DISTINCT b.%I FROM %s AS b WHERE %s', item.stamp, item.bin, gone)) AS q(stamp timestamptz));
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.missing_parents(regclass, text, timestamptz[], text[]) IS
'the sharded tables with deleted rows without which rows of a bin, those with a condition, do not come back with some deletions, the highest first, and the condition and the stamps of these';

CREATE FUNCTION soft_delete_internal.restore_sharded(relation regclass, condition text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bin regclass := soft_delete_internal.sharded_bin(relation);
	stamp name := soft_delete_internal.sharded_stamp(relation);
BEGIN
	IF NOT has_column_privilege(soft_delete_internal.caller(), bin, stamp::text, 'UPDATE') THEN
		RAISE EXCEPTION 'permission denied for table %', bin
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'It takes the right to update the tombstone column of each bin that lists rows of the deletion, or their deleted parents.';
	END IF;
	PERFORM soft_delete_internal.change_shards(relation, format('UPDATE %s AS b SET %I = NULL WHERE %s', bin, stamp, condition));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.restore_sharded(regclass, text) IS
'restores rows of the bin of a sharded table, as b; raises 42501 unless the caller may';

CREATE FUNCTION soft_delete_internal.skip_sharded(deletions timestamptz[]) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
DECLARE
	item record;
	stays text;
	has_any boolean;
	skipped bigint := 0;
BEGIN
	-- each shard has to leave them where it brings what went with others
	FOR item IN SELECT * FROM soft_delete_internal.sharded_outcomes(deletions) LOOP
		stays := format('%s AND (%s)', soft_delete_internal.is_of_deletions('b', item.stamp, deletions), soft_delete_internal.any_of(item.conditions));
		-- what writes nothing needs no connection of the owner
		SELECT q.has_any INTO has_any FROM soft_delete_internal.query_as_owner(item.relation, format('SELECT EXISTS (SELECT 1 FROM %s AS b WHERE %s)', item.bin, stays)) AS q(has_any boolean);
		IF has_any THEN
			skipped := skipped + soft_delete_internal.mark_held(item.relation, stays, soft_delete_internal.staying_mark(), true);
		END IF;
	END LOOP;
	RETURN skipped;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.skip_sharded(timestamptz[]) IS
'marks the rows that some deletions deleted from sharded tables and that cannot come back, and returns their number';

/* Citus changes what one role owns by a connection of its own, which does not see what those of others have done. */
CREATE FUNCTION soft_delete_internal.comes_with_parents(relation regclass, deletions timestamptz[]) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
DECLARE
	bin regclass := soft_delete_internal.sharded_bin(relation);
	stamp name := soft_delete_internal.sharded_stamp(relation);
	stays text := soft_delete_internal.is_of_deletions('b', stamp, deletions);
	con pg_constraint;
	columns record;
	keys text;
	is_left boolean;
BEGIN
	FOR con IN SELECT c.* FROM pg_constraint AS c WHERE contype = 'f' AND conparentid = 0 AND confdeltype = 'c' AND conrelid = relation AND confrelid <> relation AND soft_delete_internal.sharded_bin(confrelid) IS NOT NULL ORDER BY c.oid LOOP
		columns := soft_delete_internal.columns_of(con.confrelid, con.confkey, 'b');
		keys := soft_delete_internal.literal_rows(con.confrelid, format('SELECT ARRAY[%s, b.%I::pg_catalog.text] FROM %s AS b WHERE %s', columns.texts, soft_delete_internal.sharded_stamp(con.confrelid), soft_delete_internal.sharded_bin(con.confrelid),
			soft_delete_internal.is_of_deletions('b', soft_delete_internal.sharded_stamp(con.confrelid), deletions)), columns.types || 'pg_catalog.timestamptz'::text);
		IF keys IS NOT NULL THEN
			stays := stays || format(' AND NOT EXISTS (SELECT 1 FROM (%s) AS p(%s, soft_delete_stamp) WHERE %s AND b.%I OPERATOR(pg_catalog.=) p.soft_delete_stamp)', keys, columns.names, soft_delete_internal.key_match(con.oid, 'p', 'b'), stamp);
		END IF;
	END LOOP;
	SELECT q.is_left INTO is_left FROM soft_delete_internal.query_as_owner(relation, format('SELECT EXISTS (SELECT 1 FROM %s AS b WHERE %s)', bin, stays)) AS q(is_left boolean);
	RETURN NOT is_left;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.comes_with_parents(regclass, timestamptz[]) IS
'whether ON DELETE CASCADE has deleted all rows that some deletions deleted from a sharded table, so that its parents bring them back';

CREATE FUNCTION soft_delete_internal.restore_deletions(deletions timestamptz[], skip_conflicts boolean, with_parents boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
DECLARE
	item record;
	above record;
	own text;
	members regclass[] := '{}';
	conditions text[] := '{}';
	stamps timestamptz[] := deletions;
	n_rows bigint := 0;
	skipped bigint := 0;
	has_owners boolean := (SELECT count(DISTINCT relowner) > 1 FROM soft_delete_internal.readable_sharded(deletions) AS r JOIN pg_class ON pg_class.oid = r.relation);
BEGIN
	IF skip_conflicts THEN
		skipped := soft_delete_internal.skip_sharded(deletions);
	END IF;
	FOR item IN SELECT * FROM soft_delete_internal.readable_sharded(deletions) LOOP
		n_rows := n_rows + item.rows;
		own := soft_delete_internal.is_of_deletions('b', item.stamp, deletions)
			|| CASE WHEN skipped > 0 THEN format(' AND (b.hold IS NULL OR NOT %L OPERATOR(pg_catalog.=) ANY (b.hold))', soft_delete_internal.staying_mark()) ELSE '' END;
		IF with_parents THEN
			FOR above IN SELECT * FROM soft_delete_internal.missing_parents(item.relation, own, deletions) LOOP
				members := members || above.member;
				conditions := conditions || above.gone;
				stamps := stamps || above.stamps;
			END LOOP;
		END IF;
		CONTINUE WHEN has_owners AND soft_delete_internal.comes_with_parents(item.relation, deletions);
		members := members || item.relation;
		conditions := conditions || own;
	END LOOP;
	IF stamps <> deletions THEN
		n_rows := (SELECT sum(rows) FROM soft_delete_internal.readable_sharded(stamps));
	END IF;
	PERFORM soft_delete_internal.restore_sharded(m, c) FROM unnest(members, conditions) AS u(m, c);
	-- what comes back by a cascade counts, too
	IF has_owners AND stamps = deletions THEN
		n_rows := n_rows - skipped;
	ELSIF skipped > 0 OR stamps <> deletions THEN
		n_rows := n_rows - (SELECT coalesce(sum(rows), 0) FROM soft_delete_internal.readable_sharded(stamps));
	END IF;
	IF skipped > 0 THEN
		PERFORM soft_delete_internal.mark_held(relation, soft_delete_internal.is_of_deletions('b', stamp, deletions), soft_delete_internal.staying_mark(), false)
		FROM soft_delete_internal.readable_sharded(deletions);
		PERFORM soft_delete_internal.report_skipped(skipped, deletions);
	END IF;
	RETURN n_rows;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.restore_deletions(timestamptz[], boolean, boolean) IS
'restores what some deletions deleted from sharded tables, and returns the number of rows';

CREATE FUNCTION soft_delete_internal.restore_in_part(deletions timestamptz[], skip_conflicts boolean, with_parents boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.multi_shard_modify_mode = sequential -- tables that foreign keys connect are read and written
AS $$
BEGIN
	RETURN soft_delete_internal.restore_deletions(deletions, skip_conflicts, with_parents);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.restore_in_part(timestamptz[], boolean, boolean) IS
'does restore_deletions() by one connection to each node';

CREATE FUNCTION soft_delete_internal.restore_for_owners(deletions timestamptz[], skip_conflicts boolean, with_parents boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF skip_conflicts OR with_parents THEN
		RETURN soft_delete_internal.restore_in_part(deletions, skip_conflicts, with_parents);
	END IF;
	RETURN soft_delete_internal.restore_deletions(deletions, false, false);
EXCEPTION WHEN active_sql_transaction THEN
	RAISE EXCEPTION 'cannot restore rows that one transaction would change as several roles'
		USING ERRCODE = 'feature_not_supported', DETAIL = 'Citus changes what each role owns by a connection that does not see what others have done. What went by ON DELETE CASCADE comes with its parents.';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.restore_for_owners(timestamptz[], boolean, boolean) IS
'restores what some deletions deleted from sharded tables where several roles own such; raises 0A000 where that takes more than one of their connections';

CREATE FUNCTION soft_delete_internal.undo_sharded(deletions timestamptz[], skip_conflicts boolean, with_parents boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete_internal.has_citus() THEN
		RETURN 0;
	ELSIF (SELECT count(DISTINCT relowner) > 1 FROM soft_delete_internal.sharded_tables() JOIN pg_class ON pg_class.oid = relation WHERE has_table_privilege(soft_delete_internal.caller(), bin, 'SELECT')) THEN
		RETURN soft_delete_internal.restore_for_owners(deletions, skip_conflicts, with_parents);
	ELSIF skip_conflicts OR with_parents THEN
		RETURN soft_delete_internal.restore_in_part(deletions, skip_conflicts, with_parents);
	END IF;
	RETURN soft_delete_internal.restore_deletions(deletions, false, false);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.undo_sharded(timestamptz[], boolean, boolean) IS
'does undo() for sharded tables';

CREATE FUNCTION soft_delete_internal.history_sharded(relation regclass, key text[])
RETURNS TABLE (event text, happened_at timestamptz, done_by name, actor text, reason text, deleted_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	bin regclass := soft_delete_internal.sharded_bin(relation);
	known record;
	teller record;
BEGIN
	IF NOT has_table_privilege(soft_delete_internal.caller(), bin, 'SELECT') THEN
		RAISE EXCEPTION 'permission denied for table %', bin
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	SELECT * INTO known FROM soft_delete_internal.given_key(relation, key);
	SELECT * INTO teller FROM soft_delete_internal.records_of(relation);
	RETURN QUERY
	SELECT 'deleted', stamp, deleted_by::name, NULL::text, NULL::text, stamp
	FROM soft_delete_internal.query_as_owner(relation, format('SELECT b.%I, b.deleted_by FROM %s AS b WHERE %s', soft_delete_internal.sharded_stamp(relation), bin, known.condition), form => 'key') AS q(stamp timestamptz, deleted_by text)
	UNION ALL
	SELECT 'erased', erased_at, erased_by::name, NULL, NULL, NULL FROM soft_delete_internal.erasures AS e
	WHERE e.relation = soft_delete_internal.qualified_name(history_sharded.relation) AND key_hash = known.hash
	  AND (teller.tells_all OR e.roleid = teller.roleid AND e.owner = teller.owner)
	ORDER BY 2, 1;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.history_sharded(regclass, text[]) IS
'does soft_delete.history() for a sharded table: what its bin and the erasures know';

CREATE FUNCTION soft_delete_internal.forget_references(relation regclass, condition text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	key text;
BEGIN
	FOR item IN
		SELECT confrelid::regclass AS parent, soft_delete_internal.sharded_bin(confrelid) AS bin, soft_delete_internal.name_of_reference(con) AS name FROM pg_constraint AS con
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype IN ('n', 'd') AND conrelid = relation AND soft_delete_internal.sharded_tag(confrelid) IS NOT NULL
	LOOP
		FOR key IN SELECT * FROM soft_delete_internal.query_as_owner(relation, format('SELECT DISTINCT %s FROM %s AS b WHERE %s', soft_delete_internal.key_of_row(relation, 'b'), soft_delete_internal.sharded_bin(relation), condition), form => 'key') AS q(key text) LOOP
			PERFORM soft_delete_internal.change_shards(item.parent, format('UPDATE %s AS b SET unlinked = b.unlinked #- ARRAY[%2$L, %3$L] WHERE b.unlinked -> %2$L ? %3$L', item.bin, item.name, key));
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.forget_references(regclass, text) IS
'takes rows of the bin of a sharded table, as b, out of what the bins of other tables know of references that were overwritten';

CREATE FUNCTION soft_delete_internal.refuse_others_rows(relation regclass, what text, remedy text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
BEGIN
	SELECT m INTO member FROM soft_delete_internal.sharded_reach(relation) AS m JOIN pg_class ON pg_class.oid = m WHERE relowner <> (SELECT own.relowner FROM pg_class AS own WHERE own.oid = relation) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot % a row of table "%", whose deletes reach table "%" of another role', what, relation, member
			USING ERRCODE = 'feature_not_supported', DETAIL = 'Citus changes the rows of each role by a connection of its own.', HINT = coalesce(remedy, format('SELECT * FROM %s;', soft_delete_internal.sharded_bin(member)));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.refuse_others_rows(regclass, text, text) IS
'raises 0A000 for a sharded table whose deletes reach tables of other owners; what: what cannot be done with a row; remedy: a hint';

CREATE FUNCTION soft_delete_internal.erase_sharded(relation regclass, key text[]) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	known record;
	mark text := soft_delete_internal.erasing_mark();
	is_marked text;
	member regclass;
	erased bigint := 0;
BEGIN
	PERFORM soft_delete_internal.check_lifecycle(relation);
	PERFORM soft_delete_internal.refuse_others_rows(relation, 'erase');
	SELECT * INTO known FROM soft_delete_internal.given_key(relation, key);
	PERFORM soft_delete_internal.change_shards(relation, format('DELETE FROM %s AS b WHERE %s', relation, known.condition));
	PERFORM soft_delete_internal.mark_held(relation, known.condition, mark, true);
	PERFORM soft_delete_internal.spread_mark(relation, known.condition, mark);
	is_marked := format('%L OPERATOR(pg_catalog.=) ANY (b.hold)', mark);
	PERFORM soft_delete_internal.forget_references(m, is_marked) FROM soft_delete_internal.sharded_reach(relation) AS m;
	FOR member IN SELECT m FROM soft_delete_internal.sharded_reach(relation) AS m LOOP
		erased := erased + soft_delete_internal.change_shards(member, format('DELETE FROM %s AS b WHERE %s', soft_delete_internal.sharded_bin(member), is_marked));
	END LOOP;
	IF erased = 0 THEN
		RAISE NOTICE 'table "%" has no row with that key', relation;
	ELSE
		INSERT INTO soft_delete_internal.erasures
		SELECT soft_delete_internal.qualified_name(relation), known.hash, clock_timestamp(), pg_get_userbyid(soft_delete_internal.caller()), erased, pg_get_userbyid(relowner), relowner
		FROM pg_class WHERE oid = relation;
	END IF;
	RETURN erased;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.erase_sharded(regclass, text[]) IS
'does soft_delete.erase() for a sharded table';

/*
 * A hold is a trigger of the bin, which Citus gives all shards.  One on a table holds what
 * went with its rows, too, so the bins of what its deletes reach by CASCADE have it as well.
 */
CREATE FUNCTION soft_delete_internal.hold_prefix(relation regclass) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN '~soft_delete_hold_' || left(md5(encode(soft_delete_internal.sharded_tag(relation), 'hex')), 12) || '_';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_prefix(regclass) IS
'how the names of triggers begin that hold rows because the rows of a sharded table are held';

CREATE FUNCTION soft_delete_internal.origin_of_hold(name name) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT relation FROM soft_delete_internal.sharded_tables() WHERE starts_with(name, soft_delete_internal.hold_prefix(relation)) LIMIT 1);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.origin_of_hold(name) IS
'the sharded table because of which a trigger of that name holds rows';

CREATE FUNCTION soft_delete_internal.sharded_reach(relation regclass) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE ROWS 3
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		WITH RECURSIVE reached AS (
			SELECT relation::oid AS member
			UNION
			SELECT conrelid FROM reached JOIN pg_constraint ON confrelid = member WHERE contype = 'f' AND conparentid = 0 AND confdeltype = 'c'
		)
		SELECT member::regclass FROM reached WHERE soft_delete_internal.sharded_bin(member) IS NOT NULL ORDER BY member;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_reach(regclass) IS
'a sharded table, and the tagged ones that its deletes reach by ON DELETE CASCADE';

CREATE FUNCTION soft_delete_internal.hold_commands(relation regclass, origin regclass, hold text, deleted_at timestamptz) RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
SET timezone = 'UTC'
AS $$
DECLARE
	bin regclass := soft_delete_internal.sharded_bin(relation);
BEGIN
	IF hold IS NULL THEN
		RETURN QUERY SELECT format('DROP TRIGGER %I ON %s', t.tgname, bin) FROM soft_delete_internal.sharded_holds(bin) AS t
			WHERE starts_with(t.tgname, soft_delete_internal.hold_prefix(origin)) AND (soft_delete_internal.trigger_arguments(t.oid))[3] IS NOT DISTINCT FROM deleted_at::text;
		RETURN;
	END IF;
	RETURN QUERY SELECT format('CREATE OR REPLACE TRIGGER %I BEFORE %s ON %s FOR EACH %s EXECUTE FUNCTION soft_delete.guard_shard_row(%L, %L%s)',
			soft_delete_internal.hold_prefix(origin) || left(md5(concat(hold, deleted_at)), 12) || '_' || lower(event), event, bin,
			per || CASE WHEN per = 'ROW' AND deleted_at IS NOT NULL THEN format(' WHEN (OLD.%I OPERATOR(pg_catalog.=) %L::pg_catalog.timestamptz)', soft_delete_internal.sharded_stamp(relation), deleted_at) ELSE '' END,
			hold, pg_get_userbyid(soft_delete_internal.caller()), ', ' || quote_literal(deleted_at::text))
		FROM (VALUES ('DELETE', 'ROW'), ('TRUNCATE', 'STATEMENT')) AS v(event, per);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_commands(regclass, regclass, text, timestamptz) IS
'what places a hold on the bin of a sharded table, or lifts those where it is null; origin: the table whose rows are held; deleted_at: the deletion, or null';

CREATE FUNCTION soft_delete_internal.hold_sharded(relation regclass, hold text) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.enable_unsafe_triggers = on
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	item record;
	found boolean := false;
BEGIN
	PERFORM soft_delete_internal.check_owner(relation);
	IF hold = '' THEN
		RAISE EXCEPTION 'a hold needs a reason'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	FOR item IN SELECT member, command FROM soft_delete_internal.sharded_reach(relation) AS member, soft_delete_internal.hold_commands(member, relation, hold, NULL) AS command LOOP
		found := true;
		-- a table of another owner may be below: who may delete from the one may keep rows of the other
		PERFORM soft_delete_internal.alter_as_owner(item.member, item.command);
	END LOOP;
	RETURN found;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_sharded(regclass, text) IS
'does soft_delete.hold() for all deleted rows of a table that Citus has sharded; returns false if there was no hold to lift';

CREATE FUNCTION soft_delete_internal.hold_sharded_deletion(deleted_at timestamptz, hold text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.enable_unsafe_triggers = on
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	item record;
	command text;
	found boolean;
	tables bigint := 0;
BEGIN
	FOR item IN
		SELECT s.relation FROM soft_delete_internal.sharded_tables() AS s
		WHERE s.bin IS NOT NULL AND soft_delete_internal.caller_owns(s.relation)
		  AND (hold IS NULL OR EXISTS (SELECT FROM soft_delete_internal.readable_sharded(ARRAY[deleted_at]) AS r WHERE r.relation = s.relation))
	LOOP
		found := false;
		FOR command IN SELECT c FROM soft_delete_internal.hold_commands(item.relation, item.relation, hold, deleted_at) AS c LOOP
			found := true;
			PERFORM soft_delete_internal.alter_as_owner(item.relation, command);
		END LOOP;
		tables := tables + found::integer;
	END LOOP;
	RETURN tables;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_sharded_deletion(timestamptz, text) IS
'does soft_delete.hold_deletion() for sharded tables: the number of tables';

/*
 * A hold on single rows is in a column of the bin, where it moves with them: why, once for
 * the row itself, and once for each row with which it went, whose table and key are hashed.
 * Each is lifted by itself.
 */
CREATE FUNCTION soft_delete_internal.mark_held(relation regclass, condition text, mark text, is_held boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN soft_delete_internal.change_shards(relation, format(CASE WHEN is_held THEN 'UPDATE %1$s AS b SET hold = pg_catalog.array_append(b.hold, %2$L) WHERE (%3$s) AND (%2$L = ANY (b.hold)) IS NOT TRUE'
			ELSE 'UPDATE %1$s AS b SET hold = nullif(pg_catalog.array_remove(b.hold, %2$L), ''{}'') WHERE (%3$s) AND %2$L = ANY (b.hold)' END,
		soft_delete_internal.sharded_bin(relation), mark, condition));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.mark_held(regclass, text, text, boolean) IS
'adds a mark to the holds of rows of the bin of a sharded table, as b, or takes it away, and returns the number of rows that it changes';

CREATE FUNCTION soft_delete_internal.held_mark(relation regclass, hold text, hash bytea) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN format('%s (with %s)', hold, left(encode(sha256(soft_delete_internal.sharded_tag(relation) || hash), 'hex'), 16));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.held_mark(regclass, text, bytea) IS
'what marks rows that are held with a row of a sharded table; hash: of the primary key of this';

CREATE FUNCTION soft_delete_internal.spread_mark(relation regclass, condition text, mark text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	changed bigint := 1;
BEGIN
	-- deletes may reach a table again, at any depth
	WHILE changed > 0 LOOP
		changed := (SELECT sum(soft_delete_internal.mark_held(con.conrelid, soft_delete_internal.goes_with(con, relation, condition, mark), mark, true)) FROM soft_delete_internal.cascade_edges(relation) AS con);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.spread_mark(regclass, text, text) IS
'adds a mark to the holds of what went with the deleted rows of a sharded table that have a condition, but not to these';

CREATE FUNCTION soft_delete_internal.hold_with_cascade(relation regclass, key text[], hold text, is_held boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known record;
	mark text;
	changed bigint;
BEGIN
	SELECT * INTO known FROM soft_delete_internal.given_key(relation, key);
	mark := soft_delete_internal.held_mark(relation, hold, known.hash);
	IF is_held THEN
		PERFORM soft_delete_internal.refuse_others_rows(relation, 'hold', format('SELECT soft_delete.hold(%L, %L);', relation, hold));
	ELSE
		PERFORM soft_delete_internal.mark_held(m, 'true', mark, false) FROM soft_delete_internal.sharded_reach(relation) AS m JOIN pg_class ON pg_class.oid = m WHERE relowner = (SELECT own.relowner FROM pg_class AS own WHERE own.oid = relation);
	END IF;
	changed := soft_delete_internal.mark_held(relation, known.condition, hold, is_held);
	IF is_held THEN
		PERFORM soft_delete_internal.spread_mark(relation, known.condition, mark);
	END IF;
	RETURN changed;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_with_cascade(regclass, text[], text, boolean) IS
'holds the deleted rows of a sharded table with a primary key, and what went with them, or lifts that hold; returns the number of rows with the key that were not held so before, or were';

CREATE FUNCTION soft_delete_internal.own_holds(relation regclass, condition text) RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY SELECT DISTINCT h FROM soft_delete_internal.query_as_owner(relation, format('SELECT b.hold FROM %s AS b WHERE b.hold IS NOT NULL AND (%s)', soft_delete_internal.sharded_bin(relation), condition)) AS q(holds text[]), unnest(holds) AS h
		WHERE NOT soft_delete_internal.is_mark(h) ORDER BY h;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.own_holds(regclass, text) IS
'why rows of the bin of a sharded table, as b, are held by themselves, and not with another row';

/*
 * A hold on a live row is a trigger of the table, with its key as its condition, which does
 * not let the key change.  The tag brings the hold to the bin with the row (sharded.c).
 */
CREATE FUNCTION soft_delete_internal.live_name(hash bytea, hold text) RETURNS name
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN concat('~soft_delete_shard_live_', left(encode(hash, 'hex'), 12), '_', left(md5(hold), 12));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.live_name(bytea, text) IS
'the name of the trigger that is a hold on a live row of a sharded table; hash: of its primary key';

CREATE FUNCTION soft_delete_internal.hold_live_row(relation regclass, key text[], hold text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known record := soft_delete_internal.given_key(relation, key, 'OLD');
	name name := soft_delete_internal.live_name(known.hash, hold);
	columns smallint[] := (SELECT conkey FROM pg_constraint WHERE conrelid = relation AND contype = 'p');
	function text := format('soft_delete.guard_shard_row(%s)', (SELECT string_agg(quote_literal(a), ', ' ORDER BY n)
		FROM unnest(ARRAY[hold, pg_get_userbyid(soft_delete_internal.caller())::text, soft_delete_internal.held_mark(relation, hold, known.hash)] || key) WITH ORDINALITY AS u(a, n)));
BEGIN
	PERFORM soft_delete_internal.refuse_others_rows(relation, 'hold', format('SELECT soft_delete.hold(%L, %L);', relation, hold));
	PERFORM soft_delete_internal.alter_as_owner(relation, format('CREATE OR REPLACE TRIGGER %I BEFORE UPDATE ON %s FOR EACH ROW WHEN (%s AND ROW(%s) IS DISTINCT FROM ROW(%s)) EXECUTE FUNCTION %s', name, relation, known.condition,
		(soft_delete_internal.columns_of(relation, columns, 'OLD')).qualified, (soft_delete_internal.columns_of(relation, columns, 'NEW')).qualified, function));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_live_row(regclass, text[], text) IS
'holds the live row of a sharded table with a primary key; raises 0A000 if what goes with it may not be of its owner';

CREATE FUNCTION soft_delete_internal.lift_live_rows(relation regclass, hash bytea, hold text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name name;
	lifted bigint := 0;
BEGIN
	FOR name IN SELECT t.tgname FROM soft_delete_internal.live_holds(relation) AS t
		WHERE (hash IS NULL OR starts_with(t.tgname, left(soft_delete_internal.live_name(hash, ''), -12))) AND (hold IS NULL OR (soft_delete_internal.trigger_arguments(t.oid))[1] = hold)
	LOOP
		PERFORM soft_delete_internal.alter_as_owner(relation, format('DROP TRIGGER %I ON %s', name, relation));
		lifted := lifted + 1;
	END LOOP;
	RETURN lifted;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.lift_live_rows(regclass, bytea, text) IS
'lifts holds on live rows of a sharded table, and returns their number; hash: of a primary key, null for all; hold: why they are held, null for whatever';

CREATE FUNCTION soft_delete_internal.lift_sharded_row(relation regclass, key text[], hold text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	lifted bigint := soft_delete_internal.hold_with_cascade(relation, key, hold, false);
BEGIN
	-- a hold that has gone to the bin with its row is one
	RETURN greatest(lifted, soft_delete_internal.lift_live_rows(relation, (soft_delete_internal.given_key(relation, key)).hash, hold));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.lift_sharded_row(regclass, text[], text) IS
'lifts a hold on the rows of a sharded table with a primary key, live or deleted, and returns how many there were';

CREATE FUNCTION soft_delete_internal.hold_sharded_row(relation regclass, arguments text[]) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.enable_unsafe_triggers = on
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	key text[] := arguments[:cardinality(arguments) - 1];
	hold text := arguments[cardinality(arguments)];
	known record;
	is_deleted boolean;
	is_live boolean;
BEGIN
	PERFORM soft_delete_internal.check_owner(relation);
	IF key = '{}' THEN
		RAISE EXCEPTION 'a hold on a row takes its key and a text'
			USING ERRCODE = 'invalid_parameter_value', DETAIL = 'The last argument says why the row is held.';
	ELSIF hold = '' OR octet_length(hold) > 10000 THEN
		RAISE EXCEPTION 'a hold needs a reason, of no more than 10000 bytes'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT * INTO known FROM soft_delete_internal.given_key(relation, key);
	IF hold IS NULL THEN
		RETURN coalesce((SELECT sum(soft_delete_internal.lift_sharded_row(relation, key, h)) FROM soft_delete_internal.own_holds(relation, known.condition) AS h), 0) + soft_delete_internal.lift_live_rows(relation, known.hash, NULL);
	END IF;
	SELECT q.is_deleted INTO is_deleted FROM soft_delete_internal.query_as_owner(relation, format('SELECT EXISTS (SELECT 1 FROM %s AS b WHERE %s)', soft_delete_internal.sharded_bin(relation), known.condition)) AS q(is_deleted boolean);
	SELECT q.is_live INTO is_live FROM soft_delete_internal.query_as_owner(relation, format('SELECT EXISTS (SELECT 1 FROM %s AS b WHERE %s)', relation, known.condition)) AS q(is_live boolean);
	IF is_live THEN
		PERFORM soft_delete_internal.hold_live_row(relation, key, hold);
	ELSIF NOT is_deleted THEN
		RAISE EXCEPTION 'table "%" has no row with that primary key, live or deleted', relation
			USING ERRCODE = 'undefined_object';
	END IF;
	RETURN is_live::integer + CASE WHEN is_deleted THEN soft_delete_internal.hold_with_cascade(relation, key, hold, true) ELSE 0 END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_sharded_row(regclass, text[]) IS
'does soft_delete.hold() for the rows of a sharded table with a primary key, live or deleted; arguments: the values of the key, and why, or null to lift all such holds';

CREATE FUNCTION soft_delete_internal.lift_sharded(relation regclass, arguments text[]) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
SET citus.enable_unsafe_triggers = on
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	key text[] := arguments[:cardinality(arguments) - 1];
	hold text := arguments[cardinality(arguments)];
	item record;
	lifted bigint := 0;
BEGIN
	PERFORM soft_delete_internal.check_owner(relation);
	IF hold IS NULL THEN
		RAISE EXCEPTION 'the hold to lift must not be null'
			USING ERRCODE = 'null_value_not_allowed', DETAIL = 'It is the reason that hold() was told.';
	ELSIF key <> '{}' THEN
		RETURN soft_delete_internal.lift_sharded_row(relation, key, hold);
	END IF;
	-- of the table and of deletions
	FOR item IN
		SELECT member, t.tgname FROM soft_delete_internal.sharded_reach(relation) AS member, soft_delete_internal.sharded_holds(soft_delete_internal.sharded_bin(member)) AS t
		WHERE starts_with(t.tgname, soft_delete_internal.hold_prefix(relation)) AND (soft_delete_internal.trigger_arguments(t.oid))[1] = hold
	LOOP
		PERFORM soft_delete_internal.alter_as_owner(item.member, format('DROP TRIGGER %I ON %s', item.tgname, soft_delete_internal.sharded_bin(item.member)));
		lifted := lifted + (item.member = relation AND item.tgname LIKE '%\_delete')::integer;
	END LOOP;
	FOR key IN SELECT * FROM soft_delete_internal.held_keys(relation, hold) LOOP
		lifted := lifted + soft_delete_internal.lift_sharded_row(relation, key, hold);
	END LOOP;
	RETURN lifted + soft_delete_internal.lift_live_rows(relation, NULL, hold);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.lift_sharded(regclass, text[]) IS
'does soft_delete.lift() for a sharded table; arguments: the values of a primary key, or none, and why the rows are held';

CREATE FUNCTION soft_delete_internal.held_keys(relation regclass, hold text) RETURNS SETOF text[]
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	columns text := (SELECT string_agg(format('b.%I::pg_catalog.text', attname), ', ' ORDER BY n) FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum)
					 WHERE conrelid = relation AND contype = 'p' AND attrelid = conrelid);
BEGIN
	IF columns IS NOT NULL THEN
		RETURN QUERY SELECT * FROM soft_delete_internal.query_as_owner(relation,
			format('SELECT DISTINCT ARRAY[%s] FROM %s AS b WHERE %L = ANY (b.hold)', columns, soft_delete_internal.sharded_bin(relation), hold), form => 'key') AS q(key text[]);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.held_keys(regclass, text) IS
'the primary keys of the deleted rows of a sharded table that are held by themselves for a reason';

CREATE FUNCTION soft_delete_internal.lift_sharded_everywhere(hold text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	relation regclass;
	mark text;
	lifted bigint := 0;
BEGIN
	FOR relation IN SELECT s.relation FROM soft_delete_internal.sharded_tables() AS s WHERE s.bin IS NOT NULL AND soft_delete_internal.caller_owns(s.relation) LOOP
		lifted := lifted + soft_delete_internal.lift_sharded(relation, ARRAY[hold]);
		-- of rows that a foreign key connects no more with those that they went with
		FOR mark IN SELECT DISTINCT h FROM soft_delete_internal.query_as_owner(relation, format('SELECT b.hold FROM %s AS b WHERE b.hold IS NOT NULL', soft_delete_internal.sharded_bin(relation))) AS q(holds text[]), unnest(holds) AS h
				WHERE soft_delete_internal.is_mark(h) AND left(h, -24) = hold LOOP
			PERFORM soft_delete_internal.mark_held(relation, 'true', mark, false);
		END LOOP;
	END LOOP;
	RETURN lifted;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.lift_sharded_everywhere(text) IS
'lifts the holds of a name on sharded tables of the caller, their deletions and rows, and returns their number';
