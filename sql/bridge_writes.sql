-- A statement by which an application deletes softly by itself does what a DELETE does, and answers as it did.
CREATE ROLE regress_bridge_writes;
CREATE SCHEMA bridge_writes AUTHORIZATION regress_bridge_writes;
SET ROLE regress_bridge_writes;
SET search_path = bridge_writes;
SET client_min_messages = warning;

CREATE TABLE users (id integer PRIMARY KEY, email text UNIQUE, boss integer REFERENCES users, deleted_at timestamptz);
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE, title text);
CREATE TABLE likes (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE SET NULL);
CREATE TABLE bills (id integer PRIMARY KEY, user_id integer REFERENCES users);
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE INFO '% % % of % as %', TG_WHEN, TG_OP, TG_LEVEL, TG_TABLE_NAME, CASE WHEN TG_LEVEL = 'ROW' THEN coalesce(to_jsonb(OLD), to_jsonb(NEW)) ->> 'id' END;
	RETURN coalesce(OLD, NEW);
END
$$;
CREATE TRIGGER before_row BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION say();
CREATE TRIGGER after_row AFTER UPDATE OR DELETE OR INSERT ON users FOR EACH ROW EXECUTE FUNCTION say();
CREATE TRIGGER after_statement AFTER UPDATE OR DELETE ON users FOR EACH STATEMENT EXECUTE FUNCTION say();
SELECT soft_delete.tag('users', bridge => 'deleted_at', cascade => true);
SELECT soft_delete.tag('likes');
SELECT soft_delete.tag('bills');
INSERT INTO users VALUES (1, 'a', NULL), (2, 'b', 1), (3, 'c', 1), (4, 'd', 3), (5, 'e', NULL), (6, 'f', NULL);
INSERT INTO posts VALUES (10, 1, 'x'), (20, 2, 'y'), (21, 2, 'z');
INSERT INTO likes VALUES (1, 2);
INSERT INTO bills VALUES (1, 6);
SET client_min_messages = notice;

-- one row, and what goes with it
UPDATE users SET deleted_at = '2026-01-01 00:00+00' WHERE id = 2 AND deleted_at IS NULL RETURNING id, email, deleted_at = '2026-01-01 00:00+00' AS as_written;
SELECT id FROM users ORDER BY id;
SELECT id FROM posts ORDER BY id;
SELECT * FROM likes;
SELECT id, deleted_at = '2026-01-01 00:00+00' AS as_written, deleted_at_by_delete > now() - interval '1 hour' AS has_stamp, deleted_by FROM users_deleted;
SELECT deleted, deleted_by FROM soft_delete.deletions ORDER BY deleted_at;
-- again
UPDATE users SET deleted_at = now() WHERE id = 2 AND deleted_at IS NULL;
UPDATE users SET deleted_at = '2026-02-02 00:00+00' WHERE id = 2;
SELECT id, deleted_at = '2026-02-02 00:00+00' AS as_written FROM users_deleted;
UPDATE users SET email = 'other' WHERE id = 2;
UPDATE users SET email = 'other' WHERE id = 2 AND deleted_at IS NOT NULL;
DELETE FROM users WHERE id = 2;
DELETE FROM users WHERE deleted_at IS NOT NULL;
-- back
UPDATE users SET deleted_at = NULL WHERE id = 2 RETURNING id, email, deleted_at;
SELECT id, email FROM users ORDER BY id;
SELECT id FROM posts ORDER BY id;
SELECT * FROM likes;

-- a set, in which rows reference one another
SET client_min_messages = warning;
ALTER TABLE users DISABLE TRIGGER before_row, DISABLE TRIGGER after_row;
SET client_min_messages = notice;
UPDATE users SET deleted_at = now() WHERE id <= 4;
SELECT id FROM users ORDER BY id;
SELECT count(*) FROM posts;
UPDATE users SET deleted_at = CASE WHEN deleted_at IS NULL THEN now() END WHERE id <= 5;
SELECT id FROM users ORDER BY id;
SELECT count(*) FROM posts;
UPDATE users SET deleted_at = NULL WHERE deleted_at IS NOT NULL;
ALTER TABLE users DISABLE TRIGGER after_statement;

-- what is referenced stays
UPDATE users SET deleted_at = now() WHERE id = 6;
UPDATE users SET deleted_at = now() WHERE id = 1;
SELECT id FROM users ORDER BY id;

-- prepared, for any plan
SET plan_cache_mode = force_generic_plan;
PREPARE remove(integer) AS UPDATE users SET deleted_at = now() WHERE id = $1;
PREPARE restore(integer) AS UPDATE users SET deleted_at = NULL WHERE id = $1;
EXECUTE remove(5);
SELECT id FROM users ORDER BY id;
EXECUTE restore(5);
SELECT id FROM users ORDER BY id;
RESET plan_cache_mode;

-- upsert: the key of a deleted row is free
INSERT INTO users VALUES (5, 'e') ON CONFLICT (id) DO UPDATE SET deleted_at = now() RETURNING id;
SELECT id FROM users ORDER BY id;
INSERT INTO users VALUES (5, 'new') ON CONFLICT (id) DO UPDATE SET deleted_at = NULL RETURNING id, email;
SELECT id, email, deleted_at_by_delete IS NULL AS is_live FROM users WHERE id = 5 AND coalesce(deleted_at, now()) IS NOT NULL;
SELECT id, email FROM users_deleted;
DELETE FROM users_deleted;

-- MERGE
MERGE INTO users USING (VALUES (5), (7)) AS s(id) ON users.id = s.id
	WHEN MATCHED THEN UPDATE SET deleted_at = now() WHEN NOT MATCHED THEN INSERT (id, email) VALUES (s.id, 'merged');
SELECT id FROM users ORDER BY id;
MERGE INTO users USING (VALUES (5)) AS s(id) ON users.id = s.id
	WHEN MATCHED AND users.deleted_at IS NOT NULL THEN UPDATE SET deleted_at = NULL WHEN NOT MATCHED THEN INSERT (id, email) VALUES (s.id, 'merged');
SELECT id FROM users ORDER BY id;

-- WITH, and a row that is deleted when it comes
WITH gone AS (UPDATE users SET deleted_at = now() WHERE id = 7 RETURNING id) SELECT * FROM gone;
INSERT INTO users VALUES (8, 'h', NULL, now());
SELECT id FROM users ORDER BY id;
SELECT id FROM users WHERE deleted_at IS NOT NULL ORDER BY id;
COPY users (id, email, deleted_at) FROM stdin;
9	i	2026-01-01
\.
SELECT id FROM users WHERE deleted_at IS NOT NULL ORDER BY id;

-- one transaction, undone by parts
BEGIN;
SAVEPOINT a;
UPDATE users SET deleted_at = now() WHERE id = 5;
ROLLBACK TO a;
UPDATE users SET deleted_at = now() WHERE id = 2;
UPDATE users SET deleted_at = NULL WHERE id = 2;
COMMIT;
SELECT id FROM users ORDER BY id;
SELECT id FROM posts ORDER BY id;

-- all that one statement deleted comes back by undo(), and says live
UPDATE users SET deleted_at = now() WHERE id IN (2, 5);
SELECT soft_delete.undo(max(deleted_at)) FROM soft_delete.deletions;
SELECT id, deleted_at FROM users WHERE id IN (2, 5) ORDER BY id;

-- what is held is not restored, nor changed
UPDATE users SET deleted_at = now() WHERE id = 5;
UPDATE users_deleted SET hold = 'case 1' WHERE id = 5;
UPDATE users SET deleted_at = NULL WHERE id = 5;
UPDATE users SET email = 'x' WHERE id = 5 AND deleted_at IS NOT NULL;
UPDATE users_deleted SET hold = NULL WHERE id = 5;
-- a key that a live row has
INSERT INTO users VALUES (50, 'new');
UPDATE users SET deleted_at = NULL WHERE id = 5;

-- the tombstone column is not the application's
UPDATE users SET deleted_at_by_delete = NULL WHERE deleted_at IS NOT NULL AND id = 5;
UPDATE users SET deleted_at_by_delete = now() WHERE deleted_at IS NULL AND id = 50;
CREATE FUNCTION revive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.deleted_at_by_delete := NULL; RETURN NEW; END $$;
CREATE TRIGGER revive BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION revive();
UPDATE users SET email = 'x' WHERE id = 5 AND deleted_at IS NOT NULL;
DROP TRIGGER revive ON users;

-- triggers of the application that keep the row, change it, or set the column
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION keep();
UPDATE users SET deleted_at = now() WHERE id = 50;
DROP TRIGGER keep ON users;
CREATE RULE keep AS ON DELETE TO users DO INSTEAD NOTHING;
UPDATE users SET deleted_at = now() WHERE id = 50;
DROP RULE keep ON users;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE users SET email = email || '!' WHERE id = NEW.id AND deleted_at IS NOT NULL AND email NOT LIKE '%!';
	RETURN NULL;
END
$$;
CREATE TRIGGER touch AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
UPDATE users SET deleted_at = now() WHERE id = 50;
SELECT id, email FROM users WHERE deleted_at IS NOT NULL AND id = 50;
DROP TRIGGER touch ON users;
CREATE FUNCTION expire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.email = 'expired' THEN NEW.deleted_at := now(); END IF; RETURN NEW; END $$;
CREATE TRIGGER expire BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION expire();
UPDATE users SET email = 'expired' WHERE id = 7;
UPDATE users SET email = 'expired' WHERE id = 2;
SELECT id FROM users ORDER BY id;
DROP TRIGGER expire ON users;

-- TRUNCATE says deleted, too
SET client_min_messages = warning;
TRUNCATE posts, likes, bills, users;
SELECT count(*), count(deleted_at) FROM users WHERE deleted_at IS NOT NULL;

-- partitions, and a row that changes its partition as it is deleted
CREATE TABLE parts (id integer, part integer, gone boolean DEFAULT false, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
SELECT soft_delete.tag('parts', bridge => 'gone');
INSERT INTO parts VALUES (1, 1), (2, 1), (3, 2), (4, 2);
UPDATE parts SET gone = true WHERE id IN (1, 3);
UPDATE parts_2 SET gone = true WHERE id = 4;
UPDATE parts SET gone = true, part = 2 WHERE id = 2;
SELECT tableoid::regclass, * FROM parts;
SELECT tableoid::regclass, id, part FROM parts WHERE gone ORDER BY id;
UPDATE parts SET gone = false;
SELECT tableoid::regclass, id, part, gone FROM parts ORDER BY id;
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES IN (3);
INSERT INTO parts VALUES (5, 3), (6, 3);
UPDATE parts_3 SET gone = true WHERE id = 5;
ALTER TABLE parts DETACH PARTITION parts_3;
UPDATE parts_3 SET gone = true WHERE id = 6;
UPDATE parts_3 SET gone = false WHERE id = 5;
SELECT id, gone FROM parts_3;
ALTER TABLE parts ATTACH PARTITION parts_3 FOR VALUES IN (3);
UPDATE parts_3 SET gone = true WHERE id = 5;
SELECT id, part, gone FROM parts ORDER BY id;
UPDATE parts SET gone = false WHERE part = 3;
SELECT id, part, gone FROM parts ORDER BY id;

-- inheritance children
CREATE TABLE base (id integer PRIMARY KEY, gone boolean DEFAULT false);
CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (base);
SELECT soft_delete.tag('base', bridge => 'gone');
INSERT INTO base VALUES (1);
INSERT INTO heir VALUES (2), (3);
UPDATE base SET gone = true WHERE id < 3;
SELECT tableoid::regclass, id FROM base;
UPDATE heir SET gone = false;
SELECT tableoid::regclass, id FROM base ORDER BY id;

-- where deletes are hard, the row stays as the application has written it
ALTER TABLE heir DISABLE TRIGGER "~soft_delete";
UPDATE base SET gone = true WHERE id = 3;
SELECT id, gone FROM base ORDER BY id;
UPDATE base SET gone = false WHERE id = 3;
ALTER TABLE heir ENABLE TRIGGER "~soft_delete";

-- without a column there is no deletion by it
DROP TRIGGER "~soft_delete_bridge" ON base;
UPDATE base SET gone = true WHERE id = 3;
INSERT INTO base VALUES (4, true);
SELECT id, gone FROM base ORDER BY id;
CREATE TRIGGER wrong BEFORE UPDATE ON base FOR EACH ROW EXECUTE FUNCTION soft_delete.follow_bridge();
UPDATE base SET gone = false WHERE id = 4;

DROP SCHEMA bridge_writes CASCADE;
RESET ROLE;
DROP ROLE regress_bridge_writes;
