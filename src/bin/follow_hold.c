/*
 * follow_hold.c
 *	  Lets a hold on the key of a live row follow the row when its key changes.
 *
 * A hold on a key is on the row that has it.  The first such hold on a table gives it, or
 * each of its partitions, an AFTER UPDATE trigger, which fires when the primary key
 * changes and moves the holds to the new key.  If a tombstone has the old key, the holds
 * stay on that, too.
 *
 * The trigger belongs to the primary key as the server's own triggers belong to a
 * constraint: it is dropped with it, and is not dumped.  It is created again with the
 * tag or the primary key.  A table without such holds has none, and its updates cost
 * nothing more.
 *
 * Invariant: a row that is held by its key stays held until the hold is lifted.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "bin/sd_bin.h"

/* It sorts after the triggers of the application */
#define HOLD_TRIGGER_NAME "~soft_delete_hold"

/* The holds that one statement has moved */
typedef struct MovedHolds
{
	int n;
	int nallocated;		   /* size of "tids" */
	ItemPointerData *tids; /* their new places */
} MovedHolds;

PG_FUNCTION_INFO_V1(soft_delete_follow_hold);
PG_FUNCTION_INFO_V1(soft_delete_make_hold_triggers);

static void make_hold_trigger(Oid relid);
static bool is_held_by_key(Oid relid);
static Oid find_hold_trigger(Oid relid);
static void create_hold_trigger(Oid relid, Oid constraint);
static Node *when_key_changes(Oid relid);
static void follow_row(const TriggerData *trigdata, MovedHolds **moved,
					   MemoryContext context);
static void move_holds(Relation holds, List *slots, Datum new_key, bool stays,
					   MovedHolds *moved, MemoryContext context);
static bool was_moved(const MovedHolds *moved, ItemPointer tid);
static bool tombstone_has_key(Relation rel, TupleTableSlot *row);

/*
 * soft_delete_internal.make_hold_triggers(relation regclass) returns void
 *
 * Creates the triggers that a table, its partitions and inheritance children need for
 * holds on their keys, and drops those of a table that is not tagged any more.
 *
 * Raises 42P01 if there is no such table.
 */
Datum
soft_delete_make_hold_triggers(PG_FUNCTION_ARGS)
{
	ListCell *lc;

	check_relation_exists(PG_GETARG_OID(0));
	foreach (lc, find_all_inheritors(PG_GETARG_OID(0), NoLock, NULL))
	{
		ObjectAddress object;

		/* a tag that is broken raises elsewhere */
		if (tag_arguments(lfirst_oid(lc)) != NIL)
		{
			if (is_held_by_key(lfirst_oid(lc)))
				make_hold_trigger(lfirst_oid(lc));
			continue;
		}
		ObjectAddressSet(object, TriggerRelationId,
						 find_hold_trigger(lfirst_oid(lc)));
		if (OidIsValid(object.objectId))
			performDeletion(&object, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
	PG_RETURN_VOID();
}

/*
 * Create the triggers of a table, its partitions and inheritance children, on which a
 * hold on a key is to be placed.
 */
void
prepare_hold_on_key(Oid relid)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
		make_hold_trigger(lfirst_oid(lc));
}

/*
 * Create the trigger of one table, unless it has that or no primary key.  Blocks writes
 * to the table.
 */
static void
make_hold_trigger(Oid relid)
{
	Oid constraint;

	if (get_rel_relkind(relid) != RELKIND_RELATION ||
		OidIsValid(find_hold_trigger(relid)))
		return;
	/* the lock of CREATE TRIGGER; another session may have been faster */
	LockRelationOid(relid, ShareRowExclusiveLock);
	(void) get_primary_key_attnos(relid, true, &constraint);
	if (OidIsValid(constraint) && !OidIsValid(find_hold_trigger(relid)))
		create_hold_trigger(relid, constraint);
}

/*
 * Is there a hold on a key of a table, or of one that it is a partition or a child of?
 */
static bool
is_held_by_key(Oid relid)
{
	Relation holds = table_open(extension_relation("holds"), AccessShareLock);
	bool is_held = false;
	ListCell *lc, *cell;

	foreach (lc, with_ancestors(relid))
	{
		foreach (cell, holds_on(holds, lfirst_oid(lc)))
		{
			TupleTableSlot *slot = lfirst(cell);

			is_held = is_held || (slot->tts_isnull[HOLD_DELETED_AT] &&
								  !slot->tts_isnull[HOLD_KEY]);
		}
	}
	table_close(holds, NoLock);
	return is_held;
}

/*
 * Return the OID of the trigger of a table, or InvalidOid.
 */
static Oid
find_hold_trigger(Oid relid)
{
	CatalogScan scan = begin_trigger_scan(relid);
	Oid function = needed_function(HOLD_TRIGGER);
	Oid found = InvalidOid;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_trigger row = (Form_pg_trigger) GETSTRUCT(tuple);

		if (row->tgfoid == function)
			found = row->oid;
	}
	end_catalog_scan(&scan);
	return found;
}

/*
 * Create the trigger of a table, as one of its primary key's own.
 */
static void
create_hold_trigger(Oid relid, Oid constraint)
{
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);
	ObjectAddress object;

	stmt->trigname = pstrdup(HOLD_TRIGGER_NAME);
	stmt->row = true;
	stmt->timing = TRIGGER_TYPE_AFTER;
	stmt->events = TRIGGER_TYPE_UPDATE;
	stmt->whenClause = when_key_changes(relid);
	object = CreateTrigger(stmt, NULL, relid, InvalidOid, constraint,
						   InvalidOid, needed_function(HOLD_TRIGGER),
						   InvalidOid, NULL, true, false);
	make_dependent(&object, relid, constraint);
	CommandCounterIncrement();
}

/*
 * Return the condition that the primary key is not binary equal, for its text is what a
 * hold has.
 */
static Node *
when_key_changes(Oid relid)
{
	AttrNumber attnums[INDEX_MAX_KEYS];
	int n = primary_key(relid, attnums);
	StringInfoData query, new;
	RawStmt *parsed;

	initStringInfo(&query);
	initStringInfo(&new);
	appendStringInfoString(&query, "SELECT CAST(ROW(");
	for (int i = 0; i < n; i++)
	{
		const char *column =
			quote_identifier(get_attname(relid, attnums[i], false));

		appendStringInfo(&query, "%sold.%s", i > 0 ? ", " : "", column);
		appendStringInfo(&new, "%snew.%s", i > 0 ? ", " : "", column);
	}
	appendStringInfo(&query,
					 ") AS pg_catalog.record) OPERATOR(pg_catalog.*<>) CAST(ROW(%s) AS pg_catalog.record)",
					 new.data);
	parsed = linitial_node(RawStmt, raw_parser(query.data, RAW_PARSE_DEFAULT));
	return linitial_node(ResTarget, castNode(SelectStmt, parsed->stmt)->targetList)
		->val;
}

/*
 * soft_delete_internal.follow_hold() returns trigger
 *
 * AFTER UPDATE row trigger of a table that has or had holds on keys: moves those on the
 * old primary key of the row to the new one.  The holds that it has moved in this
 * statement are remembered, for another row may have had their key before.
 *
 * Raises 39P01 where it is not called as the trigger that make_hold_trigger() creates.
 */
Datum
soft_delete_follow_hold(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !trigdata->tg_trigger->tgisinternal ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a trigger of a table with holds",
						"soft_delete_internal.follow_hold"),
				 errdetail("It must be the AFTER UPDATE row trigger that soft_delete.hold() creates.")));
	if (is_tagged(RelationGetRelid(trigdata->tg_relation)))
		follow_row(trigdata, (MovedHolds **) &fcinfo->flinfo->fn_extra,
				   fcinfo->flinfo->fn_mcxt);
	return PointerGetDatum(NULL);
}

/*
 * Move the holds on the old primary key of a row that has been updated to its new one.
 */
static void
follow_row(const TriggerData *trigdata, MovedHolds **moved, MemoryContext context)
{
	Relation rel = trigdata->tg_relation;
	List *relids = tables_of_rows(RelationGetRelid(rel));
	Relation holds;
	SavedRole saved;
	Datum old_key, new_key;
	ListCell *lc;

	/* who lifts holds waits for this transaction, which may have moved them */
	lock_holds(relids, RowExclusiveLock);
	if (!has_holds(RelationGetRelid(rel)))
		return;
	if (*moved == NULL)
		*moved = MemoryContextAllocZero(context, sizeof(MovedHolds));

	become_owner(rel, &saved); /* the type of a key may be his */
	old_key = primary_key_text(RelationGetRelid(rel), trigdata->tg_trigslot);
	new_key = primary_key_text(RelationGetRelid(rel), trigdata->tg_newslot);
	restore_role(&saved);
	holds = table_open(extension_relation("holds"), RowExclusiveLock);
	foreach (lc, relids)
	{
		HoldKey key = {.relid = lfirst_oid(lc), .key = old_key};
		List *slots = holds_with_key(holds, &key, SnapshotSelf);
		ListCell *cell;

		foreach (cell, slots)
		{
			TupleTableSlot *slot = lfirst(cell);

			if (was_moved(*moved, &slot->tts_tid))
				slots = foreach_delete_current(slots, cell);
		}
		if (slots != NIL)
			move_holds(holds, slots, new_key,
					   tombstone_has_key(rel, trigdata->tg_trigslot), *moved,
					   context);
	}
	table_close(holds, NoLock);
}

/*
 * Give holds a new key, and leave them on the old one, too, if "stays".  Notes their
 * places in "moved".
 */
static void
move_holds(Relation holds, List *slots, Datum new_key, bool stays,
		   MovedHolds *moved, MemoryContext context)
{
	ListCell *lc;

	foreach (lc, slots)
	{
		TupleTableSlot *slot = lfirst(lc);

		moved->tids = grow_if_full(context, moved->tids, moved->n,
								   &moved->nallocated, sizeof(ItemPointerData));
		if (!stays)
		{
			CommandCounterIncrement(); /* this very command may have entered it */
			remove_row(holds, &slot->tts_tid);
		}
		slot->tts_values[HOLD_KEY] = new_key;
		(void) append_row_at(holds, slot->tts_values, slot->tts_isnull,
							 &moved->tids[moved->n++]);
	}
}

/*
 * Has this statement moved the hold at that place?
 */
static bool
was_moved(const MovedHolds *moved, ItemPointer tid)
{
	for (int i = 0; i < moved->n; i++)
	{
		if (ItemPointerEquals(&moved->tids[i], tid))
			return true;
	}
	return false;
}

/*
 * Does a tombstone, of the relation or of another partition, have the primary key of a
 * row?
 */
static bool
tombstone_has_key(Relation rel, TupleTableSlot *row)
{
	Relation root = table_open(llast_oid(with_ancestors(RelationGetRelid(rel))),
							   AccessShareLock);
	RowKey key = {.rel = root};
	AttrNumber attnums[INDEX_MAX_KEYS];
	bool found = false;

	key.n = primary_key(RelationGetRelid(root), key.attnums);
	if (primary_key(RelationGetRelid(rel), attnums) != key.n)
		key.n = 0; /* an inheritance child has a key of its own */
	for (int i = 0; i < key.n; i++)
	{
		bool isnull;

		key.types[i] = get_atttype(RelationGetRelid(root), key.attnums[i]);
		key.values[i] = slot_getattr(row, attnums[i], &isnull);
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	for (StorageKind storage = 0; key.n > 0 && !found && storage < N_STORAGES;
		 storage++)
	{
		StringInfoData query;

		if (!has_tombstones(storage, RelationGetRelid(root)))
			continue;
		initStringInfo(&query);
		appendStringInfoString(&query, "SELECT FROM ");
		append_side(&query, RelationGetRelid(root), "t", sample_of(storage, false));
		append_key_condition(&query, &key);
		found = execute_as_owner(RelationGetRelid(root), query.data, key.n,
								 key.types, key.values, SPI_OK_SELECT) > 0;
	}
	SPI_finish();
	table_close(root, NoLock);
	return found;
}

/*
 * Raise 55006 if a row that an UPDATE moves to another partition is held by its key.  Its
 * key always changes, because it has the partition key, and the trigger does not get both
 * versions.
 */
void
check_held_move(Relation rel, TupleTableSlot *old)
{
	Relation holds;
	SavedRole saved;
	Datum key;
	ListCell *lc;

	if (!has_holds(RelationGetRelid(rel)))
		return;
	become_owner(rel, &saved);
	key = primary_key_text(RelationGetRelid(rel), old);
	restore_role(&saved);
	if (!key)
		return;
	holds = table_open(extension_relation("holds"), AccessShareLock);
	foreach (lc, tables_of_rows(RelationGetRelid(rel)))
	{
		HoldKey on_key = {.relid = lfirst_oid(lc), .key = key};
		List *texts = add_texts(NIL, holds_with_key(holds, &on_key, SnapshotSelf));

		if (texts != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("cannot move a row of table \"%s\" that is held to another partition: %s",
							RelationGetRelationName(rel), join_texts(texts)),
					 errdetail("Its primary key would change, by which it is held."),
					 errhint("SELECT soft_delete.lift(%s, %s);",
							 quote_literal_cstr(qualified_name(on_key.relid)),
							 quote_literal_cstr(linitial(texts)))));
	}
	table_close(holds, NoLock);
}
