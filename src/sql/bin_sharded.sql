/*
 * undo(), erase(), history() and holds of deletions, of tables that Citus has sharded.
 *
 * Restores and purges are statements of the bin that Citus distributes (ddl_sharded.sql);
 * these functions find which.
 */

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
		-- parents first
		ORDER BY (SELECT count(*) FROM soft_delete_internal.sharded_ancestors(s.relation)), s.relation
	LOOP
		BEGIN
			SELECT q.n INTO rows FROM soft_delete_internal.query_as_owner(relation,
				format('SELECT pg_catalog.count(*) FROM %s WHERE %I OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.timestamptz[])', bin, stamp, deletions)) AS q(n bigint);
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

CREATE FUNCTION soft_delete_internal.undo_sharded(deletions timestamptz[], skip_conflicts boolean, with_parents boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
DECLARE
	item record;
	restored bigint := 0;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.readable_sharded(deletions) LOOP
		IF skip_conflicts OR with_parents THEN
			RAISE EXCEPTION 'that cannot be done for table "%", which Citus has sharded', item.relation
				USING ERRCODE = 'feature_not_supported',
					DETAIL = 'A deletion of sharded tables is restored as a whole, or row by row by UPDATE of the bins.',
					HINT = format('SELECT * FROM %s WHERE %I = ANY (%L);', item.bin, item.stamp, deletions);
		ELSIF NOT has_column_privilege(soft_delete_internal.caller(), item.bin, item.stamp::text, 'UPDATE') THEN
			RAISE EXCEPTION 'permission denied for table %', item.bin
				USING ERRCODE = 'insufficient_privilege',
					DETAIL = 'It takes the right to update the tombstone column of each bin that lists rows of the deletion.';
		END IF;
		PERFORM soft_delete_internal.change_shards(item.relation,
			format('UPDATE %s SET %I = NULL WHERE %2$I OPERATOR(pg_catalog.=) ANY (%3$L::pg_catalog.timestamptz[])', item.bin, item.stamp, deletions));
		restored := restored + item.rows;
	END LOOP;
	RETURN restored;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.undo_sharded(timestamptz[], boolean, boolean) IS
'restores what some deletions deleted from sharded tables, and returns the number of rows';

/* undo() restores all of them or none, so that what becomes of rows below one that stays need not be told. */
CREATE FUNCTION soft_delete_internal.sharded_conflicts(relation regclass, deletions timestamptz[], OUT condition text, OUT outcome text, OUT "constraint" name, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	item record;
	is_there text;
	in_bin text;
BEGIN
	RETURN QUERY SELECT 'b.hold IS NOT NULL', 'row is held', NULL::name, 'Column "hold" of the bin says why.';
	RETURN QUERY
		SELECT format('EXISTS (SELECT 1 FROM %s AS t WHERE %s)', relation, string_agg(format('t.%I OPERATOR(%I.%s) b.%1$I', attname, nspname, oprname), ' AND ' ORDER BY n)),
			'key is taken', index_class.relname, format('Key (%s) already exists.', string_agg(attname, ', ' ORDER BY n))
		FROM pg_index JOIN pg_class AS index_class ON index_class.oid = indexrelid CROSS JOIN LATERAL generate_series(1, indnkeyatts) AS n
			JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[n - 1] JOIN pg_opclass ON pg_opclass.oid = indclass[n - 1]
			JOIN pg_amop ON amopfamily = opcfamily AND amoplefttype = opcintype AND amoprighttype = opcintype AND amopstrategy = 3
			JOIN pg_operator ON pg_operator.oid = amopopr JOIN pg_namespace ON pg_namespace.oid = oprnamespace
		WHERE indrelid = relation AND indisvalid AND indisunique AND indpred IS NULL AND indexprs IS NULL GROUP BY indexrelid, index_class.relname ORDER BY indexrelid;
	FOR item IN
		SELECT con.oid, confrelid::regclass AS parent, conname, soft_delete_internal.key_match(con.oid, 'p', 'b') AS matches, soft_delete_internal.sharded_bin(confrelid) AS bin, soft_delete_internal.sharded_stamp(confrelid) AS stamp,
			(SELECT string_agg(format('b.%I IS NOT NULL', attname), ' AND ') FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)) AS has_all
		FROM pg_constraint AS con JOIN pg_class ON pg_class.oid = confrelid
		WHERE contype = 'f' AND conparentid = 0 AND conrelid = relation AND relowner = (SELECT child.relowner FROM pg_class AS child WHERE child.oid = relation) ORDER BY con.oid
	LOOP
		"constraint" := item.conname;
		is_there := format('EXISTS (SELECT 1 FROM %s AS p WHERE %s)', item.parent, item.matches);
		detail := format('Its parent in table %s is deleted by another deletion.', item.parent);
		IF item.bin IS NOT NULL THEN
			in_bin := format('EXISTS (SELECT 1 FROM %s AS p WHERE %s', item.bin, item.matches);
			is_there := format('(%s OR %s AND p.%I OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.timestamptz[])))', is_there, in_bin, item.stamp, deletions);
			outcome := 'parent is deleted';
			condition := format('%s AND NOT %s AND %s)', item.has_all, is_there, in_bin);
			RETURN NEXT;
		END IF;
		outcome := 'parent is gone';
		detail := format('Its parent in table %s does not exist.', item.parent);
		condition := format('%s AND NOT %s', item.has_all, is_there);
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_conflicts(regclass, timestamptz[]) IS
'what may keep rows of the bin of a sharded table, as b, that some deletions deleted from coming back';

CREATE FUNCTION soft_delete_internal.preview_sharded_undo(deletions timestamptz[])
RETURNS TABLE (relation regclass, "row" text, outcome text, "constraint" name, detail text, key jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
#variable_conflict use_column
DECLARE
	item record;
	known record;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.readable_sharded(deletions) LOOP
		BEGIN
			SELECT string_agg(format('WHEN %s THEN %s', c.condition, c.n), ' ' ORDER BY c.n) AS cases, array_agg(c.outcome ORDER BY c.n) AS outcomes, array_agg(c."constraint" ORDER BY c.n) AS constraints, array_agg(c.detail ORDER BY c.n) AS details INTO known
			FROM soft_delete_internal.sharded_conflicts(item.relation, deletions) WITH ORDINALITY AS c(condition, outcome, "constraint", detail, n);
			RETURN QUERY
				SELECT item.relation, q."row", coalesce((known.outcomes)[q.n], 'comes back'), (known.constraints)[q.n], (known.details)[q.n], q.key
				FROM soft_delete_internal.query_as_owner(item.relation,
					format('SELECT %s, %s, soft_delete_outcome FROM (SELECT b.*, CASE %s END AS soft_delete_outcome FROM %s AS b WHERE b.%I OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.timestamptz[])) AS r',
						coalesce((SELECT soft_delete_internal.describe_columns(item.relation, conkey, 'r') FROM pg_constraint WHERE conrelid = item.relation AND contype = 'p'), 'NULL::pg_catalog.text'),
						soft_delete_internal.key_object(item.relation, 'r'),
						known.cases, item.bin, item.stamp, deletions)) AS q("row" text, key jsonb, n integer);
		EXCEPTION WHEN OTHERS THEN
			PERFORM soft_delete_internal.warn_unreadable(item.relation, SQLSTATE, SQLERRM);
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_sharded_undo(timestamptz[]) IS
'the rows of preview() for sharded tables';

CREATE FUNCTION soft_delete_internal.history_sharded(relation regclass, key text[])
RETURNS TABLE (event text, happened_at timestamptz, done_by name, actor text, reason text, deleted_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	bin regclass := soft_delete_internal.sharded_bin(relation);
	known record;
BEGIN
	IF NOT has_table_privilege(soft_delete_internal.caller(), bin, 'SELECT') THEN
		RAISE EXCEPTION 'permission denied for table %', bin
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	SELECT * INTO known FROM soft_delete_internal.given_key(relation, key);
	RETURN QUERY
	SELECT 'deleted', stamp, deleted_by::name, NULL::text, NULL::text, stamp
	FROM soft_delete_internal.query_as_owner(relation, format('SELECT b.%I, b.deleted_by FROM %s AS b WHERE %s', soft_delete_internal.sharded_stamp(relation), bin, known.condition), form => 'key') AS q(stamp timestamptz, deleted_by text)
	UNION ALL
	SELECT 'erased', erased_at, erased_by::name, NULL, NULL, NULL FROM soft_delete_internal.erasures AS e
	WHERE e.relation = soft_delete_internal.qualified_name(history_sharded.relation) AND key_hash = known.hash
	ORDER BY 2, 1;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.history_sharded(regclass, text[]) IS
'does soft_delete.history() for a sharded table: what its bin and the erasures know';

/* Deepest first: each condition looks at the bins above. */
CREATE FUNCTION soft_delete_internal.sharded_cascade(relation regclass, condition text, path regclass[] DEFAULT '{}', OUT member regclass, OUT gone text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 3
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	other record;
BEGIN
	FOR other IN
		SELECT conrelid::regclass AS child, soft_delete_internal.sharded_bin(conrelid) AS child_bin,
			soft_delete_internal.key_match(oid, 'p', 'b') AS matches
		FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND confdeltype = 'c' AND confrelid = relation ORDER BY conrelid, conname
	LOOP
		IF other.child = ANY (path || relation) THEN
			RAISE EXCEPTION 'cannot find what went with a row of table "%", whose deletes reach it again', other.child
				USING ERRCODE = 'feature_not_supported',
					DETAIL = 'A sharded table that references itself has rows below others at any depth.', HINT = format('SELECT * FROM %s;', other.child_bin);
		END IF;
		RETURN QUERY SELECT * FROM soft_delete_internal.sharded_cascade(other.child,
			format('EXISTS (SELECT 1 FROM (SELECT * FROM %s AS b WHERE %s) AS p WHERE %s AND p.%I OPERATOR(pg_catalog.=) b.%I)', soft_delete_internal.sharded_bin(relation), condition, other.matches,
				   soft_delete_internal.sharded_stamp(relation), soft_delete_internal.sharded_stamp(other.child)), path || relation);
	END LOOP;
	member := relation;
	gone := condition;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_cascade(regclass, text, regclass[]) IS
'the bins that have what went with deleted rows of a sharded table, those with a condition, and the condition of that; path: the tables above';

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

CREATE FUNCTION soft_delete_internal.erase_sharded(relation regclass, key text[]) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known record;
	item record;
	erased bigint := 0;
BEGIN
	PERFORM soft_delete_internal.check_lifecycle(relation);
	SELECT * INTO known FROM soft_delete_internal.given_key(relation, key);
	PERFORM soft_delete_internal.change_shards(relation, format('DELETE FROM %s AS b WHERE %s', relation, known.condition));
	PERFORM soft_delete_internal.forget_references(c.member, c.gone) FROM soft_delete_internal.sharded_cascade(relation, known.condition) AS c;
	FOR item IN SELECT * FROM soft_delete_internal.sharded_cascade(relation, known.condition) LOOP
		erased := erased + soft_delete_internal.change_shards(item.member, format('DELETE FROM %s AS b WHERE %s', soft_delete_internal.sharded_bin(item.member), item.gone));
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

CREATE FUNCTION soft_delete_internal.hold_with_cascade(relation regclass, key text[], hold text, is_held boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known record;
	item record;
	mark text;
	changed bigint;
BEGIN
	SELECT * INTO known FROM soft_delete_internal.given_key(relation, key);
	mark := format('%s (with %s)', hold, left(encode(sha256(soft_delete_internal.sharded_tag(relation) || known.hash), 'hex'), 16));
	FOR item IN SELECT * FROM soft_delete_internal.sharded_cascade(relation, known.condition) LOOP
		changed := soft_delete_internal.mark_held(item.member, item.gone, CASE item.member WHEN relation THEN hold ELSE mark END, is_held);
	END LOOP;
	-- the table itself is the last one
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

CREATE FUNCTION soft_delete_internal.hold_sharded_row(relation regclass, arguments text[]) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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
		RETURN coalesce((SELECT sum(soft_delete_internal.hold_with_cascade(relation, key, h, false)) FROM soft_delete_internal.own_holds(relation, known.condition) AS h), 0);
	END IF;
	SELECT q.is_deleted INTO is_deleted FROM soft_delete_internal.query_as_owner(relation, format('SELECT EXISTS (SELECT 1 FROM %s AS b WHERE %s)', soft_delete_internal.sharded_bin(relation), known.condition)) AS q(is_deleted boolean);
	IF is_deleted THEN
		RETURN soft_delete_internal.hold_with_cascade(relation, key, hold, true);
	END IF;
	SELECT q.is_live INTO is_live FROM soft_delete_internal.query_as_owner(relation, format('SELECT EXISTS (SELECT 1 FROM %s AS b WHERE %s)', relation, known.condition)) AS q(is_live boolean);
	IF is_live THEN
		RAISE EXCEPTION 'cannot hold a row of table "%", which Citus has sharded, before it is deleted', relation
			USING ERRCODE = 'feature_not_supported', DETAIL = 'A hold on a row is in the bin. One on the table holds whatever will be deleted, too.',
				HINT = format('SELECT soft_delete.hold(%L, %L);', relation, hold);
	END IF;
	RAISE EXCEPTION 'table "%" has no row with that primary key, live or deleted', relation
		USING ERRCODE = 'undefined_object';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_sharded_row(regclass, text[]) IS
'does soft_delete.hold() for the deleted rows of a sharded table with a primary key; arguments: the values of the key, and why, or null to lift all such holds';

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
		RETURN soft_delete_internal.hold_with_cascade(relation, key, hold, false);
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
		lifted := lifted + soft_delete_internal.hold_with_cascade(relation, key, hold, false);
	END LOOP;
	RETURN lifted;
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
AS $$
BEGIN
	RETURN coalesce((SELECT sum(soft_delete_internal.lift_sharded(s.relation, ARRAY[hold])) FROM soft_delete_internal.sharded_tables() AS s
					 WHERE s.bin IS NOT NULL AND soft_delete_internal.caller_owns(s.relation)), 0);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.lift_sharded_everywhere(text) IS
'lifts the holds of a name on sharded tables of the caller, their deletions and rows, and returns their number';
