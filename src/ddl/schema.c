/*
 * schema.c
 *	  Does what SQL cannot do for tagged schemas (sql/ddl_schemas.sql) and for partitions
 *	  that are attached and detached (sql/ddl_partitions.sql).
 *
 * A table that is going to become a partition is prepared by the hook for utility
 * commands, since ALTER TABLE would fail before an event trigger fires.  Event triggers
 * get a command as an opaque value of type pg_ddl_command, which functions here
 * decode.  And tag_schema() needs a lock on a schema that no SQL statement takes.  A table
 * that Citus distributes as it is created is tagged after that, when event triggers have
 * fired.
 * What is done with tables and schemas is decided in SQL.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "storage/lmgr.h"
#include "tcop/deparse_utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"

#include "ddl/sd_ddl.h"

/* The subcommands of ALTER TABLE that attach or detach, by the names for named_by() */
static const struct
{
	const char *name;
	AlterTableType type;
} named_actions[] = {
	{"ATTACH PARTITION", AT_AttachPartition},
	{"DETACH PARTITION", AT_DetachPartition},
	{"DETACH PARTITION", AT_DetachPartitionFinalize},
	{"INHERIT", AT_AddInherit},
	{"NO INHERIT", AT_DropInherit},
};

PG_FUNCTION_INFO_V1(soft_delete_named_by);
PG_FUNCTION_INFO_V1(soft_delete_changes_schema);
PG_FUNCTION_INFO_V1(soft_delete_renamed_from);
PG_FUNCTION_INFO_V1(soft_delete_renamed_label);
PG_FUNCTION_INFO_V1(soft_delete_using_expression);
PG_FUNCTION_INFO_V1(soft_delete_adds_foreign_keys);
PG_FUNCTION_INFO_V1(soft_delete_disables_triggers);
PG_FUNCTION_INFO_V1(soft_delete_lock_schema);
PG_FUNCTION_INFO_V1(soft_delete_current_tagged_schemas);

static void prepare_partition(Oid parent, Oid partition);
static bool is_table(Oid relid);
static bool is_action(AlterTableType type, const char *name);
static bool names_dropped_column(Node *expression, Oid relid);

/*
 * Before an ALTER TABLE runs, prepare each table that becomes a partition or
 * inheritance child: the server requires that it has the columns and CHECK constraints
 * of its parent, and users do not know of the tombstone column and the stand-ins.
 */
void
prepare_partitions(AlterTableStmt *stmt)
{
	ListCell *lc;

	if (stmt->objtype != OBJECT_TABLE)
		return;
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		RangeVar *other;
		Oid altered_relid, other_relid;

		if (cmd->subtype == AT_AttachPartition)
			other = castNode(PartitionCmd, cmd->def)->name;
		else if (cmd->subtype == AT_AddInherit)
			other = castNode(RangeVar, cmd->def);
		else
			continue;

		/* as the server does it: a role without privileges gets no lock */
		altered_relid =
			AlterTableLookupRelation(stmt, AlterTableGetLockLevel(stmt->cmds));
		other_relid = RangeVarGetRelid(other, AccessShareLock, true);
		if (cmd->subtype == AT_AttachPartition)
			prepare_partition(altered_relid, other_relid);
		else
			prepare_partition(other_relid, altered_relid);
	}
}

/*
 * Add to a table that becomes a partition or inheritance child what the tag of its
 * parent has added to the parent, or remove its own tag.  If one of them does not exist
 * or is not a table, ALTER TABLE will raise the error.
 */
static void
prepare_partition(Oid parent, Oid partition)
{
	if (!is_table(parent) || !is_table(partition) ||
		(!is_tagged(parent) && !is_tagged(partition)))
		return;

	call_internal("prepare_partition", 2, (Oid[]){REGCLASSOID, REGCLASSOID},
				  (Datum[]){ObjectIdGetDatum(parent), ObjectIdGetDatum(partition)});
}

/*
 * Is it a table?  Partitioned and foreign tables are.
 */
static bool
is_table(Oid relid)
{
	char kind = get_rel_relkind(relid);

	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
		   kind == RELKIND_FOREIGN_TABLE;
}

/*
 * soft_delete_internal.named_by(command pg_ddl_command, action text) returns name[]
 *
 * Returns the names of the tables that an ALTER TABLE has attached or detached, or
 * that its table has begun or ceased to inherit from; action: which of these, such as
 * 'ATTACH PARTITION'.  The names are not qualified: the search path has changed since
 * the command was parsed, and not all server versions collect the OIDs.
 */
Datum
soft_delete_named_by(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	char *action = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Datum *names;
	int n = 0;
	ListCell *lc;

	if (command->type != SCT_AlterTable)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(NAMEOID));

	names =
		palloc((list_length(command->d.alterTable.subcmds) + 1) * sizeof(Datum));
	foreach (lc, command->d.alterTable.subcmds)
	{
		CollectedATSubcmd *subcommand = lfirst(lc);
		AlterTableCmd *cmd = castNode(AlterTableCmd, subcommand->parsetree);
		RangeVar *table;

		if (!is_action(cmd->subtype, action))
			continue;
		table = IsA(cmd->def, PartitionCmd) ? castNode(PartitionCmd, cmd->def)->name
											: castNode(RangeVar, cmd->def);
		names[n++] = DirectFunctionCall1(namein, CStringGetDatum(table->relname));
	}
	PG_RETURN_ARRAYTYPE_P(
		construct_array(names, n, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}

/*
 * Does a subcommand of ALTER TABLE have that name?
 */
static bool
is_action(AlterTableType type, const char *name)
{
	for (int i = 0; i < lengthof(named_actions); i++)
	{
		if (named_actions[i].type == type && strcmp(named_actions[i].name, name) == 0)
			return true;
	}
	return false;
}

/*
 * soft_delete_internal.changes_schema(command pg_ddl_command) returns boolean
 *
 * Returns whether a command is ALTER ... SET SCHEMA.
 */
Datum
soft_delete_changes_schema(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);

	PG_RETURN_BOOL(command->type == SCT_Simple && command->parsetree != NULL &&
				   IsA(command->parsetree, AlterObjectSchemaStmt));
}

/*
 * soft_delete_internal.renamed_from(command pg_ddl_command) returns name
 *
 * Returns the name that a schema, a relation, a column or a constraint had
 * before an ALTER ... RENAME, or null if the command is another one.
 */
Datum
soft_delete_renamed_from(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	RenameStmt *stmt;

	if (command->type != SCT_Simple || command->parsetree == NULL ||
		!IsA(command->parsetree, RenameStmt))
		PG_RETURN_NULL();

	stmt = castNode(RenameStmt, command->parsetree);
	if (stmt->subname != NULL)
		return DirectFunctionCall1(namein, CStringGetDatum(stmt->subname));
	if (stmt->relation != NULL)
		return DirectFunctionCall1(namein, CStringGetDatum(stmt->relation->relname));
	PG_RETURN_NULL();
}

/*
 * soft_delete_internal.renamed_label(command pg_ddl_command) returns text[]
 *
 * Returns the label that a value of an enum had before an ALTER TYPE ... RENAME VALUE, and
 * the one that it has now, or null if the command is another one.
 */
Datum
soft_delete_renamed_label(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	AlterEnumStmt *stmt = (AlterEnumStmt *) command->parsetree;
	Datum labels[2];

	if (command->type != SCT_Simple || stmt == NULL ||
		!IsA(stmt, AlterEnumStmt) || stmt->oldVal == NULL)
		PG_RETURN_NULL();
	labels[0] = CStringGetTextDatum(stmt->oldVal);
	labels[1] = CStringGetTextDatum(stmt->newVal);
	PG_RETURN_ARRAYTYPE_P(
		construct_array(labels, 2, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * soft_delete_internal.disables_triggers(command pg_ddl_command) returns boolean
 *
 * Returns whether a command is ALTER TABLE ... DISABLE TRIGGER, or ENABLE REPLICA
 * TRIGGER, after which one does not fire in ordinary sessions.
 */
Datum
soft_delete_disables_triggers(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	ListCell *lc;

	if (command->type != SCT_AlterTable)
		PG_RETURN_BOOL(false);
	foreach (lc, command->d.alterTable.subcmds)
	{
		CollectedATSubcmd *collected = lfirst(lc);

		switch (castNode(AlterTableCmd, collected->parsetree)->subtype)
		{
			case AT_DisableTrig:
			case AT_DisableTrigAll:
			case AT_DisableTrigUser:
			case AT_EnableReplicaTrig:
				PG_RETURN_BOOL(true);
			default:
				break;
		}
	}
	PG_RETURN_BOOL(false);
}

/*
 * soft_delete_internal.using_expression(command pg_ddl_command, relation regclass,
 * attnum smallint) returns text
 *
 * Returns the expression by which an ALTER TABLE computes a column of a table anew, as it
 * was parsed for that table: ALTER COLUMN ... TYPE ... USING.  Its names are qualified
 * where the current search_path does not find them.  Returns null if the command has none,
 * or if it names a column that the command drops, too.
 */
Datum
soft_delete_using_expression(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	Oid relid = PG_GETARG_OID(1);
	AttrNumber attnum = PG_GETARG_INT16(2);
	Node *expression = NULL;
	ListCell *lc;

	if (command->type != SCT_AlterTable)
		PG_RETURN_NULL();
	foreach (lc, command->d.alterTable.subcmds)
	{
		CollectedATSubcmd *collected = lfirst(lc);
		AlterTableCmd *cmd = castNode(AlterTableCmd, collected->parsetree);

		if (cmd->subtype == AT_AlterColumnType && collected->address.objectId == relid &&
			collected->address.objectSubId == attnum)
			expression = castNode(ColumnDef, cmd->def)->cooked_default;
	}
	if (expression == NULL || names_dropped_column(expression, relid))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(
		deparse_expression(expression, deparse_context_for(get_rel_name(relid), relid),
						   false, false)));
}

/*
 * Does an expression about the columns of a table name one that is dropped, or the row as a
 * whole?
 */
static bool
names_dropped_column(Node *expression, Oid relid)
{
	Bitmapset *attnums = NULL;
	int i = -1;

	pull_varattnos(expression, 1, &attnums);
	while ((i = bms_next_member(attnums, i)) >= 0)
	{
		if (!OidIsValid(get_atttype(relid, i + FirstLowInvalidHeapAttributeNumber)))
			return true;
	}
	return false;
}

/*
 * After a command has created a table, tag it if Citus has distributed it meanwhile, as it
 * does in the schema of a tenant, and if its schema is tagged.  A partition that it has
 * distributed gets the trigger that a tagged table does not pass on to it.
 */
void
tag_distributed(Node *command)
{
	RangeVar *name = IsA(command, CreateStmt) ? ((CreateStmt *) command)->relation
					 : IsA(command, CreateTableAsStmt)
						 ? ((CreateTableAsStmt *) command)->into->rel
						 : NULL;
	Oid relid;

	if (name == NULL || command_is_own() || creating_extension || IsBinaryUpgrade ||
		!OidIsValid(extension_function(SHARD_TRIGGER)) || !has_citus())
		return;
	relid = RangeVarGetRelid(name, NoLock, true);
	if (OidIsValid(relid))
		call_internal("tag_new_sharded", 1, (Oid[]){REGCLASSOID},
					  (Datum[]){ObjectIdGetDatum(relid)});
}

/*
 * soft_delete_internal.adds_foreign_keys(command pg_ddl_command) returns boolean
 *
 * Returns whether a command is an ALTER TABLE that adds foreign keys, and does nothing else.
 */
Datum
soft_delete_adds_foreign_keys(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	ListCell *lc;

	if (command->type != SCT_AlterTable || command->d.alterTable.subcmds == NIL)
		PG_RETURN_BOOL(false);
	foreach (lc, command->d.alterTable.subcmds)
	{
		CollectedATSubcmd *subcommand = lfirst(lc);
		AlterTableCmd *cmd = castNode(AlterTableCmd, subcommand->parsetree);

		if (!adds_constraint(cmd->subtype) || cmd->def == NULL ||
			!IsA(cmd->def, Constraint) ||
			((Constraint *) cmd->def)->contype != CONSTR_FOREIGN)
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

/*
 * soft_delete_internal.lock_schema(schema name) returns void
 *
 * Locks a schema in AccessExclusiveLock mode: waits for the transactions that have
 * created an object in it, and makes others wait until this one ends.  CREATE TABLE
 * takes AccessShareLock on its schema, and the only SQL statement that conflicts with
 * that is DROP SCHEMA.
 *
 * Raises 3F000 if the schema does not exist or is renamed meanwhile, 42501 unless the
 * caller owns it.
 */
Datum
soft_delete_lock_schema(PG_FUNCTION_ARGS)
{
	char *name = NameStr(*PG_GETARG_NAME(0));
	Oid schema = get_namespace_oid(name, false);

	if (!schema_ownercheck(schema, calling_role()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_SCHEMA, name);
	LockDatabaseObject(NamespaceRelationId, schema, 0, AccessExclusiveLock);

	/* while this waited, it may have been dropped or renamed */
	if (get_namespace_oid(name, false) != schema)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_SCHEMA),
						errmsg("schema \"%s\" was renamed concurrently", name)));
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.current_tagged_schemas() returns soft_delete_internal.tagged_schemas[]
 *
 * Returns the schemas that are tagged now, or null if there are none.  Committed rows
 * count even if the snapshot of the transaction does not see them, because such a
 * transaction can create tables, too.  Each DDL command asks several times, so the
 * table is read without a query, and without row security.
 */
Datum
soft_delete_current_tagged_schemas(PG_FUNCTION_ARGS)
{
	Relation rel = table_open(extension_relation("tagged_schemas"), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = begin_table_scan(rel, snapshot);
	ArrayBuildState *schemas = NULL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
		schemas =
			accumArrayResult(schemas,
							 heap_copy_tuple_as_datum(tuple, RelationGetDescr(rel)),
							 false, rel->rd_rel->reltype, CurrentMemoryContext);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);

	if (schemas == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(makeArrayResult(schemas, CurrentMemoryContext));
}
