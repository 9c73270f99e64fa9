/*
 * move.c
 *	  Moves the tombstones of a table to its companion: all when tag() changes the
 *	  storage, those that stand in the way of a command before that runs.
 *
 * The caller has locked the table and its partitions.  Where that keeps no others from
 * writing, each tombstone is locked.  Rows are read by snapshots taken now: a transaction
 * that keeps its own would not see the tombstones that others have made since.
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
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "ddl/sd_ddl.h"

PG_FUNCTION_INFO_V1(soft_delete_move_aside);

static uint64 move_aside(Relation rel, AttrNumber nullable);

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
	uint64 n = move_tombstones_aside(RelationGetRelid(root), true,
									 AccessExclusiveLock, NULL);

	table_close(root, NoLock);
	PG_RETURN_INT64(n);
}

/*
 * Move the tombstones of a table that is tagged in place, and if "recurse" those of its
 * partitions and inheritance children, to their companions; if "column" is not NULL, only
 * those in which the column of this name is null.  Locks the tables.  Returns the number
 * of tombstones.
 */
uint64
move_tombstones_aside(Oid relid, bool recurse, LOCKMODE lockmode, const char *column)
{
	List *relids = recurse ? find_all_inheritors(relid, lockmode, NULL)
						   : list_make1_oid(relid);
	uint64 n = 0;
	ListCell *lc;

	foreach (lc, relids)
	{
		Relation rel = table_open(lfirst_oid(lc), lockmode);

		if (rel->rd_rel->relkind == RELKIND_RELATION &&
			tombstone_attribute(rel) != InvalidAttrNumber)
		{
			SavedRole saved;

			/* types and indexes may call functions of the owner */
			become_owner(rel, &saved);
			n += move_aside(rel, column == NULL
									 ? InvalidAttrNumber
									 : get_attnum(lfirst_oid(lc), column));
			restore_role(&saved);
		}
		table_close(rel, NoLock);
	}
	CommandCounterIncrement();
	return n;
}

/*
 * Move the tombstones of one relation to the companion of its table; if "nullable" is a
 * column, only those in which that is null.  Returns their number.
 *
 * The table is read, not the index on stamps, which need not have all of them.
 */
static uint64
move_aside(Relation rel, AttrNumber nullable)
{
	Keeper *keeper = NULL;
	AttrNumber attnum = tombstone_attribute(rel);
	bool others_write = !CheckRelationLockedByMe(rel, ShareRowExclusiveLock, true);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan;
	uint64 n = 0;

	PushActiveSnapshot(GetLatestSnapshot());
	scan = begin_table_scan(rel, GetActiveSnapshot());
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Tombstone tombstone = {.storage = IN_PLACE, .tid = slot->tts_tid};
		bool is_live, is_null = true;

		CHECK_FOR_INTERRUPTS();
		/* a timestamp column holds UTC: the number is the same */
		tombstone.stamp = DatumGetTimestampTz(slot_getattr(slot, attnum, &is_live));
		if (!is_live && nullable != InvalidAttrNumber)
			(void) slot_getattr(slot, nullable, &is_null);
		/* one that others restore or purge is not in the way any more */
		if (is_live || !is_null ||
			(others_write && !lock_tombstone(rel, &tombstone, NULL, slot)))
			continue;
		if (keeper == NULL)
			keeper = make_keeper(rel, CurrentMemoryContext);
		insert_kept(keeper, slot, tombstone.stamp);
		destroy_tombstone(rel, &tombstone);
		n++;
	}
	table_endscan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	return n;
}
