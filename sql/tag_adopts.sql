-- tag() adopts an existing column, its tombstones and its partial indexes
CREATE ROLE regress_tag_adopts;
CREATE SCHEMA tag_adopts AUTHORIZATION regress_tag_adopts;
SET ROLE regress_tag_adopts;
SET search_path = tag_adopts;
SET timezone = 'Asia/Kolkata';

CREATE TABLE old (id integer PRIMARY KEY, email text, removed timestamp);
CREATE UNIQUE INDEX old_email ON old (email) WHERE removed IS NULL;
CREATE INDEX old_removed ON old (removed);
INSERT INTO old VALUES (1, 'a', NULL), (2, 'a', '2020-01-01'), (3, 'a', '2020-01-01'), (4, 'b', NULL);
SELECT soft_delete.tag('old', deleted_at => 'removed');
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('old');
SET ROLE regress_tag_adopts;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'old'::regclass ORDER BY 1;
SELECT * FROM old ORDER BY id;
SELECT id, email, removed FROM old_deleted ORDER BY id;

-- a timestamp column holds UTC, which knows no summer time
DELETE FROM old WHERE id = 4;
SELECT pg_typeof(removed), abs(extract(epoch FROM removed - now())) < 60 AS is_now FROM old_deleted WHERE id = 4;
SELECT abs(extract(epoch FROM removed - (now() AT TIME ZONE 'UTC'))) < 60 AS is_utc
FROM old TABLESAMPLE soft_delete.rows('all') WHERE id = 4;
UPDATE old_deleted SET removed = NULL WHERE id = 4;
DELETE FROM old_deleted;
SELECT * FROM old TABLESAMPLE soft_delete.rows('all') ORDER BY id;

-- untag leaves what was partial before
SELECT soft_delete.untag('old');
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'old'::regclass ORDER BY 1;

RESET ROLE;
DROP SCHEMA tag_adopts CASCADE;
DROP ROLE regress_tag_adopts;
