-- ON DELETE NO ACTION: live children block, at the end of the statement; deleted
-- ones do not
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins
\set action ' ON DELETE NO ACTION'
\set statements :srcdir '/sql/on_delete_blocks.inc'
\i :statements

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
