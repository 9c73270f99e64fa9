-- ON UPDATE CASCADE: live children get the new key as with hard deletes, and so
-- do the deleted ones, which would dangle otherwise
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins
\set action ' ON UPDATE CASCADE'
\set statements :srcdir '/sql/on_update.inc'
\i :statements

-- the key is a part of one that is referenced in turn
CALL make($$
	CREATE TABLE top (id integer PRIMARY KEY);
	CREATE TABLE middle (top_id integer REFERENCES top ON UPDATE CASCADE, n integer, PRIMARY KEY (top_id, n));
	CREATE TABLE bottom (id integer PRIMARY KEY, top_id integer, n integer, FOREIGN KEY (top_id, n) REFERENCES middle ON UPDATE CASCADE);
	INSERT INTO top VALUES (1);
	INSERT INTO middle VALUES (1, 1), (1, 2);
	INSERT INTO bottom VALUES (1, 1, 1), (2, 1, 1), (3, 1, 2);
$$);
SELECT ask('DELETE FROM bottom WHERE id > 1');
SELECT ask('DELETE FROM middle WHERE n = 2');
SELECT ask('UPDATE top SET id = 2');
TABLE soft.bottom ORDER BY id;
SELECT * FROM deletions() WHERE deletions ~ 'bottom|middle';

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
