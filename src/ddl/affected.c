/*
 * affected.c
 *	  Finds out whether a command affects tagged tables.
 *
 * Event triggers (sql/ddl_events.sql) ask this for every DDL command of a database, and most
 * commands do not affect any.  The result comes from what the server reports of the
 * command, and from a few catalog rows that are read by index, so it does not take
 * longer where many tables are tagged.  What follows from a command is decided by the
 * event triggers, not here.
 *
 * Invariant: a command that affects a tagged table is never reported not to.  The
 * opposite is allowed.
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

/* Columns of pg_event_trigger_ddl_commands() and pg_event_trigger_dropped_objects() */
#define EVENT_CLASSID 1
#define EVENT_OBJID 2
#define EVENT_OBJSUBID 3
/* Further columns of pg_event_trigger_dropped_objects() */
#define DROPPED_TYPE 7
#define DROPPED_NAME 9
/* an array: of a trigger, the names of its schema, its table and its own */
#define DROPPED_ADDRESS 11

/* The extension's own tables whose rows are deleted when the relation is dropped */
static const struct
{
	const char *table;
	const char *index; /* its first column is the relation */
} tables_about_relations[] = {
	{"retention", "retention_relation_key"},
	{"holds", "holds_relation_deleted_at_key_idx"},
};

PG_FUNCTION_INFO_V1(soft_delete_is_used);
PG_FUNCTION_INFO_V1(soft_delete_changed_relations);
PG_FUNCTION_INFO_V1(soft_delete_affects_tagged);
PG_FUNCTION_INFO_V1(soft_delete_drops_affect_tagged);

static bool is_called_by_trigger(ExtensionFunction function);
static Tuplestorestate *call_event_function(Oid function, TupleTableSlot **slot);
static Oid event_oid(TupleTableSlot *slot, AttrNumber attnum);
static char *event_text(TupleTableSlot *slot, AttrNumber attnum);
static char *dropped_object_name(TupleTableSlot *slot);
static bool is_own_trigger_name(const char *name);
static Oid relation_of(Oid classid, Oid objid);
static Oid relation_of_trigger(Oid trigger);
static bool may_be_affected(Oid relid);
static bool has_affecting_trigger(Oid relid);
static bool drop_may_affect_tags(TupleTableSlot *slot);
static bool has_stored_rows(Oid relid);
static bool check_constraint_exists(const char *name);

/*
 * soft_delete_internal.is_used() returns boolean
 *
 * Returns whether any table or schema is tagged, or rows about a table are stored.
 * Every DDL command calls this.  A table whose tag is being dropped still has a bin, so
 * the triggers of bins count, too.
 */
Datum
soft_delete_is_used(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_called_by_trigger(TAG_TRIGGER) ||
				   is_called_by_trigger(BIN_UPDATE) ||
				   own_table_has_row("tagged_schemas") ||
				   own_table_has_row("retention") || own_table_has_row("holds"));
}

/*
 * Does any trigger call the given function of the extension?
 */
static bool
is_called_by_trigger(ExtensionFunction function)
{
	CatalogScan scan =
		begin_dependents_scan(ProcedureRelationId, extension_function(function),
							  ANY_COLUMN);
	HeapTuple tuple;
	bool found = false;

	while (!found && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
		found = ((Form_pg_depend) GETSTRUCT(tuple))->classid == TriggerRelationId;
	end_catalog_scan(&scan);
	return found;
}

/*
 * Does a table of the extension have any row now?  Committed rows count even if the
 * snapshot of the transaction does not see them.
 */
bool
own_table_has_row(const char *table)
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
 * Call a set-returning function of the server that reports on the command for which
 * an event trigger fires.  Returns its result; sets a slot for reading the rows.  Both
 * live in the current memory context.
 */
static Tuplestorestate *
call_event_function(Oid function, TupleTableSlot **slot)
{
	LOCAL_FCINFO(fcinfo, 0);
	FmgrInfo flinfo;
	ReturnSetInfo result = {.type = T_ReturnSetInfo, .allowedModes = SFRM_Materialize};

	result.econtext = CreateStandaloneExprContext();
	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 0, InvalidOid, NULL, (Node *) &result);
	(void) FunctionCallInvoke(fcinfo);
	FreeExprContext(result.econtext, true);
	*slot = MakeSingleTupleTableSlot(result.setDesc, &TTSOpsMinimalTuple);
	return result.setResult;
}

/*
 * Return an OID column of a reported row, or InvalidOid if it is null.
 */
static Oid
event_oid(TupleTableSlot *slot, AttrNumber attnum)
{
	bool isnull;
	Datum value = slot_getattr(slot, attnum, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

/*
 * Return a text column of a reported row, or an empty string if it is null.
 */
static char *
event_text(TupleTableSlot *slot, AttrNumber attnum)
{
	bool isnull;
	Datum value = slot_getattr(slot, attnum, &isnull);

	return isnull ? "" : TextDatumGetCString(value);
}

/*
 * Return the name of a dropped object: the last element of its address, or an empty
 * string.
 */
static char *
dropped_object_name(TupleTableSlot *slot)
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
 * Is this the name of a trigger of the extension?  For a dropped trigger the server
 * does not report the function that it called.
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
 * Returns the relations that the command of an event trigger has created or changed,
 * including those whose triggers, constraints or indexes it has.
 *
 * Raises 39P03 if it is not called during an event trigger.
 */
Datum
soft_delete_changed_relations(PG_FUNCTION_ARGS)
{
	TupleTableSlot *slot;
	Tuplestorestate *commands =
		call_event_function(F_PG_EVENT_TRIGGER_DDL_COMMANDS, &slot);
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
 * Return the relation that an object is, or to which it belongs as a trigger,
 * constraint or index.  Returns InvalidOid if there is none, or if the object has been
 * dropped.
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
 * Return the relation that a trigger is on, or InvalidOid if it has been dropped.
 */
static Oid
relation_of_trigger(Oid trigger)
{
	CatalogScan scan = begin_catalog_scan(TriggerRelationId, TriggerOidIndexId,
										  Anum_pg_trigger_oid, trigger);
	HeapTuple tuple = next_catalog_row(&scan);
	Oid relid = HeapTupleIsValid(tuple) ? ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid
										: InvalidOid;

	end_catalog_scan(&scan);
	return relid;
}

/*
 * soft_delete_internal.affects_tagged(relations regclass[]) returns boolean
 *
 * Returns whether any of the relations may be a tagged table, a view of one, or at
 * one end of a foreign key of one.
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
		if (may_be_affected(DatumGetObjectId(relids[i])))
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

/*
 * May the relation be a tagged table, a view of one, or at one end of a foreign key of
 * one?  A relation with parents or children by inheritance always may.
 */
static bool
may_be_affected(Oid relid)
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

	return has_children || (has_triggers && has_affecting_trigger(relid)) ||
		   has_superclass(relid);
}

/*
 * Does the relation have a trigger of the extension, or a trigger of a foreign key
 * whose other end is a tagged table?
 */
static bool
has_affecting_trigger(Oid relid)
{
	CatalogScan scan = begin_trigger_scan(relid);
	Oid own_schema = get_namespace_oid(EXTENSION_SCHEMA, true);
	Oid internal_schema = get_namespace_oid(INTERNAL_SCHEMA, true);
	bool found = false;
	HeapTuple tuple;

	while (!found && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);
		Oid schema = get_func_namespace(trigger->tgfoid);

		found = schema == own_schema || schema == internal_schema ||
				(OidIsValid(trigger->tgconstrrelid) &&
				 tag_arguments(trigger->tgconstrrelid) != NIL);
	}
	end_catalog_scan(&scan);
	return found;
}

/*
 * soft_delete_internal.drops_affect_tagged() returns boolean
 *
 * Returns whether dropping any of the objects that the command of an event trigger
 * has dropped may affect a tagged table, or rows that are stored about a table.
 *
 * Raises 39P03 if it is not called during an event trigger on drops.
 */
Datum
soft_delete_drops_affect_tagged(PG_FUNCTION_ARGS)
{
	TupleTableSlot *slot;
	Tuplestorestate *drops =
		call_event_function(F_PG_EVENT_TRIGGER_DROPPED_OBJECTS, &slot);
	bool found = false;

	while (!found && tuplestore_gettupleslot(drops, true, false, slot))
		found = drop_may_affect_tags(slot);
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(drops);
	PG_RETURN_BOOL(found);
}

/*
 * May the drop of an object affect tagged tables?  It may if the object is a trigger
 * of the extension, a column of a relation that may be tagged, a relation that rows
 * are stored about, an index that may have a stand-in, or a schema.
 */
static bool
drop_may_affect_tags(TupleTableSlot *slot)
{
	Oid objid = event_oid(slot, EVENT_OBJID);

	switch (event_oid(slot, EVENT_CLASSID))
	{
		case NamespaceRelationId:
			return true;
		case TriggerRelationId:
			return is_own_trigger_name(dropped_object_name(slot));
		case RelationRelationId:
			break;
		default:
			return false;
	}
	if (event_oid(slot, EVENT_OBJSUBID) != 0)
		return may_be_affected(objid);
	if (strcmp(event_text(slot, DROPPED_TYPE), "index") == 0)
		return check_constraint_exists(event_text(slot, DROPPED_NAME));
	return has_stored_rows(objid);
}

/*
 * Do the extension's tables have any row about a relation now?  Committed rows count
 * even if the snapshot of the transaction does not see them.
 */
static bool
has_stored_rows(Oid relid)
{
	bool found = false;

	for (int i = 0; !found && i < lengthof(tables_about_relations); i++)
	{
		Relation rel =
			table_open(extension_relation(tables_about_relations[i].table),
					   AccessShareLock);
		ScanKeyData key;
		SysScanDesc scan;

		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
		scan = systable_beginscan(rel,
								  extension_relation(tables_about_relations[i].index),
								  true, SnapshotSelf, 1, &key);
		found = HeapTupleIsValid(systable_getnext(scan));
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
	}
	return found;
}

/*
 * Is there any CHECK constraint of that name?  A stand-in has the name of its index.
 */
static bool
check_constraint_exists(const char *name)
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
