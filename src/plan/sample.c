/*
 * sample.c
 *	  Samples of tagged tables leave tombstones out as they are drawn.
 *
 * The live filter is a condition on the rows that a sampling method has drawn.  A method
 * that is asked for a number of rows, such as SYSTEM_ROWS, counts those it has drawn, and
 * would return fewer live rows than there are.  So where a sample scan begins, its routine
 * is replaced by one that passes over tombstones.
 *
 * Invariant: the filter stays, and nothing that is drawn less would have been returned.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/tableam.h"
#include "access/tsmapi.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"

#include "plan/sd_plan.h"

/* A routine that calls another one */
typedef struct LiveSample
{
	TsmRoutine routine;			   /* must be first */
	NextSampleTuple_function next; /* that of the sampling method */
	TupleTableSlot *slot;
	AttrNumber tombstone;
} LiveSample;

static ExecutorStart_hook_type prev_ExecutorStart = NULL;

/* Has this session planned a sample of a tagged table? */
static bool has_planned_sample = false;

static void start_samples(QueryDesc *queryDesc, int eflags);
static bool replace_routines(PlanState *state, void *context);
static void replace_routine(SampleScanState *state);
static OffsetNumber next_live_tuple(SampleScanState *node, BlockNumber block,
									OffsetNumber maxoffset);
static bool is_tombstone_at(SampleScanState *node, BlockNumber block,
							OffsetNumber offset);

/*
 * Install the hook that is called when a plan begins to run.
 */
void
init_sample(void)
{
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = start_samples;
}

/*
 * Note that the session has planned a sample of a tagged table.
 */
void
note_sample(void)
{
	has_planned_sample = true;
}

/*
 * Replace the routines of samples in a plan that begins to run (ExecutorStart hook).
 */
static void
start_samples(QueryDesc *queryDesc, int eflags)
{
	ListCell *lc;

	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
	if (!has_planned_sample)
		return;
	(void) replace_routines(queryDesc->planstate, NULL);
	/* WITH queries */
	foreach (lc, queryDesc->estate->es_subplanstates)
		(void) replace_routines(lfirst(lc), NULL);
}

/*
 * Replace the routines of the sample scans in a plan (walker).
 */
static bool
replace_routines(PlanState *state, void *context)
{
	if (state == NULL)
		return false;
	if (IsA(state, SampleScanState))
		replace_routine((SampleScanState *) state);
	return planstate_tree_walker(state, replace_routines, context);
}

/*
 * Replace the routine of a sample scan, if its table is tagged and the session is shown
 * live rows only.
 */
static void
replace_routine(SampleScanState *state)
{
	Relation rel = state->ss.ss_currentRelation;
	AttrNumber tombstone = tombstone_attribute(rel);
	EState *estate = state->ss.ps.state;
	LiveSample *sample;

	if (tombstone == InvalidAttrNumber || shows_deleted() ||
		wants_whole_tables() || is_maintenance(RelationGetRelid(rel)) ||
		state->tsmroutine->NextSampleTuple == next_live_tuple)
		return;
	sample = MemoryContextAlloc(estate->es_query_cxt, sizeof(LiveSample));
	sample->routine = *state->tsmroutine;
	sample->next = sample->routine.NextSampleTuple;
	sample->routine.NextSampleTuple = next_live_tuple;
	sample->slot = table_slot_create(rel, &estate->es_tupleTable);
	sample->tombstone = tombstone;
	state->tsmroutine = &sample->routine;
}

/*
 * Return the next tuple of the block that the sampling method draws and that is no
 * tombstone (NextSampleTuple callback).
 *
 * Where the scan does not read page by page, its page is locked here, and no tuple can be
 * looked at.  No method that counts rows does that.
 */
static OffsetNumber
next_live_tuple(SampleScanState *node, BlockNumber block, OffsetNumber maxoffset)
{
	LiveSample *sample = (LiveSample *) node->tsmroutine;
	OffsetNumber offset;

	do
	{
		CHECK_FOR_INTERRUPTS();
		offset = sample->next(node, block, maxoffset);
	} while (OffsetNumberIsValid(offset) && node->use_pagemode &&
			 is_tombstone_at(node, block, offset));
	return offset;
}

/*
 * Is there a visible tombstone in that place?
 */
static bool
is_tombstone_at(SampleScanState *node, BlockNumber block, OffsetNumber offset)
{
	LiveSample *sample = (LiveSample *) node->tsmroutine;
	ItemPointerData tid;
	bool is_tombstone;

	ItemPointerSet(&tid, block, offset);
	is_tombstone = table_tuple_fetch_row_version(node->ss.ss_currentRelation, &tid,
												 node->ss.ps.state->es_snapshot,
												 sample->slot) &&
				   !slot_attisnull(sample->slot, sample->tombstone);
	ExecClearTuple(sample->slot);
	return is_tombstone;
}
