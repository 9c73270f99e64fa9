-- each deletion has one ledger row: its stamp, who, for whom and why
CREATE ROLE regress_ledger;
CREATE ROLE regress_ledger_other;
CREATE SCHEMA ledger AUTHORIZATION regress_ledger;
SET ROLE regress_ledger;
SET search_path = ledger;
SET application_name = 'the shop';

CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
INSERT INTO parent SELECT generate_series(1, 9);
INSERT INTO child SELECT g, g FROM generate_series(1, 9) g;
SELECT soft_delete.tag('parent', cascade => true);
CREATE VIEW entries AS
	SELECT row_number() OVER (ORDER BY d.deleted_at) AS n, xid = xmin_xid AS right_xid, deleted_by, session_role = session_user AS right_session,
		application_name, actor, reason, parents, children
	FROM soft_delete.deletions d
		CROSS JOIN LATERAL (SELECT count(*) AS parents, max(xmin::text)::xid8 AS xmin_xid FROM parent p TABLESAMPLE soft_delete.rows('all') WHERE p.deleted_at = d.deleted_at) p
		CROSS JOIN LATERAL (SELECT count(*) AS children FROM child c TABLESAMPLE soft_delete.rows('all') WHERE c.deleted_at = d.deleted_at) c
	ORDER BY 1;

-- one row, whatever the statement reaches; none where nothing is deleted
DELETE FROM parent WHERE id < 3;
DELETE FROM parent WHERE id < 3;
SELECT * FROM entries;

-- for whom and why
BEGIN;
SET LOCAL soft_delete.actor = 'alice';
SET LOCAL soft_delete.reason = 'asked to';
DELETE FROM parent WHERE id = 3;
COMMIT;
DELETE FROM parent WHERE id = 4;
SELECT * FROM entries WHERE n > 1;

-- what is rolled back leaves none, and the rest of the statement has its own
BEGIN;
DELETE FROM parent WHERE id = 5;
ROLLBACK;
DO $$
BEGIN
	BEGIN
		DELETE FROM ledger.parent WHERE id = 5;
		BEGIN
			DELETE FROM ledger.parent WHERE id = 6;
		END;
		RAISE 'no';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	BEGIN
		DELETE FROM ledger.parent WHERE id = 6;
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	DELETE FROM ledger.parent WHERE id = 7;
END
$$;
SELECT n, deleted_by, parents, children FROM entries WHERE n > 3;

-- how many rows, of what
SELECT relation, rows FROM soft_delete.deletions, soft_delete.deletion_rows(deleted_at) ORDER BY deleted_at, relation;

-- roles see what they and their members did
RESET ROLE;
SET ROLE regress_ledger_other;
SELECT count(*) FROM soft_delete.deletions;
SELECT count(*) FROM soft_delete_internal.ledger;
INSERT INTO soft_delete.deletions VALUES (now());
RESET ROLE;
GRANT regress_ledger TO regress_ledger_other;
SET ROLE regress_ledger_other;
SELECT count(*) FROM soft_delete.deletions;
RESET ROLE;

-- a role that is gone stays named
DROP SCHEMA ledger CASCADE;
DROP ROLE regress_ledger, regress_ledger_other;
SELECT DISTINCT deleted_by FROM soft_delete.deletions WHERE deleted_by = 'regress_ledger';
