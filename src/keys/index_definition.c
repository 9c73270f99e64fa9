/*
 * index_definition.c
 *	  Reads the definition of an index from the catalogs, replaces the index by one
 *	  with or without the condition that hides tombstones, and compares two indexes.
 *
 * Invariants: a definition is a tree of nodes and names that the catalogs gave,
 * never a piece of a text that shows it.  An expression of a table's owner is
 * simplified, which calls functions in it, with his rights only; where an index is
 * built, the server sees to that itself.  What becomes of constraints, comments and
 * stand-ins is up to sql/keys.sql.
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

/* An index that is replaced, of a partitioned table or of one of its partitions */
typedef struct IndexPart
{
	Oid former; /* the index that is there before */
	Oid parent; /* the former one of the partitioned table, if this is of a partition */
	Oid relid; /* the table */
	Oid now;   /* the index that takes its place */
	IndexStmt *stmt;
} IndexPart;

PG_FUNCTION_INFO_V1(soft_delete_redefine_index);
PG_FUNCTION_INFO_V1(soft_delete_prepare_index_command);
PG_FUNCTION_INFO_V1(soft_delete_differs_by_condition);
PG_FUNCTION_INFO_V1(soft_delete_index_corresponds);

static IndexPart *redefine_part(Oid indexoid, char *tombstone, bool hides,
								bool as_constraint, bool *changes);
static void attach_part(List *parts, IndexPart *part);
static void run_index_stmt(IndexStmt *stmt);
static Relation open_index(Oid indexoid);
static IndexStmt *describe_index(Relation index);
static void describe_constraint(IndexStmt *stmt, Relation index);
static IndexElem *describe_key(Relation index, int n, Node *expr);
static List *collation_name(Oid collation);
static List *opclass_name(Oid opclass, Oid type);
static List *operator_name(Oid operator);
static Node *stored_tree(Relation index, AttrNumber attribute);
static List *conjuncts_of(Node *condition);
static Node *make_condition(List *conjuncts);
static Node *live_test(Oid relid, const char *tombstone);
static bool hides_already(Relation index, AttrNumber attnum);
static bool is_plain_key(Relation index);
static IndexStmt *comparable(Relation index, Oid relid, const char *tombstone);
static Node *map_to(Node *expr, Oid from, Oid to);
static bool calls_users(Node *node, void *is_attached);
static bool is_users_function(Oid funcid, void *context);
static void append_keys(StringInfo buf, Relation index, IndexStmt *stmt);
static const char *quote_name(List *name);
static void append_options(StringInfo buf, List *options);

/*
 * soft_delete_internal.redefine_index(index regclass, deleted_at name, hides boolean, as_constraint boolean) returns boolean
 *
 * Puts an index of the same name in the place of an index, and in those of its
 * partitions: with the condition that hides tombstones, or without it, then as a
 * unique constraint if that is wanted and possible.  Returns false where there was
 * nothing to change.
 *
 * Raises 42501 unless the caller owns the index, and what DROP and CREATE INDEX do.
 */
Datum
soft_delete_redefine_index(PG_FUNCTION_ARGS)
{
	Oid indexoid = PG_GETARG_OID(0);
	char *tombstone = NameStr(*PG_GETARG_NAME(1));
	bool hides = PG_GETARG_BOOL(2);
	bool as_constraint = PG_GETARG_BOOL(3);
	bool changes = false;
	List *parts = NIL;
	ListCell *lc;

	check_relation_exists(indexoid);
	if (!relation_ownercheck(indexoid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(indexoid));

	/* parents first */
	foreach (lc, find_all_inheritors(indexoid, AccessShareLock, NULL))
	{
		IndexPart *part = redefine_part(lfirst_oid(lc), tombstone, hides,
										as_constraint, &changes);

		if (lfirst_oid(lc) == indexoid)
			part->parent = InvalidOid;
		parts = lappend(parts, part);
	}
	if (!changes)
		PG_RETURN_BOOL(false);

	call_internal("drop_index", 1, (Oid[]){REGCLASSOID},
				  (Datum[]){ObjectIdGetDatum(indexoid)});

	foreach (lc, parts)
	{
		IndexPart *part = lfirst(lc);

		run_index_stmt(part->stmt);
		part->now =
			get_relname_relid(part->stmt->idxname, get_rel_namespace(part->relid));
	}
	/* the ones furthest down first, so that a parent has all its parts when it becomes valid */
	for (int i = list_length(parts) - 1; i >= 0; i--)
		attach_part(parts, list_nth(parts, i));
	PG_RETURN_BOOL(true);
}

/*
 * Return the definition of the index that replaces an index.  "changes" is set to true where
 * that differs from what it is.
 */
static IndexPart *
redefine_part(Oid indexoid, char *tombstone, bool hides, bool as_constraint,
			  bool *changes)
{
	Relation index = open_index(indexoid);
	IndexPart *part = palloc0(sizeof(IndexPart));
	IndexStmt *stmt = describe_index(index);
	List *conjuncts = conjuncts_of(stmt->whereClause);
	AttrNumber attnum;

	part->former = indexoid;
	part->relid = index->rd_index->indrelid;
	part->stmt = stmt;
	if (index->rd_rel->relispartition)
		part->parent = get_partition_parent(indexoid, false);

	attnum = get_attnum(part->relid, tombstone);
	if (hides)
	{
		/* one that has just been added as a unique constraint does, and must not stay one */
		if (!hides_already(index, attnum))
			conjuncts = lappend(conjuncts, live_test(part->relid, tombstone));
		stmt->isconstraint = index->rd_index->indisexclusion;
		*changes = true;
	}
	else if (conjuncts != NIL && tests_null(llast(conjuncts), attnum, IS_NULL))
	{
		/* where convert_indexes() puts it; anywhere else a user has written it */
		conjuncts = list_delete_last(conjuncts);
		stmt->isconstraint =
			index->rd_index->indisexclusion ||
			(as_constraint && conjuncts == NIL && is_plain_key(index));
		*changes = true;
	}
	stmt->whereClause = make_condition(conjuncts);
	index_close(index, NoLock);
	return part;
}

/*
 * Attach a new index to that of the partitioned table, as its former one was, and
 * with it the constraint; or make it valid, if all of its own parts are attached.
 *
 * Not by ALTER INDEX: that compares the two with the rights of whoever runs it.
 */
static void
attach_part(List *parts, IndexPart *part)
{
	Relation index = relation_open(part->now, AccessExclusiveLock);
	ListCell *lc;

	if (!index->rd_index->indisvalid)
	{
		index_set_state_flags(part->now, INDEX_CREATE_SET_VALID);
		CommandCounterIncrement();
	}
	foreach (lc, parts)
	{
		IndexPart *parent = lfirst(lc);

		if (parent->former != part->parent)
			continue;
		IndexSetParentIndex(index, parent->now);
		if (OidIsValid(get_index_constraint(part->now)))
			ConstraintSetParentConstraint(get_index_constraint(part->now),
										  get_index_constraint(parent->now),
										  part->relid);
		CommandCounterIncrement();
	}
	relation_close(index, NoLock);
}

/*
 * Run CREATE INDEX that has been analyzed, as CREATE TABLE ... LIKE does.  The
 * server takes on the rights of the table's owner for all that is called in it.
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
 * Open an index.  Raises 42P01 where there is none, 42809 for what is another
 * relation.
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
 * Return the statement that makes an index, of this table alone, what it is.  That
 * of a unique constraint makes an index.
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
			describe_key(index, n, is_expression ? lfirst(expr) : NULL);

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
 * Describe an exclusion constraint.
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
 * Describe the nth column of an index, from 0 on; "expr" is its expression, if it
 * is one.  What would be so by default is left out.
 */
static IndexElem *
describe_key(Relation index, int n, Node *expr)
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
	name = list_make2(makeString(get_namespace_name(form->collnamespace)),
					  makeString(pstrdup(NameStr(form->collname))));
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
		name = list_make2(makeString(get_namespace_name(form->opcnamespace)),
						  makeString(pstrdup(NameStr(form->opcname))));
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
	name = list_make2(makeString(get_namespace_name(form->oprnamespace)),
					  makeString(pstrdup(NameStr(form->oprname))));
	ReleaseSysCache(tuple);
	return name;
}

/*
 * Return the expressions or the predicate of an index as they are stored, not
 * simplified, so that nothing in them is called.
 */
static Node *
stored_tree(Relation index, AttrNumber attribute)
{
	bool isnull;
	Datum value =
		SysCacheGetAttr(INDEXRELID, index->rd_indextuple, attribute, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(value));
}

/*
 * Return what a condition demands, each by itself.
 */
static List *
conjuncts_of(Node *condition)
{
	if (condition == NULL)
		return NIL;
	if (is_andclause(condition))
		return list_copy(((BoolExpr *) condition)->args);
	return list_make1(condition);
}

/*
 * Return the condition that demands all of it, or NULL.
 */
static Node *
make_condition(List *conjuncts)
{
	if (conjuncts == NIL)
		return NULL;
	if (list_length(conjuncts) == 1)
		return linitial(conjuncts);
	return (Node *) makeBoolExpr(AND_EXPR, conjuncts, -1);
}

/*
 * Return the condition that a row is live.  Raises 42703 if the table has no such
 * column.
 */
static Node *
live_test(Oid relid, const char *tombstone)
{
	NullTest *test = makeNode(NullTest);
	AttrNumber attnum = get_attnum(relid, tombstone);
	Oid type, collation;
	int32 typmod;

	if (attnum == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of relation \"%s\" does not exist",
							   tombstone, get_rel_name(relid))));
	get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
	test->arg = (Expr *) makeVar(1, attnum, type, typmod, collation, 0);
	test->nulltesttype = IS_NULL;
	test->argisrow = false;
	test->location = -1;
	return (Node *) test;
}

/*
 * Does the index hide tombstones?  A look at a predicate may call functions in it.
 */
static bool
hides_already(Relation index, AttrNumber attnum)
{
	SavedRole saved;
	bool hides;

	become_owner(index, &saved);
	hides = index_hides_tombstones(index, attnum);
	restore_role(&saved);
	return hides;
}

/*
 * Has the index the key of a unique constraint: of columns, in the default order?
 */
static bool
is_plain_key(Relation index)
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
 * Tells whether an index would be the other one of the same table, but for its
 * name, if it hid tombstones.
 */
Datum
soft_delete_differs_by_condition(PG_FUNCTION_ARGS)
{
	char *tombstone = NameStr(*PG_GETARG_NAME(2));
	Relation index = open_index(PG_GETARG_OID(0));
	Relation other = open_index(PG_GETARG_OID(1));
	Oid relid = index->rd_index->indrelid;
	bool is_same =
		relid == other->rd_index->indrelid &&
		get_attnum(relid, tombstone) != InvalidAttrNumber &&
		equal(comparable(index, relid, tombstone), comparable(other, relid, NULL));

	index_close(other, AccessShareLock);
	index_close(index, AccessShareLock);
	PG_RETURN_BOOL(is_same);
}

/*
 * soft_delete_internal.index_corresponds(index regclass, other regclass) returns boolean
 *
 * Tells whether two indexes are the same for two tables, but for their names and
 * where and how they are stored.
 */
Datum
soft_delete_index_corresponds(PG_FUNCTION_ARGS)
{
	Relation index = open_index(PG_GETARG_OID(0));
	Relation other = open_index(PG_GETARG_OID(1));
	IndexStmt *a = comparable(index, index->rd_index->indrelid, NULL);
	IndexStmt *b = comparable(other, index->rd_index->indrelid, NULL);

	a->options = b->options = NIL;
	a->tableSpace = b->tableSpace = NULL;
	index_close(other, AccessShareLock);
	index_close(index, AccessShareLock);
	PG_RETURN_BOOL(equal(a, b));
}

/*
 * Return what an index is, without its name, simplified as the server does to
 * compare indexes, with the columns of a table, which may be another one than its
 * own; "tombstone": as if it hid the tombstones by that column.
 */
static IndexStmt *
comparable(Relation index, Oid relid, const char *tombstone)
{
	IndexStmt *stmt = describe_index(index);
	Oid own_table = index->rd_index->indrelid;
	List *conjuncts = conjuncts_of(stmt->whereClause);
	SavedRole saved;
	ListCell *lc;

	stmt->idxname = NULL;
	stmt->relation = NULL;

	/* simplifying calls functions */
	become_owner(index, &saved);
	if (tombstone != NULL &&
		!index_hides_tombstones(index, get_attnum(own_table, tombstone)))
		conjuncts = lappend(conjuncts, live_test(own_table, tombstone));
	stmt->whereClause = make_condition(conjuncts);
	if (stmt->whereClause != NULL)
	{
		Node *simple = eval_const_expressions(NULL, stmt->whereClause);

		simple =
			(Node *) make_ands_implicit(canonicalize_qual((Expr *) simple, false));
		stmt->whereClause = map_to(simple, own_table, relid);
	}
	foreach (lc, stmt->indexParams)
	{
		IndexElem *elem = lfirst_node(IndexElem, lc);

		elem->indexcolname = NULL;
		if (elem->expr != NULL)
			elem->expr =
				map_to(eval_const_expressions(NULL, elem->expr), own_table, relid);
	}
	restore_role(&saved);
	foreach (lc, stmt->indexIncludingParams)
		lfirst_node(IndexElem, lc)->indexcolname = NULL;
	return stmt;
}

/*
 * Return an expression over the columns of another table, by their names.  One
 * that this lacks is none of either.
 */
static Node *
map_to(Node *expr, Oid from, Oid to)
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

		/* no table has so many */
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
 * Returns the command that makes an index of that name, which differs from an
 * index in that it hides tombstones.  Null if the owner's functions would be called
 * by whoever runs the command: as a literal is read, or parts are compared when
 * they are attached.
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

	if (calls_users(stored_tree(index, Anum_pg_index_indexprs), &is_attached) ||
		calls_users(stmt->whereClause, &is_attached))
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
	append_keys(&buf, index, stmt);
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
 * Would reading an expression call functions that users have made, with the rights
 * of who reads it?  Its literals are converted then.  Of an index that is attached,
 * all of it is simplified.
 */
static bool
calls_users(Node *node, void *is_attached)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const) && input_calls_user_functions(((Const *) node)->consttype))
		return true;
	if (*(bool *) is_attached &&
		(IsA(node, CoerceToDomain) ||
		 check_functions_in_node(node, is_users_function, NULL)))
		return true;
	return expression_tree_walker(node, calls_users, is_attached);
}

/*
 * Has a user made the function?  For check_functions_in_node().
 */
static bool
is_users_function(Oid funcid, void *context)
{
	return funcid >= FirstNormalObjectId;
}

/*
 * Append the columns of an index, and the parenthesis that closes them.
 */
static void
append_keys(StringInfo buf, Relation index, IndexStmt *stmt)
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
		/* its name, or its expression, in parentheses where they are needed */
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
 * Return a name with its schema, quoted.
 */
static const char *
quote_name(List *name)
{
	return quote_qualified_identifier(strVal(linitial(name)), strVal(lsecond(name)));
}

/*
 * Append storage or operator class options.
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
