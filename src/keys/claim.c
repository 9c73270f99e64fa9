/*
 * displace.c
 *	  Makes tombstones step aside where a live row claims the key that they keep.
 *
 * A primary key, a key that a foreign key references, a replica identity and a
 * deferrable unique constraint cannot be partial: there a tombstone is entered along
 * with the live rows.  Where a live row claims such a key, the tombstone moves
 * to soft_delete_internal.displaced (displaced.c), and the row meets what it would meet
 * had the tombstone never been there.
 *
 * An INSERT pays nothing for that.  A BEFORE INSERT row trigger "arms" the unique
 * indexes: it points them at a copy of the B-tree's routine in which two members
 * differ.
 * - Our aminsert lets the original insert, which waits for who else touches the
 *   key; only if that ends in a unique violation does it look for a tombstone,
 *   have it step aside, and insert once more.  The check of a deferrable
 *   constraint, when it comes, goes the same way.
 * - An upsert looks for conflicts by a scan that sees what is not committed yet.
 *   Our amgettuple has each tombstone that such a scan finds step aside, and goes
 *   on to the next; it waits for nobody, for the upsert will, and then scan again.
 *
 * What an UPDATE changes is covered by a check that write.c adds, for a BEFORE
 * UPDATE trigger would lock every row first.  Both probe beforehand where there
 * is nothing to arm, as for an exclusion constraint that was added after tag(),
 * and for deferrable keys, whose index may be armed no more when their check
 * comes.  And they always do where changes are decoded for replication: there
 * the tombstone has to leave before the row enters.
 *
 * Invariant: only a tombstone is ever moved, and only by who waited for all that
 * might still become of it.
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "keys/sd_keys.h"

/* An index in which tombstones keep their keys from live rows */
typedef struct KeptKey
{
	Oid index;
	bool is_deferrable;
	IndexInfo *info;
	int nkeys;
	Oid *procs; /* equality, or what the exclusion constraint says */
	ScanKeyData scankeys[INDEX_MAX_KEYS];
} KeptKey;

/* What a statement keeps for a relation that it writes live rows into */
typedef struct KeyClaims
{
	Oid relid;
	AttrNumber attnum; /* its tombstone column */
	List *keys;		   /* KeptKey */
	EState *estate;
	TupleTableSlot *row;	  /* a row that is being claimed for, if copied */
	TupleTableSlot *existing; /* what a probe finds */
	List *generated;		  /* GeneratedKeyColumn */
} KeyClaims;

/* A stored generated column, which BEFORE triggers do not see yet */
typedef struct GeneratedKeyColumn
{
	AttrNumber attnum;
	ExprState *expr;
} GeneratedKeyColumn;

PG_FUNCTION_INFO_V1(soft_delete_claim_key);
PG_FUNCTION_INFO_V1(soft_delete_claims_key);
PG_FUNCTION_INFO_V1(soft_delete_step_aside);

/* The B-tree's routine with our functions, and its own functions */
static IndexAmRoutine armed_routine;
static aminsert_function insert_into_btree = NULL;
static amgettuple_function next_in_btree = NULL;

typedef struct ArmedTable
{
	Oid relid; /* hash key */
	AttrNumber attnum;
} ArmedTable;

/*
 * Tables whose keys are all armed, and when that was: it holds until the
 * relation cache changes.
 */
static HTAB *armed_tables = NULL;
static uint64 armed_at;

/* What our own scans see, and are known by */
static SnapshotData own_snapshot;

static AttrNumber armed_table(Relation rel);
static void refuse_tombstone(Relation rel, AttrNumber attnum, TupleTableSlot *slot);
static void note_armed(Oid relid, AttrNumber attnum, uint64 changes);
static KeyClaims *make_claims(Relation rel, bool arms, MemoryContext context);
static void make_probe_state(KeyClaims *claims, Relation rel);
static void free_claims(KeyClaims *claims);
static void find_kept_keys(KeyClaims *claims, Relation rel, bool arms);
static void arm_index(Relation index);
static bool insert_or_displace(Relation index, Datum *values, bool *isnull,
							   ItemPointer tid, Relation rel, IndexUniqueCheck check,
							   bool unchanged, IndexInfo *info);
static ErrorData *try_insert(Relation index, Datum *values, bool *isnull,
							 ItemPointer tid, Relation rel, IndexUniqueCheck check,
							 bool unchanged, IndexInfo *info);
static bool displace_holder(Relation index, Datum *values, bool *isnull,
							Relation rel);
static bool displace_and_go_on(IndexScanDesc scan, ScanDirection direction);
static bool displace_found(Relation rel, ItemPointer tid);
static KeptKey *make_kept_key(KeyClaims *claims, Relation rel, Relation index);
static void find_generated_columns(KeyClaims *claims, Relation rel);
static TupleTableSlot *with_generated_columns(KeyClaims *claims,
											  TupleTableSlot *slot);
static TupleTableSlot *slot_of_row(KeyClaims *claims, Relation rel,
								   HeapTupleHeader row);
static void claim_keys(KeyClaims *claims, Relation rel, TupleTableSlot *slot);
static bool takes_key(KeyClaims *claims, KeptKey *key, TupleTableSlot *slot);
static void set_key(KeptKey *key, Datum *values, bool *isnull);
static bool free_key(KeyClaims *claims, KeptKey *key, Relation rel);
static bool find_holder(KeyClaims *claims, KeptKey *key, Relation rel,
						ItemPointer tid, TransactionId *busy);
static bool is_same_key(KeyClaims *claims, KeptKey *key);
static void displace_tombstone(KeyClaims *claims, Relation rel, ItemPointer tid);

/*
 * soft_delete.claim_key() returns trigger
 *
 * BEFORE INSERT row trigger of a tagged table: sees to it that tombstones step
 * aside.
 *
 * Raises 39P01 where it is not called as that.
 */
Datum
soft_delete_claim_key(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	KeyClaims *claims = fcinfo->flinfo->fn_extra;
	Relation rel;
	AttrNumber attnum;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a trigger of a tagged table",
						"soft_delete.claim_key"),
				 errdetail("It must be a BEFORE INSERT row trigger."),
				 errhint("Use SELECT soft_delete.tag('table') to tag a table.")));

	rel = trigdata->tg_relation;
	attnum = claims == NULL ? armed_table(rel) : InvalidAttrNumber;
	if (attnum != InvalidAttrNumber)
	{
		refuse_tombstone(rel, attnum, trigdata->tg_trigslot);
		return PointerGetDatum(trigdata->tg_trigtuple);
	}
	if (claims == NULL || claims->relid != RelationGetRelid(rel))
	{
		claims = make_claims(rel, true, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = claims;
	}
	refuse_tombstone(rel, claims->attnum, trigdata->tg_trigslot);
	if (claims->keys != NIL)
		claim_keys(claims, rel, trigdata->tg_trigslot);
	return PointerGetDatum(trigdata->tg_trigtuple);
}

/*
 * Have statements before this one armed all keys of the table?  That is not
 * enough where changes are decoded.  Returns its tombstone column, or
 * InvalidAttrNumber.
 */
static AttrNumber
armed_table(Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	ArmedTable *table;

	if (armed_tables == NULL || armed_at != relcache_changes ||
		RelationIsLogicallyLogged(rel))
		return InvalidAttrNumber;
	table = hash_search(armed_tables, &relid, HASH_FIND, NULL);
	return table ? table->attnum : InvalidAttrNumber;
}

/*
 * Refuse a new row that is a tombstone, but in a maintenance session: an INSERT
 * that was planned before the library was loaded has no check of its own
 * (write.c), and COPY counts the columns itself.
 */
static void
refuse_tombstone(Relation rel, AttrNumber attnum, TupleTableSlot *slot)
{
	Oid relid = RelationGetRelid(rel);

	if (attnum == InvalidAttrNumber || slot_attisnull(slot, attnum))
		return;
	/* who owns the partitioned table may fill it */
	if (rel->rd_rel->relispartition && !is_maintenance(relid))
		relid = llast_oid(get_partition_ancestors(relid));
	admit_tombstone(relid);
}

/*
 * Note that all keys of the table are armed, if the relation cache has not
 * changed since "changes".  What was noted before it has is forgotten.
 */
static void
note_armed(Oid relid, AttrNumber attnum, uint64 changes)
{
	ArmedTable *table;

	if (changes != relcache_changes)
		return;
	if (armed_tables != NULL && armed_at != changes)
	{
		hash_destroy(armed_tables);
		armed_tables = NULL;
	}
	if (armed_tables == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(ArmedTable)};

		armed_tables = hash_create("soft_delete armed tables", 16, &ctl,
								   HASH_ELEM | HASH_BLOBS);
		armed_at = changes;
	}
	table = hash_search(armed_tables, &relid, HASH_ENTER, NULL);
	table->attnum = attnum;
}

/*
 * soft_delete_internal.claims_key(relation oid, new_row record, internal) returns boolean
 *
 * Stands in a check of changed rows that write.c adds: sees to it that tombstones
 * step aside, and returns true.  Nobody else can call it, because of "internal".
 */
Datum
soft_delete_claims_key(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	KeyClaims *claims = fcinfo->flinfo->fn_extra;
	Relation rel = table_open(relid, RowExclusiveLock);

	if (claims == NULL && armed_table(rel) != InvalidAttrNumber)
	{
		table_close(rel, NoLock);
		PG_RETURN_BOOL(true);
	}
	if (claims == NULL || claims->relid != relid)
	{
		claims = make_claims(rel, true, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = claims;
	}
	if (claims->keys != NIL)
		claim_keys(claims, rel,
				   slot_of_row(claims, rel, PG_GETARG_HEAPTUPLEHEADER(1)));
	table_close(rel, NoLock);
	PG_RETURN_BOOL(true);
}

/*
 * Free the keys of a row that is to be entered without a statement of the
 * application.
 */
void
free_keys(Relation rel, TupleTableSlot *slot)
{
	KeyClaims *claims = make_claims(rel, false, CurrentMemoryContext);

	if (claims->keys != NIL)
		claim_keys(claims, rel, slot);
	free_claims(claims);
}

/*
 * Have tombstones step aside for what is entered into the relation from now on
 * without a statement of the application.
 */
void
arm_keys(Relation rel)
{
	free_claims(make_claims(rel, true, CurrentMemoryContext));
}

/*
 * Make what is needed to claim keys in a relation, in the memory context, and
 * arm its indexes, if so asked.  It holds memory and locks, but no reference to
 * any relation: an error leaves nothing to clean up.
 */
static KeyClaims *
make_claims(Relation rel, bool arms, MemoryContext context)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	KeyClaims *claims = palloc0(sizeof(KeyClaims));
	uint64 changes = relcache_changes;

	claims->relid = RelationGetRelid(rel);
	claims->attnum = tombstone_attribute(rel);

	/* a maintenance session enters what it finds in a dump, as it is */
	if (claims->attnum != InvalidAttrNumber && !is_maintenance(claims->relid))
	{
		find_kept_keys(claims, rel, arms);
		if (arms && claims->keys == NIL)
			note_armed(claims->relid, claims->attnum, changes);
	}
	MemoryContextSwitchTo(oldcontext);
	return claims;
}

/*
 * Make what probing takes.
 */
static void
make_probe_state(KeyClaims *claims, Relation rel)
{
	MemoryContext oldcontext;
	TupleDesc tupdesc;

	claims->estate = CreateExecutorState();
	oldcontext = MemoryContextSwitchTo(claims->estate->es_query_cxt);
	/* a copy: a reference to the relcache's would have to be given back */
	tupdesc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	claims->row = make_slot(tupdesc, &TTSOpsVirtual);
	claims->existing = make_slot(tupdesc, table_slot_callbacks(rel));
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Free it all.
 */
static void
free_claims(KeyClaims *claims)
{
	if (claims->estate != NULL)
		FreeExecutorState(claims->estate);
	pfree(claims);
}

/*
 * Find the indexes of the relation in which tombstones keep their keys, and arm
 * those that can be, if so asked.
 */
static void
find_kept_keys(KeyClaims *claims, Relation rel, bool arms)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;

	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), RowExclusiveLock);
		Form_pg_index form = index->rd_index;
		bool is_armed = arms && index->rd_indam == &armed_routine;

		if ((form->indisunique || form->indisexclusion) && form->indisready &&
			(is_armed || !index_hides_tombstones(index, claims->attnum)))
		{
			if (arms && form->indisunique && index->rd_rel->relam == BTREE_AM_OID)
			{
				arm_index(index);
				is_armed = true;
			}
			if (!is_armed || !form->indimmediate || RelationIsLogicallyLogged(rel))
				claims->keys =
					lappend(claims->keys, make_kept_key(claims, rel, index));
		}
		index_close(index, NoLock);
	}
	list_free(indexes);
	if (claims->keys != NIL)
		find_generated_columns(claims, rel);
}

/*
 * Have insertions into the index, and scans of it, go through us.
 *
 * The executor keeps the index open while the statement writes to the table, so
 * it stays armed at least as long; and it does no harm afterwards.
 */
static void
arm_index(Relation index)
{
	if (index->rd_indam == &armed_routine)
		return;
	if (insert_into_btree == NULL)
	{
		armed_routine = *index->rd_indam;
		armed_routine.aminsert = insert_or_displace;
		armed_routine.amgettuple = displace_and_go_on;
		insert_into_btree = index->rd_indam->aminsert;
		next_in_btree = index->rd_indam->amgettuple;
	}
	index->rd_indam = &armed_routine;
}

/*
 * aminsert of an armed index.
 */
static bool
insert_or_displace(Relation index, Datum *values, bool *isnull, ItemPointer tid,
				   Relation rel, IndexUniqueCheck check, bool unchanged,
				   IndexInfo *info)
{
	ErrorData *error;

	/* once the row has entered it is too late where the order counts */
	if (check != UNIQUE_CHECK_EXISTING &&
		(check != UNIQUE_CHECK_YES || RelationIsLogicallyLogged(rel)))
		return insert_into_btree(index, values, isnull, tid, rel, check,
								 unchanged, info);

	while ((error = try_insert(index, values, isnull, tid, rel, check,
							   unchanged, info)) != NULL)
	{
		if (!displace_holder(index, values, isnull, rel))
			ReThrowError(error);
		FreeErrorData(error);
	}
	return true;
}

/*
 * Insert an entry, or check one that is there.  Returns the unique violation that
 * there was, or NULL.
 *
 * That error is raised by the search for the place of the entry: nothing has
 * been changed, and no page is held.  So it can be caught without a
 * subtransaction.
 */
static ErrorData *
try_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid,
		   Relation rel, IndexUniqueCheck check, bool unchanged, IndexInfo *info)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		(void) insert_into_btree(index, values, isnull, tid, rel, check,
								 unchanged, info);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		MemoryContextSwitchTo(oldcontext);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	return error;
}

/*
 * Have the tombstone that holds the key of an entry step aside.  Returns false
 * if there is none.
 */
static bool
displace_holder(Relation index, Datum *values, bool *isnull, Relation rel)
{
	KeyClaims claims = {.attnum = tombstone_attribute(rel)};
	KeptKey *key;
	bool displaced;

	if (claims.attnum == InvalidAttrNumber || is_maintenance(RelationGetRelid(rel)))
		return false;

	key = make_kept_key(&claims, rel, index);
	key->is_deferrable = false; /* this is the check */
	set_key(key, values, isnull);
	displaced = free_key(&claims, key, rel);
	FreeExecutorState(claims.estate);
	return displaced;
}

/*
 * amgettuple of an armed index.
 *
 * Only who is about to enter a key scans for what is not committed yet.
 */
static bool
displace_and_go_on(IndexScanDesc scan, ScanDirection direction)
{
	while (next_in_btree(scan, direction))
	{
		if (scan->xs_snapshot == NULL || scan->heapRelation == NULL ||
			scan->xs_snapshot->snapshot_type != SNAPSHOT_DIRTY ||
			scan->xs_snapshot == &own_snapshot ||
			!displace_found(scan->heapRelation, &scan->xs_heaptid))
			return true;
		scan->kill_prior_tuple = false; /* for others it is still alive */
	}
	return false;
}

/*
 * If an index entry leads to a tombstone, have it step aside.  Returns false if
 * it does not, or if that is not decided yet.
 */
static bool
displace_found(Relation rel, ItemPointer tid)
{
	KeyClaims claims = {.attnum = tombstone_attribute(rel)};
	ItemPointerData version = *tid;
	IndexFetchTableData *fetch;
	SnapshotData dirty;
	bool call_again = false, is_live = true;

	if (claims.attnum == InvalidAttrNumber || is_maintenance(RelationGetRelid(rel)))
		return false;

	InitDirtySnapshot(dirty);
	claims.existing = table_slot_create(rel, NULL);
	fetch = begin_index_fetch(rel);
	if (table_index_fetch_tuple(fetch, &version, &dirty, claims.existing,
								&call_again, NULL) &&
		!TransactionIdIsValid(dirty.xmin) && !TransactionIdIsValid(dirty.xmax))
		(void) slot_getattr(claims.existing, claims.attnum, &is_live);
	version = claims.existing->tts_tid;
	table_index_fetch_end(fetch);
	ExecClearTuple(claims.existing);

	if (!is_live)
		displace_tombstone(&claims, rel, &version);
	ExecDropSingleTupleTableSlot(claims.existing);
	return !is_live;
}

/*
 * Prepare to probe one index.
 */
static KeptKey *
make_kept_key(KeyClaims *claims, Relation rel, Relation index)
{
	KeptKey *key = palloc0(sizeof(KeptKey));
	IndexInfo *info = BuildIndexInfo(index);
	uint16 *strategies = info->ii_ExclusionStrats;

	if (claims->estate == NULL)
		make_probe_state(claims, rel);

	key->index = RelationGetRelid(index);
	key->is_deferrable = !index->rd_index->indimmediate;
	key->info = info;
	key->nkeys = IndexRelationGetNumberOfKeyAttributes(index);
	key->procs = info->ii_ExclusionProcs;
	if (info->ii_ExclusionOps == NULL)
	{
		BuildSpeculativeIndexInfo(index, info);
		key->procs = info->ii_UniqueProcs;
		strategies = info->ii_UniqueStrats;
	}
	if (info->ii_Predicate != NIL)
		info->ii_PredicateState =
			ExecPrepareQual(info->ii_Predicate, claims->estate);

	for (int i = 0; i < key->nkeys; i++)
		ScanKeyEntryInitialize(&key->scankeys[i], 0, i + 1, strategies[i],
							   InvalidOid, index->rd_indcollation[i],
							   key->procs[i], (Datum) 0);
	return key;
}

/*
 * Find the stored generated columns that the indexes read.
 */
static void
find_generated_columns(KeyClaims *claims, Relation rel)
{
	TupleDesc tupdesc = RelationGetDescr(rel);
	Bitmapset *read = NULL;
	ListCell *lc;

	if (tupdesc->constr == NULL || !tupdesc->constr->has_generated_stored)
		return;

	foreach (lc, claims->keys)
	{
		IndexInfo *info = ((KeptKey *) lfirst(lc))->info;

		for (int i = 0; i < info->ii_NumIndexAttrs; i++)
			read = bms_add_member(read, info->ii_IndexAttrNumbers[i] -
											FirstLowInvalidHeapAttributeNumber);
		pull_varattnos((Node *) info->ii_Expressions, 1, &read);
		pull_varattnos((Node *) info->ii_Predicate, 1, &read);
	}
	for (int attno = 1; attno <= tupdesc->natts; attno++)
	{
		GeneratedKeyColumn *column;

		if (TupleDescAttr(tupdesc, attno - 1)->attgenerated != ATTRIBUTE_GENERATED_STORED ||
			!bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, read))
			continue;
		column = palloc(sizeof(GeneratedKeyColumn));
		column->attnum = attno;
		column->expr = ExecPrepareExpr((Expr *) build_column_default(rel, attno),
									   claims->estate);
		claims->generated = lappend(claims->generated, column);
	}
}

/*
 * Return the row with its generated columns, which are computed after BEFORE
 * triggers have run.
 */
static TupleTableSlot *
with_generated_columns(KeyClaims *claims, TupleTableSlot *slot)
{
	ExprContext *econtext = GetPerTupleExprContext(claims->estate);
	ListCell *lc;

	if (slot != claims->row)
		ExecCopySlot(claims->row, slot);
	econtext->ecxt_scantuple = claims->row;
	foreach (lc, claims->generated)
	{
		GeneratedKeyColumn *column = lfirst(lc);
		int i = column->attnum - 1;

		claims->row->tts_values[i] =
			ExecEvalExprSwitchContext(column->expr, econtext,
									  &claims->row->tts_isnull[i]);
	}
	return claims->row;
}

/*
 * Return a slot with a row of the relation, or of the table that it is a
 * partition of.
 */
static TupleTableSlot *
slot_of_row(KeyClaims *claims, Relation rel, HeapTupleHeader row)
{
	TupleDesc tupdesc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row),
											   HeapTupleHeaderGetTypMod(row));
	TupleConversionMap *map =
		convert_tuples_by_name(tupdesc, RelationGetDescr(rel));
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;

	ExecForceStoreHeapTuple(map ? execute_attr_map_tuple(&tuple, map) : &tuple,
							claims->row, false);
	ReleaseTupleDesc(tupdesc);
	return claims->row;
}

/*
 * Free the keys of a row from tombstones.
 */
static void
claim_keys(KeyClaims *claims, Relation rel, TupleTableSlot *slot)
{
	ListCell *lc;

	ResetPerTupleExprContext(claims->estate);
	if (claims->generated != NIL)
		slot = with_generated_columns(claims, slot);

	foreach (lc, claims->keys)
	{
		KeptKey *key = lfirst(lc);

		if (takes_key(claims, key, slot))
			free_key(claims, key, rel);
	}
}

/*
 * Would the row be entered into the index with a key that can conflict?
 */
static bool
takes_key(KeyClaims *claims, KeptKey *key, TupleTableSlot *slot)
{
	ExprContext *econtext = GetPerTupleExprContext(claims->estate);
	Datum values[INDEX_MAX_KEYS];
	bool isnull[INDEX_MAX_KEYS];

	econtext->ecxt_scantuple = slot;
	if (key->info->ii_PredicateState != NULL &&
		!ExecQual(key->info->ii_PredicateState, econtext))
		return false;

	FormIndexDatum(key->info, slot, claims->estate, values, isnull);
	for (int i = 0; i < key->nkeys; i++)
	{
		if (isnull[i] && !key->info->ii_NullsNotDistinct)
			return false;
	}
	set_key(key, values, isnull);
	return true;
}

/*
 * Set the key to probe for.
 */
static void
set_key(KeptKey *key, Datum *values, bool *isnull)
{
	for (int i = 0; i < key->nkeys; i++)
	{
		key->scankeys[i].sk_flags = isnull[i] ? SK_ISNULL | SK_SEARCHNULL : 0;
		key->scankeys[i].sk_argument = values[i];
	}
}

/*
 * Have every tombstone that holds the key step aside.  Returns whether there
 * was any.
 */
static bool
free_key(KeyClaims *claims, KeptKey *key, Relation rel)
{
	ItemPointerData tid;
	TransactionId busy;
	bool any = false;

	for (; find_holder(claims, key, rel, &tid, &busy); any = true)
	{
		/* its outcome decides whether the key is free, as for any unique key */
		if (!TransactionIdIsValid(busy))
			displace_tombstone(claims, rel, &tid);
		else if (key->is_deferrable)
			break; /* the check, when it comes, waits */
		else
			XactLockTableWait(busy, rel, &tid, XLTW_InsertIndex);
	}
	return any;
}

/*
 * Look for a tombstone with the key.  Returns false if there is none, else its
 * place, and the transaction, if any, that must end before it is known whether
 * it is one.
 *
 * A transaction that is deleting the live row counts, for it leaves a
 * tombstone.  One that is inserting a live row does not: that is a conflict
 * that the index itself knows how to meet.
 */
static bool
find_holder(KeyClaims *claims, KeptKey *key, Relation rel, ItemPointer tid,
			TransactionId *busy)
{
	Relation index = index_open(key->index, NoLock);
	TupleTableSlot *slot = claims->existing;
	IndexScanDesc scan;
	bool found = false;

	InitDirtySnapshot(own_snapshot);
	scan = begin_index_scan(rel, index, &own_snapshot, key->nkeys);
	index_rescan(scan, key->scankeys, key->nkeys, NULL, 0);
	while (!found && index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		TransactionId inserter = own_snapshot.xmin;
		TransactionId deleter = own_snapshot.xmax;
		bool is_live;

		if (scan->xs_recheck && !is_same_key(claims, key))
			continue;
		(void) slot_getattr(slot, claims->attnum, &is_live);
		*tid = slot->tts_tid;
		*busy = TransactionIdIsValid(inserter) ? inserter : deleter;
		found = !is_live ||
				(!TransactionIdIsValid(inserter) && TransactionIdIsValid(deleter));
	}
	ExecClearTuple(slot);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/*
 * Does the row that the probe of a lossy index found have the key?
 */
static bool
is_same_key(KeyClaims *claims, KeptKey *key)
{
	Datum values[INDEX_MAX_KEYS];
	bool isnull[INDEX_MAX_KEYS];

	GetPerTupleExprContext(claims->estate)->ecxt_scantuple = claims->existing;
	FormIndexDatum(key->info, claims->existing, claims->estate, values, isnull);
	for (int i = 0; i < key->nkeys; i++)
	{
		if (isnull[i] ||
			!DatumGetBool(
				OidFunctionCall2Coll(key->procs[i], key->scankeys[i].sk_collation,
									 values[i], key->scankeys[i].sk_argument)))
			return false;
	}
	return true;
}

/*
 * Move a tombstone to soft_delete_internal.displaced, unless another transaction has
 * changed it meanwhile.
 */
static void
displace_tombstone(KeyClaims *claims, Relation rel, ItemPointer tid)
{
	TupleTableSlot *slot = claims->existing;
	TM_FailureData tmfd;
	TM_Result result;

	/* it may have been deleted by this very command */
	CommandCounterIncrement();

	result = table_tuple_lock(rel, tid, GetActiveSnapshot(), slot,
							  GetCurrentCommandId(true), LockTupleExclusive,
							  LockWaitBlock, 0, &tmfd);
	if (result == TM_Updated || result == TM_Deleted)
		return;
	if (result != TM_Ok)
		elog(ERROR, "unexpected status of a tombstone to displace: %u", result);

	store_displaced(rel, claims->attnum, slot);
	result = destroy_tuple(rel, tid, GetCurrentCommandId(true),
						   GetActiveSnapshot(), &tmfd);
	if (result != TM_Ok)
		elog(ERROR, "unexpected status of a locked tombstone: %u", result);
	ExecClearTuple(slot);
}

/*
 * soft_delete_internal.step_aside(relation regclass, "row" tid) returns boolean
 *
 * Moves a tombstone to soft_delete_internal.displaced.  Returns false if there is none at
 * that place, or not any more.
 *
 * Raises 42501 unless the caller owns the table, 42P01 if there is none.
 */
Datum
soft_delete_step_aside(PG_FUNCTION_ARGS)
{
	Relation rel = open_given_table(PG_GETARG_OID(0), RowExclusiveLock);
	ItemPointer tid = (ItemPointer) PG_GETARG_POINTER(1);
	KeyClaims claims = {0};
	bool is_live = true;

	if (!relation_ownercheck(RelationGetRelid(rel), GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE,
					   RelationGetRelationName(rel));
	claims.attnum = tombstone_attribute(rel);
	if (claims.attnum != InvalidAttrNumber && rel->rd_tableam != NULL)
	{
		claims.existing = table_slot_create(rel, NULL);
		if (lock_newest_version(rel, tid, claims.existing))
			(void) slot_getattr(claims.existing, claims.attnum, &is_live);
		if (!is_live)
		{
			SavedRole saved;

			/* types and indexes may call functions that the owner has written */
			become_owner(rel, &saved);
			displace_tombstone(&claims, rel, tid);
			restore_role(&saved);
		}
		ExecDropSingleTupleTableSlot(claims.existing);
	}
	table_close(rel, NoLock);
	PG_RETURN_BOOL(!is_live);
}
