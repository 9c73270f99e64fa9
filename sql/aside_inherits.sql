-- inheritance: each child has a companion of its own, which inherits from that of its parent
CREATE ROLE regress_aside_inherits;
CREATE SCHEMA aside_inherits AUTHORIZATION regress_aside_inherits;
\set SHOW_CONTEXT never
SET ROLE regress_aside_inherits;
SET search_path = aside_inherits;
\set QUIET off

CREATE TABLE a (id integer PRIMARY KEY, v text);
CREATE TABLE b (more text, PRIMARY KEY (id)) INHERITS (a);
CREATE TABLE c (most text) INHERITS (b);
CREATE TABLE p (id integer PRIMARY KEY, v text);
CREATE TABLE q (more text, PRIMARY KEY (id)) INHERITS (p);
SELECT soft_delete.tag('a', storage => 'aside'), soft_delete.tag('p');
SELECT conrelid::regclass, conname, connoinherit, coninhcount, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conname LIKE 'soft_delete_companion%' AND connamespace = 'aside_inherits'::regnamespace ORDER BY 1;
SELECT inhrelid::regclass, inhparent::regclass FROM pg_inherits WHERE inhrelid::regclass::text LIKE '%\_tombstones' ORDER BY 1;

INSERT INTO a VALUES (1, 'a');
INSERT INTO b VALUES (2, 'b', 'more');
INSERT INTO c VALUES (3, 'c', 'more', 'most');
INSERT INTO p VALUES (1, 'p');
INSERT INTO q VALUES (2, 'q', 'more');
DELETE FROM a;
DELETE FROM p;
INSERT INTO p VALUES (1, 'again');
INSERT INTO q VALUES (2, 'again', 'again');
SELECT id, v, stored_in::regclass FROM a_deleted ORDER BY id;
SELECT id, v, stored_in::regclass FROM p_deleted ORDER BY id;
SELECT id, more, most FROM c_tombstones;
SELECT id, more FROM q_tombstones;

-- columns come, go, and are renamed
ALTER TABLE a ADD COLUMN n integer DEFAULT 7;
ALTER TABLE b RENAME more TO "More";
ALTER TABLE a ALTER v TYPE varchar(20);
ALTER TABLE p ADD COLUMN n integer DEFAULT 7;
ALTER TABLE q RENAME more TO "More";
ALTER TABLE p ALTER v TYPE varchar(20);
ALTER TABLE p RENAME v TO w;
SELECT id, "More", most, n FROM c_tombstones;
SELECT id, w, "More", n FROM q_tombstones;
SELECT id, w, n, stored_in::regclass FROM p_deleted ORDER BY id;
ALTER TABLE ONLY a DROP COLUMN n;
ALTER TABLE p DROP COLUMN n;
SELECT attrelid::regclass, string_agg(attname, ',' ORDER BY attname) FROM pg_attribute
WHERE attrelid::regclass::text LIKE '%\_tombstones' AND attnum > 0 AND NOT attisdropped
  AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'aside_inherits'::regnamespace) GROUP BY 1 ORDER BY 1;
SELECT * FROM soft_delete.check() WHERE relation IN ('a'::regclass, 'p'::regclass);

-- they come back to where they were, and are purged
UPDATE a_deleted SET deleted_at = NULL WHERE id IN (1, 3);
SELECT id, v, tableoid::regclass FROM a ORDER BY id;
SELECT "More", most FROM c;
DELETE FROM p;
UPDATE p_deleted SET deleted_at = NULL WHERE w = 'q';
SELECT id, w, tableoid::regclass FROM p;
SELECT relation, deleted_rows, displaced_rows FROM soft_delete.tables WHERE relation IN ('a'::regclass, 'p'::regclass) ORDER BY 1;
CALL soft_delete.purge('a', older_than => '0');
CALL soft_delete.purge('p', older_than => '0');
SELECT (SELECT count(*) FROM a_deleted) AS a, (SELECT count(*) FROM p_deleted) AS p;

-- a child comes and goes, with what was deleted from it
CREATE TABLE d (id integer PRIMARY KEY, v varchar(20), own text);
SELECT soft_delete.tag('d', storage => 'aside');
INSERT INTO d VALUES (4, 'd', 'own');
DELETE FROM d;
ALTER TABLE d INHERIT a;
CREATE TABLE r (LIKE p INCLUDING ALL);
SELECT soft_delete.tag('r');
INSERT INTO r VALUES (4, 'r');
DELETE FROM r;
INSERT INTO r VALUES (4, 'again');
ALTER TABLE r INHERIT p;
SELECT id, v, stored_in::regclass FROM a_deleted ORDER BY id;
SELECT id, w, stored_in::regclass FROM p_deleted ORDER BY id;
ALTER TABLE d NO INHERIT a;
ALTER TABLE r NO INHERIT p;
SELECT id, v, own, stored_in::regclass FROM d_deleted;
SELECT id, w, stored_in::regclass FROM r_deleted;
SELECT count(*) FROM a_deleted;
SELECT * FROM soft_delete.check() WHERE relation IN ('a'::regclass, 'd'::regclass, 'p'::regclass, 'r'::regclass);
UPDATE d_deleted SET deleted_at = NULL;
SELECT * FROM d;
CREATE TABLE e (own text) INHERITS (a, d);
INSERT INTO e VALUES (5, 'e', 'own');
DELETE FROM e;
SELECT id, v, stored_in::regclass FROM a_deleted UNION ALL SELECT id, v, stored_in::regclass FROM d_deleted;

-- nothing else inherits from a companion, nor a companion from anything else
CREATE TABLE spy () INHERITS (a_tombstones);
ALTER TABLE a_tombstones INHERIT p;
ALTER TABLE p INHERIT a_tombstones;

-- the tag goes with all of them
DROP TABLE e;

SELECT soft_delete.untag('a'), soft_delete.untag('d'), soft_delete.untag('p');
SELECT soft_delete.untag('r', 'keep');
UPDATE r SET id = 5;
SELECT soft_delete.untag('r', 'keep');
SELECT id, w, deleted_at IS NOT NULL AS was_deleted FROM r ORDER BY id;
SELECT count(*) FROM pg_class WHERE relname LIKE '%\_tombstones' AND relnamespace = 'aside_inherits'::regnamespace;

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA aside_inherits CASCADE;
DROP ROLE regress_aside_inherits;
