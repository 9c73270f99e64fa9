/*
 * move.c
 *	  Moves all tombstones of a table to its companion, when tag() changes the storage.
 *
 * The caller has locked the table, its partitions and its companion against everybody
 * else.  Rows are read by snapshots taken now: a transaction that keeps its own would
 * not see the tombstones that others have made since.
 *
 * Invariant: every tombstone arrives with all of its values and its stamp, or the
 * command fails.  No trigger fires, no constraint is checked, and row security plays no
 * part.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "ddl/sd_ddl.h"

PG_FUNCTION_INFO_V1(soft_delete_move_aside);

static uint64 move_aside(Relation rel);

/*
 * soft_delete_internal.move_aside(relation regclass) returns bigint
 *
 * Moves the tombstones of a table that is tagged in place, and of its partitions, to its
 * companion.  Returns their number.
 *
 * Raises 42P01 if there is no such table, and what make_keeper() raises.
 */
Datum
soft_delete_move_aside(PG_FUNCTION_ARGS)
{
	Relation root = open_given_table(PG_GETARG_OID(0), AccessExclusiveLock);
	uint64 n = 0;
	ListCell *lc;

	foreach (lc, find_all_inheritors(RelationGetRelid(root), NoLock, NULL))
	{
		Relation rel = table_open(lfirst_oid(lc), AccessExclusiveLock);

		if (rel->rd_rel->relkind == RELKIND_RELATION &&
			tombstone_attribute(rel) != InvalidAttrNumber)
		{
			SavedRole saved;

			/* types and indexes may call functions of the owner */
			become_owner(rel, &saved);
			n += move_aside(rel);
			restore_role(&saved);
		}
		table_close(rel, NoLock);
	}
	table_close(root, NoLock);
	CommandCounterIncrement();
	PG_RETURN_INT64(n);
}

/*
 * Move the tombstones of one relation to the companion of its table.  Returns their
 * number.
 *
 * The table is read, not the index on stamps, which need not have all of them.
 */
static uint64
move_aside(Relation rel)
{
	Keeper *keeper = make_keeper(rel, CurrentMemoryContext);
	AttrNumber attnum = tombstone_attribute(rel);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan;
	uint64 n = 0;

	PushActiveSnapshot(GetLatestSnapshot());
	scan = begin_table_scan(rel, GetActiveSnapshot());
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Tombstone tombstone = {.storage = IN_PLACE, .tid = slot->tts_tid};
		bool is_live;

		CHECK_FOR_INTERRUPTS();
		/* a timestamp column holds UTC: the number is the same */
		tombstone.stamp = DatumGetTimestampTz(slot_getattr(slot, attnum, &is_live));
		if (is_live)
			continue;
		insert_kept(keeper, slot, tombstone.stamp);
		destroy_tombstone(rel, &tombstone);
		n++;
	}
	table_endscan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	return n;
}
