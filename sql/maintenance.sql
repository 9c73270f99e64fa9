-- row_security = off in the owner or a superuser, as pg_dump sets it, sees and writes everything;
-- in a role with BYPASSRLS it sees everything, and in any other fails rather than leave out a row
--
-- DELETE skips deleted rows there, too.
CREATE ROLE regress_maintenance;
CREATE ROLE regress_maintenance_app;
CREATE ROLE regress_maintenance_bypass BYPASSRLS;
CREATE SCHEMA maintenance AUTHORIZATION regress_maintenance;
GRANT USAGE ON SCHEMA maintenance TO regress_maintenance_app, regress_maintenance_bypass;
SET ROLE regress_maintenance;
SET search_path = maintenance;
\set QUIET off

CREATE TABLE t (id integer PRIMARY KEY, v text);
INSERT INTO t VALUES (1, 'a'), (2, 'b');
SELECT soft_delete.tag('t');
GRANT ALL ON t TO regress_maintenance_app, regress_maintenance_bypass;
CREATE TABLE whole (id integer PRIMARY KEY);
INSERT INTO whole VALUES (1);
SELECT soft_delete.tag('whole');
GRANT ALL ON whole TO regress_maintenance_app;
DELETE FROM t WHERE id = 1;
PREPARE before AS SELECT count(*) FROM t;
EXECUTE before;

SET row_security = off;
SELECT count(*) FROM t;
EXECUTE before;
PREPARE within AS SELECT count(*) FROM t;
PREPARE write (integer, timestamptz) AS INSERT INTO t VALUES ($1, 'w', $2);
EXECUTE within;
COPY t (id, v, deleted_at) FROM stdin;
3	c	2020-01-01 00:00:00+00
4	d	\N
\.
EXECUTE write (5, '2020-01-01 00:00:00+00');
COPY (SELECT id, v, deleted_at IS NULL FROM t ORDER BY id) TO stdout;
COPY t (id) TO stdout;
UPDATE t SET v = 'changed' WHERE id = 1;
-- even here an ordinary DELETE does not destroy
DELETE FROM t WHERE id = 3;
DELETE FROM t WHERE id = 4;
SELECT count(*) FROM t;

-- a plan that was made here hides again elsewhere
SET row_security = on;
EXECUTE within;
EXECUTE before;
EXECUTE write (6, '2020-01-01 00:00:00+00');
SELECT id, v FROM t_deleted ORDER BY id;

-- any other role gets all of a table, or an error: never a part
SET ROLE regress_maintenance_app;
SELECT count(*) FROM t;
SET row_security = off;
SELECT count(*) FROM t;
EXECUTE before;
INSERT INTO t VALUES (7, 'x', now());
UPDATE t SET v = v;
COPY t TO stdout;
COPY (SELECT id FROM t) TO stdout;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM ONLY t ORDER BY id;
FETCH ALL FROM c;
ROLLBACK;
CREATE TABLE pg_temp.copied AS SELECT * FROM t;
-- and no condition is told of what is left out, however cheap it is said to be
CREATE FUNCTION pg_temp.tells(v text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN RAISE NOTICE ''told of %'', v; RETURN true; END';
\set VERBOSITY terse
SELECT id FROM t WHERE pg_temp.tells(v);
SELECT id FROM (SELECT id, v FROM t UNION ALL SELECT id, v FROM t) AS s WHERE pg_temp.tells(v);
SELECT t.id FROM whole LEFT JOIN t ON pg_temp.tells(t.v);
SELECT s.id FROM whole CROSS JOIN LATERAL (SELECT id, v FROM t UNION ALL SELECT id, v FROM t) AS s WHERE pg_temp.tells(s.v || whole.id);
UPDATE t SET v = v WHERE pg_temp.tells(v);
DROP FUNCTION pg_temp.tells(text);
\set VERBOSITY default
-- of one without tombstones, that is all of it
SELECT count(*) FROM whole;
COPY whole TO stdout;
-- a role that row security passes by sees what it may read, and writes like any other
SET ROLE regress_maintenance_bypass;
SELECT count(*) FROM t;
COPY t (id, v) TO stdout;
UPDATE t SET v = v;
INSERT INTO t VALUES (7, 'x', now());
RESET row_security;
SELECT count(*) FROM t;
COPY t (id, v) TO stdout;

-- deleted children of deleted parents can be loaded where the foreign key is there already, as pg_restore may find it
SET ROLE regress_maintenance;
CREATE TABLE child (id integer PRIMARY KEY, t_id integer REFERENCES t);
GRANT ALL ON child TO regress_maintenance_app;
SELECT soft_delete.tag('child');
SET row_security = off;
INSERT INTO child VALUES (1, 4, '2020-01-01 00:00:00+00');
COPY child FROM stdin;
2	4	2020-01-01 00:00:00+00
\.
SET ROLE regress_maintenance_app;
INSERT INTO child (id, t_id) VALUES (3, 4);
SET ROLE regress_maintenance;
SET row_security = on;
INSERT INTO child (id, t_id) VALUES (3, 4);
SELECT id, t_id FROM child_deleted ORDER BY id;
RESET row_security;

-- but the actions of foreign keys leave what is deleted alone
CREATE TABLE linked (id integer PRIMARY KEY, t_id integer REFERENCES t ON DELETE SET NULL);
SELECT soft_delete.tag('linked');
INSERT INTO t (id, v) VALUES (8, 'parent');
INSERT INTO linked VALUES (1, 8), (2, 8);
DELETE FROM linked WHERE id = 1;
SET row_security = off;
DELETE FROM t WHERE id = 8;
RESET row_security;
SELECT id, t_id FROM linked;
SELECT id, t_id FROM linked_deleted;

-- who borrows the owner's rights is not in his maintenance session
CREATE FUNCTION count_all() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM maintenance.t';
CREATE FUNCTION change_all() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS
	'WITH changed AS (UPDATE maintenance.t SET v = v RETURNING 1) SELECT count(*) FROM changed';
GRANT USAGE ON SCHEMA maintenance TO regress_maintenance_app;
SELECT count(*) AS live FROM t \gset
SET ROLE regress_maintenance_app;
SET row_security = off;
SELECT count_all() = :live AS counts_live, change_all() = :live AS changes_live;
-- nor do the functions of others see more in one
RESET ROLE;
ALTER FUNCTION count_all() OWNER TO regress_maintenance_app;
GRANT SELECT ON maintenance.t TO regress_maintenance_app;
SELECT count_all() = :live AS counts_live;
SET ROLE regress_maintenance;
SELECT count_all() = :live AS counts_live, count(*) > :live AS maintains FROM t;

-- everybody may read what a materialized view has been filled with
CREATE MATERIALIZED VIEW all_of_them AS SELECT id FROM t;
SELECT count(*) = :live AS live FROM all_of_them;
REFRESH MATERIALIZED VIEW all_of_them;
SELECT count(*) = :live AS live FROM all_of_them;

-- a foreign key that a dump adds is about live rows
RESET row_security;
CREATE TABLE untagged (id integer PRIMARY KEY);
CREATE TABLE refers (id integer PRIMARY KEY, other integer REFERENCES untagged);
SELECT soft_delete.tag('refers');
INSERT INTO untagged VALUES (1), (2);
INSERT INTO refers VALUES (1, 1), (2, 2);
DELETE FROM refers WHERE id = 1;
DELETE FROM untagged WHERE id = 1;
SET row_security = off;
ALTER TABLE refers DROP CONSTRAINT refers_other_fkey;
ALTER TABLE refers ADD FOREIGN KEY (other) REFERENCES untagged NOT VALID;
ALTER TABLE refers VALIDATE CONSTRAINT refers_other_fkey;
ALTER TABLE refers DROP CONSTRAINT refers_other_fkey;
DELETE FROM untagged;
ALTER TABLE refers ADD FOREIGN KEY (other) REFERENCES untagged;
DELETE FROM refers;
ALTER TABLE refers ADD FOREIGN KEY (other) REFERENCES untagged;
SELECT count(*) FROM refers;
-- whether or not the tags of both tables have been restored
CREATE TABLE restored (id integer PRIMARY KEY);
SELECT soft_delete.tag('restored');
CREATE TABLE bare (id integer PRIMARY KEY, other integer, deleted_at timestamptz);
INSERT INTO restored VALUES (1, now());
INSERT INTO bare VALUES (1, 1, now());
ALTER TABLE bare ADD FOREIGN KEY (other) REFERENCES restored;
RESET row_security;

RESET ROLE;
SET row_security = off;
SELECT count(*) FROM maintenance.t;
RESET row_security;
SELECT count(*) FROM maintenance.t;
DROP SCHEMA maintenance CASCADE;
DROP ROLE regress_maintenance, regress_maintenance_app, regress_maintenance_bypass;
