/*
 * statistics.c
 *	  Keeps what statistics know of deleted rows from who may not see those.
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
#include "soft_delete.h"

#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(soft_delete_shows_statistics);

static bool calls_foreign_operator(Node *node, void *context);
static bool is_foreign_function(Oid function, void *context);

/*
 * Return the condition on the rows of pg_statistic, "shows_statistics(starelid)",
 * or NULL for any other relation.
 */
Expr *
statistics_filter(RelOptInfo *rel, Oid relid)
{
	Oid function;

	if (relid != StatisticRelationId)
		return NULL;
	function = extension_function(SHOWS_STATISTICS);
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
guard_statistics(PlannerInfo *root, RangeTblEntry *rte)
{
	PlannerInfo *top = root;

	if (rte->securityQuals != NIL || shows_deleted() ||
		may_see_tombstones(rte->relid, GetUserId()))
		return;

	while (top->parent_root != NULL)
		top = top->parent_root;
	if (calls_foreign_operator((Node *) top->parse, NULL))
	{
		rte->securityQuals = list_make1(NIL);
		root->qual_security_level = Max(root->qual_security_level, 1);
	}
}

/*
 * Does an expression or a query use an operator that is not a superuser's?
 */
static bool
calls_foreign_operator(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, calls_foreign_operator, context, 0);
	if ((IsA(node, OpExpr) || IsA(node, DistinctExpr) || IsA(node, ScalarArrayOpExpr)) &&
		check_functions_in_node(node, is_foreign_function, context))
		return true;
	return expression_tree_walker(node, calls_foreign_operator, context);
}

/*
 * Is a function not a superuser's (check_function_callback)?
 */
static bool
is_foreign_function(Oid function, void *context)
{
	HeapTuple tuple;
	bool is_foreign = true;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (HeapTupleIsValid(tuple))
	{
		is_foreign =
			!superuser_arg(((Form_pg_proc) GETSTRUCT(tuple))->proowner);
		ReleaseSysCache(tuple);
	}
	return is_foreign;
}

/*
 * soft_delete.shows_statistics(relation oid) returns boolean
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
