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

#include "access/htup_details.h"
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
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "delete/sd_delete.h"

/* How the names of the triggers of a bin begin that obey holds on single rows */
#define ROW_HOLD_TRIGGER "~soft_delete_shard_held"

/* Holds of a row that erase() destroys: soft_delete_internal.erasing_mark(), and no other */
#define ERASING_HOLD "{\"erased (with 0000000000000000)\"}"

/*
 * How far the stamp of a distributed transaction may be from the start of its part on a node.
 * Anybody may call what tells a node the stamp, and an old one would let rows be purged.
 */
#define MAX_STAMP_DISTANCE USECS_PER_DAY

/* How the name of the tag begins where foreign keys set references to null, after it */
#define EARLY_TAG '!'

/* A statement, and the relation as whose owner it runs */
typedef struct OwnersStatement
{
	Oid relid;
	char *text;
} OwnersStatement;

/* What a statement needs that deletes rows of a shard */
typedef struct ShardKeeper
{
	Keeper *keeper;
	TimestampTz stamp;
	List *unlinking; /* OwnersStatement: the references to a row that are set to null */
	const char *marking; /* a query: why a row is held, or NULL */
} ShardKeeper;

/*
 * What soft_delete_internal.restoring_statements() returns, in this order, and then a
 * statement for each child
 */
enum RestoreStep
{
	COUNT_RESTORED, /* rows whose stamp has become null */
	COUNT_HELD,		/* of these */
	COUNT_LOST, /* of these, rows with a value for which there is no column */
	COUNT_ALTERED, /* other rows, but for their hold */
	COUNT_CIRCLES, /* foreign keys to tables whose rows come back below */
	INSERT_RESTORED,
	REMOVE_RESTORED,
	N_RESTORE_STEPS
};

/*
 * How many of the statements of soft_delete_internal.truncating_statements() are run once; the
 * others are repeated until none changes a row
 */
#define N_TRUNCATE_STEPS 2

/* What each statement that deletes from a shard asks */
typedef struct ShardMemo
{
	Oid shard;
	bool has_bin;
	bool has_marking;
	Oid bin;
	const char *marking; /* marking_statement() */
} ShardMemo;

/* A shard from which held rows were deleted, and what went with them is not marked yet */
typedef struct HeldShard
{
	Oid shard;
	TimestampTz stamp;
	int finishing; /* how many queries were ending then, one within the other */
} HeldShard;

/* Of the running transaction, in its memory */
static List *held_shards = NIL;

/* How many queries are ending, in which AFTER triggers fire */
static int finishing = 0;

/* Is what went with held rows being marked? */
static bool is_spreading = false;

/* ShardMemo by shard, valid while relcache_changes is as it was */
static HTAB *shard_memos = NULL;
static uint64 shard_memos_at;
static MemoryContext shard_memo_context = NULL;

/* Are rows of a bin removed because they have been restored? */
static bool is_restoring = false;

/* May the transaction have deleted rows of a table that Citus has sharded? */
static bool may_have_deleted = false;

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;
static ExecutorEnd_hook_type prev_ExecutorEnd = NULL;

PG_FUNCTION_INFO_V1(soft_delete_keep_shard_row);
PG_FUNCTION_INFO_V1(soft_delete_keep_truncated);
PG_FUNCTION_INFO_V1(soft_delete_restore_shard_rows);
PG_FUNCTION_INFO_V1(soft_delete_guard_shard_row);
PG_FUNCTION_INFO_V1(soft_delete_change_shards);

static void start_executor(QueryDesc *queryDesc, int eflags);
static void finish_executor(QueryDesc *queryDesc);
static void end_executor(QueryDesc *queryDesc);
static void end_transaction(XactEvent event, void *arg);
static void record_transaction(void);
static bool is_session_of_citus(void);
static TriggerData *check_called_as(FunctionCallInfo fcinfo, const char *name,
									bool is_right);
static ShardKeeper *make_shard_keeper(TriggerData *trigdata, MemoryContext context);
static Oid shard_of_bin(Oid shard);
static List *unlinking_statements(Oid shard, MemoryContext context);
static Datum unlinked_references(const ShardKeeper *keeper, TriggerData *trigdata);
static const char *marking_statement(Oid shard);
static ShardMemo *memo_of(Oid shard);
static Datum holds_on_row(const ShardKeeper *keeper, TriggerData *trigdata);
static void note_held_shard(Oid shard, TimestampTz stamp);
static void spread_holds(int least);
static void spread_holds_of(const HeldShard *held);
static uint64 spread_by(const OwnersStatement *statement, TimestampTz stamp);
static Datum read_about_row(const OwnersStatement *statement, Oid rowtype,
							Datum row, TimestampTz stamp, MemoryContext context);
static TimestampTz distributed_stamp(void);
static uint64 keep_truncated_rows(const char *statement, TimestampTz stamp);
static List *find_statements(const char *query, Oid relid);
static uint64 run_as_owner_of(Oid relid, const char *statement);
static uint64 insert_before_triggers(const OwnersStatement *statement);
static void fire_triggers_of(Oid relid);
static bool is_restore(Relation shard, enum RestoreStep step, const uint64 *counts);
static void report_altered_rows(Relation shard);
static void report_held_rows(Relation shard);
static void report_other_rows(Relation shard, uint64 inserted, uint64 removed);
static const char *hold_of(TriggerData *trigdata);

/*
 * Install the hooks by which a transaction is known that has deleted rows of sharded tables,
 * and the end of a statement that has deleted held ones, in a server that has Citus, which
 * must be preloaded.
 */
void
init_sharded(void)
{
	if (shared_preload_libraries_string == NULL ||
		strstr(shared_preload_libraries_string, "citus") == NULL)
		return;
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_executor;
	prev_ExecutorEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = end_executor;
	RegisterXactCallback(end_transaction, NULL);
}

/*
 * Note that the transaction may delete rows of a sharded table (ExecutorStart hook).
 */
static void
start_executor(QueryDesc *queryDesc, int eflags)
{
	may_have_deleted |=
		queryDesc->operation == CMD_DELETE || queryDesc->operation == CMD_MERGE;
	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

/*
 * Mark what went with the held rows that a query has deleted, when all of its AFTER triggers
 * have fired (ExecutorFinish hook).
 */
static void
finish_executor(QueryDesc *queryDesc)
{
	finishing++;
	PG_TRY();
	{
		if (prev_ExecutorFinish)
			prev_ExecutorFinish(queryDesc);
		else
			standard_ExecutorFinish(queryDesc);
	}
	PG_FINALLY();
	{
		finishing--;
	}
	PG_END_TRY();
	spread_holds(finishing + 1);
}

/*
 * Mark what went with held rows where the trigger has loaded the library, so that the end of
 * the query was not noticed when it began (ExecutorEnd hook).  Such a query may be any that
 * fires triggers by itself: until the end of the transaction each does it.
 */
static void
end_executor(QueryDesc *queryDesc)
{
	if (finishing == 0 &&
		(queryDesc->estate->es_top_eflags & EXEC_FLAG_SKIP_TRIGGERS) == 0 &&
		(queryDesc->operation != CMD_SELECT || queryDesc->plannedstmt->hasModifyingCTE))
		spread_holds(0);
	if (prev_ExecutorEnd)
		prev_ExecutorEnd(queryDesc);
	else
		standard_ExecutorEnd(queryDesc);
}

/*
 * Transaction callback: record the transaction, before it is committed, if rows of sharded
 * tables may have the stamp of it.
 */
static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT && may_have_deleted)
		record_transaction();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
	{
		may_have_deleted = false;
		held_shards = NIL;
	}
}

/*
 * Record the stamp of a transaction of this session with its number, by which
 * undo_transaction() asks for it.  Of one that has no number yet, nobody knows it, and
 * Citus, whose own part of the commit comes after this, is what gives it one.
 */
static void
record_transaction(void)
{
	/* a temporary table may be written to even where nothing else is */
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()) || XactReadOnly ||
		is_session_of_citus() ||
		!OidIsValid(extension_function(SHARD_TRIGGER)) || !has_citus())
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	call_internal("record_sharded_transaction", 1, (Oid[]){TIMESTAMPTZOID},
				  (Datum[]){TimestampTzGetDatum(distributed_stamp())});
	PopActiveSnapshot();
}

/*
 * Is this a session that Citus has opened for a client of another node?
 */
static bool
is_session_of_citus(void)
{
	return strncmp(application_name,
				   "citus_internal gpid=", strlen("citus_internal gpid=")) == 0;
}

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
 * Inserts the row into the shard of the bin, unless it has moved to another partition.
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
	Datum holds;

	if (HeapTupleHeaderIndicatesMovedPartitions(trigdata->tg_trigtuple->t_data))
		return PointerGetDatum(NULL);
	if (known == NULL || !keeps_rows_of(known->keeper, trigdata->tg_relation))
	{
		known = make_shard_keeper(trigdata, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = known;
	}
	set_unlinked(known->keeper, unlinked_references(known, trigdata));
	holds = holds_on_row(known, trigdata);
	set_kept_hold(known->keeper, holds);
	insert_kept(known->keeper, trigdata->tg_trigslot, known->stamp);
	if (holds)
		note_held_shard(RelationGetRelid(trigdata->tg_relation), known->stamp);
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
	made->unlinking =
		trigdata->tg_trigger->tgname[0] == EARLY_TAG
			? unlinking_statements(RelationGetRelid(trigdata->tg_relation), context)
			: NIL;
	made->marking = marking_statement(RelationGetRelid(trigdata->tg_relation));
	if (made->marking != NULL)
		made->marking = MemoryContextStrdup(context, made->marking);
	table_close(bin, NoLock);
	return made;
}

/*
 * Return the statements that read which references to a row of a shard foreign keys will
 * set to null, in a memory context.
 */
static List *
unlinking_statements(Oid shard, MemoryContext context)
{
	MemoryContext oldcontext;
	List *statements = NIL;
	ListCell *lc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	foreach (lc, find_statements("unlinking_statements", shard))
	{
		const OwnersStatement *found = lfirst(lc);
		OwnersStatement *statement;

		oldcontext = MemoryContextSwitchTo(context);
		statement = palloc(sizeof(OwnersStatement));
		statement->relid = found->relid;
		statement->text = pstrdup(found->text);
		statements = lappend(statements, statement);
		MemoryContextSwitchTo(oldcontext);
	}
	SPI_finish();
	return statements;
}

/*
 * Return the references to a deleted row that foreign keys will set to null, now that the
 * tag fires before they act: a jsonb, or 0 if there are none.  Each statement runs as the
 * owner of the table that references the row, and has the row as its parameter.
 */
static Datum
unlinked_references(const ShardKeeper *keeper, TriggerData *trigdata)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext oldcontext;
	Datum references = 0;
	Datum row;
	ListCell *lc;

	if (keeper->unlinking == NIL)
		return 0;
	row = heap_copy_tuple_as_datum(trigdata->tg_trigtuple,
								   RelationGetDescr(trigdata->tg_relation));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	foreach (lc, keeper->unlinking)
	{
		Datum found =
			read_about_row(lfirst(lc), trigdata->tg_relation->rd_rel->reltype,
						   row, keeper->stamp, caller);

		if (found == 0)
			continue;
		oldcontext = MemoryContextSwitchTo(caller);
		references = references
						 ? DirectFunctionCall2(jsonb_concat, references, found)
						 : found;
		MemoryContextSwitchTo(oldcontext);
	}
	SPI_finish();
	return references;
}

/*
 * Return the value, of variable length, that a query finds about a row, its parameter $1,
 * which is deleted with a stamp, $2: in a memory context, or 0 if there is none.  SPI must
 * be connected.
 */
static Datum
read_about_row(const OwnersStatement *statement, Oid rowtype, Datum row,
			   TimestampTz stamp, MemoryContext context)
{
	SavedRole saved;
	bool isnull = true;
	Datum found = 0;
	MemoryContext oldcontext;
	int nestlevel;
	int result;

	become_owner_to_read(statement->relid, &saved);
	nestlevel = begin_key_form();
	result = SPI_execute_with_args(statement->text, 2,
								   (Oid[]){rowtype, TIMESTAMPTZOID},
								   (Datum[]){row, TimestampTzGetDatum(stamp)},
								   NULL, false, 1);
	end_text_form(nestlevel);
	restore_role(&saved);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "%s for %s", SPI_result_code_string(result), statement->text);
	if (SPI_processed > 0)
		found = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
							  &isnull);
	if (isnull)
		return 0;
	oldcontext = MemoryContextSwitchTo(context);
	found = datumCopy(found, false, -1);
	MemoryContextSwitchTo(oldcontext);
	return found;
}

/*
 * Return the query for the holds on rows that are deleted from a shard, or NULL if no live
 * row of its table is held.
 */
static const char *
marking_statement(Oid shard)
{
	uint64 before = relcache_changes;
	ShardMemo *memo = memo_of(shard);
	const char *found;

	if (memo->has_marking)
		return memo->marking;
	found = call_internal_for_text("marking_statement", shard);
	if (before != relcache_changes)
		return found;
	memo->marking =
		found != NULL ? MemoryContextStrdup(shard_memo_context, found) : NULL;
	memo->has_marking = true;
	return memo->marking;
}

/*
 * Return what is known of a shard, in memory that is valid until the relation cache
 * changes.
 */
static ShardMemo *
memo_of(Oid shard)
{
	HASHCTL ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(ShardMemo)};
	ShardMemo *memo;
	bool found;

	if (shard_memos == NULL || shard_memos_at != relcache_changes)
	{
		if (shard_memo_context == NULL)
			shard_memo_context =
				AllocSetContextCreate(TopMemoryContext, "soft_delete shards",
									  ALLOCSET_SMALL_SIZES);
		shard_memos = NULL;
		MemoryContextReset(shard_memo_context);
		ctl.hcxt = shard_memo_context;
		shard_memos = hash_create("soft_delete shards", 32, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		shard_memos_at = relcache_changes;
	}
	memo = hash_search(shard_memos, &shard, HASH_ENTER, &found);
	if (!found)
		memo->has_bin = memo->has_marking = false;
	return memo;
}

/*
 * Return why a deleted row is held: because it was when it lived.  A text[], or 0 if it is
 * not held.
 */
static Datum
holds_on_row(const ShardKeeper *keeper, TriggerData *trigdata)
{
	OwnersStatement statement = {RelationGetRelid(trigdata->tg_relation),
								 (char *) keeper->marking};
	Datum row;
	Datum holds;
	MemoryContext caller = CurrentMemoryContext;

	if (keeper->marking == NULL)
		return 0;
	row = heap_copy_tuple_as_datum(trigdata->tg_trigtuple,
								   RelationGetDescr(trigdata->tg_relation));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	holds = read_about_row(&statement, trigdata->tg_relation->rd_rel->reltype,
						   row, keeper->stamp, caller);
	SPI_finish();
	return holds;
}

/*
 * Note that a held row of a shard was deleted with a stamp.
 */
static void
note_held_shard(Oid shard, TimestampTz stamp)
{
	MemoryContext oldcontext;
	HeldShard *held;
	ListCell *lc;

	foreach (lc, held_shards)
	{
		held = lfirst(lc);
		if (held->shard == shard && held->stamp == stamp && held->finishing == finishing)
			return;
	}
	oldcontext = MemoryContextSwitchTo(TopTransactionContext);
	held = palloc(sizeof(HeldShard));
	held->shard = shard;
	held->stamp = stamp;
	held->finishing = finishing;
	held_shards = lappend(held_shards, held);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Mark what went with held rows: those that were deleted where at least so many queries were
 * ending.
 */
static void
spread_holds(int least)
{
	List *waiting = NIL;
	ListCell *lc;

	if (held_shards == NIL || is_spreading)
		return;
	foreach (lc, held_shards)
	{
		HeldShard *held = lfirst(lc);

		if (held->finishing < least)
			continue;
		waiting = lappend(waiting, held);
		if (least > 0)
			held_shards = foreach_delete_current(held_shards, lc);
	}
	if (waiting == NIL)
		return;
	is_spreading = true;
	PG_TRY();
	{
		foreach (lc, waiting)
			spread_holds_of(lfirst(lc));
	}
	PG_FINALLY();
	{
		is_spreading = false;
	}
	PG_END_TRY();
}

/*
 * Mark what went with the held rows of a shard, at any depth, unless it has been dropped.
 */
static void
spread_holds_of(const HeldShard *held)
{
	List *statements;
	ListCell *lc;
	uint64 changed;

	if (get_rel_name(held->shard) == NULL)
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	statements = find_statements("spreading_statements", held->shard);
	do
	{
		changed = 0;
		foreach (lc, statements)
			changed += spread_by(lfirst(lc), held->stamp);
	} while (changed > 0);
	SPI_finish();
}

/*
 * Run a statement, with a stamp as its parameter, as the owner of a relation, and return the
 * number of rows.  SPI must be connected.
 */
static uint64
spread_by(const OwnersStatement *statement, TimestampTz stamp)
{
	SavedRole saved;
	int result;

	become_owner_of(statement->relid, &saved);
	result = SPI_execute_with_args(statement->text, 1, (Oid[]){TIMESTAMPTZOID},
								   (Datum[]){TimestampTzGetDatum(stamp)}, NULL,
								   false, 0);
	restore_role(&saved);
	if (result != SPI_OK_UPDATE)
		elog(ERROR, "%s for %s", SPI_result_code_string(result), statement->text);
	return SPI_processed;
}

/*
 * Return the shard of the bin that is beside a shard.
 *
 * Raises what soft_delete_internal.shard_of_bin() raises.
 */
static Oid
shard_of_bin(Oid shard)
{
	uint64 before = relcache_changes;
	ShardMemo *memo = memo_of(shard);
	Oid found;

	if (memo->has_bin)
		return memo->bin;
	found = call_internal_for_relation("shard_of_bin", shard);
	if (before != relcache_changes)
		return found;
	memo->bin = found;
	memo->has_bin = true;
	return found;
}

/*
 * Return the stamp of deletions of the running transaction: that of the distributed
 * transaction, which is one on all nodes, or the start of the transaction where a
 * statement runs on one shard by itself, or where that stamp cannot be true.
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
	TimestampTz started = GetCurrentTransactionStartTimestamp();

	if (isnull || DatumGetTimestampTz(stamp) < started - MAX_STAMP_DISTANCE ||
		DatumGetTimestampTz(stamp) > started + MAX_STAMP_DISTANCE)
		return started;
	return DatumGetTimestampTz(stamp);
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
	TimestampTz stamp = distributed_stamp();
	List *statements;
	uint64 changed = 1;

	may_have_deleted = true;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	statements = find_statements("truncating_statements",
								 RelationGetRelid(trigdata->tg_relation));
	/* TRUNCATE does not heed policies, and the statements would */
	if (statements != NIL && check_enable_rls(RelationGetRelid(trigdata->tg_relation),
											  InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot truncate table \"%s\", of which policies hide rows",
						RelationGetRelationName(trigdata->tg_relation)),
				 errdetail("Those that the current role does not see would not be kept.")));
	/* as the current user: another one would not see what the transaction has done so far */
	for (int i = 0; i < list_length(statements) && i < N_TRUNCATE_STEPS; i++)
		keep_truncated_rows(((OwnersStatement *) list_nth(statements, i))->text,
							stamp);
	while (changed > 0)
	{
		changed = 0;
		for (int i = N_TRUNCATE_STEPS; i < list_length(statements); i++)
			changed +=
				keep_truncated_rows(((OwnersStatement *) list_nth(statements, i))
										->text,
									stamp);
	}
	SPI_finish();
	return PointerGetDatum(NULL);
}

/*
 * Run a statement that keeps the rows of a table that is truncated.  Holds on live rows are
 * in it, which an operator in the search_path of the session must not evade.  Returns the number of
 * rows.
 */
static uint64
keep_truncated_rows(const char *statement, TimestampTz stamp)
{
	int nestlevel = NewGUCNestLevel();
	uint64 nrows;

	set_search_path("pg_catalog, pg_temp");
	if (SPI_execute_with_args(statement, 2, (Oid[]){TIMESTAMPTZOID, TEXTOID},
							  (Datum[]){TimestampTzGetDatum(stamp),
										CStringGetTextDatum(
											GetUserNameFromId(GetUserId(), false))},
							  NULL, false, 0) < 0)
		elog(ERROR, "SPI failed for %s", statement);
	nrows = SPI_processed;
	AtEOXact_GUC(true, nestlevel);
	return nrows;
}

/*
 * soft_delete.restore_shard_rows(tag, stamp column) returns trigger
 *
 * AFTER UPDATE statement trigger of the bin of a table that Citus has sharded, and of its
 * shards: inserts the rows whose stamp has become null into the shard of the table, and
 * restores what ON DELETE CASCADE has deleted with them.
 *
 * Raises 0A000 if a row keeps its stamp, and has another change than of its hold, or has a
 * value that the table has no column for, 55006 if a row is held, and what the INSERT raises.
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
	uint64 counts[N_RESTORE_STEPS] = {0};
	Oid waiting = InvalidOid;
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
			is_restoring = i == REMOVE_RESTORED;
			if (i == INSERT_RESTORED && counts[COUNT_CIRCLES] > 0)
			{
				waiting = statement->relid;
				count = insert_before_triggers(statement);
			}
			else
				count = run_as_owner_of(statement->relid, statement->text);
			if (i < N_RESTORE_STEPS)
				counts[i] = count;
			/* a table that references itself has rows below others, but not for ever */
			if (!is_restore(trigdata->tg_relation, i, counts))
				break;
		}
		is_restoring = before;
		if (OidIsValid(waiting))
			fire_triggers_of(waiting);
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
 * Run an INSERT as the owner of its relation, whose AFTER triggers and foreign keys wait for
 * fire_triggers_of(): rows come back in between that these reference.  Returns the number of
 * rows.  SPI must be connected.
 */
static uint64
insert_before_triggers(const OwnersStatement *statement)
{
	SavedRole saved;
	SPIPlanPtr plan;
	int result;

	AfterTriggerBeginQuery();
	become_owner_for_shard(statement->relid, &saved);
	plan = SPI_prepare(statement->text, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed for %s", statement->text);
	result = SPI_execute_snapshot(plan, NULL, NULL, InvalidSnapshot,
								  InvalidSnapshot, false, false, 0);
	restore_role(&saved);
	if (result != SPI_OK_INSERT)
		elog(ERROR, "%s for %s", SPI_result_code_string(result), statement->text);
	return SPI_processed;
}

/*
 * Fire what insert_before_triggers() has left, as the owner of the relation.
 */
static void
fire_triggers_of(Oid relid)
{
	EState *estate = CreateExecutorState();
	SavedRole saved;

	become_owner_for_shard(relid, &saved);
	AfterTriggerEndQuery(estate);
	restore_role(&saved);
	ExecCloseResultRelations(estate);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
}

/*
 * Is there more to do after a step of a restore?  "counts" are those of the steps so far.
 *
 * Raises 0A000, 55006 or 55000 where a count is of rows that cannot come back.
 */
static bool
is_restore(Relation shard, enum RestoreStep step, const uint64 *counts)
{
	switch (step)
	{
		case COUNT_HELD:
			if (counts[COUNT_HELD] > 0)
				report_held_rows(shard);
			return true;
		case COUNT_LOST:
			if (counts[COUNT_LOST] > 0)
				report_altered_rows(shard);
			return true;
		case COUNT_ALTERED:
			if (counts[COUNT_ALTERED] > 0)
				report_altered_rows(shard);
			return counts[COUNT_RESTORED] > 0;
		case REMOVE_RESTORED:
			if (counts[INSERT_RESTORED] != counts[REMOVE_RESTORED])
				report_other_rows(shard, counts[INSERT_RESTORED],
								  counts[REMOVE_RESTORED]);
			return true;
		default:
			return true;
	}
}

/*
 * Raise 55006 for an UPDATE of a bin that would restore rows that are held.
 */
static void
report_held_rows(Relation shard)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
					errmsg("cannot restore rows of \"%s\", which are held",
						   RelationGetRelationName(shard)),
					errdetail("Column \"hold\" of the bin says why.")));
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
 * Run a statement as the owner of a relation, and return the number of rows, or that which
 * it returns.  SPI must be connected.
 */
static uint64
run_as_owner_of(Oid relid, const char *statement)
{
	SavedRole saved;
	int result;
	bool isnull;

	become_owner_for_shard(relid, &saved);
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
 * BEFORE DELETE row trigger, and BEFORE TRUNCATE trigger, of the bin of a table that Citus
 * has sharded, and of its shards: a hold on all rows, or with a condition on those of a
 * stamp.  Raises 55006 unless the row has been restored.
 *
 * Where the name says so, it is the trigger that obeys holds on single rows, with the
 * arguments of the tag: these are in a column.
 *
 * As a BEFORE UPDATE trigger of the table, with its key as condition, it is a hold on a live
 * row, which goes to that column with the row.  The arguments are hold, holder, what marks
 * the rows that go with it, and the key.  Raises 55006, for the row would get another key.
 */
Datum
soft_delete_guard_shard_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata =
		check_called_as(fcinfo, "guard_shard_row",
						CALLED_AS_TRIGGER(fcinfo) &&
							TRIGGER_FIRED_BEFORE(
								((TriggerData *) fcinfo->context)->tg_event));

	const char *hold;

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("cannot change the key of a row of \"%s\", which is held: %s",
							   RelationGetRelationName(trigdata->tg_relation),
							   trigdata->tg_trigger->tgargs[0]),
						errdetail("The hold is on the row with that key.")));
	hold = is_restoring ? NULL : hold_of(trigdata);
	if (hold != NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("cannot purge rows of \"%s\", which are held: %s",
							   RelationGetRelationName(trigdata->tg_relation), hold),
						errdetail("Nothing that is held is destroyed.")));
	return PointerGetDatum(trigdata->tg_trigtuple);
}

/*
 * Return why what the trigger of a hold guards is held, or NULL if it is not.
 */
static const char *
hold_of(TriggerData *trigdata)
{
	TupleDesc desc = RelationGetDescr(trigdata->tg_relation);
	int attnum = SPI_fnumber(desc, "hold");
	const char *holds;

	if (strncmp(trigdata->tg_trigger->tgname, ROW_HOLD_TRIGGER,
				strlen(ROW_HOLD_TRIGGER)) != 0)
		return trigdata->tg_trigger->tgargs[0];
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		return call_internal_for_text("held_row_of",
									  RelationGetRelid(trigdata->tg_relation));
	holds = attnum > 0 ? SPI_getvalue(trigdata->tg_trigtuple, desc, attnum) : NULL;
	return holds != NULL && strcmp(holds, ERASING_HOLD) == 0 ? NULL : holds;
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
