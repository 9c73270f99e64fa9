-- plan() prepares a big table without a long lock, and tag() then only swaps
CREATE ROLE regress_plan;
CREATE SCHEMA plan AUTHORIZATION regress_plan;
SET ROLE regress_plan;
SET search_path = plan;
\set VERBOSITY terse

CREATE TABLE "Big" (
	id integer PRIMARY KEY, email text CONSTRAINT one_email UNIQUE, a integer, b text, room int4range,
	CONSTRAINT "Several" UNIQUE NULLS NOT DISTINCT (a, b) INCLUDE (id) WITH (fillfactor = 70),
	EXCLUDE USING gist (room WITH &&)
);
CREATE UNIQUE INDEX one_or ON "Big" (lower(email)) WHERE a > 1 OR b = ' WHERE (x';
CREATE UNIQUE INDEX one_and ON "Big" (b) WHERE a > 1 AND email > '';
CREATE UNIQUE INDEX one_more ON "Big" (b DESC) WHERE a > 1;
CREATE INDEX plain ON "Big" (b);
CREATE INDEX long_name_a6789012345678901234567890123456789012345678901234567890 ON "Big" (a);
CREATE INDEX long_name_b6789012345678901234567890123456789012345678901234567890 ON "Big" (a, b);
COMMENT ON CONSTRAINT one_email ON "Big" IS 'a comment';
INSERT INTO "Big" SELECT g, 'e' || g, g, 'b' || g FROM generate_series(1, 100) g;
CREATE VIEW files AS SELECT relname, pg_relation_filenode(oid) AS file FROM pg_class WHERE oid IN (SELECT indexrelid FROM pg_index WHERE indrelid::regclass::text IN ('"Big"', 'p1', 'p21'));

-- what it says, and that it can be interrupted anywhere: what is done is left out
SELECT regexp_replace(plan, 'soft_delete_\d+', 'soft_delete_N', 'g') AS plan FROM soft_delete.plan('"Big"') AS plan;
CREATE TABLE steps AS SELECT plan, n FROM soft_delete.plan('"Big"') WITH ORDINALITY AS s(plan, n);
\set ECHO none
SELECT plan FROM steps WHERE n = 1 \gexec
\set ECHO all
SELECT count(*) FROM soft_delete.plan('"Big"');
\set ECHO none
SELECT plan FROM steps WHERE n IN (2, 3, 4) \gexec
\set ECHO all
SELECT count(*) FROM soft_delete.plan('"Big"');

-- an attempt that failed leaves an invalid index behind
DROP INDEX one_more;
CREATE UNIQUE INDEX one_more ON "Big" (b DESC) WHERE a > 101;
RESET ROLE;
UPDATE pg_index SET indisvalid = false WHERE indrelid = 'plan."Big"'::regclass AND indexrelid::regclass::text ~ 'soft_delete_' AND indkey[0] = 2 AND indpred IS NOT NULL AND indexprs IS NULL;
SET ROLE regress_plan;
SELECT regexp_replace(plan, 'soft_delete_\d+', 'soft_delete_N', 'g') AS plan FROM soft_delete.plan('"Big"') AS plan WHERE plan ~ 'DROP|email' AND plan !~ 'lower|email >';

-- the rest
\set ECHO none
SELECT plan FROM soft_delete.plan('"Big"') AS plan WHERE plan !~ '^SELECT' \gexec
\set ECHO all
SELECT regexp_replace(plan, 'soft_delete_\d+', 'soft_delete_N', 'g') AS plan FROM soft_delete.plan('"Big"') AS plan;
CREATE TABLE prepared AS SELECT * FROM files WHERE relname LIKE 'soft\_delete\_%';
\set ECHO none
SELECT soft_delete.plan('"Big"') \gexec
\set ECHO all
SELECT count(*) AS swapped, count(*) FILTER (WHERE files.file IS NULL) AS lost FROM prepared LEFT JOIN files USING (file);
SELECT count(*) AS left_over FROM files WHERE relname LIKE 'soft\_delete\_%';
SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = '"Big"'::regclass ORDER BY relname COLLATE "C";
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('"Big"');
SET ROLE regress_plan;
INSERT INTO "Big" VALUES (200, 'e1', 200) ON CONFLICT ON CONSTRAINT one_email DO NOTHING;
DELETE FROM "Big" WHERE id = 1;
INSERT INTO "Big" VALUES (200, 'e1', 200) ON CONFLICT ON CONSTRAINT one_email DO NOTHING;
SELECT id FROM "Big" WHERE email = 'e1';
SELECT soft_delete.untag('"Big"', tombstones => 'purge');
SELECT conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conrelid = '"Big"'::regclass AND contype = 'u' ORDER BY 1;
SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = '"Big"'::regclass ORDER BY relname COLLATE "C";

-- partitions
CREATE TABLE p (id integer, k integer, code text, PRIMARY KEY (k, id), CONSTRAINT one_code UNIQUE (k, code)) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2, 3) PARTITION BY LIST (k);
CREATE TABLE p21 PARTITION OF p2 FOR VALUES IN (2);
SELECT soft_delete.plan('p1');
SELECT regexp_replace(plan, 'soft_delete_\d+', 'soft_delete_N', 'g') AS plan FROM soft_delete.plan('p', 'gone', indexes => 'unique') AS plan;
\set ECHO none
SELECT plan FROM soft_delete.plan('p', 'gone') AS plan LIMIT 3 \gexec
\set ECHO all
\set ECHO none
SELECT plan FROM soft_delete.plan('p', 'gone') AS plan WHERE plan !~ '^SELECT' \gexec
\set ECHO all
SELECT plan FROM soft_delete.plan('p', 'gone') AS plan;
TRUNCATE prepared;
INSERT INTO prepared SELECT * FROM files WHERE relname LIKE 'soft\_delete\_%';
\set ECHO none
SELECT plan FROM soft_delete.plan('p', 'gone') AS plan \gexec
\set ECHO all
SELECT count(*) AS swapped, count(*) FILTER (WHERE files.file IS NULL) AS lost FROM prepared LEFT JOIN files USING (file);
SELECT indexrelid::regclass, indisvalid, pg_get_indexdef(indexrelid) LIKE '%gone IS NULL%' AS hides FROM pg_index
WHERE indrelid IN ('p'::regclass, 'p1'::regclass, 'p2'::regclass, 'p21'::regclass) AND indnatts > 1 AND NOT indisprimary ORDER BY indexrelid::regclass::text;
INSERT INTO p VALUES (1, 1, 'a'), (1, 2, 'a') ON CONFLICT ON CONSTRAINT one_code DO NOTHING;
DELETE FROM p;
INSERT INTO p VALUES (1, 1, 'a'), (1, 2, 'a') ON CONFLICT ON CONSTRAINT one_code DO NOTHING;
SELECT count(*) FROM p;

-- refusals come before anything is done
SELECT soft_delete.plan(NULL);
SELECT soft_delete.plan('p', indexes => 'none');
SELECT soft_delete.plan('pg_class');
RESET ROLE;
CREATE ROLE regress_plan_other;
GRANT USAGE ON SCHEMA plan TO regress_plan_other;
SET ROLE regress_plan_other;
SELECT soft_delete.plan('plan.p');

RESET ROLE;
DROP SCHEMA plan CASCADE;
DROP ROLE regress_plan, regress_plan_other;
