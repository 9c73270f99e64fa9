-- What was deleted before there is a bridge goes to the bin that is aside, but for what live rows reference, and returns to the table as the application left it.
CREATE ROLE regress_bridge_aside;
CREATE ROLE regress_bridge_child;
CREATE SCHEMA bridge_aside AUTHORIZATION regress_bridge_aside;
GRANT USAGE, CREATE ON SCHEMA bridge_aside TO regress_bridge_child;
SET ROLE regress_bridge_aside;
SET search_path = bridge_aside;
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE INFO '% of %', TG_OP, TG_TABLE_NAME; RETURN NULL; END $$;

-- an application that left children and references behind
CREATE TABLE users (id integer PRIMARY KEY, boss integer REFERENCES users, deleted_at timestamp(0));
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE, deleted_at timestamp(0));
INSERT INTO users VALUES (1, NULL, NULL), (2, NULL, '2024-01-01 12:00'), (3, NULL, '2024-02-02 12:00'), (4, 3, '2024-02-02 12:00'), (5, 4, '2024-02-02 12:00'), (6, NULL, '2999-01-01'), (7, NULL, '2024-03-03'), (8, 7, NULL);
INSERT INTO posts VALUES (10, 2, NULL), (11, 2, '2024-01-01 12:00'), (12, 1, NULL), (13, 4, '2024-02-02 12:00');
CREATE TRIGGER say AFTER UPDATE OR DELETE OR INSERT ON users FOR EACH ROW EXECUTE FUNCTION say();
SELECT member, severity, effect FROM soft_delete.preview_tag('users', cascade => true, bridge => 'deleted_at') WHERE aside AND severity <> 'action';
SELECT soft_delete.tag('users', cascade => true, bridge => 'deleted_at', storage => 'aside');
SELECT id, boss, deleted_at FROM users ORDER BY id;
SELECT id, user_id, deleted_at FROM posts ORDER BY id;
SELECT id, deleted_at, CASE WHEN deleted_at < now() THEN deleted_at_by_delete END AS stamp, deleted_at_by_delete <= now() AS is_past, deleted_by FROM users_deleted ORDER BY id;
SELECT id, deleted_at, deleted_at_by_delete, deleted_by FROM posts_deleted ORDER BY id;
SELECT severity, relation, problem, remedy FROM soft_delete.check() WHERE relation IN ('users'::regclass, 'posts'::regclass) ORDER BY 1, 2, 3;
-- no foreign key is violated
ALTER TABLE users DROP CONSTRAINT users_boss_fkey, ADD CONSTRAINT users_boss_fkey FOREIGN KEY (boss) REFERENCES users;
ALTER TABLE posts DROP CONSTRAINT posts_user_id_fkey, ADD CONSTRAINT posts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;
-- the application goes on with what is left, and deletes what references it
UPDATE users SET boss = 1 WHERE id = 2 AND deleted_at IS NOT NULL;
UPDATE users SET deleted_at = NULL WHERE id = 7;
UPDATE users SET boss = NULL WHERE id IN (2, 8);
UPDATE posts SET deleted_at = now() WHERE id = 10;
SELECT soft_delete.adopt('users');
SELECT id FROM users ORDER BY id;
SELECT severity, relation, problem, remedy FROM soft_delete.check() WHERE relation IN ('users'::regclass, 'posts'::regclass) ORDER BY 1, 2, 3;
-- what was deleted together comes back together
UPDATE users_deleted SET deleted_at = NULL WHERE id = 3;
SELECT id, boss, deleted_at FROM users ORDER BY id;
UPDATE users_deleted SET deleted_at = NULL WHERE id IN (4, 5);
SELECT id, boss, deleted_at FROM users ORDER BY id;
SELECT id FROM posts ORDER BY id;

-- rows that reference one another, in the same table and in another one
CREATE TABLE nodes (id integer PRIMARY KEY, next integer, gone boolean);
INSERT INTO nodes SELECT n, n % 1000 + 1, true FROM generate_series(1, 1000) AS n;
INSERT INTO nodes VALUES (1001, 1002, true), (1002, NULL, true), (1003, 1002, NULL), (1004, 1005, true), (1005, NULL, true);
ALTER TABLE nodes ADD FOREIGN KEY (next) REFERENCES nodes;
SELECT soft_delete.tag('nodes', bridge => 'gone', storage => 'aside');
SELECT * FROM nodes ORDER BY id;
SELECT count(*), count(DISTINCT deleted_at) FROM nodes_deleted;

-- a child of another owner, who may not read the table
CREATE TABLE halls (id integer PRIMARY KEY, gone boolean);
INSERT INTO halls VALUES (1, true), (2, true), (3, NULL);
GRANT REFERENCES ON halls TO regress_bridge_child;
SET ROLE regress_bridge_child;
CREATE TABLE seats (id integer PRIMARY KEY, hall_id integer REFERENCES halls);
RESET ROLE;
INSERT INTO bridge_aside.seats VALUES (1, 2);
SET ROLE regress_bridge_aside;
SELECT soft_delete.tag('halls', bridge => 'gone', storage => 'aside');
SELECT * FROM halls ORDER BY id;

-- a big table is adopted in parts, children first
CREATE TABLE big (id integer PRIMARY KEY, deleted integer NOT NULL DEFAULT 0);
CREATE TABLE parts (id integer PRIMARY KEY, big_id integer REFERENCES big ON DELETE CASCADE, deleted integer NOT NULL DEFAULT 0);
INSERT INTO big SELECT n, (n % 3 = 0)::integer FROM generate_series(1, 3000) AS n;
INSERT INTO parts SELECT n, n, (n % 6 = 0)::integer FROM generate_series(1, 3000) AS n WHERE n % 3 > 0 OR n % 6 = 0;
ANALYZE big, parts;
CREATE TABLE plan AS SELECT n, statement FROM soft_delete.plan('big', bridge => 'deleted', cascade => true, storage => 'aside') WITH ORDINALITY AS p(statement, n);
SELECT statement FROM plan ORDER BY n;
SELECT statement FROM plan WHERE statement LIKE '%delete.tag(%' \gexec
SELECT count(*) FROM big;
SELECT severity, relation, problem, remedy FROM soft_delete.check() WHERE relation IN ('big'::regclass, 'parts'::regclass) ORDER BY relation;
-- what the application touches stays, or is live again; what it deletes is deleted
UPDATE big SET deleted = 1 WHERE id = 3;
UPDATE big SET deleted = 0 WHERE id = 6;
UPDATE big SET deleted = 1 WHERE id = 7;
SELECT id FROM big_deleted;
SELECT statement FROM plan WHERE statement LIKE '%delete.adopt(%' ORDER BY n \gexec
SELECT count(*), sum(deleted) FROM big;
SELECT count(*), sum(deleted) FROM parts;
SELECT count(*) FROM big_deleted;
SELECT severity, problem FROM soft_delete.check() WHERE relation IN ('big'::regclass, 'parts'::regclass);

-- every kind of column
CREATE TYPE state AS ENUM ('open', 'closed', 'gone');
CREATE TABLE kinds (name text, type text, deleted text, live text, bridge text);
INSERT INTO kinds VALUES
	('flag', 'boolean NOT NULL DEFAULT false', 'true', 'false', 'gone'),
	('number', 'integer DEFAULT 0', '1', '0', 'gone'),
	('seconds', 'bigint NOT NULL DEFAULT 0', '1700000000', '0', 'gone=seconds'),
	('few_seconds', 'integer', '1700000000', 'NULL', 'gone=seconds'),
	('milliseconds', 'bigint', '1700000000000', 'NULL', 'gone=milliseconds'),
	('nanoseconds', 'bigint', '1700000000000000000', 'NULL', 'gone=nanoseconds'),
	('day', 'date', '''2023-11-14''', 'NULL', 'gone'),
	('time0', 'timestamp(0)', '''2023-11-14 22:13:20''', 'NULL', 'gone'),
	('time3', 'timestamp(3)', '''2023-11-14 17:13:20''', 'NULL', 'gone=America/New_York'),
	('zoned', 'timestamptz(3)', '''2023-11-14 22:13:20+00''', 'NULL', 'gone'),
	('endless', 'timestamptz NOT NULL DEFAULT ''infinity''', '''2023-11-14 22:13:20+00''', '''infinity''', 'gone'),
	('status', 'text NOT NULL DEFAULT ''new''', '''archived''', '''new''', 'gone=archived'),
	('enum', 'state DEFAULT ''open''', '''gone''', '''open''', 'gone=gone');
CREATE FUNCTION story(k kinds) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('CREATE TABLE %I (id integer PRIMARY KEY, gone %s)', k.name, k.type);
	EXECUTE format('INSERT INTO %I VALUES (0, %s), (1, %s), (2, %3$s), (3, %3$s)', k.name, k.deleted, k.live);
	-- some were deleted before the table had a bridge
	PERFORM soft_delete.tag(k.name::regclass, storage => 'aside');
	EXECUTE format('DELETE FROM %I WHERE id = 3', k.name);
	PERFORM soft_delete.tag(k.name::regclass, bridge => k.bridge);
	EXECUTE format('UPDATE %I SET gone = %s WHERE id = 1', k.name, k.deleted);
	EXECUTE format('DELETE FROM %I WHERE id = 2', k.name);
	EXECUTE format('SELECT string_agg(id || '':'' || coalesce((CASE WHEN d.deleted_at < now() - interval ''1 day'' THEN d.deleted_at END)::text, ''now''), '','' ORDER BY id) FROM %I AS d', k.name || '_deleted') INTO answer;
	RETURN NEXT answer;
	EXECUTE format('SELECT count(*) FROM %I WHERE gone IS DISTINCT FROM %s', k.name || '_deleted', k.live) INTO answer;
	RETURN NEXT answer || ' say deleted';
	EXECUTE format('UPDATE %I SET gone = %s WHERE id IN (2, 3)', k.name || '_deleted', k.live);
	EXECUTE format('SELECT string_agg(id || '':'' || coalesce(gone::text, ''null''), '','' ORDER BY id) FROM %I', k.name) INTO answer;
	RETURN NEXT 'live ' || answer;
	EXECUTE format('DELETE FROM %I WHERE id = 3', k.name);
	EXECUTE format('SELECT soft_delete.untag(%L, tombstones => ''keep'')', k.name);
	EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM %I WHERE gone IS NOT DISTINCT FROM %s', k.name, k.live) INTO answer;
	RETURN NEXT 'untagged, live ' || answer;
	-- and the bridge says of each of the others that it is deleted
	PERFORM soft_delete.tag(k.name::regclass, bridge => k.bridge, storage => 'aside');
	EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM %I', k.name) INTO answer;
	RETURN NEXT 'tagged, live ' || answer;
END
$$;
SET client_min_messages = warning;
SELECT name, string_agg(what, '; ' ORDER BY n) AS story FROM kinds, LATERAL story(kinds) WITH ORDINALITY AS story(what, n) GROUP BY name ORDER BY name;
RESET client_min_messages;

-- from in place to aside and back: each time the bridge comes along
CREATE TABLE moves (id integer PRIMARY KEY, name text UNIQUE, gone boolean NOT NULL DEFAULT false);
CREATE TABLE riders (id integer PRIMARY KEY, move_id integer REFERENCES moves);
INSERT INTO moves VALUES (1, 'a', true), (2, 'b', false), (3, 'c', false), (4, 'd', false);
SELECT soft_delete.tag('moves', bridge => 'gone') IS NOT NULL AS tagged;
UPDATE moves SET gone = true WHERE id = 2;
SELECT soft_delete.tag('moves', storage => 'aside');
SELECT relation, storage, bridge, deleted_rows + displaced_rows AS deleted FROM soft_delete.tables WHERE relation = 'moves'::regclass;
SELECT id, gone FROM moves ORDER BY id;
UPDATE moves SET gone = true WHERE id = 3;
UPDATE moves SET gone = false WHERE id = 2;
SELECT id, gone FROM moves_deleted ORDER BY id;
SELECT soft_delete.tag('moves', storage => 'in_place');
SELECT relation, storage, bridge FROM soft_delete.tables WHERE relation = 'moves'::regclass;
UPDATE moves SET gone = true WHERE id = 4;
SELECT id, gone FROM moves WHERE gone;
UPDATE moves SET gone = false WHERE id = 4;
UPDATE moves_deleted SET gone = false WHERE id = 3;
SELECT id, gone FROM moves ORDER BY id;
-- what live rows reference does not move
UPDATE moves SET gone = true WHERE id = 3;
RESET ROLE;
SET session_replication_role = replica;
INSERT INTO bridge_aside.riders VALUES (1, 3);
RESET session_replication_role;
SET ROLE regress_bridge_aside;
SELECT soft_delete.tag('moves', storage => 'aside');
SELECT soft_delete.plan('moves', storage => 'aside');
SELECT severity, effect FROM soft_delete.preview_tag('moves') WHERE severity = 'refusal';
DELETE FROM riders;
SELECT statement FROM soft_delete.plan('moves', storage => 'aside') AS p(statement);

-- to leave: deleted rows return, and no trigger fires
SELECT soft_delete.tag('moves', storage => 'aside') IS NOT NULL AS tagged;
CREATE TRIGGER say AFTER UPDATE OR DELETE OR INSERT ON moves FOR EACH ROW EXECUTE FUNCTION say();
SELECT soft_delete.untag('moves');
INSERT INTO moves VALUES (30, 'c');
SELECT soft_delete.untag('moves', tombstones => 'keep');
DELETE FROM moves_deleted WHERE id = 3;
SELECT soft_delete.untag('moves', tombstones => 'keep');
SELECT * FROM moves ORDER BY id;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'moves'::regclass AND NOT tgisinternal;
SELECT soft_delete.tag('moves', bridge => 'gone', storage => 'aside') IS NOT NULL AS tagged;
SELECT soft_delete.untag('moves', tombstones => 'purge');
SELECT * FROM moves ORDER BY id;

-- no foreign key is violated then: what was deleted with its parent waits for that, or for what became of it
CREATE TABLE rooms (id integer PRIMARY KEY, gone boolean);
CREATE TABLE beds (id integer PRIMARY KEY, room_id integer REFERENCES rooms, gone boolean);
INSERT INTO rooms VALUES (1), (2);
INSERT INTO beds VALUES (1, 1), (2, 2);
SET client_min_messages = warning;
SELECT soft_delete.tag('rooms', bridge => 'gone', storage => 'aside') IS NOT NULL, soft_delete.tag('beds', bridge => 'gone', storage => 'aside') IS NOT NULL AS tagged;
UPDATE beds SET gone = true WHERE id = 1;
UPDATE rooms SET gone = true WHERE id = 1;
SELECT soft_delete.untag('beds', tombstones => 'keep');
BEGIN;
SELECT soft_delete.untag('rooms', tombstones => 'keep');
SELECT soft_delete.untag('beds', tombstones => 'keep');
SELECT * FROM beds ORDER BY id;
ROLLBACK;
DELETE FROM rooms_deleted;
SELECT soft_delete.untag('rooms');
SELECT soft_delete.untag('beds', tombstones => 'keep');
DELETE FROM beds_deleted;
SELECT soft_delete.untag('beds');

-- a schema, and what comes to it
SET client_min_messages = warning;
DROP TABLE moves, riders, users, posts, nodes, big, parts CASCADE;
RESET ROLE;
DROP TABLE bridge_aside.seats;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_bridge_aside', current_database()); END $$;
SET ROLE regress_bridge_aside;
CREATE SCHEMA bridge_aside_schema;
SET search_path = bridge_aside_schema;
CREATE TABLE users (id integer PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE plain (id integer PRIMARY KEY);
INSERT INTO users VALUES (1, '2024-01-01'), (2, NULL);
INSERT INTO posts VALUES (1, 1, '2024-01-01'), (2, 2, NULL);
RESET client_min_messages;
SELECT soft_delete.tag_schema('bridge_aside_schema', bridge => 'deleted_at', storage => 'aside');
SELECT relation, storage, bridge FROM soft_delete.tables WHERE relation::text !~ '\.' ORDER BY relation::text;
SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM posts), (SELECT count(*) FROM users_deleted), (SELECT count(*) FROM posts_deleted);
CREATE TABLE comments (id integer PRIMARY KEY, post_id integer REFERENCES posts ON DELETE CASCADE, deleted_at timestamptz);
INSERT INTO comments VALUES (1, 2);
SELECT storage, bridge FROM soft_delete.tables WHERE relation = 'comments'::regclass;
UPDATE users SET deleted_at = now() WHERE id = 2;
SELECT id, deleted_at IS NOT NULL AS says_deleted FROM comments_deleted;
UPDATE users_deleted SET deleted_at = NULL WHERE id = 2;
SELECT id, deleted_at FROM comments;
SELECT soft_delete.untag_schema('bridge_aside_schema', tombstones => 'keep');
SELECT id, deleted_at IS NOT NULL AS says_deleted FROM posts ORDER BY id;

SET client_min_messages = warning;
DROP SCHEMA bridge_aside, bridge_aside_schema CASCADE;
RESET ROLE;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_bridge_aside', current_database()); END $$;
DROP ROLE regress_bridge_aside, regress_bridge_child;
