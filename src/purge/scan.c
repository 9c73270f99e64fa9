/*
 * due.c
 *	  Finds the tombstones whose time has come, in the order in which they can go.
 *
 * A scan goes through a group of tables: one, or several whose foreign keys
 * form a circle.  It reads their tombstones along the index on stamps, oldest
 * first, and goes on from there when those are done, so that no dead index entry
 * is read twice.  It reads a batch of them, which then is still in the processor's
 * caches; but where foreign keys reference the tables as many as
 * maintenance_work_mem holds, for what references them is looked for once, by a
 * join per foreign key, and keeps them from going.  The order that is left is by
 * age, but that of the scan's rows the referencing one comes before the
 * referenced one.
 *
 * Nothing is locked here, for no row can come to reference a tombstone: foreign
 * keys see live rows.  Whoever destroys a row makes sure that it still is the
 * version that the scan has seen.
 *
 * Invariant: a row that has not been said to stay is referenced by rows before it
 * in the scan alone, or by those of its circle.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "purge/sd_purge.h"

/* So many rows are read at once, however much memory there may be */
#define MAX_ROWS (1 << 28)

/* A row that is due, by the place where it is found */
typedef struct KnownDue
{
	RowIdentity row; /* hash key */
	int number;		 /* in the scan */
} KnownDue;

/* That the row whose list of edges this is in references another one */
struct Edge
{
	int parent;
	int next; /* of the same row; -1 if there is none */
};

/* What this transaction's dry run has imagined to be gone */
static HTAB *imagined = NULL;

static bool is_referenced(PurgeScan *scan);
static void read_leaf(PurgeScan *scan, PurgeLeaf *leaf, int capacity);
static bool read_storage(PurgeScan *scan, PurgeLeaf *leaf, Relation rel,
						 StorageKind storage, int capacity);
static DueRow *new_row(PurgeScan *scan, PurgeLeaf *leaf);
static bool is_imagined_gone(const RowIdentity *row);
static void find_references(PurgeScan *scan);
static void find_references_to(PurgeScan *scan, PurgeLeaf *leaf, int first, int n);
static void find_references_by(PurgeScan *scan, CascadeTable *table,
							   Relation rel, int first, const ForeignKey *fk);
static char *references_query(const ForeignKey *fk, const char *which, bool is_inside);
static uint64 select_references(const ForeignKey *fk, const char *which,
								bool is_inside);
static bool has_key_index(const ForeignKey *fk, bool for_tombstones);
static void take_references(PurgeScan *scan, uint64 n, int first, bool is_inside);
static void index_rows(PurgeScan *scan);
static void add_edge(PurgeScan *scan, int child, int parent);
static void put_children_first(PurgeScan *scan);

/*
 * Begin a scan through tables, their partitions and inheritance children.
 */
PurgeScan *
begin_purge_scan(int nroots, const Oid *roots)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "soft_delete walk",
							  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	PurgeScan *scan = palloc0(sizeof(PurgeScan));

	scan->context = context;
	scan->rows_context = AllocSetContextCreate(context, "soft_delete due rows",
											   ALLOCSET_DEFAULT_SIZES);
	scan->nroots = nroots;
	scan->roots = palloc0(nroots * sizeof(PurgeTable));
	for (int i = 0; i < nroots; i++)
	{
		/* one that is gone meanwhile has no rows */
		List *members = get_rel_name(roots[i])
							? find_all_inheritors(roots[i], NoLock, NULL)
							: NIL;
		ListCell *lc;

		scan->roots[i].relid = roots[i];
		scan->members = list_concat(scan->members, members);
		scan->leaves =
			scan->leaves
				? repalloc(scan->leaves, (scan->nleaves + list_length(members)) *
											 sizeof(PurgeLeaf))
				: palloc(list_length(members) * sizeof(PurgeLeaf));
		foreach (lc, members)
		{
			Oid relid = lfirst_oid(lc);

			if (get_rel_relkind(relid) == RELKIND_RELATION)
				scan->leaves[scan->nleaves++] =
					(PurgeLeaf){.relid = relid, .root = &scan->roots[i]};
		}
	}
	MemoryContextSwitchTo(oldcontext);
	return scan;
}

/*
 * Does a foreign key reference a table of the scan?
 */
static bool
is_referenced(PurgeScan *scan)
{
	bool found = false;

	for (int i = 0; i < scan->nleaves && !found; i++)
	{
		Relation rel = try_table_open(scan->leaves[i].relid, AccessShareLock);

		if (rel != NULL)
		{
			found = foreign_keys_to(rel) != NIL;
			table_close(rel, AccessShareLock);
		}
	}
	return found;
}

/*
 * Open a table that the scan goes through.  Returns NULL if there is nothing to
 * do there for the current role: it is gone, not tagged any more, no part of the
 * table that the scan has to do with, another session's, or not its own.
 */
Relation
open_leaf(PurgeLeaf *leaf, Oid caller)
{
	Relation rel = try_table_open(leaf->relid, RowExclusiveLock);

	if (rel != NULL &&
		(RELATION_IS_OTHER_TEMP(rel) || !relation_ownercheck(leaf->relid, caller) ||
		 tombstone_attribute(rel) == InvalidAttrNumber ||
		 !list_member_oid(with_ancestors(leaf->relid), leaf->root->relid)))
	{
		table_close(rel, NoLock);
		rel = NULL;
	}
	return rel;
}

/*
 * Read on, when the rows that have been read are done: a batch of so many, unless
 * it takes more to know their order.  Sets is_complete when there are no more.
 *
 * maintenance_work_mem goes up to 2 TB, the numbers of rows are integers.
 */
void
read_on(PurgeScan *scan, int batch_size)
{
	int capacity = (int) Min(Max(maintenance_work_mem * INT64CONST(1024) /
									 (int64) sizeof(DueRow),
								 1000),
							 MAX_ROWS);

	/* not when it begins: a lock that times out is an error of the batch */
	if (scan->reading == 0 && !scan->position.is_set)
		scan->is_referenced = is_referenced(scan);
	if (!scan->is_referenced)
		capacity = Min(capacity, batch_size);

	MemoryContextReset(scan->rows_context);
	scan->rows = NULL;
	scan->order = NULL;
	scan->edges = NULL;
	scan->known = NULL;
	scan->nrows = scan->nallocated = scan->next = scan->nedges = 0;

	while (scan->reading < scan->nleaves && scan->nrows < capacity)
		read_leaf(scan, &scan->leaves[scan->reading], capacity);
	scan->is_complete = scan->reading == scan->nleaves;
	scan->is_fresh = true;

	find_references(scan);
	put_children_first(scan);
}

/*
 * Read the due rows of one table, as many as there is room for.
 */
static void
read_leaf(PurgeScan *scan, PurgeLeaf *leaf, int capacity)
{
	Relation rel = leaf->root->has_limit ? open_leaf(leaf, calling_role()) : NULL;
	bool is_done = true;

	if (rel != NULL)
	{
		SavedRole saved;

		leaf->limit = TransactionIdIsValid(leaf->xmin)
						  ? Min(leaf->limit, leaf->root->limit)
						  : leaf->root->limit;
		if (!TransactionIdIsValid(leaf->xmin))
			leaf->xmin = GetActiveSnapshot()->xmin;
		become_owner(rel, &saved);
		for (StorageKind storage = 0; storage < N_STORAGES && is_done; storage++)
			is_done = read_storage(scan, leaf, rel, storage, capacity);
		restore_role(&saved);
		table_close(rel, NoLock);
	}
	else if (TransactionIdIsValid(leaf->xmin))
		leaf->has_left = true; /* or may have: it was not read to its end */
	if (is_done)
	{
		scan->reading++;
		scan->position.is_set = false;
	}
}

/*
 * Read the due rows that a table has in one storage, from where reading stopped.
 * Returns whether these were all.
 */
static bool
read_storage(PurgeScan *scan, PurgeLeaf *leaf, Relation rel,
			 StorageKind storage, int capacity)
{
	TombstoneScan *tombstones =
		begin_tombstone_scan(rel, storage, leaf->root->limit, &scan->position);
	ScanPosition *position = &scan->position;
	bool is_done = false;

	leaf->files[storage] = tombstones->file;
	while (!is_done)
	{
		DueRow *row;

		CHECK_FOR_INTERRUPTS();
		is_done = !next_tombstone(tombstones);
		if (is_done || (tombstones->is_resumable && scan->nrows >= capacity &&
						(tombstones->is_by_place ||
						 tombstones->current.stamp != position->stamp)))
			break;
		row = new_row(scan, leaf);
		row->tombstone = tombstones->current;
		row->xmin = tombstones->xmin;
		if (tombstones->is_resumable)
		{
			position->is_set = true;
			position->stamp = tombstones->current.stamp;
			position->tid = tombstones->place;
			position->file = tombstones->file;
		}
	}
	if (tombstones->is_resumable)
		position->has_whole_stamp = !tombstones->is_by_place;
	end_tombstone_scan(tombstones);
	return is_done;
}

/*
 * Return a new row of the scan.
 */
static DueRow *
new_row(PurgeScan *scan, PurgeLeaf *leaf)
{
	DueRow *row;

	if (scan->rows == NULL)
	{
		scan->nallocated = 1024;
		scan->rows = MemoryContextAllocHuge(scan->rows_context,
											scan->nallocated * sizeof(DueRow));
	}
	else if (scan->nrows == scan->nallocated)
	{
		scan->nallocated = doubled(scan->nallocated);
		scan->rows =
			repalloc_huge(scan->rows, (Size) scan->nallocated * sizeof(DueRow));
	}
	row = &scan->rows[scan->nrows++];
	memset(row, 0, sizeof(DueRow));
	row->leaf = leaf;
	row->edges = -1;
	return row;
}

/*
 * Return the nth row of the scan.
 */
DueRow *
nth_row(PurgeScan *scan, int n)
{
	return &scan->rows[scan->order ? scan->order[n] : n];
}

/*
 * Find out which rows of the scan are referenced: by what stays, so that they
 * stay, too, or by other rows of the scan.
 */
static void
find_references(PurgeScan *scan)
{
	for (int first = 0, n; first < scan->nrows; first += n)
	{
		PurgeLeaf *leaf = scan->rows[first].leaf;

		for (n = 1;
			 first + n < scan->nrows && scan->rows[first + n].leaf == leaf; n++)
			;
		find_references_to(scan, leaf, first, n);
	}
	for (int i = 0; i < scan->nrows; i++)
	{
		if (scan->rows[i].stays)
			keep_row(scan, i);
	}
}

/*
 * The same for the rows of one table, n of them from the first one on.
 */
static void
find_references_to(PurgeScan *scan, PurgeLeaf *leaf, int first, int n)
{
	Relation rel = table_open(leaf->relid, NoLock);
	List *foreign_keys = foreign_keys_to(rel);
	ListCell *lc;

	if (foreign_keys != NIL)
	{
		CascadeTable table = {.relid = leaf->relid, .nmembers = n};
		SavedRole saved;

		table.members =
			MemoryContextAllocExtended(CurrentMemoryContext,
									   (Size) n * sizeof(Member),
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		for (int i = 0; i < n; i++)
		{
			DueRow *row = &scan->rows[first + i];

			table.members[i].tombstone = row->tombstone;
		}
		become_owner(rel, &saved);
		foreach (lc, foreign_keys)
			find_references_by(scan, &table, rel, first, lfirst(lc));
		restore_role(&saved);
		pfree(table.members);
	}
	table_close(rel, NoLock);
}

/*
 * The same for one foreign key.
 */
static void
find_references_by(PurgeScan *scan, CascadeTable *table, Relation rel,
				   int first, const ForeignKey *fk)
{
	/* what is imagined to be gone is known by its place, too */
	bool is_inside = scan->is_dry || list_member_oid(scan->members, fk->child);
	Tuplestorestate *members;

	if (is_inside)
		index_rows(scan);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	mark_childless_members(table, rel, fk);
	members =
		register_members(table, rel, fk->nkeys, fk->parent_attnums, 0, InvalidOid);
	take_references(scan, select_references(fk, "live", is_inside), first, is_inside);
	for (StorageKind storage = 0; storage < N_STORAGES && is_tagged(fk->child);
		 storage++)
	{
		if (has_tombstones(storage, fk->child))
			take_references(scan,
							select_references(fk, sample_of(storage, false), is_inside),
							first, is_inside);
	}
	tuplestore_end(members);
	SPI_finish();
}

/*
 * Return the query for the members that rows reference: inside of the scan, with
 * the rows that reference them.
 */
static char *
references_query(const ForeignKey *fk, const char *which, bool is_inside)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT %s FROM " CASCADE_MEMBERS " m JOIN ",
					 is_inside ? "m.member, c.tableoid, c.ctid" : "DISTINCT m.member");
	append_side(&query, fk->child, "c", which);
	appendStringInfoString(&query, " ON ");
	append_key_match(&query, fk, "m", NULL, "c", fk->child_attnums);
	return query.data;
}

/*
 * Select the members that rows reference.  Returns how many there are, in SPI's
 * table.
 *
 * Without an index on the reference a nested loop would read the table once for
 * each member, where statistics believe in a few rows.
 */
static uint64
select_references(const ForeignKey *fk, const char *which, bool is_inside)
{
	int nestlevel = NewGUCNestLevel();
	uint64 n;

	if (!has_key_index(fk, strcmp(which, "live") != 0))
		(void) set_config_option("enable_nestloop", "off", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	n = execute_as_owner(fk->child, references_query(fk, which, is_inside), 0,
						 NULL, NULL, SPI_OK_SELECT);
	AtEOXact_GUC(true, nestlevel);
	return n;
}

/*
 * Does an index begin with the column that references, and have live rows, or
 * tombstones?
 */
static bool
has_key_index(const ForeignKey *fk, bool for_tombstones)
{
	Relation rel = table_open(fk->child, AccessShareLock);
	AttrNumber tombstone = tombstone_attribute(rel);
	SavedRole saved;
	bool found = false;
	ListCell *lc;

	/* a look at a predicate may call functions in it */
	become_owner(rel, &saved);
	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_index->indisvalid &&
			index->rd_index->indkey.values[0] == fk->child_attnums[0])
			found = found || (for_tombstones
								  ? index_has_tombstones(index, tombstone)
								  : RelationGetIndexPredicate(index) == NIL ||
										(tombstone != InvalidAttrNumber &&
										 index_hides_tombstones(index, tombstone)));
		index_close(index, NoLock);
	}
	restore_role(&saved);
	table_close(rel, NoLock);
	return found;
}

/*
 * Note that members are referenced, whose rows begin with the first one.
 */
static void
take_references(PurgeScan *scan, uint64 n, int first, bool is_inside)
{
	SPITupleTable *table = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple tuple = table->vals[i];
		bool isnull;
		int member =
			first + DatumGetInt32(SPI_getbinval(tuple, table->tupdesc, 1, &isnull));
		RowIdentity child = {0};
		KnownDue *known = NULL;

		if (is_inside)
		{
			child.relid =
				DatumGetObjectId(SPI_getbinval(tuple, table->tupdesc, 2, &isnull));
			child.tid = *(ItemPointer) DatumGetPointer(
				SPI_getbinval(tuple, table->tupdesc, 3, &isnull));
			known = hash_search(scan->known, &child, HASH_FIND, NULL);
		}
		if (known == NULL)
		{
			if (!scan->is_dry || !is_imagined_gone(&child))
				scan->rows[member].stays = true;
		}
		else if (known->number != member)
			add_edge(scan, known->number, member);
	}
	SPI_freetuptable(table);
}

/*
 * Make the rows of the scan known by their places, unless they are.
 */
static void
index_rows(PurgeScan *scan)
{
	HASHCTL ctl = {.keysize = sizeof(RowIdentity),
				   .entrysize = sizeof(KnownDue),
				   .hcxt = scan->rows_context};

	if (scan->known != NULL)
		return;
	scan->known = hash_create("soft_delete due rows", scan->nrows, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < scan->nrows; i++)
	{
		DueRow *row = &scan->rows[i];
		RowIdentity identity = tombstone_identity(row->leaf->relid, &row->tombstone);
		KnownDue *known = hash_search(scan->known, &identity, HASH_ENTER, NULL);

		known->number = i;
	}
}

/*
 * Note that a row of the scan references another one.
 */
static void
add_edge(PurgeScan *scan, int child, int parent)
{
	if (scan->edges == NULL)
	{
		scan->nedges_allocated = 1024;
		scan->edges = MemoryContextAllocHuge(scan->rows_context,
											 scan->nedges_allocated * sizeof(Edge));
	}
	else if (scan->nedges == scan->nedges_allocated)
	{
		scan->nedges_allocated = doubled(scan->nedges_allocated);
		scan->edges = repalloc_huge(scan->edges,
									(Size) scan->nedges_allocated * sizeof(Edge));
	}
	scan->edges[scan->nedges] =
		(Edge){.parent = parent, .next = scan->rows[child].edges};
	scan->rows[child].edges = scan->nedges++;
}

/*
 * Let a row of the scan stay, and with it what it references, directly or not.
 */
void
keep_row(PurgeScan *scan, int number)
{
	List *pending = list_make1_int(number);

	scan->rows[number].stays = true;
	while (pending != NIL)
	{
		int edge = scan->rows[llast_int(pending)].edges;

		pending = list_delete_last(pending);
		for (; edge >= 0; edge = scan->edges[edge].next)
		{
			int parent = scan->edges[edge].parent;

			if (!scan->rows[parent].stays)
			{
				scan->rows[parent].stays = true;
				pending = lappend_int(pending, parent);
			}
		}
	}
}

/*
 * Order the rows of the scan so that none comes before one that references it.
 * Those for which there is no such order, because they reference one another in
 * a circle, come last.
 */
static void
put_children_first(PurgeScan *scan)
{
	int *nchildren;
	int n = 0;

	scan->first_circular = scan->nrows;
	if (scan->nedges == 0)
		return;

	nchildren = MemoryContextAllocExtended(scan->rows_context,
										   (Size) scan->nrows * sizeof(int),
										   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	scan->order = MemoryContextAllocHuge(scan->rows_context,
										 (Size) scan->nrows * sizeof(int));
	for (int i = 0; i < scan->nedges; i++)
		nchildren[scan->edges[i].parent]++;
	for (int i = 0; i < scan->nrows; i++)
	{
		if (nchildren[i] == 0)
			scan->order[n++] = i;
	}
	for (int i = 0; i < n; i++)
	{
		for (int edge = scan->rows[scan->order[i]].edges; edge >= 0;
			 edge = scan->edges[edge].next)
		{
			if (--nchildren[scan->edges[edge].parent] == 0)
				scan->order[n++] = scan->edges[edge].parent;
		}
	}
	scan->first_circular = n;
	for (int i = 0; i < scan->nrows; i++)
	{
		if (nchildren[i] > 0)
			scan->order[n++] = i;
	}
	pfree(nchildren);
}

/*
 * Remember that a dry run would destroy the row.
 */
void
imagine_gone(DueRow *row)
{
	RowIdentity identity = tombstone_identity(row->leaf->relid, &row->tombstone);

	if (imagined == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(RowIdentity),
					   .entrysize = sizeof(RowIdentity),
					   .hcxt = TopMemoryContext};

		imagined = hash_create("soft_delete dry run", 1024, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	(void) hash_search(imagined, &identity, HASH_ENTER, NULL);
}

/*
 * Would this transaction's dry run have destroyed the row by now?
 */
static bool
is_imagined_gone(const RowIdentity *row)
{
	return imagined != NULL && hash_search(imagined, row, HASH_FIND, NULL) != NULL;
}

/*
 * Forget what a dry run imagined.
 */
void
forget_imagined(void)
{
	if (imagined != NULL)
		hash_destroy(imagined);
	imagined = NULL;
}
