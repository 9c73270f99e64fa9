-- Tables that ON DELETE CASCADE connects are tagged and untagged together, across schemas and as they come.
\set SHOW_CONTEXT never
CREATE SCHEMA shop;
CREATE SCHEMA stock;
CREATE SCHEMA apart;
CREATE ROLE regress_owner;
GRANT ALL ON SCHEMA apart TO regress_owner;
CREATE TABLE shop.orders (id integer PRIMARY KEY, code text UNIQUE);
CREATE TABLE stock.items (id integer PRIMARY KEY, order_id integer REFERENCES shop.orders ON DELETE CASCADE);
CREATE VIEW tagged AS SELECT relation, soft_delete_internal.is_aside(relation) AS aside FROM soft_delete_internal.tagged_tables() ORDER BY relation::text;

-- one schema after the other
SELECT soft_delete.tag_schema('shop');
SELECT soft_delete.tag_schema('stock');
SELECT * FROM tagged;
SELECT soft_delete.untag_schema('shop');
SELECT soft_delete.untag_schema('shop', cascade => true);
SELECT * FROM tagged;
SELECT schema FROM soft_delete.tagged_schemas;
-- both at once
ALTER TABLE shop.orders DROP deleted_at;
ALTER TABLE stock.items DROP deleted_at;
SELECT soft_delete.tag_schema('stock', storage => 'aside', exempt => '{scratch}', cascade => true);
SELECT * FROM tagged;
SELECT schema, exempt, storage FROM soft_delete.tagged_schemas ORDER BY schema;
-- but not one that another role owns
CREATE SCHEMA theirs AUTHORIZATION regress_owner;
CREATE TABLE theirs.t (id integer PRIMARY KEY);
ALTER TABLE theirs.t OWNER TO regress_owner;
SELECT soft_delete.untag_schema('stock', cascade => true);
ALTER TABLE stock.items ADD their_id integer REFERENCES theirs.t ON DELETE CASCADE;
GRANT ALL ON SCHEMA shop, stock TO regress_owner;
CREATE ROLE regress_shop;
ALTER SCHEMA shop OWNER TO regress_shop;
ALTER SCHEMA stock OWNER TO regress_shop;
SET ROLE regress_shop;
SELECT soft_delete.tag_schema('stock', cascade => true);
RESET ROLE;
SELECT schema FROM soft_delete.tagged_schemas;
ALTER TABLE stock.items DROP their_id;

-- plan() makes the refusals of tag() first, and has cascade
SELECT soft_delete.plan('shop.orders');
CREATE TABLE stock.flags (id integer PRIMARY KEY REFERENCES shop.orders ON DELETE CASCADE, deleted_at boolean);
SELECT soft_delete.plan('shop.orders', cascade => true);
DROP TABLE stock.flags;
-- its last statement does nothing if one before it has failed
SELECT soft_delete.tag('shop.orders', cascade => true, only_if_prepared => true);
ALTER TABLE shop.orders ADD deleted_at timestamptz;
ALTER TABLE stock.items ADD deleted_at timestamptz;
SELECT soft_delete.tag('shop.orders', cascade => true, only_if_prepared => true);
SELECT regexp_replace(p, 'soft_delete_\d+', 'soft_delete_N') FROM soft_delete.plan('shop.orders', cascade => true) AS p;
\set ECHO errors
SELECT soft_delete.plan('shop.orders', cascade => true) \gexec
\set ECHO all
SELECT * FROM tagged;

-- children that come are tagged as their parent is, with their own children
CREATE TABLE apart.notes (id integer PRIMARY KEY, item_id integer REFERENCES stock.items ON DELETE CASCADE);
CREATE TABLE apart.files (id integer PRIMARY KEY, note_id integer);
CREATE TABLE apart.pages (id integer PRIMARY KEY, file_id integer REFERENCES apart.files ON DELETE CASCADE);
ALTER TABLE apart.files ADD FOREIGN KEY (note_id) REFERENCES apart.notes ON DELETE CASCADE;
SELECT * FROM tagged;
INSERT INTO shop.orders VALUES (1, 'a');
INSERT INTO stock.items VALUES (1, 1);
INSERT INTO apart.notes VALUES (1, 1);
INSERT INTO apart.files VALUES (1, 1);
INSERT INTO apart.pages VALUES (1, 1);
DELETE FROM shop.orders;
UPDATE shop.orders_deleted SET deleted_at = NULL;
SELECT count(*) FROM apart.pages;
-- not one that cannot be tagged, or that is another role's, nor where the owner wants the error
CREATE TABLE apart.flags (id integer PRIMARY KEY REFERENCES stock.items ON DELETE CASCADE, deleted_at boolean);
CREATE TABLE apart.theirs (id integer PRIMARY KEY);
CREATE TABLE apart.mine (id integer PRIMARY KEY REFERENCES apart.theirs ON DELETE CASCADE);
ALTER TABLE apart.theirs OWNER TO regress_owner;
ALTER TABLE apart.mine OWNER TO regress_shop;
GRANT REFERENCES ON stock.items TO regress_owner;
GRANT USAGE ON SCHEMA stock, apart TO regress_owner;
SET ROLE regress_owner;
ALTER TABLE apart.theirs ADD FOREIGN KEY (id) REFERENCES stock.items ON DELETE CASCADE;
RESET ROLE;
SET soft_delete.new_children = error;
CREATE TABLE apart.late (id integer PRIMARY KEY REFERENCES stock.items ON DELETE CASCADE);
RESET soft_delete.new_children;
SELECT * FROM tagged;

SET client_min_messages = error;
DROP VIEW tagged;
DROP SCHEMA shop, stock, apart, theirs CASCADE;
DROP ROLE regress_owner, regress_shop;
