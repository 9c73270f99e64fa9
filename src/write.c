/*
 * write.c
 *	  Prepares statements that write to tagged tables for the planner.
 *
 * Two things are added to an INSERT, UPDATE or MERGE:
 * - ON CONFLICT (columns) learns the predicate of the partial unique indexes,
 *   so that they are inferred as the constraint was;
 * - a check on the new row that refuses to set the tombstone column by hand.
 *   It is a WithCheckOption of the kind that row security uses, evaluated after
 *   BEFORE triggers.  A BEFORE UPDATE trigger would do the same at the price of
 *   locking every row first (measured: 10 to 25 % of the rate of single-row
 *   updates); the check costs nothing that can be measured.
 */
#include "soft_delete.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rls.h"

static planner_hook_type prev_planner_hook = NULL;

/* The value of row_security that cached plans were made under. */
static bool planned_row_security = true;

static PlannedStmt *plan_statement(PLANNER_PARAMS);
static void prepare_write(Query *query);
static void add_arbiter_predicate(Query *query, NullTest *is_live);
static void add_guard(Query *query, RangeTblEntry *rte, NullTest *is_live);

/*
 * Install the planner hook.
 */
void
init_write(void)
{
	prev_planner_hook = planner_hook;
	planner_hook = plan_statement;
}

/*
 * Prepare the writes of a statement, at its top and in its WITH list, and plan
 * it.
 */
static PlannedStmt *
plan_statement(PLANNER_PARAMS)
{
	/* who is exempt depends on row_security, and plans have that built in */
	if (row_security != planned_row_security)
	{
		planned_row_security = row_security;
		ResetPlanCache();
	}

	if (parse->commandType != CMD_SELECT || parse->hasModifyingCTE)
	{
		ListCell *lc;

		prepare_write(parse);
		foreach (lc, parse->cteList)
			prepare_write(castNode(Query, lfirst_node(CommonTableExpr, lc)->ctequery));
	}

	if (prev_planner_hook)
		return prev_planner_hook(PLANNER_ARGS);
	return standard_planner(PLANNER_ARGS);
}

/*
 * Prepare one query, if it inserts or updates rows of a tagged table.
 */
static void
prepare_write(Query *query)
{
	RangeTblEntry *rte;
	Relation relation;
	AttrNumber attnum;

	if ((query->commandType != CMD_INSERT && query->commandType != CMD_UPDATE &&
		 query->commandType != CMD_MERGE) ||
		query->resultRelation == 0)
		return;

	rte = rt_fetch(query->resultRelation, query->rtable);
	if (rte->rtekind != RTE_RELATION || (rte->relkind != RELKIND_RELATION &&
										 rte->relkind != RELKIND_PARTITIONED_TABLE))
		return;

	relation = table_open(rte->relid, NoLock);
	attnum = tombstone_attribute(relation);
	table_close(relation, NoLock);

	if (attnum != InvalidAttrNumber)
	{
		NullTest *is_live = makeNode(NullTest);

		is_live->arg =
			(Expr *) makeVar(query->resultRelation, attnum,
							 get_atttype(rte->relid, attnum), -1, InvalidOid, 0);
		is_live->nulltesttype = IS_NULL;
		is_live->argisrow = false;
		is_live->location = -1;

		add_arbiter_predicate(query, is_live);
		add_guard(query, rte, is_live);
	}
}

/*
 * Let ON CONFLICT (columns) infer unique indexes on live rows.  One without
 * that predicate is still inferred too.
 */
static void
add_arbiter_predicate(Query *query, NullTest *is_live)
{
	OnConflictExpr *conflict = query->onConflict;

	if (conflict != NULL && conflict->arbiterElems != NIL)
		conflict->arbiterWhere =
			make_and_qual(conflict->arbiterWhere, copyObject((Node *) is_live));
}

/*
 * Check each new row: "tombstone IS NULL OR admits_tombstone(relation)".
 */
static void
add_guard(Query *query, RangeTblEntry *rte, NullTest *is_live)
{
	static const WCOKind kinds[] = {WCO_RLS_INSERT_CHECK, WCO_RLS_UPDATE_CHECK};
	Const *relid = makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
							 ObjectIdGetDatum(rte->relid), false, true);
	FuncExpr *admits = makeFuncExpr(extension_function(ADMITS_TOMBSTONE),
									BOOLOID, list_make1(relid), InvalidOid,
									InvalidOid, COERCE_EXPLICIT_CALL);
	Expr *guard = makeBoolExpr(OR_EXPR, list_make2(is_live, admits), -1);

	for (int i = 0; i < lengthof(kinds); i++)
	{
		WithCheckOption *check = makeNode(WithCheckOption);

		check->kind = kinds[i];
		check->relname = get_rel_name(rte->relid);
		check->polname = NULL;
		check->qual = copyObject((Node *) guard);
		check->cascaded = false;
		query->withCheckOptions = lappend(query->withCheckOptions, check);
	}
}
