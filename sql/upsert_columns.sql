-- ON CONFLICT (columns) meets live rows only
CREATE ROLE regress_upsert;
CREATE SCHEMA upsert_columns AUTHORIZATION regress_upsert;
SET ROLE regress_upsert;
SET search_path = upsert_columns;
\set QUIET off

CREATE TABLE t (id serial, email text UNIQUE, org integer, name text, active boolean DEFAULT true, UNIQUE (org, name));
CREATE UNIQUE INDEX t_lower ON t (lower(name) text_pattern_ops) WHERE active;
INSERT INTO t (email, org, name) VALUES ('a', 1, 'A'), ('b', 1, 'B'), ('c', 1, 'C');
SELECT soft_delete.tag('t');
DELETE FROM t WHERE email = 'a';

-- the deleted key is free: the first inserts, the second conflicts
INSERT INTO t (email, org, name) VALUES ('a', 2, 'A2') ON CONFLICT (email) DO NOTHING RETURNING email, name;
INSERT INTO t (email, org, name) VALUES ('a', 3, 'A3') ON CONFLICT (email) DO NOTHING RETURNING email, name;
INSERT INTO t (email, org, name) VALUES ('a', 3, 'A3') ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING email, name;
INSERT INTO t (email, org, name) VALUES ('b', 3, 'B3') ON CONFLICT (email) DO UPDATE SET name = excluded.name WHERE t.org = 99 RETURNING email;
INSERT INTO t (email, org, name) VALUES ('x', 1, 'A') ON CONFLICT (org, name) DO UPDATE SET email = 'conflict' RETURNING email;
INSERT INTO t (email, org, name) VALUES ('y', 1, 'A') ON CONFLICT (name, org) DO UPDATE SET email = 'conflict' RETURNING email;
INSERT INTO t (email, org, name) VALUES ('z', 5, 'b') ON CONFLICT (lower(name)) WHERE active DO UPDATE SET email = 'by expression' RETURNING email, name;
INSERT INTO t (email, org, name) VALUES ('z', 5, 'b') ON CONFLICT (lower(name) text_pattern_ops) WHERE active DO NOTHING;
INSERT INTO t (email) VALUES ('c') ON CONFLICT DO NOTHING;
INSERT INTO t (email) VALUES ('many1'), ('c'), ('many2') ON CONFLICT (email) DO NOTHING;
INSERT INTO t (email) VALUES ('q'), ('q') ON CONFLICT (email) DO UPDATE SET name = 'twice';

-- in a CTE, prepared, from PL/pgSQL, through the active view
WITH up AS (INSERT INTO t (email, name) VALUES ('c', 'C9') ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING *)
SELECT email, name FROM up;
PREPARE up (text, text) AS INSERT INTO t (email, name) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING email, name;
SET plan_cache_mode = force_generic_plan;
EXECUTE up ('c', 'C10');
DELETE FROM t WHERE email = 'c';
EXECUTE up ('c', 'C11');
EXECUTE up ('c', 'C12');
RESET plan_cache_mode;
DO $$ BEGIN INSERT INTO t (email, name) VALUES ('c', 'C13') ON CONFLICT (email) DO UPDATE SET name = excluded.name; END $$;
INSERT INTO t_active (email, name) VALUES ('c', 'C14') ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING email, name;

-- errors are those of the constraint
INSERT INTO t (email) VALUES ('c');
INSERT INTO t (email) VALUES ('c') ON CONFLICT (id) DO NOTHING;
INSERT INTO t (email) VALUES ('c') ON CONFLICT (org, name) DO NOTHING;

-- tombstones are as they were
SELECT email, name FROM t_deleted ORDER BY name;
SELECT email, name FROM t WHERE email IN ('a', 'b', 'c', 'conflict') ORDER BY email;

RESET ROLE;
DROP SCHEMA upsert_columns CASCADE;
DROP ROLE regress_upsert;
