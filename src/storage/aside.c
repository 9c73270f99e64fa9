/*
 * aside.c
 *	  Tombstones that stepped aside from their table.
 *
 * soft_delete_internal.displaced holds one row per such tombstone: the table or partition
 * that it was taken from, its stamp, and its columns, each as text under its
 * name.  So a row outlives whatever happens to the table: columns that come and
 * go or change their type (soft_delete_internal.update_view_columns() keeps the names and
 * texts in step), and a dump.
 *
 * Invariant: what is stored reads back as the same value, whatever the settings
 * of the session that stored it and of the one that reads it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "storage/sd_storage.h"

/* How to turn the text of a column into its value */
typedef struct ColumnInput
{
	const char *name;
	FmgrInfo function;
	Oid typioparam;
} ColumnInput;

struct DisplacedReader
{
	int natts;
	ColumnInput *columns;  /* name is NULL where nothing is stored */
	MemoryContext context; /* of the row that was read last */
	Oid relid;
	bool calls_users; /* as it reads the texts */
	const char *relname;
};

/* A scan of the tombstones that stepped aside from a table */
typedef struct AsideScan
{
	Relation displaced;
	SysScanDesc scan;
} AsideScan;

PG_FUNCTION_INFO_V1(soft_delete_return_displaced);
PG_FUNCTION_INFO_V1(soft_delete_rewrite_displaced);

static void return_row(ResultRelInfo *relinfo, EState *estate, TupleTableSlot *slot);
static List *displaced_of(Oid relid);
static bool has_any(Oid relid);
static bool lock_aside(Relation rel, Tombstone *tombstone,
					   const TimestampTz *stamp, TupleTableSlot *slot);
static bool peek_aside(Relation rel, Tombstone *tombstone, TupleTableSlot *slot);
static void fetch_aside(Relation rel, const Tombstone *tombstone,
						TupleTableSlot *slot);
static void fetch_displaced(Relation rel, ItemPointer tid, TupleTableSlot *slot);
static bool is_version_aside(Relation rel, const Tombstone *tombstone, Oid file,
							 TransactionId xmin, Snapshot snapshot,
							 TupleTableSlot *slot);
static TupleTableSlot *restore_aside(ResultRelInfo *relinfo, VersionBuilder *builder,
									 Tombstone *tombstone, TupleTableSlot *old,
									 MakeRoom make_room, List **recheck);
static TM_Result destroy_aside(Relation rel, const Tombstone *tombstone, bool waits);
static void destroy_displaced(ItemPointer tid);
static void begin_aside_scan(TombstoneScan *scan, const ScanPosition *position);
static bool next_aside(TombstoneScan *scan);
static void end_aside_scan(TombstoneScan *scan);

static void name_table(void *arg);
static void check_size(Relation rel, const Datum *names, const Datum *texts,
					   const bool *nulls, int n);
static Datum text_object(Datum *names, Datum *texts, bool *nulls, int n);

const StorageRoutine aside_storage = {
	.sample = "displaced",
	.may_share_keys = true,
	.may_have_any = has_any,
	.lock = lock_aside,
	.peek = peek_aside,
	.fetch = fetch_aside,
	.is_version = is_version_aside,
	.restore = restore_aside,
	.destroy = destroy_aside,
	.begin_scan = begin_aside_scan,
	.next = next_aside,
	.end_scan = end_aside_scan,
};

/*
 * Enter a tombstone of the relation into soft_delete_internal.displaced.
 */
void
keep_aside(Relation rel, AttrNumber attnum, TupleTableSlot *slot)
{
	TupleDesc tupdesc = slot->tts_tupleDescriptor;
	Datum *names = palloc(tupdesc->natts * sizeof(Datum));
	Datum *texts = palloc(tupdesc->natts * sizeof(Datum));
	Datum *types = palloc(tupdesc->natts * sizeof(Datum));
	bool *nulls = palloc(tupdesc->natts * sizeof(bool));
	Datum values[N_DISPLACED_COLUMNS];
	bool isnull[N_DISPLACED_COLUMNS] = {false};
	Relation displaced;
	int n = 0;
	int nestlevel = begin_text_form();

	for (int attno = 1; attno <= tupdesc->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, attno - 1);
		Datum value;
		Oid output;
		bool is_varlena;

		if (att->attisdropped || is_virtual_column(att))
			continue;
		value = slot_getattr(slot, attno, &nulls[n]);
		names[n] = CStringGetTextDatum(NameStr(att->attname));
		types[n] = CStringGetTextDatum(
			format_type_with_typemod(att->atttypid, att->atttypmod));
		if (!nulls[n])
		{
			getTypeOutputInfo(att->atttypid, &output, &is_varlena);
			texts[n] = CStringGetTextDatum(OidOutputFunctionCall(output, value));
		}
		n++;
	}
	end_text_form(nestlevel);
	check_size(rel, names, texts, nulls, n);

	values[DISPLACED_RELATION - 1] = ObjectIdGetDatum(RelationGetRelid(rel));
	values[DISPLACED_STAMP - 1] = slot_getattr(slot, attnum, &isnull[0]);
	values[DISPLACED_ROW - 1] = text_object(names, texts, nulls, n);
	values[DISPLACED_TYPES - 1] = text_object(names, types, NULL, n);

	displaced = table_open(extension_relation("displaced"), RowExclusiveLock);
	append_row(displaced, values, isnull);
	table_close(displaced, NoLock);
}

/*
 * Raise 54000 if the columns of a row are larger as text than a jsonb object may
 * be.
 */
static void
check_size(Relation rel, const Datum *names, const Datum *texts,
		   const bool *nulls, int n)
{
	Size size = 0;

	for (int i = 0; i < n; i++)
	{
		/* the largest padding and entry that an element takes */
		size += VARSIZE_ANY_EXHDR(DatumGetPointer(names[i])) + 2 * sizeof(JEntry);
		if (!nulls[i])
			size += VARSIZE_ANY_EXHDR(DatumGetPointer(texts[i]));
	}
	if (size > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a deleted row of table \"%s\" is too large to step aside",
						RelationGetRelationName(rel)),
				 errdetail("Its columns take %zu bytes as text, of which %d can be kept. A bytea takes two for each byte.",
						   size, JENTRY_OFFLENMASK),
				 errhint("Use another key, or see the rows whose keys are kept: SELECT * FROM %s;",
						 bin_name(RelationGetRelid(rel)))));
}

/*
 * Return a jsonb object of texts.
 */
static Datum
text_object(Datum *names, Datum *texts, bool *nulls, int n)
{
	int lower = 1;
	ArrayType *keys = construct_md_array(names, NULL, 1, &n, &lower, TEXTOID,
										 -1, false, TYPALIGN_INT);
	ArrayType *values = construct_md_array(texts, nulls, 1, &n, &lower, TEXTOID,
										   -1, false, TYPALIGN_INT);

	return DirectFunctionCall2(jsonb_object_two_arg, PointerGetDatum(keys),
							   PointerGetDatum(values));
}

/*
 * Prepare to read displaced tombstones as rows of the relation, in the current
 * memory context.
 */
DisplacedReader *
make_displaced_reader(Relation rel)
{
	TupleDesc tupdesc = RelationGetDescr(rel);
	DisplacedReader *reader = palloc0(sizeof(DisplacedReader));

	reader->relid = RelationGetRelid(rel);
	reader->relname = pstrdup(RelationGetRelationName(rel));
	reader->natts = tupdesc->natts;
	reader->columns = palloc0(tupdesc->natts * sizeof(ColumnInput));
	reader->context =
		AllocSetContextCreate(CurrentMemoryContext, "soft_delete displaced row",
							  ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		ColumnInput *column = &reader->columns[i];
		Oid input;

		if (att->attisdropped || is_virtual_column(att))
			continue;
		/* a domain may have got constraints that old rows need not satisfy */
		getTypeInputInfo(getBaseType(att->atttypid), &input, &column->typioparam);
		reader->calls_users =
			reader->calls_users ||
			input_calls_user_functions(getBaseType(att->atttypid));
		fmgr_info(input, &column->function);
		column->name = pstrdup(NameStr(att->attname));
	}
	return reader;
}

/*
 * Read a row of soft_delete_internal.displaced into a virtual slot of the relation.  The
 * values live until the next call.
 */
void
read_displaced(DisplacedReader *reader, HeapTuple tuple, TupleDesc tupdesc,
			   TupleTableSlot *slot)
{
	MemoryContext oldcontext;
	ErrorContextCallback context;
	Jsonb *row;
	bool isnull;
	int nestlevel;
	SavedRole saved;

	ExecClearTuple(slot);
	MemoryContextReset(reader->context);
	oldcontext = MemoryContextSwitchTo(reader->context);

	context.callback = name_table;
	context.arg = (void *) reader->relname;
	context.previous = error_context_stack;
	error_context_stack = &context;
	row = DatumGetJsonbP(heap_getattr(tuple, DISPLACED_ROW, tupdesc, &isnull));
	if (!JB_ROOT_IS_OBJECT(row))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("a deleted row of table \"%s\" that stepped aside is no JSON object",
							   reader->relname)));
	/* input of a domain within a type runs its constraints */
	if (reader->calls_users)
		become_owner_of(reader->relid, &saved);
	nestlevel = begin_text_form();
	for (int i = 0; i < reader->natts; i++)
	{
		ColumnInput *column = &reader->columns[i];
		JsonbValue text = {.type = jbvNull};

		if (column->name != NULL)
			(void) getKeyJsonValueFromContainer(&row->root, column->name,
												strlen(column->name), &text);
		slot->tts_isnull[i] = text.type != jbvString;
		slot->tts_values[i] = (Datum) 0;
		if (text.type == jbvString)
			slot->tts_values[i] =
				InputFunctionCall(&column->function,
								  pnstrdup(text.val.string.val, text.val.string.len),
								  column->typioparam, -1);
	}
	end_text_form(nestlevel);
	if (reader->calls_users)
		restore_role(&saved);
	error_context_stack = context.previous;
	MemoryContextSwitchTo(oldcontext);

	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = tuple->t_tableOid;
	slot->tts_tid = tuple->t_self;
}

/*
 * Tell of which table a row cannot be read (error context callback).
 */
static void
name_table(void *arg)
{
	errcontext("deleted row of table \"%s\" that stepped aside", (const char *) arg);
}

/*
 * Return the relation that a row of soft_delete_internal.displaced was taken from, or
 * InvalidOid if there is no such row.
 */
Oid
displaced_from(ItemPointer tid)
{
	Relation displaced =
		table_open(extension_relation("displaced"), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(displaced, NULL);
	Oid relid = InvalidOid;
	bool isnull;

	if (fetch_version_at(displaced, tid, slot))
		relid = DatumGetObjectId(slot_getattr(slot, DISPLACED_RELATION, &isnull));
	ExecDropSingleTupleTableSlot(slot);
	table_close(displaced, NoLock);
	return relid;
}

/*
 * Lock a tombstone that stepped aside from the relation.
 */
static bool
lock_aside(Relation rel, Tombstone *tombstone, const TimestampTz *stamp,
		   TupleTableSlot *slot)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	TupleTableSlot *stored = table_slot_create(displaced, NULL);
	bool is_locked = lock_newest(displaced, &tombstone->tid, stored);

	if (is_locked)
	{
		bool isnull;

		tombstone->tid = stored->tts_tid;
		tombstone->stamp =
			DatumGetTimestampTz(slot_getattr(stored, DISPLACED_STAMP, &isnull));
		is_locked =
			(stamp == NULL || tombstone->stamp == *stamp) &&
			DatumGetObjectId(slot_getattr(stored, DISPLACED_RELATION, &isnull)) ==
				RelationGetRelid(rel);
	}
	ExecDropSingleTupleTableSlot(stored);
	table_close(displaced, NoLock);
	if (is_locked && slot != NULL)
		fetch_displaced(rel, &tombstone->tid, slot);
	return is_locked;
}

/*
 * Fetch a tombstone of the relation, if there is one at that place.
 */
static bool
peek_aside(Relation rel, Tombstone *tombstone, TupleTableSlot *slot)
{
	bool isnull;

	if (displaced_from(&tombstone->tid) != RelationGetRelid(rel))
		return false;
	fetch_displaced(rel, &tombstone->tid, slot);
	tombstone->stamp =
		DatumGetTimestampTz(slot_getattr(slot, tombstone_attribute(rel), &isnull));
	return !isnull;
}

/*
 * Fetch a tombstone that is there.
 */
static void
fetch_aside(Relation rel, const Tombstone *tombstone, TupleTableSlot *slot)
{
	ItemPointerData tid = tombstone->tid;

	fetch_displaced(rel, &tid, slot);
}

/*
 * Fetch a row of soft_delete_internal.displaced that is there into a slot of the
 * relation that it was taken from.
 */
static void
fetch_displaced(Relation rel, ItemPointer tid, TupleTableSlot *slot)
{
	Relation displaced =
		table_open(extension_relation("displaced"), AccessShareLock);
	TupleTableSlot *stored = table_slot_create(displaced, NULL);
	TupleTableSlot *row =
		MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	DisplacedReader *reader = make_displaced_reader(rel);

	if (!table_tuple_fetch_row_version(displaced, tid, SnapshotAny, stored))
		elog(ERROR, "failed to fetch a locked row that stepped aside");
	read_displaced(reader, ExecFetchSlotHeapTuple(stored, false, NULL),
				   RelationGetDescr(displaced), row);
	ExecCopySlot(slot, row);
	MemoryContextDelete(reader->context);
	ExecDropSingleTupleTableSlot(row);
	ExecDropSingleTupleTableSlot(stored);
	table_close(displaced, NoLock);
}

/*
 * Destroy a locked row of soft_delete_internal.displaced.
 */
static void
destroy_displaced(ItemPointer tid)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);

	remove_row(displaced, tid);
	table_close(displaced, NoLock);
}

/*
 * Destroy a tombstone.
 */
static TM_Result
destroy_aside(Relation rel, const Tombstone *tombstone, bool waits)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	ItemPointerData tid = tombstone->tid;
	TM_FailureData tmfd;
	TM_Result result =
		waits ? destroy_tuple(displaced, &tid, GetCurrentCommandId(true),
							  GetActiveSnapshot(), &tmfd)
			  : destroy_unless_locked(displaced, &tid, GetCurrentCommandId(true),
									  GetActiveSnapshot(), &tmfd);

	table_close(displaced, NoLock);
	return result;
}

/*
 * Enter a row into its table again.
 *
 * The table may have got other constraints meanwhile, so they are enforced.
 */
static TupleTableSlot *
restore_aside(ResultRelInfo *relinfo, VersionBuilder *builder, Tombstone *tombstone,
			  TupleTableSlot *old, MakeRoom make_room, List **recheck)
{
	const Datum none = (Datum) 0;
	const bool isnull = true;
	Relation rel = relinfo->ri_RelationDesc;
	TupleTableSlot *slot = build_version(builder, rel, old, &none, &isnull);

	if (RelationGetDescr(rel)->constr != NULL)
		ExecConstraints(relinfo, slot, builder->estate);
	if (rel->rd_rel->relispartition)
		ExecPartitionCheck(relinfo, slot, builder->estate, true);

	make_room(rel, slot);
	table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
	destroy_displaced(&tombstone->tid);
	tombstone->storage = IN_PLACE;
	tombstone->tid = slot->tts_tid;
	*recheck = insert_index_tuples(relinfo, slot, builder->estate, TU_All);
	return slot;
}

/*
 * soft_delete_internal.rewrite_displaced(ctid tid, "row" jsonb, types jsonb) returns void
 *
 * Replaces the columns of a row of soft_delete_internal.displaced, or destroys it, where
 * they are null and its table is gone.  Not an UPDATE: nothing that happens in
 * that table concerns replication.
 *
 * Raises 42501 unless the caller owns the table that it was taken from, 42704
 * if there is no such row, 22023 if the columns or the types are no objects, 22004
 * if they are null and the table is there.
 */
Datum
soft_delete_rewrite_displaced(PG_FUNCTION_ARGS)
{
	ItemPointer tid = PG_ARGISNULL(0) ? NULL : (ItemPointer) PG_GETARG_POINTER(0);
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(displaced, NULL);
	Datum values[N_DISPLACED_COLUMNS];
	bool isnull[N_DISPLACED_COLUMNS] = {false};
	Oid relid;

	if (tid == NULL || !lock_newest(displaced, tid, slot))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("displaced row %s does not exist",
						tid ? DatumGetCString(
								  DirectFunctionCall1(tidout, PointerGetDatum(tid)))
							: "null")));
	relid = DatumGetObjectId(slot_getattr(slot, DISPLACED_RELATION, &isnull[0]));
	if (!relation_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));

	/* as long as there is its table, a row is destroyed by purging it */
	if (PG_ARGISNULL(1) && SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the columns of a deleted row must not be null")));
	if (!PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(2) || !JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(1)) ||
			!JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(2)))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("columns and their types must be JSON objects")));
		values[DISPLACED_RELATION - 1] = ObjectIdGetDatum(relid);
		values[DISPLACED_STAMP - 1] =
			slot_getattr(slot, DISPLACED_STAMP, &isnull[0]);
		values[DISPLACED_ROW - 1] = PG_GETARG_DATUM(1);
		values[DISPLACED_TYPES - 1] = PG_GETARG_DATUM(2);
		append_row(displaced, values, isnull);
	}
	destroy_displaced(&slot->tts_tid);
	ExecDropSingleTupleTableSlot(slot);
	table_close(displaced, NoLock);
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.return_displaced(relation regclass) returns void
 *
 * Enters the tombstones that stepped aside into their table, which is not tagged
 * any more.
 *
 * Raises 42501 unless the caller owns the table, 23505 or 23P01 where a key is
 * taken.
 */
Datum
soft_delete_return_displaced(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Relation rel = open_given_table(relid, RowExclusiveLock);
	List *tids;
	ListCell *lc;

	if (!relation_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));

	tids = displaced_of(relid);
	if (tids != NIL)
	{
		EState *estate = CreateExecutorState();
		ResultRelInfo *relinfo = makeNode(ResultRelInfo);
		TupleTableSlot *slot = table_slot_create(rel, NULL);
		SavedRole saved;

		/* types and indexes may call functions that the owner has written */
		become_owner(rel, &saved);
		InitResultRelInfo(relinfo, rel, 0, NULL, 0);
		ExecOpenIndices(relinfo, false);
		foreach (lc, tids)
		{
			CHECK_FOR_INTERRUPTS();
			ResetPerTupleExprContext(estate);
			fetch_displaced(rel, lfirst(lc), slot);
			return_row(relinfo, estate, slot);
			destroy_displaced(lfirst(lc));
		}
		ExecCloseIndices(relinfo);
		restore_role(&saved);
		ExecDropSingleTupleTableSlot(slot);
		FreeExecutorState(estate);
	}
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * Enter one row into its table.  A deferrable constraint is checked here and
 * now.
 */
static void
return_row(ResultRelInfo *relinfo, EState *estate, TupleTableSlot *slot)
{
	Relation rel = relinfo->ri_RelationDesc;
	List *recheck;

	table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
	recheck = insert_index_tuples(relinfo, slot, estate, TU_All);
	if (recheck != NIL)
	{
		Relation index = index_open(linitial_oid(recheck), NoLock);
		char *name = RelationGetRelationName(index);
		Datum values[INDEX_MAX_KEYS];
		bool isnull[INDEX_MAX_KEYS];

		FormIndexDatum(BuildIndexInfo(index), slot, estate, values, isnull);
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("duplicate key value violates unique constraint \"%s\"", name),
				 errdetail("Key %s already exists.",
						   BuildIndexValueDescription(index, values, isnull)),
				 errtableconstraint(rel, name)));
	}
}

/*
 * Return the places of the displaced tombstones of a relation.
 */
static List *
displaced_of(Oid relid)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	List *tids = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, DISPLACED_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(displaced,
							  linitial_oid(RelationGetIndexList(displaced)),
							  true, GetActiveSnapshot(), 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		ItemPointer tid = palloc(sizeof(ItemPointerData));

		*tid = tuple->t_self;
		tids = lappend(tids, tid);
	}
	systable_endscan(scan);
	table_close(displaced, NoLock);
	return tids;
}

/*
 * Begin to read the tombstones that stepped aside from a table.  They are few, so
 * they are always read whole.
 */
static void
begin_aside_scan(TombstoneScan *scan, const ScanPosition *position)
{
	AsideScan *state = palloc(sizeof(AsideScan));
	ScanKeyData keys[2];

	state->displaced = table_open(extension_relation("displaced"), AccessShareLock);
	ScanKeyInit(&keys[0], DISPLACED_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(scan->rel)));
	ScanKeyInit(&keys[1], DISPLACED_STAMP, BTLessStrategyNumber,
				F_TIMESTAMPTZ_LT, TimestampTzGetDatum(scan->limit));
	state->scan =
		systable_beginscan(state->displaced,
						   linitial_oid(RelationGetIndexList(state->displaced)),
						   true, GetActiveSnapshot(), 2, keys);
	scan->file = state->displaced->rd_rel->relfilenode;
	scan->state = state;
}

/*
 * Go on to the next one.
 */
static bool
next_aside(TombstoneScan *scan)
{
	AsideScan *state = scan->state;
	HeapTuple tuple = systable_getnext(state->scan);
	bool isnull;

	if (!HeapTupleIsValid(tuple))
		return false;
	scan->current.tid = tuple->t_self;
	scan->current.stamp = DatumGetTimestampTz(
		heap_getattr(tuple, DISPLACED_STAMP, RelationGetDescr(state->displaced),
					 &isnull));
	scan->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
	return true;
}

/*
 * End the scan.
 */
static void
end_aside_scan(TombstoneScan *scan)
{
	AsideScan *state = scan->state;

	systable_endscan(state->scan);
	table_close(state->displaced, NoLock);
	pfree(state);
}

/*
 * Does the snapshot see the row of soft_delete_internal.displaced that a transaction
 * wrote at that place of the file?
 */
static bool
is_version_aside(Relation rel, const Tombstone *tombstone, Oid file,
				 TransactionId xmin, Snapshot snapshot, TupleTableSlot *slot)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	TupleTableSlot *stored = table_slot_create(displaced, NULL);
	ItemPointerData tid = tombstone->tid;
	bool isnull;
	bool is_same =
		displaced->rd_rel->relfilenode == file &&
		table_tuple_fetch_row_version(displaced, &tid, snapshot, stored) &&
		DatumGetTransactionId(slot_getsysattr(stored, MinTransactionIdAttributeNumber,
											  &isnull)) == xmin;

	ExecDropSingleTupleTableSlot(stored);
	table_close(displaced, NoLock);
	return is_same;
}

/*
 * Has any tombstone of the relation, or of its partitions and children, stepped
 * aside?
 */
static bool
has_any(Oid relid)
{
	Relation displaced =
		table_open(extension_relation("displaced"), AccessShareLock);
	bool is_empty = RelationGetNumberOfBlocks(displaced) == 0;
	ListCell *lc;

	table_close(displaced, NoLock);
	if (is_empty)
		return false;
	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (displaced_of(lfirst_oid(lc)) != NIL)
			return true;
	}
	return false;
}

/*
 * Destroy the displaced tombstones of a relation, which is locked.
 */
void
destroy_all_aside(Oid relid)
{
	ListCell *lc;

	PushActiveSnapshot(GetLatestSnapshot());
	foreach (lc, displaced_of(relid))
		destroy_displaced(lfirst(lc));
	PopActiveSnapshot();
}
