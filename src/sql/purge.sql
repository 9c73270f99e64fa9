/*
 * What purge() asks for: the tables, in order; what is due in them; and the log.
 */

CREATE TABLE soft_delete_internal.purge_log (
	-- the name, not regclass: the log outlives the table
	relation text COLLATE "C",
	purged_at timestamptz,
	purged_by text NOT NULL,
	rows bigint NOT NULL,
	oldest timestamptz,
	newest timestamptz,
	duration interval NOT NULL,
	error text,
	-- of the table, then: another one may have its name by now
	owner text,
	roleid oid,
	PRIMARY KEY (relation, purged_at)
) USING heap;
-- rows of this table are not replicated, even where a publication has all tables
ALTER TABLE soft_delete_internal.purge_log REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.purge_log IS
'what purges have destroyed: a row per table and run, written with each batch, so that it shows how far a running one has come';
COMMENT ON COLUMN soft_delete_internal.purge_log.relation IS 'the table, as schema.name';
COMMENT ON COLUMN soft_delete_internal.purge_log.purged_at IS 'when the purge of the table began';
COMMENT ON COLUMN soft_delete_internal.purge_log.purged_by IS 'the role';
COMMENT ON COLUMN soft_delete_internal.purge_log.rows IS 'how many rows it has destroyed';
COMMENT ON COLUMN soft_delete_internal.purge_log.oldest IS 'the oldest stamp of those';
COMMENT ON COLUMN soft_delete_internal.purge_log.newest IS 'the newest';
COMMENT ON COLUMN soft_delete_internal.purge_log.duration IS 'how long it took until its last batch ended';
COMMENT ON COLUMN soft_delete_internal.purge_log.error IS 'why it ended early; ''not finished'' while it runs, and afterwards if it was interrupted; the next successful purge has a row even if it destroys nothing';
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.purge_log', '');

CREATE FUNCTION soft_delete_internal.check_root(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF soft_delete_internal.tag_arguments(relation) IS NULL THEN
		IF soft_delete_internal.sharded_tag(relation) IS NOT NULL THEN
			PERFORM soft_delete_internal.check_lifecycle(relation);
			RETURN;
		END IF;
		RAISE EXCEPTION 'table "%" is not tagged', relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = format('SELECT soft_delete.tag(%L);', relation);
	END IF;
	PERFORM soft_delete_internal.check_owner(relation);
	IF soft_delete_internal.root(relation) <> relation THEN
		RAISE EXCEPTION 'table "%" is a partition or inheritance child', relation
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'It is purged with the table that it belongs to.',
				HINT = format('SELECT * FROM soft_delete.preview_purge(%L);', soft_delete_internal.root(relation));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_root(regclass) IS
'raises 55000, 0A000, 42501 or 42809 unless it is a tagged table that the current role owns, and no partition; one that Citus has sharded: on the coordinator';

CREATE FUNCTION soft_delete_internal.purge_groups(relation regclass DEFAULT NULL) RETURNS SETOF regclass[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE tables AS MATERIALIZED (
		SELECT tagged.relation AS member FROM soft_delete_internal.tagged_tables() AS tagged
		WHERE soft_delete_internal.caller_owns(tagged.relation)
	), edges AS MATERIALIZED (
		SELECT DISTINCT p.member AS parent, c.member AS child, confdeltype
		FROM pg_constraint JOIN tables AS p ON p.member = soft_delete_internal.root(confrelid) JOIN tables AS c ON c.member = soft_delete_internal.root(conrelid)
		WHERE contype = 'f' AND conparentid = 0 AND p.member <> c.member
	), wanted AS (
		SELECT member FROM tables WHERE relation IS NULL OR member = relation
		UNION
		SELECT child FROM wanted JOIN edges ON parent = member WHERE confdeltype = 'c'
	), below AS (
		SELECT parent, child FROM edges
		UNION
		SELECT below.parent, edges.child FROM below JOIN edges ON edges.parent = below.child
	), placed AS (
		-- tables whose foreign keys form a circle are below each other, and have the same number of tables below them
		SELECT member, (SELECT count(*) FROM below WHERE parent = member) AS n_below,
			least(member::oid, (SELECT min(b.child::oid) FROM below AS b JOIN below AS back ON back.parent = b.child AND back.child = b.parent
								WHERE b.parent = member)) AS first_of_circle
		FROM wanted
	)
	SELECT array_agg(member ORDER BY member) FROM placed GROUP BY first_of_circle, n_below ORDER BY n_below, first_of_circle
$$;
COMMENT ON FUNCTION soft_delete_internal.purge_groups(regclass) IS
'the tagged tables of the current role, or one of them with what its deletes reach by CASCADE, children before parents; tables whose foreign keys form a circle are in one group';

CREATE FUNCTION soft_delete_internal.purge_batch(relations regclass[], as_of timestamptz, older_than interval, batch_size integer, begins boolean, dry_run boolean,
	OUT relation regclass, OUT rows bigint, OUT held bigint, OUT referenced bigint, OUT locked bigint, OUT oldest timestamptz, OUT newest timestamptz, OUT done boolean)
RETURNS SETOF record
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'soft_delete_purge_batch';
COMMENT ON FUNCTION soft_delete_internal.purge_batch(regclass[], timestamptz, interval, integer, boolean, boolean) IS
'destroys the next due rows of a group of tables, from the oldest on or from where the session''s last batch ended; returns for each table how many due rows were destroyed, and how many stay';

CREATE FUNCTION soft_delete_internal.remove_empty_deletions(oldest timestamptz, newest timestamptz, batch_size integer) RETURNS timestamptz
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'soft_delete_remove_empty_deletions';
COMMENT ON FUNCTION soft_delete_internal.remove_empty_deletions(timestamptz, timestamptz, integer) IS
'removes what is kept of the deletions of a range of stamps that have no rows left: overwritten references, and after soft_delete.keep_ledger their rows of the ledger; returns the stamp to continue from, null at the end';

CREATE FUNCTION soft_delete_internal.check_purge(relation regclass, older_than interval, batch_size integer, pause interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF batch_size IS NULL OR batch_size < 1 OR pause IS NULL OR pause < '0' OR NOT soft_delete_internal.is_age(pause) THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.purge()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = CASE WHEN pause > '0' AND batch_size > 0 THEN 'The pause can be up to 3000 years.'
					ELSE 'The batch size must be positive, and the pause must not be negative.' END;
	END IF;
	PERFORM soft_delete_internal.check_age(older_than);
	IF relation IS NOT NULL THEN
		PERFORM soft_delete_internal.check_root(relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_purge(regclass, interval, integer, interval) IS
'raises 22023, or an error of check_root(), for invalid arguments of purge()';

/* Purge takes children before parents, so the tables below a group were purged before it, or are waiting. */
CREATE FUNCTION soft_delete_internal.must_wait(members regclass[], waiting regclass[]) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
BEGIN
	IF waiting <> '{}' AND EXISTS
		(SELECT FROM pg_constraint WHERE contype = 'f' AND soft_delete_internal.root(conrelid) = ANY (waiting) AND soft_delete_internal.root(confrelid) = ANY (members)) THEN
		RETURN true;
	END IF;
	FOREACH member IN ARRAY members LOOP
		IF NOT soft_delete_internal.is_free(member, true) OR NOT soft_delete_internal.share_retention(member, false) THEN
			RETURN true;
		END IF;
	END LOOP;
	RETURN false;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.must_wait(regclass[], regclass[]) IS
'whether a purge of a group of tables would wait for a lock of another session, or for a table below the group that is waiting';

CREATE FUNCTION soft_delete_internal.empty_deletions_range(OUT oldest timestamptz, OUT newest timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT least(min(oldest) FILTER (WHERE error IS NOT NULL), max(newest)), max(newest) FILTER (WHERE error IS NOT NULL)
	FROM (SELECT DISTINCT ON (relation) oldest, newest, error FROM soft_delete_internal.purge_log ORDER BY relation, purged_at DESC) AS latest
$$;
COMMENT ON FUNCTION soft_delete_internal.empty_deletions_range() IS
'the range of stamps in which there may be deletions without rows that something is kept of: from the end of the last purge on, and of purges that were interrupted';

CREATE FUNCTION soft_delete_internal.announce_grace(relation regclass, as_of timestamptz, older_than interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	due_before timestamptz;
	destroyed_before timestamptz;
	waiting bigint;
BEGIN
	IF soft_delete_internal.purge_grace() = '0' THEN
		RETURN;
	END IF;
	due_before := soft_delete_internal.purge_limit(relation, as_of, older_than, with_grace => false);
	destroyed_before := soft_delete_internal.purge_limit(relation, as_of, older_than);
	IF due_before IS DISTINCT FROM destroyed_before THEN
		waiting := soft_delete_internal.count_due(relation, due_before) - CASE WHEN destroyed_before IS NULL THEN 0 ELSE soft_delete_internal.count_due(relation, destroyed_before) END;
		IF waiting > 0 THEN
			RAISE NOTICE 'deleted rows of table "%" that are due, but wait: %', relation, waiting
				USING DETAIL = format('Its retention was shortened less than %s ago: see soft_delete.purge_grace.', soft_delete_internal.purge_grace());
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.announce_grace(regclass, timestamptz, interval) IS
'tells how many rows of a table are due, but wait for soft_delete.purge_grace';

CREATE FUNCTION soft_delete_internal.preview_purge(relation regclass DEFAULT NULL, older_than interval DEFAULT NULL)
RETURNS TABLE (member regclass, rows bigint, held bigint, referenced bigint, oldest timestamptz, newest timestamptz)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	as_of timestamptz := clock_timestamp();
	members regclass[];
	counts record;
	begins boolean;
	is_done boolean;
BEGIN
	PERFORM soft_delete_internal.check_purge(relation, older_than, 1, '0');
	FOR members IN SELECT * FROM soft_delete_internal.purge_groups(relation) LOOP
		PERFORM soft_delete_internal.announce_grace(m, as_of, older_than) FROM unnest(members) AS m;
		begins := true;
		is_done := false;
		WHILE NOT is_done LOOP
			FOR counts IN SELECT * FROM soft_delete_internal.purge_batch(members, as_of, older_than, 10000, begins, true) LOOP
				is_done := counts.done;
				IF is_done AND counts.rows + counts.held + counts.referenced > 0 THEN
					member := counts.relation;
					rows := counts.rows;
					held := counts.held;
					referenced := counts.referenced;
					oldest := counts.oldest;
					newest := counts.newest;
					RETURN NEXT;
				END IF;
			END LOOP;
			begins := false;
		END LOOP;
	END LOOP;
	RETURN QUERY SELECT * FROM soft_delete_internal.preview_sharded_purge(relation, as_of, older_than);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_purge(regclass, interval) IS
'does soft_delete.preview_purge()';
