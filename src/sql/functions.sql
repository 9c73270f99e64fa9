/*
 * Functions in C, and whose rights they take
 */

CREATE SCHEMA soft_delete_internal;
COMMENT ON SCHEMA soft_delete_internal IS 'what the extension soft_delete keeps and does; nothing in it is for anybody else';

/*
 * Whose rights
 */

CREATE FUNCTION soft_delete_internal.caller() RETURNS oid
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_caller';
COMMENT ON FUNCTION soft_delete_internal.caller() IS
'the role on whose behalf a function of the extension runs';

CREATE FUNCTION soft_delete_internal.alter_as_owner(relation regclass, command text) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_alter_as_owner';
COMMENT ON FUNCTION soft_delete_internal.alter_as_owner(regclass, text) IS
'runs a utility command of the extension as the owner of a relation';

CREATE FUNCTION soft_delete_internal.query_as_owner(relation regclass, query text, stamps timestamptz[] DEFAULT NULL) RETURNS SETOF record
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_query_as_owner';
COMMENT ON FUNCTION soft_delete_internal.query_as_owner(regclass, text, timestamptz[]) IS
'what a query finds that is run as the owner of a relation; stamps: its parameter $1';

CREATE FUNCTION soft_delete_internal.write_as_owner(relation regclass, statement text, stamps timestamptz[] DEFAULT NULL) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_write_as_owner';
COMMENT ON FUNCTION soft_delete_internal.write_as_owner(regclass, text, timestamptz[]) IS
'runs a statement as the owner of a relation, with the search_path of the owner''s own sessions; stamps: its parameter $1; returns how many rows it is about, or the number that it returns';

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

CREATE FUNCTION soft_delete.rows(internal) RETURNS tsm_handler
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_rows';
COMMENT ON FUNCTION soft_delete.rows(internal) IS
'sampling method: FROM t TABLESAMPLE soft_delete.rows(''all'' | ''deleted'' | ''live'')';

CREATE FUNCTION soft_delete_internal.wants_row(which text, is_live boolean) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'soft_delete_wants_row';
COMMENT ON FUNCTION soft_delete_internal.wants_row(text, boolean) IS
'whether soft_delete.rows(which) includes a row';

CREATE FUNCTION soft_delete_internal.costs_nothing(internal) RETURNS internal
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_costs_nothing';
COMMENT ON FUNCTION soft_delete_internal.costs_nothing(internal) IS
'planner support: the function costs nothing, and is asked before whatever costs something';

CREATE FUNCTION soft_delete_internal.shows_tombstones(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT soft_delete_internal.costs_nothing AS 'MODULE_PATHNAME', 'soft_delete_shows_tombstones';
COMMENT ON FUNCTION soft_delete_internal.shows_tombstones(oid) IS
'for plans: whether the session reads a tombstone of the relation: row_security is off, in its owner, a superuser or a role with BYPASSRLS; an error where it is off in another role';

CREATE FUNCTION soft_delete.admits_tombstone(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'soft_delete_admits_tombstone';
COMMENT ON FUNCTION soft_delete.admits_tombstone(oid) IS
'guard of the tombstone column: true in a maintenance session, else an error';

CREATE FUNCTION soft_delete_internal.shows_statistics(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_shows_statistics';
COMMENT ON FUNCTION soft_delete_internal.shows_statistics(oid) IS
'whether the caller may know the statistics of a relation: of a tagged table, who may see its deleted rows';

CREATE FUNCTION soft_delete_internal.index_hides(index regclass, attnum smallint) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_index_hides';
COMMENT ON FUNCTION soft_delete_internal.index_hides(regclass, smallint) IS
'whether an index is partial on rows whose column is null';

CREATE FUNCTION soft_delete_internal.redefine_index(index regclass, deleted_at name, hides boolean, as_constraint boolean) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_redefine_index';
COMMENT ON FUNCTION soft_delete_internal.redefine_index(regclass, name, boolean, boolean) IS
'puts an index that hides tombstones, or does not, perhaps as a unique constraint, in the place of an index and of those of its partitions; false if it is so already';

CREATE FUNCTION soft_delete_internal.prepare_index_command(index regclass, name name, deleted_at name) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_prepare_index_command';
COMMENT ON FUNCTION soft_delete_internal.prepare_index_command(regclass, name, name) IS
'command that makes an index of that name which hides tombstones, and is else like another one; null if the owner''s functions would be called by whoever runs it';

CREATE FUNCTION soft_delete_internal.differs_by_condition(index regclass, other regclass, deleted_at name) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_differs_by_condition';
COMMENT ON FUNCTION soft_delete_internal.differs_by_condition(regclass, regclass, name) IS
'whether an index would be another one of its table, but for the name, if it hid tombstones';

CREATE FUNCTION soft_delete_internal.index_corresponds(index regclass, other regclass) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_index_corresponds';
COMMENT ON FUNCTION soft_delete_internal.index_corresponds(regclass, regclass) IS
'whether two indexes, of two tables perhaps, are the same but for their names and their storage';

CREATE FUNCTION soft_delete_internal.trigger_arguments(trigger oid) RETURNS text[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_trigger_arguments';
COMMENT ON FUNCTION soft_delete_internal.trigger_arguments(oid) IS
'arguments of a trigger; null if there is none';

CREATE FUNCTION soft_delete_internal.tag_arguments(relation regclass) RETURNS text[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_tag_arguments';
COMMENT ON FUNCTION soft_delete_internal.tag_arguments(regclass) IS
'arguments of a table''s tag: the tombstone column, then what untag() must know; null if not tagged';

CREATE FUNCTION soft_delete_internal.lock_bin(relation regclass) RETURNS regclass
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_lock_bin';
COMMENT ON FUNCTION soft_delete_internal.lock_bin(regclass) IS
'the bin of a table, which stays until the transaction ends; null if the caller may not read it, or if the table has been untagged or dropped';

CREATE FUNCTION soft_delete_internal.is_used() RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_is_used';
COMMENT ON FUNCTION soft_delete_internal.is_used() IS
'whether any table or schema is tagged, or anything kept of one: if not, DDL has no consequences';

CREATE FUNCTION soft_delete_internal.bind_view(view regclass, relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_bind_view';
COMMENT ON FUNCTION soft_delete_internal.bind_view(regclass, regclass) IS
'lets DROP TABLE take along a view that tag() made';

CREATE FUNCTION soft_delete_internal.view_sources(view regclass, relation regclass) RETURNS smallint[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_view_sources';
COMMENT ON FUNCTION soft_delete_internal.view_sources(regclass, regclass) IS
'for each column of a view the number of the table''s column that it shows, 0 if none; null while a command changes the table';

CREATE FUNCTION soft_delete_internal.change_view_column(view regclass, attnum smallint, relation regclass, source smallint) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_change_view_column';
COMMENT ON FUNCTION soft_delete_internal.change_view_column(regclass, smallint, regclass, smallint) IS
'gives a column of a view the type of the table''s column that it shows, while a command changes the table';

CREATE FUNCTION soft_delete_internal.is_changing() RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'soft_delete_is_changing';
COMMENT ON FUNCTION soft_delete_internal.is_changing() IS
'stands in the rules of a table''s views while a command changes the table; raises 55006';

CREATE FUNCTION soft_delete_internal.update_views(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_update_views';
COMMENT ON FUNCTION soft_delete_internal.update_views(regclass) IS
'runs soft_delete_internal.follow_views() as the owner of the extension';

CREATE FUNCTION soft_delete.claim_key() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_claim_key';
COMMENT ON FUNCTION soft_delete.claim_key() IS
'BEFORE INSERT trigger of a tagged table: tombstones step aside where a new row claims the key that they keep';

CREATE FUNCTION soft_delete_internal.rewrite_displaced(ctid tid, "row" jsonb, types jsonb) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_rewrite_displaced';
COMMENT ON FUNCTION soft_delete_internal.rewrite_displaced(tid, jsonb, jsonb) IS
'replaces the columns of a tombstone that stepped aside, or destroys it, where they are null';

CREATE FUNCTION soft_delete_internal.return_displaced(relation regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_return_displaced';
COMMENT ON FUNCTION soft_delete_internal.return_displaced(regclass) IS
'enters the tombstones that stepped aside into their table, which is not tagged any more';

CREATE FUNCTION soft_delete_internal.step_aside(relation regclass, "row" tid) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_step_aside';
COMMENT ON FUNCTION soft_delete_internal.step_aside(regclass, tid) IS
'moves a deleted row to soft_delete_internal.displaced; false if there is none';

CREATE FUNCTION soft_delete_internal.claims_key(relation oid, new_row record, internal) RETURNS boolean
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'soft_delete_claims_key';
COMMENT ON FUNCTION soft_delete_internal.claims_key(oid, record, internal) IS
'the same, checking a changed row; returns true';

CREATE FUNCTION soft_delete_internal.bind_index(index regclass, "constraint" oid) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_bind_index';
COMMENT ON FUNCTION soft_delete_internal.bind_index(regclass, oid) IS
'lets DROP CONSTRAINT take along the index that the constraint stands in for';

CREATE FUNCTION soft_delete_internal.check_reference() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_check_reference';
COMMENT ON FUNCTION soft_delete_internal.check_reference() IS
'guard of a foreign key that references a tagged table, from PostgreSQL 19 on: refuses a child of a deleted parent';

CREATE FUNCTION soft_delete_internal.follow_key() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_key';
COMMENT ON FUNCTION soft_delete_internal.follow_key() IS
'guard of a foreign key from a tagged table: lets deleted rows follow a change of the key that they reference';

CREATE FUNCTION soft_delete_internal.note_cut() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_note_cut';
COMMENT ON FUNCTION soft_delete_internal.note_cut() IS
'guard of a foreign key with ON DELETE SET NULL or SET DEFAULT between tagged tables: notes which references a deletion cuts';

CREATE FUNCTION soft_delete_internal.guard_reference("constraint" oid) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_guard_reference';
COMMENT ON FUNCTION soft_delete_internal.guard_reference(oid) IS
'gives a foreign key its guards, or takes away those that it does not need';

CREATE FUNCTION soft_delete_internal.lacks_guard("constraint" oid) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_lacks_guard';
COMMENT ON FUNCTION soft_delete_internal.lacks_guard(oid) IS
'whether a foreign key is without a guard that it needs';

CREATE FUNCTION soft_delete_internal.is_own_transaction(xid) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_is_own_transaction';
COMMENT ON FUNCTION soft_delete_internal.is_own_transaction(xid) IS
'whether a transaction is the current one or one of its subtransactions';

CREATE FUNCTION soft_delete_internal.named_by(command pg_ddl_command, action text) RETURNS name[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_named_by';
COMMENT ON FUNCTION soft_delete_internal.named_by(pg_ddl_command, text) IS
'for event triggers: the names of the tables that ALTER TABLE ... ATTACH PARTITION, DETACH PARTITION, INHERIT or NO INHERIT names, without their schemas';

CREATE FUNCTION soft_delete_internal.changes_schema(command pg_ddl_command) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_changes_schema';
COMMENT ON FUNCTION soft_delete_internal.changes_schema(pg_ddl_command) IS
'for event triggers: whether a command is ALTER ... SET SCHEMA';

CREATE FUNCTION soft_delete_internal.renamed_from(command pg_ddl_command) RETURNS name
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_renamed_from';
COMMENT ON FUNCTION soft_delete_internal.renamed_from(pg_ddl_command) IS
'for event triggers: what a schema, relation, column or constraint was named before ALTER ... RENAME; null for other commands';

CREATE FUNCTION soft_delete_internal.lock_schema(schema name) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_lock_schema';
COMMENT ON FUNCTION soft_delete_internal.lock_schema(name) IS
'waits for those who have created something in a schema, and lets nobody else do so until the transaction ends';

CREATE FUNCTION soft_delete_internal.follow_ddl() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_ddl';
COMMENT ON FUNCTION soft_delete_internal.follow_ddl() IS
'event trigger that lets views, foreign keys, indexes and deleted rows follow a command';

CREATE FUNCTION soft_delete_internal.follow_drops() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_drops';
COMMENT ON FUNCTION soft_delete_internal.follow_drops() IS
'event trigger that follows what is dropped from tagged tables, or with them, and refuses to drop what makes them tagged';

CREATE FUNCTION soft_delete_internal.follow_extension() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_follow_extension';
COMMENT ON FUNCTION soft_delete_internal.follow_extension() IS
'event trigger that brings tagged tables up to date after ALTER EXTENSION UPDATE, and makes anew what no dump carries at the end of pg_upgrade';

CREATE FUNCTION soft_delete_internal.load() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_load';
COMMENT ON FUNCTION soft_delete_internal.load() IS
'loads the library into the session';

CREATE FUNCTION soft_delete_internal.keep_extension() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_keep_extension';
COMMENT ON FUNCTION soft_delete_internal.keep_extension() IS
'event trigger that refuses to drop the extension while tables are tagged';
