/*
 * How long deleted rows are kept before a purge destroys them.
 */

/* The limit is longer than any law asks for, and now() minus it is a valid time. */
CREATE FUNCTION soft_delete_internal.is_age(age interval) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	-- months, days and time have signs of their own, and each of them is limited
	SELECT coalesce(age >= '0' AND age <= '3000 years' AND abs(date_part('year', age)) <= 3000
		AND abs(date_part('day', age)) <= 1095750 AND abs(date_part('hour', age)) <= 26298000, age IS NULL)
$$;
COMMENT ON FUNCTION soft_delete_internal.is_age(interval) IS
'whether an interval can be the age of a row: not negative, and up to 3000 years; true for null';

CREATE TABLE soft_delete_internal.retention (
	relation regclass UNIQUE,
	-- the name, because pg_upgrade keeps no OIDs of schemas
	schema name UNIQUE,
	retain interval CHECK (soft_delete_internal.is_age(retain)),
	CHECK (num_nonnulls(relation, schema) = 1),
	former interval,
	shortened_at timestamptz
) USING heap;
-- it has no primary key, and where a publication has all tables its rows change all the same
ALTER TABLE soft_delete_internal.retention REPLICA IDENTITY FULL;
COMMENT ON TABLE soft_delete_internal.retention IS
'how long deleted rows are kept before a purge takes them; written by soft_delete.retain() and retain_schema(); a table or schema without a row has no retention';
COMMENT ON COLUMN soft_delete_internal.retention.relation IS 'the table that it is about; its own retention comes before that of its schema';
COMMENT ON COLUMN soft_delete_internal.retention.schema IS 'or the schema, for all tables in it';
COMMENT ON COLUMN soft_delete_internal.retention.retain IS 'the least age of what is purged; null: never';
COMMENT ON COLUMN soft_delete_internal.retention.former IS 'what that was before it was shortened, in force for soft_delete.purge_grace; null: never';
COMMENT ON COLUMN soft_delete_internal.retention.shortened_at IS 'when it was shortened; null: it was not';
-- COPY would fail for a table that the restored database does not have, such as a temporary one
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.retention',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

CREATE FUNCTION soft_delete_internal.lock_retention() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_lock_retention';
COMMENT ON FUNCTION soft_delete_internal.lock_retention() IS
'trigger of soft_delete_internal.retention: waits for the purges that use the row, and for no others';
CREATE OR REPLACE TRIGGER lock_retention BEFORE INSERT OR UPDATE OR DELETE ON soft_delete_internal.retention
	FOR EACH ROW EXECUTE FUNCTION soft_delete_internal.lock_retention();
COMMENT ON TRIGGER lock_retention ON soft_delete_internal.retention IS 'waits until batches of purges that use the old retention have ended';

CREATE FUNCTION soft_delete_internal.check_age(age interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF age < '0' THEN
		RAISE EXCEPTION 'an age cannot be negative: %', age
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'It is how long ago a row was deleted.';
	END IF;
	IF NOT soft_delete_internal.is_age(age) THEN
		RAISE EXCEPTION 'an age is out of range: %', age
			USING ERRCODE = 'datetime_field_overflow',
				DETAIL = 'It can be up to 3000 years; null is for ever.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_age(interval) IS
'raises 22023 or 22008 for an interval that cannot be the age of a row';

CREATE FUNCTION soft_delete_internal.purge_grace() RETURNS interval
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_purge_grace';
COMMENT ON FUNCTION soft_delete_internal.purge_grace() IS
'how long a former, longer retention stays in force: soft_delete.purge_grace, or by default the interval of the worker if there is one for this database';

CREATE FUNCTION soft_delete_internal.is_in_grace(shortened_at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN coalesce(shortened_at + soft_delete_internal.purge_grace() > clock_timestamp(), false);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_in_grace(timestamptz) IS
'whether the former retention is still in force after it was shortened at that time';

CREATE FUNCTION soft_delete_internal.count_due(relation regclass, before timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF soft_delete_internal.sharded_tag(relation) IS NOT NULL THEN
		RETURN soft_delete_internal.count_sharded(relation, before);
	END IF;
	RETURN soft_delete_internal.count_tombstones(relation, before)
		+ CASE WHEN soft_delete_internal.is_aside(relation) THEN 0 ELSE coalesce(soft_delete_internal.count_tombstones(soft_delete_internal.companion_of(relation), before), 0) END;
EXCEPTION WHEN OTHERS THEN
	-- in an index the owner's code may fail, and that is no reason not to say how long rows are kept
	IF soft_delete_internal.must_propagate(SQLSTATE) THEN
		RAISE;
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.count_due(regclass, timestamptz) IS
'how many deleted rows of a table have an earlier stamp, wherever they are: exactly up to 1,000, else an estimate; null where no index tells, where reading fails, or where the table is locked';

CREATE FUNCTION soft_delete_internal.announce_due(relations regclass[], retain interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	due bigint;
	grace interval := soft_delete_internal.purge_grace();
BEGIN
	FOREACH relation IN ARRAY relations LOOP
		due := soft_delete_internal.count_due(relation, clock_timestamp() - retain);
		IF retain IS NOT NULL AND due > 0 THEN
			RAISE NOTICE 'deleted rows of table "%" that are due: %', relation, due
				USING DETAIL = CASE WHEN grace > '0' THEN format('A purge destroys them when %s have passed, but for those that are held or referenced, unless their retention is longer by then.', grace)
						ELSE 'The next purge destroys them, but for those that are held or referenced.' END,
					HINT = format('SELECT * FROM soft_delete.preview_purge(%L);', relation);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.announce_due(regclass[], interval) IS
'tells how many rows of some tables a retention makes due at once';

CREATE FUNCTION soft_delete_internal.retain(relation regclass, retain interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	before record;
	is_shorter boolean;
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.retain()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table must be given.';
	END IF;
	PERFORM soft_delete_internal.check_root(relation);
	PERFORM soft_delete_internal.check_age(retain);
	SELECT * INTO before FROM soft_delete_internal.retention_of(relation, with_grace => true);
	is_shorter := before.is_eternal OR NOT before.is_known OR retain < before.retain;
	INSERT INTO soft_delete_internal.retention AS r
	VALUES (relation, NULL, retain, CASE WHEN is_shorter AND NOT before.is_eternal THEN before.retain END, CASE WHEN is_shorter AND retain IS NOT NULL THEN clock_timestamp() END)
	ON CONFLICT ON CONSTRAINT retention_relation_key DO UPDATE SET retain = excluded.retain, former = excluded.former, shortened_at = excluded.shortened_at;
	PERFORM soft_delete_internal.announce_due(ARRAY[relation], retain);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.retain(regclass, interval) IS
'does soft_delete.retain()';

CREATE FUNCTION soft_delete_internal.retain_schema(schema name, retain interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	before interval;
	is_shorter boolean;
BEGIN
	IF schema IS NULL OR to_regnamespace(quote_ident(schema)) IS NULL THEN
		RAISE EXCEPTION 'schema "%" does not exist', schema
			USING ERRCODE = 'invalid_schema_name';
	END IF;
	IF NOT (SELECT pg_has_role(soft_delete_internal.caller(), nspowner, 'USAGE') FROM pg_namespace WHERE nspname = schema) THEN
		RAISE EXCEPTION 'must be owner of schema %', schema
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	PERFORM soft_delete_internal.check_age(retain);
	SELECT CASE WHEN soft_delete_internal.is_in_grace(r.shortened_at) THEN r.former ELSE r.retain END INTO before
	FROM soft_delete_internal.retention AS r WHERE r.schema = retain_schema.schema;
	is_shorter := before IS NULL OR retain < before;
	INSERT INTO soft_delete_internal.retention AS r
	VALUES (NULL, schema, retain, CASE WHEN is_shorter THEN before END, CASE WHEN is_shorter AND retain IS NOT NULL THEN clock_timestamp() END)
	ON CONFLICT ON CONSTRAINT retention_schema_key DO UPDATE SET retain = excluded.retain, former = excluded.former, shortened_at = excluded.shortened_at;
	PERFORM soft_delete_internal.announce_due(ARRAY(
		SELECT t FROM soft_delete_internal.tables_of(schema) AS t WHERE soft_delete_internal.tag_arguments(t) IS NOT NULL AND soft_delete_internal.caller_owns(t)
		  AND NOT EXISTS (SELECT FROM soft_delete_internal.retention AS r WHERE r.relation = t)), retain);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.retain_schema(name, interval) IS
'does soft_delete.retain_schema()';

/*
 * Each batch of a purge asks again for the limit.  These functions are in PL/pgSQL,
 * which keeps the plans of their queries: a query of a function in SQL is planned at
 * each call, which took a seventh of a purge's time.
 */
CREATE FUNCTION soft_delete_internal.stated_retention(relation regclass, with_grace boolean DEFAULT false, OUT is_stated boolean, OUT retain interval)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	SELECT CASE WHEN with_grace AND soft_delete_internal.is_in_grace(r.shortened_at) THEN r.former ELSE r.retain END INTO retain
	FROM soft_delete_internal.retention AS r WHERE r.relation = stated_retention.relation;
	is_stated := FOUND;
	IF NOT is_stated THEN
		SELECT CASE WHEN with_grace AND soft_delete_internal.is_in_grace(r.shortened_at) THEN r.former ELSE r.retain END INTO retain
		FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN soft_delete_internal.retention AS r ON r.schema = nspname
		WHERE pg_class.oid = stated_retention.relation;
		is_stated := FOUND;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.stated_retention(regclass, boolean) IS
'the retention of a table or else of its schema; with_grace: the former one while that is in force; is_stated: whether there is one';

/*
 * A table without a retention takes that of the tables whose deletes reach it by
 * CASCADE: else their rows could not be purged.
 */
CREATE FUNCTION soft_delete_internal.retention_of(relation regclass, with_grace boolean DEFAULT false, OUT is_known boolean, OUT is_eternal boolean, OUT retain interval)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	root regclass := soft_delete_internal.root(relation);
BEGIN
	IF NOT EXISTS (SELECT FROM soft_delete_internal.retention) THEN
		is_known := false;
		is_eternal := false;
		RETURN;
	END IF;
	SELECT * INTO is_known, retain FROM soft_delete_internal.stated_retention(root, with_grace);
	IF is_known THEN
		is_eternal := retain IS NULL;
		RETURN;
	END IF;
	WITH RECURSIVE followed(member, is_stated, stated) AS (
		SELECT root, false, NULL::interval
		UNION
		SELECT parent, s.is_stated, s.retain FROM followed, soft_delete_internal.cascade_parents(member) AS parent, soft_delete_internal.stated_retention(parent, with_grace) AS s
		WHERE NOT followed.is_stated
	)
	SELECT bool_or(is_stated) AND NOT bool_or(NOT is_stated AND NOT EXISTS (SELECT FROM soft_delete_internal.cascade_parents(member))),
		bool_or(is_stated AND stated IS NULL), max(stated)
	INTO is_known, is_eternal, retain
	FROM followed;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.retention_of(regclass, boolean) IS
'how long deleted rows of a table are kept: the retention of it or its schema, else the longest retention of the tables whose deletes reach it by CASCADE; is_known: all of these have one; is_eternal: one of them is for ever; with_grace: as a purge sees them';

CREATE FUNCTION soft_delete_internal.keep_retention(relation regclass, waits boolean) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_keep_retention';
COMMENT ON FUNCTION soft_delete_internal.keep_retention(regclass, boolean) IS
'locks the retention of a table and of its schema until the transaction ends; false if another session is changing it and waits is false';

CREATE FUNCTION soft_delete_internal.share_retention(relation regclass, waits boolean DEFAULT true) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	members regclass[] := ARRAY[soft_delete_internal.root(relation)];
	n integer := 1;
BEGIN
	-- the tables that retention_of() looks at
	WHILE n <= cardinality(members) LOOP
		IF NOT soft_delete_internal.keep_retention(members[n], waits) THEN
			RETURN false;
		END IF;
		-- a query after the lock is taken: it sees what was committed before
		IF NOT (SELECT is_stated FROM soft_delete_internal.stated_retention(members[n])) THEN
			members := members || ARRAY(SELECT parent FROM soft_delete_internal.cascade_parents(members[n]) AS parent WHERE parent <> ALL (members));
		END IF;
		n := n + 1;
	END LOOP;
	RETURN true;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.share_retention(regclass, boolean) IS
'locks all retentions that the retention of a table depends on until the transaction ends; false if another session is changing one and waits is false';

CREATE FUNCTION soft_delete_internal.purge_limit(relation regclass, as_of timestamptz, older_than interval, with_grace boolean DEFAULT true) RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (
		SELECT CASE WHEN NOT is_eternal AND (is_known OR older_than IS NOT NULL) THEN least(as_of - retain, as_of - older_than) END
		FROM soft_delete_internal.retention_of(relation, with_grace)
	);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.purge_limit(regclass, timestamptz, interval, boolean) IS
'the stamp before which a purge destroys deleted rows of a table; null if it destroys none; with_grace: by the former retention while that is in force';
