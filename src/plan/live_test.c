/*
 * live_test.c
 *	  Tells which conditions on the column of a bridge demand a live row.
 *
 * Such are "deleted_at IS NULL", "NOT deleted", "deleted = 0", "status <> 'archived'", and
 * what AND and OR make of them.
 *
 * Invariant: a condition that is said to demand a live row is not true for a value that
 * says deleted.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "utils/lsyscache.h"

#include "plan/sd_plan.h"

/* The column of the bridge in a query, and what is known of parameters */
typedef struct TestedColumn
{
	int varno;
	const Bridge *bridge;
	ParamListInfo params;
} TestedColumn;

static bool demands_live_walk(Node *condition, const TestedColumn *column);
static bool all_demand_live(List *conditions, const TestedColumn *column, bool any);
static Node *without_relabeling(Node *node);
static bool is_column(Node *node, const TestedColumn *column);
static bool comparison_demands_live(OpExpr *comparison, const TestedColumn *column);
static bool known_value(Node *node, const TestedColumn *column, Datum *value);
static bool is_same_type(Oid type, const Bridge *bridge);
static bool as_column_value(Datum *value, Oid type, const Bridge *bridge);

/*
 * Does a condition on rows of range table entry "varno" demand that the column of its
 * bridge says that the row is live?
 */
bool
demands_live(Node *condition, int varno, const Bridge *bridge, ParamListInfo params)
{
	TestedColumn column = {.varno = varno, .bridge = bridge, .params = params};

	return demands_live_walk(condition, &column);
}

/*
 * Return demands_live() for a part of a condition.
 */
static bool
demands_live_walk(Node *condition, const TestedColumn *column)
{
	check_stack_depth();
	if (condition == NULL)
		return false;
	switch (nodeTag(condition))
	{
		case T_BoolExpr:
		{
			BoolExpr *expr = (BoolExpr *) condition;

			if (expr->boolop == NOT_EXPR)
				return column->bridge->type == BOOLOID &&
					   is_column(linitial(expr->args), column);
			return all_demand_live(expr->args, column, expr->boolop == AND_EXPR);
		}
		case T_NullTest:
		{
			NullTest *test = (NullTest *) condition;

			return test->nulltesttype == IS_NULL && !test->argisrow &&
				   is_column((Node *) test->arg, column);
		}
		case T_BooleanTest:
		{
			BooleanTest *test = (BooleanTest *) condition;

			return (test->booltesttype == IS_FALSE ||
					test->booltesttype == IS_NOT_TRUE ||
					test->booltesttype == IS_UNKNOWN) &&
				   is_column((Node *) test->arg, column);
		}
		case T_OpExpr:
			return comparison_demands_live((OpExpr *) condition, column);
		default:
			return false;
	}
}

/*
 * Do all, or any, of the conditions demand a live row?
 */
static bool
all_demand_live(List *conditions, const TestedColumn *column, bool any)
{
	ListCell *lc;

	foreach (lc, conditions)
	{
		if (demands_live_walk(lfirst(lc), column) == any)
			return any;
	}
	return !any;
}

/*
 * Strip an expression of changes of its type that do not change its value.
 */
static Node *
without_relabeling(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/*
 * Is the expression the column of the bridge?
 */
static bool
is_column(Node *node, const TestedColumn *column)
{
	Var *var = (Var *) without_relabeling(node);

	return var != NULL && IsA(var, Var) && var->varno == column->varno &&
		   var->varlevelsup == 0 && var->varattno == column->bridge->attnum;
}

/*
 * Is the condition a comparison of the column with a known value, by an operator = or <>
 * of the server, that demands a live row?
 */
static bool
comparison_demands_live(OpExpr *comparison, const TestedColumn *column)
{
	const Bridge *bridge = column->bridge;
	Node *left, *right;
	Oid type;
	Datum value;
	char *name;
	bool says;

	if (comparison->opno >= FirstNormalObjectId || list_length(comparison->args) != 2)
		return false;
	left = without_relabeling(linitial(comparison->args));
	right = without_relabeling(lsecond(comparison->args));
	if (is_column(right, column))
	{
		Node *swapped = left;

		left = right;
		right = swapped;
	}
	type = right == NULL ? InvalidOid : exprType(right);
	if (!is_column(left, column) || !is_same_type(type, bridge) ||
		!known_value(right, column, &value) ||
		!as_column_value(&value, type, bridge))
		return false;
	says = says_deleted(bridge, value, false);
	name = get_opname(comparison->opno);
	if (strcmp(name, "=") == 0)
		return !says;
	/* there is one value that says deleted */
	return strcmp(name, "<>") == 0 && says &&
		   (bridge->kind == BRIDGE_VALUE || bridge->type == BOOLOID);
}

/*
 * Is the value of the expression known, and not null?
 */
static bool
known_value(Node *node, const TestedColumn *column, Datum *value)
{
	if (IsA(node, Const))
	{
		*value = ((Const *) node)->constvalue;
		return !((Const *) node)->constisnull;
	}
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN &&
		column->params != NULL && ((Param *) node)->paramid > 0 &&
		((Param *) node)->paramid <= column->params->numParams)
	{
		ParamExternData workspace;
		int number = ((Param *) node)->paramid;
		ParamExternData *param =
			column->params->paramFetch != NULL
				? column->params->paramFetch(column->params, number, true, &workspace)
				: &column->params->params[number - 1];

		*value = param->value;
		return (param->pflags & PARAM_FLAG_CONST) != 0 && !param->isnull &&
			   param->ptype == ((Param *) node)->paramtype;
	}
	return false;
}

/*
 * Is the type that of the column, or one with values of the same form?
 */
static bool
is_same_type(Oid type, const Bridge *bridge)
{
	bool is_text = bridge->type == TEXTOID || bridge->type == VARCHAROID;

	if (bridge->type == INT2OID || bridge->type == INT4OID || bridge->type == INT8OID)
		return type == INT2OID || type == INT4OID || type == INT8OID;
	return type == bridge->type ||
		   (is_text && (type == TEXTOID || type == VARCHAROID || type == UNKNOWNOID));
}

/*
 * Make a value of a type one of the column.  Returns false if the column cannot have it.
 */
static bool
as_column_value(Datum *value, Oid type, const Bridge *bridge)
{
	int64 number;

	if (type != INT2OID && type != INT4OID && type != INT8OID)
		return true;
	number = type == INT2OID   ? DatumGetInt16(*value)
			 : type == INT4OID ? DatumGetInt32(*value)
							   : DatumGetInt64(*value);
	*value = bridge->type == INT2OID   ? Int16GetDatum((int16) number)
			 : bridge->type == INT4OID ? Int32GetDatum((int32) number)
									   : Int64GetDatum(number);
	return bridge->type == INT8OID ||
		   (bridge->type == INT4OID && number == (int32) number) ||
		   number == (int16) number;
}
