/*
 * follow.c
 *	  The triggers of a bridged table, by which an application's own soft deletion is one of
 *	  ours.
 *
 * An UPDATE or INSERT after which the column of the bridge says deleted is followed by a
 * DELETE of the row, with all that belongs to one: triggers, actions of foreign keys, the
 * ledger.  That takes the rights of the row's owner, but it runs as who has changed the
 * column: so do the triggers that it fires, as for a DELETE of his own.  An UPDATE after
 * which a tombstone says live is followed by its restore, with what went with it.  The
 * AFTER row triggers collect the rows, the AFTER statement trigger acts on all of them: to
 * foreign keys they are deleted, or come back, together.  The statement of the application
 * has counted and returned its rows before.
 *
 * Where tombstones are kept aside, a row that says deleted, and did not before, is
 * deleted in the same way.  A statement finds no tombstone in the table, so there is
 * nothing to restore.  A row that did say so before stays, as it was: taking those over is
 * up to references/adopt_rows.c.
 *
 * Invariant: when a statement is done, the column of the bridge says of each row that it
 * has written what the tombstone column says; aside, no row that has come to say deleted
 * is in the table.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#include "bin/sd_bin.h"

/* What becomes of a row that an application has written */
typedef enum Flag
{
	FLAG_DELETE,  /* it says deleted */
	FLAG_ADOPT,	  /* so it did before the table was bridged */
	FLAG_RESTORE, /* a tombstone says live */
} Flag;

/* Rows of a table of which the same becomes */
typedef struct FlaggedTable
{
	Oid relid;
	Flag flag;
	int n;
	int nallocated; /* length of "tids" */
	ItemPointerData *tids;
} FlaggedTable;

/* What is known of the table whose row trigger fires */
typedef struct FollowedTable
{
	AttrNumber attnum; /* the tombstone column, or 0 if tombstones are aside */
	Bridge *bridge;
} FollowedTable;

/* A prepared DELETE of rows of a table by their places */
typedef struct DeletePlan
{
	Oid relid; /* hash key */
	SPIPlanPtr plan;
} DeletePlan;

static HTAB *delete_plans = NULL;

/* How many of these plans run, and those that were replaced while one of them ran */
static int running_plans = 0;
static List *replaced_plans = NIL;

PG_FUNCTION_INFO_V1(soft_delete_follow_bridge);

static void check_follow_trigger(FunctionCallInfo fcinfo);
static FollowedTable *followed_table(FunctionCallInfo fcinfo);
static void follow_insert(FunctionCallInfo fcinfo, const FollowedTable *table);
static void follow_update(FunctionCallInfo fcinfo, const FollowedTable *table);
static bool is_live(AttrNumber tombstone, TupleTableSlot *row);
static bool has_same_stamp(const FollowedTable *table, TupleTableSlot *old,
						   TupleTableSlot *new);
static void note_flagged(FunctionCallInfo fcinfo, Flag flag, TupleTableSlot *row);
static void act_on_flagged(BinQuery *query);
static void adopt_flagged(const FlaggedTable *table);
static void restore_flagged(Cascade *cascade, const FlaggedTable *table);
static void delete_flagged(FlaggedTable *table);
static bool keep_flagged(Relation rel, FlaggedTable *table);
static void find_newest_place(Relation rel, ItemPointer tid);
static uint64 delete_by_places(Relation rel, const FlaggedTable *table);
static int run_delete_plan(SPIPlanPtr plan, Datum places, LentQuery query);
static SPIPlanPtr delete_plan(Oid relid);
static void forget_delete_plan(Oid relid, SPIPlanPtr plan);

/*
 * soft_delete.follow_bridge(column, kind, detail, live value) returns trigger
 *
 * AFTER INSERT or UPDATE row trigger and, without arguments, AFTER INSERT OR UPDATE
 * statement trigger of a bridged table.
 *
 * Raises what a DELETE or a restore of the rows raises; 0A000 if the tombstone column was
 * changed by hand; 27000 if a BEFORE DELETE trigger or a rule keeps a row; 39P01 where it is not
 * called as such a trigger.
 */
Datum
soft_delete_follow_bridge(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	BinQuery *query;

	check_follow_trigger(fcinfo);
	if (TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
	{
		const FollowedTable *table = followed_table(fcinfo);

		if (table->bridge == NULL)
			; /* the trigger that tells the column was dropped */
		else if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
			follow_insert(fcinfo, table);
		else
			follow_update(fcinfo, table);
		return PointerGetDatum(NULL);
	}

	/* where a query writes to several tables, the first trigger acts for all */
	query = find_bin_query(fcinfo->flinfo->fn_mcxt);
	if (query != NULL)
		act_on_flagged(query);
	return PointerGetDatum(NULL);
}

/*
 * Raise 39P01 unless the function is called as a trigger of a bridged table.
 */
static void
check_follow_trigger(FunctionCallInfo fcinfo)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		(!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
		 !TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event)) ||
		!has_tag(trigdata->tg_relation))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a trigger of a bridged table",
						"soft_delete.follow_bridge"),
				 errdetail("It must be an AFTER INSERT or UPDATE trigger of a table that is tagged with a bridge.")));
}

/*
 * Return what is known of the table whose row trigger fires.  It is kept for the other
 * rows of the statement.
 */
static FollowedTable *
followed_table(FunctionCallInfo fcinfo)
{
	Relation rel = ((TriggerData *) fcinfo->context)->tg_relation;
	FollowedTable *table = fcinfo->flinfo->fn_extra;

	if (table == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		table = palloc(sizeof(FollowedTable));
		table->attnum = tombstone_attribute(rel);
		table->bridge = bridge_of(rel);
		MemoryContextSwitchTo(oldcontext);
		fcinfo->flinfo->fn_extra = table;
	}
	return table;
}

/*
 * Note that an inserted row is to be deleted, if it says so.  A dump inserts tombstones
 * that say so, too.
 */
static void
follow_insert(FunctionCallInfo fcinfo, const FollowedTable *table)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleTableSlot *row = trigdata->tg_trigslot;

	if (is_live(table->attnum, row) && row_says_deleted(table->bridge, row))
		note_flagged(fcinfo, FLAG_DELETE, row);
}

/*
 * Note what becomes of an updated row.
 */
static void
follow_update(FunctionCallInfo fcinfo, const FollowedTable *table)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleTableSlot *old = trigdata->tg_trigslot;
	TupleTableSlot *new = trigdata->tg_newslot;
	bool is_deleted = row_says_deleted(table->bridge, new);

	if (table->attnum == InvalidAttrNumber)
	{
		if (is_deleted && !row_says_deleted(table->bridge, old))
			note_flagged(fcinfo, FLAG_DELETE, new);
	}
	else if (!has_same_stamp(table, old, new))
		admit_tombstone(RelationGetRelid(trigdata->tg_relation));
	else if (!slot_attisnull(new, table->attnum))
	{
		if (!is_deleted)
			note_flagged(fcinfo, FLAG_RESTORE, new);
	}
	else if (is_deleted)
		note_flagged(fcinfo,
					 row_says_deleted(table->bridge, old) ? FLAG_ADOPT : FLAG_DELETE,
					 new);
}

/*
 * Is a row of a table live?  "tombstone" is the tombstone column, or 0 if none of its rows
 * is a tombstone.
 */
static bool
is_live(AttrNumber tombstone, TupleTableSlot *row)
{
	return tombstone == InvalidAttrNumber || slot_attisnull(row, tombstone);
}

/*
 * Have two versions of a row the same value in the tombstone column?
 */
static bool
has_same_stamp(const FollowedTable *table, TupleTableSlot *old, TupleTableSlot *new)
{
	bool old_isnull, new_isnull;
	Datum old_stamp = slot_getattr(old, table->attnum, &old_isnull);
	Datum new_stamp = slot_getattr(new, table->attnum, &new_isnull);

	return old_isnull == new_isnull &&
		   (old_isnull ||
			DatumGetTimestampTz(old_stamp) == DatumGetTimestampTz(new_stamp));
}

/*
 * Note what becomes of a row, when the statement is done.
 */
static void
note_flagged(FunctionCallInfo fcinfo, Flag flag, TupleTableSlot *row)
{
	Oid relid = RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation);
	BinQuery *query = open_bin_query(fcinfo->flinfo->fn_mcxt);
	MemoryContext oldcontext = MemoryContextSwitchTo(query->context);
	FlaggedTable *table = NULL;
	ListCell *lc;

	foreach (lc, query->flagged)
	{
		table = lfirst(lc);
		if (table->relid == relid && table->flag == flag)
			break;
		table = NULL;
	}
	if (table == NULL)
	{
		table = palloc0(sizeof(FlaggedTable));
		table->relid = relid;
		table->flag = flag;
		query->flagged = lappend(query->flagged, table);
	}
	table->tids = grow_if_full(query->context, table->tids, table->n,
							   &table->nallocated, sizeof(ItemPointerData));
	table->tids[table->n++] = row->tts_tid;
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Delete, adopt and restore the rows that a query has written.  What is deleted makes its
 * keys free for what is restored.
 */
static void
act_on_flagged(BinQuery *query)
{
	List *flagged = query->flagged;
	ListCell *lc;

	query->flagged = NIL;
	CommandCounterIncrement(); /* rows that the command has written are locked */
	foreach (lc, flagged)
	{
		FlaggedTable *table = lfirst(lc);

		if (table->flag == FLAG_DELETE)
			delete_flagged(table);
		else if (table->flag == FLAG_ADOPT)
			adopt_flagged(table);
	}
	foreach (lc, flagged)
	{
		if (((FlaggedTable *) lfirst(lc))->flag == FLAG_RESTORE)
			restore_flagged(query->restored, lfirst(lc));
	}
	act_on_bin_query(query);
}

/*
 * Make tombstones of rows that were deleted before the table was bridged.
 */
static void
adopt_flagged(const FlaggedTable *table)
{
	Relation rel = table_open(table->relid, RowExclusiveLock);
	Adopter *adopter = make_adopter(rel);

	for (int i = 0; i < table->n; i++)
		(void) adopt_row(rel, adopter, &table->tids[i]);
	free_adopter(adopter);
	table_close(rel, NoLock);
}

/*
 * Let tombstones join those that are restored.  Triggers of the application may have
 * changed them since.
 */
static void
restore_flagged(Cascade *cascade, const FlaggedTable *table)
{
	Relation rel = table_open(table->relid, RowExclusiveLock);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	Bridge *bridge = bridge_of(rel);

	for (int i = 0; i < table->n; i++)
	{
		Tombstone tombstone = {.storage = IN_PLACE, .tid = table->tids[i]};

		if (lock_tombstone(rel, &tombstone, NULL, row) && bridge != NULL &&
			!row_says_deleted(bridge, row))
			(void) join_cascade(cascade, rel, &tombstone, &tombstone.stamp,
								InvalidOid);
	}
	ExecDropSingleTupleTableSlot(row);
	table_close(rel, NoLock);
}

/*
 * Delete rows of a table, softly.
 *
 * Triggers of the application may have changed them since, or deleted them.
 */
static void
delete_flagged(FlaggedTable *table)
{
	Relation rel = table_open(table->relid, RowExclusiveLock);

	/* a DELETE would destroy the rows, which the application keeps */
	if (!tag_is_enabled(rel))
	{
		table_close(rel, NoLock);
		return;
	}
	/* who deletes is the role that has changed the column, and not the owner */
	(void) deletion_stamp(table->relid);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (delete_by_places(rel, table) < table->n && keep_flagged(rel, table) &&
		(delete_by_places(rel, table) < table->n && keep_flagged(rel, table)))
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("a trigger keeps a row of table \"%s\" that the application has deleted",
						RelationGetRelationName(rel)),
				 errdetail("What the application deletes by a column of its own is deleted by DELETE, too, and a BEFORE DELETE trigger has returned null."),
				 errhint("SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgtype & 11 = 11;",
						 quote_literal_cstr(qualified_name(table->relid)))));
	SPI_finish();
	table_close(rel, NoLock);
}

/*
 * Keep the rows that are still to be deleted, with the places of their newest versions.
 * Returns whether there are any.
 */
static bool
keep_flagged(Relation rel, FlaggedTable *table)
{
	TupleTableSlot *row = table_slot_create(rel, NULL);
	AttrNumber attnum = tombstone_attribute(rel);
	Bridge *bridge = bridge_of(rel);
	int kept = 0;

	for (int i = 0; i < table->n; i++)
	{
		ItemPointerData tid = table->tids[i];

		/* aside, the trigger does not note a row that said deleted before */
		if (attnum == InvalidAttrNumber)
			find_newest_place(rel, &tid);
		if (lock_newest_version(rel, &tid, row) && is_live(attnum, row) &&
			bridge != NULL && row_says_deleted(bridge, row))
			table->tids[kept++] = row->tts_tid;
	}
	ExecDropSingleTupleTableSlot(row);
	table->n = kept;
	return kept > 0;
}

/*
 * Set a place to that of the newest version of the row, which triggers of the application
 * may have written in the meantime.
 */
static void
find_newest_place(Relation rel, ItemPointer tid)
{
	TableScanDesc scan;

	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	scan = begin_table_scan(rel, GetActiveSnapshot());
	table_tuple_get_latest_tid(scan, tid);
	table_endscan(scan);
	PopActiveSnapshot();
}

/*
 * Delete the rows of a table that are at some places.  Returns their number.  BEFORE
 * triggers fire with the rights and the search_path of the current user, and AFTER triggers
 * with those of the statement that runs; where our own code runs, with those of the owner.
 * SPI must be connected.
 */
static uint64
delete_by_places(Relation rel, const FlaggedTable *table)
{
	Datum *places = palloc(table->n * sizeof(Datum));
	LentQuery query = lend_to_current_user();
	Datum array;
	SPIPlanPtr plan;
	SavedRole saved;
	int result;

	for (int i = 0; i < table->n; i++)
		places[i] = PointerGetDatum(&table->tids[i]);
	array = PointerGetDatum(construct_array(places, table->n, TIDOID,
											sizeof(ItemPointerData), false,
											TYPALIGN_SHORT));
	become_owner_for_reference(table->relid, &saved);
	plan = delete_plan(table->relid);
	result = run_delete_plan(plan, array, query);
	restore_role(&saved);
	if (result == SPI_OK_REWRITTEN)
	{
		/* it does nothing, so it depends on nothing, and would outlive the rule */
		forget_delete_plan(table->relid, plan);
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("a rule keeps a row of table \"%s\" that the application has deleted",
						RelationGetRelationName(rel)),
				 errdetail("What the application deletes by a column of its own is deleted by DELETE, too, and the table has an ON DELETE rule."),
				 errhint("SELECT rulename FROM pg_rewrite WHERE ev_class = %s::regclass AND ev_type = '4';",
						 quote_literal_cstr(qualified_name(table->relid)))));
	}
	if (result != SPI_OK_DELETE)
		elog(ERROR, "could not delete rows of table \"%s\": %s",
			 RelationGetRelationName(rel), SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * Run a plan of delete_plan() as the role that the query is lent to.  The current user has
 * the rights for it.  Returns the result code of SPI.
 */
static int
run_delete_plan(SPIPlanPtr plan, Datum places, LentQuery query)
{
	const CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	LentQuery before;
	volatile int result = 0;

	query.text = source->query_string;
	before = announce_lent_query(query);
	running_plans++;
	PG_TRY();
	{
		result = SPI_execute_snapshot(plan, &places, NULL, InvalidSnapshot,
									  InvalidSnapshot, false, false, 0);
	}
	PG_FINALLY();
	{
		running_plans--;
		(void) announce_lent_query(before);
	}
	PG_END_TRY();
	return result;
}

/*
 * Return the plan of a DELETE of rows of a table by their places, which is kept for the
 * session.  SPI must be connected.
 */
static SPIPlanPtr
delete_plan(Oid relid)
{
	DeletePlan *entry;
	SPIPlanPtr plan;
	bool found;

	if (delete_plans == NULL)
	{
		HASHCTL info = {.keysize = sizeof(Oid), .entrysize = sizeof(DeletePlan)};

		delete_plans =
			hash_create("soft_delete plans", 16, &info, HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(delete_plans, &relid, HASH_FIND, NULL);
	if (entry != NULL)
	{
		if (SPI_plan_is_valid(entry->plan))
			return entry->plan;
		/* the table may have another name */
		forget_delete_plan(relid, entry->plan);
	}
	plan = SPI_prepare(psprintf("DELETE FROM ONLY %s WHERE ctid OPERATOR(pg_catalog.=) ANY ($1)",
								qualified_name(relid)),
					   1, (Oid[]){get_array_type(TIDOID)});
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	entry = hash_search(delete_plans, &relid, HASH_ENTER, &found);
	entry->plan = plan;
	return plan;
}

/*
 * Forget the plan of a table, unless it has another one by now.  While any plan runs it is
 * not freed: a trigger that it fires may have invalidated it, and then have had another row
 * deleted.
 */
static void
forget_delete_plan(Oid relid, SPIPlanPtr plan)
{
	DeletePlan *entry = hash_search(delete_plans, &relid, HASH_FIND, NULL);
	MemoryContext oldcontext;
	ListCell *lc;

	if (entry == NULL || entry->plan != plan)
		return;
	hash_search(delete_plans, &relid, HASH_REMOVE, NULL);
	oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	replaced_plans = lappend(replaced_plans, plan);
	MemoryContextSwitchTo(oldcontext);
	if (running_plans > 0)
		return;
	foreach (lc, replaced_plans)
		SPI_freeplan(lfirst(lc));
	list_free(replaced_plans);
	replaced_plans = NIL;
}
