/*
 * The extension itself: how it is loaded, updated and protected.
 */

CREATE FUNCTION soft_delete_internal.load() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_load';
COMMENT ON FUNCTION soft_delete_internal.load() IS
'loads the library into the session';

CREATE FUNCTION soft_delete_internal.keep_extension() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_keep_extension';
COMMENT ON FUNCTION soft_delete_internal.keep_extension() IS
'event trigger that refuses to drop the extension while tables are tagged, and tables with held rows';

CREATE FUNCTION soft_delete_internal.follow_extension() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_extension';
COMMENT ON FUNCTION soft_delete_internal.follow_extension() IS
'event trigger that brings tagged tables up to date after ALTER EXTENSION UPDATE, and restores what no dump has at the end of pg_upgrade';

/* From PostgreSQL 17 on a login event trigger loads the library into every session. */
CREATE FUNCTION soft_delete_internal.make_login_trigger() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF current_setting('server_version_num')::integer < 170000
	   OR EXISTS (SELECT FROM pg_event_trigger WHERE evtfoid = 'soft_delete_internal.load()'::regprocedure AND evtevent = 'login') THEN
		RETURN;
	END IF;
	CREATE EVENT TRIGGER soft_delete_login ON login EXECUTE FUNCTION soft_delete_internal.load();
	ALTER EVENT TRIGGER soft_delete_login ENABLE ALWAYS;
	COMMENT ON EVENT TRIGGER soft_delete_login IS 'loads soft_delete into every session';
	-- within CREATE EXTENSION it is a member already
	IF NOT EXISTS (SELECT FROM pg_depend JOIN pg_event_trigger e ON e.oid = objid
				   WHERE classid = 'pg_event_trigger'::regclass AND deptype = 'e' AND evtname = 'soft_delete_login') THEN
		ALTER EXTENSION soft_delete ADD EVENT TRIGGER soft_delete_login;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.make_login_trigger() IS
'creates the event trigger that loads the library at login, on PostgreSQL 17 and later';
SELECT soft_delete_internal.make_login_trigger();

CREATE FUNCTION soft_delete_internal.rebind(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete_internal.bind_companion(member) FROM soft_delete_internal.inheritance_tree(relation) AS member
	WHERE soft_delete_internal.own_companion(member) IS NOT NULL;
	IF NOT soft_delete_internal.is_aside(relation) THEN
		PERFORM soft_delete_internal.bind_views(relation);
	END IF;
	PERFORM soft_delete_internal.bind_stand_ins(member) FROM soft_delete_internal.inheritance_tree(relation) AS member;
	PERFORM soft_delete_internal.make_reference_triggers(relation);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.rebind(regclass) IS
'restores what no dump has: the triggers of the extension on foreign keys of a tagged table, and the dependencies of its views and indexes';

CREATE FUNCTION soft_delete_internal.repair(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bin regclass;
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.repair()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table must be given.';
	END IF;
	PERFORM soft_delete_internal.check_owner(relation);
	IF soft_delete_internal.sharded_bin(relation) IS NOT NULL THEN
		PERFORM soft_delete_internal.align_sharded(relation);
		PERFORM soft_delete_internal.rename_sharded_tag(relation);
		PERFORM soft_delete_internal.guard_partitions(relation);
		RETURN;
	END IF;
	IF soft_delete_internal.tag_arguments(relation) IS NULL THEN
		DELETE FROM soft_delete_internal.retention AS r WHERE r.relation = repair.relation;
		RETURN;
	END IF;
	IF soft_delete_internal.is_aside(relation) THEN
		PERFORM soft_delete_internal.repair_aside(relation);
	END IF;
	bin := soft_delete_internal.bin_of(relation);
	IF bin IS NOT NULL THEN
		PERFORM soft_delete_internal.make_bin_triggers(bin, soft_delete_internal.bin_columns(relation));
	END IF;
	PERFORM soft_delete_internal.rebind(relation);
	-- a hold on a deletion without rows holds nothing
	PERFORM soft_delete_internal.set_hold(h.relation, h.deleted_at, NULL)
	FROM soft_delete_internal.holds_without_rows(relation, (soft_delete_internal.tag_arguments(relation))[1]) AS h;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.repair(regclass) IS
'does soft_delete.repair()';

/*
 * pg_upgrade creates the members of the extension one by one, event triggers
 * last, and after each says ALTER EXTENSION ... ADD.  Tables that were tagged
 * without their help have views that are not bound.  The name makes this event
 * trigger the last one.  After ALTER EXTENSION UPDATE it updates all tagged tables.
 */
CREATE FUNCTION soft_delete_internal.follow_extension(tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_update boolean;
BEGIN
	SELECT bool_or(in_extension) INTO is_update FROM pg_event_trigger_ddl_commands();
	IF NOT EXISTS (SELECT FROM pg_event_trigger_ddl_commands() JOIN pg_extension ON oid = objid
				   WHERE classid = 'pg_extension'::regclass AND extname = 'soft_delete') THEN
		RETURN;
	END IF;

	PERFORM CASE WHEN is_update THEN soft_delete_internal.update_views(tgrelid) END, soft_delete_internal.rebind(tgrelid),
		CASE WHEN is_update THEN soft_delete_internal.replace_old_bin_index(tgrelid) END
	FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
	WHERE tgfoid = 'soft_delete.delete_row()'::regprocedure AND NOT pg_is_other_temp_schema(relnamespace)
	  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = tgrelid)
	  AND (is_update
		   OR NOT EXISTS (SELECT FROM pg_depend
						  WHERE classid = 'pg_class'::regclass AND objid = soft_delete_internal.bin_of(tgrelid)
							AND refclassid = 'pg_class'::regclass AND refobjid = tgrelid AND deptype = 'a'));
	PERFORM soft_delete_internal.make_login_trigger();
END
$$;
COMMENT ON FUNCTION soft_delete_internal.follow_extension(text) IS
'brings tagged tables up to date after ALTER EXTENSION UPDATE, and restores what no dump has at the end of pg_upgrade';

CREATE EVENT TRIGGER soft_delete_renew ON ddl_command_end
	WHEN TAG IN ('ALTER EXTENSION')
	EXECUTE FUNCTION soft_delete_internal.follow_extension();
ALTER EVENT TRIGGER soft_delete_renew ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER soft_delete_renew IS
'brings tagged tables up to date after ALTER EXTENSION UPDATE, and at the end of pg_upgrade';

CREATE EVENT TRIGGER soft_delete_keep ON ddl_command_start
	WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'DROP LANGUAGE', 'DROP TABLE', 'DROP TYPE')
	EXECUTE FUNCTION soft_delete_internal.keep_extension();
COMMENT ON EVENT TRIGGER soft_delete_keep IS
'refuses to drop the extension while tables are tagged, and tables with held rows';

/*
 * Predefined roles may write to all tables without a grant.  Triggers refuse that for
 * the tables of the extension.
 */
CREATE FUNCTION soft_delete_internal.refuse_write() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT pg_has_role(current_user, (SELECT extowner FROM pg_extension WHERE extname = 'soft_delete'), 'USAGE') THEN
		RAISE EXCEPTION 'permission denied for table %', TG_TABLE_NAME
			USING ERRCODE = 'insufficient_privilege', DETAIL = 'Only the extension itself and its owner write to its tables.';
	END IF;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.refuse_write() IS
'triggers of the tables of the extension: raises 42501 unless the extension or its owner writes to them';

DO $$
DECLARE
	relation regclass;
BEGIN
	FOR relation IN
		SELECT pg_class.oid FROM pg_catalog.pg_class WHERE relnamespace = 'soft_delete_internal'::regnamespace AND relkind = 'r' ORDER BY 1
	LOOP
		EXECUTE format('CREATE OR REPLACE TRIGGER refuse_write BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete_internal.refuse_write()', relation);
		EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_write', relation);
		EXECUTE format('COMMENT ON TRIGGER refuse_write ON %s IS ''nobody but the extension writes here''', relation);
		EXECUTE format('CREATE OR REPLACE TRIGGER refuse_applied BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW '
					   'WHEN (pg_catalog.current_setting(''session_replication_role'') OPERATOR(pg_catalog.=) ''replica'') EXECUTE FUNCTION soft_delete_internal.refuse_write()', relation);
		EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_applied', relation);
		EXECUTE format('COMMENT ON TRIGGER refuse_applied ON %s IS ''nor does a subscription of another role, which fires no trigger for statements''', relation);
	END LOOP;
END
$$;
