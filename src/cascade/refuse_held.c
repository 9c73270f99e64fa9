/*
 * refuse_held.c
 *	  Refuses to destroy, to restore or to change what is held.
 *
 * Invariant: the hint of such an error is a statement that lifts the hold, for a role
 * that may.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cascade/sd_cascade.h"

/* As many holds are named in a message */
#define MAX_NAMED_HOLDS 5

PG_FUNCTION_INFO_V1(soft_delete_spares_held);
PG_FUNCTION_INFO_V1(soft_delete_check_holds);

static void report_held(Relation rel, const Hold *hold, bool is_purge);
static int errdetail_held(Relation rel, const Hold *hold, const char *otherwise);
static char *row_lifting_statement(const Hold *hold);
static char *key_lifting_statement(const Hold *hold);
static char *hold_statement(const char *function, Oid relid, const char *text);
static void refuse_held_below(Relation rel, List *ancestors, const char *action);
static void report_held_table(Relation rel, Oid named, List *texts,
							  const char *action);
static bool is_told_holds(Relation rel);
static List *holds_of_table(Oid table, List *relids, bool is_live, Oid *named);
static Hold *find_hold_in(Relation rel);
static CascadeTable *all_tombstones(Relation rel);
static void add_tombstones(CascadeTable *table, Relation rel,
						   StorageKind storage, Oid month);

/*
 * Raise 55006 if a member of a completed cascade is held and so cannot be purged,
 * or cannot be restored.
 */
void
refuse_held(Cascade *cascade)
{
	List *relids = NIL;
	ListCell *lc;

	foreach (lc, cascade->tables)
		relids = lappend_oid(relids, ((CascadeTable *) lfirst(lc))->relid);
	lock_holds(relids, RowShareLock);
	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);
		Hold **holds = find_holds(table, !cascade->is_purge, SnapshotSelf);

		for (int i = 0; holds != NULL && i < table->nmembers; i++)
		{
			if (holds[i] != NULL)
				report_held(table_open(table->relid, NoLock), holds[i],
							cascade->is_purge);
		}
	}
}

/*
 * Raise 55006 for a tombstone of the relation that is held.
 */
static void
report_held(Relation rel, const Hold *hold, bool is_purge)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg(is_purge ? "cannot purge a row of table \"%s\" that is held: %s"
							 : "cannot restore a row of table \"%s\" that is held: %s",
					RelationGetRelationName(rel), hold->text),
			 errdetail_held(rel, hold,
							is_purge ? "Nothing that is held is destroyed."
									 : "As a live row it could be changed, and deleted without the hold."),
			 errhint("%s", lifting_statement(hold))));
}

/*
 * Add a detail to an error about a tombstone that is held: where the hold is, if it is
 * not on the row, or else what is given.
 */
static int
errdetail_held(Relation rel, const Hold *hold, const char *otherwise)
{
	if (hold->holder == RelationGetRelid(rel))
		return errdetail("%s", otherwise);
	return errdetail("It was deleted with a row of table \"%s\", which is held.",
					 get_rel_name(hold->holder));
}

/*
 * Return the statement that lifts the hold on a tombstone.
 */
char *
lifting_statement(const Hold *hold)
{
	switch (hold->scope)
	{
		case HOLD_ON_TABLE:
			return hold_statement("hold", hold->relid, NULL);
		case HOLD_ON_DELETION:
			return psprintf("SELECT soft_delete.hold_deletion('%s', NULL);",
							timestamptz_to_str(hold->tombstone.stamp));
		case HOLD_ON_KEY:
			return key_lifting_statement(hold);
		default:
			return row_lifting_statement(hold);
	}
}

/*
 * Return the statement that lifts the holds on a row, of which a role that may not
 * read the key is told only the form.
 */
static char *
row_lifting_statement(const Hold *hold)
{
	Relation rel = table_open(hold->holder, AccessShareLock);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	AttrNumber attnums[INDEX_MAX_KEYS];
	const char *condition = "...", *column = "hold";
	int nkeys = primary_key(hold->holder, attnums);
	Oid bin = bin_of(hold->holder);

	fetch_tombstone(rel, &hold->tombstone, row);
	if (may_read_tombstones(hold->holder, nkeys, attnums))
		condition = key_condition(nkeys, hold->holder, attnums, row, attnums);
	/* a view that another trigger made into the bin may lack the column */
	if (OidIsValid(bin) && bin_column(bin, BIN_HOLD) != InvalidAttrNumber)
		column =
			quote_identifier(get_attname(bin, bin_column(bin, BIN_HOLD), false));
	ExecDropSingleTupleTableSlot(row);
	table_close(rel, NoLock);
	return psprintf("UPDATE %s SET %s = NULL WHERE %s;", bin_name(hold->holder),
					column, condition);
}

/*
 * Return the statement that lifts the first of the holds on a row by its key, whose row
 * may be a live one once the statement that is refused is undone: the bin would not have it.
 * A role that may not read the key is told only the form.
 */
static char *
key_lifting_statement(const Hold *hold)
{
	Relation rel = table_open(hold->holder, AccessShareLock);
	Relation holds = table_open(extension_relation("holds"), AccessShareLock);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	AttrNumber attnums[INDEX_MAX_KEYS];
	int nkeys = primary_key(hold->holder, attnums);
	HoldKey on_key = {.relid = hold->relid};
	StringInfoData statement;
	SavedRole saved;
	List *texts;
	Datum *values;
	int n;

	fetch_tombstone(rel, &hold->tombstone, row);
	become_owner(rel, &saved);
	on_key.key = primary_key_text(hold->holder, row);
	restore_role(&saved);
	deconstruct_array(DatumGetArrayTypeP(on_key.key), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, NULL, &n);
	texts = add_texts(NIL, holds_with_key(holds, &on_key, SnapshotSelf));
	initStringInfo(&statement);
	appendStringInfo(&statement, "SELECT soft_delete.lift(%s",
					 quote_literal_cstr(qualified_name(hold->relid)));
	if (!may_read_tombstones(hold->holder, nkeys, attnums))
	{
		appendStringInfoString(&statement, ", ...");
		n = 0;
	}
	for (int i = 0; i < n; i++)
		appendStringInfo(&statement, ", %s",
						 quote_literal_cstr(TextDatumGetCString(values[i])));
	appendStringInfo(&statement, ", %s);",
					 quote_literal_cstr(texts == NIL ? hold->text : linitial(texts)));
	ExecDropSingleTupleTableSlot(row);
	table_close(holds, NoLock);
	table_close(rel, NoLock);
	return statement.data;
}

/*
 * Return a call of a function for holds on a table.
 */
static char *
hold_statement(const char *function, Oid relid, const char *text)
{
	return psprintf("SELECT soft_delete.%s(%s, %s);", function,
					quote_literal_cstr(qualified_name(relid)),
					text ? quote_literal_cstr(text) : "NULL");
}

/*
 * Raise 55006 if rows of a table are held: those that are deleted from it, or, by
 * their key, live ones.  "action" is the verb of the message, and would destroy the
 * rows or lift their holds.
 *
 * The lock keeps others from placing holds until the transaction ends.
 */
void
refuse_held_table(Relation rel, const char *action)
{
	refuse_held_below(rel, with_ancestors(RelationGetRelid(rel)), action);
}

/*
 * Raise 55006 if rows of the table are held whose tombstones a companion has, or of a
 * partition or inheritance child of it.  Nothing is raised for a relation that is no
 * companion.
 */
void
refuse_held_aside(Oid companion, const char *action)
{
	Oid table = companions_table(companion);
	ListCell *lc;

	if (!OidIsValid(table))
		return;
	foreach (lc, find_all_inheritors(table, AccessShareLock, NULL))
	{
		Relation rel = table_open(lfirst_oid(lc), AccessShareLock);

		refuse_held_table(rel, action);
		table_close(rel, NoLock);
	}
}

/*
 * Raise 55006 if live rows of a table are held, or what is deleted from it later.
 */
void
refuse_held_live(Relation rel, const char *action)
{
	Oid named = InvalidOid;
	List *texts;

	lock_holds(list_make1_oid(RelationGetRelid(rel)), ShareLock);
	texts = holds_of_table(RelationGetRelid(rel),
						   with_ancestors(RelationGetRelid(rel)), true, &named);
	if (texts != NIL)
		report_held_table(rel, named, texts, action);
}

/*
 * Do what refuse_held_table() does for a relation that has, or had, some ancestors.
 */
static void
refuse_held_below(Relation rel, List *ancestors, const char *action)
{
	Oid named = InvalidOid;
	bool is_told = is_told_holds(rel);
	List *texts;
	Hold *hold;

	lock_holds(list_make1_oid(RelationGetRelid(rel)), ShareLock);
	if (!any_hold(SnapshotSelf))
		return;
	texts = holds_of_table(RelationGetRelid(rel), ancestors, false, &named);
	if (texts != NIL)
		report_held_table(rel, named, texts, action);
	hold = find_hold_in(rel);
	if (hold != NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("cannot %s table \"%s\", where rows are held%s",
							   action, RelationGetRelationName(rel),
							   is_told ? psprintf(": %s", hold->text) : ""),
						errdetail("A row of table \"%s\" is held, and rows of this table were deleted with it.",
								  get_rel_name(hold->holder)),
						is_told ? errhint("%s", lifting_statement(hold)) : 0));
}

/*
 * Raise 55006 for a table with held rows.  "texts" are those of the holds, the first of
 * which names the table "named".
 */
static void
report_held_table(Relation rel, Oid named, List *texts, const char *action)
{
	char *first = linitial(texts);
	bool has_more = list_length(texts) > MAX_NAMED_HOLDS;
	bool is_told = is_told_holds(rel);

	texts = list_truncate(texts, MAX_NAMED_HOLDS);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("cannot %s table \"%s\", where rows are held%s", action,
					RelationGetRelationName(rel),
					is_told ? psprintf(": %s%s", join_texts(texts), has_more ? ", ..." : "")
							: ""),
			 errdetail("Nothing that is held is destroyed."),
			 is_told ? errhint("%s", hold_statement("lift", named, first)) : 0));
}

/*
 * Is the caller told the texts of holds on rows of a table, and how to lift them?  Who
 * drops a schema or a type need not be the owner of the table that would go with it.
 */
static bool
is_told_holds(Relation rel)
{
	return relation_ownercheck(RelationGetRelid(rel), calling_role()) ||
		   pg_class_aclcheck(extension_relation("holds"), calling_role(),
							 ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Return the texts of the holds that name a table, or one of the others, its ancestors,
 * and more than a deleted row there; if "is_live", only of those that are on live rows or
 * on what is deleted later.  Sets "named" to the table that the first one names.
 */
static List *
holds_of_table(Oid table, List *relids, bool is_live, Oid *named)
{
	Relation holds = table_open(extension_relation("holds"), AccessShareLock);
	List *texts = NIL;
	ListCell *lc;

	foreach (lc, relids)
	{
		Oid relid = lfirst_oid(lc);
		List *slots = holds_on(holds, relid);
		ListCell *cell;

		foreach (cell, slots)
		{
			TupleTableSlot *slot = lfirst(cell);
			bool has_stamp = !slot->tts_isnull[HOLD_DELETED_AT];

			/* a hold on a row of an ancestor is on none of this table's rows */
			if (has_stamp &&
				(is_live || (relid != table && !slot->tts_isnull[HOLD_KEY])))
				slots = foreach_delete_current(slots, cell);
		}
		if (texts == NIL && slots != NIL)
			*named = relid;
		texts = add_texts(texts, slots);
	}
	table_close(holds, NoLock);
	return texts;
}

/*
 * Find a tombstone of the relation that is held because a restore of a row of another
 * table would bring it back.  Returns the hold, or NULL if there is none.
 */
static Hold *
find_hold_in(Relation rel)
{
	Hold **holds = NULL;
	Hold *found = NULL;
	CascadeTable *table;

	/* the tombstones of partitions are found there, or with their root */
	if (!may_be_held(RelationGetRelid(rel)) ||
		(rel->rd_tableam == NULL && !keeps_aside(rel)))
		return NULL;
	PushActiveSnapshot(GetLatestSnapshot());
	table = all_tombstones(rel);
	holds = find_holds(table, false, SnapshotSelf);
	for (int i = 0; holds != NULL && found == NULL && i < table->nmembers; i++)
		found = holds[i];
	PopActiveSnapshot();
	return found;
}

/*
 * Return all tombstones of the relation, as members that are not locked.
 */
static CascadeTable *
all_tombstones(Relation rel)
{
	CascadeTable *table = palloc0(sizeof(CascadeTable));
	SavedRole saved;
	ListCell *lc;

	table->relid = RelationGetRelid(rel);
	for (StorageKind storage = 0; storage < N_STORAGES; storage++)
	{
		if (!has_tombstones(storage, table->relid))
			continue;
		become_owner(rel, &saved);
		foreach (lc, tombstone_months(storage, table->relid))
			add_tombstones(table, rel, storage, lfirst_oid(lc));
		restore_role(&saved);
	}
	return table;
}

/*
 * Add the tombstones of a storage, of one month or of none, to the members.
 */
static void
add_tombstones(CascadeTable *table, Relation rel, StorageKind storage, Oid month)
{
	const ScanPosition start = {.is_set = false};
	TombstoneScan *scan =
		begin_tombstone_scan(rel, storage, month, DT_NOEND, &start);

	while (next_tombstone(scan))
	{
		CHECK_FOR_INTERRUPTS();
		append_member(CurrentMemoryContext, table,
					  (Member){.tombstone = scan->current});
	}
	end_tombstone_scan(scan);
}

/*
 * soft_delete_internal.check_holds(relation regclass, action text, former_parents
 * regclass[]) returns void
 *
 * Raises 55006 if rows of a table, of a partition or an inheritance child of it are
 * held, also by holds on tables that were its ancestors until now.  "action" is the verb
 * of the message.
 */
Datum
soft_delete_check_holds(PG_FUNCTION_ARGS)
{
	char *action = text_to_cstring(PG_GETARG_TEXT_PP(1));
	List *former = NIL;
	Datum *parents;
	bool *nulls;
	int n;
	ListCell *lc;

	check_relation_exists(PG_GETARG_OID(0));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), REGCLASSOID, sizeof(Oid), true,
					  TYPALIGN_INT, &parents, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			former = lappend_oid(former, DatumGetObjectId(parents[i]));
	}
	foreach (lc, find_all_inheritors(PG_GETARG_OID(0), AccessShareLock, NULL))
	{
		Relation rel = open_given_table(lfirst_oid(lc), AccessShareLock);
		List *ancestors = with_ancestors(RelationGetRelid(rel));

		refuse_held_below(rel, list_concat_unique_oid(ancestors, former), action);
		table_close(rel, NoLock);
	}
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.spares_held(relation oid, place tid, internal) returns
 * boolean
 *
 * A condition that plan/modify.c adds to statements of maintenance sessions that
 * change rows, evaluated for a tombstone that is about to be changed.  Locks the
 * row and returns true.  Raises 55006 if the row is held.  The argument of type
 * internal keeps users from calling it.
 */
Datum
soft_delete_spares_held(PG_FUNCTION_ARGS)
{
	Relation rel = table_open(PG_GETARG_OID(0), RowExclusiveLock);
	Tombstone tombstone = {.tid = *(ItemPointer) PG_GETARG_POINTER(1)};
	Hold *hold = NULL;

	/* before the row, as a purge does */
	lock_holds(list_make1_oid(RelationGetRelid(rel)), RowShareLock);
	/* a concurrent change of the row looked for holds itself; the executor rechecks */
	if (tombstone_attribute(rel) != InvalidAttrNumber &&
		lock_tombstone(rel, &tombstone, NULL, NULL))
		hold = find_hold(rel, &tombstone, false, SnapshotSelf);
	if (hold != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot change a deleted row of table \"%s\" that is held: %s",
						RelationGetRelationName(rel), hold->text),
				 errdetail_held(rel, hold, "Nothing that is held is changed."),
				 errhint("%s", lifting_statement(hold))));
	table_close(rel, NoLock);
	PG_RETURN_BOOL(true);
}
