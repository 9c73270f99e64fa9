/*
 * ddl.c
 *	  Sees the DDL that event triggers see too late, or are not told enough of.
 *
 * What follows from DDL on tagged tables is done by event triggers
 * (sql/ddl.sql), which know what a command has changed.  Here is the rest:
 * - an index or constraint that is added hides tombstones from the start, so
 *   that it is neither built twice nor stopped by their keys;
 * - a key that a foreign key is going to reference is made whole;
 * - GRANT, RENAME and SET SCHEMA, of which event triggers do not learn what was
 *   before or which tables are meant;
 * - DROP VIEW of one of the views;
 * - whatever changes columns or the owner of tagged tables: the views follow
 *   within the command (views.c), whether event triggers fire or not.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "ddl/sd_ddl.h"

/* Is a key being made whole?  Then nothing is added that ought to hide tombstones. */
static bool makes_whole = false;

PG_FUNCTION_INFO_V1(soft_delete_update_views);

static PlannedStmt *prepare_index(PlannedStmt *pstmt);
static PlannedStmt *prepare_alter_table(PlannedStmt *pstmt);
static void prepare_references(AlterTableStmt *stmt);
static bool is_there_already(AlterTableCmd *cmd, Oid relid);
static void prepare_reference(Constraint *constraint);
static bool may_reference(Oid relid, List *columns);
static void prepare_columns(AlterTableStmt *stmt, AlteredTable *altered);
static bool changes_views(AlterTableStmt *stmt, bool *releases);
static List *tagged_tables(Oid relid, bool recurse, LOCKMODE lockmode);
static List *tables_of_type(Oid type);
static void lock_views(List *tables);
static void release_views(AlterTableStmt *stmt, AlteredTable *altered);
static void release_views_of(Oid relid, List *retyped, List *dropped,
							 AlteredTable *altered);
static List *columns_named(AlterTableStmt *stmt, AlterTableType subtype, Oid relid);
static void prepare_column_rename(RenameStmt *stmt, AlteredTable *altered);
static void prepare_dropped_columns(List *columns, AlteredTable *altered);
static bool takes_views_along(void);
static List *added_constraints(AlterTableCmd *cmd);
static void prepare_command(AlterTableCmd *cmd, Oid relid, const char *tombstone);
static void prepare_constraint(List *constraints, ListCell *lc, Oid relid,
							   const char *tombstone);
static bool is_plain_unique(Relation index);
static void adopt_index(Constraint *constraint, Oid relid, const char *tombstone);
static bool hides_tombstones(Node *condition, void *tombstone);
static Node *add_live_condition(Node *condition, const char *tombstone);
static void note_altered(RangeVar *relation, AlteredTable *altered);
static void check_view_drops(DropStmt *stmt);
static Oid bound_table(Oid view);
static void follow_grants(GrantStmt *stmt);
static List *tables_with_triggers(Oid namespace);
static void check_owns(Oid relid);

/*
 * See DDL before the server does: return the statement to run in place of it,
 * itself or a changed copy, and note what finish_ddl() has to know.
 */
PlannedStmt *
prepare_ddl(PlannedStmt *pstmt, AlteredTable *altered)
{
	Node *stmt = pstmt->utilityStmt;

	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return prepare_index(pstmt);
		case T_AlterTableStmt:
			pstmt = prepare_alter_table(pstmt);
			prepare_columns((AlterTableStmt *) pstmt->utilityStmt, altered);
			break;
		case T_DropStmt:
			if (((DropStmt *) stmt)->removeType == OBJECT_VIEW)
				check_view_drops((DropStmt *) stmt);
			if (takes_views_along())
				prepare_dropped_columns(columns_dropped_with((DropStmt *) stmt),
										altered);
			break;
		case T_DropOwnedStmt:
			if (takes_views_along())
				prepare_dropped_columns(columns_dropped_with_owned(
											(DropOwnedStmt *) stmt),
										altered);
			break;
		case T_RenameStmt:
			/* ALTER INDEX renames tables, too */
			if (((RenameStmt *) stmt)->renameType == OBJECT_TABLE ||
				((RenameStmt *) stmt)->renameType == OBJECT_INDEX)
				note_altered(((RenameStmt *) stmt)->relation, altered);
			else if (takes_views_along())
				prepare_column_rename((RenameStmt *) stmt, altered);
			break;
		case T_AlterObjectSchemaStmt:
			if (((AlterObjectSchemaStmt *) stmt)->objectType == OBJECT_TABLE)
				note_altered(((AlterObjectSchemaStmt *) stmt)->relation, altered);
			break;
		default:
			break;
	}
	return pstmt;
}

/*
 * See DDL when the server is done with it.
 */
void
finish_ddl(PlannedStmt *pstmt, const AlteredTable *altered)
{
	ListCell *lc;

	if (OidIsValid(altered->relid))
		call_internal("rename_views", 4,
					  (Oid[]){REGCLASSOID, NAMEOID, OIDOID, OIDOID},
					  (Datum[]){ObjectIdGetDatum(altered->relid),
								CStringGetDatum(altered->name),
								ObjectIdGetDatum(altered->namespace),
								ObjectIdGetDatum(GetUserId())});
	else if (OidIsValid(altered->given))
		call_internal("copy_owner", 1, (Oid[]){REGCLASSOID},
					  (Datum[]){ObjectIdGetDatum(altered->given)});
	else if (IsA(pstmt->utilityStmt, GrantStmt))
		follow_grants((GrantStmt *) pstmt->utilityStmt);
	foreach (lc, altered->tables)
		put_back_views(lfirst_oid(lc), altered->released);
}

/*
 * CREATE INDEX on a tagged table: hide tombstones, where the index is unique or
 * the tag is for all of them, and it is not about tombstones itself.
 */
static PlannedStmt *
prepare_index(PlannedStmt *pstmt)
{
	IndexStmt *stmt = castNode(IndexStmt, pstmt->utilityStmt);
	List *arguments;
	IndexElem *first = linitial_node(IndexElem, stmt->indexParams);
	char *tombstone;
	ListCell *lc;

	/* one that has been analyzed is of LIKE, or has been made what it is to be */
	if (stmt->transformed)
		return pstmt;
	arguments = tag_arguments(RangeVarGetRelid(stmt->relation, NoLock, true));
	if (arguments == NIL || stmt->isconstraint || makes_whole)
		return pstmt;
	tombstone = linitial(arguments);
	if ((first->name != NULL && strcmp(first->name, tombstone) == 0) ||
		hides_tombstones(stmt->whereClause, tombstone))
		return pstmt;
	foreach (lc, arguments)
	{
		if (!stmt->unique && strcmp(lfirst(lc), "indexes:unique") == 0)
			return pstmt;
	}

	pstmt = copyObject(pstmt);
	stmt = castNode(IndexStmt, pstmt->utilityStmt);
	stmt->whereClause = add_live_condition(stmt->whereClause, tombstone);
	return pstmt;
}

/*
 * ALTER TABLE of a tagged table.
 */
static PlannedStmt *
prepare_alter_table(PlannedStmt *pstmt)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, pstmt->utilityStmt);
	Oid relid;
	List *arguments;
	ListCell *lc;

	prepare_references(stmt);
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	arguments = tag_arguments(relid);
	if (arguments == NIL || makes_whole)
		return pstmt;

	pstmt = copyObject(pstmt);
	stmt = castNode(AlterTableStmt, pstmt->utilityStmt);
	foreach (lc, stmt->cmds)
		prepare_command(lfirst_node(AlterTableCmd, lc), relid, linitial(arguments));
	return pstmt;
}

/*
 * See the foreign keys that are added to a table; CREATE TABLE adds its own so, too.
 * It is locked first, as ALTER TABLE will do, by who may alter it.
 */
static void
prepare_references(AlterTableStmt *stmt)
{
	Oid relid = InvalidOid;
	ListCell *lc, *lc2;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		foreach (lc2, added_constraints(cmd))
		{
			Constraint *constraint = lfirst_node(Constraint, lc2);

			if (constraint->contype != CONSTR_FOREIGN || constraint->pk_attrs == NIL)
				continue;
			if (!OidIsValid(relid))
				relid = AlterTableLookupRelation(stmt, AlterTableGetLockLevel(
														   stmt->cmds));
			/* IF EXISTS, IF NOT EXISTS */
			if (!OidIsValid(relid) || is_there_already(cmd, relid))
				continue;
			prepare_reference(constraint);
		}
	}
}

/*
 * Is a column that a command adds there already?  Then nothing comes of it.
 */
static bool
is_there_already(AlterTableCmd *cmd, Oid relid)
{
	return cmd->subtype == AT_AddColumn &&
		   get_attnum(relid, castNode(ColumnDef, cmd->def)->colname) !=
			   InvalidAttrNumber;
}

/*
 * Have the key that a foreign key is going to reference made whole, if it hides
 * tombstones.  pg_upgrade takes keys over as they are.
 */
static void
prepare_reference(Constraint *constraint)
{
	Oid relid = RangeVarGetRelid(constraint->pktable, NoLock, true);
	int n = list_length(constraint->pk_attrs);
	Datum *names = palloc(n * sizeof(Datum));
	ArrayType *columns;
	ListCell *lc;

	if (IsBinaryUpgrade || tag_arguments(relid) == NIL ||
		!may_reference(relid, constraint->pk_attrs))
		return; /* ALTER TABLE will complain, if of anything */

	foreach (lc, constraint->pk_attrs)
		names[foreach_current_index(lc)] =
			DirectFunctionCall1(namein, CStringGetDatum(strVal(lfirst(lc))));
	columns = construct_array(names, n, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR);

	makes_whole = true;
	PG_TRY();
	{
		call_internal("prepare_reference", 2, (Oid[]){REGCLASSOID, NAMEARRAYOID},
					  (Datum[]){ObjectIdGetDatum(relid), PointerGetDatum(columns)});
	}
	PG_FINALLY();
	{
		makes_whole = false;
	}
	PG_END_TRY();
}

/*
 * May the current role reference these columns of a table?
 */
static bool
may_reference(Oid relid, List *columns)
{
	ListCell *lc;

	if (pg_class_aclcheck(relid, GetUserId(), ACL_REFERENCES) == ACLCHECK_OK)
		return true;
	foreach (lc, columns)
	{
		AttrNumber attnum = get_attnum(relid, strVal(lfirst(lc)));

		if (attnum == InvalidAttrNumber ||
			pg_attribute_aclcheck(relid, attnum, GetUserId(), ACL_REFERENCES) !=
				ACLCHECK_OK)
			return false;
	}
	return true;
}

/*
 * ALTER TABLE or ALTER TYPE that changes columns, or the owner: note the tagged
 * tables whose views have to follow, and release those that are in the way.
 *
 * All is locked as the server is going to lock it, and the views before, for
 * that is the order in which queries lock them.
 */
static void
prepare_columns(AlterTableStmt *stmt, AlteredTable *altered)
{
	LOCKMODE lockmode;
	bool releases;
	Oid relid;

	if (!takes_views_along() || !changes_views(stmt, &releases))
		return;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid) || !relation_ownercheck(relid, GetUserId()))
		return; /* ALTER TABLE will complain */
	lock_views(tagged_tables(relid, stmt->relation->inh, NoLock));

	lockmode = AlterTableGetLockLevel(stmt->cmds);
	relid = AlterTableLookupRelation(stmt, lockmode);
	if (!OidIsValid(relid))
		return;
	altered->tables = tagged_tables(relid, stmt->relation->inh, lockmode);
	if (tag_arguments(relid) != NIL)
		altered->given = relid;
	if (releases)
		release_views(stmt, altered);
}

/*
 * Does the command change what views show, or whose they are?  "releases": they
 * are in its way.
 */
static bool
changes_views(AlterTableStmt *stmt, bool *releases)
{
	bool changes = false;
	ListCell *lc;

	*releases = false;
	if (stmt->objtype != OBJECT_TABLE &&
		stmt->objtype != OBJECT_FOREIGN_TABLE && stmt->objtype != OBJECT_TYPE)
		return false;
	foreach (lc, stmt->cmds)
	{
		AlterTableType subtype = lfirst_node(AlterTableCmd, lc)->subtype;

		if (subtype == AT_AddColumn || subtype == AT_ChangeOwner)
			changes = true;
		else if (subtype == AT_DropColumn || subtype == AT_AlterColumnType)
			changes = *releases = true;
	}
	return changes;
}

/*
 * May there be views to follow a command?  pg_upgrade writes the catalogs as they
 * were.  Where nothing can be written, the command is refused.
 */
static bool
takes_views_along(void)
{
	return !IsBinaryUpgrade && !XactReadOnly && !RecoveryInProgress() &&
		   OidIsValid(extension_function(TAG_TRIGGER));
}

/*
 * Return those tables that are tagged and have views, among a table, its partitions and
 * inheritance children, or the tables of a composite type and theirs.
 */
static List *
tagged_tables(Oid relid, bool recurse, LOCKMODE lockmode)
{
	List *roots = get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE
					  ? tables_of_type(get_rel_type_id(relid))
					  : list_make1_oid(relid);
	List *tables = NIL;
	ListCell *lc, *lc2;

	foreach (lc, roots)
	{
		List *cascade = recurse
							? find_all_inheritors(lfirst_oid(lc), lockmode, NULL)
							: list_make1_oid(lfirst_oid(lc));

		foreach (lc2, cascade)
		{
			if (tag_arguments(lfirst_oid(lc2)) != NIL &&
				views_of(lfirst_oid(lc2)) != NIL)
				tables = list_append_unique_oid(tables, lfirst_oid(lc2));
		}
	}
	return tables;
}

/*
 * Return the tables that are declared to be of a composite type.
 */
static List *
tables_of_type(Oid type)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	List *tables = NIL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(TypeRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(type));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid == RelationRelationId && form->objsubid == 0)
			tables = lappend_oid(tables, form->objid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return tables;
}

/*
 * Lock the views of tables until the transaction ends.
 */
static void
lock_views(List *tables)
{
	ListCell *lc, *lc2;

	foreach (lc, tables)
	{
		foreach (lc2, views_of(lfirst_oid(lc)))
			LockRelationOid(lfirst_oid(lc2), AccessExclusiveLock);
	}
}

/*
 * Release the views of the tables that a command is about.
 */
static void
release_views(AlterTableStmt *stmt, AlteredTable *altered)
{
	ListCell *lc;

	foreach (lc, altered->tables)
	{
		Oid relid = lfirst_oid(lc);
		List *retyped = columns_named(stmt, AT_AlterColumnType, relid);
		List *dropped = columns_named(stmt, AT_DropColumn, relid);

		if (retyped != NIL || dropped != NIL)
			release_views_of(relid, retyped, dropped, altered);
	}
}

/*
 * Release the views of a table that loses columns, or whose columns get other types.
 */
static void
release_views_of(Oid relid, List *retyped, List *dropped, AlteredTable *altered)
{
	ListCell *lc;

	foreach (lc, views_of(relid))
	{
		void *released = release_view(lfirst_oid(lc), relid, retyped, dropped);

		if (released != NULL)
			altered->released = lappend(altered->released, released);
	}
}

/*
 * Return the columns of a table that a command changes in that way.
 */
static List *
columns_named(AlterTableStmt *stmt, AlterTableType subtype, Oid relid)
{
	List *columns = NIL;
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		AttrNumber attnum = cmd->subtype == subtype ? get_attnum(relid, cmd->name)
													: InvalidAttrNumber;

		if (attnum > 0)
			columns = lappend_int(columns, attnum);
	}
	return columns;
}

/*
 * RENAME of a column, or of an attribute of a composite type.
 */
static void
prepare_column_rename(RenameStmt *stmt, AlteredTable *altered)
{
	Oid relid;

	if ((stmt->renameType != OBJECT_COLUMN && stmt->renameType != OBJECT_ATTRIBUTE) ||
		stmt->relationType == OBJECT_VIEW || stmt->relationType == OBJECT_MATVIEW)
		return;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid) || !relation_ownercheck(relid, GetUserId()))
		return; /* RENAME will complain */
	lock_views(tagged_tables(relid, true, NoLock));
	altered->tables = tagged_tables(relid, true, AccessExclusiveLock);
}

/*
 * Release the views of the tables that columns are going to be dropped from with
 * something else.
 */
static void
prepare_dropped_columns(List *columns, AlteredTable *altered)
{
	ListCell *lc, *lc2;

	foreach (lc, columns)
		altered->tables =
			list_append_unique_oid(altered->tables,
								   ((ObjectAddress *) lfirst(lc))->objectId);
	lock_views(altered->tables);
	foreach (lc, altered->tables)
	{
		Oid relid = lfirst_oid(lc);
		List *dropped = NIL;

		LockRelationOid(relid, AccessExclusiveLock);
		foreach (lc2, columns)
		{
			if (((ObjectAddress *) lfirst(lc2))->objectId == relid)
				dropped = lappend_int(dropped,
									  ((ObjectAddress *) lfirst(lc2))->objectSubId);
		}
		release_views_of(relid, NIL, dropped, altered);
	}
}

/*
 * One command of it.  A unique constraint that is made partial here becomes an
 * index with a stand-in when the command is done.
 */
static void
prepare_command(AlterTableCmd *cmd, Oid relid, const char *tombstone)
{
	List *constraints = added_constraints(cmd);
	ListCell *lc;

	foreach (lc, constraints)
		prepare_constraint(constraints, lc, relid, tombstone);
}

/*
 * Return the constraints that a command adds, by themselves or with a column.
 */
static List *
added_constraints(AlterTableCmd *cmd)
{
	if (cmd->subtype == AT_AddConstraint)
		return list_make1(cmd->def);
	if (cmd->subtype == AT_AddColumn)
		return castNode(ColumnDef, cmd->def)->constraints;
	return NIL;
}

/*
 * Let a unique or exclusion constraint hide tombstones, unless it is deferrable,
 * which an index cannot be.
 */
static void
prepare_constraint(List *constraints, ListCell *lc, Oid relid, const char *tombstone)
{
	Constraint *constraint = lfirst_node(Constraint, lc);
	bool is_deferrable = constraint->deferrable;

	/* of a column constraint, this follows in constraints of its own */
	for_each_cell(lc, constraints, lnext(constraints, lc))
	{
		ConstrType type = lfirst_node(Constraint, lc)->contype;

		if (type == CONSTR_ATTR_DEFERRABLE || type == CONSTR_ATTR_DEFERRED)
			is_deferrable = true;
		else if (type != CONSTR_ATTR_NOT_DEFERRABLE && type != CONSTR_ATTR_IMMEDIATE)
			break;
	}

	if (constraint->contype == CONSTR_UNIQUE &&
		(is_deferrable || unique_over_periods(constraint)))
		return;
	if (constraint->contype == CONSTR_UNIQUE && constraint->indexname != NULL)
		adopt_index(constraint, relid, tombstone);
	else if ((constraint->contype == CONSTR_UNIQUE ||
			  constraint->contype == CONSTR_EXCLUSION) &&
			 !hides_tombstones(constraint->where_clause, (void *) tombstone))
		constraint->where_clause =
			add_live_condition(constraint->where_clause, tombstone);
}

/*
 * UNIQUE USING INDEX: where that index hides tombstones, and so cannot become a
 * constraint, give it the name, and a stand-in for the constraint.
 */
static void
adopt_index(Constraint *constraint, Oid relid, const char *tombstone)
{
	Oid indexoid =
		get_relname_relid(constraint->indexname, get_rel_namespace(relid));
	A_Const *always = makeNode(A_Const);
	Relation index;
	SavedRole saved;
	bool fits;

	if (!OidIsValid(indexoid) || IndexGetRelation(indexoid, true) != relid ||
		!relation_ownercheck(indexoid, GetUserId()))
		return; /* ALTER TABLE will complain */
	index = index_open(indexoid, AccessShareLock);
	/* a look at a predicate may call functions in it */
	become_owner(index, &saved);
	fits = index->rd_index->indisvalid && is_plain_unique(index) &&
		   list_length(RelationGetIndexPredicate(index)) == 1 &&
		   index_hides_tombstones(index, get_attnum(relid, tombstone));
	restore_role(&saved);
	index_close(index, AccessShareLock);
	if (!fits)
		return; /* the same */

	if (constraint->conname == NULL)
		constraint->conname = constraint->indexname;
	if (strcmp(constraint->conname, constraint->indexname) != 0)
		RenameRelationInternal(indexoid, constraint->conname, false, true);

	always->val.boolval.type = T_Boolean;
	always->val.boolval.boolval = true;
	always->location = -1;
	constraint->contype = CONSTR_CHECK;
	constraint->indexname = NULL;
	constraint->raw_expr = (Node *) always;
	constraint->is_no_inherit = true;
	constraint->skip_validation = true;
	constraint->initially_valid = false;
	set_not_enforced(constraint);
}

/*
 * Is the index, but for its predicate, one that a constraint would make?
 */
static bool
is_plain_unique(Relation index)
{
	bool isnull;
	oidvector *opclasses = (oidvector *) DatumGetPointer(
		SysCacheGetAttr(INDEXRELID, index->rd_indextuple,
						Anum_pg_index_indclass, &isnull));

	if (!index->rd_index->indisunique || RelationGetIndexExpressions(index) != NIL)
		return false;
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		Oid type = get_atttype(index->rd_index->indrelid,
							   index->rd_index->indkey.values[i]);

		if (index->rd_indoption[i] != 0 ||
			opclasses->values[i] != GetDefaultOpClass(type, index->rd_rel->relam))
			return false;
	}
	return true;
}

/*
 * Does a condition, as it is written, speak of the tombstone column?
 */
static bool
hides_tombstones(Node *condition, void *tombstone)
{
	if (condition == NULL)
		return false;
	if (IsA(condition, ColumnRef))
	{
		Node *name = llast(((ColumnRef *) condition)->fields);

		return IsA(name, String) && strcmp(strVal(name), tombstone) == 0;
	}
	return raw_expression_tree_walker(condition, hides_tombstones, tombstone);
}

/*
 * Return the condition with "AND tombstone IS NULL".
 */
static Node *
add_live_condition(Node *condition, const char *tombstone)
{
	ColumnRef *column = makeNode(ColumnRef);
	NullTest *is_live = makeNode(NullTest);

	column->fields = list_make1(makeString(pstrdup(tombstone)));
	column->location = -1;
	is_live->arg = (Expr *) column;
	is_live->nulltesttype = IS_NULL;
	is_live->location = -1;
	if (condition == NULL)
		return (Node *) is_live;
	return (Node *) makeBoolExpr(AND_EXPR, list_make2(condition, is_live), -1);
}

/*
 * Note what a table is called, and where, before that changes, if it is tagged.
 */
static void
note_altered(RangeVar *relation, AlteredTable *altered)
{
	Oid relid = RangeVarGetRelid(relation, NoLock, true);

	if (tag_arguments(relid) == NIL)
		return;
	altered->relid = relid;
	altered->namespace = get_rel_namespace(relid);
	altered->name = get_rel_name(relid);
}

/*
 * Have each view that is going to be dropped checked for being one of ours.
 */
static void
check_view_drops(DropStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->objects)
	{
		Oid relid =
			RangeVarGetRelid(makeRangeVarFromNameList(lfirst(lc)), NoLock, true);

		if (tag_arguments(bound_table(relid)) != NIL)
			call_internal("check_view_drop", 1, (Oid[]){REGCLASSOID},
						  (Datum[]){ObjectIdGetDatum(relid)});
	}
}

/*
 * Return the table that a view is bound to, or InvalidOid.
 */
static Oid
bound_table(Oid view)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	Oid table = InvalidOid;
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(view));
	ScanKeyInit(&key[2], Anum_pg_depend_objsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(0));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 3, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->refclassid == RelationRelationId && form->deptype == DEPENDENCY_AUTO)
			table = form->refobjid;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return table;
}

/*
 * GRANT and REVOKE on tagged tables, by name or on all tables of schemas.
 */
static void
follow_grants(GrantStmt *stmt)
{
	ListCell *lc;

	/* what restores a dump has its own GRANT on the view, in another session at that */
	if (!row_security || stmt->objtype != OBJECT_TABLE ||
		stmt->targtype == ACL_TARGET_DEFAULTS || !OidIsValid(extension_oid()))
		return;
	foreach (lc, stmt->objects)
	{
		List *relids;
		ListCell *lc2;

		if (stmt->targtype == ACL_TARGET_ALL_IN_SCHEMA)
			relids =
				tables_with_triggers(get_namespace_oid(strVal(lfirst(lc)), false));
		else
			relids = list_make1_oid(
				RangeVarGetRelid(lfirst_node(RangeVar, lc), NoLock, true));
		foreach (lc2, relids)
		{
			if (tag_arguments(lfirst_oid(lc2)) != NIL)
				call_internal("copy_grants", 1, (Oid[]){REGCLASSOID},
							  (Datum[]){ObjectIdGetDatum(lfirst_oid(lc2))});
		}
	}
}

/*
 * Return the OIDs of the tables of a schema that have triggers, so may be tagged.
 */
static List *
tables_with_triggers(Oid namespace)
{
	Relation classes = table_open(RelationRelationId, AccessShareLock);
	List *relids = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_class_relnamespace, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(namespace));
	scan = systable_beginscan(classes, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

		if ((class->relkind == RELKIND_RELATION ||
			 class->relkind == RELKIND_PARTITIONED_TABLE) &&
			class->relhastriggers)
			relids = lappend_oid(relids, class->oid);
	}
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	return relids;
}

/*
 * soft_delete_internal.update_views(relation regclass) returns void
 *
 * Runs soft_delete_internal.rewrite_views(relation) as the owner of the extension.
 *
 * Raises 42501 unless the caller has the owner's rights, 42809 if the table is
 * not tagged.
 */
Datum
soft_delete_update_views(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);

	check_owns(relid);
	if (tag_arguments(relid) == NIL)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("table \"%s\" is not tagged", get_rel_name(relid))));
	call_internal("rewrite_views", 1, (Oid[]){REGCLASSOID},
				  (Datum[]){ObjectIdGetDatum(relid)});
	PG_RETURN_VOID();
}

/*
 * Raise 42501 unless the current role owns the relation, 42P01 if there is none.
 */
static void
check_owns(Oid relid)
{
	check_relation_exists(relid); /* a superuser seems to own whatever there is not */
	if (!relation_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}
