-- What an application has deleted before its table has a bridge is taken over as it is, and told.
CREATE ROLE regress_bridge_adopts;
CREATE SCHEMA bridge_adopts AUTHORIZATION regress_bridge_adopts;
SET ROLE regress_bridge_adopts;
SET search_path = bridge_adopts;
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE INFO '% of %', TG_OP, TG_TABLE_NAME; RETURN NULL; END $$;

-- an application that left children, keys and references behind
CREATE TABLE users (id integer PRIMARY KEY, email text, deleted_at timestamp(0), UNIQUE (email, deleted_at));
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer, title text, deleted_at timestamp(0));
INSERT INTO users VALUES (1, 'a', NULL), (2, 'b', '2024-01-01 12:00'), (3, 'b', NULL), (4, 'a', NULL), (5, 'c', 'infinity'), (6, 'd', '2999-01-01'), (7, 'e', '2024-01-01 12:00');
INSERT INTO posts VALUES (10, 2, 'left', NULL), (11, 2, 'gone with it', '2024-01-01 12:00'), (12, 1, 'live', NULL), (13, 99, 'orphan', '2024-02-02'), (14, 7, 'gone with it', '2024-01-01 12:00');
ALTER TABLE posts ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE NOT VALID;
CREATE TRIGGER say AFTER UPDATE OR DELETE OR INSERT ON users FOR EACH ROW EXECUTE FUNCTION say();
CREATE INDEX ON users (lower(email));
BEGIN READ ONLY;
SELECT member, severity, effect, remedy FROM soft_delete.preview_tag('users', cascade => true, bridge => 'deleted_at') WHERE in_place AND severity <> 'action';
SELECT member, effect FROM soft_delete.preview_tag('users', cascade => true, bridge => 'deleted_at') WHERE effect ~ 'bridge|by_delete' AND in_place;
COMMIT;
SELECT soft_delete.tag('users', cascade => true, bridge => 'deleted_at');
SELECT id, deleted_at, CASE WHEN deleted_at < now() THEN deleted_at_by_delete END AS stamp, deleted_at_by_delete <= now() AS is_past, deleted_by FROM users_deleted ORDER BY id;
SELECT id, deleted_at_by_delete, deleted_by FROM posts_deleted ORDER BY id;
SELECT id FROM users ORDER BY id;
SELECT id FROM posts ORDER BY id;
-- nothing of it is an error, but what cannot be restored
SELECT severity, relation, problem FROM soft_delete.check() WHERE relation::text LIKE 'bridge_adopts.%' OR relation IN ('users'::regclass, 'posts'::regclass) ORDER BY 1, 2, 3;
-- a deletion from now on leaves no child behind; of one that leaves, check() tells as of others
UPDATE users SET deleted_at = now() WHERE id = 1;
SELECT id FROM posts ORDER BY id;
-- what was deleted together, as far as the times say, comes back together
UPDATE users SET deleted_at = NULL WHERE id = 7;
SELECT id FROM posts ORDER BY id;
-- to tag it again says nothing of it again
SELECT soft_delete.tag('users', cascade => true, bridge => 'deleted_at');
SELECT soft_delete.tag('users', bridge => 'deleted_at=UTC');

-- a flag says no time: each row has its own
CREATE TABLE flags (id integer PRIMARY KEY, deleted boolean);
INSERT INTO flags SELECT n, n % 2 = 0 FROM generate_series(1, 1000) AS n;
SELECT soft_delete.tag('flags', bridge => 'deleted');
SELECT count(*), count(DISTINCT deleted_at), max(deleted_at) <= clock_timestamp() AS is_past FROM flags_deleted;
SELECT count(*) FROM flags;

-- a table that is tagged already, with deleted rows that the column calls live
CREATE TABLE tagged (id integer PRIMARY KEY, deleted boolean DEFAULT false);
SELECT soft_delete.tag('tagged');
INSERT INTO tagged VALUES (1, false), (2, NULL), (3, true), (4, false);
DELETE FROM tagged WHERE id = 1;
SELECT soft_delete.tag('tagged', bridge => 'deleted');
SELECT id, deleted FROM tagged WHERE deleted ORDER BY id;
SELECT id, deleted FROM tagged;

-- a big table is adopted in parts, while the application writes
CREATE TABLE big (id integer PRIMARY KEY, name text, deleted integer NOT NULL DEFAULT 0);
INSERT INTO big SELECT n, 'n', (n % 3 = 0)::integer FROM generate_series(1, 90) AS n;
ANALYZE big;
CREATE TABLE plan AS SELECT n, statement FROM soft_delete.plan('big', bridge => 'deleted') WITH ORDINALITY AS p(statement, n);
SELECT regexp_replace(statement, 'soft_delete_\d+', 'soft_delete_N') AS statement FROM plan ORDER BY n;
SELECT statement FROM plan WHERE statement NOT LIKE '%delete.adopt%' ORDER BY n
\set ECHO none
\gexec
\set ECHO all
SELECT count(*) FROM big;
SELECT count(*) FROM big WHERE deleted = 1;
SELECT count(*) FROM big_deleted;
SELECT severity, problem, remedy FROM soft_delete.check() WHERE relation = 'big'::regclass;
-- what the application touches is adopted, or live again; what it deletes is deleted
UPDATE big SET name = 'touched' WHERE id = 3;
UPDATE big SET deleted = 0 WHERE id = 6;
UPDATE big SET deleted = 1 WHERE id = 7;
SELECT id, name, deleted_by FROM big_deleted ORDER BY id;
SELECT statement FROM plan WHERE statement LIKE '%delete.adopt%' ORDER BY n \gexec
SELECT soft_delete.adopt('big');
SELECT count(*) FROM big;
SELECT count(*) FROM big_deleted;
SELECT count(*) FROM big WHERE deleted = 1;
SELECT severity, problem FROM soft_delete.check() WHERE relation = 'big'::regclass;
-- what the application deletes between plan() and tag(), wherever it is
CREATE TABLE grows (id integer PRIMARY KEY, deleted boolean);
INSERT INTO grows SELECT -n, n % 6 = 0 FROM generate_series(1, 6000) AS n;
ANALYZE grows;
DROP TABLE plan;
CREATE TABLE plan AS SELECT n, statement FROM soft_delete.plan('grows', bridge => 'deleted') WITH ORDINALITY AS p(statement, n);
INSERT INTO grows SELECT n, true FROM generate_series(1, 30000) AS n;
SELECT statement FROM plan WHERE statement LIKE '%delete.adopt%' ORDER BY n;
SELECT statement FROM plan ORDER BY n
\set ECHO none
\gexec
\set ECHO all
SELECT count(*) FROM grows_deleted;
SELECT severity, problem FROM soft_delete.check() WHERE relation = 'grows'::regclass;

-- partitions
CREATE TABLE parts (id integer, gone date) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
INSERT INTO parts VALUES (1, NULL), (2, '2025-05-05'), (12, '2025-05-05');
SELECT soft_delete.tag('parts', bridge => 'gone');
SELECT tableoid::regclass, id FROM parts WHERE gone IS NOT NULL ORDER BY id;
SELECT id, deleted_at FROM parts_deleted ORDER BY id;

-- who may, and what
SELECT soft_delete.adopt('plan');
SELECT soft_delete.adopt(NULL);
SELECT soft_delete.adopt('big', -1);
SELECT soft_delete.adopt('big', 5, 4);
SELECT soft_delete.adopt('big', 1000000, 2000000);
SELECT soft_delete.adopt('pg_class');

DROP SCHEMA bridge_adopts CASCADE;
RESET ROLE;
DROP ROLE regress_bridge_adopts;
