/*
 * held.c
 *	  Finds which tombstones are held: by themselves, or because a restore of a held
 *	  row would bring them back.
 *
 * A hold on a row, a deletion or a table is on all that a restore of the rows would
 * bring back (cascade.c): the tombstones of the same deletion that reference them by
 * ON DELETE CASCADE, at any depth.  So it is looked for from below: from a tombstone
 * to the tombstones of its deletion that it references, and so on.  No list of what
 * is held has to be written or to follow changes of the rows, and the cost is that of
 * the rows that are asked about, however much is held.
 *
 * Members climb in rounds, by one query per foreign key over all rows of the round
 * before.  Only foreign keys to tables are followed where holds are, or above which.
 *
 * Invariant: what is said to be free was free when the rows were looked up.  That it
 * stays so is due to the locks of hold.c.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "cascade/sd_cascade.h"

/* A tombstone that is asked about, or that one of those belongs to */
typedef struct ClimbedRow
{
	Oid relid;
	Tombstone tombstone;
	Hold *hold; /* the hold on the row itself or above it, or NULL */
	int edges; /* number of the first edge to a row that references it, or -1 */
} ClimbedRow;

/* A reference to a row.  The edges of each row are a linked list. */
typedef struct ClimbedEdge
{
	int child; /* number of the referencing row */
	int next;  /* number of the next edge of the same row, or -1 */
} ClimbedEdge;

/* An entry of Climb.by_place */
typedef struct ClimbedPlace
{
	RowIdentity row; /* hash key */
	int number;		 /* of the row */
} ClimbedPlace;

typedef struct Climb
{
	MemoryContext context;
	MemoryContext row_context; /* reset after each row */
	bool for_restore;		   /* only holds count that forbid to restore */
	Snapshot snapshot;		   /* sees the holds that count */
	HTAB *by_place;			   /* ClimbedPlace */
	ClimbedRow *rows;
	int nrows;
	int nrows_allocated;
	ClimbedEdge *edges;
	int nedges;
	int nedges_allocated;
} Climb;

static bool may_be_held_here(Oid relid);
static bool may_be_held_beyond(Oid relid, List **visited);
static int add_row(Climb *climb, Oid relid, const Tombstone *tombstone);
static void add_child(Climb *climb, int parent, int child);
static void find_holds_on_rows(Climb *climb, Oid relid, int first, int end);
static void climb_from(Climb *climb, Oid relid, int first, int end);
static void climb_by(Climb *climb, CascadeTable *table, const int *numbers,
					 Relation rel, const ForeignKey *fk);
static char *parents_query(const ForeignKey *fk, StorageKind storage);
static void note_parents(Climb *climb, const int *numbers, uint64 n);
static void pass_down(Climb *climb);

/*
 * May tombstones of a relation be held?  To destroy or restore rows, call this after
 * lock_holds(), and after the rows have been locked.
 */
bool
may_be_held(Oid relid)
{
	List *visited = NIL;

	return any_hold(SnapshotSelf) &&
		   (has_holds(relid) || may_be_held_beyond(relid, &visited));
}

/*
 * Is there a hold on a table, on an ancestor, or on a partition or inheritance child?
 */
static bool
may_be_held_here(Oid relid)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (has_holds(lfirst_oid(lc)))
			return true;
	}
	return false;
}

/*
 * Is there a hold on a table that a relation references by ON DELETE CASCADE, directly
 * or indirectly?  "visited" has the relations that have been asked about.
 */
static bool
may_be_held_beyond(Oid relid, List **visited)
{
	Relation rel;
	List *foreign_keys;
	bool found = false;
	ListCell *lc;

	if (list_member_oid(*visited, relid))
		return false;
	*visited = lappend_oid(*visited, relid);
	rel = try_table_open(relid, AccessShareLock);
	if (rel == NULL)
		return false;
	foreign_keys = foreign_keys_from(rel);
	table_close(rel, NoLock);
	foreach (lc, foreign_keys)
	{
		const ForeignKey *fk = lfirst(lc);

		found = found || (fk->on_delete == FKCONSTR_ACTION_CASCADE &&
						  is_tagged(fk->parent) &&
						  (may_be_held_here(fk->parent) ||
						   may_be_held_beyond(fk->parent, visited)));
	}
	return found;
}

/*
 * Find the holds on the members of a table that forbid to destroy them or, if
 * "for_restore", to restore them.  The members are locked, or the active snapshot
 * sees them.  Returns an array with a hold, or NULL, for each member; NULL if none is
 * held.
 */
Hold **
find_holds(CascadeTable *table, bool for_restore, Snapshot snapshot)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	HASHCTL ctl = {.keysize = sizeof(RowIdentity), .entrysize = sizeof(ClimbedPlace)};
	Climb climb = {.for_restore = for_restore, .snapshot = snapshot};
	Hold **holds = NULL;
	int end;

	if (table->nmembers == 0 || !may_be_held(table->relid))
		return NULL;
	climb.context = AllocSetContextCreate(CurrentMemoryContext, "soft_delete holds",
										  ALLOCSET_DEFAULT_SIZES);
	climb.row_context = AllocSetContextCreate(climb.context, "soft_delete row",
											  ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(climb.context);
	ctl.hcxt = climb.context;
	climb.by_place = hash_create("soft_delete held rows", 64, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < table->nmembers; i++)
		(void) add_row(&climb, table->relid, &table->members[i].tombstone);
	for (int first = 0; first < climb.nrows; first = end)
	{
		List *relids = NIL;
		ListCell *lc;

		end = climb.nrows;
		for (int i = first; i < end; i++)
			relids = list_append_unique_oid(relids, climb.rows[i].relid);
		foreach (lc, relids)
		{
			find_holds_on_rows(&climb, lfirst_oid(lc), first, end);
			climb_from(&climb, lfirst_oid(lc), first, end);
		}
	}
	pass_down(&climb);

	MemoryContextSwitchTo(oldcontext);
	for (int i = 0; i < table->nmembers; i++)
	{
		/* the members are the first rows, in their order: none is there twice */
		Hold *hold = climb.rows[i].hold;

		if (hold == NULL)
			continue;
		if (holds == NULL)
			holds = palloc0(table->nmembers * sizeof(Hold *));
		holds[i] = palloc(sizeof(Hold));
		*holds[i] = *hold;
		holds[i]->text = pstrdup(hold->text);
	}
	MemoryContextDelete(climb.context);
	return holds;
}

/*
 * Find the hold on one tombstone, as find_holds() does.  Returns NULL if there is none.
 */
Hold *
find_hold(Relation rel, const Tombstone *tombstone, bool for_restore, Snapshot snapshot)
{
	Member member = {.tombstone = *tombstone};
	CascadeTable table = {.relid = RelationGetRelid(rel),
						  .nmembers = 1,
						  .members = &member};
	Hold **holds = find_holds(&table, for_restore, snapshot);

	return holds ? holds[0] : NULL;
}

/*
 * Add a tombstone of a relation to the rows, unless it is there.  Returns its number.
 */
static int
add_row(Climb *climb, Oid relid, const Tombstone *tombstone)
{
	RowIdentity identity = tombstone_identity(relid, tombstone);
	bool found;
	ClimbedPlace *place =
		hash_search(climb->by_place, &identity, HASH_ENTER, &found);

	if (found)
		return place->number;
	climb->rows = grow_if_full(climb->context, climb->rows, climb->nrows,
							   &climb->nrows_allocated, sizeof(ClimbedRow));
	climb->rows[climb->nrows] =
		(ClimbedRow){.relid = relid, .tombstone = *tombstone, .edges = -1};
	return place->number = climb->nrows++;
}

/*
 * Note that a row references another one.
 */
static void
add_child(Climb *climb, int parent, int child)
{
	climb->edges = grow_if_full(climb->context, climb->edges, climb->nedges,
								&climb->nedges_allocated, sizeof(ClimbedEdge));
	climb->edges[climb->nedges] =
		(ClimbedEdge){.child = child, .next = climb->rows[parent].edges};
	climb->rows[parent].edges = climb->nedges++;
}

/*
 * Find the holds on the rows themselves, of those of a relation from number "first" to
 * before "end".
 */
static void
find_holds_on_rows(Climb *climb, Oid relid, int first, int end)
{
	Relation rel;
	TupleTableSlot *slot;
	SavedRole saved;

	if (!has_holds(relid))
		return;
	rel = table_open(relid, AccessShareLock);
	slot = table_slot_create(rel, NULL);
	become_owner(rel, &saved); /* the type of a key may be his */
	for (int i = first; i < end; i++)
	{
		ClimbedRow *row = &climb->rows[i];
		Hold hold = {.holder = relid, .tombstone = row->tombstone};

		if (row->relid != relid)
			continue;
		CHECK_FOR_INTERRUPTS();
		fetch_tombstone(rel, &row->tombstone, slot);
		MemoryContextSwitchTo(climb->row_context);
		if (find_hold_on(rel, row->tombstone.stamp, slot, climb->for_restore,
						 climb->snapshot, &hold))
		{
			row->hold = MemoryContextAlloc(climb->context, sizeof(Hold));
			*row->hold = hold;
			row->hold->text = MemoryContextStrdup(climb->context, hold.text);
		}
		MemoryContextSwitchTo(climb->context);
		MemoryContextReset(climb->row_context);
	}
	restore_role(&saved);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
}

/*
 * Add the rows that those of a relation from number "first" to before "end" belong to.
 */
static void
climb_from(Climb *climb, Oid relid, int first, int end)
{
	Relation rel = table_open(relid, AccessShareLock);
	CascadeTable table = {.relid = relid};
	int *numbers = NULL;
	ListCell *lc;

	foreach (lc, foreign_keys_from(rel))
	{
		const ForeignKey *fk = lfirst(lc);
		List *visited = NIL;

		if (fk->on_delete != FKCONSTR_ACTION_CASCADE || !is_tagged(fk->parent) ||
			!(may_be_held_here(fk->parent) || may_be_held_beyond(fk->parent, &visited)))
			continue;
		if (numbers == NULL)
		{
			numbers = MemoryContextAllocHuge(climb->context,
											 (Size) (end - first) * sizeof(int));
			table.members =
				MemoryContextAllocExtended(climb->context,
										   (Size) (end - first) * sizeof(Member),
										   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
			for (int i = first; i < end; i++)
			{
				/* what is held needs no second hold */
				if (climb->rows[i].relid != relid || climb->rows[i].hold != NULL)
					continue;
				table.members[table.nmembers].tombstone = climb->rows[i].tombstone;
				numbers[table.nmembers++] = i;
			}
		}
		climb_by(climb, &table, numbers, rel, fk);
	}
	table_close(rel, NoLock);
}

/*
 * Add the rows that the members of a table, whose numbers are given, belong to by one
 * foreign key.
 */
static void
climb_by(Climb *climb, CascadeTable *table, const int *numbers, Relation rel,
		 const ForeignKey *fk)
{
	Tuplestorestate *members;

	if (table->nmembers == 0)
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	members =
		register_members(table, rel, fk->nkeys, fk->child_attnums, 0, InvalidOid);
	for (StorageKind storage = 0; storage < N_STORAGES; storage++)
	{
		if (has_tombstones(storage, fk->parent))
			note_parents(climb, numbers,
						 execute_as_owner(fk->parent, parents_query(fk, storage),
										  0, NULL, NULL, SPI_OK_SELECT));
	}
	tuplestore_end(members);
	SPI_finish();
}

/*
 * Return the query for the tombstones in a storage that members reference, and that
 * were deleted with them: the number of the member, tableoid and ctid.
 */
static char *
parents_query(const ForeignKey *fk, StorageKind storage)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT m.member, p.tableoid, p.ctid FROM " CASCADE_MEMBERS
								   " m JOIN ");
	append_side(&query, fk->parent, "p", sample_of(storage, false));
	appendStringInfoString(&query, " ON ");
	append_key_match(&query, fk, "p", fk->parent_attnums, "m", NULL);
	appendStringInfo(&query, " AND %s OPERATOR(pg_catalog.=) m.stamp",
					 stamp_of("p", fk->parent, storage));
	return query.data;
}

/*
 * Add the n rows of SPI_tuptable, which members belong to.
 */
static void
note_parents(Climb *climb, const int *numbers, uint64 n)
{
	SPITupleTable *result = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple tuple = result->vals[i];
		bool isnull;
		int child =
			numbers[DatumGetInt32(SPI_getbinval(tuple, result->tupdesc, 1, &isnull))];
		Oid place =
			DatumGetObjectId(SPI_getbinval(tuple, result->tupdesc, 2, &isnull));
		ItemPointer tid = (ItemPointer) DatumGetPointer(
			SPI_getbinval(tuple, result->tupdesc, 3, &isnull));
		Tombstone tombstone;
		Oid relid = locate_tombstone(place, tid, &tombstone);

		if (!OidIsValid(relid))
			continue; /* restored or destroyed meanwhile */
		tombstone.stamp = climb->rows[child].tombstone.stamp;
		add_child(climb, add_row(climb, relid, &tombstone), child);
	}
	SPI_freetuptable(result);
}

/*
 * Give each row that is held to the rows that reference it, directly or indirectly.
 */
static void
pass_down(Climb *climb)
{
	List *pending = NIL;

	for (int i = 0; i < climb->nrows; i++)
	{
		if (climb->rows[i].hold != NULL)
			pending = lappend_int(pending, i);
	}
	while (pending != NIL)
	{
		ClimbedRow *row = &climb->rows[llast_int(pending)];

		pending = list_delete_last(pending);
		for (int edge = row->edges; edge >= 0; edge = climb->edges[edge].next)
		{
			ClimbedRow *child = &climb->rows[climb->edges[edge].child];

			if (child->hold != NULL)
				continue;
			child->hold = row->hold;
			pending = lappend_int(pending, climb->edges[edge].child);
		}
	}
}
