/*
 * Bridges: a table from which the application deletes softly by itself, by a column of its
 * own.  The arguments of the trigger that follows the column are explained in
 * src/catalog/bridge.c.
 */

CREATE FUNCTION soft_delete.follow_bridge() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_bridge';
COMMENT ON FUNCTION soft_delete.follow_bridge() IS
'AFTER triggers of a bridged table: a row that the application deletes by its own column is deleted, one that it restores is restored; made by soft_delete.tag(..., bridge => ...)';

CREATE FUNCTION soft_delete_internal.adopt_rows(relation regclass, first_block bigint, last_block bigint) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_adopt_rows';
COMMENT ON FUNCTION soft_delete_internal.adopt_rows(regclass, bigint, bigint) IS
'makes deleted rows of those that the column of the bridge says to be deleted, in some blocks of a relation; returns their number';

CREATE FUNCTION soft_delete_internal.bridge_arguments(relation regclass) RETURNS text[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_bridge_arguments';
COMMENT ON FUNCTION soft_delete_internal.bridge_arguments(regclass) IS
'the bridge of a table: the column, its kind, a detail, and the value of live rows if it is not null; null if there is none';

CREATE FUNCTION soft_delete_internal.bridge_text(arguments text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN arguments[1] || '=' || CASE WHEN arguments[2] IN ('time', 'value') THEN arguments[3] ELSE arguments[2] END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bridge_text(text[]) IS
'a bridge as the argument of tag() names it';

CREATE FUNCTION soft_delete_internal.deleted_test(relation regclass, arguments text[], of text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	col pg_attribute;
	value text;
BEGIN
	SELECT * INTO STRICT col FROM pg_attribute WHERE attrelid = relation AND attname = arguments[1] AND NOT attisdropped;
	value := format('%s.%I', of, col.attname);
	RETURN format('coalesce(%s, false)', CASE
		WHEN arguments[2] = 'value' THEN format('%s = %L::%s', value, arguments[3], format_type(col.atttypid, col.atttypmod))
		WHEN arguments[2] = 'time' THEN format('isfinite(%s)', value)
		WHEN col.atttypid = 'boolean'::regtype THEN value
		ELSE value || ' <> 0' END);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.deleted_test(regclass, text[], text) IS
'the condition, in SQL, that the column of a bridge says of a row that it is deleted; of: the name of the row';

CREATE FUNCTION soft_delete_internal.refuse_bridge(relation regclass, bridge text, problem text, detail text, hint text, state text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- tables that CASCADE connects are tagged together; then each gets the bridge that suits it
	IF starts_with(hint, 'SELECT soft_delete.tag(') AND soft_delete_internal.tag_arguments(relation) IS NULL
	   AND EXISTS (SELECT FROM soft_delete_internal.cascade_tables(relation) AS member WHERE member <> relation) THEN
		hint := format('SELECT soft_delete.tag(%L, cascade => true), %s', relation, substr(hint, length('SELECT ') + 1));
	END IF;
	RAISE EXCEPTION 'column "%" of table "%" cannot be a bridge: %', bridge, relation, problem
		USING ERRCODE = state, DETAIL = detail, HINT = hint;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.refuse_bridge(regclass, text, text, text, text, text) IS
'raises what tag() refuses of a bridge';

CREATE FUNCTION soft_delete_internal.tag_without_bridge(relation regclass, col name) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN soft_delete_internal.tag_command(relation, CASE col WHEN 'deleted_at' THEN soft_delete_internal.add_suffix(col, '_by_delete') ELSE 'deleted_at' END) || ';';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_without_bridge(regclass, name) IS
'the statement that tags a table in which a column cannot be a bridge';

CREATE FUNCTION soft_delete_internal.number_kind(relation regclass, col name, detail text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	least numeric;
	greatest numeric;
BEGIN
	SELECT q.least, q.greatest INTO least, greatest FROM soft_delete_internal.query_as_owner(relation,
		format('SELECT min(%1$I)::numeric, max(%1$I)::numeric FROM %2$s WHERE %1$I <> 0', col, relation)) AS q(least numeric, greatest numeric);
	RETURN CASE WHEN least = 1 AND greatest = 1 THEN 'flag' WHEN least IS NULL OR least < 1e8 THEN NULL
		-- the 5138th year in seconds is 1973 in milliseconds
		WHEN greatest < 1e11 THEN 'seconds' WHEN least >= 1e17 THEN 'nanoseconds'
		WHEN least >= 1e14 AND greatest < 1e17 THEN 'microseconds' WHEN least >= 1e11 AND greatest < 1e14 THEN 'milliseconds' END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.number_kind(regclass, name, text) IS
'what the numbers in a column mean, as far as their size tells: a flag or a Unix time; else null';

CREATE FUNCTION soft_delete_internal.bridge_kind(relation regclass, col pg_attribute, detail text) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
	kind text;
	odd text;
	units text[] := CASE col.atttypid WHEN 'bigint'::regtype THEN '{seconds,milliseconds,microseconds,nanoseconds}' WHEN 'integer'::regtype THEN '{seconds}' ELSE '{}' END;
BEGIN
	CASE
		WHEN col.atttypid = 'boolean'::regtype AND coalesce(detail, 'flag') IN ('flag', 'true') THEN
			RETURN '{flag,""}';
		WHEN col.atttypid = 'boolean'::regtype THEN
			NULL;
		WHEN col.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN
			IF detail = 'flag' OR detail = ANY (units) THEN
				RETURN ARRAY[detail, ''];
			ELSIF detail ~ '^[+-]?\d{1,18}$' THEN
				RETURN ARRAY['value', detail::bigint::text];
			ELSIF detail IS NOT NULL THEN
				NULL;
			ELSIF col.atttypid = 'bigint'::regtype THEN
				kind := soft_delete_internal.number_kind(relation, col.attname, detail);
				IF kind IS NOT NULL THEN
					RETURN ARRAY[kind, ''];
				END IF;
				PERFORM soft_delete_internal.refuse_bridge(relation, col.attname, 'its numbers do not tell what they mean',
					'They may be a flag, or a Unix time in seconds, milliseconds, microseconds or nanoseconds.',
					format('SELECT soft_delete.tag(%L, bridge => %L);', relation, col.attname || '=milliseconds'), '22023');
			ELSE
				SELECT answer INTO odd FROM soft_delete_internal.query_as_owner(relation,
					format('SELECT %1$I::text FROM %2$s WHERE %1$I NOT IN (0, 1) LIMIT 1', col.attname, relation)) AS q(answer text);
				IF odd IS NULL THEN
					RETURN '{flag,""}';
				END IF;
				PERFORM soft_delete_internal.refuse_bridge(relation, col.attname, format('%s says neither live nor deleted', odd),
					'A flag is 0 or 1. With ''=flag'' each number but 0 says deleted, with a number that one.',
					format('SELECT soft_delete.tag(%L, bridge => %L);', relation, col.attname || '=flag'), '22023');
			END IF;
		WHEN col.atttypid = 'timestamptz'::regtype AND detail IS NULL THEN
			RETURN '{time,UTC}';
		WHEN col.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) THEN
			IF EXISTS (SELECT FROM pg_timezone_names WHERE lower(name) = lower(coalesce(detail, 'UTC'))) THEN
				RETURN ARRAY['time', coalesce(detail, 'UTC')];
			END IF;
			PERFORM soft_delete_internal.refuse_bridge(relation, col.attname, format('"%s" is no time zone', detail),
				'The time zone of times that have none follows the name of the column; it is UTC if it is left out.',
				format('SELECT soft_delete.tag(%L, bridge => %L);', relation, col.attname), '22023');
		WHEN col.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype) OR (SELECT typtype FROM pg_type WHERE oid = col.atttypid) = 'e' THEN
			IF detail IS NULL THEN
				PERFORM soft_delete_internal.refuse_bridge(relation, col.attname, 'it is not said which value means deleted', 'After the name of the column comes the value of deleted rows.',
					format('SELECT soft_delete.tag(%L, bridge => %L);', relation, col.attname || '='
						|| coalesce((SELECT enumlabel FROM pg_enum WHERE enumtypid = col.atttypid ORDER BY enumsortorder DESC LIMIT 1), 'deleted')), '22023');
			END IF;
			BEGIN
				SELECT answer INTO odd FROM soft_delete_internal.query_as_owner(relation,
					format('SELECT %L::%s::text', detail, format_type(col.atttypid, col.atttypmod))) AS q(answer text);
			EXCEPTION WHEN invalid_text_representation THEN
				odd := NULL;
			END;
			IF rtrim(odd) IS DISTINCT FROM rtrim(detail) THEN
				PERFORM soft_delete_internal.refuse_bridge(relation, col.attname, format('it cannot have the value %L', detail), format('Its type is %s.', format_type(col.atttypid, col.atttypmod)),
					format('SELECT DISTINCT %I FROM %s;', col.attname, relation), '22023');
			END IF;
			RETURN ARRAY['value', detail];
		ELSE
			PERFORM soft_delete_internal.refuse_bridge(relation, col.attname, format('its type is %s', format_type(col.atttypid, col.atttypmod)),
				'It may be boolean, smallint, integer or bigint, date, timestamp or timestamptz, text, varchar, char or an enum; domains are no such types.',
				soft_delete_internal.tag_without_bridge(relation, col.attname), '42804');
	END CASE;
	PERFORM soft_delete_internal.refuse_bridge(relation, col.attname, format('"%s" says nothing of values of type %s', detail, format_type(col.atttypid, col.atttypmod)),
		format('After the name of the column it may be %s.', CASE col.atttypid WHEN 'boolean'::regtype THEN '''=flag'''
			ELSE (SELECT string_agg(format('''=%s''', word), ', ') FROM unnest('{flag}' || units) AS word) || ', or a number' END),
		format('SELECT soft_delete.tag(%L, bridge => %L);', relation, col.attname || '=flag'), '22023');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bridge_kind(regclass, pg_attribute, text) IS
'the kind and the detail of a bridge; raises 42804 for the type of the column, 22023 for what follows its name';

CREATE FUNCTION soft_delete_internal.live_value(relation regclass, col pg_attribute, kind text[]) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	default_value text;
	is_deleted boolean;
BEGIN
	IF col.atthasdef THEN
		SELECT q.value, q.is_deleted INTO default_value, is_deleted FROM soft_delete_internal.query_as_owner(relation,
			format('SELECT d.%1$I::text, %2$s FROM (SELECT (%3$s)::%4$s AS %1$I) AS d', col.attname,
				soft_delete_internal.deleted_test(relation, col.attname || kind, 'd'), (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = relation AND adnum = col.attnum),
				format_type(col.atttypid, col.atttypmod)), NULL, 'key') AS q(value text, is_deleted boolean);
		IF is_deleted THEN
			PERFORM soft_delete_internal.refuse_bridge(relation, col.attname, format('its default is %s', default_value), 'A new row would be a deleted one.',
				format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT;', relation, col.attname), '42P16');
		END IF;
		IF default_value IS NOT NULL THEN
			RETURN default_value;
		END IF;
	END IF;
	IF kind[1] = 'flag' THEN
		RETURN CASE col.atttypid WHEN 'boolean'::regtype THEN 'false' ELSE '0' END;
	END IF;
	IF NOT col.attnotnull THEN
		RETURN NULL;
	END IF;
	IF kind[1] NOT IN ('time', 'value') THEN
		RETURN '0';
	END IF;
	PERFORM soft_delete_internal.refuse_bridge(relation, col.attname, 'it is NOT NULL, and has no default that says live',
		'A row that is restored gets the default, or null.', format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL;', relation, col.attname), '42P16');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.live_value(regclass, pg_attribute, text[]) IS
'what a row gets that is restored, as text; raises 42P16 if the column of the bridge has no such value, or a default that says deleted';

CREATE FUNCTION soft_delete_internal.bridge_column(relation regclass, bridge text) RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- a name may have =, too
	RETURN coalesce((SELECT attname FROM pg_attribute WHERE attrelid = relation AND NOT attisdropped AND starts_with(bridge || '=', attname || '=')
					 ORDER BY length(attname) DESC LIMIT 1), split_part(bridge, '=', 1));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bridge_column(regclass, text) IS
'the column that a bridge names, as tag() is told it';

CREATE FUNCTION soft_delete_internal.resolve_bridge(relation regclass, bridge text, is_named boolean) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	present text[] := soft_delete_internal.bridge_arguments(relation);
	column_name name;
	detail text;
	col pg_attribute;
	kind text[];
BEGIN
	IF bridge IS NULL THEN
		RETURN present;
	END IF;
	column_name := soft_delete_internal.bridge_column(relation, bridge);
	detail := nullif(substr(bridge, length(column_name) + 2), '');
	-- what errors say of values is for the owner
	PERFORM soft_delete_internal.check_relation(relation), soft_delete_internal.check_owner(relation);
	SELECT * INTO col FROM pg_attribute WHERE attrelid = relation AND attname = column_name AND NOT attisdropped;
	IF NOT FOUND OR col.attnum < 0 THEN
		IF NOT is_named THEN
			RETURN present;
		END IF;
		RAISE EXCEPTION 'column "%" of relation "%" does not exist', column_name, relation
			USING ERRCODE = 'undefined_column', DETAIL = 'The application must have a column by which it deletes softly, to be a bridge.',
				HINT = format('SELECT soft_delete.tag(%L);', relation);
	END IF;
	IF present[1] <> column_name THEN
		PERFORM soft_delete_internal.refuse_bridge(relation, column_name, format('the table has one, column "%s"', present[1]), 'An application deletes by one column.',
			format('SELECT soft_delete.untag(%L, tombstones => ''keep'');', relation), '55000');
	END IF;
	IF column_name = (soft_delete_internal.tag_arguments(relation))[1] AND NOT soft_delete_internal.is_aside(relation) THEN
		PERFORM soft_delete_internal.refuse_bridge(relation, column_name, 'it is the tombstone column', 'The application and the extension cannot share a column.',
			format('SELECT soft_delete.untag(%L, tombstones => ''keep'');', relation), '55000');
	END IF;
	IF col.attgenerated <> '' THEN
		PERFORM soft_delete_internal.refuse_bridge(relation, column_name, 'it is generated', 'The application and the extension must be able to set it.',
			format('ALTER TABLE %s ALTER COLUMN %I DROP EXPRESSION;', relation, column_name), '42P16');
	END IF;
	IF soft_delete_internal.is_partition_key(relation, column_name) THEN
		PERFORM soft_delete_internal.refuse_bridge(relation, column_name, 'it is part of the partition key', 'A deletion would have to move the row to another partition.',
			soft_delete_internal.tag_without_bridge(relation, column_name), '42P17');
	END IF;
	kind := soft_delete_internal.bridge_kind(relation, col, detail);
	RETURN array_remove(column_name || kind || soft_delete_internal.live_value(relation, col, kind), NULL);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.resolve_bridge(regclass, text, boolean) IS
'the arguments of the trigger for a bridge as tag() is told it; those of the present one if it is null, or if the table has no such column and is not named; raises what cannot be';

CREATE FUNCTION soft_delete_internal.tombstone_for(relation regclass, deleted_at name, bridge text[]) RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF bridge[1] IS DISTINCT FROM deleted_at::text THEN
		RETURN deleted_at;
	END IF;
	RETURN coalesce((soft_delete_internal.tag_arguments(relation))[1]::name, soft_delete_internal.add_suffix(deleted_at, '_by_delete'));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tombstone_for(regclass, name, text[]) IS
'the tombstone column of a table: another one than that of its bridge';

CREATE FUNCTION soft_delete_internal.make_bridge_triggers(relation regclass, bridge text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tombstone name := (soft_delete_internal.tag_arguments(relation))[1];
	is_aside boolean := soft_delete_internal.is_aside(relation);
	member regclass;
	says_deleted text;
	said_deleted text;
BEGIN
	FOR member IN SELECT soft_delete_internal.inheritance_tree(relation) LOOP
		says_deleted := soft_delete_internal.deleted_test(member, bridge, 'NEW');
		said_deleted := soft_delete_internal.deleted_test(member, bridge, 'OLD');
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_bridge_end" AFTER INSERT OR UPDATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.follow_bridge()', member);
		IF NOT (SELECT relispartition FROM pg_class WHERE oid = member) THEN -- partitions get theirs from the root
			EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_bridge_insert" AFTER INSERT ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION soft_delete.follow_bridge()',
				member, says_deleted || CASE WHEN is_aside THEN '' ELSE format(' AND NEW.%I IS NULL', tombstone) END);
			EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_bridge" AFTER UPDATE ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION soft_delete.follow_bridge(%s)', member,
				CASE WHEN is_aside THEN format('%s AND NOT %s', says_deleted, said_deleted)
					ELSE format('%1$s <> %2$s OR (%2$s AND NEW.%3$I IS NULL) OR OLD.%3$I IS DISTINCT FROM NEW.%3$I', said_deleted, says_deleted, tombstone) END,
				(SELECT string_agg(quote_literal(a), ', ' ORDER BY n) FROM unnest(bridge) WITH ORDINALITY AS u(a, n)));
		END IF;
		PERFORM soft_delete_internal.explain_parts(member);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_bridge_triggers(regclass, text[]) IS
'creates the triggers of a bridged table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete_internal.drop_bridge_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name name;
BEGIN
	FOR name IN SELECT tgname FROM pg_trigger WHERE tgrelid = relation AND tgfoid = 'soft_delete.follow_bridge()'::regprocedure AND tgparentid = 0 LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', name, relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_bridge_triggers(regclass) IS
'drops the triggers of the bridge of one relation';

CREATE FUNCTION soft_delete_internal.adopt_all(relation regclass) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- aside, a row goes when no row that stays references it
	repeats boolean := soft_delete_internal.is_aside(relation)
		AND EXISTS (SELECT FROM soft_delete_internal.references_of(relation) WHERE child = parent);
	adopted bigint;
	total bigint := 0;
BEGIN
	LOOP
		SELECT coalesce(sum(soft_delete_internal.adopt_rows(member, 0, NULL)), 0) INTO adopted
		FROM soft_delete_internal.inheritance_tree(relation) AS member JOIN pg_class ON oid = member WHERE relkind = 'r';
		total := total + adopted;
		EXIT WHEN adopted = 0 OR NOT repeats;
	END LOOP;
	RETURN total;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.adopt_all(regclass) IS
'adopts the rows of a bridged table, its partitions and its inheritance children; returns their number';

CREATE FUNCTION soft_delete_internal.deleted_value(relation regclass, arguments text[], stamp text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	type text := (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = relation AND attname = arguments[1] AND NOT attisdropped);
BEGIN
	RETURN CASE arguments[2]
		WHEN 'value' THEN format('%L::%s', arguments[3], type)
		WHEN 'flag' THEN CASE type WHEN 'boolean' THEN 'true' ELSE '1' END
		WHEN 'time' THEN format(CASE WHEN type LIKE '%with time zone' THEN '%2$s::%3$s' ELSE 'timezone(%1$L, %2$s)::%3$s' END, arguments[3], stamp, type)
		ELSE format('floor(extract(epoch FROM %s) * %s)::%s', stamp,
			CASE arguments[2] WHEN 'seconds' THEN 1 WHEN 'milliseconds' THEN 1000 WHEN 'microseconds' THEN 1000000 ELSE 1000000000 END, type) END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.deleted_value(regclass, text[], text) IS
'the expression, in SQL, of what the application would have written in the column of a bridge at a time; stamp: an expression of that';

CREATE FUNCTION soft_delete_internal.say_deleted_aside(relation regclass, bridge text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete_internal.write_companion(member, format('UPDATE ONLY %s AS c SET %I = %s WHERE NOT %s', place, bridge[1],
		soft_delete_internal.deleted_value(member, bridge, format('c.%I', soft_delete_internal.companion_stamp(place))),
		soft_delete_internal.deleted_test(member, bridge, 'c')))
	FROM soft_delete_internal.inheritance_tree(relation) AS member, unnest(soft_delete_internal.companion_places(member)) AS place
	WHERE soft_delete_internal.own_companion(member) IS NOT NULL AND pg_relation_size(place) > 0;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.say_deleted_aside(regclass, text[]) IS
'has the column of a bridge say of the rows of a companion, which were deleted before, that they are deleted';

CREATE FUNCTION soft_delete_internal.tell_left_rows(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bridge text[] := soft_delete_internal.bridge_arguments(relation);
	test text := soft_delete_internal.deleted_test(relation, bridge, 't');
	n bigint := soft_delete_internal.count_as_owner(relation, format('SELECT count(*) FROM %s AS t WHERE %s', relation, test));
BEGIN
	IF n > 0 THEN
		RAISE WARNING 'table "%" keeps % rows that column "%" says to be deleted', relation, n, bridge[1]
			USING ERRCODE = '01000', DETAIL = 'Live rows reference them. soft_delete.adopt() takes them over when these are gone.',
				HINT = format('SELECT t.* FROM %s AS t WHERE %s;', relation, test);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tell_left_rows(regclass) IS
'warns of rows that cannot be adopted of a table that keeps deleted rows aside';

CREATE FUNCTION soft_delete_internal.tell_adopted(relation regclass, adopted bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF adopted > 0 THEN
		RAISE NOTICE 'table "%" has % rows that column "%" says to be deleted: they are in its bin', relation, adopted, (soft_delete_internal.bridge_arguments(relation))[1];
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tell_adopted(regclass, bigint) IS
'tells how many rows tag() has adopted';

CREATE FUNCTION soft_delete_internal.execute_bridge(relation regclass, bridge text[], adopts boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_aside boolean := soft_delete_internal.is_aside(relation);
	is_new boolean := soft_delete_internal.bridge_arguments(relation) IS NULL;
BEGIN
	IF bridge IS NULL THEN
		RETURN;
	END IF;
	PERFORM soft_delete_internal.make_bridge_triggers(relation, bridge);
	PERFORM soft_delete_internal.say_deleted_aside(relation, bridge);
	IF is_aside AND is_new THEN
		RAISE NOTICE 'in table "%" the application finds no row that it has deleted', relation
			USING DETAIL = format('Such rows are in its bin. An UPDATE of column "%s" back to live is UPDATE 0, and soft_delete.bridge has nothing to show.', bridge[1]),
				HINT = format('SELECT soft_delete.tag(%L, storage => ''in_place'');', relation);
	ELSIF adopts AND NOT is_aside THEN
		PERFORM soft_delete_internal.tell_adopted(relation, soft_delete_internal.adopt_all(relation));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.execute_bridge(regclass, text[], boolean) IS
'gives a tagged table a bridge, if it is to have one; adopts: takes over the rows that were deleted before, unless deleted rows are kept aside';

CREATE FUNCTION soft_delete_internal.adopt_together(relations regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bridged regclass[] := ARRAY(SELECT r FROM unnest(relations) WITH ORDINALITY AS u(r, n)
								WHERE soft_delete_internal.is_aside(r) AND soft_delete_internal.bridge_arguments(r) IS NOT NULL ORDER BY n);
	totals bigint[] := array_fill(0::bigint, ARRAY[cardinality(bridged)]);
	adopted bigint;
	any_adopted boolean;
BEGIN
	-- of a deleted parent and its deleted child the child goes first
	LOOP
		any_adopted := false;
		FOR i IN REVERSE cardinality(bridged) .. 1 LOOP
			adopted := soft_delete_internal.adopt_all(bridged[i]);
			totals[i] := totals[i] + adopted;
			any_adopted := any_adopted OR adopted > 0;
		END LOOP;
		EXIT WHEN NOT any_adopted OR cardinality(bridged) = 1;
	END LOOP;
	FOR i IN 1 .. cardinality(bridged) LOOP
		PERFORM soft_delete_internal.tell_adopted(bridged[i], totals[i]);
		PERFORM soft_delete_internal.tell_left_rows(bridged[i]);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.adopt_together(regclass[]) IS
'adopts the rows of those of some tables that have a bridge and keep deleted rows aside';

CREATE FUNCTION soft_delete_internal.follow_bridge_column(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bridge text[] := soft_delete_internal.bridge_arguments(relation);
	new_name name;
BEGIN
	IF bridge IS NULL OR soft_delete_internal.has_column(relation, bridge[1]::name) THEN
		RETURN;
	END IF;
	-- the condition of the trigger depends on the two columns
	SELECT attname INTO new_name FROM pg_trigger JOIN pg_depend ON classid = 'pg_trigger'::regclass AND objid = pg_trigger.oid
		JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
	WHERE tgrelid = relation AND tgname = '~soft_delete_bridge_insert' AND refclassid = 'pg_class'::regclass AND refobjid = relation AND refobjsubid > 0
	  AND attname <> (soft_delete_internal.tag_arguments(relation))[1]
	  AND attname NOT IN (SELECT other.attname FROM pg_attribute AS other WHERE other.attrelid = relation AND other.attname = bridge[1]);
	IF FOUND THEN
		PERFORM soft_delete_internal.make_bridge_triggers(relation, new_name || bridge[2:]);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_bridge_column(regclass) IS
'updates the triggers of a bridge after its column was renamed';

CREATE FUNCTION soft_delete_internal.renamed_label(command pg_ddl_command) RETURNS text[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_renamed_label';
COMMENT ON FUNCTION soft_delete_internal.renamed_label(pg_ddl_command) IS
'for event triggers: the former and the new label of an ALTER TYPE ... RENAME VALUE; null for other commands';

CREATE FUNCTION soft_delete_internal.follow_bridge_labels() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	renamed record;
	item record;
BEGIN
	FOR renamed IN
		SELECT objid AS type, label FROM pg_event_trigger_ddl_commands(), soft_delete_internal.renamed_label(command) AS label
		WHERE classid = 'pg_type'::regclass AND label IS NOT NULL
	LOOP
		FOR item IN
			SELECT tagged.relation, bridge FROM soft_delete_internal.tagged_tables() AS tagged, soft_delete_internal.bridge_arguments(tagged.relation) AS bridge
				JOIN pg_attribute ON attname = bridge[1] AND atttypid = renamed.type
			WHERE attrelid = tagged.relation AND renamed.label[1] IN (bridge[3], bridge[4])
		LOOP
			PERFORM soft_delete_internal.make_bridge_triggers(item.relation,
				item.bridge[:2] || CASE item.bridge[3] WHEN renamed.label[1] THEN renamed.label[2] ELSE item.bridge[3] END
				|| array_replace(item.bridge[4:], renamed.label[1], renamed.label[2]));
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_bridge_labels() IS
'for event triggers: updates the triggers of bridges after a value of an enum has got another label';

CREATE FUNCTION soft_delete_internal.adopt(relation regclass, first_block bigint DEFAULT 0, last_block bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	adopted bigint;
BEGIN
	IF relation IS NULL OR first_block IS NULL OR first_block < 0 OR last_block < first_block THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.adopt()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table and its first block must be given, and the last block must not be before the first one.';
	END IF;
	PERFORM soft_delete_internal.check_relation(relation) WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = relation);
	PERFORM soft_delete_internal.check_owner(relation);
	IF first_block = 0 AND last_block IS NULL THEN
		adopted := soft_delete_internal.adopt_all(relation);
		IF soft_delete_internal.is_aside(relation) AND soft_delete_internal.bridge_arguments(relation) IS NOT NULL THEN
			PERFORM soft_delete_internal.tell_left_rows(relation);
		END IF;
		RETURN adopted;
	END IF;
	RETURN soft_delete_internal.adopt_rows(relation, first_block, last_block);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.adopt(regclass, bigint, bigint) IS
'does soft_delete.adopt()';

CREATE FUNCTION soft_delete_internal.plan_adoption(relation regclass) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	-- the last part goes on to what the application writes before the table is tagged; it comes first, for the others write there
	SELECT format('SELECT soft_delete.adopt(%L, %s%s)', member, first, ', ' || CASE WHEN first + step < blocks THEN first + step - 1 END)
	FROM soft_delete_internal.inheritance_tree(relation) WITH ORDINALITY AS f(member, n) JOIN pg_class ON oid = member,
		LATERAL (SELECT greatest(pg_relation_size(member) / current_setting('block_size')::bigint, 1) AS blocks) AS size,
		-- who writes to a row of a part waits for all of it: some 2,000 rows, as far as is known
		LATERAL (SELECT CASE WHEN reltuples > 0 AND relpages > 0 THEN ceil(least(greatest(2048.0 * relpages / reltuples, 1), 1024))::bigint ELSE 64 END AS step) AS part,
		generate_series(0, blocks - 1, step) AS first
	WHERE relkind = 'r' ORDER BY n, first + step < blocks, first;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.plan_adoption(regclass) IS
'statements that adopt the rows of a table, some blocks each';

/*
 * What the application has left behind before its table is bridged.  It is told, and
 * stays as it is.
 */
CREATE FUNCTION soft_delete_internal.count_as_owner(relation regclass, query text) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT answer FROM soft_delete_internal.query_as_owner(relation, query) AS q(answer bigint));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.count_as_owner(regclass, text) IS
'the number that a query returns, as the owner of a relation';

CREATE FUNCTION soft_delete_internal.inherited_references(relation regclass, bridge text[]) RETURNS TABLE (n bigint, problem text, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	children text;
	is_live text;
	query text;
BEGIN
	FOR item IN
		SELECT r.*, conname, r.parent = relation AS is_parent FROM soft_delete_internal.references_of(relation) AS r JOIN pg_constraint AS con ON con.oid = r."constraint"
			JOIN pg_class AS c ON c.oid = r.child JOIN pg_class AS p ON p.oid = r.parent
		WHERE c.relowner = p.relowner ORDER BY r."constraint"
	LOOP
		-- live rows whose parent was deleted
		IF item.is_parent THEN
			children := soft_delete_internal.from_item(item.child, 'c', 'live');
			is_live := CASE
				WHEN soft_delete_internal.bridge_arguments(item.child) IS NOT NULL THEN ' AND NOT ' || soft_delete_internal.deleted_test(item.child, soft_delete_internal.bridge_arguments(item.child), 'c')
				WHEN EXISTS (SELECT FROM pg_attribute AS own JOIN pg_attribute AS other ON other.attname = own.attname AND other.atttypid = own.atttypid
							 WHERE own.attrelid = relation AND other.attrelid = item.child AND own.attname = bridge[1] AND NOT own.attisdropped)
					THEN ' AND NOT ' || soft_delete_internal.deleted_test(item.child, bridge, 'c')
				ELSE '' END;
			query := format('FROM %s JOIN %s ON %s WHERE %s%s', children, soft_delete_internal.from_item(relation, 'p', 'all'),
				soft_delete_internal.key_match(item."constraint"), soft_delete_internal.deleted_test(relation, bridge, 'p'), is_live);
			n := soft_delete_internal.count_as_owner(relation, 'SELECT count(*) ' || query);
			problem := format('%s live rows of %s reference rows that were deleted before, by foreign key "%s"', n, item.child, item.conname);
			remedy := format('SELECT c.* %s;', query);
			IF n > 0 THEN
				RETURN NEXT;
			END IF;
		END IF;
		-- deleted rows whose parent is not there
		IF item.child = relation THEN
			SELECT format('FROM %s WHERE %s AND %s AND NOT EXISTS (SELECT FROM %s WHERE %s)', soft_delete_internal.from_item(relation, 'c', 'all'), soft_delete_internal.deleted_test(relation, bridge, 'c'),
				string_agg(format('c.%I IS NOT NULL', attname), ' AND ' ORDER BY attnum), soft_delete_internal.from_item(item.parent, 'p', 'all'), soft_delete_internal.key_match(item."constraint")) INTO query
			FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey) WHERE pg_constraint.oid = item."constraint";
			n := soft_delete_internal.count_as_owner(relation, 'SELECT count(*) ' || query);
			problem := format('%s deleted rows reference missing rows of %s by foreign key "%s", and cannot be restored', n, item.parent, item.conname);
			remedy := format('SELECT c.* %s;', query);
			IF n > 0 THEN
				RETURN NEXT;
			END IF;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.inherited_references(regclass, text[]) IS
'rows that reference what the application has deleted before a table is bridged, or what is not there';

CREATE FUNCTION soft_delete_internal.inherited_state(relation regclass, bridge text[]) RETURNS TABLE (n bigint, problem text, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	query text;
BEGIN
	RETURN QUERY SELECT * FROM soft_delete_internal.inherited_references(relation, bridge);
	-- a unique key that has the column, which is null in live rows, does not tell them apart
	FOR item IN
		SELECT indexrelid::regclass AS index, string_agg(format('t.%I', attname), ', ' ORDER BY k) FILTER (WHERE attname <> bridge[1]) AS columns,
			string_agg(format('t.%I IS NOT NULL', attname), ' AND ' ORDER BY k) FILTER (WHERE attname <> bridge[1]) AS are_given
		FROM pg_index CROSS JOIN LATERAL unnest(indkey::int2[]) WITH ORDINALITY AS keys(attnum, k) JOIN pg_attribute AS a ON attrelid = indrelid AND a.attnum = keys.attnum
		WHERE indrelid = relation AND indisunique AND indexprs IS NULL AND indpred IS NULL AND k <= indnkeyatts
		GROUP BY indexrelid HAVING bool_or(attname = bridge[1]) AND count(*) > 1 ORDER BY indexrelid
	LOOP
		query := format('SELECT %s, count(*) FROM %s WHERE NOT %s AND %s GROUP BY %1$s HAVING count(*) > 1', item.columns, soft_delete_internal.from_item(relation, 't', 'all'),
			soft_delete_internal.deleted_test(relation, bridge, 't'), item.are_given);
		n := soft_delete_internal.count_as_owner(relation, format('SELECT count(*) FROM (%s) AS duplicates', query));
		problem := format('%s keys are those of several live rows, which unique index %s lets be, for it has column "%s"', n, item.index, bridge[1]);
		remedy := query || ';';
		IF n > 0 THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.inherited_state(regclass, text[]) IS
'what an application that deletes softly by itself has left in a table, and is to be looked at; n: of how many rows or keys';

CREATE FUNCTION soft_delete_internal.list_made_by_bridge(relation regclass, bridge text[]) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	SELECT format('creates triggers "~soft_delete_bridge", "~soft_delete_bridge_end", "~soft_delete_bridge_insert" on %s, which follow column "%s"', relation, bridge[1])
	WHERE bridge IS NOT NULL AND soft_delete_internal.bridge_arguments(relation) IS NULL;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.list_made_by_bridge(regclass, text[]) IS
'what tag() makes of one table for its bridge, a text each';

CREATE FUNCTION soft_delete_internal.preview_bridge(relation regclass, bridge text, is_named boolean)
RETURNS TABLE (severity text, effect text, in_place boolean, aside boolean, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own_bridge text[];
	native_detail text;
	rows bigint;
BEGIN
	BEGIN
		own_bridge := soft_delete_internal.resolve_bridge(relation, bridge, is_named);
	EXCEPTION WHEN OTHERS THEN
		IF soft_delete_internal.must_propagate(SQLSTATE) THEN
			RAISE;
		END IF;
		GET STACKED DIAGNOSTICS effect = MESSAGE_TEXT, native_detail = PG_EXCEPTION_DETAIL, remedy = PG_EXCEPTION_HINT;
		RETURN QUERY SELECT 'refusal', format('refused (%s): %s', SQLSTATE, concat_ws('. ', effect, nullif(native_detail, ''))), true, true, nullif(remedy, '');
		RETURN;
	END;
	IF own_bridge IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY SELECT 'warning', format('the application finds no deleted row in the table: by column "%s" it can delete, but not restore, nor read what is deleted', own_bridge[1]), false, true,
		'restore by the bin, or storage => ''in_place''';
	RETURN QUERY SELECT 'warning', s.problem, true, true, s.remedy FROM soft_delete_internal.inherited_state(relation, own_bridge) AS s;
	rows := soft_delete_internal.count_as_owner(relation, format('SELECT count(*) FROM %s WHERE %s', soft_delete_internal.from_item(relation, 't', CASE WHEN soft_delete_internal.storage_of(relation) = 'in_place' THEN 'live' ELSE 'all' END),
		soft_delete_internal.deleted_test(relation, own_bridge, 't')));
	IF rows > 0 THEN
		RETURN QUERY SELECT 'notice', format('%s rows that column "%s" says to be deleted go to the bin', rows, own_bridge[1]), true, true, NULL::text;
	END IF;
	RETURN QUERY SELECT 'action', made, true, true, NULL::text FROM soft_delete_internal.list_made_by_bridge(relation, own_bridge) AS made;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_bridge(regclass, text, boolean) IS
'what a bridge means for a table: rows of preview_tag()';

CREATE FUNCTION soft_delete_internal.warn_of_inherited_state(relation regclass, bridge text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	-- it was told when the table got its bridge
	IF soft_delete_internal.bridge_arguments(relation) IS NOT NULL THEN
		RETURN;
	END IF;
	FOR item IN SELECT * FROM soft_delete_internal.inherited_state(relation, bridge) LOOP
		RAISE WARNING 'table "%": %', relation, item.problem
			USING ERRCODE = '01000', DETAIL = 'They stay as they are.', HINT = item.remedy;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.warn_of_inherited_state(regclass, text[]) IS
'warns of inherited_state()';
