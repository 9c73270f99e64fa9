-- What removes the large objects that no row references, as vacuumlo does, does not take those of
-- deleted rows in place for unused: it is refused, or sees all rows.
CREATE ROLE regress_lo_owner;
CREATE SCHEMA regress_lo AUTHORIZATION regress_lo_owner;
SET ROLE regress_lo_owner;
SET search_path = regress_lo;
CREATE TABLE texts (id integer PRIMARY KEY, a text);
CREATE TABLE beside (id integer PRIMARY KEY, raster oid);
CREATE TABLE images (id integer PRIMARY KEY, raster oid);
SELECT soft_delete.tag('texts'), soft_delete.tag('beside', storage => 'aside');
-- no table in place may reference one
CREATE TEMPORARY TABLE vacuum_l AS SELECT oid AS lo FROM pg_largeobject_metadata;
DROP TABLE vacuum_l;

SELECT soft_delete.tag('images');
CREATE TEMPORARY TABLE vacuum_l AS SELECT oid AS lo FROM pg_largeobject_metadata;
-- whoever may read the table; who may not could not find out what it references, and is not hindered
RESET ROLE;
CREATE ROLE regress_lo_other;
GRANT SELECT (raster) ON images TO regress_lo_other;
SET ROLE regress_lo_other;
CREATE TEMPORARY TABLE vacuum_l AS SELECT oid AS lo FROM pg_largeobject_metadata;
SELECT raster FROM regress_lo.images;
DROP TABLE pg_temp.vacuum_l;
RESET ROLE;
GRANT USAGE ON SCHEMA regress_lo TO regress_lo_other;
SET ROLE regress_lo_other;
CREATE TEMPORARY TABLE vacuum_l AS SELECT oid AS lo FROM pg_largeobject_metadata;
-- other lists are nobody's business
CREATE TEMPORARY TABLE other AS SELECT oid FROM pg_class LIMIT 1;
SET ROLE regress_lo_owner;
CREATE TABLE listed AS SELECT oid AS lo FROM pg_largeobject_metadata;

-- who sees all rows finds what they reference
SELECT lo_from_bytea(4711, 'deleted') AS deleted, lo_from_bytea(4712, 'unused') AS unused;
INSERT INTO images VALUES (1, 4711);
DELETE FROM images;
SET row_security = off;
CREATE TEMPORARY TABLE vacuum_l AS SELECT oid AS lo FROM pg_largeobject_metadata WHERE oid IN (4711, 4712);
DELETE FROM vacuum_l WHERE lo IN (SELECT raster FROM images);
SELECT lo FROM vacuum_l;
RESET row_security;

SELECT lo_unlink(4711), lo_unlink(4712);
RESET ROLE;
DROP SCHEMA regress_lo CASCADE;
DROP OWNED BY regress_lo_owner, regress_lo_other;
DROP ROLE regress_lo_owner, regress_lo_other;
