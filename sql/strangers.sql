-- What other roles have neither hinders an ordinary role nor runs as anybody else.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_alice;
CREATE ROLE regress_eve;
CREATE SCHEMA locked;
CREATE TABLE locked.docs (id integer PRIMARY KEY);
SELECT soft_delete.tag('locked.docs');
INSERT INTO locked.docs SELECT generate_series(1, 3);
DELETE FROM locked.docs WHERE id < 3;
UPDATE locked.docs_deleted SET hold = 'why' WHERE id = 1;
UPDATE locked.docs_deleted SET hold = NULL;
SELECT soft_delete.erase('locked.docs', '2');
CALL soft_delete.purge('locked.docs', older_than => '0');

-- the logs speak of a schema that Alice may not use
CREATE SCHEMA alice AUTHORIZATION regress_alice;
SET ROLE regress_alice;
CREATE TABLE alice.docs (id integer PRIMARY KEY);
SELECT soft_delete.tag('alice.docs');
INSERT INTO alice.docs SELECT generate_series(1, 3);
DELETE FROM alice.docs WHERE id = 1;
CALL soft_delete.purge(older_than => '0');
DELETE FROM alice.docs WHERE id = 2;
UPDATE alice.docs_deleted SET hold = 'why';
UPDATE alice.docs_deleted SET hold = NULL;
SELECT soft_delete.erase('alice.docs', '3');
SELECT soft_delete.erase('alice.docs', '2');
SELECT relation, rows FROM soft_delete.purge_log;
SELECT relation, key FROM soft_delete.lifted_holds;
SELECT relation, rows FROM soft_delete.erasures;
SELECT * FROM soft_delete.check();
RESET ROLE;

-- to plan a query calls functions of indexes: of Eve, who must not get at more rights
CREATE SCHEMA eve AUTHORIZATION regress_eve;
CREATE TABLE public.loot (who text);
GRANT ALL ON public.loot TO regress_eve;
SET ROLE regress_eve;
CREATE FUNCTION eve.note() RETURNS integer LANGUAGE sql VOLATILE AS 'INSERT INTO public.loot VALUES (current_user) RETURNING 1';
CREATE FUNCTION eve.one(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN eve.note(); END';
CREATE TABLE eve.docs (id integer PRIMARY KEY);
SELECT soft_delete.tag('eve.docs');
INSERT INTO eve.docs VALUES (1), (2);
DELETE FROM eve.docs;
UPDATE eve.docs_deleted SET hold = 'why' WHERE id = 1;
CREATE INDEX ON eve.docs ((eve.one(1)));
SELECT soft_delete_internal.check_held_keys('{eve.docs}');
ALTER TABLE eve.docs ALTER id TYPE bigint;
RESET ROLE;
\c -
SET client_min_messages = warning;
SELECT relation, deleted_rows FROM soft_delete.tables WHERE relation = 'eve.docs'::regclass;
\c -
SET client_min_messages = warning;
CALL soft_delete.purge('eve.docs', older_than => '0');
\c -
SET client_min_messages = warning;
SELECT problem FROM soft_delete.check() WHERE relation = 'eve.docs'::regclass;
SELECT DISTINCT who FROM public.loot;
-- predicates are looked at, too
SET ROLE regress_eve;
DROP INDEX eve.docs_one_idx;
CREATE INDEX docs_one_idx ON eve.docs (id) WHERE eve.one(1) = 1;
RESET ROLE;
\c -
SET client_min_messages = warning;
SELECT problem FROM soft_delete.check() WHERE relation = 'eve.docs'::regclass;
SELECT DISTINCT who FROM public.loot;

-- a key that Alice changes is followed by deleted rows of Eve's with Eve's rights
TRUNCATE public.loot;
SET ROLE regress_alice;
CREATE TABLE alice.parent (id integer PRIMARY KEY);
GRANT USAGE ON SCHEMA alice TO regress_eve;
GRANT SELECT, REFERENCES ON alice.parent TO regress_eve;
INSERT INTO alice.parent VALUES (1), (2);
RESET ROLE;
GRANT ALL ON public.loot TO regress_alice;
GRANT USAGE ON SCHEMA eve TO regress_alice;
SET ROLE regress_eve;
CREATE TABLE eve.child (id integer PRIMARY KEY, parent_id integer DEFAULT eve.one(2) REFERENCES alice.parent ON UPDATE CASCADE,
	other integer DEFAULT eve.one(2) REFERENCES alice.parent ON UPDATE SET DEFAULT, CHECK (eve.one(parent_id) = 1));
SELECT soft_delete.tag('eve.child');
INSERT INTO eve.child VALUES (1, 1, 1);
DELETE FROM eve.child;
RESET ROLE;
TRUNCATE public.loot;
SET ROLE regress_alice;
UPDATE alice.parent SET id = 3 WHERE id = 1;
RESET ROLE;
SELECT DISTINCT who FROM public.loot;
SELECT parent_id, other FROM eve.child_deleted;
DROP TABLE eve.child;

-- nor by a bin that Eve has written anew: she reads it, whoever asks
SET ROLE regress_eve;
DROP INDEX eve.docs_one_idx;
DO $$
BEGIN
	EXECUTE format('CREATE OR REPLACE VIEW eve.docs_deleted AS SELECT * FROM (%s) AS bin WHERE eve.note() > 0', rtrim(pg_get_viewdef('eve.docs_deleted'), ';'));
END
$$;
GRANT USAGE ON SCHEMA eve TO PUBLIC;
GRANT SELECT ON eve.docs_deleted TO PUBLIC;
SELECT deleted_at FROM eve.docs_deleted \gset
RESET ROLE;
SELECT soft_delete.hold('eve.docs', 'why');
DELETE FROM public.loot;
SELECT soft_delete.undo(:'deleted_at');
SELECT count(*) FROM soft_delete.timeline();
SELECT relation FROM soft_delete.preview(:'deleted_at');
SELECT relation FROM soft_delete.deletion_rows(:'deleted_at');
SELECT DISTINCT who FROM public.loot;
SELECT problem FROM soft_delete.check() WHERE relation = 'eve.docs'::regclass;
SELECT relation FROM soft_delete.preview(:'deleted_at');

-- nor by another view that it reads
SET ROLE regress_eve;
CREATE VIEW eve.other AS SELECT eve.note() AS one;
DO $$
BEGIN
	EXECUTE format('CREATE OR REPLACE VIEW eve.docs_deleted AS SELECT * FROM (%s) AS bin WHERE (SELECT one FROM eve.other) > 0', rtrim(pg_get_viewdef('eve.docs_deleted'), ';'));
END
$$;
RESET ROLE;
DELETE FROM public.loot;
SELECT soft_delete.undo(:'deleted_at');
SELECT DISTINCT who FROM public.loot;

-- nor is anybody kept from his work by a table that not even its owner may read
SET ROLE regress_eve;
REVOKE ALL ON eve.docs FROM regress_eve;
RESET ROLE;
SELECT relation, deleted_rows FROM soft_delete.tables WHERE relation = 'eve.docs'::regclass;
CREATE TYPE public.kind AS (a integer);
ALTER TYPE public.kind ADD ATTRIBUTE b integer;
DROP TYPE public.kind;
SET ROLE regress_eve;
GRANT ALL ON eve.docs TO regress_eve;
RESET ROLE;

-- and nobody becomes who he is not
SET ROLE regress_alice;
SELECT * FROM soft_delete_internal.query_as_owner('eve.docs', 'SELECT 1') AS q(n integer);
RESET ROLE;

SELECT soft_delete.hold('eve.docs', NULL);
UPDATE eve.docs_deleted SET hold = NULL;
DROP SCHEMA locked, alice, eve CASCADE;
DROP TABLE public.loot;
TRUNCATE soft_delete_internal.erasures, soft_delete_internal.lifted_holds;
DROP ROLE regress_alice, regress_eve;
