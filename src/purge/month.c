/*
 * month.c
 *	  Makes the months of companions (catalog/companion.c) ahead, and drops a month instead of
 *	  purging its rows.
 *
 * A month that has ended is dropped when all of its rows are due, none may be held, and
 * none is referenced by a row outside of it.  Its rows are counted before, so that the
 * ledger and the log say what a purge of each row would have made them say.  Else, or where
 * another session is using the month, its rows are purged one by one, as all others are
 * (purge.c), and the next purge finds it empty.
 *
 * The locks of a drop are tried and never waited for, for others would queue behind it.  A
 * lock that lets others read comes first, while references are looked for.
 *
 * Invariant: from the look at the rows to the drop, no other session can insert, lock or
 * restore one.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "purge/sd_purge.h"

/* How often a lock is tried, and how many milliseconds pass between */
#define LOCK_TRIES 20
#define LOCK_PAUSE 10L

static bool drop_month(PurgeScan *scan, PurgeLeaf *leaf);
static bool has_ended(const PurgeLeaf *leaf);
static bool try_lock(Oid relid, LOCKMODE lockmode);
static bool has_dependents(Oid month);
static uint64 read_stamps(const PurgeLeaf *leaf);
static bool are_due(const PurgeLeaf *leaf, uint64 nstamps);
static void count_rows(PurgeScan *scan, PurgeLeaf *leaf, uint64 nstamps);
static TimestampTz nth_stamp(uint64 n);
static int64 nth_count(uint64 n);

/*
 * Make this month and the next one of the companions of a scan that get months.
 */
void
make_next_months(PurgeScan *scan)
{
	for (int i = 0; i < scan->nroots; i++)
	{
		Oid companion = companion_of(scan->roots[i].relid);

		if (OidIsValid(companion) && gets_months(companion))
			call_internal("make_months", 1, (Oid[]){REGCLASSOID},
						  (Datum[]){ObjectIdGetDatum(scan->roots[i].relid)});
	}
}

/*
 * Drop those of the months that a scan would read whose rows can go with them.
 */
void
drop_due_months(PurgeScan *scan)
{
	for (int i = 0; i < scan->nleaves; i++)
	{
		PurgeLeaf *leaf = &scan->leaves[i];
		Relation rel = OidIsValid(leaf->month) && leaf->root->has_limit
						   ? open_leaf(leaf, calling_role())
						   : NULL;

		CHECK_FOR_INTERRUPTS();
		if (rel == NULL)
			continue;
		leaf->is_dropped = drop_month(scan, leaf);
		table_close(rel, NoLock);
	}
}

/*
 * Drop the month that a leaf of the scan is, if its rows can go with it, and count them.
 * Returns whether it is gone.  Its table is open.
 */
static bool
drop_month(PurgeScan *scan, PurgeLeaf *leaf)
{
	bool is_done = false;
	uint64 nstamps;

	if (!has_ended(leaf))
		return false;
	/* before the rows, as for rows that are purged one by one */
	lock_holds(list_make1_oid(leaf->relid), ShareLock);
	if (may_be_held(leaf->relid) || !try_lock(leaf->month, ShareLock))
		return false;
	/* a purge of another session may have dropped it */
	if (get_rel_name(leaf->month) == NULL)
		return true;

	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (!any_reference_to(scan, leaf))
	{
		nstamps = read_stamps(leaf);
		if (are_due(leaf, nstamps) && try_lock(leaf->month, AccessExclusiveLock) &&
			!has_dependents(leaf->month))
		{
			count_rows(scan, leaf, nstamps);
			is_done = true;
		}
	}
	SPI_finish();
	PopActiveSnapshot();
	if (!is_done)
		return false;
	call_internal("drop_month", 1, (Oid[]){REGCLASSOID},
				  (Datum[]){ObjectIdGetDatum(leaf->month)});
	CommandCounterIncrement();
	return true;
}

/*
 * Has the month ended so long ago that its rows are due?
 */
static bool
has_ended(const PurgeLeaf *leaf)
{
	ListCell *lc;

	foreach (lc, months_of(companion_of(leaf->relid)))
	{
		Month *month = lfirst(lc);

		if (month->relid == leaf->month)
			return month->until <= leaf->root->limit;
	}
	return false;
}

/*
 * Try for a moment to lock a relation, without others having to wait behind.
 */
static bool
try_lock(Oid relid, LOCKMODE lockmode)
{
	for (int i = 0; i < LOCK_TRIES; i++)
	{
		if (ConditionalLockRelationOid(relid, lockmode))
			return true;
		CHECK_FOR_INTERRUPTS();
		pg_usleep(LOCK_PAUSE * 1000);
	}
	ereport(MyBackendType == B_BG_WORKER ? LOG : NOTICE,
			(errmsg("table \"%s\" is in use, so its rows are purged one by one",
					get_rel_name(relid)),
			 errdetail("A purge that finds it free and due drops it.")));
	return false;
}

/*
 * Does an object depend on a month?  Anybody who may use the schema can make a view upon it,
 * and DROP TABLE would fail.
 */
static bool
has_dependents(Oid month)
{
	if (call_internal_for_number("count_month_dependents", 1, (Oid[]){REGCLASSOID},
								 (Datum[]){ObjectIdGetDatum(month)}) == 0)
		return false;
	ereport(MyBackendType == B_BG_WORKER ? LOG : NOTICE,
			(errmsg("other objects depend on table \"%s\", so its rows are purged one by one",
					get_rel_name(month))));
	return true;
}

/*
 * Read the stamps of the rows of a month, and how many rows have each, into SPI_tuptable.
 * Returns the number of stamps.
 */
static uint64
read_stamps(const PurgeLeaf *leaf)
{
	Relation month = table_open(leaf->month, NoLock);
	const char *stamp =
		quote_identifier(get_attname(leaf->month, stamp_attribute(month), false));
	char *query =
		psprintf("SELECT %s, pg_catalog.count(*) FROM ONLY %s GROUP BY 1 ORDER BY 1",
				 stamp, qualified_name(leaf->month));

	table_close(month, NoLock);
	return execute_as_owner(leaf->relid, query, 0, NULL, NULL, SPI_OK_SELECT);
}

/*
 * Are the rows due that read_stamps() has found?  A session that restores a dump can insert
 * others than those of the month.
 */
static bool
are_due(const PurgeLeaf *leaf, uint64 nstamps)
{
	return nstamps == 0 || nth_stamp(nstamps - 1) < leaf->root->limit;
}

/*
 * Count the rows that read_stamps() has found as purged.
 */
static void
count_rows(PurgeScan *scan, PurgeLeaf *leaf, uint64 nstamps)
{
	PurgeTable *root = leaf->root;

	for (uint64 i = 0; i < nstamps; i++)
	{
		TimestampTz stamp = nth_stamp(i);

		CHECK_FOR_INTERRUPTS();
		tally_rows(scan->tally, leaf->relid, stamp, nth_count(i));
		if (root->purged == 0)
			root->oldest = root->newest = stamp;
		root->purged += nth_count(i);
		root->oldest = Min(root->oldest, stamp);
		root->newest = Max(root->newest, stamp);
	}
}

/*
 * Return the nth stamp that read_stamps() has found.
 */
static TimestampTz
nth_stamp(uint64 n)
{
	bool isnull;

	return DatumGetTimestampTz(
		SPI_getbinval(SPI_tuptable->vals[n], SPI_tuptable->tupdesc, 1, &isnull));
}

/*
 * Return how many rows have the nth stamp that read_stamps() has found.
 */
static int64
nth_count(uint64 n)
{
	bool isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[n],
									   SPI_tuptable->tupdesc, 2, &isnull));
}
