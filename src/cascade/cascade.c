/*
 * cascade.c
 *	  Brings together the tombstones that must come back, or go, together.
 *
 * A cascade begins with tombstones that a statement on a bin names.  When it is
 * to be restored, the tombstones of the same deletion join that ON DELETE
 * CASCADE connects with them, however deep: what their deletion took along, and
 * nothing deleted before or after.  When it is to be purged, all tombstones
 * below it by ON DELETE CASCADE join, whenever they were deleted.
 *
 * Members join in rounds, by one query per foreign key over the keys of all
 * members that joined in the round before, so the cost is that of a few joins.
 *
 * Invariants: each member is locked and counted once; a purge leaves no row
 * behind that references a member.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "cascade/sd_cascade.h"

/* A row that is known to belong to a cascade */
typedef struct KnownRow
{
	RowIdentity row; /* hash key */
	Cascade *cascade;
} KnownRow;

/* A row that references a member and has not joined */
typedef struct Blocker
{
	RowIdentity row;
	const ForeignKey *fk;
	bool is_tombstone;
	CascadeTable *table; /* of the member */
	int member;			 /* its number there */
} Blocker;

static bool add_member(Cascade *cascade, Relation rel, const Member *member);
static CascadeTable *table_of(Cascade *cascade, Oid relid);
static bool is_member(Cascade *cascade, const RowIdentity *row);
static void add_children(Cascade *cascade, CascadeTable *table);
static void add_children_by(Cascade *cascade, CascadeTable *table, Relation rel,
							int first, const ForeignKey *fk);
static char *children_query(Cascade *cascade, const ForeignKey *fk, const char *which);
static uint64 select_children(Cascade *cascade, CascadeTable *table, int first,
							  const ForeignKey *fk, const char *which);
static char *other_parents_query(Relation rel, const ForeignKey *fk);
static Datum stamps_of(CascadeTable *table, int first);
static void add_selected(Cascade *cascade, CascadeTable *table,
						 const ForeignKey *fk, uint64 n);
static void add_child(Cascade *cascade, RowIdentity *row, Relation *rel,
					  const TimestampTz *stamp, Oid brought_by);
static TupleDesc members_desc(Relation rel, int nkeys, const AttrNumber *attnums);
static void check_blockers(Cascade *cascade);
static void report_blocker(Blocker *blocker);

/*
 * Make a cascade without members, living in the memory context.  A row joins
 * either the cascade or its sibling, if it has one.
 */
Cascade *
make_cascade(bool is_purge, Cascade *sibling, MemoryContext context)
{
	Cascade *cascade = MemoryContextAllocZero(context, sizeof(Cascade));

	cascade->is_purge = is_purge;
	cascade->context = context;
	if (sibling != NULL)
		cascade->known = sibling->known;
	else
	{
		HASHCTL ctl = {.keysize = sizeof(RowIdentity),
					   .entrysize = sizeof(KnownRow),
					   .hcxt = context};

		cascade->known = hash_create("soft_delete family", 64, &ctl,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return cascade;
}

/*
 * Lock a tombstone of the relation and let it join, brought in by a foreign key or,
 * where that is InvalidOid, by a statement.  Returns false if it has joined already,
 * or is not a tombstone with that stamp, or with any where "stamp" is NULL, any more.
 *
 * Raises 40001 in a transaction that keeps its snapshot, where a concurrent
 * transaction has changed the row.
 */
bool
join_cascade(Cascade *cascade, Relation rel, const Tombstone *tombstone,
			 const TimestampTz *stamp, Oid brought_by)
{
	Member member = {.tombstone = *tombstone, .brought_by = brought_by};
	ItemPointerData found = tombstone->tid;

	if (!lock_tombstone(rel, &member.tombstone, stamp, NULL))
		return false;
	/* what has changed since it was found may reference something else now */
	if (ItemPointerCompare(&member.tombstone.tid, &found) != 0)
		member.brought_by = InvalidOid;
	return add_member(cascade, rel, &member);
}

/*
 * Add a member to the table of its relation, unless it is there.
 */
static bool
add_member(Cascade *cascade, Relation rel, const Member *member)
{
	CascadeTable *table = table_of(cascade, RelationGetRelid(rel));
	RowIdentity row = tombstone_identity(table->relid, &member->tombstone);
	KnownRow *known;
	bool found;

	known = hash_search(cascade->known, &row, HASH_ENTER, &found);
	if (found)
		return false;
	known->cascade = cascade;

	if (table->nmembers == table->nallocated)
	{
		table->nallocated = doubled(table->nallocated);
		table->members = repalloc_huge(table->members,
									   (Size) table->nallocated * sizeof(Member));
	}
	table->members[table->nmembers++] = *member;
	return true;
}

/*
 * Return the table of a relation, made if it is the first of its members.
 */
static CascadeTable *
table_of(Cascade *cascade, Oid relid)
{
	MemoryContext oldcontext;
	CascadeTable *table;
	ListCell *lc;

	foreach (lc, cascade->tables)
	{
		table = lfirst(lc);
		if (table->relid == relid)
			return table;
	}

	oldcontext = MemoryContextSwitchTo(cascade->context);
	table = palloc0(sizeof(CascadeTable));
	table->relid = relid;
	table->nallocated = 16;
	table->members = palloc(table->nallocated * sizeof(Member));
	cascade->tables = lappend(cascade->tables, table);
	MemoryContextSwitchTo(oldcontext);
	return table;
}

/*
 * Has the row joined the cascade?
 */
static bool
is_member(Cascade *cascade, const RowIdentity *row)
{
	KnownRow *known = hash_search(cascade->known, row, HASH_FIND, NULL);

	return known != NULL && known->cascade == cascade;
}

/*
 * Let all join that belong to the cascade.
 *
 * Raises 23503 for a purge that would leave a row behind that references a
 * member.
 */
void
complete_cascade(Cascade *cascade)
{
	bool has_grown = true;

	while (has_grown)
	{
		ListCell *lc;

		has_grown = false;
		foreach (lc, cascade->tables)
		{
			CascadeTable *table = lfirst(lc);

			if (table->ncomplete < table->nmembers)
			{
				add_children(cascade, table);
				has_grown = true;
			}
		}
	}
	check_blockers(cascade);
}

/*
 * Bring in the children of the members of a table that joined since last time.
 */
static void
add_children(Cascade *cascade, CascadeTable *table)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(cascade->context);
	Relation rel = table_open(table->relid, RowExclusiveLock);
	int first = table->ncomplete;
	ListCell *lc;

	table->ncomplete = table->nmembers;
	foreach (lc, foreign_keys_to(rel))
	{
		const ForeignKey *fk = lfirst(lc);

		/* a restore is about what CASCADE took along; a purge about any reference */
		if (cascade->is_purge ||
			(fk->on_delete == FKCONSTR_ACTION_CASCADE && is_tagged(fk->child)))
			add_children_by(cascade, table, rel, first, fk);
	}
	table_close(rel, NoLock);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Let the rows join that reference members, the first one and those after it,
 * by one foreign key.
 */
static void
add_children_by(Cascade *cascade, CascadeTable *table, Relation rel, int first,
				const ForeignKey *fk)
{
	Tuplestorestate *members;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (cascade->is_purge)
		release_children(table, rel, fk);
	members = register_members(table, rel, fk->nkeys, fk->parent_attnums, first,
							   InvalidOid);
	for (StorageKind storage = 0; storage < N_STORAGES; storage++)
	{
		/* a row that has stepped aside keeps nothing from going that stays */
		if (storage == IN_PLACE || (fk->on_delete == FKCONSTR_ACTION_CASCADE &&
									has_tombstones(storage, fk->child)))
			add_selected(cascade, table, fk,
						 select_children(cascade, table, first, fk,
										 sample_of(storage, true)));
	}
	tuplestore_end(members);
	SPI_finish();
}

/*
 * Return the query for the rows that reference members.
 */
static char *
children_query(Cascade *cascade, const ForeignKey *fk, const char *which)
{
	StringInfoData query;
	const char *name = tombstone_name(fk->child);
	const char *tombstone = name ? quote_identifier(name) : NULL;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT c.tableoid, c.ctid, ");
	if (tombstone)
		appendStringInfo(&query, "c.%s IS NOT NULL", tombstone);
	else
		appendStringInfoString(&query, "false");
	appendStringInfoString(&query, ", m.member FROM " CASCADE_MEMBERS " m JOIN ");
	append_side(&query, fk->child, "c", which);
	appendStringInfoString(&query, " ON ");
	append_key_match(&query, fk, "m", NULL, "c", fk->child_attnums);

	if (cascade->is_purge)
	{
		/* wait to see whether what keeps a member from going goes itself */
		if (fk->on_delete != FKCONSTR_ACTION_CASCADE)
			appendStringInfoString(&query, " FOR KEY SHARE OF c");
	}
	else
	{
		/* a timestamp column holds UTC */
		bool is_utc =
			get_atttype(fk->child, get_attnum(fk->child, name)) == TIMESTAMPOID;

		appendStringInfo(&query,
						 " AND c.%s OPERATOR(pg_catalog.=) %s"
						 " WHERE c.%s OPERATOR(pg_catalog.=) ANY (%s)",
						 tombstone,
						 is_utc ? "pg_catalog.timezone('UTC', m.stamp)" : "m.stamp",
						 tombstone,
						 is_utc ? "ARRAY(SELECT pg_catalog.timezone('UTC', s) FROM pg_catalog.unnest($1) s)"
								: "$1");
	}
	return query.data;
}

/*
 * Select the rows that reference members.  Returns how many there are, in
 * SPI's table.
 */
static uint64
select_children(Cascade *cascade, CascadeTable *table, int first,
				const ForeignKey *fk, const char *which)
{
	char *query = children_query(cascade, fk, which);
	Oid argtypes[] = {TIMESTAMPTZARRAYOID};
	Datum values[1];
	int nestlevel;
	uint64 n;

	if (cascade->is_purge)
		return execute_as_owner(fk->child, query, 0, NULL, NULL, SPI_OK_SELECT);

	/*
	 * How many rows carry a stamp is what statistics know least, and a nested
	 * loop chosen for few would read the rows of a large deletion once for
	 * each member.
	 */
	values[0] = stamps_of(table, first);
	nestlevel = NewGUCNestLevel();
	(void) set_config_option("enable_nestloop", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	n = execute_as_owner(fk->child, query, 1, argtypes, values, SPI_OK_SELECT);
	AtEOXact_GUC(true, nestlevel);
	return n;
}

/*
 * Return the stamps of members, the first one and those after it, as an array.
 */
static Datum
stamps_of(CascadeTable *table, int first)
{
	int nallocated = 16;
	Datum *stamps = palloc(nallocated * sizeof(Datum));
	int n = 0;

	/* members of one deletion follow one another */
	for (int i = first; i < table->ncomplete; i++)
	{
		Datum stamp = TimestampTzGetDatum(table->members[i].tombstone.stamp);

		if (n > 0 && stamps[n - 1] == stamp)
			continue;
		if (n == nallocated)
		{
			nallocated = doubled(nallocated);
			stamps = repalloc_huge(stamps, (Size) nallocated * sizeof(Datum));
		}
		stamps[n++] = stamp;
	}
	return PointerGetDatum(construct_array(stamps, n, TIMESTAMPTZOID,
										   sizeof(TimestampTz), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

/*
 * Let the selected rows join; remember those that cannot as blockers.
 */
static void
add_selected(Cascade *cascade, CascadeTable *table, const ForeignKey *fk, uint64 n)
{
	SPITupleTable *result = SPI_tuptable;
	Relation rel = NULL;

	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;
		RowIdentity row = {.relid = DatumGetObjectId(
							   SPI_getbinval(result->vals[i], result->tupdesc,
											 1, &isnull)),
						   .tid = *(ItemPointer) DatumGetPointer(
							   SPI_getbinval(result->vals[i], result->tupdesc,
											 2, &isnull))};
		bool is_tombstone = DatumGetBool(
			SPI_getbinval(result->vals[i], result->tupdesc, 3, &isnull));
		int member = DatumGetInt32(
			SPI_getbinval(result->vals[i], result->tupdesc, 4, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (is_tombstone && fk->on_delete == FKCONSTR_ACTION_CASCADE)
			add_child(cascade, &row, &rel,
					  cascade->is_purge ? NULL
										: &table->members[member].tombstone.stamp,
					  fk->top);
		else
		{
			MemoryContext oldcontext = MemoryContextSwitchTo(cascade->context);
			Blocker *blocker = palloc(sizeof(Blocker));

			*blocker = (Blocker){.row = row,
								 .fk = fk,
								 .is_tombstone = is_tombstone,
								 .table = table,
								 .member = member};
			cascade->blockers = lappend(cascade->blockers, blocker);
			MemoryContextSwitchTo(oldcontext);
		}
	}
	if (rel != NULL)
		table_close(rel, NoLock);
}

/*
 * Let a child join that a query has read at that place.  "rel" is the relation of
 * the child before, or NULL, and becomes this one's.
 */
static void
add_child(Cascade *cascade, RowIdentity *row, Relation *rel,
		  const TimestampTz *stamp, Oid brought_by)
{
	Tombstone tombstone;
	Oid relid = locate_tombstone(row->relid, &row->tid, &tombstone);

	if (*rel == NULL || RelationGetRelid(*rel) != relid)
	{
		if (*rel != NULL)
			table_close(*rel, NoLock);
		*rel = table_open(relid, RowExclusiveLock);
	}
	(void) join_cascade(cascade, *rel, &tombstone, stamp, brought_by);
}

/*
 * Have the displaced members of a table that is purged leave their children, by
 * one foreign key, to another row with their key: that is the parent now.  One
 * that stepped aside for another key of it may have the only row of this one.
 */
void
release_children(CascadeTable *table, Relation rel, const ForeignKey *fk)
{
	CascadeTable displaced = {.relid = table->relid};
	int *numbers = MemoryContextAllocHuge(CurrentMemoryContext,
										  (Size) table->nmembers * sizeof(int));
	Datum *tids;
	Oid argtypes[] = {TIDARRAYOID};
	Datum values[1];
	Tuplestorestate *members;
	bool isnull;

	for (int i = 0; i < table->nmembers; i++)
	{
		if (shares_keys(&table->members[i].tombstone))
			numbers[displaced.nmembers++] = i;
	}
	if (displaced.nmembers == 0)
		return;

	displaced.members =
		MemoryContextAllocHuge(CurrentMemoryContext,
							   (Size) displaced.nmembers * sizeof(Member));
	tids = MemoryContextAllocHuge(CurrentMemoryContext,
								  (Size) displaced.nmembers * sizeof(Datum));
	for (int i = 0; i < displaced.nmembers; i++)
	{
		table->members[numbers[i]].is_childless = false;
		displaced.members[i] = table->members[numbers[i]];
		tids[i] = PointerGetDatum(&displaced.members[i].tombstone.tid);
	}
	values[0] = PointerGetDatum(construct_array(tids, displaced.nmembers,
												TIDOID, sizeof(ItemPointerData),
												false, TYPALIGN_SHORT));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	members = register_members(&displaced, rel, fk->nkeys, fk->parent_attnums,
							   0, InvalidOid);
	(void) execute_as_owner(table->relid, other_parents_query(rel, fk), 1,
							argtypes, values, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		int member =
			DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc, 1, &isnull));

		table->members[numbers[member]].is_childless = true;
	}
	tuplestore_end(members);
	SPI_finish();
}

/*
 * Return the query for the displaced members whose key another row has: one in
 * its place, or one aside that is no member.
 */
static char *
other_parents_query(Relation rel, const ForeignKey *fk)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query,
						   "SELECT m.member FROM " CASCADE_MEMBERS " m WHERE ");
	for (StorageKind side = 0; side < N_STORAGES; side++)
	{
		appendStringInfoString(&query, side == IN_PLACE
										   ? "EXISTS (SELECT FROM "
										   : " OR EXISTS (SELECT FROM ");
		append_side(&query, RelationGetRelid(rel), "p", sample_of(side, true));
		appendStringInfoString(&query, " WHERE ");
		for (int k = 0; k < fk->nkeys; k++)
		{
			Form_pg_attribute att =
				TupleDescAttr(RelationGetDescr(rel), fk->parent_attnums[k] - 1);

			if (k > 0)
				appendStringInfoString(&query, " AND ");
			generate_operator_clause(&query,
									 psprintf("p.%s", quote_identifier(
														  NameStr(att->attname))),
									 att->atttypid, fk->parent_operators[k],
									 psprintf("m.k%d", k + 1), att->atttypid);
		}
		appendStringInfoString(&query,
							   side == IN_PLACE
								   ? ")"
								   : " AND p.ctid OPERATOR(pg_catalog.<>) ALL ($1))");
	}
	return query.data;
}

/*
 * Let SPI's queries see the keys of members, the first one and those after it,
 * but for those that the foreign key "except" brought in.  Returns them, to be
 * ended before SPI is.
 */
Tuplestorestate *
register_members(CascadeTable *table, Relation rel, int nkeys,
				 const AttrNumber *attnums, int first, Oid except)
{
	TupleDesc desc = members_desc(rel, nkeys, attnums);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	TupleTableSlot *key = make_virtual_slot(desc);
	Tuplestorestate *store = tuplestore_begin_heap(true, false, work_mem);
	EphemeralNamedRelation members = palloc0(sizeof(EphemeralNamedRelationData));

	for (int i = first; i < table->nmembers; i++)
	{
		Member *member = &table->members[i];

		if (member->is_childless ||
			(OidIsValid(except) && member->brought_by == except))
			continue;
		fetch_tombstone(rel, &member->tombstone, row);
		ExecClearTuple(key);
		for (int k = 0; k < nkeys; k++)
			key->tts_values[k] = slot_getattr(row, attnums[k], &key->tts_isnull[k]);
		key->tts_values[nkeys] = TimestampTzGetDatum(member->tombstone.stamp);
		key->tts_values[nkeys + 1] = Int32GetDatum(i);
		key->tts_isnull[nkeys] = key->tts_isnull[nkeys + 1] = false;
		ExecStoreVirtualTuple(key);
		tuplestore_puttupleslot(store, key);
	}
	ExecDropSingleTupleTableSlot(row);
	ExecDropSingleTupleTableSlot(key);

	members->md.name = CASCADE_MEMBERS;
	members->md.tupdesc = desc;
	members->md.enrtype = ENR_NAMED_TUPLESTORE;
	members->md.enrtuples = tuplestore_tuple_count(store);
	members->reldata = store;
	if (SPI_register_relation(members) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the members of a family");
	return store;
}

/*
 * Describe the rows that register_members() makes.
 */
static TupleDesc
members_desc(Relation rel, int nkeys, const AttrNumber *attnums)
{
	TupleDesc desc = CreateTemplateTupleDesc(nkeys + 2);

	for (int k = 0; k < nkeys; k++)
	{
		Form_pg_attribute att =
			TupleDescAttr(RelationGetDescr(rel), attnums[k] - 1);

		TupleDescInitEntry(desc, k + 1, psprintf("k%d", k + 1), att->atttypid,
						   att->atttypmod, att->attndims);
		TupleDescInitEntryCollation(desc, k + 1, att->attcollation);
	}
	TupleDescInitEntry(desc, nkeys + 1, "stamp", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(desc, nkeys + 2, "member", INT4OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

/*
 * Raise 23503 if a row references a member and has not joined.
 */
static void
check_blockers(Cascade *cascade)
{
	ListCell *lc;

	foreach (lc, cascade->blockers)
	{
		Blocker *blocker = lfirst(lc);

		if (!is_member(cascade, &blocker->row))
			report_blocker(blocker);
	}
}

/*
 * Raise 23503 in the words of a foreign key.
 */
static void
report_blocker(Blocker *blocker)
{
	const ForeignKey *fk = blocker->fk;
	Relation parent = table_open(blocker->table->relid, NoLock);
	Relation child = table_open(fk->child, NoLock);
	TupleTableSlot *slot = table_slot_create(parent, NULL);
	char *name = get_constraint_name(fk->constraint);
	const char *condition = "...";
	bool may_see;

	fetch_tombstone(parent, &blocker->table->members[blocker->member].tombstone, slot);
	may_see = may_read_tombstones(RelationGetRelid(parent), fk->nkeys,
								  fk->parent_attnums);
	if (may_see)
		condition = key_condition(fk->nkeys, fk->child, fk->child_attnums, slot,
								  fk->parent_attnums);
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("update or delete on table \"%s\" violates foreign key constraint \"%s\" on table \"%s\"",
					RelationGetRelationName(parent), name,
					RelationGetRelationName(child)),
			 may_see ? errdetail("Key %s is still referenced from table \"%s\".",
								 key_description(fk->nkeys, slot, fk->parent_attnums),
								 RelationGetRelationName(child))
					 : errdetail("Key is still referenced from table \"%s\".",
								 RelationGetRelationName(child)),
			 errhint("Delete what references it first: DELETE FROM %s WHERE %s;",
					 blocker->is_tombstone ? bin_name(fk->child)
										   : qualified_name(fk->child),
					 condition),
			 errtableconstraint(child, name)));
}

/*
 * Destroy the members of a cascade that is complete.  Returns their number.
 */
uint64
purge_cascade(Cascade *cascade)
{
	uint64 n = 0;
	ListCell *lc;

	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);
		Relation rel = table_open(table->relid, RowExclusiveLock);

		for (int i = 0; i < table->nmembers; i++)
		{
			CHECK_FOR_INTERRUPTS();
			destroy_tombstone(rel, &table->members[i].tombstone);
		}
		n += table->nmembers;
		table_close(rel, NoLock);
	}
	return n;
}
