-- ON DELETE NO ACTION DEFERRABLE: live children block at SET CONSTRAINTS or at
-- commit, and what happens before then counts
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins

CALL make($$
	CREATE TABLE parent (id integer PRIMARY KEY, note text);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer CONSTRAINT child_fk REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE maybe (id integer PRIMARY KEY, parent_id integer CONSTRAINT maybe_fk REFERENCES parent DEFERRABLE);
	CREATE TABLE tree (id integer PRIMARY KEY, up integer CONSTRAINT tree_fk REFERENCES tree DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (9);
	CREATE TABLE pieces (id integer PRIMARY KEY, part_id integer CONSTRAINT pieces_fk REFERENCES parts DEFERRABLE INITIALLY DEFERRED) PARTITION BY HASH (id);
	CREATE TABLE pieces_1 PARTITION OF pieces FOR VALUES WITH (MODULUS 1, REMAINDER 0);
	INSERT INTO parent SELECT generate_series(1, 9);
	INSERT INTO child SELECT g, g FROM generate_series(1, 5) g;
	INSERT INTO maybe VALUES (1, 6);
	INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2);
	INSERT INTO parts VALUES (1), (2);
	INSERT INTO pieces VALUES (1, 1), (2, 2);
$$);
SELECT ask('DELETE FROM parent WHERE id = 1');
SELECT ask('DELETE FROM tree WHERE id = 1');
SELECT ask('DELETE FROM parts');
SELECT ask('DELETE FROM child WHERE id = 1');
SELECT ask('DELETE FROM parent WHERE id = 1');
-- the child goes, or goes elsewhere, after its parent
CREATE FUNCTION steps(VARIADIC statements text[]) RETURNS text LANGUAGE sql AS $$
	SELECT format('DO $do$ BEGIN %s; END $do$', array_to_string(statements, '; '))
$$;
SELECT ask(twins.steps('DELETE FROM parent WHERE id = 2', 'DELETE FROM child WHERE id = 2'));
SELECT ask(twins.steps('DELETE FROM parent WHERE id = 3', 'UPDATE child SET parent_id = 4 WHERE id = 3'));
SELECT ask(twins.steps('DELETE FROM parts', 'DELETE FROM pieces'));
SELECT ask(twins.steps('DELETE FROM tree WHERE id = 1', 'DELETE FROM tree WHERE id = 2', 'DELETE FROM tree'));
-- not deferred unless asked to be
SELECT ask(twins.steps('DELETE FROM parent WHERE id = 6', 'DELETE FROM maybe'));
SELECT ask(twins.steps('SET CONSTRAINTS maybe_fk DEFERRED', 'DELETE FROM parent WHERE id = 6', 'DELETE FROM maybe'));
-- made immediate too early
SELECT ask(twins.steps('DELETE FROM parent WHERE id = 5', 'SET CONSTRAINTS child_fk IMMEDIATE', 'DELETE FROM child WHERE id = 5'));
SELECT * FROM deletions();

-- at COMMIT
\set blocked 'BEGIN; DELETE FROM parent WHERE id = 5; SELECT count(*) FROM parent; COMMIT;'
\set freed 'BEGIN; DELETE FROM parent WHERE id = 5; DELETE FROM child WHERE parent_id = 5; COMMIT;'
\set undone 'BEGIN; SAVEPOINT s; DELETE FROM parent WHERE id = 4; ROLLBACK TO s; COMMIT;'
\set born 'BEGIN; INSERT INTO child VALUES (7, 7); DELETE FROM parent WHERE id = 7; COMMIT;'
SET search_path = hard;
:blocked
\echo :LAST_ERROR_SQLSTATE
:freed
:undone
:born
SET search_path = soft;
:blocked
\echo :LAST_ERROR_SQLSTATE
:freed
:undone
:born
SET search_path = twins;
SELECT ask('SELECT FROM child');
-- the parent comes back in time
SET search_path = soft;
BEGIN;
DELETE FROM parent WHERE id = 4;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 4;
COMMIT;

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
