/*
 * aside_scan.c
 *	  FROM t TABLESAMPLE soft_delete.rows('displaced'): reads the tombstones that
 *	  stepped aside as rows of their table.
 *
 * A custom scan takes the place of the sample scan.  The tableoid and ctid of its
 * rows are those of the row in soft_delete_internal.displaced, by which the bin's
 * functions and triggers find it.
 *
 * Invariant: the executor never looks for such a ctid in t: it is not in t that it
 * leads to that row.  There are three occasions on which it would, FOR UPDATE and
 * its kin, which are refused when they are planned; WHERE CURRENT OF, to which the
 * scan says that it reads soft_delete_internal.displaced; and EvalPlanQual, for which
 * the scan fetches its row by itself.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
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
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "storage/sd_storage.h"

/* State of the scan of a table's displaced tombstones */
typedef struct DisplacedScanState
{
	CustomScanState css;
	DisplacedReader *reader;
	Relation table; /* that they were taken from */
	Relation displaced;
	SysScanDesc scan;	   /* NULL before the first row */
	TupleTableSlot *again; /* the row that EvalPlanQual wants again */
} DisplacedScanState;

static set_rel_pathlist_hook_type prev_set_rel_pathlist_hook = NULL;

static void replace_sample_path(PlannerInfo *root, RelOptInfo *rel, Index rti,
								RangeTblEntry *rte);
static void refuse_locks(PlannerInfo *root, Index rti, RangeTblEntry *rte);
static Plan *plan_displaced_scan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
								 List *tlist, List *clauses, List *custom_plans);
static Node *create_displaced_scan(CustomScan *plan);
static void begin_displaced_scan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *execute_displaced_scan(CustomScanState *node);
static bool fetch_again(DisplacedScanState *state, EPQState *epqstate,
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
 * Install the planner hook and register the scan.
 */
void
init_aside_scan(void)
{
	prev_set_rel_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = replace_sample_path;
	RegisterCustomScanMethods(&scan_methods);
}

/*
 * Does the reference to a tagged table ask for its displaced tombstones?
 */
bool
samples_aside(RangeTblEntry *rte)
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
 * set_rel_pathlist hook: read displaced tombstones in place of a sample.
 */
static void
replace_sample_path(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	CustomPath *path;

	if (prev_set_rel_pathlist_hook)
		prev_set_rel_pathlist_hook(root, rel, rti, rte);
	if (rte->rtekind != RTE_RELATION || rte->inh || IS_DUMMY_REL(rel) ||
		!samples_aside(rte))
		return;
	refuse_locks(root, rti, rte);

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
 * Raise 0A000 if the statement wants to lock the rows: the executor would lock
 * what is at their places in the table.
 */
static void
refuse_locks(PlannerInfo *root, Index rti, RangeTblEntry *rte)
{
	PlanRowMark *mark = get_plan_rowmark(root->rowMarks, rti);

	if (mark == NULL || !RowMarkRequiresRowShareLock(mark->markType))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot lock deleted rows of table \"%s\" that stepped aside",
					get_rel_name(rte->relid)),
			 errdetail("They are not in the table any more."),
			 errhint("Read them without FOR UPDATE or FOR SHARE; what restores or purges them locks them.")));
}

/*
 * Make the plan of the scan.
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
 * Make the state of the scan.
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
 * Begin the scan.  WHERE CURRENT OF takes the place of a row for one in the scan's
 * current relation.
 */
static void
begin_displaced_scan(CustomScanState *node, EState *estate, int eflags)
{
	DisplacedScanState *state = (DisplacedScanState *) node;

	state->table = node->ss.ss_currentRelation;
	state->reader = make_displaced_reader(state->table);
	state->displaced = table_open(extension_relation("displaced"), AccessShareLock);
	state->again = ExecInitExtraTupleSlot(estate, RelationGetDescr(state->table),
										  &TTSOpsVirtual);
	node->ss.ss_currentRelation = state->displaced;
}

/*
 * Return the next row that passes the conditions.
 *
 * EvalPlanQual, which runs the plan again for rows that it has been run for, has
 * the scan return the same row again: ExecScan() would fetch it from the table, by
 * its place.  So it finds the row fetched.
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
	if (!fetch_again(state, epqstate, mark))
		ExecClearTuple(state->again);
	/* it takes one or the other */
	epqstate->relsubs_slot[i] = state->again;
	epqstate->relsubs_rowmark[i] = NULL;
	result = ExecScan(&node->ss, next_displaced, recheck_displaced);
	epqstate->relsubs_slot[i] = NULL;
	epqstate->relsubs_rowmark[i] = mark;
	return result;
}

/*
 * Fetch the row that the row at hand was made of.  Returns false if that was none
 * of this table: null-extended by an outer join, or of another partition.
 */
static bool
fetch_again(DisplacedScanState *state, EPQState *epqstate, const ExecAuxRowMark *mark)
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
			DatumGetObjectId(slot_getattr(stored, DISPLACED_RELATION, &isnull)) ==
				RelationGetRelid(state->table);
	if (found)
		read_displaced(state->reader, ExecFetchSlotHeapTuple(stored, false, NULL),
					   RelationGetDescr(state->displaced), state->again);
	ExecDropSingleTupleTableSlot(stored);
	return found;
}

/*
 * Return the next displaced tombstone of the table.
 */
static TupleTableSlot *
next_displaced(ScanState *node)
{
	DisplacedScanState *state = (DisplacedScanState *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	HeapTuple tuple;

	if (state->scan == NULL)
	{
		ScanKeyData key;

		ScanKeyInit(&key, DISPLACED_RELATION, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(RelationGetRelid(state->table)));
		state->scan =
			systable_beginscan(state->displaced,
							   get_relname_relid("displaced_relation_deleted_at_idx",
												 RelationGetNamespace(state->displaced)),
							   true, node->ps.state->es_snapshot, 1, &key);
	}
	tuple = systable_getnext(state->scan);
	if (HeapTupleIsValid(tuple))
		read_displaced(state->reader, tuple, RelationGetDescr(state->displaced), slot);
	else
		ExecClearTuple(slot);
	return slot;
}

/*
 * A row of soft_delete_internal.displaced never changes.
 */
static bool
recheck_displaced(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

/*
 * End the scan.
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
 * Start again from the first row.
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
