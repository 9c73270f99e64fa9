/*
 * schema.c
 *	  What SQL cannot do for the tags of whole schemas (sql/schema.sql) and of
 *	  partitions that come and go (sql/partitions.sql).
 *
 * ALTER TABLE would fail before an event trigger sees it, so what becomes a
 * partition is prepared by the hook for utility commands.  Event triggers see
 * the commands that were run as opaque values of type pg_ddl_command, which
 * functions here read.  And tag_schema() keeps tables from being created by a
 * lock that no statement takes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "tcop/deparse_utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "ddl/sd_ddl.h"

/* The subcommands of ALTER TABLE that make a table part of another, or end that */
static const struct
{
	const char *name;
	AlterTableType type;
} actions[] = {
	{"ATTACH PARTITION", AT_AttachPartition},
	{"DETACH PARTITION", AT_DetachPartition},
	{"DETACH PARTITION", AT_DetachPartitionFinalize},
	{"INHERIT", AT_AddInherit},
	{"NO INHERIT", AT_DropInherit},
};

PG_FUNCTION_INFO_V1(soft_delete_named_by);
PG_FUNCTION_INFO_V1(soft_delete_changes_schema);
PG_FUNCTION_INFO_V1(soft_delete_renamed_from);
PG_FUNCTION_INFO_V1(soft_delete_lock_schema);
PG_FUNCTION_INFO_V1(soft_delete_current_tagged_schemas);

static void prepare_partition(Oid parent, Oid partition);
static bool is_table(Oid relid);
static bool is_action(AlterTableType type, const char *name);

/*
 * See to it, before an ALTER TABLE runs, that a table which becomes a partition
 * or inheritance child has the columns and the CHECK constraints of its parent:
 * nobody knows of the tombstone column and the stand-ins among them.
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
		Oid altered, other_relid;

		if (cmd->subtype == AT_AttachPartition)
			other = castNode(PartitionCmd, cmd->def)->name;
		else if (cmd->subtype == AT_AddInherit)
			other = castNode(RangeVar, cmd->def);
		else
			continue;

		/* as the server does it: no lock for who has no right to it */
		altered =
			AlterTableLookupRelation(stmt, AlterTableGetLockLevel(stmt->cmds));
		other_relid = RangeVarGetRelid(other, AccessShareLock, true);
		if (cmd->subtype == AT_AttachPartition)
			prepare_partition(altered, other_relid);
		else
			prepare_partition(other_relid, altered);
	}
}

/*
 * Give a table that is to become a partition or inheritance child what its
 * parent's tag has added, or take away its own.  Where there is no such table,
 * or one is none, ALTER TABLE will complain.
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
 * Is there such a table, foreign ones included?
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
 * Returns the names of the tables that an ALTER TABLE attached, detached,
 * inherits from now, or does not any more: names only, for the search path is
 * another by now, and not all versions collect what they stood for.
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
 * Is that the name of the subcommand?
 */
static bool
is_action(AlterTableType type, const char *name)
{
	for (int i = 0; i < lengthof(actions); i++)
	{
		if (actions[i].type == type && strcmp(actions[i].name, name) == 0)
			return true;
	}
	return false;
}

/*
 * soft_delete_internal.changes_schema(command pg_ddl_command) returns boolean
 *
 * Tells whether a command is ALTER ... SET SCHEMA.
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
 * before ALTER ... RENAME, or NULL if the command is none.
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
 * soft_delete_internal.lock_schema(schema name) returns void
 *
 * Waits for the transactions that have created something in the schema, and
 * lets nobody else do so until this one ends: who creates a table holds a lock
 * on its schema, which no SQL statement conflicts with but DROP SCHEMA.
 *
 * Raises 3F000 if there is no such schema, 42501 unless the caller owns it.
 */
Datum
soft_delete_lock_schema(PG_FUNCTION_ARGS)
{
	char *name = NameStr(*PG_GETARG_NAME(0));
	Oid schema = get_namespace_oid(name, false);

	if (!schema_ownercheck(schema, calling_role()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_SCHEMA, name);
	LockDatabaseObject(NamespaceRelationId, schema, 0, AccessExclusiveLock);

	/* it may have been dropped or renamed meanwhile */
	if (get_namespace_oid(name, false) != schema)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_SCHEMA),
						errmsg("schema \"%s\" was renamed concurrently", name)));
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.current_tagged_schemas() returns soft_delete_internal.tagged_schemas[]
 *
 * Returns which schemas are tagged as of now, or NULL if none is: a transaction
 * that keeps its snapshot creates tables, too, and row security may be off.
 */
Datum
soft_delete_current_tagged_schemas(PG_FUNCTION_ARGS)
{
	Datum schemas;
	bool isnull;

	if (!has_row("tagged_schemas"))
		PG_RETURN_NULL();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	execute_as_owner(extension_relation("tagged_schemas"),
					 "SELECT pg_catalog.array_agg(s) FROM " INTERNAL_SCHEMA
					 ".tagged_schemas s",
					 0, NULL, NULL, SPI_OK_SELECT);
	schemas =
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
		schemas = SPI_datumTransfer(schemas, false, -1);
	SPI_finish();

	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(schemas);
}
