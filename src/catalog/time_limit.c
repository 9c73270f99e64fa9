/*
 * time_limit.c
 *	  Cancels code of a table's owner that takes longer than soft_delete.owner_timeout.
 *
 * What visits the tables of many owners, as a purge does, calls code that they have
 * written, and such code may sleep.  A visit is limited by a timer, whose handler cancels
 * as statement_timeout does.  A function can catch that, and go on: so each subtransaction
 * that is rolled back then is followed by the next cancellation, before it can do anything.
 * Only a language that loops without calling the server is not stopped by it.
 *
 * What the code of an owner does on another node, where Citus has a shard, is canceled with
 * it, and may go on there, too.  Citus waits for that while it rolls back, unless it is
 * canceled again: so the timer does not stop until the limit ends.
 *
 * A command that commits by itself, as the worker runs one, has a limit, too, which its
 * transactions do not end.
 *
 * Invariant: a limit begins and ends in the same function, also after an error.  The tables
 * of the caller have none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "catalog/sd_catalog.h"

/* The longest look at some index entries, in milliseconds */
#define MAX_GLANCE 10000

/* How often what goes on is canceled, in milliseconds */
#define CANCEL_INTERVAL 100

static int owner_timeout = 600000;

/* The timer, once this session has one */
static TimeoutId timer = MAX_TIMEOUTS;

/* Does a limit run, and has its time passed? */
static bool is_limited = false;
static volatile sig_atomic_t has_expired = false;

/* Is it that of a command which commits by itself, and so not ended by a commit? */
static bool spans_transactions = false;

/* The owner whose code is limited, and those whose code this transaction has canceled */
static Oid limited_owner;
static List *late_owners = NIL;

static void start_timer(Oid owner, int timeout);
static bool stop_timer(void);
static void expire(void);
static void follow_transaction(XactEvent event, void *arg);
static void follow_subtransaction(SubXactEvent event, SubTransactionId mySubid,
								  SubTransactionId parentSubid, void *arg);

/*
 * Define the setting, and register the callbacks that see (sub)transactions end.
 */
void
init_time_limit(void)
{
	DefineCustomIntVariable("soft_delete.owner_timeout",
							"Sets how long a purge may spend on one batch of a table of another role.",
							"A batch that takes longer is canceled, and the table is left to the next purge. 0 is no limit.",
							&owner_timeout, 600000, 0, INT_MAX, PGC_USERSET,
							GUC_UNIT_MS, NULL, NULL, NULL);
	RegisterXactCallback(follow_transaction, NULL);
	RegisterSubXactCallback(follow_subtransaction, NULL);
}

/*
 * Return how many milliseconds code of the owner of a table may take, or 0 for no limit: the
 * table is the caller's, or has been dropped.
 */
int
time_limit_of(Oid relid)
{
	Oid owner = owner_of(relid);

	return OidIsValid(owner) && owner != calling_role() ? owner_timeout : 0;
}

/*
 * Begin to limit what is done with a table.  Returns whether that has begun, for
 * end_time_limit(): not if the table has no limit, nor within another one.
 */
bool
begin_time_limit(Oid relid)
{
	if (is_limited || time_limit_of(relid) == 0)
		return false;
	start_timer(owner_of(relid), owner_timeout);
	return true;
}

/*
 * Begin to limit a look at some index entries of a table, as begin_time_limit() does, to no
 * more than MAX_GLANCE.
 *
 * Raises 38000 if code of the owner has been canceled in this transaction: who looks at all
 * tables waits once for each owner, not for each table.
 */
bool
begin_glance(Oid relid)
{
	if (is_limited || time_limit_of(relid) == 0)
		return false;
	if (list_member_oid(late_owners, owner_of(relid)))
		throw_late_error();
	start_timer(owner_of(relid), Min(owner_timeout, MAX_GLANCE));
	return true;
}

/*
 * Start the timer for code of an owner.
 */
static void
start_timer(Oid owner, int timeout)
{
	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, expire);
	has_expired = false;
	is_limited = true;
	limited_owner = owner;
	enable_timeout_every(timer,
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout),
						 CANCEL_INTERVAL);
}

/*
 * End what begin_time_limit() has begun, if it has.  Returns whether the time had passed.
 */
bool
end_time_limit(bool has_begun)
{
	if (!has_begun || !is_limited || spans_transactions)
		return false;
	if (stop_timer())
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(TopTransactionContext);

		late_owners = list_append_unique_oid(late_owners, limited_owner);
		MemoryContextSwitchTo(oldcontext);
	}
	return has_expired;
}

/*
 * Stop the timer.  Returns whether the time had passed.
 */
static bool
stop_timer(void)
{
	disable_timeout(timer, false);
	is_limited = false;
	if (has_expired)
		QueryCancelPending = false; /* it may have come too late */
	return has_expired;
}

/*
 * Begin to limit a command that commits by itself, and calls code of an owner: to some
 * milliseconds, or to soft_delete.owner_timeout if that is longer.  Not if that is 0.
 */
void
begin_command_limit(int timeout)
{
	if (owner_timeout == 0)
		return;
	start_timer(InvalidOid, Max(timeout, owner_timeout));
	spans_transactions = true;
}

/*
 * End the limit of a command, if one has begun.  Returns whether the time had passed.
 */
bool
end_command_limit(void)
{
	if (!spans_transactions)
		return false;
	spans_transactions = false;
	return stop_timer();
}

/*
 * Raise the error of code that has been canceled.
 */
void
throw_late_error(void)
{
	ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
					errmsg("soft_delete.owner_timeout has passed")));
}

/*
 * Handler of the timer: cancel what runs.
 */
static void
expire(void)
{
	has_expired = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/*
 * Transaction callback: nothing outlives the transaction.
 */
static void
follow_transaction(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_ABORT && event != XACT_EVENT_COMMIT &&
		event != XACT_EVENT_PREPARE)
		return;
	(void) end_time_limit(true);
	late_owners = NIL;
}

/*
 * Subtransaction callback: cancel what goes on after it has caught the cancellation.
 */
static void
follow_subtransaction(SubXactEvent event, SubTransactionId mySubid,
					  SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && is_limited && has_expired)
		expire();
}
