-- What makes a table tagged is not taken from it by hand.
CREATE ROLE regress_ddl_refuses;
CREATE SCHEMA ddl_refuses AUTHORIZATION regress_ddl_refuses;
SET search_path = ddl_refuses;
SET ROLE regress_ddl_refuses;
\set SHOW_CONTEXT never
CREATE TABLE t (id integer PRIMARY KEY, v text);
SELECT soft_delete.tag('t');
INSERT INTO t VALUES (1, 'a'), (2, 'b');
DELETE FROM t WHERE id = 1;
INSERT INTO t VALUES (1, 'c');		-- the deleted row steps aside

-- triggers
DROP TRIGGER "~soft_delete" ON t;
DROP TRIGGER "~soft_delete_key" ON t;
DROP TRIGGER "~soft_delete_truncate" ON t;
DROP TRIGGER soft_delete_restore ON t_deleted;
DROP TRIGGER soft_delete_purge ON t_deleted;
DROP TRIGGER soft_delete_statement ON t_deleted;

-- views
DROP VIEW t_active;
DROP VIEW IF EXISTS t_deleted CASCADE;
CREATE VIEW upon AS SELECT id FROM t_active;
DROP VIEW upon, t_active;
DROP VIEW upon;
DO $$ BEGIN EXECUTE 'DROP VIEW t_active'; END $$;

-- the tombstone column
ALTER TABLE t DROP COLUMN deleted_at;
ALTER TABLE t DROP COLUMN deleted_at CASCADE;
ALTER TABLE t ALTER COLUMN deleted_at TYPE timestamp;
ALTER TABLE t ALTER COLUMN deleted_at TYPE timestamptz(3);
ALTER TABLE t ALTER COLUMN deleted_at TYPE text;
ALTER TABLE t ALTER COLUMN deleted_at SET DEFAULT now();
DELETE FROM t WHERE id = 2;
ALTER TABLE t ALTER COLUMN deleted_at SET DEFAULT 'now';
BEGIN;
DELETE FROM t;
DELETE FROM t_deleted;
ALTER TABLE t ALTER COLUMN deleted_at SET NOT NULL;
ROLLBACK;
-- what changes nothing is none of our business
ALTER TABLE t ALTER COLUMN deleted_at DROP NOT NULL, ALTER COLUMN deleted_at DROP DEFAULT, ALTER COLUMN deleted_at SET STATISTICS 10;
ALTER TABLE t ALTER COLUMN deleted_at TYPE timestamptz;
ALTER TABLE t ALTER COLUMN v SET DEFAULT 'x', ALTER COLUMN v SET NOT NULL;

-- of partitions neither
CREATE TABLE part (id integer PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10);
SELECT soft_delete.tag('part');
ALTER TABLE part_1 ALTER COLUMN deleted_at SET DEFAULT now();
DROP TRIGGER "~soft_delete_truncate" ON part_1;

-- all is as it was
SELECT id, v FROM t_deleted ORDER BY v;
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('t'::regclass, 't_deleted'::regclass) AND NOT tgisinternal;

-- the application's own things of that kind go as ever
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
CREATE TRIGGER own BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION nothing();
DROP TRIGGER own ON t;
CREATE TRIGGER soft_delete_purge BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION nothing();
DROP TRIGGER soft_delete_purge ON t;
CREATE VIEW x_active AS SELECT * FROM t;
DROP VIEW x_active;
CREATE VIEW no_bin AS SELECT * FROM t_deleted;
DROP VIEW no_bin;

-- nor may another trigger take the place of one of ours
CREATE OR REPLACE TRIGGER "~soft_delete" BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE OR REPLACE TRIGGER "~soft_delete" BEFORE DELETE ON t FOR EACH ROW WHEN (false) EXECUTE FUNCTION soft_delete.delete_row('deleted_at');
CREATE OR REPLACE TRIGGER "~soft_delete" AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at');
CREATE OR REPLACE TRIGGER "~soft_delete_key" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE OR REPLACE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION nothing();
CREATE OR REPLACE TRIGGER soft_delete_purge INSTEAD OF DELETE ON t_deleted FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT count(*) FROM t_deleted;

-- nor by a function that only sounds like one of ours, or speaks of it
RESET ROLE;
CREATE SCHEMA not_soft_delete;
CREATE FUNCTION not_soft_delete.follow_me() RETURNS void LANGUAGE plpgsql AS 'BEGIN DROP TRIGGER "~soft_delete" ON ddl_refuses.t; END';
SELECT not_soft_delete.follow_me();
DROP SCHEMA not_soft_delete CASCADE;
SET ROLE regress_ddl_refuses;
DO $$ BEGIN EXECUTE 'DROP TRIGGER "~soft_delete" ON t -- as soft_delete_internal.untag_table() does'; END $$;

-- who restores a dump may clean up first
SET row_security = off;
BEGIN;
DROP VIEW t_deleted;
DROP TRIGGER "~soft_delete" ON t;
DROP TABLE t;
ROLLBACK;
RESET row_security;

-- the table takes everything along
DROP TABLE t;
SELECT to_regclass('t_active') AS active, to_regclass('t_deleted') AS bin, to_regclass('t_tombstones') AS companion;
CREATE TABLE t (id integer PRIMARY KEY, v text);
CREATE TABLE u (id integer PRIMARY KEY, t_id integer REFERENCES t);
SELECT soft_delete.tag('t');
DROP TABLE t;
DROP TABLE t CASCADE;
RESET ROLE;
CREATE SCHEMA elsewhere AUTHORIZATION regress_ddl_refuses;
SET ROLE regress_ddl_refuses;
SELECT soft_delete.tag('u', views => 'elsewhere');
SET client_min_messages = warning;
DROP SCHEMA ddl_refuses CASCADE;
RESET ROLE;
SELECT count(*) FROM pg_class WHERE relnamespace = 'elsewhere'::regnamespace;
CREATE TABLE elsewhere.owned (id integer PRIMARY KEY);
SELECT soft_delete.tag('elsewhere.owned');
ALTER TABLE elsewhere.owned OWNER TO regress_ddl_refuses;
DROP OWNED BY regress_ddl_refuses;
DROP ROLE regress_ddl_refuses;
