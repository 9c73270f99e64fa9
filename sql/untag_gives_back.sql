-- untag() gives indexes and constraints back as they were
CREATE ROLE regress_untag;
CREATE SCHEMA untag AUTHORIZATION regress_untag;
SET ROLE regress_untag;
SET search_path = untag;

CREATE TABLE t (
	id integer PRIMARY KEY,
	email text CONSTRAINT one_email UNIQUE,
	name text,
	room int4range,
	UNIQUE NULLS NOT DISTINCT (name, email) INCLUDE (id) WITH (fillfactor = 70),
	EXCLUDE USING gist (room WITH &&) WHERE (NOT isempty(room)),
	CONSTRAINT bare_exclusion EXCLUDE USING gist (room WITH =),
	CONSTRAINT kept UNIQUE (name) DEFERRABLE
);
CREATE UNIQUE INDEX lower_email ON t (lower(email) COLLATE "C" text_pattern_ops DESC) WHERE email <> 'x' AND name <> 'y';
CREATE INDEX plain ON t USING hash (name);
CREATE INDEX one_word ON t ((email = 'q')) WHERE (name = 'z') IS TRUE;
COMMENT ON CONSTRAINT one_email ON t IS 'of a constraint';
COMMENT ON INDEX plain IS 'of an index';
CREATE VIEW definitions AS
	SELECT relname, pg_get_indexdef(indexrelid), pg_get_constraintdef(con.oid),
		obj_description(con.oid, 'pg_constraint') AS of_constraint, obj_description(indexrelid, 'pg_class') AS of_index
	FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid LEFT JOIN pg_constraint con ON conindid = indexrelid
	WHERE indrelid IN ('t'::regclass);
CREATE TABLE was AS SELECT * FROM definitions;

SELECT soft_delete.tag('t');
SELECT count(*) AS changed FROM (SELECT * FROM was EXCEPT SELECT * FROM definitions) AS d;
INSERT INTO t VALUES (1, 'a', 'a', '[1,5)'), (2, 'b', 'b', '[5,9)');
DELETE FROM t WHERE id = 1;
SELECT soft_delete.untag('t', tombstones => 'purge');
SELECT * FROM definitions EXCEPT SELECT * FROM was;
SELECT * FROM was EXCEPT SELECT * FROM definitions;
SELECT description FROM pg_description WHERE objoid = 't'::regclass;
RESET ROLE;
SELECT soft_delete_internal.tag_arguments('t');
SET ROLE regress_untag;
SELECT tgname FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal;
SELECT relname FROM pg_class WHERE relnamespace = 'untag'::regnamespace AND relkind = 'v' ORDER BY 1;
SELECT * FROM t;
DELETE FROM t;
SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('all');
SELECT soft_delete.untag('t');

-- partitioned
CREATE TABLE p (id integer, k integer, code text, PRIMARY KEY (k, id), CONSTRAINT one_code UNIQUE (k, code)) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
CREATE INDEX p2_own ON p2 (code);
CREATE TABLE was_p AS SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid IN ('p'::regclass, 'p1'::regclass, 'p2'::regclass);
SELECT soft_delete.tag('p');
SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid IN ('p'::regclass, 'p1'::regclass, 'p2'::regclass) ORDER BY 1;
SELECT soft_delete.untag('p');
SELECT * FROM was_p
EXCEPT SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid IN ('p'::regclass, 'p1'::regclass, 'p2'::regclass);

RESET ROLE;
DROP SCHEMA untag CASCADE;
DROP ROLE regress_untag;
