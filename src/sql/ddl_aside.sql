/*
 * The companion of a tagged table, how it follows the table, and the tag of tables whose
 * deleted rows are all kept aside.
 *
 * The companion has the columns of the table, by their names, and one for stamps, which a
 * tombstone column is, too.  It has no constraints and no defaults, and the base types of
 * domains: nothing that is changed about live rows meets a deleted one.  An inheritance
 * child, which may have columns of its own, has a companion that inherits from its
 * parent's.
 *
 * Where the owner wants that, a companion gets a table for each month, which inherits from
 * it (catalog/companion.c).  tag() and purges make them ahead, for this month and the next.
 */

CREATE FUNCTION soft_delete_internal.bind_companion(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_bind_companion';
COMMENT ON FUNCTION soft_delete_internal.bind_companion(regclass) IS
'makes the companion of a table, and the bin that reads it, depend on the table, so that DROP TABLE drops them';

CREATE FUNCTION soft_delete_internal.write_companion(relation regclass, statement text, evaluates boolean DEFAULT false) RETURNS bigint
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_write_companion';
COMMENT ON FUNCTION soft_delete_internal.write_companion(regclass, text, boolean) IS
'runs a statement of the extension that writes to the companion of a table, as the owner of the table; evaluates: as alter_as_owner() has it';

CREATE FUNCTION soft_delete_internal.companion_columns(relation regclass, OUT attnum smallint, OUT name name, OUT definition text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	-- the companion computes no virtual column
	RETURN QUERY
	SELECT attnum, attname, concat_ws(' ', format('%I %s', attname, format_type(base, base_typmod)),
		'COLLATE ' || (SELECT format('%I.%I', nspname, collname) FROM pg_collation JOIN pg_namespace AS n ON n.oid = collnamespace
					   WHERE pg_collation.oid = attcollation AND attcollation <> typcollation))
	FROM pg_attribute, soft_delete_internal.base_type(atttypid, atttypmod) JOIN pg_type ON pg_type.oid = base
	WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attgenerated <> 'v';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.companion_columns(regclass) IS
'the definitions of the columns of a companion that keep those of its table';

CREATE FUNCTION soft_delete_internal.companion_column(relation regclass, attnum smallint) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT definition FROM soft_delete_internal.companion_columns(relation) AS c WHERE c.attnum = companion_column.attnum);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.companion_column(regclass, smallint) IS
'the definition of the column of a companion that keeps a column of its table';

CREATE FUNCTION soft_delete_internal.free_column(relation regclass, name name, what text) RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT candidate FROM generate_series(1, 1600) AS n, soft_delete_internal.add_suffix(name, format(' (%s)', concat_ws(' ', what, nullif(n, 1)))) AS candidate
			WHERE NOT soft_delete_internal.has_column(relation, candidate) ORDER BY n LIMIT 1);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.free_column(regclass, name, text) IS
'a name that no column of a relation has, made of that of a column, and of what becomes of it in parentheses';

CREATE FUNCTION soft_delete_internal.has_stamp_index(companion regclass, tombstone name) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
				   JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
				   WHERE indrelid = companion AND attname = tombstone AND amname = 'btree' AND indisvalid AND indpred IS NULL);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.has_stamp_index(regclass, name) IS
'whether an index finds the rows of a companion by their stamps';

CREATE FUNCTION soft_delete_internal.index_columns(index regclass) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT string_agg(quote_ident(attname), ', ' ORDER BY n)
			FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam, unnest(indkey::smallint[]) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum)
			WHERE indexrelid = index AND attrelid = indrelid AND amname = 'btree' AND indisvalid AND NOT indisunique AND indpred IS NULL AND indexprs IS NULL AND indnatts = indnkeyatts);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.index_columns(regclass) IS
'the columns, in order, of an index that is an ordinary one of a companion; null for any other';

CREATE FUNCTION soft_delete_internal.make_companion_index(companion regclass, columns text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = companion AND soft_delete_internal.index_columns(indexrelid) = columns) THEN
		-- the owner may not create anything in its schema; the server builds an index as the owner of the table
		EXECUTE format('CREATE INDEX ON %s (%s)', companion, columns);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_companion_index(regclass, text) IS
'makes an index of a companion, unless it has one on these columns';

CREATE FUNCTION soft_delete_internal.make_companion_indexes(relation regclass, companion regclass, tombstone name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	key text;
BEGIN
	IF NOT soft_delete_internal.has_stamp_index(companion, tombstone) THEN
		PERFORM soft_delete_internal.make_companion_index(companion, quote_ident(tombstone));
	END IF;
	-- a restore, an erasure and a hold look for rows by their primary key
	SELECT string_agg(quote_ident(attname), ', ' ORDER BY n) INTO key
	FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum)
	WHERE conrelid = relation AND contype = 'p' AND attrelid = conrelid
	-- a DROP may be about to take columns of the key along
	HAVING bool_and(soft_delete_internal.has_column(companion, attname));
	IF key IS NOT NULL THEN
		PERFORM soft_delete_internal.make_companion_index(companion, key);
	END IF;
	PERFORM soft_delete_internal.make_companion_indexes(relation, month, tombstone) FROM soft_delete_internal.companion_months(companion) AS month;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_companion_indexes(regclass, regclass, name) IS
'makes the indexes of a companion and its months that they lack: on stamps, and on the primary key of the table';

CREATE FUNCTION soft_delete_internal.missing_reference_indexes(relation regclass, OUT key name, OUT place regclass, OUT rows bigint, OUT command text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT DISTINCT ON (p, columns) conname, p, least(reltuples, 9e18)::bigint, format('CREATE INDEX CONCURRENTLY ON %s (%s)', p, columns)
	FROM pg_constraint
		-- deleted children are looked for, and deleted rows that had the same key before
		CROSS JOIN LATERAL (VALUES (conrelid, conkey), (confrelid, confkey)) AS side(member, attnums)
		CROSS JOIN LATERAL (SELECT string_agg(quote_ident(attname), ', ' ORDER BY n), array_agg(attname) FROM unnest(attnums) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum) WHERE attrelid = member) AS k(columns, names)
		CROSS JOIN LATERAL unnest(soft_delete_internal.companion_places(member)) AS p JOIN pg_class ON pg_class.oid = p
	-- without an action of its own, the key hardly ever changes
	WHERE pg_constraint.oid IN (SELECT soft_delete_internal.foreign_keys_of(relation)) AND conparentid = 0 AND confupdtype IN ('c', 'n', 'd')
	  AND member IN (SELECT soft_delete_internal.inheritance_tree(relation)) AND soft_delete_internal.tag_arguments(conrelid) IS NOT NULL
	  -- fewer are read in a millisecond
	  AND reltuples >= 10000
	  AND NOT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
					  WHERE indrelid = p AND attname = ANY (names) AND indisvalid AND indpred IS NULL)
	ORDER BY p, columns, conname;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.missing_reference_indexes(regclass) IS
'the foreign keys whose ON UPDATE actions read all of many deleted rows of a table, in a companion or a month, and the command that makes an index for each';

CREATE FUNCTION soft_delete_internal.companion_constraint(relation regclass) RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- NO INHERIT fails where parent and child have constraints of one name that are not inherited
	RETURN concat_ws('_', 'soft_delete_companion', nullif(soft_delete_internal.inheritance_depth(relation), 1));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.companion_constraint(regclass) IS
'the name of the constraint by which the companion of a table names the table';

CREATE FUNCTION soft_delete_internal.make_companion(relation regclass, deleted_at name, companion_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning -- that columns are merged with those of a parent
AS $$
DECLARE
	class pg_class;
	name name := soft_delete_internal.free_name(companion_schema, soft_delete_internal.view_name(relation, '_tombstones'));
	companion regclass;
	command text;
BEGIN
	SELECT * INTO STRICT class FROM pg_class WHERE oid = relation;
	PERFORM soft_delete_internal.end_months_for_child(relation, inhparent) FROM pg_inherits WHERE inhrelid = relation;
	EXECUTE format('CREATE %s TABLE %s (%I timestamptz NOT NULL%s, CONSTRAINT %I CHECK (%L::regclass IS NOT NULL) NO INHERIT) %s USING heap',
		CASE class.relpersistence WHEN 't' THEN 'TEMPORARY' WHEN 'u' THEN 'UNLOGGED' END,
		CASE class.relpersistence WHEN 't' THEN quote_ident(name) ELSE format('%I.%I', companion_schema, name) END, deleted_at,
		(SELECT string_agg(', ' || definition, '' ORDER BY attnum) FROM soft_delete_internal.companion_columns(relation) AS c WHERE c.name <> deleted_at),
		soft_delete_internal.companion_constraint(relation), soft_delete_internal.qualified_name(relation),
		(SELECT 'INHERITS (' || string_agg(parent::text, ', ' ORDER BY inhseqno) || ')'
		 FROM pg_inherits, soft_delete_internal.own_companion(inhparent) AS parent WHERE inhrelid = relation AND parent IS NOT NULL));
	companion := CASE class.relpersistence WHEN 't' THEN quote_ident(name) ELSE format('%I.%I', companion_schema, name) END::regclass;
	-- large values are kept as the table keeps them
	FOR command IN
		SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', companion, attname,
			CASE own.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END)
		FROM pg_attribute AS own JOIN pg_attribute AS kept USING (attname)
		WHERE own.attrelid = relation AND kept.attrelid = companion AND own.attnum > 0 AND NOT own.attisdropped AND own.attstorage <> kept.attstorage
	LOOP
		EXECUTE command;
	END LOOP;
	PERFORM soft_delete_internal.make_companion_trigger(companion, deleted_at);
	PERFORM soft_delete_internal.set_comment('pg_class', companion, 0, soft_delete_internal.companion_comment(relation::text));
	PERFORM soft_delete_internal.explain_parts(companion);
	-- not replicated, even where a publication has all tables, until somebody asks for it
	EXECUTE format('ALTER TABLE %s REPLICA IDENTITY NOTHING, OWNER TO %I', companion, pg_get_userbyid(class.relowner));
	-- default privileges for tables are not meant for it
	PERFORM soft_delete_internal.set_grants(companion, NULL, NULL);
	PERFORM soft_delete_internal.make_companion_indexes(relation, companion, deleted_at);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_companion(regclass, name, name) IS
'creates the companion of a table, owned like the table, and at first readable by the owner alone';

CREATE FUNCTION soft_delete_internal.end_months_for_child(relation regclass, parent regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	companion regclass := soft_delete_internal.own_companion(parent);
	months regclass[] := ARRAY(SELECT soft_delete_internal.companion_months(companion));
	month regclass;
BEGIN
	IF months = '{}' AND soft_delete_internal.companion_month(companion) IS NULL THEN
		RETURN;
	END IF;
	FOREACH month IN ARRAY months LOOP
		EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', month);
		-- by its file, for a row may be there that the snapshot does not see
		IF pg_relation_size(month) > 0 THEN
			RAISE EXCEPTION 'table "%" cannot inherit from table "%", whose deleted rows are in a table for each month', relation, parent
				USING ERRCODE = 'feature_not_supported',
					DETAIL = 'Foreign keys must tell deleted rows of a table from those of its inheritance children.';
		END IF;
	END LOOP;
	PERFORM soft_delete_internal.drop_month(m) FROM unnest(months) AS m;
	PERFORM soft_delete_internal.make_companion_trigger(companion, soft_delete_internal.companion_stamp(companion), '');
	RAISE NOTICE 'deleted rows of table "%" are not kept in a table for each month any more', parent
		USING DETAIL = format('Table %s inherits from it.', relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.end_months_for_child(regclass, regclass) IS
'takes the months, which are empty, from the companion of a table that gets an inheritance child; raises 0A000 if one has, or had, rows';

CREATE FUNCTION soft_delete_internal.make_month(relation regclass, companion regclass, month text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	class pg_class;
	schema name;
	name name;
BEGIN
	SELECT * INTO STRICT class FROM pg_class WHERE oid = companion;
	schema := (SELECT nspname FROM pg_namespace WHERE oid = class.relnamespace);
	name := (SELECT candidate FROM generate_series(1, 1600) AS n, soft_delete_internal.add_suffix(class.relname, concat('_', replace(month, '-', '_'), '_' || nullif(n, 1))) AS candidate
			 WHERE to_regclass(format('%I.%I', schema, candidate)) IS NULL ORDER BY n LIMIT 1);
	-- NO INHERIT fails where parent and child have constraints of one name
	EXECUTE format('CREATE %s TABLE %I.%I (CONSTRAINT %I CHECK (%L::regclass IS NOT NULL) NO INHERIT) INHERITS (%s) USING heap',
		CASE class.relpersistence WHEN 'u' THEN 'UNLOGGED' END, schema, name, 'soft_delete_companion_' || replace(month, '-', '_'),
		soft_delete_internal.qualified_name(relation), companion);
	EXECUTE format('ALTER TABLE %I.%I REPLICA IDENTITY %s', schema, name, CASE class.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END);
	PERFORM soft_delete_internal.make_companion_trigger(format('%I.%I', schema, name)::regclass, soft_delete_internal.companion_stamp(companion), month);
	EXECUTE format('COMMENT ON TABLE %I.%I IS %L', schema, name, soft_delete_internal.companion_comment(relation::text));
	EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', schema, name, pg_get_userbyid(class.relowner));
	PERFORM soft_delete_internal.set_grants(format('%I.%I', schema, name)::regclass, NULL, class.relacl);
	PERFORM soft_delete_internal.make_companion_indexes(relation, format('%I.%I', schema, name)::regclass, soft_delete_internal.companion_stamp(companion));
	-- those that its owner has made for foreign keys
	PERFORM soft_delete_internal.make_companion_index(format('%I.%I', schema, name)::regclass, columns)
	FROM pg_index, soft_delete_internal.index_columns(indexrelid) AS columns WHERE indrelid = companion AND columns IS NOT NULL;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_month(regclass, regclass, text) IS
'creates the table for one month of a companion, like the companion';

CREATE FUNCTION soft_delete_internal.make_months(relation regclass) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	companion regclass := soft_delete_internal.own_companion(relation);
	month text;
	missing text[] := ARRAY(SELECT to_char((clock_timestamp() AT TIME ZONE 'UTC') + n * interval '1 month', 'YYYY-MM') FROM generate_series(0, 1) AS n);
BEGIN
	IF companion IS NULL OR soft_delete_internal.companion_month(companion) IS DISTINCT FROM 'monthly' THEN
		RETURN NULL;
	END IF;
	missing := ARRAY(SELECT n FROM unnest(missing) AS n EXCEPT SELECT soft_delete_internal.companion_month(m) FROM soft_delete_internal.companion_months(companion) AS m ORDER BY n);
	IF missing = '{}' THEN
		RETURN '{}';
	END IF;
	BEGIN
		-- a DELETE waits for none of this; another session that makes them, or a VACUUM, does not wait either
		EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE NOWAIT', companion);
	EXCEPTION WHEN lock_not_available THEN
		RETURN '{}';
	END;
	FOREACH month IN ARRAY missing LOOP
		CONTINUE WHEN EXISTS (SELECT FROM soft_delete_internal.companion_months(companion) AS m WHERE soft_delete_internal.companion_month(m) = month);
		PERFORM soft_delete_internal.make_month(relation, companion, month);
	END LOOP;
	PERFORM soft_delete_internal.bind_companion(relation);
	RETURN ARRAY(SELECT m::text FROM soft_delete_internal.companion_months(companion) AS m WHERE soft_delete_internal.companion_month(m) = ANY (missing));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_months(regclass) IS
'creates the tables for this month and the next one of a companion that gets months, unless another session is at it, and returns their names';

CREATE FUNCTION soft_delete_internal.drop_month(month regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('DROP TABLE %s', month);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_month(regclass) IS
'drops the table for a month of a companion, whose rows a purge has counted and found due';

CREATE FUNCTION soft_delete_internal.may_be_monthly(relation regclass) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT NOT (relpersistence = 't' OR relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE relation IN (inhparent, inhrelid))) FROM pg_class WHERE oid = relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.may_be_monthly(regclass) IS
'whether the companion of a table can have months: the table is not temporary, and no part of an inheritance tree';

CREATE FUNCTION soft_delete_internal.check_monthly(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete_internal.may_be_monthly(relation) THEN
		RAISE EXCEPTION 'cannot keep deleted rows of table "%" in a table for each month', relation
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'It is temporary, or has inheritance children or a parent.',
				HINT = format('SELECT soft_delete.tag(%L, storage => ''aside'');', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_monthly(regclass) IS
'raises 0A000 for a table whose companion can have no months';

CREATE FUNCTION soft_delete_internal.gets_months(relation regclass) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN coalesce(soft_delete_internal.companion_month(soft_delete_internal.companion_of(relation)) = 'monthly', false);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.gets_months(regclass) IS
'whether the companion of a table, or of the root that it belongs to, gets months';

CREATE FUNCTION soft_delete_internal.storage_of_new_child(child regclass, parent regclass) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN CASE WHEN NOT soft_delete_internal.is_aside(parent) THEN 'in_place'
		WHEN soft_delete_internal.gets_months(parent)
			AND NOT EXISTS (SELECT FROM unnest(soft_delete_internal.tagged_together(child, true)) AS m WHERE NOT soft_delete_internal.may_be_monthly(m)) THEN 'aside_monthly'
		ELSE 'aside' END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.storage_of_new_child(regclass, regclass) IS
'the storage with which a table is tagged that a foreign key makes a child of a tagged one: that of the parent, without months where it can have none';

CREATE FUNCTION soft_delete_internal.set_monthly(relation regclass, monthly boolean) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	companion regclass := soft_delete_internal.own_companion(relation);
BEGIN
	IF monthly IS NULL OR companion IS NULL OR monthly = coalesce(soft_delete_internal.companion_month(companion) = 'monthly', false) THEN
		RETURN '{}';
	END IF;
	PERFORM soft_delete_internal.make_companion_trigger(companion, soft_delete_internal.companion_stamp(companion), CASE WHEN monthly THEN 'monthly' ELSE '' END);
	IF NOT monthly THEN
		RAISE NOTICE 'the companion of table "%" gets no months any more', relation
			USING DETAIL = 'Those that it has stay until a purge drops them.';
	END IF;
	RETURN ARRAY(SELECT format('creates table %s, for a month of deleted rows', m) FROM unnest(soft_delete_internal.make_months(relation)) AS m);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.set_monthly(regclass, boolean) IS
'says whether the companion of a table gets months, and makes the first; those that it has stay until a purge drops them';

CREATE FUNCTION soft_delete_internal.missing_companions(relation regclass, OUT member regclass, OUT schema name)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	SELECT m, nspname FROM soft_delete_internal.inheritance_tree(relation) AS m JOIN pg_class ON pg_class.oid = m JOIN pg_namespace AS n ON n.oid = relnamespace
	WHERE NOT relispartition AND soft_delete_internal.own_companion(m) IS NULL
	-- that of a child inherits from that of its parent
	ORDER BY soft_delete_internal.inheritance_depth(m), m;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.missing_companions(regclass) IS
'the table, and those of its inheritance children, that have no companion, and their schemas; parents come first';

/* Who may use the schema can make a view upon a companion, without any right on that, and so can who owns the table. */
CREATE FUNCTION soft_delete_internal.place_dependents(places regclass[], bins regclass[], OUT classid oid, OUT objid oid, OUT objsubid integer) RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT d.classid, d.objid, d.objsubid FROM soft_delete_internal.direct_dependents(places) AS d
	WHERE deptype = 'n'
	  -- what inherits from them, or is a part of them or of a bin
	  AND NOT (d.classid = 'pg_class'::regclass AND d.objid = ANY (places)) AND (part_of = ANY (places || bins)) IS NOT TRUE;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.place_dependents(regclass[], regclass[]) IS
'what depends on companions and their months, but for bins';

CREATE FUNCTION soft_delete_internal.count_month_dependents(month regclass) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT count(*) FROM soft_delete_internal.place_dependents(ARRAY[month], '{}')
$$;
COMMENT ON FUNCTION soft_delete_internal.count_month_dependents(regclass) IS
'how many objects depend on a month of a companion: a purge does not drop it then';

CREATE FUNCTION soft_delete_internal.companion_dependents(relation regclass, OUT description text, OUT command text, OUT drops_rows boolean) RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT pg_describe_object(classid, objid, objsubid),
		CASE type WHEN 'table column' THEN format('ALTER TABLE %s DROP COLUMN %I CASCADE', objid::regclass, (SELECT attname FROM pg_attribute WHERE attrelid = objid AND attnum = objsubid))
			ELSE format('DROP %s %s CASCADE', upper(type), identity) END,
		objsubid > 0 OR soft_delete_internal.drops_rows(classid, objid)
	FROM soft_delete_internal.place_dependents(
			ARRAY(SELECT place FROM soft_delete_internal.inheritance_tree(relation) AS member, unnest(soft_delete_internal.companion_places(member)) AS place
				  WHERE soft_delete_internal.own_companion(member) IS NOT NULL),
			ARRAY(SELECT bin FROM soft_delete_internal.inheritance_tree(relation) AS member, soft_delete_internal.bin_of(member) AS bin WHERE bin IS NOT NULL)) AS d, pg_identify_object(classid, objid, objsubid)
	ORDER BY classid, objid;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.companion_dependents(regclass) IS
'what depends on the companion of a table, but for its bin, and the commands that drop it; drops_rows: columns or rows of other tables would go with it';

CREATE FUNCTION soft_delete_internal.drop_companion_dependents(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	-- one may take along others
	LOOP
		SELECT * INTO item FROM soft_delete_internal.companion_dependents(relation) LIMIT 1;
		EXIT WHEN NOT FOUND;
		RAISE NOTICE 'drop cascades to %', item.description;
		EXECUTE item.command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_companion_dependents(regclass) IS
'drops what depends on the companion of a table, but for its bin';

CREATE FUNCTION soft_delete_internal.check_companion_dependents(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	SELECT min(description) AS description, bool_or(drops_rows) AS drops_rows INTO item FROM soft_delete_internal.companion_dependents(relation);
	IF item.description IS NOT NULL THEN
		PERFORM soft_delete_internal.refuse('2BP01', format('cannot drop the companion of table "%s" because other objects depend on it', relation),
			format('%s depends on %s.', item.description, soft_delete_internal.own_companion(relation)),
			CASE WHEN NOT item.drops_rows THEN format('DROP VIEW %s CASCADE;', soft_delete_internal.bin_of(relation)) END);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_companion_dependents(regclass) IS
'raises 2BP01 if another object than the bin depends on the companion of a table';

CREATE FUNCTION soft_delete_internal.drop_companions(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	companions text := (SELECT string_agg(place::text, ', ') FROM soft_delete_internal.inheritance_tree(relation) AS member, unnest(soft_delete_internal.companion_places(member)) AS place
						WHERE soft_delete_internal.own_companion(member) IS NOT NULL);
BEGIN
	IF companions IS NOT NULL THEN
		EXECUTE format('DROP TABLE %s', companions);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_companions(regclass) IS
'drops the companions of a table and of its inheritance children';

CREATE FUNCTION soft_delete_internal.companion_comment(relation text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN format('deleted rows of %s: its bin lists, restores and purges them', relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.companion_comment(text) IS
'the comment of the companion of a table';

CREATE FUNCTION soft_delete_internal.out_of_line_width(relation regclass) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT sum(pg_relation_size(reltoastrelid)) / nullif(soft_delete_internal.estimated_rows(relation), 0)
			FROM soft_delete_internal.inheritance_tree(relation) AS member JOIN pg_class ON oid = member WHERE reltoastrelid <> 0);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.out_of_line_width(regclass) IS
'how many bytes a row of a table has out of line on average, as the size of the TOAST table says; null where statistics know of no row';

CREATE FUNCTION soft_delete_internal.warn_of_wide_rows(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	width bigint := soft_delete_internal.out_of_line_width(relation);
BEGIN
	IF width >= 1000 THEN
		RAISE NOTICE 'rows of table "%" have % out of line on average, which a DELETE copies to the companion', relation, pg_size_pretty(width)
			USING DETAIL = 'In place they would stay where they are.', HINT = format('SELECT soft_delete.tag(%L, storage => ''in_place'');', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.warn_of_wide_rows(regclass) IS
'tells that deletes from a table copy wide values, where its deleted rows are kept aside';

CREATE FUNCTION soft_delete_internal.execute_aside_tag(relation regclass, deleted_at name, views name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[] := soft_delete_internal.tag_arguments(relation);
	item record;
	has_changed boolean := false;
	has_triggers boolean := false;
BEGIN
	IF arguments IS NULL THEN
		arguments := array_remove(ARRAY[deleted_at, 'storage:aside', 'views:' || views]::text[], NULL);
	END IF;
	FOR item IN SELECT * FROM soft_delete_internal.plan_tag(relation, deleted_at, NULL, views, 'aside') ORDER BY action = 'create bin' LOOP
		CASE item.action
			WHEN 'create companion' THEN
				PERFORM soft_delete_internal.make_companion(item.object, deleted_at, item.detail::name);
			WHEN 'create trigger' THEN
				IF NOT has_triggers THEN
					PERFORM soft_delete_internal.make_triggers(relation, arguments);
				END IF;
				has_triggers := true;
			WHEN 'create bin' THEN
				PERFORM soft_delete_internal.make_bin(relation, deleted_at, item.detail::name);
		END CASE;
		has_changed := true;
	END LOOP;
	PERFORM soft_delete_internal.bind_companion(member) FROM soft_delete_internal.inheritance_tree(relation) AS member
	WHERE soft_delete_internal.own_companion(member) IS NOT NULL;
	PERFORM soft_delete_internal.make_reference_triggers(relation);
	IF NOT has_changed THEN
		RAISE NOTICE 'table "%" is already tagged', relation;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.execute_aside_tag(regclass, name, name) IS
'puts the tag on one table whose deleted rows are kept aside; check_tags() has made the refusals';

/*
 * Change of storage: tag() with the other one.  The bin is replaced, with what depends on
 * it and who may read it; the companion stays, and everything else goes as by untag() and
 * comes as by tag().  To aside, the tombstones of the table move to the companion.  To in
 * place, they stay there, as those do that have stepped aside.  The table is locked
 * against everybody.
 */
CREATE FUNCTION soft_delete_internal.move_aside(relation regclass, batch_size integer) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_move_aside';
COMMENT ON FUNCTION soft_delete_internal.move_aside(regclass, integer) IS
'does soft_delete.move_aside()';

CREATE FUNCTION soft_delete_internal.drop_in_place_parts(relation regclass, tombstone name, remembered text[], drops_column boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	active regclass := soft_delete_internal.active_view_of(relation);
BEGIN
	IF active IS NOT NULL THEN
		EXECUTE format('DROP VIEW %s', active);
	END IF;
	PERFORM soft_delete_internal.drop_bin_indexes(relation, remembered);
	PERFORM soft_delete_internal.convert_indexes_back(relation, tombstone, CASE WHEN drops_column THEN '{}' ELSE remembered END);
	IF drops_column THEN
		PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s DROP COLUMN %I', relation, tombstone));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_in_place_parts(regclass, name, text[], boolean) IS
'takes what tag() has made in a table whose deleted rows have moved aside: the view of live rows, indexes and, if drops_column, the tombstone column, and gives constraints back; without the column, no index can be partial on it';

CREATE FUNCTION soft_delete_internal.rename_stamps(relation regclass, new_name name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	companion regclass := soft_delete_internal.companion_of(relation);
	old_name name := soft_delete_internal.companion_stamp(companion);
BEGIN
	IF old_name <> new_name THEN
		-- of a column that the table has adopted as its tombstone column, the values stay
		IF soft_delete_internal.has_column(companion, new_name) THEN
			PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s RENAME COLUMN %I TO %I', companion, new_name,
				soft_delete_internal.free_column(companion, new_name, 'before')));
		END IF;
		PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s RENAME COLUMN %I TO %I', companion, old_name, new_name));
		PERFORM soft_delete_internal.make_companion_trigger(member, new_name) FROM soft_delete_internal.inheritance_tree(companion) AS member;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_stamps(regclass, name) IS
'renames the column for stamps of the companion of a table, and of those that inherit from it';

CREATE FUNCTION soft_delete_internal.change_to_aside(relation regclass, deleted_at name, views name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tombstone name := (soft_delete_internal.tag_arguments(relation))[1];
	remembered text[];
	bin regclass := soft_delete_internal.bin_of(relation);
	companion_schema name;
	own_schema name := (SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation);
BEGIN
	SELECT coalesce(array_agg(DISTINCT argument), '{}') INTO remembered
	FROM soft_delete_internal.inheritance_tree(relation) AS m, unnest((soft_delete_internal.tag_arguments(m))[2:]) AS argument;
	PERFORM soft_delete_internal.make_companion(p.object, tombstone, p.detail::name)
	FROM soft_delete_internal.plan_tag(relation, deleted_at, NULL, views, 'aside') AS p WHERE p.action = 'create companion';
	PERFORM soft_delete_internal.move_aside(relation, NULL);
	PERFORM soft_delete_internal.rename_stamps(relation, deleted_at);
	PERFORM soft_delete_internal.drop_triggers(relation);
	companion_schema := (SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = soft_delete_internal.companion_of(relation));
	PERFORM soft_delete_internal.make_triggers(relation, array_remove(ARRAY[deleted_at, 'storage:aside',
		CASE WHEN companion_schema <> own_schema AND NOT pg_is_other_temp_schema(to_regnamespace(quote_ident(companion_schema))) AND to_regnamespace(quote_ident(companion_schema)) <> pg_my_temp_schema() THEN 'views:' || companion_schema END]::text[], NULL));
	PERFORM soft_delete_internal.recreate_view(bin, relation, soft_delete_internal.aside_query(relation, deleted_at, ARRAY[tombstone]),
		format('SELECT soft_delete_internal.drop_in_place_parts(%L, %L, %L, %L)', relation::oid::regclass, tombstone, remembered, tombstone = deleted_at));
	PERFORM soft_delete_internal.align_companion(member), soft_delete_internal.bind_companion(member) FROM soft_delete_internal.inheritance_tree(relation) AS member
	WHERE soft_delete_internal.own_companion(member) IS NOT NULL;
	PERFORM soft_delete_internal.make_reference_triggers(relation);
	IF tombstone <> deleted_at THEN
		RAISE NOTICE 'column "%" of table "%" stays', tombstone, relation
			USING DETAIL = 'It is an ordinary column now.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.change_to_aside(regclass, name, name) IS
'moves the deleted rows of a table that is tagged in place to its companion; check_tags() has made the refusals, and locked the table';

CREATE FUNCTION soft_delete_internal.change_to_in_place(relation regclass, deleted_at name, indexes text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bin regclass := soft_delete_internal.bin_of(relation);
BEGIN
	PERFORM soft_delete_internal.drop_triggers(relation);
	PERFORM soft_delete_internal.rename_stamps(relation, deleted_at);
	PERFORM soft_delete_internal.execute_tag(relation, deleted_at, indexes, NULL);
	bin := soft_delete_internal.recreate_view(bin, relation, soft_delete_internal.bin_query(relation, deleted_at));
	PERFORM soft_delete_internal.bind_view(bin, relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.change_to_in_place(regclass, name, text) IS
'has a table keep deleted rows in place from now on; those of before stay in its companion; check_tags() has made the refusals, and locked the table';

CREATE FUNCTION soft_delete_internal.untag_aside(relation regclass, tombstones text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete_internal.tag_arguments(relation))[1];
	bin regclass;
	companion regclass;
	bridge text[] := soft_delete_internal.bridge_arguments(relation);
	returns_rows boolean := tombstones = 'keep' AND bridge IS NOT NULL;
	has_tombstones boolean;
BEGIN
	PERFORM soft_delete_internal.check_holds(relation, 'untag');
	PERFORM soft_delete_internal.check_companion_dependents(relation);
	bin := soft_delete_internal.bin_of(relation);
	companion := soft_delete_internal.companion_of(relation);
	IF companion IS NOT NULL THEN
		IF tombstones = 'purge' THEN
			PERFORM soft_delete_internal.execute_as_owner(relation, 'DELETE FROM ' || soft_delete_internal.qualified_name(bin));
		ELSIF tombstones = 'keep' AND NOT returns_rows THEN
			PERFORM soft_delete_internal.execute_as_owner(relation, format('UPDATE %s SET %I = NULL', soft_delete_internal.qualified_name(bin), deleted_at));
		END IF;
		SELECT answer INTO has_tombstones FROM soft_delete_internal.query_as_owner(relation, format('SELECT EXISTS (SELECT FROM %s)', companion)) AS q(answer boolean);
		IF has_tombstones AND NOT returns_rows THEN
			RAISE EXCEPTION 'table "%" has deleted rows', relation
				USING ERRCODE = 'object_not_in_prerequisite_state',
					DETAIL = coalesce('They would go with the tag. With tombstones => ''keep'' they return to the table, and column "' || bridge[1] || '" says that they are deleted.',
						'They would go with the tag. With tombstones => ''keep'' they become live rows.'),
					HINT = format('SELECT * FROM %s;', bin);
		END IF;
	END IF;
	PERFORM soft_delete_internal.drop_triggers(relation);
	IF returns_rows THEN
		-- the application goes on as before: no trigger fires
		PERFORM soft_delete_internal.make_tombstones_live(relation, deleted_at, '{}');
	END IF;
	IF bin IS NOT NULL THEN
		EXECUTE format('DROP VIEW %s', bin);
	END IF;
	PERFORM soft_delete_internal.drop_companions(relation);
	PERFORM soft_delete_internal.make_reference_triggers(relation);
	DELETE FROM soft_delete_internal.retention AS r WHERE r.relation = untag_aside.relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag_aside(regclass, text) IS
'takes the tag off one table whose deleted rows are kept aside, and which is locked, with its bin and its companion, which must be empty by then';

CREATE FUNCTION soft_delete_internal.move_tombstones(relation regclass, target regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	companion regclass := soft_delete_internal.companion_of(relation);
	tombstone name := (soft_delete_internal.tag_arguments(relation))[1];
	target_tombstone name := (soft_delete_internal.tag_arguments(target))[1];
	columns text;
	moved bigint;
BEGIN
	-- statements on a companion are refused where all tables are published, until it has a replica identity
	IF (SELECT NOT any_row FROM soft_delete_internal.query_as_owner(relation, format('SELECT EXISTS (SELECT FROM %s)', companion)) AS q(any_row boolean)) THEN
		RETURN;
	END IF;
	SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
	FROM pg_attribute WHERE attrelid = companion AND attnum > 0 AND NOT attisdropped AND attname <> tombstone;
	moved := soft_delete_internal.write_companion(target, format('INSERT INTO %s (%s) SELECT %s FROM %s',
		soft_delete_internal.companion_of(target), concat_ws(', ', quote_ident(target_tombstone), columns), concat_ws(', ', quote_ident(tombstone), columns), companion));
	IF moved <> soft_delete_internal.write_companion(target, format('DELETE FROM %s', companion)) THEN
		RAISE EXCEPTION 'triggers of companions keep deleted rows of table "%" from moving to those of table "%"', relation, target
			USING ERRCODE = 'triggered_data_change_violation';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.move_tombstones(regclass, regclass) IS
'moves the deleted rows of a table, which becomes a partition of another one, to the companion of that';

/*
 * How the companion follows its table.  Its own columns are altered while the bin, which
 * reads them, is dropped; recreate_view() creates that again.
 */
CREATE FUNCTION soft_delete_internal.using_expression(command pg_ddl_command, relation regclass, attnum smallint) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_using_expression';
COMMENT ON FUNCTION soft_delete_internal.using_expression(pg_ddl_command, regclass, smallint) IS
'for event triggers: the expression of ALTER COLUMN ... TYPE ... USING for a column of a table; null if a command has none, or if it names a column that the command drops';

CREATE FUNCTION soft_delete_internal.using_expressions(relation regclass) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT jsonb_object_agg(attname, expression)
			FROM pg_event_trigger_ddl_commands() JOIN pg_attribute ON attrelid = relation AND attnum > 0 AND NOT attisdropped,
				soft_delete_internal.using_expression(command, attrelid, attnum) AS expression
			-- the companion of an inheritance child inherits what that of its parent gets
			WHERE command_tag = 'ALTER TABLE' AND attinhcount = 0 AND expression IS NOT NULL);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.using_expressions(regclass) IS
'for event triggers: by which expressions a command computes columns of a table anew, by the names of the columns; null if there is none';

CREATE FUNCTION soft_delete_internal.try_to_run(relation regclass, statement text, writes boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF writes THEN
		PERFORM soft_delete_internal.write_companion(relation, statement, evaluates => true);
	ELSE
		PERFORM soft_delete_internal.alter_as_owner(relation, statement, evaluates => true);
	END IF;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	IF soft_delete_internal.must_propagate(SQLSTATE) OR SQLSTATE = '55P03' THEN
		RAISE;
	END IF;
	RETURN SQLSTATE;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.try_to_run(regclass, text, boolean) IS
'runs a utility command with expressions of the owner of a table or, if writes, a statement that writes to its companion, as that owner; where it fails, nothing is changed, and its SQLSTATE is the result';

CREATE FUNCTION soft_delete_internal.try_to_convert(relation regclass, companion regclass, columns name[], command text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	index regclass;
	state text := soft_delete_internal.try_to_run(relation, command);
BEGIN
	-- a type without an order can have no index; those that are needed are made again
	IF state IS DISTINCT FROM '42704' THEN
		RETURN state;
	END IF;
	FOR index IN
		SELECT DISTINCT indexrelid FROM soft_delete_internal.inheritance_tree(companion) AS place JOIN pg_index ON indrelid = place
			JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
		WHERE attname = ANY (columns)
	LOOP
		PERFORM soft_delete_internal.alter_as_owner(relation, format('DROP INDEX %s', index));
	END LOOP;
	RETURN soft_delete_internal.try_to_run(relation, command);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.try_to_convert(regclass, regclass, name[], text) IS
'runs a command that gives columns of a companion other types, as try_to_run() does, and drops indexes that these types cannot have';

CREATE FUNCTION soft_delete_internal.convert_range(relation regclass, place regclass, first_block bigint, last_block bigint, assignment text, keeping text, is_left text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	condition text := format('ctid >= ''(%s,0)'' AND ctid < ''(%s,0)'' AND %s', first_block, last_block + 1, is_left);
	middle bigint := (first_block + last_block) / 2;
	lost bigint := 0;
	tuple tid;
BEGIN
	IF first_block > last_block OR soft_delete_internal.try_to_run(relation, format('UPDATE ONLY %s SET %s WHERE %s', place, assignment, condition), writes => true) IS NULL THEN
		RETURN 0;
	ELSIF first_block < last_block THEN
		RETURN soft_delete_internal.convert_range(relation, place, first_block, middle, assignment, keeping, is_left)
			+ soft_delete_internal.convert_range(relation, place, middle + 1, last_block, assignment, keeping, is_left);
	END IF;
	FOR tuple IN SELECT r FROM soft_delete_internal.query_as_owner(relation, format('SELECT ctid FROM ONLY %s WHERE %s', place, condition)) AS q(r tid) LOOP
		IF soft_delete_internal.try_to_run(relation, format('UPDATE ONLY %s SET %s WHERE ctid = %L', place, assignment, tuple), writes => true) IS NOT NULL THEN
			lost := lost + soft_delete_internal.write_companion(relation, format('UPDATE ONLY %s SET %s AND ctid = %L', place, keeping, tuple));
		END IF;
	END LOOP;
	RETURN lost;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.convert_range(regclass, regclass, bigint, bigint, text, text, text) IS
'makes an assignment to the rows in some blocks of a companion or month, and another one, keeping, which has a condition, to those for which that fails; is_left: a condition that these fulfil no longer; returns their number';

CREATE FUNCTION soft_delete_internal.convert_by_rows(relation regclass, companion regclass, "column" name, new_type text, old_type text, expression text) RETURNS name
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	converted name := soft_delete_internal.free_column(companion, "column", 'converted');
	kept name := soft_delete_internal.free_column(companion, "column", left(old_type, 20));
	keeping text := format('%1$I = %2$I::text WHERE %2$I IS NOT NULL', kept, "column");
	assignment text;
	candidate text;
	lost bigint;
BEGIN
	PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s ADD COLUMN %I %s, ADD COLUMN %I text', companion, converted, new_type, kept));
	-- the expression may not be one of the companion: its function may be another role's, or there is no such cast
	FOREACH candidate IN ARRAY array_remove(ARRAY[expression, quote_ident("column"), format('%I::text::%s', "column", new_type)], NULL) LOOP
		assignment := format('%I = %s', converted, candidate);
		EXIT WHEN coalesce(left(soft_delete_internal.try_to_run(relation, format('UPDATE %s SET %s WHERE false', companion, assignment), writes => true), 2), '') NOT IN ('42', '0A');
	END LOOP;
	IF soft_delete_internal.is_sharded(relation) THEN
		-- Citus updates the rows of all shards
		lost := CASE WHEN soft_delete_internal.try_to_run(relation, format('UPDATE %s SET %s', companion, assignment), writes => true) IS NULL THEN 0
				ELSE soft_delete_internal.write_companion(relation, format('UPDATE %s SET %s', companion, keeping)) END;
	ELSE
		SELECT sum(soft_delete_internal.convert_range(relation, place, 0, pg_relation_size(place) / current_setting('block_size')::integer - 1, assignment, keeping, format('%I IS NULL', kept))) INTO lost
		FROM soft_delete_internal.inheritance_tree(companion) AS place;
	END IF;
	IF lost = 0 THEN
		PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s DROP COLUMN %I', companion, kept));
	ELSE
		-- nothing is lost: the values stay as text in a column of another name
		RAISE WARNING 'deleted rows of table "%" have no value in column "%" any more', relation, "column"
			USING ERRCODE = '01000', DETAIL = format('Not all values of type %s can be converted to %s. So many are in column %I of %s: %s.', old_type, new_type, kept, companion, lost);
	END IF;
	RETURN converted;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.convert_by_rows(regclass, regclass, name, text, text, text) IS
'adds a column of another type to a companion, with the values that a column of it is converted to; where that fails for a row, its value is kept as text in a further column; returns the name';

CREATE FUNCTION soft_delete_internal.convert_companion_columns(relation regclass, companion regclass, expressions jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	columns name[];
	types text[];
	old_types text[];
	given text[];
	converted name[];
	form text;
	command text;
	state text;
BEGIN
	SELECT array_agg(own.attname ORDER BY own.attnum), array_agg(substr(definition, length(quote_ident(own.attname)) + 2) ORDER BY own.attnum),
		array_agg(format_type(kept.atttypid, kept.atttypmod) ORDER BY own.attnum), array_agg(expressions ->> own.attname ORDER BY own.attnum)
	INTO columns, types, old_types, given
	FROM pg_attribute AS own JOIN pg_attribute AS kept ON kept.attrelid = companion AND kept.attname = own.attname AND NOT kept.attisdropped,
		soft_delete_internal.companion_column(relation, own.attnum) AS definition
	WHERE own.attrelid = relation AND own.attnum > 0 AND NOT own.attisdropped AND own.attname IS DISTINCT FROM soft_delete_internal.companion_stamp(companion)
	  AND (expressions ? own.attname::text
		   OR own.attnum IN (SELECT c.attnum FROM soft_delete_internal.companion_changes(relation, companion) AS c WHERE c.kept_type IS NOT NULL));
	IF columns IS NULL THEN
		RETURN;
	END IF;
	-- all at once, for expressions are about the values of before; where none is known, an assignment converts the value, or its text
	FOREACH form IN ARRAY ARRAY['%1$I', '%1$I::text::%2$s'] LOOP
		command := (SELECT format('ALTER TABLE %s ', companion) || string_agg(format('ALTER COLUMN %I TYPE %s USING %s', c, t, coalesce(e, format(form, c, t))), ', ')
					FROM unnest(columns, types, given) AS u(c, t, e));
		state := soft_delete_internal.try_to_convert(relation, companion, columns, command);
		IF state IS NULL THEN
			RETURN;
		END IF;
		-- a cast of a value that an assignment does not take might cut it off
		EXIT WHEN array_position(given, NULL) IS NULL OR left(state, 2) NOT IN ('42', '0A');
	END LOOP;
	converted := ARRAY(SELECT soft_delete_internal.convert_by_rows(relation, companion, c, t, o, e) FROM unnest(columns, types, old_types, given) AS u(c, t, o, e));
	command := (SELECT format('ALTER TABLE %s ', companion) || string_agg(format('ALTER COLUMN %I TYPE %s USING %I', c, t, n), ', ')
				FROM unnest(columns, types, converted) AS u(c, t, n));
	IF soft_delete_internal.try_to_convert(relation, companion, columns, command) IS NOT NULL THEN
		-- with its own error
		PERFORM soft_delete_internal.alter_as_owner(relation, command);
	END IF;
	PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s DROP COLUMN %I', companion, n)) FROM unnest(converted) AS n;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.convert_companion_columns(regclass, regclass, jsonb) IS
'gives columns of a companion the types that those of its table have now, and computes them anew by the expressions of the command that are given by their names';

CREATE FUNCTION soft_delete_internal.add_companion_column(relation regclass, companion regclass, attnum smallint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	definition text := soft_delete_internal.companion_column(relation, attnum);
	own pg_attribute;
	expression text;
BEGIN
	SELECT * INTO own FROM pg_attribute WHERE attrelid = relation AND pg_attribute.attnum = add_companion_column.attnum;
	SELECT pg_get_expr(adbin, adrelid) INTO expression FROM pg_attrdef WHERE adrelid = relation AND adnum = attnum;
	IF own.attidentity <> '' THEN
		expression := format('nextval(%L)', pg_get_serial_sequence(relation::text, own.attname));
	END IF;
	BEGIN
		-- deleted rows are filled as live ones are
		PERFORM soft_delete_internal.alter_as_owner(relation, concat_ws(' ', format('ALTER TABLE %s ADD COLUMN', companion), definition,
			CASE WHEN own.attgenerated = 's' THEN format('GENERATED ALWAYS AS (%s) STORED', expression) ELSE 'DEFAULT ' || expression END), evaluates => true);
		IF expression IS NOT NULL THEN
			PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s ALTER COLUMN %I DROP %s', companion, own.attname,
				CASE own.attgenerated WHEN 's' THEN 'EXPRESSION' ELSE 'DEFAULT' END));
		END IF;
	EXCEPTION WHEN OTHERS THEN
		IF expression IS NULL OR soft_delete_internal.must_propagate(SQLSTATE) THEN
			RAISE;
		END IF;
		PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s ADD COLUMN %s', companion, definition));
		RAISE WARNING 'deleted rows of table "%" have no value in column "%"', relation, own.attname
			USING ERRCODE = '01000', DETAIL = format('Its expression raised an error for them: %s', SQLERRM);
	END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.add_companion_column(regclass, regclass, smallint) IS
'adds a column of a table to its companion, with the default or the expression of that as the value of deleted rows, or null where that fails';

CREATE FUNCTION soft_delete_internal.companion_stamp(companion regclass) RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT (soft_delete_internal.trigger_arguments(oid))[1] FROM pg_trigger
			WHERE tgrelid = companion AND tgfoid = 'soft_delete.guard_companion()'::regprocedure LIMIT 1);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.companion_stamp(regclass) IS
'the column of a companion for stamps';

CREATE FUNCTION soft_delete_internal.make_companion_trigger(companion regclass, deleted_at name, month text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_companion" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT '
				   'EXECUTE FUNCTION soft_delete.guard_companion(%s)', companion,
		concat_ws(', ', quote_literal(deleted_at), quote_literal(nullif(coalesce(month, soft_delete_internal.companion_month(companion)), ''))));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_companion_trigger(regclass, name, text) IS
'makes the trigger that makes a table a companion, and names its column for stamps; month: ''monthly'', or the month of the table; empty: none; null: as it is';

CREATE FUNCTION soft_delete_internal.companion_changes(relation regclass, companion regclass,
	OUT attnum smallint, OUT name name, OUT type text, OUT kept_type text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY SELECT own.attnum, own.attname, format_type(base, base_typmod),
		CASE WHEN kept.attname IS NOT NULL THEN format_type(kept.atttypid, kept.atttypmod) END
	FROM pg_attribute AS own CROSS JOIN LATERAL soft_delete_internal.base_type(own.atttypid, own.atttypmod)
		LEFT JOIN pg_attribute AS kept ON kept.attrelid = companion AND kept.attname = own.attname AND NOT kept.attisdropped
	WHERE own.attrelid = relation AND own.attnum > 0 AND NOT own.attisdropped AND own.attgenerated <> 'v'
	  AND own.attname IS DISTINCT FROM soft_delete_internal.companion_stamp(companion)
	  AND (base, base_typmod, own.attcollation) IS DISTINCT FROM (kept.atttypid, kept.atttypmod, kept.attcollation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.companion_changes(regclass, regclass) IS
'the columns of a table, but for its tombstone column, that its companion has with another type or collation, or not at all';

CREATE FUNCTION soft_delete_internal.follow_columns(relation regclass, companion regclass, expressions jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	-- before columns come that are generated from them
	PERFORM soft_delete_internal.convert_companion_columns(relation, companion, expressions);
	FOR item IN SELECT * FROM soft_delete_internal.companion_changes(relation, companion) WHERE kept_type IS NULL ORDER BY attnum LOOP
		PERFORM soft_delete_internal.add_companion_column(relation, companion, item.attnum);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_columns(regclass, regclass, jsonb) IS
'adds to a companion, or to the bin of a sharded table, the columns that its table has now, and converts those of another type; expressions: as for convert_companion_columns()';

CREATE FUNCTION soft_delete_internal.alter_companion(relation regclass, dropped name[], old_column name, new_column name, expressions jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	companion regclass := soft_delete_internal.companion_of(relation);
	is_stamp boolean;
	cascades boolean := soft_delete_internal.command_cascades();
BEGIN
	FOR i IN 1 .. cardinality(dropped) LOOP
		PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s DROP COLUMN %I %s', companion, dropped[i], CASE WHEN cascades THEN 'CASCADE' END));
	END LOOP;
	IF old_column IS NOT NULL THEN
		is_stamp := old_column = soft_delete_internal.companion_stamp(companion);
		PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s RENAME COLUMN %I TO %I', companion, old_column, new_column));
		IF is_stamp THEN
			PERFORM soft_delete_internal.make_companion_trigger(member, new_column) FROM soft_delete_internal.inheritance_tree(companion) AS member;
		END IF;
	END IF;
	-- DROP and ADD in one command: what is new comes with the end of the command
	IF dropped = '{}' THEN
		PERFORM soft_delete_internal.follow_columns(relation, companion, expressions);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.alter_companion(regclass, name[], name, name, jsonb) IS
'alters the columns of a companion: drops some, renames one, and adds and converts those that its table has now; expressions: as for convert_companion_columns()';

CREATE FUNCTION soft_delete_internal.align_companion(relation regclass, dropped name[] DEFAULT '{}', old_column name DEFAULT NULL, new_column name DEFAULT NULL, expressions jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	companion regclass := soft_delete_internal.own_companion(relation);
	tombstone name := soft_delete_internal.companion_stamp(companion);
	bin regclass := CASE WHEN soft_delete_internal.is_aside(relation) THEN soft_delete_internal.bin_of(relation) END;
	drops boolean := dropped <> '{}';
BEGIN
	dropped := ARRAY(SELECT d FROM unnest(dropped) AS d WHERE soft_delete_internal.has_column(companion, d) AND d <> tombstone);
	IF NOT soft_delete_internal.has_column(companion, old_column) OR soft_delete_internal.has_column(companion, new_column) THEN
		old_column := NULL;
	END IF;
	IF companion IS NULL OR (dropped = '{}' AND old_column IS NULL AND expressions IS NULL
							 -- the table may still have what has gone with the column of a parent
							 AND (drops OR NOT EXISTS (SELECT FROM soft_delete_internal.companion_changes(relation, companion)))
							 -- the bin computes virtual columns, the companion has none
							 AND NOT EXISTS (SELECT FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
											 WHERE adrelid = relation AND attgenerated = 'v' AND soft_delete_internal.is_own_transaction(pg_attrdef.xmin))) THEN
		RETURN;
	END IF;
	-- in place, the command that changes the columns has released the bin
	IF bin IS NULL THEN
		PERFORM soft_delete_internal.alter_companion(relation, dropped, old_column, new_column, expressions);
	ELSIF dropped = '{}' AND expressions IS NULL
		-- and no column gets another type
		AND NOT EXISTS (SELECT FROM soft_delete_internal.companion_changes(relation, companion) AS c WHERE c.kept_type IS NOT NULL)
		AND EXISTS (SELECT FROM soft_delete_internal.other_dependents(bin, relation))
	THEN
		-- the bin stays, with what others have made upon it
		PERFORM soft_delete_internal.rename_bin_columns(bin, relation);
		PERFORM soft_delete_internal.alter_companion(relation, dropped, old_column, new_column, NULL);
		IF old_column IS NOT NULL THEN
			EXECUTE format('ALTER VIEW %s RENAME COLUMN %I TO %I', bin, old_column, new_column);
		END IF;
		PERFORM soft_delete_internal.replace_view_query(bin, relation, true);
	ELSE
		PERFORM soft_delete_internal.rename_bin_columns(bin, relation);
		-- the bin reads the columns that are altered
		PERFORM soft_delete_internal.recreate_view(bin, relation, soft_delete_internal.aside_query(relation, tombstone, dropped),
			format('SELECT soft_delete_internal.alter_companion(%L, %L, %L, %L, %L)', relation::oid::regclass, dropped, old_column, new_column, expressions));
	END IF;
	PERFORM soft_delete_internal.make_companion_indexes(relation, companion, soft_delete_internal.companion_stamp(companion));
	PERFORM soft_delete_internal.bind_companion(relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.align_companion(regclass, name[], name, name, jsonb) IS
'gives the companion of a table, and the bin, the columns that the table has now; dropped: columns that a running command has dropped; old_column and new_column: the names of one that it has renamed; expressions: as for convert_companion_columns()';

CREATE FUNCTION soft_delete_internal.drop_companion_columns(relations regclass[], columns name[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete_internal.align_companion(relation, names)
	FROM (SELECT relation, array_agg(name) AS names FROM unnest(relations, columns) AS u(relation, name) GROUP BY relation) AS dropped
	WHERE soft_delete_internal.tag_arguments(relation) IS NOT NULL AND soft_delete_internal.own_companion(relation) IS NOT NULL
	-- that of a parent takes along those of its children
	ORDER BY soft_delete_internal.inheritance_depth(relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_companion_columns(regclass[], name[]) IS
'drops columns from the companions, and the bins, of some tables, which lose columns of these names';

CREATE FUNCTION soft_delete_internal.align_renamed_companion(relation regclass, old_column name, new_column name) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT soft_delete_internal.align_companion(relation, old_column => nullif(old_column, ''), new_column => nullif(new_column, ''));
$$;
COMMENT ON FUNCTION soft_delete_internal.align_renamed_companion(regclass, name, name) IS
'gives the companion of a table the columns that the table has now, one of which may have been renamed; empty names: none has';

CREATE FUNCTION soft_delete_internal.bound_companion(relation regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- companion_of() does not find one that the old owner of the table still owns; only the extension makes tables depend so
	RETURN (SELECT objid::regclass FROM pg_depend JOIN pg_trigger ON tgrelid = objid
			WHERE classid = 'pg_class'::regclass AND objsubid = 0 AND refclassid = 'pg_class'::regclass AND refobjid = relation AND refobjsubid = 0
			  AND deptype = 'a' AND tgfoid = 'soft_delete.guard_companion()'::regprocedure
			  AND coalesce(soft_delete_internal.companion_month(objid) = 'monthly', true)
			  -- a partition depends so on its parent, too
			  AND EXISTS (SELECT FROM pg_constraint WHERE conrelid = objid AND contype = 'c' AND starts_with(conname, 'soft_delete_companion'))
			  AND NOT (SELECT relispartition FROM pg_class WHERE oid = objid) LIMIT 1);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bound_companion(regclass) IS
'the companion that is bound to a table, whoever owns it';

CREATE FUNCTION soft_delete_internal.bound_bin(relation regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- any role can make a view that looks like a bin, but none that is bound to the table
	RETURN (SELECT objid::regclass FROM pg_depend JOIN pg_class AS view ON view.oid = objid AND relkind = 'v' JOIN pg_trigger ON tgrelid = objid
			WHERE classid = 'pg_class'::regclass AND objsubid = 0 AND refclassid = 'pg_class'::regclass AND refobjid = relation AND refobjsubid = 0
			  AND deptype = 'a' AND tgfoid = 'soft_delete.purge_row()'::regprocedure AND tgtype = 73 LIMIT 1);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bound_bin(regclass) IS
'the bin that is bound to a table, whoever owns it';

CREATE FUNCTION soft_delete_internal.check_companion(companion regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
BEGIN
	SELECT refobjid INTO relation FROM pg_depend JOIN pg_trigger ON tgrelid = objid
	WHERE classid = 'pg_class'::regclass AND objid = companion AND objsubid = 0 AND refclassid = 'pg_class'::regclass AND refobjsubid = 0 AND deptype = 'a'
	  -- as a partition, it depends so on its parent, too
	  AND tgfoid = 'soft_delete.guard_companion()'::regprocedure AND soft_delete_internal.tag_arguments(refobjid) IS NOT NULL;
	IF relation IS NOT NULL
	   AND (EXISTS (SELECT FROM pg_inherits WHERE companion IN (inhrelid, inhparent)
					AND (soft_delete_internal.companions_table(inhrelid) IS NULL OR soft_delete_internal.companions_table(inhparent) IS NULL))
			OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = companion AND tgname = '~soft_delete_companion' AND tgenabled NOT IN ('O', 'A'))
			OR soft_delete_internal.companions_table(companion) IS DISTINCT FROM relation
			OR (SELECT relowner FROM pg_class WHERE oid = companion) <> (SELECT relowner FROM pg_class WHERE oid = relation)
			-- of rows that do not fulfil it the planner would believe that they are not there
			OR (SELECT count(*) FROM pg_constraint WHERE conrelid = companion AND contype = 'c') > 1
			-- a dump could not be restored that has rows deleted later, whose further columns are null
			OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = companion AND attnum > 0 AND NOT attisdropped AND attnotnull AND attname <> soft_delete_internal.companion_stamp(companion))
			OR NOT soft_delete_internal.has_column(companion, soft_delete_internal.companion_stamp(companion))
			OR EXISTS (SELECT FROM soft_delete_internal.companion_changes(relation, companion))) THEN
		RAISE EXCEPTION 'cannot alter table "%" so, which has the deleted rows of table "%"', companion, relation
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'It has the columns and the owner of that table, inherits from companions only, and has one constraint and one trigger, which stay. No column but that of the stamps is NOT NULL.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_companion(regclass) IS
'raises 0A000 for a companion that does not fit its table any more, or that statements on other tables write to';

CREATE FUNCTION soft_delete_internal.free_stamp_column(relations regclass[], deleted_at name) RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT candidate FROM generate_series(1, 1600) AS n, soft_delete_internal.add_suffix(deleted_at, concat('_by_delete', nullif(n, 1))) AS candidate
			WHERE NOT EXISTS (SELECT FROM unnest(relations) AS relation WHERE soft_delete_internal.has_column(relation, candidate)) ORDER BY n LIMIT 1);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.free_stamp_column(regclass[], name) IS
'a name for the column for stamps that no column of some relations has, made of that which one has';

CREATE FUNCTION soft_delete_internal.rename_stamp_column(relation regclass, companion regclass, bin regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[] := soft_delete_internal.tag_arguments(relation);
	old_name name := arguments[1];
	new_name name := soft_delete_internal.free_stamp_column(ARRAY[relation, companion], old_name);
BEGIN
	PERFORM soft_delete_internal.rename_stamps(relation, new_name);
	PERFORM soft_delete_internal.make_triggers(relation, new_name || arguments[2:]);
	IF bin IS NOT NULL THEN
		EXECUTE format('ALTER VIEW %s RENAME COLUMN %I TO %I', bin, old_name, new_name);
	END IF;
	RAISE WARNING 'column "%" of bin % is called "%" now', old_name, bin, new_name
		USING ERRCODE = '01000', DETAIL = format('Table %s has a column of that name itself.', relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_stamp_column(regclass, regclass, regclass) IS
'gives the column for stamps of a companion, and of the bin, another name, which the table does not have';

CREATE FUNCTION soft_delete_internal.follow_companion(relation regclass, old_name name, old_column name, new_column name, expressions jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	companion regclass := soft_delete_internal.bound_companion(relation);
	arguments text[] := soft_delete_internal.tag_arguments(relation);
	bin regclass;
	class pg_class;
	part regclass;
	new_name name;
	schema_name name;
	moves boolean := NOT EXISTS (SELECT FROM unnest(arguments) AS argument WHERE argument LIKE 'views:%');
	months regclass[] := ARRAY(SELECT soft_delete_internal.companion_months(companion));
	suffix text;
BEGIN
	IF companion IS NULL THEN
		RETURN;
	END IF;
	SELECT * INTO class FROM pg_class WHERE oid = relation;
	bin := (SELECT view.oid FROM pg_class AS view JOIN pg_class AS kept USING (relowner)
			WHERE view.oid = soft_delete_internal.bound_bin(relation) AND kept.oid = companion AND soft_delete_internal.is_aside(relation));
	IF (SELECT relowner FROM pg_class WHERE oid = companion) <> class.relowner THEN
		FOREACH part IN ARRAY companion || months LOOP
			EXECUTE format('ALTER TABLE %s OWNER TO %I', part, pg_get_userbyid(class.relowner));
		END LOOP;
		IF bin IS NOT NULL THEN
			EXECUTE format('ALTER VIEW %s OWNER TO %I', bin, pg_get_userbyid(class.relowner));
		END IF;
	END IF;
	IF (SELECT relpersistence FROM pg_class WHERE oid = companion) <> class.relpersistence THEN
		-- protect.c refuses that, but in a session that had not loaded the library
		IF class.relpersistence = 'u' THEN
			PERFORM soft_delete_internal.check_holds(relation, 'stop logging');
		END IF;
		FOREACH part IN ARRAY companion || months LOOP
			EXECUTE format('ALTER TABLE %s SET %s', part, CASE class.relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE 'LOGGED' END);
		END LOOP;
	END IF;
	SELECT nspname INTO schema_name FROM pg_namespace WHERE oid = class.relnamespace;
	-- in place, rename_views() does that
	FOREACH part IN ARRAY CASE WHEN soft_delete_internal.is_aside(relation) THEN array_remove(ARRAY[companion, bin] || months, NULL) ELSE '{}' END LOOP
		suffix := CASE WHEN part = bin THEN '_deleted' ELSE concat('_tombstones', CASE WHEN part <> companion THEN '_' || replace(soft_delete_internal.companion_month(part), '-', '_') END) END;
		new_name := soft_delete_internal.view_name(relation, suffix);
		IF old_name <> class.relname AND (SELECT relname FROM pg_class WHERE oid = part) = soft_delete_internal.add_suffix(old_name, suffix) THEN
			IF EXISTS (SELECT FROM pg_class WHERE relname = new_name AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = part)) THEN
				RAISE WARNING '"%" keeps its name', part
					USING ERRCODE = '01000', DETAIL = format('Relation "%s" already exists.', new_name);
			ELSE
				EXECUTE format('ALTER TABLE %s RENAME TO %I', part, new_name);
			END IF;
		END IF;
		IF moves AND (SELECT relnamespace FROM pg_class WHERE oid = part) <> class.relnamespace THEN
			IF EXISTS (SELECT FROM pg_class WHERE relname = (SELECT relname FROM pg_class WHERE oid = part) AND relnamespace = class.relnamespace) THEN
				RAISE WARNING '"%" keeps its schema', part
					USING ERRCODE = '01000', DETAIL = 'A relation of its name already exists.';
			ELSE
				EXECUTE format('ALTER TABLE %s SET SCHEMA %I', part, schema_name);
			END IF;
		END IF;
	END LOOP;
	IF soft_delete_internal.is_aside(relation) AND soft_delete_internal.has_column(relation, arguments[1]) THEN
		PERFORM soft_delete_internal.rename_stamp_column(relation, companion, bin);
	END IF;
	PERFORM soft_delete_internal.align_companion(relation, old_column => old_column, new_column => new_column, expressions => expressions);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_companion(regclass, name, name, name, jsonb) IS
'gives the companion and the bin of a table its owner, persistence, name, schema and columns; old_name: the name of the table before the command, old_column and new_column: of a column; expressions: as for convert_companion_columns()';

CREATE FUNCTION soft_delete_internal.repair_aside(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[] := soft_delete_internal.tag_arguments(relation);
	tombstone name := arguments[1];
	view_schema name;
BEGIN
	SELECT coalesce((SELECT substr(argument, 7) FROM unnest(arguments) AS argument WHERE argument LIKE 'views:%'), nspname) INTO view_schema
	FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation;
	-- a bin that is missing reads all columns
	PERFORM soft_delete_internal.align_companion(member) FROM soft_delete_internal.inheritance_tree(relation) AS member WHERE soft_delete_internal.own_companion(member) IS NOT NULL;
	PERFORM soft_delete_internal.execute_aside_tag(relation, tombstone, view_schema);
	PERFORM soft_delete_internal.make_companion_indexes(member, soft_delete_internal.own_companion(member), tombstone)
	FROM soft_delete_internal.inheritance_tree(relation) AS member WHERE soft_delete_internal.own_companion(member) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.repair_aside(regclass) IS
'makes what a table whose deleted rows are kept aside lacks of its companion, bin, indexes and triggers';
