-- The tag is the last BEFORE DELETE row trigger, and enabled, or somebody is told.
CREATE ROLE regress_ddl_triggers;
CREATE SCHEMA ddl_triggers AUTHORIZATION regress_ddl_triggers;
SET search_path = ddl_triggers;
SET ROLE regress_ddl_triggers;
\set SHOW_CONTEXT never
CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE untagged (id integer PRIMARY KEY);
CREATE TABLE part (id integer PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10);
SELECT soft_delete.tag('t'), soft_delete.tag('part');
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';

-- one that would fire after it
CREATE TRIGGER "~zz" BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER "~zz" BEFORE INSERT OR DELETE ON part FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER "~zz" BEFORE DELETE ON part_1 FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER aa BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION nothing();
ALTER TRIGGER aa ON t RENAME TO "~zz";
ALTER TRIGGER "~soft_delete" ON t RENAME TO aaa;
ALTER TRIGGER aa ON t RENAME TO bb;
-- others may
CREATE TRIGGER "~zz" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER "~zzz" AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER "~zzzz" BEFORE DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION nothing();
CREATE TRIGGER "~zz" BEFORE DELETE ON untagged FOR EACH ROW EXECUTE FUNCTION nothing();
INSERT INTO t VALUES (1);
DELETE FROM t;
SELECT id FROM t_deleted;

-- disabling it makes deletes hard, which may be what is wanted
ALTER TABLE t DISABLE TRIGGER "~soft_delete";
ALTER TABLE t ENABLE TRIGGER "~soft_delete";
ALTER TABLE t DISABLE TRIGGER USER;
INSERT INTO t VALUES (2);
DELETE FROM t;
SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('all');
-- it is said once
ALTER TABLE t ADD COLUMN a integer;
ALTER TABLE t ENABLE REPLICA TRIGGER "~soft_delete";
ALTER TABLE t ENABLE ALWAYS TRIGGER "~soft_delete";
ALTER TABLE t ENABLE TRIGGER USER;
-- also where a migration disables it, and alters the table in the same transaction
CREATE TABLE kept (id integer PRIMARY KEY);
SELECT soft_delete.tag('kept', storage => 'aside');
BEGIN;
ALTER TABLE kept DISABLE TRIGGER USER;
ALTER TABLE t ADD COLUMN c integer, DISABLE TRIGGER ALL;
ALTER TABLE kept ADD COLUMN a integer;
ALTER TABLE t DROP COLUMN c;
CREATE INDEX ON kept (a);
ROLLBACK;
ALTER TABLE part DISABLE TRIGGER USER;
ALTER TABLE part ENABLE TRIGGER USER;
ALTER TABLE t DISABLE TRIGGER bb;
ALTER TABLE untagged DISABLE TRIGGER USER;
INSERT INTO t VALUES (3);
DELETE FROM t;
SELECT id FROM t_deleted ORDER BY id;
-- restoring data disables triggers on purpose
SET row_security = off;
ALTER TABLE t DISABLE TRIGGER USER;
ALTER TABLE t ENABLE TRIGGER USER;

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA ddl_triggers CASCADE;
DROP ROLE regress_ddl_triggers;
