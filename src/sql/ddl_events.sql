/*
 * What a DDL command means for tagged tables is done, or refused, in the same command.
 *
 * One event trigger for each event calls the parts.  It ends with is_used() where
 * nothing is tagged, and with affects_tagged() for relations that have nothing to do
 * with a tagged table.  All of it runs with the rights of the extension's owner.
 */

CREATE FUNCTION soft_delete_internal.follow_ddl() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_ddl';
COMMENT ON FUNCTION soft_delete_internal.follow_ddl() IS
'event trigger function: does, or refuses, what a DDL command means for tagged tables';

CREATE FUNCTION soft_delete_internal.follow_drops() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_drops';
COMMENT ON FUNCTION soft_delete_internal.follow_drops() IS
'event trigger function: removes what depends on dropped objects, and refuses to drop what makes a table tagged';

CREATE FUNCTION soft_delete_internal.changed_relations() RETURNS regclass[]
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_changed_relations';
COMMENT ON FUNCTION soft_delete_internal.changed_relations() IS
'for event triggers: the relations that a command has created or changed, and those whose triggers, constraints or indexes it has';

CREATE FUNCTION soft_delete_internal.affects_tagged(relations regclass[]) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_affects_tagged';
COMMENT ON FUNCTION soft_delete_internal.affects_tagged(regclass[]) IS
'whether any of some relations may be a tagged table, a view of one, or a table with a foreign key from or to one';

CREATE FUNCTION soft_delete_internal.drops_affect_tagged() RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_drops_affect_tagged';
COMMENT ON FUNCTION soft_delete_internal.drops_affect_tagged() IS
'for event triggers: whether any dropped object may belong to a tagged table, or be one that the extension keeps records of';

CREATE FUNCTION soft_delete_internal.check_tombstone_column(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[] := soft_delete_internal.tag_arguments(relation);
	bin regclass := soft_delete_internal.bin_of(relation);
	new_name name;
BEGIN
	-- the column of the bin still has the old name of the tombstone column
	SELECT t.attname INTO new_name
	FROM pg_attribute v, soft_delete_internal.view_sources(bin, relation) AS sources, pg_attribute t
	WHERE v.attrelid = bin AND v.attname = arguments[1]
	  AND t.attrelid = relation AND t.attnum = sources[v.attnum] AND t.attname <> v.attname AND NOT t.attisdropped;
	IF FOUND THEN
		IF soft_delete_internal.comment_on('pg_class', bin) = soft_delete_internal.bin_comment(relation::text, arguments[1]) THEN
			EXECUTE format('COMMENT ON VIEW %s IS %L', bin, soft_delete_internal.bin_comment(relation::text, new_name));
		END IF;
		arguments[1] := new_name;
		PERFORM soft_delete_internal.make_triggers(relation, arguments);
	END IF;

	IF NOT EXISTS (SELECT FROM pg_attribute
				   WHERE attrelid = relation AND attname = arguments[1] AND NOT attisdropped
					 AND atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype)
					 -- the index is on an expression where the column is a timestamp
					 AND NOT EXISTS (SELECT FROM pg_index
									 WHERE indrelid = relation AND soft_delete_internal.is_soft_delete_btree(indexrelid)
									   AND (indkey[0] = 0) <> (atttypid = 'timestamp'::regtype))
					 AND NOT attnotnull AND NOT atthasdef AND attgenerated = '' AND atttypmod IN (-1, 6)) THEN
		RAISE EXCEPTION 'cannot alter tombstone column "%" of tagged table "%"', arguments[1], relation
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'It must keep its type and its contents, and be null in every live row: it takes no USING, no NOT NULL, no default and no expression.',
				HINT = format('SELECT soft_delete.untag(%L);', soft_delete_internal.root(relation));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_tombstone_column(regclass) IS
'updates the tag after the tombstone column was renamed; raises 0A000 for any other change of it';

CREATE FUNCTION soft_delete_internal.warn_of_disabled_tag(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- said once, though the transaction may go on to alter the table
	IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE soft_delete_internal.disables_triggers(command))
	   AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgfoid = 'soft_delete.delete_row()'::regprocedure
				   AND tgenabled NOT IN ('O', 'A') AND soft_delete_internal.is_own_transaction(xmin)) THEN
		RAISE WARNING 'deletes from table "%" are hard now', relation
			USING ERRCODE = '01000',
				DETAIL = 'The tag is a trigger, and it is disabled.',
				HINT = format('ALTER TABLE %s ENABLE TRIGGER "~soft_delete";', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.warn_of_disabled_tag(regclass) IS
'for event triggers: warns if the command has disabled the tag of a table';

CREATE FUNCTION soft_delete_internal.check_drops() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT object_type AS type, name, coalesce(refobjid::regclass, owner) AS relation
		FROM pg_event_trigger_dropped_objects(), substr(address_names[3], 1) AS name,
			to_regclass(quote_ident(address_names[1]) || '.' || quote_ident(address_names[2])) AS owner
			LEFT JOIN pg_depend ON pg_depend.classid = 'pg_class'::regclass AND pg_depend.objid = owner AND pg_depend.objsubid = 0
				AND refclassid = 'pg_class'::regclass AND refobjsubid = 0 AND deptype = 'a'
		WHERE owner IS NOT NULL
		  AND (object_type = 'trigger' AND original AND name IN ('~soft_delete', '~soft_delete_key', '~soft_delete_truncate')
				AND (soft_delete_internal.tag_arguments(owner) IS NOT NULL OR soft_delete_internal.bin_of(soft_delete_internal.root(owner)) IS NOT NULL)
			   OR object_type = 'trigger' AND original AND name IN ('soft_delete_restore', 'soft_delete_purge', 'soft_delete_statement') AND soft_delete_internal.tag_arguments(refobjid) IS NOT NULL
				AND (SELECT relkind FROM pg_class WHERE oid = owner) = 'v'
			   OR object_type = 'table column' AND name = (soft_delete_internal.tag_arguments(owner))[1])
	LOOP
		RAISE EXCEPTION 'cannot drop % "%" of tagged table "%"',
			CASE item.type WHEN 'trigger' THEN 'trigger' ELSE 'tombstone column' END, item.name, item.relation
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = 'Without it deletes are not soft, or deleted rows are not to be told from live ones.',
				HINT = format('SELECT soft_delete.untag(%L);', item.relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_drops() IS
'for event triggers: raises 2BP01 if a trigger of the extension or a tombstone column is dropped, but not its table';

CREATE FUNCTION soft_delete_internal.check_companions() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT relation, relname, nspname, relpersistence,
			CASE relpersistence WHEN 't' THEN 'pg_temp' ELSE coalesce((SELECT substr(argument, 7) FROM unnest(soft_delete_internal.tag_arguments(relation)) AS argument WHERE argument LIKE 'views:%'), nspname) END AS part_schema
		FROM soft_delete_internal.tagged_tables() JOIN pg_class ON pg_class.oid = relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
		WHERE soft_delete_internal.is_aside(relation)
		  -- what others have lost is no matter of this command
		  AND soft_delete_internal.caller_owns(relation)
		  AND (soft_delete_internal.companion_of(relation) IS NULL OR soft_delete_internal.bin_of(relation) IS NULL)
	LOOP
		CONTINUE WHEN NOT EXISTS (
				SELECT FROM pg_event_trigger_dropped_objects() WHERE object_type = 'trigger' AND address_names[1] = item.part_schema
				  AND address_names[2] IN (soft_delete_internal.view_name(item.relation, '_tombstones'), soft_delete_internal.view_name(item.relation, '_deleted')))
			-- they were those of another table of that name, which has gone with them
			OR EXISTS (
				SELECT FROM pg_event_trigger_dropped_objects() WHERE object_type = 'trigger' AND address_names[3] = '~soft_delete' AND address_names[2] = item.relname
				  AND item.relpersistence <> 't' AND address_names[1] <> item.nspname);
		RAISE EXCEPTION 'cannot drop the bin or the companion of tagged table "%"', item.relation
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = 'They go with the tag, or with the table.',
				HINT = format('SELECT soft_delete.untag(%L);', item.relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_companions() IS
'for event triggers: raises 2BP01 if a table whose deleted rows are aside has lost its companion or its bin';

CREATE FUNCTION soft_delete_internal.check_trigger_names(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	renamed name;
BEGIN
	SELECT tgname INTO renamed FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
	WHERE tgrelid = relation AND pronamespace = 'soft_delete'::regnamespace AND NOT tgisinternal AND NOT starts_with(tgname, '~soft_delete');
	IF FOUND THEN
		RAISE EXCEPTION 'cannot name a trigger of tagged table "%" "%"', relation, renamed
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Triggers fire in the order of their names, and those of the tag must fire last.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_trigger_names(regclass) IS
'raises 0A000 if a trigger that tag() made was renamed';

CREATE FUNCTION soft_delete_internal.check_replaced_triggers() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT name, relation FROM (VALUES
			('~soft_delete', 'delete_row', 11), ('~soft_delete_key', 'claim_key', 7), ('~soft_delete_truncate', 'guard_truncate', 34), ('~soft_delete_companion', 'guard_companion', 62),
			('soft_delete_restore', 'restore_row', 81), ('soft_delete_purge', 'purge_row', 73), ('soft_delete_statement', 'finish_bin', 24))
				AS ours(name, function, type)
			JOIN pg_trigger ON tgname = name
			JOIN pg_event_trigger_ddl_commands() ON classid = 'pg_trigger'::regclass AND objid = pg_trigger.oid
			JOIN pg_class ON pg_class.oid = tgrelid,
			LATERAL (SELECT CASE WHEN relkind <> 'v' THEN tgrelid
				-- without its trigger the view is found by its dependency on the table
				ELSE (SELECT refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = tgrelid AND objsubid = 0
					  AND refclassid = 'pg_class'::regclass AND deptype = 'a') END::regclass) AS of(relation)
		WHERE (tgfoid <> format('soft_delete.%s()', function)::regprocedure OR tgtype <> type OR tgqual IS NOT NULL)
		  AND starts_with(name, '~') = (relkind <> 'v')
		  AND CASE relkind WHEN 'v' THEN soft_delete_internal.tag_arguments(relation) IS NOT NULL ELSE soft_delete_internal.bin_of(soft_delete_internal.root(relation)) IS NOT NULL END
	LOOP
		RAISE EXCEPTION 'cannot replace trigger "%" of tagged table "%"', item.name, item.relation
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = 'Without it deletes are not soft, or deleted rows are not to be told from live ones.',
				HINT = format('SELECT soft_delete.untag(%L);', item.relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_replaced_triggers() IS
'for event triggers: raises 2BP01 where another trigger has taken the place of one that tag() made';

CREATE FUNCTION soft_delete_internal.check_dependences() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
BEGIN
	SELECT tgrelid INTO relation
	FROM pg_event_trigger_ddl_commands() AS c JOIN pg_trigger ON c.classid = 'pg_trigger'::regclass AND pg_trigger.oid = c.objid
		JOIN pg_depend AS d ON d.classid = c.classid AND d.objid = c.objid AND d.deptype = 'x'
		JOIN pg_depend AS m ON m.classid = 'pg_proc'::regclass AND m.objid = tgfoid AND m.deptype = 'e'
		JOIN pg_extension ON m.refclassid = 'pg_extension'::regclass AND m.refobjid = pg_extension.oid
	WHERE extname = 'soft_delete';
	IF FOUND THEN
		RAISE EXCEPTION 'triggers of table "%" that the extension has made cannot depend on another extension', relation
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'They would be dropped with that, and what keeps its deleted rows with them.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_dependences() IS
'for event triggers: raises 0A000 for ALTER TRIGGER ... DEPENDS ON EXTENSION of a trigger of the extension';

CREATE FUNCTION soft_delete_internal.refuse_copying_trigger(relation regclass, function oid) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_refuse_copying_trigger';
COMMENT ON FUNCTION soft_delete_internal.refuse_copying_trigger(regclass, oid) IS
'raises 0A000 if a trigger of a tagged table that calls the function is one of pg_repack, which would copy the live rows only, TimescaleDB or Citus';

CREATE FUNCTION soft_delete_internal.check_dropped_table(relation regclass, is_detached boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bin regclass := soft_delete_internal.bin_of(relation);
	copy regclass;
	deleted_rows bigint;
BEGIN
	IF bin IS NULL THEN
		RETURN;
	END IF;
	-- a table that this transaction has made or renamed, and its row type with it, with most of the columns
	SELECT c.oid INTO copy FROM pg_class AS c
	WHERE relkind IN ('r', 'p') AND soft_delete_internal.is_own_transaction(c.xmin)
	  AND EXISTS (SELECT FROM pg_type WHERE pg_type.oid = reltype AND soft_delete_internal.is_own_transaction(pg_type.xmin))
	  AND c.oid NOT IN (SELECT soft_delete_internal.inheritance_tree(relation))
	  AND soft_delete_internal.companions_table(c.oid) IS NULL
	  AND (SELECT count(*) FILTER (WHERE there.attname IS NOT NULL) * 2 > count(*) FROM pg_attribute AS here LEFT JOIN pg_attribute AS there
			   ON there.attrelid = c.oid AND there.attname = here.attname AND there.attnum > 0 AND NOT there.attisdropped
		   WHERE here.attrelid = relation AND here.attnum > 0 AND NOT here.attisdropped AND here.attname <> (soft_delete_internal.tag_arguments(relation))[1])
	ORDER BY c.oid LIMIT 1;
	IF NOT is_detached AND copy IS NULL THEN
		RETURN;
	END IF;
	deleted_rows := (SELECT answer FROM soft_delete_internal.query_as_owner(relation, format('SELECT count(*) FROM %s', bin)) AS q(answer bigint));
	IF deleted_rows = 0 THEN
		RETURN;
	END IF;
	IF is_detached AND (SELECT answer FROM soft_delete_internal.query_as_owner(relation, format('SELECT NOT EXISTS (SELECT FROM %s)', relation)) AS q(answer boolean)) THEN
		RAISE EXCEPTION 'cannot drop table "%", which this transaction has detached', relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('It has no rows but %s deleted ones, which would be lost: tools that move rows out of a partition leave them there. '
								'Detached without DROP TABLE, as undo_partition() of pg_partman does with p_keep_table => true, it is a tagged table by itself, with its bin.', deleted_rows);
	END IF;
	IF copy IS NOT NULL THEN
		RAISE WARNING 'table "%" is dropped with % deleted rows, and table "%" of this transaction does not have them', relation, deleted_rows, copy
			USING ERRCODE = '01000', DETAIL = format('They are listed by %s, which is dropped, too.', bin), HINT = 'ROLLBACK;';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_dropped_table(regclass, boolean) IS
'raises 55000 for a detached partition that is dropped although it has deleted rows and no others; warns if a table of this transaction replaces one that has deleted rows';

CREATE FUNCTION soft_delete_internal.check_large_object_list() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	-- the columns that vacuumlo looks at; at one that the caller may not read it fails before it removes anything
	SELECT relation, attname INTO item
	FROM soft_delete_internal.tagged_relations() JOIN pg_attribute ON attrelid = relation AND attnum > 0 AND NOT attisdropped
		JOIN pg_type ON pg_type.oid = atttypid AND typname IN ('oid', 'lo')
		JOIN pg_class ON pg_class.oid = relation JOIN pg_namespace ON pg_namespace.oid = relnamespace AND NOT starts_with(nspname, 'pg_')
	WHERE NOT soft_delete_internal.is_aside(relation)
	  AND has_schema_privilege(soft_delete_internal.caller(), relnamespace, 'USAGE')
	  AND has_column_privilege(soft_delete_internal.caller(), pg_class.oid, attnum, 'SELECT')
	ORDER BY relation, attnum LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'large objects cannot be listed beside table "%", whose deleted rows are in place', item.relation
			USING ERRCODE = 'feature_not_supported',
				DETAIL = format('Those that only deleted rows reference in column %I would be taken for unused. vacuumlo takes the setting by PGOPTIONS="-c row_security=off".', item.attname),
				HINT = 'SET row_security = off;';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_large_object_list() IS
'raises 0A000 if a table that the caller may read, and whose deleted rows are in place, may reference large objects: vacuumlo would remove those of deleted rows';

CREATE FUNCTION soft_delete_internal.update_tagged(member regclass, tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF tag NOT LIKE 'CREATE%TABLE%' THEN
		PERFORM soft_delete_internal.bind_stand_ins(member);
	END IF;
	IF tag IN ('CREATE TRIGGER', 'ALTER TRIGGER') THEN
		PERFORM soft_delete_internal.bind_views(member);
		IF tag = 'ALTER TRIGGER' THEN
			PERFORM soft_delete_internal.check_trigger_names(member);
		END IF;
		PERFORM soft_delete_internal.check_triggers(member);
		IF tag = 'CREATE TRIGGER' AND current_setting('row_security')::boolean THEN
			PERFORM soft_delete_internal.check_other_triggers(member, is_aside => false);
		END IF;
		PERFORM soft_delete_internal.refuse_copying_trigger(tgrelid, tgfoid) FROM pg_trigger WHERE tgrelid = member AND NOT tgisinternal;
	ELSIF tag IN ('ALTER TABLE', 'ALTER TYPE')
		-- a unique constraint that the command has added becomes an index on live rows
		AND EXISTS (SELECT FROM pg_constraint WHERE conrelid = member AND contype = 'u' AND NOT condeferrable AND conparentid = 0
					AND soft_delete_internal.is_own_transaction(xmin)) THEN
		PERFORM soft_delete_internal.convert_indexes(member, (soft_delete_internal.tag_arguments(member))[1], 'unique');
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.update_tagged(regclass, text) IS
'updates stand-ins, views and indexes of a tagged table after a DDL command, and checks its triggers';

CREATE FUNCTION soft_delete_internal.follow_changed_companions(changed regclass[], tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	old_name name;
	old_column name;
	new_column name;
BEGIN
	IF tag = 'ALTER TABLE' AND current_setting('row_security')::boolean THEN
		PERFORM soft_delete_internal.check_companion(c) FROM unnest(changed) AS c;
	END IF;
	-- sessions that restore a dump make the triggers of a table, its companion and its bin at the same time: the last one sees them all
	IF tag = 'CREATE TRIGGER' THEN
		FOR relation IN SELECT conrelid::regclass FROM pg_constraint WHERE conrelid = ANY (changed) AND contype = 'c' AND starts_with(conname, 'soft_delete_companion') LOOP
			PERFORM soft_delete_internal.refuse_copying_trigger(tgrelid, tgfoid) FROM pg_trigger WHERE tgrelid = relation AND NOT tgisinternal;
			EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', relation);
			relation := soft_delete_internal.companions_table(relation);
			IF relation IS NOT NULL THEN
				EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', relation);
			END IF;
		END LOOP;
	END IF;
	FOR relation IN
		SELECT r FROM (
			SELECT DISTINCT coalesce(soft_delete_internal.companions_table(c), CASE WHEN relispartition THEN soft_delete_internal.root(m) ELSE m END) AS r
			FROM unnest(changed) AS c, soft_delete_internal.inheritance_tree(c) AS m JOIN pg_class ON oid = m) AS tables
		WHERE soft_delete_internal.tag_arguments(r) IS NOT NULL
		ORDER BY soft_delete_internal.inheritance_depth(r), r
	LOOP
		IF tag = 'CREATE TRIGGER' THEN
			-- a dump carries no dependencies; nor does a trigger of a partition, whose command has not locked its root, add any
			IF soft_delete_internal.companion_of(relation) IS NOT NULL AND ARRAY[relation, soft_delete_internal.companion_of(relation)] && changed THEN
				PERFORM soft_delete_internal.bind_companion(relation);
			END IF;
			IF soft_delete_internal.is_aside(relation) THEN
				PERFORM soft_delete_internal.check_triggers(relation);
				IF current_setting('row_security')::boolean THEN
					PERFORM soft_delete_internal.check_other_triggers(relation, is_aside => true);
				END IF;
			ELSE
				PERFORM soft_delete_internal.bind_views(relation);
			END IF;
			CONTINUE;
		END IF;
		old_name := NULL;
		SELECT soft_delete_internal.renamed_from(command) INTO old_name FROM pg_event_trigger_ddl_commands()
		WHERE classid = 'pg_class'::regclass AND objid = relation AND objsubid = 0 AND soft_delete_internal.renamed_from(command) IS NOT NULL;
		old_column := NULL;
		SELECT soft_delete_internal.renamed_from(command), attname INTO old_column, new_column
		FROM pg_event_trigger_ddl_commands() JOIN pg_attribute ON attrelid = objid AND attnum = objsubid
		WHERE classid = 'pg_class'::regclass AND objid = relation AND objsubid > 0 AND soft_delete_internal.renamed_from(command) IS NOT NULL;
		PERFORM soft_delete_internal.follow_companion(relation, old_name, old_column, new_column, soft_delete_internal.using_expressions(relation));
		IF soft_delete_internal.is_aside(relation) THEN
			PERFORM soft_delete_internal.check_trigger_names(relation);
			PERFORM soft_delete_internal.warn_of_disabled_tag(relation);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_changed_companions(regclass[], text) IS
'for event triggers: what a command means for the companions of changed tables';

CREATE FUNCTION soft_delete_internal.bridge_of_new_child(child regclass, parent regclass) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN soft_delete_internal.bridge_text(soft_delete_internal.resolve_bridge(child,
		coalesce((soft_delete_internal.settings_of(child)).bridge, soft_delete_internal.bridge_text(soft_delete_internal.bridge_arguments(parent))), is_named => false));
EXCEPTION WHEN OTHERS THEN
	IF soft_delete_internal.must_propagate(SQLSTATE) THEN
		RAISE;
	END IF;
	-- its column of that name says something else
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bridge_of_new_child(regclass, regclass) IS
'the bridge of a table that becomes a child: that of its schema, or else that of its parent, if it has the column';

CREATE FUNCTION soft_delete_internal.tag_new_children(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	arguments text[];
BEGIN
	IF current_setting('soft_delete.new_children', true) = 'error' THEN
		RETURN;
	END IF;
	FOR item IN
		SELECT DISTINCT child, parent FROM soft_delete_internal.references_of(relation) JOIN pg_constraint AS con ON con.oid = "constraint"
		WHERE action = 'c' AND soft_delete_internal.is_own_transaction(con.xmin)
		  AND soft_delete_internal.tag_arguments(parent) IS NOT NULL AND soft_delete_internal.tag_arguments(child) IS NULL
		  -- who has exempted a table wants its deletes hard
		  AND (SELECT relname FROM pg_class WHERE oid = child) <> ALL (coalesce((soft_delete_internal.settings_of(child)).exempt, '{}'))
		ORDER BY child, parent
	LOOP
		CONTINUE WHEN soft_delete_internal.tag_arguments(item.child) IS NOT NULL;
		arguments := soft_delete_internal.tag_arguments(item.parent);
		BEGIN
			PERFORM soft_delete_internal.tag(item.child, deleted_at => arguments[1]::name, indexes => CASE WHEN 'indexes:unique' = ANY (arguments) THEN 'unique' ELSE 'all' END,
				cascade => true, storage => soft_delete_internal.storage_of_new_child(item.child, item.parent),
				bridge => soft_delete_internal.bridge_of_new_child(item.child, item.parent));
		EXCEPTION WHEN OTHERS THEN
			IF soft_delete_internal.must_propagate(SQLSTATE) OR SQLSTATE = '55P03' THEN
				RAISE;
			END IF;
			-- check_cascades() refuses the foreign key
			CONTINUE;
		END;
		RAISE NOTICE 'table "%" is tagged, because deletes from tagged table "%" reach it by ON DELETE CASCADE', item.child, item.parent
			USING DETAIL = 'Else they would destroy its rows.', HINT = 'SET soft_delete.new_children = error;';
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_new_children(regclass) IS
'tags the tables that this transaction has made children of a tagged table by ON DELETE CASCADE, unless soft_delete.new_children says otherwise';

CREATE FUNCTION soft_delete_internal.follow_new_foreign_keys(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	actions text := '';
	table_name regclass;
BEGIN
	-- a table that many others reference is changed with each of them
	FOR item IN
		SELECT con.oid, confdeltype,
			confdeltype = 'c' AND (soft_delete_internal.tag_arguments(soft_delete_internal.root(conrelid)) IS NULL)
				= (soft_delete_internal.tag_arguments(soft_delete_internal.root(confrelid)) IS NULL) AS cascades_within
		FROM soft_delete_internal.foreign_keys_of(relation) AS fk JOIN pg_constraint AS con ON con.oid = fk
		WHERE soft_delete_internal.is_own_transaction(con.xmin) ORDER BY con.oid
	LOOP
		PERFORM soft_delete_internal.set_reference_triggers(item.oid);
		-- where both tables are tagged, or neither is, nothing is lost by that
		IF NOT item.cascades_within THEN
			actions := actions || item.confdeltype::text;
		END IF;
	END LOOP;
	table_name := soft_delete_internal.root(relation);
	IF actions ~ 'c' THEN
		PERFORM soft_delete_internal.tag_new_children(table_name);
		PERFORM soft_delete_internal.check_cascades(table_name, only_new => true);
	END IF;
	IF actions ~ '[nd]' THEN
		PERFORM soft_delete_internal.warn_of_lost_references(table_name, only_new => true);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_new_foreign_keys(regclass) IS
'for event triggers: does, or refuses, what the foreign keys mean that this transaction has added to a table';

CREATE FUNCTION soft_delete_internal.update_changed(changed regclass[], tag text, restores boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	tagged regclass[] := ARRAY(SELECT DISTINCT member FROM unnest(changed) AS c, soft_delete_internal.inheritance_tree(c) AS member
							   WHERE soft_delete_internal.tag_arguments(member) IS NOT NULL AND NOT soft_delete_internal.is_aside(member) ORDER BY member);
	renames boolean := tag LIKE 'ALTER%' AND soft_delete_internal.command_renames();
BEGIN
	IF tag = 'ALTER TABLE' THEN
		IF renames THEN
			PERFORM soft_delete_internal.check_shard_names();
		END IF;
		PERFORM soft_delete_internal.check_access_method(c) FROM unnest(changed) AS c JOIN pg_class ON pg_class.oid = c
		WHERE relkind = 'r' AND soft_delete_internal.is_own_transaction(pg_class.xmin) AND (soft_delete_internal.tag_arguments(c) IS NOT NULL OR soft_delete_internal.companions_table(c) IS NOT NULL);
	END IF;
	IF tag IN ('ALTER TABLE', 'ALTER TYPE', 'CREATE TRIGGER') THEN
		PERFORM soft_delete_internal.follow_changed_companions(changed, tag);
	END IF;
	-- the names of the columns come first, because every query on the table needs them
	IF tag IN ('ALTER TABLE', 'ALTER TYPE') THEN
		PERFORM soft_delete_internal.follow_bridge_column(member) FROM (SELECT DISTINCT soft_delete_internal.inheritance_tree(c) FROM unnest(changed) AS c) AS m(member)
			JOIN pg_class ON oid = member WHERE NOT relispartition;
		PERFORM soft_delete_internal.check_tombstone_column(member) FROM unnest(tagged) AS member;
	END IF;
	IF tag = 'ALTER TYPE' THEN
		PERFORM soft_delete_internal.follow_bridge_labels();
	END IF;
	FOREACH relation IN ARRAY changed LOOP
		IF tag = 'CREATE TRIGGER' OR restores THEN
			PERFORM soft_delete_internal.make_reference_triggers(relation);
		ELSE
			PERFORM soft_delete_internal.follow_new_foreign_keys(relation);
		END IF;
	END LOOP;
	IF renames AND tag = 'ALTER TABLE' THEN
		PERFORM soft_delete_internal.rename_set_null_references();
	END IF;
	IF tagged <> '{}' THEN
		IF renames THEN
			PERFORM soft_delete_internal.rename_stand_ins();
		END IF;
		PERFORM soft_delete_internal.update_tagged(member, tag) FROM unnest(tagged) AS member;
		IF tag = 'ALTER TABLE' AND NOT restores THEN
			PERFORM soft_delete_internal.warn_of_disabled_tag(c) FROM unnest(changed) AS c;
		END IF;
	END IF;
	-- a dump never renames a label
	IF tag = 'ALTER TYPE' OR (tag = 'ALTER TABLE' AND NOT restores) THEN
		PERFORM soft_delete_internal.check_held_keys(
			ARRAY(SELECT r FROM unnest(changed) AS c, soft_delete_internal.root(c) AS r WHERE soft_delete_internal.is_aside(r))
			|| tagged, retyped => CASE tag WHEN 'ALTER TYPE' THEN soft_delete_internal.held_by_altered_types() ELSE '{}' END);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.update_changed(regclass[], text, boolean) IS
'for event triggers: updates what belongs to changed relations, and checks it; restores: a dump is being restored';

/* A dump makes them as tables and views: what they are for shows when their triggers come, after grants may have. */
CREATE FUNCTION soft_delete_internal.keep_private() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete_internal.set_grants(c.oid, NULL, NULL)
	FROM pg_event_trigger_ddl_commands() JOIN pg_class AS c ON c.oid = objid JOIN pg_type AS t ON t.oid = reltype
	WHERE classid = 'pg_class'::regclass AND objsubid = 0 AND relacl IS NOT NULL
	  -- not one that is replaced
	  AND soft_delete_internal.is_own_transaction(t.xmin)
	  AND CASE relkind
		WHEN 'r' THEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype = 'c' AND starts_with(conname, 'soft_delete_companion'))
		WHEN 'v' THEN EXISTS (SELECT FROM pg_rewrite JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND pg_depend.objid = pg_rewrite.oid
							  WHERE ev_class = c.oid AND refclassid = 'pg_proc'::regclass AND refobjid = 'soft_delete.deletion_of(oid,tid,timestamptz,text)'::regprocedure) END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.keep_private() IS
'for event triggers: takes from new companions and bins what default privileges have given';

CREATE FUNCTION soft_delete_internal.follow_ddl(tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET max_parallel_workers_per_gather = 0 -- to start a worker takes longer than a query of the catalogs
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off -- catalogs are read by their indexes, whatever their size was when a plan was made
AS $$
DECLARE
	changed regclass[];
	-- pg_restore creates tags and foreign keys in any order, and disables triggers on purpose
	restores boolean := NOT current_setting('row_security')::boolean;
BEGIN
	IF tag IN ('CREATE TABLE', 'CREATE VIEW') AND EXISTS (SELECT FROM pg_default_acl) THEN
		PERFORM soft_delete_internal.keep_private();
	END IF;
	IF tag = 'CREATE VIEW' THEN
		RETURN;
	END IF;
	-- before is_used(): the trigger that was replaced may have been the only tag
	IF tag = 'CREATE TRIGGER' AND NOT restores THEN
		PERFORM soft_delete_internal.check_replaced_triggers();
	END IF;
	PERFORM soft_delete_internal.follow_sharded(tag);
	IF NOT soft_delete_internal.is_used() THEN
		RETURN;
	END IF;
	IF tag = 'ALTER TRIGGER' THEN
		PERFORM soft_delete_internal.check_dependences();
	END IF;
	changed := soft_delete_internal.changed_relations();
	IF tag NOT IN ('ALTER SCHEMA', 'ALTER TYPE') AND soft_delete_internal.current_tagged_schemas() IS NULL
	   AND NOT soft_delete_internal.affects_tagged(changed) THEN
		RETURN;
	END IF;
	IF tag = 'ALTER SCHEMA' THEN
		UPDATE soft_delete_internal.retention AS r SET schema = nspname
		FROM pg_event_trigger_ddl_commands() JOIN pg_namespace ON pg_namespace.oid = objid
		WHERE classid = 'pg_namespace'::regclass AND r.schema = soft_delete_internal.renamed_from(command);
	END IF;
	-- most commands of a schema file: neither names nor columns nor other constraints change
	IF tag = 'ALTER TABLE' AND NOT restores
	   AND (SELECT bool_and(soft_delete_internal.adds_foreign_keys(command)) FROM pg_event_trigger_ddl_commands()) THEN
		PERFORM soft_delete_internal.follow_new_foreign_keys(c) FROM unnest(changed) AS c;
		RETURN;
	END IF;
	-- most new tables are neither partitions nor inheritance children
	IF tag NOT LIKE 'CREATE%' OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = ANY (changed)) THEN
		PERFORM soft_delete_internal.tag_changed_partitions();
	END IF;
	PERFORM soft_delete_internal.tag_new_tables(tag);
	-- nothing but its foreign keys connects a new table with others
	IF tag LIKE 'CREATE%TABLE%' AND NOT restores THEN
		PERFORM soft_delete_internal.follow_new_foreign_keys(c) FROM unnest(changed) AS c JOIN pg_class ON oid = c WHERE relhastriggers OR relhassubclass;
		RETURN;
	END IF;
	IF tag = 'ALTER TYPE' THEN
		changed := ARRAY(SELECT pg_class.oid FROM pg_type JOIN pg_class ON reloftype = pg_type.oid WHERE typrelid = ANY (changed));
	ELSIF tag = 'CREATE TRIGGER' THEN
		-- a table changes with its bin
		changed := changed || ARRAY(
			SELECT DISTINCT refobjid::regclass
			FROM pg_rewrite JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid AND refclassid = 'pg_class'::regclass
			WHERE ev_class = ANY (changed) AND soft_delete_internal.bin_of(refobjid) = ev_class);
	END IF;
	-- a table without triggers has neither a tag nor foreign keys
	IF tag = 'ALTER TYPE' OR EXISTS (SELECT FROM pg_class WHERE oid = ANY (changed) AND (relhastriggers OR relhassubclass)) THEN
		PERFORM soft_delete_internal.update_changed(changed, tag, restores);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_ddl(text) IS
'does, or refuses, what a DDL command with that tag means for tagged tables';

CREATE EVENT TRIGGER soft_delete_ddl ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE VIEW', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA', 'CREATE SCHEMA',
				 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER INDEX', 'ALTER SCHEMA', 'CREATE TRIGGER', 'ALTER TRIGGER', 'ALTER TYPE')
	EXECUTE FUNCTION soft_delete_internal.follow_ddl();
COMMENT ON EVENT TRIGGER soft_delete_ddl IS
'does, or refuses, what a DDL command means for tagged tables';

CREATE FUNCTION soft_delete_internal.remove_dropped() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	DELETE FROM soft_delete_internal.retention AS r USING pg_event_trigger_dropped_objects() AS d
	WHERE (d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND r.relation = d.objid)
	   OR (d.classid = 'pg_namespace'::regclass AND r.schema = d.object_name);
	PERFORM soft_delete_internal.replace_record('soft_delete_internal.truncations', t.ctid, NULL) FROM soft_delete_internal.truncations AS t WHERE relation IN (
		SELECT objid FROM pg_event_trigger_dropped_objects() WHERE classid = 'pg_class'::regclass AND objsubid = 0);
	-- most drops of held tables are refused before they begin
	FOR item IN
		SELECT object_identity FROM pg_event_trigger_dropped_objects() JOIN soft_delete_internal.holds ON relation = objid
		WHERE classid = 'pg_class'::regclass AND objsubid = 0 LIMIT 1
	LOOP
		RAISE EXCEPTION 'cannot drop table "%", where rows are held', item.object_identity
			USING ERRCODE = 'object_in_use',
				DETAIL = 'Nothing that is held is destroyed.',
				HINT = 'SELECT * FROM soft_delete.holds;';
	END LOOP;
	PERFORM soft_delete_internal.drop_companion_columns(array_agg(objid::regclass), array_agg(address_names[3]::name))
	FROM pg_event_trigger_dropped_objects() WHERE classid = 'pg_class'::regclass AND object_type = 'table column';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.remove_dropped() IS
'for event triggers: removes what the extension keeps of dropped tables and columns: retentions, truncations, and columns of companions';

CREATE FUNCTION soft_delete_internal.follow_drops(tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET max_parallel_workers_per_gather = 0 -- to start a worker takes longer than a query of the catalogs
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off -- catalogs are read by their indexes, whatever their size was when a plan was made
AS $$
BEGIN
	PERFORM soft_delete_internal.follow_sharded_drops();
	IF NOT soft_delete_internal.is_used() OR NOT soft_delete_internal.drops_affect_tagged() THEN
		RETURN;
	END IF;
	-- pg_restore --clean drops the triggers of a table one by one
	IF tag IN ('DROP TRIGGER', 'ALTER TABLE', 'ALTER TYPE') AND current_setting('row_security')::boolean
	   AND NOT soft_delete_internal.command_is_own() THEN
		PERFORM soft_delete_internal.check_drops();
	END IF;
	IF current_setting('row_security')::boolean AND NOT soft_delete_internal.command_is_own()
	   AND EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_type = 'trigger' AND address_names[3] IN ('~soft_delete_companion', 'soft_delete_purge')) THEN
		PERFORM soft_delete_internal.check_companions();
	END IF;
	PERFORM soft_delete_internal.remove_dropped();
	IF tag IN ('DROP SCHEMA', 'DROP OWNED') THEN
		DELETE FROM soft_delete_internal.tagged_schemas
		WHERE schema IN (SELECT object_name FROM pg_event_trigger_dropped_objects() WHERE object_type = 'schema');
	END IF;
	IF tag IN ('DROP INDEX', 'ALTER TABLE') THEN
		PERFORM soft_delete_internal.drop_stand_ins();
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_drops(text) IS
'removes what depends on the objects that a command with that tag has dropped, and refuses to drop what makes a table tagged';

CREATE EVENT TRIGGER soft_delete_drops ON sql_drop
	WHEN TAG IN ('ALTER TABLE', 'ALTER TYPE', 'DROP TABLE', 'DROP VIEW', 'DROP INDEX', 'DROP TRIGGER', 'DROP SCHEMA', 'DROP TYPE', 'DROP DOMAIN', 'DROP COLLATION', 'DROP FUNCTION', 'DROP PROCEDURE', 'DROP ROUTINE', 'DROP AGGREGATE', 'DROP OPERATOR', 'DROP CAST', 'DROP LANGUAGE',
				 'DROP MATERIALIZED VIEW', 'DROP SEQUENCE', 'DROP TEXT SEARCH CONFIGURATION', 'DROP TEXT SEARCH DICTIONARY', 'DROP OWNED', 'DROP EXTENSION')
	EXECUTE FUNCTION soft_delete_internal.follow_drops();
COMMENT ON EVENT TRIGGER soft_delete_drops IS
'removes what depends on dropped objects, and refuses to drop what makes a table tagged';
