/*
 * whole_row.c
 *	  Keeps tombstone columns out of what the server does with all columns of a row.
 *
 * Two things depend on columns that a query does not name:
 * - "row IS [NOT] NULL" asks for all fields of the row.  The tombstone column of a live
 *   row is null, so that no row would be entirely not null.  The test becomes one of
 *   each other field.
 * - NATURAL JOIN compares all columns of a common name.  Tombstone columns of live rows
 *   are null, so that no row would join.  The comparison of tombstone columns goes.
 *   pg_dump writes USING instead of NATURAL, so a comparison by USING goes too, if there
 *   are others, the session sees no deleted rows, and no sample is joined.
 *
 * It is done before a statement is planned, so stored views and the texts of functions
 * are not changed.
 *
 * Invariant: a test or a join that has nothing to do with a tagged table stays as it is.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "parser/parse_type.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "plan/sd_plan.h"

/* A field of a row */
typedef struct RowField
{
	Oid type;
	int32 typmod;
	Oid collation;
	bool is_dropped;
	bool is_tombstone;
} RowField;

/* The fields of a row, in the order of their numbers */
typedef struct RowShape
{
	int nfields;
	RowField *fields;
} RowShape;

/* What the tree walkers share */
typedef struct RowContext
{
	const QueryLevel *level; /* the query that the walker is in */
	bool only_looks; /* change nothing, stop at the first thing to change? */
	bool has_test; /* is there a null test of a row with a tombstone column? */
	bool in_from;  /* is the walker in FROM or WHERE of the query? */
	List *row_types; /* OIDs of relations whose row type was looked at */
} RowContext;

static bool find_walker(Node *node, RowContext *context);
static bool may_depend_walker(Node *node, char *column);
static bool walk_query(Query *query, RowContext *context);
static bool has_tombstone_clause(const QueryLevel *level, JoinExpr *join);
static void drop_tombstone_clauses(const QueryLevel *level, JoinExpr *join);
static List *clauses_of(JoinExpr *join);
static bool compares_tombstones(const QueryLevel *level, JoinExpr *join, Node *clause);
static bool shows_tombstones_of(const TombstoneOrigin *origin);
static Node *split_mutator(Node *node, RowContext *context);
static Query *split_query(Query *query, RowContext *context);
static Node *split_test(NullTest *test, RowContext *context);
static bool has_tombstone_field(Node *row, RowContext *context, RowShape *shape);
static bool shape_of_row(Node *row, RowContext *context, RowShape *shape);
static Var *whole_row_of(Node *row, const QueryLevel **level);
static void shape_of_range(Var *row, const QueryLevel *level, RowShape *shape);
static bool shape_of_type(Node *row, RowShape *shape);
static bool is_grouped(const Query *query);
static Expr *test_fields(const RowShape *shape, Node *row, NullTestType type,
						 bool as_columns);
static Expr *make_null_test(Expr *value, NullTestType type);
static Expr *field_of(Node *row, AttrNumber number, const RowField *field,
					  bool as_columns);

/*
 * Take the tombstone columns out of the joins and null tests of a statement.  Adds to
 * "row_types" the relations whose row types it depends on.
 */
void
exclude_tombstone_columns(Query *query, List **row_types)
{
	RowContext context = {0};

	(void) walk_query(query, &context);
	if (context.has_test)
		(void) split_query(query, &context);
	*row_types = context.row_types;
}

/*
 * Would exclude_tombstone_columns() change the query?
 */
bool
depends_on_tombstone_column(Query *query)
{
	RowContext context = {.only_looks = true};

	return walk_query(query, &context);
}

/*
 * May exclude_tombstone_columns() have something to do in a query that is being planned,
 * for a tombstone column of that name?  Queries in FROM are planned by
 * themselves; those in expressions that were planned before are not looked at.
 */
bool
may_depend_on_column(Query *query, char *column)
{
	return query_tree_walker(query, may_depend_walker, column,
							 QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES |
								 QTW_IGNORE_JOINALIASES);
}

/*
 * Is there a null test of a row, or a join by a column of that name (tree walker)?
 */
static bool
may_depend_walker(Node *node, char *column)
{
	if (node == NULL)
		return false;
	if (IsA(node, NullTest) && ((NullTest *) node)->argisrow)
		return true;
	if (IsA(node, JoinExpr) &&
		list_member(((JoinExpr *) node)->usingClause, makeString(column)))
		return true;
	return expression_tree_walker(node, may_depend_walker, column);
}

/*
 * Repair the joins of an expression, and note null tests of rows (tree walker).
 * Returns true at the first of either if the context says only_looks.
 */
static bool
find_walker(Node *node, RowContext *context)
{
	/* most nodes are these, and each statement is walked */
	if (node != NULL && IsA(node, TargetEntry))
		node = (Node *) ((TargetEntry *) node)->expr;
	if (node == NULL || IsA(node, Var) || IsA(node, Const) ||
		IsA(node, Param) || IsA(node, RangeTblRef))
		return false;
	if (IsA(node, List))
	{
		ListCell *lc;

		foreach (lc, (List *) node)
		{
			if (find_walker(lfirst(lc), context))
				return true;
		}
		return false;
	}
	if (IsA(node, Query))
		return walk_query((Query *) node, context);
	if (IsA(node, NullTest) && ((NullTest *) node)->argisrow && !context->has_test)
	{
		RowShape shape;

		context->has_test =
			has_tombstone_field((Node *) ((NullTest *) node)->arg, context, &shape);
		if (context->has_test && context->only_looks)
			return true;
	}
	else if (IsA(node, JoinExpr) &&
			 has_tombstone_clause(context->level, (JoinExpr *) node))
	{
		if (context->only_looks)
			return true;
		drop_tombstone_clauses(context->level, (JoinExpr *) node);
	}
	return expression_tree_walker(node, find_walker, context);
}

/*
 * Walk a query within the current one.
 */
static bool
walk_query(Query *query, RowContext *context)
{
	QueryLevel level = {query, context->level};
	bool result;

	context->level = &level;
	result = query_tree_walker(query, find_walker, context, QTW_IGNORE_JOINALIASES);
	context->level = level.outer;
	return result;
}

/*
 * Does a join compare tombstone columns by NATURAL or USING?
 */
static bool
has_tombstone_clause(const QueryLevel *level, JoinExpr *join)
{
	ListCell *lc;

	if (join->usingClause == NIL)
		return false;
	foreach (lc, clauses_of(join))
	{
		if (compares_tombstones(level, join, lfirst(lc)))
			return true;
	}
	return false;
}

/*
 * Remove the comparisons of tombstone columns from a join.
 */
static void
drop_tombstone_clauses(const QueryLevel *level, JoinExpr *join)
{
	List *kept = NIL;
	ListCell *lc;

	foreach (lc, clauses_of(join))
	{
		if (!compares_tombstones(level, join, lfirst(lc)))
			kept = lappend(kept, lfirst(lc));
	}
	join->quals = list_length(kept) > 1 ? (Node *) makeBoolExpr(AND_EXPR, kept, -1)
				  : kept != NIL			? linitial(kept)
										: NULL;
}

/*
 * Return the comparisons of columns that NATURAL or USING has made.
 */
static List *
clauses_of(JoinExpr *join)
{
	if (join->quals == NULL)
		return NIL;
	if (is_andclause(join->quals))
		return ((BoolExpr *) join->quals)->args;
	return list_make1(join->quals);
}

/*
 * Is a clause of a join a comparison of tombstone columns that must not be made?  USING
 * is what the user wrote, or what pg_dump wrote for NATURAL.
 */
static bool
compares_tombstones(const QueryLevel *level, JoinExpr *join, Node *clause)
{
	TombstoneOrigin left = {0}, right = {0};
	bool is_left, is_right;
	OpExpr *comparison = (OpExpr *) clause;

	if (!IsA(clause, OpExpr) || list_length(comparison->args) != 2)
		return false;
	is_left = is_tombstone_column(level, linitial(comparison->args), &left);
	is_right = is_tombstone_column(level, lsecond(comparison->args), &right);
	if ((is_left && left.is_sampled) || (is_right && right.is_sampled))
		return false;
	if (join->isNatural)
		return is_left || is_right;
	return is_left && is_right && list_length(join->usingClause) > 1 &&
		   !shows_tombstones_of(&left) && !shows_tombstones_of(&right);
}

/*
 * Does the session see the tombstones of a table, as live_filter() decides?
 */
static bool
shows_tombstones_of(const TombstoneOrigin *origin)
{
	return shows_deleted() || wants_whole_tables() || is_maintenance(origin->relid);
}

/*
 * Copy an expression with null tests of rows split into those of fields (tree mutator).
 */
static Node *
split_mutator(Node *node, RowContext *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return (Node *) split_query((Query *) node, context);
	if (IsA(node, NullTest) && ((NullTest *) node)->argisrow)
		return split_test((NullTest *) node, context);
	if (IsA(node, FromExpr))
	{
		bool before = context->in_from;
		Node *result;

		context->in_from = true;
		result = expression_tree_mutator(node, split_mutator, context);
		context->in_from = before;
		return result;
	}
	return expression_tree_mutator(node, split_mutator, context);
}

/*
 * Split the null tests of a query within the current one, in place.
 */
static Query *
split_query(Query *query, RowContext *context)
{
	QueryLevel level = {query, context->level};
	bool before = context->in_from;

	context->level = &level;
	context->in_from = false;
	query = query_tree_mutator(query, split_mutator, context,
							   QTW_IGNORE_JOINALIASES | QTW_DONT_COPY_QUERY);
	context->level = level.outer;
	context->in_from = before;
	return query;
}

/*
 * Return the tests of the fields that stand for the null test of a row, or the test
 * itself if the row has no tombstone column.
 *
 * A row of FROM is tested by its columns, so that the planner can use the conditions.
 * But where a query is grouped, and where the row is that of an outer query, a column
 * need not have the value of the row's field.  There, and where the row is computed,
 * it is computed once: CASE row WHEN (its fields are null) THEN true ELSE false END.
 */
static Node *
split_test(NullTest *test, RowContext *context)
{
	Node *row = (Node *) test->arg;
	Node *copy = split_mutator(row, context);
	CaseTestExpr *value;
	CaseWhen *when;
	CaseExpr *result;
	RowShape shape;

	if (!has_tombstone_field(row, context, &shape))
	{
		NullTest *unchanged = copyObject(test);

		unchanged->arg = (Expr *) copy;
		return (Node *) unchanged;
	}
	if (IsA(row, RowExpr) || exprType(row) == RECORDOID ||
		(IsA(row, Var) && ((Var *) row)->varattno == InvalidAttrNumber &&
		 ((Var *) row)->varlevelsup == 0 &&
		 (context->in_from || !is_grouped(context->level->query))))
		return (Node *) test_fields(&shape, copy, test->nulltesttype, true);

	value = makeNode(CaseTestExpr);
	value->typeId = exprType(row);
	value->typeMod = exprTypmod(row);
	value->collation = InvalidOid;
	when = makeNode(CaseWhen);
	when->expr = test_fields(&shape, (Node *) value, test->nulltesttype, false);
	when->result = (Expr *) makeBoolConst(true, false);
	when->location = -1;
	result = makeNode(CaseExpr);
	result->casetype = BOOLOID;
	result->arg = (Expr *) copy;
	result->args = list_make1(when);
	result->defresult = (Expr *) makeBoolConst(false, false);
	result->location = -1;
	return (Node *) result;
}

/*
 * Does a row have a tombstone column that its null test must not read?  Sets "shape" to
 * its fields if it does.  A subquery or view of nothing but tombstone columns was made
 * to look at them.
 */
static bool
has_tombstone_field(Node *row, RowContext *context, RowShape *shape)
{
	bool has_tombstone = false, has_other = false;
	Oid relid = typeOrDomainTypeRelid(exprType(row));

	if (OidIsValid(relid))
		context->row_types = list_append_unique_oid(context->row_types, relid);
	if (!shape_of_row(row, context, shape))
		return false;
	for (int i = 0; i < shape->nfields; i++)
	{
		const RowField *field = &shape->fields[i];

		has_tombstone = has_tombstone || field->is_tombstone;
		has_other = has_other || !(field->is_dropped || field->is_tombstone);
	}
	return has_tombstone &&
		   (has_other ||
			(OidIsValid(relid) && get_rel_relkind(relid) != RELKIND_VIEW));
}

/*
 * Set "shape" to the fields of a row, if its type or the query tells them.
 */
static bool
shape_of_row(Node *row, RowContext *context, RowShape *shape)
{
	const QueryLevel *level = context->level;
	const QueryLevel *at;
	Var *var = whole_row_of(row, &level);

	if (var == NULL)
		return shape_of_type(row, shape);
	/* where groups are added up, no column of a row tells whether there is a row */
	at = level;
	(void) range_of(&at, var);
	if (exprType(row) == RECORDOID && at->query->groupingSets != NIL)
		return false;
	shape_of_range(var, level, shape);
	return true;
}

/*
 * Return the reference to a whole row of a query that an expression is, or NULL, and the
 * level of the query that has the reference.
 */
static Var *
whole_row_of(Node *row, const QueryLevel **level)
{
	while (row != NULL && IsA(row, Var))
	{
		Var *var = (Var *) row;
		const QueryLevel *at = *level;

		if (var->varattno == InvalidAttrNumber)
			return range_of(&at, var) == NULL ? NULL : var;
		/* the type says it */
		if (var->vartype != RECORDOID)
			return NULL;
		row = source_of(level, var);
	}
	return NULL;
}

/*
 * Set "shape" to the fields of a whole row of a query, at whose level it is.
 */
static void
shape_of_range(Var *row, const QueryLevel *level, RowShape *shape)
{
	const QueryLevel *at = level;
	RangeTblEntry *rte = range_of(&at, row);
	List *columns;
	ListCell *lc;

	expand_range(rte, row->varno, row->varlevelsup, &columns);
	shape->nfields = list_length(columns);
	shape->fields = palloc0(shape->nfields * sizeof(RowField));
	foreach (lc, columns)
	{
		RowField *field = &shape->fields[foreach_current_index(lc)];
		Node *column = lfirst(lc);
		Var *var = copyObject(row);
		TombstoneOrigin origin;

		field->is_dropped = IsA(column, Const);
		if (field->is_dropped)
			continue;
		field->type = var->vartype = exprType(column);
		field->typmod = exprTypmod(column);
		field->collation = exprCollation(column);
		var->varattno = foreach_current_index(lc) + 1;
		field->is_tombstone = is_tombstone_column(level, (Node *) var, &origin);
	}
}

/*
 * Set "shape" to the fields of the row type of an expression, if it is that of a table
 * or view.
 */
static bool
shape_of_type(Node *row, RowShape *shape)
{
	Oid relid = typeOrDomainTypeRelid(exprType(row));
	TupleDesc tupdesc;

	if (!OidIsValid(relid))
		return false;
	tupdesc = lookup_rowtype_tupdesc_domain(exprType(row), exprTypmod(row), true);
	if (tupdesc == NULL)
		return false;
	shape->nfields = tupdesc->natts;
	shape->fields = palloc0(shape->nfields * sizeof(RowField));
	for (int i = 0; i < shape->nfields; i++)
	{
		RowField *field = &shape->fields[i];
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		TombstoneOrigin origin;

		field->is_dropped = att->attisdropped;
		field->type = att->atttypid;
		field->typmod = att->atttypmod;
		field->collation = att->attcollation;
		field->is_tombstone =
			(att->atttypid == TIMESTAMPTZOID || att->atttypid == TIMESTAMPOID) &&
			is_tombstone_of_relation(relid, i + 1, &origin);
	}
	ReleaseTupleDesc(tupdesc);
	return true;
}

/*
 * Are the rows of a query groups?
 */
static bool
is_grouped(const Query *query)
{
	return query->groupClause != NIL || query->groupingSets != NIL;
}

/*
 * Return the condition that all fields of a row but tombstones are null, or not null.
 * Without any, a row is both, and what is no row is null only.
 */
static Expr *
test_fields(const RowShape *shape, Node *row, NullTestType type, bool as_columns)
{
	List *tests = NIL;

	for (int i = 0; i < shape->nfields; i++)
	{
		const RowField *field = &shape->fields[i];

		if (!field->is_dropped && !field->is_tombstone)
			tests = lappend(tests,
							make_null_test(field_of(row, i + 1, field, as_columns),
										   type));
	}
	if (tests == NIL && type == IS_NULL)
		return (Expr *) makeBoolConst(true, false);
	if (tests == NIL)
		tests = list_make1(make_null_test((Expr *) row, type));
	return list_length(tests) == 1 ? linitial(tests)
								   : makeBoolExpr(AND_EXPR, tests, -1);
}

/*
 * Return the test whether a value is null.  One that is a row of nulls is not.
 */
static Expr *
make_null_test(Expr *value, NullTestType type)
{
	NullTest *test = makeNode(NullTest);

	test->arg = value;
	test->nulltesttype = type;
	test->argisrow = false;
	test->location = -1;
	return (Expr *) test;
}

/*
 * Return a field of a row: "as_columns" as a column of its table or an operand of ROW().
 */
static Expr *
field_of(Node *row, AttrNumber number, const RowField *field, bool as_columns)
{
	FieldSelect *select;

	if (as_columns && IsA(row, RowExpr))
		return list_nth(((RowExpr *) row)->args, number - 1);
	if (as_columns && IsA(row, Var) && ((Var *) row)->varattno == InvalidAttrNumber)
	{
		Var *column = copyObject((Var *) row);

		column->varattno = number;
		column->varattnosyn = number;
		column->vartype = field->type;
		column->vartypmod = field->typmod;
		column->varcollid = field->collation;
		return (Expr *) column;
	}
	select = makeNode(FieldSelect);
	select->arg = copyObject((Expr *) row);
	select->fieldnum = number;
	select->resulttype = field->type;
	select->resulttypmod = field->typmod;
	select->resultcollid = field->collation;
	return (Expr *) select;
}
