-- check() finds what would break the promise, and its remedies can be pasted
--
-- Each problem is made, found, and solved by its remedy.
CREATE ROLE regress_check;
CREATE SCHEMA "check" AUTHORIZATION regress_check;
SET ROLE regress_check;
SET search_path = "check";

CREATE TABLE parent (id integer PRIMARY KEY, "No" integer, UNIQUE ("No", id));
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE pair (id integer PRIMARY KEY, parent_id bigint, "no" integer, FOREIGN KEY (parent_id, "no") REFERENCES parent (id, "No"));
CREATE TABLE part (id integer PRIMARY KEY, parent_id integer REFERENCES parent) PARTITION BY HASH (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT soft_delete.tag('parent', cascade => true);
SELECT soft_delete.tag('part');
INSERT INTO parent SELECT g, g FROM generate_series(1, 9) g;
INSERT INTO child SELECT g, g FROM generate_series(1, 5) g;
INSERT INTO pair VALUES (1, 6, 6), (2, 7, NULL);
INSERT INTO part SELECT g, g FROM generate_series(6, 9) g;
DELETE FROM part WHERE id > 6;
DELETE FROM parent WHERE id IN (1, 9);
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- rows that reference nothing, made behind the server's back
RESET ROLE;
SET session_replication_role = replica;
INSERT INTO child VALUES (11, 1), (12, 99);
DELETE FROM parent WHERE id IN (2, 6, 8);
RESET session_replication_role;
SET ROLE regress_check;
DELETE FROM child WHERE id = 2;
SELECT severity, relation, problem FROM soft_delete.check() ORDER BY relation::text, problem;
-- no remedy destroys: it shows them
SELECT remedy FROM soft_delete.check() ORDER BY relation::text, problem \gexec
DELETE FROM child WHERE parent_id NOT IN (SELECT id FROM parent);
DELETE FROM part WHERE parent_id NOT IN (SELECT id FROM parent);
DELETE FROM child_deleted WHERE parent_id NOT IN (SELECT id FROM parent TABLESAMPLE soft_delete.rows('all'));
DELETE FROM part_deleted WHERE parent_id NOT IN (SELECT id FROM parent TABLESAMPLE soft_delete.rows('all'));
DELETE FROM pair WHERE parent_id NOT IN (SELECT id FROM parent);
SELECT severity, relation, problem FROM soft_delete.check() ORDER BY relation::text, problem;

-- a role is told of its own tables
RESET ROLE;
CREATE ROLE regress_check_other;
SET ROLE regress_check_other;
SELECT * FROM soft_delete.check() ORDER BY relation::text, problem;

-- a monitor is told of all, but does not have tables read, and is not told what an error quotes
RESET ROLE;
CREATE ROLE regress_check_monitor IN ROLE pg_monitor;
GRANT USAGE ON SCHEMA "check" TO regress_check_monitor;
CREATE TABLE late (id integer PRIMARY KEY);
INSERT INTO soft_delete_internal.retention (relation, retain) VALUES ('late', '1 day');
INSERT INTO soft_delete_internal.purge_log (relation, purged_at, purged_by, rows, duration, error, owner, roleid)
SELECT v.relation, now(), 'regress_check', rows, '0', error, relowner::regrole::text, relowner
FROM (VALUES ('"check".part', 0, 'Key (id)=(4711) is secret'), ('"check".gone', 7, NULL)) AS v(relation, rows, error), pg_class WHERE oid = '"check".part'::regclass;
SET session_replication_role = replica;
INSERT INTO child VALUES (12, 99);
RESET session_replication_role;
SELECT severity, relation, problem FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT relation, rows, error FROM soft_delete.purge_log WHERE relation LIKE '"check".%' ORDER BY relation;
SET ROLE regress_check;
SELECT relation, rows, error FROM soft_delete.purge_log WHERE relation LIKE '"check".%' ORDER BY relation;
SET ROLE regress_check_monitor;
SELECT severity, relation, problem FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT relation, rows, error FROM soft_delete.purge_log WHERE relation LIKE '"check".%' ORDER BY relation;
SET ROLE regress_check_other;
SELECT relation, rows, error FROM soft_delete.purge_log WHERE relation LIKE '"check".%' ORDER BY relation;
RESET ROLE;
DELETE FROM soft_delete_internal.purge_log WHERE relation LIKE '"check".%';
DELETE FROM soft_delete_internal.retention WHERE relation = 'late'::regclass;

RESET ROLE;
DROP SCHEMA "check" CASCADE;
DROP ROLE regress_check, regress_check_other, regress_check_monitor;
