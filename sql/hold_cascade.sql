-- a hold is on all that a restore of the row would bring back, in every table and storage
CREATE ROLE regress_cascade;
CREATE SCHEMA hold_cascade AUTHORIZATION regress_cascade;
SET ROLE regress_cascade;
SET search_path = hold_cascade;
\set QUIET off

CREATE TABLE customers (id integer PRIMARY KEY);
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customers ON DELETE CASCADE);
CREATE TABLE items (order_id integer REFERENCES orders ON DELETE CASCADE, n integer);
SELECT soft_delete.tag('customers', cascade => true);
INSERT INTO customers VALUES (1), (2);
INSERT INTO orders VALUES (10, 1), (11, 1), (20, 2), (12, 1);
INSERT INTO items VALUES (10, 1), (10, 2), (11, 1), (20, 1), (12, 1);
-- what was deleted before does not belong to it
DELETE FROM orders WHERE id = 12;
DELETE FROM customers;
UPDATE customers_deleted SET hold = 'case 1' WHERE id = 1;
SELECT id, hold FROM orders_deleted ORDER BY id;
SELECT order_id, n, hold FROM items_deleted ORDER BY 1, 2;

-- by the bin
DELETE FROM items_deleted WHERE order_id = 10 AND n = 1;
DELETE FROM orders_deleted WHERE id = 11;
DELETE FROM orders_deleted WHERE id = 20;
-- when they are due
SELECT member, rows, held, referenced FROM soft_delete.preview_purge('customers', older_than => '0') ORDER BY 1;
CALL soft_delete.purge('orders', older_than => '0');
SELECT id, hold FROM orders_deleted ORDER BY id;
SELECT count(*) FROM items_deleted;
-- by erase(), which the hold of a parent refuses, too
SELECT soft_delete.erase('orders', '10');
-- nor do they come back alone, where another row has the key of the parent
INSERT INTO customers VALUES (1);
UPDATE orders_deleted SET deleted_at = NULL WHERE id = 10;
CALL soft_delete.purge('orders', older_than => '0');
SELECT id, hold FROM orders_deleted ORDER BY id;
-- the hint lifts it
SELECT soft_delete.untag('items', tombstones => 'purge');
UPDATE orders_deleted SET hold = NULL WHERE id = 10;
UPDATE customers_deleted SET hold = NULL WHERE id = 1;
SELECT count(hold) FROM items_deleted;
DELETE FROM customers WHERE id = 1;

-- so is a hold on the table
SELECT soft_delete.hold('customers', 'audit');
SELECT id, hold FROM orders_deleted ORDER BY id;
DELETE FROM orders_deleted;
CALL soft_delete.purge('customers', older_than => '0');
SELECT count(*) FROM orders_deleted;
SELECT soft_delete.lift('customers', 'audit');
-- and a hold on what a deletion took from it
SELECT soft_delete.hold_deletion(min(deleted_at), 'case 2') FROM customers_deleted;
SELECT relation, deleted_at IS NOT NULL AS of_deletion, hold FROM soft_delete.holds ORDER BY 1;
SELECT soft_delete.lift('case 2');
CALL soft_delete.purge('customers', older_than => '0');
SELECT count(*) FROM customers_deleted;

-- a tree, and rows aside
CREATE TABLE tree (id integer PRIMARY KEY, parent integer REFERENCES tree ON DELETE CASCADE, v text);
CREATE TABLE leaves (tree_id integer REFERENCES tree ON DELETE CASCADE, v text);
SELECT soft_delete.tag('tree', cascade => true, storage => 'aside');
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, NULL), (5, 4);
INSERT INTO leaves VALUES (3, 'held'), (5, 'free');
DELETE FROM tree WHERE parent IS NULL;
INSERT INTO tree VALUES (1, NULL);
UPDATE tree_deleted SET hold = 'case 3' WHERE id = 1;
SELECT id, hold FROM tree_deleted ORDER BY id;
DELETE FROM leaves_deleted WHERE v = 'held';
CALL soft_delete.purge('leaves', older_than => '0');
CALL soft_delete.purge('tree', older_than => '0');
SELECT id, hold FROM tree_deleted ORDER BY id;
SELECT v, hold FROM leaves_deleted;

-- partitions, a timestamp, a key of another type, and a circle
CREATE TABLE years (year bigint, gone timestamp, PRIMARY KEY (year)) PARTITION BY RANGE (year);
CREATE TABLE years_1 PARTITION OF years FOR VALUES FROM (0) TO (10);
CREATE TABLE years_2 PARTITION OF years FOR VALUES FROM (10) TO (20);
CREATE TABLE days (day integer, year integer REFERENCES years ON DELETE CASCADE, PRIMARY KEY (day)) PARTITION BY LIST (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES IN (1, 2);
CREATE TABLE days_2 PARTITION OF days DEFAULT;
SELECT soft_delete.tag('years', deleted_at => 'gone', cascade => true);
INSERT INTO years VALUES (1), (11);
INSERT INTO days VALUES (1, 1), (2, 11), (3, 1), (4, 11);
DELETE FROM years;
UPDATE years_deleted SET hold = 'case 4' WHERE year = 1;
SELECT stored_in::regclass, day, hold FROM days_deleted ORDER BY day;
CALL soft_delete.purge('days', older_than => '0');
SELECT day FROM days_deleted ORDER BY day;
CREATE TABLE ring (id integer PRIMARY KEY, next integer);
ALTER TABLE ring ADD FOREIGN KEY (next) REFERENCES ring ON DELETE CASCADE;
SELECT soft_delete.tag('ring');
INSERT INTO ring VALUES (1, NULL), (2, 1), (3, 2), (4, 4);
UPDATE ring SET next = 3 WHERE id = 1;
DELETE FROM ring;
UPDATE ring_deleted SET hold = 'case 5' WHERE id = 2;
SELECT id, hold FROM ring_deleted ORDER BY id;
CALL soft_delete.purge('ring', older_than => '0');
SELECT id FROM ring_deleted ORDER BY id;

-- what a maintenance session may not change
SET row_security = off;
UPDATE days SET day = 1 WHERE day = 3;
RESET row_security;
RESET ROLE;
DELETE FROM soft_delete_internal.holds;
DROP SCHEMA hold_cascade CASCADE;
DROP ROLE regress_cascade;
TRUNCATE soft_delete_internal.lifted_holds, soft_delete_internal.purge_log;
