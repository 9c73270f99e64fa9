/*
 * The dry run of a restore.  Its queries read r: the rows that would come back, as
 * they would be then.  A row that cannot come back keeps those below it from coming
 * back, so conflicts are looked for until no more are found: found has their tableoid
 * and ctid.
 */

CREATE TYPE soft_delete_internal.found_rows AS (relations oid[], places tid[]);
COMMENT ON TYPE soft_delete_internal.found_rows IS
'rows that bins list, by tableoid and ctid';

CREATE TYPE soft_delete_internal.deletion_bin AS (relation regclass, bin regclass, tombstone name);
COMMENT ON TYPE soft_delete_internal.deletion_bin IS
'a bin, as readable_bins() has it, that lists rows of the deletions that one asks about';

CREATE FUNCTION soft_delete_internal.is_found(alias text, found soft_delete_internal.found_rows) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN found.relations = '{}' THEN 'false'
		ELSE format('(%1$s.tableoid, %1$s.ctid) IN (SELECT * FROM unnest(%2$L::oid[], %3$L::tid[]))', alias, found.relations, found.places) END
$$;
COMMENT ON FUNCTION soft_delete_internal.is_found(text, soft_delete_internal.found_rows) IS
'condition that a row of a query is among the found ones';

CREATE FUNCTION soft_delete_internal.visible_set_null_references(deletions timestamptz[]) RETURNS SETOF soft_delete_internal.set_null_references
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT ref.* FROM soft_delete_internal.set_null_references AS ref JOIN pg_class ON pg_class.oid = relation
	WHERE deleted_at = ANY (deletions) AND pg_has_role(soft_delete_internal.caller(), relowner, 'USAGE')
	  -- forced row security applies to the owner, too
	  AND NOT (relrowsecurity AND relforcerowsecurity
			   AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE pg_roles.oid = soft_delete_internal.caller()))
$$;
COMMENT ON FUNCTION soft_delete_internal.visible_set_null_references(timestamptz[]) IS
'the references that some deletions have overwritten, in tables whose owner''s rights the caller has';

CREATE FUNCTION soft_delete_internal.qualified_operator(operator oid) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT format('OPERATOR(%I.%s)', nspname, oprname)
	FROM pg_operator JOIN pg_namespace ON pg_namespace.oid = oprnamespace WHERE pg_operator.oid = operator);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.qualified_operator(oid) IS
'an operator with its schema, as OPERATOR() takes it';

CREATE FUNCTION soft_delete_internal.describe_columns(relation regclass, columns smallint[], alias text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('concat(%L, concat_ws('', '', %s), '')'')',
				  format('(%s)=(', string_agg(attname, ', ' ORDER BY n)),
				  string_agg(format('coalesce(%s.%I::text, ''null'')', alias, attname), ', ' ORDER BY n))
	FROM unnest(columns) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum)
	WHERE attrelid = relation
$$;
COMMENT ON FUNCTION soft_delete_internal.describe_columns(regclass, smallint[], text) IS
'expression for the values of some columns in the form of the server''s messages: (a, b)=(1, 2)';

CREATE FUNCTION soft_delete_internal.key_object(relation regclass, alias text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN coalesce((SELECT format('pg_catalog.jsonb_build_object(%s)', string_agg(format('%1$L, %2$s.%1$I', attname, alias), ', ' ORDER BY n))
					 FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum)
					 WHERE conrelid = relation AND contype = 'p' AND attrelid = conrelid), 'NULL::pg_catalog.jsonb');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.key_object(regclass, text) IS
'expression for the primary key of a row as jsonb, by the names of its columns; null where there is none';

/* Aliases: c is the referencing table, p the referenced one. */
CREATE FUNCTION soft_delete_internal.key_match("constraint" oid, parent text DEFAULT 'p', child text DEFAULT 'c') RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT string_agg(format('%s.%I %s %s.%I%s', parent, pa.attname, soft_delete_internal.qualified_operator(op), child, ca.attname,
			-- foreign keys use the collation of the referenced column
			CASE WHEN pa.attcollation <> ca.attcollation THEN ' COLLATE ' || pa.attcollation::regcollation END),
		' AND ' ORDER BY n)
	FROM pg_constraint, unnest(confkey, conkey, conpfeqop) WITH ORDINALITY AS k(p, c, op, n),
		pg_attribute AS pa, pg_attribute AS ca
	WHERE pg_constraint.oid = "constraint"
	  AND pa.attrelid = confrelid AND pa.attnum = p AND ca.attrelid = conrelid AND ca.attnum = c);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.key_match(oid, text, text) IS
'a foreign key as the condition of a join; parent, child: the aliases of the two tables';

CREATE FUNCTION soft_delete_internal.row_places(relation regclass, OUT place regclass, OUT bounds text) RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY SELECT relation, NULL
	UNION ALL
	SELECT oid::regclass, format('(%s)', pg_get_partition_constraintdef(oid)) FROM pg_class
	WHERE relispartition AND oid IN (SELECT soft_delete_internal.inheritance_tree(relation)) AND oid <> relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.row_places(regclass) IS
'a table, and each of its partitions with the condition for the rows that it takes: they may have keys and constraints of their own';

CREATE FUNCTION soft_delete_internal.key_conflicts(relation regclass) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH keys AS (
		SELECT indexrelid, relname, place, bounds, pg_get_expr(indpred, indrelid) AS predicate,
			string_agg(format('(%s) AS k%s', pg_get_indexdef(indexrelid, n, false), n), ', ' ORDER BY n) AS expressions,
			string_agg(format(CASE WHEN indnullsnotdistinct THEN '(a.k%1$s %2$s b.k%1$s OR (a.k%1$s IS NULL AND b.k%1$s IS NULL))'
							  ELSE 'a.k%1$s %2$s b.k%1$s' END,
							  n, soft_delete_internal.qualified_operator(coalesce(conexclop[n], amopopr))), ' AND ' ORDER BY n) AS match,
			string_agg(pg_get_indexdef(indexrelid, n, false), ', ' ORDER BY n) AS names,
			string_agg(format('a.k%s', n), ', ' ORDER BY n) AS columns
		FROM soft_delete_internal.row_places(relation) JOIN pg_index ON indrelid = place JOIN pg_class ON pg_class.oid = indexrelid
			LEFT JOIN pg_constraint ON conrelid = indrelid AND conindid = indexrelid AND contype = 'x'
			CROSS JOIN LATERAL generate_series(1, indnkeyatts) AS n
			JOIN pg_opclass ON pg_opclass.oid = indclass[n - 1]
			LEFT JOIN pg_amop ON amopfamily = opcfamily AND amoplefttype = opcintype AND amoprighttype = opcintype AND amopstrategy = 3
		WHERE indisvalid AND (indisunique OR indisexclusion)
		  AND (place = relation OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid))
		GROUP BY indexrelid, relname, indpred, indrelid, place, bounds
	)
	SELECT format('SELECT a.tableoid, a.ctid, ''key is taken'', %1$L::name, concat(%2$L, concat_ws('', '', %3$s), '') already exists.'') '
				  'FROM (SELECT tableoid, ctid, %4$s FROM r%5$s) AS a '
				  'WHERE EXISTS (SELECT FROM (SELECT tableoid, ctid, %4$s FROM %6$s%8$s UNION ALL SELECT tableoid, ctid, %4$s FROM r%5$s) AS b '
				  'WHERE %7$s AND (a.tableoid, a.ctid) <> (b.tableoid, b.ctid))',
				  relname, format('Key (%s)=(', names), columns, expressions, ' WHERE ' || nullif(concat_ws(' AND ', bounds, predicate), ''),
				  place, match, ' WHERE ' || predicate)
	FROM keys ORDER BY indexrelid
$$;
COMMENT ON FUNCTION soft_delete_internal.key_conflicts(regclass) IS
'queries for the rows of r whose key a live row, or another row of r, has';

CREATE FUNCTION soft_delete_internal.parent_conflicts(relation regclass, found soft_delete_internal.found_rows) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT c.tableoid, c.ctid, CASE WHEN EXISTS (SELECT FROM %9$s WHERE %2$s) THEN ''parent is deleted'' ELSE ''parent is gone'' END, %3$L::name, '
				  'concat(''Key '', %4$s, %5$L) FROM r AS c WHERE %6$s%10$s AND NOT EXISTS (SELECT FROM %1$s WHERE %2$s%7$s)%8$s',
				  soft_delete_internal.from_item(confrelid, 'p', 'all'), soft_delete_internal.key_match(con.oid), conname,
				  soft_delete_internal.describe_columns(conrelid, conkey, 'c'), format(' is not present in table "%s".', relname),
				  (SELECT string_agg(format('c.%I IS NOT NULL', attname), ' AND ') FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)),
				  (SELECT format(' AND (p.%I IS NULL OR (%s = ANY ($1) AND NOT %s))', tombstone, soft_delete_internal.stamp_expression(confrelid, tombstone, 'p'), soft_delete_internal.is_found('p', found))
				   WHERE has_bin AND NOT soft_delete_internal.is_aside(confrelid)),
				  -- a deleted parent is restored, too, wherever it is stored
				  (SELECT format(' AND NOT EXISTS (SELECT FROM %s WHERE %s AND p.%I = ANY ($1) AND NOT %s)', soft_delete_internal.from_item(confrelid, 'p', 'tombstones'),
								 soft_delete_internal.key_match(con.oid), tombstone, soft_delete_internal.is_found('p', found))
				   WHERE has_bin),
				  soft_delete_internal.from_item(confrelid, 'p', CASE WHEN soft_delete_internal.is_aside(confrelid) THEN 'deleted' ELSE 'all' END), ' AND ' || bounds)
	FROM soft_delete_internal.row_places(relation) JOIN pg_constraint AS con ON conrelid = place JOIN pg_class ON pg_class.oid = confrelid,
		-- as readable_bins() has them, but of one table
		LATERAL (SELECT soft_delete_internal.lock_bin(soft_delete_internal.root(confrelid)) IS NOT NULL, (soft_delete_internal.tag_arguments(soft_delete_internal.root(confrelid)))[1]::name) AS of(has_bin, tombstone)
	WHERE contype = 'f' AND conparentid = 0 AND coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true)
	  -- the query runs as the owner of the table: to plan it calls functions of the owner of the parent
	  AND relowner = (SELECT child.relowner FROM pg_class AS child WHERE child.oid = relation)
	ORDER BY con.oid
$$;
COMMENT ON FUNCTION soft_delete_internal.parent_conflicts(regclass, soft_delete_internal.found_rows) IS
'queries for the rows of r whose parent is not live and would not come back with them';

CREATE FUNCTION soft_delete_internal.constraint_conflicts(relation regclass) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- an expression about the row as a whole names the table
	SELECT format('SELECT tableoid, ctid, ''relation is altered'', %L::name, ''The row would violate the constraint.'' FROM r AS %I WHERE NOT (%s)%s',
				  conname, relname, pg_get_expr(conbin, conrelid), ' AND ' || bounds)
	FROM soft_delete_internal.row_places(relation) JOIN pg_constraint AS con ON conrelid = place JOIN pg_class ON pg_class.oid = place
	WHERE contype = 'c' AND (place = relation OR coninhcount = 0) AND coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true)
	  -- stand-ins
	  AND pg_get_expr(conbin, conrelid) <> 'true'
	UNION ALL
	SELECT format('SELECT tableoid, ctid, ''relation is altered'', NULL::name, %L FROM r WHERE %I IS NULL%s',
				  format('Column "%s" would be null.', attname), attname, ' AND ' || bounds)
	FROM soft_delete_internal.row_places(relation) JOIN pg_attribute ON attrelid = place
	WHERE attnum > 0 AND attnotnull AND NOT attisdropped AND attgenerated = ''
	  AND (place = relation OR NOT EXISTS (SELECT FROM pg_attribute AS root WHERE root.attrelid = relation AND root.attname = pg_attribute.attname AND root.attnotnull))
$$;
COMMENT ON FUNCTION soft_delete_internal.constraint_conflicts(regclass) IS
'queries for the rows of r that would violate a CHECK or NOT NULL constraint, which may be newer than they are';

CREATE FUNCTION soft_delete_internal.restored_bridge(relation regclass, col pg_attribute) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bridge text[] := soft_delete_internal.bridge_arguments(relation);
BEGIN
	RETURN CASE WHEN bridge[1] = col.attname THEN
		format('CASE WHEN %s THEN %L ELSE r.%I END AS %3$I', soft_delete_internal.deleted_test(relation, bridge, 'r'), bridge[4], col.attname) END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.restored_bridge(regclass, pg_attribute) IS
'the column of a bridge as a restore leaves it in rows r; null for any other column';

CREATE FUNCTION soft_delete_internal.preview_rows(relation regclass, bin regclass, tombstone name, found soft_delete_internal.found_rows) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('WITH r AS (SELECT %s, %s FROM %s AS r WHERE %I = ANY ($1)), c (tableoid, ctid, outcome, "constraint", detail) AS (%s) '
				  'SELECT %L::regclass, %s, coalesce(outcome, ''comes back''), "constraint", detail, %s, tableoid, ctid FROM r LEFT JOIN c USING (tableoid, ctid)',
				  (SELECT string_agg(CASE WHEN attname = tombstone THEN format('NULL::%s AS %I', format_type(atttypid, atttypmod), attname)
									 ELSE coalesce(soft_delete_internal.restored_bridge(relation, col), quote_ident(attname)) END, ', ' ORDER BY attnum)
				   FROM pg_attribute AS col
				   WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
					 AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = bin AND attname = col.attname)),
				  (SELECT format('%I AS tableoid, %I AS ctid', columns[5], columns[6]) FROM soft_delete_internal.bin_columns(relation) AS columns),
				  bin, tombstone,
				  (SELECT string_agg(query, ' UNION ALL ')
				   FROM (SELECT 'SELECT tableoid, ctid, NULL, NULL::name, NULL FROM r WHERE false'
						 UNION ALL SELECT soft_delete_internal.key_conflicts(relation)
						 UNION ALL SELECT soft_delete_internal.parent_conflicts(relation, found)
						 UNION ALL SELECT soft_delete_internal.constraint_conflicts(relation)
						 UNION ALL SELECT 'SELECT tableoid, ctid, ''row is held'', NULL, soft_delete.hold_of(tableoid, ctid, false) FROM r WHERE soft_delete.hold_of(tableoid, ctid, false) IS NOT NULL') AS conflicts(query)),
				  relation,
				  coalesce((SELECT soft_delete_internal.describe_columns(relation, conkey, 'r') FROM pg_constraint WHERE conrelid = relation AND contype = 'p'),
						   'format(''(ctid)=(%s)'', ctid)'),
				  soft_delete_internal.key_object(relation, 'r'))
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_rows(regclass, regclass, name, soft_delete_internal.found_rows) IS
'the query of preview() for the rows of one table';

CREATE FUNCTION soft_delete_internal.preview_set_null_references("constraint" oid, deletions timestamptz[]) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT %1$L::pg_catalog.regclass, pg_catalog.format(''(%%s)=(%%s)'', %4$L, pg_catalog.array_to_string(key, '', '')), '
				  'CASE WHEN EXISTS (SELECT FROM %2$s WHERE %3$s) THEN ''is linked again'' ELSE ''stays unlinked'' END, %5$L::pg_catalog.name, '
				  'pg_catalog.format(''It referenced (%%s).'', pg_catalog.array_to_string(referenced, '', '')), '
				  'pg_catalog.jsonb_build_object(%7$s) '
				  'FROM (VALUES %6$s) AS x(key, left_with, referenced)',
				  conrelid::regclass, soft_delete_internal.from_item(conrelid, 'c', 'live'),
				  concat_ws(' AND ',
					(SELECT string_agg(format('c.%I = CAST(x.key[%s] AS %s)', attname, n, format_type(atttypid, atttypmod)), ' AND ')
					 FROM unnest(pk.key_columns) WITH ORDINALITY AS u(attname, n) JOIN pg_attribute USING (attname) WHERE attrelid = conrelid),
					(SELECT string_agg(format('c.%I IS NOT DISTINCT FROM CAST(x.left_with[%s] AS %s)', attname, n, format_type(atttypid, atttypmod)), ' AND ')
					 FROM unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum) WHERE attrelid = conrelid)),
				  array_to_string(pk.key_columns, ', '), conname,
				  string_agg(format('(%L::pg_catalog.text[], %L::pg_catalog.text[], %L::pg_catalog.text[])', ref.key, ref.left_with, ref.referenced), ', '
							 ORDER BY ref.key),
				  (SELECT string_agg(format('%L, CAST(x.key[%s] AS %s)', attname, n, format_type(atttypid, atttypmod)), ', ' ORDER BY n)
				   FROM unnest(pk.key_columns) WITH ORDINALITY AS u(attname, n) JOIN pg_attribute USING (attname) WHERE attrelid = conrelid))
	FROM pg_constraint AS con
		CROSS JOIN LATERAL (SELECT array_agg(attname ORDER BY attnum) AS key_columns
							FROM pg_constraint AS pk JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
							WHERE pk.conrelid = con.conrelid AND contype = 'p') AS pk
		JOIN soft_delete_internal.visible_set_null_references(deletions) AS ref
			ON ref.relation = conrelid AND ref."constraint" = conname AND ref.key_columns = pk.key_columns
	WHERE con.oid = preview_set_null_references."constraint"
	GROUP BY con.oid, conrelid, conname, conkey, pk.key_columns
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_set_null_references(oid, timestamptz[]) IS
'the query of preview() for the references that one foreign key would give back; null if there are none';

CREATE FUNCTION soft_delete_internal.bins_of_deletions(deletions timestamptz[]) RETURNS SETOF soft_delete_internal.deletion_bin
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item soft_delete_internal.deletion_bin;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.readable_bins(true, soft_delete_internal.owners_in(deletions)) LOOP
		BEGIN
			IF soft_delete_internal.has_stamps(item.relation, item.bin, item.tombstone, deletions) THEN
				RETURN NEXT item;
			END IF;
		EXCEPTION WHEN OTHERS THEN
			PERFORM soft_delete_internal.warn_unreadable(item.relation, SQLSTATE, SQLERRM);
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.bins_of_deletions(timestamptz[]) IS
'the bins that the caller may read and that list rows of some deletions; warns of those that cannot be read';

CREATE FUNCTION soft_delete_internal.find_conflicts(bins soft_delete_internal.deletion_bin[], deletions timestamptz[]) RETURNS soft_delete_internal.found_rows
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found soft_delete_internal.found_rows := ('{}', '{}');
	n integer;
	item soft_delete_internal.deletion_bin;
BEGIN
	LOOP
		n := cardinality(found.relations);
		FOREACH item IN ARRAY bins LOOP
			BEGIN
				SELECT found.relations || coalesce(array_agg(q.relation), '{}'), found.places || coalesce(array_agg(q.place), '{}') INTO found
				FROM soft_delete_internal.query_as_owner(item.relation,
						format('SELECT DISTINCT q.tableoid, q.ctid FROM (%s) AS q(relation, "row", outcome, "constraint", detail, key, tableoid, ctid) '
							   'WHERE outcome <> ''comes back'' AND NOT %s',
							   soft_delete_internal.preview_rows(item.relation, item.bin, item.tombstone, found), soft_delete_internal.is_found('q', found)),
						deletions) AS q(relation oid, place tid);
			EXCEPTION WHEN OTHERS THEN
				-- whoever reads its rows warns
				IF soft_delete_internal.must_propagate(SQLSTATE) THEN
					RAISE;
				END IF;
			END;
		END LOOP;
		IF n = cardinality(found.relations) THEN
			RETURN found;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.find_conflicts(soft_delete_internal.deletion_bin[], timestamptz[]) IS
'the rows of some deletions that cannot come back, and those below them';

CREATE FUNCTION soft_delete_internal.name_pattern(relation regclass) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
	SELECT format('(?:"?%s"?\s*\.\s*)?(?:"%s"|\m%2$s\M)', regexp_replace(nspname, '([^[:alnum:]_])', '\\\1', 'g'), regexp_replace(relname, '([^[:alnum:]_])', '\\\1', 'g'))
	FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation
$$;
COMMENT ON FUNCTION soft_delete_internal.name_pattern(regclass) IS
'pattern that finds the name of a table in the source of a function';

/* They are read, not run: what they do to one row is known by doing it. */
CREATE FUNCTION soft_delete_internal.insert_triggers(relations regclass[]) RETURNS oid[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- AFTER INSERT FOR EACH ROW
	RETURN ARRAY(SELECT pg_trigger.oid FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
				 WHERE tgrelid IN (SELECT soft_delete_internal.inheritance_tree(r) FROM unnest(relations) AS r)
				   AND tgtype & 7 = 5 AND tgenabled IN ('O', 'A') AND NOT tgisinternal AND tgparentid = 0
				   AND strpos(prosrc || pg_get_triggerdef(pg_trigger.oid), 'soft_delete.restoring') = 0);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.insert_triggers(regclass[]) IS
'the row triggers that a restore of rows of some tables fires, but for those that ask soft_delete.restoring';

CREATE FUNCTION soft_delete_internal.say_inserting(relation regclass, triggers oid[]) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
	inserting text := '\minsert\s+into\s+' || soft_delete_internal.name_pattern(relation);
BEGIN
	RETURN (SELECT string_agg(format('Trigger "%s" of table "%s" may insert such a row, too.', tgname, relname), ' ' ORDER BY relname, tgname)
			FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid
			WHERE pg_trigger.oid = ANY (triggers) AND prosrc ~* inserting);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.say_inserting(regclass, oid[]) IS
'what preview() says of those triggers that insert into a table; null if there are none';

CREATE FUNCTION soft_delete_internal.preview(VARIADIC deletions timestamptz[])
RETURNS TABLE (relation regclass, "row" text, outcome text, "constraint" name, detail text, key jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	bins soft_delete_internal.deletion_bin[] := ARRAY(SELECT b FROM soft_delete_internal.bins_of_deletions(deletions) AS b);
	found soft_delete_internal.found_rows := soft_delete_internal.find_conflicts(bins, deletions);
	triggers oid[] := soft_delete_internal.insert_triggers(ARRAY(SELECT relation FROM unnest(bins)));
	inserting text;
	item record;
BEGIN
	FOREACH item IN ARRAY bins LOOP
		BEGIN
			inserting := CASE WHEN triggers <> '{}' THEN soft_delete_internal.say_inserting(item.relation, triggers) END;
			RETURN QUERY
				SELECT q.relation, q."row", q.outcome, q."constraint", CASE q.outcome WHEN 'comes back' THEN inserting ELSE q.detail END, q.key FROM soft_delete_internal.query_as_owner(item.relation,
						soft_delete_internal.preview_rows(item.relation, item.bin, item.tombstone, found), deletions)
					AS q(relation regclass, "row" text, outcome text, "constraint" name, detail text, key jsonb, tableoid oid, ctid tid);
		EXCEPTION WHEN OTHERS THEN
			PERFORM soft_delete_internal.warn_unreadable(item.relation, SQLSTATE, SQLERRM);
		END;
	END LOOP;
	FOR item IN
		SELECT conrelid::regclass AS relation, soft_delete_internal.preview_set_null_references(con.oid, deletions) AS query FROM pg_constraint AS con
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype IN ('n', 'd')
		  AND (conrelid::regclass, conname) IN (SELECT ref.relation, ref."constraint" FROM soft_delete_internal.visible_set_null_references(deletions) AS ref)
		ORDER BY con.oid
	LOOP
		CONTINUE WHEN item.query IS NULL;
		BEGIN
			RETURN QUERY
				SELECT * FROM soft_delete_internal.query_as_owner(item.relation, item.query)
					AS q(relation regclass, "row" text, outcome text, "constraint" name, detail text, key jsonb);
		EXCEPTION WHEN OTHERS THEN
			PERFORM soft_delete_internal.warn_unreadable(item.relation, SQLSTATE, SQLERRM);
		END;
	END LOOP;
	RETURN QUERY SELECT * FROM soft_delete_internal.preview_sharded_undo(deletions);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.preview(timestamptz[]) IS
'does soft_delete.preview()';
