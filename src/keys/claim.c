/*
 * claim.c
 *	  Displaces tombstones that have a key which a live row claims.
 *
 * A primary key, a key that a foreign key references, a replica identity and a
 * deferrable unique constraint cannot be partial, so their indexes contain
 * tombstones too.  If a live row is inserted with the key of a tombstone there, the
 * tombstone steps aside: it moves to the companion of its table
 * (storage/aside.c).  Then the row conflicts with the same rows as if the tombstone
 * did not exist.
 *
 * An INSERT has no extra cost as long as there is no conflict.  When it begins (bulk.c),
 * the unique indexes are "armed": their descriptors are made to point to a copy of the
 * B-tree's routine with two functions of ours.
 * - aminsert calls that of the B-tree, which waits for concurrent transactions with
 *   the same key.  Only if that raises a unique violation, it looks for a tombstone
 *   with the key, displaces it, and inserts again.  The check of a deferrable
 *   constraint does the same.
 * - An upsert looks for conflicts with a scan under a dirty snapshot.  Our
 *   amgettuple displaces each tombstone that such a scan finds, and goes on to the
 *   next entry.  It does not wait for concurrent transactions, for the upsert does
 *   that itself, and then scans again.
 *
 * Where changes come from a publisher, nothing is armed: the worker that applies them looks
 * for rows with such a scan, too, and tombstones are among them.
 *
 * For an UPDATE, plan/modify.c adds a check that does the same for changed keys.  A
 * BEFORE UPDATE trigger would lock every row first.
 *
 * The BEFORE INSERT row trigger and the check probe: they look for tombstones with the
 * keys of a row before the row is written, there and in three cases.
 * - An index cannot be armed, such as that of an exclusion constraint that was
 *   added after tag().
 * - A constraint is deferrable: when it is checked, its index may not be armed any
 *   more.
 * - Changes of the table are decoded for logical replication: the subscriber must
 *   delete the tombstone before it inserts the row.
 *
 * Invariant: only a tombstone is displaced, and only after the transactions that
 * may still change it have ended.
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

/* A unique or exclusion index that contains tombstones, for probing it */
typedef struct KeptKey
{
	Oid index;
	bool is_deferrable;
	bool is_armed; /* the index itself reports who else has a key */
	IndexInfo *info;
	int nkeys; /* number of key columns */
	Oid *procs; /* for each, equality or the operator of the exclusion constraint */
	ScanKeyData scankeys[INDEX_MAX_KEYS];
} KeptKey;

/* What a statement that writes live rows into a relation needs */
typedef struct KeyClaims
{
	Oid relid;
	AttrNumber attnum; /* its tombstone column */
	List *keys;		   /* KeptKey of the indexes to probe */
	EState *estate;	   /* evaluates their expressions; NULL if there is none */
	TupleTableSlot *row;	  /* copy of the row whose keys are claimed */
	TupleTableSlot *existing; /* row that a probe finds */
	List *generated; /* stored generated columns that the indexes read */
} KeyClaims;

/*
 * What displacing the tombstones that have a key of one armed index needs.  It is kept
 * for the transaction, for a statement may insert many such keys.
 */
typedef struct Displacer
{
	Oid index;
	uint64 changes;		   /* value of relcache_changes when it was made */
	MemoryContext context; /* where it is, below that of the transaction */
	MemoryContext scratch; /* for one key */
	KeyClaims claims;
	KeptKey *key;
	int hope; /* for how many keys to look before they are inserted */
} Displacer;

PG_FUNCTION_INFO_V1(soft_delete_claims_key);
PG_FUNCTION_INFO_V1(soft_delete_step_aside);

/* The B-tree's routine with our functions, and the functions that they replace */
static IndexAmRoutine armed_routine;
static aminsert_function insert_into_btree = NULL;
static amgettuple_function next_in_btree = NULL;

/* A table all of whose unique indexes are armed */
typedef struct ArmedTable
{
	Oid relid;		   /* hash key */
	AttrNumber attnum; /* its tombstone column */
} ArmedTable;

/*
 * Hash table of ArmedTable, and the value of relcache_changes for which it is
 * valid: a rebuilt index descriptor is not armed.
 */
static HTAB *armed_tables = NULL;
static uint64 armed_at;

/* One that is in use is not in the list */
static TransactionList displacers;

/* After a tombstone was displaced, this many keys are looked for in advance */
#define HOPE_AFTER_DISPLACING 64

/* The dirty snapshot of our own scans, by which amgettuple recognizes them */
static SnapshotData probe_snapshot;

static AttrNumber armed_tombstone_column(Relation rel);
static bool may_arm(void);
static void check_new_row(Relation rel, AttrNumber attnum, TupleTableSlot *slot);
static void remember_armed_table(Oid relid, AttrNumber attnum, uint64 changes);
static KeyClaims *make_claims(Relation rel, bool arms, MemoryContext context);
static void make_probe_state(KeyClaims *claims, Relation rel);
static void free_claims(KeyClaims *claims);
static void find_kept_keys(KeyClaims *claims, Relation rel, bool arms);
static void arm_index(Relation index);
static bool insert_or_displace(Relation index, Datum *values, bool *isnull,
							   ItemPointer tid, Relation rel, IndexUniqueCheck check,
							   bool unchanged, IndexInfo *info);
static ErrorData *insert_or_catch(Relation index, Datum *values, bool *isnull,
								  ItemPointer tid, Relation rel,
								  IndexUniqueCheck check, bool unchanged,
								  IndexInfo *info, Displacer *displacer);
static void refuse_late_claim(Relation index, Datum *values, bool *isnull,
							  Relation rel);
static Displacer *make_displacer(Relation index, Relation rel);
static Displacer *take_displacer(Relation index);
static void put_displacer(Displacer *displacer);
static bool displace_key_holder(Displacer *displacer, Datum *values,
								bool *isnull, Relation rel);
static bool next_not_displaced(IndexScanDesc scan, ScanDirection direction);
static bool displace_at(Relation rel, ItemPointer tid);
static KeptKey *make_kept_key(KeyClaims *claims, Relation rel, Relation index);
static void find_generated_columns(KeyClaims *claims, Relation rel);
static TupleTableSlot *copy_with_generated_columns(KeyClaims *claims,
												   TupleTableSlot *slot);
static TupleTableSlot *store_composite(KeyClaims *claims, Relation rel,
									   HeapTupleHeader row);
static void claim_keys(KeyClaims *claims, Relation rel, TupleTableSlot *slot);
static bool form_key(KeyClaims *claims, KeptKey *key, TupleTableSlot *slot);
static void set_key(KeptKey *key, Datum *values, bool *isnull);
static bool free_key(KeyClaims *claims, KeptKey *key, Relation rel);
static bool find_key_holder(KeyClaims *claims, KeptKey *key, Relation rel,
							TransactionId *wait_for);
static bool is_same_key(KeyClaims *claims, KeptKey *key);
static void displace_tombstone(KeyClaims *claims, Relation rel);

/*
 * Arm the unique indexes of a relation for a row that is to be inserted, or displace the
 * tombstones that have a key of it.  What that needs is kept with the lookup of the
 * calling function.  Returns whether armed indexes suffice, for later rows too.
 *
 * Raises 0A000 if the row is a tombstone, unless the session is one of maintenance.
 */
bool
claim_keys_of_row(FmgrInfo *flinfo, Relation rel, TupleTableSlot *slot)
{
	KeyClaims *claims = flinfo->fn_extra;
	AttrNumber attnum =
		claims == NULL ? armed_tombstone_column(rel) : InvalidAttrNumber;

	if (attnum != InvalidAttrNumber)
	{
		check_new_row(rel, attnum, slot);
		return true;
	}
	if (claims == NULL || claims->relid != RelationGetRelid(rel))
	{
		claims = make_claims(rel, may_arm(), flinfo->fn_mcxt);
		flinfo->fn_extra = claims;
	}
	check_new_row(rel, claims->attnum, slot);
	if (claims->keys == NIL)
		return claims->attnum != InvalidAttrNumber;
	claim_keys(claims, rel, slot);
	return false;
}

/*
 * Return the tombstone column of a table if earlier statements have armed all of
 * its unique indexes, and none must be probed.  Else return InvalidAttrNumber, as
 * always if changes of the table are decoded for logical replication.
 */
static AttrNumber
armed_tombstone_column(Relation rel)
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
 * May this session arm indexes?  Not one that applies the changes of a publisher, where the
 * trigger fires if it was made to fire always.
 */
static bool
may_arm(void)
{
	return SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA;
}

/*
 * Raise 0A000 if a new row is a tombstone, unless this is a maintenance session.
 * COPY, and an INSERT that was planned before the library was loaded, do not have
 * the check that plan/modify.c adds.
 */
static void
check_new_row(Relation rel, AttrNumber attnum, TupleTableSlot *slot)
{
	Oid relid = RelationGetRelid(rel);

	if (attnum == InvalidAttrNumber || slot_attisnull(slot, attnum))
		return;
	/* the owner of the partitioned table may write into all partitions */
	if (rel->rd_rel->relispartition && !is_maintenance(relid))
		relid = llast_oid(get_partition_ancestors(relid));
	admit_tombstone(relid);
}

/*
 * Remember that all unique indexes of a table are armed, if the relation cache has
 * not changed since relcache_changes had the value "changes".
 */
static void
remember_armed_table(Oid relid, AttrNumber attnum, uint64 changes)
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
 * Arms the unique indexes of the relation, or displaces the tombstones that have a
 * key of the new version of a row, and returns true.  It is called by a check of
 * changed rows that plan/modify.c adds.  Because of the argument of type "internal"
 * it cannot be called in SQL.
 *
 * Raises XX000 if there is no such relation.
 */
Datum
soft_delete_claims_key(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	KeyClaims *claims = fcinfo->flinfo->fn_extra;
	Relation rel = table_open(relid, RowExclusiveLock);

	if (claims == NULL && armed_tombstone_column(rel) != InvalidAttrNumber)
	{
		table_close(rel, NoLock);
		PG_RETURN_BOOL(true);
	}
	if (claims == NULL || claims->relid != relid)
	{
		claims = make_claims(rel, may_arm(), fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = claims;
	}
	if (claims->keys != NIL)
		claim_keys(claims, rel,
				   store_composite(claims, rel, PG_GETARG_HEAPTUPLEHEADER(1)));
	table_close(rel, NoLock);
	PG_RETURN_BOOL(true);
}

/*
 * Displace the tombstones that have a key of a row which our own code is about to
 * insert.
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
 * Arm the unique indexes of a relation, so that tombstones with the keys of new rows are
 * displaced.  Returns whether that suffices, and no key must be probed.
 */
bool
arm_keys(Relation rel)
{
	KeyClaims *claims;
	bool suffices;

	if (armed_tombstone_column(rel) != InvalidAttrNumber)
		return true;
	claims = make_claims(rel, true, CurrentMemoryContext);
	suffices = claims->keys == NIL;
	free_claims(claims);
	return suffices;
}

/*
 * Make what claiming keys in a relation needs, in a memory context, and arm the
 * relation's unique indexes if "arms".  It has no reference to a relation or a
 * tuple descriptor of the relation cache, so nothing must be released after an
 * error.
 */
static KeyClaims *
make_claims(Relation rel, bool arms, MemoryContext context)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	KeyClaims *claims = palloc0(sizeof(KeyClaims));
	uint64 changes = relcache_changes;

	claims->relid = RelationGetRelid(rel);
	claims->attnum = tombstone_attribute(rel);

	/* a maintenance session writes rows as they are in a dump */
	if (claims->attnum != InvalidAttrNumber && !is_maintenance(claims->relid))
	{
		find_kept_keys(claims, rel, arms);
		if (arms && claims->keys == NIL)
			remember_armed_table(claims->relid, claims->attnum, changes);
	}
	MemoryContextSwitchTo(oldcontext);
	return claims;
}

/*
 * Make what probing an index needs: executor state and slots.
 */
static void
make_probe_state(KeyClaims *claims, Relation rel)
{
	MemoryContext oldcontext;
	TupleDesc tupdesc;

	claims->estate = CreateExecutorState();
	oldcontext = MemoryContextSwitchTo(claims->estate->es_query_cxt);
	/* a copy, for a reference to that of the relation cache must be released */
	tupdesc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	claims->row = make_slot(tupdesc, &TTSOpsVirtual);
	claims->existing = make_slot(tupdesc, table_slot_callbacks(rel));
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Free what make_claims() has made.
 */
static void
free_claims(KeyClaims *claims)
{
	if (claims->estate != NULL)
		FreeExecutorState(claims->estate);
	pfree(claims);
}

/*
 * Find the unique and exclusion indexes of the relation that contain tombstones and
 * must be probed.  If "arms", arm those that can be armed, which need not be probed
 * unless they are deferrable or changes are decoded.
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
 * Arm an index: replace the functions that insert into it and scan it.
 *
 * The executor keeps the index open while the statement writes to the table, so it
 * stays armed at least as long.  That it stays armed afterwards does no harm.
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
		armed_routine.amgettuple = next_not_displaced;
		insert_into_btree = index->rd_indam->aminsert;
		next_in_btree = index->rd_indam->amgettuple;
	}
	index->rd_indam = &armed_routine;
}

/*
 * Insert an entry into an armed index, and displace a tombstone with the same key
 * first if there is one (aminsert).
 */
static bool
insert_or_displace(Relation index, Datum *values, bool *isnull, ItemPointer tid,
				   Relation rel, IndexUniqueCheck check, bool unchanged,
				   IndexInfo *info)
{
	Displacer *displacer;
	ErrorData *error;

	if (check != UNIQUE_CHECK_EXISTING && check != UNIQUE_CHECK_YES)
		return insert_into_btree(index, values, isnull, tid, rel, check,
								 unchanged, info);
	/* where changes are decoded, tombstones were displaced before the row was written */
	if (check == UNIQUE_CHECK_YES && RelationIsLogicallyLogged(rel))
	{
		error = insert_or_catch(index, values, isnull, tid, rel, check,
								unchanged, info, NULL);
		if (error != NULL)
		{
			refuse_late_claim(index, values, isnull, rel);
			ReThrowError(error);
		}
		return true;
	}

	displacer = take_displacer(index);
	/* to look is cheaper than to catch an error */
	if (displacer != NULL && displacer->hope > 0 && check == UNIQUE_CHECK_YES)
		(void) displace_key_holder(displacer, values, isnull, rel);
	while ((error = insert_or_catch(index, values, isnull, tid, rel, check,
									unchanged, info, displacer)) != NULL)
	{
		if (displacer == NULL)
			displacer = make_displacer(index, rel);
		if (!displace_key_holder(displacer, values, isnull, rel))
		{
			put_displacer(displacer); /* a loop may catch many such errors */
			ReThrowError(error);
		}
		FreeErrorData(error);
	}
	if (displacer != NULL)
		put_displacer(displacer);
	return true;
}

/*
 * Insert an entry, or check one that exists.  Returns the error if it is a unique
 * violation, or NULL if there was no error.
 *
 * The B-tree raises a unique violation before it changes anything, and when it has
 * released its pages.  So the error can be caught without a subtransaction.
 */
static ErrorData *
insert_or_catch(Relation index, Datum *values, bool *isnull, ItemPointer tid,
				Relation rel, IndexUniqueCheck check, bool unchanged,
				IndexInfo *info, Displacer *displacer)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ErrorData *volatile error = NULL;

	/* what an error leaves behind must not add up */
	if (displacer != NULL)
		MemoryContextSwitchTo(displacer->scratch);
	PG_TRY();
	{
		(void) insert_into_btree(index, values, isnull, tid, rel, check,
								 unchanged, info);
		MemoryContextSwitchTo(oldcontext);
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
 * Raise 40001 if a tombstone has the key of an entry: the row that had it was deleted after
 * the tombstones with that key were displaced.  To displace it now would be decoded after
 * the new row.
 */
static void
refuse_late_claim(Relation index, Datum *values, bool *isnull, Relation rel)
{
	Displacer *displacer = make_displacer(index, rel);
	KeyClaims *claims = &displacer->claims;
	TransactionId wait_for;
	bool is_live = true;

	if (claims->attnum != InvalidAttrNumber && may_arm() &&
		!is_maintenance(RelationGetRelid(rel)))
	{
		set_key(displacer->key, values, isnull);
		if (find_key_holder(claims, displacer->key, rel, &wait_for))
			(void) slot_getattr(claims->existing, claims->attnum, &is_live);
		ExecClearTuple(claims->existing);
	}
	if (!is_live)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent delete")));
	FreeExecutorState(claims->estate);
	MemoryContextDelete(displacer->context); /* a loop may catch many such errors */
}

/*
 * Make what displacing tombstones needs that have a key of an armed index.
 */
static Displacer *
make_displacer(Relation index, Relation rel)
{
	MemoryContext context =
		AllocSetContextCreate(TopTransactionContext, "soft_delete displacer",
							  ALLOCSET_SMALL_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Displacer *displacer = palloc0(sizeof(Displacer));

	displacer->index = RelationGetRelid(index);
	displacer->changes = relcache_changes;
	displacer->context = context;
	displacer->scratch = AllocSetContextCreate(context, "soft_delete scratch",
											   ALLOCSET_SMALL_SIZES);
	displacer->claims.attnum = tombstone_attribute(rel);
	displacer->key = make_kept_key(&displacer->claims, rel, index);
	displacer->key->is_deferrable = false; /* it is checked now */
	displacer->key->is_armed = true;
	MemoryContextSwitchTo(oldcontext);
	return displacer;
}

/*
 * Take the displacer of an index out of those of the transaction.  Returns NULL if there
 * is none.  After an error it is not put back: its slot may have lost what it refers to.
 */
static Displacer *
take_displacer(Relation index)
{
	ListCell *lc;

	foreach (lc, kept_items(&displacers))
	{
		Displacer *displacer = lfirst(lc);

		if (displacer->index != RelationGetRelid(index))
			continue;
		displacers.items = foreach_delete_current(displacers.items, lc);
		if (displacer->changes == relcache_changes)
			return displacer;
		MemoryContextDelete(displacer->context);
	}
	return NULL;
}

/*
 * Keep a displacer until the transaction ends.
 */
static void
put_displacer(Displacer *displacer)
{
	MemoryContextReset(displacer->scratch);
	keep_item(&displacers, displacer);
}

/*
 * Displace the tombstone that has the key of an entry.  Returns false if there is
 * none.
 */
static bool
displace_key_holder(Displacer *displacer, Datum *values, bool *isnull, Relation rel)
{
	MemoryContext oldcontext;
	bool displaced;

	if (displacer->claims.attnum == InvalidAttrNumber ||
		is_maintenance(RelationGetRelid(rel)))
		return false;

	oldcontext = MemoryContextSwitchTo(displacer->scratch);
	set_key(displacer->key, values, isnull);
	displaced = free_key(&displacer->claims, displacer->key, rel);
	MemoryContextSwitchTo(oldcontext);
	displacer->hope = displaced ? HOPE_AFTER_DISPLACING : displacer->hope - 1;
	return displaced;
}

/*
 * Return the next entry of a scan of an armed index (amgettuple).  Displace each
 * tombstone that a scan under a dirty snapshot finds, and go on to the next entry:
 * only a statement that is about to insert a key scans so.
 */
static bool
next_not_displaced(IndexScanDesc scan, ScanDirection direction)
{
	while (next_in_btree(scan, direction))
	{
		if (scan->xs_snapshot == NULL || scan->heapRelation == NULL ||
			scan->xs_snapshot->snapshot_type != SNAPSHOT_DIRTY ||
			scan->xs_snapshot == &probe_snapshot ||
			!displace_at(scan->heapRelation, &scan->xs_heaptid))
			return true;
		scan->kill_prior_tuple = false; /* other transactions still see it */
	}
	return false;
}

/*
 * Displace the row that an index entry points to, if it is a tombstone.  Returns
 * false if it is not, or if a concurrent transaction may still change that.
 */
static bool
displace_at(Relation rel, ItemPointer tid)
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
	table_index_fetch_end(fetch);

	if (!is_live)
		displace_tombstone(&claims, rel);
	ExecDropSingleTupleTableSlot(claims.existing);
	return !is_live;
}

/*
 * Make what probing one index needs.
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
		if (TupleDescAttr(tupdesc, attno - 1)->attgenerated != ATTRIBUTE_GENERATED_STORED ||
			!bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, read))
			continue;
		claims->generated = add_generated_column(claims->generated, attno,
												 build_column_default(rel, attno),
												 claims->estate);
	}
}

/*
 * Return a copy of a row with its generated columns, which the executor computes
 * only after BEFORE triggers have fired.
 */
static TupleTableSlot *
copy_with_generated_columns(KeyClaims *claims, TupleTableSlot *slot)
{
	if (slot != claims->row)
		ExecCopySlot(claims->row, slot);
	compute_generated_columns(claims->generated, claims->estate, claims->row);
	return claims->row;
}

/*
 * Store a composite value in a slot, as a row of the relation, and return the slot.
 * The value is a row of the relation or of one of its ancestors.
 */
static TupleTableSlot *
store_composite(KeyClaims *claims, Relation rel, HeapTupleHeader row)
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
 * Displace the tombstones that have a key of a row.
 */
static void
claim_keys(KeyClaims *claims, Relation rel, TupleTableSlot *slot)
{
	ListCell *lc;

	ResetPerTupleExprContext(claims->estate);
	if (claims->generated != NIL)
		slot = copy_with_generated_columns(claims, slot);

	foreach (lc, claims->keys)
	{
		KeptKey *key = lfirst(lc);

		if (form_key(claims, key, slot))
			free_key(claims, key, rel);
	}
}

/*
 * Set the key to probe for to that of a row.  Returns false if the row does not
 * enter the index, or with a null by which it cannot conflict.
 */
static bool
form_key(KeyClaims *claims, KeptKey *key, TupleTableSlot *slot)
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
 * Set the key to probe for, in the scan keys of an index.
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
 * Displace every tombstone that has the key to probe for, or one if the index is armed.
 * Returns whether there was any.
 */
static bool
free_key(KeyClaims *claims, KeptKey *key, Relation rel)
{
	TransactionId wait_for;
	bool any = false;

	for (; find_key_holder(claims, key, rel, &wait_for); any = true)
	{
		ItemPointerData tid = claims->existing->tts_tid;

		if (!TransactionIdIsValid(wait_for))
		{
			displace_tombstone(claims, rel);
			if (key->is_armed)
				return true; /* to look again costs as much as to insert the entry */
			continue;
		}
		ExecClearTuple(claims->existing);
		if (key->is_deferrable)
			break; /* the check will wait */
		/* the key is free or not when that ends, as with any unique index */
		XactLockTableWait(wait_for, rel, &tid, XLTW_InsertIndex);
	}
	return any;
}

/*
 * Look for a tombstone that has the key to probe for.  Returns false if there is
 * none.  Else fetches it into claims->existing, and sets "wait_for" to the transaction
 * that must end before it is known whether the row is a tombstone, if there is one.
 *
 * A live row that a concurrent transaction is deleting is found, for it becomes a
 * tombstone.  A live row that one is inserting is not: the index itself waits for
 * that transaction, and reports the conflict.
 */
static bool
find_key_holder(KeyClaims *claims, KeptKey *key, Relation rel, TransactionId *wait_for)
{
	Relation index = index_open(key->index, NoLock);
	TupleTableSlot *slot = claims->existing;
	IndexScanDesc scan;
	bool found = false;

	InitDirtySnapshot(probe_snapshot);
	scan = begin_index_scan(rel, index, &probe_snapshot, key->nkeys);
	index_rescan(scan, key->scankeys, key->nkeys, NULL, 0);
	while (!found && index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		TransactionId inserter = probe_snapshot.xmin;
		TransactionId deleter = probe_snapshot.xmax;
		bool is_live;

		if (scan->xs_recheck && !is_same_key(claims, key))
			continue;
		(void) slot_getattr(slot, claims->attnum, &is_live);
		*wait_for = TransactionIdIsValid(inserter) ? inserter : deleter;
		found = !is_live ||
				(!TransactionIdIsValid(inserter) && TransactionIdIsValid(deleter));
	}
	if (!found)
		ExecClearTuple(slot);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/*
 * Does the row that a probe has found have the key to probe for?  A lossy index
 * does not know.
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
 * Move the tombstone in claims->existing to the companion of its table, unless another
 * transaction has changed it in the meantime.
 */
static void
displace_tombstone(KeyClaims *claims, Relation rel)
{
	TupleTableSlot *slot = claims->existing;
	TM_Result result;
	bool isnull;

	/* this command itself may have deleted the row */
	CommandCounterIncrement();

	result = destroy_version(rel, slot->tts_tid, true);
	if (result == TM_Ok)
		step_aside(rel, slot,
				   DatumGetTimestampTz(slot_getattr(slot, claims->attnum, &isnull)));
	else if (result != TM_Updated && result != TM_Deleted)
		elog(ERROR, "unexpected status of a tombstone to displace: %u", result);
	ExecClearTuple(slot);
}

/*
 * soft_delete_internal.step_aside(relation regclass, "row" tid) returns boolean
 *
 * Moves the tombstone at a place of a table to the companion of the table.
 * Returns false if there is none, or none any more.
 *
 * Raises 42501 unless the caller owns the table, 42P01 if there is no such table.
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

			/* types and indexes may call functions of the owner */
			become_owner(rel, &saved);
			displace_tombstone(&claims, rel);
			restore_role(&saved);
		}
		ExecDropSingleTupleTableSlot(claims.existing);
	}
	table_close(rel, NoLock);
	PG_RETURN_BOOL(!is_live);
}
