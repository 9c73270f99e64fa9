-- soft_delete.truncate = hard: TRUNCATE destroys live and deleted rows, what stepped aside included
CREATE ROLE regress_truncate;
CREATE SCHEMA truncate_hard AUTHORIZATION regress_truncate;
SET ROLE regress_truncate;
SET search_path = truncate_hard;
\set QUIET off

CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE other (id integer PRIMARY KEY);
CREATE TABLE p (id integer PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
SELECT soft_delete.tag('t'), soft_delete.tag('other'), soft_delete.tag('p');
INSERT INTO t VALUES (1), (2);
INSERT INTO other VALUES (1);
INSERT INTO p VALUES (1);
DELETE FROM t WHERE id = 1;
DELETE FROM other;
DELETE FROM p;
-- these step aside
INSERT INTO t VALUES (1);
INSERT INTO other VALUES (1);
INSERT INTO p VALUES (1);

-- not what is held
UPDATE t_deleted SET hold = 'case 1';
SELECT soft_delete.hold('p', 'case 2');

-- it is not for the application to choose
SET soft_delete.truncate = hard;
ALTER ROLE regress_truncate SET soft_delete.truncate = hard;
RESET ROLE;
SET soft_delete.truncate = firm;
SET soft_delete.truncate = hard;
SET ROLE regress_truncate;

TRUNCATE t;
UPDATE t_deleted SET hold = NULL;
BEGIN;
TRUNCATE t;
SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('all');
SELECT count(*) FROM t_deleted;
SELECT count(*) FROM other_deleted;
ROLLBACK;
SELECT id FROM t_deleted;
TRUNCATE other, p;
SELECT soft_delete.hold('p', NULL);
TRUNCATE t, p;
SELECT count(*) FROM t_deleted;
SELECT count(*) FROM p_deleted;
SELECT tableoid::regclass AS companion FROM t_tombstones UNION ALL SELECT tableoid::regclass FROM p_tombstones UNION ALL SELECT tableoid::regclass FROM other_tombstones;

-- session_replication_role = replica: as at the origin
RESET ROLE;
RESET soft_delete.truncate;
SET session_replication_role = replica;
INSERT INTO t VALUES (3);
TRUNCATE t;
RESET session_replication_role;
SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('all');

\set QUIET on
SET client_min_messages = warning;
DROP SCHEMA truncate_hard CASCADE;
DROP ROLE regress_truncate;
TRUNCATE soft_delete_internal.lifted_holds;
