/*
 * How a dump fills the tables of the extension that name relations.
 *
 * A row about a relation that the restored database does not have would end the COPY, and with
 * that all rows of others: the relation may be left out of the dump, be an extension's, or fail to
 * be made.  So delete/copy.c has COPY FROM of the table insert into the view here instead.
 */
CREATE FUNCTION soft_delete_internal.restore_record() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF to_regclass(NEW.relation) IS NULL AND NEW.relation IS NOT NULL THEN
		RAISE WARNING 'a row of %.% is left out: relation "%" does not exist', TG_TABLE_SCHEMA, TG_ARGV[0], NEW.relation USING ERRCODE = '01000';
		RETURN NULL;
	END IF;
	EXECUTE format('INSERT INTO soft_delete_internal.%I SELECT * FROM jsonb_populate_record(NULL::soft_delete_internal.%1$I, $1) ON CONFLICT DO NOTHING', TG_ARGV[0]) USING to_jsonb(NEW);
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.restore_record() IS
'INSTEAD OF trigger of the views that dumps fill: inserts the row into the table of that name, or warns of a relation that does not exist';

CREATE VIEW soft_delete_internal.restored_holds WITH (security_barrier) AS
SELECT relation::text, deleted_at, key, hold, held_by, held_at FROM soft_delete_internal.holds;
COMMENT ON VIEW soft_delete_internal.restored_holds IS 'what COPY FROM of the holds inserts into';
CREATE TRIGGER restore INSTEAD OF INSERT ON soft_delete_internal.restored_holds
	FOR EACH ROW EXECUTE FUNCTION soft_delete_internal.restore_record('holds');
COMMENT ON TRIGGER restore ON soft_delete_internal.restored_holds IS 'leaves out what is about no relation';

CREATE VIEW soft_delete_internal.restored_retention WITH (security_barrier) AS
SELECT relation::text, schema, retain, former, shortened_at FROM soft_delete_internal.retention;
COMMENT ON VIEW soft_delete_internal.restored_retention IS 'what COPY FROM of the retention inserts into';
CREATE TRIGGER restore INSTEAD OF INSERT ON soft_delete_internal.restored_retention
	FOR EACH ROW EXECUTE FUNCTION soft_delete_internal.restore_record('retention');
COMMENT ON TRIGGER restore ON soft_delete_internal.restored_retention IS 'leaves out what is about no relation';

CREATE VIEW soft_delete_internal.restored_truncations WITH (security_barrier) AS
SELECT deleted_at, relation::text FROM soft_delete_internal.truncations;
COMMENT ON VIEW soft_delete_internal.restored_truncations IS 'what COPY FROM of the truncations inserts into';
CREATE TRIGGER restore INSTEAD OF INSERT ON soft_delete_internal.restored_truncations
	FOR EACH ROW EXECUTE FUNCTION soft_delete_internal.restore_record('truncations');
COMMENT ON TRIGGER restore ON soft_delete_internal.restored_truncations IS 'leaves out what is about no relation';

CREATE VIEW soft_delete_internal.restored_set_null_references WITH (security_barrier) AS
SELECT deleted_at, relation::text, "constraint", key_columns, key, referenced, left_with FROM soft_delete_internal.set_null_references;
COMMENT ON VIEW soft_delete_internal.restored_set_null_references IS 'what COPY FROM of the overwritten references inserts into';
CREATE TRIGGER restore INSTEAD OF INSERT ON soft_delete_internal.restored_set_null_references
	FOR EACH ROW EXECUTE FUNCTION soft_delete_internal.restore_record('set_null_references');
COMMENT ON TRIGGER restore ON soft_delete_internal.restored_set_null_references IS 'leaves out what is about no relation';
