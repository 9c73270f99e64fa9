/*
 * bulk.c
 *	  Lets INSERT and COPY FROM write to a table in place without a row trigger.
 *
 * The BEFORE INSERT row trigger of a tag arms the unique indexes (claim.c), and refuses
 * tombstones.  It costs every row a call, and COPY writes the rows one by one where such
 * a trigger may fire.  So the indexes are armed before the first row, and the description
 * of the table's triggers says meanwhile that there is none.  Executor and COPY take a
 * copy of that.  The indexes stay open, and so armed, until the command ends.  No row is
 * a tombstone: plan/modify.c and delete/copy.c check it.
 *
 * The trigger stays in the catalog: it loads the library in a session that has not, and
 * fires where rows are routed to partitions, or come from a publisher.
 *
 * Invariant: the trigger is passed over only where it would find all indexes armed.  If
 * the description is read anew in between, the trigger fires.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "utils/rel.h"

#include "keys/sd_keys.h"

/* A COPY FROM that passes over the trigger */
struct BulkCopy
{
	Relation rel;
	List *indexes; /* Relation: its indexes, which are armed */
};

static void pass_over_insert_trigger(PlanState *planstate);
static bool only_tag_fires(Relation rel);

/*
 * Let the INSERTs of a statement that has been started pass over the trigger, where they
 * can.
 */
void
pass_over_insert_triggers(EState *estate, PlanState *planstate)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(estate->es_query_cxt);
	ListCell *lc;

	pass_over_insert_trigger(planstate);
	foreach (lc, estate->es_subplanstates)
		pass_over_insert_trigger(lfirst(lc));
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Let an INSERT pass over the trigger, if the top node of a plan is one.  The executor
 * closes the indexes.
 */
static void
pass_over_insert_trigger(PlanState *planstate)
{
	ModifyTableState *modify = (ModifyTableState *) planstate;
	ResultRelInfo *target;

	if (planstate == NULL || !IsA(planstate, ModifyTableState) ||
		modify->operation != CMD_INSERT)
		return;
	target = modify->resultRelInfo;
	if (!only_tag_fires(target->ri_RelationDesc) ||
		is_maintenance(RelationGetRelid(target->ri_RelationDesc)))
		return;
	if (target->ri_RelationDesc->rd_rel->relhasindex &&
		target->ri_IndexRelationDescs == NULL)
		ExecOpenIndices(target, ((ModifyTable *) planstate->plan)->onConflictAction !=
									ONCONFLICT_NONE);
	if (arm_keys(target->ri_RelationDesc))
		target->ri_TrigDesc->trig_insert_before_row = false;
}

/*
 * Prepare a COPY FROM.  Returns NULL if it must be run as it is.  The caller has locked
 * the table.
 */
BulkCopy *
begin_bulk_copy(CopyStmt *stmt)
{
	Relation rel = stmt->is_from && stmt->relation != NULL
					   ? table_openrv_extended(stmt->relation, RowExclusiveLock, true)
					   : NULL;
	BulkCopy *copy;
	List *indexes = NIL;
	ListCell *lc;

	if (rel == NULL)
		return NULL; /* COPY itself will raise the error */
	if (only_tag_fires(rel))
	{
		foreach (lc, RelationGetIndexList(rel))
			indexes =
				lappend(indexes, index_open(lfirst_oid(lc), RowExclusiveLock));
		if (arm_keys(rel))
		{
			copy = palloc(sizeof(BulkCopy));
			copy->rel = rel;
			copy->indexes = indexes;
			rel->trigdesc->trig_insert_before_row = false;
			return copy;
		}
	}
	foreach (lc, indexes)
		index_close(lfirst(lc), NoLock);
	table_close(rel, NoLock);
	return NULL;
}

/*
 * Is a relation a table, the trigger of the tag its only BEFORE INSERT row trigger, and
 * does it fire?
 */
static bool
only_tag_fires(Relation rel)
{
	Oid function;
	bool fires = false;

	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->trigdesc == NULL ||
		!rel->trigdesc->trig_insert_before_row ||
		SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		return false;
	function = extension_function(KEY_CLAIM);
	/* these lookups may rebuild the description of the triggers */
	if (!OidIsValid(function) || !has_tag(rel) || rel->trigdesc == NULL)
		return false;
	for (int i = 0; i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (!TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								  TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_INSERT))
			continue;
		if (trigger->tgfoid != function ||
			(trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN &&
			 trigger->tgenabled != TRIGGER_FIRES_ALWAYS))
			return false;
		fires = true;
	}
	return fires;
}

/*
 * End a COPY FROM that begin_bulk_copy() has prepared.  After an error the server closes
 * the relations.
 */
void
end_bulk_copy(BulkCopy *copy, bool failed)
{
	ListCell *lc;

	if (copy->rel->trigdesc != NULL)
		copy->rel->trigdesc->trig_insert_before_row = true;
	if (failed)
		return;
	foreach (lc, copy->indexes)
		index_close(lfirst(lc), NoLock);
	table_close(copy->rel, NoLock);
	pfree(copy);
}
