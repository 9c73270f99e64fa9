-- restoring a row gives back the references that ON DELETE SET NULL and SET
-- DEFAULT cut, where the child still is and still holds what it was left with
CREATE ROLE regress_relink;
CREATE SCHEMA relink AUTHORIZATION regress_relink;
SET ROLE regress_relink;
SET search_path = relink;

CREATE TABLE parent (id integer PRIMARY KEY, code text, born date UNIQUE, UNIQUE (code, id));
CREATE TABLE nulls (id integer PRIMARY KEY, p bigint REFERENCES parent ON DELETE SET NULL, note text);
CREATE TABLE defaults ("Key" text, n timestamptz, p integer DEFAULT 0 REFERENCES parent ON DELETE SET DEFAULT, PRIMARY KEY (n, "Key"));
CREATE TABLE pairs (id integer PRIMARY KEY, p integer, code text, FOREIGN KEY (code, p) REFERENCES parent (code, id) ON DELETE SET NULL (p));
CREATE TABLE dates (id integer PRIMARY KEY, d date REFERENCES parent (born) ON DELETE SET NULL);
CREATE TABLE parts (id integer PRIMARY KEY, p integer REFERENCES parent ON DELETE SET NULL) PARTITION BY HASH (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_2 (p integer, id integer NOT NULL);
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree ON DELETE SET NULL);
CREATE TABLE keyless (p integer REFERENCES parent ON DELETE SET NULL);
CREATE TABLE below (id integer PRIMARY KEY, n integer REFERENCES nulls ON DELETE CASCADE);
SELECT soft_delete.tag(t::regclass) FROM unnest('{parts,parent,defaults,pairs,dates,tree}'::text[]) t;
-- without a primary key nobody finds the row again
SELECT soft_delete.tag('keyless');
SELECT soft_delete.tag('nulls', cascade => true);
INSERT INTO parent SELECT g, 'c' || g, date '2001-02-03' + g FROM generate_series(0, 5) g;
INSERT INTO nulls SELECT g, g % 3 + 1, 'note' FROM generate_series(1, 6) g;
INSERT INTO defaults SELECT 'k' || g, '2001-02-03 04:05:06.789+00', g FROM generate_series(1, 3) g;
INSERT INTO pairs SELECT g, g, 'c' || g FROM generate_series(1, 3) g;
INSERT INTO dates SELECT g, date '2001-02-03' + g FROM generate_series(1, 3) g;
INSERT INTO parts SELECT g, g % 2 + 1 FROM generate_series(1, 4) g;
INSERT INTO tree SELECT g, NULLIF(g / 2, 0) FROM generate_series(1, 7) g;
INSERT INTO keyless VALUES (1);
CREATE VIEW referring AS
	SELECT (SELECT string_agg(id || ':' || coalesce(p::text, '-'), ' ' ORDER BY id) FROM nulls) AS nulls,
		(SELECT string_agg("Key" || ':' || p, ' ' ORDER BY "Key") FROM defaults) AS defaults,
		(SELECT string_agg(id || ':' || coalesce(p::text, '-') || code, ' ' ORDER BY id) FROM pairs) AS pairs,
		(SELECT string_agg(id || ':' || coalesce(to_char(d, 'DD'), '-'), ' ' ORDER BY id) FROM dates) AS dates,
		(SELECT string_agg(id || ':' || coalesce(p::text, '-'), ' ' ORDER BY id) FROM parts) AS parts;
TABLE referring;
SET datestyle = 'SQL, DMY';
DELETE FROM parent WHERE id IN (1, 2);
SET datestyle = 'German';
TABLE referring;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 1;
TABLE referring;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 2;
TABLE referring;
SELECT count(*) AS keyless FROM keyless WHERE p IS NULL;
RESET ROLE;
SELECT count(*) AS left_over FROM soft_delete_internal.set_null_references WHERE relation::text LIKE 'relink.%';
SET ROLE regress_relink;

-- what has changed since stays as it is, and is counted
DELETE FROM parent WHERE id = 1;
UPDATE nulls SET p = 4 WHERE id = 3;
UPDATE nulls SET id = 66 WHERE id = 6;
DELETE FROM dates WHERE id = 1;
UPDATE defaults SET n = n + '1 second' WHERE "Key" = 'k1';
UPDATE parent_deleted SET deleted_at = NULL;
TABLE referring;

-- only what the deletion of that row cut, not what another statement did
UPDATE nulls SET p = NULL WHERE id = 1;
DELETE FROM parent WHERE id = 2;
UPDATE parent_deleted SET deleted_at = NULL;
SELECT nulls FROM referring;
-- nor what a rolled back deletion did
BEGIN;
DELETE FROM parent WHERE id = 3;
ROLLBACK;
DELETE FROM parent WHERE id = 3;
SELECT soft_delete.undo(deleted_at) FROM parent_deleted;
SELECT nulls FROM referring;

-- within a family: the child comes back too, and what referenced it
DELETE FROM tree WHERE id IN (1, 2);
SELECT string_agg(id || ':' || coalesce(up::text, '-'), ' ' ORDER BY id) FROM tree;
UPDATE tree_deleted SET deleted_at = NULL WHERE id = 2;
SELECT string_agg(id || ':' || coalesce(up::text, '-'), ' ' ORDER BY id) FROM tree;
UPDATE tree_deleted SET deleted_at = NULL WHERE id = 1;
SELECT string_agg(id || ':' || coalesce(up::text, '-'), ' ' ORDER BY id) FROM tree;

-- deletions of which one statement restores rows by turns
CREATE TABLE turns (id integer PRIMARY KEY);
CREATE TABLE turned (id integer PRIMARY KEY, turn integer REFERENCES turns ON DELETE SET NULL);
SELECT soft_delete.tag('turned'), soft_delete.tag('turns');
INSERT INTO turns SELECT generate_series(1, 4);
INSERT INTO turned SELECT i, i FROM generate_series(1, 4) AS i;
DELETE FROM turns WHERE id IN (1, 3);
DELETE FROM turns WHERE id IN (2, 4);
SET enable_hashjoin = off;
SET enable_mergejoin = off;
UPDATE turns_deleted AS d SET deleted_at = NULL FROM generate_series(1, 4) AS i WHERE d.id = i;
RESET enable_hashjoin;
RESET enable_mergejoin;
SELECT string_agg(id || ':' || coalesce(turn::text, '-'), ' ' ORDER BY id) FROM turned;

-- the application's triggers see the UPDATE, as they saw that of the deletion
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% of %: % -> %', TG_OP, TG_TABLE_NAME, OLD.p, NEW.p;
	RETURN NEW;
END
$$;
CREATE TRIGGER note BEFORE UPDATE ON nulls FOR EACH ROW EXECUTE FUNCTION note();
DELETE FROM parent WHERE id = 3;
UPDATE parent_deleted SET deleted_at = NULL;
SELECT * FROM soft_delete.check();
-- where a rule rewrites that, nothing is restored
DELETE FROM parent WHERE id = 3;
CREATE RULE keep AS ON UPDATE TO nulls DO INSTEAD NOTHING;
\set SHOW_CONTEXT never
UPDATE parent_deleted SET deleted_at = NULL;
\set SHOW_CONTEXT errors
DROP RULE keep ON nulls;
UPDATE parent_deleted SET deleted_at = NULL;
-- by hand
CREATE TRIGGER by_hand BEFORE UPDATE ON keyless FOR EACH ROW EXECUTE FUNCTION soft_delete_internal.record_set_null();
UPDATE keyless SET p = 4;

RESET ROLE;
DROP SCHEMA relink CASCADE;
DROP ROLE regress_relink;
