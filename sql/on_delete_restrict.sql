-- ON DELETE RESTRICT: live children block, at once; deleted ones do not
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins
\set action ' ON DELETE RESTRICT'
\set statements :srcdir '/sql/on_delete_blocks.inc'
\i :statements

-- deferrable or not
CALL make($$
	CREATE TABLE late (id integer PRIMARY KEY, parent_id integer CONSTRAINT late_fk REFERENCES parent ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED);
	INSERT INTO late VALUES (1, 4);
$$);
SELECT ask('DO $do$ BEGIN DELETE FROM parent WHERE id = 4; DELETE FROM late; END $do$');
SELECT ask('DO $do$ BEGIN DELETE FROM late; DELETE FROM parent WHERE id = 4; END $do$');

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
