/*
 * counter.c
 *	  Counts the rows that a deletion deletes from each table.
 *
 * The counts are kept in memory while a client statement runs, and recorded at its end
 * as events (ledger.c): a statement that deletes one row needs none, for its row of the
 * ledger stands for that.  What is not recorded by then, such as what a statement has
 * deleted that was running when the library was loaded, is recorded before the
 * transaction is committed or prepared.
 *
 * Invariant: the counts are those of rows that are committed with them.  Rows of a
 * subtransaction that aborts are not counted.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "storage/sd_storage.h"

/* The rows that a subtransaction has deleted from a relation in one deletion */
typedef struct DeletedRows
{
	TimestampTz stamp;
	Oid relid;		  /* InvalidOid after the subtransaction has aborted */
	char *table_name; /* of now, for the statement may drop the table */
	SubTransactionId subid;
	int64 rows; /* without the one that the ledger stands for */
} DeletedRows;

/* In TopTransactionContext; NULL if nothing was counted in the transaction */
static DeletedRows *counts = NULL;
static int ncounts = 0;
static int nallocated = 0;
static int current = 0; /* number of the one that was counted last */

static void end_transaction(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
							   SubTransactionId parentSubid, void *arg);
static bool is_count_of(const DeletedRows *count, TimestampTz stamp, Oid relid);
static int find_count(TimestampTz stamp, Oid relid);
static int64 take_rows_of(int n);

/*
 * Register the callbacks that see transactions and subtransactions end.
 */
void
init_counter(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * Count rows that a deletion has deleted from a relation.
 */
void
count_deleted(TimestampTz stamp, Oid relid, int rows)
{
	if (current >= ncounts || !is_count_of(&counts[current], stamp, relid))
		current = find_count(stamp, relid);
	counts[current].rows += rows;
}

/*
 * Are these rows of that deletion, that relation and the current subtransaction?
 */
static bool
is_count_of(const DeletedRows *count, TimestampTz stamp, Oid relid)
{
	return count->relid == relid && count->stamp == stamp &&
		   count->subid == GetCurrentSubTransactionId();
}

/*
 * Return the number of the count of rows that the current subtransaction has deleted
 * from a relation, which is a new one if there is none.
 */
static int
find_count(TimestampTz stamp, Oid relid)
{
	for (int i = 0; i < ncounts; i++)
	{
		if (is_count_of(&counts[i], stamp, relid))
			return i;
	}
	counts = grow_if_full(TopTransactionContext, counts, ncounts, &nallocated,
						  sizeof(DeletedRows));
	counts[ncounts] =
		(DeletedRows){.stamp = stamp,
					  .relid = relid,
					  .table_name = MemoryContextStrdup(TopTransactionContext,
														recorded_name(relid)),
					  .subid = GetCurrentSubTransactionId()};
	return ncounts++;
}

/*
 * Record what was counted as events, one for each table and deletion.
 */
void
record_counts(void)
{
	bool needs_snapshot = ncounts > 0 && !ActiveSnapshotSet();

	/* a transaction that commits has none any more */
	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	for (int i = 0; i < ncounts; i++)
	{
		Event event = {.stamp = counts[i].stamp, .table_name = counts[i].table_name};

		if (!OidIsValid(counts[i].relid))
			continue;
		event.rows = take_rows_of(i);
		if (event.rows != 0)
			record_events(EVENT_OF_DELETION, &event, 1, 0);
	}
	if (needs_snapshot)
		PopActiveSnapshot();
	ncounts = 0;
}

/*
 * Return how many rows were deleted from the table of number "n" from there on: what its
 * partitions and other subtransactions have counted is one with it, and is not counted
 * again.
 */
static int64
take_rows_of(int n)
{
	int64 rows = counts[n].rows;

	for (int i = n + 1; i < ncounts; i++)
	{
		if (OidIsValid(counts[i].relid) && counts[i].stamp == counts[n].stamp &&
			strcmp(counts[i].table_name, counts[n].table_name) == 0)
		{
			rows += counts[i].rows;
			counts[i].relid = InvalidOid;
		}
	}
	return rows;
}

/*
 * Record what was counted before the transaction is committed or prepared, and forget
 * it when the transaction ends, which frees it (transaction callback).
 */
static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		record_counts();
	else if (event != XACT_EVENT_PARALLEL_PRE_COMMIT)
	{
		counts = NULL;
		ncounts = nallocated = 0;
	}
}

/*
 * When a subtransaction ends, its rows become those of its parent, or are not deleted
 * any more (subtransaction callback).
 */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
				   SubTransactionId parentSubid, void *arg)
{
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = 0; i < ncounts; i++)
	{
		if (counts[i].subid != mySubid)
			continue;
		counts[i].subid = parentSubid;
		if (event == SUBXACT_EVENT_ABORT_SUB)
			counts[i].relid = InvalidOid;
	}
}
