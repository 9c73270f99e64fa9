-- a partition or inheritance child may have keys, and triggers that change them, of its own:
-- what updates it by its parent has tombstones step aside there, too
--
-- Each update comes first in its session, which knows nothing of the keys yet.
CREATE SCHEMA displace_partitions;
SET search_path = displace_partitions;

CREATE TABLE keyed (id integer, code integer) PARTITION BY LIST (id);
CREATE TABLE keyed_1 PARTITION OF keyed (PRIMARY KEY (code)) FOR VALUES IN (1);
CREATE TABLE deferred (id integer, code integer) PARTITION BY LIST (id);
CREATE TABLE deferred_1 PARTITION OF deferred (UNIQUE (code) DEFERRABLE) FOR VALUES IN (1);
CREATE TABLE parent (id integer, code integer);
CREATE TABLE child (PRIMARY KEY (code)) INHERITS (parent);
CREATE TABLE triggered (id integer, code integer, PRIMARY KEY (id, code)) PARTITION BY LIST (id);
CREATE TABLE triggered_1 PARTITION OF triggered FOR VALUES IN (1);
CREATE FUNCTION next_code() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.code := NEW.code + 1; RETURN NEW; END $$;
CREATE TRIGGER next_code BEFORE UPDATE ON triggered_1 FOR EACH ROW EXECUTE FUNCTION next_code();
SELECT soft_delete.tag(t) FROM unnest('{keyed,deferred,parent,triggered}'::regclass[]) AS t;

INSERT INTO keyed VALUES (1, 1), (1, 2);
INSERT INTO deferred VALUES (1, 1), (1, 2);
INSERT INTO child VALUES (1, 1), (1, 2);
INSERT INTO triggered VALUES (1, 1), (1, 2);
DELETE FROM keyed WHERE code = 2;
DELETE FROM deferred WHERE code = 2;
DELETE FROM parent WHERE code = 2;
DELETE FROM triggered WHERE code = 2;

\c
SET search_path = displace_partitions;
\set QUIET off
UPDATE keyed SET code = 2;
UPDATE deferred SET code = 2;
UPDATE parent SET code = 2;
UPDATE triggered SET id = id;
\set QUIET on
SELECT tableoid::regclass, count(*) FROM (SELECT tableoid FROM keyed_tombstones UNION ALL SELECT tableoid FROM deferred_tombstones
	UNION ALL SELECT tableoid FROM parent_tombstones UNION ALL SELECT tableoid FROM triggered_tombstones) AS companions
GROUP BY tableoid ORDER BY tableoid::regclass::text COLLATE "C";
SELECT * FROM soft_delete.check() WHERE relation::text ~ 'keyed|deferred|parent|child|triggered';

-- inheritance children have columns and keys of their own
CREATE TABLE base (id integer, code integer);
CREATE TABLE heir (v text, UNIQUE (code) DEFERRABLE) INHERITS (base);
CREATE TABLE heir_2 (w text, UNIQUE (w) DEFERRABLE) INHERITS (heir);
SELECT soft_delete.tag('base');
INSERT INTO heir (id, code, v) VALUES (1, 1, 'a'), (2, 2, 'b');
INSERT INTO heir_2 (id, code, v, w) VALUES (3, 3, 'c', 'x'), (4, 4, 'd', 'y');
DELETE FROM base WHERE id IN (1, 3);
\set QUIET off
UPDATE base SET id = id + 10;
UPDATE base SET code = 1 WHERE code = 2;
MERGE INTO heir USING (VALUES ('x')) AS n(w) ON v = 'd' WHEN MATCHED THEN UPDATE SET v = w;
UPDATE heir_2 SET w = 'x';
\set QUIET on
SELECT * FROM base ORDER BY id;
SELECT * FROM heir_2;
SELECT tableoid::regclass, count(*) FROM base_tombstones GROUP BY tableoid ORDER BY tableoid::regclass::text;
SELECT id, code FROM base_deleted ORDER BY id;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA displace_partitions CASCADE;
