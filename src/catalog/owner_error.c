/*
 * owner_error.c
 *	  Tells errors of the server from errors that a function of an owner raises.
 *
 * Code that visits the tables of many owners goes on after an error in one of them,
 * but not when the query is canceled, the server shuts down, or memory is short.
 * Any function can raise an error with the SQLSTATE of one of these.
 *
 * Invariant: no function of an owner stops what is done for the tables of others.
 */
#include "postgres.h"

#include "access/xact.h"

#include "catalog/sd_catalog.h"

static ErrorData *copy_owners_error(void);
static void cut_text(char *text);

/*
 * Was the error raised by RAISE or ASSERT of a PL/pgSQL function, whatever its
 * SQLSTATE is?
 */
bool
is_raised_by_function(const ErrorData *error)
{
	return error->funcname != NULL &&
		   (strcmp(error->funcname, "exec_stmt_raise") == 0 ||
			strcmp(error->funcname, "exec_stmt_assert") == 0);
}

/*
 * Return the error that was caught, and forget it.  An owner's function may have raised it
 * with a text that is too long to be quoted in another message.
 */
static ErrorData *
copy_owners_error(void)
{
	ErrorData *error = CopyErrorData();

	FlushErrorState();
	cut_text(error->message);
	cut_text(error->detail);
	cut_text(error->hint);
	return error;
}

/*
 * Cut a text, or NULL, to the length that is recorded.
 */
static void
cut_text(char *text)
{
	if (text != NULL)
		text[recorded_length(text)] = '\0';
}

/*
 * Throw again an error that was caught while functions of an owner might run.  If
 * such a function has raised it with an SQLSTATE that is taken for an interrupt, it
 * gets another one, 38000: WHEN OTHERS of PL/pgSQL does not catch some SQLSTATEs,
 * and soft_delete_internal.must_propagate() names more.
 */
void
throw_owners_error(MemoryContext context)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = copy_owners_error();
	if (is_raised_by_function(error))
	{
		switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
		{
			case ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK):
			case ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES):
			case ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION):
			case ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR):
			case ERRCODE_TO_CATEGORY(ERRCODE_PLPGSQL_ERROR):
				error->sqlerrcode = ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;
				break;
			default:
				break;
		}
	}
	ReThrowError(error);
}

/*
 * Throw again an error that was caught after begin_glance(), whose result is "is_limited",
 * or that of the time limit in its place.
 */
void
throw_error_of_glance(MemoryContext context, bool is_limited)
{
	if (end_time_limit(is_limited))
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		throw_late_error();
	}
	throw_owners_error(context);
}

/*
 * Roll back the subtransactions in which an error was caught, down to a nesting
 * level, and so restore their role and settings, and release their locks and
 * buffers.  Ends the time limit that has begun if "is_limited".  Returns the error.
 *
 * Throws it again if the statement was canceled, by the client or by a timeout, unless the
 * time limit of the table has canceled it (time_limit.c).  That goes on canceling until all
 * is rolled back, which may wait for what runs on another node.
 */
ErrorData *
end_failed_subtransactions(int nestlevel, MemoryContext context,
						   ResourceOwner owner, bool is_limited)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = copy_owners_error();
	while (GetCurrentTransactionNestLevel() > nestlevel)
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (end_time_limit(is_limited))
	{
		/* what was canceled may have made another error of it */
		error->sqlerrcode = ERRCODE_QUERY_CANCELED;
		error->message = pstrdup("soft_delete.owner_timeout has passed");
	}
	else if (error->sqlerrcode == ERRCODE_QUERY_CANCELED &&
			 !is_raised_by_function(error))
		ReThrowError(error);
	return error;
}
