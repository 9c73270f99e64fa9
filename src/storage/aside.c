/*
 * aside.c
 *	  Keeps, locks, reads, restores and destroys tombstones that are in the companion
 *	  of their table.
 *
 * Such a row is really deleted from its table, at once or when it stands in the way of
 * a live one.  What is inserted into the companion has the same columns, found by their
 * names, and the stamp of the deletion.  To the callers of storage.c it is a row of the
 * table, or of the partition that they ask for it: the values are moved to the columns
 * of the same names, and the stamp to the tombstone column, if the table has one.
 *
 * A companion may have months (catalog/companion.c).  A row is inserted into the one of its
 * stamp, or into the companion if that does not exist; from then on its place has the month.
 * A month that a purge has dropped had no row that is needed, so its rows are not there any
 * more, as if each had been purged.
 *
 * Where the application deletes softly by a column of its own, that says of a row of the
 * companion that it is deleted: as the application has written, or else as it would have.
 *
 * Invariant: a column that the companion lacks, or has with another type, is an error
 * of the DELETE.  No value of a deleted row is ever left out.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "storage/sd_storage.h"

/* What inserting deleted rows of one relation into its companion needs */
struct Keeper
{
	Oid relid;			   /* the relation that the rows are deleted from */
	Oid companion;		   /* which is inserted into, or a month of it */
	TimestampTz from;	   /* it is for stamps from here on */
	TimestampTz until;	   /* to before this one */
	uint64 changes;		   /* value of relcache_changes when it was made */
	MemoryContext context; /* the builder's */
	AttrNumber stamp;	   /* the companion's column for stamps */
	AttrNumber deleted_by; /* its column for who has deleted a row, or 0 */
	AttrNumber unlinked; /* its column for references that were set to null, or 0 */
	Datum references; /* those to the next row, a jsonb, or 0 */
	AttrNumber hold;  /* its column for holds, or 0 */
	Datum holds;	  /* those on the next row, a text[], or 0 */
	AttrNumber *sources; /* for each column of the companion, that of the relation */
	VersionBuilder *builder; /* of rows of the companion, with its indexes */
	VersionBuilder *bridged; /* of rows whose bridge says deleted, or NULL */
};

/* Those of step_aside().  One that is in use is not in the list. */
static TransactionList keepers;

static Keeper *make_keeper_in(Relation rel, Relation companion,
							  AttrNumber stamp, MemoryContext context);
static Keeper *make_keeper_for(Relation rel, TimestampTz stamp, MemoryContext context);
static Relation open_for_stamp(Relation rel, TimestampTz stamp, Month *month);
static bool is_outdated(const Keeper *keeper);
static void change_place(Keeper *keeper, TimestampTz stamp);
static AttrNumber *map_columns(Relation from, Relation to, AttrNumber stamp,
							   bool to_companion);
static void report_column(Relation from, Relation to, Form_pg_attribute att,
						  bool has_column);
static TupleTableSlot *say_deleted(const Keeper *keeper, Relation rel,
								   TupleTableSlot *row, TimestampTz stamp);
static Oid deleting_role(void);
static void move_columns(TupleTableSlot *from, TupleTableSlot *to,
						 const AttrNumber *sources);
static Keeper *take_keeper(Oid relid);
static void lock_again(const Keeper *keeper);
static void destroy_all_in(Relation rel, Relation companion);
static void fetch_kept(Relation rel, Relation companion, TupleTableSlot *stored,
					   TupleTableSlot *row);
static void check_domains(TupleTableSlot *slot);
static void return_rows(ModifyTableState *mtstate, PartitionTupleRouting *routing,
						TupleTableSlot *row, Oid place);
static void return_row(ResultRelInfo *relinfo, EState *estate,
					   Relation companion, TupleTableSlot *stored);

static bool may_have_kept(Oid relid);
static bool lock_kept(Relation rel, Tombstone *tombstone);
static void refuse_rewritten(Relation rel, const Tombstone *tombstone,
							 Relation companion, TupleTableSlot *stored);
static bool peek_kept(Relation rel, Tombstone *tombstone, TupleTableSlot *slot);
static void fetch_kept_row(Relation rel, const Tombstone *tombstone,
						   TupleTableSlot *slot);
static bool is_kept_version(Relation rel, const Tombstone *tombstone, Oid file,
							TransactionId xmin, Snapshot snapshot,
							TupleTableSlot *slot);
static TupleTableSlot *restore_kept(ResultRelInfo *relinfo, VersionBuilder *builder,
									Tombstone *tombstone, TupleTableSlot *old,
									MakeRoom make_room, List **recheck);
static TM_Result destroy_kept(Relation rel, const Tombstone *tombstone, bool waits);
static void begin_kept_scan(TombstoneScan *scan, const ScanPosition *position);
static bool next_kept(TombstoneScan *scan);
static void end_kept_scan(TombstoneScan *scan);

PG_FUNCTION_INFO_V1(soft_delete_return_aside);

const StorageRoutine aside_storage = {
	.sample = "aside",
	.may_share_keys = true,
	.may_have_any = may_have_kept,
	.lock = lock_kept,
	.peek = peek_kept,
	.fetch = fetch_kept_row,
	.is_version = is_kept_version,
	.restore = restore_kept,
	.destroy = destroy_kept,
	.begin_scan = begin_kept_scan,
	.next = next_kept,
	.end_scan = end_kept_scan,
};

/*
 * For each column of "to", find the column of "from" that has its name: an array of
 * attribute numbers, 0 where there is none, which is palloc'd.  "stamp" is the column
 * of the companion, which "to" is or "from", for stamps.
 *
 * Raises 42703 if the companion lacks a column of the table, 42804 if the types differ.
 * The companion has the base types of domains.  A tombstone column without time zone
 * holds UTC: its values are those of timestamptz.
 */
static AttrNumber *
map_columns(Relation from, Relation to, AttrNumber stamp, bool to_companion)
{
	Relation companion = to_companion ? to : from;
	Relation rel = to_companion ? from : to;
	TupleDesc desc = RelationGetDescr(to);
	AttrNumber *sources = palloc0(desc->natts * sizeof(AttrNumber));

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		AttrNumber source;

		if (att->attisdropped || is_virtual_column(att) ||
			(to_companion && i + 1 == stamp))
			continue;
		source = get_attnum(RelationGetRelid(from), NameStr(att->attname));
		/* what the companion has beside the columns of the table is null in new rows */
		if (source <= 0 && to_companion)
			continue;
		if (source <= 0)
			report_column(rel, companion, att, false);
		if ((to_companion || source != stamp) &&
			getBaseType(att->atttypid) !=
				getBaseType(TupleDescAttr(RelationGetDescr(from), source - 1)->atttypid))
			report_column(rel, companion, att, true);
		sources[i] = source;
	}
	/* a column that only "from" has would be lost */
	for (int i = 0; to_companion && i < RelationGetDescr(from)->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(from), i);

		if (!att->attisdropped && !is_virtual_column(att) &&
			get_attnum(RelationGetRelid(to), NameStr(att->attname)) <= 0)
			report_column(rel, companion, att, false);
	}
	return sources;
}

/*
 * Raise an error about a column that a table and its companion do not have alike.
 */
static void
report_column(Relation rel, Relation companion, Form_pg_attribute att, bool has_column)
{
	Oid sharded =
		call_internal_for_relation("table_of_shard", RelationGetRelid(rel));

	ereport(ERROR,
			(errcode(has_column ? ERRCODE_DATATYPE_MISMATCH : ERRCODE_UNDEFINED_COLUMN),
			 has_column
				 ? errmsg("column \"%s\" has another type in table \"%s\" than in its companion \"%s\"",
						  NameStr(att->attname), RelationGetRelationName(rel),
						  RelationGetRelationName(companion))
				 : errmsg("companion \"%s\" of table \"%s\" lacks column \"%s\"",
						  RelationGetRelationName(companion),
						  RelationGetRelationName(rel), NameStr(att->attname)),
			 errdetail("A deleted row is kept with all of its columns."),
			 errhint("SELECT soft_delete.repair(%s);",
					 quote_literal_cstr(qualified_name(
						 OidIsValid(sharded)
							 ? sharded
							 : llast_oid(with_ancestors(RelationGetRelid(rel))))))));
}

/*
 * Move the values of a row to the columns of another slot, which is virtual, or is
 * made so.  They point into the first slot.
 */
static void
move_columns(TupleTableSlot *from, TupleTableSlot *to, const AttrNumber *sources)
{
	slot_getallattrs(from);
	ExecClearTuple(to);
	for (int i = 0; i < to->tts_tupleDescriptor->natts; i++)
	{
		to->tts_isnull[i] = sources[i] == 0 || from->tts_isnull[sources[i] - 1];
		to->tts_values[i] =
			to->tts_isnull[i] ? (Datum) 0 : from->tts_values[sources[i] - 1];
	}
	ExecStoreVirtualTuple(to);
}

/*
 * Make what inserting deleted rows of a relation into its companion needs, in a memory
 * context, for stamps of now.
 *
 * Raises what open_companion() and map_columns() raise.
 */
Keeper *
make_keeper(Relation rel, MemoryContext context)
{
	return make_keeper_for(rel, GetCurrentTimestamp(), context);
}

/*
 * Make what inserting rows with a stamp needs, as make_keeper() does.
 */
static Keeper *
make_keeper_for(Relation rel, TimestampTz stamp, MemoryContext context)
{
	Month month;
	Relation companion = open_for_stamp(rel, stamp, &month);
	Keeper *keeper =
		make_keeper_in(rel, companion, stamp_attribute(companion), context);

	keeper->from = month.from;
	keeper->until = month.until;
	table_close(companion, NoLock);
	return keeper;
}

/*
 * Open the relation that a row with a stamp is inserted into: the month of the companion,
 * or the companion.  Sets "month" to the range of stamps for which it is.
 *
 * Raises what open_companion() raises.
 */
static Relation
open_for_stamp(Relation rel, TimestampTz stamp, Month *month)
{
	Oid companion = companion_of(RelationGetRelid(rel));
	List *months = OidIsValid(companion) ? months_of(companion) : NIL;
	ListCell *lc;

	*month = (Month){.from = DT_NOBEGIN, .until = DT_NOEND};
	foreach (lc, months)
	{
		Month *candidate = lfirst(lc);

		if (stamp < candidate->from)
			month->until = Min(month->until, candidate->from);
		else if (stamp >= candidate->until)
			month->from = Max(month->from, candidate->until);
		else
		{
			Relation place;

			*month = *candidate;
			place = try_table_open(month->relid, RowExclusiveLock);
			/* it may have been dropped while this waited for the lock */
			return place != NULL ? place : open_for_stamp(rel, stamp, month);
		}
	}
	return open_companion(rel, RowExclusiveLock);
}

/*
 * Make what inserting deleted rows of a shard into one of the bin of its table needs, in a
 * memory context.  Such a bin says who has deleted a row.
 *
 * Raises 42703 if it has no column for stamps or for that, and what map_columns() raises.
 */
Keeper *
make_shards_keeper(Relation rel, Relation bin, const char *stamp, MemoryContext context)
{
	Oid relid = RelationGetRelid(bin);
	AttrNumber stamp_attnum = get_attnum(relid, stamp);
	AttrNumber deleted_by = get_attnum(relid, "deleted_by");
	Keeper *keeper;

	if (stamp_attnum <= 0 || get_atttype(relid, stamp_attnum) != TIMESTAMPTZOID ||
		deleted_by <= 0 || get_atttype(relid, deleted_by) != TEXTOID)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("bin \"%s\" does not tell when rows were deleted, and by whom",
						RelationGetRelationName(bin)),
				 errdetail("It has a column \"%s\" of type timestamptz, and a column \"deleted_by\" of type text.",
						   stamp)));
	keeper = make_keeper_in(rel, bin, stamp_attnum, context);
	keeper->deleted_by = deleted_by;
	keeper->unlinked = get_attnum(relid, "unlinked");
	keeper->hold = get_attnum(relid, "hold");
	return keeper;
}

/*
 * Note the references to the next row that a deletion sets to null, a jsonb, or 0 for none.
 *
 * Raises 42703 if the bin has no column for them.
 */
void
set_unlinked(Keeper *keeper, Datum references)
{
	if (references && (keeper->unlinked == 0 ||
					   get_atttype(keeper->companion, keeper->unlinked) != JSONBOID))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("bin \"%s\" does not keep references that are set to null",
						get_rel_name(keeper->companion)),
				 errdetail("It has a column \"unlinked\" of type jsonb.")));
	keeper->references = references;
}

/*
 * Note why the next row is held, a text[], or 0 if it is not.
 *
 * Raises 42703 if the bin has no column for that.
 */
void
set_kept_hold(Keeper *keeper, Datum holds)
{
	if (holds && (keeper->hold <= 0 ||
				  get_atttype(keeper->companion, keeper->hold) != TEXTARRAYOID))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("bin \"%s\" does not keep holds",
							   get_rel_name(keeper->companion)),
						errdetail("It has a column \"hold\" of type text[].")));
	keeper->holds = holds;
}

/*
 * Make what inserting deleted rows of a relation into an open companion needs.
 */
static Keeper *
make_keeper_in(Relation rel, Relation companion, AttrNumber stamp, MemoryContext context)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Keeper *keeper = palloc0(sizeof(Keeper));

	keeper->relid = RelationGetRelid(rel);
	keeper->companion = RelationGetRelid(companion);
	keeper->changes = relcache_changes;
	keeper->from = DT_NOBEGIN;
	keeper->until = DT_NOEND;
	keeper->context = context;
	keeper->stamp = stamp;
	keeper->sources = map_columns(rel, companion, stamp, true);
	keeper->builder = make_version_builder(companion, 1, &keeper->stamp, context);
	find_tombstone_indexes(keeper->builder, companion, keeper->stamp);
	for (int i = 0; i < keeper->builder->nindexes; i++)
		keeper->builder->indexes[i].is_unchanged = false;
	if (keeps_aside(rel) && bridge_of(rel) != NULL)
	{
		keeper->bridged = make_tombstone_builder(rel, context);
		keeper->bridged->checks = NIL; /* a companion has no constraints */
	}
	MemoryContextSwitchTo(oldcontext);
	return keeper;
}

/*
 * Release what a keeper refers to, which else goes with its memory context.
 */
void
free_keeper(Keeper *keeper)
{
	FreeExecutorState(keeper->builder->estate);
	if (keeper->bridged != NULL)
		FreeExecutorState(keeper->bridged->estate);
}

/*
 * Is this what keeping rows of a relation needs?
 */
bool
keeps_rows_of(const Keeper *keeper, Relation rel)
{
	return keeper != NULL && keeper->relid == RelationGetRelid(rel);
}

/*
 * Insert a row of a relation that is deleted into the companion, with the stamp of the
 * running deletion, and count it.
 */
void
keep_aside(Keeper *keeper, Relation rel, TupleTableSlot *row)
{
	TimestampTz stamp = deletion_stamp(keeper->relid);

	if (keeper->bridged != NULL && !row_says_deleted(keeper->bridged->bridge, row))
		row = say_deleted(keeper, rel, row, stamp);
	insert_kept(keeper, row, stamp);
	count_deleted(stamp, keeper->relid, 1);
}

/*
 * Return a row with the column of the bridge as the application would have written it to
 * delete the row.  The result is valid until the next call.
 */
static TupleTableSlot *
say_deleted(const Keeper *keeper, Relation rel, TupleTableSlot *row, TimestampTz stamp)
{
	VersionBuilder *builder = keeper->bridged;
	bool isnull = false;
	Datum value;
	MemoryContext oldcontext =
		MemoryContextSwitchTo(GetPerTupleMemoryContext(builder->estate));

	value = deleted_value(builder->bridge, stamp);
	MemoryContextSwitchTo(oldcontext);
	return build_version(builder, rel, row, &value, &isnull);
}

/*
 * Insert a row into the companion, with a stamp.
 */
void
insert_kept(Keeper *keeper, TupleTableSlot *row, TimestampTz stamp)
{
	VersionBuilder *builder;
	TupleTableSlot *slot;
	Relation companion;
	MemoryContext oldcontext;

	if (stamp < keeper->from || stamp >= keeper->until || is_outdated(keeper))
		change_place(keeper, stamp);
	builder = keeper->builder;
	slot = builder->slot;
	companion = table_open(keeper->companion, NoLock);
	ResetPerTupleExprContext(builder->estate);
	oldcontext = MemoryContextSwitchTo(GetPerTupleMemoryContext(builder->estate));
	move_columns(row, slot, keeper->sources);
	slot->tts_values[keeper->stamp - 1] = TimestampTzGetDatum(stamp);
	slot->tts_isnull[keeper->stamp - 1] = false;
	if (keeper->deleted_by > 0)
	{
		slot->tts_values[keeper->deleted_by - 1] =
			CStringGetTextDatum(GetUserNameFromId(deleting_role(), false));
		slot->tts_isnull[keeper->deleted_by - 1] = false;
	}
	if (keeper->references)
	{
		slot->tts_values[keeper->unlinked - 1] = keeper->references;
		slot->tts_isnull[keeper->unlinked - 1] = false;
	}
	if (keeper->holds)
	{
		slot->tts_values[keeper->hold - 1] = keeper->holds;
		slot->tts_isnull[keeper->hold - 1] = false;
	}
	slot->tts_tableOid = keeper->companion;
	/* a publication of all tables is not told of a companion, whose subscribers lack it */
	table_tuple_insert(companion, slot, GetCurrentCommandId(true),
					   companion->rd_rel->relreplident == REPLICA_IDENTITY_NOTHING
						   ? HEAP_INSERT_NO_LOGICAL
						   : 0,
					   NULL);
	insert_tombstone_index_entries(builder, companion, TU_All);
	ExecClearTuple(slot);
	MemoryContextSwitchTo(oldcontext);
	table_close(companion, NoLock);
}

/*
 * May the companion have changed since the keeper was made?  A trigger of the owner may have
 * given it an index, for the statement that keeps rows there has not opened it.
 */
static bool
is_outdated(const Keeper *keeper)
{
	/* the bin of a shard is changed on all nodes, between statements */
	return keeper->deleted_by == InvalidAttrNumber &&
		   keeper->changes != relcache_changes;
}

/*
 * Make a keeper one for rows with a stamp, which are in another month, or in a companion
 * that has changed.
 */
static void
change_place(Keeper *keeper, TimestampTz stamp)
{
	Relation rel = table_open(keeper->relid, NoLock);
	Keeper *other = make_keeper_for(rel, stamp, keeper->context);

	table_close(rel, NoLock);
	FreeExecutorState(keeper->builder->estate);
	if (other->bridged != NULL)
		FreeExecutorState(other->bridged->estate);
	other->bridged = keeper->bridged; /* the row to keep may be in its slot */
	*keeper = *other;
	pfree(other);
}

/*
 * Return the role that deletes: the current one or, where a foreign key deletes as the
 * owner of the table, that of the session.
 */
static Oid
deleting_role(void)
{
	Oid role;
	int context;

	GetUserIdAndSecContext(&role, &context);
	return (context & SECURITY_NOFORCE_RLS) != 0 ? GetOuterUserId() : role;
}

/*
 * Insert all rows of a relation into its companion, for they are about to be truncated.
 * Returns whether there are any.
 *
 * The relation is locked, so the rows that are live now are live to all transactions.
 * SnapshotSelf also sees rows that the snapshot of the statement does not see.
 */
bool
keep_all_aside(Relation rel)
{
	Keeper *keeper = make_keeper(rel, CurrentMemoryContext);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = begin_table_scan(rel, SnapshotSelf);
	bool any = false;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		keep_aside(keeper, rel, slot);
		any = true;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	free_keeper(keeper);
	return any;
}

/*
 * Insert a tombstone that is in its table, and stands in the way there, into the
 * companion.  The caller removes it from the table.
 */
void
step_aside(Relation rel, TupleTableSlot *row, TimestampTz stamp)
{
	Keeper *keeper = take_keeper(RelationGetRelid(rel));

	if (keeper == NULL)
		keeper = make_keeper(rel, AllocSetContextCreate(TopTransactionContext,
														"soft_delete keeper",
														ALLOCSET_SMALL_SIZES));
	insert_kept(keeper, row, stamp);
	/* a statement may displace many rows */
	keep_item(&keepers, keeper);
}

/*
 * Take the keeper of a relation out of those of the transaction: what an index calls may
 * ask for it, too.  Returns NULL if there is none.  After an error it is not put back.
 */
static Keeper *
take_keeper(Oid relid)
{
	ListCell *lc;

	foreach (lc, kept_items(&keepers))
	{
		Keeper *keeper = lfirst(lc);

		if (keeper->relid != relid)
			continue;
		keepers.items = foreach_delete_current(keepers.items, lc);
		lock_again(keeper);
		if (!is_outdated(keeper))
			return keeper;
		free_keeper(keeper);
		MemoryContextDelete(keeper->context);
		return NULL;
	}
	return NULL;
}

/*
 * Lock the companion of a keeper and its indexes, for the end of a subtransaction may
 * have released the locks.
 */
static void
lock_again(const Keeper *keeper)
{
	LockRelationOid(keeper->companion, RowExclusiveLock);
	for (int i = 0; i < keeper->builder->nindexes; i++)
		LockRelationOid(keeper->builder->indexes[i].relid, RowExclusiveLock);
}

/*
 * Destroy all rows of the companion that were deleted from a relation or, if that is a
 * partition, that would be inserted into it.  The caller has locked it, so that no
 * other transaction changes them.
 */
void
destroy_all_aside(Relation rel)
{
	ListCell *lc;

	table_close(open_companion(rel, RowExclusiveLock), NoLock);
	foreach (lc, places_of(companion_of(RelationGetRelid(rel))))
	{
		Relation place = try_table_open(lfirst_oid(lc), RowExclusiveLock);

		if (place == NULL)
			continue;
		destroy_all_in(rel, place);
		table_close(place, NoLock);
	}
}

/*
 * Destroy the rows of a companion, or of a month of it, as destroy_all_aside() does.
 */
static void
destroy_all_in(Relation rel, Relation companion)
{
	TupleTableSlot *stored = table_slot_create(companion, NULL);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	EState *estate = CreateExecutorState();
	ResultRelInfo *relinfo = makeNode(ResultRelInfo);
	TableScanDesc scan;

	InitResultRelInfo(relinfo, rel, 0, NULL, 0);
	PushActiveSnapshot(GetLatestSnapshot());
	scan = begin_table_scan(companion, GetActiveSnapshot());
	while (table_scan_getnextslot(scan, ForwardScanDirection, stored))
	{
		CHECK_FOR_INTERRUPTS();
		ResetPerTupleExprContext(estate);
		fetch_kept(rel, companion, stored, row);
		if (!rel->rd_rel->relispartition ||
			ExecPartitionCheck(relinfo, row, estate, false))
			(void) destroy_version(companion, stored->tts_tid, true);
	}
	table_endscan(scan);
	PopActiveSnapshot();
	FreeExecutorState(estate);
	ExecDropSingleTupleTableSlot(row);
	ExecDropSingleTupleTableSlot(stored);
}

/*
 * May a table, or one of its inheritance children, have tombstones in a companion
 * (StorageRoutine.may_have_any)?  Where they are only kept aside when they stand in the
 * way, there mostly are none.
 */
static bool
may_have_kept(Oid relid)
{
	Oid companion = companion_of(relid);
	bool is_empty = true;
	ListCell *lc;

	if (!OidIsValid(companion) || is_kept_aside(relid))
		return OidIsValid(companion);
	foreach (lc, find_all_inheritors(companion, AccessShareLock, NULL))
	{
		Relation rel = table_open(lfirst_oid(lc), AccessShareLock);

		is_empty = is_empty && RelationGetNumberOfBlocks(rel) == 0;
		table_close(rel, NoLock);
	}
	return !is_empty;
}

/*
 * Open the companion of a table, or the month of it, that a tombstone is in.  Returns NULL
 * if a purge has dropped that month.
 *
 * Raises what open_companion() raises.
 */
Relation
open_place(Relation rel, const Tombstone *tombstone, LOCKMODE lockmode)
{
	if (!OidIsValid(tombstone->month))
		return open_companion(rel, lockmode);
	return try_table_open(tombstone->month, lockmode);
}

/*
 * Lock the newest version of a row of the companion (StorageRoutine.lock).
 */
static bool
lock_kept(Relation rel, Tombstone *tombstone)
{
	Relation companion = open_place(rel, tombstone, RowExclusiveLock);
	TupleTableSlot *stored;
	bool is_locked;

	if (companion == NULL)
		return false;
	stored = table_slot_create(companion, NULL);
	is_locked = lock_newest_version(companion, &tombstone->tid, stored);
	if (is_locked)
	{
		bool isnull;

		tombstone->tid = stored->tts_tid;
		tombstone->stamp = DatumGetTimestampTz(
			slot_getattr(stored, stamp_attribute(companion), &isnull));
	}
	else if (is_kept_from_decoding(companion))
		refuse_rewritten(rel, tombstone, companion, stored);
	ExecDropSingleTupleTableSlot(stored);
	table_close(companion, NoLock);
	return is_locked;
}

/*
 * Raise 40001 if another transaction has written a row of the companion, which is gone, anew
 * (replace_row()): it is a tombstone still, and is not to be passed over.
 */
static void
refuse_rewritten(Relation rel, const Tombstone *tombstone, Relation companion,
				 TupleTableSlot *stored)
{
	ItemPointerData tid = tombstone->tid;
	TombstoneScan scan = {.rel = rel};
	ScanPosition position = {.is_set = true};
	TransactionId writer;
	bool is_rewritten = false;
	bool isnull;
	SavedRole saved;

	if (!fetch_version_at(companion, &tid, stored))
		return;
	writer =
		HeapTupleHeaderGetUpdateXid(((HeapTupleTableSlot *) stored)->tuple->t_data);
	if (!TransactionIdIsNormal(writer) || TransactionIdIsCurrentTransactionId(writer))
		return;
	position.stamp = DatumGetTimestampTz(
		slot_getattr(stored, stamp_attribute(companion), &isnull));
	scan.limit = TIMESTAMP_IS_NOEND(position.stamp) ? position.stamp
													: position.stamp + 1;
	PushActiveSnapshot(GetLatestSnapshot());
	/* reading the predicate of an index may call functions of the owner */
	become_owner(rel, &saved);
	begin_stamp_scan(&scan, table_open(RelationGetRelid(companion), NoLock),
					 stamp_attribute(companion), &position);
	while (!is_rewritten && next_in_place(&scan))
		is_rewritten = scan.xmin == writer && scan.current.stamp == position.stamp;
	end_in_place_scan(&scan);
	restore_role(&saved);
	PopActiveSnapshot();
	if (is_rewritten)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("A deleted row of table \"%s\" follows a key that has changed.",
						   RelationGetRelationName(rel))));
}

/*
 * Copy a row of the companion, in the slot "stored", to a slot of the table.
 */
static void
fetch_kept(Relation rel, Relation companion, TupleTableSlot *stored,
		   TupleTableSlot *row)
{
	/* the columns of the last relation, for a cascade fetches many rows of one */
	static RelationMemo memo;
	static Oid known_companion;
	static AttrNumber *known;
	TupleTableSlot *moved =
		MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);

	if (!memo_holds(&memo, RelationGetRelid(rel)) ||
		known_companion != RelationGetRelid(companion))
	{
		AttrNumber *sources =
			map_columns(companion, rel, stamp_attribute(companion), false);
		Size size = RelationGetDescr(rel)->natts * sizeof(AttrNumber);

		if (known != NULL)
			pfree(known);
		known = memcpy(MemoryContextAlloc(TopMemoryContext, size), sources, size);
		known_companion = RelationGetRelid(companion);
		memo_set(&memo, RelationGetRelid(rel));
		pfree(sources);
	}
	move_columns(stored, moved, known);
	ExecCopySlot(row, moved);
	ExecDropSingleTupleTableSlot(moved);
}

/*
 * Fetch the row of the companion at a place, and return whether there is one
 * (StorageRoutine.peek).
 */
static bool
peek_kept(Relation rel, Tombstone *tombstone, TupleTableSlot *slot)
{
	Relation companion = open_place(rel, tombstone, AccessShareLock);
	TupleTableSlot *stored;
	bool found;

	if (companion == NULL)
		return false;
	stored = table_slot_create(companion, NULL);
	found = fetch_version_at(companion, &tombstone->tid, stored);
	if (found)
	{
		bool isnull;

		tombstone->stamp = DatumGetTimestampTz(
			slot_getattr(stored, stamp_attribute(companion), &isnull));
		fetch_kept(rel, companion, stored, slot);
	}
	ExecDropSingleTupleTableSlot(stored);
	table_close(companion, NoLock);
	return found;
}

/*
 * Fetch a row of the companion that is known to exist (StorageRoutine.fetch).
 */
static void
fetch_kept_row(Relation rel, const Tombstone *tombstone, TupleTableSlot *slot)
{
	Tombstone found = *tombstone;

	if (!peek_kept(rel, &found, slot))
		elog(ERROR, "failed to fetch a locked tombstone");
}

/*
 * Does the snapshot see the row of the companion that a scan has found
 * (StorageRoutine.is_version)?
 */
static bool
is_kept_version(Relation rel, const Tombstone *tombstone, Oid file,
				TransactionId xmin, Snapshot snapshot, TupleTableSlot *slot)
{
	Relation companion = open_place(rel, tombstone, RowExclusiveLock);
	TupleTableSlot *stored;
	bool is_same;

	if (companion == NULL)
		return false;
	stored = table_slot_create(companion, NULL);
	is_same = is_version_at(companion, tombstone->tid, file, xmin, snapshot, stored);
	if (is_same)
		fetch_kept(rel, companion, stored, slot);
	ExecDropSingleTupleTableSlot(stored);
	table_close(companion, NoLock);
	return is_same;
}

/*
 * Insert a row of the companion into its table again, or into a partition of that, as
 * a live row (StorageRoutine.restore).  All constraints are enforced, as by an INSERT.
 */
static TupleTableSlot *
restore_kept(ResultRelInfo *relinfo, VersionBuilder *builder, Tombstone *tombstone,
			 TupleTableSlot *old, MakeRoom make_room, List **recheck)
{
	Relation rel = relinfo->ri_RelationDesc;
	TupleTableSlot *slot = build_live_version(builder, rel, old);
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	if (constr != NULL && constr->has_generated_stored)
		ExecComputeStoredGenerated(relinfo, builder->estate, slot, CMD_INSERT);
	check_domains(slot);
	if (constr != NULL)
		ExecConstraints(relinfo, slot, builder->estate);
	if (rel->rd_rel->relispartition)
		ExecPartitionCheck(relinfo, slot, builder->estate, true);

	if (!keeps_aside(rel))
		make_room(rel, slot);
	table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
	if (destroy_kept(rel, tombstone, true) != TM_Ok)
		elog(ERROR, "could not remove a locked row of a companion");
	tombstone->storage = IN_PLACE;
	tombstone->month = InvalidOid;
	tombstone->tid = slot->tts_tid;
	*recheck = insert_index_tuples(relinfo, slot, builder->estate, TU_All);
	return slot;
}

/*
 * Check the values of a row against the domains of its columns, whose constraints may
 * be newer than the row.  Raises 23514 or 23502.
 */
static void
check_domains(TupleTableSlot *slot)
{
	TupleDesc desc = slot->tts_tupleDescriptor;

	slot_getallattrs(slot);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && !is_virtual_column(att) &&
			get_typtype(att->atttypid) == TYPTYPE_DOMAIN)
			domain_check(slot->tts_values[i], slot->tts_isnull[i],
						 att->atttypid, NULL, NULL);
	}
}

/*
 * Destroy a row of the companion (StorageRoutine.destroy).
 */
static TM_Result
destroy_kept(Relation rel, const Tombstone *tombstone, bool waits)
{
	Relation companion = open_place(rel, tombstone, RowExclusiveLock);
	TM_Result result;

	if (companion == NULL)
		return TM_Deleted;
	result = destroy_version(companion, tombstone->tid, waits);
	table_close(companion, NoLock);
	return result;
}

/*
 * Begin to read the rows of the companion by their stamps (StorageRoutine.begin_scan).
 */
static void
begin_kept_scan(TombstoneScan *scan, const ScanPosition *position)
{
	Relation companion = open_place(scan->rel, &scan->current, AccessShareLock);

	/* a month that has been dropped has no rows */
	if (companion != NULL)
		begin_stamp_scan(scan, companion, stamp_attribute(companion), position);
}

/*
 * Read the next row of the companion (StorageRoutine.next).
 */
static bool
next_kept(TombstoneScan *scan)
{
	return scan->state != NULL && next_in_place(scan);
}

/*
 * End the scan (StorageRoutine.end_scan).
 */
static void
end_kept_scan(TombstoneScan *scan)
{
	if (scan->state != NULL)
		end_in_place_scan(scan);
}

/*
 * soft_delete_internal.return_aside(relation regclass) returns void
 *
 * Inserts the rows of the companion of a table, which is not tagged any more, into the
 * table, with their stamps if it has a column of that name.  No trigger fires.
 *
 * Raises 42501 unless the caller owns the table, 42P01 if there is no such table or no
 * companion, 23505 or 23P01 if another row has a key, and what else an INSERT raises.
 */
Datum
soft_delete_return_aside(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Relation rel = open_given_table(relid, RowExclusiveLock);
	Relation companion = open_companion(rel, RowExclusiveLock);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	EState *estate = CreateExecutorState();
	ModifyTableState *mtstate = makeNode(ModifyTableState);
	ResultRelInfo *relinfo = makeNode(ResultRelInfo);
	PartitionTupleRouting *routing = NULL;
	SavedRole saved;
	ListCell *lc;

	if (!relation_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));

	/* types and indexes may call functions that the owner has written */
	become_owner(rel, &saved);
	InitResultRelInfo(relinfo, rel, 0, NULL, 0);
	mtstate->ps.state = estate;
	mtstate->operation = CMD_INSERT;
	mtstate->resultRelInfo = relinfo;
	mtstate->rootResultRelInfo = relinfo;
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		routing = ExecSetupPartitionTupleRouting(estate, rel);
	else
		ExecOpenIndices(relinfo, false);

	foreach (lc, places_of(RelationGetRelid(companion)))
		return_rows(mtstate, routing, row, lfirst_oid(lc));

	if (routing != NULL)
		ExecCleanupTupleRouting(mtstate, routing);
	else
		ExecCloseIndices(relinfo);
	restore_role(&saved);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	ExecDropSingleTupleTableSlot(row);
	table_close(companion, NoLock);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * Insert the rows of a companion, or of a month of it, into the table of a ModifyTableState.
 * "row" is a slot of the table.
 */
static void
return_rows(ModifyTableState *mtstate, PartitionTupleRouting *routing,
			TupleTableSlot *row, Oid place)
{
	ResultRelInfo *relinfo = mtstate->rootResultRelInfo;
	EState *estate = mtstate->ps.state;
	Relation rel = relinfo->ri_RelationDesc;
	Relation companion = table_open(place, RowExclusiveLock);
	TupleTableSlot *stored = table_slot_create(companion, NULL);
	TableScanDesc scan;

	PushActiveSnapshot(GetLatestSnapshot());
	scan = begin_table_scan(companion, GetActiveSnapshot());
	while (table_scan_getnextslot(scan, ForwardScanDirection, stored))
	{
		ResultRelInfo *target = relinfo;

		CHECK_FOR_INTERRUPTS();
		ResetPerTupleExprContext(estate);
		if (routing != NULL)
		{
			fetch_kept(rel, companion, stored, row);
			target = ExecFindPartition(mtstate, relinfo, routing, row, estate);
		}
		return_row(target, estate, companion, stored);
		(void) destroy_version(companion, stored->tts_tid, true);
	}
	table_endscan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(stored);
	table_close(companion, NoLock);
}

/*
 * Insert a row of the companion, in the slot "stored", into a relation.  Raises 23505 if
 * it violates a deferrable constraint, too, which is checked immediately.
 */
static void
return_row(ResultRelInfo *relinfo, EState *estate, Relation companion,
		   TupleTableSlot *stored)
{
	Relation rel = relinfo->ri_RelationDesc;
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	TupleTableSlot *row = table_slot_create(rel, NULL);
	List *recheck;

	fetch_kept(rel, companion, stored, row);
	if (constr != NULL && constr->has_generated_stored)
		ExecComputeStoredGenerated(relinfo, estate, row, CMD_INSERT);
	check_domains(row);
	if (constr != NULL)
		ExecConstraints(relinfo, row, estate);
	table_tuple_insert(rel, row, GetCurrentCommandId(true), 0, NULL);
	recheck = insert_index_tuples(relinfo, row, estate, TU_All);
	if (recheck != NIL)
	{
		Relation index = index_open(linitial_oid(recheck), NoLock);
		char *name = RelationGetRelationName(index);
		Datum values[INDEX_MAX_KEYS];
		bool isnull[INDEX_MAX_KEYS];

		FormIndexDatum(BuildIndexInfo(index), row, estate, values, isnull);
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("duplicate key value violates unique constraint \"%s\"", name),
				 errdetail("Key %s already exists.",
						   BuildIndexValueDescription(index, values, isnull)),
				 errtableconstraint(rel, name)));
	}
	ExecDropSingleTupleTableSlot(row);
}
