/*
 * bin_of.c
 *	  Finds the bin of a table, and what a role may do with it.
 *
 * Invariant: a view is the bin of a table because its triggers call our functions
 * and because it belongs to somebody who has the rights of the table's owner, never
 * because of its name.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "catalog/sd_catalog.h"

PG_FUNCTION_INFO_V1(soft_delete_lock_bin);

static Oid bin_on(Oid relid);
static Oid view_of(Oid rule);
static int bin_trigger(Oid bin, char **arguments);
static Oid readable_bin_of(Oid relid);

/*
 * Return the bin of a table, or of the table that it is a partition or
 * inheritance child of; InvalidOid if there is none.
 */
Oid
bin_of(Oid relid)
{
	static RelationMemo memo;
	static Oid bin;
	Oid found = InvalidOid;
	ListCell *lc;

	if (memo_holds(&memo, relid))
		return bin;
	foreach (lc, with_ancestors(relid))
	{
		if (!OidIsValid(found))
			found = bin_on(lfirst_oid(lc));
	}
	bin = found;
	memo_set(&memo, relid);
	return bin;
}

/*
 * Return the bin among the views that read a table, or InvalidOid.  Anybody can
 * make a view that looks like one, but for its owner.
 */
static Oid
bin_on(Oid relid)
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
		if (OidIsValid(bin) && (bin_trigger(bin, NULL) < 0 ||
								!has_privs_of_role(owner_of(bin), owner_of(relid))))
			bin = InvalidOid;
	}
	end_catalog_scan(&scan);
	return bin;
}

/*
 * Return the relation that a rule belongs to.
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
 * Find the trigger of a bin for UPDATE.  Returns the number of its arguments,
 * which it copies, if so asked, or -1 if the relation is no bin.
 *
 * It is asked about the views of all tables: it locks nothing, and waits for nobody.
 */
static int
bin_trigger(Oid bin, char **arguments)
{
	Oid function = extension_function(BIN_UPDATE);
	CatalogScan scan = begin_trigger_scan(bin);
	int n = -1;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);
		List *names;

		/* whoever attaches the function otherwise makes no bin */
		if (trigger->tgfoid != function || trigger->tgnargs > N_BIN_COLUMNS ||
			!TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								  TRIGGER_TYPE_INSTEAD, TRIGGER_TYPE_UPDATE))
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
 * Return the name of the bin of a table, as it can be pasted.
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
 * May the current role read some columns of a relation?  Else errors do not
 * tell it what is in them.  Not where row security is in force: which rows it
 * may read is not known.
 */
bool
may_read(Oid relid, int n, const AttrNumber *attnums)
{
	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return false;
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < n; i++)
	{
		if (attnums[i] == InvalidAttrNumber ||
			pg_attribute_aclcheck(relid, attnums[i], GetUserId(), ACL_SELECT) !=
				ACLCHECK_OK)
			return false;
	}
	return true;
}

/*
 * May the current role read some columns of the tombstones of a relation, in the
 * relation or in its bin?
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
