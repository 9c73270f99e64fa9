/*
 * truncate.c
 *	  Makes TRUNCATE of a tagged table the deletion of all its live rows.
 *
 * TRUNCATE locks, checks, cascades and fires its triggers in the server, with
 * no place for us in between.  So where one of the tables that it would empty is
 * tagged, we do it, out of the parts that the server does it with: tables that
 * are not tagged are emptied by the server's own ExecuteTruncateGuts(), tagged
 * ones by writing the tombstones of their live rows, all under one stamp.  No
 * row triggers and no actions of foreign keys are called for, as ever.  What
 * TRUNCATE would refuse is left to it to refuse.
 *
 * Each tagged table also has a BEFORE TRUNCATE trigger.  It refuses what did not
 * come by here, in a session that had not loaded the library, and sees to what
 * has to go along when soft_delete.truncate says 'hard'.
 *
 * Invariant: whoever empties a tagged table has it locked against everybody.
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

/* What soft_delete.truncate says */
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

/* The tables that a TRUNCATE empties, locked and open, in the server's order */
typedef struct TruncatedTables
{
	List *named;	/* Relation: with their partitions and children */
	List *cascaded; /* Relation: what references them, if CASCADE is said */
	List *relids;	/* of all */
	bool any_tagged;
	bool any_foreign;
} TruncatedTables;

/* A table that the transaction has emptied, and the subtransaction that has */
typedef struct Emptied
{
	Oid relid;
	SubTransactionId subid;
} Emptied;

static List *emptied = NIL; /* in TopTransactionContext, as its members are */

PG_FUNCTION_INFO_V1(soft_delete_guard_truncate);

static void note_emptied(Oid relid);
static void forget_emptied(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
							   SubTransactionId parentSubid, void *arg);
static bool open_tables(TruncateStmt *stmt, TruncatedTables *tables);
static bool open_named(RangeVar *named, TruncatedTables *tables);
static List *note_table(TruncatedTables *tables, List *list, Relation rel);
static bool may_truncate(Oid relid);
static void close_tables(TruncatedTables *tables);
static void check_tables(TruncateStmt *stmt, TruncatedTables *tables);
static void refuse_truncate(Relation rel, const char *otherwise);
static void delete_all(TruncateStmt *stmt, TruncatedTables *tables);
static void open_result_relation(EState *estate, Relation rel);
static List *lock_sequences(List *rels);
static void write_tombstones(Relation rel);
static void truncate_natively(TruncateStmt *stmt, TruncatedTables *tables,
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
	RegisterXactCallback(forget_emptied, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * Return the statement to run in place of a TRUNCATE: itself, or, where it
 * concerned a tagged table and has been carried out, one that names no table.
 *
 * Raises 0A000 if soft_delete.truncate is "error" or a foreign table is among
 * the tables, 23514 for a CHECK constraint on the tombstone column, and what
 * TRUNCATE raises.
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
		delete_all(stmt, &tables);

		pstmt = copyObject(pstmt);
		castNode(TruncateStmt, pstmt->utilityStmt)->relations = NIL;
	}
	close_tables(&tables);
	return pstmt;
}

/*
 * Has the current subtransaction truncated the table, softly?
 */
bool
was_truncated(Oid relid)
{
	ListCell *lc;

	foreach (lc, emptied)
	{
		Emptied *entry = lfirst(lc);

		if (entry->relid == relid && entry->subid == GetCurrentSubTransactionId())
			return true;
	}
	return false;
}

/*
 * Note that it has.
 */
static void
note_emptied(Oid relid)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopTransactionContext);
	Emptied *entry = palloc(sizeof(Emptied));

	entry->relid = relid;
	entry->subid = GetCurrentSubTransactionId();
	emptied = lappend(emptied, entry);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Forget all, when the transaction ends.
 */
static void
forget_emptied(XactEvent event, void *arg)
{
	emptied = NIL;
}

/*
 * What a subtransaction has done its parent has, or nobody.
 */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
				   SubTransactionId parentSubid, void *arg)
{
	ListCell *lc;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach (lc, emptied)
	{
		Emptied *entry = lfirst(lc);

		if (entry->subid == mySubid)
			entry->subid = event == SUBXACT_EVENT_COMMIT_SUB
							   ? parentSubid
							   : InvalidSubTransactionId;
	}
}

/*
 * Lock and open the tables that a TRUNCATE empties, in the order of the server.
 * Returns false if it will refuse.
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
 * Lock and open one table that is named, with its partitions and children.
 * Returns false if TRUNCATE will refuse: nobody may lock what he may not empty.
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
			continue; /* a child in another session, which we cannot reach */
		}
		tables->named = note_table(tables, tables->named, rel);
	}
	return true;
}

/*
 * Note a table that is open, in one of the lists.  Returns the list.
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
 * Close the tables.  They stay locked.
 */
static void
close_tables(TruncatedTables *tables)
{
	ListCell *lc;

	foreach (lc, list_concat_copy(tables->named, tables->cascaded))
		table_close(lfirst(lc), NoLock);
}

/*
 * Check what TRUNCATE checks once its tables are locked.
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
 * Raise 0A000.  "otherwise" says why where soft_delete.truncate does not.
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
 * Empty the tables, with the triggers of TRUNCATE.
 *
 * Those of tables that are not tagged fire when the tagged ones are empty.
 */
static void
delete_all(TruncateStmt *stmt, TruncatedTables *tables)
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
	CommandCounterIncrement(); /* their rows are rows like others */

	foreach (lc, tagged)
		write_tombstones(lfirst(lc));
	if (others != NIL)
		truncate_natively(stmt, tables, others);
	foreach (lc, sequences)
		ResetSequence(lfirst_oid(lc));

	CommandCounterIncrement();
	foreach (lc, estate->es_opened_result_relations)
		ExecASTruncateTriggers(estate, lfirst(lc));
	AfterTriggerEndQuery(estate);
	FreeExecutorState(estate);
}

/*
 * Add a tagged table to those whose triggers fire.  Our own has nothing to do.
 */
static void
open_result_relation(EState *estate, Relation rel)
{
	ResultRelInfo *relinfo = makeNode(ResultRelInfo);
	Oid guard = extension_function(TRUNCATE_TRIGGER);

	InitResultRelInfo(relinfo, rel, 0, NULL, 0);
	for (int i = 0; i < relinfo->ri_TrigDesc->numtriggers; i++)
	{
		Trigger *trigger = &relinfo->ri_TrigDesc->triggers[i]; /* a copy */

		if (trigger->tgfoid == guard)
			trigger->tgenabled = TRIGGER_DISABLED;
	}
	estate->es_opened_result_relations =
		lappend(estate->es_opened_result_relations, relinfo);
}

/*
 * Lock the sequences of the tables' columns, and return them.
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
 * Write the tombstones of all live rows of a table.
 *
 * It is locked, so what is live now is so for everybody, and the tombstones
 * that the scan comes across are ours.  The snapshot sees rows that the
 * statement's does not: TRUNCATE spares none.
 */
static void
write_tombstones(Relation rel)
{
	AttrNumber attnum = tombstone_attribute(rel);
	VersionBuilder *builder;
	TupleTableSlot *slot;
	TupleTableSlot *locked;
	TableScanDesc scan;

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		return;

	CheckTableForSerializableConflictIn(rel);
	builder = make_version_builder(rel, 1, &attnum, CurrentMemoryContext);
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
		/* as DELETE does: who has an older snapshot must not reference the row */
		if (table_tuple_lock(rel, &slot->tts_tid, GetActiveSnapshot(), locked,
							 GetCurrentCommandId(true), LockTupleExclusive,
							 LockWaitBlock, 0, &tmfd) != TM_Ok ||
			write_tombstone(builder, rel, &locked->tts_tid, locked,
							GetCurrentCommandId(true), GetActiveSnapshot(),
							InvalidSnapshot, true, &tmfd) != TM_Ok)
			elog(ERROR, "unexpected change of a row of table \"%s\", which is locked",
				 RelationGetRelationName(rel));
	}
	table_endscan(scan);
	note_emptied(RelationGetRelid(rel));
	ExecDropSingleTupleTableSlot(slot);
	ExecDropSingleTupleTableSlot(locked);
	FreeExecutorState(builder->estate);
}

/*
 * Have the server empty the tables that are not tagged.
 *
 * It is told of all tables, so that it adds none.  That tagged tables reference
 * some, which have no live rows any more, it only allows by CASCADE (and a server
 * with assertions not even then).
 */
static void
truncate_natively(TruncateStmt *stmt, TruncatedTables *tables, List *rels)
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
 * soft_delete.guard_truncate() returns trigger
 *
 * BEFORE TRUNCATE trigger of a tagged table.  Refuses what did not come by
 * truncate_softly(), unless soft_delete.truncate is "hard": then what stepped
 * aside in the table goes too.
 *
 * Raises 39P01 where it is not called as that, 55006 where rows are held, else
 * 0A000.
 */
Datum
soft_delete_guard_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event) ||
		tombstone_attribute(trigdata->tg_relation) == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a trigger of a tagged table",
						"soft_delete.guard_truncate"),
				 errdetail("It must be a BEFORE TRUNCATE trigger of a table that is tagged."),
				 errhint("Use SELECT soft_delete.tag('table') to tag a table.")));

	if (truncate_mode != TRUNCATE_HARD)
		refuse_truncate(trigdata->tg_relation,
						"The session had not loaded library \"soft_delete\" when the statement began.");
	refuse_held_table(trigdata->tg_relation, "truncate");
	destroy_all_displaced(RelationGetRelid(trigdata->tg_relation));
	return PointerGetDatum(NULL);
}
