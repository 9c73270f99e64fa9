-- stamps of a column of type timestamp, which has UTC, and of one with a precision, mean the
-- same deletion wherever the session is
\set SHOW_CONTEXT never
CREATE ROLE regress_times;
CREATE SCHEMA times AUTHORIZATION regress_times;
SET ROLE regress_times;
SET search_path = times;
SET timezone = 'Asia/Tokyo';
CREATE TABLE t (id integer PRIMARY KEY, deleted_at timestamp);
CREATE TABLE z (id integer PRIMARY KEY, deleted_at timestamptz(6));
CREATE TABLE p (id integer, deleted_at timestamp(6)) PARTITION BY LIST (id);
CREATE TABLE p_1 PARTITION OF p DEFAULT;
SELECT soft_delete.tag('t'), soft_delete.tag('z'), soft_delete.tag('p');
ALTER TABLE z ADD COLUMN v text;
ALTER TABLE p ADD COLUMN v text;
INSERT INTO t VALUES (1), (2);
INSERT INTO z VALUES (1), (2);
INSERT INTO p VALUES (1), (2);
DELETE FROM t;
DELETE FROM z WHERE id = 1;
DELETE FROM z WHERE id = 2;
DELETE FROM p;
SELECT count(DISTINCT deleted_at) FROM z_deleted;
SELECT relation, "row", outcome FROM soft_delete.preview((SELECT max(deleted_at) FROM t_deleted)) ORDER BY "row";
SELECT d.* FROM t_deleted, soft_delete.deletion_rows(deleted_at) AS d WHERE id = 1;
SELECT soft_delete.hold_deletion(max(deleted_at), 'case') FROM t_deleted;
SELECT id, hold FROM t_deleted ORDER BY id;
SELECT soft_delete.hold_deletion(max(deleted_at), NULL) FROM t_deleted;
SELECT count(*) FROM soft_delete.deletions AS d JOIN t_deleted AS t ON d.deleted_at = timezone('UTC', t.deleted_at);
SELECT soft_delete.undo(max(deleted_at)) FROM t_deleted;
SELECT soft_delete.undo(max(deleted_at)) FROM p_deleted;
SELECT soft_delete.undo(deleted_at, with_parents => true) FROM z_deleted WHERE id = 1;
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM z), (SELECT count(*) FROM p);
SELECT soft_delete.undo(timestamp '2020-01-01');
SELECT soft_delete.hold_deletion(timestamp '2020-01-01', 'case');

-- a lower precision is not enough for stamps; the hint changes no time, and rewrites nothing
CREATE TABLE s (id integer PRIMARY KEY, deleted_at timestamp(3));
INSERT INTO s VALUES (1, '2025-05-05 12:34:56.789');
SELECT pg_relation_filenode('s') AS file \gset
SELECT soft_delete.tag('s');
ALTER TABLE times.s ALTER COLUMN deleted_at TYPE timestamp without time zone;
SELECT pg_relation_filenode('s') = :file AS is_same;
SELECT soft_delete.tag('s');
SELECT id, deleted_at FROM s_deleted;
CREATE TABLE d (id integer PRIMARY KEY, deleted_at date);
SELECT soft_delete.tag('d');
SELECT soft_delete.tag('times.d', deleted_at => 'deleted_at_by_delete');
RESET ROLE;
DROP SCHEMA times CASCADE;
DROP ROLE regress_times;
