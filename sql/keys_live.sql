-- reads in the order of a key do not pass deleted rows once it has a live key
CREATE ROLE regress_keys_live;
CREATE SCHEMA keys_live AUTHORIZATION regress_keys_live;
SET ROLE regress_keys_live;
SET search_path = keys_live;

CREATE TABLE jobs (id bigint PRIMARY KEY, payload text);
CREATE TABLE orders (tenant integer, id integer, code text CONSTRAINT one_code UNIQUE, PRIMARY KEY (tenant, id));
CREATE TABLE lines (code text REFERENCES orders (code));
CREATE TABLE parted (id integer PRIMARY KEY, payload text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (8000);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (8000) TO (90000);
SELECT soft_delete.tag(t) FROM unnest('{jobs,orders,lines,parted}'::regclass[]) t;
INSERT INTO jobs SELECT g, 'x' FROM generate_series(1, 12000) g;
INSERT INTO orders SELECT 1, g, g FROM generate_series(1, 12000) g;
INSERT INTO parted SELECT g, 'x' FROM generate_series(1, 12000) g;

-- check() proposes one where most rows, and many of them, are deleted
DELETE FROM jobs WHERE id <= 9999;
ANALYZE jobs;
SELECT problem, remedy FROM soft_delete.check() ORDER BY problem;
DELETE FROM jobs WHERE id <= 11000;
DELETE FROM orders WHERE id <= 11000;
DELETE FROM parted WHERE id <= 11000;
ANALYZE jobs, orders, parted;
SELECT severity, relation, problem, remedy FROM soft_delete.check() ORDER BY relation::text, problem;
SELECT remedy FROM soft_delete.check() ORDER BY relation::text, problem \gexec
SELECT severity, relation, problem, remedy FROM soft_delete.check() ORDER BY relation::text, problem;
VACUUM ANALYZE jobs, orders, parted;

-- the planner uses it, and reads a few pages
CREATE FUNCTION reads(query text, OUT indexes text, OUT few_pages boolean) LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
	indexes := (SELECT string_agg(DISTINCT name #>> '{}', ', ') FROM jsonb_path_query(plan, '$.**."Index Name"') AS name);
	few_pages := (plan #>> '{0,Plan,Shared Hit Blocks}')::integer + (plan #>> '{0,Plan,Shared Read Blocks}')::integer < 30;
END
$$;
SELECT reads('SELECT * FROM jobs ORDER BY id LIMIT 10');
SELECT reads('SELECT * FROM jobs ORDER BY id DESC LIMIT 10');
SELECT reads('SELECT min(id), max(id) FROM jobs');
SELECT reads('SELECT * FROM jobs WHERE id > 5 ORDER BY id LIMIT 10');
SELECT reads('SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED');
BEGIN;
SELECT reads('DELETE FROM jobs WHERE id = (SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)');
ROLLBACK;
SELECT reads('SELECT * FROM orders WHERE tenant = 1 ORDER BY id LIMIT 10');
SELECT reads('SELECT min(code) FROM orders');
SELECT reads('SELECT * FROM parted ORDER BY id LIMIT 10');
PREPARE page(bigint) AS SELECT * FROM jobs WHERE id > $1 ORDER BY id LIMIT 10;
SET plan_cache_mode = force_generic_plan;
SELECT reads('EXECUTE page(5)');
RESET plan_cache_mode;
SELECT * FROM jobs ORDER BY id LIMIT 2;
SELECT min(id), max(id) FROM jobs;
EXECUTE page(11998);

-- it is no key: errors, upserts and foreign keys go by the key itself
INSERT INTO jobs VALUES (12000, 'y');
INSERT INTO jobs VALUES (12000, 'y'), (1, 'y') ON CONFLICT (id) DO UPDATE SET payload = excluded.payload RETURNING id;
INSERT INTO orders VALUES (1, 12000, 'z');
INSERT INTO lines VALUES ('11000');
-- a covering one does, too; one with another condition, order or operator class does not
DROP INDEX jobs_pkey_live;
CREATE INDEX jobs_other ON jobs (id) WHERE deleted_at IS NULL AND payload IS NOT NULL;
CREATE INDEX jobs_text ON jobs (payload, id) WHERE deleted_at IS NULL;
SELECT problem, remedy FROM soft_delete.check() ORDER BY problem;
CREATE INDEX jobs_covering ON jobs (id, payload) WHERE deleted_at IS NULL;
SELECT problem, remedy FROM soft_delete.check() ORDER BY problem;
DROP INDEX jobs_covering, jobs_other, jobs_text;
SELECT remedy FROM soft_delete.check() \gexec

-- DDL is followed
ALTER TABLE jobs RENAME COLUMN id TO number;
ALTER TABLE jobs ALTER number TYPE numeric;
ALTER TABLE jobs ADD COLUMN more integer;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'jobs'::regclass ORDER BY 1;
ALTER TABLE jobs ALTER number TYPE bigint;
SELECT problem, remedy FROM soft_delete.check() ORDER BY problem;

-- untag() drops it, and gives other indexes back as they were
CREATE TABLE doubled (id integer PRIMARY KEY, v text);
CREATE INDEX doubled_id ON doubled (id);
CREATE INDEX doubled_v ON doubled (v);
SELECT soft_delete.tag('doubled');
CREATE INDEX doubled_pkey_live ON doubled (id) WHERE deleted_at IS NULL;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'doubled'::regclass ORDER BY 1;
SELECT soft_delete.untag(t, tombstones => 'purge') FROM unnest('{doubled,jobs,orders,parted}'::regclass[]) t;
SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE relnamespace = 'keys_live'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1;

RESET ROLE;
DROP SCHEMA keys_live CASCADE;
DROP ROLE regress_keys_live;
