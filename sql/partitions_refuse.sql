-- a tagged table and an untagged one do not become partitions or parents of each
-- other, nor does a foreign table become part of a tagged one
CREATE ROLE regress_partitions;
CREATE ROLE regress_stranger;
CREATE SCHEMA parts AUTHORIZATION regress_partitions;
GRANT USAGE, CREATE ON SCHEMA parts TO regress_stranger;
CREATE FOREIGN DATA WRAPPER regress_nothing;
CREATE SERVER regress_nowhere FOREIGN DATA WRAPPER regress_nothing;
GRANT USAGE ON FOREIGN SERVER regress_nowhere TO regress_partitions;
SET ROLE regress_partitions;
SET search_path = parts;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE untagged (id integer, deleted_at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE tagged (id integer);
SELECT soft_delete.tag('tagged');
ALTER TABLE untagged ATTACH PARTITION tagged FOR VALUES FROM (0) TO (100);
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE parent (id integer, deleted_at timestamptz);
ALTER TABLE tagged INHERIT parent;
CREATE TABLE mixed () INHERITS (tagged, parent);
CREATE TABLE mixed () INHERITS (parent, tagged);
CREATE TABLE other (id integer);
SELECT soft_delete.tag('other', deleted_at => 'removed');
CREATE TABLE mixed () INHERITS (tagged, other);
\echo :LAST_ERROR_SQLSTATE
-- as the hint says
SELECT soft_delete.tag('untagged');
ALTER TABLE untagged ATTACH PARTITION tagged FOR VALUES FROM (0) TO (100);
RESET ROLE;
SELECT relname, soft_delete_internal.tag_arguments(oid) IS NOT NULL AS tagged FROM pg_class WHERE relnamespace = 'parts'::regnamespace AND relkind IN ('r', 'p') AND relname NOT LIKE '%\_tombstones' ORDER BY 1;
SET ROLE regress_partitions;

-- what only a tagged schema has tagged is released for an untagged root, unless it
-- has deleted rows
SELECT soft_delete.tag_schema('parts', exempt => '{root,parent}');
CREATE TABLE root (id integer, code text) PARTITION BY RANGE (id);
CREATE TABLE part (id integer, code text UNIQUE);
ALTER TABLE root ATTACH PARTITION part FOR VALUES FROM (0) TO (100);
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('part'), to_regclass('part_deleted'), string_agg(attname, ', ' ORDER BY attnum)
FROM pg_attribute WHERE attrelid = 'part'::regclass AND attnum > 0 AND NOT attisdropped;
SET ROLE regress_partitions;
SELECT conname, contype FROM pg_constraint WHERE conrelid = 'part'::regclass AND contype <> 'n';
CREATE TABLE used (id integer, code text);
INSERT INTO used VALUES (100);
DELETE FROM used;
ALTER TABLE root ATTACH PARTITION used FOR VALUES FROM (100) TO (200);
SELECT count(*) FROM used_deleted;
SELECT soft_delete.untag_schema('parts', tombstones => 'purge');
SELECT soft_delete.tag('other', deleted_at => 'removed');

DROP TABLE used;
-- another column, of another type, or one that cannot be a tombstone column
CREATE TABLE p (id integer) PARTITION BY RANGE (id);
SELECT soft_delete.tag('p');
CREATE TABLE removed (id integer);
SELECT soft_delete.tag('removed', deleted_at => 'removed');
ALTER TABLE p ATTACH PARTITION removed FOR VALUES FROM (0) TO (100);
CREATE TABLE flagged (id integer, deleted_at boolean);
ALTER TABLE p ATTACH PARTITION flagged FOR VALUES FROM (0) TO (100);
CREATE TABLE defaulted (id integer, deleted_at timestamptz DEFAULT now());
ALTER TABLE p ATTACH PARTITION defaulted FOR VALUES FROM (0) TO (100);
CREATE TABLE late (id integer);
CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
CREATE TRIGGER "~~" BEFORE DELETE ON late FOR EACH ROW EXECUTE FUNCTION veto();
ALTER TABLE p ATTACH PARTITION late FOR VALUES FROM (0) TO (100);
CREATE TABLE ruled (id integer);
CREATE RULE keep AS ON DELETE TO ruled DO INSTEAD NOTHING;
ALTER TABLE p ATTACH PARTITION ruled FOR VALUES FROM (0) TO (100);
-- what is refused is as it was
SELECT attrelid::regclass FROM pg_attribute JOIN pg_class ON oid = attrelid
WHERE relnamespace = 'parts'::regnamespace AND attname = 'deleted_at' AND NOT attisdropped AND relkind = 'r' ORDER BY 1;

-- foreign tables
CREATE FOREIGN TABLE far PARTITION OF p FOR VALUES FROM (0) TO (100) SERVER regress_nowhere;
CREATE FOREIGN TABLE far (id integer, deleted_at timestamptz) SERVER regress_nowhere;
ALTER TABLE p ATTACH PARTITION far FOR VALUES FROM (0) TO (100);
CREATE TABLE q (id integer) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE far_q PARTITION OF q FOR VALUES FROM (0) TO (100) SERVER regress_nowhere;
SELECT soft_delete.tag('q');

-- a table of somebody else
RESET ROLE;
SET ROLE regress_stranger;
CREATE TABLE foreign_part (id integer);
RESET ROLE;
SET ROLE regress_partitions;
ALTER TABLE p ATTACH PARTITION foreign_part FOR VALUES FROM (0) TO (100);
CREATE TABLE given PARTITION OF p FOR VALUES FROM (0) TO (100);
RESET ROLE;
ALTER TABLE parts.given OWNER TO regress_stranger;
SET ROLE regress_partitions;
INSERT INTO p VALUES (1), (2);
DELETE FROM p WHERE id = 1;
ALTER TABLE p DETACH PARTITION given;
SELECT id FROM p;

-- the server's own errors stay
ALTER TABLE p ATTACH PARTITION nowhere FOR VALUES FROM (0) TO (100);
ALTER TABLE nowhere ATTACH PARTITION late FOR VALUES FROM (0) TO (100);
ALTER TABLE p DETACH PARTITION late;
CREATE TABLE wide (id integer, more text);
ALTER TABLE p ATTACH PARTITION wide FOR VALUES FROM (100) TO (200);
SELECT attname FROM pg_attribute WHERE attrelid = 'wide'::regclass AND attnum > 0 ORDER BY 1;
CREATE VIEW view AS SELECT 1 AS id;
ALTER TABLE p ATTACH PARTITION view FOR VALUES FROM (100) TO (200);
ALTER TABLE view INHERIT p;
CREATE TABLE aside (id integer) PARTITION BY RANGE (id);
CREATE TABLE aside_low PARTITION OF aside FOR VALUES FROM (0) TO (100);
SELECT soft_delete.tag('aside', storage => 'aside');
INSERT INTO aside VALUES (1);
DELETE FROM aside;
ALTER TABLE aside ATTACH PARTITION aside_low FOR VALUES FROM (0) TO (100);
ALTER TABLE p ATTACH PARTITION aside_low FOR VALUES FROM (100) TO (200);
ALTER TABLE aside_low INHERIT tagged;
SELECT id FROM aside_deleted;
RESET ROLE;
SET ROLE regress_stranger;
ALTER TABLE p ATTACH PARTITION foreign_part FOR VALUES FROM (100) TO (200);
ALTER TABLE foreign_part INHERIT tagged;

RESET ROLE;
DROP SCHEMA parts CASCADE;
DROP SERVER regress_nowhere;
DROP FOREIGN DATA WRAPPER regress_nothing;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_partitions', current_database()) \gexec
DROP ROLE regress_partitions, regress_stranger;
