-- privileges and row security: the DELETE right decides, and nothing more is gained
CREATE ROLE regress_owner;
CREATE ROLE regress_app;
CREATE SCHEMA delete_privileges AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA delete_privileges TO regress_app;
SET ROLE regress_owner;
SET search_path = delete_privileges;

CREATE TABLE t (id integer PRIMARY KEY, tenant text, note text);
INSERT INTO t SELECT g, 'tenant' || g % 2, 'n' || g FROM generate_series(1, 10) g;
SELECT soft_delete.tag('t');
GRANT DELETE ON t TO regress_app;

-- DELETE alone is enough
SET ROLE regress_app;
DELETE FROM t;
SELECT id FROM t;
DELETE FROM t WHERE id = 1;
UPDATE t SET deleted_at = NULL;
SELECT id FROM t_deleted;
UPDATE t_deleted SET deleted_at = NULL;
DELETE FROM t_deleted;

-- rights on the bin are grants on the view
SET ROLE regress_owner;
SELECT count(*) FROM t_deleted;
GRANT SELECT ON t_deleted TO regress_app;
SET ROLE regress_app;
SELECT count(*) FROM t_deleted;
UPDATE t_deleted SET deleted_at = NULL;
DELETE FROM t_deleted;
SET ROLE regress_owner;
GRANT UPDATE (deleted_at), DELETE ON t_deleted TO regress_app;
SET ROLE regress_app;
UPDATE t_deleted SET deleted_at = NULL WHERE id < 9;
DELETE FROM t_deleted WHERE id = 9;
UPDATE t_deleted SET note = 'x';
SET ROLE regress_owner;
SELECT count(*) FROM t;

-- the hostile role: a view of its own with our triggers, over a table that it can only read
GRANT SELECT ON t TO regress_app;
SET ROLE regress_app;
CREATE TEMP VIEW forged AS SELECT *, tableoid, ctid, tableoid AS stored_in, ctid AS stored_place FROM delete_privileges.t;
CREATE TRIGGER purge INSTEAD OF DELETE ON forged FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row('', '', '', '', 'stored_in', 'stored_place');
CREATE TRIGGER restore INSTEAD OF UPDATE ON forged FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row();
DELETE FROM forged;
UPDATE forged SET deleted_at = NULL;
SELECT soft_delete_internal.bind_view('forged', 'delete_privileges.t');
DROP VIEW forged;
SET ROLE regress_owner;
SELECT count(*) FROM t;

-- row security: policies for DELETE and SELECT, none for UPDATE or for the tombstone
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON t FOR SELECT TO regress_app USING (tenant = current_setting('regress.tenant'));
CREATE POLICY del ON t FOR DELETE TO regress_app USING (tenant = current_setting('regress.tenant') AND id <> 3);
CREATE POLICY ins ON t FOR INSERT TO regress_app WITH CHECK (tenant = current_setting('regress.tenant'));
GRANT INSERT ON t TO regress_app;
SET ROLE regress_app;
SET regress.tenant = 'tenant1';
DELETE FROM t RETURNING id;
SELECT id FROM t;
DELETE FROM t;
INSERT INTO t VALUES (21, 'tenant1', 'mine');
INSERT INTO t VALUES (22, 'tenant0', 'not mine');
INSERT INTO t VALUES (23, 'tenant1', 'forged', now());
SELECT id FROM t ORDER BY id;

-- the active view is read with the rights and policies of who asks
SET ROLE regress_owner;
GRANT SELECT, DELETE ON t_active TO regress_app;
SET ROLE regress_app;
SELECT id FROM t_active ORDER BY id;
DELETE FROM t_active RETURNING id;

SET ROLE regress_owner;
SELECT id, tenant FROM t ORDER BY id;
RESET ROLE;
DROP SCHEMA delete_privileges CASCADE;
DROP ROLE regress_owner, regress_app;
