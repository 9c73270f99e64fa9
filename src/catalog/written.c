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

/* More tables than these of others are not told apart */
#define MAX_WRITTEN 64

static Oid written[MAX_WRITTEN];
static int nwritten = 0;
static bool is_full = false;

/* The role whose own tables have been left out for want of room, if there is one */
static Oid left_out_for = InvalidOid;

static void end_transaction(XactEvent event, void *arg);
static void leave_out_own(void);
static bool lacks_tables_of_others(void);
static bool is_of_another(Oid relid);
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
		left_out_for = InvalidOid;
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
	if (nwritten == MAX_WRITTEN)
		leave_out_own();
	if (nwritten < MAX_WRITTEN)
		written[nwritten++] = relid;
	else
		is_full = true;
}

/*
 * Make room by the tables that the session's role owns: who restores a dump of its own
 * tables in one transaction writes to any number of them.
 */
static void
leave_out_own(void)
{
	int kept = 0;

	is_full = lacks_tables_of_others();
	left_out_for = GetOuterUserId();
	for (int i = 0; i < nwritten; i++)
	{
		if (is_of_another(written[i]))
			written[kept++] = written[i];
	}
	nwritten = kept;
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
		if (is_of_another(written[i]) && references(written[i], parent))
			return true;
	}
	return lacks_tables_of_others() && !superuser_arg(GetOuterUserId());
}

/*
 * May the transaction have written to a table of another role than the session's that is not
 * among those that it is known to have written to?
 */
static bool
lacks_tables_of_others(void)
{
	return is_full ||
		   (OidIsValid(left_out_for) && left_out_for != GetOuterUserId());
}

/*
 * Does a table, which may have been dropped, belong to another role than the session's?
 */
static bool
is_of_another(Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) &&
		   !relation_ownercheck(relid, GetOuterUserId());
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
