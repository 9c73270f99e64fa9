-- A batch that is rolled back has not happened: neither to what comes next, nor to the ledger.
SET client_min_messages = warning;
CREATE TABLE parents (id integer PRIMARY KEY);
CREATE TABLE children (id integer PRIMARY KEY, parent integer REFERENCES parents ON DELETE CASCADE);
ALTER TABLE parents ADD favourite integer REFERENCES children DEFERRABLE;
SELECT soft_delete.tag('parents', cascade => true);
INSERT INTO parents SELECT generate_series(1, 4);
INSERT INTO children SELECT n, n FROM generate_series(1, 4) AS n;
DELETE FROM parents;
CREATE FUNCTION batch(n integer, begins boolean) RETURNS TABLE (relation regclass, rows bigint, done boolean)
LANGUAGE sql AS $$
	SELECT relation, rows, done
	FROM soft_delete_internal.purge_batch('{children,parents}', clock_timestamp(), '0', n, begins, false) ORDER BY relation::text
$$;
CREATE VIEW left_over AS
SELECT (SELECT count(*) FROM parents_deleted) AS parents, (SELECT count(*) FROM children_deleted) AS children,
	(SELECT count(*) FROM children_deleted AS c WHERE parent NOT IN (SELECT id FROM parents_deleted)) AS orphans,
	(SELECT count(*) FROM soft_delete_internal.ledger WHERE deleted_at IN (SELECT deleted_at FROM parents_deleted)) AS deletions;

-- to a savepoint: the next batch begins anew
BEGIN;
SELECT * FROM batch(4, true);
SELECT * FROM left_over;
SAVEPOINT s;
SELECT * FROM batch(2, false);
ROLLBACK TO s;
SELECT * FROM batch(2, false);
SELECT * FROM left_over;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT * FROM batch(4, true);
ROLLBACK TO s;
SELECT * FROM batch(2, false);
SELECT * FROM left_over;
ROLLBACK;

-- to the beginning, or to a savepoint: the ledger still knows of it
BEGIN;
SELECT * FROM batch(100, true);
ROLLBACK;
SELECT soft_delete_internal.remove_empty_deletions('-infinity', 'infinity', 100000);
SELECT * FROM left_over;
BEGIN;
SAVEPOINT s;
SELECT * FROM batch(100, true);
ROLLBACK TO s;
COMMIT;
SELECT soft_delete_internal.remove_empty_deletions('-infinity', 'infinity', 100000);
SELECT * FROM left_over;

-- a retention that has become shorter meanwhile lets nothing be forgotten that was not looked for; what is referenced is read at once
CREATE TABLE notes (id integer PRIMARY KEY, of integer REFERENCES notes);
SELECT soft_delete.tag('notes');
SELECT soft_delete.retain('notes', '0');
INSERT INTO notes SELECT generate_series(1, 3);
DELETE FROM notes WHERE id <= 2;
SELECT clock_timestamp() AS later \gset
DELETE FROM notes;
SELECT rows, done FROM soft_delete_internal.purge_batch('{notes}', :'later', '0', 1, true, false);
SELECT rows, done FROM soft_delete_internal.purge_batch('{notes}', clock_timestamp(), '0', 1, false, false);
SELECT soft_delete_internal.remove_empty_deletions('-infinity', 'infinity', 100000);
SELECT id, (SELECT count(*) FROM soft_delete_internal.ledger AS l WHERE l.deleted_at = n.deleted_at) FROM notes_deleted AS n;

-- the ledger is gone through in batches of its own, however large those of the rows are
CALL soft_delete.purge('notes', batch_size => 2147483647);
SELECT count(*) FROM notes_deleted;

-- an old snapshot does not tell what references a row
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM batch(1, true);
ROLLBACK;

DROP TABLE notes;
DROP VIEW left_over;
DROP FUNCTION batch(integer, boolean);
DROP TABLE parents, children CASCADE;
