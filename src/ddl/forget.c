/*
 * forget.c
 *	  Forgets what is kept of a tagged table that goes without an event trigger.
 *
 * The event trigger on drops forgets what our tables have about a table, and
 * notes that its holds are gone.  It does not fire when a session ends and its
 * temporary tables go, at ON COMMIT DROP, when autovacuum drops what a crash has
 * left, and where session_replication_role is "replica".
 *
 * Invariant: none of our tables names a relation that is gone: its OID may come
 * to be another one's.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "ddl/sd_ddl.h"

static object_access_hook_type prev_object_access_hook = NULL;

/* Our tables about relations, each with column "relation" */
static const char *const tables[] = {"holds", "retention", "displaced",
									 "set_null_references"};

static void see_drop(ObjectAccessType access, Oid classId, Oid objectId,
					 int subId, void *arg);
static bool may_be_tagged(Oid relid);
static void forget_relation(Oid table, Oid relid);

/*
 * Install the hook.
 */
void
init_forget(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = see_drop;
}

/*
 * Object access hook: see a table go.
 */
static void
see_drop(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, classId, objectId, subId, arg);

	if (access != OAT_DROP || classId != RelationRelationId || subId != 0 ||
		!may_be_tagged(objectId) || !OidIsValid(extension_oid()))
		return;
	for (int i = 0; i < lengthof(tables); i++)
	{
		Oid table =
			get_relname_relid(tables[i], get_namespace_oid(INTERNAL_SCHEMA, true));

		/* the extension may be dropped, too, or be one to be updated yet */
		if (OidIsValid(table) && is_extension_member(RelationRelationId, table))
			forget_relation(table, objectId);
	}
}

/*
 * Is it a table that had triggers, and is no event trigger called for it?  Its
 * own triggers are gone by now.
 */
static bool
may_be_tagged(Oid relid)
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
 * Delete the rows about a relation from one of our tables.  A hold is lifted, and
 * that is noted.
 */
static void
forget_relation(Oid table, Oid relid)
{
	Relation rel = table_open(table, RowExclusiveLock);
	bool is_hold = strcmp(RelationGetRelationName(rel), "holds") == 0;
	bool is_held = false;
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), "relation");
	List *indexes = RelationGetIndexList(rel);
	Oid index = InvalidOid;
	ListCell *lc;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	foreach (lc, indexes)
	{
		Relation candidate = index_open(lfirst_oid(lc), AccessShareLock);

		if (candidate->rd_index->indkey.values[0] == attnum &&
			RelationGetIndexPredicate(candidate) == NIL)
			index = lfirst_oid(lc);
		index_close(candidate, AccessShareLock);
	}
	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		/* nobody looks for a temporary table of a session that is gone */
		if (is_hold && get_rel_persistence(relid) != RELPERSISTENCE_TEMP)
			is_held = true;
		else
			simple_heap_delete(rel, &tuple->t_self);
	}
	systable_endscan(scan);
	if (is_held)
		lift_all_holds(relid, qualified_name(relid));
	table_close(rel, NoLock);
}
