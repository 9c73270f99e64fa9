-- restoring a row restores what its deletion took along through CASCADE, however
-- deep, and nothing else
--
-- A child of another deletion stays, as does one by another action.
CREATE ROLE regress_family;
CREATE ROLE regress_family_support;
CREATE SCHEMA family AUTHORIZATION regress_family;
SET ROLE regress_family;
SET search_path = family;

CREATE TABLE parent (id integer PRIMARY KEY, code text, UNIQUE (code, id));
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE grandchild (id integer PRIMARY KEY, child_id integer REFERENCES child ON DELETE CASCADE, email text UNIQUE);
-- composite, in another order than the key; cross-type; partitioned; in the other kind of column
CREATE TABLE pair (id integer PRIMARY KEY, parent_id bigint, parent_code varchar,
	FOREIGN KEY (parent_id, parent_code) REFERENCES parent (id, code) ON DELETE CASCADE);
CREATE TABLE part (id integer PRIMARY KEY, parent_id integer, "Gone" timestamp) PARTITION BY HASH (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_2 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE diamond (id integer PRIMARY KEY, left_id integer, right_id integer REFERENCES part ON DELETE CASCADE);
CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree ON DELETE CASCADE);
CREATE TABLE hen (id integer PRIMARY KEY, egg integer);
CREATE TABLE egg (id integer PRIMARY KEY, hen integer REFERENCES hen ON DELETE CASCADE);
ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg ON DELETE CASCADE;
SELECT soft_delete.tag('parent', cascade => true);
SELECT soft_delete.tag('part', deleted_at => 'Gone', cascade => true);
ALTER TABLE part ADD FOREIGN KEY (parent_id) REFERENCES parent ON DELETE CASCADE;
ALTER TABLE diamond ADD FOREIGN KEY (left_id) REFERENCES child ON DELETE CASCADE;
SELECT soft_delete.tag('tree');
SELECT soft_delete.tag('hen', cascade => true);
INSERT INTO parent SELECT g, 'code ' || g FROM generate_series(1, 4) g;
INSERT INTO child SELECT g, (g + 1) / 2 FROM generate_series(1, 8) g;
INSERT INTO grandchild SELECT g, (g + 1) / 2, 'g' || g FROM generate_series(1, 16) g;
INSERT INTO pair SELECT g, g, 'code ' || g FROM generate_series(1, 4) g;
INSERT INTO part SELECT g, g FROM generate_series(1, 4) g;
INSERT INTO diamond SELECT g, 2 * g, g FROM generate_series(1, 4) g;
INSERT INTO tree SELECT g, NULLIF(g / 2, 0) FROM generate_series(1, 9) g;
INSERT INTO hen VALUES (1);
INSERT INTO egg VALUES (1, 1);
UPDATE hen SET egg = 1;
CREATE TABLE log (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = family, pg_temp AS $$
BEGIN
	INSERT INTO log SELECT TG_TABLE_NAME || ' ' || TG_OP || ' ' || string_agg(id::text, ',' ORDER BY id) FROM new;
	RETURN NULL;
END
$$;
CREATE TRIGGER note AFTER INSERT ON grandchild REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER INSERT ON part REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE VIEW live AS
	SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM parent) AS parents, (SELECT string_agg(id::text, ',' ORDER BY id) FROM child) AS children,
		(SELECT string_agg(id::text, ',' ORDER BY id) FROM grandchild) AS grandchildren, (SELECT string_agg(id::text, ',' ORDER BY id) FROM pair) AS pairs,
		(SELECT string_agg(id::text, ',' ORDER BY id) FROM part) AS parts, (SELECT string_agg(id::text, ',' ORDER BY id) FROM diamond) AS diamonds;

-- before: one grandchild and one child are deleted by themselves
DELETE FROM grandchild WHERE id = 1;
DELETE FROM child WHERE id = 4;
DELETE FROM parent WHERE id < 3;
SELECT * FROM live;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 1 RETURNING id;
SELECT * FROM live;
-- each statement trigger has fired once, with all rows
TABLE log;
-- the child that was deleted before its parent comes back with what it took along
UPDATE parent_deleted SET deleted_at = NULL;
UPDATE child_deleted SET deleted_at = NULL WHERE id = 4;
SELECT * FROM live;
SELECT id FROM grandchild_deleted;

-- in one statement, but not through CASCADE: that stays
WITH d AS (DELETE FROM child WHERE id = 1) DELETE FROM parent WHERE id = 2;
UPDATE parent_deleted SET deleted_at = NULL;
SELECT id FROM child_deleted;
UPDATE child_deleted SET deleted_at = NULL WHERE id = 1;
-- a child alone comes back alone
DELETE FROM parent WHERE id = 1;
UPDATE child_deleted SET deleted_at = NULL WHERE id = 1;
-- its parent may come back in the same statement
WITH c AS (UPDATE child_deleted SET deleted_at = NULL WHERE id = 1 RETURNING id)
	UPDATE parent_deleted SET deleted_at = NULL FROM c WHERE parent_deleted.id = 1 RETURNING c.id;
SELECT * FROM live;

-- all or nothing: a grandchild's key is taken
DELETE FROM parent WHERE id = 4;
INSERT INTO grandchild VALUES (99, NULL, 'g16');
UPDATE parent_deleted SET deleted_at = NULL;
SELECT * FROM live;
DELETE FROM grandchild WHERE id = 99;
UPDATE parent_deleted SET deleted_at = NULL;
SELECT * FROM live;

-- the other parent of a diamond was deleted in the same statement: the family
-- cannot come back without it
UPDATE diamond SET right_id = 4 WHERE id = 3;
WITH d AS (DELETE FROM part WHERE id = 4) DELETE FROM parent WHERE id = 3;
UPDATE parent_deleted SET deleted_at = NULL;
SELECT * FROM live;
WITH p AS (UPDATE parent_deleted SET deleted_at = NULL)
	UPDATE part_deleted SET "Gone" = NULL;
SELECT * FROM live;

-- the key that brought a row in need not be checked; the others are, when they are due
CREATE TABLE one (id integer PRIMARY KEY);
CREATE TABLE two (id integer PRIMARY KEY);
CREATE TABLE of_both (id integer PRIMARY KEY, one_id integer REFERENCES one ON DELETE CASCADE,
	two_id integer REFERENCES two ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
SELECT soft_delete.tag('one', cascade => true);
INSERT INTO one VALUES (1), (2);
INSERT INTO two VALUES (1);
INSERT INTO of_both VALUES (1, 1, NULL), (2, 2, NULL), (3, 2, 1), (4, 1, NULL);
DELETE FROM one;
DELETE FROM two;
UPDATE one_deleted SET deleted_at = NULL WHERE id = 1;
UPDATE one_deleted SET deleted_at = NULL;
BEGIN;
UPDATE one_deleted SET deleted_at = NULL;
UPDATE two_deleted SET deleted_at = NULL;
COMMIT;
SELECT string_agg(id::text, ',' ORDER BY id) FROM of_both;

-- keys of two collations
CREATE TABLE word (word text COLLATE "C" PRIMARY KEY);
CREATE TABLE use (id integer PRIMARY KEY, word text COLLATE "POSIX" REFERENCES word ON DELETE CASCADE);
SELECT soft_delete.tag('word', cascade => true);
INSERT INTO word VALUES ('a'), ('b');
INSERT INTO use VALUES (1, 'a'), (2, 'b');
DELETE FROM use WHERE id = 2;
DELETE FROM word;
UPDATE word_deleted SET deleted_at = NULL WHERE word = 'a';
UPDATE use_deleted SET deleted_at = NULL;
DELETE FROM word_deleted;
SELECT * FROM soft_delete.check() WHERE relation = 'use'::regclass;
SELECT id, word FROM use;

-- a row that references itself, a tree, and a cycle
DELETE FROM tree WHERE id = 2;
SELECT string_agg(id::text, ',' ORDER BY id) FROM tree;
UPDATE tree_deleted SET deleted_at = NULL WHERE id = 4;
UPDATE tree_deleted SET deleted_at = NULL WHERE id = 2;
SELECT string_agg(id::text, ',' ORDER BY id) FROM tree;
DELETE FROM hen;
SELECT (SELECT count(*) FROM hen), (SELECT count(*) FROM egg);
UPDATE egg_deleted SET deleted_at = NULL;
SELECT (SELECT count(*) FROM hen), (SELECT count(*) FROM egg);

-- the rights on one bin are enough, as the right to delete the parent is
GRANT USAGE ON SCHEMA family TO regress_family_support;
GRANT SELECT, UPDATE (deleted_at) ON parent_deleted TO regress_family_support;
DELETE FROM parent WHERE id = 1;
SET ROLE regress_family_support;
UPDATE parent_deleted SET deleted_at = NULL;
SET ROLE regress_family;
SELECT * FROM live;

-- the statement trigger does the work: nothing is collected for nobody
DELETE FROM parent WHERE id = 1;
BEGIN;
SET LOCAL row_security = off;
DROP TRIGGER soft_delete_statement ON parent_deleted;
SET LOCAL row_security = on;
UPDATE parent_deleted SET deleted_at = NULL;
ROLLBACK;
BEGIN;
SET LOCAL row_security = off;
DROP TRIGGER soft_delete_statement ON parent_deleted;
SET LOCAL row_security = on;
DELETE FROM parent_deleted;
ROLLBACK;
UPDATE parent_deleted SET deleted_at = NULL;
-- an error in mid-statement leaves nothing collected
DELETE FROM parent WHERE id < 3;
UPDATE parent_deleted SET deleted_at = NULL WHERE 1 / (id - 2) < 9;
DO $$
BEGIN
	BEGIN
		UPDATE family.parent_deleted SET deleted_at = NULL WHERE 1 / (id - 2) < 9;
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
	UPDATE family.parent_deleted SET deleted_at = NULL WHERE id = 2;
END
$$;
SELECT * FROM live;

RESET ROLE;
DROP SCHEMA family CASCADE;
DROP ROLE regress_family, regress_family_support;
