-- Whatever a function is called with, the answer is a value or an error that has a code of
-- its own: no crash, no internal error, and nothing half done.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE ROLE regress_bad_arguments;
CREATE SCHEMA "bad ""arguments" AUTHORIZATION regress_bad_arguments;
SET ROLE regress_bad_arguments;
SET search_path = "bad ""arguments";
CREATE TABLE "it's" (id integer PRIMARY KEY, "a ""b" text UNIQUE);
CREATE TABLE child (id integer PRIMARY KEY, p integer REFERENCES "it's" ON DELETE CASCADE);
CREATE TABLE plain (id integer);
CREATE VIEW a_view AS SELECT 1 AS one;
SELECT soft_delete.tag('"it''s"', cascade => true);
INSERT INTO "it's" VALUES (1, 'x'), (2, 'y');
INSERT INTO child VALUES (1, 1), (2, 2);
DELETE FROM "it's" WHERE id = 1;
INSERT INTO "it's" VALUES (1, 'z');

-- what an argument of a type may be
CREATE FUNCTION odd_values(type regtype) RETURNS text[] LANGUAGE sql AS $$
	SELECT CASE type::text
		WHEN 'regclass' THEN ARRAY['NULL', '0', '4294967295', $q$'"it''s"'$q$, $q$'child'$q$, $q$'plain'$q$, $q$'a_view'$q$, $q$'"it''s_deleted"'$q$,
								   $q$'"it''s_pkey"'$q$, $q$'pg_class'$q$, $q$'soft_delete_internal.ledger'$q$]
		WHEN 'oid' THEN ARRAY['NULL', '0', '4294967295', $q$'child'::regclass::oid$q$, $q$'a_view'::regclass::oid$q$, '(SELECT min(oid) FROM pg_constraint WHERE contype = ''f'')']
		WHEN 'name' THEN ARRAY['NULL', '''''', '''id''', '''deleted_at''', '''ctid''', '''a "b''', '''bad "arguments''', '''pg_catalog''', 'repeat(''x'', 63)']
		WHEN 'text' THEN ARRAY['NULL', '''''', '''all''', '''1''', '''it''''s''', '''soft_delete.nothing(''', 'repeat(''x'', 10000)']
		WHEN 'boolean' THEN ARRAY['NULL', 'true', 'false']
		WHEN 'smallint' THEN ARRAY['NULL', '0', '1', '-1', '32767']
		WHEN 'integer' THEN ARRAY['NULL', '0', '-1', '2147483647']
		WHEN 'bigint' THEN ARRAY['NULL', '0', '-1', '9223372036854775807']
		WHEN 'interval' THEN ARRAY['NULL', '''0''', '''-1 day''', '''178000000 years''']
		WHEN 'timestamp with time zone' THEN ARRAY['NULL', 'now()', '''infinity''', '''-infinity''', '(SELECT max(deleted_at) FROM "it''s_deleted")']
		WHEN 'tid' THEN ARRAY['NULL', '''(0,0)''', '''(0,1)''', '''(4294967295,65535)''']
		WHEN 'xid' THEN ARRAY['NULL', '''0''', '''1''', '''2''', '''4294967295''']
		WHEN 'xid8' THEN ARRAY['NULL', '''0''', '''18446744073709551615''', 'pg_current_xact_id()']
		WHEN 'jsonb' THEN ARRAY['NULL', '''null''', '''[]''', '''{}''', '''{"id": "1", "no": 2}''']
		WHEN 'record' THEN ARRAY['NULL', 'ROW()', 'ROW(1, ''x'')']
		WHEN '"char"' THEN ARRAY['NULL', '''''', '''c''']
		ELSE CASE WHEN type::text LIKE '%[]' THEN ARRAY['NULL', '''{}''', 'ARRAY[NULL]', '''{4294967295}'''] ELSE ARRAY['NULL'] END
		END
$$;

-- each call is undone
CREATE FUNCTION call_oddly(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'SELECT ' || call;
	RAISE EXCEPTION 'done' USING ERRCODE = 'ZZ000';
EXCEPTION WHEN others THEN
	RETURN SQLSTATE;
END
$$;

CREATE TABLE calls (call text, state text);
SELECT setseed(0.4711);
INSERT INTO calls SELECT call, NULL FROM (
	SELECT DISTINCT format('%s.%I(%s)', pronamespace::regnamespace, proname, string_agg(format('%s%s::%s', CASE WHEN provariadic <> 0 AND n = pronargs THEN 'VARIADIC ' END,
			(odd_values(type))[1 + floor(random() * cardinality(odd_values(type)))], format_type(type, NULL)), ', ' ORDER BY n)) AS call
	FROM pg_proc, generate_series(1, CASE pronamespace::regnamespace::text WHEN 'soft_delete' THEN 60 ELSE 20 END) AS round, unnest(proargtypes::oid[]) WITH ORDINALITY AS a(type, n)
	WHERE pronamespace IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace) AND prokind = 'f' AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'tsm_handler'::regtype)
	  AND 'internal'::regtype <> ALL (proargtypes::oid[])
	GROUP BY pg_proc.oid, pronamespace, proname, round) AS c;
SELECT count(*) > 1000 AS enough FROM calls;
UPDATE calls SET state = call_oddly(call);

-- an internal error, or one without a code
SELECT call, state FROM calls WHERE state LIKE 'XX%' OR state IN ('P0001', 'P0004') ORDER BY call;

-- triggers by hand
SELECT count(*) AS not_refused FROM pg_proc, call_oddly(format('soft_delete.%I()', proname)) AS state
WHERE pronamespace = 'soft_delete'::regnamespace AND prorettype IN ('trigger'::regtype, 'event_trigger'::regtype) AND state = 'ZZ000';

-- nothing has changed
SELECT id, "a ""b" FROM "it's" ORDER BY id;
SELECT id, "a ""b" FROM "it's_deleted" ORDER BY id;
SELECT id, p FROM child ORDER BY id;
SELECT severity, problem FROM soft_delete.check();

-- the same with the rights to do harm
RESET ROLE;
UPDATE calls SET state = call_oddly(call);
SELECT call, state FROM calls WHERE state LIKE 'XX%' OR state IN ('P0001', 'P0004') ORDER BY call;
SELECT id, "a ""b" FROM "it's" ORDER BY id;
SELECT id, "a ""b" FROM "it's_deleted" ORDER BY id;

DROP SCHEMA "bad ""arguments" CASCADE;
DROP ROLE regress_bad_arguments;
