/*
 * emptied.c
 *	  Deletes what is kept of deletions that have no rows left: the references that
 *	  they have overwritten and, when soft_delete.keep_ledger has passed, their rows of
 *	  the ledger.
 *
 * A purge knows the range of the stamps of the rows that it has destroyed, which begins
 * with the first of all if the ledger is not kept for ever.  The deletions of that range
 * are looked up in the index on stamps of each tagged table,
 * from one match to the next, so that neither a large ledger nor a large table is
 * read as a whole.  A table that the purge has just emptied up to some stamp is
 * skipped, since its index would lead to dead rows only.  A table without a usable
 * index on stamps is read sequentially, so that one broken index does not keep the
 * deletions of all other tables.
 *
 * Invariant: the ledger and the tables are read with one snapshot, a table that has been
 * changed since is not, and a deletion and its tombstones are committed together.  So no
 * deletion is deleted of which a row is left.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "purge/sd_purge.h"

/* The greatest number of deletions in a batch, whatever the batch size is */
#define MAX_DELETIONS 100000

/* Where the stamps of a table are found: in the table itself, or in its companion */
typedef struct StampSource
{
	Relation rel;
	Relation index; /* on stamps, or NULL: then "rel" is read sequentially */
	AttrNumber attnum; /* of the stamp in "rel", or InvalidAttrNumber: it has no tombstones */
} StampSource;

/*
 * A table of which a purge has destroyed all tombstones that are older than the
 * limit and that transactions before "xmin" have written
 */
typedef struct EmptiedTable
{
	Oid relid; /* hash key */
	TransactionId xmin;
	TimestampTz limit;
} EmptiedTable;

/* Rows of the ledger, in the order of their stamps */
typedef struct Deletions
{
	int n;
	TimestampTz *stamps;
	ItemPointerData *tids;
	TransactionId *xmins; /* the transactions that inserted them */
	bool *have_rows;	  /* a tombstone with that stamp has been found */
} Deletions;

/* The EmptiedTable of this session's purges, until a transaction is aborted */
static HTAB *emptied_tables = NULL;

PG_FUNCTION_INFO_V1(soft_delete_remove_empty_deletions);

static List *tables_with_stamps(void);
static bool look_into(Oid relid, Deletions *deletions, Snapshot snapshot);
static bool open_source(StampSource *source, Oid relid);
static void close_source(StampSource *source);
static bool is_changed_since(Relation rel, Snapshot snapshot);
static bool is_unseen(HeapTuple row, Snapshot snapshot);
static IndexScanDesc begin_source_scan(StampSource *source, Snapshot snapshot);
static bool next_stamp(StampSource *source, IndexScanDesc scan, TimestampTz from,
					   TimestampTz to, TupleTableSlot *slot, TimestampTz *found);
static void find_deletions(Deletions *deletions, int limit, Snapshot snapshot,
						   TimestampTz oldest, TimestampTz newest);
static bool is_emptied(StampSource *source, const Deletions *deletions);
static void find_rows(Deletions *deletions, StampSource *source, Snapshot snapshot);
static AttrNumber find_stamp_column(Relation rel);
static Oid find_bin_index(Relation rel, AttrNumber attnum);
static void find_rows_in_table(Deletions *deletions, StampSource *source,
							   Snapshot snapshot);
static int first_from(const Deletions *deletions, TimestampTz stamp);
static void delete_empty_deletions(Deletions *deletions, Snapshot snapshot);
static bool has_records(void);
static void delete_rows_of(Relation rel, TimestampTz stamp, Snapshot snapshot);

/*
 * Remember that a purge has destroyed all tombstones in a table, or in the companion of
 * one, that were older than the limit in a snapshot with the given xmin.
 */
void
remember_emptied(Oid relid, TransactionId xmin, TimestampTz limit)
{
	EmptiedTable *table;

	if (emptied_tables == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(EmptiedTable)};

		emptied_tables = hash_create("soft_delete emptied tables", 64, &ctl,
									 HASH_ELEM | HASH_BLOBS);
	}
	table = hash_search(emptied_tables, &relid, HASH_ENTER, NULL);
	table->xmin = xmin;
	table->limit = limit;
}

/*
 * Forget the tables that purges have emptied, because a transaction is rolled back:
 * it may have been the one that destroyed the tombstones.
 */
void
forget_emptied_tables(void)
{
	if (emptied_tables != NULL)
		hash_destroy(emptied_tables);
	emptied_tables = NULL;
}

/*
 * soft_delete_internal.remove_empty_deletions(oldest timestamptz, newest timestamptz,
 *	batch_size integer) returns timestamptz
 *
 * Among the first batch_size deletions whose stamp is in the given range, deletes the
 * overwritten references of those that have no rows left, and of these from the ledger
 * those that are older than soft_delete.keep_ledger.  Returns the least stamp that has not
 * been examined, or null if there is none.  Deletes nothing, and returns null, if the
 * tombstones of a tagged table cannot be read now: another session has locked it, or
 * it is a temporary table of another session.
 *
 * Raises 22023 for a batch size that is not positive.
 */
Datum
soft_delete_remove_empty_deletions(PG_FUNCTION_ARGS)
{
	int batch_size = PG_GETARG_INT32(2);
	Snapshot snapshot;
	Deletions deletions = {0};
	bool is_complete = true;
	ListCell *lc;

	if (batch_size < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("batch size must be positive")));
	if (TIMESTAMP_IS_NOBEGIN(ledger_limit()) && !has_records())
		PG_RETURN_NULL();
	batch_size = Min(batch_size, MAX_DELETIONS);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	find_deletions(&deletions, batch_size, snapshot, PG_GETARG_TIMESTAMPTZ(0),
				   PG_GETARG_TIMESTAMPTZ(1));
	if (deletions.n > 0)
		foreach (lc, tables_with_stamps())
		{
			is_complete = look_into(lfirst_oid(lc), &deletions, snapshot);
			if (!is_complete)
				break;
		}
	if (!is_complete)
		deletions.n = 0;
	else if (deletions.n > 0)
		delete_empty_deletions(&deletions, snapshot);
	UnregisterSnapshot(snapshot);

	if (deletions.n < batch_size)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(deletions.stamps[deletions.n - 1] + 1);
}

/*
 * Return the OIDs of all tagged tables, and of the companions with their months.
 */
static List *
tables_with_stamps(void)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext oldcontext;
	List *tables = NIL;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT DISTINCT c.oid FROM " INTERNAL_SCHEMA ".tagged_relations() AS t "
					"JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.relation OR "
					"c.oid OPERATOR(pg_catalog.=) ANY (" INTERNAL_SCHEMA
					".companion_places(t.relation)) "
					"WHERE c.relkind OPERATOR(pg_catalog.=) 'r'",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not find the tagged tables");
	oldcontext = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;

		tables = lappend_oid(tables,
							 DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
															SPI_tuptable->tupdesc,
															1, &isnull)));
	}
	MemoryContextSwitchTo(oldcontext);
	SPI_finish();
	return tables;
}

/*
 * Find out which deletions have rows in a tagged table, or in a companion.  Returns false
 * if it cannot be read now.
 *
 * Keeps no lock: those on all tables may be more than the server has.  So a table can be
 * changed between one look and the next, or since the snapshot was taken, and tombstones be
 * where the snapshot does not see them.
 */
static bool
look_into(Oid relid, Deletions *deletions, Snapshot snapshot)
{
	StampSource source = {0};
	bool can_read = open_source(&source, relid);

	if (source.rel == NULL)
		return can_read;
	can_read = !is_changed_since(source.rel, snapshot);
	if (can_read && source.attnum != InvalidAttrNumber &&
		!is_emptied(&source, deletions))
		find_rows(deletions, &source, snapshot);
	close_source(&source);
	return can_read;
}

/*
 * Has a relation or a trigger of it, its tag among them, been changed by a transaction that
 * a snapshot does not see?
 */
static bool
is_changed_since(Relation rel, Snapshot snapshot)
{
	HeapTuple row =
		SearchSysCache1(RELOID, ObjectIdGetDatum(RelationGetRelid(rel)));
	CatalogScan scan = begin_trigger_scan(RelationGetRelid(rel));
	bool is_changed = is_unseen(row, snapshot);

	ReleaseSysCache(row);
	while (!is_changed && HeapTupleIsValid(row = next_catalog_row(&scan)))
		is_changed = is_unseen(row, snapshot);
	end_catalog_scan(&scan);
	return is_changed;
}

/*
 * Is a row of a catalog of a transaction that a snapshot does not see?
 */
static bool
is_unseen(HeapTuple row, Snapshot snapshot)
{
	TransactionId xmin = HeapTupleHeaderGetXmin(row->t_data);

	return !TransactionIdIsCurrentTransactionId(xmin) &&
		   XidInMVCCSnapshot(xmin, snapshot);
}

/*
 * Open one tagged table, unless it has been dropped.  Returns false if it cannot be read
 * now.
 */
static bool
open_source(StampSource *source, Oid relid)
{
	Oid index;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return false;
	source->rel = try_table_open(relid, NoLock);
	if (source->rel == NULL)
		return true; /* it has been dropped */
	if (RELATION_IS_OTHER_TEMP(source->rel))
	{
		close_source(source);
		return false;
	}
	source->attnum = find_stamp_column(source->rel);
	if (source->attnum != InvalidAttrNumber &&
		OidIsValid(index = find_bin_index(source->rel, source->attnum)))
		source->index = index_open(index, AccessShareLock);
	return true;
}

/*
 * Close what open_source() has opened, and release its locks.
 */
static void
close_source(StampSource *source)
{
	if (source->index != NULL)
		index_close(source->index, AccessShareLock);
	table_close(source->rel, AccessShareLock);
	source->rel = NULL;
}

/*
 * Return the number of the column that holds the stamps of a table.  Returns
 * InvalidAttrNumber if the table is not tagged, or if its tag does not name a column
 * for stamps: then it has no tombstones.
 */
static AttrNumber
find_stamp_column(Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	List *arguments = in_place_arguments(relid);
	AttrNumber attnum =
		arguments ? get_attnum(relid, linitial(arguments)) : InvalidAttrNumber;
	Oid type = attnum > 0 ? get_atttype(relid, attnum) : InvalidOid;

	if (OidIsValid(companions_table(relid)))
		return stamp_attribute(rel);

	return type == TIMESTAMPTZOID || type == TIMESTAMPOID ? attnum
														  : InvalidAttrNumber;
}

/*
 * Return the index that has all tombstones of a table in the order of their stamps.
 * Returns InvalidOid if there is none, or if an expression of an index of the table
 * raises an error or takes too long.  The lock on the table keeps it.
 */
static Oid
find_bin_index(Relation rel, AttrNumber attnum)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	int nestlevel = GetCurrentTransactionNestLevel();
	bool is_limited = begin_time_limit(RelationGetRelid(rel));
	Oid found = InvalidOid;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		SavedRole saved;
		Relation index;

		become_owner(rel, &saved);
		index = open_stamp_index(rel, attnum);
		restore_role(&saved);
		if (index != NULL)
		{
			found = RelationGetRelid(index);
			index_close(index, AccessShareLock); /* the subtransaction has it */
		}
		(void) end_time_limit(is_limited);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcontext);
		CurrentResourceOwner = oldowner;
	}
	PG_CATCH();
	{
		FreeErrorData(end_failed_subtransactions(nestlevel, oldcontext,
												 oldowner, is_limited));
	}
	PG_END_TRY();
	return found;
}

/*
 * Begin an index scan of a source, for next_stamp().
 */
static IndexScanDesc
begin_source_scan(StampSource *source, Snapshot snapshot)
{
	return begin_index_scan(source->rel, source->index, snapshot, 2);
}

/*
 * Find the first stamp of a source in a range.  Returns false if there is none.
 */
static bool
next_stamp(StampSource *source, IndexScanDesc scan, TimestampTz from,
		   TimestampTz to, TupleTableSlot *slot, TimestampTz *found)
{
	ScanKeyData keys[2];
	bool isnull;

	init_stamp_key(&keys[0], source->index, 1, BTGreaterEqualStrategyNumber, from);
	init_stamp_key(&keys[1], source->index, 1, BTLessEqualStrategyNumber, to);
	index_rescan(scan, keys, 2, NULL, 0);
	if (!index_getnext_slot(scan, ForwardScanDirection, slot))
		return false;
	*found = DatumGetTimestampTz(slot_getattr(slot, source->attnum, &isnull));
	return true;
}

/*
 * Find the first deletions of a range of stamps, up to a limit.
 */
static void
find_deletions(Deletions *deletions, int limit, Snapshot snapshot,
			   TimestampTz oldest, TimestampTz newest)
{
	Relation ledger = table_open(extension_relation("ledger"), RowExclusiveLock);
	StampSource source = {.rel = ledger, .attnum = 1};
	TupleTableSlot *slot = table_slot_create(ledger, NULL);
	TimestampTz stamp;
	IndexScanDesc scan;
	bool found;

	source.index =
		index_open(linitial_oid(RelationGetIndexList(ledger)), AccessShareLock);
	scan = begin_source_scan(&source, snapshot);
	deletions->stamps = palloc(limit * sizeof(TimestampTz));
	deletions->tids = palloc(limit * sizeof(ItemPointerData));
	deletions->xmins = palloc(limit * sizeof(TransactionId));
	deletions->have_rows = palloc0(limit * sizeof(bool));

	found = next_stamp(&source, scan, oldest, newest, slot, &stamp);
	while (found)
	{
		int n = deletions->n++;
		bool isnull;

		CHECK_FOR_INTERRUPTS();
		deletions->stamps[n] =
			DatumGetTimestampTz(slot_getattr(slot, source.attnum, &isnull));
		deletions->tids[n] = slot->tts_tid;
		deletions->xmins[n] = HeapTupleHeaderGetXmin(
			ExecFetchSlotHeapTuple(slot, false, NULL)->t_data);
		found = deletions->n < limit &&
				index_getnext_slot(scan, ForwardScanDirection, slot);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(source.index, NoLock);
	table_close(ledger, NoLock);
}

/*
 * Has a purge destroyed all tombstones that the deletions may have in a source?
 */
static bool
is_emptied(StampSource *source, const Deletions *deletions)
{
	Oid relid = RelationGetRelid(source->rel);
	EmptiedTable *table =
		emptied_tables ? hash_search(emptied_tables, &relid, HASH_FIND, NULL) : NULL;

	if (table == NULL || deletions->stamps[deletions->n - 1] >= table->limit)
		return false;
	for (int i = 0; i < deletions->n; i++)
	{
		if (!TransactionIdPrecedes(deletions->xmins[i], table->xmin))
			return false;
	}
	return true;
}

/*
 * Find out which of the deletions have tombstones in a source.
 */
static void
find_rows(Deletions *deletions, StampSource *source, Snapshot snapshot)
{
	IndexScanDesc scan;
	TupleTableSlot *slot;
	int i = 0;
	TimestampTz stamp;

	if (source->index == NULL)
	{
		find_rows_in_table(deletions, source, snapshot);
		return;
	}
	scan = begin_source_scan(source, snapshot);
	slot = table_slot_create(source->rel, NULL);

	while (i < deletions->n &&
		   next_stamp(source, scan, deletions->stamps[i],
					  deletions->stamps[deletions->n - 1], slot, &stamp))
	{
		CHECK_FOR_INTERRUPTS();
		i = first_from(deletions, stamp);
		if (deletions->stamps[i] == stamp)
			deletions->have_rows[i++] = true;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * Find out which of the deletions have tombstones in a source without an index on
 * stamps, by a sequential scan.
 */
static void
find_rows_in_table(Deletions *deletions, StampSource *source, Snapshot snapshot)
{
	TupleTableSlot *slot = table_slot_create(source->rel, NULL);
	TableScanDesc scan = begin_table_scan(source->rel, snapshot);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool isnull;
		TimestampTz stamp =
			DatumGetTimestampTz(slot_getattr(slot, source->attnum, &isnull));
		int i;

		CHECK_FOR_INTERRUPTS();
		if (isnull || stamp > deletions->stamps[deletions->n - 1])
			continue;
		i = first_from(deletions, stamp);
		if (deletions->stamps[i] == stamp)
			deletions->have_rows[i] = true;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * Return the number of the first deletion that has the given stamp or a later one.
 * The stamp must not be later than that of the last deletion.
 */
static int
first_from(const Deletions *deletions, TimestampTz stamp)
{
	int low = 0;
	int high = deletions->n - 1;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (deletions->stamps[middle] < stamp)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * May anything be recorded of deletions beside the ledger: overwritten references, truncated
 * tables?
 */
static bool
has_records(void)
{
	Relation references =
		table_open(extension_relation("set_null_references"), AccessShareLock);
	bool has_any = RelationGetNumberOfBlocks(references) > 0;

	table_close(references, NoLock);
	return has_any || any_truncation();
}

/*
 * Delete what is kept of the deletions that have no rows.
 */
static void
delete_empty_deletions(Deletions *deletions, Snapshot snapshot)
{
	Relation ledger = table_open(extension_relation("ledger"), RowExclusiveLock);
	Relation events = table_open(extension_relation("events"), RowExclusiveLock);
	Relation references =
		table_open(extension_relation("set_null_references"), RowExclusiveLock);
	TimestampTz limit = ledger_limit();
	Relation truncations =
		table_open(extension_relation("truncations"), RowExclusiveLock);

	for (int i = 0; i < deletions->n; i++)
	{
		TM_FailureData tmfd;

		CHECK_FOR_INTERRUPTS();
		if (deletions->have_rows[i])
			continue;
		delete_rows_of(references, deletions->stamps[i], snapshot);
		delete_rows_of(truncations, deletions->stamps[i], snapshot);
		if (deletions->stamps[i] < limit &&
			destroy_unless_locked(ledger, &deletions->tids[i],
								  GetCurrentCommandId(true), snapshot, &tmfd) == TM_Ok)
			delete_rows_of(events, deletions->stamps[i], snapshot);
	}
	table_close(truncations, NoLock);
	table_close(references, NoLock);
	table_close(events, NoLock);
	table_close(ledger, NoLock);
}

/*
 * Delete the rows of a deletion from a table whose first column, and first index, is
 * on stamps.
 */
static void
delete_rows_of(Relation rel, TimestampTz stamp, Snapshot snapshot)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	if (RelationGetNumberOfBlocks(rel) == 0)
		return;
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ,
				TimestampTzGetDatum(stamp));
	scan = systable_beginscan(rel, linitial_oid(RelationGetIndexList(rel)),
							  true, snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TM_FailureData tmfd;

		(void) destroy_unless_locked(rel, &tuple->t_self,
									 GetCurrentCommandId(true), snapshot, &tmfd);
	}
	systable_endscan(scan);
}
