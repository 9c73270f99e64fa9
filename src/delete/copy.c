/*
 * copy.c
 *	  Lets COPY of a tagged table mean what it means for the application.
 *
 * COPY reads a table without planning, and counts the columns itself.  So COPY
 * TO becomes COPY of a query over the live rows, and in both directions the
 * tombstone column is left out where no column list names it.  Maintenance
 * sessions, and for COPY TO those that see deleted rows, get the plain table.
 *
 * FREEZE may be said where the transaction has truncated the table.  If it has,
 * softly, the deleted rows are still there, and what comes is not frozen.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/rls.h"

#include "delete/sd_delete.h"

static List *application_columns(Relation rel, AttrNumber tombstone, bool is_from);
static bool names_column(List *columns, const char *name);
static void select_live_rows(CopyStmt *stmt, Relation rel);
static void drop_freeze(CopyStmt *stmt);
static void check_tombstone(CopyStmt *stmt, Relation rel, const char *tombstone);

/*
 * Return the statement to run in place of a COPY: itself, or a changed copy if
 * it concerns a tagged table.
 */
PlannedStmt *
copy_live_rows(PlannedStmt *pstmt)
{
	CopyStmt *stmt = castNode(CopyStmt, pstmt->utilityStmt);
	Relation rel;
	AttrNumber attnum;

	if (stmt->relation == NULL)
		return pstmt;

	rel = table_openrv_extended(stmt->relation,
								stmt->is_from ? RowExclusiveLock : AccessShareLock,
								true);
	if (rel == NULL)
		return pstmt; /* COPY itself will complain */

	attnum = tombstone_attribute(rel);
	if (attnum != InvalidAttrNumber && stmt->is_from &&
		was_truncated(RelationGetRelid(rel)))
	{
		pstmt = copyObject(pstmt);
		stmt = castNode(CopyStmt, pstmt->utilityStmt);
		drop_freeze(stmt);
	}
	if (attnum != InvalidAttrNumber &&
		(stmt->is_from ? !is_maintenance(RelationGetRelid(rel))
					   : !reads_tombstones(RelationGetRelid(rel)) &&
							 !shows_deleted() && can_be_copied(rel)))
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
		char *tombstone = NameStr(att->attname);

		pstmt = copyObject(pstmt);
		stmt = castNode(CopyStmt, pstmt->utilityStmt);

		if (stmt->is_from &&
			(att->atthasdef || names_column(stmt->attlist, tombstone)))
			check_tombstone(stmt, rel, tombstone);
		if (stmt->attlist == NIL)
			stmt->attlist = application_columns(rel, attnum, stmt->is_from);
		/* it has no other column */
		if (stmt->is_from && stmt->attlist == NIL)
			check_tombstone(stmt, rel, tombstone);
		if (!stmt->is_from)
			select_live_rows(stmt, rel);
	}
	table_close(rel, NoLock);
	return pstmt;
}

/*
 * Return the names of the columns that COPY takes by default, without the
 * tombstone column.
 *
 * Where row security is in force, COPY TO is SELECT *, which has generated
 * columns too.
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
 * Is the name in the column list?
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
 * Leave out the option FREEZE.
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
 * Make COPY table TO a COPY (SELECT columns FROM ONLY table) TO: planned, so
 * filtered.
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

	/* COPY reads a table with its partitions, but without its children */
	stmt->relation->inh = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	select->fromClause = list_make1(stmt->relation);
	stmt->relation = NULL;
	stmt->attlist = NIL;
	stmt->query = (Node *) select;
}

/*
 * Check each row of COPY FROM: "tombstone IS NULL OR admits_tombstone(table)".
 */
static void
check_tombstone(CopyStmt *stmt, Relation rel, const char *tombstone)
{
	ColumnRef *column = makeNode(ColumnRef);
	NullTest *is_live = makeNode(NullTest);
	A_Const *relid = makeNode(A_Const);
	FuncCall *admits;
	Node *check;

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

	check = (Node *) makeBoolExpr(OR_EXPR, list_make2(is_live, admits), -1);
	if (stmt->whereClause)
		check = (Node *) makeBoolExpr(AND_EXPR,
									  list_make2(stmt->whereClause, check), -1);
	stmt->whereClause = check;
}
