/*
 * filter.c
 *	  Lets planned scans of tagged tables see live rows only.
 *
 * Each base relation that is tagged gets one more restriction, "tombstone IS
 * NULL", at the scan itself: below every join, provable against partial
 * indexes, and no security barrier.  No query text or stored view changes.
 * FROM t TABLESAMPLE soft_delete.rows('all' | 'deleted' | 'live') is the
 * exemption for one table reference; this file turns it into an ordinary scan.
 *
 * Invariant: a plan that may return a tombstone was asked for by a role that
 * may see it, and depends on what allowed it.
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

#if PG_VERSION_NUM < 190000
static get_relation_info_hook_type prev_rel_hook = NULL;
#else
static build_simple_rel_hook_type prev_rel_hook = NULL;
#endif
static get_relation_stats_hook_type prev_stats_hook = NULL;

/* Where a sample scan is that runs after all */
typedef struct SampleState
{
	OffsetNumber last;
	bool is_empty;
} SampleState;

PG_FUNCTION_INFO_V1(soft_delete_rows);
PG_FUNCTION_INFO_V1(soft_delete_wants_row);
PG_FUNCTION_INFO_V1(soft_delete_costs_nothing);

/*
 * Which relations of a query that was not prepared by plan_statement() have come
 * by here: those that were built before the library was loaded have not.
 */
static PlannerInfo *late_root = NULL;
static Bitmapset *seen_late = NULL;

/* Does an ALTER TABLE run that has the server check a foreign key? */
static bool foreign_key_is_added = false;

static void restrict_rel(REL_HOOK_PARAMS);
static void note_seen(PlannerInfo *root, Index relid);
static bool was_seen(PlannerInfo *root, Index relid);
static void check_late_write(PlannerInfo *root, Relation relation);
static Expr *live_filter(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
						 AttrNumber attnum);
static bool refers_by_new_key(RangeTblEntry *rte);
static Expr *sample_filter(PlannerInfo *root, RelOptInfo *rel,
						   RangeTblEntry *rte, Expr *is_live);
static void require_sampling_right(PlannerInfo *root, RelOptInfo *rel,
								   RangeTblEntry *rte);
static bool inherits_filter(PlannerInfo *root, RelOptInfo *rel);
static void attach_filter(PlannerInfo *root, RelOptInfo *rel,
						  RangeTblEntry *rte, Expr *filter);
static void defer_free_conditions(PlannerInfo *root, RelOptInfo *rel);
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
	REL_HOOK = restrict_rel;
	prev_stats_hook = get_relation_stats_hook;
	get_relation_stats_hook = presume_live;
}

/*
 * Add the live filter to a relation of the query, if it is a tagged table.
 */
static void
restrict_rel(REL_HOOK_PARAMS)
{
	RangeTblEntry *scanned = root->simple_rte_array[rel->relid];

	if (prev_rel_hook)
		prev_rel_hook(REL_HOOK_ARGS);
	note_seen(root, rel->relid);

	if (scanned->rtekind == RTE_RELATION &&
		(scanned->relkind == RELKIND_RELATION ||
		 scanned->relkind == RELKIND_PARTITIONED_TABLE))
	{
		Relation relation = table_open(scanned->relid, NoLock);
		AttrNumber attnum = tombstone_attribute(relation);
		Expr *filter = NULL;

		if (attnum != InvalidAttrNumber)
			check_late_write(root, relation);
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
 * Note that a relation of a query has come by here, if that was not prepared.
 */
static void
note_seen(PlannerInfo *root, Index relid)
{
	MemoryContext oldcontext;

	if (is_prepared_by_hook())
		return;
	oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	if (root != late_root)
	{
		bms_free(seen_late);
		seen_late = NULL;
		late_root = root;
	}
	seen_late = bms_add_member(seen_late, relid);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Has a relation of the query come by here, and got its filter?
 */
static bool
was_seen(PlannerInfo *root, Index relid)
{
	return is_prepared_by_hook() ||
		   (root == late_root && bms_is_member(relid, seen_late));
}

/*
 * Raise 55000 if a query changes rows, of this table or of another one, in the
 * planner run that has loaded the library: it was not prepared (write.c).  A
 * DELETE needs no preparation.
 */
static void
check_late_write(PlannerInfo *root, Relation relation)
{
	CmdType command = root->parse->commandType;

	if (!is_prepared_by_hook() && (command == CMD_UPDATE || command == CMD_MERGE))
		refuse_late_write(relation);
}

/*
 * Return the condition on the rows of one reference to a tagged table, or NULL
 * if it shows them all.
 */
static Expr *
live_filter(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, AttrNumber attnum)
{
	NullTest *is_live = makeNode(NullTest);

	is_live->arg =
		(Expr *) makeVar(rel->relid, attnum, get_atttype(rte->relid, attnum),
						 -1, InvalidOid, 0);
	is_live->nulltesttype = IS_NULL;
	is_live->argisrow = false;
	is_live->location = -1;

	if (rte->tablesample != NULL &&
		rte->tablesample->tsmhandler == extension_function(SAMPLING_METHOD))
		return sample_filter(root, rel, rte, (Expr *) is_live);

	/*
	 * Referential integrity is about live rows, whatever show_deleted says.
	 * But deleted children that a maintenance session loads have deleted
	 * parents.
	 */
	if (InNoForceRLSOperation())
	{
		if (root->parse->commandType != CMD_SELECT)
			return (Expr *) is_live;
	}
	/* it shows: what a statement writes to is not its business */
	else if (shows_deleted() && rel->relid != root->parse->resultRelation)
		return NULL;

	/* a DELETE takes live rows, whether the tag fires or not */
	if (root->parse->commandType == CMD_DELETE &&
		rel->relid == root->parse->resultRelation)
		return (Expr *) is_live;

	if ((is_maintenance(rte->relid) ||
		 (wants_whole_tables() && rel->relid != root->parse->resultRelation)) &&
		!refers_by_new_key(rte))
	{
		Const *relid = makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
								 ObjectIdGetDatum(rte->relid), false, true);
		FuncExpr *exempt = makeFuncExpr(needed_function(SHOWS_TOMBSTONES),
										BOOLOID, list_make1(relid), InvalidOid,
										InvalidOid, COERCE_EXPLICIT_CALL);

		root->glob->dependsOnRole = true;
		return makeBoolExpr(OR_EXPR, list_make2(is_live, exempt), -1);
	}
	return (Expr *) is_live;
}

/*
 * Is that the referencing table in the server's query for the orphans of a foreign
 * key that is added?  It is about live rows.  Deleted rows of the referenced table
 * count, for the other one may not be tagged yet: a dump restores tags in any order.
 */
static bool
refers_by_new_key(RangeTblEntry *rte)
{
	return foreign_key_is_added && rte->alias != NULL &&
		   strcmp(rte->alias->aliasname, "fk") == 0;
}

/*
 * Tell that an ALTER TABLE runs that has the server check a foreign key, or not.
 * Returns what was told before.
 */
bool
set_foreign_key_is_added(bool is_added)
{
	bool before = foreign_key_is_added;

	foreign_key_is_added = is_added;
	return before;
}

/*
 * Turn TABLESAMPLE soft_delete.rows(which) into an ordinary scan, and return
 * the condition that "which" stands for, or NULL for 'all'.
 */
static Expr *
sample_filter(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, Expr *is_live)
{
	Expr *which = linitial(rte->tablesample->args);

	require_sampling_right(root, rel, rte);
	/* the planner looks for such references later, where the sample was */
	if (contain_vars_of_level((Node *) which, 0))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("argument of sampling method \"%s\" must not refer to other tables of the query",
							   "soft_delete.rows")));
	if (samples_displaced(rte))
		return NULL; /* displaced.c reads something else */
	rte->tablesample = NULL;

	if (IsA(which, Const) && !((Const *) which)->constisnull)
	{
		char *word = TextDatumGetCString(((Const *) which)->constvalue);

		if (strcmp(word, "all") == 0)
			return NULL;
		if (strcmp(word, "live") == 0)
			return is_live;
		if (strcmp(word, "deleted") == 0)
		{
			((NullTest *) is_live)->nulltesttype = IS_NOT_NULL;
			return is_live;
		}
	}

	/* not known before execution, or wrong: the function finds out */
	return (Expr *) makeFuncExpr(needed_function(WANTS_ROW), BOOLOID,
								 list_make2(which, is_live), InvalidOid,
								 InvalidOid, COERCE_EXPLICIT_CALL);
}

/*
 * Raise 42501 unless the role on whose behalf the relation is read, which is
 * the owner of the view where there is one, may see its tombstones.
 */
static void
require_sampling_right(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
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

	/* plan again for another role, and when the grant changes */
	root->glob->dependsOnRole = true;
	item->cacheId = PROCOID;
	item->hashValue = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(method));
	root->glob->invalItems = lappend(root->glob->invalItems, item);
}

/*
 * Does the planner copy this relation's restrictions from a tagged parent?
 * Then the filter, or the exemption from it, comes with them.
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
	if (!was_seen(root, parent_relid))
		return false; /* built before the library was loaded */

	relation = table_open(parent->relid, NoLock);
	tagged = tombstone_attribute(relation) != InvalidAttrNumber;
	table_close(relation, NoLock);
	return tagged;
}

/*
 * Add the filter to what the scan of the relation checks.
 */
static void
attach_filter(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, Expr *filter)
{
	Index level = root->qual_security_level;

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
		defer_free_conditions(root, rel);
		return;
	}

	rel->baserestrictinfo = lappend(rel->baserestrictinfo,
									make_scan_restrictinfo(root, filter, level));
	rel->baserestrict_min_security = Min(rel->baserestrict_min_security, level);
}

/*
 * See to it that the filter of an appendrel member is checked first.
 *
 * Conditions are checked in the order of what they cost, and the filter costs
 * nothing.  Nor does what coerces to a domain, nor anything else, once
 * cpu_operator_cost is 0, and the parent's conditions come before the member's own.
 * One that may tell what it is given must not meet a tombstone.
 */
static void
defer_free_conditions(PlannerInfo *root, RelOptInfo *rel)
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
 * Does a condition of the parent, or a part of it, cost nothing, once the member's
 * columns and constants are in it?
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
 * Planner support for shows_tombstones(): it costs nothing, so that the filter that
 * it is part of comes before all other conditions.
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
 * Have nearly all rows taken for live as long as no ANALYZE has looked at the
 * tombstone column.  The planner would take nearly none for null: the table
 * would seem to be two hundred times smaller once it is tagged.
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
	 * Asked of each column that a condition is on: most have another type, or
	 * are analyzed.  Who costs an index says no type, and wants what no guess
	 * has, the correlation.
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
 * Make up the row of pg_statistic that says so: the server's own guess, the
 * other way round.
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
 * Tells whether rows(which) includes a row.  Raises 2202H for a word that it
 * does not know, and for null.
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
					errhint("Use rows('all'), rows('deleted') or rows('live').")));
	PG_RETURN_BOOL(false); /* keep compiler quiet */
}

/*
 * The sampling method itself.  On a tagged table the planner never gets as far
 * as using it; elsewhere, and in the one statement that was planned before the
 * library was loaded, it is an honest sample of 100 %, so a view that uses it
 * has a WHERE clause of its own.
 */

/*
 * Estimate that the whole relation will be read, or the few rows that stepped
 * aside.
 */
static void
estimate_sample(PlannerInfo *root, RelOptInfo *baserel, List *paramexprs,
				BlockNumber *pages, double *tuples)
{
	*pages = baserel->pages;
	*tuples = baserel->tuples;
	if (samples_displaced(planner_rt_fetch(baserel->relid, root)))
	{
		*pages = 1;
		*tuples = 100;
	}
}

/*
 * Begin the sample scan.  Raises 55000 where 'live' or 'deleted' was asked for,
 * which a sampling method cannot tell apart.
 */
static void
begin_sample(SampleScanState *node, Datum *params, int nparams, uint32 seed)
{
	SampleState *state = node->tsm_state;
	char *which = TextDatumGetCString(params[0]);

	if (strcmp(which, "all") != 0 && strcmp(which, "displaced") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not tagged, or the statement was planned before library \"%s\" was loaded",
						RelationGetRelationName(node->ss.ss_currentRelation),
						"soft_delete"),
				 errhint("Use rows('all'), or run the statement again.")));

	if (state == NULL)
		node->tsm_state = state =
			MemoryContextAlloc(node->ss.ps.state->es_query_cxt, sizeof(SampleState));
	state->last = InvalidOffsetNumber;
	state->is_empty = strcmp(which, "displaced") == 0;
}

/*
 * Return the next tuple of the block: all of them, one after the other.  What
 * stepped aside is not in the table.
 */
static OffsetNumber
next_sample_tuple(SampleScanState *node, BlockNumber blockno, OffsetNumber maxoffset)
{
	SampleState *state = node->tsm_state;

	if (state->is_empty)
		return InvalidOffsetNumber;
	state->last = (state->last >= maxoffset) ? InvalidOffsetNumber : state->last + 1;
	return state->last;
}

/*
 * soft_delete.rows(internal) returns tsm_handler
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
