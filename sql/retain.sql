-- how long deleted rows are kept: said about a table or a schema, by the owner
\set SHOW_CONTEXT never
CREATE ROLE regress_retain;
CREATE ROLE regress_retain_other;
CREATE SCHEMA retain AUTHORIZATION regress_retain;
GRANT USAGE ON SCHEMA retain TO regress_retain_other;
SET ROLE regress_retain;
SET search_path = retain;

CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE plain (id integer PRIMARY KEY);
CREATE TABLE part (id integer PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT soft_delete.tag('t'), soft_delete.tag('part');

SELECT soft_delete.retain('t', '90 days'), soft_delete.retain('t', '30 days'), soft_delete.retain_schema('retain', '1 year'), soft_delete.retain('part', NULL);
SELECT * FROM soft_delete.retention ORDER BY relation;
RESET ROLE;
SELECT member, r.* FROM unnest('{t,part,part_1}'::regclass[]) AS member, soft_delete_internal.retention_of(member) AS r;
SET ROLE regress_retain;

-- refusals
SELECT soft_delete.retain('plain', '1 day');
SELECT soft_delete.retain('part_1', '1 day');
SELECT soft_delete.retain(NULL, '1 day');
SELECT soft_delete.retain('t', '-1 day');
SELECT soft_delete.retain('t', '1000000 years');
SELECT soft_delete.retain_schema('nowhere', '1 day');
CALL soft_delete.purge('plain');
CALL soft_delete.purge('part_1');
CALL soft_delete.purge(batch_size => 0);
CALL soft_delete.purge(pause => '-1 s');
CALL soft_delete.purge(older_than => '-1 s');
BEGIN;
CALL soft_delete.purge();
ROLLBACK;
RESET ROLE;
SELECT soft_delete_internal.purge_batch('{}', now(), NULL, 1, true, false);
SET ROLE regress_retain;
RESET ROLE;
SELECT soft_delete_internal.purge_batch('{t}', now(), NULL, 0, true, false);
SET ROLE regress_retain;
-- a table that is gone meanwhile has no rows
RESET ROLE;
SELECT relation, rows, done FROM soft_delete_internal.purge_batch('{4294967295}', now(), '0', 1, true, false);
SET ROLE regress_retain;

-- for others it is no secret, but not theirs
SET ROLE regress_retain_other;
SELECT soft_delete.retain('t', '0');
SELECT soft_delete.retain_schema('retain', '0');
RESET ROLE;
DELETE FROM soft_delete_internal.retention;
SET ROLE regress_retain_other;
RESET ROLE;
UPDATE soft_delete_internal.retention SET retain = '0';
SET ROLE regress_retain_other;
RESET ROLE;
INSERT INTO soft_delete_internal.retention VALUES ('t', NULL, '0') ON CONFLICT (relation) DO UPDATE SET retain = '0';
SET ROLE regress_retain_other;
SELECT count(*) FROM soft_delete.retention;
CALL soft_delete.purge('t');
RESET ROLE;
SELECT soft_delete_internal.purge_batch('{t}', now(), '0', 1, true, false);
SET ROLE regress_retain_other;
SELECT * FROM soft_delete.preview_purge('t');
SET ROLE regress_retain;

-- it goes with the tag, with the table, and with the schema
RESET ROLE;
DELETE FROM soft_delete_internal.retention WHERE relation = 'part'::regclass;
SET ROLE regress_retain;
RESET ROLE;
SELECT r.* FROM soft_delete_internal.retention_of('part') AS r;
SET ROLE regress_retain;
SELECT soft_delete.untag('t');
SELECT soft_delete.retain('part', '1 day');
RESET ROLE;
ALTER SCHEMA retain RENAME TO "Retained";
SELECT * FROM soft_delete.retention ORDER BY relation;
ALTER SCHEMA "Retained" RENAME TO retain;
SET ROLE regress_retain;
ALTER TABLE part DETACH PARTITION part_1;
SELECT * FROM soft_delete.retention ORDER BY relation;
DROP TABLE part, part_1;
SELECT * FROM soft_delete.retention;

-- what nothing is said about goes with what deletes it by CASCADE, the longest first
CREATE TABLE a (id integer PRIMARY KEY);
CREATE TABLE b (id integer PRIMARY KEY);
CREATE TABLE c (id integer PRIMARY KEY, a_id integer REFERENCES a ON DELETE CASCADE, b_id integer REFERENCES b ON DELETE CASCADE);
CREATE TABLE d (id integer PRIMARY KEY, c_id integer REFERENCES c ON DELETE CASCADE, d_id integer REFERENCES d ON DELETE CASCADE);
SELECT soft_delete.tag('a', cascade => true);
RESET ROLE;
DELETE FROM soft_delete_internal.retention;
SET ROLE regress_retain;
SELECT soft_delete.retain('a', '10 days');
RESET ROLE;
SELECT member, r.* FROM unnest('{a,b,c,d}'::regclass[]) AS member, soft_delete_internal.retention_of(member) AS r;
SET ROLE regress_retain;
RESET ROLE;
SELECT member, soft_delete_internal.purge_limit(member, '2020-02-01', NULL) IS NOT NULL AS by_itself, soft_delete_internal.purge_limit(member, '2020-02-01 UTC', '1 day') AT TIME ZONE 'UTC' AS older_than
FROM unnest('{a,b,c,d}'::regclass[]) AS member;
SET ROLE regress_retain;
SELECT soft_delete.retain('b', '20 days');
RESET ROLE;
SELECT member, r.* FROM unnest('{a,b,c,d}'::regclass[]) AS member, soft_delete_internal.retention_of(member) AS r;
SET ROLE regress_retain;
SELECT soft_delete.retain('b', NULL);
RESET ROLE;
SELECT member, r.* FROM unnest('{a,b,c,d}'::regclass[]) AS member, soft_delete_internal.retention_of(member) AS r;
SET ROLE regress_retain;
SELECT soft_delete.retain('c', '1 day');
RESET ROLE;
SELECT member, r.* FROM unnest('{a,b,c,d}'::regclass[]) AS member, soft_delete_internal.retention_of(member) AS r;
SET ROLE regress_retain;

RESET ROLE;
DROP SCHEMA retain CASCADE;
SELECT * FROM soft_delete.retention;
DROP ROLE regress_retain, regress_retain_other;
