/*
 * scan.c
 *	  Finds the tombstones that are due, in the order in which they can be destroyed.
 *
 * A scan reads a group of tables: one, or several whose foreign keys form a circle.
 * It reads their tombstones from the index on stamps, oldest first, in portions.  The
 * next portion begins where the last one ended, so that no dead index entry is read
 * twice.  A portion is one batch, whose pages are then still in the caches of the
 * processor when the batch is destroyed.  But where foreign keys reference the
 * tables, a portion is what maintenance_work_mem holds: the rows that reference it
 * are looked for once per portion, by a join per foreign key.  A row that references
 * a tombstone keeps it from being destroyed, unless it is itself a row of the
 * portion: then it comes first.  Apart from that the order is by age.
 *
 * The scan locks no row, since none can begin to reference a tombstone: foreign keys
 * see live rows only.  Whoever destroys a row checks that it still is the version
 * that the scan has read (purge.c).
 *
 * Invariant: a row that is not kept is referenced only by rows that precede it in the
 * portion, or by rows of its own circle.
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

/* The greatest number of rows in a portion, however much memory there is */
#define MAX_PORTION (1 << 28)

/* A row of the portion, by its place */
typedef struct DueRowEntry
{
	RowIdentity row; /* hash key */
	int number;		 /* in PurgeScan.rows */
} DueRowEntry;

/*
 * A reference from one row of the portion to another.  The edges of each referencing
 * row are a linked list, which begins at DueRow.edges.
 */
struct Edge
{
	int parent; /* number of the referenced row in PurgeScan.rows */
	int next;	/* number of the next edge of the same row, or -1 */
};

/* The rows that the dry run of this transaction would have destroyed: RowIdentity */
static HTAB *dry_purged = NULL;

static bool is_referenced(PurgeScan *scan);
static void read_leaf(PurgeScan *scan, PurgeLeaf *leaf, int capacity);
static bool read_storage(PurgeScan *scan, PurgeLeaf *leaf, Relation rel, int capacity);
static void add_leaf(PurgeScan *scan, PurgeLeaf leaf);
static void add_leaves(PurgeScan *scan, PurgeTable *root, Oid relid);
static DueRow *new_row(PurgeScan *scan, PurgeLeaf *leaf);
static bool is_dry_purged(const RowIdentity *row);
static void find_references(PurgeScan *scan);
static void find_references_to(PurgeScan *scan, PurgeLeaf *leaf, int first, int n);
static void find_references_by(PurgeScan *scan, CascadeTable *table,
							   Relation rel, int first, const ForeignKey *fk);
static bool month_is_referenced(Oid month, const ForeignKey *fk, const char *which);
static char *build_references_query(const ForeignKey *fk, const char *which,
									bool is_inside);
static uint64 select_references(const ForeignKey *fk, const char *which,
								bool is_inside);
static bool has_key_index(const ForeignKey *fk, bool for_tombstones);
static void note_references(PurgeScan *scan, uint64 n, int first, bool is_inside);
static void hash_rows(PurgeScan *scan);
static void add_edge(PurgeScan *scan, int child, int parent);
static void order_children_first(PurgeScan *scan);

/*
 * Begin a scan of tables with their partitions and inheritance children.
 */
PurgeScan *
begin_purge_scan(int nroots, const Oid *roots)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "soft_delete purge scan",
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
		/* a table that has been dropped meanwhile has no rows */
		List *members = get_rel_name(roots[i])
							? find_all_inheritors(roots[i], NoLock, NULL)
							: NIL;
		ListCell *lc;

		scan->roots[i].relid = roots[i];
		scan->members = list_concat(scan->members, members);
		foreach (lc, members)
			add_leaves(scan, &scan->roots[i], lfirst_oid(lc));
	}
	MemoryContextSwitchTo(oldcontext);
	return scan;
}

/*
 * Add the storages of a relation to the leaves: the relation itself, if it has storage,
 * and its own companion with the months of that.
 */
static void
add_leaves(PurgeScan *scan, PurgeTable *root, Oid relid)
{
	Oid companion = companion_of(relid);
	ListCell *lc;

	if (get_rel_relkind(relid) == RELKIND_RELATION && !is_kept_aside(relid))
		add_leaf(scan,
				 (PurgeLeaf){.relid = relid, .storage = IN_PLACE, .root = root});
	if (OidIsValid(companion) && companions_table(companion) == relid)
		foreach (lc, tombstone_months(ASIDE, relid))
			add_leaf(scan, (PurgeLeaf){.relid = relid,
									   .storage = ASIDE,
									   .month = lfirst_oid(lc),
									   .root = root});
}

/*
 * Add a leaf, before any row points to one.
 */
static void
add_leaf(PurgeScan *scan, PurgeLeaf leaf)
{
	scan->leaves = grow_if_full(scan->context, scan->leaves, scan->nleaves,
								&scan->nleaves_allocated, sizeof(PurgeLeaf));
	scan->leaves[scan->nleaves++] = leaf;
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
 * Open a relation of the scan.  Returns NULL if the caller cannot purge it any more:
 * it has been dropped, is not tagged, is no partition or child of its root, is a
 * temporary table of another session, or does not belong to the caller.
 */
Relation
open_leaf(PurgeLeaf *leaf, Oid caller)
{
	Relation rel = try_table_open(leaf->relid, RowExclusiveLock);

	if (rel != NULL &&
		(RELATION_IS_OTHER_TEMP(rel) ||
		 !relation_ownercheck(leaf->relid, caller) || !has_tag(rel) ||
		 !list_member_oid(with_ancestors(leaf->relid), leaf->root->relid)))
	{
		table_close(rel, NoLock);
		rel = NULL;
	}
	return rel;
}

/*
 * Read the next portion, when all rows of the last one are done: batch_size rows, or
 * where the tables are referenced as many as fit into maintenance_work_mem.  Sets
 * is_complete when there are no more rows.
 *
 * maintenance_work_mem can be as large as 2 TB, but the numbers of rows are integers.
 */
void
read_due_rows(PurgeScan *scan, int batch_size)
{
	int capacity = (int) Min(Max(maintenance_work_mem * INT64CONST(1024) /
									 (int64) sizeof(DueRow),
								 1000),
							 MAX_PORTION);

	/* not in begin_purge_scan(): a lock timeout must be an error of the batch */
	if (scan->leaf_number == 0 && !scan->position.is_set)
		scan->is_referenced = is_referenced(scan);
	if (!scan->is_referenced)
		capacity = Min(capacity, batch_size);

	MemoryContextReset(scan->rows_context);
	scan->rows = NULL;
	scan->order = NULL;
	scan->edges = NULL;
	scan->by_place = NULL;
	scan->nrows = scan->nallocated = scan->next = scan->nedges = 0;

	while (scan->leaf_number < scan->nleaves && scan->nrows < capacity)
		read_leaf(scan, &scan->leaves[scan->leaf_number], capacity);
	scan->is_complete = scan->leaf_number == scan->nleaves;
	scan->is_fresh = true;

	find_references(scan);
	order_children_first(scan);
}

/*
 * Read due rows of one relation until it has no more or the portion is full.
 */
static void
read_leaf(PurgeScan *scan, PurgeLeaf *leaf, int capacity)
{
	Relation rel = leaf->root->has_limit && !leaf->is_dropped
					   ? open_leaf(leaf, calling_role())
					   : NULL;
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
		is_done = read_storage(scan, leaf, rel, capacity);
		restore_role(&saved);
		table_close(rel, NoLock);
	}
	else if (TransactionIdIsValid(leaf->xmin))
		leaf->has_left = true; /* it may have: it was not read to its end */
	if (is_done)
	{
		scan->leaf_number++;
		scan->position.is_set = false;
	}
}

/*
 * Read due rows of a relation from one storage, from where the last portion ended.
 * Returns whether there are no more.
 */
static bool
read_storage(PurgeScan *scan, PurgeLeaf *leaf, Relation rel, int capacity)
{
	TombstoneScan *tombstones =
		begin_tombstone_scan(rel, leaf->storage, leaf->month, leaf->root->limit,
							 &scan->position);
	ScanPosition *position = &scan->position;
	bool is_done = false;

	leaf->file = tombstones->file;
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
 * Append a row to the portion, and return it.
 */
static DueRow *
new_row(PurgeScan *scan, PurgeLeaf *leaf)
{
	DueRow *row;

	scan->rows = grow_if_full(scan->rows_context, scan->rows, scan->nrows,
							  &scan->nallocated, sizeof(DueRow));
	row = &scan->rows[scan->nrows++];
	memset(row, 0, sizeof(DueRow));
	row->leaf = leaf;
	row->edges = -1;
	return row;
}

/*
 * Return the nth row of the portion, in the order in which they can be destroyed.
 */
DueRow *
nth_row(PurgeScan *scan, int n)
{
	return &scan->rows[scan->order ? scan->order[n] : n];
}

/*
 * Find the rows that reference the rows of the portion.  A row that is referenced
 * from outside of the portion is kept.
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
		if (scan->rows[i].is_kept)
			keep_row(scan, i);
	}
}

/*
 * Find the rows that reference the n rows of the portion from number "first" on, all
 * of one relation.
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
			table.members[i].tombstone = scan->rows[first + i].tombstone;
		become_owner(rel, &saved);
		foreach (lc, foreign_keys)
			find_references_by(scan, &table, rel, first, lfirst(lc));
		restore_role(&saved);
		pfree(table.members);
	}
	table_close(rel, NoLock);
}

/*
 * Find the rows that reference such rows by one foreign key.  "table" has them as
 * members, whose first one has number "first" in the portion.
 */
static void
find_references_by(PurgeScan *scan, CascadeTable *table, Relation rel,
				   int first, const ForeignKey *fk)
{
	/* rows that a dry run has counted are known by place, too */
	bool is_inside = scan->is_dry_run || list_member_oid(scan->members, fk->child);
	Tuplestorestate *members;

	if (is_inside)
		hash_rows(scan);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	mark_childless_members(table, rel, fk);
	members =
		register_members(table, rel, fk->nkeys, fk->parent_attnums, 0, InvalidOid);
	note_references(scan, select_references(fk, "live", is_inside), first, is_inside);
	for (StorageKind storage = 0; storage < N_STORAGES && is_tagged(fk->child);
		 storage++)
	{
		if (has_tombstones(storage, fk->child))
			note_references(scan,
							select_references(fk, sample_of(storage, false), is_inside),
							first, is_inside);
	}
	tuplestore_end(members);
	SPI_finish();
}

/*
 * Does any row reference a row of a month, but for rows of the month itself?  The active
 * snapshot must see all that is in the month, which nobody else changes.
 */
bool
any_reference_to(PurgeScan *scan, PurgeLeaf *leaf)
{
	Relation rel = table_open(leaf->relid, NoLock);
	bool found = false;
	ListCell *lc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	foreach (lc, foreign_keys_to(rel))
	{
		const ForeignKey *fk = lfirst(lc);

		found = found || month_is_referenced(leaf->month, fk, "live");
		for (StorageKind storage = 0;
			 storage < N_STORAGES && is_tagged(fk->child); storage++)
			found = found || (has_tombstones(storage, fk->child) &&
							  month_is_referenced(leaf->month, fk,
												  sample_of(storage, false)));
	}
	SPI_finish();
	table_close(rel, NoLock);
	return found;
}

/*
 * Does a row of a storage, or a live row, outside of a month reference one in the month?
 * True, too, where that is not known.
 */
static bool
month_is_referenced(Oid month, const ForeignKey *fk, const char *which)
{
	StringInfoData query;
	int nestlevel;
	uint64 n;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT FROM ONLY %s m JOIN ", qualified_name(month));
	append_side(&query, fk->child, "c", which);
	appendStringInfoString(&query, " ON ");
	append_key_match(&query, fk, "m", fk->parent_attnums, "c", fk->child_attnums);
	appendStringInfo(&query,
					 " AND c.tableoid OPERATOR(pg_catalog.<>) %u LIMIT 1", month);
	/* the owner of the child may not be allowed to read the month */
	if (owner_of(month) != owner_of(fk->child))
		return true;
	nestlevel = NewGUCNestLevel();
	if (!has_key_index(fk, strcmp(which, "live") != 0))
		(void) set_config_option("enable_nestloop", "off", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	n = execute_as_owner(fk->child, query.data, 0, NULL, NULL, SPI_OK_SELECT);
	AtEOXact_GUC(true, nestlevel);
	return n > 0;
}

/*
 * Return the query for the members that rows of a storage, or live rows, reference:
 * for each pair the member and the place of the referencing row if "is_inside", else
 * the members alone.
 */
static char *
build_references_query(const ForeignKey *fk, const char *which, bool is_inside)
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
 * Run the query of build_references_query().  Returns the number of rows, which are
 * in SPI_tuptable.
 *
 * If there is no index on the referencing column, nested loops are disabled: where
 * statistics are wrong, a nested loop would read the table once for each member.
 */
static uint64
select_references(const ForeignKey *fk, const char *which, bool is_inside)
{
	int nestlevel = NewGUCNestLevel();
	uint64 n;

	if (!has_key_index(fk, strcmp(which, "live") != 0))
		(void) set_config_option("enable_nestloop", "off", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	n = execute_as_owner(fk->child, build_references_query(fk, which, is_inside),
						 0, NULL, NULL, SPI_OK_SELECT);
	AtEOXact_GUC(true, nestlevel);
	return n;
}

/*
 * Is there an index whose first column is the first referencing column, and that has
 * all live rows, or all tombstones if "for_tombstones"?
 */
static bool
has_key_index(const ForeignKey *fk, bool for_tombstones)
{
	Relation rel = table_open(for_tombstones ? tombstones_in(fk->child) : fk->child,
							  AccessShareLock);
	AttrNumber tombstone = tombstone_attribute(rel);
	/* a companion has other attribute numbers */
	AttrNumber attnum =
		get_attnum(RelationGetRelid(rel),
				   get_attname(fk->child, fk->child_attnums[0], false));
	SavedRole saved;
	bool found = false;
	ListCell *lc;

	/* the predicate of an index is simplified when it is read, by calling its functions */
	become_owner(rel, &saved);
	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_index->indisvalid && index->rd_index->indkey.values[0] == attnum)
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
 * Note what the n rows of SPI_tuptable say: a member that a row outside of the portion
 * references is kept, and a reference inside of it becomes an edge.  "first" is the
 * number of the first member in the portion.
 */
static void
note_references(PurgeScan *scan, uint64 n, int first, bool is_inside)
{
	SPITupleTable *table = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple tuple = table->vals[i];
		bool isnull;
		int member =
			first + DatumGetInt32(SPI_getbinval(tuple, table->tupdesc, 1, &isnull));
		RowIdentity child = {0};
		DueRowEntry *known = NULL;

		if (is_inside)
		{
			child.relid =
				DatumGetObjectId(SPI_getbinval(tuple, table->tupdesc, 2, &isnull));
			child.tid = *(ItemPointer) DatumGetPointer(
				SPI_getbinval(tuple, table->tupdesc, 3, &isnull));
			known = hash_search(scan->by_place, &child, HASH_FIND, NULL);
		}
		if (known == NULL)
		{
			if (!scan->is_dry_run || !is_dry_purged(&child))
				scan->rows[member].is_kept = true;
		}
		else if (known->number != member)
			add_edge(scan, known->number, member);
	}
	SPI_freetuptable(table);
}

/*
 * Build the hash table of the rows of the portion by place, unless it exists.
 */
static void
hash_rows(PurgeScan *scan)
{
	HASHCTL ctl = {.keysize = sizeof(RowIdentity),
				   .entrysize = sizeof(DueRowEntry),
				   .hcxt = scan->rows_context};

	if (scan->by_place != NULL)
		return;
	scan->by_place = hash_create("soft_delete due rows", scan->nrows, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < scan->nrows; i++)
	{
		DueRow *row = &scan->rows[i];
		RowIdentity identity = tombstone_identity(row->leaf->relid, &row->tombstone);
		DueRowEntry *known =
			hash_search(scan->by_place, &identity, HASH_ENTER, NULL);

		known->number = i;
	}
}

/*
 * Add an edge from one row of the portion to another one, which it references.
 */
static void
add_edge(PurgeScan *scan, int child, int parent)
{
	scan->edges = grow_if_full(scan->rows_context, scan->edges, scan->nedges,
							   &scan->nedges_allocated, sizeof(Edge));
	scan->edges[scan->nedges] =
		(Edge){.parent = parent, .next = scan->rows[child].edges};
	scan->rows[child].edges = scan->nedges++;
}

/*
 * Keep a row of the portion, and with it the rows that it references, directly or
 * indirectly.
 */
void
keep_row(PurgeScan *scan, int number)
{
	List *pending = list_make1_int(number);

	scan->rows[number].is_kept = true;
	while (pending != NIL)
	{
		int edge = scan->rows[llast_int(pending)].edges;

		pending = list_delete_last(pending);
		for (; edge >= 0; edge = scan->edges[edge].next)
		{
			int parent = scan->edges[edge].parent;

			if (!scan->rows[parent].is_kept)
			{
				scan->rows[parent].is_kept = true;
				pending = lappend_int(pending, parent);
			}
		}
	}
}

/*
 * Order the rows of the portion so that each one comes after the rows that reference
 * it.  Rows that reference one another in a circle, and those that such rows
 * reference, have no such order: they come last.
 */
static void
order_children_first(PurgeScan *scan)
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
 * Remember that the dry run of this transaction would have destroyed a row.
 */
void
note_dry_purge(DueRow *row)
{
	RowIdentity identity = tombstone_identity(row->leaf->relid, &row->tombstone);

	if (dry_purged == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(RowIdentity),
					   .entrysize = sizeof(RowIdentity),
					   .hcxt = TopMemoryContext};

		dry_purged = hash_create("soft_delete dry run", 1024, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	(void) hash_search(dry_purged, &identity, HASH_ENTER, NULL);
}

/*
 * Would the dry run of this transaction have destroyed the row already?
 */
static bool
is_dry_purged(const RowIdentity *row)
{
	return dry_purged != NULL &&
		   hash_search(dry_purged, row, HASH_FIND, NULL) != NULL;
}

/*
 * Forget the rows that a dry run would have destroyed.
 */
void
forget_dry_purges(void)
{
	if (dry_purged != NULL)
		hash_destroy(dry_purged);
	dry_purged = NULL;
}
