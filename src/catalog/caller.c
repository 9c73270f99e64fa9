/*
 * caller.c
 *	  Where callers enter the extension.
 *
 * The functions that people call are C functions that stand before PL/pgSQL
 * functions of the same name in schema soft_delete_internal, where nobody else may
 * look.  Those run with the rights of the extension's owner, know who has called,
 * and take the rights of a table's owner for whatever may run that one's code.
 *
 * Invariant: the caller is the role that had the say when the extension was
 * entered.  A bit of the security context, which the server restores after each
 * error, says that our own code runs; become_owner() takes it away for an owner's.
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

/* The innermost entry */
static Entry *current_entry = NULL;

/* Is the next utility command one of our own, and are those that run? */
static bool next_command_is_own = false;
static bool running_command_is_own = false;

PG_FUNCTION_INFO_V1(soft_delete_enter);
PG_FUNCTION_INFO_V1(soft_delete_caller);
PG_FUNCTION_INFO_V1(soft_delete_command_is_own);
PG_FUNCTION_INFO_V1(soft_delete_follow_ddl);
PG_FUNCTION_INFO_V1(soft_delete_follow_drops);
PG_FUNCTION_INFO_V1(soft_delete_follow_extension);

static Datum call_entered(FunctionCallInfo fcinfo);
static FmgrInfo *find_target(FunctionCallInfo fcinfo);
static Oid internal_function(const char *name, const oidvector *argtypes);
static bool runs_own_code(void);
static void follow_event(FunctionCallInfo fcinfo, const char *name);

/*
 * Take the rights of the extension's owner, and remember who had the say.  What is
 * entered must be left, after an error too.
 */
void
enter(Entry *entry)
{
	GetUserIdAndSecContext(&entry->roleid, &entry->sec_context);
	if (runs_own_code())
	{
		/* our own code enters again, on behalf of the same */
		entry->caller = current_entry->caller;
		entry->caller_context = current_entry->caller_context;
		entry->search_path = current_entry->search_path;
	}
	else
	{
		entry->caller = entry->roleid;
		entry->caller_context = entry->sec_context;
		entry->search_path = pstrdup(namespace_search_path);
	}
	entry->outer = current_entry;
	SetUserIdAndSecContext(extension_owner(), entry->sec_context |
												  SECURITY_LOCAL_USERID_CHANGE |
												  SECURITY_OWN_CODE);
	current_entry = entry;
}

/*
 * Give the rights back to who had them.
 */
void
leave(const Entry *entry)
{
	current_entry = entry->outer;
	SetUserIdAndSecContext(entry->roleid, entry->sec_context);
}

/*
 * Does code of the extension run that has been entered?
 */
static bool
runs_own_code(void)
{
	Oid userid;
	int sec_context;

	GetUserIdAndSecContext(&userid, &sec_context);
	return current_entry != NULL && (sec_context & SECURITY_OWN_CODE) != 0 &&
		   userid == extension_owner();
}

/*
 * Return the role that has the say: on whose behalf our code runs.
 */
Oid
calling_role(void)
{
	return runs_own_code() ? current_entry->caller : GetUserId();
}

/*
 * Is a role the one that has the say?
 */
bool
is_caller(Oid roleid)
{
	return calling_role() == roleid;
}

/*
 * Is the caller the role that the session has taken, and not a function's owner?
 */
bool
caller_is_session_role(void)
{
	return calling_role() == GetOuterUserId() &&
		   (!runs_own_code() || current_entry->caller_context == 0);
}

/*
 * Be the caller again for a while, as if it had run a statement itself: with its
 * rights and its search_path.
 */
void
become_caller(SavedRole *saved)
{
	GetUserIdAndSecContext(&saved->roleid, &saved->sec_context);
	saved->nestlevel = 0;
	if (!runs_own_code())
		return;
	SetUserIdAndSecContext(current_entry->caller, current_entry->caller_context);
	saved->nestlevel = NewGUCNestLevel();
	(void) set_config_option("search_path", current_entry->search_path, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
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
 * Say that the next utility command, which an owner runs, is one of our own; or
 * that none comes.
 */
void
announce_own_command(bool comes)
{
	next_command_is_own = comes;
}

/*
 * Note that a utility command begins: it is one of our own if it was announced, or
 * if our code runs it.  Returns what was so of the one around it.
 */
bool
begin_command(void)
{
	bool before = running_command_is_own;

	running_command_is_own = next_command_is_own || runs_own_code();
	next_command_is_own = false;
	return before;
}

/*
 * Note that a utility command has ended.
 */
void
end_command(bool before)
{
	running_command_is_own = before;
	next_command_is_own = false;
}

/*
 * Is the utility command that runs one of our own?  Then its consequences are
 * known to who runs it.
 */
bool
command_is_own(void)
{
	return running_command_is_own;
}

/*
 * soft_delete_internal.command_is_own() returns boolean
 *
 * Tells whether the extension itself runs the utility command at hand.
 */
Datum
soft_delete_command_is_own(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(command_is_own());
}

/*
 * The C function of everything that people call: runs the function of the same
 * name and arguments in schema soft_delete_internal.
 */
Datum
soft_delete_enter(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(inner, FUNC_MAX_ARGS);
	Datum result;

	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = find_target(fcinfo);
	InitFunctionCallInfoData(*inner, (FmgrInfo *) fcinfo->flinfo->fn_extra,
							 fcinfo->nargs, fcinfo->fncollation,
							 fcinfo->context, fcinfo->resultinfo);
	memcpy(inner->args, fcinfo->args, fcinfo->nargs * sizeof(NullableDatum));

	result = call_entered(inner);
	fcinfo->isnull = inner->isnull;
	return result;
}

/*
 * Enter the extension for the call of a function.
 */
static Datum
call_entered(FunctionCallInfo fcinfo)
{
	Entry entry;
	Datum result;

	enter(&entry);
	PG_TRY();
	{
		result = FunctionCallInvoke(fcinfo);
	}
	PG_FINALLY();
	{
		leave(&entry);
	}
	PG_END_TRY();
	return result;
}

/*
 * Find the function that an entry stands before, which lives as long as the entry's.
 */
static FmgrInfo *
find_target(FunctionCallInfo fcinfo)
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
 * Return a function of the extension in schema soft_delete_internal.
 *
 * Raises 55000 where there is none.
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
 * Call a function of schema soft_delete_internal, whose result does not matter.  No
 * argument is null.
 */
void
call_internal(const char *name, int nargs, Oid *argtypes, Datum *values)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	FmgrInfo flinfo;

	fmgr_info(internal_function(name, buildoidvector(argtypes, nargs)), &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, nargs, InvalidOid, NULL, NULL);
	for (int i = 0; i < nargs; i++)
	{
		fcinfo->args[i].value = values[i];
		fcinfo->args[i].isnull = false;
	}
	(void) call_entered(fcinfo);
}

/*
 * Run the function that follows an event, unless it is one of our own command.
 */
static void
follow_event(FunctionCallInfo fcinfo, const char *name)
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
 * Lets what belongs to tagged tables follow a command.  Raises 39P03 where no event
 * trigger calls it.
 */
Datum
soft_delete_follow_ddl(PG_FUNCTION_ARGS)
{
	if (!command_is_own())
		follow_event(fcinfo, "follow_ddl");
	PG_RETURN_NULL();
}

/*
 * soft_delete_internal.follow_drops() returns event_trigger
 *
 * Follows what is dropped.  Raises 39P03 where no event trigger calls it.
 */
Datum
soft_delete_follow_drops(PG_FUNCTION_ARGS)
{
	follow_event(fcinfo, "follow_drops");
	PG_RETURN_NULL();
}

/*
 * soft_delete_internal.follow_extension() returns event_trigger
 *
 * Follows ALTER EXTENSION.  Raises 39P03 where no event trigger calls it.
 */
Datum
soft_delete_follow_extension(PG_FUNCTION_ARGS)
{
	follow_event(fcinfo, "follow_extension");
	PG_RETURN_NULL();
}
