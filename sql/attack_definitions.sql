-- what an owner names and writes into indexes never runs with the rights of who tags
--
-- An ordinary role makes tables with hostile names, index functions, literals,
-- collations and operator classes; a superuser tags, plans, checks and untags
-- them.  Whatever ran notes as whom.
CREATE ROLE regress_eve;
CREATE SCHEMA evil AUTHORIZATION regress_eve;
CREATE TABLE evil.ran (who name);
GRANT INSERT ON evil.ran TO PUBLIC;
SET search_path = evil;
SET client_min_messages = warning;
\set VERBOSITY terse
-- a superuser makes an operator class for her, which none but superusers can
CREATE OPERATOR CLASS evil." DESC);ALTER ROLE regress_eve SUPERUSER;--" FOR TYPE integer USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer);

SET ROLE regress_eve;
CREATE FUNCTION note() RETURNS boolean VOLATILE LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO evil.ran VALUES (current_user); RETURN true; END $$;
CREATE FUNCTION yes(anyelement) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN evil.note(); END $$;
CREATE FUNCTION same(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.note(); RETURN $1; END $$;
CREATE DOMAIN checked AS integer CHECK (evil.yes(VALUE));
CREATE TYPE pair AS (a checked, b text);
CREATE COLLATION """, (SELECT evil.note()));--" FROM "C";

-- names
CREATE TABLE names (
	id integer PRIMARY KEY, v integer, w text, r int4range,
	"deleted"" IS NULL);ALTER ROLE regress_eve SUPERUSER;--" text,
	CONSTRAINT " USING btree (v);ALTER ROLE regress_eve SUPERUSER;--" UNIQUE (v),
	CONSTRAINT "'; ALTER ROLE regress_eve SUPERUSER;
 WHERE (" UNIQUE NULLS NOT DISTINCT (w) INCLUDE (v),
	CONSTRAINT " DEFERRABLE INITIALLY DEFERRED" EXCLUDE USING gist (r WITH &&) WHERE (v > 1) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX "ä ON ONLY ) NULLS NOT DISTINCT TABLESPACE x" ON names ("deleted"" IS NULL);ALTER ROLE regress_eve SUPERUSER;--" COLLATE """, (SELECT evil.note()));--");
CREATE UNIQUE INDEX " DESC) WHERE true; ALTER ROLE regress_eve SUPERUSER; --" ON names (v " DESC);ALTER ROLE regress_eve SUPERUSER;--" DESC);
CREATE UNIQUE INDEX u123456789012345678901234567890123456789012345678901234567_idx1 ON names (w) WHERE w <> ' WHERE (x AND (deleted_at IS NULL))';

-- functions and literals
CREATE TABLE calls (id integer PRIMARY KEY, v integer, few checked[], p pair);
CREATE INDEX calls_fold ON calls (v) WHERE evil.same(1) = 1;
CREATE UNIQUE INDEX calls_key ON calls (evil.same(v), (evil.same(2) + v));
CREATE UNIQUE INDEX calls_array ON calls (v) WHERE few <> '{5}';
CREATE INDEX calls_row ON calls ((p <> '(5,x)'::pair));
CREATE INDEX calls_whole ON calls (evil.yes(calls));

-- a partitioned table, whose indexes must correspond
CREATE TABLE parts (id integer, v integer, few checked[], CONSTRAINT "parts "" key" UNIQUE (id, v)) PARTITION BY RANGE (id);
CREATE UNIQUE INDEX parts_idx ON parts (id, evil.same(v)) WHERE evil.same(1) = 1;
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
CREATE TABLE "parts""_;2" (LIKE parts INCLUDING ALL);
ALTER TABLE parts ATTACH PARTITION "parts""_;2" FOR VALUES FROM (10) TO (20);

INSERT INTO names (id, v, w) VALUES (1, 1, 'a'), (2, 2, 'b');
INSERT INTO calls VALUES (1, 1, '{1}', '(1,a)'), (2, 2, '{2}', '(2,b)');
INSERT INTO parts VALUES (1, 1), (11, 1);
CREATE VIEW definitions AS
	SELECT indrelid::regclass AS relation, relname, indisvalid, pg_get_indexdef(indexrelid), pg_get_constraintdef(con.oid)
	FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid LEFT JOIN pg_constraint con ON conindid = indexrelid AND contype <> 'f'
	WHERE relnamespace = 'evil'::regnamespace AND indrelid <> to_regclass('evil.was');
CREATE TABLE was AS SELECT * FROM definitions;
RESET ROLE;
TRUNCATE ran;

-- a superuser does all there is to be done
SELECT regexp_replace(plan, 'soft_delete_[0-9]+', 'soft_delete_N', 'g') AS plan
FROM unnest('{names,calls,parts}'::regclass[]) AS t, soft_delete.plan(t) AS plan;
\set ECHO none
SELECT plan FROM unnest('{names,calls,parts}'::regclass[]) AS t, soft_delete.plan(t) AS plan WHERE plan ~ '^(ALTER|CREATE|DROP)' \gexec
\set ECHO all
SELECT count(*) AS not_prepared FROM unnest('{names,calls,parts}'::regclass[]) AS t, soft_delete.plan(t) AS plan;
SELECT soft_delete.tag('names'), soft_delete.tag('calls'), soft_delete.tag('parts');
SELECT relation, relname, pg_get_indexdef FROM definitions WHERE relname !~ '^soft_delete_' ORDER BY 1, relname COLLATE "C";
SELECT DISTINCT who FROM ran WHERE who <> 'regress_eve';
SET ROLE regress_eve;
DELETE FROM names;
DELETE FROM calls;
DELETE FROM parts;
RESET ROLE;
TRUNCATE ran;
SELECT severity, relation, problem FROM soft_delete.check() WHERE relation::text ~ 'evil|names|calls|parts';
SELECT soft_delete.tag('names'), soft_delete.tag('calls'), soft_delete.tag('parts');
ALTER TABLE parts DETACH PARTITION "parts""_;2";
ALTER TABLE parts ATTACH PARTITION "parts""_;2" FOR VALUES FROM (10) TO (20);
SELECT DISTINCT who FROM ran;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_eve';

-- a superuser references her keys, and adopts her index
CREATE UNIQUE INDEX calls_v ON calls (v);
ALTER TABLE calls ADD CONSTRAINT calls_v UNIQUE USING INDEX calls_v;
CREATE TABLE refers (v integer REFERENCES calls (v));
DROP TABLE refers;
SELECT DISTINCT who FROM ran WHERE who <> 'regress_eve';

-- and takes the tags off; what stepped aside comes back
ALTER TABLE calls DROP CONSTRAINT calls_v;
SET ROLE regress_eve;
INSERT INTO names (id, v, w) VALUES (1, 7, 'c');
DELETE FROM names;
INSERT INTO calls VALUES (1, 8, '{1}', '(1,a)');
RESET ROLE;
TRUNCATE ran;
SELECT soft_delete.untag('names', tombstones => 'purge'), soft_delete.untag('parts', tombstones => 'purge');
SET ROLE regress_eve;
UPDATE calls SET id = 5;
DELETE FROM calls;
RESET ROLE;
SELECT soft_delete.untag('calls');
SELECT soft_delete.untag('calls', tombstones => 'keep');
SET ROLE regress_eve;
SELECT id, v FROM calls ORDER BY id;
RESET ROLE;
SELECT DISTINCT who FROM ran WHERE who <> 'regress_eve';
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_eve';
SELECT * FROM was EXCEPT SELECT * FROM definitions;
SELECT * FROM definitions EXCEPT SELECT * FROM was;

-- indexes that are made after the tag, with the tombstone column in every form
SET ROLE regress_eve;
CREATE TABLE late (id integer PRIMARY KEY, a integer, b integer, deleted_at timestamptz);
CREATE INDEX before_and ON late (a) WHERE b > 0 AND deleted_at IS NULL;
CREATE INDEX before_first ON late (a) WHERE deleted_at IS NULL AND b > 0;
CREATE INDEX before_or ON late (a) WHERE (a > 0 OR b > 0) AND deleted_at IS NULL;
CREATE INDEX before_only ON late (a) WHERE deleted_at IS NULL;
CREATE INDEX before_not ON late (a) WHERE NOT deleted_at IS NOT NULL;
CREATE INDEX before_none ON late (b) WHERE a > 0 OR b > 0;
CREATE TABLE before AS SELECT relname, pg_get_indexdef FROM definitions WHERE relation = 'late'::regclass;
RESET ROLE;
SELECT soft_delete.tag('late');
SET ROLE regress_eve;
CREATE UNIQUE INDEX late_first ON late (a) WHERE deleted_at IS NULL AND b > 0;
CREATE UNIQUE INDEX late_added ON late (a) WHERE b > 0;
CREATE UNIQUE INDEX late_or ON late (b) WHERE (a > 0 OR b > 0) AND deleted_at IS NULL;
-- looks like a stand-in for a unique constraint, but no such could be made
CREATE UNIQUE INDEX late_forged ON late (a DESC) WHERE b > 0;
ALTER TABLE late ADD CONSTRAINT late_forged CHECK (true);
CREATE UNIQUE INDEX late_forged_expression ON late ((a + 1));
ALTER TABLE late ADD CONSTRAINT late_forged_expression CHECK (true);
RESET ROLE;
SELECT soft_delete.untag('late');
SELECT * FROM before EXCEPT SELECT relname, pg_get_indexdef FROM definitions;
SELECT relname, pg_get_indexdef FROM definitions WHERE relname ~ '^late_' AND relation = 'late'::regclass ORDER BY 1;

-- a schema with all of it at once
SELECT soft_delete.tag_schema('evil', exempt => '{ran,was,before}');
SELECT DISTINCT who FROM ran WHERE who <> 'regress_eve';
SELECT soft_delete.untag_schema('evil', tombstones => 'purge');
SELECT DISTINCT who FROM ran WHERE who <> 'regress_eve';
SELECT * FROM was EXCEPT SELECT * FROM definitions;

-- what is read as a number, or not at all, where strings have escapes
SELECT current_setting('server_version_num')::integer < 190000 AS has_escapes \gset
\if :has_escapes
SET standard_conforming_strings = off;
\endif
SET ROLE regress_eve;
SELECT soft_delete.tag('parts');
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (30);
SELECT relname FROM definitions WHERE relation = 'parts_3'::regclass ORDER BY 1;
CREATE TABLE "ä" (id integer PRIMARY KEY, "deleted_by" text, actor text, reason text, hold text);
SELECT soft_delete.tag('"ä"');
INSERT INTO "ä" VALUES (1);
DELETE FROM "ä";
SELECT soft_delete_reason FROM "ä_deleted";
RESET standard_conforming_strings;
CREATE TABLE expr (id integer, k integer, d timestamptz, "d.*" text) PARTITION BY LIST ((k + extract(epoch FROM d AT TIME ZONE 'UTC')));
SELECT soft_delete.tag('expr', deleted_at => 'd');
SELECT soft_delete.tag('expr', deleted_at => '.*');

RESET ROLE;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_eve';
DROP SCHEMA evil CASCADE;
DROP ROLE regress_eve;
