/*
 * Deleted rows that are outside of their table, because a live row has taken their
 * key: the table of them, and how its rows follow ALTER TABLE and ALTER TYPE.
 */

CREATE TABLE soft_delete_internal.displaced (
	relation regclass NOT NULL,
	deleted_at timestamptz NOT NULL,
	"row" jsonb NOT NULL CHECK (jsonb_typeof("row") = 'object'),
	types jsonb NOT NULL CHECK (jsonb_typeof(types) = 'object')
) USING heap;
-- rows of this table are not replicated, even where a publication has all tables
ALTER TABLE soft_delete_internal.displaced REPLICA IDENTITY NOTHING;
CREATE INDEX displaced_relation_deleted_at_idx ON soft_delete_internal.displaced (relation, deleted_at);
COMMENT ON TABLE soft_delete_internal.displaced IS
'displaced rows: deleted rows whose key a live row has taken; a bin lists those of its table';
COMMENT ON COLUMN soft_delete_internal.displaced.relation IS 'the table or partition that held it';
COMMENT ON COLUMN soft_delete_internal.displaced.deleted_at IS 'its stamp';
COMMENT ON COLUMN soft_delete_internal.displaced."row" IS 'its columns, as text by name';
COMMENT ON COLUMN soft_delete_internal.displaced.types IS 'their types by name; a column without type is one that could not follow ALTER TABLE';
COMMENT ON INDEX soft_delete_internal.displaced_relation_deleted_at_idx IS 'finds what a bin lists';
-- COPY would fail for a table that the restored database does not have, such as a temporary one
SELECT pg_extension_config_dump('soft_delete_internal.displaced',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

CREATE FUNCTION soft_delete_internal.rewrite_displaced(ctid tid, "row" jsonb, types jsonb) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_rewrite_displaced';
COMMENT ON FUNCTION soft_delete_internal.rewrite_displaced(tid, jsonb, jsonb) IS
'replaces the columns of a displaced row; destroys the row where they are null';

CREATE FUNCTION soft_delete_internal.return_displaced(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_return_displaced';
COMMENT ON FUNCTION soft_delete_internal.return_displaced(regclass) IS
'inserts the displaced rows of a table that is not tagged any more into the table';

CREATE FUNCTION soft_delete_internal.step_aside(relation regclass, "row" tid) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_step_aside';
COMMENT ON FUNCTION soft_delete_internal.step_aside(regclass, tid) IS
'moves a deleted row to soft_delete_internal.displaced; false if the row does not exist';

CREATE FUNCTION soft_delete_internal.count_displaced(members regclass[], before timestamptz, OUT rows bigint, OUT oldest timestamptz, OUT due bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	SELECT count(*), min(deleted_at), count(*) FILTER (WHERE deleted_at < before) INTO rows, oldest, due
	FROM soft_delete_internal.displaced AS d WHERE d.relation = ANY (members);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.count_displaced(regclass[], timestamptz) IS
'how many displaced rows some tables have, the stamp of the oldest, and how many have an earlier stamp than the one given';

CREATE FUNCTION soft_delete_internal.convert_text(relation regclass, value text, from_type text, to_type text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT converted FROM soft_delete_internal.query_as_owner(relation,
		format('SELECT %L::%s::%s::text', value, from_type, to_type), form => 'row') AS q(converted text));
EXCEPTION WHEN others THEN
	BEGIN
		RETURN (SELECT converted FROM soft_delete_internal.query_as_owner(relation,
			format('SELECT %L::%s::text', value, to_type), form => 'row') AS q(converted text));
	EXCEPTION WHEN others THEN
		RETURN NULL;
	END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.convert_text(regclass, text, text, text) IS
'text of a value after a change of its type; null if no cast does that';

CREATE FUNCTION soft_delete_internal.with_converted("row" jsonb, key text, old_type text, converted text) RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF converted IS NOT NULL OR "row" ->> key IS NULL THEN
		BEGIN
			RETURN "row" || jsonb_build_object(key, converted);
		EXCEPTION WHEN program_limit_exceeded THEN
			-- the text of the new type is too large for jsonb
		END;
	END IF;
	RETURN "row" || jsonb_build_object(key, NULL, format('%s (%s)', key, old_type), "row" -> key);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.with_converted(jsonb, text, text, text) IS
'the columns of a displaced row after a change of a type; a value that no cast converts, or that grows too large, is kept under another name';

CREATE FUNCTION soft_delete_internal.align_displaced(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	columns jsonb;
	stored jsonb;
	item record;
BEGIN
	SELECT jsonb_object_agg(attname, format_type(atttypid, atttypmod)) INTO columns
	FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attgenerated <> 'v';
	SELECT jsonb_object_agg(key, value) INTO stored
	FROM soft_delete_internal.displaced d, jsonb_each(d.types) WHERE d.relation = relation;

	-- a dropped column was removed by remove_dropped(), so a column that the table does not have was renamed
	FOR item IN
		SELECT o.key AS old_name, n.key AS new_name FROM jsonb_each_text(stored) AS o, jsonb_each_text(columns) AS n
		WHERE NOT columns ? o.key AND NOT stored ? n.key AND o.value = n.value
	LOOP
		PERFORM soft_delete_internal.rewrite_displaced(d.ctid,
			d."row" - item.old_name || jsonb_build_object(item.new_name, d."row" -> item.old_name),
			d.types - item.old_name || jsonb_build_object(item.new_name, d.types -> item.old_name))
		FROM soft_delete_internal.displaced d WHERE d.relation = relation;
		stored := stored - item.old_name || jsonb_build_object(item.new_name, stored -> item.old_name);
	END LOOP;

	FOR item IN
		SELECT key, o.value AS old_type, n.value AS new_type
		FROM jsonb_each_text(stored) AS o JOIN jsonb_each_text(columns) AS n USING (key) WHERE o.value <> n.value
	LOOP
		PERFORM soft_delete_internal.rewrite_displaced(d.ctid,
			soft_delete_internal.with_converted(d."row", item.key, item.old_type, converted),
			d.types || jsonb_build_object(item.key, item.new_type))
		FROM soft_delete_internal.displaced d, soft_delete_internal.convert_text(relation, d."row" ->> item.key, item.old_type, item.new_type) AS converted
		WHERE d.relation = relation;
	END LOOP;

	-- a new column has its default, as in the rows of the table
	FOR item IN
		SELECT attname, format_type(atttypid, atttypmod) AS type,
			CASE WHEN attidentity <> '' THEN format('nextval(%L)', pg_get_serial_sequence(relation::text, attname))
				ELSE coalesce(pg_get_expr(adbin, adrelid), 'NULL') END AS expression
		FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid = relation AND columns ? attname AND NOT stored ? attname
	LOOP
		PERFORM soft_delete_internal.rewrite_displaced(d.ctid, d."row" || jsonb_build_object(item.attname, value), d.types || jsonb_build_object(item.attname, item.type))
		FROM soft_delete_internal.query_as_owner(relation,
				format('SELECT ctid, (%s)::text FROM ONLY %s TABLESAMPLE soft_delete.rows(''displaced'')', item.expression, relation), form => 'row') AS new(tid tid, value text)
			JOIN soft_delete_internal.displaced d ON d.ctid = tid;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.align_displaced(regclass) IS
'gives the displaced rows of a table the columns that the table has now';

CREATE FUNCTION soft_delete_internal.align_changed_displaced(changed regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM soft_delete_internal.displaced) THEN
		PERFORM soft_delete_internal.align_displaced(member)
		FROM (SELECT DISTINCT soft_delete_internal.inheritance_tree(c) AS member FROM unnest(changed) AS c) AS members
		WHERE EXISTS (SELECT FROM soft_delete_internal.displaced WHERE relation = member);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.align_changed_displaced(regclass[]) IS
'gives the displaced rows of changed tables the columns that the tables have now';

CREATE FUNCTION soft_delete_internal.rename_displaced_labels() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	enum regtype;
	labels text[];
	new_label text;
	item record;
BEGIN
	IF NOT EXISTS (SELECT FROM soft_delete_internal.displaced) THEN
		RETURN;
	END IF;
	FOR enum IN SELECT objid FROM pg_event_trigger_ddl_commands() JOIN pg_type ON oid = objid WHERE typtype = 'e' LOOP
		-- a stored label that does not exist any more was renamed to the new one
		SELECT array_agg(enumlabel::text) INTO labels FROM pg_enum WHERE enumtypid = enum;
		SELECT enumlabel INTO new_label FROM pg_enum
		WHERE enumtypid = enum AND soft_delete_internal.is_own_transaction(xmin) ORDER BY cmin::text::bigint DESC LIMIT 1;

		FOR item IN
			SELECT DISTINCT d.ctid, d.relation, d."row", d.types
			FROM soft_delete_internal.displaced AS d JOIN pg_attribute ON attrelid = d.relation AND NOT attisdropped AND d."row" ->> attname IS NOT NULL
				JOIN pg_type ON pg_type.oid = atttypid AND (pg_type.oid = enum OR (typelem = enum AND typcategory = 'A'))
		LOOP
			BEGIN
				PERFORM soft_delete_internal.rewrite_displaced(item.ctid, item."row" || jsonb_object_agg(attname, relabeled) FILTER (WHERE relabeled <> item."row" ->> attname), item.types)
				FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid AND (pg_type.oid = enum OR (typelem = enum AND typcategory = 'A')),
					LATERAL (SELECT array_agg(CASE WHEN label = ANY (labels) OR label IS NULL THEN label ELSE new_label END ORDER BY n)
							 FROM unnest(CASE typcategory WHEN 'A' THEN (item."row" ->> attname)::text[] ELSE ARRAY[item."row" ->> attname] END)
								WITH ORDINALITY AS u(label, n)) AS a(relabeled_labels),
					LATERAL (SELECT CASE typcategory WHEN 'A' THEN relabeled_labels::text ELSE relabeled_labels[1] END) AS r(relabeled)
				WHERE attrelid = item.relation AND NOT attisdropped AND item."row" ->> attname IS NOT NULL
				HAVING bool_or(relabeled <> item."row" ->> attname);
			EXCEPTION WHEN OTHERS THEN
				-- a row that cannot be read is a problem of its table, and must not keep others from altering the type
				PERFORM soft_delete_internal.warn_unreadable(item.relation, SQLSTATE, SQLERRM);
			END;
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_displaced_labels() IS
'for event triggers: renames the labels in displaced rows after ALTER TYPE ... RENAME VALUE';

/* 'tombstones': those in the table and those that are displaced */
CREATE FUNCTION soft_delete_internal.from_item(relation regclass, alias text, which text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- foreign keys do not include inheritance children
	SELECT CASE WHEN soft_delete_internal.is_aside(relation) AND which IN ('tombstones', 'deleted')
			THEN format('ONLY %s %s', soft_delete_internal.tombstones_in(relation), alias)
		WHEN soft_delete_internal.tag_arguments(relation) IS NULL OR soft_delete_internal.is_aside(relation) THEN concat(item, ' ', alias)
		WHEN which = 'tombstones' THEN format('(SELECT * FROM %1$s TABLESAMPLE soft_delete.rows(''deleted'') '
			'UNION ALL SELECT * FROM %1$s TABLESAMPLE soft_delete.rows(''displaced'')) AS %2$s', item, alias)
		ELSE format('%s %s TABLESAMPLE soft_delete.rows(%L)', item, alias, which) END
	FROM pg_class, concat(CASE WHEN relkind <> 'p' THEN 'ONLY ' END, relation) AS item
	WHERE pg_class.oid = relation
$$;
COMMENT ON FUNCTION soft_delete_internal.from_item(regclass, text, text) IS
'an item of a FROM clause: one side of a foreign key with its live rows, its deleted ones, all that are in the table, or the tombstones wherever they are stored';
