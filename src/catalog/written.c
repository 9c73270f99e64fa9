/*
 * written.c
 *	  Remembers which tables a transaction has written to, for the foreign keys of others.
 *
 * In a maintenance session for a table its foreign keys accept deleted rows of it, for the
 * children that a dump has may be deleted, too.  Whose the children are the server's query
 * for the parent does not say, nor when they were written, where the foreign key is deferred.
 *
 * Invariant: who owns a parent, and not its children, makes no child of a deleted row.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

#include "catalog/sd_catalog.h"

/* More tables than these are not told apart */
#define MAX_WRITTEN 64

static Oid written[MAX_WRITTEN];
static int nwritten = 0;
static bool is_full = false;

static void end_transaction(XactEvent event, void *arg);
static bool references(Oid child, Oid parent);

/*
 * Register the callback that sees transactions end.
 */
void
init_written(void)
{
	RegisterXactCallback(end_transaction, NULL);
}

/*
 * Forget what was written (transaction callback).
 */
static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
	{
		nwritten = 0;
		is_full = false;
	}
}

/*
 * Note that a statement of the transaction writes to a table.
 */
void
note_written(Oid relid)
{
	for (int i = nwritten - 1; i >= 0; i--)
	{
		if (written[i] == relid)
			return;
	}
	if (nwritten < MAX_WRITTEN)
		written[nwritten++] = relid;
	else
		is_full = true;
}

/*
 * May a row that the transaction has written, and the session's role does not own, reference a
 * table?
 */
bool
has_written_for_others(Oid parent)
{
	for (int i = 0; i < nwritten; i++)
	{
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(written[i])) &&
			!relation_ownercheck(written[i], GetOuterUserId()) &&
			references(written[i], parent))
			return true;
	}
	return is_full && !superuser_arg(GetOuterUserId());
}

/*
 * Has a table a foreign key to another one?
 */
static bool
references(Oid child, Oid parent)
{
	CatalogScan scan =
		begin_catalog_scan(ConstraintRelationId, ConstraintRelidTypidNameIndexId,
						   Anum_pg_constraint_conrelid, child);
	bool found = false;
	HeapTuple tuple;

	while (!found && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT(tuple);

		found = con->contype == CONSTRAINT_FOREIGN &&
				(con->confrelid == parent ||
				 list_member_oid(with_ancestors(parent), con->confrelid) ||
				 list_member_oid(with_ancestors(con->confrelid), parent));
	}
	end_catalog_scan(&scan);
	return found;
}
