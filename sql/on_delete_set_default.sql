-- ON DELETE SET DEFAULT gives live children their default, which must be a live
-- row's key: a deleted one is as good as none
\getenv srcdir PG_ABS_SRCDIR
\set twins :srcdir '/sql/twins.inc'
\i :twins

CALL make($$
	CREATE TABLE parent (id integer PRIMARY KEY);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer DEFAULT 9 CONSTRAINT child_fk REFERENCES parent ON DELETE SET DEFAULT);
	CREATE TABLE without (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET DEFAULT);
	CREATE TABLE tree (id integer PRIMARY KEY, up integer DEFAULT 1 REFERENCES tree ON DELETE SET DEFAULT);
	INSERT INTO parent SELECT generate_series(1, 9);
	INSERT INTO child SELECT g, g FROM generate_series(1, 5) g;
	INSERT INTO without VALUES (1, 1);
	INSERT INTO tree SELECT g, nullif(g / 2, 0) FROM generate_series(1, 7) g;
$$);
SELECT ask('DELETE FROM child WHERE id = 2');
SELECT ask('DELETE FROM parent WHERE id IN (1, 2)');
TABLE soft.child ORDER BY id;
TABLE soft.without ORDER BY id;
SELECT ask('DELETE FROM tree WHERE id = 3');
-- the default's own row: while something holds the default, and when nothing does
SELECT ask('DELETE FROM parent WHERE id = 9');
SELECT ask('UPDATE child SET parent_id = 8 WHERE id = 1');
SELECT ask('DELETE FROM parent WHERE id = 9');
SELECT ask('DELETE FROM parent WHERE id = 3');
SELECT ask('ALTER TABLE child ALTER parent_id SET DEFAULT 99');
SELECT ask('DELETE FROM parent WHERE id = 3');
SELECT ask('INSERT INTO parent VALUES (99)');
SELECT ask('DELETE FROM parent WHERE id = 3');
SELECT * FROM deletions();

-- composite keys, whole and by column lists
CALL make($$
	CREATE TABLE pair (x integer, y integer, PRIMARY KEY (x, y));
	CREATE TABLE ofpair (id integer PRIMARY KEY, x bigint DEFAULT 1, y integer DEFAULT 1, FOREIGN KEY (y, x) REFERENCES pair (y, x) ON DELETE SET DEFAULT);
	CREATE TABLE half (id integer PRIMARY KEY, x integer, y integer DEFAULT 1, CONSTRAINT half_fk FOREIGN KEY (x, y) REFERENCES pair ON DELETE SET DEFAULT (y));
	INSERT INTO pair VALUES (1, 1), (1, 2), (2, 1), (2, 2), (3, 2);
	INSERT INTO ofpair VALUES (1, 1, 2), (2, 2, 2), (3, 1, NULL);
	INSERT INTO half VALUES (1, 1, 2), (2, 2, 2), (3, 3, 2), (4, 2, 2);
$$);
SELECT ask('DELETE FROM half WHERE id = 4');
SELECT ask('DELETE FROM pair WHERE x < 3 AND y = 2');
SELECT ask('DELETE FROM pair WHERE x = 3');
SELECT * FROM deletions() WHERE deletions ~ 'pair|half';

-- partitions on either side
CALL make($$
	CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (3);
	CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (3) TO (9);
	CREATE TABLE pieces (id integer PRIMARY KEY, part_id integer DEFAULT 1 REFERENCES parts ON DELETE SET DEFAULT) PARTITION BY HASH (id);
	CREATE TABLE pieces_1 PARTITION OF pieces FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE pieces_2 PARTITION OF pieces FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parts SELECT generate_series(1, 4);
	INSERT INTO pieces SELECT g, g % 4 + 1 FROM generate_series(1, 8) g;
$$);
SELECT ask('DELETE FROM pieces WHERE id = 1');
SELECT ask('DELETE FROM parts WHERE id IN (2, 3)');
SELECT ask('DELETE FROM parts WHERE id = 1');
SELECT * FROM deletions() WHERE deletions ~ 'parts|pieces';

SELECT * FROM soft_delete.check();
RESET ROLE;
DROP SCHEMA hard, soft, twins CASCADE;
DROP ROLE regress_twins;
