/*
 * guard.c
 *	  Refuses statements that write to a companion by themselves.
 *
 * Rows come to a companion by deletions, and leave it through the bin.  Only a maintenance
 * session writes to it, as to tombstones in their table: a dump is restored so.
 *
 * Invariant: no statement on a companion changes or destroys what is held.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/rel.h"

#include "delete/sd_delete.h"

PG_FUNCTION_INFO_V1(soft_delete_guard_companion);

static void check_guard_trigger(FunctionCallInfo fcinfo);

/*
 * soft_delete.guard_companion(stamp column, month) returns trigger
 *
 * BEFORE INSERT, UPDATE, DELETE OR TRUNCATE statement trigger of a companion, which
 * makes it one.  Its arguments are the name of the column for stamps and, optionally,
 * "monthly" or a month (companion.c).
 *
 * Raises 0A000 for statements that are not the extension's own, other than those of a
 * maintenance session; 55006 for those that change or destroy rows where some are held;
 * 39P01 where it is not called as that trigger.
 */
Datum
soft_delete_guard_companion(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Relation rel;

	check_guard_trigger(fcinfo);
	rel = trigdata->tg_relation;
	if (begin_companion_write())
		return PointerGetDatum(NULL);
	if (!is_maintenance(RelationGetRelid(rel)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to table \"%s\", which has the deleted rows of another table",
						RelationGetRelationName(rel)),
				 errdetail("Rows come to it by DELETE, and leave it through the bin."),
				 errhint("SELECT relation, bin FROM soft_delete.tables;")));
	if (!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		refuse_held_aside(RelationGetRelid(rel), "change deleted rows of");
	return PointerGetDatum(NULL);
}

/*
 * Raise 39P01 unless the function is called as the trigger of a companion.
 */
static void
check_guard_trigger(FunctionCallInfo fcinfo)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event) ||
		trigdata->tg_trigger->tgnargs < 1 || trigdata->tg_trigger->tgnargs > 2)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as the trigger of a companion",
						"soft_delete.guard_companion"),
				 errdetail("It must be a BEFORE statement trigger, with the name of the column for stamps as its first argument.")));
}
