/*
 * row_version.c
 *	  Builds the next version of a row that is deleted or restored, or whose foreign
 *	  key changes with the referenced one, and inserts tombstones into indexes.
 *
 * Invariant: the next version differs from the old one only in the given columns
 * and in the generated columns that read those.  TOAST pointers are copied, not the
 * values.  Only CHECK constraints that read a changed column are evaluated: the row
 * may violate others, which were added NOT VALID, and a DELETE must not fail then.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "storage/sd_storage.h"

/* A stored generated column */
typedef struct GeneratedColumn
{
	AttrNumber attnum;
	ExprState *expr;
} GeneratedColumn;

/* A CHECK constraint that reads a changed column */
typedef struct AffectedCheck
{
	char *name;
	ExprState *expr;
} AffectedCheck;

PG_FUNCTION_INFO_V1(soft_delete_index_hides);

static void find_generated_columns(VersionBuilder *builder, Relation rel);
static void find_checks(VersionBuilder *builder, Relation rel);
static List *tombstone_indexes(Relation rel, AttrNumber tombstone);
static List *look_up_tombstone_indexes(Relation rel, AttrNumber tombstone);
static bool reads_any(Node *expr, Bitmapset *attributes);
static bool key_reads_any(IndexInfo *info, Bitmapset *attributes);
static void enforce_checks(VersionBuilder *builder, Relation rel);
static TupleTableSlot *replace_row(VersionBuilder *builder,
								   ResultRelInfo *relinfo, ItemPointer tid,
								   TupleTableSlot *slot, List **recheck);

/*
 * Make a builder, in a memory context, for versions of rows of the relation that
 * differ in the given columns.  It has no reference to a relation or a tuple
 * descriptor of the relation cache, so nothing must be released after an error.
 */
VersionBuilder *
make_version_builder(Relation rel, int nattrs, const AttrNumber *attnums,
					 MemoryContext context)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	VersionBuilder *builder = palloc0(sizeof(VersionBuilder));

	builder->relid = RelationGetRelid(rel);
	builder->nattrs = nattrs;
	builder->attnums = palloc(nattrs * sizeof(AttrNumber));
	for (int i = 0; i < nattrs; i++)
	{
		builder->attnums[i] = attnums[i];
		builder->changed =
			bms_add_member(builder->changed,
						   attnums[i] - FirstLowInvalidHeapAttributeNumber);
	}
	builder->estate = CreateExecutorState();
	MemoryContextSwitchTo(builder->estate->es_query_cxt);

	/* a copy, for a reference to that of the relation cache must be released */
	builder->slot =
		make_virtual_slot(CreateTupleDescCopyConstr(RelationGetDescr(rel)));
	GetPerTupleExprContext(builder->estate)->ecxt_scantuple = builder->slot;

	if (RelationGetDescr(rel)->constr != NULL)
	{
		find_generated_columns(builder, rel);
		find_checks(builder, rel);
	}

	MemoryContextSwitchTo(oldcontext);
	return builder;
}

/*
 * Make a builder, in a memory context, for tombstones of a relation, or for live versions
 * of such: of versions that differ in the tombstone column, if the relation has one, and
 * in the column of its bridge.
 */
VersionBuilder *
make_tombstone_builder(Relation rel, MemoryContext context)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Bridge *bridge = bridge_of(rel);
	AttrNumber attnums[2];
	int nattrs = 0;
	VersionBuilder *builder;

	MemoryContextSwitchTo(oldcontext);
	attnums[nattrs] = tombstone_attribute(rel);
	if (attnums[nattrs] != InvalidAttrNumber)
		nattrs++;
	if (bridge != NULL)
		attnums[nattrs++] = bridge->attnum;
	builder = make_version_builder(rel, nattrs, attnums, context);
	builder->bridge = bridge;
	return builder;
}

/*
 * Find the stored generated columns that read changed columns, and add them to the
 * changed columns.
 */
static void
find_generated_columns(VersionBuilder *builder, Relation rel)
{
	TupleDesc tupdesc = RelationGetDescr(rel);
	ListCell *lc;

	if (!tupdesc->constr->has_generated_stored)
		return;

	for (int attno = 1; attno <= tupdesc->natts; attno++)
	{
		Node *expr;

		if (TupleDescAttr(tupdesc, attno - 1)->attgenerated != ATTRIBUTE_GENERATED_STORED)
			continue;
		expr = build_column_default(rel, attno);
		if (reads_any(expr, builder->changed))
			builder->generated = add_generated_column(builder->generated, attno,
													  expr, builder->estate);
	}

	/* not before, for a generated column cannot read another one */
	foreach (lc, builder->generated)
	{
		GeneratedColumn *column = lfirst(lc);

		builder->changed =
			bms_add_member(builder->changed,
						   column->attnum - FirstLowInvalidHeapAttributeNumber);
	}
}

/*
 * Add a stored generated column to a list for compute_generated_columns().
 */
List *
add_generated_column(List *columns, AttrNumber attnum, Node *expr, EState *estate)
{
	GeneratedColumn *column = palloc(sizeof(GeneratedColumn));

	column->attnum = attnum;
	column->expr = ExecPrepareExpr((Expr *) expr, estate);
	return lappend(columns, column);
}

/*
 * Find the CHECK constraints that read changed columns.
 */
static void
find_checks(VersionBuilder *builder, Relation rel)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	for (int i = 0; i < constr->num_check; i++)
	{
		ConstrCheck *check = &constr->check[i];
		AffectedCheck *entry;
		Node *expr;

		if (!check_is_enforced(check))
			continue;
		expr = expand_virtual_columns(stringToNode(check->ccbin), rel);
		if (!reads_any(expr, builder->changed))
			continue;

		entry = palloc(sizeof(AffectedCheck));
		entry->name = pstrdup(check->ccname);
		entry->expr = ExecPrepareExpr((Expr *) expr, builder->estate);
		builder->checks = lappend(builder->checks, entry);
	}
}

/*
 * Find the indexes that tombstones must be inserted into, and lock them.
 * "tombstone" is the relation's tombstone column.
 */
void
find_tombstone_indexes(VersionBuilder *builder, Relation rel, AttrNumber tombstone)
{
	List *indexes = tombstone_indexes(rel, tombstone);
	MemoryContext oldcontext = MemoryContextSwitchTo(builder->estate->es_query_cxt);
	ListCell *lc;

	builder->indexes = palloc(list_length(indexes) * sizeof(TombstoneIndex));

	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), RowExclusiveLock);
		IndexInfo *info = BuildIndexInfo(index);
		ListCell *test;

		foreach (test, info->ii_Predicate)
		{
			/* it is true for every tombstone */
			if (tests_null(lfirst(test), tombstone, IS_NOT_NULL))
				info->ii_Predicate =
					foreach_delete_current(info->ii_Predicate, test);
		}
		if (info->ii_Predicate != NIL)
			info->ii_PredicateState =
				ExecPrepareQual(info->ii_Predicate, builder->estate);
		builder->indexes[builder->nindexes].relid = RelationGetRelid(index);
		builder->indexes[builder->nindexes].info = info;
		builder->indexes[builder->nindexes].is_unchanged =
			!key_reads_any(info, builder->changed);
		builder->nindexes++;
		index_close(index, NoLock);
	}
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Return the indexes that tombstones must be inserted into: all whose predicate
 * does not demand that the tombstone column be null.  A DELETE need not open the
 * others.
 */
static List *
tombstone_indexes(Relation rel, AttrNumber tombstone)
{
	static RelationMemo memo; /* each statement that deletes asks */
	static List *known = NIL;

	if (!memo_holds(&memo, RelationGetRelid(rel)))
	{
		List *indexes = look_up_tombstone_indexes(rel, tombstone);
		List *outdated = known;
		MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

		known = list_copy(indexes);
		list_free(outdated);
		MemoryContextSwitchTo(oldcontext);
		memo_set(&memo, RelationGetRelid(rel));
	}
	return list_copy(known);
}

/*
 * Find the result of tombstone_indexes() by opening all indexes of the relation.
 */
static List *
look_up_tombstone_indexes(Relation rel, AttrNumber tombstone)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;

	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), RowExclusiveLock);

		if (!index->rd_index->indisready || index_hides_tombstones(index, tombstone))
			indexes = foreach_delete_current(indexes, lc);
		index_close(index, NoLock);
	}
	return indexes;
}

/*
 * Does the expression read any of the attributes, or the whole row?
 */
static bool
reads_any(Node *expr, Bitmapset *attributes)
{
	Bitmapset *read = NULL;

	pull_varattnos(expr, 1, &read);
	return bms_overlap(read, attributes) ||
		   bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber, read);
}

/*
 * Does the key of the index read any of the attributes?
 */
static bool
key_reads_any(IndexInfo *info, Bitmapset *attributes)
{
	for (int i = 0; i < info->ii_NumIndexKeyAttrs; i++)
	{
		if (bms_is_member(info->ii_IndexAttrNumbers[i] - FirstLowInvalidHeapAttributeNumber,
						  attributes))
			return true;
	}
	return reads_any((Node *) info->ii_Expressions, attributes);
}

/*
 * Does the index's predicate demand that the tombstone column be null?
 */
bool
index_hides_tombstones(Relation index, AttrNumber attnum)
{
	ListCell *lc;

	foreach (lc, RelationGetIndexPredicate(index))
	{
		if (tests_null(lfirst(lc), attnum, IS_NULL))
			return true;
	}
	return false;
}

/*
 * Return index_hides_tombstones(), read as the owner of the index: reading the
 * predicate may call functions in it.
 */
bool
index_hides_tombstones_as_owner(Relation index, AttrNumber attnum)
{
	MemoryContext context = CurrentMemoryContext;
	bool is_limited = begin_glance(RelationGetRelid(index));
	SavedRole saved;
	volatile bool hides = false;

	become_owner(index, &saved);
	PG_TRY();
	{
		hides = index_hides_tombstones(index, attnum);
	}
	PG_CATCH();
	{
		throw_error_of_glance(context, is_limited);
	}
	PG_END_TRY();
	(void) end_time_limit(is_limited);
	restore_role(&saved);
	return hides;
}

/*
 * Return xmin of the version of a row in the slot: the transaction that wrote it.
 */
TransactionId
xmin_of(TupleTableSlot *slot)
{
	bool isnull;

	return DatumGetTransactionId(
		slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
}

/*
 * Return the condition that a tombstone column is null: that the row is live.
 */
NullTest *
make_live_test(Var *column)
{
	NullTest *test = makeNode(NullTest);

	test->arg = (Expr *) column;
	test->nulltesttype = IS_NULL;
	test->argisrow = false;
	test->location = -1;
	return test;
}

/*
 * Is the expression IS NULL or IS NOT NULL, as "type" says, of the column?
 */
bool
tests_null(Node *expr, AttrNumber attnum, NullTestType type)
{
	NullTest *test = (NullTest *) expr;

	return IsA(test, NullTest) && test->nulltesttype == type &&
		   IsA(test->arg, Var) && ((Var *) test->arg)->varattno == attnum;
}

/*
 * Build the next version of a row: "old" with other values in the builder's
 * columns.
 *
 * The result is valid until the next call.  It points into "old", which must stay
 * valid, too.  Raises 23514 if the version violates a CHECK constraint that reads a
 * changed column.
 */
TupleTableSlot *
build_version(VersionBuilder *builder, Relation rel, TupleTableSlot *old,
			  const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = builder->slot;
	int natts = slot->tts_tupleDescriptor->natts;

	ResetPerTupleExprContext(builder->estate);

	slot_getallattrs(old);
	ExecClearTuple(slot);
	memcpy(slot->tts_values, old->tts_values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, old->tts_isnull, natts * sizeof(bool));
	for (int i = 0; i < builder->nattrs; i++)
	{
		slot->tts_values[builder->attnums[i] - 1] = values[i];
		slot->tts_isnull[builder->attnums[i] - 1] = nulls[i];
	}
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(rel);

	compute_generated_columns(builder->generated, builder->estate, slot);
	if (builder->checks != NIL)
		enforce_checks(builder, rel);
	return slot;
}

/*
 * Compute generated columns of the row in a virtual slot.
 */
void
compute_generated_columns(List *columns, EState *estate, TupleTableSlot *slot)
{
	ListCell *lc;

	foreach (lc, columns)
	{
		GeneratedColumn *column = lfirst(lc);
		ExprContext *econtext = GetPerTupleExprContext(estate);
		int i = column->attnum - 1;

		econtext->ecxt_scantuple = slot;
		slot->tts_values[i] = ExecEvalExprSwitchContext(column->expr, econtext,
														&slot->tts_isnull[i]);
	}
}

/*
 * Raise 23514 if the version that is being built violates a CHECK constraint that
 * reads a changed column.
 */
static void
enforce_checks(VersionBuilder *builder, Relation rel)
{
	ExprContext *econtext = GetPerTupleExprContext(builder->estate);
	ListCell *lc;

	foreach (lc, builder->checks)
	{
		AffectedCheck *check = lfirst(lc);

		if (!ExecCheck(check->expr, econtext))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("new row for relation \"%s\" violates check constraint \"%s\"",
							RelationGetRelationName(rel), check->name),
					 errdetail("The constraint reads a column that is changed when the row is deleted or restored, or when the key that it references changes."),
					 errtableconstraint(rel, check->name)));
	}
}

/*
 * Build the live version of a tombstone: the tombstone column is null, and the column of a
 * bridge says that the row is live.  The result is that of build_version().
 */
TupleTableSlot *
build_live_version(VersionBuilder *builder, Relation rel, TupleTableSlot *old)
{
	const Bridge *bridge = builder->bridge;
	int last = builder->nattrs - 1; /* the column of the bridge */
	Datum values[2] = {0};
	bool nulls[2] = {true, true};

	if (bridge != NULL)
	{
		values[last] = slot_getattr(old, bridge->attnum, &nulls[last]);
		if (says_deleted(bridge, values[last], nulls[last]))
		{
			values[last] = bridge->live;
			nulls[last] = bridge->live_isnull;
		}
	}
	return build_version(builder, rel, old, values, nulls);
}

/*
 * Replace a locked row by a version of it with other values in the builder's
 * columns, and insert that into the relation's open indexes.  Returns the version,
 * which is valid until the next call.
 *
 * Sets "tid" to the place of the version.  "recheck" gets the indexes of deferrable
 * constraints that must be checked later.
 *
 * Raises 23505 or 23P01 if another row has the key, 23514 as build_version() does.
 */
TupleTableSlot *
write_version(VersionBuilder *builder, ResultRelInfo *relinfo, ItemPointer tid,
			  TupleTableSlot *old, const Datum *values, const bool *nulls,
			  List **recheck)
{
	return replace_row(builder, relinfo, tid,
					   build_version(builder, relinfo->ri_RelationDesc, old,
									 values, nulls),
					   recheck);
}

/*
 * Replace a locked tombstone by its live version, as write_version() does.
 */
TupleTableSlot *
write_live_version(VersionBuilder *builder, ResultRelInfo *relinfo,
				   ItemPointer tid, TupleTableSlot *old, List **recheck)
{
	return replace_row(builder, relinfo, tid,
					   build_live_version(builder, relinfo->ri_RelationDesc, old),
					   recheck);
}

/*
 * Is a relation a companion whose rows no publication is told of, and would be if they were
 * updated?
 */
bool
is_kept_from_decoding(Relation rel)
{
	return rel->rd_rel->relreplident == REPLICA_IDENTITY_NOTHING &&
		   RelationIsLogicallyLogged(rel) &&
		   OidIsValid(companions_table(RelationGetRelid(rel)));
}

/*
 * Replace a locked row by the version in a slot, and insert that into the relation's open
 * indexes.
 */
static TupleTableSlot *
replace_row(VersionBuilder *builder, ResultRelInfo *relinfo, ItemPointer tid,
			TupleTableSlot *slot, List **recheck)
{
	Relation rel = relinfo->ri_RelationDesc;
	CommandId cid = GetCurrentCommandId(true);
	TM_FailureData tmfd;
	LockTupleMode lockmode;
	TU_UpdateIndexes which = TU_All;
	TM_Result result;

	/* an update would be decoded */
	if (is_kept_from_decoding(rel))
	{
		result = destroy_tuple(rel, tid, cid, GetActiveSnapshot(), &tmfd);
		if (result == TM_Ok)
			table_tuple_insert(rel, slot, cid, HEAP_INSERT_NO_LOGICAL, NULL);
	}
	else
		result = replace_tuple(rel, tid, slot, cid, GetActiveSnapshot(),
							   InvalidSnapshot, true, &tmfd, &lockmode, &which);
	if (result != TM_Ok)
		elog(ERROR, "could not replace a locked row");
	*recheck = NIL;
	if (which != TU_None)
		*recheck = insert_index_tuples(relinfo, slot, builder->estate, which);
	*tid = slot->tts_tid;
	return slot;
}

/*
 * Replace a live row by its tombstone: a version with the stamp of the running
 * deletion.  The builder is that of make_tombstone_builder(), and
 * find_tombstone_indexes() must have been called for it.
 *
 * "cid" and the arguments after it, and the result, are those of a table access
 * method's tuple_update().  Raises 23514 as build_version() does.
 */
TM_Result
write_tombstone(VersionBuilder *builder, Relation rel, ItemPointer tid,
				TupleTableSlot *old, CommandId cid, Snapshot snapshot,
				Snapshot crosscheck, bool wait, TM_FailureData *tmfd)
{
	TimestampTz stamp = deletion_stamp(RelationGetRelid(rel));
	TM_Result result = write_stamped(builder, rel, tid, old, stamp, cid,
									 snapshot, crosscheck, wait, tmfd);

	if (result == TM_Ok)
		count_deleted(stamp, RelationGetRelid(rel), 1);
	return result;
}

/*
 * Replace a live row by a tombstone with a stamp, as write_tombstone() does.  Where an
 * application has a column of its own for that, it says that the row is deleted: as the
 * application has written, or else as it would have.
 */
TM_Result
write_stamped(VersionBuilder *builder, Relation rel, ItemPointer tid,
			  TupleTableSlot *old, TimestampTz stamp, CommandId cid,
			  Snapshot snapshot, Snapshot crosscheck, bool wait, TM_FailureData *tmfd)
{
	const Bridge *bridge = builder->bridge;
	MemoryContext oldcontext =
		MemoryContextSwitchTo(GetPerTupleMemoryContext(builder->estate));
	Datum values[2] = {TimestampTzGetDatum(stamp)};
	bool nulls[2] = {false};
	TupleTableSlot *slot;
	LockTupleMode lockmode;
	TU_UpdateIndexes which;
	TM_Result result;

	if (bridge != NULL)
		values[1] = row_says_deleted(bridge, old)
						? slot_getattr(old, bridge->attnum, &nulls[1])
						: deleted_value(bridge, stamp);
	slot = build_version(builder, rel, old, values, nulls);
	result = replace_tuple(rel, tid, slot, cid, snapshot, crosscheck, wait,
						   tmfd, &lockmode, &which);

	if (result == TM_Ok && builder->nindexes > 0)
		insert_tombstone_index_entries(builder, rel, which);
	ExecClearTuple(slot);
	MemoryContextSwitchTo(oldcontext);
	return result;
}

/*
 * Insert the built version, a tombstone, into the indexes that have tombstones.
 *
 * Uniqueness is not checked.  The tombstone keeps the keys of the live row, so a
 * conflict was found when the row got them.  An index that is told that the key is
 * unchanged removes entries of dead versions before it splits a page.
 */
void
insert_tombstone_index_entries(VersionBuilder *builder, Relation rel,
							   TU_UpdateIndexes which)
{
	EState *estate = builder->estate;
	ExprContext *econtext = GetPerTupleExprContext(estate);

	for (int i = 0; i < builder->nindexes; i++)
	{
		IndexInfo *info = builder->indexes[i].info;
		Datum values[INDEX_MAX_KEYS];
		bool isnull[INDEX_MAX_KEYS];
		Relation index;

		if (update_skips_index(which, info))
			continue;
		if (info->ii_PredicateState != NULL &&
			!ExecQual(info->ii_PredicateState, econtext))
			continue;

		/* find_tombstone_indexes() has locked it */
		index = index_open(builder->indexes[i].relid, NoLock);
		FormIndexDatum(info, builder->slot, estate, values, isnull);
		index_insert(index, values, isnull, &builder->slot->tts_tid, rel,
					 UNIQUE_CHECK_NO, builder->indexes[i].is_unchanged, info);
		index_insert_cleanup(index, info);
		index_close(index, NoLock);
	}
}

/*
 * soft_delete_internal.index_hides(index regclass, attnum smallint) returns boolean
 *
 * Returns whether the predicate of an index demands that a column be null.  Null if
 * the relation does not exist, for it may have been dropped since the caller has
 * read its OID, or if it is not an index.  Reading a predicate may call functions
 * in it, as the owner of the index.
 */
Datum
soft_delete_index_hides(PG_FUNCTION_ARGS)
{
	Relation index = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	bool is_index = index != NULL && index->rd_index != NULL;
	bool hides = false;

	if (is_index)
		hides = index_hides_tombstones_as_owner(index, PG_GETARG_INT16(1));
	if (index != NULL)
		relation_close(index, AccessShareLock);
	if (!is_index)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(hides);
}
