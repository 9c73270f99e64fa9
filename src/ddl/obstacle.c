/*
 * obstacle.c
 *	  Runs DDL commands that check the rows of tables in place past their tombstones.
 *
 * SET NOT NULL, a CHECK constraint, a primary key, a new type and a new partition beside
 * a default one fail if a row in the table does not fit.  The application sees none of
 * the tombstones, so they must not be that row.  Which of them are in the way the server
 * alone knows, for the command may call any function.  So the command runs in a
 * subtransaction.  If it fails as it would because of a row, the tombstones step aside,
 * and it runs again.
 *
 * Invariant: a command that fails because of live rows fails with its own error, and
 * leaves each tombstone where it was.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

#include "ddl/sd_ddl.h"

/* Tombstones that stand in the way of a command */
struct Obstacle
{
	Oid relid;		 /* their table */
	bool is_altered; /* is it the one that the command alters? */
	const char *column; /* those in which the column of this name is null, or NULL: all */
	ErrorData *error; /* the error by which they were met */
};

static bool checks_rows(const AlterTableCmd *cmd);
static bool is_tagged_tree(Oid relid);
static List *add_obstacle(Node *command, List *obstacles, ErrorData *error);
static bool may_come_of_row(const ErrorData *error);
static Oid table_of_error(const ErrorData *error);

/*
 * May tombstones in place stand in the way of a utility command?
 */
bool
may_meet_tombstones(Node *command)
{
	ListCell *lc;

	/* first, for what ends an aborted transaction must not look into catalogs */
	if (!IsA(command, AlterDomainStmt) && !IsA(command, CreateStmt) &&
		!IsA(command, AlterTableStmt))
		return false;
	if (IsBinaryUpgrade || XactReadOnly || command_is_own() ||
		!OidIsValid(extension_function(TAG_TRIGGER)))
		return false;
	if (IsA(command, AlterDomainStmt))
		return strchr("CVO", ((AlterDomainStmt *) command)->subtype) != NULL;
	if (IsA(command, CreateStmt) && ((CreateStmt *) command)->partbound != NULL)
		return is_tagged_tree(
			RangeVarGetRelid(linitial(((CreateStmt *) command)->inhRelations),
							 NoLock, true));
	if (!IsA(command, AlterTableStmt) ||
		((AlterTableStmt *) command)->objtype != OBJECT_TABLE)
		return false;
	foreach (lc, ((AlterTableStmt *) command)->cmds)
	{
		if (checks_rows(lfirst_node(AlterTableCmd, lc)))
			return is_tagged_tree(RangeVarGetRelid(((AlterTableStmt *) command)->relation,
												   NoLock, true));
	}
	return false;
}

/*
 * May a subcommand of ALTER TABLE fail because of a row in the table?
 */
static bool
checks_rows(const AlterTableCmd *cmd)
{
	switch (cmd->subtype)
	{
		case AT_AddColumn:
		case AT_AddConstraint:
		case AT_AlterConstraint: /* 19: a check may be enforced from now on */
		case AT_AttachPartition:
		case AT_SetNotNull:
		case AT_ValidateConstraint:
			return true;
		default:
			return changes_column(cmd->subtype);
	}
}

/*
 * Is a table tagged in place, or one of its partitions or inheritance children?
 */
static bool
is_tagged_tree(Oid relid)
{
	ListCell *lc;

	if (!OidIsValid(relid))
		return false;
	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (in_place_arguments(lfirst_oid(lc)) != NIL)
			return true;
	}
	return false;
}

/*
 * Run a command that tombstones may stand in the way of.
 *
 * Each attempt is a subtransaction, which undoes what it has moved, too; the next one
 * moves that again.  With each attempt the list of obstacles grows, or covers more.
 */
void
run_past_tombstones(Node *command, RunCommand run, void *call)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	int nestlevel = GetCurrentTransactionNestLevel();
	List *obstacles = NIL;
	bool is_done = false;

	while (!is_done)
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(oldcontext);
		PG_TRY();
		{
			run(call, obstacles);
			ReleaseCurrentSubTransaction();
			MemoryContextSwitchTo(oldcontext);
			CurrentResourceOwner = oldowner;
			is_done = true;
		}
		PG_CATCH();
		{
			ErrorData *error =
				end_failed_subtransactions(nestlevel, oldcontext, oldowner, false);

			obstacles = add_obstacle(command, obstacles, error);
		}
		PG_END_TRY();
	}
}

/*
 * Add the tombstones by which a command may have failed to the list of its obstacles.
 * Throws the error again if it comes of something else, or comes again although these
 * tombstones were moved.
 */
static List *
add_obstacle(Node *command, List *obstacles, ErrorData *error)
{
	Obstacle *obstacle = palloc0(sizeof(Obstacle));
	ListCell *lc;

	obstacle->error = error;
	obstacle->relid = table_of_error(error);
	if (IsA(command, AlterTableStmt) &&
		linitial_node(AlterTableCmd, ((AlterTableStmt *) command)->cmds)->subtype !=
			AT_AttachPartition)
	{
		obstacle->relid =
			RangeVarGetRelid(((AlterTableStmt *) command)->relation, NoLock, true);
		obstacle->is_altered = true;
	}
	if (error->sqlerrcode == ERRCODE_NOT_NULL_VIOLATION)
		obstacle->column = error->column_name;

	if (!OidIsValid(obstacle->relid) || !may_come_of_row(error))
		ReThrowError(error);
	foreach (lc, obstacles)
	{
		Obstacle *known = lfirst(lc);

		if (known->relid == obstacle->relid &&
			(known->column == NULL || (obstacle->column != NULL &&
									   strcmp(known->column, obstacle->column) == 0)))
			ReThrowError(error);
	}
	return lappend(obstacles, obstacle);
}

/*
 * May the values of a row have caused an error?
 */
static bool
may_come_of_row(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION):
		case ERRCODE_TO_CATEGORY(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION):
		case ERRCODE_TO_CATEGORY(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION):
		case ERRCODE_TO_CATEGORY(ERRCODE_PLPGSQL_ERROR):
			return true;
		default:
			return false;
	}
}

/*
 * Return the table that is tagged in place and that an error names, or InvalidOid.
 *
 * A function can raise an error that names any table.  So it must be an error of the
 * server's own code for these commands, which has locked the table.
 */
static Oid
table_of_error(const ErrorData *error)
{
	static const char *const files[] = {"partbounds.c", "tablecmds.c", "typecmds.c"};
	Oid schema, relid;
	bool is_servers = false;

	for (int i = 0; i < lengthof(files); i++)
		is_servers |=
			error->filename != NULL && strcmp(error->filename, files[i]) == 0;
	if (!is_servers || error->schema_name == NULL || error->table_name == NULL)
		return InvalidOid;
	schema = get_namespace_oid(error->schema_name, true);
	relid = OidIsValid(schema) ? get_relname_relid(error->table_name, schema)
							   : InvalidOid;
	return is_tagged_tree(relid) ? relid : InvalidOid;
}

/*
 * Move tombstones out of the way of a command, before it runs again.  Throws the error
 * again by which they were met if there are none.
 *
 * Those of the table that is altered are moved when the command is prepared, which locks
 * views before their tables.  Others are moved before, for a table that is attached loses
 * its companion then.  A table is locked as the command is going to lock it, so that no
 * lock is upgraded.
 */
void
remove_obstacle(Node *command, Obstacle *obstacle, bool is_prepared)
{
	LOCKMODE lockmode = AccessExclusiveLock; /* of a default partition */
	bool recurse = true;
	bool exists;
	uint64 left; /* if the command fails because of these, it does so again */

	if (obstacle->is_altered != is_prepared)
		return;
	if (obstacle->is_altered)
	{
		AlterTableStmt *stmt = castNode(AlterTableStmt, command);

		lockmode = Max(AlterTableGetLockLevel(stmt->cmds), RowExclusiveLock);
		recurse = stmt->relation->inh;
		exists = AlterTableLookupRelation(stmt, lockmode) == obstacle->relid;
	}
	else
	{
		if (IsA(command, AlterDomainStmt))
			lockmode = ShareRowExclusiveLock;
		LockRelationOid(obstacle->relid, lockmode);
		exists = get_rel_relkind(obstacle->relid) != 0;
	}
	if (!exists || move_tombstones_aside(obstacle->relid, recurse, lockmode,
										 obstacle->column, &left) == 0)
		ReThrowError(obstacle->error);
}
