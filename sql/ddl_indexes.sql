-- Unique constraints and indexes that are added hide tombstones from the start.
CREATE ROLE regress_ddl_indexes;
CREATE SCHEMA ddl_indexes AUTHORIZATION regress_ddl_indexes;
SET search_path = ddl_indexes;
SET ROLE regress_ddl_indexes;
\set SHOW_CONTEXT never
RESET ROLE;
CREATE FUNCTION indexes_of(relation regclass) RETURNS TABLE (index text, stand_in boolean) LANGUAGE sql AS
$$ SELECT substring(pg_get_indexdef(indexrelid) FROM 'INDEX .*'), soft_delete_internal.stand_in(indexrelid) IS NOT NULL
   FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = relation ORDER BY relname $$;
SET ROLE regress_ddl_indexes;

-- tombstones and a live row have the same key, which would be in the way
CREATE TABLE t (id integer PRIMARY KEY, email text, n integer, during int4range);
SELECT soft_delete.tag('t');
INSERT INTO t VALUES (1, 'a', 1, '[1,5)'), (2, 'a', 1, '[1,5)');
DELETE FROM t;
INSERT INTO t VALUES (3, 'a', 1, '[1,5)');
CREATE UNIQUE INDEX t_email ON t (email);
CREATE UNIQUE INDEX CONCURRENTLY t_lower ON t (lower(email)) WHERE n > 0 OR n IS NULL;
CREATE UNIQUE INDEX t_including ON t USING btree (email DESC) INCLUDE (n) WITH (fillfactor = 50);
CREATE INDEX t_n ON t (n);
CREATE INDEX IF NOT EXISTS t_n ON t (n);
CREATE INDEX ON t USING hash (email);
ALTER TABLE t ADD UNIQUE (n), ADD CONSTRAINT during EXCLUDE USING gist (during WITH &&), ADD COLUMN extra integer UNIQUE;
-- those that are about tombstones are left alone
CREATE INDEX t_gone ON t (n) WHERE deleted_at IS NOT NULL;
CREATE INDEX t_when ON t (deleted_at, n);
-- and those that cannot be partial
ALTER TABLE t ADD COLUMN late integer UNIQUE DEFERRABLE INITIALLY DEFERRED;
RESET ROLE;
SELECT * FROM indexes_of('t');
SET ROLE regress_ddl_indexes;

-- errors, upserts and migrations name them
INSERT INTO t VALUES (4, 'b', 1);
INSERT INTO t VALUES (4, 'b', 1) ON CONFLICT (n) DO UPDATE SET email = 'c' RETURNING id, email;
INSERT INTO t VALUES (4, 'b', 1) ON CONFLICT ON CONSTRAINT t_n_key DO NOTHING;
INSERT INTO t VALUES (4, 'b', 2, '[2,3)');
CREATE UNIQUE INDEX t_again ON t (n);
ALTER TABLE t ADD CONSTRAINT "n is unique" UNIQUE USING INDEX t_again;
INSERT INTO t VALUES (4, 'b', 1) ON CONFLICT ON CONSTRAINT "n is unique" DO NOTHING;
ALTER TABLE t DROP CONSTRAINT "n is unique", DROP CONSTRAINT t_n_key;
SELECT to_regclass('t_n_key') AS dropped, to_regclass('"n is unique"') AS dropped;
ALTER TABLE t ADD UNIQUE USING INDEX t_lower;
ALTER TABLE t ADD UNIQUE USING INDEX t_including;
ALTER TABLE t ADD UNIQUE USING INDEX nowhere;

-- live rows are in the way as ever, by the same error
INSERT INTO t (id, email) VALUES (5, 'd'), (6, 'd2');
UPDATE t SET n = 7 WHERE id > 4;
CREATE UNIQUE INDEX t_n_unique ON t (n);
ALTER TABLE t ADD CONSTRAINT t_n_unique UNIQUE (n);
ALTER TABLE t ADD UNIQUE (nowhere);
SELECT to_regclass('t_n_unique') AS none;

-- indexes => 'unique' leaves the others alone
CREATE TABLE few (id integer PRIMARY KEY, a text, b text);
SELECT soft_delete.tag('few', indexes => 'unique');
CREATE INDEX few_a ON few (a);
CREATE UNIQUE INDEX few_b ON few (b);
RESET ROLE;
SELECT * FROM indexes_of('few');
SET ROLE regress_ddl_indexes;

-- a primary key is whole
CREATE TABLE keyless (id integer, a text);
SELECT soft_delete.tag('keyless');
INSERT INTO keyless VALUES (1, 'x');
DELETE FROM keyless;
ALTER TABLE keyless ADD PRIMARY KEY (id);
INSERT INTO keyless VALUES (1, 'y');
SELECT id, a FROM keyless_deleted;

-- an index that a table is clustered by is whole, as long as it is
CREATE TABLE clustered (id integer PRIMARY KEY, a integer, b text CONSTRAINT clustered_b UNIQUE, EXCLUDE USING gist (box(point(id, id), point(id, id)) WITH &&));
CREATE INDEX clustered_a ON clustered (a);
CREATE INDEX clustered_some ON clustered (a) WHERE b > 'm';
SELECT soft_delete.tag('clustered');
INSERT INTO clustered SELECT g, -g % 7, chr(96 + g) FROM generate_series(1, 20) AS g;
DELETE FROM clustered WHERE id < 4;
INSERT INTO clustered VALUES (31, 1, 'a'), (32, 1, 'b');
DELETE FROM clustered WHERE id = 31;
CLUSTER clustered USING clustered_a;
SELECT id, a, b FROM clustered LIMIT 4;
CLUSTER clustered;
ALTER TABLE clustered CLUSTER ON clustered_b, ADD COLUMN c integer;
CLUSTER clustered;
SELECT id, a, b FROM clustered ORDER BY ctid LIMIT 4;
INSERT INTO clustered VALUES (33, 1, 'b');
INSERT INTO clustered VALUES (33, 1, 'a') ON CONFLICT ON CONSTRAINT clustered_b DO NOTHING;
CLUSTER clustered USING clustered_some;
CLUSTER clustered USING clustered_box_excl;
CLUSTER clustered USING nonsense;
CLUSTER nonsense USING nonsense;
RESET ROLE;
SELECT * FROM indexes_of('clustered');
SET ROLE regress_ddl_indexes;
SELECT conname, contype FROM pg_constraint WHERE conrelid = 'clustered'::regclass AND contype <> 'n' ORDER BY 1;
SELECT id, a, b FROM clustered_deleted ORDER BY id;
ALTER TABLE clustered SET WITHOUT CLUSTER;
SELECT problem, remedy FROM soft_delete.check() WHERE relation = 'clustered'::regclass ORDER BY problem;
SELECT remedy FROM soft_delete.check() WHERE relation = 'clustered'::regclass \gexec
SELECT soft_delete.untag('clustered', tombstones => 'purge');
RESET ROLE;
SELECT * FROM indexes_of('clustered');
SET ROLE regress_ddl_indexes;

-- partitioned and inherited tables
CREATE TABLE part (id integer, a text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10);
SELECT soft_delete.tag('part');
INSERT INTO part VALUES (1, 'x');
DELETE FROM part;
INSERT INTO part VALUES (2, 'x');
CREATE UNIQUE INDEX part_a ON part (id, a);
ALTER TABLE part ADD CONSTRAINT part_b UNIQUE (a, id);
CREATE UNIQUE INDEX part_1_a ON part_1 (a);
RESET ROLE;
SELECT * FROM indexes_of('part');
SET ROLE regress_ddl_indexes;
RESET ROLE;
SELECT * FROM indexes_of('part_1');
SET ROLE regress_ddl_indexes;
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
RESET ROLE;
SELECT count(*) FROM indexes_of('part_2') WHERE index LIKE '%WHERE (deleted_at IS NULL)';
SET ROLE regress_ddl_indexes;

-- all are given back
SET client_min_messages = warning;
DELETE FROM t;
SELECT soft_delete.untag('t', tombstones => 'purge'), soft_delete.untag('few'), soft_delete.untag('part', tombstones => 'purge');
RESET ROLE;
SELECT * FROM indexes_of('t');
SET ROLE regress_ddl_indexes;
RESET ROLE;
SELECT * FROM indexes_of('few');
SET ROLE regress_ddl_indexes;
RESET ROLE;
SELECT * FROM indexes_of('part');
SET ROLE regress_ddl_indexes;
SELECT conname, contype FROM pg_constraint WHERE conrelid IN ('t'::regclass, 'part'::regclass) AND contype <> 'n' ORDER BY 1;

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA ddl_indexes CASCADE;
DROP ROLE regress_ddl_indexes;
