-- preview() and skip_conflicts know constraints that have come since the deletion, and those of partitions
CREATE ROLE regress_preview_constraints;
CREATE SCHEMA preview_constraints AUTHORIZATION regress_preview_constraints;
SET ROLE regress_preview_constraints;
SET search_path = preview_constraints;
\set VERBOSITY terse
CREATE FUNCTION last() RETURNS timestamptz LANGUAGE sql AS 'SELECT max(deleted_at) FROM soft_delete.deletions';

-- constraints that are newer than the deleted rows, one with a function that finds a table by the search_path
CREATE TABLE t (id integer PRIMARY KEY, k integer, v text, w text);
SELECT soft_delete.tag('t', storage => 'aside') IS NOT NULL AS is_tagged;
INSERT INTO t VALUES (1, 1, 'x', 'w'), (2, 2, NULL, 'w'), (3, 3, 'z', 'w'), (4, 4, 'y', NULL), (5, 5, 'v', 'w');
DELETE FROM t;
CREATE TABLE allowed (v text);
INSERT INTO allowed VALUES ('x'), ('y'), ('z');
CREATE FUNCTION is_allowed(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT FROM allowed WHERE v = $1); END';
ALTER TABLE t ALTER v SET NOT NULL, ADD CHECK (k <> 1), ADD CONSTRAINT t_whole CHECK (t IS NOT NULL), ADD CONSTRAINT t_allowed CHECK (is_allowed(v)) NOT VALID;
SELECT "row", outcome, detail FROM soft_delete.preview(last()) ORDER BY 1, 3;
SELECT soft_delete.undo(last(), skip_conflicts => true);
SELECT id FROM t;

-- keys and constraints that one partition has
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE FUNCTION make(storage text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TABLE p (id integer, k integer, is_a boolean NOT NULL) PARTITION BY LIST (is_a);
	CREATE TABLE p_a PARTITION OF p FOR VALUES IN (true);
	CREATE TABLE p_b PARTITION OF p FOR VALUES IN (false) PARTITION BY HASH (id);
	CREATE TABLE p_b_0 PARTITION OF p_b FOR VALUES WITH (MODULUS 1, REMAINDER 0);
	CREATE UNIQUE INDEX p_a_key ON p_a (k) WHERE k < 3;
	ALTER TABLE p_a ADD FOREIGN KEY (id) REFERENCES parent;
	CREATE UNIQUE INDEX p_b_key ON p_b (id, k);
	PERFORM soft_delete.tag('p', storage => storage);
	INSERT INTO parent VALUES (1), (2), (3), (4) ON CONFLICT DO NOTHING;
	INSERT INTO p VALUES (1, 1, true), (2, 2, true), (3, 3, true), (1, 1, false), (2, 2, false), (3, 3, false);
	DELETE FROM p;
	DELETE FROM parent WHERE id = 2;
	INSERT INTO p VALUES (4, 1, true), (4, 3, true), (1, 1, false);
END
$$;
SELECT make('aside');
SELECT outcome, detail FROM soft_delete.preview(last()) AS c ORDER BY outcome, detail;
-- as does check(), which names one row, for the other partition has no such foreign key
SELECT relation, problem FROM soft_delete.check() WHERE severity = 'error';
SELECT soft_delete.undo(last(), skip_conflicts => true);
SELECT id, k, is_a FROM p ORDER BY is_a, id, k;
DROP TABLE p;
SELECT make('in_place');
SELECT outcome, detail FROM soft_delete.preview(last()) AS c ORDER BY outcome, detail;
SELECT soft_delete.undo(last(), skip_conflicts => true);
SELECT id, k, is_a FROM p ORDER BY is_a, id, k;

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA preview_constraints CASCADE;
DROP ROLE regress_preview_constraints;
