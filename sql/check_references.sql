-- check() finds foreign keys that lose rows, and those that lack a trigger
--
-- Foreign keys that were made where no event trigger fired.
\set VERBOSITY terse
CREATE ROLE regress_check_references;
CREATE SCHEMA check_references AUTHORIZATION regress_check_references;
SET ROLE regress_check_references;
SET search_path = check_references;

CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer, other_id integer);
CREATE TABLE other (id integer PRIMARY KEY);
CREATE TABLE kept (id integer PRIMARY KEY, child_id integer);
SELECT soft_delete.tag('parent');
SELECT soft_delete.tag('kept');
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- actions that connect a tagged and an untagged table
RESET ROLE;
SET session_replication_role = replica;
ALTER TABLE child ADD CONSTRAINT to_parent FOREIGN KEY (parent_id) REFERENCES parent ON DELETE CASCADE;
ALTER TABLE kept ADD CONSTRAINT to_child FOREIGN KEY (child_id) REFERENCES child ON DELETE CASCADE;
RESET session_replication_role;
SET ROLE regress_check_references;
SELECT * FROM soft_delete.check() WHERE problem NOT LIKE '%trigger of the extension%';
SELECT remedy FROM soft_delete.check() WHERE problem NOT LIKE '%trigger of the extension%' \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- triggers are missing
RESET ROLE;
SET session_replication_role = replica;
ALTER TABLE child ADD CONSTRAINT to_other FOREIGN KEY (other_id) REFERENCES other;
RESET session_replication_role;
SET ROLE regress_check_references;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;
INSERT INTO other VALUES (1);
INSERT INTO child VALUES (1, NULL, 1);
DELETE FROM child;
UPDATE other SET id = 2;
SELECT other_id FROM child_deleted;

-- a parent that stepped aside for another of its keys is not gone
CREATE TABLE head (id integer PRIMARY KEY, place integer CONSTRAINT one_place UNIQUE DEFERRABLE);
CREATE TABLE member (head_id integer REFERENCES head ON DELETE CASCADE);
SELECT soft_delete.tag('head', cascade => true);
INSERT INTO head VALUES (1, 1);
INSERT INTO member VALUES (1);
DELETE FROM head;
INSERT INTO head VALUES (2, 1);
SELECT * FROM soft_delete.check();
DELETE FROM head;
UPDATE head_deleted SET deleted_at = NULL WHERE id = 1;
SELECT head_id FROM member;
RESET ROLE;
DROP SCHEMA check_references CASCADE;
DROP ROLE regress_check_references;
