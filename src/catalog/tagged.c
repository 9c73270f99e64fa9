/*
 * tagged.c
 *	  Which relation is tagged, and which role and session is exempt.
 *
 * The trigger is the tag: a relation is tagged exactly when it carries a
 * trigger that calls soft_delete.delete_row(), enabled or not, and the
 * trigger's first argument names the tombstone column.  Nothing else decides
 * it.  Putting the tag on and taking it off is done in SQL (sql/ddl_tag.sql).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rls.h"

#include "catalog/sd_catalog.h"

static bool show_deleted = false;

PG_FUNCTION_INFO_V1(soft_delete_tag_arguments);
PG_FUNCTION_INFO_V1(soft_delete_trigger_arguments);
PG_FUNCTION_INFO_V1(soft_delete_is_own_transaction);
PG_FUNCTION_INFO_V1(soft_delete_shows_tombstones);
PG_FUNCTION_INFO_V1(soft_delete_admits_tombstone);

static const Trigger *tag_of(Relation rel);
static bool may_be_tagged(char relkind);
static void refuse_lost_tag(Relation rel);
static void check_tombstone_type(Relation rel, Form_pg_attribute att,
								 const Trigger *tag);
static ArrayType *make_text_array(List *strings);
static void assign_show_deleted(bool newval, void *extra);

/*
 * Define soft_delete.show_deleted.
 */
void
init_tagged(void)
{
	DefineCustomBoolVariable("soft_delete.show_deleted",
							 "Shows deleted rows of tagged tables along with live ones.",
							 "What is written to, and what foreign keys see, is live rows whatever this says.",
							 &show_deleted, false, PGC_SUSET, 0, NULL,
							 assign_show_deleted, NULL);
}

/*
 * Replan everything: plans have the old value built in.
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
 * Those of a walsender do: the subscriber whose tables it fills is told of what
 * becomes of all rows, and whoever decodes changes sees deleted rows anyway.
 */
bool
shows_deleted(void)
{
	return show_deleted || am_walsender;
}

/*
 * Return the trigger that is the tag of the relation, or NULL.
 *
 * The result is gone with the next look at a catalog, which may rebuild the
 * relation's descriptor.
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
		refuse_lost_tag(rel);
	trigdesc = rel->trigdesc;

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
 * May a relation of that kind be tagged?  Nobody but the server that has its rows
 * can keep those of a foreign table.
 */
static bool
may_be_tagged(char relkind)
{
	return relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE;
}

/*
 * Raise 42883 if a trigger of the relation would be its tag, were the trigger's
 * function still a member of the extension: its deleted rows must not be shown.
 */
static void
refuse_lost_tag(Relation rel)
{
	List *functions = NIL;
	ListCell *lc;

	/* a look at a catalog may rebuild the descriptor */
	for (int i = 0; i < rel->trigdesc->numtriggers; i++)
		functions = lappend_oid(functions, rel->trigdesc->triggers[i].tgfoid);
	foreach (lc, functions)
	{
		if (is_lost_function(lfirst_oid(lc), TAG_TRIGGER))
			(void) needed_function(TAG_TRIGGER);
	}
	list_free(functions);
}

/*
 * Return the number of the relation's tombstone column, or InvalidAttrNumber
 * if the relation is not tagged.
 *
 * Raises 42703 if the column that the tag names is gone: then nobody can tell
 * live rows from deleted ones, and showing all of them would be a leak.  42804
 * if it can hold no stamp: anybody can make a tag by hand.
 */
AttrNumber
tombstone_attribute(Relation rel)
{
	const Trigger *tag = tag_of(rel);
	TupleDesc tupdesc = RelationGetDescr(rel);
	char *name;

	if (tag == NULL)
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
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("tombstone column \"%s\" of tagged table \"%s\" does not exist",
					name, RelationGetRelationName(rel)),
			 errdetail("Without it live rows cannot be told from deleted ones."),
			 errhint("If it was renamed, ALTER TABLE %s RENAME COLUMN ... TO %s;",
					 qualified_name(RelationGetRelid(rel)), quote_identifier(name))));
	return InvalidAttrNumber; /* keep compiler quiet */
}

/*
 * Raise 42804 unless the tombstone column is timestamptz or timestamp, and one that
 * can be written.
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
			 errdetail("It must be timestamptz or timestamp."),
			 strcmp(name, TAG_NAME) == 0
				 ? errhint("SELECT soft_delete.untag(%s);",
						   quote_literal_cstr(qualified_name(RelationGetRelid(rel))))
				 : errhint("DROP TRIGGER %s ON %s;", quote_identifier(name),
						   qualified_name(RelationGetRelid(rel)))));
}

/*
 * Is the relation tagged?
 */
bool
is_tagged(Oid relid)
{
	return tombstone_name(relid) != NULL;
}

/*
 * Return the name of a relation's tombstone column, or NULL if the relation is
 * not tagged.
 */
const char *
tombstone_name(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	AttrNumber attnum = tombstone_attribute(rel);
	const char *name = NULL;

	if (attnum != InvalidAttrNumber)
		name = pstrdup(
			NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname));
	table_close(rel, AccessShareLock);
	return name;
}

/*
 * Is this a maintenance session for the relation: row_security off, which is
 * what pg_dump and pg_restore set, in a role that owns it or is superuser?
 *
 * Anybody may set row_security, so it takes the role that the session has taken:
 * the owner's rights are lent by functions that are security definer, and by the
 * queries of foreign keys.  A function must not get to see more than its own owner
 * may, either.  What a materialized view is refreshed with, everybody may read.
 */
bool
is_maintenance(Oid relid)
{
	return !row_security && relation_ownercheck(relid, GetOuterUserId()) &&
		   relation_ownercheck(relid, GetUserId()) &&
		   (InNoForceRLSOperation() || !InSecurityRestrictedOperation());
}

/*
 * Does the session ask to read tables whole, or not at all?  Row_security is off and
 * no rights are lent, as by a function that is security definer.
 */
bool
wants_whole_tables(void)
{
	return !row_security && GetUserId() == GetOuterUserId() &&
		   !InSecurityRestrictedOperation();
}

/*
 * Does the session read the tombstones of a relation that it may read: is it one of
 * maintenance, or does it ask for whole tables in a role that row security passes by?
 */
bool
reads_tombstones(Oid relid)
{
	return is_maintenance(relid) ||
		   (wants_whole_tables() && has_bypassrls_privilege(GetUserId()));
}

/*
 * Return the arguments of the relation's tag as strings, the tombstone column
 * first, or NIL if the relation is not tagged, or does not exist.
 *
 * It is asked about relations that only happen to be connected with the one
 * that a command is about: it locks nothing, and waits for nobody.
 */
List *
tag_arguments(Oid relid)
{
	CatalogScan scan = begin_trigger_scan(relid);
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
			else if (is_lost_function(trigger->tgfoid, TAG_TRIGGER))
				(void) needed_function(TAG_TRIGGER);
		}
	}
	end_catalog_scan(&scan);
	return arguments;
}

/*
 * Return the arguments of a trigger, from its row in pg_trigger: strings, one
 * after the other.
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
 * Returns the arguments of the tag of a relation, NULL if it is not tagged.
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
 * soft_delete_internal.trigger_arguments(trigger oid) returns text[]
 *
 * Returns the arguments of a trigger, NULL if there is no such trigger.
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
 * Return strings as an array of text.
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
 * Tells whether what a transaction wrote was written by the current one or one
 * of its subtransactions.
 */
Datum
soft_delete_is_own_transaction(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(TransactionIdIsCurrentTransactionId(PG_GETARG_TRANSACTIONID(0)));
}

/*
 * soft_delete_internal.shows_tombstones(relation oid) returns boolean
 *
 * Stands in plans that were made with row_security off, for a row that is a
 * tombstone, so that they hide it again as soon as the setting changes.
 *
 * Raises 42501 where the session asks for whole tables and may not see it.
 */
Datum
soft_delete_shows_tombstones(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	bool shows = reads_tombstones(relid);

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
 * Checks writes to a tagged table: called for a new row whose tombstone column
 * is not null.  Returns true in a maintenance session, else raises 0A000.
 */
Datum
soft_delete_admits_tombstone(PG_FUNCTION_ARGS)
{
	admit_tombstone(PG_GETARG_OID(0));
	PG_RETURN_BOOL(true);
}

/*
 * Raise 0A000 unless this is a maintenance session for the relation, into which
 * a tombstone is to be written.
 */
void
admit_tombstone(Oid relid)
{
	char *relname;

	if (is_maintenance(relid))
		return;
	relname = get_rel_name(relid);
	if (relname == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot write a deleted row into table \"%s\"", relname),
			 errdetail("The tombstone column of a tagged table is set by DELETE and cleared by restoring, never by hand."),
			 errhint("Use DELETE FROM %s ..., or its bin to restore.",
					 qualified_name(relid))));
}

/*
 * May a role, if it may read the relation, see its tombstones too?  It owns the
 * relation or was granted EXECUTE on the sampling method.
 */
bool
may_see_tombstones(Oid relid, Oid roleid)
{
	return relation_ownercheck(relid, roleid) ||
		   function_aclcheck(needed_function(SAMPLING_METHOD), roleid,
							 ACL_EXECUTE) == ACLCHECK_OK;
}
