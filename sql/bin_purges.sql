-- DELETE FROM bin destroys, and nothing else does
CREATE ROLE regress_bin_purges;
CREATE SCHEMA bin_purges AUTHORIZATION regress_bin_purges;
SET ROLE regress_bin_purges;
SET search_path = bin_purges;
\set QUIET off

CREATE TABLE t (id integer, v text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''% %'', TG_OP, OLD.id; RETURN OLD; END';
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 6) g;
SELECT soft_delete.tag('t');
DELETE FROM t WHERE id < 6;
-- the application's triggers fired when it deleted, and do not fire again
CREATE TRIGGER tell AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION tell();
DELETE FROM t_deleted WHERE id = 1 RETURNING id, v, deleted_at IS NOT NULL AS deleted;
DELETE FROM t_deleted WHERE id = 1;
DELETE FROM t_deleted USING (VALUES (2), (2)) AS d (id) WHERE t_deleted.id = d.id;
WITH purged AS (DELETE FROM t_deleted WHERE id = 3 RETURNING id) SELECT count(*) FROM purged;
-- ordinary statements never destroy
DELETE FROM t WHERE id = 4;
SELECT id FROM t TABLESAMPLE soft_delete.rows('all') ORDER BY id;
BEGIN;
DELETE FROM t_deleted;
ROLLBACK;
SELECT id FROM t_deleted ORDER BY id;
-- restored and purged in one statement: it happens once
WITH r AS (UPDATE t_deleted SET deleted_at = NULL WHERE id = 4 RETURNING id),
	p AS (DELETE FROM t_deleted WHERE id = 4 RETURNING id)
SELECT (SELECT count(*) FROM r) + (SELECT count(*) FROM p) AS once;
DELETE FROM t_deleted;
SELECT count(*) FROM t_deleted;
SELECT count(*) >= 1 AS live_stays FROM t TABLESAMPLE soft_delete.rows('all');

RESET ROLE;
DROP SCHEMA bin_purges CASCADE;
DROP ROLE regress_bin_purges;
