-- a change of a key with an ON UPDATE action finds deleted children by an index, which check() proposes where they are many, and which follows DDL
\set SHOW_CONTEXT never
CREATE ROLE regress_references;
CREATE SCHEMA aside_references AUTHORIZATION regress_references;
SET ROLE regress_references;
SET search_path = aside_references;
CREATE TABLE parent (code text PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, code text REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, other integer);
CREATE TABLE quiet (id integer PRIMARY KEY, code text REFERENCES parent ON DELETE CASCADE);
SELECT soft_delete.tag('parent', cascade => true, storage => 'aside') IS NOT NULL AS is_tagged;
INSERT INTO parent SELECT 'code ' || n FROM generate_series(1, 100) AS n;
INSERT INTO child SELECT n, 'code ' || n % 100 + 1, n FROM generate_series(1, 12000) AS n;
INSERT INTO quiet SELECT n, 'code ' || n % 100 + 1 FROM generate_series(1, 12000) AS n;
-- few are read in no time, and so are those of a key that hardly ever changes
DELETE FROM child WHERE id <= 9000;
DELETE FROM quiet;
ANALYZE child_tombstones, quiet_tombstones;
SELECT * FROM soft_delete.check();
DELETE FROM child WHERE id <= 11990;
ANALYZE child_tombstones;
SELECT * FROM soft_delete.check();
BEGIN;
SELECT seq_scan AS scans FROM pg_stat_xact_user_tables WHERE relid = 'child_tombstones'::regclass \gset
UPDATE parent SET code = 'new 1' WHERE code = 'code 1';
SELECT seq_scan - :scans AS scans FROM pg_stat_xact_user_tables WHERE relid = 'child_tombstones'::regclass;
ROLLBACK;
SELECT remedy FROM soft_delete.check() \gexec
ANALYZE child_tombstones;
SELECT * FROM soft_delete.check();
BEGIN;
SELECT seq_scan AS scans FROM pg_stat_xact_user_tables WHERE relid = 'child_tombstones'::regclass \gset
UPDATE parent SET code = 'new 1' WHERE code = 'code 1';
SELECT seq_scan - :scans AS scans FROM pg_stat_xact_user_tables WHERE relid = 'child_tombstones'::regclass;
SELECT count(*) FROM child_deleted WHERE code = 'new 1';
COMMIT;
-- it stays with its column
CREATE VIEW indexes AS SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'child_tombstones'::regclass ORDER BY 1;
ALTER TABLE child RENAME code TO "Code";
TABLE indexes;
ALTER TABLE child ALTER "Code" TYPE varchar(20);
TABLE indexes;
SELECT * FROM soft_delete.check();

-- each month has it, from the beginning, if the companion has
SELECT soft_delete.tag('child', storage => 'aside_monthly') IS NOT NULL AS is_tagged;
SELECT count(*) FROM pg_inherits JOIN pg_index ON indrelid = inhrelid JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE inhparent = 'child_tombstones'::regclass AND attname = 'Code';
DROP INDEX "child_tombstones_code_idx";
INSERT INTO child SELECT n, 'code ' || n % 99 + 2, n FROM generate_series(20001, 31000) AS n;
DELETE FROM child;
\set ECHO none
SELECT format('ANALYZE %s; DROP INDEX %s', indrelid::regclass, indexrelid::regclass) FROM pg_inherits JOIN pg_index ON indrelid = inhrelid JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE inhparent = 'child_tombstones'::regclass AND attname = 'Code' \gexec
\set ECHO all
SELECT regexp_replace(problem, '\d{4}_\d\d', 'YYYY_MM') AS problem, regexp_replace(remedy, '\d{4}_\d\d', 'YYYY_MM') AS remedy, is_safe FROM soft_delete.check() ORDER BY length(problem);
\set ECHO none
SELECT remedy FROM soft_delete.check() \gexec
\set ECHO all
SELECT * FROM soft_delete.check();

-- deleted rows that had a key before, which is not the primary key, are looked for only where one of its children is deleted: check() proposes an index for them, too
CREATE TABLE coded (id integer PRIMARY KEY, code text UNIQUE);
CREATE TABLE of_coded (id integer PRIMARY KEY, code text REFERENCES coded (code) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE also_of_coded (id integer PRIMARY KEY, code text REFERENCES coded (code) ON DELETE CASCADE ON UPDATE CASCADE);
SELECT soft_delete.tag('coded', cascade => true, storage => 'aside') IS NOT NULL AS is_tagged;
INSERT INTO coded SELECT n, 'code ' || n FROM generate_series(1, 12000) AS n;
DELETE FROM coded;
ANALYZE coded_tombstones;
INSERT INTO coded VALUES (12001, 'code 1'), (12002, 'code 2');
INSERT INTO of_coded VALUES (1, 'code 1');
DELETE FROM of_coded;
BEGIN;
SELECT seq_scan AS scans FROM pg_stat_xact_user_tables WHERE relid = 'coded_tombstones'::regclass \gset
UPDATE coded SET code = 'new 2' WHERE code = 'code 2';
SELECT seq_scan - :scans AS scans FROM pg_stat_xact_user_tables WHERE relid = 'coded_tombstones'::regclass;
UPDATE coded SET code = 'new 1' WHERE code = 'code 1';
SELECT seq_scan - :scans AS scans FROM pg_stat_xact_user_tables WHERE relid = 'coded_tombstones'::regclass;
ROLLBACK;
SELECT relation, problem, remedy FROM soft_delete.check();
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check();
BEGIN;
SELECT seq_scan AS scans FROM pg_stat_xact_user_tables WHERE relid = 'coded_tombstones'::regclass \gset
UPDATE coded SET code = 'new 1' WHERE code = 'code 1';
SELECT seq_scan - :scans AS scans FROM pg_stat_xact_user_tables WHERE relid = 'coded_tombstones'::regclass;
SELECT code FROM of_coded_deleted;
-- of the former row of that key, which is deleted, a child that went with it does not follow
ROLLBACK;
DELETE FROM coded WHERE code = 'code 1';
INSERT INTO coded VALUES (12003, 'code 1');
UPDATE coded SET code = 'new 3' WHERE id = 12003;
SELECT code FROM of_coded_deleted;

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA aside_references CASCADE;
DROP ROLE regress_references;
