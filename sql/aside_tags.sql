-- tag(storage => 'aside') keeps deleted rows in a companion, and leaves the table as it is
\set SHOW_CONTEXT never
CREATE ROLE regress_aside;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_aside', current_database()) \gexec
CREATE SCHEMA aside_tags AUTHORIZATION regress_aside;
SET ROLE regress_aside;
SET search_path = aside_tags;
CREATE DOMAIN positive AS numeric(8, 2) CHECK (VALUE > 0) NOT NULL;
CREATE TABLE parent (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text COLLATE "C" NOT NULL UNIQUE,
	price positive,
	twice numeric GENERATED ALWAYS AS (price * 2) STORED,
	blob bytea
);
ALTER TABLE parent ALTER blob SET STORAGE EXTERNAL;
CREATE TABLE child (id integer PRIMARY KEY, parent_id bigint REFERENCES parent ON DELETE CASCADE);

SELECT soft_delete.tag('parent', cascade => true, storage => 'aside');
\d parent
\d parent_tombstones
SELECT description FROM pg_description JOIN pg_trigger ON objoid = pg_trigger.oid WHERE tgrelid IN ('parent'::regclass, 'parent_tombstones'::regclass)
UNION ALL SELECT description FROM pg_description WHERE objoid = 'parent'::regclass
UNION ALL SELECT description FROM pg_description JOIN pg_constraint ON objoid = pg_constraint.oid WHERE conrelid = 'parent_tombstones'::regclass ORDER BY 1;
SELECT attname, attstorage FROM pg_attribute WHERE attrelid = 'parent_tombstones'::regclass AND attnum > 0 ORDER BY attnum;
\d child
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'parent_deleted'::regclass AND attnum > 0 ORDER BY attnum;
SELECT relation, tombstone_column, bin, active_view FROM soft_delete.tables ORDER BY relation::text;
SELECT * FROM soft_delete.check();
-- again: nothing to do
SELECT soft_delete.tag('parent', storage => 'aside');
SELECT soft_delete.tag('parent');

-- where the two are
CREATE SCHEMA bins;
CREATE TABLE kept (id integer PRIMARY KEY);
SELECT soft_delete.tag('kept', views => 'bins', storage => 'aside');
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'bins'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname;

-- tables of any kind, and names of any length
CREATE UNLOGGED TABLE unlogged (id integer);
CREATE TEMPORARY TABLE temporary (id integer PRIMARY KEY);
CREATE TABLE "a name of sixty-three bytes, which is as long as a name can be," (id integer);
SELECT soft_delete.tag('unlogged', storage => 'aside'), soft_delete.tag('temporary', storage => 'aside'),
	soft_delete.tag('"a name of sixty-three bytes, which is as long as a name can be,"', storage => 'aside');
SELECT relname, relpersistence FROM pg_class WHERE relname LIKE '%tombstones' ORDER BY relname COLLATE "C";

-- refusals
SELECT soft_delete.tag('kept', storage => 'elsewhere');
SELECT soft_delete.tag('kept', deleted_at => 'gone', storage => 'aside');
CREATE TABLE own (id integer, deleted_at timestamptz);
SELECT soft_delete.tag('own', storage => 'aside');
SELECT soft_delete.tag('own', deleted_at => 'deleted_at_by_delete', storage => 'aside');
CREATE TABLE taken (id integer);
CREATE TABLE taken_tombstones (id integer);
SELECT soft_delete.tag('taken', storage => 'aside');
CREATE TABLE late (id integer);
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
CREATE TRIGGER "~zzz" BEFORE DELETE ON late FOR EACH ROW EXECUTE FUNCTION noop();
SELECT soft_delete.tag('late', storage => 'aside');
-- nobody else sees what was deleted
RESET ROLE;
CREATE ROLE regress_aside_other;
GRANT USAGE ON SCHEMA aside_tags TO regress_aside_other;
GRANT SELECT, DELETE ON aside_tags.child TO regress_aside_other;
INSERT INTO aside_tags.child VALUES (1, NULL);
SET ROLE regress_aside_other;
DELETE FROM child WHERE id = 1;
SELECT count(*) FROM child_tombstones;
SELECT count(*) FROM child_deleted;
SET ROLE regress_aside;
SELECT id, deleted_by FROM child_deleted;

RESET ROLE;
GRANT SELECT ON ALL TABLES IN SCHEMA aside_tags TO regress_aside_other;
SELECT has_table_privilege('regress_aside_other', oid, 'SELECT'), relname FROM pg_class WHERE relnamespace = 'aside_tags'::regnamespace AND relname LIKE 'child_%' AND relkind IN ('r', 'v') ORDER BY relname;
GRANT SELECT ON child_deleted TO regress_aside_other;
SET ROLE regress_aside_other;
SELECT id FROM child_deleted;
SELECT soft_delete.undo(max(deleted_at)) FROM child_deleted;
UPDATE child_deleted SET deleted_at = NULL;
SET ROLE regress_aside;

-- by hand nothing is written to it
INSERT INTO child_tombstones VALUES (now(), 3, NULL);
UPDATE child_tombstones SET id = 2;
DELETE FROM child_tombstones;
TRUNCATE child_tombstones;
COPY child_tombstones FROM stdin;
\.
SELECT id FROM child_deleted;

-- schemas
CREATE SCHEMA aside_app;
SET search_path = aside_app;
SELECT soft_delete.tag_schema('aside_app', storage => 'aside');
CREATE TABLE t (id integer PRIMARY KEY);
CREATE TABLE u AS SELECT 1 AS a;
INSERT INTO t VALUES (1);
DELETE FROM t;
DELETE FROM u;
SELECT relation, deleted_rows FROM soft_delete.tables WHERE bin::text LIKE 't_%' OR bin::text LIKE 'u_%' ORDER BY relation::text;
-- a new table has its own columns, whatever they are called
CREATE TABLE aside_app.marked (id integer PRIMARY KEY, deleted_at timestamptz, deleted_at_by_delete text);
INSERT INTO aside_app.marked VALUES (1, '2024-01-01 00:00+00', 'x'), (2, NULL, 'y');
DELETE FROM aside_app.marked WHERE id = 1;
SELECT * FROM aside_app.marked;
SELECT id, deleted_at = '2024-01-01 00:00+00' AS is_own, deleted_at_by_delete, deleted_at_by_delete2 > deleted_at AS has_stamp FROM aside_app.marked_deleted;
CREATE TABLE aside_app.filled AS SELECT 1 AS id, now() AS deleted_at;
SELECT relation, tombstone_column, storage FROM soft_delete.tables WHERE relation::text ~ 'marked|filled' ORDER BY relation::text;
DROP TABLE aside_app.marked, aside_app.filled;
SELECT soft_delete.untag_schema('aside_app');
SELECT soft_delete.untag_schema('aside_app', tombstones => 'purge');
SELECT relname FROM pg_class WHERE relnamespace = 'aside_app'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname;

-- untag
SET search_path = aside_tags;
SELECT soft_delete.untag('child');
SELECT soft_delete.untag('parent', cascade => true, tombstones => 'keep');
SELECT * FROM child;
\d parent
SELECT relname FROM pg_class WHERE relnamespace = 'aside_tags'::regnamespace AND relname ~ '^(parent|child)_(deleted|tombstones)';

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA aside_tags, aside_app, bins CASCADE;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_aside', current_database()) \gexec
DROP OWNED BY regress_aside, regress_aside_other;
DROP ROLE regress_aside, regress_aside_other;
