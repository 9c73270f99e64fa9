-- one client statement, one stamp: nested deletions share it, the next statement has its own
--
-- Stamps of a session only grow.
CREATE ROLE regress_stamps;
CREATE SCHEMA stamps AUTHORIZATION regress_stamps;
SET ROLE regress_stamps;
SET search_path = stamps;

CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE friend (id integer PRIMARY KEY);
CREATE TABLE late (id integer PRIMARY KEY);
INSERT INTO parent SELECT generate_series(1, 9);
INSERT INTO child SELECT g, g FROM generate_series(1, 9) g;
INSERT INTO friend SELECT generate_series(1, 9);
INSERT INTO late SELECT generate_series(1, 9);
CREATE FUNCTION befriend() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM friend WHERE id = OLD.id; RETURN NULL; END';
CREATE FUNCTION belate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM late WHERE id = OLD.id; DELETE FROM late WHERE id = OLD.id + 1; RETURN NULL; END';
CREATE TRIGGER befriend AFTER DELETE ON child FOR EACH ROW EXECUTE FUNCTION befriend();
CREATE CONSTRAINT TRIGGER belate AFTER DELETE ON child INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION belate();
SELECT soft_delete.tag('parent', cascade => true);
SELECT soft_delete.tag(t::regclass) FROM unnest('{friend,late}'::text[]) t;
CREATE VIEW deletions AS
	SELECT dense_rank() OVER (ORDER BY deleted_at) AS deletion, what, id FROM (
		SELECT deleted_at, 'parent' AS what, id FROM parent TABLESAMPLE soft_delete.rows('deleted')
		UNION ALL SELECT deleted_at, 'child', id FROM child TABLESAMPLE soft_delete.rows('deleted')
		UNION ALL SELECT deleted_at, 'friend', id FROM friend TABLESAMPLE soft_delete.rows('deleted')
		UNION ALL SELECT deleted_at, 'late', id FROM late TABLESAMPLE soft_delete.rows('deleted')) d
	ORDER BY 1, 2, 3;

-- cascade, trigger, and the deferred trigger at the end of the statement
DELETE FROM parent WHERE id = 1;
SELECT * FROM deletions;
-- two statements in one message, and in one transaction
DELETE FROM friend WHERE id = 2\; DELETE FROM friend WHERE id = 3;
BEGIN;
DELETE FROM friend WHERE id = 4;
DELETE FROM friend WHERE id = 5;
COMMIT;
-- one block is one statement; so is one prepared statement, each time
DO $$ BEGIN DELETE FROM friend WHERE id = 6; DELETE FROM late WHERE id = 6; END $$;
PREPARE d (integer) AS DELETE FROM friend WHERE id = $1;
EXECUTE d (7);
EXECUTE d (8);
-- a failed attempt inside the statement makes no difference
DO $$
BEGIN
	DELETE FROM late WHERE id = 8;
	BEGIN
		DELETE FROM late WHERE id = 7;
		RAISE 'no';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	DELETE FROM late WHERE id = 9;
END
$$;
-- a procedure that commits in between makes two
CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM parent WHERE id = 3;
	COMMIT;
	DELETE FROM parent WHERE id = 4;
END
$$;
CALL twice();
-- a cursor that deletes as it is fetched from
CREATE FUNCTION gone(integer) RETURNS integer LANGUAGE sql AS 'DELETE FROM parent WHERE id = $1 RETURNING id';
BEGIN;
DECLARE c CURSOR FOR SELECT gone(g) FROM generate_series(7, 8) g;
FETCH c;
FETCH c;
COMMIT;
SELECT * FROM deletions;

RESET ROLE;
DROP SCHEMA stamps CASCADE;
DROP ROLE regress_stamps;
