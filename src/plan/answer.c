/*
 * answer.c
 *	  Answers statements that ask about the column of a bridge by that column alone.
 *
 * An application that deletes softly by itself tells live rows from deleted ones by its
 * own column.  A reference to a bridged table gets no live filter where the statement asks
 * about that column: in WHERE, ON or HAVING, in the condition or the SET of an UPDATE or
 * MERGE, at any place of an expression there.  It becomes one to FROM t TABLESAMPLE
 * soft_delete.rows('all') for that, before the statement is planned.  The filter stays where
 * the condition itself demands a live row, for the indexes on live rows need it.
 *
 * A column of a subquery, view or WITH query is followed to its table.  Stored views and
 * the texts of functions are not changed.
 *
 * Invariant: nobody sees a tombstone that TABLESAMPLE would not show to him.  Who asks
 * about the column of a view must have the right himself, beside the owner of the view.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "plan/sd_plan.h"

/* A reference of a statement to a bridged table */
typedef struct BridgedRange
{
	RangeTblEntry *rte;
	Query *query; /* that has it */
	Bridge *bridge;
	bool is_asked;			/* is the column asked about? */
	bool is_asked_by_outer; /* by another query than that which has it? */
	bool is_live; /* does the condition of the query demand a live row? */
} BridgedRange;

/* What the tree walkers share */
typedef struct AnswerContext
{
	const QueryLevel *level; /* the query that the walker is in */
	bool in_condition;
	ParamListInfo params;
	List *ranges; /* BridgedRange */
} AnswerContext;

static bool answer_walker(Node *node, AnswerContext *context);
static void walk_level(Query *query, AnswerContext *context);
static void walk_conditions(Query *query, AnswerContext *context);
static void walk_set(Query *query, List *targets, AnswerContext *context);
static BridgedRange *bridged_range(AnswerContext *context, Query *query,
								   RangeTblEntry *rte);
static void note_asked(AnswerContext *context, const QueryLevel *level,
					   Var *var, bool by_outer);
static void note_source(AnswerContext *context, const QueryLevel *level,
						Node *source, AttrNumber resno, bool by_outer);
static void find_live_ranges(AnswerContext *context, Query *query, Node *node,
							 List *conditions);
static List *with_conditions(List *conditions, Node *quals);
static bool may_answer(const BridgedRange *range);
static void sample(RangeTblEntry *rte, const char *which);

/*
 * Decide which references of a statement to bridged tables get no live filter.  Returns
 * whether the plan depends on the role.
 */
bool
answer_by_bridges(Query *parse, ParamListInfo params)
{
	AnswerContext context = {.params = params};
	ListCell *lc;

	if (!any_bridge() || InNoForceRLSOperation())
		return false;
	walk_level(parse, &context);
	foreach (lc, context.ranges)
	{
		const BridgedRange *range = lfirst(lc);

		if (range->is_live &&
			sees_all_rows(range->rte->relid, role_of_range(range->query, range->rte)))
			sample(range->rte, "live");
		else if (range->is_asked && !range->is_live && may_answer(range))
			sample(range->rte, "all");
	}
	return context.ranges != NIL;
}

/*
 * Would answer_by_bridges() look at the query?
 */
bool
reads_bridged_table(Query *query)
{
	AnswerContext context = {0};

	if (!any_bridge())
		return false;
	walk_level(query, &context);
	return context.ranges != NIL;
}

/*
 * Make a plan invalid for another role, and when the privilege to see tombstones changes.
 */
void
depend_on_role(PlannedStmt *stmt)
{
	PlanInvalItem *item = makeNode(PlanInvalItem);

	item->cacheId = PROCOID;
	item->hashValue =
		GetSysCacheHashValue1(PROCOID,
							  ObjectIdGetDatum(needed_function(SAMPLING_METHOD)));
	stmt->invalItems = lappend(stmt->invalItems, item);
	stmt->dependsOnRole = true;
}

/*
 * Does a range table entry ask for all rows of its table, live or not?
 */
bool
samples_all_rows(const RangeTblEntry *rte)
{
	Const *which;

	if (rte->tablesample == NULL ||
		rte->tablesample->tsmhandler != extension_function(SAMPLING_METHOD))
		return false;
	which = linitial(rte->tablesample->args);
	return IsA(which, Const) && !which->constisnull &&
		   strcmp(TextDatumGetCString(which->constvalue), "all") == 0;
}

/*
 * Look at the queries in an expression and, in a condition, at its columns (tree walker).
 */
static bool
answer_walker(Node *node, AnswerContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		walk_level((Query *) node, context);
		return false;
	}
	if (IsA(node, Var) && context->in_condition)
		note_asked(context, context->level, (Var *) node, false);
	return expression_tree_walker(node, answer_walker, context);
}

/*
 * Look at a query within the current one.
 */
static void
walk_level(Query *query, AnswerContext *context)
{
	/* it stays, for sources of columns refer to it */
	QueryLevel *level = palloc(sizeof(QueryLevel));
	bool before = context->in_condition;
	ListCell *lc;

	check_stack_depth();
	level->query = query;
	level->outer = context->level;
	context->level = level;

	foreach (lc, query->rtable)
		(void) bridged_range(context, query, lfirst_node(RangeTblEntry, lc));
	context->in_condition = true;
	walk_conditions(query, context);
	context->in_condition = false;

	(void) answer_walker((Node *) query->targetList, context);
	(void) answer_walker((Node *) query->returningList, context);
	(void) answer_walker((Node *) query->onConflict, context);
	(void) answer_walker(query->limitOffset, context);
	(void) answer_walker(query->limitCount, context);
	foreach (lc, query->cteList)
		(void) answer_walker(lfirst_node(CommonTableExpr, lc)->ctequery, context);
	foreach (lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_SUBQUERY)
			walk_level(rte->subquery, context);
		(void) answer_walker((Node *) rte->functions, context);
		(void) answer_walker((Node *) rte->values_lists, context);
	}
	if (context->ranges != NIL)
		find_live_ranges(context, query, (Node *) query->jointree, NIL);

	context->in_condition = before;
	context->level = level->outer;
}

/*
 * Look at the conditions of a query, and at what it sets.
 */
static void
walk_conditions(Query *query, AnswerContext *context)
{
	ListCell *lc;

	(void) answer_walker((Node *) query->jointree, context);
	(void) answer_walker(query->havingQual, context);
	(void) answer_walker(merge_condition(query), context);
	if (query->commandType == CMD_UPDATE)
		walk_set(query, query->targetList, context);
	foreach (lc, query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, lc);

		(void) answer_walker(action->qual, context);
		if (action->commandType == CMD_UPDATE)
			walk_set(query, action->targetList, context);
	}
}

/*
 * Look at what a query sets in existing rows of its target.
 */
static void
walk_set(Query *query, List *targets, AnswerContext *context)
{
	RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	BridgedRange *range = bridged_range(context, query, rte);
	ListCell *lc;

	foreach (lc, targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (target->resjunk)
			continue;
		if (range != NULL && target->resno == range->bridge->attnum)
			range->is_asked = true;
		(void) answer_walker((Node *) target->expr, context);
	}
}

/*
 * Return what is noted of a range table entry of a query, or NULL if it is not of a
 * bridged table, names the rows that it reads, or is the target of a DELETE: that
 * deletes live rows.
 */
static BridgedRange *
bridged_range(AnswerContext *context, Query *query, RangeTblEntry *rte)
{
	BridgedRange *range;
	Relation rel;
	ListCell *lc;

	if (rte->rtekind != RTE_RELATION || rte->tablesample != NULL ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_PARTITIONED_TABLE) ||
		!is_bridged(rte->relid) ||
		(query->commandType == CMD_DELETE &&
		 rte == rt_fetch(query->resultRelation, query->rtable)))
		return NULL;
	foreach (lc, context->ranges)
	{
		range = lfirst(lc);
		if (range->rte == rte)
			return range;
	}
	rel = table_open(rte->relid, NoLock);
	range = palloc0(sizeof(BridgedRange));
	range->rte = rte;
	range->query = query;
	/* where tombstones are aside, the statement reads live rows, as it is */
	range->bridge = keeps_aside(rel) ? NULL : bridge_of(rel);
	table_close(rel, NoLock);
	if (range->bridge == NULL)
		return NULL;
	context->ranges = lappend(context->ranges, range);
	return range;
}

/*
 * Note that a condition asks about a variable of the query at "level".
 */
static void
note_asked(AnswerContext *context, const QueryLevel *level, Var *var, bool by_outer)
{
	const QueryLevel *source_level = level;
	Node *source = source_of(&source_level, var);
	RangeTblEntry *rte = range_of(&level, var);

	if (rte == NULL)
		return;
	if (source != NULL)
		note_source(context, source_level, source, var->varattno,
					by_outer || rte->rtekind == RTE_SUBQUERY ||
						rte->rtekind == RTE_CTE);
	else if (rte->rtekind == RTE_RELATION)
	{
		BridgedRange *range = bridged_range(context, level->query, rte);

		if (range == NULL || var->varattno != range->bridge->attnum)
			return;
		range->is_asked = true;
		range->is_asked_by_outer = range->is_asked_by_outer || by_outer;
	}
}

/*
 * Note that a condition asks about the expression that a column stands for, or about a
 * column of a set operation.
 */
static void
note_source(AnswerContext *context, const QueryLevel *level, Node *source,
			AttrNumber resno, bool by_outer)
{
	ListCell *lc;

	check_stack_depth();
	if (IsA(source, SetOperationStmt))
	{
		note_source(context, level, ((SetOperationStmt *) source)->larg, resno,
					by_outer);
		note_source(context, level, ((SetOperationStmt *) source)->rarg, resno,
					by_outer);
		return;
	}
	if (IsA(source, RangeTblRef))
	{
		RangeTblEntry *rte =
			rt_fetch(((RangeTblRef *) source)->rtindex, level->query->rtable);

		source = output_of(&level, rte->subquery, resno);
		if (source != NULL)
			note_source(context, level, source, resno, by_outer);
		return;
	}
	foreach (lc, pull_vars_of_level(source, 0))
	{
		Var *var = lfirst_node(Var, lc);

		/* else it is in a query of the expression, which is looked at by itself */
		if (var->varlevelsup == 0)
			note_asked(context, level, var, by_outer);
	}
}

/*
 * Find the references to bridged tables of which the conditions of the query demand live
 * rows, and nothing but them.  "conditions" are those that each row below the node of FROM
 * must satisfy, and that were not made from a row of nulls.
 */
static void
find_live_ranges(AnswerContext *context, Query *query, Node *node, List *conditions)
{
	ListCell *lc;

	if (IsA(node, FromExpr))
	{
		FromExpr *from = (FromExpr *) node;

		conditions = with_conditions(conditions, from->quals);
		foreach (lc, from->fromlist)
			find_live_ranges(context, query, lfirst(lc), conditions);
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr *join = (JoinExpr *) node;
		List *own = with_conditions(NIL, join->quals);
		List *all = list_concat_copy(conditions, own);
		bool inner = join->jointype == JOIN_INNER;

		find_live_ranges(context, query, join->larg,
						 inner							? all
						 : join->jointype == JOIN_LEFT	? conditions
						 : join->jointype == JOIN_RIGHT ? own
														: NIL);
		find_live_ranges(context, query, join->rarg,
						 inner							? all
						 : join->jointype == JOIN_LEFT	? own
						 : join->jointype == JOIN_RIGHT ? conditions
														: NIL);
	}
	else if (IsA(node, RangeTblRef))
	{
		int varno = ((RangeTblRef *) node)->rtindex;
		BridgedRange *range =
			bridged_range(context, query, rt_fetch(varno, query->rtable));

		foreach (lc, range != NULL ? conditions : NIL)
			range->is_live =
				range->is_live ||
				demands_live(lfirst(lc), varno, range->bridge, context->params);
	}
}

/*
 * Add the operands of AND in a condition to a list.
 */
static List *
with_conditions(List *conditions, Node *quals)
{
	return list_concat_copy(conditions, make_ands_implicit((Expr *) quals));
}

/*
 * May the statement that asks about the column of a bridge see the tombstones?
 *
 * The role whose rights apply to the table is the owner of a view where that reads it.  What
 * asks from outside of the view does it for the current user.  So does what sets
 * columns of the view.
 */
static bool
may_answer(const BridgedRange *range)
{
	Oid relid = range->rte->relid;
	bool is_target =
		range->query->resultRelation > 0 &&
		range->rte == rt_fetch(range->query->resultRelation, range->query->rtable);

	return may_see_tombstones(relid, role_of_range(range->query, range->rte)) &&
		   ((!range->is_asked_by_outer && !is_target) ||
			may_see_tombstones(relid, GetUserId()));
}

/*
 * Have a range table entry sampled by soft_delete.rows(which).
 */
static void
sample(RangeTblEntry *rte, const char *which)
{
	rte->tablesample = makeNode(TableSampleClause);
	rte->tablesample->tsmhandler = needed_function(SAMPLING_METHOD);
	rte->tablesample->args =
		list_make1(makeConst(TEXTOID, -1, InvalidOid, -1,
							 CStringGetTextDatum(which), false, false));
}
