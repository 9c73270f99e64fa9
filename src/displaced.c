/*
 * displaced.c
 *	  Keeps the tombstones that stepped aside, and lists them.
 *
 * soft_delete_internal.displaced holds one row per such tombstone: the table or partition
 * that it was taken from, its stamp, and its columns, each as text under its
 * name.  So a row outlives whatever happens to the table: columns that come and
 * go or change their type (soft_delete_internal.update_view_columns() keeps the names and
 * texts in step), and a dump.
 *
 * FROM t TABLESAMPLE soft_delete.rows('displaced') reads them as rows of t, by a
 * custom scan that this file puts in the place of the sample scan.  Their
 * tableoid and ctid are those of the row in soft_delete_internal.displaced, by
 * which the bin's functions and triggers find it.
 *
 * Invariants: what is stored reads back as the same value, whatever the settings
 * of the session that stored it and of the one that reads it.  The executor never
 * looks for such a ctid in t: it is not in t that it leads to that row.  There are
 * three occasions on which it would, FOR UPDATE and its kin, which are refused when
 * they are planned; WHERE CURRENT OF, to which the scan says that it reads
 * soft_delete_internal.displaced; and EvalPlanQual, for which the scan fetches its row by
 * itself.
 */
#include "soft_delete.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "nodes/extensible.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/xml.h"

/* The columns of soft_delete_internal.displaced */
enum
{
	DISPLACED_RELATION = 1,
	DISPLACED_STAMP,
	DISPLACED_ROW,
	DISPLACED_TYPES,
	N_DISPLACED_COLUMNS = DISPLACED_TYPES
};

/* How to turn the text of a column into its value */
typedef struct ColumnInput
{
	const char *name;
	FmgrInfo function;
	Oid typioparam;
} ColumnInput;

typedef struct DisplacedReader
{
	int natts;
	ColumnInput *columns;  /* name is NULL where nothing is stored */
	MemoryContext context; /* of the row that was read last */
	Oid relid;
	bool calls_users; /* as it reads the texts */
	const char *relname;
} DisplacedReader;

/* State of the scan of a table's displaced tombstones */
typedef struct DisplacedScanState
{
	CustomScanState css;
	DisplacedReader *reader;
	Relation table; /* that they were taken from */
	Relation displaced;
	SysScanDesc scan; /* NULL before the first row */
	TupleTableSlot *again; /* the row that EvalPlanQual wants again */
} DisplacedScanState;

PG_FUNCTION_INFO_V1(soft_delete_return_displaced);
PG_FUNCTION_INFO_V1(soft_delete_rewrite_displaced);

static void return_row(ResultRelInfo *relinfo, EState *estate, TupleTableSlot *slot);
static List *displaced_of(Oid relid);

static set_rel_pathlist_hook_type prev_set_rel_pathlist_hook = NULL;

static DisplacedReader *make_displaced_reader(Relation rel);
static void read_displaced(DisplacedReader *reader, HeapTuple tuple,
						   TupleDesc tupdesc, TupleTableSlot *slot);
static void name_table(void *arg);
static void set_unless(bool is_good, const char *name, const char *value);
static void check_size(Relation rel, const Datum *names, const Datum *texts,
					   const bool *nulls, int n);
static Datum text_object(Datum *names, Datum *texts, bool *nulls, int n);
static void replace_sample_path(PlannerInfo *root, RelOptInfo *rel, Index rti,
								RangeTblEntry *rte);
static void refuse_locks(PlannerInfo *root, Index rti, RangeTblEntry *rte);
static Plan *plan_displaced_scan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
								 List *tlist, List *clauses, List *custom_plans);
static Node *create_displaced_scan(CustomScan *plan);
static void begin_displaced_scan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *execute_displaced_scan(CustomScanState *node);
static bool fetch_again(DisplacedScanState *state, EPQState *epqstate,
						const ExecAuxRowMark *mark);
static TupleTableSlot *next_displaced(ScanState *node);
static bool recheck_displaced(ScanState *node, TupleTableSlot *slot);
static void end_displaced_scan(CustomScanState *node);
static void rescan_displaced(CustomScanState *node);

static const CustomPathMethods path_methods = {
	.CustomName = "soft_delete displaced rows",
	.PlanCustomPath = plan_displaced_scan,
};

static const CustomScanMethods scan_methods = {
	.CustomName = "soft_delete displaced rows",
	.CreateCustomScanState = create_displaced_scan,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "soft_delete displaced rows",
	.BeginCustomScan = begin_displaced_scan,
	.ExecCustomScan = execute_displaced_scan,
	.EndCustomScan = end_displaced_scan,
	.ReScanCustomScan = rescan_displaced,
};

/*
 * Install the planner hook and register the scan.
 */
void
init_displaced(void)
{
	prev_set_rel_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = replace_sample_path;
	RegisterCustomScanMethods(&scan_methods);
}

/*
 * Have values turned into text, and back, in one form for all sessions.  To be
 * closed with end_text_form().
 */
int
begin_text_form(void)
{
	int nestlevel = NewGUCNestLevel();

	set_unless(strcmp(namespace_search_path, "pg_catalog") == 0, "search_path",
			   "pg_catalog");
	set_unless(DateStyle == USE_ISO_DATES, "datestyle", "ISO");
	set_unless(IntervalStyle == INTSTYLE_POSTGRES, "intervalstyle", "postgres");
	set_unless(extra_float_digits > 0, "extra_float_digits", "1");
	set_unless(strcmp(GetConfigOption("lc_monetary", false, false), "C") == 0,
			   "lc_monetary", "C");
	set_unless(xmloption == XMLOPTION_CONTENT, "xmloption", "content");
	set_unless(Array_nulls, "array_nulls", "on");
	return nestlevel;
}

/*
 * The same, and in one form whatever is equal to the bit, so that texts can be
 * compared.
 */
int
begin_key_form(void)
{
	int nestlevel = begin_text_form();

	set_unless(strcmp(pg_get_timezone_name(session_timezone), "UTC") == 0,
			   "timezone", "UTC");
	set_unless(bytea_output == BYTEA_OUTPUT_HEX, "bytea_output", "hex");
	return nestlevel;
}

/*
 * Change a setting till the end of the text form, unless it is as wanted.
 */
static void
set_unless(bool is_good, const char *name, const char *value)
{
	if (!is_good)
		(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Give the settings back.
 */
void
end_text_form(int nestlevel)
{
	AtEOXact_GUC(true, nestlevel);
}

/*
 * Enter a tombstone of the relation into soft_delete_internal.displaced.
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
static DisplacedReader *
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
			reader->calls_users || input_calls_users(getBaseType(att->atttypid));
		fmgr_info(input, &column->function);
		column->name = pstrdup(NameStr(att->attname));
	}
	return reader;
}

/*
 * Read a row of soft_delete_internal.displaced into a virtual slot of the relation.  The
 * values live until the next call.
 */
static void
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
 * Lock a displaced tombstone of the relation, and find its newest version and
 * its stamp.  Returns false if it is none with that stamp, or with any where
 * "stamp" is NULL, any more.
 */
bool
lock_displaced(Relation rel, ItemPointer tid, const TimestampTz *stamp,
			   TimestampTz *found)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(displaced, NULL);
	bool is_locked = lock_newest(displaced, tid, slot);

	if (is_locked)
	{
		bool isnull;

		*tid = slot->tts_tid;
		*found = DatumGetTimestampTz(slot_getattr(slot, DISPLACED_STAMP, &isnull));
		is_locked =
			(stamp == NULL || *found == *stamp) &&
			DatumGetObjectId(slot_getattr(slot, DISPLACED_RELATION, &isnull)) ==
				RelationGetRelid(rel);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(displaced, NoLock);
	return is_locked;
}

/*
 * Fetch a locked displaced tombstone into a slot of its relation.
 */
void
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
void
destroy_displaced(ItemPointer tid)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);

	remove_row(displaced, tid);
	table_close(displaced, NoLock);
}

/*
 * The same for one that is not locked.  Returns TM_BeingModified where another
 * transaction has its hands on it.
 */
TM_Result
destroy_displaced_unless_locked(ItemPointer tid)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	TM_FailureData tmfd;
	TM_Result result =
		destroy_unless_locked(displaced, tid, GetCurrentCommandId(true),
							  GetActiveSnapshot(), &tmfd);

	table_close(displaced, NoLock);
	return result;
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
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("no deleted row stepped aside to there")));
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
 * Return those of a relation that are older than that, oldest first, as
 * DisplacedRow, and the file that they are in.
 */
List *
displaced_before(Oid relid, TimestampTz limit, Oid *storage)
{
	Relation displaced =
		table_open(extension_relation("displaced"), AccessShareLock);
	List *rows = NIL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0], DISPLACED_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], DISPLACED_STAMP, BTLessStrategyNumber, F_TIMESTAMPTZ_LT,
				TimestampTzGetDatum(limit));
	scan = systable_beginscan(displaced,
							  linitial_oid(RelationGetIndexList(displaced)),
							  true, GetActiveSnapshot(), 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		DisplacedRow *row = palloc(sizeof(DisplacedRow));
		bool isnull;

		row->tid = tuple->t_self;
		row->stamp = DatumGetTimestampTz(heap_getattr(tuple, DISPLACED_STAMP,
													  RelationGetDescr(displaced), &isnull));
		row->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
		rows = lappend(rows, row);
	}
	systable_endscan(scan);
	*storage = displaced->rd_rel->relfilenode;
	table_close(displaced, NoLock);
	return rows;
}

/*
 * Is there, to the snapshot, the row of soft_delete_internal.displaced that a transaction
 * wrote at that place of the file?
 */
bool
is_displaced_version(Oid storage, ItemPointer tid, TransactionId xmin,
					 Snapshot snapshot)
{
	Relation displaced =
		table_open(extension_relation("displaced"), RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(displaced, NULL);
	bool isnull;
	bool is_same =
		displaced->rd_rel->relfilenode == storage &&
		table_tuple_fetch_row_version(displaced, tid, snapshot, slot) &&
		DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber,
											  &isnull)) == xmin;

	ExecDropSingleTupleTableSlot(slot);
	table_close(displaced, NoLock);
	return is_same;
}

/*
 * Has any tombstone of the relation, or of its partitions and children, stepped
 * aside?
 */
bool
has_displaced(Oid relid)
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
destroy_all_displaced(Oid relid)
{
	ListCell *lc;

	PushActiveSnapshot(GetLatestSnapshot());
	foreach (lc, displaced_of(relid))
		destroy_displaced(lfirst(lc));
	PopActiveSnapshot();
}

/*
 * Does the reference to a tagged table ask for its displaced tombstones?
 */
bool
samples_displaced(RangeTblEntry *rte)
{
	Node *which;

	if (rte->tablesample == NULL ||
		rte->tablesample->tsmhandler != extension_function(SAMPLING_METHOD))
		return false;
	which = linitial(rte->tablesample->args);
	return IsA(which, Const) && !((Const *) which)->constisnull &&
		   strcmp(TextDatumGetCString(((Const *) which)->constvalue),
				  "displaced") == 0;
}

/*
 * set_rel_pathlist hook: read displaced tombstones in place of a sample.
 */
static void
replace_sample_path(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	CustomPath *path;

	if (prev_set_rel_pathlist_hook)
		prev_set_rel_pathlist_hook(root, rel, rti, rte);
	if (rte->rtekind != RTE_RELATION || rte->inh || IS_DUMMY_REL(rel) ||
		!samples_displaced(rte))
		return;
	refuse_locks(root, rti, rte);

	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.param_info =
		get_baserel_parampathinfo(root, rel, rel->lateral_relids);
	path->path.rows = rel->rows;
	path->path.total_cost = cpu_tuple_cost * rel->tuples;
	path->methods = &path_methods;

	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	add_path(rel, &path->path);
}

/*
 * Raise 0A000 if the statement wants to lock the rows: the executor would lock
 * what is at their places in the table.
 */
static void
refuse_locks(PlannerInfo *root, Index rti, RangeTblEntry *rte)
{
	PlanRowMark *mark = get_plan_rowmark(root->rowMarks, rti);

	if (mark == NULL || !RowMarkRequiresRowShareLock(mark->markType))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot lock deleted rows of table \"%s\" that stepped aside",
					get_rel_name(rte->relid)),
			 errdetail("They are not in the table any more."),
			 errhint("Read them without FOR UPDATE or FOR SHARE; what restores or purges them locks them.")));
}

/*
 * Make the plan of the scan.
 */
static Plan *
plan_displaced_scan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
					List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);

	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = extract_actual_clauses(clauses, false);
	plan->scan.scanrelid = rel->relid;
	plan->methods = &scan_methods;
	return &plan->scan.plan;
}

/*
 * Make the state of the scan.
 */
static Node *
create_displaced_scan(CustomScan *plan)
{
	DisplacedScanState *state = palloc0(sizeof(DisplacedScanState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return (Node *) state;
}

/*
 * Begin the scan.  WHERE CURRENT OF takes the place of a row for one in the scan's
 * current relation.
 */
static void
begin_displaced_scan(CustomScanState *node, EState *estate, int eflags)
{
	DisplacedScanState *state = (DisplacedScanState *) node;

	state->table = node->ss.ss_currentRelation;
	state->reader = make_displaced_reader(state->table);
	state->displaced = table_open(extension_relation("displaced"), AccessShareLock);
	state->again = ExecInitExtraTupleSlot(estate, RelationGetDescr(state->table),
										  &TTSOpsVirtual);
	node->ss.ss_currentRelation = state->displaced;
}

/*
 * Return the next row that passes the conditions.
 *
 * EvalPlanQual, which runs the plan again for rows that it has been run for, has
 * the scan return the same row again: ExecScan() would fetch it from the table, by
 * its place.  So it finds the row fetched.
 */
static TupleTableSlot *
execute_displaced_scan(CustomScanState *node)
{
	DisplacedScanState *state = (DisplacedScanState *) node;
	EPQState *epqstate = node->ss.ps.state->es_epq_active;
	int i = ((Scan *) node->ss.ps.plan)->scanrelid - 1;
	ExecAuxRowMark *mark;
	TupleTableSlot *result;

	if (epqstate == NULL || epqstate->relsubs_done[i] ||
		epqstate->relsubs_slot[i] != NULL || epqstate->relsubs_rowmark[i] == NULL)
		return ExecScan(&node->ss, next_displaced, recheck_displaced);

	mark = epqstate->relsubs_rowmark[i];
	if (!fetch_again(state, epqstate, mark))
		ExecClearTuple(state->again);
	/* it takes one or the other */
	epqstate->relsubs_slot[i] = state->again;
	epqstate->relsubs_rowmark[i] = NULL;
	result = ExecScan(&node->ss, next_displaced, recheck_displaced);
	epqstate->relsubs_slot[i] = NULL;
	epqstate->relsubs_rowmark[i] = mark;
	return result;
}

/*
 * Fetch the row that the row at hand was made of.  Returns false if that was none
 * of this table: null-extended by an outer join, or of another partition.
 */
static bool
fetch_again(DisplacedScanState *state, EPQState *epqstate, const ExecAuxRowMark *mark)
{
	TupleTableSlot *stored;
	bool isnull;
	Datum tid = ExecGetJunkAttribute(epqstate->origslot, mark->ctidAttNo, &isnull);
	bool found;

	if (isnull)
		return false;
	stored = table_slot_create(state->displaced, NULL);
	found = fetch_version_at(state->displaced,
							 (ItemPointer) DatumGetPointer(tid), stored) &&
			DatumGetObjectId(slot_getattr(stored, DISPLACED_RELATION, &isnull)) ==
				RelationGetRelid(state->table);
	if (found)
		read_displaced(state->reader, ExecFetchSlotHeapTuple(stored, false, NULL),
					   RelationGetDescr(state->displaced), state->again);
	ExecDropSingleTupleTableSlot(stored);
	return found;
}

/*
 * Return the next displaced tombstone of the table.
 */
static TupleTableSlot *
next_displaced(ScanState *node)
{
	DisplacedScanState *state = (DisplacedScanState *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	HeapTuple tuple;

	if (state->scan == NULL)
	{
		ScanKeyData key;

		ScanKeyInit(&key, DISPLACED_RELATION, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(RelationGetRelid(state->table)));
		state->scan =
			systable_beginscan(state->displaced,
							   get_relname_relid("displaced_relation_deleted_at_idx",
												 RelationGetNamespace(state->displaced)),
							   true, node->ps.state->es_snapshot, 1, &key);
	}
	tuple = systable_getnext(state->scan);
	if (HeapTupleIsValid(tuple))
		read_displaced(state->reader, tuple, RelationGetDescr(state->displaced), slot);
	else
		ExecClearTuple(slot);
	return slot;
}

/*
 * A row of soft_delete_internal.displaced never changes.
 */
static bool
recheck_displaced(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

/*
 * End the scan.
 */
static void
end_displaced_scan(CustomScanState *node)
{
	DisplacedScanState *state = (DisplacedScanState *) node;

	if (state->scan != NULL)
		systable_endscan(state->scan);
	node->ss.ss_currentRelation = state->table;
	table_close(state->displaced, NoLock);
}

/*
 * Start again from the first row.
 */
static void
rescan_displaced(CustomScanState *node)
{
	DisplacedScanState *state = (DisplacedScanState *) node;

	if (state->scan != NULL)
		systable_endscan(state->scan);
	state->scan = NULL;
	ExecScanReScan(&node->ss);
}
