-- with_parents brings deleted parents back with a child, with what went with them
\set SHOW_CONTEXT never
CREATE ROLE regress_parents;
CREATE ROLE regress_parents_support;
CREATE SCHEMA parents AUTHORIZATION regress_parents;
SET ROLE regress_parents;
SET search_path = parents;
GRANT USAGE ON SCHEMA parents TO regress_parents_support;
CREATE FUNCTION make(storage text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TABLE thread (id integer PRIMARY KEY);
	CREATE TABLE comment (id integer PRIMARY KEY, thread_id integer REFERENCES thread ON DELETE CASCADE, reply_to integer REFERENCES comment ON DELETE CASCADE);
	CREATE TABLE mark (id integer PRIMARY KEY, comment_id integer REFERENCES comment ON DELETE RESTRICT DEFERRABLE, thread_id integer REFERENCES thread ON DELETE SET NULL);
	PERFORM soft_delete.tag('mark', storage => make.storage);
	PERFORM soft_delete.tag('thread', cascade => true, storage => make.storage);
	INSERT INTO thread VALUES (1), (2);
	INSERT INTO comment VALUES (1, 1, NULL), (2, 1, 1), (3, 2, NULL), (4, 1, NULL);
	INSERT INTO mark VALUES (1, 2, 1), (2, 3, 2);
	GRANT SELECT, UPDATE (deleted_at) ON mark_deleted, thread_deleted TO regress_parents_support;
	GRANT SELECT ON comment_deleted TO regress_parents_support;
END
$$;
CREATE FUNCTION live() RETURNS TABLE (threads text, comments text, marks text) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM thread), (SELECT string_agg(id::text, ' ' ORDER BY id) FROM comment),
		(SELECT string_agg(id::text, ' ' ORDER BY id) FROM mark);
END
$$;

-- in place
SET client_min_messages = error;
SELECT make('in_place');
RESET client_min_messages;
DELETE FROM mark WHERE id = 1;
DELETE FROM comment WHERE id = 1;
DELETE FROM thread WHERE id = 1;
SELECT min(deleted_at) AS stamp FROM mark_deleted \gset
SELECT soft_delete.undo(:'stamp');
-- what is held stays, and so does its child
UPDATE thread_deleted SET hold = 'case';
\set VERBOSITY terse
SELECT soft_delete.undo(:'stamp', with_parents => true);
\set VERBOSITY default
SELECT soft_delete.lift('case');
-- only who may restore a parent by its bin does so by a child
SET ROLE regress_parents_support;
SELECT soft_delete.undo(:'stamp', with_parents => true);
SET soft_delete.with_parents = on;
UPDATE mark_deleted SET deleted_at = NULL;
RESET soft_delete.with_parents;
SET ROLE regress_parents;
SELECT * FROM live();
SELECT soft_delete.undo(:'stamp', skip_conflicts => true, with_parents => true);
BEGIN;
SELECT soft_delete.undo(:'stamp', with_parents => true);
SELECT * FROM live();
SHOW soft_delete.with_parents;
ROLLBACK;
GRANT UPDATE (deleted_at) ON comment_deleted TO regress_parents_support;
SET ROLE regress_parents_support;
SET soft_delete.with_parents = on;
UPDATE mark_deleted SET deleted_at = NULL;
RESET soft_delete.with_parents;
SET ROLE regress_parents;
SELECT * FROM live();
SELECT count(*) FROM thread_deleted UNION ALL SELECT count(*) FROM comment_deleted UNION ALL SELECT count(*) FROM mark_deleted;
DROP TABLE thread, comment, mark;

-- aside
SET client_min_messages = error;
SELECT make('aside');
RESET client_min_messages;
DELETE FROM mark WHERE id = 1;
DELETE FROM comment WHERE id = 1;
DELETE FROM thread WHERE id = 1;
SELECT min(deleted_at) AS stamp FROM mark_deleted \gset
SELECT soft_delete.undo(:'stamp');
-- what is held stays, and so does its child
UPDATE thread_deleted SET hold = 'case';
\set VERBOSITY terse
SELECT soft_delete.undo(:'stamp', with_parents => true);
\set VERBOSITY default
SELECT soft_delete.lift('case');
-- only who may restore a parent by its bin does so by a child
SET ROLE regress_parents_support;
SELECT soft_delete.undo(:'stamp', with_parents => true);
SET soft_delete.with_parents = on;
UPDATE mark_deleted SET deleted_at = NULL;
RESET soft_delete.with_parents;
SET ROLE regress_parents;
SELECT * FROM live();
SELECT soft_delete.undo(:'stamp', skip_conflicts => true, with_parents => true);
BEGIN;
SELECT soft_delete.undo(:'stamp', with_parents => true);
SELECT * FROM live();
SHOW soft_delete.with_parents;
ROLLBACK;
GRANT UPDATE (deleted_at) ON comment_deleted TO regress_parents_support;
SET ROLE regress_parents_support;
SET soft_delete.with_parents = on;
UPDATE mark_deleted SET deleted_at = NULL;
RESET soft_delete.with_parents;
SET ROLE regress_parents;
SELECT * FROM live();
SELECT count(*) FROM thread_deleted UNION ALL SELECT count(*) FROM comment_deleted UNION ALL SELECT count(*) FROM mark_deleted;
DROP TABLE thread, comment, mark;

-- of several deleted rows with the key, the one that was deleted first after the child
CREATE TABLE p (id integer PRIMARY KEY, v text);
CREATE TABLE c (id integer PRIMARY KEY, p_id integer REFERENCES p);
SELECT soft_delete.tag('p'), soft_delete.tag('c', storage => 'aside');
INSERT INTO p VALUES (1, 'before');
DELETE FROM p;
INSERT INTO p VALUES (1, 'parent');
INSERT INTO c VALUES (1, 1);
DELETE FROM c;
DELETE FROM p;
INSERT INTO p VALUES (1, 'after');
DELETE FROM p;
SET soft_delete.with_parents = on;
UPDATE c_deleted SET deleted_at = NULL;
SELECT v FROM p;
-- a live parent is left alone
DELETE FROM c;
UPDATE c_deleted SET deleted_at = NULL;
SELECT v FROM p_deleted ORDER BY v;
-- a parent that is restored by the same statement, and one that is gone
DELETE FROM c;
DELETE FROM p;
WITH p AS (UPDATE p_deleted SET deleted_at = NULL WHERE v = 'before') UPDATE c_deleted SET deleted_at = NULL;
SELECT v FROM p;
DELETE FROM c;
DELETE FROM p;
DELETE FROM p_deleted;
UPDATE c_deleted SET deleted_at = NULL;
RESET soft_delete.with_parents;
RESET ROLE;
DROP SCHEMA parents CASCADE;
DROP ROLE regress_parents, regress_parents_support;
