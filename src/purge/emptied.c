/*
 * prune.c
 *	  Lets the ledger forget deletions that have no rows left.
 *
 * A purge says between which stamps it has destroyed rows.  The ledger's rows of
 * that range are looked up in the index on stamps of each tagged table, from one
 * hit to the next, so that neither a large ledger nor a large bin is read through.
 * Tables that the purge has just emptied up to some stamp are not looked into: the
 * index would lead to all that is dead.  One without such an index is read as a
 * whole: a broken index keeps nobody's deletions.
 *
 * Invariant: the ledger and the tables are seen as of one moment, and a deletion
 * enters both at once, so none is forgotten of which a row is left.
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
#include "catalog/indexing.h"
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
#include "utils/timestamp.h"

#include "purge/sd_purge.h"

/* So many deletions are looked at in one batch, however large that is to be */
#define MAX_DELETIONS 100000

/* Where stamps are found in order: a tagged table, or what stepped aside from it */
typedef struct StampSource
{
	Relation rel;
	Relation index; /* NULL: the table is read from its beginning to its end */
	AttrNumber attnum; /* of the stamp, in the table */
	int column; /* the same in the index; a first one is the table it was in */
	Oid relid;
} StampSource;

/*
 * That a table has no tombstone older than the limit of a deletion that was there
 * when the transaction began which then was the oldest
 */
typedef struct EmptiedTable
{
	Oid relid; /* hash key */
	TransactionId xmin;
	TimestampTz limit;
} EmptiedTable;

/* Rows of the ledger */
typedef struct Deletions
{
	int n;
	TimestampTz *stamps; /* in order */
	ItemPointerData *tids;
	TransactionId *xmins; /* who entered them */
	bool *have_rows;
} Deletions;

static HTAB *emptied_tables = NULL;

PG_FUNCTION_INFO_V1(soft_delete_prune_ledger);

static bool open_sources(List **sources);
static bool open_source(List **sources, Oid relid, Relation displaced);
static void close_sources(List *sources);
static IndexScanDesc begin_source_scan(StampSource *source, Snapshot snapshot);
static bool next_stamp(StampSource *source, IndexScanDesc scan, TimestampTz from,
					   TimestampTz to, TupleTableSlot *slot, TimestampTz *found);
static void find_deletions(Deletions *deletions, int limit, Snapshot snapshot,
						   TimestampTz oldest, TimestampTz newest);
static bool is_emptied(StampSource *source, const Deletions *deletions);
static void find_rows(Deletions *deletions, StampSource *source, Snapshot snapshot);
static AttrNumber stamp_column(Relation rel);
static Oid find_bin_index(Relation rel, AttrNumber attnum);
static void find_rows_in_heap(Deletions *deletions, StampSource *source,
							  Snapshot snapshot);
static int first_from(const Deletions *deletions, TimestampTz stamp);
static void forget_deletions(Deletions *deletions, Snapshot snapshot);
static void forget_cuts_of(Relation cuts, TimestampTz stamp, Snapshot snapshot);

/*
 * Remember that a purge has destroyed all tombstones of a table that it saw, those
 * older than the limit, in a snapshot with that xmin.
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
 * Forget all that: what has been destroyed may have come back with a transaction
 * that is rolled back.
 */
void
forget_emptied_tables(void)
{
	if (emptied_tables != NULL)
		hash_destroy(emptied_tables);
	emptied_tables = NULL;
}

/*
 * soft_delete_internal.prune_ledger(oldest timestamptz, newest timestamptz,
 *	batch_size integer) returns timestamptz
 *
 * Forgets deletions that have no rows left, of the first ones from oldest to
 * newest, as many as the batch size says.  Returns the stamp to go on from, or
 * null at the end.  Does nothing where a tagged table cannot be looked into now:
 * another session has locked it, or it is its temporary one.
 *
 * Raises 22023 for a batch size that is not positive.
 */
Datum
soft_delete_prune_ledger(PG_FUNCTION_ARGS)
{
	int batch_size = PG_GETARG_INT32(2);
	Snapshot snapshot;
	Deletions deletions = {0};
	List *sources = NIL;
	ListCell *lc;

	if (batch_size < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("batch size must be positive")));
	batch_size = Min(batch_size, MAX_DELETIONS);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	find_deletions(&deletions, batch_size, snapshot, PG_GETARG_TIMESTAMPTZ(0),
				   PG_GETARG_TIMESTAMPTZ(1));
	if (deletions.n > 0 && open_sources(&sources))
	{
		foreach (lc, sources)
		{
			if (!is_emptied(lfirst(lc), &deletions))
				find_rows(&deletions, lfirst(lc), snapshot);
		}
		forget_deletions(&deletions, snapshot);
	}
	else
		deletions.n = 0;
	close_sources(sources);
	UnregisterSnapshot(snapshot);

	if (deletions.n < batch_size)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(deletions.stamps[deletions.n - 1] + 1);
}

/*
 * Open everything that holds tombstones.  Returns false if that is not possible
 * now.
 */
static bool
open_sources(List **sources)
{
	MemoryContext context = CurrentMemoryContext;
	Relation displaced =
		table_open(extension_relation("displaced"), AccessShareLock);
	bool is_complete = true;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT leaf::pg_catalog.oid FROM " INTERNAL_SCHEMA
					".tagged_leaves() AS leaf",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not find the tagged tables");
	for (uint64 i = 0; i < SPI_processed && is_complete; i++)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(context);
		bool isnull;

		is_complete =
			open_source(sources,
						DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
													   SPI_tuptable->tupdesc, 1,
													   &isnull)),
						displaced);
		MemoryContextSwitchTo(oldcontext);
	}
	SPI_finish();
	table_close(displaced, NoLock);
	return is_complete;
}

/*
 * Open a table that holds tombstones, and what stepped aside from it.  Returns
 * false if that is not possible now.
 */
static bool
open_source(List **sources, Oid relid, Relation displaced)
{
	StampSource *source = palloc0(sizeof(StampSource));

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return false;
	source->rel = try_table_open(relid, NoLock);
	if (source->rel == NULL)
		return true; /* it is gone */
	if (RELATION_IS_OTHER_TEMP(source->rel))
	{
		table_close(source->rel, NoLock);
		return false;
	}
	source->relid = relid;
	source->column = 1;
	source->attnum = stamp_column(source->rel);
	if (source->attnum == InvalidAttrNumber)
		table_close(source->rel, NoLock);
	else
	{
		Oid index = find_bin_index(source->rel, source->attnum);

		source->index = OidIsValid(index) ? index_open(index, AccessShareLock) : NULL;
		*sources = lappend(*sources, source);
	}
	if (RelationGetNumberOfBlocks(displaced) > 0)
	{
		source = palloc0(sizeof(StampSource));
		source->rel = table_open(RelationGetRelid(displaced), AccessShareLock);
		source->index = index_open(linitial_oid(RelationGetIndexList(displaced)),
								   AccessShareLock);
		source->attnum = source->column = 2;
		source->relid = relid;
		*sources = lappend(*sources, source);
	}
	return true;
}

/*
 * Return the number of the column that holds the stamps of a table, or
 * InvalidAttrNumber if it is not tagged, or by a tag that names no such column:
 * then nobody can tell that it has a tombstone.
 */
static AttrNumber
stamp_column(Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	List *arguments = tag_arguments(relid);
	AttrNumber attnum =
		arguments ? get_attnum(relid, linitial(arguments)) : InvalidAttrNumber;
	Oid type = attnum > 0 ? get_atttype(relid, attnum) : InvalidOid;

	return type == TIMESTAMPTZOID || type == TIMESTAMPOID ? attnum
														  : InvalidAttrNumber;
}

/*
 * Return the index that has all tombstones of a table in the order of their
 * stamps, or InvalidOid if there is none, or one fails that its owner has made.
 */
static Oid
find_bin_index(Relation rel, AttrNumber attnum)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	int nestlevel = GetCurrentTransactionNestLevel();
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
			index_close(index, NoLock);
		}
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcontext);
		CurrentResourceOwner = oldowner;
	}
	PG_CATCH();
	{
		FreeErrorData(end_failed_subtransactions(nestlevel, oldcontext, oldowner));
	}
	PG_END_TRY();
	return found;
}

/*
 * Close them.
 */
static void
close_sources(List *sources)
{
	ListCell *lc;

	foreach (lc, sources)
	{
		StampSource *source = lfirst(lc);

		if (source->index != NULL)
			index_close(source->index, NoLock);
		table_close(source->rel, NoLock);
	}
}

/*
 * Begin to look for stamps.
 */
static IndexScanDesc
begin_source_scan(StampSource *source, Snapshot snapshot)
{
	return begin_index_scan(source->rel, source->index, snapshot, source->column + 1);
}

/*
 * Find the first stamp of a range.  Returns false if there is none.
 */
static bool
next_stamp(StampSource *source, IndexScanDesc scan, TimestampTz from,
		   TimestampTz to, TupleTableSlot *slot, TimestampTz *found)
{
	ScanKeyData keys[3];
	int n = 0;
	bool isnull;

	if (source->column > 1)
		ScanKeyInit(&keys[n++], 1, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(source->relid));
	init_stamp_key(&keys[n++], source->index, source->column,
				   BTGreaterEqualStrategyNumber, from);
	init_stamp_key(&keys[n++], source->index, source->column,
				   BTLessEqualStrategyNumber, to);
	index_rescan(scan, keys, n, NULL, 0);
	if (!index_getnext_slot(scan, ForwardScanDirection, slot))
		return false;
	*found = DatumGetTimestampTz(slot_getattr(slot, source->attnum, &isnull));
	return true;
}

/*
 * Find the deletions of a range of stamps, oldest first.
 */
static void
find_deletions(Deletions *deletions, int limit, Snapshot snapshot,
			   TimestampTz oldest, TimestampTz newest)
{
	Relation ledger = table_open(extension_relation("ledger"), RowExclusiveLock);
	StampSource source = {.rel = ledger, .attnum = 1, .column = 1};
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
		deletions->stamps[n] = DatumGetTimestampTz(slot_getattr(slot, 1, &isnull));
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
 * Has a purge emptied the place of the deletions?
 */
static bool
is_emptied(StampSource *source, const Deletions *deletions)
{
	Oid relid = source->column > 1 ? source->relid : RelationGetRelid(source->rel);
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
 * Find out which of the deletions have rows in one place.
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
		find_rows_in_heap(deletions, source, snapshot);
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
 * Do the same where no index on stamps can be used.
 */
static void
find_rows_in_heap(Deletions *deletions, StampSource *source, Snapshot snapshot)
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
 * Return the number of the first deletion that has that stamp or a later one.
 * The last one has.
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
 * Forget the deletions that have no rows, and the references that they cut.
 */
static void
forget_deletions(Deletions *deletions, Snapshot snapshot)
{
	Relation ledger = table_open(extension_relation("ledger"), RowExclusiveLock);
	Relation cuts =
		table_open(extension_relation("cut_references"), RowExclusiveLock);
	bool has_cuts = RelationGetNumberOfBlocks(cuts) > 0;

	for (int i = 0; i < deletions->n; i++)
	{
		TM_FailureData tmfd;

		CHECK_FOR_INTERRUPTS();
		if (!deletions->have_rows[i] &&
			destroy_unless_locked(ledger, &deletions->tids[i],
								  GetCurrentCommandId(true), snapshot, &tmfd) == TM_Ok &&
			has_cuts)
			forget_cuts_of(cuts, deletions->stamps[i], snapshot);
	}
	table_close(cuts, NoLock);
	table_close(ledger, NoLock);
}

/*
 * Forget the references that a deletion cut.
 */
static void
forget_cuts_of(Relation cuts, TimestampTz stamp, Snapshot snapshot)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ,
				TimestampTzGetDatum(stamp));
	scan = systable_beginscan(cuts, linitial_oid(RelationGetIndexList(cuts)),
							  true, snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TM_FailureData tmfd;

		(void) destroy_unless_locked(cuts, &tuple->t_self,
									 GetCurrentCommandId(true), snapshot, &tmfd);
	}
	systable_endscan(scan);
}
