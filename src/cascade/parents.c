/*
 * parents.c
 *	  Brings back the deleted parents of restored rows, where that is asked for.
 *
 * A row whose parent is deleted cannot be restored: its foreign keys mean live rows.
 * With soft_delete.with_parents the parent is restored, too, with what went with it, as
 * if its own bin had been updated.  Of several tombstones with the key, it is the one
 * that was deleted first after the child: that row was its parent.
 *
 * Invariant: only who may restore a parent by its bin brings it back by a child.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "cascade/sd_cascade.h"

/* A tombstone that a member references */
typedef struct Candidate
{
	bool is_set;
	bool is_joined; /* a tombstone with the key is restored anyhow */
	RowIdentity row;
	TimestampTz stamp;
} Candidate;

/* soft_delete.with_parents */
static bool with_parents = false;

static bool join_parents_of(Cascade *cascade, CascadeTable *table);
static bool join_parents_by(Cascade *cascade, CascadeTable *table, Relation rel,
							int first, const ForeignKey *fk);
static char *candidates_query(const ForeignKey *fk, StorageKind storage);
static void note_candidates(Cascade *cascade, const CascadeTable *table,
							Candidate *candidates, uint64 n);
static bool is_better(const Candidate *known, TimestampTz stamp,
					  TimestampTz deleted_at);
static bool join_candidates(Cascade *cascade, const ForeignKey *fk,
							Candidate *candidates, int n);
static void check_may_restore(Oid roleid, Oid relid);

/*
 * Define soft_delete.with_parents.
 */
void
init_parents(void)
{
	DefineCustomBoolVariable("soft_delete.with_parents",
							 "Restores the deleted parents of a restored row, too.",
							 NULL, &with_parents, false, PGC_USERSET, 0, NULL,
							 NULL, NULL);
}

/*
 * Complete a cascade that is to be restored: add what went with its members, and, if
 * that is asked for, their deleted parents with what went with these.
 *
 * Raises 42501 for a parent that the caller may not restore.
 */
void
complete_restore(Cascade *cascade)
{
	bool has_grown = with_parents;

	complete_cascade(cascade);
	while (has_grown)
	{
		ListCell *lc;

		has_grown = false;
		foreach (lc, cascade->tables)
			has_grown |= join_parents_of(cascade, lfirst(lc));
		if (has_grown)
			complete_cascade(cascade);
	}
}

/*
 * Add the parents of those members of a table whose parents have not been looked for.
 * Returns whether there were any.
 */
static bool
join_parents_of(Cascade *cascade, CascadeTable *table)
{
	int first = table->nclimbed;
	bool has_grown = false;
	Relation rel;
	ListCell *lc;

	if (first == table->nmembers)
		return false;
	table->nclimbed = table->nmembers;
	rel = table_open(table->relid, NoLock);
	foreach (lc, foreign_keys_from(rel))
	{
		const ForeignKey *fk = lfirst(lc);

		if (is_tagged(fk->parent))
			has_grown |= join_parents_by(cascade, table, rel, first, fk);
	}
	table_close(rel, NoLock);
	return has_grown;
}

/*
 * Add the parents of members, from number "first" on, by one foreign key.  Returns
 * whether there were any.
 */
static bool
join_parents_by(Cascade *cascade, CascadeTable *table, Relation rel, int first,
				const ForeignKey *fk)
{
	int n = table->nclimbed;
	Candidate *candidates =
		MemoryContextAllocExtended(CurrentMemoryContext,
								   (Size) n * sizeof(Candidate),
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	Tuplestorestate *members;
	bool has_grown;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	members =
		register_members(table, rel, fk->nkeys, fk->child_attnums, first, fk->top);
	for (StorageKind storage = 0; storage < N_STORAGES; storage++)
	{
		if (tuplestore_tuple_count(members) > 0 && has_tombstones(storage, fk->parent))
			note_candidates(cascade, table, candidates,
							execute_as_owner(fk->parent, candidates_query(fk, storage),
											 0, NULL, NULL, SPI_OK_SELECT));
	}
	tuplestore_end(members);
	SPI_finish();
	has_grown = join_candidates(cascade, fk, candidates, n);
	pfree(candidates);
	return has_grown;
}

/*
 * Return the query for the tombstones in a storage that members reference who have no
 * live parent: the number of the member, tableoid, ctid and the stamp.
 */
static char *
candidates_query(const ForeignKey *fk, StorageKind storage)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT m.member, p.tableoid, p.ctid, %s",
					 stamp_of("p", fk->parent, storage));
	appendStringInfoString(&query, " FROM " CASCADE_MEMBERS " m JOIN ");
	append_side(&query, fk->parent, "p", sample_of(storage, false));
	appendStringInfoString(&query, " ON ");
	append_key_match(&query, fk, "p", fk->parent_attnums, "m", NULL);
	appendStringInfoString(&query, " WHERE NOT EXISTS (SELECT FROM ");
	append_side(&query, fk->parent, "q", "live");
	appendStringInfoString(&query, " WHERE ");
	append_key_match(&query, fk, "q", fk->parent_attnums, "m", NULL);
	appendStringInfoString(&query, ")");
	return query.data;
}

/*
 * Note which of the n rows of SPI_tuptable, tombstones that members reference, is the
 * parent of each.
 */
static void
note_candidates(Cascade *cascade, const CascadeTable *table,
				Candidate *candidates, uint64 n)
{
	SPITupleTable *result = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple tuple = result->vals[i];
		bool isnull;
		int member =
			DatumGetInt32(SPI_getbinval(tuple, result->tupdesc, 1, &isnull));
		RowIdentity row = {.relid = DatumGetObjectId(
							   SPI_getbinval(tuple, result->tupdesc, 2, &isnull)),
						   .tid = *(ItemPointer) DatumGetPointer(
							   SPI_getbinval(tuple, result->tupdesc, 3, &isnull))};
		TimestampTz stamp =
			DatumGetTimestampTz(SPI_getbinval(tuple, result->tupdesc, 4, &isnull));
		Candidate *known = &candidates[member];

		CHECK_FOR_INTERRUPTS();
		if (is_in_cascade(cascade, &row))
			known->is_joined = true;
		else if (is_better(known, stamp, table->members[member].tombstone.stamp))
			*known = (Candidate){.is_set = true,
								 .is_joined = known->is_joined,
								 .row = row,
								 .stamp = stamp};
	}
	SPI_freetuptable(result);
}

/*
 * Is a tombstone with a stamp more likely the parent of a row that was deleted at a time
 * than the one that is known?  The parent was deleted with its child, or next after it.
 */
static bool
is_better(const Candidate *known, TimestampTz stamp, TimestampTz deleted_at)
{
	if (!known->is_set || (stamp < deleted_at) != (known->stamp < deleted_at))
		return !known->is_set || stamp >= deleted_at;
	return stamp < deleted_at ? stamp > known->stamp : stamp < known->stamp;
}

/*
 * Add the parents that have been found to the cascade.  Returns whether there were any.
 */
static bool
join_candidates(Cascade *cascade, const ForeignKey *fk, Candidate *candidates, int n)
{
	bool has_grown = false;

	for (int i = 0; i < n; i++)
	{
		Tombstone tombstone;
		Relation rel;
		Oid relid;

		if (!candidates[i].is_set || candidates[i].is_joined)
			continue;
		if (!has_grown)
			check_may_restore(role_of_query(cascade->context), fk->parent);
		relid = locate_tombstone(candidates[i].row.relid,
								 &candidates[i].row.tid, &tombstone);
		if (!OidIsValid(relid))
			continue; /* restored or destroyed meanwhile */
		rel = table_open(relid, RowExclusiveLock);
		has_grown |= join_cascade(cascade, rel, &tombstone,
								  &candidates[i].stamp, InvalidOid);
		table_close(rel, NoLock);
	}
	return has_grown;
}

/*
 * Raise 42501 unless a role may restore rows of a table by its bin.
 */
static void
check_may_restore(Oid roleid, Oid relid)
{
	Oid bin = bin_of(relid);
	AttrNumber attnum = OidIsValid(bin) ? get_attnum(bin, tombstone_name(relid))
										: InvalidAttrNumber;

	if (relation_ownercheck(relid, roleid) ||
		(OidIsValid(bin) &&
		 (pg_class_aclcheck(bin, roleid, ACL_UPDATE) == ACLCHECK_OK ||
		  (attnum != InvalidAttrNumber &&
		   pg_attribute_aclcheck(bin, attnum, roleid, ACL_UPDATE) == ACLCHECK_OK))))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for view %s", bin_name(relid)),
			 errdetail("To bring back parents with their children takes the right to update the tombstone column of the bin of each.")));
}
