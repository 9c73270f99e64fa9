/*
 * set_null.c
 *	  Records the references that ON DELETE SET NULL and SET DEFAULT overwrite, and
 *	  gives them back when the row is restored that they led to.
 *
 * These actions overwrite what live children of a deleted row reference.  A trigger
 * on the referencing table records in soft_delete_internal.set_null_references which row it
 * was, what it referenced and what it was left with.  A restore gives the reference
 * back where the row is still there and still holds what it was left with, and says
 * how many references it left alone.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "references/sd_references.h"

/* Columns of soft_delete_internal.set_null_references */
enum SetNullColumn
{
	CUT_DELETED_AT,
	CUT_RELATION,
	CUT_CONSTRAINT,
	CUT_KEY_COLUMNS,
	CUT_KEY,
	CUT_REFERENCED,
	CUT_LEFT_WITH,
	N_CUT_COLUMNS
};

/* The name by which queries read recorded references, and its columns */
#define SET_NULL_REFERENCES EXTENSION_SCHEMA "_cuts"
enum SetNullField
{
	FIELD_NUMBER,
	FIELD_STAMP,
	FIELD_KEY,
	FIELD_REFERENCED,
	FIELD_LEFT_WITH,
	N_FIELDS
};

/* The recorded references of one foreign key that may have led to some members */
typedef struct SetNullReferences
{
	Relation table;
	const ForeignKey *top; /* as it was declared */
	List *key_columns;	   /* names of the child's primary key */
	Tuplestorestate *store;
	int n;
	int nallocated;
	ItemPointerData *tids;
} SetNullReferences;

PG_FUNCTION_INFO_V1(soft_delete_note_cut);

static bool is_set_by_action(const ForeignKey *fk, TupleTableSlot *old,
							 TupleTableSlot *new);
static void record_reference(const ForeignKey *fk, Relation child,
							 TupleTableSlot *old, TupleTableSlot *new);
static List *primary_key_columns(Oid relid);
static Datum named_text(Relation rel, TupleTableSlot *row, List *names);
static Datum name_array(List *names);
static void relink_reference(CascadeTable *table, Relation parent,
							 const ForeignKey *fk);
static void collect_references(SetNullReferences *references, CascadeTable *table);
static void collect_references_of(SetNullReferences *references,
								  TimestampTz stamp, TupleTableSlot *field);
static bool may_relink(SetNullReferences *references, HeapTuple tuple);
static TupleDesc references_desc(void);
static char *references_query(SetNullReferences *references);
static void append_cast(StringInfo query, const char *array, int i, Oid relid,
						AttrNumber attnum, const char *name);
static uint64 remove_references(SetNullReferences *references, const char *from);
static uint64 relink(SetNullReferences *references, const char *from);

/*
 * soft_delete_internal.record_set_null() returns trigger
 *
 * The trigger of a foreign key on its referencing table: BEFORE UPDATE OF the key.
 * Records what an action of the key, or of one on the same columns, overwrites.
 *
 * Raises 39P01 where it is not called as the trigger of a foreign key.
 */
Datum
soft_delete_note_cut(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	check_called_as_reference_trigger(fcinfo, SET_NULL_TRIGGER,
									  "soft_delete_internal.record_set_null");

	/* an action of a foreign key, in a statement that has deleted something */
	if (InNoForceRLSOperation() && deletion_is_running())
	{
		ForeignKey *fk = load_foreign_key(trigdata->tg_trigger->tgconstraint);

		if (fk != NULL &&
			is_set_by_action(fk, trigdata->tg_trigslot, trigdata->tg_newslot))
			record_reference(fk, trigdata->tg_relation, trigdata->tg_trigslot,
							 trigdata->tg_newslot);
	}
	return PointerGetDatum(trigdata->tg_newtuple);
}

/*
 * Did the row reference something, and does it reference something else from
 * now on?
 */
static bool
is_set_by_action(const ForeignKey *fk, TupleTableSlot *old, TupleTableSlot *new)
{
	for (int i = 0; i < fk->nkeys; i++)
	{
		bool isnull;

		(void) slot_getattr(old, fk->child_attnums[i], &isnull);
		if (isnull)
			return false;
	}
	return !columns_equal(fk->nkeys, fk->child_attnums, old, new);
}

/*
 * Record a reference, in terms of the foreign key as it was declared.
 */
static void
record_reference(const ForeignKey *fk, Relation child, TupleTableSlot *old,
				 TupleTableSlot *new)
{
	const ForeignKey *top = load_foreign_key(fk->top);
	List *key_columns = primary_key_columns(top->child);
	Relation references =
		table_open(extension_relation("set_null_references"), RowExclusiveLock);
	Datum values[N_CUT_COLUMNS];
	bool nulls[N_CUT_COLUMNS] = {false};
	NameData name;
	int nestlevel;

	namestrcpy(&name, get_constraint_name(fk->top));

	nestlevel = begin_key_form();
	values[CUT_DELETED_AT] = TimestampTzGetDatum(deletion_stamp());
	values[CUT_RELATION] = ObjectIdGetDatum(top->child);
	values[CUT_CONSTRAINT] = NameGetDatum(&name);
	values[CUT_KEY_COLUMNS] = name_array(key_columns);
	values[CUT_KEY] = named_text(child, old, key_columns);
	values[CUT_REFERENCED] = text_array(old, fk->nkeys, fk->child_attnums);
	values[CUT_LEFT_WITH] = text_array(new, fk->nkeys, fk->child_attnums);
	(void) append_row(references, values, nulls);

	end_text_form(nestlevel);
	table_close(references, NoLock);
}

/*
 * Return the names of the columns of a table's primary key.
 */
static List *
primary_key_columns(Oid relid)
{
	Oid constraint;
	Bitmapset *attnums = get_primary_key_attnos(relid, true, &constraint);
	List *names = NIL;
	int i = -1;

	while ((i = bms_next_member(attnums, i)) >= 0)
		names = lappend(names, makeString(get_attname(relid, i + FirstLowInvalidHeapAttributeNumber,
													  false)));
	return names;
}

/*
 * Return the attributes of a row that have those names as an array of texts.
 */
static Datum
named_text(Relation rel, TupleTableSlot *row, List *names)
{
	AttrNumber attnums[INDEX_MAX_KEYS];
	ListCell *lc;

	foreach (lc, names)
		attnums[foreach_current_index(lc)] =
			get_attnum(RelationGetRelid(rel), strVal(lfirst(lc)));
	return text_array(row, list_length(names), attnums);
}

/*
 * Return names as an array.
 */
static Datum
name_array(List *names)
{
	Datum *elements = palloc(list_length(names) * sizeof(Datum));
	ListCell *lc;

	foreach (lc, names)
		elements[foreach_current_index(lc)] =
			DirectFunctionCall1(namein, CStringGetDatum(strVal(lfirst(lc))));
	return PointerGetDatum(construct_array(elements, list_length(names), NAMEOID,
										   NAMEDATALEN, false, TYPALIGN_CHAR));
}

/*
 * Give back the references to the restored members of a table that their deletions
 * overwrote.
 */
void
relink_references(CascadeTable *table)
{
	Relation parent = table_open(table->relid, NoLock);
	ListCell *lc;

	foreach (lc, foreign_keys_to(parent))
	{
		const ForeignKey *fk = lfirst(lc);

		if ((fk->on_delete == FKCONSTR_ACTION_SETNULL ||
			 fk->on_delete == FKCONSTR_ACTION_SETDEFAULT) &&
			is_tagged(fk->child) && has_primary_key(fk->child))
			relink_reference(table, parent, fk);
	}
	table_close(parent, NoLock);
}

/*
 * Give back the references by one foreign key.
 */
static void
relink_reference(CascadeTable *table, Relation parent, const ForeignKey *fk)
{
	SetNullReferences references = {.top = load_foreign_key(fk->top)};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	references.key_columns = primary_key_columns(references.top->child);
	collect_references(&references, table);
	if (references.n > 0)
	{
		Tuplestorestate *members =
			register_members(table, parent, fk->nkeys, fk->parent_attnums, 0,
							 InvalidOid);
		char *from = references_query(&references);
		uint64 relinked = relink(&references, from);
		uint64 known = remove_references(&references, from);

		if (relinked < known)
			ereport(NOTICE,
					(errmsg("%llu references from table \"%s\" to table \"%s\" were left as they are",
							(unsigned long long) (known - relinked),
							get_rel_name(references.top->child),
							get_rel_name(references.top->parent)),
					 errdetail("The rows are gone, or reference something else since the deletion.")));
		tuplestore_end(members);
	}
	tuplestore_end(references.store);
	table_close(references.table, NoLock);
	SPI_finish();
}

/*
 * Collect the references that the deletions of the members of a table overwrote, and
 * let SPI's queries see them.
 */
static void
collect_references(SetNullReferences *references, CascadeTable *table)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	TupleTableSlot *field;

	references->table =
		table_open(extension_relation("set_null_references"), RowExclusiveLock);
	references->store = tuplestore_begin_heap(true, false, work_mem);
	references->nallocated = 16;
	references->tids = palloc(references->nallocated * sizeof(ItemPointerData));
	enr->md.tupdesc = references_desc();
	field = make_virtual_slot(enr->md.tupdesc);

	/* members of one deletion follow one another */
	for (int i = 0; i < table->nmembers; i++)
	{
		if (i == 0 || table->members[i].tombstone.stamp !=
						  table->members[i - 1].tombstone.stamp)
			collect_references_of(references, table->members[i].tombstone.stamp,
								  field);
	}
	ExecDropSingleTupleTableSlot(field);

	enr->md.name = SET_NULL_REFERENCES;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = references->n;
	enr->reldata = references->store;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register recorded references");
}

/*
 * Collect the references that one deletion overwrote.
 */
static void
collect_references_of(SetNullReferences *references, TimestampTz stamp,
					  TupleTableSlot *field)
{
	static const AttrNumber columns[N_FIELDS] = {[FIELD_STAMP] = CUT_DELETED_AT + 1,
												 [FIELD_KEY] = CUT_KEY + 1,
												 [FIELD_REFERENCED] =
													 CUT_REFERENCED + 1,
												 [FIELD_LEFT_WITH] =
													 CUT_LEFT_WITH + 1};
	TupleDesc desc = RelationGetDescr(references->table);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, CUT_DELETED_AT + 1, BTEqualStrategyNumber,
				F_TIMESTAMPTZ_EQ, TimestampTzGetDatum(stamp));
	scan = systable_beginscan(references->table,
							  linitial_oid(RelationGetIndexList(references->table)),
							  true, GetActiveSnapshot(), 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (!may_relink(references, tuple))
			continue;
		if (references->n == references->nallocated)
		{
			references->nallocated = doubled(references->nallocated);
			references->tids =
				repalloc_huge(references->tids, (Size) references->nallocated *
													sizeof(ItemPointerData));
		}
		ExecClearTuple(field);
		field->tts_values[FIELD_NUMBER] = Int32GetDatum(references->n);
		field->tts_isnull[FIELD_NUMBER] = false;
		for (int i = FIELD_STAMP; i < N_FIELDS; i++)
			field->tts_values[i] =
				heap_getattr(tuple, columns[i], desc, &field->tts_isnull[i]);
		ExecStoreVirtualTuple(field);
		tuplestore_puttupleslot(references->store, field);
		references->tids[references->n++] = tuple->t_self;
	}
	systable_endscan(scan);
}

/*
 * Is a recorded reference one of this foreign key, and of a row that can be found by
 * the primary key that the table has today?
 */
static bool
may_relink(SetNullReferences *references, HeapTuple tuple)
{
	TupleDesc desc = RelationGetDescr(references->table);
	bool isnull;
	Oid relid =
		DatumGetObjectId(heap_getattr(tuple, CUT_RELATION + 1, desc, &isnull));
	Name constraint =
		DatumGetName(heap_getattr(tuple, CUT_CONSTRAINT + 1, desc, &isnull));
	Datum key_columns = heap_getattr(tuple, CUT_KEY_COLUMNS + 1, desc, &isnull);

	return relid == references->top->child &&
		   namestrcmp(constraint,
					  get_constraint_name(references->top->constraint)) == 0 &&
		   datumIsEqual(PointerGetDatum(PG_DETOAST_DATUM(key_columns)),
						name_array(references->key_columns), false, -1);
}

/*
 * Describe the rows that collect_references() makes.
 */
static TupleDesc
references_desc(void)
{
	TupleDesc desc = CreateTemplateTupleDesc(N_FIELDS);

	TupleDescInitEntry(desc, FIELD_NUMBER + 1, "number", INT4OID, -1, 0);
	TupleDescInitEntry(desc, FIELD_STAMP + 1, "stamp", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(desc, FIELD_KEY + 1, "key", TEXTARRAYOID, -1, 1);
	TupleDescInitEntry(desc, FIELD_REFERENCED + 1, "referenced", TEXTARRAYOID, -1, 1);
	TupleDescInitEntry(desc, FIELD_LEFT_WITH + 1, "left_with", TEXTARRAYOID, -1, 1);
	TupleDescFinalize(desc);
	return desc;
}

/*
 * Return the FROM items, and the condition, that join recorded references and the
 * members that they led to: l.number, the primary key l.p1, ..., the reference
 * l.k1, ..., and what the row was left with, l.w1, ...
 */
static char *
references_query(SetNullReferences *references)
{
	const ForeignKey *fk = references->top;
	StringInfoData query;
	ListCell *lc;

	initStringInfo(&query);
	appendStringInfoString(&query, "(SELECT number, stamp");
	foreach (lc, references->key_columns)
	{
		int i = foreach_current_index(lc);

		append_cast(&query, "key", i, fk->child,
					get_attnum(fk->child, strVal(lfirst(lc))), "p");
	}
	for (int i = 0; i < fk->nkeys; i++)
	{
		append_cast(&query, "referenced", i, fk->child, fk->child_attnums[i], "k");
		append_cast(&query, "left_with", i, fk->child, fk->child_attnums[i], "w");
	}
	appendStringInfoString(&query,
						   " FROM " SET_NULL_REFERENCES ") l, " CASCADE_MEMBERS
						   " m WHERE l.stamp OPERATOR(pg_catalog.=) m.stamp AND ");
	append_key_match(&query, fk, "m", NULL, "l", NULL);
	return query.data;
}

/*
 * Append one element of an array of texts as a value of a column's type.
 */
static void
append_cast(StringInfo query, const char *array, int i, Oid relid,
			AttrNumber attnum, const char *name)
{
	Oid type, collation;
	int32 typmod;

	get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
	appendStringInfo(query, ", CAST(%s[%d] AS %s) AS %s%d", array, i + 1,
					 format_type_extended(type, typmod,
										  FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY),
					 name, i + 1);
}

/*
 * Give back the references, where the row still holds what it was left with.
 * Returns their number.
 */
static uint64
relink(SetNullReferences *references, const char *from)
{
	const ForeignKey *fk = references->top;
	StringInfoData query;
	ListCell *lc;

	initStringInfo(&query);
	appendStringInfo(&query, "UPDATE %s%s c SET ",
					 get_rel_relkind(fk->child) == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 qualified_name(fk->child));
	for (int i = 0; i < fk->nkeys; i++)
		appendStringInfo(&query, "%s%s = l.k%d", i > 0 ? ", " : "",
						 quote_identifier(
							 get_attname(fk->child, fk->child_attnums[i], false)),
						 i + 1);
	appendStringInfo(&query, " FROM %s", from);
	foreach (lc, references->key_columns)
	{
		int i = foreach_current_index(lc);
		Oid type =
			get_atttype(fk->child, get_attnum(fk->child, strVal(lfirst(lc))));

		appendStringInfoString(&query, " AND ");
		generate_operator_clause(&query,
								 psprintf("c.%s",
										  quote_identifier(strVal(lfirst(lc)))),
								 type,
								 lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr,
								 psprintf("l.p%d", i + 1), type);
	}
	for (int i = 0; i < fk->nkeys; i++)
	{
		const char *column =
			psprintf("c.%s",
					 quote_identifier(
						 get_attname(fk->child, fk->child_attnums[i], false)));
		Oid type = get_atttype(fk->child, fk->child_attnums[i]);

		appendStringInfoString(&query, " AND (");
		generate_operator_clause(&query, column, type, fk->child_operators[i],
								 psprintf("l.w%d", i + 1), type);
		appendStringInfo(&query, " OR (%s IS NULL AND l.w%d IS NULL))", column,
						 i + 1);
	}
	return execute_as_owner(fk->child, query.data, 0, NULL, NULL, SPI_OK_UPDATE);
}

/*
 * Remove the records of references that led to members.  Returns their number.
 */
static uint64
remove_references(SetNullReferences *references, const char *from)
{
	uint64 n = execute_as_owner(references->top->child,
								psprintf("SELECT DISTINCT l.number FROM %s", from),
								0, NULL, NULL, SPI_OK_SELECT);

	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;
		Datum number = SPI_getbinval(SPI_tuptable->vals[i],
									 SPI_tuptable->tupdesc, 1, &isnull);

		simple_heap_delete(references->table,
						   &references->tids[DatumGetInt32(number)]);
	}
	return n;
}

/*
 * Add to a set the keys by which recorded references name the members of a table:
 * their primary keys, and the keys that others referenced.
 */
void
collect_set_null_keys(CascadeTable *table, HTAB *keys)
{
	Relation rel = table_open(table->relid, NoLock);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	List *foreign_keys = foreign_keys_to(rel);
	List *relids = with_ancestors(table->relid);
	int nestlevel = begin_key_form();

	for (int i = 0; i < table->nmembers; i++)
	{
		ListCell *lc;

		fetch_tombstone(rel, &table->members[i].tombstone, row);
		foreach (lc, relids)
			(void) key_in_set(keys, lfirst_oid(lc),
							  named_text(rel, row,
										 primary_key_columns(lfirst_oid(lc))),
							  true);
		foreach (lc, foreign_keys)
		{
			const ForeignKey *fk = lfirst(lc);

			(void) key_in_set(keys, fk->top,
							  text_array(row, fk->nkeys, fk->parent_attnums), true);
		}
	}
	end_text_form(nestlevel);
	ExecDropSingleTupleTableSlot(row);
	table_close(rel, NoLock);
}

/*
 * Remove the records of references that name a key of the set.
 */
void
erase_set_null_references(HTAB *keys)
{
	Relation references =
		table_open(extension_relation("set_null_references"), RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = begin_table_scan(references, snapshot);
	TupleTableSlot *slot = table_slot_create(references, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Oid relid, constraint;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		relid = DatumGetObjectId(slot->tts_values[CUT_RELATION]);
		constraint =
			get_relation_constraint_oid(relid,
										NameStr(*DatumGetName(
											slot->tts_values[CUT_CONSTRAINT])),
										true);
		if (key_in_set(keys, relid, slot->tts_values[CUT_KEY], false) ||
			key_in_set(keys, constraint, slot->tts_values[CUT_REFERENCED], false))
			remove_row(references, &slot->tts_tid);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(references, NoLock);
}
