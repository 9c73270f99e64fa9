-- ON UPDATE RESTRICT: live children block a change of the key, at once; deleted
-- ones follow it
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins
\set action ' ON UPDATE RESTRICT'
\set statements :srcdir '/sql/on_update.inc'
\i :statements

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
