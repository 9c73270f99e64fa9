/*
 * hold.c
 *	  Holds what must not be destroyed.
 *
 * soft_delete_internal.holds has a row for each hold in force.  With a key it is on one
 * deleted row: of which table or partition, its stamp, and its primary key as
 * text.  With a stamp alone it is on what one deletion took from a table, and
 * without one on all that is deleted from it.  A hold on a table is one on its
 * partitions and inheritance children, too.  What is lifted goes to
 * soft_delete_internal.lifted_holds.
 *
 * A held row is not purged.  Nor is it restored, as long as the hold is on the
 * row or its deletion: as a live row it could be changed, and deleted again
 * without the hold.  A hold on the table is on what is deleted again, too.
 *
 * A row is held under the lock of the row.  More than a row is held under a lock
 * that waits for all who purge or restore rows of that table, its partitions or
 * its inheritance children.  They take that lock for each table that they have
 * rows of, and look for holds when they have locked their rows.  The lock is one on
 * an object of the table "holds", whose OID is that of the table that is held: no
 * lock here concerns any other table.
 *
 * Invariant: no row is destroyed after a hold on it has been committed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "cascade/sd_cascade.h"

/* Columns of soft_delete_internal.holds, and those that soft_delete_internal.lifted_holds adds */
enum HoldColumn
{
	HOLD_RELATION = 1,
	HOLD_DELETED_AT,
	HOLD_KEY,
	HOLD_HOLD,
	HOLD_HELD_BY,
	HOLD_HELD_AT,
	N_HOLD_COLUMNS = HOLD_HELD_AT,
	HOLD_LIFTED_BY,
	HOLD_LIFTED_AT,
	N_LIFTED_COLUMNS = HOLD_LIFTED_AT
};

/* A hold says why, not all about it: each reader of a bin is told */
#define MAX_HOLD_BYTES 10000

/* What a hold is on, by which its index finds it */
typedef struct HoldKey
{
	Oid relid;
	const TimestampTz *stamp; /* NULL: all that is deleted */
	Datum key;				  /* text[]; 0: all rows */
} HoldKey;

PG_FUNCTION_INFO_V1(soft_delete_set_hold);
PG_FUNCTION_INFO_V1(soft_delete_may_hold);
PG_FUNCTION_INFO_V1(soft_delete_lift_holds);
PG_FUNCTION_INFO_V1(soft_delete_spares_held);
PG_FUNCTION_INFO_V1(soft_delete_copy_holds);

static void lock_holds_on_tree(Oid relid);
static bool holds_mention(Relation holds, Oid relid);
static bool find_hold(Relation holds, const HoldKey *key, Snapshot snapshot,
					  TupleTableSlot *slot);
static bool find_held(Cascade *cascade, CascadeTable **table, Member **member,
					  Hold *hold);
static void report_held(Relation rel, Member *member, const Hold *hold, bool is_purge);
static char *lifting_statement(Relation rel, TimestampTz stamp,
							   TupleTableSlot *row, const Hold *hold);
static void check_key_types(Relation rel);
static void refuse_to_lift(Relation rel, TimestampTz stamp, TupleTableSlot *row);
static bool place_hold(const HoldKey *key, const char *hold);
static void check_hold_text(const char *hold);
static void enter_hold(Relation holds, const HoldKey *key, const char *hold);
static void lift_hold(Relation holds, TupleTableSlot *slot, const char *relname,
					  Oid roleid);
static List *holds_on(Relation holds, Oid relid);
static bool may_hold(Oid relid);
static Oid named_table(char *qualified);

/*
 * Lock what can be said about holds in some tables, until the transaction ends.
 *
 * RowShareLock keeps others from holding more than single rows of them, ShareLock
 * from holding anything.  Who holds a row takes RowExclusiveLock, who holds more
 * ExclusiveLock.  All who lock several tables lock them in one order.
 */
void
lock_holds(List *relids, LOCKMODE lockmode)
{
	Oid holds =
		get_relname_relid("holds", get_namespace_oid(INTERNAL_SCHEMA, true));
	List *sorted = list_copy(relids);
	ListCell *lc;

	if (!OidIsValid(holds))
		return; /* a database whose extension is to be updated yet */
	list_sort(sorted, list_oid_cmp);
	list_deduplicate_oid(sorted);
	foreach (lc, sorted)
		LockDatabaseObject(holds, lfirst_oid(lc), 0, lockmode);
	list_free(sorted);
}

/*
 * Lock what can be said about holds in one table, or return false if that takes
 * waiting.
 */
bool
lock_holds_unless_busy(Oid relid, LOCKMODE lockmode)
{
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, extension_relation("holds"), relid, 0);
	return LockAcquire(&tag, lockmode, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Lock a table, its partitions and inheritance children for a hold on all of them.
 */
static void
lock_holds_on_tree(Oid relid)
{
	/* again, for some may have come while this waited */
	for (int i = 0; i < 2; i++)
		lock_holds(find_all_inheritors(relid, NoLock, NULL), ExclusiveLock);
}

/*
 * Is anything held in a table?  Who is about to destroy or restore rows of it asks
 * after lock_holds(), and when the rows are locked.
 */
bool
has_holds(Oid relid)
{
	Oid holds_relid =
		get_relname_relid("holds", get_namespace_oid(INTERNAL_SCHEMA, true));
	Relation holds;
	bool found = false;
	ListCell *lc;

	if (!OidIsValid(holds_relid))
		return false; /* a database whose extension is to be updated yet */
	holds = table_open(holds_relid, AccessShareLock);
	foreach (lc, with_ancestors(relid))
		found = found || holds_mention(holds, lfirst_oid(lc));
	table_close(holds, NoLock);
	return found;
}

/*
 * Is there any hold on a table, or in it?
 */
static bool
holds_mention(Relation holds, Oid relid)
{
	Relation index =
		index_open(linitial_oid(RelationGetIndexList(holds)), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	IndexScanDesc scan = begin_index_scan(holds, index, SnapshotSelf, 1);
	ScanKeyData key;
	bool found;

	ScanKeyInit(&key, HOLD_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	index_rescan(scan, &key, 1, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return found;
}

/*
 * Does the snapshot see any hold?
 */
bool
any_hold(Relation holds, Snapshot snapshot)
{
	Relation index =
		index_open(linitial_oid(RelationGetIndexList(holds)), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	IndexScanDesc scan = begin_index_scan(holds, index, snapshot, 0);
	bool found;

	index_rescan(scan, NULL, 0, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return found;
}

/*
 * Return the hold on a locked tombstone of the relation, or NULL if it is free
 * to go.
 */
const char *
hold_of(Relation rel, TimestampTz stamp, TupleTableSlot *row)
{
	Hold hold;

	return find_hold_on(rel, stamp, row, SnapshotSelf, &hold) ? hold.text : NULL;
}

/*
 * Find the hold on a tombstone of the relation: that on the row, else on its
 * deletion, else on its table.  Returns false if there is none.
 */
bool
find_hold_on(Relation rel, TimestampTz stamp, TupleTableSlot *row,
			 Snapshot snapshot, Hold *hold)
{
	Relation holds = table_open(extension_relation("holds"), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	List *relids = with_ancestors(RelationGetRelid(rel));
	Datum row_key = primary_key_text(RelationGetRelid(rel), row);
	bool found = false;

	for (HoldScope scope = row_key ? HOLD_ON_ROW : HOLD_ON_DELETION;
		 scope <= HOLD_ON_TABLE && !found; scope++)
	{
		ListCell *lc;

		foreach (lc, relids)
		{
			HoldKey key = {.relid = lfirst_oid(lc),
						   .stamp = scope == HOLD_ON_TABLE ? NULL : &stamp,
						   .key = scope == HOLD_ON_ROW ? row_key : 0};

			found = find_hold(holds, &key, snapshot, slot);
			if (found)
			{
				bool isnull;

				hold->scope = scope;
				hold->relid = key.relid;
				hold->text =
					TextDatumGetCString(slot_getattr(slot, HOLD_HOLD, &isnull));
			}
			if (found || scope == HOLD_ON_ROW)
				break; /* ancestors know of no single rows */
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(holds, NoLock);
	return found;
}

/*
 * Find a hold and fetch it into the slot.
 *
 * By its index, whatever ignore_system_indexes says: a scan of the table would
 * not find nulls.
 */
static bool
find_hold(Relation holds, const HoldKey *key, Snapshot snapshot, TupleTableSlot *slot)
{
	Relation index =
		index_open(linitial_oid(RelationGetIndexList(holds)), AccessShareLock);
	IndexScanDesc scan = begin_index_scan(holds, index, snapshot, 3);
	int is_null = SK_ISNULL | SK_SEARCHNULL;
	ScanKeyData scankeys[3];
	bool found;

	ScanKeyInit(&scankeys[0], HOLD_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key->relid));
	ScanKeyEntryInitialize(&scankeys[1], key->stamp ? 0 : is_null,
						   HOLD_DELETED_AT, BTEqualStrategyNumber, InvalidOid,
						   InvalidOid, F_TIMESTAMPTZ_EQ,
						   key->stamp ? TimestampTzGetDatum(*key->stamp) : 0);
	ScanKeyEntryInitialize(&scankeys[2], key->key ? 0 : is_null, HOLD_KEY,
						   BTEqualStrategyNumber, InvalidOid,
						   DEFAULT_COLLATION_OID, F_ARRAY_EQ, key->key);

	index_rescan(scan, scankeys, 3, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/*
 * Raise 55006 if a member of a cascade that is complete is held: from being
 * destroyed, or from being restored.
 */
void
refuse_held(Cascade *cascade)
{
	List *relids = NIL;
	Member *member;
	CascadeTable *table;
	Hold hold;
	ListCell *lc;

	foreach (lc, cascade->tables)
		relids = lappend_oid(relids, ((CascadeTable *) lfirst(lc))->relid);
	lock_holds(relids, RowShareLock);
	if (find_held(cascade, &table, &member, &hold))
		report_held(table_open(table->relid, NoLock), member, &hold,
					cascade->is_purge);
}

/*
 * Raise 55006 if anything is held in a table of which "action" would free or
 * destroy it.
 */
void
refuse_held_table(Relation rel, const char *action)
{
	Relation holds;
	ListCell *lc;

	lock_holds(list_make1_oid(RelationGetRelid(rel)), RowShareLock);
	if (!has_holds(RelationGetRelid(rel)))
		return;
	holds = table_open(extension_relation("holds"), AccessShareLock);
	foreach (lc, with_ancestors(RelationGetRelid(rel)))
	{
		Oid relid = lfirst_oid(lc);
		ListCell *held;

		foreach (held, holds_on(holds, relid))
		{
			TupleTableSlot *slot = lfirst(held);

			slot_getallattrs(slot);
			/* single rows of the tables above are not in this one */
			if (relid != RelationGetRelid(rel) && !slot->tts_isnull[HOLD_KEY - 1])
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("cannot %s table \"%s\", where rows are held: %s",
							action, RelationGetRelationName(rel),
							TextDatumGetCString(slot->tts_values[HOLD_HOLD - 1])),
					 errdetail("Nothing that is held is destroyed."),
					 errhint("SELECT * FROM soft_delete.holds WHERE relation = %s::regclass;",
							 quote_literal_cstr(qualified_name(relid)))));
		}
	}
	table_close(holds, NoLock);
}

/*
 * Find a member that is held.
 */
static bool
find_held(Cascade *cascade, CascadeTable **table, Member **member, Hold *hold)
{
	ListCell *lc;

	foreach (lc, cascade->tables)
	{
		Relation rel;
		TupleTableSlot *row;
		bool found = false;

		*table = lfirst(lc);
		if (!has_holds((*table)->relid))
			continue;
		rel = table_open((*table)->relid, NoLock);
		row = table_slot_create(rel, NULL);
		for (int i = 0; i < (*table)->nmembers && !found; i++)
		{
			CHECK_FOR_INTERRUPTS();
			*member = &(*table)->members[i];
			fetch_tombstone(rel, &(*member)->tombstone, row);
			found = find_hold_on(rel, (*member)->tombstone.stamp, row,
								 SnapshotSelf, hold) &&
					(cascade->is_purge || hold->scope != HOLD_ON_TABLE);
		}
		ExecDropSingleTupleTableSlot(row);
		table_close(rel, NoLock);
		if (found)
			return true;
	}
	return false;
}

/*
 * Raise 55006: a member of a cascade is held.
 */
static void
report_held(Relation rel, Member *member, const Hold *hold, bool is_purge)
{
	TupleTableSlot *row = table_slot_create(rel, NULL);

	fetch_tombstone(rel, &member->tombstone, row);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg(is_purge ? "cannot purge a row of table \"%s\" that is held: %s"
							 : "cannot restore a row of table \"%s\" that is held: %s",
					RelationGetRelationName(rel), hold->text),
			 errdetail(is_purge ? "Nothing that is held is destroyed."
								: "As a live row it could be changed, and deleted without the hold."),
			 errhint("Lift the hold first: %s",
					 lifting_statement(rel, member->tombstone.stamp, row, hold))));
}

/*
 * Return the statement that lifts the hold on a tombstone.
 */
static char *
lifting_statement(Relation rel, TimestampTz stamp, TupleTableSlot *row,
				  const Hold *hold)
{
	Oid relid = RelationGetRelid(rel);
	AttrNumber attnums[INDEX_MAX_KEYS];
	const char *condition = "...", *column = "hold";
	int nkeys = primary_key(relid, attnums);
	Oid bin;

	if (hold->scope == HOLD_ON_TABLE)
		return psprintf("SELECT soft_delete.hold(%s, NULL);",
						quote_literal_cstr(qualified_name(hold->relid)));
	if (hold->scope == HOLD_ON_DELETION)
		return psprintf("SELECT soft_delete.hold_deletion('%s', NULL);",
						timestamptz_to_str(stamp));

	if (may_read_tombstones(relid, nkeys, attnums))
		condition = key_condition(nkeys, relid, attnums, row, attnums);
	bin = bin_of(relid);
	/* one that somebody else's trigger has put beside it may lack the column */
	if (OidIsValid(bin) && bin_column(bin, BIN_HOLD) != InvalidAttrNumber)
		column =
			quote_identifier(get_attname(bin, bin_column(bin, BIN_HOLD), false));
	return psprintf("UPDATE %s SET %s = NULL WHERE %s;", bin_name(relid),
					column, condition);
}

/*
 * Hold a tombstone of the relation, or lift the hold where that is NULL.  Returns
 * false if it has not that stamp any more.
 *
 * Raises 55000 where there is no primary key, 55006 where a hold that is to be
 * lifted is on more than the row, 22023 where a hold is empty.
 */
bool
hold_row(Relation rel, Tombstone *tombstone, const char *hold)
{
	TupleTableSlot *row = table_slot_create(rel, NULL);
	TimestampTz stamp = tombstone->stamp;
	HoldKey key = {.relid = RelationGetRelid(rel), .stamp = &stamp};
	bool is_there;

	/* before the row, as a purge does */
	lock_holds(list_make1_oid(key.relid), RowExclusiveLock);
	is_there = lock_tombstone(rel, tombstone, &stamp, row);
	if (is_there)
	{
		key.key = primary_key_text(key.relid, row);
		if (!key.key && hold != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot hold a row of table \"%s\", which has no primary key",
							RelationGetRelationName(rel)),
					 errdetail("A hold finds its row by the primary key."),
					 errhint("Hold its deletion, SELECT soft_delete.hold_deletion('%s', %s), or the table, SELECT soft_delete.hold(%s, %s).",
							 timestamptz_to_str(stamp), quote_literal_cstr(hold),
							 quote_literal_cstr(qualified_name(key.relid)),
							 quote_literal_cstr(hold))));
		if (hold != NULL)
			check_key_types(rel);
		if (!key.key || (!place_hold(&key, hold) && hold == NULL))
			refuse_to_lift(rel, stamp, row);
	}
	ExecDropSingleTupleTableSlot(row);
	return is_there;
}

/*
 * Raise 0A000 if the primary key has a column whose text changes with what it names,
 * which somebody else may rename: a hold would lose its row.
 */
static void
check_key_types(Relation rel)
{
	AttrNumber attnums[INDEX_MAX_KEYS];
	int n = primary_key(RelationGetRelid(rel), attnums);

	for (int i = 0; i < n; i++)
	{
		Oid type = getBaseType(
			TupleDescAttr(RelationGetDescr(rel), attnums[i] - 1)->atttypid);

		switch (type)
		{
			case REGPROCOID:
			case REGPROCEDUREOID:
			case REGOPEROID:
			case REGOPERATOROID:
			case REGCLASSOID:
			case REGCOLLATIONOID:
			case REGTYPEOID:
			case REGROLEOID:
			case REGNAMESPACEOID:
			case REGCONFIGOID:
			case REGDICTIONARYOID:
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot hold a row of table \"%s\" by a key of type %s",
								RelationGetRelationName(rel), format_type_be(type)),
						 errdetail("Its text changes when what it names is renamed.  Its deletion can be held, and the table.")));
			default:
				break;
		}
	}
}

/*
 * Raise 55006 if a tombstone is held otherwise than by itself.
 */
static void
refuse_to_lift(Relation rel, TimestampTz stamp, TupleTableSlot *row)
{
	Hold hold;

	if (find_hold_on(rel, stamp, row, SnapshotSelf, &hold))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the hold on a row of table \"%s\" is not on the row alone: %s",
						RelationGetRelationName(rel), hold.text),
				 errdetail(hold.scope == HOLD_ON_TABLE
							   ? "It is on the whole table."
							   : "It is on the whole deletion."),
				 errhint("%s", lifting_statement(rel, stamp, row, &hold))));
}

/*
 * Let the hold on a locked tombstone, if there is one, follow a change of its
 * primary key.
 */
void
move_hold(Relation rel, TimestampTz stamp, TupleTableSlot *old, TupleTableSlot *new)
{
	Oid relid = RelationGetRelid(rel);
	HoldKey key = {.relid = relid,
				   .stamp = &stamp,
				   .key = primary_key_text(relid, old)};
	Datum new_key = primary_key_text(relid, new);
	Relation holds = table_open(extension_relation("holds"), RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(holds, NULL);

	if (key.key && !datumIsEqual(key.key, new_key, false, -1) &&
		find_hold(holds, &key, SnapshotSelf, slot))
	{
		slot_getallattrs(slot);
		slot->tts_values[HOLD_KEY - 1] = new_key;
		(void) append_row(holds, slot->tts_values, slot->tts_isnull);
		CommandCounterIncrement(); /* this very command may have entered it */
		remove_row(holds, &slot->tts_tid);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(holds, NoLock);
}

/*
 * Place a hold, or lift it where it is NULL, under lock_holds().  Returns whether
 * there was one.
 */
static bool
place_hold(const HoldKey *key, const char *hold)
{
	Relation holds = table_open(extension_relation("holds"), RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	bool is_held = find_hold(holds, key, SnapshotSelf, slot);
	bool isnull;

	if (hold != NULL)
		check_hold_text(hold);
	if (!is_held || hold == NULL ||
		strcmp(hold, TextDatumGetCString(slot_getattr(slot, HOLD_HOLD, &isnull))) != 0)
	{
		if (is_held)
			lift_hold(holds, slot, qualified_name(key->relid), calling_role());
		if (hold != NULL)
			enter_hold(holds, key, hold);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(holds, NoLock);
	return is_held;
}

/*
 * Raise 22023 for a text that cannot say why something is held.
 */
static void
check_hold_text(const char *hold)
{
	if (hold[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a hold cannot be empty"),
						errdetail("It says why rows are held; null lifts it."),
						errhint("Use, for example, 'case 4711'.")));
	if (strlen(hold) > MAX_HOLD_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a hold cannot be longer than %d bytes", MAX_HOLD_BYTES),
				 errdetail("Everybody who reads the bin is told it, row by row."),
				 errhint("Use, for example, 'case 4711'.")));
}

/*
 * Enter a hold.
 */
static void
enter_hold(Relation holds, const HoldKey *key, const char *hold)
{
	Datum values[N_HOLD_COLUMNS];
	bool nulls[N_HOLD_COLUMNS] = {false};

	values[HOLD_RELATION - 1] = ObjectIdGetDatum(key->relid);
	nulls[HOLD_DELETED_AT - 1] = key->stamp == NULL;
	values[HOLD_DELETED_AT - 1] = key->stamp ? TimestampTzGetDatum(*key->stamp) : 0;
	nulls[HOLD_KEY - 1] = !key->key;
	values[HOLD_KEY - 1] = key->key;
	values[HOLD_HOLD - 1] = CStringGetTextDatum(hold);
	values[HOLD_HELD_BY - 1] =
		CStringGetTextDatum(GetUserNameFromId(calling_role(), false));
	values[HOLD_HELD_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (!append_row(holds, values, nulls))
		elog(ERROR, "a row that is locked has got a hold");
}

/*
 * Lift the hold in the slot, and write down who did.
 */
static void
lift_hold(Relation holds, TupleTableSlot *slot, const char *relname, Oid roleid)
{
	Relation lifted =
		table_open(extension_relation("lifted_holds"), RowExclusiveLock);
	Datum values[N_LIFTED_COLUMNS];
	bool nulls[N_LIFTED_COLUMNS] = {false};

	slot_getallattrs(slot);
	memcpy(values, slot->tts_values, N_HOLD_COLUMNS * sizeof(Datum));
	memcpy(nulls, slot->tts_isnull, N_HOLD_COLUMNS * sizeof(bool));
	values[HOLD_RELATION - 1] = CStringGetTextDatum(relname);
	values[HOLD_LIFTED_BY - 1] =
		CStringGetTextDatum(GetUserNameFromId(roleid, false));
	values[HOLD_LIFTED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	(void) append_row(lifted, values, nulls);
	table_close(lifted, NoLock);

	CommandCounterIncrement(); /* this very command may have entered it */
	remove_row(holds, &slot->tts_tid);
}

/*
 * Return copies of all rows about a relation.
 */
static List *
holds_on(Relation holds, Oid relid)
{
	Relation index =
		index_open(linitial_oid(RelationGetIndexList(holds)), AccessShareLock);
	IndexScanDesc scan = begin_index_scan(holds, index, SnapshotSelf, 1);
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	List *copies = NIL;
	ScanKeyData key;

	ScanKeyInit(&key, HOLD_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		TupleTableSlot *copy = table_slot_create(holds, NULL);

		ExecCopySlot(copy, slot);
		copies = lappend(copies, copy);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return copies;
}

/*
 * soft_delete_internal.lift_holds(relation oid, name text) returns void
 *
 * Lifts all holds on a table that is gone.  Superusers' business.
 */
Datum
soft_delete_lift_holds(PG_FUNCTION_ARGS)
{
	lift_all_holds(PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/*
 * Lift all holds on a table that is going, by its name.
 */
void
lift_all_holds(Oid relid, const char *name)
{
	Relation holds = table_open(extension_relation("holds"), RowExclusiveLock);
	ListCell *lc;

	lock_holds(list_make1_oid(relid), ExclusiveLock);
	foreach (lc, holds_on(holds, relid))
	{
		lift_hold(holds, lfirst(lc), name, GetOuterUserId());
		ExecDropSingleTupleTableSlot(lfirst(lc));
	}
	table_close(holds, NoLock);
}

/*
 * soft_delete_internal.spares_held(relation oid, place tid, internal) returns boolean
 *
 * Stands in statements of maintenance sessions that change rows (plan/modify.c): called
 * for a tombstone that is going to be changed.  Locks it, and raises 55006 if it
 * is held, else returns true.  Nobody else can call it, because of "internal".
 */
Datum
soft_delete_spares_held(PG_FUNCTION_ARGS)
{
	Relation rel = table_open(PG_GETARG_OID(0), RowExclusiveLock);
	Tombstone tombstone = {.tid = *(ItemPointer) PG_GETARG_POINTER(1)};
	TupleTableSlot *row = table_slot_create(rel, NULL);
	AttrNumber attnum = tombstone_attribute(rel);
	Hold hold;

	/* before the row, as a purge does */
	lock_holds(list_make1_oid(RelationGetRelid(rel)), RowShareLock);
	/* who has changed it meanwhile has looked for holds; the executor sees to the rest */
	if (attnum != InvalidAttrNumber && lock_tombstone(rel, &tombstone, NULL, row) &&
		has_holds(RelationGetRelid(rel)) &&
		find_hold_on(rel, tombstone.stamp, row, SnapshotSelf, &hold))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot change a deleted row of table \"%s\" that is held: %s",
						RelationGetRelationName(rel), hold.text),
				 errdetail("Nothing that is held is changed."),
				 errhint("Lift the hold first: %s",
						 lifting_statement(rel, tombstone.stamp, row, &hold))));
	ExecDropSingleTupleTableSlot(row);
	table_close(rel, NoLock);
	PG_RETURN_BOOL(true);
}

/*
 * soft_delete_internal.copy_holds(relation regclass, partition regclass) returns void
 *
 * Holds for a table that is a partition no more what is held for the table that
 * it was one of.
 *
 * Raises 42501 unless the caller owns both.
 */
Datum
soft_delete_copy_holds(PG_FUNCTION_ARGS)
{
	Relation holds = table_open(extension_relation("holds"), RowExclusiveLock);
	ListCell *lc;

	for (int i = 0; i < 2; i++)
	{
		check_relation_exists(PG_GETARG_OID(i));
		if (!relation_ownercheck(PG_GETARG_OID(i), GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE,
						   get_rel_name(PG_GETARG_OID(i)));
	}
	lock_holds_on_tree(PG_GETARG_OID(1));
	foreach (lc, holds_on(holds, PG_GETARG_OID(0)))
	{
		TupleTableSlot *slot = lfirst(lc);

		slot_getallattrs(slot);
		slot->tts_values[HOLD_RELATION - 1] = PG_GETARG_DATUM(1);
		if (slot->tts_isnull[HOLD_KEY - 1])
			(void) append_row(holds, slot->tts_values, slot->tts_isnull);
		ExecDropSingleTupleTableSlot(slot);
	}
	table_close(holds, NoLock);
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.set_hold(relation regclass, deleted_at timestamptz, hold text)
 * returns boolean
 *
 * Holds what a deletion took from the table, or if that is null, all that is
 * deleted from it; a null hold lifts.  Returns whether there was such a hold.
 * Waits for all transactions that have purged or restored rows of the table.
 *
 * Raises 22004 for a null table, 22023 for an empty hold, 55000 for a table that
 * is not tagged, 42501 for a role that may not hold its rows.
 */
Datum
soft_delete_set_hold(PG_FUNCTION_ARGS)
{
	TimestampTz stamp = PG_ARGISNULL(1) ? 0 : PG_GETARG_TIMESTAMPTZ(1);
	HoldKey key = {.stamp = PG_ARGISNULL(1) ? NULL : &stamp};
	Relation rel;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the table to hold must not be null")));
	key.relid = PG_GETARG_OID(0);
	rel = open_given_table(key.relid, AccessShareLock); /* it stays tagged */
	if (tombstone_attribute(rel) == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not tagged", RelationGetRelationName(rel)),
				 errdetail("Only deleted rows can be held."),
				 errhint("SELECT soft_delete.tag(%s);",
						 quote_literal_cstr(qualified_name(key.relid)))));
	table_close(rel, NoLock);
	if (!may_hold(key.relid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to hold deleted rows of table \"%s\"",
						get_rel_name(key.relid)),
				 errdetail("It takes the right to update column \"hold\" of its bin.")));
	lock_holds_on_tree(key.relid);
	PG_RETURN_BOOL(place_hold(&key, PG_ARGISNULL(2)
										? NULL
										: text_to_cstring(PG_GETARG_TEXT_PP(2))));
}

/*
 * soft_delete_internal.may_hold(relation regclass) returns boolean
 *
 * Tells whether the caller may hold deleted rows of a table: its owner, and who
 * may update that column of its bin.
 */
Datum
soft_delete_may_hold(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(may_hold(PG_GETARG_OID(0)));
}

/*
 * May the caller hold deleted rows of a table?
 */
static bool
may_hold(Oid relid)
{
	return relation_ownercheck(relid, calling_role()) ||
		   may_use_bin(relid, BIN_HOLD, ACL_UPDATE);
}

/*
 * Add the primary keys of the members of a table to a set of keys.
 */
void
collect_held_keys(CascadeTable *table, HTAB *keys)
{
	Relation rel = table_open(table->relid, NoLock);
	TupleTableSlot *row = table_slot_create(rel, NULL);

	for (int i = 0; i < table->nmembers && has_primary_key(table->relid); i++)
	{
		fetch_tombstone(rel, &table->members[i].tombstone, row);
		(void) key_in_set(keys, table->relid,
						  primary_key_text(table->relid, row), true);
	}
	ExecDropSingleTupleTableSlot(row);
	table_close(rel, NoLock);
}

/*
 * Return the table of a name that qualified_name() once gave, or InvalidOid if
 * there is none, or the name is none.
 */
static Oid
named_table(char *qualified)
{
	List *names;
	Oid schema;

	if (!SplitIdentifierString(qualified, '.', &names) || list_length(names) != 2)
		return InvalidOid;
	schema = get_namespace_oid(linitial(names), true);
	return OidIsValid(schema) ? get_relname_relid(lsecond(names), schema)
							  : InvalidOid;
}

/*
 * Erase those keys from what is known about lifted holds.
 */
void
erase_held_keys(HTAB *keys)
{
	Relation lifted =
		table_open(extension_relation("lifted_holds"), RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = begin_table_scan(lifted, snapshot);
	TupleTableSlot *slot = table_slot_create(lifted, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Oid relid;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		if (slot->tts_isnull[HOLD_KEY - 1])
			continue;
		relid =
			named_table(TextDatumGetCString(slot->tts_values[HOLD_RELATION - 1]));
		if (OidIsValid(relid) &&
			key_in_set(keys, relid, slot->tts_values[HOLD_KEY - 1], false))
		{
			slot->tts_values[HOLD_KEY - 1] =
				PointerGetDatum(construct_empty_array(TEXTOID));
			(void) append_row(lifted, slot->tts_values, slot->tts_isnull);
			remove_row(lifted, &slot->tts_tid);
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(lifted, NoLock);
}
