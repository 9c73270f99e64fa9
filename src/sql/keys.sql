/*
 * Which indexes of a tagged table are partial on live rows, and how one is put in the
 * place of another.
 */

CREATE FUNCTION soft_delete.claim_key() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_claim_key';
COMMENT ON FUNCTION soft_delete.claim_key() IS
'BEFORE INSERT trigger of a tagged table: displaces deleted rows that have the key of the new row';

CREATE FUNCTION soft_delete_internal.claims_key(relation oid, new_row record, internal) RETURNS boolean
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'soft_delete_claims_key';
COMMENT ON FUNCTION soft_delete_internal.claims_key(oid, record, internal) IS
'for plans of UPDATE: displaces deleted rows that have the key of the changed row; returns true';

CREATE FUNCTION soft_delete_internal.index_hides(index regclass, attnum smallint) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_index_hides';
COMMENT ON FUNCTION soft_delete_internal.index_hides(regclass, smallint) IS
'whether the predicate of an index is that a column is null';

CREATE FUNCTION soft_delete_internal.index_corresponds(index regclass, other regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_index_corresponds';
COMMENT ON FUNCTION soft_delete_internal.index_corresponds(regclass, regclass) IS
'whether two indexes, of two tables perhaps, are the same but for their names and their storage';

CREATE FUNCTION soft_delete_internal.redefine_index(index regclass, deleted_at name, hides boolean, as_constraint boolean) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_redefine_index';
COMMENT ON FUNCTION soft_delete_internal.redefine_index(regclass, name, boolean, boolean) IS
'replaces an index and those of its partitions by one that hides tombstones, or does not, and is a unique constraint or not; false if it is so already';

/* A unique violation names the index of the partition, which must keep its name. */
CREATE FUNCTION soft_delete_internal.partition_indexes(index regclass, OUT partition regclass, OUT child regclass, OUT name name)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT indrelid::regclass, indexrelid::regclass, relname
	FROM soft_delete_internal.inheritance_tree(index) AS member JOIN pg_index ON indexrelid = member JOIN pg_class ON oid = member
	WHERE member <> index
$$;
COMMENT ON FUNCTION soft_delete_internal.partition_indexes(regclass) IS
'the indexes of partitions that belong to an index of a partitioned table';

CREATE FUNCTION soft_delete_internal.comments_on(index regclass) RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT format('COMMENT ON INDEX %s IS %L', soft_delete_internal.qualified_name(comments_on.index), soft_delete_internal.comment_on('pg_class', comments_on.index))
	WHERE soft_delete_internal.comment_on('pg_class', comments_on.index) IS NOT NULL
	UNION ALL
	SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', conname, conrelid::regclass, soft_delete_internal.comment_on('pg_constraint', oid))
	FROM pg_constraint
	WHERE conrelid = (SELECT indrelid FROM pg_index WHERE indexrelid = comments_on.index)
	  AND (oid = soft_delete_internal.stand_in(comments_on.index) OR (conindid = comments_on.index AND contype IN ('u', 'x')))
	  -- the constraint that comes back is the application's
	  AND soft_delete_internal.comment_on('pg_constraint', oid) <> soft_delete_internal.comment_of('stand-in');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.comments_on(regclass) IS
'commands that give an index and its constraint their comments';

CREATE FUNCTION soft_delete_internal.drop_index(index regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text := soft_delete_internal.qualified_name(index);
	command text;
	commands text[];
BEGIN
	-- the constraint of the index itself first: those of partitions may be inherited from it
	SELECT array_agg(format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', indrelid::regclass, conname) ORDER BY indexrelid <> index) INTO commands
	FROM pg_index JOIN pg_constraint con
		ON con.oid = soft_delete_internal.stand_in(indexrelid) OR (indexrelid = index AND conindid = index AND conrelid = indrelid AND contype IN ('u', 'x'))
	WHERE indexrelid IN (SELECT soft_delete_internal.inheritance_tree(index));

	FOREACH command IN ARRAY coalesce(commands, '{}') LOOP
		EXECUTE command;
	END LOOP;
	-- dropping its constraint has dropped the index
	IF to_regclass(name) IS NOT NULL THEN
		EXECUTE format('DROP INDEX %s', name);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_index(regclass) IS
'drops an index with its constraint or stand-in, and those of its partitions';

CREATE FUNCTION soft_delete_internal.replace_index(index regclass, deleted_at name, hides boolean, as_constraint boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old record;
	commands text[];
	command text;
	partition_names jsonb;
	prepared regclass;
BEGIN
	SELECT soft_delete_internal.qualified_name(index) AS name, relname,
		EXISTS (SELECT FROM pg_constraint WHERE conindid = index AND conrelid = indrelid AND contype = 'u') AS is_constraint
	INTO STRICT old
	FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indexrelid = index;
	SELECT array_agg(format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', attrelid::regclass, attnum, attstattarget))
	INTO commands FROM pg_attribute WHERE attrelid IN (SELECT soft_delete_internal.inheritance_tree(index)) AND attstattarget >= 0;
	commands := commands || ARRAY(SELECT soft_delete_internal.comments_on(m) FROM soft_delete_internal.inheritance_tree(index) AS m);

	IF hides AND soft_delete_internal.is_prepared(index, deleted_at) THEN
		prepared := soft_delete_internal.prepared_index(index);
		SELECT jsonb_object_agg(partition::oid, name) INTO partition_names FROM soft_delete_internal.partition_indexes(index);
		PERFORM soft_delete_internal.drop_index(index);
		EXECUTE format('ALTER INDEX %s RENAME TO %I', prepared, old.relname);
		FOR command IN
			SELECT format('ALTER INDEX %s RENAME TO %I', child, partition_names ->> partition::oid::text)
			FROM soft_delete_internal.partition_indexes(old.name::regclass)
			WHERE name <> partition_names ->> partition::oid::text
		LOOP
			EXECUTE command;
		END LOOP;
	ELSIF NOT soft_delete_internal.redefine_index(index, deleted_at, hides, as_constraint) THEN
		RETURN;
	END IF;

	IF hides AND old.is_constraint THEN
		PERFORM soft_delete_internal.make_stand_in(old.name::regclass);
	END IF;
	FOREACH command IN ARRAY coalesce(commands, '{}') LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.replace_index(regclass, name, boolean, boolean) IS
'replaces an index by one of the same name that hides tombstones, or does not: a prepared one or a new one, with its comments, statistics targets, names in partitions, and a stand-in for a unique constraint';

/*
 * A key that a foreign key references, a replica identity, a deferrable unique
 * constraint and the primary key cannot be partial.  Reads in the order of such a key
 * pass the deleted rows in it.  A live key is an index on the same columns, or more,
 * that is partial on live rows and not unique: uniqueness is the matter of the key.
 * It costs INSERT more than it gives reads while few rows are deleted, so check()
 * proposes it when many are, by a name that untag() knows, and the worker makes it.
 */
CREATE FUNCTION soft_delete_internal.kept_keys(relation regclass, OUT index regclass, OUT "table" regclass, OUT columns text) RETURNS SETOF record
LANGUAGE sql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT indexrelid::regclass, indrelid::regclass, string_agg(quote_ident(attname), ', ' ORDER BY n)
	FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
		CROSS JOIN LATERAL generate_series(1, indnkeyatts) AS n
		JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[n - 1]
		JOIN pg_opclass ON pg_opclass.oid = indclass[n - 1]
	WHERE indrelid = relation AND indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL AND amname = 'btree'
	  AND NOT pg_class.relispartition
	  AND (indisprimary OR indisreplident OR NOT indimmediate
		   OR EXISTS (SELECT FROM pg_depend JOIN pg_constraint AS con ON con.oid = objid
					  WHERE classid = 'pg_constraint'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = indexrelid
						AND contype = 'f' AND conindid = indexrelid))
	GROUP BY indexrelid, indrelid
	-- CREATE INDEX on these columns makes an index with the same order
	HAVING bool_and(opcdefault AND indoption[n - 1] = 0 AND indcollation[n - 1] = attcollation)
$$;
COMMENT ON FUNCTION soft_delete_internal.kept_keys(regclass) IS
'the unique keys of a tagged table whose indexes keep deleted rows, and their columns';

CREATE FUNCTION soft_delete_internal.begins_with_key(index regclass, key regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT i.indkey[0:k.indnkeyatts - 1] = k.indkey[0:k.indnkeyatts - 1] AND i.indclass[0:k.indnkeyatts - 1] = k.indclass[0:k.indnkeyatts - 1]
		AND i.indcollation[0:k.indnkeyatts - 1] = k.indcollation[0:k.indnkeyatts - 1] AND i.indoption[0:k.indnkeyatts - 1] = k.indoption[0:k.indnkeyatts - 1]
	FROM pg_index AS i JOIN pg_index AS k USING (indrelid)
	WHERE i.indexrelid = index AND k.indexrelid = key AND index <> key AND i.indnkeyatts >= k.indnkeyatts
$$;
COMMENT ON FUNCTION soft_delete_internal.begins_with_key(regclass, regclass) IS
'whether an index is in the order of another one''s key';

CREATE FUNCTION soft_delete_internal.has_live_key(key regclass, deleted_at name) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM pg_index AS k JOIN pg_index AS live USING (indrelid)
				   WHERE k.indexrelid = key AND live.indisvalid AND soft_delete_internal.begins_with_key(live.indexrelid, key)
					 -- CASE, so that no plan asks for those of other tables, which others may have locked
					 AND CASE WHEN live.indrelid = k.indrelid THEN pg_get_expr(live.indpred, live.indrelid) = format('(%I IS NULL)', deleted_at) END)
$$;
COMMENT ON FUNCTION soft_delete_internal.has_live_key(regclass, name) IS
'whether a table has an index in the order of a key that hides tombstones and no other row';

CREATE FUNCTION soft_delete_internal.live_key_name(key regclass) RETURNS name
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT soft_delete_internal.add_suffix(relname, '_live') FROM pg_class WHERE oid = key $$;
COMMENT ON FUNCTION soft_delete_internal.live_key_name(regclass) IS
'name of the live key of a key';

CREATE FUNCTION soft_delete_internal.missing_live_keys(relation regclass, tombstone name,
	OUT key regclass, OUT "table" regclass, OUT command text, OUT deleted numeric, OUT total numeric)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	total := soft_delete_internal.estimated_rows(relation);
	-- a small table is not looked into; fewer are passed in a millisecond
	deleted := CASE WHEN total >= 10000 THEN soft_delete_internal.count_tombstones(relation) END;
	IF deleted >= 10000 AND deleted > 0.5 * total THEN
		RETURN QUERY
		SELECT k.index, k."table", format('CREATE INDEX%s %I ON %s (%s) WHERE %I IS NULL', CASE WHEN relkind = 'i' THEN ' CONCURRENTLY' END,
										  soft_delete_internal.live_key_name(k.index), k."table", k.columns, tombstone), missing_live_keys.deleted, missing_live_keys.total
		FROM soft_delete_internal.inheritance_tree(relation) AS member
			CROSS JOIN LATERAL soft_delete_internal.kept_keys(member) AS k JOIN pg_class ON pg_class.oid = k.index
		WHERE NOT soft_delete_internal.has_live_key(k.index, tombstone);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.missing_live_keys(regclass, name) IS
'the keys of a tagged table in whose order a read passes many deleted rows, and the command that makes the live key of each';

CREATE FUNCTION soft_delete_internal.live_key_commands() RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	halves text[] := '{}';
	keys text[] := '{}';
BEGIN
	-- CREATE INDEX CONCURRENTLY would wait for these, and hold off VACUUM meanwhile
	IF EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND xact_start < now() - interval '1 minute'
			   AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker') THEN
		RETURN;
	END IF;
	FOR item IN
		SELECT relation, tombstone_column FROM soft_delete_internal.tagged_tables() JOIN pg_class ON oid = relation
		WHERE relpersistence <> 't' AND NOT soft_delete_internal.is_aside(relation)
	LOOP
		BEGIN
			SELECT halves || array_agg(format('DROP INDEX CONCURRENTLY %s', half.oid::regclass)) FILTER (WHERE half.oid IS NOT NULL),
				keys || array_agg(m.command)
			INTO halves, keys
			FROM soft_delete_internal.missing_live_keys(item.relation, item.tombstone_column) AS m JOIN pg_class AS k ON k.oid = m.key
				LEFT JOIN pg_class AS half ON half.relnamespace = k.relnamespace AND half.relname = soft_delete_internal.live_key_name(m.key)
				LEFT JOIN pg_index AS i ON i.indexrelid = half.oid
			-- one on all partitions cannot be made concurrently; another relation may have the name
			WHERE k.relkind = 'i' AND (half.oid IS NULL OR (NOT i.indisvalid AND soft_delete_internal.is_live_key(half.oid)))
			  -- it may be the one that somebody is making
			  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS p WHERE p.datname = current_database() AND p.relid = m."table");
		EXCEPTION WHEN OTHERS THEN
			PERFORM soft_delete_internal.warn_unreadable(item.relation, SQLSTATE, SQLERRM);
		END;
	END LOOP;
	-- what a worker that did not come to an end has left goes now: while keys are made, others may get these names
	RETURN QUERY SELECT unnest(halves);
	-- one that takes all the time there is, each time, does not always come first
	RETURN QUERY SELECT k FROM unnest(keys) AS k ORDER BY random();
END
$$;
COMMENT ON FUNCTION soft_delete_internal.live_key_commands() IS
'the commands by which the worker makes live keys, each in transactions of its own';

CREATE FUNCTION soft_delete_internal.is_live_key(index regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT FROM pg_class JOIN pg_index AS live ON live.indexrelid = pg_class.oid
			CROSS JOIN LATERAL soft_delete_internal.kept_keys(live.indrelid) AS kept JOIN pg_index AS k ON k.indexrelid = kept.index
		WHERE pg_class.oid = is_live_key.index AND relname = soft_delete_internal.live_key_name(kept.index)
		  AND NOT live.indisunique AND k.indnkeyatts = live.indnatts AND soft_delete_internal.begins_with_key(is_live_key.index, kept.index))
$$;
COMMENT ON FUNCTION soft_delete_internal.is_live_key(regclass) IS
'whether an index on live rows is by its name and its columns a live key that check() has proposed or the worker has made';

CREATE FUNCTION soft_delete_internal.convertible_indexes(relation regclass, deleted_at name, indexes text,
	OUT index regclass, OUT name name, OUT hides boolean, OUT was_constraint boolean, OUT is_exclusion boolean)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		SELECT indexrelid::regclass, relname,
			-- a unique constraint with the condition has just been added, and must become an index
			contype IS DISTINCT FROM 'u' AND coalesce(soft_delete_internal.index_hides(indexrelid, attnum), false),
			coalesce(contype = 'u', false) OR soft_delete_internal.stand_in(indexrelid) IS NOT NULL, indisexclusion
		FROM soft_delete_internal.inheritance_tree(relation) AS member
			JOIN pg_index ON indrelid = member
			JOIN pg_class ON pg_class.oid = indexrelid
			JOIN pg_am ON pg_am.oid = relam
			LEFT JOIN pg_attribute ON attrelid = member AND attname = deleted_at AND NOT attisdropped
			LEFT JOIN pg_constraint con ON conindid = indexrelid AND conrelid = indrelid AND contype IN ('p', 'u', 'x')
		WHERE NOT indisprimary AND NOT indisreplident AND indisvalid AND indisready
		  AND (indisexclusion OR (indimmediate AND NOT coalesce(condeferrable, false)))
		  AND (NOT indisunique OR amname = 'btree')
		  AND (indisunique OR indisexclusion OR indexes = 'all')
		  AND NOT indisclustered			-- a partial index cannot be
		  AND indkey[0] IS DISTINCT FROM attnum	-- finds tombstones
		  AND amhandler <> 'soft_delete_internal.btree_handler(internal)'::regprocedure
		  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)
		  AND NOT EXISTS (SELECT FROM pg_index replaced
						  WHERE replaced.indrelid = member AND relname = soft_delete_internal.prepared_name(replaced.indexrelid))
		  AND NOT EXISTS (SELECT FROM pg_depend JOIN pg_constraint fk ON fk.oid = objid
						  WHERE classid = 'pg_constraint'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = indexrelid
							AND fk.contype = 'f' AND fk.conindid = indexrelid)
		  AND NOT EXISTS (SELECT FROM pg_depend
						  WHERE classid = 'pg_class'::regclass AND objid = indexrelid AND deptype = 'e')
		ORDER BY indexrelid;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.convertible_indexes(regclass, name, text) IS
'the indexes of a table that can be partial on live rows, and whether they are';

CREATE FUNCTION soft_delete_internal.unconvertible_indexes(relation regclass, deleted_at name, OUT index regclass, OUT reason text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY SELECT indexrelid::regclass, CASE WHEN member_of IS NOT NULL THEN 'It belongs to an extension.' WHEN NOT indisready THEN 'It is being built.' ELSE 'It is invalid.' END
	FROM pg_index LEFT JOIN pg_attribute ON attrelid = indrelid AND attname = deleted_at,
		-- by index, and not all members of extensions
		LATERAL (SELECT (SELECT refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid AND deptype = 'e' LIMIT 1)) AS of(member_of)
	-- an array, so that no plan opens the indexes of other tables
	WHERE indrelid = ANY (ARRAY(SELECT soft_delete_internal.inheritance_tree(relation))) AND (member_of IS NOT NULL OR NOT indisready OR NOT indisvalid)
	  AND NOT coalesce(soft_delete_internal.index_hides(indexrelid, attnum), false)
	ORDER BY indexrelid;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.unconvertible_indexes(regclass, name) IS
'the indexes that tag() leaves as they are, and why, where that is not expected';

CREATE FUNCTION soft_delete_internal.convert_indexes(relation regclass, deleted_at name, indexes text) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	remembered text[] := '{}';
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.convertible_indexes(relation, deleted_at, indexes) LOOP
		IF item.hides THEN
			IF NOT item.was_constraint THEN
				remembered := remembered || format('partial:%s', item.name);
			END IF;
			CONTINUE;
		END IF;
		PERFORM soft_delete_internal.replace_index(item.index, deleted_at, true, false);
		remembered := remembered || format('converted:%s', item.name);
	END LOOP;
	RETURN remembered;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.convert_indexes(regclass, name, text) IS
'makes the indexes of a table partial on live rows; returns which it has converted, and which were partial before';

CREATE FUNCTION soft_delete_internal.convert_indexes_back(relation regclass, deleted_at name, remembered text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.convertible_indexes(relation, deleted_at, 'all') LOOP
		CONTINUE WHEN NOT item.hides OR 'partial:' || item.name = ANY (remembered);
		IF soft_delete_internal.is_live_key(item.index) THEN
			EXECUTE format('DROP INDEX %s', item.index);	-- without deleted rows, the key itself is enough
			CONTINUE;
		END IF;
		PERFORM soft_delete_internal.replace_index(item.index, deleted_at, false, item.was_constraint);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.convert_indexes_back(regclass, name, text[]) IS
'gives a table back the indexes and constraints that convert_indexes() has replaced';

CREATE FUNCTION soft_delete_internal.has_key_columns(index regclass, columns name[]) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT cardinality(columns) = indnkeyatts AND columns <@ ARRAY(
		SELECT attname FROM pg_attribute, unnest(indkey[0:indnkeyatts - 1]) AS k WHERE attrelid = indrelid AND attnum = k)
	FROM pg_index WHERE indexrelid = index
$$;
COMMENT ON FUNCTION soft_delete_internal.has_key_columns(regclass, name[]) IS
'whether an index is on these columns, in whatever order';

/*
 * A foreign key and a primary key need a unique index without a predicate.  Where several
 * deleted rows and no live row have a key, the one that was deleted last stays in the table.
 */
CREATE FUNCTION soft_delete_internal.make_whole_key(index regclass, as_constraint boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
	relation regclass := (SELECT indrelid FROM pg_index WHERE indexrelid = index);
	deleted_at name := (soft_delete_internal.tag_arguments(relation))[1];
	columns name[] := (SELECT array_agg(attname) FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey[0:indnkeyatts - 1]) WHERE indexrelid = index);
BEGIN
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
	PERFORM soft_delete_internal.step_aside(member, place)
	FROM soft_delete_internal.query_as_owner(relation, format('SELECT tableoid::regclass, ctid FROM ('
				   'SELECT tableoid, ctid, %2$I, row_number() OVER (PARTITION BY %3$s ORDER BY %2$I DESC NULLS FIRST) AS place '
				   'FROM %5$s %1$s TABLESAMPLE soft_delete.rows(''all'') %4$s) AS holders WHERE place > 1 AND %2$I IS NOT NULL',
		relation, deleted_at, (SELECT string_agg(quote_ident(c), ', ') FROM unnest(columns) AS c),
		CASE WHEN (SELECT indnullsnotdistinct FROM pg_index WHERE indexrelid = index) THEN ''
			ELSE 'WHERE ' || (SELECT string_agg(format('%I IS NOT NULL', c), ' AND ') FROM unnest(columns) AS c) END,
		CASE (SELECT relkind FROM pg_class WHERE oid = relation) WHEN 'p' THEN '' ELSE 'ONLY' END)) AS q(member regclass, place tid);
	PERFORM soft_delete_internal.replace_index(index, deleted_at, false, as_constraint);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_whole_key(regclass, boolean) IS
'removes the predicate of a unique index, and displaces deleted rows that have the key of another row';

CREATE FUNCTION soft_delete_internal.make_clusterable(index regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
	relation regclass := (SELECT indrelid FROM pg_index WHERE indexrelid = index);
	deleted_at name := (soft_delete_internal.tag_arguments(relation))[1];
	key record;
BEGIN
	SELECT c.was_constraint, c.is_exclusion, indisunique INTO key
	FROM soft_delete_internal.convertible_indexes(relation, deleted_at, 'all') AS c JOIN pg_index ON indexrelid = c.index
	WHERE c.index = make_clusterable.index AND c.hides AND CASE WHEN indexrelid = c.index THEN pg_get_expr(indpred, indrelid) = format('(%I IS NULL)', deleted_at) END;
	IF key.indisunique THEN
		PERFORM soft_delete_internal.make_whole_key(index, key.was_constraint);
	ELSIF FOUND THEN
		IF key.is_exclusion THEN
			-- which of them conflict is not asked
			EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
			PERFORM soft_delete_internal.move_aside(relation, NULL);
		END IF;
		PERFORM soft_delete_internal.replace_index(index, deleted_at, false, false);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_clusterable(regclass) IS
'removes the predicate that hides deleted rows from an index, for a table cannot be clustered by a partial one';

CREATE FUNCTION soft_delete_internal.prepare_reference(parent regclass, columns name[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
	deleted_at name := (soft_delete_internal.tag_arguments(parent))[1];
	key record;
BEGIN
	SELECT c.index, c.was_constraint INTO key
	FROM soft_delete_internal.convertible_indexes(parent, deleted_at, 'unique') AS c JOIN pg_index ON indexrelid = c.index
	WHERE c.hides AND NOT c.is_exclusion AND indrelid = parent AND indexprs IS NULL
	  AND pg_get_expr(indpred, indrelid) = format('(%I IS NULL)', deleted_at)
	  AND soft_delete_internal.has_key_columns(c.index, columns)
	ORDER BY c.was_constraint DESC LIMIT 1;
	IF NOT FOUND OR EXISTS (SELECT FROM pg_index WHERE indrelid = parent AND indisunique AND indisvalid AND indimmediate
							AND indpred IS NULL AND indexprs IS NULL AND soft_delete_internal.has_key_columns(indexrelid, columns)) THEN
		RETURN;
	END IF;

	PERFORM soft_delete_internal.make_whole_key(key.index, key.was_constraint);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.prepare_reference(regclass, name[]) IS
'makes whole the unique index that a foreign key is going to reference';
