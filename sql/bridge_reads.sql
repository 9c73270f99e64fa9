-- Who asks about the column by which an application deletes softly is answered by it, if he may see deleted rows; all others see live rows.
CREATE ROLE regress_bridge_owner;
CREATE ROLE regress_bridge_app;
CREATE ROLE regress_bridge_other;
GRANT EXECUTE ON FUNCTION soft_delete.rows(internal) TO regress_bridge_app;
CREATE SCHEMA bridge_reads AUTHORIZATION regress_bridge_owner;
GRANT regress_bridge_app, regress_bridge_other TO regress_bridge_owner;
SET ROLE regress_bridge_owner;
SET search_path = bridge_reads;
SET client_min_messages = warning;
GRANT USAGE ON SCHEMA bridge_reads TO regress_bridge_app, regress_bridge_other;
CREATE TABLE users (id integer PRIMARY KEY, name text, deleted boolean DEFAULT false);
CREATE TABLE posts (id integer PRIMARY KEY, user_id integer REFERENCES users, deleted_at timestamptz);
CREATE TABLE plain (id integer PRIMARY KEY, deleted boolean);
SELECT soft_delete.tag('users', bridge => 'deleted');
SELECT soft_delete.tag('posts', bridge => 'deleted_at');
GRANT SELECT, UPDATE ON users, posts TO regress_bridge_app, regress_bridge_other;
INSERT INTO users VALUES (1, 'ann'), (2, 'bob'), (3, 'cid');
INSERT INTO posts VALUES (10, 1), (11, 1), (20, 3);
UPDATE posts SET deleted_at = '2026-01-01' WHERE id = 11;
UPDATE users SET deleted = true WHERE id = 2;
CREATE VIEW everybody AS SELECT * FROM users;
CREATE VIEW trashed AS SELECT id, name FROM users WHERE deleted;
CREATE VIEW joined AS SELECT u.id, u.name, u.deleted, p.id AS post, p.deleted_at FROM users u LEFT JOIN posts p ON p.user_id = u.id;
CREATE VIEW states AS SELECT id, name, CASE WHEN deleted THEN 'gone' ELSE 'here' END AS state FROM users;
GRANT SELECT, UPDATE ON everybody, trashed, joined, states TO regress_bridge_app, regress_bridge_other;
CREATE FUNCTION inlined() RETURNS SETOF users LANGUAGE sql STABLE AS 'SELECT * FROM users WHERE deleted';
CREATE FUNCTION definer() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bridge_reads AS 'SELECT count(*) FROM users WHERE deleted';
CREATE FUNCTION definer_all() RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = bridge_reads AS $$ BEGIN RETURN (SELECT count(*) FROM users); END $$;

-- what each statement answers, as ids; a statement runs as the role that is set
CREATE TABLE statements (n integer GENERATED ALWAYS AS IDENTITY, statement text);
GRANT SELECT ON statements TO PUBLIC;
INSERT INTO statements (statement) VALUES
	('SELECT id FROM users'),
	('SELECT id FROM users WHERE deleted'),
	('SELECT id FROM users WHERE NOT deleted'),
	('SELECT id FROM users WHERE deleted IS NOT TRUE'),
	('SELECT id FROM users WHERE deleted = false'),
	('SELECT id FROM users WHERE deleted OR name = ''ann'''),
	('SELECT id FROM users WHERE deleted IN (true, false)'),
	('SELECT id FROM users WHERE CASE WHEN deleted THEN name = ''bob'' ELSE true END'),
	('SELECT id FROM users ORDER BY deleted'),
	('SELECT u.id FROM users u JOIN posts p ON p.user_id = u.id'),
	('SELECT p.id FROM users u JOIN posts p ON p.user_id = u.id AND p.deleted_at IS NOT NULL'),
	('SELECT p.id FROM users u LEFT JOIN posts p ON p.user_id = u.id AND p.deleted_at IS NULL WHERE u.deleted = u.deleted'),
	('SELECT u.id FROM posts p LEFT JOIN users u ON u.id = p.user_id + 1 WHERE u.deleted IS NOT TRUE'),
	('SELECT u.id FROM users u WHERE EXISTS (SELECT FROM posts p WHERE p.user_id = u.id AND p.deleted_at IS NOT NULL)'),
	('SELECT id FROM posts GROUP BY id, deleted_at HAVING deleted_at IS NOT NULL'),
	('SELECT id FROM (SELECT * FROM users) s WHERE s.deleted'),
	('WITH s AS (SELECT * FROM users) SELECT id FROM s WHERE deleted'),
	('SELECT id FROM (SELECT id, deleted FROM users UNION ALL SELECT id, deleted FROM plain) s WHERE deleted'),
	('SELECT id FROM (SELECT id, deleted AS gone FROM users) s WHERE gone'),
	('SELECT id FROM (SELECT id, deleted FROM users) s'),
	('SELECT id FROM everybody'),
	('SELECT id FROM everybody WHERE deleted'),
	('SELECT id FROM trashed'),
	('SELECT id FROM joined WHERE deleted_at IS NOT NULL'),
	('SELECT id FROM states WHERE state = ''gone'''),
	('SELECT id FROM users TABLESAMPLE soft_delete.rows(''live'') WHERE deleted'),
	('SELECT id FROM users_active WHERE deleted'),
	('SELECT id FROM inlined()'),
	('SELECT definer() AS id'),
	('SELECT definer_all() AS id');
CREATE FUNCTION answers(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SELECT coalesce(string_agg(coalesce(id::text, ''null''), '' '' ORDER BY id), ''-'') FROM (%s) AS s', statement) INTO answer;
	RETURN answer;
EXCEPTION WHEN insufficient_privilege THEN
	RETURN SQLERRM;
END
$$;
GRANT EXECUTE ON FUNCTION answers(text) TO PUBLIC;
SELECT answers(statement) AS owner, statement FROM statements ORDER BY n;
SET ROLE regress_bridge_app;
SELECT answers(statement) AS app, statement FROM statements ORDER BY n;
SET soft_delete.bridge = 'application';
SELECT answers(statement) AS application, statement FROM statements ORDER BY n;
RESET soft_delete.bridge;
SET ROLE regress_bridge_other;
SELECT answers(statement) AS other, statement FROM statements ORDER BY n;
SET soft_delete.bridge = 'application';
SELECT string_agg(answers(statement), ',' ORDER BY n) AS other_application FROM statements;
RESET soft_delete.bridge;
SET soft_delete.bridge = 'something';

-- a plan is made for one role and one setting
SET ROLE regress_bridge_app;
SET plan_cache_mode = force_generic_plan;
PREPARE asked AS SELECT id FROM users WHERE deleted;
PREPARE every AS SELECT id FROM users ORDER BY id;
EXECUTE asked;
SET ROLE regress_bridge_other;
EXECUTE asked;
SET ROLE regress_bridge_app;
SET soft_delete.bridge = 'application';
EXECUTE every;
SET ROLE regress_bridge_other;
EXECUTE every;
SET ROLE regress_bridge_app;
EXECUTE every;
SET soft_delete.bridge = 'column';
EXECUTE every;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION soft_delete.rows(internal) FROM regress_bridge_app;
SET ROLE regress_bridge_app;
EXECUTE asked;
RESET ROLE;
GRANT EXECUTE ON FUNCTION soft_delete.rows(internal) TO regress_bridge_app;
SET ROLE regress_bridge_app;
EXECUTE asked;
RESET plan_cache_mode;

-- whose rights a function has: that of its caller does not come in
SET soft_delete.bridge = 'application';
SELECT bridge_reads.definer_all();
SET ROLE regress_bridge_other;
SELECT bridge_reads.definer_all();
SET ROLE regress_bridge_app;
SELECT bridge_reads.definer_all();
-- what a materialized view has is for its readers
SET ROLE regress_bridge_owner;
CREATE MATERIALIZED VIEW copy AS SELECT id FROM users;
REFRESH MATERIALIZED VIEW copy;
SELECT * FROM copy ORDER BY id;
RESET soft_delete.bridge;

-- writes: by who may see deleted rows, if he asks about the column or brings his own filter
SET ROLE regress_bridge_other;
UPDATE users SET name = 'bobby' WHERE deleted;
UPDATE users SET deleted = false WHERE id = 2;
UPDATE everybody SET deleted = false WHERE id = 2;
UPDATE users SET deleted = true WHERE id = 2;
SET soft_delete.bridge = 'application';
UPDATE users SET name = 'bobby' WHERE id = 2;
RESET soft_delete.bridge;
SET ROLE regress_bridge_app;
UPDATE users SET name = 'bobby' WHERE id = 2;
UPDATE users SET name = 'bobby' WHERE id = 2 AND deleted;
SET soft_delete.bridge = 'application';
UPDATE users SET name = 'robert' WHERE id = 2;
SELECT id, name, deleted FROM users FOR UPDATE;
RESET soft_delete.bridge;
SELECT id, name, deleted FROM users ORDER BY id;
-- who restores needs no right on the bin, and is named
UPDATE everybody SET deleted = false WHERE id = 2;
SELECT id, name, deleted FROM users ORDER BY id;
SET ROLE regress_bridge_owner;
SELECT event, done_by FROM soft_delete.events WHERE event = 'restored';
-- who deletes needs no right to DELETE, and is named
SET ROLE regress_bridge_other;
DELETE FROM users WHERE id = 2;
UPDATE users SET deleted = true WHERE id = 2;
SET ROLE regress_bridge_owner;
SELECT id, name, deleted_by FROM users_deleted;

-- what a filter demands is left to the indexes on live rows
CREATE INDEX ON users (name);
SET enable_seqscan = off;
CREATE FUNCTION scans(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
		IF line ~ 'Scan|^ *Filter' THEN
			RETURN NEXT trim(line, ' ->');
		END IF;
	END LOOP;
END
$$;
SELECT scans($$SELECT * FROM users WHERE name = 'ann' AND NOT deleted$$);
SELECT scans($$SELECT * FROM users WHERE name = 'ann' AND deleted IS FALSE$$);
SELECT scans($$SELECT * FROM users WHERE name = 'ann' AND deleted <> true$$);
SELECT scans($$SELECT * FROM users WHERE name = 'ann' AND (false = deleted OR deleted IS NULL)$$);
SELECT scans($$SELECT * FROM users WHERE name = 'ann' AND deleted$$);
SELECT scans($$SELECT * FROM posts p JOIN users u ON u.id = p.user_id AND NOT u.deleted WHERE p.deleted_at IS NULL$$) ORDER BY 1;
SELECT scans($$UPDATE users SET deleted = true WHERE name = 'ann' AND NOT deleted$$);
SET plan_cache_mode = force_custom_plan;
PREPARE by_flag(boolean) AS SELECT * FROM users WHERE name = 'ann' AND deleted = $1;
SELECT scans('EXECUTE by_flag(false)');
SELECT scans('EXECUTE by_flag(true)');
SET soft_delete.bridge = 'application';
SELECT scans($$SELECT * FROM users WHERE name = 'ann' AND NOT deleted$$);
-- of another table
SELECT scans('SELECT * FROM plain WHERE deleted');

DROP SCHEMA bridge_reads CASCADE;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION soft_delete.rows(internal) FROM regress_bridge_app;
DROP ROLE regress_bridge_owner, regress_bridge_app, regress_bridge_other;
