/*
 * storage.c
 *	  The interface to tombstones, wherever they are stored.
 *
 * A tombstone is in its table (in_place.c) or in the companion of its table (aside.c):
 * at once, or since it stood in the way of a key (keys/claim.c).  It is found by a query
 * on one of the two (sample_of()), by the rows of a bin, or by a scan of tombstones.
 * It is locked before it is restored, held or destroyed.
 *
 * Invariant: code in the folders above does not depend on where a tombstone is
 * stored.
 */
#include "postgres.h"

#include "storage/sd_storage.h"

static const StorageRoutine *const routines[N_STORAGES] = {
	[IN_PLACE] = &in_place_storage,
	[ASIDE] = &aside_storage,
};

/*
 * Locate the tombstone that a query has read with these values of tableoid and
 * ctid.  Returns the table that it was deleted from.  It is not checked that the
 * tombstone exists.
 */
Oid
locate_tombstone(Oid relid, ItemPointer tid, Tombstone *tombstone)
{
	Oid table = companions_table(relid);

	tombstone->tid = *tid;
	tombstone->storage = OidIsValid(table) ? ASIDE : IN_PLACE;
	tombstone->month = OidIsValid(table) && is_month(relid) ? relid : InvalidOid;
	return OidIsValid(table) ? table : relid;
}

/*
 * Return what identifies a tombstone of a table among all rows: the values of
 * tableoid and ctid that queries read for it.
 */
RowIdentity
tombstone_identity(Oid relid, const Tombstone *tombstone)
{
	/* an initializer also sets the padding, which is part of the hash key */
	RowIdentity identity = {.relid = tombstone->storage == IN_PLACE ? relid
									 : OidIsValid(tombstone->month)
										 ? tombstone->month
										 : companion_of(relid),
							.tid = tombstone->tid};

	return identity;
}

/*
 * Return the argument of append_side() with which a query reads the tombstones of a
 * tagged table in a storage or, if "with_live", all of its rows there.
 */
const char *
sample_of(StorageKind storage, bool with_live)
{
	return with_live && routines[storage]->sees_live_rows
			   ? "all"
			   : routines[storage]->sample;
}

/*
 * May a table, or one of its partitions and inheritance children, have tombstones
 * in a storage?
 */
bool
has_tombstones(StorageKind storage, Oid relid)
{
	return routines[storage]->may_have_any(relid);
}

/*
 * Return the months (OIDs) that the tombstones of a table are in, for
 * begin_tombstone_scan(): InvalidOid is for those in no month.
 */
List *
tombstone_months(StorageKind storage, Oid relid)
{
	Oid companion = storage == ASIDE ? companion_of(relid) : InvalidOid;
	List *months = NIL;
	ListCell *lc;

	foreach (lc, OidIsValid(companion) ? places_of(companion) : NIL)
	{
		if (lfirst_oid(lc) != companion)
			months = lappend_oid(months, lfirst_oid(lc));
	}
	return lappend_oid(months, InvalidOid);
}

/*
 * May another row of the table have the same unique key as the tombstone?
 */
bool
shares_keys(const Tombstone *tombstone)
{
	return routines[tombstone->storage]->may_share_keys;
}

/*
 * Lock the newest version of a tombstone of the relation, set "tombstone" to its
 * place and stamp, and fetch it into the slot, unless that is NULL.  Returns false
 * if there is none any more or, unless "stamp" is NULL, if it has another stamp.
 *
 * Raises 40001 in a transaction that keeps its snapshot, if a concurrent
 * transaction has changed the row.
 */
bool
lock_tombstone(Relation rel, Tombstone *tombstone, const TimestampTz *stamp,
			   TupleTableSlot *slot)
{
	if (!routines[tombstone->storage]->lock(rel, tombstone) ||
		(stamp != NULL && tombstone->stamp != *stamp))
		return false;
	if (slot != NULL)
		fetch_tombstone(rel, tombstone, slot);
	return true;
}

/*
 * Fetch a tombstone that is not locked, and set its stamp.  Returns false if there
 * is none at its place, which need not be valid.
 */
bool
peek_tombstone(Relation rel, Tombstone *tombstone, TupleTableSlot *slot)
{
	return routines[tombstone->storage]->peek(rel, tombstone, slot);
}

/*
 * Fetch a tombstone that is known to exist, because it is locked or because the
 * active snapshot sees it.
 */
void
fetch_tombstone(Relation rel, const Tombstone *tombstone, TupleTableSlot *slot)
{
	routines[tombstone->storage]->fetch(rel, tombstone, slot);
}

/*
 * Does the snapshot see, at the place of a tombstone, the version that transaction
 * "xmin" has written?  "file" is the relfilenode in which a scan has found it:
 * after a rewrite, another row may be at that place.  Overwrites the slot.
 */
bool
is_tombstone_version(Relation rel, const Tombstone *tombstone, Oid file,
					 TransactionId xmin, Snapshot snapshot, TupleTableSlot *slot)
{
	return routines[tombstone->storage]->is_version(rel, tombstone, file, xmin,
													snapshot, slot);
}

/*
 * Restore a locked tombstone, whose row is in the slot "old".  If the row is
 * inserted into its table again, "make_room" is called before.  Returns the live
 * row in the builder's slot, and sets "tombstone" to its place.  "recheck" gets the
 * indexes of deferrable constraints that must be checked later.
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
 * Begin to read the tombstones of a table in a storage that are older than the limit, of
 * those in its companion the ones of a month or of none, oldest first, as the active
 * snapshot sees them.  DT_NOEND is no limit: all of them are read, for the owner can give a
 * row that stamp, too.  A resumable scan begins after the position.
 *
 * To be called as the owner of the table, for reading the predicate of an index may
 * call functions in it.
 */
TombstoneScan *
begin_tombstone_scan(Relation rel, StorageKind storage, Oid month,
					 TimestampTz limit, const ScanPosition *position)
{
	TombstoneScan *scan = palloc0(sizeof(TombstoneScan));

	scan->rel = rel;
	scan->storage = storage;
	scan->month = month;
	scan->limit = limit;
	scan->current.storage = storage;
	scan->current.month = month;
	routines[storage]->begin_scan(scan, position);
	return scan;
}

/*
 * Read the next tombstone into "current", "place" and "xmin" of the scan.  Returns
 * false if there is none.
 */
bool
next_tombstone(TombstoneScan *scan)
{
	return routines[scan->storage]->next(scan);
}

/*
 * End a scan of tombstones, and free it.
 */
void
end_tombstone_scan(TombstoneScan *scan)
{
	routines[scan->storage]->end_scan(scan);
	pfree(scan);
}
