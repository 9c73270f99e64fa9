/*
 * What tag() refuses, before it changes anything.
 */

CREATE FUNCTION soft_delete_internal.check_library() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete_internal.new_sessions_load() THEN
		RAISE EXCEPTION 'new sessions of database "%" will not load library "soft_delete"', current_database()
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A session without the library would see deleted rows.',
				HINT = soft_delete_internal.load_command();
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_library() IS
'raises 55000 unless new sessions of this database will load the library';

CREATE FUNCTION soft_delete_internal.check_owner(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete_internal.caller_owns(relation) THEN
		RAISE EXCEPTION 'must be owner of table %', relation
			USING ERRCODE = 'insufficient_privilege';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_owner(regclass) IS
'raises 42501 unless the current role owns the table';

CREATE FUNCTION soft_delete_internal.check_snapshot(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unseen oid;
BEGIN
	-- each query sees what is committed now
	IF current_setting('transaction_isolation') IN ('read committed', 'read uncommitted') THEN
		RETURN;
	END IF;
	-- foreign_keys_of() and inheritance_tree() read what is committed now, and a query what the snapshot of the transaction sees
	SELECT fk INTO unseen FROM soft_delete_internal.foreign_keys_of(relation) AS fk WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE oid = fk)
	UNION ALL
	SELECT m FROM soft_delete_internal.inheritance_tree(relation) AS m WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = m) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'could not serialize access to table "%" due to concurrent changes', relation
			USING ERRCODE = 'serialization_failure',
				DETAIL = 'Others have given it a foreign key, a partition or an inheritance child, which the snapshot of the transaction does not see.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_snapshot(regclass) IS
'raises 40001 if a table has foreign keys, partitions or inheritance children that a transaction which keeps its snapshot does not see';

CREATE FUNCTION soft_delete_internal.check_relation(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	class pg_class;
	rule name;
	other regclass;
	remedy text;
BEGIN
	SELECT * INTO class FROM pg_class WHERE oid = relation;
	IF class.oid IS NULL THEN
		RAISE EXCEPTION 'relation "%" does not exist', relation
			USING ERRCODE = 'undefined_table';
	END IF;
	IF class.relkind NOT IN ('r', 'p') THEN
		RAISE EXCEPTION 'cannot tag "%"', class.relname
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'Only ordinary and partitioned tables can be tagged.';
	END IF;
	IF class.oid < 16384 OR class.relnamespace IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace) THEN
		RAISE EXCEPTION 'cannot tag system table "%"', class.relname
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'The server and the extension rely on deletions from their own tables.';
	END IF;
	other := soft_delete_internal.companions_table(relation);
	IF other IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%", which has the deleted rows of table "%"', class.relname, other
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'It is the companion of that table, and goes with its tag.';
	END IF;

	IF class.relhassubclass OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = relation) THEN
		SELECT inhparent INTO other FROM pg_inherits
		WHERE inhrelid IN (SELECT soft_delete_internal.inheritance_tree(relation)) AND inhparent NOT IN (SELECT soft_delete_internal.inheritance_tree(relation))
		  AND soft_delete_internal.tag_arguments(inhparent) IS NULL LIMIT 1;
		IF other IS NOT NULL THEN
			RAISE EXCEPTION 'cannot tag "%" without its parent "%"', class.relname, other
				USING ERRCODE = 'feature_not_supported',
					DETAIL = 'A partition or inheritance child is read and deleted from through its parent.',
					HINT = format('SELECT soft_delete.tag(%L);', other);
		END IF;

		SELECT m, format(CASE WHEN relispartition THEN 'ALTER TABLE %s DETACH PARTITION %s;' ELSE 'ALTER TABLE %2$s NO INHERIT %1$s;' END, inhparent::regclass, m) INTO other, remedy
		FROM soft_delete_internal.inheritance_tree(relation) AS m JOIN pg_class ON oid = m JOIN pg_inherits ON inhrelid = m WHERE relkind = 'f' LIMIT 1;
		IF other IS NOT NULL THEN
			RAISE EXCEPTION 'cannot tag "%" because it has a foreign table, "%"', class.relname, other
				USING ERRCODE = 'feature_not_supported',
					DETAIL = 'Rows of another server cannot be deleted softly.',
					HINT = remedy;
		END IF;
	END IF;

	IF class.relhasrules OR class.relhassubclass THEN
		SELECT rulename INTO rule FROM pg_rewrite
		WHERE ev_class IN (SELECT soft_delete_internal.inheritance_tree(relation)) AND ev_type = '4' LIMIT 1;
	END IF;
	IF rule IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%" because it has an ON DELETE rule', class.relname
			USING ERRCODE = 'feature_not_supported',
				DETAIL = format('Rule %I replaces or accompanies DELETE before a trigger could see it.', rule),
				HINT = format('DROP RULE %I ON %s;', rule, relation);
	END IF;
	PERFORM soft_delete_internal.check_citus(relation), soft_delete_internal.check_access_method(relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_relation(regclass) IS
'raises 42809 or 0A000 for a relation that cannot be tagged';

CREATE FUNCTION soft_delete_internal.is_partition_key(relation regclass, col name) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN EXISTS (SELECT FROM pg_partitioned_table
				   WHERE partrelid IN (SELECT soft_delete_internal.inheritance_tree(relation))
					 -- the server records the columns of a partition key as such a dependency
					 AND EXISTS (SELECT FROM pg_depend JOIN pg_attribute ON attrelid = objid AND attnum = objsubid
								 WHERE classid = 'pg_class'::regclass AND objid = partrelid AND attname = col
								   AND refclassid = 'pg_class'::regclass AND refobjid = partrelid AND refobjsubid = 0 AND deptype = 'i'));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_partition_key(regclass, name) IS
'whether a column is part of the partition key of a table or of one of its partitions';

CREATE FUNCTION soft_delete_internal.check_column(relation regclass, deleted_at name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	col pg_attribute;
	problem text;
BEGIN
	SELECT * INTO col FROM pg_attribute
	WHERE attrelid = relation AND attname = deleted_at AND NOT attisdropped;
	IF col.attname IS NULL THEN
		RETURN;
	END IF;

	IF col.attnum < 0 THEN
		RAISE EXCEPTION 'column name "%" conflicts with a system column name', deleted_at
			USING ERRCODE = 'duplicate_column',
				HINT = format('SELECT soft_delete.tag(%L, deleted_at => ''deleted_at'');', relation);
	END IF;
	IF col.atttypid = 'boolean'::regtype THEN
		RAISE EXCEPTION 'column "%" of table "%" is a flag, not a time', deleted_at, relation
			USING ERRCODE = 'datatype_mismatch',
				DETAIL = 'The tombstone column must be timestamptz or timestamp: its value tells deletions apart.',
				HINT = format('SELECT soft_delete.tag(%L, bridge => %L);', relation, deleted_at);
	END IF;
	IF col.atttypid NOT IN ('timestamptz'::regtype, 'timestamp'::regtype) OR col.atttypmod NOT IN (-1, 6) THEN
		RAISE EXCEPTION 'column "%" of table "%" has type %', deleted_at, relation, format_type(col.atttypid, col.atttypmod)
			USING ERRCODE = 'datatype_mismatch',
				DETAIL = 'The tombstone column must be timestamptz or timestamp, in full precision.',
				-- without the precision, which rewrites and shifts nothing
				HINT = CASE WHEN col.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype) THEN format('ALTER TABLE %s ALTER COLUMN %I TYPE %s;', relation, deleted_at, col.atttypid::regtype)
					-- what an application writes by itself can stay as it is
					WHEN col.atttypid IN ('date'::regtype, 'bigint'::regtype, 'integer'::regtype) THEN format('SELECT soft_delete.tag(%L, bridge => %L);', relation, deleted_at)
					ELSE format('SELECT soft_delete.tag(%L, deleted_at => %L);', relation, soft_delete_internal.add_suffix(deleted_at, '_by_delete')) END;
	END IF;

	problem := CASE WHEN col.attnotnull THEN 'is NOT NULL' WHEN col.attgenerated <> '' THEN 'is generated' WHEN col.atthasdef THEN 'has a default' END;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of table "%" %', deleted_at, relation, problem
			USING ERRCODE = 'invalid_table_definition',
				DETAIL = 'The tombstone column must be null in every live row, so this is a column of the application.',
				HINT = format('SELECT soft_delete.tag(%L, deleted_at => %L);', relation, soft_delete_internal.add_suffix(deleted_at, '_by_delete'));
	END IF;

	IF soft_delete_internal.is_partition_key(relation, deleted_at) THEN
		RAISE EXCEPTION 'column "%" is part of the partition key of table "%"', deleted_at, relation
			USING ERRCODE = 'invalid_object_definition',
				DETAIL = 'A deletion would have to move the row to another partition.',
				HINT = format('SELECT soft_delete.tag(%L, deleted_at => %L);', relation, soft_delete_internal.add_suffix(deleted_at, '_by_delete'));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_column(regclass, name) IS
'raises 42804, 42P16, 42P17 or 42701 for an existing column that cannot be the tombstone column';

CREATE FUNCTION soft_delete_internal.check_other_triggers(relation regclass, is_aside boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	other record;
	keys regclass;
	has_key boolean := false;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_extension WHERE extname IN ('lo', 'timescaledb', 'periods', 'table_log')) THEN
		RETURN;
	END IF;
	-- a trigger is known by the extension that its function belongs to
	SELECT tgname, tgrelid::regclass AS tgtable, extname, reason, hint INTO other
	FROM pg_trigger JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = tgfoid AND refclassid = 'pg_extension'::regclass AND deptype = 'e'
		JOIN pg_extension ON pg_extension.oid = refobjid
		JOIN (VALUES
			('lo', true, 8, 'It removes the large object of a deleted row, which could not be restored in full.', 'DROP TRIGGER %1$I ON %2$s;'),
			('timescaledb', true, 0, 'TimescaleDB makes and truncates the chunks of a hypertable by itself.',
			 NULL),
			-- a BEFORE INSERT row trigger
			('periods', true, 7, 'A deleted row could not be restored, for its period is generated. The history of the table has it.',
			 'SELECT periods.drop_system_versioning(%3$L), periods.drop_system_time_period(%3$L);'),
			('table_log', false, 0, 'It writes rows by position, and would fail for the tombstone column.', 'SELECT soft_delete.tag(%3$L, storage => ''aside'');'),
			('periods', false, 0, 'It writes the history of rows by position, and would fail for the tombstone column.', 'SELECT soft_delete.tag(%3$L, storage => ''aside'');'))
				AS refused(extension, refuses_aside, events, reason, hint) ON extension = extname AND tgtype & events = events AND (refuses_aside OR NOT is_aside)
	WHERE tgrelid IN (SELECT soft_delete_internal.inheritance_tree(relation)) AND NOT tgisinternal
	ORDER BY refuses_aside DESC, tgrelid, tgname LIMIT 1;
	IF FOUND THEN
		PERFORM soft_delete_internal.refuse('0A000', format('cannot tag table "%s" with trigger "%s" of extension "%s"', other.tgtable, other.tgname, other.extname),
			other.reason, format(other.hint, other.tgname, other.tgtable, relation));
	END IF;
	-- a key of periods has no trigger
	SELECT objid INTO keys FROM pg_depend JOIN pg_extension ON pg_extension.oid = refobjid AND extname = 'periods' JOIN pg_class ON pg_class.oid = objid
	WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_extension'::regclass AND deptype = 'e' AND relname = 'unique_keys' AND relkind = 'r';
	IF FOUND AND NOT is_aside THEN
		EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE table_name = $1)', keys) INTO has_key USING relation;
	END IF;
	IF has_key THEN
		RAISE EXCEPTION 'cannot tag table "%" with a period key of extension "periods"', relation
			USING ERRCODE = 'feature_not_supported', DETAIL = 'Its constraints would have to become indexes of live rows.',
				HINT = format('SELECT soft_delete.tag(%L, storage => ''aside'');', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_other_triggers(regclass, boolean) IS
'raises 0A000 if a table has a trigger or key of another extension that fails, or loses something, on a tagged table of that storage';

CREATE FUNCTION soft_delete_internal.check_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	later record;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_class WHERE oid = relation AND (relhastriggers OR relhassubclass)) THEN
		RETURN;
	END IF;
	SELECT tgname, tgrelid::regclass AS tgtable INTO later FROM pg_trigger
	WHERE tgrelid IN (SELECT soft_delete_internal.inheritance_tree(relation))
	  AND tgtype & 11 = 11				-- FOR EACH ROW BEFORE DELETE
	  AND tgname COLLATE "C" > '~soft_delete' ORDER BY tgrelid LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'trigger "%" of table "%" would fire after the tag', later.tgname, later.tgtable
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Triggers fire in the order of their names, and the tag "~soft_delete" must be the last BEFORE DELETE row trigger.',
				HINT = format('ALTER TRIGGER %I ON %s RENAME TO %I;', later.tgname, later.tgtable, 'before_' || later.tgname);
	END IF;
	-- protect.c refuses to create one, but in a session that had not loaded the library
	SELECT tgname, tgrelid::regclass AS tgtable INTO later FROM pg_trigger
	WHERE tgrelid IN (SELECT soft_delete_internal.inheritance_tree(relation))
	  AND tgtype & 11 = 11 AND tgfoid = 'soft_delete.delete_row()'::regprocedure AND tgname <> '~soft_delete' ORDER BY tgrelid LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'the tag of a table cannot be called "%"', later.tgname
			USING ERRCODE = 'invalid_object_definition', DETAIL = 'It is the trigger "~soft_delete".',
				HINT = format('DROP TRIGGER %I ON %2$s; SELECT soft_delete.tag(%2$L);', later.tgname, later.tgtable);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_triggers(regclass) IS
'raises 55000 if a BEFORE DELETE row trigger sorts after the tag, 42P17 if a tag has another name';

CREATE FUNCTION soft_delete_internal.check_unreferenced(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	rows text;
	n bigint;
BEGIN
	-- an application that deletes softly by itself may have left some before its table was tagged
	FOR item IN
		SELECT r."constraint", r.child, conname FROM soft_delete_internal.references_of(relation) AS r JOIN pg_constraint AS con ON con.oid = r."constraint"
			JOIN pg_class AS c ON c.oid = r.child JOIN pg_class AS p ON p.oid = r.parent
		WHERE r.parent = relation AND c.relowner = p.relowner ORDER BY r."constraint"
	LOOP
		rows := format('FROM %s JOIN %s ON %s', soft_delete_internal.from_item(item.child, 'c', 'live'), soft_delete_internal.from_item(relation, 'p', 'deleted'), soft_delete_internal.key_match(item."constraint"));
		n := soft_delete_internal.count_as_owner(relation, 'SELECT count(*) ' || rows);
		IF n > 0 THEN
			RAISE EXCEPTION 'cannot move the deleted rows of table "%" aside: % live rows of table "%" reference some', relation, n, item.child
				USING ERRCODE = 'foreign_key_violation', DETAIL = format('In the companion they are not what foreign key "%s" references.', item.conname),
					HINT = format('SELECT c.* %s;', rows);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_unreferenced(regclass) IS
'raises 23503 if live rows reference rows of a table that are deleted in place';

CREATE FUNCTION soft_delete_internal.check_present_tag(relation regclass, deleted_at name, storage text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	present name := (soft_delete_internal.tag_arguments(relation))[1];
	item soft_delete_internal.holds;
BEGIN
	IF present <> deleted_at AND NOT soft_delete_internal.changes_storage(relation, storage) THEN
		RAISE EXCEPTION 'table "%" is already tagged with column "%"', relation, present
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = CASE storage WHEN 'aside' THEN 'A bin has one column for the time of the deletion.' ELSE 'A table has one tombstone column.' END,
				HINT = format('SELECT soft_delete.untag(%L);', relation);
	END IF;

	IF storage <> 'aside' OR NOT soft_delete_internal.changes_storage(relation, storage) THEN
		RETURN;
	END IF;
	PERFORM soft_delete_internal.check_unreferenced(relation);
	SELECT * INTO item FROM soft_delete_internal.holds AS h
	WHERE h.relation IN (SELECT soft_delete_internal.inheritance_tree(check_present_tag.relation)) AND h.relation <> check_present_tag.relation AND key IS NULL
	ORDER BY h.relation, h.deleted_at NULLS FIRST LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'partition "%" is held: %', item.relation, item.hold
			USING ERRCODE = 'object_in_use',
				DETAIL = format('Aside, deleted rows are those of %s, and such a hold would not be on them.', relation),
				HINT = format('SELECT soft_delete.hold(%L, %2$L), soft_delete.lift(%3$L, %2$L);', relation, item.hold, item.relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_present_tag(regclass, name, text) IS
'raises 55000 if a table is tagged with another column; if its deleted rows are going to move aside, 23503 if live rows reference them, 55006 if a partition is held by itself';

CREATE FUNCTION soft_delete_internal.check_aside_column(relation regclass, deleted_at name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[] := soft_delete_internal.tag_arguments(relation);
	active regclass := soft_delete_internal.active_view_of(relation);
	dependent text;
BEGIN
	SELECT pg_describe_object(classid, objid, 0) INTO dependent
	FROM (SELECT classid, objid FROM soft_delete_internal.other_dependents(active, relation)
		  UNION ALL SELECT 'pg_class'::regclass, view FROM soft_delete_internal.dependent_views(active) AS view) AS dependents
	ORDER BY classid, objid LIMIT 1;
	IF dependent IS NOT NULL THEN
		PERFORM soft_delete_internal.refuse('2BP01', format('cannot keep the deleted rows of "%s" aside because other objects depend on view "%s"', relation, active),
			format('The view of live rows would go, and %s depends on it.', dependent),
			CASE WHEN NOT soft_delete_internal.drops_rows('pg_class'::regclass, active) THEN format('DROP VIEW %s CASCADE;', active) END);
	END IF;
	IF NOT soft_delete_internal.has_column(relation, deleted_at) THEN
		RETURN;
	END IF;
	IF arguments[1] IS DISTINCT FROM deleted_at OR soft_delete_internal.is_aside(relation) THEN
		RAISE EXCEPTION 'column "%" of table "%" has the name of the bin''s column for the time of the deletion', deleted_at, relation
			USING ERRCODE = 'duplicate_column',
				DETAIL = 'With storage => ''aside'' the table itself gets no column.',
				HINT = format('SELECT soft_delete.tag(%L, deleted_at => %L, storage => ''aside'');', relation, soft_delete_internal.add_suffix(deleted_at, '_by_delete'));
	END IF;

	-- the tombstone column goes, with what the extension has made on it
	SELECT pg_describe_object(classid, objid, objsubid) INTO dependent
	FROM soft_delete_internal.inheritance_tree(relation) AS member JOIN pg_attribute ON attrelid = member AND attname = deleted_at
		JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = member AND refobjsubid = attnum
		LEFT JOIN pg_rewrite ON classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = objid
		LEFT JOIN pg_index ON classid = 'pg_class'::regclass AND indexrelid = objid
		LEFT JOIN pg_class ON pg_class.oid = indexrelid
		LEFT JOIN pg_trigger ON classid = 'pg_trigger'::regclass AND pg_trigger.oid = objid
	WHERE coalesce(tgfoid <> 'soft_delete.follow_bridge()'::regprocedure, true) AND coalesce(ev_class NOT IN (SELECT soft_delete_internal.bin_of(relation) UNION ALL SELECT soft_delete_internal.active_view_of(relation)), true)
	  AND NOT coalesce('bin:' || relname = ANY (arguments) OR soft_delete_internal.is_soft_delete_btree(indexrelid), false)
	  -- what the condition is taken from again
	  AND NOT coalesce(attnum <> ALL (indkey) AND CASE WHEN indrelid = member THEN soft_delete_internal.index_hides(indexrelid, attnum) END, false)
	LIMIT 1;
	IF dependent IS NOT NULL THEN
		RAISE EXCEPTION 'cannot keep the deleted rows of "%" aside because other objects depend on column "%"', relation, deleted_at
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = format('The column would go, and %s depends on it. With another name for the time of the deletion the column stays.', dependent),
				HINT = format('SELECT soft_delete.tag(%L, deleted_at => %L, storage => ''aside'');', relation, soft_delete_internal.add_suffix(deleted_at, '_by_delete'));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_aside_column(regclass, name) IS
'raises 42701 if a table whose deleted rows are going to be aside has a column of the name of their stamps, 2BP01 if that is its tombstone column, and cannot go, or the view of live rows cannot';
