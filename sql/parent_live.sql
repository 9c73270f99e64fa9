-- a child of a deleted parent is refused with the error of a parent
-- that is gone, on every version: by the live filter up to 18, by the guards of
-- reference.c from 19 on.  Fails without them.
CREATE ROLE regress_parent;
GRANT CREATE ON DATABASE :"DBNAME" TO regress_parent;
SET ROLE regress_parent;
CREATE SCHEMA soft AUTHORIZATION regress_parent;
CREATE SCHEMA hard AUTHORIZATION regress_parent;
SET client_min_messages = warning;

CREATE FUNCTION soft.make(schema name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('search_path', schema, true);
	CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE, a integer, b text, UNIQUE (a, b));
	CREATE TABLE child (id integer PRIMARY KEY, parent_id bigint REFERENCES parent,
		code varchar REFERENCES parent (code), a integer, b text,
		FOREIGN KEY (a, b) REFERENCES parent (a, b));
	CREATE TABLE self (id integer PRIMARY KEY, up integer REFERENCES self);
	CREATE TABLE pieces (id integer, parent_id integer REFERENCES parent) PARTITION BY LIST (id);
	CREATE TABLE pieces_1 PARTITION OF pieces FOR VALUES IN (1);
	INSERT INTO parent VALUES (1, 'one', 1, 'x'), (2, 'two', 2, 'y');
	INSERT INTO self VALUES (1, NULL), (2, 1);
	INSERT INTO child (id) VALUES (9);
	IF schema = 'soft' THEN
		PERFORM soft_delete.tag(t) FROM unnest('{parent,child,self,pieces}'::regclass[]) t;
	END IF;
	-- made after the tag
	CREATE TABLE pieces_2 PARTITION OF pieces FOR VALUES IN (2);
	CREATE TABLE younger (id integer PRIMARY KEY, parent_id integer);
	ALTER TABLE younger ADD CONSTRAINT younger_fk FOREIGN KEY (parent_id) REFERENCES parent ON UPDATE CASCADE;
	CREATE TABLE attached (id integer, parent_id integer CONSTRAINT own_name REFERENCES parent);
	IF schema = 'soft' THEN
		ALTER TABLE attached ADD COLUMN deleted_at timestamptz;
	END IF;
	ALTER TABLE pieces ATTACH PARTITION attached FOR VALUES IN (3);
END
$$;
SELECT soft.make('hard');
SELECT soft.make('soft');

-- ask(statement): runs it against both, and gives the answer if it is the same
CREATE FUNCTION soft.ask(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answers text[];
	schema text;
	n bigint;
	message text;
	detail text;
	name text;
BEGIN
	FOREACH schema IN ARRAY '{hard,soft}'::text[] LOOP
		PERFORM set_config('search_path', schema, true);
		BEGIN
			EXECUTE statement;
			GET DIAGNOSTICS n = ROW_COUNT;
			answers := answers || n::text;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, name = CONSTRAINT_NAME;
			answers := answers || format('%s %s, %s %s', SQLSTATE, name, message, detail);
		END;
	END LOOP;
	RETURN CASE WHEN answers[1] = answers[2] THEN answers[1] ELSE 'DIFFERENT: ' || answers::text END;
END
$$;

SELECT soft.ask($$DELETE FROM parent WHERE id = 1$$);
SELECT soft.ask($$INSERT INTO child (id, parent_id) VALUES (1, 1)$$);
SELECT soft.ask($$INSERT INTO child (id, parent_id) VALUES (2, 2)$$);
SELECT soft.ask($$INSERT INTO child (id, code) VALUES (3, 'one')$$);
SELECT soft.ask($$INSERT INTO child (id, code) VALUES (4, 'two')$$);
SELECT soft.ask($$INSERT INTO child (id, a, b) VALUES (5, 1, 'x')$$);
SELECT soft.ask($$INSERT INTO child (id, a, b) VALUES (6, 1, NULL)$$);
SELECT soft.ask($$UPDATE child SET parent_id = 1 WHERE id = 2$$);
SELECT soft.ask($$UPDATE child SET b = 'z' WHERE id = 2$$);
SELECT soft.ask($$UPDATE child SET parent_id = 2, code = 'one' WHERE id = 9$$);
SELECT soft.ask($$INSERT INTO child (id, parent_id) SELECT g, g - 9 FROM generate_series(10, 12) g$$);
SELECT soft.ask($$DELETE FROM self WHERE id = 2$$);
SELECT soft.ask($$INSERT INTO self VALUES (3, 2)$$);
SELECT soft.ask($$INSERT INTO self VALUES (4, 4), (5, 4)$$);
SELECT soft.ask($$INSERT INTO pieces VALUES (1, 1)$$);
SELECT soft.ask($$INSERT INTO pieces VALUES (2, 1)$$);
SELECT soft.ask($$INSERT INTO pieces VALUES (3, 1)$$);
SELECT soft.ask($$INSERT INTO pieces VALUES (1, 2), (2, 2), (3, 2)$$);
SELECT soft.ask($$UPDATE pieces SET id = 2 WHERE id = 1$$);
SELECT soft.ask($$INSERT INTO younger VALUES (1, 1)$$);
SELECT soft.ask($$INSERT INTO younger VALUES (2, 2)$$);
SELECT soft.ask($$WITH gone AS (DELETE FROM child WHERE id IN (2, 4)) SELECT 1$$);
SELECT soft.ask($$MERGE INTO younger USING (VALUES (2, 1)) v(id, p) ON v.id = younger.id WHEN MATCHED THEN UPDATE SET parent_id = p$$);

COPY soft.child (id, parent_id) FROM stdin;
20	1
\.

-- a role that may not read the child is not told the key
RESET ROLE;
CREATE ROLE regress_parent_writer;
GRANT USAGE ON SCHEMA hard, soft TO regress_parent_writer;
GRANT INSERT ON hard.younger, soft.younger TO regress_parent_writer;
SET ROLE regress_parent_writer;
SELECT soft.ask($$INSERT INTO younger VALUES (3, 1)$$);
RESET ROLE;

-- show_deleted shows; it makes no parent
SET soft_delete.show_deleted = on;
SELECT soft.ask($$INSERT INTO younger VALUES (4, 1)$$);
RESET soft_delete.show_deleted;

-- no guard is left behind, and none takes its foreign key along
SELECT soft_delete.guard_reference(oid) FROM pg_constraint WHERE conname = 'younger_fk';
SET ROLE regress_parent_writer;
SELECT soft_delete.guard_reference(max(oid)) FROM pg_constraint WHERE conname = 'younger_fk';
SELECT soft_delete.guard_reference(0);
RESET ROLE;
SELECT soft_delete.untag('soft.parent', tombstones => 'purge');
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'soft_delete.check_reference()'::regprocedure AND tgconstraint NOT IN
	(SELECT oid FROM pg_constraint WHERE confrelid = 'soft.self'::regclass);
SELECT conname FROM pg_constraint WHERE conrelid = 'soft.younger'::regclass AND contype = 'f';

DROP SCHEMA hard, soft CASCADE;
REVOKE CREATE ON DATABASE :"DBNAME" FROM regress_parent;
DROP ROLE regress_parent, regress_parent_writer;
