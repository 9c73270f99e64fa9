/*
 * Putting the tag on a table, and taking it off.
 */

CREATE FUNCTION soft_delete_internal.make_triggers(relation regclass, arguments text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
	is_clone boolean;
	bridge text[];
BEGIN
	FOR member, is_clone IN
		SELECT m, relispartition FROM soft_delete_internal.inheritance_tree(relation) AS m JOIN pg_class ON oid = m
	LOOP
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate()', member);
		IF NOT is_clone THEN			-- partitions get theirs from the root
			IF 'storage:aside' <> ALL (arguments) THEN
				EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_key" BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key()', member);
			END IF;
			EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete" BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row(%s)',
				member, (SELECT string_agg(quote_literal(a), ', ' ORDER BY n) FROM unnest(arguments) WITH ORDINALITY AS u(a, n)));
		END IF;
		PERFORM soft_delete_internal.explain_parts(member);
	END LOOP;
	-- a partition or inheritance child that comes has a bridge as its root has
	SELECT soft_delete_internal.bridge_arguments(soft_delete_internal.root(relation)) INTO bridge;
	IF bridge IS NOT NULL AND soft_delete_internal.root(relation) <> relation THEN
		PERFORM soft_delete_internal.make_bridge_triggers(relation, bridge);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_triggers(regclass, text[]) IS
'creates the triggers of a tagged table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete_internal.drop_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
BEGIN
	FOR member IN SELECT soft_delete_internal.inheritance_tree(relation) LOOP
		EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete_truncate" ON %s', member);
		PERFORM soft_delete_internal.drop_bridge_triggers(member);
		IF NOT (SELECT relispartition FROM pg_class WHERE oid = member) THEN
			EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete" ON %s', member);
			IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = member AND tgname = '~soft_delete_key') THEN
				EXECUTE format('DROP TRIGGER "~soft_delete_key" ON %s', member);
			END IF;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_triggers(regclass) IS
'drops the triggers that make_triggers() creates';

CREATE FUNCTION soft_delete_internal.missing_triggers(relation regclass, storage text, OUT member regclass, OUT name name)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY SELECT m, expected
	FROM soft_delete_internal.inheritance_tree(relation) AS m,
		unnest('{~soft_delete,~soft_delete_key,~soft_delete_truncate}'::name[]) AS expected
	WHERE (SELECT oid FROM pg_trigger WHERE tgrelid = m AND tgname = expected) IS NULL
	  AND NOT (expected = '~soft_delete_key' AND storage = 'aside');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.missing_triggers(regclass, text) IS
'the triggers that a tagged table, its partitions and its inheritance children lack';

/*
 * tag() first finds out what it has to do, then makes all its refusals, and then acts:
 * plan_tag(), check_tag() and execute_tag(), one table each.
 */
CREATE FUNCTION soft_delete_internal.plan_views(relation regclass, views name, storage text,
	OUT action text, OUT object regclass, OUT name name, OUT other regclass, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 3
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	bin regclass := soft_delete_internal.bin_of(relation);
	active regclass := CASE WHEN storage = 'in_place' THEN coalesce(soft_delete_internal.active_view_of(relation), (SELECT view FROM soft_delete_internal.unbound_views(relation) WHERE NOT is_bin)) END;
	view_schema name := coalesce(views, (SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
										 WHERE pg_class.oid = coalesce(bin, active, relation)));
BEGIN
	RETURN QUERY
	SELECT 'create companion', m.member, soft_delete_internal.view_name(m.member, '_tombstones'), NULL::regclass,
		CASE WHEN m.member = relation THEN view_schema ELSE coalesce(views, m.schema) END::text
	FROM soft_delete_internal.missing_companions(relation) AS m;
	IF storage = 'in_place' AND active IS NULL THEN
		RETURN QUERY SELECT 'create active view', relation, soft_delete_internal.view_name(relation, '_active'), NULL::regclass, view_schema::text;
	END IF;
	IF bin IS NULL THEN
		RETURN QUERY SELECT 'create bin', relation, soft_delete_internal.view_name(relation, '_deleted'), NULL::regclass, view_schema::text;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.plan_views(regclass, name, text) IS
'the part of plan_tag() that creates relations of their own: companions first, then views';

CREATE FUNCTION soft_delete_internal.plan_tag(relation regclass, deleted_at name, indexes text, views name, storage text,
	OUT action text, OUT object regclass, OUT name name, OUT other regclass, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF storage = 'in_place' THEN
		RETURN QUERY
		SELECT 'add column', relation, deleted_at, NULL::regclass, NULL::text WHERE NOT soft_delete_internal.has_column(relation, deleted_at);
		RETURN QUERY
		SELECT CASE WHEN hides THEN 'keep index' ELSE 'convert index' END, c.index, c.name, NULL::regclass, NULL::text
		FROM soft_delete_internal.convertible_indexes(relation, deleted_at, indexes) AS c WHERE NOT (hides AND was_constraint);
		RETURN QUERY
		SELECT 'create index', m.member, m.name, m.prepared, NULL::text FROM soft_delete_internal.missing_bin_indexes(relation, deleted_at) AS m;
		RETURN QUERY
		SELECT 'leave index', u.index, NULL::name, NULL::regclass, u.reason FROM soft_delete_internal.unconvertible_indexes(relation, deleted_at) AS u;
	END IF;
	RETURN QUERY
	SELECT step.action, step.object, step.name, step.other, step.detail FROM (
		SELECT CASE v.action WHEN 'create companion' THEN 1 ELSE 4 END AS part, n, v.action, v.object, v.name, v.other, v.detail
		FROM soft_delete_internal.plan_views(relation, views, storage) WITH ORDINALITY AS v(action, object, name, other, detail, n)
		UNION ALL
		SELECT 2, n, 'create trigger', m.member, m.name, NULL, NULL FROM soft_delete_internal.missing_triggers(relation, storage) WITH ORDINALITY AS m(member, name, n)
		UNION ALL
		SELECT 3, n, 'bind view', u.view, NULL, NULL, NULL FROM soft_delete_internal.unbound_views(relation) WITH ORDINALITY AS u(view, is_bin, n) WHERE storage = 'in_place') AS step
	ORDER BY part, n;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.plan_tag(regclass, name, text, name, text) IS
'what tag() has to do for one table, its partitions and its inheritance children, in order; object: the table, or the index or view that is there; other: a prepared index; detail: why an index stays as it is, or the schema of a view or a companion';

/*
 * The only list of what tag() refuses.  tag() makes the checks in this order, plan() and
 * preview_tag() leave out the lock.
 */
CREATE FUNCTION soft_delete_internal.tag_checks() RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN '{relation,owner,library,lock,tag,column,triggers,views}';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_checks() IS
'the checks of check_tag(), in order; each relies on those before it';

CREATE FUNCTION soft_delete_internal.check_tag("check" text, relation regclass, deleted_at name, indexes text, views name, storage text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_aside boolean := storage = 'aside';
BEGIN
	CASE "check"
		WHEN 'relation' THEN
			PERFORM soft_delete_internal.check_relation(relation);
		WHEN 'owner' THEN
			PERFORM soft_delete_internal.check_owner(relation);
		WHEN 'library' THEN
			IF NOT is_aside THEN
				PERFORM soft_delete_internal.check_library();
			END IF;
		WHEN 'lock' THEN
			IF soft_delete_internal.changes_storage(relation, storage) THEN
				-- the views first, as a query that reads them does
				PERFORM soft_delete_internal.lock_views(relation);
				EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
			ELSE
				EXECUTE format('LOCK TABLE %s IN %s MODE', relation, CASE WHEN is_aside THEN 'SHARE ROW EXCLUSIVE' ELSE 'ACCESS EXCLUSIVE' END);
				-- another session may have tagged it while this waited
				IF soft_delete_internal.changes_storage(relation, storage) THEN
					PERFORM soft_delete_internal.lock_views(relation);
					EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
				END IF;
			END IF;
			PERFORM soft_delete_internal.check_owner(relation), soft_delete_internal.check_snapshot(relation);
		WHEN 'tag' THEN
			PERFORM soft_delete_internal.check_present_tag(relation, deleted_at, storage);
		WHEN 'column' THEN
			IF is_aside THEN
				PERFORM soft_delete_internal.check_aside_column(relation, deleted_at);
			ELSE
				PERFORM soft_delete_internal.check_column(relation, deleted_at);
			END IF;
		WHEN 'triggers' THEN
			PERFORM soft_delete_internal.check_triggers(relation), soft_delete_internal.check_other_triggers(relation, is_aside);
		WHEN 'views' THEN
			PERFORM soft_delete_internal.check_new_view(p.object, p.detail::name, p.name) FROM soft_delete_internal.plan_views(relation, views, storage) AS p;
	END CASE;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_tag(text, regclass, name, text, name, text) IS
'raises what tag() refuses for one table, of one kind, and changes nothing; lock: keeps the table as it is until the transaction ends';

CREATE FUNCTION soft_delete_internal.check_tags(relations regclass[], tombstones name[], indexes text, views name, storage text, together regclass[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
BEGIN
	FOR i IN 1 .. cardinality(relations) LOOP
		PERFORM soft_delete_internal.check_tag(refusal, relations[i], tombstones[i], indexes, views, storage) FROM unnest(soft_delete_internal.tag_checks()) AS refusal;
	END LOOP;
	FOREACH relation IN ARRAY relations LOOP
		PERFORM soft_delete_internal.check_cascades(relation, tagged => coalesce(together, relations));
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_tags(regclass[], name[], text, name, text, regclass[]) IS
'raises whatever tag() refuses for some tables, and locks them; tombstones: their tombstone columns; together: those that are tagged with them, by default they alone';

CREATE FUNCTION soft_delete_internal.execute_tag(relation regclass, deleted_at name, indexes text, views name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[] := soft_delete_internal.tag_arguments(relation);
	is_tagged boolean := arguments IS NOT NULL;
	has_changed boolean := false;
	has_triggers boolean := false;
	item record;
BEGIN
	IF NOT is_tagged THEN
		arguments := array_remove(ARRAY[deleted_at, CASE indexes WHEN 'unique' THEN 'indexes:unique' END]::text[], NULL);
	END IF;
	FOR item IN SELECT * FROM soft_delete_internal.plan_tag(relation, deleted_at, indexes, views, 'in_place') LOOP
		-- the tag remembers what was done to indexes, which comes first
		IF item.action IN ('create trigger', 'bind view', 'create active view', 'create bin') AND NOT has_triggers THEN
			PERFORM soft_delete_internal.make_triggers(relation, arguments);
			has_triggers := true;
		END IF;
		CASE item.action
			WHEN 'add column' THEN
				PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s ADD COLUMN %I timestamptz', relation, item.name));
				PERFORM soft_delete_internal.set_comment('pg_class', relation, attnum, soft_delete_internal.comment_of('column')) FROM pg_attribute WHERE attrelid = relation AND attname = item.name;
			WHEN 'convert index' THEN
				PERFORM soft_delete_internal.replace_index(item.object, deleted_at, true, false);
			WHEN 'keep index' THEN
				-- the tag remembers the indexes that were partial before the table was tagged
				arguments := arguments || CASE WHEN is_tagged THEN NULL ELSE ARRAY['partial:' || item.name] END;
			WHEN 'create index' THEN
				arguments := arguments || soft_delete_internal.make_bin_index(item.object, deleted_at, item.other, item.name);
			WHEN 'leave index' THEN
				RAISE NOTICE 'index "%" stays as it is', item.object
					USING DETAIL = item.detail;
			WHEN 'create companion' THEN
				PERFORM soft_delete_internal.make_companion(item.object, deleted_at, item.detail::name);
				PERFORM soft_delete_internal.bind_companion(item.object);
			WHEN 'bind view' THEN
				PERFORM soft_delete_internal.bind_view(item.object, relation);
			WHEN 'create active view' THEN
				PERFORM soft_delete_internal.make_active_view(relation, deleted_at, item.detail::name);
			WHEN 'create bin' THEN
				PERFORM soft_delete_internal.make_bin(relation, deleted_at, item.detail::name);
			ELSE
				NULL;
		END CASE;
		has_changed := has_changed OR item.action NOT IN ('keep index', 'leave index');
	END LOOP;
	IF NOT has_changed THEN
		RAISE NOTICE 'table "%" is already tagged', relation;
		RETURN;
	END IF;
	IF NOT has_triggers THEN
		PERFORM soft_delete_internal.make_triggers(relation, arguments);
	END IF;
	PERFORM soft_delete_internal.make_reference_triggers(relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.execute_tag(regclass, name, text, name) IS
'puts the tag on one table, its partitions and its inheritance children, as plan_tag() says; check_tags() has made the refusals';

CREATE FUNCTION soft_delete_internal.check_tag_arguments(called name, relation regclass, deleted_at name, indexes text, cascade boolean, storage text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF relation IS NULL OR deleted_at IS NULL OR deleted_at = '' OR cascade IS NULL OR indexes IS NULL OR indexes NOT IN ('all', 'unique')
	   OR storage NOT IN ('in_place', 'aside', 'aside_monthly') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.%()', called
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table and the column must be given, cascade must be true or false, indexes must be ''all'' or ''unique'', and storage must be ''in_place'', ''aside'' or ''aside_monthly''.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_tag_arguments(name, regclass, name, text, boolean, text) IS
'raises 22023 for arguments of tag() or preview_tag() that say nothing';

CREATE FUNCTION soft_delete_internal.tagged_together(relation regclass, cascade boolean) RETURNS regclass[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN relation || CASE WHEN cascade THEN ARRAY(SELECT m FROM soft_delete_internal.cascade_tables(relation) AS m
		WHERE m <> relation AND soft_delete_internal.tag_arguments(m) IS NULL ORDER BY m) END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tagged_together(regclass, boolean) IS
'the tables that tag() tags: the one that it is called for, and those that CASCADE connects with it and are not tagged';

CREATE FUNCTION soft_delete_internal.check_prepared(relation regclass, deleted_at name, indexes text, views name, planned text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	SELECT p.action, p.object INTO item FROM soft_delete_internal.plan_tag(relation, deleted_at, indexes, views, 'in_place') AS p
	WHERE p.action = 'add column'
	   OR (p.action = 'create index' AND EXISTS (SELECT FROM soft_delete_internal.inheritance_tree(p.object) AS m JOIN pg_class ON pg_class.oid = m
			WHERE relkind = 'r' AND NOT soft_delete_internal.has_bin_index(m, deleted_at)))
	   OR (p.action = 'convert index' AND NOT soft_delete_internal.is_prepared(p.object, deleted_at)
		   AND NOT (SELECT indisexclusion FROM pg_index WHERE indexrelid = p.object))
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'table "%" is not prepared', relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = CASE item.action WHEN 'add column' THEN format('It has no column %I.', deleted_at)
					WHEN 'create index' THEN 'The index for its deleted rows would be built under a lock.'
					ELSE format('Index %s would be built again under a lock.', item.object) END,
				HINT = planned;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_prepared(regclass, name, text, name, text) IS
'raises 55000 if tag() would build an index of a table, other than that of an exclusion constraint, or add the column; planned: the statement that says how to prepare';

CREATE FUNCTION soft_delete_internal.tag(relation regclass, deleted_at name DEFAULT 'deleted_at',
	indexes text DEFAULT 'all', cascade boolean DEFAULT false, views name DEFAULT NULL, storage text DEFAULT NULL, only_if_prepared boolean DEFAULT false, bridge text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off -- catalogs are read by their indexes, whatever their size was when a plan was made
AS $$
DECLARE
	member regclass;
	members regclass[];
	own_bridge text[];
	bridges text[] := '{}';
	tombstones name[] := '{}';
	made text[] := '{}';
	monthly boolean := storage = 'aside_monthly';
	told_storage text := storage;
BEGIN
	PERFORM soft_delete_internal.check_tag_arguments('tag', CASE WHEN only_if_prepared IS NOT NULL THEN relation END, deleted_at, indexes, cascade, storage);
	IF soft_delete_internal.sharded_tag(relation) IS NOT NULL AND storage IS NULL OR storage IN ('aside', 'aside_monthly') AND soft_delete_internal.is_sharded(relation) THEN
		RETURN soft_delete_internal.tag_sharded(relation, deleted_at, cascade, views, bridge);
	END IF;
	members := soft_delete_internal.tagged_together(relation, cascade);
	IF monthly THEN
		storage := 'aside';
		PERFORM soft_delete_internal.check_monthly(m) FROM unnest(members) AS m;
	END IF;
	storage := coalesce(storage, CASE WHEN soft_delete_internal.is_aside(relation) THEN 'aside' ELSE 'in_place' END);
	FOREACH member IN ARRAY members LOOP
		own_bridge := soft_delete_internal.resolve_bridge(member, bridge, is_named => member = relation);
		bridges := bridges || soft_delete_internal.bridge_text(own_bridge);
		tombstones := tombstones || soft_delete_internal.tombstone_for(member, deleted_at, own_bridge);
	END LOOP;
	PERFORM soft_delete_internal.check_tags(members, tombstones, indexes, views, storage);
	-- another session may have tagged it while this waited for the lock
	IF told_storage IS NULL AND soft_delete_internal.changes_storage(relation, storage) THEN
		RETURN soft_delete_internal.tag(relation, deleted_at, indexes, cascade, views, NULL, only_if_prepared, bridge);
	END IF;
	IF only_if_prepared AND storage = 'in_place' THEN
		PERFORM soft_delete_internal.check_prepared(m, t, indexes, views,
			format('SELECT soft_delete.plan(%L, deleted_at => %L, indexes => %L, cascade => %L%s);', relation, deleted_at, indexes, cascade, coalesce(', bridge => ' || quote_literal(bridge), ''))) FROM unnest(members, tombstones) AS u(m, t);
	END IF;
	FOR i IN 1 .. cardinality(members) LOOP
		member := members[i];
		own_bridge := soft_delete_internal.resolve_bridge(member, bridges[i], is_named => true);
		IF own_bridge IS NOT NULL AND NOT only_if_prepared THEN
			PERFORM soft_delete_internal.warn_of_inherited_state(member, own_bridge);
		END IF;
		IF storage = 'aside' AND NOT soft_delete_internal.is_aside(member) THEN
			PERFORM soft_delete_internal.warn_of_wide_rows(member);
		ELSIF storage = 'in_place' AND soft_delete_internal.storage_of(member) IS DISTINCT FROM 'in_place' THEN
			PERFORM soft_delete_internal.warn_of_broken(member, tombstones[i]);
		END IF;
		made := made || ARRAY(SELECT soft_delete_internal.list_made(member, tombstones[i], indexes, views, storage))
			|| ARRAY(SELECT soft_delete_internal.list_made_by_bridge(member, own_bridge));
		IF soft_delete_internal.changes_storage(member, storage) THEN
			IF storage = 'aside' THEN
				PERFORM soft_delete_internal.change_to_aside(member, tombstones[i], views);
			ELSE
				PERFORM soft_delete_internal.change_to_in_place(member, tombstones[i], indexes);
			END IF;
		ELSIF storage = 'aside' THEN
			PERFORM soft_delete_internal.execute_aside_tag(member, tombstones[i], views);
		ELSE
			PERFORM soft_delete_internal.execute_tag(member, tombstones[i], indexes, views);
		END IF;
		made := made || soft_delete_internal.set_monthly(member, monthly);
		PERFORM soft_delete_internal.execute_bridge(member, own_bridge, adopts => NOT only_if_prepared);
		IF member <> relation THEN
			RAISE NOTICE 'table "%" is tagged too', member;
		END IF;
	END LOOP;
	IF NOT only_if_prepared THEN
		PERFORM soft_delete_internal.adopt_together(members);
	END IF;
	FOREACH member IN ARRAY members LOOP
		PERFORM soft_delete_internal.warn_of_lost_references(member);
		PERFORM soft_delete_internal.set_exempt(member, false);
	END LOOP;
	RETURN nullif(array_to_string(made, E'\n'), '');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag(regclass, name, text, boolean, name, text, boolean, text) IS
'does soft_delete.tag()';

CREATE FUNCTION soft_delete_internal.drop_bin_indexes(relation regclass, remembered text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item text;
BEGIN
	FOR item IN
		SELECT indexrelid::regclass FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
		WHERE indrelid IN (SELECT soft_delete_internal.inheritance_tree(relation)) AND NOT relispartition
		  AND ('bin:' || relname = ANY (remembered) OR soft_delete_internal.is_soft_delete_btree(indexrelid))
	LOOP
		EXECUTE format('DROP INDEX %s', item);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_bin_indexes(regclass, text[]) IS
'drops the indexes that find tombstones in a table; remembered: the arguments of the tags of the table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete_internal.make_tombstones_live(relation regclass, deleted_at name, remembered text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	key name;
	native_detail text;
BEGIN
	PERFORM soft_delete_internal.return_aside(member) FROM soft_delete_internal.inheritance_tree(relation) AS member
	WHERE soft_delete_internal.own_companion(member) IS NOT NULL;
	PERFORM soft_delete_internal.convert_indexes_back(relation, deleted_at, remembered);
EXCEPTION WHEN unique_violation OR exclusion_violation THEN
	GET STACKED DIAGNOSTICS key = CONSTRAINT_NAME, native_detail = PG_EXCEPTION_DETAIL;
	RAISE EXCEPTION 'deleted rows of table "%" collide with other rows in key "%"', relation, key
		USING ERRCODE = SQLSTATE, CONSTRAINT = key, DETAIL = concat_ws(' ', nullif(native_detail, ''), 'Change or purge one of each first.');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_tombstones_live(regclass, name, text[]) IS
'makes the deleted rows of a table live ones, and gives it back its indexes and constraints; raises 23505 or 23P01 where keys collide';

CREATE FUNCTION soft_delete_internal.untag_table(relation regclass, tombstones text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[];
	remembered text[];
	bin regclass;
	has_tombstones boolean;
	item text;
BEGIN
	arguments := soft_delete_internal.tag_arguments(relation);
	IF arguments IS NULL THEN
		RAISE NOTICE 'table "%" is not tagged', relation;
		RETURN;
	END IF;
	PERFORM soft_delete_internal.check_owner(relation);
	PERFORM soft_delete_internal.check_relation(relation);
	-- the views first, as a query that reads them does
	PERFORM soft_delete_internal.lock_views(relation);
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
	PERFORM soft_delete_internal.check_owner(relation), soft_delete_internal.check_snapshot(relation);
	-- another session may have untagged it, or changed its storage, while this waited
	IF soft_delete_internal.tag_arguments(relation) IS DISTINCT FROM arguments THEN
		PERFORM soft_delete_internal.untag_table(relation, tombstones);
		RETURN;
	END IF;
	IF soft_delete_internal.is_aside(relation) THEN
		PERFORM soft_delete_internal.untag_aside(relation, tombstones);
		RETURN;
	END IF;
	PERFORM soft_delete_internal.check_holds(relation, 'untag');
	PERFORM soft_delete_internal.check_companion_dependents(relation);
	bin := soft_delete_internal.bin_of(relation);

	IF tombstones = 'purge' THEN
		PERFORM soft_delete_internal.execute_as_owner(relation, 'DELETE FROM ' || soft_delete_internal.qualified_name(bin));
	ELSIF tombstones = 'error' THEN
		SELECT answer INTO has_tombstones FROM soft_delete_internal.query_as_owner(relation,
			format('SELECT EXISTS (SELECT FROM %s TABLESAMPLE soft_delete.rows(''deleted'')) OR EXISTS (SELECT FROM %s)',
				   relation, coalesce(soft_delete_internal.companion_of(relation)::text, '(SELECT WHERE false) AS none'))) AS q(answer boolean);
		IF has_tombstones THEN
			RAISE EXCEPTION 'table "%" has deleted rows', relation
				USING ERRCODE = 'object_not_in_prerequisite_state',
					DETAIL = coalesce('With tombstones => ''keep'' they stay in the table, and column "' || (soft_delete_internal.bridge_arguments(relation))[1] || '" says that they are deleted.',
						'Without the tag they would be live rows again, which tombstones => ''keep'' lets them be.'),
					HINT = format('SELECT * FROM %s;', coalesce(bin, soft_delete_internal.bin_of(soft_delete_internal.root(relation))));
		END IF;
	END IF;

	SELECT array_agg(DISTINCT argument) INTO remembered
	FROM soft_delete_internal.inheritance_tree(relation) AS m, unnest((soft_delete_internal.tag_arguments(m))[2:]) AS argument;
	PERFORM soft_delete_internal.drop_views(relation);
	PERFORM soft_delete_internal.drop_triggers(relation);
	PERFORM soft_delete_internal.drop_bin_indexes(relation, remembered);
	PERFORM soft_delete_internal.make_tombstones_live(relation, arguments[1], coalesce(remembered, '{}'));
	PERFORM soft_delete_internal.drop_companions(relation);
	PERFORM soft_delete_internal.make_reference_triggers(relation);
	DELETE FROM soft_delete_internal.retention AS r WHERE r.relation = untag_table.relation;
	FOR item IN
		SELECT format('%s.%I', attrelid::regclass, attname) FROM pg_attribute
		WHERE attrelid IN (SELECT soft_delete_internal.inheritance_tree(relation)) AND attname = arguments[1]
		  AND col_description(attrelid, attnum) = soft_delete_internal.comment_of('column')
	LOOP
		EXECUTE format('COMMENT ON COLUMN %s IS NULL', item);
	END LOOP;
	RAISE NOTICE 'column "%" of table "%" stays', arguments[1], relation
		USING DETAIL = 'It is an ordinary column now.';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag_table(regclass, text) IS
'takes the tag off one table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete_internal.returning_rows(relations regclass[], tombstones text) RETURNS regclass[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN ARRAY(SELECT r FROM unnest(relations) AS r WHERE tombstones = 'keep' AND soft_delete_internal.is_aside(r) AND soft_delete_internal.bridge_arguments(r) IS NOT NULL);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.returning_rows(regclass[], text) IS
'those of some tables whose deleted rows return from the companion as the application has left them, when the tables are untagged';

CREATE FUNCTION soft_delete_internal.check_returned(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	dangling text;
BEGIN
	-- no foreign key was checked, and a parent may have been purged, or be in a companion still
	FOR item IN
		SELECT r."constraint", r.parent, conname,
			(SELECT string_agg(format('c.%I IS NOT NULL', attname), ' AND ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)) AS is_reference
		FROM soft_delete_internal.references_of(relation) AS r JOIN pg_constraint AS con ON con.oid = r."constraint"
			JOIN pg_class AS c ON c.oid = r.child JOIN pg_class AS p ON p.oid = r.parent
		WHERE r.child = relation AND c.relowner = p.relowner AND convalidated ORDER BY r."constraint"
	LOOP
		dangling := format('FROM %s WHERE %s AND NOT EXISTS (SELECT FROM %s WHERE %s)', soft_delete_internal.from_item(relation, 'c', 'all'), item.is_reference,
			soft_delete_internal.from_item(item.parent, 'p', 'all'), soft_delete_internal.key_match(item."constraint"));
		IF soft_delete_internal.count_as_owner(relation, format('SELECT count(*) %s', dangling)) > 0 THEN
			RAISE EXCEPTION 'deleted rows of table "%" reference rows that are not in table "%"', relation, item.parent
				USING ERRCODE = 'foreign_key_violation', CONSTRAINT = item.conname,
					DETAIL = format('They would return to the table, and foreign key "%s" would be violated. Purge them, or let their parents return first.', item.conname),
					HINT = CASE WHEN soft_delete_internal.tag_arguments(item.parent) IS NULL THEN 'SELECT * FROM soft_delete.check();' ELSE format('SELECT soft_delete.untag(%L, tombstones => ''keep'');', item.parent) END;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_returned(regclass) IS
'raises 23503 if rows that have returned from a companion reference what is not there';

CREATE FUNCTION soft_delete_internal.untag(relation regclass, tombstones text DEFAULT 'error', cascade boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off -- catalogs are read by their indexes, whatever their size was when a plan was made
AS $$
DECLARE
	member regclass;
	members regclass[];
	returning_rows regclass[];
BEGIN
	IF relation IS NULL OR cascade IS NULL OR tombstones IS NULL OR tombstones NOT IN ('error', 'purge', 'keep') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.untag()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table must be given, cascade must be true or false, and tombstones must be ''error'', ''purge'' or ''keep''.';
	END IF;
	IF soft_delete_internal.sharded_tag(relation) IS NOT NULL THEN
		PERFORM soft_delete_internal.untag_sharded(relation, tombstones, cascade);
		RETURN;
	END IF;

	IF cascade THEN
		members := ARRAY(SELECT m FROM soft_delete_internal.cascade_tables(relation) AS m
						 WHERE m <> relation AND soft_delete_internal.tag_arguments(m) IS NOT NULL ORDER BY m);
	END IF;
	returning_rows := soft_delete_internal.returning_rows(relation || members, tombstones);
	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete_internal.untag_table(member, tombstones);
	END LOOP;
	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete_internal.check_cascades(member);
		PERFORM soft_delete_internal.warn_of_lost_references(member);
		PERFORM soft_delete_internal.set_exempt(member, true);
	END LOOP;
	PERFORM soft_delete_internal.check_returned(r) FROM unnest(returning_rows) AS r;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag(regclass, text, boolean) IS
'does soft_delete.untag()';
