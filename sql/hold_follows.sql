-- a hold follows its row: aside, back, and to another key
CREATE ROLE regress_follows;
CREATE SCHEMA follows AUTHORIZATION regress_follows;
SET ROLE regress_follows;
SET search_path = follows;
\set QUIET off
\set VERBOSITY terse

CREATE TABLE orders (id integer PRIMARY KEY);
CREATE TABLE lines (order_id integer REFERENCES orders ON DELETE CASCADE ON UPDATE CASCADE, line integer, v text, PRIMARY KEY (order_id, line));
SELECT soft_delete.tag('orders', cascade => true);
INSERT INTO orders VALUES (1), (2);
INSERT INTO lines VALUES (1, 1, 'old'), (1, 2, 'old'), (2, 1, 'old');
DELETE FROM lines WHERE line = 1;
UPDATE lines_deleted SET hold = 'case 1' WHERE order_id = 1;

-- its key follows that of its parent
UPDATE orders SET id = 7 WHERE id = 1;
SELECT order_id, line, hold FROM lines_deleted ORDER BY 1;
SELECT key, hold FROM soft_delete.holds;
DELETE FROM lines_deleted WHERE order_id = 7;
DELETE FROM lines_deleted WHERE order_id = 2;

-- it steps aside
INSERT INTO lines VALUES (7, 1, 'new');
SELECT count(*) FROM lines_tombstones;
SELECT order_id, line, v, hold FROM lines_deleted;
DELETE FROM lines_deleted;
UPDATE lines_deleted SET deleted_at = NULL;
UPDATE lines_deleted SET hold = NULL;
SELECT hold FROM lines_deleted;
UPDATE lines_deleted SET hold = 'case 2';
-- the new row of that key is another one
DELETE FROM lines WHERE line = 1;
SELECT order_id, line, v, hold FROM lines_deleted ORDER BY v;
DELETE FROM lines_deleted WHERE v = 'new';
DELETE FROM lines_deleted;

-- it comes back to its table when its hold is lifted
UPDATE lines_deleted SET hold = NULL, deleted_at = NULL;
SELECT order_id, line, v FROM lines ORDER BY line;
SELECT count(*) FROM soft_delete.holds;

-- held and changed in one transaction
DELETE FROM lines;
BEGIN;
UPDATE lines_deleted SET hold = 'case 3' WHERE line = 1;
UPDATE orders SET id = 8 WHERE id = 7;
UPDATE lines_deleted SET hold = 'case 4' WHERE line = 2;
UPDATE orders SET id = 9 WHERE id = 8;
COMMIT;
SELECT key, hold FROM soft_delete.holds ORDER BY key;
DELETE FROM lines_deleted;
SELECT order_id, line, hold FROM lines_deleted ORDER BY line;

-- DDL that would part a hold from its row is refused
ALTER TABLE lines DROP CONSTRAINT lines_pkey;
ALTER TABLE lines ALTER COLUMN line TYPE numeric(5, 2);
ALTER TABLE lines DROP CONSTRAINT lines_pkey, ADD PRIMARY KEY (line, order_id);
ALTER TABLE lines ALTER COLUMN line TYPE integer USING line + 1;
ALTER TABLE lines ALTER COLUMN line TYPE bigint;
ALTER TABLE lines RENAME COLUMN line TO "Line";
ALTER TABLE lines ADD COLUMN w text;
SELECT order_id, "Line", hold FROM lines_deleted ORDER BY 2;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE moods (m mood PRIMARY KEY, gone timestamp);
SELECT soft_delete.tag('moods', deleted_at => 'gone');
INSERT INTO moods VALUES ('sad'), ('happy');
DELETE FROM moods;
INSERT INTO moods VALUES ('sad');
UPDATE moods_deleted SET hold = 'case 5';
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
ALTER TYPE mood RENAME VALUE 'happy' TO 'glad';
ALTER TYPE mood ADD VALUE 'new';
UPDATE moods_deleted SET hold = NULL WHERE m = 'happy';
ALTER TYPE mood RENAME VALUE 'happy' TO 'glad';
-- nor of a live row
INSERT INTO moods VALUES ('glad');
SELECT soft_delete.hold('moods', 'glad', 'case 6');
ALTER TYPE mood RENAME VALUE 'glad' TO 'happy';
ALTER TYPE mood ADD VALUE 'newer';
CREATE TYPE part AS (a integer, b text);
CREATE TABLE parts (p part PRIMARY KEY);
SELECT soft_delete.tag('parts', storage => 'aside');
INSERT INTO parts VALUES ('(1,x)');
SELECT soft_delete.hold('parts', '(1,x)', 'case 7');
ALTER TYPE part ADD ATTRIBUTE c integer;
ALTER TYPE part DROP ATTRIBUTE b CASCADE;
DELETE FROM parts;
DELETE FROM parts_deleted;
SELECT soft_delete.lift('case 6'), soft_delete.lift('case 7');
ALTER TYPE mood RENAME VALUE 'glad' TO 'happy';
ALTER TYPE part ADD ATTRIBUTE c integer;

RESET ROLE;
DELETE FROM soft_delete_internal.holds;
DROP SCHEMA follows CASCADE;
DROP ROLE regress_follows;
TRUNCATE soft_delete_internal.lifted_holds;
