/*
 * truncate.c
 *	  Makes TRUNCATE of a tagged table delete its live rows.
 *
 * The server locks, checks, cascades and fires triggers for TRUNCATE in one
 * function, which has no hook.  So where one of the tables to truncate is tagged,
 * this file does the same with the functions that the server uses.  Tables that
 * are not tagged are truncated by the server's own ExecuteTruncateGuts().  Of
 * tagged ones, tombstones of all live rows are written, with one stamp.  As in
 * any TRUNCATE, no row triggers and no actions of foreign keys fire.  A TRUNCATE
 * that would be refused is left to the server.
 *
 * Each tagged table also has a BEFORE TRUNCATE trigger.  It refuses a TRUNCATE
 * that this file has not replaced because the session had not loaded the library.
 * Where soft_delete.truncate is 'hard', it checks holds and destroys what is in
 * the companion.
 *
 * Invariant: a tagged table is truncated under AccessExclusiveLock.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_inherits.h"
#include "commands/sequence.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "delete/sd_delete.h"

/* The values of soft_delete.truncate */
typedef enum TruncateMode
{
	TRUNCATE_SOFT,
	TRUNCATE_ERROR,
	TRUNCATE_HARD
} TruncateMode;

static const struct config_enum_entry truncate_modes[] =
	{{"soft", TRUNCATE_SOFT, false},
	 {"error", TRUNCATE_ERROR, false},
	 {"hard", TRUNCATE_HARD, false},
	 {NULL, 0, false}};

static int truncate_mode = TRUNCATE_SOFT;

/* The tables that a TRUNCATE truncates, locked and open, in the server's order */
typedef struct TruncatedTables
{
	List *named;	/* Relation: those named, with partitions and children */
	List *cascaded; /* Relation: those that reference them, with CASCADE */
	List *relids;	/* OIDs of both */
	bool any_tagged;
	bool any_foreign;
} TruncatedTables;

/* A soft TRUNCATE in the current transaction */
typedef struct SoftTruncate
{
	Oid relid;
	SubTransactionId subid; /* invalid after that has been rolled back */
} SoftTruncate;

static List *soft_truncates = NIL; /* in TopTransactionContext, as its members are */

PG_FUNCTION_INFO_V1(soft_delete_guard_truncate);

static void note_truncate(Oid relid);
static void forget_truncates(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
							   SubTransactionId parentSubid, void *arg);
static bool open_tables(TruncateStmt *stmt, TruncatedTables *tables);
static bool open_named(RangeVar *named, TruncatedTables *tables);
static List *note_table(TruncatedTables *tables, List *list, Relation rel);
static bool may_truncate(Oid relid);
static void close_tables(TruncatedTables *tables);
static void check_tables(TruncateStmt *stmt, TruncatedTables *tables);
static void refuse_truncate(Relation rel, const char *otherwise);
static void truncate_all(TruncateStmt *stmt, TruncatedTables *tables);
static void open_result_relation(EState *estate, Relation rel);
static List *lock_sequences(List *rels);
static void write_tombstones(Relation rel);
static void truncate_untagged(TruncateStmt *stmt, TruncatedTables *tables,
							  List *rels);

/*
 * Define soft_delete.truncate.
 */
void
init_truncate(void)
{
	DefineCustomEnumVariable("soft_delete.truncate",
							 "Says what TRUNCATE of a tagged table does.",
							 "\"soft\" deletes the live rows softly, \"error\" refuses, \"hard\" destroys live and deleted rows.",
							 &truncate_mode, TRUNCATE_SOFT, truncate_modes,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	RegisterXactCallback(forget_truncates, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * Execute a TRUNCATE if one of its tables is tagged, and return the statement
 * that the server is to run then: one that names no table.  Otherwise return the
 * same statement.
 *
 * Raises 0A000 if soft_delete.truncate is "error" or a foreign table is among the
 * tables, 23514 for a CHECK constraint on the tombstone column, and what TRUNCATE
 * raises.
 */
PlannedStmt *
truncate_softly(PlannedStmt *pstmt)
{
	TruncateStmt *stmt = castNode(TruncateStmt, pstmt->utilityStmt);
	TruncatedTables tables = {0};

	if (truncate_mode == TRUNCATE_HARD ||
		SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ||
		XactReadOnly || IsInParallelMode() || !OidIsValid(extension_oid()))
		return pstmt;

	if (open_tables(stmt, &tables) && tables.any_tagged)
	{
		check_tables(stmt, &tables);
		truncate_all(stmt, &tables);

		pstmt = copyObject(pstmt);
		castNode(TruncateStmt, pstmt->utilityStmt)->relations = NIL;
	}
	close_tables(&tables);
	return pstmt;
}

/*
 * Has the current subtransaction truncated the table softly?
 */
bool
was_truncated(Oid relid)
{
	ListCell *lc;

	foreach (lc, soft_truncates)
	{
		SoftTruncate *entry = lfirst(lc);

		if (entry->relid == relid && entry->subid == GetCurrentSubTransactionId())
			return true;
	}
	return false;
}

/*
 * Note a soft TRUNCATE of a table by the current subtransaction.
 */
static void
note_truncate(Oid relid)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopTransactionContext);
	SoftTruncate *entry = palloc(sizeof(SoftTruncate));

	entry->relid = relid;
	entry->subid = GetCurrentSubTransactionId();
	soft_truncates = lappend(soft_truncates, entry);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Forget all soft TRUNCATEs when the transaction ends, which has freed them.
 */
static void
forget_truncates(XactEvent event, void *arg)
{
	soft_truncates = NIL;
}

/*
 * When a subtransaction ends, its TRUNCATEs become those of its parent, or
 * invalid.
 */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
				   SubTransactionId parentSubid, void *arg)
{
	ListCell *lc;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach (lc, soft_truncates)
	{
		SoftTruncate *entry = lfirst(lc);

		if (entry->subid == mySubid)
			entry->subid = event == SUBXACT_EVENT_COMMIT_SUB
							   ? parentSubid
							   : InvalidSubTransactionId;
	}
}

/*
 * Lock and open the tables that a TRUNCATE truncates, in the order of the server.
 * Returns false if the server will refuse the statement.
 */
static bool
open_tables(TruncateStmt *stmt, TruncatedTables *tables)
{
	List *found;
	ListCell *lc;

	foreach (lc, stmt->relations)
	{
		if (!open_named(lfirst(lc), tables))
			return false;
	}
	while (stmt->behavior == DROP_CASCADE &&
		   (found = heap_truncate_find_FKs(tables->relids)) != NIL)
	{
		foreach (lc, found)
			tables->cascaded =
				note_table(tables, tables->cascaded,
						   table_open(lfirst_oid(lc), AccessExclusiveLock));
	}
	return true;
}

/*
 * Lock and open a named table, with its partitions and inheritance children.
 * Returns false if the server will refuse the statement: a table that the role
 * may not truncate must not be locked by it.
 */
static bool
open_named(RangeVar *named, TruncatedTables *tables)
{
	Oid relid = RangeVarGetRelid(named, NoLock, true);
	ListCell *lc;

	if (!OidIsValid(relid) || !may_truncate(relid) ||
		RangeVarGetRelid(named, AccessExclusiveLock, true) != relid ||
		(!named->inh && get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE))
		return false;
	if (list_member_oid(tables->relids, relid))
		return true;

	foreach (lc, named->inh ? find_all_inheritors(relid, AccessExclusiveLock, NULL)
							: list_make1_oid(relid))
	{
		Relation rel;

		if (list_member_oid(tables->relids, lfirst_oid(lc)))
			continue;
		rel = table_open(lfirst_oid(lc), NoLock);
		if (RELATION_IS_OTHER_TEMP(rel))
		{
			table_close(rel, AccessExclusiveLock);
			if (lfirst_oid(lc) == relid)
				return false;
			continue; /* a temporary child of another session */
		}
		tables->named = note_table(tables, tables->named, rel);
	}
	return true;
}

/*
 * Append an open table to one of the lists of tables.  Returns that list.
 */
static List *
note_table(TruncatedTables *tables, List *list, Relation rel)
{
	tables->relids = lappend_oid(tables->relids, RelationGetRelid(rel));
	if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		tables->any_foreign = true;
	if (tombstone_attribute(rel) != InvalidAttrNumber)
		tables->any_tagged = true;
	return lappend(list, rel);
}

/*
 * May the current role truncate the relation, as far as can be told before it
 * is locked?
 */
static bool
may_truncate(Oid relid)
{
	char relkind = get_rel_relkind(relid);

	return (relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE ||
			relkind == RELKIND_FOREIGN_TABLE) &&
		   !IsCatalogRelationOid(relid) &&
		   pg_class_aclcheck(relid, GetUserId(), ACL_TRUNCATE) == ACLCHECK_OK;
}

/*
 * Close the tables, which stay locked.
 */
static void
close_tables(TruncatedTables *tables)
{
	ListCell *lc;

	foreach (lc, list_concat_copy(tables->named, tables->cascaded))
		table_close(lfirst(lc), NoLock);
}

/*
 * Check what the server checks after the tables of a TRUNCATE have been locked.
 */
static void
check_tables(TruncateStmt *stmt, TruncatedTables *tables)
{
	List *rels = list_concat_copy(tables->named, tables->cascaded);
	ListCell *lc;

	foreach (lc, rels)
	{
		Relation rel = lfirst(lc);

		if (foreach_current_index(lc) >= list_length(tables->named))
		{
			ereport(NOTICE, (errmsg("truncate cascades to table \"%s\"",
									RelationGetRelationName(rel))));
			if (!may_truncate(RelationGetRelid(rel)))
				aclcheck_error(ACLCHECK_NO_PRIV,
							   get_relkind_objtype(rel->rd_rel->relkind),
							   RelationGetRelationName(rel));
		}
		InvokeObjectTruncateHook(RelationGetRelid(rel));
		CheckTableNotInUse(rel, "TRUNCATE");
	}
	if (stmt->behavior == DROP_RESTRICT)
		heap_truncate_check_FKs(rels, false);

	foreach (lc, rels)
	{
		if (tombstone_attribute(lfirst(lc)) == InvalidAttrNumber)
			continue;
		if (truncate_mode == TRUNCATE_ERROR || tables->any_foreign)
			refuse_truncate(lfirst(lc),
							"A foreign table is to be truncated by the same statement.");
		CheckCmdReplicaIdentity(lfirst(lc), CMD_UPDATE); /* as subscribers see it */
	}
}

/*
 * Raise 0A000 for a tagged table.  "otherwise" is the detail where the reason is
 * not soft_delete.truncate = 'error'.
 */
static void
refuse_truncate(Relation rel, const char *otherwise)
{
	bool is_setting = truncate_mode == TRUNCATE_ERROR;

	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot truncate tagged table \"%s\"",
						   RelationGetRelationName(rel)),
					is_setting ? errdetail("Setting \"%s\" is \"%s\".",
										   "soft_delete.truncate", "error")
							   : errdetail("%s", otherwise),
					errhint("%s %s;", is_setting ? "DELETE FROM" : "TRUNCATE",
							qualified_name(RelationGetRelid(rel)))));
}

/*
 * Truncate the tables and fire their TRUNCATE triggers.
 *
 * The triggers of tables that are not tagged fire after the rows of the tagged
 * ones have been deleted.
 */
static void
truncate_all(TruncateStmt *stmt, TruncatedTables *tables)
{
	EState *estate = CreateExecutorState();
	List *tagged = NIL;
	List *others = NIL;
	List *sequences;
	ListCell *lc;

	foreach (lc, list_concat_copy(tables->named, tables->cascaded))
	{
		if (tombstone_attribute(lfirst(lc)) != InvalidAttrNumber)
			tagged = lappend(tagged, lfirst(lc));
		else
			others = lappend(others, lfirst(lc));
	}
	sequences = stmt->restart_seqs ? lock_sequences(tagged) : NIL;

	AfterTriggerBeginQuery();
	foreach (lc, tagged)
		open_result_relation(estate, lfirst(lc));
	foreach (lc, estate->es_opened_result_relations)
		ExecBSTruncateTriggers(estate, lfirst(lc));
	CommandCounterIncrement(); /* makes rows that the triggers inserted visible */

	foreach (lc, tagged)
		write_tombstones(lfirst(lc));
	if (others != NIL)
		truncate_untagged(stmt, tables, others);
	foreach (lc, sequences)
		ResetSequence(lfirst_oid(lc));

	CommandCounterIncrement();
	foreach (lc, estate->es_opened_result_relations)
		ExecASTruncateTriggers(estate, lfirst(lc));
	AfterTriggerEndQuery(estate);
	FreeExecutorState(estate);
}

/*
 * Add a tagged table to those whose triggers fire, with our own trigger disabled:
 * it refuses a TRUNCATE that is not executed here.
 */
static void
open_result_relation(EState *estate, Relation rel)
{
	ResultRelInfo *relinfo = makeNode(ResultRelInfo);
	Oid function = extension_function(TRUNCATE_TRIGGER);

	InitResultRelInfo(relinfo, rel, 0, NULL, 0);
	for (int i = 0; i < relinfo->ri_TrigDesc->numtriggers; i++)
	{
		Trigger *trigger = &relinfo->ri_TrigDesc->triggers[i]; /* a copy */

		if (trigger->tgfoid == function)
			trigger->tgenabled = TRIGGER_DISABLED;
	}
	estate->es_opened_result_relations =
		lappend(estate->es_opened_result_relations, relinfo);
}

/*
 * Lock the sequences that columns of the tables own, and return their OIDs.
 *
 * Raises 42501 unless the role owns them.
 */
static List *
lock_sequences(List *rels)
{
	List *sequences = NIL;
	ListCell *lc;

	foreach (lc, rels)
	{
		Relation rel = lfirst(lc);

		sequences =
			list_concat(sequences, getOwnedSequences(RelationGetRelid(rel)));
	}
	foreach (lc, sequences)
	{
		LockRelationOid(lfirst_oid(lc), AccessExclusiveLock);
		if (!relation_ownercheck(lfirst_oid(lc), GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_SEQUENCE,
						   get_rel_name(lfirst_oid(lc)));
	}
	return sequences;
}

/*
 * Write tombstones for all live rows of a table.
 *
 * The table is locked, so the rows that are live now are live to all
 * transactions.  The scan skips tombstones: older ones, and those that it has
 * written itself.  SnapshotSelf also sees rows that the snapshot of the statement
 * does not see: TRUNCATE removes all.
 */
static void
write_tombstones(Relation rel)
{
	AttrNumber attnum = tombstone_attribute(rel);
	VersionBuilder *builder;
	TupleTableSlot *slot;
	TupleTableSlot *locked;
	TableScanDesc scan;
	bool any = false;

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		return;

	CheckTableForSerializableConflictIn(rel);
	builder = make_tombstone_builder(rel, CurrentMemoryContext);
	find_tombstone_indexes(builder, rel, attnum);
	slot = table_slot_create(rel, NULL);
	locked = table_slot_create(rel, NULL);
	scan = begin_table_scan(rel, SnapshotSelf);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		TM_FailureData tmfd;

		CHECK_FOR_INTERRUPTS();
		if (!slot_attisnull(slot, attnum))
			continue;
		/* as DELETE does: nobody with an older snapshot must reference the row */
		if (table_tuple_lock(rel, &slot->tts_tid, GetActiveSnapshot(), locked,
							 GetCurrentCommandId(true), LockTupleExclusive,
							 LockWaitBlock, 0, &tmfd) != TM_Ok ||
			write_tombstone(builder, rel, &locked->tts_tid, locked,
							GetCurrentCommandId(true), GetActiveSnapshot(),
							InvalidSnapshot, true, &tmfd) != TM_Ok)
			elog(ERROR, "unexpected change of a row of table \"%s\", which is locked",
				 RelationGetRelationName(rel));
		any = true;
	}
	table_endscan(scan);
	if (any)
		record_truncation(RelationGetRelid(rel));
	note_truncate(RelationGetRelid(rel));
	ExecDropSingleTupleTableSlot(slot);
	ExecDropSingleTupleTableSlot(locked);
	FreeExecutorState(builder->estate);
}

/*
 * Let the server truncate the tables that are not tagged.
 *
 * It is given the OIDs of all tables, so that it adds none.  Where a tagged table
 * references one of them, it is called with CASCADE: otherwise it would refuse,
 * though the tagged table has no live rows any more.  (A server with assertions
 * refuses even then.)
 */
static void
truncate_untagged(TruncateStmt *stmt, TruncatedTables *tables, List *rels)
{
	List *relids = NIL;
	List *logged = NIL;
	ListCell *lc;

	foreach (lc, rels)
	{
		Relation rel = lfirst(lc);

		relids = lappend_oid(relids, RelationGetRelid(rel));
		if (RelationIsLogicallyLogged(rel))
			logged = lappend_oid(logged, RelationGetRelid(rel));
	}
	truncate_tables(rels, tables->relids, logged,
					heap_truncate_find_FKs(relids) == NIL ? stmt->behavior : DROP_CASCADE,
					stmt->restart_seqs);
}

/*
 * Keep the rows of a table aside that the server is about to truncate, unless
 * soft_delete.truncate is "hard".  What the companion has already stays in any case.
 *
 * Raises 0A000 where soft_delete.truncate is "error", 55006 where live rows are held that
 * would be destroyed.
 */
static void
keep_truncated(Relation rel)
{
	if (truncate_mode == TRUNCATE_ERROR)
		refuse_truncate(rel, "Setting \"soft_delete.truncate\" is \"error\".");
	if (truncate_mode == TRUNCATE_HARD)
		refuse_held_live(rel, "truncate");
	else if (rel->rd_rel->relkind == RELKIND_RELATION && keep_all_aside(rel))
		record_truncation(llast_oid(with_ancestors(RelationGetRelid(rel))));
}

/*
 * soft_delete.guard_truncate() returns trigger
 *
 * BEFORE TRUNCATE trigger of a tagged table.  Where tombstones are kept aside, it keeps
 * the rows that are truncated.  In place, where soft_delete.truncate is
 * "hard", it destroys the deleted rows in the companion, which the TRUNCATE does
 * not reach.
 *
 * Raises 39P01 where it is not called as that trigger, 0A000 where
 * soft_delete.truncate is not "hard", 55006 where rows are held.
 */
Datum
soft_delete_guard_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event) ||
		!has_tag(trigdata->tg_relation))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a trigger of a tagged table",
						"soft_delete.guard_truncate"),
				 errdetail("It must be a BEFORE TRUNCATE trigger of a table that is tagged.")));

	if (keeps_aside(trigdata->tg_relation))
	{
		keep_truncated(trigdata->tg_relation);
		return PointerGetDatum(NULL);
	}
	if (truncate_mode != TRUNCATE_HARD)
		refuse_truncate(trigdata->tg_relation,
						"The session had not loaded library \"soft_delete\" when the statement began.");
	refuse_held_table(trigdata->tg_relation, "truncate");
	if (trigdata->tg_relation->rd_rel->relkind == RELKIND_RELATION &&
		has_tombstones(ASIDE, RelationGetRelid(trigdata->tg_relation)))
		destroy_all_aside(trigdata->tg_relation);
	return PointerGetDatum(NULL);
}
