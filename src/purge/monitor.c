/*
 * monitor.c
 *	  Tells a role that monitors tagged tables how many tombstones they have and how
 *	  old these are.
 *
 * Such a role gets figures, no rows, so it needs no privilege on the table.  They come
 * from the index on stamps.  What soft_delete.tables shows of them is in
 * sql/monitor.sql.
 *
 * Invariants: nothing here reads a whole table or a whole index; where counting would
 * take long, the planner's estimate is returned.  Nothing waits for a lock; of a
 * locked table nothing is returned.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/execdesc.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"

#include "purge/sd_purge.h"

/* The greatest number of tombstones that is counted; more are estimated */
#define MAX_COUNTED 1000

PG_FUNCTION_INFO_V1(soft_delete_may_watch);
PG_FUNCTION_INFO_V1(soft_delete_count_tombstones);
PG_FUNCTION_INFO_V1(soft_delete_oldest_tombstone);
PG_FUNCTION_INFO_V1(soft_delete_has_no_tombstone);
PG_FUNCTION_INFO_V1(soft_delete_is_free);
PG_FUNCTION_INFO_V1(soft_delete_companion_bytes);

static bool may_monitor(Oid relid);
static bool lacks_tombstones(Oid relid, StorageKind storage);
static bool lacks_tombstones_in(Oid relid, StorageKind storage, Oid month);
static bool has_stamp_index(Relation rel, AttrNumber attnum);
static const char *monitored_rows(Oid relid, Oid companion, const char *which);
static const char *monitored_column(Oid relid, Oid *companion);
static int64 fetch_by_index(Oid relid, const char *query, int nargs,
							Datum *values, long limit, double *estimate);
static bool lock_tree_unless_busy(Oid relid, LOCKMODE lockmode);
static bool is_slow_plan(PlanState *planstate, void *context);

/*
 * soft_delete_internal.may_watch(relation regclass) returns boolean
 *
 * Returns whether the caller may monitor a tagged table: as its owner, by SELECT on
 * its bin, or as a member of pg_read_all_stats.
 */
Datum
soft_delete_may_watch(PG_FUNCTION_ARGS)
{
	bool result;

	SPI_connect();
	result = may_monitor(PG_GETARG_OID(0));
	SPI_finish();
	PG_RETURN_BOOL(result);
}

/*
 * soft_delete_internal.count_tombstones(relation regclass, before timestamptz DEFAULT NULL)
 * returns bigint
 *
 * Returns the number of tombstones of a tagged table and its partitions, in the place
 * where they are stored at first, or in a companion, of those with a stamp before the given one if it is not null: exactly up to MAX_COUNTED, else
 * the planner's estimate.  Returns null if the caller may not monitor the table, if
 * no index has the tombstones, or if the table is locked.
 */
Datum
soft_delete_count_tombstones(PG_FUNCTION_ARGS)
{
	Oid relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	Datum before = PG_GETARG_DATUM(1);
	const char *tombstone;
	Oid companion;
	StringInfoData query;
	double estimate;
	int64 count;

	SPI_connect();
	tombstone = monitored_column(relid, &companion);
	if (tombstone == NULL)
	{
		SPI_finish();
		PG_RETURN_NULL();
	}

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT FROM %s",
					 monitored_rows(relid, companion,
									PG_ARGISNULL(1) ? "deleted" : "all"));
	if (OidIsValid(companion) && PG_ARGISNULL(1)) /* a condition for its index */
		appendStringInfo(&query, " WHERE %s OPERATOR(pg_catalog.>) '-infinity'",
						 quote_identifier(tombstone));
	/* live rows have no stamp: a second condition that excludes them would lower the estimate */
	if (!PG_ARGISNULL(1))
		appendStringInfo(&query, " WHERE %s OPERATOR(pg_catalog.<) $1",
						 stamp_expression(NULL, OidIsValid(companion) ? companion : relid,
										  tombstone));
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
 * Returns the stamp of the oldest tombstone of a tagged table and its partitions, in the
 * place where they are stored at first, or in a companion.
 * Returns null if there is none, if the caller may not monitor the table, if no index
 * has the tombstones, or if the table is locked.
 */
Datum
soft_delete_oldest_tombstone(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	const char *tombstone;
	Oid companion;
	double estimate;
	TimestampTz oldest = 0;
	bool isnull = true;

	SPI_connect();
	tombstone = monitored_column(relid, &companion);
	if (tombstone != NULL)
	{
		char *query =
			psprintf("SELECT %1$s FROM %2$s ORDER BY %1$s LIMIT 1",
					 stamp_expression(NULL, OidIsValid(companion) ? companion : relid,
									  tombstone),
					 monitored_rows(relid, companion, "deleted"));

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
 * soft_delete_internal.has_no_tombstone(relation regclass) returns boolean
 *
 * Returns whether a tagged table and its partitions certainly have no tombstones: false,
 * too, if no index tells, or if the table is locked.  Most tables of a large schema have
 * none, and to ask an index takes a tenth of what a query takes.
 */
Datum
soft_delete_has_no_tombstone(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	bool is_aside;
	ListCell *lc;

	if (get_rel_relkind(relid) == '\0' || tag_arguments(relid) == NIL ||
		!lock_tree_unless_busy(relid, AccessShareLock))
		PG_RETURN_BOOL(false);
	is_aside = is_kept_aside(relid);
	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Oid member = lfirst_oid(lc);
		Oid companion = companion_of(member);

		if (is_aside && !OidIsValid(companion))
			PG_RETURN_BOOL(false);
		/* one companion has the tombstones of all partitions, an inheritance child has its own */
		if (OidIsValid(companion) && companions_table(companion) == member &&
			(!lock_tree_unless_busy(companion, AccessShareLock) ||
			 !lacks_tombstones(member, ASIDE)))
			PG_RETURN_BOOL(false);
		if (!is_aside && get_rel_relkind(member) == RELKIND_RELATION &&
			!lacks_tombstones(member, IN_PLACE))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

/*
 * Has a relation, which is locked, certainly no tombstones in a storage?
 */
static bool
lacks_tombstones(Oid relid, StorageKind storage)
{
	ListCell *lc;

	foreach (lc, tombstone_months(storage, relid))
	{
		if (!lacks_tombstones_in(relid, storage, lfirst_oid(lc)))
			return false;
	}
	return true;
}

/*
 * Has a relation certainly no tombstones in a storage, in the companion in one month or in
 * none?
 */
static bool
lacks_tombstones_in(Oid relid, StorageKind storage, Oid month)
{
	Relation rel = table_open(relid, NoLock);
	Tombstone where = {.storage = storage, .month = month};
	Relation place = storage == ASIDE ? open_place(rel, &where, AccessShareLock)
									  : table_open(relid, NoLock);
	AttrNumber attnum = place == NULL ? InvalidAttrNumber
						: storage == ASIDE
							? stamp_attribute(place)
							: get_attnum(relid, linitial(tag_arguments(relid)));
	MemoryContext context = CurrentMemoryContext;
	ScanPosition beginning = {0};
	volatile bool result = false;
	bool is_limited = begin_glance(relid);
	SavedRole saved;

	become_owner(rel, &saved);
	PG_TRY();
	{
		if (attnum != InvalidAttrNumber && has_stamp_index(place, attnum))
		{
			TombstoneScan *scan =
				begin_tombstone_scan(rel, storage, month, DT_NOEND, &beginning);

			result = !next_tombstone(scan);
			end_tombstone_scan(scan);
		}
	}
	PG_CATCH();
	{
		throw_error_of_glance(context, is_limited);
	}
	PG_END_TRY();
	(void) end_time_limit(is_limited);
	restore_role(&saved);
	if (place != NULL) /* else another session has dropped the month */
		table_close(place, NoLock);
	table_close(rel, NoLock);
	return result;
}

/*
 * soft_delete_internal.companion_bytes(relation regclass) returns bigint
 *
 * Returns the size of the companions of a table, its partitions and inheritance children,
 * with their months, indexes and TOAST tables, in bytes; null if there is none.
 */
Datum
soft_delete_companion_bytes(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	int64 bytes = 0;
	bool is_any = false;
	ListCell *lc, *place;

	if (get_rel_relkind(relid) == '\0')
		PG_RETURN_NULL();
	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Oid companion = own_companion(lfirst_oid(lc));

		foreach (place, OidIsValid(companion) ? places_of(companion) : NIL)
		{
			LOCAL_FCINFO(call, 1);
			Datum size;

			InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
			call->args[0].value = ObjectIdGetDatum(lfirst_oid(place));
			call->args[0].isnull = false;
			size = pg_total_relation_size(call);
			if (call->isnull) /* another session has dropped it */
				continue;
			bytes += DatumGetInt64(size);
			is_any = true;
		}
	}
	if (!is_any)
		PG_RETURN_NULL();
	PG_RETURN_INT64(bytes);
}

/*
 * Has a relation an index on the stamps of its tombstones?
 */
static bool
has_stamp_index(Relation rel, AttrNumber attnum)
{
	Relation index = open_stamp_index(rel, attnum);

	if (index == NULL)
		return false;
	index_close(index, NoLock);
	return true;
}

/*
 * Return the item of a FROM clause for the tombstones of a table, or for its other rows
 * in the same place, too; "companion" is the one to read, or InvalidOid.
 */
static const char *
monitored_rows(Oid relid, Oid companion, const char *which)
{
	if (OidIsValid(companion))
		return qualified_name(companion);
	return psprintf("%s TABLESAMPLE " EXTENSION_SCHEMA ".rows('%s')",
					qualified_name(relid), which);
}

/*
 * May the caller monitor a tagged table?  SPI must be connected.
 */
static bool
may_monitor(Oid relid)
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
 * Return the tombstone column of a table, or NULL if the table is not tagged, if the
 * caller may not monitor it, or if the column does not exist, which soft_delete.check()
 * reports.  The relation may also be a companion.  Sets the companion to read, or
 * InvalidOid for the table itself.  SPI must be connected.
 */
static const char *
monitored_column(Oid relid, Oid *companion)
{
	Oid table = companions_table(relid);
	List *arguments = tag_arguments(OidIsValid(table) ? table : relid);

	*companion = OidIsValid(table)		? relid
				 : is_kept_aside(relid) ? companion_of(relid)
										: InvalidOid;
	if (arguments == NIL ||
		get_attnum(OidIsValid(*companion) ? *companion : relid,
				   linitial(arguments)) == InvalidAttrNumber ||
		!may_monitor(OidIsValid(table) ? table : relid))
		return NULL;
	return linitial(arguments);
}

/*
 * Run a query on a table as its owner, without row security.  Returns the number of
 * rows fetched, up to "limit", which are in SPI_tuptable; SPI must be connected.  Sets
 * the planner's estimate.
 *
 * Returns -1, and fetches nothing, if the plan does more than read from indexes in
 * their order, if the owner may not read the table, or if another session has locked
 * it.
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

	if (!lock_tree_unless_busy(relid, AccessShareLock))
		return -1;
	rel = try_table_open(relid, NoLock);
	if (rel == NULL)
		return -1; /* it has been dropped */
	if (pg_class_aclcheck(relid, rel->rd_rel->relowner, ACL_SELECT) == ACLCHECK_OK)
	{
		bool is_limited = begin_glance(relid);

		become_owner(rel, &saved);
		PG_TRY();
		{
			Portal portal =
				SPI_cursor_open_with_args(NULL, query, nargs, argtypes, values,
										  NULL, true, CURSOR_OPT_FAST_PLAN);
			PlanState *planstate = portal->queryDesc->planstate;

			*estimate = planstate->plan->plan_rows;
			if (!is_slow_plan(planstate, NULL))
			{
				SPI_cursor_fetch(portal, true, limit);
				fetched = SPI_processed;
			}
			SPI_cursor_close(portal);
		}
		PG_CATCH();
		{
			throw_error_of_glance(context, is_limited);
		}
		PG_END_TRY();
		(void) end_time_limit(is_limited);
		restore_role(&saved);
	}
	table_close(rel, NoLock);
	return fetched;
}

/*
 * Lock a table, its partitions and inheritance children and their indexes until the
 * transaction ends.  Returns false if that would have to wait for another session.
 */
static bool
lock_tree_unless_busy(Oid relid, LOCKMODE lockmode)
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
			continue; /* it has been dropped */
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
 * Locks a table, its partitions and their indexes until the transaction ends, as a
 * query does, or as a purge does if "purges" is true.  Returns false if that would
 * have to wait for another session.
 */
Datum
soft_delete_is_free(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	bool purges = PG_GETARG_BOOL(1);
	ListCell *lc;

	/* a table that has been dropped needs no lock */
	if (get_rel_relkind(relid) == '\0')
		PG_RETURN_BOOL(true);
	if (!lock_tree_unless_busy(relid, purges ? RowExclusiveLock : AccessShareLock))
		PG_RETURN_BOOL(false);
	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (purges && !try_lock_holds(lfirst_oid(lc), ShareLock))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

/*
 * Does a plan do more than read from indexes in their order?  (plan state tree walker)
 */
static bool
is_slow_plan(PlanState *planstate, void *context)
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
			return planstate_tree_walker(planstate, is_slow_plan, context);
		default:
			return true;
	}
}
