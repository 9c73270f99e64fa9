/*
 * relation.c
 *	  Looks up the name, the owner and the ancestors of a relation, and writes comments.
 *
 * Invariant: no function here waits for a lock, except open_given_table().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "commands/comment.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "catalog/sd_catalog.h"

uint64 relcache_changes = 0;

PG_FUNCTION_INFO_V1(soft_delete_qualified_name);
PG_FUNCTION_INFO_V1(soft_delete_has_column);
PG_FUNCTION_INFO_V1(soft_delete_caller_owns);
PG_FUNCTION_INFO_V1(soft_delete_root);
PG_FUNCTION_INFO_V1(soft_delete_inheritance_tree);
PG_FUNCTION_INFO_V1(soft_delete_inheritance_depth);
PG_FUNCTION_INFO_V1(soft_delete_set_comment);
PG_FUNCTION_INFO_V1(soft_delete_comment_on);
PG_FUNCTION_INFO_V1(soft_delete_add_suffix);
PG_FUNCTION_INFO_V1(soft_delete_view_name);

static Datum make_name(const char *name, const char *suffix);
static void count_change(Datum arg, Oid relid);
static void report_missing_relation(Oid relid);
static List *look_up_ancestors(Oid relid);
static List *children_of(Oid relid);
static bool may_have_children(Oid relid);

/*
 * Register the relcache callback.
 */
void
init_relation(void)
{
	CacheRegisterRelcacheCallback(count_change, (Datum) 0);
}

/*
 * Count a change of the relation cache (relcache callback).
 */
static void
count_change(Datum arg, Oid relid)
{
	relcache_changes++;
}

/*
 * Raise 42P01 if there is no such relation.
 */
void
check_relation_exists(Oid relid)
{
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		report_missing_relation(relid);
}

/*
 * Raise 42P01 for a relation that does not exist.
 */
static void
report_missing_relation(Oid relid)
{
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
					errmsg("relation with OID %u does not exist", relid)));
}

/*
 * Open a table that a caller has named by its OID.  Who does not own it must not even wait
 * for a lock behind which statements of others would queue: stronger than that of a DELETE,
 * which the server takes before it looks at privileges.
 *
 * Raises 42P01 if it does not exist, 42501 if the caller must own it and does not, 42809 if
 * it is another kind of relation.
 */
Relation
open_given_table(Oid relid, LOCKMODE lockmode)
{
	Relation rel;

	check_relation_exists(relid);
	if (lockmode > RowExclusiveLock && !relation_ownercheck(relid, calling_role()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	rel = try_table_open(relid, lockmode);
	if (rel == NULL)
		check_relation_exists(relid);
	return rel;
}

/*
 * Return the name of a relation with its schema, quoted where that is needed.  It
 * does not depend on quote_all_identifiers, for it is stored in tables too.
 *
 * Raises 42P01 if there is no such relation: one that is not locked may have been dropped
 * since the caller has read its OID.
 */
const char *
qualified_name(Oid relid)
{
	char *relname = get_rel_name(relid);
	char *schema = get_namespace_name(get_rel_namespace(relid));
	bool quotes_all = quote_all_identifiers;
	const char *name;

	if (relname == NULL || schema == NULL)
		report_missing_relation(relid);
	quote_all_identifiers = false;
	name = quote_qualified_identifier(schema, relname);
	quote_all_identifiers = quotes_all;
	return name;
}

/*
 * Return the owner of a relation, or InvalidOid if there is no such relation.
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
 * Return a table and its ancestors: the tables that it is a partition or an
 * inheritance child of, directly or not.
 */
List *
with_ancestors(Oid relid)
{
	static RelationMemo memo; /* callers ask for each row */
	static bool has_none;
	List *relids;

	if (memo_holds(&memo, relid) && has_none)
		return list_make1_oid(relid);
	relids = look_up_ancestors(relid);
	has_none = list_length(relids) == 1;
	memo_set(&memo, relid);
	return relids;
}

/*
 * Return what a function finds for a relation or for the nearest ancestor for which it
 * finds anything, or InvalidOid.
 */
Oid
find_on_ancestors(Oid relid, Oid (*find_on)(Oid relid))
{
	Oid found = InvalidOid;
	ListCell *lc;

	foreach (lc, with_ancestors(relid))
	{
		found = find_on(lfirst_oid(lc));
		if (OidIsValid(found))
			break;
	}
	return found;
}

/*
 * Look up the result of with_ancestors() in pg_inherits.
 */
static List *
look_up_ancestors(Oid relid)
{
	List *relids = list_make1_oid(relid);
	ListCell *lc;

	foreach (lc, relids)
	{
		CatalogScan scan =
			begin_catalog_scan(InheritsRelationId, InheritsRelidSeqnoIndexId,
							   Anum_pg_inherits_inhrelid, lfirst_oid(lc));
		HeapTuple tuple;

		while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
			relids =
				list_append_unique_oid(relids,
									   ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
		end_catalog_scan(&scan);
	}
	return relids;
}

/*
 * Return a table, its partitions and its inheritance children, parents first: in the
 * order of their greatest depth, then of their OIDs.
 */
List *
with_descendants(Oid relid)
{
	List *relids = list_make1_oid(relid);
	List *level = relids;

	while (level != NIL)
	{
		List *next = NIL;
		ListCell *lc;

		foreach (lc, level)
			next = list_concat(next, children_of(lfirst_oid(lc)));
		list_sort(next, list_oid_cmp);
		list_deduplicate_oid(next);
		/* one that has been reached on a shorter way follows all its parents */
		relids = list_concat(list_difference_oid(relids, next), next);
		level = next;
	}
	return relids;
}

/*
 * Return the partitions or inheritance children of a relation.
 */
static List *
children_of(Oid relid)
{
	List *relids = NIL;
	CatalogScan scan;
	HeapTuple tuple;

	if (!may_have_children(relid))
		return NIL;
	scan = begin_catalog_scan(InheritsRelationId, InheritsParentIndexId,
							  Anum_pg_inherits_inhparent, relid);
	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
		relids =
			lappend_oid(relids, ((Form_pg_inherits) GETSTRUCT(tuple))->inhrelid);
	end_catalog_scan(&scan);
	return relids;
}

/*
 * Has the relation, or had it once, partitions or inheritance children?
 */
static bool
may_have_children(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool may_have = false;

	if (HeapTupleIsValid(tuple))
	{
		may_have = ((Form_pg_class) GETSTRUCT(tuple))->relhassubclass;
		ReleaseSysCache(tuple);
	}
	return may_have;
}

/*
 * soft_delete_internal.qualified_name(relation regclass) returns text
 *
 * Returns the name of a relation with its schema.  Null if there is no such relation.
 */
Datum
soft_delete_qualified_name(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);

	if (!OidIsValid(owner_of(relid)))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(qualified_name(relid)));
}

/*
 * soft_delete_internal.has_column(relation regclass, name name) returns boolean
 *
 * Returns whether a relation has a column of that name.
 */
Datum
soft_delete_has_column(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) && !PG_ARGISNULL(1) &&
				   get_attnum(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1))) !=
					   InvalidAttrNumber);
}

/*
 * soft_delete_internal.caller_owns(relation regclass) returns boolean
 *
 * Returns whether the caller has the rights of the owner of a relation.  Null if there is
 * none.
 */
Datum
soft_delete_caller_owns(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(relation_ownercheck(relid, calling_role()));
}

/*
 * soft_delete_internal.root(relation regclass) returns regclass
 *
 * Returns the topmost ancestor of a relation, or the relation itself.
 */
Datum
soft_delete_root(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(llast_oid(with_ancestors(PG_GETARG_OID(0))));
}

/*
 * soft_delete_internal.inheritance_tree(relation regclass) returns setof regclass
 *
 * Returns a table, its partitions and its inheritance children, parents first.
 */
Datum
soft_delete_inheritance_tree(PG_FUNCTION_ARGS)
{
	ListCell *lc;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach (lc, with_descendants(PG_GETARG_OID(0)))
		return_oid(fcinfo, lfirst_oid(lc));
	return (Datum) 0;
}

/*
 * Return an OID as the next row of a function, which InitMaterializedSRF() has begun.
 */
void
return_oid(FunctionCallInfo fcinfo, Oid oid)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum value = ObjectIdGetDatum(oid);
	bool isnull = false;

	tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
}

/*
 * soft_delete_internal.inheritance_depth(relation regclass) returns bigint
 *
 * Returns the number of a relation and its ancestors.
 */
Datum
soft_delete_inheritance_depth(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(list_length(with_ancestors(PG_GETARG_OID(0))));
}

/*
 * soft_delete_internal.set_comment(classid regclass, objid oid, objsubid integer,
 * comment text) returns void
 *
 * Writes the comment on an object that the running transaction has locked: COMMENT is a
 * command, which takes five times as long, and a tag has a dozen comments.
 */
Datum
soft_delete_set_comment(PG_FUNCTION_ARGS)
{
	CreateComments(PG_GETARG_OID(1), PG_GETARG_OID(0), PG_GETARG_INT32(2),
				   text_to_cstring(PG_GETARG_TEXT_PP(3)));
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.comment_on(classid regclass, objid oid) returns text
 *
 * Returns the comment on an object, or null.  obj_description() is planned for each call.
 */
Datum
soft_delete_comment_on(PG_FUNCTION_ARGS)
{
	char *comment = GetComment(PG_GETARG_OID(1), PG_GETARG_OID(0), 0);

	if (comment == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(comment));
}

/*
 * soft_delete_internal.add_suffix(name name, suffix text) returns name
 *
 * Returns a name with a suffix, truncated to the length of an identifier before it.
 */
Datum
soft_delete_add_suffix(PG_FUNCTION_ARGS)
{
	return make_name(NameStr(*PG_GETARG_NAME(0)),
					 text_to_cstring(PG_GETARG_TEXT_PP(1)));
}

/*
 * soft_delete_internal.view_name(relation regclass, suffix text) returns name
 *
 * Returns the name of a relation with a suffix.  Null if there is no such relation.
 */
Datum
soft_delete_view_name(PG_FUNCTION_ARGS)
{
	char *name = get_rel_name(PG_GETARG_OID(0));

	if (name == NULL)
		PG_RETURN_NULL();
	return make_name(name, text_to_cstring(PG_GETARG_TEXT_PP(1)));
}

/*
 * Return a name and a suffix as one name, without those last characters of the name for
 * which there is no room.
 */
static Datum
make_name(const char *name, const char *suffix)
{
	int room = Max(NAMEDATALEN - 1 - (int) strlen(suffix), 0);
	int length = pg_mbcliplen(name, strlen(name), room);

	return DirectFunctionCall1(namein, CStringGetDatum(psprintf("%.*s%s", length,
																name, suffix)));
}
