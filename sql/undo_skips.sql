-- undo(…, skip_conflicts => true) restores what can come back, and leaves the rest, with what
-- is below it, in the bin, where preview() has the reasons
\set SHOW_CONTEXT never
CREATE ROLE regress_skips;
CREATE SCHEMA skips AUTHORIZATION regress_skips;
SET ROLE regress_skips;
SET search_path = skips;
CREATE FUNCTION make(storage text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TABLE account (id integer PRIMARY KEY, email text UNIQUE);
	CREATE TABLE post (id integer PRIMARY KEY, account_id integer REFERENCES account ON DELETE CASCADE, slug text UNIQUE);
	CREATE TABLE comment (id integer, n integer, post_id integer REFERENCES post ON DELETE CASCADE, PRIMARY KEY (id, n));
	PERFORM soft_delete.tag('account', cascade => true, storage => make.storage);
	INSERT INTO account SELECT g, 'e' || g FROM generate_series(1, 5) g;
	INSERT INTO post SELECT g, g, 's' || g FROM generate_series(1, 5) g;
	INSERT INTO comment SELECT g, 1, g FROM generate_series(1, 5) g;
END
$$;
CREATE FUNCTION live() RETURNS TABLE (accounts text, posts text, comments text) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM account), (SELECT string_agg(id::text, ' ' ORDER BY id) FROM post),
		(SELECT string_agg(id::text, ' ' ORDER BY id) FROM comment);
END
$$;
-- account 2 has been registered again, and so has the slug of post 3
CREATE FUNCTION conflict() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM account;
	INSERT INTO account VALUES (12, 'e2');
	INSERT INTO post VALUES (13, 12, 's3');
END
$$;
SET client_min_messages = warning;
SELECT make('in_place');
RESET client_min_messages;
SELECT conflict();
SELECT max(deleted_at) AS stamp FROM account_deleted \gset
SELECT * FROM soft_delete.preview(:'stamp') WHERE outcome <> 'comes back' ORDER BY relation, "row";
SELECT soft_delete.undo(:'stamp');
SELECT * FROM live();
\set VERBOSITY terse
SELECT soft_delete.undo(:'stamp', skip_conflicts => true);
\set VERBOSITY default
SELECT * FROM live();
SELECT relation, "row", outcome, detail FROM soft_delete.preview(:'stamp') ORDER BY relation, "row";
-- the key of a row can be joined with
SELECT comment.id, n, post_id FROM soft_delete.preview(:'stamp') AS p JOIN comment_deleted AS comment
	ON p.relation = 'comment'::regclass AND p.key @> jsonb_build_object('id', comment.id, 'n', comment.n) ORDER BY id;
-- nothing is skipped afterwards
DELETE FROM account WHERE id = 12;
SELECT max(deleted_at) AS again FROM account_deleted \gset
SELECT soft_delete.undo(:'stamp', skip_conflicts => true);
SELECT * FROM live();
SELECT soft_delete.undo(:'stamp');
-- also after an error
SELECT soft_delete.undo(:'again', skip_conflicts => false);
\set VERBOSITY terse
SELECT soft_delete.undo(:'again', skip_conflicts => true);
\set VERBOSITY default
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER fails AFTER INSERT ON account FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION fail();
DELETE FROM account;
SELECT max(deleted_at) AS stamp FROM account_deleted \gset
INSERT INTO account VALUES (12, 'e2');
DO $$
BEGIN
	PERFORM soft_delete.undo(max(deleted_at), skip_conflicts => true) FROM account_deleted;
EXCEPTION WHEN raise_exception THEN
	DROP TRIGGER fails ON account;
	DELETE FROM account WHERE id = 12;
	UPDATE account_deleted SET deleted_at = NULL WHERE id = 2;
	RAISE NOTICE '% account', (SELECT count(*) FROM account WHERE id = 2);
END
$$;
SET client_min_messages = warning;
DROP TABLE account, post, comment CASCADE;

-- where deleted rows are aside
SELECT make('aside');
RESET client_min_messages;
SELECT conflict();
SELECT max(deleted_at) AS stamp FROM account_deleted \gset
\set VERBOSITY terse
SELECT soft_delete.undo(:'stamp', skip_conflicts => true);
\set VERBOSITY default
SELECT * FROM live();
SELECT relation, "row", outcome, key FROM soft_delete.preview(:'stamp') ORDER BY relation, "row";

-- an unknown stamp is an error, one that has nothing any more is not
SELECT soft_delete.undo('2001-01-01 00:00:00+00');
DELETE FROM comment WHERE id = 1;
SELECT max(deleted_at) AS stamp FROM comment_deleted \gset
SELECT soft_delete.undo(:'stamp');
SELECT soft_delete.undo(:'stamp');
-- what comes back by a cascade counts, whose bin the caller may read or not
RESET ROLE;
CREATE ROLE regress_skips_support;
SET ROLE regress_skips;
GRANT USAGE ON SCHEMA skips TO regress_skips_support;
GRANT SELECT, UPDATE (deleted_at) ON account_deleted TO regress_skips_support;
DELETE FROM account WHERE id = 1;
SELECT max(deleted_at) AS stamp FROM account_deleted \gset
SET ROLE regress_skips_support;
SELECT soft_delete.undo(:'stamp');
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA skips CASCADE;
DROP ROLE regress_skips, regress_skips_support;
