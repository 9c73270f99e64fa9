-- A tag that destroys but reports no row, as one that people write themselves reports none,
-- for each table that comes: test/clients/run --self-test
CREATE FUNCTION delete_uncounted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() > 1 THEN
		RETURN OLD;
	END IF;
	EXECUTE format('DELETE FROM %s WHERE ctid = %L', TG_RELID::regclass, OLD.ctid);
	RETURN NULL;
END
$$;

CREATE FUNCTION tag_uncounted() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	made regclass;
BEGIN
	FOR made IN SELECT objid FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' AND schema_name = 'public' LOOP
		EXECUTE format('CREATE TRIGGER "~tag" BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION delete_uncounted()', made);
	END LOOP;
END
$$;

CREATE EVENT TRIGGER tag_uncounted ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION tag_uncounted();
