/*
 * DDL is followed in the same command
 *
 * One event trigger per event calls what each concern has to do.  Where nothing
 * is tagged that is is_used(), and for tables that have nothing to do with what
 * is, it ends with what src/concern.c finds out.  They run with the rights of the
 * extension's owner, as all that src/entry.c enters.
 */

CREATE FUNCTION soft_delete_internal.changed_relations() RETURNS regclass[]
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_changed_relations';
COMMENT ON FUNCTION soft_delete_internal.changed_relations() IS
'for event triggers: the relations that a command has made or changed, by their triggers, constraints and indexes too';

CREATE FUNCTION soft_delete_internal.concern_tags(relations regclass[]) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_concern_tags';
COMMENT ON FUNCTION soft_delete_internal.concern_tags(regclass[]) IS
'whether any of some relations may be tagged, a view of a tagged table, or at one end of its foreign keys';

CREATE FUNCTION soft_delete_internal.drops_concern_tags() RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_drops_concern_tags';
COMMENT ON FUNCTION soft_delete_internal.drops_concern_tags() IS
'for event triggers: whether anything that is dropped may have to do with a tag, or with what is kept of a table';

CREATE FUNCTION soft_delete_internal.follow_tagged(member regclass, tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete_internal.bind_stand_ins(member);
	IF tag IN ('CREATE TRIGGER', 'ALTER TRIGGER') THEN
		PERFORM soft_delete_internal.bind_views(member);
		IF tag = 'ALTER TRIGGER' THEN
			PERFORM soft_delete_internal.check_trigger_names(member);
		END IF;
		PERFORM soft_delete_internal.check_triggers(member);
	ELSIF tag IN ('ALTER TABLE', 'ALTER TYPE') THEN
		PERFORM soft_delete_internal.follow_constraints(member);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_tagged(regclass, text) IS
'lets what belongs to a tagged table follow a command';

CREATE FUNCTION soft_delete_internal.follow_cuts() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE soft_delete_internal.cut_references SET "constraint" = conname
	FROM pg_event_trigger_ddl_commands() JOIN pg_constraint ON pg_constraint.oid = objid
	WHERE classid = 'pg_constraint'::regclass AND relation = conrelid AND "constraint" = soft_delete_internal.renamed_from(command);

	UPDATE soft_delete_internal.cut_references SET key_columns = array_replace(key_columns, soft_delete_internal.renamed_from(command), attname)
	FROM pg_event_trigger_ddl_commands() JOIN pg_attribute ON attrelid = objid AND attnum = objsubid
	WHERE classid = 'pg_class'::regclass AND relation IN (SELECT soft_delete_internal.family(objid)) AND soft_delete_internal.renamed_from(command) = ANY (key_columns);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_cuts() IS
'for event triggers: has cut references follow ALTER TABLE ... RENAME of their foreign key, or of a column of the primary key';

CREATE FUNCTION soft_delete_internal.follow_ddl(tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET max_parallel_workers_per_gather = 0 -- for what is asked of the catalogs, a worker takes longer to start
AS $$
DECLARE
	changed regclass[];
	tagged regclass[];
	-- what restores a dump makes tags and foreign keys in any order, and disables triggers on purpose
	restores boolean := NOT current_setting('row_security')::boolean;
BEGIN
	-- the one that is gone may have been the only tag
	IF tag = 'CREATE TRIGGER' AND NOT restores THEN
		PERFORM soft_delete_internal.check_replaced_triggers();
	END IF;
	IF NOT soft_delete_internal.is_used() THEN
		RETURN;
	END IF;
	changed := soft_delete_internal.changed_relations();
	IF tag NOT IN ('ALTER SCHEMA', 'ALTER TYPE') AND soft_delete_internal.current_tagged_schemas() IS NULL
	   AND NOT soft_delete_internal.concern_tags(changed) THEN
		RETURN;
	END IF;
	IF tag = 'ALTER SCHEMA' THEN
		PERFORM soft_delete_internal.follow_retention();
	END IF;
	PERFORM soft_delete_internal.follow_partitions();
	PERFORM soft_delete_internal.follow_schemas();
	IF tag = 'ALTER TYPE' THEN
		PERFORM soft_delete_internal.follow_labels();
		changed := ARRAY(SELECT pg_class.oid FROM pg_type JOIN pg_class ON reloftype = pg_type.oid WHERE typrelid = ANY (changed));
	END IF;
	IF tag = 'CREATE TRIGGER' THEN
		changed := changed || ARRAY(SELECT soft_delete_internal.tables_of_bins(changed));
	END IF;
	-- what has no triggers has neither a tag nor foreign keys
	IF tag <> 'ALTER TYPE' AND NOT EXISTS (SELECT FROM pg_class WHERE oid = ANY (changed) AND (relhastriggers OR relhassubclass)) THEN
		RETURN;
	END IF;
	tagged := ARRAY(SELECT DISTINCT member FROM unnest(changed) AS c, soft_delete_internal.family(c) AS member
					WHERE soft_delete_internal.tag_arguments(member) IS NOT NULL ORDER BY member);

	-- first the name of the tombstone column, for who reads the table must know it
	IF tag IN ('ALTER TABLE', 'ALTER TYPE') THEN
		PERFORM soft_delete_internal.follow_tombstone(member) FROM unnest(tagged) AS member;
	END IF;
	PERFORM soft_delete_internal.follow_references(changed, check_new => tag <> 'CREATE TRIGGER' AND NOT restores);
	PERFORM soft_delete_internal.follow_displaced(changed);
	IF tag = 'ALTER TABLE' THEN
		PERFORM soft_delete_internal.follow_cuts();
	END IF;
	IF tagged <> '{}' THEN
		PERFORM soft_delete_internal.rename_stand_ins();
		PERFORM soft_delete_internal.follow_tagged(member, tag) FROM unnest(tagged) AS member;
		IF tag = 'ALTER TABLE' AND NOT restores THEN
			PERFORM soft_delete_internal.warn_of_disabled_tag(c) FROM unnest(changed) AS c;
		END IF;
	END IF;
	-- nothing in a dump renames a label
	IF tag = 'ALTER TYPE' OR (tag = 'ALTER TABLE' AND NOT restores) THEN
		PERFORM soft_delete_internal.check_held_keys(CASE tag WHEN 'ALTER TYPE' THEN tagged || soft_delete_internal.held_by_types(soft_delete_internal.altered_types()) ELSE tagged END);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_ddl(text) IS
'lets foreign keys, indexes and deleted rows follow a command with that tag';

CREATE EVENT TRIGGER soft_delete_ddl ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA', 'CREATE SCHEMA',
				 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER INDEX', 'ALTER SCHEMA', 'CREATE TRIGGER', 'ALTER TRIGGER', 'ALTER TYPE')
	EXECUTE FUNCTION soft_delete_internal.follow_ddl();
COMMENT ON EVENT TRIGGER soft_delete_ddl IS
'follows what a command does to tagged tables';

CREATE FUNCTION soft_delete_internal.follow_drops(tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET max_parallel_workers_per_gather = 0 -- for what is asked of the catalogs, a worker takes longer to start
AS $$
BEGIN
	IF NOT soft_delete_internal.is_used() OR NOT soft_delete_internal.drops_concern_tags() THEN
		RETURN;
	END IF;
	-- what restores a dump may drop one by one what was there before
	IF tag IN ('DROP TRIGGER', 'ALTER TABLE', 'ALTER TYPE') AND current_setting('row_security')::boolean
	   AND NOT soft_delete_internal.command_is_own() THEN
		PERFORM soft_delete_internal.check_drops();
	END IF;
	PERFORM soft_delete_internal.forget_dropped();
	IF tag IN ('DROP SCHEMA', 'DROP OWNED') THEN
		PERFORM soft_delete_internal.forget_schemas();
	END IF;
	IF tag IN ('DROP INDEX', 'ALTER TABLE') THEN
		PERFORM soft_delete_internal.drop_stand_ins();
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_drops(text) IS
'follows what a command with that tag has dropped from tagged tables, or with them, and refuses to drop what makes them tagged';

CREATE EVENT TRIGGER soft_delete_drops ON sql_drop
	WHEN TAG IN ('ALTER TABLE', 'ALTER TYPE', 'DROP TABLE', 'DROP INDEX', 'DROP TRIGGER', 'DROP SCHEMA', 'DROP TYPE', 'DROP DOMAIN', 'DROP COLLATION', 'DROP FUNCTION', 'DROP OWNED', 'DROP EXTENSION')
	EXECUTE FUNCTION soft_delete_internal.follow_drops();
COMMENT ON EVENT TRIGGER soft_delete_drops IS
'follows what is dropped from tagged tables, or with them';
