-- Names of 63 bytes, of characters of several bytes and of quotes, and times at the ends of
-- time: what works with short ones works with these.
SET client_min_messages = warning;
\set VERBOSITY terse
SELECT repeat('"', 63) AS q, repeat('ä', 31) || '.' AS m, repeat('X', 62) || '"' AS x \gset
CREATE SCHEMA :"q";
CREATE SCHEMA :"m";
CREATE SCHEMA :"x";
SET search_path = :"q";
-- each kind of table, in each schema, goes to the next one and back
CREATE TABLE :"m" (id integer PRIMARY KEY, :"x" text UNIQUE, :"q" text);
CREATE TABLE :"x" (id integer PRIMARY KEY, :"m" integer);
SELECT soft_delete.tag(quote_ident(:'m')) IS NOT NULL AS in_place;
SELECT soft_delete.tag(quote_ident(:'x'), deleted_at => :'q', storage => 'aside_monthly') IS NOT NULL AS aside;
INSERT INTO :"m" VALUES (1, 'a', 'b'), (2, 'b', 'c');
INSERT INTO :"x" VALUES (1, 1), (2, 2);
DELETE FROM :"m" WHERE id = 1;
DELETE FROM :"x" WHERE id = 1;
INSERT INTO :"m" VALUES (1, 'a', 'again');
ALTER TABLE :"m" SET SCHEMA :"m";
ALTER TABLE :"x" SET SCHEMA :"m";
ALTER TABLE :"m".:"x" SET SCHEMA :"x";
ALTER TABLE :"x".:"x" RENAME TO :"q";
ALTER TABLE :"x".:"q" ADD COLUMN "a""b" text;
SELECT bin.relnamespace = c.relnamespace AS bin_is_there, kept.relnamespace = c.relnamespace AS companion_is_there, deleted_rows + displaced_rows AS deleted
FROM soft_delete.tables AS t JOIN pg_class AS c ON c.oid = t.relation JOIN pg_class AS bin ON bin.oid = t.bin JOIN pg_class AS kept ON kept.oid = t.companion
ORDER BY t.storage;
SELECT relation::text <> '', severity, problem FROM soft_delete.check() WHERE severity <> 'notice';
SELECT soft_delete.repair(relation) FROM soft_delete.tables;
-- a bin and a companion that are missing are made in the schema of the table
ALTER TABLE :"x".:"q" RENAME TO t;
ALTER EVENT TRIGGER soft_delete_drops DISABLE;
SET session_replication_role = replica;
SELECT format('DROP VIEW %s', bin) AS command FROM soft_delete.tables WHERE storage = 'aside' \gexec
RESET session_replication_role;
ALTER EVENT TRIGGER soft_delete_drops ENABLE;
SELECT soft_delete.repair(relation) FROM soft_delete.tables WHERE storage = 'aside';
SELECT count(*) AS bins FROM soft_delete.tables WHERE bin IS NOT NULL;
-- storage changes there, with the companion in another schema, too
SELECT soft_delete.tag(relation, deleted_at => 'gone', storage => 'aside') IS NOT NULL AS aside FROM soft_delete.tables WHERE storage = 'in_place';
SELECT soft_delete.tag(relation, deleted_at => 'gone', storage => 'in_place') IS NOT NULL AS in_place FROM soft_delete.tables ORDER BY relation LIMIT 1;
CREATE TABLE :"x".other (id integer PRIMARY KEY);
SELECT soft_delete.tag(format('%I.other', :'x')::regclass, views => :'q') IS NOT NULL AS in_place;
INSERT INTO :"x".other VALUES (1);
DELETE FROM :"x".other;
SELECT soft_delete.tag(format('%I.other', :'x')::regclass, storage => 'aside') IS NOT NULL AS aside;
SELECT relation FROM soft_delete.tables WHERE bin IS NULL OR companion IS NULL;
SELECT soft_delete.untag(relation, tombstones => 'purge') FROM soft_delete.tables;
DROP SCHEMA :"q", :"m", :"x" CASCADE;

-- a restore of many rows is recorded in fields that a dump can have
CREATE SCHEMA lengths;
SET search_path = lengths;
CREATE TABLE many (id integer PRIMARY KEY);
SELECT soft_delete.tag('many') IS NOT NULL AS tagged;
INSERT INTO many SELECT generate_series(1, 100001);
DELETE FROM many;
UPDATE many_deleted SET deleted_at = NULL;
SELECT max(cardinality(key_hashes)) AS most, sum(cardinality(key_hashes)) AS hashes, sum(rows) AS rows FROM soft_delete_internal.events WHERE table_name = 'lengths.many' AND event = 'restored';
SELECT event, rows FROM soft_delete.events WHERE relation = 'lengths.many' ORDER BY event;
SELECT deleted, restored FROM soft_delete.deletions ORDER BY deleted_at DESC LIMIT 1;
SELECT (SELECT count(*) FROM soft_delete.history('many', '1')) AS first, (SELECT count(*) FROM soft_delete.history('many', '100001')) AS last;
DROP SCHEMA lengths CASCADE;

-- dates that are no timestamps, and times that have no time zone: of deleted rows of an application
CREATE SCHEMA lengths;
SET search_path = lengths;
CREATE TABLE days (id integer PRIMARY KEY, gone date);
CREATE TABLE times (id integer PRIMARY KEY, gone timestamp);
CREATE TABLE zones (id integer PRIMARY KEY, gone timestamptz);
INSERT INTO days VALUES (1, '5874897-12-31'), (2, '4714-11-24 BC'), (3, 'infinity'), (4, '-infinity'), (5, '2000-01-01'), (6, NULL);
INSERT INTO times VALUES (1, '294276-12-31 23:59:59'), (2, '4714-11-24 00:00:00 BC'), (3, 'infinity'), (4, '-infinity'), (5, '2000-01-01'), (6, NULL);
INSERT INTO zones VALUES (1, '294276-12-31 23:59:59+00'), (2, '4714-11-24 00:00:00+00 BC'), (3, 'infinity'), (4, '-infinity'), (5, '2000-01-01'), (6, NULL);
SELECT soft_delete.tag('days', bridge => 'gone=Pacific/Kiritimati') IS NOT NULL AND soft_delete.tag('times', bridge => 'gone=Pacific/Kiritimati') IS NOT NULL
	AND soft_delete.tag('zones', storage => 'aside', bridge => 'gone') IS NOT NULL AS tagged;
SELECT id FROM days_deleted ORDER BY id;
SELECT id FROM times_deleted ORDER BY id;
SELECT id FROM zones_deleted ORDER BY id;
UPDATE days SET gone = '5874897-12-31' WHERE id = 3;
UPDATE times SET gone = '4714-11-24 00:00:00 BC' WHERE id = 3;
UPDATE days SET gone = NULL WHERE gone IS NOT NULL;
SELECT count(*) FROM days;
SELECT count(*) FROM zones;

-- a stamp at the end of time, which a maintenance session can write
SET session_replication_role = replica;
SET row_security = off;
CREATE TABLE late (id integer PRIMARY KEY);
INSERT INTO late VALUES (1), (2), (3);
SELECT soft_delete.tag('late') IS NOT NULL AS tagged;
UPDATE late SET deleted_at = 'infinity' WHERE id = 1;
UPDATE late SET deleted_at = '-infinity' WHERE id = 2;
RESET row_security;
RESET session_replication_role;
SELECT id, deleted_at FROM late_deleted ORDER BY id;
SELECT deleted_rows FROM soft_delete.tables WHERE relation = 'late'::regclass;
SELECT soft_delete.untag('late');
SELECT soft_delete.move_aside('late');
SELECT count(*) FROM late_tombstones;
SELECT soft_delete.tag('late', storage => 'aside') IS NOT NULL AS tagged;
SELECT id FROM late ORDER BY id;
SELECT id, deleted_at FROM late_deleted ORDER BY id;
UPDATE late_deleted SET deleted_at = NULL;
SELECT id FROM late ORDER BY id;
DROP SCHEMA lengths CASCADE;

-- statistics of any size, as a restored dump has them
CREATE SCHEMA lengths;
SET search_path = lengths;
CREATE TABLE counted (id integer PRIMARY KEY, gone boolean);
SELECT statement FROM soft_delete.plan('counted', bridge => 'gone') AS statement WHERE statement LIKE '%adopt%';
INSERT INTO counted SELECT generate_series(1, 10);
CREATE PROCEDURE count_as(pages integer, tuples real) LANGUAGE sql AS $$
	UPDATE pg_class SET relpages = pages, reltuples = tuples WHERE oid IN ('lengths.counted'::regclass, to_regclass('lengths.counted_pkey'))
$$;
CALL count_as(2147483647, 1);
SELECT statement FROM soft_delete.plan('counted', bridge => 'gone') AS statement WHERE statement LIKE '%adopt%';
CALL count_as(1, 'infinity');
SELECT statement FROM soft_delete.plan('counted', bridge => 'gone') AS statement WHERE statement LIKE '%adopt%';
CALL count_as(1, 'nan');
SELECT statement FROM soft_delete.plan('counted', bridge => 'gone') AS statement WHERE statement LIKE '%adopt%';
SELECT soft_delete.tag('counted') IS NOT NULL AS tagged;
DELETE FROM counted WHERE id = 1;
CALL count_as(1, 'infinity');
SELECT live_rows, deleted_rows, graveyard_share, index_bytes_saved FROM soft_delete.tables WHERE relation = 'counted'::regclass;
SELECT problem FROM soft_delete.check() WHERE relation = 'counted'::regclass;
SELECT effect FROM soft_delete.preview_tag('counted') WHERE severity <> 'action';
CALL count_as(2147483647, 'nan');
SELECT live_rows, deleted_rows, graveyard_share, index_bytes_saved FROM soft_delete.tables WHERE relation = 'counted'::regclass;
SELECT problem FROM soft_delete.check() WHERE relation = 'counted'::regclass;
DROP SCHEMA lengths CASCADE;

-- of what a session says of itself, some is recorded, and whole characters
CREATE ROLE regress_lengths;
CREATE TABLE public.said (id integer PRIMARY KEY);
SELECT soft_delete.tag('public.said') IS NOT NULL AS tagged;
INSERT INTO public.said VALUES (1);
GRANT SELECT, DELETE ON public.said TO regress_lengths;
GRANT SELECT, UPDATE ON public.said_deleted TO regress_lengths;
SET ROLE regress_lengths;
SELECT length(set_config('soft_delete.reason', repeat('\', 100000), false)), length(set_config('soft_delete.actor', 'x' || repeat('é', 10000), false));
DELETE FROM public.said;
UPDATE public.said_deleted SET deleted_at = NULL;
SELECT event, octet_length(reason), octet_length(actor), right(actor, 2) FROM soft_delete.events ORDER BY happened_at;
RESET soft_delete.reason;
RESET soft_delete.actor;
-- nor is an error of an owner's function, which does not end a purge of the tables of others
RESET ROLE;
CREATE SCHEMA lengths AUTHORIZATION regress_lengths;
SET ROLE regress_lengths;
CREATE FUNCTION lengths.fails() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('lengths.fails', true) = 'on' THEN
		RAISE EXCEPTION '%', repeat('x', 20000) USING DETAIL = repeat('d', 20000), HINT = repeat('h', 20000);
	END IF;
	RETURN true;
END
$$;
CREATE TABLE lengths.failing (id integer PRIMARY KEY);
CREATE TABLE lengths.child (id integer REFERENCES lengths.failing);
CREATE TABLE lengths.plain (id integer PRIMARY KEY);
SELECT soft_delete.tag('lengths.failing') IS NOT NULL AND soft_delete.tag('lengths.plain') IS NOT NULL AS tagged;
INSERT INTO lengths.failing VALUES (1);
INSERT INTO lengths.plain VALUES (1);
DELETE FROM lengths.failing;
DELETE FROM lengths.plain;
SELECT max(deleted_at) AS stamp FROM lengths.failing_deleted \gset
CREATE INDEX ON lengths.failing (deleted_at) WHERE lengths.fails();
CREATE INDEX ON lengths.child (id) WHERE lengths.fails();
SELECT soft_delete.retain_schema('lengths', '0');
SELECT soft_delete.tag_schema('lengths', bridge => repeat('x', 10001));
SELECT soft_delete.tag_schema('lengths', exempt => array_fill('x'::name, ARRAY[10001]));
RESET ROLE;
\c -
SET client_min_messages = error;
SET lengths.fails = on;
SELECT relation FROM soft_delete.deletion_rows(:'stamp');
CALL soft_delete.purge();
SELECT relation, rows, length(error) FROM soft_delete.purge_log WHERE relation LIKE 'lengths.%' ORDER BY relation;
RESET lengths.fails;
DROP SCHEMA lengths CASCADE;
DELETE FROM soft_delete_internal.purge_log WHERE relation LIKE 'lengths.%';
DROP TABLE public.said;
DROP ROLE regress_lengths;
