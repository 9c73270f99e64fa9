-- kept aside, deleted rows leave nothing that a statement can notice: by position, as a whole, in the order of a key, by DDL or in the catalogs
--
-- The same is done in a schema whose deleted rows are aside, and in one that deletes hard.
\set SHOW_CONTEXT never
CREATE ROLE regress_unnoticed;
CREATE SCHEMA unnoticed AUTHORIZATION regress_unnoticed;
CREATE SCHEMA unnoticed_twin AUTHORIZATION regress_unnoticed;
CREATE SCHEMA unnoticed_bins AUTHORIZATION regress_unnoticed;
CREATE SCHEMA unnoticed_tools AUTHORIZATION regress_unnoticed;
SET ROLE regress_unnoticed;
SET search_path = unnoticed_tools;
SET client_min_messages = warning;
SELECT soft_delete.tag_schema('unnoticed', storage => 'aside', views => 'unnoticed_bins');

-- what a statement answers in a schema: rows, their number, or the error
CREATE FUNCTION answer(schema name, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	n bigint;
BEGIN
	PERFORM set_config('search_path', schema, false);
	IF statement ~* '^(SELECT|TABLE)' THEN
		EXECUTE format('SELECT string_agg(q::text, '' '') FROM (%s) AS q', statement) INTO answer;
	ELSE
		EXECUTE statement;
		GET DIAGNOSTICS n = ROW_COUNT;
		answer := n;
	END IF;
	RETURN coalesce(answer, 'none');
EXCEPTION WHEN OTHERS THEN
	RETURN concat_ws(' ', SQLSTATE, replace(SQLERRM, '_twin', ''));
END
$$;
CREATE FUNCTION same(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	aside text := unnoticed_tools.answer('unnoticed', statement);
	twin text := unnoticed_tools.answer('unnoticed_twin', statement);
BEGIN
	PERFORM set_config('search_path', 'unnoticed_tools', false);
	RETURN CASE WHEN aside IS NOT DISTINCT FROM twin THEN aside ELSE format('DIFFERS: %s, but %s', aside, twin) END;
END
$$;

-- rows as a whole
SELECT same('CREATE TABLE a (id integer PRIMARY KEY, x text NOT NULL)'), same('CREATE TABLE b (id integer PRIMARY KEY, y text NOT NULL)');
SELECT same('INSERT INTO a VALUES (1, ''x''), (2, ''gone'')'), same('INSERT INTO b VALUES (1, ''y''), (3, ''gone'')');
SELECT same('DELETE FROM a WHERE id = 2'), same('DELETE FROM b WHERE id = 3');
SELECT same('SELECT count(*) FROM a NATURAL JOIN b'), same('SELECT count(*) FROM a WHERE a IS NOT NULL'), same('SELECT count(*) FROM a LEFT JOIN b ON b.id = a.id WHERE b IS NOT NULL');
SELECT same('CREATE FUNCTION is_whole() RETURNS boolean LANGUAGE plpgsql AS ''DECLARE r a; BEGIN SELECT * INTO r FROM a; RETURN r IS NOT NULL; END'''), same('SELECT is_whole()');
SELECT same('SELECT a FROM a'), same('SELECT to_jsonb(a) FROM a'), same('SELECT ROW(a.*) IS NOT NULL, row_to_json(ROW(a.*)) FROM a'), same('SELECT id FROM a WHERE a = ROW(1, ''x'')::a');

-- by position
SELECT same('CREATE TABLE emp (name text, salary integer)'), same('CREATE TABLE emp_audit (operation char(1), stamp timestamp, userid text, empname text, salary integer)'), same('CREATE TABLE archive (name text, salary integer, op text)');
SELECT same('CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN INSERT INTO emp_audit SELECT left(TG_OP, 1), now(), user, OLD.*; INSERT INTO archive VALUES (OLD.*, TG_OP); RETURN NULL; END''');
SELECT same('CREATE TRIGGER audit AFTER UPDATE OR DELETE ON emp FOR EACH ROW EXECUTE FUNCTION audit()');
SELECT same('INSERT INTO emp VALUES (''joe'', 1), (''ann'', 2), (''tim'', 3)'), same('UPDATE emp SET salary = 4 WHERE name = ''ann'''), same('DELETE FROM emp WHERE name = ''joe''');
SELECT same('SELECT operation, userid, empname, salary FROM emp_audit ORDER BY stamp, empname'), same('TABLE archive'), same('DROP TRIGGER audit ON emp');
SELECT same('CREATE TABLE moved (name text, salary integer)'), same('WITH m AS (DELETE FROM emp WHERE name = ''ann'' RETURNING *) INSERT INTO moved SELECT * FROM m'), same('TABLE moved');
SELECT same('CREATE FUNCTION made() RETURNS SETOF a LANGUAGE plpgsql AS ''BEGIN RETURN QUERY SELECT 1, ''''x''''::text; END'''), same('SELECT made()');
SELECT same('CREATE FUNCTION taken(a) RETURNS text LANGUAGE sql AS ''SELECT $1.x'''), same('SELECT taken(ROW(7, ''z'')), taken(a) FROM a');
SELECT same('ALTER TABLE a ADD c timestamptz DEFAULT ''2024-01-01 00:00 UTC'''), same('INSERT INTO a VALUES (4, ''x'', NULL), (5, ''y'', ''2024-05-05 00:00 UTC'')'), same('INSERT INTO a SELECT id + 10, x FROM a'), same('SELECT * FROM a ORDER BY id');
SELECT same('CREATE TABLE copied (LIKE a INCLUDING ALL)'), same('INSERT INTO copied SELECT * FROM a'), same('TABLE copied EXCEPT TABLE a');
CREATE TEMPORARY TABLE staged (LIKE unnoticed.b);
COPY staged FROM stdin;
8	eight
\.
INSERT INTO unnoticed.b SELECT * FROM staged ON CONFLICT (id) DO NOTHING;
INSERT INTO unnoticed_twin.b SELECT * FROM staged ON CONFLICT (id) DO NOTHING;
COPY unnoticed.b TO stdout;

-- constraints that deleted rows would violate, with and without rows that do
SELECT same('CREATE TABLE t (id integer PRIMARY KEY, k integer CONSTRAINT t_k UNIQUE, v text)'), same('INSERT INTO t VALUES (1, 1, ''fine''), (2, 2, ''no''), (3, 1000, NULL)'), same('DELETE FROM t WHERE id > 1');
SELECT same('ALTER TABLE t ADD x integer'), same('UPDATE t SET x = 1'), same('ALTER TABLE t ALTER x SET NOT NULL');
SELECT same('INSERT INTO t VALUES (4, 4, NULL, 4)'), same('DELETE FROM t WHERE v IS NULL'), same('ALTER TABLE t ALTER v SET NOT NULL');
SELECT same('CREATE TYPE mood AS ENUM (''fine'')'), same('ALTER TABLE t ALTER v TYPE mood USING v::mood'), same('SELECT v FROM t');
SELECT same('ALTER TABLE t ADD CHECK (k < 1000)'), same('ALTER TABLE t ADD CONSTRAINT small CHECK (k < 2) NOT VALID'), same('ALTER TABLE t VALIDATE CONSTRAINT small'), same('INSERT INTO t VALUES (5, 5, ''fine'', 5)');
SELECT same('ALTER TABLE t ADD g integer GENERATED ALWAYS AS (10 / (k - 2)) STORED'), same('SELECT g FROM t'), same('ALTER TABLE t DROP g');
SELECT same('CREATE DOMAIN few AS integer'), same('ALTER TABLE t ALTER x TYPE few'), same('ALTER DOMAIN few ADD CHECK (VALUE < 4)'), same('ALTER TABLE t ALTER k TYPE smallint, ADD UNIQUE (x) DEFERRABLE');
SELECT same('CREATE UNIQUE INDEX i ON t (k)'), same('ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY USING INDEX i'), same('CLUSTER t USING t_k'), same('ALTER TABLE t CLUSTER ON t_k');
SELECT same('ALTER TABLE t DROP CONSTRAINT t_k, ADD CONSTRAINT t_k EXCLUDE USING btree (k WITH =)'), same('INSERT INTO t VALUES (6, 1, ''fine'', 1)');
SELECT same('CREATE TABLE p (id integer, d text) PARTITION BY LIST (d)'), same('CREATE TABLE p_default PARTITION OF p DEFAULT'), same('INSERT INTO p VALUES (1, ''one'')'), same('DELETE FROM p'), same('CREATE TABLE p_one PARTITION OF p FOR VALUES IN (''one'')');
-- some fail: with the same error, and nothing is changed
SELECT same('ALTER TABLE t ALTER v TYPE integer USING v::text::integer'), same('ALTER TABLE t ADD CHECK (id > 1)'), same('ALTER TABLE t ADD y integer NOT NULL');

-- every form of ALTER TABLE is one of deleted rows, too: a row that is deleted before it, and one that is after, come back as they are in the twin, where they stayed
CREATE FUNCTION changes(form text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	n bigint;
BEGIN
	DELETE FROM unnoticed.f WHERE id::text = '2';
	answer := unnoticed_tools.same('ALTER TABLE f ' || form);
	DELETE FROM unnoticed.f WHERE id::text = '3';
	UPDATE unnoticed_bins.f_deleted SET deleted_at = NULL;
	SELECT count(*) INTO n FROM (SELECT to_jsonb(f) FROM unnoticed_twin.f EXCEPT SELECT to_jsonb(f) FROM unnoticed.f) AS missing;
	RETURN format('%s, %s differ', answer, n);
END
$$;
SELECT same('CREATE TABLE f (id integer PRIMARY KEY, a text, b integer, i integer, g integer GENERATED ALWAYS AS (b + 1) STORED)'), same('INSERT INTO f SELECT n, ''a'' || n, n, n FROM generate_series(1, 3) AS n');
SELECT form, changes(form) FROM unnest(ARRAY['ADD c integer DEFAULT 7', 'ALTER c SET DEFAULT 8', 'ALTER c DROP DEFAULT', 'ALTER c SET NOT NULL', 'ALTER c DROP NOT NULL', 'RENAME a TO "A b"', 'ALTER "A b" SET STORAGE EXTERNAL',
	'ALTER "A b" SET COMPRESSION pglz', 'ALTER "A b" SET STATISTICS 10', 'ALTER "A b" SET (n_distinct = 5)', 'ALTER "A b" RESET (n_distinct)', 'ALTER i SET NOT NULL, ALTER i ADD GENERATED ALWAYS AS IDENTITY',
	'ALTER i SET GENERATED BY DEFAULT', 'ALTER i RESTART WITH 100', 'ALTER i DROP IDENTITY', 'ALTER g DROP EXPRESSION', 'DROP g, ADD g text DEFAULT ''new''', 'ALTER g TYPE varchar(10) COLLATE "C" USING g || id',
	'ALTER b TYPE bigint, ADD h integer GENERATED ALWAYS AS (b * 2) STORED', 'DROP c', 'SET (fillfactor = 50)', 'RESET (fillfactor)', 'ADD CONSTRAINT x CHECK (b > 0)', 'RENAME CONSTRAINT x TO y', 'DROP CONSTRAINT y', 'ADD UNIQUE (b)',
	'CLUSTER ON f_pkey', 'SET WITHOUT CLUSTER', 'REPLICA IDENTITY FULL', 'ENABLE ROW LEVEL SECURITY', 'DISABLE ROW LEVEL SECURITY', 'SET UNLOGGED', 'SET LOGGED', 'SET TABLESPACE pg_default', 'DROP CONSTRAINT f_pkey', 'ADD PRIMARY KEY (b)',
	'ALTER id TYPE text', 'ADD CHECK (id = '''')']) AS form;

-- the catalogs say the same
SELECT same($$SELECT conname, contype, condeferrable, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype <> 'n' ORDER BY conname COLLATE "C"$$);
SELECT same($$SELECT indexrelid::regclass, indisunique, indisprimary, indisclustered, indpred IS NULL, indexprs IS NULL FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1::text COLLATE "C"$$);
SELECT same($$SELECT attnum, attname, atttypid::regtype, attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum$$);
SELECT same($$SELECT relname, relkind, relnatts, relhasrules, relrowsecurity, relreplident FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') ORDER BY relname COLLATE "C"$$);
SELECT same($$SELECT table_name, column_name, ordinal_position, is_nullable FROM information_schema.columns WHERE table_schema = current_schema() AND table_name IN ('a', 'b', 'p') ORDER BY 1, 3$$);

-- reads in the order of a key meet no deleted row
SELECT same('CREATE TABLE jobs (id integer PRIMARY KEY, payload text)'), same('INSERT INTO jobs SELECT n, repeat(''x'', 100) FROM generate_series(1, 30000) AS n'), same('DELETE FROM jobs WHERE id <= 29000');
VACUUM (ANALYZE) unnoticed.jobs, unnoticed_twin.jobs;
CREATE FUNCTION pages(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) ' || query INTO plan;
	RETURN (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint;
END
$$;
SELECT same(format('SELECT unnoticed_tools.pages(%L) < 100', query)) FROM unnest(ARRAY['SELECT * FROM jobs ORDER BY id LIMIT 10', 'SELECT min(id) FROM jobs', 'SELECT * FROM jobs WHERE id > 5 ORDER BY id LIMIT 10',
	'SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED']) AS query;
SELECT same('EXPLAIN (COSTS OFF) SELECT * FROM jobs ORDER BY id LIMIT 10'), same('SELECT relpages, reltuples FROM pg_class WHERE oid = ''jobs''::regclass') !~ 'DIFFERS' AS same, same('SELECT count(*) FROM pg_stats WHERE schemaname = current_schema() AND tablename = ''jobs''');

-- and all that was deleted is there
SELECT relation, deleted_rows FROM soft_delete.tables WHERE relation::text ~ '^unnoticed\.' AND deleted_rows BETWEEN 1 AND 1000 ORDER BY relation::text;
SELECT count(*) FROM unnoticed_bins.jobs_deleted;
SELECT * FROM soft_delete.check();
RESET ROLE;
DROP TABLE staged;
DROP SCHEMA unnoticed, unnoticed_twin, unnoticed_bins, unnoticed_tools CASCADE;
DROP ROLE regress_unnoticed;
