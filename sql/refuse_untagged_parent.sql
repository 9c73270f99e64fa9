-- a tagged child onto which an untagged parent cascades is refused: deleted rows
-- of the one would stay without the row of the other that they need
CREATE ROLE regress_references;
CREATE SCHEMA refs AUTHORIZATION regress_references;
SET ROLE regress_references;
SET search_path = refs;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE users (id integer PRIMARY KEY);
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE);
CREATE TABLE votes (id integer PRIMARY KEY, post_id integer REFERENCES posts ON DELETE CASCADE) PARTITION BY RANGE (id);
CREATE TABLE votes_1 PARTITION OF votes FOR VALUES FROM (0) TO (100);
CREATE TABLE seen (id integer PRIMARY KEY, user_id integer REFERENCES users, other_id integer REFERENCES users ON DELETE SET NULL);

-- when the child is tagged
SELECT soft_delete.tag('votes');
\echo :LAST_ERROR_SQLSTATE
SELECT soft_delete.tag('posts');
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'soft_delete.delete_row()'::regprocedure;
-- other actions are safe
SELECT soft_delete.tag('seen');
SELECT soft_delete.tag('votes', cascade => true);

-- when the foreign key is made
CREATE TABLE places (id integer PRIMARY KEY);
ALTER TABLE votes ADD COLUMN place_id integer REFERENCES places ON DELETE CASCADE;
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE posts ADD COLUMN place_id integer;
BEGIN;
SAVEPOINT s;
ALTER TABLE posts ADD CONSTRAINT posts_fk FOREIGN KEY (place_id) REFERENCES places ON DELETE CASCADE;
ROLLBACK TO s;
ALTER TABLE posts ADD CONSTRAINT posts_fk FOREIGN KEY (place_id) REFERENCES places ON DELETE SET NULL;
ALTER TABLE posts DROP CONSTRAINT posts_fk;
COMMIT;
-- the remedy
SELECT soft_delete.tag('places');
ALTER TABLE votes ADD COLUMN place_id integer REFERENCES places ON DELETE CASCADE;

-- when the parent is untagged
INSERT INTO users VALUES (1);
INSERT INTO posts VALUES (1, 1);
SELECT soft_delete.untag('users');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('users') IS NULL AS untagged;
SET ROLE regress_references;
DELETE FROM users;
SELECT id FROM posts_deleted;
SELECT soft_delete.untag('places');

RESET ROLE;
DROP SCHEMA refs CASCADE;
DROP ROLE regress_references;
