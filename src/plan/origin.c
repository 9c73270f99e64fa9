/*
 * origin.c
 *	  Tells which columns of a query are tombstone columns of tagged tables.
 *
 * A column is followed through subqueries, views, WITH queries, set operations,
 * joins and rows of functions to the table that it comes from.  What computes with
 * it is another column.
 *
 * Invariant: no relation is locked that the query does not name, but views whose row
 * type it names.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"

#include "plan/sd_plan.h"

static AttrNumber tombstone_number(Oid relid);
static Query *with_query(const QueryLevel **level, RangeTblEntry *rte);
static bool is_tombstone_of_range(RangeTblEntry *rte, AttrNumber attnum,
								  TombstoneOrigin *origin);
static bool is_tombstone_of_function(RangeTblEntry *rte, AttrNumber attnum,
									 TombstoneOrigin *origin);
static bool is_tombstone_of_set(const QueryLevel *level, Node *operation,
								AttrNumber resno, TombstoneOrigin *origin);
static bool is_tombstone_of_view(Oid view, AttrNumber attnum, TombstoneOrigin *origin);

/*
 * Return the number of a relation's tombstone column, or InvalidAttrNumber if the
 * relation is not tagged.  Does not lock the relation.
 */
static AttrNumber
tombstone_number(Oid relid)
{
	List *arguments = tag_arguments(relid);

	return arguments == NIL ? InvalidAttrNumber
							: get_attnum(relid, linitial(arguments));
}

/*
 * Return the range table entry of a variable, and the level of the query that has it.
 * Returns NULL for a variable of a query that is not known.
 */
RangeTblEntry *
range_of(const QueryLevel **level, Var *var)
{
	for (Index up = var->varlevelsup; up > 0 && *level != NULL; up--)
		*level = (*level)->outer;
	if (*level == NULL || IS_SPECIAL_VARNO(var->varno) ||
		var->varno > list_length((*level)->query->rtable))
		return NULL;
	return rt_fetch(var->varno, (*level)->query->rtable);
}

/*
 * Return the expression that a variable stands for, and the level of its query: of a
 * column of a subquery, WITH query, join or GROUP BY.  Returns a set operation for a
 * column of one, and NULL for any other column.
 */
Node *
source_of(const QueryLevel **level, Var *var)
{
	RangeTblEntry *rte = range_of(level, var);
	Query *query;

	if (rte == NULL || var->varattno <= 0)
		return NULL;
	switch (rte->rtekind)
	{
		case RTE_SUBQUERY:
			return output_of(level, rte->subquery, var->varattno);
		case RTE_CTE:
			query = with_query(level, rte);
			return output_of(level, query, var->varattno);
		case RTE_JOIN:
			return list_nth(rte->joinaliasvars, var->varattno - 1);
		default:
			return group_expression(rte, var->varattno);
	}
}

/*
 * Return an output column of a query within the level, and the level of that query.
 */
Node *
output_of(const QueryLevel **level, Query *query, AttrNumber resno)
{
	QueryLevel *inner;
	TargetEntry *target;

	if (query == NULL)
		return NULL;
	inner = palloc(sizeof(QueryLevel));
	inner->query = query;
	inner->outer = *level;
	*level = inner;
	if (query->setOperations != NULL)
		return query->setOperations;
	target = get_tle_by_resno(query->commandType == CMD_SELECT ? query->targetList
															   : query->returningList,
							  resno);
	return target == NULL ? NULL : (Node *) target->expr;
}

/*
 * Return the WITH query that a range table entry names, and the level of the query
 * that has it.  Returns NULL for a reference of a recursive query to itself.
 */
static Query *
with_query(const QueryLevel **level, RangeTblEntry *rte)
{
	ListCell *lc;

	for (Index up = rte->ctelevelsup; up > 0 && *level != NULL; up--)
		*level = (*level)->outer;
	if (*level == NULL || rte->self_reference)
		return NULL;
	foreach (lc, (*level)->query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return IsA(cte->ctequery, Query) ? (Query *) cte->ctequery : NULL;
	}
	return NULL;
}

/*
 * Is an expression of the query at "level" the tombstone column of a tagged table?
 * Sets "origin" to where it comes from if it is.  The merged column of a full join is
 * one if both of its columns are.
 */
bool
is_tombstone_column(const QueryLevel *level, Node *node, TombstoneOrigin *origin)
{
	Oid type = node == NULL ? InvalidOid : exprType(node);

	if (type != TIMESTAMPTZOID && type != TIMESTAMPOID)
		return false;
	check_stack_depth();
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;
		const QueryLevel *at = level;
		RangeTblEntry *rte = range_of(&at, var);
		Node *source = source_of(&level, var);

		if (source == NULL)
			return rte != NULL && is_tombstone_of_range(rte, var->varattno, origin);
		if (IsA(source, SetOperationStmt))
			return is_tombstone_of_set(level, source, var->varattno, origin);
		return is_tombstone_column(level, source, origin);
	}
	if (IsA(node, FieldSelect))
	{
		FieldSelect *field = (FieldSelect *) node;
		Oid relid = typeOrDomainTypeRelid(exprType((Node *) field->arg));

		origin->is_sampled = false;
		return OidIsValid(relid) &&
			   is_tombstone_of_relation(relid, field->fieldnum, origin);
	}
	if (IsA(node, CoalesceExpr))
	{
		ListCell *lc;

		foreach (lc, ((CoalesceExpr *) node)->args)
		{
			if (!is_tombstone_column(level, lfirst(lc), origin))
				return false;
		}
		return true;
	}
	return false;
}

/*
 * Is a column of a range table entry, which is no query or join, a tombstone column?
 */
static bool
is_tombstone_of_range(RangeTblEntry *rte, AttrNumber attnum, TombstoneOrigin *origin)
{
	origin->is_sampled = rte->tablesample != NULL;
	switch (rte->rtekind)
	{
		case RTE_FUNCTION:
			return is_tombstone_of_function(rte, attnum, origin);
		case RTE_RELATION:
		case RTE_NAMEDTUPLESTORE: /* a transition table has the columns of its table */
			return OidIsValid(rte->relid) &&
				   is_tombstone_of_relation(rte->relid, attnum, origin);
		default:
			return false;
	}
}

/*
 * Is a column of functions in FROM a tombstone column, by the row type of its
 * function?
 */
static bool
is_tombstone_of_function(RangeTblEntry *rte, AttrNumber attnum, TombstoneOrigin *origin)
{
	ListCell *lc;

	foreach (lc, rte->functions)
	{
		RangeTblFunction *function = lfirst_node(RangeTblFunction, lc);

		if (attnum <= function->funccolcount)
		{
			Oid relid = typeOrDomainTypeRelid(exprType(function->funcexpr));

			return OidIsValid(relid) &&
				   is_tombstone_of_relation(relid, attnum, origin);
		}
		attnum -= function->funccolcount;
	}
	return false;
}

/*
 * Is an output column of each query of a set operation a tombstone column?
 */
static bool
is_tombstone_of_set(const QueryLevel *level, Node *operation, AttrNumber resno,
					TombstoneOrigin *origin)
{
	if (IsA(operation, RangeTblRef))
	{
		RangeTblEntry *rte =
			rt_fetch(((RangeTblRef *) operation)->rtindex, level->query->rtable);
		Node *output = output_of(&level, rte->subquery, resno);

		if (output != NULL && IsA(output, SetOperationStmt))
			return is_tombstone_of_set(level, output, resno, origin);
		if (column_in_utc(output) != NULL) /* as bins have it */
			output = (Node *) column_in_utc(output);
		return is_tombstone_column(level, output, origin);
	}
	check_stack_depth();
	return is_tombstone_of_set(level, castNode(SetOperationStmt, operation)->larg,
							   resno, origin) &&
		   is_tombstone_of_set(level, castNode(SetOperationStmt, operation)->rarg,
							   resno, origin);
}

/*
 * Is a column of a table, or of a view, a tombstone column?
 */
bool
is_tombstone_of_relation(Oid relid, AttrNumber attnum, TombstoneOrigin *origin)
{
	if (get_rel_relkind(relid) == RELKIND_VIEW)
		return is_tombstone_of_view(relid, attnum, origin);
	origin->relid = relid;
	return attnum > 0 && attnum == tombstone_number(relid);
}

/*
 * Is a column of a view a tombstone column?
 */
static bool
is_tombstone_of_view(Oid view, AttrNumber attnum, TombstoneOrigin *origin)
{
	Relation rel = relation_open(view, AccessShareLock);
	const QueryLevel *level = NULL;
	Node *output = output_of(&level, get_view_query(rel), attnum);
	bool result;

	if (output != NULL && IsA(output, SetOperationStmt))
		result = is_tombstone_of_set(level, output, attnum, origin);
	else
		result = is_tombstone_column(level, output, origin);
	relation_close(rel, AccessShareLock);
	return result;
}
