-- TRUNCATE follows foreign keys where CASCADE says so, and refuses where it does not
CREATE ROLE regress_truncate;
CREATE ROLE regress_truncate_app;
CREATE SCHEMA truncate_cascades AUTHORIZATION regress_truncate;
GRANT USAGE ON SCHEMA truncate_cascades TO regress_truncate_app;
SET ROLE regress_truncate;
SET search_path = truncate_cascades;
\set QUIET off
\set SHOW_CONTEXT never

CREATE TABLE region (id integer PRIMARY KEY);
CREATE TABLE customer (id integer PRIMARY KEY, region_id integer REFERENCES region);
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customer ON DELETE CASCADE);
CREATE TABLE note (id integer PRIMARY KEY, order_id integer REFERENCES orders ON DELETE SET NULL);
SELECT soft_delete.tag('customer', cascade => true);
INSERT INTO region VALUES (1);
INSERT INTO customer VALUES (1, 1), (2, 1);
INSERT INTO orders VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO note VALUES (1, 1);
DELETE FROM orders WHERE id = 3;

CREATE FUNCTION rows() RETURNS TABLE (relation text, live bigint, deleted bigint, deletions bigint) LANGUAGE sql AS $$
	SELECT 'region', count(*), NULL, NULL FROM region UNION ALL
	SELECT 'customer', count(*) FILTER (WHERE deleted_at IS NULL), count(deleted_at), count(DISTINCT deleted_at) FROM customer TABLESAMPLE soft_delete.rows('all') UNION ALL
	SELECT 'orders', count(*) FILTER (WHERE deleted_at IS NULL), count(deleted_at), count(DISTINCT deleted_at) FROM orders TABLESAMPLE soft_delete.rows('all') UNION ALL
	SELECT 'note', count(*), NULL, NULL FROM note
$$;

-- RESTRICT: tagged or not, what references must be named
TRUNCATE customer;
TRUNCATE customer, orders;
TRUNCATE orders;
TRUNCATE region;
-- and whether it has rows or not
TRUNCATE note;
TRUNCATE customer, orders;
SELECT * FROM rows();
INSERT INTO note VALUES (1, 1);

-- all are named: tagged ones are emptied softly, others for good
BEGIN;
TRUNCATE note, orders, customer;
SELECT * FROM rows();
SELECT soft_delete.undo(max(deleted_at)) FROM customer_deleted;
SELECT * FROM rows();
ROLLBACK;
-- CASCADE
BEGIN;
TRUNCATE customer CASCADE;
SELECT * FROM rows();
-- no SET NULL on the way
RESET ROLE;
SELECT count(*) FROM soft_delete_internal.set_null_references WHERE relation = 'note'::regclass;
ROLLBACK;
-- a table that is not tagged, above tagged ones
BEGIN;
TRUNCATE region CASCADE;
SELECT * FROM rows();
SELECT soft_delete.undo(max(deleted_at)) FROM customer_deleted;
ROLLBACK;
SELECT * FROM rows();

-- triggers of all tables fire, those of tables that are not tagged within those of the others
CREATE TABLE log (n integer GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log (what) VALUES (concat_ws(' ', TG_WHEN, TG_TABLE_NAME));
	RETURN NULL;
END
$$;
CREATE TRIGGER b BEFORE TRUNCATE ON customer EXECUTE FUNCTION log();
CREATE TRIGGER a AFTER TRUNCATE ON customer EXECUTE FUNCTION log();
CREATE TRIGGER b BEFORE TRUNCATE ON orders EXECUTE FUNCTION log();
CREATE TRIGGER a AFTER TRUNCATE ON orders EXECUTE FUNCTION log();
CREATE TRIGGER b BEFORE TRUNCATE ON note EXECUTE FUNCTION log();
CREATE TRIGGER a AFTER TRUNCATE ON note EXECUTE FUNCTION log();
BEGIN;
TRUNCATE customer CASCADE;
SELECT what FROM log ORDER BY n;
ROLLBACK;

-- an error in one of them undoes all
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;
CREATE TRIGGER fail AFTER TRUNCATE ON customer EXECUTE FUNCTION fail();
TRUNCATE customer CASCADE;
SELECT * FROM rows();
DROP TRIGGER fail ON customer;

-- the right to truncate is asked for of each table that is named or cascaded to
GRANT TRUNCATE ON customer, orders TO regress_truncate_app;
SET ROLE regress_truncate_app;
TRUNCATE truncate_cascades.customer CASCADE;
TRUNCATE truncate_cascades.customer, truncate_cascades.note CASCADE;
SET ROLE regress_truncate;
SELECT * FROM rows();

-- partitioned tables that reference, and are referenced
CREATE TABLE p (id integer PRIMARY KEY, above integer REFERENCES p) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
SELECT soft_delete.tag('p');
INSERT INTO p VALUES (1, NULL), (11, 1);
TRUNCATE p1;
TRUNCATE p2 CASCADE;
SELECT count(*) FROM p;
SELECT count(DISTINCT deleted_at), count(*) FROM p_deleted;

RESET ROLE;
\set QUIET on
SET client_min_messages = warning;
DROP SCHEMA truncate_cascades CASCADE;
DROP ROLE regress_truncate, regress_truncate_app;
