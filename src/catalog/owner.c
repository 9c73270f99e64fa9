/*
 * owner.c
 *	  Switches to the owner of a relation, and back.
 *
 * Code that may evaluate what the owner of a table has written, such as a trigger,
 * a default, the check of a domain, a cast, a policy, the expression of an index or
 * the query of a view, does so between become_owner() and restore_role(), on
 * whosever behalf it runs.
 *
 * Invariant: code of an owner runs with the rights of that owner.  After an error
 * the server itself restores the role that was set when the (sub)transaction began.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/tuplestore.h"

#include "catalog/sd_catalog.h"

PG_FUNCTION_INFO_V1(soft_delete_alter_as_owner);
PG_FUNCTION_INFO_V1(soft_delete_query_as_owner);
PG_FUNCTION_INFO_V1(soft_delete_execute_as_owner);

static void become(Oid roleid, int flags, SavedRole *saved);
static int run_as_owner(Oid relid, const char *query, bool is_command, int nargs,
						Oid *argtypes, Datum *values, const char *nulls);
static char *statement_argument(FunctionCallInfo fcinfo);
static int execute_for_caller(const char *statement, Datum stamps, bool isnull);
static char *deferred_constraints(Oid owner);
static void set_constraints(Oid owner, const char *mode);
static const char *default_search_path(Oid roleid);
static const char *owners_search_path(Oid owner);
static void return_rows(FunctionCallInfo fcinfo, const char *query);

/*
 * Switch to a role, and add flags to the security context.
 */
static void
become(Oid roleid, int flags, SavedRole *saved)
{
	GetUserIdAndSecContext(&saved->roleid, &saved->sec_context);
	SetUserIdAndSecContext(roleid, (saved->sec_context & ~SECURITY_OWN_CODE) | flags);
	saved->nestlevel = 0;
}

/*
 * Switch to the owner of a relation, whose functions may be called, in a
 * security-restricted operation: they can do nothing that outlasts it.  The owner
 * sees all rows of the table, also under FORCE ROW LEVEL SECURITY.  To be ended by
 * restore_role().
 */
void
become_owner(Relation rel, SavedRole *saved)
{
	become_restricted(rel->rd_rel->relowner,
					  rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP, saved);
}

/*
 * Switch to the owner of a relation that is not open, as become_owner() does.
 * Raises 42P01 if there is no such relation.
 */
void
become_owner_of(Oid relid, SavedRole *saved)
{
	check_relation_exists(relid);
	become_restricted(owner_of(relid),
					  get_rel_persistence(relid) == RELPERSISTENCE_TEMP, saved);
}

/*
 * Switch to a role whose functions may be called, as become_owner() does.  For a
 * temporary relation the operation is not security-restricted: objects of the
 * temporary schema cannot be created in a restricted one, and none but the session
 * itself has put anything there.
 */
void
become_restricted(Oid roleid, bool is_temporary, SavedRole *saved)
{
	become(roleid,
		   SECURITY_NOFORCE_RLS | SECURITY_LOCAL_USERID_CHANGE |
			   (is_temporary ? 0 : SECURITY_RESTRICTED_OPERATION),
		   saved);
	saved->nestlevel = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Switch to the owner of a relation as the server's foreign keys do, for changes
 * that a statement of the application causes.  Triggers that fire see the
 * search_path of the application.  To be ended by restore_role().
 */
void
become_owner_for_reference(Oid relid, SavedRole *saved)
{
	become(owner_of(relid), SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS,
		   saved);
}

/*
 * Restore the role and the settings that were saved by become_owner(),
 * become_caller() or another function that fills a SavedRole.
 */
void
restore_role(const SavedRole *saved)
{
	if (saved->nestlevel > 0)
		AtEOXact_GUC(false, saved->nestlevel);
	SetUserIdAndSecContext(saved->roleid, saved->sec_context);
}

/*
 * Run an SQL statement as the owner of a relation: a query or, if "is_command", a
 * utility command of our own.  SPI must be connected.  Returns the result code of
 * SPI.
 */
static int
run_as_owner(Oid relid, const char *query, bool is_command, int nargs,
			 Oid *argtypes, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	SavedRole saved;
	int result = 0;

	become_owner_for_statement(relid, &saved);
	PG_TRY();
	{
		announce_own_command(is_command);
		result =
			SPI_execute_with_args(query, nargs, argtypes, values, nulls, false, 0);
		announce_own_command(false);
	}
	PG_CATCH();
	{
		/* the command has not begun, and the next one is not ours */
		announce_own_command(false);
		throw_owners_error(context);
	}
	PG_END_TRY();
	restore_role(&saved);
	return result;
}

/*
 * soft_delete_internal.alter_as_owner(relation regclass, command text) returns void
 *
 * Runs a utility command of the extension's own as the owner of a relation.
 *
 * Raises 42P01 if there is no such relation, 22023 if the command is not a utility
 * command, and what the command raises.
 */
Datum
soft_delete_alter_as_owner(PG_FUNCTION_ARGS)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (run_as_owner(PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(1)),
					 true, 0, NULL, NULL, NULL) != SPI_OK_UTILITY)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("statement is not a utility command")));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Return the second argument of a function, a statement.  Raises 22004 if it is
 * null, or if the first argument, a relation, is.
 */
static char *
statement_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("relation and statement must not be null")));
	return text_to_cstring(PG_GETARG_TEXT_PP(1));
}

/*
 * Return the search_path that sessions of a role begin with: what ALTER ROLE or
 * ALTER DATABASE has set, else the built-in default.  SPI must be connected.
 */
static const char *
default_search_path(Oid roleid)
{
	static const char *const query =
		"SELECT pg_catalog.substr(entry, 13) "
		"FROM pg_catalog.pg_db_role_setting, pg_catalog.unnest(setconfig) AS entry "
		"WHERE setrole OPERATOR(pg_catalog.=) ANY (ARRAY[$1, 0::pg_catalog.oid]) "
		"AND setdatabase OPERATOR(pg_catalog.=) ANY (ARRAY[$2, 0::pg_catalog.oid]) "
		"AND pg_catalog.starts_with(entry, 'search_path=') "
		"ORDER BY setrole OPERATOR(pg_catalog.=) 0::pg_catalog.oid, "
		"setdatabase OPERATOR(pg_catalog.=) 0::pg_catalog.oid LIMIT 1";
	char *path = NULL;

	if (SPI_execute_with_args(query, 2, (Oid[]){OIDOID, OIDOID},
							  (Datum[]){ObjectIdGetDatum(roleid),
										ObjectIdGetDatum(MyDatabaseId)},
							  NULL, true, 1) == SPI_OK_SELECT &&
		SPI_processed == 1)
		path = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	return path != NULL ? path : "\"$user\", public";
}

/*
 * Return the search_path that code of an owner sees: that of the caller, if this is the
 * owner, else the one that the owner's own sessions begin with, for with the caller's it
 * would call the caller's functions.  SPI must be connected.
 */
static const char *
owners_search_path(Oid owner)
{
	return is_caller(owner) ? callers_search_path() : default_search_path(owner);
}

/*
 * Switch to the owner of a relation, as become_owner_of() does, for a statement of our
 * own with expressions of the owner's: defaults, conversions, constraints, keys.
 * Functions find what they find where the table itself is altered or written.  What the
 * statement names is found, too: names of our own are qualified but for those in
 * pg_catalog and of temporary relations.
 *
 * SPI must be connected.  To be ended by restore_role().
 */
void
become_owner_for_statement(Oid relid, SavedRole *saved)
{
	StringInfoData path;
	const char *own;
	Oid owner;

	check_relation_exists(relid);
	owner = owner_of(relid);
	own = owners_search_path(owner);
	initStringInfo(&path);
	appendStringInfoString(&path, "pg_catalog");
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		appendStringInfoString(&path, ", pg_temp");
	if (own[0] != '\0')
		appendStringInfo(&path, ", %s", own);
	if (!is_caller(owner))
		appendStringInfoString(&path, ", pg_temp");
	become_owner_of(relid, saved);
	(void) set_config_option("search_path", path.data, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Return the names of the INITIALLY DEFERRED constraints of a role's tables, and of
 * foreign keys that reference those, as a list for SET CONSTRAINTS.  Leaves out
 * constraints in schemas on which the caller has no USAGE.  Returns NULL if there
 * are none.  SPI must be connected.
 */
static char *
deferred_constraints(Oid owner)
{
	static const char *const query =
		"SELECT pg_catalog.string_agg(pg_catalog.format('%I.%I', nspname, conname), ', ') "
		"FROM (SELECT connamespace, conname FROM pg_catalog.pg_constraint AS con "
		"JOIN pg_catalog.pg_class AS rel ON rel.oid OPERATOR(pg_catalog.=) ANY (ARRAY[conrelid, confrelid]) "
		"GROUP BY connamespace, conname "
		/* several constraints of a schema may have one name */
		"HAVING pg_catalog.bool_or(relowner OPERATOR(pg_catalog.=) $1) AND pg_catalog.bool_and(condeferred)) AS named "
		"JOIN pg_catalog.pg_namespace AS nsp ON nsp.oid OPERATOR(pg_catalog.=) connamespace "
		"WHERE pg_catalog.has_schema_privilege($2, nsp.oid, 'USAGE')";

	if (SPI_execute_with_args(query, 2, (Oid[]){OIDOID, OIDOID},
							  (Datum[]){ObjectIdGetDatum(owner),
										ObjectIdGetDatum(calling_role())},
							  NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not find the constraints of role %u", owner);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/*
 * Run SET CONSTRAINTS with a mode, IMMEDIATE or DEFERRED, for the constraints of a
 * role's tables that are INITIALLY DEFERRED.
 *
 * IMMEDIATE fires the triggers that the transaction has deferred, whichever
 * statement has queued them.  At commit they would fire as the session's role.  So
 * nothing is done unless the caller is that role, and not the owner of a SECURITY
 * DEFINER function.  SPI must be connected.
 */
static void
set_constraints(Oid owner, const char *mode)
{
	SavedRole saved;
	char *names;

	if (!caller_is_session_role() || (names = deferred_constraints(owner)) == NULL)
		return;
	become_caller(&saved);
	if (SPI_execute(psprintf("SET CONSTRAINTS %s %s", names, mode), false, 0) !=
		SPI_OK_UTILITY)
		elog(ERROR, "SET CONSTRAINTS failed");
	restore_role(&saved);
}

/*
 * Switch to the owner of a relation whose triggers are going to fire.
 *
 * If the caller is the owner, the triggers run as if the caller had run the
 * statement.  Else they see the search_path that the owner's own sessions begin
 * with, for with the caller's they would call the caller's functions.  And no
 * constraint is deferred, but checked when the statement ends: a trigger that fires
 * at commit would run with the caller's rights.
 *
 * SPI must be connected.  To be ended by end_owners_write().
 */
void
become_owner_to_write(Oid relid, SavedRole *saved)
{
	Oid owner = owner_of(relid);
	const char *path;

	if (is_caller(owner))
	{
		become_caller(saved);
		return;
	}
	path = default_search_path(owner);
	set_constraints(owner, "IMMEDIATE");
	become_owner_of(relid, saved);
	(void) set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Restore the role that become_owner_to_write() has saved, and defer again the
 * constraints that are INITIALLY DEFERRED.  SPI must be connected.
 */
void
end_owners_write(Oid relid, const SavedRole *saved)
{
	Oid owner = owner_of(relid);

	restore_role(saved);
	if (!is_caller(owner))
		set_constraints(owner, "DEFERRED");
}

/*
 * Execute a statement, whose parameter $1 is an array of stamps, for the caller of the
 * extension.  Returns the result code of SPI.
 *
 * It is planned before it is announced: functions of the owner that the planner calls must
 * not act for the caller.  SPI must be connected.
 */
static int
execute_for_caller(const char *statement, Datum stamps, bool isnull)
{
	SPIPlanPtr plan = SPI_prepare_cursor(statement, 1, (Oid[]){TIMESTAMPTZARRAYOID},
										 CURSOR_OPT_GENERIC_PLAN);
	OwnQuery query = {NULL, NULL};
	OwnQuery before;
	CachedPlan *cached;
	int result;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s",
			 SPI_result_code_string(SPI_result));
	cached = SPI_plan_get_cached_plan(plan);
	if (cached != NULL && list_length(cached->stmt_list) == 1)
		query.statement = linitial_node(PlannedStmt, cached->stmt_list);
	before = announce_own_query(query);
	PG_TRY();
	{
		result = SPI_execute_plan(plan, &stamps, isnull ? "n" : NULL, false, 0);
	}
	PG_FINALLY();
	{
		(void) announce_own_query(before);
	}
	PG_END_TRY();
	if (cached != NULL)
		ReleaseCachedPlan(cached, NULL);
	return result;
}

/*
 * soft_delete_internal.execute_as_owner(relation regclass, statement text,
 * stamps timestamptz[]) returns bigint
 *
 * Runs a statement, whose parameter $1 is an array of stamps, as the owner of a
 * relation.  Returns the number of rows that it processed or, if it is a query that
 * returns one bigint, that number.
 *
 * Raises 22004 if the relation or the statement is null, 42P01 if there is no such
 * relation, and what the statement raises.
 */
Datum
soft_delete_execute_as_owner(PG_FUNCTION_ARGS)
{
	char *statement = statement_argument(fcinfo);
	Datum stamps = PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2);
	SavedRole saved;
	int64 count;
	bool isnull;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	become_owner_to_write(PG_GETARG_OID(0), &saved);
	if (execute_for_caller(statement, stamps, PG_ARGISNULL(2)) == SPI_OK_SELECT &&
		SPI_processed == 1 && SPI_gettypeid(SPI_tuptable->tupdesc, 1) == INT8OID)
		count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											SPI_tuptable->tupdesc, 1, &isnull));
	else
		count = SPI_processed;
	end_owners_write(PG_GETARG_OID(0), &saved);
	SPI_finish();
	PG_RETURN_INT64(count);
}

/*
 * soft_delete_internal.query_as_owner(relation regclass, query text,
 * stamps timestamptz[], form text) returns setof record
 *
 * Returns the rows that a query, whose parameter $1 is an array of stamps, finds
 * as the owner of a relation.  It makes texts in the form of deleted rows outside of
 * their table (form is 'row'), in the form of keys ('key'), or as the session does.
 *
 * Raises 22004 if the relation or the query is null, 0A000 if the function is not
 * called in FROM, 42P01 if there is no such relation, 22023 if the statement is not
 * a query, 42804 if its columns are not those that the caller expects, and what
 * the query raises.
 */
Datum
soft_delete_query_as_owner(PG_FUNCTION_ARGS)
{
	Datum stamps = PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2);
	char *query = statement_argument(fcinfo);
	const char *form =
		PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int nestlevel = 0;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("function %s must be called in FROM",
							   "soft_delete_internal.query_as_owner")));
	if (form != NULL)
		nestlevel = strcmp(form, "key") == 0 ? begin_key_form() : begin_text_form();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (run_as_owner(PG_GETARG_OID(0), query, false, 1, (Oid[]){TIMESTAMPTZARRAYOID},
					 &stamps, PG_ARGISNULL(2) ? "n" : NULL) != SPI_OK_SELECT)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("statement is not a query")));
	return_rows(fcinfo, query);
	SPI_finish();
	if (form != NULL)
		end_text_form(nestlevel);
	return (Datum) 0;
}

/*
 * Return the rows that SPI has read as the result of a set-returning function.
 * Raises 42804 if their columns are not those that the caller expects.
 */
static void
return_rows(FunctionCallInfo fcinfo, const char *query)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SPITupleTable *found = SPI_tuptable;
	uint64 nrows = SPI_processed;
	TupleDesc expected = rsinfo->expectedDesc;
	MemoryContext oldcontext;
	Tuplestorestate *rows;

	if (expected == NULL || expected->natts != found->tupdesc->natts)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("query has the wrong number of columns: %d",
							   found->tupdesc->natts),
						errdetail("The query is %s.", query)));
	for (int i = 0; i < expected->natts; i++)
	{
		if (TupleDescAttr(expected, i)->atttypid !=
			TupleDescAttr(found->tupdesc, i)->atttypid)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column %d of the query has type %s, not %s", i + 1,
							format_type_be(TupleDescAttr(found->tupdesc, i)->atttypid),
							format_type_be(TupleDescAttr(expected, i)->atttypid)),
					 errdetail("The query is %s.", query)));
	}

	oldcontext = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	rows = tuplestore_begin_heap(true, false, work_mem);
	rsinfo->setDesc = CreateTupleDescCopy(expected);
	MemoryContextSwitchTo(oldcontext);
	for (uint64 i = 0; i < nrows; i++)
		tuplestore_puttuple(rows, found->vals[i]);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = rows;
}

/*
 * May the conversion of a text to the type call functions that users have created?
 * It does for a domain, whose CHECK may call one, for a type that contains other
 * types, and for an array of these.
 */
bool
input_calls_user_functions(Oid type)
{
	Oid element = get_element_type(type);

	if (OidIsValid(element))
		type = element;
	return type >= FirstNormalObjectId && strchr("cdrm", get_typtype(type)) !=
											  NULL; /* composite, domain or range */
}
