/*
 * A big table is tagged without a long lock by statements for psql's \gexec, which
 * runs each in a transaction of its own: they make indexes that tag() then puts in
 * the place of others.
 *
 * A prepared index is known by its name, and ready if it differs from the index that
 * it replaces by its name and its predicate alone.
 */

CREATE FUNCTION soft_delete_internal.prepare_index_command(index regclass, name name, deleted_at name) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_prepare_index_command';
COMMENT ON FUNCTION soft_delete_internal.prepare_index_command(regclass, name, name) IS
'command that makes an index of that name which hides tombstones, and is else like another one; null if the command would call functions of the owner with the rights of another role';

CREATE FUNCTION soft_delete_internal.differs_by_condition(index regclass, other regclass, deleted_at name) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_differs_by_condition';
COMMENT ON FUNCTION soft_delete_internal.differs_by_condition(regclass, regclass, name) IS
'whether two indexes of a table differ by their names alone, but for the condition by which the second one hides tombstones';

CREATE FUNCTION soft_delete_internal.prepared_name(index regclass) RETURNS name
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN format('soft_delete_%s', index::oid);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.prepared_name(regclass) IS
'name of the index that plan() prepares to replace an index';

CREATE FUNCTION soft_delete_internal.prepared_index(index regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT new.oid FROM pg_class old JOIN pg_index o ON o.indexrelid = old.oid
		JOIN pg_class new ON new.relnamespace = old.relnamespace AND new.relname = soft_delete_internal.prepared_name(index)
		JOIN pg_index n ON n.indexrelid = new.oid AND n.indrelid = o.indrelid
	WHERE old.oid = index);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.prepared_index(regclass) IS
'the index that plan() has prepared to replace an index';

CREATE FUNCTION soft_delete_internal.is_prepared(index regclass, deleted_at name) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT coalesce((SELECT indisvalid AND soft_delete_internal.differs_by_condition(index, indexrelid, deleted_at)
					 FROM pg_index WHERE indexrelid = soft_delete_internal.prepared_index(index)), false));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_prepared(regclass, name) IS
'whether the index that plan() has prepared to replace an index is ready';

CREATE FUNCTION soft_delete_internal.plan_index(index regclass, deleted_at name) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	prepared regclass;
BEGIN
	-- an index of a partitioned table is built on each partition, and these are attached
	FOR item IN
		SELECT member, inhparent::regclass AS parent, relkind = 'I' AS is_partitioned, nspname,
			soft_delete_internal.prepare_index_command(member, soft_delete_internal.prepared_name(member), deleted_at) AS command
		FROM soft_delete_internal.inheritance_tree(index) WITH ORDINALITY AS f(member, n) JOIN pg_class ON oid = member
			JOIN pg_namespace ON pg_namespace.oid = relnamespace LEFT JOIN pg_inherits ON inhrelid = member AND member <> index
		ORDER BY n
	LOOP
		-- tag() builds this index, and so those of the partitions
		IF item.command IS NULL THEN
			RETURN;
		END IF;
		prepared := soft_delete_internal.prepared_index(item.member);
		IF prepared IS NOT NULL AND NOT item.is_partitioned AND NOT soft_delete_internal.is_prepared(item.member, deleted_at) THEN
			RETURN NEXT format('DROP INDEX CONCURRENTLY %s', prepared);
			prepared := NULL;
		END IF;
		IF prepared IS NULL THEN
			RETURN NEXT item.command;
		END IF;
		IF item.parent IS NOT NULL AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = prepared) THEN
			RETURN NEXT format('ALTER INDEX %I.%I ATTACH PARTITION %I.%I',
				(SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = item.parent),
				soft_delete_internal.prepared_name(item.parent), item.nspname, soft_delete_internal.prepared_name(item.member));
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.plan_index(regclass, name) IS
'statements that build, without a long lock, the index that replaces an index';

CREATE FUNCTION soft_delete_internal.plan_table(relation regclass, deleted_at name, indexes text) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	IF NOT soft_delete_internal.has_column(relation, deleted_at) THEN
		RETURN NEXT format('ALTER TABLE %s ADD COLUMN %I timestamptz', relation, deleted_at);
	END IF;
	FOR item IN
		SELECT c.index FROM soft_delete_internal.convertible_indexes(relation, deleted_at, indexes) AS c
		WHERE NOT hides AND NOT is_exclusion AND NOT soft_delete_internal.is_prepared(c.index, deleted_at)
	LOOP
		RETURN QUERY SELECT soft_delete_internal.plan_index(item.index, deleted_at);
	END LOOP;
	RETURN QUERY
		SELECT command
		FROM soft_delete_internal.inheritance_tree(relation) WITH ORDINALITY AS f(member, n) JOIN pg_class ON oid = member JOIN pg_namespace ON pg_namespace.oid = relnamespace,
			format('%I.%I', nspname, soft_delete_internal.prepared_name(member)) AS prepared,
			LATERAL (SELECT format('DROP INDEX CONCURRENTLY %s', prepared) WHERE to_regclass(prepared) IS NOT NULL
					 UNION ALL
					 SELECT format('CREATE INDEX CONCURRENTLY %I ON %s USING soft_delete_btree (%s) WHERE %I IS NOT NULL', soft_delete_internal.prepared_name(member), member, soft_delete_internal.stamp_expression(member, deleted_at), deleted_at)
					) AS commands(command)
		WHERE relkind = 'r' AND NOT soft_delete_internal.has_bin_index(member, deleted_at)
		ORDER BY n, command DESC;		-- DROP before CREATE
END
$$;
COMMENT ON FUNCTION soft_delete_internal.plan_table(regclass, name, text) IS
'the statements of plan() for one table, without the last one';

CREATE FUNCTION soft_delete_internal.plan(relation regclass, deleted_at name DEFAULT 'deleted_at', indexes text DEFAULT 'all', cascade boolean DEFAULT false, bridge text DEFAULT NULL, storage text DEFAULT NULL) RETURNS SETOF text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
	member regclass;
	members regclass[] := ARRAY[relation];
	own_bridge text[];
	explicit_bridge text;
	bridged regclass[] := '{}';
	tombstones name[] := '{}';
	is_prepared boolean := true;
	kind text;
BEGIN
	IF relation IS NULL OR deleted_at IS NULL OR deleted_at = '' OR cascade IS NULL OR indexes IS NULL OR indexes NOT IN ('all', 'unique') OR storage NOT IN ('in_place', 'aside', 'aside_monthly') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.plan()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table and the column must be given, cascade must be true or false, indexes must be ''all'' or ''unique'', and storage must be ''in_place'', ''aside'' or ''aside_monthly''.';
	END IF;
	IF storage IN ('aside', 'aside_monthly') AND soft_delete_internal.is_sharded(relation) THEN
		RETURN QUERY SELECT * FROM soft_delete_internal.plan_sharded(relation, deleted_at, cascade, bridge);
		RETURN;
	END IF;
	IF cascade THEN
		members := soft_delete_internal.tagged_together(relation, true);
	END IF;
	IF storage = 'aside_monthly' THEN
		PERFORM soft_delete_internal.check_monthly(m) FROM unnest(members) AS m;
	END IF;
	kind := coalesce(replace(storage, 'aside_monthly', 'aside'), CASE WHEN soft_delete_internal.is_aside(relation) THEN 'aside' ELSE 'in_place' END);
	FOREACH member IN ARRAY members LOOP
		own_bridge := soft_delete_internal.resolve_bridge(member, bridge, is_named => member = relation);
		tombstones := tombstones || soft_delete_internal.tombstone_for(member, deleted_at, own_bridge);
		IF own_bridge IS NOT NULL THEN
			bridged := bridged || member;
			explicit_bridge := soft_delete_internal.bridge_text(own_bridge);
		END IF;
		PERFORM soft_delete_internal.check_tag(refusal, member, tombstones[cardinality(tombstones)], indexes, NULL, kind)
		FROM unnest(array_remove(array_remove(soft_delete_internal.tag_checks(), 'lock'), 'views')) AS refusal;
	END LOOP;
	FOREACH member IN ARRAY members LOOP
		PERFORM soft_delete_internal.check_cascades(member, tagged => members);
	END LOOP;
	FOR i IN 1 .. cardinality(members) LOOP
		IF kind = 'in_place' AND NOT soft_delete_internal.is_aside(members[i]) THEN
			RETURN QUERY SELECT soft_delete_internal.plan_table(members[i], tombstones[i], indexes);
			CONTINUE;
		END IF;
		-- without the column, which comes with the change of storage, no index can be made before
		is_prepared := false;
		IF soft_delete_internal.changes_storage(members[i], kind) AND kind = 'aside' THEN
			RETURN NEXT format('DO %L', format('BEGIN WHILE soft_delete.move_aside(%L) > 0 LOOP COMMIT; END LOOP; END', members[i]));
		END IF;
	END LOOP;
	-- what tells what the column means is not looked for again
	IF bridge IS NOT NULL AND cardinality(bridged) = 1 THEN
		bridge := explicit_bridge;
	END IF;
	-- where a statement before it has failed, it must not do the work under a lock
	RETURN NEXT regexp_replace(soft_delete_internal.tag_command(relation, deleted_at, indexes, bridge, storage), '\)$',
							   concat(CASE WHEN cascade THEN ', cascade => true' END, CASE WHEN is_prepared OR (kind = 'aside' AND bridged <> '{}') THEN ', only_if_prepared => true' END, ')'));
	IF kind = 'aside' THEN
		-- of a deleted parent and its deleted child the child goes first; what could not go then is left to the last statements
		bridged := ARRAY(SELECT m FROM unnest(bridged) WITH ORDINALITY AS u(m, n) ORDER BY n DESC);
	END IF;
	FOREACH member IN ARRAY bridged LOOP
		RETURN QUERY SELECT soft_delete_internal.plan_adoption(member);
	END LOOP;
	RETURN QUERY SELECT format('SELECT soft_delete.adopt(%L)', m) FROM unnest(bridged) WITH ORDINALITY AS u(m, n) WHERE kind = 'aside' ORDER BY n;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.plan(regclass, name, text, boolean, text, text) IS
'does soft_delete.plan()';
