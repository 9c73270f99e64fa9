-- ON DELETE actions and refusals are those of the hard-deleting twin: statement
-- by statement, the same counts, errors and rows in both schemas
CREATE ROLE regress_references;
CREATE SCHEMA hard AUTHORIZATION regress_references;
CREATE SCHEMA soft AUTHORIZATION regress_references;
SET ROLE regress_references;
SET client_min_messages = error;

CREATE FUNCTION soft.make(schema name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	t text;
BEGIN
	PERFORM set_config('search_path', schema, true);
	CREATE TABLE a (id integer PRIMARY KEY, alt integer UNIQUE);
	CREATE TABLE b (id integer PRIMARY KEY, a_id integer REFERENCES a ON DELETE CASCADE);
	CREATE TABLE c (id integer PRIMARY KEY, b_id integer REFERENCES b ON DELETE CASCADE, a_id integer REFERENCES a ON DELETE CASCADE);
	CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree ON DELETE CASCADE);
	CREATE TABLE egg (id integer PRIMARY KEY, hen_id integer);
	CREATE TABLE hen (id integer PRIMARY KEY, egg_id integer REFERENCES egg ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
	ALTER TABLE egg ADD FOREIGN KEY (hen_id) REFERENCES hen ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
	CREATE TABLE nulled (id integer PRIMARY KEY, a_id integer REFERENCES a ON DELETE SET NULL);
	CREATE TABLE defaulted (id integer PRIMARY KEY, a_id integer DEFAULT 9 REFERENCES a ON DELETE SET DEFAULT);
	CREATE TABLE pair (x integer, y integer, PRIMARY KEY (x, y));
	CREATE TABLE half (id integer PRIMARY KEY, x integer, y integer, FOREIGN KEY (x, y) REFERENCES pair ON DELETE SET NULL (y));
	CREATE TABLE restricted (id integer PRIMARY KEY, a_id integer CONSTRAINT restricted_fk REFERENCES a ON DELETE RESTRICT);
	CREATE TABLE blocking (id integer PRIMARY KEY, a_alt integer CONSTRAINT blocking_fk REFERENCES a (alt));
	CREATE TABLE late (id integer PRIMARY KEY, a_id integer CONSTRAINT late_fk REFERENCES a DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
	CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
	CREATE TABLE pieces (id integer, part_id integer REFERENCES parts ON DELETE CASCADE, PRIMARY KEY (id)) PARTITION BY HASH (id);
	CREATE TABLE pieces_1 PARTITION OF pieces FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE pieces_2 PARTITION OF pieces FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE log (what text);

	INSERT INTO a SELECT g, g * 10 FROM generate_series(1, 9) g;
	INSERT INTO b SELECT g, g % 3 + 1 FROM generate_series(1, 9) g;
	INSERT INTO c SELECT g, g % 9 + 1, g % 9 + 1 FROM generate_series(1, 18) g;
	INSERT INTO tree SELECT g, nullif(g / 2, 0) FROM generate_series(1, 15) g;
	INSERT INTO egg VALUES (1, NULL), (2, NULL);
	INSERT INTO hen VALUES (1, 1), (2, 2);
	UPDATE egg SET hen_id = 3 - id;
	INSERT INTO nulled VALUES (1, 1), (2, 2);
	INSERT INTO defaulted VALUES (1, 1), (2, 2);
	INSERT INTO pair VALUES (1, 1), (1, 2);
	INSERT INTO half VALUES (1, 1, 1), (2, 1, 2);
	INSERT INTO restricted VALUES (1, 4);
	INSERT INTO blocking VALUES (1, 50);
	INSERT INTO late VALUES (1, 6);
	INSERT INTO parts SELECT generate_series(1, 19);
	INSERT INTO pieces SELECT g, g FROM generate_series(1, 19) g;

	SET CONSTRAINTS ALL IMMEDIATE;
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $f$
	BEGIN
		EXECUTE format('INSERT INTO %I.log VALUES (%L)', TG_TABLE_SCHEMA, format('%s %s of %s %s', TG_WHEN, TG_OP, TG_TABLE_NAME, OLD.id));
		RETURN OLD;
	END
	$f$;
	FOREACH t IN ARRAY '{a,b,c,tree,egg,hen,nulled,defaulted,half,restricted,blocking,late,parts,pieces}'::text[] LOOP
		IF schema = 'soft' THEN
			PERFORM soft_delete.tag(t::regclass, cascade => true);
		END IF;
		EXECUTE format('CREATE TRIGGER note AFTER DELETE OR UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION note()', t);
	END LOOP;
	IF schema = 'soft' THEN
		PERFORM soft_delete.tag('pair');
	END IF;
END
$$;
SELECT soft.make('hard');
SELECT soft.make('soft');

-- what an application can see of all tables
CREATE FUNCTION soft.contents(schema name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	t text;
	part text;
	result text;
BEGIN
	FOREACH t IN ARRAY '{a,b,c,tree,egg,hen,nulled,defaulted,pair,half,restricted,blocking,late,parts,pieces,log}'::text[] LOOP
		EXECUTE format('SELECT coalesce(string_agg(r::text, %L ORDER BY r::text), %L) FROM (SELECT to_jsonb(whole) - %L FROM %I.%I whole) AS s(r)',
					   ';', '', 'deleted_at', schema, t) INTO part;
		result := concat_ws(E'\n', result, t || ': ' || part);
	END LOOP;
	RETURN result;
END
$$;

-- ask(statement): runs it against both, and gives the answer if it is the same, and so are the tables
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
			SET CONSTRAINTS ALL IMMEDIATE;
			SET CONSTRAINTS ALL DEFERRED;
			answers := answers || n::text;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, name = CONSTRAINT_NAME;
			answers := answers || format('%s %s, %s %s', SQLSTATE, name, message, detail);
		END;
	END LOOP;
	RETURN CASE WHEN answers[1] <> answers[2] THEN 'DIFFERENT: ' || answers::text
		WHEN soft.contents('hard') <> soft.contents('soft')
		THEN format(E'DIFFERENT: %s\n%s', soft.contents('hard'), soft.contents('soft'))
		ELSE answers[1] END;
END
$$;

-- multi-level, a diamond (c by two ways), composite and default
SELECT soft.ask($$DELETE FROM a WHERE id = 1$$);
SELECT soft.ask($$DELETE FROM a WHERE id IN (2, 3)$$);
-- self-referencing, a cycle, partitions on both sides
SELECT soft.ask($$DELETE FROM tree WHERE id = 2$$);
SELECT soft.ask($$DELETE FROM tree$$);
SELECT soft.ask($$DELETE FROM egg WHERE id = 1$$);
SELECT soft.ask($$DELETE FROM parts WHERE id BETWEEN 5 AND 12$$);
SELECT soft.ask($$DELETE FROM pair WHERE y = 2$$);
-- live children block, at once, at the end of the statement or later; deleted ones do not
-- (18 has words of its own for RESTRICT)
SELECT soft.ask($$DELETE FROM a WHERE id = 4$$) ~ '^(23503|23001) restricted_fk' AS restricted;
SELECT soft.ask($$DELETE FROM a WHERE id = 5$$);
SELECT soft.ask($$DELETE FROM a WHERE id = 6$$);
SELECT soft.ask($$DELETE FROM restricted$$);
SELECT soft.ask($$DELETE FROM blocking$$);
SELECT soft.ask($$WITH l AS (DELETE FROM late) DELETE FROM a WHERE id = 6$$);
SELECT soft.ask($$DELETE FROM a WHERE id IN (4, 5)$$);
-- a key that changes
SELECT soft.ask($$UPDATE a SET alt = alt + 1 WHERE id = 7$$);
SELECT soft.ask($$INSERT INTO blocking VALUES (2, 71)$$);
SELECT soft.ask($$UPDATE a SET alt = alt + 1 WHERE id = 7$$);
SELECT soft.ask($$DELETE FROM blocking$$);
SELECT soft.ask($$DELETE FROM a$$);

-- all that one statement took with it carries one stamp
RESET search_path;
SELECT count(DISTINCT deleted_at) = 1 AS one_stamp, count(*)
FROM (SELECT deleted_at FROM soft.parts_deleted UNION ALL SELECT deleted_at FROM soft.pieces_deleted) s;

-- and comes back, parents first
UPDATE soft.parts_deleted SET deleted_at = NULL;
UPDATE soft.pieces_deleted SET deleted_at = NULL;
SELECT (SELECT count(*) FROM soft.parts) AS parts, (SELECT count(*) FROM soft.pieces) AS pieces;

DROP SCHEMA hard, soft CASCADE;
RESET ROLE;
DROP ROLE regress_references;
