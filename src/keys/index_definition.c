/*
 * index_definition.c
 *	  Reads the definition of an index from the catalogs, replaces the index by one
 *	  with or without the condition that hides tombstones, and compares definitions.
 *
 * Invariants: a definition is made of parse nodes and of names from the catalogs,
 * never of parts of a text such as that of pg_get_indexdef().  An expression is
 * simplified, which may call functions in it, as the owner of the table only; when
 * an index is built, the server itself ensures that.
 *
 * The PL/pgSQL callers handle constraints, comments and stand-ins of the index.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/reloptions.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/prep.h"
#include "rewrite/rewriteManip.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "keys/sd_keys.h"

/* An index that is replaced: of a table, or of one of its partitions */
typedef struct ReplacedIndex
{
	Oid former; /* the index that is dropped */
	Oid parent; /* the index, also dropped, that it is a partition of, or InvalidOid */
	Oid relid;		 /* the table */
	Oid replacement; /* the index that is created */
	IndexStmt *stmt; /* creates the replacement */
} ReplacedIndex;

PG_FUNCTION_INFO_V1(soft_delete_redefine_index);
PG_FUNCTION_INFO_V1(soft_delete_prepare_index_command);
PG_FUNCTION_INFO_V1(soft_delete_differs_by_condition);
PG_FUNCTION_INFO_V1(soft_delete_index_corresponds);

static ReplacedIndex *plan_replacement(Oid indexoid, char *tombstone, bool hides,
									   bool as_constraint, bool *changes);
static void attach_replacement(List *indexes, ReplacedIndex *index);
static void run_index_stmt(IndexStmt *stmt);
static Relation open_index(Oid indexoid);
static IndexStmt *describe_index(Relation index);
static void describe_constraint(IndexStmt *stmt, Relation index);
static IndexElem *describe_column(Relation index, int n, Node *expr);
static List *qualified_list(Oid schema, NameData name);
static List *collation_name(Oid collation);
static List *opclass_name(Oid opclass, Oid type);
static List *operator_name(Oid operator);
static List *split_condition(Node *condition);
static Node *join_condition(List *conjuncts);
static Node *make_live_condition(Oid relid, const char *tombstone);
static bool can_be_constraint(Relation index);
static IndexStmt *describe_for_comparison(Relation index, Oid relid,
										  const char *tombstone);
static Node *map_columns(Node *expr, Oid from, Oid to);
static bool calls_user_functions(Node *node, void *is_attached);
static bool is_user_function(Oid funcid, void *context);
static void append_columns(StringInfo buf, Relation index, IndexStmt *stmt);
static const char *quote_name(List *name);
static void append_options(StringInfo buf, List *options);

/*
 * soft_delete_internal.redefine_index(index regclass, deleted_at name, hides boolean, as_constraint boolean) returns boolean
 *
 * Replaces an index, and its partitions, by an index of the same name: with the
 * condition that hides tombstones if "hides", else without it, and then as a unique
 * constraint if "as_constraint" and possible.  Returns false if there was nothing
 * to change.
 *
 * Raises 42P01 if there is no such index, 42809 if it is another kind of relation,
 * 42501 unless the caller owns it, 42703 if the table has no such column, and what
 * DROP INDEX and CREATE INDEX raise.
 */
Datum
soft_delete_redefine_index(PG_FUNCTION_ARGS)
{
	Oid indexoid = PG_GETARG_OID(0);
	char *tombstone = NameStr(*PG_GETARG_NAME(1));
	bool hides = PG_GETARG_BOOL(2);
	bool as_constraint = PG_GETARG_BOOL(3);
	bool changes = false;
	List *indexes = NIL;
	ListCell *lc;

	check_relation_exists(indexoid);
	if (!relation_ownercheck(indexoid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(indexoid));

	/* an index comes before its partitions */
	foreach (lc, find_all_inheritors(indexoid, AccessShareLock, NULL))
	{
		ReplacedIndex *index = plan_replacement(lfirst_oid(lc), tombstone,
												hides, as_constraint, &changes);

		if (lfirst_oid(lc) == indexoid)
			index->parent = InvalidOid;
		indexes = lappend(indexes, index);
	}
	if (!changes)
		PG_RETURN_BOOL(false);

	call_internal("drop_index", 1, (Oid[]){REGCLASSOID},
				  (Datum[]){ObjectIdGetDatum(indexoid)});

	foreach (lc, indexes)
	{
		ReplacedIndex *index = lfirst(lc);

		run_index_stmt(index->stmt);
		index->replacement = get_relname_relid(index->stmt->idxname,
											   get_rel_namespace(index->relid));
	}
	/* partitions first, so that all are attached when an index becomes valid */
	for (int i = list_length(indexes) - 1; i >= 0; i--)
		attach_replacement(indexes, list_nth(indexes, i));
	PG_RETURN_BOOL(true);
}

/*
 * Return by which index an index is to be replaced: see
 * soft_delete_redefine_index().  Sets "changes" to true if it differs from the
 * index.
 */
static ReplacedIndex *
plan_replacement(Oid indexoid, char *tombstone, bool hides, bool as_constraint,
				 bool *changes)
{
	Relation index = open_index(indexoid);
	ReplacedIndex *replaced = palloc0(sizeof(ReplacedIndex));
	IndexStmt *stmt = describe_index(index);
	List *conjuncts = split_condition(stmt->whereClause);
	AttrNumber attnum;

	replaced->former = indexoid;
	replaced->relid = index->rd_index->indrelid;
	replaced->stmt = stmt;
	if (index->rd_rel->relispartition)
		replaced->parent = get_partition_parent(indexoid, false);

	attnum = get_attnum(replaced->relid, tombstone);
	if (hides)
	{
		/*
		 * An index that has the condition already is replaced too: the replacement
		 * is not that of a unique constraint.
		 */
		if (!index_hides_tombstones_as_owner(index, attnum))
			conjuncts = lappend(conjuncts,
								make_live_condition(replaced->relid, tombstone));
		stmt->isconstraint = index->rd_index->indisexclusion;
		*changes = true;
	}
	else if (conjuncts != NIL && tests_null(llast(conjuncts), attnum, IS_NULL))
	{
		/* the extension appends its condition; elsewhere, a user has written it */
		conjuncts = list_delete_last(conjuncts);
		stmt->isconstraint =
			index->rd_index->indisexclusion ||
			(as_constraint && conjuncts == NIL && can_be_constraint(index));
		*changes = true;
	}
	stmt->whereClause = join_condition(conjuncts);
	index_close(index, NoLock);
	return replaced;
}

/*
 * Mark a new index as valid, and attach it, with its constraint, to the replacement
 * of the index that its former one was a partition of.
 *
 * Not by ALTER INDEX ... ATTACH PARTITION, which compares the two indexes as the
 * role that runs it, and so may call functions of the owner with the rights of that
 * role.
 */
static void
attach_replacement(List *indexes, ReplacedIndex *part)
{
	Relation index = relation_open(part->replacement, AccessExclusiveLock);
	ListCell *lc;

	if (!index->rd_index->indisvalid)
	{
		index_set_state_flags(part->replacement, INDEX_CREATE_SET_VALID);
		CommandCounterIncrement();
	}
	foreach (lc, indexes)
	{
		ReplacedIndex *parent = lfirst(lc);

		if (parent->former != part->parent)
			continue;
		IndexSetParentIndex(index, parent->replacement);
		if (OidIsValid(get_index_constraint(part->replacement)))
			ConstraintSetParentConstraint(get_index_constraint(part->replacement),
										  get_index_constraint(parent->replacement),
										  part->relid);
		CommandCounterIncrement();
	}
	relation_close(index, NoLock);
}

/*
 * Run a CREATE INDEX statement that needs no parse analysis, as CREATE TABLE ...
 * LIKE does.  The server switches to the owner of the table for all functions that
 * it calls.
 */
static void
run_index_stmt(IndexStmt *stmt)
{
	PlannedStmt *pstmt = makeNode(PlannedStmt);

	pstmt->commandType = CMD_UTILITY;
	pstmt->utilityStmt = (Node *) stmt;
	pstmt->stmt_location = -1;
	ProcessUtility(pstmt, "CREATE INDEX", false, PROCESS_UTILITY_QUERY, NULL,
				   NULL, None_Receiver, NULL);
	CommandCounterIncrement();
}

/*
 * Open an index in AccessShareLock.  Raises 42P01 if there is no such relation,
 * 42809 if it is not an index.
 */
static Relation
open_index(Oid indexoid)
{
	Relation index = try_relation_open(indexoid, AccessShareLock);

	if (index == NULL)
		check_relation_exists(indexoid);
	if (index->rd_index == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", RelationGetRelationName(index))));
	return index;
}

/*
 * Return the statement that would create an index, without its partitions.  For the
 * index of a unique constraint it is CREATE UNIQUE INDEX.
 */
static IndexStmt *
describe_index(Relation index)
{
	IndexStmt *stmt = makeNode(IndexStmt);
	Form_pg_index form = index->rd_index;
	List *exprs = (List *) stored_tree(index, Anum_pg_index_indexprs);
	ListCell *expr = list_head(exprs);
	HeapTuple class;
	Datum options;
	bool isnull;

	stmt->idxname = pstrdup(RelationGetRelationName(index));
	stmt->relation = makeRangeVar(get_namespace_name(RelationGetNamespace(index)),
								  get_rel_name(form->indrelid), -1);
	stmt->relation->inh = false;
	stmt->accessMethod = get_am_name(index->rd_rel->relam);
	if (OidIsValid(index->rd_rel->reltablespace))
		stmt->tableSpace = get_tablespace_name(index->rd_rel->reltablespace);
	stmt->reset_default_tblspc = true;
	stmt->unique = form->indisunique;
	stmt->nulls_not_distinct = form->indnullsnotdistinct;
	stmt->transformed = true;

	for (int n = 0; n < form->indnatts; n++)
	{
		bool is_expression = form->indkey.values[n] == InvalidAttrNumber;
		IndexElem *elem =
			describe_column(index, n, is_expression ? lfirst(expr) : NULL);

		if (is_expression)
			expr = lnext(exprs, expr);
		if (n < form->indnkeyatts)
			stmt->indexParams = lappend(stmt->indexParams, elem);
		else
			stmt->indexIncludingParams = lappend(stmt->indexIncludingParams, elem);
	}

	class = SearchSysCache1(RELOID, ObjectIdGetDatum(RelationGetRelid(index)));
	options = SysCacheGetAttr(RELOID, class, Anum_pg_class_reloptions, &isnull);
	if (!isnull)
		stmt->options = untransformRelOptions(options);
	ReleaseSysCache(class);

	stmt->whereClause = stored_tree(index, Anum_pg_index_indpred);
	describe_constraint(stmt, index);
	return stmt;
}

/*
 * Add the exclusion constraint of an index, if it has one, to the statement that
 * would create it.
 */
static void
describe_constraint(IndexStmt *stmt, Relation index)
{
	Oid *operators, *procs;
	uint16 *strategies;
	HeapTuple tuple;

	if (!index->rd_index->indisexclusion)
		return;
	stmt->isconstraint = true;
	RelationGetExclusionInfo(index, &operators, &procs, &strategies);
	for (int n = 0; n < index->rd_index->indnkeyatts; n++)
		stmt->excludeOpNames =
			lappend(stmt->excludeOpNames, operator_name(operators[n]));

	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(get_index_constraint(
										   RelationGetRelid(index))));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for the constraint of index %u",
			 RelationGetRelid(index));
	stmt->deferrable = ((Form_pg_constraint) GETSTRUCT(tuple))->condeferrable;
	stmt->initdeferred = ((Form_pg_constraint) GETSTRUCT(tuple))->condeferred;
	ReleaseSysCache(tuple);
}

/*
 * Return the parse node of the nth column of an index, from 0 on.  "expr" is its
 * expression, or NULL.  Defaults are left out.
 */
static IndexElem *
describe_column(Relation index, int n, Node *expr)
{
	IndexElem *elem = makeNode(IndexElem);
	Form_pg_index form = index->rd_index;
	Oid type, collation;
	int32 typmod;
	int16 options;
	bool isnull;
	oidvector *opclasses = (oidvector *) DatumGetPointer(
		SysCacheGetAttr(INDEXRELID, index->rd_indextuple,
						Anum_pg_index_indclass, &isnull));

	elem->indexcolname =
		pstrdup(NameStr(TupleDescAttr(RelationGetDescr(index), n)->attname));
	if (expr != NULL)
	{
		elem->expr = expr;
		type = exprType(expr);
		collation = exprCollation(expr);
	}
	else
	{
		elem->name = get_attname(form->indrelid, form->indkey.values[n], false);
		get_atttypetypmodcoll(form->indrelid, form->indkey.values[n], &type,
							  &typmod, &collation);
	}
	if (n >= form->indnkeyatts)
		return elem;

	if (OidIsValid(index->rd_indcollation[n]) && index->rd_indcollation[n] != collation)
		elem->collation = collation_name(index->rd_indcollation[n]);
	elem->opclassopts =
		untransformRelOptions(get_attoptions(RelationGetRelid(index), n + 1));
	elem->opclass =
		opclass_name(opclasses->values[n], elem->opclassopts ? InvalidOid : type);

	options = index->rd_indoption[n];
	if (options & INDOPTION_DESC)
		elem->ordering = SORTBY_DESC;
	if ((options & INDOPTION_DESC) && !(options & INDOPTION_NULLS_FIRST))
		elem->nulls_ordering = SORTBY_NULLS_LAST;
	else if (!(options & INDOPTION_DESC) && (options & INDOPTION_NULLS_FIRST))
		elem->nulls_ordering = SORTBY_NULLS_FIRST;
	return elem;
}

/*
 * Return a qualified name, as a list of strings.
 */
static List *
qualified_list(Oid schema, NameData name)
{
	return list_make2(makeString(get_namespace_name(schema)),
					  makeString(pstrdup(NameStr(name))));
}

/*
 * Return the qualified name of a collation.
 */
static List *
collation_name(Oid collation)
{
	HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	List *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	name = qualified_list(form->collnamespace, form->collname);
	ReleaseSysCache(tuple);
	return name;
}

/*
 * Return the qualified name of an operator class, or NIL if it is the default one
 * for a type.
 */
static List *
opclass_name(Oid opclass, Oid type)
{
	HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass form;
	List *name = NIL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for opclass %u", opclass);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	if (!OidIsValid(type) || GetDefaultOpClass(type, form->opcmethod) != opclass)
		name = qualified_list(form->opcnamespace, form->opcname);
	ReleaseSysCache(tuple);
	return name;
}

/*
 * Return the qualified name of an operator.
 */
static List *
operator_name(Oid operator)
{
	HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	List *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	name = qualified_list(form->oprnamespace, form->oprname);
	ReleaseSysCache(tuple);
	return name;
}

/*
 * Return the expressions or the predicate of an index as they are stored.  They are
 * not simplified, so no function in them is called.
 */
Node *
stored_tree(Relation index, AttrNumber attribute)
{
	bool isnull;
	Datum value =
		SysCacheGetAttr(INDEXRELID, index->rd_indextuple, attribute, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(value));
}

/*
 * Return the operands of a condition that is an AND, else a list of the condition
 * alone.  It is empty if there is no condition.
 */
static List *
split_condition(Node *condition)
{
	if (condition == NULL)
		return NIL;
	if (is_andclause(condition))
		return list_copy(((BoolExpr *) condition)->args);
	return list_make1(condition);
}

/*
 * Return the condition with these operands of AND, or NULL if there are none.
 */
static Node *
join_condition(List *conjuncts)
{
	if (conjuncts == NIL)
		return NULL;
	if (list_length(conjuncts) == 1)
		return linitial(conjuncts);
	return (Node *) makeBoolExpr(AND_EXPR, conjuncts, -1);
}

/*
 * Return the condition that a row of a table is live.  Raises 42703 if the table
 * does not have the tombstone column.
 */
static Node *
make_live_condition(Oid relid, const char *tombstone)
{
	AttrNumber attnum = get_attnum(relid, tombstone);
	Oid type, collation;
	int32 typmod;

	if (attnum == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of relation \"%s\" does not exist",
							   tombstone, get_rel_name(relid))));
	get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
	return (Node *) make_live_test(makeVar(1, attnum, type, typmod, collation, 0));
}

/*
 * Can the index be that of a unique constraint: does it have no expressions, and
 * the default order?
 */
static bool
can_be_constraint(Relation index)
{
	if (!index->rd_index->indisunique)
		return false;
	for (int n = 0; n < index->rd_index->indnkeyatts; n++)
	{
		if (index->rd_index->indkey.values[n] == InvalidAttrNumber ||
			index->rd_indoption[n] != 0)
			return false;
	}
	return true;
}

/*
 * soft_delete_internal.differs_by_condition(index regclass, other regclass, deleted_at name) returns boolean
 *
 * Returns whether two indexes of the same table would be equal, except for their
 * names, if the first one had the condition that hides tombstones.
 *
 * Raises 42P01 if there is no such relation, 42809 if it is not an index.
 */
Datum
soft_delete_differs_by_condition(PG_FUNCTION_ARGS)
{
	char *tombstone = NameStr(*PG_GETARG_NAME(2));
	Relation index = open_index(PG_GETARG_OID(0));
	Relation other = open_index(PG_GETARG_OID(1));
	Oid relid = index->rd_index->indrelid;
	bool is_same = relid == other->rd_index->indrelid &&
				   get_attnum(relid, tombstone) != InvalidAttrNumber &&
				   equal(describe_for_comparison(index, relid, tombstone),
						 describe_for_comparison(other, relid, NULL));

	index_close(other, AccessShareLock);
	index_close(index, AccessShareLock);
	PG_RETURN_BOOL(is_same);
}

/*
 * soft_delete_internal.index_corresponds(index regclass, other regclass) returns boolean
 *
 * Returns whether two indexes, of the same table or of two tables, are equal except
 * for their names, tablespaces and storage parameters.
 *
 * Raises 42P01 if there is no such relation, 42809 if it is not an index.
 */
Datum
soft_delete_index_corresponds(PG_FUNCTION_ARGS)
{
	Relation index = open_index(PG_GETARG_OID(0));
	Relation other = open_index(PG_GETARG_OID(1));
	IndexStmt *a = describe_for_comparison(index, index->rd_index->indrelid, NULL);
	IndexStmt *b = describe_for_comparison(other, index->rd_index->indrelid, NULL);

	a->options = b->options = NIL;
	a->tableSpace = b->tableSpace = NULL;
	index_close(other, AccessShareLock);
	index_close(index, AccessShareLock);
	PG_RETURN_BOOL(equal(a, b));
}

/*
 * Return the definition of an index for a comparison: without names, with
 * expressions simplified as the server does to compare indexes, and with the
 * attribute numbers of table "relid".  If "tombstone" is given, as if the index had
 * the condition that this column is null.
 */
static IndexStmt *
describe_for_comparison(Relation index, Oid relid, const char *tombstone)
{
	IndexStmt *stmt = describe_index(index);
	Oid own_table = index->rd_index->indrelid;
	List *conjuncts = split_condition(stmt->whereClause);
	SavedRole saved;
	ListCell *lc;

	stmt->idxname = NULL;
	stmt->relation = NULL;

	/* simplifying calls functions */
	become_owner(index, &saved);
	if (tombstone != NULL &&
		!index_hides_tombstones(index, get_attnum(own_table, tombstone)))
		conjuncts = lappend(conjuncts, make_live_condition(own_table, tombstone));
	stmt->whereClause = join_condition(conjuncts);
	if (stmt->whereClause != NULL)
	{
		Node *simple = eval_const_expressions(NULL, stmt->whereClause);

		simple =
			(Node *) make_ands_implicit(canonicalize_qual((Expr *) simple, false));
		stmt->whereClause = map_columns(simple, own_table, relid);
	}
	foreach (lc, stmt->indexParams)
	{
		IndexElem *elem = lfirst_node(IndexElem, lc);

		elem->indexcolname = NULL;
		if (elem->expr != NULL)
			elem->expr = map_columns(eval_const_expressions(NULL, elem->expr),
									 own_table, relid);
	}
	restore_role(&saved);
	foreach (lc, stmt->indexIncludingParams)
		lfirst_node(IndexElem, lc)->indexcolname = NULL;
	return stmt;
}

/*
 * Return an expression on the columns of one table as one on the columns of another
 * table, with the same names.  A column that the other table does not have gets an
 * attribute number that no column has.
 */
static Node *
map_columns(Node *expr, Oid from, Oid to)
{
	Relation rel;
	AttrMap *map;
	bool found_whole_row;

	if (from == to)
		return expr;
	rel = relation_open(from, AccessShareLock);
	map = make_attrmap(RelationGetDescr(rel)->natts);
	for (int i = 0; i < map->maplen; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		AttrNumber attnum = att->attisdropped
								? InvalidAttrNumber
								: get_attnum(to, NameStr(att->attname));

		/* no table has MaxAttrNumber columns */
		map->attnums[i] = attnum == InvalidAttrNumber ? MaxAttrNumber : attnum;
	}
	expr = map_variable_attnos(expr, 1, 0, map, InvalidOid, &found_whole_row);
	free_attrmap(map);
	relation_close(rel, AccessShareLock);
	return expr;
}

/*
 * soft_delete_internal.prepare_index_command(index regclass, name name, deleted_at name) returns text
 *
 * Returns the command that creates an index of that name which differs from an
 * index only in the condition that hides tombstones.  Null if the command would
 * call functions of the owner as the role that runs it: when it converts a literal,
 * or compares indexes to attach them.
 *
 * Raises 42P01 if there is no such relation, 42809 if it is not an index.
 */
Datum
soft_delete_prepare_index_command(PG_FUNCTION_ARGS)
{
	Relation index = open_index(PG_GETARG_OID(0));
	char *name = NameStr(*PG_GETARG_NAME(1));
	char *tombstone = NameStr(*PG_GETARG_NAME(2));
	Oid relid = index->rd_index->indrelid;
	bool is_partitioned = index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX;
	bool is_attached = is_partitioned || index->rd_rel->relispartition;
	IndexStmt *stmt = describe_index(index);
	StringInfoData buf;

	if (calls_user_functions(stored_tree(index, Anum_pg_index_indexprs), &is_attached) ||
		calls_user_functions(stmt->whereClause, &is_attached))
	{
		index_close(index, AccessShareLock);
		PG_RETURN_NULL();
	}

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %sINDEX %s%s ON %s%s USING %s (",
					 stmt->unique ? "UNIQUE " : "",
					 is_partitioned ? "" : "CONCURRENTLY ",
					 quote_identifier(name), is_partitioned ? "ONLY " : "",
					 quote_qualified_identifier(stmt->relation->schemaname,
												stmt->relation->relname),
					 quote_identifier(stmt->accessMethod));
	append_columns(&buf, index, stmt);
	if (stmt->nulls_not_distinct)
		appendStringInfoString(&buf, " NULLS NOT DISTINCT");
	if (stmt->options != NIL)
	{
		appendStringInfoString(&buf, " WITH");
		append_options(&buf, stmt->options);
	}
	if (stmt->tableSpace != NULL)
		appendStringInfo(&buf, " TABLESPACE %s", quote_identifier(stmt->tableSpace));
	appendStringInfoString(&buf, " WHERE ");
	if (stmt->whereClause != NULL)
		appendStringInfo(&buf, "%s AND ",
						 deparse_expression(stmt->whereClause,
											deparse_context_for(get_rel_name(relid),
																relid),
											false, false));
	appendStringInfo(&buf, "(%s IS NULL)", quote_identifier(tombstone));
	index_close(index, AccessShareLock);
	PG_RETURN_TEXT_P(cstring_to_text(buf.data));
}

/*
 * Would a command that contains the expression call functions that users have
 * created, as the role that runs the command?  It converts literals and, if the
 * index is attached to another one ("is_attached"), simplifies the whole expression
 * (tree walker).
 */
static bool
calls_user_functions(Node *node, void *is_attached)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const) && input_calls_user_functions(((Const *) node)->consttype))
		return true;
	if (*(bool *) is_attached &&
		(IsA(node, CoerceToDomain) ||
		 check_functions_in_node(node, is_user_function, NULL)))
		return true;
	return expression_tree_walker(node, calls_user_functions, is_attached);
}

/*
 * Has a user created the function (callback of check_functions_in_node())?
 */
static bool
is_user_function(Oid funcid, void *context)
{
	return funcid >= FirstNormalObjectId;
}

/*
 * Append the columns of an index, and the closing parenthesis.
 */
static void
append_columns(StringInfo buf, Relation index, IndexStmt *stmt)
{
	int nkeys = list_length(stmt->indexParams);
	List *elems = list_concat_copy(stmt->indexParams, stmt->indexIncludingParams);
	ListCell *lc;

	foreach (lc, elems)
	{
		IndexElem *elem = lfirst_node(IndexElem, lc);
		int n = foreach_current_index(lc);

		appendStringInfoString(buf, n == 0		 ? ""
									: n == nkeys ? ") INCLUDE ("
												 : ", ");
		/* the name or the expression, in parentheses if they are needed */
		appendStringInfoString(buf,
							   TextDatumGetCString(
								   DirectFunctionCall3(pg_get_indexdef_ext,
													   ObjectIdGetDatum(
														   RelationGetRelid(index)),
													   Int32GetDatum(n + 1),
													   BoolGetDatum(false))));
		if (elem->collation != NIL)
			appendStringInfo(buf, " COLLATE %s", quote_name(elem->collation));
		if (elem->opclass != NIL)
			appendStringInfo(buf, " %s", quote_name(elem->opclass));
		if (elem->opclassopts != NIL)
			append_options(buf, elem->opclassopts);
		if (elem->ordering == SORTBY_DESC)
			appendStringInfoString(buf, " DESC");
		if (elem->nulls_ordering != SORTBY_NULLS_DEFAULT)
			appendStringInfoString(buf, elem->nulls_ordering == SORTBY_NULLS_FIRST
											? " NULLS FIRST"
											: " NULLS LAST");
	}
	appendStringInfoChar(buf, ')');
}

/*
 * Return a qualified name, given as a list of strings, quoted.
 */
static const char *
quote_name(List *name)
{
	return quote_qualified_identifier(strVal(linitial(name)), strVal(lsecond(name)));
}

/*
 * Append storage parameters or options of an operator class, in parentheses.
 */
static void
append_options(StringInfo buf, List *options)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		appendStringInfo(buf, "%s%s", lc == list_head(options) ? " (" : ", ",
						 quote_identifier(option->defname));
		if (option->arg != NULL)
			appendStringInfo(buf, "=%s", quote_literal_cstr(strVal(option->arg)));
	}
	appendStringInfoChar(buf, ')');
}
