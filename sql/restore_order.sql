-- a restore is its deletion backwards: children come back, and their triggers fire, while
-- the parent is still deleted, so counters end where they began
CREATE ROLE regress_order;
CREATE SCHEMA "order" AUTHORIZATION regress_order;
SET ROLE regress_order;
SET search_path = "order";
CREATE TABLE log (n serial, what text);
CREATE FUNCTION count_children() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('UPDATE %I SET n = n + $1 WHERE id = $2', TG_ARGV[0])
		USING CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END, CASE TG_OP WHEN 'INSERT' THEN NEW.up ELSE OLD.up END;
	RETURN NULL;
END
$$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log (what) VALUES (concat_ws(' ', TG_TABLE_NAME, lower(TG_OP), TG_LEVEL, CASE TG_LEVEL WHEN 'ROW' THEN coalesce(NEW.id, OLD.id) END));
	RETURN NULL;
END
$$;
CREATE FUNCTION told() RETURNS SETOF text LANGUAGE sql AS $$
	WITH d AS (DELETE FROM log RETURNING n, what) SELECT what FROM d ORDER BY n
$$;

CREATE TABLE a (id integer PRIMARY KEY, n integer DEFAULT 0);
CREATE TABLE b (id integer PRIMARY KEY, n integer DEFAULT 0, up integer REFERENCES a ON DELETE CASCADE);
CREATE TABLE c (id integer PRIMARY KEY, n integer DEFAULT 0, up integer REFERENCES b ON DELETE CASCADE);
CREATE TABLE tree (id integer PRIMARY KEY, n integer DEFAULT 0, up integer REFERENCES tree ON DELETE CASCADE);
CREATE TRIGGER counts AFTER INSERT OR DELETE ON b FOR EACH ROW EXECUTE FUNCTION count_children('a');
CREATE TRIGGER counts AFTER INSERT OR DELETE ON c FOR EACH ROW EXECUTE FUNCTION count_children('b');
CREATE TRIGGER counts AFTER INSERT OR DELETE ON tree FOR EACH ROW EXECUTE FUNCTION count_children('tree');
SELECT soft_delete.tag('a', cascade => true);
SELECT soft_delete.tag('tree');
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$
	INSERT INTO a VALUES (1), (2);
	INSERT INTO b SELECT g, 0, (g + 2) / 3 FROM generate_series(1, 6) g;
	INSERT INTO c SELECT g, 0, (g + 1) / 2 FROM generate_series(1, 12) g;
	INSERT INTO tree SELECT g, 0, nullif(g / 2, 0) FROM generate_series(1, 7) g;
$$;
SELECT fill();
CREATE VIEW counters AS
	SELECT (SELECT string_agg(n::text, ' ' ORDER BY id) FROM a) AS a, (SELECT string_agg(n::text, ' ' ORDER BY id) FROM b) AS b,
		(SELECT string_agg(n::text, ' ' ORDER BY id) FROM tree) AS tree, (SELECT count(*) FROM c) AS c;
TABLE counters;

-- through the bin, by undo(), and whole deletions at once
DELETE FROM a WHERE id = 1;
UPDATE a_deleted SET deleted_at = NULL;
TABLE counters;
DELETE FROM a;
SELECT soft_delete.undo(max(deleted_at)) FROM a_deleted;
TABLE counters;
DELETE FROM tree WHERE id = 2;
UPDATE tree_deleted SET deleted_at = NULL WHERE id = 2;
TABLE counters;
DELETE FROM tree;
SELECT soft_delete.undo(max(deleted_at)) FROM tree_deleted;
TABLE counters;
-- the last deletion comes back first: each row of b was counted out before a went
BEGIN;
DELETE FROM c WHERE id = 1;
DELETE FROM b WHERE id = 1;
DELETE FROM b WHERE id = 2;
DELETE FROM a WHERE id = 1;
SELECT soft_delete.undo_transaction(pg_current_xact_id());
COMMIT;
TABLE counters;
-- a child that the deletion reaches by two ways counts as often as before
CREATE TABLE author (id integer PRIMARY KEY);
CREATE TABLE post (id integer PRIMARY KEY, n integer DEFAULT 0, author integer);
CREATE TABLE comment (id integer PRIMARY KEY, author integer REFERENCES author ON DELETE CASCADE, up integer REFERENCES post ON DELETE CASCADE);
ALTER TABLE post ADD FOREIGN KEY (author) REFERENCES author ON DELETE CASCADE;
CREATE TRIGGER counts AFTER INSERT OR DELETE ON comment FOR EACH ROW EXECUTE FUNCTION count_children('post');
SELECT soft_delete.tag('author', cascade => true);
INSERT INTO author VALUES (1), (2);
INSERT INTO post VALUES (1, 0, 1), (2, 0, 2);
INSERT INTO comment VALUES (1, 1, 1), (2, 2, 1), (3, 1, 2), (4, 2, 2);
DELETE FROM author WHERE id = 1;
SELECT id, n FROM post_deleted UNION ALL SELECT id, n FROM post ORDER BY id;
UPDATE author_deleted SET deleted_at = NULL;
SELECT id, n FROM post ORDER BY id;

-- triggers fire as in the deletion: in batches, each a statement of its own
CREATE TRIGGER notes AFTER INSERT OR DELETE ON a FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER notes AFTER INSERT OR DELETE ON b FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER notes_all AFTER INSERT OR DELETE ON b FOR EACH STATEMENT EXECUTE FUNCTION note();
DELETE FROM a WHERE id = 2;
SELECT told();
UPDATE a_deleted SET deleted_at = NULL;
SELECT told();
-- a constraint trigger sees the whole
CREATE FUNCTION must_have_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM a WHERE id = NEW.up;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'b without a';
	END IF;
	RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER must_have_parent AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION must_have_parent();
DELETE FROM a WHERE id = 2;
UPDATE a_deleted SET deleted_at = NULL;
TABLE counters;
DROP TRIGGER must_have_parent ON b;
-- a trigger that cannot do without the parent has it
CREATE TRIGGER must_have_parent AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION must_have_parent();
DELETE FROM a WHERE id = 2;
UPDATE a_deleted SET deleted_at = NULL;
SELECT count(*) FROM b;
DROP TRIGGER must_have_parent ON b;
SELECT n FROM a ORDER BY id;
UPDATE a SET n = 3;
-- one that restores the parent itself
CREATE FUNCTION restore_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE a_deleted SET deleted_at = NULL WHERE id = NEW.up;
	RETURN NULL;
END
$$;
CREATE TRIGGER restores AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION restore_parent();
DELETE FROM a WHERE id = 2;
UPDATE a_deleted SET deleted_at = NULL;
SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b, (SELECT count(*) FROM a_deleted) AS gone;
DROP TRIGGER restores ON b;
-- and one that deletes what has come back, with which its children go
CREATE FUNCTION delete_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM a WHERE id = NEW.id;
	RETURN NULL;
END
$$;
CREATE TRIGGER deletes AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION delete_again();
DELETE FROM a WHERE id = 2;
UPDATE a_deleted SET deleted_at = NULL;
SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b WHERE up = 2) AS b, (SELECT count(*) FROM a_deleted) AS gone;
DROP TRIGGER deletes ON a;
UPDATE a_deleted SET deleted_at = NULL;
-- foreign keys are checked: the parent of c 7 is gone
DELETE FROM a WHERE id = 2;
UPDATE c_deleted SET deleted_at = NULL WHERE id = 7;
UPDATE a_deleted SET deleted_at = NULL;

-- a trigger can know of a restore
CREATE FUNCTION is_restoring() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% %: restoring is %', TG_TABLE_NAME, NEW.id, current_setting('soft_delete.restoring');
	RETURN NULL;
END
$$;
CREATE TRIGGER tells AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION is_restoring();
CREATE TRIGGER tells AFTER INSERT ON b FOR EACH ROW WHEN (NEW.id = 4) EXECUTE FUNCTION is_restoring();
CREATE TRIGGER silent AFTER INSERT ON a FOR EACH ROW
	WHEN (current_setting('soft_delete.restoring', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION is_restoring();
DELETE FROM a WHERE id = 2;
UPDATE a_deleted SET deleted_at = NULL;
INSERT INTO a VALUES (3);
SHOW soft_delete.restoring;
SET soft_delete.restoring = on;
-- also after an error
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'unique_violation'; END $$;
CREATE TRIGGER fails AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION fail();
DELETE FROM a WHERE id = 2;
DO $$
BEGIN
	UPDATE a_deleted SET deleted_at = NULL;
EXCEPTION WHEN OTHERS THEN
	RAISE NOTICE '%: restoring is %', SQLERRM, current_setting('soft_delete.restoring');
END
$$;
DROP TRIGGER fails ON b;
DROP TRIGGER tells ON a;
DROP TRIGGER tells ON b;
DROP TRIGGER silent ON a;
UPDATE a_deleted SET deleted_at = NULL;
DELETE FROM a WHERE id = 3;
DELETE FROM a_deleted;

-- TRUNCATE fires no row triggers, and its restore neither
TRUNCATE log;
TABLE counters;
TRUNCATE b CASCADE;
SELECT told();
SELECT soft_delete.undo(max(deleted_at)) FROM b_deleted;
SELECT told();
TABLE counters;
-- but foreign keys are checked
TRUNCATE b CASCADE;
DELETE FROM a WHERE id = 2;
UPDATE b_deleted SET deleted_at = NULL;
UPDATE a_deleted SET deleted_at = NULL;
UPDATE b_deleted SET deleted_at = NULL;
TABLE counters;

-- where deleted rows are aside
SELECT soft_delete.untag('a', cascade => true);
SELECT soft_delete.untag('tree');
SET client_min_messages = warning;
TRUNCATE a, b, c, tree, log;
ALTER TABLE a DROP COLUMN deleted_at;
ALTER TABLE b DROP COLUMN deleted_at;
ALTER TABLE c DROP COLUMN deleted_at;
ALTER TABLE tree DROP COLUMN deleted_at;
RESET client_min_messages;
SELECT soft_delete.tag('a', cascade => true, storage => 'aside');
SELECT soft_delete.tag('tree', storage => 'aside');
SELECT fill();
TABLE counters;
DELETE FROM a WHERE id = 1;
UPDATE a_deleted SET deleted_at = NULL;
DELETE FROM a;
SELECT soft_delete.undo(max(deleted_at)) FROM a_deleted;
DELETE FROM tree;
SELECT soft_delete.undo(max(deleted_at)) FROM tree_deleted;
TABLE counters;
TRUNCATE b CASCADE;
SELECT soft_delete.undo(max(deleted_at)) FROM b_deleted;
TABLE counters;

-- partitions, whose triggers are cloned
SELECT soft_delete.untag('tree');
CREATE TABLE part (id integer, n integer DEFAULT 0, up integer REFERENCES tree ON DELETE CASCADE) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1, 2);
CREATE TABLE part_2 PARTITION OF part DEFAULT;
CREATE TRIGGER counts AFTER INSERT OR DELETE ON part FOR EACH ROW EXECUTE FUNCTION count_children('tree');
SELECT soft_delete.tag('tree', cascade => true);
INSERT INTO part SELECT g, 0, 1 FROM generate_series(1, 4) g;
SELECT n FROM tree WHERE id = 1;
DELETE FROM tree WHERE id = 1;
UPDATE tree_deleted SET deleted_at = NULL WHERE id = 1;
SELECT n, (SELECT count(*) FROM part) FROM tree WHERE id = 1;
TRUNCATE part_1;
UPDATE part_deleted SET deleted_at = NULL;
SELECT n, (SELECT count(*) FROM part) FROM tree WHERE id = 1;
-- the record goes with the deletion
TRUNCATE c;
SELECT max(deleted_at) AS stamp FROM c_deleted \gset
RESET ROLE;
SELECT relation FROM soft_delete_internal.truncations WHERE deleted_at = :'stamp';
CALL soft_delete.purge('c', older_than => '0');
SELECT relation FROM soft_delete_internal.truncations WHERE deleted_at = :'stamp';
SET client_min_messages = warning;
DROP SCHEMA "order" CASCADE;
DROP ROLE regress_order;
