-- A column that cannot be a bridge is refused before anything changes, with a statement that helps.
CREATE ROLE regress_bridge_refuses;
CREATE ROLE regress_bridge_stranger;
CREATE SCHEMA bridge_refuses AUTHORIZATION regress_bridge_refuses;
GRANT USAGE ON SCHEMA bridge_refuses TO regress_bridge_stranger;
SET ROLE regress_bridge_refuses;
SET search_path = bridge_refuses;
\set SHOW_CONTEXT never
CREATE DOMAIN yes AS boolean;
CREATE TYPE state AS ENUM ('open', 'gone');
CREATE TABLE t (id integer PRIMARY KEY, flag boolean, odd integer, number bigint, small smallint, day date, at timestamp, zoned timestamptz, status text, short varchar(4), state state,
	domain yes, json jsonb, real real, times timestamptz[], made boolean GENERATED ALWAYS AS (id > 10) STORED, fixed timestamptz NOT NULL, word text NOT NULL, born boolean DEFAULT true, "a=b" boolean);
INSERT INTO t (id, odd, number, small, fixed, word, born) VALUES (1, 7, 5, 0, now(), 'x', false), (2, 0, 1700000000, 0, now(), 'y', false);
CREATE TABLE parts (id integer, gone boolean NOT NULL) PARTITION BY LIST (gone);
CREATE TABLE asked AS SELECT oid FROM pg_class WHERE relnamespace = 'bridge_refuses'::regnamespace;
-- the SQLSTATE, the message, and whether the hint can be run
CREATE FUNCTION refusal(statement text) RETURNS TABLE (state text, message text, detail text, hint text, outcome text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	state := 'done';
	RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	BEGIN
		EXECUTE hint;
		RAISE 'undo' USING ERRCODE = 'ZZ999';
	EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
		outcome := 'runs';
	WHEN OTHERS THEN
		outcome := SQLSTATE || ': ' || SQLERRM;
	END;
	RETURN NEXT;
END
$$;
SET client_min_messages = error;
\x
SELECT bridge, refusal.* FROM unnest('{no_such,ctid,id,odd,odd=2x,number,number=often,small=seconds,flag=yes,day=Mars,status,state,state=closed,short=deleted,domain,json,real,times,made,fixed,word=gone,born}'::text[]) WITH ORDINALITY AS b(bridge, n),
	LATERAL refusal(format('SELECT soft_delete.tag(''t'', bridge => %L)', bridge)) ORDER BY n;
SELECT refusal.* FROM refusal($$SELECT soft_delete.tag('parts', bridge => 'gone')$$);
-- two tables that are tagged together, and disagree: each gets its own
CREATE TABLE parents (id integer PRIMARY KEY, flag boolean);
CREATE TABLE children (id integer PRIMARY KEY, parent_id integer REFERENCES parents ON DELETE CASCADE, flag text);
INSERT INTO asked SELECT oid FROM pg_class WHERE relname ~ '^(parents|children)';
SELECT refusal.* FROM refusal($$SELECT soft_delete.tag('parents', bridge => 'flag', cascade => true)$$);
SELECT refusal.* FROM refusal($$SELECT soft_delete.tag('parents', bridge => 'flag', cascade => true, storage => 'aside')$$);
\x
SELECT count(*) AS new_relations FROM pg_class WHERE relnamespace = 'bridge_refuses'::regnamespace AND oid NOT IN (SELECT oid FROM asked) AND relname <> 'asked';
-- preview_tag() and plan() refuse the same
SELECT severity, effect, in_place, aside FROM soft_delete.preview_tag('t', bridge => 'json') WHERE severity = 'refusal';
SELECT * FROM soft_delete.plan('t', bridge => 'json');
SELECT soft_delete.tag('children', cascade => true) IS NOT NULL, soft_delete.tag('children', bridge => 'flag=deleted') IS NOT NULL AS bridged;
SELECT soft_delete.tag('parents', bridge => 'flag', cascade => true);
SELECT relation, bridge FROM soft_delete.tables WHERE relation::text ~ '^(parents|children)$' ORDER BY relation;
-- the column of a name with =
SELECT soft_delete.tag('t', bridge => 'a=b');
UPDATE t SET "a=b" = true WHERE id = 1;
SELECT id FROM t;
SELECT soft_delete.untag('t', tombstones => 'keep');
SELECT soft_delete.tag('t', bridge => 'flag');
SELECT soft_delete.tag('t', bridge => 'deleted_at');
SELECT soft_delete.untag('t', tombstones => 'keep');
CREATE TABLE aside (id integer PRIMARY KEY, flag boolean);
SELECT soft_delete.tag('aside', storage => 'aside');
INSERT INTO aside VALUES (1), (2);
DELETE FROM aside WHERE id = 1;
SELECT soft_delete.tag('aside', bridge => 'flag', storage => 'in_place');
UPDATE aside SET flag = true WHERE id = 2;
SELECT id, flag FROM aside_deleted ORDER BY id;
UPDATE aside_deleted SET deleted_at = NULL;
SELECT id, flag FROM aside ORDER BY id;

-- nobody learns of values of others' tables
RESET ROLE;
SET ROLE regress_bridge_stranger;
SELECT soft_delete.tag('bridge_refuses.t', bridge => 'number');
SELECT soft_delete.plan('bridge_refuses.t', bridge => 'odd');
SELECT soft_delete.preview_tag('bridge_refuses.t', bridge => 'odd');
SELECT soft_delete.adopt('bridge_refuses.t');
SET ROLE regress_bridge_refuses;

-- the column cannot go or change its type, and may get another name
\set VERBOSITY terse
ALTER TABLE aside DROP COLUMN flag;
ALTER TABLE aside ALTER COLUMN flag TYPE integer USING flag::integer;
\set VERBOSITY default
ALTER TABLE aside RENAME COLUMN flag TO gone;
UPDATE aside SET gone = true WHERE id = 1;
SELECT id FROM aside;
ALTER TABLE aside RENAME COLUMN deleted_at TO stamped_at;
UPDATE aside SET gone = false WHERE gone;
SELECT id, gone FROM aside ORDER BY id;
SELECT tgname, encode(tgargs, 'escape') FROM pg_trigger WHERE tgrelid = 'aside'::regclass AND tgname = '~soft_delete_bridge';
ALTER TABLE aside DISABLE TRIGGER "~soft_delete_bridge";
SELECT severity, problem, remedy FROM soft_delete.check() WHERE relation = 'aside'::regclass;
ALTER TABLE aside ENABLE TRIGGER "~soft_delete_bridge";
DROP TRIGGER "~soft_delete_bridge_end" ON aside;
SELECT severity, problem, remedy FROM soft_delete.check() WHERE relation = 'aside'::regclass;
UPDATE aside SET gone = true WHERE id = 1;
SELECT soft_delete.tag('aside', deleted_at => 'stamped_at', bridge => 'gone');
UPDATE aside SET gone = true WHERE id = 1;
SELECT id FROM aside;
ALTER TABLE aside DROP COLUMN gone CASCADE;
INSERT INTO aside VALUES (3);
UPDATE aside SET id = 4 WHERE id = 3;
SELECT id FROM aside ORDER BY id;

DROP SCHEMA bridge_refuses CASCADE;
RESET ROLE;
DROP ROLE regress_bridge_refuses, regress_bridge_stranger;
