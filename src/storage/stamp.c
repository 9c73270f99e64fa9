/*
 * stamp.c
 *	  Gives each client statement that deletes rows one stamp of its own.
 *
 * All rows that one client statement soft-deletes, by itself or by foreign keys,
 * triggers and functions, are one deletion and have one stamp.  A client statement
 * begins where the executor or a utility command (ddl/utility.c) starts and no
 * other runs.  Deferred triggers at commit belong to the statement that commits.
 *
 * Invariants: the stamps of a session only grow.  A stamp is in the ledger as long
 * as a row has it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/timestamp.h"

#include "storage/sd_storage.h"

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;

/* Number of executor runs and utility commands that run, one within the other */
static int nesting = 0;

static TimestampTz last_stamp = 0;

/* Is last_stamp that of the running client statement, and in which transaction? */
static bool stamp_is_current = false;
static LocalTransactionId stamp_lxid = InvalidLocalTransactionId;

/* The subtransaction that has inserted last_stamp into the ledger */
static SubTransactionId stamp_subid = InvalidSubTransactionId;

static void join_running_statement(void);
static void leave_joined_statement(void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
							   SubTransactionId parentSubid, void *arg);
static void start_executor(QueryDesc *queryDesc, int eflags);
static void run_executor(EXECUTOR_RUN_PARAMS);
static void finish_executor(QueryDesc *queryDesc);

/*
 * Install the hooks that are called when a client statement begins.
 */
void
init_stamp(void)
{
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = run_executor;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_executor;

	RegisterSubXactCallback(end_subtransaction, NULL);
	if (ActivePortal != NULL)
		join_running_statement();
}

/*
 * The library is loaded by a statement that runs already, such as the first DELETE
 * of a session from a table whose tombstones are kept aside.  Count that statement as
 * one that others are nested in, until its portal is dropped.  The portal that is
 * active is that of a client statement if it has no name.  Else it is a cursor, which
 * may be one of a function, and may live on: then until the client's message is done.
 */
static void
join_running_statement(void)
{
	MemoryContext context = ActivePortal->name[0] == '\0' ? ActivePortal->portalContext
														  : MessageContext;
	MemoryContextCallback *callback =
		MemoryContextAllocZero(context, sizeof(MemoryContextCallback));

	callback->func = leave_joined_statement;
	MemoryContextRegisterResetCallback(context, callback);
	enter_statement();
}

/*
 * End the statement that has loaded the library (callback of the reset of a memory
 * context).
 */
static void
leave_joined_statement(void *arg)
{
	leave_statement();
}

/*
 * Return the stamp of the running client statement, in microseconds since
 * 2000-01-01 UTC, for a row of a relation.  The first call of a statement takes a new
 * stamp and inserts it into the ledger, with the relation: that row need not be
 * counted any more.
 */
TimestampTz
deletion_stamp(Oid relid)
{
	if (!deletion_is_running())
	{
		last_stamp = Max(GetCurrentTimestamp(), last_stamp + 1);
		while (!record_deletion(last_stamp, relid))
			last_stamp++;
		count_deleted(last_stamp, relid, -1);
		stamp_is_current = true;
		stamp_lxid = my_local_xid();
		stamp_subid = GetCurrentSubTransactionId();
	}
	return last_stamp;
}

/*
 * Has the running client statement taken a stamp in this transaction?  A procedure
 * may commit, and take another stamp in its next transaction.
 */
bool
deletion_is_running(void)
{
	return stamp_is_current && stamp_lxid == my_local_xid();
}

/*
 * Discard the stamp when the subtransaction that has inserted it into the ledger
 * aborts: then no row has it any more (subtransaction callback).
 */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
				   SubTransactionId parentSubid, void *arg)
{
	if (mySubid != stamp_subid)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		stamp_subid = parentSubid;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		stamp_is_current = false;
}

/*
 * Note that a statement begins.  It is a client statement if it is not nested in
 * another one, and if a portal runs it, as none does with deferred triggers at
 * commit.
 */
void
begin_statement(void)
{
	if (nesting == 0 && ActivePortal != NULL)
		stamp_is_current = false;
}

/*
 * Begin an executor run or a utility command.  Statements that begin before
 * leave_statement() are nested in it.  That must be called after an error too.
 */
void
enter_statement(void)
{
	nesting++;
}

/*
 * End an executor run or a utility command.
 */
void
leave_statement(void)
{
	nesting--;
}

/*
 * Record what a client statement has deleted, if it is that which has ended, and not one
 * that is nested in it.
 */
void
end_statement(void)
{
	if (nesting == 0)
		record_counts();
}

/*
 * Note that a client statement may begin (ExecutorStart hook).
 */
static void
start_executor(QueryDesc *queryDesc, int eflags)
{
	begin_statement();
	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
	begin_own_query(queryDesc->plannedstmt, queryDesc->estate->es_query_cxt);
}

/*
 * Count the executor run as one that statements may be nested in, and have a query that was
 * announced run as its role (ExecutorRun hook).
 */
static void
run_executor(EXECUTOR_RUN_PARAMS)
{
	SavedRole saved;
	bool is_lent = begin_lent_query(queryDesc->sourceText, &saved);

	enter_statement();
	PG_TRY();
	{
		if (prev_ExecutorRun)
			prev_ExecutorRun(EXECUTOR_RUN_ARGS);
		else
			standard_ExecutorRun(EXECUTOR_RUN_ARGS);
	}
	PG_FINALLY();
	{
		leave_statement();
		if (is_lent)
			restore_role(&saved);
	}
	PG_END_TRY();
}

/*
 * Count the end of an executor run, in which AFTER triggers fire, as one that
 * statements may be nested in (ExecutorFinish hook).
 */
static void
finish_executor(QueryDesc *queryDesc)
{
	enter_statement();
	PG_TRY();
	{
		if (prev_ExecutorFinish)
			prev_ExecutorFinish(queryDesc);
		else
			standard_ExecutorFinish(queryDesc);
	}
	PG_FINALLY();
	{
		leave_statement();
	}
	PG_END_TRY();
	end_statement();
}
