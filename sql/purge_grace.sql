-- A shorter retention says what it makes due, and the next purge waits for soft_delete.purge_grace.
SET intervalstyle = 'postgres';
CREATE SCHEMA grace;
SET search_path = grace, public;
CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE aside (id integer PRIMARY KEY);
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY REFERENCES parent ON DELETE CASCADE);
SELECT soft_delete.tag('t'), soft_delete.tag('aside', storage => 'aside'), soft_delete.tag('parent', cascade => true);
INSERT INTO t SELECT generate_series(1, 3);
INSERT INTO aside SELECT generate_series(1, 3);
INSERT INTO parent SELECT generate_series(1, 3);
INSERT INTO child SELECT generate_series(1, 3);
DELETE FROM t;
DELETE FROM aside WHERE id < 3;
DELETE FROM parent WHERE id = 1;

SET soft_delete.purge_grace = '1h';
SELECT soft_delete.retain('t', '90 days');
SELECT soft_delete.retain('t', '0');
SELECT soft_delete.retain('aside', '0');
SELECT soft_delete.retain('parent', '0');
SELECT member, rows FROM soft_delete.preview_purge();
CALL soft_delete.purge();
SELECT relation::regclass, deleted_rows, due_rows FROM soft_delete.tables ORDER BY relation::text;
-- a still shorter one does not forget the first; to keep them for ever ends it
SELECT soft_delete.retain('t', '1 second');
SELECT soft_delete.retain('t', '0');
CALL soft_delete.purge('t');
SELECT count(*) FROM t_deleted;
SELECT soft_delete.retain('t', '100 days');
CALL soft_delete.purge('t');
SELECT soft_delete.retain('t', NULL);
SELECT former, shortened_at FROM soft_delete_internal.retention WHERE relation = 't'::regclass;
SELECT soft_delete.retain('t', '0');
-- who wants the rows gone says so
SET soft_delete.purge_grace = 0;
SELECT member, rows FROM soft_delete.preview_purge() ORDER BY member::text;
CALL soft_delete.purge();
SELECT count(*) FROM t_deleted;

-- a schema, whose tables may have their own
DELETE FROM aside;
DELETE FROM parent WHERE id = 2;
SELECT soft_delete.retain('aside', '1 day');
SELECT soft_delete.retain_schema('grace', '0');
SET soft_delete.purge_grace = '1h';
DELETE FROM parent;
SELECT soft_delete.retain('parent', '1 day'), soft_delete.retain('child', '1 day');
SELECT soft_delete.retain_schema('grace', '10 days'), soft_delete.retain_schema('grace', '0');

-- partitions that leave keep the retention of their table, and what was before it
CREATE TABLE parted (id integer PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_aside (id integer PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE part_2 PARTITION OF parted_aside FOR VALUES IN (2);
SELECT soft_delete.tag('parted') IS NOT NULL AND soft_delete.tag('parted_aside', storage => 'aside') IS NOT NULL AS tagged;
INSERT INTO parted VALUES (1);
INSERT INTO parted_aside VALUES (2);
DELETE FROM parted;
SELECT soft_delete.retain('parted', '90 days'), soft_delete.retain('parted', '0');
SELECT soft_delete.retain('parted_aside', '90 days'), soft_delete.retain('parted_aside', '0');
ALTER TABLE parted DETACH PARTITION part_1;
ALTER TABLE parted_aside DETACH PARTITION part_2;
DELETE FROM part_2;
SELECT relation, retain, former, shortened_at > now() - interval '1 hour' AS in_grace FROM soft_delete_internal.retention WHERE relation IN ('part_1'::regclass, 'part_2'::regclass) ORDER BY 1;
CALL soft_delete.purge('part_1');
CALL soft_delete.purge('part_2');
SELECT id FROM part_1_deleted UNION ALL SELECT id FROM part_2_deleted;
RESET soft_delete.purge_grace;

-- in a transaction block
BEGIN;
CALL soft_delete.purge();
ROLLBACK;

SET client_min_messages = error;
DROP SCHEMA grace CASCADE;
RESET search_path;
