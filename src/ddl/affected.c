/*
 * concern.c
 *	  Finds out whether a command has anything to do with what is tagged.
 *
 * Every DDL command of a database asks, by event triggers (sql/ddl.sql), and most
 * of them have not.  That is found out here, from what the server tells of the
 * command and a few catalog rows that indexes lead to, however many tables are
 * tagged.
 *
 * Invariant: a command that does not concern tags has no consequences for them.
 * One that is said to may turn out to have none, either.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "ddl/sd_ddl.h"

/* What pg_event_trigger_ddl_commands() and pg_event_trigger_dropped_objects() tell first */
#define EVENT_CLASSID 1
#define EVENT_OBJID 2
#define EVENT_OBJSUBID 3
/* and, further, of what is dropped */
#define DROPPED_TYPE 7
#define DROPPED_NAME 9
#define DROPPED_ADDRESS \
	11 /* names: of a trigger its schema, its table and its own */

/* The extension's own tables whose rows go with the table that they are about */
static const struct
{
	const char *table;
	const char *index; /* whose first column is the table */
} mentions[] = {
	{"retention", "retention_relation_key"},
	{"holds", "holds_relation_deleted_at_key_key"},
	{"displaced", "displaced_relation_deleted_at_idx"},
};

PG_FUNCTION_INFO_V1(soft_delete_is_used);
PG_FUNCTION_INFO_V1(soft_delete_changed_relations);
PG_FUNCTION_INFO_V1(soft_delete_affects_tagged);
PG_FUNCTION_INFO_V1(soft_delete_drops_affect_tagged);

static bool has_trigger(ExtensionFunction function);
static Tuplestorestate *ask_event(Oid function, TupleTableSlot **slot);
static Oid event_oid(TupleTableSlot *slot, AttrNumber attnum);
static char *event_text(TupleTableSlot *slot, AttrNumber attnum);
static char *event_last_name(TupleTableSlot *slot);
static bool is_own_trigger_name(const char *name);
static Oid relation_of(Oid classid, Oid objid);
static Oid relation_of_trigger(Oid trigger);
static bool may_be_tied(Oid relid);
static bool has_trigger_of_tags(Oid relid);
static bool drop_may_matter(TupleTableSlot *slot);
static bool is_mentioned(Oid relid);
static bool names_check(const char *name);

/*
 * soft_delete_internal.is_used() returns boolean
 *
 * Tells whether any table or schema is tagged, or anything kept of one.  Every
 * DDL command asks.  A tag that is being dropped still has its bin, so both count.
 */
Datum
soft_delete_is_used(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(has_trigger(TAG_TRIGGER) || has_trigger(BIN_UPDATE) ||
				   has_row("tagged_schemas") || has_row("retention") ||
				   has_row("holds") || has_row("displaced"));
}

/*
 * Does any trigger call a function of the extension?
 */
static bool
has_trigger(ExtensionFunction function)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	bool found = false;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ProcedureRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(extension_function(function)));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = ((Form_pg_depend) GETSTRUCT(tuple))->classid == TriggerRelationId;
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

/*
 * Has one of the extension's own tables any row now, whatever the snapshot?
 */
bool
has_row(const char *table)
{
	Relation rel = table_open(extension_relation(table), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = begin_table_scan(rel, SnapshotSelf);
	bool found = table_scan_getnextslot(scan, ForwardScanDirection, slot);

	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Ask one of the server's functions about the command that an event trigger is
 * for.  Its answer, and a slot for each row of it, live in the current memory
 * context.
 */
static Tuplestorestate *
ask_event(Oid function, TupleTableSlot **slot)
{
	LOCAL_FCINFO(fcinfo, 0);
	FmgrInfo flinfo;
	ReturnSetInfo answer = {.type = T_ReturnSetInfo, .allowedModes = SFRM_Materialize};

	answer.econtext = CreateStandaloneExprContext();
	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 0, InvalidOid, NULL, (Node *) &answer);
	(void) FunctionCallInvoke(fcinfo);
	FreeExprContext(answer.econtext, true);
	*slot = MakeSingleTupleTableSlot(answer.setDesc, &TTSOpsMinimalTuple);
	return answer.setResult;
}

/*
 * Return an OID of the answer, or InvalidOid where that is null.
 */
static Oid
event_oid(TupleTableSlot *slot, AttrNumber attnum)
{
	bool isnull;
	Datum value = slot_getattr(slot, attnum, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

/*
 * Return a text of the answer, empty where that is null.
 */
static char *
event_text(TupleTableSlot *slot, AttrNumber attnum)
{
	bool isnull;
	Datum value = slot_getattr(slot, attnum, &isnull);

	return isnull ? "" : TextDatumGetCString(value);
}

/*
 * Return the last of the names that address what is dropped.
 */
static char *
event_last_name(TupleTableSlot *slot)
{
	bool isnull;
	Datum value = slot_getattr(slot, DROPPED_ADDRESS, &isnull);
	Datum *names;
	bool *nulls;
	int n;

	if (isnull)
		return "";
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &names, &nulls, &n);
	return n == 0 || nulls[n - 1] ? "" : TextDatumGetCString(names[n - 1]);
}

/*
 * Has a trigger the name of one of ours?  Which function it called is not told.
 */
static bool
is_own_trigger_name(const char *name)
{
	return strncmp(name, "~" EXTENSION_NAME, strlen("~" EXTENSION_NAME)) == 0 ||
		   strncmp(name, EXTENSION_NAME "_", strlen(EXTENSION_NAME "_")) == 0;
}

/*
 * soft_delete_internal.changed_relations() returns regclass[]
 *
 * For event triggers: returns the relations that a command has made or changed,
 * by their triggers, constraints and indexes too.
 *
 * Raises 39P03 where no event trigger calls it.
 */
Datum
soft_delete_changed_relations(PG_FUNCTION_ARGS)
{
	TupleTableSlot *slot;
	Tuplestorestate *commands = ask_event(F_PG_EVENT_TRIGGER_DDL_COMMANDS, &slot);
	List *relids = NIL;
	Datum *elements;
	ListCell *lc;

	while (tuplestore_gettupleslot(commands, true, false, slot))
	{
		Oid relid = relation_of(event_oid(slot, EVENT_CLASSID),
								event_oid(slot, EVENT_OBJID));

		if (OidIsValid(relid))
			relids = list_append_unique_oid(relids, relid);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(commands);

	elements = palloc(list_length(relids) * sizeof(Datum));
	foreach (lc, relids)
		elements[foreach_current_index(lc)] = ObjectIdGetDatum(lfirst_oid(lc));
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, list_length(relids), REGCLASSOID,
										  sizeof(Oid), true, TYPALIGN_INT));
}

/*
 * Return the relation that an object is, or belongs to as a trigger, constraint
 * or index; InvalidOid if that is none, or is gone.
 */
static Oid
relation_of(Oid classid, Oid objid)
{
	Oid relid = InvalidOid;
	HeapTuple tuple;

	switch (classid)
	{
		case TriggerRelationId:
			return relation_of_trigger(objid);
		case ConstraintRelationId:
			tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(objid));
			if (!HeapTupleIsValid(tuple))
				return InvalidOid;
			relid = ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid;
			ReleaseSysCache(tuple);
			return relid;
		case RelationRelationId:
			relid = IndexGetRelation(objid, true);
			if (OidIsValid(relid))
				return relid;
			return OidIsValid(get_rel_relkind(objid)) ? objid : InvalidOid;
		default:
			return InvalidOid;
	}
}

/*
 * Return the relation that a trigger is on, or InvalidOid.
 */
static Oid
relation_of_trigger(Oid trigger)
{
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	Oid relid = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan = systable_beginscan(triggers, TriggerOidIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		relid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return relid;
}

/*
 * soft_delete_internal.affects_tagged(relations regclass[]) returns boolean
 *
 * Tells whether any of some relations may be tagged, a view of a tagged table, or
 * at one end of its foreign keys.
 */
Datum
soft_delete_affects_tagged(PG_FUNCTION_ARGS)
{
	Datum *relids;
	int n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), REGCLASSOID, sizeof(Oid), true,
					  TYPALIGN_INT, &relids, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		if (may_be_tied(DatumGetObjectId(relids[i])))
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

/*
 * May the relation be tied to a tag so?  What is connected by inheritance may always.
 */
static bool
may_be_tied(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class class;
	bool has_triggers, has_children;

	if (!HeapTupleIsValid(tuple))
		return false;
	class = (Form_pg_class) GETSTRUCT(tuple);
	has_triggers = class->relhastriggers;
	has_children = class->relhassubclass;
	ReleaseSysCache(tuple);

	return has_children || (has_triggers && has_trigger_of_tags(relid)) ||
		   has_superclass(relid);
}

/*
 * Has the relation a trigger of the extension's, or one of a foreign key that
 * ties it to a tagged table?
 */
static bool
has_trigger_of_tags(Oid relid)
{
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	Oid own_schema = get_namespace_oid(EXTENSION_SCHEMA, true);
	Oid internal_schema = get_namespace_oid(INTERNAL_SCHEMA, true);
	bool found = false;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		Oid schema = get_func_namespace(trigger->tgfoid);

		found = schema == own_schema || schema == internal_schema ||
				(OidIsValid(trigger->tgconstrrelid) &&
				 tag_arguments(trigger->tgconstrrelid) != NIL);
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return found;
}

/*
 * soft_delete_internal.drops_affect_tagged() returns boolean
 *
 * For event triggers: tells whether anything that is dropped may have to do with
 * a tag, or with what is kept of a table.
 *
 * Raises 39P03 where no event trigger calls it.
 */
Datum
soft_delete_drops_affect_tagged(PG_FUNCTION_ARGS)
{
	TupleTableSlot *slot;
	Tuplestorestate *drops = ask_event(F_PG_EVENT_TRIGGER_DROPPED_OBJECTS, &slot);
	bool found = false;

	while (!found && tuplestore_gettupleslot(drops, true, false, slot))
		found = drop_may_matter(slot);
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(drops);
	PG_RETURN_BOOL(found);
}

/*
 * Has what is dropped to do with a tag?  It is a trigger of ours, a column of what
 * may be tagged, a table that something is kept of, an index that may have a
 * stand-in, or a schema.
 */
static bool
drop_may_matter(TupleTableSlot *slot)
{
	Oid objid = event_oid(slot, EVENT_OBJID);

	switch (event_oid(slot, EVENT_CLASSID))
	{
		case NamespaceRelationId:
			return true;
		case TriggerRelationId:
			return is_own_trigger_name(event_last_name(slot));
		case RelationRelationId:
			break;
		default:
			return false;
	}
	if (event_oid(slot, EVENT_OBJSUBID) != 0)
		return may_be_tied(objid);
	if (strcmp(event_text(slot, DROPPED_TYPE), "index") == 0)
		return names_check(event_text(slot, DROPPED_NAME));
	return is_mentioned(objid);
}

/*
 * Is anything kept of the table, now, whatever the snapshot?
 */
static bool
is_mentioned(Oid relid)
{
	bool found = false;

	for (int i = 0; !found && i < lengthof(mentions); i++)
	{
		Relation rel =
			table_open(extension_relation(mentions[i].table), AccessShareLock);
		ScanKeyData key;
		SysScanDesc scan;

		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
		scan = systable_beginscan(rel, extension_relation(mentions[i].index),
								  true, SnapshotSelf, 1, &key);
		found = HeapTupleIsValid(systable_getnext(scan));
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
	}
	return found;
}

/*
 * Is there a CHECK constraint of the name, as a stand-in has that of its index?
 */
static bool
names_check(const char *name)
{
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	bool found = false;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(name));
	scan = systable_beginscan(constraints, ConstraintNameNspIndexId, true, NULL,
							  1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = ((Form_pg_constraint) GETSTRUCT(tuple))->contype == CONSTRAINT_CHECK;
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return found;
}
