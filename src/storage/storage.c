/*
 * storage.c
 *	  The interface to where tombstones are.
 *
 * A tombstone is found by a query over the samples of its table (sample_of()), by
 * the rows of a bin, or by a scan.  It is locked before it is restored, held or
 * destroyed.
 *
 * Invariant: nothing above this file asks where a tombstone is.
 */
#include "postgres.h"

#include "storage/sd_storage.h"

static const StorageRoutine *const routines[N_STORAGES] = {
	[IN_PLACE] = &in_place_storage,
	[ASIDE] = &aside_storage,
};

/*
 * Find the tombstone that a query has read with these values of tableoid and
 * ctid.  Returns the table that it was deleted from, or InvalidOid if there is no
 * such tombstone; one in place may be gone all the same.
 */
Oid
locate_tombstone(Oid relid, ItemPointer tid, Tombstone *tombstone)
{
	bool is_aside = relid == extension_relation("displaced");

	tombstone->storage = is_aside ? ASIDE : IN_PLACE;
	tombstone->tid = *tid;
	return is_aside ? displaced_from(tid) : relid;
}

/*
 * Return what tells a tombstone of a table from all other rows: the values of
 * tableoid and ctid that queries read for it.
 */
RowIdentity
tombstone_identity(Oid relid, const Tombstone *tombstone)
{
	/* assigned member by member, the padding would be left unset */
	RowIdentity identity = {.relid = tombstone->storage == ASIDE
										 ? extension_relation("displaced")
										 : relid,
							.tid = tombstone->tid};

	return identity;
}

/*
 * Return the sample of a tagged table that reads its tombstones in a storage,
 * "with_live" along with the live rows that it has there.
 */
const char *
sample_of(StorageKind storage, bool with_live)
{
	return with_live && storage == IN_PLACE ? "all" : routines[storage]->sample;
}

/*
 * May a table, with its partitions and children, have tombstones in a storage?
 */
bool
has_tombstones(StorageKind storage, Oid relid)
{
	return routines[storage]->may_have_any(relid);
}

/*
 * May another row of the table have a key of the tombstone by now?
 */
bool
shares_keys(const Tombstone *tombstone)
{
	return routines[tombstone->storage]->may_share_keys;
}

/*
 * Lock the newest version of a tombstone of the relation, whose place and stamp
 * are noted, and fetch it into the slot, if that is given.  Returns false if it is
 * gone, or has not that stamp, where one is given, any more.
 *
 * Raises 40001 in a transaction that keeps its snapshot, where a concurrent
 * transaction has changed the row.
 */
bool
lock_tombstone(Relation rel, Tombstone *tombstone, const TimestampTz *stamp,
			   TupleTableSlot *slot)
{
	return routines[tombstone->storage]->lock(rel, tombstone, stamp, slot) &&
		   (stamp == NULL || tombstone->stamp == *stamp);
}

/*
 * Fetch a tombstone that is not locked, and note its stamp.  Returns false if there
 * is none at that place, which may be anybody's word.
 */
bool
peek_tombstone(Relation rel, Tombstone *tombstone, TupleTableSlot *slot)
{
	return routines[tombstone->storage]->peek(rel, tombstone, slot);
}

/*
 * Fetch a tombstone that is known to be there, because it is locked or because the
 * active snapshot sees it.
 */
void
fetch_tombstone(Relation rel, const Tombstone *tombstone, TupleTableSlot *slot)
{
	routines[tombstone->storage]->fetch(rel, tombstone, slot);
}

/*
 * Does the snapshot see, at the place of a tombstone, the version that a
 * transaction has written?  Not if the places are in another file than those of
 * the scan were: then others have them.  Uses the slot.
 */
bool
is_tombstone_version(Relation rel, const Tombstone *tombstone, Oid file,
					 TransactionId xmin, Snapshot snapshot, TupleTableSlot *slot)
{
	return routines[tombstone->storage]->is_version(rel, tombstone, file, xmin,
													snapshot, slot);
}

/*
 * Bring a locked tombstone back to life, whose row is in the slot "old".  Where it
 * is entered into its table again, "make_room" is called before.  Returns the live
 * row, in a slot of the builder or of the caller's, and in "recheck" the indexes
 * whose uniqueness is left to be checked.  Notes where it is now.
 *
 * Raises what an INSERT raises.
 */
TupleTableSlot *
restore_tombstone(ResultRelInfo *relinfo, VersionBuilder *builder,
				  Tombstone *tombstone, TupleTableSlot *old, MakeRoom make_room,
				  List **recheck)
{
	return routines[tombstone->storage]->restore(relinfo, builder, tombstone,
												 old, make_room, recheck);
}

/*
 * Destroy a locked tombstone.
 */
void
destroy_tombstone(Relation rel, const Tombstone *tombstone)
{
	TM_Result result = routines[tombstone->storage]->destroy(rel, tombstone, true);

	if (result != TM_Ok)
		elog(ERROR, "unexpected status of a locked tombstone: %u", result);
}

/*
 * Destroy a tombstone that is not locked.  Returns TM_BeingModified, and does
 * nothing, where another transaction has locked it or changes it.
 */
TM_Result
destroy_tombstone_unless_locked(Relation rel, const Tombstone *tombstone)
{
	return routines[tombstone->storage]->destroy(rel, tombstone, false);
}

/*
 * Begin to read the tombstones of a table in a storage that are older than the
 * limit, oldest first, as the active snapshot has them: after a position, if the
 * scan is resumable.  To be called as the owner of the table, for a look at its
 * indexes may call functions in their predicates.
 */
TombstoneScan *
begin_tombstone_scan(Relation rel, StorageKind storage, TimestampTz limit,
					 const ScanPosition *position)
{
	TombstoneScan *scan = palloc0(sizeof(TombstoneScan));

	scan->rel = rel;
	scan->storage = storage;
	scan->limit = limit;
	scan->current.storage = storage;
	routines[storage]->begin_scan(scan, position);
	return scan;
}

/*
 * Go on to the next tombstone, which is in "current" then, with who wrote it in
 * "xmin".  Returns false if there is none.
 */
bool
next_tombstone(TombstoneScan *scan)
{
	return routines[scan->storage]->next(scan);
}

/*
 * End a scan.
 */
void
end_tombstone_scan(TombstoneScan *scan)
{
	routines[scan->storage]->end_scan(scan);
	pfree(scan);
}
