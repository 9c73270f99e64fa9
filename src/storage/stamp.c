/*
 * stamp.c
 *	  Gives each client statement that deletes one stamp of its own.
 *
 * Everything that one statement of the client soft-deletes, by itself, through
 * foreign keys, triggers and functions, is one deletion and carries one stamp.
 * A client statement begins where the executor or a utility command (utility.c)
 * starts outside of any other.  Deferred triggers at commit belong to the statement
 * that commits.
 *
 * Invariants: stamps of a session only ever grow; each is in the ledger as long
 * as a row carries it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "tcop/pquery.h"
#include "utils/portal.h"
#include "utils/timestamp.h"

#include "storage/sd_storage.h"

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;

/* How many executor runs and utility commands we are in. */
static int nesting = 0;

/*
 * Whether the running client statement has its stamp yet, for which
 * transaction, and which subtransaction has it in the ledger.
 */
static bool stamp_is_current = false;
static LocalTransactionId stamp_lxid = InvalidLocalTransactionId;
static SubTransactionId stamp_subid = InvalidSubTransactionId;
static TimestampTz last_stamp = 0;

static void end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
							   SubTransactionId parentSubid, void *arg);
static void start_executor(QueryDesc *queryDesc, int eflags);
static void run_executor(EXECUTOR_RUN_PARAMS);
static void finish_executor(QueryDesc *queryDesc);

/*
 * Install the hooks that see client statements begin.
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
}

/*
 * Return the stamp of the running client statement, in microseconds since
 * 2000-01-01 UTC.  It is taken, and entered into the ledger, at the statement's
 * first deletion.
 */
TimestampTz
deletion_stamp(void)
{
	if (!deletion_is_running())
	{
		last_stamp = Max(GetCurrentTimestamp(), last_stamp + 1);
		while (!enter_deletion(last_stamp))
			last_stamp++;
		stamp_is_current = true;
		stamp_lxid = my_local_xid();
		stamp_subid = GetCurrentSubTransactionId();
	}
	return last_stamp;
}

/*
 * Has the running client statement deleted anything in this transaction?  A
 * procedure may commit and go on: another transaction, another deletion.
 */
bool
deletion_is_running(void)
{
	return stamp_is_current && stamp_lxid == my_local_xid();
}

/*
 * Forget the stamp when the subtransaction aborts that has it in the ledger:
 * every row that carries it is gone too.
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
 * Note that a client statement begins, if it is one: not nested in another, and
 * run by a portal, as deferred triggers at commit are not.
 */
void
begin_statement(void)
{
	if (nesting == 0 && ActivePortal != NULL)
		stamp_is_current = false;
}

/*
 * Enter an executor run or a utility command: what begins in it is nested.  To
 * be left in any case.
 */
void
enter_statement(void)
{
	nesting++;
}

/*
 * Leave it.
 */
void
leave_statement(void)
{
	nesting--;
}

/*
 * ExecutorStart hook: see a client statement begin.
 */
static void
start_executor(QueryDesc *queryDesc, int eflags)
{
	begin_statement();
	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

/*
 * ExecutorRun hook: count the nesting.
 */
static void
run_executor(EXECUTOR_RUN_PARAMS)
{
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
	}
	PG_END_TRY();
}

/*
 * ExecutorFinish hook: count the nesting; AFTER triggers run here.
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
}
