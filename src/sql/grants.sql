/*
 * Who may do what, whatever the server or default privileges say
 */
REVOKE ALL ON ALL ROUTINES IN SCHEMA soft_delete, soft_delete_internal FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA soft_delete, soft_delete_internal FROM PUBLIC;
REVOKE ALL ON SCHEMA soft_delete, soft_delete_internal FROM PUBLIC;

GRANT USAGE ON SCHEMA soft_delete TO PUBLIC;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA soft_delete TO PUBLIC;
-- who may see deleted rows of others' tables is told by name
REVOKE EXECUTE ON FUNCTION soft_delete.rows(internal) FROM PUBLIC;
-- these stand in plans, or in a view that is being changed, and see for themselves who runs them
GRANT EXECUTE ON FUNCTION soft_delete_internal.shows_tombstones(oid), soft_delete_internal.sees_all_rows(oid), soft_delete_internal.wants_row(text, boolean),
	soft_delete_internal.claims_key(oid, record, internal), soft_delete_internal.shows_statistics(oid),
	soft_delete_internal.spares_held(oid, tid, internal), soft_delete_internal.is_changing() TO PUBLIC;
GRANT SELECT ON soft_delete.deletions, soft_delete.events, soft_delete.holds, soft_delete.lifted_holds, soft_delete.retention, soft_delete.purge_log,
	soft_delete.erasures, soft_delete.tagged_schemas, soft_delete.tables, soft_delete.metrics TO PUBLIC;
