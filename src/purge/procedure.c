/*
 * procedure.c
 *	  CALL soft_delete.purge(): runs purges batch by batch, and commits each.
 *
 * The extension is entered for each step anew (entry.c), for a transaction must
 * end with the rights with which it began.  What is kept from one step to the next
 * lives in the memory context of the call.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

#include "purge/sd_purge.h"

/* What CALL soft_delete.purge() was given, and how far it has come */
typedef struct PurgeCall
{
	MemoryContext context;
	Datum arguments[4]; /* relation, older_than, batch_size, pause */
	char nulls[5];		/* as SPI has it, and a final zero */
	TimestampTz as_of;
	List *groups; /* of ArrayType: regclass[] */
	List *waiting; /* those that somebody keeps from being purged, which come last */
	ArrayType *waiting_tables;
	/* the stamps whose deletions may have no rows any more */
	bool has_oldest;
	TimestampTz oldest;
	bool has_newest;
	TimestampTz newest;
} PurgeCall;

PG_FUNCTION_INFO_V1(soft_delete_purge);

static void read_arguments(FunctionCallInfo fcinfo, PurgeCall *call);
static void begin_purge(PurgeCall *call);
static void begin_transaction(void);
static bool must_wait(PurgeCall *call, ArrayType *group);
static void put_off(PurgeCall *call, ArrayType *group);
static void purge_group(PurgeCall *call, ArrayType *group);
static bool purge_batch(PurgeCall *call, Datum group, bool begins);
static void prune_batch(PurgeCall *call);
static void note_stamps(PurgeCall *call, HeapTuple row, int column);
static bool get_stamp(HeapTuple row, int column, TimestampTz *stamp);
static void ask(const char *query, int nargs, Oid *argtypes, Datum *values,
				const char *nulls);

/*
 * soft_delete.purge(relation regclass, older_than interval, batch_size integer,
 * pause interval)
 *
 * Procedure: destroys deleted rows that are due, and commits after each batch.
 *
 * Raises 2D000 in a transaction block, and what check_purge() raises.
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
						errdetail("It commits after each batch.")));
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	read_arguments(fcinfo, &call);
	begin_purge(&call);
	foreach (lc, call.groups)
	{
		begin_transaction();
		if (must_wait(&call, lfirst(lc)))
			put_off(&call, lfirst(lc));
		else
			purge_group(&call, lfirst(lc));
	}
	foreach (lc, call.waiting)
	{
		begin_transaction();
		purge_group(&call, lfirst(lc));
	}
	while (call.has_oldest && call.has_newest)
	{
		SPI_commit();
		prune_batch(&call);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Copy the arguments to where they live as long as the call.
 */
static void
read_arguments(FunctionCallInfo fcinfo, PurgeCall *call)
{
	call->context = CurrentMemoryContext;
	call->groups = call->waiting = NIL;
	call->waiting_tables = construct_empty_array(REGCLASSOID);
	call->has_oldest = call->has_newest = false;
	call->as_of = GetCurrentTimestamp();
	for (int i = 0; i < 4; i++)
	{
		call->nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		call->arguments[i] =
			(i == 0 || i == 2 || PG_ARGISNULL(i))
				? PG_GETARG_DATUM(i)
				: datumCopy(PG_GETARG_DATUM(i), false, sizeof(Interval));
	}
	call->nulls[4] = '\0';
}

/*
 * Check the arguments, and find out what there is to purge.
 */
static void
begin_purge(PurgeCall *call)
{
	Oid argtypes[] = {REGCLASSOID, INTERVALOID, INT4OID, INTERVALOID};
	MemoryContext oldcontext;

	ask("SELECT " INTERNAL_SCHEMA ".check_purge($1, $2, $3, $4)", 4, argtypes,
		call->arguments, call->nulls);

	ask("SELECT oldest, newest FROM " INTERNAL_SCHEMA ".unpruned_stamps()", 0,
		NULL, NULL, NULL);
	note_stamps(call, SPI_tuptable->vals[0], 1);

	ask("SELECT members FROM " INTERNAL_SCHEMA
		".purge_groups($1) WITH ORDINALITY AS g(members, n) ORDER BY n",
		1, argtypes, call->arguments, call->nulls);
	oldcontext = MemoryContextSwitchTo(call->context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		Datum group = SPI_getbinval(SPI_tuptable->vals[i],
									SPI_tuptable->tupdesc, 1, &isnull);

		call->groups = lappend(call->groups, DatumGetArrayTypePCopy(group));
	}
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Begin a transaction in which a row that another session has changed is skipped,
 * not an error.
 */
static void
begin_transaction(void)
{
	SPI_commit();
	XactIsoLevel = XACT_READ_COMMITTED;
}

/*
 * Does somebody keep a group of tables from being purged, so that the others had
 * better not wait for them?
 */
static bool
must_wait(PurgeCall *call, ArrayType *group)
{
	bool isnull;

	ask("SELECT " INTERNAL_SCHEMA ".must_wait($1, $2)", 2,
		(Oid[]){REGCLASSARRAYOID, REGCLASSARRAYOID},
		(Datum[]){PointerGetDatum(group), PointerGetDatum(call->waiting_tables)},
		NULL);
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
									  SPI_tuptable->tupdesc, 1, &isnull));
}

/*
 * Put a group of tables off until the others are done.
 */
static void
put_off(PurgeCall *call, ArrayType *group)
{
	MemoryContext oldcontext;
	bool isnull;

	ask("SELECT $1 OPERATOR(pg_catalog.||) $2", 2,
		(Oid[]){REGCLASSARRAYOID, REGCLASSARRAYOID},
		(Datum[]){PointerGetDatum(call->waiting_tables), PointerGetDatum(group)},
		NULL);
	oldcontext = MemoryContextSwitchTo(call->context);
	call->waiting = lappend(call->waiting, group);
	call->waiting_tables = DatumGetArrayTypePCopy(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Purge a group of tables, whose transaction has begun, batch by batch.
 */
static void
purge_group(PurgeCall *call, ArrayType *group)
{
	bool begins = true;

	while (!purge_batch(call, PointerGetDatum(group), begins))
	{
		begins = false;
		SPI_commit();
		ask("SELECT pg_catalog.pg_sleep_for($1)", 1, (Oid[]){INTERVALOID},
			&call->arguments[3], NULL);
		begin_transaction();
	}
}

/*
 * Purge the next batch of a group of tables.  Returns whether it was the last.
 */
static bool
purge_batch(PurgeCall *call, Datum group, bool begins)
{
	Datum values[] = {group, TimestampTzGetDatum(call->as_of), call->arguments[1],
					  call->arguments[2], BoolGetDatum(begins)};
	char nulls[] = {' ', ' ', call->nulls[1], call->nulls[2], ' ', '\0'};
	bool done = true;

	ask("SELECT done, oldest, newest FROM " INTERNAL_SCHEMA
		".purge_batch($1, $2, $3, $4, $5, false)",
		5, (Oid[]){REGCLASSARRAYOID, TIMESTAMPTZOID, INTERVALOID, INT4OID, BOOLOID},
		values, nulls);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		bool isnull;

		done = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
		note_stamps(call, row, 2);
	}
	return done;
}

/*
 * Let the ledger forget the next deletions that have no rows any more, and go on
 * from there.
 */
static void
prune_batch(PurgeCall *call)
{
	Datum values[] = {TimestampTzGetDatum(call->oldest),
					  TimestampTzGetDatum(call->newest), call->arguments[2]};

	ask("SELECT " INTERNAL_SCHEMA ".prune_ledger($1, $2, $3)", 3,
		(Oid[]){TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID}, values, NULL);
	call->has_oldest = get_stamp(SPI_tuptable->vals[0], 1, &call->oldest);
}

/*
 * Widen the range of stamps by two columns of a row, each of which may be null.
 */
static void
note_stamps(PurgeCall *call, HeapTuple row, int column)
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
 * Get a stamp from a row that SPI has found.  Returns whether there is one.
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
 * Run a query of our own, with the rights of the extension's owner.  Every name in
 * it is qualified.
 */
static void
ask(const char *query, int nargs, Oid *argtypes, Datum *values, const char *nulls)
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
