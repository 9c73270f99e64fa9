/*
 * owner_error.c
 *	  Errors that the code of an owner raises, and those of the server itself.
 *
 * A function that looks at the tables of many owners goes on where one of them fails,
 * but not where the query is cancelled, the server goes down, or memory is short.  Any
 * function can raise an error with the code of one of these.
 *
 * Invariant: no owner's function stops what is done for others.
 */
#include "postgres.h"

#include "access/xact.h"

#include "catalog/sd_catalog.h"

/*
 * Was the error raised by a command of a function, whatever its code says?
 */
bool
is_raised(const ErrorData *error)
{
	return error->funcname != NULL &&
		   (strcmp(error->funcname, "exec_stmt_raise") == 0 ||
			strcmp(error->funcname, "exec_stmt_assert") == 0);
}

/*
 * Throw on an error that was caught while functions of an owner might run.  One
 * that such a function has raised is no interrupt: PL/pgSQL's WHEN OTHERS passes
 * over some codes, and must_propagate() of SQL (sql/catalog.sql) over others.
 */
void
throw_owners_error(MemoryContext context)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	if (is_raised(error))
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
 * End the subtransactions in which an error was caught, down to a level, and give
 * their role, settings, locks and buffers back.  Returns the error.
 *
 * Throws it on where the statement was cancelled, by the client or by a timeout.
 */
ErrorData *
end_failed_subtransactions(int nestlevel, MemoryContext context, ResourceOwner owner)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	while (GetCurrentTransactionNestLevel() > nestlevel)
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && !is_raised(error))
		ReThrowError(error);
	return error;
}
