-- purge() destroys what is due, and nothing else: oldest first, children before parents
CREATE ROLE regress_purge_due;
CREATE SCHEMA purge_due AUTHORIZATION regress_purge_due;
SET ROLE regress_purge_due;
SET search_path = purge_due;

CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE keeper (id integer PRIMARY KEY, parent_id integer REFERENCES parent);
CREATE TABLE part (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE) PARTITION BY HASH (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_2 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE utc (id integer PRIMARY KEY, gone timestamp);
CREATE TABLE untagged (id integer PRIMARY KEY, parent_id integer REFERENCES parent);
SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('keeper'), soft_delete.tag('utc', deleted_at => 'gone');
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''% %'', TG_OP, OLD.id; RETURN OLD; END';
CREATE VIEW bins AS
	SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM parent_deleted) AS parents, (SELECT string_agg(id::text, ',' ORDER BY id) FROM child_deleted) AS children,
		(SELECT string_agg(id::text, ',' ORDER BY id) FROM keeper_deleted) AS keepers, (SELECT string_agg(id::text, ',' ORDER BY id) FROM part_deleted) AS parts,
		(SELECT string_agg(id::text, ',' ORDER BY id) FROM utc_deleted) AS utcs;
CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO parent SELECT generate_series(1, 9);
	INSERT INTO child SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO part SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO utc SELECT generate_series(1, 9);
END
$$;
-- days: how long ago rows were deleted
CREATE PROCEDURE age(days integer) LANGUAGE plpgsql SET row_security = off AS $$
BEGIN
	UPDATE parent SET deleted_at = deleted_at - days * interval '1 day' WHERE deleted_at > now() - interval '1 hour';
	UPDATE child SET deleted_at = deleted_at - days * interval '1 day' WHERE deleted_at > now() - interval '1 hour';
	UPDATE part SET deleted_at = deleted_at - days * interval '1 day' WHERE deleted_at > now() - interval '1 hour';
	UPDATE utc SET gone = gone - days * interval '1 day' WHERE gone > timezone('UTC', now()) - interval '1 hour';
END
$$;

CALL fill();
DELETE FROM parent WHERE id IN (1, 2);
DELETE FROM utc WHERE id IN (1, 2);
CALL age(200);
DELETE FROM parent WHERE id IN (3, 4);
DELETE FROM utc WHERE id IN (3, 4);
CALL age(50);
DELETE FROM parent WHERE id IN (5, 6);
-- nothing is said: nothing is due
CALL soft_delete.purge();
SELECT * FROM soft_delete.preview_purge();
SELECT * FROM bins;
-- the triggers fired when the application deleted
CREATE TRIGGER tell AFTER DELETE ON parent FOR EACH ROW EXECUTE FUNCTION tell();
SELECT soft_delete.retain('parent', '100 days'), soft_delete.retain('utc', '100 days');
SELECT member, rows, held, referenced FROM soft_delete.preview_purge();
SELECT * FROM bins;
CALL soft_delete.purge();
CALL soft_delete.purge();
SELECT * FROM bins;
DROP TRIGGER tell ON parent;
-- one table, and what its deletes reach; older_than narrows, and never widens
CALL soft_delete.purge('parent', older_than => '60 days');
CALL soft_delete.purge('parent', older_than => '10 days');
SELECT soft_delete.retain('parent', '10 days');
SELECT member, rows, held, referenced FROM soft_delete.preview_purge('parent', older_than => '40 days');
CALL soft_delete.purge('parent', older_than => '40 days', batch_size => 1);
SELECT * FROM bins;

-- a child with a longer retention keeps its parent, an other one's stays as well
SELECT soft_delete.retain('part', '1 year'), soft_delete.retain('parent', '0');
SELECT member, rows, held, referenced FROM soft_delete.preview_purge();
CALL soft_delete.purge();
SELECT * FROM bins;
SELECT soft_delete.retain('part', '0');
CALL soft_delete.purge();
SELECT * FROM bins;

-- so does what is not deleted by CASCADE, has no retention, or is not tagged
INSERT INTO keeper VALUES (7, 7);
INSERT INTO untagged VALUES (8, 8);
DELETE FROM keeper;
DELETE FROM parent WHERE id IN (7, 9);
CALL soft_delete.purge();
SELECT * FROM bins;
SELECT soft_delete.retain('keeper', '0');
CALL soft_delete.purge();
SELECT * FROM bins;
RESET ROLE;
SET session_replication_role = replica;
INSERT INTO untagged VALUES (9, 9), (10, 10);
RESET session_replication_role;
SET ROLE regress_purge_due;
INSERT INTO parent VALUES (10);
DELETE FROM untagged WHERE id = 10;
DELETE FROM parent WHERE id = 10;
CALL soft_delete.purge();
DELETE FROM untagged;

-- the table's key was taken: what stepped aside goes too
DELETE FROM parent;
INSERT INTO parent VALUES (8);
DELETE FROM parent;
INSERT INTO parent VALUES (8);
SELECT count(*) FROM parent_tombstones;
CALL soft_delete.purge();
SELECT count(*) FROM parent_tombstones;
SELECT * FROM bins;
SELECT id FROM parent;

-- what nothing references is read batch by batch: rows of one stamp, of several partitions and without the index
CREATE TABLE lone (id integer PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE lone_1 PARTITION OF lone FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE lone_2 PARTITION OF lone FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT soft_delete.tag('lone'), soft_delete.retain('lone', '0');
INSERT INTO lone SELECT generate_series(1, 9);
DELETE FROM lone WHERE id <= 7;
UPDATE lone_deleted SET hold = 'why' WHERE id IN (2, 5);
DELETE FROM lone WHERE id = 8;
SELECT member, rows, held FROM soft_delete.preview_purge('lone');
CALL soft_delete.purge('lone', batch_size => 2);
SELECT id FROM lone_deleted ORDER BY id;
UPDATE lone_deleted SET hold = NULL;
SET row_security = off; -- as who restores a dump
DROP INDEX lone_deleted_at_idx;
RESET row_security;
CALL soft_delete.purge('lone', batch_size => 1);
SELECT count(*) FROM lone_deleted;
DELETE FROM lone;
CALL soft_delete.purge('lone', batch_size => 1);
SELECT (SELECT count(*) FROM lone_deleted) AS deleted, (SELECT count(*) FROM lone) AS live;
DROP TABLE lone CASCADE;

-- a child that was deleted after its parent's statement began has a later stamp
DELETE FROM parent;
INSERT INTO parent VALUES (20);
INSERT INTO keeper VALUES (20, 20);
DELETE FROM keeper;
DELETE FROM parent;
SET row_security = off;
UPDATE keeper SET deleted_at = deleted_at + interval '1 hour' WHERE deleted_at IS NOT NULL;
RESET row_security;
CALL soft_delete.purge();
SELECT * FROM bins;
SET row_security = off;
UPDATE keeper SET deleted_at = deleted_at - interval '1 hour' WHERE deleted_at IS NOT NULL;
RESET row_security;
CALL soft_delete.purge();
SELECT * FROM bins;

SELECT relation, purged_by, rows, oldest <= newest AS in_order, duration >= '0' AS took, error FROM soft_delete.purge_log WHERE relation LIKE 'purge_due.%' ORDER BY purged_at;
SELECT * FROM soft_delete.check();

-- the ledger forgets deletions that have no rows left, with the references that they cut, and no other, if it is told to
RESET ROLE;
SET soft_delete.keep_ledger = 0;
SET ROLE regress_purge_due;
CREATE TABLE cut (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL);
SELECT soft_delete.tag('cut');
INSERT INTO parent VALUES (31), (32), (33);
INSERT INTO cut VALUES (31, 31), (32, 32);
DELETE FROM parent WHERE id = 31;
DELETE FROM parent WHERE id = 32;
SELECT soft_delete.undo(max(deleted_at)) FROM parent_deleted;
WITH p AS (DELETE FROM parent WHERE id = 32) DELETE FROM cut WHERE id = 31;
DELETE FROM parent WHERE id = 33;
CREATE TEMP TABLE stamps AS SELECT deleted_at FROM soft_delete.deletions WHERE deleted_by = 'regress_purge_due' ORDER BY 1 DESC LIMIT 4;
CALL soft_delete.purge();
SELECT row_number() OVER (ORDER BY deleted_at) AS deletion, d.xid IS NOT NULL AS is_known, (SELECT count(*) FROM soft_delete.deletion_rows(deleted_at)) AS tables
FROM stamps LEFT JOIN soft_delete.deletions AS d USING (deleted_at) ORDER BY 1;
RESET ROLE;
SELECT count(*) FROM soft_delete_internal.set_null_references JOIN stamps USING (deleted_at);
SET ROLE regress_purge_due;
SELECT soft_delete.retain('cut', '0');
CALL soft_delete.purge();
SELECT count(*) FROM soft_delete.deletions JOIN stamps USING (deleted_at);
DROP TABLE stamps;
RESET ROLE;
DROP SCHEMA purge_due CASCADE;
DELETE FROM soft_delete_internal.purge_log WHERE relation LIKE 'purge_due.%';
DROP ROLE regress_purge_due;
