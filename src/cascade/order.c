/*
 * order.c
 *	  The order in which the members of a cascade are restored.
 *
 * A restore is a deletion that runs backwards.  ON DELETE CASCADE deletes a parent
 * first, and the triggers of its children fire when it is gone.  So children are
 * restored, and their triggers fire, while their parent is still deleted: a trigger
 * that counts children in the parent finds no row to count in, as it found none when
 * they were deleted.  For the same reason the last deletion is restored first.
 *
 * The level of a member is the length of the longest chain of members that are restored
 * before it.  Members in a circle have the level after all others.
 *
 * Invariant: of a parent and a child that the same deletion has deleted, the child
 * comes first, unless they are in a circle.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "cascade/sd_cascade.h"

/* What is restored after which member, as numbers of members in the whole cascade */
typedef struct KinshipGraph
{
	int n;			  /* number of members */
	Member **members; /* by their numbers */
	int *starts;	 /* where the successors of a member begin; n + 1 numbers */
	int *successors; /* of all members */
	int *nwaiting;	 /* for each member, how many before it have no level yet */
} KinshipGraph;

static void *allocate(Size n, Size size);
static void number_members(Cascade *cascade, KinshipGraph *graph);
static void add_kinships(Cascade *cascade, KinshipGraph *graph);
static void set_levels(KinshipGraph *graph);
static int compare_members(const void *a, const void *b);

/*
 * Set the levels of the members of a completed cascade.
 */
void
find_levels(Cascade *cascade)
{
	KinshipGraph graph = {0};

	if (cascade->nkinships == 0)
		return;
	number_members(cascade, &graph);
	add_kinships(cascade, &graph);
	set_levels(&graph);
	pfree(graph.members);
	pfree(graph.starts);
	pfree(graph.successors);
	pfree(graph.nwaiting);
}

/*
 * Allocate an array of zeros, of any size.
 */
static void *
allocate(Size n, Size size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, Max(n, 1) * size,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/*
 * Number the members of all tables, in the order of the tables.
 */
static void
number_members(Cascade *cascade, KinshipGraph *graph)
{
	ListCell *lc;
	int n = 0;

	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);

		table->first_number = n;
		n += table->nmembers;
	}
	graph->n = n;
	graph->members = allocate(n, sizeof(Member *));
	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);

		for (int i = 0; i < table->nmembers; i++)
			graph->members[table->first_number + i] = &table->members[i];
	}
}

/*
 * Add who is restored after whom to the graph.  A member that references itself does
 * not wait for itself.
 */
static void
add_kinships(Cascade *cascade, KinshipGraph *graph)
{
	int *next = allocate(graph->n + 1, sizeof(int));

	graph->starts = allocate(graph->n + 1, sizeof(int));
	graph->successors = allocate(cascade->nkinships, sizeof(int));
	graph->nwaiting = allocate(graph->n, sizeof(int));
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < cascade->nkinships; i++)
		{
			Kinship *kinship = &cascade->kinships[i];
			int first = kinship->child_table->first_number + kinship->child;
			int second = kinship->parent_table->first_number + kinship->parent;

			if (first == second)
				continue;
			if (pass == 0)
				graph->starts[first + 1]++;
			else
			{
				graph->successors[next[first]++] = second;
				graph->nwaiting[second]++;
			}
		}
		for (int i = 0; pass == 0 && i < graph->n; i++)
		{
			graph->starts[i + 1] += graph->starts[i];
			next[i + 1] = graph->starts[i + 1];
		}
	}
	pfree(next);
}

/*
 * Set the levels of the members, from those that wait for none upwards.
 */
static void
set_levels(KinshipGraph *graph)
{
	int *queue = allocate(graph->n, sizeof(int));
	int nqueued = 0;
	int highest = 0;

	for (int i = 0; i < graph->n; i++)
	{
		if (graph->nwaiting[i] == 0)
			queue[nqueued++] = i;
	}
	for (int i = 0; i < nqueued; i++)
	{
		int first = queue[i];

		CHECK_FOR_INTERRUPTS();
		for (int k = graph->starts[first]; k < graph->starts[first + 1]; k++)
		{
			int second = graph->successors[k];
			Member *member = graph->members[second];

			member->level = Max(member->level, graph->members[first]->level + 1);
			highest = Max(highest, member->level);
			if (--graph->nwaiting[second] == 0)
				queue[nqueued++] = second;
		}
	}
	for (int i = 0; i < graph->n; i++)
	{
		if (graph->nwaiting[i] > 0)
			graph->members[i]->level = highest + 1;
	}
	pfree(queue);
}

/*
 * Return the members of a cascade in the order in which they are restored, and their
 * number.
 */
MemberRef *
order_members(Cascade *cascade, int *n)
{
	MemberRef *refs;
	ListCell *lc;
	int nrefs = 0;

	foreach (lc, cascade->tables)
		nrefs += ((CascadeTable *) lfirst(lc))->nmembers;
	refs = allocate(nrefs, sizeof(MemberRef));
	nrefs = 0;
	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);

		table->first_number = nrefs;
		for (int i = 0; i < table->nmembers; i++)
			refs[nrefs++] = (MemberRef){.table = table,
										.member = &table->members[i],
										.before = table->members[i].tombstone};
	}
	qsort(refs, nrefs, sizeof(MemberRef), compare_members);
	*n = nrefs;
	return refs;
}

/*
 * Compare two members for qsort(): the latest deletion first, then by level, then by
 * table.  Members in their table come first, for then their keys are in use for
 * those that are elsewhere.
 */
static int
compare_members(const void *a, const void *b)
{
	const MemberRef *one = a;
	const MemberRef *other = b;

	if (one->before.stamp != other->before.stamp)
		return one->before.stamp > other->before.stamp ? -1 : 1;
	if (one->member->level != other->member->level)
		return one->member->level - other->member->level;
	if (one->table != other->table)
		return one->table->first_number - other->table->first_number;
	if (one->before.storage != other->before.storage)
		return (int) one->before.storage - (int) other->before.storage;
	return one->member < other->member ? -1 : one->member > other->member;
}
