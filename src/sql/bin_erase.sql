/*
 * Erasures: the proofs that rows were destroyed for good, and their repetition.
 */

CREATE TABLE soft_delete_internal.erasures (
	-- the name, not regclass: the record outlives the table
	relation text NOT NULL,
	key_hash bytea NOT NULL,
	erased_at timestamptz NOT NULL,
	erased_by text NOT NULL,
	rows bigint NOT NULL,
	-- of the table, then: another one may have its name by now
	owner text,
	roleid oid
) USING heap;
ALTER TABLE soft_delete_internal.erasures REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.erasures IS
'proofs of erasures, by which soft_delete.replay_erasures() repeats them after an older state was restored';
COMMENT ON COLUMN soft_delete_internal.erasures.relation IS 'the table';
COMMENT ON COLUMN soft_delete_internal.erasures.key_hash IS 'SHA-256 of the primary key as the text of an array of texts, such as {1}: who can guess the key can test it';
COMMENT ON COLUMN soft_delete_internal.erasures.erased_at IS 'when';
COMMENT ON COLUMN soft_delete_internal.erasures.erased_by IS 'the role that erased';
COMMENT ON COLUMN soft_delete_internal.erasures.rows IS 'how many rows were destroyed, in all tables';
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.erasures', '');

CREATE FUNCTION soft_delete_internal.new_proofs(proofs regclass) RETURNS TABLE (relation text, key_hash bytea, erased_at timestamptz, erased_by text, rows bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT has_table_privilege(soft_delete_internal.caller(), proofs, 'SELECT') THEN
		RAISE EXCEPTION 'permission denied for table %', proofs
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	RETURN QUERY
		SELECT * FROM soft_delete_internal.query_as_owner(proofs,
				format('SELECT relation, key_hash, erased_at, erased_by, rows FROM %s', proofs))
			AS q(relation text, key_hash bytea, erased_at timestamptz, erased_by text, rows bigint)
		EXCEPT SELECT e.relation, e.key_hash, e.erased_at, e.erased_by, e.rows FROM soft_delete_internal.erasures AS e;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.new_proofs(regclass) IS
'the erasures in a table of proofs that this database has no proof of; raises 42501 unless the caller may read the table';

/* The key of an erasure that this database has a proof of may have been used again since. */
CREATE FUNCTION soft_delete_internal.keys_to_erase(proofs regclass, relation regclass) RETURNS SETOF text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hashes bytea[] := ARRAY(SELECT key_hash FROM soft_delete_internal.new_proofs(proofs) AS p
		WHERE to_regclass(p.relation) = keys_to_erase.relation
		  AND NOT EXISTS (SELECT FROM soft_delete_internal.erasures AS known
						  WHERE (known.relation, known.key_hash, known.erased_at) = (p.relation, p.key_hash, p.erased_at)));
	columns text := soft_delete_internal.key_expressions(relation);
BEGIN
	IF hashes = '{}' OR columns IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY SELECT answer FROM soft_delete_internal.query_as_owner(relation,
		format('SELECT DISTINCT key FROM (SELECT ARRAY[%1$s] FROM %2$s UNION ALL SELECT ARRAY[%1$s] FROM %3$s) AS all_rows(key) '
			   'WHERE sha256(convert_to(key::text, getdatabaseencoding())) = ANY (%4$L::bytea[])',
			   columns, relation, coalesce(soft_delete_internal.bin_of(relation), relation), hashes), form => 'key') AS q(answer text[]);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.keys_to_erase(regclass, regclass) IS
'the keys of a table that were erased by a table of proofs but not in this database, and that are there';

CREATE FUNCTION soft_delete_internal.replay_erasures(proofs regclass) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	target record;
	key text[];
	erased bigint := 0;
	erased_there bigint;
BEGIN
	FOR target IN SELECT DISTINCT p.relation AS name, to_regclass(p.relation) AS relation FROM soft_delete_internal.new_proofs(proofs) AS p ORDER BY 1 LOOP
		-- after an error, the proofs of that table stay for the next call
		BEGIN
			erased_there := 0;
			FOR key IN SELECT k FROM soft_delete_internal.keys_to_erase(proofs, target.relation) AS k LOOP
				erased_there := erased_there + soft_delete.erase(target.relation, VARIADIC key);
			END LOOP;
			-- proofs are trusted, so the caller may add those of its own tables only
			INSERT INTO soft_delete_internal.erasures (relation, key_hash, erased_at, erased_by, rows, owner, roleid)
			SELECT p.*, rolname, pg_roles.oid
			FROM soft_delete_internal.new_proofs(proofs) AS p
				LEFT JOIN pg_class ON pg_class.oid = target.relation LEFT JOIN pg_roles ON pg_roles.oid = relowner
			WHERE p.relation = target.name
			  AND ((SELECT rolsuper FROM pg_roles WHERE oid = soft_delete_internal.caller())
				   OR soft_delete_internal.caller_owns(target.relation));
			erased := erased + erased_there;
		EXCEPTION WHEN OTHERS THEN
			IF target.relation IS NULL OR soft_delete_internal.must_propagate(SQLSTATE) THEN
				RAISE;
			END IF;
			RAISE WARNING 'erasures in table "%" are not replayed: %', target.relation, SQLERRM USING ERRCODE = '01000';
		END;
	END LOOP;
	RETURN erased;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.replay_erasures(regclass) IS
'does soft_delete.replay_erasures()';
