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
	Oid relid;		  /* InvalidOid when it is recorded with another one */
	char *table_name; /* of now, for the statement may drop the table */
	SubTransactionId subid;
	int64 rows; /* without the one that the ledger stands for */
} DeletedRows;

/*
 * In TopTransactionContext; NULL if nothing was counted in the transaction.  Those of the
 * current subtransaction are the last ones.
 */
static DeletedRows *counts = NULL;
static int ncounts = 0;
static int nallocated = 0;
static int current = 0; /* number of the one that was counted last */

static void end_transaction(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
							   SubTransactionId parentSubid, void *arg);
static bool is_count_of(const DeletedRows *count, TimestampTz stamp, Oid relid,
						SubTransactionId subid);
static int find_count(TimestampTz stamp, Oid relid);
static void forget_counts(int first);
static void merge_counts(int first, SubTransactionId subid);
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
	if (current >= ncounts || !is_count_of(&counts[current], stamp, relid,
										   GetCurrentSubTransactionId()))
		current = find_count(stamp, relid);
	counts[current].rows += rows;
}

/*
 * Are these rows of that deletion, that relation and that subtransaction?
 */
static bool
is_count_of(const DeletedRows *count, TimestampTz stamp, Oid relid,
			SubTransactionId subid)
{
	return count->relid == relid && count->stamp == stamp && count->subid == subid;
}

/*
 * Return the number of the count of rows that the current subtransaction has deleted
 * from a relation, which is a new one if there is none.
 */
static int
find_count(TimestampTz stamp, Oid relid)
{
	SubTransactionId subid = GetCurrentSubTransactionId();

	for (int i = ncounts - 1; i >= 0 && counts[i].subid == subid; i--)
	{
		if (is_count_of(&counts[i], stamp, relid, subid))
			return i;
	}
	counts = grow_if_full(TopTransactionContext, counts, ncounts, &nallocated,
						  sizeof(DeletedRows));
	counts[ncounts] =
		(DeletedRows){.stamp = stamp,
					  .relid = relid,
					  .table_name = MemoryContextStrdup(TopTransactionContext,
														recorded_name(relid)),
					  .subid = subid};
	return ncounts++;
}

/*
 * Forget what was counted from that number on.
 */
static void
forget_counts(int first)
{
	while (ncounts > first)
		pfree(counts[--ncounts].table_name);
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
	forget_counts(0);
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
	int first = ncounts;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (first > 0 && counts[first - 1].subid == mySubid)
		first--;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		merge_counts(first, parentSubid);
	else
		forget_counts(first);
}

/*
 * Add what was counted from that number on, in a subtransaction, to what its parent has
 * counted.
 */
static void
merge_counts(int first, SubTransactionId subid)
{
	int end = ncounts;

	ncounts = first;
	for (int i = first; i < end; i++)
	{
		int n = first - 1;

		while (n >= 0 && counts[n].subid == subid &&
			   !is_count_of(&counts[n], counts[i].stamp, counts[i].relid, subid))
			n--;
		if (n >= 0 && counts[n].subid == subid)
		{
			counts[n].rows += counts[i].rows;
			pfree(counts[i].table_name);
			continue;
		}
		counts[ncounts] = counts[i];
		counts[ncounts++].subid = subid;
	}
}
