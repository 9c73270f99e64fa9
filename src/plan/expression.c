/*
 * expression.c
 *	  Makes the calls of the extension's functions that plans get.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"

#include "plan/sd_plan.h"

/*
 * Return a call of a function of the extension that returns boolean.  Raises 42883
 * if the function was removed from the extension.
 */
Expr *
make_extension_call(ExtensionFunction which, List *args)
{
	return (Expr *) makeFuncExpr(needed_function(which), BOOLOID, args,
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/*
 * Return the condition that a row is live or that a function of the extension,
 * which is called with the OID of the relation, returns true.
 */
Expr *
make_live_or_call(NullTest *is_live, ExtensionFunction which, Oid relid)
{
	Const *arg = makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
						   ObjectIdGetDatum(relid), false, true);

	return makeBoolExpr(OR_EXPR,
						list_make2(is_live,
								   make_extension_call(which, list_make1(arg))),
						-1);
}
