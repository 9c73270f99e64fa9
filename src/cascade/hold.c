/*
 * hold.c
 *	  Places and lifts holds, and refuses to destroy what is held.
 *
 * soft_delete_internal.holds has a row for each hold in force, of one of three
 * scopes.  A hold on a row has the table or partition, the stamp, and the primary
 * key as text.  A hold on a deletion has no key: it is on all rows of the table
 * with that stamp.  A hold on a table has neither stamp nor key: it is on all
 * tombstones of the table.  The last two are also on those of its partitions and
 * inheritance children.  A hold that is lifted moves to
 * soft_delete_internal.lifted_holds.
 *
 * A held row is not purged.  It is not restored either if the hold is on the row
 * or its deletion: as a live row it could be changed, and deleted again without
 * the hold.  A hold on the table is also on rows that are deleted again.
 *
 * Locks: a single row is held while that row is locked.  A table or a deletion is
 * held under ExclusiveLock on an object of the table "holds" whose OID is that of
 * the held table, and of each of its partitions and inheritance children.  Who
 * purges or restores rows takes a conflicting lock on that object for each table
 * with such rows, and looks for holds after it has locked the rows.  So a hold
 * waits for purges and restores of its own tables only.
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

/* Columns of soft_delete_internal.holds, and of lifted_holds, which adds two */
enum HoldColumn
{
	HOLD_RELATION,
	HOLD_DELETED_AT,
	HOLD_KEY,
	HOLD_TEXT,
	HOLD_HELD_BY,
	HOLD_HELD_AT,
	N_HOLD_COLUMNS,
	HOLD_LIFTED_BY = N_HOLD_COLUMNS,
	HOLD_LIFTED_AT,
	N_LIFTED_COLUMNS
};

/* The text of a hold is returned with each held row of a bin, so it is limited */
#define MAX_HOLD_BYTES 10000

/* The unique key of a hold */
typedef struct HoldKey
{
	Oid relid;
	const TimestampTz *stamp; /* NULL for a hold on a table */
	Datum key;				  /* text[]; 0 unless the hold is on a row */
} HoldKey;

PG_FUNCTION_INFO_V1(soft_delete_set_hold);
PG_FUNCTION_INFO_V1(soft_delete_may_hold);
PG_FUNCTION_INFO_V1(soft_delete_lift_holds);
PG_FUNCTION_INFO_V1(soft_delete_spares_held);
PG_FUNCTION_INFO_V1(soft_delete_copy_holds);

static Oid table_of_holds(void);
static void lock_holds_on_tree(Oid relid);
static bool names_table(Relation holds, Oid relid);
static bool find_first(Relation holds, Snapshot snapshot, int nkeys,
					   ScanKey scankeys, TupleTableSlot *slot);
static bool find_hold(Relation holds, const HoldKey *key, Snapshot snapshot,
					  TupleTableSlot *slot);
static bool find_held(Cascade *cascade, CascadeTable **table, Member **member,
					  Hold *hold);
static void report_held(Relation rel, Member *member, const Hold *hold, bool is_purge);
static char *lifting_statement(Relation rel, TimestampTz stamp,
							   TupleTableSlot *row, const Hold *hold);
static void check_can_be_held(Relation rel, TimestampTz stamp, const char *hold);
static int errhint_wider_hold(Relation rel, TimestampTz stamp, const char *hold);
static void report_wider_hold(Relation rel, TimestampTz stamp, TupleTableSlot *row);
static bool place_hold(const HoldKey *key, const char *hold);
static void check_hold_text(const char *hold);
static void insert_hold(Relation holds, const HoldKey *key, const char *hold);
static void lift_hold(Relation holds, TupleTableSlot *slot, const char *relname,
					  Oid roleid);
static bool have_same_key(Oid relid, Oid other);
static List *holds_on(Relation holds, Oid relid);
static bool may_hold(Oid relid);
static Oid table_of_name(char *qualified);

/*
 * Lock the holds on some tables, until the transaction ends.
 *
 * RowShareLock keeps others from placing holds on the tables and on deletions from
 * them; ShareLock from placing any hold.  A hold on a row is placed under
 * RowExclusiveLock, a wider one under ExclusiveLock.  Several tables are locked in
 * the order of their OIDs, so that there are no deadlocks.
 */
void
lock_holds(List *relids, LOCKMODE lockmode)
{
	Oid holds = table_of_holds();
	List *sorted = list_copy(relids);
	ListCell *lc;

	if (!OidIsValid(holds))
		return;
	list_sort(sorted, list_oid_cmp);
	list_deduplicate_oid(sorted);
	foreach (lc, sorted)
		LockDatabaseObject(holds, lfirst_oid(lc), 0, lockmode);
	list_free(sorted);
}

/*
 * Return the OID of soft_delete_internal.holds, or InvalidOid where the version
 * of the extension in this database is older than that table.
 */
static Oid
table_of_holds(void)
{
	return get_relname_relid("holds", get_namespace_oid(INTERNAL_SCHEMA, true));
}

/*
 * Lock the holds on one table as lock_holds() does, or return false if that would
 * have to wait.
 */
bool
try_lock_holds(Oid relid, LOCKMODE lockmode)
{
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, extension_relation("holds"), relid, 0);
	return LockAcquire(&tag, lockmode, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Lock the holds on a table, its partitions and its inheritance children, to
 * place a hold on all of them.
 */
static void
lock_holds_on_tree(Oid relid)
{
	/* twice: partitions may have been attached while the first round waited */
	for (int i = 0; i < 2; i++)
		lock_holds(find_all_inheritors(relid, NoLock, NULL), ExclusiveLock);
}

/*
 * Is there a hold on a table or an ancestor, of any scope?  To destroy or restore
 * rows, call this after lock_holds(), and after the rows have been locked.
 */
bool
has_holds(Oid relid)
{
	Oid holds_relid = table_of_holds();
	Relation holds;
	bool found = false;
	ListCell *lc;

	if (!OidIsValid(holds_relid))
		return false;
	holds = table_open(holds_relid, AccessShareLock);
	foreach (lc, with_ancestors(relid))
		found = found || names_table(holds, lfirst_oid(lc));
	table_close(holds, NoLock);
	return found;
}

/*
 * Does any hold, of whatever scope, name a table?
 */
static bool
names_table(Relation holds, Oid relid)
{
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	ScanKeyData scankey;
	bool found;

	ScanKeyInit(&scankey, HOLD_RELATION + 1, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	found = find_first(holds, SnapshotSelf, 1, &scankey, slot);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/*
 * Does the snapshot see any hold?
 */
bool
any_hold(Snapshot snapshot)
{
	Relation holds = table_open(extension_relation("holds"), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	bool found = find_first(holds, snapshot, 0, NULL, slot);

	ExecDropSingleTupleTableSlot(slot);
	table_close(holds, AccessShareLock);
	return found;
}

/*
 * Fetch the first hold into the slot that the scan keys select.  Returns false if
 * there is none.
 *
 * The index is used even with ignore_system_indexes: a scan of the table cannot
 * search for nulls.
 */
static bool
find_first(Relation holds, Snapshot snapshot, int nkeys, ScanKey scankeys,
		   TupleTableSlot *slot)
{
	Relation index =
		index_open(linitial_oid(RelationGetIndexList(holds)), AccessShareLock);
	IndexScanDesc scan = begin_index_scan(holds, index, snapshot, nkeys);
	bool found;

	index_rescan(scan, scankeys, nkeys, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/*
 * Is there a hold on a tombstone of the relation, which is locked?
 */
bool
tombstone_is_held(Relation rel, TimestampTz stamp, TupleTableSlot *row)
{
	Hold hold;

	return find_hold_on(rel, stamp, row, SnapshotSelf, &hold);
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
					TextDatumGetCString(slot_getattr(slot, HOLD_TEXT + 1, &isnull));
			}
			if (found || scope == HOLD_ON_ROW)
				break; /* a hold on a row names the row's own relation */
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(holds, NoLock);
	return found;
}

/*
 * Fetch the hold with a key into the slot.  Returns false if there is none.
 */
static bool
find_hold(Relation holds, const HoldKey *key, Snapshot snapshot, TupleTableSlot *slot)
{
	int is_null = SK_ISNULL | SK_SEARCHNULL;
	ScanKeyData scankeys[3];

	ScanKeyInit(&scankeys[0], HOLD_RELATION + 1, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key->relid));
	ScanKeyEntryInitialize(&scankeys[1], key->stamp ? 0 : is_null,
						   HOLD_DELETED_AT + 1, BTEqualStrategyNumber,
						   InvalidOid, InvalidOid, F_TIMESTAMPTZ_EQ,
						   key->stamp ? TimestampTzGetDatum(*key->stamp) : 0);
	ScanKeyEntryInitialize(&scankeys[2], key->key ? 0 : is_null, HOLD_KEY + 1,
						   BTEqualStrategyNumber, InvalidOid,
						   DEFAULT_COLLATION_OID, F_ARRAY_EQ, key->key);
	return find_first(holds, snapshot, 3, scankeys, slot);
}

/*
 * Have two relations the same primary key, by the names of its columns?
 */
static bool
have_same_key(Oid relid, Oid other)
{
	AttrNumber attnums[INDEX_MAX_KEYS];
	AttrNumber others[INDEX_MAX_KEYS];
	int n = primary_key(relid, attnums);

	if (primary_key(other, others) != n)
		return false;
	for (int i = 0; i < n; i++)
	{
		if (strcmp(get_attname(relid, attnums[i], false),
				   get_attname(other, others[i], false)) != 0)
			return false;
	}
	return true;
}

/*
 * Give a hold on a tombstone of a relation, whose row is in the slot, to another
 * relation that the row belongs to from now on: a partition's to the table.
 *
 * Raises 55006 if the two have different primary keys, by which a hold finds its row.
 */
void
move_hold(Relation rel, Oid target, TimestampTz stamp, TupleTableSlot *row)
{
	HoldKey key = {.relid = RelationGetRelid(rel), .stamp = &stamp};
	Relation holds;
	TupleTableSlot *slot;

	if (target == key.relid)
		return;
	key.key = primary_key_text(key.relid, row);
	holds = table_open(extension_relation("holds"), RowExclusiveLock);
	slot = table_slot_create(holds, NULL);
	if (key.key && find_hold(holds, &key, SnapshotSelf, slot))
	{
		ItemPointerData tid = slot->tts_tid;

		if (!have_same_key(key.relid, target))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("a row of table \"%s\" is held, which table \"%s\" does not know by the same key",
							RelationGetRelationName(rel), get_rel_name(target)),
					 errdetail("A hold finds its row by the primary key."),
					 errhint("SELECT * FROM soft_delete.holds WHERE relation = %s::regclass;",
							 quote_literal_cstr(qualified_name(key.relid)))));
		slot_getallattrs(slot);
		slot->tts_values[HOLD_RELATION] = ObjectIdGetDatum(target);
		(void) append_row(holds, slot->tts_values, slot->tts_isnull);
		remove_row(holds, &tid);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(holds, NoLock);
}

/*
 * Raise 55006 if a member of a completed cascade is held and so cannot be purged,
 * or cannot be restored.
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
 * Raise 55006 if rows of a table are held.  "action" is the verb of the message,
 * and would destroy the rows or lift their holds.
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
			/* a hold on a row of an ancestor is on none of this table's rows */
			if (relid != RelationGetRelid(rel) && !slot->tts_isnull[HOLD_KEY])
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("cannot %s table \"%s\", where rows are held: %s",
							action, RelationGetRelationName(rel),
							TextDatumGetCString(slot->tts_values[HOLD_TEXT])),
					 errdetail("Nothing that is held is destroyed."),
					 errhint("SELECT * FROM soft_delete.holds WHERE relation = %s::regclass;",
							 quote_literal_cstr(qualified_name(relid)))));
		}
	}
	table_close(holds, NoLock);
}

/*
 * Find a member of a cascade that is held and so cannot be purged, or restored.
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
 * Raise 55006 for a member of a cascade that is held.
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
	/* a view that another trigger made into the bin may lack the column */
	if (OidIsValid(bin) && bin_column(bin, BIN_HOLD) != InvalidAttrNumber)
		column =
			quote_identifier(get_attname(bin, bin_column(bin, BIN_HOLD), false));
	return psprintf("UPDATE %s SET %s = NULL WHERE %s;", bin_name(relid),
					column, condition);
}

/*
 * Place a hold on a tombstone of the relation, or lift the hold on it where
 * "hold" is NULL.  Returns false if the row is no longer a tombstone with that
 * stamp.
 *
 * Raises 55000 where there is no primary key, 0A000 where its text is not stable,
 * 55006 where a hold that is to be lifted is on more than the row, 22023 where a
 * hold is empty or too long.
 */
bool
hold_row(Relation rel, Tombstone *tombstone, const char *hold)
{
	TupleTableSlot *row = table_slot_create(rel, NULL);
	TimestampTz stamp = tombstone->stamp;
	HoldKey key = {.relid = RelationGetRelid(rel), .stamp = &stamp};
	bool is_there;

	/* before the row is locked: a purge locks in this order */
	lock_holds(list_make1_oid(key.relid), RowExclusiveLock);
	is_there = lock_tombstone(rel, tombstone, &stamp, row);
	if (is_there)
	{
		if (hold != NULL)
			check_can_be_held(rel, stamp, hold);
		key.key = primary_key_text(key.relid, row);
		if (!key.key || (!place_hold(&key, hold) && hold == NULL))
			report_wider_hold(rel, stamp, row);
	}
	ExecDropSingleTupleTableSlot(row);
	return is_there;
}

/*
 * Raise 55000 if rows of a table cannot be held one by one because there is no
 * primary key, and 0A000 if that has a column whose text changes when the object
 * that it names is renamed: the hold would no longer find its row.
 */
static void
check_can_be_held(Relation rel, TimestampTz stamp, const char *hold)
{
	AttrNumber attnums[INDEX_MAX_KEYS];
	int n = primary_key(RelationGetRelid(rel), attnums);

	if (n == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot hold a row of table \"%s\", which has no primary key",
							   RelationGetRelationName(rel)),
						errdetail("A hold finds its row by the primary key."),
						errhint_wider_hold(rel, stamp, hold)));
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
						 errdetail("The text of such a key changes when the object that it names is renamed."),
						 errhint_wider_hold(rel, stamp, hold)));
			default:
				break;
		}
	}
}

/*
 * Add the hint to an error that a deletion or a table can be held where a row
 * cannot.
 */
static int
errhint_wider_hold(Relation rel, TimestampTz stamp, const char *hold)
{
	char *text = quote_literal_cstr(hold);

	return errhint("Hold the whole deletion: SELECT soft_delete.hold_deletion('%s', %s); or the whole table: SELECT soft_delete.hold(%s, %s);",
				   timestamptz_to_str(stamp), text,
				   quote_literal_cstr(qualified_name(RelationGetRelid(rel))), text);
}

/*
 * Raise 55006 if there is a hold on the deletion or the table of a tombstone.
 */
static void
report_wider_hold(Relation rel, TimestampTz stamp, TupleTableSlot *row)
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
 * Change the key of the hold on a locked tombstone, if there is one, where the
 * primary key of the row changes from "old" to "new".
 */
void
update_hold_key(Relation rel, TimestampTz stamp, TupleTableSlot *old,
				TupleTableSlot *new)
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
		slot->tts_values[HOLD_KEY] = new_key;
		(void) append_row(holds, slot->tts_values, slot->tts_isnull);
		CommandCounterIncrement(); /* this very command may have entered it */
		remove_row(holds, &slot->tts_tid);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(holds, NoLock);
}

/*
 * Place a hold, or lift it where "hold" is NULL.  The caller has called
 * lock_holds().  Returns whether there was a hold with that key.
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
		strcmp(hold,
			   TextDatumGetCString(slot_getattr(slot, HOLD_TEXT + 1, &isnull))) != 0)
	{
		if (is_held)
			lift_hold(holds, slot, qualified_name(key->relid), calling_role());
		if (hold != NULL)
			insert_hold(holds, key, hold);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(holds, NoLock);
	return is_held;
}

/*
 * Raise 22023 if the text of a hold is empty or too long.
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
				 errdetail("The bin shows it in each row that is held."),
				 errhint("Use, for example, 'case 4711'.")));
}

/*
 * Insert a hold.
 */
static void
insert_hold(Relation holds, const HoldKey *key, const char *hold)
{
	Datum values[N_HOLD_COLUMNS];
	bool nulls[N_HOLD_COLUMNS] = {false};

	values[HOLD_RELATION] = ObjectIdGetDatum(key->relid);
	nulls[HOLD_DELETED_AT] = key->stamp == NULL;
	values[HOLD_DELETED_AT] = key->stamp ? TimestampTzGetDatum(*key->stamp) : 0;
	nulls[HOLD_KEY] = !key->key;
	values[HOLD_KEY] = key->key;
	values[HOLD_TEXT] = CStringGetTextDatum(hold);
	values[HOLD_HELD_BY] =
		CStringGetTextDatum(GetUserNameFromId(calling_role(), false));
	values[HOLD_HELD_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (!append_row(holds, values, nulls))
		elog(ERROR, "a hold on a locked row was placed concurrently");
}

/*
 * Lift the hold in the slot, and record who did so.  "relname" is the name of the
 * held table.
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
	values[HOLD_RELATION] = CStringGetTextDatum(relname);
	values[HOLD_LIFTED_BY] = CStringGetTextDatum(GetUserNameFromId(roleid, false));
	values[HOLD_LIFTED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	(void) append_row(lifted, values, nulls);
	table_close(lifted, NoLock);

	CommandCounterIncrement(); /* this very command may have entered it */
	remove_row(holds, &slot->tts_tid);
}

/*
 * Return slots with copies of all holds that name a table.
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

	ScanKeyInit(&key, HOLD_RELATION + 1, BTEqualStrategyNumber, F_OIDEQ,
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
 * Lifts all holds on a table that has been dropped.  "name" is the name that it
 * had.  Only superusers may execute it.
 */
Datum
soft_delete_lift_holds(PG_FUNCTION_ARGS)
{
	lift_all_holds(PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/*
 * Lift all holds that name a table.  They are recorded by the name of the table,
 * which may be dropped.
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
	TupleTableSlot *row = table_slot_create(rel, NULL);
	AttrNumber attnum = tombstone_attribute(rel);
	Hold hold;

	/* before the row, as a purge does */
	lock_holds(list_make1_oid(RelationGetRelid(rel)), RowShareLock);
	/* a concurrent change of the row looked for holds itself; the executor rechecks */
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
 * soft_delete_internal.copy_holds(relation regclass, partition regclass) returns
 * void
 *
 * Copies the holds on a table, and on deletions from it, to a former partition or
 * inheritance child of it, whose rows would otherwise no longer be held.
 *
 * Raises 42P01 if one of them does not exist, 42501 unless the caller owns both.
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
		slot->tts_values[HOLD_RELATION] = PG_GETARG_DATUM(1);
		if (slot->tts_isnull[HOLD_KEY])
			(void) append_row(holds, slot->tts_values, slot->tts_isnull);
		ExecDropSingleTupleTableSlot(slot);
	}
	table_close(holds, NoLock);
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.set_hold(relation regclass, deleted_at timestamptz, hold
 * text) returns boolean
 *
 * Places a hold on what the deletion with that stamp took from the table, or if
 * the stamp is null, on all deleted rows of the table; lifts it if "hold" is
 * null.  Returns whether there was such a hold.  Waits for all transactions that
 * have purged or restored rows of the table.
 *
 * Raises 22004 for a null table, 22023 for a hold that is empty or too long,
 * 55000 for a table that is not tagged, 42501 unless the caller may hold rows of
 * the table.
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
	rel = open_given_table(key.relid, AccessShareLock); /* keeps it tagged */
	if (!has_tag(rel))
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
				 errdetail("The UPDATE privilege on column \"hold\" of its bin is required.")));
	lock_holds_on_tree(key.relid);
	PG_RETURN_BOOL(place_hold(&key, PG_ARGISNULL(2)
										? NULL
										: text_to_cstring(PG_GETARG_TEXT_PP(2))));
}

/*
 * soft_delete_internal.may_hold(relation regclass) returns boolean
 *
 * Returns whether the caller may hold deleted rows of a table.
 */
Datum
soft_delete_may_hold(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(may_hold(PG_GETARG_OID(0)));
}

/*
 * May the caller hold deleted rows of a table?  The owner may, and roles with the
 * UPDATE privilege on the column of its bin that shows holds.
 */
static bool
may_hold(Oid relid)
{
	return relation_ownercheck(relid, calling_role()) ||
		   may_use_bin(relid, BIN_HOLD, ACL_UPDATE);
}

/*
 * Add the primary keys of the members of a table to a set of keys, in the form in
 * which holds have them.
 */
void
collect_primary_keys(CascadeTable *table, HTAB *keys)
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
 * Return the OID of the table that has a name now which qualified_name() has
 * returned earlier, or InvalidOid if there is none.
 */
static Oid
table_of_name(char *qualified)
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
 * Erase the keys of a set from the records of lifted holds.
 */
void
erase_lifted_hold_keys(HTAB *keys)
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
		if (slot->tts_isnull[HOLD_KEY])
			continue;
		relid = table_of_name(TextDatumGetCString(slot->tts_values[HOLD_RELATION]));
		if (OidIsValid(relid) &&
			key_in_set(keys, relid, slot->tts_values[HOLD_KEY], false))
		{
			slot->tts_values[HOLD_KEY] =
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
