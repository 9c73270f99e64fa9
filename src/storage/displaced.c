/*
 * displaced.c
 *	  Stores, locks, reads, restores and destroys displaced tombstones.
 *
 * A tombstone steps aside when a live row claims a key that it has (keys/claim.c).
 * Then it is a displaced tombstone: a row of soft_delete_internal.displaced, with
 * the table or partition that it was deleted from, its stamp, and its columns, as a
 * JSON object of their names and their values as text.  So it does not depend on
 * the columns of the table, which may be added, dropped, renamed or get another
 * type.  soft_delete_internal.align_displaced() updates the names and texts then.
 *
 * Invariant: a stored value reads back as the same value, whatever the settings of
 * the session that has stored it and of the one that reads it.
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

/* How to convert the text of a column to its value */
typedef struct ColumnInput
{
	const char *name;  /* NULL if the column is dropped, or virtual */
	FmgrInfo function; /* the input function of its type */
	Oid typioparam;
} ColumnInput;

/* What reading displaced tombstones as rows of a relation needs */
struct DisplacedReader
{
	int natts;
	ColumnInput *columns;
	MemoryContext context; /* of the values of the row that was read last */
	Oid relid;
	bool calls_user_functions; /* input functions may call those of users */
	const char *relname;
};

/* The columns of soft_delete_internal.displaced */
enum DisplacedColumn
{
	DISPLACED_RELATION,
	DISPLACED_STAMP,
	DISPLACED_ROW,
	DISPLACED_TYPES,
	N_DISPLACED_COLUMNS
};

/* A scan of the displaced tombstones of a table */
typedef struct DisplacedRows
{
	Relation displaced;
	SysScanDesc scan;
} DisplacedRows;

PG_FUNCTION_INFO_V1(soft_delete_return_displaced);
PG_FUNCTION_INFO_V1(soft_delete_rewrite_displaced);

static void insert_returned_row(ResultRelInfo *relinfo, EState *estate,
								TupleTableSlot *slot);
static List *places_of_displaced(Oid relid);
static bool may_have_displaced(Oid relid);
static bool lock_displaced_row(Relation rel, Tombstone *tombstone);
static bool peek_displaced_row(Relation rel, Tombstone *tombstone,
							   TupleTableSlot *slot);
static void fetch_displaced_row(Relation rel, const Tombstone *tombstone,
								TupleTableSlot *slot);
static void fetch_displaced(Relation rel, ItemPointer tid, TupleTableSlot *slot);
static bool is_displaced_version(Relation rel, const Tombstone *tombstone,
								 Oid file, TransactionId xmin,
								 Snapshot snapshot, TupleTableSlot *slot);
static TupleTableSlot *restore_displaced_row(ResultRelInfo *relinfo,
											 VersionBuilder *builder,
											 Tombstone *tombstone,
											 TupleTableSlot *old,
											 MakeRoom make_room, List **recheck);
static TM_Result destroy_displaced_row(Relation rel, const Tombstone *tombstone,
									   bool waits);
static void destroy_displaced(ItemPointer tid);
static void begin_displaced_rows(TombstoneScan *scan, const ScanPosition *position);
static bool next_displaced_tombstone(TombstoneScan *scan);
static void end_displaced_rows(TombstoneScan *scan);

static void add_error_context(void *arg);
static void check_object_size(Relation rel, const Datum *names,
							  const Datum *texts, const bool *nulls, int n);
static Datum make_text_object(Datum *names, Datum *texts, bool *nulls, int n);

const StorageRoutine displaced_storage = {
	.sample = "displaced",
	.may_share_keys = true,
	.may_have_any = may_have_displaced,
	.lock = lock_displaced_row,
	.peek = peek_displaced_row,
	.fetch = fetch_displaced_row,
	.is_version = is_displaced_version,
	.restore = restore_displaced_row,
	.destroy = destroy_displaced_row,
	.begin_scan = begin_displaced_rows,
	.next = next_displaced_tombstone,
	.end_scan = end_displaced_rows,
};

/*
 * Insert a tombstone of the relation, whose row is in the slot, into
 * soft_delete_internal.displaced.  "attnum" is the relation's tombstone column.
 *
 * Raises 54000 if the row is too large.
 */
void
store_displaced(Relation rel, AttrNumber attnum, TupleTableSlot *slot)
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
	check_object_size(rel, names, texts, nulls, n);

	values[DISPLACED_RELATION] = ObjectIdGetDatum(RelationGetRelid(rel));
	values[DISPLACED_STAMP] = slot_getattr(slot, attnum, &isnull[DISPLACED_STAMP]);
	values[DISPLACED_ROW] = make_text_object(names, texts, nulls, n);
	values[DISPLACED_TYPES] = make_text_object(names, types, NULL, n);

	displaced = table_open(extension_relation("displaced"), RowExclusiveLock);
	append_row(displaced, values, isnull);
	table_close(displaced, NoLock);
}

/*
 * Raise 54000 if a JSON object of these names and texts would be larger than jsonb
 * allows.
 */
static void
check_object_size(Relation rel, const Datum *names, const Datum *texts,
				  const bool *nulls, int n)
{
	Size size = 0;

	for (int i = 0; i < n; i++)
	{
		/* an element takes at most two entries, of its name and text, with padding */
		size += VARSIZE_ANY_EXHDR(DatumGetPointer(names[i])) + 2 * sizeof(JEntry);
		if (!nulls[i])
			size += VARSIZE_ANY_EXHDR(DatumGetPointer(texts[i]));
	}
	if (size > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("deleted row of table \"%s\" is too large to step aside",
						RelationGetRelationName(rel)),
				 errdetail("Its columns take %zu bytes as text, and at most %d bytes can be stored. A value of type bytea takes two bytes for each of its own.",
						   size, JENTRY_OFFLENMASK),
				 errhint("Use another key. To see the deleted rows that have one: SELECT * FROM %s;",
						 bin_name(RelationGetRelid(rel)))));
}

/*
 * Return a JSON object of names and texts, as jsonb.
 */
static Datum
make_text_object(Datum *names, Datum *texts, bool *nulls, int n)
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
 * Make what reading displaced tombstones as rows of the relation needs, in the
 * current memory context.
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
		/* not of the domain itself, whose constraints may be newer than the row */
		getTypeInputInfo(getBaseType(att->atttypid), &input, &column->typioparam);
		reader->calls_user_functions =
			reader->calls_user_functions ||
			input_calls_user_functions(getBaseType(att->atttypid));
		fmgr_info(input, &column->function);
		column->name = pstrdup(NameStr(att->attname));
	}
	return reader;
}

/*
 * Read a row of soft_delete_internal.displaced into a virtual slot of the relation.
 * The values are valid until the next call.
 *
 * Raises XX001 if the row is not a JSON object, and what the input functions of
 * types raise.
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

	context.callback = add_error_context;
	context.arg = (void *) reader->relname;
	context.previous = error_context_stack;
	error_context_stack = &context;
	row = DatumGetJsonbP(heap_getattr(tuple, DISPLACED_ROW + 1, tupdesc, &isnull));
	if (!JB_ROOT_IS_OBJECT(row))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("displaced row of table \"%s\" is not a JSON object",
							   reader->relname)));
	/* the input of a composite type checks the domains in it */
	if (reader->calls_user_functions)
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
	if (reader->calls_user_functions)
		restore_role(&saved);
	error_context_stack = context.previous;
	MemoryContextSwitchTo(oldcontext);

	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = tuple->t_tableOid;
	slot->tts_tid = tuple->t_self;
}

/*
 * Add the name of the table to an error that reading a row raises (error context
 * callback).
 */
static void
add_error_context(void *arg)
{
	errcontext("displaced row of table \"%s\"", (const char *) arg);
}

/*
 * Return the relation that a row of soft_delete_internal.displaced, in the slot,
 * was deleted from.
 */
Oid
displaced_relation(TupleTableSlot *stored)
{
	bool isnull;

	return DatumGetObjectId(slot_getattr(stored, DISPLACED_RELATION + 1, &isnull));
}

/*
 * Return the relation that the row of soft_delete_internal.displaced at a place was
 * deleted from, or InvalidOid if there is no such row.  The place need not be
 * valid.
 */
Oid
displaced_from(ItemPointer tid)
{
	Relation displaced =
		table_open(extension_relation("displaced"), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(displaced, NULL);
	Oid relid = InvalidOid;

	if (fetch_version_at(displaced, tid, slot))
		relid = displaced_relation(slot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(displaced, NoLock);
	return relid;
}

/*
 * Lock a displaced tombstone of the relation (StorageRoutine.lock).
 */
static bool
lock_displaced_row(Relation rel, Tombstone *tombstone)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	TupleTableSlot *stored = table_slot_create(displaced, NULL);
	bool is_locked = lock_newest_version(displaced, &tombstone->tid, stored);

	if (is_locked)
	{
		bool isnull;

		tombstone->tid = stored->tts_tid;
		tombstone->stamp =
			DatumGetTimestampTz(slot_getattr(stored, DISPLACED_STAMP + 1, &isnull));
		is_locked = displaced_relation(stored) == RelationGetRelid(rel);
	}
	ExecDropSingleTupleTableSlot(stored);
	table_close(displaced, NoLock);
	return is_locked;
}

/*
 * Fetch the displaced tombstone of the relation at a place, and return whether
 * there is one (StorageRoutine.peek).
 */
static bool
peek_displaced_row(Relation rel, Tombstone *tombstone, TupleTableSlot *slot)
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
 * Fetch a displaced tombstone that is known to exist (StorageRoutine.fetch).
 */
static void
fetch_displaced_row(Relation rel, const Tombstone *tombstone, TupleTableSlot *slot)
{
	ItemPointerData tid = tombstone->tid;

	fetch_displaced(rel, &tid, slot);
}

/*
 * Fetch a row of soft_delete_internal.displaced that is known to exist into a slot
 * of the relation that it was deleted from.
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
		elog(ERROR, "could not fetch a displaced row");
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
 * Destroy a displaced tombstone (StorageRoutine.destroy).
 */
static TM_Result
destroy_displaced_row(Relation rel, const Tombstone *tombstone, bool waits)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	TM_Result result = destroy_version(displaced, tombstone->tid, waits);

	table_close(displaced, NoLock);
	return result;
}

/*
 * Insert a displaced tombstone into its table again, as a live row
 * (StorageRoutine.restore).  All constraints are enforced, for the table may have
 * got others since the row was deleted.
 */
static TupleTableSlot *
restore_displaced_row(ResultRelInfo *relinfo, VersionBuilder *builder,
					  Tombstone *tombstone, TupleTableSlot *old,
					  MakeRoom make_room, List **recheck)
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
 * Replaces the columns of the row of soft_delete_internal.displaced at a place or,
 * if they are null and its table does not exist any more, destroys the row.  Not by
 * an UPDATE, which would be decoded for logical replication.
 *
 * Raises 42501 unless the caller owns the table that the row was deleted from,
 * 42704 if there is no such row, 22023 if the columns or the types are not JSON
 * objects, 22004 if the columns are null and the table exists.
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

	if (tid == NULL || !lock_newest_version(displaced, tid, slot))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("displaced row %s does not exist",
						tid == NULL
							? "null"
							: DatumGetCString(
								  DirectFunctionCall1(tidout, PointerGetDatum(tid))))));
	relid = displaced_relation(slot);
	if (!relation_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));

	/* as long as its table exists, a row can only be purged */
	if (PG_ARGISNULL(1) && SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("columns of a displaced row must not be null")));
	if (!PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(2) || !JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(1)) ||
			!JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(2)))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("columns and their types must be JSON objects")));
		values[DISPLACED_RELATION] = ObjectIdGetDatum(relid);
		values[DISPLACED_STAMP] =
			slot_getattr(slot, DISPLACED_STAMP + 1, &isnull[DISPLACED_STAMP]);
		values[DISPLACED_ROW] = PG_GETARG_DATUM(1);
		values[DISPLACED_TYPES] = PG_GETARG_DATUM(2);
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
 * Inserts the displaced tombstones of a table, which is not tagged any more, into
 * it.
 *
 * Raises 42501 unless the caller owns the table, 42P01 if there is no such table,
 * 23505 or 23P01 if another row has a key.
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

	tids = places_of_displaced(relid);
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
			insert_returned_row(relinfo, estate, slot);
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
 * Insert a row into its table.  Raises 23505 if it violates a deferrable
 * constraint, too, which is checked immediately.
 */
static void
insert_returned_row(ResultRelInfo *relinfo, EState *estate, TupleTableSlot *slot)
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
 * Begin to read the rows of soft_delete_internal.displaced of a relation, in the
 * order of their stamps.  Unless "limit" is NULL, only stamps before it.
 */
SysScanDesc
scan_displaced(Relation displaced, Oid relid, const TimestampTz *limit,
			   Snapshot snapshot)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], DISPLACED_RELATION + 1, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	if (limit != NULL)
		ScanKeyInit(&keys[1], DISPLACED_STAMP + 1, BTLessStrategyNumber,
					F_TIMESTAMPTZ_LT, TimestampTzGetDatum(*limit));
	return systable_beginscan(displaced,
							  linitial_oid(RelationGetIndexList(displaced)),
							  true, snapshot, limit != NULL ? 2 : 1, keys);
}

/*
 * Return the places of the displaced tombstones of a relation.
 */
static List *
places_of_displaced(Oid relid)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	SysScanDesc scan = scan_displaced(displaced, relid, NULL, GetActiveSnapshot());
	List *tids = NIL;
	HeapTuple tuple;

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
 * Begin to read the displaced tombstones of a table (StorageRoutine.begin_scan).
 * They are few, so the scan is not resumable.
 */
static void
begin_displaced_rows(TombstoneScan *scan, const ScanPosition *position)
{
	DisplacedRows *state = palloc(sizeof(DisplacedRows));

	state->displaced = table_open(extension_relation("displaced"), AccessShareLock);
	state->scan = scan_displaced(state->displaced, RelationGetRelid(scan->rel),
								 &scan->limit, GetActiveSnapshot());
	scan->file = state->displaced->rd_rel->relfilenode;
	scan->state = state;
}

/*
 * Read the next displaced tombstone (StorageRoutine.next).
 */
static bool
next_displaced_tombstone(TombstoneScan *scan)
{
	DisplacedRows *state = scan->state;
	HeapTuple tuple = systable_getnext(state->scan);
	bool isnull;

	if (!HeapTupleIsValid(tuple))
		return false;
	scan->current.tid = tuple->t_self;
	scan->current.stamp = DatumGetTimestampTz(
		heap_getattr(tuple, DISPLACED_STAMP + 1,
					 RelationGetDescr(state->displaced), &isnull));
	scan->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
	return true;
}

/*
 * End the scan (StorageRoutine.end_scan).
 */
static void
end_displaced_rows(TombstoneScan *scan)
{
	DisplacedRows *state = scan->state;

	systable_endscan(state->scan);
	table_close(state->displaced, NoLock);
	pfree(state);
}

/*
 * Does the snapshot see the row of soft_delete_internal.displaced that a scan has
 * found (StorageRoutine.is_version)?
 */
static bool
is_displaced_version(Relation rel, const Tombstone *tombstone, Oid file,
					 TransactionId xmin, Snapshot snapshot, TupleTableSlot *slot)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	TupleTableSlot *stored = table_slot_create(displaced, NULL);
	bool is_same =
		is_version_at(displaced, tombstone->tid, file, xmin, snapshot, stored);

	ExecDropSingleTupleTableSlot(stored);
	table_close(displaced, NoLock);
	return is_same;
}

/*
 * Does the relation, or one of its partitions and inheritance children, have a
 * displaced tombstone (StorageRoutine.may_have_any)?
 */
static bool
may_have_displaced(Oid relid)
{
	Relation displaced =
		table_open(extension_relation("displaced"), AccessShareLock);
	bool is_empty =
		RelationGetNumberOfBlocks(displaced) == 0 || is_kept_aside(relid);
	ListCell *lc;

	table_close(displaced, NoLock);
	if (is_empty)
		return false;
	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (places_of_displaced(lfirst_oid(lc)) != NIL)
			return true;
	}
	return false;
}

/*
 * Destroy all displaced tombstones of a relation.  The caller has locked it, so
 * that no other transaction changes them.
 */
void
destroy_all_displaced(Oid relid)
{
	ListCell *lc;

	PushActiveSnapshot(GetLatestSnapshot());
	foreach (lc, places_of_displaced(relid))
		destroy_displaced(lfirst(lc));
	PopActiveSnapshot();
}
