-- ON UPDATE SET DEFAULT: a changed key gives live children their default as with
-- hard deletes, and deleted ones too, which would dangle otherwise; where no row
-- has the default they follow the key
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins
\set action ' ON UPDATE SET DEFAULT'
\set statements :srcdir '/sql/on_update.inc'
\i :statements

-- a default that no row has, or only a deleted one
SELECT ask('ALTER TABLE coded ALTER p SET DEFAULT $$none$$');
SELECT ask($$INSERT INTO parent VALUES (0, 'code 0'), (5, 'code 5'), (6, 'code 6')$$);
SELECT ask($$INSERT INTO child VALUES (5, 5), (6, 6)$$);
SELECT ask($$INSERT INTO coded VALUES (5, 'code 5')$$);
SELECT ask('DELETE FROM coded');
SELECT ask('DELETE FROM child WHERE id = 5');
SELECT ask('DELETE FROM parent WHERE id = 0');
SELECT ask($$UPDATE parent SET id = 55, code = 'code 55' WHERE id = 5$$);
SELECT ask('UPDATE parent SET id = 66 WHERE id = 6');
SELECT * FROM deletions() WHERE deletions ~ '[(]5,';

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
