-- tag() refuses what cannot be soft, and an error leaves no trace
CREATE ROLE regress_tag_refuses;
CREATE ROLE regress_tag_stranger;
CREATE SCHEMA tag_refuses AUTHORIZATION regress_tag_refuses;
GRANT USAGE, CREATE ON SCHEMA tag_refuses TO regress_tag_stranger;
CREATE FOREIGN DATA WRAPPER regress_fdw;
CREATE SERVER regress_server FOREIGN DATA WRAPPER regress_fdw;
CREATE FOREIGN TABLE tag_refuses.foreign_table (id integer) SERVER regress_server;
SET ROLE regress_tag_refuses;
SET search_path = tag_refuses;
\set SHOW_CONTEXT never

CREATE TABLE t (id integer PRIMARY KEY, flag boolean, txt text, day date, short timestamptz(0),
	always timestamptz NOT NULL, def timestamptz DEFAULT now(), gen timestamptz GENERATED ALWAYS AS (NULL::timestamptz) STORED,
	good timestamp);
CREATE TABLE before AS SELECT count(*) FROM pg_class WHERE relnamespace = 'tag_refuses'::regnamespace;

-- wrong relations
CREATE VIEW a_view AS SELECT 1 AS id;
CREATE MATERIALIZED VIEW a_matview AS SELECT 1 AS id;
CREATE SEQUENCE a_sequence;
SELECT soft_delete.tag('a_view');
SELECT soft_delete.tag('a_matview');
SELECT soft_delete.tag('a_sequence');
SELECT soft_delete.tag('foreign_table');
SELECT soft_delete.tag('t_pkey');
SELECT soft_delete.tag('pg_class');
SELECT soft_delete.tag('no_such_table');
SELECT soft_delete.tag(0);
SELECT soft_delete.tag(4000000000::oid::regclass);

-- a partition or a child by itself
CREATE TABLE root (id integer) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF root FOR VALUES IN (1);
CREATE TABLE parent (id integer);
CREATE TABLE child () INHERITS (parent);
SELECT soft_delete.tag('part');
SELECT soft_delete.tag('child');

-- rules
CREATE TABLE ruled (id integer);
CREATE RULE no_delete AS ON DELETE TO ruled DO INSTEAD NOTHING;
SELECT soft_delete.tag('ruled');

-- columns
SELECT soft_delete.tag('t', deleted_at => 'flag');
SELECT soft_delete.tag('t', deleted_at => 'txt');
SELECT soft_delete.tag('t', deleted_at => 'day');
SELECT soft_delete.tag('t', deleted_at => 'short');
SELECT soft_delete.tag('t', deleted_at => 'always');
SELECT soft_delete.tag('t', deleted_at => 'def');
SELECT soft_delete.tag('t', deleted_at => 'gen');
SELECT soft_delete.tag('t', deleted_at => 'xmin');
SELECT soft_delete.tag('t', deleted_at => '');
CREATE TABLE by_time (id integer, deleted_at timestamptz) PARTITION BY RANGE (deleted_at);
SELECT soft_delete.tag('by_time');
CREATE TABLE by_expression (id integer, deleted_at timestamp) PARTITION BY RANGE (date_trunc('day', deleted_at));
SELECT soft_delete.tag('by_expression');

-- the hint for a flag does what it says
INSERT INTO t (id, flag, always) VALUES (1, true, now()), (2, false, now());
ALTER TABLE tag_refuses.t ALTER COLUMN flag DROP DEFAULT, ALTER COLUMN flag DROP NOT NULL, ALTER COLUMN flag TYPE timestamptz USING CASE WHEN flag THEN now() END;
BEGIN;
SELECT soft_delete.tag('t', deleted_at => 'flag');
SELECT id FROM t;
SELECT id FROM t_deleted;
ROLLBACK;

-- arguments
SELECT soft_delete.tag(NULL);
SELECT soft_delete.tag('t', deleted_at => NULL);
SELECT soft_delete.tag('t', indexes => 'some');
SELECT soft_delete.tag('t', deleted_at => 'good', views => 'no_such_schema');

-- names that are taken
CREATE TABLE taken (id integer);
CREATE TABLE taken_deleted (id integer);
SELECT soft_delete.tag('taken');
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('taken');
SET ROLE regress_tag_refuses;
SELECT attname FROM pg_attribute WHERE attrelid = 'taken'::regclass AND attnum > 0;

-- triggers that would fire after the tag
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
CREATE TABLE triggered (id integer);
CREATE TRIGGER "~zz" BEFORE DELETE ON triggered FOR EACH ROW EXECUTE FUNCTION f();
SELECT soft_delete.tag('triggered');

-- another column than the one it has
CREATE TABLE tagged (id integer, other timestamptz);
SELECT soft_delete.tag('tagged');
SELECT soft_delete.tag('tagged', deleted_at => 'other');

-- strangers
SET ROLE regress_tag_stranger;
SELECT soft_delete.tag('tag_refuses.t');
SELECT soft_delete.untag('tag_refuses.tagged');
RESET ROLE;
SET ROLE regress_tag_refuses;

-- a database whose new sessions will not load the library
RESET ROLE;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = ''auto_explain''', current_database()); END $$;
UPDATE pg_event_trigger SET evtenabled = 'D' WHERE evtname = 'soft_delete_login';
SET ROLE regress_tag_refuses;
SELECT soft_delete.tag('t', deleted_at => 'good');
RESET ROLE;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = ''auto_explain, "$libdir/soft_delete"''', current_database()); END $$;
SELECT soft_delete_internal.new_sessions_load();
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET session_preload_libraries', current_database()); END $$;
UPDATE pg_event_trigger SET evtenabled = 'A' WHERE evtname = 'soft_delete_login';

-- the trigger functions called wrongly
SET ROLE regress_tag_refuses;
SELECT soft_delete.delete_row();
SELECT soft_delete.restore_row();
SELECT soft_delete.purge_row();
RESET ROLE;
SELECT soft_delete_internal.load();
SET ROLE regress_tag_refuses;
CREATE TABLE wrong (id integer);
INSERT INTO wrong VALUES (1);
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON wrong FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row();
DELETE FROM wrong;
DROP TRIGGER "~soft_delete" ON wrong;
CREATE TRIGGER "~soft_delete" AFTER DELETE ON wrong FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('id');
DELETE FROM wrong;
DROP TRIGGER "~soft_delete" ON wrong;
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON wrong FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('id');
DELETE FROM wrong;
SELECT * FROM wrong;
DROP TRIGGER "~soft_delete" ON wrong;
CREATE TRIGGER "~soft_delete" BEFORE DELETE ON wrong FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.delete_row('id');
DELETE FROM wrong;
DROP TRIGGER "~soft_delete" ON wrong;
CREATE TRIGGER "~soft_delete" BEFORE UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row();
UPDATE wrong SET id = 2;
DROP TRIGGER "~soft_delete" ON wrong;
CREATE VIEW wrong_view AS SELECT * FROM wrong;
CREATE TRIGGER "~soft_delete" INSTEAD OF DELETE ON wrong_view FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row();
DELETE FROM wrong_view;
DROP TRIGGER "~soft_delete" ON wrong_view;
CREATE TRIGGER "~soft_delete" INSTEAD OF DELETE ON wrong_view FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row();
DELETE FROM wrong_view;
SELECT * FROM wrong;

RESET ROLE;
DROP SERVER regress_server CASCADE;
DROP FOREIGN DATA WRAPPER regress_fdw;
DROP SCHEMA tag_refuses CASCADE;
DROP ROLE regress_tag_refuses, regress_tag_stranger;
