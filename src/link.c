/*
 * link.c
 *	  Remembers the references that a deletion cuts, and mends them when the
 *	  row comes back that they led to.
 *
 * ON DELETE SET NULL and SET DEFAULT overwrite what live children of a deleted
 * row reference.  A guard on the referencing table sees that happen and writes
 * down, in soft_delete_internal.set_null_references, which row it was, what it referenced and
 * what it was left with.  A restore gives the reference back where the row still
 * is and still holds that, and says how many it left alone.
 */
#include "soft_delete.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

/* Columns of soft_delete_internal.set_null_references */
enum CutColumn
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

/* The name that queries know the cut references by, and its columns */
#define CUTS EXTENSION_SCHEMA "_cuts"
enum CutField
{
	FIELD_NUMBER,
	FIELD_STAMP,
	FIELD_KEY,
	FIELD_REFERENCED,
	FIELD_LEFT_WITH,
	N_FIELDS
};

/* The cut references of one foreign key that may have led to some members */
typedef struct Cuts
{
	Relation table;
	const ForeignKey *top; /* as it was declared */
	List *key_columns;	   /* names of the child's primary key */
	Tuplestorestate *store;
	int n;
	int nallocated;
	ItemPointerData *tids;
} Cuts;

PG_FUNCTION_INFO_V1(soft_delete_note_cut);

static bool is_cut(const ForeignKey *fk, TupleTableSlot *old, TupleTableSlot *new);
static void write_cut(const ForeignKey *fk, Relation child, TupleTableSlot *old,
					  TupleTableSlot *new);
static List *primary_key_columns(Oid relid);
static Datum named_text(Relation rel, TupleTableSlot *row, List *names);
static Datum name_array(List *names);
static void relink_reference(Lot *lot, Relation parent, const ForeignKey *fk);
static void collect_cuts(Cuts *cuts, Lot *lot);
static void collect_cuts_of(Cuts *cuts, TimestampTz stamp, TupleTableSlot *field);
static bool may_mend(Cuts *cuts, HeapTuple tuple);
static TupleDesc cuts_desc(void);
static char *cuts_query(Cuts *cuts);
static void append_cast(StringInfo query, const char *array, int i, Oid relid,
						AttrNumber attnum, const char *name);
static uint64 forget_cuts(Cuts *cuts, const char *from);
static uint64 mend(Cuts *cuts, const char *from);

/*
 * soft_delete_internal.record_set_null() returns trigger
 *
 * The guard of a foreign key on its referencing table: BEFORE UPDATE OF the
 * key.  Notes what an action of the key, or of one on the same columns, cuts.
 *
 * Raises 39P01 where it is not called as a guard.
 */
Datum
soft_delete_note_cut(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	check_called_as_guard(fcinfo, CUT_NOTE, "soft_delete_internal.record_set_null");

	/* an action of a foreign key, in a statement that has deleted something */
	if (InNoForceRLSOperation() && deletion_is_running())
	{
		ForeignKey *fk = load_foreign_key(trigdata->tg_trigger->tgconstraint);

		if (fk != NULL && is_cut(fk, trigdata->tg_trigslot, trigdata->tg_newslot))
			write_cut(fk, trigdata->tg_relation, trigdata->tg_trigslot,
					  trigdata->tg_newslot);
	}
	return PointerGetDatum(trigdata->tg_newtuple);
}

/*
 * Did the row reference something, and does it reference something else from
 * now on?
 */
static bool
is_cut(const ForeignKey *fk, TupleTableSlot *old, TupleTableSlot *new)
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
 * Write down a cut reference, in terms of the foreign key as it was declared.
 */
static void
write_cut(const ForeignKey *fk, Relation child, TupleTableSlot *old,
		  TupleTableSlot *new)
{
	const ForeignKey *top = load_foreign_key(fk->top);
	List *key_columns = primary_key_columns(top->child);
	Relation cuts =
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
	(void) append_row(cuts, values, nulls);

	end_text_form(nestlevel);
	table_close(cuts, NoLock);
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
 * Give back the references to the restored members of a lot that their
 * deletions cut.
 */
void
relink_references(Lot *lot)
{
	Relation parent = table_open(lot->relid, NoLock);
	ListCell *lc;

	foreach (lc, foreign_keys_to(parent))
	{
		const ForeignKey *fk = lfirst(lc);

		if ((fk->on_delete == FKCONSTR_ACTION_SETNULL ||
			 fk->on_delete == FKCONSTR_ACTION_SETDEFAULT) &&
			is_tagged(fk->child) && has_primary_key(fk->child))
			relink_reference(lot, parent, fk);
	}
	table_close(parent, NoLock);
}

/*
 * The same for one foreign key.
 */
static void
relink_reference(Lot *lot, Relation parent, const ForeignKey *fk)
{
	Cuts cuts = {.top = load_foreign_key(fk->top)};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	cuts.key_columns = primary_key_columns(cuts.top->child);
	collect_cuts(&cuts, lot);
	if (cuts.n > 0)
	{
		Tuplestorestate *members =
			register_members(lot, parent, fk->nkeys, fk->parent_attnums, 0,
							 InvalidOid);
		char *from = cuts_query(&cuts);
		uint64 mended = mend(&cuts, from);
		uint64 known = forget_cuts(&cuts, from);

		if (mended < known)
			ereport(NOTICE,
					(errmsg("%llu references from table \"%s\" to table \"%s\" were left as they are",
							(unsigned long long) (known - mended),
							get_rel_name(cuts.top->child),
							get_rel_name(cuts.top->parent)),
					 errdetail("The rows are gone, or reference something else since the deletion.")));
		tuplestore_end(members);
	}
	tuplestore_end(cuts.store);
	table_close(cuts.table, NoLock);
	SPI_finish();
}

/*
 * Collect the cut references that the deletions of a lot's members left, and
 * let SPI's queries see them.
 */
static void
collect_cuts(Cuts *cuts, Lot *lot)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	TupleTableSlot *field;

	cuts->table =
		table_open(extension_relation("set_null_references"), RowExclusiveLock);
	cuts->store = tuplestore_begin_heap(true, false, work_mem);
	cuts->nallocated = 16;
	cuts->tids = palloc(cuts->nallocated * sizeof(ItemPointerData));
	enr->md.tupdesc = cuts_desc();
	field = make_virtual_slot(enr->md.tupdesc);

	/* members of one deletion follow one another */
	for (int i = 0; i < lot->nmembers; i++)
	{
		if (i == 0 || lot->members[i].stamp != lot->members[i - 1].stamp)
			collect_cuts_of(cuts, lot->members[i].stamp, field);
	}
	ExecDropSingleTupleTableSlot(field);

	enr->md.name = CUTS;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = cuts->n;
	enr->reldata = cuts->store;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the cut references of a family");
}

/*
 * Collect the cut references that one deletion left.
 */
static void
collect_cuts_of(Cuts *cuts, TimestampTz stamp, TupleTableSlot *field)
{
	static const AttrNumber columns[N_FIELDS] = {[FIELD_STAMP] = CUT_DELETED_AT + 1,
												 [FIELD_KEY] = CUT_KEY + 1,
												 [FIELD_REFERENCED] =
													 CUT_REFERENCED + 1,
												 [FIELD_LEFT_WITH] =
													 CUT_LEFT_WITH + 1};
	TupleDesc desc = RelationGetDescr(cuts->table);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, CUT_DELETED_AT + 1, BTEqualStrategyNumber,
				F_TIMESTAMPTZ_EQ, TimestampTzGetDatum(stamp));
	scan = systable_beginscan(cuts->table,
							  linitial_oid(RelationGetIndexList(cuts->table)),
							  true, GetActiveSnapshot(), 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (!may_mend(cuts, tuple))
			continue;
		if (cuts->n == cuts->nallocated)
		{
			cuts->nallocated = doubled(cuts->nallocated);
			cuts->tids = repalloc_huge(cuts->tids, (Size) cuts->nallocated *
													   sizeof(ItemPointerData));
		}
		ExecClearTuple(field);
		field->tts_values[FIELD_NUMBER] = Int32GetDatum(cuts->n);
		field->tts_isnull[FIELD_NUMBER] = false;
		for (int i = FIELD_STAMP; i < N_FIELDS; i++)
			field->tts_values[i] =
				heap_getattr(tuple, columns[i], desc, &field->tts_isnull[i]);
		ExecStoreVirtualTuple(field);
		tuplestore_puttupleslot(cuts->store, field);
		cuts->tids[cuts->n++] = tuple->t_self;
	}
	systable_endscan(scan);
}

/*
 * Is a cut reference of this foreign key, and of rows that can be found by the
 * primary key that the table has today?
 */
static bool
may_mend(Cuts *cuts, HeapTuple tuple)
{
	TupleDesc desc = RelationGetDescr(cuts->table);
	bool isnull;
	Oid relid =
		DatumGetObjectId(heap_getattr(tuple, CUT_RELATION + 1, desc, &isnull));
	Name constraint =
		DatumGetName(heap_getattr(tuple, CUT_CONSTRAINT + 1, desc, &isnull));
	Datum key_columns = heap_getattr(tuple, CUT_KEY_COLUMNS + 1, desc, &isnull);

	return relid == cuts->top->child &&
		   namestrcmp(constraint, get_constraint_name(cuts->top->constraint)) == 0 &&
		   datumIsEqual(PointerGetDatum(PG_DETOAST_DATUM(key_columns)),
						name_array(cuts->key_columns), false, -1);
}

/*
 * Describe the rows that collect_cuts() makes.
 */
static TupleDesc
cuts_desc(void)
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
 * Return the FROM items, and the condition, that join cut references and the
 * members that they led to: l.number, the primary key l.p1, ..., the reference
 * l.k1, ..., and what the row was left with, l.w1, ...
 */
static char *
cuts_query(Cuts *cuts)
{
	const ForeignKey *fk = cuts->top;
	StringInfoData query;
	ListCell *lc;

	initStringInfo(&query);
	appendStringInfoString(&query, "(SELECT number, stamp");
	foreach (lc, cuts->key_columns)
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
						   " FROM " CUTS ") l, " FAMILY_MEMBERS
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
mend(Cuts *cuts, const char *from)
{
	const ForeignKey *fk = cuts->top;
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
	foreach (lc, cuts->key_columns)
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
 * Forget the cut references that led to members.  Returns their number.
 */
static uint64
forget_cuts(Cuts *cuts, const char *from)
{
	uint64 n = execute_as_owner(cuts->top->child,
								psprintf("SELECT DISTINCT l.number FROM %s", from),
								0, NULL, NULL, SPI_OK_SELECT);

	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;
		Datum number = SPI_getbinval(SPI_tuptable->vals[i],
									 SPI_tuptable->tupdesc, 1, &isnull);

		simple_heap_delete(cuts->table, &cuts->tids[DatumGetInt32(number)]);
	}
	return n;
}

/*
 * Add to a set what cut references know the members of a lot by: their primary
 * keys, and the keys that others referenced.
 */
void
collect_cut_keys(Lot *lot, HTAB *keys)
{
	Relation rel = table_open(lot->relid, NoLock);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	List *foreign_keys = foreign_keys_to(rel);
	List *relids = with_ancestors(lot->relid);
	int nestlevel = begin_key_form();

	for (int i = 0; i < lot->nmembers; i++)
	{
		ListCell *lc;

		fetch_member(rel, &lot->members[i], row);
		foreach (lc, relids)
			(void) key_in_set(keys, lfirst_oid(lc),
							  named_text(rel, row, primary_key_columns(lfirst_oid(lc))),
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
 * Erase the cut references of those keys.
 */
void
erase_cuts(HTAB *keys)
{
	Relation cuts =
		table_open(extension_relation("set_null_references"), RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = begin_table_scan(cuts, snapshot);
	TupleTableSlot *slot = table_slot_create(cuts, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Oid relid, constraint;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		relid = DatumGetObjectId(slot->tts_values[CUT_RELATION]);
		constraint = get_relation_constraint_oid(
			relid, NameStr(*DatumGetName(slot->tts_values[CUT_CONSTRAINT])), true);
		if (key_in_set(keys, relid, slot->tts_values[CUT_KEY], false) ||
			key_in_set(keys, constraint, slot->tts_values[CUT_REFERENCED], false))
			remove_row(cuts, &slot->tts_tid);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(cuts, NoLock);
}
