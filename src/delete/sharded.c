/*
 * sharded.c
 *	  Keeps, restores and guards deleted rows of tables that Citus has sharded.
 *
 * Citus copies the triggers of a distributed table to each of its shards, wherever they
 * move.  The bin is a distributed table, too, with the same distribution column and
 * colocated, so that a shard of it is beside each shard of the table.  A row that is
 * deleted from a shard is inserted there.  UPDATE ... SET deleted_at = NULL of the bin
 * inserts it into the shard of the table again, and DELETE from the bin destroys it: both
 * are statements that Citus distributes as any other.
 *
 * Invariant: a trigger of a shard writes to shards beside it only.  A deletion that cannot
 * keep its rows, or would destroy those of another table, fails.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "delete/sd_delete.h"

/* What a statement needs that deletes rows of a shard */
typedef struct ShardKeeper
{
	Keeper *keeper;
	TimestampTz stamp;
} ShardKeeper;

/* Are rows of a bin removed because they have been restored? */
static bool is_restoring = false;

PG_FUNCTION_INFO_V1(soft_delete_keep_shard_row);
PG_FUNCTION_INFO_V1(soft_delete_keep_truncated);
PG_FUNCTION_INFO_V1(soft_delete_restore_shard_rows);
PG_FUNCTION_INFO_V1(soft_delete_guard_shard_row);
PG_FUNCTION_INFO_V1(soft_delete_change_shards);

static TriggerData *check_called_as(FunctionCallInfo fcinfo, const char *name,
									bool is_right);
static ShardKeeper *make_shard_keeper(TriggerData *trigdata, MemoryContext context);
static Oid shard_of_bin(Oid shard);
static TimestampTz distributed_stamp(void);
static List *find_statements(const char *query, Oid relid);
static uint64 run_as_owner_of(Oid relid, const char *statement);
static void report_altered_rows(Relation shard);
static void report_other_rows(Relation shard, uint64 inserted, uint64 removed);

/* A statement, and the relation as whose owner it runs */
typedef struct OwnersStatement
{
	Oid relid;
	char *text;
} OwnersStatement;

/*
 * Return the data of a trigger.  Raises 39P01 unless the function was called as one of
 * tag().
 */
static TriggerData *
check_called_as(FunctionCallInfo fcinfo, const char *name, bool is_right)
{
	if (!is_right || ((TriggerData *) fcinfo->context)->tg_trigger->tgnargs < 2)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"soft_delete.%s\" was not called as a trigger of a sharded table",
							   name),
						errdetail("soft_delete.tag() makes these triggers.")));
	return (TriggerData *) fcinfo->context;
}

/*
 * soft_delete.keep_shard_row(tag, stamp column) returns trigger
 *
 * AFTER DELETE row trigger of a table that Citus has sharded, and of its shards: the tag.
 * Inserts the row into the shard of the bin.
 *
 * Raises 55000 where there is none beside the relation, or where a foreign key would
 * destroy rows, or references, of a table that is not tagged.
 */
Datum
soft_delete_keep_shard_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata =
		check_called_as(fcinfo, "keep_shard_row",
						CALLED_AS_TRIGGER(fcinfo) &&
							TRIGGER_FIRED_AFTER(
								((TriggerData *) fcinfo->context)->tg_event) &&
							TRIGGER_FIRED_FOR_ROW(
								((TriggerData *) fcinfo->context)->tg_event) &&
							TRIGGER_FIRED_BY_DELETE(
								((TriggerData *) fcinfo->context)->tg_event));
	ShardKeeper *known = fcinfo->flinfo->fn_extra;

	if (known == NULL || !keeps_rows_of(known->keeper, trigdata->tg_relation))
	{
		known = make_shard_keeper(trigdata, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = known;
	}
	insert_kept(known->keeper, trigdata->tg_trigslot, known->stamp);
	return PointerGetDatum(NULL);
}

/*
 * Make what deleting rows of a shard needs, in a memory context.
 */
static ShardKeeper *
make_shard_keeper(TriggerData *trigdata, MemoryContext context)
{
	ShardKeeper *made = MemoryContextAlloc(context, sizeof(ShardKeeper));
	Relation bin = table_open(shard_of_bin(RelationGetRelid(trigdata->tg_relation)),
							  RowExclusiveLock);

	made->stamp = distributed_stamp();
	made->keeper = make_shards_keeper(trigdata->tg_relation, bin,
									  trigdata->tg_trigger->tgargs[1], context);
	table_close(bin, NoLock);
	return made;
}

/*
 * Return the shard of the bin that is beside a shard.
 *
 * Raises what soft_delete_internal.shard_of_bin() raises.
 */
static Oid
shard_of_bin(Oid shard)
{
	static RelationMemo memo; /* each statement that deletes asks */
	static Oid known;
	Oid found;

	if (memo_holds(&memo, shard))
		return known;
	found = call_internal_for_relation("shard_of_bin", shard);
	/* the lookup itself may fill the relation cache, which changes nothing */
	known = found;
	memo_set(&memo, shard);
	return found;
}

/*
 * Return the stamp of deletions of the running transaction: that of the distributed
 * transaction, which is one on all nodes, or the start of the transaction where a
 * statement runs on one shard by itself.
 */
static TimestampTz
distributed_stamp(void)
{
	Oid function =
		LookupFuncName(list_make2(makeString("pg_catalog"),
								  makeString("get_current_transaction_id")),
					   0, NULL, false);
	HeapTupleHeader transaction =
		DatumGetHeapTupleHeader(OidFunctionCall0(function));
	bool isnull;
	Datum stamp = GetAttributeByName(transaction, "transaction_stamp", &isnull);

	return isnull ? GetCurrentTransactionStartTimestamp()
				  : DatumGetTimestampTz(stamp);
}

/*
 * soft_delete.keep_truncated(tag, stamp column) returns trigger
 *
 * BEFORE TRUNCATE trigger of a table that Citus has sharded: inserts all of its rows into
 * the bin, by a statement that Citus distributes.  Does nothing for a shard, which is
 * truncated because the table is.
 *
 * Raises 42501 unless the current user may read the table, all rows of it, and insert into
 * the bin.
 */
Datum
soft_delete_keep_truncated(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata =
		check_called_as(fcinfo, "keep_truncated",
						CALLED_AS_TRIGGER(fcinfo) &&
							TRIGGER_FIRED_BEFORE(
								((TriggerData *) fcinfo->context)->tg_event) &&
							TRIGGER_FIRED_BY_TRUNCATE(
								((TriggerData *) fcinfo->context)->tg_event));
	ListCell *lc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* as the current user: another one would not see what the transaction has done so far */
	foreach (lc, find_statements("truncating_statements",
								 RelationGetRelid(trigdata->tg_relation)))
	{
		const char *statement = ((OwnersStatement *) lfirst(lc))->text;

		/* TRUNCATE does not heed policies, and the statement would */
		if (check_enable_rls(RelationGetRelid(trigdata->tg_relation),
							 InvalidOid, true) == RLS_ENABLED)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("cannot truncate table \"%s\", of which policies hide rows",
							RelationGetRelationName(trigdata->tg_relation)),
					 errdetail("Those that the current role does not see would not be kept.")));
		if (SPI_execute_with_args(statement, 2, (Oid[]){TIMESTAMPTZOID, TEXTOID},
								  (Datum[]){TimestampTzGetDatum(distributed_stamp()),
											CStringGetTextDatum(
												GetUserNameFromId(GetUserId(), false))},
								  NULL, false, 0) < 0)
			elog(ERROR, "SPI failed for %s", statement);
	}
	SPI_finish();
	return PointerGetDatum(NULL);
}

/*
 * soft_delete.restore_shard_rows(tag, stamp column) returns trigger
 *
 * AFTER UPDATE statement trigger of the bin of a table that Citus has sharded, and of its
 * shards: inserts the rows whose stamp has become null into the shard of the table, and
 * restores what ON DELETE CASCADE has deleted with them.
 *
 * Raises 0A000 if a row keeps its stamp, or has a value that the table has no column for,
 * and what the INSERT raises.
 */
Datum
soft_delete_restore_shard_rows(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata =
		check_called_as(fcinfo, "restore_shard_rows",
						CALLED_AS_TRIGGER(fcinfo) &&
							TRIGGER_FIRED_AFTER(
								((TriggerData *) fcinfo->context)->tg_event) &&
							TRIGGER_FIRED_FOR_STATEMENT(
								((TriggerData *) fcinfo->context)->tg_event) &&
							TRIGGER_FIRED_BY_UPDATE(
								((TriggerData *) fcinfo->context)->tg_event));
	bool before = is_restoring;
	uint64 counts[3] = {0}; /* altered otherwise, inserted, removed from the bin */
	ListCell *lc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_register_trigger_data(trigdata) != SPI_OK_TD_REGISTER)
		elog(ERROR, "SPI_register_trigger_data failed");
	PG_TRY();
	{
		foreach (lc, find_statements("restoring_statements",
									 RelationGetRelid(trigdata->tg_relation)))
		{
			OwnersStatement *statement = lfirst(lc);
			int i = foreach_current_index(lc);
			uint64 count;

			/* only what has come back leaves a bin that is held */
			is_restoring = i == 2;
			count = run_as_owner_of(statement->relid, statement->text);
			if (i < lengthof(counts))
				counts[i] = count;
			if (counts[0] > 0)
				report_altered_rows(trigdata->tg_relation);
			if (i == 2 && counts[1] != counts[2])
				report_other_rows(trigdata->tg_relation, counts[1], counts[2]);
			/* a table that references itself has rows below others, but not for ever */
			if (i == 2 && counts[2] == 0)
				break;
		}
	}
	PG_FINALLY();
	{
		is_restoring = before;
	}
	PG_END_TRY();
	SPI_finish();
	return PointerGetDatum(NULL);
}

/*
 * Raise 0A000 for an UPDATE of a bin that does not restore its rows.
 */
static void
report_altered_rows(Relation shard)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot alter deleted rows in \"%s\"",
					RelationGetRelationName(shard)),
			 errdetail("UPDATE restores them: it sets the stamp of each row to null, and "
					   "columns that the table does not have any more, too.")));
}

/*
 * Raise 55000 where other rows would leave the bin than have come back.
 */
static void
report_other_rows(Relation shard, uint64 inserted, uint64 removed)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("could not restore rows of \"%s\"", RelationGetRelationName(shard)),
			 errdetail("The table has taken " UINT64_FORMAT " rows, and the bin has " UINT64_FORMAT
					   " without a stamp: a trigger of the table has refused some, or some that were never deleted have been inserted into the bin.",
					   inserted, removed)));
}

/*
 * Return the statements that a function of schema soft_delete_internal makes for a
 * relation, a list of OwnersStatement.  SPI must be connected.
 */
static List *
find_statements(const char *name, Oid relid)
{
	List *statements = NIL;
	ExtensionCall call;

	enter_extension(&call);
	PG_TRY();
	{
		if (SPI_execute_with_args(psprintf("SELECT * FROM %s.%s($1)",
										   INTERNAL_SCHEMA, name),
								  1, (Oid[]){REGCLASSOID},
								  (Datum[]){ObjectIdGetDatum(relid)}, NULL,
								  true, 0) != SPI_OK_SELECT)
			elog(ERROR, "SPI failed for %s", name);
	}
	PG_FINALLY();
	{
		leave_extension(&call);
	}
	PG_END_TRY();
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		OwnersStatement *statement = palloc(sizeof(OwnersStatement));
		bool isnull;

		statement->relid =
			DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
										   SPI_tuptable->tupdesc, 1, &isnull));
		statement->text =
			SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
		statements = lappend(statements, statement);
	}
	return statements;
}

/*
 * Run a statement as the owner of a relation, as foreign keys do, and return the number
 * of rows, or that which it returns.  SPI must be connected.
 */
static uint64
run_as_owner_of(Oid relid, const char *statement)
{
	SavedRole saved;
	int result;
	bool isnull;

	become_owner_for_reference(relid, &saved);
	result = SPI_execute(statement, false, 0);
	restore_role(&saved);
	if (result < 0)
		elog(ERROR, "%s for %s", SPI_result_code_string(result), statement);
	return result == SPI_OK_SELECT
			   ? DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											 SPI_tuptable->tupdesc, 1, &isnull))
			   : SPI_processed;
}

/*
 * soft_delete.guard_shard_row(hold, holder [, stamp]) returns trigger
 *
 * BEFORE DELETE row trigger of the bin of a table that Citus has sharded, and of its
 * shards: a hold on all rows, or with a condition on those of a stamp.  Raises 55006 unless
 * the row has been restored.
 */
Datum
soft_delete_guard_shard_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata =
		check_called_as(fcinfo, "guard_shard_row",
						CALLED_AS_TRIGGER(fcinfo) &&
							TRIGGER_FIRED_BEFORE(
								((TriggerData *) fcinfo->context)->tg_event));

	if (!is_restoring)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("cannot purge rows of \"%s\", which are held: %s",
							   RelationGetRelationName(trigdata->tg_relation),
							   trigdata->tg_trigger->tgargs[0]),
						errdetail("Nothing that is held is destroyed.")));
	return PointerGetDatum(trigdata->tg_trigtuple);
}

/*
 * soft_delete_internal.change_shards(relation regclass, statement text) returns bigint
 *
 * Runs a statement that writes to a sharded table, or its bin, as the owner of a relation,
 * and returns the number of rows.
 *
 * What the owner has deferred would fire at commit, with the rights of the session.  So
 * nothing is deferred from now on, whatever the transaction has queued before: Citus' shards
 * have constraints of other names than their table.  Where the caller is not the role of the
 * session, the server refuses to defer.
 */
Datum
soft_delete_change_shards(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	const char *statement = text_to_cstring(PG_GETARG_TEXT_PP(1));
	SavedRole saved;
	uint64 nrows;
	int result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (caller_is_session_role())
	{
		become_caller(&saved);
		if (SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "SET CONSTRAINTS failed");
		restore_role(&saved);
	}
	become_owner_of(relid, &saved);
	result = SPI_execute(statement, false, 0);
	nrows = SPI_processed;
	restore_role(&saved);
	if (result < 0)
		elog(ERROR, "%s for %s", SPI_result_code_string(result), statement);
	SPI_finish();
	PG_RETURN_INT64(nrows);
}
