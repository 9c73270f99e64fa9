/*
 * drop.c
 *	  Finds the tagged tables, and the columns of such, that a DROP takes along.
 *
 * DROP ... CASCADE of a type, a collation or a function drops all columns that depend
 * on it.  The views of the tables, and companions, must lose just these columns, so the
 * views have to be released before (views.c), and columns of companions dropped.  To find
 * the columns, dependencies are followed here in the same way as the server will follow
 * them.  Without CASCADE, the release makes the server report the columns as dependents,
 * and not the views.
 *
 * Tables are found so that a DROP of held rows can be refused (protect.c).
 *
 * Nothing is dropped or refused here.  A column that is not found does no harm: the
 * server then drops the views, as it drops any view of a user.
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
#include "catalog/pg_trigger.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/itemptr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "ddl/sd_ddl.h"

/* The progress of a search for what is going to be dropped */
typedef struct DropSearch
{
	HTAB *known;   /* ObjectAddress of all objects that have been found */
	List *pending; /* those (ObjectAddress) whose dependents are followed */
	List *columns; /* those (ObjectAddress) that are columns of tables tagged in place */
	List *aside;  /* those of tables whose tombstones are kept aside */
	List *tables; /* OIDs of those that are tagged tables */
} DropSearch;

PG_FUNCTION_INFO_V1(soft_delete_dropped_bin);

static HeapTuple last_version(Oid catalog, Oid index, AttrNumber attnum, Oid objid);
static List *staying_columns(DropSearch *search, List *columns);
static void search_for(DropSearch *search, Node *stmt);
static void search_dropped(DropSearch *search, DropStmt *stmt);
static void search_owned(DropSearch *search, DropOwnedStmt *stmt);
static void begin_search(DropSearch *search);
static void add_object(DropSearch *search, Oid classid, Oid objid, int objsubid);
static void add_table(DropSearch *search, Oid relid);
static void follow_dependencies(DropSearch *search);
static void add_dependents(DropSearch *search, const ObjectAddress *object);
static void add_containers(DropSearch *search, const ObjectAddress *object);
static bool is_relation_type(ObjectType type);
static bool has_no_columns(ObjectType type);
static bool find_dropped(DropStmt *stmt, Node *name, ObjectAddress *object);
static void add_owned_objects(DropSearch *search, Oid roleid);

/*
 * soft_delete_internal.dropped_bin(trigger oid, OUT owner oid, OUT tag bytea)
 *
 * Returns the owner of the table, and the arguments, of a trigger that this transaction has
 * dropped, perhaps with the table: the rows of both are still there.  Returns null if there
 * is none.
 */
Datum
soft_delete_dropped_bin(PG_FUNCTION_ARGS)
{
	HeapTuple trigger = last_version(TriggerRelationId, TriggerOidIndexId,
									 Anum_pg_trigger_oid, PG_GETARG_OID(0));
	HeapTuple class;
	TupleDesc desc;
	Relation triggers;
	Datum values[2];
	bool nulls[2] = {false, false};

	if (!HeapTupleIsValid(trigger))
		PG_RETURN_NULL();
	class = last_version(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid,
						 ((Form_pg_trigger) GETSTRUCT(trigger))->tgrelid);
	if (!HeapTupleIsValid(class) ||
		get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		PG_RETURN_NULL();
	triggers = table_open(TriggerRelationId, AccessShareLock);
	values[0] = ObjectIdGetDatum(((Form_pg_class) GETSTRUCT(class))->relowner);
	values[1] = heap_getattr(trigger, Anum_pg_trigger_tgargs,
							 RelationGetDescr(triggers), &nulls[1]);
	table_close(triggers, AccessShareLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * Return a copy of the last version of the row of an object in a catalog, which the
 * transaction may have deleted, or NULL if there is none.
 */
static HeapTuple
last_version(Oid catalog, Oid index, AttrNumber attnum, Oid objid)
{
	Relation rel = table_open(catalog, AccessShareLock);
	HeapTuple found = NULL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(objid));
	scan = systable_beginscan(rel, index, true, SnapshotAny, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		/* the others were updated */
		if (ItemPointerEquals(&tuple->t_self, &tuple->t_data->t_ctid))
			found = heap_copytuple(tuple);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Return the columns of tagged tables (ObjectAddress) that a DROP or DROP OWNED BY would
 * take along, but not their tables.  Sets "aside" to those of tables whose tombstones are
 * kept aside, which are not among the others.
 *
 * Raises what the server raises if an object does not belong to the current role.
 */
List *
columns_dropped_by(Node *stmt, List **aside)
{
	DropSearch search;

	search_for(&search, stmt);
	*aside = staying_columns(&search, search.aside);
	return staying_columns(&search, search.columns);
}

/*
 * Return those of some columns (ObjectAddress) whose tables are not going to be dropped.
 */
static List *
staying_columns(DropSearch *search, List *columns)
{
	List *found = NIL;
	ListCell *lc;

	foreach (lc, columns)
	{
		if (!list_member_oid(search->tables, ((ObjectAddress *) lfirst(lc))->objectId))
			found = lappend(found, lfirst(lc));
	}
	return found;
}

/*
 * Return the OIDs of the tagged tables that a DROP or DROP OWNED BY would take along.
 *
 * Raises what columns_dropped_by() raises.
 */
List *
tables_dropped_by(Node *stmt)
{
	DropSearch search;

	search_for(&search, stmt);
	return search.tables;
}

/*
 * Search for what a DROP or DROP OWNED BY would take along.
 */
static void
search_for(DropSearch *search, Node *stmt)
{
	if (IsA(stmt, DropStmt))
		search_dropped(search, castNode(DropStmt, stmt));
	else
		search_owned(search, castNode(DropOwnedStmt, stmt));
}

/*
 * Search for what a DROP would take along.
 */
static void
search_dropped(DropSearch *search, DropStmt *stmt)
{
	ListCell *lc;

	begin_search(search);
	if (has_no_columns(stmt->removeType))
		return;
	foreach (lc, stmt->objects)
	{
		ObjectAddress object;

		if (find_dropped(stmt, lfirst(lc), &object))
			add_object(search, object.classId, object.objectId, object.objectSubId);
	}
	follow_dependencies(search);
}

/*
 * Search for what DROP OWNED BY would take along.
 */
static void
search_owned(DropSearch *search, DropOwnedStmt *stmt)
{
	ListCell *lc;

	begin_search(search);
	foreach (lc, stmt->roles)
	{
		Oid roleid = get_rolespec_oid(lfirst_node(RoleSpec, lc), true);

		if (OidIsValid(roleid) && has_privs_of_role(GetUserId(), roleid))
			add_owned_objects(search, roleid);
	}
	follow_dependencies(search);
}

/*
 * Initialize a search.
 */
static void
begin_search(DropSearch *search)
{
	HASHCTL control = {.keysize = sizeof(ObjectAddress),
					   .entrysize = sizeof(ObjectAddress),
					   .hcxt = CurrentMemoryContext};

	search->known = hash_create("soft_delete dropped objects", 64, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	search->pending = NIL;
	search->columns = NIL;
	search->aside = NIL;
	search->tables = NIL;
}

/*
 * Add an object that is going to be dropped.  The search ends at columns of tables that
 * are tagged in place: what depends on them is handled when the views are released.
 */
static void
add_object(DropSearch *search, Oid classid, Oid objid, int objsubid)
{
	ObjectAddress *object = palloc(sizeof(ObjectAddress));
	bool found;

	ObjectAddressSubSet(*object, classid, objid, objsubid);
	(void) hash_search(search->known, object, HASH_ENTER, &found);
	if (found)
		pfree(object);
	else if (classid == RelationRelationId && objsubid > 0 &&
			 in_place_arguments(objid) != NIL)
		search->columns = lappend(search->columns, object);
	else
	{
		search->pending = lappend(search->pending, object);
		if (classid == RelationRelationId && objsubid == 0)
			add_table(search, objid);
		else if (classid == RelationRelationId && is_kept_aside(objid))
			search->aside = lappend(search->aside, object);
	}
}

/*
 * Add a tagged table that is going to be dropped or, if that is a companion, lose its
 * tombstones.
 */
static void
add_table(DropSearch *search, Oid relid)
{
	Oid table = command_is_own() ? InvalidOid : companions_table(relid);

	/* a tag whose column is missing must not keep its table from being dropped */
	if (tag_arguments(relid) != NIL)
		search->tables = lappend_oid(search->tables, relid);
	if (OidIsValid(table) && tag_arguments(table) != NIL)
		search->tables = list_append_unique_oid(search->tables, table);
}

/*
 * Add all that is going to be dropped with the objects that have been added.
 */
static void
follow_dependencies(DropSearch *search)
{
	/* the list grows meanwhile */
	for (int i = 0; i < list_length(search->pending); i++)
	{
		ObjectAddress *object = list_nth(search->pending, i);

		CHECK_FOR_INTERRUPTS();
		add_dependents(search, object);
		add_containers(search, object);
	}
	hash_destroy(search->known);
}

/*
 * Add what depends on an object, or on any column of it.
 */
static void
add_dependents(DropSearch *search, const ObjectAddress *object)
{
	CatalogScan scan =
		begin_dependents_scan(object->classId, object->objectId,
							  object->objectSubId == 0 ? ANY_COLUMN
													   : object->objectSubId);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		add_object(search, form->classid, form->objid, form->objsubid);
	}
	end_catalog_scan(&scan);
}

/*
 * Add the objects of which an object is an internal part: they are dropped with it.
 */
static void
add_containers(DropSearch *search, const ObjectAddress *object)
{
	CatalogScan scan = begin_referenced_scan(object->classId, object->objectId,
											 object->objectSubId);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->deptype == DEPENDENCY_INTERNAL)
			add_object(search, form->refclassid, form->refobjid, form->refobjsubid);
	}
	end_catalog_scan(&scan);
}

/*
 * Is this a type of relations, whose names are looked up in pg_class?
 */
static bool
is_relation_type(ObjectType type)
{
	return type == OBJECT_TABLE || type == OBJECT_VIEW || type == OBJECT_MATVIEW ||
		   type == OBJECT_SEQUENCE || type == OBJECT_FOREIGN_TABLE;
}

/*
 * Is this a type of objects on which no column depends?
 */
static bool
has_no_columns(ObjectType type)
{
	return type == OBJECT_INDEX || type == OBJECT_TRIGGER || type == OBJECT_RULE ||
		   type == OBJECT_POLICY || type == OBJECT_EVENT_TRIGGER ||
		   type == OBJECT_PUBLICATION || type == OBJECT_STATISTIC_EXT;
}

/*
 * Find an object that a DROP names.  Returns false if there is none, or if it is a
 * relation that the current role may not drop.
 *
 * Raises what the server raises if another object does not belong to the current
 * role.
 */
static bool
find_dropped(DropStmt *stmt, Node *name, ObjectAddress *object)
{
	Relation rel = NULL;
	Oid namespace;

	if (is_relation_type(stmt->removeType))
	{
		Oid relid = RangeVarGetRelid(makeRangeVarFromNameList((List *) name),
									 NoLock, true);

		if (!OidIsValid(relid) ||
			(!relation_ownercheck(relid, GetUserId()) &&
			 !schema_ownercheck(get_rel_namespace(relid), GetUserId())))
			return false; /* DROP will raise the error */
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
 * Add the objects that a role owns in this database.
 */
static void
add_owned_objects(DropSearch *search, Oid roleid)
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

		if (form->dbid == MyDatabaseId && form->deptype == SHARED_DEPENDENCY_OWNER)
			add_object(search, form->classid, form->objid, form->objsubid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}
