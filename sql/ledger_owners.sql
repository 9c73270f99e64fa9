-- What is recorded of a table is for its owner of then: not for who owns a table of its name now.  One GRANT makes an auditor.
CREATE ROLE regress_owners_first;
CREATE ROLE regress_owners_second;
CREATE ROLE regress_owners_auditor;
CREATE SCHEMA owners;
GRANT ALL ON SCHEMA owners TO regress_owners_first, regress_owners_second;
SET search_path = owners;
SET client_min_messages = warning;
SET ROLE regress_owners_first;
CREATE TABLE t (id integer PRIMARY KEY);
SELECT soft_delete.tag('t');
INSERT INTO t VALUES (1), (2), (3);
DELETE FROM t WHERE id > 1;
SELECT soft_delete.erase('t', '1'), soft_delete.retain('t', '0');
CALL soft_delete.purge('t');
SELECT log.relation, rows, last_purge_rows FROM soft_delete.purge_log AS log JOIN soft_delete.tables ON last_purge = purged_at;
SELECT relation, rows FROM soft_delete.erasures;
SELECT sum(purged) FROM soft_delete.timeline('t', 1);
DROP TABLE t CASCADE;

-- another one makes a table of that name
RESET ROLE;
SET ROLE regress_owners_second;
CREATE TABLE t (id integer PRIMARY KEY);
SELECT soft_delete.tag('t');
SELECT count(*) FROM soft_delete.purge_log;
SELECT count(*) FROM soft_delete.erasures;
SELECT count(*) FROM soft_delete.deletions;
SELECT count(*) FROM soft_delete.events;
SELECT relation, last_purge FROM soft_delete.tables;
SELECT sum(purged) FROM soft_delete.timeline('t', 1);
RESET ROLE;
SET ROLE regress_owners_first;
SELECT relation, rows FROM soft_delete.purge_log;
SELECT relation, rows FROM soft_delete.erasures;
SELECT relation, event, rows FROM soft_delete.events ORDER BY deleted_at, event;
RESET ROLE;

-- an auditor
CREATE VIEW audited AS
	SELECT (SELECT count(*) FROM soft_delete.deletions WHERE deleted_by IN ('regress_owners_first', 'regress_owners_second')) AS deletions,
		(SELECT count(*) FROM soft_delete.events WHERE relation = 'owners.t') AS events,
		(SELECT count(*) FROM soft_delete.holds WHERE relation = 'owners.t'::regclass) AS holds,
		(SELECT count(*) FROM soft_delete.lifted_holds WHERE relation = 'owners.t') AS lifted,
		(SELECT count(*) FROM soft_delete.purge_log WHERE relation = 'owners.t') AS purges,
		(SELECT count(*) FROM soft_delete.erasures WHERE relation = 'owners.t') AS erasures;
GRANT USAGE ON SCHEMA owners TO regress_owners_auditor;
GRANT SELECT ON audited TO regress_owners_auditor;
ALTER VIEW audited OWNER TO regress_owners_auditor;
SELECT soft_delete.hold('t', 'why');
SET ROLE regress_owners_auditor;
SELECT * FROM audited;
RESET ROLE;
GRANT pg_read_all_data TO regress_owners_auditor;
SET ROLE regress_owners_auditor;
SELECT * FROM audited;
SELECT count(*) FROM t_deleted;
DELETE FROM t_deleted;
UPDATE t_deleted SET hold = 'mine';
SELECT soft_delete.hold('t', 'mine');
SELECT soft_delete.retain('t', '0');
SELECT soft_delete.erase('t', '1');
DELETE FROM soft_delete_internal.events;

-- or of the ledger alone
RESET ROLE;
REVOKE pg_read_all_data FROM regress_owners_auditor;
GRANT SELECT ON soft_delete_internal.ledger TO regress_owners_auditor;
SET ROLE regress_owners_auditor;
SELECT * FROM audited;
SELECT count(*) FROM t_deleted;
RESET ROLE;
REVOKE SELECT ON soft_delete_internal.ledger FROM regress_owners_auditor;
SELECT soft_delete.hold('t', NULL);
DROP SCHEMA owners CASCADE;
TRUNCATE soft_delete_internal.lifted_holds, soft_delete_internal.purge_log, soft_delete_internal.erasures;
DROP ROLE regress_owners_first, regress_owners_second, regress_owners_auditor;
