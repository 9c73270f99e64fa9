/*
 * row_version.c
 *	  Builds the next version of a row that is deleted, restored or follows a
 *	  key, and enters tombstones into the indexes that hold them.
 *
 * The next version differs from the old one in the given columns and in what
 * is computed from them, and in nothing else: out-of-line values are taken over
 * by reference.  CHECK constraints that do not read any of those are not
 * evaluated again: the row may have entered before one was added NOT VALID,
 * and a DELETE does not ask.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
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

/* A stored generated column that is computed from what changes */
typedef struct GeneratedColumn
{
	AttrNumber attnum;
	ExprState *expr;
} GeneratedColumn;

/* A CHECK constraint that reads what changes */
typedef struct AffectedCheck
{
	char *name;
	ExprState *expr;
} AffectedCheck;

PG_FUNCTION_INFO_V1(soft_delete_index_hides);

static void find_generated(VersionBuilder *builder, Relation rel);
static void find_checks(VersionBuilder *builder, Relation rel);
static List *tombstone_indexes(Relation rel, AttrNumber tombstone);
static List *look_up_tombstone_indexes(Relation rel, AttrNumber tombstone);
static bool reads_any(Node *expr, Bitmapset *attributes);
static bool key_reads_any(IndexInfo *info, Bitmapset *attributes);
static void compute_generated(VersionBuilder *builder);
static void enforce_checks(VersionBuilder *builder, Relation rel);
static void insert_tombstone_index_entries(VersionBuilder *builder,
										   Relation rel, TU_UpdateIndexes which);

/*
 * Make a builder for versions of rows of the relation that differ in the given
 * columns, living in the memory context.  It holds memory and locks, but no
 * reference to any relation: an error leaves nothing to clean up.
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

	/* a copy: a reference to the relcache's would have to be given back */
	builder->slot =
		make_virtual_slot(CreateTupleDescCopyConstr(RelationGetDescr(rel)));
	GetPerTupleExprContext(builder->estate)->ecxt_scantuple = builder->slot;

	if (RelationGetDescr(rel)->constr != NULL)
	{
		find_generated(builder, rel);
		find_checks(builder, rel);
	}

	MemoryContextSwitchTo(oldcontext);
	return builder;
}

/*
 * Find the stored generated columns that read the changed attributes, and add
 * them to those.
 */
static void
find_generated(VersionBuilder *builder, Relation rel)
{
	TupleDesc tupdesc = RelationGetDescr(rel);
	ListCell *lc;

	if (!tupdesc->constr->has_generated_stored)
		return;

	for (int attno = 1; attno <= tupdesc->natts; attno++)
	{
		GeneratedColumn *column;
		Node *expr;

		if (TupleDescAttr(tupdesc, attno - 1)->attgenerated != ATTRIBUTE_GENERATED_STORED)
			continue;
		expr = build_column_default(rel, attno);
		if (!reads_any(expr, builder->changed))
			continue;

		column = palloc(sizeof(GeneratedColumn));
		column->attnum = attno;
		column->expr = ExecPrepareExpr((Expr *) expr, builder->estate);
		builder->generated = lappend(builder->generated, column);
	}

	/* generated columns cannot read each other, so this may wait until here */
	foreach (lc, builder->generated)
	{
		GeneratedColumn *column = lfirst(lc);

		builder->changed =
			bms_add_member(builder->changed,
						   column->attnum - FirstLowInvalidHeapAttributeNumber);
	}
}

/*
 * Find the CHECK constraints that read any of the changed attributes.
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
 * Find the indexes that tombstones must be entered into, and lock them.  The
 * relation's tombstone column is given.
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
			/* holds for every tombstone */
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
 * Return the indexes that hold tombstones: all that are not partial on live
 * rows.  Who deletes need not so much as open the others.
 */
static List *
tombstone_indexes(Relation rel, AttrNumber tombstone)
{
	static RelationMemo memo; /* asked by statement after statement */
	static List *known = NIL;

	if (!memo_holds(&memo, RelationGetRelid(rel)))
	{
		List *indexes = look_up_tombstone_indexes(rel, tombstone);
		List *forgotten = known;
		MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

		known = list_copy(indexes);
		list_free(forgotten);
		MemoryContextSwitchTo(oldcontext);
		memo_set(&memo, RelationGetRelid(rel));
	}
	return list_copy(known);
}

/*
 * Find the indexes that hold tombstones in the relation cache.
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
 * Is the expression that test of the column?
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
 * The result lives until the next call; it points into "old", which must stay.
 * Raises 23514 for a CHECK constraint that reads any of those columns and does
 * not hold.
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

	if (builder->generated != NIL)
		compute_generated(builder);
	if (builder->checks != NIL)
		enforce_checks(builder, rel);
	return slot;
}

/*
 * Compute the generated columns of the version under construction.
 */
static void
compute_generated(VersionBuilder *builder)
{
	ExprContext *econtext = GetPerTupleExprContext(builder->estate);
	ListCell *lc;

	foreach (lc, builder->generated)
	{
		GeneratedColumn *column = lfirst(lc);
		int i = column->attnum - 1;

		builder->slot->tts_values[i] =
			ExecEvalExprSwitchContext(column->expr, econtext,
									  &builder->slot->tts_isnull[i]);
	}
}

/*
 * Enforce the CHECK constraints on the version under construction.
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
					 errdetail("The constraint reads a column that deleting, restoring or the key of a parent changes."),
					 errtableconstraint(rel, check->name)));
	}
}

/*
 * Replace a locked row by a version of it with other values in the builder's
 * columns, and enter that into the relation's open indexes.  Returns the
 * version, which lives until the next call.
 *
 * "tid" becomes that of the version.  "recheck" gets the indexes of deferrable
 * constraints that must be looked at again.
 *
 * Raises 23505 and 23P01 for a key that is taken, 23514 as build_version().
 */
TupleTableSlot *
write_version(VersionBuilder *builder, ResultRelInfo *relinfo, ItemPointer tid,
			  TupleTableSlot *old, const Datum *values, const bool *nulls,
			  List **recheck)
{
	Relation rel = relinfo->ri_RelationDesc;
	TupleTableSlot *slot = build_version(builder, rel, old, values, nulls);
	TM_FailureData tmfd;
	LockTupleMode lockmode;
	TU_UpdateIndexes which;

	if (replace_tuple(rel, tid, slot, GetCurrentCommandId(true), GetActiveSnapshot(),
					  InvalidSnapshot, true, &tmfd, &lockmode, &which) != TM_Ok)
		elog(ERROR, "unexpected change of a locked tombstone");
	*recheck = NIL;
	if (which != TU_None)
		*recheck = insert_index_tuples(relinfo, slot, builder->estate, which);
	*tid = slot->tts_tid;
	return slot;
}

/*
 * Replace a live row by its tombstone: a version with the stamp of the running
 * deletion, which the builder is for.  It enters the indexes that hold
 * tombstones; those must have been found.
 *
 * "cid" and what follows are as for a table access method's tuple_update, and
 * so is the result.  Raises 23514 as build_version().
 */
TM_Result
write_tombstone(VersionBuilder *builder, Relation rel, ItemPointer tid,
				TupleTableSlot *old, CommandId cid, Snapshot snapshot,
				Snapshot crosscheck, bool wait, TM_FailureData *tmfd)
{
	MemoryContext oldcontext =
		MemoryContextSwitchTo(GetPerTupleMemoryContext(builder->estate));
	Datum stamp = TimestampTzGetDatum(deletion_stamp());
	const bool isnull = false;
	TupleTableSlot *slot = build_version(builder, rel, old, &stamp, &isnull);
	LockTupleMode lockmode;
	TU_UpdateIndexes which;
	TM_Result result = replace_tuple(rel, tid, slot, cid, snapshot, crosscheck,
									 wait, tmfd, &lockmode, &which);

	if (result == TM_Ok && builder->nindexes > 0)
		insert_tombstone_index_entries(builder, rel, which);
	ExecClearTuple(slot);
	MemoryContextSwitchTo(oldcontext);
	return result;
}

/*
 * Enter the built version, a tombstone, into the indexes that hold tombstones.
 *
 * Uniqueness is not checked: the row keeps the keys that it had as a live row,
 * so whatever conflict there is was found when it got them.  An index that is
 * told so first removes entries of dead versions before it splits a page.
 */
static void
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

		/* locked by find_tombstone_indexes() */
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
 * Tells whether an index is partial on live rows: its predicate demands that
 * the column be null.  Null where there is no index, for it may have been dropped
 * since the caller saw it in a catalog.  A look at a predicate may call functions
 * in it: with the rights of the owner, whoever looks.
 */
Datum
soft_delete_index_hides(PG_FUNCTION_ARGS)
{
	Relation index = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	bool is_index = index != NULL && index->rd_index != NULL;
	bool hides = false;

	if (is_index)
	{
		SavedRole saved;

		become_owner(index, &saved);
		hides = index_hides_tombstones(index, PG_GETARG_INT16(1));
		restore_role(&saved);
	}
	if (index != NULL)
		relation_close(index, AccessShareLock);
	if (!is_index)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(hides);
}
