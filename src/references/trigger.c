/*
 * trigger.c
 *	  Creates and drops the triggers that we add to foreign keys: key triggers.
 *
 * - Where the server probes the index of a tagged parent, from PostgreSQL 19
 *   on, the referencing table gets soft_delete_internal.check_parent().
 * - Where the referencing table is tagged, the referenced one gets
 *   soft_delete_internal.on_update_key(), which updates deleted children when the key
 *   that they reference changes.
 * - Where ON DELETE SET NULL or SET DEFAULT connects two tagged tables, the
 *   referencing one gets soft_delete_internal.record_set_null(), which records the
 *   references that a deletion overwrites, so that a restore can relink them.
 *
 * Invariant: a key trigger belongs to its foreign key as the server's own
 * triggers do.  It is deferred with the foreign key, by SET CONSTRAINTS too, and
 * dropped with it.  It is not dumped: an event trigger creates it again together
 * with the foreign key or the tag.  What the triggers do is in check.c,
 * on_update.c and set_null.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
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
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "references/sd_references.h"

/* One of the three key triggers */
typedef struct KeyTrigger
{
	ExtensionFunction function;
	bool on_parent; /* on the referenced table, else on the referencing one */
	bool is_before; /* else AFTER; deferrable as the foreign key, if on the child */
	int16 events; /* TRIGGER_TYPE_... */
	/* an AFTER trigger sorts after the server's own, RI_ConstraintTrigger_... */
	const char *name;
	bool (*is_needed)(const ForeignKey *fk);
	/* adds the WHEN condition or the column list; NULL: there is none */
	void (*restrict_firing)(CreateTrigStmt *stmt, const ForeignKey *fk);
} KeyTrigger;

PG_FUNCTION_INFO_V1(soft_delete_set_reference_triggers);
PG_FUNCTION_INFO_V1(soft_delete_lacks_reference_trigger);

static ForeignKey *existing_foreign_key(Oid constraint);
static bool needs_reference_check(const ForeignKey *fk);
static bool needs_on_update_trigger(const ForeignKey *fk);
static bool has_tombstone_column(const ForeignKey *fk);
static bool needs_set_null_trigger(const ForeignKey *fk);
static void add_when_key_changes(CreateTrigStmt *stmt, const ForeignKey *fk);
static void add_key_columns(CreateTrigStmt *stmt, const ForeignKey *fk);
static Oid trigger_relation(const KeyTrigger *trigger, const ForeignKey *fk);
static void drop_unfit_trigger(const KeyTrigger *trigger, const ForeignKey *fk);
static Oid find_trigger(const KeyTrigger *trigger, const ForeignKey *fk, bool *fits);
static void create_trigger(const KeyTrigger *trigger, const ForeignKey *fk);

static const KeyTrigger key_triggers[] = {
	{REFERENCE_CHECK, false, false, TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE,
	 "RI_SoftDelete_check", needs_reference_check, NULL},
	{ON_UPDATE_TRIGGER, true, false, TRIGGER_TYPE_UPDATE,
	 "RI_SoftDelete_follow", needs_on_update_trigger, add_when_key_changes},
	{SET_NULL_TRIGGER, false, true, TRIGGER_TYPE_UPDATE, "~soft_delete_cut",
	 needs_set_null_trigger, add_key_columns},
};

/*
 * soft_delete_internal.set_reference_triggers(constraint oid) returns void
 *
 * Creates the key triggers that a foreign key needs, and drops those that it does
 * not need.
 *
 * Raises 42501 unless the caller owns the referencing or the referenced table,
 * 42704 if there is no such foreign key.
 */
Datum
soft_delete_set_reference_triggers(PG_FUNCTION_ARGS)
{
	ForeignKey *fk = existing_foreign_key(PG_GETARG_OID(0));

	/* it needs no triggers, and those that it has do nothing */
	if (fk == NULL)
		PG_RETURN_VOID();
	if (!relation_ownercheck(fk->child, GetUserId()) &&
		!relation_ownercheck(fk->parent, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(fk->parent));

	for (int i = 0; i < lengthof(key_triggers); i++)
	{
		const KeyTrigger *trigger = &key_triggers[i];

		drop_unfit_trigger(trigger, fk);
		if (trigger->is_needed(fk) && !OidIsValid(find_trigger(trigger, fk, NULL)))
		{
			create_trigger(trigger, fk);
			CommandCounterIncrement();
			i = -1; /* a table may have been tagged while this waited for a lock */
		}
	}
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.lacks_reference_trigger(constraint oid) returns boolean
 *
 * Returns whether set_reference_triggers() would create a key trigger.
 *
 * Raises 42704 if there is no such foreign key.
 */
Datum
soft_delete_lacks_reference_trigger(PG_FUNCTION_ARGS)
{
	ForeignKey *fk = existing_foreign_key(PG_GETARG_OID(0));

	for (int i = 0; fk != NULL && i < lengthof(key_triggers); i++)
	{
		const KeyTrigger *trigger = &key_triggers[i];
		bool fits;

		if (trigger->is_needed(fk) &&
			(!OidIsValid(find_trigger(trigger, fk, &fits)) || !fits))
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

/*
 * Load a foreign key.  Returns NULL for one that is not enforced or is about
 * periods.
 *
 * Raises 42704 if there is no foreign key with that OID.
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
 * Raise 39P01 unless the function of a key trigger is called as that trigger.
 * "name" is that of the function.
 */
void
check_called_as_key_trigger(FunctionCallInfo fcinfo, ExtensionFunction function,
							const char *name)
{
	const KeyTrigger *trigger = key_triggers;
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	while (trigger->function != function)
		trigger++;
	if (!CALLED_AS_TRIGGER(fcinfo) || !trigdata->tg_trigger->tgisinternal ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		TRIGGER_FIRED_BEFORE(trigdata->tg_event) != trigger->is_before ||
		TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) ||
		(TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
		 (trigger->events & TRIGGER_TYPE_INSERT) == 0))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a trigger of a foreign key",
						name),
				 errdetail("soft_delete.tag() creates the triggers of foreign keys.")));
}

/*
 * Does a foreign key need check_reference()?  Only where the server probes the
 * index of a tagged parent, which it does not if the parent is partitioned.  Of a
 * partitioned child, the partitions have the trigger.
 */
static bool
needs_reference_check(const ForeignKey *fk)
{
	return foreign_keys_probe_index() && !fk->is_parent_copy &&
		   get_rel_relkind(fk->child) == RELKIND_RELATION &&
		   get_rel_relkind(fk->parent) == RELKIND_RELATION &&
		   is_tagged_in_place(fk->parent);
}

/*
 * Does a foreign key need on_update_key()?  Only where the child is tagged.  Of a
 * partitioned parent, the partitions have the trigger.
 */
static bool
needs_on_update_trigger(const ForeignKey *fk)
{
	return (fk->constraint == fk->top || fk->is_parent_copy) &&
		   get_rel_relkind(fk->parent) == RELKIND_RELATION &&
		   is_tagged(fk->child) && !has_tombstone_column(fk);
}

/*
 * Is the tombstone column of the child, a tagged table, part of the foreign key?
 * It does not take the value of the referenced key in a deleted row.
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
 * Does a foreign key need record_set_null()?  Only where a deletion overwrites
 * references that a restore can relink: both tables are tagged, and a primary key
 * finds the child again.  Of a partitioned child, the partitions have the
 * trigger.
 */
static bool
needs_set_null_trigger(const ForeignKey *fk)
{
	return overwrites_references(fk) && !fk->is_parent_copy &&
		   get_rel_relkind(fk->child) == RELKIND_RELATION && is_tagged(fk->parent);
}

/*
 * Does a deletion overwrite references by a foreign key that a restore can
 * relink?  Only ON DELETE SET NULL and SET DEFAULT overwrite them, and only a
 * primary key finds a tagged child again.
 */
bool
overwrites_references(const ForeignKey *fk)
{
	return (fk->on_delete == FKCONSTR_ACTION_SETNULL ||
			fk->on_delete == FKCONSTR_ACTION_SETDEFAULT) &&
		   is_tagged(fk->child) && has_primary_key(fk->child);
}

/*
 * Add the condition to a trigger that the referenced key changes: WHEN ((old.a =
 * new.a AND ...) IS NOT TRUE).
 */
static void
add_when_key_changes(CreateTrigStmt *stmt, const ForeignKey *fk)
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
 * Add the columns of the referencing key to a trigger: UPDATE OF a, ...
 */
static void
add_key_columns(CreateTrigStmt *stmt, const ForeignKey *fk)
{
	for (int i = 0; i < fk->nkeys; i++)
		stmt->columns =
			lappend(stmt->columns,
					makeString(get_attname(fk->child, fk->child_attnums[i], false)));
}

/*
 * Return the table that has a key trigger.
 */
static Oid
trigger_relation(const KeyTrigger *trigger, const ForeignKey *fk)
{
	return trigger->on_parent ? fk->parent : fk->child;
}

/*
 * Drop a key trigger that is not needed any more, or not deferrable as its foreign
 * key is.
 */
static void
drop_unfit_trigger(const KeyTrigger *trigger, const ForeignKey *fk)
{
	bool fits;
	ObjectAddress object;

	ObjectAddressSet(object, TriggerRelationId, find_trigger(trigger, fk, &fits));
	if (OidIsValid(object.objectId) && !(fits && trigger->is_needed(fk)))
	{
		performDeletion(&object, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
		CommandCounterIncrement();
	}
}

/*
 * Return the OID of a key trigger of the foreign key, or InvalidOid.  "fits" is
 * set to whether it is deferrable as the foreign key is.
 */
static Oid
find_trigger(const KeyTrigger *trigger, const ForeignKey *fk, bool *fits)
{
	CatalogScan scan = begin_trigger_scan(trigger_relation(trigger, fk));
	Oid function = needed_function(trigger->function);
	Oid found = InvalidOid;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_trigger row = (Form_pg_trigger) GETSTRUCT(tuple);

		if (row->tgconstraint != fk->constraint || row->tgfoid != function)
			continue;
		found = row->oid;
		if (fits)
			*fits = trigger->is_before || trigger->on_parent ||
					(row->tgdeferrable == fk->is_deferrable &&
					 row->tginitdeferred == fk->is_deferred);
	}
	end_catalog_scan(&scan);
	return found;
}

/*
 * Create a key trigger, as one of the foreign key's own triggers.
 */
static void
create_trigger(const KeyTrigger *trigger, const ForeignKey *fk)
{
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);
	Oid relid = trigger_relation(trigger, fk);
	ObjectAddress object;

	stmt->isconstraint = !trigger->is_before;
	stmt->trigname = pstrdup(trigger->name);
	stmt->funcname = NIL;
	stmt->row = true;
	stmt->timing = trigger->is_before ? TRIGGER_TYPE_BEFORE : TRIGGER_TYPE_AFTER;
	stmt->events = trigger->events;
	if (!trigger->is_before && !trigger->on_parent)
	{
		stmt->deferrable = fk->is_deferrable;
		stmt->initdeferred = fk->is_deferred;
	}
	if (trigger->restrict_firing)
		trigger->restrict_firing(stmt, fk);
	object = CreateTrigger(stmt, NULL, relid, InvalidOid, fk->constraint,
						   InvalidOid, needed_function(trigger->function),
						   InvalidOid, NULL, true, false);
	make_dependent(&object, relid, fk->constraint);
}

/*
 * Make a new trigger of a relation, of a foreign key or the primary key, depend on that
 * constraint alone.
 *
 * It is dropped with the constraint.  Dropping the trigger must not drop the
 * constraint, as an internal dependency would.  Nor may the trigger depend on
 * columns of the relation: ALTER COLUMN TYPE, which creates the constraint again
 * and with it the trigger, would be refused.
 */
void
make_dependent(const ObjectAddress *trigger, Oid relid, Oid constraint)
{
	ObjectAddress owner;

	CommandCounterIncrement();
	deleteDependencyRecordsForSpecific(TriggerRelationId, trigger->objectId,
									   DEPENDENCY_INTERNAL,
									   ConstraintRelationId, constraint);
	deleteDependencyRecordsForSpecific(TriggerRelationId, trigger->objectId,
									   DEPENDENCY_NORMAL, RelationRelationId, relid);
	ObjectAddressSet(owner, ConstraintRelationId, constraint);
	recordDependencyOn(trigger, &owner, DEPENDENCY_AUTO);
}
