/*
 * outdated.c
 *	  Refuses to read a table by a snapshot from before it got another tag, or none.
 *
 * untag(), and a change of storage, take the tombstones out of a table.  A snapshot from
 * before that still sees them there, and no live filter hides them any more.  A transaction
 * that keeps its snapshot has such a one, and so has a command that has taken its snapshot
 * and then waited for the lock of the table: COPY, EXECUTE, REFRESH MATERIALIZED VIEW, and
 * queries of STABLE functions.
 *
 * The snapshot sees the tag in pg_trigger, too.  To look there is for those transactions only
 * that have heard of a change of a relation since they began: who has not, has the lock of a
 * relation that is as its snapshot has it.  Who imports a snapshot may have heard before.
 *
 * Invariant: no snapshot sees a tombstone where the plan has no filter for it.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "nodes/parsenodes.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "plan/sd_plan.h"

/* The value of relcache_changes when the last transaction ended */
static uint64 changes_before = 0;

/* The transaction that has imported a snapshot last */
static LocalTransactionId importing_lxid = InvalidLocalTransactionId;

static void end_transaction(XactEvent event, void *arg);
static bool is_up_to_date(void);
static char *column_name_seen(Oid relid, AttrNumber attnum, Snapshot snapshot);

/*
 * Register the callback that sees transactions end.
 */
void
init_outdated(void)
{
	/* of this transaction it is not known what it has heard */
	if (IsTransactionState())
		changes_before = PG_UINT64_MAX;
	RegisterXactCallback(end_transaction, NULL);
}

/*
 * Remember how many changes of relations this session has heard of (transaction callback).
 */
static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		changes_before = relcache_changes;
}

/*
 * Note that the transaction imports a snapshot, if that is what the command does.
 */
void
note_imported_snapshot(VariableSetStmt *stmt)
{
	if (stmt->kind == VAR_SET_MULTI && strcmp(stmt->name, "TRANSACTION SNAPSHOT") == 0)
		importing_lxid = my_local_xid();
}

/*
 * Has the transaction imported its snapshot?
 */
bool
has_imported_snapshot(void)
{
	return importing_lxid == my_local_xid();
}

/*
 * Are all relations as any snapshot of the transaction has them?
 */
static bool
is_up_to_date(void)
{
	return relcache_changes == changes_before && !has_imported_snapshot();
}

/*
 * Check the tables that a statement reads, as check_snapshot() does.
 */
void
check_snapshot_of_statement(const PlannedStmt *stmt, Snapshot snapshot)
{
	ListCell *lc;

	if (is_up_to_date())
		return;
	foreach (lc, stmt->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION &&
			(rte->relkind == RELKIND_RELATION ||
			 rte->relkind == RELKIND_PARTITIONED_TABLE))
			check_snapshot(rte->relid, snapshot);
	}
}

/*
 * Raise 40001 if the snapshot sees tombstones in a table, which is locked, where they are not
 * hidden any more, unless the session may read them.
 */
void
check_snapshot(Oid relid, Snapshot snapshot)
{
	Relation rel;
	AttrNumber attnum;
	char *before;

	if (is_up_to_date() || relid < FirstNormalObjectId ||
		snapshot == InvalidSnapshot || !IsMVCCSnapshot(snapshot) ||
		shows_deleted() || reads_tombstones(relid) || !OidIsValid(extension_oid()) ||
		(before = tombstone_name_seen(relid, snapshot)) == NULL)
		return;
	/* a parallel worker has no lock of its own yet */
	rel = table_open(relid, AccessShareLock);
	attnum = tombstone_attribute(rel);
	table_close(rel, AccessShareLock);
	/* the column may have got another name */
	if (attnum != InvalidAttrNumber)
	{
		char *name = column_name_seen(relid, attnum, snapshot);

		if (name != NULL && strcmp(name, before) == 0)
			return;
	}
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("could not serialize access due to concurrent update"),
					errdetail("The snapshot is from before table \"%s\" was untagged, or got another storage, and sees deleted rows in it.",
							  get_rel_name(relid))));
}

/*
 * Return the name of a column that a snapshot sees, or NULL if it sees none.
 */
static char *
column_name_seen(Oid relid, AttrNumber attnum, Snapshot snapshot)
{
	CatalogScan scan =
		begin_catalog_scan_by(AttributeRelationId, AttributeRelidNumIndexId,
							  Anum_pg_attribute_attrelid, relid, snapshot);
	char *name = NULL;
	HeapTuple tuple;

	while (name == NULL && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(tuple);

		if (att->attnum == attnum && !att->attisdropped)
			name = pstrdup(NameStr(att->attname));
	}
	end_catalog_scan(&scan);
	return name;
}
