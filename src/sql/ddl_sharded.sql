/*
 * Tables that Citus has sharded.
 *
 * The bin is an ordinary distributed table beside the table, colocated with it: UPDATE of
 * it restores, DELETE purges, and Citus distributes both (delete/sharded.c).  It has who
 * has deleted each row, and is the ledger, too: nothing is written on the coordinator.
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
'BEFORE DELETE and BEFORE TRUNCATE trigger of the bin of a table that Citus has sharded: a hold, made by soft_delete.hold()';

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
			WHERE here.tgrelid = relation AND here.tgfoid = own AND other.tgfoid = others
			  AND EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = other.tgrelid)
			HAVING min(other.tgrelid) = max(other.tgrelid));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_partner(regclass, regprocedure, regprocedure) IS
'the distributed table of the same owner that has a trigger of the function "others" with the arguments of the one of the function "own" of a table';

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

CREATE FUNCTION soft_delete_internal.untagged_children(relation regclass) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
SET citus.override_table_visibility = off
AS $$
BEGIN
	RETURN QUERY
		SELECT DISTINCT conrelid::regclass FROM pg_constraint
		WHERE contype = 'f' AND confrelid = relation
		  AND (confdeltype IN ('n', 'd') OR confdeltype = 'c' AND NOT EXISTS (
			SELECT FROM pg_trigger WHERE tgrelid = conrelid AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND tgenabled IN ('O', 'A')));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untagged_children(regclass) IS
'the tables whose rows, or references, foreign keys would destroy with rows of a sharded table, or of a shard of it';

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
	SELECT c INTO child FROM soft_delete_internal.untagged_children(shard) AS c LIMIT 1;
	IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = shard AND conrelid = child AND confdeltype IN ('n', 'd')) THEN
		RAISE EXCEPTION 'cannot delete from tagged table "%": a foreign key would overwrite references of table "%"', own, coalesce(soft_delete_internal.table_of_shard(child), child)
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'ON DELETE SET NULL and SET DEFAULT are not recorded.';
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
BEGIN
	-- truncate_local_data_after_distributing_table() is about rows that live on in shards
	IF soft_delete_internal.table_of_shard(relation) IS NOT NULL OR NOT coalesce(current_setting('citus.enable_ddl_propagation', true)::boolean, true) THEN
		RETURN;
	END IF;
	IF bin IS NULL OR NOT soft_delete_internal.is_sharded(relation) THEN
		RAISE EXCEPTION 'there is no bin for the rows of table "%"', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It has the tag of a table that Citus has sharded.';
	END IF;
	SELECT c INTO child FROM soft_delete_internal.untagged_children(relation) AS c LIMIT 1;
	IF child IS NOT NULL THEN
		RAISE EXCEPTION 'cannot truncate tagged table "%": table "%" references it, and is not tagged', relation, child
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'TRUNCATE would destroy its rows.';
	END IF;
	SELECT string_agg(quote_ident(own.attname), ', ' ORDER BY own.attnum) INTO columns
	FROM pg_attribute AS own WHERE own.attrelid = relation AND own.attnum > 0 AND NOT own.attisdropped AND own.attgenerated <> 'v';
	relation_of := bin;
	-- the transaction becomes a distributed one, which has a stamp
	statement := format('SELECT 1 FROM %s WHERE %I IS NULL', bin, stamp);
	RETURN NEXT;
	statement := format('INSERT INTO %s (%s, %I, deleted_by) SELECT %s, $1, $2 FROM %s', bin, columns, stamp, columns, relation);
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.truncating_statements(regclass) IS
'what keeps the rows of a sharded table that is truncated; $1: the stamp, $2: who does it; nothing for a shard';

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
	-- no value is lost with a column that the table has lost
	statement := format('SELECT pg_catalog.count(*) FROM soft_delete_new WHERE %I IS NOT NULL', stamp)
		|| coalesce((SELECT string_agg(format(' OR %I IS NOT NULL', attname), '') FROM pg_attribute
					 WHERE attrelid = shard AND attnum > 0 AND NOT attisdropped AND attname NOT IN (stamp, 'deleted_by')
					   AND NOT EXISTS (SELECT FROM pg_attribute AS own WHERE own.attrelid = relation_shard AND own.attname = pg_attribute.attname AND own.attnum > 0)), '');
	RETURN NEXT;
	statement := format('INSERT INTO %s (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM soft_delete_new', relation_shard, soft_delete_internal.common_columns(relation_shard, shard));
	relation := relation_shard;
	RETURN NEXT;
	statement := format('DELETE FROM ONLY %s WHERE %I IS NULL', shard, stamp);
	relation := shard;
	RETURN NEXT;
	-- what went with them, but for what still lacks another parent: that one brings it
	FOR other IN
		SELECT soft_delete_internal.shard_of_bin(conrelid) AS child_bin, soft_delete_internal.sharded_stamp(conrelid) AS child_stamp,
			(SELECT string_agg(format('o.%I OPERATOR(%I.%s) b.%I', p.attname, nspname, oprname, c.attname), ' AND ')
			 FROM unnest(conkey, confkey, conpfeqop) AS k(child, parent, op) JOIN pg_attribute AS c ON c.attrelid = conrelid AND c.attnum = child
				JOIN pg_attribute AS p ON p.attrelid = confrelid AND p.attnum = parent JOIN pg_operator ON pg_operator.oid = op JOIN pg_namespace ON pg_namespace.oid = oprnamespace) AS matches,
			-- a row that comes back under another key does not bring them
			(SELECT string_agg(format('n.%1$I OPERATOR(%2$I.%3$s) o.%1$I', attname, nspname, oprname), ' AND ')
			 FROM unnest(confkey, conppeqop) AS k(parent, op) JOIN pg_attribute ON attrelid = confrelid AND attnum = parent
				JOIN pg_operator ON pg_operator.oid = op JOIN pg_namespace ON pg_namespace.oid = oprnamespace) AS keeps_key,
			(SELECT string_agg(format(' AND ((%s) IS NOT TRUE OR EXISTS (SELECT FROM %s AS o WHERE %s))', has_all, further.confrelid::regclass, is_there), '')
			 FROM pg_constraint AS further, LATERAL (
				SELECT string_agg(format('b.%I IS NOT NULL', c.attname), ' AND ') AS has_all, string_agg(format('o.%I OPERATOR(%I.%s) b.%I', p.attname, nspname, oprname, c.attname), ' AND ') AS is_there
				FROM unnest(further.conkey, further.confkey, further.conpfeqop) AS k(child, parent, op) JOIN pg_attribute AS c ON c.attrelid = further.conrelid AND c.attnum = child
					JOIN pg_attribute AS p ON p.attrelid = further.confrelid AND p.attnum = parent JOIN pg_operator ON pg_operator.oid = op JOIN pg_namespace ON pg_namespace.oid = oprnamespace) AS columns
			 WHERE further.contype = 'f' AND further.conrelid = con.conrelid AND further.confrelid NOT IN (con.conrelid, con.confrelid)) AS parents_exist
		FROM pg_constraint AS con JOIN pg_trigger ON tgrelid = conrelid AND tgfoid = 'soft_delete.keep_shard_row()'::regprocedure
		WHERE contype = 'f' AND confdeltype = 'c' AND confrelid = relation_shard
		ORDER BY conname
	LOOP
		statement := format('UPDATE ONLY %s AS b SET %I = NULL FROM soft_delete_old AS o WHERE %s AND b.%2$I OPERATOR(pg_catalog.=) o.%4$I AND EXISTS (SELECT FROM soft_delete_new AS n WHERE %s)%s',
			other.child_bin, other.child_stamp, other.matches, stamp, other.keeps_key, other.parents_exist);
		relation := other.child_bin;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.restoring_statements(regclass) IS
'what restores the rows that an UPDATE of a shard of a bin has restored: the number of those that it alters otherwise, an INSERT, a DELETE from the bin of as many rows, and an UPDATE of the bin of each child; each as the owner of a relation';

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
			WHEN relkind <> 'r' OR relispartition OR relhassubclass THEN 'It is partitioned, a partition, or has inheritance children.'
			WHEN relpersistence <> 'p' THEN 'It is not logged.'
			WHEN soft_delete_internal.sharded_table(relation) IS NOT NULL THEN 'It is the bin of another table.'
			WHEN bridge IS NOT NULL THEN 'A sharded table has no bridge.'
			WHEN views IS NOT NULL AND views <> relnamespace::regnamespace::text THEN 'The bin of a sharded table is in the schema of the table.'
			WHEN soft_delete_internal.has_column(relation, deleted_at) OR soft_delete_internal.has_column(relation, 'deleted_by') THEN format('It has a column %I or deleted_by, which the bin has of its own.', deleted_at)
			WHEN deleted_at = 'deleted_by' THEN 'That is another column of the bin.' END
	INTO reason FROM pg_dist_partition JOIN pg_class ON pg_class.oid = logicalrelid WHERE logicalrelid = relation;
	IF reason IS NULL THEN
		SELECT conrelid::regclass, CASE WHEN confdeltype = 'c' AND soft_delete_internal.is_sharded(conrelid) THEN format('SELECT soft_delete.tag(%L, storage => ''aside'', cascade => true);', relation)
			ELSE format('ALTER TABLE %s DROP CONSTRAINT %I;', conrelid::regclass, conname) END INTO child, remedy
		FROM pg_constraint WHERE contype = 'f' AND confrelid = relation
		  AND (confdeltype IN ('n', 'd') OR confdeltype = 'c' AND conrelid <> ALL (together) AND soft_delete_internal.sharded_tag(conrelid) IS NULL) LIMIT 1;
		IF FOUND THEN
			reason := format('Its deletes would destroy rows of table %s by ON DELETE CASCADE, or references by SET NULL or SET DEFAULT, which is not kept.', child);
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
		format('CREATE TABLE %s (%s, %I timestamptz, deleted_by text) USING heap', bin,
			(SELECT string_agg(definition, ', ' ORDER BY attnum) FROM soft_delete_internal.companion_columns(relation)), deleted_at),
		format('CREATE INDEX ON %s (%I)', bin, deleted_at),
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
	FOREACH command IN ARRAY ARRAY[
		format('CREATE TRIGGER "~soft_delete_shard_bin" AFTER UPDATE ON %s REFERENCING OLD TABLE AS soft_delete_old NEW TABLE AS soft_delete_new '
			'FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.restore_shard_rows(%L, %L)', bin, tag, deleted_at),
		format('CREATE TRIGGER "~soft_delete_shard_truncate" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.keep_truncated(%L, %L)', relation, tag, deleted_at),
		format('CREATE TRIGGER "~soft_delete_shard" AFTER DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.keep_shard_row(%L, %L)', relation, tag, deleted_at)]
	LOOP
		PERFORM soft_delete_internal.alter_as_owner(relation, command);
	END LOOP;
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
			|| format('creates triggers "~soft_delete_shard", "~soft_delete_shard_truncate" on %s', member);
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
		effect := format('creates triggers "~soft_delete_shard", "~soft_delete_shard_truncate" on %s', relation);
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
	IF soft_delete_internal.has_column(relation, stamp) OR soft_delete_internal.has_column(relation, 'deleted_by') THEN
		RAISE EXCEPTION 'table "%" cannot have a column "%" or "deleted_by"', relation, stamp
			USING ERRCODE = 'feature_not_supported', DETAIL = format('Its bin %s has those of its own.', bin);
	END IF;
	PERFORM soft_delete_internal.alter_as_owner(relation, format('ALTER TABLE %s DROP COLUMN %I', bin, d)) FROM unnest(dropped) AS d
	WHERE soft_delete_internal.has_column(bin, d) AND d NOT IN (stamp, 'deleted_by');
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

CREATE FUNCTION soft_delete_internal.follow_sharded(tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	old_column name;
	new_column name;
BEGIN
	IF tag NOT IN ('ALTER TABLE', 'ALTER TYPE') OR NOT soft_delete_internal.leads_citus() THEN
		RETURN;
	END IF;
	FOR relation IN SELECT DISTINCT c FROM unnest(soft_delete_internal.changed_relations()) AS c
					WHERE soft_delete_internal.is_sharded(c) AND soft_delete_internal.sharded_bin(c) IS NOT NULL ORDER BY c
	LOOP
		old_column := NULL;
		SELECT soft_delete_internal.renamed_from(command), attname INTO old_column, new_column
		FROM pg_event_trigger_ddl_commands() JOIN pg_attribute ON attrelid = objid AND attnum = objsubid
		WHERE classid = 'pg_class'::regclass AND objid = relation AND objsubid > 0 AND soft_delete_internal.renamed_from(command) IS NOT NULL;
		PERFORM soft_delete_internal.align_sharded(relation, old_column => old_column, new_column => new_column);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_sharded(text) IS
'for event triggers: gives the bins of sharded tables the columns that a command with that tag has given their tables';

CREATE FUNCTION soft_delete_internal.follow_sharded_drops() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
BEGIN
	IF NOT soft_delete_internal.leads_citus() THEN
		RETURN;
	END IF;
	PERFORM soft_delete_internal.align_sharded(objid, names)
	FROM (SELECT objid, array_agg(address_names[3]::name) AS names FROM pg_event_trigger_dropped_objects()
		  WHERE classid = 'pg_class'::regclass AND object_type = 'table column' GROUP BY objid) AS dropped
	WHERE soft_delete_internal.is_sharded(objid) AND soft_delete_internal.sharded_bin(objid) IS NOT NULL;
	-- one of them may be the bin of a table that is still tagged
	IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_type = 'trigger' AND address_names[3] = '~soft_delete_shard_bin') AND NOT soft_delete_internal.command_is_own() THEN
		SELECT tgrelid INTO relation FROM pg_trigger JOIN pg_dist_partition ON logicalrelid = tgrelid
		WHERE tgfoid = 'soft_delete.keep_shard_row()'::regprocedure AND soft_delete_internal.sharded_bin(tgrelid) IS NULL LIMIT 1;
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
	RETURN QUERY SELECT * FROM pg_trigger WHERE tgrelid = bin AND tgfoid = 'soft_delete.guard_shard_row()'::regprocedure;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.sharded_holds(regclass) IS
'the triggers that hold the rows of the bin of a sharded table: two for each hold';

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
	SELECT confrelid INTO parent FROM pg_constraint WHERE contype = 'f' AND conrelid = relation AND confrelid <> ALL (together) AND confdeltype = 'c'
	  AND soft_delete_internal.sharded_tag(confrelid) IS NOT NULL LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot untag table "%", whose rows are deleted with those of tagged table "%"', relation, parent
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'ON DELETE CASCADE would destroy them.',
				HINT = format('SELECT soft_delete.untag(%L, cascade => true);', relation);
	END IF;
	IF EXISTS (SELECT FROM soft_delete_internal.sharded_holds(bin)) THEN
		RAISE EXCEPTION 'cannot untag table "%", where rows are held', relation
			USING ERRCODE = 'object_in_use', DETAIL = 'Nothing that is held is destroyed.', HINT = (
				SELECT string_agg(DISTINCT CASE WHEN arguments[3] IS NULL THEN format('SELECT soft_delete.hold(%L, NULL);', origin) ELSE format('SELECT soft_delete.hold_deletion(%L, NULL);', arguments[3]) END, ' ')
				FROM soft_delete_internal.sharded_holds(bin) AS t, soft_delete_internal.trigger_arguments(t.oid) AS arguments, soft_delete_internal.origin_of_hold(t.tgname) AS origin);
	END IF;
	IF bin IS NOT NULL THEN
		-- nobody deletes from now on
		PERFORM soft_delete_internal.alter_as_owner(relation, format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation));
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
	PERFORM soft_delete_internal.alter_as_owner(relation, format('DROP TRIGGER %I ON %s', tgname, relation)) FROM pg_trigger
	WHERE tgrelid = relation AND tgfoid IN ('soft_delete.keep_shard_row()'::regprocedure, 'soft_delete.keep_truncated()'::regprocedure);
	IF bin IS NOT NULL THEN
		PERFORM soft_delete_internal.alter_as_owner(relation, format('DROP TABLE %s', bin));
	END IF;
	DELETE FROM soft_delete_internal.retention AS r WHERE r.relation = untag_sharded_table.relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.untag_sharded_table(regclass, text, regclass[]) IS
'takes the tag off one table that Citus has sharded; together: those that are untagged with it';

CREATE FUNCTION soft_delete_internal.untag_sharded(relation regclass, tombstones text, cascade boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET citus.multi_shard_modify_mode = sequential
AS $$
DECLARE
	members regclass[] := ARRAY[relation];
	waiting regclass[];
	member regclass;
BEGIN
	IF cascade THEN
		members := ARRAY(SELECT m FROM soft_delete_internal.cascade_tables(relation) AS m WHERE soft_delete_internal.sharded_tag(m) IS NOT NULL);
	END IF;
	waiting := members;
	-- parents first: what is kept needs them
	WHILE waiting <> '{}' LOOP
		SELECT m INTO member FROM unnest(waiting) AS m
		ORDER BY EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid = m AND confrelid <> m AND confrelid = ANY (waiting)), m LIMIT 1;
		PERFORM soft_delete_internal.untag_sharded_table(member, tombstones, members);
		waiting := array_remove(waiting, member);
	END LOOP;
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
		RAISE EXCEPTION 'that cannot be done for table "%", which Citus has sharded', relation
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Its bin is a distributed table: UPDATE restores rows of it, DELETE purges them, soft_delete.hold() forbids that for all of them.',
				HINT = format('SELECT * FROM %s;', soft_delete_internal.sharded_bin(relation));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.refuse_sharded(regclass) IS
'raises 0A000 for a tagged table that Citus has sharded';
