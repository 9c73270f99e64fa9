-- erase() refuses rows that are held, keys that are none, and who may not
CREATE ROLE regress_erase;
CREATE ROLE regress_erase_other;
CREATE SCHEMA erase AUTHORIZATION regress_erase;
SET ROLE regress_erase;
SET search_path = erase;
\set QUIET off
GRANT USAGE ON SCHEMA erase TO regress_erase_other;

CREATE TABLE t (id integer, part varchar(3), v text, PRIMARY KEY (id, part));
SELECT soft_delete.tag('t');
INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'y');

-- the key
SELECT soft_delete.erase('t', '1');
SELECT soft_delete.erase('t', '1', 'a', 'x');
SELECT soft_delete.erase('t', 'a', '1');
SELECT soft_delete.erase('t', '99999999999', 'a');
SELECT soft_delete.erase('t', '1', 'abcd');
SELECT soft_delete.erase('t', '1', NULL);
SELECT soft_delete.erase('t', VARIADIC '{}'::text[]);
SELECT soft_delete.erase('t', VARIADIC NULL::text[]);
SELECT soft_delete.erase(NULL, '1');
SELECT soft_delete.erase('t', '1 OR true', 'a');
SELECT soft_delete.erase('t', '1', ''' OR true --');
SELECT count(*) FROM t;

-- the table
CREATE TABLE keyless (v text);
CREATE TABLE untagged (id integer PRIMARY KEY);
CREATE TABLE part (id integer PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT soft_delete.tag('keyless'), soft_delete.tag('part');
SELECT soft_delete.erase('keyless', 'x');
SELECT soft_delete.erase('untagged', '1');
SELECT soft_delete.erase('part_1', '1');
SELECT soft_delete.erase('t_deleted', '1', 'a');

-- holds, of a deleted row, a copy aside, and a table with live rows
DELETE FROM t WHERE id = 1;
UPDATE t_deleted SET hold = 'case 1' WHERE id = 1;
SELECT soft_delete.erase('t', '1', 'a');
INSERT INTO t VALUES (1, 'a', 'new');
SELECT soft_delete.erase('t', '1', 'a');
SELECT count(*) FROM t;
UPDATE t_deleted SET hold = NULL WHERE id = 1;
SELECT soft_delete.hold('t', 'case 2');
SELECT soft_delete.erase('t', '2', 'b');
SELECT count(*) FROM t;
SELECT soft_delete.hold('t', NULL);

-- what was known about a hold goes, too
SELECT relation, key, hold FROM soft_delete.lifted_holds ORDER BY lifted_at;
SELECT soft_delete.erase('t', '1', 'a');
SELECT relation, key, hold FROM soft_delete.lifted_holds ORDER BY lifted_at;

-- a trigger or a policy that keeps the row, and a trigger that fails
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep();
SELECT soft_delete.erase('t', '2', 'b');
CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'never'; END$$;
SELECT soft_delete.erase('t', '2', 'b');
DROP TRIGGER keep ON t;
CREATE RULE keep AS ON DELETE TO t DO INSTEAD NOTHING;
SELECT soft_delete.erase('t', '2', 'b');
DROP RULE keep ON t;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON t FOR SELECT USING (true);
GRANT SELECT, DELETE ON t, t_deleted TO regress_erase_other;
SET ROLE regress_erase_other;
SELECT soft_delete.erase('t', '2', 'b');
SET ROLE regress_erase;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;

-- rights: on the table and on the bin
REVOKE DELETE ON t FROM regress_erase_other;
SET ROLE regress_erase_other;
SELECT soft_delete.erase('t', '2', 'b');
SET ROLE regress_erase;
GRANT DELETE ON t TO regress_erase_other;
REVOKE DELETE ON t_deleted FROM regress_erase_other;
SET ROLE regress_erase_other;
SELECT soft_delete.erase('t', '2', 'b');
SELECT count(*) FROM soft_delete.erasures;
INSERT INTO soft_delete_internal.erasures VALUES ('t', '', now(), 'me', 1);
SET ROLE regress_erase;
GRANT DELETE ON t_deleted TO regress_erase_other;
SET ROLE regress_erase_other;
SELECT soft_delete.erase('erase.t', '2', 'b');
SET ROLE regress_erase;
SELECT relation, erased_by, rows FROM soft_delete.erasures ORDER BY erased_at;

RESET ROLE;
DROP SCHEMA erase CASCADE;
DROP ROLE regress_erase, regress_erase_other;
TRUNCATE soft_delete_internal.erasures, soft_delete_internal.lifted_holds;
