-- A trigger function of ours that is attached to what it is not for, or called as it is not to be, refuses with a code
-- of its own, or lets the statement pass: no internal error, and no row of any table is lost or hidden by it.
SET client_min_messages = error;
CREATE ROLE regress_triggers;
CREATE SCHEMA triggers AUTHORIZATION regress_triggers;
SET ROLE regress_triggers;
SET search_path = triggers;
CREATE TABLE plain (id integer PRIMARY KEY, note text, deleted_at timestamptz);
CREATE TABLE tagged (id integer PRIMARY KEY, note text);
CREATE TABLE parted (id integer PRIMARY KEY, note text, deleted_at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted DEFAULT;
CREATE VIEW viewed AS SELECT * FROM plain;
SELECT soft_delete.tag('tagged');
INSERT INTO plain VALUES (1, 'a'), (2, 'b');
INSERT INTO tagged VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO parted VALUES (1, 'a'), (2, 'b');
DELETE FROM tagged WHERE id = 3;

-- ways to attach each function, as far as the server allows them: one in four, test/fuzz tries them all
CREATE TABLE ways AS
SELECT * FROM (SELECT proname, relation, format('CREATE TRIGGER %I %s %s ON %s FOR EACH %s EXECUTE FUNCTION %s.%I(%s)', name, timing, event, relation, level, schema, proname, arguments) AS command
	FROM (SELECT proname, pronamespace::regnamespace AS schema FROM pg_proc WHERE pronamespace IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace) AND prorettype = 'trigger'::regtype) AS ours,
		unnest('{plain,parted,viewed,tagged_deleted}'::text[]) AS relation,
		unnest('{BEFORE,AFTER,INSTEAD OF}'::text[]) AS timing,
		unnest('{INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) AS event,
		unnest('{ROW,STATEMENT}'::text[]) AS level,
		(VALUES ('zz', ''), ('a', '''deleted_at'', ''id'', ''nothing'', ''%s''')) AS a (name, arguments)
	WHERE (event <> 'TRUNCATE' OR level = 'STATEMENT' AND relation !~ 'view|_') AND (timing = 'INSTEAD OF') <= (relation ~ 'view|_' AND level = 'ROW')
	  AND (timing <> 'INSTEAD OF') <= (relation !~ 'view|_' OR level = 'STATEMENT')) AS every
WHERE hashtext(command) % 4 = 0;
CREATE TABLE seen (proname name, command text, statement text, state text);

CREATE FUNCTION use_trigger(proname name, command text, relation text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	statement text;
	states text[];
BEGIN
	BEGIN
		EXECUTE command;
		FOREACH statement IN ARRAY ARRAY['INSERT INTO %s (id, note) VALUES (7, ''x'')', 'UPDATE %s SET note = ''y''', 'UPDATE %s SET deleted_at = NULL',
			'DELETE FROM %s', 'TRUNCATE %s']
		LOOP
			BEGIN
				EXECUTE format(statement, relation);
				states := states || '00000'::text;
			EXCEPTION WHEN others THEN
				states := states || SQLSTATE::text;
			END;
		END LOOP;
		RAISE EXCEPTION USING ERRCODE = 'ZZ000';
	EXCEPTION WHEN others THEN
		states := states || SQLSTATE::text;
	END;
	INSERT INTO seen SELECT use_trigger.proname, use_trigger.command, n, state FROM unnest(states) WITH ORDINALITY AS u (state, n);
END
$$;
SELECT count(*) > 100 AS enough, count(DISTINCT proname) > 8 AS all_of_them FROM ways, use_trigger(proname, command, relation);

-- internal errors, and those without a code
SELECT DISTINCT state, command FROM seen WHERE state ~ '^XX|^58|^P000';
-- some of them pass, and most refuse
SELECT count(*) FILTER (WHERE state = '00000') > 0 AS pass, count(*) FILTER (WHERE state = '39P01') > 50 AS refuse FROM seen;

-- a row of a plain table is there, or gone for good: no statement leaves it hidden
CREATE FUNCTION delete_by(command text, OUT hidden bigint, OUT live bigint) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	BEGIN
		DELETE FROM plain;
	EXCEPTION WHEN others THEN
	END;
	SELECT count(deleted_at), count(*) INTO hidden, live FROM plain;
	RAISE EXCEPTION USING ERRCODE = 'ZZ000';
EXCEPTION WHEN others THEN
END
$$;
SELECT command, hidden, live FROM ways, delete_by(command) WHERE relation = 'plain' AND command ~ 'DELETE ON' AND proname <> 'delete_row' AND (hidden > 0 OR live NOT IN (0, 2));
-- and nothing is left of all that
SELECT id, note FROM plain ORDER BY id;
SELECT id, note FROM tagged ORDER BY id;
SELECT id, note FROM tagged_deleted ORDER BY id;
SELECT id, note FROM parted ORDER BY id;
SELECT problem FROM soft_delete.check();

-- a view to which somebody attaches our functions is no bin for that
UPDATE tagged_deleted SET hold = 'why' WHERE id = 3;
CREATE VIEW beside AS SELECT id, note FROM tagged;
CREATE TRIGGER a AFTER UPDATE OR DELETE ON tagged_active FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.restore_row();
CREATE TRIGGER b AFTER DELETE ON tagged_active FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.purge_row();
CREATE TRIGGER a AFTER UPDATE ON beside FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.restore_row('a', 'b', 'c', 'd');
CREATE TRIGGER b INSTEAD OF UPDATE ON beside FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row('a', 'b', 'c', 'd');
CREATE TRIGGER c AFTER DELETE ON beside FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.purge_row();
RESET ROLE;
SELECT soft_delete_internal.bin_of('tagged'), soft_delete_internal.active_view_of('tagged'), soft_delete_internal.bin_columns('tagged');
SET ROLE regress_triggers;
UPDATE tagged_deleted SET deleted_at = NULL WHERE id = 3;
DELETE FROM tagged_deleted WHERE id = 3;
SELECT * FROM soft_delete.check();
RESET ROLE;
DELETE FROM soft_delete_internal.holds;
DROP SCHEMA triggers CASCADE;
DROP ROLE regress_triggers;
