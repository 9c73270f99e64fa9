/*
 * check.c
 *	  Checks that the parent of a new child is not deleted, where the server does not
 *	  ask the planner.
 *
 * Up to PostgreSQL 18 a foreign key looks for the parent of a new child by a
 * planned query, which the live filter reaches.  From 19 on it probes the
 * parent's index, which knows nothing of tombstones.  There each foreign key
 * that references a tagged table gets a reference trigger: a constraint trigger on the
 * referencing table that probes the same index once more and looks at the
 * tombstone column.
 *
 * The trigger runs for just the rows that the server checks, right after the
 * server (triggers fire in name order), in the same subtransaction.  So the
 * server has found the parent by then, whatever its row security, and holds a
 * FOR KEY SHARE lock on it, waited for and followed to the newest version if
 * need be, or has raised 40001 where the transaction keeps its snapshot.
 * Deletions lock more strongly.  Until the subtransaction ends nobody else can
 * delete that parent, change its key or make another row of that key, and when
 * it is rolled back the child goes too.  Hence
 *
 * - the trigger takes no lock of its own;
 * - a live version that is committed or ours is proof, however old the
 *   transaction's snapshot is, and SnapshotSelf finds it without the price of
 *   a snapshot.  It may miss the parent while somebody updates another column:
 *   the new version is looked at too early, the old one too late.  So only a
 *   snapshot taken after the lock, which cannot miss it, is believed when it
 *   sees no live parent;
 * - what a command has accepted once stays accepted, as long as the
 *   transaction itself has not written since, which would begin another
 *   command.
 *
 * Invariant: the trigger raises nothing but what the foreign key would raise if the
 * deleted parent were gone.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "references/sd_references.h"

/* How an attribute of the parent's index is compared with the child's */
typedef struct ReferenceKey
{
	ScanKeyData scankey; /* but for its argument */
	AttrNumber child_attnum;
	FmgrInfo cast; /* of the child's value, if fn_oid is valid */
} ReferenceKey;

/* A foreign key, and how its parent is found */
typedef struct Reference
{
	Oid constraint; /* hash key */
	bool is_loaded;
	bool is_changed; /* since, or its parent is */
	Oid parent;
	Oid index;			  /* of the parent, on the referenced columns */
	AttrNumber tombstone; /* of the parent */
	int nkeys;
	AttrNumber child_attnums[INDEX_MAX_KEYS]; /* in the foreign key's order */
	ReferenceKey keys[INDEX_MAX_KEYS];		  /* in the index's order */
} Reference;

/* The values of a child's key, one after the other */
typedef struct KeyImage
{
	char data[32];
} KeyImage;

/* The parents that a command has accepted for a foreign key */
typedef struct AcceptedParents
{
	Oid constraint;
	CommandId cid;
	HTAB *keys;		 /* of KeyImage; NULL before the second row */
	uint64 hits;	 /* how often one of them came again */
	bool is_useless; /* they do not come again */
} AcceptedParents;

#define MAX_ACCEPTED_PARENTS 10000

/* The foreign keys that this session has checked */
static HTAB *references = NULL;

PG_FUNCTION_INFO_V1(soft_delete_check_reference);

static void forget_references(Datum arg, int cacheid, uint32 hashvalue);
static void forget_parent(Datum arg, Oid relid);
static Reference *open_reference(Oid constraint);
static void load_reference(Reference *ref);
static AttrNumber index_attribute(Relation index, AttrNumber attnum);
static void load_key(ReferenceKey *key, Relation index, AttrNumber attnum,
					 Oid operator, AttrNumber child_attnum, Oid child_type);
static bool needs_check(TriggerData *trigdata, Reference *ref, TupleTableSlot *slot);
static AcceptedParents *open_accepted(FunctionCallInfo fcinfo, Reference *ref);
static bool has_accepted_parent(AcceptedParents *accepted, Reference *ref,
								TupleTableSlot *slot);
static bool make_key_image(Reference *ref, TupleTableSlot *slot, KeyImage *image);
static bool has_live_parent(Reference *ref, TupleTableSlot *slot);
static void fill_scankeys(Reference *ref, TupleTableSlot *slot, ScanKey scankeys);
static bool probe_parent(Reference *ref, Relation parent, Relation index,
						 ScanKey scankeys, Snapshot snapshot);
static void report_missing_parent(Reference *ref, Relation child,
								  TupleTableSlot *slot);

/*
 * soft_delete_internal.check_parent() returns trigger
 *
 * The trigger of a foreign key on its referencing table.  Raises 23503, as the foreign
 * key itself would, if a new child has no live parent; 39P01 where it is not called as
 * the trigger of a foreign key.
 */
Datum
soft_delete_check_reference(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleTableSlot *slot;
	Reference *ref;

	check_called_as_reference_trigger(fcinfo, REFERENCE_CHECK,
									  "soft_delete_internal.check_parent");

	ref = open_reference(trigdata->tg_trigger->tgconstraint);
	slot = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newslot
													   : trigdata->tg_trigslot;
	if (needs_check(trigdata, ref, slot) &&
		!has_accepted_parent(open_accepted(fcinfo, ref), ref, slot) &&
		table_tuple_satisfies_snapshot(trigdata->tg_relation, slot, SnapshotSelf))
		report_missing_parent(ref, trigdata->tg_relation, slot);
	return PointerGetDatum(NULL);
}

/*
 * Return what is known of a foreign key, loading it if it is new or changed.
 */
static Reference *
open_reference(Oid constraint)
{
	Reference *ref;
	bool found;

	if (references == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(Reference)};

		references = hash_create("soft_delete references", 16, &ctl,
								 HASH_ELEM | HASH_BLOBS);
		CacheRegisterSyscacheCallback(CONSTROID, forget_references, (Datum) 0);
		CacheRegisterRelcacheCallback(forget_parent, (Datum) 0);
	}

	ref = hash_search(references, &constraint, HASH_ENTER, &found);
	if (!found)
		ref->is_loaded = false;
	if (!ref->is_loaded || ref->is_changed)
		load_reference(ref);
	return ref;
}

/*
 * Mark everything as changed: foreign keys rarely are (syscache callback).
 */
static void
forget_references(Datum arg, int cacheid, uint32 hashvalue)
{
	forget_parent(arg, InvalidOid);
}

/*
 * Mark the foreign keys that reference a relation as changed, all of them if it
 * is InvalidOid (relcache callback).
 */
static void
forget_parent(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	Reference *ref;

	hash_seq_init(&status, references);
	while ((ref = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || relid == ref->parent)
			ref->is_changed = true;
	}
}

/*
 * Take over a foreign key from its catalog row.
 */
static void
load_reference(Reference *ref)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(ref->constraint));
	AttrNumber parent_attnums[INDEX_MAX_KEYS];
	Oid operators[INDEX_MAX_KEYS]; /* parent key = child key */
	Form_pg_constraint con;
	Relation parent, index;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", ref->constraint);
	con = (Form_pg_constraint) GETSTRUCT(tuple);

	/* a change that comes meanwhile counts, and so does an error */
	ref->is_loaded = false;
	ref->is_changed = false;
	ref->parent = con->confrelid;
	ref->index = con->conindid;
	DeconstructFkConstraintRow(tuple, &ref->nkeys, ref->child_attnums,
							   parent_attnums, operators, NULL, NULL, NULL, NULL);

	parent = table_open(ref->parent, RowShareLock);
	index = index_open(ref->index, AccessShareLock);
	ref->tombstone = tombstone_attribute(parent);
	for (int i = 0; i < ref->nkeys; i++)
	{
		/* the index may have them in another order, and wants its own */
		AttrNumber attnum = index_attribute(index, parent_attnums[i]);

		load_key(&ref->keys[attnum - 1], index, attnum, operators[i],
				 ref->child_attnums[i],
				 get_atttype(con->conrelid, ref->child_attnums[i]));
	}
	index_close(index, NoLock);
	table_close(parent, NoLock);
	ReleaseSysCache(tuple);
	ref->is_loaded = true;
}

/*
 * Return which attribute of the index a column of the parent is.
 */
static AttrNumber
index_attribute(Relation index, AttrNumber attnum)
{
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		if (index->rd_index->indkey.values[i] == attnum)
			return i + 1;
	}
	elog(ERROR, "column %d is not in index \"%s\"", attnum,
		 RelationGetRelationName(index));
	return InvalidAttrNumber; /* keep compiler quiet */
}

/*
 * Find out how an attribute of the index is compared with the child's column of
 * the type: by the operator of the foreign key, after the implicit cast that
 * made the operator fit.
 */
static void
load_key(ReferenceKey *key, Relation index, AttrNumber attnum, Oid operator,
		 AttrNumber child_attnum, Oid child_type)
{
	Oid opfamily = index->rd_opfamily[attnum - 1];
	Oid left, right, cast = InvalidOid;
	FmgrInfo function;
	int strategy;

	get_op_opfamily_properties(operator, opfamily, false, &strategy, &left, &right);
	fmgr_info_cxt(get_opcode(operator), &function, TopMemoryContext);
	ScanKeyEntryInitializeWithInfo(&key->scankey, 0, attnum, strategy, right,
								   index->rd_indcollation[attnum - 1],
								   &function, (Datum) 0);
	key->child_attnum = child_attnum;

	/* no path leads to a polymorphic type, which takes the value as it is */
	if (child_type != right)
		(void) find_coercion_pathway(right, child_type, COERCION_IMPLICIT, &cast);
	key->cast.fn_oid = InvalidOid;
	if (OidIsValid(cast))
		fmgr_info_cxt(cast, &key->cast, TopMemoryContext);
}

/*
 * Was the new version of a child checked by the foreign key?  Not if it refers
 * to nothing, or to what its old version has been checked for.
 */
static bool
needs_check(TriggerData *trigdata, Reference *ref, TupleTableSlot *slot)
{
	for (int i = 0; i < ref->nkeys; i++)
	{
		if (slot_attisnull(slot, ref->child_attnums[i]))
			return false;
	}

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		/* as it would be asked for the trigger of the foreign key */
		Trigger trigger = *trigdata->tg_trigger;

		trigger.tgconstrrelid = ref->parent;
		return RI_FKey_fk_upd_check_required(&trigger, trigdata->tg_relation,
											 trigdata->tg_trigslot, slot);
	}
	return true;
}

/*
 * Return the parents that this command has accepted for the foreign key.
 *
 * They are kept while the triggers of one statement fire, and from the second
 * row on, so that a single row does not pay for it.
 */
static AcceptedParents *
open_accepted(FunctionCallInfo fcinfo, Reference *ref)
{
	AcceptedParents *accepted = fcinfo->flinfo->fn_extra;
	CommandId cid;

	/* see what was done meanwhile, and notice that it was done */
	CommandCounterIncrement();
	cid = GetCurrentCommandId(false);

	if (accepted == NULL)
	{
		accepted = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
										  sizeof(AcceptedParents));
		fcinfo->flinfo->fn_extra = accepted;
	}
	if (accepted->cid != cid || accepted->constraint != ref->constraint)
	{
		if (accepted->keys != NULL)
			hash_destroy(accepted->keys);
		memset(accepted, 0, sizeof(AcceptedParents));
		accepted->constraint = ref->constraint;
		accepted->cid = cid;
	}
	else if (accepted->keys == NULL && !accepted->is_useless)
	{
		HASHCTL ctl = {.keysize = sizeof(KeyImage),
					   .entrysize = sizeof(KeyImage),
					   .hcxt = fcinfo->flinfo->fn_mcxt};

		accepted->keys = hash_create("soft_delete accepted parents", 64, &ctl,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return accepted;
}

/*
 * Has the child a live parent?  Looks for it unless this command has accepted
 * it before.
 */
static bool
has_accepted_parent(AcceptedParents *accepted, Reference *ref, TupleTableSlot *slot)
{
	bool is_full, known;
	KeyImage image;

	if (accepted->keys == NULL || !make_key_image(ref, slot, &image))
		return has_live_parent(ref, slot);

	is_full = hash_get_num_entries(accepted->keys) >= MAX_ACCEPTED_PARENTS;
	hash_search(accepted->keys, &image, is_full ? HASH_FIND : HASH_ENTER, &known);
	if (known)
	{
		accepted->hits++;
		return true;
	}
	if (has_live_parent(ref, slot))
	{
		/* parents that do not come again are not worth keeping */
		if (is_full && accepted->hits < MAX_ACCEPTED_PARENTS)
		{
			hash_destroy(accepted->keys);
			accepted->keys = NULL;
			accepted->is_useless = true;
		}
		return true;
	}
	hash_search(accepted->keys, &image, HASH_REMOVE, NULL);
	return false;
}

/*
 * Make the image of a child's key, of which equal ones stand for equal keys.
 * Returns false if there is no room for it.
 */
static bool
make_key_image(Reference *ref, TupleTableSlot *slot, KeyImage *image)
{
	Size used = 0;

	memset(image, 0, sizeof(KeyImage));
	for (int i = 0; i < ref->nkeys; i++)
	{
		AttrNumber attnum = ref->child_attnums[i];
		Form_pg_attribute att =
			TupleDescAttr(slot->tts_tupleDescriptor, attnum - 1);
		bool isnull;
		Datum value = slot_getattr(slot, attnum, &isnull);
		void *data = att->attbyval ? (void *) &value : DatumGetPointer(value);
		Size size;

		if (att->attlen == -1 && VARATT_IS_EXTERNAL(data))
			return false;
		size = att->attbyval ? sizeof(Datum)
							 : datumGetSize(value, false, att->attlen);
		if (used + size > sizeof(KeyImage))
			return false;
		memcpy(image->data + used, data, size);
		used += size;
	}
	return true;
}

/*
 * Look for the live parent of a child, with the rights of its owner, as the
 * foreign key does.  To a maintenance session a deleted parent is as good.
 */
static bool
has_live_parent(Reference *ref, TupleTableSlot *slot)
{
	Relation parent = table_open(ref->parent, RowShareLock);
	Relation index = index_open(ref->index, AccessShareLock);
	ScanKeyData scankeys[INDEX_MAX_KEYS];
	SavedRole saved;
	bool found;

	become_owner_for_reference(ref->parent, &saved);
	fill_scankeys(ref, slot, scankeys);
	found = probe_parent(ref, parent, index, scankeys, SnapshotSelf) ||
			is_maintenance(ref->parent);
	if (!found)
	{
		Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());

		found = probe_parent(ref, parent, index, scankeys, snapshot);
		UnregisterSnapshot(snapshot);
	}
	restore_role(&saved);

	index_close(index, NoLock);
	table_close(parent, NoLock);
	return found;
}

/*
 * Make the keys that find the parent of a child in the index.
 */
static void
fill_scankeys(Reference *ref, TupleTableSlot *slot, ScanKey scankeys)
{
	for (int i = 0; i < ref->nkeys; i++)
	{
		ReferenceKey *key = &ref->keys[i];
		bool isnull;
		Datum value = slot_getattr(slot, key->child_attnum, &isnull);

		if (OidIsValid(key->cast.fn_oid))
		{
			/* whatever the functions keep goes with the row */
			FmgrInfo cast = key->cast;

			cast.fn_mcxt = CurrentMemoryContext;
			value = FunctionCall3(&cast, value, Int32GetDatum(-1),
								  BoolGetDatum(false));
		}
		scankeys[i] = key->scankey;
		scankeys[i].sk_func.fn_mcxt = CurrentMemoryContext;
		scankeys[i].sk_argument = value;
	}
}

/*
 * Does the snapshot see a live parent?
 */
static bool
probe_parent(Reference *ref, Relation parent, Relation index, ScanKey scankeys,
			 Snapshot snapshot)
{
	TupleTableSlot *slot = table_slot_create(parent, NULL);
	IndexScanDesc scan = begin_index_scan(parent, index, snapshot, ref->nkeys);
	bool found = false;

	index_rescan(scan, scankeys, ref->nkeys, NULL, 0);
	while (!found && index_getnext_slot(scan, ForwardScanDirection, slot))
		found = slot_attisnull(slot, ref->tombstone);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/*
 * Raise 23503 in the words of a foreign key.
 */
static void
report_missing_parent(Reference *ref, Relation child, TupleTableSlot *slot)
{
	char *parent = get_rel_name(ref->parent);
	char *name = get_constraint_name(ref->constraint);

	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
					RelationGetRelationName(child), name),
			 may_read(RelationGetRelid(child), ref->nkeys, ref->child_attnums)
				 ? errdetail("Key %s is not present in table \"%s\".",
							 key_description(ref->nkeys, slot, ref->child_attnums), parent)
				 : errdetail("Key is not present in table \"%s\".", parent),
			 errtableconstraint(child, name)));
}
