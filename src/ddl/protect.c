/*
 * protect.c
 *	  Refuses commands that would show deleted rows again, or free what is held.
 *
 * Event triggers (sql/tag.sql) say what is wrong with such a command too, but do
 * not fire where session_replication_role is "replica" or event_triggers is off,
 * and see nothing wrong in ALTER COLUMN TYPE with USING, which leaves the column
 * with the type that it had.  What is refused here is refused in every session
 * that has loaded the library.
 *
 * Invariant: no command changes the tombstone column of a tagged table, or its
 * contents, and none drops the index whose use loads the library.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
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
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "ddl/sd_ddl.h"

static void check_altered_table(AlterTableStmt *stmt);
static void check_typed_tables(AlterTableStmt *stmt, Oid type);
static void check_column_commands(AlterTableStmt *stmt, Oid relid);
static void protect_held_keys(AlterTableCmd *cmd, Oid relid);
static bool is_harmless(AlterTableCmd *cmd, Oid relid);
static bool keeps_type(ColumnDef *def, Oid relid, const char *column);
static void refuse_altered(AlterTableCmd *cmd, Oid relid);
static void check_dropped_index(Oid indexoid);
static bool has_other_guard_index(Oid relid, Oid indexoid);
static void check_dropped_trigger(List *name);
static void check_created_trigger(CreateTrigStmt *stmt);
static bool is_own_trigger(Oid relid, const char *name);
static void check_replaced_trigger(Oid relid, const char *name);
static bool loses_trigger(Oid relid, const char *name);
static void check_truncated(Oid relid);
static void check_renamed_column(RenameStmt *stmt);
static void check_dependence(AlterObjectDependsStmt *stmt);
static Oid owned_relation(RangeVar *name);

/*
 * Raise 0A000, 2BP01 or 55006 if a utility command would show deleted rows again
 * or free what is held.
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
			foreach (lc, ((DropStmt *) command)->objects)
			{
				if (((DropStmt *) command)->removeType == OBJECT_INDEX)
					check_dropped_index(
						owned_relation(makeRangeVarFromNameList(lfirst(lc))));
				else if (((DropStmt *) command)->removeType == OBJECT_TRIGGER)
					check_dropped_trigger(lfirst(lc));
			}
			break;
		case T_TruncateStmt:
			if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
				foreach (lc, ((TruncateStmt *) command)->relations)
					check_truncated(owned_relation(lfirst_node(RangeVar, lc)));
			break;
		case T_CreateTrigStmt:
			check_created_trigger((CreateTrigStmt *) command);
			break;
		case T_RenameStmt:
			if (((RenameStmt *) command)->renameType == OBJECT_COLUMN)
				check_renamed_column((RenameStmt *) command);
			break;
		case T_AlterObjectDependsStmt:
			check_dependence((AlterObjectDependsStmt *) command);
			break;
		default:
			break;
	}
}

/*
 * ALTER TABLE, and ALTER TYPE of the type that a table is of.
 */
static void
check_altered_table(AlterTableStmt *stmt)
{
	Oid relid = owned_relation(stmt->relation);

	if (!OidIsValid(relid) || !OidIsValid(extension_function(TAG_TRIGGER)))
		return;
	if (stmt->objtype == OBJECT_TYPE)
		check_typed_tables(stmt, get_rel_type_id(relid));
	else if (stmt->objtype == OBJECT_TABLE)
		check_column_commands(stmt, relid);
}

/*
 * Check the commands for each table of a type.
 */
static void
check_typed_tables(AlterTableStmt *stmt, Oid type)
{
	Relation classes = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_class_reloftype, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type));
	scan = systable_beginscan(classes, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		check_column_commands(stmt, ((Form_pg_class) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
}

/*
 * Refuse what would change the tombstone column of a table.
 */
static void
check_column_commands(AlterTableStmt *stmt, Oid relid)
{
	List *arguments = tag_arguments(relid);
	ListCell *lc;

	if (arguments == NIL)
		return;
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->name != NULL && strcmp(cmd->name, linitial(arguments)) == 0 &&
			!is_harmless(cmd, relid))
			refuse_altered(cmd, relid);
		if (!row_security)
			protect_held_keys(cmd, relid);
	}
}

/*
 * See to held rows of a table whose primary key, by which they are known, goes or
 * changes in a session that restores a dump; in others event triggers look whether
 * each is found.  pg_restore --clean drops constraints before their table: the holds
 * are lifted with a record, as DROP TABLE does.  Nothing in a dump changes a type.
 */
static void
protect_held_keys(AlterTableCmd *cmd, Oid relid)
{
	Oid constraint = InvalidOid;
	Bitmapset *columns = get_primary_key_attnos(relid, false, &constraint);
	AttrNumber attnum = cmd->name != NULL ? get_attnum(relid, cmd->name) : 0;
	bool is_key =
		attnum > 0 &&
		bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, columns);
	ListCell *lc;

	if ((cmd->subtype == AT_DropColumn && is_key) ||
		(cmd->subtype == AT_DropConstraint && OidIsValid(constraint) &&
		 constraint == get_relation_constraint_oid(relid, cmd->name, true)))
	{
		foreach (lc, find_all_inheritors(relid, AccessShareLock, NULL))
			lift_all_holds(lfirst_oid(lc), qualified_name(lfirst_oid(lc)));
	}
	else if (changes_column(cmd->subtype) && is_key)
	{
		Relation rel = table_open(relid, AccessShareLock);

		refuse_held_table(rel, "alter the primary key of");
		table_close(rel, AccessShareLock);
	}
}

/*
 * Does a command leave a column what it is, and its contents?
 */
static bool
is_harmless(AlterTableCmd *cmd, Oid relid)
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
 * Does ALTER COLUMN TYPE name the type that the column has, and nothing else?
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
 * Refuse a command, as the event triggers do.
 */
static void
refuse_altered(AlterTableCmd *cmd, Oid relid)
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
 * DROP INDEX: refuse to drop the index whose use loads the library from a tagged
 * table, unless it has another one.  What restores a dump drops all of it.
 */
static void
check_dropped_index(Oid indexoid)
{
	Relation index;
	Oid relid;
	bool is_guard;

	if (!OidIsValid(indexoid) ||
		(get_rel_relkind(indexoid) != RELKIND_INDEX &&
		 get_rel_relkind(indexoid) != RELKIND_PARTITIONED_INDEX))
		return;
	index = index_open(indexoid, AccessShareLock);
	relid = index->rd_index->indrelid;
	is_guard = has_own_method(index) && index->rd_index->indisvalid;
	index_close(index, AccessShareLock);
	if (is_guard && tag_arguments(relid) != NIL && !is_maintenance(relid) &&
		!has_other_guard_index(relid, indexoid))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop index \"%s\" of tagged table \"%s\"",
						get_rel_name(indexoid), get_rel_name(relid)),
				 errdetail("It finds deleted rows, and sessions that use it load the library, which hides them."),
				 errhint("SELECT soft_delete.untag(%s);",
						 quote_literal_cstr(qualified_name(relid)))));
}

/*
 * Has a table another index like that?
 */
static bool
has_other_guard_index(Oid relid, Oid indexoid)
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
 * DROP TRIGGER: its name is that of the table and its own.  pg_restore --clean
 * drops them before the table: the holds are lifted with a record, as DROP TABLE
 * does.
 */
static void
check_dropped_trigger(List *name)
{
	List *table = list_copy_head(name, list_length(name) - 1);
	Oid relid = InvalidOid;
	ListCell *lc;

	if (table != NIL)
		relid = owned_relation(makeRangeVarFromNameList(table));
	if (!loses_trigger(relid, strVal(llast(name))))
		return;
	foreach (lc, find_all_inheritors(relid, AccessShareLock, NULL))
		lift_all_holds(lfirst_oid(lc), qualified_name(lfirst_oid(lc)));
}

/*
 * CREATE TRIGGER, which takes the privilege TRIGGER: only the owner of a table makes
 * or replaces what the tag consists of, and the tag has one name, by which it is
 * protected.
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
			(stmt->replace && is_own_trigger(relid, stmt->trigname)))
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
	if (stmt->replace)
		check_replaced_trigger(relid, stmt->trigname);
}

/*
 * Return the statement to run in place of a GRANT: itself, or one that names all
 * relations of a schema but its bins.  A bin is private until it is granted by name.
 */
PlannedStmt *
spare_bins(PlannedStmt *pstmt)
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
		if (class->relkind == RELKIND_VIEW && class->relhastriggers &&
			is_own_trigger(class->oid, "soft_delete_statement"))
			has_bins = true;
		else
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
 * Does a trigger of a relation call a function of the extension?
 */
static bool
is_own_trigger(Oid relid, const char *name)
{
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	bool is_own = false;

	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(name));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 2, keys);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		is_own = is_extension_member(ProcedureRelationId,
									 ((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid);
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return is_own;
}

/*
 * CREATE OR REPLACE TRIGGER, by which the table would stay without its tag.
 */
static void
check_replaced_trigger(Oid relid, const char *name)
{
	Relation rel;

	if (!loses_trigger(relid, name))
		return;
	rel = table_open(relid, AccessShareLock);
	refuse_held_table(rel, "replace a trigger of");
	table_close(rel, AccessShareLock);
}

/*
 * Check whether a table would lose a trigger of its tag, where event triggers do
 * not refuse that for every table: in a session that they do not fire in, which
 * takes a superuser, and in one that restores a dump.
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
 * TRUNCATE where the trigger that looks for holds does not fire.
 */
static void
check_truncated(Oid relid)
{
	ListCell *lc;

	if (!OidIsValid(relid))
		return;
	LockRelationOid(relid, AccessExclusiveLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return; /* dropped meanwhile: the command itself will complain */
	foreach (lc, find_all_inheritors(relid, AccessExclusiveLock, NULL))
	{
		Relation rel = table_open(lfirst_oid(lc), NoLock);

		if (tombstone_attribute(rel) != InvalidAttrNumber)
			refuse_held_table(rel, "truncate");
		table_close(rel, NoLock);
	}
}

/*
 * RENAME COLUMN: the tag follows by an event trigger.  Where that does not fire,
 * neither the tombstone column is renamed nor another one to its name.
 */
static void
check_renamed_column(RenameStmt *stmt)
{
	Oid relid = event_triggers_fire() ? InvalidOid : owned_relation(stmt->relation);
	List *arguments = tag_arguments(relid);

	if (arguments != NIL && (strcmp(stmt->subname, linitial(arguments)) == 0 ||
							 strcmp(stmt->newname, linitial(arguments)) == 0))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot rename tombstone column \"%s\" of tagged table \"%s\" where event triggers do not fire",
							   (char *) linitial(arguments), get_rel_name(relid)),
						errdetail("The tag would not follow."),
						errhint("SET session_replication_role = origin;")));
}

/*
 * ALTER INDEX and ALTER TRIGGER ... DEPENDS ON EXTENSION: what makes a table
 * tagged does not go with another extension.
 */
static void
check_dependence(AlterObjectDependsStmt *stmt)
{
	Oid relid = stmt->relation ? owned_relation(stmt->relation) : InvalidOid;
	bool is_ours = false;

	if (stmt->remove || !OidIsValid(relid))
		return;
	if (stmt->objectType == OBJECT_TRIGGER)
	{
		const char *name = strVal(llast(castNode(List, stmt->object)));

		is_ours = strncmp(name, "~soft_delete", strlen("~soft_delete")) == 0;
	}
	else if (stmt->objectType == OBJECT_INDEX && get_rel_relkind(relid) == RELKIND_INDEX)
	{
		Relation index = index_open(relid, AccessShareLock);

		is_ours = has_own_method(index);
		relid = index->rd_index->indrelid;
		index_close(index, AccessShareLock);
	}
	if (is_ours && tag_arguments(relid) != NIL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("what makes table \"%s\" a tagged one cannot depend on another extension",
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
 * Return the OID of a relation that the current role may alter, or InvalidOid:
 * of others the server complains.
 */
static Oid
owned_relation(RangeVar *name)
{
	Oid relid = RangeVarGetRelid(name, NoLock, true);

	return OidIsValid(relid) && relation_ownercheck(relid, GetUserId())
			   ? relid
			   : InvalidOid;
}
