/*
 * in_place.c
 *	  Locks, reads, restores and destroys tombstones that are in their table.
 *
 * The functions at the end, on places and indexes, are also for other storages.
 *
 * Invariant: a place (ctid) that comes from outside of the extension is checked
 * before it is passed to a table access method, which relies on it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "storage/sd_storage.h"

/* A tombstone that was read without an index */
typedef struct ReadTombstone
{
	ItemPointerData tid;
	TimestampTz stamp;
	TransactionId xmin; /* of the version that was read */
} ReadTombstone;

/* A scan of tombstones in their table, or in a companion */
typedef struct InPlaceScan
{
	Relation rel;		  /* that relation */
	AttrNumber attnum;	  /* its column for stamps */
	TupleTableSlot *slot; /* the row that was read last */
	ScanPosition start;	  /* where the scan begins, if it is resumable */

	/* if there is an index on stamps: */
	Relation index; /* NULL if there is none */
	IndexScanDesc index_scan;

	/* if there is none: all tombstones, sorted by age */
	ReadTombstone *rows;
	int nrows;
	int nallocated; /* length of "rows" */
	int next;		/* index of the next one to return */
} InPlaceScan;

static bool may_have_any(Oid relid);
static bool lock_in_place(Relation rel, Tombstone *tombstone);
static bool peek_in_place(Relation rel, Tombstone *tombstone, TupleTableSlot *slot);
static void fetch_in_place(Relation rel, const Tombstone *tombstone,
						   TupleTableSlot *slot);
static bool is_version_in_place(Relation rel, const Tombstone *tombstone,
								Oid file, TransactionId xmin, Snapshot snapshot,
								TupleTableSlot *slot);
static TupleTableSlot *restore_in_place(ResultRelInfo *relinfo,
										VersionBuilder *builder,
										Tombstone *tombstone, TupleTableSlot *old,
										MakeRoom make_room, List **recheck);
static TM_Result destroy_in_place(Relation rel, const Tombstone *tombstone,
								  bool waits);
static void begin_in_place_scan(TombstoneScan *scan, const ScanPosition *position);
static void begin_stamp_index_scan(TombstoneScan *scan, InPlaceScan *state);
static bool next_in_stamp_index(TombstoneScan *scan, InPlaceScan *state);
static void read_all_tombstones(TombstoneScan *scan, InPlaceScan *state);
static int compare_by_age(const void *a, const void *b);
static bool is_stamp_index(Relation index, AttrNumber attnum);
static bool begins_with_stamp(Relation index, AttrNumber attnum);

const StorageRoutine in_place_storage = {
	.sample = "deleted",
	.sees_live_rows = true,
	.may_share_keys = false,
	.may_have_any = may_have_any,
	.lock = lock_in_place,
	.peek = peek_in_place,
	.fetch = fetch_in_place,
	.is_version = is_version_in_place,
	.restore = restore_in_place,
	.destroy = destroy_in_place,
	.begin_scan = begin_in_place_scan,
	.next = next_in_place,
	.end_scan = end_in_place_scan,
};

/*
 * May a table have tombstones in it (StorageRoutine.may_have_any)?
 */
static bool
may_have_any(Oid relid)
{
	return is_tagged_in_place(relid);
}

/*
 * Lock the newest version of a row, and return whether that is a tombstone
 * (StorageRoutine.lock).
 */
static bool
lock_in_place(Relation rel, Tombstone *tombstone)
{
	TupleTableSlot *row = table_slot_create(rel, NULL);
	bool isnull = true;

	if (lock_newest_version(rel, &tombstone->tid, row))
	{
		tombstone->tid = row->tts_tid;
		tombstone->stamp = DatumGetTimestampTz(
			slot_getattr(row, tombstone_attribute(rel), &isnull));
	}
	ExecDropSingleTupleTableSlot(row);
	return !isnull;
}

/*
 * Fetch the version at a place, and return whether that is a tombstone
 * (StorageRoutine.peek).
 */
static bool
peek_in_place(Relation rel, Tombstone *tombstone, TupleTableSlot *slot)
{
	bool isnull = true;

	if (fetch_version_at(rel, &tombstone->tid, slot))
		tombstone->stamp = DatumGetTimestampTz(
			slot_getattr(slot, tombstone_attribute(rel), &isnull));
	return !isnull;
}

/*
 * Fetch a tombstone that is known to exist (StorageRoutine.fetch).
 */
static void
fetch_in_place(Relation rel, const Tombstone *tombstone, TupleTableSlot *slot)
{
	ItemPointerData tid = tombstone->tid;

	if (!table_tuple_fetch_row_version(rel, &tid, SnapshotAny, slot))
		elog(ERROR, "failed to fetch a locked tombstone");
}

/*
 * Does the snapshot see the version that a scan has found
 * (StorageRoutine.is_version)?
 */
static bool
is_version_in_place(Relation rel, const Tombstone *tombstone, Oid file,
					TransactionId xmin, Snapshot snapshot, TupleTableSlot *slot)
{
	return is_version_at(rel, tombstone->tid, file, xmin, snapshot, slot);
}

/*
 * Write the live version of a tombstone, with null in its tombstone column
 * (StorageRoutine.restore).
 */
static TupleTableSlot *
restore_in_place(ResultRelInfo *relinfo, VersionBuilder *builder, Tombstone *tombstone,
				 TupleTableSlot *old, MakeRoom make_room, List **recheck)
{
	return write_live_version(builder, relinfo, &tombstone->tid, old, recheck);
}

/*
 * Destroy a tombstone (StorageRoutine.destroy).
 */
static TM_Result
destroy_in_place(Relation rel, const Tombstone *tombstone, bool waits)
{
	return destroy_version(rel, tombstone->tid, waits);
}

/*
 * Begin to read tombstones (StorageRoutine.begin_scan): in the index on stamps or,
 * if there is none, all of the table.
 *
 * Tombstones with equal stamps are in the order of their places, unless the index
 * has more columns.  The position to begin after is a stamp and a place.  If the
 * table was rewritten since, the place is ignored, and the tombstones of that stamp
 * are read again.
 */
static void
begin_in_place_scan(TombstoneScan *scan, const ScanPosition *position)
{
	begin_stamp_scan(scan, scan->rel, tombstone_attribute(scan->rel), position);
}

/*
 * Begin to read the tombstones that are in a relation: the table, or its companion,
 * which is closed at the end of the scan.
 */
void
begin_stamp_scan(TombstoneScan *scan, Relation rel, AttrNumber attnum,
				 const ScanPosition *position)
{
	InPlaceScan *state = palloc0(sizeof(InPlaceScan));

	scan->state = state;
	scan->file = rel->rd_rel->relfilenode;
	state->rel = rel;
	state->attnum = attnum;
	state->slot = table_slot_create(rel, NULL);
	state->index = open_stamp_index(rel, attnum);
	if (state->index == NULL)
		read_all_tombstones(scan, state);
	else
	{
		state->start = *position;
		if (state->start.file != scan->file)
			ItemPointerSet(&state->start.tid, 0, 0);
		begin_stamp_index_scan(scan, state);
	}
}

/*
 * Read the next tombstone (StorageRoutine.next).
 */
bool
next_in_place(TombstoneScan *scan)
{
	InPlaceScan *state = scan->state;
	ReadTombstone *row;

	if (state->index != NULL)
		return next_in_stamp_index(scan, state);
	if (state->next == state->nrows)
		return false;
	row = &state->rows[state->next++];
	scan->current.tid = row->tid;
	scan->current.stamp = row->stamp;
	scan->xmin = row->xmin;
	return true;
}

/*
 * End the scan (StorageRoutine.end_scan).
 */
void
end_in_place_scan(TombstoneScan *scan)
{
	InPlaceScan *state = scan->state;

	if (state->index != NULL)
	{
		index_endscan(state->index_scan);
		index_close(state->index, NoLock);
	}
	if (state->rows != NULL)
		pfree(state->rows);
	ExecDropSingleTupleTableSlot(state->slot);
	if (state->rel != scan->rel)
		table_close(state->rel, NoLock);
	pfree(state);
}

/*
 * Begin to read tombstones in the index on stamps.
 */
static void
begin_stamp_index_scan(TombstoneScan *scan, InPlaceScan *state)
{
	ScanKeyData keys[2];
	int nkeys = 1;

	scan->is_resumable = true;
	scan->is_by_place = IndexRelationGetNumberOfKeyAttributes(state->index) == 1;
	init_stamp_key(&keys[0], state->index, 1,
				   TIMESTAMP_IS_NOEND(scan->limit) ? BTLessEqualStrategyNumber
												   : BTLessStrategyNumber,
				   scan->limit);
	if (state->start.is_set)
		init_stamp_key(&keys[nkeys++], state->index, 1,
					   state->start.has_whole_stamp ? BTGreaterStrategyNumber
													: BTGreaterEqualStrategyNumber,
					   state->start.stamp);
	state->index_scan =
		begin_index_scan(state->rel, state->index, GetActiveSnapshot(), nkeys);
	index_rescan(state->index_scan, keys, nkeys, NULL, 0);
}

/*
 * Read the next tombstone in the index on stamps.
 */
static bool
next_in_stamp_index(TombstoneScan *scan, InPlaceScan *state)
{
	ItemPointer tid;

	while ((tid = index_getnext_tid(state->index_scan, ForwardScanDirection)) != NULL)
	{
		bool isnull;

		CHECK_FOR_INTERRUPTS();
		/* an index entry has the place of the first version of a HOT chain */
		scan->place = *tid;
		if (!index_fetch_heap(state->index_scan, state->slot))
			continue;
		scan->current.tid = state->slot->tts_tid;
		scan->current.stamp =
			DatumGetTimestampTz(slot_getattr(state->slot, state->attnum, &isnull));
		scan->xmin = xmin_of(state->slot);
		if (!scan->is_by_place || !state->start.is_set ||
			scan->current.stamp != state->start.stamp ||
			ItemPointerCompare(&scan->place, &state->start.tid) > 0)
			return true;
	}
	return false;
}

/*
 * Read all tombstones of a table that has no index on stamps, and sort them by age.
 */
static void
read_all_tombstones(TombstoneScan *scan, InPlaceScan *state)
{
	TableScanDesc heap = begin_table_scan(state->rel, GetActiveSnapshot());

	while (table_scan_getnextslot(heap, ForwardScanDirection, state->slot))
	{
		bool isnull;
		TimestampTz stamp =
			DatumGetTimestampTz(slot_getattr(state->slot, state->attnum, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (isnull || (stamp >= scan->limit && !TIMESTAMP_IS_NOEND(scan->limit)))
			continue;
		state->rows = grow_if_full(CurrentMemoryContext, state->rows, state->nrows,
								   &state->nallocated, sizeof(ReadTombstone));
		state->rows[state->nrows++] =
			(ReadTombstone){.tid = state->slot->tts_tid,
							.stamp = stamp,
							.xmin = xmin_of(state->slot)};
	}
	table_endscan(heap);
	if (state->nrows > 0)
		qsort(state->rows, state->nrows, sizeof(ReadTombstone), compare_by_age);
}

/*
 * Compare tombstones by age, then by place (qsort comparator).
 */
static int
compare_by_age(const void *a, const void *b)
{
	const ReadTombstone *left = a;
	const ReadTombstone *right = b;

	if (left->stamp != right->stamp)
		return left->stamp < right->stamp ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &left->tid, (ItemPointer) &right->tid);
}

/*
 * Fetch the version at a place, visible or not.  Returns false if there is none.
 * The place need not be valid, so it is checked here: the table access method reads
 * the page without a check.  A partitioned table has none.
 */
bool
fetch_version_at(Relation rel, ItemPointer tid, TupleTableSlot *slot)
{
	return rel->rd_tableam != NULL && ItemPointerIsValid(tid) &&
		   ItemPointerGetBlockNumber(tid) < RelationGetNumberOfBlocks(rel) &&
		   table_tuple_fetch_row_version(rel, tid, SnapshotAny, slot);
}

/*
 * Does the snapshot see, at a place of a relation's file, the version that
 * transaction "xmin" has written?  A VACUUM may have truncated the file since that was
 * read.  Overwrites the slot.
 */
bool
is_version_at(Relation rel, ItemPointerData tid, Oid file, TransactionId xmin,
			  Snapshot snapshot, TupleTableSlot *slot)
{
	return rel->rd_rel->relfilenode == file &&
		   ItemPointerGetBlockNumber(&tid) < RelationGetNumberOfBlocks(rel) &&
		   table_tuple_fetch_row_version(rel, &tid, snapshot, slot) &&
		   xmin_of(slot) == xmin;
}

/*
 * Destroy the version at a place.  If another transaction has locked it or changes
 * it, wait or, unless "waits", return TM_BeingModified.
 */
TM_Result
destroy_version(Relation rel, ItemPointerData tid, bool waits)
{
	TM_FailureData tmfd;

	return waits ? destroy_tuple(rel, &tid, GetCurrentCommandId(true),
								 GetActiveSnapshot(), &tmfd)
				 : destroy_unless_locked(rel, &tid, GetCurrentCommandId(true),
										 GetActiveSnapshot(), &tmfd);
}

/*
 * Lock the newest version of a row and fetch it into the slot.  Returns false if
 * the row does not exist any more.  The place need not be valid.
 *
 * Raises 40001 in a transaction that keeps its snapshot, if a concurrent
 * transaction has changed the row.
 */
bool
lock_newest_version(Relation rel, ItemPointer tid, TupleTableSlot *slot)
{
	TM_Result result;

	/* table_tuple_lock() does not check the place */
	if (!fetch_version_at(rel, tid, slot))
		return false;
	result = lock_last_version(rel, tid, slot);
	switch (result)
	{
		case TM_Ok:
			return true;

		case TM_SelfModified:
		case TM_Invisible:
			return false; /* a function that the statement calls has changed it */

		case TM_Updated:
		case TM_Deleted:
			if (IsolationUsesXactSnapshot())
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("could not serialize access due to concurrent update")));
			return false;

		default:
			elog(ERROR, "unexpected table_tuple_lock status: %u", result);
			return false; /* keep compiler quiet */
	}
}

/*
 * Initialize a scan key on the stamp, the nth column of a B-tree index.
 */
void
init_stamp_key(ScanKey key, Relation index, int n, StrategyNumber strategy,
			   TimestampTz stamp)
{
	Oid type = index->rd_opcintype[n - 1];
	Oid operator=
		get_opfamily_member(index->rd_opfamily[n - 1], type, type, strategy);

	/* a tombstone column of type timestamp holds UTC, so its values are the same */
	ScanKeyEntryInitialize(key, 0, n, strategy, InvalidOid, InvalidOid,
						   get_opcode(operator), TimestampTzGetDatum(stamp));
}

/*
 * Open the index on the stamps of a table's tombstones, in AccessShareLock.
 * Returns NULL if there is none.
 *
 * To be called as the owner of the table, for reading the predicate of an index may
 * call functions in it.
 */
Relation
open_stamp_index(Relation rel, AttrNumber attnum)
{
	Relation found = NULL;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (found == NULL && is_stamp_index(index, attnum))
			found = index;
		else
			index_close(index, AccessShareLock); /* locks on all tables add up */
	}
	return found;
}

/*
 * Does the index have all tombstones, in the order of their stamps?
 */
static bool
is_stamp_index(Relation index, AttrNumber attnum)
{
	Form_pg_index form = index->rd_index;

	return (index->rd_rel->relam == BTREE_AM_OID || has_own_method(index)) &&
		   form->indisvalid && begins_with_stamp(index, attnum) &&
		   (index->rd_indoption[0] & INDOPTION_DESC) == 0 &&
		   index_has_tombstones(index, attnum);
}

/*
 * Is the first column of an index the tombstone column, or that as timestamptz?
 */
static bool
begins_with_stamp(Relation index, AttrNumber attnum)
{
	AttrNumber first = index->rd_index->indkey.values[0];
	Var *column;

	if (first != InvalidAttrNumber)
		return first == attnum;
	column = column_in_utc(linitial(RelationGetIndexExpressions(index)));
	return column != NULL && column->varattno == attnum;
}

/*
 * Does the index have all tombstones: does it have no predicate, or that the
 * tombstone column is not null?
 */
bool
index_has_tombstones(Relation index, AttrNumber attnum)
{
	List *predicate = RelationGetIndexPredicate(index);

	return predicate == NIL ||
		   (list_length(predicate) == 1 &&
			tests_null(linitial(predicate), attnum, IS_NOT_NULL));
}
