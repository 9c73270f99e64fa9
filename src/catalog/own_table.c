/*
 * own_table.c
 *	  Writes rows of the extension's own tables.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "utils/snapmgr.h"

#include "catalog/sd_catalog.h"

static bool enter_into_index(Relation rel, HeapTuple tuple, Relation index,
							 IndexInfo *info, Datum *values, bool *nulls);

/*
 * Append a row to one of the extension's own tables and enter it into their
 * indexes, which are on plain columns.  Returns false, and leaves no row, if a
 * row has a unique key of its already, one of a running transaction included.
 *
 * The index looks and enters in one step, with its page locked, so of two
 * sessions with the same key one is told of the other.
 */
bool
append_row(Relation rel, Datum *values, bool *nulls)
{
	HeapTuple tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	List *indexes = RelationGetIndexList(rel);
	bool is_unique = true;
	ListCell *lc;

	heap_insert(rel, tuple, GetCurrentCommandId(true), HEAP_INSERT_NO_LOGICAL, NULL);
	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), RowExclusiveLock);
		IndexInfo *info = BuildIndexInfo(index);

		if (info->ii_ReadyForInserts)
			is_unique &= enter_into_index(rel, tuple, index, info, values, nulls);
		index_close(index, NoLock);
	}
	list_free(indexes);
	if (!is_unique)
	{
		CommandCounterIncrement();
		simple_heap_delete(rel, &tuple->t_self);
	}
	heap_freetuple(tuple);
	return is_unique;
}

/*
 * Enter a row into one index.  Returns false if that has its unique key already.
 */
static bool
enter_into_index(Relation rel, HeapTuple tuple, Relation index, IndexInfo *info,
				 Datum *values, bool *nulls)
{
	Datum keys[INDEX_MAX_KEYS];
	bool key_nulls[INDEX_MAX_KEYS];
	bool is_unique;

	for (int i = 0; i < info->ii_NumIndexAttrs; i++)
	{
		keys[i] = values[info->ii_IndexAttrNumbers[i] - 1];
		key_nulls[i] = nulls[info->ii_IndexAttrNumbers[i] - 1];
	}
	is_unique = index_insert(index, keys, key_nulls, &tuple->t_self, rel,
							 info->ii_Unique ? UNIQUE_CHECK_PARTIAL : UNIQUE_CHECK_NO,
							 false, info);
	index_insert_cleanup(index, info);
	return is_unique || !info->ii_Unique;
}

/*
 * Destroy a row of one of the extension's own tables, which nobody else can
 * change meanwhile.
 */
void
remove_row(Relation rel, ItemPointer tid)
{
	TM_FailureData tmfd;
	TM_Result result = destroy_tuple(rel, tid, GetCurrentCommandId(true),
									 GetActiveSnapshot(), &tmfd);

	if (result != TM_Ok)
		elog(ERROR, "unexpected status of a row of table \"%s\": %u",
			 RelationGetRelationName(rel), result);
}
