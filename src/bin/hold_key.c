/*
 * hold_key.c
 *	  Holds rows by their primary key, live ones too.
 *
 * A hold on a key is on the row that has it: a live row can be changed and deleted, but
 * what is deleted then is held.  The row is found in its table and in all storages, and
 * locked, so that a statement that is deleting or destroying it is waited for.
 *
 * Invariant: a role that may hold, but not read the key of a row, does not learn here
 * whether there is such a row.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "bin/sd_bin.h"

/* The arguments of a call: a table, the values of a key, and the text of a hold */
typedef struct HoldCall
{
	Relation rel;
	RowKey key; /* key.n is 0 if none is given */
	char *name; /* the text, or NULL */
} HoldCall;

PG_FUNCTION_INFO_V1(soft_delete_hold_key);
PG_FUNCTION_INFO_V1(soft_delete_lift);

static bool pass_sharded(FunctionCallInfo fcinfo, const char *name, int64 *result);
static void read_call(FunctionCallInfo fcinfo, HoldCall *call);
static char *text_of(Datum value, Oid type);
static void refuse_partition(const HoldCall *call);
static void check_may_read_key(const RowKey *key);
static Datum key_text(const RowKey *key, const Datum *values);
static int place_on_live_row(const HoldCall *call);
static int place_on_tombstones(const HoldCall *call, Cascade *cascade);
static uint64 select_rows(const RowKey *key, const char *which, const char *lock);
static void place_on_selected(const HoldCall *call, uint64 n);

/*
 * soft_delete.hold(relation regclass, VARIADIC "any") returns void
 *
 * Places a hold on the row of a table with a primary key, or where the last argument is
 * null, lifts all holds on rows with that key.  The arguments after the table are the
 * values of the key's columns, and the text of the hold.
 *
 * Raises 22004 for a null table or key, 22023 for another number of columns and for a
 * hold that is empty or too long, 42704 where no row has the key, 42501 unless the
 * caller may hold rows of the table and read the key, 55000 for a table that is not
 * tagged or has no primary key, 0A000 for a partition and for a key whose text is not
 * stable.
 */
Datum
soft_delete_hold_key(PG_FUNCTION_ARGS)
{
	Cascade *cascade;
	HoldCall call;
	int64 n;

	if (pass_sharded(fcinfo, "hold_sharded_row", &n))
		PG_RETURN_VOID();
	cascade = make_cascade(false, NULL, CurrentMemoryContext);
	read_call(fcinfo, &call);
	if (call.key.n == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a hold on a row takes its key and a text"),
						errdetail("The last argument says why the row is held.")));
	if (call.name == NULL)
		(void) lift_holds_on(RelationGetRelid(call.rel),
							 key_text(&call.key, call.key.values), NULL);
	else
	{
		refuse_partition(&call);
		check_may_read_key(&call.key);
		check_hold_text(call.name);
		check_can_be_held(call.rel, NULL, call.name);
		prepare_hold_on_key(RelationGetRelid(call.rel));
		lock_holds_to_place(RelationGetRelid(call.rel), RowExclusiveLock);
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		/* the live row first: it may become a tombstone meanwhile, but not the reverse */
		if (place_on_live_row(&call) + place_on_tombstones(&call, cascade) == 0)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
							errmsg("table \"%s\" has no row with that primary key, live or deleted",
								   RelationGetRelationName(call.rel))));
		hold_cascade(cascade);
		SPI_finish();
	}
	table_close(call.rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * soft_delete.lift(relation regclass, VARIADIC "any") returns bigint
 *
 * Lifts the holds with a text, the last argument, on a table, on deletions from it and
 * on its rows; or, where the values of a primary key come before the text, on rows with
 * that key.  Returns their number.
 *
 * Raises 22004 for a null, 42501 unless the caller may hold rows of the table, 55000 for
 * a table that is not tagged or has no primary key.
 */
Datum
soft_delete_lift(PG_FUNCTION_ARGS)
{
	HoldCall call;
	int64 n;

	if (pass_sharded(fcinfo, "lift_sharded", &n))
		PG_RETURN_INT64(n);
	read_call(fcinfo, &call);
	if (call.name == NULL)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the hold to lift must not be null"),
						errhint("SELECT * FROM soft_delete.holds;")));
	n = lift_holds_on(RelationGetRelid(call.rel),
					  call.key.n > 0 ? key_text(&call.key, call.key.values)
									 : (Datum) 0,
					  call.name);
	table_close(call.rel, NoLock);
	PG_RETURN_INT64(n);
}

/*
 * Pass a call on to a function of schema soft_delete_internal if it is about a table that
 * Citus has sharded, and get the number that it returns.  Returns false for other tables.
 */
static bool
pass_sharded(FunctionCallInfo fcinfo, const char *name, int64 *result)
{
	Datum *values;
	Oid *types;
	bool *nulls;
	int n;

	if (PG_ARGISNULL(0) || !has_sharded_bin(PG_GETARG_OID(0)))
		return false;
	n = extract_variadic_args(fcinfo, 1, true, &values, &types, &nulls);
	if (n < 1)
		return false;
	*result = call_for_sharded(name, PG_GETARG_OID(0), n, values, types, nulls);
	return true;
}

/*
 * Read the arguments of a call, and open the table.
 */
static void
read_call(FunctionCallInfo fcinfo, HoldCall *call)
{
	Datum *values;
	Oid *types;
	bool *nulls;
	int n = PG_ARGISNULL(0)
				? 0
				: extract_variadic_args(fcinfo, 1, true, &values, &types, &nulls);

	if (n < 1)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the table to hold must not be null")));
	memset(call, 0, sizeof(HoldCall));
	call->rel = open_holdable(PG_GETARG_OID(0));
	if (!nulls[n - 1])
		call->name = text_of(values[n - 1], types[n - 1]);
	if (n > 1)
		read_key(&call->key, call->rel, n - 1, values, types, nulls);
}

/*
 * Return a value that the caller has given as text.
 */
static char *
text_of(Datum value, Oid type)
{
	Oid output;
	bool is_varlena;

	getTypeOutputInfo(type, &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

/*
 * Raise 0A000 for a partition or an inheritance child.
 */
static void
refuse_partition(const HoldCall *call)
{
	List *relids = with_ancestors(RelationGetRelid(call->rel));
	StringInfoData hint;

	if (list_length(relids) == 1)
		return;
	initStringInfo(&hint);
	appendStringInfo(&hint, "SELECT soft_delete.hold(%s",
					 quote_literal_cstr(qualified_name(llast_oid(relids))));
	for (int i = 0; i < call->key.n; i++)
		appendStringInfo(&hint, ", %s",
						 quote_literal_cstr(
							 text_of(call->key.values[i], call->key.types[i])));
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot hold rows of table \"%s\" alone",
						   RelationGetRelationName(call->rel)),
					errdetail("A row is held through the table that is tagged."),
					errhint("%s, %s);", hint.data, quote_literal_cstr(call->name))));
}

/*
 * Raise 42501 unless the caller may read the columns of the key, of the table or of its
 * bin.
 */
static void
check_may_read_key(const RowKey *key)
{
	Oid relid = RelationGetRelid(key->rel);

	if (!relation_ownercheck(relid, calling_role()) &&
		!may_read_tombstones(relid, key->n, key->attnums))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to find a row of table \"%s\"",
						RelationGetRelationName(key->rel)),
				 errdetail("The SELECT privilege on the columns of its key is required, of the table or of its bin.")));
}

/*
 * Return a primary key in the form in which holds have it.  "values" are those of its
 * columns.
 */
static Datum
key_text(const RowKey *key, const Datum *values)
{
	TupleTableSlot *row = make_virtual_slot(RelationGetDescr(key->rel));
	SavedRole saved;
	Datum result;

	ExecStoreAllNullTuple(row);
	for (int i = 0; i < key->n; i++)
	{
		row->tts_values[key->attnums[i] - 1] = values[i];
		row->tts_isnull[key->attnums[i] - 1] = false;
	}
	become_owner(key->rel, &saved);
	result = primary_key_text(RelationGetRelid(key->rel), row);
	restore_role(&saved);
	ExecDropSingleTupleTableSlot(row);
	return result;
}

/*
 * Place the hold on the key of the live row.  Returns the number of such rows.
 */
static int
place_on_live_row(const HoldCall *call)
{
	uint64 n = select_rows(&call->key, "live", " FOR KEY SHARE OF t");

	place_on_selected(call, n);
	return n;
}

/*
 * Place the hold on the keys of the tombstones with the key, and add them to a cascade.
 * Returns the number of them.
 */
static int
place_on_tombstones(const HoldCall *call, Cascade *cascade)
{
	uint64 total = 0;

	for (StorageKind storage = 0; storage < N_STORAGES; storage++)
	{
		uint64 n;

		if (!has_tombstones(storage, RelationGetRelid(call->rel)))
			continue;
		n = select_rows(&call->key, sample_of(storage, false), "");
		place_on_selected(call, n);
		for (uint64 row = 0; row < n; row++)
			(void) join_selected_row(cascade, SPI_tuptable, row);
		total += n;
	}
	return total;
}

/*
 * Select the rows with a key, as the owner of the table: tableoid, ctid, and the columns
 * of the key.  "which" is as for append_side().
 */
static uint64
select_rows(const RowKey *key, const char *which, const char *lock)
{
	Oid relid = RelationGetRelid(key->rel);
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT tableoid, ctid");
	for (int i = 0; i < key->n; i++)
		appendStringInfo(&query, ", %s",
						 quote_identifier(get_attname(relid, key->attnums[i], false)));
	appendStringInfoString(&query, " FROM ");
	append_side(&query, relid, "t", which);
	append_key_condition(&query, key);
	appendStringInfoString(&query, lock);
	return execute_as_owner(relid, query.data, key->n, (Oid *) key->types,
							(Datum *) key->values, SPI_OK_SELECT);
}

/*
 * Place the hold on the keys of the n rows that select_rows() has selected.  Keys that
 * are equal may differ as texts.
 */
static void
place_on_selected(const HoldCall *call, uint64 n)
{
	for (uint64 row = 0; row < n; row++)
	{
		HoldKey key = {.relid = RelationGetRelid(call->rel)};
		Datum values[INDEX_MAX_KEYS];

		for (int i = 0; i < call->key.n; i++)
		{
			bool isnull;

			values[i] = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, 3 + i, &isnull);
		}
		key.key = key_text(&call->key, values);
		place_hold(&key, call->name);
	}
}
