/*
 * Schemas that are tagged as a whole: the tables that they have, and those that come.
 */

CREATE TABLE soft_delete_internal.tagged_schemas (
	-- the name, because pg_upgrade keeps no OIDs of schemas
	schema name PRIMARY KEY,
	exempt name[] NOT NULL,
	deleted_at name NOT NULL CHECK (deleted_at <> ''),
	indexes text NOT NULL CHECK (indexes IN ('all', 'unique')),
	views name,
	storage text NOT NULL DEFAULT 'in_place' CHECK (storage IN ('in_place', 'aside', 'aside_monthly')),
	bridge text
) USING heap;
COMMENT ON TABLE soft_delete_internal.tagged_schemas IS
'schemas whose tables are tagged as they come; made by soft_delete.tag_schema()';
COMMENT ON COLUMN soft_delete_internal.tagged_schemas.schema IS 'the schema';
COMMENT ON COLUMN soft_delete_internal.tagged_schemas.exempt IS 'names of tables that are not tagged, whether they exist or not';
COMMENT ON COLUMN soft_delete_internal.tagged_schemas.deleted_at IS 'the tombstone column of new tables';
COMMENT ON COLUMN soft_delete_internal.tagged_schemas.indexes IS 'which of their indexes become partial: ''all'' or ''unique''';
COMMENT ON COLUMN soft_delete_internal.tagged_schemas.views IS 'the schema of their views; null: their own';
COMMENT ON COLUMN soft_delete_internal.tagged_schemas.storage IS 'where their deleted rows are: ''in_place'', ''aside'' or ''aside_monthly''';
COMMENT ON COLUMN soft_delete_internal.tagged_schemas.bridge IS 'the column by which the application deletes softly from those that have it, as tag() is told it; null: by none';
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.tagged_schemas', '');

CREATE FUNCTION soft_delete_internal.current_tagged_schemas() RETURNS soft_delete_internal.tagged_schemas[]
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_current_tagged_schemas';
COMMENT ON FUNCTION soft_delete_internal.current_tagged_schemas() IS
'which schemas are tagged as of now, whatever the snapshot and row security; null if none is';

CREATE FUNCTION soft_delete_internal.lock_schema(schema name) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_lock_schema';
COMMENT ON FUNCTION soft_delete_internal.lock_schema(name) IS
'waits for those who have created something in a schema, and lets nobody else do so until the transaction ends';

CREATE FUNCTION soft_delete_internal.changes_schema(command pg_ddl_command) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_changes_schema';
COMMENT ON FUNCTION soft_delete_internal.changes_schema(pg_ddl_command) IS
'for event triggers: whether a command is ALTER ... SET SCHEMA';

CREATE FUNCTION soft_delete_internal.renamed_from(command pg_ddl_command) RETURNS name
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_renamed_from';
COMMENT ON FUNCTION soft_delete_internal.renamed_from(pg_ddl_command) IS
'for event triggers: what a schema, relation, column or constraint was named before ALTER ... RENAME; null for other commands';

CREATE FUNCTION soft_delete_internal.adds_foreign_keys(command pg_ddl_command) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_adds_foreign_keys';
COMMENT ON FUNCTION soft_delete_internal.adds_foreign_keys(pg_ddl_command) IS
'for event triggers: whether a command is an ALTER TABLE that adds foreign keys, and does nothing else';

CREATE FUNCTION soft_delete_internal.disables_triggers(command pg_ddl_command) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_disables_triggers';
COMMENT ON FUNCTION soft_delete_internal.disables_triggers(pg_ddl_command) IS
'for event triggers: whether a command is ALTER TABLE ... DISABLE TRIGGER or ENABLE REPLICA TRIGGER';

CREATE FUNCTION soft_delete_internal.command_renames() RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE soft_delete_internal.renamed_from(command) IS NOT NULL);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.command_renames() IS
'for event triggers: whether a command is ALTER ... RENAME';

CREATE FUNCTION soft_delete_internal.check_schema(schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner oid;
BEGIN
	SELECT nspowner INTO owner FROM pg_namespace WHERE nspname = schema;
	IF owner IS NULL THEN
		RAISE EXCEPTION 'schema "%" does not exist', schema
			USING ERRCODE = 'invalid_schema_name';
	END IF;
	IF starts_with(schema, 'pg_') OR schema IN ('information_schema', 'soft_delete', 'soft_delete_internal') THEN
		RAISE EXCEPTION 'cannot tag schema "%"', schema
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'The server and the extension rely on deletions from their own tables.';
	END IF;
	IF NOT pg_has_role(soft_delete_internal.caller(), owner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of schema %', schema
			USING ERRCODE = 'insufficient_privilege';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_schema(name) IS
'raises 3F000 if there is no such schema, 42809 if it cannot be tagged, 42501 unless the current role owns it';

/* The role that creates a table creates its views, and may have more rights than the owner of the schema. */
CREATE FUNCTION soft_delete_internal.check_views(schema name, views name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner oid := (SELECT nspowner FROM pg_namespace WHERE nspname = schema);
BEGIN
	IF NOT has_schema_privilege(owner, views::text, 'CREATE') THEN
		RAISE EXCEPTION 'permission denied for schema %', views
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('The owner of schema %I cannot make views there.', schema),
				HINT = format('GRANT CREATE ON SCHEMA %I TO %s;', views, owner::regrole);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_views(name, name) IS
'raises 42501 unless the owner of a tagged schema may create the views of its tables in another one, 3F000 if there is none';

CREATE FUNCTION soft_delete_internal.may_have_tag(relation regclass) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = relation)
		AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = relation AND deptype = 'e')
		-- a companion has it from the beginning
		AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = relation AND contype = 'c' AND starts_with(conname, 'soft_delete_companion'))
		AND NOT (soft_delete_internal.has_citus() AND (soft_delete_internal.citus_kind(relation) IS NOT DISTINCT FROM 'a shard of Citus' OR soft_delete_internal.sharded_table(relation) IS NOT NULL));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.may_have_tag(regclass) IS
'whether a table can have a tag of its own: it is no partition, inheritance child, companion, shard or bin, and does not belong to an extension';

CREATE FUNCTION soft_delete_internal.tables_of(schema name) RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_class.oid::regclass FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
	WHERE nspname = tables_of.schema AND relkind IN ('r', 'p', 'f') AND soft_delete_internal.may_have_tag(pg_class.oid)
$$;
COMMENT ON FUNCTION soft_delete_internal.tables_of(name) IS
'the tables of a schema that can have a tag: not partitions and inheritance children, nor companions and bins, nor what belongs to an extension';

CREATE FUNCTION soft_delete_internal.settings_of(relation regclass) RETURNS soft_delete_internal.tagged_schemas
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT s FROM unnest(soft_delete_internal.current_tagged_schemas()) AS s
			WHERE s.schema = (SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.settings_of(regclass) IS
'how tables of the schema of a table are tagged; null if the schema is not';

CREATE FUNCTION soft_delete_internal.warn_not_tagged(relation regclass, message text, native_detail text, remedy text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF remedy IS NULL THEN
		RAISE WARNING 'table "%" is not tagged: %', relation, message
			USING ERRCODE = '01000', DETAIL = coalesce(nullif(native_detail, ''), 'Deletes from it are hard.');
		RETURN;
	END IF;
	RAISE WARNING 'table "%" is not tagged: %', relation, message
		USING ERRCODE = '01000', DETAIL = coalesce(nullif(native_detail, ''), 'Deletes from it are hard.'), HINT = remedy;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.warn_not_tagged(regclass, text, text, text) IS
'warns of a table of a tagged schema that is refused';

CREATE FUNCTION soft_delete_internal.try_to_tag(relations regclass[], are_new boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	tagged soft_delete_internal.tagged_schemas;
	message text;
	native_detail text;
	native_hint text;
	settings soft_delete_internal.tagged_schemas[] := '{}';
	tombstones name[] := '{}';
	bridge text[];
BEGIN
	FOREACH relation IN ARRAY relations LOOP
		tagged := soft_delete_internal.settings_of(relation);
		settings := settings || tagged;
		PERFORM soft_delete_internal.check_owner(relation);
		IF tagged.views IS NOT NULL THEN
			PERFORM soft_delete_internal.check_views(tagged.schema, tagged.views);
		END IF;
		PERFORM soft_delete_internal.adopt_stand_ins(relation);
		bridge := soft_delete_internal.resolve_bridge(relation, tagged.bridge, is_named => false);
		tombstones := tombstones || soft_delete_internal.tombstone_for(relation, tagged.deleted_at, bridge);
		-- a new table has a column of that name for a purpose of its own
		IF are_new AND tagged.storage <> 'in_place' AND soft_delete_internal.has_column(relation, tagged.deleted_at) THEN
			tombstones[cardinality(tombstones)] := soft_delete_internal.free_stamp_column(ARRAY[relation], tagged.deleted_at);
		END IF;
		PERFORM soft_delete_internal.check_tags(ARRAY[relation], tombstones[cardinality(tombstones):], tagged.indexes, tagged.views, replace(tagged.storage, 'aside_monthly', 'aside'), together => relations);
	END LOOP;
	FOR i IN 1 .. cardinality(relations) LOOP
		relation := relations[i];
		tagged := settings[i];
		bridge := soft_delete_internal.resolve_bridge(relation, tagged.bridge, is_named => false);
		IF bridge IS NOT NULL THEN
			PERFORM soft_delete_internal.warn_of_inherited_state(relation, bridge);
		END IF;
		IF tagged.storage <> 'in_place' THEN
			PERFORM soft_delete_internal.execute_aside_tag(relation, tombstones[i], tagged.views);
			IF tagged.storage = 'aside_monthly' AND soft_delete_internal.may_be_monthly(relation) THEN
				PERFORM soft_delete_internal.set_monthly(relation, true);
			ELSIF tagged.storage = 'aside_monthly' THEN
				RAISE NOTICE 'deleted rows of table "%" are not kept in a table for each month', relation
					USING DETAIL = 'It has inheritance children.';
			END IF;
		ELSE
			PERFORM soft_delete_internal.execute_tag(relation, tombstones[i], tagged.indexes, tagged.views);
		END IF;
		PERFORM soft_delete_internal.execute_bridge(relation, bridge, adopts => true);
	END LOOP;
	PERFORM soft_delete_internal.adopt_together(relations);
EXCEPTION WHEN OTHERS THEN
	-- errors of the transaction or the server, and lock timeouts, are no refusals
	IF soft_delete_internal.must_propagate(SQLSTATE) OR SQLSTATE = '55P03' THEN
		RAISE;
	END IF;
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, native_detail = PG_EXCEPTION_DETAIL, native_hint = PG_EXCEPTION_HINT;
	PERFORM soft_delete_internal.warn_not_tagged(r, message, native_detail, coalesce(nullif(native_hint, ''), CASE WHEN SQLSTATE NOT IN ('0A000', '42809') THEN format('SELECT soft_delete.tag(%L);', r) END)) FROM unnest(relations) AS r;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.try_to_tag(regclass[], boolean) IS
'tags tables that ON DELETE CASCADE connects, all of them or none; a refusal is a warning; are_new: a command has just made them';

CREATE FUNCTION soft_delete_internal.set_exempt(relation regclass, is_exempt boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	table_name name;
	schema_name name;
BEGIN
	SELECT relname, nspname INTO table_name, schema_name
	FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation;
	UPDATE soft_delete_internal.tagged_schemas
	SET exempt = array_remove(exempt, table_name) || CASE WHEN is_exempt THEN ARRAY[table_name] ELSE '{}' END
	WHERE schema = schema_name AND (table_name = ANY (exempt)) <> is_exempt
	  AND (SELECT pg_has_role(soft_delete_internal.caller(), nspowner, 'USAGE') FROM pg_namespace WHERE nspname = schema_name);
	IF FOUND AND is_exempt THEN
		RAISE NOTICE 'table "%" is exempt from the tag of schema "%"', relation, schema_name
			USING HINT = format('SELECT soft_delete.tag(%L);', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.set_exempt(regclass, boolean) IS
'exempts a table from the tag of its schema, or ends that, if the caller has the rights of the owner of the schema';

CREATE FUNCTION soft_delete_internal.check_tag_schema_arguments(called name, schema name, exempt name[], deleted_at name, indexes text, storage text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF schema IS NULL OR array_position(exempt, NULL) IS NOT NULL OR deleted_at = '' OR indexes NOT IN ('all', 'unique') OR storage NOT IN ('in_place', 'aside', 'aside_monthly') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.%()', called
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The schema must be given, exempt must name tables, indexes must be ''all'' or ''unique'', storage must be ''in_place'', ''aside'' or ''aside_monthly'', and cascade must be true or false.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_tag_schema_arguments(name, name, name[], name, text, text) IS
'raises 22023 for arguments of tag_schema() or preview_tag_schema() that say nothing';

CREATE FUNCTION soft_delete_internal.cascade_schemas(schema name) RETURNS name[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found regclass[] := ARRAY(SELECT soft_delete_internal.tables_of(schema));
	next regclass[] := found;
BEGIN
	-- with a table its whole schema comes, and with that what its tables are connected with
	WHILE next <> '{}' LOOP
		next := ARRAY(
			SELECT DISTINCT t FROM unnest(next) AS n, soft_delete_internal.references_of(n) AS r,
				LATERAL (SELECT relnamespace::regnamespace::text AS other FROM pg_class WHERE oid = CASE WHEN r.parent = n THEN r.child ELSE r.parent END) AS c,
				LATERAL (SELECT t FROM pg_namespace, soft_delete_internal.tables_of(nspname) AS t WHERE pg_namespace.oid = other::regnamespace) AS of_other
			WHERE action = 'c' AND t <> ALL (found));
		found := found || next;
	END LOOP;
	RETURN ARRAY(SELECT DISTINCT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
				 WHERE pg_class.oid = ANY (found) AND nspname <> schema ORDER BY nspname);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.cascade_schemas(name) IS
'the other schemas that ON DELETE CASCADE connects a schema with, in either direction';

CREATE FUNCTION soft_delete_internal.enter_schema(schema name, exempt name[], deleted_at name, indexes text, views name, storage text, bridge text, is_own boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- what is kept must not become too large for a dump
	IF octet_length(bridge) > 10000 OR cardinality(exempt) > 10000 THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.tag_schema()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A bridge can be up to 10000 bytes long, and up to 10000 tables can be exempt.';
	END IF;
	IF NOT is_own AND EXISTS (SELECT FROM soft_delete_internal.tagged_schemas AS s WHERE s.schema = enter_schema.schema) THEN
		RETURN;
	END IF;
	PERFORM soft_delete_internal.check_schema(schema);
	PERFORM soft_delete_internal.check_views(schema, views);
	IF coalesce(storage, (SELECT s.storage FROM soft_delete_internal.tagged_schemas AS s WHERE s.schema = enter_schema.schema), 'in_place') = 'in_place' THEN
		IF soft_delete_internal.is_distributed_schema(schema) THEN
			RAISE EXCEPTION 'cannot tag schema "%", which Citus distributes', schema
				USING ERRCODE = 'feature_not_supported', DETAIL = 'Deleted rows of distributed tables are not kept in place.',
					HINT = format('SELECT soft_delete.tag_schema(%L, storage => ''aside'');', schema);
		END IF;
		PERFORM soft_delete_internal.check_library();
	END IF;

	INSERT INTO soft_delete_internal.tagged_schemas AS s
	VALUES (schema, CASE WHEN is_own THEN coalesce(exempt, '{}') ELSE '{}' END, coalesce(deleted_at, 'deleted_at'), coalesce(indexes, 'all'), views, coalesce(storage, 'in_place'), bridge)
	ON CONFLICT ON CONSTRAINT tagged_schemas_pkey DO UPDATE
	SET exempt = coalesce(enter_schema.exempt, s.exempt), deleted_at = coalesce(enter_schema.deleted_at, s.deleted_at),
		indexes = coalesce(enter_schema.indexes, s.indexes), views = coalesce(enter_schema.views, s.views),
		storage = coalesce(enter_schema.storage, s.storage), bridge = coalesce(enter_schema.bridge, s.bridge);
	IF NOT is_own THEN
		RAISE NOTICE 'schema "%" is tagged too', schema;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.enter_schema(name, name[], name, text, name, text, text, boolean) IS
'writes down that a schema is tagged, and how; is_own: it was named, and not found by its foreign keys';

CREATE FUNCTION soft_delete_internal.is_tagged_by_shards(relation regclass) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- where it is kept in place it is refused as others are
	RETURN soft_delete_internal.has_citus() AND soft_delete_internal.is_sharded(relation)
		AND (soft_delete_internal.sharded_tag(relation) IS NOT NULL OR (soft_delete_internal.settings_of(relation)).storage <> 'in_place');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_tagged_by_shards(regclass) IS
'whether a table of a tagged schema is tagged as one that Citus has sharded';

CREATE FUNCTION soft_delete_internal.try_to_tag_sharded(relations regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	relation regclass;
	tagged soft_delete_internal.tagged_schemas;
	message text;
	native_detail text;
	native_hint text;
BEGIN
	FOREACH relation IN ARRAY relations LOOP
		tagged := soft_delete_internal.settings_of(relation);
		PERFORM soft_delete_internal.check_sharded(relation, tagged.deleted_at, tagged.views, (soft_delete_internal.resolve_bridge(relation, tagged.bridge, is_named => false))[1], relations);
	END LOOP;
	FOREACH relation IN ARRAY relations LOOP
		PERFORM soft_delete_internal.make_sharded_bin(relation, (soft_delete_internal.settings_of(relation)).deleted_at);
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	IF soft_delete_internal.must_propagate(SQLSTATE) OR SQLSTATE = '55P03' THEN
		RAISE;
	END IF;
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, native_detail = PG_EXCEPTION_DETAIL, native_hint = PG_EXCEPTION_HINT;
	PERFORM soft_delete_internal.warn_not_tagged(r, message, native_detail, coalesce(nullif(native_hint, ''), format('SELECT soft_delete.tag(%L, storage => ''aside'');', r))) FROM unnest(relations) AS r;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.try_to_tag_sharded(regclass[]) IS
'tags tables of tagged schemas that Citus has sharded and ON DELETE CASCADE connects, all of them or none; a refusal is a warning';

CREATE FUNCTION soft_delete_internal.tag_sharded_of(schemas name[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	candidates regclass[];
	members regclass[];
BEGIN
	IF NOT soft_delete_internal.has_citus() THEN
		RETURN;
	END IF;
	candidates := ARRAY(SELECT t FROM unnest(schemas) AS s, soft_delete_internal.tables_of(s) AS t JOIN pg_class ON oid = t
						WHERE soft_delete_internal.is_tagged_by_shards(t) AND soft_delete_internal.sharded_tag(t) IS NULL
						  AND relname <> ALL ((soft_delete_internal.settings_of(t)).exempt) ORDER BY t);
	WHILE candidates <> '{}' LOOP
		members := ARRAY(SELECT m FROM soft_delete_internal.cascade_tables(candidates[1]) AS m WHERE m = ANY (candidates) ORDER BY m);
		PERFORM soft_delete_internal.try_to_tag_sharded(members);
		candidates := ARRAY(SELECT c FROM unnest(candidates) WITH ORDINALITY AS u(c, n) WHERE c <> ALL (members) ORDER BY n);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_sharded_of(name[]) IS
'tags the tables of tagged schemas that Citus has sharded, or warns why they are not tagged';

CREATE FUNCTION soft_delete_internal.tag_schema(schema name, exempt name[] DEFAULT NULL, deleted_at name DEFAULT NULL,
	indexes text DEFAULT NULL, views name DEFAULT NULL, storage text DEFAULT NULL, cascade boolean DEFAULT false, bridge text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off -- catalogs are read by their indexes, whatever their size was when a plan was made
AS $$
DECLARE
	member name;
	schemas name[] := '{}';
	relation regclass;
	own regclass[] := '{}';
	candidates regclass[];
	members regclass[];
	done regclass[] := '{}';
BEGIN
	PERFORM soft_delete_internal.check_tag_schema_arguments('tag_schema', CASE WHEN cascade IS NOT NULL THEN schema END, exempt, deleted_at, indexes, storage);
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'cannot tag a schema in a transaction of isolation level %', current_setting('transaction_isolation')
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'It would not see the tables that others have created meanwhile.',
				HINT = 'ROLLBACK; BEGIN ISOLATION LEVEL READ COMMITTED;';
	END IF;
	FOREACH member IN ARRAY schema || CASE WHEN cascade THEN soft_delete_internal.cascade_schemas(schema) END LOOP
		PERFORM soft_delete_internal.enter_schema(member, exempt, deleted_at, indexes, views, storage, bridge, is_own => member = schema);
		schemas := schemas || member;
	END LOOP;
	-- before the locks, for which other sessions that make shards of bins would wait
	PERFORM soft_delete_internal.tag_sharded_of(schemas);
	FOREACH member IN ARRAY schemas LOOP
		PERFORM soft_delete_internal.lock_schema(member);
		own := own || ARRAY(SELECT t FROM soft_delete_internal.tables_of(member) AS t WHERE NOT soft_delete_internal.is_tagged_by_shards(t));
	END LOOP;

	FOR relation IN
		SELECT t FROM soft_delete_internal.tables_of(schema) AS t JOIN pg_class ON oid = t
		WHERE relname = ANY ((soft_delete_internal.settings_of(t)).exempt) AND soft_delete_internal.tag_arguments(t) IS NOT NULL
		ORDER BY t
	LOOP
		RAISE WARNING 'table "%" is exempt, but tagged', relation
			USING ERRCODE = '01000', HINT = format('SELECT soft_delete.untag(%L);', relation);
	END LOOP;

	-- a family of tables in several schemas is tagged with the last of them
	candidates := ARRAY(SELECT t FROM unnest(soft_delete_internal.current_tagged_schemas()) AS s JOIN pg_namespace ON nspname = s.schema, soft_delete_internal.tables_of(s.schema) AS t JOIN pg_class ON oid = t
						WHERE relname <> ALL (s.exempt) AND soft_delete_internal.tag_arguments(t) IS NULL AND NOT soft_delete_internal.is_tagged_by_shards(t)
						  AND pg_has_role(soft_delete_internal.caller(), nspowner, 'USAGE')
						ORDER BY s.schema <> tag_schema.schema, t);
	WHILE candidates <> '{}' LOOP
		members := ARRAY(SELECT m FROM soft_delete_internal.cascade_tables(candidates[1]) AS m WHERE m = ANY (candidates) ORDER BY m);
		IF members && own THEN
			PERFORM soft_delete_internal.warn_of_wide_rows(m) FROM unnest(members) AS m WHERE (soft_delete_internal.settings_of(m)).storage <> 'in_place';
			PERFORM soft_delete_internal.warn_of_broken(m, (soft_delete_internal.settings_of(m)).deleted_at) FROM unnest(members) AS m WHERE (soft_delete_internal.settings_of(m)).storage = 'in_place';
			PERFORM soft_delete_internal.try_to_tag(members);
			done := done || members;
		END IF;
		candidates := ARRAY(SELECT c FROM unnest(candidates) WITH ORDINALITY AS u(c, n) WHERE c <> ALL (members) ORDER BY n);
	END LOOP;
	-- at the end, for the table that has the reference may be tagged after the one that it references
	PERFORM soft_delete_internal.warn_of_lost_references(d) FROM unnest(done) AS d WHERE soft_delete_internal.tag_arguments(d) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_schema(name, name[], name, text, name, text, boolean, text) IS
'does soft_delete.tag_schema()';

/* Several rounds, because deleted rows of one table may reference those of another. */
CREATE FUNCTION soft_delete_internal.purge_bins(relations regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	remaining regclass[];
	is_last boolean := false;
BEGIN
	WHILE relations <> '{}' LOOP
		remaining := '{}';
		FOREACH relation IN ARRAY relations LOOP
			BEGIN
				PERFORM soft_delete_internal.execute_as_owner(relation, 'DELETE FROM ' || soft_delete_internal.qualified_name(soft_delete_internal.bin_of(relation)));
			EXCEPTION WHEN foreign_key_violation THEN
				IF is_last THEN
					RAISE;
				END IF;
				remaining := remaining || relation;
			END;
		END LOOP;
		is_last := remaining = relations;
		relations := remaining;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.purge_bins(regclass[]) IS
'purges all deleted rows of some tables; raises 23503 if other rows reference them';

CREATE FUNCTION soft_delete_internal.untag_schema(schema name, tombstones text DEFAULT 'error', cascade boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off -- catalogs are read by their indexes, whatever their size was when a plan was made
AS $$
DECLARE
	relation regclass;
	members regclass[] := '{}';
	member name;
	schemas name[] := ARRAY[schema];
	sharded regclass[] := '{}';
	returning_rows regclass[];
BEGIN
	IF schema IS NULL OR cascade IS NULL OR tombstones IS NULL OR tombstones NOT IN ('error', 'purge', 'keep') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.untag_schema()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The schema must be given, and tombstones must be ''error'', ''purge'' or ''keep''.';
	END IF;
	IF cascade THEN
		schemas := schemas || ARRAY(SELECT s.schema FROM soft_delete_internal.tagged_schemas AS s WHERE s.schema = ANY (soft_delete_internal.cascade_schemas(untag_schema.schema)) ORDER BY s.schema);
	END IF;
	FOREACH member IN ARRAY schemas LOOP
		PERFORM soft_delete_internal.check_schema(member);
		DELETE FROM soft_delete_internal.tagged_schemas AS s WHERE s.schema = member;
		IF NOT FOUND THEN
			RAISE NOTICE 'schema "%" is not tagged', member;
			RETURN;
		END IF;
		IF member <> schema THEN
			RAISE NOTICE 'schema "%" is untagged too', member;
		END IF;
		sharded := sharded || ARRAY(SELECT t FROM soft_delete_internal.tables_of(member) AS t WHERE soft_delete_internal.sharded_tag(t) IS NOT NULL ORDER BY t);
	END LOOP;
	PERFORM soft_delete_internal.untag_sharded_tables(sharded, tombstones);
	FOREACH member IN ARRAY schemas LOOP
		PERFORM soft_delete_internal.lock_schema(member);
		members := members || ARRAY(SELECT t FROM soft_delete_internal.tables_of(member) AS t WHERE soft_delete_internal.tag_arguments(t) IS NOT NULL ORDER BY t);
	END LOOP;
	PERFORM soft_delete_internal.check_owner(m) FROM unnest(members) AS m;
	IF tombstones = 'purge' THEN
		PERFORM soft_delete_internal.purge_bins(members);
	END IF;
	returning_rows := soft_delete_internal.returning_rows(members, tombstones);
	FOREACH relation IN ARRAY members LOOP
		PERFORM soft_delete_internal.untag_table(relation, tombstones);
	END LOOP;
	FOREACH relation IN ARRAY members LOOP
		PERFORM soft_delete_internal.check_cascades(relation);
		PERFORM soft_delete_internal.warn_of_lost_references(relation);
	END LOOP;
	PERFORM soft_delete_internal.check_returned(r) FROM unnest(returning_rows) AS r;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag_schema(name, text, boolean) IS
'does soft_delete.untag_schema()';

CREATE FUNCTION soft_delete_internal.rename_tagged_schemas() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT soft_delete_internal.renamed_from(command) AS old_name, nspname FROM pg_event_trigger_ddl_commands() JOIN pg_namespace ON oid = objid
		WHERE classid = 'pg_namespace'::regclass AND soft_delete_internal.renamed_from(command) IS NOT NULL
	LOOP
		DELETE FROM soft_delete_internal.tagged_schemas WHERE schema = item.nspname;	-- left from a schema of that name
		UPDATE soft_delete_internal.tagged_schemas SET schema = item.nspname WHERE schema = item.old_name;
		UPDATE soft_delete_internal.tagged_schemas SET views = item.nspname WHERE views = item.old_name;
	END LOOP;

	UPDATE soft_delete_internal.tagged_schemas SET exempt = array_replace(exempt, soft_delete_internal.renamed_from(command), relname)
	FROM pg_event_trigger_ddl_commands() JOIN pg_class ON pg_class.oid = objid JOIN pg_namespace n ON n.oid = relnamespace
	WHERE classid = 'pg_class'::regclass AND objsubid = 0 AND relkind IN ('r', 'p', 'f')
	  AND soft_delete_internal.renamed_from(command) = ANY (exempt) AND schema = nspname
	  AND soft_delete_internal.tag_arguments(pg_class.oid) IS NULL
	  -- Citus makes another table of that name
	  AND NOT (soft_delete_internal.has_citus() AND soft_delete_internal.has_new_shard_name(pg_class.oid));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_tagged_schemas() IS
'for event triggers: renames tagged schemas and their exempt tables after ALTER ... RENAME';

CREATE FUNCTION soft_delete_internal.tag_new_table(relation regclass, is_query boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tagged soft_delete_internal.tagged_schemas;
	hides_rows boolean;
BEGIN
	SELECT s.* INTO tagged
	FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace JOIN unnest(soft_delete_internal.current_tagged_schemas()) AS s ON schema = nspname
	WHERE pg_class.oid = relation AND relname <> ALL (exempt) AND relkind IN ('r', 'p', 'f') AND soft_delete_internal.may_have_tag(relation);
	IF NOT FOUND OR soft_delete_internal.tag_arguments(relation) IS NOT NULL OR soft_delete_internal.is_made_by_citus(relation)
	   -- tag_new_sharded() tags it when it is distributed
	   OR soft_delete_internal.is_distributed_schema(tagged.schema) THEN
		RETURN;
	END IF;

	-- a dump tags the tables that were tagged
	IF NOT current_setting('row_security')::boolean THEN
		RAISE WARNING 'table "%" is not tagged', relation
			USING ERRCODE = '01000',
				DETAIL = 'With row_security = off, as scripts of pg_dump set it, it is what the script makes of it.',
				HINT = format('SELECT soft_delete.tag(%L);', relation);
		RETURN;
	END IF;

	-- a table that CREATE TABLE AS has filled with deleted rows is meant to show them
	IF is_query AND tagged.storage = 'in_place' AND soft_delete_internal.has_column(relation, tagged.deleted_at) THEN
		SELECT answer INTO hides_rows FROM soft_delete_internal.query_as_owner(relation,
			format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NOT NULL)', relation, tagged.deleted_at)) AS q(answer boolean);
		IF hides_rows THEN
			RAISE WARNING 'table "%" is not tagged: it has deleted rows', relation
				USING ERRCODE = '01000',
					DETAIL = format('Its column %I is not null in some.', tagged.deleted_at),
					HINT = format('SELECT soft_delete.tag(%L);', relation);
			RETURN;
		END IF;
	END IF;
	PERFORM soft_delete_internal.try_to_tag(ARRAY[relation], are_new => true);
	PERFORM soft_delete_internal.warn_of_lost_references(relation)
	WHERE soft_delete_internal.tag_arguments(relation) IS NOT NULL AND EXISTS (SELECT FROM soft_delete_internal.foreign_keys_of(relation));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_new_table(regclass, boolean) IS
'tags a table that is new in a tagged schema, or warns why it is not tagged; is_query: CREATE TABLE AS has created it';

CREATE FUNCTION soft_delete_internal.tag_new_sharded(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tagged soft_delete_internal.tagged_schemas;
BEGIN
	IF NOT soft_delete_internal.leads_citus() OR NOT current_setting('row_security')::boolean THEN
		RETURN;
	ELSIF (SELECT relispartition FROM pg_class WHERE oid = relation) THEN
		PERFORM soft_delete_internal.guard_partitions(root) FROM soft_delete_internal.root(relation) AS root WHERE soft_delete_internal.sharded_tag(root) IS NOT NULL;
		RETURN;
	ELSIF soft_delete_internal.current_tagged_schemas() IS NULL THEN
		RETURN;
	END IF;
	tagged := soft_delete_internal.settings_of(relation);
	IF tagged.storage <> 'in_place' AND soft_delete_internal.is_distributed_schema(tagged.schema) AND soft_delete_internal.is_sharded(relation)
	   AND soft_delete_internal.sharded_tag(relation) IS NULL AND (SELECT relname FROM pg_class WHERE oid = relation) <> ALL (tagged.exempt) THEN
		PERFORM soft_delete_internal.try_to_tag_sharded(ARRAY[relation]);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_new_sharded(regclass) IS
'tags a new table that Citus has distributed because it distributes the schema, if that is tagged; gives a new partition its trigger';

CREATE FUNCTION soft_delete_internal.tag_new_tables(tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	IF soft_delete_internal.current_tagged_schemas() IS NULL THEN
		RETURN;
	END IF;
	IF tag LIKE 'ALTER%' AND soft_delete_internal.command_renames() AND current_setting('row_security')::boolean THEN
		PERFORM soft_delete_internal.rename_tagged_schemas();
	END IF;
	FOR item IN
		SELECT DISTINCT objid::regclass AS relation, command_tag IN ('CREATE TABLE AS', 'SELECT INTO') AS is_query
		FROM pg_event_trigger_ddl_commands()
		WHERE classid = 'pg_class'::regclass AND objsubid = 0 AND NOT in_extension
		  AND (command_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE') OR soft_delete_internal.changes_schema(command))
		ORDER BY 1
	LOOP
		PERFORM soft_delete_internal.tag_new_table(item.relation, item.is_query);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_new_tables(text) IS
'for event triggers: tags tables that are new in a tagged schema after a command with that tag';
