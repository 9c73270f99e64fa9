/*
 * Putting the tag on and taking it off
 */

/*
 * Refusals
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
				HINT = format('ALTER DATABASE %I SET session_preload_libraries = ''soft_delete'';', current_database());
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
	IF NOT (SELECT pg_has_role(soft_delete_internal.caller(), relowner, 'USAGE') FROM pg_class WHERE oid = relation) THEN
		RAISE EXCEPTION 'must be owner of table %', relation
			USING ERRCODE = 'insufficient_privilege';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_owner(regclass) IS
'raises 42501 unless the current role owns the table';

CREATE FUNCTION soft_delete_internal.check_relation(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	class pg_class;
	rule name;
	other regclass;
BEGIN
	SELECT * INTO class FROM pg_class WHERE oid = relation;
	IF class.oid IS NULL THEN
		RAISE EXCEPTION 'relation "%" does not exist', relation
			USING ERRCODE = 'undefined_table';
	END IF;
	IF class.relkind NOT IN ('r', 'p') THEN
		RAISE EXCEPTION 'cannot tag "%"', class.relname
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'Only ordinary and partitioned tables can be tagged.',
				HINT = 'Tag the tables that it reads from, or copy it into a table.';
	END IF;
	IF class.oid < 16384 OR class.relnamespace IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace) THEN
		RAISE EXCEPTION 'cannot tag system table "%"', class.relname
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'The server and the extension rely on deletions from their own tables.',
				HINT = 'Tag a table of the application.';
	END IF;

	SELECT inhparent INTO other FROM pg_inherits
	WHERE inhrelid IN (SELECT soft_delete_internal.family(relation)) AND inhparent NOT IN (SELECT soft_delete_internal.family(relation))
	  AND soft_delete_internal.tag_arguments(inhparent) IS NULL LIMIT 1;
	IF other IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%" without its parent "%"', class.relname, other
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'A partition or inheritance child is read and deleted from through its parent.',
				HINT = format('SELECT soft_delete.tag(%L);', other);
	END IF;

	SELECT m INTO other FROM soft_delete_internal.family(relation) AS m JOIN pg_class ON oid = m WHERE relkind = 'f' LIMIT 1;
	IF other IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%" because it has a foreign table, "%"', class.relname, other
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Rows of another server cannot be deleted softly.',
				HINT = format('Take foreign table %s out of it.', other);
	END IF;

	SELECT rulename INTO rule FROM pg_rewrite
	WHERE ev_class IN (SELECT soft_delete_internal.family(relation)) AND ev_type = '4' LIMIT 1;
	IF rule IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%" because it has an ON DELETE rule', class.relname
			USING ERRCODE = 'feature_not_supported',
				DETAIL = format('Rule %I replaces or accompanies DELETE before a trigger could see it.', rule),
				HINT = format('DROP RULE %I ON %s;', rule, relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_relation(regclass) IS
'raises 42809 or 0A000 for a relation that cannot be tagged';

CREATE FUNCTION soft_delete_internal.check_column(relation regclass, deleted_at name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	col pg_attribute;
	problem text;
	remedy text;
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
				HINT = format('ALTER TABLE %1$s ALTER COLUMN %2$I DROP DEFAULT, ALTER COLUMN %2$I DROP NOT NULL, ALTER COLUMN %2$I TYPE timestamptz USING CASE WHEN %2$I THEN now() END;', relation, deleted_at);
	END IF;
	IF col.atttypid NOT IN ('timestamptz'::regtype, 'timestamp'::regtype) OR col.atttypmod <> -1 THEN
		RAISE EXCEPTION 'column "%" of table "%" has type %', deleted_at, relation, format_type(col.atttypid, col.atttypmod)
			USING ERRCODE = 'datatype_mismatch',
				DETAIL = 'The tombstone column must be timestamptz or timestamp, in full precision.',
				HINT = format('ALTER TABLE %1$s ALTER COLUMN %2$I TYPE timestamptz, or SELECT soft_delete.tag(%1$L, deleted_at => ''another_name'');', relation, deleted_at);
	END IF;

	IF col.attnotnull THEN
		problem := 'is NOT NULL';
		remedy := 'DROP NOT NULL';
	ELSIF col.attgenerated <> '' THEN
		problem := 'is generated';
		remedy := 'DROP EXPRESSION';
	ELSIF col.atthasdef THEN
		problem := 'has a default';
		remedy := 'DROP DEFAULT';
	END IF;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of table "%" %', deleted_at, relation, problem
			USING ERRCODE = 'invalid_table_definition',
				DETAIL = 'The tombstone column must be null in every live row.',
				HINT = format('ALTER TABLE %s ALTER COLUMN %I %s;', relation, deleted_at, remedy);
	END IF;

	IF EXISTS (SELECT FROM pg_partitioned_table
			   WHERE partrelid IN (SELECT soft_delete_internal.family(relation))
				 -- the server notes so of a key what it must not lose
				 AND EXISTS (SELECT FROM pg_depend JOIN pg_attribute ON attrelid = objid AND attnum = objsubid
							 WHERE classid = 'pg_class'::regclass AND objid = partrelid AND attname = col.attname
							   AND refclassid = 'pg_class'::regclass AND refobjid = partrelid AND refobjsubid = 0 AND deptype = 'i')) THEN
		RAISE EXCEPTION 'column "%" is part of the partition key of table "%"', deleted_at, relation
			USING ERRCODE = 'invalid_object_definition',
				DETAIL = 'A deletion would have to move the row to another partition.',
				HINT = format('SELECT soft_delete.tag(%L, deleted_at => ''another_name'');', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_column(regclass, name) IS
'raises 42804, 42P16, 42P17 or 42701 for an existing column that cannot be the tombstone column';

CREATE FUNCTION soft_delete_internal.check_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	later record;
BEGIN
	SELECT tgname, tgrelid::regclass AS tgtable INTO later FROM pg_trigger
	WHERE tgrelid IN (SELECT soft_delete_internal.family(relation))
	  AND tgtype & 11 = 11				-- FOR EACH ROW BEFORE DELETE
	  AND tgname COLLATE "C" > '~soft_delete' ORDER BY tgrelid LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'trigger "%" of table "%" would fire after the tag', later.tgname, later.tgtable
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Triggers fire in the order of their names, and the tag "~soft_delete" must be the last BEFORE DELETE row trigger.',
				HINT = format('ALTER TRIGGER %I ON %s RENAME TO ...;', later.tgname, later.tgtable);
	END IF;
	SELECT tgname, tgrelid::regclass AS tgtable INTO later FROM pg_trigger
	WHERE tgrelid IN (SELECT soft_delete_internal.family(relation))
	  AND tgtype & 11 = 11 AND tgfoid = 'soft_delete.delete_row()'::regprocedure AND tgname <> '~soft_delete' ORDER BY tgrelid LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'the tag of a table cannot be called "%"', later.tgname
			USING ERRCODE = 'invalid_object_definition', DETAIL = 'It is the trigger "~soft_delete".',
				HINT = format('SELECT soft_delete.tag(%L);', later.tgtable);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_triggers(regclass) IS
'raises 55000 if a BEFORE DELETE row trigger sorts after the tag, 42P17 if a tag has another name';

/*
 * The tombstone column and the tag follow DDL, or refuse it
 */

CREATE FUNCTION soft_delete_internal.follow_tombstone(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[] := soft_delete_internal.tag_arguments(relation);
	bin regclass := soft_delete_internal.bin_of(relation);
	new_name name;
BEGIN
	-- the bin's column is still called as the tombstone column was
	SELECT t.attname INTO new_name
	FROM pg_attribute v, soft_delete_internal.view_sources(bin, relation) AS sources, pg_attribute t
	WHERE v.attrelid = bin AND v.attname = arguments[1]
	  AND t.attrelid = relation AND t.attnum = sources[v.attnum] AND t.attname <> v.attname AND NOT t.attisdropped;
	IF FOUND THEN
		IF obj_description(bin, 'pg_class') = soft_delete_internal.bin_comment(relation::text, arguments[1]) THEN
			EXECUTE format('COMMENT ON VIEW %s IS %L', bin, soft_delete_internal.bin_comment(relation::text, new_name));
		END IF;
		arguments[1] := new_name;
		PERFORM soft_delete_internal.make_triggers(relation, arguments);
	END IF;

	IF NOT EXISTS (SELECT FROM pg_attribute
				   WHERE attrelid = relation AND attname = arguments[1] AND NOT attisdropped
					 AND atttypid = coalesce((SELECT atttypid FROM pg_attribute WHERE attrelid = bin AND attname IN (arguments[1], new_name) AND attnum > 0), atttypid)
					 AND NOT attnotnull AND NOT atthasdef AND attgenerated = '' AND atttypmod = -1) THEN
		RAISE EXCEPTION 'cannot alter tombstone column "%" of tagged table "%"', arguments[1], relation
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'It must keep its type and its contents, and be null in every live row: it takes no USING, no NOT NULL, no default and no expression.',
				HINT = format('SELECT soft_delete.untag(%L);', soft_delete_internal.root(relation));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_tombstone(regclass) IS
'lets the tag follow the name of the tombstone column; raises 0A000 for any other change of it';

CREATE FUNCTION soft_delete_internal.warn_of_disabled_tag(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgfoid = 'soft_delete.delete_row()'::regprocedure
			   AND tgenabled NOT IN ('O', 'A') AND soft_delete_internal.is_own_transaction(xmin)) THEN
		RAISE WARNING 'deletes from table "%" are hard now', relation
			USING ERRCODE = '01000',
				DETAIL = 'The tag is a trigger, and it is disabled.',
				HINT = format('ALTER TABLE %s ENABLE TRIGGER "~soft_delete";', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.warn_of_disabled_tag(regclass) IS
'warns if this transaction has disabled the tag of a table';

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
'for event triggers: raises 2BP01 where a trigger of ours or a tombstone column is dropped, but not its table';

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
			('~soft_delete', 'delete_row', 11), ('~soft_delete_key', 'claim_key', 7), ('~soft_delete_truncate', 'guard_truncate', 34),
			('soft_delete_restore', 'restore_row', 81), ('soft_delete_purge', 'purge_row', 73), ('soft_delete_statement', 'finish_bin', 24))
				AS ours(name, function, type)
			JOIN pg_trigger ON tgname = name
			JOIN pg_event_trigger_ddl_commands() ON classid = 'pg_trigger'::regclass AND objid = pg_trigger.oid
			JOIN pg_class ON pg_class.oid = tgrelid,
			LATERAL (SELECT CASE WHEN relkind <> 'v' THEN tgrelid
				-- the view is not known by its triggers any more, but by the table that it is bound to
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

/*
 * Triggers
 */

CREATE FUNCTION soft_delete_internal.make_triggers(relation regclass, arguments text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
	is_clone boolean;
BEGIN
	FOR member, is_clone IN
		SELECT m, relispartition FROM soft_delete_internal.family(relation) AS m JOIN pg_class ON oid = m
	LOOP
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate()', member);
		CONTINUE WHEN is_clone;			-- partitions get theirs from the root
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_key" BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key()', member);
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete" BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row(%s)',
			member, (SELECT string_agg(quote_literal(a), ', ' ORDER BY n) FROM unnest(arguments) WITH ORDINALITY AS u(a, n)));
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_triggers(regclass, text[]) IS
'puts the tag and the TRUNCATE guard on a table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete_internal.drop_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
BEGIN
	FOR member IN SELECT soft_delete_internal.family(relation) LOOP
		EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete_truncate" ON %s', member);
		IF NOT (SELECT relispartition FROM pg_class WHERE oid = member) THEN
			EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete" ON %s', member);
			EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete_key" ON %s', member);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_triggers(regclass) IS
'takes what make_triggers() makes';

CREATE FUNCTION soft_delete_internal.missing_triggers(relation regclass, OUT member regclass, OUT name name)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m, expected
	FROM soft_delete_internal.family(relation) AS m,
		unnest('{~soft_delete,~soft_delete_key,~soft_delete_truncate}'::name[]) AS expected
	WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = m AND tgname = expected)
$$;
COMMENT ON FUNCTION soft_delete_internal.missing_triggers(regclass) IS
'the triggers that a tagged table, its partitions and its inheritance children lack';

CREATE FUNCTION soft_delete_internal.is_complete(relation regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT NOT EXISTS (SELECT FROM soft_delete_internal.missing_triggers(relation))
		AND soft_delete_internal.bin_of(relation) IS NOT NULL AND soft_delete_internal.active_of(relation) IS NOT NULL
$$;
COMMENT ON FUNCTION soft_delete_internal.is_complete(regclass) IS
'whether a tagged table has the triggers and views that tag() makes';

/*
 * The interface
 */

CREATE FUNCTION soft_delete_internal.tag_table(relation regclass, deleted_at name, indexes text, views name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[];
	added text[];
	has_changed boolean;
BEGIN
	PERFORM soft_delete_internal.check_relation(relation);
	PERFORM soft_delete_internal.check_owner(relation);
	PERFORM soft_delete_internal.check_library();
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);

	arguments := soft_delete_internal.tag_arguments(relation);
	IF arguments[1] <> deleted_at THEN
		RAISE EXCEPTION 'table "%" is already tagged with column "%"', relation, arguments[1]
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A table has one tombstone column.',
				HINT = format('SELECT soft_delete.untag(%L);', relation);
	END IF;
	PERFORM soft_delete_internal.check_column(relation, deleted_at);
	PERFORM soft_delete_internal.check_triggers(relation);

	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = deleted_at AND NOT attisdropped) THEN
		PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s ADD COLUMN %I timestamptz', relation, deleted_at));
	END IF;

	-- what the tag remembers is about the state before it, so old memories stay
	SELECT array_agg(memory ORDER BY n) FILTER (WHERE memory NOT LIKE 'converted:%' AND (arguments IS NULL OR memory NOT LIKE 'partial:%')),
		bool_or(memory NOT LIKE 'partial:%')
	INTO added, has_changed
	FROM unnest(soft_delete_internal.hide_tombstones(relation, deleted_at, indexes) ||
				soft_delete_internal.index_bin(relation, deleted_at)) WITH ORDINALITY AS u(memory, n);

	PERFORM soft_delete_internal.report_others(relation, deleted_at);

	IF arguments IS NOT NULL AND has_changed IS NOT TRUE AND soft_delete_internal.is_complete(relation) THEN
		RAISE NOTICE 'table "%" is already tagged', relation;
		RETURN;
	END IF;
	PERFORM soft_delete_internal.make_triggers(relation,
		coalesce(arguments, array_remove(ARRAY[deleted_at, CASE indexes WHEN 'unique' THEN 'indexes:unique' END]::text[], NULL)) || added);
	PERFORM soft_delete_internal.make_views(relation, deleted_at, views);
	PERFORM soft_delete_internal.guard_references(relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_table(regclass, name, text, name) IS
'puts the tag on one table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete_internal.tag(relation regclass, deleted_at name DEFAULT 'deleted_at',
	indexes text DEFAULT 'all', cascade boolean DEFAULT false, views name DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
	members regclass[];
BEGIN
	IF relation IS NULL OR deleted_at IS NULL OR deleted_at = '' OR cascade IS NULL OR indexes IS NULL OR indexes NOT IN ('all', 'unique') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.tag()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table and the column must be given, cascade must be true or false, and indexes must be ''all'' or ''unique''.',
				HINT = 'SELECT soft_delete.tag(''my_table'');';
	END IF;

	PERFORM soft_delete_internal.tag_table(relation, deleted_at, indexes, views);
	IF cascade THEN
		members := ARRAY(SELECT m FROM soft_delete_internal.cascade_family(relation) AS m WHERE soft_delete_internal.tag_arguments(m) IS NULL ORDER BY m);
		FOREACH member IN ARRAY members LOOP
			PERFORM soft_delete_internal.tag_table(member, deleted_at, indexes, views);
			RAISE NOTICE 'table "%" is tagged too', member;
		END LOOP;
	END IF;

	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete_internal.check_references(member);
		PERFORM soft_delete_internal.set_exempt(member, false);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag(regclass, name, text, boolean, name) IS
'does soft_delete.tag()';

CREATE FUNCTION soft_delete_internal.make_rows_equal(relation regclass, deleted_at name, remembered text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	key name;
	native_detail text;
BEGIN
	PERFORM soft_delete_internal.return_displaced(member) FROM soft_delete_internal.family(relation) AS member JOIN pg_class ON oid = member WHERE relkind = 'r';
	PERFORM soft_delete_internal.show_tombstones(relation, deleted_at, remembered);
EXCEPTION WHEN unique_violation OR exclusion_violation THEN
	GET STACKED DIAGNOSTICS key = CONSTRAINT_NAME, native_detail = PG_EXCEPTION_DETAIL;
	RAISE EXCEPTION 'deleted rows of table "%" collide with other rows in key "%"', relation, key
		USING ERRCODE = SQLSTATE, CONSTRAINT = key, DETAIL = native_detail,
			HINT = format('SELECT soft_delete.untag(%L, tombstones => ''purge''), or change or purge one of each first.', relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_rows_equal(regclass, name, text[]) IS
'gives indexes and constraints back to a table whose deleted rows are rows as others from now on; raises 23505 or 23P01 where their keys collide';

CREATE FUNCTION soft_delete_internal.untag_table(relation regclass, tombstones text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[];
	remembered text[];
	bin regclass;
	item text;
	has_tombstones boolean;
BEGIN
	arguments := soft_delete_internal.tag_arguments(relation);
	IF arguments IS NULL THEN
		RAISE NOTICE 'table "%" is not tagged', relation;
		RETURN;
	END IF;
	PERFORM soft_delete_internal.check_owner(relation);
	PERFORM soft_delete_internal.check_relation(relation);
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
	PERFORM soft_delete_internal.check_holds(relation);
	bin := soft_delete_internal.bin_of(relation);

	IF tombstones = 'purge' THEN
		PERFORM soft_delete_internal.write_as_owner(relation, format('DELETE FROM %s', bin));
	ELSIF tombstones = 'error' THEN
		SELECT answer INTO has_tombstones FROM soft_delete_internal.query_as_owner(relation,
			format('SELECT EXISTS (SELECT FROM %1$s TABLESAMPLE soft_delete.rows(''deleted'')) OR '
				   'EXISTS (SELECT FROM %1$s TABLESAMPLE soft_delete.rows(''displaced''))', relation)) AS q(answer boolean);
		IF has_tombstones THEN
			RAISE EXCEPTION 'table "%" has deleted rows', relation
				USING ERRCODE = 'object_not_in_prerequisite_state',
					DETAIL = 'Without the tag they would be live rows again, which tombstones => ''keep'' lets them be.',
					HINT = format('SELECT soft_delete.untag(%L, tombstones => ''purge'');', relation);
		END IF;
	END IF;

	SELECT array_agg(DISTINCT memory) INTO remembered
	FROM soft_delete_internal.family(relation) AS m, unnest((soft_delete_internal.tag_arguments(m))[2:]) AS memory;
	PERFORM soft_delete_internal.drop_views(relation);
	PERFORM soft_delete_internal.drop_triggers(relation);
	FOR item IN
		SELECT format('%I.%I', nspname, relname) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
			JOIN pg_namespace n ON n.oid = relnamespace
		WHERE indrelid IN (SELECT soft_delete_internal.family(relation)) AND NOT relispartition
		  AND ('bin:' || relname = ANY (remembered) OR soft_delete_internal.is_guard_index(indexrelid))
	LOOP
		EXECUTE format('DROP INDEX %s', item);
	END LOOP;
	PERFORM soft_delete_internal.make_rows_equal(relation, arguments[1], coalesce(remembered, '{}'));
	PERFORM soft_delete_internal.guard_references(relation);
	PERFORM soft_delete_internal.forget_retention(relation);
	RAISE NOTICE 'column "%" of table "%" stays', arguments[1], relation
		USING HINT = format('ALTER TABLE %s DROP COLUMN %I;', relation, arguments[1]);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag_table(regclass, text) IS
'takes the tag off one table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete_internal.untag(relation regclass, tombstones text DEFAULT 'error', cascade boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
	members regclass[];
BEGIN
	IF relation IS NULL OR cascade IS NULL OR tombstones IS NULL OR tombstones NOT IN ('error', 'purge', 'keep') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.untag()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table must be given, cascade must be true or false, and tombstones must be ''error'', ''purge'' or ''keep''.',
				HINT = 'SELECT soft_delete.untag(''my_table'', tombstones => ''error'');';
	END IF;

	IF cascade THEN
		members := ARRAY(SELECT m FROM soft_delete_internal.cascade_family(relation) AS m
						 WHERE m <> relation AND soft_delete_internal.tag_arguments(m) IS NOT NULL ORDER BY m);
	END IF;
	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete_internal.untag_table(member, tombstones);
	END LOOP;
	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete_internal.check_references(member);
		PERFORM soft_delete_internal.set_exempt(member, true);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag(regclass, text, boolean) IS
'does soft_delete.untag()';
