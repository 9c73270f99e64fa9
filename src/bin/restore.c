/*
 * restore.c
 *	  Restores the tombstones of a cascade.
 *
 * To the rest of the database a restore is an INSERT, the inverse of the DELETE:
 * unique keys are checked and AFTER INSERT triggers fire, among them the checks
 * of foreign keys.  BEFORE INSERT triggers do not fire, because they could change
 * the row.
 *
 * Invariant: a row is restored as it was deleted, and either the whole cascade is
 * restored or none of it.  Which rows belong to it is decided in cascade.c.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "bin/sd_bin.h"
#include "keys/sd_keys.h"

static void split_by_partition(Cascade *cascade);
static void split_members(CascadeTable *table, List **tables);
static void restore_table(CascadeTable *table, StorageKind storage);
static void disable_reference_check(ResultRelInfo *relinfo, List *foreign_keys,
									Oid joined_by);
static void restore_member(ResultRelInfo *relinfo, VersionBuilder *builder,
						   Member *member, TupleTableSlot *old);
static void fire_insert_triggers(EState *estate, ResultRelInfo *relinfo,
								 TupleTableSlot *slot, List *recheck);
static void refuse_deleted_parents(CascadeTable *table);
static void refuse_deleted_parent(CascadeTable *table, Relation rel,
								  const ForeignKey *fk);
static void report_deleted_parent(Relation rel, Member *member, const ForeignKey *fk);

/*
 * Complete a cascade and restore its members.
 *
 * To the caller's statement and to triggers they appear all at once.
 *
 * Raises 55006 if a member is held, 23503 if one references a deleted row, and
 * what an INSERT of the rows raises.
 */
void
restore_cascade(Cascade *cascade)
{
	ListCell *lc;

	complete_cascade(cascade);
	refuse_held(cascade);
	split_by_partition(cascade);
	/* members in the table first: their keys are then in use for those aside */
	for (StorageKind storage = 0; storage < N_STORAGES; storage++)
	{
		foreach (lc, cascade->tables)
			restore_table(lfirst(lc), storage);
	}
	foreach (lc, cascade->tables)
		refuse_deleted_parents(lfirst(lc));
	foreach (lc, cascade->tables)
		relink_references(lfirst(lc));
}

/*
 * Move the members of partitioned tables, whose tombstones are in a companion, to the
 * partitions that they are restored to.
 *
 * Raises 23514 for a row that no partition takes.
 */
static void
split_by_partition(Cascade *cascade)
{
	List *tables = NIL;
	ListCell *lc;

	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);

		if (get_rel_relkind(table->relid) == RELKIND_PARTITIONED_TABLE)
			split_members(table, &tables);
		else
			tables = lappend(tables, table);
	}
	cascade->tables = tables;
}

/*
 * Add the members of a partitioned table to a list of tables, as members of its
 * partitions.
 */
static void
split_members(CascadeTable *table, List **tables)
{
	Relation rel = table_open(table->relid, RowExclusiveLock);
	EState *estate = CreateExecutorState();
	ModifyTableState *mtstate = makeNode(ModifyTableState);
	ResultRelInfo *relinfo = makeNode(ResultRelInfo);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	List *parts = NIL;
	PartitionTupleRouting *routing;

	/* as COPY does */
	InitResultRelInfo(relinfo, rel, 0, NULL, 0);
	mtstate->ps.state = estate;
	mtstate->operation = CMD_INSERT;
	mtstate->resultRelInfo = relinfo;
	mtstate->rootResultRelInfo = relinfo;
	routing = ExecSetupPartitionTupleRouting(estate, rel);
	for (int i = 0; i < table->nmembers; i++)
	{
		CascadeTable *part = NULL;
		ResultRelInfo *target;
		ListCell *lc;

		CHECK_FOR_INTERRUPTS();
		ResetPerTupleExprContext(estate);
		fetch_tombstone(rel, &table->members[i].tombstone, row);
		target = ExecFindPartition(mtstate, relinfo, routing, row, estate);
		foreach (lc, parts)
		{
			part = lfirst(lc);
			if (part->relid == RelationGetRelid(target->ri_RelationDesc))
				break;
			part = NULL;
		}
		if (part == NULL)
		{
			part = palloc0(sizeof(CascadeTable));
			part->relid = RelationGetRelid(target->ri_RelationDesc);
			parts = lappend(parts, part);
		}
		part->members =
			grow_if_full(CurrentMemoryContext, part->members, part->nmembers,
						 &part->nallocated, sizeof(Member));
		part->members[part->nmembers++] = table->members[i];
	}
	ExecCleanupTupleRouting(mtstate, routing);
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecDropSingleTupleTableSlot(row);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	*tables = list_concat(*tables, parts);
}

/*
 * Restore the members of one relation that are in a storage.
 */
static void
restore_table(CascadeTable *table, StorageKind storage)
{
	Relation rel = table_open(table->relid, RowExclusiveLock);
	AttrNumber attnum = tombstone_attribute(rel);
	VersionBuilder *builder =
		make_version_builder(rel, attnum != InvalidAttrNumber ? 1 : 0, &attnum,
							 CurrentMemoryContext);
	ResultRelInfo *relinfo = makeNode(ResultRelInfo);
	ResultRelInfo *rootinfo = NULL;
	TupleTableSlot *old = table_slot_create(rel, NULL);
	List *foreign_keys = foreign_keys_from(rel);
	Oid joined_by = InvalidOid;
	Relation root = NULL;

	/* statement triggers belong to the root of the partition tree */
	if (rel->rd_rel->relispartition)
	{
		root = table_open(llast_oid(get_partition_ancestors(table->relid)),
						  RowExclusiveLock);
		rootinfo = makeNode(ResultRelInfo);
		InitResultRelInfo(rootinfo, root, 0, NULL, 0);
	}
	InitResultRelInfo(relinfo, rel, 0, rootinfo, 0);
	ExecOpenIndices(relinfo, false);

	for (int i = 0; i < table->nmembers; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (table->members[i].tombstone.storage != storage)
			continue;
		if (table->members[i].joined_by != joined_by)
		{
			joined_by = table->members[i].joined_by;
			disable_reference_check(relinfo, foreign_keys, joined_by);
		}
		restore_member(relinfo, builder, &table->members[i], old);
	}

	ExecCloseIndices(relinfo);
	ExecDropSingleTupleTableSlot(old);
	FreeExecutorState(builder->estate);
	if (root != NULL)
		table_close(root, NoLock);
	table_close(rel, NoLock);
}

/*
 * Disable the check of the foreign key by which the next members joined, and
 * enable those of all others.  The check would find their parents, which are
 * restored in the same statement.
 */
static void
disable_reference_check(ResultRelInfo *relinfo, List *foreign_keys, Oid joined_by)
{
	const TriggerDesc *trigdesc = relinfo->ri_RelationDesc->trigdesc;
	ListCell *lc;

	foreach (lc, foreign_keys)
	{
		const ForeignKey *fk = lfirst(lc);

		for (int i = 0; i < relinfo->ri_TrigDesc->numtriggers; i++)
		{
			Trigger *trigger = &relinfo->ri_TrigDesc->triggers[i]; /* a copy */

			if (trigger->tgconstraint == fk->constraint)
				trigger->tgenabled = fk->top == joined_by
										 ? TRIGGER_DISABLED
										 : trigdesc->triggers[i].tgenabled;
		}
	}
}

/*
 * Restore one member.  "old" is a slot for its tombstone.
 */
static void
restore_member(ResultRelInfo *relinfo, VersionBuilder *builder, Member *member,
			   TupleTableSlot *old)
{
	MemoryContext oldcontext;
	TupleTableSlot *slot;
	List *recheck;

	fetch_tombstone(relinfo->ri_RelationDesc, &member->tombstone, old);
	oldcontext = MemoryContextSwitchTo(GetPerTupleMemoryContext(builder->estate));
	slot = restore_tombstone(relinfo, builder, &member->tombstone, old,
							 free_keys, &recheck);
	fire_insert_triggers(builder->estate, relinfo, slot, recheck);
	ExecClearTuple(slot);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Queue the AFTER INSERT triggers for a restored row, which fire at the end of the
 * statement on the bin.
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

	/* a statement trigger fires once, however often it is queued */
	ExecASInsertTriggers(estate, named, transition);
}

/*
 * Raise 23503, before the foreign key itself does, if a restored member
 * references a deleted row, with a hint how to restore that.
 *
 * Deferrable foreign keys are left to the server: the parent may be restored
 * before they are checked.  So are all foreign keys in a transaction that keeps
 * its snapshot: the server raises 40001 there for a parent that was deleted after
 * the snapshot.
 */
static void
refuse_deleted_parents(CascadeTable *table)
{
	Relation rel;
	ListCell *lc;

	if (IsolationUsesXactSnapshot())
		return;

	rel = table_open(table->relid, NoLock);
	foreach (lc, foreign_keys_from(rel))
	{
		const ForeignKey *fk = lfirst(lc);

		if (!fk->is_deferrable && is_tagged(fk->parent))
			refuse_deleted_parent(table, rel, fk);
	}
	table_close(rel, NoLock);
}

/*
 * Raise 23503 if a restored member references a deleted row by one foreign key.
 * The parents of members that joined by it have been restored with them.
 */
static void
refuse_deleted_parent(CascadeTable *table, Relation rel, const ForeignKey *fk)
{
	Tuplestorestate *members;
	StringInfoData query;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	members = register_members(table, rel, fk->nkeys, fk->child_attnums, 0, fk->top);
	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT m.member FROM " CASCADE_MEMBERS " m JOIN ");
	append_side(&query, fk->parent, "p", "deleted");
	appendStringInfoString(&query, " ON ");
	append_key_match(&query, fk, "p", fk->parent_attnums, "m", NULL);
	appendStringInfoString(&query, " WHERE NOT EXISTS (SELECT FROM ");
	append_side(&query, fk->parent, "q", "live");
	appendStringInfoString(&query, " WHERE ");
	append_key_match(&query, fk, "q", fk->parent_attnums, "m", NULL);
	appendStringInfoString(&query, ") LIMIT 1");

	if (tuplestore_tuple_count(members) > 0 &&
		execute_as_owner(fk->parent, query.data, 0, NULL, NULL, SPI_OK_SELECT) > 0)
	{
		bool isnull;
		Datum member = SPI_getbinval(SPI_tuptable->vals[0],
									 SPI_tuptable->tupdesc, 1, &isnull);

		report_deleted_parent(rel, &table->members[DatumGetInt32(member)], fk);
	}
	tuplestore_end(members);
	SPI_finish();
}

/*
 * Raise 23503, with the message of the foreign key, for a member that references a
 * deleted row.
 */
static void
report_deleted_parent(Relation rel, Member *member, const ForeignKey *fk)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	char *name = get_constraint_name(fk->constraint);
	const char *condition = "...";
	bool may_see =
		may_read_tombstones(RelationGetRelid(rel), fk->nkeys, fk->child_attnums);

	fetch_tombstone(rel, &member->tombstone, slot);
	if (may_see)
		condition = key_condition(fk->nkeys, fk->parent, fk->parent_attnums,
								  slot, fk->child_attnums);
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
					RelationGetRelationName(rel), name),
			 may_see ? errdetail("Key %s is not present in table \"%s\".",
								 key_description(fk->nkeys, slot, fk->child_attnums),
								 get_rel_name(fk->parent))
					 : errdetail("Key is not present in table \"%s\".",
								 get_rel_name(fk->parent)),
			 errhint("Restore what it references first: UPDATE %s SET %s = NULL WHERE %s;",
					 bin_name(fk->parent),
					 quote_identifier(tombstone_name(fk->parent)), condition),
			 errtableconstraint(rel, name)));
}
