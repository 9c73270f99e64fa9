/*
 * purge.c
 *	  Destroys tombstones whose time has come, batch by batch.
 *
 * CALL soft_delete.purge() goes from one group of tables to the next, children
 * before parents, and calls purge_batch() for each batch, which it commits.  What
 * the batches of a group share is kept for the session: the scan through its due
 * rows (due.c).  A batch that fails is undone, noted in soft_delete_internal.purge_log and
 * ends its group alone.
 *
 * No row is locked beforehand: what the scan has found is destroyed where it is
 * found unchanged, and left where another transaction has its hands on it.  A
 * batch keeps holds and retention of its tables from changing, so what has been
 * committed of these is obeyed.
 *
 * Invariants: no row is destroyed before the retention of its table lets it go,
 * nor one that is held, nor one that another row is left behind to reference.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "purge/sd_purge.h"

/* The columns of soft_delete_internal.purge_log */
enum
{
	LOG_RELATION,
	LOG_PURGED_AT,
	LOG_PURGED_BY,
	LOG_ROWS,
	LOG_OLDEST,
	LOG_NEWEST,
	LOG_DURATION,
	LOG_ERROR,
	N_LOG_COLUMNS
};

/* The columns that purge_batch() returns */
enum
{
	BATCH_RELATION,
	BATCH_ROWS,
	BATCH_HELD,
	BATCH_REFERENCED,
	BATCH_LOCKED,
	BATCH_OLDEST,
	BATCH_NEWEST,
	BATCH_DONE,
	N_BATCH_COLUMNS
};

/* What purge_batch() was called with */
typedef struct Request
{
	TimestampTz as_of;
	const Interval *older_than; /* or NULL */
	int batch_size;
} Request;

/* The scan of this session's purge, between its batches */
static PurgeScan *current_scan = NULL;

/* The subtransaction that its last batch is of */
static SubTransactionId scan_subid = InvalidSubTransactionId;

PG_FUNCTION_INFO_V1(soft_delete_purge_batch);

static void end_transaction(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
							   SubTransactionId parentSubid, void *arg);
static void end_purge_scan(void);
static PurgeScan *scan_for(ArrayType *relations, bool begins, bool is_dry);
static void check_roots(int n, const Datum *relations);
static char *try_batch(PurgeScan *scan, const Request *request);
static void run_batch(PurgeScan *scan, const Request *request);
static void find_limit(PurgeTable *root, const Request *request);
static void open_leaves(PurgeScan *scan, int first, int n);
static void lock_leaves(PurgeScan *scan);
static void close_leaves(PurgeScan *scan);
static void purge_rows(PurgeScan *scan, int n);
static void purge_circles(PurgeScan *scan);
static bool may_go(PurgeScan *scan, DueRow *row);
static bool destroy_due_row(PurgeScan *scan, DueRow *row);
static void report_progress(PurgeScan *scan);
static void remember_all_emptied(PurgeScan *scan);
static void report_end(PurgeScan *scan);
static void log_purge(PurgeTable *root, const char *error);
static void forget_log_row(Relation log, const Datum *values);
static bool failed_before(const PurgeTable *root);
static void return_counts(FunctionCallInfo fcinfo, PurgeScan *scan, bool is_done);

/*
 * Watch for the ends of transactions.
 */
void
init_purge(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * Forget the scan of a purge that is broken off, and what a dry run imagined.
 */
static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		end_purge_scan();
		forget_emptied_tables();
	}
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT ||
		event == XACT_EVENT_PREPARE)
	{
		forget_imagined();
	}
}

/*
 * Forget the scan, too, where only what it has destroyed is taken back.
 */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
				   SubTransactionId parentSubid, void *arg)
{
	if (mySubid != scan_subid)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		scan_subid = parentSubid;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		end_purge_scan();
		forget_emptied_tables();
		scan_subid = InvalidSubTransactionId;
	}
}

/*
 * Forget the scan.
 */
static void
end_purge_scan(void)
{
	if (current_scan != NULL)
		MemoryContextDelete(current_scan->context);
	current_scan = NULL;
}

/*
 * soft_delete_internal.purge_batch(relations regclass[], as_of timestamptz,
 *	older_than interval, batch_size integer, begins boolean, dry_run boolean)
 *	returns setof record
 *
 * Destroys the next due rows of a group of tables, as many as the batch size says,
 * those of a circle at once.  as_of is the time that ages are reckoned from,
 * older_than, which may be null, the least age.  "begins": from the oldest on.
 * Returns a row per table: what has become of its due rows since then, and
 * whether these were all.
 *
 * An error is logged and reported as a warning, and ends the group.  Raises 42501
 * unless the caller owns the tables, 22023 for other arguments that it cannot do
 * with, 25001 in a transaction that keeps its snapshot.
 */
Datum
soft_delete_purge_batch(PG_FUNCTION_ARGS)
{
	Request request;
	bool is_dry;
	char *error;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3) ||
		PG_ARGISNULL(4) || PG_ARGISNULL(5) || PG_GETARG_INT32(3) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid argument of soft_delete_internal.purge_batch()"),
				 errdetail("The tables must be given, and the batch size must be positive."),
				 errhint("CALL soft_delete.purge('my_table');")));
	request.as_of = PG_GETARG_TIMESTAMPTZ(1);
	request.older_than = PG_ARGISNULL(2) ? NULL : PG_GETARG_INTERVAL_P(2);
	request.batch_size = PG_GETARG_INT32(3);
	is_dry = PG_GETARG_BOOL(5);

	if (IsolationUsesXactSnapshot() && !is_dry)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot purge in a transaction that keeps its snapshot"),
				 errdetail("What references a row must be seen as it is now."),
				 errhint("SET TRANSACTION ISOLATION LEVEL READ COMMITTED;")));

	InitMaterializedSRF(fcinfo, 0);
	current_scan = scan_for(PG_GETARG_ARRAYTYPE_P(0), PG_GETARG_BOOL(4), is_dry);
	scan_subid = GetCurrentSubTransactionId();
	error = try_batch(current_scan, &request);
	if (error != NULL)
	{
		for (int i = 0; i < current_scan->nroots && !is_dry; i++)
			log_purge(&current_scan->roots[i], error);
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("purge of table \"%s\" failed: %s",
						get_rel_name(current_scan->roots[0].relid), error)));
	}
	else if (!is_dry)
		report_progress(current_scan);

	if (error != NULL ||
		(current_scan->is_complete && current_scan->next == current_scan->nrows))
	{
		return_counts(fcinfo, current_scan, true);
		if (error == NULL && !is_dry)
		{
			remember_all_emptied(current_scan);
			report_end(current_scan);
		}
		end_purge_scan();
	}
	else
		return_counts(fcinfo, current_scan, false);
	return (Datum) 0;
}

/*
 * Return the scan that the session is on, or a new one.
 */
static PurgeScan *
scan_for(ArrayType *relations, bool begins, bool is_dry)
{
	Datum *elements;
	Oid *relids;
	int n;
	PurgeScan *scan;

	deconstruct_array(relations, ARR_ELEMTYPE(relations), sizeof(Oid), true,
					  TYPALIGN_INT, &elements, NULL, &n);
	check_roots(n, elements);
	relids = palloc(n * sizeof(Oid));
	for (int i = 0; i < n; i++)
		relids[i] = DatumGetObjectId(elements[i]);

	if (!begins && current_scan != NULL && current_scan->is_dry == is_dry &&
		current_scan->nroots == n)
	{
		for (int i = 0; i < n; i++)
			begins = begins || current_scan->roots[i].relid != relids[i];
		if (!begins)
			return current_scan;
	}
	end_purge_scan();
	scan = begin_purge_scan(n, relids);
	scan->is_dry = is_dry;
	for (int i = 0; i < n; i++)
		scan->roots[i].started = GetCurrentTimestamp();
	return scan;
}

/*
 * Raise 42501 unless the caller owns the tables, 22023 if there is none.
 */
static void
check_roots(int n, const Datum *relations)
{
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid argument of soft_delete_internal.purge_batch()"),
				 errdetail("There must be a table.")));
	for (int i = 0; i < n; i++)
	{
		Oid relid = DatumGetObjectId(relations[i]);

		/* one that is gone meanwhile is nobody's */
		if (get_rel_name(relid) != NULL &&
			!relation_ownercheck(relid, calling_role()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	}
}

/*
 * Do a batch, or nothing of it if it fails.  Returns the error then, unless the
 * statement was cancelled, by the client or by a timeout.
 *
 * The error may come from within a subtransaction of the batch, as that of
 * purge_circles(); all of them end here.  That gives back what else the batch has
 * taken: the role, the security context, settings, locks and buffers.
 */
static char *
try_batch(PurgeScan *scan, const Request *request)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	PurgeTable *counts = palloc(scan->nroots * sizeof(PurgeTable));
	int nestlevel = GetCurrentTransactionNestLevel();
	char *message = NULL;

	memcpy(counts, scan->roots, scan->nroots * sizeof(PurgeTable));
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		run_batch(scan, request);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcontext);
		CurrentResourceOwner = oldowner;
	}
	PG_CATCH();
	{
		message = end_failed_subtransactions(nestlevel, oldcontext, oldowner)->message;
		memcpy(scan->roots, counts, scan->nroots * sizeof(PurgeTable));
	}
	PG_END_TRY();
	return message;
}

/*
 * Do a batch.
 */
static void
run_batch(PurgeScan *scan, const Request *request)
{
	for (int i = 0; i < scan->nroots && !scan->is_dry; i++)
		share_retention(scan->roots[i].relid);
	PushActiveSnapshot(GetLatestSnapshot());
	scan->is_fresh = false;
	for (int i = 0; i < scan->nroots; i++)
		find_limit(&scan->roots[i], request);

	if (scan->next == scan->nrows && !scan->is_complete)
		read_on(scan, request->batch_size);
	if (scan->next < scan->first_circular)
		purge_rows(scan, Min(request->batch_size, scan->first_circular - scan->next));
	else if (scan->next < scan->nrows)
		purge_circles(scan);

	if (!scan->is_dry)
	{
		bool is_done = scan->is_complete && scan->next == scan->nrows;

		for (int i = 0; i < scan->nroots; i++)
		{
			PurgeTable *root = &scan->roots[i];

			if (root->purged > 0 || (is_done && failed_before(root)))
				log_purge(root, is_done ? NULL : "not finished");
		}
	}
	PopActiveSnapshot();
}

/*
 * Find out which tombstones of a table are due: those older than the limit.
 */
static void
find_limit(PurgeTable *root, const Request *request)
{
	Oid argtypes[] = {REGCLASSOID, TIMESTAMPTZOID, INTERVALOID};
	Datum values[] = {ObjectIdGetDatum(root->relid),
					  TimestampTzGetDatum(request->as_of),
					  IntervalPGetDatum(request->older_than)};
	char nulls[] = {' ', ' ', request->older_than ? ' ' : 'n'};
	bool isnull;
	Datum limit;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT " INTERNAL_SCHEMA ".purge_limit($1, $2, $3)",
							  3, argtypes, values, nulls, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not find the retention of a table");
	limit = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	root->has_limit = !isnull;
	root->limit = isnull ? 0 : DatumGetTimestampTz(limit);
	SPI_finish();
}

/*
 * Open the tables that some rows of the scan are in, as far as there is something
 * to do there.
 */
static void
open_leaves(PurgeScan *scan, int first, int n)
{
	for (int i = 0; i < scan->nleaves; i++)
		scan->leaves[i].is_open = false;
	for (int i = first; i < first + n; i++)
	{
		PurgeLeaf *leaf = nth_row(scan, i)->leaf;

		if (leaf->is_open)
			continue;
		leaf->is_open = true;
		leaf->rel = open_leaf(leaf, calling_role());
		leaf->slot = leaf->rel ? table_slot_create(leaf->rel, NULL) : NULL;
	}
	lock_leaves(scan);
}

/*
 * Keep holds on what is open as they are until the batch is committed, and find
 * out where there is any.
 */
static void
lock_leaves(PurgeScan *scan)
{
	List *relids = NIL;

	for (int i = 0; i < scan->nleaves; i++)
	{
		if (scan->leaves[i].is_open && scan->leaves[i].rel != NULL)
			relids = lappend_oid(relids, scan->leaves[i].relid);
	}
	if (!scan->is_dry)
		lock_holds(relids, ShareLock);
	for (int i = 0; i < scan->nleaves; i++)
	{
		PurgeLeaf *leaf = &scan->leaves[i];

		leaf->has_holds =
			leaf->is_open && leaf->rel != NULL && has_holds(leaf->relid);
	}
}

/*
 * Close them.
 */
static void
close_leaves(PurgeScan *scan)
{
	for (int i = 0; i < scan->nleaves; i++)
	{
		PurgeLeaf *leaf = &scan->leaves[i];

		if (leaf->is_open && leaf->rel != NULL)
		{
			ExecDropSingleTupleTableSlot(leaf->slot);
			table_close(leaf->rel, NoLock);
		}
		leaf->is_open = false;
		leaf->rel = NULL;
	}
}

/*
 * Purge the next n rows of the scan, but for those that must stay.
 */
static void
purge_rows(PurgeScan *scan, int n)
{
	open_leaves(scan, scan->next, n);
	for (int end = scan->next + n; scan->next < end; scan->next++)
	{
		DueRow *row = nth_row(scan, scan->next);

		CHECK_FOR_INTERRUPTS();
		if (row->stays)
			row->leaf->root->referenced++;
		else if (may_go(scan, row) && destroy_due_row(scan, row))
			continue;
		else
			keep_row(scan, row - scan->rows);
		row->leaf->has_left = true;
	}
	close_leaves(scan);
}

/*
 * Purge the rows that reference one another in circles, with those above them:
 * what one of them keeps from going is only known when all have been looked at.
 */
static void
purge_circles(PurgeScan *scan)
{
	int first = scan->next;
	Size size = scan->nroots * sizeof(PurgeTable);
	PurgeTable *counts = palloc(size);
	MemoryContext oldcontext = CurrentMemoryContext;
	bool all_go = true;

	open_leaves(scan, first, scan->nrows - first);
	for (int i = first; i < scan->nrows; i++)
	{
		DueRow *row = nth_row(scan, i);

		CHECK_FOR_INTERRUPTS();
		row->leaf->has_left = true; /* or may have */
		if (!row->stays && !may_go(scan, row))
		{
			row->is_refused = true;
			keep_row(scan, row - scan->rows);
		}
	}

	/* an error leaves it open: try_batch() ends it */
	memcpy(counts, scan->roots, size);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	for (int i = first; i < scan->nrows && all_go; i++)
	{
		DueRow *row = nth_row(scan, i);

		CHECK_FOR_INTERRUPTS();
		if (!row->stays)
			all_go = destroy_due_row(scan, row);
		else if (!row->is_refused)
			row->leaf->root->referenced++;
	}
	if (all_go)
		ReleaseCurrentSubTransaction();
	else
	{
		RollbackAndReleaseCurrentSubTransaction();
		memcpy(scan->roots, counts, size);
		for (int i = first; i < scan->nrows; i++)
			nth_row(scan, i)->leaf->root->locked++;
	}
	MemoryContextSwitchTo(oldcontext);
	scan->next = scan->nrows;
	close_leaves(scan);
}

/*
 * May the row go?  Not if it has changed since it was found, is not due any more,
 * or is held.  A row that this batch has found is fetched for the holds alone: its
 * snapshot keeps another one from taking the place, and whoever changes it now is
 * met when it is destroyed.  One that an earlier batch has found is known by its
 * place and by who wrote it; where the table has been rewritten since, it waits for
 * the next purge.
 */
static bool
may_go(PurgeScan *scan, DueRow *row)
{
	PurgeLeaf *leaf = row->leaf;
	bool is_held = false;

	if (leaf->rel == NULL || !leaf->root->has_limit ||
		row->tombstone.stamp >= leaf->root->limit)
		return false;
	if ((leaf->has_holds || !scan->is_fresh) &&
		!is_tombstone_version(leaf->rel, &row->tombstone,
							  leaf->files[row->tombstone.storage], row->xmin,
							  GetActiveSnapshot(), leaf->slot))
		return false;
	if (leaf->has_holds)
	{
		SavedRole saved;

		become_owner(leaf->rel, &saved);
		fetch_tombstone(leaf->rel, &row->tombstone, leaf->slot);
		is_held = tombstone_is_held(leaf->rel, row->tombstone.stamp, leaf->slot);
		restore_role(&saved);
	}
	if (is_held)
		leaf->root->held++;
	ExecClearTuple(leaf->slot);
	return !is_held;
}

/*
 * Destroy a row, or imagine it gone.  Returns false if it is another
 * transaction's.
 */
static bool
destroy_due_row(PurgeScan *scan, DueRow *row)
{
	PurgeTable *root = row->leaf->root;
	TM_Result result = TM_Ok;

	if (scan->is_dry)
		imagine_gone(row);
	else
		result = destroy_tombstone_unless_locked(row->leaf->rel, &row->tombstone);

	if (result == TM_BeingModified)
		root->locked++;
	if (result != TM_Ok)
		return false;
	if (root->purged++ == 0)
		root->oldest = root->newest = row->tombstone.stamp;
	root->oldest = Min(root->oldest, row->tombstone.stamp);
	root->newest = Max(root->newest, row->tombstone.stamp);
	return true;
}

/*
 * Show in pg_stat_activity how far the purge has come.
 */
static void
report_progress(PurgeScan *scan)
{
	PurgeTable *root = &scan->roots[0];
	char *message;

	if (get_rel_name(root->relid) == NULL)
		return;
	message = psprintf("soft_delete.purge: " UINT64_FORMAT " rows of %s so far",
					   root->purged, qualified_name(root->relid));
	pgstat_report_activity(STATE_RUNNING, message);
	ereport(DEBUG1, (errmsg_internal("%s", message)));
}

/*
 * Remember of which tables all due rows have been destroyed.
 */
static void
remember_all_emptied(PurgeScan *scan)
{
	for (int i = 0; i < scan->nleaves; i++)
	{
		PurgeLeaf *leaf = &scan->leaves[i];

		if (TransactionIdIsValid(leaf->xmin) && !leaf->has_left)
			remember_emptied(leaf->relid, leaf->xmin, leaf->limit);
	}
}

/*
 * Tell the client what has become of the due rows of the tables, if there were
 * any.
 */
static void
report_end(PurgeScan *scan)
{
	for (int i = 0; i < scan->nroots; i++)
	{
		PurgeTable *root = &scan->roots[i];
		uint64 stay = root->held + root->referenced + root->locked;

		if (root->purged + stay == 0)
			continue;
		ereport(NOTICE,
				(errmsg_plural("purged " UINT64_FORMAT " row of table \"%s\"",
							   "purged " UINT64_FORMAT " rows of table \"%s\"",
							   root->purged, root->purged, get_rel_name(root->relid)),
				 stay == 0 ? 0
						   : errdetail("More are due, and stay: " UINT64_FORMAT
									   " are held, " UINT64_FORMAT
									   " referenced, " UINT64_FORMAT " locked.",
									   root->held, root->referenced, root->locked)));
	}
}

/*
 * Write what has been purged of a table into the log, in the place of what this
 * purge has written before.
 */
static void
log_purge(PurgeTable *root, const char *error)
{
	Relation log;
	Datum values[N_LOG_COLUMNS];
	bool nulls[N_LOG_COLUMNS] = {false};

	if (get_rel_name(root->relid) == NULL)
		return;
	log = table_open(extension_relation("purge_log"), RowExclusiveLock);
	values[LOG_RELATION] = CStringGetTextDatum(qualified_name(root->relid));
	values[LOG_PURGED_AT] = TimestampTzGetDatum(root->started);
	if (root->is_logged)
		forget_log_row(log, values);

	values[LOG_PURGED_BY] =
		CStringGetTextDatum(GetUserNameFromId(calling_role(), false));
	values[LOG_ROWS] = Int64GetDatum(root->purged);
	values[LOG_OLDEST] = TimestampTzGetDatum(root->oldest);
	values[LOG_NEWEST] = TimestampTzGetDatum(root->newest);
	nulls[LOG_OLDEST] = nulls[LOG_NEWEST] = root->purged == 0;
	values[LOG_DURATION] =
		DirectFunctionCall2(timestamp_mi,
							TimestampTzGetDatum(GetCurrentTimestamp()),
							TimestampTzGetDatum(root->started));
	nulls[LOG_ERROR] = error == NULL;
	values[LOG_ERROR] = error ? CStringGetTextDatum(error) : (Datum) 0;

	/* another purge may have begun in the same microsecond */
	while (!append_row(log, values, nulls))
		values[LOG_PURGED_AT] = TimestampTzGetDatum(++root->started);
	root->is_logged = true;
	table_close(log, NoLock);
}

/*
 * Take a row out of the log, found by its key.
 */
static void
forget_log_row(Relation log, const Datum *values)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0], LOG_RELATION + 1, BTEqualStrategyNumber, F_TEXTEQ,
				values[LOG_RELATION]);
	ScanKeyInit(&keys[1], LOG_PURGED_AT + 1, BTEqualStrategyNumber,
				F_TIMESTAMPTZ_EQ, values[LOG_PURGED_AT]);
	scan = systable_beginscan(log, linitial_oid(RelationGetIndexList(log)),
							  true, snapshot, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		TM_FailureData tmfd;

		(void) destroy_tuple(log, &tuple->t_self, GetCurrentCommandId(true),
							 snapshot, &tmfd);
		CommandCounterIncrement();
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
}

/*
 * Does the log end with a purge of the table that failed or was broken off?
 */
static bool
failed_before(const PurgeTable *root)
{
	Relation log, index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData key;
	bool failed;

	if (get_rel_name(root->relid) == NULL)
		return false;
	log = table_open(extension_relation("purge_log"), AccessShareLock);
	index = index_open(linitial_oid(RelationGetIndexList(log)), AccessShareLock);
	slot = table_slot_create(log, NULL);
	ScanKeyInit(&key, LOG_RELATION + 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(qualified_name(root->relid)));
	scan = begin_index_scan(log, index, GetActiveSnapshot(), 1);
	index_rescan(scan, &key, 1, NULL, 0);
	failed = index_getnext_slot(scan, BackwardScanDirection, slot) &&
			 !slot_attisnull(slot, LOG_ERROR + 1);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(log, NoLock);
	return failed;
}

/*
 * Return what has become of the due rows of each table.
 */
static void
return_counts(FunctionCallInfo fcinfo, PurgeScan *scan, bool is_done)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (int i = 0; i < scan->nroots; i++)
	{
		PurgeTable *root = &scan->roots[i];
		Datum values[N_BATCH_COLUMNS];
		bool nulls[N_BATCH_COLUMNS] = {false};

		values[BATCH_RELATION] = ObjectIdGetDatum(root->relid);
		values[BATCH_ROWS] = Int64GetDatum(root->purged);
		values[BATCH_HELD] = Int64GetDatum(root->held);
		values[BATCH_REFERENCED] = Int64GetDatum(root->referenced);
		values[BATCH_LOCKED] = Int64GetDatum(root->locked);
		values[BATCH_OLDEST] = TimestampTzGetDatum(root->oldest);
		values[BATCH_NEWEST] = TimestampTzGetDatum(root->newest);
		nulls[BATCH_OLDEST] = nulls[BATCH_NEWEST] = root->purged == 0;
		values[BATCH_DONE] = BoolGetDatum(is_done);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}
