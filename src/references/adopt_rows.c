/*
 * adopt_rows.c
 *	  Adopts what an application has deleted before its table was bridged, some blocks at
 *	  a time: in place by storage/adopt.c, aside by moving the rows to the companion.
 *
 * Such a row was deleted long ago: no trigger fires, no foreign key acts, and the ledger
 * does not know the deletion.
 *
 * Invariant: no foreign key is violated.  Aside, a row that a live one references stays in
 * the table until that is gone.  Rows are locked before that is looked for, so that nobody
 * references them meanwhile.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "references/sd_references.h"

/* How many blocks of a table whose tombstones are aside are adopted together */
#define BLOCKS_AT_ONCE 256

PG_FUNCTION_INFO_V1(soft_delete_adopt_rows);

static void check_may_adopt(Relation rel);
static int64 adopt_in_place(Relation rel, int64 first, int64 last);
static int64 adopt_aside(Relation rel, int64 first, int64 last);
static CascadeTable lock_deleted_rows(Relation rel, BlockNumber first,
									  BlockNumber last);
static bool leave_referenced_by(CascadeTable *table, Relation rel,
								const ForeignKey *fk);
static char *referenced_query(Relation rel, const ForeignKey *fk);
static void leave_marked(CascadeTable *table);
static void move_rows_aside(const CascadeTable *table, Relation rel);

/*
 * soft_delete_internal.adopt_rows(relation regclass, first_block bigint, last_block bigint)
 * returns bigint
 *
 * Adopts the rows of some blocks of a relation, last_block included or, if it is null, of
 * all from the first one on.  Returns their number.
 *
 * Raises 22004 if the relation or its first block is null, 42501 unless the caller owns it
 * or an ancestor of it, 55000 if the relation is not bridged or, where tombstones are
 * aside, is published and has no replica identity.
 */
Datum
soft_delete_adopt_rows(PG_FUNCTION_ARGS)
{
	BlockNumber nblocks = 0;
	Relation rel;
	Oid relid;
	int64 first, last;
	int64 count = 0;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("relation and first block must not be null")));
	relid = PG_GETARG_OID(0);
	rel = open_given_table(relid, RowExclusiveLock);
	first = PG_GETARG_INT64(1);

	check_may_adopt(rel);
	if (bridge_of(rel) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no bridge", RelationGetRelationName(rel)),
				 errdetail("No column tells which of its rows an application has deleted.")));
	if (rel->rd_tableam != NULL)
		nblocks = RelationGetNumberOfBlocks(rel);
	last = PG_ARGISNULL(2) ? (int64) nblocks - 1 : PG_GETARG_INT64(2);
	last = Min(last, (int64) nblocks - 1);
	if (first >= 0 && first <= last)
		count = keeps_aside(rel) ? adopt_aside(rel, first, last)
								 : adopt_in_place(rel, first, last);
	table_close(rel, NoLock);
	PG_RETURN_INT64(count);
}

/*
 * Raise 42501 unless the caller owns a relation, which is locked, or an ancestor of it: who
 * waited for the lock may have sold it meanwhile.
 */
static void
check_may_adopt(Relation rel)
{
	ListCell *lc;

	foreach (lc, with_ancestors(RelationGetRelid(rel)))
	{
		if (relation_ownercheck(lfirst_oid(lc), calling_role()))
			return;
	}
	aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, RelationGetRelationName(rel));
}

/*
 * Adopt the rows of some blocks of a relation that keeps tombstones in place.  Returns
 * their number.
 */
static int64
adopt_in_place(Relation rel, int64 first, int64 last)
{
	SavedRole saved;
	int64 count;

	/* indexes and constraints may call functions that the owner has written */
	become_owner(rel, &saved);
	count = adopt_blocks(rel, first, last);
	restore_role(&saved);
	return count;
}

/*
 * Adopt the rows of some blocks of a relation that keeps tombstones aside, but for those
 * that live rows reference.  Returns their number.
 */
static int64
adopt_aside(Relation rel, int64 first, int64 last)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "soft_delete adoption",
							  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	int64 count = 0;

	CheckCmdReplicaIdentity(rel, CMD_DELETE); /* as subscribers see it */
	for (; first <= last; first += BLOCKS_AT_ONCE)
	{
		CascadeTable table =
			lock_deleted_rows(rel, first, Min(first + BLOCKS_AT_ONCE - 1, last));

		leave_referenced(&table, rel);
		move_rows_aside(&table, rel);
		count += table.nmembers;
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return count;
}

/*
 * Lock the rows in some blocks of a relation that the column of the bridge says to be
 * deleted.  Returns them as members of a cascade that are in the table.
 */
static CascadeTable
lock_deleted_rows(Relation rel, BlockNumber first, BlockNumber last)
{
	CascadeTable table = {.relid = RelationGetRelid(rel)};
	Bridge *bridge = bridge_of(rel);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	ItemPointerData low, high;
	TableScanDesc scan;

	ItemPointerSet(&low, first, FirstOffsetNumber);
	ItemPointerSet(&high, last, MaxOffsetNumber);
	PushActiveSnapshot(GetLatestSnapshot());
	scan = begin_range_scan(rel, GetActiveSnapshot(), &low, &high);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		ItemPointerData tid = slot->tts_tid;
		Tombstone tombstone = {.storage = IN_PLACE};

		CHECK_FOR_INTERRUPTS();
		if (!row_says_deleted(bridge, slot) ||
			!lock_newest_version(rel, &tid, row) || !row_says_deleted(bridge, row))
			continue;
		tombstone.tid = row->tts_tid;
		append_member(CurrentMemoryContext, &table, (Member){.tombstone = tombstone});
	}
	table_endscan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(row);
	ExecDropSingleTupleTableSlot(slot);
	return table;
}

/*
 * Take out the members of a table, which are locked, that live rows reference which are not
 * members, until there are none.
 */
void
leave_referenced(CascadeTable *table, Relation rel)
{
	List *foreign_keys = foreign_keys_to(rel);
	bool any = true;

	while (any && table->nmembers > 0)
	{
		ListCell *lc;

		any = false;
		foreach (lc, foreign_keys)
			any = leave_referenced_by(table, rel, lfirst(lc)) || any;
	}
}

/*
 * Take out the members of a table that rows reference by one foreign key which are not
 * members.  Returns whether there are any.
 */
static bool
leave_referenced_by(CascadeTable *table, Relation rel, const ForeignKey *fk)
{
	Datum *places = palloc(table->nmembers * sizeof(Datum));
	int before = table->nmembers;
	Tuplestorestate *members;
	Datum values[1];

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	for (int i = 0; i < table->nmembers; i++)
		places[i] = PointerGetDatum(&table->members[i].tombstone.tid);
	values[0] = PointerGetDatum(construct_array(places, table->nmembers, TIDOID,
												sizeof(ItemPointerData), false,
												TYPALIGN_SHORT));
	members =
		register_members(table, rel, fk->nkeys, fk->parent_attnums, 0, InvalidOid);
	(void) execute_as_owner(fk->child, referenced_query(rel, fk), 1,
							(Oid[]){TIDARRAYOID}, values, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		int member =
			DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc, 1, &isnull));

		ItemPointerSetInvalid(&table->members[member].tombstone.tid);
	}
	tuplestore_end(members);
	SPI_finish();
	pfree(places);
	leave_marked(table);
	return table->nmembers < before;
}

/*
 * Return the query for the numbers of members of a relation, at the places $1, that rows
 * reference by a foreign key which are not at these places.
 */
static char *
referenced_query(Relation rel, const ForeignKey *fk)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT m.member FROM " CASCADE_MEMBERS
								   " m WHERE EXISTS (SELECT FROM ");
	append_side(&query, fk->child, "c", "live");
	appendStringInfoString(&query, " WHERE ");
	append_key_match(&query, fk, "m", NULL, "c", fk->child_attnums);
	appendStringInfo(&query,
					 " AND NOT (c.tableoid OPERATOR(pg_catalog.=) %u"
					 " AND c.ctid OPERATOR(pg_catalog.=) ANY ($1)))",
					 RelationGetRelid(rel));
	return query.data;
}

/*
 * Take out the members of a table whose place is not valid.
 */
static void
leave_marked(CascadeTable *table)
{
	int kept = 0;

	for (int i = 0; i < table->nmembers; i++)
	{
		if (ItemPointerIsValid(&table->members[i].tombstone.tid))
			table->members[kept++] = table->members[i];
	}
	table->nmembers = kept;
}

/*
 * Move the members of a table, which are locked, to its companion.
 */
static void
move_rows_aside(const CascadeTable *table, Relation rel)
{
	SavedRole saved;
	Bridge *bridge;
	Keeper *keeper;
	TupleTableSlot *row;

	if (table->nmembers == 0)
		return;
	/* types and indexes may call functions that the owner has written */
	become_owner(rel, &saved);
	bridge = bridge_of(rel);
	keeper = make_keeper(rel, CurrentMemoryContext);
	row = table_slot_create(rel, NULL);
	PushActiveSnapshot(GetLatestSnapshot());
	for (int i = 0; i < table->nmembers; i++)
	{
		const Tombstone *tombstone = &table->members[i].tombstone;

		CHECK_FOR_INTERRUPTS();
		fetch_tombstone(rel, tombstone, row);
		insert_kept(keeper, row, told_time(bridge, row));
		if (destroy_version(rel, tombstone->tid, true) != TM_Ok)
			elog(ERROR, "could not move a locked row");
	}
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(row);
	free_keeper(keeper);
	restore_role(&saved);
}
