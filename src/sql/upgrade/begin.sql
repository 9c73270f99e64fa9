/*
 * An upgrade runs the install script again, over what is there: the Makefile
 * makes each CREATE one that replaces, or that leaves a table be.  Before it goes
 * what nothing of the users' depends on; what stays moves to where it belongs now;
 * after it, what is left of the old version goes.  What a version needs by hand is
 * in a file of its own.  The test of upgrades compares the result with a fresh
 * install.
 */
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
	item text;
BEGIN
	-- first what would follow the rest
	FOR item IN
		SELECT format('DROP EVENT TRIGGER %I', evtname)
		FROM pg_depend JOIN pg_extension ON pg_extension.oid = refobjid JOIN pg_event_trigger ON pg_event_trigger.oid = objid
		WHERE classid = 'pg_event_trigger'::regclass AND refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'soft_delete'
	LOOP
		EXECUTE item;
	END LOOP;
END
$$;

CREATE SCHEMA soft_delete_internal;

DO $$
DECLARE
	item record;
BEGIN
	FOR item IN
		WITH members AS (
			SELECT classid, objid FROM pg_depend JOIN pg_extension ON pg_extension.oid = refobjid
			WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'soft_delete'
		)
		SELECT 2 AS n, format('DROP POLICY %I ON %s', polname, polrelid::regclass) AS goes, NULL AS stays
		FROM members JOIN pg_policy ON classid = 'pg_class'::regclass AND polrelid = objid
		UNION ALL
		SELECT 3, format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', oid::regclass), NULL
		FROM members JOIN pg_class ON classid = 'pg_class'::regclass AND oid = objid WHERE relkind = 'r'
		UNION ALL
		-- what users have made upon a view keeps it
		SELECT 4, format('DROP VIEW %s', oid::regclass), ''
		FROM members JOIN pg_class ON classid = 'pg_class'::regclass AND oid = objid WHERE relkind = 'v' AND relname NOT IN ('deletions')
		UNION ALL
		SELECT 7, format('ALTER TABLE %s SET SCHEMA soft_delete_internal', oid::regclass), NULL
		FROM members JOIN pg_class ON classid = 'pg_class'::regclass AND oid = objid WHERE relkind = 'r' AND relnamespace = 'soft_delete'::regnamespace
		UNION ALL
		-- triggers, bins and functions of users keep functions
		SELECT 6, format('DROP ROUTINE %s', pg_proc.oid::regprocedure),
			CASE WHEN new_name IS NOT NULL AND pronamespace = 'soft_delete'::regnamespace
				THEN format('ALTER FUNCTION soft_delete.%1$I() RENAME TO %2$I; ALTER FUNCTION soft_delete.%2$I() SET SCHEMA soft_delete_internal', proname, new_name) ELSE '' END
		FROM members JOIN pg_proc ON classid = 'pg_proc'::regclass AND pg_proc.oid = objid
			-- triggers of foreign keys call these
			LEFT JOIN (VALUES ('check_reference', 'check_parent'), ('follow_key', 'on_update_key'), ('note_cut', 'record_set_null')) AS moved(old_name, new_name)
				ON proname = old_name
		ORDER BY 1
	LOOP
		BEGIN
			EXECUTE item.goes;
		EXCEPTION WHEN dependent_objects_still_exist THEN
			IF item.stays <> '' THEN
				EXECUTE item.stays;
			ELSIF item.stays IS NULL THEN
				RAISE;
			END IF;
		END;
	END LOOP;
END
$$;

ALTER TABLE IF EXISTS soft_delete_internal.tagged_schemas ADD COLUMN IF NOT EXISTS storage text NOT NULL DEFAULT 'in_place' CHECK (storage IN ('in_place', 'aside', 'aside_monthly')), ADD COLUMN IF NOT EXISTS bridge text;
ALTER TABLE IF EXISTS soft_delete_internal.retention ADD COLUMN IF NOT EXISTS former interval, ADD COLUMN IF NOT EXISTS shortened_at timestamptz;
ALTER TABLE soft_delete_internal.ledger ADD COLUMN IF NOT EXISTS roleid oid NOT NULL DEFAULT 0;
ALTER TABLE soft_delete_internal.ledger ALTER COLUMN roleid DROP DEFAULT;
ALTER TABLE soft_delete_internal.ledger ADD COLUMN IF NOT EXISTS table_name text;
UPDATE soft_delete_internal.ledger SET roleid = pg_roles.oid FROM pg_roles WHERE rolname = deleted_by::name AND roleid = 0;
ALTER TABLE IF EXISTS soft_delete_internal.holds DROP CONSTRAINT IF EXISTS holds_relation_deleted_at_key_key;
DO $$
BEGIN
	-- a lifted hold belongs to the owner of the table that it was on
	IF to_regclass('soft_delete_internal.lifted_holds') IS NOT NULL THEN
		ALTER TABLE soft_delete_internal.lifted_holds ADD COLUMN IF NOT EXISTS owner text, ADD COLUMN IF NOT EXISTS roleid oid;
		UPDATE soft_delete_internal.lifted_holds AS l SET owner = rolname, roleid = pg_roles.oid
		FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN pg_roles ON pg_roles.oid = relowner
		WHERE l.roleid IS NULL AND l.relation = format('%I.%I', nspname, relname);
	END IF;
END
$$;

-- whose tables purges and erasures were of
DO $$
DECLARE
	item text;
BEGIN
	FOREACH item IN ARRAY '{purge_log,erasures}'::text[] LOOP
		CONTINUE WHEN to_regclass('soft_delete_internal.' || item) IS NULL;
		EXECUTE format('ALTER TABLE soft_delete_internal.%I ADD COLUMN IF NOT EXISTS owner text, ADD COLUMN IF NOT EXISTS roleid oid', item);
		EXECUTE format('UPDATE soft_delete_internal.%I SET owner = rolname, roleid = pg_roles.oid FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace '
					   'JOIN pg_roles ON pg_roles.oid = relowner WHERE roleid IS NULL AND relation = format(''%%I.%%I'', nspname, relname)', item);
	END LOOP;
END
$$;

-- the table that was called cut_references
DO $$
DECLARE
	item text;
BEGIN
	FOR item IN
		SELECT format('ALTER TABLE soft_delete_internal.cut_references RENAME CONSTRAINT %I TO %I', conname, replace(conname, 'cut_', 'set_null_'))
		FROM pg_constraint WHERE conrelid = to_regclass('soft_delete_internal.cut_references') AND starts_with(conname, 'cut_references_')
	LOOP
		EXECUTE item;
	END LOOP;
END
$$;
ALTER INDEX IF EXISTS soft_delete_internal.cut_references_deleted_at_idx RENAME TO set_null_references_deleted_at_idx;
ALTER TABLE IF EXISTS soft_delete_internal.cut_references RENAME TO set_null_references;
