-- a deleted child that follows the key of its parent makes the tombstone step aside that holds the new one
CREATE ROLE regress_keys_follow;
CREATE SCHEMA keys_follow AUTHORIZATION regress_keys_follow;
SET ROLE regress_keys_follow;
SET search_path = keys_follow;
\set VERBOSITY terse

CREATE TABLE team (id integer PRIMARY KEY);
CREATE TABLE member (team_id integer REFERENCES team ON UPDATE CASCADE ON DELETE CASCADE, n integer, PRIMARY KEY (team_id, n));
SELECT soft_delete.tag('team', cascade => true);
INSERT INTO team VALUES (1), (2);
INSERT INTO member VALUES (1, 1), (2, 1);
DELETE FROM member;
DELETE FROM team WHERE id = 2;
UPDATE team SET id = 2 WHERE id = 1;
SELECT team_id, n, stored_in::regclass FROM member_deleted ORDER BY stored_in::regclass::text;
SELECT id FROM team;

RESET ROLE;
DROP SCHEMA keys_follow CASCADE;
DROP ROLE regress_keys_follow;
