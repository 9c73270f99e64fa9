/*
 * A stand-in is a constraint CHECK (true) with the name of an index on live rows,
 * which was a unique constraint before: ON CONFLICT ON CONSTRAINT and ALTER TABLE
 * name it.  A stand-in and its index are renamed together, and dropped together.
 */

CREATE FUNCTION soft_delete_internal.stand_in(index regclass) RETURNS oid
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_stand_in';
COMMENT ON FUNCTION soft_delete_internal.stand_in(regclass) IS
'the constraint that stands in for the unique constraint which an index was';

/* What psql shows of a table is explained there, by comments. */
CREATE FUNCTION soft_delete_internal.comment_of(part text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN CASE part
		WHEN 'column' THEN 'when the row was deleted; null: it is live (soft_delete)'
		WHEN 'index' THEN 'finds deleted rows (soft_delete)'
		WHEN 'stand-in' THEN 'stands in for the unique constraint that has become the partial index of this name (soft_delete)'
		WHEN 'companion' THEN 'tells whose deleted rows these are (soft_delete)'
		WHEN 'delete_row' THEN 'the tag: a deleted row goes to the bin; soft_delete.untag() ends that'
		WHEN 'claim_key' THEN 'a new row may have the key of a deleted one (soft_delete)'
		WHEN 'guard_truncate' THEN 'TRUNCATE does what setting soft_delete.truncate says'
		WHEN 'follow_bridge' THEN 'what the application deletes by its own column goes to the bin (soft_delete)'
		WHEN 'guard_companion' THEN 'refuses to write here by hand (soft_delete)' END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.comment_of(text) IS
'the comment of what tag() adds to a table; part: what it is, of a trigger the name of its function';

CREATE FUNCTION soft_delete_internal.explain_parts(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete_internal.set_comment(classid, objid, 0, soft_delete_internal.comment_of(part)) FROM (
			SELECT 'pg_trigger'::regclass, pg_trigger.oid, proname::text
			FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
			WHERE tgrelid = relation AND NOT tgisinternal AND tgparentid = 0 AND pronamespace = 'soft_delete'::regnamespace
			  AND soft_delete_internal.comment_on('pg_trigger', pg_trigger.oid) IS NULL
			UNION ALL
			SELECT 'pg_class'::regclass, indexrelid, 'index'
			FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
			WHERE indrelid = relation AND NOT relispartition AND soft_delete_internal.is_soft_delete_btree(indexrelid)
			  AND soft_delete_internal.comment_on('pg_class', indexrelid) IS NULL
			UNION ALL
			SELECT 'pg_constraint'::regclass, con.oid, CASE WHEN conname = 'soft_delete_companion' THEN 'companion' ELSE 'stand-in' END
			FROM pg_constraint AS con
			WHERE conrelid = relation AND contype = 'c' AND coninhcount = 0 AND soft_delete_internal.comment_on('pg_constraint', oid) IS NULL
			  AND (oid IN (SELECT soft_delete_internal.stand_in(indexrelid) FROM pg_index WHERE indrelid = relation)
				   OR (conname = 'soft_delete_companion'
					   AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgfoid = 'soft_delete.guard_companion()'::regprocedure)))) AS parts(classid, objid, part);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.explain_parts(regclass) IS
'gives what tag() has added to a table, but for its column, a comment, unless it has one';

CREATE FUNCTION soft_delete_internal.bind_index(index regclass, "constraint" oid) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_bind_index';
COMMENT ON FUNCTION soft_delete_internal.bind_index(regclass, oid) IS
'makes an index depend on its stand-in, so that DROP CONSTRAINT drops it';

CREATE FUNCTION soft_delete_internal.make_stand_in(index regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	stand_in oid;
BEGIN
	FOR item IN
		SELECT indexrelid::regclass AS index, indrelid::regclass AS relation, i.relname, t.relkind
		FROM soft_delete_internal.inheritance_tree(index) AS member JOIN pg_index ON indexrelid = member
			JOIN pg_class i ON i.oid = indexrelid JOIN pg_class t ON t.oid = indrelid
	LOOP
		stand_in := soft_delete_internal.stand_in(item.index);
		IF stand_in IS NULL THEN
			EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (true) %s %s', item.relation, item.relname,
				-- partitions must inherit the one of a partitioned table
				CASE item.relkind WHEN 'p' THEN '' ELSE 'NO INHERIT' END,
				-- neither scans the table; NOT ENFORCED came with PostgreSQL 18
				CASE WHEN current_setting('server_version_num')::integer >= 180000 THEN 'NOT ENFORCED' ELSE 'NOT VALID' END);
			stand_in := soft_delete_internal.stand_in(item.index);
		END IF;
		PERFORM soft_delete_internal.bind_index(item.index, stand_in);
		IF soft_delete_internal.comment_on('pg_constraint', stand_in) IS NULL THEN
			PERFORM soft_delete_internal.set_comment('pg_constraint', stand_in, 0, soft_delete_internal.comment_of('stand-in'));
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_stand_in(regclass) IS
'gives an index on live rows, and those of its partitions, their stand-ins';

CREATE FUNCTION soft_delete_internal.bind_stand_ins(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- a change of type, or a restored dump, has built the index again
	PERFORM soft_delete_internal.bind_index(indexrelid, soft_delete_internal.stand_in(indexrelid))
	FROM pg_index
	WHERE indrelid = relation AND soft_delete_internal.stand_in(indexrelid) IS NOT NULL
	  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid
					  AND refclassid = 'pg_constraint'::regclass AND deptype = 'a');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bind_stand_ins(regclass) IS
'makes the indexes of a table depend on their stand-ins, where they do not';

CREATE FUNCTION soft_delete_internal.rename_stand_ins() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	FOR command IN
		SELECT CASE WHEN c.classid = 'pg_constraint'::regclass
			THEN format('ALTER INDEX %s RENAME TO %I', index.oid::regclass, conname)
			ELSE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', conrelid::regclass, conname, relname) END
		FROM pg_event_trigger_ddl_commands() AS c
			JOIN pg_depend ON pg_depend.classid = 'pg_class'::regclass AND refclassid = 'pg_constraint'::regclass AND deptype = 'a'
			JOIN pg_constraint con ON con.oid = refobjid AND contype = 'c'
			JOIN pg_class index ON index.oid = pg_depend.objid AND index.relkind IN ('i', 'I')
		WHERE conname <> relname
		  AND ((c.classid = 'pg_constraint'::regclass AND c.objid = con.oid) OR (c.classid = 'pg_class'::regclass AND c.objid = index.oid))
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_stand_ins() IS
'for event triggers: gives a stand-in the new name of its index, or the index that of its stand-in';

CREATE FUNCTION soft_delete_internal.drop_stand_ins() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	FOR command IN
		WITH orphans AS MATERIALIZED (
			SELECT conrelid, conname, conbin FROM pg_event_trigger_dropped_objects()
				JOIN pg_constraint ON conname = object_name AND contype = 'c' AND conrelid <> 0 AND coninhcount = 0
				JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace AND nspname = schema_name
			WHERE object_type = 'index' AND to_regclass(quote_ident(schema_name) || '.' || quote_ident(object_name)) IS NULL
		)
		SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM orphans
		WHERE pg_get_expr(conbin, conrelid) = 'true' AND soft_delete_internal.tag_arguments(conrelid) IS NOT NULL
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.drop_stand_ins() IS
'for event triggers: drops the stand-ins of dropped indexes';

CREATE FUNCTION soft_delete_internal.key_name(index_name name) RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN right(base, 4) = '_idx' THEN left(base, -4) || '_key' || substr(index_name, length(base) + 1) ELSE index_name END
	FROM rtrim(index_name, '0123456789') AS base
$$;
COMMENT ON FUNCTION soft_delete_internal.key_name(name) IS
'the name that the server would have given to a unique constraint, where an index has a name from the server; else the name itself';

/*
 * CREATE TABLE ... LIKE copies a stand-in with its name, and its index with another name
 * than the unique constraint would have got.
 */
CREATE FUNCTION soft_delete_internal.adopt_stand_ins(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = relation AND contype = 'c') THEN
		RETURN;
	END IF;
	FOR item IN
		SELECT con.oid, con.conname, own.indexrelid::regclass AS index, soft_delete_internal.key_name(own.relname) AS name
		FROM pg_constraint con JOIN pg_constraint origin ON origin.conname = con.conname AND origin.contype = 'c'
			JOIN pg_index ON pg_index.indrelid = origin.conrelid AND soft_delete_internal.stand_in(indexrelid) = origin.oid
			LEFT JOIN (SELECT indexrelid, relname, indrelid FROM pg_index JOIN pg_class ON oid = indexrelid
					   WHERE indisunique AND indpred IS NOT NULL AND soft_delete_internal.stand_in(indexrelid) IS NULL) AS own
				ON own.indrelid = con.conrelid
				AND soft_delete_internal.index_corresponds(own.indexrelid, pg_index.indexrelid)
		WHERE con.conrelid = relation AND con.contype = 'c' AND origin.conrelid <> relation AND pg_get_expr(con.conbin, relation) = 'true'
		  AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = origin.conrelid AND tgfoid = 'soft_delete.delete_row()'::regprocedure)
		  AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = relation AND soft_delete_internal.stand_in(indexrelid) = con.oid)
	LOOP
		IF item.index IS NULL THEN
			EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', relation, item.conname);
		ELSE
			EXECUTE format('ALTER INDEX %s RENAME TO %I', item.index, item.name);
			EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', relation, item.conname, item.name);
			PERFORM soft_delete_internal.bind_index(item.index, item.oid);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.adopt_stand_ins(regclass) IS
'gives the unique indexes that CREATE TABLE ... LIKE a tagged table has made the names of unique constraints, and their stand-ins';

/*
 * Errors name the index of the partition: it gets the name that the server would have
 * given to the unique constraint there.
 */
CREATE FUNCTION soft_delete_internal.name_partition_keys(partition regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT indexrelid::regclass AS index, key_name AS name
		FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace
			JOIN pg_inherits ON inhrelid = indexrelid, soft_delete_internal.key_name(relname) AS key_name
		WHERE indrelid IN (SELECT soft_delete_internal.inheritance_tree(partition)) AND key_name <> relname
		  AND soft_delete_internal.stand_in(soft_delete_internal.root(indexrelid)) IS NOT NULL AND soft_delete_internal.stand_in(indexrelid) IS NULL
		  AND to_regclass(format('%I.%I', nspname, key_name)) IS NULL
	LOOP
		EXECUTE format('ALTER INDEX %s RENAME TO %I', item.index, item.name);
	END LOOP;

	PERFORM soft_delete_internal.make_stand_in(indexrelid) FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid
	WHERE indrelid = partition AND soft_delete_internal.stand_in(inhparent) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.name_partition_keys(regclass) IS
'gives the indexes of a new partition the names of unique constraints, and stand-ins';
