/*
 * inline.c
 *	  Keeps the planner from inlining functions in SQL whose bodies whole_row.c or
 *	  answer.c changes.
 *
 * The planner inlines a body without the planner hook.  A function that is called has
 * its body planned as a statement of its own.  The server asks an extension before it
 * inlines a function, for the extension may want to be told of the call.
 *
 * What is known of a function is kept until a function or a relation changes.
 * Functions with polymorphic arguments are inlined: without the call, their types are
 * not known.
 *
 * Invariant: a function is looked at only if the planner would look at it too, so it
 * raises no other error than the planner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/functions.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "plan/sd_plan.h"

/* What is known of a function */
typedef struct KnownFunction
{
	Oid function;	/* hash key */
	bool is_called; /* must it not be inlined? */
} KnownFunction;

/* The function whose body is looked at, for errors */
typedef struct FunctionBody
{
	const char *name;
	const char *source;
} FunctionBody;

static needs_fmgr_hook_type prev_needs_fmgr_hook = NULL;

/* The functions that were looked at, since a function or a relation changed last */
static HTAB *known_functions = NULL;
static uint64 function_changes = 0;
static uint64 known_function_changes, known_relcache_changes;

static bool must_be_called(Oid function);
static void count_function_change(Datum arg, int cacheid, uint32 hashvalue);
static void forget_if_changed(void);
static bool is_inlined(HeapTuple tuple);
static bool has_polymorphic_argument(Form_pg_proc function);
static bool body_depends_on_tombstone(HeapTuple tuple);
static Query *body_of(HeapTuple tuple, const char *source);
static Query *stored_body(const char *body);
static Query *parsed_body(HeapTuple tuple, const char *source);
static void report_body(void *arg);

/*
 * Install the hook.
 */
void
init_inline(void)
{
	prev_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = must_be_called;
	CacheRegisterSyscacheCallback(PROCOID, count_function_change, (Datum) 0);
}

/*
 * Must the planner not inline a function (needs_fmgr hook)?  The server calls the hook
 * for each function that it looks up, too, where the answer makes no difference.
 */
static bool
must_be_called(Oid function)
{
	KnownFunction *known;
	HeapTuple tuple;
	bool is_called;

	if (prev_needs_fmgr_hook && prev_needs_fmgr_hook(function))
		return true;
	if (function < FirstNormalObjectId || !is_prepared_by_hook() ||
		!OidIsValid(extension_oid()))
		return false;

	forget_if_changed();
	known = hash_search(known_functions, &function, HASH_FIND, NULL);
	if (known != NULL)
		return known->is_called;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	is_called = is_inlined(tuple) && body_depends_on_tombstone(tuple);
	ReleaseSysCache(tuple);

	known = hash_search(known_functions, &function, HASH_ENTER, NULL);
	known->is_called = is_called;
	return is_called;
}

/*
 * Count a change of a function (syscache callback).
 */
static void
count_function_change(Datum arg, int cacheid, uint32 hashvalue)
{
	function_changes++;
}

/*
 * Forget what is known of functions if a function or a relation has changed.
 */
static void
forget_if_changed(void)
{
	HASHCTL info = {.keysize = sizeof(Oid), .entrysize = sizeof(KnownFunction)};

	if (known_functions != NULL && known_function_changes == function_changes &&
		known_relcache_changes == relcache_changes)
		return;
	hash_destroy(known_functions);
	known_functions = NULL;
	known_functions =
		hash_create("soft_delete functions", 64, &info, HASH_ELEM | HASH_BLOBS);
	known_function_changes = function_changes;
	known_relcache_changes = relcache_changes;
}

/*
 * Would the planner look into the body of a function, as far as pg_proc tells?
 */
static bool
is_inlined(HeapTuple tuple)
{
	Form_pg_proc function = (Form_pg_proc) GETSTRUCT(tuple);

	return function->prolang == SQLlanguageId &&
		   function->prokind == PROKIND_FUNCTION && !function->prosecdef &&
		   heap_attisnull(tuple, Anum_pg_proc_proconfig, NULL) &&
		   !has_polymorphic_argument(function) &&
		   (function->proretset ? !function->proisstrict &&
									  function->provolatile != PROVOLATILE_VOLATILE &&
									  function->prorettype != VOIDOID
								: function->prorettype != RECORDOID);
}

/*
 * Does a function have an argument of a polymorphic type?
 */
static bool
has_polymorphic_argument(Form_pg_proc function)
{
	for (int i = 0; i < function->pronargs; i++)
	{
		if (IsPolymorphicType(function->proargtypes.values[i]))
			return true;
	}
	return false;
}

/*
 * Does the body of a function depend on a tombstone column that it does not name, or read
 * a bridged table?
 */
static bool
body_depends_on_tombstone(HeapTuple tuple)
{
	Form_pg_proc function = (Form_pg_proc) GETSTRUCT(tuple);
	FunctionBody body = {.name = NameStr(function->proname)};
	ErrorContextCallback callback = {.callback = report_body,
									 .arg = &body,
									 .previous = error_context_stack};
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "soft_delete function body",
							  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	bool isnull, result = false;
	Query *query;

	body.source = TextDatumGetCString(
		SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull));
	error_context_stack = &callback;
	query = body_of(tuple, body.source);
	/* a scalar one is inlined if it reads no table */
	if (query != NULL && query->commandType == CMD_SELECT &&
		(function->proretset || query->rtable == NIL))
	{
		ListCell *lc;
		List *rewritten =
			function->proretset ? pg_rewrite_query(query) : list_make1(query);

		foreach (lc, rewritten)
			result = result || depends_on_tombstone_column(lfirst_node(Query, lc)) ||
					 reads_bridged_table(lfirst_node(Query, lc));
	}
	error_context_stack = callback.previous;

	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return result;
}

/*
 * Return the body of a function, or NULL if it is not one statement.
 */
static Query *
body_of(HeapTuple tuple, const char *source)
{
	bool is_source;
	Datum body =
		SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &is_source);

	if (is_source)
		return parsed_body(tuple, source);
	return stored_body(TextDatumGetCString(body));
}

/*
 * Return the query of a body that is stored as a query.
 */
static Query *
stored_body(const char *body)
{
	Node *node = stringToNode(body);

	if (IsA(node, List))
		node = linitial((List *) node);
	if (IsA(node, List))
		node = list_length((List *) node) == 1 ? linitial((List *) node) : NULL;
	if (node == NULL || !IsA(node, Query))
		return NULL;
	AcquireRewriteLocks((Query *) node, true, false);
	return (Query *) node;
}

/*
 * Return the query of a body that is stored as text.
 */
static Query *
parsed_body(HeapTuple tuple, const char *source)
{
	List *statements = pg_parse_query(source);
	ParseState *pstate;
	Query *query;

	if (list_length(statements) != 1)
		return NULL;
	pstate = make_parsestate(NULL);
	pstate->p_sourcetext = source;
	sql_fn_parser_setup(pstate, prepare_sql_fn_parse_info(tuple, NULL, InvalidOid));
	query = transformTopLevelStmt(pstate, linitial_node(RawStmt, statements));
	free_parsestate(pstate);
	return query;
}

/*
 * Add to an error in the body of a function what the planner adds (error context
 * callback).
 */
static void
report_body(void *arg)
{
	const FunctionBody *body = arg;
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(body->source);
	}
	errcontext("SQL function \"%s\" during inlining", body->name);
}
