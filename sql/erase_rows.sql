-- erase() destroys a row, live or deleted, with its family and all copies
--
-- Children that stepped aside go with their parent.
CREATE ROLE regress_erase;
CREATE SCHEMA erase AUTHORIZATION regress_erase;
SET ROLE regress_erase;
SET search_path = erase;
\set QUIET off

CREATE TABLE person (id integer PRIMARY KEY, name text);
CREATE TABLE post (id integer PRIMARY KEY, person_id integer REFERENCES person ON DELETE CASCADE, body text);
CREATE TABLE note (id integer PRIMARY KEY, post_id integer REFERENCES post ON DELETE CASCADE) PARTITION BY HASH (id);
CREATE TABLE note_1 PARTITION OF note FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE note_2 PARTITION OF note FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE likes (id integer PRIMARY KEY, person_id integer REFERENCES person ON DELETE SET NULL);
CREATE TABLE invoice (id integer PRIMARY KEY, person_id integer REFERENCES person);
CREATE TABLE audit (what text);
SELECT soft_delete.tag('person', cascade => true), soft_delete.tag('likes'), soft_delete.tag('invoice');
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO audit VALUES (TG_WHEN || ' ' || TG_OP || ' ' || OLD.id);
	RETURN OLD;
END
$$;
CREATE TRIGGER before BEFORE DELETE ON person FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TRIGGER after AFTER DELETE ON person FOR EACH ROW EXECUTE FUNCTION audit();
CREATE VIEW everything AS
	SELECT 'person' AS what, id, deleted_at IS NOT NULL AS deleted FROM person TABLESAMPLE soft_delete.rows('all')
	UNION ALL SELECT 'person aside', id, true FROM person_tombstones
	UNION ALL SELECT 'post', id, deleted_at IS NOT NULL FROM post TABLESAMPLE soft_delete.rows('all')
	UNION ALL SELECT 'post aside', id, true FROM post_tombstones
	UNION ALL SELECT 'note', id, deleted_at IS NOT NULL FROM note TABLESAMPLE soft_delete.rows('all');

INSERT INTO person SELECT g, 'name ' || g FROM generate_series(1, 4) g;
INSERT INTO post SELECT g, g, 'body' FROM generate_series(1, 4) g;
INSERT INTO note SELECT g, g FROM generate_series(1, 4) g;
INSERT INTO likes SELECT g, g FROM generate_series(1, 4) g;

-- a live row: as by DELETE, then all is gone
SELECT soft_delete.erase('person', '1');
SELECT * FROM everything WHERE id = 1;
SELECT * FROM audit;
SELECT * FROM likes ORDER BY id;
-- nothing else
SELECT what, count(*) FROM everything GROUP BY 1 ORDER BY 1;

-- a deleted one, with what was deleted before it, stepped aside and has been live again
DELETE FROM note WHERE id = 2;
DELETE FROM post WHERE id = 2;
INSERT INTO post VALUES (2, 2, 'new');
DELETE FROM person WHERE id = 2;
INSERT INTO person VALUES (2, 'new');
INSERT INTO post VALUES (20, 2, 'new');
INSERT INTO note VALUES (20, 20);
SELECT * FROM everything WHERE id IN (2, 20) ORDER BY 1, 2, 3;
DELETE FROM person WHERE id = 2;
SELECT soft_delete.erase('person', '2');
SELECT * FROM everything WHERE id IN (2, 20);

-- what is not there, and what is found by an equal text
SELECT soft_delete.erase('person', '1');
SELECT soft_delete.erase('person', 99);
SELECT soft_delete.erase('person', 99::bigint);
SELECT soft_delete.erase('person', VARIADIC ARRAY[99]);
SELECT soft_delete.erase('person', 'nobody');
SELECT soft_delete.erase('person', ' 003 ');
SELECT * FROM everything ORDER BY 1, 2;

-- what references it otherwise keeps it, live or deleted
INSERT INTO invoice VALUES (4, 4);
SELECT soft_delete.erase('person', '4');
DELETE FROM invoice;
SELECT soft_delete.erase('person', '4');
DELETE FROM invoice_deleted;
SELECT count(*) FROM person;
SELECT soft_delete.erase('person', '4');

-- proofs, which have no key
SELECT relation, erased_by, rows, key_hash = sha256(convert_to(format('{%s}', id), 'UTF8')) AS right_hash
FROM soft_delete.erasures, generate_series(1, 4) AS id WHERE key_hash = sha256(convert_to(format('{%s}', id), 'UTF8')) ORDER BY erased_at;
SELECT count(*) FROM soft_delete.erasures;

-- no trace in the extension's own tables: of the row as parent, and as child
RESET ROLE;
SELECT count(*) FROM person_tombstones;
SET ROLE regress_erase;
RESET ROLE;
SELECT count(*) FROM soft_delete_internal.set_null_references;
SET ROLE regress_erase;
INSERT INTO person VALUES (8), (9);
UPDATE likes SET person_id = 8 WHERE id = 1;
UPDATE likes SET person_id = 9 WHERE id > 2;
DELETE FROM person;
RESET ROLE;
SELECT key, referenced FROM soft_delete_internal.set_null_references ORDER BY key;
SET ROLE regress_erase;
SELECT soft_delete.erase('likes', '3');
RESET ROLE;
SELECT key, referenced FROM soft_delete_internal.set_null_references ORDER BY key;
SET ROLE regress_erase;
SELECT soft_delete.erase('person', '8');
RESET ROLE;
SELECT key, referenced FROM soft_delete_internal.set_null_references ORDER BY key;
SET ROLE regress_erase;
SELECT soft_delete.undo(deleted_at) FROM person_deleted;
SELECT id, person_id FROM likes ORDER BY id;
DELETE FROM likes;
DELETE FROM person;
DELETE FROM likes_deleted;
DELETE FROM person_deleted;

-- composite keys in the order of the key, types whose text settings change, and texts that differ where keys do not
CREATE TABLE odd (v text, n numeric, at timestamptz, PRIMARY KEY (at, n, v));
SELECT soft_delete.tag('odd');
INSERT INTO odd VALUES ('it''s', 1.0, '2020-01-01 00:00+00');
DELETE FROM odd;
INSERT INTO odd VALUES ('it''s', 1.00, '2020-01-01 00:00+00'), ('other', 1, '2020-01-01 00:00+00');
SELECT soft_delete.erase('odd', '2020-01-01 09:00+09', '1', 'it''s');
SELECT v, n FROM odd;
SELECT count(*) FROM odd_deleted;
SELECT key_hash IN (sha256('{"2020-01-01 00:00:00+00",1.0,it''s}'), sha256('{"2020-01-01 00:00:00+00",1.00,it''s}')) AS right_hash, rows FROM soft_delete.erasures WHERE relation = 'erase.odd';

-- inheritance: what DELETE deletes
CREATE TABLE root (id integer PRIMARY KEY);
CREATE TABLE leaf () INHERITS (root);
SELECT soft_delete.tag('root');
INSERT INTO root VALUES (1);
INSERT INTO leaf VALUES (1), (2);
SELECT soft_delete.erase('root', '1');
SELECT soft_delete.erase('leaf', '2');
SELECT tableoid::regclass, id FROM root;

-- an array works as arrays do; many rows
SELECT soft_delete.erase('root', VARIADIC ARRAY['2']);
INSERT INTO person VALUES (5);
INSERT INTO post SELECT g, 5 FROM generate_series(100, 5099) g;
SELECT soft_delete.erase('person', '5');
SELECT count(*) FROM everything;

-- in one transaction, with a failure
INSERT INTO person VALUES (6), (7);
BEGIN;
SELECT soft_delete.erase('person', '6');
SAVEPOINT s;
SELECT soft_delete.erase('person', '7');
ROLLBACK TO s;
COMMIT;
SELECT id FROM person TABLESAMPLE soft_delete.rows('all');
SELECT count(*) FROM soft_delete.erasures WHERE relation = 'erase.person';

RESET ROLE;
DROP SCHEMA erase CASCADE;
DROP ROLE regress_erase;
TRUNCATE soft_delete_internal.erasures;
