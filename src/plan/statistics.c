/*
 * statistics.c
 *	  Hides values of deleted rows in statistics from roles that may not see deleted
 *	  rows.
 *
 * ANALYZE reads a table without a plan, and autovacuum without this library, so the
 * statistics of a tagged table contain values of deleted rows.  The planner may use
 * them.  But a role could read them in two ways:
 * - In pg_stats.  Each scan of pg_statistic omits the rows of a tagged table whose
 *   deleted rows the current role may not see, as pg_stats does for row-level
 *   security.  Only owners can read pg_stats_ext.
 * - With an operator of its own.  The planner calls it with the most common values,
 *   to estimate how many rows satisfy it.  If a query uses an operator whose
 *   function is not owned by a superuser ("untrusted"), the table gets a security
 *   barrier without a condition.  Then the planner calls leakproof functions only.
 *
 * Invariant: the planner calls no untrusted operator with statistics of deleted
 * rows that the current role may not see.
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

/* The query that was searched last, and whether it uses an untrusted operator */
static PlannerInfo *searched = NULL;
static bool query_is_untrusted;

/* The outermost query whose statement was searched last, and whether that uses one */
static PlannerInfo *searched_outermost = NULL;
static bool statement_is_untrusted;

static bool uses_untrusted_operator(PlannerInfo *root);
static bool calls_untrusted_operator(Node *node, void *context);
static bool is_untrusted_function(Oid function, void *context);
static bool is_untrusted_sql_function(Oid function);

/*
 * Return the condition "shows_statistics(starelid)" if the relation is
 * pg_statistic, else NULL.
 */
Expr *
statistics_filter(RelOptInfo *rel, Oid relid)
{
	Oid function;

	if (relid != StatisticRelationId)
		return NULL;
	/* while the extension is created or updated, it may not have the function yet */
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
 * Add a security barrier without a condition to a reference to a tagged table, if
 * the planner could disclose its statistics.
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
 * Forget the results of earlier searches, when the memory of the queries may be
 * reused.
 */
void
forget_searched_queries(void)
{
	searched = searched_outermost = NULL;
}

/*
 * Does a query use an untrusted operator?  For a query within a statement, the
 * whole statement counts: conditions of the queries around it, and of those that
 * read a WITH query, may also be estimated with the statistics of its tables.  Each
 * query and statement is searched once.
 */
static bool
uses_untrusted_operator(PlannerInfo *root)
{
	PlannerInfo *top = root;
	bool is_whole = false;

	if (searched != root)
	{
		query_is_untrusted =
			query_tree_walker(root->parse, calls_untrusted_operator, &is_whole,
							  QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES |
								  QTW_IGNORE_JOINALIASES);
		searched = root;
	}
	if (query_is_untrusted || root->parent_root == NULL)
		return query_is_untrusted;

	while (top->parent_root != NULL)
		top = top->parent_root;
	if (searched_outermost != top)
	{
		is_whole = true;
		statement_is_untrusted =
			query_tree_walker(top->parse, calls_untrusted_operator, &is_whole,
							  QTW_IGNORE_JOINALIASES);
		searched_outermost = top;
	}
	return statement_is_untrusted;
}

/*
 * Does an expression use an untrusted operator (tree walker)?  "context" tells
 * whether a whole statement is searched.  Then the queries within it count, and so
 * do untrusted functions in SQL, which the planner may not have inlined yet.
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
 * Is the owner of a function not a superuser (callback of
 * check_functions_in_node())?
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
 * Is a function written in SQL, and its owner not a superuser?
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
 * Returns whether the current user may see the statistics of a table, or of an
 * index on expressions: whether it may see the deleted rows of the table, if that
 * is tagged.
 */
Datum
soft_delete_shows_statistics(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Oid table = IndexGetRelation(relid, true);

	if (OidIsValid(table))
		relid = table;
	/* the table may have been dropped in the meantime */
	PG_RETURN_BOOL(superuser() || shows_deleted() || in_place_arguments(relid) == NIL ||
				   !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) ||
				   may_see_tombstones(relid, GetUserId()));
}
