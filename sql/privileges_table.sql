-- Who may do what: the table in docs/security.md is what this prints, which test/t/readme.pl looks at.  A cell is "yes" where a role
-- gets something, "" where it gets permission denied or finds nothing, and anything else is an error that is not due.
SET client_min_messages = warning;
CREATE ROLE regress_super SUPERUSER;
CREATE ROLE regress_owner;
CREATE ROLE regress_writer;			-- SELECT, INSERT, UPDATE, DELETE on the table
CREATE ROLE regress_clerk;			-- SELECT, UPDATE (deleted_at, hold), DELETE on the bin
CREATE ROLE regress_sampler;		-- SELECT on the table, EXECUTE on rows()
CREATE ROLE regress_viewer;			-- SELECT on a view of the owner
CREATE ROLE regress_auditor IN ROLE pg_read_all_data;
CREATE ROLE regress_nobody;
CREATE SCHEMA rights AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA rights TO PUBLIC;
GRANT EXECUTE ON FUNCTION soft_delete.rows(internal) TO regress_sampler;

SET ROLE regress_owner;
SET search_path = rights;
CREATE TABLE t (id integer PRIMARY KEY, note text);
CREATE TABLE plain (id integer PRIMARY KEY);
CREATE TABLE untouched (id integer PRIMARY KEY);
CREATE VIEW seen AS SELECT id, note FROM t;
SELECT soft_delete.tag('t');
INSERT INTO t VALUES (1, 'live'), (2, 'deleted'), (3, 'deleted'), (4, 'erased');
DELETE FROM t WHERE id = 2;
DELETE FROM t WHERE id = 3;
INSERT INTO t VALUES (3, 'live');			-- and the other one steps aside
SELECT soft_delete.erase('t', '4');
SELECT soft_delete.tag('untouched');
INSERT INTO untouched VALUES (1);
DELETE FROM untouched;
CALL soft_delete.purge('untouched', older_than => '0');
SELECT soft_delete.untag('untouched');
SELECT soft_delete.hold('t', 'once'), soft_delete.hold('t', NULL);
ANALYZE t;
SELECT soft_delete.tag('plain');
SELECT soft_delete.hold('plain', 'why');
GRANT SELECT, INSERT, UPDATE, DELETE ON t TO regress_writer;
GRANT SELECT, UPDATE (deleted_at, hold), DELETE ON t_deleted TO regress_clerk;
GRANT SELECT ON t TO regress_sampler;
GRANT SELECT ON seen TO regress_viewer;
SELECT deleted_at AS stamp FROM t_deleted WHERE id = 2 \gset
RESET ROLE;

CREATE FUNCTION rights.try(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found bigint;
BEGIN
	PERFORM set_config('role', 'regress_' || role, true);
	EXECUTE statement;
	GET DIAGNOSTICS found = ROW_COUNT;
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = CASE WHEN found > 0 THEN 'yes' ELSE '' END;
EXCEPTION
	WHEN insufficient_privilege OR undefined_object THEN
		RETURN '';
	WHEN others THEN
		RETURN CASE SQLSTATE WHEN 'ZZ000' THEN SQLERRM ELSE SQLSTATE || ' ' || SQLERRM END;
END
$$;

CREATE TEMP TABLE action (n integer GENERATED ALWAYS AS IDENTITY, action text, statement text);
INSERT INTO action (action, statement) VALUES
	('read live rows', 'SELECT * FROM t'),
	('read them by the active view', 'SELECT * FROM t_active'),
	('read them by a view of the owner', 'SELECT * FROM seen'),
	('change them, upsert', 'INSERT INTO t VALUES (1, ''new'') ON CONFLICT (id) DO UPDATE SET note = excluded.note'),
	('insert the key of a deleted row', 'INSERT INTO t VALUES (2, ''new'')'),
	('`DELETE`', 'DELETE FROM t WHERE id = 1'),
	('`TRUNCATE`', 'TRUNCATE t; SELECT 1'),
	('set `actor` and `reason`', 'SELECT set_config(''soft_delete.actor'', ''me'', true), set_config(''soft_delete.reason'', ''why'', true)'),
	('read the bin', 'SELECT * FROM t_deleted'),
	('read deleted rows by `rows(''all'')`', 'SELECT * FROM t TABLESAMPLE soft_delete.rows(''all'') WHERE note = ''deleted'''),
	('set `show_deleted`', 'SELECT set_config(''soft_delete.show_deleted'', ''on'', true)'),
	('read deleted rows under `row_security = off`', 'SET LOCAL row_security = off; SELECT * FROM t WHERE note = ''deleted'''),
	('read the statistics', 'SELECT * FROM pg_stats WHERE schemaname = ''rights'' AND tablename = ''t'''),
	('read its companion', 'SELECT * FROM t_tombstones'),
	('see who deleted: `deletions`', format('SELECT * FROM soft_delete.deletions WHERE deleted_at = %L', :'stamp')),
	('count what a deletion took: `deletion_rows()`', format('SELECT * FROM soft_delete.deletion_rows(%L)', :'stamp')),
	('see the figures: `tables`', 'SELECT * FROM soft_delete.tables WHERE relation = ''t''::regclass'),
	('see what became of it: `events`', format('SELECT * FROM soft_delete.events WHERE deleted_at = %L', :'stamp')),
	('ask for a row: `history()`', 'SELECT * FROM soft_delete.history(''t'', ''2'')'),
	('see holds: `holds`', 'SELECT * FROM soft_delete.holds'),
	('see lifted holds: `lifted_holds`', 'SELECT * FROM soft_delete.lifted_holds'),
	('see purges: `purge_log`', 'SELECT * FROM soft_delete.purge_log'),
	('see erasures: `erasures`', 'SELECT * FROM soft_delete.erasures'),
	('write to those by hand', 'UPDATE soft_delete_internal.ledger SET reason = ''none'''),
	('restore by the bin', 'UPDATE t_deleted SET deleted_at = NULL WHERE id = 2'),
	('restore by `undo()`', format('SELECT 1 WHERE soft_delete.undo(%L) > 0', :'stamp')),
	('`preview()`', format('SELECT * FROM soft_delete.preview(%L)', :'stamp')),
	('purge by the bin', 'DELETE FROM t_deleted WHERE id = 2'),
	('`purge()`, `preview_purge()`', 'SELECT * FROM soft_delete.preview_purge(''t'', older_than => ''0'')'),
	('hold and lift by the bin', 'UPDATE t_deleted SET hold = ''why'' WHERE id = 2'),
	('`hold()`', 'SELECT soft_delete.hold(''t'', ''why'')'),
	('`hold_deletion()`', format('SELECT 1 WHERE soft_delete.hold_deletion(%L, ''why'') > 0', :'stamp')),
	('`erase()`', 'SELECT soft_delete.erase(''t'', ''1'')'),
	('`retain()`', 'SELECT soft_delete.retain(''t'', ''1 year'')'),
	('`preview_tag()`', 'SELECT * FROM soft_delete.preview_tag(''untouched'')'),
	('`tag()`', 'SELECT soft_delete.tag(''untouched'')'),
	('`untag()`', 'SELECT soft_delete.untag(''t'', tombstones => ''purge'')'),
	('`tag_schema()`', 'SELECT soft_delete.tag_schema(''rights'')'),
	('set `truncate`', 'SELECT set_config(''soft_delete.truncate'', ''hard'', true)');

\pset format unaligned
\pset tuples_only
\pset fieldsep ' | '
SELECT '| ' || action, rights.try('super', statement), rights.try('owner', statement), rights.try('writer', statement), rights.try('clerk', statement),
	rights.try('sampler', statement), rights.try('viewer', statement), rights.try('auditor', statement), rights.try('nobody', statement) || ' |'
FROM action ORDER BY n;
\pset format aligned
\pset tuples_only off

-- purge() cannot be tried there, for it commits
\set VERBOSITY terse
SET client_min_messages = notice;
SET ROLE regress_nobody;
CALL soft_delete.purge('t', older_than => '0');
CALL soft_delete.purge(older_than => '0');
SET ROLE regress_clerk;
CALL soft_delete.purge('t', older_than => '0');
SET ROLE regress_writer;
CALL soft_delete.purge('t', older_than => '0');
SET ROLE regress_owner;
SELECT count(*) FROM t_deleted;
CALL soft_delete.purge('t', older_than => '0');
SELECT count(*) FROM t_deleted;

SET client_min_messages = warning;
SELECT soft_delete.hold('plain', NULL);
RESET ROLE;
DROP SCHEMA rights CASCADE;
DROP TABLE action;
TRUNCATE soft_delete_internal.lifted_holds, soft_delete_internal.purge_log, soft_delete_internal.erasures;
REVOKE EXECUTE ON FUNCTION soft_delete.rows(internal) FROM regress_sampler;
DROP ROLE regress_super, regress_owner, regress_writer, regress_clerk, regress_sampler, regress_viewer, regress_auditor, regress_nobody;
