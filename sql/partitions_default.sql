-- The deleted rows of a default partition are not in the way of a new partition beside it: they
-- step aside, and come back into the new one.
CREATE ROLE regress_default_owner;
CREATE SCHEMA regress_default AUTHORIZATION regress_default_owner;
SET ROLE regress_default_owner;
SET search_path = regress_default;
CREATE TABLE events (id integer, at date NOT NULL, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_default PARTITION OF events DEFAULT;
CREATE TABLE items (id integer, kind text) PARTITION BY LIST (upper(kind));
CREATE TABLE items_default PARTITION OF items DEFAULT PARTITION BY RANGE (id);
CREATE TABLE items_default_1 PARTITION OF items_default FOR VALUES FROM (0) TO (100);
SELECT soft_delete.tag('events'), soft_delete.tag('items');
INSERT INTO events SELECT g, date '2030-01-01' + g, 'event ' || g FROM generate_series(1, 90) AS g;
INSERT INTO items VALUES (1, 'a'), (2, 'a'), (3, 'b'), (4, NULL);
DELETE FROM events WHERE id IN (3, 33);
DELETE FROM items;
SELECT soft_delete.hold('events', 33, '2030-02-03', 'case 1');

-- a live row is in the way, and no deleted row moves
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2030-02-01');
SELECT count(*) FROM events_tombstones;
-- the rows of a month are moved, as tools do it
CREATE TABLE events_1 (LIKE events INCLUDING ALL);
WITH moved AS (DELETE FROM events WHERE at < '2030-02-01' RETURNING id, at, note) INSERT INTO events_1 SELECT * FROM moved;
ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES FROM ('2030-01-01') TO ('2030-02-01');
SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM events_1), (SELECT count(*) FROM events_tombstones), (SELECT count(*) FROM events_deleted);
CREATE TEMPORARY TABLE february AS WITH moved AS (DELETE FROM events WHERE at >= '2030-02-01' AND at < '2030-03-01' RETURNING id, at, note) SELECT * FROM moved;
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2030-02-01') TO ('2030-03-01');
INSERT INTO events SELECT * FROM february;
SELECT tableoid::regclass, count(*) FROM events GROUP BY tableoid ORDER BY tableoid::regclass::text COLLATE "C";
SELECT id, at, hold FROM events_deleted WHERE id IN (3, 33) ORDER BY id;
SELECT soft_delete.lift('case 1');
UPDATE events_deleted SET deleted_at = NULL WHERE id IN (3, 33);
SELECT tableoid::regclass, id, note FROM events WHERE id IN (3, 33) ORDER BY id;

-- an expression as key, and a default partition with partitions
CREATE TABLE items_a PARTITION OF items FOR VALUES IN ('A');
CREATE TABLE items_null (LIKE items);
ALTER TABLE items ATTACH PARTITION items_null FOR VALUES IN (NULL);
SELECT stored_in::regclass, id, kind FROM items_deleted ORDER BY id;
UPDATE items_deleted SET deleted_at = NULL;
SELECT tableoid::regclass, id, kind FROM items ORDER BY id;
SELECT relation, problem FROM soft_delete.check() WHERE relation::text ~ 'events|items';

-- what the server refuses, it refuses as ever
CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2030-03-02') TO ('2030-03-01');
CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('x') TO ('2030-03-01');
CREATE TABLE events_3 PARTITION OF events FOR VALUES IN (1);
CREATE TABLE events_3 PARTITION OF no_such FOR VALUES IN (1);
RESET ROLE;
CREATE ROLE regress_default_other;
GRANT CREATE, USAGE ON SCHEMA regress_default TO regress_default_other;
SET ROLE regress_default_other;
CREATE TABLE regress_default.events_3 PARTITION OF regress_default.events FOR VALUES FROM ('2030-03-01') TO ('2030-04-01');

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA regress_default CASCADE;
DROP OWNED BY regress_default_owner, regress_default_other;
DROP ROLE regress_default_owner, regress_default_other;
