/*
 * displaced_scan.c
 *	  Executes FROM t TABLESAMPLE soft_delete.rows('displaced'), which reads the
 *	  displaced tombstones of a table as rows of the table.
 *
 * A custom scan replaces the sample scan.  The tableoid and ctid of its rows are
 * those of the rows of soft_delete_internal.displaced: the functions and triggers
 * of the bin find the rows by them.
 *
 * Invariant: the executor never looks up such a ctid in table t, where it is the
 * place of another row.  It would in three cases:
 * - FOR UPDATE, FOR SHARE and the like are refused when they are planned;
 * - WHERE CURRENT OF takes the scan for one of soft_delete_internal.displaced;
 * - for EvalPlanQual, the scan fetches its row itself.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "storage/sd_storage.h"

/* State of a scan of the displaced tombstones of a table */
typedef struct DisplacedScanState
{
	CustomScanState css;
	DisplacedReader *reader;
	Relation table;			   /* the table that they were deleted from */
	Relation displaced;		   /* soft_delete_internal.displaced */
	SysScanDesc scan;		   /* of it; NULL before the first row */
	TupleTableSlot *refetched; /* the row that EvalPlanQual rechecks */
} DisplacedScanState;

static set_rel_pathlist_hook_type prev_set_rel_pathlist_hook = NULL;

static void replace_sample_path(PlannerInfo *root, RelOptInfo *rel, Index rti,
								RangeTblEntry *rte);
static void refuse_row_locks(PlannerInfo *root, Index rti, RangeTblEntry *rte);
static Plan *plan_displaced_scan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
								 List *tlist, List *clauses, List *custom_plans);
static Node *create_displaced_scan(CustomScan *plan);
static void begin_displaced_scan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *execute_displaced_scan(CustomScanState *node);
static bool refetch(DisplacedScanState *state, EPQState *epqstate,
					const ExecAuxRowMark *mark);
static TupleTableSlot *next_displaced(ScanState *node);
static bool recheck_displaced(ScanState *node, TupleTableSlot *slot);
static void end_displaced_scan(CustomScanState *node);
static void rescan_displaced(CustomScanState *node);

static const CustomPathMethods path_methods = {
	.CustomName = "soft_delete displaced rows",
	.PlanCustomPath = plan_displaced_scan,
};

static const CustomScanMethods scan_methods = {
	.CustomName = "soft_delete displaced rows",
	.CreateCustomScanState = create_displaced_scan,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "soft_delete displaced rows",
	.BeginCustomScan = begin_displaced_scan,
	.ExecCustomScan = execute_displaced_scan,
	.EndCustomScan = end_displaced_scan,
	.ReScanCustomScan = rescan_displaced,
};

/*
 * Install the planner hook, and register the custom scan.
 */
void
init_displaced_scan(void)
{
	prev_set_rel_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = replace_sample_path;
	RegisterCustomScanMethods(&scan_methods);
}

/*
 * Is the range table entry a tagged table with TABLESAMPLE
 * soft_delete.rows('displaced')?
 */
bool
samples_displaced(RangeTblEntry *rte)
{
	Node *which;

	if (rte->tablesample == NULL ||
		rte->tablesample->tsmhandler != extension_function(SAMPLING_METHOD))
		return false;
	which = linitial(rte->tablesample->args);
	return IsA(which, Const) && !((Const *) which)->constisnull &&
		   strcmp(TextDatumGetCString(((Const *) which)->constvalue),
				  "displaced") == 0;
}

/*
 * Replace the sample scan of a tagged table by a custom scan, if it is one of
 * displaced tombstones (set_rel_pathlist hook).
 */
static void
replace_sample_path(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	CustomPath *path;

	if (prev_set_rel_pathlist_hook)
		prev_set_rel_pathlist_hook(root, rel, rti, rte);
	if (rte->rtekind != RTE_RELATION || rte->inh || IS_DUMMY_REL(rel) ||
		!samples_displaced(rte))
		return;
	refuse_row_locks(root, rti, rte);

	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.param_info =
		get_baserel_parampathinfo(root, rel, rel->lateral_relids);
	path->path.rows = rel->rows;
	path->path.total_cost = cpu_tuple_cost * rel->tuples;
	path->methods = &path_methods;

	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	add_path(rel, &path->path);
}

/*
 * Raise 0A000 if the statement locks the rows: the executor would lock the rows
 * that are at their places in the table.
 */
static void
refuse_row_locks(PlannerInfo *root, Index rti, RangeTblEntry *rte)
{
	PlanRowMark *mark = get_plan_rowmark(root->rowMarks, rti);

	if (mark == NULL || !RowMarkRequiresRowShareLock(mark->markType))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot lock displaced rows of table \"%s\"",
					get_rel_name(rte->relid)),
			 errdetail("They are not in the table any more."),
			 errhint("Read them without FOR UPDATE or FOR SHARE. Restoring and purging lock them.")));
}

/*
 * Make the plan node of the scan (PlanCustomPath callback).
 */
static Plan *
plan_displaced_scan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
					List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);

	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = extract_actual_clauses(clauses, false);
	plan->scan.scanrelid = rel->relid;
	plan->methods = &scan_methods;
	return &plan->scan.plan;
}

/*
 * Make the state of the scan (CreateCustomScanState callback).
 */
static Node *
create_displaced_scan(CustomScan *plan)
{
	DisplacedScanState *state = palloc0(sizeof(DisplacedScanState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return (Node *) state;
}

/*
 * Begin the scan (BeginCustomScan callback).  The current relation becomes
 * soft_delete_internal.displaced, for WHERE CURRENT OF takes the ctid of a row for
 * a place in the scan's current relation.
 */
static void
begin_displaced_scan(CustomScanState *node, EState *estate, int eflags)
{
	DisplacedScanState *state = (DisplacedScanState *) node;

	state->table = node->ss.ss_currentRelation;
	state->reader = make_displaced_reader(state->table);
	state->displaced = table_open(extension_relation("displaced"), AccessShareLock);
	state->refetched =
		ExecInitExtraTupleSlot(estate, RelationGetDescr(state->table), &TTSOpsVirtual);
	node->ss.ss_currentRelation = state->displaced;
}

/*
 * Return the next row that satisfies the conditions (ExecCustomScan callback).
 *
 * EvalPlanQual runs the plan once more for a row that it has returned.  ExecScan()
 * would fetch that row from the table, by its ctid.  So the row is fetched here,
 * and passed to ExecScan() as a test tuple.
 */
static TupleTableSlot *
execute_displaced_scan(CustomScanState *node)
{
	DisplacedScanState *state = (DisplacedScanState *) node;
	EPQState *epqstate = node->ss.ps.state->es_epq_active;
	int i = ((Scan *) node->ss.ps.plan)->scanrelid - 1;
	ExecAuxRowMark *mark;
	TupleTableSlot *result;

	if (epqstate == NULL || epqstate->relsubs_done[i] ||
		epqstate->relsubs_slot[i] != NULL || epqstate->relsubs_rowmark[i] == NULL)
		return ExecScan(&node->ss, next_displaced, recheck_displaced);

	mark = epqstate->relsubs_rowmark[i];
	if (!refetch(state, epqstate, mark))
		ExecClearTuple(state->refetched);
	/* ExecScan() uses either the slot or the row mark */
	epqstate->relsubs_slot[i] = state->refetched;
	epqstate->relsubs_rowmark[i] = NULL;
	result = ExecScan(&node->ss, next_displaced, recheck_displaced);
	epqstate->relsubs_slot[i] = NULL;
	epqstate->relsubs_rowmark[i] = mark;
	return result;
}

/*
 * Fetch the displaced row that EvalPlanQual rechecks.  Returns false if there is
 * none: the row is null-extended by an outer join, or is one of another partition.
 */
static bool
refetch(DisplacedScanState *state, EPQState *epqstate, const ExecAuxRowMark *mark)
{
	TupleTableSlot *stored;
	bool isnull;
	Datum tid = ExecGetJunkAttribute(epqstate->origslot, mark->ctidAttNo, &isnull);
	bool found;

	if (isnull)
		return false;
	stored = table_slot_create(state->displaced, NULL);
	found = fetch_version_at(state->displaced,
							 (ItemPointer) DatumGetPointer(tid), stored) &&
			displaced_relation(stored) == RelationGetRelid(state->table);
	if (found)
		read_displaced(state->reader, ExecFetchSlotHeapTuple(stored, false, NULL),
					   RelationGetDescr(state->displaced), state->refetched);
	ExecDropSingleTupleTableSlot(stored);
	return found;
}

/*
 * Return the next displaced tombstone of the table (access method of ExecScan()).
 */
static TupleTableSlot *
next_displaced(ScanState *node)
{
	DisplacedScanState *state = (DisplacedScanState *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	HeapTuple tuple;

	if (state->scan == NULL)
		state->scan =
			scan_displaced(state->displaced, RelationGetRelid(state->table),
						   NULL, node->ps.state->es_snapshot);
	tuple = systable_getnext(state->scan);
	if (HeapTupleIsValid(tuple))
		read_displaced(state->reader, tuple, RelationGetDescr(state->displaced), slot);
	else
		ExecClearTuple(slot);
	return slot;
}

/*
 * Return true: a row of soft_delete_internal.displaced is never updated, so it
 * still satisfies the conditions of the scan (recheck method of ExecScan()).
 */
static bool
recheck_displaced(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

/*
 * End the scan (EndCustomScan callback).
 */
static void
end_displaced_scan(CustomScanState *node)
{
	DisplacedScanState *state = (DisplacedScanState *) node;

	if (state->scan != NULL)
		systable_endscan(state->scan);
	node->ss.ss_currentRelation = state->table;
	table_close(state->displaced, NoLock);
}

/*
 * Begin again with the first row (ReScanCustomScan callback).
 */
static void
rescan_displaced(CustomScanState *node)
{
	DisplacedScanState *state = (DisplacedScanState *) node;

	if (state->scan != NULL)
		systable_endscan(state->scan);
	state->scan = NULL;
	ExecScanReScan(&node->ss);
}
