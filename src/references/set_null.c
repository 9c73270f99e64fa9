/*
 * set_null.c
 *	  Records the references that a deletion overwrites, and relinks them when the
 *	  referenced row is restored.
 *
 * ON DELETE SET NULL and SET DEFAULT overwrite the references that live children
 * have to a deleted row.  A trigger on the referencing table records each in
 * soft_delete_internal.set_null_references: the primary key of the child, the key that
 * it referenced, and the values that the action has set.  A restore of the
 * referenced row relinks the child, that is, sets the reference again, unless the
 * child is deleted or has other values by now.  It reports how many references
 * were not relinked.
 *
 * Invariant: a child is relinked only if it still has the values that the action
 * has set.  trigger.c creates the trigger.
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
enum ReferenceColumn
{
	REFERENCE_DELETED_AT,
	REFERENCE_RELATION,
	REFERENCE_CONSTRAINT,
	REFERENCE_KEY_COLUMNS,
	REFERENCE_KEY,
	REFERENCE_REFERENCED,
	REFERENCE_LEFT_WITH,
	N_REFERENCE_COLUMNS
};

/* The relation of overwritten references in SPI queries, and its columns */
#define OVERWRITTEN_REFERENCES EXTENSION_SCHEMA "_references"
enum SelectedColumn
{
	SELECTED_NUMBER, /* index of "tids" */
	SELECTED_STAMP,
	SELECTED_KEY,
	SELECTED_REFERENCED,
	SELECTED_LEFT_WITH,
	N_SELECTED_COLUMNS
};

/* The overwritten references of one foreign key that may be to restored members */
typedef struct OverwrittenReferences
{
	Relation table;		   /* soft_delete_internal.set_null_references */
	const ForeignKey *top; /* the foreign key as it was declared */
	List *key_columns;	   /* names of the columns of the child's primary key */
	Tuplestorestate *store; /* rows of OVERWRITTEN_REFERENCES */
	int n;
	int nallocated;		   /* size of "tids" */
	ItemPointerData *tids; /* places in "table" */
} OverwrittenReferences;

PG_FUNCTION_INFO_V1(soft_delete_note_cut);

static bool is_overwritten(const ForeignKey *fk, TupleTableSlot *old,
						   TupleTableSlot *new);
static void record_reference(const ForeignKey *fk, Relation child,
							 TupleTableSlot *old, TupleTableSlot *new);
static List *primary_key_columns(Oid relid);
static Datum columns_text(Relation rel, TupleTableSlot *row, List *names);
static Datum name_array(List *names);
static void relink_references_by(CascadeTable *table, Relation parent,
								 const ForeignKey *fk);
static void report_skipped(const ForeignKey *fk, uint64 n);
static void register_references(OverwrittenReferences *references,
								CascadeTable *table);
static void collect_references(OverwrittenReferences *references,
							   TimestampTz stamp, TupleTableSlot *selected);
static void add_reference(OverwrittenReferences *references, HeapTuple tuple,
						  TupleTableSlot *selected);
static bool can_relink(OverwrittenReferences *references, HeapTuple tuple);
static TupleDesc references_desc(void);
static char *references_query(OverwrittenReferences *references);
static void append_cast(StringInfo query, const char *array, int i, Oid relid,
						AttrNumber attnum, const char *name);
static uint64 relink_children(OverwrittenReferences *references, const char *from);
static uint64 update_for_other(Oid relid, const char *query);
static void append_child_match(StringInfo query, OverwrittenReferences *references);
static void append_unchanged(StringInfo query, const ForeignKey *fk);
static uint64 remove_references(OverwrittenReferences *references, const char *from);

/*
 * soft_delete_internal.record_set_null() returns trigger
 *
 * Its symbol is that of version 0.2.0, whose triggers call it until the extension is
 * updated.
 *
 * The key trigger of a foreign key on its referencing table: BEFORE UPDATE OF the
 * columns of the key.  Records the reference that an action of the foreign key,
 * or of another one on the same columns, overwrites in a deletion.
 *
 * Raises 39P01 where it is not called as the trigger that trigger.c creates.
 */
Datum
soft_delete_note_cut(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	check_called_as_key_trigger(fcinfo, SET_NULL_TRIGGER,
								"soft_delete_internal.record_set_null");

	/* only actions of foreign keys, in a statement that has deleted something */
	if (InNoForceRLSOperation() && deletion_is_running())
	{
		ForeignKey *fk = load_foreign_key(trigdata->tg_trigger->tgconstraint);

		if (fk != NULL &&
			is_overwritten(fk, trigdata->tg_trigslot, trigdata->tg_newslot))
			record_reference(fk, trigdata->tg_relation, trigdata->tg_trigslot,
							 trigdata->tg_newslot);
	}
	return PointerGetDatum(trigdata->tg_newtuple);
}

/*
 * Did the old version of a child reference a row, and does the new one have
 * another key?
 */
static bool
is_overwritten(const ForeignKey *fk, TupleTableSlot *old, TupleTableSlot *new)
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
 * Record an overwritten reference by the foreign key that was declared, of which
 * that of a partition is a copy.
 */
static void
record_reference(const ForeignKey *fk, Relation child, TupleTableSlot *old,
				 TupleTableSlot *new)
{
	const ForeignKey *top = load_foreign_key(fk->top);
	List *key_columns = primary_key_columns(top->child);
	Relation table =
		table_open(extension_relation("set_null_references"), RowExclusiveLock);
	Datum values[N_REFERENCE_COLUMNS];
	bool nulls[N_REFERENCE_COLUMNS] = {false};
	NameData name;
	int nestlevel;

	namestrcpy(&name, get_constraint_name(fk->top));

	nestlevel = begin_key_form();
	values[REFERENCE_DELETED_AT] =
		TimestampTzGetDatum(deletion_stamp(RelationGetRelid(child)));
	values[REFERENCE_RELATION] = ObjectIdGetDatum(top->child);
	values[REFERENCE_CONSTRAINT] = NameGetDatum(&name);
	values[REFERENCE_KEY_COLUMNS] = name_array(key_columns);
	values[REFERENCE_KEY] = columns_text(child, old, key_columns);
	values[REFERENCE_REFERENCED] = text_array(old, fk->nkeys, fk->child_attnums);
	values[REFERENCE_LEFT_WITH] = text_array(new, fk->nkeys, fk->child_attnums);
	(void) append_row(table, values, nulls);

	end_text_form(nestlevel);
	table_close(table, NoLock);
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
 * Return the values of the named columns of a row as a text[].
 */
static Datum
columns_text(Relation rel, TupleTableSlot *row, List *names)
{
	AttrNumber attnums[INDEX_MAX_KEYS];
	ListCell *lc;

	foreach (lc, names)
		attnums[foreach_current_index(lc)] =
			get_attnum(RelationGetRelid(rel), strVal(lfirst(lc)));
	return text_array(row, list_length(names), attnums);
}

/*
 * Return names as a name[].
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
 * Relink the children to the restored members of a table whose references the
 * deletions of the members have overwritten.
 */
void
relink_references(CascadeTable *table)
{
	Relation parent = table_open(table->relid, NoLock);
	ListCell *lc;

	foreach (lc, foreign_keys_to(parent))
	{
		const ForeignKey *fk = lfirst(lc);

		if (overwrites_references(fk))
			relink_references_by(table, parent, fk);
	}
	table_close(parent, NoLock);
}

/*
 * Relink children to the restored members of a table by one foreign key.
 */
static void
relink_references_by(CascadeTable *table, Relation parent, const ForeignKey *fk)
{
	OverwrittenReferences references = {.top = load_foreign_key(fk->top)};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	references.key_columns = primary_key_columns(references.top->child);
	register_references(&references, table);
	if (references.n > 0)
	{
		Tuplestorestate *members =
			register_members(table, parent, fk->nkeys, fk->parent_attnums, 0,
							 InvalidOid);
		char *from = references_query(&references);
		uint64 relinked = relink_children(&references, from);
		uint64 recorded = remove_references(&references, from);

		if (relinked < recorded)
			report_skipped(references.top, recorded - relinked);
		tuplestore_end(members);
	}
	tuplestore_end(references.store);
	table_close(references.table, NoLock);
	SPI_finish();
}

/*
 * Tell the client how many references of a foreign key were not relinked.
 */
static void
report_skipped(const ForeignKey *fk, uint64 n)
{
	ereport(NOTICE,
			(errmsg_plural("%llu reference from table \"%s\" to table \"%s\" was left as it is",
						   "%llu references from table \"%s\" to table \"%s\" were left as they are",
						   (unsigned long) n, (unsigned long long) n,
						   get_rel_name(fk->child), get_rel_name(fk->parent)),
			 errdetail_plural("The row does not exist any more, or its reference has been changed since the deletion.",
							  "The rows do not exist any more, or their references have been changed since the deletion.",
							  (unsigned long) n)));
}

/*
 * Make a relation for SPI queries, OVERWRITTEN_REFERENCES, with the references
 * that the deletions of a table's members have overwritten.
 */
static void
register_references(OverwrittenReferences *references, CascadeTable *table)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	HASHCTL ctl = {.keysize = sizeof(TimestampTz),
				   .entrysize = sizeof(TimestampTz),
				   .hcxt = CurrentMemoryContext};
	HTAB *stamps = hash_create("soft_delete stamps", 64, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	TupleTableSlot *selected;

	references->table =
		table_open(extension_relation("set_null_references"), RowExclusiveLock);
	references->store = tuplestore_begin_heap(true, false, work_mem);
	references->nallocated = 16;
	references->tids = palloc(references->nallocated * sizeof(ItemPointerData));
	enr->md.tupdesc = references_desc();
	selected = make_virtual_slot(enr->md.tupdesc);

	/* those of one deletion once, for its members need not follow one another */
	for (int i = 0; i < table->nmembers; i++)
	{
		TimestampTz stamp = table->members[i].tombstone.stamp;
		bool found;

		(void) hash_search(stamps, &stamp, HASH_ENTER, &found);
		if (!found)
			collect_references(references, stamp, selected);
	}
	hash_destroy(stamps);
	ExecDropSingleTupleTableSlot(selected);

	enr->md.name = OVERWRITTEN_REFERENCES;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = references->n;
	enr->reldata = references->store;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the overwritten references of a cascade");
}

/*
 * Collect the references that one deletion has overwritten.
 */
static void
collect_references(OverwrittenReferences *references, TimestampTz stamp,
				   TupleTableSlot *selected)
{
	Oid index = linitial_oid(RelationGetIndexList(references->table));
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, REFERENCE_DELETED_AT + 1, BTEqualStrategyNumber,
				F_TIMESTAMPTZ_EQ, TimestampTzGetDatum(stamp));
	scan = systable_beginscan(references->table, index, true,
							  GetActiveSnapshot(), 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (can_relink(references, tuple))
			add_reference(references, tuple, selected);
	}
	systable_endscan(scan);
}

/*
 * Add a recorded reference to those that are collected, as a row of
 * OVERWRITTEN_REFERENCES.  "selected" is a slot for it.
 */
static void
add_reference(OverwrittenReferences *references, HeapTuple tuple,
			  TupleTableSlot *selected)
{
	static const AttrNumber attnums[N_SELECTED_COLUMNS] =
		{[SELECTED_STAMP] = REFERENCE_DELETED_AT + 1,
		 [SELECTED_KEY] = REFERENCE_KEY + 1,
		 [SELECTED_REFERENCED] = REFERENCE_REFERENCED + 1,
		 [SELECTED_LEFT_WITH] = REFERENCE_LEFT_WITH + 1};
	TupleDesc desc = RelationGetDescr(references->table);

	references->tids =
		grow_if_full(CurrentMemoryContext, references->tids, references->n,
					 &references->nallocated, sizeof(ItemPointerData));
	ExecClearTuple(selected);
	selected->tts_values[SELECTED_NUMBER] = Int32GetDatum(references->n);
	selected->tts_isnull[SELECTED_NUMBER] = false;
	for (int i = SELECTED_STAMP; i < N_SELECTED_COLUMNS; i++)
		selected->tts_values[i] =
			heap_getattr(tuple, attnums[i], desc, &selected->tts_isnull[i]);
	ExecStoreVirtualTuple(selected);
	tuplestore_puttupleslot(references->store, selected);
	references->tids[references->n++] = tuple->t_self;
}

/*
 * Is a recorded reference one of this foreign key, and does it have the child's
 * key by the columns of the primary key that the table has now?
 */
static bool
can_relink(OverwrittenReferences *references, HeapTuple tuple)
{
	TupleDesc desc = RelationGetDescr(references->table);
	const ForeignKey *fk = references->top;
	bool isnull;
	Datum relid = heap_getattr(tuple, REFERENCE_RELATION + 1, desc, &isnull);
	Datum constraint = heap_getattr(tuple, REFERENCE_CONSTRAINT + 1, desc, &isnull);
	Datum key_columns =
		heap_getattr(tuple, REFERENCE_KEY_COLUMNS + 1, desc, &isnull);

	return DatumGetObjectId(relid) == fk->child &&
		   namestrcmp(DatumGetName(constraint),
					  get_constraint_name(fk->constraint)) == 0 &&
		   datumIsEqual(PointerGetDatum(PG_DETOAST_DATUM(key_columns)),
						name_array(references->key_columns), false, -1);
}

/*
 * Return the descriptor of the rows of OVERWRITTEN_REFERENCES.
 */
static TupleDesc
references_desc(void)
{
	TupleDesc desc = CreateTemplateTupleDesc(N_SELECTED_COLUMNS);

	TupleDescInitEntry(desc, SELECTED_NUMBER + 1, "number", INT4OID, -1, 0);
	TupleDescInitEntry(desc, SELECTED_STAMP + 1, "stamp", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(desc, SELECTED_KEY + 1, "key", TEXTARRAYOID, -1, 1);
	TupleDescInitEntry(desc, SELECTED_REFERENCED + 1, "referenced",
					   TEXTARRAYOID, -1, 1);
	TupleDescInitEntry(desc, SELECTED_LEFT_WITH + 1, "left_with", TEXTARRAYOID,
					   -1, 1);
	TupleDescFinalize(desc);
	return desc;
}

/*
 * Return the FROM items, and the condition, that join overwritten references and
 * the members that they were to: r.number, the child's primary key r.p1, ..., the
 * key that it referenced r.k1, ..., and the values that the action has set r.w1,
 * ...
 */
static char *
references_query(OverwrittenReferences *references)
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
						   " FROM " OVERWRITTEN_REFERENCES ") r, " CASCADE_MEMBERS
						   " m WHERE r.stamp OPERATOR(pg_catalog.=) m.stamp AND ");
	append_key_match(&query, fk, "m", NULL, "r", NULL);
	return query.data;
}

/*
 * Append one element of a text[] to a target list, cast to the type of a column,
 * and named by "name" and its number.
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
 * Set the references of children again that still have the values that the action
 * has set.  Returns their number.
 */
static uint64
relink_children(OverwrittenReferences *references, const char *from)
{
	const ForeignKey *fk = references->top;
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "UPDATE %s%s c SET ",
					 get_rel_relkind(fk->child) == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 qualified_name(fk->child));
	for (int i = 0; i < fk->nkeys; i++)
		appendStringInfo(&query, "%s%s = r.k%d", i > 0 ? ", " : "",
						 quote_identifier(
							 get_attname(fk->child, fk->child_attnums[i], false)),
						 i + 1);
	appendStringInfo(&query, " FROM %s", from);
	append_child_match(&query, references);
	append_unchanged(&query, fk);
	if (owner_of(fk->child) == GetUserId())
		return execute_as_owner(fk->child, query.data, 0, NULL, NULL, SPI_OK_UPDATE);
	return update_for_other(fk->child, query.data);
}

/*
 * Run an UPDATE of a table of another role as its owner.  The triggers are that role's code, so
 * they fire before this returns.
 */
static uint64
update_for_other(Oid relid, const char *query)
{
	SavedRole saved;
	uint64 updated;

	become_owner_to_write(relid, &saved);
	updated = execute_latest(query, 0, NULL, NULL, true, SPI_OK_UPDATE);
	end_owners_write(relid, &saved);
	return updated;
}

/*
 * Append the condition that a child c has the primary key of a reference r.
 */
static void
append_child_match(StringInfo query, OverwrittenReferences *references)
{
	Oid child = references->top->child;
	ListCell *lc;

	foreach (lc, references->key_columns)
	{
		const char *name = strVal(lfirst(lc));
		Oid type = get_atttype(child, get_attnum(child, name));

		appendStringInfoString(query, " AND ");
		generate_operator_clause(query,
								 psprintf("c.%s", quote_identifier(name)), type,
								 lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr,
								 psprintf("r.p%d", foreach_current_index(lc) + 1),
								 type);
	}
}

/*
 * Append the condition that a child c has the values that the action has set,
 * which may be nulls.
 */
static void
append_unchanged(StringInfo query, const ForeignKey *fk)
{
	for (int i = 0; i < fk->nkeys; i++)
	{
		const char *name =
			quote_identifier(get_attname(fk->child, fk->child_attnums[i], false));
		const char *column = psprintf("c.%s", name);
		Oid type = get_atttype(fk->child, fk->child_attnums[i]);

		appendStringInfoString(query, " AND (");
		generate_operator_clause(query, column, type, fk->child_operators[i],
								 psprintf("r.w%d", i + 1), type);
		appendStringInfo(query, " OR (%s IS NULL AND r.w%d IS NULL))", column, i + 1);
	}
}

/*
 * Remove the records of overwritten references to members, relinked or not.
 * Returns their number.
 */
static uint64
remove_references(OverwrittenReferences *references, const char *from)
{
	uint64 n = execute_as_owner(references->top->child,
								psprintf("SELECT DISTINCT r.number FROM %s", from),
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
 * Add the keys of the members of a table to a set, in the form in which
 * overwritten references have them: primary keys, and keys that foreign keys
 * reference.
 */
void
collect_reference_keys(CascadeTable *table, HTAB *keys)
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
							  columns_text(rel, row,
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
 * Remove the records of overwritten references from or to the keys of a set.
 */
void
erase_overwritten_references(HTAB *keys)
{
	Relation table =
		table_open(extension_relation("set_null_references"), RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = begin_table_scan(table, snapshot);
	TupleTableSlot *slot = table_slot_create(table, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Oid relid, constraint;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		relid = DatumGetObjectId(slot->tts_values[REFERENCE_RELATION]);
		constraint =
			get_relation_constraint_oid(relid,
										NameStr(*DatumGetName(
											slot->tts_values[REFERENCE_CONSTRAINT])),
										true);
		if (key_in_set(keys, relid, slot->tts_values[REFERENCE_KEY], false) ||
			key_in_set(keys, constraint, slot->tts_values[REFERENCE_REFERENCED], false))
			remove_row(table, &slot->tts_tid);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(table, NoLock);
}
