-- tag(cascade => true) tags all that ON DELETE CASCADE connects, and untag() undoes
-- it, telling of each table
CREATE ROLE regress_references;
CREATE ROLE regress_stranger;
CREATE SCHEMA refs AUTHORIZATION regress_references;
GRANT USAGE, CREATE ON SCHEMA refs TO regress_stranger;
SET ROLE regress_references;
SET search_path = refs;
SET client_min_messages = notice;
\set SHOW_CONTEXT never

CREATE TABLE users (id integer PRIMARY KEY);
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE);
CREATE TABLE votes (id integer PRIMARY KEY, post_id integer REFERENCES posts ON DELETE CASCADE) PARTITION BY RANGE (id);
CREATE TABLE votes_1 PARTITION OF votes FOR VALUES FROM (0) TO (100);
CREATE TABLE seen (id integer PRIMARY KEY, user_id integer REFERENCES users);
SELECT soft_delete.tag('posts', cascade => true);
SELECT soft_delete.tag('posts', cascade => true);

INSERT INTO users VALUES (1), (2);
INSERT INTO posts VALUES (1, 1), (2, 2);
INSERT INTO votes VALUES (1, 1), (2, 2);
DELETE FROM users WHERE id = 1;
SELECT (SELECT count(*) FROM users_deleted), (SELECT count(*) FROM posts_deleted), (SELECT count(*) FROM votes_deleted);

-- one who owns a part of it cannot tag the rest
GRANT REFERENCES ON seen TO regress_stranger;
RESET ROLE;
SET ROLE regress_stranger;
CREATE TABLE foreign_posts (id integer PRIMARY KEY, seen_id integer REFERENCES seen ON DELETE CASCADE);
RESET ROLE;
SET ROLE regress_references;
SELECT soft_delete.tag('seen', cascade => true);
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('seen') IS NULL AS untagged;
SET ROLE regress_references;

SELECT soft_delete.untag('users', tombstones => 'keep', cascade => true);
SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM posts), (SELECT count(*) FROM votes);
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('posts') IS NULL AS untagged;
SET ROLE regress_references;

SET client_min_messages = warning;
RESET ROLE;
DROP SCHEMA refs CASCADE;
DROP ROLE regress_references, regress_stranger;
