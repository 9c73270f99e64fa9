/*
 * cascade.c
 *	  Collects the tombstones that are restored or purged together: a cascade.
 *
 * A cascade begins with the tombstones that a statement names.  Its members are
 * these tombstones and those that reference members by ON DELETE CASCADE, at any
 * depth.  A cascade that is restored has only tombstones of the same deletion:
 * what that deletion took along, and nothing deleted before or after.  A cascade
 * that is purged has them all, whenever they were deleted.
 *
 * Members join in rounds, by one query per foreign key over the keys of all
 * members that joined in the round before, so the cost is that of a few joins.
 *
 * Invariants: each member is locked and counted once; a purge leaves no row
 * behind that references a member.  Members that are purged are destroyed here;
 * bin/restore.c restores them.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
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

/* pg_stat_activity is told after so many members */
#define REPORTED_MEMBERS 10000

/* A row that has joined a cascade */
typedef struct JoinedRow
{
	RowIdentity row; /* hash key */
	Cascade *cascade;
	CascadeTable *table;
	int number; /* of the member in that table */
} JoinedRow;

/* A row that references a member, and that had not joined when it was read */
typedef struct Blocker
{
	RowIdentity row;
	const ForeignKey *fk; /* by which it references the member */
	bool is_tombstone;	  /* else it is live */
	CascadeTable *table;  /* the table of the member */
	int member;			  /* the member's number in that table */
} Blocker;

static bool add_member(Cascade *cascade, Relation rel, const Member *member);
static CascadeTable *cascade_table(Cascade *cascade, Oid relid);
static void join_children(Cascade *cascade, CascadeTable *table);
static void join_children_by(Cascade *cascade, CascadeTable *table,
							 Relation rel, int first, const ForeignKey *fk);
static char *children_query(Cascade *cascade, const ForeignKey *fk, const char *which);
static uint64 select_children(Cascade *cascade, CascadeTable *table, int first,
							  const ForeignKey *fk, const char *which);
static Datum stamps_of(CascadeTable *table, int first);
static void join_selected_children(Cascade *cascade, CascadeTable *table,
								   const ForeignKey *fk, uint64 n);
static void note_blocker(Cascade *cascade, Blocker blocker);
static RowIdentity selected_row(SPITupleTable *result, uint64 n);
static bool join_row(Cascade *cascade, RowIdentity *row, Relation *rel,
					 const TimestampTz *stamp, Oid joined_by);
static void note_kinship(Cascade *cascade, CascadeTable *table, int member,
						 const RowIdentity *child);
static CascadeTable members_aside(CascadeTable *table, int **numbers);
static void member_places(CascadeTable *table, Datum *places);
static char *other_parents_query(const ForeignKey *fk);
static TupleDesc members_desc(Relation rel, int nkeys, const AttrNumber *attnums);
static void check_blockers(Cascade *cascade);
static void report_blocker(Blocker *blocker);

/*
 * Make a cascade without members in a memory context.  If it is given a sibling,
 * a row joins only one of the two.
 */
Cascade *
make_cascade(bool is_purge, Cascade *sibling, MemoryContext context)
{
	Cascade *cascade = MemoryContextAllocZero(context, sizeof(Cascade));

	cascade->is_purge = is_purge;
	cascade->context = context;
	if (sibling != NULL)
		cascade->joined = sibling->joined;
	else
	{
		HASHCTL ctl = {.keysize = sizeof(RowIdentity),
					   .entrysize = sizeof(JoinedRow),
					   .hcxt = context};

		cascade->joined = hash_create("soft_delete cascade", 64, &ctl,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return cascade;
}

/*
 * Lock a tombstone of the relation and add it to a cascade.  "joined_by" is the
 * foreign key by which it references a member, or InvalidOid.
 *
 * Returns false if the row has joined already, if a restore skips it, or if it is no
 * longer a tombstone with that stamp; where "stamp" is NULL, any stamp will do.
 *
 * Raises 40001 in a transaction that keeps its snapshot, where a concurrent
 * transaction has changed the row.
 */
bool
join_cascade(Cascade *cascade, Relation rel, const Tombstone *tombstone,
			 const TimestampTz *stamp, Oid joined_by)
{
	Member member = {.tombstone = *tombstone, .joined_by = joined_by};
	ItemPointerData found = tombstone->tid;

	RowIdentity row = tombstone_identity(RelationGetRelid(rel), tombstone);

	if ((!cascade->is_purge && is_skipped(&row)) ||
		!lock_tombstone(rel, &member.tombstone, stamp, NULL))
		return false;
	/* a row that has been updated since it was found may have another parent now */
	if (ItemPointerCompare(&member.tombstone.tid, &found) != 0)
		member.joined_by = InvalidOid;
	return add_member(cascade, rel, &member);
}

/*
 * Add a member to the members of its relation.  Returns false if the row is there
 * already.
 */
static bool
add_member(Cascade *cascade, Relation rel, const Member *member)
{
	CascadeTable *table = cascade_table(cascade, RelationGetRelid(rel));
	RowIdentity row = tombstone_identity(table->relid, &member->tombstone);
	JoinedRow *joined;
	bool found;

	joined = hash_search(cascade->joined, &row, HASH_ENTER, &found);
	if (found)
		return false;
	joined->cascade = cascade;
	joined->table = table;
	joined->number = table->nmembers;
	append_member(cascade->context, table, *member);
	return true;
}

/*
 * Return the members of a cascade in one relation, an empty list if there were
 * none.
 */
static CascadeTable *
cascade_table(Cascade *cascade, Oid relid)
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
	cascade->tables = lappend(cascade->tables, table);
	MemoryContextSwitchTo(oldcontext);
	return table;
}

/*
 * Has the row joined the cascade?
 */
bool
is_in_cascade(Cascade *cascade, const RowIdentity *row)
{
	JoinedRow *joined = hash_search(cascade->joined, row, HASH_FIND, NULL);

	return joined != NULL && joined->cascade == cascade;
}

/*
 * Add the rows that reference members to a cascade, at any depth.
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
				join_children(cascade, table);
				has_grown = true;
			}
		}
	}
	check_blockers(cascade);
}

/*
 * Add the children of those members of a table whose children have not joined yet.
 */
static void
join_children(Cascade *cascade, CascadeTable *table)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(cascade->context);
	Relation rel = table_open(table->relid, RowExclusiveLock);
	int first = table->ncomplete;
	ListCell *lc;

	table->ncomplete = table->nmembers;
	foreach (lc, foreign_keys_to(rel))
	{
		const ForeignKey *fk = lfirst(lc);

		/* a restore takes what CASCADE deleted; any reference may block a purge */
		if (cascade->is_purge ||
			(fk->on_delete == FKCONSTR_ACTION_CASCADE && is_tagged(fk->child)))
			join_children_by(cascade, table, rel, first, fk);
	}
	table_close(rel, NoLock);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Add the rows that reference members, from number "first" on, by one foreign key.
 */
static void
join_children_by(Cascade *cascade, CascadeTable *table, Relation rel, int first,
				 const ForeignKey *fk)
{
	Tuplestorestate *members;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (cascade->is_purge)
		mark_childless_members(table, rel, fk);
	members = register_members(table, rel, fk->nkeys, fk->parent_attnums, first,
							   InvalidOid);
	for (StorageKind storage = 0; storage < N_STORAGES; storage++)
	{
		/* a row outside of its table blocks no purge: the foreign key does not see it */
		if (storage == IN_PLACE
				? cascade->is_purge || has_tombstones(storage, fk->child)
				: fk->on_delete == FKCONSTR_ACTION_CASCADE &&
					  has_tombstones(storage, fk->child))
			join_selected_children(cascade, table, fk,
								   select_children(cascade, table, first, fk,
												   sample_of(storage, true)));
	}
	tuplestore_end(members);
	SPI_finish();
}

/*
 * Return the query for the rows that reference members: tableoid, ctid, whether
 * the row is a tombstone, and the number of the member.
 */
static char *
children_query(Cascade *cascade, const ForeignKey *fk, const char *which)
{
	StringInfoData query;
	bool is_aside = strcmp(which, "aside") == 0;
	bool has_live_only = is_kept_aside(fk->child) && !is_aside;
	const char *name = has_live_only ? NULL : tombstone_name(fk->child);

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT c.tableoid, c.ctid, ");
	if (name)
		appendStringInfo(&query, "c.%s IS NOT NULL", quote_identifier(name));
	else
		appendStringInfoString(&query, "false");
	appendStringInfoString(&query, ", m.member FROM " CASCADE_MEMBERS " m JOIN ");
	append_side(&query, fk->child, "c", which);
	appendStringInfoString(&query, " ON ");
	append_key_match(&query, fk, "m", NULL, "c", fk->child_attnums);

	if (cascade->is_purge)
	{
		/* a row that blocks the purge may be in deletion: wait for that to end */
		if (fk->on_delete != FKCONSTR_ACTION_CASCADE)
			appendStringInfoString(&query, " FOR KEY SHARE OF c");
	}
	else
	{
		char *stamp = stamp_of("c", fk->child, is_aside ? ASIDE : IN_PLACE);

		appendStringInfo(&query,
						 " AND %s OPERATOR(pg_catalog.=) m.stamp"
						 " WHERE %s OPERATOR(pg_catalog.=) ANY ($1)",
						 stamp, stamp);
	}
	return query.data;
}

/*
 * Return the expression for the stamp of tombstones of a table, in that storage, as a
 * timestamptz: a companion has no other.
 */
char *
stamp_of(const char *alias, Oid relid, StorageKind storage)
{
	const char *name = tombstone_name(relid);

	return storage == IN_PLACE ? stamp_expression(alias, relid, name)
							   : psprintf("%s.%s", alias, quote_identifier(name));
}

/*
 * Execute the query for the rows that reference members.  Returns their number;
 * the rows are in SPI_tuptable.
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
	 * Statistics rarely know how many rows have a stamp.  A nested loop, chosen for
	 * few rows, would read the rows of a large deletion once for each member.
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
 * Return the stamps of the members from number "first" on as a timestamptz[].
 */
static Datum
stamps_of(CascadeTable *table, int first)
{
	int nallocated = 0;
	Datum *stamps = NULL;
	int n = 0;

	/* members of one deletion mostly follow one another */
	for (int i = first; i < table->ncomplete; i++)
	{
		Datum stamp = TimestampTzGetDatum(table->members[i].tombstone.stamp);

		if (n > 0 && stamps[n - 1] == stamp)
			continue;
		stamps = grow_if_full(CurrentMemoryContext, stamps, n, &nallocated,
							  sizeof(Datum));
		stamps[n++] = stamp;
	}
	return PointerGetDatum(construct_array(stamps, n, TIMESTAMPTZOID,
										   sizeof(TimestampTz), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

/*
 * Add the selected children to a cascade, and note those as blockers that cannot
 * join.
 */
static void
join_selected_children(Cascade *cascade, CascadeTable *table,
					   const ForeignKey *fk, uint64 n)
{
	SPITupleTable *result = SPI_tuptable;
	Relation rel = NULL;

	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;
		RowIdentity row = selected_row(result, i);
		bool is_tombstone = DatumGetBool(
			SPI_getbinval(result->vals[i], result->tupdesc, 3, &isnull));
		int member = DatumGetInt32(
			SPI_getbinval(result->vals[i], result->tupdesc, 4, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (is_tombstone && fk->on_delete == FKCONSTR_ACTION_CASCADE)
		{
			(void) join_row(cascade, &row, &rel,
							cascade->is_purge
								? NULL
								: &table->members[member].tombstone.stamp,
							fk->top);
			if (!cascade->is_purge)
				note_kinship(cascade, table, member, &row);
		}
		else
			note_blocker(cascade, (Blocker){.row = row,
											.fk = fk,
											.is_tombstone = is_tombstone,
											.table = table,
											.member = member});
	}
	if (rel != NULL)
		table_close(rel, NoLock);
}

/*
 * Note that a row which a query has read references a member, unless it has not
 * joined, because it has been changed since.
 */
static void
note_kinship(Cascade *cascade, CascadeTable *table, int member,
			 const RowIdentity *child)
{
	JoinedRow *joined = hash_search(cascade->joined, child, HASH_FIND, NULL);

	if (joined == NULL || joined->cascade != cascade)
		return;
	cascade->kinships =
		grow_if_full(cascade->context, cascade->kinships, cascade->nkinships,
					 &cascade->nallocated, sizeof(Kinship));
	cascade->kinships[cascade->nkinships++] = (Kinship){.parent_table = table,
														.parent = member,
														.child_table = joined->table,
														.child = joined->number};
}

/*
 * Note a row that references a member, for check_blockers().
 */
static void
note_blocker(Cascade *cascade, Blocker blocker)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(cascade->context);
	Blocker *copy = palloc(sizeof(Blocker));

	*copy = blocker;
	cascade->blockers = lappend(cascade->blockers, copy);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Add the row to a cascade that is number "n" of a query's result, whose first two
 * columns are tableoid and ctid, whatever its stamp.  The result is that of join_cascade().
 */
bool
join_selected_row(Cascade *cascade, SPITupleTable *result, uint64 n)
{
	RowIdentity row = selected_row(result, n);
	Relation rel = NULL;
	bool has_joined = join_row(cascade, &row, &rel, NULL, InvalidOid);

	table_close(rel, NoLock);
	return has_joined;
}

/*
 * Return the place of a row of a query's result: its columns tableoid and ctid.
 */
static RowIdentity
selected_row(SPITupleTable *result, uint64 n)
{
	bool isnull;
	Datum relid = SPI_getbinval(result->vals[n], result->tupdesc, 1, &isnull);
	Datum tid = SPI_getbinval(result->vals[n], result->tupdesc, 2, &isnull);
	RowIdentity row = {.relid = DatumGetObjectId(relid),
					   .tid = *(ItemPointer) DatumGetPointer(tid)};

	return row;
}

/*
 * Add the tombstone to a cascade that a query has read at a place.  "rel" is the
 * relation of the row before, or NULL, and is set to that of this row, which the
 * caller closes.  The result is that of join_cascade().
 */
static bool
join_row(Cascade *cascade, RowIdentity *row, Relation *rel,
		 const TimestampTz *stamp, Oid joined_by)
{
	Tombstone tombstone;
	Oid relid = locate_tombstone(row->relid, &row->tid, &tombstone);

	if (*rel == NULL || RelationGetRelid(*rel) != relid)
	{
		if (*rel != NULL)
			table_close(*rel, NoLock);
		*rel = table_open(relid, RowExclusiveLock);
	}
	return join_cascade(cascade, *rel, &tombstone, stamp, joined_by);
}

/*
 * Mark the members in the companion of a table that have no children by a foreign key:
 * its children reference another row with the same key, which is their parent
 * now.  A row that stepped aside because of another key may still be the only one
 * with this key, and then has its children.
 */
void
mark_childless_members(CascadeTable *table, Relation rel, const ForeignKey *fk)
{
	int *numbers;
	CascadeTable aside = members_aside(table, &numbers);
	Oid argtypes[] = {TIDARRAYOID, OIDARRAYOID};
	Datum values[2];
	Tuplestorestate *members;
	bool isnull;

	if (aside.nmembers == 0)
		return;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	member_places(&aside, values);
	members = register_members(&aside, rel, fk->nkeys, fk->parent_attnums, 0,
							   InvalidOid);
	(void) execute_as_owner(table->relid, other_parents_query(fk), 2, argtypes,
							values, SPI_OK_SELECT);
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
 * Return copies of the members in the companion of a table, none of them marked as
 * childless, and set "numbers" to their numbers in the table.
 */
static CascadeTable
members_aside(CascadeTable *table, int **numbers)
{
	CascadeTable aside = {.relid = table->relid};

	*numbers = MemoryContextAllocHuge(CurrentMemoryContext,
									  (Size) table->nmembers * sizeof(int));
	for (int i = 0; i < table->nmembers; i++)
	{
		if (shares_keys(&table->members[i].tombstone))
			(*numbers)[aside.nmembers++] = i;
	}
	if (aside.nmembers == 0)
		return aside;

	aside.members = MemoryContextAllocHuge(CurrentMemoryContext,
										   (Size) aside.nmembers * sizeof(Member));
	for (int i = 0; i < aside.nmembers; i++)
	{
		table->members[(*numbers)[i]].is_childless = false;
		aside.members[i] = table->members[(*numbers)[i]];
	}
	return aside;
}

/*
 * Return the places of the members of a table, ctid and tableoid, as a tid[] and an oid[].
 */
static void
member_places(CascadeTable *table, Datum *places)
{
	Size size = (Size) table->nmembers * sizeof(Datum);
	Datum *tids = MemoryContextAllocHuge(CurrentMemoryContext, size);
	Datum *relids = MemoryContextAllocHuge(CurrentMemoryContext, size);

	for (int i = 0; i < table->nmembers; i++)
	{
		Tombstone *tombstone = &table->members[i].tombstone;

		tids[i] = PointerGetDatum(&tombstone->tid);
		relids[i] =
			ObjectIdGetDatum(tombstone_identity(table->relid, tombstone).relid);
	}
	places[0] = PointerGetDatum(construct_array(tids, table->nmembers, TIDOID,
												sizeof(ItemPointerData), false,
												TYPALIGN_SHORT));
	places[1] = PointerGetDatum(construct_array(relids, table->nmembers, OIDOID,
												sizeof(Oid), true, TYPALIGN_INT));
}

/*
 * Return the query for members in the companion whose key another row has: a row in the
 * table, or one in the companion that is none of the members, whose places are $1 and $2.
 */
static char *
other_parents_query(const ForeignKey *fk)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT m.member FROM " CASCADE_MEMBERS
								   " m WHERE EXISTS (SELECT FROM ");
	append_side(&query, fk->parent, "p", sample_of(IN_PLACE, true));
	appendStringInfoString(&query, " WHERE ");
	append_parent_key_match(&query, fk, "p", "m.k");
	appendStringInfoString(&query, ") OR EXISTS (SELECT FROM ");
	append_side(&query, fk->parent, "p", sample_of(ASIDE, true));
	appendStringInfoString(&query, " WHERE ");
	append_parent_key_match(&query, fk, "p", "m.k");
	/* only with months are members in several relations */
	if (months_of(companion_of(fk->parent)) == NIL)
		appendStringInfoString(&query, " AND p.ctid OPERATOR(pg_catalog.<>) ALL ($1) "
									   "AND $2 IS NOT NULL)");
	else
		appendStringInfoString(&query,
							   " AND NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS n(place, relid) "
							   "WHERE n.place OPERATOR(pg_catalog.=) p.ctid AND n.relid OPERATOR(pg_catalog.=) p.tableoid))");
	return query.data;
}

/*
 * Append the condition that a row of the referenced table has a key.  "alias" is
 * that of the table, "values" what the numbers of the key's columns are appended
 * to: "$" for parameters.
 */
void
append_parent_key_match(StringInfo query, const ForeignKey *fk,
						const char *alias, const char *values)
{
	for (int i = 0; i < fk->nkeys; i++)
	{
		Oid type = get_atttype(fk->parent, fk->parent_attnums[i]);
		const char *column =
			quote_identifier(get_attname(fk->parent, fk->parent_attnums[i], false));

		if (i > 0)
			appendStringInfoString(query, " AND ");
		generate_operator_clause(query, psprintf("%s.%s", alias, column), type,
								 fk->parent_operators[i],
								 psprintf("%s%d", values, i + 1), type);
	}
}

/*
 * Make a relation for SPI queries, CASCADE_MEMBERS, with the keys of the members
 * from number "first" on, except of those that are marked as childless, and of
 * those that joined by the foreign key "except".  Returns its rows, which the
 * caller ends before it calls SPI_finish().
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
			(OidIsValid(except) && member->joined_by == except))
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
		elog(ERROR, "could not register the members of a cascade");
	return store;
}

/*
 * Return the descriptor of the rows of CASCADE_MEMBERS.
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
 * Raise 23503 if a row references a member and has not joined the cascade.
 */
static void
check_blockers(Cascade *cascade)
{
	ListCell *lc;

	foreach (lc, cascade->blockers)
	{
		Blocker *blocker = lfirst(lc);

		if (!is_in_cascade(cascade, &blocker->row))
			report_blocker(blocker);
	}
}

/*
 * Raise 23503, with the message of the foreign key, for a row that references a
 * member.
 */
static void
report_blocker(Blocker *blocker)
{
	const ForeignKey *fk = blocker->fk;
	Relation parent = table_open(blocker->table->relid, NoLock);
	Relation child = table_open(fk->child, NoLock);
	TupleTableSlot *slot = table_slot_create(parent, NULL);
	char *name = get_constraint_name(fk->constraint);
	const char *condition = NULL;
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
			 may_see ? errhint("SELECT * FROM %s WHERE %s;",
							   blocker->is_tombstone ? bin_name(fk->child)
													 : qualified_name(fk->child),
							   condition)
					 : 0,
			 errtableconstraint(child, name)));
}

/*
 * Show in pg_stat_activity how far a cascade has come with the members of a relation,
 * after so many that this takes no time.
 */
void
report_cascade(const char *what, Relation rel, int done)
{
	if (done > 0 && done % REPORTED_MEMBERS == 0)
		pgstat_report_activity(STATE_RUNNING,
							   psprintf("soft_delete: %s %d rows of %s so far",
										what, done,
										qualified_name(RelationGetRelid(rel))));
}

/*
 * Destroy the members of a completed cascade, and record that as events of a kind.
 * Returns their number.
 */
uint64
purge_cascade(Cascade *cascade, const char *event)
{
	ListCell *lc;

	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);
		Relation rel = table_open(table->relid, RowExclusiveLock);

		for (int i = 0; i < table->nmembers; i++)
		{
			CHECK_FOR_INTERRUPTS();
			destroy_tombstone(rel, &table->members[i].tombstone);
			report_cascade("destroyed", rel, i + 1);
		}
		table_close(rel, NoLock);
	}
	record_cascade(cascade, event);
	return cascade_size(cascade);
}

/*
 * Return the number of members of a cascade.
 */
uint64
cascade_size(const Cascade *cascade)
{
	uint64 n = 0;
	ListCell *lc;

	foreach (lc, cascade->tables)
		n += ((CascadeTable *) lfirst(lc))->nmembers;
	return n;
}

/*
 * Record what has become of the members of a cascade as events of a kind.  Of rows that
 * were restored it is recorded which ones: a hash of their primary key.
 */
void
record_cascade(Cascade *cascade, const char *event)
{
	HTAB *tally = make_tally();
	ListCell *lc;

	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);
		Relation rel = table_open(table->relid, NoLock);
		TupleTableSlot *row = table_slot_create(rel, NULL);

		for (int i = 0; i < table->nmembers; i++)
		{
			Tombstone *tombstone = &table->members[i].tombstone;

			CHECK_FOR_INTERRUPTS();
			if (cascade->is_purge)
				tally_row(tally, table->relid, tombstone->stamp);
			else
			{
				fetch_tombstone(rel, tombstone, row);
				tally_key(tally, table->relid, tombstone->stamp, row);
			}
		}
		ExecDropSingleTupleTableSlot(row);
		table_close(rel, NoLock);
	}
	record_tally(tally, event);
}
