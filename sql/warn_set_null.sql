-- ON DELETE SET NULL and SET DEFAULT in an untagged child: what they cut is not
-- given back, and that is said
CREATE ROLE regress_references;
CREATE SCHEMA refs AUTHORIZATION regress_references;
SET ROLE regress_references;
SET search_path = refs;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE users (id integer PRIMARY KEY);
CREATE TABLE notes (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE SET NULL);
CREATE TABLE drafts (id integer PRIMARY KEY, user_id integer DEFAULT 0 REFERENCES users ON DELETE SET DEFAULT);

-- when the parent is tagged, once
SELECT soft_delete.tag('users');
SELECT soft_delete.tag('notes');
SELECT soft_delete.tag('drafts');

-- when the foreign key is made
CREATE TABLE likes (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE SET DEFAULT);
ALTER TABLE likes ADD CONSTRAINT likes_fk FOREIGN KEY (user_id) REFERENCES users ON DELETE SET NULL;
ALTER TABLE notes ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE SET NULL;

-- when the child is untagged
SELECT soft_delete.untag('notes');

-- it is as was said
INSERT INTO users VALUES (1);
INSERT INTO notes VALUES (1, 1);
INSERT INTO drafts VALUES (1, NULL);
DELETE FROM users;
UPDATE users_deleted SET deleted_at = NULL;
SELECT user_id FROM notes;

RESET ROLE;
DROP SCHEMA refs CASCADE;
DROP ROLE regress_references;
