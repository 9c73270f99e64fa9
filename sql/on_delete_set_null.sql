-- ON DELETE SET NULL cuts the references of live children, as with hard deletes,
-- and leaves those of deleted children, which the restored parent finds again
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins

CALL make($$
	CREATE TABLE parent (id integer PRIMARY KEY);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL);
	CREATE TABLE strict (id integer PRIMARY KEY, parent_id integer NOT NULL REFERENCES parent ON DELETE SET NULL);
	CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree ON DELETE SET NULL);
	INSERT INTO parent SELECT generate_series(1, 5);
	INSERT INTO child SELECT g, g % 4 + 1 FROM generate_series(1, 8) g;
	INSERT INTO strict VALUES (1, 5);
	INSERT INTO tree SELECT g, nullif(g / 2, 0) FROM generate_series(1, 7) g;
$$);
SELECT ask('DELETE FROM child WHERE id = 4');
SELECT ask('DELETE FROM parent WHERE id IN (1, 2)');
TABLE soft.child ORDER BY id;
SELECT ask('DELETE FROM child WHERE id = 8');
SELECT ask('DELETE FROM tree WHERE id IN (1, 3)');
SELECT ask('DELETE FROM parent WHERE id = 5');
SELECT ask('DELETE FROM strict');
SELECT ask('DELETE FROM parent WHERE id = 5');
SELECT * FROM deletions();

-- composite keys, whole and by column lists
CALL make($$
	CREATE TABLE pair (x integer, y integer, PRIMARY KEY (x, y));
	CREATE TABLE ofpair (id integer PRIMARY KEY, x bigint, y integer, FOREIGN KEY (y, x) REFERENCES pair (y, x) ON DELETE SET NULL);
	CREATE TABLE half (id integer PRIMARY KEY, x integer NOT NULL, y integer, FOREIGN KEY (x, y) REFERENCES pair ON DELETE SET NULL (y));
	INSERT INTO pair VALUES (1, 1), (1, 2), (2, 2);
	INSERT INTO ofpair VALUES (1, 1, 1), (2, 1, 2), (3, 1, NULL);
	INSERT INTO half VALUES (1, 1, 1), (2, 1, 2), (3, 1, NULL), (4, 2, 2);
$$);
SELECT ask('DELETE FROM half WHERE id = 4');
SELECT ask('DELETE FROM pair WHERE y = 2');
SELECT ask('INSERT INTO half VALUES (5, 1, 2)');
SELECT ask('DELETE FROM half WHERE x = 1 AND y IS NULL');
SELECT * FROM deletions() WHERE deletions ~ 'pair|half';

-- partitions on either side
CALL make($$
	CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (3);
	CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (3) TO (9);
	CREATE TABLE pieces (id integer PRIMARY KEY, part_id integer REFERENCES parts ON DELETE SET NULL) PARTITION BY HASH (id);
	CREATE TABLE pieces_1 PARTITION OF pieces FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE pieces_2 PARTITION OF pieces FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	-- to the partition that the parent's id is the name of: what is cut moves
	CREATE TABLE moving (id integer, part_id integer REFERENCES parts ON DELETE SET NULL) PARTITION BY LIST (part_id);
	CREATE TABLE moving_1 PARTITION OF moving FOR VALUES IN (1, 2, 3, 4);
	CREATE TABLE moving_2 PARTITION OF moving DEFAULT;
	INSERT INTO parts SELECT generate_series(1, 4);
	INSERT INTO pieces SELECT g, g % 4 + 1 FROM generate_series(1, 8) g;
	INSERT INTO moving SELECT g, g FROM generate_series(1, 4) g;
$$);
SELECT ask('DELETE FROM moving WHERE id = 3');
SELECT ask('DELETE FROM parts WHERE id IN (2, 3)');
SELECT ask('SELECT FROM moving_2');
SELECT * FROM deletions() WHERE deletions ~ 'parts|moving';

-- what is cut is referenced itself; and one child by way of two references
CALL make($$
	CREATE TABLE top (id integer PRIMARY KEY);
	CREATE TABLE middle (id integer PRIMARY KEY, top_id integer UNIQUE REFERENCES top ON DELETE SET NULL);
	CREATE TABLE bottom (id integer PRIMARY KEY, top_id integer REFERENCES middle (top_id) ON UPDATE CASCADE);
	CREATE TABLE twice (id integer PRIMARY KEY, a integer REFERENCES top ON DELETE SET NULL, b integer REFERENCES top ON DELETE CASCADE);
	INSERT INTO top VALUES (1), (2);
	INSERT INTO middle VALUES (1, 1), (2, 2);
	INSERT INTO bottom VALUES (1, 1), (2, 1), (3, 2);
	INSERT INTO twice VALUES (1, 1, 2), (2, 2, 1), (3, 1, 1);
$$);
SELECT ask('DELETE FROM bottom WHERE id = 1');
SELECT ask('DELETE FROM top WHERE id = 1');
TABLE soft.bottom ORDER BY id;
TABLE soft.twice ORDER BY id;
SELECT * FROM deletions() WHERE deletions ~ 'top|bottom|twice';

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
