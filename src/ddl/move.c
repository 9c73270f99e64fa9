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
 * Invariants: every tombstone arrives with all of its values and its stamp, or the
 * command fails.  No trigger fires, no constraint is checked, and row security plays no
 * part.  A tombstone that live rows reference, which an application or a session without
 * triggers may have left, stays, for the reference would be to nothing.
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

/* How many tombstones move together */
#define MOVED_AT_ONCE 10000

/* The tombstones of a relation that move together, which nobody can change meanwhile */
typedef struct Batch
{
	MemoryContext context;
	CascadeTable table;
	uint64 left; /* number of those that stay */
} Batch;

PG_FUNCTION_INFO_V1(soft_delete_move_aside);

static void check_move(Oid relid);
static uint64 move_aside(Relation rel, AttrNumber nullable, uint64 *left);
static uint64 move_oldest_aside(Relation rel, uint64 most);
static Batch *begin_batch(Relation rel);
static uint64 move_batch(Batch *batch, Relation rel, TupleTableSlot *slot);

/*
 * soft_delete.move_aside(relation regclass, batch_size integer) returns bigint
 *
 * Moves tombstones of a table that is tagged in place, and of its partitions and
 * inheritance children, to its companion: the oldest ones, no more than batch_size of
 * them, while others read and write the table; or if that is null all, in
 * AccessExclusiveLock.  Returns their number: 0 if the table keeps tombstones aside.  Of
 * the oldest ones those stay that live rows reference.
 *
 * Raises 22023 for other arguments, 42501 unless the caller owns the table, 42P01 if there
 * is no such table, 42809 if it is not tagged, 23503 if live rows reference one of all, and
 * what make_keeper() raises.
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
	{
		uint64 left;

		n = move_tombstones_aside(relid, true, lockmode, NULL, &left);
		if (left > 0)
			ereport(ERROR,
					(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
					 errmsg("cannot move the deleted rows of table \"%s\" aside: live rows reference %llu of them",
							get_rel_name(relid), (unsigned long long) left),
					 errdetail("In the companion they are not what the foreign keys reference.")));
		PG_RETURN_INT64(n);
	}

	foreach (lc, find_all_inheritors(relid, lockmode, NULL))
	{
		Relation rel = table_open(lfirst_oid(lc), lockmode);

		if (rel->rd_rel->relkind == RELKIND_RELATION &&
			tombstone_attribute(rel) != InvalidAttrNumber)
			n += move_oldest_aside(rel, PG_GETARG_INT32(1) - n);
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
 * those in which the column of this name is null, but for those that live rows reference.
 * Locks the tables.  Returns the number of tombstones that have moved, and in *left that of
 * those which stay.
 */
uint64
move_tombstones_aside(Oid relid, bool recurse, LOCKMODE lockmode,
					  const char *column, uint64 *left)
{
	List *relids = recurse ? find_all_inheritors(relid, lockmode, NULL)
						   : list_make1_oid(relid);
	uint64 n = 0;
	ListCell *lc;

	*left = 0;
	foreach (lc, relids)
	{
		Relation rel = table_open(lfirst_oid(lc), lockmode);
		uint64 left_here = 0;

		if (rel->rd_rel->relkind == RELKIND_RELATION &&
			tombstone_attribute(rel) != InvalidAttrNumber)
			n += move_aside(rel,
							column == NULL ? InvalidAttrNumber
										   : get_attnum(lfirst_oid(lc), column),
							&left_here);
		*left += left_here;
		table_close(rel, NoLock);
	}
	CommandCounterIncrement();
	return n;
}

/*
 * Move the tombstones of one relation to the companion of its table, but for those that
 * live rows reference; if "nullable" is a column, only those in which that is null.
 * Returns their number, and in *left that of those which stay.
 *
 * The table is read, not the index on stamps, which need not have all of them.
 */
static uint64
move_aside(Relation rel, AttrNumber nullable, uint64 *left)
{
	AttrNumber attnum = tombstone_attribute(rel);
	bool others_write = !CheckRelationLockedByMe(rel, ShareRowExclusiveLock, true);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	Batch *batch = begin_batch(rel);
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
		append_member(batch->context, &batch->table,
					  (Member){.tombstone = tombstone});
		if (batch->table.nmembers == MOVED_AT_ONCE)
			n += move_batch(batch, rel, slot);
	}
	n += move_batch(batch, rel, slot);
	table_endscan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	*left = batch->left;
	MemoryContextDelete(batch->context);
	return n;
}

/*
 * Move the oldest tombstones of one relation to the companion of its table, no more than
 * "most" of them.  Returns their number.  One that others restore or purge is left out, and
 * so is one that live rows reference.
 */
static uint64
move_oldest_aside(Relation rel, uint64 most)
{
	const ScanPosition beginning = {0};
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	Batch *batch = begin_batch(rel);
	TombstoneScan *scan;
	SavedRole saved;
	uint64 n = 0;
	bool found = true;

	PushActiveSnapshot(GetLatestSnapshot());
	/* reading the predicate of an index may call functions of the owner */
	become_owner(rel, &saved);
	scan = begin_tombstone_scan(rel, IN_PLACE, InvalidOid, DT_NOEND, &beginning);
	restore_role(&saved);
	while (found && n < most)
	{
		/* types and indexes may call functions of the owner */
		become_owner(rel, &saved);
		while (batch->table.nmembers < Min(most - n, MOVED_AT_ONCE) &&
			   (found = next_tombstone(scan)))
		{
			Tombstone tombstone = scan->current;

			CHECK_FOR_INTERRUPTS();
			if (lock_tombstone(rel, &tombstone, NULL, slot))
				append_member(batch->context, &batch->table,
							  (Member){.tombstone = tombstone});
		}
		restore_role(&saved);
		n += move_batch(batch, rel, slot);
	}
	end_tombstone_scan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(batch->context);
	return n;
}

/*
 * Make an empty batch of tombstones of a relation.
 */
static Batch *
begin_batch(Relation rel)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "soft_delete batch",
							  ALLOCSET_DEFAULT_SIZES);
	Batch *batch = palloc0(sizeof(Batch));

	batch->context = context;
	batch->table.relid = RelationGetRelid(rel);
	return batch;
}

/*
 * Move the tombstones of a batch to the companion of their table, but for those that live
 * rows reference, and empty the batch.  Returns the number of those that have moved.
 */
static uint64
move_batch(Batch *batch, Relation rel, TupleTableSlot *slot)
{
	CascadeTable *table = &batch->table;
	MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);
	uint64 n = table->nmembers;
	SavedRole saved;
	Keeper *keeper;

	leave_referenced(table, rel);
	batch->left += n - table->nmembers;
	n = table->nmembers;
	if (n > 0)
	{
		/* types and indexes may call functions of the owner */
		become_owner(rel, &saved);
		keeper = make_keeper(rel, batch->context);
		for (uint64 i = 0; i < n; i++)
		{
			const Tombstone *tombstone = &table->members[i].tombstone;

			CHECK_FOR_INTERRUPTS();
			fetch_tombstone(rel, tombstone, slot);
			insert_kept(keeper, slot, tombstone->stamp);
			destroy_tombstone(rel, tombstone);
		}
		free_keeper(keeper);
		restore_role(&saved);
	}
	*table = (CascadeTable){.relid = RelationGetRelid(rel)};
	MemoryContextReset(batch->context);
	MemoryContextSwitchTo(oldcontext);
	return n;
}
