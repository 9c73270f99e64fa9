/*
 * Tables that Citus has sharded.
 *
 * The bin is an ordinary distributed table beside the table, colocated with it: UPDATE of
 * it restores, DELETE purges, and Citus distributes both (delete/sharded.c).  It has who
 * has deleted each row, and is the ledger, too: nothing is written on the coordinator.  It
 * has holds on single rows, and triggers for others (bin_sharded.sql).
 *
 * Table and bin find each other by the first argument of their triggers, which Citus
 * copies to all nodes and shards.  OIDs are others there, and names change.
 *
 * In a database without Citus nothing here is called but is_sharded().
 */

CREATE FUNCTION soft_delete.keep_shard_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_keep_shard_row';
COMMENT ON FUNCTION soft_delete.keep_shard_row() IS
'the tag of a table that Citus has sharded, an AFTER DELETE trigger: inserts the row into the shard of the bin; made by soft_delete.tag()';

CREATE FUNCTION soft_delete.keep_truncated() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_keep_truncated';
COMMENT ON FUNCTION soft_delete.keep_truncated() IS
'BEFORE TRUNCATE trigger of a tagged table that Citus has sharded: inserts its rows into the bin';

CREATE FUNCTION soft_delete.restore_shard_rows() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_restore_shard_rows';
COMMENT ON FUNCTION soft_delete.restore_shard_rows() IS
'AFTER UPDATE trigger of the bin of a table that Citus has sharded: restores the rows whose stamp has become null, and what went with them';

CREATE FUNCTION soft_delete.guard_shard_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_guard_shard_row';
COMMENT ON FUNCTION soft_delete.guard_shard_row() IS
'BEFORE DELETE and BEFORE TRUNCATE trigger of the bin of a table that Citus has sharded: a hold, made by soft_delete.hold(), or what obeys those of single rows';

CREATE FUNCTION soft_delete_internal.is_sharded(relation regclass) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete_internal.has_citus() THEN
		RETURN false;
	END IF;
	RETURN EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_sharded(regclass) IS
'whether the rows of a table are in shards of Citus, on whichever nodes: distributed and reference tables, and local ones in its metadata';

CREATE FUNCTION soft_delete_internal.sharded_tag(relation regclass) RETURNS bytea
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT tgargs FROM pg_trigger WHERE tgrelid = relation AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND tgnargs = 2 LIMIT 1);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_tag(regclass) IS
'the arguments of the tag of a sharded table, or of a shard of it, which its bin has, too';

CREATE FUNCTION soft_delete_internal.sharded_stamp(relation regclass) RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT (soft_delete_internal.trigger_arguments(oid))[2] FROM pg_trigger
			WHERE tgrelid = relation AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND tgnargs = 2 LIMIT 1);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_stamp(regclass) IS
'the name of the column for stamps that the bin of a sharded table, or of a shard of it, has';

CREATE FUNCTION soft_delete_internal.is_column_of_bin(name name, stamp name) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT name IN (stamp, 'deleted_by', 'hold', 'unlinked') $$;
COMMENT ON FUNCTION soft_delete_internal.is_column_of_bin(name, name) IS
'whether the bin of a sharded table has a column of that name beside those of the table; stamp: the name of its column for stamps';

CREATE FUNCTION soft_delete_internal.sharded_partner(relation regclass, own regprocedure, others regprocedure) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete_internal.has_citus() THEN
		RETURN NULL;
	END IF;
	-- who cannot make a table of that owner cannot pass off one; of two, none is the one
	RETURN (SELECT min(other.tgrelid) FROM pg_trigger AS here JOIN pg_class AS own_class ON own_class.oid = here.tgrelid
				JOIN pg_trigger AS other USING (tgargs) JOIN pg_class AS other_class ON other_class.oid = other.tgrelid AND other_class.relowner = own_class.relowner
			WHERE here.tgrelid = relation AND here.tgfoid = own AND other.tgfoid = others AND other.tgparentid = 0
			  AND EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = other.tgrelid)
			HAVING min(other.tgrelid) = max(other.tgrelid));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_partner(regclass, regprocedure, regprocedure) IS
'the distributed table of the same owner, no partition, that has a trigger of the function "others" with the arguments of the one of the function "own" of a table';

CREATE FUNCTION soft_delete_internal.sharded_bin(relation regclass) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT soft_delete_internal.sharded_partner(relation, 'soft_delete.keep_shard_row()', 'soft_delete.restore_shard_rows()') $$;
COMMENT ON FUNCTION soft_delete_internal.sharded_bin(regclass) IS
'the bin of a sharded table';

CREATE FUNCTION soft_delete_internal.sharded_table(bin regclass) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT soft_delete_internal.sharded_partner(bin, 'soft_delete.restore_shard_rows()', 'soft_delete.keep_shard_row()') $$;
COMMENT ON FUNCTION soft_delete_internal.sharded_table(regclass) IS
'the sharded table that a bin belongs to';

CREATE FUNCTION soft_delete_internal.shard_of(relation regclass, OUT relation_of regclass, OUT minimum text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET citus.override_table_visibility = off -- Citus hides shards from queries
AS $$
BEGIN
	-- anybody may make a trigger of ours
	IF NOT soft_delete_internal.has_citus() THEN
		RETURN;
	END IF;
	SELECT logicalrelid, shardminvalue INTO relation_of, minimum
	FROM pg_class JOIN pg_dist_shard ON shardid = substring(relname, '_([0-9]{1,18})$')::bigint
	WHERE pg_class.oid = relation AND relation_is_a_known_shard(relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.shard_of(regclass) IS
'the table that a relation is a shard of, and the least hash of the shard; null if it is no shard';

CREATE FUNCTION soft_delete_internal.shard_beside(relation regclass, minimum text) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET citus.override_table_visibility = off
AS $$
DECLARE
	name text;
BEGIN
	IF relation IS NULL THEN
		RETURN NULL;
	END IF;
	-- colocated shards are of the same hashes
	SELECT CASE WHEN nspname = 'public' AND NOT starts_with(s, 'public.') THEN 'public.' || s ELSE s END INTO name
	FROM pg_dist_shard JOIN pg_class ON pg_class.oid = logicalrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace, shard_name(logicalrelid, shardid) AS s
	WHERE logicalrelid = relation AND shardminvalue IS NOT DISTINCT FROM minimum;
	RETURN to_regclass(name);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.shard_beside(regclass, text) IS
'the shard of a table, on this node, for rows whose least hash is that; null if it is elsewhere';

CREATE FUNCTION soft_delete_internal.untagged_children(relation regclass, truncates boolean) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
SET citus.override_table_visibility = off
AS $$
DECLARE
	-- one that fires before foreign keys act
	is_early boolean := EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND starts_with(tgname, '!'));
BEGIN
	RETURN QUERY
		SELECT DISTINCT conrelid::regclass FROM pg_constraint
		-- of a partition, what references its table, too
		WHERE contype = 'f' AND confrelid = relation
		  AND (confdeltype IN ('n', 'd') AND (truncates OR NOT is_early OR NOT soft_delete_internal.is_relinkable(pg_constraint.oid)) OR confdeltype = 'c')
		  AND (confdeltype IN ('n', 'd') AND NOT truncates OR NOT EXISTS (
			SELECT FROM pg_trigger WHERE tgrelid = conrelid AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND tgenabled IN ('O', 'A')));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untagged_children(regclass, boolean) IS
'the tables whose rows, or references, foreign keys would destroy with rows of a sharded table, or of a shard of it; truncates: by TRUNCATE';

CREATE FUNCTION soft_delete_internal.is_relinkable("constraint" oid) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- of a distributed table that references a replicated one each node knows only the rows that it has
	RETURN EXISTS (SELECT FROM pg_constraint AS con JOIN pg_dist_partition AS child ON child.logicalrelid = coalesce(soft_delete_internal.table_of_shard(conrelid), conrelid)
					JOIN pg_dist_partition AS parent ON parent.logicalrelid = coalesce(soft_delete_internal.table_of_shard(confrelid), confrelid)
				   WHERE con.oid = "constraint" AND confdeltype IN ('n', 'd') AND child.partmethod = parent.partmethod AND child.repmodel = parent.repmodel AND child.colocationid = parent.colocationid)
		AND EXISTS (SELECT FROM pg_constraint AS con JOIN pg_constraint AS pk USING (conrelid) WHERE con.oid = "constraint" AND pk.contype = 'p');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_relinkable(oid) IS
'whether references of sharded tables are kept that a foreign key with ON DELETE SET NULL or SET DEFAULT overwrites';

CREATE FUNCTION soft_delete_internal.tag_name(relation regclass) RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- triggers fire in the order of their names, those of foreign keys among them
	RETURN CASE WHEN EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND confdeltype IN ('n', 'd') AND confrelid = relation) THEN '!' ELSE '~' END || 'soft_delete_shard';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_name(regclass) IS
'how the tag of a sharded table has to be called';

CREATE FUNCTION soft_delete_internal.name_of_reference(con pg_constraint) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- Citus appends the number of the shard to the name, and may shorten it before: the columns tell which it is
	own regclass := coalesce(soft_delete_internal.table_of_shard(con.conrelid), con.conrelid);
	parent regclass := coalesce(soft_delete_internal.table_of_shard(con.confrelid), con.confrelid);
	columns name[] := ARRAY(SELECT attname FROM unnest(con.conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum) WHERE attrelid = con.conrelid ORDER BY n);
	name name;
BEGIN
	SELECT conname INTO name FROM pg_constraint
	WHERE conrelid = own AND confrelid = parent AND contype = 'f' AND conparentid = 0 AND confdeltype IN ('n', 'd')
	  AND ARRAY(SELECT attname FROM unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum) WHERE attrelid = own ORDER BY n) = columns
	ORDER BY pg_constraint.oid LIMIT 1;
	-- two tables may have foreign keys of one name: then that of the table tells them apart
	RETURN CASE WHEN EXISTS (SELECT FROM pg_constraint WHERE confrelid = parent AND contype = 'f' AND conparentid = 0 AND conrelid <> own AND conname = name)
		THEN format('%s.%s', soft_delete_internal.qualified_name(own), name) ELSE name::text END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.name_of_reference(pg_constraint) IS
'the name by which bins know the references of a foreign key, of a sharded table or of a shard of it';

CREATE FUNCTION soft_delete_internal.key_of_row(relation regclass, alias text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT format('pg_catalog.jsonb_build_array(%s)::pg_catalog.text', string_agg(format('%s.%I::pg_catalog.text', alias, attname), ', ' ORDER BY n))
			FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum) WHERE conrelid = relation AND contype = 'p' AND attrelid = conrelid);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.key_of_row(regclass, text) IS
'an expression for the primary key of a row of a sharded table, or of a shard of it, by which bins know references; null if there is none';

CREATE FUNCTION soft_delete_internal.unlinking_statements(shard regclass, OUT relation regclass, OUT statement text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
SET citus.override_table_visibility = off
AS $$
BEGIN
	RETURN QUERY
		SELECT conrelid::regclass, format('SELECT pg_catalog.jsonb_build_object(%L, keys) FROM (SELECT pg_catalog.jsonb_object_agg(%s, 1) AS keys FROM %s AS c WHERE %s) AS k WHERE keys IS NOT NULL',
			soft_delete_internal.name_of_reference(con), soft_delete_internal.key_of_row(conrelid, 'c'), conrelid::regclass,
			soft_delete_internal.key_match(con.oid, '($1)', 'c'))
		FROM pg_constraint AS con WHERE contype = 'f' AND conparentid = 0 AND confdeltype IN ('n', 'd') AND confrelid = shard;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.unlinking_statements(regclass) IS
'for each foreign key that sets references to a row $1 of a shard to null or a default, a query for the keys of the rows with these';

CREATE FUNCTION soft_delete_internal.shard_of_bin(shard regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET citus.override_table_visibility = off
AS $$
DECLARE
	own regclass;
	minimum text;
	bin regclass;
	found regclass;
	child regclass;
BEGIN
	SELECT relation_of, s.minimum INTO own, minimum FROM soft_delete_internal.shard_of(shard) AS s;
	bin := soft_delete_internal.sharded_bin(own);
	found := soft_delete_internal.shard_beside(bin, minimum);
	-- one of another owner is not that of a bin of this table
	IF found IS NULL OR NOT EXISTS (SELECT FROM pg_class AS a JOIN pg_class AS b USING (relowner) WHERE a.oid = shard AND b.oid = found) THEN
		RAISE EXCEPTION 'there is no bin for rows that are deleted from "%"', shard
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = CASE WHEN own IS NULL THEN 'It has the tag of a table that Citus has sharded, and is no shard.'
					WHEN bin IS NULL THEN format('Table %s is tagged, and its bin is missing.', own)
					ELSE format('Its bin is %s, which has no shard beside it.', bin) END;
	END IF;
	SELECT c INTO child FROM soft_delete_internal.untagged_children(shard, false) AS c LIMIT 1;
	IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = shard AND conrelid = child AND confdeltype IN ('n', 'd')) THEN
		RAISE EXCEPTION 'cannot delete from tagged table "%": a foreign key would overwrite references of table "%"', own, coalesce(soft_delete_internal.table_of_shard(child), child)
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'The tag keeps no references that it sets to null or a default.',
				HINT = coalesce((SELECT CASE WHEN soft_delete_internal.is_relinkable(pg_constraint.oid) THEN format('SELECT soft_delete.repair(%L);', own) ELSE format('ALTER TABLE %s DROP CONSTRAINT %I;', conrelid::regclass, conname) END FROM pg_constraint
								 WHERE contype = 'f' AND confrelid = own AND conrelid = coalesce(soft_delete_internal.table_of_shard(child), child) AND confdeltype IN ('n', 'd') LIMIT 1), 'SELECT * FROM soft_delete.check();');
	ELSIF child IS NOT NULL THEN
		RAISE EXCEPTION 'cannot delete from tagged table "%": a foreign key would destroy rows of table "%"', own, coalesce(soft_delete_internal.table_of_shard(child), child)
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'It is not tagged.',
				HINT = format('SELECT soft_delete.tag(%L, storage => ''aside'', cascade => true);', own);
	END IF;
	RETURN found;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.shard_of_bin(regclass) IS
'the shard of the bin of a sharded table that is beside a shard of the table; raises 55000 where there is none, or where a foreign key would destroy what is not kept';

CREATE FUNCTION soft_delete_internal.common_columns(relation regclass, bin regclass) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET citus.override_table_visibility = off
AS $$
BEGIN
	RETURN (SELECT string_agg(quote_ident(own.attname), ', ' ORDER BY own.attnum)
			FROM pg_attribute AS own JOIN pg_attribute AS kept USING (attname)
			WHERE own.attrelid = relation AND kept.attrelid = bin AND own.attnum > 0 AND NOT own.attisdropped AND own.attgenerated = '');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.common_columns(regclass, regclass) IS
'the columns, by name and without generated ones, that a sharded table has and its bin, too';

CREATE FUNCTION soft_delete_internal.unguarded_partitions(relation regclass) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY SELECT m FROM soft_delete_internal.inheritance_tree(relation) AS m
		WHERE m <> relation AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = m AND tgfoid = 'soft_delete.keep_truncated()'::regprocedure AND tgenabled IN ('O', 'A'));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.unguarded_partitions(regclass) IS
'the partitions of a sharded table whose rows TRUNCATE would destroy, for a trigger is missing or disabled';

/* Triggers of the table, or of a shard, with a condition on the primary key; their arguments are why, who, the mark of what goes with the row, and the key. */
CREATE FUNCTION soft_delete_internal.live_holds(relation regclass) RETURNS SETOF pg_trigger
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
	RETURN QUERY SELECT * FROM pg_trigger WHERE tgrelid = relation AND tgfoid = 'soft_delete.guard_shard_row()'::regprocedure AND starts_with(tgname, '~soft_delete_shard_live_');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.live_holds(regclass) IS
'the triggers of a sharded table that are holds on live rows';

CREATE FUNCTION soft_delete_internal.own_marks(relation regclass, OUT hold text, OUT mark text, OUT condition text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY SELECT arguments[1], arguments[3], (soft_delete_internal.given_key(relation, arguments[4:])).condition
		FROM soft_delete_internal.live_holds(relation) AS t, soft_delete_internal.trigger_arguments(t.oid) AS arguments;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.own_marks(regclass) IS
'the conditions of rows of a sharded table or a shard, as b, that are held by themselves, with why, and the mark of what goes with them';

CREATE FUNCTION soft_delete_internal.holds_expression(conditions text[], holds text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT 'nullif(pg_catalog.array_remove(ARRAY[' || string_agg(format('CASE WHEN %s THEN %L::pg_catalog.text END', c, h), ', ') || '], NULL), ''{}'')'
			FROM unnest(conditions, holds) AS u(c, h));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.holds_expression(text[], text[]) IS
'the expression for why a row is held, a text[]: those holds whose condition is true; null if there are none';

CREATE FUNCTION soft_delete_internal.live_marks(relation regclass, path oid[] DEFAULT '{}', OUT hold text, OUT mark text, OUT condition text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	root regclass := soft_delete_internal.root(relation);
BEGIN
	RETURN QUERY SELECT * FROM soft_delete_internal.own_marks(root);
	RETURN QUERY SELECT NULL::text, above.mark, format('EXISTS (SELECT 1 FROM (SELECT * FROM %s AS b WHERE %s) AS p WHERE %s)', confrelid::regclass, above.condition, soft_delete_internal.key_match(con.oid, 'p', 'b'))
		FROM pg_constraint AS con, soft_delete_internal.live_marks(confrelid, path || root::oid) AS above
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype = 'c' AND conrelid = root AND confrelid <> ALL (path || root::oid);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.live_marks(regclass, oid[]) IS
'the conditions of live rows of a sharded table, as b, that are held, or whose parents are, with why, or with the mark of what goes with such a row; path: the tables below';

CREATE FUNCTION soft_delete_internal.marking_statement(shard regclass) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT 'SELECT ' || soft_delete_internal.holds_expression(array_agg(m.condition), array_agg(m.hold)) || ' FROM (SELECT ($1).*) AS b'
			FROM soft_delete_internal.own_marks(shard) AS m);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.marking_statement(regclass) IS
'a query for why a row $1 that is deleted from a shard was held when it lived, a text[]; null if no row of the shard is';

CREATE FUNCTION soft_delete_internal.cascade_edges(relation regclass) RETURNS SETOF pg_constraint
LANGUAGE plpgsql STABLE ROWS 3
SET search_path = pg_catalog, pg_temp
SET citus.override_table_visibility = off
AS $$
BEGIN
	RETURN QUERY
		WITH RECURSIVE reached AS (
			SELECT soft_delete_internal.root(relation)::oid AS member
			UNION
			SELECT conrelid FROM reached JOIN pg_constraint ON confrelid = member WHERE contype = 'f' AND conparentid = 0 AND confdeltype = 'c'
		)
		SELECT con.* FROM reached JOIN pg_constraint AS con ON confrelid = member
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype = 'c' AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = conrelid AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure)
		-- parents first
		ORDER BY (SELECT count(*) FROM soft_delete_internal.sharded_ancestors(conrelid)), con.oid;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.cascade_edges(regclass) IS
'the foreign keys by which the deletes of a sharded table, or of a shard, reach tagged ones with ON DELETE CASCADE, its own among them';

/* Each is repeated until none changes a row: deletes may reach a table again. */
CREATE FUNCTION soft_delete_internal.spreading_statements(shard regclass, OUT relation regclass, OUT statement text) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
SET citus.override_table_visibility = off
AS $$
DECLARE
	root regclass := soft_delete_internal.root(shard);
	own text;
	marks text[];
	con pg_constraint;
BEGIN
	SELECT array_agg(m.mark), soft_delete_internal.holds_expression(array_agg(m.condition), array_agg(m.mark)) INTO marks, own FROM soft_delete_internal.own_marks(shard) AS m;
	IF marks IS NULL THEN
		RETURN;
	END IF;
	FOR con IN SELECT * FROM soft_delete_internal.cascade_edges(root) LOOP
		relation := soft_delete_internal.shard_of_bin(con.conrelid);
		-- the rows themselves are held by their own name
		statement := format('UPDATE ONLY %1$s AS u SET hold = pg_catalog.array_cat(u.hold, f.marks) FROM (SELECT b.ctid AS place, pg_catalog.array_agg(DISTINCT m) AS marks '
			'FROM %1$s AS b, (SELECT b.*, pg_catalog.array_cat(ARRAY(SELECT h FROM pg_catalog.unnest(b.hold) AS h WHERE h OPERATOR(pg_catalog.=) ANY (%2$L)), %3$s) AS soft_delete_marks FROM %4$s AS b WHERE b.%5$I OPERATOR(pg_catalog.=) $1) AS p, pg_catalog.unnest(p.soft_delete_marks) AS m '
			'WHERE b.%6$I OPERATOR(pg_catalog.=) $1 AND %7$s AND (m OPERATOR(pg_catalog.=) ANY (b.hold)) IS NOT TRUE%8$s GROUP BY b.ctid) AS f WHERE u.ctid OPERATOR(pg_catalog.=) f.place',
			relation, marks, CASE con.confrelid WHEN root THEN own ELSE 'NULL' END, soft_delete_internal.shard_of_bin(con.confrelid), soft_delete_internal.sharded_stamp(con.confrelid), soft_delete_internal.sharded_stamp(con.conrelid),
			soft_delete_internal.key_match(con.oid, 'p', 'b'), CASE con.conrelid WHEN root THEN format(' AND (m OPERATOR(pg_catalog.=) ANY (%s)) IS NOT TRUE', own) ELSE '' END);
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.spreading_statements(regclass) IS
'what marks the rows of bins that went with held rows of a shard, with stamp $1; each is an UPDATE as the owner of a relation';

CREATE FUNCTION soft_delete_internal.goes_with(con pg_constraint, origin regclass, condition text, mark text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN format('%s EXISTS (SELECT 1 FROM (SELECT * FROM %s AS b WHERE %L OPERATOR(pg_catalog.=) ANY (b.hold)%s) AS p WHERE %s AND p.%I OPERATOR(pg_catalog.=) b.%I)',
		CASE con.conrelid WHEN origin THEN format('(%s) IS NOT TRUE AND', condition) ELSE '' END, soft_delete_internal.sharded_bin(con.confrelid), mark, CASE con.confrelid WHEN origin THEN format(' OR (%s)', condition) ELSE '' END,
		soft_delete_internal.key_match(con.oid, 'p', 'b'), soft_delete_internal.sharded_stamp(con.confrelid), soft_delete_internal.sharded_stamp(con.conrelid));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.goes_with(pg_constraint, regclass, text, text) IS
'the condition that a row b of the bin of the table of a foreign key went with one that has a mark, or with one of a table of origin that has a condition, and is not such a row itself';

CREATE FUNCTION soft_delete_internal.truncating_statements(relation regclass, OUT relation_of regclass, OUT statement text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	stamp name := soft_delete_internal.sharded_stamp(relation);
	bin regclass := soft_delete_internal.sharded_bin(relation);
	child regclass;
	columns text;
	holds text;
	root regclass := soft_delete_internal.root(relation);
BEGIN
	-- truncate_local_data_after_distributing_table() is about rows that live on in shards
	IF soft_delete_internal.table_of_shard(relation) IS NOT NULL OR NOT coalesce(current_setting('citus.enable_ddl_propagation', true)::boolean, true) THEN
		RETURN;
	END IF;
	-- Citus' own sessions do not know shards that the transaction has made
	IF NOT soft_delete_internal.leads_citus() AND NOT soft_delete_internal.is_sharded(relation) AND (SELECT relname ~ '_[0-9]{1,18}$' FROM pg_class WHERE oid = relation) THEN
		RETURN;
	END IF;
	IF bin IS NULL OR NOT soft_delete_internal.is_sharded(relation) THEN
		RAISE EXCEPTION 'there is no bin for the rows of table "%"', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It has the tag of a table that Citus has sharded.';
	END IF;
	SELECT c INTO child FROM soft_delete_internal.untagged_children(relation, true) AS c LIMIT 1;
	IF child IS NOT NULL THEN
		RAISE EXCEPTION 'cannot truncate tagged table "%": table "%" references it, and is not tagged', relation, child
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'TRUNCATE would destroy its rows.';
	END IF;
	IF (SELECT relkind = 'p' FROM pg_class WHERE oid = relation) THEN
		-- the triggers of its partitions fire, too
		SELECT m INTO child FROM soft_delete_internal.unguarded_partitions(relation) AS m LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION 'cannot truncate tagged table "%" with its partition "%"', relation, child
				USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It has no trigger that keeps its rows.', HINT = format('SELECT soft_delete.repair(%L);', relation);
		END IF;
		RETURN;
	END IF;
	SELECT string_agg(quote_ident(own.attname), ', ' ORDER BY own.attnum) INTO columns
	FROM pg_attribute AS own WHERE own.attrelid = relation AND own.attnum > 0 AND NOT own.attisdropped AND own.attgenerated <> 'v';
	relation_of := bin;
	-- the transaction becomes a distributed one, which has a stamp
	statement := format('SELECT 1 FROM %s WHERE %I IS NULL', bin, stamp);
	RETURN NEXT;
	SELECT soft_delete_internal.holds_expression(array_agg(m.condition), array_agg(coalesce(m.hold, m.mark))) INTO holds FROM soft_delete_internal.live_marks(relation) AS m;
	statement := format('INSERT INTO %s (%s, %I, deleted_by%s) SELECT %s, $1, $2%s FROM %s AS b', bin, columns, stamp, CASE WHEN holds IS NOT NULL THEN ', hold' ELSE '' END, columns, coalesce(', ' || holds, ''), relation);
	RETURN NEXT;
	IF holds IS NULL THEN
		RETURN;
	END IF;
	-- where deletes reach a table again, what goes with a held row is at any depth
	FOR relation_of, statement IN
		SELECT soft_delete_internal.sharded_bin(con.conrelid), format('UPDATE %1$s AS b SET hold = pg_catalog.array_append(b.hold, %2$L) WHERE b.%3$I OPERATOR(pg_catalog.=) $1 AND (%2$L OPERATOR(pg_catalog.=) ANY (b.hold)) IS NOT TRUE AND %4$s',
			soft_delete_internal.sharded_bin(con.conrelid), m.mark, soft_delete_internal.sharded_stamp(con.conrelid), soft_delete_internal.goes_with(con, origin, m.condition, m.mark))
		FROM (SELECT root UNION SELECT a FROM soft_delete_internal.sharded_ancestors(root) AS a WHERE soft_delete_internal.sharded_bin(a) IS NOT NULL) AS o(origin), soft_delete_internal.own_marks(origin) AS m, soft_delete_internal.cascade_edges(origin) AS con
		WHERE EXISTS (SELECT FROM soft_delete_internal.cascade_edges(origin) AS e WHERE root IN (e.conrelid, e.confrelid))
		  AND EXISTS (SELECT FROM soft_delete_internal.cascade_edges(origin) AS e, soft_delete_internal.cascade_edges(e.conrelid) AS below WHERE below.conrelid = e.conrelid)
	LOOP
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.truncating_statements(regclass) IS
'what keeps the rows of a sharded table that is truncated, and then what is repeated until none changes a row; $1: the stamp, $2: who does it; nothing for a shard, nor for a partitioned table, whose partitions have triggers of their own';

CREATE FUNCTION soft_delete_internal.has_reference(con pg_constraint, alias text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT format('(%s)', string_agg(format('%s.%I IS NOT NULL', alias, attname), ' AND ')) FROM pg_attribute WHERE attrelid = con.conrelid AND attnum = ANY (con.conkey));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.has_reference(pg_constraint, text) IS
'the condition that a row of the table of a foreign key references another one; alias: of the row, in a query';

CREATE FUNCTION soft_delete_internal.is_mark(hold text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
	RETURN hold ~ ' \(with [0-9a-f]{16}\)$';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_mark(text) IS
'whether that is why a row of the bin of a sharded table is held with another row, and not by itself';

CREATE FUNCTION soft_delete_internal.staying_mark() RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN 'stays (with 0000000000000000)';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.staying_mark() IS
'what undo() adds to the holds of deleted rows of a sharded table that do not come back, while it restores the others';

CREATE FUNCTION soft_delete_internal.erasing_mark() RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN 'erased (with 0000000000000000)';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.erasing_mark() IS
'what erase() adds to the holds of deleted rows of a sharded table before it purges them; a row that has no other hold is not held (delete/sharded.c)';

CREATE FUNCTION soft_delete_internal.restoring_statements(shard regclass, OUT relation regclass, OUT statement text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
SET citus.override_table_visibility = off
AS $$
DECLARE
	bin regclass;
	minimum text;
	stamp name;
	relation_shard regclass;
	other record;
BEGIN
	SELECT s.relation_of, s.minimum INTO bin, minimum FROM soft_delete_internal.shard_of(shard) AS s;
	relation_shard := soft_delete_internal.shard_beside(soft_delete_internal.sharded_table(bin), minimum);
	stamp := soft_delete_internal.sharded_stamp(relation_shard);
	IF stamp IS NULL OR NOT EXISTS (SELECT FROM pg_class AS a JOIN pg_class AS b USING (relowner) WHERE a.oid = shard AND b.oid = relation_shard) THEN
		RAISE EXCEPTION 'there is no table for the rows of bin "%"', coalesce(bin, shard)
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'A bin restores to a tagged table that Citus has distributed with it.';
	END IF;
	relation := shard;
	statement := format('SELECT pg_catalog.count(*) FROM soft_delete_new WHERE %I IS NULL', stamp);
	RETURN NEXT;
	statement := format('SELECT pg_catalog.count(*) FROM soft_delete_new WHERE %I IS NULL AND hold IS NOT NULL', stamp);
	RETURN NEXT;
	-- no value is lost with a column that the table has lost
	statement := format('SELECT pg_catalog.count(*) FROM soft_delete_new WHERE %I IS NULL AND (false', stamp)
		|| coalesce((SELECT string_agg(format(' OR %I IS NOT NULL', attname), '') FROM pg_attribute
					 WHERE attrelid = shard AND attnum > 0 AND NOT attisdropped AND NOT soft_delete_internal.is_column_of_bin(attname, stamp)
					   AND NOT EXISTS (SELECT FROM pg_attribute AS own WHERE own.attrelid = relation_shard AND own.attname = pg_attribute.attname AND own.attnum > 0)), '')
		|| ')';
	RETURN NEXT;
	-- what stays is as it was, but for its hold; types need not have an operator of equality
	SELECT format('SELECT CASE WHEN EXISTS (SELECT FROM soft_delete_new WHERE %1$I IS NOT NULL) THEN (SELECT pg_catalog.count(*) FROM '
				  '(SELECT ROW(%2$s)::pg_catalog.text FROM soft_delete_new WHERE %1$I IS NOT NULL EXCEPT ALL SELECT ROW(%2$s)::pg_catalog.text FROM soft_delete_old) AS altered) ELSE 0 END',
				  stamp, string_agg(quote_ident(attname), ', ' ORDER BY attnum)) INTO statement
	FROM pg_attribute WHERE attrelid = shard AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('hold', 'unlinked');
	RETURN NEXT;
	-- the table may reference one that comes back below it
	statement := format('SELECT %s::pg_catalog.int8', (SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conrelid = relation_shard AND confrelid <> conrelid
		AND confrelid IN (SELECT e.conrelid FROM soft_delete_internal.cascade_edges(relation_shard) AS e)));
	RETURN NEXT;
	statement := format('INSERT INTO %s (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM soft_delete_new WHERE %3$I IS NULL', relation_shard, soft_delete_internal.common_columns(relation_shard, shard), stamp);
	relation := relation_shard;
	RETURN NEXT;
	statement := format('DELETE FROM ONLY %s WHERE %I IS NULL', shard, stamp);
	relation := shard;
	RETURN NEXT;
	-- what went with them, but for what still lacks another parent: that one brings it
	FOR other IN
		SELECT soft_delete_internal.shard_of_bin(conrelid) AS child_bin, soft_delete_internal.sharded_stamp(conrelid) AS child_stamp,
			soft_delete_internal.key_match(con.oid, 'o', 'b') AS matches,
			-- a row that comes back under another key does not bring them
			(SELECT string_agg(format('n.%1$I OPERATOR(%2$I.%3$s) o.%1$I', attname, nspname, oprname), ' AND ')
			 FROM unnest(confkey, conppeqop) AS k(parent, op) JOIN pg_attribute ON attrelid = confrelid AND attnum = parent
				JOIN pg_operator ON pg_operator.oid = op JOIN pg_namespace ON pg_namespace.oid = oprnamespace) AS keeps_key,
			-- or is below that itself
			(SELECT string_agg(format(' AND (%s IS NOT TRUE OR EXISTS (SELECT FROM %s AS o WHERE %s)%s)', soft_delete_internal.has_reference(further, 'b'), further.confrelid::regclass, soft_delete_internal.key_match(further.oid, 'o', 'b'),
					CASE WHEN further.confrelid IN (SELECT e.conrelid FROM soft_delete_internal.cascade_edges(con.conrelid) AS e) AND above.relowner = own.relowner
						THEN format(' OR EXISTS (SELECT FROM %s AS o WHERE %s AND o.%I OPERATOR(pg_catalog.=) b.%I)', soft_delete_internal.shard_of_bin(further.confrelid), soft_delete_internal.key_match(further.oid, 'o', 'b'),
							soft_delete_internal.sharded_stamp(further.confrelid), soft_delete_internal.sharded_stamp(con.conrelid)) ELSE '' END), '')
			 FROM pg_constraint AS further JOIN pg_class AS above ON above.oid = further.confrelid JOIN pg_class AS own ON own.oid = further.conrelid
			 WHERE further.contype = 'f' AND further.conparentid = 0 AND further.conrelid = con.conrelid AND further.confrelid NOT IN (con.conrelid, con.confrelid)) AS parents_exist
		FROM pg_constraint AS con JOIN pg_trigger ON tgrelid = conrelid AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype = 'c' AND confrelid = relation_shard
		ORDER BY conname
	LOOP
		statement := format('UPDATE ONLY %s AS b SET %I = NULL FROM soft_delete_old AS o WHERE %s AND b.%2$I OPERATOR(pg_catalog.=) o.%4$I AND (b.hold IS NULL OR NOT %7$L OPERATOR(pg_catalog.=) ANY (b.hold)) AND EXISTS (SELECT FROM soft_delete_new AS n WHERE n.%4$I IS NULL AND %5$s)%6$s',
			other.child_bin, other.child_stamp, other.matches, stamp, other.keeps_key, other.parents_exist, soft_delete_internal.staying_mark());
		relation := other.child_bin;
		RETURN NEXT;
	END LOOP;
	-- references to them that are still null, or the default
	FOR other IN
		SELECT conrelid AS child, soft_delete_internal.name_of_reference(con) AS name, sets, is_unlinked, keeps_key,
			(SELECT string_agg(format('c.%I OPERATOR(pg_catalog.=) CAST(u.k::pg_catalog.jsonb OPERATOR(pg_catalog.->>) %s AS %s)', attname, n - 1, format_type(atttypid, atttypmod)), ' AND ')
			 FROM pg_constraint AS pk, unnest(pk.conkey) WITH ORDINALITY AS k(attnum, n) JOIN pg_attribute USING (attnum) WHERE pk.conrelid = con.conrelid AND pk.contype = 'p' AND attrelid = pk.conrelid) AS is_row
		FROM pg_constraint AS con, LATERAL (
			SELECT string_agg(format('%I = n.%I', c.attname, p.attname), ', ') FILTER (WHERE is_set) AS sets,
				string_agg(CASE WHEN is_set AND new_value IS NULL THEN format('c.%I IS NULL', c.attname) WHEN is_set THEN format('coalesce(c.%1$I %2$s (%3$s), c.%1$I IS NULL AND (%3$s) IS NULL)', c.attname, soft_delete_internal.qualified_operator(equal), new_value) ELSE format('n.%I OPERATOR(%I.%s) c.%I', p.attname, nspname, oprname, c.attname) END, ' AND ') AS is_unlinked,
				string_agg(format('n.%1$I OPERATOR(pg_catalog.=) o.%1$I', p.attname), ' AND ') AS keeps_key
			FROM unnest(conkey, confkey, conpfeqop, conffeqop) AS k(child, parent, op, equal) JOIN pg_attribute AS c ON c.attrelid = conrelid AND c.attnum = child
				JOIN pg_attribute AS p ON p.attrelid = confrelid AND p.attnum = parent JOIN pg_operator ON pg_operator.oid = op JOIN pg_namespace ON pg_namespace.oid = oprnamespace,
				LATERAL (SELECT confdelsetcols IS NULL OR child = ANY (confdelsetcols), (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = conrelid AND adnum = child AND confdeltype = 'd')) AS s(is_set, new_value)) AS columns
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype IN ('n', 'd') AND confrelid = relation_shard
		ORDER BY conname
	LOOP
		relation := other.child;
		statement := format('UPDATE %s AS c SET %s FROM soft_delete_new AS n, LATERAL pg_catalog.jsonb_object_keys(n.unlinked OPERATOR(pg_catalog.->) %L) AS u(k) WHERE n.%I IS NULL AND %s AND %s AND EXISTS (SELECT FROM soft_delete_old AS o WHERE %s)',
			relation, other.sets, other.name, stamp, other.is_row, other.is_unlinked, other.keeps_key);
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.restoring_statements(regclass) IS
'what restores the rows that an UPDATE of a shard of a bin has restored: their number, and how many of them are held, and have lost a column; how many others it has altered, but for a hold; whether rows that they reference come back below them; an INSERT, a DELETE from the bin of as many rows, an UPDATE of the bin of each child, and one of each table whose references were overwritten; each as the owner of a relation';

CREATE FUNCTION soft_delete_internal.check_sharded(relation regclass, deleted_at name, views name, bridge text, together regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	child regclass;
	reason text;
	remedy text;
BEGIN
	PERFORM soft_delete_internal.check_owner(relation);
	SELECT CASE WHEN partmethod NOT IN ('h', 'n') THEN 'It is not distributed by the hash of a column.'
			WHEN relispartition THEN 'It is a partition, and has the tag of the partitioned table.'
			WHEN relkind <> 'p' AND (relkind <> 'r' OR relhassubclass) THEN 'It has inheritance children.'
			WHEN relpersistence <> 'p' THEN 'It is not logged.'
			WHEN soft_delete_internal.sharded_table(relation) IS NOT NULL THEN 'It is the bin of another table.'
			WHEN bridge IS NOT NULL THEN 'A sharded table has no bridge.'
			WHEN views IS NOT NULL AND to_regnamespace(quote_ident(views)) IS DISTINCT FROM relnamespace::regnamespace THEN 'The bin of a sharded table is in the schema of the table.'
			WHEN EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND soft_delete_internal.is_column_of_bin(attname, deleted_at)) THEN format('It has a column %I, deleted_by, hold or unlinked, which the bin has of its own.', deleted_at)
			WHEN deleted_at IN ('deleted_by', 'hold', 'unlinked') THEN 'That is another column of the bin.' END
	INTO reason FROM pg_dist_partition JOIN pg_class ON pg_class.oid = logicalrelid WHERE logicalrelid = relation;
	IF (SELECT relispartition FROM pg_class WHERE oid = relation) THEN
		remedy := format('SELECT soft_delete.tag(%L, storage => ''aside'');', soft_delete_internal.root(relation));
	ELSIF reason IS NULL THEN
		PERFORM soft_delete_internal.check_access_method(relation);
		SELECT conrelid::regclass, CASE WHEN confdeltype = 'c' AND soft_delete_internal.is_sharded(conrelid) THEN format('SELECT soft_delete.tag(%L, storage => ''aside'', cascade => true);', relation)
			ELSE format('ALTER TABLE %s DROP CONSTRAINT %I;', conrelid::regclass, conname) END INTO child, remedy
		FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND confrelid IN (SELECT soft_delete_internal.inheritance_tree(relation))
		  AND (confdeltype IN ('n', 'd') AND NOT soft_delete_internal.is_relinkable(pg_constraint.oid) OR confdeltype = 'c' AND soft_delete_internal.root(conrelid) <> ALL (together) AND soft_delete_internal.sharded_tag(conrelid) IS NULL) LIMIT 1;
		IF FOUND THEN
			reason := format('Its deletes would destroy rows of table %s by ON DELETE CASCADE, or references by SET NULL or SET DEFAULT of a table that is distributed otherwise or has no primary key.', child);
		END IF;
	END IF;
	IF remedy IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%", which is %, alone', relation, soft_delete_internal.citus_kind(relation)
			USING ERRCODE = 'feature_not_supported', DETAIL = reason, HINT = remedy;
	ELSIF reason IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%", which is %, so', relation, soft_delete_internal.citus_kind(relation)
			USING ERRCODE = 'feature_not_supported', DETAIL = reason;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_sharded(regclass, name, name, text, regclass[]) IS
'raises what tag() refuses for a sharded table; together: those that are tagged with it';

CREATE FUNCTION soft_delete_internal.rename_sharded_tag(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.enable_unsafe_triggers = on
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	arguments text[];
	old_name name;
BEGIN
	SELECT soft_delete_internal.trigger_arguments(oid), tgname INTO arguments, old_name FROM pg_trigger
	WHERE tgrelid = relation AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND tgnargs = 2 AND tgname <> soft_delete_internal.tag_name(relation) LIMIT 1;
	IF FOUND AND starts_with(old_name, '~') THEN
		PERFORM soft_delete_internal.alter_as_owner(relation, format('CREATE TRIGGER %I AFTER DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.keep_shard_row(%L, %L)', soft_delete_internal.tag_name(relation), relation, arguments[1], arguments[2]));
		PERFORM soft_delete_internal.alter_as_owner(relation, format('DROP TRIGGER %I ON %s', old_name, relation));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_sharded_tag(regclass) IS
'lets the tag of a sharded table fire before foreign keys act, if one overwrites references';

/* Partitions have the row trigger of their table, but not the one for TRUNCATE. */
CREATE FUNCTION soft_delete_internal.guard_partitions(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.enable_unsafe_triggers = on
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	member regclass;
	item record;
	arguments text[] := (SELECT soft_delete_internal.trigger_arguments(oid) FROM pg_trigger WHERE tgrelid = relation AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND tgnargs = 2 LIMIT 1);
BEGIN
	IF (SELECT relkind <> 'p' FROM pg_class WHERE oid = relation) THEN
		RETURN;
	END IF;
	FOR member IN SELECT m FROM soft_delete_internal.unguarded_partitions(relation) AS m LOOP
		PERFORM soft_delete_internal.alter_as_owner(member, format('CREATE OR REPLACE TRIGGER "~soft_delete_shard_truncate" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.keep_truncated(%L, %L)', member, arguments[1], arguments[2]));
	END LOOP;
	-- those that were detached; others may have made such a trigger, too
	FOR item IN
		SELECT tgrelid::regclass AS member, tgname FROM pg_trigger JOIN pg_dist_partition ON logicalrelid = tgrelid JOIN pg_class ON pg_class.oid = tgrelid
		WHERE tgfoid = 'soft_delete.keep_truncated()'::regprocedure AND tgargs = soft_delete_internal.sharded_tag(relation) AND soft_delete_internal.root(tgrelid) <> relation
		  AND relowner = (SELECT own.relowner FROM pg_class AS own WHERE own.oid = relation)
	LOOP
		PERFORM soft_delete_internal.alter_as_owner(item.member, format('DROP TRIGGER %I ON %s', item.tgname, item.member));
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.guard_partitions(regclass) IS
'gives the partitions of a sharded table the trigger that keeps what TRUNCATE deletes, and takes it from those that were detached';

CREATE FUNCTION soft_delete_internal.make_sharded_bin(relation regclass, deleted_at name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.enable_unsafe_triggers = on -- Citus does not vouch for them: each writes to a shard beside it only
AS $$
DECLARE
	name name := soft_delete_internal.view_name(relation, '_deleted');
	tag text := md5(format('%s %s %s', relation, clock_timestamp(), random()));
	bin text;
	own text := soft_delete_internal.qualified_name(relation);
	command text;
BEGIN
	SELECT format('%I.%I', nspname, name) INTO bin FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation;
	-- as the owner: Citus has a connection for each role, which does not see what that of another one has done in the transaction
	FOREACH command IN ARRAY ARRAY[
		format('CREATE TABLE %s (%s, %I timestamptz, deleted_by text, hold text[], unlinked jsonb) USING heap', bin,
			(SELECT string_agg(definition, ', ' ORDER BY attnum) FROM soft_delete_internal.companion_columns(relation)), deleted_at),
		format('CREATE INDEX ON %s (%I)', bin, deleted_at),
		format('CREATE INDEX ON %s (%I) WHERE hold IS NOT NULL', bin, deleted_at),
		-- it moves with the table, whose rows can be updated while they move
		format('ALTER TABLE %s REPLICA IDENTITY FULL', bin)]
	LOOP
		PERFORM soft_delete_internal.alter_as_owner(relation, command);
	END LOOP;
	-- in the schema of a tenant it is distributed already
	IF NOT soft_delete_internal.is_sharded(bin::regclass) THEN
		PERFORM answer FROM soft_delete_internal.query_as_owner(relation, (SELECT format('SELECT d::text FROM %s AS d',
			CASE WHEN partmethod = 'h' THEN format('create_distributed_table(%L, %L, colocate_with => %L)', bin, column_to_column_name(logicalrelid, partkey), own)
				WHEN repmodel = 't' THEN format('create_reference_table(%L)', bin)
				WHEN colocationid = 0 THEN format('citus_add_local_table_to_metadata(%L)', bin)
				ELSE format('create_distributed_table(%L, NULL, colocate_with => %L)', bin, own) END)
			FROM pg_dist_partition WHERE logicalrelid = relation)) AS q(answer text);
	END IF;
	-- default privileges may have given it to others
	PERFORM soft_delete_internal.alter_as_owner(relation, format('REVOKE ALL ON %s FROM %s CASCADE', bin, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END))
	FROM (SELECT DISTINCT grantee FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = bin::regclass AND grantee <> relowner) AS g;
	FOREACH command IN ARRAY ARRAY[
		format('CREATE TRIGGER "~soft_delete_shard_bin" AFTER UPDATE ON %s REFERENCING OLD TABLE AS soft_delete_old NEW TABLE AS soft_delete_new '
			'FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.restore_shard_rows(%L, %L)', bin, tag, deleted_at),
		format('CREATE TRIGGER "~soft_delete_shard_held" BEFORE DELETE ON %s FOR EACH ROW WHEN (OLD.hold IS NOT NULL) EXECUTE FUNCTION soft_delete.guard_shard_row(%L, %L)', bin, tag, deleted_at),
		format('CREATE TRIGGER "~soft_delete_shard_held_truncate" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_shard_row(%L, %L)', bin, tag, deleted_at),
		format('CREATE TRIGGER "~soft_delete_shard_truncate" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.keep_truncated(%L, %L)', relation, tag, deleted_at),
		format('CREATE TRIGGER %I AFTER DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.keep_shard_row(%L, %L)', soft_delete_internal.tag_name(relation), relation, tag, deleted_at)]
	LOOP
		PERFORM soft_delete_internal.alter_as_owner(relation, command);
	END LOOP;
	PERFORM soft_delete_internal.guard_partitions(relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_sharded_bin(regclass, name) IS
'makes the bin of a sharded table, and the triggers of both';

CREATE FUNCTION soft_delete_internal.tag_sharded(relation regclass, deleted_at name, cascade boolean, views name, bridge text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.multi_shard_modify_mode = sequential -- by one connection to each node, as foreign keys with reference tables demand
AS $$
DECLARE
	member regclass;
	made text[] := '{}';
	members regclass[] := ARRAY[relation] || CASE WHEN cascade THEN ARRAY(SELECT m FROM soft_delete_internal.cascade_tables(relation) AS m WHERE m <> relation ORDER BY m) END;
BEGIN
	members := ARRAY(SELECT m FROM unnest(members) AS m WHERE soft_delete_internal.sharded_tag(m) IS NULL);
	IF members = '{}' THEN
		RAISE NOTICE 'table "%" is already tagged', relation;
	END IF;
	FOREACH member IN ARRAY members LOOP
		IF NOT soft_delete_internal.is_sharded(member) THEN
			RAISE EXCEPTION 'cannot tag "%" together with a table that Citus has sharded', member
				USING ERRCODE = 'feature_not_supported', DETAIL = 'Citus does not know it.';
		END IF;
		PERFORM soft_delete_internal.check_sharded(member, deleted_at, views, bridge, members);
	END LOOP;
	FOREACH member IN ARRAY members LOOP
		PERFORM soft_delete_internal.make_sharded_bin(member, deleted_at);
		made := made || format('creates table %s, the bin, for deleted rows of %s, distributed as that is', soft_delete_internal.sharded_bin(member), member)
			|| format('creates triggers "%s", "~soft_delete_shard_truncate" on %s', soft_delete_internal.tag_name(member), member);
		IF member <> relation THEN
			RAISE NOTICE 'table "%" is tagged too', member;
		END IF;
	END LOOP;
	RETURN nullif(array_to_string(made, E'\n'), '');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.tag_sharded(regclass, name, boolean, name, text) IS
'does soft_delete.tag() for a table that Citus has sharded';

CREATE FUNCTION soft_delete_internal.plan_sharded(relation regclass, deleted_at name, cascade boolean, bridge text) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	members regclass[] := ARRAY[relation] || CASE WHEN cascade THEN ARRAY(SELECT m FROM soft_delete_internal.cascade_tables(relation) AS m WHERE m <> relation ORDER BY m) END;
BEGIN
	members := ARRAY(SELECT m FROM unnest(members) AS m WHERE soft_delete_internal.sharded_tag(m) IS NULL);
	PERFORM soft_delete_internal.check_sharded(m, deleted_at, NULL, bridge, members) FROM unnest(members) AS m;
	IF members <> '{}' THEN
		-- nothing of the table is read or built
		RETURN NEXT format('SELECT soft_delete.tag(%L, %sstorage => %L%s);', relation, CASE WHEN deleted_at <> 'deleted_at' THEN format('deleted_at => %L, ', deleted_at) ELSE '' END,
						   'aside', CASE WHEN cascade THEN ', cascade => true' ELSE '' END);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.plan_sharded(regclass, name, boolean, text) IS
'does soft_delete.plan() for a table that Citus has sharded';

CREATE FUNCTION soft_delete_internal.preview_sharded(relation regclass, members regclass[], deleted_at name, views name, bridge text)
RETURNS TABLE (member regclass, severity text, effect text, in_place boolean, aside boolean, remedy text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	native_detail text;
BEGIN
	IF soft_delete_internal.sharded_tag(relation) IS NOT NULL THEN
		RETURN;
	END IF;
	member := relation;
	in_place := false;
	aside := true;
	BEGIN
		PERFORM soft_delete_internal.check_sharded(relation, deleted_at, views, bridge, members);
		severity := 'action';
		SELECT format('creates table %I.%I, the bin, for deleted rows of %s, distributed as that is', nspname, soft_delete_internal.view_name(relation, '_deleted'), relation) INTO effect
		FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation;
		RETURN NEXT;
		effect := format('creates triggers "%s", "~soft_delete_shard_truncate" on %s', soft_delete_internal.tag_name(relation), relation);
		RETURN NEXT;
	EXCEPTION WHEN OTHERS THEN
		IF soft_delete_internal.must_propagate(SQLSTATE) THEN
			RAISE;
		END IF;
		GET STACKED DIAGNOSTICS effect = MESSAGE_TEXT, native_detail = PG_EXCEPTION_DETAIL, remedy = PG_EXCEPTION_HINT;
		severity := 'refusal';
		effect := format('refused (%s): %s', SQLSTATE, concat_ws('. ', effect, nullif(native_detail, '')));
		remedy := nullif(remedy, '');
		RETURN NEXT;
	END;
	severity := 'refusal';
	in_place := true;
	aside := false;
	effect := format('refused (0A000): cannot tag "%s" in place, which is %s', relation, soft_delete_internal.citus_kind(relation));
	remedy := format('SELECT soft_delete.tag(%L, storage => %L);', relation, 'aside');
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_sharded(regclass, regclass[], name, name, text) IS
'the rows of preview_tag() for one table that Citus has sharded; members: the tables that are tagged together';

/*
 * DDL on a sharded table is done on its bin, too.
 */
CREATE FUNCTION soft_delete_internal.align_sharded(relation regclass, dropped name[] DEFAULT '{}', old_column name DEFAULT NULL, new_column name DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	bin regclass := soft_delete_internal.sharded_bin(relation);
	stamp name := soft_delete_internal.sharded_stamp(relation);
BEGIN
	IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND soft_delete_internal.is_column_of_bin(attname, stamp)) THEN
		RAISE EXCEPTION 'table "%" cannot have a column "%", "deleted_by", "hold" or "unlinked"', relation, stamp
			USING ERRCODE = 'feature_not_supported', DETAIL = format('Its bin %s has those of its own.', bin);
	END IF;
	PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s DROP COLUMN %I', bin, d)) FROM unnest(dropped) AS d
	WHERE soft_delete_internal.has_column(bin, d) AND NOT soft_delete_internal.is_column_of_bin(d, stamp);
	IF soft_delete_internal.has_column(bin, old_column) AND NOT soft_delete_internal.has_column(bin, new_column) THEN
		PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s RENAME COLUMN %I TO %I', bin, old_column, new_column));
	END IF;
	IF dropped = '{}' THEN
		PERFORM soft_delete_internal.follow_columns(relation, bin);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.align_sharded(regclass, name[], name, name) IS
'gives the bin of a sharded table the columns that the table has now; dropped: columns that a running command has dropped; old_column and new_column: the names of one that it has renamed';

CREATE FUNCTION soft_delete_internal.leads_citus() RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN soft_delete_internal.has_citus() AND coalesce(current_setting('citus.enable_ddl_propagation', true)::boolean, true) AND current_setting('application_name') !~ '^citus_(internal|rebalancer) gpid=';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.leads_citus() IS
'whether what this session does to a sharded table is a command of a client, and not Citus'' own on its behalf';

/*
 * Where the library sees the end of the command, tag_new_sharded() gives the partition its
 * trigger, once Citus has distributed it.  Else it has it before, and Citus takes it along.
 */
CREATE FUNCTION soft_delete_internal.guard_new_partition(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	parent regclass := soft_delete_internal.root(relation);
BEGIN
	IF parent <> relation AND soft_delete_internal.sharded_tag(parent) IS NOT NULL THEN
		PERFORM soft_delete_internal.guard_partitions(parent);
		-- until the end of the transaction: Citus looks at triggers when this has returned
		PERFORM set_config('citus.enable_unsafe_triggers', 'on', true);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.guard_new_partition(regclass) IS
'gives a new partition of a sharded table, which Citus has not distributed yet, the trigger that keeps what TRUNCATE deletes';

CREATE FUNCTION soft_delete_internal.follow_sharded(tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	old_column name;
	new_column name;
BEGIN
	IF tag NOT IN ('ALTER TABLE', 'ALTER TYPE', 'CREATE TABLE') OR NOT soft_delete_internal.leads_citus() THEN
		RETURN;
	ELSIF tag = 'CREATE TABLE' THEN
		PERFORM soft_delete_internal.guard_new_partition(objid) FROM pg_event_trigger_ddl_commands() WHERE classid = 'pg_class'::regclass AND NOT soft_delete_internal.command_is_seen();
		RETURN;
	END IF;
	FOR relation IN SELECT DISTINCT c FROM unnest(soft_delete_internal.changed_relations()) AS c JOIN pg_class ON oid = c
					WHERE NOT relispartition AND soft_delete_internal.is_sharded(c) AND soft_delete_internal.sharded_bin(c) IS NOT NULL ORDER BY c
	LOOP
		old_column := NULL;
		SELECT soft_delete_internal.renamed_from(command), attname INTO old_column, new_column
		FROM pg_event_trigger_ddl_commands() JOIN pg_attribute ON attrelid = objid AND attnum = objsubid
		WHERE classid = 'pg_class'::regclass AND objid = relation AND objsubid > 0 AND soft_delete_internal.renamed_from(command) IS NOT NULL;
		PERFORM soft_delete_internal.align_sharded(relation, old_column => old_column, new_column => new_column);
		PERFORM soft_delete_internal.guard_partitions(relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_sharded(text) IS
'for event triggers: gives the bins of sharded tables the columns that a command with that tag has given their tables';

CREATE FUNCTION soft_delete_internal.dropped_bin(trigger oid, OUT owner oid, OUT tag bytea)
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_dropped_bin';
COMMENT ON FUNCTION soft_delete_internal.dropped_bin(oid) IS
'the owner of the table, and the arguments, of a trigger that this transaction has dropped';

CREATE FUNCTION soft_delete_internal.follow_sharded_drops() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	held text;
BEGIN
	IF NOT soft_delete_internal.leads_citus() THEN
		RETURN;
	END IF;
	PERFORM soft_delete_internal.align_sharded(objid, names)
	FROM (SELECT objid, array_agg(address_names[3]::name) AS names FROM pg_event_trigger_dropped_objects()
		  WHERE classid = 'pg_class'::regclass AND object_type = 'table column' GROUP BY objid) AS dropped
	WHERE soft_delete_internal.root(objid) = objid AND soft_delete_internal.is_sharded(objid) AND soft_delete_internal.sharded_bin(objid) IS NOT NULL;
	FOR held IN SELECT DISTINCT format('%I.%I', address_names[1], address_names[2]) FROM pg_event_trigger_dropped_objects()
			WHERE object_type = 'trigger' AND address_names[3] ~ '^~soft_delete_shard_live_[0-9a-f]{12}_[0-9a-f]{12}$' AND NOT soft_delete_internal.command_is_own() LOOP
		RAISE EXCEPTION 'cannot drop what holds live rows of table "%"', held
			USING ERRCODE = 'object_in_use', DETAIL = 'Nothing that is held is destroyed. soft_delete.lift() lifts it.';
	END LOOP;
	-- one of them may be the bin of a table that is still tagged
	IF NOT soft_delete_internal.command_is_own() THEN
		-- that of another table, or of one of another owner, never had that bin
		SELECT tgrelid INTO relation
		FROM pg_event_trigger_dropped_objects() AS d, LATERAL soft_delete_internal.dropped_bin(d.objid) AS bin JOIN pg_trigger ON tgargs = bin.tag JOIN pg_dist_partition ON logicalrelid = tgrelid JOIN pg_class ON pg_class.oid = tgrelid
		WHERE d.object_type = 'trigger' AND d.address_names[3] = '~soft_delete_shard_bin' AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND relowner = bin.owner
		  AND soft_delete_internal.sharded_bin(tgrelid) IS NULL LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION 'cannot drop the bin of tagged table "%"', relation
				USING ERRCODE = 'dependent_objects_still_exist', DETAIL = 'It goes with the tag, or with the table.', HINT = format('SELECT soft_delete.untag(%L);', relation);
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_sharded_drops() IS
'for event triggers: drops from the bins of sharded tables the columns that a command has dropped from their tables; raises 2BP01 if it has dropped the bin of a tagged table';

CREATE FUNCTION soft_delete_internal.table_of_shard(shard regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT relation_of FROM soft_delete_internal.shard_of(shard));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.table_of_shard(regclass) IS
'the table that Citus has made a shard of; null for what is none';

CREATE FUNCTION soft_delete_internal.sharded_holds(bin regclass) RETURNS SETOF pg_trigger
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY SELECT * FROM pg_trigger WHERE tgrelid = bin AND tgfoid = 'soft_delete.guard_shard_row()'::regprocedure AND NOT starts_with(tgname, '~soft_delete_shard_held');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_holds(regclass) IS
'the triggers that hold all rows of the bin of a sharded table, or those of a deletion: two for each hold';

CREATE FUNCTION soft_delete_internal.held_row_of(bin regclass) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- a shard is truncated because the table is
	IF soft_delete_internal.table_of_shard(bin) IS NOT NULL THEN
		RETURN NULL;
	END IF;
	RETURN (SELECT answer FROM soft_delete_internal.query_as_owner(bin, format('SELECT hold[1] FROM %s WHERE hold IS NOT NULL LIMIT 1', bin)) AS q(answer text));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.held_row_of(regclass) IS
'why a row of the bin of a sharded table is held, one of those that are held by themselves or with another row; null if there is none, and for a shard';

CREATE FUNCTION soft_delete_internal.refuse_untagging(relation regclass, remedy text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'cannot untag table "%", where rows are held', relation
		USING ERRCODE = 'object_in_use', DETAIL = 'Nothing that is held is destroyed.', HINT = remedy;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.refuse_untagging(regclass, text) IS
'raises 55006 for a sharded table with held rows; remedy: what lifts the holds';

CREATE FUNCTION soft_delete_internal.untag_sharded_table(relation regclass, tombstones text, together regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.enable_unsafe_triggers = on
AS $$
DECLARE
	bin regclass := soft_delete_internal.sharded_bin(relation);
	stamp name := soft_delete_internal.sharded_stamp(relation);
	parent regclass;
	has_rows boolean;
BEGIN
	PERFORM soft_delete_internal.check_owner(relation);
	SELECT confrelid INTO parent FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conrelid = relation AND confrelid <> ALL (together) AND confdeltype = 'c'
	  AND soft_delete_internal.sharded_tag(confrelid) IS NOT NULL LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot untag table "%", whose rows are deleted with those of tagged table "%"', relation, parent
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'ON DELETE CASCADE would destroy them.',
				HINT = format('SELECT soft_delete.untag(%L, cascade => true);', relation);
	END IF;
	PERFORM soft_delete_internal.refuse_untagging(relation, format('SELECT soft_delete.lift(%L, %L);', relation, arguments[1]))
	FROM soft_delete_internal.live_holds(relation) AS t, soft_delete_internal.trigger_arguments(t.oid) AS arguments;
	IF EXISTS (SELECT FROM soft_delete_internal.sharded_holds(bin)) THEN
		PERFORM soft_delete_internal.refuse_untagging(relation, (
			SELECT string_agg(DISTINCT CASE WHEN arguments[3] IS NULL THEN format('SELECT soft_delete.hold(%L, NULL);', origin) ELSE format('SELECT soft_delete.hold_deletion(%L, NULL);', arguments[3]) END, ' ')
			FROM soft_delete_internal.sharded_holds(bin) AS t, soft_delete_internal.trigger_arguments(t.oid) AS arguments, soft_delete_internal.origin_of_hold(t.tgname) AS origin));
	END IF;
	IF bin IS NOT NULL THEN
		-- nobody deletes or holds rows from now on
		PERFORM soft_delete_internal.alter_as_owner(relation, format('LOCK TABLE %s, %s IN SHARE ROW EXCLUSIVE MODE', relation, bin));
		-- what is held with another row is lifted with that
		PERFORM soft_delete_internal.refuse_untagging(relation, CASE WHEN soft_delete_internal.is_mark(held) THEN format('SELECT soft_delete.lift(%L);', left(held, -24)) ELSE format('SELECT soft_delete.lift(%L, %L);', relation, held) END)
		FROM soft_delete_internal.held_row_of(bin) AS held WHERE held IS NOT NULL;
		IF tombstones = 'keep' THEN
			PERFORM soft_delete_internal.change_shards(relation, format('UPDATE %s SET %I = NULL', bin, stamp));
		END IF;
		SELECT answer INTO has_rows FROM soft_delete_internal.query_as_owner(relation, format('SELECT EXISTS (SELECT 1 FROM %s)', bin)) AS q(answer boolean);
		IF has_rows AND tombstones <> 'purge' THEN
			RAISE EXCEPTION 'table "%" has deleted rows', relation
				USING ERRCODE = 'object_not_in_prerequisite_state',
					DETAIL = 'Without the tag there is no bin for them. tombstones => ''keep'' makes them live rows, ''purge'' destroys them.', HINT = format('SELECT * FROM %s;', bin);
		END IF;
	END IF;
	PERFORM soft_delete_internal.alter_as_owner(tgrelid, format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass)) FROM pg_trigger
	WHERE tgrelid IN (SELECT soft_delete_internal.inheritance_tree(relation)) AND tgparentid = 0 AND tgfoid IN ('soft_delete.keep_shard_row()'::regprocedure, 'soft_delete.keep_truncated()'::regprocedure);
	IF bin IS NOT NULL THEN
		PERFORM soft_delete_internal.alter_as_owner(relation, format('DROP TABLE %s', bin));
	END IF;
	DELETE FROM soft_delete_internal.retention AS r WHERE r.relation = untag_sharded_table.relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag_sharded_table(regclass, text, regclass[]) IS
'takes the tag off one table that Citus has sharded; together: those that are untagged with it';

CREATE FUNCTION soft_delete_internal.untag_sharded_tables(members regclass[], tombstones text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	waiting regclass[] := members;
	member regclass;
BEGIN
	-- parents first: what is kept needs them
	WHILE waiting <> '{}' LOOP
		SELECT m INTO member FROM unnest(waiting) AS m
		ORDER BY EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conrelid = m AND confrelid <> m AND confrelid = ANY (waiting)), (SELECT count(*) FROM soft_delete_internal.sharded_reach(m)) DESC, m LIMIT 1;
		PERFORM soft_delete_internal.untag_sharded_table(member, tombstones, members);
		waiting := array_remove(waiting, member);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag_sharded_tables(regclass[], text) IS
'takes the tags off tables that Citus has sharded';

CREATE FUNCTION soft_delete_internal.untag_sharded(relation regclass, tombstones text, cascade boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	members regclass[] := ARRAY[relation];
BEGIN
	IF cascade THEN
		members := ARRAY(SELECT m FROM soft_delete_internal.cascade_tables(relation) AS m WHERE soft_delete_internal.sharded_tag(m) IS NOT NULL);
	END IF;
	PERFORM soft_delete_internal.untag_sharded_tables(members, tombstones);
	PERFORM soft_delete_internal.set_exempt(m, true) FROM unnest(members) AS m;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag_sharded(regclass, text, boolean) IS
'does soft_delete.untag() for a table that Citus has sharded';

CREATE FUNCTION soft_delete_internal.refuse_sharded(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF soft_delete_internal.sharded_tag(relation) IS NOT NULL THEN
		RAISE EXCEPTION 'there is no bin for the rows of table "%"', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It has the tag of a table that Citus has sharded.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.refuse_sharded(regclass) IS
'raises 55000 for a table that Citus has sharded and whose bin is missing';
