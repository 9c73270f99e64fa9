/*
 * purge.c
 *	  Destroys the tombstones that are due, batch by batch.
 *
 * CALL soft_delete.purge() (procedure.c) takes one group of tables after the other,
 * children before parents, and calls purge_batch() for each batch, which it commits.
 * The scan of the due rows of a group (scan.c) outlives the batch: it belongs to the
 * session.  A batch that fails is rolled back and logged in
 * soft_delete_internal.purge_log; it ends the purge of its group, not of others.
 *
 * No row is locked in advance: a row is destroyed if it still is the version that the
 * scan has read, and left if another transaction has locked or changed it.  A batch
 * locks the holds and the retention of its tables against changes, so it obeys all
 * that are committed.
 *
 * Invariants: no row is destroyed that is younger than the retention of its table,
 * that is held, or that a remaining row references.
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
#include "utils/hsearch.h"
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
	LOG_OWNER,
	LOG_ROLEID,
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

/* Arguments of purge_batch() */
typedef struct BatchRequest
{
	TimestampTz as_of;			/* the time that ages are measured from */
	const Interval *older_than; /* the least age, or NULL */
	int batch_size;
	bool is_dry_run;
} BatchRequest;

/* The scan of the purge that this session is running, kept from batch to batch */
static PurgeScan *current_scan = NULL;

/* The subtransaction in which its last batch ran */
static SubTransactionId scan_subid = InvalidSubTransactionId;

PG_FUNCTION_INFO_V1(soft_delete_purge_batch);

static void end_transaction(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
							   SubTransactionId parentSubid, void *arg);
static void end_purge_scan(void);
static BatchRequest read_request(FunctionCallInfo fcinfo);
static bool is_finished(const PurgeScan *scan);
static PurgeScan *find_or_begin_scan(ArrayType *relations, bool begins,
									 bool is_dry_run);
static void check_roots(int n, const Datum *relations);
static bool begin_limit(const PurgeScan *scan);
static char *try_batch(PurgeScan *scan, const BatchRequest *request);
static void run_batch(PurgeScan *scan, const BatchRequest *request);
static void find_limit(PurgeTable *root, const BatchRequest *request);
static void open_leaves(PurgeScan *scan, int first, int n);
static void lock_leaves(PurgeScan *scan);
static void close_leaves(PurgeScan *scan);
static void purge_rows(PurgeScan *scan, int n);
static void purge_circles(PurgeScan *scan);
static void check_circles(PurgeScan *scan);
static bool destroy_circles(PurgeScan *scan);
static bool may_destroy(PurgeScan *scan, DueRow *row);
static bool is_same_version(PurgeScan *scan, DueRow *row);
static void count_kept_row(const DueRow *row);
static void find_held_rows(PurgeScan *scan, int first, int n);
static void find_held_rows_of(PurgeScan *scan, PurgeLeaf *leaf, int first, int n);
static bool destroy_due_row(PurgeScan *scan, DueRow *row);
static void report_failure(PurgeScan *scan, const char *error);
static void report_progress(PurgeScan *scan);
static void remember_emptied_leaves(PurgeScan *scan);
static void report_end(PurgeScan *scan);
static void log_purge(PurgeTable *root, const char *error);
static void delete_log_row(Relation log, const Datum *values);
static bool last_purge_failed(const PurgeTable *root);
static void return_counts(FunctionCallInfo fcinfo, PurgeScan *scan, bool is_done);

/*
 * Register the callbacks that see transactions and subtransactions end.
 */
void
init_purge(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * Transaction callback: end the scan of a purge that is aborted, and forget what a dry
 * run would have destroyed.
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
		forget_dry_purges();
}

/*
 * Subtransaction callback: end the scan if the rows that its last batch has destroyed
 * come back.
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
 * End the current scan, if there is one, and free its memory.
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
 * Destroys the next batch_size due rows of a group of tables; rows that reference
 * one another in circles are destroyed all at once.  as_of: the time that ages are
 * measured from; older_than: the least age, or null; begins: start with the oldest
 * row, else go on after the last batch; dry_run: count rows, but destroy none.
 * Returns a row per table: the counts of its due rows since the purge began, and
 * whether the purge of the group has ended.
 *
 * An error in the batch is logged and reported as a warning, and ends the purge of the
 * group.  Raises 42501 unless the caller owns the tables, 22023 for other invalid
 * arguments, 25001 if the isolation level is not READ COMMITTED.
 */
Datum
soft_delete_purge_batch(PG_FUNCTION_ARGS)
{
	BatchRequest request = read_request(fcinfo);
	char *error;

	InitMaterializedSRF(fcinfo, 0);
	current_scan = find_or_begin_scan(PG_GETARG_ARRAYTYPE_P(0),
									  PG_GETARG_BOOL(4), request.is_dry_run);
	scan_subid = GetCurrentSubTransactionId();
	error = try_batch(current_scan, &request);
	if (error != NULL)
		report_failure(current_scan, error);
	else if (!request.is_dry_run)
		report_progress(current_scan);

	if (error == NULL && !is_finished(current_scan))
	{
		return_counts(fcinfo, current_scan, false);
		return (Datum) 0;
	}
	return_counts(fcinfo, current_scan, true);
	if (error == NULL && !request.is_dry_run)
	{
		remember_emptied_leaves(current_scan);
		report_end(current_scan);
	}
	end_purge_scan();
	return (Datum) 0;
}

/*
 * Return the arguments of purge_batch() that are about the batch.
 *
 * Raises 22023 if an argument is invalid, 25001 if the isolation level is not READ
 * COMMITTED and rows are to be destroyed.
 */
static BatchRequest
read_request(FunctionCallInfo fcinfo)
{
	BatchRequest request;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3) ||
		PG_ARGISNULL(4) || PG_ARGISNULL(5) || PG_GETARG_INT32(3) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid argument of soft_delete_internal.purge_batch()"),
				 errdetail("The tables must be given, and the batch size must be positive.")));
	request.as_of = PG_GETARG_TIMESTAMPTZ(1);
	request.older_than = PG_ARGISNULL(2) ? NULL : PG_GETARG_INTERVAL_P(2);
	request.batch_size = PG_GETARG_INT32(3);
	request.is_dry_run = PG_GETARG_BOOL(5);

	if (IsolationUsesXactSnapshot() && !request.is_dry_run)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot purge in a transaction that keeps its snapshot"),
				 errdetail("A purge must see all rows that reference a deleted row, including those committed since the snapshot was taken.")));
	return request;
}

/*
 * Have all rows of the scan been read, and are they done?
 */
static bool
is_finished(const PurgeScan *scan)
{
	return scan->is_complete && scan->next == scan->nrows;
}

/*
 * Return the current scan of the session if it is of the same tables and the purge
 * does not begin, else a new one.  Raises what check_roots() raises.
 */
static PurgeScan *
find_or_begin_scan(ArrayType *relations, bool begins, bool is_dry_run)
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

	if (!begins && current_scan != NULL &&
		current_scan->is_dry_run == is_dry_run && current_scan->nroots == n)
	{
		for (int i = 0; i < n; i++)
			begins = begins || current_scan->roots[i].relid != relids[i];
		if (!begins)
			return current_scan;
	}
	end_purge_scan();
	scan = begin_purge_scan(n, relids);
	scan->is_dry_run = is_dry_run;
	scan->begins = true;
	for (int i = 0; i < n; i++)
		scan->roots[i].started = GetCurrentTimestamp();
	return scan;
}

/*
 * Raise 42501 unless the caller owns the tables, 22023 if there are none.
 */
static void
check_roots(int n, const Datum *relations)
{
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid argument of soft_delete_internal.purge_batch()"),
				 errdetail("The list of tables must not be empty.")));
	for (int i = 0; i < n; i++)
	{
		Oid relid = DatumGetObjectId(relations[i]);

		/* a table that has been dropped meanwhile has no owner */
		if (get_rel_name(relid) != NULL &&
			!relation_ownercheck(relid, calling_role()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	}
}

/*
 * Limit how long a batch may take, if not all of its tables are the caller's.  Returns
 * whether that has begun, for end_time_limit().
 */
static bool
begin_limit(const PurgeScan *scan)
{
	for (int i = 0; i < scan->nroots; i++)
	{
		if (begin_time_limit(scan->roots[i].relid))
			return true;
	}
	return false;
}

/*
 * Run a batch in a subtransaction.  Returns NULL, or the message of the error for
 * which it was rolled back.  An error that cancels the statement, by the client or by
 * a timeout, is thrown again, but for soft_delete.owner_timeout.
 *
 * The error may come from inside a nested subtransaction, such as that of
 * purge_circles(); all of them end here.  This also restores the role, the security
 * context and settings, and releases locks and buffers.
 */
static char *
try_batch(PurgeScan *scan, const BatchRequest *request)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	PurgeTable *counts = palloc(scan->nroots * sizeof(PurgeTable));
	int nestlevel = GetCurrentTransactionNestLevel();
	bool is_limited = begin_limit(scan);
	char *volatile message = NULL;

	memcpy(counts, scan->roots, scan->nroots * sizeof(PurgeTable));
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		run_batch(scan, request);
		(void) end_time_limit(is_limited);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcontext);
		CurrentResourceOwner = oldowner;
	}
	PG_CATCH();
	{
		message = end_failed_subtransactions(nestlevel, oldcontext, oldowner, is_limited)
					  ->message;
		memcpy(scan->roots, counts, scan->nroots * sizeof(PurgeTable));
	}
	PG_END_TRY();
	return message;
}

/*
 * Run a batch: find the limits, read a portion if none is left, destroy rows, and log what
 * was purged.  The first one makes months of companions ahead, and drops those that are due.
 */
static void
run_batch(PurgeScan *scan, const BatchRequest *request)
{
	bool begins = scan->begins;

	for (int i = 0; i < scan->nroots && !scan->is_dry_run; i++)
		share_retention(scan->roots[i].relid);
	if (begins && !scan->is_dry_run)
		make_next_months(scan);
	PushActiveSnapshot(GetLatestSnapshot());
	scan->is_fresh = false;
	scan->begins = false;
	for (int i = 0; i < scan->nroots; i++)
		find_limit(&scan->roots[i], request);

	scan->tally = make_tally();
	if (begins && !scan->is_dry_run)
		drop_due_months(scan);
	if (scan->next == scan->nrows && !scan->is_complete)
		read_due_rows(scan, request->batch_size);
	if (scan->next < scan->first_circular)
		purge_rows(scan, Min(request->batch_size, scan->first_circular - scan->next));
	else if (scan->next < scan->nrows)
		purge_circles(scan);

	record_tally(scan->tally, EVENT_OF_PURGE);
	if (!scan->is_dry_run)
	{
		bool is_done = is_finished(scan);

		for (int i = 0; i < scan->nroots; i++)
		{
			PurgeTable *root = &scan->roots[i];

			if (root->purged > 0 || (is_done && last_purge_failed(root)))
				log_purge(root, is_done ? NULL : "not finished");
		}
	}
	PopActiveSnapshot();
}

/*
 * Set the limit of a table: its tombstones with an older stamp are due.
 */
static void
find_limit(PurgeTable *root, const BatchRequest *request)
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
 * Open the relations of n rows of the scan from the given one on, where they can
 * still be purged.
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
 * Keep the holds on the open relations from being changed until the batch is
 * committed, and note which relations have any.
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
	if (!scan->is_dry_run)
		lock_holds(relids, ShareLock);
	for (int i = 0; i < scan->nleaves; i++)
	{
		PurgeLeaf *leaf = &scan->leaves[i];

		leaf->may_be_held =
			leaf->is_open && leaf->rel != NULL && may_be_held(leaf->relid);
	}
}

/*
 * Close the relations that open_leaves() has opened.
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
 * Purge the next n rows of the scan, except those that must be kept.
 */
static void
purge_rows(PurgeScan *scan, int n)
{
	open_leaves(scan, scan->next, n);
	find_held_rows(scan, scan->next, n);
	for (int end = scan->next + n; scan->next < end; scan->next++)
	{
		DueRow *row = nth_row(scan, scan->next);

		CHECK_FOR_INTERRUPTS();
		if (row->is_kept)
			count_kept_row(row);
		else if (may_destroy(scan, row) && destroy_due_row(scan, row))
			continue;
		else
			keep_row(scan, row - scan->rows);
		row->leaf->has_left = true;
	}
	close_leaves(scan);
}

/*
 * Count a row that is kept because another one references it: as held if it is held
 * itself, which is what a reader of the counts decides about.
 */
static void
count_kept_row(const DueRow *row)
{
	if (row->is_held)
		row->leaf->root->held++;
	else
		row->leaf->root->referenced++;
}

/*
 * Purge the rows that reference one another in circles, with the rows that these
 * reference.  All rows are checked before any is destroyed, since each row that is
 * kept keeps others.
 */
static void
purge_circles(PurgeScan *scan)
{
	Size size = scan->nroots * sizeof(PurgeTable);
	PurgeTable *counts = palloc(size);
	MemoryContext oldcontext = CurrentMemoryContext;

	open_leaves(scan, scan->next, scan->nrows - scan->next);
	find_held_rows(scan, scan->next, scan->nrows - scan->next);
	check_circles(scan);

	/* after an error, try_batch() ends this subtransaction */
	memcpy(counts, scan->roots, size);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	if (destroy_circles(scan))
		ReleaseCurrentSubTransaction();
	else
	{
		RollbackAndReleaseCurrentSubTransaction();
		memcpy(scan->roots, counts, size);
		hash_destroy(scan->tally);
		scan->tally = make_tally();
		for (int i = scan->next; i < scan->nrows; i++)
			nth_row(scan, i)->leaf->root->locked++;
	}
	MemoryContextSwitchTo(oldcontext);
	scan->next = scan->nrows;
	close_leaves(scan);
}

/*
 * Keep the rows of circles that must not be destroyed, and the rows that these
 * reference.
 */
static void
check_circles(PurgeScan *scan)
{
	for (int i = scan->next; i < scan->nrows; i++)
	{
		DueRow *row = nth_row(scan, i);

		CHECK_FOR_INTERRUPTS();
		row->leaf->has_left = true; /* it may have */
		if (!row->is_kept && !may_destroy(scan, row))
		{
			row->is_kept_itself = true;
			keep_row(scan, row - scan->rows);
		}
	}
}

/*
 * Destroy the rows of circles that are not kept.  Returns false as soon as another
 * transaction has locked or changed one of them.
 */
static bool
destroy_circles(PurgeScan *scan)
{
	for (int i = scan->next; i < scan->nrows; i++)
	{
		DueRow *row = nth_row(scan, i);

		CHECK_FOR_INTERRUPTS();
		if (!row->is_kept)
		{
			if (!destroy_due_row(scan, row))
				return false;
		}
		else if (!row->is_kept_itself)
			count_kept_row(row);
	}
	return true;
}

/*
 * May a row be destroyed?  Not if it has changed since it was read, is not due any
 * more, or is held.
 *
 * A row that was read with the active snapshot is fetched for the check of holds only:
 * the snapshot keeps its place from being reused, and a concurrent change is detected
 * when the row is destroyed.  A row that an earlier batch has read is identified by
 * its place and by the xmin of its version; if the table has been rewritten since, it
 * is left to the next purge.
 */
static bool
may_destroy(PurgeScan *scan, DueRow *row)
{
	PurgeLeaf *leaf = row->leaf;

	if (leaf->rel == NULL || !leaf->root->has_limit ||
		row->tombstone.stamp >= leaf->root->limit)
		return false;
	if ((leaf->may_be_held || !scan->is_fresh) && !is_same_version(scan, row))
		return false;
	if (row->is_held)
		leaf->root->held++;
	return !row->is_held;
}

/*
 * Does the active snapshot see the version of a row that was read?
 */
static bool
is_same_version(PurgeScan *scan, DueRow *row)
{
	PurgeLeaf *leaf = row->leaf;
	bool is_same = is_tombstone_version(leaf->rel, &row->tombstone, leaf->file,
										row->xmin, GetActiveSnapshot(), leaf->slot);

	ExecClearTuple(leaf->slot);
	return is_same;
}

/*
 * Find out which of n rows of the scan from the given one on are held.
 */
static void
find_held_rows(PurgeScan *scan, int first, int n)
{
	for (int i = 0; i < scan->nleaves; i++)
	{
		PurgeLeaf *leaf = &scan->leaves[i];

		if (leaf->is_open && leaf->may_be_held)
			find_held_rows_of(scan, leaf, first, n);
	}
}

/*
 * Find out which rows of a leaf are held, as find_held_rows() does.
 */
static void
find_held_rows_of(PurgeScan *scan, PurgeLeaf *leaf, int first, int n)
{
	CascadeTable table = {.relid = leaf->relid};
	DueRow **rows =
		MemoryContextAllocHuge(CurrentMemoryContext, (Size) n * sizeof(DueRow *));
	Hold **holds;

	table.members = MemoryContextAllocExtended(CurrentMemoryContext,
											   (Size) n * sizeof(Member),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = first; i < first + n; i++)
	{
		DueRow *row = nth_row(scan, i);

		if (row->leaf != leaf || !is_same_version(scan, row))
			continue;
		table.members[table.nmembers].tombstone = row->tombstone;
		rows[table.nmembers++] = row;
	}
	holds = find_holds(&table, false, SnapshotSelf);
	for (int i = 0; holds != NULL && i < table.nmembers; i++)
		rows[i]->is_held = holds[i] != NULL;
	pfree(table.members);
	pfree(rows);
}

/*
 * Destroy a row, or only count it in a dry run.  Returns false if another transaction
 * has locked or changed it.
 */
static bool
destroy_due_row(PurgeScan *scan, DueRow *row)
{
	PurgeTable *root = row->leaf->root;
	TM_Result result = TM_Ok;

	if (scan->is_dry_run)
		note_dry_purge(row);
	else
		result = destroy_tombstone_unless_locked(row->leaf->rel, &row->tombstone);

	if (result == TM_BeingModified)
		root->locked++;
	if (result != TM_Ok)
		return false;
	if (!scan->is_dry_run)
		tally_row(scan->tally, row->leaf->relid, row->tombstone.stamp);
	if (root->purged++ == 0)
		root->oldest = root->newest = row->tombstone.stamp;
	root->oldest = Min(root->oldest, row->tombstone.stamp);
	root->newest = Max(root->newest, row->tombstone.stamp);
	return true;
}

/*
 * Log the error of a batch, unless it was a dry run, and report it as a warning.
 */
static void
report_failure(PurgeScan *scan, const char *error)
{
	char *name = NULL;

	for (int i = 0; i < scan->nroots && !scan->is_dry_run; i++)
		log_purge(&scan->roots[i], error);
	for (int i = 0; i < scan->nroots && name == NULL; i++)
		name = get_rel_name(scan->roots[i].relid);
	/* of a table that has been dropped meanwhile nothing need be said */
	if (name != NULL)
		ereport(WARNING, (errcode(ERRCODE_WARNING),
						  errmsg("purge of table \"%s\" failed: %s", name, error)));
}

/*
 * Show in pg_stat_activity how many rows have been purged.
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
 * Remember the relations whose due rows have all been destroyed (emptied.c).
 */
static void
remember_emptied_leaves(PurgeScan *scan)
{
	for (int i = 0; i < scan->nleaves; i++)
	{
		PurgeLeaf *leaf = &scan->leaves[i];

		if (TransactionIdIsValid(leaf->xmin) && !leaf->has_left)
			remember_emptied(leaf->storage == IN_PLACE ? leaf->relid
							 : OidIsValid(leaf->month) ? leaf->month
													   : companion_of(leaf->relid),
							 leaf->xmin, leaf->limit);
	}
}

/*
 * Report to the client, for each table that had due rows, how many were purged and
 * how many remain.
 */
static void
report_end(PurgeScan *scan)
{
	for (int i = 0; i < scan->nroots; i++)
	{
		PurgeTable *root = &scan->roots[i];
		char *name = get_rel_name(root->relid);

		/* of a table that has been dropped meanwhile nothing remains */
		if (name != NULL)
			report_purged(name, root->purged, root->held, root->referenced,
						  root->locked);
	}
}

/*
 * Report how many rows were purged of a table, and how many remain, if there were any.
 */
void
report_purged(const char *table_name, uint64 purged, uint64 held,
			  uint64 referenced, uint64 locked)
{
	uint64 kept = held + referenced + locked;

	if (purged + kept == 0)
		return;
	/* nobody but the log listens to the worker */
	ereport(MyBackendType == B_BG_WORKER ? LOG : NOTICE,
			(errmsg_plural("purged " UINT64_FORMAT " row of table \"%s\"",
						   "purged " UINT64_FORMAT " rows of table \"%s\"",
						   purged, purged, table_name),
			 kept == 0 ? 0
					   : errdetail("Due rows that remain: " UINT64_FORMAT " held, " UINT64_FORMAT
								   " referenced, " UINT64_FORMAT " locked.",
								   held, referenced, locked)));
}

/*
 * Log what has been purged of a table, and the error if there was one.  The row
 * replaces the one that this purge has written before.
 */
static void
log_purge(PurgeTable *root, const char *error)
{
	Relation log;
	Datum values[N_LOG_COLUMNS];
	bool nulls[N_LOG_COLUMNS] = {false};
	Oid owner = owner_of(root->relid);

	if (!OidIsValid(owner))
		return;
	/* the table may be dropped while this waits for the log */
	values[LOG_RELATION] = CStringGetTextDatum(qualified_name(root->relid));
	values[LOG_ROLEID] = ObjectIdGetDatum(owner);
	values[LOG_OWNER] = CStringGetTextDatum(GetUserNameFromId(owner, false));
	log = table_open(extension_relation("purge_log"), RowExclusiveLock);
	values[LOG_PURGED_AT] = TimestampTzGetDatum(root->started);
	if (root->is_logged)
		delete_log_row(log, values);

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
	values[LOG_ERROR] = error ? recorded_text(error) : (Datum) 0;

	/* another purge may have begun in the same microsecond */
	while (!append_row(log, values, nulls))
		values[LOG_PURGED_AT] = TimestampTzGetDatum(++root->started);
	root->is_logged = true;
	table_close(log, NoLock);
}

/*
 * Delete the row of the log that has the key in "values".
 */
static void
delete_log_row(Relation log, const Datum *values)
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
 * Has the last logged purge of the table failed, or was it aborted?
 */
static bool
last_purge_failed(const PurgeTable *root)
{
	Relation log, index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData key;
	Datum name;
	bool failed;

	if (!OidIsValid(owner_of(root->relid)))
		return false;
	name = CStringGetTextDatum(qualified_name(root->relid));
	log = table_open(extension_relation("purge_log"), AccessShareLock);
	index = index_open(linitial_oid(RelationGetIndexList(log)), AccessShareLock);
	slot = table_slot_create(log, NULL);
	ScanKeyInit(&key, LOG_RELATION + 1, BTEqualStrategyNumber, F_TEXTEQ, name);
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
 * Return a row per table with the counts of its due rows.
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
