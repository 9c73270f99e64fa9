-- a bin restores and purges, and refuses everything else
CREATE ROLE regress_bin_refuses;
CREATE SCHEMA bin_refuses AUTHORIZATION regress_bin_refuses;
SET ROLE regress_bin_refuses;
SET search_path = bin_refuses;
\set QUIET off

CREATE TABLE t (id integer, v text, doc text);
ALTER TABLE t ALTER COLUMN doc SET STORAGE EXTERNAL;
INSERT INTO t VALUES (1, 'a', repeat('x', 10000)), (2, NULL, NULL);
SELECT soft_delete.tag('t');
DELETE FROM t;
UPDATE t_deleted SET v = 'b';
UPDATE t_deleted SET deleted_at = NULL, v = 'b' WHERE id = 1;
UPDATE t_deleted SET deleted_at = NULL, v = 'b' WHERE id = 2;
UPDATE t_deleted SET deleted_at = NULL, doc = 'b' WHERE id = 1;
UPDATE t_deleted SET deleted_at = now();
UPDATE t_deleted SET deleted_at = deleted_at;
UPDATE t_deleted SET stored_place = '(0,1)', deleted_at = NULL;
UPDATE t_deleted SET stored_in = 'pg_class'::regclass, deleted_at = NULL;
INSERT INTO t_deleted VALUES (3, 'c');
TRUNCATE t_deleted;
SELECT id, v, length(doc) FROM t_deleted ORDER BY id;
-- what does not change anything is no change
UPDATE t_deleted SET deleted_at = NULL, v = v, doc = doc || '', id = id + 0 WHERE id = 1;
SELECT id, v, length(doc) FROM t;

-- errors do not tell keys to who may not read them, in the table or in the bin
RESET ROLE;
CREATE ROLE regress_bin_support;
SET ROLE regress_bin_refuses;
CREATE TABLE parent (id integer PRIMARY KEY, secret text UNIQUE);
CREATE TABLE child (id integer PRIMARY KEY, secret text REFERENCES parent (secret));
SELECT soft_delete.tag('parent'), soft_delete.tag('child');
INSERT INTO parent VALUES (1, 'x');
INSERT INTO child VALUES (1, 'x');
DELETE FROM child;
DELETE FROM parent;
GRANT USAGE ON SCHEMA bin_refuses TO regress_bin_support;
GRANT SELECT (id), UPDATE (deleted_at), DELETE ON parent_deleted, child_deleted TO regress_bin_support;
SET ROLE regress_bin_support;
UPDATE child_deleted SET deleted_at = NULL WHERE id = 1;
DELETE FROM parent_deleted WHERE id = 1;
SET ROLE regress_bin_refuses;
GRANT SELECT (secret) ON child_deleted TO regress_bin_support;
GRANT SELECT (secret) ON parent TO regress_bin_support;
SET ROLE regress_bin_support;
UPDATE child_deleted SET deleted_at = NULL WHERE id = 1;
DELETE FROM parent_deleted WHERE id = 1;

RESET ROLE;
DROP SCHEMA bin_refuses CASCADE;
DROP ROLE regress_bin_refuses, regress_bin_support;
