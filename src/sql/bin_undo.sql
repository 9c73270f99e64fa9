/*
 * Restoring whole deletions.
 */

CREATE FUNCTION soft_delete_internal.deletion_rows(deleted_at timestamptz) RETURNS TABLE (relation regclass, rows bigint)
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
			SELECT n INTO rows FROM soft_delete_internal.query_as_owner(relation,
				format('SELECT pg_catalog.count(*) FROM %s WHERE %I OPERATOR(pg_catalog.=) ANY ($1)', item.bin, item.tombstone),
				ARRAY[deleted_at]) AS q(n bigint);
			RAISE SQLSTATE 'SDEND';	-- as in list_tables()
		EXCEPTION WHEN SQLSTATE 'SDEND' THEN
			NULL;
		WHEN OTHERS THEN
			PERFORM soft_delete_internal.warn_unreadable(relation, SQLSTATE, SQLERRM);
		END;
		IF rows > 0 THEN
			RETURN NEXT;
		END IF;
	END LOOP;
	RETURN QUERY SELECT s.relation, s.rows FROM soft_delete_internal.readable_sharded(ARRAY[deleted_at]) AS s;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.deletion_rows(timestamptz) IS
'does soft_delete.deletion_rows()';

CREATE FUNCTION soft_delete_internal.must_have_stamps(relation regclass, bin regclass, tombstone name, deletions timestamptz[]) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	message text;
	native_detail text;
BEGIN
	RETURN soft_delete_internal.has_stamps(relation, bin, tombstone, deletions);
EXCEPTION WHEN OTHERS THEN
	IF soft_delete_internal.must_propagate(SQLSTATE) THEN
		RAISE;
	END IF;
	-- a bin of another owner that cannot be read must not keep the caller from restoring, a superuser neither
	IF NOT soft_delete_internal.caller_owns(must_have_stamps.relation)
		OR ((SELECT rolsuper FROM pg_roles WHERE oid = soft_delete_internal.caller())
			AND soft_delete_internal.caller() <> (SELECT relowner FROM pg_class WHERE oid = must_have_stamps.relation))
	THEN
		PERFORM soft_delete_internal.warn_unreadable(must_have_stamps.relation, SQLSTATE, SQLERRM);
		RETURN false;
	END IF;
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, native_detail = PG_EXCEPTION_DETAIL;
	RAISE EXCEPTION 'could not read the deleted rows of table "%": %', relation, message
		USING ERRCODE = SQLSTATE, DETAIL = coalesce(nullif(native_detail, ''), 'Without them, what was deleted is not known, so nothing is restored.');
END
$$;
COMMENT ON FUNCTION soft_delete_internal.must_have_stamps(regclass, regclass, name, timestamptz[]) IS
'whether a bin lists rows of some deletions; raises an error that names the table if its bin cannot be read';

CREATE FUNCTION soft_delete_internal.undo_queries(deletions timestamptz[], OUT relation regclass, OUT owner oid, OUT forbidden regclass, OUT query text) RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- foreign keys are checked at the end of the one statement, so the order does not matter
	SELECT min(relation::oid)::regclass, relowner,
		min(bin::oid) FILTER (WHERE NOT has_column_privilege(soft_delete_internal.caller(), bin, tombstone::text, 'UPDATE'))::regclass,
		format('WITH %s SELECT %s', string_agg(format('r%s AS (UPDATE %s SET %I = NULL WHERE %3$I OPERATOR(pg_catalog.=) ANY ($1) RETURNING 1)',
													  n, soft_delete_internal.qualified_name(bin), tombstone), ', ' ORDER BY n),
			   string_agg(format('(SELECT pg_catalog.count(*) FROM r%s)', n), ' OPERATOR(pg_catalog.+) ' ORDER BY n))
	FROM (SELECT bins.*, relowner, row_number() OVER (PARTITION BY relowner ORDER BY relation) - 1 AS n
		  FROM soft_delete_internal.readable_bins(owners => soft_delete_internal.owners_in(deletions)) AS bins JOIN pg_class ON pg_class.oid = bins.relation
		  WHERE soft_delete_internal.must_have_stamps(relation, bin, tombstone, deletions)) AS affected
	GROUP BY relowner ORDER BY relowner
$$;
COMMENT ON FUNCTION soft_delete_internal.undo_queries(timestamptz[]) IS
'the statements, one for each owner in the deletions $1, that restore what these deleted from the tables whose bin the caller may read; forbidden: a bin that the caller may not update';

/* In ISO style: the abbreviation of a time zone may be read as that of another one. */
CREATE FUNCTION soft_delete_internal.report_skipped(skipped bigint, deletions timestamptz[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
BEGIN
	RAISE NOTICE '%', format(CASE skipped WHEN 1 THEN '%s row stays deleted' ELSE '%s rows stay deleted' END, skipped)
		USING HINT = format('SELECT * FROM soft_delete.preview(%s);', (SELECT string_agg(quote_literal(d), ', ') FROM unnest(deletions) AS d));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.report_skipped(bigint, timestamptz[]) IS
'tells how many rows of some deletions undo() has left deleted';

/* Several rounds, because rows of one owner may reference those of another. */
CREATE FUNCTION soft_delete_internal.undo_all(deletions timestamptz[], skip_conflicts boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	done oid[] := '{}';
	n_done integer := -1;
	restored bigint := 0;
	message text;
	native_detail text;
	schema_name text;
	table_name text;
	constraint_name text;
	is_last boolean := false;
	before bigint;
	skipped soft_delete_internal.found_rows;
BEGIN
	IF skip_conflicts THEN
		skipped := soft_delete_internal.find_conflicts(ARRAY(SELECT b FROM soft_delete_internal.bins_of_deletions(deletions) AS b), deletions);
		PERFORM soft_delete_internal.skip_rows(skipped.relations, skipped.places);
	END IF;
	WHILE n_done < cardinality(done) OR NOT is_last LOOP
		is_last := n_done = cardinality(done);
		n_done := cardinality(done);
		FOR item IN SELECT * FROM soft_delete_internal.undo_queries(deletions) WHERE owner <> ALL (done) LOOP
			IF item.forbidden IS NOT NULL THEN
				RAISE EXCEPTION 'permission denied for view %', item.forbidden
					USING ERRCODE = 'insufficient_privilege',
						DETAIL = 'It takes the right to update the tombstone column of each bin that lists rows of the deletion.';
			END IF;
			BEGIN
				before := soft_delete_internal.restored_rows();
				PERFORM soft_delete_internal.execute_as_owner(item.relation, item.query, deletions);
				-- what comes back by a cascade counts, too
				restored := restored + soft_delete_internal.restored_rows() - before;
				done := done || item.owner;
			EXCEPTION
				WHEN integrity_constraint_violation THEN
					IF SQLSTATE = '23503' AND NOT is_last THEN
						CONTINUE;
					END IF;
					GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, schema_name = SCHEMA_NAME, table_name = TABLE_NAME, constraint_name = CONSTRAINT_NAME;
					-- the detail shows a key to the owner, which the caller may not read
					IF item.owner <> soft_delete_internal.caller() AND NOT EXISTS (SELECT FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
							WHERE nspname = schema_name AND relname = table_name AND has_table_privilege(soft_delete_internal.caller(), pg_class.oid, 'SELECT')) THEN
						RAISE EXCEPTION '%', message
							USING ERRCODE = SQLSTATE, SCHEMA = schema_name, TABLE = table_name, CONSTRAINT = constraint_name;
					END IF;
					RAISE;
				WHEN insufficient_privilege THEN
					GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, native_detail = PG_EXCEPTION_DETAIL;
					IF native_detail <> '' THEN
						RAISE;
					END IF;
					PERFORM soft_delete_internal.refuse('42501', message, format('What role %I owns is restored with its rights.', pg_get_userbyid(item.owner)),
						-- the owner's code could set the role of a superuser back
						CASE WHEN pg_has_role(soft_delete_internal.caller(), item.owner, 'MEMBER') AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = soft_delete_internal.caller()) THEN format('SET ROLE %I;', pg_get_userbyid(item.owner)) END);
			END;
		END LOOP;
	END LOOP;
	IF skip_conflicts THEN
		PERFORM soft_delete_internal.skip_rows('{}', '{}');
		IF skipped.relations <> '{}' THEN
			PERFORM soft_delete_internal.report_skipped(cardinality(skipped.relations), deletions);
		END IF;
	END IF;
	RETURN restored;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.undo_all(timestamptz[], boolean) IS
'restores all that some deletions deleted, from every table whose bin the caller may read, or nothing; skip_conflicts: but for what cannot be restored; returns the number of rows';

CREATE FUNCTION soft_delete_internal.undo_with_parents(deletions timestamptz[]) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET soft_delete.with_parents = on
AS $$
BEGIN
	RETURN soft_delete_internal.undo_all(deletions, false);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.undo_with_parents(timestamptz[]) IS
'restores all that some deletions deleted, and the deleted parents of these rows';

CREATE FUNCTION soft_delete_internal.undo_deletions(deletions timestamptz[], skip_conflicts boolean, with_parents boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	restored bigint;
BEGIN
	IF skip_conflicts AND with_parents THEN
		RAISE EXCEPTION 'skip_conflicts and with_parents cannot be combined'
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'A row whose parent is deleted is skipped by the one and not by the other.';
	END IF;
	restored := soft_delete_internal.undo_sharded(deletions, skip_conflicts, with_parents);
	IF with_parents THEN
		RETURN restored + soft_delete_internal.undo_with_parents(deletions);
	END IF;
	RETURN restored + soft_delete_internal.undo_all(deletions, skip_conflicts);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.undo_deletions(timestamptz[], boolean, boolean) IS
'restores some deletions as soft_delete.undo() does, and returns the number of rows';

CREATE FUNCTION soft_delete_internal.must_know_deletion(deleted_at timestamptz) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM soft_delete_internal.ledger AS l WHERE l.deleted_at = must_know_deletion.deleted_at)
	   AND NOT EXISTS (SELECT FROM soft_delete_internal.readable_sharded(ARRAY[deleted_at])) THEN
		RAISE EXCEPTION 'no deletion has the stamp %', deleted_at
			USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM soft_delete.deletions ORDER BY deleted_at DESC;';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.must_know_deletion(timestamptz) IS
'raises 42704 if the ledger has no deletion with a stamp, and no bin of a sharded table rows of it';

CREATE FUNCTION soft_delete_internal.undo(deleted_at timestamptz, skip_conflicts boolean, with_parents boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	restored bigint := soft_delete_internal.undo_deletions(ARRAY[deleted_at], skip_conflicts, with_parents);
BEGIN
	IF restored = 0 AND deleted_at IS NOT NULL THEN
		PERFORM soft_delete_internal.must_know_deletion(deleted_at);
	END IF;
	RETURN restored;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.undo(timestamptz, boolean, boolean) IS
'does soft_delete.undo()';

CREATE FUNCTION soft_delete_internal.undo_transaction(xid xid8, skip_conflicts boolean, with_parents boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deletions timestamptz[] := ARRAY(SELECT d FROM soft_delete_internal.transaction_stamps(xid) AS d);
BEGIN
	IF deletions = '{}' AND xid IS NOT NULL THEN
		RAISE NOTICE 'no deletion of transaction % is visible to the caller', xid
			USING DETAIL = 'What other roles have deleted is undone by its stamp, which the bins show.';
	END IF;
	RETURN soft_delete_internal.undo_deletions(deletions, skip_conflicts, with_parents);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.undo_transaction(xid8, boolean, boolean) IS
'does soft_delete.undo_transaction()';
