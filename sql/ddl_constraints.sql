-- Commands that check the rows of a table do not meet its deleted rows: those step aside.
CREATE ROLE regress_ddl_constraints;
CREATE SCHEMA hard AUTHORIZATION regress_ddl_constraints;
CREATE SCHEMA soft AUTHORIZATION regress_ddl_constraints;
SET ROLE regress_ddl_constraints;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
SET search_path = soft;

-- runs a command on both tables: what it answers, where the two agree
CREATE FUNCTION alike(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	twin name;
	answers text[];
BEGIN
	FOREACH twin IN ARRAY '{hard,soft}'::name[] LOOP
		PERFORM set_config('search_path', twin, true);
		BEGIN
			EXECUTE command;
			answers := answers || 'done'::text;
		EXCEPTION WHEN OTHERS THEN
			answers := answers || format('%s %s', SQLSTATE, SQLERRM);
		END;
	END LOOP;
	PERFORM set_config('search_path', 'soft', true);
	RETURN CASE WHEN answers[1] = answers[2] THEN answers[1] ELSE 'DIFFERS: ' || answers::text END;
END
$$;
-- where the deleted rows of a table are
CREATE FUNCTION places(relation text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SELECT concat(in_place, '' in place, '', aside, '' aside'') FROM (SELECT count(*) FROM %1$s TABLESAMPLE soft_delete.rows(''deleted'')) AS i(in_place), (SELECT count(*) FROM %1$s_tombstones) AS a(aside)', relation)
	INTO answer;
	RETURN answer;
END
$$;
CREATE FUNCTION fill() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL client_min_messages = error;
	DROP TABLE IF EXISTS soft.t, hard.t;
	PERFORM alike('CREATE TABLE t (id integer PRIMARY KEY, x integer, k text, v integer, CONSTRAINT v_is_small CHECK (v < 10) NOT VALID)');
	PERFORM soft_delete.tag('t');
	PERFORM alike('ALTER TABLE t DROP CONSTRAINT v_is_small');
	PERFORM alike($fill$INSERT INTO t VALUES (1, 1, 'a', 1), (2, 2, 'b', 2), (3, NULL, 'a', 3), (4, NULL, 'b', 20), (5, 5, 'x', 0), (6, 6, 'x', 7)$fill$);
	PERFORM alike('DELETE FROM t WHERE id > 2');
	PERFORM alike('ALTER TABLE t ADD CONSTRAINT v_is_small CHECK (v < 10) NOT VALID');
END
$$;

-- each form; only SET NOT NULL knows which rows are in its way
SELECT fill();
SELECT alike('ALTER TABLE t ALTER x SET NOT NULL'), places('t');
SELECT alike('ALTER TABLE t ALTER k SET NOT NULL'), places('t');
UPDATE t_deleted SET deleted_at = NULL WHERE id = 5;
UPDATE t_deleted SET deleted_at = NULL WHERE id = 3;
-- what does not fit comes back when it does
SELECT alike('ALTER TABLE t ALTER x DROP NOT NULL');
UPDATE t_deleted SET deleted_at = NULL WHERE id = 3;
TABLE t ORDER BY id;
SELECT fill();
SELECT alike('ALTER TABLE t ADD CHECK (id < 3)'), places('t');
UPDATE t_deleted SET deleted_at = NULL WHERE id = 3;
SELECT fill();
SELECT alike('ALTER TABLE t VALIDATE CONSTRAINT v_is_small'), places('t');
SELECT fill();
SELECT alike('ALTER TABLE t ADD UNIQUE (k)'), places('t');
SELECT fill();
SELECT alike('ALTER TABLE t ADD UNIQUE (k) DEFERRABLE'), places('t');
INSERT INTO t VALUES (7, 7, 'x', 7);
UPDATE t_deleted SET deleted_at = NULL WHERE id = 5;
SELECT fill();
SELECT alike('ALTER TABLE t ADD EXCLUDE USING btree (k WITH =)'), places('t');
SELECT fill();
SELECT alike('ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (k)'), places('t');
SELECT fill();
SELECT alike('CREATE UNIQUE INDEX t_k ON t (k)'), alike('ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY USING INDEX t_k'), places('t');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'p';
INSERT INTO t VALUES (8, 8, 'x', 8);
SELECT places('t');
SELECT fill();
SELECT alike('CREATE UNIQUE INDEX t_k ON t (k)'), alike('ALTER TABLE t ADD CONSTRAINT later UNIQUE USING INDEX t_k DEFERRABLE INITIALLY DEFERRED'), places('t');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'later' AND conrelid = 't'::regclass;
SELECT fill();
SELECT alike('ALTER TABLE t ALTER v TYPE bigint USING 10 / (v - 20)'), places('t');
SELECT id, v FROM t_deleted ORDER BY id;
SELECT fill();
SELECT alike('ALTER TABLE t ADD g integer GENERATED ALWAYS AS (10 / (v - 20)) STORED'), places('t');
UPDATE t_deleted SET deleted_at = NULL WHERE id = 3;
UPDATE t_deleted SET deleted_at = NULL WHERE id = 4;
SELECT alike('ALTER TABLE t ADD h integer CHECK (v < 5)'), places('t');
SELECT fill();
CREATE FUNCTION soft.raises(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF $1 = 20 THEN RAISE 'no twenty'; END IF; RETURN $1; END $$;
SELECT alike('ALTER TABLE t DROP CONSTRAINT v_is_small, ALTER v TYPE text USING soft.raises(v)'), places('t');

-- several in one command, and a command that rows in the table refuse
SELECT fill();
SELECT alike('ALTER TABLE t ALTER x SET NOT NULL, ADD CHECK (v < 3), ADD UNIQUE (k) DEFERRABLE, ADD y integer GENERATED ALWAYS AS (100 / (id - 6)) STORED'), places('t');
SELECT fill();
SELECT alike('ALTER TABLE t ADD CHECK (v < 2)'), places('t');
SELECT alike('ALTER TABLE t ALTER x SET NOT NULL, ADD CHECK (v < 2)'), places('t');
-- what has other causes does not run twice
CREATE SEQUENCE runs;
CREATE FUNCTION soft.counts(integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('soft.runs'); RAISE 'no' USING ERRCODE = '55000'; END $$;
ALTER TABLE t ALTER v TYPE integer USING soft.counts(v);
SELECT last_value FROM runs;

-- domains, also a nested one
CREATE DOMAIN hard.small AS integer;
CREATE DOMAIN soft.small AS integer;
SELECT alike('CREATE DOMAIN nested AS small'), alike('CREATE TABLE d (id integer PRIMARY KEY, s small)'), alike('CREATE TABLE e (id integer PRIMARY KEY, s nested)');
SELECT soft_delete.tag('d'), soft_delete.tag('e');
SELECT alike('INSERT INTO d VALUES (1, 1), (2, 200)'), alike('INSERT INTO e VALUES (1, 1), (2, 200), (3, NULL)'), alike('DELETE FROM d WHERE id > 1'), alike('DELETE FROM e WHERE id > 1');
SELECT alike('ALTER DOMAIN small ADD CONSTRAINT up_to_9 CHECK (VALUE < 10)'), places('d'), places('e');
UPDATE d_deleted SET deleted_at = NULL;
SELECT alike('ALTER DOMAIN small DROP CONSTRAINT up_to_9');
UPDATE d_deleted SET deleted_at = NULL;
UPDATE e_deleted SET deleted_at = NULL WHERE id = 2;
INSERT INTO hard.d VALUES (2, 200);
INSERT INTO hard.e VALUES (2, 200);
SELECT alike('ALTER DOMAIN small ADD CONSTRAINT up_to_9 CHECK (VALUE < 10) NOT VALID'), alike('DELETE FROM e WHERE id = 2');
SELECT alike('ALTER DOMAIN small VALIDATE CONSTRAINT up_to_9'), alike('DELETE FROM d WHERE id = 2'), alike('ALTER DOMAIN small VALIDATE CONSTRAINT up_to_9'), places('d');
SELECT alike('ALTER DOMAIN small SET NOT NULL'), places('e');

-- a partition beside a default one, made and attached
SELECT alike('CREATE TABLE p (id integer, a integer) PARTITION BY LIST (a)'), alike('CREATE TABLE p_rest PARTITION OF p DEFAULT');
SELECT soft_delete.tag('p');
SELECT alike('INSERT INTO p SELECT g, g % 3 FROM generate_series(1, 9) AS g'), alike('DELETE FROM p WHERE a > 0');
SELECT alike('CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1)'), places('p');
SELECT alike('CREATE TABLE p_0 PARTITION OF p FOR VALUES IN (0)'), places('p');
SELECT alike('INSERT INTO p VALUES (11, 2)'), alike('DELETE FROM p WHERE a = 2'), places('p');
SELECT alike('CREATE TABLE p_2 (id integer, a integer)'), alike('ALTER TABLE p ATTACH PARTITION p_2 FOR VALUES IN (2)'), places('p');
UPDATE p_deleted SET deleted_at = NULL WHERE id IN (1, 11);
SELECT tableoid::regclass, * FROM p WHERE a > 0 ORDER BY id;
SELECT alike('ALTER TABLE p ADD CHECK (id < 11) NOT VALID'), alike('ALTER TABLE p ALTER id SET NOT NULL');
SELECT alike('CREATE UNIQUE INDEX p_i ON p (id, a)'), alike('ALTER TABLE p ADD UNIQUE USING INDEX p_i'), alike('ALTER TABLE p ADD PRIMARY KEY USING INDEX p_i'), alike('DROP INDEX p_i');
-- a table with a deleted row that belongs into no partition, and one with a live one
SELECT alike('CREATE TABLE p_4 (id integer NOT NULL CONSTRAINT p_id_check CHECK (id < 11), a integer)'), alike('CREATE TABLE p_5 (id integer NOT NULL CONSTRAINT p_id_check CHECK (id < 11), a integer)');
SELECT soft_delete.tag('p_4'), soft_delete.tag('p_5');
SELECT alike('INSERT INTO p_4 VALUES (4, 4), (5, 40)'), alike('INSERT INTO p_5 VALUES (5, 5), (6, 50), (7, 60)'), alike('DELETE FROM p_4 WHERE a = 40'), alike('DELETE FROM p_5 WHERE a = 50');
SELECT alike('ALTER TABLE p ATTACH PARTITION p_4 FOR VALUES IN (4)'), alike('ALTER TABLE p ATTACH PARTITION p_5 FOR VALUES IN (5)');
SELECT a FROM p_deleted WHERE a >= 40;
SELECT a FROM p_5_deleted;
UPDATE p_deleted SET deleted_at = NULL WHERE a = 40;
SELECT tableoid::regclass FROM p WHERE a = 40;
-- and where the partition has columns that its parent lacks
CREATE TABLE p_3 (id integer, a integer, more integer);
SELECT soft_delete.tag('p_3');
ALTER TABLE p ATTACH PARTITION p_3 FOR VALUES IN (3);

-- inheritance children, with ONLY and without
SELECT alike('CREATE TABLE parent (id integer, x integer)'), alike('CREATE TABLE child () INHERITS (parent)');
SELECT soft_delete.tag('parent');
SELECT alike('INSERT INTO parent VALUES (1, NULL), (2, 1)'), alike('INSERT INTO child VALUES (3, NULL), (4, 1)'), alike('DELETE FROM parent WHERE x IS NULL');
SELECT alike('ALTER TABLE parent ALTER x SET NOT NULL'), places('ONLY parent');
SELECT id FROM parent_deleted ORDER BY id;

-- held rows stay held, and a deletion is undone with what has stepped aside
SELECT fill();
SELECT soft_delete.hold('t', '4', 'case');
SELECT alike('ALTER TABLE t ADD CHECK (v < 10)'), places('t');
SELECT hold FROM t_deleted WHERE id = 4;
SELECT soft_delete.lift('t', '4', 'case');
ALTER TABLE t DROP CONSTRAINT t_v_check, DROP CONSTRAINT v_is_small;
SELECT soft_delete.undo(deleted_at) FROM t_deleted LIMIT 1;
SELECT count(*) FROM t;
SELECT severity, relation, problem FROM soft_delete.check();

-- an error that a function raises in the name of another's table moves none of its rows
SELECT fill();
RESET ROLE;
CREATE ROLE regress_ddl_constraints_eve;
CREATE SCHEMA eve AUTHORIZATION regress_ddl_constraints_eve;
SET ROLE regress_ddl_constraints_eve;
SET search_path = eve;
CREATE SEQUENCE runs;
CREATE FUNCTION forge(integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF nextval('eve.runs') = 1 THEN
		RAISE 'forged' USING ERRCODE = 'check_violation', SCHEMA = 'soft', TABLE = 't';
	END IF;
	RETURN true;
END
$$;
CREATE DOMAIN small AS integer;
CREATE TABLE e (s small);
INSERT INTO e VALUES (1);
ALTER DOMAIN small ADD CHECK (forge(VALUE));
SELECT last_value FROM runs;
RESET ROLE;
SET ROLE regress_ddl_constraints;
SET search_path = soft;
SELECT places('t');

RESET ROLE;
DROP SCHEMA eve CASCADE;
DROP ROLE regress_ddl_constraints_eve;
DROP SCHEMA soft CASCADE;
DROP SCHEMA hard CASCADE;
DROP ROLE regress_ddl_constraints;
