-- where a new child is not tagged with its parent, a foreign key that cascades onto it is refused: deleting
-- softly from the one would destroy rows of the other
CREATE ROLE regress_references;
CREATE SCHEMA refs AUTHORIZATION regress_references;
SET ROLE regress_references;
SET search_path = refs;
SET client_min_messages = warning;
SET soft_delete.new_children = error;
\set SHOW_CONTEXT never

CREATE TABLE users (id integer PRIMARY KEY);
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE);
CREATE TABLE votes (id integer PRIMARY KEY, user_id integer) PARTITION BY RANGE (id);
CREATE TABLE votes_1 PARTITION OF votes FOR VALUES FROM (0) TO (100);

-- when the parent is tagged
SELECT soft_delete.tag('users');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'soft_delete.delete_row()'::regprocedure;
-- what restricts, or references the table itself, is safe
CREATE TABLE safe (id integer PRIMARY KEY, up integer REFERENCES safe ON DELETE CASCADE);
CREATE TABLE seen (id integer PRIMARY KEY, safe_id integer REFERENCES safe ON DELETE RESTRICT, other_id integer REFERENCES safe);
SELECT soft_delete.tag('safe');
SELECT soft_delete.tag('users', cascade => true);

-- when the foreign key is made: of a table, of a partition, in a subtransaction
CREATE TABLE likes (id integer PRIMARY KEY, post_id integer REFERENCES posts ON DELETE CASCADE);
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE likes (id integer PRIMARY KEY, post_id integer);
ALTER TABLE likes ADD CONSTRAINT likes_fk FOREIGN KEY (post_id) REFERENCES posts ON DELETE CASCADE;
ALTER TABLE likes ADD COLUMN user_id integer REFERENCES users ON DELETE CASCADE;
ALTER TABLE votes ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;
ALTER TABLE votes_1 ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;
BEGIN;
SAVEPOINT s;
ALTER TABLE likes ADD CONSTRAINT likes_fk FOREIGN KEY (post_id) REFERENCES posts ON DELETE CASCADE;
ROLLBACK TO s;
ALTER TABLE likes ADD CONSTRAINT likes_fk FOREIGN KEY (post_id) REFERENCES posts;
COMMIT;
ALTER TABLE likes DROP CONSTRAINT likes_fk;
-- the remedy
SELECT soft_delete.tag('likes');
ALTER TABLE likes ADD CONSTRAINT likes_fk FOREIGN KEY (post_id) REFERENCES posts ON DELETE CASCADE;

-- when the child is untagged
INSERT INTO users VALUES (1);
INSERT INTO posts VALUES (1, 1);
INSERT INTO likes VALUES (1, 1), (2, NULL);
SELECT soft_delete.untag('likes');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('likes') IS NULL AS untagged;
SET ROLE regress_references;
DELETE FROM users;
SELECT id FROM likes_deleted;
ALTER TABLE likes DROP CONSTRAINT likes_fk;
SELECT soft_delete.untag('likes', tombstones => 'keep');
SELECT id FROM likes ORDER BY id;

-- unrelated DDL is nobody's business, even where a shape is unsafe already
RESET ROLE;
SET session_replication_role = replica;
CREATE TABLE old_child (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE);
RESET session_replication_role;
ALTER TABLE old_child ADD COLUMN more text;
DROP TABLE old_child;

RESET ROLE;
DROP SCHEMA refs CASCADE;
DROP ROLE regress_references;
