/*
 * tagged.c
 *	  Tells which relation is tagged, and which role sees its tombstones.
 *
 * Invariant: the trigger is the tag.  A relation is tagged if and only if it has a
 * BEFORE DELETE row trigger that calls soft_delete.delete_row(), enabled or not.
 * The first argument of the trigger is the name of the tombstone column.  That is a
 * column of the relation or, where another argument is ASIDE_ARGUMENT, of its
 * companion (companion.c).  To everything that plans, reads and writes rows, a
 * relation of the second kind is not tagged: it has live rows only.
 *
 * soft_delete.tag() and untag() create and drop the trigger, in PL/pgSQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "nodes/readfuncs.h"
#include "replication/walsender.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "catalog/sd_catalog.h"

static bool show_deleted = false;

/* Has the session asked who sees tombstones?  Plans may depend on the answer */
static bool has_asked = false;

PG_FUNCTION_INFO_V1(soft_delete_tag_arguments);
PG_FUNCTION_INFO_V1(soft_delete_trigger_arguments);
PG_FUNCTION_INFO_V1(soft_delete_bridge_arguments);
PG_FUNCTION_INFO_V1(soft_delete_is_aside);
PG_FUNCTION_INFO_V1(soft_delete_reset_value);
PG_FUNCTION_INFO_V1(soft_delete_storage_of);
PG_FUNCTION_INFO_V1(soft_delete_is_own_transaction);
PG_FUNCTION_INFO_V1(soft_delete_shows_tombstones);
PG_FUNCTION_INFO_V1(soft_delete_admits_tombstone);

static const Trigger *tag_of(Relation rel);
static List *tag_arguments_seen(Oid relid, Snapshot snapshot);
static bool names_aside(List *arguments);
static bool may_be_tagged(char relkind);
static void refuse_removed_tag_function(Relation rel);
static char *indexed_column(Relation rel, const Trigger *tag);
static AttrNumber first_index_column(HeapTuple index);
static void check_tombstone_type(Relation rel, Form_pg_attribute att,
								 const Trigger *tag);
static ArrayType *make_text_array(List *strings);
static void assign_show_deleted(bool newval, void *extra);
static void forget_plans(Datum arg, int cacheid, uint32 hashvalue);

/*
 * Define the setting soft_delete.show_deleted, and register the callbacks that see roles
 * change.
 */
void
init_tagged(void)
{
	DefineCustomBoolVariable("soft_delete.show_deleted",
							 "Shows deleted rows of tagged tables along with live ones.",
							 "What is written to, and what foreign keys see, is live rows whatever this says.",
							 &show_deleted, false, PGC_SUSET, 0, NULL,
							 assign_show_deleted, NULL);
	CacheRegisterSyscacheCallback(AUTHOID, forget_plans, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, forget_plans, (Datum) 0);
}

/*
 * Discard all cached plans when a role changes, or is granted or revoked: a plan that shows
 * tombstones was made for a role that might see them then (syscache callback).
 */
static void
forget_plans(Datum arg, int cacheid, uint32 hashvalue)
{
	if (has_asked)
		ResetPlanCache();
}

/*
 * Discard all cached plans when the setting changes, for each plan was made for one
 * of its values (assign hook).
 */
static void
assign_show_deleted(bool newval, void *extra)
{
	if (newval != show_deleted)
		ResetPlanCache();
}

/*
 * Do reads of this session show deleted rows?
 *
 * Those of a walsender do.  The initial copy of a table for a subscriber needs all
 * rows, for the subscriber also gets the later changes of deleted rows.  And a role
 * that may decode changes sees deleted rows in them anyway.
 */
bool
shows_deleted(void)
{
	return show_deleted || am_walsender;
}

/*
 * Return the trigger that is the tag of the relation, or NULL.
 *
 * The result is valid until the next catalog lookup, which may rebuild the
 * relation's trigger descriptor.
 */
static const Trigger *
tag_of(Relation rel)
{
	TriggerDesc *trigdesc = rel->trigdesc;
	Oid tag_function;

	if (trigdesc == NULL || !trigdesc->trig_delete_before_row ||
		!may_be_tagged(rel->rd_rel->relkind))
		return NULL;

	tag_function = extension_function(TAG_TRIGGER);
	if (!OidIsValid(tag_function))
		refuse_removed_tag_function(rel);
	trigdesc = rel->trigdesc; /* the lookups may have rebuilt it */

	for (int i = 0; i < trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &trigdesc->triggers[i];

		if (TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								 TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_DELETE) &&
			trigger->tgnargs > 0 && trigger->tgfoid == tag_function)
			return trigger;
	}
	return NULL;
}

/*
 * Does the tag say that tombstones are kept in the companion?
 */
bool
is_aside_tag(const Trigger *tag)
{
	for (int i = 1; i < tag->tgnargs; i++)
	{
		if (strcmp(tag->tgargs[i], ASIDE_ARGUMENT) == 0)
			return true;
	}
	return false;
}

/*
 * Does the tag of the relation fire?  If not, its deletes are hard.
 */
bool
tag_is_enabled(Relation rel)
{
	const Trigger *tag = tag_of(rel);

	return tag != NULL && (tag->tgenabled == TRIGGER_FIRES_ON_ORIGIN ||
						   tag->tgenabled == TRIGGER_FIRES_ALWAYS);
}

/*
 * Are the tombstones of the relation kept in its companion?
 */
bool
keeps_aside(Relation rel)
{
	const Trigger *tag = tag_of(rel);

	return tag != NULL && is_aside_tag(tag);
}

/*
 * Is the relation, which need not be locked, one whose tombstones are kept in its
 * companion?
 */
bool
is_kept_aside(Oid relid)
{
	return names_aside(tag_arguments(relid));
}

/*
 * Do the arguments of a tag say that tombstones are kept in the companion?
 */
static bool
names_aside(List *arguments)
{
	ListCell *lc;

	foreach (lc, arguments)
	{
		if (foreach_current_index(lc) > 0 && strcmp(lfirst(lc), ASIDE_ARGUMENT) == 0)
			return true;
	}
	return false;
}

/*
 * May a relation of that kind be tagged?  A foreign table may not, for another
 * server deletes its rows.
 */
static bool
may_be_tagged(char relkind)
{
	return relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE;
}

/*
 * Raise 42883 if the relation has a trigger that calls soft_delete.delete_row(),
 * and that function was removed from the extension.  Else the relation would seem
 * not to be tagged, and its deleted rows would be shown.
 */
static void
refuse_removed_tag_function(Relation rel)
{
	List *functions = NIL;
	ListCell *lc;

	/* the lookups below may rebuild the trigger descriptor */
	for (int i = 0; i < rel->trigdesc->numtriggers; i++)
		functions = lappend_oid(functions, rel->trigdesc->triggers[i].tgfoid);
	foreach (lc, functions)
	{
		if (is_removed_function(lfirst_oid(lc), TAG_TRIGGER))
			(void) needed_function(TAG_TRIGGER);
	}
	list_free(functions);
}

/*
 * Return the attribute number of the relation's tombstone column, or
 * InvalidAttrNumber if the relation has none: it is not tagged, or its tombstones
 * are in its companion.
 *
 * Raises 42703 if the column that the tag names does not exist: then live rows
 * cannot be told from deleted ones, and to show all of them would disclose the
 * deleted ones.  Raises 42804 if the column cannot hold a stamp, for the owner may
 * have created the trigger without tag().
 */
AttrNumber
tombstone_attribute(Relation rel)
{
	const Trigger *tag = tag_of(rel);
	TupleDesc tupdesc = RelationGetDescr(rel);
	char *name, *renamed;

	if (tag == NULL || is_aside_tag(tag))
		return InvalidAttrNumber;

	for (int attno = 1; attno <= tupdesc->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, attno - 1);

		if (!att->attisdropped && strcmp(NameStr(att->attname), tag->tgargs[0]) == 0)
		{
			check_tombstone_type(rel, att, tag);
			return attno;
		}
	}

	name = pstrdup(tag->tgargs[0]);
	renamed = indexed_column(rel, tag);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("tombstone column \"%s\" of tagged table \"%s\" does not exist",
					name, RelationGetRelationName(rel)),
			 errdetail("Without it live rows cannot be told from deleted ones."),
			 renamed != NULL
				 ? errhint("ALTER TABLE %s RENAME COLUMN %s TO %s;",
						   qualified_name(RelationGetRelid(rel)),
						   quote_identifier(renamed), quote_identifier(name))
				 : 0));
	return InvalidAttrNumber; /* keep compiler quiet */
}

/*
 * Return the name of the column that the index of the tag is on, which the tombstone
 * column may have been renamed to, or NULL.
 */
static char *
indexed_column(Relation rel, const Trigger *tag)
{
	char *found = NULL;

	for (int i = 1; i < tag->tgnargs && found == NULL; i++)
	{
		Oid index =
			strncmp(tag->tgargs[i], "bin:", 4) == 0
				? get_relname_relid(tag->tgargs[i] + 4, RelationGetNamespace(rel))
				: InvalidOid;
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_index) GETSTRUCT(tuple))->indrelid == RelationGetRelid(rel))
			found = get_attname(RelationGetRelid(rel),
								first_index_column(tuple), true);
		ReleaseSysCache(tuple);
	}
	return found;
}

/*
 * Return the column of the table that the first column of an index is, as timestamptz
 * perhaps, or InvalidAttrNumber.
 */
static AttrNumber
first_index_column(HeapTuple index)
{
	AttrNumber attnum = ((Form_pg_index) GETSTRUCT(index))->indkey.values[0];
	bool isnull;
	Datum expressions;
	Var *column;

	if (attnum != InvalidAttrNumber)
		return attnum;
	expressions =
		SysCacheGetAttr(INDEXRELID, index, Anum_pg_index_indexprs, &isnull);
	if (isnull)
		return InvalidAttrNumber;
	column = column_in_utc(
		linitial((List *) stringToNode(TextDatumGetCString(expressions))));
	return column ? column->varattno : InvalidAttrNumber;
}

/*
 * Return the column that an expression makes a timestamptz of: a tombstone column of type
 * timestamp has UTC.  Returns NULL for any other expression.
 */
Var *
column_in_utc(Node *node)
{
	FuncExpr *call = (FuncExpr *) node;
	Const *zone;

	if (call == NULL || !IsA(call, FuncExpr) ||
		call->funcid != F_TIMEZONE_TEXT_TIMESTAMP || !IsA(lsecond(call->args), Var))
		return NULL;
	zone = linitial(call->args);
	if (!IsA(zone, Const) || zone->constisnull ||
		strcmp(TextDatumGetCString(zone->constvalue), "UTC") != 0)
		return NULL;
	return lsecond_node(Var, call->args);
}

/*
 * Return the expression for a column of stamps of a relation as a timestamptz, which their
 * index is on: one of type timestamp has UTC.  "alias" is that of the relation, or NULL.
 */
char *
stamp_expression(const char *alias, Oid relid, const char *column)
{
	char *name = alias == NULL
					 ? pstrdup(quote_identifier(column))
					 : psprintf("%s.%s", alias, quote_identifier(column));

	return get_atttype(relid, get_attnum(relid, column)) == TIMESTAMPOID
			   ? psprintf("pg_catalog.timezone('UTC', %s)", name)
			   : name;
}

/*
 * Raise 42804 unless the tombstone column is of type timestamptz or timestamp, and
 * not generated.
 */
static void
check_tombstone_type(Relation rel, Form_pg_attribute att, const Trigger *tag)
{
	char *name;

	if ((att->atttypid == TIMESTAMPTZOID || att->atttypid == TIMESTAMPOID) &&
		att->attgenerated == '\0')
		return;

	name = pstrdup(tag->tgname);
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 att->attgenerated == '\0'
				 ? errmsg("tombstone column \"%s\" of tagged table \"%s\" has type %s",
						  NameStr(att->attname), RelationGetRelationName(rel),
						  format_type_be(att->atttypid))
				 : errmsg("tombstone column \"%s\" of tagged table \"%s\" is a generated column",
						  NameStr(att->attname), RelationGetRelationName(rel)),
			 errdetail("It must be an ordinary column of type timestamptz or timestamp."),
			 strcmp(name, TAG_NAME) != 0
				 ? errhint("DROP TRIGGER %s ON %s;", quote_identifier(name),
						   qualified_name(RelationGetRelid(rel)))
				 : 0));
}

/*
 * Is the relation tagged, wherever its tombstones are stored?
 */
bool
is_tagged(Oid relid)
{
	return tombstone_name(relid) != NULL;
}

/*
 * Is the open relation tagged, wherever its tombstones are stored?
 */
bool
has_tag(Relation rel)
{
	return tombstone_attribute(rel) != InvalidAttrNumber || keeps_aside(rel);
}

/*
 * Is the relation tagged, with its tombstones in it?
 */
bool
is_tagged_in_place(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	bool result = tombstone_attribute(rel) != InvalidAttrNumber;

	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Return the name of a relation's tombstone column, which is its own or that of its
 * companion, or NULL if the relation is not tagged.
 */
const char *
tombstone_name(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	const char *name = NULL;

	if (has_tag(rel))
		name = pstrdup(tag_of(rel)->tgargs[0]);
	table_close(rel, AccessShareLock);
	return name;
}

/*
 * Is this a maintenance session for the relation: is row_security off, as pg_dump
 * and pg_restore set it, and does the session's role own the relation, or is it
 * superuser?
 *
 * Any role may set row_security.  So the session's role counts: the current user
 * may be the owner only because of a SECURITY DEFINER function, or of the query of
 * a foreign key.  The current user counts too, for a function must not see more
 * than its owner may.  A security-restricted operation is no maintenance, unless it
 * is that of a foreign key or of become_owner(): what REFRESH MATERIALIZED VIEW
 * reads becomes visible to all readers of the view.
 */
bool
is_maintenance(Oid relid)
{
	return !row_security && relation_ownercheck(relid, GetOuterUserId()) &&
		   relation_ownercheck(relid, GetUserId()) &&
		   (InNoForceRLSOperation() || !InSecurityRestrictedOperation());
}

/*
 * Does the session ask for all rows of a table, or for an error?  That is what
 * row_security = off means.  It is ignored in a SECURITY DEFINER function and in a
 * security-restricted operation.
 */
bool
wants_whole_tables(void)
{
	return !row_security && GetUserId() == GetOuterUserId() &&
		   !InSecurityRestrictedOperation();
}

/*
 * Does a query of the session on the relation return tombstones?  It does in a
 * maintenance session, and where a role with BYPASSRLS asks for all rows.
 */
bool
reads_tombstones(Oid relid)
{
	return is_maintenance(relid) ||
		   (wants_whole_tables() && has_bypassrls_privilege(GetUserId()));
}

/*
 * Return the arguments of the relation's tag as strings, the name of the tombstone
 * column first.  Returns NIL if the relation is not tagged, or does not exist.
 *
 * Does not lock the relation, and so does not wait for other transactions: the
 * relation may be another one than the command that runs has locked.
 */
List *
tag_arguments(Oid relid)
{
	return tag_arguments_seen(relid, NULL);
}

/*
 * Return what tag_arguments() returns, of the tag that a snapshot sees, or that of now if
 * it is NULL.
 */
static List *
tag_arguments_seen(Oid relid, Snapshot snapshot)
{
	CatalogScan scan =
		begin_catalog_scan_by(TriggerRelationId, TriggerRelidNameIndexId,
							  Anum_pg_trigger_tgrelid, relid, snapshot);
	List *arguments = NIL;
	HeapTuple tuple;

	while (arguments == NIL && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								 TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_DELETE) &&
			trigger->tgnargs > 0 && may_be_tagged(get_rel_relkind(relid)))
		{
			if (trigger->tgfoid == extension_function(TAG_TRIGGER))
				arguments = trigger_arguments(scan.catalog, tuple);
			else if (is_removed_function(trigger->tgfoid, TAG_TRIGGER))
				(void) needed_function(TAG_TRIGGER);
		}
	}
	end_catalog_scan(&scan);
	return arguments;
}

/*
 * Return the arguments of the relation's tag if its tombstones are in it, else NIL.
 */
List *
in_place_arguments(Oid relid)
{
	return is_kept_aside(relid) ? NIL : tag_arguments(relid);
}

/*
 * Return the name of the tombstone column by the tag that a snapshot sees, or NULL if the
 * table had none, or kept its tombstones aside.
 */
char *
tombstone_name_seen(Oid relid, Snapshot snapshot)
{
	List *arguments = tag_arguments_seen(relid, snapshot);

	return arguments == NIL || names_aside(arguments) ? NULL : linitial(arguments);
}

/*
 * Return the arguments of a trigger as strings, from its row in pg_trigger, which
 * has them one after the other, each with a terminating zero.
 */
List *
trigger_arguments(Relation triggers, HeapTuple tuple)
{
	List *arguments = NIL;
	bool isnull;
	Datum value = heap_getattr(tuple, Anum_pg_trigger_tgargs,
							   RelationGetDescr(triggers), &isnull);
	char *argument = VARDATA_ANY(DatumGetByteaPP(value));

	for (int i = 0; i < ((Form_pg_trigger) GETSTRUCT(tuple))->tgnargs; i++)
	{
		arguments = lappend(arguments, pstrdup(argument));
		argument += strlen(argument) + 1;
	}
	return arguments;
}

/*
 * soft_delete_internal.tag_arguments(relation regclass) returns text[]
 *
 * Returns the arguments of the relation's tag, the name of the tombstone column
 * first.  Null if the relation is not tagged, or does not exist.
 */
Datum
soft_delete_tag_arguments(PG_FUNCTION_ARGS)
{
	List *arguments = tag_arguments(PG_GETARG_OID(0));

	if (arguments == NIL)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(make_text_array(arguments));
}

/*
 * soft_delete_internal.bridge_arguments(relation regclass) returns text[]
 *
 * Returns the arguments of the relation's bridge, which its trigger FOR EACH ROW of UPDATE
 * has, the name of the column first.  Null if there is none.
 */
Datum
soft_delete_bridge_arguments(PG_FUNCTION_ARGS)
{
	Oid function = extension_function(BRIDGE_TRIGGER);
	CatalogScan scan = begin_trigger_scan(PG_GETARG_OID(0));
	bool found = false;
	List *arguments = NIL;
	HeapTuple tuple;

	while (!found && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		found = trigger->tgfoid == function && TRIGGER_FOR_ROW(trigger->tgtype) &&
				TRIGGER_FOR_UPDATE(trigger->tgtype);
		if (found)
			arguments = trigger_arguments(scan.catalog, tuple);
	}
	end_catalog_scan(&scan);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(make_text_array(arguments));
}

/*
 * soft_delete_internal.trigger_arguments(trigger oid) returns text[]
 *
 * Returns the arguments of a trigger.  Null if there is no such trigger.
 */
Datum
soft_delete_trigger_arguments(PG_FUNCTION_ARGS)
{
	CatalogScan scan = begin_catalog_scan(TriggerRelationId, TriggerOidIndexId,
										  Anum_pg_trigger_oid, PG_GETARG_OID(0));
	HeapTuple tuple = next_catalog_row(&scan);
	bool found = HeapTupleIsValid(tuple);
	List *arguments = found ? trigger_arguments(scan.catalog, tuple) : NIL;

	end_catalog_scan(&scan);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(make_text_array(arguments));
}

/*
 * soft_delete_internal.is_aside(relation regclass) returns boolean
 *
 * Returns whether the tombstones of a table are kept in its companion.
 */
Datum
soft_delete_is_aside(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) && is_kept_aside(PG_GETARG_OID(0)));
}

/*
 * soft_delete_internal.storage_of(relation regclass) returns text
 *
 * Returns where the tombstones of a table are kept.  Null if it is not tagged.
 */
Datum
soft_delete_storage_of(PG_FUNCTION_ARGS)
{
	List *arguments = tag_arguments(PG_GETARG_OID(0));

	if (arguments == NIL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(names_aside(arguments) ? "aside" : "in_place"));
}

/*
 * Return strings as a value of type text[].
 */
static ArrayType *
make_text_array(List *strings)
{
	Datum *elements = palloc(list_length(strings) * sizeof(Datum));
	ListCell *lc;

	foreach (lc, strings)
		elements[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	return construct_array(elements, list_length(strings), TEXTOID, -1, false,
						   TYPALIGN_INT);
}

/*
 * soft_delete_internal.is_own_transaction(xid) returns boolean
 *
 * Returns whether the id is that of the current transaction or of one of its
 * subtransactions.
 */
Datum
soft_delete_is_own_transaction(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(TransactionIdIsCurrentTransactionId(PG_GETARG_TRANSACTIONID(0)));
}

/*
 * soft_delete_internal.reset_value(setting text) returns text
 *
 * Returns the value that RESET gives a setting, which pg_settings shows among all others.
 */
Datum
soft_delete_reset_value(PG_FUNCTION_ARGS)
{
	const char *value =
		GetConfigOptionResetString(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(value));
}

/*
 * soft_delete_internal.shows_tombstones(relation oid) returns boolean
 *
 * Returns whether the session reads the tombstones of the relation.  A plan that
 * was made with row_security = off calls it for each tombstone, so that the plan
 * hides tombstones as soon as the setting or the role changes.
 *
 * Raises 42501 if row_security is off and the role may not see tombstones.
 */
Datum
soft_delete_shows_tombstones(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	bool shows = reads_tombstones(relid);

	/* a foreign key asks, of a table whose owner is not in maintenance */
	if (shows && InNoForceRLSOperation() && has_written_for_others(relid))
		PG_RETURN_BOOL(false);
	if (!shows && wants_whole_tables())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("query would leave out deleted rows of table \"%s\"",
						get_rel_name(relid)),
				 errdetail("With row_security = off, they are for the owner of the table, superusers and roles with BYPASSRLS."),
				 errhint("SET row_security = on;")));
	PG_RETURN_BOOL(shows);
}

/*
 * soft_delete.admits_tombstone(relation oid) returns boolean
 *
 * Returns true in a maintenance session for the relation.  The check that
 * plan/modify.c adds to writes calls it for a new row whose tombstone column is not
 * null.
 *
 * Raises 0A000 in any other session, 42P01 if there is no such relation.
 */
Datum
soft_delete_admits_tombstone(PG_FUNCTION_ARGS)
{
	admit_tombstone(PG_GETARG_OID(0));
	PG_RETURN_BOOL(true);
}

/*
 * Raise 0A000 unless this is a maintenance session for the relation, into which
 * a tombstone is about to be written.  Raises 42P01 if there is no such relation.
 */
void
admit_tombstone(Oid relid)
{
	if (is_maintenance(relid))
		return;
	check_relation_exists(relid);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot write a deleted row into table \"%s\"", get_rel_name(relid)),
			 errdetail("The tombstone column of a tagged table is set by DELETE and cleared by restoring, never by hand.")));
}

/*
 * May a role that may read the relation see its tombstones too?  It may if it owns
 * the relation or has EXECUTE on the sampling method.
 */
bool
may_see_tombstones(Oid relid, Oid roleid)
{
	has_asked = true;
	return relation_ownercheck(relid, roleid) ||
		   function_aclcheck(needed_function(SAMPLING_METHOD), roleid,
							 ACL_EXECUTE) == ACLCHECK_OK;
}
