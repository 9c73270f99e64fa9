-- untag() loses no row: it refuses, purges or keeps, as told
CREATE ROLE regress_untag_refuses;
CREATE SCHEMA untag_refuses AUTHORIZATION regress_untag_refuses;
SET ROLE regress_untag_refuses;
SET search_path = untag_refuses;
\set SHOW_CONTEXT never

CREATE TABLE t (id integer PRIMARY KEY, email text UNIQUE);
INSERT INTO t VALUES (1, 'a'), (2, 'b');
SELECT soft_delete.tag('t');
DELETE FROM t WHERE id = 1;
SELECT soft_delete.untag('t');
SELECT soft_delete.untag('t', tombstones => 'drop');
SELECT soft_delete.untag('t', tombstones => NULL);
SELECT soft_delete.untag(NULL);

-- keep makes them live, unless keys would collide
INSERT INTO t VALUES (3, 'a');
SELECT soft_delete.untag('t', tombstones => 'keep');
SELECT * FROM t ORDER BY id;
SELECT id, email FROM t_deleted;
DELETE FROM t WHERE id = 3;
DELETE FROM t_deleted WHERE id = 3;
SELECT soft_delete.untag('t', tombstones => 'keep');
SELECT id, email, deleted_at IS NULL FROM t ORDER BY id;

RESET ROLE;
DROP SCHEMA untag_refuses CASCADE;
DROP ROLE regress_untag_refuses;
