/*
 * adopt.c
 *	  Takes over rows that an application has deleted before their table was bridged.
 *
 * Such a row becomes a tombstone, with the time that the application's column gives, or
 * else that of the adoption.  It was deleted long ago: no trigger fires, no foreign key
 * acts, and the ledger does not know the deletion.
 *
 * Invariant: what the column does not say to be deleted stays live.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "storage/sd_storage.h"

static bool is_out_of_step(const Adopter *adopter, TupleTableSlot *row);
static TimestampTz time_of_row(const Adopter *adopter, TupleTableSlot *row);

/*
 * Return what adopting rows of a bridged relation needs.  It is kept until the adopter's
 * memory context is reset.
 */
Adopter *
make_adopter(Relation rel)
{
	Adopter *adopter = palloc(sizeof(Adopter));

	adopter->attnum = tombstone_attribute(rel);
	adopter->builder = make_tombstone_builder(rel, CurrentMemoryContext);
	find_tombstone_indexes(adopter->builder, rel, adopter->attnum);
	adopter->row = table_slot_create(rel, NULL);
	return adopter;
}

/*
 * Release what make_adopter() has made.
 */
void
free_adopter(Adopter *adopter)
{
	ExecDropSingleTupleTableSlot(adopter->row);
	FreeExecutorState(adopter->builder->estate);
	pfree(adopter);
}

/*
 * Make a tombstone of the row at a place, if its newest version is live and the column of
 * the bridge says that it is deleted, or let that say so, if it is a tombstone that says
 * live.  Returns whether it has done either.
 *
 * Raises what lock_newest_version() and write_tombstone() raise.
 */
bool
adopt_row(Relation rel, Adopter *adopter, const ItemPointerData *place)
{
	ItemPointerData tid = *place;
	TM_FailureData tmfd;

	if (!lock_newest_version(rel, &tid, adopter->row) ||
		!is_out_of_step(adopter, adopter->row))
		return false;
	if (write_stamped(adopter->builder, rel, &adopter->row->tts_tid, adopter->row,
					  time_of_row(adopter, adopter->row), GetCurrentCommandId(true),
					  GetActiveSnapshot(), InvalidSnapshot, true, &tmfd) != TM_Ok)
		elog(ERROR, "could not replace a locked row");
	return true;
}

/*
 * Do the tombstone column of a row and the column of the bridge contradict each other?
 */
static bool
is_out_of_step(const Adopter *adopter, TupleTableSlot *row)
{
	return slot_attisnull(row, adopter->attnum) ==
		   row_says_deleted(adopter->builder->bridge, row);
}

/*
 * Return the time at which a row was deleted: its stamp, if it is a tombstone, or what the
 * column of the bridge tells.
 */
static TimestampTz
time_of_row(const Adopter *adopter, TupleTableSlot *row)
{
	bool isnull;
	Datum value = slot_getattr(row, adopter->attnum, &isnull);

	return isnull ? told_time(adopter->builder->bridge, row)
				  : DatumGetTimestampTz(value);
}

/*
 * Return the time at which a row was deleted that the column of the bridge says to be
 * deleted, as that tells, or else that of the adoption.
 *
 * Then each row gets another one: it is not known which rows were deleted together, and
 * what has one stamp comes back together.
 */
TimestampTz
told_time(const Bridge *bridge, TupleTableSlot *row)
{
	static TimestampTz last = 0;
	bool isnull;
	Datum value = slot_getattr(row, bridge->attnum, &isnull);
	TimestampTz time;

	if (!time_of_deletion(bridge, value, &time))
		time = last = Max(GetCurrentTimestamp(), last + 1);
	return time;
}

/*
 * Adopt the rows of some blocks of a relation whose tombstones are in place.  Returns
 * their number.
 */
int64
adopt_blocks(Relation rel, BlockNumber first, BlockNumber last)
{
	Adopter *adopter = make_adopter(rel);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	ItemPointerData low, high;
	TableScanDesc scan;
	int64 count = 0;

	ItemPointerSet(&low, first, FirstOffsetNumber);
	ItemPointerSet(&high, last, MaxOffsetNumber);
	PushActiveSnapshot(GetLatestSnapshot());
	scan = begin_range_scan(rel, GetActiveSnapshot(), &low, &high);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_out_of_step(adopter, slot) && adopt_row(rel, adopter, &slot->tts_tid))
			count++;
	}
	table_endscan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	free_adopter(adopter);
	return count;
}
