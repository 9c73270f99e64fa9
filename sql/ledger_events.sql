-- The ledger counts what each deletion has deleted, by table, and what has become of it: when, by whom, for whom and why.
CREATE ROLE regress_events;
CREATE ROLE regress_events_clerk;
CREATE ROLE regress_events_other;
CREATE SCHEMA events AUTHORIZATION regress_events;
GRANT USAGE ON SCHEMA events TO PUBLIC;
SET ROLE regress_events;
SET search_path = events;
SET client_min_messages = warning;
CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
CREATE TABLE part (id integer PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE base (id integer PRIMARY KEY);
CREATE TABLE derived () INHERITS (base);
CREATE TABLE kept_aside (id integer PRIMARY KEY, note text);
SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('part'), soft_delete.tag('base'), soft_delete.tag('kept_aside', storage => 'aside');
INSERT INTO parent SELECT n, n FROM generate_series(1, 20) AS n;
INSERT INTO child SELECT n, n % 10 + 1 FROM generate_series(1, 40) AS n;
INSERT INTO part SELECT generate_series(0, 19);
INSERT INTO base SELECT generate_series(1, 3);
INSERT INTO derived SELECT generate_series(4, 8);
INSERT INTO kept_aside SELECT generate_series(1, 10);

-- by tables: those of a tree are one; deletions are in the order in which they were
CREATE VIEW counts AS
	SELECT dense_rank() OVER (ORDER BY deleted_at) AS n, relation, event, rows, done_by, happened_at = deleted_at AS at_once, actor, reason
	FROM soft_delete.events ORDER BY deleted_at, happened_at, relation, event;
DELETE FROM parent WHERE id = 20;
DELETE FROM parent WHERE id <= 3;
DELETE FROM part WHERE id % 2 = 0;
DELETE FROM base;
DELETE FROM kept_aside WHERE id < 4;
TRUNCATE part, kept_aside;
DELETE FROM parent WHERE id = 20;
SELECT n, relation, event, rows, done_by, at_once FROM counts;

-- nothing of what is rolled back, at whatever depth
BEGIN;
DELETE FROM parent WHERE id = 11;
SAVEPOINT s;
DELETE FROM parent WHERE id = 12;
ROLLBACK TO s;
DELETE FROM parent WHERE id IN (13, 14);
COMMIT;
DO $$
BEGIN
	DELETE FROM events.child WHERE id IN (5, 6);
	BEGIN
		DELETE FROM events.parent WHERE id = 7;
		BEGIN
			DELETE FROM events.parent WHERE id = 8;
			RAISE 'no';
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
		DELETE FROM events.child WHERE id = 7;
	END;
END
$$;
SELECT n, relation, event, rows FROM counts WHERE n > 6;

-- a statement that drops the table; a procedure that commits; what deferred triggers delete at the commit
CREATE TABLE gone (id integer PRIMARY KEY);
SELECT soft_delete.tag('gone');
INSERT INTO gone SELECT generate_series(1, 3);
DO $$ BEGIN DELETE FROM events.gone; SET client_min_messages = warning; DROP TABLE events.gone CASCADE; END $$;
CREATE PROCEDURE in_two() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM events.parent WHERE id IN (15, 16); COMMIT; DELETE FROM events.parent WHERE id IN (17, 18); END $$;
CALL in_two();
CREATE FUNCTION delete_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM events.part; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER DELETE ON kept_aside DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION delete_later();
INSERT INTO part VALUES (1), (11), (12);
INSERT INTO kept_aside VALUES (1), (2);
DELETE FROM kept_aside;
DROP TRIGGER later ON kept_aside;
SELECT n, relation, event, rows FROM counts WHERE n > 9;

-- what becomes of them: restored by the bin, by undo() and as it is asked for by others; purged by hand and as due; erased
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 1;
GRANT SELECT, UPDATE, DELETE ON parent_deleted, child_deleted, part_deleted TO regress_events_clerk;
RESET ROLE;
SET ROLE regress_events_clerk;
SET soft_delete.actor = 'desk 4';
SET soft_delete.reason = 'asked to';
SELECT soft_delete.undo(deleted_at) FROM parent_deleted WHERE id = 11;
UPDATE part_deleted SET deleted_at = NULL WHERE id = 0;
RESET soft_delete.actor;
RESET soft_delete.reason;
-- a clerk sees what it has done of what others have deleted
SELECT relation, event, rows, done_by, actor, reason FROM soft_delete.events ORDER BY relation;
SELECT count(*) FROM soft_delete.deletions;
RESET ROLE;
SET ROLE regress_events;
DELETE FROM parent_deleted WHERE id = 2;
SELECT soft_delete.erase('parent', '3'), soft_delete.erase('parent', '4');
SELECT soft_delete.retain('part', '0');
CALL soft_delete.purge('part', batch_size => 3);
SELECT n, relation, event, sum(rows) AS rows, done_by, actor, reason, at_once FROM counts WHERE event <> 'deleted' GROUP BY 1, 2, 3, 5, 6, 7, 8 ORDER BY 1, 2, 3;

-- a restore that is rolled back is none
BEGIN;
UPDATE parent_deleted SET deleted_at = NULL WHERE id = 13;
SELECT count(*) FROM counts WHERE event = 'restored';
ROLLBACK;
SELECT count(*) FROM counts WHERE event = 'restored';

-- and by deletions
SELECT row_number() OVER (ORDER BY deleted_at) AS n, deleted, restored, purged, erased, changed_at > deleted_at AS has_changed, changed_by FROM soft_delete.deletions ORDER BY deleted_at;

-- others see nothing of it
RESET ROLE;
SET ROLE regress_events_other;
SELECT count(*) FROM soft_delete.events;
RESET ROLE;

-- the record outlives the table
SET ROLE regress_events;
CREATE TABLE last_one (id integer PRIMARY KEY);
SELECT soft_delete.tag('last_one');
INSERT INTO last_one SELECT generate_series(1, 3);
DELETE FROM last_one;
SELECT relation, event, rows FROM counts WHERE relation = 'events.last_one';
DROP TABLE last_one CASCADE;
SELECT relation, event, rows FROM counts WHERE relation = 'events.last_one';


-- by many subtransactions, which need no more memory than hard deletes
SET ROLE regress_events;
CREATE TABLE soft (id integer PRIMARY KEY);
CREATE TABLE hard (id integer PRIMARY KEY);
SELECT soft_delete.tag('soft');
INSERT INTO soft SELECT generate_series(1, 3000);
INSERT INTO hard SELECT generate_series(1, 3000);
RESET ROLE;
CREATE FUNCTION used_by(deletion text) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	FOR n IN 1 .. 3000 LOOP
		BEGIN
			EXECUTE format(deletion, n);
			IF n % 3 = 0 THEN
				RAISE no_data_found;
			END IF;
		EXCEPTION WHEN no_data_found THEN
		END;
	END LOOP;
	RETURN (SELECT used_bytes FROM pg_backend_memory_contexts WHERE name = 'TopTransactionContext');
END
$$;
SELECT used_by('DELETE FROM hard WHERE id = %s') AS hard \gset
SELECT used_by('DELETE FROM soft WHERE id = %s') < :hard + 10000 AS as_hard;
SELECT count(*) FROM soft_deleted;
SELECT relation, event, rows FROM counts WHERE relation = 'events.soft';
SET ROLE regress_events;

-- by the name that it had then
INSERT INTO base VALUES (1), (2);
DELETE FROM base WHERE id = 1;
ALTER TABLE base RENAME TO "Base";
DELETE FROM "Base" WHERE id = 2;
RESET ROLE;
ALTER SCHEMA events RENAME TO later_events;
SET ROLE regress_events;
SET search_path = later_events;
INSERT INTO "Base" VALUES (3), (4);
DELETE FROM "Base";
SELECT relation, rows FROM counts ORDER BY n DESC LIMIT 3;

RESET ROLE;
DROP SCHEMA later_events CASCADE;
DROP ROLE regress_events, regress_events_clerk, regress_events_other;
SELECT DISTINCT done_by FROM soft_delete.events WHERE relation = 'events.base';
