/*
 * utility.c
 *	  The ProcessUtility hook: dispatches utility commands to the files that prepare,
 *	  replace or refuse them on tagged tables.
 *
 * The hook decides which file handles a command, not what is done.  Each command is one
 * statement for stamp.c, with all that its handler runs.
 *
 * Invariant: each command reaches the next hook or the server, if only as a changed
 * copy, so other extensions that hook utility commands see it, too.
 */
#include "postgres.h"

#include "fmgr.h"
#include "tcop/utility.h"
#include "utils/guc.h"

#include "ddl/sd_ddl.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

/* The arguments of a ProcessUtility hook */
typedef struct UtilityCall
{
	PlannedStmt *pstmt;
	const char *queryString;
	bool readOnlyTree;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *queryEnv;
	DestReceiver *dest;
	QueryCompletion *qc;
} UtilityCall;

static PlannedStmt *prepare_utility(PlannedStmt *pstmt, DdlContext *ddl);
static void run_utility(void *argument, List *obstacles);
static bool checks_foreign_key(Node *command);
static bool says_cascade(Node *command);
static void process_utility(PlannedStmt *pstmt, const char *queryString,
							bool readOnlyTree, ProcessUtilityContext context,
							ParamListInfo params, QueryEnvironment *queryEnv,
							DestReceiver *dest, QueryCompletion *qc);

/* The values of soft_delete.new_children: follow_ddl() reads them */
static const struct config_enum_entry new_children_modes[] = {{"tag", 0, false},
															  {"error", 1, false},
															  {NULL, 0, false}};

static int new_children = 0;

PG_FUNCTION_INFO_V1(soft_delete_command_cascades);

/* Does the utility command that is running drop dependent objects, too? */
static bool command_cascades = false;

/*
 * Install the hook, and define soft_delete.new_children.
 */
void
init_utility(void)
{
	DefineCustomEnumVariable("soft_delete.new_children",
							 "Says what becomes of a table that a new foreign key makes a child of a tagged table by ON DELETE CASCADE.",
							 "\"tag\" tags it, too, \"error\" refuses the foreign key.",
							 &new_children, 0, new_children_modes, PGC_USERSET,
							 0, NULL, NULL, NULL);
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

/*
 * Return the statement that the server shall run for a utility command: the command
 * itself, or a changed copy.  Sets the context for finish_ddl().  Raises an error if
 * the command is refused.
 */
static PlannedStmt *
prepare_utility(PlannedStmt *pstmt, DdlContext *ddl)
{
	protect_tombstones(pstmt->utilityStmt);
	switch (nodeTag(pstmt->utilityStmt))
	{
		case T_CopyStmt:
			return copy_live_rows(pstmt);
		case T_VariableSetStmt:
			note_imported_snapshot((VariableSetStmt *) pstmt->utilityStmt);
			return prepare_ddl(pstmt, ddl);
		case T_TruncateStmt:
			return truncate_softly(pstmt);
		case T_AlterTableStmt:
			note_detached((AlterTableStmt *) pstmt->utilityStmt);
			prepare_partitions((AlterTableStmt *) pstmt->utilityStmt);
			return prepare_ddl(pstmt, ddl);
		case T_GrantStmt:
			return prepare_ddl(exclude_bins(pstmt), ddl);
		case T_CreateStmt:
			give_way(((CreateStmt *) pstmt->utilityStmt)->relation);
			return prepare_ddl(pstmt, ddl);
		case T_CreateTableAsStmt:
			give_way(((CreateTableAsStmt *) pstmt->utilityStmt)->into->rel);
			return prepare_ddl(pstmt, ddl);
		case T_ViewStmt:
			if (!((ViewStmt *) pstmt->utilityStmt)->replace)
				give_way(((ViewStmt *) pstmt->utilityStmt)->view);
			return prepare_ddl(pstmt, ddl);
		case T_RenameStmt:
			refuse_schema_rename((RenameStmt *) pstmt->utilityStmt);
			return prepare_ddl(pstmt, ddl);
		default:
			return prepare_ddl(pstmt, ddl);
	}
}

/*
 * Does the command make the server check the existing rows against a foreign key?
 */
static bool
checks_foreign_key(Node *command)
{
	ListCell *lc;

	if (!IsA(command, AlterTableStmt))
		return false;
	foreach (lc, ((AlterTableStmt *) command)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_ValidateConstraint ||
			cmd->subtype == AT_AlterConstraint ||
			(cmd->subtype == AT_AddConstraint &&
			 castNode(Constraint, cmd->def)->contype == CONSTR_FOREIGN))
			return true;
	}
	return false;
}

/*
 * Does the command say CASCADE of what it drops?
 */
static bool
says_cascade(Node *command)
{
	ListCell *lc;

	if (IsA(command, DropStmt))
		return ((DropStmt *) command)->behavior == DROP_CASCADE;
	if (IsA(command, DropOwnedStmt))
		return ((DropOwnedStmt *) command)->behavior == DROP_CASCADE;
	if (!IsA(command, AlterTableStmt))
		return false;
	foreach (lc, ((AlterTableStmt *) command)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_DropColumn && cmd->behavior == DROP_CASCADE)
			return true;
	}
	return false;
}

/*
 * soft_delete_internal.command_cascades() returns boolean
 *
 * Does the utility command that is running drop dependent objects, too?
 */
Datum
soft_delete_command_cascades(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(command_cascades);
}

/*
 * Prepare, run and finish a utility command, the argument of type UtilityCall, after
 * tombstones have moved out of its way.  (RunCommand)
 */
static void
run_utility(void *argument, List *obstacles)
{
	UtilityCall *call = argument;
	Node *command = call->pstmt->utilityStmt;
	DdlContext ddl = {0};
	PlannedStmt *prepared;
	BulkCopy *bulk;
	ProcessUtility_hook_type next =
		prev_ProcessUtility ? prev_ProcessUtility : standard_ProcessUtility;
	ListCell *lc;

	foreach (lc, obstacles)
		remove_obstacle(command, lfirst(lc), false);
	prepared = prepare_utility(call->pstmt, &ddl);
	foreach (lc, obstacles)
		remove_obstacle(command, lfirst(lc), true);
	bulk = IsA(command, CopyStmt)
			   ? begin_bulk_copy((CopyStmt *) prepared->utilityStmt)
			   : NULL;
	PG_TRY();
	{
		next(prepared, call->queryString, call->readOnlyTree, call->context,
			 call->params, call->queryEnv, call->dest, call->qc);
	}
	PG_CATCH();
	{
		if (bulk != NULL)
			end_bulk_copy(bulk, true);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (bulk != NULL)
		end_bulk_copy(bulk, false);
	finish_ddl(prepared, &ddl);
	tag_distributed(prepared->utilityStmt);
}

/*
 * ProcessUtility hook: run a utility command.
 */
static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	UtilityCall call = {pstmt,	queryString, readOnlyTree, context,
						params, queryEnv,	 dest,		   qc};
	bool added_before, own_before, cascades_before = command_cascades;

	follow_row_security(); /* EXECUTE plans nothing */
	begin_statement();
	enter_statement();
	own_before = begin_command();
	added_before = set_foreign_key_is_added(checks_foreign_key(pstmt->utilityStmt));
	command_cascades = says_cascade(pstmt->utilityStmt);
	PG_TRY();
	{
		if (may_meet_tombstones(pstmt->utilityStmt))
		{
			/* it may have to run again */
			call.readOnlyTree = true;
			run_past_tombstones(pstmt->utilityStmt, run_utility, &call);
		}
		else
			run_utility(&call, NIL);
	}
	PG_FINALLY();
	{
		leave_statement();
		command_cascades = cascades_before;
		(void) set_foreign_key_is_added(added_before);
		end_command(own_before);
	}
	PG_END_TRY();
	follow_row_security(); /* nor does the client's protocol, after SET */
	/* after BEGIN, SAVEPOINT and the like no row can be written before the next command */
	if (!IsA(pstmt->utilityStmt, TransactionStmt))
		end_statement();
}
