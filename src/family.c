/*
 * family.c
 *	  Brings together the tombstones that must come back, or go, together.
 *
 * A family begins with tombstones that a statement on a bin names.  When it is
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
#include "soft_delete.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

/* A row that is known to belong to a family */
typedef struct KnownRow
{
	RowIdentity row; /* hash key */
	Family *family;
} KnownRow;

/* A row that references a member and has not joined */
typedef struct Blocker
{
	RowIdentity row;
	const ForeignKey *fk;
	bool is_tombstone;
	Lot *lot;	/* of the member */
	int member; /* its number there */
} Blocker;

static bool add_member(Family *family, Relation rel, const Member *member);
static Lot *lot_of(Family *family, Oid relid);
static bool is_member(Family *family, const RowIdentity *row);
static void bring_children(Family *family, Lot *lot);
static void join_children(Family *family, Lot *lot, Relation rel, int first,
						  const ForeignKey *fk);
static char *children_query(Family *family, const ForeignKey *fk, const char *which);
static uint64 select_children(Family *family, Lot *lot, int first,
							  const ForeignKey *fk, const char *which);
static char *heirs_query(Relation rel, const ForeignKey *fk);
static Datum stamps_of(Lot *lot, int first);
static void take_children(Family *family, Lot *lot, const ForeignKey *fk, uint64 n);
static void join_child(Family *family, RowIdentity *row, Relation *rel,
					   const TimestampTz *stamp, Oid via);
static TupleDesc members_desc(Relation rel, int nkeys, const AttrNumber *attnums);
static void check_blockers(Family *family);
static void report_blocker(Blocker *blocker);

/*
 * Make a family without members, living in the memory context.  A row joins
 * either the family or its sibling, if it has one.
 */
Family *
make_family(bool is_purge, Family *sibling, MemoryContext context)
{
	Family *family = MemoryContextAllocZero(context, sizeof(Family));

	family->is_purge = is_purge;
	family->context = context;
	if (sibling != NULL)
		family->known = sibling->known;
	else
	{
		HASHCTL ctl = {.keysize = sizeof(RowIdentity),
					   .entrysize = sizeof(KnownRow),
					   .hcxt = context};

		family->known = hash_create("soft_delete family", 64, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return family;
}

/*
 * Lock a tombstone and let it join the family, brought by a foreign key ("via")
 * or by a statement.  Returns false if it has joined already, or is not a
 * tombstone with that stamp, or with any where "stamp" is NULL, any more.
 *
 * Raises 40001 in a transaction that keeps its snapshot, where a concurrent
 * transaction has changed the row.
 */
bool
join_family(Family *family, Relation rel, ItemPointer tid,
			const TimestampTz *stamp, Oid via)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	Member member = {.via = via};
	bool joins = lock_tombstone(rel, tid, stamp, &member.stamp, slot);

	if (joins)
	{
		/* what has changed since it was found may reference something else now */
		if (!ItemPointerEquals(tid, &slot->tts_tid))
			member.via = InvalidOid;
		member.tid = slot->tts_tid;
		joins = add_member(family, rel, &member);
	}
	ExecDropSingleTupleTableSlot(slot);
	return joins;
}

/*
 * The same for a tombstone that stepped aside from the relation.
 */
bool
join_displaced(Family *family, Relation rel, ItemPointer tid,
			   const TimestampTz *stamp, Oid via)
{
	Member member = {.via = via, .is_displaced = true};

	member.tid = *tid;
	return lock_displaced(rel, &member.tid, stamp, &member.stamp) &&
		   add_member(family, rel, &member);
}

/*
 * Lock the newest version of a tombstone, fetch it into the slot, and find its
 * stamp.  Returns false if it is none with that stamp any more.
 */
bool
lock_tombstone(Relation rel, ItemPointer tid, const TimestampTz *stamp,
			   TimestampTz *found, TupleTableSlot *slot)
{
	bool isnull;

	if (!lock_newest(rel, tid, slot))
		return false;
	*found =
		DatumGetTimestampTz(slot_getattr(slot, tombstone_attribute(rel), &isnull));
	return !isnull && (stamp == NULL || *found == *stamp);
}

/*
 * Fetch the version, dead or alive, at a place that may be anybody's word: the
 * table access method believes in it.  Returns false if there is none.
 */
bool
fetch_version_at(Relation rel, ItemPointer tid, TupleTableSlot *slot)
{
	return ItemPointerIsValid(tid) &&
		   ItemPointerGetBlockNumber(tid) < RelationGetNumberOfBlocks(rel) &&
		   table_tuple_fetch_row_version(rel, tid, SnapshotAny, slot);
}

/*
 * Lock the newest version of a row and fetch it into the slot.  Returns false
 * if it is gone.
 */
bool
lock_newest(Relation rel, ItemPointer tid, TupleTableSlot *slot)
{
	uint8 flags = IsolationUsesXactSnapshot() ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
	TM_FailureData tmfd;
	TM_Result result;

	/* a lock believes in its tid */
	if (!fetch_version_at(rel, tid, slot))
		return false;
	result = table_tuple_lock(rel, tid, GetActiveSnapshot(), slot,
							  GetCurrentCommandId(true), LockTupleExclusive,
							  LockWaitBlock, flags, &tmfd);
	switch (result)
	{
		case TM_Ok:
			return true;

		case TM_SelfModified:
		case TM_Invisible:
			return false; /* changed by a function that the statement calls */

		case TM_Updated:
		case TM_Deleted:
			if (IsolationUsesXactSnapshot())
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("could not serialize access due to concurrent update")));
			return false;

		default:
			elog(ERROR, "unexpected table_tuple_lock status: %u", result);
			return false; /* keep compiler quiet */
	}
}

/*
 * Add a member to the lot of its relation, unless it is there.
 */
static bool
add_member(Family *family, Relation rel, const Member *member)
{
	Lot *lot = lot_of(family, RelationGetRelid(rel));
	RowIdentity row = {.relid = member->is_displaced ? extension_relation("displaced")
													 : lot->relid,
					   .tid = member->tid};
	KnownRow *known;
	bool found;

	known = hash_search(family->known, &row, HASH_ENTER, &found);
	if (found)
		return false;
	known->family = family;

	if (lot->nmembers == lot->nallocated)
	{
		lot->nallocated = doubled(lot->nallocated);
		lot->members =
			repalloc_huge(lot->members, (Size) lot->nallocated * sizeof(Member));
	}
	lot->members[lot->nmembers++] = *member;
	return true;
}

/*
 * Return the lot of a relation, made if it is the first of its members.
 */
static Lot *
lot_of(Family *family, Oid relid)
{
	MemoryContext oldcontext;
	Lot *lot;
	ListCell *lc;

	foreach (lc, family->lots)
	{
		lot = lfirst(lc);
		if (lot->relid == relid)
			return lot;
	}

	oldcontext = MemoryContextSwitchTo(family->context);
	lot = palloc0(sizeof(Lot));
	lot->relid = relid;
	lot->nallocated = 16;
	lot->members = palloc(lot->nallocated * sizeof(Member));
	family->lots = lappend(family->lots, lot);
	MemoryContextSwitchTo(oldcontext);
	return lot;
}

/*
 * Has the row joined the family?
 */
static bool
is_member(Family *family, const RowIdentity *row)
{
	KnownRow *known = hash_search(family->known, row, HASH_FIND, NULL);

	return known != NULL && known->family == family;
}

/*
 * Let all join that belong to the family.
 *
 * Raises 23503 for a purge that would leave a row behind that references a
 * member.
 */
void
complete_family(Family *family)
{
	bool has_grown = true;

	while (has_grown)
	{
		ListCell *lc;

		has_grown = false;
		foreach (lc, family->lots)
		{
			Lot *lot = lfirst(lc);

			if (lot->ncomplete < lot->nmembers)
			{
				bring_children(family, lot);
				has_grown = true;
			}
		}
	}
	check_blockers(family);
}

/*
 * Bring in the children of the members of a lot that joined since last time.
 */
static void
bring_children(Family *family, Lot *lot)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(family->context);
	Relation rel = table_open(lot->relid, RowExclusiveLock);
	int first = lot->ncomplete;
	ListCell *lc;

	lot->ncomplete = lot->nmembers;
	foreach (lc, foreign_keys_to(rel))
	{
		const ForeignKey *fk = lfirst(lc);

		/* a restore is about what CASCADE took along; a purge about any reference */
		if (family->is_purge ||
			(fk->on_delete == FKCONSTR_ACTION_CASCADE && is_tagged(fk->child)))
			join_children(family, lot, rel, first, fk);
	}
	table_close(rel, NoLock);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Let the rows join that reference members, the first one and those after it,
 * by one foreign key.
 */
static void
join_children(Family *family, Lot *lot, Relation rel, int first, const ForeignKey *fk)
{
	Tuplestorestate *members;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (family->is_purge)
		leave_children(lot, rel, fk);
	members = register_members(lot, rel, fk->nkeys, fk->parent_attnums, first,
							   InvalidOid);
	take_children(family, lot, fk, select_children(family, lot, first, fk, "all"));
	if (fk->on_delete == FKCONSTR_ACTION_CASCADE && has_displaced(fk->child))
		take_children(family, lot, fk,
					  select_children(family, lot, first, fk, "displaced"));
	tuplestore_end(members);
	SPI_finish();
}

/*
 * Return the query for the rows that reference members.
 */
static char *
children_query(Family *family, const ForeignKey *fk, const char *which)
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
	appendStringInfoString(&query, ", m.member FROM " FAMILY_MEMBERS " m JOIN ");
	append_side(&query, fk->child, "c", which);
	appendStringInfoString(&query, " ON ");
	append_key_match(&query, fk, "m", NULL, "c", fk->child_attnums);

	if (family->is_purge)
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
select_children(Family *family, Lot *lot, int first, const ForeignKey *fk,
				const char *which)
{
	char *query = children_query(family, fk, which);
	Oid argtypes[] = {TIMESTAMPTZARRAYOID};
	Datum values[1];
	int nestlevel;
	uint64 n;

	if (family->is_purge)
		return execute_as_owner(fk->child, query, 0, NULL, NULL, SPI_OK_SELECT);

	/*
	 * How many rows carry a stamp is what statistics know least, and a nested
	 * loop chosen for few would read the rows of a large deletion once for
	 * each member.
	 */
	values[0] = stamps_of(lot, first);
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
stamps_of(Lot *lot, int first)
{
	int nallocated = 16;
	Datum *stamps = palloc(nallocated * sizeof(Datum));
	int n = 0;

	/* members of one deletion follow one another */
	for (int i = first; i < lot->ncomplete; i++)
	{
		Datum stamp = TimestampTzGetDatum(lot->members[i].stamp);

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
take_children(Family *family, Lot *lot, const ForeignKey *fk, uint64 n)
{
	SPITupleTable *table = SPI_tuptable;
	Relation rel = NULL;

	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;
		RowIdentity row = {.relid = DatumGetObjectId(
							   SPI_getbinval(table->vals[i], table->tupdesc, 1,
											 &isnull)),
						   .tid = *(ItemPointer) DatumGetPointer(
							   SPI_getbinval(table->vals[i], table->tupdesc, 2,
											 &isnull))};
		bool is_tombstone =
			DatumGetBool(SPI_getbinval(table->vals[i], table->tupdesc, 3, &isnull));
		int member = DatumGetInt32(
			SPI_getbinval(table->vals[i], table->tupdesc, 4, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (is_tombstone && fk->on_delete == FKCONSTR_ACTION_CASCADE)
			join_child(family, &row, &rel,
					   family->is_purge ? NULL : &lot->members[member].stamp,
					   fk->top);
		else
		{
			MemoryContext oldcontext = MemoryContextSwitchTo(family->context);
			Blocker *blocker = palloc(sizeof(Blocker));

			*blocker = (Blocker){.row = row,
								 .fk = fk,
								 .is_tombstone = is_tombstone,
								 .lot = lot,
								 .member = member};
			family->blockers = lappend(family->blockers, blocker);
			MemoryContextSwitchTo(oldcontext);
		}
	}
	if (rel != NULL)
		table_close(rel, NoLock);
}

/*
 * Let a child join.  "rel" is the relation of the child before, or NULL, and
 * becomes this one's.
 */
static void
join_child(Family *family, RowIdentity *row, Relation *rel,
		   const TimestampTz *stamp, Oid via)
{
	bool is_displaced = row->relid == extension_relation("displaced");
	Oid relid = is_displaced ? displaced_from(&row->tid) : row->relid;

	if (*rel == NULL || RelationGetRelid(*rel) != relid)
	{
		if (*rel != NULL)
			table_close(*rel, NoLock);
		*rel = table_open(relid, RowExclusiveLock);
	}
	if (is_displaced)
		(void) join_displaced(family, *rel, &row->tid, stamp, via);
	else
		(void) join_family(family, *rel, &row->tid, stamp, via);
}

/*
 * Have the displaced members of a lot that is purged leave their children, by
 * one foreign key, to another row with their key: that is the parent now.  One
 * that stepped aside for another key of it may have the only row of this one.
 */
void
leave_children(Lot *lot, Relation rel, const ForeignKey *fk)
{
	Lot displaced = {.relid = lot->relid};
	int *numbers = MemoryContextAllocHuge(CurrentMemoryContext,
										  (Size) lot->nmembers * sizeof(int));
	Datum *tids;
	Oid argtypes[] = {TIDARRAYOID};
	Datum values[1];
	Tuplestorestate *members;
	bool isnull;

	for (int i = 0; i < lot->nmembers; i++)
	{
		if (lot->members[i].is_displaced)
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
		lot->members[numbers[i]].is_childless = false;
		displaced.members[i] = lot->members[numbers[i]];
		tids[i] = PointerGetDatum(&displaced.members[i].tid);
	}
	values[0] = PointerGetDatum(construct_array(tids, displaced.nmembers,
												TIDOID, sizeof(ItemPointerData),
												false, TYPALIGN_SHORT));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	members = register_members(&displaced, rel, fk->nkeys, fk->parent_attnums,
							   0, InvalidOid);
	(void) execute_as_owner(lot->relid, heirs_query(rel, fk), 1, argtypes,
							values, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		int member =
			DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc, 1, &isnull));

		lot->members[numbers[member]].is_childless = true;
	}
	tuplestore_end(members);
	SPI_finish();
}

/*
 * Return the query for the displaced members whose key another row has: one in
 * its place, or one aside that is no member.
 */
static char *
heirs_query(Relation rel, const ForeignKey *fk)
{
	static const char *const sides[] = {"all", "displaced"};
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT m.member FROM " FAMILY_MEMBERS " m WHERE ");
	for (int side = 0; side < lengthof(sides); side++)
	{
		appendStringInfoString(&query, side == 0 ? "EXISTS (SELECT FROM "
												 : " OR EXISTS (SELECT FROM ");
		append_side(&query, RelationGetRelid(rel), "p", sides[side]);
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
							   side == 0
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
register_members(Lot *lot, Relation rel, int nkeys, const AttrNumber *attnums,
				 int first, Oid except)
{
	TupleDesc desc = members_desc(rel, nkeys, attnums);
	TupleTableSlot *row = table_slot_create(rel, NULL);
	TupleTableSlot *key = make_virtual_slot(desc);
	Tuplestorestate *store = tuplestore_begin_heap(true, false, work_mem);
	EphemeralNamedRelation members = palloc0(sizeof(EphemeralNamedRelationData));

	for (int i = first; i < lot->nmembers; i++)
	{
		Member *member = &lot->members[i];

		if (member->is_childless || (OidIsValid(except) && member->via == except))
			continue;
		fetch_member(rel, member, row);
		ExecClearTuple(key);
		for (int k = 0; k < nkeys; k++)
			key->tts_values[k] = slot_getattr(row, attnums[k], &key->tts_isnull[k]);
		key->tts_values[nkeys] = TimestampTzGetDatum(member->stamp);
		key->tts_values[nkeys + 1] = Int32GetDatum(i);
		key->tts_isnull[nkeys] = key->tts_isnull[nkeys + 1] = false;
		ExecStoreVirtualTuple(key);
		tuplestore_puttupleslot(store, key);
	}
	ExecDropSingleTupleTableSlot(row);
	ExecDropSingleTupleTableSlot(key);

	members->md.name = FAMILY_MEMBERS;
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
 * Fetch the newest version of a member.
 */
void
fetch_member(Relation rel, Member *member, TupleTableSlot *slot)
{
	if (member->is_displaced)
		fetch_displaced(rel, &member->tid, slot);
	else if (!table_tuple_fetch_row_version(rel, &member->tid, SnapshotAny, slot))
		elog(ERROR, "failed to fetch a locked tombstone");
}

/*
 * Raise 23503 if a row references a member and has not joined.
 */
static void
check_blockers(Family *family)
{
	ListCell *lc;

	foreach (lc, family->blockers)
	{
		Blocker *blocker = lfirst(lc);

		if (!is_member(family, &blocker->row))
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
	Relation parent = table_open(blocker->lot->relid, NoLock);
	Relation child = table_open(fk->child, NoLock);
	TupleTableSlot *slot = table_slot_create(parent, NULL);
	char *name = get_constraint_name(fk->constraint);
	const char *condition = "...";
	bool may_see;

	fetch_member(parent, &blocker->lot->members[blocker->member], slot);
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
