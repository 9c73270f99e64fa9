-- A preview tells what comes back with its column live: whether an index or a constraint that asks about it refuses the row then.
CREATE ROLE regress_bridge_previews;
CREATE SCHEMA bridge_previews AUTHORIZATION regress_bridge_previews;
SET ROLE regress_bridge_previews;
SET search_path = bridge_previews;
SET client_min_messages = warning;

CREATE TABLE articles (id integer PRIMARY KEY, slug text, "deletedAt" timestamp(3));
CREATE UNIQUE INDEX one_slug ON articles (slug) WHERE "deletedAt" IS NULL;
CREATE TABLE items (id integer PRIMARY KEY, status text DEFAULT 'open', CONSTRAINT open_items_are_odd CHECK (status <> 'open' OR id % 2 = 1));
SELECT soft_delete.tag('articles', bridge => 'deletedAt'), soft_delete.tag('items', bridge => 'status=gone');
INSERT INTO articles VALUES (1, 'a'), (2, 'b');
INSERT INTO items VALUES (1, 'busy'), (2, 'busy');

UPDATE articles SET "deletedAt" = now() WHERE id IN (1, 2);
INSERT INTO articles VALUES (3, 'a');
SELECT id, outcome, "constraint", detail FROM articles_deleted AS d, soft_delete.preview(d.deleted_at) WHERE key = jsonb_build_object('id', id) ORDER BY id;
UPDATE articles_deleted SET deleted_at = NULL WHERE id = 1;
UPDATE articles_deleted SET deleted_at = NULL WHERE id = 2;
SELECT * FROM articles ORDER BY id;

UPDATE items SET status = 'gone';
SELECT id, outcome, "constraint", detail FROM items_deleted AS d, soft_delete.preview(d.deleted_at) WHERE key = jsonb_build_object('id', id) ORDER BY id;
UPDATE items_deleted SET deleted_at = NULL WHERE id = 1;
UPDATE items_deleted SET deleted_at = NULL WHERE id = 2;
SELECT * FROM items;

RESET ROLE;
DROP SCHEMA bridge_previews CASCADE;
DROP ROLE regress_bridge_previews;
