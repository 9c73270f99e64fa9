/*
 * Whose rights a statement of the extension takes: those of the caller, or those of
 * the owner of a relation.  What the catalogs say is in catalog.sql.
 */

CREATE SCHEMA soft_delete_internal;
COMMENT ON SCHEMA soft_delete_internal IS 'what the extension soft_delete keeps and does; nothing in it is for anybody else';

CREATE FUNCTION soft_delete_internal.caller() RETURNS oid
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_caller';
COMMENT ON FUNCTION soft_delete_internal.caller() IS
'the role on whose behalf a function of the extension runs';

CREATE FUNCTION soft_delete_internal.alter_as_owner(relation regclass, command text, evaluates boolean DEFAULT false) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_alter_as_owner';
COMMENT ON FUNCTION soft_delete_internal.alter_as_owner(regclass, text, boolean) IS
'runs a utility command of the extension as the owner of a relation; evaluates: it has an expression of the owner''s, which sees the search_path of the owner''s sessions';

/* The settings: functions that read catalogs only by their indexes call these two. */
CREATE FUNCTION soft_delete_internal.query_as_owner(relation regclass, query text, stamps timestamptz[] DEFAULT NULL, form text DEFAULT NULL) RETURNS SETOF record
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_query_as_owner'
SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on;
COMMENT ON FUNCTION soft_delete_internal.query_as_owner(regclass, text, timestamptz[], text) IS
'the rows of a query that is run as the owner of a relation; stamps: its parameter $1; form: ''row'' makes texts as storage.sql keeps columns, ''key'' as holds and erasures keep keys, null as the session does, and ''glance'' so, but for no longer than others may wait for code of the owner';

CREATE FUNCTION soft_delete_internal.execute_as_owner(relation regclass, statement text, stamps timestamptz[] DEFAULT NULL) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_execute_as_owner'
SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on;
COMMENT ON FUNCTION soft_delete_internal.execute_as_owner(regclass, text, timestamptz[]) IS
'runs a statement as the owner of a relation, with the search_path of the owner''s own sessions, where qualified_name() finds a relation; stamps: its parameter $1; returns the number of rows that it affects, or the number that it selects';

CREATE FUNCTION soft_delete_internal.command_is_own() RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_command_is_own';
COMMENT ON FUNCTION soft_delete_internal.command_is_own() IS
'whether the extension itself runs the current utility command, and does what follows from it by itself';

CREATE FUNCTION soft_delete_internal.command_cascades() RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_command_cascades';
COMMENT ON FUNCTION soft_delete_internal.command_cascades() IS
'whether the current utility command drops what depends on that which it drops';

CREATE FUNCTION soft_delete_internal.command_is_seen() RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_command_is_seen';
COMMENT ON FUNCTION soft_delete_internal.command_is_seen() IS
'whether the session had the library when the current utility command began';
