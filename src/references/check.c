/*
 * check.c
 *	  The constraint trigger that refuses references to deleted rows, where the
 *	  server looks for the referenced row without the planner.
 *
 * Up to PostgreSQL 18 a foreign key looks for the parent of a new child by a
 * planned query, which the live filter reaches.  From 19 on it probes the
 * parent's index, which knows nothing of tombstones.  There each foreign key
 * that references a tagged table gets a second constraint trigger on the
 * referencing table.  It probes the same index once more and looks at the
 * tombstone column.
 *
 * The trigger fires for just the rows that the server checks, right after the
 * server's own (triggers fire in the order of their names), in the same
 * subtransaction.  By then the server has found the parent, whatever its row
 * security, and has locked its newest version FOR KEY SHARE, or has raised 40001
 * where the transaction keeps its snapshot.  A deletion takes a conflicting lock.
 * So until the subtransaction ends, no other transaction can delete that parent,
 * change its key or insert another row with that key; and if the subtransaction is
 * rolled back, so is the child.  Therefore
 *
 * - the trigger takes no lock of its own;
 * - a live version that is committed, or is our own, is proof, however old the
 *   transaction's snapshot is, and SnapshotSelf finds it without the price of a
 *   snapshot.  SnapshotSelf may miss the parent while another transaction updates
 *   another column of it: the new version is read before that commits, the old one
 *   after it.  So a missing parent is believed only of a snapshot that was taken
 *   after the lock, which cannot miss it;
 * - a parent that a command has accepted stays accepted until the transaction
 *   itself writes, which begins another command.
 *
 * Invariant: the trigger raises nothing but what the foreign key would raise if
 * the deleted parent did not exist.  trigger.c creates it.
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

/* How an attribute of the parent's index is compared with the child's attribute */
typedef struct ReferenceKey
{
	ScanKeyData scankey; /* its argument is set for each child */
	AttrNumber child_attnum;
	FmgrInfo cast; /* applied to the child's value if fn_oid is valid */
} ReferenceKey;

/* A foreign key, and how the parent of a child is found */
typedef struct Reference
{
	Oid constraint;	 /* hash key */
	bool is_loaded;	 /* the members below are set */
	bool is_changed; /* it or its parent has been altered since then */
	Oid parent;
	Oid index;			  /* of the parent, on the referenced columns */
	AttrNumber tombstone; /* the tombstone column of the parent */
	int nkeys;
	AttrNumber child_attnums[INDEX_MAX_KEYS]; /* in the foreign key's order */
	ReferenceKey keys[INDEX_MAX_KEYS];		  /* in the index's order */
} Reference;

/* The values of a child's key, one after the other, padded with zeros */
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
	uint64 hits;	 /* how many rows referenced one of them again */
	bool is_useless; /* too few did: none are kept any more */
} AcceptedParents;

#define MAX_ACCEPTED_PARENTS 10000

/* The foreign keys that this session has checked */
static HTAB *references = NULL;

PG_FUNCTION_INFO_V1(soft_delete_check_reference);

static void invalidate_all(Datum arg, int cacheid, uint32 hashvalue);
static void invalidate_references_to(Datum arg, Oid relid);
static Reference *open_reference(Oid constraint);
static void load_reference(Reference *ref);
static AttrNumber attribute_of_index(Relation index, AttrNumber attnum);
static void load_reference_key(ReferenceKey *key, Relation index,
							   AttrNumber attnum, Oid operator,
							   AttrNumber child_attnum, Oid child_type);
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
 * Its symbol is that of version 0.2.0, whose triggers call it until the extension is
 * updated.
 *
 * The constraint trigger of a foreign key on its referencing table: AFTER INSERT
 * OR UPDATE.
 *
 * Raises 23503, as the foreign key itself would, if a new child has no live
 * parent; 39P01 where it is not called as the trigger that trigger.c creates.
 */
Datum
soft_delete_check_reference(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleTableSlot *slot;
	Reference *ref;

	check_called_as_key_trigger(fcinfo, REFERENCE_CHECK,
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
 * Return a foreign key from the cache of this session, and load it if it is not
 * there or has changed.
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
		CacheRegisterSyscacheCallback(CONSTROID, invalidate_all, (Datum) 0);
		CacheRegisterRelcacheCallback(invalidate_references_to, (Datum) 0);
	}

	ref = hash_search(references, &constraint, HASH_ENTER, &found);
	if (!found)
		ref->is_loaded = false;
	if (!ref->is_loaded || ref->is_changed)
		load_reference(ref);
	return ref;
}

/*
 * Mark all foreign keys as changed, because one constraint is, which is rare
 * (syscache callback).
 */
static void
invalidate_all(Datum arg, int cacheid, uint32 hashvalue)
{
	invalidate_references_to(arg, InvalidOid);
}

/*
 * Mark the foreign keys that reference a relation as changed, or all of them if
 * the relation is InvalidOid (relcache callback).
 */
static void
invalidate_references_to(Datum arg, Oid relid)
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
 * Load a foreign key from its row of pg_constraint.
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

	/* first, so that a change during the load is noticed, and so is an error */
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
		/* the index may have the columns in another order, that of the scan keys */
		AttrNumber attnum = attribute_of_index(index, parent_attnums[i]);

		load_reference_key(&ref->keys[attnum - 1], index, attnum, operators[i],
						   ref->child_attnums[i],
						   get_atttype(con->conrelid, ref->child_attnums[i]));
	}
	index_close(index, NoLock);
	table_close(parent, NoLock);
	ReleaseSysCache(tuple);
	ref->is_loaded = true;
}

/*
 * Return the number that a column of the parent has in the index.
 */
static AttrNumber
attribute_of_index(Relation index, AttrNumber attnum)
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
 * Set how an attribute of the index is compared with a column of the child: by
 * the operator of the foreign key, after the implicit cast from the type of the
 * column to that of the operator's right side.
 */
static void
load_reference_key(ReferenceKey *key, Relation index, AttrNumber attnum,
				   Oid operator, AttrNumber child_attnum, Oid child_type)
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

	/* a polymorphic type takes the value as it is: there is no cast to it */
	if (child_type != right)
		(void) find_coercion_pathway(right, child_type, COERCION_IMPLICIT, &cast);
	key->cast.fn_oid = InvalidOid;
	if (OidIsValid(cast))
		fmgr_info_cxt(cast, &key->cast, TopMemoryContext);
}

/*
 * Has the server's own trigger checked the new version of a child?  It has not if
 * a column of the key is null, or if the old version, which has the same key, has
 * been checked.
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
		/* RI_FKey_fk_upd_check_required() expects the trigger of the foreign key */
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
 * They are kept while the triggers of one statement fire, and only from the second
 * row on: a statement that inserts a single row does not pay for a hash table.
 */
static AcceptedParents *
open_accepted(FunctionCallInfo fcinfo, Reference *ref)
{
	AcceptedParents *accepted = fcinfo->flinfo->fn_extra;
	CommandId cid;

	/* earlier writes of the transaction become visible, and begin a new command */
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
 * Does the child have a live parent?  The parent is looked for unless this command
 * has accepted it before.
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
		/* drop the parents that are kept if rows rarely reference one again */
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
 * Make the image of a child's key: equal images mean equal keys.  Returns false if
 * the key does not fit.
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
 * Is there a live parent of a child?  Its index is probed with the rights of the
 * parent's owner, as the foreign key does.  In a maintenance session a deleted
 * parent will do, too.
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
			(is_maintenance(ref->parent) && !has_written_for_others(ref->parent));
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
 * Set the scan keys that find the parent of a child in the index.
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
			/* what the functions allocate is freed with the row */
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
 * Does the snapshot see a live parent with those keys?
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
 * Raise 23503, with the message of the foreign key, for a child without a live
 * parent.
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
