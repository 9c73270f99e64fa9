/*
 * move.c
 *	  Moves the tombstones of a table to its companion: all when tag() changes the
 *	  storage, batch by batch before that, those that stand in the way of a command
 *	  before that runs.
 *
 * The table and its partitions are locked.  Where that keeps no others from writing, each
 * tombstone is locked.  Rows are read by snapshots taken now: a transaction
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

static void check_move(Oid relid);
static uint64 move_aside(Relation rel, AttrNumber nullable);
static uint64 move_oldest_aside(Relation rel, uint64 most);
static void move_tombstone(Relation rel, Keeper **keeper, TupleTableSlot *slot,
						   const Tombstone *tombstone);

/*
 * soft_delete.move_aside(relation regclass, batch_size integer) returns bigint
 *
 * Moves tombstones of a table that is tagged in place, and of its partitions and
 * inheritance children, to its companion: the oldest ones, no more than batch_size of
 * them, while others read and write the table; or if that is null all, in
 * AccessExclusiveLock.  Returns their number: 0 if the table keeps tombstones aside.
 *
 * Raises 22023 for other arguments, 42501 unless the caller owns the table, 42P01 if there
 * is no such table, 42809 if it is not tagged, and what make_keeper() raises.
 */
Datum
soft_delete_move_aside(PG_FUNCTION_ARGS)
{
	bool moves_all = PG_ARGISNULL(1);
	LOCKMODE lockmode = moves_all ? AccessExclusiveLock : RowExclusiveLock;
	uint64 n = 0;
	Oid relid;
	ListCell *lc;

	if (PG_ARGISNULL(0) || (!moves_all && PG_GETARG_INT32(1) <= 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid argument of soft_delete.move_aside()"),
				 errdetail("The table must be given, and batch_size must be a positive number of rows.")));
	relid = PG_GETARG_OID(0);
	table_close(open_given_table(relid, lockmode), NoLock);
	check_move(relid);
	if (is_kept_aside(relid))
		PG_RETURN_INT64(0);
	/* the statement that calls this may have deleted rows, or moved some */
	CommandCounterIncrement();
	if (moves_all)
		PG_RETURN_INT64(move_tombstones_aside(relid, true, lockmode, NULL));

	foreach (lc, find_all_inheritors(relid, lockmode, NULL))
	{
		Relation rel = table_open(lfirst_oid(lc), lockmode);

		if (rel->rd_rel->relkind == RELKIND_RELATION &&
			tombstone_attribute(rel) != InvalidAttrNumber)
		{
			SavedRole saved;

			/* types and indexes may call functions of the owner */
			become_owner(rel, &saved);
			n += move_oldest_aside(rel, PG_GETARG_INT32(1) - n);
			restore_role(&saved);
		}
		table_close(rel, NoLock);
	}
	PG_RETURN_INT64(n);
}

/*
 * Raise an error unless the caller owns the table and it is tagged.
 */
static void
check_move(Oid relid)
{
	if (!relation_ownercheck(relid, calling_role()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	if (tag_arguments(relid) == NIL)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("table \"%s\" is not tagged", get_rel_name(relid)),
						errdetail("It has no deleted rows.")));
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
		move_tombstone(rel, &keeper, slot, &tombstone);
		n++;
	}
	table_endscan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	return n;
}

/*
 * Move the oldest tombstones of one relation to the companion of its table, no more than
 * "most" of them.  Returns their number.  One that others restore or purge is left out.
 */
static uint64
move_oldest_aside(Relation rel, uint64 most)
{
	const ScanPosition beginning = {0};
	Keeper *keeper = NULL;
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TombstoneScan *scan;
	uint64 n = 0;

	PushActiveSnapshot(GetLatestSnapshot());
	scan = begin_tombstone_scan(rel, IN_PLACE, InvalidOid, DT_NOEND, &beginning);
	while (n < most && next_tombstone(scan))
	{
		Tombstone tombstone = scan->current;

		CHECK_FOR_INTERRUPTS();
		if (!lock_tombstone(rel, &tombstone, NULL, slot))
			continue;
		move_tombstone(rel, &keeper, slot, &tombstone);
		n++;
	}
	end_tombstone_scan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	return n;
}

/*
 * Move a tombstone, whose row is in the slot, to the companion of its table.  The keeper is
 * made with the first one.
 */
static void
move_tombstone(Relation rel, Keeper **keeper, TupleTableSlot *slot,
			   const Tombstone *tombstone)
{
	if (*keeper == NULL)
		*keeper = make_keeper(rel, CurrentMemoryContext);
	insert_kept(*keeper, slot, tombstone->stamp);
	destroy_tombstone(rel, tombstone);
}
