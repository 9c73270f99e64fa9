/*
 * index_method.c
 *	  The access method of the index that finds the tombstones of a table.
 *
 * It is the server's B-tree under another name.  What counts is who hands it out:
 * the server calls our function as it opens such an index, and so loads the
 * library.  The planner opens all indexes of a table before it asks its hooks
 * about the table.  So the live filter is in force from the first plan on, in
 * background workers and wherever else no setting loads the library, and where
 * its file is gone no plan is made at all.
 *
 * Invariant: no plan reads a tagged table that has this index unless the library
 * is loaded.  COPY table TO makes no plan.
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/nbtree.h"
#include "catalog/pg_am.h"
#include "utils/fmgrprotos.h"

#include "storage/sd_storage.h"

PG_FUNCTION_INFO_V1(soft_delete_btree_handler);

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
 * Build the index.  The sort asks whether it is for a B-tree, by the OID of the
 * access method.
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
 * Insert into the index.  The B-tree's assertions ask for the OID of the access
 * method.
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
 * Is the index one of this access method?
 */
bool
has_own_method(Relation index)
{
	return OidIsValid(index->rd_amhandler) &&
		   index->rd_amhandler == extension_function(INDEX_HANDLER);
}
