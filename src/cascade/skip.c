/*
 * skip.c
 *	  Rows that a restore skips.
 *
 * undo(…, skip_conflicts => true) finds the rows that cannot be restored, and those
 * below them, and names them here.  They join no cascade that is restored, though their
 * parent does.
 *
 * Invariant: rows are skipped until undo() ends, or the subtransaction in which it has
 * named them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "cascade/sd_cascade.h"

static HTAB *skipped = NULL; /* of RowIdentity, in TopTransactionContext */
static SubTransactionId skipped_subid;

PG_FUNCTION_INFO_V1(soft_delete_skip_rows);

static void forget_skipped(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
							   SubTransactionId parentSubid, void *arg);

/*
 * Install the callbacks at the end of a transaction.
 */
void
init_skip(void)
{
	RegisterXactCallback(forget_skipped, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * soft_delete_internal.skip_rows(relations oid[], places tid[]) returns void
 *
 * Names the rows that restores skip: pairs of tableoid and ctid, as bins list them.  No
 * rows are skipped where the arrays are empty.
 */
Datum
soft_delete_skip_rows(PG_FUNCTION_ARGS)
{
	HASHCTL ctl = {.keysize = sizeof(RowIdentity),
				   .entrysize = sizeof(RowIdentity),
				   .hcxt = TopTransactionContext};
	Datum *relids, *tids;
	bool *relid_nulls, *tid_nulls;
	int nrelids, ntids;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), OIDOID, sizeof(Oid), true,
					  TYPALIGN_INT, &relids, &relid_nulls, &nrelids);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TIDOID, sizeof(ItemPointerData),
					  false, TYPALIGN_SHORT, &tids, &tid_nulls, &ntids);
	if (nrelids != ntids)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("arrays of rows to skip must have the same length")));
	if (skipped != NULL)
		hash_destroy(skipped);
	skipped = NULL;
	if (nrelids == 0)
		PG_RETURN_VOID();
	skipped = hash_create("soft_delete skipped rows", nrelids, &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	skipped_subid = GetCurrentSubTransactionId();
	for (int i = 0; i < nrelids; i++)
	{
		RowIdentity row = {0};

		if (relid_nulls[i] || tid_nulls[i])
			continue;
		row = (RowIdentity){.relid = DatumGetObjectId(relids[i]),
							.tid = *(ItemPointer) DatumGetPointer(tids[i])};

		(void) hash_search(skipped, &row, HASH_ENTER, NULL);
	}
	PG_RETURN_VOID();
}

/*
 * Does a restore skip the row?
 */
bool
is_skipped(const RowIdentity *row)
{
	return skipped != NULL && hash_search(skipped, row, HASH_FIND, NULL) != NULL;
}

/*
 * Forget the rows at the end of a transaction, whose memory is freed (transaction
 * callback).
 */
static void
forget_skipped(XactEvent event, void *arg)
{
	skipped = NULL;
}

/*
 * Forget the rows when the subtransaction that has named them aborts (subtransaction
 * callback).
 */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mySubid,
				   SubTransactionId parentSubid, void *arg)
{
	if (skipped == NULL || mySubid != skipped_subid)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		skipped_subid = parentSubid;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		hash_destroy(skipped);
		skipped = NULL;
	}
}
