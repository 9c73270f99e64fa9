/*
 * erase.c
 *	  soft_delete.erase(): destroys rows, live or deleted, and all records of them.
 *
 * It deletes the live row with a primary key as an application does: triggers
 * fire, foreign keys act or refuse.  Then it destroys the tombstones with that
 * key, those in the companion included, with their cascades (cascade.c), and the values
 * of these rows in the extension's own tables: in overwritten references
 * (set_null.c) and in the records of lifted holds (hold.c).  It leaves a proof in
 * soft_delete_internal.erasures, with a hash of the key, by which
 * replay_erasures() finds the row in an older state of the database, such as a
 * backup.
 *
 * Invariant: either nothing of the rows is left or nothing has changed.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "bin/sd_bin.h"

/* Columns of soft_delete_internal.erasures */
enum ErasureColumn
{
	ERASURE_RELATION,
	ERASURE_KEY_HASH,
	ERASURE_ERASED_AT,
	ERASURE_ERASED_BY,
	ERASURE_ROWS,
	ERASURE_OWNER,
	ERASURE_ROLEID,
	N_ERASURE_COLUMNS
};

PG_FUNCTION_INFO_V1(soft_delete_erase);
PG_FUNCTION_INFO_V1(soft_delete_may_erase);

static bool may_delete(Oid relid);
static bool may_erase(Oid relid);
static Relation open_erasable(Oid relid);
static char *keys_query(const RowKey *key);
static void add_hint(void *arg);
static void delete_live_row(const RowKey *key);
static Cascade *find_tombstones(const RowKey *key, bool *is_complete);
static void report_live_row(const RowKey *key);
static List *key_hashes(const RowKey *key, Cascade *cascade);
static Datum key_hash(const RowKey *key, TupleTableSlot *row);
static void erase_records(Cascade *cascade);
static void write_proof(const RowKey *key, Datum hash, uint64 nrows);

/*
 * soft_delete.erase(relation regclass, VARIADIC key "any") returns bigint
 *
 * Destroys the rows with a primary key, and all rows that reference them by ON
 * DELETE CASCADE at any depth.  "key" has the values of the columns in the order
 * of the key, of their types or as texts.  Returns the number of rows, and tells if
 * there are none.
 *
 * Raises 22004 for a null, 22023 where the primary key has another number of
 * columns, 22P02 and the like for a value that its type does not accept; 55000
 * for a table that is not tagged or has no primary key, and for a live row that
 * could not be deleted; 0A000 for a partition; 42501 unless the caller may delete
 * from the table and from its bin; 23503 where a row is referenced by another
 * foreign key, 55006 where one is held; and what the application's triggers
 * raise.
 */
Datum
soft_delete_erase(PG_FUNCTION_ARGS)
{
	RowKey key;
	Cascade *cascade;
	bool is_complete;
	List *hashes;
	ListCell *lc;
	uint64 nrows;
	Datum *values;
	bool *nulls;
	Oid *types;
	int n = extract_variadic_args(fcinfo, 1, false, &values, &types, &nulls);

	if (PG_ARGISNULL(0) || n < 0)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the table and the key to erase must not be null")));
	if (has_sharded_bin(PG_GETARG_OID(0)))
		PG_RETURN_INT64(call_for_sharded("erase_sharded", PG_GETARG_OID(0), n,
										 values, types, nulls));
	read_key(&key, open_erasable(PG_GETARG_OID(0)), n, values, types, nulls);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	do
	{
		delete_live_row(&key);
		cascade = find_tombstones(&key, &is_complete);
	} while (!is_complete);
	hashes = key_hashes(&key, cascade);
	complete_cascade(cascade);
	refuse_held(cascade);
	erase_records(cascade);
	nrows = purge_cascade(cascade, EVENT_OF_ERASURE);
	foreach (lc, hashes)
		write_proof(&key, PointerGetDatum(lfirst(lc)), nrows);
	SPI_finish();

	if (nrows == 0)
		ereport(NOTICE, (errmsg("table \"%s\" has no row with that key",
								RelationGetRelationName(key.rel))));
	table_close(key.rel, NoLock);
	PG_RETURN_INT64(nrows);
}

/*
 * May the caller delete every row of a table?  Not where row security applies to
 * the caller: it may hide some rows, and it does not apply to the owner, with
 * whose rights erase() deletes.
 */
static bool
may_delete(Oid relid)
{
	Oid caller = calling_role();

	return pg_class_aclcheck(relid, caller, ACL_DELETE) == ACLCHECK_OK &&
		   pg_class_aclcheck(relid, caller, ACL_SELECT) == ACLCHECK_OK &&
		   check_enable_rls(relid, caller, true) != RLS_ENABLED;
}

/*
 * May the caller erase rows of a table: its owner, and who may delete them from the table
 * and from its bin?
 */
static bool
may_erase(Oid relid)
{
	Oid bin = bin_of(relid);

	return relation_ownercheck(relid, calling_role()) ||
		   (OidIsValid(bin) && may_delete(relid) &&
			pg_class_aclcheck(bin, calling_role(), ACL_DELETE) == ACLCHECK_OK);
}

/*
 * soft_delete_internal.may_erase(relation regclass) returns boolean
 *
 * Returns whether the caller may erase rows of a table.
 *
 * Raises 42P01 if there is no such table.
 */
Datum
soft_delete_may_erase(PG_FUNCTION_ARGS)
{
	check_relation_exists(PG_GETARG_OID(0));
	PG_RETURN_BOOL(may_erase(PG_GETARG_OID(0)));
}

/*
 * Open a table that the caller wants to erase rows of.
 *
 * Raises 55000 if it is not tagged, 0A000 for a partition or an inheritance
 * child, 42501 if the caller lacks a privilege.
 */
static Relation
open_erasable(Oid relid)
{
	Relation rel = open_given_table(relid, RowExclusiveLock);
	List *relids = with_ancestors(relid);

	if (!has_tag(rel))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not tagged", RelationGetRelationName(rel)),
				 errdetail("Without a tag, DELETE destroys rows.")));
	if (list_length(relids) > 1)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot erase rows of table \"%s\" alone",
							   RelationGetRelationName(rel)),
						errdetail("A row is erased through table \"%s\", which is tagged.",
								  qualified_name(llast_oid(relids)))));

	if (!may_erase(relid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to erase rows of table \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("The DELETE and SELECT privileges on the table and the DELETE privilege on its bin are required.")));
	return rel;
}

/*
 * Read the values of the primary key, whose types are given.  A value of another type
 * than its column is read from its text, with the rights of the table's owner, whose
 * type may be that of the column.  An error has a query for such keys as its hint.
 *
 * Raises 55000 where there is no primary key, 22023 and 22004 for a wrong key, and what
 * the input functions of the types raise.
 */
void
read_key(RowKey *key, Relation rel, int n, const Datum *values,
		 const Oid *types, const bool *nulls)
{
	ErrorContextCallback context = {.callback = add_hint};

	key->rel = rel;
	key->n = primary_key(RelationGetRelid(rel), key->attnums);
	if (key->n == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"%s\" has no primary key",
							   RelationGetRelationName(rel)),
						errdetail("A row is erased by its primary key.")));

	context.arg = keys_query(key);
	context.previous = error_context_stack;
	error_context_stack = &context;
	if (n != key->n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg_plural("the primary key of table \"%s\" has %d column, not %d",
							   "the primary key of table \"%s\" has %d columns, not %d",
							   key->n, RelationGetRelationName(rel), key->n, n)));
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att =
			TupleDescAttr(RelationGetDescr(rel), key->attnums[i] - 1);
		Oid input, output, typioparam;
		bool is_varlena;
		char *text;
		SavedRole saved;

		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("column \"%s\" of a primary key cannot be null",
								   NameStr(att->attname))));
		key->types[i] = att->atttypid;
		getTypeOutputInfo(types[i], &output, &is_varlena);
		text = OidOutputFunctionCall(output, values[i]);
		getTypeInputInfo(att->atttypid, &input, &typioparam);
		become_owner(rel, &saved);
		key->values[i] =
			OidInputFunctionCall(input, text, typioparam, att->atttypmod);
		restore_role(&saved);
	}
	error_context_stack = context.previous;
}

/*
 * Return a query for primary keys of the table.
 */
static char *
keys_query(const RowKey *key)
{
	Oid relid = RelationGetRelid(key->rel);
	StringInfoData query;

	initStringInfo(&query);
	for (int i = 0; i < key->n; i++)
		appendStringInfo(&query, "%s%s", i > 0 ? ", " : "SELECT ",
						 quote_identifier(get_attname(relid, key->attnums[i], false)));
	appendStringInfo(&query, " FROM %s LIMIT 10;", qualified_name(relid));
	return query.data;
}

/*
 * Add the query to an error as its hint (error context callback).
 */
static void
add_hint(void *arg)
{
	errhint("%s", (const char *) arg);
}

/*
 * Append the condition that a row has the key, whose values are $1, $2, ...
 */
void
append_key_condition(StringInfo query, const RowKey *key)
{
	for (int i = 0; i < key->n; i++)
	{
		Oid relid = RelationGetRelid(key->rel);
		Oid operator= lookup_type_cache(key->types[i], TYPECACHE_EQ_OPR)->eq_opr;

		appendStringInfoString(query, i > 0 ? " AND " : " WHERE ");
		generate_operator_clause(query,
								 quote_identifier(
									 get_attname(relid, key->attnums[i], false)),
								 key->types[i], operator,
								 psprintf("$%d", i + 1), key->types[i]);
	}
}

/*
 * Delete the live row with the key, with the rights of the table's owner.
 * Triggers fire as for a DELETE of the application.
 */
static void
delete_live_row(const RowKey *key)
{
	StringInfoData query;
	SavedRole saved;
	int result;

	initStringInfo(&query);
	appendStringInfo(&query, "DELETE FROM %s",
					 qualified_name(RelationGetRelid(key->rel)));
	append_key_condition(&query, key);
	become_owner_to_write(RelationGetRelid(key->rel), &saved);
	result = SPI_execute_with_args(query.data, key->n, (Oid *) key->types,
								   (Datum *) key->values, NULL, false, 0);
	end_owners_write(RelationGetRelid(key->rel), &saved);
	/* where a rule has rewritten it, the row is still there */
	if (result != SPI_OK_DELETE && result != SPI_OK_REWRITTEN)
		elog(ERROR, "%s for %s", SPI_result_code_string(result), query.data);
}

/*
 * Lock all tombstones with the key and return them as a cascade.  Sets "is_complete" to
 * false if one of them was gone when others let it be locked: it may have stepped aside for
 * a live row that has come meanwhile.
 *
 * Raises 55000 if there still is a live row.
 */
static Cascade *
find_tombstones(const RowKey *key, bool *is_complete)
{
	Cascade *cascade = make_cascade(true, NULL, CurrentMemoryContext);
	Oid relid = RelationGetRelid(key->rel);

	*is_complete = true;
	for (StorageKind storage = 0; storage < N_STORAGES; storage++)
	{
		StringInfoData query;
		uint64 n;

		if (storage != IN_PLACE && !has_tombstones(storage, relid))
			continue;
		initStringInfo(&query);
		if (storage == ASIDE || is_kept_aside(relid))
			appendStringInfo(&query, "SELECT tableoid, ctid, %s FROM %s",
							 storage == IN_PLACE ? "true" : "false",
							 qualified_name(
								 storage == IN_PLACE ? relid : companion_of(relid)));
		else
			appendStringInfo(&query,
							 "SELECT tableoid, ctid, %s IS NULL FROM %s TABLESAMPLE soft_delete.rows('%s')",
							 quote_identifier(tombstone_name(relid)),
							 qualified_name(relid), sample_of(storage, true));
		append_key_condition(&query, key);
		n = execute_as_owner(relid, query.data, key->n, (Oid *) key->types,
							 (Datum *) key->values, SPI_OK_SELECT);
		for (uint64 row = 0; row < n; row++)
		{
			bool isnull;

			if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row],
										   SPI_tuptable->tupdesc, 3, &isnull)))
				report_live_row(key);
			*is_complete &= join_selected_row(cascade, SPI_tuptable, row);
		}
	}
	return cascade;
}

/*
 * Raise 55000 for a live row that the DELETE has not deleted.
 */
static void
report_live_row(const RowKey *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("could not delete the live row of table \"%s\"",
					RelationGetRelationName(key->rel)),
			 errdetail("A BEFORE DELETE trigger, a rule or a row security policy prevents it. It can be erased in a role and a session for which DELETE deletes it.")));
}

/*
 * Return the different hashes of the keys of all members.  Keys that are equal to
 * their operator may have different texts, and so different hashes.
 */
static List *
key_hashes(const RowKey *key, Cascade *cascade)
{
	List *hashes = NIL;
	ListCell *lc;

	foreach (lc, cascade->tables)
	{
		CascadeTable *table = lfirst(lc);
		Relation rel = table_open(table->relid, NoLock);
		TupleTableSlot *row = table_slot_create(rel, NULL);

		for (int i = 0; i < table->nmembers; i++)
		{
			bytea *hash;
			bool is_known = false;
			ListCell *known;

			fetch_tombstone(rel, &table->members[i].tombstone, row);
			hash = DatumGetByteaPP(key_hash(key, row));
			foreach (known, hashes)
				is_known |= memcmp(lfirst(known), hash, VARSIZE(hash)) == 0;
			if (!is_known)
				hashes = lappend(hashes, hash);
		}
		ExecDropSingleTupleTableSlot(row);
		table_close(rel, NoLock);
	}
	return hashes;
}

/*
 * Return the hash of the key of a row, in the table or a partition of it: SHA-256
 * of the output of the text[] of the key's columns.
 */
static Datum
key_hash(const RowKey *key, TupleTableSlot *row)
{
	AttrNumber attnums[INDEX_MAX_KEYS];
	int nestlevel = begin_key_form();
	FmgrInfo array_out_info;
	char *keytext;

	for (int i = 0; i < key->n; i++)
		attnums[i] = SPI_fnumber(row->tts_tupleDescriptor,
								 get_attname(RelationGetRelid(key->rel),
											 key->attnums[i], false));
	fmgr_info(F_ARRAY_OUT, &array_out_info);
	keytext = OutputFunctionCall(&array_out_info, text_array(row, key->n, attnums));
	end_text_form(nestlevel);
	return DirectFunctionCall1(sha256_bytea, CStringGetTextDatum(keytext));
}

/*
 * Erase the values of the members of a cascade in the extension's own tables.
 */
static void
erase_records(Cascade *cascade)
{
	HTAB *keys = make_key_set();
	ListCell *lc;

	foreach (lc, cascade->tables)
	{
		collect_reference_keys(lfirst(lc), keys);
		collect_primary_keys(lfirst(lc), keys);
	}
	erase_overwritten_references(keys);
	erase_lifted_hold_keys(keys);
	hash_destroy(keys);
}

/*
 * Record that the rows with a key, of which "hash" is the hash, have been erased.
 */
static void
write_proof(const RowKey *key, Datum hash, uint64 nrows)
{
	Relation erasures = table_open(extension_relation("erasures"), RowExclusiveLock);
	Datum values[N_ERASURE_COLUMNS];
	bool nulls[N_ERASURE_COLUMNS] = {false};

	values[ERASURE_RELATION] =
		CStringGetTextDatum(qualified_name(RelationGetRelid(key->rel)));
	values[ERASURE_KEY_HASH] = hash;
	values[ERASURE_ERASED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[ERASURE_ERASED_BY] =
		CStringGetTextDatum(GetUserNameFromId(calling_role(), false));
	values[ERASURE_ROWS] = Int64GetDatum(nrows);
	values[ERASURE_ROLEID] = ObjectIdGetDatum(key->rel->rd_rel->relowner);
	values[ERASURE_OWNER] =
		CStringGetTextDatum(GetUserNameFromId(key->rel->rd_rel->relowner, false));
	(void) append_row(erasures, values, nulls);
	table_close(erasures, NoLock);
}
