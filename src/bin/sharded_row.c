/*
 * sharded_row.c
 *	  Passes what concerns one row of a table that Citus has sharded on to SQL.
 *
 * Statements that Citus distributes hold and erase such a row (sql/bin_sharded.sql).  They
 * find it by the values of its key as text, whatever types the caller has given.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "bin/sd_bin.h"

/*
 * Is a table tagged that Citus has sharded?  Raises 42P01 if there is no such table.
 */
bool
has_sharded_bin(Oid relid)
{
	Relation rel = open_given_table(relid, AccessShareLock);
	bool is_tagged = has_tag(rel);

	table_close(rel, NoLock);
	return !is_tagged &&
		   OidIsValid(call_internal_for_relation("sharded_bin", relid));
}

/*
 * Call a function of schema soft_delete_internal for a sharded table, with values of any
 * type as an array of text, and return the number that it returns.
 */
int64
call_for_sharded(const char *name, Oid relid, int n, const Datum *values,
				 const Oid *types, const bool *nulls)
{
	Datum *texts = palloc0(n * sizeof(Datum));
	ArrayType *array;

	for (int i = 0; i < n; i++)
	{
		Oid output;
		bool is_varlena;

		if (nulls[i])
			continue;
		getTypeOutputInfo(types[i], &output, &is_varlena);
		texts[i] = CStringGetTextDatum(OidOutputFunctionCall(output, values[i]));
	}
	array = construct_md_array(texts, (bool *) nulls, 1, &n, (int[]){1},
							   TEXTOID, -1, false, TYPALIGN_INT);
	return call_internal_for_number(name, 2, (Oid[]){REGCLASSOID, TEXTARRAYOID},
									(Datum[]){ObjectIdGetDatum(relid),
											  PointerGetDatum(array)});
}
