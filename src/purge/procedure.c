/*
 * procedure.c
 *	  CALL soft_delete.purge(): runs purges batch by batch, and commits each batch.
 *
 * It decides when which group of tables is purged; what a batch does is in purge.c
 * and sql/purge.sql.  Tables whose foreign keys form a circle are one group.
 *
 * A transaction must end with the role with which it began.  So each query enters
 * the extension (caller.c) and leaves it before the next commit.  What is kept from
 * one transaction to the next lives in the memory context of the call.
 *
 * Invariant: a group that another session has locked does not delay the groups that
 * need not come after it, nor does a role whose tables take long those of others, whether
 * Citus has sharded them or not.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "purge/sd_purge.h"

/* The arguments of soft_delete.purge() */
enum PurgeArgument
{
	ARGUMENT_RELATION,
	ARGUMENT_OLDER_THAN,
	ARGUMENT_BATCH_SIZE,
	ARGUMENT_PAUSE,
	N_ARGUMENTS
};

/* How long the tables of a role have taken */
typedef struct OwnerTime
{
	Oid owner;
	int64 spent;  /* microseconds */
	int64 limit;  /* of one batch, too; 0 is none */
	bool is_late; /* a batch was canceled */
} OwnerTime;

/* The arguments and the progress of a CALL soft_delete.purge() */
typedef struct PurgeCall
{
	MemoryContext context;
	Datum arguments[N_ARGUMENTS];
	char nulls[N_ARGUMENTS + 1]; /* in SPI's format: 'n' for null, else ' ' */
	TimestampTz as_of;			 /* the time that ages are measured from */
	List *groups;	 /* PurgeUnit: of tables that are purged together */
	List *sharded;	 /* PurgeUnit: tables that Citus has sharded */
	List *postponed; /* groups that would have to wait; they come last */
	ArrayType *postponed_tables; /* all tables of these groups: regclass[] */
	List *last; /* PurgeUnit: of owners who have had their time, and let others go first */
	List *times; /* OwnerTime */
	/* the range of the stamps whose deletions may have no rows left */
	bool has_oldest;
	TimestampTz oldest;
	bool has_newest;
	TimestampTz newest;
} PurgeCall;

/*
 * What is purged batch by batch: a group of tables, or a table that Citus has sharded, and
 * how far its purge has come
 */
typedef struct PurgeUnit
{
	ArrayType *group; /* regclass[], or NULL: the table is sharded */
	/*
	 * The table, or the first one of the group.  Its owner is that of the group: only who may
	 * reference the tables of another can be in a circle with them.
	 */
	Oid relid;
	bool has_until;
	TimestampTz until; /* the newest stamp that has been looked at */
	int64 purged;
	int64 held; /* due rows that remain, known at the end */
	int64 referenced;
} PurgeUnit;

PG_FUNCTION_INFO_V1(soft_delete_purge);

static void read_arguments(FunctionCallInfo fcinfo, PurgeCall *call);
static void begin_purge(PurgeCall *call);
static void begin_next_transaction(void);
static bool must_wait(PurgeCall *call, const PurgeUnit *group);
static void postpone_group(PurgeCall *call, PurgeUnit *group);
static void purge_or_put_off(PurgeCall *call, PurgeUnit *unit);
static void purge_what_was_put_off(PurgeCall *call);
static bool may_go_last(PurgeCall *call, const PurgeUnit *unit);
static bool purge_unit(PurgeCall *call, PurgeUnit *unit, bool is_last);
static OwnerTime *time_of_owner(PurgeCall *call, Oid relid);
static bool has_had_time(const OwnerTime *time);
static void add_time(OwnerTime *time, TimestampTz started);
static bool must_stop(PurgeCall *call, const OwnerTime *time, bool is_last);
static void begin_next_batch(PurgeCall *call);
static bool purge_batch(PurgeCall *call, const PurgeUnit *group, bool begins);
static bool try_sharded_batch(PurgeCall *call, PurgeUnit *table);
static void end_late_batch(PurgeCall *call, const PurgeUnit *table,
						   const char *message);
static bool purge_sharded_batch(PurgeCall *call, PurgeUnit *table);
static void report_sharded(const PurgeUnit *table);
static void remove_empty_deletions(PurgeCall *call);
static void widen_range(PurgeCall *call, HeapTuple row, int column);
static bool get_stamp(HeapTuple row, int column, TimestampTz *stamp);
static void run_query(const char *query, int nargs, Oid *argtypes,
					  Datum *values, const char *nulls);

/*
 * soft_delete.purge(relation regclass, older_than interval, batch_size integer,
 * pause interval)
 *
 * Procedure: destroys the tombstones that are due, and commits after each batch.
 * relation: the table to purge, with what its deletes reach by CASCADE, or null for
 * all tables that the caller owns; older_than: the least age, where the retention of
 * the table is not longer, or null; batch_size: the number of rows per transaction;
 * pause: the time to sleep between batches.
 *
 * Raises 2D000 in a transaction block, and what soft_delete_internal.check_purge()
 * raises for the arguments.
 */
Datum
soft_delete_purge(PG_FUNCTION_ARGS)
{
	PurgeCall call;
	ListCell *lc;

	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
						errmsg("%s cannot run inside a transaction block",
							   "CALL soft_delete.purge()"),
						errdetail("It commits after each batch."),
						errhint("COMMIT; CALL soft_delete.purge();")));
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	read_arguments(fcinfo, &call);
	begin_purge(&call);
	foreach (lc, call.groups)
	{
		begin_next_transaction();
		if (must_wait(&call, lfirst(lc)))
			postpone_group(&call, lfirst(lc));
		else
			purge_or_put_off(&call, lfirst(lc));
	}
	foreach (lc, call.postponed)
	{
		begin_next_transaction();
		purge_or_put_off(&call, lfirst(lc));
	}
	foreach (lc, call.sharded)
	{
		begin_next_transaction();
		purge_or_put_off(&call, lfirst(lc));
	}
	purge_what_was_put_off(&call);
	if (call.sharded != NIL)
	{
		begin_next_transaction();
		run_query("SELECT " INTERNAL_SCHEMA ".forget_transactions()", 0, NULL,
				  NULL, NULL);
	}
	while (call.has_oldest && call.has_newest)
	{
		SPI_commit();
		remove_empty_deletions(&call);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Initialize a call, and copy the arguments into its memory context.
 */
static void
read_arguments(FunctionCallInfo fcinfo, PurgeCall *call)
{
	call->context = CurrentMemoryContext;
	call->groups = call->sharded = call->postponed = NIL;
	call->last = call->times = NIL;
	call->postponed_tables = construct_empty_array(REGCLASSOID);
	call->has_oldest = call->has_newest = false;
	call->as_of = GetCurrentTimestamp();
	for (int i = 0; i < N_ARGUMENTS; i++)
	{
		bool is_interval = i == ARGUMENT_OLDER_THAN || i == ARGUMENT_PAUSE;

		call->nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		call->arguments[i] =
			is_interval && !PG_ARGISNULL(i)
				? datumCopy(PG_GETARG_DATUM(i), false, sizeof(Interval))
				: PG_GETARG_DATUM(i);
	}
	call->nulls[N_ARGUMENTS] = '\0';
}

/*
 * Check the arguments, and find the groups of tables to purge.
 */
static void
begin_purge(PurgeCall *call)
{
	Oid argtypes[] = {REGCLASSOID, INTERVALOID, INT4OID, INTERVALOID};
	MemoryContext oldcontext;

	run_query("SELECT " INTERNAL_SCHEMA ".check_purge($1, $2, $3, $4)",
			  N_ARGUMENTS, argtypes, call->arguments, call->nulls);

	run_query("SELECT oldest, newest FROM " INTERNAL_SCHEMA ".empty_deletions_range()",
			  0, NULL, NULL, NULL);
	widen_range(call, SPI_tuptable->vals[0], 1);
	if (!TIMESTAMP_IS_NOBEGIN(ledger_limit()))
	{
		call->oldest = DT_NOBEGIN;
		call->newest = call->has_newest ? Max(call->newest, ledger_limit())
										: ledger_limit();
		call->has_oldest = call->has_newest = true;
	}

	run_query("SELECT members FROM " INTERNAL_SCHEMA
			  ".purge_groups($1) WITH ORDINALITY AS g(members, n) ORDER BY n",
			  1, argtypes, call->arguments, call->nulls);
	oldcontext = MemoryContextSwitchTo(call->context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		PurgeUnit *unit = palloc0(sizeof(PurgeUnit));
		bool isnull;
		Datum group = SPI_getbinval(SPI_tuptable->vals[i],
									SPI_tuptable->tupdesc, 1, &isnull);

		unit->group = DatumGetArrayTypePCopy(group);
		unit->relid = ((Oid *) ARR_DATA_PTR(unit->group))[0];
		call->groups = lappend(call->groups, unit);
	}
	MemoryContextSwitchTo(oldcontext);

	run_query("SELECT relation FROM " INTERNAL_SCHEMA
			  ".sharded_groups($1) WITH ORDINALITY AS g(relation, n) ORDER BY n",
			  1, argtypes, call->arguments, call->nulls);
	oldcontext = MemoryContextSwitchTo(call->context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		PurgeUnit *unit = palloc0(sizeof(PurgeUnit));
		bool isnull;

		unit->relid =
			DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
										   SPI_tuptable->tupdesc, 1, &isnull));
		call->sharded = lappend(call->sharded, unit);
	}
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Commit, and begin a transaction at isolation level READ COMMITTED: there a row that
 * another session has changed is skipped, while at others it is an error.
 */
static void
begin_next_transaction(void)
{
	SPI_commit();
	XactIsoLevel = XACT_READ_COMMITTED;
}

/*
 * Would the purge of a group of tables wait for another session, or for a group that
 * has been postponed?
 */
static bool
must_wait(PurgeCall *call, const PurgeUnit *group)
{
	bool isnull;

	run_query("SELECT " INTERNAL_SCHEMA ".must_wait($1, $2)", 2,
			  (Oid[]){REGCLASSARRAYOID, REGCLASSARRAYOID},
			  (Datum[]){PointerGetDatum(group->group),
						PointerGetDatum(call->postponed_tables)},
			  NULL);
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
									  SPI_tuptable->tupdesc, 1, &isnull));
}

/*
 * Postpone a group of tables until the others have been purged.
 */
static void
postpone_group(PurgeCall *call, PurgeUnit *group)
{
	MemoryContext oldcontext;
	bool isnull;

	run_query("SELECT $1 OPERATOR(pg_catalog.||) $2", 2,
			  (Oid[]){REGCLASSARRAYOID, REGCLASSARRAYOID},
			  (Datum[]){PointerGetDatum(call->postponed_tables),
						PointerGetDatum(group->group)},
			  NULL);
	oldcontext = MemoryContextSwitchTo(call->context);
	call->postponed = lappend(call->postponed, group);
	call->postponed_tables = DatumGetArrayTypePCopy(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Purge tables, or what their owner has time for, and put the rest off until those of others
 * have been purged.  The transaction of the first batch has begun.
 */
static void
purge_or_put_off(PurgeCall *call, PurgeUnit *unit)
{
	MemoryContext oldcontext;

	if (!has_had_time(time_of_owner(call, unit->relid)) &&
		purge_unit(call, unit, false))
		return;
	oldcontext = MemoryContextSwitchTo(call->context);
	call->last = lappend(call->last, unit);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Purge what was put off, until the next purge of the worker is due, which begins with the
 * others again.
 */
static void
purge_what_was_put_off(PurgeCall *call)
{
	ListCell *lc;

	foreach (lc, call->last)
	{
		if (next_purge_is_due(call->as_of))
			return;
		begin_next_transaction();
		if (may_go_last(call, lfirst(lc)))
			(void) purge_unit(call, lfirst(lc), true);
	}
}

/*
 * May what was put off be purged?  Not after a batch of its owner was canceled, which is
 * reported.
 */
static bool
may_go_last(PurgeCall *call, const PurgeUnit *unit)
{
	char *name = get_rel_name(unit->relid);

	if (!time_of_owner(call, unit->relid)->is_late)
		return true;
	if (name != NULL)
		ereport(WARNING, (errcode(ERRCODE_WARNING),
						  errmsg("table \"%s\" was not purged: another table of its owner took longer than soft_delete.owner_timeout",
								 name)));
	return false;
}

/*
 * Purge tables batch by batch, until the time of their owner is up or, if "is_last", the
 * next purge of the worker is due.  The transaction of the first batch has begun.  Returns
 * whether all has been purged.
 */
static bool
purge_unit(PurgeCall *call, PurgeUnit *unit, bool is_last)
{
	OwnerTime *time = time_of_owner(call, unit->relid);
	bool begins = true;

	for (;;)
	{
		TimestampTz started = GetCurrentTimestamp();
		bool is_done = unit->group != NULL ? purge_batch(call, unit, begins)
										   : try_sharded_batch(call, unit);

		add_time(time, started);
		if (is_done && unit->group == NULL)
			report_sharded(unit);
		if (is_done)
			return true;
		if (must_stop(call, time, is_last))
			return false;
		begins = false;
		begin_next_batch(call);
	}
}

/*
 * Return the time that the owner of a table has had.
 */
static OwnerTime *
time_of_owner(PurgeCall *call, Oid relid)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(call->context);
	OwnerTime *time = NULL;
	ListCell *lc;

	foreach (lc, call->times)
	{
		if (((OwnerTime *) lfirst(lc))->owner == owner_of(relid))
			time = lfirst(lc);
	}
	if (time == NULL)
	{
		time = palloc0(sizeof(OwnerTime));
		time->owner = owner_of(relid);
		time->limit = time_limit_of(relid) * INT64CONST(1000);
		call->times = lappend(call->times, time);
	}
	MemoryContextSwitchTo(oldcontext);
	return time;
}

/*
 * Has an owner had all of his time?
 */
static bool
has_had_time(const OwnerTime *time)
{
	return time->limit > 0 && time->spent >= time->limit;
}

/*
 * Add what a batch has taken that has just ended.
 */
static void
add_time(OwnerTime *time, TimestampTz started)
{
	int64 spent = GetCurrentTimestamp() - started;

	time->spent += spent;
	time->is_late = time->is_late || (time->limit > 0 && spent >= time->limit);
}

/*
 * Is there no time for another batch: the owner has had his, or, where others have gone
 * first, the next purge of the worker is due?
 */
static bool
must_stop(PurgeCall *call, const OwnerTime *time, bool is_last)
{
	return is_last ? time->limit > 0 && next_purge_is_due(call->as_of)
				   : has_had_time(time);
}

/*
 * Commit a batch, pause, and begin the transaction of the next one.
 */
static void
begin_next_batch(PurgeCall *call)
{
	SPI_commit();
	run_query("SELECT pg_catalog.pg_sleep_for($1)", 1, (Oid[]){INTERVALOID},
			  &call->arguments[ARGUMENT_PAUSE], NULL);
	begin_next_transaction();
}

/*
 * Purge the next batch of a group of tables; "begins": the first one.  Returns
 * whether it was the last one.
 */
static bool
purge_batch(PurgeCall *call, const PurgeUnit *group, bool begins)
{
	Datum values[] = {PointerGetDatum(group->group),
					  TimestampTzGetDatum(call->as_of),
					  call->arguments[ARGUMENT_OLDER_THAN],
					  call->arguments[ARGUMENT_BATCH_SIZE], BoolGetDatum(begins)};
	char nulls[] = {' ',
					' ',
					call->nulls[ARGUMENT_OLDER_THAN],
					call->nulls[ARGUMENT_BATCH_SIZE],
					' ',
					'\0'};
	bool done = true;

	run_query("SELECT done, oldest, newest FROM " INTERNAL_SCHEMA
			  ".purge_batch($1, $2, $3, $4, $5, false)",
			  5, (Oid[]){REGCLASSARRAYOID, TIMESTAMPTZOID, INTERVALOID, INT4OID, BOOLOID},
			  values, nulls);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		bool isnull;

		done = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
		widen_range(call, row, 2);
	}
	return done;
}

/*
 * Purge the next batch of a table that Citus has sharded, and cancel it if it takes longer
 * than its owner may.  Returns whether it was the last one.
 *
 * Then the whole transaction is rolled back: Citus closes connections to nodes that have not
 * ended what they do, and cannot commit anything of theirs.
 */
static bool
try_sharded_batch(PurgeCall *call, PurgeUnit *table)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	int nestlevel = GetCurrentTransactionNestLevel();
	ErrorData *volatile error = NULL;
	volatile bool is_done = true;

	if (time_limit_of(table->relid) == 0)
		return purge_sharded_batch(call, table);
	(void) begin_time_limit(table->relid);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		is_done = purge_sharded_batch(call, table);
		(void) end_time_limit(true);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcontext);
		CurrentResourceOwner = oldowner;
	}
	PG_CATCH();
	{
		error = end_failed_subtransactions(nestlevel, oldcontext, oldowner, true);
	}
	PG_END_TRY();
	if (error != NULL && error->sqlerrcode != ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	if (error != NULL)
		end_late_batch(call, table, error->message);
	return is_done;
}

/*
 * Roll back the transaction of a batch that was canceled, and report it.
 */
static void
end_late_batch(PurgeCall *call, const PurgeUnit *table, const char *message)
{
	SPI_rollback();
	XactIsoLevel = XACT_READ_COMMITTED;
	run_query("SELECT " INTERNAL_SCHEMA ".report_failed_purge($1, $2, $3)", 3,
			  (Oid[]){REGCLASSOID, TIMESTAMPTZOID, TEXTOID},
			  (Datum[]){ObjectIdGetDatum(table->relid),
						TimestampTzGetDatum(call->as_of),
						CStringGetTextDatum(message)},
			  NULL);
}

/*
 * Purge the next batch of a table that Citus has sharded.  Returns whether it was the last
 * one.
 */
static bool
purge_sharded_batch(PurgeCall *call, PurgeUnit *table)
{
	Datum values[] = {ObjectIdGetDatum(table->relid),
					  TimestampTzGetDatum(call->as_of),
					  call->arguments[ARGUMENT_OLDER_THAN],
					  call->arguments[ARGUMENT_BATCH_SIZE],
					  TimestampTzGetDatum(table->until)};
	char nulls[] = {' ',
					' ',
					call->nulls[ARGUMENT_OLDER_THAN],
					call->nulls[ARGUMENT_BATCH_SIZE],
					table->has_until ? ' ' : 'n',
					'\0'};
	HeapTuple row;
	bool isnull;

	run_query("SELECT until, purged, held, referenced FROM " INTERNAL_SCHEMA
			  ".purge_sharded($1, $2, $3, $4, $5)",
			  5, (Oid[]){REGCLASSOID, TIMESTAMPTZOID, INTERVALOID, INT4OID, TIMESTAMPTZOID},
			  values, nulls);
	row = SPI_tuptable->vals[0];
	table->has_until = get_stamp(row, 1, &table->until);
	table->purged +=
		DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	table->held =
		DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &isnull));
	table->referenced =
		DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 4, &isnull));
	return !table->has_until;
}

/*
 * Report what has been purged of a table that Citus has sharded.
 */
static void
report_sharded(const PurgeUnit *table)
{
	char *name = get_rel_name(table->relid);

	if (name != NULL)
		report_purged(name, table->purged, table->held, table->referenced, 0);
}

/*
 * Delete what is kept of the next deletions that have no rows left, and advance the range
 * of stamps.
 */
static void
remove_empty_deletions(PurgeCall *call)
{
	Datum values[] = {TimestampTzGetDatum(call->oldest),
					  TimestampTzGetDatum(call->newest),
					  call->arguments[ARGUMENT_BATCH_SIZE]};

	run_query("SELECT " INTERNAL_SCHEMA ".remove_empty_deletions($1, $2, $3)",
			  3, (Oid[]){TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID}, values, NULL);
	call->has_oldest = get_stamp(SPI_tuptable->vals[0], 1, &call->oldest);
}

/*
 * Widen the call's range of stamps to include that of a row of SPI's result, whose
 * oldest stamp is in the given column and whose newest is in the next one.  Each may
 * be null.
 */
static void
widen_range(PurgeCall *call, HeapTuple row, int column)
{
	TimestampTz stamp;

	if (get_stamp(row, column, &stamp))
	{
		call->oldest = call->has_oldest ? Min(call->oldest, stamp) : stamp;
		call->has_oldest = true;
	}
	if (get_stamp(row, column + 1, &stamp))
	{
		call->newest = call->has_newest ? Max(call->newest, stamp) : stamp;
		call->has_newest = true;
	}
}

/*
 * Get a stamp from a row of SPI's result.  Returns false if it is null.
 */
static bool
get_stamp(HeapTuple row, int column, TimestampTz *stamp)
{
	bool isnull;
	Datum value = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull);

	*stamp = isnull ? 0 : DatumGetTimestampTz(value);
	return !isnull;
}

/*
 * Run a query of the extension as the extension's owner.  Every name in the query
 * must be schema-qualified.
 */
static void
run_query(const char *query, int nargs, Oid *argtypes, Datum *values, const char *nulls)
{
	ExtensionCall call;
	int result;

	enter_extension(&call);
	PG_TRY();
	{
		result =
			SPI_execute_with_args(query, nargs, argtypes, values, nulls, false, 0);
	}
	PG_FINALLY();
	{
		leave_extension(&call);
	}
	PG_END_TRY();
	if (result != SPI_OK_SELECT)
		elog(ERROR, "%s for %s", SPI_result_code_string(result), query);
}
