/*
 * A partition or inheritance child that comes is tagged with its root, and one that
 * goes is tagged by itself, in the same command: no deleted row becomes visible for
 * want of a tag.
 */

/*
 * The server attaches a table only if it has the columns and CHECK constraints of its
 * parent.  It must have no tag of its own.
 */
CREATE FUNCTION soft_delete_internal.untag_for_attach(parent regclass, partition regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete_internal.tag_arguments(partition))[1];
	schema_name name;
BEGIN
	SELECT nspname INTO schema_name FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = partition;
	IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = partition) THEN
		RETURN;
	END IF;
	BEGIN
		IF NOT EXISTS (SELECT FROM unnest(soft_delete_internal.current_tagged_schemas()) AS tagged WHERE schema = schema_name) THEN
			RAISE object_not_in_prerequisite_state;
		END IF;
		PERFORM soft_delete_internal.untag_table(partition, 'error');
	EXCEPTION WHEN object_not_in_prerequisite_state THEN
		RAISE EXCEPTION 'cannot attach tagged table "%" to untagged table "%"', partition, parent
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'A partition or inheritance child is read and deleted from through its parent.',
				HINT = format('SELECT soft_delete.tag(%L);', parent);
	END;
	IF soft_delete_internal.has_column(partition, deleted_at) AND NOT soft_delete_internal.has_column(parent, deleted_at) THEN
		PERFORM soft_delete_internal.alter_as_owner(partition, format('ALTER TABLE %s DROP COLUMN %I', partition, deleted_at));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag_for_attach(regclass, regclass) IS
'untags a table that is going to be attached to an untagged one, if a tagged schema has tagged it; raises 0A000 if it was tagged by hand or has deleted rows';

CREATE FUNCTION soft_delete_internal.check_companions_heir(parent regclass, heir regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- it would be written to by other statements than those on it
	IF (soft_delete_internal.companions_table(parent) IS NULL) <> (soft_delete_internal.companions_table(heir) IS NULL) THEN
		RAISE EXCEPTION 'table "%" cannot be a partition or an inheritance child of table "%"', heir, parent
			USING ERRCODE = 'feature_not_supported',
				DETAIL = format('Table %s has the deleted rows of another table.', CASE WHEN soft_delete_internal.companions_table(heir) IS NULL THEN parent ELSE heir END);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_companions_heir(regclass, regclass) IS
'raises 0A000 if one of two tables, of which one is to inherit from the other, is a companion, and the other is none';

CREATE FUNCTION soft_delete_internal.prepare_partition(parent regclass, partition regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete_internal.tag_arguments(parent))[1];
	own_tag text[] := soft_delete_internal.tag_arguments(partition);
	is_partitioned boolean := relkind = 'p' FROM pg_class WHERE oid = parent;
	stand_in name;
BEGIN
	PERFORM soft_delete_internal.check_owner(partition);
	-- which the server refuses
	IF relispartition FROM pg_class WHERE oid = partition THEN
		RETURN;
	END IF;
	PERFORM soft_delete_internal.check_companions_heir(parent, partition);
	IF is_partitioned AND EXISTS (SELECT attname, atttypid, atttypmod FROM pg_attribute
			WHERE attrelid = partition AND attnum > 0 AND NOT attisdropped AND attname NOT IN (coalesce(own_tag[1], ''), coalesce(deleted_at, ''))
			EXCEPT SELECT attname, atttypid, atttypmod FROM pg_attribute WHERE attrelid = parent AND attnum > 0 AND NOT attisdropped) THEN
		RETURN; -- ALTER TABLE will raise the error
	END IF;
	IF deleted_at IS NULL THEN
		PERFORM soft_delete_internal.untag_for_attach(parent, partition);
		RETURN;
	END IF;
	IF soft_delete_internal.is_aside(parent) AND is_partitioned THEN
		-- its rows are deleted to the companion of its root from now on
		IF soft_delete_internal.is_aside(partition) THEN
			PERFORM soft_delete_internal.check_holds(partition, 'attach');
			PERFORM soft_delete_internal.move_tombstones(partition, soft_delete_internal.root(parent));
		END IF;
		IF own_tag IS NOT NULL THEN
			PERFORM soft_delete_internal.untag_table(partition, 'error');
		END IF;
		RETURN;
	END IF;
	IF own_tag IS NOT NULL AND soft_delete_internal.is_aside(partition) <> soft_delete_internal.is_aside(parent) THEN
		RAISE EXCEPTION 'cannot attach table "%" to table "%": one of them keeps its deleted rows aside, and the other one in place', partition, parent
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'A partition or inheritance child is tagged with its parent.',
				HINT = format('SELECT soft_delete.untag(%L);', partition);
	END IF;
	IF own_tag[1] <> deleted_at THEN
		RAISE EXCEPTION 'table "%" is already tagged with column "%"', partition, own_tag[1]
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('Table %s is tagged with column %I.', parent, deleted_at),
				HINT = format('ALTER TABLE %s RENAME COLUMN %I TO %I;', partition, own_tag[1], deleted_at);
	END IF;
	IF soft_delete_internal.is_aside(parent) THEN
		-- the companion of the child will inherit from that of its parent, whose bin lists both
		PERFORM soft_delete_internal.drop_views(partition);
		RETURN;
	END IF;
	PERFORM soft_delete_internal.check_column(partition, deleted_at);
	IF NOT soft_delete_internal.has_column(partition, deleted_at) THEN
		PERFORM soft_delete_internal.alter_as_owner(partition, format('ALTER TABLE %s ADD COLUMN %I %s', partition, deleted_at,
			(SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = parent AND attname = deleted_at)));
	END IF;
	IF own_tag IS NOT NULL THEN
		IF is_partitioned THEN
			PERFORM soft_delete_internal.check_companion_dependents(partition);
		END IF;
		PERFORM soft_delete_internal.drop_views(partition);
		IF is_partitioned THEN
			-- what stands in the way steps aside to the companion of the root from now on
			PERFORM soft_delete_internal.move_tombstones(partition, soft_delete_internal.root(parent));
			PERFORM soft_delete_internal.drop_companions(partition);
			PERFORM soft_delete_internal.drop_triggers(partition);
		END IF;
	END IF;

	IF is_partitioned THEN
		PERFORM soft_delete_internal.convert_indexes(partition, deleted_at, soft_delete_internal.index_choice(soft_delete_internal.tag_arguments(parent)));
		FOR stand_in IN
			SELECT conname FROM pg_index JOIN pg_constraint con ON con.oid = soft_delete_internal.stand_in(indexrelid)
			WHERE indrelid = parent
			  AND NOT EXISTS (SELECT FROM pg_constraint own WHERE own.conrelid = partition AND own.conname = con.conname)
		LOOP
			PERFORM soft_delete_internal.alter_as_owner(partition, format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (true)', partition, stand_in));
		END LOOP;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.prepare_partition(regclass, regclass) IS
'prepares a table that is going to be attached to another one: gives it the column, indexes and constraints of a tagged parent, or untags it';

CREATE FUNCTION soft_delete_internal.tag_attached_partition(partition regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own_tag text[] := soft_delete_internal.tag_arguments(partition);
	arguments text[];
	added text[];
	other name;
	other_parent regclass;
BEGIN
	SELECT soft_delete_internal.tag_arguments(inhparent) INTO arguments FROM pg_inherits
	WHERE inhrelid = partition ORDER BY soft_delete_internal.tag_arguments(inhparent) IS NULL, inhseqno LIMIT 1;
	IF arguments IS NULL AND NOT EXISTS (SELECT FROM soft_delete_internal.inheritance_tree(partition) AS m WHERE soft_delete_internal.tag_arguments(m) IS NOT NULL) THEN
		RETURN;
	END IF;
	PERFORM soft_delete_internal.check_relation(m) FROM soft_delete_internal.inheritance_tree(partition) AS m;
	IF soft_delete_internal.is_aside(soft_delete_internal.root(partition)) THEN
		PERFORM soft_delete_internal.make_child_companions(partition, arguments);
		PERFORM soft_delete_internal.make_triggers(partition, arguments);
		PERFORM soft_delete_internal.make_reference_triggers(partition);
		RETURN;
	END IF;
	SELECT tag[1], inhparent::regclass INTO other, other_parent
	FROM pg_inherits, soft_delete_internal.tag_arguments(inhparent) AS tag
	WHERE inhrelid IN (SELECT soft_delete_internal.inheritance_tree(partition)) AND tag[1] <> arguments[1] LIMIT 1;
	IF other IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%" with two columns', partition
			USING ERRCODE = 'feature_not_supported',
				DETAIL = format('Its parents are tagged with columns %I and %I.', arguments[1], other),
				HINT = format('ALTER TABLE %s RENAME COLUMN %I TO %I;', other_parent, other, arguments[1]);
	END IF;
	PERFORM soft_delete_internal.check_column(partition, arguments[1]);
	PERFORM soft_delete_internal.check_triggers(partition);
	PERFORM soft_delete_internal.make_child_companions(partition, arguments);

	SELECT array_agg(argument) FILTER (WHERE argument NOT LIKE 'converted:%' AND (own_tag IS NULL OR argument NOT LIKE 'partial:%')) INTO added
	FROM unnest(soft_delete_internal.convert_indexes(partition, arguments[1], soft_delete_internal.index_choice(arguments)) ||
				soft_delete_internal.make_bin_indexes(partition, arguments[1])) AS argument;
	PERFORM soft_delete_internal.make_triggers(partition, arguments[1] || (coalesce(own_tag, arguments))[2:] || added);
	PERFORM soft_delete_internal.name_partition_keys(partition);
	PERFORM soft_delete_internal.make_reference_triggers(partition);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_attached_partition(regclass) IS
'tags a new or attached partition or inheritance child, with its partitions, like its parent; raises 0A000 where one would be tagged without the other';

CREATE FUNCTION soft_delete_internal.make_child_companions(relation regclass, arguments text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	view_schema name := (SELECT substr(argument, 7) FROM unnest(arguments) AS argument WHERE argument LIKE 'views:%');
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.missing_companions(relation) LOOP
		PERFORM soft_delete_internal.check_view_schema(item.member, coalesce(view_schema, item.schema));
		PERFORM soft_delete_internal.make_companion(item.member, arguments[1], coalesce(view_schema, item.schema));
		PERFORM soft_delete_internal.bind_companion(item.member);
	END LOOP;
	-- one that had a tag of its own has a companion, too
	FOR item IN
		SELECT child, parent FROM soft_delete_internal.inheritance_tree(relation) AS member JOIN pg_inherits ON inhrelid = member,
			soft_delete_internal.own_companion(member) AS child, soft_delete_internal.own_companion(inhparent) AS parent
		WHERE child IS NOT NULL AND parent IS NOT NULL
		  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = child AND inhparent = parent)
	LOOP
		IF EXISTS (SELECT FROM pg_constraint WHERE conrelid = item.child AND conname = 'soft_delete_companion') THEN
			EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT soft_delete_companion TO %I', item.child,
				soft_delete_internal.companion_constraint(soft_delete_internal.companions_table(item.child)));
		END IF;
		PERFORM soft_delete_internal.end_months_for_child(soft_delete_internal.companions_table(item.child), soft_delete_internal.companions_table(item.parent));
		EXECUTE format('ALTER TABLE %s INHERIT %s', item.child, item.parent);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_child_companions(regclass, text[]) IS
'gives an inheritance child of a tagged table, and its own children, companions that inherit from those of their parents; arguments: of the tag';

CREATE FUNCTION soft_delete_internal.separate_companion(relation regclass, deleted_at name, view_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT inhrelid::regclass AS child, inhparent::regclass AS parent FROM pg_inherits
		WHERE inhrelid = soft_delete_internal.own_companion(relation)
		  AND NOT EXISTS (SELECT FROM pg_inherits AS still WHERE still.inhrelid = relation
						  AND soft_delete_internal.own_companion(still.inhparent) = pg_inherits.inhparent)
	LOOP
		EXECUTE format('ALTER TABLE %s NO INHERIT %s', item.child, item.parent);
	END LOOP;
	IF view_schema IS NOT NULL AND soft_delete_internal.own_companion(relation) IS NULL THEN
		PERFORM soft_delete_internal.make_companion(relation, deleted_at, view_schema);
		PERFORM soft_delete_internal.bind_companion(relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.separate_companion(regclass, name, name) IS
'lets the companion of a table that has left its parent inherit from that of the parent no longer; makes one in a schema, if that is given and there is none';

CREATE FUNCTION soft_delete_internal.detached_tag_arguments(partition regclass, root regclass, root_tag text[]) RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(argument), '{}') FROM (
	SELECT argument FROM unnest(root_tag[2:]) AS argument WHERE argument LIKE 'indexes:%'
	UNION ALL
	SELECT 'partial:' || c.name FROM soft_delete_internal.convertible_indexes(partition, root_tag[1], 'all') AS c
	WHERE hides AND EXISTS
		(SELECT FROM pg_index JOIN pg_class ON oid = indexrelid
		 WHERE indrelid = root AND 'partial:' || relname = ANY (root_tag[2:])
		   AND soft_delete_internal.index_corresponds(c.index, indexrelid))
	UNION ALL
	SELECT 'bin:' || relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
		JOIN pg_attribute ON attrelid = indrelid AND (attnum = indkey[0] OR soft_delete_internal.is_soft_delete_btree(indexrelid))
	WHERE indrelid = partition AND attname = root_tag[1] AND NOT soft_delete_internal.index_hides(indexrelid, attnum)
	  AND EXISTS (SELECT FROM unnest(root_tag[2:]) AS argument WHERE argument LIKE 'bin:%')
	) AS kept(argument)
$$;
COMMENT ON FUNCTION soft_delete_internal.detached_tag_arguments(regclass, regclass, text[]) IS
'the arguments, after the column, of the tag of a partition that has left its root: what untag() must know of its indexes';

CREATE FUNCTION soft_delete_internal.tag_detached_partition(partition regclass, parent regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own_tag text[] := soft_delete_internal.tag_arguments(partition);
	root regclass := soft_delete_internal.root(parent);
	root_tag text[] := soft_delete_internal.tag_arguments(root);
	arguments text[];
	stand_in name;
	view_schema name;
BEGIN
	PERFORM soft_delete_internal.check_owner(partition);
	PERFORM soft_delete_internal.check_holds(partition, 'detach', ARRAY[parent, root]);
	INSERT INTO soft_delete_internal.retention (relation, retain, former, shortened_at)
	SELECT partition, retain, former, shortened_at FROM soft_delete_internal.retention WHERE relation = root
	ON CONFLICT DO NOTHING;
	IF soft_delete_internal.is_aside(root) THEN
		-- what was deleted from it stays in the companion of its root
		view_schema := (SELECT substr(argument, 7) FROM unnest(root_tag) AS argument WHERE argument LIKE 'views:%');
		PERFORM soft_delete_internal.separate_companion(partition, root_tag[1], NULL);
		PERFORM soft_delete_internal.check_tag(refusal, partition, root_tag[1], 'all', view_schema, 'aside') FROM unnest(soft_delete_internal.tag_checks()) AS refusal WHERE refusal <> 'views';
		-- names that others have taken keep nobody from leaving
		PERFORM soft_delete_internal.check_view_schema(p.object, p.detail::name) FROM soft_delete_internal.plan_views(partition, view_schema, 'aside') AS p;
		PERFORM soft_delete_internal.execute_aside_tag(partition, root_tag[1], view_schema);
		PERFORM soft_delete_internal.set_monthly(partition, true) WHERE soft_delete_internal.gets_months(root);
		PERFORM soft_delete_internal.make_bridge_triggers(partition, bridge) FROM soft_delete_internal.bridge_arguments(root) AS bridge WHERE bridge IS NOT NULL;
		RETURN;
	END IF;
	SELECT nspname INTO view_schema
	FROM pg_class p JOIN pg_class r ON r.oid = root LEFT JOIN pg_class b ON b.oid = soft_delete_internal.bin_of(root)
		JOIN pg_namespace n ON n.oid = CASE WHEN b.relnamespace <> r.relnamespace THEN b.relnamespace ELSE p.relnamespace END
	WHERE p.oid = partition;
	PERFORM soft_delete_internal.check_view_schema(partition, view_schema);

	-- stand-ins of the root's keys have no index here
	FOR stand_in IN
		SELECT own.conname FROM pg_index JOIN pg_constraint con ON con.oid = soft_delete_internal.stand_in(indexrelid)
			JOIN pg_constraint own ON own.conrelid = partition AND own.conname = con.conname AND own.contype = 'c'
		WHERE indrelid = parent AND pg_get_expr(own.conbin, own.conrelid) = 'true'
		  AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = partition AND soft_delete_internal.stand_in(indexrelid) = own.oid)
	LOOP
		PERFORM soft_delete_internal.alter_as_owner(partition, format('ALTER TABLE %s DROP CONSTRAINT %I', partition, stand_in));
	END LOOP;

	arguments := coalesce(own_tag, root_tag[1] || soft_delete_internal.detached_tag_arguments(partition, root, root_tag));
	PERFORM soft_delete_internal.make_triggers(partition, arguments || soft_delete_internal.make_bin_indexes(partition, arguments[1]));
	PERFORM soft_delete_internal.make_bridge_triggers(partition, bridge) FROM soft_delete_internal.bridge_arguments(root) AS bridge WHERE bridge IS NOT NULL;

	PERFORM soft_delete_internal.separate_companion(partition, arguments[1], view_schema);
	PERFORM soft_delete_internal.make_active_view(partition, arguments[1], view_schema);
	PERFORM soft_delete_internal.make_bin(partition, arguments[1], view_schema);
	PERFORM soft_delete_internal.make_reference_triggers(partition);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_detached_partition(regclass, regclass) IS
'gives a partition or inheritance child that has left its tagged parent a tag of its own, so that its deleted rows stay deleted';

CREATE FUNCTION soft_delete_internal.named_by(command pg_ddl_command, action text) RETURNS name[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_named_by';
COMMENT ON FUNCTION soft_delete_internal.named_by(pg_ddl_command, text) IS
'for event triggers: the names of the tables that ALTER TABLE ... ATTACH PARTITION, DETACH PARTITION, INHERIT or NO INHERIT names, without their schemas';

CREATE FUNCTION soft_delete_internal.detached_tables(relation regclass, detached name[], former_parents name[],
	OUT left_table regclass, OUT parent regclass)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT left_table, parent FROM (
	-- DETACH PARTITION has dropped the tag of a partition in this transaction, but not its column
	SELECT pg_class.oid::regclass, relation FROM pg_class
		LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND NOT attisdropped AND attname = (soft_delete_internal.tag_arguments(relation))[1]
	WHERE (attname IS NOT NULL OR soft_delete_internal.is_aside(relation)) AND relname = ANY (detached) AND relkind IN ('r', 'p') AND soft_delete_internal.is_own_transaction(pg_class.xmin)
	  AND soft_delete_internal.tag_arguments(pg_class.oid) IS NULL AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid)
	UNION ALL
	SELECT relation, pg_class.oid::regclass FROM pg_class
	WHERE relname = ANY (former_parents) AND soft_delete_internal.tag_arguments(relation) IS NOT NULL
	  AND soft_delete_internal.tag_arguments(pg_class.oid) IS NOT NULL AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = relation)
	) AS namesakes(left_table, parent)
	-- a table that was tagged still has the TRUNCATE trigger, which is no copy of its root's
	ORDER BY EXISTS (SELECT FROM pg_trigger WHERE tgrelid = left_table AND tgfoid = 'soft_delete.guard_truncate()'::regprocedure) DESC
	LIMIT 1
$$;
COMMENT ON FUNCTION soft_delete_internal.detached_tables(regclass, name[], name[]) IS
'the tables that ALTER TABLE ... DETACH PARTITION or NO INHERIT has taken out of a tagged one, and that one; found by names without schemas: of several it returns one, and of partitions the one that was tagged';

CREATE FUNCTION soft_delete_internal.tag_changed_partitions() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	came regclass[] := '{}';
BEGIN
	FOR item IN
		-- no variable of type pg_ddl_command: auto_explain cannot show a plan that has one as a parameter
		SELECT objid AS relation, command_tag, soft_delete_internal.named_by(command, 'DETACH PARTITION') AS detached,
			soft_delete_internal.named_by(command, 'NO INHERIT') AS disinherited, soft_delete_internal.named_by(command, 'ATTACH PARTITION') AS attached,
			soft_delete_internal.named_by(command, 'INHERIT') AS parents
		FROM pg_event_trigger_ddl_commands()
		WHERE classid = 'pg_class'::regclass AND command_tag IN ('CREATE TABLE', 'CREATE FOREIGN TABLE', 'ALTER TABLE', 'ALTER FOREIGN TABLE')
	LOOP
		IF item.detached <> '{}' OR item.disinherited <> '{}' THEN
			PERFORM soft_delete_internal.tag_detached_partition(left_table, parent)
			FROM soft_delete_internal.detached_tables(item.relation, item.detached, item.disinherited);
		END IF;
		IF item.attached <> '{}' THEN
			came := came || ARRAY(SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON oid = inhrelid
								  WHERE inhparent = item.relation AND relname = ANY (item.attached));
		END IF;
		IF item.command_tag LIKE 'CREATE%' OR item.parents <> '{}' THEN
			came := came || item.relation::regclass;
		END IF;
	END LOOP;

	IF NOT soft_delete_internal.command_is_own() THEN
		PERFORM soft_delete_internal.check_companions_heir(inhparent, inhrelid) FROM pg_inherits WHERE inhrelid = ANY (came);
	END IF;
	PERFORM soft_delete_internal.tag_attached_partition(partition) FROM unnest(came) AS partition
	WHERE EXISTS (SELECT FROM pg_inherits WHERE inhrelid = partition);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_changed_partitions() IS
'for event triggers: tags the partitions and inheritance children that a command has made, attached or detached';
