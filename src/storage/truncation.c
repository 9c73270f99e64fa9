/*
 * truncation.c
 *	  Which tombstones TRUNCATE has made.
 *
 * TRUNCATE fires no row triggers, so a restore of what it has deleted fires none.
 * soft_delete_internal.truncations has the tables that a deletion has truncated.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "storage/sd_storage.h"

/* Columns of soft_delete_internal.truncations */
enum TruncationColumn
{
	TRUNCATION_DELETED_AT,
	TRUNCATION_RELATION,
	N_TRUNCATION_COLUMNS
};

/*
 * Record that the running deletion has truncated a table, in which it has deleted rows.
 */
void
record_truncation(Oid relid)
{
	Relation truncations =
		table_open(extension_relation("truncations"), RowExclusiveLock);
	Datum values[N_TRUNCATION_COLUMNS];
	bool nulls[N_TRUNCATION_COLUMNS] = {false};

	values[TRUNCATION_DELETED_AT] = TimestampTzGetDatum(deletion_stamp(relid));
	values[TRUNCATION_RELATION] = ObjectIdGetDatum(relid);
	(void) append_row(truncations, values, nulls);
	table_close(truncations, NoLock);
}

/*
 * May any tombstone have been made by TRUNCATE?
 */
bool
any_truncation(void)
{
	Relation truncations =
		table_open(extension_relation("truncations"), AccessShareLock);
	bool any = RelationGetNumberOfBlocks(truncations) > 0;

	table_close(truncations, AccessShareLock);
	return any;
}

/*
 * Has a deletion truncated a table, or the partitioned table that it is in?
 */
bool
deleted_by_truncate(Oid relid, TimestampTz stamp)
{
	Relation truncations =
		table_open(extension_relation("truncations"), AccessShareLock);
	List *relids = with_ancestors(relid);
	bool found = false;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, TRUNCATION_DELETED_AT + 1, BTEqualStrategyNumber,
				F_TIMESTAMPTZ_EQ, TimestampTzGetDatum(stamp));
	scan = systable_beginscan(truncations,
							  linitial_oid(RelationGetIndexList(truncations)),
							  true, GetActiveSnapshot(), 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
		Datum truncated = heap_getattr(tuple, TRUNCATION_RELATION + 1,
									   RelationGetDescr(truncations), &isnull);

		found = list_member_oid(relids, DatumGetObjectId(truncated));
	}
	systable_endscan(scan);
	table_close(truncations, AccessShareLock);
	return found;
}
