/*
 * copied.c
 *	  Refuses, or warns of, commands by which tools replace a table by a copy.
 *
 * A copy that is made by queries has the live rows only.  pg_repack creates a trigger
 * first, by which it is known.  A partition that is emptied by DELETE, detached and
 * dropped has deleted rows, those that were deleted before among them.  And what a
 * transaction drops after it has made another table like it, that table replaces.
 *
 * Invariant: where such a command would destroy the deleted rows of a table whose live
 * rows have gone elsewhere, it fails, or says so.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"

#include "ddl/sd_ddl.h"

PG_FUNCTION_INFO_V1(soft_delete_refuse_copying_trigger);

/* OIDs of the partitions that a transaction has detached */
static List *detached = NIL;
static LocalTransactionId detached_lxid = InvalidLocalTransactionId;

static bool was_detached(Oid relid);

/*
 * Raise 0A000 if a trigger that calls the function would let pg_repack copy a table
 * that has its tombstones in it.
 */
void
refuse_copying_trigger(Oid relid, Oid function)
{
	Oid extension = getExtensionOfObject(ProcedureRelationId, function);
	const char *name;

	if (!OidIsValid(extension) ||
		strcmp(get_extension_name(extension), "pg_repack") != 0 ||
		in_place_arguments(relid) == NIL)
		return;
	name = qualified_name(relid);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("pg_repack cannot copy tagged table \"%s\"", name),
			 errdetail("It copies live rows only, so the deleted rows would be lost. "
					   "pg_repack --only-indexes, pg_squeeze and, from PostgreSQL 19 on, REPACK keep them. "
					   "A table that keeps its deleted rows aside can be copied."),
			 errhint("VACUUM FULL %s;", name)));
}

/*
 * soft_delete_internal.refuse_copying_trigger(relation regclass, function oid)
 * returns void
 *
 * Raises 0A000 if a trigger of the relation that calls the function is one of
 * pg_repack.  For sessions that had not loaded the library when they created it.
 */
Datum
soft_delete_refuse_copying_trigger(PG_FUNCTION_ARGS)
{
	refuse_copying_trigger(PG_GETARG_OID(0), PG_GETARG_OID(1));
	PG_RETURN_VOID();
}

/*
 * Note which partitions an ALTER TABLE is going to detach.
 */
void
note_detached(AlterTableStmt *stmt)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	ListCell *lc;

	if (detached_lxid != my_local_xid())
	{
		list_free(detached);
		detached = NIL;
		detached_lxid = my_local_xid();
	}
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		RangeVar *other = NULL;

		if (cmd->subtype == AT_DetachPartition)
			other = castNode(PartitionCmd, cmd->def)->name;
		else if (cmd->subtype == AT_DropInherit)
			other = stmt->relation;
		if (other != NULL)
			detached =
				list_append_unique_oid(detached,
									   RangeVarGetRelid(other, NoLock, true));
	}
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Has this transaction detached the table from a parent?
 */
static bool
was_detached(Oid relid)
{
	return detached_lxid == my_local_xid() &&
		   list_member_oid(detached, relid) && !has_superclass(relid);
}

/*
 * Check the tagged tables that a DROP TABLE names, but in a session that restores a
 * dump.
 *
 * Raises 55000 for one that this transaction has detached, that has deleted rows and no
 * others.  Warns of one with deleted rows that a table of this transaction replaces.
 */
void
check_dropped_tables(DropStmt *stmt)
{
	ListCell *lc;

	if (!row_security || stmt->removeType != OBJECT_TABLE ||
		!OidIsValid(extension_oid()))
		return;
	foreach (lc, stmt->objects)
	{
		Oid relid =
			RangeVarGetRelid(makeRangeVarFromNameList(lfirst(lc)), NoLock, true);

		if (OidIsValid(relid) && relation_ownercheck(relid, GetUserId()) &&
			tag_arguments(relid) != NIL)
			call_internal("check_dropped_table", 2, (Oid[]){REGCLASSOID, BOOLOID},
						  (Datum[]){ObjectIdGetDatum(relid),
									BoolGetDatum(was_detached(relid))});
	}
}
