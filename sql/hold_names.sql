-- any number of holds on the same stand side by side, and each is lifted by its name
CREATE ROLE regress_names;
CREATE ROLE regress_names_lawyer;
CREATE SCHEMA hold_names AUTHORIZATION regress_names;
SET ROLE regress_names;
SET search_path = hold_names;
\set QUIET off

CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE u (id text PRIMARY KEY);
CREATE TABLE other (id integer PRIMARY KEY);
SELECT soft_delete.tag('t'), soft_delete.tag('u'), soft_delete.tag('other');
INSERT INTO t VALUES (1), (2), (3);
INSERT INTO u VALUES ('x');
DELETE FROM t;
DELETE FROM u;
UPDATE t_deleted SET hold = 'A' WHERE id < 3;
UPDATE t_deleted SET hold = 'B' WHERE id < 3;
UPDATE t_deleted SET hold = 'B' WHERE id < 3;
UPDATE t_deleted SET hold = hold;
SELECT soft_delete.hold('t', 'A'), soft_delete.hold('t', 'C'), soft_delete.hold('t', 'C');
SELECT soft_delete.hold_deletion(deleted_at, 'D'), soft_delete.hold_deletion(deleted_at, 'E') FROM t_deleted WHERE id = 1;
UPDATE u_deleted SET hold = 'A';
SELECT id, hold FROM t_deleted ORDER BY id;
SELECT relation, key, deleted_at IS NULL AS on_table, hold FROM soft_delete.holds ORDER BY 1, 2, 3, 4;
DELETE FROM t_deleted WHERE id = 1;
DROP TABLE t;

-- one on a row, one on a table with its rows, one wherever it is
SELECT soft_delete.lift('t', 1, 'B');
SELECT soft_delete.lift('t', 1, 'B');
SELECT soft_delete.lift('t', 'B');
SELECT id, hold FROM t_deleted ORDER BY id;
SELECT soft_delete.lift('A');
SELECT soft_delete.lift('E');
SELECT id, hold FROM t_deleted ORDER BY id;
SELECT hold FROM u_deleted;
-- null lifts all of them on that, and no other
SELECT soft_delete.hold('t', 'F'), soft_delete.hold('t', NULL);
SELECT id, hold FROM t_deleted ORDER BY id;
SELECT soft_delete.hold_deletion(deleted_at, NULL) FROM t_deleted WHERE id = 1;
UPDATE t_deleted SET hold = NULL;
SELECT relation, key, hold, lifted_by FROM soft_delete.lifted_holds ORDER BY lifted_at, hold, key;

-- bad arguments
SELECT soft_delete.lift('t', NULL);
SELECT soft_delete.lift(NULL);
SELECT soft_delete.lift('t', 1, 2, 'A');
SELECT soft_delete.lift('t', 'x', 'A');
SELECT soft_delete.lift('untagged', 'A');
SELECT soft_delete.lift('pg_class', 'A');
SELECT soft_delete.hold('t', 'x'::text, 'A');
SELECT soft_delete.hold('t', VARIADIC ARRAY['1', 'G']), soft_delete.lift('t', VARIADIC ARRAY['1', 'G']);

-- a schema
SELECT soft_delete.hold_schema('hold_names', 'H');
SELECT relation, hold FROM soft_delete.holds ORDER BY 1;
SELECT soft_delete.hold_schema('hold_names', NULL);
SELECT soft_delete.hold_schema('pg_catalog', 'H');
SELECT soft_delete.hold_schema('no such schema', 'H');

-- a role that owns nothing but the right to hold
GRANT USAGE ON SCHEMA hold_names TO regress_names_lawyer;
GRANT UPDATE (hold) ON t_deleted, u_deleted TO regress_names_lawyer;
SET ROLE regress_names_lawyer;
SELECT soft_delete.hold('t', 'case 1');
SELECT soft_delete.hold_schema('hold_names', 'case 1');
RESET ROLE;
GRANT UPDATE (hold) ON hold_names.other_deleted TO regress_names_lawyer;
SELECT max(deleted_at) AS stamp FROM hold_names.t_deleted \gset
SET ROLE regress_names_lawyer;
SELECT soft_delete.hold_schema('hold_names', 'case 1');
SELECT soft_delete.hold_deletion(:'stamp', 'case 2');
-- but may not ask by a hold whether there is a row
SELECT soft_delete.hold('t', 1, 'case 3');
SELECT soft_delete.hold('t', 9, 'case 3');
RESET ROLE;
SET ROLE regress_names;
SELECT soft_delete.hold('other', 'not his');
REVOKE UPDATE (hold) ON other_deleted FROM regress_names_lawyer;
GRANT SELECT (id) ON t_deleted TO regress_names_lawyer;
SET ROLE regress_names_lawyer;
SELECT soft_delete.hold('t', 1, 'case 3');
SELECT soft_delete.hold('t', 9, 'case 3');
SELECT soft_delete.lift('case 1');
SELECT soft_delete.lift('not his');
SELECT soft_delete.lift('other', 'not his');
SELECT count(*) FROM soft_delete.lifted_holds;
SET ROLE regress_names;
SELECT relation, key, hold, held_by FROM soft_delete.holds ORDER BY 1, 2, 3;

-- the record of a table that is gone belongs to its owner, whoever has the name now
SELECT soft_delete.lift('case 2'), soft_delete.lift('case 3');
SELECT soft_delete.untag('t', tombstones => 'keep');
DROP TABLE t;
SELECT count(*) FROM soft_delete.lifted_holds WHERE hold = 'case 3';
GRANT CREATE ON SCHEMA hold_names TO regress_names_lawyer;
SET ROLE regress_names_lawyer;
CREATE TABLE t (id integer PRIMARY KEY);
SELECT count(*) FROM soft_delete.lifted_holds;

-- a key without a name holds the table, and says so
RESET ROLE;
CREATE SCHEMA hold_names_keys AUTHORIZATION regress_names;
SET ROLE regress_names;
SET search_path = hold_names_keys;
CREATE TABLE owners (id integer PRIMARY KEY);
CREATE TABLE pets (id integer PRIMARY KEY, owner integer REFERENCES owners ON DELETE CASCADE);
CREATE TABLE codes (code text PRIMARY KEY);
CREATE TABLE devices (id uuid PRIMARY KEY);
SELECT soft_delete.tag('owners', cascade => true), soft_delete.tag('codes'), soft_delete.tag('devices') \g /dev/null
INSERT INTO owners VALUES (5), (6);
INSERT INTO pets VALUES (1, 5), (2, 6);
SELECT soft_delete.hold('owners', '5'), soft_delete.hold('codes', 'x'), soft_delete.hold('devices', '00000000-0000-0000-0000-000000000005');
SELECT soft_delete.hold('owners', 'case 5'), soft_delete.hold('devices', 'case 5');
SELECT soft_delete.lift('5'), soft_delete.lift('x'), soft_delete.lift('case 5');

-- who may see a hold, but not lift it, is told, as is who has mistaken its name
SELECT soft_delete.hold('owners', 5, 'case 6');
SELECT soft_delete.lift('case 9');
RESET ROLE;
GRANT pg_read_all_data TO regress_names_lawyer;
SET ROLE regress_names_lawyer;
SELECT relation, key, hold FROM soft_delete.holds WHERE hold = 'case 6';
SELECT soft_delete.lift('case 6');
SET ROLE regress_names;

-- a row that is held counts as held, be it referenced by held rows or not
DELETE FROM owners;
SELECT member, rows, held, referenced FROM soft_delete.preview_purge('owners', older_than => '0') ORDER BY member;
SELECT soft_delete.retain('owners', '0');
CALL soft_delete.purge('owners');
SELECT soft_delete.lift('case 6');
RESET ROLE;
REVOKE pg_read_all_data FROM regress_names_lawyer;
SELECT soft_delete.lift('00000000-0000-0000-0000-000000000005');
SET client_min_messages = warning;
DROP SCHEMA hold_names_keys CASCADE;
RESET client_min_messages;
SET search_path = hold_names;

RESET ROLE;
SELECT count(*) FROM soft_delete.lifted_holds WHERE hold = 'case 3';
DELETE FROM soft_delete_internal.holds;
DROP SCHEMA hold_names CASCADE;
DROP ROLE regress_names, regress_names_lawyer;
TRUNCATE soft_delete_internal.lifted_holds;
