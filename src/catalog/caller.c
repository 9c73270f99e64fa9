/*
 * caller.c
 *	  Runs the extension's own code on behalf of the role that calls it.
 *
 * The functions of schema soft_delete are C functions.  Each calls a PL/pgSQL
 * function of the same name in schema soft_delete_internal, on which no other role
 * has USAGE.  That function runs as the owner of the extension and knows its
 * caller.  It switches to the owner of a table wherever code of that owner may run
 * (owner.c).
 *
 * Invariant: the caller is the role that was the current user when the extension
 * was called.  The bit SECURITY_OWN_CODE of the security context tells that our own
 * code runs.  The server restores the security context after each error, and
 * become_owner() clears the bit for the code of an owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/sd_catalog.h"

/* The innermost call of the extension that runs */
static ExtensionCall *current_call = NULL;

/* The query that our own code runs as the owner of a table, for the caller */
static OwnQuery own_query = {NULL, NULL};

/* The query that is planned, and whose rights are checked, for another role than runs it */
static LentQuery lent_query = {NULL, InvalidOid, 0};

/* Does our own code run the next utility command, or the one that runs now? */
static bool next_command_is_own = false;
static bool running_command_is_own = false;

/* How many utility commands run that have begun since the library was loaded */
static int running_commands = 0;

PG_FUNCTION_INFO_V1(soft_delete_enter);
PG_FUNCTION_INFO_V1(soft_delete_caller);
PG_FUNCTION_INFO_V1(soft_delete_command_is_own);
PG_FUNCTION_INFO_V1(soft_delete_command_is_seen);
PG_FUNCTION_INFO_V1(soft_delete_follow_ddl);
PG_FUNCTION_INFO_V1(soft_delete_follow_drops);
PG_FUNCTION_INFO_V1(soft_delete_follow_extension);

static Datum invoke_in_extension(FunctionCallInfo fcinfo);
static Datum call_in_extension(const char *name, int nargs, Oid *argtypes,
							   Datum *values, bool *isnull);
static FmgrInfo *find_internal_function(FunctionCallInfo fcinfo);
static Oid internal_function(const char *name, const oidvector *argtypes);
static bool runs_own_code(void);
static void handle_event(FunctionCallInfo fcinfo, const char *name);

/*
 * Switch to the owner of the extension, and note who calls.  leave_extension() must
 * follow, after an error too.
 */
void
enter_extension(ExtensionCall *call)
{
	GetUserIdAndSecContext(&call->roleid, &call->sec_context);
	if (runs_own_code())
	{
		/* a call by our own code is on behalf of the same caller */
		call->caller = current_call->caller;
		call->caller_context = current_call->caller_context;
		call->search_path = current_call->search_path;
	}
	else
	{
		call->caller = call->roleid;
		call->caller_context = call->sec_context;
		call->search_path = pstrdup(namespace_search_path);
	}
	call->outer = current_call;
	SetUserIdAndSecContext(extension_owner(), call->sec_context |
												  SECURITY_LOCAL_USERID_CHANGE |
												  SECURITY_OWN_CODE);
	current_call = call;
}

/*
 * Restore the role and security context that enter_extension() has saved.
 */
void
leave_extension(const ExtensionCall *call)
{
	current_call = call->outer;
	SetUserIdAndSecContext(call->roleid, call->sec_context);
}

/*
 * Does our own code run, between enter_extension() and leave_extension(), and not
 * code of a table's owner that it calls?
 */
static bool
runs_own_code(void)
{
	Oid userid;
	int sec_context;

	GetUserIdAndSecContext(&userid, &sec_context);
	return current_call != NULL && (sec_context & SECURITY_OWN_CODE) != 0 &&
		   userid == extension_owner();
}

/*
 * Return the role on whose behalf our own code runs, or the current user if none of
 * it runs.
 */
Oid
calling_role(void)
{
	return runs_own_code() ? current_call->caller : GetUserId();
}

/*
 * Return the role that the records name for what is done now: the caller of the
 * extension, also while code of an owner runs for it, or else the current user.
 */
Oid
acting_role(void)
{
	return current_call != NULL ? current_call->caller : GetUserId();
}

/*
 * Let a planned statement, and none within it, act for the caller of the extension though
 * it runs as the owner of a table.  Returns what was in force before, to be put back, after
 * an error too.
 */
OwnQuery
announce_own_query(OwnQuery query)
{
	OwnQuery before = own_query;

	own_query = query;
	return before;
}

/*
 * Note the memory context of a query that has begun, if it is the announced one.
 */
void
begin_own_query(const PlannedStmt *statement, MemoryContext context)
{
	if (own_query.statement != NULL && statement == own_query.statement)
		own_query.context = context;
}

/*
 * Return the role whose rights count for what the query with a memory context does: that on
 * whose behalf it was announced, or else the current user.  Code of an owner that runs
 * within the query of another has a query of its own.
 */
Oid
role_of_query(MemoryContext context)
{
	return own_query.context == context ? acting_role() : calling_role();
}

/*
 * Return the role that a query is to be lent to: the current user, in the security context
 * of now.  It is nobody where our own code runs, whose rights are not for code of owners.
 */
LentQuery
lend_to_current_user(void)
{
	LentQuery query = {NULL, InvalidOid, 0};

	if (!runs_own_code())
		GetUserIdAndSecContext(&query.roleid, &query.sec_context);
	return query;
}

/*
 * Have a query run as a role, though another one is the current user when it is planned and
 * its rights are checked.  It is known by the text that its plan has, at the same address.
 * Returns what was in force before, to be put back, after an error too.
 */
LentQuery
announce_lent_query(LentQuery query)
{
	LentQuery before = lent_query;

	lent_query = query;
	return before;
}

/*
 * Switch to the role that runs the announced query, if that is the query that begins to
 * run.  Returns whether it is.  To be ended by restore_role(), after an error too.
 */
bool
begin_lent_query(const char *text, SavedRole *saved)
{
	if (text == NULL || text != lent_query.text || !OidIsValid(lent_query.roleid))
		return false;
	GetUserIdAndSecContext(&saved->roleid, &saved->sec_context);
	saved->nestlevel = 0;
	/* who has set another role meanwhile would not find it set afterwards */
	SetUserIdAndSecContext(lent_query.roleid, lent_query.sec_context |
												  SECURITY_LOCAL_USERID_CHANGE);
	return true;
}

/*
 * Does our own code run on behalf of the role?
 */
bool
is_caller(Oid roleid)
{
	return calling_role() == roleid;
}

/*
 * Return the search_path of the caller.
 */
const char *
callers_search_path(void)
{
	return runs_own_code() ? current_call->search_path : namespace_search_path;
}

/*
 * Is the caller the role that the session has set, and not the owner of a SECURITY
 * DEFINER function?
 */
bool
caller_is_session_role(void)
{
	return calling_role() == GetOuterUserId() &&
		   (!runs_own_code() || current_call->caller_context == 0);
}

/*
 * Set search_path until the settings are restored, with those of a nesting level that the
 * caller has begun.
 */
void
set_search_path(const char *path)
{
	(void) set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Switch to the caller, with its security context and its search_path, as if it
 * ran the next statement itself.  To be ended by restore_role().
 */
void
become_caller(SavedRole *saved)
{
	GetUserIdAndSecContext(&saved->roleid, &saved->sec_context);
	saved->nestlevel = 0;
	if (!runs_own_code())
		return;
	SetUserIdAndSecContext(current_call->caller, current_call->caller_context);
	saved->nestlevel = NewGUCNestLevel();
	set_search_path(current_call->search_path);
}

/*
 * soft_delete_internal.caller() returns oid
 *
 * Returns the role on whose behalf a function of the extension runs.
 */
Datum
soft_delete_caller(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(calling_role());
}

/*
 * Note whether the next utility command, which runs as the owner of a table, is one
 * of our own.
 */
void
announce_own_command(bool is_next)
{
	next_command_is_own = is_next;
}

/*
 * Note that a utility command begins.  It is one of our own if it was announced, or
 * if our own code runs it.  Returns whether the command around it is one, for
 * end_command().
 */
bool
begin_command(void)
{
	bool before = running_command_is_own;

	running_commands++;
	running_command_is_own = next_command_is_own || runs_own_code();
	next_command_is_own = false;
	return before;
}

/*
 * Note that a utility command has ended.  "before" is what begin_command()
 * returned.
 */
void
end_command(bool before)
{
	running_commands--;
	running_command_is_own = before;
	next_command_is_own = false;
}

/*
 * Is the utility command that runs one of our own?  Then the code that runs it has
 * seen to its consequences, and event triggers need not.
 */
bool
command_is_own(void)
{
	return running_command_is_own;
}

/*
 * soft_delete_internal.command_is_own() returns boolean
 *
 * Returns whether the utility command that runs is one of the extension's own.
 */
Datum
soft_delete_command_is_own(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(command_is_own());
}

/*
 * soft_delete_internal.command_is_seen() returns boolean
 *
 * Returns whether the library was there when the utility command began that runs, and so
 * sees its end.
 */
Datum
soft_delete_command_is_seen(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(running_commands > 0);
}

/*
 * The C function of the functions of schema soft_delete that are written in
 * PL/pgSQL: calls the function of the same name and arguments in schema
 * soft_delete_internal as the owner of the extension, and returns its result.
 *
 * Raises 55000 if there is no such function, and what that function raises.
 */
Datum
soft_delete_enter(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(inner, FUNC_MAX_ARGS);
	Datum result;

	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = find_internal_function(fcinfo);
	InitFunctionCallInfoData(*inner, (FmgrInfo *) fcinfo->flinfo->fn_extra,
							 fcinfo->nargs, fcinfo->fncollation,
							 fcinfo->context, fcinfo->resultinfo);
	memcpy(inner->args, fcinfo->args, fcinfo->nargs * sizeof(NullableDatum));

	result = invoke_in_extension(inner);
	fcinfo->isnull = inner->isnull;
	return result;
}

/*
 * Call a function between enter_extension() and leave_extension().
 */
static Datum
invoke_in_extension(FunctionCallInfo fcinfo)
{
	ExtensionCall call;
	Datum result;

	enter_extension(&call);
	PG_TRY();
	{
		result = FunctionCallInvoke(fcinfo);
	}
	PG_FINALLY();
	{
		leave_extension(&call);
	}
	PG_END_TRY();
	return result;
}

/*
 * Find the function of schema soft_delete_internal that soft_delete_enter() calls.
 * The result lives as long as the calling function's FmgrInfo.
 */
static FmgrInfo *
find_internal_function(FunctionCallInfo fcinfo)
{
	FmgrInfo *target =
		MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(FmgrInfo));
	HeapTuple tuple =
		SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	Form_pg_proc proc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	fmgr_info_cxt(internal_function(NameStr(proc->proname), &proc->proargtypes),
				  target, fcinfo->flinfo->fn_mcxt);
	ReleaseSysCache(tuple);
	return target;
}

/*
 * Return the OID of a function of the extension in schema soft_delete_internal.
 *
 * Raises 55000 if there is none.
 */
static Oid
internal_function(const char *name, const oidvector *argtypes)
{
	Oid schema = get_namespace_oid(INTERNAL_SCHEMA, true);
	Oid function = InvalidOid;

	if (OidIsValid(schema))
		function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
								   CStringGetDatum(name), PointerGetDatum(argtypes),
								   ObjectIdGetDatum(schema));
	if (!OidIsValid(function) || !is_extension_member(ProcedureRelationId, function))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" is older than its library", EXTENSION_NAME),
				 errdetail("It has no function %s.%s().", INTERNAL_SCHEMA, name),
				 errhint("ALTER EXTENSION %s UPDATE;", EXTENSION_NAME)));
	return function;
}

/*
 * Call a function of schema soft_delete_internal, and ignore its result.  No
 * argument is null.
 */
void
call_internal(const char *name, int nargs, Oid *argtypes, Datum *values)
{
	bool isnull;

	(void) call_in_extension(name, nargs, argtypes, values, &isnull);
}

/*
 * Call a function of schema soft_delete_internal that returns a relation for another one,
 * and return it, or InvalidOid where the function returns null.
 */
Oid
call_internal_for_relation(const char *name, Oid relid)
{
	bool isnull;
	Datum found = call_in_extension(name, 1, (Oid[]){REGCLASSOID},
									(Datum[]){ObjectIdGetDatum(relid)}, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(found);
}

/*
 * Call a function of schema soft_delete_internal that returns a text for a relation, and
 * return it, or NULL where the function returns null.
 */
char *
call_internal_for_text(const char *name, Oid relid)
{
	bool isnull;
	Datum found = call_in_extension(name, 1, (Oid[]){REGCLASSOID},
									(Datum[]){ObjectIdGetDatum(relid)}, &isnull);

	return isnull ? NULL : TextDatumGetCString(found);
}

/*
 * Call a function of schema soft_delete_internal that returns a number, and return that.
 * Neither it nor an argument is null.
 */
int64
call_internal_for_number(const char *name, int nargs, Oid *argtypes, Datum *values)
{
	bool isnull;

	return DatumGetInt64(call_in_extension(name, nargs, argtypes, values, &isnull));
}

/*
 * Call a function of schema soft_delete_internal.  No argument is null.
 */
static Datum
call_in_extension(const char *name, int nargs, Oid *argtypes, Datum *values,
				  bool *isnull)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	Datum result;
	FmgrInfo flinfo;

	fmgr_info(internal_function(name, buildoidvector(argtypes, nargs)), &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, nargs, InvalidOid, NULL, NULL);
	for (int i = 0; i < nargs; i++)
	{
		fcinfo->args[i].value = values[i];
		fcinfo->args[i].isnull = false;
	}
	result = invoke_in_extension(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/*
 * Call the function of schema soft_delete_internal that handles an event of an
 * event trigger, with the command tag as its argument.  Raises 39P03 if no event
 * trigger calls.
 */
static void
handle_event(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s.%s\" must be called by an event trigger",
							   INTERNAL_SCHEMA, name)));
	call_internal(name, 1, (Oid[]){TEXTOID},
				  (Datum[]){CStringGetTextDatum(GetCommandTagName(
					  ((EventTriggerData *) fcinfo->context)->tag))});
}

/*
 * soft_delete_internal.follow_ddl() returns event_trigger
 *
 * Adapts what belongs to tagged tables to a utility command, unless that is one of
 * our own.
 *
 * Raises 39P03 if it is not called by an event trigger.
 */
Datum
soft_delete_follow_ddl(PG_FUNCTION_ARGS)
{
	if (!command_is_own())
		handle_event(fcinfo, "follow_ddl");
	PG_RETURN_NULL();
}

/*
 * soft_delete_internal.follow_drops() returns event_trigger
 *
 * Removes what belonged to objects that a utility command has dropped.
 *
 * Raises 39P03 if it is not called by an event trigger.
 */
Datum
soft_delete_follow_drops(PG_FUNCTION_ARGS)
{
	handle_event(fcinfo, "follow_drops");
	PG_RETURN_NULL();
}

/*
 * soft_delete_internal.follow_extension() returns event_trigger
 *
 * Adapts the extension's objects to ALTER EXTENSION.
 *
 * Raises 39P03 if it is not called by an event trigger.
 */
Datum
soft_delete_follow_extension(PG_FUNCTION_ARGS)
{
	handle_event(fcinfo, "follow_extension");
	PG_RETURN_NULL();
}
