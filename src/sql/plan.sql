/*
 * What the planner hook puts into plans, and the sampling method, which shows
 * deleted rows to those who may see them.
 */

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
'planner support function: a call costs nothing, so that it is evaluated before other conditions';

CREATE FUNCTION soft_delete_internal.shows_tombstones(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT soft_delete_internal.costs_nothing AS 'MODULE_PATHNAME', 'soft_delete_shows_tombstones';
COMMENT ON FUNCTION soft_delete_internal.shows_tombstones(oid) IS
'for plans: whether the session reads a tombstone of the relation: row_security is off, in its owner, a superuser or a role with BYPASSRLS; an error where it is off in another role';

CREATE FUNCTION soft_delete.admits_tombstone(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'soft_delete_admits_tombstone';
COMMENT ON FUNCTION soft_delete.admits_tombstone(oid) IS
'stands in plans that write to the tombstone column: true in a maintenance session, else an error';

CREATE FUNCTION soft_delete_internal.sees_all_rows(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT soft_delete_internal.costs_nothing AS 'MODULE_PATHNAME', 'soft_delete_sees_all_rows';
COMMENT ON FUNCTION soft_delete_internal.sees_all_rows(oid) IS
'for plans: whether the session''s application filters the rows of a bridged table by itself, and may see all of them';

CREATE FUNCTION soft_delete_internal.shows_statistics(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'soft_delete_shows_statistics';
COMMENT ON FUNCTION soft_delete_internal.shows_statistics(oid) IS
'whether the caller may see the statistics of a relation: those of a tagged table only if it may see deleted rows';
