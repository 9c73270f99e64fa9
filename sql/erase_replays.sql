-- what was erased stays so after an older state has been restored
CREATE SCHEMA replay;
SET search_path = replay;
\set QUIET off

CREATE TABLE person (name text PRIMARY KEY, born timestamptz);
CREATE TABLE post (id integer, at timestamptz, name text REFERENCES person ON DELETE CASCADE, PRIMARY KEY (at, id));
SELECT soft_delete.tag('person', cascade => true);
CREATE FUNCTION again() RETURNS void LANGUAGE sql AS $$
	INSERT INTO replay.person VALUES ('ann', '2000-01-01'), ('bob', '2000-01-01'), ('cy', '2000-01-01');
	INSERT INTO replay.post VALUES (1, '2020-01-01 00:00+00', 'ann'), (2, '2020-01-02 00:00+00', 'bob'), (3, '2020-01-03 00:00+00', 'cy');
$$;
SELECT again();
-- before the backup: of an earlier ann
SELECT soft_delete.erase('person', 'ann');
INSERT INTO person VALUES ('ann', '2010-01-01');
CREATE TABLE backup AS SELECT * FROM soft_delete.erasures;

-- after it
SELECT soft_delete.erase('person', 'bob');
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German';
SELECT soft_delete.erase('post', '03.01.2020 09:00', '3');
RESET datestyle;
RESET timezone;
SELECT name FROM person TABLESAMPLE soft_delete.rows('all') ORDER BY 1;
CREATE TABLE newer AS SELECT * FROM soft_delete.erasures;

-- the backup comes back, where a row is live and another one deleted
TRUNCATE soft_delete_internal.erasures;
INSERT INTO soft_delete_internal.erasures SELECT * FROM backup;
INSERT INTO person VALUES ('bob', '2000-01-01');
INSERT INTO post VALUES (2, '2020-01-02 00:00+00', 'bob'), (3, '2020-01-03 00:00+00', 'cy');
DELETE FROM person WHERE name = 'bob';
INSERT INTO newer VALUES ('gone', '\x00', now(), 'someone', 1);
SELECT soft_delete.replay_erasures('newer');
SELECT name FROM person TABLESAMPLE soft_delete.rows('all') ORDER BY 1;
SELECT id, name FROM post TABLESAMPLE soft_delete.rows('all');
SELECT relation, count(*) FROM soft_delete.erasures GROUP BY 1 ORDER BY 1;
-- a second time there is nothing to do
INSERT INTO person VALUES ('bob', '2020-01-01');
SELECT soft_delete.replay_erasures('newer');
SELECT name FROM person ORDER BY 1;

-- in a state from before a table was tagged, its rows are told of
CREATE TABLE early (id integer PRIMARY KEY);
INSERT INTO early VALUES (1);
INSERT INTO newer VALUES ('replay.early', sha256('{1}'), now(), 'someone', 1);
SELECT soft_delete.replay_erasures('newer');

DROP SCHEMA replay CASCADE;
TRUNCATE soft_delete_internal.erasures;
