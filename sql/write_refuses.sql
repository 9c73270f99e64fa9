-- nobody writes the tombstone column by hand; without add_tombstone_check() in modify.c every statement here would
CREATE ROLE regress_write;
CREATE SCHEMA write_refuses AUTHORIZATION regress_write;
SET ROLE regress_write;
SET search_path = write_refuses;
\set QUIET off
\set SHOW_CONTEXT never

CREATE TABLE t (id integer PRIMARY KEY, v text);
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
SELECT soft_delete.tag('t');
DELETE FROM t WHERE id = 3;

INSERT INTO t VALUES (4, 'x', now());
INSERT INTO t SELECT 4, 'x', '-infinity';
INSERT INTO t (id, deleted_at) VALUES (4, NULL), (5, now());
INSERT INTO t VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET deleted_at = now();
UPDATE t SET deleted_at = now() WHERE id = 1;
UPDATE t SET (v, deleted_at) = ('x', clock_timestamp()) WHERE id = 1;
UPDATE t_active SET v = 'fine' WHERE id = 1;
MERGE INTO t USING (VALUES (1)) AS s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET deleted_at = now();
MERGE INTO t USING (VALUES (9)) AS s (id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (9, 'x', now());
WITH w AS (UPDATE t SET deleted_at = now() RETURNING id) SELECT * FROM w;
PREPARE w (timestamptz) AS UPDATE t SET deleted_at = $1 WHERE id = 1;
EXECUTE w (now());
EXECUTE w (NULL);
COPY t (id, v, deleted_at) FROM stdin;
10	x	2020-01-01
\.
COPY t (id, deleted_at) FROM stdin WHERE id > 10;
10	2020-01-01
11	\N
\.

-- null is what a live row holds; to restore in this way meets no row
UPDATE t SET deleted_at = NULL;
UPDATE t SET deleted_at = NULL WHERE id = 3;
INSERT INTO t VALUES (12, 'x', NULL);

-- neither by a default nor by a trigger
RESET ROLE;
SET session_replication_role = replica;
ALTER TABLE t ALTER COLUMN deleted_at SET DEFAULT now();
RESET session_replication_role;
SET ROLE regress_write;
CREATE FUNCTION set_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.deleted_at := now(); RETURN NEW; END';
CREATE TRIGGER set_it BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION set_it();
INSERT INTO t VALUES (13, 'x');
UPDATE t SET v = 'x';
INSERT INTO t VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET v = 'x';
DROP TRIGGER set_it ON t;

-- the guard is there as soon as a trigger is, be the statement prepared before it, and be it a partition's or a child's
PREPARE i AS INSERT INTO t VALUES (14, 'x');
PREPARE u AS UPDATE t SET v = 'x' WHERE id = 1;
PREPARE c AS INSERT INTO t VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET v = 'x';
EXECUTE u;
EXECUTE c;
CREATE TRIGGER set_it BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION set_it();
EXECUTE i;
EXECUTE u;
EXECUTE c;
DROP TRIGGER set_it ON t;
CREATE TRIGGER set_it BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION set_it();
EXECUTE c;
DROP TRIGGER set_it ON t;
CREATE TABLE parted (id integer, v text) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF parted FOR VALUES IN (2);
CREATE TABLE above (id integer, v text);
SELECT soft_delete.tag('parted'), soft_delete.tag('above');
INSERT INTO parted VALUES (1, 'a');
PREPARE p AS UPDATE above SET v = 'x';
EXECUTE p;
CREATE TABLE below () INHERITS (above);
INSERT INTO below VALUES (1, 'a');
CREATE TRIGGER set_it BEFORE INSERT ON part_2 FOR EACH ROW EXECUTE FUNCTION set_it();
CREATE TRIGGER set_it BEFORE UPDATE ON below FOR EACH ROW EXECUTE FUNCTION set_it();
INSERT INTO parted VALUES (2, 'x');
INSERT INTO part_2 VALUES (2, 'x');
UPDATE parted SET id = 2;
EXECUTE p;
UPDATE below SET v = 'x';
SELECT tableoid::regclass, * FROM parted UNION ALL SELECT tableoid::regclass, * FROM above;
-- nor by the default of a view
CREATE VIEW defaulted AS SELECT * FROM t;
ALTER VIEW defaulted ALTER COLUMN deleted_at SET DEFAULT now();
INSERT INTO defaulted VALUES (15, 'x');
DROP VIEW defaulted;

SELECT id, v, deleted_at FROM t ORDER BY id;
SELECT id, v FROM t_deleted;
-- plans do not show the guard, and row security is not involved
EXPLAIN (COSTS OFF) UPDATE t SET v = 'x' WHERE id = 1;

RESET ROLE;
DROP SCHEMA write_refuses CASCADE;
DROP ROLE regress_write;
