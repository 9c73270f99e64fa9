-- What is large, and what fails half way: settings and rows that an integer or a jsonb
-- cannot hold, errors within a purge.  Nothing loops, nothing stays open, and other
-- tables are not concerned.
CREATE ROLE regress_resources;
CREATE SCHEMA resources AUTHORIZATION regress_resources;
SET ROLE regress_resources;
SET search_path = resources;
\set QUIET off
\set VERBOSITY terse

-- a walk of a purge has no more rows than it can count
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
SELECT soft_delete.tag('parent', cascade => true);
SELECT soft_delete.retain('parent', '0'), soft_delete.retain('child', '0');
INSERT INTO parent SELECT generate_series(1, 10);
INSERT INTO child SELECT i, i FROM generate_series(1, 10) AS i;
DELETE FROM parent;
SET maintenance_work_mem = '130GB';
SET statement_timeout = '30s';
CALL soft_delete.purge();
INSERT INTO parent SELECT generate_series(1, 10);
DELETE FROM parent;
SET maintenance_work_mem = 2147483647;
CALL soft_delete.purge(batch_size => 2147483647);
SELECT count(*) FROM parent_deleted;
RESET statement_timeout;
RESET maintenance_work_mem;

-- circles: an error within their own subtransaction.  The row has a TOAST table, on which
-- the lock is waited for.
CREATE TABLE c1 (id integer PRIMARY KEY, c2_id integer, body text);
CREATE TABLE c2 (id integer PRIMARY KEY, c1_id integer REFERENCES c1 DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE c1 ADD FOREIGN KEY (c2_id) REFERENCES c2 DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE c1 ALTER body SET STORAGE EXTERNAL;
CREATE TABLE other (id integer PRIMARY KEY);
SELECT soft_delete.tag('c1'), soft_delete.tag('c2'), soft_delete.tag('other');
SELECT soft_delete.retain_schema('resources', '0');
BEGIN;
INSERT INTO c1 VALUES (1, 1, repeat('x', 10000));
INSERT INTO c2 VALUES (1, 1);
COMMIT;
INSERT INTO other VALUES (1);
BEGIN;
DELETE FROM c1;
DELETE FROM c2;
COMMIT;
DELETE FROM other;
SELECT (SELECT count(*) FROM c1_deleted) AS c1, (SELECT count(*) FROM c2_deleted) AS c2, (SELECT count(*) FROM other_deleted) AS other;
RESET ROLE;
CREATE EXTENSION dblink;
SELECT dblink_connect('locker', format('dbname=%s host=%s port=%s user=%s', quote_ident(current_database()), split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), quote_ident(current_user)));
SELECT dblink_exec('locker', 'BEGIN');
SELECT dblink_exec('locker', format('REINDEX TABLE %s', reltoastrelid::regclass)) FROM pg_class WHERE oid = 'c1'::regclass;
SET ROLE regress_resources;
SET lock_timeout = '100ms';
CALL soft_delete.purge();
SELECT (SELECT count(*) FROM c1_deleted) AS c1, (SELECT count(*) FROM c2_deleted) AS c2, (SELECT count(*) FROM other_deleted) AS other;
SELECT relation, rows, error FROM soft_delete.purge_log WHERE error IS NOT NULL AND relation LIKE 'resources.%' ORDER BY relation;
-- the role, the settings and the session are what they were
SELECT current_user, current_setting('search_path'), current_setting('lock_timeout');
BEGIN;
SELECT 1;
COMMIT;
RESET lock_timeout;
-- a statement that is cancelled ends, and leaves nothing behind
SET statement_timeout = '300ms';
CALL soft_delete.purge();
RESET statement_timeout;
SELECT current_user, current_setting('search_path');
INSERT INTO other VALUES (2);
DELETE FROM other;
RESET ROLE;
SELECT dblink_exec('locker', 'ROLLBACK');
SELECT dblink_disconnect('locker');
DROP EXTENSION dblink;
SET ROLE regress_resources;
CALL soft_delete.purge();
SELECT (SELECT count(*) FROM c1_deleted) AS c1, (SELECT count(*) FROM c2_deleted) AS c2, (SELECT count(*) FROM other_deleted) AS other;

-- a row steps aside, whatever its size
CREATE TABLE large (id integer PRIMARY KEY, b bytea, code integer UNIQUE);
ALTER TABLE large ALTER b SET STORAGE EXTERNAL;
SELECT soft_delete.tag('large');
INSERT INTO large SELECT 1, convert_to(repeat('x', 135000000), 'UTF8'), 1;
INSERT INTO large VALUES (2, 'small');
DELETE FROM large;
INSERT INTO large VALUES (1, 'again');
INSERT INTO large VALUES (1, 'again') ON CONFLICT (id) DO NOTHING;
INSERT INTO large VALUES (2, 'again', 1);
UPDATE large SET id = 1 WHERE id = 2;
SELECT soft_delete_internal.step_aside('large', stored_place) FROM large_deleted WHERE id = 1;
-- a foreign key has the whole key referenced
CREATE TABLE refers (code integer REFERENCES large (code));
SELECT id, length(b) FROM large_deleted ORDER BY id;
SELECT id, b, code FROM large;
-- another key
INSERT INTO large VALUES (3, 'free');
UPDATE large SET code = 2 WHERE id = 2;
UPDATE large_deleted SET deleted_at = NULL WHERE id = 1;
SELECT id, length(b) FROM large ORDER BY id;

-- it follows a type whose text would be twice as long
CREATE TABLE grows (id integer PRIMARY KEY, v text, w text);
SELECT soft_delete.tag('grows');
ALTER TABLE grows ALTER v SET STORAGE EXTERNAL;
INSERT INTO grows SELECT 1, repeat('x', 135000000), 'w';
DELETE FROM grows;
INSERT INTO grows VALUES (1, 'y', 'w');
SELECT id, length(v) FROM grows_deleted;
ALTER TABLE grows ALTER v TYPE bytea USING convert_to(v, 'UTF8');
SELECT id, length(v), w FROM grows_deleted;
DROP TABLE refers, large, grows;

-- tables of the library are heaps, whatever new tables are
SELECT relname, amname FROM pg_class JOIN pg_am ON pg_am.oid = relam
WHERE relnamespace IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace) AND relkind IN ('r', 'm', 'p') AND amname <> 'heap';
RESET ROLE;
CREATE ACCESS METHOD regress_resources TYPE TABLE HANDLER heap_tableam_handler;
SET default_table_access_method = regress_resources;
CREATE DATABASE regress_resources_new;
\set old :DBNAME
\c regress_resources_new
SET client_min_messages = warning;
CREATE ACCESS METHOD regress_resources TYPE TABLE HANDLER heap_tableam_handler;
SET default_table_access_method = regress_resources;
CREATE EXTENSION soft_delete;
SELECT relname, amname FROM pg_class JOIN pg_am ON pg_am.oid = relam
WHERE relnamespace IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace) AND relkind IN ('r', 'm', 'p') AND amname <> 'heap';
\c :old
DROP DATABASE regress_resources_new;
SET client_min_messages = warning;
DROP SCHEMA resources CASCADE;
DROP ACCESS METHOD regress_resources;
DROP ROLE regress_resources;
