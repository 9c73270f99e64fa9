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
 * An INSERT that routes rows to partitions opens each with its first row.  There the
 * trigger fires once, and then takes itself out of the executor's copy.  COPY decides by
 * that copy how it writes the rows, so its partitions are opened in advance.  They are not
 * waited for, and are let go with the end of COPY: what others do with a partition that
 * gets no row must not depend on it.
 *
 * The trigger stays in the catalog: it loads the library in a session that has not, and
 * fires where rows come from a publisher, or a key must be looked for.
 *
 * Invariant: the trigger is passed over only where it would find all indexes armed.  If
 * the description is read anew in between, the trigger fires.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "keys/sd_keys.h"

/* COPY opens the partitions of a table in advance up to this number */
#define MAX_COPY_PARTITIONS 64

/* A table whose trigger a COPY FROM passes over */
typedef struct CopyTarget
{
	Relation rel;
	List *indexes; /* Relation: those of a table that has rows, which are armed */
} CopyTarget;

/* A COPY FROM that passes over triggers */
struct BulkCopy
{
	List *targets; /* CopyTarget: the table, and its partitions */
};

/* An INSERT that runs and routes rows to partitions */
typedef struct RoutingInsert
{
	dlist_node node;
	EState *estate;
	MemoryContextCallback forget; /* is called when the executor's memory is freed */
} RoutingInsert;

static dlist_head routing_inserts = DLIST_STATIC_INIT(routing_inserts);

PG_FUNCTION_INFO_V1(soft_delete_claim_key);

static void pass_over_insert_trigger(PlanState *planstate);
static void remember_routing_insert(EState *estate);
static void forget_routing_insert(void *argument);
static void pass_over_in_partition(FmgrInfo *trigger, Relation rel);
static bool add_partitions(BulkCopy *copy, Relation parent);
static void add_target(BulkCopy *copy, Relation rel);
static void remember_target(BulkCopy *copy, Relation rel, List *indexes);
static void show_triggers(BulkCopy *copy, bool fire);
static void close_target(Relation rel, List *indexes);
static bool only_tag_fires(Relation rel);

/*
 * soft_delete.claim_key() returns trigger
 *
 * BEFORE INSERT row trigger of a tagged table: arms its unique indexes, or
 * displaces the tombstones that have a key of the new row.  Returns the new row.
 *
 * Raises 39P01 if it is not called as such a trigger, 0A000 if the new row is a
 * tombstone, unless the session is one of maintenance.
 */
Datum
soft_delete_claim_key(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Relation rel;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" was not called as a trigger of a tagged table",
							   "soft_delete.claim_key"),
						errdetail("It must be a BEFORE INSERT row trigger.")));

	rel = trigdata->tg_relation;
	if (claim_keys_of_row(fcinfo->flinfo, rel, trigdata->tg_trigslot) &&
		rel->rd_rel->relispartition)
		pass_over_in_partition(fcinfo->flinfo, rel);
	return PointerGetDatum(trigdata->tg_trigtuple);
}

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
	Relation rel;

	if (planstate == NULL || !IsA(planstate, ModifyTableState) ||
		modify->operation != CMD_INSERT)
		return;
	target = modify->resultRelInfo;
	rel = target->ri_RelationDesc;
	if (!only_tag_fires(rel) || is_maintenance(RelationGetRelid(rel)))
		return;
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		remember_routing_insert(planstate->state);
		return;
	}
	if (rel->rd_rel->relhasindex && target->ri_IndexRelationDescs == NULL)
		ExecOpenIndices(target, ((ModifyTable *) planstate->plan)->onConflictAction !=
									ONCONFLICT_NONE);
	if (arm_keys(rel))
		target->ri_TrigDesc->trig_insert_before_row = false;
}

/*
 * Remember that an INSERT routes rows, until the executor's memory is freed.  That is the
 * current memory context.
 */
static void
remember_routing_insert(EState *estate)
{
	RoutingInsert *insert = palloc(sizeof(RoutingInsert));

	insert->estate = estate;
	insert->forget.func = forget_routing_insert;
	insert->forget.arg = insert;
	dlist_push_head(&routing_inserts, &insert->node);
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &insert->forget);
}

/*
 * Forget an INSERT that routes rows (memory context callback).
 */
static void
forget_routing_insert(void *argument)
{
	dlist_delete(&((RoutingInsert *) argument)->node);
}

/*
 * Let the INSERT that calls the trigger for a row of a partition pass over it for the
 * next ones.  It is the one that has the trigger's lookup.  The partition's indexes are
 * armed, and the executor keeps them open.
 */
static void
pass_over_in_partition(FmgrInfo *trigger, Relation rel)
{
	dlist_iter iter;

	if (dlist_is_empty(&routing_inserts) || !only_tag_fires(rel))
		return;
	dlist_foreach(iter, &routing_inserts)
	{
		EState *estate = dlist_container(RoutingInsert, node, iter.cur)->estate;
		ListCell *lc;

		foreach (lc, estate->es_tuple_routing_result_relations)
		{
			ResultRelInfo *target = lfirst(lc);

			if (target->ri_RelationDesc == rel && target->ri_TrigFunctions != NULL &&
				trigger >= target->ri_TrigFunctions &&
				trigger < target->ri_TrigFunctions + target->ri_TrigDesc->numtriggers)
			{
				target->ri_TrigDesc->trig_insert_before_row = false;
				return;
			}
		}
	}
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

	if (rel == NULL)
		return NULL; /* COPY itself will raise the error */
	copy = palloc0(sizeof(BulkCopy));
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		add_target(copy, rel);
	else if (only_tag_fires(rel) && add_partitions(copy, rel))
		remember_target(copy, rel, NIL);
	else
		table_close(rel, RowExclusiveLock);
	if (copy->targets != NIL)
	{
		/* not before all are prepared, for an error in that leaves them as they are */
		show_triggers(copy, false);
		return copy;
	}
	pfree(copy);
	return NULL;
}

/*
 * Let a COPY pass over the triggers of partitions.  Returns false if others lock one of
 * them, or there are too many: then none is left open.
 */
static bool
add_partitions(BulkCopy *copy, Relation parent)
{
	List *members = find_all_inheritors(RelationGetRelid(parent), NoLock, NULL);
	ListCell *lc;

	if (list_length(members) > MAX_COPY_PARTITIONS)
		return false;
	foreach (lc, members)
	{
		Oid relid = lfirst_oid(lc);
		Relation rel;

		if (get_rel_relkind(relid) != RELKIND_RELATION)
			continue;
		if (!ConditionalLockRelationOid(relid, RowExclusiveLock))
		{
			end_bulk_copy(copy, false);
			return false;
		}
		rel = try_relation_open(relid, NoLock);
		if (rel == NULL)
			UnlockRelationOid(relid, RowExclusiveLock);
		else if (rel->rd_rel->relowner == parent->rd_rel->relowner)
			add_target(copy, rel);
		else
			table_close(rel, RowExclusiveLock);
	}
	return true;
}

/*
 * Let a COPY pass over the trigger of a table that is open, if it can, or else close the
 * table.
 */
static void
add_target(BulkCopy *copy, Relation rel)
{
	List *indexes = NIL;
	ListCell *lc;

	if (only_tag_fires(rel))
	{
		foreach (lc, RelationGetIndexList(rel))
			indexes =
				lappend(indexes, index_open(lfirst_oid(lc), RowExclusiveLock));
		if (arm_keys(rel))
		{
			remember_target(copy, rel, indexes);
			return;
		}
	}
	close_target(rel, indexes);
}

/*
 * Remember a table whose trigger a COPY passes over.  Its indexes are armed.
 */
static void
remember_target(BulkCopy *copy, Relation rel, List *indexes)
{
	CopyTarget *target = palloc(sizeof(CopyTarget));

	target->rel = rel;
	target->indexes = indexes;
	copy->targets = lappend(copy->targets, target);
}

/*
 * Have the descriptions of triggers say whether there is one for each row to insert.
 */
static void
show_triggers(BulkCopy *copy, bool fire)
{
	ListCell *lc;

	foreach (lc, copy->targets)
	{
		const CopyTarget *target = lfirst(lc);

		if (target->rel->trigdesc != NULL)
			target->rel->trigdesc->trig_insert_before_row = fire;
	}
}

/*
 * Close a table and its indexes, and let our locks go.  COPY keeps its own of what it has
 * written to.
 */
static void
close_target(Relation rel, List *indexes)
{
	ListCell *lc;

	foreach (lc, indexes)
		index_close(lfirst(lc), RowExclusiveLock);
	table_close(rel, RowExclusiveLock);
}

/*
 * Is the trigger of the tag the only BEFORE INSERT row trigger of a table, and does it
 * fire?
 */
static bool
only_tag_fires(Relation rel)
{
	Oid function;
	bool fires = false;

	if ((rel->rd_rel->relkind != RELKIND_RELATION &&
		 rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE) ||
		rel->trigdesc == NULL || !rel->trigdesc->trig_insert_before_row ||
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

	show_triggers(copy, true);
	if (failed)
		return;
	foreach (lc, copy->targets)
	{
		const CopyTarget *target = lfirst(lc);

		close_target(target->rel, target->indexes);
	}
	copy->targets = NIL;
}
