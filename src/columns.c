/*
 * columns.c
 *	  Shows in a bin what is known about the deletion of each row, and its hold.
 *
 * The columns that a bin has beside those of its table are calls of functions
 * of this file.  A view reads tables with the rights of its owner, but calls
 * functions with those of who reads it.  So these see for themselves to it that
 * he may read their column of the bin, and are null to who may not.
 *
 * Invariant: who may not read the bin learns nothing, and who may read it
 * nothing about deletions that left no row there.
 */
#include "soft_delete.h"

#include "access/relation.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

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

/* The bin that was asked for last, until the relation cache changes */
static Oid known_table = InvalidOid;
static Oid known_bin = InvalidOid;
static uint64 known_at = 0;

PG_FUNCTION_INFO_V1(soft_delete_deletion_of);
PG_FUNCTION_INFO_V1(soft_delete_hold_of);
PG_FUNCTION_INFO_V1(soft_delete_lock_bin);

static Oid readable_bin_of(Oid relid);
static ColumnState *ask_ledger(FunctionCallInfo fcinfo, TimestampTz stamp);
static ColumnState *column_state(FunctionCallInfo fcinfo, Oid relid, BinColumn which);
static BinColumn ledger_column(const char *name);
static Oid table_of(Oid relid, ItemPointer tid);
static Relation open_tombstone(Oid relid, ItemPointer tid, bool is_displaced,
							   TupleTableSlot **row, TimestampTz *stamp);
static void close_tombstone(Relation rel, TupleTableSlot *row);
static Oid bin_on(Oid relid);
static Oid view_of(Oid rule);
static int bin_trigger(Oid bin, char **arguments);

/*
 * soft_delete.deletion_of(tableoid oid, ctid tid, deleted_at timestamptz,
 * what text) returns text
 *
 * Returns what the ledger says about the deletion of a row that a bin lists:
 * "what" is 'deleted_by', 'actor' or 'reason'.  Null where it says nothing,
 * where there is no such row with that stamp, and to who may not read that
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
 * The same, for a deletion that was not asked about before.
 */
static ColumnState *
ask_ledger(FunctionCallInfo fcinfo, TimestampTz stamp)
{
	Oid relid = PG_GETARG_OID(0);
	ItemPointer tid = (ItemPointer) PG_GETARG_POINTER(1);
	char *what = text_to_cstring(PG_GETARG_TEXT_PP(3));
	Oid table = table_of(relid, tid);
	ColumnState *state = column_state(fcinfo, table, ledger_column(what));
	MemoryContext oldcontext;
	TupleTableSlot *row;
	TimestampTz found;
	Relation rel;

	if (!state->may_read)
		return NULL;
	rel = open_tombstone(table, tid, relid != table, &row, &found);
	if (rel == NULL)
		return NULL;
	close_tombstone(rel, row);
	if (found != stamp)
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
 * else, if "tables", on its table.  Null where there is none, and to who may
 * neither read nor update that column of the bin.
 */
Datum
soft_delete_hold_of(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	ItemPointer tid = (ItemPointer) PG_GETARG_POINTER(1);
	ColumnState *state = fcinfo->flinfo->fn_extra;
	TupleTableSlot *row;
	TimestampTz stamp;
	Relation rel;
	Oid table;
	Hold hold;
	bool found;

	if (state != NULL && state->none_held)
		PG_RETURN_NULL();
	table = table_of(relid, tid);
	state = column_state(fcinfo, table, BIN_HOLD);
	if (!state->may_read || state->none_held)
		PG_RETURN_NULL();

	rel = open_tombstone(table, tid, relid != table, &row, &stamp);
	if (rel == NULL)
		PG_RETURN_NULL();
	found = find_hold_on(rel, stamp, row, GetActiveSnapshot(), &hold) &&
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
		{
			Relation holds =
				table_open(extension_relation("holds"), AccessShareLock);

			state->none_held = !any_hold(holds, GetActiveSnapshot());
			table_close(holds, AccessShareLock);
		}
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
 * Return the table that a row of a bin belongs to, be it that it has stepped
 * aside from there.
 */
static Oid
table_of(Oid relid, ItemPointer tid)
{
	return relid == extension_relation("displaced") ? displaced_from(tid) : relid;
}

/*
 * Open the table and fetch a tombstone of it.  Returns NULL if there is none.
 */
static Relation
open_tombstone(Oid relid, ItemPointer tid, bool is_displaced,
			   TupleTableSlot **row, TimestampTz *stamp)
{
	Relation rel = try_relation_open(relid, AccessShareLock);
	AttrNumber attnum = InvalidAttrNumber;
	bool isnull = true;

	*row = NULL;
	if (rel == NULL)
		return NULL; /* dropped meanwhile, or never there */
	if (rel->rd_tableam != NULL && !RELATION_IS_OTHER_TEMP(rel))
		attnum = tombstone_attribute(rel);
	if (attnum != InvalidAttrNumber)
	{
		*row = table_slot_create(rel, NULL);
		if (is_displaced)
			fetch_displaced(rel, tid, *row);
		if (is_displaced || fetch_version_at(rel, tid, *row))
			*stamp = DatumGetTimestampTz(slot_getattr(*row, attnum, &isnull));
	}
	if (!isnull)
		return rel;
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

/*
 * Return the bin of a table, or of the table that it is a partition or
 * inheritance child of; InvalidOid if there is none.
 */
Oid
bin_of(Oid relid)
{
	Oid bin = InvalidOid;
	uint64 changes = relcache_changes;
	ListCell *lc;

	if (known_table == relid && known_at == changes)
		return known_bin;
	foreach (lc, with_ancestors(relid))
	{
		if (!OidIsValid(bin))
			bin = bin_on(lfirst_oid(lc));
	}
	known_table = relid;
	known_bin = bin;
	known_at = changes;
	return bin;
}

/*
 * soft_delete_internal.lock_bin(relation regclass) returns regclass
 *
 * Locks a table, so that it keeps its bin until the transaction ends, and
 * returns the bin.  NULL if the caller may not read that, or if there is none
 * any more: the caller's snapshot may be older than the end of the wait.
 */
Datum
soft_delete_lock_bin(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Relation rel;
	Oid bin;

	/* nobody locks a table by this who could not by reading the bin */
	if (!OidIsValid(readable_bin_of(relid)))
		PG_RETURN_NULL();
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		PG_RETURN_NULL();
	relation_close(rel, NoLock);

	bin = readable_bin_of(relid);
	if (!OidIsValid(bin))
		PG_RETURN_NULL();
	PG_RETURN_OID(bin);
}

/*
 * Return the bin of a table, or InvalidOid if there is none that the current
 * role may read.
 */
static Oid
readable_bin_of(Oid relid)
{
	Oid bin = bin_of(relid);

	if (OidIsValid(bin) &&
		pg_class_aclcheck(bin, calling_role(), ACL_SELECT) != ACLCHECK_OK)
		return InvalidOid;
	return bin;
}

/*
 * Return the bin among the views that read a table, or InvalidOid.  Anybody can
 * make a view that looks like one, but for its owner.
 */
static Oid
bin_on(Oid relid)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	Oid rule = InvalidOid, bin = InvalidOid;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (!OidIsValid(bin) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend dependent = (Form_pg_depend) GETSTRUCT(tuple);

		/* a rule depends on each column that it reads */
		if (dependent->classid != RewriteRelationId || dependent->objid == rule)
			continue;
		rule = dependent->objid;
		bin = view_of(rule);
		if (OidIsValid(bin) && (bin_trigger(bin, NULL) < 0 ||
								!has_privs_of_role(owner_of(bin), owner_of(relid))))
			bin = InvalidOid;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return bin;
}

/*
 * Return the relation that a rule belongs to.
 */
static Oid
view_of(Oid rule)
{
	Relation rewrite = table_open(RewriteRelationId, AccessShareLock);
	Oid view = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(rewrite, RewriteOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		view = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
	systable_endscan(scan);
	table_close(rewrite, AccessShareLock);
	return view;
}

/*
 * Return the owner of a relation, or InvalidOid if there is none of that OID.
 */
Oid
owner_of(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/*
 * Find the trigger of a bin for UPDATE.  Returns the number of its arguments,
 * which it copies, if so asked, or -1 if the relation is no bin.
 *
 * It is asked about the views of all tables: it locks nothing, and waits for nobody.
 */
static int
bin_trigger(Oid bin, char **arguments)
{
	Oid function = extension_function(BIN_UPDATE);
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	int n = -1;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(bin));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);
		List *names;

		/* whoever attaches the function otherwise makes no bin */
		if (trigger->tgfoid != function || trigger->tgnargs > N_BIN_COLUMNS ||
			!TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								  TRIGGER_TYPE_INSTEAD, TRIGGER_TYPE_UPDATE))
			continue;
		n = trigger->tgnargs;
		names = arguments != NULL ? trigger_arguments(triggers, tuple) : NIL;
		for (int k = 0; k < list_length(names); k++)
			arguments[k] = list_nth(names, k);
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return n;
}

/*
 * Return the number of a column that a bin has beside those of its table;
 * InvalidAttrNumber if the view is no bin.  Its trigger knows their names.
 */
AttrNumber
bin_column(Oid bin, BinColumn which)
{
	char *names[N_BIN_COLUMNS];

	if (bin_trigger(bin, names) != N_BIN_COLUMNS)
		return InvalidAttrNumber;
	return get_attnum(bin, names[which]);
}

/*
 * Has the current role one of some rights on a column of the bin of a table, or
 * of the table that it is a partition or inheritance child of?
 */
bool
may_use_bin(Oid relid, BinColumn which, AclMode mode)
{
	Oid bin = bin_of(relid);
	AttrNumber attnum;

	if (!OidIsValid(bin))
		return false;
	attnum = bin_column(bin, which);
	return pg_class_aclcheck(bin, calling_role(), mode) == ACLCHECK_OK ||
		   (attnum != InvalidAttrNumber &&
			pg_attribute_aclcheck(bin, attnum, calling_role(), mode) == ACLCHECK_OK);
}
