/*
 * bin_of.c
 *	  Finds the bin of a table, and tells what a role may do with it.
 *
 * Invariant: a view is the bin of a table because it reads the table, its triggers
 * call our functions, and its owner has the privileges of the table's owner.  Its
 * name does not matter.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "catalog/sd_catalog.h"

PG_FUNCTION_INFO_V1(soft_delete_bin_of);
PG_FUNCTION_INFO_V1(soft_delete_lock_bin);
PG_FUNCTION_INFO_V1(soft_delete_active_view_of);

static Oid bin_on(Oid relid);
static Oid bin_among_readers(Oid relid);
static Oid view_of(Oid rule);
static int bin_trigger_arguments(Oid bin, char **arguments);
static Oid readable_bin_of(Oid relid);
static bool role_may_read(Oid roleid, Oid relid, int n, const AttrNumber *attnums);

/*
 * Return the bin of a table or of the nearest ancestor that has one, or InvalidOid.
 */
Oid
bin_of(Oid relid)
{
	static RelationMemo memo;
	static Oid bin;
	Oid found;

	if (memo_holds(&memo, relid))
		return bin;
	found = find_on_ancestors(relid, bin_on);
	bin = found;
	memo_set(&memo, relid);
	return bin;
}

/*
 * Return the bin of a table itself, or InvalidOid.  While a table changes its storage,
 * its tag and its bin name different places.
 */
static Oid
bin_on(Oid relid)
{
	Oid bin = bin_among_readers(relid);
	Oid companion = OidIsValid(bin) ? InvalidOid : own_companion(relid);

	return OidIsValid(companion) ? bin_among_readers(companion) : bin;
}

/*
 * Return the bin among the views that read a table or a companion, or InvalidOid.
 * Any role can create a view that looks like a bin, so its owner must have the
 * privileges of the table's owner.
 */
static Oid
bin_among_readers(Oid relid)
{
	CatalogScan scan = begin_dependents_scan(RelationRelationId, relid, ANY_COLUMN);
	Oid rule = InvalidOid, bin = InvalidOid;
	HeapTuple tuple;

	while (!OidIsValid(bin) && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend dependent = (Form_pg_depend) GETSTRUCT(tuple);

		/* a rule depends on each column that it reads */
		if (dependent->classid != RewriteRelationId || dependent->objid == rule)
			continue;
		rule = dependent->objid;
		bin = view_of(rule);
		if (OidIsValid(bin) && (bin_trigger_arguments(bin, NULL) < 0 ||
								!has_privs_of_role(owner_of(bin), owner_of(relid))))
			bin = InvalidOid;
	}
	end_catalog_scan(&scan);
	return bin;
}

/*
 * Return the view that a rule belongs to, or InvalidOid if there is no such rule.
 */
static Oid
view_of(Oid rule)
{
	CatalogScan scan = begin_catalog_scan(RewriteRelationId, RewriteOidIndexId,
										  Anum_pg_rewrite_oid, rule);
	HeapTuple tuple = next_catalog_row(&scan);
	Oid view = InvalidOid;

	if (HeapTupleIsValid(tuple))
		view = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
	end_catalog_scan(&scan);
	return view;
}

/*
 * Find the INSTEAD OF DELETE trigger of a bin.  Returns the number of its
 * arguments, and the arguments themselves in "arguments" unless that is NULL.
 * Returns -1 if the relation is not a bin.
 *
 * Does not lock the relation, and so does not wait for other transactions: it may
 * be any view that reads a tagged table.
 */
static int
bin_trigger_arguments(Oid bin, char **arguments)
{
	Oid function = extension_function(BIN_DELETE);
	CatalogScan scan = begin_trigger_scan(bin);
	int n = -1;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);
		List *names;

		/* another kind of trigger that calls the function does not make a bin */
		if (trigger->tgfoid != function || trigger->tgnargs > N_BIN_COLUMNS ||
			!TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								  TRIGGER_TYPE_INSTEAD, TRIGGER_TYPE_DELETE))
			continue;
		n = trigger->tgnargs;
		names = arguments != NULL ? trigger_arguments(scan.catalog, tuple) : NIL;
		for (int k = 0; k < list_length(names); k++)
			arguments[k] = list_nth(names, k);
	}
	end_catalog_scan(&scan);
	return n;
}

/*
 * Return the OIDs of the views that depend on a table automatically, as only the extension
 * makes a view do.
 */
List *
bound_views(Oid relid)
{
	CatalogScan scan = begin_dependents_scan(RelationRelationId, relid, 0);
	List *views = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend dependent = (Form_pg_depend) GETSTRUCT(tuple);

		if (dependent->classid == RelationRelationId &&
			dependent->objsubid == 0 && dependent->deptype == DEPENDENCY_AUTO &&
			get_rel_relkind(dependent->objid) == RELKIND_VIEW)
			views = list_append_unique_oid(views, dependent->objid);
	}
	end_catalog_scan(&scan);
	return views;
}

/*
 * soft_delete_internal.active_view_of(relation regclass) returns regclass
 *
 * Returns the view of live rows of a tagged table: of its bound views, the one without the
 * trigger of a bin.  Null if there is none.
 */
Datum
soft_delete_active_view_of(PG_FUNCTION_ARGS)
{
	ListCell *lc;

	foreach (lc, bound_views(PG_GETARG_OID(0)))
	{
		if (bin_trigger_arguments(lfirst_oid(lc), NULL) < 0)
			PG_RETURN_OID(lfirst_oid(lc));
	}
	PG_RETURN_NULL();
}

/*
 * Return the attribute number of a column that a bin has in addition to those of
 * its table, or InvalidAttrNumber if the view is not a bin.  The names of these
 * columns are the arguments of the bin's trigger.
 */
AttrNumber
bin_column(Oid bin, BinColumn which)
{
	char *names[N_BIN_COLUMNS];

	if (bin_trigger_arguments(bin, names) <= (int) which)
		return InvalidAttrNumber;
	return get_attnum(bin, names[which]);
}

/*
 * Does the calling role have one of some privileges on a column of the bin of a
 * table or of its ancestors?
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

/*
 * soft_delete_internal.bin_of(relation regclass) returns regclass
 *
 * Returns the bin of a table itself.  Null if there is none: that of a partition is its
 * root's.
 */
Datum
soft_delete_bin_of(PG_FUNCTION_ARGS)
{
	Oid bin = bin_on(PG_GETARG_OID(0));

	if (!OidIsValid(bin))
		PG_RETURN_NULL();
	PG_RETURN_OID(bin);
}

/*
 * soft_delete_internal.lock_bin(relation regclass) returns regclass
 *
 * Locks a table in AccessShareLock, so that it keeps its bin until the transaction
 * ends, and returns the bin.  Null if the caller may not read the bin, or if there
 * is none: it may have been dropped while the function waited for the lock.
 */
Datum
soft_delete_lock_bin(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Relation rel;
	Oid bin;

	/* a role that may not read the bin must not lock the table either */
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
 * Return the bin of a table, or InvalidOid if there is none that the calling role
 * may read.
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
 * Return the name of the bin of a table, quoted and qualified where that is needed,
 * or "the bin" if there is none.
 */
char *
bin_name(Oid relid)
{
	Oid bin = bin_of(relid);

	return OidIsValid(bin)
			   ? DatumGetCString(
					 DirectFunctionCall1(regclassout, ObjectIdGetDatum(bin)))
			   : pstrdup("the bin");
}

/*
 * May the current user, and who has called the extension, read some columns of a relation,
 * so that an error message may contain their values?
 */
bool
may_read(Oid relid, int n, const AttrNumber *attnums)
{
	return role_may_read(calling_role(), relid, n, attnums) &&
		   role_may_read(acting_role(), relid, n, attnums);
}

/*
 * May a role read some columns of a relation?  It may not under row-level security: which
 * rows it may read is not known.
 */
static bool
role_may_read(Oid roleid, Oid relid, int n, const AttrNumber *attnums)
{
	if (check_enable_rls(relid, roleid, true) == RLS_ENABLED)
		return false;
	if (pg_class_aclcheck(relid, roleid, ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < n; i++)
	{
		if (attnums[i] == InvalidAttrNumber ||
			pg_attribute_aclcheck(relid, attnums[i], roleid, ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return true;
}

/*
 * May the roles that may_read() asks for read some columns of the tombstones of a relation,
 * in the relation itself or in its bin?
 */
bool
may_read_tombstones(Oid relid, int n, const AttrNumber *attnums)
{
	Oid bin = bin_of(relid);
	AttrNumber bin_attnums[INDEX_MAX_KEYS];

	if (may_read(relid, n, attnums))
		return true;
	for (int i = 0; i < n && OidIsValid(bin); i++)
		bin_attnums[i] = get_attnum(bin, get_attname(relid, attnums[i], false));
	return OidIsValid(bin) && may_read(bin, n, bin_attnums);
}
