/*
 * relation.c
 *	  Looks up the name, the owner and the ancestors of a relation.
 *
 * Invariant: no function here waits for a lock, except open_given_table().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/sd_catalog.h"

uint64 relcache_changes = 0;

static void count_change(Datum arg, Oid relid);
static List *look_up_ancestors(Oid relid);

/*
 * Register the relcache callback.
 */
void
init_relation(void)
{
	CacheRegisterRelcacheCallback(count_change, (Datum) 0);
}

/*
 * Count a change of the relation cache (relcache callback).
 */
static void
count_change(Datum arg, Oid relid)
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
 * Open a table that a caller has named by its OID.  Raises 42P01 if it does not
 * exist, 42809 if it is another kind of relation.
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
 * Return the name of a relation with its schema, quoted where that is needed.  It
 * does not depend on quote_all_identifiers, for it is stored in tables too.
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
 * Return the owner of a relation, or InvalidOid if there is no such relation.
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
 * Return a table and its ancestors: the tables that it is a partition or an
 * inheritance child of, directly or not.
 */
List *
with_ancestors(Oid relid)
{
	static RelationMemo memo; /* callers ask for each row */
	static bool has_none;
	List *relids;

	if (memo_holds(&memo, relid) && has_none)
		return list_make1_oid(relid);
	relids = look_up_ancestors(relid);
	has_none = list_length(relids) == 1;
	memo_set(&memo, relid);
	return relids;
}

/*
 * Return what a function finds for a relation or for the nearest ancestor for which it
 * finds anything, or InvalidOid.
 */
Oid
find_on_ancestors(Oid relid, Oid (*find_on)(Oid relid))
{
	Oid found = InvalidOid;
	ListCell *lc;

	foreach (lc, with_ancestors(relid))
	{
		found = find_on(lfirst_oid(lc));
		if (OidIsValid(found))
			break;
	}
	return found;
}

/*
 * Look up the result of with_ancestors() in pg_inherits.
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
