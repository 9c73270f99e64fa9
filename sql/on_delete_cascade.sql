-- ON DELETE CASCADE takes what the hard-deleting twin destroys, however it is
-- reached, and gives all of it the stamp of the row that was deleted
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins

-- several levels, and a diamond: c is reached through b, and straight from a
CALL make($$
	CREATE TABLE a (id integer PRIMARY KEY);
	CREATE TABLE b (id integer PRIMARY KEY, a_id integer REFERENCES a ON DELETE CASCADE);
	CREATE TABLE c (id integer PRIMARY KEY, b_id integer REFERENCES b ON DELETE CASCADE, a_id integer REFERENCES a ON DELETE CASCADE);
	CREATE TABLE d (id integer PRIMARY KEY, c_id integer REFERENCES c ON DELETE CASCADE);
	INSERT INTO a SELECT generate_series(1, 4);
	INSERT INTO b SELECT g, g % 4 + 1 FROM generate_series(1, 6) g;
	INSERT INTO c SELECT g, g, 5 - (g + 1) / 2 FROM generate_series(1, 6) g;
	INSERT INTO d SELECT g, g FROM generate_series(1, 6) g;
$$);
SELECT ask('DELETE FROM a WHERE id = 1');
-- what was deleted before keeps its own stamp
SELECT ask('DELETE FROM d WHERE id = 1');
SELECT ask('DELETE FROM c WHERE id = 6');
SELECT ask('DELETE FROM a WHERE id IN (2, 4)');
SELECT ask('DELETE FROM a');
SELECT * FROM deletions();
SELECT ask('DELETE FROM a');

-- self-referencing, and a row that references itself
CALL make($$
	CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree ON DELETE CASCADE);
	INSERT INTO tree SELECT g, nullif(g / 2, 0) FROM generate_series(1, 15) g;
	INSERT INTO tree VALUES (20, 20), (21, 20);
$$);
SELECT ask('DELETE FROM tree WHERE id = 2');
SELECT ask('DELETE FROM tree WHERE id IN (3, 6, 12)');
SELECT ask('DELETE FROM tree WHERE id = 20');
SELECT ask('DELETE FROM tree');
SELECT * FROM deletions() WHERE deletions ~ 'tree';

-- cycles of two tables, with an immediate and with a deferred half
CALL make($$
	CREATE TABLE egg (id integer PRIMARY KEY, hen_id integer);
	CREATE TABLE hen (id integer PRIMARY KEY, egg_id integer REFERENCES egg ON DELETE CASCADE);
	ALTER TABLE egg ADD FOREIGN KEY (hen_id) REFERENCES hen ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
	INSERT INTO egg SELECT g, NULL FROM generate_series(1, 5) g;
	INSERT INTO hen SELECT g, g FROM generate_series(1, 5) g;
	UPDATE egg SET hen_id = 3 - id WHERE id < 3;
	UPDATE egg SET hen_id = id % 3 + 3 WHERE id > 2;
$$);
SELECT ask('DELETE FROM egg WHERE id = 1');
SELECT ask('DELETE FROM hen WHERE id = 4');
SELECT * FROM deletions() WHERE deletions ~ 'egg';

-- composite keys: in another order, of other types, half null
CALL make($$
	CREATE TABLE pair (x integer, y text, note text, PRIMARY KEY (x, y));
	CREATE TABLE ofpair (id integer PRIMARY KEY, y varchar, x bigint, FOREIGN KEY (y, x) REFERENCES pair (y, x) ON DELETE CASCADE);
	CREATE TABLE fullpair (x integer, y text, n integer, PRIMARY KEY (n), FOREIGN KEY (x, y) REFERENCES pair MATCH FULL ON DELETE CASCADE);
	INSERT INTO pair VALUES (1, 'a'), (1, 'b'), (2, 'a');
	INSERT INTO ofpair VALUES (1, 'a', 1), (2, 'b', 1), (3, NULL, 1), (4, 'a', NULL), (5, 'a', 2);
	INSERT INTO fullpair VALUES (1, 'a', 1), (1, 'b', 2), (NULL, NULL, 3);
$$);
SELECT ask($$DELETE FROM pair WHERE x = 1 AND y = 'a'$$);
SELECT ask($$DELETE FROM pair WHERE x = 1$$);
SELECT * FROM deletions() WHERE deletions ~ 'pair';

-- partitions on both sides, of one side only, with other columns within
CALL make($$
	CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (4);
	CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (4) TO (20);
	CREATE TABLE whole (id integer PRIMARY KEY, part_id integer REFERENCES parts ON DELETE CASCADE);
	CREATE TABLE pieces (id integer, part_id integer, whole_id integer REFERENCES whole ON DELETE CASCADE, PRIMARY KEY (id)) PARTITION BY HASH (id);
	CREATE TABLE pieces_1 PARTITION OF pieces FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE pieces_2 (whole_id integer, extra integer, part_id integer, id integer NOT NULL);
	ALTER TABLE pieces_2 DROP COLUMN extra;
	ALTER TABLE pieces ATTACH PARTITION pieces_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	ALTER TABLE pieces ADD FOREIGN KEY (part_id) REFERENCES parts ON DELETE CASCADE;
	INSERT INTO parts SELECT generate_series(1, 8);
	INSERT INTO whole SELECT g, g FROM generate_series(1, 8) g;
	INSERT INTO pieces SELECT g, g, 9 - g FROM generate_series(1, 8) g;
$$);
SELECT ask('DELETE FROM parts WHERE id BETWEEN 3 AND 4');
SELECT ask('DELETE FROM parts_2 WHERE id = 8');
SELECT ask('DELETE FROM whole WHERE id = 7');
SELECT ask('DELETE FROM parts');
SELECT * FROM deletions() WHERE deletions ~ 'parts';

-- a row below that is referenced by another action stops all of it
CALL make($$
	CREATE TABLE top (id integer PRIMARY KEY);
	CREATE TABLE middle (id integer PRIMARY KEY, top_id integer REFERENCES top ON DELETE CASCADE);
	CREATE TABLE bottom (id integer PRIMARY KEY, middle_id integer CONSTRAINT bottom_fk REFERENCES middle);
	INSERT INTO top VALUES (1);
	INSERT INTO middle VALUES (1, 1), (2, 1);
	INSERT INTO bottom VALUES (1, 2);
$$);
SELECT ask('DELETE FROM top');
SELECT ask('DELETE FROM bottom');
SELECT ask('DELETE FROM top');
SELECT * FROM deletions() WHERE deletions ~ 'top|bottom';

-- with the right to delete the parent alone; and through the triggers of a
-- grandchild, one of which deletes a parent, one refuses
CALL make($$
	CREATE TABLE owned (id integer PRIMARY KEY);
	CREATE TABLE child (id integer PRIMARY KEY, owned_id integer REFERENCES owned ON DELETE CASCADE);
	CREATE TABLE grandchild (id integer PRIMARY KEY, child_id integer REFERENCES child ON DELETE CASCADE);
	INSERT INTO owned SELECT generate_series(1, 5);
	INSERT INTO child SELECT g, g FROM generate_series(1, 5) g;
	INSERT INTO grandchild SELECT g, g FROM generate_series(1, 5) g;
	CREATE FUNCTION delete_one() RETURNS trigger LANGUAGE plpgsql AS $f$
	BEGIN
		EXECUTE format('DELETE FROM %I.owned WHERE id = 5', TG_TABLE_SCHEMA);
		RETURN OLD;
	END
	$f$;
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE invalid_parameter_value; END';
	CREATE TRIGGER delete_one BEFORE DELETE ON grandchild FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION delete_one();
	CREATE TRIGGER refuse AFTER DELETE ON grandchild FOR EACH ROW WHEN (OLD.id = 3) EXECUTE FUNCTION refuse();
$$);
RESET ROLE;
CREATE ROLE regress_twins_writer;
GRANT USAGE ON SCHEMA hard, soft, twins TO regress_twins_writer;
GRANT SELECT, DELETE ON hard.owned, soft.owned TO regress_twins_writer;
GRANT INSERT ON hard.log, soft.log TO regress_twins_writer;
SET ROLE regress_twins_writer;
SELECT ask('DELETE FROM owned WHERE id = 1');
SELECT ask('DELETE FROM child WHERE id = 4');
SET ROLE regress_twins;
SELECT ask('DELETE FROM owned WHERE id = 2');
SELECT ask('DELETE FROM owned');
SELECT * FROM deletions() WHERE deletions ~ 'owned';

-- what was deleted comes back: the same cascades
UPDATE soft.parts_deleted SET deleted_at = NULL;
SELECT string_agg(id::text, ',' ORDER BY id) FROM soft.parts;
SELECT string_agg(id::text, ',' ORDER BY id) FROM soft.whole;
SELECT string_agg(id::text, ',' ORDER BY id) FROM soft.pieces;

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins, regress_twins_writer;
