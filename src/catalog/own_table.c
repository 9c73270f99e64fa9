/*
 * own_table.c
 *	  Writes rows of the extension's own tables.
 *
 * Invariant: no trigger, rule or policy applies to a row that is written here.  An
 * inserted row is not decoded for logical replication: it is about the rows of
 * this server.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog/sd_catalog.h"

PG_FUNCTION_INFO_V1(soft_delete_replace_record);

static bool insert_index_entry(Relation rel, ItemPointer tid, Relation index,
							   IndexInfo *info, Datum *values, bool *nulls);

/*
 * Return how many bytes a text has, but no more than a hold may have, and whole characters.
 */
int
recorded_length(const char *text)
{
	int length = strnlen(text, MAX_RECORDED_TEXT + 1);

	return length <= MAX_RECORDED_TEXT
			   ? length
			   : pg_mbcliplen(text, length, MAX_RECORDED_TEXT);
}

/*
 * Return a text, that a session or an owner's function says, as the extension's own tables
 * have it: with one that is longer, anybody could make them too large for a dump.
 */
Datum
recorded_text(const char *text)
{
	return PointerGetDatum(cstring_to_text_with_len(text, recorded_length(text)));
}

/*
 * Insert a row into one of the extension's own tables, and into the indexes of the
 * table, which are on plain columns.  Returns false, and leaves no row, if another
 * row has the same key in a unique index, also one of a running transaction.
 *
 * An index looks for the key and inserts the entry in one step, with its page
 * locked.  So of two sessions that insert the same key, one gets false.
 */
bool
append_row(Relation rel, Datum *values, bool *nulls)
{
	ItemPointerData tid;

	return append_row_at(rel, values, nulls, &tid);
}

/*
 * Insert a row as append_row() does, and set its place.
 */
bool
append_row_at(Relation rel, Datum *values, bool *nulls, ItemPointer tid)
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
			is_unique &= insert_index_entry(rel, &tuple->t_self, index, info,
											values, nulls);
		index_close(index, NoLock);
	}
	list_free(indexes);
	if (!is_unique)
	{
		CommandCounterIncrement();
		simple_heap_delete(rel, &tuple->t_self);
	}
	*tid = tuple->t_self;
	heap_freetuple(tuple);
	return is_unique;
}

/*
 * Insert rows into one of the extension's own tables, which has no unique index: a page
 * of them at a time, and then the entries of each index.
 */
void
append_rows(Relation rel, HeapTuple *tuples, int n)
{
	TupleTableSlot **slots = palloc(n * sizeof(TupleTableSlot *));
	/* a copy: no reference to it must be remembered for each slot */
	TupleDesc tupdesc = CreateTupleDescCopy(RelationGetDescr(rel));
	/* heap_multi_insert() cannot keep rows from being decoded */
	bool is_decoded = RelationIsLogicallyLogged(rel);
	CommandId cid = GetCurrentCommandId(true);
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;

	for (int i = 0; i < n; i++)
	{
		slots[i] = MakeSingleTupleTableSlot(tupdesc, &TTSOpsHeapTuple);
		if (is_decoded)
			heap_insert(rel, tuples[i], cid, HEAP_INSERT_NO_LOGICAL, NULL);
		ExecStoreHeapTuple(tuples[i], slots[i], false);
	}
	if (!is_decoded)
		heap_multi_insert(rel, slots, n, cid, 0, NULL);
	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), RowExclusiveLock);
		IndexInfo *info = BuildIndexInfo(index);

		Assert(!info->ii_Unique);
		for (int i = 0; i < n && info->ii_ReadyForInserts; i++)
		{
			slot_getallattrs(slots[i]);
			(void) insert_index_entry(rel, &slots[i]->tts_tid, index, info,
									  slots[i]->tts_values, slots[i]->tts_isnull);
		}
		index_close(index, NoLock);
	}
	for (int i = 0; i < n; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	list_free(indexes);
	FreeTupleDesc(tupdesc);
	pfree(slots);
}

/*
 * Insert the entry of a row into one index.  Returns false if that is unique and
 * has the key already.
 */
static bool
insert_index_entry(Relation rel, ItemPointer tid, Relation index,
				   IndexInfo *info, Datum *values, bool *nulls)
{
	Datum keys[INDEX_MAX_KEYS];
	bool key_nulls[INDEX_MAX_KEYS];
	bool is_unique;

	for (int i = 0; i < info->ii_NumIndexAttrs; i++)
	{
		keys[i] = values[info->ii_IndexAttrNumbers[i] - 1];
		key_nulls[i] = nulls[info->ii_IndexAttrNumbers[i] - 1];
	}
	is_unique = index_insert(index, keys, key_nulls, tid, rel,
							 info->ii_Unique ? UNIQUE_CHECK_PARTIAL : UNIQUE_CHECK_NO,
							 false, info);
	index_insert_cleanup(index, info);
	return is_unique || !info->ii_Unique;
}

/*
 * Delete a row of one of the extension's own tables.  No other transaction can
 * change it, because it is locked or because the table is.
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

/*
 * soft_delete_internal.replace_record(records regclass, place tid, new_record record)
 * returns void
 *
 * Replaces a row of one of the extension's own tables, or removes it if the new one is null.
 * Where a publication has all tables, UPDATE and DELETE are refused for a table without
 * replica identity.  Does nothing if the row has been removed meanwhile.
 *
 * Raises 22004 if another argument is null, 42809 unless the table is one of the extension,
 * and the new row one of it.
 */
Datum
soft_delete_replace_record(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	ItemPointer tid = (ItemPointer) PG_GETARG_POINTER(1);
	HeapTupleHeader record = PG_ARGISNULL(2) ? NULL : PG_GETARG_HEAPTUPLEHEADER(2);
	HeapTupleData tuple = {.t_data = record};
	Relation rel;
	TupleTableSlot *slot;
	TM_FailureData tmfd;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("a row is replaced at a place in a table"),
						errdetail("One of these is null.")));
	if (get_rel_relkind(relid) != RELKIND_RELATION ||
		!is_extension_member(RelationRelationId, relid) ||
		(record != NULL && HeapTupleHeaderGetTypeId(record) != get_rel_type_id(relid)))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("row is none of a table of extension \"%s\"",
							   EXTENSION_NAME)));
	rel = table_open(relid, RowExclusiveLock);
	slot = table_slot_create(rel, NULL);
	/* the place need not be one */
	if (ItemPointerIsValid(tid) &&
		ItemPointerGetBlockNumber(tid) < RelationGetNumberOfBlocks(rel) &&
		table_tuple_fetch_row_version(rel, tid, GetActiveSnapshot(), slot) &&
		destroy_tuple(rel, tid, GetCurrentCommandId(true), GetActiveSnapshot(),
					  &tmfd) == TM_Ok &&
		record != NULL)
	{
		Datum values[MaxHeapAttributeNumber];
		bool nulls[MaxHeapAttributeNumber];

		tuple.t_len = HeapTupleHeaderGetDatumLength(record);
		heap_deform_tuple(&tuple, RelationGetDescr(rel), values, nulls);
		(void) append_row(rel, values, nulls);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}
