/*
 * protect.c
 *	  Refuses commands that would show deleted rows again, or lose a hold.
 *
 * Event triggers (sql/ddl_tag_refusals.sql) refuse such commands, too.  But they do not fire where
 * session_replication_role is "replica" or event_triggers is off, and they cannot see
 * an ALTER COLUMN TYPE with USING that leaves the column with its type.  The checks here
 * hold in every session that has loaded the library.  They handle no command that the
 * current role may not run: there the server raises the error.
 *
 * Invariant: no command changes the tombstone column of a tagged table or its contents,
 * and none drops the last index whose use loads the library.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "ddl/sd_ddl.h"

static void check_altered_table(AlterTableStmt *stmt);
static void check_left_table(AlterTableCmd *cmd, Oid relid);
static void check_disabled_tag(AlterTableCmd *cmd, Oid relid);
static void check_altered_companion(AlterTableCmd *cmd, Oid relid);
static void check_view_owner(AlterTableCmd *cmd, Oid relid);
static void check_unlogged(AlterTableCmd *cmd, Oid relid);
static void check_column_commands(AlterTableStmt *stmt, Oid relid);
static void protect_primary_key(AlterTableCmd *cmd, Oid relid);
static void refuse_if_held(Oid relid, const char *action);
static bool keeps_column(AlterTableCmd *cmd, Oid relid);
static bool keeps_type(ColumnDef *def, Oid relid, const char *column);
static void refuse_column_command(AlterTableCmd *cmd, Oid relid);
static void check_dropped_index(Oid indexoid);
static bool has_other_loading_index(Oid relid, Oid indexoid);
static void check_dropped_trigger(List *name);
static void check_dropped_month(Oid relid);
static void protect_companion_trigger(Oid relid, const char *name, const char *action);
static void check_created_trigger(CreateTrigStmt *stmt);
static bool is_shard(Oid relid);
static bool trigger_calls_extension(Oid relid, const char *name);
static bool loses_trigger(Oid relid, const char *name);
static void check_truncated_table(Oid relid);
static void check_renamed_column(RenameStmt *stmt);
static void check_dependence(AlterObjectDependsStmt *stmt);
static Oid owned_relation(RangeVar *name);

/*
 * Check a utility command.
 *
 * Raises 0A000 or 2BP01 if it would show deleted rows again, or lose what they need,
 * 55006 if it would lose a hold, 42501 or 42P17 for a trigger that the current role may
 * not create, or that would be the tag under another name.
 */
void
protect_tombstones(Node *command)
{
	ListCell *lc;

	switch (nodeTag(command))
	{
		case T_AlterTableStmt:
			check_altered_table((AlterTableStmt *) command);
			break;
		case T_DropStmt:
			check_dropped_tables((DropStmt *) command);
			foreach (lc, ((DropStmt *) command)->objects)
			{
				if (((DropStmt *) command)->removeType == OBJECT_INDEX)
					check_dropped_index(
						owned_relation(makeRangeVarFromNameList(lfirst(lc))));
				else if (((DropStmt *) command)->removeType == OBJECT_TRIGGER)
					check_dropped_trigger(lfirst(lc));
				else if (((DropStmt *) command)->removeType == OBJECT_TABLE)
					check_dropped_month(
						owned_relation(makeRangeVarFromNameList(lfirst(lc))));
			}
			refuse_dropping_held(command);
			break;
		case T_DropOwnedStmt:
			refuse_dropping_held(command);
			break;
		case T_TruncateStmt:
			if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
				foreach (lc, ((TruncateStmt *) command)->relations)
					check_truncated_table(owned_relation(lfirst_node(RangeVar, lc)));
			break;
		case T_CreateTrigStmt:
			check_created_trigger((CreateTrigStmt *) command);
			break;
		case T_RenameStmt:
			if (((RenameStmt *) command)->renameType == OBJECT_COLUMN)
				check_renamed_column((RenameStmt *) command);
			else if (((RenameStmt *) command)->renameType == OBJECT_TRIGGER)
				protect_companion_trigger(owned_relation(
											  ((RenameStmt *) command)->relation),
										  ((RenameStmt *) command)->subname,
										  "rename");
			break;
		case T_CreateTableAsStmt:
			check_large_object_list((CreateTableAsStmt *) command);
			break;
		case T_AlterObjectDependsStmt:
			check_dependence((AlterObjectDependsStmt *) command);
			break;
		default:
			break;
	}
}

/*
 * Check an ALTER TABLE, an ALTER VIEW, or an ALTER TYPE, which changes the tables of the
 * type.
 */
static void
check_altered_table(AlterTableStmt *stmt)
{
	Oid relid = owned_relation(stmt->relation);
	ListCell *lc;

	if (!OidIsValid(relid) || !OidIsValid(extension_function(TAG_TRIGGER)))
		return;
	if (stmt->objtype == OBJECT_TYPE)
		foreach (lc, tables_of_type(get_rel_type_id(relid)))
			check_column_commands(stmt, lfirst_oid(lc));
	else if (get_rel_relkind(relid) == RELKIND_VIEW)
		foreach (lc, stmt->cmds)
			check_view_owner(lfirst_node(AlterTableCmd, lc), relid);
	else if (stmt->objtype == OBJECT_TABLE)
	{
		foreach (lc, stmt->cmds)
		{
			check_left_table(lfirst_node(AlterTableCmd, lc), relid);
			check_disabled_tag(lfirst_node(AlterTableCmd, lc), relid);
			check_altered_companion(lfirst_node(AlterTableCmd, lc), relid);
			check_unlogged(lfirst_node(AlterTableCmd, lc), relid);
		}
		check_column_commands(stmt, relid);
	}
}

/*
 * Raise 55006 for a table with held rows that a subcommand of ALTER TABLE would take out
 * of its partitioned table or its parent: holds on that would no longer be on the rows.
 */
static void
check_left_table(AlterTableCmd *cmd, Oid relid)
{
	if (cmd->subtype == AT_DetachPartition)
	{
		Oid parent = relid;

		relid = RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name, NoLock, true);
		/* of a table that is none of its partitions nothing is told */
		if (!OidIsValid(relid) || !get_rel_relispartition(relid) ||
			get_partition_parent(relid, true) != parent)
			return;
	}
	else if (cmd->subtype != AT_DropInherit)
		return;
	/* a partition of an index may be detached, too */
	if ((get_rel_relkind(relid) == RELKIND_RELATION ||
		 get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE) &&
		is_tagged(relid))
		refuse_if_held(relid, "detach");
}

/*
 * Raise 55006 for a subcommand of ALTER TABLE that disables the tag of a table with holds on
 * live rows: deletes would destroy these.  A superuser may do it, as he does to load
 * data.
 */
static void
check_disabled_tag(AlterTableCmd *cmd, Oid relid)
{
	bool is_tag = cmd->name != NULL && strcmp(cmd->name, TAG_NAME) == 0;
	Relation rel;

	if ((cmd->subtype != AT_DisableTrigAll && cmd->subtype != AT_DisableTrigUser &&
		 !(is_tag && (cmd->subtype == AT_DisableTrig ||
					  cmd->subtype == AT_EnableReplicaTrig))) ||
		superuser() || !is_tagged(relid))
		return;
	rel = table_open(relid, AccessShareLock);
	refuse_held_live(rel, "disable the tag of");
	table_close(rel, AccessShareLock);
}

/*
 * Raise 55006 for a subcommand of ALTER TABLE by which statements could change held rows
 * in a companion, in a session in which event triggers do not refuse it.
 */
static void
check_altered_companion(AlterTableCmd *cmd, Oid relid)
{
	if ((row_security && event_triggers_fire()) || command_is_own())
		return;
	switch (cmd->subtype)
	{
		case AT_AttachPartition:
			relid = RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name,
									 NoLock, true);
			break;
		case AT_AddInherit:
		case AT_AlterColumnType:
		case AT_ChangeOwner:
		case AT_DisableTrig:
		case AT_DisableTrigAll:
		case AT_DisableTrigUser:
		case AT_DropColumn:
		case AT_DropConstraint:
		case AT_DropInherit:
		case AT_EnableReplicaTrig:
			break;
		default:
			return;
	}
	if (OidIsValid(relid))
		refuse_held_aside(relid, "change the companion of");
}

/*
 * Raise 0A000 for a subcommand that gives a bin, or a view of live rows, another owner than
 * its table has: the view would read the table with his rights.  A session that restores a
 * dump may do that, or one in which event triggers do not fire.
 */
static void
check_view_owner(AlterTableCmd *cmd, Oid relid)
{
	Oid table;

	if (cmd->subtype != AT_ChangeOwner || command_is_own() || !row_security ||
		!event_triggers_fire())
		return;
	table = table_of_view(relid);
	if (!OidIsValid(table) || tag_arguments(table) == NIL ||
		owner_of(relid) != owner_of(table) ||
		get_rolespec_oid(cmd->newowner, true) == owner_of(table))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot give view \"%s\" another owner than tagged table \"%s\"",
					qualified_name(relid), qualified_name(table)),
			 errdetail("It shows rows of the table, and has the owner of that."),
			 errhint("ALTER TABLE %s OWNER TO %s;", qualified_name(table),
					 quote_identifier(get_rolespec_name(cmd->newowner)))));
}

/*
 * Raise 55006 for a subcommand of ALTER TABLE after which a crash would empty a table
 * with held rows, or a companion with some.
 */
static void
check_unlogged(AlterTableCmd *cmd, Oid relid)
{
	if (cmd->subtype != AT_SetUnLogged)
		return;
	if (is_tagged(relid))
		refuse_if_held(relid, "stop logging");
	refuse_held_aside(relid, "stop logging the companion of");
}

/*
 * Raise 55006 for a DROP, or DROP OWNED BY, that would take along a table with held
 * rows.
 *
 * The tables are locked first, as the command will lock them: who places a hold has
 * locked all tables whose rows it is on.  The order in which a DROP comes across them
 * depends on that of rows in pg_depend, so the oldest one that is held is named.
 */
void
refuse_dropping_held(Node *command)
{
	List *tables;
	ListCell *lc;

	if (!OidIsValid(extension_oid()))
		return;
	tables = tables_dropped_by(command);
	foreach (lc, tables)
		LockRelationOid(lfirst_oid(lc), AccessExclusiveLock);
	list_sort(tables, list_oid_cmp);
	foreach (lc, tables)
	{
		Oid relid = lfirst_oid(lc);

		if (any_hold(SnapshotSelf) &&
			SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			refuse_if_held(relid, "drop");
	}
}

/*
 * Check the subcommands of an ALTER TABLE for a table: refuse those that change its
 * tombstone column, and in a session that restores a dump protect its holds.
 */
static void
check_column_commands(AlterTableStmt *stmt, Oid relid)
{
	List *arguments = in_place_arguments(relid);
	ListCell *lc;

	if (arguments == NIL)
		return;
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->name != NULL && strcmp(cmd->name, linitial(arguments)) == 0 &&
			!keeps_column(cmd, relid))
			refuse_column_command(cmd, relid);
		if (!row_security)
			protect_primary_key(cmd, relid);
	}
}

/*
 * Raise 55006 for a subcommand that drops or changes the primary key of a table with
 * holds, which are identified by it, in a session that restores a dump.  In other
 * sessions event triggers check that each held row can still be found.
 */
static void
protect_primary_key(AlterTableCmd *cmd, Oid relid)
{
	Oid constraint = InvalidOid;
	Bitmapset *columns = get_primary_key_attnos(relid, false, &constraint);
	AttrNumber attnum = cmd->name != NULL ? get_attnum(relid, cmd->name) : 0;
	bool is_key =
		attnum > 0 &&
		bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, columns);

	if (((cmd->subtype == AT_DropColumn || changes_column(cmd->subtype)) && is_key) ||
		(cmd->subtype == AT_DropConstraint && OidIsValid(constraint) &&
		 constraint == get_relation_constraint_oid(relid, cmd->name, true)))
		refuse_if_held(relid, "alter the primary key of");
}

/*
 * Raise 55006 if a table has holds; "action" completes "cannot ... table".
 */
static void
refuse_if_held(Oid relid, const char *action)
{
	Relation rel = table_open(relid, AccessShareLock);

	refuse_held_table(rel, action);
	table_close(rel, AccessShareLock);
}

/*
 * Does a subcommand preserve the type and the contents of a column, and keep it null in
 * live rows?
 */
static bool
keeps_column(AlterTableCmd *cmd, Oid relid)
{
	switch (cmd->subtype)
	{
		case AT_AlterColumnType:
			return keeps_type(castNode(ColumnDef, cmd->def), relid, cmd->name);
		case AT_ColumnDefault:
			return cmd->def == NULL;
		case AT_DropColumn:
		case AT_SetNotNull:
		case AT_AddIdentity:
		case AT_SetIdentity:
			return false;
		default:
			return !changes_column(cmd->subtype);
	}
}

/*
 * Does an ALTER COLUMN TYPE name the type that the column has, without USING?
 */
static bool
keeps_type(ColumnDef *def, Oid relid, const char *column)
{
	Oid type;
	int32 typmod;

	if (def->raw_default != NULL)
		return false;
	typenameTypeIdAndMod(NULL, def->typeName, &type, &typmod);
	return type == get_atttype(relid, get_attnum(relid, column)) && typmod == -1;
}

/*
 * Raise 2BP01 for a subcommand that drops the tombstone column, 0A000 for one that
 * changes it.  The event triggers raise the same errors.
 */
static void
refuse_column_command(AlterTableCmd *cmd, Oid relid)
{
	const char *name = qualified_name(relid);
	const char *root = qualified_name(llast_oid(with_ancestors(relid)));

	if (cmd->subtype == AT_DropColumn)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop tombstone column \"%s\" of tagged table \"%s\"",
						cmd->name, name),
				 errdetail("Without it deletes are not soft, or deleted rows are not to be told from live ones."),
				 errhint("SELECT soft_delete.untag(%s);", quote_literal_cstr(root))));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot alter tombstone column \"%s\" of tagged table \"%s\"",
					cmd->name, name),
			 errdetail("It must keep its type and its contents, and be null in every live row: it takes no USING, no NOT NULL, no default and no expression."),
			 errhint("SELECT soft_delete.untag(%s);", quote_literal_cstr(root))));
}

/*
 * Raise 2BP01 for DROP INDEX of the last index of a tagged table whose use loads the
 * library.  A session that restores a dump may drop it, as it drops the table, too.
 */
static void
check_dropped_index(Oid indexoid)
{
	Relation index;
	Oid relid;
	bool is_loading_index;

	if (!OidIsValid(indexoid) ||
		(get_rel_relkind(indexoid) != RELKIND_INDEX &&
		 get_rel_relkind(indexoid) != RELKIND_PARTITIONED_INDEX))
		return;
	index = index_open(indexoid, AccessShareLock);
	relid = index->rd_index->indrelid;
	is_loading_index = has_own_method(index) && index->rd_index->indisvalid;
	index_close(index, AccessShareLock);
	if (is_loading_index && in_place_arguments(relid) != NIL &&
		!is_maintenance(relid) && !has_other_loading_index(relid, indexoid))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop index \"%s\" of tagged table \"%s\"",
						get_rel_name(indexoid), get_rel_name(relid)),
				 errdetail("It finds deleted rows, and sessions that use it load the library, which hides them."),
				 errhint("SELECT soft_delete.untag(%s);",
						 quote_literal_cstr(qualified_name(relid)))));
}

/*
 * Does a table have another valid index whose use loads the library?
 */
static bool
has_other_loading_index(Oid relid, Oid indexoid)
{
	Relation rel = table_open(relid, AccessShareLock);
	bool found = false;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (lfirst_oid(lc) != indexoid && index->rd_index->indisvalid &&
			has_own_method(index))
			found = true;
		index_close(index, AccessShareLock);
	}
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Raise 55006 for DROP TRIGGER of a trigger of the tag of a table with holds, where event
 * triggers do not refuse it.  "name" is that of the table, followed by that of the
 * trigger.
 */
static void
check_dropped_trigger(List *name)
{
	List *table = list_copy_head(name, list_length(name) - 1);
	Oid relid = InvalidOid;

	if (table != NIL)
		relid = owned_relation(makeRangeVarFromNameList(table));
	if (loses_trigger(relid, strVal(llast(name))))
		refuse_if_held(relid, "drop a trigger of");
	protect_companion_trigger(relid, strVal(llast(name)), "drop");
}

/*
 * Raise 2BP01 for DROP TABLE of a month of a companion.  A session that restores a dump
 * may drop it, or one in which event triggers do not fire.
 */
static void
check_dropped_month(Oid relid)
{
	Oid table;

	if (!OidIsValid(relid) || command_is_own() || !row_security ||
		!event_triggers_fire())
		return;
	table = companions_table(relid);
	if (OidIsValid(table) && is_month(relid) && tag_arguments(table) != NIL)
		ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						errmsg("cannot drop table \"%s\", which has deleted rows of table \"%s\"",
							   qualified_name(relid), qualified_name(table)),
						errdetail("A purge drops it when they are due.")));
}

/*
 * Raise 2BP01 for a command that takes the trigger of a companion away, by which it is one:
 * statements could then write to it.  A session that restores a dump may drop it where no
 * rows are held, else that raises 55006.
 */
static void
protect_companion_trigger(Oid relid, const char *name, const char *action)
{
	Oid table;

	if (!OidIsValid(relid) || strcmp(name, COMPANION_TRIGGER_NAME) != 0 ||
		command_is_own())
		return;
	table = companions_table(relid);
	if (!OidIsValid(table) || !is_tagged(table))
		return;
	if (!row_security || !event_triggers_fire())
		refuse_held_aside(relid, "change the companion of");
	else
		ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						errmsg("cannot %s trigger \"%s\" of table \"%s\"",
							   action, name, qualified_name(relid)),
						errdetail("The table has the deleted rows of table \"%s\".",
								  qualified_name(table)),
						errhint("SELECT soft_delete.untag(%s);",
								quote_literal_cstr(qualified_name(table)))));
}

/*
 * Check a CREATE TRIGGER, for which a role needs only the privilege TRIGGER.
 *
 * Raises 42501 unless the current role owns the table, if the trigger calls a function
 * of the extension or replaces one that does; 42P17 if it would be the tag under another
 * name than the one by which the tag is protected; 55006 if it replaces a trigger of
 * the tag of a table with holds.
 */
static void
check_created_trigger(CreateTrigStmt *stmt)
{
	Oid relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	Oid function;

	if (!OidIsValid(relid) || !OidIsValid(extension_oid()))
		return;
	function = LookupFuncName(stmt->funcname, 0, NULL, true);
	if (!relation_ownercheck(relid, GetUserId()))
	{
		if ((OidIsValid(function) &&
			 is_extension_member(ProcedureRelationId, function)) ||
			(stmt->replace && trigger_calls_extension(relid, stmt->trigname)))
			aclcheck_error(ACLCHECK_NOT_OWNER,
						   get_relkind_objtype(get_rel_relkind(relid)),
						   get_rel_name(relid));
		return;
	}
	if (OidIsValid(function) && function == extension_function(TAG_TRIGGER) &&
		stmt->row && (stmt->timing & TRIGGER_TYPE_BEFORE) != 0 &&
		(stmt->events & TRIGGER_TYPE_DELETE) != 0 &&
		strcmp(stmt->trigname, TAG_NAME) != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						errmsg("the tag of a table cannot be called \"%s\"",
							   stmt->trigname),
						errdetail("It is the trigger \"%s\".", TAG_NAME),
						errhint("SELECT soft_delete.tag(%s);",
								quote_literal_cstr(qualified_name(relid)))));
	/* the table would be left without that trigger of its tag */
	if (stmt->replace && loses_trigger(relid, stmt->trigname))
		refuse_if_held(relid, "replace a trigger of");
	if (stmt->replace)
		protect_companion_trigger(relid, stmt->trigname, "replace");
}

/*
 * Return the statement to run for a GRANT: the command itself, or for ON ALL TABLES IN
 * SCHEMA a copy that names all relations of the schemas except bins and companions.  A
 * privilege on one of those must be granted by name.  To what it has sharded Citus passes
 * the command on.
 */
PlannedStmt *
exclude_bins(PlannedStmt *pstmt)
{
	GrantStmt *stmt = castNode(GrantStmt, pstmt->utilityStmt);
	List *others = NIL;
	bool has_bins = false;
	Relation classes;
	SysScanDesc scan;
	HeapTuple tuple;

	if (!stmt->is_grant || stmt->objtype != OBJECT_TABLE ||
		stmt->targtype != ACL_TARGET_ALL_IN_SCHEMA || !OidIsValid(extension_oid()))
		return pstmt;
	classes = table_open(RelationRelationId, AccessShareLock);
	scan = systable_beginscan(classes, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);
		char *schema = get_namespace_name(class->relnamespace);

		if (strchr("rvmfp", class->relkind) == NULL || schema == NULL ||
			!list_member(stmt->objects, makeString(schema)))
			continue;
		if (class->relhastriggers &&
			(trigger_calls_extension(class->oid, class->relkind == RELKIND_VIEW
													 ? "soft_delete_statement"
													 : COMPANION_TRIGGER_NAME) ||
			 has_trigger_of(class->oid, SHARD_BIN_TRIGGER)))
			has_bins = true;
		else if (!is_shard(class->oid))
			others =
				lappend(others,
						makeRangeVar(schema, pstrdup(NameStr(class->relname)), -1));
	}
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	if (!has_bins)
		return pstmt;

	pstmt = copyObject(pstmt);
	stmt = castNode(GrantStmt, pstmt->utilityStmt);
	stmt->targtype = ACL_TARGET_OBJECT;
	stmt->objects = others;
	return pstmt;
}

/*
 * Is a relation a shard of Citus?
 */
static bool
is_shard(Oid relid)
{
	return has_citus() &&
		   DatumGetBool(
			   OidFunctionCall1(LookupFuncName(list_make2(makeString("pg_catalog"),
														  makeString("relation_is_a_known_shard")),
											   1, (Oid[]){REGCLASSOID}, false),
								ObjectIdGetDatum(relid)));
}

/*
 * Does the trigger of that name of a relation call a function of the extension?
 */
static bool
trigger_calls_extension(Oid relid, const char *name)
{
	CatalogScan scan = begin_trigger_scan(relid);
	HeapTuple tuple;
	bool found = false;

	while (!found && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		found = strcmp(NameStr(trigger->tgname), name) == 0 &&
				is_extension_member(ProcedureRelationId, trigger->tgfoid);
	}
	end_catalog_scan(&scan);
	return found;
}

/*
 * Is this the name of an existing trigger of the tag of a table, in a session in which
 * event triggers do not refuse to drop or replace it: where they do not fire, which
 * only a superuser can bring about, or where a dump is restored?
 */
static bool
loses_trigger(Oid relid, const char *name)
{
	return OidIsValid(relid) && !(row_security && event_triggers_fire()) &&
		   (strcmp(name, TAG_NAME) == 0 || strcmp(name, "~soft_delete_key") == 0 ||
			strcmp(name, "~soft_delete_truncate") == 0) &&
		   tag_arguments(relid) != NIL &&
		   OidIsValid(get_trigger_oid(relid, name, true));
}

/*
 * Raise 55006 for TRUNCATE of a table with holds, or of its companion, in a session in which
 * the trigger that checks this does not fire.
 */
static void
check_truncated_table(Oid relid)
{
	ListCell *lc;

	if (!OidIsValid(relid))
		return;
	LockRelationOid(relid, AccessExclusiveLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return; /* dropped meanwhile: the server will raise the error */
	foreach (lc, find_all_inheritors(relid, AccessExclusiveLock, NULL))
	{
		Relation rel = table_open(lfirst_oid(lc), NoLock);

		refuse_held_aside(RelationGetRelid(rel), "change deleted rows of");
		if (tombstone_attribute(rel) != InvalidAttrNumber)
			refuse_held_table(rel, "truncate");
		else if (has_tag(rel))
			refuse_held_live(rel, "truncate");
		table_close(rel, NoLock);
	}
}

/*
 * Raise 0A000 for RENAME COLUMN from or to the name of the tombstone column, in a
 * session in which the event trigger that changes the tag accordingly does not fire.
 */
static void
check_renamed_column(RenameStmt *stmt)
{
	Oid relid = event_triggers_fire() ? InvalidOid : owned_relation(stmt->relation);
	List *arguments = in_place_arguments(relid);

	if (arguments != NIL && (strcmp(stmt->subname, linitial(arguments)) == 0 ||
							 strcmp(stmt->newname, linitial(arguments)) == 0))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rename tombstone column \"%s\" of tagged table \"%s\" where event triggers do not fire",
						(char *) linitial(arguments), get_rel_name(relid)),
				 errdetail("The tag would not refer to the renamed column."),
				 errhint("SET session_replication_role = origin;")));
}

/*
 * Raise 0A000 for ALTER INDEX or ALTER TRIGGER ... DEPENDS ON EXTENSION of an index or
 * trigger of a tag: it would be dropped with the other extension.
 */
static void
check_dependence(AlterObjectDependsStmt *stmt)
{
	Oid relid = stmt->relation ? owned_relation(stmt->relation) : InvalidOid;
	bool is_of_tag = false;

	if (stmt->remove || !OidIsValid(relid))
		return;
	if (stmt->objectType == OBJECT_TRIGGER)
	{
		const char *name = strVal(llast(castNode(List, stmt->object)));

		is_of_tag = strncmp(name, "~soft_delete", strlen("~soft_delete")) == 0;
	}
	else if (stmt->objectType == OBJECT_INDEX && get_rel_relkind(relid) == RELKIND_INDEX)
	{
		Relation index = index_open(relid, AccessShareLock);

		is_of_tag = has_own_method(index);
		relid = index->rd_index->indrelid;
		index_close(index, AccessShareLock);
	}
	if (is_of_tag && tag_arguments(relid) != NIL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("indexes and triggers of the tag of table \"%s\" cannot depend on another extension",
							   get_rel_name(relid))));
}

/*
 * Do the event triggers of the extension fire in this session?
 */
bool
event_triggers_fire(void)
{
	const char *setting = GetConfigOption("event_triggers", true, false);

	return IsUnderPostmaster &&
		   SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA &&
		   (setting == NULL || strcmp(setting, "off") != 0);
}

/*
 * Return the OID of a relation if the current role owns it, else InvalidOid: then the
 * server will raise the error.
 */
static Oid
owned_relation(RangeVar *name)
{
	Oid relid = RangeVarGetRelid(name, NoLock, true);

	return OidIsValid(relid) && relation_ownercheck(relid, GetUserId())
			   ? relid
			   : InvalidOid;
}
