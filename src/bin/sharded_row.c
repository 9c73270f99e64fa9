/*
 * sharded_row.c
 *	  Passes what concerns one row of a table that Citus has sharded on to SQL.
 *
 * Statements that Citus distributes hold and erase such a row (sql/bin_sharded.sql).  They
 * find it by the values of its key as text, whatever types the caller has given.  Others
 * ask whether a row would violate a constraint, by the expression that this has.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "bin/sd_bin.h"

PG_FUNCTION_INFO_V1(soft_delete_expression_of);

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

/*
 * soft_delete_internal.expression_of(expression pg_node_tree, n integer,
 * relation regclass, alias text) returns text
 *
 * Returns an expression about the columns of a table, as catalogs have it, or the n-th of a
 * list, for a statement in which the table, or its bin, has an alias.  It is not simplified,
 * for that would call functions of the owner.
 */
Datum
soft_delete_expression_of(PG_FUNCTION_ARGS)
{
	Node *expression = stringToNode(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	int n = PG_GETARG_INT32(1);
	Oid relid = PG_GETARG_OID(2);
	char *alias = text_to_cstring(PG_GETARG_TEXT_PP(3));

	if (IsA(expression, List))
		expression = list_nth(castNode(List, expression), n - 1);
	PG_RETURN_TEXT_P(cstring_to_text(
		deparse_expression(expression, deparse_context_for(alias, relid), true,
						   false)));
}
