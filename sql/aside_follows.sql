-- the companion follows its table in the same command
\set SHOW_CONTEXT never
CREATE ROLE regress_follows;
CREATE SCHEMA aside_follows AUTHORIZATION regress_follows;
SET ROLE regress_follows;
SET search_path = aside_follows;
CREATE TABLE t (id integer PRIMARY KEY, a text, b integer);
SELECT soft_delete.tag('t', storage => 'aside');
GRANT SELECT ON t_deleted TO PUBLIC;
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2);
DELETE FROM t;

-- columns; a default fills deleted rows as it fills live ones
ALTER TABLE t ADD COLUMN c integer DEFAULT 7 NOT NULL, ADD COLUMN d text, ADD COLUMN e integer GENERATED ALWAYS AS (b * 2) STORED, ADD COLUMN f serial;
SELECT id, a, b, c, d, e, f FROM t_deleted ORDER BY id;
ALTER TABLE t RENAME COLUMN a TO "A";
ALTER TABLE t DROP COLUMN d, ADD COLUMN d date DEFAULT '2024-01-01', ALTER COLUMN f TYPE text;
ALTER TABLE t ALTER COLUMN c TYPE bigint, ALTER COLUMN c DROP NOT NULL;
SELECT id, "A", b, c, e, f, d FROM t_deleted ORDER BY id;
UPDATE t_deleted SET deleted_at = NULL WHERE id = 1;
SELECT * FROM t;
SELECT has_table_privilege('pg_monitor', 't_deleted', 'SELECT') AS keeps_grants;

-- a value that has no counterpart in the new type is kept
CREATE TYPE colour AS ENUM ('red', 'green');
ALTER TABLE t ALTER COLUMN "A" TYPE colour USING (CASE id WHEN 1 THEN 'red' ELSE "A" END)::colour;
\d t_tombstones
SELECT id, "A", "A (text)" FROM t_tombstones;
SELECT id, "A" FROM t_deleted;
ALTER TABLE t ALTER COLUMN "A" TYPE text;
DELETE FROM t;
SELECT id, "A", "A (text)" FROM t_tombstones ORDER BY id;
ALTER TABLE t DROP COLUMN e, DROP COLUMN b, ADD COLUMN e text DEFAULT 'e';
SELECT id, "A", c, f, d, e FROM t_deleted ORDER BY id;

-- what is demanded of live rows meets no deleted one
ALTER TABLE t ADD COLUMN g integer;
ALTER TABLE t ALTER COLUMN g SET NOT NULL, ADD CHECK (id > 100), ADD UNIQUE (c);
UPDATE t_deleted SET deleted_at = NULL WHERE id = 1;

-- whoever reads the bin, and what else it has, stays; and so do the names of its own columns
CREATE VIEW on_bin AS SELECT id, deleted_by FROM t_deleted;
GRANT SELECT (id) ON t_deleted TO PUBLIC;
COMMENT ON COLUMN t_deleted.id IS 'which';
ALTER TABLE t ADD COLUMN hold text, ADD COLUMN "price (eur)" text DEFAULT 'one';
ALTER TABLE t RENAME COLUMN "price (eur)" TO price;
SELECT id, price, hold, soft_delete_hold FROM t_deleted ORDER BY id;
SELECT id, deleted_by FROM on_bin ORDER BY id;
SELECT col_description('t_deleted'::regclass, 1);
DROP VIEW on_bin;
-- an expression that fails for deleted rows alone
ALTER TABLE t ADD COLUMN by_zero integer GENERATED ALWAYS AS (1 / (id - 1)) STORED;
ALTER TABLE t DROP COLUMN by_zero;
-- a hold is found by the primary key
UPDATE t_deleted SET soft_delete_hold = 'case' WHERE id = 1;
ALTER TABLE t DROP CONSTRAINT t_pkey;
ALTER TABLE t ALTER COLUMN id TYPE numeric(6, 2);
UPDATE t_deleted SET soft_delete_hold = NULL;
-- the companion takes no part in anything else
ALTER TABLE t_tombstones DISABLE TRIGGER "~soft_delete_companion";

-- names, schemas, owners, persistence
RESET ROLE;
CREATE SCHEMA aside_follows_2 AUTHORIZATION regress_follows;
CREATE ROLE regress_follows_other;
GRANT ALL ON SCHEMA aside_follows_2 TO regress_follows_other;
SET ROLE regress_follows;
ALTER TABLE t RENAME TO renamed;
SELECT relname FROM pg_class WHERE relnamespace = 'aside_follows'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname;
ALTER TABLE renamed SET SCHEMA aside_follows_2;
SELECT relname FROM pg_class WHERE relnamespace = 'aside_follows_2'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname;
RESET ROLE;
ALTER TABLE aside_follows_2.renamed OWNER TO regress_follows_other;
SELECT relname, relowner::regrole FROM pg_class WHERE relnamespace = 'aside_follows_2'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname;
SET ROLE regress_follows_other;
ALTER TABLE aside_follows_2.renamed SET UNLOGGED;
SELECT relname, relpersistence FROM pg_class WHERE relnamespace = 'aside_follows_2'::regnamespace AND relkind = 'r' ORDER BY relname;
SELECT id FROM aside_follows_2.renamed_deleted ORDER BY id;
INSERT INTO aside_follows_2.renamed (id, g) VALUES (101, 1);
DELETE FROM aside_follows_2.renamed;
SELECT id FROM aside_follows_2.renamed_deleted ORDER BY id;
SELECT * FROM soft_delete.check();

-- an expression finds what it finds in the session that alters the table; for another role, what the owner's own sessions find
RESET ROLE;
ALTER ROLE regress_follows SET search_path = aside_follows;
SET ROLE regress_follows;
SET search_path = aside_follows;
CREATE SEQUENCE numbers;
CREATE FUNCTION next_number() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN nextval(''numbers''); END';
CREATE TABLE words (n integer PRIMARY KEY, word text);
INSERT INTO words VALUES (1, 'one'), (2, 'two'), (3, 'three');
CREATE FUNCTION word_of(integer) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT word FROM words WHERE n = $1); END';
CREATE TABLE numbered (id integer PRIMARY KEY);
SELECT soft_delete.tag('numbered', storage => 'aside');
INSERT INTO numbered VALUES (1), (2);
DELETE FROM numbered WHERE id = 2;
ALTER TABLE numbered ADD COLUMN n integer NOT NULL DEFAULT next_number();
ALTER TABLE numbered ALTER n DROP DEFAULT, ALTER n TYPE text USING word_of(n);
RESET ROLE;
SET search_path = pg_catalog, aside_follows;
ALTER TABLE numbered ADD COLUMN m integer NOT NULL DEFAULT next_number();
ALTER TABLE numbered ALTER m DROP DEFAULT, ALTER m TYPE text USING coalesce(word_of(m), 'more');
SET search_path = '';
ALTER TABLE aside_follows.numbered ADD COLUMN l integer DEFAULT 7;
SET search_path = aside_follows;
SELECT * FROM numbered;
SELECT id, n, m, l FROM numbered_deleted;
ALTER ROLE regress_follows RESET search_path;
CREATE TEMPORARY TABLE passing (id integer PRIMARY KEY);
SELECT soft_delete.tag('passing', storage => 'aside');
INSERT INTO passing VALUES (1);
DELETE FROM passing;
ALTER TABLE passing ADD COLUMN n integer NOT NULL DEFAULT next_number();
ALTER TABLE passing ALTER n TYPE text USING coalesce(word_of(n), 'more');
SELECT id, n FROM passing_deleted;
DROP TABLE passing;

-- both go with the table, as if there were none
SET ROLE regress_follows_other;
DROP TABLE aside_follows_2.renamed;
SELECT relname FROM pg_class WHERE relnamespace = 'aside_follows_2'::regnamespace;

-- a type, a domain or an extension takes its columns along, as on a plain table; whoever drops it
RESET ROLE;
SET search_path = aside_follows;
CREATE ROLE regress_follows_types;
GRANT ALL ON SCHEMA aside_follows TO regress_follows_types;
SET ROLE regress_follows_types;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN amount AS integer;
CREATE COLLATION plain (provider = libc, locale = 'C');
SET ROLE regress_follows;
CREATE TABLE typed (id integer, m mood, n amount, c text COLLATE plain, g mood GENERATED ALWAYS AS (m) STORED, PRIMARY KEY (id, m));
CREATE TABLE typed_child (o mood) INHERITS (typed);
CREATE TABLE typed_parts (id integer, m mood) PARTITION BY RANGE (id);
CREATE TABLE typed_part PARTITION OF typed_parts FOR VALUES FROM (0) TO (10);
SELECT soft_delete.tag(t, storage => 'aside') IS NOT NULL AS is_tagged FROM unnest('{typed,typed_parts}'::regclass[]) AS t;
INSERT INTO typed VALUES (1, 'good', 1, 'one'), (2, 'bad', 2, 'two');
INSERT INTO typed_child (id, m, n, c, o) VALUES (3, 'bad', 3, 'three', 'good');
INSERT INTO typed_parts VALUES (1, 'good');
DELETE FROM typed WHERE id > 1;
DELETE FROM typed_parts;
GRANT SELECT ON typed_deleted TO regress_follows_types;
SET ROLE regress_follows_types;
\set VERBOSITY terse
DROP DOMAIN amount;
DROP COLLATION plain CASCADE;
DROP DOMAIN amount CASCADE;
DROP TYPE mood CASCADE;
\set VERBOSITY default
SELECT id FROM typed_deleted ORDER BY id;
SET ROLE regress_follows;
SELECT attrelid::regclass, string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid IN (SELECT oid FROM pg_class WHERE relname ~ '^typed.*_(tombstones|deleted)$' AND relkind IN ('r', 'v')) AND attnum > 0 AND NOT attisdropped GROUP BY attrelid ORDER BY attrelid::regclass::text COLLATE "C";
SELECT count(*) FROM soft_delete.check();
UPDATE typed_deleted SET deleted_at = NULL;
UPDATE typed_parts_deleted SET deleted_at = NULL;
SELECT tableoid::regclass, * FROM typed ORDER BY id;
TABLE typed_parts;
RESET ROLE;
CREATE EXTENSION hstore SCHEMA aside_follows;
ALTER TABLE typed ADD h hstore;
DELETE FROM typed WHERE id = 1;
DROP EXTENSION hstore CASCADE;
SELECT id FROM typed_deleted;
CREATE SCHEMA aside_follows_types;
CREATE DOMAIN aside_follows_types.note AS text;
ALTER TABLE typed ADD note aside_follows_types.note;
DROP SCHEMA aside_follows_types CASCADE;
SELECT id FROM typed_deleted;
DROP TABLE typed, typed_child, typed_parts;
DROP OWNED BY regress_follows_types;
DROP ROLE regress_follows_types;

-- a companion that was broken: a DELETE fails rather than loses
RESET ROLE;
SET search_path = aside_follows;
CREATE TABLE v (id integer PRIMARY KEY, a text);
SELECT soft_delete.tag('v', storage => 'aside');
INSERT INTO v VALUES (1, 'one');
SET session_replication_role = replica;
ALTER TABLE v ADD COLUMN b integer;
RESET session_replication_role;
DELETE FROM v;
SELECT problem, remedy FROM soft_delete.check();
SELECT remedy FROM soft_delete.check() \gexec
DELETE FROM v;
DROP INDEX v_tombstones_deleted_at_idx;
SELECT problem, remedy FROM soft_delete.check();
SELECT remedy FROM soft_delete.check() \gexec
DROP VIEW v_deleted;
DROP TABLE v_tombstones CASCADE;
DROP TRIGGER "~soft_delete_companion" ON v_tombstones;
DROP TRIGGER "~soft_delete" ON v;
SET session_replication_role = replica;
DROP TABLE v_tombstones CASCADE;
RESET session_replication_role;
INSERT INTO v VALUES (2, 'two');
DELETE FROM v;
SELECT problem, remedy FROM soft_delete.check();
SELECT remedy FROM soft_delete.check() \gexec
SELECT * FROM soft_delete.check();
DELETE FROM v;
SELECT id FROM v_deleted;
-- a row of triggers that the owner disables
ALTER TABLE v DISABLE TRIGGER "~soft_delete";
ALTER TABLE v ENABLE TRIGGER "~soft_delete";

SET client_min_messages = warning;
DROP SCHEMA aside_follows, aside_follows_2 CASCADE;
DROP ROLE regress_follows, regress_follows_other;
