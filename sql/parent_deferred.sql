-- where a foreign key is deferred, a deleted parent is missed when the
-- hard-deleting twin would miss it: at the end of the statement, at SET
-- CONSTRAINTS or at commit.
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins

CALL make($$
	CREATE TABLE parent (id integer PRIMARY KEY);
	CREATE TABLE late (id integer PRIMARY KEY, parent_id integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE maybe (id integer PRIMARY KEY, parent_id integer CONSTRAINT maybe_fk REFERENCES parent DEFERRABLE);
	CREATE TABLE plain (id integer PRIMARY KEY, parent_id integer CONSTRAINT plain_fk REFERENCES parent);
	INSERT INTO parent VALUES (1), (2), (3);
	INSERT INTO late VALUES (1, 2);
$$);
SELECT ask('DELETE FROM parent WHERE id = 1');
-- at the end of the transaction
SELECT ask('INSERT INTO late VALUES (2, 1)');
SELECT ask('UPDATE late SET parent_id = 1');

\set at_commit 'BEGIN; INSERT INTO late VALUES (2, 1); SELECT count(*) FROM late; COMMIT;'
-- gone again or changed again before commit
\set in_time 'BEGIN; INSERT INTO late VALUES (3, 1), (4, 1); DELETE FROM late WHERE id = 3; UPDATE late SET parent_id = 2 WHERE id = 4; COMMIT;'
-- the last version counts, though its key did not change
\set last_version 'BEGIN; INSERT INTO late VALUES (5, 1); UPDATE late SET id = 6 WHERE id = 5; COMMIT;'
-- SET CONSTRAINTS, by name and all
\set by_name 'BEGIN; INSERT INTO late VALUES (7, 1); SET CONSTRAINTS late_parent_id_fkey IMMEDIATE; ROLLBACK;'
\set all 'BEGIN; SET CONSTRAINTS maybe_fk DEFERRED; INSERT INTO maybe VALUES (1, 1); SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK;'
\set not_deferred 'BEGIN; INSERT INTO maybe VALUES (1, 1); ROLLBACK;'
-- a parent deleted before the deferred check of its child
\set parent_goes 'BEGIN; INSERT INTO late VALUES (8, 3); DELETE FROM parent WHERE id = 3; COMMIT;'
-- a foreign key that becomes deferrable
\set becomes 'ALTER TABLE plain ALTER CONSTRAINT plain_fk DEFERRABLE INITIALLY DEFERRED; BEGIN; INSERT INTO plain VALUES (1, 1); DELETE FROM plain; COMMIT; INSERT INTO plain VALUES (2, 1);'
\set made_anew 'ALTER TABLE plain DROP CONSTRAINT plain_fk; INSERT INTO plain VALUES (3, 1); ALTER TABLE plain ADD CONSTRAINT plain_fk FOREIGN KEY (parent_id) REFERENCES parent NOT VALID; INSERT INTO plain VALUES (4, 1);'
SET search_path = hard;
:at_commit
\echo :LAST_ERROR_SQLSTATE
:in_time
:last_version
:by_name
:all
:not_deferred
:parent_goes
:becomes
:made_anew
SET search_path = soft;
:at_commit
\echo :LAST_ERROR_SQLSTATE
:in_time
:last_version
:by_name
:all
:not_deferred
:parent_goes
:becomes
:made_anew

SET search_path = twins;
SELECT ask('SELECT FROM late');
-- of the stray row that was let in without the foreign key
SELECT severity, problem FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
