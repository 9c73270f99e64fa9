/*
 * filter.c
 *	  Adds the live filter to planned scans of tagged tables.
 *
 * The live filter is one more restriction of each base relation that is tagged:
 * "tombstone IS NULL".  It is part of the scan, below every join, implies the
 * predicates of partial indexes, and is not a security barrier.  Query texts and
 * stored views are not changed.  FROM t TABLESAMPLE soft_delete.rows('all' |
 * 'deleted' | 'live') selects the rows of one table reference, and becomes an
 * ordinary scan here.
 *
 * Invariant: a plan that may return a tombstone is for a role that may see the
 * tombstone, and is invalidated when that changes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tsmapi.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/appendinfo.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/plancat.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "plan/sd_plan.h"

static REL_HOOK_TYPE prev_rel_hook = NULL;
static get_relation_stats_hook_type prev_stats_hook = NULL;

/* State of a sample scan that did not become an ordinary scan */
typedef struct SampleState
{
	OffsetNumber last; /* the tuple of the block that was returned last */
} SampleState;

PG_FUNCTION_INFO_V1(soft_delete_rows);
PG_FUNCTION_INFO_V1(soft_delete_wants_row);
PG_FUNCTION_INFO_V1(soft_delete_costs_nothing);

/*
 * The relations of a query for which add_filter() was called, if planning began
 * before plan_statement() was installed.  It was not called for those that the
 * planner had built before it loaded the library.
 */
static PlannerInfo *late_root = NULL;
static Bitmapset *filtered_late = NULL;

/* Does an ALTER TABLE command run in which the server checks a new foreign key? */
static bool foreign_key_is_added = false;

static void add_filter(REL_HOOK_PARAMS);
static void note_filtered(PlannerInfo *root, Index relid);
static bool was_filtered(PlannerInfo *root, Index relid);
static void refuse_late_query(PlannerInfo *root, Relation relation, AttrNumber attnum);
static Expr *live_filter(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
						 AttrNumber attnum);
static bool is_child_of_new_key(RangeTblEntry *rte);
static Expr *sample_filter(PlannerInfo *root, RelOptInfo *rel,
						   RangeTblEntry *rte, NullTest *is_live);
static void check_sampling_privilege(PlannerInfo *root, RelOptInfo *rel,
									 RangeTblEntry *rte);
static bool inherits_filter(PlannerInfo *root, RelOptInfo *rel);
static void attach_filter(PlannerInfo *root, RelOptInfo *rel,
						  RangeTblEntry *rte, Expr *filter);
static void defer_costless_conditions(PlannerInfo *root, RelOptInfo *rel);
static bool costs_nothing(PlannerInfo *root, AppendRelInfo *member, Expr *clause);
static bool presume_live(PlannerInfo *root, RangeTblEntry *rte,
						 AttrNumber attnum, VariableStatData *vardata);
static HeapTuple presumed_statistics(Oid relid, AttrNumber attnum, bool inherited);

/*
 * Install the planner hooks.
 */
void
init_filter(void)
{
	prev_rel_hook = REL_HOOK;
	REL_HOOK = add_filter;
	prev_stats_hook = get_relation_stats_hook;
	get_relation_stats_hook = presume_live;
}

/*
 * Add the live filter to a relation of the query, if it is a tagged table
 * (get_relation_info hook or, from PostgreSQL 19 on, build_simple_rel hook).
 */
static void
add_filter(REL_HOOK_PARAMS)
{
	RangeTblEntry *scanned = root->simple_rte_array[rel->relid];

	if (prev_rel_hook)
		prev_rel_hook(REL_HOOK_ARGS);
	note_filtered(root, rel->relid);

	if (scanned->rtekind == RTE_RELATION &&
		(scanned->relkind == RELKIND_RELATION ||
		 scanned->relkind == RELKIND_PARTITIONED_TABLE))
	{
		Relation relation = table_open(scanned->relid, NoLock);
		AttrNumber attnum = tombstone_attribute(relation);
		Expr *filter = NULL;

		if (attnum != InvalidAttrNumber)
			refuse_late_query(root, relation, attnum);
		table_close(relation, NoLock);

		if (attnum == InvalidAttrNumber)
			filter = statistics_filter(rel, scanned->relid);
		else if (!inherits_filter(root, rel))
		{
			filter = live_filter(root, rel, scanned, attnum);
			hide_statistics(root, scanned);
		}
		if (filter != NULL)
			attach_filter(root, rel, scanned, filter);
	}
}

/*
 * Note that add_filter() was called for a relation of a query, if plan_statement()
 * was not called for the query.
 */
static void
note_filtered(PlannerInfo *root, Index relid)
{
	MemoryContext oldcontext;

	if (is_prepared_by_hook())
		return;
	oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	if (root != late_root)
	{
		bms_free(filtered_late);
		filtered_late = NULL;
		late_root = root;
	}
	filtered_late = bms_add_member(filtered_late, relid);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Was add_filter() called for a relation of the query?
 */
static bool
was_filtered(PlannerInfo *root, Index relid)
{
	return is_prepared_by_hook() ||
		   (root == late_root && bms_is_member(relid, filtered_late));
}

/*
 * Raise 55000 if a query cannot be answered in the planner run that has loaded the
 * library, for plan_statement() was not called: if it updates rows, of this table or
 * of another one, for it lacks the checks, or if it may depend on the tombstone column
 * without naming it.  A DELETE needs no checks.
 */
static void
refuse_late_query(PlannerInfo *root, Relation relation, AttrNumber attnum)
{
	CmdType command = root->parse->commandType;
	TupleDesc tupdesc = RelationGetDescr(relation);

	if (is_prepared_by_hook())
		return;
	if (command == CMD_UPDATE || command == CMD_MERGE)
		refuse_late_statement(relation, "change rows");
	for (; root != NULL; root = root->parent_root)
	{
		if (may_depend_on_column(root->parse,
								 NameStr(TupleDescAttr(tupdesc, attnum - 1)->attname)))
			refuse_late_statement(relation, "read whole rows");
	}
}

/*
 * Return the condition on the rows of one reference to a tagged table, or NULL if
 * it returns all rows.
 */
static Expr *
live_filter(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, AttrNumber attnum)
{
	NullTest *is_live =
		make_live_test(makeVar(rel->relid, attnum, get_atttype(rte->relid, attnum),
							   -1, InvalidOid, 0));

	if (rte->tablesample != NULL)
	{
		if (rte->tablesample->tsmhandler == extension_function(SAMPLING_METHOD))
			return sample_filter(root, rel, rte, is_live);
		note_sample();
	}

	/*
	 * Foreign keys are enforced for live rows, whatever the value of show_deleted.
	 * But their SELECT of the parent must find deleted parents in a maintenance
	 * session, which may load deleted children.
	 */
	if (InNoForceRLSOperation())
	{
		if (root->parse->commandType != CMD_SELECT)
			return (Expr *) is_live;
	}
	/* show_deleted does not apply to the table that a statement writes to */
	else if (shows_deleted() && rel->relid != root->parse->resultRelation)
		return NULL;

	/* a DELETE deletes live rows only, also in a maintenance session */
	if (root->parse->commandType == CMD_DELETE &&
		rel->relid == root->parse->resultRelation)
		return (Expr *) is_live;

	if ((is_maintenance(rte->relid) ||
		 (wants_whole_tables() && rel->relid != root->parse->resultRelation)) &&
		!is_child_of_new_key(rte))
	{
		root->glob->dependsOnRole = true;
		return make_live_or_call(is_live, SHOWS_TOMBSTONES, rte->relid);
	}
	if (sees_all_rows(rte->relid, OidIsValid(rel->userid) ? rel->userid : GetUserId()))
	{
		root->glob->dependsOnRole = true;
		return make_live_or_call(is_live, SEES_ALL_ROWS, rte->relid);
	}
	return (Expr *) is_live;
}

/*
 * Is this the referencing table in the query with which the server checks a new
 * foreign key?  That query must return live rows only, for deleted rows need not
 * have a parent.  It may return deleted rows of the referenced table: the
 * referencing table may not be tagged yet, for a dump restores tags in any order.
 */
static bool
is_child_of_new_key(RangeTblEntry *rte)
{
	return foreign_key_is_added && rte->alias != NULL &&
		   strcmp(rte->alias->aliasname, "fk") == 0;
}

/*
 * Note whether an ALTER TABLE command runs in which the server checks a new foreign
 * key.  Returns what was noted before.
 */
bool
set_foreign_key_is_added(bool is_added)
{
	bool before = foreign_key_is_added;

	foreign_key_is_added = is_added;
	return before;
}

/*
 * Replace TABLESAMPLE soft_delete.rows(which) by an ordinary scan, and return the
 * condition for the value of "which", or NULL for 'all'.
 *
 * Raises 42501 if the role may not see tombstones, 0A000 if "which" has references
 * to other tables.
 */
static Expr *
sample_filter(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, NullTest *is_live)
{
	Expr *which = linitial(rte->tablesample->args);

	check_sampling_privilege(root, rel, rte);
	/* the planner would look for such references in the sample, which is gone then */
	if (contain_vars_of_level((Node *) which, 0))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("argument of sampling method \"%s\" must not refer to other tables of the query",
							   "soft_delete.rows")));
	rte->tablesample = NULL;

	if (IsA(which, Const) && !((Const *) which)->constisnull)
	{
		char *word = TextDatumGetCString(((Const *) which)->constvalue);

		if (strcmp(word, "all") == 0)
			return NULL;
		if (strcmp(word, "live") == 0)
			return (Expr *) is_live;
		if (strcmp(word, "deleted") == 0)
		{
			is_live->nulltesttype = IS_NOT_NULL;
			return (Expr *) is_live;
		}
	}

	/* the value is known at execution only, or is not valid: the function raises then */
	return make_extension_call(WANTS_ROW, list_make2(which, is_live));
}

/*
 * Raise 42501 unless the role whose privileges apply to the relation, which is the
 * owner of the view if the relation is read through one, may see its tombstones.
 */
static void
check_sampling_privilege(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	Oid method = rte->tablesample->tsmhandler;
	Oid roleid = OidIsValid(rel->userid) ? rel->userid : GetUserId();
	PlanInvalItem *item = makeNode(PlanInvalItem);

	if (!may_see_tombstones(rte->relid, roleid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to see deleted rows of table \"%s\"",
						get_rel_name(rte->relid)),
				 errhint("GRANT EXECUTE ON FUNCTION soft_delete.rows(internal) TO %s;",
						 quote_identifier(GetUserNameFromId(roleid, false)))));

	/* the plan is invalid for another role, and when the privileges change */
	root->glob->dependsOnRole = true;
	item->cacheId = PROCOID;
	item->hashValue = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(method));
	root->glob->invalItems = lappend(root->glob->invalItems, item);
}

/*
 * Does the planner copy the restrictions of this relation from a tagged parent?
 * Then the filter, or the absence of one, is among them.
 */
static bool
inherits_filter(PlannerInfo *root, RelOptInfo *rel)
{
	RangeTblEntry *parent;
	Relation relation;
	bool tagged;
	Index parent_relid;

	if (rel->reloptkind != RELOPT_OTHER_MEMBER_REL)
		return false;

	parent_relid = root->append_rel_array[rel->relid]->parent_relid;
	parent = root->simple_rte_array[parent_relid];
	if (parent->rtekind != RTE_RELATION)
		return false; /* a member of UNION ALL */
	if (!was_filtered(root, parent_relid))
		return false; /* built before the library was loaded */

	relation = table_open(parent->relid, NoLock);
	tagged = tombstone_attribute(relation) != InvalidAttrNumber;
	table_close(relation, NoLock);
	return tagged;
}

/*
 * Add the filter to the restrictions of the relation.
 *
 * It is evaluated before those of a security barrier, which are anybody's where the
 * barrier is a view.  Elsewhere it has the level of the other conditions, for the least
 * level decides which of them may use an index.
 */
static void
attach_filter(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, Expr *filter)
{
	Index level = rte->securityQuals != NIL ? 0 : root->qual_security_level;

	/*
	 * The planner overwrites the restrictions of an appendrel member with its
	 * parent's after this hook, but adds the member's own security quals to
	 * them (apply_child_basequals).
	 */
	if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL)
	{
		if (rte->securityQuals == NIL)
			rte->securityQuals = list_make1(NIL);
		linitial(rte->securityQuals) = lappend(linitial(rte->securityQuals), filter);
		root->qual_security_level = Max(level, list_length(rte->securityQuals));
		defer_costless_conditions(root, rel);
		return;
	}

	rel->baserestrictinfo = lappend(rel->baserestrictinfo,
									make_scan_restrictinfo(root, filter, level));
	rel->baserestrict_min_security = Min(rel->baserestrict_min_security, level);
}

/*
 * Ensure that the filter of an appendrel member is evaluated before the conditions
 * of its parent.
 *
 * Conditions are evaluated in the order of their costs, and the filter costs
 * nothing.  But a coercion to a domain costs nothing either, nor does any condition
 * if cpu_operator_cost is 0.  Among conditions of equal cost, those of the parent
 * come first.  Such a condition could call a function that discloses its arguments,
 * so it must not be evaluated for a tombstone.  It gets a higher security level.
 */
static void
defer_costless_conditions(PlannerInfo *root, RelOptInfo *rel)
{
	AppendRelInfo *member = root->append_rel_array[rel->relid];
	ListCell *lc;

	foreach (lc, root->simple_rel_array[member->parent_relid]->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (costs_nothing(root, member, rinfo->clause))
			rinfo->security_level = Max(rinfo->security_level, 1);
	}
}

/*
 * Does a condition of the parent, or an operand of AND in it, cost nothing when it
 * is adjusted to the member and simplified?
 */
static bool
costs_nothing(PlannerInfo *root, AppendRelInfo *member, Expr *clause)
{
	Node *adjusted = adjust_appendrel_attrs(root, (Node *) clause, 1, &member);
	ListCell *lc;

	foreach (lc, make_ands_implicit((Expr *) eval_const_expressions(root, adjusted)))
	{
		QualCost cost;

		cost_qual_eval_node(&cost, lfirst(lc), root);
		if (cost.per_tuple <= 0)
			return true;
	}
	return false;
}

/*
 * soft_delete_internal.costs_nothing(internal) returns internal
 *
 * Planner support function of shows_tombstones(): says that it costs nothing, so
 * that the filter with this function is evaluated before all other conditions.
 */
Datum
soft_delete_costs_nothing(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);

	if (!IsA(request, SupportRequestCost))
		PG_RETURN_POINTER(NULL);
	((SupportRequestCost *) request)->startup = 0;
	((SupportRequestCost *) request)->per_tuple = 0;
	PG_RETURN_POINTER(request);
}

/*
 * Provide statistics of the tombstone column by which nearly all rows are live,
 * until ANALYZE has made some (get_relation_stats hook).  Without statistics the
 * planner assumes that nearly no value is null, and so that nearly no row is live.
 */
static bool
presume_live(PlannerInfo *root, RangeTblEntry *rte, AttrNumber attnum,
			 VariableStatData *vardata)
{
	Relation relation;
	bool is_tombstone;

	if (prev_stats_hook && prev_stats_hook(root, rte, attnum, vardata))
		return true;
	/*
	 * The hook is called for each column in a condition, and most of them have
	 * another type, or are analyzed.  It is also called without a type, for the
	 * cost of an index: that depends on the correlation, which cannot be assumed.
	 */
	if (rte->rtekind != RTE_RELATION || attnum <= 0 ||
		(vardata->atttype != TIMESTAMPTZOID && vardata->atttype != TIMESTAMPOID) ||
		SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(rte->relid),
							  Int16GetDatum(attnum), BoolGetDatum(rte->inh)))
		return false;

	relation = table_open(rte->relid, NoLock);
	is_tombstone = tombstone_attribute(relation) == attnum;
	table_close(relation, NoLock);
	if (!is_tombstone)
		return false;

	vardata->statsTuple = presumed_statistics(rte->relid, attnum, rte->inh);
	vardata->freefunc = heap_freetuple;
	return true;
}

/*
 * Return a row of pg_statistic by which nearly all values of a column are null: all
 * but the fraction of nulls that the planner assumes by default.
 */
static HeapTuple
presumed_statistics(Oid relid, AttrNumber attnum, bool inherited)
{
	Relation statistics = table_open(StatisticRelationId, AccessShareLock);
	Datum values[Natts_pg_statistic] = {0};
	bool nulls[Natts_pg_statistic] = {0};
	HeapTuple tuple;

	values[Anum_pg_statistic_starelid - 1] = ObjectIdGetDatum(relid);
	values[Anum_pg_statistic_staattnum - 1] = Int16GetDatum(attnum);
	values[Anum_pg_statistic_stainherit - 1] = BoolGetDatum(inherited);
	values[Anum_pg_statistic_stanullfrac - 1] =
		Float4GetDatum(1.0 - DEFAULT_UNK_SEL);
	values[Anum_pg_statistic_stawidth - 1] = Int32GetDatum(sizeof(TimestampTz));
	for (int i = 0; i < STATISTIC_NUM_SLOTS; i++)
	{
		nulls[Anum_pg_statistic_stanumbers1 - 1 + i] = true;
		nulls[Anum_pg_statistic_stavalues1 - 1 + i] = true;
	}
	tuple = heap_form_tuple(RelationGetDescr(statistics), values, nulls);
	table_close(statistics, AccessShareLock);
	return tuple;
}

/*
 * soft_delete_internal.wants_row(which text, is_live boolean) returns boolean
 *
 * Returns whether rows(which) includes a row.
 *
 * Raises 2202H if "which" is null, or not 'all', 'live' or 'deleted'.
 */
Datum
soft_delete_wants_row(PG_FUNCTION_ARGS)
{
	bool is_live = PG_GETARG_BOOL(1);
	char *which = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (which != NULL && strcmp(which, "all") == 0)
		PG_RETURN_BOOL(true);
	if (which != NULL && strcmp(which, "live") == 0)
		PG_RETURN_BOOL(is_live);
	if (which != NULL && strcmp(which, "deleted") == 0)
		PG_RETURN_BOOL(!is_live);

	ereport(ERROR, (errcode(ERRCODE_INVALID_TABLESAMPLE_ARGUMENT),
					errmsg("unrecognized argument of sampling method \"%s\": %s%s%s",
						   "soft_delete.rows", which ? "\"" : "",
						   which ? which : "null", which ? "\"" : ""),
					errdetail("It must be 'all', 'deleted' or 'live'.")));
	PG_RETURN_BOOL(false); /* keep compiler quiet */
}

/*
 * The sampling method soft_delete.rows().  The planner does not use it for a tagged
 * table.  For other tables, and in the one statement that was planned before the
 * library was loaded, it is a sample of 100 %.  So views that use it have a WHERE
 * clause too.
 */

/*
 * Estimate that the whole relation will be read (SampleScanGetSampleSize callback).
 */
static void
estimate_sample(PlannerInfo *root, RelOptInfo *baserel, List *paramexprs,
				BlockNumber *pages, double *tuples)
{
	*pages = baserel->pages;
	*tuples = baserel->tuples;
}

/*
 * Begin the sample scan (BeginSampleScan callback).  Raises 55000 unless the
 * argument is 'all': a sampling method cannot tell live rows from deleted ones.
 */
static void
begin_sample(SampleScanState *node, Datum *params, int nparams, uint32 seed)
{
	SampleState *state = node->tsm_state;
	char *which = TextDatumGetCString(params[0]);

	if (strcmp(which, "all") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not tagged, or the statement was planned before library \"%s\" was loaded",
						RelationGetRelationName(node->ss.ss_currentRelation),
						EXTENSION_NAME),
				 errdetail("Of a table that is not tagged, 'all' rows can be had. What is planned now hides deleted rows.")));

	if (state == NULL)
		node->tsm_state = state =
			MemoryContextAlloc(node->ss.ps.state->es_query_cxt, sizeof(SampleState));
	state->last = InvalidOffsetNumber;
}

/*
 * Return the next tuple of the block (NextSampleTuple callback).
 */
static OffsetNumber
next_sample_tuple(SampleScanState *node, BlockNumber blockno, OffsetNumber maxoffset)
{
	SampleState *state = node->tsm_state;

	state->last = (state->last >= maxoffset) ? InvalidOffsetNumber : state->last + 1;
	return state->last;
}

/*
 * soft_delete.rows(internal) returns tsm_handler
 *
 * Returns the routine of the sampling method.
 */
Datum
soft_delete_rows(PG_FUNCTION_ARGS)
{
	TsmRoutine *tsm = makeNode(TsmRoutine);

	tsm->parameterTypes = list_make1_oid(TEXTOID);
	tsm->repeatable_across_queries = true;
	tsm->repeatable_across_scans = true;
	tsm->SampleScanGetSampleSize = estimate_sample;
	tsm->BeginSampleScan = begin_sample;
	tsm->NextSampleTuple = next_sample_tuple;
	PG_RETURN_POINTER(tsm);
}
