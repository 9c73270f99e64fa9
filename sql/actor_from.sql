-- soft_delete.actor_from: the user of the application is found in another setting, and a
-- value that names nobody makes no DELETE fail.
CREATE ROLE regress_actor_owner;
SET ROLE regress_actor_owner;
CREATE TEMP TABLE t (id integer PRIMARY KEY);
SELECT soft_delete.tag('t');
\pset format unaligned
\pset tuples_only
INSERT INTO t SELECT generate_series(1, 99);

-- deletes a row, and returns whom for
CREATE FUNCTION pg_temp.actor_of_delete() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	deleted integer;
BEGIN
	DELETE FROM t WHERE id = (SELECT min(id) FROM t) RETURNING id INTO deleted;
	RETURN (SELECT actor FROM t_deleted WHERE id = deleted);
END
$$;

-- a setting as it is
SET soft_delete.actor_from = 'application_name';
SET application_name = 'till 7';
SELECT pg_temp.actor_of_delete();
SET application_name = '';
SELECT pg_temp.actor_of_delete();
SET soft_delete.actor_from = 'my.person';
SELECT pg_temp.actor_of_delete();
BEGIN;
SET LOCAL my.person = 'anna';
SELECT pg_temp.actor_of_delete();
COMMIT;
SELECT pg_temp.actor_of_delete();

-- a part of a value in JSON
SET request.jwt.claims = '{"sub": "d8c1", "n": 7, "none": null, "app": {"name": "bob", "roles": ["a", "b"]}}';
SELECT format('SELECT set_config(''soft_delete.actor_from'', %L, false) AS source, pg_temp.actor_of_delete()', source)
FROM unnest(ARRAY['request.jwt.claims->>sub', 'request.jwt.claims ->> ''sub''', 'request.jwt.claims->app->>name', 'request.jwt.claims->>n',
	'request.jwt.claims->app->roles->>1', 'request.jwt.claims->>none', 'request.jwt.claims->>missing', 'request.jwt.claims->sub->>x',
	'->>', '->', '>', '''', ' ', 'request.jwt.claims->>']) AS source \gexec
SET soft_delete.actor_from = 'request.jwt.claims->>sub';
SELECT format('SELECT set_config(''request.jwt.claims'', %L, false) AS claims, pg_temp.actor_of_delete()', claims)
FROM unnest(ARRAY['', ' ', '{', 'anna', '[]', '7', 'null', '"sub"', '{"sub": ""}', '{"sub": "a\u0000"}', '{"sub": "\u00e9"}', '{"sub": 1e999999}', '{"sub": {"a": 1}}',
	repeat('[', 20)]) AS claims \gexec

-- what the application says itself counts
SET soft_delete.actor = 'carla';
SET request.jwt.claims = '{"sub": "d8c1"}';
SELECT pg_temp.actor_of_delete();
SET soft_delete.actor = '';
SELECT pg_temp.actor_of_delete();

-- no setting is read that the role may not read
SET soft_delete.actor_from = 'hba_file';
DO $$ BEGIN DELETE FROM t WHERE id = 99; EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%', SQLSTATE; END $$;
RESET soft_delete.actor_from;

DROP FUNCTION pg_temp.actor_of_delete();
DROP TABLE t;
RESET ROLE;
DROP ROLE regress_actor_owner;
