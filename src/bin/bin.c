/*
 * bin.c
 *	  Restores, holds and purges tombstones through the bin, the view that lists
 *	  them.
 *
 * The bin's INSTEAD OF triggers find a row by the view's columns tableoid and
 * ctid, so identity needs no key.  They act for the owner of the view, whom
 * the rights on the view come from, and only on relations that he owns.  They
 * lock the rows and collect them; the bin's AFTER statement triggers then let
 * the cascades of those rows join (cascade.c), and restore or purge them all.
 * Holds (hold.c) are placed and lifted at once.
 *
 * To the rest of the database a restore is the INSERT that makes up for the
 * DELETE: unique keys are checked, AFTER INSERT triggers fire, among them the
 * checks of foreign keys.  BEFORE INSERT triggers do not, for the row is to
 * come back as it was.
 *
 * Invariant: of two sessions that restore or purge the same tombstone, one
 * does and the other finds nothing.
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
#include "utils/lsyscache.h"

#include "bin/sd_bin.h"

/* A tombstone that the bin lists */
typedef struct BinRow
{
	Relation rel;			/* the table or partition that holds it */
	AttrNumber view_attnum; /* the tombstone column of the view */
	AttrNumber hold_attnum; /* its column of holds */
	Tombstone tombstone;
} BinRow;

/*
 * What a running query has collected from bins.  It lives in the executor's
 * memory for the query, by which the triggers of one query find it, and which
 * takes it away whatever happens.
 */
typedef struct BinQuery
{
	MemoryContext context;
	Cascade *restored;
	Cascade *purged;
	struct BinQuery *next;
} BinQuery;

static BinQuery *bin_queries = NULL;

static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;

PG_FUNCTION_INFO_V1(soft_delete_restore_row);
PG_FUNCTION_INFO_V1(soft_delete_purge_row);
PG_FUNCTION_INFO_V1(soft_delete_finish_bin);

static void finish_executor(QueryDesc *queryDesc);
static void check_bin_query(MemoryContext context);
static bool collect_row(FunctionCallInfo fcinfo, BinRow *row, Cascade *cascade);
static BinQuery *open_bin_query(FunctionCallInfo fcinfo);
static BinQuery *find_bin_query(MemoryContext context);
static void forget_bin_query(void *arg);
static void check_statement_trigger(TriggerData *trigdata);
static void open_bin_row(FunctionCallInfo fcinfo, const char *function, BinRow *row);
static Relation open_listed_table(Relation view, Oid relid);
static AttrNumber view_attnum(TriggerData *trigdata, const char *name, Oid type);
static Datum view_column(TriggerData *trigdata, AttrNumber attnum);
static bool column_changes(TriggerData *trigdata, AttrNumber attnum);
static void check_update(TriggerData *trigdata, BinRow *row);
static bool change_hold(TriggerData *trigdata, BinRow *row);

/*
 * Install the hook that sees queries end.
 */
void
init_bin(void)
{
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_executor;
}

/*
 * ExecutorFinish hook: AFTER triggers run here, and those of bins must have.
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
 * soft_delete.restore_row(deleted_by, actor, reason, hold) returns trigger
 *
 * INSTEAD OF UPDATE on the bin: SET tombstone = NULL brings the row back, SET
 * hold = 'why' holds it, SET hold = NULL lifts that.  Its arguments name the
 * columns that the bin has beside those of the table.
 *
 * Raises 0A000 for any other SET, 39P01 where it is not called by a bin,
 * 42501 where the bin's owner does not own the table; what hold_row() raises.
 */
Datum
soft_delete_restore_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	BinRow row;
	bool is_there = true;

	open_bin_row(fcinfo, "soft_delete.restore_row", &row);
	check_update(trigdata, &row);
	if (row.hold_attnum != InvalidAttrNumber &&
		column_changes(trigdata, row.hold_attnum))
		is_there = change_hold(trigdata, &row);
	if (is_there && column_changes(trigdata, row.view_attnum))
		is_there = collect_row(fcinfo, &row, open_bin_query(fcinfo)->restored);
	table_close(row.rel, NoLock);
	return PointerGetDatum(is_there ? trigdata->tg_newtuple : NULL);
}

/*
 * soft_delete.purge_row() returns trigger
 *
 * INSTEAD OF DELETE on the bin: destroys the row for good.
 *
 * Raises 39P01 where it is not called by a bin, 42501 where the bin's owner
 * does not own the table.
 */
Datum
soft_delete_purge_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	BinRow row;

	bool joins;

	open_bin_row(fcinfo, "soft_delete.purge_row", &row);
	joins = collect_row(fcinfo, &row, open_bin_query(fcinfo)->purged);
	table_close(row.rel, NoLock);
	return PointerGetDatum(joins ? trigdata->tg_trigtuple : NULL);
}

/*
 * soft_delete.finish_bin() returns trigger
 *
 * AFTER UPDATE OR DELETE statement trigger of the bin: restores or purges what
 * the row triggers of the query have collected, with their cascades.
 *
 * Raises what an INSERT of the rows raises: 23505, 23503, 23P01, 23514; 23503
 * for a purge of a row that is referenced; 39P01 where it is not called by a
 * bin.
 */
Datum
soft_delete_finish_bin(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	BinQuery *query;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event) ||
		trigdata->tg_relation->rd_rel->relkind != RELKIND_VIEW)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by a bin",
						"soft_delete.finish_bin"),
				 errhint("Use SELECT soft_delete.tag('table') to tag a table, which makes its bin.")));

	/* a query may write to several bins: the first trigger acts for all */
	query = find_bin_query(fcinfo->flinfo->fn_mcxt);
	if (query != NULL)
	{
		Cascade *restored = query->restored;
		Cascade *purged = query->purged;

		query->restored = query->purged = NULL;
		if (restored != NULL)
			restore_cascade(restored);
		if (purged != NULL)
		{
			complete_cascade(purged);
			refuse_held(purged);
			(void) purge_cascade(purged);
		}
	}
	return PointerGetDatum(NULL);
}

/*
 * Collect the row of a bin.  Returns false if there is nothing to do: it is not
 * a tombstone of that deletion any more, or has been collected already.
 */
static bool
collect_row(FunctionCallInfo fcinfo, BinRow *row, Cascade *cascade)
{
	return join_cascade(cascade, row->rel, &row->tombstone,
						&row->tombstone.stamp, InvalidOid);
}

/*
 * Return what the running query has collected, with nothing in it if the row is
 * the query's first.
 */
static BinQuery *
open_bin_query(FunctionCallInfo fcinfo)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	BinQuery *query = find_bin_query(context);

	if (fcinfo->flinfo->fn_extra == NULL)
	{
		check_statement_trigger((TriggerData *) fcinfo->context);
		fcinfo->flinfo->fn_extra = fcinfo->flinfo; /* checked */
	}
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
	}
	return query;
}

/*
 * Return what the query that owns the memory context has collected, or NULL.
 */
static BinQuery *
find_bin_query(MemoryContext context)
{
	BinQuery *query = bin_queries;

	while (query != NULL && query->context != context)
		query = query->next;
	return query;
}

/*
 * Raise 0A000 if a query that is finished has left what it collected in the
 * air: whoever ran it has stopped after some rows, and then its statement
 * triggers do not fire.
 */
static void
check_bin_query(MemoryContext context)
{
	BinQuery *query = find_bin_query(context);

	if (query != NULL && query->restored != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot restore or purge by a statement that is stopped before its end"),
				 errdetail("A bin acts when the statement is done."),
				 errhint("Run the statement without a limit on the rows that it returns.")));
}

/*
 * Forget what a query has collected, when its memory goes.
 */
static void
forget_bin_query(void *arg)
{
	BinQuery **link = &bin_queries;

	while (*link != arg)
		link = &(*link)->next;
	*link = (*link)->next;
}

/*
 * Raise 55000 unless a statement trigger will act on what the row trigger
 * collects.
 */
static void
check_statement_trigger(TriggerData *trigdata)
{
	Oid function = extension_function(BIN_STATEMENT);
	/* a look at a catalog may have rebuilt it */
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
 * Find and open what the view row stands for.
 */
static void
open_bin_row(FunctionCallInfo fcinfo, const char *function, BinRow *row)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Form_pg_attribute tombstone;
	AttrNumber attnum;
	ItemPointer tid;
	Oid relid;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_INSTEAD(trigdata->tg_event) ||
		(TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) !=
		 (fcinfo->flinfo->fn_addr == soft_delete_restore_row)) ||
		TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by a bin", function),
				 errhint("Use SELECT soft_delete.tag('table') to tag a table, which makes its bin.")));

	relid = DatumGetObjectId(
		view_column(trigdata, view_attnum(trigdata, "tableoid", OIDOID)));
	tid = (ItemPointer) DatumGetPointer(
		view_column(trigdata, view_attnum(trigdata, "ctid", TIDOID)));
	relid = locate_tombstone(relid, tid, &row->tombstone);
	row->rel = open_listed_table(trigdata->tg_relation, relid);
	attnum = tombstone_attribute(row->rel);

	tombstone = TupleDescAttr(RelationGetDescr(row->rel), attnum - 1);
	row->view_attnum =
		view_attnum(trigdata, NameStr(tombstone->attname), tombstone->atttypid);
	row->tombstone.stamp =
		DatumGetTimestampTz(view_column(trigdata, row->view_attnum));
	/* a bin of version 0.1.0 shows no holds */
	row->hold_attnum = InvalidAttrNumber;
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) &&
		trigdata->tg_trigger->tgnargs == N_BIN_COLUMNS)
		row->hold_attnum =
			view_attnum(trigdata, trigdata->tg_trigger->tgargs[BIN_HOLD], TEXTOID);
}

/*
 * Open the table that a row of a view claims to be of.  Nothing is locked that does
 * not belong to the owner of the view.
 *
 * Raises 42501 unless it is a tagged table of his.
 */
static Relation
open_listed_table(Relation view, Oid relid)
{
	Relation rel = NULL;

	if (get_rel_relkind(relid) == RELKIND_RELATION &&
		relation_ownercheck(relid, view->rd_rel->relowner))
		rel = try_table_open(relid, RowExclusiveLock);
	if (rel == NULL || RELATION_IS_OTHER_TEMP(rel) ||
		tombstone_attribute(rel) == InvalidAttrNumber ||
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
 * Return the number of a column of the view.
 *
 * Raises 39P01 if it has none of that name and type.
 */
static AttrNumber
view_attnum(TriggerData *trigdata, const char *name, Oid type)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);

	/* not SPI_fnumber(): a view's own column named like a system column */
	for (int attno = 1; attno <= tupdesc->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, attno - 1);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0 &&
			att->atttypid == type)
			return attno;
	}
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("view \"%s\" has no column \"%s\" of type %s",
					RelationGetRelationName(trigdata->tg_relation), name,
					format_type_be(type)),
			 errhint("Use SELECT soft_delete.tag('table') to tag a table, which makes its bin.")));
	return InvalidAttrNumber; /* keep compiler quiet */
}

/*
 * Return a column of the view row that the trigger fires for.
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
 * Does the update change a column of the view?
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
 * Raise 0A000 if the update sets the tombstone column to anything but null, or
 * changes any other column than the hold.
 */
static void
check_update(TriggerData *trigdata, BinRow *row)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);

	for (int attno = 1; attno <= tupdesc->natts; attno++)
	{
		if (!column_changes(trigdata, attno) || attno == row->hold_attnum ||
			(attno == row->view_attnum &&
			 heap_attisnull(trigdata->tg_newtuple, attno, tupdesc)))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot update column \"%s\" of bin \"%s\"",
						NameStr(TupleDescAttr(tupdesc, attno - 1)->attname),
						RelationGetRelationName(trigdata->tg_relation)),
				 errdetail("A bin can only be updated to restore rows and to hold them."),
				 errhint("UPDATE %s SET %s = NULL WHERE ...;",
						 qualified_name(RelationGetRelid(trigdata->tg_relation)),
						 quote_identifier(NameStr(
							 TupleDescAttr(tupdesc, row->view_attnum - 1)->attname)))));
	}
}

/*
 * Hold the row, or lift its hold.  Returns false if it is not a tombstone of
 * that deletion any more.
 */
static bool
change_hold(TriggerData *trigdata, BinRow *row)
{
	bool isnull;
	Datum hold = heap_getattr(trigdata->tg_newtuple, row->hold_attnum,
							  RelationGetDescr(trigdata->tg_relation), &isnull);

	return hold_row(row->rel, &row->tombstone,
					isnull ? NULL : TextDatumGetCString(hold));
}
