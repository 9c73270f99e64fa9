-- The extension's functions are known by membership: under another name or in another
-- schema they are the same, and where one is taken out of the extension, statements on
-- tagged tables fail rather than show deleted rows.
SELECT current_database() AS old \gset
CREATE ROLE regress_names;
CREATE DATABASE regress_names_new;
\c regress_names_new
SET client_min_messages = warning;
CREATE EXTENSION soft_delete;
CREATE SCHEMA names AUTHORIZATION regress_names;
CREATE SCHEMA elsewhere;
GRANT USAGE ON SCHEMA elsewhere TO PUBLIC;
SET ROLE regress_names;
SET search_path = names;
\set QUIET off
\set VERBOSITY terse
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE t (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL, v text);
SELECT soft_delete.tag('parent'), soft_delete.tag('t');
INSERT INTO parent VALUES (1), (2);
INSERT INTO t VALUES (1, 1, 'deleted'), (2, 1, 'live'), (3, 2, 'live');
DELETE FROM t WHERE id = 1;
RESET ROLE;

-- what every statement sees of the table, and what is left of it
CREATE FUNCTION names.probe() RETURNS TABLE (statement text, outcome text) LANGUAGE plpgsql AS $$
DECLARE
	rows bigint;
BEGIN
	FOREACH statement IN ARRAY ARRAY['SELECT FROM names.t', 'INSERT INTO names.t VALUES (9, 2, ''x'')', 'INSERT INTO names.t VALUES (1, 2, ''x'')', 'UPDATE names.t SET v = v', 'UPDATE names.t SET id = id + 10',
		'UPDATE names.t SET deleted_at = now()', 'DELETE FROM names.t', 'DELETE FROM names.parent WHERE id = 1', 'TRUNCATE names.t', 'SELECT FROM names.t TABLESAMPLE soft_delete.rows(''all'')', 'SELECT FROM names.t_deleted', 'UPDATE names.t_deleted SET deleted_at = NULL',
		'COPY names.t TO ''/dev/null''', 'CREATE UNIQUE INDEX ON names.t (v)', 'SELECT FROM pg_stats WHERE tablename = ''t''']
	LOOP
		BEGIN
			EXECUTE statement;
			GET DIAGNOSTICS rows = ROW_COUNT;
			outcome := rows || ' rows';
			-- nothing was destroyed
			RAISE EXCEPTION 'undone' USING ERRCODE = 'UNDON';
		EXCEPTION WHEN OTHERS THEN
			IF SQLSTATE <> 'UNDON' THEN
				outcome := SQLSTATE || ' ' || SQLERRM;
			END IF;
		END;
		RETURN NEXT;
	END LOOP;
END
$$;
CREATE TABLE names.expected AS SELECT * FROM names.probe();
SELECT * FROM names.expected;

-- renamed, or moved: the same
CREATE VIEW names.looked_up AS
SELECT p.oid::regprocedure AS function, proname, s.name, s.schema, s.arguments
FROM (VALUES ('soft_delete', 'delete_row', ''), ('soft_delete', 'rows', 'internal'), ('soft_delete_internal', 'shows_tombstones', 'oid'), ('soft_delete', 'admits_tombstone', 'oid'),
	('soft_delete_internal', 'wants_row', 'text, boolean'), ('soft_delete_internal', 'check_parent', ''), ('soft_delete_internal', 'on_update_key', ''), ('soft_delete_internal', 'record_set_null', ''),
	('soft_delete', 'restore_row', ''), ('soft_delete', 'finish_bin', ''), ('soft_delete', 'claim_key', ''), ('soft_delete_internal', 'claims_key', 'oid, record, internal'), ('soft_delete', 'guard_truncate', ''),
	('soft_delete_internal', 'shows_statistics', 'oid')) AS s(schema, name, arguments)
	-- three have the C symbol that triggers of older versions call
	JOIN pg_proc AS p ON p.prosrc = 'soft_delete_' || CASE s.name WHEN 'check_parent' THEN 'check_reference' WHEN 'on_update_key' THEN 'follow_key' WHEN 'record_set_null' THEN 'note_cut' ELSE s.name END;
SELECT count(*) FROM names.looked_up;
CREATE PROCEDURE names.change(make text, undo text) LANGUAGE plpgsql AS $$
DECLARE
	f record;
	item record;
BEGIN
	FOR f IN SELECT * FROM names.looked_up ORDER BY name LOOP
		EXECUTE format(make, f.schema, f.name, f.arguments);
		FOR item IN SELECT p.* FROM names.probe() AS p EXCEPT SELECT * FROM names.expected ORDER BY 1 LOOP
			RAISE INFO '%: %: %', f.name, item.statement, item.outcome;
		END LOOP;
		EXECUTE format(undo, f.schema, f.name, f.arguments);
	END LOOP;
END
$$;
CALL names.change('ALTER FUNCTION %1$I.%2$I(%3$s) RENAME TO x', 'ALTER FUNCTION %1$I.x(%3$s) RENAME TO %2$I');
CALL names.change('ALTER FUNCTION %1$I.%2$I(%3$s) SET SCHEMA elsewhere', 'ALTER FUNCTION elsewhere.%2$I(%3$s) SET SCHEMA %1$I');
-- taken out: what needs it fails, and no deleted row is shown
-- (sessions that know a function go on with it; a change of any function has them look again)
CALL names.change('ALTER EXTENSION soft_delete DROP FUNCTION %1$I.%2$I(%3$s); ALTER FUNCTION soft_delete_internal.load() VOLATILE', 'ALTER EXTENSION soft_delete ADD FUNCTION %1$I.%2$I(%3$s)');
SELECT * FROM names.probe() EXCEPT SELECT * FROM names.expected;
SELECT id, v FROM names.t ORDER BY id;

-- the schemas keep their names, or anybody could make others of these names
ALTER SCHEMA soft_delete RENAME TO x;
ALTER SCHEMA soft_delete_internal RENAME TO x;
ALTER EXTENSION soft_delete SET SCHEMA elsewhere;
ALTER SCHEMA elsewhere RENAME TO soft_delete_elsewhere;
\c :old
DROP DATABASE regress_names_new;
DROP ROLE regress_names;
