/*
 * drop.c
 *	  Finds the columns of tagged tables that are in the way of DROP.
 *
 * A type, a collation, a function may go together with all columns that need
 * it, by CASCADE.  The views of their tables are to lose just these columns, so they have to
 * be released first (views.c), and to know which ones the dependencies are
 * followed as the server will.  Without CASCADE the same makes the server name
 * the columns only, not the views.  What is not found here is no harm: then the
 * server drops the views, as it drops any view.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_shdepend.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"

#include "ddl/sd_ddl.h"

/* How far a walk has come */
typedef struct Reach
{
	HTAB *known;   /* the objects that have been reached */
	List *pending; /* those of them whose dependents have not been looked for */
	List *columns; /* ObjectAddress of columns of tagged tables */
} Reach;

static void begin_reach(Reach *reach);
static void reach_object(Reach *reach, const ObjectAddress *object);
static void reach_dependents(Reach *reach);
static void reach_connected(Reach *reach, const ObjectAddress *object,
							bool dependents);
static bool names_relations(ObjectType type);
static bool needs_no_columns(ObjectType type);
static bool find_dropped(DropStmt *stmt, Node *name, ObjectAddress *object);
static void reach_owned(Reach *reach, Oid roleid);

/*
 * Return the columns of tagged tables (ObjectAddress) that DROP would take
 * along, if the current role may drop what it names.
 */
List *
columns_dropped_with(DropStmt *stmt)
{
	Reach reach;
	ListCell *lc;

	if (needs_no_columns(stmt->removeType))
		return NIL;
	begin_reach(&reach);
	foreach (lc, stmt->objects)
	{
		ObjectAddress object;

		if (find_dropped(stmt, lfirst(lc), &object))
			reach_object(&reach, &object);
	}
	reach_dependents(&reach);
	return reach.columns;
}

/*
 * Return the columns of tagged tables (ObjectAddress) that DROP OWNED BY
 * would take along.
 */
List *
columns_dropped_with_owned(DropOwnedStmt *stmt)
{
	Reach reach;
	ListCell *lc;

	begin_reach(&reach);
	foreach (lc, stmt->roles)
	{
		Oid roleid = get_rolespec_oid(lfirst_node(RoleSpec, lc), true);

		if (OidIsValid(roleid) && has_privs_of_role(GetUserId(), roleid))
			reach_owned(&reach, roleid);
	}
	reach_dependents(&reach);
	return reach.columns;
}

/*
 * Begin with nothing.
 */
static void
begin_reach(Reach *reach)
{
	HASHCTL control = {.keysize = sizeof(ObjectAddress),
					   .entrysize = sizeof(ObjectAddress),
					   .hcxt = CurrentMemoryContext};

	reach->known = hash_create("soft_delete dropped objects", 64, &control,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	reach->pending = NIL;
	reach->columns = NIL;
}

/*
 * Note an object that is going to be dropped.  Columns of tagged tables are what
 * is looked for; what depends on them is left to the views.
 */
static void
reach_object(Reach *reach, const ObjectAddress *object)
{
	ObjectAddress *copy;
	bool found;

	(void) hash_search(reach->known, object, HASH_ENTER, &found);
	if (found)
		return;
	copy = palloc(sizeof(ObjectAddress));
	*copy = *object;
	if (object->classId == RelationRelationId && object->objectSubId > 0 &&
		tag_arguments(object->objectId) != NIL)
		reach->columns = lappend(reach->columns, copy);
	else
		reach->pending = lappend(reach->pending, copy);
}

/*
 * Note all that depends on what has been noted, and what that is a part of.
 */
static void
reach_dependents(Reach *reach)
{
	/* the list grows meanwhile */
	for (int i = 0; i < list_length(reach->pending); i++)
	{
		ObjectAddress *object = list_nth(reach->pending, i);

		CHECK_FOR_INTERRUPTS();
		reach_connected(reach, object, true);
		reach_connected(reach, object, false);
	}
	hash_destroy(reach->known);
}

/*
 * Note what depends on an object, or what the object is a part of.
 */
static void
reach_connected(Reach *reach, const ObjectAddress *object, bool dependents)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	int nkeys = object->objectSubId == 0 && dependents ? 2 : 3;
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0],
				dependents ? Anum_pg_depend_refclassid : Anum_pg_depend_classid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object->classId));
	ScanKeyInit(&keys[1], dependents ? Anum_pg_depend_refobjid : Anum_pg_depend_objid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object->objectId));
	ScanKeyInit(&keys[2],
				dependents ? Anum_pg_depend_refobjsubid : Anum_pg_depend_objsubid,
				BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(object->objectSubId));
	scan = systable_beginscan(depend,
							  dependents ? DependReferenceIndexId : DependDependerIndexId,
							  true, NULL, nkeys, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress other;

		if (dependents)
			ObjectAddressSubSet(other, form->classid, form->objid, form->objsubid);
		else if (form->deptype == DEPENDENCY_INTERNAL)
			ObjectAddressSubSet(other, form->refclassid, form->refobjid,
								form->refobjsubid);
		else
			continue;
		reach_object(reach, &other);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}

/*
 * Are objects of the type named as relations are?
 */
static bool
names_relations(ObjectType type)
{
	return type == OBJECT_TABLE || type == OBJECT_VIEW || type == OBJECT_MATVIEW ||
		   type == OBJECT_SEQUENCE || type == OBJECT_FOREIGN_TABLE;
}

/*
 * Is there no column that an object of the type could take along?
 */
static bool
needs_no_columns(ObjectType type)
{
	return type == OBJECT_INDEX || type == OBJECT_TRIGGER || type == OBJECT_RULE ||
		   type == OBJECT_POLICY || type == OBJECT_EVENT_TRIGGER ||
		   type == OBJECT_PUBLICATION || type == OBJECT_STATISTIC_EXT;
}

/*
 * Find an object that a DROP names.  Returns false if there is none.
 *
 * Raises what the server would if it does not belong to the current role.
 */
static bool
find_dropped(DropStmt *stmt, Node *name, ObjectAddress *object)
{
	Relation rel = NULL;
	Oid namespace;

	if (names_relations(stmt->removeType))
	{
		Oid relid = RangeVarGetRelid(makeRangeVarFromNameList((List *) name),
									 NoLock, true);

		if (!OidIsValid(relid) ||
			(!relation_ownercheck(relid, GetUserId()) &&
			 !schema_ownercheck(get_rel_namespace(relid), GetUserId())))
			return false; /* DROP will complain */
		ObjectAddressSet(*object, RelationRelationId, relid);
		return true;
	}

	*object =
		get_object_address(stmt->removeType, name, &rel, AccessShareLock, true);
	if (OidIsValid(object->objectId))
	{
		namespace = get_object_namespace(object);
		if (!OidIsValid(namespace) || !schema_ownercheck(namespace, GetUserId()))
			check_object_ownership(GetUserId(), stmt->removeType, *object, name, rel);
	}
	if (rel != NULL)
		table_close(rel, NoLock);
	return OidIsValid(object->objectId);
}

/*
 * Note what a role owns in this database.
 */
static void
reach_owned(Reach *reach, Oid roleid)
{
	Relation depend = table_open(SharedDependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(AuthIdRelationId));
	ScanKeyInit(&keys[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(roleid));
	scan = systable_beginscan(depend, SharedDependReferenceIndexId, true, NULL,
							  2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_shdepend form = (Form_pg_shdepend) GETSTRUCT(tuple);
		ObjectAddress object;

		if (form->dbid != MyDatabaseId || form->deptype != SHARED_DEPENDENCY_OWNER)
			continue;
		ObjectAddressSubSet(object, form->classid, form->objid, form->objsubid);
		reach_object(reach, &object);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}
