/*
 * bin_columns.c
 *	  The columns that a bin has beside those of its table: who deleted a row, and
 *	  the hold on it.
 *
 * These columns are calls of functions of this file.  A view reads tables with
 * the privileges of its owner, but calls functions with those of the role that
 * reads it.  So the functions themselves check the privilege on their column of
 * the bin, and return null without it.
 *
 * Invariant: a role that may not read the bin is told nothing, and one that may
 * read it nothing about deletions without a row in it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "bin/sd_bin.h"

/* What a function call in a query remembers from row to row */
typedef struct ColumnState
{
	Oid relid;		/* the table or partition of the last row */
	bool may_read;	/* the caller may read this column of the bin of "relid" */
	bool has_stamp; /* "stamp" is set, of a row that may be read, and "value" */
	TimestampTz stamp; /* the deletion of the last row */
	text *value;	   /* what the ledger has about that deletion, or NULL */
	bool none_held;	   /* there is no hold on any table */
	bool may_be_held;  /* there are holds on "relid" or above it */
} ColumnState;

PG_FUNCTION_INFO_V1(soft_delete_deletion_of);
PG_FUNCTION_INFO_V1(soft_delete_hold_of);

static ColumnState *read_ledger(FunctionCallInfo fcinfo, TimestampTz stamp);
static ColumnState *column_state(FunctionCallInfo fcinfo, Oid relid, BinColumn which);
static BinColumn ledger_column(const char *name);
static Relation open_tombstone(Oid relid, Tombstone *tombstone, TupleTableSlot **row);
static void close_tombstone(Relation rel, TupleTableSlot *row);

/*
 * soft_delete.deletion_of(tableoid oid, ctid tid, deleted_at timestamptz,
 * what text) returns text
 *
 * Returns a column of the ledger for the deletion of a row that a bin lists:
 * "what" is 'deleted_by', 'actor' or 'reason'.  Null where the ledger has a null,
 * where there is no such row with that stamp, and where the caller may not read
 * that column of the bin.
 *
 * Raises 22023 for any other column.
 */
Datum
soft_delete_deletion_of(PG_FUNCTION_ARGS)
{
	TimestampTz stamp = PG_GETARG_TIMESTAMPTZ(2);
	ColumnState *state = fcinfo->flinfo->fn_extra;

	/* rows of one deletion mostly follow one another */
	if (state == NULL || !state->has_stamp || state->stamp != stamp)
		state = read_ledger(fcinfo, stamp);
	if (state == NULL || state->value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(state->value);
}

/*
 * Read a column of the ledger for a deletion that is not that of the last row.
 * Returns NULL if the caller may not read it, or if there is no such row.
 */
static ColumnState *
read_ledger(FunctionCallInfo fcinfo, TimestampTz stamp)
{
	char *what = text_to_cstring(PG_GETARG_TEXT_PP(3));
	Tombstone tombstone;
	Oid table = locate_tombstone(PG_GETARG_OID(0),
								 (ItemPointer) PG_GETARG_POINTER(1), &tombstone);
	ColumnState *state = column_state(fcinfo, table, ledger_column(what));
	MemoryContext oldcontext;
	TupleTableSlot *row;
	Relation rel;

	if (!state->may_read)
		return NULL;
	rel = open_tombstone(table, &tombstone, &row);
	if (rel == NULL)
		return NULL;
	close_tombstone(rel, row);
	if (tombstone.stamp != stamp)
		return NULL;

	oldcontext = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	if (state->value != NULL)
		pfree(state->value);
	state->has_stamp = true;
	state->stamp = stamp;
	state->value = deletion_text(stamp, what);
	MemoryContextSwitchTo(oldcontext);
	return state;
}

/*
 * soft_delete.hold_of(tableoid oid, ctid tid, tables boolean) returns text
 *
 * Returns the holds on a row that a bin lists, or above it, as one text.  If "tables" is
 * false, only those that forbid to restore the row: none on its table or on whatever
 * row has its key.  Null where there is none, and where the caller may neither read nor
 * update that column of the bin.
 */
Datum
soft_delete_hold_of(PG_FUNCTION_ARGS)
{
	ColumnState *state = fcinfo->flinfo->fn_extra;
	Tombstone tombstone;
	TupleTableSlot *row;
	Relation rel;
	Oid table;
	Hold *hold;

	if (state != NULL && state->none_held)
		PG_RETURN_NULL();
	table = locate_tombstone(PG_GETARG_OID(0),
							 (ItemPointer) PG_GETARG_POINTER(1), &tombstone);
	state = column_state(fcinfo, table, BIN_HOLD);
	if (!state->may_read || !state->may_be_held)
		PG_RETURN_NULL();

	rel = open_tombstone(table, &tombstone, &row);
	if (rel == NULL)
		PG_RETURN_NULL();
	hold = find_hold(rel, &tombstone, !PG_GETARG_BOOL(2), GetActiveSnapshot());
	close_tombstone(rel, row);
	if (hold == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(hold->text));
}

/*
 * Return what the function call remembers, set up for a table.
 */
static ColumnState *
column_state(FunctionCallInfo fcinfo, Oid relid, BinColumn which)
{
	ColumnState *state = fcinfo->flinfo->fn_extra;

	if (state == NULL)
	{
		state =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(ColumnState));
		fcinfo->flinfo->fn_extra = state;
		if (which == BIN_HOLD)
			state->none_held = !any_hold(GetActiveSnapshot());
	}
	if (state->relid != relid)
	{
		state->relid = relid;
		/* a role that may update the hold must see what it overwrites */
		state->may_read =
			OidIsValid(relid) &&
			(relation_ownercheck(relid, calling_role()) ||
			 may_use_bin(relid, which,
						 which == BIN_HOLD ? ACL_SELECT | ACL_UPDATE : ACL_SELECT));
		state->may_be_held = state->may_read && which == BIN_HOLD &&
							 !state->none_held && may_be_held(relid);
	}
	return state;
}

/*
 * Return the column of bins that shows a column of the ledger.
 *
 * Raises 22023 if there is none.
 */
static BinColumn
ledger_column(const char *name)
{
	if (strcmp(name, "deleted_by") == 0)
		return BIN_DELETED_BY;
	if (strcmp(name, "actor") == 0)
		return BIN_ACTOR;
	if (strcmp(name, "reason") == 0)
		return BIN_REASON;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unrecognized column of a deletion: \"%s\"", name),
					errdetail("It must be 'deleted_by', 'actor' or 'reason'.")));
	return N_BIN_COLUMNS; /* keep compiler quiet */
}

/*
 * Open the table of a tombstone, and fetch the tombstone into a new slot.
 * Returns NULL if it does not exist.
 */
static Relation
open_tombstone(Oid relid, Tombstone *tombstone, TupleTableSlot **row)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	*row = NULL;
	if (rel == NULL)
		return NULL; /* dropped concurrently, or no relation at all */
	if ((rel->rd_tableam != NULL || rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) &&
		!RELATION_IS_OTHER_TEMP(rel) && has_tag(rel) &&
		(tombstone->storage == ASIDE ? OidIsValid(companion_of(relid))
									 : tombstone_attribute(rel) != InvalidAttrNumber))
	{
		*row = table_slot_create(rel, NULL);
		if (peek_tombstone(rel, tombstone, *row))
			return rel;
	}
	close_tombstone(rel, *row);
	return NULL;
}

/*
 * Close the table that open_tombstone() has opened, and drop the slot.
 */
static void
close_tombstone(Relation rel, TupleTableSlot *row)
{
	if (row != NULL)
		ExecDropSingleTupleTableSlot(row);
	relation_close(rel, AccessShareLock);
}
