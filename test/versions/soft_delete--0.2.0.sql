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

CREATE FUNCTION soft_delete.guard_truncate() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_guard_truncate';
COMMENT ON FUNCTION soft_delete.guard_truncate() IS
'BEFORE TRUNCATE trigger of a tagged table: refuses what the library does not carry out softly, unless soft_delete.truncate is hard';

CREATE FUNCTION soft_delete.restore_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_restore_row';
COMMENT ON FUNCTION soft_delete.restore_row() IS
'INSTEAD OF UPDATE trigger of a bin: SET deleted_at = NULL restores, SET hold = ''why'' holds, SET hold = NULL lifts the hold';

CREATE FUNCTION soft_delete.purge_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_purge_row';
COMMENT ON FUNCTION soft_delete.purge_row() IS
'INSTEAD OF DELETE trigger of a bin: destroys the row for good';

CREATE FUNCTION soft_delete.finish_bin() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_finish_bin';
COMMENT ON FUNCTION soft_delete.finish_bin() IS
'AFTER UPDATE OR DELETE statement trigger of a bin: restores or purges what its row triggers have collected, with what belongs to it';

CREATE FUNCTION soft_delete.deletion_of(tableoid oid, ctid tid, deleted_at timestamptz, what text) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'soft_delete_deletion_of';
COMMENT ON FUNCTION soft_delete.deletion_of(oid, tid, timestamptz, text) IS
'what the ledger says about the deletion of a row that a bin lists: ''deleted_by'', ''actor'' or ''reason''; null to who may not read that column of the bin';

CREATE FUNCTION soft_delete.hold_of(tableoid oid, ctid tid, tables boolean) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'soft_delete_hold_of';
COMMENT ON FUNCTION soft_delete.hold_of(oid, tid, boolean) IS
'the hold on a row that a bin lists: on the row, its deletion, or, if tables, on its table; null to who may not read that column of the bin';

CREATE FUNCTION soft_delete.ask_as_owner(relation regclass, query text) RETURNS text
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'soft_delete_ask_as_owner';
COMMENT ON FUNCTION soft_delete.ask_as_owner(regclass, text) IS
'what a query finds that is run as the owner of a relation, who the caller must be, or have the rights of';

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

CREATE FUNCTION soft_delete.shows_statistics(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_shows_statistics';
COMMENT ON FUNCTION soft_delete.shows_statistics(oid) IS
'whether the caller may know the statistics of a relation: of a tagged table, who may see its deleted rows';

CREATE FUNCTION soft_delete.index_hides(index regclass, attnum smallint) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_index_hides';
COMMENT ON FUNCTION soft_delete.index_hides(regclass, smallint) IS
'whether an index is partial on rows whose column is null';

CREATE FUNCTION soft_delete.tag_arguments(relation regclass) RETURNS text[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_tag_arguments';
COMMENT ON FUNCTION soft_delete.tag_arguments(regclass) IS
'arguments of a table''s tag: the tombstone column, then what untag() must know; null if not tagged';

CREATE FUNCTION soft_delete.lock_bin(relation regclass) RETURNS regclass
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_lock_bin';
COMMENT ON FUNCTION soft_delete.lock_bin(regclass) IS
'the bin of a table, which stays until the transaction ends; null if the caller may not read it, or if the table has been untagged or dropped';

CREATE FUNCTION soft_delete.is_used() RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_is_used';
COMMENT ON FUNCTION soft_delete.is_used() IS
'whether any table or schema is tagged, or anything kept of one: if not, DDL has no consequences';

CREATE FUNCTION soft_delete.bind_view(view regclass, relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_bind_view';
COMMENT ON FUNCTION soft_delete.bind_view(regclass, regclass) IS
'lets DROP TABLE take along a view that tag() made, and DROP COLUMN the view''s column';

CREATE FUNCTION soft_delete.release_columns(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_release_columns';
COMMENT ON FUNCTION soft_delete.release_columns(regclass) IS
'unties the columns of a table''s views from its own, whose types are going to change';

CREATE FUNCTION soft_delete.update_views(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_update_views';
COMMENT ON FUNCTION soft_delete.update_views(regclass) IS
'runs soft_delete.follow_views() as the owner of the table';

CREATE FUNCTION soft_delete.update_displaced(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_update_displaced';
COMMENT ON FUNCTION soft_delete.update_displaced(regclass) IS
'runs soft_delete.align_displaced() as the owner of the table';

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

CREATE FUNCTION soft_delete.step_aside(relation regclass, "row" tid) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_step_aside';
COMMENT ON FUNCTION soft_delete.step_aside(regclass, tid) IS
'moves a deleted row to soft_delete.displaced; false if there is none';

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

CREATE FUNCTION soft_delete.lacks_guard("constraint" oid) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_lacks_guard';
COMMENT ON FUNCTION soft_delete.lacks_guard(oid) IS
'whether a foreign key is without a guard that it needs';

CREATE FUNCTION soft_delete.is_own_transaction(xid) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_is_own_transaction';
COMMENT ON FUNCTION soft_delete.is_own_transaction(xid) IS
'whether a transaction is the current one or one of its subtransactions';

CREATE FUNCTION soft_delete.named_by(command pg_ddl_command, action text) RETURNS name[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_named_by';
COMMENT ON FUNCTION soft_delete.named_by(pg_ddl_command, text) IS
'for event triggers: the names of the tables that ALTER TABLE ... ATTACH PARTITION, DETACH PARTITION, INHERIT or NO INHERIT names, without their schemas';

CREATE FUNCTION soft_delete.changes_schema(command pg_ddl_command) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_changes_schema';
COMMENT ON FUNCTION soft_delete.changes_schema(pg_ddl_command) IS
'for event triggers: whether a command is ALTER ... SET SCHEMA';

CREATE FUNCTION soft_delete.renamed_from(command pg_ddl_command) RETURNS name
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_renamed_from';
COMMENT ON FUNCTION soft_delete.renamed_from(pg_ddl_command) IS
'for event triggers: what a schema, relation, column or constraint was named before ALTER ... RENAME; null for other commands';

CREATE FUNCTION soft_delete.lock_schema(schema name) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_lock_schema';
COMMENT ON FUNCTION soft_delete.lock_schema(name) IS
'waits for those who have created something in a schema, and lets nobody else do so until the transaction ends';

CREATE FUNCTION soft_delete.load() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_load';
COMMENT ON FUNCTION soft_delete.load() IS
'loads the library into the session';

CREATE FUNCTION soft_delete.keep_extension() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_keep_extension';
COMMENT ON FUNCTION soft_delete.keep_extension() IS
'event trigger that refuses to drop the extension while tables are tagged';
/*
 * What policies of the extension's tables ask
 */

/* Not to_regclass(), which fails for who may not use the schema. */
CREATE FUNCTION soft_delete.owns_named(relation text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
				   WHERE nspname = name[1]::name AND relname = name[2]::name AND pg_has_role(relowner, 'USAGE'))
	FROM parse_ident(relation) AS name
$$;
COMMENT ON FUNCTION soft_delete.owns_named(text) IS
'whether there is a relation of that name, given as schema.name, that the current role owns';

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
-- a name that the new database does not have would make it refuse all rows
SELECT pg_extension_config_dump('soft_delete.displaced',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

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
CREATE INDEX cut_references_deleted_at_idx ON soft_delete.cut_references (deleted_at);
ALTER TABLE soft_delete.cut_references REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete.cut_references IS
'references that deletions overwrote by ON DELETE SET NULL or SET DEFAULT: what a restore gives back';
-- a name that the new database does not have would make it refuse all rows
SELECT pg_catalog.pg_extension_config_dump('soft_delete.cut_references',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

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
 * Holds: what must not be destroyed
 */

CREATE TABLE soft_delete.holds (
	relation regclass NOT NULL,
	deleted_at timestamptz,
	key text[],
	hold text NOT NULL,
	held_by text NOT NULL,
	held_at timestamptz NOT NULL,
	UNIQUE NULLS NOT DISTINCT (relation, deleted_at, key)
) USING heap;
-- what is held here is nobody else's business, neither as it is written nor as it goes
ALTER TABLE soft_delete.holds REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete.holds IS
'holds in force: on a deleted row, on what one deletion took from a table (key is null), or on all that is deleted from a table (deleted_at is null, too)';
COMMENT ON COLUMN soft_delete.holds.relation IS 'the table; of a row, the table or partition that it is in';
COMMENT ON COLUMN soft_delete.holds.deleted_at IS 'the stamp of what is held';
COMMENT ON COLUMN soft_delete.holds.key IS 'its primary key as text';
COMMENT ON COLUMN soft_delete.holds.hold IS 'why it is held';
COMMENT ON COLUMN soft_delete.holds.held_by IS 'the role that holds it';
COMMENT ON COLUMN soft_delete.holds.held_at IS 'since when';
-- a name that the new database does not have would make it refuse all rows
SELECT pg_catalog.pg_extension_config_dump('soft_delete.holds',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

/* The owner of a table may see them. */
ALTER TABLE soft_delete.holds ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_own_tables ON soft_delete.holds USING
	(EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) relation AND pg_catalog.pg_has_role(relowner, 'USAGE')));
COMMENT ON POLICY of_own_tables ON soft_delete.holds IS 'the owner of a table sees what is held in it';
GRANT SELECT ON soft_delete.holds TO PUBLIC;

CREATE TABLE soft_delete.lifted_holds (
	-- a name: the table may be gone
	relation text NOT NULL,
	deleted_at timestamptz,
	key text[],
	hold text NOT NULL,
	held_by text NOT NULL,
	held_at timestamptz NOT NULL,
	lifted_by text NOT NULL,
	lifted_at timestamptz NOT NULL
) USING heap;
ALTER TABLE soft_delete.lifted_holds REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete.lifted_holds IS
'holds that were lifted, or replaced by others';
COMMENT ON COLUMN soft_delete.lifted_holds.lifted_by IS 'the role that lifted it';
COMMENT ON COLUMN soft_delete.lifted_holds.lifted_at IS 'when';
SELECT pg_catalog.pg_extension_config_dump('soft_delete.lifted_holds', '');

ALTER TABLE soft_delete.lifted_holds ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_own_tables ON soft_delete.lifted_holds USING (soft_delete.owns_named(relation));
COMMENT ON POLICY of_own_tables ON soft_delete.lifted_holds IS 'the owner of a table sees what was held in it';
GRANT SELECT ON soft_delete.lifted_holds TO PUBLIC;

CREATE FUNCTION soft_delete.set_hold(relation regclass, deleted_at timestamptz, hold text) RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_set_hold';
COMMENT ON FUNCTION soft_delete.set_hold(regclass, timestamptz, text) IS
'holds what a deletion took from a table, or, where that is null, all that is deleted from it; a null hold lifts; returns whether there was such a hold';

CREATE FUNCTION soft_delete.may_hold(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_may_hold';
COMMENT ON FUNCTION soft_delete.may_hold(regclass) IS
'whether the caller may hold deleted rows of a table: its owner, and who may update column hold of its bin';

CREATE FUNCTION soft_delete.lift_holds(relation oid, name text) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_lift_holds';
COMMENT ON FUNCTION soft_delete.lift_holds(oid, text) IS
'lifts all holds on a table that is gone';
REVOKE EXECUTE ON FUNCTION soft_delete.lift_holds(oid, text) FROM PUBLIC;

CREATE FUNCTION soft_delete.copy_holds(relation regclass, partition regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_copy_holds';
COMMENT ON FUNCTION soft_delete.copy_holds(regclass, regclass) IS
'holds for a table that is a partition no more what is held for the table that it was one of';

CREATE FUNCTION soft_delete.check_holds(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
DECLARE
	item soft_delete.holds;
BEGIN
	SELECT * INTO item FROM soft_delete.holds AS h
	WHERE h.relation IN (SELECT soft_delete.family(check_holds.relation)) ORDER BY deleted_at NULLS FIRST, key NULLS FIRST LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'table "%" is held: %', relation, item.hold
			USING ERRCODE = 'object_in_use',
				DETAIL = 'Without the tag nothing would keep what is held from being destroyed.',
				HINT = 'Lift the hold first: ' || CASE
					WHEN item.deleted_at IS NULL THEN format('SELECT soft_delete.hold(%L, NULL);', item.relation)
					WHEN item.key IS NULL THEN format('SELECT soft_delete.hold_deletion(%L, NULL);', item.deleted_at)
					ELSE format('UPDATE %s SET %I = NULL;', soft_delete.bin_of(relation), (soft_delete.bin_columns(relation))[4]) END;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_holds(regclass) IS
'raises 55006 if a table, or a deleted row of it, is held';

/*
 * A hold finds its row by the text of the primary key.
 *
 * Security definer: who alters a type need not own the tables that use it.
 */
CREATE FUNCTION soft_delete.check_held_keys(members regclass[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET lc_monetary = 'C' SET xmloption = 'content'
SET timezone = 'UTC' SET bytea_output = 'hex'
AS $$
DECLARE
	item record;
	lost text;
BEGIN
	FOR item IN
		SELECT relation, min(hold) AS hold,
			(SELECT string_agg(format('format(''%%s'', %I)', attname), ', ' ORDER BY n)
			 FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum)
			 WHERE conrelid = relation AND contype = 'p' AND attrelid = conrelid) AS columns,
			(SELECT format(CASE atttypid WHEN 'timestamp'::regtype THEN 'timezone(''UTC'', %I)' ELSE '%I' END, attname) FROM pg_attribute
			 WHERE attrelid = relation AND attname = (soft_delete.tag_arguments(relation))[1]) AS stamp
		FROM soft_delete.holds JOIN pg_class ON pg_class.oid = relation
		WHERE key IS NOT NULL AND (members IS NULL OR relation = ANY (members))
		  -- what cannot be read must not keep others from altering their types
		  AND NOT pg_is_other_temp_schema(relnamespace) AND has_table_privilege(relowner, pg_class.oid, 'SELECT')
		GROUP BY relation
	LOOP
		lost := item.hold;
		IF item.columns IS NOT NULL THEN
			-- not by ourselves: to plan a query may call functions that the owner of the table has written
			lost := soft_delete.ask_as_owner(item.relation,
					format('SELECT min(hold) FROM soft_delete.holds AS h WHERE relation = %4$L::regclass AND key IS NOT NULL AND NOT EXISTS '
						   '(SELECT FROM (SELECT %1$s, ARRAY[%2$s] FROM ONLY %3$s TABLESAMPLE soft_delete.rows(''all'') '
						   'UNION ALL SELECT %1$s, ARRAY[%2$s] FROM ONLY %3$s TABLESAMPLE soft_delete.rows(''displaced'')) AS r(stamp, key) '
						   'WHERE r.stamp = h.deleted_at AND r.key = h.key)', item.stamp, item.columns, item.relation, item.relation::oid));
		END IF;
		IF lost IS NOT NULL THEN
			RAISE EXCEPTION 'cannot change the primary key of table "%", by which held rows are known: %', item.relation, lost
				USING ERRCODE = 'object_in_use',
					DETAIL = 'A hold would not find its row any more.',
					HINT = format('Hold the table, SELECT soft_delete.hold(%L, ''why''), and then lift the holds on its rows.', item.relation);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.check_held_keys(regclass[]) IS
'for event triggers: raises 55006 if a held row of these tables, or of any, is not found by its key';

CREATE FUNCTION soft_delete.hold(relation regclass, hold text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	was_held boolean;
BEGIN
	-- by itself, for a condition is not evaluated where its outcome is known without
	was_held := soft_delete.set_hold(relation, NULL, hold);
	IF NOT was_held AND hold IS NULL THEN
		RAISE NOTICE 'table "%" is not held', relation;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.hold(regclass, text) IS
'forbids to purge whatever is deleted from a table; hold says why, null lifts that';

CREATE FUNCTION soft_delete.hold_deletion(deleted_at timestamptz, hold text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	found boolean;
	tables bigint := 0;
BEGIN
	FOR item IN SELECT * FROM soft_delete.readable_bins() AS bins WHERE soft_delete.may_hold(bins.relation) LOOP
		IF hold IS NULL THEN
			found := soft_delete.set_hold(item.relation, deleted_at, NULL);
		ELSE
			EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = ANY %s)', item.bin, item.tombstone, item.stamps)
				INTO found USING ARRAY[deleted_at];
			IF found THEN
				PERFORM soft_delete.set_hold(item.relation, deleted_at, hold);
			END IF;
		END IF;
		tables := tables + found::integer;
	END LOOP;
	IF tables = 0 AND hold IS NOT NULL THEN
		RAISE EXCEPTION 'no deleted row that you may hold carries the stamp %', deleted_at
			USING ERRCODE = 'undefined_object',
				HINT = 'SELECT * FROM soft_delete.deletions ORDER BY deleted_at DESC;';
	END IF;
	RETURN tables;
END
$$;
COMMENT ON FUNCTION soft_delete.hold_deletion(timestamptz, text) IS
'forbids to purge or restore what one deletion took from the tables whose rows the caller may hold; hold says why, null lifts that; returns the number of tables';
/*
 * Small questions to the catalogs
 *
 * Those that are asked often are in PL/pgSQL, which keeps their plans.
 */

CREATE FUNCTION soft_delete.lists_library(setting text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
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
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- most tables are alone
	IF (SELECT relhassubclass FROM pg_class WHERE oid = relation) IS NOT TRUE THEN
		RETURN NEXT relation;
		RETURN;
	END IF;
	RETURN QUERY
		WITH RECURSIVE family(member, depth) AS (
			SELECT relation, 0
			UNION
			SELECT inhrelid::regclass, depth + 1 FROM pg_inherits JOIN family ON inhparent = member
		)
		SELECT member FROM family GROUP BY member ORDER BY max(depth), member;
END
$$;
COMMENT ON FUNCTION soft_delete.family(regclass) IS
'a table, its partitions and its inheritance children, parents first';

CREATE FUNCTION soft_delete.add_suffix(name name, suffix text) RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	-- as many characters of the name as leave room for the suffix
	SELECT (left(name, max(length) FILTER (WHERE octet_length(left(name, length)) + octet_length(suffix) <= 63)) || suffix)::name
	FROM generate_series(1, 63) AS length
	WHERE length <= char_length(name)
$$;
COMMENT ON FUNCTION soft_delete.add_suffix(name, text) IS
'a name and a suffix, in the length that names may have';

CREATE FUNCTION soft_delete.view_name(relation regclass, suffix text) RETURNS name
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT soft_delete.add_suffix(relname, suffix) FROM pg_class WHERE oid = relation $$;
COMMENT ON FUNCTION soft_delete.view_name(regclass, text) IS
'name of a view that tag() makes for a table';

CREATE FUNCTION soft_delete.bin_of(relation regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (
		SELECT DISTINCT tgrelid::regclass
		FROM pg_trigger JOIN pg_rewrite ON ev_class = tgrelid
			JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
			JOIN pg_class AS view ON view.oid = tgrelid JOIN pg_class AS base ON base.oid = refobjid
		-- INSTEAD OF DELETE, FOR EACH ROW; whoever attaches the function otherwise makes no bin
		WHERE tgfoid = 'soft_delete.purge_row()'::regprocedure AND tgtype = 73
		  AND refclassid = 'pg_class'::regclass AND refobjid = relation
		  -- anybody can make a view that looks like a bin
		  AND pg_has_role(view.relowner, base.relowner, 'USAGE')
		LIMIT 1
	);
END
$$;
COMMENT ON FUNCTION soft_delete.bin_of(regclass) IS
'the bin of a tagged table';

CREATE FUNCTION soft_delete.is_plain_bin(bin regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- what the server brings along is no dependency
	SELECT NOT EXISTS
		(SELECT FROM pg_rewrite JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = pg_rewrite.oid
		 WHERE ev_class = bin AND d.deptype = 'n'
		   AND NOT EXISTS (SELECT FROM pg_class AS read JOIN pg_class AS view USING (relowner)
						   WHERE d.refclassid = 'pg_class'::regclass AND read.oid = d.refobjid AND view.oid = bin
							 AND (read.oid = bin OR read.relkind IN ('r', 'p')))
		   AND NOT EXISTS (SELECT FROM pg_depend AS own JOIN pg_extension ON own.refobjid = pg_extension.oid
						   WHERE own.classid = d.refclassid AND own.objid = d.refobjid AND own.deptype = 'e'
							 AND own.refclassid = 'pg_extension'::regclass AND extname = 'soft_delete'))
$$;
COMMENT ON FUNCTION soft_delete.is_plain_bin(regclass) IS
'whether a bin calls nothing but what tag() has written into it: functions of a view run as who reads it';

CREATE FUNCTION soft_delete.active_of(relation regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (
		SELECT pg_class.oid::regclass FROM pg_depend JOIN pg_class ON pg_class.oid = objid
		WHERE classid = 'pg_class'::regclass AND objsubid = 0 AND deptype = 'a' AND relkind = 'v'
		  AND refclassid = 'pg_class'::regclass AND refobjid = relation AND refobjsubid = 0
		  AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = objid AND tgfoid = 'soft_delete.purge_row()'::regprocedure AND tgtype = 73)
		LIMIT 1
	);
END
$$;
COMMENT ON FUNCTION soft_delete.active_of(regclass) IS
'the view of live rows of a tagged table';

CREATE FUNCTION soft_delete.is_own_command(context text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- the first line is that of the function that asks; in quotes are statements, which may speak of anything
	RETURN regexp_replace(context, '^[^\n]*', '') ~ '\n[^\n"]*(?<![a-z0-9_$])soft_delete\.((un)?tag_table|(prepare|join|leave)_partition|prepare_reference|follow_\w+)\(';
END
$$;
COMMENT ON FUNCTION soft_delete.is_own_command(text) IS
'whether PG_CONTEXT says that the extension itself runs a command, which knows what follows from it';
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
	FROM pg_index LEFT JOIN pg_constraint con ON conrelid = indrelid AND conindid = indexrelid AND contype = 'x'
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
LANGUAGE sql STABLE ROWS 10
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
	WHERE conrelid = (SELECT indrelid FROM pg_index WHERE indexrelid = index)
	  AND (oid = soft_delete.stand_in(index) OR (conindid = index AND contype IN ('u', 'x')))
	  AND obj_description(oid, 'pg_constraint') IS NOT NULL
$$;
COMMENT ON FUNCTION soft_delete.comments_on(regclass) IS
'commands that give an index and its constraint their comments';

/*
 * An index that soft_delete.plan() had prepared to take another's place is known
 * by its name, and ready if it differs in nothing but that and the predicate.
 */
CREATE FUNCTION soft_delete.prepared_name(index regclass) RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE
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
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		SELECT indexrelid::regclass, relname,
			-- a unique constraint that does is one that has just been added, and must not stay one
			contype IS DISTINCT FROM 'u' AND coalesce(soft_delete.index_hides(indexrelid, attnum), false),
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
		  AND NOT EXISTS (SELECT FROM pg_depend JOIN pg_constraint fk ON fk.oid = objid
						  WHERE classid = 'pg_constraint'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = indexrelid
							AND fk.contype = 'f' AND fk.conindid = indexrelid)
		  AND NOT EXISTS (SELECT FROM pg_depend
						  WHERE classid = 'pg_class'::regclass AND objid = indexrelid AND deptype = 'e')
		ORDER BY indexrelid;
END
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
			IF NOT item.was_constraint THEN
				remembered := remembered || format('partial:%s', item.name);
			END IF;
			CONTINUE;
		END IF;

		SELECT * INTO definition, predicate, deferral FROM soft_delete.index_definition(item.index);
		IF NOT (SELECT soft_delete.index_hides(item.index, attnum) FROM pg_attribute
				WHERE attrelid = (SELECT indrelid FROM pg_index WHERE indexrelid = item.index) AND attname = deleted_at) THEN
			predicate := concat_ws(' AND ', predicate, format('(%I IS NULL)', deleted_at));
		END IF;
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

CREATE FUNCTION soft_delete.follow_constraints(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_constraint WHERE conrelid = relation AND contype = 'u' AND NOT condeferrable AND conparentid = 0
			   AND soft_delete.is_own_transaction(xmin)) THEN
		PERFORM soft_delete.hide_tombstones(relation, (soft_delete.tag_arguments(relation))[1], 'unique');
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_constraints(regclass) IS
'makes unique constraints that this transaction has added to a tagged table indexes on live rows';

CREATE FUNCTION soft_delete.make_whole(index regclass, deleted_at name, was_constraint boolean, is_exclusion boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	definition text;
	predicate text;
	deferral text;
	own_predicate text := format('(%I IS NULL)', deleted_at);
BEGIN
	SELECT * INTO definition, predicate, deferral FROM soft_delete.index_definition(index);
	IF predicate = own_predicate THEN
		predicate := NULL;
	ELSE
		-- the server shows it as ((theirs) AND (deleted_at IS NULL))
		predicate := left(substr(predicate, 2), -char_length(' AND ' || own_predicate || ')'));
	END IF;

	IF was_constraint THEN
		definition := substring(definition FROM ' USING btree (\(.*)$');
		definition := 'UNIQUE ' ||
			CASE WHEN definition ~ '\) NULLS NOT DISTINCT( |$)' THEN 'NULLS NOT DISTINCT ' ELSE '' END ||
			regexp_replace(regexp_replace(definition, '\) NULLS NOT DISTINCT', ')'),
						   ' TABLESPACE (\S+)$', ' USING INDEX TABLESPACE \1');
	ELSIF predicate IS NOT NULL THEN
		definition := format(CASE WHEN is_exclusion THEN '%s WHERE (%s)' ELSE '%s WHERE %s' END, definition, predicate);
	END IF;
	PERFORM soft_delete.replace_index(index, definition || deferral, is_exclusion OR was_constraint);
END
$$;
COMMENT ON FUNCTION soft_delete.make_whole(regclass, name, boolean, boolean) IS
'gives an index or constraint back as it was before hide_tombstones()';

CREATE FUNCTION soft_delete.show_tombstones(relation regclass, deleted_at name, remembered text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN SELECT * FROM soft_delete.convertible_indexes(relation, deleted_at, 'all') LOOP
		CONTINUE WHEN NOT item.hides OR 'partial:' || item.name = ANY (remembered);
		PERFORM soft_delete.make_whole(item.index, deleted_at, item.was_constraint, item.is_exclusion);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.show_tombstones(regclass, name, text[]) IS
'gives indexes and constraints back as they were before hide_tombstones()';

CREATE FUNCTION soft_delete.has_key_columns(index regclass, columns name[]) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT cardinality(columns) = indnkeyatts AND columns <@ ARRAY(
		SELECT attname FROM pg_attribute, unnest(indkey[0:indnkeyatts - 1]) AS k WHERE attrelid = indrelid AND attnum = k)
	FROM pg_index WHERE indexrelid = index
$$;
COMMENT ON FUNCTION soft_delete.has_key_columns(regclass, name[]) IS
'whether an index is on these columns, in whatever order';

/*
 * A foreign key needs a whole key, which has room for one of the tombstones that
 * have it and no live row: the last.
 */
CREATE FUNCTION soft_delete.prepare_reference(parent regclass, columns name[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
	deleted_at name := (soft_delete.tag_arguments(parent))[1];
	key record;
	list text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(columns) AS c);
BEGIN
	SELECT c.index, c.was_constraint INTO key
	FROM soft_delete.convertible_indexes(parent, deleted_at, 'unique') AS c JOIN pg_index ON indexrelid = c.index
	WHERE c.hides AND NOT c.is_exclusion AND indrelid = parent AND indexprs IS NULL
	  AND pg_get_expr(indpred, indrelid) = format('(%I IS NULL)', deleted_at)
	  AND soft_delete.has_key_columns(c.index, columns)
	ORDER BY c.was_constraint DESC LIMIT 1;
	IF NOT FOUND OR EXISTS (SELECT FROM pg_index WHERE indrelid = parent AND indisunique AND indisvalid AND indimmediate
							AND indpred IS NULL AND indexprs IS NULL AND soft_delete.has_key_columns(indexrelid, columns)) THEN
		RETURN;
	END IF;

	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', parent);
	EXECUTE format('SELECT soft_delete.step_aside(tableoid, ctid) FROM ('
				   'SELECT tableoid, ctid, %2$I, row_number() OVER (PARTITION BY %3$s ORDER BY %2$I DESC NULLS FIRST) AS place '
				   'FROM %5$s %1$s TABLESAMPLE soft_delete.rows(''all'') %4$s) AS holders WHERE place > 1 AND %2$I IS NOT NULL',
		parent, deleted_at, list,
		CASE WHEN (SELECT indnullsnotdistinct FROM pg_index WHERE indexrelid = key.index) THEN ''
			ELSE 'WHERE ' || (SELECT string_agg(format('%I IS NOT NULL', c), ' AND ') FROM unnest(columns) AS c) END,
		CASE (SELECT relkind FROM pg_class WHERE oid = parent) WHEN 'p' THEN '' ELSE 'ONLY' END);
	PERFORM soft_delete.make_whole(key.index, deleted_at, key.was_constraint, false);
END
$$;
COMMENT ON FUNCTION soft_delete.prepare_reference(regclass, name[]) IS
'makes the key of a tagged table whole that a foreign key is going to reference; deleted rows that have the key of another row step aside';

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

CREATE FUNCTION soft_delete.rename_stand_ins() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
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
END
$$;
COMMENT ON FUNCTION soft_delete.rename_stand_ins() IS
'for event triggers: gives a stand-in the new name of its index, or the index that of its stand-in';

CREATE FUNCTION soft_delete.bind_stand_ins(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- an index was made anew, by a change of type or from a dump
	PERFORM soft_delete.bind_index(indexrelid, soft_delete.stand_in(indexrelid))
	FROM pg_index
	WHERE indrelid = relation AND soft_delete.stand_in(indexrelid) IS NOT NULL
	  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid
					  AND refclassid = 'pg_constraint'::regclass AND deptype = 'a');
END
$$;
COMMENT ON FUNCTION soft_delete.bind_stand_ins(regclass) IS
'ties the indexes of a tagged table to their stand-ins, where that is not done';

CREATE FUNCTION soft_delete.drop_stand_ins() RETURNS void
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
			WHERE object_type = 'index' AND to_regclass(quote_ident(schema_name) || '.' || quote_ident(object_name)) IS NULL
		)
		SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM orphans
		WHERE pg_get_expr(conbin, conrelid) = 'true' AND soft_delete.tag_arguments(conrelid) IS NOT NULL
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.drop_stand_ins() IS
'for event triggers: drops the stand-ins of dropped indexes';
/*
 * The two views of a tagged table
 */

CREATE FUNCTION soft_delete.active_query(relation regclass, deleted_at name, columns name[] DEFAULT '{}') RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT %s FROM %s WHERE %I IS NULL',
				  string_agg(quote_ident(attname), ', ' ORDER BY array_position(columns, attname), attnum), relation, deleted_at)
	FROM pg_attribute
	WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attname <> deleted_at
$$;
COMMENT ON FUNCTION soft_delete.active_query(regclass, name, name[]) IS
'the query of the view of live rows; columns: those that come first';

CREATE FUNCTION soft_delete.new_bin_columns(relation regclass) RETURNS name[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT array_agg((SELECT candidate FROM generate_series(0, 4) AS n, CAST(repeat('soft_delete_', n) || field AS name) AS candidate
					  WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = candidate AND NOT attisdropped)
					  ORDER BY n LIMIT 1) ORDER BY position)
	FROM unnest('{deleted_by,actor,reason,hold}'::text[]) WITH ORDINALITY AS u(field, position)
$$;
COMMENT ON FUNCTION soft_delete.new_bin_columns(regclass) IS
'names for the columns that a bin has beside those of its table: deleted_by, actor, reason and hold, with soft_delete_ before a name that the table has';

CREATE FUNCTION soft_delete.bin_columns(relation regclass) RETURNS name[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce((SELECT (string_to_array(encode(tgargs, 'escape'), '\000'))[:4]::name[] FROM pg_trigger
					 WHERE tgrelid = soft_delete.bin_of(relation) AND tgfoid = 'soft_delete.restore_row()'::regprocedure AND tgtype = 81 AND tgnargs = 4 LIMIT 1),
					soft_delete.new_bin_columns(relation))
$$;
COMMENT ON FUNCTION soft_delete.bin_columns(regclass) IS
'names of the columns that the bin of a table has beside those of the table, or will have';

CREATE FUNCTION soft_delete.bin_expressions(relation regclass, deleted_at name) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(CASE n WHEN 4 THEN format('soft_delete.hold_of(tableoid, ctid, true) AS %I', name)
					  ELSE format('soft_delete.deletion_of(tableoid, ctid, %s, %L) AS %I', stamp, ('{deleted_by,actor,reason}'::text[])[n], name) END,
					  ', ' ORDER BY n)
	FROM unnest(soft_delete.bin_columns(relation)) WITH ORDINALITY AS u(name, n),
		-- a timestamp column holds UTC
		(SELECT format(CASE atttypid WHEN 'timestamp'::regtype THEN 'pg_catalog.timezone(''UTC'', %I)' ELSE '%I' END, attname) AS stamp
		 FROM pg_attribute WHERE attrelid = relation AND attname = deleted_at) AS tombstone
$$;
COMMENT ON FUNCTION soft_delete.bin_expressions(regclass, name) IS
'the columns that a bin has beside those of its table, as they are selected';

CREATE FUNCTION soft_delete.bin_query(relation regclass, deleted_at name, columns name[] DEFAULT '{}') RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH own AS (
		SELECT format('SELECT %1$s, %4$s, tableoid, ctid FROM %2$s TABLESAMPLE soft_delete.rows(''all'') WHERE %3$I IS NOT NULL '
					  'UNION ALL SELECT %1$s, %4$s, tableoid, ctid FROM %2$s TABLESAMPLE soft_delete.rows(''displaced'')',
					  string_agg(quote_ident(attname), ', ' ORDER BY attnum), relation, deleted_at,
					  soft_delete.bin_expressions(relation, deleted_at)) AS query,
			array_agg(quote_ident(attname) ORDER BY attnum) FILTER (WHERE attname <> ALL (columns)) AS others
		FROM pg_attribute
		WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
	)
	SELECT CASE WHEN columns = '{}' THEN query
		ELSE format('SELECT %s FROM (%s) AS bin',
			array_to_string(ARRAY(SELECT quote_ident(c) FROM unnest(columns) WITH ORDINALITY AS u(c, n) ORDER BY n) || others, ', '), query) END
	FROM own
$$;
COMMENT ON FUNCTION soft_delete.bin_query(regclass, name, name[]) IS
'the query of the bin; columns: those that come first, in an order of their own';

CREATE FUNCTION soft_delete.active_comment(relation text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT format('live rows of %s', relation) $$;
COMMENT ON FUNCTION soft_delete.active_comment(text) IS
'the comment of the view of live rows of a table';

CREATE FUNCTION soft_delete.bin_comment(relation text, deleted_at name) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT format('bin of %s: UPDATE ... SET %I = NULL restores, DELETE purges', relation, deleted_at) $$;
COMMENT ON FUNCTION soft_delete.bin_comment(text, name) IS
'the comment of the bin of a table';

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
	EXECUTE format('ALTER VIEW %s OWNER TO %I', view, (SELECT relowner::regrole::text::name FROM pg_class WHERE oid = relation));
	PERFORM soft_delete.bind_view(view::regclass, relation);
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
BEGIN
	view := soft_delete.make_view(relation, view_schema, '_active', soft_delete.active_query(relation, deleted_at),
		-- rights on the table, and its row security, are those of who asks
		'WITH (security_invoker = true)');
	EXECUTE format('COMMENT ON VIEW %s IS %L', view, soft_delete.active_comment(relation::text));
	PERFORM soft_delete.follow_grants(relation);
END
$$;
COMMENT ON FUNCTION soft_delete.make_active_view(regclass, name, name) IS
'creates the view of live rows, with the application''s columns and the grants of the table';

CREATE FUNCTION soft_delete.make_bin_triggers(bin regclass, columns name[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE TRIGGER soft_delete_restore INSTEAD OF UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row(%s)', bin,
				   (SELECT string_agg(quote_literal(name), ', ' ORDER BY n) FROM unnest(columns) WITH ORDINALITY AS u(name, n)));
	EXECUTE format('CREATE OR REPLACE TRIGGER soft_delete_purge INSTEAD OF DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row()', bin);
	EXECUTE format('CREATE OR REPLACE TRIGGER soft_delete_statement AFTER UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin()', bin);
END
$$;
COMMENT ON FUNCTION soft_delete.make_bin_triggers(regclass, name[]) IS
'makes the triggers of a bin, which know the names of the columns that it has beside those of its table';

CREATE FUNCTION soft_delete.yield_names(bin regclass, relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old_names name[] := soft_delete.bin_columns(relation);
	new_names name[] := old_names;
BEGIN
	FOR i IN 1 .. 4 LOOP
		IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = old_names[i] AND NOT attisdropped) THEN
			new_names[i] := (soft_delete.new_bin_columns(relation))[i];
			EXECUTE format('ALTER VIEW %s RENAME COLUMN %I TO %I', bin, old_names[i], new_names[i]);
		END IF;
	END LOOP;
	IF new_names <> old_names THEN
		PERFORM soft_delete.make_bin_triggers(bin, new_names);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.yield_names(regclass, regclass) IS
'renames columns of a bin whose names the table has got for its own';

CREATE FUNCTION soft_delete.make_bin(relation regclass, deleted_at name, view_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass;
BEGIN
	view := soft_delete.make_view(relation, view_schema, '_deleted', soft_delete.bin_query(relation, deleted_at), '');
	EXECUTE format('COMMENT ON VIEW %s IS %L', view, soft_delete.bin_comment(relation::text, deleted_at));
	PERFORM soft_delete.make_bin_triggers(view, soft_delete.bin_columns(relation));
	-- what ALTER DEFAULT PRIVILEGES grants on tables is not meant for it
	PERFORM soft_delete.set_grants(view, NULL, NULL);
END
$$;
COMMENT ON FUNCTION soft_delete.make_bin(regclass, name, name) IS
'creates the view of tombstones, at first readable by the owner alone';

CREATE FUNCTION soft_delete.drop_views(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass;
BEGIN
	FOREACH view IN ARRAY array_remove(ARRAY[soft_delete.bin_of(relation), soft_delete.active_of(relation)], NULL) LOOP
		EXECUTE format('DROP VIEW %s', view);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.drop_views(regclass) IS
'drops the two views of a table';

/*
 * They follow their table.  A column that is new is appended to them, after ours.
 * Where one is gone, or has another type, they are made anew, and with them the
 * views that users have made upon them.
 */

CREATE FUNCTION soft_delete.set_grants(view regclass, "column" name, wanted aclitem[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	FOR command IN
		WITH present AS (
			SELECT grantee, privilege_type, bool_or(is_grantable) AS is_grantable
			FROM pg_class LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attname = "column", aclexplode(CASE WHEN "column" IS NULL THEN relacl ELSE attacl END)
			WHERE pg_class.oid = view AND grantee <> relowner GROUP BY 1, 2
		), future AS (
			SELECT grantee, privilege_type, bool_or(is_grantable) AS is_grantable
			FROM aclexplode(wanted), pg_class
			WHERE pg_class.oid = view AND grantee <> relowner GROUP BY 1, 2
		)
		SELECT format(CASE WHEN f.grantee IS NULL THEN 'REVOKE %1$s %2$s ON %3$s FROM %4$s CASCADE'
						WHEN p.is_grantable AND NOT f.is_grantable THEN 'REVOKE GRANT OPTION FOR %1$s %2$s ON %3$s FROM %4$s CASCADE'
						WHEN f.is_grantable THEN 'GRANT %1$s %2$s ON %3$s TO %4$s WITH GRANT OPTION'
						ELSE 'GRANT %1$s %2$s ON %3$s TO %4$s' END,
			privilege_type, '(' || quote_ident("column") || ')', view,
			CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
		FROM present p FULL JOIN future f USING (grantee, privilege_type)
		WHERE p.is_grantable IS DISTINCT FROM f.is_grantable
		ORDER BY f.grantee IS NOT NULL, privilege_type, grantee
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.set_grants(regclass, name, aclitem[]) IS
'gives others than the owner these rights on a view, or one of its columns, and no more';

CREATE FUNCTION soft_delete.follow_grants(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass := soft_delete.active_of(relation);
BEGIN
	PERFORM soft_delete.set_grants(view, NULL, relacl) FROM pg_class WHERE oid = relation AND view IS NOT NULL;
	PERFORM soft_delete.set_grants(view, t.attname, t.attacl)
	FROM pg_attribute t JOIN pg_attribute v ON v.attrelid = view AND v.attname = t.attname AND v.attnum > 0
	WHERE t.attrelid = relation AND t.attnum > 0 AND t.attacl IS DISTINCT FROM v.attacl;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_grants(regclass) IS
'gives the view of live rows the grants of its table';

CREATE FUNCTION soft_delete.dependent_views(view regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE dependents(member, depth) AS (
		SELECT view, 0
		UNION
		SELECT ev_class::regclass, depth + 1
		FROM dependents JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = member AND classid = 'pg_rewrite'::regclass
			JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN pg_class ON pg_class.oid = ev_class
		WHERE ev_class <> member AND relkind = 'v'
	)
	SELECT member FROM dependents WHERE member <> view GROUP BY member ORDER BY max(depth), member
$$;
COMMENT ON FUNCTION soft_delete.dependent_views(regclass) IS
'the views upon a view, in an order in which they can be made';

CREATE FUNCTION soft_delete.view_commands(view regclass, query text) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text;
BEGIN
	SELECT format('%I.%I', nspname, relname) INTO name
	FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = view;

	-- in order, which UNION ALL promises to nobody
	RETURN QUERY
	SELECT command FROM (
		SELECT 1 AS part, format('CREATE %sVIEW %s%s AS %s', CASE relpersistence WHEN 't' THEN 'TEMPORARY ' END,
			CASE relpersistence WHEN 't' THEN quote_ident(relname) ELSE name END,
			' WITH (' || array_to_string(reloptions, ', ') || ')', query) AS command
		FROM pg_class WHERE oid = view
		UNION ALL
		SELECT 2, format('SELECT soft_delete.set_grants(%L, NULL, %L)', name, relacl) FROM pg_class WHERE oid = view
		UNION ALL
		SELECT 3, format('SELECT soft_delete.set_grants(%L, %L, %L)', name, attname, attacl)
		FROM pg_attribute WHERE attrelid = view AND NOT attisdropped AND attacl IS NOT NULL
		UNION ALL
		SELECT 3, format('COMMENT ON VIEW %s IS %L', name, obj_description(view, 'pg_class'))
		WHERE obj_description(view, 'pg_class') IS NOT NULL
		UNION ALL
		SELECT 3, format('COMMENT ON COLUMN %s.%I IS %L', name, attname, col_description(view, attnum))
		FROM pg_attribute WHERE attrelid = view AND NOT attisdropped AND col_description(view, attnum) IS NOT NULL
		UNION ALL
		SELECT 3, format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', name, attname, pg_get_expr(adbin, adrelid))
		FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum WHERE adrelid = view AND NOT attisdropped
		UNION ALL
		SELECT 3 + n, made FROM pg_rewrite, unnest(ARRAY[pg_get_ruledef(pg_rewrite.oid),
			format('COMMENT ON RULE %I ON %s IS %L', rulename, name, obj_description(pg_rewrite.oid, 'pg_rewrite'))]) WITH ORDINALITY AS u(made, n)
		WHERE ev_class = view AND rulename <> '_RETURN'
		UNION ALL
		SELECT 3 + n, made FROM pg_trigger, unnest(ARRAY[pg_get_triggerdef(pg_trigger.oid),
			format('COMMENT ON TRIGGER %I ON %s IS %L', tgname, name, obj_description(pg_trigger.oid, 'pg_trigger'))]) WITH ORDINALITY AS u(made, n)
		WHERE tgrelid = view AND NOT tgisinternal) AS commands
	ORDER BY part;
END
$$;
COMMENT ON FUNCTION soft_delete.view_commands(regclass, text) IS
'commands that make a view anew with another query, and with its options, grants, comments, defaults, rules and triggers';

/* What depends on a view of ours, and cannot be made anew with it, is in the way as it would be in that of DROP VIEW. */
CREATE FUNCTION soft_delete.check_dependents(view regclass, relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	-- as the server says it of the table
	SELECT ev_class::regclass AS dependent, rulename, v.attname AS column INTO item
	FROM pg_attribute v JOIN pg_attribute t ON t.attrelid = relation AND t.attname = v.attname
		JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = view AND refobjsubid = v.attnum AND classid = 'pg_rewrite'::regclass
		JOIN pg_rewrite ON pg_rewrite.oid = objid
	WHERE v.attrelid = view AND ev_class <> view AND t.attnum > 0
	  AND (v.atttypid, v.atttypmod, v.attcollation) IS DISTINCT FROM (t.atttypid, t.atttypmod, t.attcollation)
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot alter type of a column used by a view or rule'
			USING ERRCODE = 'feature_not_supported',
				DETAIL = format('rule %I on view %s depends on column "%s"', item.rulename, item.dependent, item.column);
	END IF;

	SELECT identity.type, identity.identity, pg_describe_object(classid, objid, 0) AS description INTO item
	FROM (SELECT CASE WHEN ev_class IS NULL THEN classid ELSE 'pg_class'::regclass END AS classid, coalesce(ev_class, objid) AS objid
		  FROM unnest(view || ARRAY(SELECT soft_delete.dependent_views(view))) AS member
			JOIN pg_type ON typrelid = member
			JOIN pg_depend ON (refclassid = 'pg_class'::regclass AND refobjid = member)
				OR (refclassid = 'pg_type'::regclass AND refobjid IN (pg_type.oid, typarray))
			LEFT JOIN pg_rewrite ON classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = objid
		  WHERE deptype IN ('n', 'a') AND NOT (classid = 'pg_class'::regclass AND objid = member)) AS dependents
		LEFT JOIN pg_class ON classid = 'pg_class'::regclass AND pg_class.oid = objid,
		pg_identify_object(classid, objid, 0) AS identity
	WHERE classid NOT IN ('pg_trigger'::regclass, 'pg_attrdef'::regclass)
	  AND (relkind = 'v' AND relowner = (SELECT relowner FROM pg_class WHERE oid = relation)
		   AND relpersistence = (SELECT CASE relpersistence WHEN 't' THEN 't' ELSE 'p' END::"char" FROM pg_class WHERE oid = relation)) IS NOT TRUE
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot change view % of table % because other objects depend on it', view, relation
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = format('%s depends on it, which cannot be made anew along with it: that can be done for views of the same owner only.', item.description),
				HINT = format('DROP %s %s;', upper(item.type), item.identity);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_dependents(regclass, regclass) IS
'raises 0A000 if a view uses a column whose type has changed, and 2BP01 if what depends on a view of a tagged table is no view of the same owner';

CREATE FUNCTION soft_delete.follow_view(view regclass, relation regclass, query text) RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text;
	dependents regclass[] := ARRAY(SELECT soft_delete.dependent_views(view));
	commands text[];
	command text;
BEGIN
	PERFORM soft_delete.check_dependents(view, relation);
	SELECT format('%I.%I', nspname, relname) INTO name
	FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = view;
	commands := ARRAY(SELECT soft_delete.view_commands(view, query)) ||
		ARRAY(SELECT soft_delete.view_commands(member, pg_get_viewdef(member))
			  FROM unnest(dependents) WITH ORDINALITY AS u(member, n) ORDER BY n);
	EXECUTE format('DROP VIEW %s', array_to_string(view || dependents, ', '));
	FOREACH command IN ARRAY commands LOOP
		EXECUTE command;
	END LOOP;
	RETURN name::regclass;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_view(regclass, regclass, text) IS
'makes a view of a tagged table anew with another query, and the views upon it';

CREATE FUNCTION soft_delete.follow_columns(view regclass, relation regclass, deleted_at name, is_bin boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	columns name[];
	is_stale boolean;
	is_bound boolean;
	options text;
	query text;
BEGIN
	IF is_bin THEN
		PERFORM soft_delete.yield_names(view, relation);
	END IF;
	FOR item IN
		SELECT v.attname AS old_name, t.attname AS new_name
		FROM pg_depend JOIN pg_attribute v ON v.attrelid = objid AND v.attnum = objsubid
			JOIN pg_attribute t ON t.attrelid = refobjid AND t.attnum = refobjsubid
		WHERE classid = 'pg_class'::regclass AND objid = view AND refclassid = 'pg_class'::regclass AND refobjid = relation
		  AND deptype = 'a' AND v.attname <> t.attname AND NOT v.attisdropped AND NOT t.attisdropped
	LOOP
		EXECUTE format('ALTER VIEW %s RENAME COLUMN %I TO %I', view, item.old_name, item.new_name);
	END LOOP;

	SELECT array_agg(v.attname ORDER BY v.attnum),
		bool_or(v.attisdropped OR (t.attname IS NOT NULL AND (v.atttypid, v.atttypmod, v.attcollation) IS DISTINCT FROM
								   (t.atttypid, t.atttypmod, t.attcollation))),
		bool_and(t.attname IS NULL OR EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = view AND objsubid = v.attnum
											  AND refclassid = 'pg_class'::regclass AND refobjid = relation))
	INTO columns, is_stale, is_bound
	FROM pg_attribute v LEFT JOIN pg_attribute t ON t.attrelid = relation AND t.attname = v.attname AND t.attnum > 0 AND NOT t.attisdropped
	WHERE v.attrelid = view AND v.attnum > 0;

	IF is_stale THEN
		query := CASE WHEN is_bin THEN soft_delete.bin_query(relation, deleted_at) ELSE soft_delete.active_query(relation, deleted_at) END;
		view := soft_delete.follow_view(view, relation, query);
	ELSIF EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
				  AND attname <> ALL (columns) AND (is_bin OR attname <> deleted_at)) THEN
		query := CASE WHEN is_bin THEN soft_delete.bin_query(relation, deleted_at, columns) ELSE soft_delete.active_query(relation, deleted_at, columns) END;
		SELECT ' WITH (' || array_to_string(reloptions, ', ') || ')' INTO options FROM pg_class WHERE oid = view;
		EXECUTE format('CREATE OR REPLACE VIEW %s%s AS %s', view, options, query);
	ELSIF is_bound THEN
		RETURN;
	END IF;
	PERFORM soft_delete.bind_view(view, relation);
END
$$;
COMMENT ON FUNCTION soft_delete.follow_columns(regclass, regclass, name, boolean) IS
'gives a view of a tagged table the columns that the table has now';

CREATE FUNCTION soft_delete.follow_views(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete.tag_arguments(relation))[1];
	active regclass := soft_delete.active_of(relation);
	bin regclass := soft_delete.bin_of(relation);
BEGIN
	IF active IS NOT NULL THEN
		PERFORM soft_delete.follow_columns(active, relation, deleted_at, false);
	END IF;
	-- the triggers of a bin that 0.1.0 has made know no columns of ours, for it had none
	IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = bin AND tgfoid = 'soft_delete.restore_row()'::regprocedure AND tgnargs = 0) THEN
		bin := soft_delete.follow_view(bin, relation, soft_delete.bin_query(relation, deleted_at));
		PERFORM soft_delete.make_bin_triggers(bin, soft_delete.bin_columns(relation));
	END IF;
	IF bin IS NOT NULL THEN
		PERFORM soft_delete.follow_columns(bin, relation, deleted_at, true);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_views(regclass) IS
'lets the views of a tagged table follow its columns; run it by update_views()';

/* Security definer: who drops a type need not own the tables whose columns go with it. */
CREATE FUNCTION soft_delete.follow_dropped_columns() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete.update_views(relation)
	FROM (SELECT DISTINCT objid AS relation FROM pg_event_trigger_dropped_objects() WHERE object_type = 'table column') AS changed
	WHERE soft_delete.tag_arguments(relation) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_dropped_columns() IS
'for event triggers: lets the views of tagged tables follow where columns have gone with something else';

/* What a dump does not carry.  The view of live rows is known by its name then. */
CREATE FUNCTION soft_delete.bind_views(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete.bind_view(view.oid, relation)
	FROM pg_class bin JOIN pg_class view ON view.relnamespace = bin.relnamespace AND view.relkind = 'v'
		AND (view.oid = bin.oid OR view.relname = soft_delete.view_name(relation, '_active'))
	WHERE bin.oid = soft_delete.bin_of(relation)
	  AND EXISTS (SELECT FROM pg_rewrite JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
				  WHERE ev_class = view.oid AND refclassid = 'pg_class'::regclass AND refobjid = relation)
	  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = view.oid AND objsubid = 0
					  AND refclassid = 'pg_class'::regclass AND refobjid = relation AND refobjsubid = 0 AND deptype = 'a');
END
$$;
COMMENT ON FUNCTION soft_delete.bind_views(regclass) IS
'binds the views of a tagged table to it, where that is not done';

CREATE FUNCTION soft_delete.tables_of_bins(views regclass[]) RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT DISTINCT refobjid::regclass
	FROM pg_rewrite JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid AND refclassid = 'pg_class'::regclass
	WHERE ev_class = ANY (views) AND soft_delete.bin_of(refobjid) = ev_class
$$;
COMMENT ON FUNCTION soft_delete.tables_of_bins(regclass[]) IS
'the tables whose bins are among some relations';

CREATE FUNCTION soft_delete.follow_owner(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	FOR command IN
		SELECT format('ALTER VIEW %s OWNER TO %s', view.oid::regclass, t.relowner::regrole)
		-- the bin is still the old owner's, so that bin_of() may not believe in it; nobody else can bind a view
		FROM pg_class t JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = t.oid AND refobjsubid = 0
				AND classid = 'pg_class'::regclass AND objsubid = 0 AND deptype = 'a'
			JOIN pg_class view ON view.oid = objid AND view.relkind = 'v'
		WHERE t.oid = relation AND view.relowner <> t.relowner
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_owner(regclass) IS
'gives the views of a tagged table to its owner';

CREATE FUNCTION soft_delete.follow_name(relation regclass, old_name name, old_schema oid) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete.tag_arguments(relation))[1];
	old_table text := (SELECT format('%I.%I', nspname, old_name) FROM pg_namespace WHERE oid = old_schema);
	item record;
	view text;
BEGIN
	FOR item IN
		SELECT v.oid, v.relname AS name, n.nspname AS schema, vn.nspname AS view_schema,
			CASE v.relname WHEN soft_delete.add_suffix(old_name, suffix) THEN soft_delete.add_suffix(t.relname, suffix) ELSE v.relname END AS new_name,
			CASE v.relnamespace WHEN old_schema THEN n.nspname ELSE vn.nspname END AS new_schema,
			CASE WHEN obj_description(v.oid, 'pg_class') = old_comment THEN new_comment END AS comment
		FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace,
			(VALUES (soft_delete.active_of(relation), '_active', soft_delete.active_comment(old_table), soft_delete.active_comment(relation::text)),
					(soft_delete.bin_of(relation), '_deleted', soft_delete.bin_comment(old_table, deleted_at), soft_delete.bin_comment(relation::text, deleted_at)))
				AS made(oid, suffix, old_comment, new_comment)
			JOIN pg_class v ON v.oid = made.oid JOIN pg_namespace vn ON vn.oid = v.relnamespace
		WHERE t.oid = relation
	LOOP
		view := item.oid::regclass;
		IF item.comment IS NOT NULL THEN
			EXECUTE format('COMMENT ON VIEW %s IS %L', view, item.comment);
		END IF;
		IF (item.new_name, item.new_schema) <> (item.name, item.view_schema) AND to_regclass(format('%I.%I', item.new_schema, item.new_name)) IS NOT NULL THEN
			RAISE WARNING 'view % keeps its name', view
				USING ERRCODE = '01000',
					DETAIL = format('Relation %I.%I already exists.', item.new_schema, item.new_name);
			CONTINUE;
		END IF;
		IF item.new_name <> item.name THEN
			EXECUTE format('ALTER VIEW %s RENAME TO %I', view, item.new_name);
		END IF;
		IF item.new_schema <> item.view_schema THEN
			EXECUTE format('ALTER VIEW %I.%I SET SCHEMA %I', item.view_schema, item.new_name, item.new_schema);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_name(regclass, name, oid) IS
'lets the views of a tagged table follow its name and its schema, where they have the names that tag() gave them';

CREATE FUNCTION soft_delete.check_view_drop(view regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	callers text;
	relation regclass;
BEGIN
	GET DIAGNOSTICS callers = PG_CONTEXT;
	SELECT refobjid INTO relation FROM pg_depend
	WHERE classid = 'pg_class'::regclass AND objid = view AND objsubid = 0 AND refclassid = 'pg_class'::regclass AND deptype = 'a'
	  AND soft_delete.tag_arguments(refobjid) IS NOT NULL;
	IF FOUND AND current_setting('row_security')::boolean AND NOT soft_delete.is_own_command(callers) THEN
		RAISE EXCEPTION 'cannot drop view "%" of tagged table "%"', view, relation
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = 'It goes with the tag, or with the table.',
				HINT = format('SELECT soft_delete.untag(%L);', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_view_drop(regclass) IS
'raises 2BP01 for a view of a tagged table';

CREATE FUNCTION soft_delete.make_views(relation regclass, deleted_at name, view_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bin regclass := soft_delete.bin_of(relation);
	active regclass;
BEGIN
	PERFORM soft_delete.bind_views(relation);
	active := soft_delete.active_of(relation);
	IF view_schema IS NULL THEN
		SELECT nspname INTO view_schema FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
		WHERE pg_class.oid = coalesce(bin, active, relation);
	END IF;
	IF active IS NULL THEN
		PERFORM soft_delete.make_active_view(relation, deleted_at, view_schema);
	END IF;
	IF bin IS NULL THEN
		PERFORM soft_delete.make_bin(relation, deleted_at, view_schema);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.make_views(regclass, name, name) IS
'creates those of the two views that a tagged table does not have, by default beside the other one or the table';
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
'gives the tombstones that stepped aside the columns that their table now has; run it by update_displaced(), for it runs casts and defaults';

CREATE FUNCTION soft_delete.follow_displaced(changed regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
BEGIN
	IF EXISTS (SELECT FROM soft_delete.displaced) THEN
		PERFORM soft_delete.update_displaced(member)
		FROM (SELECT DISTINCT soft_delete.family(c) AS member FROM unnest(changed) AS c) AS members
		WHERE EXISTS (SELECT FROM soft_delete.displaced WHERE relation = member);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_displaced(regclass[]) IS
'keeps the tombstones that stepped aside in step with the columns of their tables';

/* Security definer: who owns a type need not own the tables that use it. */
CREATE FUNCTION soft_delete.follow_labels() RETURNS void
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
'for event triggers: keeps the tombstones that stepped aside in step with ALTER TYPE ... RENAME VALUE';

/* Security definer: who drops a table is not its owner any more. */
CREATE FUNCTION soft_delete.forget_dropped() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	DELETE FROM soft_delete.retention AS r USING pg_event_trigger_dropped_objects() AS d
	WHERE (d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND r.relation = d.objid)
	   OR (d.classid = 'pg_namespace'::regclass AND r.schema = d.object_name);
	PERFORM soft_delete.lift_holds(objid, object_identity) FROM pg_event_trigger_dropped_objects()
	WHERE EXISTS (SELECT FROM soft_delete.holds WHERE relation = objid) AND classid = 'pg_class'::regclass AND objsubid = 0;
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
'for event triggers: drops from the tombstones that stepped aside what is dropped from their tables';
/*
 * References between tables: which are refused, which are guarded
 */

CREATE FUNCTION soft_delete.root(relation regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = relation) THEN
		RETURN relation;
	END IF;
	RETURN (
		WITH RECURSIVE ancestors(member, depth) AS (
			SELECT relation, 0
			UNION ALL
			SELECT inhparent::regclass, depth + 1 FROM pg_inherits JOIN ancestors ON inhrelid = member
		)
		SELECT member FROM ancestors ORDER BY depth DESC LIMIT 1
	);
END
$$;
COMMENT ON FUNCTION soft_delete.root(regclass) IS
'the table that a partition or inheritance child is tagged with';

CREATE FUNCTION soft_delete.foreign_keys_of(relation regclass) RETURNS SETOF oid
LANGUAGE plpgsql STABLE ROWS 4
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		WITH found AS (
			SELECT oid, conrelid, confrelid FROM pg_constraint
			WHERE contype = 'f' AND conrelid IN (SELECT soft_delete.family(relation))
			UNION
			-- no index finds them by the referenced table, but their triggers are found by it
			SELECT con.oid, conrelid, confrelid FROM pg_trigger JOIN pg_constraint AS con ON con.oid = tgconstraint
			WHERE contype = 'f' AND tgrelid IN (SELECT soft_delete.family(relation))
		)
		SELECT oid FROM found
		UNION
		-- copies for partitions of the referencing table have no triggers on the referenced one
		SELECT copy.oid FROM found JOIN pg_class ON pg_class.oid = found.conrelid AND relkind = 'p',
			soft_delete.family(found.conrelid) AS member JOIN pg_constraint AS copy ON copy.conrelid = member
		WHERE copy.contype = 'f' AND copy.confrelid = found.confrelid;
END
$$;
COMMENT ON FUNCTION soft_delete.foreign_keys_of(regclass) IS
'the foreign keys from and to a table, its partitions and its inheritance children, copies for partitions included';

CREATE FUNCTION soft_delete.tagged_tables(OUT relation regclass, OUT tombstone_column name) RETURNS SETOF record
LANGUAGE sql STABLE ROWS 4
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT member, arguments[1]::name
	FROM (SELECT DISTINCT soft_delete.root(tgrelid) AS member FROM pg_depend JOIN pg_trigger ON pg_trigger.oid = objid
		  WHERE classid = 'pg_trigger'::regclass AND refclassid = 'pg_proc'::regclass
			AND refobjid = 'soft_delete.delete_row()'::regprocedure AND tgparentid = 0) AS tagged
		JOIN pg_class ON oid = member,
		soft_delete.tag_arguments(member) AS arguments
	WHERE arguments IS NOT NULL AND NOT pg_is_other_temp_schema(relnamespace)
	ORDER BY member
$$;
COMMENT ON FUNCTION soft_delete.tagged_tables() IS
'the tagged tables, without their partitions and inheritance children';

CREATE FUNCTION soft_delete.references_of(relation regclass,
	OUT "constraint" oid, OUT child regclass, OUT parent regclass, OUT action "char")
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		SELECT oid, soft_delete.root(conrelid), soft_delete.root(confrelid), confdeltype
		FROM pg_constraint
		WHERE oid IN (SELECT soft_delete.foreign_keys_of(relation)) AND conparentid = 0;
END
$$;
COMMENT ON FUNCTION soft_delete.references_of(regclass) IS
'the foreign keys from and to a table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete.cascade_family(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE ROWS 10
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
DECLARE
	item oid;
BEGIN
	FOR item IN SELECT fk FROM soft_delete.foreign_keys_of(relation) AS fk ORDER BY fk LOOP
		IF current_setting('row_security')::boolean THEN
			PERFORM soft_delete.guard_reference(item);
			CONTINUE;
		END IF;
		-- two jobs that restore a dump may tag both sides at once: one goes on, and guards for both
		BEGIN
			PERFORM soft_delete.guard_reference(item);
		EXCEPTION WHEN deadlock_detected THEN
			RAISE DEBUG 'foreign key % is left to the session that tags the other table', item;
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.guard_references(regclass) IS
'gives the foreign keys from and to a table their guards, or takes them away';

CREATE FUNCTION soft_delete.follow_references(changed regclass[], check_new boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete.guard_references(relation),
		CASE WHEN check_new THEN soft_delete.check_references(soft_delete.root(relation), only_new => true) END
	FROM unnest(changed) AS relation;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_references(regclass[], boolean) IS
'guards the foreign keys from and to tables; check_new: refuses unsafe ones that this transaction has made';
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
	other regclass;
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

	SELECT inhparent INTO other FROM pg_inherits
	WHERE inhrelid IN (SELECT soft_delete.family(relation)) AND inhparent NOT IN (SELECT soft_delete.family(relation))
	  AND soft_delete.tag_arguments(inhparent) IS NULL LIMIT 1;
	IF other IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%" without its parent "%"', class.relname, other
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'A partition or inheritance child is read and deleted from through its parent.',
				HINT = format('SELECT soft_delete.tag(%L);', other);
	END IF;

	SELECT m INTO other FROM soft_delete.family(relation) AS m JOIN pg_class ON oid = m WHERE relkind = 'f' LIMIT 1;
	IF other IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%" because it has a foreign table, "%"', class.relname, other
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Rows of another server cannot be deleted softly.',
				HINT = format('Take foreign table %s out of it.', other);
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
	  AND tgname COLLATE "C" > '~soft_delete' ORDER BY tgrelid LIMIT 1;
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
 * The tombstone column and the tag follow DDL, or refuse it
 */

CREATE FUNCTION soft_delete.follow_tombstone(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	arguments text[] := soft_delete.tag_arguments(relation);
	bin regclass := soft_delete.bin_of(relation);
	new_name name;
BEGIN
	-- the bin's column is still called as the tombstone column was
	SELECT t.attname INTO new_name
	FROM pg_depend JOIN pg_attribute v ON v.attrelid = objid AND v.attnum = objsubid
		JOIN pg_attribute t ON t.attrelid = refobjid AND t.attnum = refobjsubid
	WHERE classid = 'pg_class'::regclass AND objid = bin AND refclassid = 'pg_class'::regclass AND refobjid = relation
	  AND v.attname = arguments[1] AND t.attname <> v.attname AND NOT t.attisdropped;
	IF FOUND THEN
		IF obj_description(bin, 'pg_class') = soft_delete.bin_comment(relation::text, arguments[1]) THEN
			EXECUTE format('COMMENT ON VIEW %s IS %L', bin, soft_delete.bin_comment(relation::text, new_name));
		END IF;
		arguments[1] := new_name;
		PERFORM soft_delete.make_triggers(relation, arguments);
	END IF;

	IF NOT EXISTS (SELECT FROM pg_attribute
				   WHERE attrelid = relation AND attname = arguments[1] AND NOT attisdropped
					 AND atttypid = coalesce((SELECT atttypid FROM pg_attribute WHERE attrelid = bin AND attname IN (arguments[1], new_name) AND attnum > 0), atttypid)
					 AND NOT attnotnull AND NOT atthasdef AND attgenerated = '' AND atttypmod = -1) THEN
		RAISE EXCEPTION 'cannot alter tombstone column "%" of tagged table "%"', arguments[1], relation
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'It must keep its type, and be null in every live row: it takes no NOT NULL, no default and no expression.',
				HINT = format('SELECT soft_delete.untag(%L);', soft_delete.root(relation));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_tombstone(regclass) IS
'lets the tag follow the name of the tombstone column; raises 0A000 for any other change of it';

CREATE FUNCTION soft_delete.warn_of_disabled_tag(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgfoid = 'soft_delete.delete_row()'::regprocedure
			   AND tgenabled NOT IN ('O', 'A') AND soft_delete.is_own_transaction(xmin)) THEN
		RAISE WARNING 'deletes from table "%" are hard now', relation
			USING ERRCODE = '01000',
				DETAIL = 'The tag is a trigger, and it is disabled.',
				HINT = format('ALTER TABLE %s ENABLE TRIGGER "~soft_delete";', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.warn_of_disabled_tag(regclass) IS
'warns if this transaction has disabled the tag of a table';

CREATE FUNCTION soft_delete.check_drops() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT object_type AS type, name, coalesce(refobjid::regclass, owner) AS relation
		FROM pg_event_trigger_dropped_objects(), substr(address_names[3], 1) AS name,
			to_regclass(quote_ident(address_names[1]) || '.' || quote_ident(address_names[2])) AS owner
			LEFT JOIN pg_depend ON pg_depend.classid = 'pg_class'::regclass AND pg_depend.objid = owner AND pg_depend.objsubid = 0
				AND refclassid = 'pg_class'::regclass AND refobjsubid = 0 AND deptype = 'a'
		WHERE owner IS NOT NULL
		  AND (object_type = 'trigger' AND original AND name IN ('~soft_delete', '~soft_delete_key', '~soft_delete_truncate')
				AND (soft_delete.tag_arguments(owner) IS NOT NULL OR soft_delete.bin_of(soft_delete.root(owner)) IS NOT NULL)
			   OR object_type = 'trigger' AND original AND name ~ '^soft_delete_(restore|purge|statement)$' AND soft_delete.tag_arguments(refobjid) IS NOT NULL
				AND (SELECT relkind FROM pg_class WHERE oid = owner) = 'v'
			   OR object_type = 'table column' AND name = (soft_delete.tag_arguments(owner))[1])
	LOOP
		RAISE EXCEPTION 'cannot drop % "%" of tagged table "%"',
			CASE item.type WHEN 'trigger' THEN 'trigger' ELSE 'tombstone column' END, item.name, item.relation
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = 'Without it deletes are not soft, or deleted rows are not to be told from live ones.',
				HINT = format('SELECT soft_delete.untag(%L);', item.relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.check_drops() IS
'for event triggers: raises 2BP01 where a trigger of ours or a tombstone column is dropped, but not its table';

CREATE FUNCTION soft_delete.check_trigger_names(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	renamed name;
BEGIN
	SELECT tgname INTO renamed FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
	WHERE tgrelid = relation AND pronamespace = 'soft_delete'::regnamespace AND NOT tgisinternal AND tgname !~ '^~soft_delete';
	IF FOUND THEN
		RAISE EXCEPTION 'cannot name a trigger of tagged table "%" "%"', relation, renamed
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Triggers fire in the order of their names, and those of the tag must fire last.';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_trigger_names(regclass) IS
'raises 0A000 if a trigger that tag() made was renamed';

CREATE FUNCTION soft_delete.check_replaced_triggers() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT name, relation FROM (VALUES
			('~soft_delete', 'delete_row', 11), ('~soft_delete_key', 'claim_key', 7), ('~soft_delete_truncate', 'guard_truncate', 34),
			('soft_delete_restore', 'restore_row', 81), ('soft_delete_purge', 'purge_row', 73), ('soft_delete_statement', 'finish_bin', 24))
				AS ours(name, function, type)
			JOIN pg_trigger ON tgname = name
			JOIN pg_event_trigger_ddl_commands() ON classid = 'pg_trigger'::regclass AND objid = pg_trigger.oid
			JOIN pg_class ON pg_class.oid = tgrelid,
			LATERAL (SELECT CASE WHEN relkind <> 'v' THEN tgrelid
				-- the view is not known by its triggers any more, but by the table that it is bound to
				ELSE (SELECT refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = tgrelid AND objsubid = 0
					  AND refclassid = 'pg_class'::regclass AND deptype = 'a') END::regclass) AS of(relation)
		WHERE (tgfoid <> format('soft_delete.%s()', function)::regprocedure OR tgtype <> type OR tgqual IS NOT NULL)
		  AND (name ~ '^~') = (relkind <> 'v')
		  AND CASE relkind WHEN 'v' THEN soft_delete.tag_arguments(relation) IS NOT NULL ELSE soft_delete.bin_of(soft_delete.root(relation)) IS NOT NULL END
	LOOP
		RAISE EXCEPTION 'cannot replace trigger "%" of tagged table "%"', item.name, item.relation
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = 'Without it deletes are not soft, or deleted rows are not to be told from live ones.',
				HINT = format('SELECT soft_delete.untag(%L);', item.relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.check_replaced_triggers() IS
'for event triggers: raises 2BP01 where another trigger has taken the place of one that tag() made';

/*
 * Triggers
 */

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
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate()', member);
		CONTINUE WHEN is_clone;			-- partitions get theirs from the root
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete_key" BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key()', member);
		EXECUTE format('CREATE OR REPLACE TRIGGER "~soft_delete" BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row(%s)',
			member, (SELECT string_agg(quote_literal(a), ', ' ORDER BY n) FROM unnest(arguments) WITH ORDINALITY AS u(a, n)));
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.make_triggers(regclass, text[]) IS
'puts the tag and the TRUNCATE guard on a table, its partitions and its inheritance children';

CREATE FUNCTION soft_delete.drop_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member regclass;
BEGIN
	FOR member IN SELECT soft_delete.family(relation) LOOP
		EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete_truncate" ON %s', member);
		IF NOT (SELECT relispartition FROM pg_class WHERE oid = member) THEN
			EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete" ON %s', member);
			EXECUTE format('DROP TRIGGER IF EXISTS "~soft_delete_key" ON %s', member);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.drop_triggers(regclass) IS
'takes what make_triggers() makes';

CREATE FUNCTION soft_delete.missing_triggers(relation regclass, OUT member regclass, OUT name name)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m, expected
	FROM soft_delete.family(relation) AS m,
		unnest('{~soft_delete,~soft_delete_key,~soft_delete_truncate}'::name[]) AS expected
	WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = m AND tgname = expected)
$$;
COMMENT ON FUNCTION soft_delete.missing_triggers(regclass) IS
'the triggers that a tagged table, its partitions and its inheritance children lack';

CREATE FUNCTION soft_delete.is_complete(relation regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT NOT EXISTS (SELECT FROM soft_delete.missing_triggers(relation))
		AND soft_delete.bin_of(relation) IS NOT NULL AND soft_delete.active_of(relation) IS NOT NULL
$$;
COMMENT ON FUNCTION soft_delete.is_complete(regclass) IS
'whether a tagged table has the triggers and views that tag() makes';

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

	IF arguments IS NOT NULL AND has_changed IS NOT TRUE AND soft_delete.is_complete(relation) THEN
		RAISE NOTICE 'table "%" is already tagged', relation;
		RETURN;
	END IF;
	PERFORM soft_delete.make_triggers(relation,
		coalesce(arguments, array_remove(ARRAY[deleted_at, CASE indexes WHEN 'unique' THEN 'indexes:unique' END]::text[], NULL)) || added);
	PERFORM soft_delete.make_views(relation, deleted_at, views);
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
		members := ARRAY(SELECT m FROM soft_delete.cascade_family(relation) AS m WHERE soft_delete.tag_arguments(m) IS NULL ORDER BY m);
		FOREACH member IN ARRAY members LOOP
			PERFORM soft_delete.tag_table(member, deleted_at, indexes, views);
			RAISE NOTICE 'table "%" is tagged too', member;
		END LOOP;
	END IF;

	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete.check_references(member);
		PERFORM soft_delete.set_exempt(member, false);
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
	remembered text[];
	bin regclass;
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
	PERFORM soft_delete.check_holds(relation);
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

	SELECT array_agg(DISTINCT memory) INTO remembered
	FROM soft_delete.family(relation) AS m, unnest((soft_delete.tag_arguments(m))[2:]) AS memory;
	PERFORM soft_delete.drop_views(relation);
	PERFORM soft_delete.drop_triggers(relation);
	FOR item IN
		SELECT format('%I.%I', nspname, relname) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
			JOIN pg_namespace n ON n.oid = relnamespace
		WHERE indrelid IN (SELECT soft_delete.family(relation)) AND 'bin:' || relname = ANY (remembered)
	LOOP
		EXECUTE format('DROP INDEX %s', item);
	END LOOP;
	PERFORM soft_delete.make_rows_equal(relation, arguments[1], coalesce(remembered, '{}'));
	PERFORM soft_delete.guard_references(relation);
	PERFORM soft_delete.forget_retention(relation);
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
						 WHERE m <> relation AND soft_delete.tag_arguments(m) IS NOT NULL ORDER BY m);
	END IF;
	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete.untag_table(member, tombstones);
	END LOOP;
	FOREACH member IN ARRAY relation || members LOOP
		PERFORM soft_delete.check_references(member);
		PERFORM soft_delete.set_exempt(member, true);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.untag(regclass, text, boolean) IS
'makes deletes from a table hard again; tombstones: ''error'' refuses while there are any, ''purge'' destroys them, ''keep'' makes them live rows; cascade: untags what ON DELETE CASCADE connects it with too';
/*
 * Partitions and inheritance children come and go
 *
 * One that comes is tagged with its root, one that goes is tagged by itself from
 * then on, in the same command: no deleted row is seen again for want of a tag.
 */

/*
 * What is to be attached must have the columns, the indexes and the CHECK
 * constraints of its parent, and not a tag of its own.
 */
CREATE FUNCTION soft_delete.release_partition(parent regclass, partition regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete.tag_arguments(partition))[1];
	schema_name name;
BEGIN
	SELECT nspname INTO schema_name FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = partition;
	IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = partition) THEN
		RETURN;
	END IF;
	BEGIN
		IF NOT EXISTS (SELECT FROM unnest(soft_delete.current_tagged_schemas()) AS tagged WHERE schema = schema_name) THEN
			RAISE object_not_in_prerequisite_state;
		END IF;
		PERFORM soft_delete.untag_table(partition, 'error');
	EXCEPTION WHEN object_not_in_prerequisite_state THEN
		RAISE EXCEPTION 'cannot attach tagged table "%" to untagged table "%"', partition, parent
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'A partition or inheritance child is read and deleted from through its parent.',
				HINT = format('SELECT soft_delete.tag(%L), or soft_delete.untag(%L).', parent, partition);
	END;
	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = parent AND attname = deleted_at AND NOT attisdropped) THEN
		EXECUTE format('ALTER TABLE %s DROP COLUMN %I', partition, deleted_at);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.release_partition(regclass, regclass) IS
'untags a table that a tagged schema has tagged, and that is to be attached to an untagged one; raises 0A000 if it was tagged by hand or has deleted rows';

CREATE FUNCTION soft_delete.prepare_partition(parent regclass, partition regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deleted_at name := (soft_delete.tag_arguments(parent))[1];
	own_tag text[] := soft_delete.tag_arguments(partition);
	is_partitioned boolean := relkind = 'p' FROM pg_class WHERE oid = parent;
	stand_in name;
BEGIN
	PERFORM soft_delete.check_owner(partition);
	IF deleted_at IS NULL THEN
		PERFORM soft_delete.release_partition(parent, partition);
		RETURN;
	END IF;
	IF own_tag[1] <> deleted_at THEN
		RAISE EXCEPTION 'table "%" is already tagged with column "%"', partition, own_tag[1]
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('Table %s is tagged with column %I.', parent, deleted_at),
				HINT = format('ALTER TABLE %s RENAME COLUMN %I TO %I;', partition, own_tag[1], deleted_at);
	END IF;
	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = partition AND attname = deleted_at AND NOT attisdropped) THEN
		EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', partition, deleted_at,
			(SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = parent AND attname = deleted_at));
	END IF;
	PERFORM soft_delete.check_column(partition, deleted_at);
	IF own_tag IS NOT NULL THEN
		PERFORM soft_delete.drop_views(partition);
		IF is_partitioned THEN
			PERFORM soft_delete.drop_triggers(partition);
		END IF;
	END IF;

	IF is_partitioned THEN
		PERFORM soft_delete.hide_tombstones(partition, deleted_at, soft_delete.index_choice(soft_delete.tag_arguments(parent)));
		FOR stand_in IN
			SELECT conname FROM pg_index JOIN pg_constraint con ON con.oid = soft_delete.stand_in(indexrelid)
			WHERE indrelid = parent
			  AND NOT EXISTS (SELECT FROM pg_constraint own WHERE own.conrelid = partition AND own.conname = con.conname)
		LOOP
			EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (true)', partition, stand_in);
		END LOOP;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.prepare_partition(regclass, regclass) IS
'makes a table that is to be attached to a tagged one, or to an untagged one, like that';

CREATE FUNCTION soft_delete.index_choice(tag_arguments text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN 'indexes:unique' = ANY (tag_arguments) THEN 'unique' ELSE 'all' END $$;
COMMENT ON FUNCTION soft_delete.index_choice(text[]) IS
'which indexes of a tagged table become partial: ''all'' or ''unique''';

/*
 * The names are those that the unique constraint would have had there.
 */
CREATE FUNCTION soft_delete.name_partition_keys(partition regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT indexrelid::regclass AS index, regexp_replace(relname, '_idx(\d*)$', '_key\1') AS name
		FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace
			JOIN pg_inherits ON inhrelid = indexrelid
		WHERE indrelid IN (SELECT soft_delete.family(partition)) AND relname ~ '_idx\d*$'
		  AND soft_delete.stand_in(soft_delete.root(indexrelid)) IS NOT NULL AND soft_delete.stand_in(indexrelid) IS NULL
		  AND to_regclass(format('%I.%I', nspname, regexp_replace(relname, '_idx(\d*)$', '_key\1'))) IS NULL
	LOOP
		EXECUTE format('ALTER INDEX %s RENAME TO %I', item.index, item.name);
	END LOOP;

	PERFORM soft_delete.make_stand_in(indexrelid) FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid
	WHERE indrelid = partition AND soft_delete.stand_in(inhparent) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION soft_delete.name_partition_keys(regclass) IS
'gives the indexes of a new partition the names of unique constraints, and stand-ins';

CREATE FUNCTION soft_delete.join_partition(partition regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own_tag text[] := soft_delete.tag_arguments(partition);
	arguments text[];
	added text[];
	other name;
BEGIN
	SELECT soft_delete.tag_arguments(inhparent) INTO arguments FROM pg_inherits
	WHERE inhrelid = partition ORDER BY soft_delete.tag_arguments(inhparent) IS NULL, inhseqno LIMIT 1;
	IF arguments IS NULL AND NOT EXISTS (SELECT FROM soft_delete.family(partition) AS m WHERE soft_delete.tag_arguments(m) IS NOT NULL) THEN
		RETURN;
	END IF;
	PERFORM soft_delete.check_relation(m) FROM soft_delete.family(partition) AS m;
	SELECT tag[1] INTO other
	FROM pg_inherits, soft_delete.tag_arguments(inhparent) AS tag
	WHERE inhrelid IN (SELECT soft_delete.family(partition)) AND tag[1] <> arguments[1] LIMIT 1;
	IF other IS NOT NULL THEN
		RAISE EXCEPTION 'cannot tag "%" with two columns', partition
			USING ERRCODE = 'feature_not_supported',
				DETAIL = format('Its parents are tagged with columns %I and %I.', arguments[1], other),
				HINT = 'Untag one of the parents, or rename its column.';
	END IF;
	PERFORM soft_delete.check_column(partition, arguments[1]);
	PERFORM soft_delete.check_triggers(partition);

	SELECT array_agg(memory) FILTER (WHERE memory NOT LIKE 'converted:%' AND (own_tag IS NULL OR memory NOT LIKE 'partial:%')) INTO added
	FROM unnest(soft_delete.hide_tombstones(partition, arguments[1], soft_delete.index_choice(arguments)) ||
				soft_delete.index_bin(partition, arguments[1])) AS memory;
	PERFORM soft_delete.make_triggers(partition, arguments[1] || (coalesce(own_tag, arguments))[2:] || added);
	PERFORM soft_delete.name_partition_keys(partition);
	PERFORM soft_delete.guard_references(partition);
END
$$;
COMMENT ON FUNCTION soft_delete.join_partition(regclass) IS
'tags a partition or inheritance child that has come, with its partitions, as its root is; raises 0A000 where one would be tagged without the other';

CREATE FUNCTION soft_delete.memories_of(partition regclass, root regclass, root_tag text[]) RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(memory), '{}') FROM (
	SELECT memory FROM unnest(root_tag[2:]) AS memory WHERE memory LIKE 'indexes:%'
	UNION ALL
	SELECT 'partial:' || c.name FROM soft_delete.convertible_indexes(partition, root_tag[1], 'all') AS c
	WHERE hides AND EXISTS
		(SELECT FROM pg_index JOIN pg_class ON oid = indexrelid
		 WHERE indrelid = root AND 'partial:' || relname = ANY (root_tag[2:])
		   AND substring(soft_delete.index_body(indexrelid) FROM ' USING .*') = substring(soft_delete.index_body(c.index) FROM ' USING .*'))
	UNION ALL
	SELECT 'bin:' || relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
		JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
	WHERE indrelid = partition AND attname = root_tag[1] AND NOT soft_delete.index_hides(indexrelid, attnum)
	  AND EXISTS (SELECT FROM unnest(root_tag[2:]) AS memory WHERE memory LIKE 'bin:%')
	) AS memories(memory)
$$;
COMMENT ON FUNCTION soft_delete.memories_of(regclass, regclass, text[]) IS
'what untag() must know of the indexes of a partition that has left its root';

CREATE FUNCTION soft_delete.leave_partition(partition regclass, parent regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own_tag text[] := soft_delete.tag_arguments(partition);
	root regclass := soft_delete.root(parent);
	root_tag text[] := soft_delete.tag_arguments(root);
	arguments text[];
	stand_in name;
	view_schema name;
	taken name;
BEGIN
	PERFORM soft_delete.check_owner(partition);

	-- those of the root's keys stand for nothing here
	FOR stand_in IN
		SELECT own.conname FROM pg_index JOIN pg_constraint con ON con.oid = soft_delete.stand_in(indexrelid)
			JOIN pg_constraint own ON own.conrelid = partition AND own.conname = con.conname AND own.contype = 'c'
		WHERE indrelid = parent AND pg_get_expr(own.conbin, own.conrelid) = 'true'
		  AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = partition AND soft_delete.stand_in(indexrelid) = own.oid)
	LOOP
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', partition, stand_in);
	END LOOP;

	arguments := coalesce(own_tag, root_tag[1] || soft_delete.memories_of(partition, root, root_tag));
	PERFORM soft_delete.make_triggers(partition, arguments || soft_delete.index_bin(partition, arguments[1]));

	SELECT nspname INTO view_schema
	FROM pg_class p JOIN pg_class r ON r.oid = root LEFT JOIN pg_class b ON b.oid = soft_delete.bin_of(root)
		JOIN pg_namespace n ON n.oid = CASE WHEN b.relnamespace <> r.relnamespace THEN b.relnamespace ELSE p.relnamespace END
	WHERE p.oid = partition;
	SELECT relname INTO taken FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
	WHERE nspname = view_schema AND relname IN (soft_delete.view_name(partition, '_active'), soft_delete.view_name(partition, '_deleted')) LIMIT 1;
	IF taken IS NOT NULL THEN
		RAISE EXCEPTION 'relation "%" already exists', taken
			USING ERRCODE = 'duplicate_table',
				DETAIL = format('Table %s is tagged by itself when it leaves %s, and needs a view of that name.', partition, parent),
				HINT = format('ALTER TABLE %I.%I RENAME TO ...;', view_schema, taken);
	END IF;
	PERFORM soft_delete.make_active_view(partition, arguments[1], view_schema);
	PERFORM soft_delete.make_bin(partition, arguments[1], view_schema);
	PERFORM soft_delete.copy_holds(above, partition) FROM (VALUES (parent), (root)) AS former(above);
	PERFORM soft_delete.guard_references(partition);
	PERFORM soft_delete.copy_retention(root, partition);
END
$$;
COMMENT ON FUNCTION soft_delete.leave_partition(regclass, regclass) IS
'tags a partition or inheritance child that has left its tagged parent by itself, so that its deleted rows stay deleted';

CREATE FUNCTION soft_delete.left_tables(relation regclass, detached name[], former_parents name[],
	OUT left_table regclass, OUT parent regclass)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT left_table, parent FROM (
	-- a partition lost its tag in this transaction, and has the column still
	SELECT pg_class.oid::regclass, relation FROM pg_class
		JOIN pg_attribute ON attrelid = pg_class.oid AND NOT attisdropped AND attname = (soft_delete.tag_arguments(relation))[1]
	WHERE relname = ANY (detached) AND relkind IN ('r', 'p') AND soft_delete.is_own_transaction(pg_class.xmin)
	  AND soft_delete.tag_arguments(pg_class.oid) IS NULL AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid)
	UNION ALL
	SELECT relation, pg_class.oid::regclass FROM pg_class
	WHERE relname = ANY (former_parents) AND soft_delete.tag_arguments(relation) IS NOT NULL
	  AND soft_delete.tag_arguments(pg_class.oid) IS NOT NULL AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = relation)
	) AS namesakes(left_table, parent)
	-- what has been tagged keeps a trigger that is no copy of its root's
	ORDER BY EXISTS (SELECT FROM pg_trigger WHERE tgrelid = left_table AND tgfoid = 'soft_delete.guard_truncate()'::regprocedure) DESC
	LIMIT 1
$$;
COMMENT ON FUNCTION soft_delete.left_tables(regclass, name[], name[]) IS
'the tables that ALTER TABLE ... DETACH PARTITION or NO INHERIT has taken out of a tagged one, and that one; by names without schemas, so there may be several, of which it gives one, and of partitions the one that was tagged';

CREATE FUNCTION soft_delete.follow_partitions() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
	came regclass[] := '{}';
BEGIN
	FOR item IN
		-- a command must not get into a variable: no plan that has it can be shown, as auto_explain may want to
		SELECT objid AS relation, command_tag, soft_delete.named_by(command, 'DETACH PARTITION') AS detached,
			soft_delete.named_by(command, 'NO INHERIT') AS disinherited, soft_delete.named_by(command, 'ATTACH PARTITION') AS attached,
			soft_delete.named_by(command, 'INHERIT') AS parents
		FROM pg_event_trigger_ddl_commands()
		WHERE classid = 'pg_class'::regclass AND command_tag IN ('CREATE TABLE', 'CREATE FOREIGN TABLE', 'ALTER TABLE', 'ALTER FOREIGN TABLE')
	LOOP
		IF item.detached <> '{}' OR item.disinherited <> '{}' THEN
			PERFORM soft_delete.leave_partition(left_table, parent)
			FROM soft_delete.left_tables(item.relation, item.detached, item.disinherited);
		END IF;
		IF item.attached <> '{}' THEN
			came := came || ARRAY(SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON oid = inhrelid
								  WHERE inhparent = item.relation AND relname = ANY (item.attached));
		END IF;
		IF item.command_tag LIKE 'CREATE%' OR item.parents <> '{}' THEN
			came := came || item.relation::regclass;
		END IF;
	END LOOP;

	PERFORM soft_delete.join_partition(partition) FROM unnest(came) AS partition
	WHERE EXISTS (SELECT FROM pg_inherits WHERE inhrelid = partition);
END
$$;
COMMENT ON FUNCTION soft_delete.follow_partitions() IS
'for event triggers: tags the partitions and inheritance children that a command has made, attached or detached';
/*
 * Schemas that are tagged as a whole: their tables now, and those that come
 */

CREATE TABLE soft_delete.tagged_schemas (
	-- by name, for no other reference to a schema survives pg_upgrade
	schema name PRIMARY KEY,
	exempt name[] NOT NULL,
	deleted_at name NOT NULL CHECK (deleted_at <> ''),
	indexes text NOT NULL CHECK (indexes IN ('all', 'unique')),
	views name
);
COMMENT ON TABLE soft_delete.tagged_schemas IS
'schemas whose tables are tagged as they come; made by soft_delete.tag_schema()';
COMMENT ON COLUMN soft_delete.tagged_schemas.schema IS 'the schema';
COMMENT ON COLUMN soft_delete.tagged_schemas.exempt IS 'names of tables that are not tagged, whether they exist or not';
COMMENT ON COLUMN soft_delete.tagged_schemas.deleted_at IS 'the tombstone column of new tables';
COMMENT ON COLUMN soft_delete.tagged_schemas.indexes IS 'which of their indexes become partial: ''all'' or ''unique''';
COMMENT ON COLUMN soft_delete.tagged_schemas.views IS 'the schema of their views; null: their own';
SELECT pg_catalog.pg_extension_config_dump('soft_delete.tagged_schemas', '');

ALTER TABLE soft_delete.tagged_schemas ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON soft_delete.tagged_schemas FOR SELECT USING (true);
COMMENT ON POLICY readable ON soft_delete.tagged_schemas IS 'who creates a table finds out whether it is to be tagged';
CREATE POLICY of_own_schemas ON soft_delete.tagged_schemas USING
	(EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = schema AND pg_catalog.pg_has_role(nspowner, 'USAGE')));
COMMENT ON POLICY of_own_schemas ON soft_delete.tagged_schemas IS 'the owner of a schema decides about it';
GRANT SELECT, INSERT, UPDATE, DELETE ON soft_delete.tagged_schemas TO PUBLIC;

CREATE FUNCTION soft_delete.current_tagged_schemas() RETURNS soft_delete.tagged_schemas[]
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_current_tagged_schemas';
COMMENT ON FUNCTION soft_delete.current_tagged_schemas() IS
'which schemas are tagged as of now, whatever the snapshot and row security; null if none is';

/*
 * Refusals
 */

CREATE FUNCTION soft_delete.check_schema(schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner oid;
BEGIN
	SELECT nspowner INTO owner FROM pg_namespace WHERE nspname = schema;
	IF owner IS NULL THEN
		RAISE EXCEPTION 'schema "%" does not exist', schema
			USING ERRCODE = 'invalid_schema_name';
	END IF;
	IF schema ~ '^pg_' OR schema IN ('information_schema', 'soft_delete') THEN
		RAISE EXCEPTION 'cannot tag schema "%"', schema
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'The server and the extension rely on deletions from their own tables.',
				HINT = 'Tag a schema of the application.';
	END IF;
	IF NOT pg_has_role(owner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of schema %', schema
			USING ERRCODE = 'insufficient_privilege';
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_schema(name) IS
'raises 3F000 if there is no such schema, 42809 if it cannot be tagged, 42501 unless the current role owns it';

/* Views are made by whoever creates a table, with more rights perhaps than the owner of the schema has. */
CREATE FUNCTION soft_delete.check_views(schema name, views name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner oid := (SELECT nspowner FROM pg_namespace WHERE nspname = schema);
BEGIN
	IF NOT has_schema_privilege(owner, views::text, 'CREATE') THEN
		RAISE EXCEPTION 'permission denied for schema %', views
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('The owner of schema %I cannot make views there.', schema),
				HINT = format('GRANT CREATE ON SCHEMA %I TO %s;', views, owner::regrole);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_views(name, name) IS
'raises 42501 unless the owner of a tagged schema may create the views of its tables in another one, 3F000 if there is none';

/*
 * Tables
 */

CREATE FUNCTION soft_delete.tables_of(schema name) RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_class.oid::regclass FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
	WHERE nspname = tables_of.schema AND relkind IN ('r', 'p', 'f')
	  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid)
	  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
$$;
COMMENT ON FUNCTION soft_delete.tables_of(name) IS
'the tables of a schema that can have a tag: not partitions and inheritance children, nor what belongs to an extension';

CREATE FUNCTION soft_delete.untagged_tables() RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT t FROM unnest(soft_delete.current_tagged_schemas()), soft_delete.tables_of(schema) AS t JOIN pg_class ON oid = t
	WHERE relkind <> 'f' AND relname <> ALL (exempt) AND soft_delete.tag_arguments(t) IS NULL
$$;
COMMENT ON FUNCTION soft_delete.untagged_tables() IS
'tables of tagged schemas that are not tagged and not exempt: they were refused';

CREATE FUNCTION soft_delete.try_to_tag(relations regclass[], tagged soft_delete.tagged_schemas) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	message text;
	native_detail text;
	native_hint text;
BEGIN
	PERFORM soft_delete.check_views(tagged.schema, tagged.views);
	FOREACH relation IN ARRAY relations LOOP
		PERFORM soft_delete.adopt_stand_ins(relation);
		PERFORM soft_delete.tag_table(relation, tagged.deleted_at, tagged.indexes, tagged.views);
	END LOOP;
	FOREACH relation IN ARRAY relations LOOP
		PERFORM soft_delete.check_references(relation);
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	-- conflicts with other sessions and lack of resources are no refusals
	IF left(SQLSTATE, 2) IN ('40', '53', '57', '58') OR SQLSTATE = '55P03' THEN
		RAISE;
	END IF;
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, native_detail = PG_EXCEPTION_DETAIL, native_hint = PG_EXCEPTION_HINT;
	FOREACH relation IN ARRAY relations LOOP
		RAISE WARNING 'table "%" is not tagged: %', relation, message
			USING ERRCODE = '01000', DETAIL = coalesce(nullif(native_detail, ''), 'Deletes from it are hard.'),
				HINT = coalesce(nullif(native_hint, ''), format('SELECT soft_delete.tag(%L);', relation));
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.try_to_tag(regclass[], soft_delete.tagged_schemas) IS
'tags tables that ON DELETE CASCADE connects, all of them or none; a refusal is a warning';

CREATE FUNCTION soft_delete.set_exempt(relation regclass, is_exempt boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
DECLARE
	table_name name;
	schema_name name;
BEGIN
	SELECT relname, nspname INTO table_name, schema_name
	FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = relation;
	UPDATE soft_delete.tagged_schemas
	SET exempt = array_remove(exempt, table_name) || CASE WHEN is_exempt THEN ARRAY[table_name] ELSE '{}' END
	WHERE schema = schema_name AND (table_name = ANY (exempt)) <> is_exempt;
	IF FOUND AND is_exempt THEN
		RAISE NOTICE 'table "%" is exempt from the tag of schema "%"', relation, schema_name
			USING HINT = format('SELECT soft_delete.tag(%L) ends that.', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.set_exempt(regclass, boolean) IS
'has a tagged schema remember that a table is exempt, or is not any more, if the current role owns the schema';

/*
 * The interface
 */

CREATE FUNCTION soft_delete.tag_schema(schema name, exempt name[] DEFAULT NULL, deleted_at name DEFAULT NULL,
	indexes text DEFAULT NULL, views name DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
DECLARE
	tagged soft_delete.tagged_schemas;
	relation regclass;
	candidates regclass[];
	members regclass[];
BEGIN
	IF schema IS NULL OR array_position(exempt, NULL) IS NOT NULL OR deleted_at = '' OR indexes NOT IN ('all', 'unique') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.tag_schema()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The schema must be given, exempt must name tables, and indexes must be ''all'' or ''unique''.',
				HINT = 'SELECT soft_delete.tag_schema(''my_schema'', exempt => ''{my_table}'');';
	END IF;
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'cannot tag a schema in a transaction of isolation level %', current_setting('transaction_isolation')
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'It would not see the tables that others have created meanwhile.',
				HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED;';
	END IF;
	PERFORM soft_delete.check_schema(schema);
	PERFORM soft_delete.check_views(schema, views);
	PERFORM soft_delete.check_library();
	PERFORM soft_delete.lock_schema(schema);

	INSERT INTO soft_delete.tagged_schemas AS s
	VALUES (schema, coalesce(exempt, '{}'), coalesce(deleted_at, 'deleted_at'), coalesce(indexes, 'all'), views)
	ON CONFLICT ON CONSTRAINT tagged_schemas_pkey DO UPDATE
	SET exempt = coalesce(tag_schema.exempt, s.exempt), deleted_at = coalesce(tag_schema.deleted_at, s.deleted_at),
		indexes = coalesce(tag_schema.indexes, s.indexes), views = coalesce(tag_schema.views, s.views)
	RETURNING * INTO tagged;

	FOR relation IN
		SELECT t FROM soft_delete.tables_of(schema) AS t JOIN pg_class ON oid = t
		WHERE relname = ANY (tagged.exempt) AND soft_delete.tag_arguments(t) IS NOT NULL
		ORDER BY t
	LOOP
		RAISE WARNING 'table "%" is exempt, but tagged', relation
			USING ERRCODE = '01000', HINT = format('SELECT soft_delete.untag(%L);', relation);
	END LOOP;

	candidates := ARRAY(SELECT t FROM soft_delete.tables_of(schema) AS t JOIN pg_class ON oid = t
						WHERE relname <> ALL (tagged.exempt) AND soft_delete.tag_arguments(t) IS NULL
						ORDER BY t);
	WHILE candidates <> '{}' LOOP
		members := ARRAY(SELECT m FROM soft_delete.cascade_family(candidates[1]) AS m WHERE m = ANY (candidates) ORDER BY m);
		PERFORM soft_delete.try_to_tag(members, tagged);
		candidates := ARRAY(SELECT c FROM unnest(candidates) WITH ORDINALITY AS u(c, n) WHERE c <> ALL (members) ORDER BY n);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.tag_schema(name, name[], name, text, name) IS
'tags every table of a schema, and each one that comes; exempt: names of tables that are not tagged; deleted_at, indexes, views: as for tag(); null: as it was told before, at first none, ''deleted_at'', ''all'' and the schema itself';

/* One round after the other, for the deleted rows of one table may be referenced by those of another. */
CREATE FUNCTION soft_delete.purge_bins(relations regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	remaining regclass[];
	is_last boolean := false;
BEGIN
	WHILE relations <> '{}' LOOP
		remaining := '{}';
		FOREACH relation IN ARRAY relations LOOP
			BEGIN
				EXECUTE format('DELETE FROM %s', soft_delete.bin_of(relation));
			EXCEPTION WHEN foreign_key_violation THEN
				IF is_last THEN
					RAISE;
				END IF;
				remaining := remaining || relation;
			END;
		END LOOP;
		is_last := remaining = relations;
		relations := remaining;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.purge_bins(regclass[]) IS
'purges all deleted rows of some tables; raises 23503 if other rows reference them';

CREATE FUNCTION soft_delete.untag_schema(schema name, tombstones text DEFAULT 'error') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
DECLARE
	relation regclass;
	members regclass[];
BEGIN
	IF schema IS NULL OR tombstones IS NULL OR tombstones NOT IN ('error', 'purge', 'keep') THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.untag_schema()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The schema must be given, and tombstones must be ''error'', ''purge'' or ''keep''.',
				HINT = 'SELECT soft_delete.untag_schema(''my_schema'', tombstones => ''error'');';
	END IF;
	PERFORM soft_delete.check_schema(schema);
	PERFORM soft_delete.lock_schema(schema);

	DELETE FROM soft_delete.tagged_schemas AS s WHERE s.schema = untag_schema.schema;
	IF NOT FOUND THEN
		RAISE NOTICE 'schema "%" is not tagged', schema;
		RETURN;
	END IF;
	members := ARRAY(SELECT t FROM soft_delete.tables_of(schema) AS t WHERE soft_delete.tag_arguments(t) IS NOT NULL ORDER BY t);
	IF tombstones = 'purge' THEN
		PERFORM soft_delete.purge_bins(members);
	END IF;
	FOREACH relation IN ARRAY members LOOP
		PERFORM soft_delete.untag_table(relation, tombstones);
	END LOOP;
	FOREACH relation IN ARRAY members LOOP
		PERFORM soft_delete.check_references(relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.untag_schema(name, text) IS
'makes deletes from the tables of a schema hard again, all or nothing, and those from tables that come stay hard; tombstones: as for untag()';

/*
 * What the event triggers do
 */

/* Security definer: who renames or drops a table or a schema need not own the schema, any more. */
CREATE FUNCTION soft_delete.follow_schema_names() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT soft_delete.renamed_from(command) AS old_name, nspname FROM pg_event_trigger_ddl_commands() JOIN pg_namespace ON oid = objid
		WHERE classid = 'pg_namespace'::regclass AND soft_delete.renamed_from(command) IS NOT NULL
	LOOP
		DELETE FROM soft_delete.tagged_schemas WHERE schema = item.nspname;	-- there was none of that name
		UPDATE soft_delete.tagged_schemas SET schema = item.nspname WHERE schema = item.old_name;
		UPDATE soft_delete.tagged_schemas SET views = item.nspname WHERE views = item.old_name;
	END LOOP;

	UPDATE soft_delete.tagged_schemas SET exempt = array_replace(exempt, soft_delete.renamed_from(command), relname)
	FROM pg_event_trigger_ddl_commands() JOIN pg_class ON pg_class.oid = objid JOIN pg_namespace n ON n.oid = relnamespace
	WHERE classid = 'pg_class'::regclass AND objsubid = 0 AND relkind IN ('r', 'p', 'f')
	  AND soft_delete.renamed_from(command) = ANY (exempt) AND schema = nspname
	  AND soft_delete.tag_arguments(pg_class.oid) IS NULL;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_schema_names() IS
'for event triggers: has tagged schemas and their exempt tables follow ALTER ... RENAME';

CREATE FUNCTION soft_delete.forget_schemas() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM soft_delete.tagged_schemas
	WHERE schema IN (SELECT object_name FROM pg_event_trigger_dropped_objects() WHERE object_type = 'schema');
END
$$;
COMMENT ON FUNCTION soft_delete.forget_schemas() IS
'for event triggers: forgets tagged schemas that are dropped';

/*
 * LIKE copies a stand-in under its old name, and its index under another than
 * the unique constraint would have had.
 */
CREATE FUNCTION soft_delete.adopt_stand_ins(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT con.oid, con.conname, own.indexrelid::regclass AS index, regexp_replace(own.relname, '_idx(\d*)$', '_key\1') AS name
		FROM pg_constraint con JOIN pg_constraint origin ON origin.conname = con.conname AND origin.contype = 'c'
			JOIN pg_index ON pg_index.indrelid = origin.conrelid AND soft_delete.stand_in(indexrelid) = origin.oid
			LEFT JOIN (SELECT indexrelid, relname, indrelid FROM pg_index JOIN pg_class ON oid = indexrelid
					   WHERE indisunique AND indpred IS NOT NULL AND soft_delete.stand_in(indexrelid) IS NULL) AS own
				ON own.indrelid = con.conrelid
				AND substring(soft_delete.index_body(own.indexrelid) FROM ' USING .*') = substring(soft_delete.index_body(pg_index.indexrelid) FROM ' USING .*')
		WHERE con.conrelid = relation AND con.contype = 'c' AND origin.conrelid <> relation AND pg_get_expr(con.conbin, relation) = 'true'
		  AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = origin.conrelid AND tgfoid = 'soft_delete.delete_row()'::regprocedure)
		  AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = relation AND soft_delete.stand_in(indexrelid) = con.oid)
	LOOP
		IF item.index IS NULL THEN
			EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', relation, item.conname);
		ELSE
			EXECUTE format('ALTER INDEX %s RENAME TO %I', item.index, item.name);
			EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', relation, item.conname, item.name);
			PERFORM soft_delete.bind_index(item.index, item.oid);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.adopt_stand_ins(regclass) IS
'gives the unique indexes that CREATE TABLE ... LIKE a tagged table has made the names of unique constraints, and their stand-ins';

CREATE FUNCTION soft_delete.tag_newcomer(relation regclass, is_query boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tagged soft_delete.tagged_schemas;
	hides_rows boolean;
BEGIN
	SELECT s.* INTO tagged
	FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace JOIN unnest(soft_delete.current_tagged_schemas()) AS s ON schema = nspname
	WHERE pg_class.oid = relation AND relname <> ALL (exempt) AND relation IN (SELECT soft_delete.tables_of(nspname));
	IF NOT FOUND OR soft_delete.tag_arguments(relation) IS NOT NULL THEN
		RETURN;
	END IF;

	-- CREATE TABLE AS of deleted rows is meant to show them
	IF is_query AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = tagged.deleted_at AND NOT attisdropped) THEN
		EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NOT NULL)', relation, tagged.deleted_at) INTO hides_rows;
		IF hides_rows THEN
			RAISE WARNING 'table "%" is not tagged: it has deleted rows', relation
				USING ERRCODE = '01000',
					DETAIL = format('Its column %I is not null in some.', tagged.deleted_at),
					HINT = format('SELECT soft_delete.tag(%L) hides them.', relation);
			RETURN;
		END IF;
	END IF;
	PERFORM soft_delete.try_to_tag(ARRAY[relation], tagged);
END
$$;
COMMENT ON FUNCTION soft_delete.tag_newcomer(regclass, boolean) IS
'tags a table that has come into a tagged schema, or warns that it cannot; is_query: by CREATE TABLE AS';

CREATE FUNCTION soft_delete.follow_schemas() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item record;
BEGIN
	-- what restores a dump knows which tables are tagged
	IF NOT current_setting('row_security')::boolean OR soft_delete.current_tagged_schemas() IS NULL THEN
		RETURN;
	END IF;
	PERFORM soft_delete.follow_schema_names();
	FOR item IN
		SELECT DISTINCT objid::regclass AS relation, command_tag IN ('CREATE TABLE AS', 'SELECT INTO') AS is_query
		FROM pg_event_trigger_ddl_commands()
		WHERE classid = 'pg_class'::regclass AND objsubid = 0 AND NOT in_extension
		  AND (command_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE') OR soft_delete.changes_schema(command))
		ORDER BY 1
	LOOP
		PERFORM soft_delete.tag_newcomer(item.relation, item.is_query);
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_schemas() IS
'for event triggers: tags what has come into a tagged schema';
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
		FROM soft_delete.family(index) WITH ORDINALITY AS f(member, n) JOIN pg_index ON indexrelid = member JOIN pg_class ON oid = member
			JOIN pg_namespace ON pg_namespace.oid = relnamespace LEFT JOIN pg_inherits ON inhrelid = member AND member <> index
		ORDER BY n
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
		FROM soft_delete.family(relation) WITH ORDINALITY AS f(member, n) JOIN pg_class ON oid = member JOIN pg_namespace ON pg_namespace.oid = relnamespace,
			format('%I.%I', nspname, soft_delete.prepared_name(member)) AS prepared,
			LATERAL (SELECT format('DROP INDEX CONCURRENTLY %s', prepared) WHERE to_regclass(prepared) IS NOT NULL
					 UNION ALL
					 SELECT format('CREATE INDEX CONCURRENTLY %I ON %s (%I) WHERE %3$I IS NOT NULL', soft_delete.prepared_name(member), member, deleted_at)
					) AS commands(command)
		WHERE relkind = 'r' AND NOT soft_delete.has_bin_index(member, deleted_at)
		ORDER BY n, command DESC;		-- DROP before CREATE
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
	SELECT tagged.relation, bin, attname,
		-- a timestamp column holds UTC
		CASE atttypid WHEN 'timestamp'::regtype
			THEN '(ARRAY(SELECT pg_catalog.timezone(''UTC'', s) FROM pg_catalog.unnest($1) AS s))' ELSE '($1)' END
	FROM soft_delete.tagged_tables() AS tagged
		JOIN pg_attribute ON attrelid = tagged.relation AND attname = tombstone_column AND NOT attisdropped
		CROSS JOIN LATERAL soft_delete.lock_bin(tagged.relation) AS bin
	WHERE bin IS NOT NULL AND soft_delete.is_plain_bin(bin)
	ORDER BY tagged.relation
$$;
COMMENT ON FUNCTION soft_delete.readable_bins() IS
'the tagged tables whose bin the caller may read, locked against being untagged or dropped; stamps: the array $1 of timestamptz as their tombstone column compares with it';

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
WHERE EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) relation AND pg_catalog.pg_has_role(relowner, 'USAGE'))
  AND NOT pg_catalog.row_security_active(relation);
COMMENT ON VIEW soft_delete.visible_cuts IS
'the cut references of the reader''s own tables: they tell of rows that are deleted';
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
			LEFT JOIN pg_constraint ON conrelid = indrelid AND conindid = indexrelid AND contype = 'x'
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
				   FROM pg_attribute AS col
				   WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
					 AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = bin AND attname = col.attname)),
				  bin, tombstone, stamps,
				  (SELECT string_agg(query, ' UNION ALL ')
				   FROM (SELECT 'SELECT tableoid, ctid, NULL, NULL::name, NULL FROM r WHERE false'
						 UNION ALL SELECT soft_delete.key_conflicts(relation)
						 UNION ALL SELECT soft_delete.parent_conflicts(relation)
						 UNION ALL SELECT soft_delete.check_conflicts(relation, tombstone)
						 UNION ALL SELECT 'SELECT tableoid, ctid, ''row is held'', NULL, soft_delete.hold_of(tableoid, ctid, false) FROM r WHERE soft_delete.hold_of(tableoid, ctid, false) IS NOT NULL') AS conflicts(query)),
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
 * Retention and purge
 */

CREATE TABLE soft_delete.retention (
	relation regclass UNIQUE,
	-- by name, for pg_upgrade keeps no OIDs of schemas
	schema name UNIQUE,
	retain interval CHECK (retain >= '0'),
	CHECK (num_nonnulls(relation, schema) = 1)
);
COMMENT ON TABLE soft_delete.retention IS
'how long deleted rows are kept before a purge takes them; written by soft_delete.retain() and retain_schema(); a row that is deleted here says nothing any more';
COMMENT ON COLUMN soft_delete.retention.relation IS 'the table that it is about; its own retention comes before that of its schema';
COMMENT ON COLUMN soft_delete.retention.schema IS 'or the schema, for all tables in it';
COMMENT ON COLUMN soft_delete.retention.retain IS 'the least age of what is purged; null: never';
-- a name that the new database does not have would make it refuse all rows
SELECT pg_catalog.pg_extension_config_dump('soft_delete.retention',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

ALTER TABLE soft_delete.retention ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_by_all ON soft_delete.retention FOR SELECT USING (true);
COMMENT ON POLICY read_by_all ON soft_delete.retention IS 'it is no secret';
CREATE POLICY of_own_objects ON soft_delete.retention USING
	(EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) relation AND pg_catalog.pg_has_role(relowner, 'USAGE'))
	 OR EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.=) schema AND pg_catalog.pg_has_role(nspowner, 'USAGE')));
COMMENT ON POLICY of_own_objects ON soft_delete.retention IS 'the owner of a table or schema decides';
GRANT SELECT, INSERT, UPDATE, DELETE ON soft_delete.retention TO PUBLIC;

CREATE TABLE soft_delete.purge_log (
	-- not regclass: the log outlives the table
	relation text COLLATE "C",
	purged_at timestamptz,
	purged_by text NOT NULL,
	rows bigint NOT NULL,
	oldest timestamptz,
	newest timestamptz,
	duration interval NOT NULL,
	error text,
	PRIMARY KEY (relation, purged_at)
) USING heap;
-- what was purged here is not replicated, neither as it is written nor as it goes
ALTER TABLE soft_delete.purge_log REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete.purge_log IS
'what purges have destroyed: a row per table and run, written with each batch, so that it shows how far a running one has come';
COMMENT ON COLUMN soft_delete.purge_log.relation IS 'the table, as schema.name';
COMMENT ON COLUMN soft_delete.purge_log.purged_at IS 'when the purge of the table began';
COMMENT ON COLUMN soft_delete.purge_log.purged_by IS 'the role';
COMMENT ON COLUMN soft_delete.purge_log.rows IS 'how many rows it has destroyed';
COMMENT ON COLUMN soft_delete.purge_log.oldest IS 'the oldest stamp of those';
COMMENT ON COLUMN soft_delete.purge_log.newest IS 'the newest';
COMMENT ON COLUMN soft_delete.purge_log.duration IS 'till its last batch';
COMMENT ON COLUMN soft_delete.purge_log.error IS 'why it ended early; ''not finished'' while it runs, and for ever where it was broken off; the next one that is well has a row even if it destroys nothing';
SELECT pg_catalog.pg_extension_config_dump('soft_delete.purge_log', '');

ALTER TABLE soft_delete.purge_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_own_tables ON soft_delete.purge_log FOR SELECT USING
	(EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) purged_by::name AND pg_catalog.pg_has_role(oid, 'USAGE'))
	 OR soft_delete.owns_named(relation));
COMMENT ON POLICY of_own_tables ON soft_delete.purge_log IS 'the owner of a table, and who has purged, see it';
GRANT SELECT ON soft_delete.purge_log TO PUBLIC;

/*
 * Retention
 */

CREATE FUNCTION soft_delete.check_root(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF soft_delete.tag_arguments(relation) IS NULL THEN
		RAISE EXCEPTION 'table "%" is not tagged', relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = format('SELECT soft_delete.tag(%L);', relation);
	END IF;
	PERFORM soft_delete.check_owner(relation);
	IF soft_delete.root(relation) <> relation THEN
		RAISE EXCEPTION 'table "%" is a partition or inheritance child', relation
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'It is purged with the table that it belongs to.',
				HINT = format('Name "%s" instead.', soft_delete.root(relation));
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_root(regclass) IS
'raises 55000, 42501 or 42809 unless it is a tagged table that the current role owns, and no partition';

CREATE FUNCTION soft_delete.check_age(age interval, hint text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- raises 22008 for one that goes back beyond what a timestamp can be
	IF age < '0' OR clock_timestamp() - age IS NULL AND age IS NOT NULL THEN
		RAISE EXCEPTION 'an age cannot be negative: %', age
			USING ERRCODE = 'invalid_parameter_value', HINT = hint;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_age(interval, text) IS
'raises 22023 or 22008 for an interval that cannot be the age of a row';

CREATE FUNCTION soft_delete.retain(relation regclass, retain interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
#variable_conflict use_variable
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.retain()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The table must be given.',
				HINT = 'SELECT soft_delete.retain(''my_table'', ''90 days'');';
	END IF;
	PERFORM soft_delete.check_root(relation);
	PERFORM soft_delete.check_age(retain, format('SELECT soft_delete.retain(%L, ''90 days'');', relation));
	INSERT INTO soft_delete.retention AS r VALUES (relation, NULL, retain)
	ON CONFLICT ON CONSTRAINT retention_relation_key DO UPDATE SET retain = excluded.retain;
END
$$;
COMMENT ON FUNCTION soft_delete.retain(regclass, interval) IS
'says how long deleted rows of a table are kept before a purge takes them; null: for ever';

CREATE FUNCTION soft_delete.retain_schema(schema name, retain interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
#variable_conflict use_variable
BEGIN
	IF schema IS NULL OR to_regnamespace(quote_ident(schema)) IS NULL THEN
		RAISE EXCEPTION 'schema "%" does not exist', schema
			USING ERRCODE = 'invalid_schema_name',
				HINT = 'SELECT soft_delete.retain_schema(''my_schema'', ''90 days'');';
	END IF;
	IF NOT (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = schema) THEN
		RAISE EXCEPTION 'must be owner of schema %', schema
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	PERFORM soft_delete.check_age(retain, format('SELECT soft_delete.retain_schema(%L, ''90 days'');', schema));
	INSERT INTO soft_delete.retention AS r VALUES (NULL, schema, retain)
	ON CONFLICT ON CONSTRAINT retention_schema_key DO UPDATE SET retain = excluded.retain;
END
$$;
COMMENT ON FUNCTION soft_delete.retain_schema(name, interval) IS
'says how long deleted rows of all tables in a schema are kept, but for those that have a retention of their own; null: for ever';

CREATE FUNCTION soft_delete.copy_retention(root regclass, partition regclass) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
	INSERT INTO soft_delete.retention SELECT partition, NULL, retain FROM soft_delete.retention WHERE relation = root
	ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION soft_delete.copy_retention(regclass, regclass) IS
'gives a table that was a partition the retention of the table that it was one of';

/* Security definer: there is no schema of the old name whose owner could be asked. */
CREATE FUNCTION soft_delete.follow_retention() RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE soft_delete.retention AS r SET schema = nspname
	FROM pg_event_trigger_ddl_commands() JOIN pg_namespace ON pg_namespace.oid = objid
	WHERE classid = 'pg_namespace'::regclass AND r.schema = soft_delete.renamed_from(command)
$$;
COMMENT ON FUNCTION soft_delete.follow_retention() IS
'for event triggers: has what is said about a schema follow ALTER SCHEMA ... RENAME';

CREATE FUNCTION soft_delete.forget_retention(relation regclass) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS 'DELETE FROM soft_delete.retention AS r WHERE r.relation = forget_retention.relation';
COMMENT ON FUNCTION soft_delete.forget_retention(regclass) IS
'takes back what was said about a table';

/*
 * Each batch of a purge asks anew for the limit.  These functions are in PL/pgSQL,
 * which keeps the plans of their queries; a query of a function in SQL is planned
 * at each call, and that took a seventh of a purge's time.
 */

CREATE FUNCTION soft_delete.stated_retention(relation regclass, OUT is_stated boolean, OUT retain interval)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
BEGIN
	SELECT r.retain INTO retain FROM soft_delete.retention AS r WHERE r.relation = stated_retention.relation;
	is_stated := FOUND;
	IF NOT is_stated THEN
		SELECT r.retain INTO retain
		FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN soft_delete.retention AS r ON r.schema = nspname
		WHERE pg_class.oid = stated_retention.relation;
		is_stated := FOUND;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.stated_retention(regclass) IS
'what is said about a table, or else about its schema';

CREATE FUNCTION soft_delete.cascade_parents(relation regclass) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		SELECT DISTINCT soft_delete.root(confrelid) FROM pg_constraint
		WHERE contype = 'f' AND conparentid = 0 AND confdeltype = 'c'
		  AND conrelid IN (SELECT soft_delete.family(relation)) AND soft_delete.root(confrelid) <> relation;
END
$$;
COMMENT ON FUNCTION soft_delete.cascade_parents(regclass) IS
'the other tables whose deletes reach a table by ON DELETE CASCADE';

/*
 * A table about which nothing is said goes with those whose deletes reach it by
 * CASCADE: else their rows could never go.
 */
CREATE FUNCTION soft_delete.retention_of(relation regclass, OUT is_known boolean, OUT is_eternal boolean, OUT retain interval)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
DECLARE
	root regclass := soft_delete.root(relation);
BEGIN
	SELECT * INTO is_known, retain FROM soft_delete.stated_retention(root);
	IF is_known THEN
		is_eternal := retain IS NULL;
		RETURN;
	END IF;
	WITH RECURSIVE followed(member, is_stated, stated) AS (
		SELECT root, false, NULL::interval
		UNION
		SELECT parent, s.is_stated, s.retain FROM followed, soft_delete.cascade_parents(member) AS parent, soft_delete.stated_retention(parent) AS s
		WHERE NOT followed.is_stated
	)
	SELECT bool_or(is_stated) AND NOT bool_or(NOT is_stated AND NOT EXISTS (SELECT FROM soft_delete.cascade_parents(member))),
		bool_or(is_stated AND stated IS NULL), max(stated)
	INTO is_known, is_eternal, retain
	FROM followed;
END
$$;
COMMENT ON FUNCTION soft_delete.retention_of(regclass) IS
'how long deleted rows of a table are kept: what is said about it or its schema, else the longest of what holds for the tables whose deletes reach it by CASCADE; is_known: that says when all go; is_eternal: some are kept for ever';

CREATE FUNCTION soft_delete.purge_limit(relation regclass, as_of timestamptz, older_than interval) RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (
		SELECT CASE WHEN NOT is_eternal AND (is_known OR older_than IS NOT NULL) THEN least(as_of - retain, as_of - older_than) END
		FROM soft_delete.retention_of(relation)
	);
END
$$;
COMMENT ON FUNCTION soft_delete.purge_limit(regclass, timestamptz, interval) IS
'the stamp before which deleted rows of a table are due; null if none are';

/*
 * Purge
 */

CREATE FUNCTION soft_delete.tagged_leaves() RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT DISTINCT tgrelid::regclass
	FROM pg_depend JOIN pg_trigger ON pg_trigger.oid = objid JOIN pg_class ON pg_class.oid = tgrelid
	WHERE classid = 'pg_trigger'::regclass AND refclassid = 'pg_proc'::regclass
	  AND refobjid = 'soft_delete.delete_row()'::regprocedure AND relkind = 'r'
$$;
COMMENT ON FUNCTION soft_delete.tagged_leaves() IS
'all tables, partitions and inheritance children that may hold deleted rows, whoever owns them';

CREATE FUNCTION soft_delete.purge_groups(relation regclass DEFAULT NULL) RETURNS SETOF regclass[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE tables AS MATERIALIZED (
		SELECT DISTINCT root AS member
		FROM pg_depend JOIN pg_trigger ON pg_trigger.oid = objid, soft_delete.root(tgrelid) AS root JOIN pg_class ON pg_class.oid = root
		WHERE classid = 'pg_trigger'::regclass AND refclassid = 'pg_proc'::regclass AND refobjid = 'soft_delete.delete_row()'::regprocedure
		  AND pg_has_role(relowner, 'USAGE') AND NOT pg_is_other_temp_schema(relnamespace)
	), edges AS MATERIALIZED (
		SELECT DISTINCT p.member AS parent, c.member AS child, confdeltype
		FROM pg_constraint JOIN tables AS p ON p.member = soft_delete.root(confrelid) JOIN tables AS c ON c.member = soft_delete.root(conrelid)
		WHERE contype = 'f' AND conparentid = 0 AND p.member <> c.member
	), wanted AS (
		SELECT member FROM tables WHERE relation IS NULL OR member = relation
		UNION
		SELECT child FROM wanted JOIN edges ON parent = member WHERE confdeltype = 'c'
	), below AS (
		SELECT parent, child FROM edges
		UNION
		SELECT below.parent, edges.child FROM below JOIN edges ON edges.parent = below.child
	), placed AS (
		-- tables of a circle are below one another, and have as many below them
		SELECT member, (SELECT count(*) FROM below WHERE parent = member) AS n_below,
			least(member::oid, (SELECT min(b.child::oid) FROM below AS b JOIN below AS back ON back.parent = b.child AND back.child = b.parent
								WHERE b.parent = member)) AS first_of_circle
		FROM wanted
	)
	SELECT array_agg(member ORDER BY member) FROM placed GROUP BY first_of_circle, n_below ORDER BY n_below, first_of_circle
$$;
COMMENT ON FUNCTION soft_delete.purge_groups(regclass) IS
'the tagged tables of the current role, or one of them with what its deletes reach by CASCADE, children before parents; those whose foreign keys form a circle together';

CREATE FUNCTION soft_delete.purge_batch(relations regclass[], as_of timestamptz, older_than interval, batch_size integer, begins boolean, dry_run boolean,
	OUT relation regclass, OUT rows bigint, OUT held bigint, OUT referenced bigint, OUT locked bigint, OUT oldest timestamptz, OUT newest timestamptz, OUT done boolean)
RETURNS SETOF record
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'soft_delete_purge_batch';
COMMENT ON FUNCTION soft_delete.purge_batch(regclass[], timestamptz, interval, integer, boolean, boolean) IS
'destroys the next due rows of a group of tables, from the oldest on or from where the session''s last batch ended; returns what has become of due rows so far, per table';

CREATE FUNCTION soft_delete.prune_ledger(oldest timestamptz, newest timestamptz, batch_size integer) RETURNS timestamptz
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'soft_delete_prune_ledger';
COMMENT ON FUNCTION soft_delete.prune_ledger(timestamptz, timestamptz, integer) IS
'forgets deletions of a range of stamps that have no rows left; returns where to go on, null at the end';

CREATE FUNCTION soft_delete.check_purge(relation regclass, older_than interval, batch_size integer, pause interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF batch_size IS NULL OR batch_size < 1 OR pause IS NULL OR pause < '0' THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.purge()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The batch size must be positive, and the pause must not be negative.',
				HINT = 'CALL soft_delete.purge(batch_size => 10000, pause => ''0'');';
	END IF;
	PERFORM soft_delete.check_age(older_than, 'CALL soft_delete.purge(older_than => ''90 days'');');
	IF relation IS NOT NULL THEN
		PERFORM soft_delete.check_root(relation);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.check_purge(regclass, interval, integer, interval) IS
'raises 22023, or what check_root() does, for arguments that purge() cannot do with';

CREATE FUNCTION soft_delete.unpruned_stamps(OUT oldest timestamptz, OUT newest timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
	SELECT least(min(oldest) FILTER (WHERE error IS NOT NULL), max(newest)), max(newest) FILTER (WHERE error IS NOT NULL)
	FROM (SELECT DISTINCT ON (relation) oldest, newest, error FROM soft_delete.purge_log ORDER BY relation, purged_at DESC) AS latest
$$;
COMMENT ON FUNCTION soft_delete.unpruned_stamps() IS
'the range of stamps whose deletions the ledger may know although they have no rows left: from where the last purge ended, and of purges that were broken off';

/* It commits, so it can set no search_path: all names in it, of types too, are qualified, and there is no operator. */
CREATE PROCEDURE soft_delete.purge(relation regclass DEFAULT NULL, older_than interval DEFAULT NULL, batch_size integer DEFAULT 10000, pause interval DEFAULT '0')
LANGUAGE plpgsql
AS $$
DECLARE
	as_of pg_catalog.timestamptz := pg_catalog.clock_timestamp();
	members pg_catalog.regclass[];
	counts pg_catalog.record;
	begins pg_catalog.bool;
	done pg_catalog.bool;
	oldest pg_catalog.timestamptz;
	newest pg_catalog.timestamptz;
BEGIN
	PERFORM soft_delete.check_purge(relation, older_than, batch_size, pause);
	SELECT * INTO oldest, newest FROM soft_delete.unpruned_stamps();
	FOR members IN SELECT * FROM soft_delete.purge_groups(relation) LOOP
		begins := true;
		LOOP
			COMMIT;
			-- a row that another session has changed is skipped, not an error
			SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
			FOR counts IN SELECT * FROM soft_delete.purge_batch(members, as_of, older_than, batch_size, begins, false) LOOP
				done := counts.done;
				oldest := least(oldest, counts.oldest);
				newest := greatest(newest, counts.newest);
			END LOOP;
			EXIT WHEN done;
			begins := false;
			COMMIT;
			PERFORM pg_catalog.pg_sleep_for(pause);
		END LOOP;
	END LOOP;

	WHILE oldest IS NOT NULL AND newest IS NOT NULL LOOP
		COMMIT;
		oldest := soft_delete.prune_ledger(oldest, newest, batch_size);
	END LOOP;
END
$$;
COMMENT ON PROCEDURE soft_delete.purge(regclass, interval, integer, interval) IS
'destroys deleted rows that are due, oldest first, children before parents, committing after each batch: of all tagged tables that the caller owns, or of one with what its deletes reach by CASCADE; older_than: the least age, where their retention is not longer; pause: between batches';

CREATE FUNCTION soft_delete.preview_purge(relation regclass DEFAULT NULL, older_than interval DEFAULT NULL)
RETURNS TABLE (member regclass, rows bigint, held bigint, referenced bigint, oldest timestamptz, newest timestamptz)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	as_of timestamptz := clock_timestamp();
	members regclass[];
	counts record;
	begins boolean;
	is_done boolean;
BEGIN
	PERFORM soft_delete.check_purge(relation, older_than, 1, '0');
	FOR members IN SELECT * FROM soft_delete.purge_groups(relation) LOOP
		begins := true;
		is_done := false;
		WHILE NOT is_done LOOP
			FOR counts IN SELECT * FROM soft_delete.purge_batch(members, as_of, older_than, 10000, begins, true) LOOP
				is_done := counts.done;
				IF is_done AND counts.rows + counts.held + counts.referenced > 0 THEN
					member := counts.relation;
					rows := counts.rows;
					held := counts.held;
					referenced := counts.referenced;
					oldest := counts.oldest;
					newest := counts.newest;
					RETURN NEXT;
				END IF;
			END LOOP;
			begins := false;
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.preview_purge(regclass, interval) IS
'dry run of purge(): how many rows of each table would go, and how many that are due would stay, because they are held or referenced by what stays; touches nothing';
/*
 * Erasing rows for good
 */

CREATE TABLE soft_delete.erasures (
	-- a name: the table may be gone
	relation text NOT NULL,
	key_hash bytea NOT NULL,
	erased_at timestamptz NOT NULL,
	erased_by text NOT NULL,
	rows bigint NOT NULL
) USING heap;
ALTER TABLE soft_delete.erasures REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete.erasures IS
'proofs of erasures, by which soft_delete.replay_erasures() repeats them after an older state was restored';
COMMENT ON COLUMN soft_delete.erasures.relation IS 'the table';
COMMENT ON COLUMN soft_delete.erasures.key_hash IS 'SHA-256 of the primary key as the text of an array of texts, such as {1}: who can guess the key can test it';
COMMENT ON COLUMN soft_delete.erasures.erased_at IS 'when';
COMMENT ON COLUMN soft_delete.erasures.erased_by IS 'the role that erased';
COMMENT ON COLUMN soft_delete.erasures.rows IS 'how many rows were destroyed, in all tables';
SELECT pg_catalog.pg_extension_config_dump('soft_delete.erasures', '');

ALTER TABLE soft_delete.erasures ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_own_tables ON soft_delete.erasures USING (soft_delete.owns_named(relation));
COMMENT ON POLICY of_own_tables ON soft_delete.erasures IS 'the owner of a table sees what was erased from it';
GRANT SELECT ON soft_delete.erasures TO PUBLIC;

CREATE FUNCTION soft_delete.erase(relation regclass, VARIADIC key text[]) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_erase';
COMMENT ON FUNCTION soft_delete.erase(regclass, text[]) IS
'destroys the rows of a primary key, live and deleted, and those below them by CASCADE; returns their number; a proof without personal data stays';

CREATE FUNCTION soft_delete.keys_again(proofs regclass, OUT relation regclass, OUT key text[]) RETURNS SETOF record
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET lc_monetary = 'C' SET xmloption = 'content'
SET timezone = 'UTC' SET bytea_output = 'hex'
AS $$
DECLARE
	item record;
	columns text;
BEGIN
	-- an erasure that this state knows of has been done before it, and its key may have been used anew
	FOR item IN EXECUTE format('SELECT to_regclass(relation) AS relation, array_agg(key_hash) AS hashes FROM '
							   '(SELECT relation, key_hash, erased_at FROM %s EXCEPT SELECT relation, key_hash, erased_at FROM soft_delete.erasures) AS new '
							   'GROUP BY relation', proofs)
	LOOP
		relation := item.relation;
		CONTINUE WHEN relation IS NULL;
		SELECT string_agg(format('format(''%%s'', %I)', attname), ', ' ORDER BY n) INTO columns
		FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute USING (attnum)
		WHERE conrelid = item.relation AND contype = 'p' AND attrelid = conrelid;
		RETURN QUERY EXECUTE
			format('SELECT DISTINCT $1, key FROM (SELECT ARRAY[%1$s] FROM %2$s UNION ALL SELECT ARRAY[%1$s] FROM %3$s) AS all_rows(key) '
				   'WHERE sha256(convert_to(key::text, getdatabaseencoding())) = ANY ($2)',
				   columns, relation, coalesce(soft_delete.bin_of(relation), relation)) USING relation, item.hashes;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.keys_again(regclass) IS
'the keys that proofs of erasures speak of, this state does not, and that are there';

/* The application's triggers fire in this: it keeps the caller's search_path. */
CREATE FUNCTION soft_delete.replay_erasures(proofs regclass) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
	item record;
	erased bigint := 0;
BEGIN
	FOR item IN SELECT * FROM soft_delete.keys_again(proofs) LOOP
		erased := erased OPERATOR(pg_catalog.+) soft_delete.erase(item.relation, VARIADIC item.key);
	END LOOP;
	EXECUTE pg_catalog.format('INSERT INTO soft_delete.erasures SELECT * FROM %s EXCEPT SELECT * FROM soft_delete.erasures', proofs);
	RETURN erased;
END
$$;
COMMENT ON FUNCTION soft_delete.replay_erasures(regclass) IS
'repeats erasures in a restored older state, from the table of proofs of the newer one; returns the number of rows destroyed';
/*
 * What there is to see: figures per tagged table.  They come from statistics
 * and from the index of the bin; no table is read.
 */

CREATE FUNCTION soft_delete.may_watch(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_may_watch';
COMMENT ON FUNCTION soft_delete.may_watch(regclass) IS
'whether the caller may know figures of a tagged table: its owner, who may read its bin, and members of pg_read_all_stats';

/* The planner is to use the bin's index, for only then is the query run. */
CREATE FUNCTION soft_delete.count_tombstones(relation regclass, before timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_count_tombstones'
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on SET enable_indexonlyscan = on;
COMMENT ON FUNCTION soft_delete.count_tombstones(regclass, timestamptz) IS
'how many tombstones a tagged table has, of those with an earlier stamp if one is given: exactly up to 1,000, else the planner''s estimate; null for who may not know, or where no index tells';

CREATE FUNCTION soft_delete.oldest_tombstone(relation regclass) RETURNS timestamptz
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_oldest_tombstone'
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on SET enable_indexonlyscan = on;
COMMENT ON FUNCTION soft_delete.oldest_tombstone(regclass) IS
'the stamp of the oldest tombstone in a tagged table; null for who may not know, or where no index tells';

CREATE FUNCTION soft_delete.estimated_rows(relation regclass) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT sum(CASE
			-- as the planner does: the rows per page that the last VACUUM or ANALYZE found
			WHEN relpages > 0 THEN reltuples * (pg_relation_size(oid) / current_setting('block_size')::bigint) / relpages
			WHEN pg_stat_get_live_tuples(oid) + pg_stat_get_dead_tuples(oid) > 0 THEN pg_stat_get_live_tuples(oid)
			WHEN reltuples = 0 THEN 0 END)::bigint
	FROM soft_delete.family(relation) AS member JOIN pg_class ON oid = member
	WHERE relkind = 'r'
$$;
COMMENT ON FUNCTION soft_delete.estimated_rows(regclass) IS
'how many rows, tombstones included, a table and its partitions have by what statistics say';

CREATE FUNCTION soft_delete.live_index_bytes(relation regclass) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT sum((relpages - 1) * current_setting('block_size')::bigint)
	FROM soft_delete.tag_arguments(relation) AS arguments, soft_delete.family(relation) AS member
		JOIN pg_index ON indrelid = member
		JOIN pg_class ON pg_class.oid = indexrelid
		JOIN pg_attribute ON attrelid = member
	WHERE attname = arguments[1] AND relkind = 'i'
	  -- less says nothing about the size of an entry
	  AND reltuples >= 1000
	  AND soft_delete.index_hides(indexrelid, attnum)
	  AND 'partial:' || (SELECT relname FROM pg_class WHERE oid = soft_delete.root(indexrelid)) <> ALL (arguments)
$$;
COMMENT ON FUNCTION soft_delete.live_index_bytes(regclass) IS
'size of the indexes of a table that tag() made partial, as the last VACUUM or ANALYZE found it; the small ones are left out';

CREATE FUNCTION soft_delete.due_rows(relation regclass, due_before timestamptz) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN due_before IS NULL THEN 0 ELSE soft_delete.count_tombstones(relation, due_before) END
	WHERE soft_delete.may_watch(relation)
$$;
COMMENT ON FUNCTION soft_delete.due_rows(regclass, timestamptz) IS
'how many tombstones of a table are due, counted as count_tombstones() does; without a date none is';

/*
 * Whatever is not asked for is not looked up.  Functions in a view run as the
 * reader, the tables in it are read as its owner.
 */
CREATE VIEW soft_delete.tables AS
SELECT tagged.relation, tombstone_column, soft_delete.bin_of(tagged.relation) AS bin, soft_delete.active_of(tagged.relation) AS active_view,
	live_rows, deleted_rows, round(deleted_rows::numeric / nullif(live_rows + deleted_rows, 0), 3) AS graveyard_share,
	(SELECT count(*) FROM soft_delete.displaced AS d WHERE d.relation = ANY (members)) AS displaced_rows,
	least(soft_delete.oldest_tombstone(tagged.relation),
		(SELECT min(deleted_at) FROM soft_delete.displaced AS d WHERE d.relation = ANY (members))) AS oldest,
	retention,
	soft_delete.due_rows(tagged.relation, now() - retention) +
		(SELECT count(*) FROM soft_delete.displaced AS d WHERE d.relation = ANY (members) AND deleted_at < now() - retention) AS due_rows,
	last.purged_at AS last_purge, last.rows AS last_purge_rows,
	CASE WHEN last.purged_at IS NULL THEN NULL WHEN last.error IS NULL OR last.error = 'not finished' THEN coalesce(last.error, 'done')
		ELSE 'failed' || CASE WHEN pg_catalog.pg_has_role(relowner, 'USAGE') THEN ': ' || last.error ELSE '' END END AS last_purge_result,
	(soft_delete.live_index_bytes(tagged.relation)::numeric * deleted_rows / nullif(live_rows, 0))::bigint AS index_bytes_saved
FROM soft_delete.tagged_tables() AS tagged
	JOIN pg_catalog.pg_class ON pg_class.oid = tagged.relation
	JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
	-- what is used more than once is looked up once
	CROSS JOIN LATERAL (SELECT soft_delete.count_tombstones(tagged.relation) AS deleted_rows,
		soft_delete.estimated_rows(tagged.relation) AS all_rows,
		ARRAY(SELECT soft_delete.family(tagged.relation)) AS members,
		CASE WHEN EXISTS (SELECT FROM soft_delete.retention) THEN
			(SELECT CASE WHEN is_known AND NOT is_eternal THEN retain END FROM soft_delete.retention_of(tagged.relation)) END AS retention
		OFFSET 0) AS once
	CROSS JOIN LATERAL (SELECT CASE WHEN all_rows < deleted_rows THEN 0 ELSE all_rows - deleted_rows END AS live_rows) AS difference
	LEFT JOIN LATERAL (SELECT purged_at, rows, error FROM soft_delete.purge_log
					   WHERE purge_log.relation = pg_catalog.format('%I.%I', nspname, relname) ORDER BY purged_at DESC LIMIT 1) AS last ON true
WHERE soft_delete.may_watch(tagged.relation);
GRANT SELECT ON soft_delete.tables TO PUBLIC;
COMMENT ON VIEW soft_delete.tables IS
'the tagged tables of which the reader may know figures: those that it owns or whose bin it may read, or all for members of pg_read_all_stats';
COMMENT ON COLUMN soft_delete.tables.relation IS 'the table; its partitions and inheritance children are counted with it';
COMMENT ON COLUMN soft_delete.tables.tombstone_column IS 'the column that holds the stamp';
COMMENT ON COLUMN soft_delete.tables.bin IS 'the view of its deleted rows';
COMMENT ON COLUMN soft_delete.tables.active_view IS 'the view of its live rows';
COMMENT ON COLUMN soft_delete.tables.live_rows IS 'live rows: an estimate';
COMMENT ON COLUMN soft_delete.tables.deleted_rows IS 'deleted rows in the table: exact up to 1,000, else an estimate; null without an index of the bin';
COMMENT ON COLUMN soft_delete.tables.graveyard_share IS 'deleted rows as a share of all rows in the table: an estimate';
COMMENT ON COLUMN soft_delete.tables.displaced_rows IS 'deleted rows that have stepped aside: exact';
COMMENT ON COLUMN soft_delete.tables.oldest IS 'the stamp of the oldest deleted row: exact; null without an index of the bin';
COMMENT ON COLUMN soft_delete.tables.retention IS 'how long deleted rows are kept, by what is said of the table, of its schema, or of the tables whose deletes reach it by CASCADE; null: for ever';
COMMENT ON COLUMN soft_delete.tables.due_rows IS 'deleted rows that are older than that, held ones too: exact up to 1,000, else an estimate';
COMMENT ON COLUMN soft_delete.tables.last_purge IS 'when the last purge of the table that the log knows began';
COMMENT ON COLUMN soft_delete.tables.last_purge_rows IS 'how many rows that has destroyed';
COMMENT ON COLUMN soft_delete.tables.last_purge_result IS 'done; not finished, which one that was broken off stays; or failed, and for the owner of the table why';
COMMENT ON COLUMN soft_delete.tables.index_bytes_saved IS
'what the deleted rows would take in the indexes that tag() made partial: an estimate, from indexes of 1,000 entries and more';

/*
 * For monitors: one row per figure
 */
CREATE VIEW soft_delete.metrics AS
SELECT name, pg_catalog.jsonb_build_object('schema', nspname, 'table', relname) AS labels, value
FROM soft_delete.tables
	JOIN pg_catalog.pg_class ON pg_class.oid = relation
	JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
	CROSS JOIN LATERAL (VALUES
		('soft_delete_live_rows', live_rows::double precision),
		('soft_delete_deleted_rows', deleted_rows),
		('soft_delete_displaced_rows', displaced_rows),
		('soft_delete_graveyard_ratio', graveyard_share),
		('soft_delete_oldest_timestamp_seconds', extract(epoch FROM oldest)),
		('soft_delete_retention_seconds', extract(epoch FROM retention)),
		('soft_delete_due_rows', due_rows),
		('soft_delete_last_purge_timestamp_seconds', extract(epoch FROM last_purge)),
		('soft_delete_last_purge_rows', last_purge_rows),
		('soft_delete_last_purge_failed', (last_purge_result LIKE 'failed%')::integer),
		('soft_delete_index_saved_bytes', index_bytes_saved)) AS figures(name, value)
WHERE value IS NOT NULL;
GRANT SELECT ON soft_delete.metrics TO PUBLIC;
COMMENT ON VIEW soft_delete.metrics IS
'the figures of soft_delete.tables as gauges in the sense of OpenMetrics';
COMMENT ON COLUMN soft_delete.metrics.name IS 'its name, which says the unit';
COMMENT ON COLUMN soft_delete.metrics.labels IS 'schema and table';
COMMENT ON COLUMN soft_delete.metrics.value IS 'its value; there is no row for what is not known';

/*
 * A picture
 */
CREATE FUNCTION soft_delete.bar(deleted bigint, purged bigint, most bigint) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	-- 40 characters for the most; what there is has one at least
	SELECT repeat('#', of_deleted) || repeat('-', length - of_deleted)
	FROM (SELECT greatest(ceil(40.0 * (deleted + purged) / nullif(most, 0)), (deleted > 0)::integer + (purged > 0)::integer)::integer) AS l(length),
		LATERAL (SELECT CASE WHEN deleted > 0
				THEN least(greatest(round(length::numeric * deleted / (deleted + purged)), 1), length - (purged > 0)::integer) ELSE 0 END::integer) AS d(of_deleted)
$$;
COMMENT ON FUNCTION soft_delete.bar(bigint, bigint, bigint) IS
'one bar of timeline()';

CREATE FUNCTION soft_delete.stamp_parameter(relation regclass, tombstone name) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- a timestamp column holds UTC
	SELECT CASE atttypid WHEN 'timestamp'::regtype THEN 'timezone(''UTC'', $1::timestamptz)' ELSE '$1::timestamptz' END
	FROM pg_attribute WHERE attrelid = relation AND attname = tombstone AND NOT attisdropped
$$;
COMMENT ON FUNCTION soft_delete.stamp_parameter(regclass, name) IS
'parameter $1 of a query, a time, as it compares with a tombstone column; null if there is none';

CREATE FUNCTION soft_delete.timeline(relation regclass DEFAULT NULL, days integer DEFAULT 14)
RETURNS TABLE (day date, deleted bigint, purged bigint, chart text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
#variable_conflict use_column
DECLARE
	first_day date := current_date - days + 1;
	item record;
	found record;
	deletions bigint[] := array_fill(0::bigint, ARRAY[greatest(days, 1)]);
	purges bigint[] := deletions;
	is_known boolean := timeline.relation IS NULL;
BEGIN
	IF days IS NULL OR days < 1 THEN
		RAISE EXCEPTION 'invalid argument of soft_delete.timeline()'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'There must be at least one day.',
				HINT = 'SELECT * FROM soft_delete.timeline(days => 14);';
	END IF;

	FOR item IN
		SELECT bin, tombstone, format('%I.%I', nspname, relname) AS name,
			CASE atttypid WHEN 'timestamp'::regtype THEN format('timezone(''UTC'', %I)', tombstone) ELSE quote_ident(tombstone) END AS stamp,
			soft_delete.stamp_parameter(bins.relation, tombstone) AS start
		FROM soft_delete.readable_bins() AS bins
			JOIN pg_class ON pg_class.oid = bins.relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
			JOIN pg_attribute ON attrelid = bins.relation AND attname = tombstone
		WHERE timeline.relation IS NULL OR bins.relation = timeline.relation
	LOOP
		is_known := true;
		FOR found IN
			EXECUTE format('SELECT %s::date - $1 + 1 AS n, count(*) AS rows FROM %s WHERE %I >= %s AND %1$s < now() GROUP BY 1',
						   item.stamp, item.bin, item.tombstone, item.start) USING first_day
		LOOP
			deletions[found.n] := deletions[found.n] + found.rows;
		END LOOP;
		FOR found IN
			SELECT purged_at::date - first_day + 1 AS n, sum(rows) AS rows FROM soft_delete.purge_log
			WHERE purge_log.relation = item.name AND purged_at >= first_day GROUP BY 1
		LOOP
			purges[found.n] := purges[found.n] + found.rows;
		END LOOP;
	END LOOP;
	IF NOT is_known THEN
		RAISE EXCEPTION 'table "%" is not tagged, or its bin is not yours to read', timeline.relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'SELECT relation, bin FROM soft_delete.tables;';
	END IF;

	RETURN QUERY
	SELECT first_day + n - 1, d, p, soft_delete.bar(d, p, max(d + p) OVER ())
	FROM unnest(deletions, purges) WITH ORDINALITY AS u(d, p, number), CAST(number AS integer) AS n ORDER BY n;
END
$$;
COMMENT ON FUNCTION soft_delete.timeline(regclass, integer) IS
'draws how many rows were deleted (#) and purged (-) on each of the last days, of one tagged table or of all whose bin the caller may read; a row that was restored or purged is not deleted any more';
/*
 * Health: what could break the promise, and how to mend it
 *
 * Each function finds the problems of one concern, and takes a tagged table with
 * its tombstone column, or a foreign key.  All but the last, which looks for rows
 * that reference nothing, read catalogs, statistics and the index of the bin.
 * Tables and bins are read as their owner: else a superuser who checks would call
 * functions that others have written.
 */

CREATE FUNCTION soft_delete.tag_command(relation regclass, tombstone name, indexes text DEFAULT 'all') RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT soft_delete.tag(%L%s%s);', relation,
		CASE WHEN tombstone <> 'deleted_at' THEN format(', deleted_at => %L', tombstone) END,
		CASE WHEN indexes <> 'all' THEN format(', indexes => %L', indexes) END)
$$;
COMMENT ON FUNCTION soft_delete.tag_command(regclass, name, text) IS
'the command that completes what a tagged table lacks';

CREATE FUNCTION soft_delete.check_installation(OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
	SELECT 'error', NULL::regclass, format('new sessions of database "%s" will not load the library, and see deleted rows', current_database()),
		format('ALTER DATABASE %I SET session_preload_libraries = ''soft_delete'';', current_database())
	WHERE NOT soft_delete.new_sessions_load()
	UNION ALL
	SELECT 'error', NULL, format('event trigger "%s" is disabled: tagged tables do not follow DDL', evtname),
		format('ALTER EVENT TRIGGER %I ENABLE%s;', evtname, CASE evtevent WHEN 'login' THEN ' ALWAYS' END)
	FROM pg_event_trigger
		JOIN pg_depend ON classid = 'pg_event_trigger'::regclass AND objid = pg_event_trigger.oid AND deptype = 'e'
		JOIN pg_extension ON refclassid = 'pg_extension'::regclass AND refobjid = pg_extension.oid
	WHERE extname = 'soft_delete' AND evtenabled NOT IN ('O', 'A')
	UNION ALL
	SELECT 'warning', untagged, format('the table is not tagged, but its schema "%s" is', nspname), format('SELECT soft_delete.tag(%L);', untagged)
	FROM soft_delete.untagged_tables() AS untagged JOIN pg_class ON pg_class.oid = untagged JOIN pg_namespace n ON n.oid = relnamespace
	WHERE pg_has_role(relowner, 'USAGE')
	UNION ALL
	SELECT 'notice', retention.relation, 'the table has a retention, but is not tagged', format('SELECT soft_delete.forget_retention(%L);', retention.relation)
	FROM soft_delete.retention JOIN pg_class ON pg_class.oid = retention.relation
	WHERE pg_has_role(relowner, 'USAGE') AND soft_delete.tag_arguments(retention.relation) IS NULL
$$;
COMMENT ON FUNCTION soft_delete.check_installation() IS
'the problems of check() with the database as a whole, and with what is said about tables that are not tagged';

CREATE FUNCTION soft_delete.find_trigger_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'error', member,
		CASE name WHEN '~soft_delete' THEN 'the tag is missing: deletes are hard'
			WHEN '~soft_delete_key' THEN 'trigger "~soft_delete_key" is missing: deleted rows do not release their keys'
			ELSE 'trigger "~soft_delete_truncate" is missing: TRUNCATE destroys' END,
		soft_delete.tag_command(table_name, tombstone, 'unique')
	FROM soft_delete.missing_triggers(table_name)
	UNION ALL
	SELECT 'error', table_name, format('trigger "%s" of its bin is missing', expected),
		format('SELECT soft_delete.make_bin_triggers(%L, soft_delete.bin_columns(%L));', bin, table_name)
	FROM soft_delete.bin_of(table_name) AS bin, unnest('{soft_delete_restore,soft_delete_statement}'::name[]) AS expected
	WHERE bin IS NOT NULL AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = bin AND tgname = expected)
	UNION ALL
	SELECT 'error', tgrelid::regclass,
		CASE tgfoid WHEN 'soft_delete.delete_row()'::regprocedure THEN 'the tag is disabled: deletes are hard'
			ELSE format('trigger "%s" is disabled', tgname) END,
		format('ALTER TABLE %s ENABLE TRIGGER %I;', tgrelid::regclass, tgname)
	FROM soft_delete.family(table_name) AS member JOIN pg_trigger ON tgrelid = member
		JOIN pg_proc ON pg_proc.oid = tgfoid JOIN pg_namespace ON pg_namespace.oid = pronamespace
	WHERE nspname = 'soft_delete' AND tgenabled NOT IN ('O', 'A')
	UNION ALL
	SELECT 'error', later.tgrelid::regclass, format('trigger "%s" would fire after the tag: deletes fail', later.tgname),
		-- before the tag, but after what fires before it already
		format('ALTER TRIGGER %I ON %s RENAME TO %I;', later.tgname, later.tgrelid::regclass, ('}' || later.tgname)::name)
	FROM soft_delete.family(table_name) AS member JOIN pg_trigger AS later ON later.tgrelid = member
	WHERE later.tgenabled <> 'D' AND later.tgparentid = 0
	  AND later.tgtype & 11 = 11		-- FOR EACH ROW BEFORE DELETE
	  AND later.tgname COLLATE "C" > '~soft_delete'
$$;
COMMENT ON FUNCTION soft_delete.find_trigger_problems(regclass, name) IS
'the problems of check() with the triggers of a tagged table';

CREATE FUNCTION soft_delete.find_column_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	-- the index of the bin tells which column it was
	SELECT 'error', table_name, format('tombstone column "%s" has another name: every statement fails', tombstone),
		format('ALTER TABLE %s RENAME COLUMN %I TO %I;', table_name, attname, tombstone)
	FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
	WHERE indrelid = table_name AND pg_get_expr(indpred, indrelid) = format('(%I IS NOT NULL)', attname)
	  AND atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype)
	  AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = table_name AND attname = tombstone AND NOT attisdropped)
	LIMIT 1
$$;
COMMENT ON FUNCTION soft_delete.find_column_problems(regclass, name) IS
'the problem of check() with the column that a tag names';

CREATE FUNCTION soft_delete.find_index_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN is_exclusion THEN 'error' WHEN indisunique THEN 'warning' ELSE 'notice' END, indrelid::regclass,
		CASE WHEN is_exclusion THEN format('exclusion constraint "%s" is in force for deleted rows, too', name)
			WHEN indisunique THEN format('unique index "%s" holds deleted rows, which must step aside', name)
			ELSE format('index "%s" holds deleted rows, which are %s %% of the table', name, round(100 * share)) END,
		soft_delete.tag_command(table_name, tombstone, CASE WHEN is_exclusion OR indisunique THEN 'unique' ELSE 'all' END)
	FROM soft_delete.convertible_indexes(table_name, tombstone, 'all') AS c JOIN pg_index ON indexrelid = c.index
		JOIN pg_attribute ON attrelid = indrelid AND attname = tombstone AND NOT attisdropped
		CROSS JOIN LATERAL (SELECT CASE WHEN NOT (is_exclusion OR indisunique OR hides) THEN
				soft_delete.count_tombstones(table_name)::numeric / nullif(soft_delete.estimated_rows(table_name), 0) END) AS graveyard(share)
	WHERE NOT hides AND (is_exclusion OR indisunique OR share > 0.5)
	UNION ALL
	-- a partitioned table hands its index on
	SELECT 'warning', member, CASE
			WHEN invalid IS NULL THEN 'no index finds deleted rows: the bin reads the whole table'
			ELSE format('index "%s", which is to find deleted rows, is invalid: the bin reads the whole table', invalid) END,
		concat_ws(' ', 'DROP INDEX ' || invalid::text || ';', soft_delete.tag_command(table_name, tombstone, 'unique'))
	FROM soft_delete.family(table_name) AS member JOIN pg_class ON pg_class.oid = member
		CROSS JOIN LATERAL (SELECT (SELECT indexrelid::regclass FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
									WHERE indrelid = member AND attname = tombstone AND NOT indisvalid LIMIT 1)) AS broken(invalid)
	WHERE NOT relispartition AND NOT soft_delete.has_bin_index(member, tombstone)
	  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = member AND attname = tombstone AND NOT attisdropped)
$$;
COMMENT ON FUNCTION soft_delete.find_index_problems(regclass, name) IS
'the problems of check() with indexes: deleted rows in them, or none to find these by';

CREATE FUNCTION soft_delete.find_stand_in_problems(table_name regclass,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	WITH stand_ins AS (
		SELECT con.oid, conrelid::regclass, conname, own.oid AS index, bound.relname AS bound_name
		FROM soft_delete.family(table_name) AS member JOIN pg_constraint con ON conrelid = member
			LEFT JOIN (pg_index JOIN pg_class own ON own.oid = indexrelid) ON indrelid = conrelid AND own.relname = conname
			LEFT JOIN pg_depend ON classid = 'pg_class'::regclass AND refclassid = 'pg_constraint'::regclass
				AND refobjid = con.oid AND deptype = 'a'
			LEFT JOIN pg_class bound ON bound.oid = objid
		WHERE contype = 'c' AND pg_get_expr(conbin, conrelid) = 'true' AND coninhcount = 0
	)
	SELECT 'warning', conrelid, format('constraint "%s" stands in for an index that is gone', conname),
		format('ALTER TABLE %s DROP CONSTRAINT %I;', conrelid, conname)
	FROM stand_ins WHERE index IS NULL AND bound_name IS NULL
	UNION ALL
	SELECT 'warning', conrelid, format('constraint "%s" stands in for index "%s", and has another name', conname, bound_name),
		format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I;', conrelid, conname, bound_name)
	FROM stand_ins WHERE bound_name <> conname
	UNION ALL
	SELECT 'warning', conrelid, format('constraint "%s" is not tied to its index: DROP CONSTRAINT would leave that', conname),
		format('SELECT soft_delete.bind_index(%L, (SELECT oid FROM pg_constraint WHERE conrelid = %L::regclass AND conname = %L));',
			   index::regclass, conrelid, conname)
	FROM stand_ins WHERE bound_name IS NULL AND oid = soft_delete.stand_in(index)
$$;
COMMENT ON FUNCTION soft_delete.find_stand_in_problems(regclass) IS
'the problems of check() with constraints that stand in for unique indexes';

CREATE FUNCTION soft_delete.find_view_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	WITH views AS (
		SELECT what, tied, t.relowner, soft_delete.view_name(table_name, suffix) AS view_name,
			coalesce((SELECT relnamespace FROM pg_class WHERE oid = coalesce(bin, active)), t.relnamespace) AS view_schema
		FROM pg_class t, soft_delete.active_of(table_name) AS active,
			-- one that was given to somebody else is none any more
			coalesce(soft_delete.bin_of(table_name), (SELECT tgrelid FROM pg_depend JOIN pg_trigger ON tgrelid = objid
				WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = table_name AND refobjsubid = 0
				  AND deptype = 'a' AND tgfoid = 'soft_delete.purge_row()'::regprocedure AND tgtype = 73)) AS bin,
			LATERAL (VALUES ('bin', bin, '_deleted'), ('view of live rows', active, '_active')) AS made(what, tied, suffix)
		WHERE t.oid = table_name
	), found AS (
		SELECT what, views.relowner, view_name, v.oid::regclass AS view, v.relowner AS view_owner,
			-- the bin is known by its triggers, the other one by what it reads
			CASE what WHEN 'bin' THEN tied IS NOT NULL ELSE EXISTS
				(SELECT FROM pg_rewrite JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
				 WHERE ev_class = v.oid AND refclassid = 'pg_class'::regclass AND refobjid = table_name) END AS is_own,
			EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = v.oid AND objsubid = 0
					AND refclassid = 'pg_class'::regclass AND refobjid = table_name AND refobjsubid = 0 AND deptype = 'a') AS is_tied
		FROM views LEFT JOIN pg_class v ON v.oid = tied OR (tied IS NULL AND relname = view_name AND relnamespace = view_schema)
	)
	SELECT 'error', table_name, format('relation "%s" has the name of its %s', view_name, what),
		format('ALTER TABLE %s RENAME TO %I;', view, soft_delete.add_suffix(view_name, '_old'))
	FROM found WHERE view IS NOT NULL AND NOT is_own
	UNION ALL
	SELECT 'error', table_name, format('its %s is missing', what), soft_delete.tag_command(table_name, tombstone, 'unique')
	FROM found WHERE view IS NULL OR NOT is_own
	UNION ALL
	SELECT 'warning', table_name, format('%s is not tied to its table: DROP TABLE would fail', view),
		format('SELECT soft_delete.bind_view(%L, %L);', view, table_name)
	FROM found WHERE is_own AND NOT is_tied
	UNION ALL
	SELECT 'error', table_name, format('%s does not belong to the owner of its table', view),
		format('ALTER VIEW %s OWNER TO %I;', view, pg_get_userbyid(relowner))
	FROM found WHERE is_own AND view_owner <> relowner
	UNION ALL
	SELECT 'warning', table_name, format('%s calls more than tag() has written into it: undo() and others pass it over', view),
		format('SELECT soft_delete.bind_view(soft_delete.follow_view(%1$L, %2$L, soft_delete.bin_query(%2$L, %3$L)), %2$L);', view, table_name, tombstone)
	FROM found WHERE is_own AND what = 'bin' AND view_owner = relowner AND NOT soft_delete.is_plain_bin(view)
$$;
COMMENT ON FUNCTION soft_delete.find_view_problems(regclass, name) IS
'the problems of check() with the two views of a tagged table';

CREATE FUNCTION soft_delete.find_hold_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
SET row_security = on SET datestyle = 'ISO'
AS $$
DECLARE
	bin regclass := soft_delete.bin_of(table_name);
	stamp text := soft_delete.stamp_parameter(table_name, tombstone);
	held timestamptz;
	has_rows boolean;
BEGIN
	severity := 'notice';
	FOR relation, held IN
		SELECT h.relation, h.deleted_at FROM soft_delete.holds AS h
		WHERE h.relation IN (SELECT soft_delete.family(table_name)) AND h.deleted_at IS NOT NULL AND h.key IS NULL
		  AND bin IS NOT NULL AND stamp IS NOT NULL
	LOOP
		has_rows := soft_delete.ask_as_owner(table_name,
			format('SELECT EXISTS (SELECT FROM %s WHERE %I = %s AND tableoid = ANY (%L::oid[]))', bin, tombstone,
				   replace(stamp, '$1', quote_literal(held)), ARRAY(SELECT soft_delete.family(relation)::oid)));
		IF NOT has_rows THEN
			problem := format('a deletion is held of which no row is left: %s', held);
			remedy := format('SELECT soft_delete.set_hold(%L, %L, NULL);', relation, held);
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION soft_delete.find_hold_problems(regclass, name) IS
'the problems of check() with holds on what a tagged table has no more';

CREATE FUNCTION soft_delete.find_purge_problems(table_name regclass, tombstone name,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
SET row_security = on SET intervalstyle = 'postgres' SET datestyle = 'ISO'
AS $$
DECLARE
	patience interval := greatest('1 day', 2 * coalesce(nullif(current_setting('soft_delete.purge_interval', true), ''), '0')::interval);
	due_before timestamptz := soft_delete.purge_limit(table_name, now() - patience, NULL);
	bin regclass := soft_delete.bin_of(table_name);
	last soft_delete.purge_log;
	overdue bigint;
BEGIN
	relation := table_name;
	remedy := format('CALL soft_delete.purge(%L);', table_name);

	SELECT purge_log.* INTO last
	FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
		JOIN soft_delete.purge_log ON purge_log.relation = format('%I.%I', nspname, relname)
	WHERE pg_class.oid = table_name ORDER BY purged_at DESC LIMIT 1;
	IF last.error <> 'not finished' THEN
		severity := 'error';
		problem := format('its last purge failed: %s', last.error);
		RETURN NEXT;
	ELSIF last.error IS NOT NULL AND last.purged_at + last.duration < now() - patience THEN
		severity := 'warning';
		problem := format('its last purge was broken off after %s rows', last.rows);
		RETURN NEXT;
	END IF;

	IF due_before IS NOT NULL THEN
		SELECT soft_delete.count_tombstones(table_name, due_before) + count(*) INTO overdue
		FROM soft_delete.displaced AS d WHERE d.relation IN (SELECT soft_delete.family(table_name)) AND deleted_at < due_before;
		-- held ones stay
		IF overdue > 0 AND bin IS NOT NULL
		   AND EXISTS (SELECT FROM soft_delete.holds AS h WHERE h.relation IN (SELECT soft_delete.family(table_name))) THEN
			overdue := soft_delete.ask_as_owner(table_name,
				format('SELECT count(*) FROM (SELECT FROM %s WHERE %I < %s AND soft_delete.hold_of(tableoid, ctid, true) IS NULL LIMIT 1000) AS due',
					   bin, tombstone, replace(soft_delete.stamp_parameter(table_name, tombstone), '$1', quote_literal(due_before))));
		END IF;
		IF overdue > 0 THEN
			severity := 'warning';
			problem := format('%s deleted rows have been due for more than %s', overdue, patience);
			RETURN NEXT;
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.find_purge_problems(regclass, name) IS
'the problems of check() with the purge of a tagged table';

CREATE FUNCTION soft_delete.find_reference_problems("constraint" oid,
	OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	WITH sides AS (
		SELECT conname, confdeltype, conparentid, conrelid, soft_delete.root(conrelid) AS child, soft_delete.root(confrelid) AS parent,
			soft_delete.tag_arguments(conrelid) IS NOT NULL AS child_is_tagged,
			soft_delete.tag_arguments(confrelid) IS NOT NULL AS parent_is_tagged
		FROM pg_constraint WHERE oid = "constraint"
	)
	SELECT 'error', child,
		format(CASE WHEN parent_is_tagged THEN 'a delete from %s would destroy rows for good by foreign key "%s"'
			ELSE 'a delete from %s would leave deleted rows without a parent by foreign key "%s"' END, parent, conname),
		format('SELECT soft_delete.tag(%L, cascade => true);', CASE WHEN parent_is_tagged THEN child ELSE parent END)
	FROM sides WHERE confdeltype = 'c' AND conparentid = 0 AND child_is_tagged <> parent_is_tagged
	UNION ALL
	SELECT 'error', conrelid::regclass, format('foreign key "%s" lacks a guard', conname),
		format('SELECT soft_delete.guard_references(%L);', CASE WHEN parent_is_tagged THEN parent ELSE child END)
	FROM sides WHERE soft_delete.lacks_guard("constraint")
$$;
COMMENT ON FUNCTION soft_delete.find_reference_problems(oid) IS
'the problems of check() with a foreign key as such: actions that connect a tagged and an untagged table, missing guards';

CREATE FUNCTION soft_delete.ties_rows("constraint" oid) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- columns that PostgreSQL has from 18 on
	SELECT coalesce((con ->> 'conenforced')::boolean, true) AND NOT coalesce((con ->> 'conperiod')::boolean, false)
	FROM (SELECT to_jsonb(pg_constraint) FROM pg_constraint WHERE oid = "constraint") AS c(con)
$$;
COMMENT ON FUNCTION soft_delete.ties_rows(oid) IS
'whether each row must reference another one by a foreign key: not if that is not enforced, or one of periods';

CREATE FUNCTION soft_delete.reader_of("constraint" oid) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT a.oid::regclass
	FROM pg_constraint AS con, pg_class AS a, pg_class AS b
	WHERE con.oid = "constraint" AND (a.oid, b.oid) IN ((conrelid, confrelid), (confrelid, conrelid))
	  AND (a.relowner = b.relowner OR (has_table_privilege(a.relowner, b.oid, 'SELECT') AND NOT b.relrowsecurity))
	ORDER BY a.oid = conrelid DESC LIMIT 1
$$;
COMMENT ON FUNCTION soft_delete.reader_of(oid) IS
'which of the two tables of a foreign key has an owner who may read both; null if neither has';

CREATE FUNCTION soft_delete.check_dangling("constraint" oid, OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	con pg_constraint;
	reader regclass := soft_delete.reader_of("constraint");
	is_reference text;
	without_parent text;
	which text;
	parents text;
	n bigint;
BEGIN
	SELECT * INTO STRICT con FROM pg_constraint WHERE oid = "constraint";
	SELECT string_agg(format('c.%I IS NOT NULL', attname), ' AND ') INTO is_reference
	FROM pg_attribute WHERE attrelid = con.conrelid AND attnum = ANY (con.conkey);
	relation := con.conrelid;
	IF reader IS NULL THEN
		severity := 'notice';
		problem := format('rows that reference missing rows of %s by foreign key "%s" are not looked for: no owner of the two tables may read both',
						  con.confrelid::regclass, con.conname);
		remedy := format('GRANT SELECT ON %s TO %I;', con.confrelid::regclass, (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = relation));
		RETURN NEXT;
		RETURN;
	END IF;

	FOREACH which IN ARRAY CASE WHEN soft_delete.tag_arguments(relation) IS NULL THEN '{live}' ELSE '{live,deleted}'::text[] END LOOP
		without_parent := is_reference;
		-- a parent that stepped aside for another key of it can come back
		FOREACH parents IN ARRAY CASE WHEN which = 'live' THEN '{live}' WHEN soft_delete.tag_arguments(con.confrelid) IS NULL THEN '{all}'
			ELSE '{all,displaced}'::text[] END LOOP
			without_parent := format('%s AND NOT EXISTS (SELECT FROM %s WHERE %s)', without_parent,
				soft_delete.rows_of(con.confrelid, 'p', parents), soft_delete.key_match("constraint"));
		END LOOP;
		n := soft_delete.ask_as_owner(reader, format('SELECT count(*) FROM %s WHERE %s', soft_delete.rows_of(relation, 'c', which), without_parent));
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
DECLARE
	own_tables regclass[];
	broken regclass[];
BEGIN
	SELECT coalesce(array_agg(tagged.relation), '{}'),
		coalesce(array_agg(tagged.relation) FILTER (WHERE attname IS NULL), '{}')
	INTO own_tables, broken
	FROM soft_delete.tagged_tables() AS tagged JOIN pg_class ON pg_class.oid = tagged.relation
		LEFT JOIN pg_attribute ON attrelid = tagged.relation AND attname = tombstone_column AND NOT attisdropped
	WHERE pg_has_role(relowner, 'USAGE');

	RETURN QUERY SELECT * FROM soft_delete.check_installation();
	RETURN QUERY
	SELECT found.* FROM soft_delete.tagged_tables() AS tagged,
		LATERAL (SELECT * FROM soft_delete.find_column_problems(tagged.relation, tombstone_column)
			UNION ALL SELECT * FROM soft_delete.find_trigger_problems(tagged.relation, tombstone_column)
			UNION ALL SELECT * FROM soft_delete.find_view_problems(tagged.relation, tombstone_column)
			UNION ALL SELECT * FROM soft_delete.find_index_problems(tagged.relation, tombstone_column)
			UNION ALL SELECT * FROM soft_delete.find_stand_in_problems(tagged.relation)
			UNION ALL SELECT * FROM soft_delete.find_purge_problems(tagged.relation, tombstone_column)
			UNION ALL SELECT * FROM soft_delete.find_hold_problems(tagged.relation, tombstone_column)) AS found
	WHERE tagged.relation = ANY (own_tables);

	RETURN QUERY
	SELECT found.*
	FROM (SELECT con.oid, ARRAY[soft_delete.root(conrelid), soft_delete.root(confrelid)] AS tables FROM pg_constraint AS con WHERE contype = 'f') AS con,
		soft_delete.find_reference_problems(con.oid) AS found
	WHERE tables && own_tables
	ORDER BY con.oid;

	RETURN QUERY
	SELECT found.* FROM pg_constraint AS con, soft_delete.check_dangling(con.oid) AS found
	WHERE contype = 'f' AND conparentid = 0 AND soft_delete.ties_rows(con.oid)
	  AND ARRAY[soft_delete.root(conrelid), soft_delete.root(confrelid)] && own_tables
	  AND NOT ARRAY[soft_delete.root(conrelid), soft_delete.root(confrelid)] && broken
	  AND NOT EXISTS (SELECT FROM pg_class WHERE oid IN (conrelid, confrelid)
					  AND (NOT pg_has_role(relowner, 'USAGE') OR pg_is_other_temp_schema(relnamespace)))
	ORDER BY con.oid;
END
$$;
COMMENT ON FUNCTION soft_delete.check() IS
'problems of the tagged tables that the caller owns, each with severity and remedy: above all, rows that reference what is deleted or gone';
/*
 * DDL is followed in the same command
 *
 * One event trigger per event calls what each concern has to do.  Where nothing
 * is tagged that is is_used(), and for tables that have nothing to do with what
 * is, it ends with what src/concern.c finds out.  They run as whoever runs the DDL.
 * What needs more rights is security definer, takes no arguments and reads from
 * the event what to do, so it does nothing for who calls it by hand.
 */

CREATE FUNCTION soft_delete.changed_relations() RETURNS regclass[]
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_changed_relations';
COMMENT ON FUNCTION soft_delete.changed_relations() IS
'for event triggers: the relations that a command has made or changed, by their triggers, constraints and indexes too';

CREATE FUNCTION soft_delete.concern_tags(relations regclass[]) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_concern_tags';
COMMENT ON FUNCTION soft_delete.concern_tags(regclass[]) IS
'whether any of some relations may be tagged, a view of a tagged table, or at one end of its foreign keys';

CREATE FUNCTION soft_delete.drops_concern_tags() RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_drops_concern_tags';
COMMENT ON FUNCTION soft_delete.drops_concern_tags() IS
'for event triggers: whether anything that is dropped may have to do with a tag, or with what is kept of a table';

CREATE FUNCTION soft_delete.follow_tagged(member regclass, tag text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete.bind_stand_ins(member);
	IF tag IN ('CREATE TRIGGER', 'ALTER TRIGGER') THEN
		PERFORM soft_delete.bind_views(member);
		PERFORM soft_delete.check_triggers(member);
		IF tag = 'ALTER TRIGGER' THEN
			PERFORM soft_delete.check_trigger_names(member);
		END IF;
	ELSIF tag IN ('ALTER TABLE', 'ALTER TYPE') THEN
		PERFORM soft_delete.follow_constraints(member);
		PERFORM soft_delete.follow_owner(member);
		PERFORM soft_delete.update_views(member);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_tagged(regclass, text) IS
'lets what belongs to a tagged table follow a command';

CREATE FUNCTION soft_delete.follow_cuts() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE soft_delete.cut_references SET "constraint" = conname
	FROM pg_event_trigger_ddl_commands() JOIN pg_constraint ON pg_constraint.oid = objid
	WHERE classid = 'pg_constraint'::regclass AND relation = conrelid AND "constraint" = soft_delete.renamed_from(command);

	UPDATE soft_delete.cut_references SET key_columns = array_replace(key_columns, soft_delete.renamed_from(command), attname)
	FROM pg_event_trigger_ddl_commands() JOIN pg_attribute ON attrelid = objid AND attnum = objsubid
	WHERE classid = 'pg_class'::regclass AND relation IN (SELECT soft_delete.family(objid)) AND soft_delete.renamed_from(command) = ANY (key_columns);
END
$$;
COMMENT ON FUNCTION soft_delete.follow_cuts() IS
'for event triggers: has cut references follow ALTER TABLE ... RENAME of their foreign key, or of a column of the primary key';

CREATE FUNCTION soft_delete.follow_ddl() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET max_parallel_workers_per_gather = 0 -- for what is asked of the catalogs, a worker takes longer to start
AS $$
DECLARE
	callers text;
	changed regclass[];
	tagged regclass[];
	-- what restores a dump makes tags and foreign keys in any order, and disables triggers on purpose
	restores boolean := NOT current_setting('row_security')::boolean;
BEGIN
	-- the one that is gone may have been the only tag
	IF TG_TAG = 'CREATE TRIGGER' AND NOT restores THEN
		PERFORM soft_delete.check_replaced_triggers();
	END IF;
	IF NOT soft_delete.is_used() THEN
		RETURN;
	END IF;
	changed := soft_delete.changed_relations();
	IF TG_TAG NOT IN ('ALTER SCHEMA', 'ALTER TYPE') AND soft_delete.current_tagged_schemas() IS NULL
	   AND NOT soft_delete.concern_tags(changed) THEN
		RETURN;
	END IF;
	GET DIAGNOSTICS callers = PG_CONTEXT;
	IF soft_delete.is_own_command(callers) THEN
		RETURN;
	END IF;

	IF TG_TAG = 'ALTER SCHEMA' THEN
		PERFORM soft_delete.follow_retention();
	END IF;
	PERFORM soft_delete.follow_partitions();
	PERFORM soft_delete.follow_schemas();
	IF TG_TAG = 'ALTER TYPE' THEN
		PERFORM soft_delete.follow_labels();
		changed := ARRAY(SELECT pg_class.oid FROM pg_type JOIN pg_class ON reloftype = pg_type.oid WHERE typrelid = ANY (changed));
	END IF;
	IF TG_TAG = 'CREATE TRIGGER' THEN
		changed := changed || ARRAY(SELECT soft_delete.tables_of_bins(changed));
	END IF;
	-- what has no triggers has neither a tag nor foreign keys
	IF TG_TAG <> 'ALTER TYPE' AND NOT EXISTS (SELECT FROM pg_class WHERE oid = ANY (changed) AND (relhastriggers OR relhassubclass)) THEN
		RETURN;
	END IF;
	tagged := ARRAY(SELECT DISTINCT member FROM unnest(changed) AS c, soft_delete.family(c) AS member
					WHERE soft_delete.tag_arguments(member) IS NOT NULL ORDER BY member);

	-- first the name of the tombstone column, for who reads the table must know it
	IF TG_TAG IN ('ALTER TABLE', 'ALTER TYPE') THEN
		PERFORM soft_delete.follow_tombstone(member) FROM unnest(tagged) AS member;
	END IF;
	PERFORM soft_delete.follow_references(changed, check_new => TG_TAG <> 'CREATE TRIGGER' AND NOT restores);
	PERFORM soft_delete.follow_displaced(changed);
	IF TG_TAG = 'ALTER TABLE' THEN
		PERFORM soft_delete.follow_cuts();
	END IF;
	IF tagged <> '{}' THEN
		PERFORM soft_delete.rename_stand_ins();
		PERFORM soft_delete.follow_tagged(member, TG_TAG) FROM unnest(tagged) AS member;
		IF TG_TAG = 'ALTER TABLE' AND NOT restores THEN
			PERFORM soft_delete.warn_of_disabled_tag(c) FROM unnest(changed) AS c;
		END IF;
	END IF;
	IF TG_TAG IN ('ALTER TABLE', 'ALTER TYPE') AND NOT restores THEN
		PERFORM soft_delete.check_held_keys(CASE TG_TAG WHEN 'ALTER TABLE' THEN tagged END);
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_ddl() IS
'event trigger that lets views, foreign keys, indexes and deleted rows follow a command';

CREATE EVENT TRIGGER soft_delete_ddl ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA', 'CREATE SCHEMA',
				 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER INDEX', 'ALTER SCHEMA', 'CREATE TRIGGER', 'ALTER TRIGGER', 'ALTER TYPE')
	EXECUTE FUNCTION soft_delete.follow_ddl();
COMMENT ON EVENT TRIGGER soft_delete_ddl IS
'follows what a command does to tagged tables';

CREATE FUNCTION soft_delete.follow_drops() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET max_parallel_workers_per_gather = 0 -- for what is asked of the catalogs, a worker takes longer to start
AS $$
DECLARE
	callers text;
BEGIN
	IF NOT soft_delete.is_used() OR NOT soft_delete.drops_concern_tags() THEN
		RETURN;
	END IF;
	GET DIAGNOSTICS callers = PG_CONTEXT;
	-- what restores a dump may drop one by one what was there before
	IF TG_TAG IN ('DROP TRIGGER', 'ALTER TABLE', 'ALTER TYPE') AND current_setting('row_security')::boolean
	   AND NOT soft_delete.is_own_command(callers) THEN
		PERFORM soft_delete.check_drops();
	END IF;
	IF TG_TAG NOT IN ('ALTER TABLE', 'ALTER TYPE') THEN
		PERFORM soft_delete.follow_dropped_columns();
	END IF;
	PERFORM soft_delete.forget_dropped();
	IF TG_TAG IN ('DROP SCHEMA', 'DROP OWNED') THEN
		PERFORM soft_delete.forget_schemas();
	END IF;
	IF TG_TAG IN ('DROP INDEX', 'ALTER TABLE') THEN
		PERFORM soft_delete.drop_stand_ins();
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.follow_drops() IS
'event trigger that follows what is dropped from tagged tables, or with them, and refuses to drop what makes them tagged';

CREATE EVENT TRIGGER soft_delete_drops ON sql_drop
	WHEN TAG IN ('ALTER TABLE', 'ALTER TYPE', 'DROP TABLE', 'DROP INDEX', 'DROP TRIGGER', 'DROP SCHEMA', 'DROP TYPE', 'DROP DOMAIN', 'DROP COLLATION', 'DROP FUNCTION', 'DROP OWNED', 'DROP EXTENSION')
	EXECUTE FUNCTION soft_delete.follow_drops();
COMMENT ON EVENT TRIGGER soft_delete_drops IS
'follows what is dropped from tagged tables, or with them';
/*
 * The extension itself: how it is loaded, renewed and kept
 */

/* From 17 on a login event trigger loads the library into every session. */
CREATE FUNCTION soft_delete.make_login_trigger() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF current_setting('server_version_num')::integer < 170000
	   OR EXISTS (SELECT FROM pg_event_trigger WHERE evtfoid = 'soft_delete.load()'::regprocedure AND evtevent = 'login') THEN
		RETURN;
	END IF;
	CREATE EVENT TRIGGER soft_delete_login ON login EXECUTE FUNCTION soft_delete.load();
	ALTER EVENT TRIGGER soft_delete_login ENABLE ALWAYS;
	COMMENT ON EVENT TRIGGER soft_delete_login IS 'loads soft_delete into every session';
	-- CREATE EXTENSION adds it by itself
	IF NOT EXISTS (SELECT FROM pg_depend JOIN pg_event_trigger e ON e.oid = objid
				   WHERE classid = 'pg_event_trigger'::regclass AND deptype = 'e' AND evtname = 'soft_delete_login') THEN
		ALTER EXTENSION soft_delete ADD EVENT TRIGGER soft_delete_login;
	END IF;
END
$$;
COMMENT ON FUNCTION soft_delete.make_login_trigger() IS
'creates the event trigger that loads the library at login, on PostgreSQL 17 and later';
REVOKE EXECUTE ON FUNCTION soft_delete.make_login_trigger() FROM PUBLIC;
SELECT soft_delete.make_login_trigger();

CREATE FUNCTION soft_delete.renew(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM soft_delete.bind_views(relation);
	PERFORM soft_delete.bind_index(indexrelid, soft_delete.stand_in(indexrelid))
	FROM pg_index WHERE indrelid IN (SELECT soft_delete.family(relation)) AND soft_delete.stand_in(indexrelid) IS NOT NULL;
	PERFORM soft_delete.guard_references(relation);
END
$$;
COMMENT ON FUNCTION soft_delete.renew(regclass) IS
'makes anew what no dump carries: the guards of a tagged table''s foreign keys, and what ties its views and indexes to it';

/*
 * pg_upgrade creates the members of the extension one by one, event triggers
 * last, and after each says ALTER EXTENSION ... ADD.  Tables that were tagged
 * without their help have views that are not bound.  The name makes this event
 * trigger the last one.  After an UPDATE all tagged tables are looked at.
 */
CREATE FUNCTION soft_delete.follow_extension() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_update boolean;
BEGIN
	SELECT bool_or(in_extension) INTO is_update FROM pg_event_trigger_ddl_commands();
	IF NOT EXISTS (SELECT FROM pg_event_trigger_ddl_commands() JOIN pg_extension ON oid = objid
				   WHERE classid = 'pg_extension'::regclass AND extname = 'soft_delete') THEN
		RETURN;
	END IF;

	PERFORM CASE WHEN is_update THEN soft_delete.update_views(tgrelid) END, soft_delete.renew(tgrelid)
	FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
	WHERE tgfoid = 'soft_delete.delete_row()'::regprocedure AND NOT pg_is_other_temp_schema(relnamespace)
	  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = tgrelid)
	  AND (is_update
		   OR NOT EXISTS (SELECT FROM pg_depend
						  WHERE classid = 'pg_class'::regclass AND objid = soft_delete.bin_of(tgrelid)
							AND refclassid = 'pg_class'::regclass AND refobjid = tgrelid AND deptype = 'a'));
	PERFORM soft_delete.make_login_trigger();
END
$$;
COMMENT ON FUNCTION soft_delete.follow_extension() IS
'event trigger that brings tagged tables up to date after ALTER EXTENSION UPDATE, and makes anew what no dump carries at the end of pg_upgrade';

CREATE EVENT TRIGGER soft_delete_renew ON ddl_command_end
	WHEN TAG IN ('ALTER EXTENSION')
	EXECUTE FUNCTION soft_delete.follow_extension();
ALTER EVENT TRIGGER soft_delete_renew ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER soft_delete_renew IS
'brings tagged tables up to date after ALTER EXTENSION UPDATE, and at the end of pg_upgrade';

CREATE EVENT TRIGGER soft_delete_keep ON ddl_command_start
	WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'DROP LANGUAGE')
	EXECUTE FUNCTION soft_delete.keep_extension();
COMMENT ON EVENT TRIGGER soft_delete_keep IS
'refuses to drop the extension while tables are tagged';
