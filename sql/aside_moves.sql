-- deleted rows in place move to the companion batch by batch, and come back from there as they would have
\set SHOW_CONTEXT never
CREATE ROLE regress_moves;
CREATE ROLE regress_moves_other;
CREATE SCHEMA aside_moves AUTHORIZATION regress_moves;
GRANT USAGE ON SCHEMA aside_moves TO regress_moves_other;
SET ROLE regress_moves;
SET search_path = aside_moves;
CREATE TABLE parent (id integer PRIMARY KEY, name text UNIQUE);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE fan (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL);
SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('fan');
INSERT INTO parent SELECT g, 'name ' || g FROM generate_series(1, 100) AS g;
INSERT INTO child SELECT g, g FROM generate_series(1, 100) AS g;
INSERT INTO fan SELECT g, g FROM generate_series(1, 100) AS g;
DELETE FROM parent WHERE id <= 10;
DELETE FROM parent WHERE id BETWEEN 11 AND 50;
UPDATE parent_deleted SET hold = 'case' WHERE id IN (2, 20);
CREATE TABLE before AS SELECT id, name, deleted_at, deleted_by, hold FROM parent_deleted;

-- the oldest first, as many as asked for; bins, holds and stamps do not notice
SELECT soft_delete.move_aside('parent', 10);
SELECT stored_in::regclass, count(*), min(id), max(id) FROM parent_deleted GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM (TABLE before EXCEPT SELECT id, name, deleted_at, deleted_by, hold FROM parent_deleted) AS lost;
SELECT soft_delete.move_aside('parent', 25);
SELECT soft_delete.move_aside('parent'), soft_delete.move_aside('parent');
SELECT count(*) FROM (TABLE before EXCEPT SELECT id, name, deleted_at, deleted_by, hold FROM parent_deleted) AS lost;
SELECT relation, storage, deleted_rows, displaced_rows FROM soft_delete.tables ORDER BY relation::text;
SELECT * FROM soft_delete.check();
-- a family that is in both places
SELECT soft_delete.move_aside('child', 5);
SELECT soft_delete.undo(max(deleted_at)) FROM before WHERE id = 2;
UPDATE parent_deleted SET hold = NULL;
SELECT soft_delete.undo(max(deleted_at)) FROM before WHERE id = 2;
SELECT count(*), (SELECT count(*) FROM child), (SELECT count(parent_id) FROM fan) FROM parent;
DELETE FROM parent_deleted WHERE id = 20;
SELECT count(*), (SELECT count(*) FROM child_deleted) FROM parent_deleted;

-- committed batch by batch, with the change of storage at the end
DO $$ BEGIN WHILE soft_delete.move_aside('child', 7) > 0 LOOP COMMIT; END LOOP; END $$;
SELECT stored_in::regclass, count(*) FROM child_deleted GROUP BY 1;
SELECT soft_delete.tag('child', storage => 'aside');
SELECT soft_delete.move_aside('child');
SELECT stored_in::regclass, count(*) FROM child_deleted GROUP BY 1;

-- plan() says it
CREATE TABLE "Big $$" (id integer PRIMARY KEY, v text UNIQUE);
CREATE TABLE small (id integer PRIMARY KEY, big_id integer REFERENCES "Big $$" ON DELETE CASCADE);
SELECT plan FROM soft_delete.plan('"Big $$"', storage => 'aside') AS plan;
SELECT plan FROM soft_delete.plan('"Big $$"', storage => 'aside', cascade => true) AS plan;
SELECT soft_delete.tag('"Big $$"', cascade => true);
INSERT INTO "Big $$" SELECT g, g FROM generate_series(1, 20000) AS g;
INSERT INTO small SELECT g, g FROM generate_series(1, 3) AS g;
DELETE FROM "Big $$" WHERE id <> 4;
SELECT plan FROM soft_delete.plan('"Big $$"', storage => 'aside', cascade => true) AS plan;
SELECT plan FROM soft_delete.plan('"Big $$"', storage => 'aside', cascade => true) AS plan \gexec
SELECT plan FROM soft_delete.plan('"Big $$"', cascade => true) AS plan;
SELECT plan FROM soft_delete.plan('"Big $$"', storage => 'in_place') AS plan;
SELECT plan FROM soft_delete.plan('"Big $$"', storage => 'in_place', cascade => true) AS plan \gexec
SELECT relation, storage FROM soft_delete.tables WHERE relation::text IN ('"Big $$"', 'small') ORDER BY relation::text;
SELECT count(*), (SELECT count(*) FROM small_deleted) FROM "Big $$_deleted";
SELECT plan FROM soft_delete.plan('"Big $$"', storage => 'beside') AS plan;

-- partitions, inheritance children
CREATE TABLE p (k integer, part integer, PRIMARY KEY (k, part)) PARTITION BY LIST (part);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
CREATE TABLE base (id integer PRIMARY KEY);
CREATE TABLE heir (more text) INHERITS (base);
SELECT soft_delete.tag('p'), soft_delete.tag('base');
INSERT INTO p SELECT n, n % 2 + 1 FROM generate_series(1, 6) AS n;
INSERT INTO base VALUES (1), (2);
INSERT INTO heir VALUES (3, 'x'), (4, 'y');
DELETE FROM p;
DELETE FROM base;
SELECT soft_delete.move_aside('p1', 2), soft_delete.move_aside('p', 2), soft_delete.move_aside('p', NULL);
SELECT stored_in::regclass, count(*) FROM p_deleted GROUP BY 1;
SELECT soft_delete.move_aside('base', 3), soft_delete.move_aside('base', 3);
SELECT id, stored_in::regclass FROM base_deleted ORDER BY id;
SELECT id, more FROM heir_tombstones ORDER BY id;

-- what live rows reference stays, whoever owns them, for aside it is not what the foreign key references
CREATE TABLE owns (id integer PRIMARY KEY, note text, up integer REFERENCES owns, deleted_at timestamptz);
CREATE TABLE refers (id integer PRIMARY KEY, owns_id integer REFERENCES owns);
INSERT INTO owns SELECT g, nullif('note ' || g, 'note 2'), CASE g WHEN 5 THEN 4 END, CASE WHEN g < 6 THEN timestamptz '2020-01-01' + g * interval '1 day' END
FROM generate_series(1, 6) AS g;
INSERT INTO refers VALUES (1, 2), (2, 6);
GRANT REFERENCES, SELECT, UPDATE ON owns TO regress_moves_other;
GRANT CREATE ON SCHEMA aside_moves TO regress_moves_other;
SET ROLE regress_moves_other;
CREATE TABLE aside_moves.others (owns_id integer REFERENCES aside_moves.owns);
INSERT INTO aside_moves.others VALUES (3);
SET ROLE regress_moves;
SELECT soft_delete.tag('owns');
SELECT soft_delete.move_aside('owns', 2), soft_delete.move_aside('owns', 2), soft_delete.move_aside('owns');
SELECT id, stored_in::regclass FROM owns_deleted ORDER BY id;
SELECT soft_delete.move_aside('owns', NULL);
ALTER TABLE owns ALTER note SET NOT NULL;
SELECT soft_delete.tag('owns', storage => 'aside');
DELETE FROM refers;
SELECT soft_delete.tag('owns', storage => 'aside');
ALTER TABLE owns ADD CHECK (id <> 3);
ALTER TABLE owns ADD CHECK (id <> 2);
ALTER TABLE owns ALTER note SET NOT NULL;
SELECT id, stored_in::regclass FROM owns_deleted ORDER BY id;
SET ROLE regress_moves_other;
DELETE FROM aside_moves.others;
SET ROLE regress_moves;
SELECT soft_delete.tag('owns', storage => 'aside');
SELECT id, stored_in::regclass FROM owns_deleted ORDER BY id;

-- bad input
SELECT soft_delete.move_aside(NULL);
SELECT soft_delete.move_aside('p', 0);
SELECT soft_delete.move_aside('p', -1);
SELECT soft_delete.move_aside('before');
SELECT soft_delete.move_aside('p_deleted');
SELECT soft_delete.move_aside(1);
SET ROLE regress_moves_other;
SELECT soft_delete.move_aside('aside_moves.p');
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA aside_moves CASCADE;
DROP ROLE regress_moves, regress_moves_other;
