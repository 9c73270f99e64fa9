-- UPDATE bin SET deleted_at = NULL brings rows back as they were
--
-- A restore makes up for the DELETE: AFTER INSERT triggers fire, with their transition table.
CREATE ROLE regress_bin_restores;
CREATE SCHEMA bin_restores AUTHORIZATION regress_bin_restores;
SET ROLE regress_bin_restores;
SET search_path = bin_restores;
\set QUIET off
\set SHOW_CONTEXT never

-- no key at all: equal rows are different rows
CREATE TABLE t (v text, n integer);
INSERT INTO t VALUES ('same', 1), ('same', 1), ('same', 1), ('other', 2);
SELECT soft_delete.tag('t');
DELETE FROM t;
UPDATE t_deleted SET deleted_at = NULL WHERE stored_place = (SELECT min(stored_place) FROM t_deleted WHERE v = 'same');
SELECT v, n FROM t;
SELECT v, n FROM t_deleted ORDER BY v;
UPDATE t_deleted SET deleted_at = NULL WHERE v = 'same' RETURNING v, n, deleted_at;
UPDATE t_deleted SET deleted_at = NULL WHERE v = 'same';
UPDATE t_deleted SET deleted_at = NULL FROM (VALUES (2), (2)) AS d (n) WHERE t_deleted.n = d.n;
SELECT v, n FROM t ORDER BY v;

-- the native unique violation, and nothing changes
CREATE TABLE u (id integer PRIMARY KEY, email text UNIQUE, room int4range, EXCLUDE USING gist (room WITH &&));
INSERT INTO u VALUES (1, 'a', '[1,5)'), (2, 'b', '[5,9)'), (3, 'c', '[10,11)');
SELECT soft_delete.tag('u');
DELETE FROM u;
INSERT INTO u VALUES (11, 'b', '[20,21)'), (12, 'd', '[10,12)');
UPDATE u_deleted SET deleted_at = NULL;
UPDATE u_deleted SET deleted_at = NULL WHERE id = 3;
SELECT id FROM u ORDER BY id;
SELECT id FROM u_deleted ORDER BY id;
UPDATE u_deleted SET deleted_at = NULL WHERE id = 1;
SELECT * FROM u WHERE email = 'a';
INSERT INTO u VALUES (13, 'a') ON CONFLICT (email) DO NOTHING;
DELETE FROM u WHERE id = 11;
UPDATE u_deleted SET deleted_at = NULL WHERE id = 2;
SELECT id FROM u ORDER BY id;

-- two rows of one key in one statement
DELETE FROM u;
UPDATE u_deleted SET deleted_at = NULL WHERE email = 'b';
SELECT count(*) FROM u;

-- a deferrable constraint is checked when it says
CREATE TABLE d (id integer PRIMARY KEY, n integer UNIQUE DEFERRABLE INITIALLY DEFERRED, deleted_at timestamptz);
INSERT INTO d VALUES (1, 1), (2, 2);
SELECT soft_delete.tag('d');
DELETE FROM d;
UPDATE d_deleted SET deleted_at = NULL WHERE id = 1;
SELECT id, n FROM d;

-- to the rest of the database a restore is an INSERT: AFTER triggers fire, BEFORE triggers do not
CREATE TABLE parent (id integer PRIMARY KEY, children integer NOT NULL DEFAULT 0);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent, touched integer DEFAULT 0);
CREATE FUNCTION count_children() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE parent SET children = children + CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END
	WHERE id = CASE TG_OP WHEN 'INSERT' THEN NEW.parent_id ELSE OLD.parent_id END;
	RETURN NULL;
END
$$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := NEW.touched + 1; RETURN NEW; END';
CREATE FUNCTION tell_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'new: %', (SELECT string_agg(id::text, ',' ORDER BY id) FROM fresh);
	RETURN NULL;
END
$$;
CREATE TRIGGER count_children AFTER INSERT OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION count_children();
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON child FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER tell_new AFTER INSERT ON child REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION tell_new();
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1, 1), (2, 1), (3, 2);
SELECT soft_delete.tag('child');
SELECT soft_delete.tag('parent');
DELETE FROM child;
SELECT id, children FROM parent ORDER BY id;
UPDATE child_deleted SET deleted_at = NULL WHERE id IN (1, 2);
SELECT id, children FROM parent ORDER BY id;
SELECT id, touched FROM child ORDER BY id;

-- a child does not come back without its parent
DELETE FROM parent WHERE id = 2;
UPDATE child_deleted SET deleted_at = NULL WHERE id = 3;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 2;
UPDATE child_deleted SET deleted_at = NULL WHERE id = 3;
SELECT id, children FROM parent ORDER BY id;

-- rows that reference each other come back in one statement
CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree);
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2);
SELECT soft_delete.tag('tree');
DELETE FROM tree WHERE id = 1;
DELETE FROM tree;
UPDATE tree_deleted SET deleted_at = NULL WHERE id = 3;
UPDATE tree_deleted SET deleted_at = NULL;
SELECT id, up FROM tree ORDER BY id;

-- statement triggers of a partitioned table are those of its root
CREATE TABLE p (id integer, k integer) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 (k integer, id integer);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
CREATE TRIGGER tell_new AFTER INSERT ON p REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION tell_new();
SELECT soft_delete.tag('p');
INSERT INTO p VALUES (1, 1), (2, 2);
DELETE FROM p;
UPDATE p_deleted SET deleted_at = NULL;

-- where only a summarizing index, which updates need not leave a page for, knows the tombstone
CREATE TABLE brin (id integer PRIMARY KEY, deleted_at timestamptz);
CREATE INDEX ON brin USING brin (deleted_at);
SELECT soft_delete.tag('brin');
INSERT INTO brin VALUES (1), (2);
DELETE FROM brin;
UPDATE brin_deleted SET deleted_at = NULL;
SELECT id FROM brin ORDER BY id;
-- nor leads the primary key to the rows that take their place
UPDATE brin SET id = id + 100;
VACUUM (INDEX_CLEANUP off) brin;
INSERT INTO brin SELECT generate_series(3, 10);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT id FROM brin WHERE id < 3;
RESET enable_seqscan;
RESET enable_bitmapscan;
DELETE FROM brin WHERE id > 4;

-- a function that the statement calls has been there before
CREATE FUNCTION restores(integer) RETURNS boolean LANGUAGE plpgsql AS
	'BEGIN UPDATE bin_restores.brin_deleted SET deleted_at = NULL WHERE id = $1; RETURN found; END';
DELETE FROM brin;
UPDATE brin_deleted SET deleted_at = NULL WHERE restores(id);
SELECT id FROM brin ORDER BY id;
DELETE FROM brin;
DELETE FROM brin_deleted WHERE restores(id);
SELECT id FROM brin ORDER BY id;

-- in a subtransaction, rolled back
BEGIN;
DELETE FROM tree WHERE id = 3;
SAVEPOINT s;
UPDATE tree_deleted SET deleted_at = NULL;
SELECT count(*) FROM tree;
ROLLBACK TO s;
SELECT count(*) FROM tree;
COMMIT;
SELECT id FROM tree_deleted;

RESET ROLE;
DROP SCHEMA bin_restores CASCADE;
DROP ROLE regress_bin_restores;
