-- a partition or inheritance child that comes to a tagged table is soft at once,
-- by CREATE TABLE, ATTACH PARTITION or INHERIT, and fails no migration
CREATE ROLE regress_partitions;
CREATE SCHEMA come AUTHORIZATION regress_partitions;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_partitions', current_database()) \gexec
SET ROLE regress_partitions;
SET search_path = come;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE VIEW triggers AS
	SELECT tgrelid::regclass AS relation, string_agg(tgname, ', ' ORDER BY tgname COLLATE "C") AS triggers
	FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
	WHERE relnamespace = 'come'::regnamespace AND NOT tgisinternal GROUP BY 1;
CREATE VIEW keys AS
	SELECT conrelid::regclass AS relation, conname, to_regclass('come.' || quote_ident(conname)) IS NOT NULL AS has_index
	FROM pg_constraint WHERE connamespace = 'come'::regnamespace AND contype = 'c';

CREATE TABLE p (id integer, code text, PRIMARY KEY (id), UNIQUE (code, id)) PARTITION BY RANGE (id);
CREATE TABLE first PARTITION OF p FOR VALUES FROM (0) TO (100);
SELECT soft_delete.tag('p');

-- made as a partition, and as one that has partitions itself
CREATE TABLE made PARTITION OF p (CONSTRAINT "Own key" UNIQUE (code)) FOR VALUES FROM (100) TO (200);
CREATE TABLE tree PARTITION OF p FOR VALUES FROM (200) TO (400) PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF tree FOR VALUES FROM (200) TO (300);
SELECT * FROM triggers WHERE relation <> 'p'::regclass ORDER BY relation::text;
SELECT * FROM keys WHERE has_index ORDER BY relation::text, conname;
INSERT INTO p VALUES (1, 'a'), (101, 'a'), (102, 'b'), (201, 'a');
DELETE FROM p WHERE code = 'a' RETURNING tableoid::regclass, id;
INSERT INTO made VALUES (103, 'a');
INSERT INTO made VALUES (103, 'b') ON CONFLICT ON CONSTRAINT "Own key" DO UPDATE SET code = 'c' RETURNING id, code;
INSERT INTO leaf VALUES (202, 'a'), (202, 'a') ON CONFLICT ON CONSTRAINT leaf_code_id_key DO NOTHING RETURNING id;
INSERT INTO leaf VALUES (203, 'a') ON CONFLICT ON CONSTRAINT leaf_code_id_key DO NOTHING RETURNING id;
SELECT tableoid::regclass, id FROM p ORDER BY id;
SELECT stored_in::regclass, id FROM p_deleted ORDER BY id;

-- attached without the column, with keys of its own, which take the place of the root's
CREATE TABLE attached (id integer PRIMARY KEY, code text, CONSTRAINT attached_unique UNIQUE (code, id));
INSERT INTO attached VALUES (401, 'x'), (402, 'y');
ALTER TABLE p ATTACH PARTITION attached FOR VALUES FROM (400) TO (500);
SELECT indexrelid::regclass, inhparent::regclass FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid WHERE indrelid = 'attached'::regclass ORDER BY 1;
SELECT * FROM triggers WHERE relation = 'attached'::regclass;
DELETE FROM attached WHERE id = 401;
INSERT INTO p VALUES (401, 'x') ON CONFLICT (id) DO NOTHING RETURNING id;
SELECT id FROM attached ORDER BY id;

-- attached with a tag of its own, and deleted rows
CREATE TABLE tagged (id integer PRIMARY KEY, code text);
SELECT soft_delete.tag('tagged');
INSERT INTO tagged VALUES (501, 'x'), (502, 'y');
DELETE FROM tagged WHERE id = 501;
ALTER TABLE p ATTACH PARTITION tagged FOR VALUES FROM (500) TO (600);
SELECT id FROM tagged;
SELECT id FROM p_deleted WHERE id > 500;
SELECT to_regclass('tagged_deleted'), to_regclass('tagged_active');

-- attached with deleted rows that the application has marked by itself
CREATE TABLE marked (id integer PRIMARY KEY, code text, deleted_at timestamptz);
INSERT INTO marked VALUES (601, 'x', now()), (602, 'y', NULL);
ALTER TABLE p ATTACH PARTITION marked FOR VALUES FROM (600) TO (700);
SELECT id FROM p WHERE id > 600;
SELECT id FROM p_deleted WHERE id > 600;

-- attached with partitions, from another schema, with names that need quotes, in a hostile search path
CREATE SCHEMA "Other schema";
CREATE TABLE "Other schema"."A tree" (id integer, code text) PARTITION BY RANGE (id);
CREATE TABLE "Other schema"."A leaf" PARTITION OF "Other schema"."A tree" FOR VALUES FROM (700) TO (800);
CREATE FUNCTION "Other schema".format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT ''DROP TABLE come.p''';
SET search_path = "Other schema", pg_catalog, come;
ALTER TABLE "Other schema"."A tree" ALTER id SET NOT NULL;
ALTER TABLE p ATTACH PARTITION "A tree" FOR VALUES FROM (700) TO (800);
SET search_path = come;
INSERT INTO p VALUES (701, 'x');
DELETE FROM "Other schema"."A leaf";
SELECT stored_in::regclass, id FROM p_deleted WHERE id > 700;
SELECT tgrelid::regclass, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = '"Other schema"'::regnamespace AND tgname = '~soft_delete_truncate' ORDER BY 1;

-- inheritance children: made, and taken in with rows and a tag of its own
CREATE TABLE parent (id integer);
SELECT soft_delete.tag('parent');
CREATE TABLE child (note text UNIQUE) INHERITS (parent);
CREATE TABLE grandchild () INHERITS (child);
CREATE TABLE taken (id integer, note text);
INSERT INTO taken VALUES (7), (8);
ALTER TABLE taken INHERIT parent;
CREATE TABLE tagged_child (id integer);
SELECT soft_delete.tag('tagged_child');
INSERT INTO tagged_child VALUES (9), (10);
DELETE FROM tagged_child WHERE id = 9;
ALTER TABLE tagged_child INHERIT parent;
SELECT * FROM triggers WHERE relation IN ('child'::regclass, 'grandchild'::regclass, 'taken'::regclass, 'tagged_child'::regclass) ORDER BY relation::text;
INSERT INTO child (id, note) VALUES (1, 'a'), (2, 'b');
INSERT INTO grandchild (id, note) VALUES (3, 'a'), (4, 'b');
DELETE FROM parent WHERE id IN (1, 3, 7);
INSERT INTO child (id, note) VALUES (5, 'a');
SELECT tableoid::regclass, id FROM parent ORDER BY id;
SELECT stored_in::regclass, id FROM parent_deleted ORDER BY id;
SELECT to_regclass('tagged_child_deleted');

-- the foreign keys of what comes are guarded, and refused if they are unsafe
CREATE TABLE codes (code text PRIMARY KEY);
CREATE TABLE refers PARTITION OF p (FOREIGN KEY (code) REFERENCES codes ON UPDATE CASCADE) FOR VALUES FROM (800) TO (900);
INSERT INTO codes VALUES ('a');
INSERT INTO p VALUES (801, 'a'), (802, 'a');
DELETE FROM p WHERE id = 801;
UPDATE codes SET code = 'A';
SELECT id, code FROM p WHERE id > 800 UNION ALL SELECT id, code FROM p_deleted WHERE id > 800 ORDER BY id;
CREATE TABLE unsafe PARTITION OF p (FOREIGN KEY (code) REFERENCES codes ON DELETE CASCADE) FOR VALUES FROM (900) TO (1000);

-- untag() gives back what it would have given back before
SELECT soft_delete.untag('p', tombstones => 'purge');
SELECT soft_delete.untag('parent', tombstones => 'purge');
SELECT * FROM triggers;
SELECT * FROM keys;
SELECT conrelid::regclass, conname FROM pg_constraint WHERE connamespace = 'come'::regnamespace AND contype = 'u' ORDER BY conrelid::regclass::text, conname;
SELECT indexrelid::regclass FROM pg_index WHERE indpred IS NOT NULL AND indrelid >= 16384 AND indrelid::regclass::text !~ 'soft_delete';

RESET ROLE;
DROP SCHEMA come, "Other schema" CASCADE;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_partitions', current_database()) \gexec
DROP ROLE regress_partitions;
