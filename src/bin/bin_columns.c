/*
 * bin_columns.c
 *	  Shows in a bin what is known about the deletion of each row, and its hold.
 *
 * The columns that a bin has beside those of its table are calls of functions
 * of this file.  A view reads tables with the rights of its owner, but calls
 * functions with those of who reads it.  So these see for themselves to it that
 * he may read their column of the bin, and are null to everybody else.
 *
 * Invariant: a role that may not read the bin is told nothing, and one that may read
 * it nothing about deletions that left no row there.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "bin/sd_bin.h"

/* What a call of a query keeps */
typedef struct ColumnState
{
	Oid relid;		   /* the table or partition that was asked about last */
	bool may_read;	   /* its bin */
	bool has_stamp;	   /* "value" is what the ledger says about "stamp" */
	TimestampTz stamp; /* which a row that may be read carries */
	text *value;	   /* NULL if that is nothing */
	bool none_held;	   /* nothing at all */
} ColumnState;

PG_FUNCTION_INFO_V1(soft_delete_deletion_of);
PG_FUNCTION_INFO_V1(soft_delete_hold_of);

static ColumnState *ask_ledger(FunctionCallInfo fcinfo, TimestampTz stamp);
static ColumnState *column_state(FunctionCallInfo fcinfo, Oid relid, BinColumn which);
static BinColumn ledger_column(const char *name);
static Relation open_tombstone(Oid relid, Tombstone *tombstone, TupleTableSlot **row);
static void close_tombstone(Relation rel, TupleTableSlot *row);

/*
 * soft_delete.deletion_of(tableoid oid, ctid tid, deleted_at timestamptz,
 * what text) returns text
 *
 * Returns what the ledger says about the deletion of a row that a bin lists:
 * "what" is 'deleted_by', 'actor' or 'reason'.  Null where it says nothing,
 * where there is no such row with that stamp, and to roles that may not read that
 * column of the bin.
 *
 * Raises 22023 for other words.
 */
Datum
soft_delete_deletion_of(PG_FUNCTION_ARGS)
{
	TimestampTz stamp = PG_GETARG_TIMESTAMPTZ(2);
	ColumnState *state = fcinfo->flinfo->fn_extra;

	/* rows of one deletion follow one another */
	if (state == NULL || !state->has_stamp || state->stamp != stamp)
		state = ask_ledger(fcinfo, stamp);
	if (state == NULL || state->value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(state->value);
}

/*
 * Look up what the ledger says about a deletion that was not asked about before.
 */
static ColumnState *
ask_ledger(FunctionCallInfo fcinfo, TimestampTz stamp)
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
 * Returns the hold on a row that a bin lists: on the row, else on its deletion,
 * else, if "tables", on its table.  Null where there is none, and to roles that may
 * neither read nor update that column of the bin.
 */
Datum
soft_delete_hold_of(PG_FUNCTION_ARGS)
{
	ColumnState *state = fcinfo->flinfo->fn_extra;
	Tombstone tombstone;
	TupleTableSlot *row;
	Relation rel;
	Oid table;
	Hold hold;
	bool found;

	if (state != NULL && state->none_held)
		PG_RETURN_NULL();
	table = locate_tombstone(PG_GETARG_OID(0),
							 (ItemPointer) PG_GETARG_POINTER(1), &tombstone);
	state = column_state(fcinfo, table, BIN_HOLD);
	if (!state->may_read || state->none_held)
		PG_RETURN_NULL();

	rel = open_tombstone(table, &tombstone, &row);
	if (rel == NULL)
		PG_RETURN_NULL();
	found = find_hold_on(rel, tombstone.stamp, row, GetActiveSnapshot(), &hold) &&
			(hold.scope != HOLD_ON_TABLE || PG_GETARG_BOOL(2));
	close_tombstone(rel, row);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(hold.text));
}

/*
 * Return what the call keeps, about the table.
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
		/* who may update it must be told what he overwrites */
		state->may_read =
			OidIsValid(relid) &&
			(relation_ownercheck(relid, calling_role()) ||
			 may_use_bin(relid, which,
						 which == BIN_HOLD ? ACL_SELECT | ACL_UPDATE : ACL_SELECT));
	}
	return state;
}

/*
 * Return the column of bins that shows a column of the ledger.
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
					errmsg("a bin does not show \"%s\" of a deletion", name),
					errhint("Use 'deleted_by', 'actor' or 'reason'.")));
	return N_BIN_COLUMNS; /* keep compiler quiet */
}

/*
 * Open the table that a tombstone was deleted from, and fetch it.  Returns NULL if
 * there is none.
 */
static Relation
open_tombstone(Oid relid, Tombstone *tombstone, TupleTableSlot **row)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	*row = NULL;
	if (rel == NULL)
		return NULL; /* dropped meanwhile, or never there */
	if (rel->rd_tableam != NULL && !RELATION_IS_OTHER_TEMP(rel) &&
		tombstone_attribute(rel) != InvalidAttrNumber)
	{
		*row = table_slot_create(rel, NULL);
		if (peek_tombstone(rel, tombstone, *row))
			return rel;
	}
	close_tombstone(rel, *row);
	return NULL;
}

/*
 * Close what open_tombstone() has opened.
 */
static void
close_tombstone(Relation rel, TupleTableSlot *row)
{
	if (row != NULL)
		ExecDropSingleTupleTableSlot(row);
	relation_close(rel, AccessShareLock);
}
