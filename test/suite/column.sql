-- What tag_schema() shows an application: a column in each table of schema public, and nothing else
CREATE SCHEMA suite;
CREATE FUNCTION suite.add_column() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
	relation regclass;
BEGIN
	FOR relation IN
		SELECT DISTINCT pg_class.oid FROM pg_event_trigger_ddl_commands() JOIN pg_class ON pg_class.oid = objid
		WHERE classid = 'pg_class'::regclass AND relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND reloftype = 0
		  AND (command_tag <> 'ALTER TABLE' OR current_query() ~* '\mset\s+schema\M')
		  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid)
		ORDER BY 1
	LOOP
		EXECUTE format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS deleted_at timestamptz', relation);
	END LOOP;
END
$$;
CREATE EVENT TRIGGER suite ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
	EXECUTE FUNCTION suite.add_column();
GRANT USAGE ON SCHEMA suite TO PUBLIC;
SELECT format('ALTER TABLE %s ADD COLUMN deleted_at timestamptz', oid::regclass) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = oid)
\gexec
