/*
 * References between tables: which are refused, which are guarded
 */

CREATE FUNCTION soft_delete_internal.root(relation regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = relation) THEN
		RETURN relation;
	END IF;
	RETURN (
		WITH RECURSIVE ancestors(member, depth) AS (
			SELECT relation, 0
			UNION ALL
			SELECT inhparent::regclass, depth + 1 FROM pg_inherits JOIN ancestors ON inhrelid = member
		)
		SELECT member FROM ancestors ORDER BY depth DESC LIMIT 1
	);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.root(regclass) IS
'the table that a partition or inheritance child is tagged with';

CREATE FUNCTION soft_delete_internal.foreign_keys_of(relation regclass) RETURNS SETOF oid
LANGUAGE plpgsql STABLE ROWS 4
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		WITH found AS (
			SELECT oid, conrelid, confrelid FROM pg_constraint
			WHERE contype = 'f' AND conrelid IN (SELECT soft_delete_internal.family(relation))
			UNION
			-- no index finds them by the referenced table, but their triggers are found by it
			SELECT con.oid, conrelid, confrelid FROM pg_trigger JOIN pg_constraint AS con ON con.oid = tgconstraint
			WHERE contype = 'f' AND tgrelid IN (SELECT soft_delete_internal.family(relation))
		)
		SELECT oid FROM found
		UNION
		-- copies for partitions of the referencing table have no triggers on the referenced one
		SELECT copy.oid FROM found JOIN pg_class ON pg_class.oid = found.conrelid AND relkind = 'p',
			soft_delete_internal.family(found.conrelid) AS member JOIN pg_constraint AS copy ON copy.conrelid = member
		WHERE copy.contype = 'f' AND copy.confrelid = found.confrelid;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.foreign_keys_of(regclass) IS
'the foreign keys from and to a table, its partitions and its inheritance children, copies for partitions included';

CREATE FUNCTION soft_delete_internal.tagged_tables(OUT relation regclass, OUT tombstone_column name) RETURNS SETOF record
LANGUAGE sql STABLE ROWS 4
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT member, arguments[1]::name
	FROM (SELECT DISTINCT soft_delete_internal.root(tgrelid) AS member FROM pg_depend JOIN pg_trigger ON pg_trigger.oid = objid
		  WHERE classid = 'pg_trigger'::regclass AND refclassid = 'pg_proc'::regclass
			AND refobjid = 'soft_delete.delete_row()'::regprocedure AND tgparentid = 0) AS tagged
		JOIN pg_class ON oid = member,
		soft_delete_internal.tag_arguments(member) AS arguments
	WHERE arguments IS NOT NULL AND NOT pg_is_other_temp_schema(relnamespace)
	ORDER BY member
$$;
COMMENT ON FUNCTION soft_delete_internal.tagged_tables() IS
'the tagged tables, without their partitions and inheritance children';

CREATE FUNCTION soft_delete_internal.references_of(relation regclass,
	OUT "constraint" oid, OUT child regclass, OUT parent regclass, OUT action "char")
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		SELECT oid, soft_delete_internal.root(conrelid), soft_delete_internal.root(confrelid), confdeltype
		FROM pg_constraint
		WHERE oid IN (SELECT soft_delete_internal.foreign_keys_of(relation)) AND conparentid = 0;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.references_of(regclass) IS
'the foreign keys from and to a table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete_internal.cascade_family(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE connected(member) AS (
		SELECT relation
		UNION
		SELECT CASE WHEN parent = member THEN child ELSE parent END
		FROM connected, soft_delete_internal.references_of(member) WHERE action = 'c'
	)
	SELECT member FROM connected
$$;
COMMENT ON FUNCTION soft_delete_internal.cascade_family(regclass) IS
'a table and all that ON DELETE CASCADE connects it with, in either direction';

/*
 * ON DELETE CASCADE between a tagged and an untagged table loses rows: those of
 * an untagged child, or the parent that a deleted child needs to come back.
 */
CREATE FUNCTION soft_delete_internal.check_references(relation regclass, only_new boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT conname, child, parent, action,
			CASE WHEN soft_delete_internal.tag_arguments(parent) IS NULL THEN parent
				WHEN soft_delete_internal.tag_arguments(child) IS NULL THEN child END AS untagged
		FROM soft_delete_internal.references_of(relation) JOIN pg_constraint con ON con.oid = "constraint"
		WHERE CASE WHEN soft_delete_internal.tag_arguments(parent) IS NULL AND soft_delete_internal.tag_arguments(child) IS NULL THEN false
				WHEN soft_delete_internal.tag_arguments(parent) IS NOT NULL AND soft_delete_internal.tag_arguments(child) IS NOT NULL
					THEN action IN ('n', 'd') AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = child AND indisprimary)
				ELSE action IN ('c', 'n', 'd') END
		  AND (NOT only_new OR soft_delete_internal.is_own_transaction(con.xmin))
		ORDER BY con.oid
	LOOP
		IF item.action = 'c' THEN
			RAISE EXCEPTION 'foreign key "%" cascades deletes from table "%" to table "%", and only one of them is tagged',
				item.conname, item.parent, item.child
				USING ERRCODE = 'feature_not_supported',
					DETAIL = CASE WHEN item.untagged = item.child
						THEN format('Deleting softly from %s would destroy rows of %s for good.', item.parent, item.child)
						ELSE format('Deleting from %s would leave deleted rows of %s without the parent they need to be restored.', item.parent, item.child) END,
					HINT = format(CASE WHEN only_new THEN 'SELECT soft_delete.tag(%2$L), then add the foreign key.'
						ELSE 'SELECT soft_delete.tag(%1$L, cascade => true), or soft_delete.untag(%1$L, cascade => true).' END,
						CASE WHEN item.untagged = item.child THEN item.parent ELSE item.child END, item.untagged);
		ELSIF item.untagged = item.child THEN
			RAISE WARNING 'foreign key "%" lets a delete from table "%" overwrite what rows of untagged table "%" refer to',
				item.conname, item.parent, item.child
				USING ERRCODE = '01000',
					DETAIL = 'Restoring the deleted row does not bring that back.';
		ELSIF item.untagged IS NULL THEN
			RAISE WARNING 'foreign key "%" lets a delete from table "%" overwrite what rows of table "%" refer to, and those have no primary key',
				item.conname, item.parent, item.child
				USING ERRCODE = '01000',
					DETAIL = 'Restoring the deleted row does not bring that back.';
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_references(regclass, boolean) IS
'raises 0A000 if ON DELETE CASCADE connects a tagged and an untagged table, warns if SET NULL or SET DEFAULT would lose a reference; only_new: where this transaction made the foreign key';

CREATE FUNCTION soft_delete_internal.guard_references(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item oid;
BEGIN
	FOR item IN SELECT fk FROM soft_delete_internal.foreign_keys_of(relation) AS fk ORDER BY fk LOOP
		IF current_setting('row_security')::boolean THEN
			PERFORM soft_delete_internal.guard_reference(item);
			CONTINUE;
		END IF;
		-- two jobs that restore a dump may tag both sides at once: one goes on, and guards for both
		BEGIN
			PERFORM soft_delete_internal.guard_reference(item);
		EXCEPTION WHEN deadlock_detected THEN
			RAISE DEBUG 'foreign key % is left to the session that tags the other table', item;
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.guard_references(regclass) IS
'gives the foreign keys from and to a table their guards, or takes them away';

CREATE FUNCTION soft_delete_internal.follow_references(changed regclass[], check_new boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete_internal.guard_references(relation),
		CASE WHEN check_new THEN soft_delete_internal.check_references(soft_delete_internal.root(relation), only_new => true) END
	FROM unnest(changed) AS relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_references(regclass[], boolean) IS
'guards the foreign keys from and to tables; check_new: refuses unsafe ones that this transaction has made';
