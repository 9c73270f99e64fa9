-- A restore tells of what was deleted with its rows and does not come back, because it is gone.
CREATE ROLE regress_losses;
CREATE ROLE regress_losses_clerk;
CREATE SCHEMA losses AUTHORIZATION regress_losses;
GRANT USAGE ON SCHEMA losses TO PUBLIC;
SET ROLE regress_losses;
SET search_path = losses;
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
SET client_min_messages = warning;
SELECT soft_delete.tag('parent', cascade => true);
RESET client_min_messages;
INSERT INTO parent SELECT generate_series(1, 9);
INSERT INTO child SELECT n, n % 9 + 1 FROM generate_series(1, 36) AS n;
GRANT SELECT, UPDATE, DELETE ON parent_deleted TO regress_losses_clerk;

-- children that a purge has taken
DELETE FROM parent WHERE id = 1;
DELETE FROM child_deleted WHERE id < 30;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 1;
SELECT count(*) FROM child WHERE parent_id = 1;

-- of a deletion of several rows, what was named and purged by itself is no loss to the others
DELETE FROM parent WHERE id IN (2, 3, 8);
DELETE FROM parent_deleted WHERE id = 2;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 3;
SELECT count(*) FROM child WHERE parent_id = 3;

-- but is told with the last of them
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 8;
DELETE FROM child WHERE id IN (3, 4);
SELECT soft_delete.erase('child', '3');
SELECT soft_delete.undo(max(deleted_at)) FROM child_deleted;

-- not to who may not read the table
DELETE FROM parent WHERE id = 5;
DELETE FROM child_deleted WHERE parent_id = 5;
RESET ROLE;
SET ROLE regress_losses_clerk;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 5;
RESET ROLE;
SET ROLE regress_losses;
DELETE FROM parent WHERE id = 6;
DELETE FROM child_deleted WHERE parent_id = 6;
RESET ROLE;
SET ROLE regress_losses_clerk;
SELECT soft_delete.undo(max(deleted_at)) FROM parent_deleted;
RESET ROLE;

-- nothing is told where nothing is lost
SET ROLE regress_losses;
DELETE FROM parent WHERE id = 7;
SELECT soft_delete.undo(max(deleted_at)) FROM parent_deleted;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA losses CASCADE;
DELETE FROM soft_delete_internal.erasures WHERE relation LIKE 'losses.%';
DROP ROLE regress_losses, regress_losses_clerk;
