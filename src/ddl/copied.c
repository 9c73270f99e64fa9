/*
 * copied.c
 *	  Refuses, or warns of, commands by which tools replace a table by a copy.
 *
 * A copy that is made by queries has the live rows only.  pg_repack creates a trigger
 * first, by which it is known, and so is a hypertable of TimescaleDB.  A partition that is
 * emptied by DELETE, detached and dropped has deleted rows, those that were deleted before
 * among them.  What a transaction drops after it has made another table like it, that table
 * replaces.  Citus is known by the name of such a table, and by a trigger of what is in its
 * metadata (sql/ddl_citus.sql).  And vacuumlo begins with a list of the large objects, from
 * which it strikes out those that live rows reference.
 *
 * Invariant: where such a command would destroy the deleted rows of a table whose live
 * rows have gone elsewhere, it fails, or says so.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_largeobject_metadata.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "ddl/sd_ddl.h"

PG_FUNCTION_INFO_V1(soft_delete_refuse_copying_trigger);
PG_FUNCTION_INFO_V1(soft_delete_has_citus);

/* OIDs of the partitions that a transaction has detached */
static List *detached = NIL;
static LocalTransactionId detached_lxid = InvalidLocalTransactionId;

static object_access_hook_type prev_object_access_hook = NULL;

static void check_new_trigger(ObjectAccessType access, Oid classId,
							  Oid objectId, int subId, void *arg);
static void refuse_copying_trigger(Oid relid, Oid function);
static void refuse_other_access_method(Oid relid, Oid function);
static bool keeps_tombstones(Oid relid);
static bool is_sharded(Oid relid);
static bool was_detached(Oid relid);

/*
 * Install the object access hook.
 */
void
init_copied(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = check_new_trigger;
}

/*
 * Object access hook: check a trigger that has been created, by CREATE TRIGGER or, as
 * TimescaleDB and Citus do it, without.
 */
static void
check_new_trigger(ObjectAccessType access, Oid classId, Oid objectId, int subId,
				  void *arg)
{
	Relation triggers;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	if (prev_object_access_hook)
		prev_object_access_hook(access, classId, objectId, subId, arg);
	if (access != OAT_POST_CREATE || classId != TriggerRelationId ||
		!OidIsValid(extension_oid()))
		return;
	triggers = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(objectId));
	scan = systable_beginscan(triggers, TriggerOidIndexId, true, SnapshotSelf,
							  1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		refuse_copying_trigger(trigger->tgrelid, trigger->tgfoid);
		refuse_other_access_method(trigger->tgrelid, trigger->tgfoid);
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
}

/*
 * Raise 0A000 if a trigger that calls the function lets pg_repack copy a table that has
 * its tombstones in it, or a companion, makes a tagged table a hypertable, or takes it, or
 * a companion, into the metadata of Citus.
 */
static void
refuse_copying_trigger(Oid relid, Oid function)
{
	/* most are triggers of foreign keys, whose functions are the server's own */
	Oid extension = function >= FirstNormalObjectId && keeps_tombstones(relid)
						? getExtensionOfObject(ProcedureRelationId, function)
						: InvalidOid;
	const char *owner = OidIsValid(extension) ? get_extension_name(extension) : "";
	const char *name = qualified_name(relid);

	if (strcmp(owner, "pg_repack") == 0 && in_place_arguments(relid) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("pg_repack cannot copy tagged table \"%s\"", name),
				 errdetail("It copies live rows only, so the deleted rows would be lost. "
						   "pg_repack --only-indexes, pg_squeeze and, from PostgreSQL 19 on, REPACK keep them. "
						   "A table that keeps its deleted rows aside can be copied."),
				 errhint("VACUUM FULL %s;", name)));
	if (strcmp(owner, "pg_repack") == 0 && OidIsValid(companions_table(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("pg_repack cannot copy table \"%s\", which has the deleted rows of table \"%s\"",
						name, qualified_name(companions_table(relid))),
				 errdetail("Its trigger does not fire for rows that are deleted, restored or purged meanwhile."),
				 errhint("VACUUM FULL %s;", name)));
	if (strcmp(owner, "timescaledb") == 0 && tag_arguments(relid) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot turn tagged table \"%s\" into a hypertable", name),
				 errdetail("TimescaleDB makes and truncates the chunks of a hypertable by itself."),
				 errhint("SELECT soft_delete.untag(%s);", quote_literal_cstr(name))));
	if (strcmp(owner, "citus") == 0)
		call_internal("refuse_citus", 2, (Oid[]){REGCLASSOID, TEXTOID},
					  (Datum[]){ObjectIdGetDatum(relid), CStringGetTextDatum(name)});
}

/*
 * Raise 0A000 if a trigger that calls the function makes a table that is no heap a tagged
 * one, or a companion.
 */
static void
refuse_other_access_method(Oid relid, Oid function)
{
	Relation rel;
	bool is_heap;

	if (function != extension_function(TAG_TRIGGER) &&
		function != extension_function(COMPANION_TRIGGER))
		return;
	rel = table_open(relid, AccessShareLock);
	is_heap = rel->rd_rel->relkind != RELKIND_RELATION ||
			  rel->rd_amhandler == F_HEAP_TABLEAM_HANDLER;
	table_close(rel, NoLock);
	if (!is_heap)
		call_internal("check_access_method", 1, (Oid[]){REGCLASSOID},
					  (Datum[]){ObjectIdGetDatum(relid)});
}

/*
 * Is a relation a tagged table, or a companion?
 */
static bool
keeps_tombstones(Oid relid)
{
	return tag_arguments(relid) != NIL || OidIsValid(companions_table(relid));
}

/*
 * Does a relation have a trigger that tag() has given a table that Citus has sharded, or
 * its bin?
 */
static bool
is_sharded(Oid relid)
{
	return has_trigger_of(relid, SHARD_TRIGGER) ||
		   has_trigger_of(relid, SHARD_BIN_TRIGGER);
}

/*
 * Does a relation have a trigger that calls a function of the extension?
 */
bool
has_trigger_of(Oid relid, ExtensionFunction which)
{
	Oid function = extension_function(which);
	CatalogScan scan = begin_trigger_scan(relid);
	bool found = false;
	HeapTuple tuple;

	while (!found && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
		found = OidIsValid(function) &&
				((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid == function;
	end_catalog_scan(&scan);
	return found;
}

/*
 * soft_delete_internal.refuse_copying_trigger(relation regclass, function oid)
 * returns void
 *
 * Raises 42P01 if there is no such relation, 0A000 if a trigger of it that calls the
 * function is one of pg_repack or TimescaleDB.  For sessions that had not loaded the library when they
 * created it.
 */
Datum
soft_delete_refuse_copying_trigger(PG_FUNCTION_ARGS)
{
	check_relation_exists(PG_GETARG_OID(0));
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
 * Check the tagged tables that a DROP TABLE names.
 *
 * Raises 0A000 for one that Citus replaces.  Unless the session restores a dump, raises
 * 55000 for one that this transaction has detached, that has deleted rows and no others,
 * and warns of one with deleted rows that a table of this transaction replaces.
 */
void
check_dropped_tables(DropStmt *stmt)
{
	ListCell *lc;

	if (stmt->removeType != OBJECT_TABLE || !OidIsValid(extension_oid()))
		return;
	foreach (lc, stmt->objects)
	{
		Oid relid =
			RangeVarGetRelid(makeRangeVarFromNameList(lfirst(lc)), NoLock, true);

		if (!OidIsValid(relid) || !relation_ownercheck(relid, GetUserId()) ||
			!(keeps_tombstones(relid) || is_sharded(relid)))
			continue;
		if (has_citus())
			call_internal("check_citus_copy", 1, (Oid[]){REGCLASSOID},
						  (Datum[]){ObjectIdGetDatum(relid)});
		if (row_security && tag_arguments(relid) != NIL)
			call_internal("check_dropped_table", 2, (Oid[]){REGCLASSOID, BOOLOID},
						  (Datum[]){ObjectIdGetDatum(relid),
									BoolGetDatum(was_detached(relid))});
	}
}

/*
 * soft_delete_internal.has_citus() returns boolean
 *
 * Returns whether this database has Citus.
 */
Datum
soft_delete_has_citus(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(has_citus());
}

/*
 * Refuse a CREATE TEMPORARY TABLE AS that lists large objects, by which vacuumlo begins,
 * but in a maintenance session.
 *
 * Raises 0A000 if a table that has its tombstones in it may reference large objects.
 */
void
check_large_object_list(CreateTableAsStmt *stmt)
{
	ListCell *lc;

	if (!row_security || stmt->into->rel->relpersistence != RELPERSISTENCE_TEMP ||
		!OidIsValid(extension_oid()))
		return;
	foreach (lc, castNode(Query, stmt->query)->rtable)
		if (lfirst_node(RangeTblEntry, lc)->relid == LargeObjectMetadataRelationId)
			call_internal("check_large_object_list", 0, NULL, NULL);
}
