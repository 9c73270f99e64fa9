/*
 * utility.c
 *	  Sees utility commands before the server does, and hands those that mean
 *	  something else on a tagged table to the file that knows what.
 *
 * One hook for all of them: a command is one statement of the client to
 * stamp.c, whatever it does, and what its own file makes of it runs inside of
 * that.  Whoever else hooks utility commands sees each of them too.
 */
#include "postgres.h"

#include "tcop/utility.h"

#include "ddl/sd_ddl.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

static PlannedStmt *prepare_utility(PlannedStmt *pstmt, AlteredTable *altered);
static void process_utility(PlannedStmt *pstmt, const char *queryString,
							bool readOnlyTree, ProcessUtilityContext context,
							ParamListInfo params, QueryEnvironment *queryEnv,
							DestReceiver *dest, QueryCompletion *qc);

/*
 * Install the hook.
 */
void
init_utility(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

/*
 * Return what the server is to run in place of a utility command: itself, or a
 * changed copy.  Sets what finish_ddl() has to know.
 */
static PlannedStmt *
prepare_utility(PlannedStmt *pstmt, AlteredTable *altered)
{
	protect_tombstones(pstmt->utilityStmt);
	switch (nodeTag(pstmt->utilityStmt))
	{
		case T_CopyStmt:
			return copy_live_rows(pstmt);
		case T_TruncateStmt:
			return truncate_softly(pstmt);
		case T_AlterTableStmt:
			prepare_partitions((AlterTableStmt *) pstmt->utilityStmt);
			return prepare_ddl(pstmt, altered);
		case T_GrantStmt:
			return prepare_ddl(spare_bins(pstmt), altered);
		case T_RenameStmt:
			refuse_schema_rename((RenameStmt *) pstmt->utilityStmt);
			return prepare_ddl(pstmt, altered);
		default:
			return prepare_ddl(pstmt, altered);
	}
}

/*
 * Does the server check a foreign key in the course of the command?
 */
static bool
adds_foreign_key(Node *command)
{
	ListCell *lc;

	if (!IsA(command, AlterTableStmt))
		return false;
	foreach (lc, ((AlterTableStmt *) command)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_ValidateConstraint ||
			(cmd->subtype == AT_AddConstraint &&
			 castNode(Constraint, cmd->def)->contype == CONSTR_FOREIGN))
			return true;
	}
	return false;
}

/*
 * ProcessUtility hook.
 */
static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	AlteredTable altered = {0};
	bool added_before, own_before;

	begin_statement();
	enter_statement();
	own_before = begin_command();
	added_before = set_foreign_key_is_added(adds_foreign_key(pstmt->utilityStmt));
	PG_TRY();
	{
		PlannedStmt *prepared = prepare_utility(pstmt, &altered);

		if (prev_ProcessUtility)
			prev_ProcessUtility(prepared, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
		else
			standard_ProcessUtility(prepared, queryString, readOnlyTree,
									context, params, queryEnv, dest, qc);
		finish_ddl(prepared, &altered);
	}
	PG_FINALLY();
	{
		leave_statement();
		(void) set_foreign_key_is_added(added_before);
		end_command(own_before);
	}
	PG_END_TRY();
}
