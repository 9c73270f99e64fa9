/*
 * relation.c
 *	  What can be said of any relation: its name, its owner, what it is part of.
 *
 * Invariant: nothing here waits for a lock, but for open_given_table().
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/sd_catalog.h"

/* How often the relation cache has changed */
uint64 relcache_changes = 0;

static void note_change(Datum arg, Oid relid);
static List *look_up_ancestors(Oid relid);

/*
 * Watch the relation cache.
 */
void
init_relation(void)
{
	CacheRegisterRelcacheCallback(note_change, (Datum) 0);
}

/*
 * Note that the relation cache has changed (relcache callback).
 */
static void
note_change(Datum arg, Oid relid)
{
	relcache_changes++;
}

/*
 * Raise 42P01 if there is no such relation.
 */
void
check_relation_exists(Oid relid)
{
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
}

/*
 * Open a table that a caller has named by its OID, or raise 42P01.
 */
Relation
open_given_table(Oid relid, LOCKMODE lockmode)
{
	Relation rel = try_table_open(relid, lockmode);

	if (rel == NULL)
		check_relation_exists(relid);
	return rel;
}

/*
 * Return the name of a relation as it can be pasted into a statement: the same under
 * any setting, for records have it.
 */
const char *
qualified_name(Oid relid)
{
	bool quotes_all = quote_all_identifiers;
	const char *name;

	quote_all_identifiers = false;
	name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
	quote_all_identifiers = quotes_all;
	return name;
}

/*
 * Return the owner of a relation, or InvalidOid if there is none of that OID.
 */
Oid
owner_of(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/*
 * Return a table and those that it is a partition or inheritance child of,
 * however far above.
 */
List *
with_ancestors(Oid relid)
{
	static RelationMemo memo; /* asked for row after row */
	static bool is_alone;
	List *relids;

	if (memo_holds(&memo, relid) && is_alone)
		return list_make1_oid(relid);
	relids = look_up_ancestors(relid);
	is_alone = list_length(relids) == 1;
	memo_set(&memo, relid);
	return relids;
}

/*
 * Find a table and its ancestors in the catalogs.
 */
static List *
look_up_ancestors(Oid relid)
{
	List *relids = list_make1_oid(relid);
	ListCell *lc;

	foreach (lc, relids)
	{
		CatalogScan scan =
			begin_catalog_scan(InheritsRelationId, InheritsRelidSeqnoIndexId,
							   Anum_pg_inherits_inhrelid, lfirst_oid(lc));
		HeapTuple tuple;

		while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
			relids =
				list_append_unique_oid(relids,
									   ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
		end_catalog_scan(&scan);
	}
	return relids;
}
