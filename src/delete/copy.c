/*
 * copy.c
 *	  Changes COPY of a tagged table, to read live rows only, and to leave out the
 *	  tombstone column.
 *
 * COPY reads a table without the planner, and makes the list of columns itself.
 * So COPY TO becomes COPY of a query over the live rows, and in both directions
 * the tombstone column is left out where no column list names it.  COPY FROM
 * checks that it is null, unless the table admits tombstones.
 *
 * COPY FROM takes the option FREEZE for a table that the transaction has
 * truncated.  After a soft TRUNCATE the deleted rows are still in the table, so
 * it is ignored.
 *
 * COPY FROM of a table of the extension, which a dump has, inserts into a view of the extension
 * (sql/dump.sql), if there is one for it.
 *
 * A tool that copies a database in several sessions lets them import one snapshot.
 * There COPY TO of the tombstone column is refused, for the copy would be a part.
 *
 * Invariant: COPY TO returns the rows and columns that the application would have
 * without the tag.  Maintenance sessions copy the plain table, and so does COPY TO
 * where a session sees deleted rows.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "delete/sd_delete.h"
#include "plan/sd_plan.h"

static PlannedStmt *copy_from(PlannedStmt *pstmt, Relation rel, AttrNumber tombstone);
static PlannedStmt *copy_to(PlannedStmt *pstmt, Relation rel, AttrNumber tombstone);
static PlannedStmt *copy_into_records(PlannedStmt *pstmt, Relation rel);
static List *application_columns(Relation rel, AttrNumber tombstone, bool is_from);
static bool names_column(List *columns, const char *name);
static void check_copied_query(Node *query);
static List *selected_columns(SelectStmt *select);
static void refuse_partial_copy(Relation rel, List *columns, AttrNumber tombstone);
static void select_live_rows(CopyStmt *stmt, Relation rel);
static void drop_freeze(CopyStmt *stmt);
static void check_tombstone(CopyStmt *stmt, Relation rel, const char *tombstone);

/*
 * Return the statement to run in place of a COPY: the same one, or a changed copy
 * if its table is tagged.
 */
PlannedStmt *
copy_live_rows(PlannedStmt *pstmt)
{
	CopyStmt *stmt = castNode(CopyStmt, pstmt->utilityStmt);
	Relation rel;
	AttrNumber tombstone;

	if (stmt->relation == NULL)
	{
		check_copied_query(stmt->query);
		return pstmt;
	}

	rel = table_openrv_extended(stmt->relation,
								stmt->is_from ? RowExclusiveLock : AccessShareLock,
								true);
	if (rel == NULL)
		return pstmt; /* COPY itself will raise the error */

	if (stmt->is_from)
		note_written(RelationGetRelid(rel));
	else
		check_snapshot(RelationGetRelid(rel), GetActiveSnapshot());
	tombstone = tombstone_attribute(rel);
	if (tombstone != InvalidAttrNumber)
		pstmt = stmt->is_from ? copy_from(pstmt, rel, tombstone)
							  : copy_to(pstmt, rel, tombstone);
	else if (stmt->is_from)
		pstmt = copy_into_records(pstmt, rel);
	table_close(rel, NoLock);
	return pstmt;
}

/*
 * Return the statement to run in place of a COPY FROM of a tagged table.
 */
static PlannedStmt *
copy_from(PlannedStmt *pstmt, Relation rel, AttrNumber tombstone)
{
	bool is_truncated = was_truncated(RelationGetRelid(rel));
	bool is_plain = is_maintenance(RelationGetRelid(rel));
	Form_pg_attribute att;
	CopyStmt *stmt;
	char *name;

	if (!is_truncated && is_plain)
		return pstmt;
	pstmt = copyObject(pstmt);
	stmt = castNode(CopyStmt, pstmt->utilityStmt);
	if (is_truncated)
		drop_freeze(stmt);
	if (is_plain)
		return pstmt;

	att = TupleDescAttr(RelationGetDescr(rel), tombstone - 1);
	name = NameStr(att->attname);
	if (att->atthasdef || names_column(stmt->attlist, name))
		check_tombstone(stmt, rel, name);
	if (stmt->attlist == NIL)
		stmt->attlist = application_columns(rel, tombstone, true);
	/* a table with no other column: COPY reads the tombstone column */
	if (stmt->attlist == NIL)
		check_tombstone(stmt, rel, name);
	return pstmt;
}

/*
 * Return the statement to run in place of a COPY FROM, as pg_dump writes it, of a table of
 * the extension: a COPY into the view for it, which leaves out rows about relations that do
 * not exist.  Without one, it is the same statement.
 */
static PlannedStmt *
copy_into_records(PlannedStmt *pstmt, Relation rel)
{
	char *name = psprintf("restored_%s", RelationGetRelationName(rel));
	Oid view = get_relname_relid(name, RelationGetNamespace(rel));

	/* where its trigger would not fire, the view would take rows and keep none */
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ||
		castNode(CopyStmt, pstmt->utilityStmt)->options != NIL ||
		!OidIsValid(view) || !is_extension_member(RelationRelationId, view))
		return pstmt;
	pstmt = copyObject(pstmt);
	castNode(CopyStmt, pstmt->utilityStmt)->relation =
		makeRangeVar(get_namespace_name(RelationGetNamespace(rel)), name, -1);
	return pstmt;
}

/*
 * Return the statement to run in place of a COPY TO of a tagged table.
 */
static PlannedStmt *
copy_to(PlannedStmt *pstmt, Relation rel, AttrNumber tombstone)
{
	CopyStmt *stmt;

	if (reads_tombstones(RelationGetRelid(rel)) || shows_deleted() ||
		!can_be_copied(rel))
		return pstmt;
	pstmt = copyObject(pstmt);
	stmt = castNode(CopyStmt, pstmt->utilityStmt);
	refuse_partial_copy(rel, stmt->attlist, tombstone);
	if (stmt->attlist == NIL)
		stmt->attlist = application_columns(rel, tombstone, false);
	select_live_rows(stmt, rel);
	return pstmt;
}

/*
 * Return the names of the columns that COPY takes by default, without the
 * tombstone column.
 *
 * Where row security applies, COPY TO is a SELECT *, which has generated columns
 * too.
 */
static List *
application_columns(Relation rel, AttrNumber tombstone, bool is_from)
{
	List *columns = NIL;
	bool takes_generated =
		!is_from &&
		check_enable_rls(RelationGetRelid(rel), InvalidOid, true) == RLS_ENABLED;

	for (int attno = 1; attno <= RelationGetDescr(rel)->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attno - 1);

		if (!att->attisdropped && (takes_generated || !att->attgenerated) &&
			attno != tombstone)
			columns = lappend(columns, makeString(pstrdup(NameStr(att->attname))));
	}
	return columns;
}

/*
 * Is a column named in a column list?
 */
static bool
names_column(List *columns, const char *name)
{
	ListCell *lc;

	foreach (lc, columns)
	{
		if (strcmp(strVal(lfirst(lc)), name) == 0)
			return true;
	}
	return false;
}

/*
 * Check a query whose result is copied: one that selects from one table, as a tool
 * writes it that copies the table.
 */
static void
check_copied_query(Node *query)
{
	SelectStmt *select = (SelectStmt *) query;
	Relation rel;

	if (!has_imported_snapshot() || !IsA(query, SelectStmt) ||
		list_length(select->fromClause) != 1 ||
		!IsA(linitial(select->fromClause), RangeVar))
		return;
	rel = table_openrv_extended(linitial_node(RangeVar, select->fromClause),
								AccessShareLock, true);
	if (rel == NULL)
		return; /* COPY itself will raise the error */
	if (tombstone_attribute(rel) != InvalidAttrNumber &&
		!reads_tombstones(RelationGetRelid(rel)) && !shows_deleted())
		refuse_partial_copy(rel, selected_columns(select), tombstone_attribute(rel));
	table_close(rel, NoLock);
}

/*
 * Return the names of the columns that a SELECT lists as such, or NIL if it selects "*".
 */
static List *
selected_columns(SelectStmt *select)
{
	List *columns = list_make1(makeString(""));
	ListCell *lc;

	foreach (lc, select->targetList)
	{
		Node *value = lfirst_node(ResTarget, lc)->val;

		if (!IsA(value, ColumnRef))
			continue;
		if (IsA(llast(((ColumnRef *) value)->fields), A_Star))
			return NIL;
		columns = lappend(columns, llast(((ColumnRef *) value)->fields));
	}
	return columns;
}

/*
 * Raise 0A000 if the transaction has imported a snapshot, and a COPY TO of live rows
 * has the tombstone column among these columns, or takes all, which NIL stands for.
 */
static void
refuse_partial_copy(Relation rel, List *columns, AttrNumber tombstone)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), tombstone - 1);

	if (!row_security || !has_imported_snapshot() ||
		(columns != NIL && !names_column(columns, NameStr(att->attname))))
		return;
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("COPY would leave out deleted rows of table \"%s\"",
						   RelationGetRelationName(rel)),
					errdetail("The transaction has imported a snapshot, as tools do that copy a database. Without column \"%s\", live rows can be copied. A tool takes the setting by PGOPTIONS=\"-c row_security=off\".",
							  NameStr(att->attname)),
					errhint("SET row_security = off;")));
}

/*
 * Remove the option FREEZE from a COPY.
 */
static void
drop_freeze(CopyStmt *stmt)
{
	List *options = NIL;
	ListCell *lc;

	foreach (lc, stmt->options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "freeze") != 0)
			options = lappend(options, lfirst(lc));
	}
	stmt->options = options;
}

/*
 * Change COPY table TO into COPY (SELECT columns FROM ONLY table) TO, whose query
 * the planner's hook restricts to live rows.
 */
static void
select_live_rows(CopyStmt *stmt, Relation rel)
{
	SelectStmt *select = makeNode(SelectStmt);
	ListCell *lc;

	foreach (lc, stmt->attlist)
	{
		ColumnRef *column = makeNode(ColumnRef);
		ResTarget *target = makeNode(ResTarget);

		column->fields = list_make1(lfirst(lc));
		column->location = -1;
		target->val = (Node *) column;
		target->location = -1;
		select->targetList = lappend(select->targetList, target);
	}

	/* COPY reads a table with partitions, but without inheritance children */
	stmt->relation->inh = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	select->fromClause = list_make1(stmt->relation);
	stmt->relation = NULL;
	stmt->attlist = NIL;
	stmt->query = (Node *) select;
}

/*
 * Add a condition to a COPY FROM that each row must satisfy: "tombstone IS NULL
 * OR soft_delete.admits_tombstone(table)", which raises an error for a table that
 * does not.
 */
static void
check_tombstone(CopyStmt *stmt, Relation rel, const char *tombstone)
{
	ColumnRef *column = makeNode(ColumnRef);
	NullTest *is_live = makeNode(NullTest);
	A_Const *relid = makeNode(A_Const);
	FuncCall *admits;
	Node *condition;

	column->fields = list_make1(makeString(pstrdup(tombstone)));
	column->location = -1;
	is_live->arg = (Expr *) column;
	is_live->nulltesttype = IS_NULL;
	is_live->location = -1;

	relid->val.sval.type = T_String;
	relid->val.sval.sval = psprintf("%u", RelationGetRelid(rel));
	relid->location = -1;
	admits = makeFuncCall(list_make2(makeString(EXTENSION_SCHEMA),
									 makeString("admits_tombstone")),
						  list_make1(relid), COERCE_EXPLICIT_CALL, -1);

	condition = (Node *) makeBoolExpr(OR_EXPR, list_make2(is_live, admits), -1);
	if (stmt->whereClause)
		condition =
			(Node *) makeBoolExpr(AND_EXPR,
								  list_make2(stmt->whereClause, condition), -1);
	stmt->whereClause = condition;
}
