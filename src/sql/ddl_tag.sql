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
