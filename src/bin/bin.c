/*
 * bin.c
 *	  The triggers of a bin, by which UPDATE and DELETE of that view restore, hold
 *	  and purge tombstones.
 *
 * The INSTEAD OF row triggers find a tombstone by the columns stored_in and stored_place
 * of the view, so a table needs no key.  They act for the owner of the view, who
 * granted the privileges on it, and only on relations of that owner.  They place
 * and lift holds at once (place_hold.c).  Rows to restore and to purge they lock and
 * collect; the AFTER statement trigger then adds what belongs to their cascades
 * (cascade.c), and restores (restore.c) or purges all of them.
 *
 * Invariants: of two sessions that restore or purge the same tombstone, one does,
 * and the other finds no row.  A tombstone that is elsewhere is not taken for one that is gone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "bin/sd_bin.h"

/* A tombstone that a bin lists */
typedef struct BinRow
{
	Relation rel;			/* the table or partition that it belongs to */
	AttrNumber view_attnum; /* the tombstone column of the view */
	AttrNumber hold_attnum; /* the column of the view that shows holds, or 0 */
	AttrNumber bridge_attnum; /* that of a bridge by which the row is restored, or 0 */
	Tombstone tombstone;
	bool is_restored; /* does the UPDATE restore it? */
	NewKey key; /* the key to restore it under; n is 0 where it keeps its own */
} BinRow;

static BinQuery *bin_queries = NULL;

/* How many rows this session has restored, with their cascades */
static uint64 restored_rows = 0;

/* soft_delete.restoring has no value of its own: show_restoring() knows */
static bool restoring = false;

static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;

PG_FUNCTION_INFO_V1(soft_delete_restore_row);
PG_FUNCTION_INFO_V1(soft_delete_purge_row);
PG_FUNCTION_INFO_V1(soft_delete_finish_bin);
PG_FUNCTION_INFO_V1(soft_delete_restored_rows);

static const char *show_restoring(void);
static void finish_executor(QueryDesc *queryDesc);
static void check_bin_query(MemoryContext context);
static void tell_losses(Cascade *restored);
static BinQuery *open_checked_query(FunctionCallInfo fcinfo);
static void forget_bin_query(void *arg);
static void check_statement_trigger(TriggerData *trigdata);
static void report_wrong_call(const char *function);
static void check_row_trigger(FunctionCallInfo fcinfo, const char *function);
static void open_bin_row(TriggerData *trigdata, BinRow *row);
static Relation open_listed_table(Relation view, Oid relid, StorageKind storage);
static AttrNumber own_attnum(TriggerData *trigdata, BinColumn which, Oid type);
static AttrNumber view_attnum(TriggerData *trigdata, const char *name, Oid type);
static Datum view_column(TriggerData *trigdata, AttrNumber attnum);
static bool column_changes(TriggerData *trigdata, AttrNumber attnum);
static void check_update(TriggerData *trigdata, BinRow *row);
static int errhint_restore(TriggerData *trigdata, BinRow *row);
static bool turns_live(TriggerData *trigdata, BinRow *row);
static AttrNumber own_column(TriggerData *trigdata, BinRow *row, AttrNumber attno);
static bool note_new_key(TriggerData *trigdata, BinRow *row, AttrNumber attno);
static void note_new_value(TriggerData *trigdata, BinRow *row, AttrNumber attno,
						   AttrNumber attnum);
static bool change_hold(FunctionCallInfo fcinfo, BinRow *row);
static void refuse_moved(const BinRow *row);
static bool is_in_month(Relation rel, Oid month, TimestampTz stamp,
						TupleTableSlot *old);
static bool rows_equal(TupleTableSlot *old, TupleTableSlot *other);

/*
 * Define soft_delete.restoring, and install the hook that is called at the end of a
 * query.
 */
void
init_bin(void)
{
	DefineCustomBoolVariable("soft_delete.restoring",
							 "Shows whether the triggers that fire are fired by a restore.",
							 NULL, &restoring, false, PGC_INTERNAL,
							 GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, NULL,
							 NULL, show_restoring);
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_executor;
}

/*
 * Return the value of soft_delete.restoring: does a query run that has restored rows?
 */
static const char *
show_restoring(void)
{
	const BinQuery *query = bin_queries;

	while (query != NULL && !query->is_restoring)
		query = query->next;
	return query != NULL ? "on" : "off";
}

/*
 * ExecutorFinish hook: AFTER triggers fire in standard_ExecutorFinish(), and then
 * the statement triggers of bins must have fired.
 */
static void
finish_executor(QueryDesc *queryDesc)
{
	if (prev_ExecutorFinish)
		prev_ExecutorFinish(queryDesc);
	else
		standard_ExecutorFinish(queryDesc);
	check_bin_query(queryDesc->estate->es_query_cxt);
}

/*
 * soft_delete.restore_row(deleted_by, actor, reason, hold, stored_in, stored_place)
 * returns trigger
 *
 * INSTEAD OF UPDATE trigger of a bin.  SET tombstone = NULL restores the row, under
 * another key where columns of a unique key are set, too.  So does an UPDATE after which
 * the column of a bridge says live.  SET hold = 'why' places a
 * hold on it, SET hold = NULL lifts that.  The arguments name the columns that the bin
 * has beside those of the table.
 *
 * Raises 0A000 for any other SET, 39P01 where it is not called as that trigger,
 * 42501 where the owner of the bin does not own the table, 55000 where the
 * statement trigger of the bin is missing; and what hold_row(), change_key() and
 * refuse_moved() raise.
 */
Datum
soft_delete_restore_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	BinRow row, listed;
	bool is_there = true;

	check_row_trigger(fcinfo, "soft_delete.restore_row");
	open_bin_row(trigdata, &row);
	listed = row;
	check_update(trigdata, &row);
	if (row.hold_attnum != InvalidAttrNumber &&
		column_changes(trigdata, row.hold_attnum))
		is_there = change_hold(fcinfo, &row);
	if (is_there && row.key.n > 0)
		is_there = change_key(row.rel, &row.tombstone, &row.key);
	if (is_there && row.is_restored)
		is_there = join_cascade(open_checked_query(fcinfo)->restored, row.rel,
								&row.tombstone, &row.tombstone.stamp, InvalidOid);
	if (!is_there)
		refuse_moved(&listed);
	table_close(row.rel, NoLock);
	return PointerGetDatum(is_there ? trigdata->tg_newtuple : NULL);
}

/*
 * soft_delete.purge_row(deleted_by, actor, reason, hold, stored_in, stored_place)
 * returns trigger
 *
 * INSTEAD OF DELETE trigger of a bin: purges the row.
 *
 * Raises 39P01 where it is not called as that trigger, 42501 where the owner of
 * the bin does not own the table, 55000 where the statement trigger of the bin is
 * missing; and what refuse_moved() raises.
 */
Datum
soft_delete_purge_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	BinRow row;
	bool is_there;

	check_row_trigger(fcinfo, "soft_delete.purge_row");
	open_bin_row(trigdata, &row);
	is_there = join_cascade(open_checked_query(fcinfo)->purged, row.rel,
							&row.tombstone, &row.tombstone.stamp, InvalidOid);
	if (!is_there)
		refuse_moved(&row);
	table_close(row.rel, NoLock);
	return PointerGetDatum(is_there ? trigdata->tg_trigtuple : NULL);
}

/*
 * soft_delete.finish_bin() returns trigger
 *
 * AFTER UPDATE OR DELETE statement trigger of a bin: restores and purges the rows
 * that the row triggers of the query have collected, with their cascades.
 *
 * Raises what an INSERT of restored rows raises: 23505, 23503, 23P01, 23514;
 * 23503 for a purge of a row that is referenced; 55006 for a row that is held;
 * 39P01 where it is not called as a statement trigger of a view.
 */
Datum
soft_delete_finish_bin(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	BinQuery *query;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event) ||
		trigdata->tg_relation->rd_rel->relkind != RELKIND_VIEW)
		report_wrong_call("soft_delete.finish_bin");

	/* where a query writes to several bins, the first trigger acts for all */
	query = find_bin_query(fcinfo->flinfo->fn_mcxt);
	if (query != NULL)
		act_on_bin_query(query);
	return PointerGetDatum(NULL);
}

/*
 * Hold, restore and purge the rows that a query has collected, with their cascades.
 */
void
act_on_bin_query(BinQuery *query)
{
	Cascade *restored = query->restored;
	Cascade *purged = query->purged;
	Cascade *held = query->held;

	query->restored = query->purged = query->held = NULL;
	if (held != NULL)
		hold_cascade(held);
	if (restored != NULL && restored->tables != NIL)
	{
		query->is_restoring = true;
		restore_cascade(restored);
		record_cascade(restored, EVENT_OF_RESTORE);
		tell_losses(restored);
		restored_rows += cascade_size(restored);
	}
	if (purged != NULL)
	{
		complete_cascade(purged);
		refuse_held(purged);
		(void) purge_cascade(purged, EVENT_OF_PURGE);
	}
}

/*
 * Report with a notice that rows which may have gone with the restored ones are not there
 * any more.
 */
static void
tell_losses(Cascade *restored)
{
	Datum *stamps = NULL;
	Datum *named = NULL;
	int nstamps = 0;
	int nnamed = 0;
	int stamps_allocated = 0;
	int named_allocated = 0;
	ListCell *lc;

	foreach (lc, restored->tables)
	{
		CascadeTable *table = lfirst(lc);
		bool is_named = false;

		for (int i = 0; i < table->nmembers; i++)
		{
			Datum stamp = TimestampTzGetDatum(table->members[i].tombstone.stamp);

			/* rows that joined have the stamp of one that was named */
			if (OidIsValid(table->members[i].joined_by))
				continue;
			is_named = true;
			if (nstamps > 0 && stamps[nstamps - 1] == stamp)
				continue;
			stamps = grow_if_full(CurrentMemoryContext, stamps, nstamps,
								  &stamps_allocated, sizeof(Datum));
			stamps[nstamps++] = stamp;
		}
		if (!is_named)
			continue;
		named = grow_if_full(CurrentMemoryContext, named, nnamed,
							 &named_allocated, sizeof(Datum));
		named[nnamed++] = CStringGetTextDatum(recorded_name(table->relid));
	}
	if (nstamps > 0)
		call_internal("tell_losses", 3,
					  (Oid[]){TIMESTAMPTZARRAYOID, TEXTARRAYOID, OIDOID},
					  (Datum[]){PointerGetDatum(
									construct_array(stamps, nstamps, TIMESTAMPTZOID,
													sizeof(TimestampTz), FLOAT8PASSBYVAL,
													TYPALIGN_DOUBLE)),
								PointerGetDatum(
									construct_array(named, nnamed, TEXTOID, -1,
													false, TYPALIGN_INT)),
								ObjectIdGetDatum(acting_role())});
}

/*
 * soft_delete_internal.restored_rows() returns bigint
 *
 * Returns how many rows this session has restored, those that were rolled back
 * included: a difference of two such numbers is what a statement has restored.
 */
Datum
soft_delete_restored_rows(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(restored_rows);
}

/*
 * Return the rows that the query on a bin has collected whose row trigger fires, none at
 * its first row.
 *
 * Raises 55000 where the statement trigger is missing that will act on them.
 */
static BinQuery *
open_checked_query(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		check_statement_trigger((TriggerData *) fcinfo->context);
		fcinfo->flinfo->fn_extra = fcinfo->flinfo; /* checked */
	}
	return open_bin_query(fcinfo->flinfo->fn_mcxt);
}

/*
 * Return the rows that the query has collected whose memory context is given, none at its
 * first row.
 */
BinQuery *
open_bin_query(MemoryContext context)
{
	BinQuery *query = find_bin_query(context);

	if (query == NULL)
	{
		MemoryContextCallback *callback =
			MemoryContextAllocZero(context, sizeof(MemoryContextCallback));

		query = MemoryContextAllocZero(context, sizeof(BinQuery));
		query->context = context;
		callback->func = forget_bin_query;
		callback->arg = query;
		MemoryContextRegisterResetCallback(context, callback);
		query->next = bin_queries;
		bin_queries = query;
	}
	if (query->restored == NULL)
	{
		query->restored = make_cascade(false, NULL, context);
		query->purged = make_cascade(true, query->restored, context);
		query->held = make_cascade(false, NULL, context);
	}
	return query;
}

/*
 * Return the rows that the query has collected whose memory context is given, or
 * NULL.
 */
BinQuery *
find_bin_query(MemoryContext context)
{
	BinQuery *query = bin_queries;

	while (query != NULL && query->context != context)
		query = query->next;
	return query;
}

/*
 * Raise 0A000 if a finished query has collected rows that no statement trigger
 * has acted on.  These triggers do not fire where the query was stopped after a
 * number of rows.
 */
static void
check_bin_query(MemoryContext context)
{
	BinQuery *query = find_bin_query(context);

	if (query == NULL || query->restored == NULL)
		return;
	if (query->flagged != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("trigger \"%s\" of a bridged table is missing or disabled",
						"~soft_delete_bridge_end"),
				 errdetail("It acts on the rows that an application has deleted or restored by a column of its own."),
				 errhint("SELECT * FROM soft_delete.check();")));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot restore or purge by a statement that is stopped before its end"),
			 errdetail("A bin acts when the statement is done, and this one has a limit on the rows that it returns.")));
}

/*
 * Forget the rows that a query has collected (callback of the reset of its memory
 * context).
 */
static void
forget_bin_query(void *arg)
{
	BinQuery **query = &bin_queries;

	while (*query != arg)
		query = &(*query)->next;
	*query = (*query)->next;
}

/*
 * Raise 55000 unless a statement trigger of the bin will act on the rows that its
 * row triggers collect.
 */
static void
check_statement_trigger(TriggerData *trigdata)
{
	Oid function = extension_function(BIN_STATEMENT);
	/* read after the lookup, which may have rebuilt the relation's cache entry */
	TriggerDesc *trigdesc = trigdata->tg_relation->trigdesc;

	for (int i = 0; i < trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &trigdesc->triggers[i];

		if (trigger->tgfoid == function &&
			TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_STATEMENT,
								 TRIGGER_TYPE_AFTER,
								 TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event)
									 ? TRIGGER_TYPE_UPDATE
									 : TRIGGER_TYPE_DELETE))
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("trigger \"%s\" of bin \"%s\" is missing", "soft_delete_statement",
					RelationGetRelationName(trigdata->tg_relation)),
			 errdetail("It restores and purges the rows that other triggers of the bin collect."),
			 errhint("CREATE OR REPLACE TRIGGER soft_delete_statement AFTER UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin();",
					 qualified_name(RelationGetRelid(trigdata->tg_relation)))));
}

/*
 * Raise 39P01 unless a function is called as the row trigger of a bin that it is
 * for: restore_row() INSTEAD OF UPDATE, purge_row() INSTEAD OF DELETE.
 */
static void
check_row_trigger(FunctionCallInfo fcinfo, const char *function)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_INSTEAD(trigdata->tg_event) ||
		(TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) !=
		 (fcinfo->flinfo->fn_addr == soft_delete_restore_row)) ||
		TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		report_wrong_call(function);
}

/*
 * Raise 39P01 for a trigger function that is not called as the trigger of a bin.
 */
static void
report_wrong_call(const char *function)
{
	ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					errmsg("function \"%s\" was not called by a bin", function),
					errdetail("soft_delete.tag() makes the bin of a table.")));
}

/*
 * Find the tombstone that a row of a bin shows, and open its table.
 */
static void
open_bin_row(TriggerData *trigdata, BinRow *row)
{
	ItemPointer tid;
	Oid relid;

	memset(row, 0, sizeof(BinRow));
	relid = DatumGetObjectId(
		view_column(trigdata, own_attnum(trigdata, BIN_STORED_IN, OIDOID)));
	tid = (ItemPointer) DatumGetPointer(
		view_column(trigdata, own_attnum(trigdata, BIN_STORED_PLACE, TIDOID)));
	relid = locate_tombstone(relid, tid, &row->tombstone);
	row->rel =
		open_listed_table(trigdata->tg_relation, relid, row->tombstone.storage);
	(void) tombstone_attribute(row->rel); /* raises an error if it has been renamed */
	row->view_attnum = view_attnum(trigdata, tombstone_name(relid), TIMESTAMPTZOID);
	row->tombstone.stamp =
		DatumGetTimestampTz(view_column(trigdata, row->view_attnum));
	/* the bins of version 0.1.0 do not show holds, and pass no arguments */
	row->hold_attnum = InvalidAttrNumber;
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) &&
		trigdata->tg_trigger->tgnargs > BIN_HOLD)
		row->hold_attnum = own_attnum(trigdata, BIN_HOLD, TEXTOID);
}

/*
 * Open the table that a row of a view names.  It is not locked if it does not
 * belong to the owner of the view, since anybody can create a view with any
 * names.
 *
 * Raises 42501 unless it is a tagged table of that owner.
 */
static Relation
open_listed_table(Relation view, Oid relid, StorageKind storage)
{
	Relation rel = NULL;

	if ((get_rel_relkind(relid) == RELKIND_RELATION || storage == ASIDE) &&
		relation_ownercheck(relid, view->rd_rel->relowner))
		rel = try_table_open(relid, RowExclusiveLock);
	if (rel == NULL || RELATION_IS_OTHER_TEMP(rel) || !has_tag(rel) ||
		!relation_ownercheck(relid, view->rd_rel->relowner))
	{
		char *name = get_rel_name(relid);

		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 name ? errmsg("view \"%s\" is not the bin of table \"%s\"",
							   RelationGetRelationName(view), name)
					  : errmsg("view \"%s\" is not the bin of the relation with OID %u",
							   RelationGetRelationName(view), relid),
				 errdetail("A bin lists a tagged table that belongs to the owner of the view.")));
	}
	return rel;
}

/*
 * Return the number of a column that the view has beside those of the table: its
 * triggers have the names as arguments.  Those of version 0.2.0 lack the last two.
 *
 * Raises 39P01 if there is none with that type.
 */
static AttrNumber
own_attnum(TriggerData *trigdata, BinColumn which, Oid type)
{
	const Trigger *trigger = trigdata->tg_trigger;

	if (trigger->tgnargs > (int) which)
		return view_attnum(trigdata, trigger->tgargs[which], type);
	return view_attnum(trigdata, which == BIN_STORED_IN ? "tableoid" : "ctid", type);
}

/*
 * Return the number of the column of the view that has a name.
 *
 * Raises 39P01 if there is none with that type.
 */
static AttrNumber
view_attnum(TriggerData *trigdata, const char *name, Oid type)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);

	/* SPI_fnumber() would take the names of system columns for those */
	for (int attno = 1; attno <= tupdesc->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, attno - 1);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0 &&
			att->atttypid == type)
			return attno;
	}
	ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					errmsg("view \"%s\" has no column \"%s\" of type %s",
						   RelationGetRelationName(trigdata->tg_relation), name,
						   format_type_be(type)),
					errdetail("soft_delete.tag() makes the bin of a table.")));
	return InvalidAttrNumber; /* keep compiler quiet */
}

/*
 * Return the value of a column in the row that the trigger fires for.
 *
 * Raises 39P01 if it is null.
 */
static Datum
view_column(TriggerData *trigdata, AttrNumber attnum)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);
	bool isnull;
	Datum value = heap_getattr(trigdata->tg_trigtuple, attnum, tupdesc, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("view \"%s\" has no value for column \"%s\"",
						RelationGetRelationName(trigdata->tg_relation),
						NameStr(TupleDescAttr(tupdesc, attnum - 1)->attname))));
	return value;
}

/*
 * Does the UPDATE that the trigger fires for change a column of the view?
 */
static bool
column_changes(TriggerData *trigdata, AttrNumber attnum)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);
	Form_pg_attribute att = TupleDescAttr(tupdesc, attnum - 1);
	bool old_isnull, new_isnull;
	Datum old_value =
		heap_getattr(trigdata->tg_trigtuple, attnum, tupdesc, &old_isnull);
	Datum new_value =
		heap_getattr(trigdata->tg_newtuple, attnum, tupdesc, &new_isnull);

	return old_isnull != new_isnull ||
		   (!old_isnull &&
			!datum_image_eq(old_value, new_value, att->attbyval, att->attlen));
}

/*
 * Find out what the UPDATE does to the row.
 *
 * Raises 0A000 if it sets the tombstone column to anything but null, or changes a column
 * that does not show the hold, does not say by a bridge that the row is live, and is not in
 * a key under which the row is restored.
 */
static void
check_update(TriggerData *trigdata, BinRow *row)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);

	row->is_restored =
		heap_attisnull(trigdata->tg_newtuple, row->view_attnum, tupdesc) ||
		turns_live(trigdata, row);
	for (int attno = 1; attno <= tupdesc->natts; attno++)
	{
		if (!column_changes(trigdata, attno) || attno == row->hold_attnum ||
			attno == row->bridge_attnum ||
			(attno == row->view_attnum &&
			 heap_attisnull(trigdata->tg_newtuple, attno, tupdesc)) ||
			note_new_key(trigdata, row, attno))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot update column \"%s\" of bin \"%s\"",
						NameStr(TupleDescAttr(tupdesc, attno - 1)->attname),
						RelationGetRelationName(trigdata->tg_relation)),
				 errdetail("A bin can only be updated to restore rows, under another key if need be, and to hold them."),
				 errhint_restore(trigdata, row)));
	}
}

/*
 * Add the hint to an error that restores the row as it is, if a primary key finds it that
 * the view shows.
 */
static int
errhint_restore(TriggerData *trigdata, BinRow *row)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);
	Oid relid = RelationGetRelid(row->rel);
	AttrNumber attnums[INDEX_MAX_KEYS];
	int n = primary_key(relid, attnums);
	TupleTableSlot *slot;

	if (n == 0)
		return 0;
	for (int i = 0; i < n; i++)
	{
		attnums[i] = get_attnum(RelationGetRelid(trigdata->tg_relation),
								get_attname(relid, attnums[i], false));
		if (attnums[i] == InvalidAttrNumber)
			return 0;
	}
	slot = MakeSingleTupleTableSlot(tupdesc, &TTSOpsHeapTuple);
	ExecStoreHeapTuple(trigdata->tg_trigtuple, slot, false);
	return errhint("UPDATE %s SET %s = NULL WHERE %s;",
				   qualified_name(RelationGetRelid(trigdata->tg_relation)),
				   quote_identifier(NameStr(
					   TupleDescAttr(tupdesc, row->view_attnum - 1)->attname)),
				   key_condition(n, RelationGetRelid(trigdata->tg_relation),
								 attnums, slot, attnums));
}

/*
 * Does the UPDATE change the column of a bridge, so that it says that the row is live?
 * That restores it with the value that is set.
 */
static bool
turns_live(TriggerData *trigdata, BinRow *row)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);
	Bridge *bridge = bridge_of(row->rel);

	for (int attno = 1; bridge != NULL && attno <= tupdesc->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, attno - 1);
		bool isnull;
		Datum value;

		if (own_column(trigdata, row, attno) != bridge->attnum ||
			!column_changes(trigdata, attno))
			continue;
		value = heap_getattr(trigdata->tg_newtuple, attno, tupdesc, &isnull);
		if (says_deleted(bridge, value, isnull))
			return false;
		/* a restore sets what live rows have by itself */
		if (isnull ? !bridge->live_isnull
				   : bridge->live_isnull ||
						 !datum_image_eq(value, bridge->live, att->attbyval,
										 att->attlen))
			note_new_value(trigdata, row, attno, bridge->attnum);
		row->bridge_attnum = attno;
		return true;
	}
	return false;
}

/*
 * Return the column of the table that a column of the view shows, or 0.
 *
 * Anybody can create a view whose column has the name, and another type.
 */
static AttrNumber
own_column(TriggerData *trigdata, BinRow *row, AttrNumber attno)
{
	Form_pg_attribute att =
		TupleDescAttr(RelationGetDescr(trigdata->tg_relation), attno - 1);
	Oid relid = RelationGetRelid(row->rel);
	AttrNumber attnum = get_attnum(relid, NameStr(att->attname));

	if (attnum <= 0 || getBaseType(get_atttype(relid, attnum)) != att->atttypid)
		return InvalidAttrNumber;
	return attnum;
}

/*
 * Note the new value of a column of the view, if the UPDATE restores the row and the
 * column is in a unique key that no foreign key references.  Returns whether it is.
 */
static bool
note_new_key(TriggerData *trigdata, BinRow *row, AttrNumber attno)
{
	AttrNumber attnum = own_column(trigdata, row, attno);

	if (!row->is_restored || !may_change_key(row->rel, attnum))
		return false;
	note_new_value(trigdata, row, attno, attnum);
	return true;
}

/*
 * Note the new value of a column of the view, which is column "attnum" of the table.
 */
static void
note_new_value(TriggerData *trigdata, BinRow *row, AttrNumber attno, AttrNumber attnum)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);
	NewKey *key = &row->key;
	Form_pg_attribute att = TupleDescAttr(tupdesc, attno - 1);

	if (key->n == 0)
	{
		key->attnums = palloc(tupdesc->natts * sizeof(AttrNumber));
		key->values = palloc(tupdesc->natts * sizeof(Datum));
		key->nulls = palloc(tupdesc->natts * sizeof(bool));
		key->typmods = palloc(tupdesc->natts * sizeof(int32));
	}
	key->attnums[key->n] = attnum;
	key->typmods[key->n] = att->atttypmod;
	key->values[key->n] =
		heap_getattr(trigdata->tg_newtuple, attno, tupdesc, &key->nulls[key->n]);
	key->n++;
}

/*
 * Place the hold on a row that the UPDATE sets, or lift it.  Returns false if the
 * row is no longer a tombstone of that deletion.
 */
static bool
change_hold(FunctionCallInfo fcinfo, BinRow *row)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	bool isnull;
	Datum hold = heap_getattr(trigdata->tg_newtuple, row->hold_attnum,
							  RelationGetDescr(trigdata->tg_relation), &isnull);

	if (!hold_row(row->rel, &row->tombstone,
				  isnull ? NULL : TextDatumGetCString(hold)))
		return false;
	if (!isnull)
		(void) join_cascade(open_checked_query(fcinfo)->held, row->rel,
							&row->tombstone, NULL, InvalidOid);
	return true;
}

/*
 * Raise 40001 if a row that is not there any more has stepped aside since the statement
 * began, which does not see it in the companion: to pass over it would be to restore, hold
 * or purge a part of what is to be.
 */
static void
refuse_moved(const BinRow *row)
{
	Relation rel = row->rel;
	RowIdentity listed = tombstone_identity(RelationGetRelid(rel), &row->tombstone);
	ItemPointerData tid = row->tombstone.tid;
	TupleTableSlot *old;
	bool has_moved = false;
	SavedRole saved;
	ListCell *lc;

	if (row->tombstone.storage != IN_PLACE || is_skipped(&listed) ||
		!has_tombstones(ASIDE, RelationGetRelid(rel)))
		return;
	old = table_slot_create(rel, NULL);
	/* the version that the statement sees is there still */
	if (fetch_version_at(rel, &tid, old))
	{
		PushActiveSnapshot(GetLatestSnapshot());
		/* reading the predicate of an index may call functions of the owner */
		become_owner(rel, &saved);
		foreach (lc, tombstone_months(ASIDE, RelationGetRelid(rel)))
			has_moved = has_moved || is_in_month(rel, lfirst_oid(lc),
												 row->tombstone.stamp, old);
		restore_role(&saved);
		PopActiveSnapshot();
	}
	ExecDropSingleTupleTableSlot(old);
	if (has_moved)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("A deleted row of table \"%s\" has stepped aside meanwhile.",
						   RelationGetRelationName(rel))));
}

/*
 * Is a tombstone, whose row is in the slot, in a month of the companion, or in no month?
 */
static bool
is_in_month(Relation rel, Oid month, TimestampTz stamp, TupleTableSlot *old)
{
	const ScanPosition position = {.is_set = true, .stamp = stamp};
	TupleTableSlot *other = table_slot_create(rel, NULL);
	TombstoneScan *scan =
		begin_tombstone_scan(rel, ASIDE, month,
							 TIMESTAMP_IS_NOEND(stamp) ? stamp : stamp + 1,
							 &position);
	bool found = false;

	while (!found && next_tombstone(scan))
	{
		/* without an index on stamps all are read */
		if (scan->current.stamp != stamp)
			continue;
		fetch_tombstone(rel, &scan->current, other);
		found = rows_equal(old, other);
	}
	end_tombstone_scan(scan);
	ExecDropSingleTupleTableSlot(other);
	return found;
}

/*
 * Are two rows of a table binary equal?
 */
static bool
rows_equal(TupleTableSlot *old, TupleTableSlot *other)
{
	TupleDesc desc = old->tts_tupleDescriptor;
	AttrNumber attnums[MaxHeapAttributeNumber];
	int n = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && !is_virtual_column(att))
			attnums[n++] = i + 1;
	}
	return columns_equal(n, attnums, old, other);
}
