-- ON UPDATE SET NULL: a changed key cuts the references of live children as with
-- hard deletes, and those of deleted ones, which would dangle otherwise
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins
\set action ' ON UPDATE SET NULL'
\set statements :srcdir '/sql/on_update.inc'
\i :statements

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
