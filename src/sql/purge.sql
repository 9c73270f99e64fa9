/*
 * Retention and purge
 */

/* Longer than any law asks for, and such that no time from now on less it is none. */
CREATE FUNCTION soft_delete_internal.is_age(age interval) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	-- parts may have signs of their own, and infinity has none
	SELECT coalesce(age >= '0' AND age <= '3000 years' AND abs(date_part('year', age)) <= 3000
		AND abs(date_part('day', age)) <= 1095750 AND abs(date_part('hour', age)) <= 26298000, age IS NULL)
$$;
COMMENT ON FUNCTION soft_delete_internal.is_age(interval) IS
'whether an interval can be the age of a row: not negative and up to 3000 years; null can';

CREATE TABLE soft_delete_internal.retention (
	relation regclass UNIQUE,
	-- by name, for pg_upgrade keeps no OIDs of schemas
	schema name UNIQUE,
	retain interval CHECK (soft_delete_internal.is_age(retain)),
	CHECK (num_nonnulls(relation, schema) = 1)
) USING heap;
COMMENT ON TABLE soft_delete_internal.retention IS
'how long deleted rows are kept before a purge takes them; written by soft_delete.retain() and retain_schema(); a row that is deleted here says nothing any more';
COMMENT ON COLUMN soft_delete_internal.retention.relation IS 'the table that it is about; its own retention comes before that of its schema';
COMMENT ON COLUMN soft_delete_internal.retention.schema IS 'or the schema, for all tables in it';
COMMENT ON COLUMN soft_delete_internal.retention.retain IS 'the least age of what is purged; null: never';
-- a name that the new database does not have would make it refuse all rows
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.retention',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

CREATE FUNCTION soft_delete_internal.lock_retention() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_lock_retention';
COMMENT ON FUNCTION soft_delete_internal.lock_retention() IS
'trigger of soft_delete_internal.retention: waits for the purges that obey the row, and for no others';
CREATE OR REPLACE TRIGGER lock_retention BEFORE INSERT OR UPDATE OR DELETE ON soft_delete_internal.retention
	FOR EACH ROW EXECUTE FUNCTION soft_delete_internal.lock_retention();
COMMENT ON TRIGGER lock_retention ON soft_delete_internal.retention IS 'a batch of a purge obeys what is said before it ends';

CREATE TABLE soft_delete_internal.purge_log (
	-- not regclass: the log outlives the table
	relation text COLLATE "C",
	purged_at timestamptz,
	purged_by text NOT NULL,
	rows bigint NOT NULL,
	oldest timestamptz,
	newest timestamptz,
	duration interval NOT NULL,
	error text,
	PRIMARY KEY (relation, purged_at)
) USING heap;
-- what was purged here is not replicated, neither as it is written nor as it goes
ALTER TABLE soft_delete_internal.purge_log REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.purge_log IS
'what purges have destroyed: a row per table and run, written with each batch, so that it shows how far a running one has come';
COMMENT ON COLUMN soft_delete_internal.purge_log.relation IS 'the table, as schema.name';
COMMENT ON COLUMN soft_delete_internal.purge_log.purged_at IS 'when the purge of the table began';
COMMENT ON COLUMN soft_delete_internal.purge_log.purged_by IS 'the role';
COMMENT ON COLUMN soft_delete_internal.purge_log.rows IS 'how many rows it has destroyed';
COMMENT ON COLUMN soft_delete_internal.purge_log.oldest IS 'the oldest stamp of those';
COMMENT ON COLUMN soft_delete_internal.purge_log.newest IS 'the newest';
COMMENT ON COLUMN soft_delete_internal.purge_log.duration IS 'till its last batch';
COMMENT ON COLUMN soft_delete_internal.purge_log.error IS 'why it ended early; ''not finished'' while it runs, and for ever where it was broken off; the next one that is well has a row even if it destroys nothing';
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.purge_log', '');

CREATE VIEW soft_delete.retention WITH (security_barrier) AS
SELECT relation, schema, retain FROM soft_delete_internal.retention;
COMMENT ON VIEW soft_delete.retention IS 'how long deleted rows are kept before a purge takes them; written by soft_delete.retain() and retain_schema()';
COMMENT ON COLUMN soft_delete.retention.relation IS 'the table that it is about; its own retention comes before that of its schema';
COMMENT ON COLUMN soft_delete.retention.schema IS 'or the schema, for all tables in it';
COMMENT ON COLUMN soft_delete.retention.retain IS 'the least age of what is purged; null: never';

CREATE VIEW soft_delete.purge_log WITH (security_barrier) AS
SELECT relation, purged_at, purged_by, rows, oldest, newest, duration, error FROM soft_delete_internal.purge_log
WHERE (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user)
   OR EXISTS (SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid OPERATOR(pg_catalog.=) relnamespace
			  WHERE pg_catalog.format('%I.%I', nspname, relname) OPERATOR(pg_catalog.=) relation AND pg_catalog.pg_has_role(relowner, 'USAGE'));
COMMENT ON VIEW soft_delete.purge_log IS 'what purges have destroyed, of the tables whose owner''s rights the reader has; superusers see those of tables that are gone, too';
COMMENT ON COLUMN soft_delete.purge_log.relation IS 'the table, as schema.name';
COMMENT ON COLUMN soft_delete.purge_log.purged_at IS 'when the purge of the table began';
COMMENT ON COLUMN soft_delete.purge_log.purged_by IS 'the role';
COMMENT ON COLUMN soft_delete.purge_log.rows IS 'how many rows it has destroyed';
COMMENT ON COLUMN soft_delete.purge_log.oldest IS 'the oldest stamp of those';
COMMENT ON COLUMN soft_delete.purge_log.newest IS 'the newest';
COMMENT ON COLUMN soft_delete.purge_log.duration IS 'till its last batch';
COMMENT ON COLUMN soft_delete.purge_log.error IS 'why it ended early; ''not finished'' while it runs, and for ever where it was broken off; the next one that is well has a row even if it destroys nothing';

/*
 * Retention
 */

CREATE FUNCTION soft_delete_internal.check_root(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF soft_delete_internal.tag_arguments(relation) IS NULL THEN
		RAISE EXCEPTION 'table "%" is not tagged', relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = format('SELECT soft_delete.tag(%L);', relation);
	END IF;
	PERFORM soft_delete_internal.check_owner(relation);
	IF soft_delete_internal.root(relation) <> relation THEN
		RAISE EXCEPTION 'table "%" is a partition or inheritance child', relation
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'It is purged with the table that it belongs to.',
				HINT = format('Name "%s" instead.', soft_delete_internal.root(relation));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_root(regclass) IS
'raises 55000, 42501 or 42809 unless it is a tagged table that the current role owns, and no partition';

CREATE FUNCTION soft_delete_internal.check_age(age interval, hint text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF age < '0' THEN
		RAISE EXCEPTION 'an age cannot be negative: %', age
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'It is how long ago a row was deleted.', HINT = hint;
	END IF;
	IF NOT soft_delete_internal.is_age(age) THEN
		RAISE EXCEPTION 'an age is out of range: %', age
			USING ERRCODE = 'datetime_field_overflow',
				DETAIL = 'It can be up to 3000 years; null is for ever.', HINT = hint;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_age(interval, text) IS
'raises 22023 or 22008 for an interval that cannot be the age of a row';

CREATE FUNCTION soft_delete_internal.retain(relation regclass, retain interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.retain()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table must be given.',
				HINT = 'SELECT soft_delete.retain(''my_table'', ''90 days'');';
	END IF;
	PERFORM soft_delete_internal.check_root(relation);
	PERFORM soft_delete_internal.check_age(retain, format('SELECT soft_delete.retain(%L, ''90 days'');', relation));
	INSERT INTO soft_delete_internal.retention AS r VALUES (relation, NULL, retain)
	ON CONFLICT ON CONSTRAINT retention_relation_key DO UPDATE SET retain = excluded.retain;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.retain(regclass, interval) IS
'does soft_delete.retain()';

CREATE FUNCTION soft_delete_internal.retain_schema(schema name, retain interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	IF schema IS NULL OR to_regnamespace(quote_ident(schema)) IS NULL THEN
		RAISE EXCEPTION 'schema "%" does not exist', schema
			USING ERRCODE = 'invalid_schema_name',
				HINT = 'SELECT soft_delete.retain_schema(''my_schema'', ''90 days'');';
	END IF;
	IF NOT (SELECT pg_has_role(soft_delete_internal.caller(), nspowner, 'USAGE') FROM pg_namespace WHERE nspname = schema) THEN
		RAISE EXCEPTION 'must be owner of schema %', schema
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	PERFORM soft_delete_internal.check_age(retain, format('SELECT soft_delete.retain_schema(%L, ''90 days'');', schema));
	INSERT INTO soft_delete_internal.retention AS r VALUES (NULL, schema, retain)
	ON CONFLICT ON CONSTRAINT retention_schema_key DO UPDATE SET retain = excluded.retain;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.retain_schema(name, interval) IS
'does soft_delete.retain_schema()';

CREATE FUNCTION soft_delete_internal.copy_retention(root regclass, partition regclass) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO soft_delete_internal.retention SELECT partition, NULL, retain FROM soft_delete_internal.retention WHERE relation = root
	ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION soft_delete_internal.copy_retention(regclass, regclass) IS
'gives a table that was a partition the retention of the table that it was one of';

CREATE FUNCTION soft_delete_internal.follow_retention() RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE soft_delete_internal.retention AS r SET schema = nspname
	FROM pg_event_trigger_ddl_commands() JOIN pg_namespace ON pg_namespace.oid = objid
	WHERE classid = 'pg_namespace'::regclass AND r.schema = soft_delete_internal.renamed_from(command)
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_retention() IS
'for event triggers: has what is said about a schema follow ALTER SCHEMA ... RENAME';

CREATE FUNCTION soft_delete_internal.forget_retention(relation regclass) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS 'DELETE FROM soft_delete_internal.retention AS r WHERE r.relation = forget_retention.relation';
COMMENT ON FUNCTION soft_delete_internal.forget_retention(regclass) IS
'takes back what was said about a table';

/*
 * Each batch of a purge asks anew for the limit.  These functions are in PL/pgSQL,
 * which keeps the plans of their queries; a query of a function in SQL is planned
 * at each call, and that took a seventh of a purge's time.
 */

CREATE FUNCTION soft_delete_internal.stated_retention(relation regclass, OUT is_stated boolean, OUT retain interval)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	SELECT r.retain INTO retain FROM soft_delete_internal.retention AS r WHERE r.relation = stated_retention.relation;
	is_stated := FOUND;
	IF NOT is_stated THEN
		SELECT r.retain INTO retain
		FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN soft_delete_internal.retention AS r ON r.schema = nspname
		WHERE pg_class.oid = stated_retention.relation;
		is_stated := FOUND;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.stated_retention(regclass) IS
'what is said about a table, or else about its schema';

CREATE FUNCTION soft_delete_internal.cascade_parents(relation regclass) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		SELECT DISTINCT soft_delete_internal.root(confrelid) FROM pg_constraint
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype = 'c'
		  AND conrelid IN (SELECT soft_delete_internal.family(relation)) AND soft_delete_internal.root(confrelid) <> relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.cascade_parents(regclass) IS
'the other tables whose deletes reach a table by ON DELETE CASCADE';

/*
 * A table about which nothing is said goes with those whose deletes reach it by
 * CASCADE: else their rows could never go.
 */
CREATE FUNCTION soft_delete_internal.retention_of(relation regclass, OUT is_known boolean, OUT is_eternal boolean, OUT retain interval)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	root regclass := soft_delete_internal.root(relation);
BEGIN
	SELECT * INTO is_known, retain FROM soft_delete_internal.stated_retention(root);
	IF is_known THEN
		is_eternal := retain IS NULL;
		RETURN;
	END IF;
	WITH RECURSIVE followed(member, is_stated, stated) AS (
		SELECT root, false, NULL::interval
		UNION
		SELECT parent, s.is_stated, s.retain FROM followed, soft_delete_internal.cascade_parents(member) AS parent, soft_delete_internal.stated_retention(parent) AS s
		WHERE NOT followed.is_stated
	)
	SELECT bool_or(is_stated) AND NOT bool_or(NOT is_stated AND NOT EXISTS (SELECT FROM soft_delete_internal.cascade_parents(member))),
		bool_or(is_stated AND stated IS NULL), max(stated)
	INTO is_known, is_eternal, retain
	FROM followed;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.retention_of(regclass) IS
'how long deleted rows of a table are kept: what is said about it or its schema, else the longest of what holds for the tables whose deletes reach it by CASCADE; is_known: that says when all go; is_eternal: some are kept for ever';

CREATE FUNCTION soft_delete_internal.keep_retention(relation regclass, waits boolean) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_keep_retention';
COMMENT ON FUNCTION soft_delete_internal.keep_retention(regclass, boolean) IS
'keeps what is said about a table, and about its schema, as it is until the transaction ends; false if somebody is changing it and this is not to wait';

CREATE FUNCTION soft_delete_internal.share_retention(relation regclass, waits boolean DEFAULT true) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	members regclass[] := ARRAY[soft_delete_internal.root(relation)];
	n integer := 1;
BEGIN
	-- as retention_of() follows them
	WHILE n <= cardinality(members) LOOP
		IF NOT soft_delete_internal.keep_retention(members[n], waits) THEN
			RETURN false;
		END IF;
		-- a query of its own, which sees what was committed meanwhile
		IF NOT (SELECT is_stated FROM soft_delete_internal.stated_retention(members[n])) THEN
			members := members || ARRAY(SELECT parent FROM soft_delete_internal.cascade_parents(members[n]) AS parent WHERE parent <> ALL (members));
		END IF;
		n := n + 1;
	END LOOP;
	RETURN true;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.share_retention(regclass, boolean) IS
'keeps all that the retention of a table depends on as it is until the transaction ends; false if somebody is changing it and this is not to wait';

CREATE FUNCTION soft_delete_internal.purge_limit(relation regclass, as_of timestamptz, older_than interval) RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (
		SELECT CASE WHEN NOT is_eternal AND (is_known OR older_than IS NOT NULL) THEN least(as_of - retain, as_of - older_than) END
		FROM soft_delete_internal.retention_of(relation)
	);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.purge_limit(regclass, timestamptz, interval) IS
'the stamp before which deleted rows of a table are due; null if none are';

/*
 * Purge
 */

CREATE FUNCTION soft_delete_internal.tagged_leaves() RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT DISTINCT tgrelid::regclass
	FROM pg_depend JOIN pg_trigger ON pg_trigger.oid = objid JOIN pg_class ON pg_class.oid = tgrelid
	WHERE classid = 'pg_trigger'::regclass AND refclassid = 'pg_proc'::regclass
	  AND refobjid = 'soft_delete.delete_row()'::regprocedure AND relkind = 'r'
$$;
COMMENT ON FUNCTION soft_delete_internal.tagged_leaves() IS
'all tables, partitions and inheritance children that may hold deleted rows, whoever owns them';

CREATE FUNCTION soft_delete_internal.purge_groups(relation regclass DEFAULT NULL) RETURNS SETOF regclass[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE tables AS MATERIALIZED (
		SELECT DISTINCT root AS member
		FROM pg_depend JOIN pg_trigger ON pg_trigger.oid = objid, soft_delete_internal.root(tgrelid) AS root JOIN pg_class ON pg_class.oid = root
		WHERE classid = 'pg_trigger'::regclass AND refclassid = 'pg_proc'::regclass AND refobjid = 'soft_delete.delete_row()'::regprocedure
		  AND relkind IN ('r', 'p') AND pg_has_role(soft_delete_internal.caller(), relowner, 'USAGE') AND NOT pg_is_other_temp_schema(relnamespace)
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
		-- tables of a circle are below one another, and have as many below them
		SELECT member, (SELECT count(*) FROM below WHERE parent = member) AS n_below,
			least(member::oid, (SELECT min(b.child::oid) FROM below AS b JOIN below AS back ON back.parent = b.child AND back.child = b.parent
								WHERE b.parent = member)) AS first_of_circle
		FROM wanted
	)
	SELECT array_agg(member ORDER BY member) FROM placed GROUP BY first_of_circle, n_below ORDER BY n_below, first_of_circle
$$;
COMMENT ON FUNCTION soft_delete_internal.purge_groups(regclass) IS
'the tagged tables of the current role, or one of them with what its deletes reach by CASCADE, children before parents; those whose foreign keys form a circle together';

CREATE FUNCTION soft_delete_internal.purge_batch(relations regclass[], as_of timestamptz, older_than interval, batch_size integer, begins boolean, dry_run boolean,
	OUT relation regclass, OUT rows bigint, OUT held bigint, OUT referenced bigint, OUT locked bigint, OUT oldest timestamptz, OUT newest timestamptz, OUT done boolean)
RETURNS SETOF record
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'soft_delete_purge_batch';
COMMENT ON FUNCTION soft_delete_internal.purge_batch(regclass[], timestamptz, interval, integer, boolean, boolean) IS
'destroys the next due rows of a group of tables, from the oldest on or from where the session''s last batch ended; returns what has become of due rows so far, per table';

CREATE FUNCTION soft_delete_internal.prune_ledger(oldest timestamptz, newest timestamptz, batch_size integer) RETURNS timestamptz
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'soft_delete_prune_ledger';
COMMENT ON FUNCTION soft_delete_internal.prune_ledger(timestamptz, timestamptz, integer) IS
'forgets deletions of a range of stamps that have no rows left; returns where to go on, null at the end';

CREATE FUNCTION soft_delete_internal.check_purge(relation regclass, older_than interval, batch_size integer, pause interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF batch_size IS NULL OR batch_size < 1 OR pause IS NULL OR pause < '0' OR NOT soft_delete_internal.is_age(pause) THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.purge()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = CASE WHEN pause > '0' AND batch_size > 0 THEN 'The pause can be up to 3000 years.'
					ELSE 'The batch size must be positive, and the pause must not be negative.' END,
				HINT = 'CALL soft_delete.purge(batch_size => 10000, pause => ''0'');';
	END IF;
	PERFORM soft_delete_internal.check_age(older_than, 'CALL soft_delete.purge(older_than => ''90 days'');');
	IF relation IS NOT NULL THEN
		PERFORM soft_delete_internal.check_root(relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_purge(regclass, interval, integer, interval) IS
'raises 22023, or what check_root() does, for arguments that purge() cannot do with';

CREATE FUNCTION soft_delete_internal.is_free(relation regclass, purges boolean) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_is_free';
COMMENT ON FUNCTION soft_delete_internal.is_free(regclass, boolean) IS
'whether who reads a table, its partitions and their indexes, or purges them, need not wait for anybody else; locks them so until the transaction ends';

/* Children come before parents, so what is below a group has had its turn before. */
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
'whether a purge of a group of tables would wait for somebody else, or for one of the tables below it that are waiting';

CREATE FUNCTION soft_delete_internal.unpruned_stamps(OUT oldest timestamptz, OUT newest timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT least(min(oldest) FILTER (WHERE error IS NOT NULL), max(newest)), max(newest) FILTER (WHERE error IS NOT NULL)
	FROM (SELECT DISTINCT ON (relation) oldest, newest, error FROM soft_delete_internal.purge_log ORDER BY relation, purged_at DESC) AS latest
$$;
COMMENT ON FUNCTION soft_delete_internal.unpruned_stamps() IS
'the range of stamps whose deletions the ledger may know although they have no rows left: from where the last purge ended, and of purges that were broken off';

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
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_purge(regclass, interval) IS
'does soft_delete.preview_purge()';
