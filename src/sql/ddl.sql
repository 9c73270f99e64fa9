/*
 * DDL is followed in the same command
 *
 * One event trigger per event calls what each concern has to do.  Where nothing
 * is tagged that is one look at an index.  They run as whoever runs the DDL.
 * What needs more rights is security definer, takes no arguments and reads from
 * the event what to do, so it does nothing for who calls it by hand.
 */

CREATE FUNCTION soft_delete.changed_relations() RETURNS regclass[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(DISTINCT relation), '{}')
	FROM pg_event_trigger_ddl_commands()
		LEFT JOIN pg_trigger ON classid = 'pg_trigger'::regclass AND pg_trigger.oid = objid
		LEFT JOIN pg_constraint ON classid = 'pg_constraint'::regclass AND pg_constraint.oid = objid
		LEFT JOIN pg_index ON classid = 'pg_class'::regclass AND indexrelid = objid
		JOIN pg_class ON pg_class.oid = coalesce(tgrelid, conrelid, indrelid, objid)
			AND classid IN ('pg_class'::regclass, 'pg_trigger'::regclass, 'pg_constraint'::regclass),
		CAST(pg_class.oid AS regclass) AS relation
$$;
COMMENT ON FUNCTION soft_delete.changed_relations() IS
'for event triggers: the relations that a command has made or changed, by their triggers, constraints and indexes too';

CREATE FUNCTION soft_delete.follow_ddl() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	changed regclass[];
	callers text;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_trigger'::regclass
				   AND refclassid = 'pg_proc'::regclass AND refobjid = 'soft_delete.delete_row()'::regprocedure)
	   AND soft_delete.current_tagged_schemas() IS NULL THEN
		RETURN;
	END IF;
	-- tag() and untag() know what they do
	GET DIAGNOSTICS callers = PG_CONTEXT;
	IF callers ~ 'soft_delete\.((un)?tag_table|(prepare|join|leave)_partition)\(' THEN
		RETURN;
	END IF;

	IF TG_TAG = 'ALTER TYPE' THEN
		PERFORM soft_delete.follow_labels();
		RETURN;
	END IF;
	PERFORM soft_delete.follow_partitions();
	PERFORM soft_delete.follow_schemas();
	changed := soft_delete.changed_relations();
	PERFORM soft_delete.follow_references(changed,
		-- what restores a dump makes tags and foreign keys in any order
		check_new => TG_TAG <> 'CREATE TRIGGER' AND current_setting('row_security')::boolean);
	PERFORM soft_delete.follow_displaced(changed);

	changed := ARRAY(SELECT DISTINCT member FROM unnest(changed) AS c, soft_delete.family(c) AS member
					 WHERE soft_delete.tag_arguments(member) IS NOT NULL);
	IF changed <> '{}' THEN
		PERFORM soft_delete.rename_stand_ins();
		PERFORM soft_delete.bind_stand_ins(member) FROM unnest(changed) AS member;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_ddl() IS
'event trigger that lets foreign keys, indexes and deleted rows follow a command';

CREATE EVENT TRIGGER soft_delete_ddl ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA', 'CREATE SCHEMA',
				 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER INDEX', 'ALTER SCHEMA', 'CREATE TRIGGER', 'ALTER TYPE')
	EXECUTE FUNCTION soft_delete.follow_ddl();
COMMENT ON EVENT TRIGGER soft_delete_ddl IS
'follows what a command does to tagged tables';

CREATE FUNCTION soft_delete.follow_drops() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete.forget_dropped();
	IF TG_TAG IN ('DROP SCHEMA', 'DROP OWNED') THEN
		PERFORM soft_delete.forget_schemas();
	END IF;
	IF TG_TAG IN ('DROP INDEX', 'ALTER TABLE') THEN
		PERFORM soft_delete.drop_stand_ins();
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_drops() IS
'event trigger that follows what is dropped from tagged tables, or with them';

CREATE EVENT TRIGGER soft_delete_drops ON sql_drop
	WHEN TAG IN ('ALTER TABLE', 'DROP TABLE', 'DROP INDEX', 'DROP SCHEMA', 'DROP TYPE', 'DROP DOMAIN', 'DROP OWNED', 'DROP EXTENSION')
	EXECUTE FUNCTION soft_delete.follow_drops();
COMMENT ON EVENT TRIGGER soft_delete_drops IS
'follows what is dropped from tagged tables, or with them';
