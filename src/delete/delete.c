/*
 * delete.c
 *	  Writes or keeps a tombstone where a live row is deleted.
 *
 * The tag is a BEFORE DELETE row trigger that fires after all others.  By then
 * the executor has locked the row exclusively and rechecked it; the lock also
 * makes foreign-key checks wait until commit.  The trigger arms the relation: it
 * sets rd_tableam to a copy of its table access method's routine in which only
 * tuple_delete differs, and returns the row.  The next thing that the executor
 * does is to call tuple_delete.  Ours sets rd_tableam back, writes the tombstone
 * as an update of the row, and reports success.  The executor then counts the
 * row, returns it, and queues AFTER DELETE triggers and foreign-key actions, as
 * it does for any deleted row.  Where tombstones are kept aside, ours deletes the row
 * by the original tuple_delete, and then inserts it into the companion.
 *
 * Invariant: rd_tableam is ours only from the return of the trigger to the call of
 * tuple_delete.  How a tombstone is written is up to storage/.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "delete/sd_delete.h"

/* The deletion that is armed: tuple_delete has not been called for it yet */
static struct
{
	Relation rel;				   /* NULL if nothing is armed */
	const TableAmRoutine *routine; /* the rd_tableam to set back */
	ItemPointerData tid;		   /* the live row */
	TupleTableSlot *old;		   /* that row */
	VersionBuilder *builder; /* makes its tombstone, if that is in place */
	Keeper *keeper;			 /* keeps it aside, else NULL */
} armed;

static List *intercepted_routines = NIL; /* copies with our tuple_delete */

PG_FUNCTION_INFO_V1(soft_delete_delete_row);

static void check_tag_trigger(FunctionCallInfo fcinfo);
static VersionBuilder *prepare_deletion(FunctionCallInfo fcinfo);
static Keeper *prepare_keeper(FunctionCallInfo fcinfo);
static void check_fires_last(Relation rel, const Trigger *tag);
static const TableAmRoutine *intercepted_routine(const TableAmRoutine *original);
static void disarm(void);
static void disarm_at_abort(XactEvent event, void *arg);
static void disarm_at_subabort(SubXactEvent event, SubTransactionId mySubid,
							   SubTransactionId parentSubid, void *arg);
static TM_Result delete_softly(TUPLE_DELETE_PARAMS);

/*
 * Register the callbacks that disarm at aborts.
 */
void
init_delete(void)
{
	RegisterXactCallback(disarm_at_abort, NULL);
	RegisterSubXactCallback(disarm_at_subabort, NULL);
}

/*
 * soft_delete.delete_row(tombstone column) returns trigger
 *
 * The tag: a BEFORE DELETE row trigger, whose argument names the tombstone
 * column.  Arms the deletion of a live row.  Returns null for a tombstone, which
 * is then neither deleted nor counted: an ordinary DELETE destroys nothing.
 *
 * Raises 39P01 where it is not called as the tag, 55000 where another BEFORE
 * DELETE trigger would fire after it.
 */
Datum
soft_delete_delete_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	VersionBuilder *builder = NULL;
	Keeper *keeper = NULL;
	bool isnull;

	check_tag_trigger(fcinfo);
	if (is_aside_tag(trigdata->tg_trigger))
		keeper = prepare_keeper(fcinfo);
	else
	{
		builder = prepare_deletion(fcinfo);
		(void) slot_getattr(trigdata->tg_trigslot, builder->attnums[0], &isnull);
		if (!isnull)
			return PointerGetDatum(NULL);
	}

	disarm();
	armed.rel = trigdata->tg_relation;
	armed.routine = armed.rel->rd_tableam;
	armed.tid = trigdata->tg_trigtuple->t_self;
	armed.old = trigdata->tg_trigslot;
	armed.builder = builder;
	armed.keeper = keeper;
	armed.rel->rd_tableam = intercepted_routine(armed.routine);

	return PointerGetDatum(trigdata->tg_trigtuple);
}

/*
 * Raise 39P01 unless the function is called as a BEFORE DELETE row trigger of a
 * table that is tagged by it, with the name of a column.
 */
static void
check_tag_trigger(FunctionCallInfo fcinfo)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) ||
		trigdata->tg_trigger->tgnargs < 1 || !has_tag(trigdata->tg_relation))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as the tag of a table",
						"soft_delete.delete_row"),
				 errdetail("It must be a BEFORE DELETE row trigger of a table, with the name of the tombstone column as its argument.")));
}

/*
 * Return the builder of tombstones for the relation.  It is made at the first row
 * of a statement, and kept for the others.
 */
static VersionBuilder *
prepare_deletion(FunctionCallInfo fcinfo)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Relation rel = trigdata->tg_relation;
	VersionBuilder *builder = fcinfo->flinfo->fn_extra;
	AttrNumber attnum;

	if (builder == NULL || builder->relid != RelationGetRelid(rel))
	{
		check_fires_last(rel, trigdata->tg_trigger);
		attnum = tombstone_attribute(rel);
		CheckCmdReplicaIdentity(rel, CMD_UPDATE); /* as subscribers see it */
		builder = make_tombstone_builder(rel, fcinfo->flinfo->fn_mcxt);
		find_tombstone_indexes(builder, rel, attnum);
		fcinfo->flinfo->fn_extra = builder;
	}
	return builder;
}

/*
 * Return what keeping rows of the relation aside needs.  It is made at the first row of
 * a statement, and kept for the others.
 */
static Keeper *
prepare_keeper(FunctionCallInfo fcinfo)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Relation rel = trigdata->tg_relation;
	Keeper *keeper = fcinfo->flinfo->fn_extra;

	if (!keeps_rows_of(keeper, rel))
	{
		check_fires_last(rel, trigdata->tg_trigger);
		keeper = make_keeper(rel, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = keeper;
	}
	return keeper;
}

/*
 * Raise 55000 if an enabled BEFORE DELETE row trigger fires after the tag: it
 * could prevent a deletion that is armed already.
 */
static void
check_fires_last(Relation rel, const Trigger *tag)
{
	TriggerDesc *trigdesc = rel->trigdesc;
	bool after = false;

	for (int i = 0; i < trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &trigdesc->triggers[i];

		if (trigger->tgoid == tag->tgoid)
			after = true;
		else if (after && trigger->tgenabled != TRIGGER_DISABLED &&
				 TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
									  TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_DELETE))
		{
			char *name = pstrdup(trigger->tgname); /* not the relcache's */

			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("trigger \"%s\" of table \"%s\" would fire after the tag \"%s\"",
							name, RelationGetRelationName(rel), tag->tgname),
					 errdetail("Triggers fire in the order of their names, and the tag must be the last BEFORE DELETE row trigger."),
					 errhint("ALTER TRIGGER %s ON %s RENAME TO %s;",
							 quote_identifier(name),
							 qualified_name(RelationGetRelid(rel)),
							 quote_identifier(psprintf("before_%s", name)))));
		}
	}
}

/*
 * Return the copy of a table access method's routine that deletes softly.
 */
static const TableAmRoutine *
intercepted_routine(const TableAmRoutine *original)
{
	TableAmRoutine *copy = copy_routine(&intercepted_routines, original);

	copy->tuple_delete = delete_softly;
	return copy;
}

/*
 * Set the routine of the armed relation back, if there is one.
 */
static void
disarm(void)
{
	if (armed.rel != NULL)
		armed.rel->rd_tableam = armed.routine;
	armed.rel = NULL;
}

/*
 * Disarm when a transaction aborts, while the relation is still referenced.
 *
 * The executor of the supported versions does nothing between the trigger and
 * tuple_delete that can fail.  This and disarm_at_subabort() are for later
 * versions, so no test reaches them.
 */
static void
disarm_at_abort(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		disarm();
}

/*
 * Disarm when a subtransaction aborts, as disarm_at_abort() does for a
 * transaction.
 */
static void
disarm_at_subabort(SubXactEvent event, SubTransactionId mySubid,
				   SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		disarm();
}

/*
 * tuple_delete of an armed relation: write or keep the tombstone of the armed row.
 *
 * A row that an UPDATE moves to another partition is not a deleted row.  It is
 * removed by the original tuple_delete, and the executor inserts it into the
 * other partition.
 */
static TM_Result
delete_softly(TUPLE_DELETE_PARAMS)
{
	VersionBuilder *builder = armed.builder;
	Keeper *keeper = armed.keeper;
	bool is_armed = armed.rel == rel && ItemPointerEquals(&armed.tid, tid);

	disarm();
	if (!is_armed)
		elog(ERROR, "deletion of tuple (%u,%u) of table \"%s\" is not armed",
			 ItemPointerGetBlockNumberNoCheck(tid),
			 ItemPointerGetOffsetNumberNoCheck(tid), RelationGetRelationName(rel));
	if (row_is_moving())
	{
		check_held_move(rel, armed.old);
		check_partition_move(rel, armed.old);
		return rel->rd_tableam->tuple_delete(TUPLE_DELETE_ARGS);
	}
	if (keeper != NULL)
	{
		TM_Result result = rel->rd_tableam->tuple_delete(TUPLE_DELETE_ARGS);

		if (result == TM_Ok)
			keep_aside(keeper, rel, armed.old);
		return result;
	}

	return write_tombstone(builder, rel, tid, armed.old, cid, snapshot,
						   crosscheck, wait, tmfd);
}
