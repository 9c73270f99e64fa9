-- ALTER COLUMN ... TYPE ... USING computes deleted rows as it computes live ones; one for which that fails keeps its value as text, and the command does not fail
\set SHOW_CONTEXT never
CREATE ROLE regress_using;
CREATE SCHEMA aside_using AUTHORIZATION regress_using;
CREATE SCHEMA aside_using_code AUTHORIZATION regress_using;
SET ROLE regress_using;
SET search_path = aside_using, aside_using_code;
CREATE FUNCTION aside_using_code.halve(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF $1 % 2 = 1 THEN RAISE 'odd'; END IF; RETURN $1 / 2; END $$;
CREATE FUNCTION aside_using_code.join_texts(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $2';
CREATE OPERATOR aside_using_code.<+> (LEFTARG = text, RIGHTARG = text, FUNCTION = aside_using_code.join_texts);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE t (id integer PRIMARY KEY, a text, b integer, c integer, d positive, "E f" text);
SELECT soft_delete.tag('t', storage => 'aside') IS NOT NULL AS is_tagged;
-- its twin has the same rows, and none is deleted
CREATE TABLE twin (LIKE t INCLUDING ALL);
CREATE VIEW differences AS (SELECT to_jsonb(twin) FROM twin EXCEPT (SELECT to_jsonb(t) FROM t UNION ALL SELECT to_jsonb(gone) - '{deleted_at,deleted_by,actor,reason,hold,stored_in,stored_place}'::text[] FROM t_deleted AS gone));
CREATE PROCEDURE alter_both(command text) LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE 'DROP VIEW differences';
	EXECUTE format('ALTER TABLE t %s', command);
	EXECUTE format('ALTER TABLE twin %s', command);
	EXECUTE 'CREATE VIEW differences AS (SELECT to_jsonb(twin) FROM twin EXCEPT (SELECT to_jsonb(t) FROM t UNION ALL SELECT to_jsonb(gone) - ''{deleted_at,deleted_by,actor,reason,hold,stored_in,stored_place}''::text[] FROM t_deleted AS gone))';
	EXECUTE 'SELECT count(*) FROM differences' INTO n;
	RAISE NOTICE '% differences', n;
END
$$;
INSERT INTO t SELECT n, n || ' kg', n, n * 10, n, CASE WHEN n % 2 = 0 THEN 'good' END FROM generate_series(1, 8) AS n;
INSERT INTO twin TABLE t;
DELETE FROM t WHERE id > 3;

-- of another type, of the same, by other columns, by functions and operators of other schemas, into and out of a domain
CALL alter_both($$ALTER a TYPE integer USING substring(a FROM '\d+')::integer$$);
CALL alter_both($$ALTER b TYPE integer USING b * 2 + c$$);
CALL alter_both($$ALTER b TYPE bigint USING c, ALTER c TYPE bigint USING b$$);
CALL alter_both($$ALTER c TYPE text USING 'x' <+> a::text <+> "E f"$$);
CALL alter_both($$ALTER "E f" TYPE mood USING "E f"::mood$$);
CALL alter_both($$ALTER "E f" TYPE text USING coalesce("E f"::text, id::text || a), ADD g integer DEFAULT 7$$);
CALL alter_both($$ALTER d TYPE positive USING d + 1$$);
CALL alter_both($$ALTER d TYPE text USING lpad(d::text, 4, '0')$$);
CALL alter_both($$ALTER d TYPE positive USING d::integer$$);
CALL alter_both($$ALTER g TYPE integer USING CASE WHEN c IS NULL THEN NULL ELSE length(c) END$$);
-- without an expression
CALL alter_both($$ALTER a TYPE numeric(8, 2), ALTER g TYPE text$$);
CALL alter_both($$ALTER g TYPE varchar(4) COLLATE "C" USING g || 'g'$$);
-- a constant; a column that comes with the command; one that goes with it is not known any more
CALL alter_both($$ALTER g DROP DEFAULT, ALTER g TYPE date USING '2024-01-01'$$);
CALL alter_both($$ALTER b TYPE integer USING a, DROP COLUMN g$$);
SELECT id, a, b, c FROM t_tombstones WHERE id = 4;
ALTER TABLE t ADD h text DEFAULT 'h';
ALTER TABLE t ALTER b TYPE text USING h || b, DROP COLUMN h;
SELECT id, b FROM t_deleted WHERE id IN (4, 5) ORDER BY id;
SELECT id, b FROM t WHERE id = 1;
-- what comes back is what the twin has
UPDATE t_deleted SET deleted_at = NULL WHERE id = 4;
SELECT id, a, c, d, "E f" FROM t WHERE id = 4 EXCEPT SELECT id, a, c, d, "E f" FROM twin;

-- one that fails for some of the deleted rows: the others are computed, and no value is lost
CREATE TABLE many (id integer PRIMARY KEY, n integer, v text);
SELECT soft_delete.tag('many', storage => 'aside') IS NOT NULL AS is_tagged;
INSERT INTO many SELECT n, n * 2, n || ' kg' FROM generate_series(1, 4000) AS n;
INSERT INTO many VALUES (5001, 3, 'odd'), (5002, 5, NULL), (5003, NULL, 'none');
DELETE FROM many WHERE id > 10;
UPDATE many SET n = 3 WHERE id = 1;
DELETE FROM many WHERE id = 1;
ALTER TABLE many ALTER n TYPE bigint USING halve(n);
SELECT count(*) FILTER (WHERE n = id), count(*) FILTER (WHERE n IS NULL), count("n (integer)") FROM many_tombstones;
SELECT id, n, "n (integer)" FROM many_tombstones WHERE n IS DISTINCT FROM id ORDER BY id;
-- two columns, of which one fails for a row
ALTER TABLE many ALTER v TYPE integer USING substring(v FROM '^(\d+) kg$')::integer, ALTER n TYPE integer USING 10 / (n - 4000);
SELECT count(*) FILTER (WHERE v = id), count(*) FILTER (WHERE n IS NULL) FROM many_tombstones;
SELECT id, n, v, "n (bigint)" FROM many_tombstones WHERE id IN (2000, 4000, 5002) ORDER BY id;
SELECT attname FROM pg_attribute WHERE attrelid = 'many_tombstones'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
UPDATE many_deleted SET deleted_at = NULL WHERE id = 4000;
SELECT * FROM many WHERE id = 4000;
-- a deleted row without a value has none to keep
ALTER TABLE many ALTER v TYPE text USING 1 / coalesce(v, 0);
SELECT id, v FROM many_tombstones WHERE v IS NULL;
-- nor does the command fail where the type of the live rows is none of a deleted one
CREATE TABLE casts (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('casts', storage => 'aside') IS NOT NULL AS is_tagged;
INSERT INTO casts VALUES (1, 'a long text'), (2, 'short');
DELETE FROM casts WHERE id = 1;
ALTER TABLE casts ALTER v TYPE varchar(5);
SELECT id, v, "v (text)" FROM casts_tombstones;
SELECT * FROM soft_delete.check();

-- indexes stay, but for those that a type cannot have
CREATE INDEX casts_v ON casts_tombstones (v);
ALTER TABLE casts ALTER v TYPE integer USING length(v);
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'casts_tombstones'::regclass ORDER BY 1;
ALTER TABLE casts ALTER v TYPE json USING to_json(v);
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'casts_tombstones'::regclass ORDER BY 1;
ALTER TABLE casts ALTER id TYPE text USING 'id ' || id;
SELECT id, indexrelid::regclass FROM pg_index, casts_tombstones WHERE indrelid = 'casts_tombstones'::regclass ORDER BY 2;

-- in months and in the companion
CREATE TABLE m (id integer PRIMARY KEY, n integer);
SELECT soft_delete.tag('m', storage => 'aside') IS NOT NULL AS is_tagged;
INSERT INTO m SELECT n, n FROM generate_series(1, 4) AS n;
DELETE FROM m WHERE id <= 2;
SELECT soft_delete.tag('m', storage => 'aside_monthly') IS NOT NULL AS is_tagged;
DELETE FROM m;
ALTER TABLE m ALTER n TYPE numeric USING n + 0.5;
SELECT id, n, stored_in <> 'm_tombstones'::regclass AS in_month FROM m_deleted ORDER BY id;
ALTER TABLE m ALTER n TYPE integer USING halve(n::integer);
SELECT id, n, "n (numeric)", tableoid <> 'm_tombstones'::regclass AS in_month FROM m_tombstones ORDER BY id;
SELECT * FROM soft_delete.check();

-- partitions, and inheritance children, whose companions inherit
CREATE TABLE p (id integer, n integer, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 (n integer, junk integer, id integer NOT NULL);
ALTER TABLE p2 DROP junk;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
CREATE TABLE base (id integer PRIMARY KEY, n integer);
CREATE TABLE heir (junk integer, own integer) INHERITS (base);
ALTER TABLE heir DROP junk;
SELECT soft_delete.tag(r, storage => 'aside') IS NOT NULL AS is_tagged FROM unnest('{p,base}'::regclass[]) AS r;
INSERT INTO p VALUES (1, 1), (11, 11);
INSERT INTO base VALUES (1, 1);
INSERT INTO heir VALUES (2, 2, 20);
DELETE FROM p;
DELETE FROM base;
ALTER TABLE p ALTER n TYPE text USING 'n' || n;
ALTER TABLE base ALTER n TYPE bigint USING n * 3;
ALTER TABLE heir ALTER own TYPE bigint USING own + n;
SELECT id, n FROM p_deleted ORDER BY id;
SELECT id, n FROM base_deleted ORDER BY id;
SELECT id, n, own FROM heir_tombstones;

-- in place: rows in the table and those that have stepped aside; what stands in the way steps aside, too
CREATE TABLE i (id integer PRIMARY KEY, n integer);
SELECT soft_delete.tag('i') IS NOT NULL AS is_tagged;
INSERT INTO i VALUES (1, 1), (2, 2), (4, 4);
DELETE FROM i;
INSERT INTO i VALUES (1, 40);
ALTER TABLE i ALTER n TYPE bigint USING n * 3;
SELECT id, n, stored_in::regclass FROM i_deleted ORDER BY id;
ALTER TABLE i ALTER n TYPE integer USING halve(n::integer);
SELECT id, n, stored_in::regclass FROM i_deleted ORDER BY id;
SELECT id, n, "n (bigint)" FROM i_tombstones ORDER BY id;
ALTER TABLE i ALTER n TYPE bigint USING halve(n);
SELECT id, n, "n (bigint)", "n (integer)" FROM i_tombstones ORDER BY id;
SELECT * FROM soft_delete.check();

-- with the rights of the owner, whoever commands it; a function that the owner may not call is not called
RESET ROLE;
CREATE FUNCTION aside_using_code.who(integer) RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
REVOKE ALL ON FUNCTION aside_using_code.who FROM PUBLIC;
CREATE TABLE aside_using.w (id integer, v integer);
ALTER TABLE aside_using.w OWNER TO regress_using;
SET ROLE regress_using;
SELECT soft_delete.tag('w', storage => 'aside') IS NOT NULL AS is_tagged;
INSERT INTO w VALUES (1, 1), (2, 2);
DELETE FROM w WHERE id = 2;
RESET ROLE;
ALTER TABLE w ALTER v TYPE text USING who(v);
SELECT v FROM w_deleted;
GRANT EXECUTE ON FUNCTION aside_using_code.who TO regress_using;
ALTER TABLE w ALTER v TYPE text USING who(id);
SELECT v FROM w_deleted;

SET client_min_messages = warning;
DROP SCHEMA aside_using, aside_using_code CASCADE;
DROP ROLE regress_using;
