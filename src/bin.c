/*
 * bin.c
 *	  Restores and purges tombstones through the bin, the view that lists them.
 *
 * The bin's INSTEAD OF triggers find a row by the view's columns tableoid and
 * ctid, so identity needs no key.  They act for the owner of the view, whom
 * the rights on the view come from, and only on relations that he owns.
 *
 * To the rest of the database a restore is the INSERT that makes up for the
 * DELETE: unique keys are checked, AFTER INSERT triggers fire, among them the
 * checks of foreign keys.  BEFORE INSERT triggers do not, for the row is to
 * come back as it was.
 *
 * Invariant: of two sessions that restore or purge the same tombstone, one
 * does and the other finds nothing.
 */
#include "soft_delete.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

/* A tombstone that the bin lists */
typedef struct BinRow
{
	Relation rel;			/* the table or partition that holds it */
	AttrNumber attnum;		/* the tombstone column of rel */
	AttrNumber view_attnum; /* the tombstone column of the view */
	ItemPointerData tid;
	Datum stamp;
} BinRow;

PG_FUNCTION_INFO_V1(soft_delete_restore_row);
PG_FUNCTION_INFO_V1(soft_delete_purge_row);

static void open_bin_row(FunctionCallInfo fcinfo, const char *function, BinRow *row);
static Datum view_column(TriggerData *trigdata, const char *name);
static void check_restores(TriggerData *trigdata, BinRow *row);
static bool lock_tombstone(BinRow *row, TupleTableSlot *slot);
static void restore_tombstone(BinRow *row, TupleTableSlot *old);
static void fire_insert_triggers(EState *estate, ResultRelInfo *relinfo,
								 TupleTableSlot *slot, List *recheck);

/*
 * soft_delete.restore_row() returns trigger
 *
 * INSTEAD OF UPDATE on the bin: SET tombstone = NULL brings the row back.
 *
 * Raises 0A000 for any other SET, 39P01 where it is not called by a bin,
 * 42501 where the bin's owner does not own the table, and what an INSERT of
 * the row raises: 23505, 23503, 23P01, 23514.
 */
Datum
soft_delete_restore_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleTableSlot *slot;
	BinRow row;
	bool found;

	open_bin_row(fcinfo, "soft_delete.restore_row", &row);
	check_restores(trigdata, &row);

	slot = table_slot_create(row.rel, NULL);
	found = lock_tombstone(&row, slot);
	if (found)
		restore_tombstone(&row, slot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(row.rel, NoLock);
	return PointerGetDatum(found ? trigdata->tg_newtuple : NULL);
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
	TupleTableSlot *slot;
	BinRow row;
	bool found;

	open_bin_row(fcinfo, "soft_delete.purge_row", &row);

	slot = table_slot_create(row.rel, NULL);
	found = lock_tombstone(&row, slot);
	ExecDropSingleTupleTableSlot(slot);
	if (found)
	{
		TM_FailureData tmfd;
		TM_Result result;

		result = destroy_tuple(row.rel, &row.tid, GetCurrentCommandId(true),
							   GetActiveSnapshot(), &tmfd);
		if (result != TM_Ok)
			elog(ERROR, "unexpected status of a locked tombstone: %u", result);
	}
	table_close(row.rel, NoLock);
	return PointerGetDatum(found ? trigdata->tg_trigtuple : NULL);
}

/*
 * Find and open what the view row stands for.
 */
static void
open_bin_row(FunctionCallInfo fcinfo, const char *function, BinRow *row)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Oid relid;
	char *tombstone;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_INSTEAD(trigdata->tg_event) ||
		(TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) !=
		 (fcinfo->flinfo->fn_addr == soft_delete_restore_row)) ||
		TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by a bin", function),
				 errhint("Use SELECT soft_delete.tag('table') to tag a table, which makes its bin.")));

	relid = DatumGetObjectId(view_column(trigdata, "tableoid"));
	row->tid = *(ItemPointer) DatumGetPointer(view_column(trigdata, "ctid"));

	row->rel = table_open(relid, RowExclusiveLock);
	row->attnum = tombstone_attribute(row->rel);
	if (row->attnum == InvalidAttrNumber ||
		!relation_ownercheck(relid, trigdata->tg_relation->rd_rel->relowner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("view \"%s\" is not the bin of table \"%s\"",
						RelationGetRelationName(trigdata->tg_relation),
						RelationGetRelationName(row->rel)),
				 errdetail("A bin lists a tagged table that belongs to the owner of the view.")));

	tombstone =
		NameStr(TupleDescAttr(RelationGetDescr(row->rel), row->attnum - 1)->attname);
	row->stamp = view_column(trigdata, tombstone);
	row->view_attnum =
		SPI_fnumber(RelationGetDescr(trigdata->tg_relation), tombstone);
}

/*
 * Return a column of the view row that the trigger fires for.
 */
static Datum
view_column(TriggerData *trigdata, const char *name)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);
	bool isnull = true;
	Datum value = (Datum) 0;

	/* not SPI_fnumber(): a view's own column named like a system column */
	for (int attno = 1; attno <= tupdesc->natts && isnull; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, attno - 1);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			value = heap_getattr(trigdata->tg_trigtuple, attno, tupdesc, &isnull);
	}
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("view \"%s\" has no value for column \"%s\"",
						RelationGetRelationName(trigdata->tg_relation), name)));
	return value;
}

/*
 * Raise 0A000 unless the update clears the tombstone column and changes no
 * other.
 */
static void
check_restores(TriggerData *trigdata, BinRow *row)
{
	TupleDesc tupdesc = RelationGetDescr(trigdata->tg_relation);

	for (int attno = 1; attno <= tupdesc->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, attno - 1);
		bool old_isnull, new_isnull, good;
		Datum old_value =
			heap_getattr(trigdata->tg_trigtuple, attno, tupdesc, &old_isnull);
		Datum new_value =
			heap_getattr(trigdata->tg_newtuple, attno, tupdesc, &new_isnull);

		if (attno == row->view_attnum)
			good = new_isnull;
		else
			good = old_isnull == new_isnull &&
				   (old_isnull || datum_image_eq(old_value, new_value,
												 att->attbyval, att->attlen));
		if (!good)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot update column \"%s\" of bin \"%s\"",
							NameStr(att->attname),
							RelationGetRelationName(trigdata->tg_relation)),
					 errdetail("A bin can only be updated to restore rows."),
					 errhint("UPDATE %s SET %s = NULL WHERE ...;",
							 qualified_name(RelationGetRelid(trigdata->tg_relation)),
							 quote_identifier(NameStr(
								 TupleDescAttr(tupdesc, row->view_attnum - 1)->attname)))));
	}
}

/*
 * Lock the newest version of a tombstone and fetch it into the slot.  Returns
 * false if it is not a tombstone of that deletion any more.
 *
 * Raises 40001 in a transaction that keeps its snapshot, where a concurrent
 * transaction has changed the row.
 */
static bool
lock_tombstone(BinRow *row, TupleTableSlot *slot)
{
	TM_FailureData tmfd;
	TM_Result result;
	Datum stamp;
	bool isnull;

	result = table_tuple_lock(row->rel, &row->tid, GetActiveSnapshot(), slot,
							  GetCurrentCommandId(true), LockTupleExclusive,
							  LockWaitBlock,
							  IsolationUsesXactSnapshot()
								  ? 0
								  : TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
							  &tmfd);
	switch (result)
	{
		case TM_Ok:
			row->tid = slot->tts_tid;
			stamp = slot_getattr(slot, row->attnum, &isnull);
			return !isnull && DatumGetInt64(stamp) == DatumGetInt64(row->stamp);

		case TM_SelfModified:
			return false; /* twice in one statement */

		case TM_Updated:
		case TM_Deleted:
			if (IsolationUsesXactSnapshot())
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("could not serialize access due to concurrent update")));
			return false;

		default:
			elog(ERROR, "unexpected table_tuple_lock status: %u", result);
			return false; /* keep compiler quiet */
	}
}

/*
 * Bring a locked tombstone back to life.
 */
static void
restore_tombstone(BinRow *row, TupleTableSlot *old)
{
	VersionBuilder *builder =
		make_version_builder(row->rel, row->attnum, CurrentMemoryContext);
	EState *estate = builder->estate;
	ResultRelInfo *relinfo = makeNode(ResultRelInfo);
	ResultRelInfo *rootinfo = NULL;
	Relation root = NULL;
	TupleTableSlot *slot;
	TM_FailureData tmfd;
	LockTupleMode lockmode;
	TU_UpdateIndexes which;
	List *recheck = NIL;

	/* statement triggers belong to the root of the partition tree */
	if (row->rel->rd_rel->relispartition)
	{
		root =
			table_open(llast_oid(get_partition_ancestors(RelationGetRelid(row->rel))),
					   RowExclusiveLock);
		rootinfo = makeNode(ResultRelInfo);
		InitResultRelInfo(rootinfo, root, 0, NULL, 0);
	}
	InitResultRelInfo(relinfo, row->rel, 0, rootinfo, 0);

	slot = build_version(builder, row->rel, old, (Datum) 0, true);
	if (replace_tuple(row->rel, &row->tid, slot, GetCurrentCommandId(true),
					  GetActiveSnapshot(), InvalidSnapshot, true, &tmfd,
					  &lockmode, &which) != TM_Ok)
		elog(ERROR, "unexpected change of a locked tombstone");

	if (which != TU_None)
	{
		ExecOpenIndices(relinfo, false);
		recheck = insert_index_tuples(relinfo, slot, estate);
		ExecCloseIndices(relinfo);
	}
	fire_insert_triggers(estate, relinfo, slot, recheck);

	if (root != NULL)
		table_close(root, NoLock);
	FreeExecutorState(estate);
}

/*
 * Queue the AFTER INSERT triggers for a restored row.  They fire at the end of
 * the statement on the bin.
 */
static void
fire_insert_triggers(EState *estate, ResultRelInfo *relinfo,
					 TupleTableSlot *slot, List *recheck)
{
	ResultRelInfo *named =
		relinfo->ri_RootResultRelInfo ? relinfo->ri_RootResultRelInfo : relinfo;
	TransitionCaptureState *transition =
		MakeTransitionCaptureState(named->ri_TrigDesc,
								   RelationGetRelid(named->ri_RelationDesc),
								   CMD_INSERT);

	ExecARInsertTriggers(estate, relinfo, slot, recheck, transition);

	/* however often it is queued, a statement trigger fires once */
	ExecASInsertTriggers(estate, named, transition);
}
