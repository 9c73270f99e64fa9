-- What other roles make upon the views of a table is no wall for its owner: CASCADE drops it, as
-- it drops what depends on a column, and the views stay. Nobody's text runs with another's rights.
CREATE ROLE regress_upon_owner;
CREATE ROLE regress_upon_other;
CREATE SCHEMA attack_dependents;
GRANT USAGE, CREATE ON SCHEMA attack_dependents TO regress_upon_owner, regress_upon_other;
SET search_path = attack_dependents;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET ROLE regress_upon_owner;
CREATE TABLE t (id integer PRIMARY KEY, a text, b text, c text, d text);
SELECT soft_delete.tag('t');
CREATE TABLE aside (id integer PRIMARY KEY, a text, b text, c text, d text);
SELECT soft_delete.tag('aside', storage => 'aside');
GRANT SELECT ON t, t_active, t_deleted, aside_deleted TO regress_upon_other;
COMMENT ON VIEW t_deleted IS 'mine';
INSERT INTO t SELECT g, g, g, g FROM generate_series(1, 4) AS g;
INSERT INTO aside SELECT g, g, g, g FROM generate_series(1, 4) AS g;
DELETE FROM t WHERE id > 2;
DELETE FROM aside WHERE id > 2;

-- all that can depend on a view, by a role that may read it
CREATE PROCEDURE build() LANGUAGE plpgsql SET search_path = attack_dependents AS $$
DECLARE
	view text;
BEGIN
	SET LOCAL ROLE regress_upon_other;
	CREATE TABLE target (id integer);
	FOREACH view IN ARRAY '{t_active,t_deleted,aside_deleted}'::text[] LOOP
		EXECUTE format('CREATE VIEW v_%1$s AS SELECT id, a FROM %1$I', view);
		EXECUTE format('CREATE VIEW w_%1$s AS SELECT id FROM v_%1$s', view);
		EXECUTE format('CREATE MATERIALIZED VIEW m_%1$s AS SELECT id FROM %1$I', view);
		EXECUTE format('CREATE RULE r_%1$s AS ON INSERT TO target DO ALSO SELECT id FROM %1$I', view);
		EXECUTE format('CREATE FUNCTION f_%1$s() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM %1$I; END', view);
		EXECUTE format('CREATE POLICY p_%1$s ON target USING (id IN (SELECT id FROM %1$I))', view);
		EXECUTE format('CREATE FUNCTION g_%1$s(%1$I) RETURNS integer LANGUAGE sql AS ''SELECT 1''', view);
	END LOOP;
	RESET ROLE;
END $$;
CREATE FUNCTION built() RETURNS TABLE (kind text, object text) LANGUAGE sql SET search_path = attack_dependents AS $$
	SELECT CASE relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, relname::text FROM pg_class WHERE relnamespace = 'attack_dependents'::regnamespace AND relkind IN ('v', 'm') AND relname ~ '^[mvw]_'
	UNION ALL SELECT 'rule', rulename FROM pg_rewrite WHERE rulename ~ '^r_'
	UNION ALL SELECT 'policy', polname FROM pg_policy WHERE polname ~ '^p_'
	UNION ALL SELECT 'function', proname FROM pg_proc WHERE proname ~ '^[fg]_' AND pronamespace = 'attack_dependents'::regnamespace ORDER BY 1, 2
$$;
RESET ROLE;
CALL build();
SELECT count(*) FROM built();

-- 1. without CASCADE nothing is dropped
SET ROLE regress_upon_owner;
CREATE VIEW own AS SELECT id, a FROM t_active;
GRANT SELECT ON own TO regress_upon_other;
COMMENT ON VIEW own IS 'own';
ALTER TABLE t DROP COLUMN b;
ALTER TABLE aside DROP COLUMN b;
SELECT soft_delete.untag('t', tombstones => 'keep');
DROP VIEW t_active;
SELECT count(*) FROM built();

-- 2. a column with CASCADE: all of it, but for views of the owner that do not use the column
ALTER TABLE t DROP COLUMN b CASCADE;
SELECT object FROM built() WHERE object !~ 'aside_deleted$';
SELECT id, a FROM own;
SELECT has_table_privilege('regress_upon_other', 'own', 'SELECT') AS granted, obj_description('own'::regclass) AS comment;
SELECT has_table_privilege('regress_upon_other', 't_deleted', 'SELECT') AS granted, obj_description('t_deleted'::regclass) AS comment;
SELECT id, a, c FROM t_deleted;
CREATE VIEW own_bin AS SELECT id, a FROM aside_deleted;
CREATE VIEW own_c AS SELECT id, c FROM aside_deleted;
ALTER TABLE aside DROP COLUMN c CASCADE;
SELECT * FROM built();
SELECT * FROM own_bin;
SELECT to_regclass('own_c');
SELECT id, a, b FROM aside_deleted;
-- another column, or another name of one, is in nobody's way
CREATE VIEW own_b AS SELECT id, a, b FROM aside_deleted;
RESET ROLE;
DROP TABLE target;
CALL build();
SET ROLE regress_upon_owner;
ALTER TABLE t ADD added integer DEFAULT 7;
ALTER TABLE t RENAME c TO reason;
ALTER TABLE aside ADD added integer DEFAULT 7;
ALTER TABLE aside RENAME b TO reason;
ALTER TABLE aside ADD actor text;
SELECT count(*) FROM built();
SELECT * FROM own_b;
SELECT id, a, reason, added, actor FROM aside_deleted;
ALTER TABLE aside ALTER added TYPE bigint;
DROP VIEW aside_deleted CASCADE;
ALTER TABLE aside ALTER added TYPE bigint;
SELECT id, a, reason, added, actor FROM aside_deleted;
DROP VIEW t_active, t_deleted CASCADE;
CREATE VIEW own AS SELECT id, a FROM t_active;
CREATE VIEW own_bin AS SELECT id, a FROM aside_deleted;
-- types and functions take columns along
RESET ROLE;
DROP TABLE target;
CALL build();
SET ROLE regress_upon_owner;
CREATE TYPE mood AS ENUM ('good');
ALTER TABLE t ADD m mood;
ALTER TABLE aside ADD m mood;
SELECT count(*) FROM built();
DROP TYPE mood;
DROP TYPE mood CASCADE;
SELECT * FROM built();
SELECT * FROM own;
SELECT * FROM own_bin;

-- 3. the view itself: what depends on it goes, and it stays
RESET ROLE;
DROP TABLE target;
CALL build();
SET ROLE regress_upon_other;
DROP VIEW t_active CASCADE;
SET ROLE regress_upon_owner;
DROP VIEW t_active, t_deleted, aside_deleted CASCADE;
SELECT * FROM built();
SELECT to_regclass('own'), to_regclass('own_bin');
SELECT id, a FROM t_active;
SELECT id, a FROM t_deleted;
SELECT id, a FROM aside_deleted;
SELECT has_table_privilege('regress_upon_other', 't_deleted', 'SELECT') AS granted, obj_description('t_deleted'::regclass) AS comment;
UPDATE t_deleted SET deleted_at = NULL WHERE id = 3;
DELETE FROM t_deleted;
ALTER TABLE t DROP COLUMN reason, DROP COLUMN added;
SELECT id, a FROM t_active;
-- other views in the same command, and one that the owner has written otherwise
CREATE VIEW other AS SELECT 1 AS one;
CREATE OR REPLACE VIEW t_active AS SELECT id, a, d FROM t WHERE deleted_at IS NULL AND id > 0;
CREATE VIEW own AS SELECT id FROM t_active;
DROP VIEW t_active, other CASCADE;
SELECT to_regclass('own'), to_regclass('other'), pg_get_viewdef('t_active') LIKE '%id > 0%' AS otherwise;
-- so nobody keeps the owner from another storage, or from no tag
RESET ROLE;
DROP TABLE target;
CALL build();
SET ROLE regress_upon_owner;
SELECT soft_delete.tag('t', storage => 'aside');
DROP VIEW t_active CASCADE;
SELECT soft_delete.tag('t', storage => 'aside');
DROP VIEW t_deleted CASCADE;
SELECT soft_delete.tag('t', storage => 'aside');
SELECT soft_delete.untag('t');
SELECT soft_delete.untag('aside', tombstones => 'keep');
DROP VIEW aside_deleted CASCADE;
SELECT soft_delete.untag('aside', tombstones => 'keep');
SELECT * FROM built();

-- 4. companions and their months, for which nobody needs a right on them
CREATE TABLE pair (id integer PRIMARY KEY, a text, b text, c text);
SELECT soft_delete.tag('pair') IS NOT NULL AS tagged;
CREATE TABLE months (id integer PRIMARY KEY, a text, b text);
SELECT soft_delete.tag('months', storage => 'aside_monthly') IS NOT NULL AS tagged;
INSERT INTO pair VALUES (1, 'a', 'b', 'c'), (2, 'a', 'b', 'c');
INSERT INTO months VALUES (1, 'a', 'b'), (2, 'a', 'b');
DELETE FROM pair WHERE id = 1;
DELETE FROM months WHERE id = 1;
RESET ROLE;
CREATE PROCEDURE build_below() LANGUAGE plpgsql SET search_path = attack_dependents AS $$
DECLARE
	place regclass;
BEGIN
	SET LOCAL ROLE regress_upon_other;
	CREATE TABLE target (id integer);
	FOR place IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'months_tombstones'::regclass UNION ALL VALUES ('months_tombstones'::regclass), ('pair_tombstones') LOOP
		EXECUTE format('CREATE VIEW v_%1$s AS SELECT id, a FROM %1$I', place);
		EXECUTE format('CREATE RULE r_%1$s AS ON INSERT TO target DO ALSO SELECT id, a FROM %1$I', place);
		EXECUTE format('CREATE FUNCTION f_%1$s() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(a) FROM %1$I; END', place);
		EXECUTE format('CREATE POLICY p_%1$s ON target USING (id IN (SELECT id FROM %1$I WHERE a = ''a''))', place);
		EXECUTE format('CREATE FUNCTION g_%1$s(%1$I) RETURNS integer LANGUAGE sql AS ''SELECT 1''', place);
	END LOOP;
	RESET ROLE;
END $$;
DROP TABLE IF EXISTS target;
CALL build_below();
SET ROLE regress_upon_owner;
\set VERBOSITY terse
ALTER TABLE pair DROP COLUMN a;
ALTER TABLE pair DROP COLUMN b;
ALTER TABLE pair DROP COLUMN a CASCADE;
ALTER TABLE months DROP COLUMN b;
ALTER TABLE months DROP COLUMN a CASCADE;
SELECT DISTINCT kind, regexp_replace(object, '\d{4}_\d\d', 'month') AS object FROM built() ORDER BY 1, 2;
SELECT id, c FROM pair_deleted;
SELECT id FROM months_deleted;
SELECT soft_delete.untag('pair', tombstones => 'keep');
DROP VIEW pair_deleted CASCADE;
SELECT id, c FROM pair_deleted;
SELECT soft_delete.untag('pair', tombstones => 'keep');
-- a purge reads what it cannot drop
RESET ROLE;
CREATE PROCEDURE make_ended() LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, attack_dependents SET session_replication_role = replica SET row_security = off AS $$
BEGIN
	PERFORM soft_delete_internal.make_month('months', 'months_tombstones', '2020-01'), soft_delete_internal.bind_companion('months');
	INSERT INTO months_tombstones_2020_01 (deleted_at, id) VALUES ('2020-01-02', 7);
END $$;
CALL make_ended();
SET ROLE regress_upon_other;
CREATE VIEW v_ended AS SELECT id FROM months_tombstones_2020_01;
SET ROLE regress_upon_owner;
SELECT soft_delete.retain('months', '1 year');
CALL soft_delete.purge();
SELECT count(*) FROM months_deleted WHERE id = 7;
SELECT relation, rows, error FROM soft_delete.purge_log WHERE relation = 'attack_dependents.months';
DROP VIEW months_deleted CASCADE;
CALL soft_delete.purge();
SELECT to_regclass('months_tombstones_2020_01');
\set VERBOSITY default

-- 5. columns of tables and extensions are nothing that a hint drops
SELECT soft_delete.tag('aside');
GRANT SELECT ON aside_active TO regress_upon_other;
SET ROLE regress_upon_other;
CREATE TABLE rows (r attack_dependents.aside_active);
SET ROLE regress_upon_owner;
ALTER TABLE aside DROP COLUMN d;
ALTER TABLE aside DROP COLUMN d CASCADE;
SET ROLE regress_upon_other;
SELECT * FROM rows;
RESET ROLE;
DROP SCHEMA attack_dependents CASCADE;
DELETE FROM soft_delete_internal.purge_log WHERE relation LIKE 'attack_dependents%';
DROP ROLE regress_upon_owner, regress_upon_other;
