/*
 * views.c
 *	  Keeps the two views of a tagged table in line with its columns, within the command
 *	  that changes the columns.
 *
 * Before such a command runs, the view is released: its rule is replaced by one that
 * reads no table and raises an error when it is executed.  Otherwise the server would
 * refuse the command because of the view.  When the command is done, the views are
 * replaced by ones that fit the table, before any other statement can run.  So no event
 * trigger and no function in a USING clause ever reads a table by a rule that does not
 * fit it.  An error rolls all of it back.
 *
 * While a view is released, its columns depend on those columns of the table that are
 * going to be dropped.  So an object that users have created on the view makes DROP
 * COLUMN fail, or is dropped with CASCADE, as if it were created on the table.
 *
 * The columns that a view shows are read from its rule, not guessed from their names.
 * The text of a view is made in sql/bin_views.sql; which commands need this is decided in
 * alter.c.
 *
 * Invariant: in every committed state the rule of a view depends on the columns that it
 * reads, as the server has recorded it.  So a command in a session without the library,
 * and any command that is not handled here, is refused by the server, or drops the
 * views as it drops any view.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/toast_compression.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "commands/view.h"
#include "fmgr.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteSupport.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "ddl/sd_ddl.h"

/* A released view, and what it showed before */
struct ReleasedView
{
	Oid view;
	Oid relid;
	ArrayType *sources; /* see view_sources() */
};

/* State of find_reads(): which tables a query reads */
typedef struct ReadsContext
{
	Oid view;
	Oid relid;
	bool reads_table; /* it reads "relid" */
	bool reads_other; /* it reads another one, but for its companion and "view" */
} ReadsContext;

PG_FUNCTION_INFO_V1(soft_delete_bind_view);
PG_FUNCTION_INFO_V1(soft_delete_bind_companion);
PG_FUNCTION_INFO_V1(soft_delete_write_companion);
PG_FUNCTION_INFO_V1(soft_delete_view_sources);
PG_FUNCTION_INFO_V1(soft_delete_change_view_column);
PG_FUNCTION_INFO_V1(soft_delete_is_changing);
PG_FUNCTION_INFO_V1(soft_delete_lock_views);
PG_FUNCTION_INFO_V1(soft_delete_update_views);

static bool is_own_view(Oid view, Oid relid);
static bool is_active_query(Query *query, Oid relid);
static bool find_reads(Node *node, ReadsContext *context);
static bool is_released(Relation view);
static ArrayType *view_sources(Relation view, Oid relid);
static AttrNumber column_source(Query *query, AttrNumber attnum, Oid relid);
static Query *released_query(TupleDesc desc);
static Expr *failing_expression(Form_pg_attribute att);
static Node *failing_condition(void);
static void store_query(Relation view, Query *query);
static void bind_dropped_columns(Oid view, Oid relid, ArrayType *sources,
								 List *dropped);
static void unbind_columns(Oid view, Oid relid);
static void set_bin_type(Form_pg_attribute att, AttrNumber tombstone);
static void check_column_users(Oid view, AttrNumber attnum);
static void check_column_default(Relation view, AttrNumber attnum,
								 Form_pg_attribute source);
static void copy_column_type(Relation view, AttrNumber attnum,
							 Form_pg_attribute source);
static void update_type_dependencies(Oid view, AttrNumber attnum,
									 Form_pg_attribute source);
static void check_owner(Oid relid);

/*
 * Return the OIDs of the views of a tagged table that are as tag() has created them,
 * the bin last.  A view that its owner has redefined is not among them: the server
 * treats it like any view of a user.
 */
List *
views_of(Oid relid)
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc, bound_views(relid))
	{
		Oid view = lfirst_oid(lc);

		if (view == bin_of(relid))
			views = lappend_oid(views, view);
		else if (is_own_view(view, relid))
			views = lcons_oid(view, views);
	}
	return views;
}

/*
 * Return the table with which a view is dropped (soft_delete_internal.bind_view()), or
 * InvalidOid.
 */
Oid
table_of_view(Oid view)
{
	CatalogScan scan = begin_referenced_scan(RelationRelationId, view, 0);
	Oid table = InvalidOid;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->refclassid == RelationRelationId && form->deptype == DEPENDENCY_AUTO)
			table = form->refobjid;
	}
	end_catalog_scan(&scan);
	return table;
}

/*
 * Rename a view or the companion of a tagged table of the current role that has the name
 * which a command is going to give to a relation: an application that deletes hard could
 * create it.  A dump that is restored has the names as they are.
 */
void
give_way(RangeVar *name)
{
	Oid relid, table;

	if (XactReadOnly || command_is_own() || !row_security || IsBinaryUpgrade ||
		!OidIsValid(extension_function(TAG_TRIGGER)))
		return;
	relid = get_relname_relid(name->relname, RangeVarGetCreationNamespace(name));
	if (!OidIsValid(relid))
		return;
	table = get_rel_relkind(relid) == RELKIND_VIEW ? table_of_view(relid)
												   : companions_table(relid);
	if (OidIsValid(table) && tag_arguments(table) != NIL &&
		relation_ownercheck(table, GetUserId()))
		call_internal("give_way", 2, (Oid[]){REGCLASSOID, REGCLASSOID},
					  (Datum[]){ObjectIdGetDatum(relid), ObjectIdGetDatum(table)});
}

/*
 * Is a view the table's view of live rows, or released?
 */
static bool
is_own_view(Oid view, Oid relid)
{
	Relation rel;
	bool is_own;

	if (owner_of(view) != owner_of(relid))
		return false;
	rel = try_relation_open(view, AccessShareLock);
	if (rel == NULL)
		return false;
	is_own = is_released(rel) || is_active_query(get_view_query(rel), relid);
	relation_close(rel, NoLock);
	return is_own;
}

/*
 * Is a query that of a view of live rows: does it select columns of the table where
 * one of its columns is null, and nothing else?
 */
static bool
is_active_query(Query *query, Oid relid)
{
	NullTest *is_live = (NullTest *) query->jointree->quals;
	RangeTblRef *from;
	ListCell *lc;

	if (list_length(query->jointree->fromlist) != 1 ||
		!IsA(linitial(query->jointree->fromlist), RangeTblRef) ||
		is_live == NULL || !IsA(is_live, NullTest) ||
		is_live->nulltesttype != IS_NULL || !IsA(is_live->arg, Var) ||
		query->distinctClause != NIL || query->groupClause != NIL ||
		query->groupingSets != NIL || query->havingQual != NULL ||
		query->limitCount != NULL || query->limitOffset != NULL ||
		query->rowMarks != NIL || query->sortClause != NIL)
		return false;
	from = linitial_node(RangeTblRef, query->jointree->fromlist);
	if (rt_fetch(from->rtindex, query->rtable)->rtekind != RTE_RELATION ||
		rt_fetch(from->rtindex, query->rtable)->relid != relid)
		return false;
	foreach (lc, query->targetList)
	{
		if (!IsA(lfirst_node(TargetEntry, lc)->expr, Var))
			return false;
	}
	return true;
}

/*
 * Note which tables a query reads.  (query tree walker)
 */
static bool
find_reads(Node *node, ReadsContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION && rte->relid == context->relid)
			context->reads_table = true;
		else if (rte->rtekind == RTE_RELATION && rte->relid != context->view &&
				 rte->relid != companion_of(context->relid))
			context->reads_other = true;
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_reads, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, find_reads, context);
}

/*
 * Has the running command, or one around it, released the view?
 */
static bool
is_released(Relation view)
{
	Query *query = get_view_query(view);

	return query->jointree->fromlist == NIL && query->setOperations == NULL;
}

/*
 * Return for each column of a view the number of the column of the table that it shows,
 * or 0: smallint[].
 */
static ArrayType *
view_sources(Relation view, Oid relid)
{
	Query *query = get_view_query(view);
	int natts = RelationGetDescr(view)->natts;
	Datum *sources = palloc(Max(natts, 1) * sizeof(Datum));

	for (int i = 0; i < natts; i++)
		sources[i] = Int16GetDatum(column_source(query, i + 1, relid));
	return construct_array(sources, natts, INT2OID, sizeof(int16), true,
						   TYPALIGN_SHORT);
}

/*
 * Return the number of the column of a table that a column of a query shows, or
 * InvalidAttrNumber.  Subqueries are followed, of UNION ALL the first one.
 */
static AttrNumber
column_source(Query *query, AttrNumber attnum, Oid relid)
{
	TargetEntry *entry = get_tle_by_resno(query->targetList, attnum);
	Var *var = entry ? (Var *) entry->expr : NULL;
	RangeTblEntry *rte;

	/* a bin has the base types of domains, and stamps with time zone */
	if (var != NULL && IsA(var, RelabelType))
		var = (Var *) ((RelabelType *) var)->arg;
	else if (column_in_utc((Node *) var) != NULL)
		var = column_in_utc((Node *) var);
	if (var == NULL || !IsA(var, Var) || var->varlevelsup > 0 || var->varattno <= 0)
		return InvalidAttrNumber;
	rte = rt_fetch(var->varno, query->rtable);
	if (rte->rtekind == RTE_SUBQUERY)
		return column_source(rte->subquery, var->varattno, relid);
	if (rte->rtekind == RTE_RELATION && rte->relid == relid)
		return var->varattno;
	return InvalidAttrNumber;
}

/*
 * Release a view: until replace_views() is called it reads no table, and its columns
 * are dropped with those columns of the table that are in "dropped".  Returns the
 * ReleasedView for replace_views(), or NULL if it has been released already.
 *
 * Raises 0A000, as the server does, if an object depends on a column of the view whose
 * type is going to change ("retyped").  The caller has locked the view and the table.
 */
ReleasedView *
release_view(Oid view, Oid relid, List *retyped, List *dropped)
{
	Relation rel = relation_open(view, AccessExclusiveLock);
	ReleasedView *released = NULL;

	if (!is_released(rel))
	{
		ObjectAddress rule, table;
		int16 *sources;

		released = palloc(sizeof(ReleasedView));
		released->view = view;
		released->relid = relid;
		released->sources = view_sources(rel, relid);
		sources = (int16 *) ARR_DATA_PTR(released->sources);
		for (int i = 0; i < RelationGetDescr(rel)->natts; i++)
		{
			if (sources[i] != InvalidAttrNumber &&
				list_member_int(retyped, sources[i]))
				check_column_users(view, i + 1);
		}

		unbind_columns(view, relid);
		store_query(rel, released_query(RelationGetDescr(rel)));
		/* the rule depends on the table, by which it is found, but on no type that may be dropped */
		ObjectAddressSet(rule, RewriteRelationId,
						 get_rewrite_oid(view, ViewSelectRuleName, false));
		deleteDependencyRecordsForClass(RewriteRelationId, rule.objectId,
										TypeRelationId, DEPENDENCY_NORMAL);
		deleteDependencyRecordsForClass(RewriteRelationId, rule.objectId,
										CollationRelationId, DEPENDENCY_NORMAL);
		ObjectAddressSet(table, RelationRelationId, relid);
		recordDependencyOn(&rule, &table, DEPENDENCY_NORMAL);
		bind_dropped_columns(view, relid, released->sources, dropped);
		CommandCounterIncrement();
	}
	relation_close(rel, NoLock);
	return released;
}

/*
 * Return a query with the given columns that reads no table and raises an error.
 */
static Query *
released_query(TupleDesc desc)
{
	Query *query = makeNode(Query);

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->jointree = makeFromExpr(NIL, failing_condition());
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		query->targetList =
			lappend(query->targetList,
					makeTargetEntry(failing_expression(att), i + 1,
									pstrdup(NameStr(att->attname)), false));
	}
	return query;
}

/*
 * Return an expression of the type of a column that raises an error when it is
 * evaluated.  With a constant the planner could conclude that a query has no rows.
 */
static Expr *
failing_expression(Form_pg_attribute att)
{
	Expr *nothing =
		(Expr *) makeNullConst(att->atttypid, att->atttypmod, att->attcollation);
	CaseExpr *expression = makeNode(CaseExpr);
	CaseWhen *when = makeNode(CaseWhen);

	when->expr = (Expr *) failing_condition();
	when->result = nothing;
	when->location = -1;
	expression->casetype = att->atttypid;
	expression->casecollid = att->attcollation;
	expression->args = list_make1(when);
	expression->defresult = nothing;
	expression->location = -1;
	return (Expr *) expression;
}

/*
 * Return a condition that raises an error when it is evaluated.
 */
static Node *
failing_condition(void)
{
	Oid function = extension_function(VIEW_IS_CHANGING);

	if (!OidIsValid(function))
		return makeBoolConst(false, false); /* the extension has not been updated yet */
	return (Node *) makeFuncExpr(function, BOOLOID, NIL, InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/*
 * soft_delete_internal.is_changing() returns boolean
 *
 * Called by the rule of a released view.  Raises 55006, and does not return.
 */
Datum
soft_delete_is_changing(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("cannot read a view of a tagged table while a command changes the table's columns")));
	PG_RETURN_BOOL(false); /* keep compiler quiet */
}

/*
 * Replace the query of a view as the owner of the view, since only the owner may do
 * so, and whoever drops a type may not own the tables whose columns are dropped with it.
 */
static void
store_query(Relation view, Query *query)
{
	SavedRole saved;

	become_owner(view, &saved);
	StoreViewQuery(RelationGetRelid(view), query, true);
	restore_role(&saved);
	CommandCounterIncrement();
}

/*
 * Make the columns of a view that show dropped columns of the table depend on them, so
 * that they are dropped together.
 */
static void
bind_dropped_columns(Oid view, Oid relid, ArrayType *sources, List *dropped)
{
	int16 *source = (int16 *) ARR_DATA_PTR(sources);

	for (int i = 0; i < ArrayGetNItems(ARR_NDIM(sources), ARR_DIMS(sources)); i++)
	{
		ObjectAddress dependent, referenced;

		if (source[i] == InvalidAttrNumber || !list_member_int(dropped, source[i]))
			continue;
		ObjectAddressSubSet(dependent, RelationRelationId, view, i + 1);
		ObjectAddressSubSet(referenced, RelationRelationId, relid, source[i]);
		recordDependencyOn(&dependent, &referenced, DEPENDENCY_AUTO);
	}
}

/*
 * Remove the dependencies of columns of a view on its table: those that
 * bind_dropped_columns() has recorded, and those that version 0.2.0 has.
 */
static void
unbind_columns(Oid view, Oid relid)
{
	Relation depend = table_open(DependRelationId, RowExclusiveLock);
	CatalogScan scan = begin_referenced_scan(RelationRelationId, view, ANY_COLUMN);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->objsubid > 0 && form->refclassid == RelationRelationId &&
			form->refobjid == relid && form->deptype == DEPENDENCY_AUTO)
			CatalogTupleDelete(depend, &tuple->t_self);
	}
	end_catalog_scan(&scan);
	table_close(depend, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * Replace the views of a table by ones that fit its columns: those that were released,
 * those that lack a column, and those that have a column under its old name.
 */
void
replace_views(Oid relid, List *released)
{
	List *arguments = in_place_arguments(relid);
	bool has_tombstone;
	ListCell *lc, *lc2;

	if (arguments == NIL)
		return; /* the table has been dropped or untagged */
	/*
	 * The tombstone column may have been renamed where event triggers do not fire.
	 * Then no query can read the table until the column has its name again.
	 */
	has_tombstone = get_attnum(relid, linitial(arguments)) != InvalidAttrNumber;
	foreach (lc, views_of(relid))
	{
		Oid view = lfirst_oid(lc);
		ArrayType *sources = NULL;
		Relation rel;

		foreach (lc2, released)
		{
			ReleasedView *known = lfirst(lc2);

			if (known->view == view && known->relid == relid)
				sources = known->sources;
		}
		if (sources != NULL)
			(void) is_tagged(relid); /* raises an error if the column does not exist */
		else if (!has_tombstone)
			continue;
		rel = relation_open(view, AccessShareLock);
		if (sources == NULL && !is_released(rel))
			sources = view_sources(rel, relid); /* else an outer command will replace it */
		relation_close(rel, NoLock);
		if (sources != NULL)
			call_internal("update_view_columns", 3,
						  (Oid[]){REGCLASSOID, REGCLASSOID, INT2ARRAYOID},
						  (Datum[]){ObjectIdGetDatum(view), ObjectIdGetDatum(relid),
									PointerGetDatum(sources)});
	}
}

/*
 * soft_delete_internal.view_sources(view regclass, relation regclass) returns smallint[]
 *
 * Returns for each column of a view the number of the column of the table that it
 * shows, 0 if none.  Returns null if the view does not exist or is released.
 */
Datum
soft_delete_view_sources(PG_FUNCTION_ARGS)
{
	Oid view = PG_GETARG_OID(0);
	ArrayType *sources = NULL;
	Relation rel = try_relation_open(view, AccessShareLock);

	if (rel == NULL)
		PG_RETURN_NULL();
	if (rel->rd_rel->relkind == RELKIND_VIEW && !is_released(rel))
		sources = view_sources(rel, PG_GETARG_OID(1));
	relation_close(rel, NoLock);
	if (sources == NULL)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(sources);
}

/*
 * soft_delete_internal.bind_view(view regclass, relation regclass) returns void
 *
 * Makes DROP TABLE drop the view, too.  The dependencies of the view's rule are not
 * changed.
 *
 * Raises 42501 unless the caller owns both, 42P01 if one does not exist, 42809 unless
 * the view has the same owner as the tagged table and reads that table, and no other but
 * its companion.
 */
Datum
soft_delete_bind_view(PG_FUNCTION_ARGS)
{
	Oid view = PG_GETARG_OID(0);
	Oid relid = PG_GETARG_OID(1);
	ReadsContext context = {view, relid, false, false};
	ObjectAddress dependent, referenced;
	Relation rel;

	check_owner(view);
	check_owner(relid);
	rel = relation_open(view, AccessShareLock);
	if (rel->rd_rel->relkind == RELKIND_VIEW && in_place_arguments(relid) != NIL &&
		rel->rd_rel->relowner == owner_of(relid))
		(void) find_reads((Node *) get_view_query(rel), &context);
	relation_close(rel, NoLock);
	if (!context.reads_table || context.reads_other)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a view of tagged table \"%s\"",
							   get_rel_name(view), get_rel_name(relid))));

	unbind_columns(view, relid);
	deleteDependencyRecordsForSpecific(RelationRelationId, view, DEPENDENCY_AUTO,
									   RelationRelationId, relid);
	ObjectAddressSet(dependent, RelationRelationId, view);
	ObjectAddressSet(referenced, RelationRelationId, relid);
	recordDependencyOn(&dependent, &referenced, DEPENDENCY_AUTO);
	CommandCounterIncrement();
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.bind_companion(relation regclass) returns void
 *
 * Makes the companion of a table with its months, and where tombstones are kept aside the
 * bin, depend on the table, so that DROP TABLE drops them.
 *
 * Raises 42501 unless the caller owns the table, 42P01 if it has no companion.
 */
Datum
soft_delete_bind_companion(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	List *bound;
	ListCell *lc;
	Relation rel;

	check_owner(relid);
	rel = table_open(relid, AccessShareLock);
	table_close(open_companion(rel, AccessShareLock), NoLock);
	table_close(rel, NoLock);
	bound = places_of(companion_of(relid));
	if (is_kept_aside(relid) && OidIsValid(bin_of(relid))) /* else bind_view() */
		bound = lappend_oid(bound, bin_of(relid));
	foreach (lc, bound)
	{
		ObjectAddress dependent, referenced;

		deleteDependencyRecordsForSpecific(RelationRelationId, lfirst_oid(lc),
										   DEPENDENCY_AUTO, RelationRelationId,
										   relid);
		ObjectAddressSet(dependent, RelationRelationId, lfirst_oid(lc));
		ObjectAddressSet(referenced, RelationRelationId, relid);
		recordDependencyOn(&dependent, &referenced, DEPENDENCY_AUTO);
	}
	CommandCounterIncrement();
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.write_companion(relation regclass, statement text,
 * evaluates boolean) returns bigint
 *
 * Runs a statement of the extension, which writes to one companion, as the owner of a
 * table, with the search_path of become_owner_to_evaluate() if it evaluates an expression
 * of the owner's.  Returns the number of rows.
 *
 * Raises 42501 unless the caller owns the table, and what the statement raises.
 */
Datum
soft_delete_write_companion(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	int64 count;
	int before;
	SavedRole saved;

	check_owner(relid);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (PG_GETARG_BOOL(2))
		become_owner_to_evaluate(relid, &saved);
	else
		become_owner_of(relid, &saved);
	before = allow_companion_writes(1);
	PG_TRY();
	{
		if (SPI_execute(text_to_cstring(PG_GETARG_TEXT_PP(1)), false, 0) < 0)
			elog(ERROR, "could not write to a companion");
	}
	PG_FINALLY();
	{
		(void) allow_companion_writes(before);
	}
	PG_END_TRY();
	restore_role(&saved);
	count = SPI_processed;
	SPI_finish();
	PG_RETURN_INT64(count);
}

/*
 * soft_delete_internal.change_view_column(view regclass, attnum smallint,
 * relation regclass, source smallint) returns void
 *
 * Gives column "attnum" of a released view the type of column "source" of the table; a bin
 * has the base type of a domain, and stamps with time zone.
 * What users have created on other columns does not change.
 *
 * Raises 42501 unless the caller owns both, 42P01 if one does not exist, 42703 if a
 * column does not exist, 0A000 if an object depends on the column, 42804 if its default
 * cannot be cast to the type, 55000 if the view is not released.
 */
Datum
soft_delete_change_view_column(PG_FUNCTION_ARGS)
{
	Oid view = PG_GETARG_OID(0);
	AttrNumber attnum = PG_GETARG_INT16(1);
	Oid relid = PG_GETARG_OID(2);
	AttrNumber source = PG_GETARG_INT16(3);
	Relation rel, table;
	FormData_pg_attribute att;

	check_owner(view);
	check_owner(relid);
	rel = relation_open(view, AccessExclusiveLock);
	table = table_open(relid, AccessShareLock);
	if (rel->rd_rel->relkind != RELKIND_VIEW || !is_released(rel))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot change columns of relation \"%s\"",
							   RelationGetRelationName(rel))));
	if (attnum < 1 || attnum > RelationGetDescr(rel)->natts || source < 1 ||
		source > RelationGetDescr(table)->natts)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column %d of relation \"%s\" does not exist",
							   attnum, RelationGetRelationName(rel))));

	att = *TupleDescAttr(RelationGetDescr(table), source - 1);
	if (view == bin_of(relid))
		set_bin_type(&att, tombstone_attribute(table));
	check_column_users(view, attnum);
	find_composite_type_dependencies(rel->rd_rel->reltype, rel, NULL);
	check_column_default(rel, attnum, &att);
	copy_column_type(rel, attnum, &att);
	update_type_dependencies(view, attnum, &att);
	CacheInvalidateRelcache(rel);
	table_close(table, NoLock);
	relation_close(rel, NoLock);
	CommandCounterIncrement();
	PG_RETURN_VOID();
}

/*
 * Give a column of the table the type that it has in a bin: that which a domain is made
 * of, and timestamptz for the tombstone column.
 */
static void
set_bin_type(Form_pg_attribute att, AttrNumber tombstone)
{
	Oid type =
		att->attnum == tombstone ? TIMESTAMPTZOID : getBaseType(att->atttypid);

	if (type == att->atttypid)
		return;
	att->atttypid = type;
	att->atttypmod = -1;
	get_typlenbyvalalign(type, &att->attlen, &att->attbyval, &att->attalign);
}

/*
 * Lock the views of a table until the transaction ends.  Whoever locks the table too
 * locks it afterwards, as a query that reads a view does.
 */
void
lock_views(Oid relid)
{
	ListCell *lc;

	if (RecoveryInProgress())
		return; /* the server refuses the command itself */
	foreach (lc, views_of(relid))
		LockRelationOid(lfirst_oid(lc), AccessExclusiveLock);
}

/*
 * soft_delete_internal.lock_views(relation regclass) returns void
 *
 * Locks the views of a table until the transaction ends.
 *
 * Raises 42501 unless the caller has the owner's rights.
 */
Datum
soft_delete_lock_views(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);

	check_relation_exists(relid);
	if (!relation_ownercheck(relid, calling_role()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	lock_views(relid);
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.update_views(relation regclass) returns void
 *
 * Runs soft_delete_internal.rewrite_views(relation) as the owner of the extension.
 *
 * Raises 42501 unless the caller owns the table, 42P01 if it does not exist, 42809 if
 * it is not tagged.
 */
Datum
soft_delete_update_views(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);

	check_owner(relid);
	if (in_place_arguments(relid) == NIL)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("table \"%s\" is not tagged", get_rel_name(relid))));
	call_internal("rewrite_views", 1, (Oid[]){REGCLASSOID},
				  (Datum[]){ObjectIdGetDatum(relid)});
	PG_RETURN_VOID();
}

/*
 * Raise 0A000 if anything but its default depends on a column of a view.
 */
static void
check_column_users(Oid view, AttrNumber attnum)
{
	CatalogScan scan = begin_dependents_scan(RelationRelationId, view, attnum);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress user;

		if (form->classid == AttrDefaultRelationId)
			continue;
		ObjectAddressSubSet(user, form->classid, form->objid, form->objsubid);
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 form->classid == RewriteRelationId
					 ? errmsg("cannot alter type of a column used by a view or rule")
				 : form->classid == TriggerRelationId
					 ? errmsg("cannot alter type of a column used in a trigger definition")
				 : form->classid == ProcedureRelationId
					 ? errmsg("cannot alter type of a column used by a function or procedure")
					 : errmsg("cannot alter type of a column that is used"),
				 errdetail("%s depends on column \"%s\"",
						   getObjectDescription(&user, false),
						   get_attname(view, attnum, false))));
	}
	end_catalog_scan(&scan);
}

/*
 * Raise 42804 if the default of a column of a view cannot be cast to its new type.
 */
static void
check_column_default(Relation view, AttrNumber attnum, Form_pg_attribute source)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(view), attnum - 1);
	Node *value;

	if (!att->atthasdef)
		return;
	value = build_column_default(view, attnum);
	value = strip_implicit_coercions(value);
	if (coerce_to_target_type(NULL, value, exprType(value), source->atttypid,
							  source->atttypmod, COERCION_ASSIGNMENT,
							  COERCE_IMPLICIT_CAST, -1) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("default for column \"%s\" cannot be cast automatically to type %s",
						NameStr(att->attname), format_type_be(source->atttypid))));
}

/*
 * Copy the type of a column of the table to the pg_attribute row of a column of the
 * view.
 */
static void
copy_column_type(Relation view, AttrNumber attnum, Form_pg_attribute source)
{
	Relation attributes = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple tuple = SearchSysCacheCopyAttNum(RelationGetRelid(view), attnum);
	Form_pg_attribute att;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for attribute %d of relation %u",
			 attnum, RelationGetRelid(view));
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	att->atttypid = source->atttypid;
	att->attlen = source->attlen;
	att->atttypmod = source->atttypmod;
	att->attndims = source->attndims;
	att->attbyval = source->attbyval;
	att->attalign = source->attalign;
	att->attstorage = get_typstorage(source->atttypid);
	att->attcompression = InvalidCompressionMethod;
	att->attcollation = source->attcollation;
	CatalogTupleUpdate(attributes, &tuple->t_self, tuple);
	heap_freetuple(tuple);
	table_close(attributes, RowExclusiveLock);
}

/*
 * Replace the dependencies of a column of a view on its old type and collation by those
 * on its new ones.
 */
static void
update_type_dependencies(Oid view, AttrNumber attnum, Form_pg_attribute source)
{
	Relation depend = table_open(DependRelationId, RowExclusiveLock);
	ObjectAddress column, referenced;
	CatalogScan scan = begin_referenced_scan(RelationRelationId, view, attnum);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->deptype == DEPENDENCY_NORMAL &&
			(form->refclassid == TypeRelationId ||
			 form->refclassid == CollationRelationId))
			CatalogTupleDelete(depend, &tuple->t_self);
	}
	end_catalog_scan(&scan);
	table_close(depend, RowExclusiveLock);

	ObjectAddressSubSet(column, RelationRelationId, view, attnum);
	ObjectAddressSet(referenced, TypeRelationId, source->atttypid);
	recordDependencyOn(&column, &referenced, DEPENDENCY_NORMAL);
	if (OidIsValid(source->attcollation) && source->attcollation != DEFAULT_COLLATION_OID)
	{
		ObjectAddressSet(referenced, CollationRelationId, source->attcollation);
		recordDependencyOn(&column, &referenced, DEPENDENCY_NORMAL);
	}
}

/*
 * Raise 42501 unless the current role owns the relation, 42P01 if there is none.
 */
static void
check_owner(Oid relid)
{
	check_relation_exists(relid); /* a superuser is taken for the owner of what does not exist */
	if (!relation_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}
