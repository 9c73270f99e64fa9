-- ON UPDATE NO ACTION: live children block a change of the key, at the end of the
-- statement or at commit; deleted ones follow it
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins
\set action ' ON UPDATE NO ACTION'
\set statements :srcdir '/sql/on_update.inc'
\i :statements

-- deferred
CALL make($$
	CREATE TABLE late (id integer PRIMARY KEY, p integer CONSTRAINT late_fk REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	INSERT INTO late VALUES (1, 104), (2, 104);
$$);
SELECT ask('DELETE FROM late WHERE id = 1');
SELECT ask('UPDATE parent SET id = 204 WHERE id = 104');
SELECT ask('DO $do$ BEGIN UPDATE parent SET id = 204 WHERE id = 104; UPDATE late SET p = 204; END $do$');
SELECT ask('DO $do$ BEGIN UPDATE parent SET id = 205 WHERE id = 204; UPDATE parent SET id = 204 WHERE id = 205; END $do$');
SELECT * FROM deletions() WHERE deletions ~ 'late';

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
