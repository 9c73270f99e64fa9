/*
 * hold.c
 *	  Holds what must not be destroyed.
 *
 * soft_delete.holds has a row for each hold in force.  With a key it is on one
 * deleted row: of which table or partition, its stamp, and its primary key as
 * text.  With a stamp alone it is on what one deletion took from a table, and
 * without one on all that is deleted from it.  A hold on a table is one on its
 * partitions and inheritance children, too.
 *
 * A row is held under the lock of the row, and more than a row under a lock that
 * waits for all purges that run.  Who purges looks for holds when he has locked
 * his rows.
 *
 * Invariant: no row is destroyed after a hold on it has been committed.
 */
#include "soft_delete.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "executor/executor.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

/* Columns of soft_delete.holds */
enum HoldColumn
{
	HOLD_RELATION = 1,
	HOLD_DELETED_AT,
	HOLD_KEY,
	HOLD_HOLD,
	HOLD_HELD_BY,
	HOLD_HELD_AT,
	N_HOLD_COLUMNS = HOLD_HELD_AT
};

/* What identifies a hold, and finds it by its index */
typedef struct HoldKey
{
	Oid relid;
	const TimestampTz *stamp; /* NULL: any */
	Datum key;				  /* text[]; 0: all rows */
} HoldKey;

static bool find_hold(Relation holds, const HoldKey *key, Snapshot snapshot,
					  TupleTableSlot *slot);
static List *with_ancestors(Oid relid);

/*
 * Is anything held at all?  To be asked when the rows that are to be destroyed
 * are locked.  Till the end of the transaction no more than single rows can be
 * held then.
 */
bool
has_holds(void)
{
	Relation holds = table_open(extension_relation("holds"), RowShareLock);
	Relation index = index_open(linitial_oid(RelationGetIndexList(holds)),
								AccessShareLock);
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	IndexScanDesc scan = begin_index_scan(holds, index, SnapshotSelf, 0);
	bool found;

	index_rescan(scan, NULL, 0, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(holds, NoLock);
	return found;
}

/*
 * Return the hold on a locked tombstone, or NULL if it is free to go: the one on
 * the row, else on its deletion, else on its table.  The slot is of the relation.
 */
const char *
hold_of(Relation rel, TimestampTz stamp, TupleTableSlot *row)
{
	Relation holds = table_open(extension_relation("holds"), RowShareLock);
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	HoldKey key = {.relid = RelationGetRelid(rel), .stamp = &stamp};
	List *relids = with_ancestors(key.relid);
	char *hold = NULL;
	bool found = false;
	ListCell *lc;

	if (has_primary_key(key.relid))
	{
		key.key = primary_key_text(rel, row);
		found = find_hold(holds, &key, SnapshotSelf, slot);
		key.key = (Datum) 0;
	}
	foreach (lc, relids)
	{
		key.relid = lfirst_oid(lc);
		key.stamp = &stamp;
		found = found || find_hold(holds, &key, SnapshotSelf, slot);
		key.stamp = NULL;
		found = found || find_hold(holds, &key, SnapshotSelf, slot);
	}
	if (found)
	{
		bool isnull;

		hold = TextDatumGetCString(slot_getattr(slot, HOLD_HOLD, &isnull));
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(holds, NoLock);
	return hold;
}

/*
 * Find a hold and fetch it into the slot.
 *
 * By its index, whatever ignore_system_indexes says: a scan of the table would
 * not find nulls.
 */
static bool
find_hold(Relation holds, const HoldKey *key, Snapshot snapshot, TupleTableSlot *slot)
{
	Relation index = index_open(linitial_oid(RelationGetIndexList(holds)),
								AccessShareLock);
	IndexScanDesc scan = begin_index_scan(holds, index, snapshot, 3);
	ScanKeyData scankeys[3];
	bool found;

	ScanKeyInit(&scankeys[0], HOLD_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key->relid));
	ScanKeyEntryInitialize(&scankeys[1],
						   key->stamp ? 0 : SK_ISNULL | SK_SEARCHNULL, HOLD_DELETED_AT,
						   BTEqualStrategyNumber, InvalidOid, InvalidOid,
						   F_TIMESTAMPTZ_EQ,
						   key->stamp ? TimestampTzGetDatum(*key->stamp) : 0);
	ScanKeyEntryInitialize(&scankeys[2], key->key ? 0 : SK_ISNULL | SK_SEARCHNULL,
						   HOLD_KEY, BTEqualStrategyNumber, InvalidOid,
						   DEFAULT_COLLATION_OID, F_ARRAY_EQ, key->key);

	index_rescan(scan, scankeys, 3, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/*
 * Return a table and those that it is a partition or inheritance child of,
 * however far above.
 */
static List *
with_ancestors(Oid relid)
{
	Relation inherits = table_open(InheritsRelationId, AccessShareLock);
	List *relids = list_make1_oid(relid);
	ListCell *lc;

	foreach (lc, relids)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple tuple;

		ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(lfirst_oid(lc)));
		scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, NULL,
								  1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			relids = list_append_unique_oid(relids,
											((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
		systable_endscan(scan);
	}
	table_close(inherits, AccessShareLock);
	return relids;
}
