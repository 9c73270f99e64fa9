-- storage => 'aside_monthly' of a schema, of a plan and of a parent holds for the tables that come, as far as they can have months
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE regress_months_come;
CREATE SCHEMA months_come AUTHORIZATION regress_months_come;
SET search_path = months_come;
-- a table, where its deleted rows are, and how many months its companion has
CREATE VIEW storages AS
	SELECT relname, soft_delete_internal.storage_of(oid) AS storage, soft_delete_internal.companion_month(soft_delete_internal.own_companion(oid)) AS months,
		(SELECT count(*) FROM pg_inherits WHERE inhparent = soft_delete_internal.own_companion(oid) AND soft_delete_internal.companion_month(inhrelid) <> 'monthly') AS tables
	FROM pg_class WHERE relnamespace = 'months_come'::regnamespace AND relkind IN ('r', 'p') AND relname !~ '_tombstones' ORDER BY relname;
GRANT SELECT ON storages TO regress_months_come;
SET ROLE regress_months_come;

-- a schema: what is there, what comes, and what cannot have months
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE base (id integer PRIMARY KEY);
CREATE TABLE heir (more text) INHERITS (base);
CREATE TABLE plain (id integer PRIMARY KEY);
SELECT soft_delete.tag('plain', storage => 'aside') IS NOT NULL AS is_tagged;
SELECT member, effect, in_place, aside FROM soft_delete.preview_tag_schema('months_come') WHERE effect ~ 'each month';
SELECT effect, in_place, aside FROM soft_delete.preview_tag('base') WHERE effect ~ 'each month';
SELECT soft_delete.tag_schema('months_come', storage => 'monthly');
SELECT soft_delete.tag_schema('months_come', storage => 'aside_monthly');
SELECT storage FROM soft_delete.tagged_schemas WHERE schema = 'months_come';
CREATE TABLE later (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE parts (id integer, n integer) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE selected AS SELECT 1 AS id;
RESET ROLE;
TABLE storages;
SET ROLE regress_months_come;
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1, 1), (2, 2);
INSERT INTO later VALUES (1, 1);
INSERT INTO parts VALUES (1, 1);
INSERT INTO heir VALUES (1, 'one');
DELETE FROM parent WHERE id = 1;
DELETE FROM parts;
DELETE FROM base;
DELETE FROM selected;
-- all of it but the row of the table without months is in the table of this month
SELECT relation, to_char(deleted_at AT TIME ZONE 'UTC', 'YYYY_MM') = right(stored_in::regclass::text, 7) AS in_month, count(*) FROM (
	SELECT 'parent' AS relation, stored_in, deleted_at FROM parent_deleted UNION ALL SELECT 'child', stored_in, deleted_at FROM child_deleted
	UNION ALL SELECT 'later', stored_in, deleted_at FROM later_deleted UNION ALL SELECT 'parts', stored_in, deleted_at FROM parts_deleted
	UNION ALL SELECT 'base', stored_in, deleted_at FROM base_deleted UNION ALL SELECT 'selected', stored_in, deleted_at FROM selected_deleted) AS rows
GROUP BY 1, 2 ORDER BY 1;
SELECT soft_delete.undo(max(deleted_at)) FROM parent_deleted;
-- what is not said stays; another storage is for those that come
SELECT soft_delete.tag_schema('months_come', exempt => '{none}');
CREATE TABLE still (id integer);
SELECT soft_delete.tag_schema('months_come', storage => 'aside');
CREATE TABLE plainly (id integer);
-- a partition that leaves has months as its root
ALTER TABLE parts DETACH PARTITION part_1;
RESET ROLE;
SELECT * FROM storages WHERE relname IN ('plain', 'still', 'plainly', 'part_1', 'parts');
SET ROLE regress_months_come;
SELECT * FROM soft_delete.check();

-- a table that inherits from one with months: they end, while nothing has been in them
CREATE TABLE empty (id integer);
SELECT soft_delete.tag('empty', storage => 'aside_monthly') IS NULL AS is_tagged;
CREATE TABLE empty_heir (more text) INHERITS (empty);
INSERT INTO empty_heir VALUES (1, 'x');
DELETE FROM empty;
SELECT id, stored_in::regclass FROM empty_deleted;
CREATE TABLE full_ (id integer);
SELECT soft_delete.tag('full_', storage => 'aside_monthly') IS NULL AS is_tagged;
INSERT INTO full_ VALUES (1);
DELETE FROM full_;
CREATE TABLE full_heir () INHERITS (full_);
RESET ROLE;
SELECT * FROM storages WHERE relname ~ '^(empty|full)';
SET ROLE regress_months_come;
SELECT * FROM soft_delete.check();

-- a plan
SELECT soft_delete.untag_schema('months_come', tombstones => 'purge');
SELECT plan FROM soft_delete.plan('parent', storage => 'aside_monthly', cascade => true) AS plan;
\o /dev/null
SELECT plan FROM soft_delete.plan('parent', storage => 'aside_monthly', cascade => true) AS plan \gexec
\o
SELECT plan FROM soft_delete.plan('base', storage => 'aside_monthly') AS plan;
SELECT plan FROM soft_delete.plan('base', storage => 'monthly') AS plan;
-- one that keeps deleted rows in place: they move first
SELECT soft_delete.tag('parts') IS NOT NULL AS is_tagged;
ALTER TABLE parts ATTACH PARTITION part_1 FOR VALUES FROM (0) TO (10);
INSERT INTO parts SELECT n, n FROM generate_series(1, 5) AS n;
DELETE FROM parts WHERE n < 4;
SELECT plan FROM soft_delete.plan('parts', storage => 'aside_monthly') AS plan;
\o /dev/null
SELECT plan FROM soft_delete.plan('parts', storage => 'aside_monthly') AS plan \gexec
\o
-- a child that a foreign key makes is tagged as its parent is
CREATE TABLE fresh (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE fresh_base (id integer PRIMARY KEY, parent_id integer);
CREATE TABLE fresh_heir () INHERITS (fresh_base);
ALTER TABLE fresh_base ADD FOREIGN KEY (parent_id) REFERENCES parent ON DELETE CASCADE;
RESET ROLE;
SELECT * FROM storages WHERE storage IS NOT NULL;

SET client_min_messages = warning;
DROP SCHEMA months_come CASCADE;
DELETE FROM soft_delete_internal.tagged_schemas WHERE schema = 'months_come';
DROP ROLE regress_months_come;
