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
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "catalog/sd_catalog.h"

PG_FUNCTION_INFO_V1(soft_delete_alter_as_owner);
PG_FUNCTION_INFO_V1(soft_delete_query_as_owner);
PG_FUNCTION_INFO_V1(soft_delete_execute_as_owner);

static void become(Oid roleid, int flags, SavedRole *saved);
static char *statement_argument(FunctionCallInfo fcinfo);
static int execute_for_caller(const char *statement, Datum stamps, bool isnull);
static char *deferred_constraints(Oid owner);
static void set_constraints(Oid owner, const char *mode);
static const char *default_search_path(Oid roleid);
static const char *owners_search_path(Oid owner);
static Query *analyze_query(const char *query);
static void describe_query(void *query);
static void return_rows(FunctionCallInfo fcinfo, const char *query, const char *path);
static void check_columns(TupleDesc desc, TupleDesc expected, const char *query);

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
	set_search_path("pg_catalog, pg_temp");
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
 * Switch to the owner of a relation as become_owner_for_reference() does, for a statement
 * of our own with names of types and an expression of the owner's.  Where the owner is
 * another role than the caller, these and the triggers that fire see the search_path that
 * the owner's own sessions begin with.  SPI must be connected.  To be ended by
 * restore_role().
 */
void
become_owner_for_shard(Oid relid, SavedRole *saved)
{
	Oid owner = owner_of(relid);
	const char *path = is_caller(owner) ? NULL : default_search_path(owner);

	become_owner_for_reference(relid, saved);
	if (path == NULL)
		return;
	saved->nestlevel = NewGUCNestLevel();
	set_search_path(path);
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
 * soft_delete_internal.alter_as_owner(relation regclass, command text,
 * evaluates boolean) returns void
 *
 * Runs a utility command of the extension's own as the owner of a relation, with the
 * search_path of become_owner_to_evaluate() if it evaluates an expression of the owner's.
 *
 * Raises 42P01 if there is no such relation, 22023 if the command is not a utility
 * command, and what the command raises.
 */
Datum
soft_delete_alter_as_owner(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	SavedRole saved;
	int result = 0;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (PG_GETARG_BOOL(2))
		become_owner_to_evaluate(PG_GETARG_OID(0), &saved);
	else
		become_owner_of(PG_GETARG_OID(0), &saved);
	PG_TRY();
	{
		announce_own_command(true);
		result = SPI_execute(text_to_cstring(PG_GETARG_TEXT_PP(1)), false, 0);
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
	if (result != SPI_OK_UTILITY)
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
 * ALTER DATABASE has set, else the built-in default.  Temporary relations, which are
 * those of this session, come last.  SPI must be connected.
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
	if (path == NULL)
		path = "\"$user\", public";
	return psprintf("%s, pg_temp", path[0] == '\0' ? "pg_catalog" : path);
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
 * own that evaluates an expression of the owner's: a default or a conversion.  Functions
 * find what they find where the table itself is altered or written.
 *
 * The names in the statement are looked up in that search_path, too, and an operator of
 * another role there may fit better than that of pg_catalog.  So the statement has none
 * but those of the expression: what has, is run by become_owner_of().
 *
 * SPI must be connected.  To be ended by restore_role().
 */
void
become_owner_to_evaluate(Oid relid, SavedRole *saved)
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
	become_owner_of(relid, saved);
	set_search_path(path.data);
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
	set_search_path(path);
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
 * as the owner of a relation.  The names in it are those of the server, while functions
 * that it calls see the search_path of owners_search_path().  It makes texts in the form of deleted rows outside of
 * their table (form is 'row'), in the form of keys ('key'), or as the session does, within
 * the time of begin_glance() if that is 'glance'.
 *
 * Raises 22004 if the relation or the query is null, 0A000 if the function is not
 * called in FROM, 42P01 if there is no such relation, 22023 if the statement is not
 * a query, 42804 if its columns are not those that the caller expects, and what
 * the query raises.
 */
Datum
soft_delete_query_as_owner(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	char *query = statement_argument(fcinfo);
	const char *path;
	const char *form =
		PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	bool is_glance = form != NULL && strcmp(form, "glance") == 0;
	bool is_limited;
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SavedRole saved;
	int nestlevel = 0;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("function %s must be called in FROM",
							   "soft_delete_internal.query_as_owner")));
	if (form != NULL && !is_glance)
		nestlevel = strcmp(form, "key") == 0 ? begin_key_form() : begin_text_form();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	check_relation_exists(PG_GETARG_OID(0));
	path = pstrdup(owners_search_path(owner_of(PG_GETARG_OID(0))));
	is_limited = is_glance && begin_glance(PG_GETARG_OID(0));
	become_owner_of(PG_GETARG_OID(0), &saved);
	PG_TRY();
	{
		return_rows(fcinfo, query, path);
	}
	PG_CATCH();
	{
		throw_error_of_glance(context, is_limited);
	}
	PG_END_TRY();
	(void) end_time_limit(is_limited);
	restore_role(&saved);
	SPI_finish();
	if (form != NULL && !is_glance)
		end_text_form(nestlevel);
	return (Datum) 0;
}

/*
 * Parse and analyze a query with a parameter, an array of stamps.  Raises 22023 if it is
 * another statement.
 */
static Query *
analyze_query(const char *query)
{
	List *parsed = pg_parse_query(query);
	List *queries =
		list_length(parsed) != 1
			? NIL
			: pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, parsed),
												 query, (Oid[]){TIMESTAMPTZARRAYOID},
												 1, NULL);

	if (list_length(queries) != 1 ||
		linitial_node(Query, queries)->commandType != CMD_SELECT)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("statement is not a query")));
	return linitial_node(Query, queries);
}

/*
 * Add the query that runs to the context of an error, as SPI does (error context callback).
 */
static void
describe_query(void *query)
{
	errcontext("SQL statement \"%s\"", (const char *) query);
}

/*
 * Return the rows of a query as the result of a set-returning function, as the current
 * role.  The query is analyzed with the current search_path, and planned and run with
 * "path": no operator or function in that is taken for one that the query names.
 * Raises 42804 if its columns are not those that the caller expects.
 */
static void
return_rows(FunctionCallInfo fcinfo, const char *query, const char *path)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ErrorContextCallback callback = {error_context_stack, describe_query,
									 (void *) query};
	DestReceiver *dest = CreateDestReceiver(DestTuplestore);
	ParamListInfo params = makeParamList(1);
	MemoryContext oldcontext;
	QueryDesc *running;
	Query *analyzed;
	List *planned;

	params->params[0] = (ParamExternData){.value = PG_GETARG_DATUM(2),
										  .isnull = PG_ARGISNULL(2),
										  .pflags = PARAM_FLAG_CONST,
										  .ptype = TIMESTAMPTZARRAYOID};
	oldcontext = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	rsinfo->setResult = tuplestore_begin_heap(true, false, work_mem);
	MemoryContextSwitchTo(oldcontext);
	rsinfo->returnMode = SFRM_Materialize;
	SetTuplestoreDestReceiverParams(dest, rsinfo->setResult,
									rsinfo->econtext->ecxt_per_query_memory,
									false, NULL, NULL);

	error_context_stack = &callback;
	analyzed = analyze_query(query);
	set_search_path(path);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	planned = pg_plan_queries(list_make1(analyzed), query,
							  CURSOR_OPT_PARALLEL_OK, params);
	running = CreateQueryDesc(linitial_node(PlannedStmt, planned), query,
							  GetActiveSnapshot(), InvalidSnapshot, dest,
							  params, NULL, 0);
	ExecutorStart(running, 0);
	check_columns(running->tupDesc, rsinfo->expectedDesc, query);
	run_to_end(running);
	ExecutorFinish(running);
	ExecutorEnd(running);
	FreeQueryDesc(running);
	PopActiveSnapshot();
	error_context_stack = callback.previous;

	dest->rDestroy(dest);
	oldcontext = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	rsinfo->setDesc = CreateTupleDescCopy(rsinfo->expectedDesc);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Raise 42804 if the columns of a query are not those that the caller expects.
 */
static void
check_columns(TupleDesc desc, TupleDesc expected, const char *query)
{
	if (expected == NULL || expected->natts != desc->natts)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("query has the wrong number of columns: %d", desc->natts),
				 errdetail("The query is %s.", query)));
	for (int i = 0; i < expected->natts; i++)
	{
		Oid type = TupleDescAttr(desc, i)->atttypid;

		if (TupleDescAttr(expected, i)->atttypid != type)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column %d of the query has type %s, not %s", i + 1,
							format_type_be(type),
							format_type_be(TupleDescAttr(expected, i)->atttypid)),
					 errdetail("The query is %s.", query)));
	}
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
