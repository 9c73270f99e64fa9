/*
 * restore.c
 *	  Restores the tombstones of a cascade.
 *
 * To the rest of the database a restore is an INSERT, the inverse of the DELETE:
 * unique keys are checked and AFTER INSERT triggers fire, among them the checks
 * of foreign keys.  BEFORE INSERT triggers do not fire, because they could change
 * the row.  Triggers that TRUNCATE did not fire for a row are not fired to restore it.
 *
 * Where the application has AFTER INSERT triggers, members are restored in batches, in
 * the order of order.c, and the triggers of a batch fire before the next is restored.
 * Constraint triggers fire when all members are restored.  Where a trigger cannot do
 * without the parent, all members are restored at once.
 *
 * Members in tables of others than who restores, and than the owners of the tables whose
 * bins he has named, come back as by an action of a foreign key: what their owners have
 * written runs with the rights of those, triggers included, before the statement ends.
 *
 * Invariant: a row is restored as it was deleted, and either the whole cascade is
 * restored or none of it.  Which rows belong to it is decided in cascade.c.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "bin/sd_bin.h"
#include "keys/sd_keys.h"

/* Which AFTER INSERT triggers are fired */
typedef enum TriggerSet
{
	PLAIN_TRIGGERS,		 /* those that are no constraint triggers */
	CONSTRAINT_TRIGGERS, /* the others */
	ALL_TRIGGERS, /* but for checks of references to parents of the cascade */
	NO_TRIGGERS,
	REFERENCE_CHECKS,		   /* the server's own, of foreign keys */
	OTHER_TRIGGERS,			   /* all but these */
	OTHER_CONSTRAINT_TRIGGERS, /* those of the constraint triggers */
} TriggerSet;

/* A table that members are restored to */
typedef struct RestoreTarget
{
	Relation rel;
	Relation root; /* of the partitions, or NULL: it has the statement triggers */
	ResultRelInfo *relinfo;
	ResultRelInfo *named; /* that of the root, or of the table itself */
	TriggerDesc *triggers; /* as they were, for code of the owner may drop some */
	VersionBuilder *builder;
	TupleTableSlot *slot; /* for a member */
	List *foreign_keys;
	TriggerSet set;
	bool is_others;	  /* is it restored as its owner? */
	bool has_enabled; /* are the triggers enabled that the two below say? */
	bool is_truncated;
	Oid joined_by;
} RestoreTarget;

static List *owners_of_tables(const Cascade *cascade);
static void find_others(Cascade *cascade, const List *owners);
static void become_other(Oid relid, SavedRole *saved);
static void end_as_other(Oid relid, const SavedRole *saved);
static void split_by_partition(Cascade *cascade);
static void split_others_members(CascadeTable *table, List **tables);
static void split_members(CascadeTable *table, List **tables);
static void find_truncated(Cascade *cascade);
static bool restore_in_order(Cascade *cascade, MemberRef *refs, int n,
							 ErrorData **refusal);
static ErrorData *try_batches(Cascade *cascade, MemberRef *refs, int last, int n);
static bool may_need_parent(const ErrorData *error);
static int first_of_last_level(const MemberRef *refs, int n);
static int end_of_batch(const MemberRef *refs, int first, int n);
static bool any_fires_triggers(const MemberRef *refs, int n);
static bool fires_triggers(Oid relid);
static bool has_insert_triggers(const TriggerDesc *trigdesc);
static void restore_batches(Cascade *cascade, MemberRef *refs, int n);
static void lock_again(MemberRef *refs, int n);
static void report_restored_at_once(const ErrorData *error);
static void end_batch_query(EState *estate);
static void queue_all(MemberRef *refs, int n, TriggerSet set);
static void fire_others_triggers(MemberRef *refs, int n, TriggerSet set);
static void fire_as_owner(MemberRef *refs, int n, TriggerSet set);
static void restore_at_once(Cascade *cascade, MemberRef *refs, int n);
static int compare_by_storage(const void *a, const void *b);
static void open_target(RestoreTarget *target, Oid relid, TriggerSet set,
						bool is_others);
static void close_target(RestoreTarget *target);
static void restore_batch(MemberRef *refs, int n, TriggerSet set,
						  MemoryContext context);
static void throw_with_hint(RestoreTarget *target, MemoryContext context);
static void throw_others_error(Oid relid, MemoryContext context);
static void hide_detail(ErrorData *error, Oid relid);
static char *conflict_query(RestoreTarget *target, const char *name);
static void queue_batch(MemberRef *refs, int n, TriggerSet set);
static void enable_triggers(RestoreTarget *target, const Member *member);
static bool is_enabled(const RestoreTarget *target, const Member *member,
					   const Trigger *trigger);
static bool checks_reference(const Trigger *trigger);
static void queue_triggers(RestoreTarget *target, Member *member,
						   TupleTableSlot *slot);
static void refuse_deleted_parents(CascadeTable *table);
static void refuse_deleted_parent(CascadeTable *table, Relation rel,
								  const ForeignKey *fk);
static void report_deleted_parent(Relation rel, Member *member, const ForeignKey *fk);

/*
 * Complete a cascade and restore its members.
 *
 * To the caller's statement and to triggers they appear all at once.
 *
 * Raises 42501 for a parent that the caller may not restore, 55006 if a member is held,
 * 23503 if one references a deleted row, and what an INSERT of the rows raises.
 */
void
restore_cascade(Cascade *cascade)
{
	List *owners = owners_of_tables(cascade);
	ErrorData *refusal;
	MemberRef *refs;
	ListCell *lc;
	int n;

	complete_restore(cascade);
	refuse_held(cascade);
	find_others(cascade, owners);
	find_levels(cascade);
	split_by_partition(cascade);
	find_truncated(cascade);
	refs = order_members(cascade, &n);
	if (!restore_in_order(cascade, refs, n, &refusal))
		restore_at_once(cascade, refs, n);
	if (refusal != NULL)
		report_restored_at_once(refusal);
	pfree(refs);
	foreach (lc, cascade->tables)
		refuse_deleted_parents(lfirst(lc));
	foreach (lc, cascade->tables)
		relink_references(lfirst(lc));
}

/*
 * Return the owners of the tables of a cascade.
 */
static List *
owners_of_tables(const Cascade *cascade)
{
	List *owners = NIL;
	ListCell *lc;

	foreach (lc, cascade->tables)
		owners =
			list_append_unique_oid(owners,
								   owner_of(((CascadeTable *) lfirst(lc))->relid));
	return owners;
}

/*
 * Mark the tables of others than the current user and some owners: he has not asked for
 * their rows.
 */
static void
find_others(Cascade *cascade, const List *owners)
{
	ListCell *lc;

	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);
		Oid owner = owner_of(table->relid);

		table->is_others = owner != GetUserId() && !list_member_oid(owners, owner);
	}
}

/*
 * Switch to the owner of a table of another role, whose indexes and triggers call that role's
 * code: in a restricted operation, with the search_path of that role, for with the caller's it
 * would call the caller's functions, and without deferred triggers.  To be ended by
 * end_as_other().
 */
static void
become_other(Oid relid, SavedRole *saved)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	become_owner_to_write(relid, saved);
	SPI_finish();
}

/*
 * Restore the role that become_other() has saved.
 */
static void
end_as_other(Oid relid, const SavedRole *saved)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	end_owners_write(relid, saved);
	SPI_finish();
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
			split_others_members(table, &tables);
		else
			tables = lappend(tables, table);
	}
	cascade->tables = tables;
}

/*
 * Do what split_members() does, for a table of another as its owner: the partition key may
 * call functions.
 */
static void
split_others_members(CascadeTable *table, List **tables)
{
	MemoryContext context = CurrentMemoryContext;
	SavedRole saved;

	if (!table->is_others)
	{
		split_members(table, tables);
		return;
	}
	become_other(table->relid, &saved);
	PG_TRY();
	{
		split_members(table, tables);
	}
	PG_CATCH();
	{
		restore_role(&saved);
		throw_others_error(table->relid, context);
	}
	PG_END_TRY();
	end_as_other(table->relid, &saved);
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
			part->is_others = table->is_others;
			parts = lappend(parts, part);
		}
		append_member(CurrentMemoryContext, part, table->members[i]);
	}
	ExecCleanupTupleRouting(mtstate, routing);
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecDropSingleTupleTableSlot(row);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	*tables = list_concat(*tables, parts);
}

/*
 * Mark the members that TRUNCATE has deleted.
 */
static void
find_truncated(Cascade *cascade)
{
	ListCell *lc;

	if (!any_truncation())
		return;
	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);

		/* members of one deletion mostly follow one another */
		for (int i = 0; i < table->nmembers; i++)
		{
			Member *member = &table->members[i];

			member->is_truncated =
				i > 0 && member[-1].tombstone.stamp == member->tombstone.stamp
					? member[-1].is_truncated
					: deleted_by_truncate(table->relid, member->tombstone.stamp);
		}
	}
}

/*
 * Restore members in their order, the triggers of the application included.  Returns
 * false, and restores nothing, where that would be no different from restoring them at
 * once, or where a trigger cannot do without a parent: then "refusal" is its error.
 */
static bool
restore_in_order(Cascade *cascade, MemberRef *refs, int n, ErrorData **refusal)
{
	int last = first_of_last_level(refs, n);

	*refusal = NULL;
	if (!any_fires_triggers(refs, last))
		return false;
	*refusal = try_batches(cascade, refs, last, n);
	if (*refusal != NULL)
		return false;

	queue_all(refs, last, CONSTRAINT_TRIGGERS);
	for (int first = last, end; first < n; first = end)
	{
		end = end_of_batch(refs, first, n);
		restore_batch(refs + first, end - first,
					  refs[first].table->is_others ? NO_TRIGGERS : CONSTRAINT_TRIGGERS,
					  cascade->context);
	}
	queue_all(refs + last, n - last, PLAIN_TRIGGERS);
	fire_others_triggers(refs, last, OTHER_CONSTRAINT_TRIGGERS);
	fire_others_triggers(refs + last, n - last, OTHER_TRIGGERS);
	return true;
}

/*
 * Restore the first "last" members, whose triggers fire.  Returns NULL, or an error of
 * a trigger that may need what is not restored yet, and then nothing is restored.
 *
 * It takes a subtransaction, in which no triggers can be queued for the statement that
 * runs outside of it.
 */
static ErrorData *
try_batches(Cascade *cascade, MemberRef *refs, int last, int n)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	int nestlevel = GetCurrentTransactionNestLevel();
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		restore_batches(cascade, refs, last);
		lock_again(refs + last, n - last);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		error = end_failed_subtransactions(nestlevel, oldcontext, oldowner, false);
		if (!may_need_parent(error))
			ReThrowError(error);
		for (int i = 0; i < n; i++)
			refs[i].member->tombstone = refs[i].before;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcontext);
	CurrentResourceOwner = oldowner;
	return error;
}

/*
 * May a trigger have raised an error because a parent is not restored yet?
 */
static bool
may_need_parent(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK):
		case ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES):
		case ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION):
		case ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR):
		case ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR):
			return false;
		default:
			return error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION &&
				   error->sqlerrcode != ERRCODE_EXCLUSION_VIOLATION;
	}
}

/*
 * Return the number of the first member that is restored when all others have been:
 * what is restored last needs no statement of its own.
 */
static int
first_of_last_level(const MemberRef *refs, int n)
{
	int first = n;

	while (first > 0 && refs[first - 1].member->level == refs[n - 1].member->level &&
		   (refs[first - 1].before.stamp == refs[n - 1].before.stamp ||
			(first < n && refs[first - 1].table == refs[first].table)))
		first--;
	return first;
}

/*
 * Return the number after that of the last member of a batch: the members of one table
 * that follow one another in the order, on one level.
 */
static int
end_of_batch(const MemberRef *refs, int first, int n)
{
	int end = first + 1;

	while (end < n && refs[end].table == refs[first].table &&
		   refs[end].member->level == refs[first].member->level)
		end++;
	return end;
}

/*
 * Does the restore of any of the members fire a trigger of the application that is no
 * constraint trigger?
 */
static bool
any_fires_triggers(const MemberRef *refs, int n)
{
	for (int first = 0; first < n; first = end_of_batch(refs, first, n))
	{
		if (fires_triggers(refs[first].table->relid))
			return true;
	}
	return false;
}

/*
 * Does an INSERT into a table fire an AFTER trigger of the application that is no
 * constraint trigger?
 */
static bool
fires_triggers(Oid relid)
{
	Relation rel = table_open(relid, RowExclusiveLock);
	bool fires = has_insert_triggers(rel->trigdesc);

	if (!fires && rel->rd_rel->relispartition)
	{
		Relation root = table_open(llast_oid(get_partition_ancestors(relid)),
								   RowExclusiveLock);

		fires = has_insert_triggers(root->trigdesc);
		table_close(root, NoLock);
	}
	table_close(rel, NoLock);
	return fires;
}

/*
 * Is one of the triggers an AFTER INSERT trigger that is no constraint trigger?
 */
static bool
has_insert_triggers(const TriggerDesc *trigdesc)
{
	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &trigdesc->triggers[i];

		if ((trigger->tgtype & (TRIGGER_TYPE_INSERT | TRIGGER_TYPE_TIMING_MASK)) ==
				(TRIGGER_TYPE_INSERT | TRIGGER_TYPE_AFTER) &&
			trigger->tgenabled != TRIGGER_DISABLED &&
			!OidIsValid(trigger->tgconstraint))
			return true;
	}
	return false;
}

/*
 * Restore members batch by batch, and fire the triggers of each batch that are no
 * constraint triggers, as if each batch were a statement.
 */
static void
restore_batches(Cascade *cascade, MemberRef *refs, int n)
{
	for (int first = 0, end; first < n; first = end)
	{
		const CascadeTable *table = refs[first].table;
		EState *estate = CreateExecutorState();
		SavedRole saved;

		end = end_of_batch(refs, first, n);
		AfterTriggerBeginQuery();
		if (first > 0)
			lock_again(refs + first, end - first);
		restore_batch(refs + first, end - first, PLAIN_TRIGGERS, cascade->context);
		if (table->is_others)
			become_other(table->relid, &saved);
		end_batch_query(estate);
		if (table->is_others)
			end_as_other(table->relid, &saved);
	}
}

/*
 * Fire the triggers that were queued since AfterTriggerBeginQuery().
 */
static void
end_batch_query(EState *estate)
{
	AfterTriggerEndQuery(estate);
	ExecCloseResultRelations(estate);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	CommandCounterIncrement();
}

/*
 * Lock members again, since triggers have fired.
 *
 * Raises 27000 if one of them has restored, destroyed or changed a member.
 */
static void
lock_again(MemberRef *refs, int n)
{
	for (int i = 0; i < n; i++)
	{
		Relation rel = table_open(refs[i].table->relid, NoLock);
		Tombstone *tombstone = &refs[i].member->tombstone;
		TimestampTz stamp = tombstone->stamp;

		CHECK_FOR_INTERRUPTS();
		if (!lock_tombstone(rel, tombstone, &stamp, NULL))
			ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
							errmsg("a trigger has changed a row of table \"%s\" that is to be restored",
								   RelationGetRelationName(rel))));
		table_close(rel, NoLock);
	}
}

/*
 * Tell that members are restored at once, and why.
 */
static void
report_restored_at_once(const ErrorData *error)
{
	ereport(NOTICE,
			(errmsg("rows are restored together with the rows that they reference"),
			 errdetail("Before, a trigger failed: %s", error->message)));
}

/*
 * Queue triggers for members that have been restored, but not in tables of others.
 */
static void
queue_all(MemberRef *refs, int n, TriggerSet set)
{
	for (int first = 0, end; first < n; first = end)
	{
		end = end_of_batch(refs, first, n);
		if (!refs[first].table->is_others)
			queue_batch(refs + first, end - first, set);
	}
}

/*
 * Fire triggers for restored members in tables of others, as their owners, and queue the
 * checks of their references, which call no function of an owner with others' rights.
 */
static void
fire_others_triggers(MemberRef *refs, int n, TriggerSet set)
{
	for (int first = 0, end; first < n; first = end)
	{
		end = end_of_batch(refs, first, n);
		if (!refs[first].table->is_others)
			continue;
		queue_batch(refs + first, end - first, REFERENCE_CHECKS);
		fire_as_owner(refs + first, end - first, set);
	}
}

/*
 * Fire triggers for the restored members of one batch, as the owner of their table.
 */
static void
fire_as_owner(MemberRef *refs, int n, TriggerSet set)
{
	MemoryContext context = CurrentMemoryContext;
	EState *estate = CreateExecutorState();
	SavedRole saved;

	CommandCounterIncrement();
	become_other(refs->table->relid, &saved);
	PG_TRY();
	{
		AfterTriggerBeginQuery();
		queue_batch(refs, n, set);
		end_batch_query(estate);
	}
	PG_CATCH();
	{
		restore_role(&saved);
		throw_others_error(refs->table->relid, context);
	}
	PG_END_TRY();
	end_as_other(refs->table->relid, &saved);
}

/*
 * Restore all members, and then fire their triggers: to the caller's statement and to
 * triggers they appear all at once.
 */
static void
restore_at_once(Cascade *cascade, MemberRef *refs, int n)
{
	qsort(refs, n, sizeof(MemberRef), compare_by_storage);
	for (int first = 0, end; first < n; first = end)
	{
		for (end = first + 1; end < n && refs[end].table == refs[first].table; end++)
			;
		if (refs[first].table->is_others)
			restore_batch(refs + first, end - first, NO_TRIGGERS, cascade->context);
		else
			restore_batch(refs + first, end - first, ALL_TRIGGERS, NULL);
	}
	fire_others_triggers(refs, n, OTHER_TRIGGERS);
}

/*
 * Compare two members for qsort(): those in their tables first, for then their keys
 * are in use for those that are elsewhere.
 */
static int
compare_by_storage(const void *a, const void *b)
{
	const MemberRef *one = a;
	const MemberRef *other = b;

	if (one->before.storage != other->before.storage)
		return (int) one->before.storage - (int) other->before.storage;
	if (one->table != other->table)
		return one->table->first_number - other->table->first_number;
	return one->member < other->member ? -1 : one->member > other->member;
}

/*
 * Open a table that members are restored to.
 */
static void
open_target(RestoreTarget *target, Oid relid, TriggerSet set, bool is_others)
{
	Relation rel = table_open(relid, RowExclusiveLock);
	ResultRelInfo *rootinfo = NULL;

	memset(target, 0, sizeof(RestoreTarget));
	target->rel = rel;
	target->set = set;
	target->is_others = is_others;
	target->builder = make_tombstone_builder(rel, CurrentMemoryContext);
	target->slot = table_slot_create(rel, NULL);
	target->foreign_keys = foreign_keys_from(rel);
	target->relinfo = makeNode(ResultRelInfo);
	/* statement triggers belong to the root of the partition tree */
	if (rel->rd_rel->relispartition)
	{
		target->root = table_open(llast_oid(get_partition_ancestors(relid)),
								  RowExclusiveLock);
		rootinfo = makeNode(ResultRelInfo);
		InitResultRelInfo(rootinfo, target->root, 0, NULL, 0);
	}
	InitResultRelInfo(target->relinfo, rel, 0, rootinfo, 0);
	target->named = rootinfo != NULL ? rootinfo : target->relinfo;
	target->triggers = CopyTriggerDesc(target->relinfo->ri_TrigDesc);
}

/*
 * Close a table that members have been restored to.
 */
static void
close_target(RestoreTarget *target)
{
	ExecDropSingleTupleTableSlot(target->slot);
	FreeExecutorState(target->builder->estate);
	if (target->root != NULL)
		table_close(target->root, NoLock);
	table_close(target->rel, NoLock);
}

/*
 * Restore the members of one batch and queue triggers for them.  If "context" is given,
 * the indexes to recheck are kept in it, for the constraint triggers.
 */
static void
restore_batch(MemberRef *refs, int n, TriggerSet set, MemoryContext context)
{
	bool is_others = refs->table->is_others;
	SavedRole saved;
	RestoreTarget target;

	if (is_others)
		become_other(refs->table->relid, &saved);
	open_target(&target, refs->table->relid, set, is_others);
	ExecOpenIndices(target.relinfo, false);
	for (int i = 0; i < n; i++)
	{
		Member *member = refs[i].member;
		MemoryContext oldcontext;
		TupleTableSlot *volatile row = NULL;

		CHECK_FOR_INTERRUPTS();
		fetch_tombstone(target.rel, &member->tombstone, target.slot);
		oldcontext =
			MemoryContextSwitchTo(GetPerTupleMemoryContext(target.builder->estate));
		PG_TRY();
		{
			row = restore_tombstone(target.relinfo, target.builder, &member->tombstone,
									target.slot, free_keys, &member->recheck);
		}
		PG_CATCH();
		{
			if (is_others)
				restore_role(&saved);
			throw_with_hint(&target, oldcontext);
		}
		PG_END_TRY();
		queue_triggers(&target, member, row);
		ExecClearTuple(row);
		MemoryContextSwitchTo(context != NULL ? context : oldcontext);
		member->recheck = context != NULL ? list_copy(member->recheck) : NIL;
		MemoryContextSwitchTo(oldcontext);
		report_cascade("restored", target.rel, i + 1);
	}
	ExecCloseIndices(target.relinfo);
	close_target(&target);
	if (is_others)
		end_as_other(refs->table->relid, &saved);
}

/*
 * Throw the error of a restored row again, with a hint how to find the live row that is
 * in its way, if the error tells which key that has.
 */
static void
throw_with_hint(RestoreTarget *target, MemoryContext context)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	if (target->is_others)
		hide_detail(error, RelationGetRelid(target->rel));
	/* the detail has the key, if the role may see it */
	if ((error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION ||
		 error->sqlerrcode == ERRCODE_EXCLUSION_VIOLATION) &&
		error->detail != NULL && error->hint == NULL && error->constraint_name != NULL)
		error->hint = conflict_query(target, error->constraint_name);
	ReThrowError(error);
}

/*
 * Throw an error again that was caught while the owner of a table was the current user.
 */
static void
throw_others_error(Oid relid, MemoryContext context)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	hide_detail(error, relid);
	ReThrowError(error);
}

/*
 * Remove the detail of an error of a constraint, which has values of the row, unless the
 * current user may read the table.
 */
static void
hide_detail(ErrorData *error, Oid relid)
{
	AttrNumber none = InvalidAttrNumber;

	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION &&
		!may_read(relid, 1, &none))
		error->detail = NULL;
}

/*
 * Return a query for the live rows that the member in the target's slot conflicts with in
 * a unique or exclusion constraint, or NULL if that is not one of columns.
 */
static char *
conflict_query(RestoreTarget *target, const char *name)
{
	ResultRelInfo *relinfo = target->relinfo;

	for (int i = 0; i < relinfo->ri_NumIndices; i++)
	{
		Relation index = relinfo->ri_IndexRelationDescs[i];
		int nkeys = IndexRelationGetNumberOfKeyAttributes(index);
		AttrNumber attnums[INDEX_MAX_KEYS];
		Oid *operators;

		if (strcmp(RelationGetRelationName(index), name) != 0 ||
			relinfo->ri_IndexRelationInfo[i]->ii_Expressions != NIL)
			continue;
		for (int k = 0; k < nkeys; k++)
			attnums[k] = index->rd_index->indkey.values[k];
		operators = relinfo->ri_IndexRelationInfo[i]->ii_ExclusionOps;
		return psprintf("SELECT * FROM %s WHERE %s;",
						qualified_name(RelationGetRelid(target->rel)),
						operators != NULL
							? exclusion_condition(nkeys, operators, target->slot, attnums)
							: key_condition(nkeys, RelationGetRelid(target->rel),
											attnums, target->slot, attnums));
	}
	return NULL;
}

/*
 * Queue triggers for the members of one batch, which have been restored.
 */
static void
queue_batch(MemberRef *refs, int n, TriggerSet set)
{
	RestoreTarget target;

	open_target(&target, refs->table->relid, set, refs->table->is_others);
	for (int i = 0; i < n; i++)
	{
		Member *member = refs[i].member;

		CHECK_FOR_INTERRUPTS();
		ResetPerTupleExprContext(target.builder->estate);
		fetch_tombstone(target.rel, &member->tombstone, target.slot);
		queue_triggers(&target, member, target.slot);
	}
	close_target(&target);
}

/*
 * Enable the triggers of a table that are to fire for a member, and disable all others.
 */
static void
enable_triggers(RestoreTarget *target, const Member *member)
{
	const TriggerDesc *original = target->triggers;
	TriggerDesc *trigdesc = target->relinfo->ri_TrigDesc; /* a copy */

	if (target->has_enabled && member->is_truncated == target->is_truncated &&
		member->joined_by == target->joined_by)
		return;
	target->has_enabled = true;
	target->is_truncated = member->is_truncated;
	target->joined_by = member->joined_by;
	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		Trigger *trigger = &trigdesc->triggers[i];

		trigger->tgenabled = is_enabled(target, member, &original->triggers[i])
								 ? original->triggers[i].tgenabled
								 : TRIGGER_DISABLED;
		/* at commit it would fire with the rights of whoever commits */
		if (target->set == OTHER_TRIGGERS || target->set == OTHER_CONSTRAINT_TRIGGERS)
			trigger->tgdeferrable = trigger->tginitdeferred = false;
	}
}

/*
 * Is a trigger among those that are to fire for a member?
 *
 * TRUNCATE fires no row triggers; what is restored must still satisfy constraints.
 * Where all members are restored at once, the check of the foreign key by which one
 * joined would find its parent.
 */
static bool
is_enabled(const RestoreTarget *target, const Member *member, const Trigger *trigger)
{
	ListCell *lc;

	if (member->is_truncated && !trigger->tgisinternal)
		return false;
	switch (target->set)
	{
		case PLAIN_TRIGGERS:
			return !OidIsValid(trigger->tgconstraint);
		case CONSTRAINT_TRIGGERS:
			return OidIsValid(trigger->tgconstraint);
		case OTHER_TRIGGERS:
			return !checks_reference(trigger);
		case OTHER_CONSTRAINT_TRIGGERS:
			return OidIsValid(trigger->tgconstraint) && !checks_reference(trigger);
		case NO_TRIGGERS:
			return false;
		case REFERENCE_CHECKS:
			if (!checks_reference(trigger))
				return false;
			break;
		case ALL_TRIGGERS:
			break;
	}
	foreach (lc, OidIsValid(member->joined_by) ? target->foreign_keys : NIL)
	{
		const ForeignKey *fk = lfirst(lc);

		if (trigger->tgconstraint == fk->constraint)
			return fk->top != member->joined_by;
	}
	return true;
}

/*
 * Is a trigger one of the server's own for foreign keys?
 */
static bool
checks_reference(const Trigger *trigger)
{
	return RI_FKey_trigger_type(trigger->tgfoid) != RI_TRIGGER_NONE;
}

/*
 * Queue the AFTER INSERT triggers for a restored row, which fire at the end of the
 * statement: of that on the bin, or of the batch.
 */
static void
queue_triggers(RestoreTarget *target, Member *member, TupleTableSlot *slot)
{
	EState *estate = target->builder->estate;
	TransitionCaptureState *transition = NULL;
	bool has_plain = !member->is_truncated && (target->set == PLAIN_TRIGGERS ||
											   target->set == ALL_TRIGGERS ||
											   target->set == OTHER_TRIGGERS);

	if (target->set == NO_TRIGGERS)
		return;
	enable_triggers(target, member);
	if (has_plain)
		transition =
			MakeTransitionCaptureState(target->named->ri_TrigDesc,
									   RelationGetRelid(target->named->ri_RelationDesc),
									   CMD_INSERT);
	ExecARInsertTriggers(estate, target->relinfo, slot, member->recheck, transition);

	/* a statement trigger fires once, however often it is queued */
	if (has_plain)
		ExecASInsertTriggers(estate, target->named, transition);
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
			 errhint("UPDATE %s SET %s = NULL WHERE %s;", bin_name(fk->parent),
					 quote_identifier(tombstone_name(fk->parent)), condition),
			 errtableconstraint(rel, name)));
}
