-- preview_tag() tells what tag() would refuse, break and make, with each storage, and touches nothing
--
-- What it calls an error or a refusal does fail once the table is tagged so.
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE regress_tag_preview;
CREATE ROLE regress_tag_preview_other;
CREATE SCHEMA tag_preview AUTHORIZATION regress_tag_preview;
CREATE SCHEMA tag_preview_hidden;
SET ROLE regress_tag_preview;
SET search_path = tag_preview;

CREATE TABLE users (id integer PRIMARY KEY, email text UNIQUE, note text);
ALTER TABLE users ALTER note SET STORAGE EXTERNAL;
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE);
CREATE TABLE seen (user_id integer REFERENCES users ON DELETE SET NULL);
CREATE TABLE audit (id integer, email text, note text);
INSERT INTO users SELECT n, n, repeat('x', 20000) FROM generate_series(1, 10) AS n;
ANALYZE users;

-- one function for each way to depend on the row's shape, and some that do not
CREATE FUNCTION parsed() RETURNS SETOF users LANGUAGE sql BEGIN ATOMIC SELECT * FROM users; END;
CREATE FUNCTION listed() RETURNS SETOF users LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT 1, ''x'', ''y''; END';
CREATE FUNCTION starred() RETURNS SETOF users LANGUAGE sql AS 'SELECT * FROM users';
CREATE FUNCTION taken(users) RETURNS text LANGUAGE sql AS 'SELECT $1.email';
CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit SELECT OLD.*; RETURN OLD; END';
CREATE TRIGGER audited AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION audited();
CREATE FUNCTION logged() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM to_jsonb(NEW); RETURN NEW; END';
CREATE TRIGGER logged AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION logged();
CREATE FUNCTION archived() RETURNS void LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit SELECT * FROM users WHERE id > 5; END';
CREATE FUNCTION placed() RETURNS void LANGUAGE sql AS 'INSERT INTO Users VALUES (11, ''k'', ''l'')';
CREATE FUNCTION copied() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE TEMP TABLE staged (LIKE tag_preview.users); END';
CREATE FUNCTION innocent() RETURNS bigint LANGUAGE plpgsql AS
'DECLARE users_total bigint; BEGIN SELECT count(*) INTO users_total FROM users; INSERT INTO audit (id) SELECT id FROM users; RETURN users_total; END';
CREATE MATERIALIZED VIEW report AS SELECT count(*) FROM users;
CREATE VIEW whole AS SELECT users FROM users;
RESET ROLE;
SET client_min_messages = error;		-- wal_level
CREATE PUBLICATION regress_updates FOR TABLE tag_preview.users WITH (publish = 'insert, delete');
CREATE PUBLICATION regress_listed FOR TABLE tag_preview.users (id, email);
ALTER PUBLICATION regress_listed OWNER TO regress_tag_preview;
RESET client_min_messages;
CREATE FUNCTION tag_preview_hidden.unseen() RETURNS SETOF tag_preview.users LANGUAGE sql AS 'SELECT * FROM tag_preview.users';
SET ROLE regress_tag_preview;

CREATE TEMP TABLE before AS SELECT array_agg(oid ORDER BY oid) AS oids FROM pg_class WHERE relnamespace = 'tag_preview'::regnamespace;
BEGIN READ ONLY;
SELECT severity, effect, in_place, aside, remedy FROM soft_delete.preview_tag('users');
SELECT member, severity, effect, in_place, aside FROM soft_delete.preview_tag('users', cascade => true) WHERE severity IN ('refusal', 'action');
SELECT relation::regclass, mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('users'::regclass, 'posts'::regclass);
COMMIT;
SELECT oids = (SELECT array_agg(oid ORDER BY oid) FROM pg_class WHERE relnamespace = 'tag_preview'::regnamespace) AS unchanged FROM before;

-- so it is; tag() answers with what preview_tag() says that it makes
BEGIN;
CREATE TEMP TABLE told AS SELECT effect, in_place, aside FROM soft_delete.preview_tag('users', cascade => true) WHERE severity = 'action';
SET LOCAL client_min_messages = error;
SAVEPOINT untagged;
CREATE TEMP TABLE made AS SELECT string_to_table(soft_delete.tag('users', cascade => true), E'\n') AS line;
(TABLE made EXCEPT SELECT effect FROM told WHERE in_place) UNION ALL (SELECT effect FROM told WHERE in_place EXCEPT TABLE made);
SELECT count(*) FROM made;
SELECT soft_delete.tag('users', cascade => true) IS NULL AS nothing;
DROP TABLE made;
CREATE TEMP TABLE told_moves AS SELECT effect FROM soft_delete.preview_tag('users') WHERE severity = 'action' AND aside;
SELECT string_to_table(soft_delete.tag('users', storage => 'aside'), E'\n') EXCEPT TABLE told_moves;
ROLLBACK TO untagged;
SELECT string_to_table(soft_delete.tag('users', cascade => true, storage => 'aside'), E'\n') EXCEPT SELECT effect FROM told WHERE aside;
ROLLBACK;
SELECT soft_delete.tag('users');
BEGIN;
SELECT soft_delete.tag('users', cascade => true);
SELECT * FROM parsed();
ROLLBACK;
BEGIN;
SELECT soft_delete.tag('users', cascade => true);
SELECT * FROM listed();
ROLLBACK;
BEGIN;
SELECT soft_delete.tag('users', cascade => true);
DELETE FROM users WHERE id = 1;
ROLLBACK;
BEGIN;
SELECT soft_delete.tag('users', cascade => true);
SELECT archived();
ROLLBACK;
BEGIN;
SELECT soft_delete.tag('users', cascade => true);
SELECT taken(ROW(1, 'a', 'b')::users);
ROLLBACK;
BEGIN;
SELECT soft_delete.tag('users', cascade => true);
SELECT count(*) FROM starred();
SELECT placed(), copied();
SELECT attname FROM pg_attribute WHERE attrelid = 'staged'::regclass AND attnum = 4;
ROLLBACK;
-- aside none of it is
BEGIN;
\set VERBOSITY default
SELECT soft_delete.tag('users', cascade => true, storage => 'aside');
\set VERBOSITY terse
SELECT count(*), min(id) FROM parsed();
SELECT id FROM listed();
SELECT taken(ROW(1, 'a', 'b')::users), placed(), copied(), archived();
DELETE FROM users WHERE id = 1;
SELECT id, email FROM audit ORDER BY id;
-- and back
SELECT severity, effect, in_place, aside FROM soft_delete.preview_tag('users') WHERE severity IN ('refusal', 'action');
ROLLBACK;

-- every refusal is told, for the storage that it is one of
CREATE TABLE bad (id integer, deleted_at date);
CREATE TABLE bad_deleted (id integer);
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
CREATE TRIGGER "~zzz" BEFORE DELETE ON bad FOR EACH ROW EXECUTE FUNCTION noop();
CREATE TABLE heir () INHERITS (bad);
SELECT severity, effect, in_place, aside, remedy FROM soft_delete.preview_tag('bad');
SELECT severity, effect, in_place, aside FROM soft_delete.preview_tag('heir') WHERE severity = 'refusal';
SELECT severity, effect, in_place, aside FROM soft_delete.preview_tag('whole');
SELECT soft_delete.tag('posts', deleted_at => 'gone', cascade => true);
SELECT severity, effect, in_place, aside FROM soft_delete.preview_tag('posts') WHERE severity IN ('refusal', 'action');
SELECT soft_delete.untag('posts', cascade => true);
DROP TABLE bad, bad_deleted CASCADE;

-- reads in the order of a key: by what has been deleted, and by what is
CREATE TABLE queue (id integer PRIMARY KEY, gone timestamptz);
INSERT INTO queue SELECT n, now() FROM generate_series(1, 12000) AS n;
INSERT INTO queue SELECT n FROM generate_series(12001, 12100) AS n;
ANALYZE queue;
SELECT severity, effect, in_place, aside, remedy FROM soft_delete.preview_tag('queue', deleted_at => 'gone') WHERE severity = 'warning';

-- a schema
SELECT member, severity, effect, in_place, aside FROM soft_delete.preview_tag_schema('tag_preview', exempt => '{queue,audit}') WHERE severity IN ('refusal', 'error', 'warning')
AND effect NOT LIKE '%function%' AND effect NOT LIKE '%publication%';
SELECT count(*) FROM soft_delete.preview_tag_schema('tag_preview', exempt => '{posts}') WHERE severity = 'refusal' AND effect LIKE '%posts_user_id_fkey%';

-- arguments, and others
SELECT * FROM soft_delete.preview_tag(NULL);
SELECT * FROM soft_delete.preview_tag('users', indexes => 'some');
SELECT * FROM soft_delete.preview_tag('users', deleted_at => '');
SELECT * FROM soft_delete.preview_tag(0);
SELECT * FROM soft_delete.preview_tag_schema(NULL);
SELECT * FROM soft_delete.preview_tag_schema('no_such_schema');
SELECT * FROM soft_delete.preview_tag_schema('pg_catalog');
RESET ROLE;
SET ROLE regress_tag_preview_other;
SELECT * FROM soft_delete.preview_tag('tag_preview.users'::regclass);
SELECT * FROM soft_delete.preview_tag('pg_class');
SELECT * FROM soft_delete.preview_tag_schema('tag_preview');

-- tag() in place warns of what breaks, as its preview does; aside, nothing breaks
SET ROLE regress_tag_preview;
SET search_path = tag_preview;
CREATE TABLE ledgered (id integer PRIMARY KEY, v text);
CREATE TABLE ledger (op text, LIKE ledgered);
CREATE FUNCTION enter() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO ledger SELECT TG_OP, OLD.*; RETURN NULL; END$$;
CREATE TRIGGER enter AFTER DELETE ON ledgered FOR EACH ROW EXECUTE FUNCTION enter();
CREATE TABLE noted (ledgered integer REFERENCES ledgered);
INSERT INTO ledgered VALUES (1);
SELECT severity, effect, in_place, aside, remedy FROM soft_delete.preview_tag('ledgered') WHERE effect ~ 'enter\(\)|noted';
\set VERBOSITY default
SELECT soft_delete.tag('ledgered') \g /dev/null
DELETE FROM ledgered;
-- once
SELECT soft_delete.tag('ledgered') \g /dev/null
\set VERBOSITY terse
SELECT soft_delete.untag('ledgered');
ALTER TABLE ledgered DROP COLUMN deleted_at;
BEGIN;
SELECT soft_delete.tag('noted') \g /dev/null
SELECT severity, effect FROM soft_delete.preview_tag('ledgered') WHERE effect ~ 'noted';
ROLLBACK;
RESET ROLE;
BEGIN;
CREATE SCHEMA tag_preview_ledgered;
ALTER TABLE ledgered SET SCHEMA tag_preview_ledgered;
SELECT soft_delete.tag_schema('tag_preview_ledgered');
ROLLBACK;
SET ROLE regress_tag_preview;
SELECT soft_delete.tag('ledgered', storage => 'aside') \g /dev/null
DELETE FROM ledgered;
SELECT * FROM ledger;

RESET ROLE;
SET client_min_messages = warning;
DROP PUBLICATION regress_updates, regress_listed;
DROP SCHEMA tag_preview, tag_preview_hidden CASCADE;
DROP OWNED BY regress_tag_preview;
DROP ROLE regress_tag_preview, regress_tag_preview_other;
