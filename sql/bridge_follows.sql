-- What an application deletes and restores by a column of its own is deleted and restored, whatever the type of the column.
CREATE ROLE regress_bridge_follows;
CREATE SCHEMA bridge_follows AUTHORIZATION regress_bridge_follows;
SET ROLE regress_bridge_follows;
SET search_path = bridge_follows;
SET TimeZone = 'UTC';
CREATE TYPE state AS ENUM ('open', 'closed', 'gone');

CREATE TABLE kinds (name text, type text, deleted text, live text, bridge text);
INSERT INTO kinds VALUES
	('flag', 'boolean NOT NULL DEFAULT false', 'true', 'false', 'gone'),
	('null_flag', 'boolean', 'true', 'NULL', 'gone'),
	('number', 'integer DEFAULT 0', '1', '0', 'gone'),
	('small', 'smallint NOT NULL', '7', '0', 'gone=flag'),
	('seconds', 'bigint NOT NULL DEFAULT 0', 'extract(epoch FROM now())::bigint', '0', 'gone=seconds'),
	('few_seconds', 'integer', 'extract(epoch FROM now())::integer', 'NULL', 'gone=seconds'),
	('milliseconds', 'bigint', '(extract(epoch FROM now()) * 1000)::bigint', 'NULL', 'gone=milliseconds'),
	('nanoseconds', 'bigint', '(extract(epoch FROM now()) * 1000000000)::bigint', 'NULL', 'gone=nanoseconds'),
	('day', 'date', 'current_date', 'NULL', 'gone'),
	('time0', 'timestamp(0)', 'now()', 'NULL', 'gone'),
	('time3', 'timestamp(3)', 'now()', 'NULL', 'gone=America/New_York'),
	('time6', 'timestamp', 'now()', 'NULL', 'gone'),
	('zoned', 'timestamptz(3)', 'now()', 'NULL', 'gone'),
	('endless', 'timestamptz NOT NULL DEFAULT ''infinity''', 'now()', '''infinity''', 'gone'),
	('status', 'text NOT NULL DEFAULT ''new''', '''archived''', '''new''', 'gone=archived'),
	('short', 'varchar(8)', '''archived''', 'NULL', 'gone=archived'),
	('enum', 'state DEFAULT ''open''', '''gone''', '''open''', 'gone=gone'),
	('code', 'integer', '9', '1', 'gone=9');

CREATE FUNCTION story(k kinds) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	n integer;
	answer text;
BEGIN
	EXECUTE format('CREATE TABLE %I (id integer PRIMARY KEY, key text UNIQUE, gone %s)', k.name, k.type);
	EXECUTE format('CREATE TABLE %I (id integer PRIMARY KEY, parent integer REFERENCES %I ON DELETE CASCADE)', k.name || '_child', k.name);
	EXECUTE format('INSERT INTO %I VALUES (0, ''old'', %s), (1, ''a'', %s), (2, ''b'', %3$s)', k.name, k.deleted, k.live);
	EXECUTE format('INSERT INTO %I VALUES (10, 1), (20, 2)', k.name || '_child');
	PERFORM soft_delete.tag(k.name::regclass, cascade => true, bridge => k.bridge);
	EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM %I', k.name) INTO answer;
	RETURN NEXT 'live ' || answer;
	-- an application's deletion
	EXECUTE format('UPDATE %I SET gone = %s WHERE id = 1', k.name, k.deleted);
	GET DIAGNOSTICS n = ROW_COUNT;
	EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM %I', k.name) INTO answer;
	RETURN NEXT format('UPDATE %s, live %s', n, answer);
	EXECUTE format('SELECT concat(count(*), '' deleted, '', count(*) FILTER (WHERE d.deleted_at BETWEEN now() - interval ''2 days'' AND clock_timestamp()), '' of late'') FROM %I AS d', k.name || '_deleted') INTO answer;
	RETURN NEXT answer;
	EXECUTE format('SELECT count(*) FROM %I', k.name || '_child') INTO answer;
	RETURN NEXT 'children ' || answer;
	-- the key is free
	EXECUTE format('INSERT INTO %I (id, key, gone) VALUES (3, ''a'', %s)', k.name, k.live);
	EXECUTE format('DELETE FROM %I WHERE id = 3', k.name);
	EXECUTE format('SELECT bool_and(gone IS NOT NULL AND gone::text <> coalesce((%s)::text, '''')) FROM %I', k.live, k.name || '_deleted') INTO answer;
	RETURN NEXT 'DELETE says deleted ' || answer;
	-- an application's restore
	EXECUTE format('UPDATE %I SET gone = %s WHERE id = 1', k.name, k.live);
	GET DIAGNOSTICS n = ROW_COUNT;
	EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM %I', k.name) INTO answer;
	RETURN NEXT format('UPDATE %s, live %s', n, answer);
	EXECUTE format('SELECT count(*) FROM %I', k.name || '_child') INTO answer;
	RETURN NEXT 'children ' || answer;
	-- what comes back otherwise says live
	EXECUTE format('DELETE FROM %I WHERE id = 2', k.name);
	EXECUTE format('UPDATE %I SET deleted_at = NULL WHERE id = 2', k.name || '_deleted');
	EXECUTE format('SELECT string_agg(id || '':'' || coalesce(gone::text, ''null''), '','' ORDER BY id) FROM %I', k.name) INTO answer;
	RETURN NEXT 'live ' || answer;
	EXECUTE format('DELETE FROM %I WHERE id = 3', k.name || '_deleted');
	EXECUTE format('SELECT soft_delete.untag(%L, cascade => true, tombstones => ''keep'')', k.name);
	EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM %I WHERE gone IS NOT DISTINCT FROM %s', k.name, k.live) INTO answer;
	RETURN NEXT 'untagged, live ' || coalesce(answer, 'none');
END
$$;
SET client_min_messages = warning;
SELECT name, string_agg(what, '; ' ORDER BY n) AS story FROM kinds, LATERAL story(kinds) WITH ORDINALITY AS story(what, n) GROUP BY name ORDER BY name;

-- the time of a DELETE, as the application would have written it
CREATE TABLE t (id integer PRIMARY KEY, s bigint);
SELECT soft_delete.tag('t', bridge => 's=milliseconds');
INSERT INTO t VALUES (1);
DELETE FROM t;
SELECT abs(extract(epoch FROM deleted_at) * 1000 - s) < 2 AS is_stamp FROM t_deleted;
SET TimeZone = 'Europe/Berlin';
CREATE TABLE u (id integer PRIMARY KEY, at timestamp(0));
SELECT soft_delete.tag('u', bridge => 'at=Asia/Tokyo');
INSERT INTO u VALUES (1);
DELETE FROM u;
SELECT abs(extract(epoch FROM at - deleted_at AT TIME ZONE 'Asia/Tokyo')) <= 0.5 AS is_stamp FROM u_deleted;

-- a label of the enum gets another name, by who owns the type
RESET ROLE;
CREATE TYPE bridge_follows.life AS ENUM ('live', 'dead', 'other');
SET ROLE regress_bridge_follows;
CREATE TABLE lives (id integer PRIMARY KEY, life bridge_follows.life DEFAULT 'live');
CREATE TABLE lives_aside (id integer PRIMARY KEY, life bridge_follows.life DEFAULT 'live');
CREATE TABLE lives_parted (id integer PRIMARY KEY, life bridge_follows.life DEFAULT 'live') PARTITION BY RANGE (id);
CREATE TABLE lives_part PARTITION OF lives_parted FOR VALUES FROM (0) TO (9);
SELECT soft_delete.tag('lives', bridge => 'life=dead') IS NOT NULL AND soft_delete.tag('lives_aside', bridge => 'life=dead', storage => 'aside') IS NOT NULL
	AND soft_delete.tag('lives_parted', bridge => 'life=dead') IS NOT NULL AS tagged;
INSERT INTO lives VALUES (1), (2), (3);
INSERT INTO lives_aside VALUES (1), (2), (3);
INSERT INTO lives_parted VALUES (1), (2), (3);
UPDATE lives SET life = 'dead' WHERE id = 1;
UPDATE lives_aside SET life = 'dead' WHERE id = 1;
UPDATE lives_parted SET life = 'dead' WHERE id = 1;
RESET ROLE;
ALTER TYPE bridge_follows.life RENAME VALUE 'dead' TO 'it''s gone';
BEGIN;
ALTER TYPE bridge_follows.life RENAME VALUE 'live' TO 'there';
ALTER TYPE bridge_follows.life RENAME VALUE 'other' TO 'live';
COMMIT;
SET ROLE regress_bridge_follows;
SELECT relation, bridge, deleted_rows FROM soft_delete.tables WHERE relation::text LIKE 'lives%' ORDER BY relation::text;
UPDATE lives SET life = 'it''s gone' WHERE id = 2;
UPDATE lives_aside SET life = 'it''s gone' WHERE id = 2;
UPDATE lives_parted SET life = 'it''s gone' WHERE id = 2;
UPDATE lives_deleted SET deleted_at = NULL WHERE id = 1;
UPDATE lives_aside_deleted SET deleted_at = NULL WHERE id = 1;
UPDATE lives_parted_deleted SET deleted_at = NULL WHERE id = 1;
SELECT * FROM lives ORDER BY id;
SELECT * FROM lives_aside ORDER BY id;
SELECT * FROM lives_parted ORDER BY id;
SELECT id, life FROM lives_aside_deleted;
SELECT problem FROM soft_delete.check() WHERE relation::text LIKE 'lives%';
DROP SCHEMA bridge_follows CASCADE;
RESET ROLE;
DROP ROLE regress_bridge_follows;
