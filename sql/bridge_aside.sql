-- Where deleted rows are kept aside, an application that deletes by a column of its own does what a DELETE does; a row that comes back says live.
CREATE ROLE regress_bridge_aside;
CREATE SCHEMA bridge_aside AUTHORIZATION regress_bridge_aside;
SET ROLE regress_bridge_aside;
SET search_path = bridge_aside;
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never

CREATE TABLE users (id integer PRIMARY KEY, email text UNIQUE, boss integer REFERENCES users, deleted_at timestamptz);
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE, title text);
CREATE TABLE likes (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE SET NULL);
CREATE TABLE bills (id integer PRIMARY KEY, user_id integer REFERENCES users);
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE INFO '% % % of % as %', TG_WHEN, TG_OP, TG_LEVEL, TG_TABLE_NAME, CASE WHEN TG_LEVEL = 'ROW' THEN coalesce(to_jsonb(OLD), to_jsonb(NEW)) ->> 'id' END;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER before_row BEFORE UPDATE OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION say();
CREATE TRIGGER after_row AFTER UPDATE OR DELETE OR INSERT ON users FOR EACH ROW EXECUTE FUNCTION say();
CREATE TRIGGER after_statement AFTER UPDATE OR DELETE ON users FOR EACH STATEMENT EXECUTE FUNCTION say();
CREATE TRIGGER after_row AFTER DELETE ON posts FOR EACH ROW EXECUTE FUNCTION say();
SELECT severity, effect, remedy FROM soft_delete.preview_tag('users', bridge => 'deleted_at', cascade => true) WHERE aside AND severity <> 'action' AND member = 'users'::regclass;
SELECT soft_delete.tag('users', bridge => 'deleted_at', cascade => true, storage => 'aside');
SELECT soft_delete.tag('likes', storage => 'aside'), soft_delete.tag('bills', storage => 'aside');
SELECT relation, storage, bridge FROM soft_delete.tables WHERE relation = 'users'::regclass;
SET client_min_messages = warning;
INSERT INTO users VALUES (1, 'a', NULL), (2, 'b', 1), (3, 'c', 1), (4, 'd', 3), (5, 'e', NULL), (6, 'f', NULL);
INSERT INTO posts VALUES (10, 1, 'x'), (20, 2, 'y'), (21, 2, 'z');
INSERT INTO likes VALUES (1, 2);
INSERT INTO bills VALUES (1, 6);
SET client_min_messages = notice;

-- one row, and what goes with it
UPDATE users SET deleted_at = '2026-01-01 00:00+00' WHERE id = 2 AND deleted_at IS NULL RETURNING id, email, deleted_at;
SELECT id FROM users ORDER BY id;
SELECT id FROM posts ORDER BY id;
SELECT * FROM likes;
SELECT id, deleted_at, deleted_at_by_delete > now() - interval '1 hour' AS has_stamp, deleted_by FROM users_deleted;
SELECT id, deleted_by, p.deleted_at = u.deleted_at_by_delete AS in_one FROM posts_deleted AS p, (SELECT deleted_at_by_delete FROM users_deleted) AS u ORDER BY id;
SELECT deleted, deleted_by FROM soft_delete.deletions ORDER BY deleted_at;
-- the application finds none of it
UPDATE users SET deleted_at = now() WHERE id = 2 AND deleted_at IS NULL;
UPDATE users SET deleted_at = NULL WHERE id = 2;
SELECT id FROM users WHERE deleted_at IS NOT NULL;
SET soft_delete.bridge = application;
SELECT count(*) FROM users;
RESET soft_delete.bridge;
-- back, by the bin
SET client_min_messages = warning;
ALTER TABLE users DISABLE TRIGGER before_row, DISABLE TRIGGER after_row, DISABLE TRIGGER after_statement;
SET client_min_messages = notice;
UPDATE users_deleted SET deleted_at_by_delete = NULL WHERE id = 2;
SELECT id, deleted_at FROM users ORDER BY id;
SELECT id FROM posts ORDER BY id;
SELECT * FROM likes;
-- by the column of the bridge in the bin
UPDATE users SET deleted_at = now() WHERE id = 5;
UPDATE users_deleted SET deleted_at = '2026-03-03' WHERE id = 5;
UPDATE users_deleted SET deleted_at = NULL, boss = 1 WHERE id = 5;
UPDATE users_deleted SET deleted_at = NULL WHERE id = 5;
UPDATE users SET deleted_at = now() WHERE id = 5;
UPDATE users_deleted SET deleted_at = 'infinity', email = 'new' WHERE id = 5;
SELECT id, email, deleted_at FROM users WHERE id = 5;

-- a set, in which rows reference one another
UPDATE users SET deleted_at = now() WHERE id <= 4;
SELECT id FROM users ORDER BY id;
SELECT count(*) FROM posts;
SELECT count(DISTINCT stamp) FROM (SELECT deleted_at_by_delete FROM users_deleted UNION SELECT deleted_at FROM posts_deleted) AS d(stamp);
SELECT soft_delete.undo(max(deleted_at)) FROM soft_delete.deletions;
SELECT id, deleted_at FROM users ORDER BY id;

-- what is referenced stays
UPDATE users SET deleted_at = now() WHERE id = 6;
UPDATE users SET deleted_at = now() WHERE id = 1;
SELECT id FROM users ORDER BY id;

-- a DELETE says deleted as the application would have
DELETE FROM users WHERE id = 5 RETURNING id, deleted_at;
SELECT id, deleted_at = deleted_at_by_delete AS is_stamp FROM users_deleted;
UPDATE users_deleted SET deleted_at_by_delete = NULL;
SELECT id, deleted_at FROM users WHERE id = 5;

-- prepared, for any plan; WITH; upsert; MERGE; what is deleted when it comes
SET plan_cache_mode = force_generic_plan;
PREPARE remove(integer) AS UPDATE users SET deleted_at = now() WHERE id = $1;
EXECUTE remove(5);
EXECUTE remove(5);
RESET plan_cache_mode;
INSERT INTO users VALUES (5, 'e');
INSERT INTO users VALUES (5, 'e') ON CONFLICT (id) DO UPDATE SET deleted_at = now() RETURNING id;
INSERT INTO users VALUES (5, 'e') ON CONFLICT (id) DO UPDATE SET deleted_at = now() RETURNING id, deleted_at;
MERGE INTO users USING (VALUES (5), (7)) AS s(id) ON users.id = s.id
	WHEN MATCHED THEN UPDATE SET deleted_at = now() WHEN NOT MATCHED THEN INSERT (id, email) VALUES (s.id, 'merged');
SELECT id FROM users ORDER BY id;
WITH gone AS (UPDATE users SET deleted_at = now() WHERE id = 7 RETURNING id) SELECT * FROM gone;
INSERT INTO users VALUES (8, 'h', NULL, now()) RETURNING id;
COPY users (id, email, deleted_at) FROM stdin;
9	i	2026-01-01
\.
SELECT id FROM users ORDER BY id;
SELECT id, email FROM users_deleted ORDER BY id, deleted_at_by_delete;
DELETE FROM users_deleted;

-- one transaction, undone by parts
BEGIN;
SAVEPOINT a;
UPDATE users SET deleted_at = now() WHERE id = 4;
SELECT id FROM users_deleted;
ROLLBACK TO a;
SELECT id FROM users_deleted;
UPDATE users SET deleted_at = now() WHERE id = 2;
UPDATE users_deleted SET deleted_at = NULL WHERE id = 2;
COMMIT;
SELECT id FROM users ORDER BY id;

-- a function is one statement, and has one stamp
CREATE FUNCTION remove_some() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE users SET deleted_at = now() WHERE id = 2;
	UPDATE users SET deleted_at = now() WHERE id = 4;
END
$$;
SELECT remove_some();
SELECT count(*), count(DISTINCT deleted_at_by_delete) FROM users_deleted;
UPDATE users_deleted SET hold = 'case 1' WHERE id = 4;
UPDATE users_deleted SET deleted_at = NULL WHERE id = 4;
UPDATE users_deleted SET hold = NULL WHERE id = 4;
UPDATE users_deleted SET deleted_at = NULL;

-- foreign keys that are checked at the end
CREATE TABLE owners (id integer PRIMARY KEY, gone boolean DEFAULT false);
CREATE TABLE pets (id integer PRIMARY KEY, owner_id integer REFERENCES owners DEFERRABLE INITIALLY DEFERRED, gone boolean DEFAULT false);
SELECT soft_delete.tag('owners', bridge => 'gone', storage => 'aside'), soft_delete.tag('pets', bridge => 'gone', storage => 'aside');
INSERT INTO owners VALUES (1);
INSERT INTO pets VALUES (1, 1);
BEGIN;
UPDATE owners SET gone = true;
UPDATE pets SET gone = true;
COMMIT;
SELECT (SELECT count(*) FROM owners), (SELECT count(*) FROM pets);
UPDATE owners_deleted SET gone = false;
UPDATE pets_deleted SET gone = false;
UPDATE owners SET gone = true;
SELECT id, gone FROM owners;

-- triggers of the application that keep the row, change it, delete it, or set the column
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION keep();
UPDATE users SET deleted_at = now() WHERE id = 3;
DROP TRIGGER keep ON users;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE users SET email = email || '!' WHERE id = NEW.id AND deleted_at IS NOT NULL AND email NOT LIKE '%!';
	RETURN NULL;
END
$$;
CREATE TRIGGER touch AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
UPDATE users SET deleted_at = now() WHERE id = 4;
SELECT id, email FROM users_deleted;
DROP TRIGGER touch ON users;
CREATE FUNCTION remove() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM users WHERE id = NEW.id AND deleted_at IS NOT NULL; RETURN NULL; END $$;
CREATE TRIGGER remove AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION remove();
UPDATE users SET deleted_at = now() WHERE id = 2;
SELECT id, email FROM users_deleted ORDER BY id;
DROP TRIGGER remove ON users;
CREATE FUNCTION revive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE users SET deleted_at = NULL WHERE id = NEW.id AND deleted_at IS NOT NULL; RETURN NULL; END $$;
CREATE TRIGGER revive AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION revive();
UPDATE users SET deleted_at = now() WHERE id = 3;
SELECT id, deleted_at FROM users WHERE id = 3;
DROP TRIGGER revive ON users;
CREATE FUNCTION expire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.email = 'expired' THEN NEW.deleted_at := now(); END IF; RETURN NEW; END $$;
CREATE TRIGGER expire BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION expire();
UPDATE users SET email = 'expired' WHERE id = 1;
UPDATE users SET email = 'expired' WHERE id = 6 AND (SELECT count(*) FROM bills) = 0;
SELECT id FROM users_deleted ORDER BY id;
DROP TRIGGER expire ON users;

-- several rows that a trigger writes to again
CREATE TABLE many (id integer PRIMARY KEY, n integer DEFAULT 0, gone integer DEFAULT 0);
CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE many SET n = n + 1 WHERE id = NEW.id AND n < 2; RETURN NULL; END $$;
CREATE TRIGGER count_up AFTER UPDATE ON many FOR EACH ROW EXECUTE FUNCTION count_up();
SET client_min_messages = warning;
SELECT soft_delete.tag('many', bridge => 'gone', storage => 'aside') IS NOT NULL AS tagged;
INSERT INTO many SELECT generate_series(1, 500);
UPDATE many SET gone = 1 WHERE id > 1;
SELECT count(*) FROM many;
SELECT count(*), min(n), max(n), min(gone), count(DISTINCT deleted_at) FROM many_deleted;
SELECT deleted FROM soft_delete.deletions AS d WHERE d.deleted_at = (SELECT min(deleted_at) FROM many_deleted);

-- TRUNCATE says deleted, too
SET client_min_messages = warning;
TRUNCATE posts, likes, bills, users;
SELECT count(*), count(deleted_at) FROM users_deleted;
SELECT count(*) FROM users;

-- what is computed from the column, and a constraint on it
CREATE TABLE notes (id integer PRIMARY KEY, gone boolean NOT NULL DEFAULT false, reason text, state text GENERATED ALWAYS AS (CASE WHEN gone THEN 'gone' ELSE 'here' END) STORED, CHECK (NOT gone OR reason <> ''));
SELECT soft_delete.tag('notes', bridge => 'gone', storage => 'aside');
INSERT INTO notes (id, reason) VALUES (1, NULL), (2, NULL), (3, '');
UPDATE notes SET gone = true, reason = 'old' WHERE id = 1;
UPDATE notes SET gone = true WHERE id = 3;
DELETE FROM notes WHERE id > 1;
SELECT id, gone, reason, state FROM notes_deleted ORDER BY id;
UPDATE notes_deleted SET deleted_at = NULL;
SELECT id, gone, reason, state FROM notes ORDER BY id;

-- partitions, and a row that changes its partition as it is deleted
CREATE TABLE parts (id integer, part integer, gone boolean DEFAULT false, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
SELECT soft_delete.tag('parts', bridge => 'gone', storage => 'aside');
INSERT INTO parts VALUES (1, 1), (2, 1), (3, 2), (4, 2), (7, 1);
UPDATE parts SET gone = true WHERE id IN (1, 3);
UPDATE parts_2 SET gone = true WHERE id = 4;
UPDATE parts SET gone = true, part = 2 WHERE id = 2;
UPDATE parts SET part = 2 WHERE id = 7;
SELECT tableoid::regclass, * FROM parts;
SELECT id, part, gone FROM parts_deleted ORDER BY id;
UPDATE parts_deleted SET gone = false;
SELECT tableoid::regclass, id, part, gone FROM parts ORDER BY id;
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES IN (3);
CREATE TABLE parts_4 (id integer, part integer NOT NULL, gone boolean DEFAULT false);
INSERT INTO parts_4 VALUES (8, 4, true), (9, 4, false);
ALTER TABLE parts_4 ADD PRIMARY KEY (id, part);
ALTER TABLE parts ATTACH PARTITION parts_4 FOR VALUES IN (4);
INSERT INTO parts VALUES (5, 3), (6, 3);
UPDATE parts_3 SET gone = true WHERE id = 5;
UPDATE parts SET gone = true WHERE id = 9;
SELECT severity, problem, remedy FROM soft_delete.check() WHERE relation = 'parts'::regclass;
SELECT soft_delete.adopt('parts');
ALTER TABLE parts DETACH PARTITION parts_3;
UPDATE parts_3 SET gone = true WHERE id = 6;
SELECT id, gone FROM parts_3;
SELECT id, gone FROM parts_3_deleted;
SELECT id, part, gone FROM parts_deleted ORDER BY id;

-- inheritance children
CREATE TABLE base (id integer PRIMARY KEY, gone boolean DEFAULT false);
CREATE TABLE heir (extra text, PRIMARY KEY (id)) INHERITS (base);
SELECT soft_delete.tag('base', bridge => 'gone', storage => 'aside');
INSERT INTO base VALUES (1);
INSERT INTO heir VALUES (2, false, 'x'), (3, false, 'y');
UPDATE base SET gone = true WHERE id < 3;
SELECT tableoid::regclass, id FROM base;
SELECT id, gone FROM base_deleted ORDER BY id;
UPDATE base_deleted SET gone = false;
SELECT tableoid::regclass, id, gone FROM base ORDER BY id;
SELECT extra FROM heir WHERE id = 2;

-- the column is renamed, cannot go, and has no place among the stamps
ALTER TABLE base RENAME gone TO removed;
UPDATE base SET removed = true WHERE id = 1;
SELECT id, removed FROM base_deleted;
ALTER TABLE base DROP COLUMN removed;

-- a trigger that is missing, or disabled
DROP TRIGGER "~soft_delete_bridge_end" ON heir;
SELECT severity, relation, problem, remedy FROM soft_delete.check() WHERE relation IN ('base'::regclass, 'heir'::regclass);
UPDATE heir SET removed = true WHERE id = 3;
SELECT soft_delete.tag('base', bridge => 'removed');
UPDATE heir SET removed = true WHERE id = 3;
SELECT id FROM base ORDER BY id;
UPDATE base_deleted SET removed = false WHERE id = 3;
ALTER TABLE heir DISABLE TRIGGER "~soft_delete";
UPDATE heir SET removed = true WHERE id = 3;
SELECT id, removed FROM base ORDER BY id;
ALTER TABLE heir ENABLE TRIGGER "~soft_delete";
UPDATE heir SET removed = false WHERE id = 3;

-- triggers do not fire: what is written so is left to adopt()
RESET ROLE;
SET session_replication_role = replica;
UPDATE base SET removed = true WHERE id = 3;
RESET session_replication_role;
SET ROLE regress_bridge_aside;
SELECT id, removed FROM base ORDER BY id;
UPDATE base SET removed = true WHERE id = 3;
SELECT id, removed FROM base ORDER BY id;
SELECT soft_delete.adopt('base');
SELECT id, removed FROM base ORDER BY id;
SELECT severity, problem FROM soft_delete.check() WHERE relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'bridge_aside'::regnamespace);

-- what is in a month of the companion says deleted, too
CREATE TABLE monthly (id integer PRIMARY KEY, gone boolean NOT NULL DEFAULT false);
SELECT soft_delete.tag('monthly', storage => 'aside_monthly') IS NOT NULL AS is_tagged;
INSERT INTO monthly VALUES (1), (2), (3);
DELETE FROM monthly WHERE id = 1;
SELECT soft_delete.tag('monthly', bridge => 'gone') IS NOT NULL AS is_tagged;
UPDATE monthly SET gone = true WHERE id = 2;
SELECT id, gone, stored_in <> 'monthly_tombstones'::regclass AS is_in_month FROM monthly_deleted ORDER BY id;
SELECT soft_delete.untag('monthly', tombstones => 'keep');
SELECT id, gone FROM monthly ORDER BY id;

DROP SCHEMA bridge_aside CASCADE;
RESET ROLE;
DROP ROLE regress_bridge_aside;
