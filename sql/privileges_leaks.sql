-- What is deleted is not to be found out by a role that may read and write the table, but not see its deleted
-- rows: not by what a statement returns, nor by the errors it raises, nor by functions that it calls on the way.
--
-- Each probe is asked of a tagged table, a partitioned one, a view upon one, and of a plain table in which the same
-- rows are live, to show that it finds what there is to find.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE ROLE regress_owner;
CREATE ROLE regress_reader;
CREATE SCHEMA leaks AUTHORIZATION regress_owner;
CREATE SCHEMA probes AUTHORIZATION regress_reader;
GRANT USAGE ON SCHEMA leaks TO regress_reader;

SET ROLE regress_owner;
CREATE TABLE leaks.tagged (id integer PRIMARY KEY, email text UNIQUE, note text, number text, other text DEFAULT '1', CHECK (note IS NOT NULL));
CREATE TABLE leaks.plain (LIKE leaks.tagged INCLUDING ALL);
CREATE TABLE leaks.parted (LIKE leaks.tagged INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE leaks.parted_1 PARTITION OF leaks.parted FOR VALUES FROM (0) TO (50);
CREATE TABLE leaks.parted_2 PARTITION OF leaks.parted DEFAULT;
CREATE VIEW leaks.viewed AS SELECT id, email, note, number, other FROM leaks.tagged;
CREATE TABLE leaks.beside (id integer, note text, number text);
INSERT INTO leaks.beside VALUES (100, 'beside', '1');
CREATE INDEX ON leaks.tagged (lower(note));
CREATE INDEX ON leaks.plain (lower(note));
CREATE STATISTICS leaks.of_tagged (mcv) ON note, number FROM leaks.tagged;
CREATE STATISTICS leaks.of_plain (mcv) ON note, number FROM leaks.plain;
CREATE STATISTICS leaks.expression_of_tagged ON (note || number) FROM leaks.tagged;
CREATE STATISTICS leaks.expression_of_plain ON (note || number) FROM leaks.plain;
SELECT soft_delete.tag('leaks.tagged', indexes => 'unique');
INSERT INTO leaks.tagged SELECT g, 'user ' || g, 'note ' || g % 3, '1' FROM generate_series(1, 40) AS g;
INSERT INTO leaks.tagged SELECT g, 'secret ' || g, 'secret ' || g % 2, 'secret' FROM generate_series(41, 80) AS g;
INSERT INTO leaks.plain SELECT id, email, note, number FROM leaks.tagged;
INSERT INTO leaks.parted SELECT id, email, note, number FROM leaks.tagged;
SELECT soft_delete.tag('leaks.parted', indexes => 'unique');
DELETE FROM leaks.tagged WHERE id > 40;
DELETE FROM leaks.parted WHERE id > 40;
ANALYZE leaks.tagged, leaks.parted, leaks.plain;
GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON leaks.tagged, leaks.parted, leaks.viewed, leaks.plain, leaks.beside TO regress_reader;
GRANT SELECT ON leaks.parted_1, leaks.parted_2 TO regress_reader;

-- how often a secret comes by: as a value that a function meets, in a row that is returned, in an error
SET ROLE regress_reader;
CREATE SEQUENCE probes.met;
CREATE FUNCTION probes.meet(value text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$
BEGIN
	IF value ~ 'secret' THEN
		PERFORM nextval('probes.met');		-- an error does not undo it
	END IF;
	RETURN true;
END
$$;
CREATE FUNCTION probes.meet(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN probes.meet(a) AND probes.meet(b); END';
CREATE OPERATOR probes.=== (FUNCTION = probes.meet, LEFTARG = text, RIGHTARG = text, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR probes.<<< (FUNCTION = probes.meet, LEFTARG = text, RIGHTARG = text, RESTRICT = scalarltsel);
CREATE FUNCTION probes.wrapped(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$SELECT $1 OPERATOR(probes.===) 'x'$$;
CREATE DOMAIN probes.met_text AS text CHECK (probes.meet(VALUE));
CREATE FUNCTION probes.run(query text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	result record;
	message text;
	detail text;
	hint text;
BEGIN
	PERFORM setval('probes.met', 1, false);
	BEGIN
		IF query ~ '^(SELECT|WITH|EXPLAIN|VALUES|TABLE)' OR query ~ 'RETURNING' THEN
			FOR result IN EXECUTE query LOOP
				PERFORM probes.meet(result::text);
			END LOOP;
		ELSE
			EXECUTE query;
		END IF;
		-- each is undone
		RAISE EXCEPTION USING ERRCODE = 'ZZ000';
	EXCEPTION WHEN others THEN
		GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		PERFORM probes.meet(concat_ws(' ', message, detail, hint));
	END;
	RETURN (SELECT last_value - 1 + is_called::integer FROM probes.met);
END
$$;

-- conditions of such a view come before those of the statement
CREATE VIEW probes."leaks.tagged" WITH (security_barrier) AS SELECT * FROM leaks.tagged WHERE probes.meet(note);
CREATE VIEW probes."leaks.parted" WITH (security_barrier) AS SELECT * FROM leaks.parted WHERE probes.meet(note);
CREATE VIEW probes."leaks.viewed" WITH (security_barrier) AS SELECT * FROM leaks.viewed WHERE probes.meet(note);
CREATE VIEW probes."leaks.plain" WITH (security_barrier) AS SELECT * FROM leaks.plain WHERE probes.meet(note);
CREATE TABLE probes.probe (n integer GENERATED ALWAYS AS IDENTITY, query text);
INSERT INTO probes.probe (query) VALUES
	-- what is returned
	('TABLE %s'),
	('SELECT t FROM %s AS t'),
	('SELECT to_json(t) FROM %s AS t'),
	('SELECT query_to_xml(''SELECT * FROM %s'', true, true, '''')'),
	('SELECT table_to_xml(''%s'', true, true, '''')'),
	('SELECT note, count(*) FROM %s GROUP BY note'),
	('SELECT max(note), max(email) FROM %s'),
	('SELECT min(id), max(id), max(lower(note)) FROM %s'),
	('SELECT * FROM ONLY %s'),
	('SELECT * FROM %s TABLESAMPLE bernoulli (100)'),
	('SELECT * FROM %s TABLESAMPLE system (100)'),
	('SELECT * FROM %s TABLESAMPLE soft_delete.rows(''all'')'),
	('SELECT * FROM %s TABLESAMPLE soft_delete.rows(''deleted'')'),
	('SELECT * FROM %s WHERE ctid = ANY (ARRAY(SELECT format(''(%%s,%%s)'', page, line)::tid FROM generate_series(0, 3) AS page, generate_series(1, 200) AS line))'),
	('SELECT * FROM %s WHERE ctid >= ''(0,0)'''),
	('SELECT xmin, cmax, tableoid, * FROM %s'),
	('SELECT * FROM %s WHERE id = 50'),
	('SELECT * FROM %s WHERE id = 50 FOR UPDATE'),
	('SELECT * FROM %s ORDER BY id FOR SHARE SKIP LOCKED'),
	('SELECT * FROM leaks.beside FULL JOIN %s USING (id)'),
	('WITH d AS (DELETE FROM %s RETURNING *) SELECT * FROM d'),
	('UPDATE %s SET other = 2 RETURNING *'),
	('DELETE FROM %s WHERE id = 50 RETURNING *'),
	('INSERT INTO %s AS t (id, email, note) VALUES (50, ''mine'', ''mine'') ON CONFLICT (id) DO UPDATE SET other = t.note RETURNING *'),
	('INSERT INTO %s AS t (id, email, note) VALUES (50, ''mine'', ''mine'') ON CONFLICT (id) DO UPDATE SET other = ''2'' WHERE probes.meet(t.note) RETURNING other'),
	('CREATE TABLE probes.copy AS SELECT * FROM %s; SELECT probes.meet(c::text) FROM probes.copy AS c'),
	-- what an error tells
	('SELECT * FROM %s WHERE number::integer = 1'),
	('SELECT count(*) FROM (SELECT id, number FROM %s UNION ALL SELECT id, number FROM leaks.beside) AS u WHERE number::integer = 1'),
	('UPDATE %s SET note = NULL WHERE id > 40'),
	-- what a function meets
	('SELECT count(*) FROM %s WHERE probes.meet(note)'),
	('SELECT count(*) FROM %s AS t WHERE probes.meet(t::text)'),
	('SELECT count(*) FROM %s WHERE id > 30 AND probes.meet(note)'),
	('SELECT count(*) FROM %s WHERE id = 50 OR probes.meet(note)'),
	('SELECT count(*) FROM %s WHERE (note::probes.met_text) IS NOT NULL'),
	('SELECT count(*) FROM %s WHERE note OPERATOR(probes.===) ''x'''),
	('SELECT count(*) FROM (SELECT id, note FROM %s UNION ALL SELECT id, note FROM leaks.beside) AS u WHERE probes.meet(note)'),
	('SELECT count(*) FROM (SELECT id, note FROM leaks.beside UNION ALL SELECT id, note FROM %s) AS u WHERE probes.meet(note) AND id > 30'),
	('SELECT count(*) FROM (SELECT id, note FROM %s UNION ALL SELECT id, note FROM leaks.beside) AS u WHERE (note::probes.met_text) IS NOT NULL'),
	('SELECT count(*) FROM (SELECT id, note FROM %1$s UNION SELECT id, note FROM %1$s) AS u WHERE probes.meet(note)'),
	('SELECT count(*) FROM leaks.beside AS b JOIN %s AS t ON probes.meet(t.note)'),
	('SELECT count(*) FROM leaks.beside AS b LEFT JOIN %s AS t ON probes.meet(t.note)'),
	('SELECT count(*) FROM generate_series(1, 80) AS b JOIN %s AS t ON t.id = b AND probes.meet(t.note || b)'),
	('SELECT count(*) FROM generate_series(1, 80) AS b JOIN (SELECT id, note FROM %s UNION ALL SELECT id, note FROM leaks.beside) AS u ON u.id = b AND probes.meet(u.note || b)'),
	('SELECT count(*) FROM leaks.beside AS b WHERE EXISTS (SELECT FROM %s AS t WHERE t.id > b.id - 60 AND NOT probes.meet(t.note))'),
	('SELECT count(*) FROM leaks.beside AS b WHERE b.note IN (SELECT note FROM %s WHERE probes.meet(note))'),
	('SELECT count(*) FROM (SELECT *, row_number() OVER (PARTITION BY note) FROM %s) AS w WHERE probes.meet(note)'),
	('SELECT note FROM %s GROUP BY note HAVING probes.meet(note)'),
	('WITH w AS MATERIALIZED (SELECT * FROM %s) SELECT count(*) FROM w WHERE probes.meet(note)'),
	('WITH w AS NOT MATERIALIZED (SELECT * FROM %s) SELECT count(*) FROM w WHERE probes.meet(note)'),
	('SELECT count(*) FROM %s TABLESAMPLE bernoulli (100) WHERE probes.meet(note)'),
	('SELECT count(*) FROM %s WHERE ctid >= ''(0,0)'' AND probes.meet(note)'),
	('UPDATE %s SET other = 2 WHERE probes.meet(note)'),
	('DELETE FROM %s WHERE probes.meet(note)'),
	('UPDATE probes."%s" SET other = 2'),
	('DELETE FROM probes."%s"'),
	('DELETE FROM probes."%s" WHERE note OPERATOR(probes.===) ''x'''),
	('MERGE INTO %s AS t USING generate_series(1, 80) AS g ON t.id = g AND probes.meet(t.note) WHEN MATCHED AND probes.meet(t.email) THEN DO NOTHING'),
	-- what statistics tell, and those who use them
	('SELECT * FROM pg_stats WHERE format(''%%I.%%I'', schemaname, tablename) = ''%s'''),
	('EXPLAIN SELECT * FROM %s WHERE note OPERATOR(probes.===) ''x'''),
	('EXPLAIN SELECT * FROM %s WHERE note OPERATOR(probes.===) ''x'' AND number OPERATOR(probes.===) ''x'''),
	('EXPLAIN SELECT * FROM %s WHERE lower(note) OPERATOR(probes.===) ''x'''),
	('EXPLAIN SELECT * FROM %s WHERE email OPERATOR(probes.<<<) ''x'''),
	('EXPLAIN SELECT * FROM %1$s AS a JOIN %1$s AS b ON a.note OPERATOR(probes.===) b.note'),
	('EXPLAIN SELECT * FROM (SELECT note FROM %s OFFSET 0) AS t WHERE note OPERATOR(probes.===) ''x'''),
	('EXPLAIN WITH c AS MATERIALIZED (SELECT note FROM %1$s) SELECT * FROM (SELECT note FROM c WHERE note OPERATOR(probes.===) ''x'' OFFSET 0) AS t, (SELECT note FROM %1$s WHERE note OPERATOR(probes.===) ''x'' OFFSET 0) AS u'),
	('EXPLAIN SELECT * FROM (SELECT id, note FROM %s UNION ALL SELECT id, note FROM leaks.beside) AS u WHERE note OPERATOR(probes.===) ''x'''),
	('EXPLAIN SELECT * FROM %s WHERE probes.wrapped(note)'),
	('EXPLAIN SELECT * FROM (SELECT * FROM %s WHERE probes.wrapped(note) OFFSET 0) AS t'),
	('EXPLAIN SELECT * FROM (SELECT * FROM %s OFFSET 0) AS t WHERE probes.wrapped(note)'),
	('EXPLAIN SELECT (SELECT count(*) FROM %1$s WHERE id < 0) FROM %1$s WHERE probes.wrapped(note)'),
	('EXPLAIN WITH w AS MATERIALIZED (SELECT * FROM %1$s) SELECT * FROM w, %1$s AS t WHERE probes.wrapped(w.note) AND probes.wrapped(t.note)'),
	('EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM %s WHERE probes.meet(note)');

-- under settings that make other plans, and the order of conditions another
CREATE VIEW probes.leak AS
	SELECT name, probes.run(format(query, 'leaks.' || name)) AS leaks, query
	FROM probes.probe, unnest('{tagged,parted,viewed}'::text[]) AS name;
SELECT probes.run(format(query, 'leaks.plain')) > 0 AS finds, query FROM probes.probe ORDER BY n;
SELECT * FROM probes.leak WHERE leaks > 0;
SET cpu_operator_cost = 0;
SELECT * FROM probes.leak WHERE leaks > 0;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT * FROM probes.leak WHERE leaks > 0;
SET enable_indexscan = off;
SELECT * FROM probes.leak WHERE leaks > 0;
RESET cpu_operator_cost;
RESET enable_indexscan;
RESET enable_seqscan;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- COPY, cursors, prepared statements
COPY (SELECT count(*) FROM leaks.tagged WHERE email LIKE 'secret%') TO stdout;
DO $$
DECLARE
	c CURSOR FOR SELECT * FROM leaks.tagged WHERE id > 38 FOR UPDATE;
	met integer := 0;
BEGIN
	FOR r IN c LOOP
		UPDATE leaks.tagged SET other = note WHERE CURRENT OF c;
		met := met + (r::text ~ 'secret')::integer;
	END LOOP;
	ASSERT met = 0;
END
$$;
SELECT count(*) FROM leaks.tagged WHERE other ~ 'secret';
-- who may see deleted rows may see their statistics, and so may a superuser
SELECT count(*) FROM pg_stats WHERE schemaname = 'leaks' AND tablename ~ 'tagged|parted';
SET ROLE regress_owner;
SELECT count(*) > 3 AS owner FROM pg_stats WHERE schemaname = 'leaks' AND tablename = 'tagged';
RESET ROLE;
SELECT count(*) > 3 AS superuser FROM pg_stats WHERE schemaname = 'leaks' AND tablename = 'tagged';
-- what a deletion has cut is the owner's to know
CREATE TABLE leaks.author (email text PRIMARY KEY);
CREATE TABLE leaks.post (id integer PRIMARY KEY, author text REFERENCES leaks.author ON DELETE SET NULL);
SELECT soft_delete.tag('leaks.author'), soft_delete.tag('leaks.post');
INSERT INTO leaks.author VALUES ('secret');
INSERT INTO leaks.post VALUES (1, 'secret');
DELETE FROM leaks.author;
GRANT SELECT ON leaks.post TO regress_reader;
SET ROLE regress_reader;
SELECT author FROM leaks.post;
SELECT count(*) FROM soft_delete_internal.set_null_references;
RESET ROLE;
SELECT key, referenced FROM soft_delete_internal.set_null_references WHERE referenced = '{secret}';
GRANT EXECUTE ON FUNCTION soft_delete.rows(internal) TO regress_reader;
SET ROLE regress_reader;
SELECT count(*) > 3 AS granted FROM pg_stats WHERE schemaname = 'leaks' AND tablename = 'tagged';
RESET ROLE;
REVOKE EXECUTE ON FUNCTION soft_delete.rows(internal) FROM regress_reader;

-- no condition is cheaper than the filter: not one that is left of a dearer one once a
-- member's constants are in it, nor what coerces to a domain
SET ROLE regress_owner;
CREATE TABLE leaks.cheap (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('leaks.cheap', indexes => 'unique');
INSERT INTO leaks.cheap VALUES (1, 'secret'), (2, 'live');
DELETE FROM leaks.cheap WHERE id = 1;
GRANT USAGE ON SCHEMA leaks TO regress_reader;
GRANT SELECT ON leaks.cheap TO regress_reader;
RESET ROLE;
GRANT ALL ON SCHEMA probes TO regress_reader;
SET ROLE regress_reader;
CREATE FUNCTION probes.leak(v text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS 'BEGIN RAISE NOTICE ''met %'', v; RETURN true; END';
CREATE DOMAIN probes.leaking AS text CHECK (probes.leak(VALUE));
CREATE TABLE probes.b (id integer);
CREATE TABLE probes.o (id integer PRIMARY KEY, v text);
INSERT INTO probes.b VALUES (1);
SET client_min_messages = notice;
SET cpu_operator_cost = 0;
SELECT count(*) FROM (SELECT v, 1 AS k FROM leaks.cheap UNION ALL SELECT 'other', 2) AS u
WHERE CASE WHEN k = 1 THEN probes.leak(v) ELSE (SELECT count(*) FROM pg_class c WHERE c.relname = u.v) > 0 END;
SELECT count(*) FROM (SELECT v, 1 AS k FROM leaks.cheap UNION ALL SELECT 'other', 2) AS u
WHERE (k = 2 AND (SELECT count(*) FROM pg_class c WHERE c.relname = u.v) > 0) OR probes.leak(v);
RESET cpu_operator_cost;
SELECT count(*) FROM (SELECT v, 1 AS k FROM leaks.cheap UNION ALL SELECT 'other', 2) AS u
WHERE CASE WHEN k = 1 THEN v::probes.leaking IS NOT NULL ELSE (SELECT count(*) FROM pg_class c WHERE c.relname = u.v) > 0 END;
SET row_security = off;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*) FROM probes.b AS b
	JOIN (SELECT id, v FROM (SELECT id, v FROM leaks.cheap UNION ALL SELECT id, v FROM probes.o) AS i UNION ALL SELECT id, v FROM probes.o) AS u
	ON u.id = b.id AND probes.leak(u.v || b.id);
SELECT count(*) FROM leaks.cheap WHERE probes.leak(v);
SELECT count(*) FROM leaks.cheap WHERE v::probes.leaking IS NOT NULL;
RESET ALL;
SET client_min_messages = warning;
-- a bin is private until it is granted by name
RESET ROLE;
GRANT SELECT ON ALL TABLES IN SCHEMA leaks TO regress_reader;
SELECT has_table_privilege('regress_reader', 'leaks.cheap_active', 'SELECT') AS active, has_table_privilege('regress_reader', 'leaks.cheap_deleted', 'SELECT') AS bin;
-- what an error says of a key is for who may read the table
SET ROLE regress_owner;
CREATE TABLE leaks.parent (id integer PRIMARY KEY);
CREATE TABLE leaks.child (id integer PRIMARY KEY, parent_id integer REFERENCES leaks.parent ON DELETE CASCADE, email text UNIQUE);
SELECT soft_delete.tag('leaks.parent', cascade => true);
INSERT INTO leaks.parent VALUES (1);
INSERT INTO leaks.child VALUES (1, 1, 'secret@example.com');
DELETE FROM leaks.parent;
INSERT INTO leaks.child VALUES (2, NULL, 'secret@example.com');
GRANT SELECT, UPDATE ON leaks.parent_deleted TO regress_reader;
SELECT deleted_at AS stamp FROM leaks.parent_deleted \gset
SET ROLE regress_reader;
\set VERBOSITY default
SELECT soft_delete.undo(:'stamp');
-- and what a hint says, of the row that holds others', when the extension itself raises it
SET ROLE regress_owner;
CREATE TABLE leaks.folder (title text PRIMARY KEY);
CREATE TABLE leaks.file (id integer PRIMARY KEY, title text REFERENCES leaks.folder ON DELETE CASCADE);
GRANT REFERENCES ON leaks.file TO regress_reader;
SELECT soft_delete.tag('leaks.folder', cascade => true);
INSERT INTO leaks.folder VALUES ('secret');
INSERT INTO leaks.file VALUES (1, 'secret');
SET ROLE regress_reader;
CREATE TABLE probes.page (id integer PRIMARY KEY, file_id integer REFERENCES leaks.file ON DELETE CASCADE);
SELECT soft_delete.tag('probes.page');
INSERT INTO probes.page VALUES (1, 1);
SET ROLE regress_owner;
DELETE FROM leaks.folder;
UPDATE leaks.folder_deleted SET hold = 'case';
SET ROLE regress_reader;
SELECT soft_delete.untag('probes.page', tombstones => 'purge');
SELECT soft_delete.erase('probes.page', 1);
DROP TABLE probes.page;
SET ROLE regress_owner;
SELECT soft_delete.lift('case');
RESET ROLE;
-- nor why rows are held, to who would drop or empty a table of others
CREATE SCHEMA shop AUTHORIZATION regress_reader;
GRANT ALL ON SCHEMA shop TO regress_owner;
SET ROLE regress_owner;
CREATE TABLE shop.held (id integer PRIMARY KEY);
GRANT TRUNCATE ON shop.held TO regress_reader;
SELECT soft_delete.tag('shop.held') IS NOT NULL AS tagged;
SELECT soft_delete.hold('shop.held', 'secret case');
SET ROLE regress_reader;
DROP SCHEMA shop CASCADE;
TRUNCATE shop.held;
SET ROLE regress_owner;
DROP TABLE shop.held;
SELECT soft_delete.lift('secret case');
RESET ROLE;
DROP SCHEMA shop CASCADE;

TRUNCATE soft_delete_internal.lifted_holds;
DROP SCHEMA leaks, probes CASCADE;
DROP ROLE regress_owner, regress_reader;
