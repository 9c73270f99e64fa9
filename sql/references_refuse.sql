-- ON DELETE CASCADE between a tagged and an untagged table would lose rows:
-- refused by tag(), at the creation of the foreign key and by untag()
CREATE ROLE regress_references;
CREATE ROLE regress_stranger;
CREATE SCHEMA refs AUTHORIZATION regress_references;
GRANT USAGE, CREATE ON SCHEMA refs TO regress_stranger;
SET ROLE regress_references;
SET search_path = refs;
\set SHOW_CONTEXT never

CREATE TABLE users (id integer PRIMARY KEY);
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE);
CREATE TABLE votes (id integer PRIMARY KEY, post_id integer REFERENCES posts ON DELETE CASCADE) PARTITION BY RANGE (id);
CREATE TABLE votes_1 PARTITION OF votes FOR VALUES FROM (0) TO (100);
CREATE TABLE notes (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE SET NULL);
CREATE TABLE seen (id integer PRIMARY KEY, user_id integer REFERENCES users);

-- a tagged parent would destroy untagged children; a tagged child would lose its parent
SELECT soft_delete.tag('users');
SELECT soft_delete.tag('votes');
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'soft_delete.delete_row()'::regprocedure;
-- the remedy; what SET NULL loses is said
SELECT soft_delete.tag('posts', cascade => true);
SELECT soft_delete.tag('posts', cascade => true);
SELECT soft_delete.tag('notes');

INSERT INTO users VALUES (1), (2);
INSERT INTO posts VALUES (1, 1), (2, 2);
INSERT INTO votes VALUES (1, 1), (2, 2);
DELETE FROM users WHERE id = 1;
SELECT (SELECT count(*) FROM users_deleted), (SELECT count(*) FROM posts_deleted), (SELECT count(*) FROM votes_deleted);

-- foreign keys made later, of a table, of a partition, in a subtransaction
CREATE TABLE likes (id integer PRIMARY KEY, post_id integer REFERENCES posts ON DELETE CASCADE);
CREATE TABLE likes (id integer PRIMARY KEY, post_id integer);
ALTER TABLE likes ADD CONSTRAINT likes_fk FOREIGN KEY (post_id) REFERENCES posts ON DELETE CASCADE;
BEGIN;
SAVEPOINT s;
ALTER TABLE likes ADD CONSTRAINT likes_fk FOREIGN KEY (post_id) REFERENCES posts ON DELETE CASCADE;
ROLLBACK TO s;
ALTER TABLE likes ADD CONSTRAINT likes_fk FOREIGN KEY (post_id) REFERENCES posts ON DELETE SET NULL;
ALTER TABLE likes DROP CONSTRAINT likes_fk;
COMMIT;
CREATE TABLE places (id integer PRIMARY KEY);
ALTER TABLE votes ADD COLUMN place_id integer REFERENCES places ON DELETE CASCADE;
SELECT soft_delete.tag('likes');
ALTER TABLE likes ADD CONSTRAINT likes_fk FOREIGN KEY (post_id) REFERENCES posts ON DELETE CASCADE;

-- one who owns a part of it cannot tag the rest
RESET ROLE;
SET ROLE regress_stranger;
CREATE TABLE foreign_posts (id integer PRIMARY KEY);
RESET ROLE;
GRANT REFERENCES ON refs.seen TO regress_stranger;
SET ROLE regress_stranger;
ALTER TABLE foreign_posts ADD COLUMN seen_id integer REFERENCES seen ON DELETE CASCADE;
RESET ROLE;
SET ROLE regress_references;
SELECT soft_delete.tag('seen', cascade => true);

-- unrelated DDL is nobody's business, even where a shape is unsafe already
RESET ROLE;
SET session_replication_role = replica;
CREATE TABLE old_child (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE);
RESET session_replication_role;
ALTER TABLE old_child ADD COLUMN more text;
DROP TABLE old_child;
SET ROLE regress_references;

-- neither half of it can be untagged
SELECT soft_delete.untag('users', tombstones => 'keep');
SELECT soft_delete.untag('users', tombstones => 'keep', cascade => true);
SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM posts), (SELECT count(*) FROM votes);
SELECT soft_delete.tag_arguments('posts') IS NULL AS untagged;

RESET ROLE;
DROP SCHEMA refs CASCADE;
DROP ROLE regress_references, regress_stranger;
