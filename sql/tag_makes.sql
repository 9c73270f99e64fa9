-- tag() adds the column, the tag, partial indexes under the same names and two views
CREATE ROLE regress_tag_makes;
CREATE ROLE regress_tag_other;
CREATE SCHEMA tag_makes AUTHORIZATION regress_tag_makes;
CREATE SCHEMA "Other ""Schema""" AUTHORIZATION regress_tag_makes;
SET ROLE regress_tag_makes;
SET search_path = tag_makes;

CREATE TABLE users (
	id integer PRIMARY KEY,
	email text CONSTRAINT one_email UNIQUE,
	name text NOT NULL,
	room int4range,
	UNIQUE NULLS NOT DISTINCT (name, email) INCLUDE (id) WITH (fillfactor = 70),
	EXCLUDE USING gist (room WITH &&) WHERE (NOT isempty(room)),
	CONSTRAINT kept_deferrable UNIQUE (name) DEFERRABLE
);
CREATE UNIQUE INDEX lower_email ON users (lower(email) COLLATE "C" text_pattern_ops DESC) WHERE email <> 'x' AND name <> 'y';
CREATE INDEX plain_name ON users (name) WITH (fillfactor = 60);
CREATE INDEX expression_name ON users ((id + 1), name);
ALTER INDEX expression_name ALTER COLUMN 1 SET STATISTICS 77;
COMMENT ON CONSTRAINT one_email ON users IS 'comment of the constraint';
COMMENT ON INDEX plain_name IS 'comment of the index';
GRANT SELECT, DELETE ON users TO PUBLIC;
GRANT UPDATE (name) ON users TO regress_tag_other WITH GRANT OPTION;
INSERT INTO users VALUES (1, 'a', 'a'), (2, 'b', 'b');

SELECT soft_delete.tag('users');

SELECT column_name, data_type, is_nullable FROM information_schema.columns
WHERE table_schema = 'tag_makes' AND table_name = 'users' ORDER BY ordinal_position;
SELECT indexrelid::regclass, pg_get_indexdef(indexrelid), conname, contype, obj_description(indexrelid, 'pg_class')
FROM pg_index LEFT JOIN pg_constraint ON conindid = indexrelid
WHERE indrelid = 'users'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";
SELECT attnum, attstattarget FROM pg_attribute WHERE attrelid = 'expression_name'::regclass AND attstattarget > 0;
RESET ROLE;
SELECT tgname, soft_delete_internal.tag_arguments('users') FROM pg_trigger
WHERE tgrelid = 'users'::regclass AND NOT tgisinternal ORDER BY tgname COLLATE "C";
SET ROLE regress_tag_makes;

-- the views: columns, owner, grants, comments
SELECT relname, attname, format_type(atttypid, atttypmod), pg_get_userbyid(relowner), reloptions
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = 'tag_makes'::regnamespace AND relkind = 'v' ORDER BY relname, attnum;
SELECT relname, grantee, privilege_type, is_grantable
FROM pg_class, aclexplode(relacl)
WHERE relnamespace = 'tag_makes'::regnamespace AND relkind = 'v' AND grantee = 0 ORDER BY 1, 2, 3;
SELECT attname, privilege_type, is_grantable
FROM pg_attribute, aclexplode(attacl) WHERE attrelid = 'users_active'::regclass;
SELECT relname, obj_description(oid, 'pg_class') FROM pg_class
WHERE relnamespace = 'tag_makes'::regnamespace AND relkind = 'v' ORDER BY relname;

-- what psql shows of the table is explained there; what the application wrote is left alone
CREATE VIEW explained AS
SELECT pg_describe_object(classoid, objoid, objsubid) AS part, description FROM pg_description
WHERE (classoid, objoid) IN (SELECT 'pg_class'::regclass, 'users'::regclass UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = 'users'::regclass
	UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid = 'users'::regclass
	UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = 'users'::regclass);
SELECT * FROM explained ORDER BY part;

-- twice changes nothing and says so
CREATE TEMP TABLE before AS SELECT array_agg(oid ORDER BY oid) AS oids FROM pg_class WHERE relnamespace = 'tag_makes'::regnamespace;
SELECT soft_delete.tag('users');
SELECT oids = (SELECT array_agg(oid ORDER BY oid) FROM pg_class WHERE relnamespace = 'tag_makes'::regnamespace) AS unchanged FROM before;
DROP TABLE before;

-- a unique constraint that comes later is converted with the command that adds it
ALTER TABLE users ADD UNIQUE (id, email);
SELECT * FROM explained WHERE part LIKE '%id_email%' ORDER BY part;
DROP VIEW explained;
SELECT soft_delete.tag('users');
SELECT pg_get_indexdef('users_id_email_key'::regclass);
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('users');
SET ROLE regress_tag_makes;

-- indexes => 'unique' leaves the others alone
CREATE TABLE few (id integer PRIMARY KEY, a text UNIQUE, b text);
CREATE INDEX few_b ON few (b);
SELECT soft_delete.tag('few', indexes => 'unique');
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'few'::regclass ORDER BY 1;

-- kept: the target of a foreign key, a replica identity, the clustered index
CREATE TABLE target (id integer PRIMARY KEY, code text NOT NULL UNIQUE, serial integer NOT NULL UNIQUE, x integer);
CREATE TABLE source (code text REFERENCES target (code));
ALTER TABLE target REPLICA IDENTITY USING INDEX target_serial_key;
CREATE INDEX target_x ON target (x);
ALTER TABLE target CLUSTER ON target_x;
SELECT soft_delete.tag('target');
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'target'::regclass ORDER BY 1;

-- names: reserved words, capitals, blanks, quotes, 63 bytes, views elsewhere
CREATE TABLE "user" (id integer PRIMARY KEY, "Group" text UNIQUE, "a ""quoted"" name" integer);
CREATE TABLE "Mixed Case" (id integer, "select" text UNIQUE);
CREATE TABLE äöü_567890123456789012345678901234567890123456789012345678901 (id integer, UNIQUE (id));
SELECT soft_delete.tag('"user"', deleted_at => 'Deleted At');
SELECT soft_delete.tag('"Mixed Case"', deleted_at => 'order', views => 'Other "Schema"');
SELECT soft_delete.tag('äöü_567890123456789012345678901234567890123456789012345678901');
INSERT INTO "user" VALUES (1, 'g', 2), (2, 'h', 3);
DELETE FROM "user" WHERE id = 1;
SELECT id, "Group", "a ""quoted"" name", "Deleted At" IS NOT NULL FROM user_deleted;
UPDATE user_deleted SET "Deleted At" = NULL;
SELECT * FROM user_active;
INSERT INTO "Mixed Case" VALUES (1, 'x');
DELETE FROM "Mixed Case";
INSERT INTO "Mixed Case" VALUES (2, 'x') ON CONFLICT ("select") DO NOTHING;
SELECT * FROM "Other ""Schema"""."Mixed Case_active";
SELECT id, "select" FROM "Other ""Schema"""."Mixed Case_deleted";
SELECT relname, octet_length(relname) FROM pg_class WHERE relname LIKE 'äöü%' AND relkind = 'v' ORDER BY 1;

-- DROP TABLE takes the views along, as if they were not there
DROP TABLE "user", "Mixed Case";
SELECT relname FROM pg_class WHERE relname IN ('user_active', 'user_deleted', 'Mixed Case_active');

RESET ROLE;
DROP SCHEMA tag_makes, "Other ""Schema""" CASCADE;
DROP ROLE regress_tag_makes, regress_tag_other;
