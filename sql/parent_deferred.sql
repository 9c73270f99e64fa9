-- where a foreign key is deferred, a deleted parent is missed when the
-- hard-deleting twin would miss it: at the end of the statement, at SET
-- CONSTRAINTS or at commit.
CREATE ROLE regress_parent;
GRANT CREATE ON DATABASE :"DBNAME" TO regress_parent;
SET ROLE regress_parent;
CREATE SCHEMA soft AUTHORIZATION regress_parent;
SET search_path = soft;
SET client_min_messages = warning;
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE late (id integer PRIMARY KEY, parent_id integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE maybe (id integer PRIMARY KEY, parent_id integer CONSTRAINT maybe_fk REFERENCES parent DEFERRABLE);
CREATE TABLE plain (id integer PRIMARY KEY, parent_id integer CONSTRAINT plain_fk REFERENCES parent);
INSERT INTO parent VALUES (1), (2), (3);
INSERT INTO late VALUES (1, 2);
SELECT soft_delete.tag(t) FROM unnest('{parent,late,maybe,plain}'::regclass[]) t;
DELETE FROM parent WHERE id = 1;

-- at commit
BEGIN;
INSERT INTO late VALUES (2, 1);
SELECT count(*) FROM late;
COMMIT;

-- gone again or changed again before commit
BEGIN;
INSERT INTO late VALUES (3, 1), (4, 1);
DELETE FROM late WHERE id = 3;
UPDATE late SET parent_id = 2 WHERE id = 4;
COMMIT;
SELECT id, parent_id FROM late ORDER BY id;

-- the last version counts, though its key did not change
BEGIN;
INSERT INTO late VALUES (5, 1);
UPDATE late SET id = 6 WHERE id = 5;
COMMIT;

-- SET CONSTRAINTS, by name and all
BEGIN;
INSERT INTO late VALUES (7, 1);
SET CONSTRAINTS late_parent_id_fkey IMMEDIATE;
ROLLBACK;
BEGIN;
SET CONSTRAINTS maybe_fk DEFERRED;
INSERT INTO maybe VALUES (1, 1);
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK;
INSERT INTO maybe VALUES (1, 1);

-- a parent deleted before the deferred check of its child
BEGIN;
INSERT INTO late VALUES (8, 3);
DELETE FROM parent WHERE id = 3;
COMMIT;
SELECT id FROM parent ORDER BY id;

-- a foreign key that becomes deferrable
ALTER TABLE plain ALTER CONSTRAINT plain_fk DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO plain VALUES (1, 1);
DELETE FROM plain;
COMMIT;
INSERT INTO plain VALUES (2, 1);
ALTER TABLE plain DROP CONSTRAINT plain_fk;
INSERT INTO plain VALUES (3, 1);
ALTER TABLE plain ADD CONSTRAINT plain_fk FOREIGN KEY (parent_id) REFERENCES parent NOT VALID;
INSERT INTO plain VALUES (4, 1);

RESET ROLE;
DROP SCHEMA soft CASCADE;
REVOKE CREATE ON DATABASE :"DBNAME" FROM regress_parent;
DROP ROLE regress_parent;
