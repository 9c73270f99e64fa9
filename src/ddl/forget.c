/*
 * forget.c
 *	  Deletes what is stored about a tagged table when the table is dropped without an
 *	  event trigger.
 *
 * Normally the event trigger on drops (sql/ddl_events.sql) deletes the rows about a table
 * from the extension's tables, and refuses to drop a table with holds.  It does not
 * fire when temporary tables are dropped at the end of a session, at ON COMMIT DROP,
 * when autovacuum drops temporary tables that a crash has left, and where
 * session_replication_role is "replica".  Only these cases are handled here.
 *
 * Invariant: no table of the extension has a row about a relation that has been
 * dropped, because its OID may be assigned to another relation.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "ddl/sd_ddl.h"

static object_access_hook_type prev_object_access_hook = NULL;

/* The extension's tables about relations, each with a column "relation" */
static const char *const tables_about_relations[] = {"holds", "retention",
													 "set_null_references",
													 "truncations"};

static void forget_dropped_table(ObjectAccessType access, Oid classId,
								 Oid objectId, int subId, void *arg);
static bool is_dropped_silently(Oid relid);
static void delete_rows_about(Oid table, Oid relid);
static Oid find_index_on(Relation rel, AttrNumber attnum);

/*
 * Install the object access hook.
 */
void
init_forget(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = forget_dropped_table;
}

/*
 * Object access hook: delete the rows about a table that is dropped.
 */
static void
forget_dropped_table(ObjectAccessType access, Oid classId, Oid objectId,
					 int subId, void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, classId, objectId, subId, arg);

	if (access != OAT_DROP || classId != RelationRelationId || subId != 0 ||
		!is_dropped_silently(objectId) || !OidIsValid(extension_oid()))
		return;
	for (int i = 0; i < lengthof(tables_about_relations); i++)
	{
		Oid table = get_relname_relid(tables_about_relations[i],
									  get_namespace_oid(INTERNAL_SCHEMA, true));

		/* the extension may be dropped as well, or may not have been updated yet */
		if (OidIsValid(table) && is_extension_member(RelationRelationId, table))
			delete_rows_about(table, objectId);
	}
}

/*
 * Is it a table that may be tagged, and whose drop fires no event trigger?  Its tag
 * has been dropped by now, but pg_class still says that it had triggers.
 */
static bool
is_dropped_silently(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool result = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

		result = class->relhastriggers &&
				 (class->relkind == RELKIND_RELATION ||
				  class->relkind == RELKIND_PARTITIONED_TABLE) &&
				 (class->relpersistence == RELPERSISTENCE_TEMP ||
				  !event_triggers_fire());
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * Delete the rows about a relation from a table of the extension.
 *
 * Raises 55006 for a hold, except on a temporary table, which ends with its session.
 */
static void
delete_rows_about(Oid table, Oid relid)
{
	Relation rel = table_open(table, RowExclusiveLock);
	bool is_kept = strcmp(RelationGetRelationName(rel), "holds") == 0 &&
				   get_rel_persistence(relid) != RELPERSISTENCE_TEMP;
	AttrNumber attnum = get_attnum(table, "relation");
	Oid index = find_index_on(rel, attnum);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (is_kept)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
							errmsg("cannot drop table \"%s\", where rows are held",
								   get_rel_name(relid)),
							errdetail("Nothing that is held is destroyed.")));
		simple_heap_delete(rel, &tuple->t_self);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
}

/*
 * Return an index of all rows whose first column is the given one, or InvalidOid.
 */
static Oid
find_index_on(Relation rel, AttrNumber attnum)
{
	Oid found = InvalidOid;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_index->indkey.values[0] == attnum &&
			RelationGetIndexPredicate(index) == NIL)
			found = lfirst_oid(lc);
		index_close(index, AccessShareLock);
	}
	return found;
}
