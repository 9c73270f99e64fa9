-- The ledger keeps a deletion as long as it has rows, and then as long as soft_delete.keep_ledger says.
CREATE ROLE regress_keeps;
CREATE SCHEMA keeps AUTHORIZATION regress_keeps;
SET ROLE regress_keeps;
SET search_path = keeps;
SET client_min_messages = warning;
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE linked (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL);
SELECT soft_delete.tag('parent'), soft_delete.tag('linked');
INSERT INTO parent SELECT generate_series(1, 9);
INSERT INTO linked SELECT n, n FROM generate_series(1, 9) AS n;
CREATE VIEW kept AS
	SELECT row_number() OVER (ORDER BY deleted_at) AS n, deleted, restored, purged, erased, (SELECT count(*) FROM soft_delete.events AS e WHERE e.deleted_at = d.deleted_at) AS events
	FROM soft_delete.deletions AS d ORDER BY deleted_at;
DELETE FROM parent WHERE id <= 2;
DELETE FROM parent WHERE id = 3;
DELETE FROM parent WHERE id = 4;
DELETE FROM linked WHERE id = 9;
SELECT soft_delete.undo(deleted_at) FROM parent_deleted WHERE id = 4;
SELECT soft_delete.retain('parent', '0');

-- for ever, without the references that they have overwritten
SHOW soft_delete.keep_ledger;
CALL soft_delete.purge();
SELECT * FROM kept;
RESET ROLE;
SELECT count(*) FROM soft_delete_internal.set_null_references WHERE relation = 'keeps.linked'::regclass;

-- as long as it says
SET soft_delete.keep_ledger = '10d';
SET ROLE regress_keeps;
CALL soft_delete.purge();
SELECT * FROM kept;
RESET ROLE;
UPDATE soft_delete_internal.ledger SET deleted_at = deleted_at - interval '11 days' WHERE deleted_by = 'regress_keeps' AND deleted_at <= (SELECT deleted_at FROM soft_delete.deletions WHERE deleted_by = 'regress_keeps' ORDER BY 1 OFFSET 1 LIMIT 1);
UPDATE soft_delete_internal.events SET deleted_at = deleted_at - interval '11 days' WHERE table_name = 'keeps.parent' AND NOT EXISTS (SELECT FROM soft_delete_internal.ledger AS l WHERE l.deleted_at = events.deleted_at);
SET ROLE regress_keeps;
SELECT * FROM kept;
CALL soft_delete.purge();
SELECT * FROM kept;

-- and not one that has rows
RESET ROLE;
SET soft_delete.keep_ledger = 0;
SET ROLE regress_keeps;
CALL soft_delete.purge();
SELECT * FROM kept;
SELECT count(deleted_by) FROM linked_deleted;

-- only a superuser says
SET soft_delete.keep_ledger = -1;
RESET ROLE;
RESET soft_delete.keep_ledger;
DROP SCHEMA keeps CASCADE;
DROP ROLE regress_keeps;
