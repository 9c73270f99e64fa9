-- Functions of the extension where they do not belong: as triggers of anything, with
-- arguments of any kind.  Each call ends well or with an error that says why; none is an
-- internal error (class XX), and the server lives.
CREATE ROLE regress_calls;
CREATE ROLE regress_calls_eve;
CREATE EXTENSION postgres_fdw;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO regress_calls;
SELECT current_database() AS database, current_setting('port') AS port, split_part(current_setting('unix_socket_directories'), ',', 1) AS socket \gset
CREATE SERVER regress_calls_loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname :'database', host :'socket', port :'port');
GRANT USAGE ON FOREIGN SERVER regress_calls_loop TO regress_calls;
SELECT current_user AS superuser \gset
CREATE USER MAPPING FOR regress_calls SERVER regress_calls_loop OPTIONS (user :'superuser', password_required 'false');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_calls_loop OPTIONS (user :'superuser');
CREATE SCHEMA calls AUTHORIZATION regress_calls;
GRANT USAGE ON SCHEMA calls TO regress_calls_eve;
SET search_path = calls;
\set QUIET off
\set VERBOSITY terse

SET ROLE regress_calls;
CREATE TABLE plain (id integer PRIMARY KEY, v text, deleted_at timestamptz, day date, gone timestamptz, made timestamptz GENERATED ALWAYS AS (deleted_at) STORED);
ALTER TABLE plain DROP COLUMN gone;
CREATE TABLE tagged (id integer PRIMARY KEY, v text);
CREATE TABLE parted (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL);
SELECT soft_delete.tag('tagged'), soft_delete.tag('parted'), soft_delete.tag('parent'), soft_delete.tag('child');
INSERT INTO tagged VALUES (1, 'a'), (2, 'b'), (3, 'c');
DELETE FROM tagged WHERE id < 3;
INSERT INTO tagged VALUES (1, 'A');
INSERT INTO parted VALUES (1, 'a'), (2, 'b');
DELETE FROM parted WHERE id = 1;
INSERT INTO plain VALUES (1, 'a');
CREATE TABLE far (id integer, v text, deleted_at timestamptz);
INSERT INTO far VALUES (1, 'a'), (2, 'b');
CREATE FOREIGN TABLE away (id integer, v text, deleted_at timestamptz) SERVER regress_calls_loop OPTIONS (schema_name 'calls', table_name 'far');
CREATE VIEW seen AS SELECT * FROM plain;
CREATE VIEW forged AS SELECT 0::oid AS tableoid, '(0,1)'::tid AS ctid, id, v, deleted_at FROM plain;
CREATE SEQUENCE numbers;
CREATE MATERIALIZED VIEW stored AS SELECT * FROM plain;
CREATE TYPE pair AS (a integer, b integer);
RESET ROLE;

-- not called as triggers at all
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE EXCEPTION 'undone' USING ERRCODE = 'UNDON';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE SQLSTATE WHEN 'UNDON' THEN 'done' WHEN 'XX000' THEN SQLSTATE || ' ' || SQLERRM ELSE SQLSTATE END;
END
$$;
GRANT EXECUTE ON FUNCTION try(text) TO PUBLIC;
CREATE VIEW functions AS SELECT p.oid::regprocedure AS function, proname, proargtypes, provariadic, prorettype::regtype AS returns
FROM pg_proc AS p JOIN pg_language AS l ON l.oid = prolang JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
WHERE extname = 'soft_delete' AND lanname = 'c';
SELECT function, try(format('SELECT %s', function)) FROM functions WHERE returns IN ('trigger'::regtype, 'event_trigger'::regtype) ORDER BY proname;

-- each trigger function in each place that the server gives a trigger, with any argument
CREATE TABLE outcomes (function text, relation text, outcome text);
GRANT INSERT ON outcomes TO PUBLIC;
GRANT SELECT ON functions TO PUBLIC;
SET ROLE regress_calls;
DO $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT function, place, format('CREATE TRIGGER "~~attack" %s %s ON %s FOR EACH %s EXECUTE FUNCTION %s(%s); %s',
			timing, event, place, level, replace(function::text, '()', ''), argument, format(statement, place)) AS attack
		FROM functions, unnest('{plain,tagged,parted,away,seen,forged,tagged_deleted}'::text[]) AS place,
			unnest('{BEFORE,AFTER,INSTEAD OF}'::text[]) AS timing, unnest('{ROW,STATEMENT}'::text[]) AS level,
			(VALUES ('INSERT', 'INSERT INTO %s (id, v) VALUES (7, ''x'')'), ('UPDATE', 'UPDATE %s SET v = ''y'''), ('DELETE', 'DELETE FROM %s'), ('TRUNCATE', 'TRUNCATE %s')) AS events(event, statement),
			unnest(ARRAY['', '''deleted_at''', '''no_such_column''', '''day''', '''made''', '''........pg.dropped.5........''', '''id'', ''v'', ''x'', ''deleted_at''']) AS argument
		WHERE returns = 'trigger'::regtype
		  -- what the server refuses
		  AND (timing = 'INSTEAD OF') = (place IN ('seen', 'forged', 'tagged_deleted') AND level = 'ROW') AND NOT (event = 'TRUNCATE' AND (level = 'ROW' OR place IN ('seen', 'forged', 'tagged_deleted')))
		  AND (argument = '' OR proname IN ('delete_row', 'restore_row') AND level = 'ROW' AND timing <> 'AFTER' AND event IN ('UPDATE', 'DELETE'))
	LOOP
		INSERT INTO calls.outcomes VALUES (item.function, item.place, calls.try(item.attack));
	END LOOP;
END
$$;
RESET ROLE;
-- (42809: the server itself refuses, which depends on the version)
SELECT function, relation, string_agg(DISTINCT outcome, ', ' ORDER BY outcome) FILTER (WHERE outcome <> '42809') FROM outcomes GROUP BY 1, 2 ORDER BY 1, 2;

-- a foreign table is none that can be tagged, and hinders nobody
SET ROLE regress_calls;
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON away FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at');
CREATE TRIGGER "~claim" BEFORE INSERT ON away FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key();
\set VERBOSITY default
DELETE FROM away WHERE id = 1;
\set VERBOSITY terse
INSERT INTO away VALUES (3, 'c', now());
SELECT id, v FROM away ORDER BY id;
SELECT soft_delete.tag('away');
SELECT relation FROM soft_delete.tables WHERE relation::text LIKE 'calls.%' OR relation::text IN ('away', 'tagged', 'parted', 'parent', 'child') ORDER BY relation::text;
SELECT count(*) FROM soft_delete.metrics WHERE labels ->> 'table' = 'away';
SELECT count(*) FROM soft_delete.preview_purge();
SELECT soft_delete.hold('away', 'x');
SELECT soft_delete.erase('away', '1');
RESET ROLE;
SELECT count(*) > 0 FROM soft_delete.tables;
SELECT count(*) > 0 FROM soft_delete.metrics;
SELECT count(*) FROM soft_delete.check() AS c WHERE c::text LIKE '%away%';
DROP FOREIGN TABLE away;

-- each function with each argument, by its owner, by who owns nothing and by a superuser
\set QUIET on
CREATE TABLE samples (type regtype, value text);
INSERT INTO samples SELECT type, value FROM (VALUES
	('tid[]'::regtype, '{"''{\"(0,1)\"}''"}'::text[]), ('oid[]'::regtype, '{"''{1259}''"}'::text[]), ('tid'::regtype, '{"''(0,0)''", "''(0,1)''", "''(0,65535)''", "''(4294967295,65535)''", "''(4294967294,1)''"}'::text[]),
	('text', '{"''''", "''x''", "''deleted_by''"}'), ('name', '{"''''", "''calls''", "''soft_delete_internal''", "''no_such''"}'),
	('jsonb', '{"''1''", "''{}''", "''[]''"}'), ('timestamptz', '{"''infinity''", "''-infinity''", "now()"}'), ('timestamp', '{"''infinity''", "''-infinity''", "localtimestamp"}'), ('boolean', '{true, false}'),
	('smallint', '{-32768, -1, 0, 1, 32767}'), ('integer', '{-2147483648, -1, 0, 1, 2147483647}'), ('bigint', '{"''-9223372036854775808''", -1, 0, 1, 9223372036854775807}'), ('interval', '{"''-1 day''", "''178000000 years''", "''0''"}'),
	('regclass[]', '{"''{}''", "''{0}''", "''{NULL}''", "''{4294967295,4294967295}''", "''{calls.tagged,calls.tagged}''", "''{calls.seen}''", "''[-1:0]={calls.tagged,calls.parted}''", "''{{calls.tagged},{calls.parted}}''"}'),
	('"any"', '{"''x''", "1, ''x''", "NULL, ''x''", "1, 2, ''x''", "1, NULL", "VARIADIC ''{1,x}''::text[]", "VARIADIC NULL::text[]", "VARIADIC ''{}''::text[]"}'),
	('text[]', '{"''{}''", "''{1}''", "''{NULL}''", "''{1,2}''", "''{{1},{2}}''"}'), ('timestamptz[]', '{"''{}''", "''{NULL}''", "''{infinity,-infinity}''"}'), ('timestamp[]', '{"''{}''", "''{NULL}''", "''{infinity,-infinity}''"}'), ('name[]', '{"''{}''", "''{NULL}''", "''{tagged}''"}'), ('xid8', '{"''0''", "''18446744073709551615''"}'), ('record', '{"ROW(1)", "ROW()", "NULL::calls.tagged"}'), ('xid', '{"''0''", "''4294967295''"}')) AS v(type, vals), unnest(vals) AS value;
INSERT INTO samples SELECT type, oid::oid::text FROM (VALUES ('regclass'::regtype), ('oid')) AS t(type),
	(SELECT 0::oid AS oid UNION ALL SELECT 4294967295 UNION ALL SELECT oid FROM pg_class WHERE relnamespace = 'calls'::regnamespace AND relname NOT IN ('outcomes', 'functions', 'samples')
	 UNION ALL SELECT reltoastrelid FROM pg_class WHERE oid = 'tagged'::regclass
	 UNION ALL SELECT unnest('{pg_class,pg_class_oid_index,pg_toast.pg_toast_2618,pg_stats,soft_delete_internal.ledger,soft_delete.tables}'::regclass[])
	 UNION ALL SELECT oid FROM pg_constraint WHERE conrelid IN ('child'::regclass, 'tagged'::regclass)) AS o;
INSERT INTO samples SELECT DISTINCT type, NULL FROM samples;
INSERT INTO samples VALUES ('internal', NULL), ('pg_ddl_command', NULL), ('pg_node_tree', NULL);
GRANT SELECT ON samples TO PUBLIC;
\set QUIET off
TRUNCATE outcomes;
CREATE PROCEDURE call_all() LANGUAGE plpgsql AS $$
DECLARE
	f record;
	statement text;
BEGIN
	FOR f IN SELECT * FROM calls.functions WHERE cardinality(proargtypes::oid[]) > 0 LOOP
		-- all combinations where there are few, else one argument at a time beside nulls
		FOR statement IN
			WITH RECURSIVE arguments(n, list, odd) AS (
				SELECT 0, '', 0
				UNION ALL
				SELECT n + 1, list || CASE n WHEN 0 THEN '' ELSE ', ' END || CASE type WHEN '"any"'::regtype THEN coalesce(value, 'NULL')
						ELSE format('%s%s::%s', CASE WHEN f.provariadic <> 0 AND n = cardinality(f.proargtypes::oid[]) - 1 THEN 'VARIADIC ' END, coalesce(value, 'NULL'), type) END, odd + (value IS NOT NULL)::integer
				FROM arguments, calls.samples
				WHERE n < cardinality(f.proargtypes::oid[]) AND type = f.proargtypes[n]
				  AND (cardinality(f.proargtypes::oid[]) < 4 OR odd + (value IS NOT NULL)::integer < 2
					   -- or all of them given, each by its first value
					   OR value = (SELECT min(s.value) FROM calls.samples AS s WHERE s.type = samples.type)))
			SELECT format('SELECT %s(%s)', substring(f.function::text FROM '^[^(]*'), list) FROM arguments WHERE n = cardinality(f.proargtypes::oid[])
		LOOP
			INSERT INTO calls.outcomes VALUES (f.function, statement, calls.try(statement));
		END LOOP;
	END LOOP;
END
$$;
SET client_min_messages = error;
CALL call_all();
SET ROLE regress_calls;
CALL call_all();
SET ROLE regress_calls_eve;
CALL call_all();
RESET ROLE;
RESET client_min_messages;
SELECT count(*) > 1000 FROM outcomes;
-- every function that takes anything was reached
SELECT function::text FROM functions WHERE cardinality(proargtypes::oid[]) > 0 EXCEPT SELECT function FROM outcomes;
SELECT * FROM outcomes WHERE outcome LIKE 'XX%' ORDER BY 1, 2 LIMIT 40;
-- nothing of type internal can be had in SQL
DO $$
BEGIN
	-- the error depends on the server's minor version
	BEGIN
		PERFORM soft_delete_internal.claims_key('tagged'::regclass::oid, ROW(1, 'x', NULL), NULL::internal);
	EXCEPTION WHEN cannot_coerce OR feature_not_supported THEN
		RAISE NOTICE 'nor a null';
	END;
	BEGIN
		PERFORM soft_delete.rows(NULL::internal);
	EXCEPTION WHEN cannot_coerce OR feature_not_supported THEN
		RAISE NOTICE 'nor a null';
	END;
END
$$;
SELECT soft_delete_internal.claims_key('tagged'::regclass::oid, ROW(1, 'x', NULL), 0);

-- a command of the extension's own that never comes leaves the next one the user's: the tag follows it
CREATE TABLE followed (id integer PRIMARY KEY);
SELECT soft_delete.tag('followed');
DO $$
BEGIN
	BEGIN
		PERFORM soft_delete_internal.alter_as_owner('followed', 'no command');
	EXCEPTION WHEN syntax_error THEN
		RAISE NOTICE '%', SQLERRM;
	END;
	ALTER TABLE followed RENAME deleted_at TO gone_at;
END $$;
SELECT (soft_delete_internal.tag_arguments('followed'))[1];
DROP TABLE followed;

-- a view that is taken for the bin, whose columns have the names of the table's, and other types or none of its key
SET ROLE regress_calls;
CREATE TABLE keyed (id integer PRIMARY KEY, code varchar(3) UNIQUE, v text);
SELECT soft_delete.tag('keyed');
INSERT INTO keyed VALUES (1, 'abc', 'a');
DELETE FROM keyed;
CREATE VIEW other_type AS SELECT id, 4096::bigint AS code, deleted_at, stored_in AS tableoid, stored_place AS ctid FROM keyed_deleted;
CREATE VIEW no_length AS SELECT v, ''::varchar AS code, deleted_at, stored_in AS tableoid, stored_place AS ctid FROM keyed_deleted;
CREATE TRIGGER a INSTEAD OF UPDATE ON other_type FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row();
CREATE TRIGGER b AFTER UPDATE ON other_type FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin();
CREATE TRIGGER a INSTEAD OF UPDATE ON no_length FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row();
CREATE TRIGGER b AFTER UPDATE ON no_length FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin();
\set VERBOSITY default
UPDATE other_type SET deleted_at = NULL, code = 4097;
UPDATE no_length SET v = 'b';
UPDATE no_length SET deleted_at = NULL, code = 'long';
\set VERBOSITY terse
UPDATE no_length SET deleted_at = NULL, code = 'abd';
SELECT * FROM keyed;
RESET ROLE;

-- all is as it was
SET ROLE regress_calls;
SELECT id, v FROM tagged ORDER BY id;
SELECT id, v FROM tagged_deleted ORDER BY id;
SELECT id, v FROM parted_deleted ORDER BY id;
SELECT id, v FROM plain;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA calls CASCADE;
DROP SERVER regress_calls_loop CASCADE;
DROP EXTENSION postgres_fdw;
DROP ROLE regress_calls, regress_calls_eve;
