-- the companion of a table has months where its owner wants that, and a purge drops those that are due
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE regress_months;
CREATE ROLE regress_months_other;
CREATE SCHEMA aside_months AUTHORIZATION regress_months;
SET search_path = aside_months;
-- months of the past, with rows
CREATE PROCEDURE make_past(relation regclass, month text, n integer, first integer DEFAULT 1000) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = aside_months SET session_replication_role = replica SET row_security = off AS $$
BEGIN
	PERFORM soft_delete_internal.make_month(relation, soft_delete_internal.companion_of(relation), month), soft_delete_internal.bind_companion(relation);
	EXECUTE format('INSERT INTO %s_tombstones_%s SELECT %L, %s + i FROM generate_series(1, %s) AS i', relation, replace(month, '-', '_'), month || '-10 12:00 UTC', first, n);
END
$$;
CREATE FUNCTION places(bin regclass) RETURNS TABLE (place text, rows bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT replace(stored_in::regclass::text, to_char(now() AT TIME ZONE ''UTC'', ''YYYY_MM''), ''now''), count(*) FROM %s GROUP BY 1 ORDER BY 1', bin);
END
$$;
CREATE VIEW tables AS SELECT replace(replace(relname, to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'), 'now'), to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYY_MM'), 'next') AS name, relowner::regrole AS owner,
	relpersistence, relreplident, relnamespace::regnamespace AS schema, relacl FROM pg_class WHERE relname LIKE '%\_tombstones%' AND relkind = 'r' ORDER BY 1;
GRANT SELECT ON tables TO regress_months;
SET ROLE regress_months;
CREATE TABLE t (id integer PRIMARY KEY, a text);
SELECT soft_delete.tag('t', storage => 'monthly');
SELECT (SELECT count(*) FROM regexp_matches(made, 'for a month of deleted rows', 'g')) AS months FROM soft_delete.tag('t', storage => 'aside_monthly') AS made;
SELECT * FROM tables;
INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 10) AS i;
DELETE FROM t WHERE id <= 4;
SELECT * FROM places('t_deleted');
SELECT companion, deleted_rows, companion_bytes > 0 AS has_size FROM soft_delete.tables;
-- all that is done to a deleted row
UPDATE t_deleted SET deleted_at = NULL WHERE id = 2;
DELETE FROM t_deleted WHERE id = 1;
SELECT soft_delete.undo(max(deleted_at)) FROM t_deleted;
DELETE FROM t WHERE id = 3;
INSERT INTO t VALUES (3, 'other');
UPDATE t_deleted SET id = 33, deleted_at = NULL;
DELETE FROM t WHERE id = 33;
SELECT soft_delete.erase('t', 33);
TRUNCATE t;
SELECT * FROM places('t_deleted');
SELECT soft_delete.undo(max(deleted_at)) FROM t_deleted;
SELECT id FROM t ORDER BY id;

-- what is due goes with its month, and is counted as if each row had gone by itself
DELETE FROM t WHERE id <= 4;
RESET ROLE;
CALL make_past('t', '2020-01', 3);
CALL make_past('t', '2020-02', 2, 2000);
CALL make_past('t', '2020-03', 0);
SET ROLE regress_months;
SELECT soft_delete.retain('t', '1 year');
SELECT member, rows, held, referenced FROM soft_delete.preview_purge();
SELECT * FROM places('t_deleted');
CALL soft_delete.purge();
SELECT * FROM places('t_deleted');
SELECT name FROM tables;
SELECT rows, oldest AT TIME ZONE 'UTC' AS oldest, newest AT TIME ZONE 'UTC' AS newest, error FROM soft_delete.purge_log;
RESET ROLE;
SELECT deleted_at AT TIME ZONE 'UTC' AS deleted_at, rows, done_by FROM soft_delete_internal.events
WHERE event = 'purged' AND table_name LIKE 'aside_months.%' AND deleted_at < '2021-01-01' ORDER BY 1;
-- not what is not due, though it is in a month that is over
CALL make_past('t', '2020-01', 3);
SET row_security = off;
INSERT INTO t_tombstones_2020_01 VALUES (now() - interval '1 hour', 1500, 'young');
RESET row_security;
SET ROLE regress_months;
CALL soft_delete.purge();
SELECT * FROM places('t_deleted');
-- not what is held, nor what else is in its month, though that is purged
RESET ROLE;
CALL make_past('t', '2020-02', 3, 2000);
SET ROLE regress_months;
UPDATE t_deleted SET hold = 'case' WHERE id = 2001;
CALL soft_delete.purge();
SELECT * FROM places('t_deleted');
SELECT soft_delete.lift('t', 'case');
CALL soft_delete.purge();
SELECT * FROM places('t_deleted');
SELECT name FROM tables;

-- not what is referenced; a month of children goes first
CREATE TABLE c (id integer PRIMARY KEY, t_id integer REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
SELECT soft_delete.tag('c', storage => 'aside_monthly') IS NOT NULL AS is_tagged;
RESET ROLE;
CALL make_past('t', '2020-04', 3, 4000);
CALL make_past('c', '2020-04', 1, 4000);
SET row_security = off;
UPDATE c_tombstones SET t_id = 4002;
RESET row_security;
SET ROLE regress_months;
SELECT soft_delete.retain('c', NULL);
CALL soft_delete.purge();
SELECT id FROM t_deleted WHERE deleted_at < '2021-01-01';
SELECT soft_delete.retain('c', '1 year');
CALL soft_delete.purge();
SELECT id FROM t_deleted WHERE deleted_at < '2021-01-01';
SELECT name FROM tables;
-- cascades, and keys that change, in months
INSERT INTO c VALUES (1, 7), (2, 8);
DELETE FROM c WHERE id = 1;
UPDATE t SET id = 77 WHERE id = 7;
SELECT id, t_id FROM c_deleted;
DELETE FROM t WHERE id IN (77, 8);
UPDATE t_deleted SET deleted_at = NULL WHERE id = 8;
SELECT id, t_id FROM c;
DELETE FROM t WHERE id = 8;
INSERT INTO t VALUES (8, 'again');
INSERT INTO c VALUES (3, 8);
DELETE FROM t_deleted WHERE id = 8;
SELECT * FROM t JOIN c ON t_id = t.id;
SELECT * FROM soft_delete.check();

-- months follow their table
ALTER TABLE t ADD COLUMN b integer DEFAULT 3, ALTER COLUMN a TYPE varchar(20);
ALTER TABLE t RENAME COLUMN a TO "A";
ALTER TABLE t ADD COLUMN deleted_at text;
SELECT DISTINCT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid IN (SELECT oid FROM pg_class WHERE relname LIKE 't\_tombstones%' AND relkind = 'r') AND attnum > 0 AND NOT attisdropped GROUP BY attrelid;
DELETE FROM t WHERE id = 77;
SELECT id FROM t_deleted WHERE "A" IS NOT NULL ORDER BY id;
ALTER TABLE t SET UNLOGGED;
ALTER TABLE c SET UNLOGGED;
ALTER TABLE t SET UNLOGGED;
ALTER TABLE t RENAME TO u;
RESET ROLE;
GRANT ALL ON SCHEMA aside_months TO regress_months_other;
ALTER TABLE u OWNER TO regress_months_other;
SELECT * FROM tables;
ALTER TABLE u OWNER TO regress_months;
DO $$ BEGIN EXECUTE format('ALTER TABLE %s OWNER TO regress_months_other', (SELECT min(tableoid::regclass::text) FROM u_tombstones)); EXCEPTION WHEN feature_not_supported THEN RAISE NOTICE '%', SQLSTATE; END $$;
SET ROLE regress_months;
SELECT * FROM soft_delete.check();
-- nothing else is done to them
DO $$
DECLARE
	month regclass := (SELECT oid FROM pg_class WHERE relname LIKE 'u\_tombstones\_%' AND relkind = 'r' ORDER BY relname LIMIT 1);
	command text;
BEGIN
	FOREACH command IN ARRAY ARRAY['DROP TABLE %s', 'ALTER TABLE %s NO INHERIT u_tombstones', 'ALTER TABLE %s ADD CHECK (id > 0)', 'DROP TRIGGER "~soft_delete_companion" ON %s',
			'DELETE FROM %s', 'INSERT INTO %s (id) VALUES (1)', 'SELECT soft_delete.tag(%L)', 'ALTER TABLE %s DISABLE TRIGGER ALL'] LOOP
		BEGIN
			EXECUTE format(command, month);
			RAISE NOTICE 'allowed: %', command;
		EXCEPTION WHEN OTHERS THEN
			RAISE NOTICE '% %', SQLSTATE, replace(SQLERRM, month::text, 'month');
		END;
	END LOOP;
END
$$;
CREATE TABLE heir () INHERITS (u);
ALTER TABLE u DROP COLUMN deleted_at;
SELECT soft_delete.tag('u', deleted_at => 'deleted_at_by_delete', storage => 'in_place') IS NOT NULL AS is_in_place;
SELECT id FROM u_deleted ORDER BY id;
INSERT INTO u (id) VALUES (77);
DELETE FROM u WHERE id = 77;
SELECT id FROM u_deleted ORDER BY id;
DELETE FROM u_deleted WHERE id = 77;
DROP TABLE c;
SELECT soft_delete.tag('u', deleted_at => 'deleted_at_by_delete', storage => 'aside') IS NOT NULL AS is_aside;
SELECT id FROM u_deleted ORDER BY id;
SELECT soft_delete.untag('u', tombstones => 'keep');
SELECT count(*) FROM u;
SELECT name FROM tables;
-- a second tag() begins months, or ends them; what is in them stays
CREATE TABLE v (id integer PRIMARY KEY);
SELECT soft_delete.tag('v', storage => 'aside') IS NOT NULL AS is_tagged;
INSERT INTO v VALUES (1), (2), (3);
DELETE FROM v WHERE id = 1;
SELECT soft_delete.tag('v', storage => 'aside_monthly') IS NOT NULL AS is_tagged;
DELETE FROM v WHERE id = 2;
SELECT * FROM places('v_deleted');
SELECT soft_delete.tag('v', storage => 'aside') IS NULL AS is_tagged;
SELECT soft_delete.tag('v') IS NULL AS is_tagged;
DELETE FROM v WHERE id = 3;
SELECT * FROM places('v_deleted');
DROP TABLE v;
SELECT name FROM tables;
-- who cannot have them
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child () INHERITS (parent);
SELECT soft_delete.tag('parent', storage => 'aside_monthly');
SELECT soft_delete.tag('child', storage => 'aside_monthly');
CREATE TEMPORARY TABLE temp (id integer PRIMARY KEY);
SELECT soft_delete.tag('temp', storage => 'aside_monthly');
DROP TABLE temp;
CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10);
SELECT soft_delete.tag('parts', storage => 'aside_monthly') IS NOT NULL AS is_tagged;
INSERT INTO parts VALUES (1), (2);
DELETE FROM parts;
SELECT * FROM places('parts_deleted');
SELECT soft_delete.undo(max(deleted_at)) FROM parts_deleted;

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA aside_months CASCADE;
DROP ROLE regress_months, regress_months_other;
