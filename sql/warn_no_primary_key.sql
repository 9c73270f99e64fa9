-- ON DELETE SET NULL and SET DEFAULT in a child without a primary key: nobody
-- finds the row again to give back what they cut, and that is said
CREATE ROLE regress_references;
CREATE SCHEMA refs AUTHORIZATION regress_references;
SET ROLE regress_references;
SET search_path = refs;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE users (id integer PRIMARY KEY);
CREATE TABLE keyless (user_id integer REFERENCES users ON DELETE SET NULL);
CREATE TABLE pieces (user_id integer DEFAULT 0 REFERENCES users ON DELETE SET DEFAULT) PARTITION BY LIST (user_id);
CREATE TABLE pieces_1 PARTITION OF pieces DEFAULT;

-- when the child is tagged, before its parent or after
SELECT soft_delete.tag('keyless');
SELECT soft_delete.tag('users');
SELECT soft_delete.tag('pieces');

-- when the foreign key is made; other actions cut nothing
ALTER TABLE keyless ADD COLUMN other_id integer REFERENCES users ON DELETE SET DEFAULT;
ALTER TABLE keyless ADD COLUMN third_id integer REFERENCES users ON DELETE CASCADE;

-- it is as was said
INSERT INTO users VALUES (0), (1);
INSERT INTO keyless VALUES (1);
INSERT INTO pieces VALUES (1);
DELETE FROM users WHERE id = 1;
UPDATE users_deleted SET deleted_at = NULL;
SELECT user_id FROM keyless;
SELECT user_id FROM pieces;

RESET ROLE;
DROP SCHEMA refs CASCADE;
DROP ROLE regress_references;
