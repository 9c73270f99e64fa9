/*
 * status.c
 *	  Tells who watches a tagged table how many tombstones it has and how old
 *	  they are.
 *
 * A watcher is told figures, not rows: it needs no right on the table, and the
 * index of the bin answers.  Nothing here reads a whole table or a whole index;
 * where counting would take long, the planner's estimate must do.  Nor does it
 * wait for anybody: what is locked tells nothing.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/execdesc.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"

#include "purge/sd_purge.h"

/* Up to so many tombstones are counted; what is beyond is estimated. */
#define MAX_COUNTED 1000

PG_FUNCTION_INFO_V1(soft_delete_may_watch);
PG_FUNCTION_INFO_V1(soft_delete_count_tombstones);
PG_FUNCTION_INFO_V1(soft_delete_oldest_tombstone);
PG_FUNCTION_INFO_V1(soft_delete_is_free);

static bool may_watch(Oid relid);
static const char *watched_column(Oid relid);
static const char *as_stored(Oid relid, const char *tombstone);
static int64 fetch_by_index(Oid relid, const char *query, int nargs,
							Datum *values, long limit, double *estimate);
static bool is_free(Oid relid, LOCKMODE lockmode);
static bool takes_long(PlanState *planstate, void *context);

/*
 * soft_delete_internal.may_watch(relation regclass) returns boolean
 *
 * Tells whether the caller may know figures of a tagged table: as its owner, by
 * SELECT on its bin, or as one who may read all statistics.
 */
Datum
soft_delete_may_watch(PG_FUNCTION_ARGS)
{
	bool result;

	SPI_connect();
	result = may_watch(PG_GETARG_OID(0));
	SPI_finish();
	PG_RETURN_BOOL(result);
}

/*
 * soft_delete_internal.count_tombstones(relation regclass, before timestamptz DEFAULT NULL)
 * returns bigint
 *
 * Returns how many tombstones a tagged table and its partitions have, with a
 * stamp before the given one if it is not null: exactly up to MAX_COUNTED, else
 * the planner's estimate.  Null if the caller may not know, or no index tells.
 */
Datum
soft_delete_count_tombstones(PG_FUNCTION_ARGS)
{
	Oid relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	Datum before = PG_GETARG_DATUM(1);
	const char *tombstone;
	StringInfoData query;
	double estimate;
	int64 count;

	SPI_connect();
	tombstone = watched_column(relid);
	if (tombstone == NULL)
	{
		SPI_finish();
		PG_RETURN_NULL();
	}

	initStringInfo(&query);
	appendStringInfo(&query,
					 "SELECT FROM %s TABLESAMPLE " EXTENSION_SCHEMA ".rows('%s')",
					 qualified_name(relid), PG_ARGISNULL(1) ? "deleted" : "all");
	/* no live row has a stamp; to say so would count twice in the estimate */
	if (!PG_ARGISNULL(1))
		appendStringInfo(&query, " WHERE %s OPERATOR(pg_catalog.<) %s",
						 quote_identifier(tombstone), as_stored(relid, tombstone));
	count = fetch_by_index(relid, query.data, PG_ARGISNULL(1) ? 0 : 1, &before,
						   MAX_COUNTED + 1, &estimate);
	if (count > MAX_COUNTED)
		count = Max(count, (int64) estimate);
	SPI_finish();

	if (count < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(count);
}

/*
 * soft_delete_internal.oldest_tombstone(relation regclass) returns timestamptz
 *
 * Returns the stamp of the oldest tombstone in a tagged table and its
 * partitions.  Null if there is none, the caller may not know, or no index
 * tells.
 */
Datum
soft_delete_oldest_tombstone(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	const char *tombstone;
	double estimate;
	TimestampTz oldest = 0;
	bool isnull = true;

	SPI_connect();
	tombstone = watched_column(relid);
	if (tombstone != NULL)
	{
		char *query = psprintf("SELECT %1$s FROM %2$s TABLESAMPLE " EXTENSION_SCHEMA
							   ".rows('deleted') ORDER BY %1$s LIMIT 1",
							   quote_identifier(tombstone), qualified_name(relid));

		/* with and without time zone, for then it holds UTC, it is the same number */
		if (fetch_by_index(relid, query, 0, NULL, 1, &estimate) > 0)
			oldest = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0],
													   SPI_tuptable->tupdesc, 1,
													   &isnull));
	}
	SPI_finish();

	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(oldest);
}

/*
 * May the caller know figures of a tagged table?  SPI must be connected.
 */
static bool
may_watch(Oid relid)
{
	Oid bin;

	if (relation_ownercheck(relid, calling_role()) ||
		has_privs_of_role(calling_role(), ROLE_PG_READ_ALL_STATS))
		return true;
	bin = bin_of(relid);
	return OidIsValid(bin) &&
		   pg_class_aclcheck(bin, calling_role(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Return the tombstone column of a table that is tagged and of which the caller
 * may know figures, or NULL.  A tag may name a column that is gone, of which
 * soft_delete.check() tells.  SPI must be connected.
 */
static const char *
watched_column(Oid relid)
{
	List *arguments = tag_arguments(relid);

	if (arguments == NIL ||
		get_attnum(relid, linitial(arguments)) == InvalidAttrNumber ||
		!may_watch(relid))
		return NULL;
	return linitial(arguments);
}

/*
 * Return parameter $1 of a query as it compares with the tombstone column, which
 * holds UTC if it is without time zone.
 */
static const char *
as_stored(Oid relid, const char *tombstone)
{
	return get_atttype(relid, get_attnum(relid, tombstone)) == TIMESTAMPOID
			   ? "pg_catalog.timezone('UTC', $1)"
			   : "$1";
}

/*
 * Run a query on a table as its owner, without row security, leave up to
 * "limit" rows to SPI, which must be connected, and return their number.  A
 * plan that does not read from indexes, in their order, is not run, and none if
 * the owner may not read the table, or somebody keeps others from reading it: then
 * the result is -1.
 */
static int64
fetch_by_index(Oid relid, const char *query, int nargs, Datum *values,
			   long limit, double *estimate)
{
	Oid argtypes[] = {TIMESTAMPTZOID};
	MemoryContext context = CurrentMemoryContext;
	int64 fetched = -1;
	Relation rel;
	SavedRole saved;

	if (!is_free(relid, AccessShareLock))
		return -1;
	rel = try_table_open(relid, NoLock);
	if (rel == NULL)
		return -1; /* it is gone */
	if (pg_class_aclcheck(relid, rel->rd_rel->relowner, ACL_SELECT) == ACLCHECK_OK)
	{
		become_owner(rel, &saved);
		PG_TRY();
		{
			Portal portal =
				SPI_cursor_open_with_args(NULL, query, nargs, argtypes, values,
										  NULL, true, CURSOR_OPT_FAST_PLAN);
			PlanState *planstate = portal->queryDesc->planstate;

			*estimate = planstate->plan->plan_rows;
			if (!takes_long(planstate, NULL))
			{
				SPI_cursor_fetch(portal, true, limit);
				fetched = SPI_processed;
			}
			SPI_cursor_close(portal);
		}
		PG_CATCH();
		{
			throw_owners_error(context);
		}
		PG_END_TRY();
		restore_role(&saved);
	}
	table_close(rel, NoLock);
	return fetched;
}

/*
 * Lock a table, its partitions and inheritance children and their indexes until
 * the transaction ends, unless somebody else keeps that from being done at once:
 * then return false.
 */
static bool
is_free(Oid relid, LOCKMODE lockmode)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Oid member = lfirst_oid(lc);
		Relation rel;
		bool all = true;
		ListCell *index;

		if (!ConditionalLockRelationOid(member, lockmode))
			return false;
		rel = try_table_open(member, NoLock);
		if (rel == NULL)
			continue; /* it is gone */
		foreach (index, RelationGetIndexList(rel))
			all = all && ConditionalLockRelationOid(lfirst_oid(index), lockmode);
		table_close(rel, NoLock);
		if (!all)
			return false;
	}
	return true;
}

/*
 * soft_delete_internal.is_free(relation regclass, purges boolean) returns boolean
 *
 * Tells whether who reads a table, its partitions and their indexes, or purges
 * them, need not wait for anybody else, and locks them so until the transaction
 * ends.
 */
Datum
soft_delete_is_free(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	bool purges = PG_GETARG_BOOL(1);
	ListCell *lc;

	/* nobody waits for what is gone */
	if (get_rel_relkind(relid) == '\0')
		PG_RETURN_BOOL(true);
	if (!is_free(relid, purges ? RowExclusiveLock : AccessShareLock))
		PG_RETURN_BOOL(false);
	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (purges && !try_lock_holds(lfirst_oid(lc), ShareLock))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

/*
 * Does a plan do more than read from indexes in their order (walker)?
 */
static bool
takes_long(PlanState *planstate, void *context)
{
	switch (nodeTag(planstate))
	{
		case T_IndexScanState:
		case T_IndexOnlyScanState:
			return false;
		case T_LimitState:
		case T_ResultState:
		case T_AppendState:
		case T_MergeAppendState:
			return planstate_tree_walker(planstate, takes_long, context);
		default:
			return true;
	}
}
