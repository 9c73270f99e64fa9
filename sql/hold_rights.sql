-- who may update column hold of a bin may hold; who may not, cannot lift
CREATE ROLE regress_rights;
CREATE ROLE regress_rights_lawyer;
CREATE ROLE regress_rights_support;
CREATE SCHEMA rights AUTHORIZATION regress_rights;
SET ROLE regress_rights;
SET search_path = rights;
\set QUIET off
\set VERBOSITY terse

CREATE TABLE t (id integer PRIMARY KEY, secret text);
CREATE TABLE closed (id integer PRIMARY KEY);
SELECT soft_delete.tag('t'), soft_delete.tag('closed');
INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z');
INSERT INTO closed VALUES (1);
WITH d AS (DELETE FROM t) DELETE FROM closed;
GRANT USAGE ON SCHEMA rights TO PUBLIC;
GRANT SELECT (id, deleted_at), UPDATE (hold) ON t_deleted TO regress_rights_lawyer;
GRANT SELECT (id, deleted_at), UPDATE (deleted_at), DELETE ON t_deleted TO regress_rights_support;
RESET ROLE;

SET ROLE regress_rights_lawyer;
UPDATE t_deleted SET hold = 'case 1' WHERE id = 1;
UPDATE t_deleted SET deleted_at = NULL WHERE id = 1;
UPDATE closed_deleted SET hold = 'case 1';
SELECT soft_delete.hold('t', 'case 2');
SELECT soft_delete.hold('closed', 'case 2');
SELECT soft_delete_internal.set_hold('closed', now(), 'case 2');
SELECT soft_delete_internal.lift_holds('t'::regclass, 't');
SELECT soft_delete_internal.copy_holds('t', 'closed');
SELECT count(*) FROM soft_delete.holds;
INSERT INTO soft_delete_internal.holds VALUES ('closed', NULL, NULL, 'case 3', 'me', now());
-- what the table holds is lifted, and then what holds the row, which he need not see to lift
SELECT soft_delete.hold('t', NULL);
UPDATE t_deleted SET hold = NULL WHERE id = 1;
UPDATE t_deleted SET hold = 'case 1' WHERE id = 1;
RESET ROLE;

-- it needs the right to read a bin to find a deletion
SET ROLE regress_rights;
SELECT relation, key, hold, held_by FROM soft_delete.holds;
GRANT SELECT ON t_deleted TO regress_rights_lawyer;
RESET ROLE;
SET ROLE regress_rights_lawyer;
SELECT soft_delete.hold_deletion((SELECT deleted_at FROM t_deleted WHERE id = 2), 'case 4');
SELECT id, hold FROM t_deleted ORDER BY id;
RESET ROLE;
SET ROLE regress_rights;
SELECT relation, key, hold, held_by FROM soft_delete.holds ORDER BY hold;
SELECT hold FROM closed_deleted;
RESET ROLE;

-- who may restore and purge cannot, is told why, and does not get to see keys by it
\set VERBOSITY default
SET ROLE regress_rights_support;
DELETE FROM t_deleted WHERE id = 1;
UPDATE t_deleted SET deleted_at = NULL WHERE id = 1;
UPDATE t_deleted SET hold = NULL WHERE id = 1;
\set VERBOSITY terse
SELECT soft_delete.hold('t', NULL);
SELECT soft_delete.hold_deletion((SELECT deleted_at FROM t_deleted WHERE id = 2), NULL);
SELECT count(soft_delete.hold_of(stored_in, stored_place, true)) FROM t_deleted;
SELECT count(*) FROM soft_delete.holds;
RESET ROLE;
SELECT count(*) FROM soft_delete.holds WHERE relation = 'rights.t'::regclass;

-- a view that only looks like a bin gives no rights
GRANT CREATE ON SCHEMA rights TO regress_rights_support;
GRANT SELECT ON rights.closed TO regress_rights_support;
SET ROLE regress_rights_support;
CREATE VIEW fake AS SELECT * FROM closed;
CREATE TRIGGER u INSTEAD OF UPDATE ON fake FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row('id', 'id', 'id', 'id');
CREATE TRIGGER d INSTEAD OF DELETE ON fake FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row();
SELECT soft_delete.hold('closed', 'case 5');
SELECT soft_delete_internal.may_hold('closed');
SELECT soft_delete_internal.bin_of('closed');
DROP VIEW fake;
RESET ROLE;

SELECT soft_delete.hold_deletion((SELECT deleted_at FROM rights.t_deleted WHERE id = 2), NULL);
SET ROLE regress_rights;
SELECT relation, key, hold, held_by, lifted_by FROM soft_delete.lifted_holds ORDER BY lifted_at;
RESET ROLE;
SET ROLE regress_rights_support;
SELECT count(*) FROM soft_delete.lifted_holds;
RESET ROLE;
DELETE FROM soft_delete_internal.holds;
DROP SCHEMA rights CASCADE;
DROP ROLE regress_rights, regress_rights_lawyer, regress_rights_support;
TRUNCATE soft_delete_internal.lifted_holds;
