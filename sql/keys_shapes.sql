-- every shape of unique index keeps all but its predicate, and untag() gives all back
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_shapes LOCATION '';
CREATE ROLE regress_shapes;
GRANT CREATE ON TABLESPACE regress_shapes TO regress_shapes;
CREATE SCHEMA shapes AUTHORIZATION regress_shapes;
SET ROLE regress_shapes;
SET search_path = shapes;
\set SHOW_CONTEXT never

CREATE TABLE t (
	id integer PRIMARY KEY, a text, b text COLLATE "C", n integer, "Order" integer NOT NULL, room int4range, j jsonb,
	CONSTRAINT plain UNIQUE (a),
	CONSTRAINT several UNIQUE NULLS NOT DISTINCT ("Order", b, a) INCLUDE (n, id) WITH (fillfactor = 70, deduplicate_items = off) USING INDEX TABLESPACE regress_shapes,
	CONSTRAINT late UNIQUE (n) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT rooms EXCLUDE USING gist (room range_ops WITH &&, (int4range(n, n, '[]')) WITH &&) WITH (fillfactor = 80) USING INDEX TABLESPACE regress_shapes WHERE (n > 0 AND a IS NOT NULL),
	CONSTRAINT rooms_late EXCLUDE USING gist (room WITH -|-) WITH (fillfactor = 80) USING INDEX TABLESPACE regress_shapes DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT rooms_some EXCLUDE USING btree (n WITH =) WHERE (n > 90) DEFERRABLE,
	CONSTRAINT clustered UNIQUE (id, n)
);
ALTER TABLE t CLUSTER ON clustered;
CREATE UNIQUE INDEX opclasses ON t (a text_pattern_ops DESC NULLS LAST, b COLLATE "POSIX", n ASC NULLS FIRST) INCLUDE (j) WITH (fillfactor = 60) TABLESPACE regress_shapes;
CREATE UNIQUE INDEX "Ex pression" ON t (lower(a), (n + 1), (j ->> 'WHERE x TABLESPACE y')) WHERE a <> 'x OR (y' OR n = 1;
CREATE UNIQUE INDEX own_predicate ON t (b) WHERE a IS NULL AND n IS NULL;
CREATE INDEX gin ON t USING gin (j jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX hashed ON t USING hash (a);
CREATE INDEX brin ON t USING brin (n) WITH (pages_per_range = 16);
ALTER INDEX "Ex pression" ALTER COLUMN 2 SET STATISTICS 123;
COMMENT ON CONSTRAINT several ON t IS 'a ''constraint''';
COMMENT ON INDEX several IS 'its index';
COMMENT ON CONSTRAINT rooms ON t IS 'exclusion';
COMMENT ON INDEX rooms IS 'its index too';
COMMENT ON INDEX opclasses IS 'an index';
CREATE VIEW grouped AS SELECT id, a, b, n FROM t GROUP BY id;
CREATE VIEW shapes AS
	SELECT indrelid::regclass AS "table", relname, pg_get_indexdef(indexrelid) AS definition, con.conname, pg_get_constraintdef(con.oid) AS "constraint", indisclustered, indisvalid,
		obj_description(con.oid, 'pg_constraint') AS "comment", obj_description(indexrelid, 'pg_class') AS index_comment, spcname,
		(SELECT array_agg(attstattarget ORDER BY attnum) FROM pg_attribute WHERE attrelid = indexrelid) AS statistics
	FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid LEFT JOIN pg_tablespace ON pg_tablespace.oid = reltablespace
		LEFT JOIN pg_constraint con ON conindid = indexrelid AND conrelid = indrelid AND contype <> 'f'
	WHERE indrelid::regclass::text IN ('t', 'p', 'p1', 'p2', 'p21', 'heir') AND relname NOT LIKE '%deleted_at%';
CREATE TABLE was AS SELECT * FROM shapes;

SELECT soft_delete.tag('t');
SELECT relname, replace(definition, ' ON shapes.t USING ', ' ... ') AS definition, coalesce("constraint", 'none') AS "constraint", spcname, index_comment FROM shapes ORDER BY relname COLLATE "C";
INSERT INTO t VALUES (1, 'a', 'b', 1, 1, '[1,5)', '{}'), (2, 'b', NULL, 2, 2, '[6,7)', '{}'), (3, NULL, 'c', NULL, 3, NULL, '{}');
DELETE FROM t;
INSERT INTO t VALUES (1, 'a', 'b', 1, 1, '[1,5)', '{}'), (4, 'b', NULL, 2, 2, '[6,7)', '{}'), (3, NULL, 'c', NULL, 3, NULL, '{}');
INSERT INTO t VALUES (5, 'c', 'b', 1, 1, '[1,5)', '{}');
INSERT INTO t VALUES (5, 'x', NULL, 5, 5, '[6,7)', '{}');
INSERT INTO t VALUES (5, 'b', NULL, 5, 2, '[8,9)', '{}');
SELECT count(*) FROM grouped;
DELETE FROM t;
SELECT soft_delete.untag('t', tombstones => 'purge');
SELECT * FROM was EXCEPT SELECT * FROM shapes;
SELECT * FROM shapes EXCEPT SELECT * FROM was;
SELECT conname, contype FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c';
SELECT count(*) FROM t;

-- partitions, with indexes and comments of their own
CREATE TABLE p (k integer, id integer, code text, PRIMARY KEY (k, id), CONSTRAINT codes UNIQUE (k, code) INCLUDE (id)) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2, 3) PARTITION BY LIST (k);
CREATE TABLE p21 PARTITION OF p2 FOR VALUES IN (2);
CREATE UNIQUE INDEX expression ON p (k, lower(code)) WHERE code > '';
CREATE UNIQUE INDEX own ON p1 (code);
ALTER TABLE p21 ADD CONSTRAINT own_constraint UNIQUE (code, id);
ALTER INDEX p1_k_code_id_key RENAME TO "renamed Key";
COMMENT ON CONSTRAINT "renamed Key" ON p1 IS 'of a partition';
COMMENT ON INDEX "renamed Key" IS 'of its index';
TRUNCATE was;
INSERT INTO was SELECT * FROM shapes;
SELECT soft_delete.tag('p');
SELECT "table", relname, definition LIKE '%WHERE%(deleted_at IS NULL)%' AS hides, "comment", index_comment FROM shapes WHERE "table"::text LIKE 'p%' ORDER BY "table"::text COLLATE "C", relname COLLATE "C";
INSERT INTO p VALUES (1, 1, 'a'), (2, 1, 'a');
DELETE FROM p;
INSERT INTO p VALUES (1, 1, 'a'), (2, 1, 'a');
INSERT INTO p VALUES (1, 2, 'a');
DELETE FROM p;
SELECT soft_delete.untag('p', tombstones => 'purge');
SELECT * FROM was EXCEPT SELECT * FROM shapes;
SELECT * FROM shapes EXCEPT SELECT * FROM was;

-- kept as rows, also those that stepped aside; where keys collide it says which
CREATE TABLE c (id integer PRIMARY KEY, email text CONSTRAINT one_email UNIQUE, n integer CONSTRAINT late_n UNIQUE DEFERRABLE);
SELECT soft_delete.tag('c');
INSERT INTO c VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3);
DELETE FROM c;
INSERT INTO c VALUES (1, 'd', 4);
SELECT soft_delete.untag('c');
SELECT soft_delete.untag('c', tombstones => 'keep');
UPDATE c SET id = 4;
SELECT count(*) FROM c_deleted;
INSERT INTO c VALUES (5, 'b', 5);
SELECT soft_delete.untag('c', tombstones => 'keep');
UPDATE c SET email = 'e', n = 1 WHERE id = 5;
SELECT soft_delete.untag('c', tombstones => 'keep');
UPDATE c SET n = 5 WHERE id = 5;
SELECT soft_delete.untag('c', tombstones => 'keep');
SELECT id, email, n, deleted_at IS NOT NULL AS was_deleted FROM c ORDER BY id;
SELECT to_regclass('c_tombstones') AS companion;
SELECT conname, contype, condeferrable FROM pg_constraint WHERE conrelid = 'c'::regclass AND contype IN ('p', 'u', 'c') ORDER BY 1;

-- left alone, and reported
RESET ROLE;
CREATE TABLE shapes.x (id integer PRIMARY KEY, a text, b text);
CREATE UNIQUE INDEX of_extension ON shapes.x (a);
CREATE UNIQUE INDEX invalid ON shapes.x (b);
INSERT INTO pg_depend SELECT 'pg_class'::regclass, 'shapes.of_extension'::regclass, 0, 'pg_extension'::regclass, oid, 0, 'e' FROM pg_extension WHERE extname = 'soft_delete';
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shapes.invalid'::regclass;
SELECT soft_delete.tag('x');
SELECT relname, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = 'x'::regclass ORDER BY 1;
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'shapes.invalid'::regclass;
DELETE FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = 'shapes.of_extension'::regclass AND deptype = 'e';
SELECT soft_delete.tag('x');
SELECT relname, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = 'x'::regclass ORDER BY 1;

DROP SCHEMA shapes CASCADE;
DROP TABLESPACE regress_shapes;
DROP ROLE regress_shapes;
