/*
 * The triggers that the extension adds to foreign keys from and to tagged tables,
 * which foreign keys are refused, and the record of what ON DELETE SET NULL and SET
 * DEFAULT have overwritten.
 */

CREATE FUNCTION soft_delete_internal.check_parent() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_check_reference';
COMMENT ON FUNCTION soft_delete_internal.check_parent() IS
'trigger of a foreign key that references a tagged table, from PostgreSQL 19 on: refuses a row whose parent is deleted';

CREATE FUNCTION soft_delete_internal.on_update_key() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_key';
COMMENT ON FUNCTION soft_delete_internal.on_update_key() IS
'trigger of a foreign key from a tagged table: does for deleted rows what ON UPDATE does for live ones';

CREATE FUNCTION soft_delete_internal.record_set_null() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_note_cut';
COMMENT ON FUNCTION soft_delete_internal.record_set_null() IS
'trigger of a foreign key with ON DELETE SET NULL or SET DEFAULT between tagged tables: records the references that a deletion overwrites';

CREATE FUNCTION soft_delete_internal.set_reference_triggers("constraint" oid) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_set_reference_triggers';
COMMENT ON FUNCTION soft_delete_internal.set_reference_triggers(oid) IS
'creates the triggers of the extension that a foreign key needs, and drops those that it does not need';

CREATE FUNCTION soft_delete_internal.lacks_reference_trigger("constraint" oid) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_lacks_reference_trigger';
COMMENT ON FUNCTION soft_delete_internal.lacks_reference_trigger(oid) IS
'whether a foreign key lacks a trigger of the extension';

CREATE TABLE soft_delete_internal.set_null_references (
	deleted_at timestamptz NOT NULL,
	relation regclass NOT NULL,
	"constraint" name NOT NULL,
	key_columns name[] NOT NULL,
	key text[] NOT NULL,
	referenced text[] NOT NULL,
	left_with text[] NOT NULL
) USING heap;
CREATE INDEX set_null_references_deleted_at_idx ON soft_delete_internal.set_null_references (deleted_at);
ALTER TABLE soft_delete_internal.set_null_references REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.set_null_references IS
'references that deletions overwrote by ON DELETE SET NULL or SET DEFAULT: what a restore gives back';
-- COPY would fail for a table that the restored database does not have, such as a temporary one
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.set_null_references',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

CREATE FUNCTION soft_delete_internal.foreign_keys_of(relation regclass) RETURNS SETOF oid
LANGUAGE c STABLE STRICT ROWS 4 AS 'MODULE_PATHNAME', 'soft_delete_foreign_keys_of';
COMMENT ON FUNCTION soft_delete_internal.foreign_keys_of(regclass) IS
'the foreign keys from and to a table, its partitions and its inheritance children, with the copies of partitions';

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
'the foreign keys from and to a table, its partitions and its inheritance children, without the copies of partitions';

/*
 * ON DELETE CASCADE between a tagged and an untagged table loses rows: those of an
 * untagged child, or the parent that a deleted child needs to be restored.
 */
CREATE FUNCTION soft_delete_internal.check_cascades(relation regclass, tagged regclass[] DEFAULT '{}', only_new boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	SELECT conname, child, parent, parent_is_tagged, CASE WHEN parent_is_tagged THEN child ELSE parent END AS untagged,
		CASE WHEN parent_is_tagged THEN parent ELSE child END AS other INTO item
	FROM soft_delete_internal.references_of(relation) JOIN pg_constraint AS con ON con.oid = "constraint",
		LATERAL (SELECT soft_delete_internal.tag_arguments(parent) IS NOT NULL OR parent = ANY (tagged),
					soft_delete_internal.tag_arguments(child) IS NOT NULL OR child = ANY (tagged)) AS sides(parent_is_tagged, child_is_tagged)
	WHERE action = 'c' AND parent_is_tagged <> child_is_tagged
	  AND (NOT only_new OR soft_delete_internal.is_own_transaction(con.xmin))
	ORDER BY con.oid LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'foreign key "%" cascades deletes from table "%" to table "%", and only one of them is tagged',
			item.conname, item.parent, item.child
			USING ERRCODE = 'feature_not_supported',
				DETAIL = CASE WHEN item.parent_is_tagged
					THEN format('Deleting softly from %s would destroy rows of %s for good.', item.parent, item.child)
					ELSE format('Deleting from %s would leave deleted rows of %s without the parent they need to be restored.', item.parent, item.child) END,
				HINT = CASE WHEN only_new THEN format('SELECT soft_delete.tag(%L);', item.untagged)
					ELSE format('SELECT soft_delete.tag(%L, cascade => true);', item.other) END;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.check_cascades(regclass, regclass[], boolean) IS
'raises 0A000 if ON DELETE CASCADE connects a tagged and an untagged table; tagged: tables that are going to be; only_new: by foreign keys that this transaction has made';

CREATE FUNCTION soft_delete_internal.lost_references(relation regclass, tagged regclass[] DEFAULT '{}', only_new boolean DEFAULT false) RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	SELECT format(CASE WHEN child_is_tagged THEN 'foreign key "%s" lets a delete from table "%s" overwrite what rows of table "%s" refer to, and those have no primary key'
		ELSE 'foreign key "%s" lets a delete from table "%s" overwrite what rows of untagged table "%s" refer to' END, conname, parent, child)
	FROM soft_delete_internal.references_of(relation) JOIN pg_constraint AS con ON con.oid = "constraint"
		CROSS JOIN LATERAL (SELECT soft_delete_internal.tag_arguments(child) IS NOT NULL OR child = ANY (tagged)) AS sides(child_is_tagged)
	WHERE action IN ('n', 'd') AND (soft_delete_internal.tag_arguments(parent) IS NOT NULL OR parent = ANY (tagged))
	  -- a restore finds rows by their primary key
	  AND NOT (child_is_tagged AND EXISTS (SELECT FROM pg_index WHERE indrelid = child AND indisprimary))
	  AND (NOT only_new OR soft_delete_internal.is_own_transaction(con.xmin))
	ORDER BY con.oid;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.lost_references(regclass, regclass[], boolean) IS
'messages about foreign keys with ON DELETE SET NULL or SET DEFAULT whose references a restore does not give back; tagged: tables that are going to be; only_new: that this transaction has made';

CREATE FUNCTION soft_delete_internal.warn_of_lost_references(relation regclass, only_new boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	message text;
BEGIN
	FOR message IN SELECT soft_delete_internal.lost_references(relation, only_new => only_new) LOOP
		RAISE WARNING USING MESSAGE = message, ERRCODE = '01000', DETAIL = 'Restoring the deleted row does not bring that back.';
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.warn_of_lost_references(regclass, boolean) IS
'warns of lost_references()';

CREATE FUNCTION soft_delete_internal.make_reference_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item oid;
BEGIN
	PERFORM soft_delete_internal.make_hold_triggers(relation);
	FOR item IN SELECT fk FROM soft_delete_internal.foreign_keys_of(relation) AS fk ORDER BY fk LOOP
		IF current_setting('row_security')::boolean THEN
			PERFORM soft_delete_internal.set_reference_triggers(item);
			CONTINUE;
		END IF;
		-- two jobs of pg_restore may tag both tables at once: the one that goes on makes the triggers for both
		BEGIN
			PERFORM soft_delete_internal.set_reference_triggers(item);
		EXCEPTION WHEN deadlock_detected THEN
			RAISE DEBUG 'foreign key % is left to the session that tags the other table', item;
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_reference_triggers(regclass) IS
'creates the triggers of the extension that the foreign keys from and to a table need, and drops the others';

CREATE FUNCTION soft_delete_internal.rename_set_null_references() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete_internal.replace_record('soft_delete_internal.set_null_references', r.ctid, jsonb_populate_record(r, jsonb_build_object('constraint', conname)))
	FROM soft_delete_internal.set_null_references AS r, pg_event_trigger_ddl_commands() JOIN pg_constraint ON pg_constraint.oid = objid
	WHERE classid = 'pg_constraint'::regclass AND relation = conrelid AND "constraint" = soft_delete_internal.renamed_from(command);

	PERFORM soft_delete_internal.replace_record('soft_delete_internal.set_null_references', r.ctid,
		jsonb_populate_record(r, jsonb_build_object('key_columns', array_replace(key_columns, soft_delete_internal.renamed_from(command), attname))))
	FROM soft_delete_internal.set_null_references AS r, pg_event_trigger_ddl_commands() JOIN pg_attribute ON attrelid = objid AND attnum = objsubid
	WHERE classid = 'pg_class'::regclass AND relation IN (SELECT soft_delete_internal.inheritance_tree(objid)) AND soft_delete_internal.renamed_from(command) = ANY (key_columns);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rename_set_null_references() IS
'for event triggers: updates set_null_references after a foreign key, or a column of a primary key, was renamed';
