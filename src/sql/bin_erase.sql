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

CREATE FUNCTION soft_delete_internal.may_erase(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_may_erase';
COMMENT ON FUNCTION soft_delete_internal.may_erase(regclass) IS
'whether the caller may erase rows of a table: its owner, and who may delete them from the table and from its bin';

CREATE FUNCTION soft_delete_internal.new_proofs(proofs regclass) RETURNS TABLE (relation text, key_hash bytea, erased_at timestamptz, erased_by text, rows bigint, owner text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT has_table_privilege(soft_delete_internal.caller(), proofs, 'SELECT')
	   -- its owner, as whom it is read, sees more than row security or a view shows the caller
	   OR NOT soft_delete_internal.caller_owns(proofs)
		  AND EXISTS (SELECT FROM pg_class WHERE oid = proofs AND (relkind = 'v' OR relrowsecurity AND NOT (SELECT rolbypassrls FROM pg_roles WHERE oid = soft_delete_internal.caller()))) THEN
		RAISE EXCEPTION 'permission denied for table %', proofs
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	RETURN QUERY
		-- copies of before have no owners
		SELECT DISTINCT q.* FROM soft_delete_internal.query_as_owner(proofs,
				format('SELECT relation, key_hash, erased_at, erased_by, rows, %s FROM %s', CASE WHEN soft_delete_internal.has_column(proofs, 'owner') THEN 'owner::text' ELSE 'NULL::text' END, proofs))
			AS q(relation text, key_hash bytea, erased_at timestamptz, erased_by text, rows bigint, owner text)
		WHERE NOT EXISTS (SELECT FROM soft_delete_internal.erasures AS e
						  WHERE (e.relation, e.key_hash, e.erased_at, e.erased_by, e.rows) = (q.relation, q.key_hash, q.erased_at, q.erased_by, q.rows));
END
$$;
COMMENT ON FUNCTION soft_delete_internal.new_proofs(regclass) IS
'the erasures in a table of proofs that this database has no proof of; raises 42501 unless the caller may read all of the table';

CREATE FUNCTION soft_delete_internal.is_proof_of(relation regclass, owner text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- another role may have made a table of the name, and erased rows of it that had the keys of these
	SELECT owner IS NULL OR relation IS NULL OR owner = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = relation)
$$;
COMMENT ON FUNCTION soft_delete_internal.is_proof_of(regclass, text) IS
'whether the proof of an erasure in a table of some owner is about a table that has its name now';

/* The key of an erasure that this database has a proof of may have been used again since. */
CREATE FUNCTION soft_delete_internal.keys_to_erase(proofs regclass, relation regclass) RETURNS SETOF text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hashes bytea[] := ARRAY(SELECT key_hash FROM soft_delete_internal.new_proofs(proofs) AS p
		WHERE to_regclass(p.relation) = keys_to_erase.relation AND soft_delete_internal.is_proof_of(keys_to_erase.relation, p.owner)
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
			   columns, relation, coalesce(soft_delete_internal.bin_of(relation), soft_delete_internal.sharded_bin(relation), relation), hashes), form => 'key') AS q(answer text[]);
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
	other_owner text;
BEGIN
	FOR target IN SELECT DISTINCT p.relation AS name, to_regclass(p.relation) AS relation FROM soft_delete_internal.new_proofs(proofs) AS p ORDER BY 1 LOOP
		-- after an error, the proofs of that table stay for the next call
		BEGIN
			erased_there := 0;
			-- before a key is looked for: an error after that would tell whether it is there
			IF NOT soft_delete_internal.may_erase(target.relation) THEN
				RAISE EXCEPTION 'permission denied to erase rows of table "%"', target.relation
					USING ERRCODE = 'insufficient_privilege';
			END IF;
			other_owner := (SELECT min(p.owner) FROM soft_delete_internal.new_proofs(proofs) AS p
							WHERE p.relation = target.name AND NOT soft_delete_internal.is_proof_of(target.relation, p.owner));
			IF other_owner IS NOT NULL THEN
				RAISE WARNING 'erasures in table "%" are not replayed: it was a table of role "%"', target.relation, other_owner
					USING ERRCODE = '01000', DETAIL = format('The owner is another one now: %s. Proofs without an owner are replayed.', pg_get_userbyid((SELECT relowner FROM pg_class WHERE oid = target.relation)));
			END IF;
			FOR key IN SELECT k FROM soft_delete_internal.keys_to_erase(proofs, target.relation) AS k LOOP
				erased_there := erased_there + soft_delete.erase(target.relation, VARIADIC key);
			END LOOP;
			-- proofs are trusted, so the caller may add those of its own tables only
			INSERT INTO soft_delete_internal.erasures (relation, key_hash, erased_at, erased_by, rows, owner, roleid)
			SELECT p.relation, p.key_hash, p.erased_at, p.erased_by, p.rows, coalesce(rolname, p.owner), pg_roles.oid
			FROM soft_delete_internal.new_proofs(proofs) AS p
				LEFT JOIN pg_class ON pg_class.oid = target.relation LEFT JOIN pg_roles ON pg_roles.oid = relowner
			WHERE p.relation = target.name AND soft_delete_internal.is_proof_of(target.relation, p.owner)
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

CREATE FUNCTION soft_delete_internal.given_key(relation regclass, key text[], alias text DEFAULT 'b', OUT condition text, OUT hash bytea)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	columns text[];
	texts text;
BEGIN
	-- a cast to a type without its length does not cut a value off
	SELECT array_agg(attname::text ORDER BY n), string_agg(format('%s.%I = %s', alias, attname, value), ' AND ' ORDER BY n), string_agg(format('format(''%%s'', %s)', value), ', ' ORDER BY n)
	INTO columns, condition, texts
	FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum),
		format('%L::%s', key[n], format_type(atttypid, CASE WHEN atttypid IN ('varchar'::regtype, 'varbit'::regtype) THEN -1 ELSE atttypmod END)) AS value
	WHERE conrelid = relation AND contype = 'p' AND attrelid = conrelid;
	IF columns IS NULL THEN
		RAISE EXCEPTION 'table "%" has no primary key', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'A row is known by its primary key.';
	ELSIF cardinality(key) IS DISTINCT FROM cardinality(columns) OR array_position(key, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'the key of table "%" must have % values, none of them null', relation, cardinality(columns)
			USING ERRCODE = 'invalid_parameter_value', DETAIL = format('They are those of: %s.', array_to_string(columns, ', '));
	END IF;
	SELECT digest INTO hash FROM soft_delete_internal.query_as_owner(relation,
		format('SELECT sha256(convert_to(ARRAY[%s]::text, getdatabaseencoding()))', texts), form => 'key') AS q(digest bytea);
END
$$;
COMMENT ON FUNCTION soft_delete_internal.given_key(regclass, text[], text) IS
'the condition of rows with a primary key, and the hash by which erasures know it; raises 55000 or 22023 for a key that cannot be one';

CREATE FUNCTION soft_delete_internal.records_of(relation regclass, OUT tells_all boolean, OUT roleid oid, OUT owner text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	SELECT has_table_privilege(soft_delete_internal.caller(), 'soft_delete_internal.events', 'SELECT')
			AND has_table_privilege(soft_delete_internal.caller(), 'soft_delete_internal.erasures', 'SELECT'), relowner, pg_get_userbyid(relowner)
		INTO tells_all, roleid, owner FROM pg_class WHERE oid = relation;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.records_of(regclass) IS
'whose records by the name of a table are told: those of tables of its owner, for another table may have had the name, or for auditors all';

CREATE FUNCTION soft_delete_internal.history(relation regclass, VARIADIC key text[])
RETURNS TABLE (event text, happened_at timestamptz, done_by name, actor text, reason text, deleted_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	root regclass := soft_delete_internal.root(relation);
	bin regclass := soft_delete_internal.bin_of(root);
	tombstone name := (soft_delete_internal.tag_arguments(root))[1];
	given record;
	stamps timestamptz[];
	hash bigint;
	teller record;
BEGIN
	IF tombstone IS NULL OR bin IS NULL THEN
		IF soft_delete_internal.sharded_bin(relation) IS NOT NULL THEN
			RETURN QUERY SELECT * FROM soft_delete_internal.history_sharded(relation, key);
			RETURN;
		END IF;
		RAISE EXCEPTION 'table "%" is not tagged', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('SELECT soft_delete.tag(%L);', relation);
	ELSIF NOT has_table_privilege(soft_delete_internal.caller(), bin, 'SELECT') THEN
		RAISE EXCEPTION 'permission denied for view %', bin
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	SELECT * INTO given FROM soft_delete_internal.given_key(root, key);
	hash := ('x' || left(encode(given.hash, 'hex'), 16))::bit(64)::bigint;
	SELECT * INTO teller FROM soft_delete_internal.records_of(root);
	stamps := ARRAY(SELECT stamp FROM soft_delete_internal.query_as_owner(root,
		format('SELECT %I FROM %s AS b WHERE %s', tombstone, bin, given.condition), form => 'key') AS q(stamp timestamptz));

	RETURN QUERY
	WITH restored AS MATERIALIZED (
		SELECT e.* FROM soft_delete_internal.events AS e
		WHERE e.event = 'restored' AND e.table_name = soft_delete_internal.qualified_name(root) AND hash = ANY (e.key_hashes)
		  AND (teller.tells_all OR e.ownerid = teller.roleid AND e.owner = teller.owner)
	)
	SELECT 'deleted', stamp, l.deleted_by::name, l.actor, l.reason, stamp
	FROM (SELECT unnest(stamps) UNION SELECT restored.deleted_at FROM restored) AS s(stamp) LEFT JOIN soft_delete_internal.ledger AS l ON l.deleted_at = stamp
	UNION ALL
	SELECT r.event, r.happened_at, r.done_by::name, r.actor, r.reason, r.deleted_at FROM restored AS r
	UNION ALL
	SELECT 'erased', erased_at, erased_by::name, NULL, NULL, NULL FROM soft_delete_internal.erasures AS e
	WHERE e.relation = soft_delete_internal.qualified_name(root) AND key_hash = given.hash
	  AND (teller.tells_all OR e.roleid = teller.roleid AND e.owner = teller.owner)
	ORDER BY 2, 1;
END
$$;
COMMENT ON FUNCTION soft_delete_internal.history(regclass, text[]) IS
'does soft_delete.history()';
