-- tables with temporal keys, and with foreign keys that are not enforced, can be tagged
--
-- PostgreSQL has both from 18 on; before, there are no steps.
CREATE SCHEMA temporal;
SET search_path = temporal;
CREATE TABLE steps (step serial, command text, answer text);
DO $$
BEGIN
	IF current_setting('server_version_num')::integer >= 180000 THEN
		INSERT INTO steps (command, answer) VALUES
			('CREATE TABLE room (id int4range, during int4range, place text, CONSTRAINT room_pk PRIMARY KEY (id, during WITHOUT OVERLAPS))', '0'),
			('CREATE TABLE booking (id int PRIMARY KEY, room int4range, during int4range, CONSTRAINT room_fk FOREIGN KEY (room, PERIOD during) REFERENCES room (id, PERIOD during))', '0'),
			('SELECT soft_delete.tag(''room'')', '1'),
			('SELECT soft_delete.tag(''booking'')', '1'),
			('INSERT INTO room VALUES (''[1,2)'', ''[1,5)'', ''a''), (''[1,2)'', ''[5,9)'', ''b'')', '2'),
			('INSERT INTO booking VALUES (1, ''[1,2)'', ''[2,7)'')', '1'),
			('DELETE FROM room WHERE place = ''a''', '23503'),
			('DELETE FROM booking', '1'),
			('DELETE FROM room WHERE place = ''a''', '1'),
			('INSERT INTO booking VALUES (2, ''[1,2)'', ''[2,7)'')', '23503'),
			('UPDATE booking_deleted SET deleted_at = NULL', '23503'),
			-- who overlaps a deleted row claims its key
			('INSERT INTO room VALUES (''[1,2)'', ''[3,6)'', ''c'')', '23P01'),
			('INSERT INTO room VALUES (''[1,2)'', ''[3,5)'', ''c'')', '1'),
			('UPDATE room_deleted SET deleted_at = NULL', '23P01'),
			('DELETE FROM room WHERE place = ''c''', '1'),
			('UPDATE room_deleted SET deleted_at = NULL WHERE place = ''a''', '1'),
			('UPDATE booking_deleted SET deleted_at = NULL', '1'),
			('DELETE FROM room WHERE place = ''a''', '23503'),
			('CREATE TABLE parent (id int PRIMARY KEY)', '0'),
			('CREATE TABLE child (parent_id int, CONSTRAINT child_fk FOREIGN KEY (parent_id) REFERENCES parent NOT ENFORCED)', '0'),
			('SELECT soft_delete.tag(''parent'')', '1'),
			('SELECT soft_delete.tag(''child'')', '1'),
			('INSERT INTO child VALUES (1)', '1'),
			('DELETE FROM child', '1'),
			('UPDATE child_deleted SET deleted_at = NULL', '1'),
			('ALTER TABLE child ALTER CONSTRAINT child_fk ENFORCED', '23503'),
			('INSERT INTO parent VALUES (1)', '1'),
			('ALTER TABLE child ALTER CONSTRAINT child_fk ENFORCED', '0'),
			('DELETE FROM parent', '23503'),
			('ALTER TABLE child ALTER CONSTRAINT child_fk NOT ENFORCED', '0'),
			('DELETE FROM parent', '1'),
			('CREATE TABLE lax (parent_id int REFERENCES parent ON DELETE CASCADE NOT ENFORCED)', '0'),
			('SELECT FROM soft_delete.check()', '0'),
			('SELECT soft_delete.untag(''parent'', tombstones => ''purge'')', '1'),
			('SELECT soft_delete.untag(''child'', tombstones => ''purge'')', '1'),
			-- the bin has the virtual columns that the table has
			('CREATE TABLE computed (id int PRIMARY KEY, n int, v int GENERATED ALWAYS AS (n * 2) VIRTUAL)', '0'),
			('SELECT soft_delete.tag(''computed'', storage => ''aside'')', '1'),
			('INSERT INTO computed VALUES (1, 5)', '1'),
			('DELETE FROM computed', '1'),
			('SELECT FROM computed_deleted WHERE v = 10', '1'),
			('ALTER TABLE computed ALTER v SET EXPRESSION AS (n * 3), ADD w int GENERATED ALWAYS AS (n * 4) VIRTUAL', '0'),
			('SELECT FROM computed_deleted WHERE v = 15 AND w = 20', '1'),
			('UPDATE computed_deleted SET deleted_at = NULL', '1'),
			('SELECT FROM computed WHERE v = 15 AND w = 20', '1');
	END IF;
	-- nor is a check constraint, which is enforced later
	IF current_setting('server_version_num')::integer >= 190000 THEN
		INSERT INTO steps (command, answer) VALUES
			('CREATE TABLE checked (id int PRIMARY KEY, n int CONSTRAINT positive CHECK (n > 0) NOT ENFORCED)', '0'),
			('SELECT soft_delete.tag(''checked'')', '1'),
			('INSERT INTO checked VALUES (1, -1), (2, -2)', '2'),
			('DELETE FROM checked WHERE id = 1', '1'),
			('ALTER TABLE checked ALTER CONSTRAINT positive ENFORCED', '23514'),
			('DELETE FROM checked', '1'),
			('ALTER TABLE checked ALTER CONSTRAINT positive ENFORCED', '0'),
			('SELECT FROM checked_deleted', '2');
	END IF;
END
$$;

-- run what the steps say; tell which answer other than they say
SET client_min_messages = warning;
DO $$
DECLARE
	s steps;
	answer text;
BEGIN
	FOR s IN SELECT * FROM steps ORDER BY step LOOP
		BEGIN
			EXECUTE s.command;
			GET DIAGNOSTICS answer = ROW_COUNT;
		EXCEPTION WHEN OTHERS THEN
			answer := SQLSTATE;
		END;
		IF answer <> s.answer THEN
			RAISE WARNING '% instead of %: %', answer, s.answer, s.command;
		END IF;
	END LOOP;
END
$$;
SELECT * FROM soft_delete.check();

DROP SCHEMA temporal CASCADE;
