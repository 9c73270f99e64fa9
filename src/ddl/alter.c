/*
 * alter.c
 *	  Prepares the DDL commands that event triggers cannot handle, and finishes them.
 *
 * Event triggers (sql/ddl_events.sql) do what follows from DDL on tagged tables.  They fire
 * too late for some commands, and get too little information on others.  These are
 * handled here, by the hook for utility commands:
 * - CREATE INDEX and ADD CONSTRAINT: the index hides tombstones from the start, so
 *   that it is not built twice and does not fail because of their keys;
 * - PRIMARY KEY USING INDEX: the index is replaced by a whole one;
 * - ADD FOREIGN KEY: the referenced key is replaced by a full one, which covers
 *   tombstones, too;
 * - GRANT, RENAME and SET SCHEMA: event triggers do not get the old name, or which
 *   tables are meant;
 * - DROP VIEW of one of the views of a tagged table;
 * - commands that change the columns or the owner of tagged tables: the views are
 *   changed within the command (views.c), even where event triggers do not fire.
 * Which commands are refused is in protect.c.
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
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
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

/*
 * Is a full key being made for a foreign key to reference?  Then indexes and constraints
 * are added as they are, and do not hide tombstones.
 */
static bool makes_full_key = false;

static void align_companion(Oid relid, Node *command);
static PlannedStmt *prepare_index(PlannedStmt *pstmt);
static PlannedStmt *prepare_alter_table(PlannedStmt *pstmt);
static void prepare_references(AlterTableStmt *stmt);
static bool is_existing_column(AlterTableCmd *cmd, Oid relid);
static void prepare_reference(Constraint *constraint);
static void call_making_full_key(const char *function, int nargs, Oid *argtypes,
								 Datum *args);
static bool may_reference(Oid relid, List *columns);
static void prepare_columns(AlterTableStmt *stmt, DdlContext *context);
static bool changes_views(AlterTableStmt *stmt, bool *releases);
static List *tagged_tables(Oid relid, bool recurse, LOCKMODE lockmode,
						   bool in_place_only);
static bool is_of_type(Oid relid, Oid type);
static void lock_all_views(List *tables);
static void release_views(AlterTableStmt *stmt, DdlContext *context);
static void release_views_of(Oid relid, List *retyped, List *dropped,
							 DdlContext *context);
static List *columns_named(AlterTableStmt *stmt, AlterTableType subtype, Oid relid);
static void prepare_column_rename(RenameStmt *stmt, DdlContext *context);
static void prepare_dropped_columns(Node *stmt, DdlContext *context);
static void drop_companion_columns(List *columns);
static bool must_keep_views(void);
static List *added_constraints(AlterTableCmd *cmd);
static void prepare_constraint(List *constraints, ListCell *lc, Oid relid,
							   const char *tombstone);
static bool is_plain_unique(Relation index);
static void make_whole_key(Constraint *constraint, Oid relid, const char *tombstone);
static void prepare_clustering(Oid relid, const char *indexname);
static void adopt_index(Constraint *constraint, Oid relid, const char *tombstone);
static Oid hiding_index(Constraint *constraint, Oid relid, const char *tombstone);
static bool names_column(Node *condition, void *tombstone);
static Node *add_live_condition(Node *condition, const char *tombstone);
static void note_old_name(RangeVar *relation, DdlContext *context);
static PlannedStmt *prepare_view_drops(PlannedStmt *pstmt);
static bool drop_dependents(Oid view, DropStmt *stmt);
static void follow_grants(GrantStmt *stmt);
static List *tables_with_triggers(Oid namespace);

/*
 * Prepare a DDL command before the server runs it.  Returns the statement to run: the
 * command itself, or a changed copy.  Sets the context for finish_ddl().
 */
PlannedStmt *
prepare_ddl(PlannedStmt *pstmt, DdlContext *context)
{
	Node *stmt = pstmt->utilityStmt;

	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return prepare_index(pstmt);
		case T_AlterTableStmt:
			pstmt = prepare_alter_table(pstmt);
			prepare_columns((AlterTableStmt *) pstmt->utilityStmt, context);
			break;
		case T_DropStmt:
			if (((DropStmt *) stmt)->removeType == OBJECT_VIEW)
				pstmt = prepare_view_drops(pstmt);
			prepare_dropped_columns(pstmt->utilityStmt, context);
			break;
		case T_DropOwnedStmt:
			prepare_dropped_columns(stmt, context);
			break;
		case T_RenameStmt:
			/* ALTER INDEX renames tables, too */
			if (((RenameStmt *) stmt)->renameType == OBJECT_TABLE ||
				((RenameStmt *) stmt)->renameType == OBJECT_INDEX)
				note_old_name(((RenameStmt *) stmt)->relation, context);
			else if (must_keep_views())
				prepare_column_rename((RenameStmt *) stmt, context);
			break;
		case T_AlterObjectSchemaStmt:
			if (((AlterObjectSchemaStmt *) stmt)->objectType == OBJECT_TABLE)
				note_old_name(((AlterObjectSchemaStmt *) stmt)->relation, context);
			break;
		default:
			if (is_cluster(stmt) && clustered_table(stmt) != NULL)
				prepare_clustering(RangeVarGetRelid(clustered_table(stmt),
													NoLock, true),
								   clustering_index(stmt));
			break;
	}
	return pstmt;
}

/*
 * Do what remains to be done after the server has run a DDL command.
 */
void
finish_ddl(PlannedStmt *pstmt, const DdlContext *context)
{
	ListCell *lc;

	if (OidIsValid(context->renamed))
		call_internal("rename_views", 4,
					  (Oid[]){REGCLASSOID, NAMEOID, OIDOID, OIDOID},
					  (Datum[]){ObjectIdGetDatum(context->renamed),
								CStringGetDatum(context->old_name),
								ObjectIdGetDatum(context->old_namespace),
								ObjectIdGetDatum(GetUserId())});
	else if (OidIsValid(context->owner_changed))
		call_internal("copy_owner", 1, (Oid[]){REGCLASSOID},
					  (Datum[]){ObjectIdGetDatum(context->owner_changed)});
	else if (IsA(pstmt->utilityStmt, GrantStmt))
		follow_grants((GrantStmt *) pstmt->utilityStmt);
	foreach (lc, context->tables)
	{
		align_companion(lfirst_oid(lc), pstmt->utilityStmt);
		replace_views(lfirst_oid(lc), context->released);
	}
}

/*
 * Give the companion of a table whose tombstones are in place the columns that the table
 * has after a command, where no event trigger has done so.  The bin, which reads both,
 * follows afterwards.
 */
static void
align_companion(Oid relid, Node *command)
{
	List *arguments = in_place_arguments(relid);
	RenameStmt *rename = IsA(command, RenameStmt) ? (RenameStmt *) command : NULL;
	NameData old_name, new_name;

	/* without its tombstone column no query can read the table */
	if (arguments == NIL || get_attnum(relid, linitial(arguments)) == InvalidAttrNumber)
		return;
	namestrcpy(&old_name, rename && rename->subname ? rename->subname : "");
	namestrcpy(&new_name, rename ? rename->newname : "");
	call_internal("align_renamed_companion", 3,
				  (Oid[]){REGCLASSOID, NAMEOID, NAMEOID},
				  (Datum[]){ObjectIdGetDatum(relid), NameGetDatum(&old_name),
							NameGetDatum(&new_name)});
}

/*
 * Make the index of a CREATE INDEX on a tagged table hide tombstones.  It does if it is
 * unique or the tag is for all indexes, unless it begins with the tombstone column or
 * its predicate names that.
 */
static PlannedStmt *
prepare_index(PlannedStmt *pstmt)
{
	IndexStmt *stmt = castNode(IndexStmt, pstmt->utilityStmt);
	List *arguments;
	IndexElem *first = linitial_node(IndexElem, stmt->indexParams);
	char *tombstone;
	ListCell *lc;

	/* an analyzed statement comes from LIKE, or has been prepared already */
	if (stmt->transformed)
		return pstmt;
	arguments = in_place_arguments(RangeVarGetRelid(stmt->relation, NoLock, true));
	if (arguments == NIL || stmt->isconstraint || makes_full_key)
		return pstmt;
	tombstone = linitial(arguments);
	if ((first->name != NULL && strcmp(first->name, tombstone) == 0) ||
		names_column(stmt->whereClause, tombstone))
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
 * Prepare the constraints that an ALTER TABLE adds.
 */
static PlannedStmt *
prepare_alter_table(PlannedStmt *pstmt)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, pstmt->utilityStmt);
	Oid relid;
	List *arguments;
	ListCell *lc, *lc2;

	prepare_references(stmt);
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	arguments = in_place_arguments(relid);
	if (arguments == NIL || makes_full_key)
		return pstmt;

	pstmt = copyObject(pstmt);
	stmt = castNode(AlterTableStmt, pstmt->utilityStmt);
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		List *constraints = added_constraints(cmd);

		foreach (lc2, constraints)
			prepare_constraint(constraints, lc2, relid, linitial(arguments));
		if (cmd->subtype == AT_ClusterOn)
			prepare_clustering(relid, cmd->name);
	}
	return pstmt;
}

/*
 * Prepare the keys that are referenced by the foreign keys that an ALTER TABLE adds.
 * CREATE TABLE adds its foreign keys in the same way.  The table is looked up as ALTER
 * TABLE will do it: locked, and only if the current role may alter it.
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
			if (!OidIsValid(relid) || is_existing_column(cmd, relid))
				continue;
			prepare_reference(constraint);
		}
	}
}

/*
 * Does the column exist that a command adds?  With IF NOT EXISTS such a command has no
 * effect.
 */
static bool
is_existing_column(AlterTableCmd *cmd, Oid relid)
{
	return cmd->subtype == AT_AddColumn &&
		   get_attnum(relid, castNode(ColumnDef, cmd->def)->colname) !=
			   InvalidAttrNumber;
}

/*
 * Replace the key that a foreign key is going to reference by a full one, if it hides
 * tombstones.  pg_upgrade restores keys as they are.
 */
static void
prepare_reference(Constraint *constraint)
{
	Oid relid = RangeVarGetRelid(constraint->pktable, NoLock, true);
	int n = list_length(constraint->pk_attrs);
	Datum *names = palloc(n * sizeof(Datum));
	ArrayType *columns;
	ListCell *lc;

	if (IsBinaryUpgrade || in_place_arguments(relid) == NIL ||
		!may_reference(relid, constraint->pk_attrs))
		return; /* ALTER TABLE will raise an error if one is due */

	foreach (lc, constraint->pk_attrs)
		names[foreach_current_index(lc)] =
			DirectFunctionCall1(namein, CStringGetDatum(strVal(lfirst(lc))));
	columns = construct_array(names, n, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR);

	call_making_full_key("prepare_reference", 2, (Oid[]){REGCLASSOID, NAMEARRAYOID},
						 (Datum[]){ObjectIdGetDatum(relid), PointerGetDatum(columns)});
}

/*
 * Call a function of schema soft_delete_internal that makes a full key.
 */
static void
call_making_full_key(const char *function, int nargs, Oid *argtypes, Datum *args)
{
	makes_full_key = true;
	PG_TRY();
	{
		call_internal(function, nargs, argtypes, args);
	}
	PG_FINALLY();
	{
		makes_full_key = false;
	}
	PG_END_TRY();
}

/*
 * Does the current role have the privilege REFERENCES on these columns of a table?
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
 * For an ALTER TABLE or ALTER TYPE that changes columns or the owner, lock the views of
 * the tagged tables, note the tables whose views must be changed after it, and release the
 * views that would make it fail.
 *
 * Tables are locked in the mode that the server is going to use.  The views are locked
 * before their tables, since queries lock them in that order.
 */
static void
prepare_columns(AlterTableStmt *stmt, DdlContext *context)
{
	LOCKMODE lockmode;
	bool releases;
	Oid relid;

	if (!must_keep_views() || !changes_views(stmt, &releases))
		return;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid) || !relation_ownercheck(relid, GetUserId()))
		return; /* ALTER TABLE will raise the error */
	lock_all_views(tagged_tables(relid, stmt->relation->inh, NoLock, false));

	lockmode = AlterTableGetLockLevel(stmt->cmds);
	relid = AlterTableLookupRelation(stmt, lockmode);
	if (!OidIsValid(relid))
		return;
	context->tables = tagged_tables(relid, stmt->relation->inh, lockmode, true);
	if (in_place_arguments(relid) != NIL)
		context->owner_changed = relid;
	if (releases)
		release_views(stmt, context);
}

/*
 * Does a command change the columns or the owner of views?  Sets "releases" if it would
 * fail because of the views.
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
 * Must the views of tagged tables be changed with a command?  Not under pg_upgrade,
 * which restores the catalogs as they were, nor in a read-only transaction or on a
 * standby, where the server will refuse the command.
 */
static bool
must_keep_views(void)
{
	return !IsBinaryUpgrade && !XactReadOnly && !RecoveryInProgress() &&
		   OidIsValid(extension_function(TAG_TRIGGER));
}

/*
 * Return the tables that are tagged and have views, among a table, or the tables of a
 * composite type, and with "recurse" their partitions and inheritance children.  With
 * "in_place_only", leave out those whose tombstones are kept aside: the event trigger
 * changes their bins.
 */
static List *
tagged_tables(Oid relid, bool recurse, LOCKMODE lockmode, bool in_place_only)
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
			List *arguments = in_place_only ? in_place_arguments(lfirst_oid(lc2))
											: tag_arguments(lfirst_oid(lc2));

			if (arguments != NIL && views_of(lfirst_oid(lc2)) != NIL)
				tables = list_append_unique_oid(tables, lfirst_oid(lc2));
		}
	}
	return tables;
}

/*
 * Return the OIDs of the tables that are declared to be of a composite type.
 */
List *
tables_of_type(Oid type)
{
	CatalogScan scan = begin_dependents_scan(TypeRelationId, type, ANY_COLUMN);
	List *tables = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid == RelationRelationId && form->objsubid == 0 &&
			is_of_type(form->objid, type))
			tables = lappend_oid(tables, form->objid);
	}
	end_catalog_scan(&scan);
	return tables;
}

/*
 * Is a relation declared to be of a composite type?
 */
static bool
is_of_type(Oid relid, Oid type)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_class) GETSTRUCT(tuple))->reloftype == type;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * Lock the views of tables until the transaction ends.
 */
static void
lock_all_views(List *tables)
{
	ListCell *lc;

	foreach (lc, tables)
		lock_views(lfirst_oid(lc));
}

/*
 * Release the views of the tables whose columns an ALTER TABLE drops or gives other
 * types.
 */
static void
release_views(AlterTableStmt *stmt, DdlContext *context)
{
	ListCell *lc;

	foreach (lc, context->tables)
	{
		Oid relid = lfirst_oid(lc);
		List *retyped = columns_named(stmt, AT_AlterColumnType, relid);
		List *dropped = columns_named(stmt, AT_DropColumn, relid);

		if (retyped != NIL || dropped != NIL)
			release_views_of(relid, retyped, dropped, context);
	}
}

/*
 * Release the views of a table whose given columns are going to get other types or to
 * be dropped, and note them in the context.
 */
static void
release_views_of(Oid relid, List *retyped, List *dropped, DdlContext *context)
{
	ListCell *lc;

	foreach (lc, views_of(relid))
	{
		ReleasedView *released =
			release_view(lfirst_oid(lc), relid, retyped, dropped);

		if (released != NULL)
			context->released = lappend(context->released, released);
	}
}

/*
 * Return the numbers of the columns of a table that subcommands of the given type name.
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
 * For a RENAME of a column or of an attribute of a composite type, note the tagged
 * tables whose views must be changed after it.
 */
static void
prepare_column_rename(RenameStmt *stmt, DdlContext *context)
{
	Oid relid;

	if ((stmt->renameType != OBJECT_COLUMN && stmt->renameType != OBJECT_ATTRIBUTE) ||
		stmt->relationType == OBJECT_VIEW || stmt->relationType == OBJECT_MATVIEW)
		return;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid) || !relation_ownercheck(relid, GetUserId()))
		return; /* RENAME will raise the error */
	lock_all_views(tagged_tables(relid, true, NoLock, false));
	context->tables = tagged_tables(relid, true, AccessExclusiveLock, true);
}

/*
 * Release the views of the tables whose columns a DROP or DROP OWNED BY takes along, and
 * drop these columns of companions.
 */
static void
prepare_dropped_columns(Node *stmt, DdlContext *context)
{
	List *columns, *aside;
	ListCell *lc, *lc2;

	if (!must_keep_views())
		return;
	columns = columns_dropped_by(stmt, &aside);
	foreach (lc, aside)
		lock_views(((ObjectAddress *) lfirst(lc))->objectId);
	if (aside != NIL)
		drop_companion_columns(aside);
	foreach (lc, columns)
		context->tables =
			list_append_unique_oid(context->tables,
								   ((ObjectAddress *) lfirst(lc))->objectId);
	lock_all_views(context->tables);
	foreach (lc, context->tables)
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
		release_views_of(relid, NIL, dropped, context);
	}
	if (columns != NIL)
		drop_companion_columns(columns);
}

/*
 * Drop columns (ObjectAddress) that tables are about to lose from their companions, and
 * replace the bins, which read them.  Else the server would drop the bins.
 */
static void
drop_companion_columns(List *columns)
{
	int n = list_length(columns);
	Datum *relids = palloc(n * sizeof(Datum));
	Datum *names = palloc(n * sizeof(Datum));
	ListCell *lc;

	foreach (lc, columns)
	{
		ObjectAddress *column = lfirst(lc);
		char *name = get_attname(column->objectId, column->objectSubId, false);

		LockRelationOid(column->objectId, AccessExclusiveLock);
		relids[foreach_current_index(lc)] = ObjectIdGetDatum(column->objectId);
		names[foreach_current_index(lc)] =
			DirectFunctionCall1(namein, CStringGetDatum(name));
	}
	call_internal("drop_companion_columns", 2,
				  (Oid[]){REGCLASSARRAYOID, NAMEARRAYOID},
				  (Datum[]){PointerGetDatum(construct_array(relids, n, REGCLASSOID,
															sizeof(Oid), true,
															TYPALIGN_INT)),
							PointerGetDatum(construct_array(names, n, NAMEOID,
															NAMEDATALEN, false,
															TYPALIGN_CHAR))});
}

/*
 * Return the constraints (Constraint) that a subcommand of ALTER TABLE adds, by
 * themselves or with a column.
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
 * Make a unique or exclusion constraint hide tombstones, unless it is deferrable, which
 * a partial index cannot be.  A unique constraint is so given a predicate; when the
 * command is done, it is a unique index, and a stand-in bears the name of the
 * constraint.
 */
static void
prepare_constraint(List *constraints, ListCell *lc, Oid relid, const char *tombstone)
{
	Constraint *constraint = lfirst_node(Constraint, lc);
	bool is_deferrable = constraint->deferrable;

	/* the attributes of a column constraint follow it as nodes of their own */
	for_each_cell(lc, constraints, lnext(constraints, lc))
	{
		ConstrType type = lfirst_node(Constraint, lc)->contype;

		if (type == CONSTR_ATTR_DEFERRABLE || type == CONSTR_ATTR_DEFERRED)
			is_deferrable = true;
		else if (type != CONSTR_ATTR_NOT_DEFERRABLE && type != CONSTR_ATTR_IMMEDIATE)
			break;
	}

	if ((constraint->contype == CONSTR_PRIMARY ||
		 (constraint->contype == CONSTR_UNIQUE && is_deferrable)) &&
		constraint->indexname != NULL)
		make_whole_key(constraint, relid, tombstone);
	if (constraint->contype == CONSTR_UNIQUE &&
		(is_deferrable || unique_over_periods(constraint)))
		return;
	if (constraint->contype == CONSTR_UNIQUE && constraint->indexname != NULL)
		adopt_index(constraint, relid, tombstone);
	else if ((constraint->contype == CONSTR_UNIQUE ||
			  constraint->contype == CONSTR_EXCLUSION) &&
			 !names_column(constraint->where_clause, (void *) tombstone))
		constraint->where_clause =
			add_live_condition(constraint->where_clause, tombstone);
}

/*
 * For PRIMARY KEY USING INDEX, or a deferrable UNIQUE, with an index that hides
 * tombstones: replace the index by a whole one.
 */
static void
make_whole_key(Constraint *constraint, Oid relid, const char *tombstone)
{
	Oid indexoid = hiding_index(constraint, relid, tombstone);

	if (OidIsValid(indexoid))
		call_making_full_key("make_whole_key", 2, (Oid[]){REGCLASSOID, BOOLOID},
							 (Datum[]){ObjectIdGetDatum(indexoid),
									   BoolGetDatum(false)});
}

/*
 * Make an index whole by which a table in place is going to be clustered, if it hides
 * tombstones, for a partial index cannot be.  It stays whole as long as the table is
 * clustered by it.
 */
static void
prepare_clustering(Oid relid, const char *indexname)
{
	Oid indexoid = indexname != NULL && in_place_arguments(relid) != NIL
					   ? get_relname_relid(indexname, get_rel_namespace(relid))
					   : InvalidOid;

	if (OidIsValid(indexoid) && IndexGetRelation(indexoid, true) == relid &&
		relation_ownercheck(relid, GetUserId())) /* else the command raises an error */
		call_making_full_key("make_clusterable", 1, (Oid[]){REGCLASSOID},
							 (Datum[]){ObjectIdGetDatum(indexoid)});
}

/*
 * For UNIQUE USING INDEX with an index that hides tombstones, which cannot become a
 * constraint: give the index the name of the constraint, and turn the command into one
 * that adds a stand-in.
 */
static void
adopt_index(Constraint *constraint, Oid relid, const char *tombstone)
{
	Oid indexoid = hiding_index(constraint, relid, tombstone);
	A_Const *always = makeNode(A_Const);

	if (!OidIsValid(indexoid))
		return; /* ALTER TABLE will raise the error */
	if (constraint->conname == NULL)
		constraint->conname = constraint->indexname;
	if (strcmp(constraint->conname, constraint->indexname) != 0)
	{
		/* as the server says it */
		ereport(NOTICE, (errmsg("ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"%s\" to \"%s\"",
								constraint->indexname, constraint->conname)));
		RenameRelationInternal(indexoid, constraint->conname, false, true);
	}

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
 * Return the index of a constraint USING INDEX, if it could become one but for the
 * condition that hides tombstones, or InvalidOid.
 */
static Oid
hiding_index(Constraint *constraint, Oid relid, const char *tombstone)
{
	Oid indexoid =
		get_relname_relid(constraint->indexname, get_rel_namespace(relid));
	Relation index;
	SavedRole saved;
	bool fits;

	if (!OidIsValid(indexoid) || IndexGetRelation(indexoid, true) != relid ||
		!relation_ownercheck(indexoid, GetUserId()))
		return InvalidOid;
	index = index_open(indexoid, AccessShareLock);
	/* the predicate of an index is simplified when it is read, by calling its functions */
	become_owner(index, &saved);
	fits = index->rd_index->indisvalid && is_plain_unique(index) &&
		   list_length(RelationGetIndexPredicate(index)) == 1 &&
		   index_hides_tombstones(index, get_attnum(relid, tombstone));
	restore_role(&saved);
	index_close(index, AccessShareLock);
	if (fits && get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, /* as the server says it of a whole index */
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ALTER TABLE / ADD CONSTRAINT USING INDEX is not supported on partitioned tables")));
	return fits ? indexoid : InvalidOid;
}

/*
 * Is an index such as a unique constraint creates, apart from its predicate?
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
 * Does a raw condition name the tombstone column?  (raw expression tree walker)
 */
static bool
names_column(Node *condition, void *tombstone)
{
	if (condition == NULL)
		return false;
	if (IsA(condition, ColumnRef))
	{
		Node *name = llast(((ColumnRef *) condition)->fields);

		return IsA(name, String) && strcmp(strVal(name), tombstone) == 0;
	}
	return raw_expression_tree_walker(condition, names_column, tombstone);
}

/*
 * Return a raw condition, which may be NULL, with "AND tombstone IS NULL" added.
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
 * Note the name and the schema of a tagged table before a command changes them.
 */
static void
note_old_name(RangeVar *relation, DdlContext *context)
{
	Oid relid = RangeVarGetRelid(relation, NoLock, true);

	if (in_place_arguments(relid) == NIL)
		return;
	context->renamed = relid;
	context->old_namespace = get_rel_namespace(relid);
	context->old_name = get_rel_name(relid);
}

/*
 * Have soft_delete_internal.check_view_drop() check the views of tagged tables that a
 * DROP VIEW names.  With CASCADE, drop what depends on them, and let the command drop the
 * other views that it names.
 */
static PlannedStmt *
prepare_view_drops(PlannedStmt *pstmt)
{
	List *others = NIL;
	ListCell *lc;
	DropStmt *stmt = castNode(DropStmt, pstmt->utilityStmt);

	foreach (lc, stmt->objects)
	{
		Oid view =
			RangeVarGetRelid(makeRangeVarFromNameList(lfirst(lc)), NoLock, true);

		if (drop_dependents(view, stmt))
			continue;
		others = lappend(others, lfirst(lc));
		if (in_place_arguments(table_of_view(view)) != NIL)
			call_internal("check_view_drop", 1, (Oid[]){REGCLASSOID},
						  (Datum[]){ObjectIdGetDatum(view)});
	}
	if (list_length(others) == list_length(stmt->objects))
		return pstmt;
	pstmt = copyObject(pstmt);
	castNode(DropStmt, pstmt->utilityStmt)->objects = others;
	return pstmt;
}

/*
 * Drop what depends on a view of a tagged table if a DROP VIEW says CASCADE and the current
 * role may drop the view.  The view itself goes with the tag.  Returns false if nothing is
 * done.
 */
static bool
drop_dependents(Oid view, DropStmt *stmt)
{
	Oid relid = table_of_view(view);

	/* a dump that is restored replaces the views */
	if (stmt->behavior != DROP_CASCADE || !must_keep_views() || !row_security ||
		command_is_own() || tag_arguments(relid) == NIL ||
		get_rel_relkind(view) != RELKIND_VIEW ||
		!relation_ownercheck(view, GetUserId()))
		return false;
	lock_views(relid);
	LockRelationOid(view, AccessExclusiveLock);
	/* it may have become somebody else's, or been dropped, while this waited */
	if (table_of_view(view) != relid || !relation_ownercheck(view, GetUserId()))
		return false;
	call_internal("drop_dependents", 3, (Oid[]){REGCLASSOID, REGCLASSOID, BOOLOID},
				  (Datum[]){ObjectIdGetDatum(view), ObjectIdGetDatum(relid),
							BoolGetDatum(list_member_oid(views_of(relid), view))});
	return true;
}

/*
 * After a GRANT or REVOKE, by name or on all tables of schemas, give the views of the
 * tagged tables the same privileges.
 */
static void
follow_grants(GrantStmt *stmt)
{
	ListCell *lc;

	/* a dump has its own GRANT on the views, which may be restored by another session */
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
			if (in_place_arguments(lfirst_oid(lc2)) != NIL)
				call_internal("copy_grants", 1, (Oid[]){REGCLASSOID},
							  (Datum[]){ObjectIdGetDatum(lfirst_oid(lc2))});
		}
	}
}

/*
 * Return the OIDs of the tables of a schema that have triggers: only these can be
 * tagged.
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
