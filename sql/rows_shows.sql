-- the doors to tombstones: rows('all' | 'deleted' | 'live') and show_deleted, each with its right
CREATE ROLE regress_rows_owner;
CREATE ROLE regress_rows_reader;
CREATE SCHEMA rows_shows AUTHORIZATION regress_rows_owner;
GRANT USAGE ON SCHEMA rows_shows TO regress_rows_reader;
SET ROLE regress_rows_owner;
SET search_path = rows_shows;

CREATE TABLE t (id integer PRIMARY KEY, v text);
CREATE INDEX t_v ON t (v);
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 5) g;
CREATE TABLE untagged AS SELECT * FROM t;
SELECT soft_delete.tag('t');
DELETE FROM t WHERE id IN (1, 2);
GRANT SELECT ON t, untagged TO regress_rows_reader;

SELECT id FROM t TABLESAMPLE soft_delete.rows('all') ORDER BY id;
SELECT id FROM t TABLESAMPLE soft_delete.rows('deleted') ORDER BY id;
SELECT id FROM t TABLESAMPLE soft_delete.rows('live') ORDER BY id;
SELECT l.id, d.id FROM t AS l, t AS d TABLESAMPLE soft_delete.rows('deleted') WHERE d.id = l.id - 2 ORDER BY 1;
SELECT x.id FROM t AS x TABLESAMPLE soft_delete.rows('all') WHERE x.id = 1 UNION ALL SELECT x.id FROM t AS x WHERE x.id = 1;
SELECT count(*) FROM (SELECT id FROM t TABLESAMPLE soft_delete.rows('all') UNION ALL SELECT id FROM t) u;
SELECT count(*) FROM untagged TABLESAMPLE soft_delete.rows('all');
SELECT count(*) FROM untagged TABLESAMPLE soft_delete.rows('deleted');

-- the usual plans follow
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM t TABLESAMPLE soft_delete.rows('all') WHERE id = 1;
EXPLAIN (COSTS OFF) SELECT * FROM t TABLESAMPLE soft_delete.rows('deleted') ORDER BY deleted_at;
RESET enable_seqscan;

-- a word that is not known before execution, or not at all
PREPARE p (text) AS SELECT id FROM t TABLESAMPLE soft_delete.rows($1) ORDER BY id;
EXECUTE p ('all');
SET plan_cache_mode = force_generic_plan;
EXECUTE p ('deleted');
EXECUTE p ('live');
EXECUTE p ('some');
EXECUTE p (NULL);
RESET plan_cache_mode;
SELECT * FROM t TABLESAMPLE soft_delete.rows('some');
SELECT * FROM t TABLESAMPLE soft_delete.rows(NULL);
SELECT * FROM t TABLESAMPLE soft_delete.rows;
SELECT * FROM t TABLESAMPLE soft_delete.rows();
SELECT * FROM t TABLESAMPLE soft_delete.rows('all', 'all');

-- not for a role that was not granted it, neither by itself nor by a view
SET ROLE regress_rows_reader;
SELECT id FROM t ORDER BY id;
SELECT id FROM t TABLESAMPLE soft_delete.rows('all');
CREATE TEMP VIEW peek AS SELECT id FROM rows_shows.t TABLESAMPLE soft_delete.rows('all');
SELECT * FROM peek;
SELECT count(*) FROM untagged TABLESAMPLE soft_delete.rows('all');
SET soft_delete.show_deleted = on;
-- a view of the owner is the owner's to grant
SET ROLE regress_rows_owner;
CREATE VIEW granted AS SELECT id FROM t TABLESAMPLE soft_delete.rows('deleted');
GRANT SELECT ON granted TO regress_rows_reader;
SET ROLE regress_rows_reader;
SELECT * FROM granted ORDER BY id;

-- a cached plan does not carry the right to another role
RESET ROLE;
CREATE FUNCTION rows_shows.peek() RETURNS SETOF integer LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT id FROM rows_shows.t TABLESAMPLE soft_delete.rows('all') ORDER BY id;
END
$$;
SET plan_cache_mode = force_generic_plan;
SET ROLE regress_rows_owner;
SELECT count(*) FROM peek();
SET ROLE regress_rows_reader;
SELECT count(*) FROM rows_shows.peek();
RESET ROLE;
GRANT EXECUTE ON FUNCTION soft_delete.rows(internal) TO regress_rows_reader;
SET ROLE regress_rows_reader;
SELECT count(*) FROM rows_shows.peek();
RESET ROLE;
REVOKE EXECUTE ON FUNCTION soft_delete.rows(internal) FROM regress_rows_reader;
SET ROLE regress_rows_reader;
SELECT count(*) FROM rows_shows.peek();
RESET ROLE;

-- show_deleted is for superusers, and cached plans follow it
PREPARE s AS SELECT count(*) FROM rows_shows.t;
EXECUTE s;
SET soft_delete.show_deleted = on;
EXECUTE s;
SELECT count(*) FROM t_active;
SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('live');
-- it shows; it neither destroys nor restores
DELETE FROM t;
UPDATE t SET deleted_at = NULL;
UPDATE t SET v = 'x' WHERE id = 1 RETURNING id;
MERGE INTO t USING (VALUES (1)) AS s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET deleted_at = NULL;
SET soft_delete.show_deleted = off;
EXECUTE s;
SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('all');

DROP SCHEMA rows_shows CASCADE;
DROP OWNED BY regress_rows_reader;
DROP ROLE regress_rows_owner, regress_rows_reader;
