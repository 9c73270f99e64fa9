/*
 * Whole deletions
 */

CREATE FUNCTION soft_delete_internal.pass_over(relation regclass, state text, message text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF soft_delete_internal.is_interrupt(state) THEN
		RAISE EXCEPTION '%', message USING ERRCODE = state;
	END IF;
	RAISE WARNING 'deleted rows of table "%" are passed over: %', relation, message
		USING ERRCODE = '01000', HINT = 'SELECT * FROM soft_delete.check();';
END
$$;
COMMENT ON FUNCTION soft_delete_internal.pass_over(regclass, text, text) IS
'warns that the deleted rows of a table cannot be read, or raises the error again if that is not the fault of the table';

CREATE FUNCTION soft_delete_internal.readable_bins(passes_over boolean DEFAULT false, OUT relation regclass, OUT bin regclass, OUT tombstone name, OUT stamps text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	FOR relation, tombstone, stamps IN
		SELECT tagged.relation, attname,
			-- a timestamp column holds UTC
			CASE atttypid WHEN 'timestamp'::regtype
				THEN '(ARRAY(SELECT pg_catalog.timezone(''UTC'', s) FROM pg_catalog.unnest($1) AS s))' ELSE '($1)' END
		FROM soft_delete_internal.tagged_tables() AS tagged
			JOIN pg_attribute ON attrelid = tagged.relation AND attname = tombstone_column AND NOT attisdropped
		ORDER BY tagged.relation
	LOOP
		bin := NULL;
		BEGIN
			bin := soft_delete_internal.lock_bin(relation);
		EXCEPTION WHEN OTHERS THEN
			IF NOT passes_over AND NOT soft_delete_internal.is_interrupt(SQLSTATE) THEN
				RAISE EXCEPTION 'could not lock table "%": %', relation, SQLERRM
					USING ERRCODE = SQLSTATE, DETAIL = 'All or nothing is restored.';
			END IF;
			PERFORM soft_delete_internal.pass_over(relation, SQLSTATE, SQLERRM);
		END;
		IF bin IS NOT NULL AND soft_delete_internal.is_plain_bin(bin) THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.readable_bins(boolean) IS
'the tagged tables whose bin the caller may read, locked against being untagged or dropped; stamps: the array $1 of timestamptz as their tombstone column compares with it; passes_over: a table that cannot be locked is a warning';

CREATE FUNCTION soft_delete.deletion_rows(deleted_at timestamptz) RETURNS TABLE (relation regclass, rows bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.readable_bins(true) LOOP
		relation := item.relation;
		rows := 0;
		BEGIN
			EXECUTE format('SELECT count(*) FROM %s WHERE %I = ANY %s', item.bin, item.tombstone, item.stamps)
				INTO rows USING ARRAY[deleted_at];
		EXCEPTION WHEN OTHERS THEN
			PERFORM soft_delete_internal.pass_over(relation, SQLSTATE, SQLERRM);
		END;
		IF rows > 0 THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.deletion_rows(timestamptz) IS
'how many rows a deletion still has in each table whose bin the caller may read';

CREATE FUNCTION soft_delete_internal.undo_query(deletions timestamptz[]) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	found boolean;
	restores text[] := '{}';
	message text;
	native_detail text;
	native_hint text;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.readable_bins() LOOP
		BEGIN
			EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = ANY %s)', item.bin, item.tombstone, item.stamps)
				INTO found USING deletions;
		EXCEPTION WHEN OTHERS THEN
			IF soft_delete_internal.is_interrupt(SQLSTATE) THEN
				RAISE;
			END IF;
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, native_detail = PG_EXCEPTION_DETAIL, native_hint = PG_EXCEPTION_HINT;
			RAISE EXCEPTION 'could not read the deleted rows of table "%": %', item.relation, message
				USING ERRCODE = SQLSTATE, DETAIL = coalesce(nullif(native_detail, ''), 'Without them, what was deleted is not known, so nothing is restored.'),
					HINT = coalesce(nullif(native_hint, ''), 'SELECT * FROM soft_delete.check();');
		END;
		IF found THEN
			restores := restores || format('r%s AS (UPDATE %s SET %I = NULL WHERE %3$I OPERATOR(pg_catalog.=) ANY %4$s RETURNING 1)',
										   cardinality(restores), item.bin, item.tombstone, item.stamps);
		END IF;
	END LOOP;
	-- one statement, at whose end foreign keys are checked: the order does not matter
	RETURN (SELECT format('WITH %s SELECT %s', array_to_string(restores, ', '),
						  string_agg(format('(SELECT pg_catalog.count(*) FROM r%s)', n - 1), ' OPERATOR(pg_catalog.+) '))
			FROM generate_series(1, cardinality(restores)) AS n
			HAVING count(*) > 0);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.undo_query(timestamptz[]) IS
'the statement that restores what the deletions $1 deleted, from every table whose bin the caller may read; null if there is nothing';

/* The application's triggers fire in these: they keep the caller's search_path. */
CREATE FUNCTION soft_delete_internal.undo_all(deletions timestamptz[]) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
	query text := soft_delete_internal.undo_query(deletions);
	restored bigint := 0;
BEGIN
	IF query IS NOT NULL THEN
		EXECUTE query INTO restored USING deletions;
	END IF;
	RETURN restored;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.undo_all(timestamptz[]) IS
'restores all that some deletions deleted, from every table whose bin the caller may read, or nothing; returns the number of rows';

CREATE FUNCTION soft_delete.undo(deleted_at timestamptz) RETURNS bigint
LANGUAGE sql
AS 'SELECT soft_delete_internal.undo_all(ARRAY[deleted_at])';
COMMENT ON FUNCTION soft_delete.undo(timestamptz) IS
'restores all that one deletion deleted, from every table whose bin the caller may read, or nothing; returns the number of rows';

CREATE FUNCTION soft_delete.undo_transaction(xid xid8) RETURNS bigint
LANGUAGE sql
AS $$
	SELECT soft_delete_internal.undo_all(ARRAY(SELECT deleted_at FROM soft_delete.deletions AS d WHERE d.xid OPERATOR(pg_catalog.=) $1))
$$;
COMMENT ON FUNCTION soft_delete.undo_transaction(xid8) IS
'restores all that the deletions of one transaction deleted, as undo() does';

/*
 * The dry run.  Its queries read r: what would come back, as it would be then.
 */

CREATE VIEW soft_delete_internal.visible_cuts AS
SELECT * FROM soft_delete_internal.cut_references
WHERE EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) relation AND pg_catalog.pg_has_role(relowner, 'USAGE'))
  AND NOT pg_catalog.row_security_active(relation);
COMMENT ON VIEW soft_delete_internal.visible_cuts IS
'the cut references of the reader''s own tables: they tell of rows that are deleted';
GRANT SELECT ON soft_delete_internal.visible_cuts TO PUBLIC;

CREATE FUNCTION soft_delete_internal.qualified_operator(operator oid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('OPERATOR(%I.%s)', nspname, oprname)
	FROM pg_operator JOIN pg_namespace ON pg_namespace.oid = oprnamespace WHERE pg_operator.oid = operator
$$;
COMMENT ON FUNCTION soft_delete_internal.qualified_operator(oid) IS
'an operator as it is written under any search_path';

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
'expression for the values of some columns in the words of the server''s errors: (a, b)=(1, 2)';

CREATE FUNCTION soft_delete_internal.rows_of(relation regclass, alias text, which text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- foreign keys do not look at inheritance children
	SELECT format('%s%s %s%s', CASE relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, relation, alias,
		CASE WHEN soft_delete_internal.tag_arguments(relation) IS NOT NULL THEN format(' TABLESAMPLE soft_delete.rows(%L)', which) END)
	FROM pg_class WHERE oid = relation
$$;
COMMENT ON FUNCTION soft_delete_internal.rows_of(regclass, text, text) IS
'an item of a FROM clause: one side of a foreign key with its live rows, its deleted ones, or all';

/* Aliases: c is the referencing table, p the referenced one. */
CREATE FUNCTION soft_delete_internal.key_match("constraint" oid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(format('p.%I %s c.%I%s', pa.attname, soft_delete_internal.qualified_operator(op), ca.attname,
			-- the collation of the referenced column decides
			CASE WHEN pa.attcollation <> ca.attcollation THEN ' COLLATE ' || pa.attcollation::regcollation END),
		' AND ' ORDER BY n)
	FROM pg_constraint, unnest(confkey, conkey, conpfeqop) WITH ORDINALITY AS k(p, c, op, n),
		pg_attribute AS pa, pg_attribute AS ca
	WHERE pg_constraint.oid = "constraint"
	  AND pa.attrelid = confrelid AND pa.attnum = p AND ca.attrelid = conrelid AND ca.attnum = c
$$;
COMMENT ON FUNCTION soft_delete_internal.key_match(oid) IS
'a foreign key as the condition of a join';

CREATE FUNCTION soft_delete_internal.key_conflicts(relation regclass) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH keys AS (
		SELECT indexrelid, relname, pg_get_expr(indpred, indrelid) AS predicate,
			string_agg(format('(%s) AS k%s', pg_get_indexdef(indexrelid, n, false), n), ', ' ORDER BY n) AS expressions,
			string_agg(format(CASE WHEN indnullsnotdistinct THEN '(a.k%1$s %2$s b.k%1$s OR (a.k%1$s IS NULL AND b.k%1$s IS NULL))'
							  ELSE 'a.k%1$s %2$s b.k%1$s' END,
							  n, soft_delete_internal.qualified_operator(coalesce(conexclop[n], amopopr))), ' AND ' ORDER BY n) AS match,
			string_agg(pg_get_indexdef(indexrelid, n, false), ', ' ORDER BY n) AS names,
			string_agg(format('a.k%s', n), ', ' ORDER BY n) AS columns
		FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
			LEFT JOIN pg_constraint ON conrelid = indrelid AND conindid = indexrelid AND contype = 'x'
			CROSS JOIN LATERAL generate_series(1, indnkeyatts) AS n
			JOIN pg_opclass ON pg_opclass.oid = indclass[n - 1]
			LEFT JOIN pg_amop ON amopfamily = opcfamily AND amoplefttype = opcintype AND amoprighttype = opcintype AND amopstrategy = 3
		WHERE indrelid = relation AND indisvalid AND (indisunique OR indisexclusion)
		GROUP BY indexrelid, relname, indpred, indrelid
	)
	SELECT format('SELECT a.tableoid, a.ctid, ''key is taken'', %1$L::name, concat(%2$L, concat_ws('', '', %3$s), '') already exists.'') '
				  'FROM (SELECT tableoid, ctid, %4$s FROM r%5$s) AS a '
				  'WHERE EXISTS (SELECT FROM (SELECT tableoid, ctid, %4$s FROM %6$s%5$s UNION ALL SELECT tableoid, ctid, %4$s FROM r%5$s) AS b '
				  'WHERE %7$s AND (a.tableoid, a.ctid) <> (b.tableoid, b.ctid))',
				  relname, format('Key (%s)=(', names), columns, expressions, ' WHERE ' || predicate, relation, match)
	FROM keys ORDER BY indexrelid
$$;
COMMENT ON FUNCTION soft_delete_internal.key_conflicts(regclass) IS
'queries for the rows of r whose key a live row, or another row of r, has';

CREATE FUNCTION soft_delete_internal.parent_conflicts(relation regclass) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT c.tableoid, c.ctid, CASE WHEN EXISTS (SELECT FROM %1$s WHERE %2$s) THEN ''parent is deleted'' ELSE ''parent is gone'' END, %3$L::name, '
				  'concat(''Key '', %4$s, %5$L) FROM r AS c WHERE %6$s AND NOT EXISTS (SELECT FROM %1$s WHERE %2$s%7$s)%8$s',
				  soft_delete_internal.rows_of(confrelid, 'p', 'all'), soft_delete_internal.key_match(con.oid), conname,
				  soft_delete_internal.describe_columns(conrelid, conkey, 'c'), format(' is not present in table "%s".', relname),
				  (SELECT string_agg(format('c.%I IS NOT NULL', attname), ' AND ') FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)),
				  (SELECT format(' AND (p.%I IS NULL OR p.%1$I = ANY %s)', tombstone, stamps)
				   FROM soft_delete_internal.readable_bins() AS bins WHERE bins.relation = soft_delete_internal.root(confrelid)),
				  -- a parent that has stepped aside comes back, too
				  (SELECT format(' AND NOT EXISTS (SELECT FROM %s WHERE %s AND p.%I = ANY %s)', soft_delete_internal.rows_of(confrelid, 'p', 'displaced'),
								 soft_delete_internal.key_match(con.oid), tombstone, stamps)
				   FROM soft_delete_internal.readable_bins() AS bins WHERE bins.relation = soft_delete_internal.root(confrelid)))
	FROM pg_constraint AS con JOIN pg_class ON pg_class.oid = confrelid
	WHERE contype = 'f' AND conrelid = relation AND conparentid = 0
	ORDER BY con.oid
$$;
COMMENT ON FUNCTION soft_delete_internal.parent_conflicts(regclass) IS
'queries for the rows of r whose parent is not live and would not come back with them';

CREATE FUNCTION soft_delete_internal.check_conflicts(relation regclass, deleted_at name) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT tableoid, ctid, ''relation is altered'', %L::name, ''The row would violate the constraint.'' FROM r WHERE NOT (%s)',
				  conname, pg_get_expr(conbin, conrelid))
	FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attname = deleted_at
	WHERE contype = 'c' AND conrelid = relation AND attnum = ANY (conkey)
	ORDER BY pg_constraint.oid
$$;
COMMENT ON FUNCTION soft_delete_internal.check_conflicts(regclass, name) IS
'queries for the rows of r that would violate a CHECK constraint on their tombstone column';

CREATE FUNCTION soft_delete_internal.preview_rows(relation regclass, bin regclass, tombstone name, stamps text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('WITH r AS (SELECT %s, tableoid, ctid FROM %s WHERE %I = ANY %s), c (tableoid, ctid, outcome, "constraint", detail) AS (%s) '
				  'SELECT %L::regclass, %s, coalesce(outcome, ''comes back''), "constraint", detail FROM r LEFT JOIN c USING (tableoid, ctid)',
				  (SELECT string_agg(CASE WHEN attname = tombstone THEN format('NULL::%s AS %I', format_type(atttypid, atttypmod), attname)
									 ELSE quote_ident(attname) END, ', ' ORDER BY attnum)
				   FROM pg_attribute AS col
				   WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
					 AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = bin AND attname = col.attname)),
				  bin, tombstone, stamps,
				  (SELECT string_agg(query, ' UNION ALL ')
				   FROM (SELECT 'SELECT tableoid, ctid, NULL, NULL::name, NULL FROM r WHERE false'
						 UNION ALL SELECT soft_delete_internal.key_conflicts(relation)
						 UNION ALL SELECT soft_delete_internal.parent_conflicts(relation)
						 UNION ALL SELECT soft_delete_internal.check_conflicts(relation, tombstone)
						 UNION ALL SELECT 'SELECT tableoid, ctid, ''row is held'', NULL, soft_delete.hold_of(tableoid, ctid, false) FROM r WHERE soft_delete.hold_of(tableoid, ctid, false) IS NOT NULL') AS conflicts(query)),
				  relation,
				  coalesce((SELECT soft_delete_internal.describe_columns(relation, conkey, 'r') FROM pg_constraint WHERE conrelid = relation AND contype = 'p'),
						   'format(''(ctid)=(%s)'', ctid)'))
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_rows(regclass, regclass, name, text) IS
'the query of preview() for the rows of one table';

CREATE FUNCTION soft_delete_internal.preview_links("constraint" oid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT %1$L::regclass, format(''(%%s)=(%%s)'', array_to_string(key_columns, '', ''), array_to_string(key, '', '')), '
				  'CASE WHEN EXISTS (SELECT FROM %2$s WHERE %3$s) THEN ''is linked again'' ELSE ''stays unlinked'' END, conname, '
				  'format(''It referenced (%%s).'', array_to_string(referenced, '', '')) '
				  'FROM (SELECT *, "constraint" AS conname FROM soft_delete_internal.visible_cuts) AS x '
				  'WHERE relation = %1$L::regclass AND conname = %4$L AND deleted_at = ANY ($1) AND key_columns = %5$L::name[]',
				  conrelid::regclass, soft_delete_internal.rows_of(conrelid, 'c', 'live'),
				  concat_ws(' AND ',
					(SELECT string_agg(format('c.%I = CAST(x.key[%s] AS %s)', attname, n, format_type(atttypid, atttypmod)), ' AND ')
					 FROM unnest(key_columns) WITH ORDINALITY AS u(attname, n) JOIN pg_attribute USING (attname) WHERE attrelid = conrelid),
					(SELECT string_agg(format('c.%I IS NOT DISTINCT FROM CAST(x.left_with[%s] AS %s)', attname, n, format_type(atttypid, atttypmod)), ' AND ')
					 FROM unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum) WHERE attrelid = conrelid)),
				  conname, key_columns)
	FROM pg_constraint AS con
		CROSS JOIN LATERAL (SELECT array_agg(attname ORDER BY attnum) AS key_columns
							FROM pg_constraint AS pk JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
							WHERE pk.conrelid = con.conrelid AND contype = 'p') AS pk
	WHERE con.oid = "constraint"
$$;
COMMENT ON FUNCTION soft_delete_internal.preview_links(oid) IS
'the query of preview() for the references that one foreign key would give back';

CREATE FUNCTION soft_delete.preview(VARIADIC deletions timestamptz[])
RETURNS TABLE (relation regclass, "row" text, outcome text, "constraint" name, detail text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	item record;
	found boolean;
BEGIN
	FOR item IN SELECT * FROM soft_delete_internal.readable_bins(true) LOOP
		BEGIN
			EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = ANY %s)', item.bin, item.tombstone, item.stamps) INTO found USING deletions;
			IF found THEN
				RETURN QUERY EXECUTE soft_delete_internal.preview_rows(item.relation, item.bin, item.tombstone, item.stamps) USING deletions;
			END IF;
		EXCEPTION WHEN OTHERS THEN
			PERFORM soft_delete_internal.pass_over(item.relation, SQLSTATE, SQLERRM);
		END;
	END LOOP;
	FOR item IN
		SELECT con.oid, conrelid::regclass AS relation FROM pg_constraint AS con
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype IN ('n', 'd')
		  AND (conrelid::regclass, conname) IN (SELECT cut.relation, cut."constraint" FROM soft_delete_internal.visible_cuts AS cut WHERE deleted_at = ANY (deletions))
		ORDER BY con.oid
	LOOP
		BEGIN
			RETURN QUERY EXECUTE soft_delete_internal.preview_links(item.oid) USING deletions;
		EXCEPTION WHEN OTHERS THEN
			PERFORM soft_delete_internal.pass_over(item.relation, SQLSTATE, SQLERRM);
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.preview(timestamptz[]) IS
'dry run of undo(): what would come back, be linked again, or stand in the way, one row each; touches nothing';
