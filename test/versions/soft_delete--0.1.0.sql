/*
 * Installs the SQL side of soft_delete: what DDL does.  What runs per row or per
 * plan is in C.  The Makefile puts these files together in the order that they
 * need.
 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION soft_delete" to load this file. \quit

GRANT USAGE ON SCHEMA soft_delete TO PUBLIC;

/*
 * Functions in C
 */

CREATE FUNCTION soft_delete.delete_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_delete_row';
COMMENT ON FUNCTION soft_delete.delete_row() IS
'the tag: a table is tagged exactly when it carries this BEFORE DELETE trigger; made by soft_delete.tag()';

CREATE FUNCTION soft_delete.restore_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_restore_row';
COMMENT ON FUNCTION soft_delete.restore_row() IS
'INSTEAD OF UPDATE trigger of a bin: SET deleted_at = NULL restores';

CREATE FUNCTION soft_delete.purge_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_purge_row';
COMMENT ON FUNCTION soft_delete.purge_row() IS
'INSTEAD OF DELETE trigger of a bin: destroys the row for good';

CREATE FUNCTION soft_delete.finish_bin() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_finish_bin';
COMMENT ON FUNCTION soft_delete.finish_bin() IS
'AFTER UPDATE OR DELETE statement trigger of a bin: restores or purges what its row triggers have collected, with what belongs to it';

CREATE FUNCTION soft_delete.rows(internal) RETURNS tsm_handler
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_rows';
COMMENT ON FUNCTION soft_delete.rows(internal) IS
'sampling method: FROM t TABLESAMPLE soft_delete.rows(''all'' | ''deleted'' | ''live'')';
REVOKE EXECUTE ON FUNCTION soft_delete.rows(internal) FROM PUBLIC;

CREATE FUNCTION soft_delete.wants_row(which text, is_live boolean) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'soft_delete_wants_row';
COMMENT ON FUNCTION soft_delete.wants_row(text, boolean) IS
'whether soft_delete.rows(which) includes a row';

CREATE FUNCTION soft_delete.shows_tombstones(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'soft_delete_shows_tombstones';
COMMENT ON FUNCTION soft_delete.shows_tombstones(oid) IS
'whether this is a maintenance session for the relation: row_security off, and its owner or superuser';

CREATE FUNCTION soft_delete.admits_tombstone(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'soft_delete_admits_tombstone';
COMMENT ON FUNCTION soft_delete.admits_tombstone(oid) IS
'guard of the tombstone column: true in a maintenance session, else an error';

CREATE FUNCTION soft_delete.index_hides(index regclass, attnum smallint) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_index_hides';
COMMENT ON FUNCTION soft_delete.index_hides(regclass, smallint) IS
'whether an index is partial on rows whose column is null';

CREATE FUNCTION soft_delete.tag_arguments(relation regclass) RETURNS text[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_tag_arguments';
COMMENT ON FUNCTION soft_delete.tag_arguments(regclass) IS
'arguments of a table''s tag: the tombstone column, then what untag() must know; null if not tagged';

CREATE FUNCTION soft_delete.bind_view(view regclass, relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_bind_view';
COMMENT ON FUNCTION soft_delete.bind_view(regclass, regclass) IS
'lets DROP TABLE take along a view that tag() made';

CREATE FUNCTION soft_delete.claim_key() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_claim_key';
COMMENT ON FUNCTION soft_delete.claim_key() IS
'BEFORE INSERT trigger of a tagged table: tombstones step aside where a new row claims the key that they keep';

CREATE FUNCTION soft_delete.rewrite_displaced(ctid tid, "row" jsonb, types jsonb) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_rewrite_displaced';
COMMENT ON FUNCTION soft_delete.rewrite_displaced(tid, jsonb, jsonb) IS
'replaces the columns of a tombstone that stepped aside, or destroys it, where they are null';

CREATE FUNCTION soft_delete.return_displaced(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_return_displaced';
COMMENT ON FUNCTION soft_delete.return_displaced(regclass) IS
'enters the tombstones that stepped aside into their table, which is not tagged any more';

CREATE FUNCTION soft_delete.claims_key(relation oid, new_row record, internal) RETURNS boolean
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'soft_delete_claims_key';
COMMENT ON FUNCTION soft_delete.claims_key(oid, record, internal) IS
'the same, checking a changed row; returns true';

CREATE FUNCTION soft_delete.bind_index(index regclass, "constraint" oid) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_bind_index';
COMMENT ON FUNCTION soft_delete.bind_index(regclass, oid) IS
'lets DROP CONSTRAINT take along the index that the constraint stands in for';

CREATE FUNCTION soft_delete.check_reference() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_check_reference';
COMMENT ON FUNCTION soft_delete.check_reference() IS
'guard of a foreign key that references a tagged table, from PostgreSQL 19 on: refuses a child of a deleted parent';

CREATE FUNCTION soft_delete.follow_key() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_key';
COMMENT ON FUNCTION soft_delete.follow_key() IS
'guard of a foreign key from a tagged table: lets deleted rows follow a change of the key that they reference';

CREATE FUNCTION soft_delete.note_cut() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_note_cut';
COMMENT ON FUNCTION soft_delete.note_cut() IS
'guard of a foreign key with ON DELETE SET NULL or SET DEFAULT between tagged tables: notes which references a deletion cuts';

CREATE FUNCTION soft_delete.guard_reference("constraint" oid) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_guard_reference';
COMMENT ON FUNCTION soft_delete.guard_reference(oid) IS
'gives a foreign key its guards, or takes away those that it does not need';

CREATE FUNCTION soft_delete.is_own_transaction(xid) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_is_own_transaction';
COMMENT ON FUNCTION soft_delete.is_own_transaction(xid) IS
'whether a transaction is the current one or one of its subtransactions';

CREATE FUNCTION soft_delete.load() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_load';
COMMENT ON FUNCTION soft_delete.load() IS
'loads the library into the session';

/* From 17 on a login event trigger loads the library into every session. */
DO $$
BEGIN
	IF current_setting('server_version_num')::integer >= 170000 THEN
		CREATE EVENT TRIGGER soft_delete_login ON login EXECUTE FUNCTION soft_delete.load();
		ALTER EVENT TRIGGER soft_delete_login ENABLE ALWAYS;
		COMMENT ON EVENT TRIGGER soft_delete_login IS 'loads soft_delete into every session';
	END IF;
END
$$;
/*
 * Tombstones that stepped aside: their columns as text, by name
 */

CREATE TABLE soft_delete.displaced (
	relation regclass NOT NULL,
	deleted_at timestamptz NOT NULL,
	"row" jsonb NOT NULL,
	types jsonb NOT NULL
);
-- what happens here concerns no subscriber, even where all tables are published
ALTER TABLE soft_delete.displaced REPLICA IDENTITY NOTHING;
CREATE INDEX displaced_relation_deleted_at_idx ON soft_delete.displaced (relation, deleted_at);
COMMENT ON TABLE soft_delete.displaced IS
'tombstones whose key a live row has claimed; a bin lists those of its table';
COMMENT ON COLUMN soft_delete.displaced.relation IS 'the table or partition that held it';
COMMENT ON COLUMN soft_delete.displaced.deleted_at IS 'its stamp';
COMMENT ON COLUMN soft_delete.displaced."row" IS 'its columns, as text by name';
COMMENT ON COLUMN soft_delete.displaced.types IS 'their types by name; a column without type is one that could not follow ALTER TABLE';
COMMENT ON INDEX soft_delete.displaced_relation_deleted_at_idx IS 'finds what a bin lists';
SELECT pg_extension_config_dump('soft_delete.displaced', '');

/* The owner of a table may see them. */
ALTER TABLE soft_delete.displaced ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_own_tables ON soft_delete.displaced USING
	(EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND pg_catalog.pg_has_role(relowner, 'USAGE')));
COMMENT ON POLICY of_own_tables ON soft_delete.displaced IS 'the owner of a table sees what stepped aside in it';
GRANT SELECT ON soft_delete.displaced TO PUBLIC;

/*
 * The ledger
 */

CREATE TABLE soft_delete.ledger (
	deleted_at timestamptz PRIMARY KEY,
	xid xid8 NOT NULL,
	-- not name, whose values take 64 bytes each
	deleted_by text NOT NULL,
	session_role text NOT NULL,
	application_name text,
	actor text,
	reason text
) USING heap;
-- what happened here is not replicated, neither as it is written nor as it goes
ALTER TABLE soft_delete.ledger REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete.ledger IS
'one row per deletion, written by the library; read the view soft_delete.deletions';
SELECT pg_catalog.pg_extension_config_dump('soft_delete.ledger', '');

CREATE TABLE soft_delete.cut_references (
	deleted_at timestamptz NOT NULL,
	relation regclass NOT NULL,
	"constraint" name NOT NULL,
	key_columns name[] NOT NULL,
	key text[] NOT NULL,
	referenced text[] NOT NULL,
	left_with text[] NOT NULL
) USING heap;
CREATE INDEX ON soft_delete.cut_references (deleted_at);
ALTER TABLE soft_delete.cut_references REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete.cut_references IS
'references that deletions overwrote by ON DELETE SET NULL or SET DEFAULT: what a restore gives back';
SELECT pg_catalog.pg_extension_config_dump('soft_delete.cut_references', '');

CREATE VIEW soft_delete.deletions AS
SELECT deleted_at, xid, deleted_by::name, session_role::name, application_name, actor, reason FROM soft_delete.ledger
WHERE (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user)
   OR EXISTS (SELECT FROM pg_catalog.pg_roles
			  WHERE rolname OPERATOR(pg_catalog.=) deleted_by::name AND pg_catalog.pg_has_role(oid, 'USAGE'));
COMMENT ON VIEW soft_delete.deletions IS
'who deleted when and why: the deletions of roles whose rights the reader has';
COMMENT ON COLUMN soft_delete.deletions.deleted_at IS 'the stamp that all rows of the deletion carry';
COMMENT ON COLUMN soft_delete.deletions.xid IS 'the transaction, for soft_delete.undo_transaction()';
COMMENT ON COLUMN soft_delete.deletions.deleted_by IS 'the role that deleted';
COMMENT ON COLUMN soft_delete.deletions.session_role IS 'the role that logged in';
COMMENT ON COLUMN soft_delete.deletions.application_name IS 'application_name of the session';
COMMENT ON COLUMN soft_delete.deletions.actor IS 'soft_delete.actor: whom the application acted for';
COMMENT ON COLUMN soft_delete.deletions.reason IS 'soft_delete.reason: why';
GRANT SELECT ON soft_delete.deletions TO PUBLIC;
/*
 * Small questions to the catalogs
 */

CREATE FUNCTION soft_delete.lists_library(setting text) RETURNS boolean
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(bool_or(regexp_replace(btrim(entry, E' \t\n"'), '^\$libdir/|\.so$', '', 'g') = 'soft_delete'), false)
	FROM regexp_split_to_table(setting, ',') AS entry
$$;
COMMENT ON FUNCTION soft_delete.lists_library(text) IS
'whether a list of libraries names soft_delete';

/* Security definer: ordinary roles may not read these settings. */
CREATE FUNCTION soft_delete.new_sessions_load() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT soft_delete.lists_library(current_setting('shared_preload_libraries'))
		OR coalesce(
			-- the database's own setting comes before the server's
			(SELECT soft_delete.lists_library(substring(entry FROM '^session_preload_libraries=(.*)$'))
			 FROM pg_db_role_setting, unnest(setconfig) AS entry
			 WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
			   AND setrole = 0 AND entry LIKE 'session\_preload\_libraries=%'),
			(SELECT source NOT IN ('user', 'database user') AND soft_delete.lists_library(reset_val)
			 FROM pg_settings WHERE name = 'session_preload_libraries'))
		OR EXISTS
			(SELECT FROM pg_event_trigger
			 WHERE evtfoid = 'soft_delete.load()'::regprocedure
			   AND evtevent = 'login' AND evtenabled IN ('O', 'A'))
$$;
COMMENT ON FUNCTION soft_delete.new_sessions_load() IS
'whether new sessions of this database will load the library';

CREATE FUNCTION soft_delete.family(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE family(member) AS (
		SELECT relation
		UNION
		SELECT inhrelid::regclass FROM pg_inherits JOIN family ON inhparent = member
	)
	SELECT member FROM family
$$;
COMMENT ON FUNCTION soft_delete.family(regclass) IS
'a table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete.view_name(relation regclass, suffix text) RETURNS name
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- as many characters of the table's name as leave room for the suffix
	SELECT (left(relname, max(length) FILTER (WHERE octet_length(left(relname, length)) + octet_length(suffix) <= 63)) || suffix)::name
	FROM pg_class, generate_series(1, 63) AS length
	WHERE oid = relation AND length <= char_length(relname)
	GROUP BY relname
$$;
COMMENT ON FUNCTION soft_delete.view_name(regclass, text) IS
'name of a view that tag() makes for a table';

CREATE FUNCTION soft_delete.bin_of(relation regclass) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT DISTINCT tgrelid::regclass
	FROM pg_trigger JOIN pg_rewrite ON ev_class = tgrelid
		JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
	WHERE tgfoid = 'soft_delete.purge_row()'::regprocedure
	  AND refclassid = 'pg_class'::regclass AND refobjid = relation
$$;
COMMENT ON FUNCTION soft_delete.bin_of(regclass) IS
'the bin of a tagged table';
/*
 * Indexes that hide tombstones, and the one that finds them
 */

CREATE FUNCTION soft_delete.index_definition(index regclass, OUT definition text, OUT predicate text, OUT deferral text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_exclusion boolean;
	tail text;
BEGIN
	SELECT pg_get_expr(indpred, indrelid), indisexclusion,
		CASE WHEN indisexclusion THEN pg_get_constraintdef(con.oid)
			-- of a partitioned table it is given as ON ONLY, but its partitions are meant
			ELSE regexp_replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') END
	INTO STRICT predicate, is_exclusion, definition
	FROM pg_index LEFT JOIN pg_constraint con ON conindid = indexrelid AND contype = 'x'
	WHERE indexrelid = index;

	-- an exclusion constraint ends with it
	deferral := CASE WHEN is_exclusion THEN substring(definition FROM '(?: DEFERRABLE)?(?: INITIALLY DEFERRED)?$') ELSE '' END;
	definition := left(definition, char_length(definition) - char_length(deferral));
	IF predicate IS NOT NULL THEN
		tail := format(CASE WHEN is_exclusion THEN ' WHERE (%s)' ELSE ' WHERE %s' END, predicate);
		IF NOT starts_with(reverse(definition), reverse(tail)) THEN
			RAISE EXCEPTION 'cannot split the definition of index %: %', index, definition
				USING ERRCODE = 'internal_error';
		END IF;
		definition := left(definition, -char_length(tail));
	END IF;

	definition := definition || coalesce(
		(SELECT format(CASE WHEN is_exclusion THEN ' USING INDEX TABLESPACE %I' ELSE ' TABLESPACE %I' END, spcname)
		 FROM pg_class JOIN pg_tablespace ON pg_tablespace.oid = reltablespace
		 WHERE pg_class.oid = index), '');
END
$$;
COMMENT ON FUNCTION soft_delete.index_definition(regclass) IS
'definition of an index, or of the exclusion constraint that it belongs to, split before and after WHERE';

/* A violation names the partition's index, so that keeps its name too. */
CREATE FUNCTION soft_delete.partition_indexes(index regclass, OUT partition regclass, OUT child regclass, OUT name name)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT indrelid::regclass, indexrelid::regclass, relname
	FROM soft_delete.family(index) AS member JOIN pg_index ON indexrelid = member JOIN pg_class ON oid = member
	WHERE member <> index
$$;
COMMENT ON FUNCTION soft_delete.partition_indexes(regclass) IS
'the indexes of partitions that belong to an index of a partitioned table';

/*
 * A stand-in is a constraint CHECK (true) that has the name of an index on live
 * rows, the name of the unique constraint before it.  ON CONFLICT ON CONSTRAINT
 * and ALTER TABLE name it.
 */
CREATE FUNCTION soft_delete.stand_in(index regclass) RETURNS oid
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT con.oid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
		JOIN pg_constraint con ON conrelid = indrelid AND conname = relname
	WHERE indexrelid = index AND indisunique AND indpred IS NOT NULL
	  AND contype = 'c' AND pg_get_expr(conbin, conrelid) = 'true'
$$;
COMMENT ON FUNCTION soft_delete.stand_in(regclass) IS
'the constraint that stands in for the unique constraint which an index was';

CREATE FUNCTION soft_delete.make_stand_in(index regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT indexrelid::regclass AS index, indrelid::regclass AS relation, i.relname, t.relkind
		FROM soft_delete.family(index) AS member JOIN pg_index ON indexrelid = member
			JOIN pg_class i ON i.oid = indexrelid JOIN pg_class t ON t.oid = indrelid
	LOOP
		IF soft_delete.stand_in(item.index) IS NULL THEN
			EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (true) %s %s', item.relation, item.relname,
				-- of a partitioned table it must be inherited
				CASE item.relkind WHEN 'p' THEN '' ELSE 'NO INHERIT' END,
				-- no scan; and from 18 on it need not be looked at at all
				CASE WHEN current_setting('server_version_num')::integer >= 180000 THEN 'NOT ENFORCED' ELSE 'NOT VALID' END);
		END IF;
		PERFORM soft_delete.bind_index(item.index, soft_delete.stand_in(item.index));
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.make_stand_in(regclass) IS
'gives an index on live rows, and those of its partitions, their stand-ins';

/* A partition must have the columns and the CHECK constraints of its parent to be attached. */
CREATE FUNCTION soft_delete.prepare_partition(parent regclass, partition regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete.tag_arguments(parent))[1];
	stand_in name;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = partition AND attname = deleted_at AND NOT attisdropped) THEN
		EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', partition, deleted_at,
			(SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = parent AND attname = deleted_at));
	END IF;
	FOR stand_in IN
		SELECT conname FROM pg_index JOIN pg_constraint con ON con.oid = soft_delete.stand_in(indexrelid)
		WHERE indrelid = parent
		  AND NOT EXISTS (SELECT FROM pg_constraint own WHERE own.conrelid = partition AND own.conname = con.conname)
	LOOP
		EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (true)', partition, stand_in);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.prepare_partition(regclass, regclass) IS
'gives a table that is to be attached to a tagged one the tombstone column and the stand-ins of that';

CREATE FUNCTION soft_delete.comments_on(index regclass) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('COMMENT ON INDEX %I.%I IS %L', nspname, relname, obj_description(indexrelid, 'pg_class'))
	FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
	WHERE indexrelid = index AND obj_description(indexrelid, 'pg_class') IS NOT NULL
	UNION ALL
	SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', conname, conrelid::regclass, obj_description(oid, 'pg_constraint'))
	FROM pg_constraint
	WHERE obj_description(oid, 'pg_constraint') IS NOT NULL
	  AND (oid = soft_delete.stand_in(index) OR (conindid = index AND contype IN ('u', 'x')))
$$;
COMMENT ON FUNCTION soft_delete.comments_on(regclass) IS
'commands that give an index and its constraint their comments';

/*
 * An index that soft_delete.plan() had prepared to take another's place is known
 * by its name, and ready if it differs in nothing but that and the predicate.
 */
CREATE FUNCTION soft_delete.prepared_name(index regclass) RETURNS name
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT format('soft_delete_%s', index::oid)::name $$;
COMMENT ON FUNCTION soft_delete.prepared_name(regclass) IS
'name of the index that plan() prepares to take an index''s place';

CREATE FUNCTION soft_delete.prepared_index(index regclass) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT new.oid FROM pg_class old JOIN pg_index o ON o.indexrelid = old.oid
		JOIN pg_class new ON new.relnamespace = old.relnamespace AND new.relname = soft_delete.prepared_name(index)
		JOIN pg_index n ON n.indexrelid = new.oid AND n.indrelid = o.indrelid
	WHERE old.oid = index
$$;
COMMENT ON FUNCTION soft_delete.prepared_index(regclass) IS
'the index that plan() has prepared to take an index''s place';

CREATE FUNCTION soft_delete.index_body(index regclass) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT substr(definition, char_length(format('CREATE %sINDEX %I ', CASE WHEN indisunique THEN 'UNIQUE ' END, relname)) + 1)
	FROM pg_index JOIN pg_class ON oid = indexrelid, soft_delete.index_definition(index)
	WHERE indexrelid = index
$$;
COMMENT ON FUNCTION soft_delete.index_body(regclass) IS
'definition of an index but for its name and its predicate';

CREATE FUNCTION soft_delete.is_prepared(index regclass, deleted_at name) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce((SELECT n.indisvalid AND n.indisunique = o.indisunique AND n.indnullsnotdistinct = o.indnullsnotdistinct
			AND soft_delete.index_body(n.indexrelid) = soft_delete.index_body(index)
			AND CASE WHEN o.indpred IS NULL THEN pg_get_expr(n.indpred, n.indrelid) = own
				-- theirs in parentheses or not, as it is an AND or another condition
				ELSE pg_get_expr(o.indpred, o.indrelid) IN (theirs, format('(%s)', theirs)) END
		FROM pg_index n, pg_index o, format('(%I IS NULL)', deleted_at) AS own,
			left(substr(pg_get_expr(n.indpred, n.indrelid), 2), -char_length(own) - 6) AS theirs
		WHERE n.indexrelid = soft_delete.prepared_index(index) AND o.indexrelid = index), false)
$$;
COMMENT ON FUNCTION soft_delete.is_prepared(regclass, name) IS
'whether the index that is to take an index''s place is ready';

CREATE FUNCTION soft_delete.replace_index(index regclass, definition text, as_constraint boolean, prepared regclass DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old record;
	commands text[];
	command text;
	stand_ins text[];
	partition_names jsonb;
BEGIN
	SELECT indrelid::regclass AS relation, relname, format('%I.%I', nspname, relname) AS name, contype,
		soft_delete.stand_in(indexrelid) IS NOT NULL AS has_stand_in
	INTO STRICT old
	FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
		JOIN pg_namespace ON pg_namespace.oid = relnamespace
		LEFT JOIN pg_constraint con ON conindid = indexrelid AND conrelid = indrelid AND contype IN ('u', 'x')
	WHERE indexrelid = index;

	SELECT array_agg(format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', attrelid::regclass, attnum, attstattarget))
	INTO commands FROM pg_attribute WHERE attrelid IN (SELECT soft_delete.family(index)) AND attstattarget >= 0;
	commands := commands || ARRAY(SELECT soft_delete.comments_on(m) FROM soft_delete.family(index) AS m);
	SELECT jsonb_object_agg(partition::oid, name), array_agg(format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', partition, name))
		FILTER (WHERE soft_delete.stand_in(child) IS NOT NULL)
	INTO partition_names, stand_ins FROM soft_delete.partition_indexes(index);

	IF old.contype IS NOT NULL OR old.has_stand_in THEN
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', old.relation, old.relname);
	END IF;
	IF to_regclass(old.name) IS NOT NULL THEN
		EXECUTE format('DROP INDEX %s', old.name);
	END IF;
	FOREACH command IN ARRAY coalesce(stand_ins, '{}') LOOP
		EXECUTE command;
	END LOOP;

	IF prepared IS NOT NULL THEN
		EXECUTE format('ALTER INDEX %s RENAME TO %I', prepared, old.relname);
	ELSIF as_constraint THEN
		EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', old.relation, old.relname, definition);
	ELSE
		EXECUTE definition;
	END IF;

	FOR command IN
		SELECT format('ALTER INDEX %s RENAME TO %I', child, partition_names ->> partition::oid::text)
		FROM soft_delete.partition_indexes(old.name::regclass)
		WHERE name <> partition_names ->> partition::oid::text
	LOOP
		EXECUTE command;
	END LOOP;
	IF NOT as_constraint AND old.contype = 'u' THEN
		PERFORM soft_delete.make_stand_in(old.name::regclass);
	END IF;
	FOREACH command IN ARRAY coalesce(commands, '{}') LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.replace_index(regclass, text, boolean, regclass) IS
'puts another index of the same name, a prepared one or a new one, in the place of an index, with its comments, statistics targets, names in partitions, and a stand-in for a unique constraint';

/*
 * A key that a foreign key references, a replica identity, a deferrable unique
 * constraint and the primary key cannot be partial.
 */
CREATE FUNCTION soft_delete.convertible_indexes(relation regclass, deleted_at name, indexes text,
	OUT index regclass, OUT name name, OUT hides boolean, OUT was_constraint boolean, OUT is_exclusion boolean)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT indexrelid::regclass, relname, coalesce(soft_delete.index_hides(indexrelid, attnum), false),
		coalesce(contype = 'u', false) OR soft_delete.stand_in(indexrelid) IS NOT NULL, indisexclusion
	FROM soft_delete.family(relation) AS member
		JOIN pg_index ON indrelid = member
		JOIN pg_class ON pg_class.oid = indexrelid
		JOIN pg_am ON pg_am.oid = relam
		LEFT JOIN pg_attribute ON attrelid = member AND attname = deleted_at AND NOT attisdropped
		LEFT JOIN pg_constraint con ON conindid = indexrelid AND conrelid = indrelid AND contype IN ('p', 'u', 'x')
	WHERE NOT indisprimary AND NOT indisreplident AND indisvalid AND indisready
	  AND (indisexclusion OR (indimmediate AND NOT coalesce(condeferrable, false)))
	  AND (NOT indisunique OR amname = 'btree')
	  AND (indisunique OR indisexclusion OR indexes = 'all')
	  AND NOT indisclustered			-- a partial index cannot be
	  AND indkey[0] IS DISTINCT FROM attnum	-- serves the bin, or was made for tombstones
	  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)
	  AND NOT EXISTS (SELECT FROM pg_index replaced
					  WHERE replaced.indrelid = member AND relname = soft_delete.prepared_name(replaced.indexrelid))
	  AND NOT EXISTS (SELECT FROM pg_constraint fk WHERE fk.contype = 'f' AND fk.conindid = indexrelid)
	  AND NOT EXISTS (SELECT FROM pg_depend
					  WHERE classid = 'pg_class'::regclass AND objid = indexrelid AND deptype = 'e')
	ORDER BY indexrelid
$$;
COMMENT ON FUNCTION soft_delete.convertible_indexes(regclass, name, text) IS
'the indexes of a table that can be partial on live rows, and whether they are';

CREATE FUNCTION soft_delete.report_others(relation regclass, deleted_at name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT indexrelid::regclass AS index, CASE
				WHEN EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid AND deptype = 'e')
					THEN 'It belongs to an extension.'
				WHEN NOT indisready THEN 'It is being built.'
				WHEN NOT indisvalid THEN 'It is invalid.'
			END AS reason
		FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attname = deleted_at
		WHERE indrelid IN (SELECT soft_delete.family(relation)) AND NOT soft_delete.index_hides(indexrelid, attnum)
		ORDER BY 1
	LOOP
		IF item.reason IS NOT NULL THEN
			RAISE NOTICE 'index "%" stays as it is', item.index
				USING DETAIL = item.reason, HINT = format('SELECT soft_delete.tag(%L) again when that has changed.', relation);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.report_others(regclass, name) IS
'says which indexes are not made partial, and why, where that is not expected';

CREATE FUNCTION soft_delete.hide_tombstones(relation regclass, deleted_at name, indexes text) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	definition text;
	predicate text;
	deferral text;
	remembered text[] := '{}';
BEGIN
	FOR item IN SELECT * FROM soft_delete.convertible_indexes(relation, deleted_at, indexes) LOOP
		IF item.hides THEN
			remembered := remembered || format('partial:%s', item.name);
			CONTINUE;
		END IF;

		SELECT * INTO definition, predicate, deferral FROM soft_delete.index_definition(item.index);
		predicate := concat_ws(' AND ', predicate, format('(%I IS NULL)', deleted_at));
		PERFORM soft_delete.replace_index(item.index,
			format(CASE WHEN item.is_exclusion THEN '%s WHERE (%s)%s' ELSE '%s WHERE %s' END, definition, predicate, deferral),
			item.is_exclusion,
			CASE WHEN soft_delete.is_prepared(item.index, deleted_at) THEN soft_delete.prepared_index(item.index) END);
		remembered := remembered || format('converted:%s', item.name);
	END LOOP;
	RETURN remembered;
END
$$;
COMMENT ON FUNCTION soft_delete.hide_tombstones(regclass, name, text) IS
'makes indexes partial on live rows; returns which it has converted, and which were partial before';

CREATE FUNCTION soft_delete.show_tombstones(relation regclass, deleted_at name, remembered text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	definition text;
	predicate text;
	deferral text;
	own_predicate text := format('(%I IS NULL)', deleted_at);
BEGIN
	FOR item IN SELECT * FROM soft_delete.convertible_indexes(relation, deleted_at, 'all') LOOP
		CONTINUE WHEN NOT item.hides OR 'partial:' || item.name = ANY (remembered);

		SELECT * INTO definition, predicate, deferral FROM soft_delete.index_definition(item.index);
		IF predicate = own_predicate THEN
			predicate := NULL;
		ELSE
			-- the server shows it as ((theirs) AND (deleted_at IS NULL))
			predicate := left(substr(predicate, 2), -char_length(' AND ' || own_predicate || ')'));
		END IF;

		IF item.was_constraint THEN
			definition := substring(definition FROM ' USING btree (\(.*)$');
			definition := 'UNIQUE ' ||
				CASE WHEN definition ~ '\) NULLS NOT DISTINCT( |$)' THEN 'NULLS NOT DISTINCT ' ELSE '' END ||
				regexp_replace(regexp_replace(definition, '\) NULLS NOT DISTINCT', ')'),
							   ' TABLESPACE (\S+)$', ' USING INDEX TABLESPACE \1');
		ELSIF predicate IS NOT NULL THEN
			definition := format(CASE WHEN item.is_exclusion THEN '%s WHERE (%s)' ELSE '%s WHERE %s' END, definition, predicate);
		END IF;
		PERFORM soft_delete.replace_index(item.index, definition || deferral,
			item.is_exclusion OR item.was_constraint);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.show_tombstones(regclass, name, text[]) IS
'gives indexes and constraints back as they were before hide_tombstones()';

CREATE FUNCTION soft_delete.has_bin_index(relation regclass, deleted_at name) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
				   WHERE indrelid = relation AND attname = deleted_at AND indisvalid
					 AND NOT soft_delete.index_hides(indexrelid, attnum))
$$;
COMMENT ON FUNCTION soft_delete.has_bin_index(regclass, name) IS
'whether an index finds tombstones by their stamp';

CREATE FUNCTION soft_delete.index_bin(relation regclass, deleted_at name) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
	prepared regclass;
	name name;
	made text[] := '{}';
BEGIN
	FOR member, prepared, name IN
		SELECT m, to_regclass(format('%I.%I', nspname, soft_delete.prepared_name(m))), soft_delete.view_name(m, '_deleted_at_idx')
		FROM soft_delete.family(relation) AS m JOIN pg_class ON pg_class.oid = m JOIN pg_namespace ON pg_namespace.oid = relnamespace
		WHERE NOT relispartition
	LOOP
		-- plan() has made one
		IF prepared IS NOT NULL AND soft_delete.has_bin_index(member, deleted_at) THEN
			IF to_regclass(format('%I.%I', (SELECT nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = member), name)) IS NULL THEN
				EXECUTE format('ALTER INDEX %s RENAME TO %I', prepared, name);
			END IF;
			made := made || (SELECT format('bin:%s', relname) FROM pg_class WHERE oid = prepared);
		ELSIF NOT soft_delete.has_bin_index(member, deleted_at) THEN
			EXECUTE format('CREATE INDEX ON %s (%I) WHERE %2$I IS NOT NULL', member, deleted_at);
			made := made || (SELECT format('bin:%s', relname) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
							 WHERE indrelid = member ORDER BY indexrelid DESC LIMIT 1);
		END IF;
	END LOOP;
	RETURN made;
END
$$;
COMMENT ON FUNCTION soft_delete.index_bin(regclass, name) IS
'indexes tombstones by their stamp where no index does; returns what untag() must know of it';
/*
 * Stand-ins follow their indexes, and indexes their stand-ins
 */

CREATE FUNCTION soft_delete.follow_stand_ins() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_trigger'::regclass
				   AND refclassid = 'pg_proc'::regclass AND refobjid = 'soft_delete.delete_row()'::regprocedure) THEN
		RETURN;
	END IF;

	-- one of the two was renamed
	FOR command IN
		SELECT CASE WHEN c.classid = 'pg_constraint'::regclass
			THEN format('ALTER INDEX %s RENAME TO %I', index.oid::regclass, conname)
			ELSE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', conrelid::regclass, conname, relname) END
		FROM pg_event_trigger_ddl_commands() AS c
			JOIN pg_depend ON pg_depend.classid = 'pg_class'::regclass AND refclassid = 'pg_constraint'::regclass AND deptype = 'a'
			JOIN pg_constraint con ON con.oid = refobjid AND contype = 'c'
			JOIN pg_class index ON index.oid = pg_depend.objid AND index.relkind IN ('i', 'I')
		WHERE conname <> relname
		  AND ((c.classid = 'pg_constraint'::regclass AND c.objid = con.oid) OR (c.classid = 'pg_class'::regclass AND c.objid = index.oid))
	LOOP
		EXECUTE command;
	END LOOP;

	-- an index was made anew, by a change of type or from a dump
	PERFORM soft_delete.bind_index(indexrelid, soft_delete.stand_in(indexrelid))
	FROM (SELECT DISTINCT soft_delete.family(coalesce(tgrelid, objid)) AS member
		  FROM pg_event_trigger_ddl_commands() LEFT JOIN pg_trigger ON classid = 'pg_trigger'::regclass AND oid = objid
		  WHERE classid IN ('pg_class'::regclass, 'pg_trigger'::regclass)) AS changed
		JOIN pg_index ON indrelid = member
	WHERE soft_delete.tag_arguments(member) IS NOT NULL AND soft_delete.stand_in(indexrelid) IS NOT NULL
	  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid
					  AND refclassid = 'pg_constraint'::regclass AND deptype = 'a');
END
$$;
COMMENT ON FUNCTION soft_delete.follow_stand_ins() IS
'event trigger that keeps stand-ins and their indexes together';

CREATE EVENT TRIGGER soft_delete_stand_ins ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'ALTER INDEX', 'CREATE TRIGGER')
	EXECUTE FUNCTION soft_delete.follow_stand_ins();
COMMENT ON EVENT TRIGGER soft_delete_stand_ins IS
'keeps stand-ins and their indexes together';

CREATE FUNCTION soft_delete.drop_stand_ins() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	FOR command IN
		WITH orphans AS MATERIALIZED (
			SELECT conrelid, conname, conbin FROM pg_event_trigger_dropped_objects()
				JOIN pg_constraint ON conname = object_name AND contype = 'c' AND conrelid <> 0 AND coninhcount = 0
				JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace AND nspname = schema_name
			WHERE object_type = 'index' AND to_regclass(format('%I.%I', schema_name, object_name)) IS NULL
		)
		SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM orphans
		WHERE pg_get_expr(conbin, conrelid) = 'true' AND soft_delete.tag_arguments(conrelid) IS NOT NULL
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.drop_stand_ins() IS
'event trigger that drops the stand-in of a dropped index';

CREATE EVENT TRIGGER soft_delete_stand_in_drops ON sql_drop
	WHEN TAG IN ('DROP INDEX', 'ALTER TABLE')
	EXECUTE FUNCTION soft_delete.drop_stand_ins();
COMMENT ON EVENT TRIGGER soft_delete_stand_in_drops IS
'drops the stand-in of a dropped index';
/*
 * The two views of a tagged table
 */

CREATE FUNCTION soft_delete.make_view(relation regclass, view_schema name, suffix text, query text, options text) RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view_name name := soft_delete.view_name(relation, suffix);
	view text := format('%I.%I', view_schema, view_name);
	persistence text;
BEGIN
	IF to_regclass(view) IS NOT NULL THEN
		RAISE EXCEPTION 'relation "%" already exists', view_name
			USING ERRCODE = 'duplicate_table',
				DETAIL = format('Table %s needs a view of that name.', relation),
				HINT = format('SELECT soft_delete.tag(%L, views => ''another_schema'');', relation);
	END IF;
	SELECT CASE WHEN relpersistence = 't' THEN 'TEMPORARY ' ELSE '' END INTO persistence
	FROM pg_class WHERE oid = relation;

	EXECUTE format('CREATE %sVIEW %s %s AS %s', persistence,
				   CASE WHEN persistence <> '' THEN quote_ident(view_name) ELSE view END, options, query);
	PERFORM soft_delete.bind_view(view::regclass, relation);
	EXECUTE format('ALTER VIEW %s OWNER TO %I', view, (SELECT relowner::regrole::text::name FROM pg_class WHERE oid = relation));
	RETURN view::regclass;
END
$$;
COMMENT ON FUNCTION soft_delete.make_view(regclass, name, text, text, text) IS
'creates a view for a tagged table, owned like the table and dropped with it';

CREATE FUNCTION soft_delete.make_active_view(relation regclass, deleted_at name, view_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass;
	item record;
BEGIN
	view := soft_delete.make_view(relation, view_schema, '_active',
		(SELECT format('SELECT %s FROM %s WHERE %I IS NULL',
					   string_agg(quote_ident(attname), ', ' ORDER BY attnum), relation, deleted_at)
		 FROM pg_attribute
		 WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attname <> deleted_at),
		-- rights on the table, and its row security, are those of who asks
		'WITH (security_invoker = true)');
	EXECUTE format('COMMENT ON VIEW %s IS %L', view, format('live rows of %s', relation));

	FOR item IN
		SELECT privilege_type, is_grantable, '' AS columns,
			CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee
		FROM pg_class, aclexplode(relacl)
		WHERE oid = relation AND grantee <> relowner
		  AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
		UNION ALL
		SELECT privilege_type, is_grantable, format('(%I)', attname),
			CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
		FROM pg_attribute, aclexplode(attacl)
		WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attname <> deleted_at
		  AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE')
	LOOP
		EXECUTE format('GRANT %s %s ON %s TO %s%s', item.privilege_type, item.columns, view, item.grantee,
					   CASE WHEN item.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.make_active_view(regclass, name, name) IS
'creates the view of live rows, with the application''s columns and the grants of the table';

CREATE FUNCTION soft_delete.make_bin(relation regclass, deleted_at name, view_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass;
BEGIN
	view := soft_delete.make_view(relation, view_schema, '_deleted',
		(SELECT format('SELECT %1$s, tableoid, ctid FROM %2$s TABLESAMPLE soft_delete.rows(''all'') WHERE %3$I IS NOT NULL '
					   'UNION ALL SELECT %1$s, tableoid, ctid FROM %2$s TABLESAMPLE soft_delete.rows(''displaced'')',
					   string_agg(quote_ident(attname), ', ' ORDER BY attnum), relation, deleted_at)
		 FROM pg_attribute
		 WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped), '');
	EXECUTE format('COMMENT ON VIEW %s IS %L', view,
		format('bin of %s: UPDATE ... SET %I = NULL restores, DELETE purges', relation, deleted_at));
	EXECUTE format('CREATE TRIGGER soft_delete_restore INSTEAD OF UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row()', view);
	EXECUTE format('CREATE TRIGGER soft_delete_purge INSTEAD OF DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row()', view);
	EXECUTE format('CREATE TRIGGER soft_delete_statement AFTER UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin()', view);
END
$$;
COMMENT ON FUNCTION soft_delete.make_bin(regclass, name, name) IS
'creates the view of tombstones, at first readable by the owner alone';
/*
 * What stepped aside follows ALTER TABLE
 */

CREATE FUNCTION soft_delete.convert_text(value text, from_type text, to_type text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET lc_monetary = 'C' SET xmloption = 'content'
AS $$
DECLARE
	converted text;
BEGIN
	EXECUTE format('SELECT $1::%s::%s::text', from_type, to_type) INTO converted USING value;
	RETURN converted;
EXCEPTION WHEN others THEN
	BEGIN
		EXECUTE format('SELECT $1::%s::text', to_type) INTO converted USING value;
		RETURN converted;
	EXCEPTION WHEN others THEN
		RETURN NULL;
	END;
END
$$;
COMMENT ON FUNCTION soft_delete.convert_text(text, text, text) IS
'text of a value after a change of its type; null if no cast does that';

CREATE FUNCTION soft_delete.align_displaced(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET lc_monetary = 'C' SET xmloption = 'content'
AS $$
#variable_conflict use_variable
DECLARE
	columns jsonb;
	stored jsonb;
	item record;
BEGIN
	SELECT jsonb_object_agg(attname, format_type(atttypid, atttypmod)) INTO columns
	FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attgenerated <> 'v';
	SELECT jsonb_object_agg(key, value) INTO stored
	FROM soft_delete.displaced d, jsonb_each(d.types) WHERE d.relation = relation;

	-- a column that was dropped is forgotten already, so one that is unknown has a new name
	FOR item IN
		SELECT o.key AS old_name, n.key AS new_name FROM jsonb_each_text(stored) AS o, jsonb_each_text(columns) AS n
		WHERE NOT columns ? o.key AND NOT stored ? n.key AND o.value = n.value
	LOOP
		PERFORM soft_delete.rewrite_displaced(d.ctid,
			d."row" - item.old_name || jsonb_build_object(item.new_name, d."row" -> item.old_name),
			d.types - item.old_name || jsonb_build_object(item.new_name, d.types -> item.old_name))
		FROM soft_delete.displaced d WHERE d.relation = relation;
		stored := stored - item.old_name || jsonb_build_object(item.new_name, stored -> item.old_name);
	END LOOP;

	-- a value that no cast converts is kept under another name
	FOR item IN
		SELECT key, o.value AS old_type, n.value AS new_type
		FROM jsonb_each_text(stored) AS o JOIN jsonb_each_text(columns) AS n USING (key) WHERE o.value <> n.value
	LOOP
		PERFORM soft_delete.rewrite_displaced(d.ctid,
			d."row" || CASE
				WHEN converted IS NULL AND d."row" ->> item.key IS NOT NULL
					THEN jsonb_build_object(item.key, NULL, format('%s (%s)', item.key, item.old_type), d."row" -> item.key)
				ELSE jsonb_build_object(item.key, converted) END,
			d.types || jsonb_build_object(item.key, item.new_type))
		FROM soft_delete.displaced d, soft_delete.convert_text(d."row" ->> item.key, item.old_type, item.new_type) AS converted
		WHERE d.relation = relation;
	END LOOP;

	-- a new column has its default, as in the rows of the table
	FOR item IN
		SELECT attname, format_type(atttypid, atttypmod) AS type,
			CASE WHEN attidentity <> '' THEN format('nextval(%L)', pg_get_serial_sequence(relation::text, attname))
				ELSE coalesce(pg_get_expr(adbin, adrelid), 'NULL') END AS expression
		FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid = relation AND columns ? attname AND NOT stored ? attname
	LOOP
		EXECUTE format('SELECT soft_delete.rewrite_displaced(d.ctid, d."row" || jsonb_build_object(%1$L, value), d.types || jsonb_build_object(%1$L, %2$L)) '
					   'FROM soft_delete.displaced d JOIN '
					   '(SELECT ctid AS tid, (%3$s)::text AS value FROM ONLY %4$s TABLESAMPLE soft_delete.rows(''displaced'')) AS new ON d.ctid = tid',
					   item.attname, item.type, item.expression, relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.align_displaced(regclass) IS
'gives the tombstones that stepped aside the columns that their table now has';

CREATE FUNCTION soft_delete.follow_columns() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
BEGIN
	IF EXISTS (SELECT FROM soft_delete.displaced) THEN
		PERFORM soft_delete.align_displaced(member)
		FROM (SELECT DISTINCT soft_delete.family(objid) AS member FROM pg_event_trigger_ddl_commands()
			  WHERE classid = 'pg_class'::regclass) AS changed
		WHERE EXISTS (SELECT FROM soft_delete.displaced WHERE relation = member);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_columns() IS
'event trigger that keeps the tombstones that stepped aside in step with ALTER TABLE';

CREATE EVENT TRIGGER soft_delete_columns ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE')
	EXECUTE FUNCTION soft_delete.follow_columns();
COMMENT ON EVENT TRIGGER soft_delete_columns IS
'keeps the tombstones that stepped aside in step with ALTER TABLE';

/* Security definer: who owns a type need not own the tables that use it. */
CREATE FUNCTION soft_delete.follow_labels() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	enum regtype;
	labels text[];
	new_label text;
BEGIN
	IF NOT EXISTS (SELECT FROM soft_delete.displaced) THEN
		RETURN;
	END IF;
	FOR enum IN SELECT objid FROM pg_event_trigger_ddl_commands() JOIN pg_type ON oid = objid WHERE typtype = 'e' LOOP
		-- what is no label any more must have the one name that is new
		SELECT array_agg(enumlabel::text) INTO labels FROM pg_enum WHERE enumtypid = enum;
		SELECT enumlabel INTO new_label FROM pg_enum
		WHERE enumtypid = enum AND soft_delete.is_own_transaction(xmin) ORDER BY cmin::text::bigint DESC LIMIT 1;

		PERFORM soft_delete.rewrite_displaced(d.ctid, d."row" || jsonb_object_agg(attname, relabeled) FILTER (WHERE relabeled <> d."row" ->> attname), d.types)
		FROM soft_delete.displaced d JOIN pg_attribute ON attrelid = relation AND NOT attisdropped AND d."row" ->> attname IS NOT NULL
			JOIN pg_type ON pg_type.oid = atttypid AND (pg_type.oid = enum OR (typelem = enum AND typcategory = 'A')),
			LATERAL (SELECT array_agg(CASE WHEN label = ANY (labels) OR label IS NULL THEN label ELSE new_label END ORDER BY n)
					 FROM unnest(CASE typcategory WHEN 'A' THEN (d."row" ->> attname)::text[] ELSE ARRAY[d."row" ->> attname] END)
						WITH ORDINALITY AS u(label, n)) AS a(relabeled_labels),
			LATERAL (SELECT CASE typcategory WHEN 'A' THEN relabeled_labels::text ELSE relabeled_labels[1] END) AS r(relabeled)
		GROUP BY d.ctid, d."row", d.types HAVING bool_or(relabeled <> d."row" ->> attname);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_labels() IS
'event trigger that keeps the tombstones that stepped aside in step with ALTER TYPE ... RENAME VALUE';

CREATE EVENT TRIGGER soft_delete_labels ON ddl_command_end
	WHEN TAG IN ('ALTER TYPE')
	EXECUTE FUNCTION soft_delete.follow_labels();
COMMENT ON EVENT TRIGGER soft_delete_labels IS
'keeps the tombstones that stepped aside in step with ALTER TYPE ... RENAME VALUE';

/* Security definer: who drops a table is not its owner any more. */
CREATE FUNCTION soft_delete.forget_dropped() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	IF NOT EXISTS (SELECT FROM soft_delete.displaced) THEN
		RETURN;
	END IF;
	FOR item IN
		SELECT objid, objsubid, address_names[3] AS name FROM pg_event_trigger_dropped_objects()
		WHERE classid = 'pg_class'::regclass AND object_type IN ('table', 'table column')
	LOOP
		IF item.objsubid = 0 THEN
			PERFORM soft_delete.rewrite_displaced(ctid, NULL, NULL) FROM soft_delete.displaced WHERE relation = item.objid;
		ELSE
			PERFORM soft_delete.rewrite_displaced(ctid, "row" - item.name, types - item.name) FROM soft_delete.displaced
			WHERE relation IN (SELECT soft_delete.family(item.objid));
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.forget_dropped() IS
'event trigger that drops from the tombstones that stepped aside what is dropped from their tables';

CREATE EVENT TRIGGER soft_delete_drops ON sql_drop
	WHEN TAG IN ('ALTER TABLE', 'DROP TABLE', 'DROP SCHEMA', 'DROP TYPE', 'DROP DOMAIN', 'DROP OWNED', 'DROP EXTENSION')
	EXECUTE FUNCTION soft_delete.forget_dropped();
COMMENT ON EVENT TRIGGER soft_delete_drops IS
'drops from the tombstones that stepped aside what is dropped from their tables';
/*
 * References between tables: which are refused, which are guarded
 */

CREATE FUNCTION soft_delete.root(relation regclass) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE ancestors(member, depth) AS (
		SELECT relation, 0
		UNION ALL
		SELECT inhparent::regclass, depth + 1 FROM pg_inherits JOIN ancestors ON inhrelid = member
	)
	SELECT member FROM ancestors ORDER BY depth DESC LIMIT 1
$$;
COMMENT ON FUNCTION soft_delete.root(regclass) IS
'the table that a partition or inheritance child is tagged with';

CREATE FUNCTION soft_delete.references_of(relation regclass,
	OUT "constraint" oid, OUT child regclass, OUT parent regclass, OUT action "char")
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT oid, soft_delete.root(conrelid), soft_delete.root(confrelid), confdeltype
	FROM pg_constraint
	WHERE contype = 'f' AND conparentid = 0
	  AND (conrelid IN (SELECT soft_delete.family(relation)) OR confrelid IN (SELECT soft_delete.family(relation)))
$$;
COMMENT ON FUNCTION soft_delete.references_of(regclass) IS
'the foreign keys from and to a table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete.cascade_family(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE connected(member) AS (
		SELECT relation
		UNION
		SELECT CASE WHEN parent = member THEN child ELSE parent END
		FROM connected, soft_delete.references_of(member) WHERE action = 'c'
	)
	SELECT member FROM connected
$$;
COMMENT ON FUNCTION soft_delete.cascade_family(regclass) IS
'a table and all that ON DELETE CASCADE connects it with, in either direction';

/*
 * ON DELETE CASCADE between a tagged and an untagged table loses rows: those of
 * an untagged child, or the parent that a deleted child needs to come back.
 */
CREATE FUNCTION soft_delete.check_references(relation regclass, only_new boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT conname, child, parent, action,
			CASE WHEN soft_delete.tag_arguments(parent) IS NULL THEN parent
				WHEN soft_delete.tag_arguments(child) IS NULL THEN child END AS untagged
		FROM soft_delete.references_of(relation) JOIN pg_constraint con ON con.oid = "constraint"
		WHERE CASE WHEN soft_delete.tag_arguments(parent) IS NULL AND soft_delete.tag_arguments(child) IS NULL THEN false
				WHEN soft_delete.tag_arguments(parent) IS NOT NULL AND soft_delete.tag_arguments(child) IS NOT NULL
					THEN action IN ('n', 'd') AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = child AND indisprimary)
				ELSE action IN ('c', 'n', 'd') END
		  AND (NOT only_new OR soft_delete.is_own_transaction(con.xmin))
		ORDER BY con.oid
	LOOP
		IF item.action = 'c' THEN
			RAISE EXCEPTION 'foreign key "%" cascades deletes from table "%" to table "%", and only one of them is tagged',
				item.conname, item.parent, item.child
				USING ERRCODE = 'feature_not_supported',
					DETAIL = CASE WHEN item.untagged = item.child
						THEN format('Deleting softly from %s would destroy rows of %s for good.', item.parent, item.child)
						ELSE format('Deleting from %s would leave deleted rows of %s without the parent they need to be restored.', item.parent, item.child) END,
					HINT = format(CASE WHEN only_new THEN 'SELECT soft_delete.tag(%2$L), then add the foreign key.'
						ELSE 'SELECT soft_delete.tag(%1$L, cascade => true), or soft_delete.untag(%1$L, cascade => true).' END,
						CASE WHEN item.untagged = item.child THEN item.parent ELSE item.child END, item.untagged);
		ELSIF item.untagged = item.child THEN
			RAISE WARNING 'foreign key "%" lets a delete from table "%" overwrite what rows of untagged table "%" refer to',
				item.conname, item.parent, item.child
				USING ERRCODE = '01000',
					DETAIL = 'Restoring the deleted row does not bring that back.';
		ELSIF item.untagged IS NULL THEN
			RAISE WARNING 'foreign key "%" lets a delete from table "%" overwrite what rows of table "%" refer to, and those have no primary key',
				item.conname, item.parent, item.child
				USING ERRCODE = '01000',
					DETAIL = 'Restoring the deleted row does not bring that back.';
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.check_references(regclass, boolean) IS
'raises 0A000 if ON DELETE CASCADE connects a tagged and an untagged table, warns if SET NULL or SET DEFAULT would lose a reference; only_new: where this transaction made the foreign key';

CREATE FUNCTION soft_delete.guard_references(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete.guard_reference(oid) FROM pg_constraint
	WHERE contype = 'f' AND (conrelid IN (SELECT soft_delete.family(relation))
							 OR confrelid IN (SELECT soft_delete.family(relation)))
	ORDER BY oid;
END
$$;
COMMENT ON FUNCTION soft_delete.guard_references(regclass) IS
'gives the foreign keys from and to a table their guards, or takes them away';

CREATE FUNCTION soft_delete.follow_references() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	callers text;
BEGIN
	-- tag() and untag() look when they are done
	GET DIAGNOSTICS callers = PG_CONTEXT;
	IF callers !~ 'soft_delete\.(un)?tag_table\('
	   AND EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_trigger'::regclass
			   AND refclassid = 'pg_proc'::regclass AND refobjid = 'soft_delete.delete_row()'::regprocedure) THEN
		PERFORM soft_delete.guard_references(changed),
			-- what restores a dump makes tags and foreign keys in any order
			CASE WHEN current_setting('row_security')::boolean AND NOT tagged
				THEN soft_delete.check_references(soft_delete.root(changed), only_new => true) END
		FROM (SELECT DISTINCT coalesce(tgrelid, objid) AS changed, tgrelid IS NOT NULL AS tagged
			  FROM pg_event_trigger_ddl_commands() LEFT JOIN pg_trigger ON classid = 'pg_trigger'::regclass AND oid = objid
			  WHERE classid IN ('pg_class'::regclass, 'pg_trigger'::regclass)) AS commands;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_references() IS
'event trigger that refuses unsafe foreign keys and guards others';

CREATE EVENT TRIGGER soft_delete_references ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE SCHEMA', 'ALTER TABLE', 'CREATE TRIGGER')
	EXECUTE FUNCTION soft_delete.follow_references();
COMMENT ON EVENT TRIGGER soft_delete_references IS
'refuses unsafe foreign keys to and from tagged tables, and guards others';
/*
 * Putting the tag on and taking it off
 */

/*
 * Refusals
 */

CREATE FUNCTION soft_delete.check_library() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete.new_sessions_load() THEN
		RAISE EXCEPTION 'new sessions of database "%" will not load library "soft_delete"', current_database()
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A session without the library would see deleted rows.',
				HINT = format('ALTER DATABASE %I SET session_preload_libraries = ''soft_delete'';', current_database());
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_library() IS
'raises 55000 unless new sessions of this database will load the library';

CREATE FUNCTION soft_delete.check_owner(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = relation) THEN
		RAISE EXCEPTION 'must be owner of table %', relation
			USING ERRCODE = 'insufficient_privilege';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_owner(regclass) IS
'raises 42501 unless the current role owns the table';

CREATE FUNCTION soft_delete.check_relation(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	class pg_class;
	rule name;
	parent regclass;
BEGIN
	SELECT * INTO class FROM pg_class WHERE oid = relation;
	IF class.oid IS NULL THEN
		RAISE EXCEPTION 'relation "%" does not exist', relation
			USING ERRCODE = 'undefined_table';
	END IF;
	IF class.relkind NOT IN ('r', 'p') THEN
		RAISE EXCEPTION 'cannot tag "%"', class.relname
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'Only ordinary and partitioned tables can be tagged.',
				HINT = 'Tag the tables that it reads from, or copy it into a table.';
	END IF;
	IF class.oid < 16384 OR class.relnamespace = 'soft_delete'::regnamespace THEN
		RAISE EXCEPTION 'cannot tag system table "%"', class.relname
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'The server and the extension rely on deletions from their own tables.',
				HINT = 'Tag a table of the application.';
	END IF;

	SELECT inhparent INTO parent FROM pg_inherits
	WHERE inhrelid = relation AND soft_delete.tag_arguments(inhparent) IS NULL LIMIT 1;
	IF parent IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%" without its parent "%"', class.relname, parent
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'A partition or inheritance child is read and deleted from through its parent.',
				HINT = format('SELECT soft_delete.tag(%L);', parent);
	END IF;

	SELECT rulename INTO rule FROM pg_rewrite
	WHERE ev_class IN (SELECT soft_delete.family(relation)) AND ev_type = '4' LIMIT 1;
	IF rule IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%" because it has an ON DELETE rule', class.relname
			USING ERRCODE = 'feature_not_supported',
				DETAIL = format('Rule %I replaces or accompanies DELETE before a trigger could see it.', rule),
				HINT = format('DROP RULE %I ON %s;', rule, relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_relation(regclass) IS
'raises 42809 or 0A000 for a relation that cannot be tagged';

CREATE FUNCTION soft_delete.check_column(relation regclass, deleted_at name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	col pg_attribute;
	problem text;
	remedy text;
BEGIN
	SELECT * INTO col FROM pg_attribute
	WHERE attrelid = relation AND attname = deleted_at AND NOT attisdropped;
	IF col.attname IS NULL THEN
		RETURN;
	END IF;

	IF col.attnum < 0 THEN
		RAISE EXCEPTION 'column name "%" conflicts with a system column name', deleted_at
			USING ERRCODE = 'duplicate_column',
				HINT = format('SELECT soft_delete.tag(%L, deleted_at => ''deleted_at'');', relation);
	END IF;
	IF col.atttypid = 'boolean'::regtype THEN
		RAISE EXCEPTION 'column "%" of table "%" is a flag, not a time', deleted_at, relation
			USING ERRCODE = 'datatype_mismatch',
				DETAIL = 'The tombstone column must be timestamptz or timestamp: its value tells deletions apart.',
				HINT = format('ALTER TABLE %1$s ALTER COLUMN %2$I DROP DEFAULT, ALTER COLUMN %2$I DROP NOT NULL, ALTER COLUMN %2$I TYPE timestamptz USING CASE WHEN %2$I THEN now() END;', relation, deleted_at);
	END IF;
	IF col.atttypid NOT IN ('timestamptz'::regtype, 'timestamp'::regtype) OR col.atttypmod <> -1 THEN
		RAISE EXCEPTION 'column "%" of table "%" has type %', deleted_at, relation, format_type(col.atttypid, col.atttypmod)
			USING ERRCODE = 'datatype_mismatch',
				DETAIL = 'The tombstone column must be timestamptz or timestamp, in full precision.',
				HINT = format('ALTER TABLE %1$s ALTER COLUMN %2$I TYPE timestamptz, or SELECT soft_delete.tag(%1$L, deleted_at => ''another_name'');', relation, deleted_at);
	END IF;

	IF col.attnotnull THEN
		problem := 'is NOT NULL';
		remedy := 'DROP NOT NULL';
	ELSIF col.attgenerated <> '' THEN
		problem := 'is generated';
		remedy := 'DROP EXPRESSION';
	ELSIF col.atthasdef THEN
		problem := 'has a default';
		remedy := 'DROP DEFAULT';
	END IF;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of table "%" %', deleted_at, relation, problem
			USING ERRCODE = 'invalid_table_definition',
				DETAIL = 'The tombstone column must be null in every live row.',
				HINT = format('ALTER TABLE %s ALTER COLUMN %I %s;', relation, deleted_at, remedy);
	END IF;

	IF EXISTS (SELECT FROM pg_partitioned_table
			   WHERE partrelid IN (SELECT soft_delete.family(relation))
				 AND (col.attname IN (SELECT attname FROM pg_attribute
									  WHERE attrelid = partrelid AND attnum = ANY (partattrs))
					  OR pg_get_expr(partexprs, partrelid) ~ ('\m' || deleted_at || '\M'))) THEN
		RAISE EXCEPTION 'column "%" is part of the partition key of table "%"', deleted_at, relation
			USING ERRCODE = 'invalid_object_definition',
				DETAIL = 'A deletion would have to move the row to another partition.',
				HINT = format('SELECT soft_delete.tag(%L, deleted_at => ''another_name'');', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_column(regclass, name) IS
'raises 42804, 42P16, 42P17 or 42701 for an existing column that cannot be the tombstone column';

CREATE FUNCTION soft_delete.check_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	later record;
BEGIN
	SELECT tgname, tgrelid::regclass AS tgtable INTO later FROM pg_trigger
	WHERE tgrelid IN (SELECT soft_delete.family(relation))
	  AND tgtype & 11 = 11				-- FOR EACH ROW BEFORE DELETE
	  AND tgname COLLATE "C" > '~soft_delete' LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'trigger "%" of table "%" would fire after the tag', later.tgname, later.tgtable
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Triggers fire in the order of their names, and the tag "~soft_delete" must be the last BEFORE DELETE row trigger.',
				HINT = format('ALTER TRIGGER %I ON %s RENAME TO ...;', later.tgname, later.tgtable);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_triggers(regclass) IS
'raises 55000 if a BEFORE DELETE row trigger sorts after the tag';

/*
 * Triggers
 */

CREATE FUNCTION soft_delete.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'cannot truncate tagged table "%"', TG_TABLE_NAME
		USING ERRCODE = 'feature_not_supported',
			DETAIL = 'TRUNCATE would destroy live and deleted rows alike.',
			HINT = format('DELETE FROM %I.%I;', TG_TABLE_SCHEMA, TG_TABLE_NAME);
END
$$;
COMMENT ON FUNCTION soft_delete.refuse_truncate() IS
'BEFORE TRUNCATE trigger of tagged tables';

CREATE FUNCTION soft_delete.make_triggers(relation regclass, arguments text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
	is_clone boolean;
BEGIN
	FOR member, is_clone IN
		SELECT m, relispartition FROM soft_delete.family(relation) AS m JOIN pg_class ON oid = m
	LOOP
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.refuse_truncate()', member);
		CONTINUE WHEN is_clone;			-- partitions get theirs from the root
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_key" BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key()', member);
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete" BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row(%s)',
			member, (SELECT string_agg(quote_literal(a), ', ' ORDER BY n) FROM unnest(arguments) WITH ORDINALITY AS u(a, n)));
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.make_triggers(regclass, text[]) IS
'puts the tag and the TRUNCATE guard on a table, its partitions and its inheritance children';

/*
 * The interface
 */

CREATE FUNCTION soft_delete.tag_table(relation regclass, deleted_at name, indexes text, views name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[];
	added text[];
	has_changed boolean;
	view_schema name;
	bin regclass;
BEGIN
	PERFORM soft_delete.check_relation(relation);
	PERFORM soft_delete.check_owner(relation);
	PERFORM soft_delete.check_library();
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);

	arguments := soft_delete.tag_arguments(relation);
	IF arguments[1] <> deleted_at THEN
		RAISE EXCEPTION 'table "%" is already tagged with column "%"', relation, arguments[1]
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A table has one tombstone column.',
				HINT = format('SELECT soft_delete.untag(%L);', relation);
	END IF;
	PERFORM soft_delete.check_column(relation, deleted_at);
	PERFORM soft_delete.check_triggers(relation);

	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = deleted_at AND NOT attisdropped) THEN
		EXECUTE format('ALTER TABLE %s ADD COLUMN %I timestamptz', relation, deleted_at);
	END IF;

	-- what the tag remembers is about the state before it, so old memories stay
	SELECT array_agg(memory ORDER BY n) FILTER (WHERE memory NOT LIKE 'converted:%' AND (arguments IS NULL OR memory NOT LIKE 'partial:%')),
		bool_or(memory NOT LIKE 'partial:%')
	INTO added, has_changed
	FROM unnest(soft_delete.hide_tombstones(relation, deleted_at, indexes) ||
				soft_delete.index_bin(relation, deleted_at)) WITH ORDINALITY AS u(memory, n);

	PERFORM soft_delete.report_others(relation, deleted_at);

	bin := soft_delete.bin_of(relation);
	IF arguments IS NOT NULL AND has_changed IS NOT TRUE AND bin IS NOT NULL THEN
		RAISE NOTICE 'table "%" is already tagged', relation;
		RETURN;
	END IF;
	PERFORM soft_delete.make_triggers(relation, coalesce(arguments, ARRAY[deleted_at::text]) || added);

	IF bin IS NULL THEN
		SELECT coalesce(views, nspname) INTO view_schema
		FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation;
		PERFORM soft_delete.make_active_view(relation, deleted_at, view_schema);
		PERFORM soft_delete.make_bin(relation, deleted_at, view_schema);
	END IF;
	PERFORM soft_delete.guard_references(relation);
END
$$;
COMMENT ON FUNCTION soft_delete.tag_table(regclass, name, text, name) IS
'puts the tag on one table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete.tag(relation regclass, deleted_at name DEFAULT 'deleted_at',
	indexes text DEFAULT 'all', cascade boolean DEFAULT false, views name DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
	members regclass[];
BEGIN
	IF relation IS NULL OR deleted_at IS NULL OR deleted_at = '' OR cascade IS NULL OR indexes IS NULL OR indexes NOT IN ('all', 'unique') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.tag()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table and the column must be given, cascade must be true or false, and indexes must be ''all'' or ''unique''.',
				HINT = 'SELECT soft_delete.tag(''my_table'');';
	END IF;

	PERFORM soft_delete.tag_table(relation, deleted_at, indexes, views);
	IF cascade THEN
		members := ARRAY(SELECT m FROM soft_delete.cascade_family(relation) AS m WHERE soft_delete.tag_arguments(m) IS NULL);
		FOREACH member IN ARRAY members LOOP
			PERFORM soft_delete.tag_table(member, deleted_at, indexes, views);
			RAISE NOTICE 'table "%" is tagged too', member;
		END LOOP;
	END IF;

	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete.check_references(member);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.tag(regclass, name, text, boolean, name) IS
'makes deletes from a table soft; indexes: ''all'' or ''unique'' become partial; cascade: tags what ON DELETE CASCADE connects it with too; views: schema of the two views, by default the table''s';

CREATE FUNCTION soft_delete.make_rows_equal(relation regclass, deleted_at name, remembered text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	key name;
	native_detail text;
BEGIN
	PERFORM soft_delete.return_displaced(member) FROM soft_delete.family(relation) AS member JOIN pg_class ON oid = member WHERE relkind = 'r';
	PERFORM soft_delete.show_tombstones(relation, deleted_at, remembered);
EXCEPTION WHEN unique_violation OR exclusion_violation THEN
	GET STACKED DIAGNOSTICS key = CONSTRAINT_NAME, native_detail = PG_EXCEPTION_DETAIL;
	RAISE EXCEPTION 'deleted rows of table "%" collide with other rows in key "%"', relation, key
		USING ERRCODE = SQLSTATE, CONSTRAINT = key, DETAIL = native_detail,
			HINT = format('SELECT soft_delete.untag(%L, tombstones => ''purge''), or change or purge one of each first.', relation);
END
$$;
COMMENT ON FUNCTION soft_delete.make_rows_equal(regclass, name, text[]) IS
'gives indexes and constraints back to a table whose deleted rows are rows as others from now on; raises 23505 or 23P01 where their keys collide';

CREATE FUNCTION soft_delete.untag_table(relation regclass, tombstones text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[];
	bin regclass;
	member regclass;
	item text;
	has_tombstones boolean;
BEGIN
	arguments := soft_delete.tag_arguments(relation);
	IF arguments IS NULL THEN
		RAISE NOTICE 'table "%" is not tagged', relation;
		RETURN;
	END IF;
	PERFORM soft_delete.check_owner(relation);
	PERFORM soft_delete.check_relation(relation);
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
	bin := soft_delete.bin_of(relation);

	IF tombstones = 'purge' THEN
		EXECUTE format('DELETE FROM %s', bin);
	ELSIF tombstones = 'error' THEN
		EXECUTE format('SELECT EXISTS (SELECT FROM %1$s TABLESAMPLE soft_delete.rows(''deleted'')) OR '
					   'EXISTS (SELECT FROM %1$s TABLESAMPLE soft_delete.rows(''displaced''))', relation) INTO has_tombstones;
		IF has_tombstones THEN
			RAISE EXCEPTION 'table "%" has deleted rows', relation
				USING ERRCODE = 'object_not_in_prerequisite_state',
					DETAIL = 'Without the tag they would be live rows again, which tombstones => ''keep'' lets them be.',
					HINT = format('SELECT soft_delete.untag(%L, tombstones => ''purge'');', relation);
		END IF;
	END IF;

	IF bin IS NOT NULL THEN
		EXECUTE format('DROP VIEW %s, %I.%I', bin,
			(SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = bin),
			soft_delete.view_name(relation, '_active'));
	END IF;
	FOR member IN SELECT soft_delete.family(relation) LOOP
		EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete_truncate" ON %s', member);
		IF NOT (SELECT relispartition FROM pg_class WHERE oid = member) THEN
			EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete" ON %s', member);
			EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete_key" ON %s', member);
		END IF;
	END LOOP;

	FOREACH item IN ARRAY arguments[2:] LOOP
		IF item LIKE 'bin:%' THEN
			EXECUTE format('DROP INDEX IF EXISTS %I.%I',
				(SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation),
				substr(item, 5));
		END IF;
	END LOOP;
	PERFORM soft_delete.make_rows_equal(relation, arguments[1], arguments[2:]);
	PERFORM soft_delete.guard_references(relation);
	RAISE NOTICE 'column "%" of table "%" stays', arguments[1], relation
		USING HINT = format('ALTER TABLE %s DROP COLUMN %I;', relation, arguments[1]);
END
$$;
COMMENT ON FUNCTION soft_delete.untag_table(regclass, text) IS
'takes the tag off one table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete.untag(relation regclass, tombstones text DEFAULT 'error', cascade boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
	members regclass[];
BEGIN
	IF relation IS NULL OR cascade IS NULL OR tombstones IS NULL OR tombstones NOT IN ('error', 'purge', 'keep') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.untag()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table must be given, cascade must be true or false, and tombstones must be ''error'', ''purge'' or ''keep''.',
				HINT = 'SELECT soft_delete.untag(''my_table'', tombstones => ''error'');';
	END IF;

	IF cascade THEN
		members := ARRAY(SELECT m FROM soft_delete.cascade_family(relation) AS m
						 WHERE m <> relation AND soft_delete.tag_arguments(m) IS NOT NULL);
	END IF;
	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete.untag_table(member, tombstones);
	END LOOP;
	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete.check_references(member);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.untag(regclass, text, boolean) IS
'makes deletes from a table hard again; tombstones: ''error'' refuses while there are any, ''purge'' destroys them, ''keep'' makes them live rows; cascade: untags what ON DELETE CASCADE connects it with too';
/*
 * The plan for a big table: statements for psql's \gexec, which runs each in a
 * transaction of its own
 */

CREATE FUNCTION soft_delete.plan_index(index regclass, deleted_at name) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	prepared regclass;
BEGIN
	-- an index of a partitioned table is made on each partition, and put together
	FOR item IN
		SELECT member, inhparent::regclass AS parent, relkind = 'I' AS is_partitioned, nspname, indisunique, indrelid,
			soft_delete.index_body(member) AS body, pg_get_expr(indpred, indrelid) AS predicate
		FROM soft_delete.family(index) AS member JOIN pg_index ON indexrelid = member JOIN pg_class ON oid = member
			JOIN pg_namespace ON pg_namespace.oid = relnamespace LEFT JOIN pg_inherits ON inhrelid = member AND member <> index
	LOOP
		prepared := soft_delete.prepared_index(item.member);
		IF prepared IS NOT NULL AND NOT item.is_partitioned AND NOT soft_delete.is_prepared(item.member, deleted_at) THEN
			RETURN NEXT format('DROP INDEX CONCURRENTLY %s', prepared);
			prepared := NULL;
		END IF;
		IF prepared IS NULL THEN
			RETURN NEXT format('CREATE %sINDEX %s%s %s WHERE %s', CASE WHEN item.indisunique THEN 'UNIQUE ' END,
				CASE WHEN item.is_partitioned THEN '' ELSE 'CONCURRENTLY ' END, soft_delete.prepared_name(item.member),
				CASE WHEN item.is_partitioned THEN regexp_replace(item.body, '^ON ', 'ON ONLY ') ELSE item.body END,
				concat_ws(' AND ', item.predicate, format('(%I IS NULL)', deleted_at)));
		END IF;
		IF item.parent IS NOT NULL AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = prepared) THEN
			RETURN NEXT format('ALTER INDEX %I.%I ATTACH PARTITION %I.%I',
				(SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = item.parent),
				soft_delete.prepared_name(item.parent), item.nspname, soft_delete.prepared_name(item.member));
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.plan_index(regclass, name) IS
'statements that prepare, without a long lock, the index that is to take an index''s place';

CREATE FUNCTION soft_delete.plan(relation regclass, deleted_at name DEFAULT 'deleted_at', indexes text DEFAULT 'all') RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	IF relation IS NULL OR deleted_at IS NULL OR deleted_at = '' OR indexes IS NULL OR indexes NOT IN ('all', 'unique') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.plan()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table and the column must be given, and indexes must be ''all'' or ''unique''.',
				HINT = 'SELECT soft_delete.plan(''my_table'');';
	END IF;
	PERFORM soft_delete.check_relation(relation);
	PERFORM soft_delete.check_owner(relation);
	PERFORM soft_delete.check_library();
	PERFORM soft_delete.check_column(relation, deleted_at);
	PERFORM soft_delete.check_triggers(relation);

	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = deleted_at AND NOT attisdropped) THEN
		RETURN NEXT format('ALTER TABLE %s ADD COLUMN %I timestamptz', relation, deleted_at);
	END IF;
	FOR item IN
		SELECT c.index FROM soft_delete.convertible_indexes(relation, deleted_at, indexes) AS c
		WHERE NOT hides AND NOT is_exclusion AND NOT soft_delete.is_prepared(c.index, deleted_at)
	LOOP
		RETURN QUERY SELECT soft_delete.plan_index(item.index, deleted_at);
	END LOOP;
	RETURN QUERY
		SELECT command
		FROM soft_delete.family(relation) AS member JOIN pg_class ON oid = member JOIN pg_namespace ON pg_namespace.oid = relnamespace,
			format('%I.%I', nspname, soft_delete.prepared_name(member)) AS prepared,
			LATERAL (SELECT format('DROP INDEX CONCURRENTLY %s', prepared) WHERE to_regclass(prepared) IS NOT NULL
					 UNION ALL
					 SELECT format('CREATE INDEX CONCURRENTLY %I ON %s (%I) WHERE %3$I IS NOT NULL', soft_delete.prepared_name(member), member, deleted_at)
					) AS commands(command)
		WHERE relkind = 'r' AND NOT soft_delete.has_bin_index(member, deleted_at);
	RETURN NEXT format('SELECT soft_delete.tag(%L%s%s)', relation,
		CASE WHEN deleted_at <> 'deleted_at' THEN format(', deleted_at => %L', deleted_at) END,
		CASE WHEN indexes <> 'all' THEN format(', indexes => %L', indexes) END);
END
$$;
COMMENT ON FUNCTION soft_delete.plan(regclass, name, text) IS
'statements, in order, that tag a big table without a long lock, for psql''s \gexec; what is done already is left out';
/*
 * Whole deletions
 */

CREATE FUNCTION soft_delete.readable_bins(OUT relation regclass, OUT bin regclass, OUT tombstone name, OUT stamps text)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT member, bin, attname,
		-- a timestamp column holds UTC
		CASE atttypid WHEN 'timestamp'::regtype
			THEN '(ARRAY(SELECT pg_catalog.timezone(''UTC'', s) FROM pg_catalog.unnest($1) AS s))' ELSE '($1)' END
	FROM (SELECT DISTINCT soft_delete.root(tgrelid) AS member FROM pg_depend JOIN pg_trigger ON pg_trigger.oid = objid
		  WHERE classid = 'pg_trigger'::regclass AND refclassid = 'pg_proc'::regclass
			AND refobjid = 'soft_delete.delete_row()'::regprocedure) AS tagged
		JOIN pg_attribute ON attrelid = member AND attname = (soft_delete.tag_arguments(member))[1] AND NOT attisdropped
		CROSS JOIN LATERAL soft_delete.bin_of(member) AS bin
	WHERE coalesce(has_table_privilege(bin, 'SELECT'), false)
	  AND NOT EXISTS (SELECT FROM pg_class WHERE oid = member AND pg_is_other_temp_schema(relnamespace))
	ORDER BY member
$$;
COMMENT ON FUNCTION soft_delete.readable_bins() IS
'the tagged tables whose bin the caller may read; stamps: the array $1 of timestamptz as their tombstone column compares with it';

CREATE FUNCTION soft_delete.deletion_rows(deleted_at timestamptz) RETURNS TABLE (relation regclass, rows bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN SELECT * FROM soft_delete.readable_bins() LOOP
		EXECUTE format('SELECT count(*) FROM %s WHERE %I = ANY %s', item.bin, item.tombstone, item.stamps)
			INTO rows USING ARRAY[deleted_at];
		relation := item.relation;
		IF rows > 0 THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.deletion_rows(timestamptz) IS
'how many rows a deletion still has in each table whose bin the caller may read';

CREATE FUNCTION soft_delete.undo_query(deletions timestamptz[]) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	found boolean;
	restores text[] := '{}';
BEGIN
	FOR item IN SELECT * FROM soft_delete.readable_bins() LOOP
		EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = ANY %s)', item.bin, item.tombstone, item.stamps)
			INTO found USING deletions;
		IF found THEN
			restores := restores || format('r%s AS (UPDATE %s SET %I = NULL WHERE %3$I OPERATOR(pg_catalog.=) ANY %4$s RETURNING 1)',
										   cardinality(restores), item.bin, item.tombstone, item.stamps);
		END IF;
	END LOOP;
	-- one statement, at whose end foreign keys are checked: the order does not matter
	RETURN (SELECT format('WITH %s SELECT %s', array_to_string(restores, ', '),
						  string_agg(format('(SELECT pg_catalog.count(*) FROM r%s)', n - 1), ' OPERATOR(pg_catalog.+) '))
			FROM generate_series(1, cardinality(restores)) AS n
			HAVING count(*) > 0);
END
$$;
COMMENT ON FUNCTION soft_delete.undo_query(timestamptz[]) IS
'the statement that restores what the deletions $1 deleted, from every table whose bin the caller may read; null if there is nothing';

/* The application's triggers fire in these: they keep the caller's search_path. */
CREATE FUNCTION soft_delete.undo_all(deletions timestamptz[]) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
	query text := soft_delete.undo_query(deletions);
	restored bigint := 0;
BEGIN
	IF query IS NOT NULL THEN
		EXECUTE query INTO restored USING deletions;
	END IF;
	RETURN restored;
END
$$;
COMMENT ON FUNCTION soft_delete.undo_all(timestamptz[]) IS
'restores all that some deletions deleted, from every table whose bin the caller may read, or nothing; returns the number of rows';

CREATE FUNCTION soft_delete.undo(deleted_at timestamptz) RETURNS bigint
LANGUAGE sql
AS 'SELECT soft_delete.undo_all(ARRAY[deleted_at])';
COMMENT ON FUNCTION soft_delete.undo(timestamptz) IS
'restores all that one deletion deleted, from every table whose bin the caller may read, or nothing; returns the number of rows';

CREATE FUNCTION soft_delete.undo_transaction(xid xid8) RETURNS bigint
LANGUAGE sql
AS $$
	SELECT soft_delete.undo_all(ARRAY(SELECT deleted_at FROM soft_delete.deletions AS d WHERE d.xid OPERATOR(pg_catalog.=) $1))
$$;
COMMENT ON FUNCTION soft_delete.undo_transaction(xid8) IS
'restores all that the deletions of one transaction deleted, as undo() does';

/*
 * The dry run.  Its queries read r: what would come back, as it would be then.
 */

CREATE VIEW soft_delete.visible_cuts AS
SELECT * FROM soft_delete.cut_references
WHERE pg_catalog.has_table_privilege(relation, 'SELECT') AND NOT pg_catalog.row_security_active(relation);
COMMENT ON VIEW soft_delete.visible_cuts IS
'the cut references of rows that the reader may see';
GRANT SELECT ON soft_delete.visible_cuts TO PUBLIC;

CREATE FUNCTION soft_delete.qualified_operator(operator oid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('OPERATOR(%I.%s)', nspname, oprname)
	FROM pg_operator JOIN pg_namespace ON pg_namespace.oid = oprnamespace WHERE pg_operator.oid = operator
$$;
COMMENT ON FUNCTION soft_delete.qualified_operator(oid) IS
'an operator as it is written under any search_path';

CREATE FUNCTION soft_delete.describe_columns(relation regclass, columns smallint[], alias text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('concat(%L, concat_ws('', '', %s), '')'')',
				  format('(%s)=(', string_agg(attname, ', ' ORDER BY n)),
				  string_agg(format('coalesce(%s.%I::text, ''null'')', alias, attname), ', ' ORDER BY n))
	FROM unnest(columns) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum)
	WHERE attrelid = relation
$$;
COMMENT ON FUNCTION soft_delete.describe_columns(regclass, smallint[], text) IS
'expression for the values of some columns in the words of the server''s errors: (a, b)=(1, 2)';

CREATE FUNCTION soft_delete.rows_of(relation regclass, alias text, which text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- foreign keys do not look at inheritance children
	SELECT format('%s%s %s%s', CASE relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, relation, alias,
		CASE WHEN soft_delete.tag_arguments(relation) IS NOT NULL THEN format(' TABLESAMPLE soft_delete.rows(%L)', which) END)
	FROM pg_class WHERE oid = relation
$$;
COMMENT ON FUNCTION soft_delete.rows_of(regclass, text, text) IS
'an item of a FROM clause: one side of a foreign key with its live rows, its deleted ones, or all';

/* Aliases: c is the referencing table, p the referenced one. */
CREATE FUNCTION soft_delete.key_match("constraint" oid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(format('p.%I %s c.%I%s', pa.attname, soft_delete.qualified_operator(op), ca.attname,
			-- the collation of the referenced column decides
			CASE WHEN pa.attcollation <> ca.attcollation THEN ' COLLATE ' || pa.attcollation::regcollation END),
		' AND ' ORDER BY n)
	FROM pg_constraint, unnest(confkey, conkey, conpfeqop) WITH ORDINALITY AS k(p, c, op, n),
		pg_attribute AS pa, pg_attribute AS ca
	WHERE pg_constraint.oid = "constraint"
	  AND pa.attrelid = confrelid AND pa.attnum = p AND ca.attrelid = conrelid AND ca.attnum = c
$$;
COMMENT ON FUNCTION soft_delete.key_match(oid) IS
'a foreign key as the condition of a join';

CREATE FUNCTION soft_delete.key_conflicts(relation regclass) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH keys AS (
		SELECT indexrelid, relname, pg_get_expr(indpred, indrelid) AS predicate,
			string_agg(format('(%s) AS k%s', pg_get_indexdef(indexrelid, n, false), n), ', ' ORDER BY n) AS expressions,
			string_agg(format(CASE WHEN indnullsnotdistinct THEN '(a.k%1$s %2$s b.k%1$s OR (a.k%1$s IS NULL AND b.k%1$s IS NULL))'
							  ELSE 'a.k%1$s %2$s b.k%1$s' END,
							  n, soft_delete.qualified_operator(coalesce(conexclop[n], amopopr))), ' AND ' ORDER BY n) AS match,
			string_agg(pg_get_indexdef(indexrelid, n, false), ', ' ORDER BY n) AS names,
			string_agg(format('a.k%s', n), ', ' ORDER BY n) AS columns
		FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
			LEFT JOIN pg_constraint ON conindid = indexrelid AND contype = 'x'
			CROSS JOIN LATERAL generate_series(1, indnkeyatts) AS n
			JOIN pg_opclass ON pg_opclass.oid = indclass[n - 1]
			LEFT JOIN pg_amop ON amopfamily = opcfamily AND amoplefttype = opcintype AND amoprighttype = opcintype AND amopstrategy = 3
		WHERE indrelid = relation AND indisvalid AND (indisunique OR indisexclusion)
		GROUP BY indexrelid, relname, indpred, indrelid
	)
	SELECT format('SELECT a.tableoid, a.ctid, ''key is taken'', %1$L::name, concat(%2$L, concat_ws('', '', %3$s), '') already exists.'') '
				  'FROM (SELECT tableoid, ctid, %4$s FROM r%5$s) AS a '
				  'WHERE EXISTS (SELECT FROM (SELECT tableoid, ctid, %4$s FROM %6$s%5$s UNION ALL SELECT tableoid, ctid, %4$s FROM r%5$s) AS b '
				  'WHERE %7$s AND (a.tableoid, a.ctid) <> (b.tableoid, b.ctid))',
				  relname, format('Key (%s)=(', names), columns, expressions, ' WHERE ' || predicate, relation, match)
	FROM keys ORDER BY indexrelid
$$;
COMMENT ON FUNCTION soft_delete.key_conflicts(regclass) IS
'queries for the rows of r whose key a live row, or another row of r, has';

CREATE FUNCTION soft_delete.parent_conflicts(relation regclass) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT c.tableoid, c.ctid, CASE WHEN EXISTS (SELECT FROM %1$s WHERE %2$s) THEN ''parent is deleted'' ELSE ''parent is gone'' END, %3$L::name, '
				  'concat(''Key '', %4$s, %5$L) FROM r AS c WHERE %6$s AND NOT EXISTS (SELECT FROM %1$s WHERE %2$s%7$s)%8$s',
				  soft_delete.rows_of(confrelid, 'p', 'all'), soft_delete.key_match(con.oid), conname,
				  soft_delete.describe_columns(conrelid, conkey, 'c'), format(' is not present in table "%s".', relname),
				  (SELECT string_agg(format('c.%I IS NOT NULL', attname), ' AND ') FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)),
				  (SELECT format(' AND (p.%I IS NULL OR p.%1$I = ANY %s)', tombstone, stamps)
				   FROM soft_delete.readable_bins() AS bins WHERE bins.relation = soft_delete.root(confrelid)),
				  -- a parent that has stepped aside comes back, too
				  (SELECT format(' AND NOT EXISTS (SELECT FROM %s WHERE %s AND p.%I = ANY %s)', soft_delete.rows_of(confrelid, 'p', 'displaced'),
								 soft_delete.key_match(con.oid), tombstone, stamps)
				   FROM soft_delete.readable_bins() AS bins WHERE bins.relation = soft_delete.root(confrelid)))
	FROM pg_constraint AS con JOIN pg_class ON pg_class.oid = confrelid
	WHERE contype = 'f' AND conrelid = relation AND conparentid = 0
	ORDER BY con.oid
$$;
COMMENT ON FUNCTION soft_delete.parent_conflicts(regclass) IS
'queries for the rows of r whose parent is not live and would not come back with them';

CREATE FUNCTION soft_delete.check_conflicts(relation regclass, deleted_at name) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT tableoid, ctid, ''relation is altered'', %L::name, ''The row would violate the constraint.'' FROM r WHERE NOT (%s)',
				  conname, pg_get_expr(conbin, conrelid))
	FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attname = deleted_at
	WHERE contype = 'c' AND conrelid = relation AND attnum = ANY (conkey)
	ORDER BY pg_constraint.oid
$$;
COMMENT ON FUNCTION soft_delete.check_conflicts(regclass, name) IS
'queries for the rows of r that would violate a CHECK constraint on their tombstone column';

CREATE FUNCTION soft_delete.preview_rows(relation regclass, bin regclass, tombstone name, stamps text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('WITH r AS (SELECT %s, tableoid, ctid FROM %s WHERE %I = ANY %s), c (tableoid, ctid, outcome, "constraint", detail) AS (%s) '
				  'SELECT %L::regclass, %s, coalesce(outcome, ''comes back''), "constraint", detail FROM r LEFT JOIN c USING (tableoid, ctid)',
				  (SELECT string_agg(CASE WHEN attname = tombstone THEN format('NULL::%s AS %I', format_type(atttypid, atttypmod), attname)
									 ELSE quote_ident(attname) END, ', ' ORDER BY attnum)
				   FROM pg_attribute
				   WHERE attrelid = bin AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('tableoid', 'ctid')),
				  bin, tombstone, stamps,
				  (SELECT string_agg(query, ' UNION ALL ')
				   FROM (SELECT 'SELECT tableoid, ctid, NULL, NULL::name, NULL FROM r WHERE false'
						 UNION ALL SELECT soft_delete.key_conflicts(relation)
						 UNION ALL SELECT soft_delete.parent_conflicts(relation)
						 UNION ALL SELECT soft_delete.check_conflicts(relation, tombstone)) AS conflicts(query)),
				  relation,
				  coalesce((SELECT soft_delete.describe_columns(relation, conkey, 'r') FROM pg_constraint WHERE conrelid = relation AND contype = 'p'),
						   'format(''(ctid)=(%s)'', ctid)'))
$$;
COMMENT ON FUNCTION soft_delete.preview_rows(regclass, regclass, name, text) IS
'the query of preview() for the rows of one table';

CREATE FUNCTION soft_delete.preview_links("constraint" oid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT %1$L::regclass, format(''(%%s)=(%%s)'', array_to_string(key_columns, '', ''), array_to_string(key, '', '')), '
				  'CASE WHEN EXISTS (SELECT FROM %2$s WHERE %3$s) THEN ''is linked again'' ELSE ''stays unlinked'' END, conname, '
				  'format(''It referenced (%%s).'', array_to_string(referenced, '', '')) '
				  'FROM (SELECT *, "constraint" AS conname FROM soft_delete.visible_cuts) AS x '
				  'WHERE relation = %1$L::regclass AND conname = %4$L AND deleted_at = ANY ($1) AND key_columns = %5$L::name[]',
				  conrelid::regclass, soft_delete.rows_of(conrelid, 'c', 'live'),
				  concat_ws(' AND ',
					(SELECT string_agg(format('c.%I = CAST(x.key[%s] AS %s)', attname, n, format_type(atttypid, atttypmod)), ' AND ')
					 FROM unnest(key_columns) WITH ORDINALITY AS u(attname, n) JOIN pg_attribute USING (attname) WHERE attrelid = conrelid),
					(SELECT string_agg(format('c.%I IS NOT DISTINCT FROM CAST(x.left_with[%s] AS %s)', attname, n, format_type(atttypid, atttypmod)), ' AND ')
					 FROM unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum) WHERE attrelid = conrelid)),
				  conname, key_columns)
	FROM pg_constraint AS con
		CROSS JOIN LATERAL (SELECT array_agg(attname ORDER BY attnum) AS key_columns
							FROM pg_constraint AS pk JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
							WHERE pk.conrelid = con.conrelid AND contype = 'p') AS pk
	WHERE con.oid = "constraint"
$$;
COMMENT ON FUNCTION soft_delete.preview_links(oid) IS
'the query of preview() for the references that one foreign key would give back';

CREATE FUNCTION soft_delete.preview(VARIADIC deletions timestamptz[])
RETURNS TABLE (relation regclass, "row" text, outcome text, "constraint" name, detail text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	item record;
	found boolean;
BEGIN
	FOR item IN SELECT * FROM soft_delete.readable_bins() LOOP
		EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = ANY %s)', item.bin, item.tombstone, item.stamps) INTO found USING deletions;
		IF found THEN
			RETURN QUERY EXECUTE soft_delete.preview_rows(item.relation, item.bin, item.tombstone, item.stamps) USING deletions;
		END IF;
	END LOOP;
	FOR item IN
		SELECT con.oid FROM pg_constraint AS con
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype IN ('n', 'd')
		  AND (conrelid::regclass, conname) IN (SELECT cut.relation, cut."constraint" FROM soft_delete.visible_cuts AS cut WHERE deleted_at = ANY (deletions))
		ORDER BY con.oid
	LOOP
		RETURN QUERY EXECUTE soft_delete.preview_links(item.oid) USING deletions;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.preview(timestamptz[]) IS
'dry run of undo(): what would come back, be linked again, or stand in the way, one row each; touches nothing';
/*
 * Health
 */

CREATE FUNCTION soft_delete.check_dangling("constraint" oid, OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	con pg_constraint;
	is_reference text;
	without_parent text;
	which text;
	n bigint;
BEGIN
	SELECT * INTO STRICT con FROM pg_constraint WHERE oid = "constraint";
	SELECT string_agg(format('c.%I IS NOT NULL', attname), ' AND ') INTO is_reference
	FROM pg_attribute WHERE attrelid = con.conrelid AND attnum = ANY (con.conkey);
	relation := con.conrelid;

	FOREACH which IN ARRAY CASE WHEN soft_delete.tag_arguments(relation) IS NULL THEN '{live}' ELSE '{live,deleted}'::text[] END LOOP
		without_parent := format('%s AND NOT EXISTS (SELECT FROM %s WHERE %s)', is_reference,
			soft_delete.rows_of(con.confrelid, 'p', CASE which WHEN 'live' THEN 'live' ELSE 'all' END),
			soft_delete.key_match("constraint"));
		EXECUTE format('SELECT count(*) FROM %s WHERE %s', soft_delete.rows_of(relation, 'c', which), without_parent) INTO n;
		CONTINUE WHEN n = 0;

		severity := 'error';
		IF which = 'live' THEN
			problem := format('%s live rows reference deleted or missing rows of %s by foreign key "%s"', n, con.confrelid::regclass, con.conname);
			remedy := format('DELETE FROM %s c WHERE %s;', relation, without_parent);
		ELSE
			problem := format('%s deleted rows reference missing rows of %s by foreign key "%s", and cannot be restored', n, con.confrelid::regclass, con.conname);
			remedy := format('DELETE FROM %s c WHERE %s;', soft_delete.bin_of(soft_delete.root(relation)), without_parent);
		END IF;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.check_dangling(oid) IS
'the problems of check() with one foreign key: rows that reference nothing';

CREATE FUNCTION soft_delete.check(OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT soft_delete.new_sessions_load() THEN
		severity := 'error';
		problem := format('new sessions of database "%s" will not load the library, and see deleted rows', current_database());
		remedy := format('ALTER DATABASE %I SET session_preload_libraries = ''soft_delete'';', current_database());
		RETURN NEXT;
	END IF;

	RETURN QUERY
	SELECT 'error', tgrelid::regclass, 'the tag is disabled: deletes are hard',
		format('ALTER TABLE %s ENABLE TRIGGER %I;', tgrelid::regclass, tgname)
	FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
	WHERE pg_has_role(relowner, 'USAGE') AND tgfoid = 'soft_delete.delete_row()'::regprocedure AND tgenabled NOT IN ('O', 'A')
	UNION ALL
	SELECT 'error', later.tgrelid::regclass, format('trigger "%s" would fire after the tag: deletes fail', later.tgname),
		format('ALTER TRIGGER %I ON %s RENAME TO ...;', later.tgname, later.tgrelid::regclass)
	FROM pg_trigger AS tag JOIN pg_trigger AS later USING (tgrelid) JOIN pg_class ON pg_class.oid = tgrelid
	WHERE pg_has_role(relowner, 'USAGE') AND tag.tgfoid = 'soft_delete.delete_row()'::regprocedure AND later.tgenabled <> 'D'
	  AND later.tgtype & 11 = 11		-- FOR EACH ROW BEFORE DELETE
	  AND later.tgname COLLATE "C" > tag.tgname COLLATE "C";

	RETURN QUERY
	SELECT found.* FROM pg_constraint AS con, soft_delete.check_dangling(con.oid) AS found
	WHERE contype = 'f' AND conparentid = 0
	  AND (soft_delete.tag_arguments(conrelid) IS NOT NULL OR soft_delete.tag_arguments(confrelid) IS NOT NULL)
	  AND NOT EXISTS (SELECT FROM pg_class WHERE oid IN (conrelid, confrelid)
					  AND (NOT pg_has_role(relowner, 'USAGE') OR pg_is_other_temp_schema(relnamespace)))
	ORDER BY con.oid;
END
$$;
COMMENT ON FUNCTION soft_delete.check() IS
'problems of the tagged tables that the caller owns, each with severity and remedy: above all, rows that reference what is deleted or gone';
