/*
 * index_method.c
 *	  The access method of the index on the stamps of tombstones.
 *
 * It is the server's B-tree, but its handler is a function of this library.  The
 * server calls the handler when it opens such an index, and so loads the library.
 * The planner opens all indexes of a table before it calls its hooks for the table.
 * So the live filter is in force from the first plan on, also in background workers
 * and wherever else no setting loads the library.  If the file of the library is
 * missing, planning fails.
 *
 * Invariant: no plan reads a tagged table that has this index unless the library
 * is loaded.  COPY table TO is not planned, so this does not hold for it.
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

#include "storage/sd_storage.h"

PG_FUNCTION_INFO_V1(soft_delete_btree_handler);
PG_FUNCTION_INFO_V1(soft_delete_is_btree);

#if SORTS_FOR_BTREE_ONLY || defined(USE_ASSERT_CHECKING)
static IndexBuildResult *build_as_btree(Relation heap, Relation index,
										IndexInfo *info);
#endif
#ifdef USE_ASSERT_CHECKING
static bool insert_as_btree(Relation index, Datum *values, bool *isnull,
							ItemPointer tid, Relation heap, IndexUniqueCheck check,
							bool unchanged, IndexInfo *info);
#endif

/*
 * soft_delete_internal.btree_handler(internal) returns index_am_handler
 *
 * Returns the routine of the server's B-tree, with the functions replaced that
 * depend on the OID of its access method.
 */
Datum
soft_delete_btree_handler(PG_FUNCTION_ARGS)
{
	Datum routine = bthandler(fcinfo);

#if SORTS_FOR_BTREE_ONLY || defined(USE_ASSERT_CHECKING)
	((IndexAmRoutine *) DatumGetPointer(routine))->ambuild = build_as_btree;
	forbid_parallel_build((IndexAmRoutine *) DatumGetPointer(routine));
#endif
#ifdef USE_ASSERT_CHECKING
	((IndexAmRoutine *) DatumGetPointer(routine))->aminsert = insert_as_btree;
#endif
	return routine;
}

#if SORTS_FOR_BTREE_ONLY || defined(USE_ASSERT_CHECKING)
/*
 * Build the index (ambuild).  The server's sort for an index works for the B-tree
 * only, which it recognizes by the OID of the access method: so that is changed
 * meanwhile.
 */
static IndexBuildResult *
build_as_btree(Relation heap, Relation index, IndexInfo *info)
{
	Oid method = index->rd_rel->relam;
	IndexBuildResult *result;

	index->rd_rel->relam = BTREE_AM_OID;
	PG_TRY();
	{
		result = btbuild(heap, index, info);
	}
	PG_FINALLY();
	{
		index->rd_rel->relam = method;
	}
	PG_END_TRY();
	return result;
}
#endif

#ifdef USE_ASSERT_CHECKING
/*
 * Insert an entry into the index (aminsert).  Assertions of the B-tree compare the
 * OID of the access method: so that is changed in the meantime.
 */
static bool
insert_as_btree(Relation index, Datum *values, bool *isnull, ItemPointer tid,
				Relation heap, IndexUniqueCheck check, bool unchanged,
				IndexInfo *info)
{
	Oid method = index->rd_rel->relam;
	bool result;

	index->rd_rel->relam = BTREE_AM_OID;
	PG_TRY();
	{
		result = btinsert(index, values, isnull, tid, heap, check, unchanged, info);
	}
	PG_FINALLY();
	{
		index->rd_rel->relam = method;
	}
	PG_END_TRY();
	return result;
}
#endif

/*
 * Does the index use this access method?
 */
bool
has_own_method(Relation index)
{
	return OidIsValid(index->rd_amhandler) &&
		   index->rd_amhandler == extension_function(INDEX_HANDLER);
}

/*
 * soft_delete_internal.is_soft_delete_btree(index regclass) returns boolean
 *
 * Returns whether an index uses this access method.
 */
Datum
soft_delete_is_btree(PG_FUNCTION_ARGS)
{
	HeapTuple index = SearchSysCache1(RELOID, ObjectIdGetDatum(PG_GETARG_OID(0)));
	HeapTuple method;
	bool result = false;

	if (!HeapTupleIsValid(index))
		PG_RETURN_BOOL(false);
	method = SearchSysCache1(
		AMOID, ObjectIdGetDatum(((Form_pg_class) GETSTRUCT(index))->relam));
	ReleaseSysCache(index);
	if (HeapTupleIsValid(method))
	{
		result = ((Form_pg_am) GETSTRUCT(method))->amhandler ==
				 extension_function(INDEX_HANDLER);
		ReleaseSysCache(method);
	}
	PG_RETURN_BOOL(result);
}
