/*
 * undo(), erase(), history() and holds of deletions, of tables that Citus has sharded.
 *
 * Restores and purges are statements of the bin that Citus distributes (ddl_sharded.sql);
 * these functions find which.
 */

CREATE FUNCTION soft_delete_internal.readable_sharded(deletions timestamptz[], OUT relation regclass, OUT bin regclass, OUT stamp name, OUT rows bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
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
			SELECT confrelid FROM above JOIN pg_constraint ON conrelid = member WHERE contype = 'f'
		)
		SELECT member::regclass FROM above WHERE member <> relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_ancestors(regclass) IS
'the other tables that a table references, at any distance';

CREATE FUNCTION soft_delete_internal.undo_sharded(deletions timestamptz[], skip_conflicts boolean, with_parents boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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
		FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'c' AND confrelid = relation ORDER BY conrelid, conname
	LOOP
		IF other.child = ANY (path || relation) THEN
			RAISE EXCEPTION 'cannot erase rows of table "%", whose deletes reach it again', other.child
				USING ERRCODE = 'feature_not_supported',
					DETAIL = 'Rows of a sharded table that references itself are erased one by one.', HINT = format('SELECT * FROM %s;', other.child_bin);
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
			SELECT conrelid FROM reached JOIN pg_constraint ON confrelid = member WHERE contype = 'f' AND confdeltype = 'c'
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

CREATE FUNCTION soft_delete_internal.hold_sharded(relation regclass, hold text) RETURNS void
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
	IF NOT found THEN
		RAISE NOTICE 'table "%" is not held', relation;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.hold_sharded(regclass, text) IS
'does soft_delete.hold() for all deleted rows of a table that Citus has sharded';

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
