/*
 * statistics.c
 *	  Hides what statistics know of deleted rows from roles that may not see them.
 *
 * ANALYZE reads a table without planning, and autovacuum without this library,
 * so the statistics of a tagged table hold values of deleted rows.  The planner
 * may use them; a role may not.  It could get at them in two ways:
 * - by pg_stats.  As row security does there, each scan of the catalog beneath it
 *   leaves out what concerns a tagged table whose deleted rows the current role
 *   may not see.  (pg_stats_ext is for owners anyway.)
 * - by an operator of its own, which the planner calls with the most common
 *   values to estimate how many rows satisfy it.  Where a query uses an operator
 *   that is not a superuser's, the planner is told that the table has a security
 *   barrier, without a condition: then it calls leakproof functions only.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/syscache.h"

#include "plan/sd_plan.h"

PG_FUNCTION_INFO_V1(soft_delete_shows_statistics);

/* The query that was searched last, and whether it uses such an operator */
static PlannerInfo *searched = NULL;
static bool has_untrusted_operator;

/* The outermost query that was searched last with all of its subqueries, and whether
 * any of them uses such an operator */
static PlannerInfo *searched_whole = NULL;
static bool whole_has_untrusted_operator;

static bool uses_untrusted_operator(PlannerInfo *root);
static bool calls_untrusted_operator(Node *node, void *context);
static bool is_untrusted_function(Oid function, void *context);
static bool is_untrusted_sql_function(Oid function);

/*
 * Return the condition on the rows of pg_statistic, "shows_statistics(starelid)",
 * or NULL for any other relation.
 */
Expr *
statistics_filter(RelOptInfo *rel, Oid relid)
{
	Oid function;

	/* while the extension is made or updated, it may be to come */
	if (relid != StatisticRelationId)
		return NULL;
	function = creating_extension || IsBinaryUpgrade
				   ? extension_function(SHOWS_STATISTICS)
			   : OidIsValid(extension_oid()) ? needed_function(SHOWS_STATISTICS)
											 : InvalidOid;
	if (!OidIsValid(function))
		return NULL;
	return (Expr *) makeFuncExpr(function, BOOLOID,
								 list_make1(makeVar(rel->relid, Anum_pg_statistic_starelid,
													OIDOID, -1, InvalidOid, 0)),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/*
 * Put an empty security barrier on a reference to a tagged table, where the
 * planner could give its statistics away.
 */
void
hide_statistics(PlannerInfo *root, RangeTblEntry *rte)
{
	if (rte->securityQuals != NIL || !uses_untrusted_operator(root) ||
		shows_deleted() || may_see_tombstones(rte->relid, GetUserId()))
		return;

	rte->securityQuals = list_make1(NIL);
	root->qual_security_level = Max(root->qual_security_level, 1);
}

/*
 * Forget about queries that were planned before.
 */
void
forget_operators(void)
{
	searched = searched_whole = NULL;
}

/*
 * Does a query use an operator that is not a superuser's?  What the statement
 * does outside of a query within it may be estimated by the statistics of its
 * tables, too: in the queries around it, and wherever a WITH query is read.  Each
 * is searched once.
 */
static bool
uses_untrusted_operator(PlannerInfo *root)
{
	PlannerInfo *top = root;
	bool is_whole = false;

	if (searched != root)
	{
		has_untrusted_operator =
			query_tree_walker(root->parse, calls_untrusted_operator, &is_whole,
							  QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES |
								  QTW_IGNORE_JOINALIASES);
		searched = root;
	}
	if (has_untrusted_operator || root->parent_root == NULL)
		return has_untrusted_operator;

	while (top->parent_root != NULL)
		top = top->parent_root;
	if (searched_whole != top)
	{
		is_whole = true;
		whole_has_untrusted_operator =
			query_tree_walker(top->parse, calls_untrusted_operator, &is_whole,
							  QTW_IGNORE_JOINALIASES);
		searched_whole = top;
	}
	return whole_has_untrusted_operator;
}

/*
 * Does an expression use an operator that is not a superuser's?  In a whole
 * statement queries count, and functions in SQL may still have to be inlined.
 */
static bool
calls_untrusted_operator(Node *node, void *context)
{
	bool is_whole = *(bool *) context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return is_whole && query_tree_walker((Query *) node, calls_untrusted_operator,
											 context, QTW_IGNORE_JOINALIASES);
	if ((IsA(node, OpExpr) || IsA(node, DistinctExpr) || IsA(node, ScalarArrayOpExpr)) &&
		check_functions_in_node(node, is_untrusted_function, NULL))
		return true;
	if (is_whole && IsA(node, FuncExpr) &&
		is_untrusted_sql_function(((FuncExpr *) node)->funcid))
		return true;
	return expression_tree_walker(node, calls_untrusted_operator, context);
}

/*
 * Is a function not a superuser's (check_function_callback)?
 */
static bool
is_untrusted_function(Oid function, void *context)
{
	HeapTuple tuple;
	bool is_untrusted = true;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (HeapTupleIsValid(tuple))
	{
		is_untrusted = !superuser_arg(((Form_pg_proc) GETSTRUCT(tuple))->proowner);
		ReleaseSysCache(tuple);
	}
	return is_untrusted;
}

/*
 * Is a function that is not a superuser's written in SQL?  The planner may inline it.
 */
static bool
is_untrusted_sql_function(Oid function)
{
	HeapTuple tuple;
	bool is_sql = false;

	if (!is_untrusted_function(function, NULL))
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (HeapTupleIsValid(tuple))
	{
		is_sql = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == SQLlanguageId;
		ReleaseSysCache(tuple);
	}
	return is_sql;
}

/*
 * soft_delete_internal.shows_statistics(relation oid) returns boolean
 *
 * Tells whether the current role may know the statistics of a relation, which may
 * be an index on expressions: whether it may see the deleted rows of the table, if
 * there can be any.
 */
Datum
soft_delete_shows_statistics(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Oid table = IndexGetRelation(relid, true);

	if (OidIsValid(table))
		relid = table;
	/* it may have been dropped meanwhile */
	PG_RETURN_BOOL(superuser() || shows_deleted() || tag_arguments(relid) == NIL ||
				   !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) ||
				   may_see_tombstones(relid, GetUserId()));
}
