-- COPY writes many rows at once, as into an untagged table: the context of an error has no line then; deleted rows step aside
CREATE ROLE regress_bulk;
CREATE SCHEMA copy_bulk AUTHORIZATION regress_bulk;
SET ROLE regress_bulk;
SET search_path = copy_bulk;
\set QUIET off

CREATE TABLE plain_bulk (id integer PRIMARY KEY);
CREATE TABLE bulk (id integer PRIMARY KEY);
CREATE TABLE told (op text, n bigint);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO copy_bulk.told SELECT TG_OP, count(*) FROM new_rows; RETURN NULL; END';
SELECT soft_delete.tag('bulk');
CREATE TRIGGER tell AFTER INSERT ON bulk REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell();
\copy bulk FROM PROGRAM 'seq 1 3000'
DELETE FROM bulk WHERE id % 3 <> 0;
\copy bulk FROM PROGRAM 'seq 1 3 3000'
SELECT count(*), (SELECT count(*) FROM bulk_deleted) AS deleted, (SELECT count(*) FROM bulk_tombstones) AS aside FROM bulk;
INSERT INTO plain_bulk VALUES (3);
\copy plain_bulk FROM PROGRAM 'seq 2 3'
\copy bulk FROM PROGRAM 'seq 2 3'
TABLE told;
-- where something must be done for each row, one by one
CREATE TRIGGER each_row BEFORE INSERT ON bulk FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
\copy bulk FROM PROGRAM 'seq 2 3'
DROP TRIGGER each_row ON bulk;
ALTER TABLE bulk ADD CONSTRAINT later UNIQUE (id) DEFERRABLE;
\copy bulk FROM PROGRAM 'seq 2 3'
ALTER TABLE bulk DROP CONSTRAINT later;
ALTER TABLE bulk DISABLE TRIGGER "~soft_delete_key";
\copy bulk FROM PROGRAM 'seq 2 3'
ALTER TABLE bulk ENABLE TRIGGER "~soft_delete_key";
-- the trigger fires again
INSERT INTO bulk VALUES (2);
\copy bulk (id, deleted_at) FROM PROGRAM 'echo 5,now' (FORMAT csv)
SET row_security = off;
\copy bulk (id, deleted_at) FROM PROGRAM 'echo 3001,now' (FORMAT csv)
RESET row_security;
SELECT count(*) FROM bulk WHERE id > 3000;

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA copy_bulk CASCADE;
DROP ROLE regress_bulk;
