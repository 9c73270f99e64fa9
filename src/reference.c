/*
 * reference.c
 *	  Keeps children from deleted parents where the server does not ask the
 *	  planner.
 *
 * Up to PostgreSQL 18 a foreign key looks for the parent of a new child by a
 * planned query, which the live filter reaches.  From 19 on it probes the
 * parent's index, which knows nothing of tombstones.  There each foreign key
 * that references a tagged table gets a guard: a constraint trigger on the
 * referencing table that asks for the parent once more, by that query.
 *
 * Invariant: a guard raises nothing but what the foreign key would raise if the
 * deleted parent were gone.
 */
#include "soft_delete.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A foreign key, and the query that looks for a live parent */
typedef struct Reference
{
	Oid constraint; /* hash key */
	bool is_valid;	/* false once pg_constraint has changed */
	Oid parent;
	int nkeys;
	AttrNumber child_attnums[INDEX_MAX_KEYS];
	AttrNumber parent_attnums[INDEX_MAX_KEYS];
	Oid operators[INDEX_MAX_KEYS]; /* parent key = child key */
	SPIPlanPtr plan;
} Reference;

/* The foreign keys that this session has checked */
static HTAB *references = NULL;

PG_FUNCTION_INFO_V1(soft_delete_check_reference);

static void forget_references(Datum arg, int cacheid, uint32 hashvalue);
static Reference *open_reference(Oid constraint);
static void load_reference(Reference *ref, HeapTuple tuple);
static SPIPlanPtr prepare_parent_query(Reference *ref, Relation child);
static bool needs_check(TriggerData *trigdata, Reference *ref, TupleTableSlot *slot);
static bool has_live_parent(Reference *ref, TupleTableSlot *slot);
static void report_missing_parent(Reference *ref, Relation child,
								  TupleTableSlot *slot);
static bool may_see_key(Reference *ref, Relation child);

/*
 * soft_delete.check_reference() returns trigger
 *
 * The guard.  Raises 23503, as the foreign key itself would, if a new child has
 * no live parent; 39P01 where it is not called as a guard.
 */
Datum
soft_delete_check_reference(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleTableSlot *slot;
	Reference *ref;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) ||
		!trigdata->tg_trigger->tgisinternal)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as the guard of a foreign key",
						"soft_delete.check_reference"),
				 errhint("Use SELECT soft_delete.tag('table') to tag a table, which guards what references it.")));

	ref = open_reference(trigdata->tg_trigger->tgconstraint);
	slot = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newslot
													   : trigdata->tg_trigslot;
	if (needs_check(trigdata, ref, slot))
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		if (ref->plan == NULL)
			ref->plan = prepare_parent_query(ref, trigdata->tg_relation);
		if (!has_live_parent(ref, slot))
			report_missing_parent(ref, trigdata->tg_relation, slot);
		SPI_finish();
	}
	return PointerGetDatum(NULL);
}

/*
 * Return what is known of a foreign key, loading it if it is new or changed.
 */
static Reference *
open_reference(Oid constraint)
{
	Reference *ref;
	HeapTuple tuple;
	bool found;

	if (references == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(Reference)};

		references = hash_create("soft_delete references", 16, &ctl,
								 HASH_ELEM | HASH_BLOBS);
		CacheRegisterSyscacheCallback(CONSTROID, forget_references, (Datum) 0);
	}

	ref = hash_search(references, &constraint, HASH_ENTER, &found);
	if (!found)
	{
		ref->plan = NULL;
		ref->is_valid = false;
	}
	if (!ref->is_valid)
	{
		tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for constraint %u", constraint);
		load_reference(ref, tuple);
		ReleaseSysCache(tuple);
	}
	return ref;
}

/*
 * Mark everything as changed: foreign keys rarely are (syscache callback).
 */
static void
forget_references(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	Reference *ref;

	hash_seq_init(&status, references);
	while ((ref = hash_seq_search(&status)) != NULL)
		ref->is_valid = false;
}

/*
 * Take over a foreign key from its catalog row.
 */
static void
load_reference(Reference *ref, HeapTuple tuple)
{
	SPIPlanPtr plan = ref->plan;

	ref->plan = NULL;
	if (plan != NULL)
		SPI_freeplan(plan);
	/* a change that comes meanwhile counts */
	ref->is_valid = true;
	ref->parent = ((Form_pg_constraint) GETSTRUCT(tuple))->confrelid;
	DeconstructFkConstraintRow(tuple, &ref->nkeys, ref->child_attnums,
							   ref->parent_attnums, ref->operators, NULL, NULL,
							   NULL, NULL);
}

/*
 * Prepare the query that finds and locks a live parent: that of the foreign
 * key, which the live filter reaches.
 */
static SPIPlanPtr
prepare_parent_query(Reference *ref, Relation child)
{
	Oid argtypes[INDEX_MAX_KEYS];
	StringInfoData query;
	SPIPlanPtr plan;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT 1 FROM ONLY %s x WHERE ",
					 qualified_name(ref->parent));
	for (int i = 0; i < ref->nkeys; i++)
	{
		const char *column = quote_identifier(
			get_attname(ref->parent, ref->parent_attnums[i], false));

		argtypes[i] = get_atttype(RelationGetRelid(child), ref->child_attnums[i]);
		if (i > 0)
			appendStringInfoString(&query, " AND ");
		generate_operator_clause(&query, psprintf("x.%s", column),
								 get_atttype(ref->parent, ref->parent_attnums[i]),
								 ref->operators[i], psprintf("$%d", i + 1),
								 argtypes[i]);
	}
	appendStringInfoString(&query, " FOR KEY SHARE OF x");

	plan = SPI_prepare(query.data, ref->nkeys, argtypes);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s for %s",
			 SPI_result_code_string(SPI_result), query.data);
	SPI_keepplan(plan);
	return plan;
}

/*
 * Must the new version of a child have its parent checked?  Not if it is gone
 * already, refers to nothing, or refers to what it has been checked for.
 */
static bool
needs_check(TriggerData *trigdata, Reference *ref, TupleTableSlot *slot)
{
	TupleTableSlot *old = trigdata->tg_trigslot;
	bool changed = false;

	if (!table_tuple_satisfies_snapshot(trigdata->tg_relation, slot, SnapshotSelf))
		return false;

	for (int i = 0; i < ref->nkeys; i++)
	{
		AttrNumber attnum = ref->child_attnums[i];
		Form_pg_attribute att =
			TupleDescAttr(slot->tts_tupleDescriptor, attnum - 1);
		bool isnull, old_isnull;
		Datum value = slot_getattr(slot, attnum, &isnull);
		Datum old_value = slot_getattr(old, attnum, &old_isnull);

		if (isnull)
			return false;
		changed = changed || old_isnull ||
				  !datum_image_eq(value, old_value, att->attbyval, att->attlen);
	}

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) && !changed)
	{
		/* the check of a row of this transaction may have been left to here */
		bool isnull;
		Datum xmin = slot_getsysattr(old, MinTransactionIdAttributeNumber, &isnull);

		return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
	}
	return true;
}

/*
 * Look for the live parent of a child and lock it, with the rights of its
 * owner, as the foreign key does.
 */
static bool
has_live_parent(Reference *ref, TupleTableSlot *slot)
{
	Datum values[INDEX_MAX_KEYS];
	Relation parent;
	Oid save_userid;
	int save_sec_context;

	for (int i = 0; i < ref->nkeys; i++)
	{
		bool isnull;

		values[i] = slot_getattr(slot, ref->child_attnums[i], &isnull);
	}

	parent = table_open(ref->parent, RowShareLock);
	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(parent->rd_rel->relowner,
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_NOFORCE_RLS);
	if (SPI_execute_snapshot(ref->plan, values, NULL, InvalidSnapshot,
							 InvalidSnapshot, false, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_snapshot failed");
	SetUserIdAndSecContext(save_userid, save_sec_context);
	table_close(parent, NoLock);
	return SPI_processed > 0;
}

/*
 * Raise 23503 in the words of a foreign key.
 */
static void
report_missing_parent(Reference *ref, Relation child, TupleTableSlot *slot)
{
	char *parent = get_rel_name(ref->parent);
	char *name = get_constraint_name(ref->constraint);
	StringInfoData names, values;

	initStringInfo(&names);
	initStringInfo(&values);
	for (int i = 0; i < ref->nkeys; i++)
	{
		AttrNumber attnum = ref->child_attnums[i];
		Oid output;
		bool is_varlena, isnull;
		Datum value = slot_getattr(slot, attnum, &isnull);

		getTypeOutputInfo(get_atttype(RelationGetRelid(child), attnum), &output,
						  &is_varlena);
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
						 get_attname(RelationGetRelid(child), attnum, false));
		appendStringInfo(&values, "%s%s", i > 0 ? ", " : "",
						 OidOutputFunctionCall(output, value));
	}

	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
					RelationGetRelationName(child), name),
			 may_see_key(ref, child)
				 ? errdetail("Key (%s)=(%s) is not present in table \"%s\".",
							 names.data, values.data, parent)
				 : errdetail("Key is not present in table \"%s\".", parent),
			 errtableconstraint(child, name)));
}

/*
 * May the role that writes read the key of the row that it wrote?  Not where
 * row security is in force, or without SELECT on it.
 */
static bool
may_see_key(Reference *ref, Relation child)
{
	Oid relid = RelationGetRelid(child);

	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return false;
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < ref->nkeys; i++)
	{
		if (pg_attribute_aclcheck(relid, ref->child_attnums[i], GetUserId(),
								  ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return true;
}
