-- A purge goes on where its last batch ended, whatever has become of the table
-- meanwhile: no row that lives, or must stay, is taken for one that was found due,
-- and the ledger knows the deletions of all rows that are left.
CREATE SCHEMA purge_resumes;
SET search_path = purge_resumes;
CREATE FUNCTION batch(relation regclass, size integer, begins boolean, OUT rows bigint, OUT done boolean) LANGUAGE sql AS
$$ SELECT rows, done FROM soft_delete_internal.purge_batch(ARRAY[relation], clock_timestamp(), NULL, size, begins, false) $$;

-- a rewrite gives the places of deleted rows to live ones of the same transaction
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent);
SELECT soft_delete.tag('parent'), soft_delete.retain('parent', '0');
INSERT INTO parent SELECT generate_series(1, 10);
BEGIN;
DELETE FROM parent WHERE id <= 4;
INSERT INTO parent SELECT generate_series(11, 14);
COMMIT;
INSERT INTO child VALUES (1, 13);
SELECT * FROM batch('parent', 1, true);
VACUUM FULL parent;
SELECT * FROM batch('parent', 9, false);
SELECT string_agg(id::text, ',' ORDER BY id) FROM parent;
SELECT count(*) FROM child JOIN parent ON parent.id = parent_id;
SELECT * FROM batch('parent', 9, true);
SELECT count(*) FROM parent_deleted;
SELECT string_agg(id::text, ',' ORDER BY id) FROM parent;

-- the same where the rows are read batch by batch
CREATE TABLE alone (id integer PRIMARY KEY);
SELECT soft_delete.tag('alone'), soft_delete.retain('alone', '0');
INSERT INTO alone SELECT generate_series(1, 20);
DELETE FROM alone WHERE id > 10;
DELETE FROM alone WHERE id <= 10;
SELECT * FROM batch('alone', 15, true);
VACUUM FULL alone;
SELECT * FROM batch('alone', 15, false);
SELECT count(*) FROM alone_deleted;

-- an index of which the stamp is the first column alone
CREATE TABLE named (id integer PRIMARY KEY, name text, deleted_at timestamptz);
CREATE INDEX ON named (deleted_at, name);
SELECT soft_delete.tag('named'), soft_delete.retain('named', '0');
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'named'::regclass ORDER BY 1;
INSERT INTO named SELECT i, to_char(101 - i, 'FM000') FROM generate_series(1, 100) i;
DELETE FROM named WHERE id > 50;
DELETE FROM named;
SELECT * FROM batch('named', 10, true);
SELECT count(*), count(deleted_by) FROM named_deleted;
CALL soft_delete.purge('named', batch_size => 10);
SELECT count(*), count(deleted_by) FROM named_deleted;

-- another index from one batch to the next
CREATE TABLE changed (id integer PRIMARY KEY, name text);
SELECT soft_delete.tag('changed'), soft_delete.retain('changed', '0');
INSERT INTO changed SELECT i, to_char(101 - i, 'FM000') FROM generate_series(1, 100) i;
DELETE FROM changed;
SELECT * FROM batch('changed', 10, true);
CREATE INDEX changed_named ON changed (deleted_at, name);
SET row_security = off; -- as who restores a dump
DROP INDEX changed_deleted_at_idx;
RESET row_security;
SELECT * FROM batch('changed', 10, false);
CREATE INDEX ON changed (deleted_at);
DROP INDEX changed_named;
CALL soft_delete.purge('changed', batch_size => 40);
SELECT count(*) FROM changed_deleted;

-- a retention that comes between batches
CREATE TABLE kept (id integer PRIMARY KEY);
SELECT soft_delete.tag('kept'), soft_delete.retain('kept', '0');
INSERT INTO kept SELECT generate_series(1, 100);
DELETE FROM kept;
SELECT * FROM batch('kept', 10, true);
SELECT soft_delete.retain('kept', NULL);
SELECT * FROM batch('kept', 10, false);
SELECT soft_delete_internal.remove_empty_deletions('-infinity', 'infinity', 100000);
SELECT count(*), count(deleted_by) FROM kept_deleted;

-- the end of a file that is gone when its rows are due, in either storage
CREATE TABLE in_place (id integer PRIMARY KEY, pad text);
CREATE TABLE aside (id integer PRIMARY KEY, pad text);
CREATE TABLE in_place_child (id integer REFERENCES in_place);
CREATE TABLE aside_child (id integer REFERENCES aside);
SELECT soft_delete.tag('in_place'), soft_delete.retain('in_place', '0');
SELECT soft_delete.tag('aside', storage => 'aside'), soft_delete.retain('aside', '0');
INSERT INTO in_place SELECT g, repeat('x', 500) FROM generate_series(1, 500) AS g;
INSERT INTO aside SELECT * FROM in_place_active;
DELETE FROM in_place;
DELETE FROM aside;
SELECT * FROM batch('in_place', 1, true);
DELETE FROM in_place_deleted WHERE id > 10;
VACUUM in_place;
SELECT * FROM batch('in_place', 500, false);
SELECT * FROM batch('aside', 1, true);
DELETE FROM aside_deleted WHERE id > 10;
VACUUM aside_tombstones;
SELECT * FROM batch('aside', 500, false);
SELECT (SELECT count(*) FROM in_place_deleted) AS in_place, (SELECT count(*) FROM aside_deleted) AS aside;

\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA purge_resumes CASCADE;
