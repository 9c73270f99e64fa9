/*
 * due.c
 *	  Finds the tombstones whose time has come, in the order in which they can go.
 *
 * A walk goes through a group of tables: one, or several whose foreign keys
 * form a circle.  It reads their tombstones along the index on stamps, oldest
 * first, and goes on from there when those are done, so that no dead index entry
 * is read twice.  It reads a batch of them, which then is still in the processor's
 * caches; but where foreign keys reference the tables as many as
 * maintenance_work_mem holds, for what references them is looked for once, by a
 * join per foreign key, and keeps them from going.  The order that is left is by
 * age, but that of the walk's rows the referencing one comes before the
 * referenced one.
 *
 * Nothing is locked here, for no row can come to reference a tombstone: foreign
 * keys see live rows.  Whoever destroys a row makes sure that it still is the
 * version that the walk has seen.
 *
 * Invariant: a row that has not been said to stay is referenced by rows before it
 * in the walk alone, or by those of its circle.
 */
#include "soft_delete.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

/* So many rows are read at once, however much memory there may be */
#define MAX_ROWS (1 << 28)

/* A row that is due, by the place where it is found */
typedef struct KnownDue
{
	RowIdentity row; /* hash key */
	int number;		 /* in the walk */
} KnownDue;

/* That the row whose list of edges this is in references another one */
struct Edge
{
	int parent;
	int next; /* of the same row; -1 if there is none */
};

static bool is_referenced(Walk *walk);
static void read_leaf(Walk *walk, Leaf *leaf, int capacity);
static bool read_index(Walk *walk, Leaf *leaf, Relation index,
					   AttrNumber attnum, int capacity);
static void read_heap(Walk *walk, Leaf *leaf, AttrNumber attnum);
static void read_displaced_rows(Walk *walk, Leaf *leaf);
static void add_row(Walk *walk, Leaf *leaf, TupleTableSlot *slot, TimestampTz stamp);
static DueRow *new_row(Walk *walk, Leaf *leaf);
static TransactionId xmin_of(TupleTableSlot *slot);
static int compare_rows(const void *a, const void *b);
static bool finds_tombstones(Relation index, AttrNumber attnum);
static bool has_tombstones(Relation index, AttrNumber attnum);
static void find_references(Walk *walk);
static void find_references_to(Walk *walk, Leaf *leaf, int first, int n);
static void find_references_by(Walk *walk, Lot *lot, Relation rel, int first,
							   const ForeignKey *fk);
static char *references_query(const ForeignKey *fk, const char *which, bool is_inside);
static uint64 select_references(const ForeignKey *fk, const char *which,
								bool is_inside);
static bool has_key_index(const ForeignKey *fk, bool for_tombstones);
static void take_references(Walk *walk, uint64 n, int first, bool is_inside);
static void learn_rows(Walk *walk);
static void add_edge(Walk *walk, int child, int parent);
static void put_children_first(Walk *walk);

/*
 * Begin a walk through tables, their partitions and inheritance children.
 */
Walk *
begin_walk(int nroots, const Oid *roots)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "soft_delete walk",
							  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Walk *walk = palloc0(sizeof(Walk));

	walk->context = context;
	walk->rows_context = AllocSetContextCreate(context, "soft_delete due rows",
											   ALLOCSET_DEFAULT_SIZES);
	walk->nroots = nroots;
	walk->roots = palloc0(nroots * sizeof(Root));
	for (int i = 0; i < nroots; i++)
	{
		/* one that is gone meanwhile has no rows */
		List *members = get_rel_name(roots[i])
							? find_all_inheritors(roots[i], NoLock, NULL)
							: NIL;
		ListCell *lc;

		walk->roots[i].relid = roots[i];
		walk->members = list_concat(walk->members, members);
		walk->leaves =
			walk->leaves
				? repalloc(walk->leaves,
						   (walk->nleaves + list_length(members)) * sizeof(Leaf))
				: palloc(list_length(members) * sizeof(Leaf));
		foreach (lc, members)
		{
			Oid relid = lfirst_oid(lc);

			if (get_rel_relkind(relid) == RELKIND_RELATION)
				walk->leaves[walk->nleaves++] =
					(Leaf){.relid = relid, .root = &walk->roots[i]};
		}
	}
	MemoryContextSwitchTo(oldcontext);
	return walk;
}

/*
 * Does a foreign key reference a table of the walk?
 */
static bool
is_referenced(Walk *walk)
{
	bool found = false;

	for (int i = 0; i < walk->nleaves && !found; i++)
	{
		Relation rel = try_table_open(walk->leaves[i].relid, AccessShareLock);

		if (rel != NULL)
		{
			found = foreign_keys_to(rel) != NIL;
			table_close(rel, AccessShareLock);
		}
	}
	return found;
}

/*
 * Open a table that the walk goes through.  Returns NULL if there is nothing to
 * do there for the current role: it is gone, not tagged any more, no part of the
 * table that the walk has to do with, another session's, or not its own.
 */
Relation
open_leaf(Leaf *leaf, Oid caller)
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
read_on(Walk *walk, int batch_size)
{
	int capacity = (int) Min(Max(maintenance_work_mem * INT64CONST(1024) /
									 (int64) sizeof(DueRow),
								 1000),
							 MAX_ROWS);

	/* not when it begins: a lock that times out is an error of the batch */
	if (walk->reading == 0 && !walk->has_position)
		walk->is_referenced = is_referenced(walk);
	if (!walk->is_referenced)
		capacity = Min(capacity, batch_size);

	MemoryContextReset(walk->rows_context);
	walk->rows = NULL;
	walk->order = NULL;
	walk->edges = NULL;
	walk->known = NULL;
	walk->nrows = walk->nallocated = walk->next = walk->nedges = 0;

	while (walk->reading < walk->nleaves && walk->nrows < capacity)
		read_leaf(walk, &walk->leaves[walk->reading], capacity);
	walk->is_complete = walk->reading == walk->nleaves;
	walk->is_fresh = true;

	find_references(walk);
	put_children_first(walk);
}

/*
 * Read the due rows of one table, as many as there is room for.
 */
static void
read_leaf(Walk *walk, Leaf *leaf, int capacity)
{
	Relation rel = leaf->root->has_limit ? open_leaf(leaf, calling_role()) : NULL;
	bool is_done = true;

	if (rel != NULL)
	{
		AttrNumber attnum = tombstone_attribute(rel);
		Relation index;
		SavedRole saved;

		leaf->rel = rel;
		/* a position is a place; after a rewrite reading goes on with the stamp */
		if (walk->has_position && leaf->storage != rel->rd_rel->relfilenode)
			ItemPointerSet(&walk->tid, 0, 0);
		leaf->storage = rel->rd_rel->relfilenode;
		leaf->limit = TransactionIdIsValid(leaf->xmin)
						  ? Min(leaf->limit, leaf->root->limit)
						  : leaf->root->limit;
		if (!TransactionIdIsValid(leaf->xmin))
			leaf->xmin = GetActiveSnapshot()->xmin;
		become_owner(rel, &saved);
		index = open_bin_index(rel, attnum);
		if (index == NULL)
			read_heap(walk, leaf, attnum);
		else
		{
			is_done = read_index(walk, leaf, index, attnum, capacity);
			index_close(index, NoLock);
		}
		if (is_done)
			read_displaced_rows(walk, leaf);
		restore_role(&saved);
		leaf->rel = NULL;
		table_close(rel, NoLock);
	}
	else if (TransactionIdIsValid(leaf->xmin))
		leaf->has_left = true; /* or may have: it was not read to its end */
	if (is_done)
	{
		walk->reading++;
		walk->has_position = false;
	}
}

/*
 * Read due rows along the index on stamps, from where reading stopped.  Returns
 * whether these were all.  Equal stamps are in the order of their places, unless
 * the index has more columns: then they are read at once.
 */
static bool
read_index(Walk *walk, Leaf *leaf, Relation index, AttrNumber attnum, int capacity)
{
	TupleTableSlot *slot = table_slot_create(leaf->rel, NULL);
	bool by_place = IndexRelationGetNumberOfKeyAttributes(index) == 1;
	ScanKeyData keys[2];
	IndexScanDesc scan;
	ItemPointer tid;
	int nkeys = 1;

	init_stamp_key(&keys[0], index, 1, BTLessStrategyNumber, leaf->root->limit);
	if (walk->has_position)
		init_stamp_key(&keys[nkeys++], index, 1,
					   walk->has_whole_stamp ? BTGreaterStrategyNumber
											 : BTGreaterEqualStrategyNumber,
					   walk->stamp);
	scan = begin_index_scan(leaf->rel, index, GetActiveSnapshot(), nkeys);
	index_rescan(scan, keys, nkeys, NULL, 0);

	while ((tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		ItemPointerData place = *tid;
		TimestampTz stamp;
		bool isnull;

		CHECK_FOR_INTERRUPTS();
		if (!index_fetch_heap(scan, slot))
			continue;
		stamp = DatumGetTimestampTz(slot_getattr(slot, attnum, &isnull));
		if (by_place && walk->has_position && stamp == walk->stamp &&
			ItemPointerCompare(&place, &walk->tid) <= 0)
			continue;
		if (walk->nrows >= capacity && (by_place || stamp != walk->stamp))
			break;
		add_row(walk, leaf, slot, stamp);
		walk->has_position = true;
		walk->stamp = stamp;
		walk->tid = place;
	}
	walk->has_whole_stamp = !by_place;
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return tid == NULL;
}

/*
 * Read all due rows of a table that has lost its index on stamps.
 */
static void
read_heap(Walk *walk, Leaf *leaf, AttrNumber attnum)
{
	TupleTableSlot *slot = table_slot_create(leaf->rel, NULL);
	TableScanDesc scan = begin_table_scan(leaf->rel, GetActiveSnapshot());
	int first = walk->nrows;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool isnull;
		TimestampTz stamp =
			DatumGetTimestampTz(slot_getattr(slot, attnum, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (!isnull && stamp < leaf->root->limit)
			add_row(walk, leaf, slot, stamp);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	if (walk->nrows > first)
		qsort(walk->rows + first, walk->nrows - first, sizeof(DueRow), compare_rows);
}

/*
 * Compare rows by age.
 */
static int
compare_rows(const void *a, const void *b)
{
	const DueRow *left = a;
	const DueRow *right = b;

	if (left->stamp != right->stamp)
		return left->stamp < right->stamp ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &left->tid, (ItemPointer) &right->tid);
}

/*
 * Read the due rows that stepped aside from a table.
 */
static void
read_displaced_rows(Walk *walk, Leaf *leaf)
{
	ListCell *lc;

	foreach (lc, displaced_before(leaf->relid, leaf->root->limit,
								 &leaf->displaced_storage))
	{
		DisplacedRow *displaced = lfirst(lc);
		DueRow *row = new_row(walk, leaf);

		row->tid = displaced->tid;
		row->stamp = displaced->stamp;
		row->xmin = displaced->xmin;
		row->is_displaced = true;
	}
}

/*
 * Add the row in the slot to the walk.
 */
static void
add_row(Walk *walk, Leaf *leaf, TupleTableSlot *slot, TimestampTz stamp)
{
	DueRow *row = new_row(walk, leaf);

	row->tid = slot->tts_tid;
	row->stamp = stamp;
	row->xmin = xmin_of(slot);
}

/*
 * Return a new row of the walk.
 */
static DueRow *
new_row(Walk *walk, Leaf *leaf)
{
	DueRow *row;

	if (walk->rows == NULL)
	{
		walk->nallocated = 1024;
		walk->rows = MemoryContextAllocHuge(walk->rows_context,
											walk->nallocated * sizeof(DueRow));
	}
	else if (walk->nrows == walk->nallocated)
	{
		walk->nallocated = doubled(walk->nallocated);
		walk->rows =
			repalloc_huge(walk->rows, (Size) walk->nallocated * sizeof(DueRow));
	}
	row = &walk->rows[walk->nrows++];
	memset(row, 0, sizeof(DueRow));
	row->leaf = leaf;
	row->edges = -1;
	return row;
}

/*
 * Return the transaction that wrote the version of a row in the slot.
 */
static TransactionId
xmin_of(TupleTableSlot *slot)
{
	bool isnull;

	return DatumGetTransactionId(
		slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
}

/*
 * Return the nth row of the walk.
 */
DueRow *
nth_due(Walk *walk, int n)
{
	return &walk->rows[walk->order ? walk->order[n] : n];
}

/*
 * Fetch a row of the walk into the slot, if it did not step aside.  Returns false
 * if it is not the version any more that was found, or the table has been rewritten
 * since: then others have the places.
 */
bool
fetch_due(Relation rel, DueRow *row, Snapshot snapshot, TupleTableSlot *slot)
{
	if (row->is_displaced)
		return is_displaced_version(row->leaf->displaced_storage, &row->tid,
									row->xmin, snapshot);
	return rel->rd_rel->relfilenode == row->leaf->storage &&
		   table_tuple_fetch_row_version(rel, &row->tid, snapshot, slot) &&
		   xmin_of(slot) == row->xmin;
}

/*
 * Initialize a condition on the stamp, the nth column of a btree index.
 */
void
init_stamp_key(ScanKey key, Relation index, int n, StrategyNumber strategy,
			   TimestampTz stamp)
{
	Oid type = index->rd_opcintype[n - 1];
	Oid operator=
		get_opfamily_member(index->rd_opfamily[n - 1], type, type, strategy);

	/* a timestamp that holds UTC is stored as a timestamptz is */
	ScanKeyEntryInitialize(key, 0, n, strategy, InvalidOid, InvalidOid,
						   get_opcode(operator), TimestampTzGetDatum(stamp));
}

/*
 * Open the index that has all tombstones of a table in the order of their
 * stamps.  Returns NULL if there is none.  To be called as the owner, for a look
 * at a predicate may call functions in it.
 */
Relation
open_bin_index(Relation rel, AttrNumber attnum)
{
	Relation found = NULL;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (found == NULL && finds_tombstones(index, attnum))
			found = index;
		else
			index_close(index, NoLock);
	}
	return found;
}

/*
 * Does the index have all tombstones in the order of their stamps?
 */
static bool
finds_tombstones(Relation index, AttrNumber attnum)
{
	Form_pg_index form = index->rd_index;

	return (index->rd_rel->relam == BTREE_AM_OID || is_guard_index(index)) &&
		   form->indisvalid && form->indkey.values[0] == attnum &&
		   (index->rd_indoption[0] & INDOPTION_DESC) == 0 &&
		   has_tombstones(index, attnum);
}

/*
 * Does the index have all tombstones?
 */
static bool
has_tombstones(Relation index, AttrNumber attnum)
{
	List *predicate = RelationGetIndexPredicate(index);
	NullTest *test;

	if (predicate == NIL)
		return true;
	test = linitial(predicate);
	return list_length(predicate) == 1 && IsA(test, NullTest) &&
		   test->nulltesttype == IS_NOT_NULL && IsA(test->arg, Var) &&
		   ((Var *) test->arg)->varattno == attnum;
}

/*
 * Find out which rows of the walk are referenced: by what stays, so that they
 * stay, too, or by other rows of the walk.
 */
static void
find_references(Walk *walk)
{
	for (int first = 0, n; first < walk->nrows; first += n)
	{
		Leaf *leaf = walk->rows[first].leaf;

		for (n = 1;
			 first + n < walk->nrows && walk->rows[first + n].leaf == leaf; n++)
			;
		find_references_to(walk, leaf, first, n);
	}
	for (int i = 0; i < walk->nrows; i++)
	{
		if (walk->rows[i].stays)
			keep_due(walk, i);
	}
}

/*
 * The same for the rows of one table, n of them from the first one on.
 */
static void
find_references_to(Walk *walk, Leaf *leaf, int first, int n)
{
	Relation rel = table_open(leaf->relid, NoLock);
	List *foreign_keys = foreign_keys_to(rel);
	ListCell *lc;

	if (foreign_keys != NIL)
	{
		Lot lot = {.relid = leaf->relid, .nmembers = n};
		SavedRole saved;

		lot.members = MemoryContextAllocExtended(CurrentMemoryContext,
												 (Size) n * sizeof(Member),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		for (int i = 0; i < n; i++)
		{
			DueRow *row = &walk->rows[first + i];

			lot.members[i] = (Member){.tid = row->tid,
									  .stamp = row->stamp,
									  .is_displaced = row->is_displaced};
		}
		become_owner(rel, &saved);
		foreach (lc, foreign_keys)
			find_references_by(walk, &lot, rel, first, lfirst(lc));
		restore_role(&saved);
		pfree(lot.members);
	}
	table_close(rel, NoLock);
}

/*
 * The same for one foreign key.
 */
static void
find_references_by(Walk *walk, Lot *lot, Relation rel, int first,
				   const ForeignKey *fk)
{
	/* what is imagined to be gone is known by its place, too */
	bool is_inside = walk->is_dry || list_member_oid(walk->members, fk->child);
	Tuplestorestate *members;

	if (is_inside)
		learn_rows(walk);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	leave_children(lot, rel, fk);
	members =
		register_members(lot, rel, fk->nkeys, fk->parent_attnums, 0, InvalidOid);
	take_references(walk, select_references(fk, "live", is_inside), first, is_inside);
	if (is_tagged(fk->child))
		take_references(walk, select_references(fk, "deleted", is_inside),
						first, is_inside);
	if (has_displaced(fk->child))
		take_references(walk, select_references(fk, "displaced", is_inside),
						first, is_inside);
	tuplestore_end(members);
	SPI_finish();
}

/*
 * Return the query for the members that rows reference: inside of the walk, with
 * the rows that reference them.
 */
static char *
references_query(const ForeignKey *fk, const char *which, bool is_inside)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT %s FROM " FAMILY_MEMBERS " m JOIN ",
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
								  ? has_tombstones(index, tombstone)
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
take_references(Walk *walk, uint64 n, int first, bool is_inside)
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
			known = hash_search(walk->known, &child, HASH_FIND, NULL);
		}
		if (known == NULL)
		{
			if (!walk->is_dry || !is_imagined_gone(&child))
				walk->rows[member].stays = true;
		}
		else if (known->number != member)
			add_edge(walk, known->number, member);
	}
	SPI_freetuptable(table);
}

/*
 * Make the rows of the walk known by their places, unless they are.
 */
static void
learn_rows(Walk *walk)
{
	HASHCTL ctl = {.keysize = sizeof(RowIdentity),
				   .entrysize = sizeof(KnownDue),
				   .hcxt = walk->rows_context};

	if (walk->known != NULL)
		return;
	walk->known = hash_create("soft_delete due rows", walk->nrows, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < walk->nrows; i++)
	{
		DueRow *row = &walk->rows[i];
		RowIdentity identity = {.relid = row->is_displaced
											 ? extension_relation("displaced")
											 : row->leaf->relid,
								.tid = row->tid};
		KnownDue *known = hash_search(walk->known, &identity, HASH_ENTER, NULL);

		known->number = i;
	}
}

/*
 * Note that a row of the walk references another one.
 */
static void
add_edge(Walk *walk, int child, int parent)
{
	if (walk->edges == NULL)
	{
		walk->nedges_allocated = 1024;
		walk->edges = MemoryContextAllocHuge(walk->rows_context,
											 walk->nedges_allocated * sizeof(Edge));
	}
	else if (walk->nedges == walk->nedges_allocated)
	{
		walk->nedges_allocated = doubled(walk->nedges_allocated);
		walk->edges = repalloc_huge(walk->edges,
									(Size) walk->nedges_allocated * sizeof(Edge));
	}
	walk->edges[walk->nedges] =
		(Edge){.parent = parent, .next = walk->rows[child].edges};
	walk->rows[child].edges = walk->nedges++;
}

/*
 * Let a row of the walk stay, and with it what it references, directly or not.
 */
void
keep_due(Walk *walk, int number)
{
	List *pending = list_make1_int(number);

	walk->rows[number].stays = true;
	while (pending != NIL)
	{
		int edge = walk->rows[llast_int(pending)].edges;

		pending = list_delete_last(pending);
		for (; edge >= 0; edge = walk->edges[edge].next)
		{
			int parent = walk->edges[edge].parent;

			if (!walk->rows[parent].stays)
			{
				walk->rows[parent].stays = true;
				pending = lappend_int(pending, parent);
			}
		}
	}
}

/*
 * Order the rows of the walk so that none comes before one that references it.
 * Those for which there is no such order, because they reference one another in
 * a circle, come last.
 */
static void
put_children_first(Walk *walk)
{
	int *nchildren;
	int n = 0;

	walk->first_circular = walk->nrows;
	if (walk->nedges == 0)
		return;

	nchildren = MemoryContextAllocExtended(walk->rows_context,
										   (Size) walk->nrows * sizeof(int),
										   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	walk->order = MemoryContextAllocHuge(walk->rows_context,
										 (Size) walk->nrows * sizeof(int));
	for (int i = 0; i < walk->nedges; i++)
		nchildren[walk->edges[i].parent]++;
	for (int i = 0; i < walk->nrows; i++)
	{
		if (nchildren[i] == 0)
			walk->order[n++] = i;
	}
	for (int i = 0; i < n; i++)
	{
		for (int edge = walk->rows[walk->order[i]].edges; edge >= 0;
			 edge = walk->edges[edge].next)
		{
			if (--nchildren[walk->edges[edge].parent] == 0)
				walk->order[n++] = walk->edges[edge].parent;
		}
	}
	walk->first_circular = n;
	for (int i = 0; i < walk->nrows; i++)
	{
		if (nchildren[i] > 0)
			walk->order[n++] = i;
	}
	pfree(nchildren);
}
