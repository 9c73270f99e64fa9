/*
 * hold.c
 *	  Reads and writes the holds in force, and the record of those that were lifted.
 *
 * soft_delete_internal.holds has a row for each hold, of one of four scopes:
 *
 * - on a deleted row: the table or partition, the stamp, and the primary key as text;
 * - on a key: the table that was named, and the key.  It is on the row with that key,
 *   live or deleted, and on those that have the key later;
 * - on a deletion: a table and the stamp;
 * - on a table: no stamp and no key.
 *
 * The last three are also on the rows of partitions and inheritance children.  Any
 * number of holds can be on the same, told apart by their texts.  A hold that is
 * lifted moves to soft_delete_internal.lifted_holds.
 *
 * A held row is not purged.  It is not restored either if the hold is on the row or
 * its deletion: as a live row it could be changed, and deleted again without the
 * hold.  The other two are also on rows that are deleted again.
 *
 * Locks: each lock is on an object of the table "holds" whose OID is that of a table,
 * so a hold waits for purges and restores of its own tables only.  A hold is on all
 * that a restore of its rows would bring back, so it locks these objects of all tables
 * below its own, too.  A hold on a row takes RowExclusiveLock on them, and locks the
 * row and what its deletion took along.  A wider one takes ExclusiveLock.  Who purges
 * or restores rows takes RowShareLock, and looks for holds after it has locked the
 * rows; a batch of a purge, which locks no rows, takes ShareLock.
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
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
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

/* The text of a hold is returned with each held row of a bin, so it is limited */
#define MAX_HOLD_BYTES 10000

static Oid table_of_holds(void);
static List *tables_below(Oid relid);
static bool names_table(Relation holds, Oid relid);
static bool find_first(Relation holds, Snapshot snapshot, int nkeys, ScanKey scankeys);
static IndexScanDesc begin_hold_scan(Relation holds, Snapshot snapshot,
									 int nkeys, ScanKey scankeys);
static void end_hold_scan(IndexScanDesc scan);
static List *copy_holds(Relation holds, Snapshot snapshot, int nkeys,
						ScanKey scankeys);
static bool find_text(List *slots, const char *text);
static void follow_key(Relation holds, const HoldKey *key, Oid relid,
					   TimestampTz stamp, Datum new_key);
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
 * Lock the holds on a table and on all tables below it, to place a hold on the table
 * or on rows of it: in ExclusiveLock, or in RowExclusiveLock if rows are locked, too.
 */
void
lock_holds_to_place(Oid relid, LOCKMODE lockmode)
{
	/* twice: partitions may have been attached while the first round waited */
	for (int i = 0; i < 2; i++)
		lock_holds(tables_below(relid), lockmode);
}

/*
 * Return the OIDs of a table, its partitions and inheritance children, and of the
 * tables that reference these by ON DELETE CASCADE, directly or indirectly.
 */
static List *
tables_below(Oid relid)
{
	List *relids = find_all_inheritors(relid, NoLock, NULL);

	/* the list grows meanwhile */
	for (int i = 0; i < list_length(relids); i++)
	{
		Relation rel = try_table_open(list_nth_oid(relids, i), AccessShareLock);
		ListCell *lc;

		if (rel == NULL)
			continue; /* dropped concurrently */
		foreach (lc, foreign_keys_to(rel))
		{
			const ForeignKey *fk = lfirst(lc);

			if (fk->on_delete == FKCONSTR_ACTION_CASCADE)
				relids = list_concat_unique_oid(relids,
												find_all_inheritors(fk->child,
																	NoLock, NULL));
		}
		table_close(rel, NoLock);
	}
	return relids;
}

/*
 * Is there a hold on rows of a table, of any scope?  To destroy or restore
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
	foreach (lc, tables_of_rows(relid))
		found = found || names_table(holds, lfirst_oid(lc));
	table_close(holds, NoLock);
	return found;
}

/*
 * Return the OIDs of the tables that a hold on rows of a relation may name: itself and
 * its ancestors.  Rows of a partitioned table are in its companion, whichever partition
 * they were in, so holds on its partitions count, too.
 */
List *
tables_of_rows(Oid relid)
{
	List *relids = with_ancestors(relid);

	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		relids = list_concat_unique_oid(relids,
										find_all_inheritors(relid, NoLock, NULL));
	return relids;
}

/*
 * Does any hold, of whatever scope, name a table?
 */
static bool
names_table(Relation holds, Oid relid)
{
	ScanKeyData scankey;

	ScanKeyInit(&scankey, HOLD_RELATION + 1, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	return find_first(holds, SnapshotSelf, 1, &scankey);
}

/*
 * Does the snapshot see any hold?
 */
bool
any_hold(Snapshot snapshot)
{
	Oid holds_relid = table_of_holds();
	Relation holds;
	bool found;

	if (!OidIsValid(holds_relid))
		return false;
	holds = table_open(holds_relid, AccessShareLock);
	found = find_first(holds, snapshot, 0, NULL);
	table_close(holds, AccessShareLock);
	return found;
}

/*
 * Is there a hold that the scan keys select?
 */
static bool
find_first(Relation holds, Snapshot snapshot, int nkeys, ScanKey scankeys)
{
	IndexScanDesc scan = begin_hold_scan(holds, snapshot, nkeys, scankeys);
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	bool found = index_getnext_slot(scan, ForwardScanDirection, slot);

	ExecDropSingleTupleTableSlot(slot);
	end_hold_scan(scan);
	return found;
}

/*
 * Begin a scan of the holds that the scan keys select.
 *
 * The index is used even with ignore_system_indexes: a scan of the table cannot
 * search for nulls.
 */
static IndexScanDesc
begin_hold_scan(Relation holds, Snapshot snapshot, int nkeys, ScanKey scankeys)
{
	Relation index =
		index_open(linitial_oid(RelationGetIndexList(holds)), AccessShareLock);
	IndexScanDesc scan = begin_index_scan(holds, index, snapshot, nkeys);

	index_rescan(scan, scankeys, nkeys, NULL, 0);
	return scan;
}

/*
 * End a scan of holds.
 */
static void
end_hold_scan(IndexScanDesc scan)
{
	Relation index = scan->indexRelation;

	index_endscan(scan);
	index_close(index, NoLock);
}

/*
 * Return slots with copies of the holds on what a key says.
 */
List *
holds_with_key(Relation holds, const HoldKey *key, Snapshot snapshot)
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
	return copy_holds(holds, snapshot, 3, scankeys);
}

/*
 * Return slots with copies of all holds that name a table, or of all holds there are
 * where it is InvalidOid.
 */
List *
holds_on(Relation holds, Oid relid)
{
	ScanKeyData key;

	ScanKeyInit(&key, HOLD_RELATION + 1, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	return copy_holds(holds, SnapshotSelf, OidIsValid(relid) ? 1 : 0, &key);
}

/*
 * Return slots with copies of the holds that the scan keys select.
 */
static List *
copy_holds(Relation holds, Snapshot snapshot, int nkeys, ScanKey scankeys)
{
	IndexScanDesc scan = begin_hold_scan(holds, snapshot, nkeys, scankeys);
	TupleTableSlot *slot = table_slot_create(holds, NULL);
	TupleDesc desc = NULL;
	List *copies = NIL;

	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		TupleTableSlot *copy;

		/* a copy of the descriptor is not counted, so the slots need not be dropped */
		if (desc == NULL)
			desc = CreateTupleDescCopy(RelationGetDescr(holds));
		copy = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
		ExecCopySlot(copy, slot);
		slot_getallattrs(copy);
		copies = lappend(copies, copy);
	}
	end_hold_scan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return copies;
}

/*
 * Return the text of a hold.
 */
char *
hold_text(TupleTableSlot *slot)
{
	return TextDatumGetCString(slot->tts_values[HOLD_TEXT]);
}

/*
 * Find the holds on a tombstone of the relation itself that forbid to destroy it or,
 * if "for_restore", to restore it.  Returns false if there are none, else sets the
 * narrowest scope, the table that it names, and the texts of all.
 */
bool
find_hold_on(Relation rel, TimestampTz stamp, TupleTableSlot *row,
			 bool for_restore, Snapshot snapshot, Hold *hold)
{
	Relation holds = table_open(extension_relation("holds"), AccessShareLock);
	List *relids = tables_of_rows(RelationGetRelid(rel));
	Datum row_key = primary_key_text(RelationGetRelid(rel), row);
	List *texts = NIL;

	for (HoldScope scope = HOLD_ON_ROW; scope < N_HOLD_SCOPES; scope++)
	{
		bool has_key = scope == HOLD_ON_ROW || scope == HOLD_ON_KEY;
		bool has_stamp = scope == HOLD_ON_ROW || scope == HOLD_ON_DELETION;
		ListCell *lc;

		if ((has_key && !row_key) || (!has_stamp && for_restore))
			continue;
		foreach (lc, relids)
		{
			HoldKey key = {.relid = lfirst_oid(lc),
						   .stamp = has_stamp ? &stamp : NULL,
						   .key = has_key ? row_key : 0};
			List *found = holds_with_key(holds, &key, snapshot);

			if (texts == NIL && found != NIL)
			{
				hold->scope = scope;
				hold->relid = key.relid;
			}
			texts = add_texts(texts, found);
		}
	}
	table_close(holds, NoLock);
	if (texts == NIL)
		return false;
	hold->text = join_texts(texts);
	return true;
}

/*
 * Add the texts of holds to a list of different texts.
 */
List *
add_texts(List *texts, List *slots)
{
	ListCell *lc, *known;

	foreach (lc, slots)
	{
		char *text = hold_text(lfirst(lc));
		bool is_known = false;

		foreach (known, texts)
			is_known = is_known || strcmp(lfirst(known), text) == 0;
		if (!is_known)
			texts = lappend(texts, text);
	}
	return texts;
}

/*
 * Return the texts of several holds as one.
 */
char *
join_texts(List *texts)
{
	StringInfoData joined;
	ListCell *lc;

	initStringInfo(&joined);
	foreach (lc, texts)
		appendStringInfo(&joined, "%s%s", joined.len > 0 ? ", " : "",
						 (char *) lfirst(lc));
	return joined.data;
}

/*
 * Place a hold, unless there is one with that text.  The caller has called
 * lock_holds_to_place().
 *
 * Raises 22023 if the text is empty or too long.
 */
void
place_hold(const HoldKey *key, const char *text)
{
	Relation holds = table_open(extension_relation("holds"), RowExclusiveLock);
	Datum values[N_HOLD_COLUMNS];
	bool nulls[N_HOLD_COLUMNS] = {false};

	check_hold_text(text);
	if (!find_text(holds_with_key(holds, key, SnapshotSelf), text))
	{
		values[HOLD_RELATION] = ObjectIdGetDatum(key->relid);
		nulls[HOLD_DELETED_AT] = key->stamp == NULL;
		values[HOLD_DELETED_AT] = key->stamp ? TimestampTzGetDatum(*key->stamp) : 0;
		nulls[HOLD_KEY] = !key->key;
		values[HOLD_KEY] = key->key;
		values[HOLD_TEXT] = CStringGetTextDatum(text);
		values[HOLD_HELD_BY] =
			CStringGetTextDatum(GetUserNameFromId(calling_role(), false));
		values[HOLD_HELD_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
		(void) append_row(holds, values, nulls);
	}
	table_close(holds, NoLock);
}

/*
 * Raise 22023 if the text of a hold is empty or too long.
 */
void
check_hold_text(const char *text)
{
	if (text[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a hold cannot be empty"),
						errdetail("It says why rows are held; null lifts it.")));
	if (strlen(text) > MAX_HOLD_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a hold cannot be longer than %d bytes", MAX_HOLD_BYTES),
				 errdetail("The bin shows it in each row that is held.")));
}

/*
 * Does one of the holds have a text?
 */
static bool
find_text(List *slots, const char *text)
{
	ListCell *lc;

	foreach (lc, slots)
	{
		if (strcmp(hold_text(lfirst(lc)), text) == 0)
			return true;
	}
	return false;
}

/*
 * Lift the hold in the slot, and record who did so, and who owns the table.
 */
void
lift_hold(Relation holds, TupleTableSlot *slot)
{
	Relation lifted =
		table_open(extension_relation("lifted_holds"), RowExclusiveLock);
	Oid relid = DatumGetObjectId(slot->tts_values[HOLD_RELATION]);
	Oid owner = owner_of(relid);
	Datum values[N_LIFTED_COLUMNS];
	bool nulls[N_LIFTED_COLUMNS] = {false};

	memcpy(values, slot->tts_values, N_HOLD_COLUMNS * sizeof(Datum));
	memcpy(nulls, slot->tts_isnull, N_HOLD_COLUMNS * sizeof(bool));
	values[HOLD_RELATION] = CStringGetTextDatum(qualified_name(relid));
	values[HOLD_LIFTED_BY] =
		CStringGetTextDatum(GetUserNameFromId(calling_role(), false));
	values[HOLD_LIFTED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[HOLD_OWNER] = CStringGetTextDatum(GetUserNameFromId(owner, false));
	values[HOLD_ROLEID] = ObjectIdGetDatum(owner);
	(void) append_row(lifted, values, nulls);
	table_close(lifted, NoLock);

	CommandCounterIncrement(); /* this very command may have entered it */
	remove_row(holds, &slot->tts_tid);
}

/*
 * Lift all holds on what a key says.  Returns their number.
 */
int
lift_holds_with_key(const HoldKey *key)
{
	Relation holds = table_open(extension_relation("holds"), RowExclusiveLock);
	List *slots = holds_with_key(holds, key, SnapshotSelf);
	ListCell *lc;

	foreach (lc, slots)
		lift_hold(holds, lfirst(lc));
	table_close(holds, NoLock);
	return list_length(slots);
}

/*
 * Change the key of the holds on a locked tombstone, where the primary key of the row
 * changes from "old" to "new".  A hold on the old key stays, since another row may have
 * that key, and becomes a hold on this row, too.
 */
void
update_hold_key(Relation rel, TimestampTz stamp, TupleTableSlot *old,
				TupleTableSlot *new)
{
	Oid relid = RelationGetRelid(rel);
	Datum old_key = primary_key_text(relid, old);
	Datum new_key = primary_key_text(relid, new);
	Relation holds;
	ListCell *lc;

	if (!old_key || datumIsEqual(old_key, new_key, false, -1))
		return;
	holds = table_open(extension_relation("holds"), RowExclusiveLock);
	foreach (lc, tables_of_rows(relid))
	{
		HoldKey on_row = {.relid = lfirst_oid(lc), .stamp = &stamp, .key = old_key};
		HoldKey on_key = {.relid = lfirst_oid(lc), .key = old_key};

		follow_key(holds, &on_row, relid, stamp, new_key);
		follow_key(holds, &on_key, relid, stamp, new_key);
	}
	table_close(holds, NoLock);
}

/*
 * Place the holds on what a key says on the tombstone of the relation with that stamp
 * whose primary key is "new_key" now, and remove those that were on it alone.
 */
static void
follow_key(Relation holds, const HoldKey *key, Oid relid, TimestampTz stamp,
		   Datum new_key)
{
	ListCell *lc;

	foreach (lc, holds_with_key(holds, key, SnapshotSelf))
	{
		TupleTableSlot *slot = lfirst(lc);

		slot->tts_values[HOLD_RELATION] = ObjectIdGetDatum(relid);
		slot->tts_values[HOLD_DELETED_AT] = TimestampTzGetDatum(stamp);
		slot->tts_isnull[HOLD_DELETED_AT] = false;
		slot->tts_values[HOLD_KEY] = new_key;
		(void) append_row(holds, slot->tts_values, slot->tts_isnull);
		if (key->stamp == NULL)
			continue;
		CommandCounterIncrement(); /* this very command may have entered it */
		remove_row(holds, &slot->tts_tid);
	}
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
