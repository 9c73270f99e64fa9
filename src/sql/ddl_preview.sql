/*
 * preview_tag(): what tag() would do, refuse and break, with each storage.
 *
 * The refusals are those of check_tag(), and what it would make is what plan_tag() says:
 * there is no second list.  Each of the other functions finds the effects of one kind.  They
 * read catalogs and statistics; the source of a function is searched as text, so that it
 * tells what may be.  An object that the caller has no right to use is not named.
 */

CREATE FUNCTION soft_delete_internal.may_name(classid regclass, objid oid) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	caller oid := soft_delete_internal.caller();
BEGIN
	RETURN CASE classid
		WHEN 'pg_proc'::regclass THEN (SELECT has_schema_privilege(caller, pronamespace, 'USAGE') AND has_function_privilege(caller, oid, 'EXECUTE') FROM pg_proc WHERE oid = objid)
		WHEN 'pg_publication'::regclass THEN (SELECT pg_has_role(caller, pubowner, 'USAGE') FROM pg_publication WHERE oid = objid)
		ELSE (SELECT has_schema_privilege(caller, relnamespace, 'USAGE') AND has_any_column_privilege(caller, oid, 'SELECT') FROM pg_class WHERE oid = objid) END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.may_name(regclass, oid) IS
'whether preview_tag() may tell its caller the name of a function, relation or publication: one that the caller may use';

CREATE FUNCTION soft_delete_internal.preview_refusals(relation regclass, members regclass[], deleted_at name, indexes text, views name, storage text) RETURNS TABLE (effect text, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item text;
	native_detail text;
BEGIN
	FOREACH item IN ARRAY array_remove(soft_delete_internal.tag_checks(), 'lock') || 'cascades'::text LOOP
		BEGIN
			IF item = 'cascades' THEN
				PERFORM soft_delete_internal.check_cascades(relation, tagged => members);
			ELSE
				PERFORM soft_delete_internal.check_tag(item, relation, deleted_at, indexes, views, storage);
			END IF;
		EXCEPTION WHEN OTHERS THEN
			IF soft_delete_internal.must_propagate(SQLSTATE) THEN
				RAISE;
			END IF;
			GET STACKED DIAGNOSTICS effect = MESSAGE_TEXT, native_detail = PG_EXCEPTION_DETAIL, remedy = PG_EXCEPTION_HINT;
			effect := format('refused (%s): %s', SQLSTATE, concat_ws('. ', effect, nullif(native_detail, '')));
			remedy := nullif(remedy, '');
			RETURN NEXT;
			-- the other checks rely on these
			EXIT WHEN item IN ('relation', 'owner', 'tag');
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_refusals(regclass, regclass[], name, text, name, text) IS
'what tag() refuses for one table with a storage; members: the tables that are tagged together';

CREATE FUNCTION soft_delete_internal.list_made(relation regclass, deleted_at name, indexes text, views name, storage text) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	triggers text[] := '{}';
BEGIN
	IF soft_delete_internal.changes_storage(relation, storage) THEN
		RETURN NEXT format('moves the deleted rows of %s to %s', relation, CASE storage WHEN 'aside' THEN 'a companion' ELSE 'the table' END);
		IF storage = 'aside' AND soft_delete_internal.has_column(relation, deleted_at) THEN
			RETURN NEXT format('drops column "%s" of %s', deleted_at, relation);
		END IF;
	END IF;
	FOR item IN
		SELECT *, CASE WHEN to_regnamespace(quote_ident(detail)) = pg_my_temp_schema() THEN 'pg_temp' ELSE detail END AS schema, min(n) OVER (PARTITION BY action) AS step
		FROM soft_delete_internal.plan_tag(relation, deleted_at, indexes, views, storage) WITH ORDINALITY AS p(action, object, name, other, detail, n)
		ORDER BY step, name COLLATE "C", object::text COLLATE "C"
	LOOP
		CASE item.action
			WHEN 'keep index' THEN
				NULL;
			WHEN 'create trigger' THEN
				triggers := triggers || quote_ident(item.name);
			ELSE
				RETURN NEXT CASE item.action
					WHEN 'add column' THEN format('adds column "%s" to %s', item.name, item.object)
					WHEN 'convert index' THEN format(CASE (SELECT contype FROM pg_constraint WHERE conindid = item.object AND contype IN ('u', 'x'))
						WHEN 'u' THEN 'makes constraint "%s" an index on live rows, also in the catalogs' WHEN 'x' THEN 'makes constraint "%s" one on live rows' ELSE 'makes index "%s" one on live rows' END, item.name)
					WHEN 'create index' THEN format('creates an index on column "%s" of %s', deleted_at, item.object)
					WHEN 'leave index' THEN format('leaves index "%s" as it is', item.object)
					WHEN 'create companion' THEN format('creates table %I.%I, the companion, for deleted rows', item.schema, item.name)
					WHEN 'create active view' THEN format('creates view %I.%I of live rows', item.schema, item.name)
					WHEN 'create bin' THEN format('creates view %I.%I, the bin, of deleted rows', item.schema, item.name)
					WHEN 'bind view' THEN format('ties view %s to %s', item.object, relation) END;
		END CASE;
	END LOOP;
	RETURN QUERY
	SELECT format(CASE count(DISTINCT t) WHEN 1 THEN 'creates trigger %s on %s' ELSE 'creates triggers %s on %s' END, string_agg(DISTINCT t, ', '), relation)
	FROM unnest(triggers) AS t HAVING count(*) > 0;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.list_made(regclass, name, text, name, text) IS
'what tag() makes of one table, a text each, as plan_tag() says';

CREATE FUNCTION soft_delete_internal.preview_functions(relation regclass, deleted_at name, reads_all boolean DEFAULT true) RETURNS TABLE (severity text, classid regclass, objid oid, effect text, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
	name text := soft_delete_internal.name_pattern(relation);
	plain_name text := (SELECT lower(relname) FROM pg_class WHERE oid = relation);
	types oid[] := ARRAY(SELECT t FROM pg_class JOIN pg_type ON pg_type.oid = reltype, unnest(ARRAY[pg_type.oid, typarray]) AS t WHERE pg_class.oid = relation);
BEGIN
	classid := 'pg_proc'::regclass;
	FOR severity, objid, effect, remedy IN
		WITH candidates AS (
			SELECT oid, prosrc, prorettype, proargtypes::oid[] AS arguments, prosqlbody IS NOT NULL AS is_parsed
			FROM pg_proc
			WHERE oid >= 16384 AND pronamespace NOT IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace)
			  AND NOT EXISTS (SELECT FROM pg_depend WHERE pg_depend.classid = 'pg_proc'::regclass AND pg_depend.objid = pg_proc.oid AND deptype = 'e')
		), own_triggers AS (
			SELECT DISTINCT tgfoid FROM soft_delete_internal.inheritance_tree(relation) AS member JOIN pg_trigger ON tgrelid = member WHERE NOT tgisinternal
		)
		SELECT CASE WHEN is_parsed THEN 'error' ELSE 'warning' END, oid,
			CASE WHEN is_parsed THEN format('returns rows of the table, and fails: its body was parsed without column "%s"', deleted_at)
				ELSE format('returns rows of the table, and fails if it lists their columns: they have column "%s", too', deleted_at) END,
			CASE WHEN is_parsed THEN 'CREATE OR REPLACE FUNCTION after tag()' ELSE 'SELECT * in it, or RETURNS TABLE (...)' END
		FROM candidates WHERE prorettype = ANY (types)
		UNION ALL
		SELECT 'notice', oid, format('takes rows of the table, which have column "%s", too: a call with ROW(...) fails', deleted_at), 'pass rows that were read from the table'
		FROM candidates WHERE arguments && types
		UNION ALL
		SELECT 'warning', oid, format('is a trigger of the table, and may take OLD or NEW by position: they have column "%s", too', deleted_at), 'name the columns'
		FROM candidates JOIN own_triggers ON tgfoid = oid WHERE prosrc ~* '\m(old|new)\s*\.\s*\*'
		UNION ALL
		SELECT 'notice', oid, format('is a trigger of the table, and may pass OLD or NEW as a whole: a record of it has column "%s", which is null', deleted_at), NULL
		FROM candidates JOIN own_triggers ON tgfoid = oid WHERE prosrc ~* '[(,]\s*(old|new)\s*[),]|\m(old|new)\s*::'
		UNION ALL
		SELECT 'warning', oid, format('may copy rows of the table by position, and so column "%s", too', deleted_at), 'name the columns'
		FROM candidates
		WHERE reads_all AND strpos(lower(prosrc), plain_name) > 0
		  AND (prosrc ~* ('\minsert\s+into\M[^;]*\mselect\s+(?:distinct\s+)?(?:\w+\s*\.\s*)?\*[^;]*\mfrom\s+(?:only\s+)?' || name) OR prosrc ~* (name || '[^;]*\mreturning\s+(?:\w+\s*\.\s*)?\*[^;]*\minsert\s+into\M'))
		UNION ALL
		SELECT 'warning', oid, format('may insert into the table by position: that fails after ADD COLUMN, which comes after column "%s"', deleted_at), 'name the columns'
		FROM candidates WHERE reads_all AND strpos(lower(prosrc), plain_name) > 0 AND prosrc ~* ('\minsert\s+into\s+' || name || '\s+(?:as\s+\w+\s+)?(?:overriding\s+\w+\s+value\s+)?(?:values|select|table)\M')
		UNION ALL
		SELECT 'warning', oid, format('may make copies of the table by LIKE: COPY without a list of columns fails into them, for they have column "%s"', deleted_at), 'name the columns of COPY'
		FROM candidates WHERE reads_all AND strpos(lower(prosrc), plain_name) > 0 AND prosrc ~* ('[(,]\s*like\s+' || name)
	LOOP
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_functions(regclass, name, boolean) IS
'functions that a tombstone column in a table may break; effect: what the function does; reads_all: look into those that neither take nor return its rows and are no triggers of it, too';

CREATE FUNCTION soft_delete_internal.preview_publications(relation regclass, deleted_at name) RETURNS TABLE (in_place boolean, aside boolean, severity text, classid regclass, objid oid, effect text, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	slots bigint := (SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database());
BEGIN
	RETURN QUERY
	WITH published AS (
		SELECT DISTINCT ON (pub.oid) pub.oid, pub.pubupdate, pub.pubinsert, pub.pubdelete, prattrs IS NOT NULL AS has_list
		FROM pg_publication AS pub
			LEFT JOIN pg_publication_rel ON prpubid = pub.oid AND prrelid IN (SELECT soft_delete_internal.inheritance_tree(relation))
			LEFT JOIN pg_publication_namespace ON pnpubid = pub.oid AND pnnspid = (SELECT relnamespace FROM pg_class WHERE pg_class.oid = relation)
		WHERE puballtables OR prrelid IS NOT NULL OR pnnspid IS NOT NULL
		ORDER BY pub.oid, has_list DESC
	)
	SELECT true, false, CASE WHEN NOT pubupdate OR has_list THEN 'error' ELSE 'warning' END, 'pg_publication'::regclass, oid,
		CASE WHEN NOT pubupdate THEN 'publishes no UPDATE, which a deletion is: its subscribers keep deleted rows'
			WHEN has_list THEN format('lists columns, and not "%s": its subscribers keep deleted rows', deleted_at)
			ELSE format('sends a deletion as an UPDATE of column "%s", which its subscribers need, too', deleted_at) END,
		CASE WHEN NOT pubupdate THEN 'ALTER PUBLICATION ... SET (publish = ...) with update'
			WHEN has_list THEN 'add the column to the list' ELSE 'add the column on the subscribers first' END
	FROM published
	UNION ALL
	SELECT false, true, CASE WHEN pubinsert AND pubdelete THEN 'notice' ELSE 'warning' END, 'pg_publication'::regclass, oid,
		CASE WHEN pubinsert AND pubdelete THEN 'sends a deletion as a DELETE, and a restore as an INSERT; it does not send the companion'
			ELSE 'does not publish both DELETE and INSERT, which a deletion and a restore are' END, NULL
	FROM published
	UNION ALL
	SELECT true, false, 'notice', NULL::regclass, NULL::oid, format('%s logical replication slots decode this database: their consumers see a deletion as an UPDATE', slots), 'adapt them, or keep deleted rows aside'
	WHERE slots > 0 AND (SELECT relpersistence FROM pg_class WHERE pg_class.oid = relation) = 'p';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_publications(regclass, name) IS
'what consumers of the changes of a table see of its deletions; effect: what the publication does';

CREATE FUNCTION soft_delete_internal.preview_relations(relation regclass, deleted_at name) RETURNS TABLE (in_place boolean, aside boolean, severity text, classid regclass, objid oid, effect text, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	SELECT DISTINCT true, true, 'notice', 'pg_class'::regclass, ev_class, 'is a materialized view, and shows a deleted row until it is refreshed, as after a hard DELETE', NULL
	FROM soft_delete_internal.inheritance_tree(relation) AS member JOIN pg_depend AS d ON refclassid = 'pg_class'::regclass AND refobjid = member AND d.classid = 'pg_rewrite'::regclass
		JOIN pg_rewrite ON pg_rewrite.oid = d.objid JOIN pg_class ON pg_class.oid = ev_class
	WHERE relkind = 'm'
	UNION ALL
	SELECT true, false, 'notice', 'pg_class'::regclass, other.oid, format('has rows of the table as values of column "%s": they get column "%s", too', attname, deleted_at), NULL
	FROM pg_class AS own JOIN pg_type ON pg_type.oid = own.reltype JOIN pg_attribute ON atttypid IN (pg_type.oid, typarray) AND NOT attisdropped
		JOIN pg_class AS other ON other.oid = attrelid
	WHERE own.oid = relation AND other.relkind IN ('r', 'p', 'v', 'm', 'f');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_relations(regclass, name) IS
'what becomes of materialized views of a table, and of values of its row type; effect: what the relation does';

CREATE FUNCTION soft_delete_internal.expected_tombstones(relation regclass, deleted_at name, OUT rows numeric, OUT is_forecast boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	is_forecast := false;
	IF soft_delete_internal.storage_of(relation) IS NOT NULL THEN
		rows := soft_delete_internal.count_tombstones(relation);
	ELSIF soft_delete_internal.has_column(relation, deleted_at) THEN
		SELECT round(((1 - stanullfrac) * reltuples)::numeric) INTO rows
		FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = deleted_at
			JOIN pg_statistic ON starelid = attrelid AND staattnum = attnum
		WHERE pg_class.oid = relation ORDER BY stainherit DESC LIMIT 1;
	ELSE
		is_forecast := true;
		rows := (SELECT sum(pg_stat_get_tuples_deleted(member)) FROM soft_delete_internal.inheritance_tree(relation) AS member);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.expected_tombstones(regclass, name) IS
'how many deleted rows a table has or, is_forecast, would have if those that statistics have seen go had stayed';

CREATE FUNCTION soft_delete_internal.preview_figures(relation regclass, deleted_at name) RETURNS TABLE (in_place boolean, aside boolean, severity text, effect text, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	width bigint := soft_delete_internal.out_of_line_width(relation);
	total numeric := soft_delete_internal.estimated_rows(relation);
	expected record;
BEGIN
	IF width >= 1000 THEN
		RETURN QUERY SELECT false, true, 'warning', format('a DELETE copies what a row has out of line, which is %s on average', pg_size_pretty(width)), 'storage => ''in_place''';
	END IF;
	IF NOT soft_delete_internal.may_be_monthly(relation) THEN
		RETURN QUERY SELECT false, true, 'notice', 'its deleted rows cannot be in a table for each month: it is temporary, or has inheritance children or a parent', NULL;
	END IF;
	SELECT * INTO expected FROM soft_delete_internal.expected_tombstones(relation, deleted_at);
	IF expected.is_forecast OR soft_delete_internal.is_aside(relation) THEN
		total := total + expected.rows;
	END IF;
	-- as find_index_problems() sees it
	RETURN QUERY
	SELECT true, false, 'warning', format(CASE WHEN expected.is_forecast THEN 'reads in the order of key "%s" would pass the rows that were deleted since statistics began, which are %s, or %s %% of all'
			ELSE 'reads in the order of key "%s" pass the deleted rows, which are %s, or %s %% of all' END, relname, expected.rows, round(100 * expected.rows / nullif(total, 0))),
		format('storage => ''aside'', or after tag(): CREATE INDEX %I ON %s (%s) WHERE %I IS NULL;', soft_delete_internal.live_key_name(k.index), k."table", k.columns, deleted_at)
	FROM soft_delete_internal.inheritance_tree(relation) AS member CROSS JOIN LATERAL soft_delete_internal.kept_keys(member) AS k JOIN pg_class ON pg_class.oid = k.index
	WHERE expected.rows >= 10000 AND expected.rows > 0.5 * total AND NOT soft_delete_internal.has_live_key(k.index, deleted_at);
	RETURN QUERY
	SELECT true, true, 'warning', 'the table has no primary key: its rows can be restored, but not held one by one, erased, or linked again after ON DELETE SET NULL', format('ALTER TABLE %s ADD PRIMARY KEY (...);', relation)
	WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = relation AND contype = 'p');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_figures(regclass, name) IS
'what size, statistics and keys of a table say for and against a storage';

CREATE FUNCTION soft_delete_internal.preview_objects(relation regclass, deleted_at name, reads_all boolean DEFAULT true) RETURNS TABLE (in_place boolean, aside boolean, severity text, effect text, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	WITH found AS (
		SELECT true AS in_place, false AS aside, f.severity, f.classid, f.objid, f.effect, f.remedy FROM soft_delete_internal.preview_functions(relation, deleted_at, reads_all) AS f
		UNION ALL SELECT * FROM soft_delete_internal.preview_relations(relation, deleted_at)
		UNION ALL SELECT * FROM soft_delete_internal.preview_publications(relation, deleted_at)
	), named AS (
		SELECT *, objid IS NULL OR soft_delete_internal.may_name(classid, objid) AS is_named,
			CASE classid WHEN 'pg_proc'::regclass THEN 'function' WHEN 'pg_publication'::regclass THEN 'publication' ELSE 'relation' END AS kind
		FROM found
	)
	SELECT n.in_place, n.aside, n.severity,
		CASE WHEN objid IS NULL THEN n.effect ELSE concat(kind, ' ', CASE kind WHEN 'function' THEN objid::regprocedure::text
			WHEN 'publication' THEN (SELECT quote_ident(pubname) FROM pg_publication WHERE oid = objid) ELSE objid::regclass::text END, ' ' || n.effect) END, n.remedy
	FROM named AS n WHERE is_named
	UNION ALL
	SELECT n.in_place, n.aside, n.severity, format('a %s that is not yours to see %s', kind, n.effect), n.remedy
	FROM named AS n WHERE NOT is_named GROUP BY 1, 2, 3, 4, 5;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_objects(regclass, name, boolean) IS
'what the tag of a table means for functions, relations and publications; reads_all: as for preview_functions()';

CREATE FUNCTION soft_delete_internal.warn_of_broken(relation regclass, deleted_at name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT * FROM soft_delete_internal.preview_objects(relation, deleted_at, reads_all => false) AS o
		-- what fails at once, or with the next write; the rest is for who asks before
		WHERE o.in_place AND NOT o.aside AND (o.severity = 'error' OR o.severity = 'warning' AND o.effect ~ 'is a trigger of the table') ORDER BY o.effect COLLATE "C"
	LOOP
		RAISE WARNING 'tag of table "%": %', relation, item.effect
			USING ERRCODE = '01000', DETAIL = format('What helps: %s; or storage => ''aside''.', item.remedy);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.warn_of_broken(regclass, name) IS
'warns of what the tombstone column of a table breaks at once, and of triggers that it may break, as preview_tag() shows them';

CREATE FUNCTION soft_delete_internal.preview_effects(relation regclass, members regclass[], deleted_at name) RETURNS TABLE (in_place boolean, aside boolean, severity text, effect text, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	SELECT * FROM soft_delete_internal.preview_objects(relation, deleted_at)
	UNION ALL
	SELECT * FROM soft_delete_internal.preview_figures(relation, deleted_at)
	UNION ALL
	SELECT true, true, 'warning', message, 'a restore does not bring that back' FROM soft_delete_internal.lost_references(relation, tagged => members) AS message
	UNION ALL
	SELECT true, true, 'notice', format('table "%s" references the table by foreign key "%s" and is not tagged: its own deletes destroy rows', child, conname), format('SELECT soft_delete.tag(%L);', child)
	FROM soft_delete_internal.references_of(relation) AS r JOIN pg_constraint ON pg_constraint.oid = r."constraint"
	WHERE parent = relation AND child <> ALL (members || relation) AND action IN ('a', 'r') AND soft_delete_internal.tag_arguments(child) IS NULL;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_effects(regclass, regclass[], name) IS
'what the tag of a table means for what is around it; members: the tables that are tagged together';

CREATE FUNCTION soft_delete_internal.preview_table(relation regclass, members regclass[], deleted_at name, indexes text, views name, bridge text DEFAULT NULL, is_named boolean DEFAULT false)
RETURNS TABLE (member regclass, severity text, effect text, in_place boolean, aside boolean, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	storages text[] := '{in_place,aside}';
BEGIN
	IF soft_delete_internal.is_sharded(relation) THEN
		RETURN QUERY SELECT * FROM soft_delete_internal.preview_sharded(relation, members, deleted_at, views, bridge);
		RETURN;
	END IF;
	IF bridge IS NOT NULL OR soft_delete_internal.bridge_arguments(relation) IS NOT NULL THEN
		deleted_at := soft_delete_internal.tombstone_for(relation, deleted_at,
			ARRAY[CASE WHEN bridge IS NULL THEN (soft_delete_internal.bridge_arguments(relation))[1] ELSE soft_delete_internal.bridge_column(relation, bridge)::text END]);
	END IF;
	RETURN QUERY
	WITH refusals AS (
		SELECT storage, refused.* FROM unnest(storages) AS storage, soft_delete_internal.preview_refusals(relation, members, deleted_at, indexes, views, storage) AS refused
	), effects AS (
		SELECT 1 AS rank, 'refusal' AS severity, r.effect, bool_or(storage = 'in_place') AS in_place, bool_or(storage = 'aside') AS aside, r.remedy FROM refusals AS r GROUP BY r.effect, r.remedy
		UNION ALL
		SELECT array_position('{error,warning,notice}', e.severity) + 1, e.severity, e.effect, e.in_place, e.aside, e.remedy
		FROM soft_delete_internal.preview_effects(relation, members, deleted_at) AS e WHERE (SELECT relkind FROM pg_class WHERE oid = relation) IN ('r', 'p')
		UNION ALL
		SELECT array_position('{refusal,error,warning,notice,action}', b.severity), b.severity, b.effect, b.in_place, b.aside, b.remedy
		FROM soft_delete_internal.preview_bridge(relation, bridge, is_named) AS b
		UNION ALL
		SELECT 5, 'action', made, bool_or(storage = 'in_place'), bool_or(storage = 'aside'), NULL
		FROM unnest(storages) AS storage, soft_delete_internal.list_made(relation, deleted_at, indexes, views, storage) AS made
		WHERE storage NOT IN (SELECT r.storage FROM refusals AS r) GROUP BY made
	)
	SELECT relation, e.severity, e.effect, e.in_place, e.aside, e.remedy FROM effects AS e ORDER BY rank, e.in_place DESC, e.aside, e.effect;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_table(regclass, regclass[], name, text, name, text, boolean) IS
'the rows of preview_tag() for one table; members: the tables that are tagged together; is_named: it must have the column of the bridge';

CREATE FUNCTION soft_delete_internal.preview_tag(relation regclass, deleted_at name DEFAULT 'deleted_at', indexes text DEFAULT 'all', cascade boolean DEFAULT false, views name DEFAULT NULL, bridge text DEFAULT NULL)
RETURNS TABLE (member regclass, severity text, effect text, in_place boolean, aside boolean, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	members regclass[];
	item regclass;
BEGIN
	PERFORM soft_delete_internal.check_tag_arguments('preview_tag', relation, deleted_at, indexes, cascade, NULL);
	PERFORM soft_delete_internal.check_relation(relation) WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = relation);
	PERFORM soft_delete_internal.check_owner(relation);
	members := soft_delete_internal.tagged_together(relation, cascade);
	FOREACH item IN ARRAY members LOOP
		RETURN QUERY SELECT * FROM soft_delete_internal.preview_table(item, members, deleted_at, indexes, views, bridge, is_named => item = relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_tag(regclass, name, text, boolean, name, text) IS
'does soft_delete.preview_tag()';

CREATE FUNCTION soft_delete_internal.preview_tag_schema(schema name, exempt name[] DEFAULT NULL, deleted_at name DEFAULT NULL, indexes text DEFAULT NULL, views name DEFAULT NULL, bridge text DEFAULT NULL)
RETURNS TABLE (member regclass, severity text, effect text, in_place boolean, aside boolean, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tagged soft_delete_internal.tagged_schemas;
	candidates regclass[];
	item regclass;
BEGIN
	PERFORM soft_delete_internal.check_tag_schema_arguments('preview_tag_schema', schema, exempt, deleted_at, indexes, NULL);
	PERFORM soft_delete_internal.check_schema(schema);
	SELECT * INTO tagged FROM soft_delete_internal.tagged_schemas AS s WHERE s.schema = preview_tag_schema.schema;
	PERFORM soft_delete_internal.check_views(schema, coalesce(views, tagged.views));
	candidates := ARRAY(SELECT t FROM soft_delete_internal.tables_of(schema) AS t JOIN pg_class ON oid = t
						WHERE relname <> ALL (coalesce(exempt, tagged.exempt, '{}')) AND soft_delete_internal.tag_arguments(t) IS NULL
						ORDER BY t);
	FOREACH item IN ARRAY candidates LOOP
		RETURN QUERY
		SELECT * FROM soft_delete_internal.preview_table(item, candidates,
			coalesce(deleted_at, tagged.deleted_at, 'deleted_at'), coalesce(indexes, tagged.indexes, 'all'), coalesce(views, tagged.views), coalesce(bridge, tagged.bridge));
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_tag_schema(name, name[], name, text, name, text) IS
'does soft_delete.preview_tag_schema()';
