-- In a tagged schema with a bridge, tables that have its column get one, as they come; the others are tagged without.
CREATE ROLE regress_bridge_schema;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_bridge_schema', current_database()); END $$;
SET ROLE regress_bridge_schema;
CREATE SCHEMA bridge_schema;
SET search_path = bridge_schema;
CREATE TABLE users (id integer PRIMARY KEY, deleted_at timestamp(0));
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users ON DELETE CASCADE, deleted_at timestamp(0));
CREATE TABLE tags (id integer PRIMARY KEY, post_id integer REFERENCES posts ON DELETE CASCADE);
CREATE TABLE odd (id integer PRIMARY KEY, deleted_at jsonb);
INSERT INTO users VALUES (1), (2), (3);
INSERT INTO posts VALUES (10, 1), (20, 2), (30, 3);
UPDATE posts SET deleted_at = '2025-01-01' WHERE id = 30;
INSERT INTO tags VALUES (100, 10), (200, 20);
SELECT member, severity, effect FROM soft_delete.preview_tag_schema('bridge_schema', bridge => 'deleted_at') WHERE severity IN ('refusal', 'warning', 'notice') AND in_place ORDER BY 1, 2, 3;
SELECT soft_delete.tag_schema('bridge_schema', bridge => 'deleted_at');
SELECT schema, deleted_at, storage, bridge FROM soft_delete.tagged_schemas WHERE schema = 'bridge_schema';
CREATE FUNCTION bridges() RETURNS TABLE (relation regclass, bridge text, tombstone name) LANGUAGE sql AS $$
	SELECT t.relation, t.bridge, t.tombstone_column FROM soft_delete.tables AS t ORDER BY 1
$$;
SELECT * FROM bridges();
UPDATE users SET deleted_at = now() WHERE id = 1;
SELECT id FROM posts ORDER BY id;
SELECT id FROM tags ORDER BY id;
SELECT id, deleted_at IS NOT NULL AS says_deleted FROM posts_deleted ORDER BY id;
UPDATE users SET deleted_at = NULL WHERE id = 1;
SELECT id, deleted_at FROM posts ORDER BY id;
SELECT id FROM tags ORDER BY id;

-- those that come
CREATE TABLE likes (id integer PRIMARY KEY, deleted_at timestamp);
CREATE TABLE views (id integer PRIMARY KEY);
CREATE TABLE copies AS SELECT id, deleted_at FROM posts;
INSERT INTO likes VALUES (1), (2);
UPDATE likes SET deleted_at = now() WHERE id = 1;
SELECT id FROM likes;
SELECT * FROM bridges();

-- those of other schemas that become children
CREATE SCHEMA bridge_schema_other;
CREATE TABLE bridge_schema_other.replies (id integer PRIMARY KEY, post_id integer, deleted_at timestamptz);
CREATE TABLE bridge_schema_other.marks (id integer PRIMARY KEY, post_id integer REFERENCES posts ON DELETE CASCADE);
CREATE TABLE bridge_schema_other.notes (id integer PRIMARY KEY, post_id integer, deleted_at boolean[]);
INSERT INTO bridge_schema_other.replies VALUES (1, 20, NULL), (2, 20, '2025-01-01 00:00 UTC'), (3, 20, NULL);
ALTER TABLE bridge_schema_other.replies ADD FOREIGN KEY (post_id) REFERENCES posts ON DELETE CASCADE;
ALTER TABLE bridge_schema_other.notes ADD FOREIGN KEY (post_id) REFERENCES posts ON DELETE CASCADE;
UPDATE bridge_schema_other.replies SET deleted_at = now() WHERE id = 1;
SELECT id FROM bridge_schema_other.replies;
SELECT id FROM bridge_schema_other.replies_deleted ORDER BY id;
SELECT * FROM bridges();
UPDATE posts SET deleted_at = now() WHERE id = 20;
SELECT id, deleted_at IS NOT NULL AS says_deleted FROM bridge_schema_other.replies_deleted ORDER BY id;

-- to tag it again changes nothing
SELECT soft_delete.tag_schema('bridge_schema');
SELECT soft_delete.tag('users');
SELECT * FROM bridges();
SET client_min_messages = warning;
DROP SCHEMA bridge_schema_other CASCADE;
RESET client_min_messages;
SELECT soft_delete.untag_schema('bridge_schema', tombstones => 'keep');
SELECT id, deleted_at IS NOT NULL AS says_deleted FROM posts ORDER BY id;
SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE relnamespace = 'bridge_schema'::regnamespace AND starts_with(tgname, '~soft_delete');

DROP SCHEMA bridge_schema CASCADE;
RESET ROLE;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_bridge_schema', current_database()); END $$;
DROP ROLE regress_bridge_schema;
