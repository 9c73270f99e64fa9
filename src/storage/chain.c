/*
 * chain.c
 *	  Ends the chain of a row's versions where the row was deleted.
 *
 * Who changes or locks a row that others have changed in the meantime follows the chain
 * of its versions to the newest one.  If the row was deleted, that is a tombstone.  To
 * lock it would be to wait for a session that moves it aside, or to deadlock with it,
 * where a hard delete has left nothing to wait for.  So while a statement runs that locks
 * rows of tables in place, rd_tableam of these is a copy of their access method's
 * routine in which only tuple_lock differs.
 *
 * Invariant: a tombstone is passed over only on the way from a live version, and only
 * by statements that cannot see tombstones.  Of the versions on that way none but the
 * newest is locked: heap_lock_tuple() may have locked others before it failed, and takes
 * what a transaction has locked already for locked whatever has come of it since.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "storage/sd_storage.h"

/* A table access method's routine, and our copy in which one function differs */
typedef struct RoutineCopy
{
	const TableAmRoutine *original;
	TableAmRoutine copy;
} RoutineCopy;

static List *chain_routines = NIL; /* RoutineCopy with our tuple_lock */

static ExecutorRun_hook_type prev_ExecutorRun = NULL;

static void run_executor(EXECUTOR_RUN_PARAMS);
static List *arm_locks(EState *estate, PlannedStmt *stmt);
static List *arm_lock(List *armed, Relation rel);
static void disarm_locks(List *armed);
static const TableAmRoutine *chain_routine(const TableAmRoutine *original);
static const RoutineCopy *armed_routine(const TableAmRoutine *routine);
static const TableAmRoutine *original_routine(Relation rel);
static TM_Result lock_live_version(Relation rel, ItemPointer tid, Snapshot snapshot,
								   TupleTableSlot *slot, CommandId cid,
								   LockTupleMode mode, LockWaitPolicy wait_policy,
								   uint8 flags, TM_FailureData *tmfd);
static bool follow_versions(Relation rel, ItemPointer tid,
							const TM_FailureData *tmfd, TupleTableSlot *slot);
static bool is_replaced(TupleTableSlot *slot, ItemPointer next,
						TransactionId *updater);
static bool fetch_any_version(Relation rel, ItemPointer tid,
							  TupleTableSlot *slot, bool *is_live);

/*
 * Install the hook that is called when a statement runs.
 */
void
init_chain(void)
{
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = run_executor;
}

/*
 * Run a statement, with the routines of the tables whose rows it locks replaced
 * (ExecutorRun hook).
 */
static void
run_executor(EXECUTOR_RUN_PARAMS)
{
	ExecutorRun_hook_type next =
		prev_ExecutorRun ? prev_ExecutorRun : standard_ExecutorRun;
	List *armed = arm_locks(queryDesc->estate, queryDesc->plannedstmt);

	if (armed == NIL)
	{
		next(EXECUTOR_RUN_ARGS);
		return;
	}
	PG_TRY();
	{
		next(EXECUTOR_RUN_ARGS);
	}
	PG_FINALLY();
	{
		disarm_locks(armed);
	}
	PG_END_TRY();
}

/*
 * Replace the routines of the tables whose rows a statement locks.  Returns those tables
 * (Relation), which stay open until the statement ends.
 */
static List *
arm_locks(EState *estate, PlannedStmt *stmt)
{
	List *armed = NIL;
	ListCell *lc;

	/* an INSERT waits for the keys of others, and follows no chain */
	if (stmt->commandType != CMD_INSERT || stmt->hasModifyingCTE)
	{
		foreach (lc, estate->es_opened_result_relations)
			armed = arm_lock(armed, lfirst_node(ResultRelInfo, lc)->ri_RelationDesc);
	}
	for (Index i = 0;
		 estate->es_rowmarks != NULL && i < estate->es_range_table_size; i++)
	{
		const ExecRowMark *mark = estate->es_rowmarks[i];

		if (mark != NULL && RowMarkRequiresRowShareLock(mark->markType))
			armed = arm_lock(armed, mark->relation);
	}
	return armed;
}

/*
 * Replace the routine of a relation, which may be NULL, if it has tombstones that the
 * statement cannot see, and add it to the list.
 */
static List *
arm_lock(List *armed, Relation rel)
{
	if (rel == NULL || rel->rd_tableam == NULL || !has_tag(rel) ||
		armed_routine(rel->rd_tableam) != NULL || keeps_aside(rel) ||
		shows_deleted() || reads_tombstones(RelationGetRelid(rel)) ||
		/* what asks about the column of a bridge sees them */
		(is_bridged(RelationGetRelid(rel)) &&
		 may_see_tombstones(RelationGetRelid(rel), GetUserId())))
		return armed;
	rel->rd_tableam = chain_routine(rel->rd_tableam);
	return lappend(armed, rel);
}

/*
 * Set the routines of relations back.  A relation that was invalidated has its own.
 */
static void
disarm_locks(List *armed)
{
	ListCell *lc;

	foreach (lc, armed)
	{
		Relation rel = lfirst(lc);
		const RoutineCopy *routine = armed_routine(rel->rd_tableam);

		if (routine != NULL)
			rel->rd_tableam = routine->original;
	}
}

/*
 * Return the copy of a table access method's routine that locks live versions.
 */
static const TableAmRoutine *
chain_routine(const TableAmRoutine *original)
{
	TableAmRoutine *copy = copy_routine(&chain_routines, original);

	copy->tuple_lock = lock_live_version;
	return copy;
}

/*
 * Return our copy of a table access method's routine, in which the caller replaces a
 * function.  It is made when it is first used, and kept for the session, in the list of
 * those in which that function is replaced.
 */
TableAmRoutine *
copy_routine(List **copies, const TableAmRoutine *original)
{
	RoutineCopy *routine;
	MemoryContext oldcontext;
	ListCell *lc;

	foreach (lc, *copies)
	{
		routine = lfirst(lc);
		if (routine->original == original)
			return &routine->copy;
	}
	oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	routine = palloc(sizeof(RoutineCopy));
	routine->original = original;
	routine->copy = *original;
	*copies = lappend(*copies, routine);
	MemoryContextSwitchTo(oldcontext);
	return &routine->copy;
}

/*
 * Return what a routine is a copy of, or NULL if it is none of ours.
 */
static const RoutineCopy *
armed_routine(const TableAmRoutine *routine)
{
	ListCell *lc;

	foreach (lc, chain_routines)
	{
		const RoutineCopy *known = lfirst(lc);

		if (&known->copy == routine)
			return known;
	}
	return NULL;
}

/*
 * Return the routine of a relation, whether or not it is replaced.
 */
static const TableAmRoutine *
original_routine(Relation rel)
{
	const RoutineCopy *routine = armed_routine(rel->rd_tableam);

	return routine != NULL ? routine->original : rel->rd_tableam;
}

/*
 * Lock the newest version of a row exclusively, also if that is a tombstone, unless
 * the transaction keeps its snapshot, and fetch it into the slot.  The result is that
 * of table_tuple_lock().
 */
TM_Result
lock_last_version(Relation rel, ItemPointer tid, TupleTableSlot *slot)
{
	uint8 flags = IsolationUsesXactSnapshot() ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
	TM_FailureData tmfd;

	return original_routine(rel)->tuple_lock(rel, tid, GetActiveSnapshot(),
											 slot, GetCurrentCommandId(true),
											 LockTupleExclusive, LockWaitBlock,
											 flags, &tmfd);
}

/*
 * tuple_lock of a table in place: lock a row, and with FIND_LAST_VERSION the newest
 * version of it, unless that is a tombstone.  Then the row is deleted.
 *
 * The chain is followed as heapam_tuple_lock() does, but for a look at each version on
 * the way.
 */
static TM_Result
lock_live_version(Relation rel, ItemPointer tid, Snapshot snapshot,
				  TupleTableSlot *slot, CommandId cid, LockTupleMode mode,
				  LockWaitPolicy wait_policy, uint8 flags, TM_FailureData *tmfd)
{
	const TableAmRoutine *original = original_routine(rel);
	bool traversed = false;

	for (;;)
	{
		TM_Result result =
			original->tuple_lock(rel, tid, snapshot, slot, cid, mode, wait_policy,
								 flags & ~TUPLE_LOCK_FLAG_FIND_LAST_VERSION, tmfd);
		bool is_live;

		if (result != TM_Updated || (flags & TUPLE_LOCK_FLAG_FIND_LAST_VERSION) == 0)
		{
			tmfd->traversed = traversed;
			return result;
		}
		if (ItemPointerIndicatesMovedPartitions(&tmfd->ctid) ||
			!fetch_any_version(rel, tid, slot, &is_live) || !is_live)
			return original->tuple_lock(rel, tid, snapshot, slot, cid, mode,
										wait_policy, flags, tmfd);
		if (!follow_versions(rel, tid, tmfd, slot))
		{
			ExecClearTuple(slot);
			return TM_Deleted;
		}
		traversed = true;
	}
}

/*
 * Follow the versions of a row from the one that a lock has found replaced, as "tmfd"
 * says, to the newest that is committed.  Returns false if there is none that is live.
 * Else "tid" is its place, as callers of tuple_lock expect.
 */
static bool
follow_versions(Relation rel, ItemPointer tid, const TM_FailureData *tmfd,
				TupleTableSlot *slot)
{
	ItemPointerData next = tmfd->ctid;
	TransactionId updater = tmfd->xmax;

	do
	{
		bool is_live;

		if (!fetch_any_version(rel, &next, slot, &is_live) || !is_live ||
			!TransactionIdEquals(xmin_of(slot), updater))
			return false;
		*tid = next;
	} while (is_replaced(slot, &next, &updater));
	return true;
}

/*
 * Has a committed transaction replaced the version in the slot by another one in the
 * same table?  If so, sets the place of that and the transaction.
 */
static bool
is_replaced(TupleTableSlot *slot, ItemPointer next, TransactionId *updater)
{
	Buffer buffer = ((BufferHeapTupleTableSlot *) slot)->buffer;
	HeapTupleHeader header = ((HeapTupleTableSlot *) slot)->tuple->t_data;
	bool is_updated;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	is_updated = (header->t_infomask & HEAP_XMAX_INVALID) == 0 &&
				 !HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
				 !HeapTupleHeaderIndicatesMovedPartitions(header) &&
				 !ItemPointerEquals(&slot->tts_tid, &header->t_ctid);
	if (is_updated)
	{
		*next = header->t_ctid;
		*updater = HeapTupleHeaderGetUpdateXid(header);
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return is_updated && !TransactionIdIsInProgress(*updater) &&
		   TransactionIdDidCommit(*updater);
}

/*
 * Fetch the version at a place, whoever sees it, and return whether there is one.  Sets
 * whether it is live.
 */
static bool
fetch_any_version(Relation rel, ItemPointer tid, TupleTableSlot *slot, bool *is_live)
{
	if (!table_tuple_fetch_row_version(rel, tid, SnapshotAny, slot))
		return false;
	(void) slot_getattr(slot, tombstone_attribute(rel), is_live);
	return true;
}
