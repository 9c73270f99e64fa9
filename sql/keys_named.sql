-- a unique constraint that has become an index on live rows can still be named: in upserts, and by migrations
CREATE ROLE regress_named;
CREATE SCHEMA named AUTHORIZATION regress_named;
SET ROLE regress_named;
SET search_path = named;
\set QUIET off
\set VERBOSITY terse

CREATE TABLE t (
	id integer PRIMARY KEY, email text CONSTRAINT "One email" UNIQUE, a integer, b integer, n integer DEFAULT 0, room int4range,
	CONSTRAINT pair UNIQUE NULLS NOT DISTINCT (a, b) INCLUDE (n),
	CONSTRAINT one_room EXCLUDE USING gist (room WITH &&)
);
CREATE UNIQUE INDEX another ON t (email) INCLUDE (n);
CREATE UNIQUE INDEX never_named ON t (lower(email));
COMMENT ON CONSTRAINT "One email" ON t IS 'of the constraint';
COMMENT ON INDEX "One email" IS 'of its index';
SELECT soft_delete.tag('t');
CREATE VIEW named AS
	SELECT relname AS name, pg_get_indexdef(indexrelid) AS index, conname IS NOT NULL AS can_be_named,
		obj_description(con.oid, 'pg_constraint') AS "comment", obj_description(indexrelid, 'pg_class') AS index_comment
	FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid LEFT JOIN pg_constraint con ON conrelid = indrelid AND conname = relname
	WHERE indrelid = to_regclass('t') AND NOT indisprimary AND indisunique ORDER BY relname COLLATE "C";
SELECT name, can_be_named, "comment", index_comment FROM named;

-- upserts
INSERT INTO t VALUES (1, 'x', 1, NULL) ON CONFLICT ON CONSTRAINT "One email" DO UPDATE SET n = t.n + 1 RETURNING id, n;
INSERT INTO t VALUES (2, 'x', 2, 2) ON CONFLICT ON CONSTRAINT "One email" DO UPDATE SET n = t.n + 1 RETURNING id, n;
INSERT INTO t VALUES (3, 'y', 1, NULL) ON CONFLICT ON CONSTRAINT pair DO NOTHING RETURNING id, n;
DELETE FROM t;
INSERT INTO t VALUES (4, 'x', 2, 2) ON CONFLICT ON CONSTRAINT "One email" DO UPDATE SET n = t.n + 1 RETURNING id, n;
INSERT INTO t VALUES (5, 'y', 1, NULL) ON CONFLICT ON CONSTRAINT pair DO NOTHING RETURNING id, n;
INSERT INTO t VALUES (5, 'z', 3, 3) ON CONFLICT ON CONSTRAINT t_pkey DO UPDATE SET n = -1 RETURNING id, n;
PREPARE up AS INSERT INTO t VALUES (6, 'x', 6, 6) ON CONFLICT ON CONSTRAINT "One email" DO UPDATE SET n = t.n + 1 WHERE t.n < 2 RETURNING id, n;
SET plan_cache_mode = force_generic_plan;
EXECUTE up;
EXECUTE up;
EXECUTE up;
EXPLAIN (COSTS OFF) EXECUTE up;
WITH w AS (INSERT INTO t VALUES (6, 'x', 6, 6) ON CONFLICT ON CONSTRAINT "One email" DO NOTHING RETURNING id) SELECT count(*) FROM w;
CREATE FUNCTION upsert(text) RETURNS integer LANGUAGE sql AS
	'INSERT INTO t VALUES (7, $1, 7, 7) ON CONFLICT ON CONSTRAINT "One email" DO UPDATE SET n = t.n + 10 RETURNING n';
SELECT upsert('x');

-- errors are native
INSERT INTO t VALUES (8, 'x', 8, 8) ON CONFLICT ON CONSTRAINT pair DO NOTHING;
INSERT INTO t VALUES (8, 'x', 8, 8) ON CONFLICT ON CONSTRAINT no_such DO NOTHING;
INSERT INTO t VALUES (8, 'x', 8, 8) ON CONFLICT ON CONSTRAINT never_named DO NOTHING;
INSERT INTO t VALUES (8, 'w', 8, 8, 0, '[1,5)') ON CONFLICT ON CONSTRAINT one_room DO NOTHING;
INSERT INTO t VALUES (9, 'v', 9, 9, 0, '[2,3)') ON CONFLICT ON CONSTRAINT one_room DO NOTHING;
INSERT INTO t VALUES (9, 'v', 9, 9, 0, '[2,3)') ON CONFLICT ON CONSTRAINT one_room DO UPDATE SET n = 1;

-- migrations mean the constraint and its index
ALTER TABLE t RENAME CONSTRAINT pair TO "Pair";
ALTER INDEX "One email" RENAME TO email;
ALTER INDEX never_named RENAME TO unnamed;
COMMENT ON CONSTRAINT email ON t IS 'another comment';
SELECT name, can_be_named, "comment", index_comment FROM named;
INSERT INTO t VALUES (10, 'x', 10, 10) ON CONFLICT ON CONSTRAINT email DO UPDATE SET n = -1 RETURNING id, n;
INSERT INTO t VALUES (10, 'x', 10, 10) ON CONFLICT ON CONSTRAINT "One email" DO UPDATE SET n = -1 RETURNING id, n;
DROP VIEW named;
ALTER TABLE t ALTER email TYPE varchar(100), ALTER b TYPE bigint;
INSERT INTO t VALUES (10, 'x', 10, 10) ON CONFLICT ON CONSTRAINT email DO UPDATE SET n = -2 RETURNING id, n;
ALTER TABLE t DROP CONSTRAINT email;
SELECT to_regclass('email') IS NULL AS index_gone;
DROP INDEX "Pair";
SELECT count(*) AS left_over FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c';
ALTER TABLE t ADD CONSTRAINT pair UNIQUE (a, n);
ALTER TABLE t DROP COLUMN a;
SELECT soft_delete.tag('t');
SELECT conname, contype FROM pg_constraint WHERE conrelid = 't'::regclass AND contype IN ('c', 'u') ORDER BY 1;
ALTER TABLE t DROP CONSTRAINT IF EXISTS email, DROP CONSTRAINT IF EXISTS pair;
SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = 't'::regclass ORDER BY 1;

-- names: reserved words, capitals, quotes, 63 bytes, columns named like ours
CREATE TABLE "Select ""x""" (
	id integer PRIMARY KEY, "group" text CONSTRAINT "Ü""_90123456789012345678901234567890123456789012345678901234567" UNIQUE,
	"row" integer CONSTRAINT "user" UNIQUE, types text, relation text, value text, tid text, ctid_ text, k1 text, member text, stamp text
);
SELECT soft_delete.tag('"Select ""x"""', deleted_at => 'From');
INSERT INTO "Select ""x""" VALUES (1, 'a', 1, 't', 'r', 'v', 'i', 'c', 'k', 'm', 's');
INSERT INTO "Select ""x""" VALUES (2, 'a', 2) ON CONFLICT ON CONSTRAINT "Ü""_90123456789012345678901234567890123456789012345678901234567" DO UPDATE SET "row" = 3 RETURNING id, "row";
INSERT INTO "Select ""x""" VALUES (2, 'b', 3) ON CONFLICT ON CONSTRAINT "user" DO NOTHING RETURNING id;
DELETE FROM "Select ""x""";
INSERT INTO "Select ""x""" VALUES (1, 'a', 3) ON CONFLICT ON CONSTRAINT "user" DO NOTHING RETURNING id;
ALTER TABLE "Select ""x""" RENAME CONSTRAINT "user" TO "An even ""longer"" name 012345678901234567890123456789012345678";
INSERT INTO "Select ""x""" VALUES (2, 'b', 3) ON CONFLICT ON CONSTRAINT "An even ""longer"" name 012345678901234567890123456789012345678" DO NOTHING RETURNING id;
DELETE FROM "Select ""x""";
UPDATE "Select ""x""_deleted" SET "From" = NULL WHERE value = 'v' RETURNING id, "group", "row", types, relation, value, tid, ctid_, k1, member, stamp;
ALTER TABLE "Select ""x""" DROP CONSTRAINT "An even ""longer"" name 012345678901234567890123456789012345678", DROP CONSTRAINT "Ü""_90123456789012345678901234567890123456789012345678901234567";
SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = '"Select ""x"""'::regclass ORDER BY relname COLLATE "C";

-- CHECK constraints of the application are its own
CREATE TABLE c (id integer CONSTRAINT ok CHECK (true), v text UNIQUE, w text CONSTRAINT c_w_key UNIQUE);
SELECT soft_delete.tag('c');
INSERT INTO c VALUES (1) ON CONFLICT ON CONSTRAINT ok DO NOTHING;
DROP INDEX c_v_key;
-- nor does one stand for an index that no unique constraint can have been
ALTER TABLE c ADD CONSTRAINT on_expression CHECK (true);
CREATE UNIQUE INDEX on_expression ON c (lower(v)) WHERE deleted_at IS NULL;
INSERT INTO c VALUES (1) ON CONFLICT ON CONSTRAINT on_expression DO NOTHING;
DROP INDEX on_expression;
SELECT soft_delete.untag('c');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'c'::regclass ORDER BY 1;

-- partitions
CREATE TABLE p (id integer, k integer, code text, PRIMARY KEY (k, id), CONSTRAINT one_code UNIQUE (k, code)) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2, 3) PARTITION BY LIST (k);
CREATE TABLE p21 PARTITION OF p2 FOR VALUES IN (2);
SELECT soft_delete.tag('p');
CREATE TABLE p22 PARTITION OF p2 FOR VALUES IN (3);
CREATE TABLE p4 (k integer NOT NULL, code text, id integer NOT NULL);
ALTER TABLE p ATTACH PARTITION p4 FOR VALUES IN (4);
INSERT INTO p VALUES (1, 1, 'c'), (1, 2, 'c'), (1, 3, 'c'), (1, 4, 'c');
INSERT INTO p VALUES (2, 1, 'c'), (2, 2, 'c'), (2, 3, 'c'), (2, 4, 'c') ON CONFLICT ON CONSTRAINT one_code DO UPDATE SET id = 100 RETURNING k, id;
INSERT INTO p1 VALUES (2, 1, 'c') ON CONFLICT ON CONSTRAINT p1_k_code_key DO UPDATE SET id = 101 RETURNING k, id;
INSERT INTO p1 VALUES (2, 1, 'c') ON CONFLICT ON CONSTRAINT one_code DO NOTHING;
DELETE FROM p WHERE k < 4;
INSERT INTO p VALUES (3, 1, 'c'), (3, 2, 'c'), (3, 3, 'c'), (3, 4, 'c') ON CONFLICT ON CONSTRAINT one_code DO UPDATE SET id = -100 RETURNING k, id;
ALTER TABLE p DETACH PARTITION p4;
ALTER TABLE p ATTACH PARTITION p4 FOR VALUES IN (4);
ALTER TABLE p RENAME CONSTRAINT one_code TO the_code;
INSERT INTO p VALUES (4, 4, 'c') ON CONFLICT ON CONSTRAINT the_code DO UPDATE SET id = -4 RETURNING k, id;
ALTER TABLE p DROP CONSTRAINT the_code;
SELECT conrelid::regclass, conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'named'::regnamespace AND conrelid <> 'c'::regclass ORDER BY 1, 2;
SELECT relname FROM pg_class WHERE relname LIKE 'p%code%';

RESET ROLE;
DROP SCHEMA named CASCADE;
DROP ROLE regress_named;
