/*
 * trigger.c
 *	  Gives foreign keys the triggers of ours that they need: their reference triggers.
 *
 * - Where the server probes the index of a tagged parent, from PostgreSQL 19
 *   on, the referencing table gets soft_delete_internal.check_parent().
 * - Where the referencing table is tagged, the referenced one gets
 *   soft_delete_internal.on_update_key(), so that deleted children follow a changed key.
 * - Where ON DELETE SET NULL or SET DEFAULT connects two tagged tables, the
 *   referencing one gets soft_delete_internal.record_set_null(), so that a restore can relink.
 *
 * A reference trigger belongs to its foreign key as the server's own triggers do: it
 * is deferred with it, by SET CONSTRAINTS too, and is dropped with it.  It is not
 * dumped; an event trigger creates it with the foreign key or the tag.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "references/sd_references.h"

typedef struct ReferenceTriggerKind
{
	ExtensionFunction function;
	bool on_parent; /* else on the child */
	bool is_before; /* else AFTER, and deferrable as the foreign key is */
	int16 events;
	/* the server's own triggers are named RI_ConstraintTrigger_..., and fire before */
	const char *name;
	bool (*is_needed)(const ForeignKey *fk);
	void (*narrow)(CreateTrigStmt *stmt, const ForeignKey *fk);
} ReferenceTriggerKind;

PG_FUNCTION_INFO_V1(soft_delete_set_reference_triggers);
PG_FUNCTION_INFO_V1(soft_delete_lacks_reference_trigger);

static ForeignKey *existing_foreign_key(Oid constraint);
static bool needs_parent_check(const ForeignKey *fk);
static bool needs_on_update(const ForeignKey *fk);
static bool has_tombstone_column(const ForeignKey *fk);
static bool needs_set_null(const ForeignKey *fk);
static void narrow_to_changed_keys(CreateTrigStmt *stmt, const ForeignKey *fk);
static void narrow_to_key_columns(CreateTrigStmt *stmt, const ForeignKey *fk);
static Oid relation_of_kind(const ReferenceTriggerKind *kind, const ForeignKey *fk);
static void remove_stale_trigger(const ReferenceTriggerKind *kind,
								 const ForeignKey *fk);
static Oid find_reference_trigger(const ReferenceTriggerKind *kind,
								  const ForeignKey *fk, bool *fits);
static void create_reference_trigger(const ReferenceTriggerKind *kind,
									 const ForeignKey *fk);

static const ReferenceTriggerKind trigger_kinds[] = {
	{REFERENCE_CHECK, false, false, TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE,
	 "RI_SoftDelete_check", needs_parent_check, NULL},
	{ON_UPDATE_TRIGGER, true, false, TRIGGER_TYPE_UPDATE,
	 "RI_SoftDelete_follow", needs_on_update, narrow_to_changed_keys},
	{SET_NULL_TRIGGER, false, true, TRIGGER_TYPE_UPDATE, "~soft_delete_cut",
	 needs_set_null, narrow_to_key_columns},
};

/*
 * soft_delete_internal.set_reference_triggers(constraint oid) returns void
 *
 * Creates the reference triggers that a foreign key needs, and drops others.
 *
 * Raises 42501 unless the caller owns the referencing or the referenced table,
 * 42704 if there is no such foreign key.
 */
Datum
soft_delete_set_reference_triggers(PG_FUNCTION_ARGS)
{
	ForeignKey *fk = existing_foreign_key(PG_GETARG_OID(0));

	/* one that ties no rows needs no triggers; those that it had do nothing */
	if (fk == NULL)
		PG_RETURN_VOID();
	if (!relation_ownercheck(fk->child, GetUserId()) &&
		!relation_ownercheck(fk->parent, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(fk->parent));

	for (int i = 0; i < lengthof(trigger_kinds); i++)
	{
		const ReferenceTriggerKind *kind = &trigger_kinds[i];

		remove_stale_trigger(kind, fk);
		if (kind->is_needed(fk) &&
			!OidIsValid(find_reference_trigger(kind, fk, NULL)))
		{
			create_reference_trigger(kind, fk);
			CommandCounterIncrement();
			i = -1; /* while it waited for the table, another may be needed */
		}
	}
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.lacks_reference_trigger(constraint oid) returns boolean
 *
 * Tells whether set_reference_triggers() would create a trigger.
 *
 * Raises 42704 if there is no such foreign key.
 */
Datum
soft_delete_lacks_reference_trigger(PG_FUNCTION_ARGS)
{
	ForeignKey *fk = existing_foreign_key(PG_GETARG_OID(0));

	for (int i = 0; fk != NULL && i < lengthof(trigger_kinds); i++)
	{
		const ReferenceTriggerKind *kind = &trigger_kinds[i];
		bool fits;

		if (kind->is_needed(fk) &&
			(!OidIsValid(find_reference_trigger(kind, fk, &fits)) || !fits))
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

/*
 * Load a foreign key; NULL if it ties no rows.  Raises 42704 if there is none of
 * that OID.
 */
static ForeignKey *
existing_foreign_key(Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));

	if (!HeapTupleIsValid(tuple) ||
		((Form_pg_constraint) GETSTRUCT(tuple))->contype != CONSTRAINT_FOREIGN)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("foreign key with OID %u does not exist", constraint)));
	ReleaseSysCache(tuple);
	return load_foreign_key(constraint);
}

/*
 * Raise 39P01 unless the function of a reference trigger is called as that kind of
 * trigger.
 */
void
check_called_as_reference_trigger(FunctionCallInfo fcinfo,
								  ExtensionFunction function, const char *name)
{
	const ReferenceTriggerKind *kind = trigger_kinds;
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	while (kind->function != function)
		kind++;
	if (!CALLED_AS_TRIGGER(fcinfo) || !trigdata->tg_trigger->tgisinternal ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		TRIGGER_FIRED_BEFORE(trigdata->tg_event) != kind->is_before ||
		TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) ||
		(TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
		 (kind->events & TRIGGER_TYPE_INSERT) == 0))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as the trigger of a foreign key",
						name),
				 errhint("Use SELECT soft_delete.tag('table') to tag a table, which creates the triggers of its foreign keys.")));
}

/*
 * Must children have their parent checked by us?  Only if the server probes
 * the index of a tagged parent.  In a partitioned table it does not, and a
 * partitioned child leaves it to its partitions.
 */
static bool
needs_parent_check(const ForeignKey *fk)
{
	return foreign_keys_probe_index() && !fk->is_parent_copy &&
		   get_rel_relkind(fk->child) == RELKIND_RELATION &&
		   get_rel_relkind(fk->parent) == RELKIND_RELATION &&
		   is_tagged(fk->parent);
}

/*
 * Must deleted children follow a change of their parent's key?  A partitioned parent
 * leaves it to its partitions.
 */
static bool
needs_on_update(const ForeignKey *fk)
{
	return (fk->constraint == fk->top || fk->is_parent_copy) &&
		   get_rel_relkind(fk->parent) == RELKIND_RELATION &&
		   is_tagged(fk->child) && !has_tombstone_column(fk);
}

/*
 * Is the tombstone column of the child, a tagged table, part of the foreign key?
 * That of a deleted row follows no key.
 */
static bool
has_tombstone_column(const ForeignKey *fk)
{
	AttrNumber tombstone = get_attnum(fk->child, tombstone_name(fk->child));

	for (int i = 0; i < fk->nkeys; i++)
	{
		if (fk->child_attnums[i] == tombstone)
			return true;
	}
	return false;
}

/*
 * Can a deletion overwrite a reference that a restore must give back?  Only a child
 * with a primary key is found again; a partitioned one leaves it to its partitions.
 */
static bool
needs_set_null(const ForeignKey *fk)
{
	return (fk->on_delete == FKCONSTR_ACTION_SETNULL ||
			fk->on_delete == FKCONSTR_ACTION_SETDEFAULT) &&
		   !fk->is_parent_copy && get_rel_relkind(fk->child) == RELKIND_RELATION &&
		   is_tagged(fk->child) && is_tagged(fk->parent) &&
		   has_primary_key(fk->child);
}

/*
 * Let a reference trigger fire where the referenced key changes.
 */
static void
narrow_to_changed_keys(CreateTrigStmt *stmt, const ForeignKey *fk)
{
	StringInfoData query;
	RawStmt *parsed;
	SelectStmt *select;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT (");
	for (int i = 0; i < fk->nkeys; i++)
	{
		const char *column =
			quote_identifier(get_attname(fk->parent, fk->parent_attnums[i], false));
		Oid type = get_atttype(fk->parent, fk->parent_attnums[i]);

		if (i > 0)
			appendStringInfoString(&query, " AND ");
		generate_operator_clause(&query, psprintf("old.%s", column), type,
								 fk->parent_operators[i],
								 psprintf("new.%s", column), type);
	}
	appendStringInfoString(&query, ") IS NOT TRUE");

	parsed = linitial_node(RawStmt, raw_parser(query.data, RAW_PARSE_DEFAULT));
	select = castNode(SelectStmt, parsed->stmt);
	stmt->whenClause = linitial_node(ResTarget, select->targetList)->val;
}

/*
 * Let a reference trigger fire for statements that set columns of the referencing key.
 */
static void
narrow_to_key_columns(CreateTrigStmt *stmt, const ForeignKey *fk)
{
	for (int i = 0; i < fk->nkeys; i++)
		stmt->columns =
			lappend(stmt->columns,
					makeString(get_attname(fk->child, fk->child_attnums[i], false)));
}

/*
 * Return the table that reference triggers of a kind are on.
 */
static Oid
relation_of_kind(const ReferenceTriggerKind *kind, const ForeignKey *fk)
{
	return kind->on_parent ? fk->parent : fk->child;
}

/*
 * Drop a reference trigger that is not needed any more, or not deferred as it should
 * be.
 */
static void
remove_stale_trigger(const ReferenceTriggerKind *kind, const ForeignKey *fk)
{
	bool fits;
	ObjectAddress trigger;

	ObjectAddressSet(trigger, TriggerRelationId,
					 find_reference_trigger(kind, fk, &fits));
	if (OidIsValid(trigger.objectId) && !(fits && kind->is_needed(fk)))
	{
		performDeletion(&trigger, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
		CommandCounterIncrement();
	}
}

/*
 * Return the OID of the reference trigger of a foreign key, or InvalidOid.  "fits" says
 * whether it is deferrable as it should be.
 */
static Oid
find_reference_trigger(const ReferenceTriggerKind *kind, const ForeignKey *fk,
					   bool *fits)
{
	CatalogScan scan = begin_trigger_scan(relation_of_kind(kind, fk));
	Oid function = needed_function(kind->function);
	Oid found = InvalidOid;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (trigger->tgconstraint != fk->constraint || trigger->tgfoid != function)
			continue;
		found = trigger->oid;
		if (fits)
			*fits = kind->is_before || kind->on_parent ||
					(trigger->tgdeferrable == fk->is_deferrable &&
					 trigger->tginitdeferred == fk->is_deferred);
	}
	end_catalog_scan(&scan);
	return found;
}

/*
 * Create a reference trigger, as one of the foreign key's own triggers.
 */
static void
create_reference_trigger(const ReferenceTriggerKind *kind, const ForeignKey *fk)
{
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);
	Oid relid = relation_of_kind(kind, fk);
	ObjectAddress trigger, owner;

	stmt->isconstraint = !kind->is_before;
	stmt->trigname = pstrdup(kind->name);
	stmt->funcname = NIL;
	stmt->row = true;
	stmt->timing = kind->is_before ? TRIGGER_TYPE_BEFORE : TRIGGER_TYPE_AFTER;
	stmt->events = kind->events;
	if (!kind->is_before && !kind->on_parent)
	{
		stmt->deferrable = fk->is_deferrable;
		stmt->initdeferred = fk->is_deferred;
	}
	if (kind->narrow)
		kind->narrow(stmt, fk);
	trigger = CreateTrigger(stmt, NULL, relid, InvalidOid, fk->constraint,
							InvalidOid, needed_function(kind->function),
							InvalidOid, NULL, true, false);

	/*
	 * It goes with the foreign key, but is not to take the foreign key along;
	 * nor to be in the way of ALTER COLUMN TYPE, which creates the
	 * foreign key, and so the trigger, again.
	 */
	CommandCounterIncrement();
	deleteDependencyRecordsForSpecific(TriggerRelationId, trigger.objectId,
									   DEPENDENCY_INTERNAL,
									   ConstraintRelationId, fk->constraint);
	deleteDependencyRecordsForSpecific(TriggerRelationId, trigger.objectId,
									   DEPENDENCY_NORMAL, RelationRelationId, relid);
	ObjectAddressSet(owner, ConstraintRelationId, fk->constraint);
	recordDependencyOn(&trigger, &owner, DEPENDENCY_AUTO);
}
