/*
 * catalog_scan.c
 *	  Reads the rows of a system catalog that have an OID in a column.
 *
 * Invariant: a scan locks only the catalog, in AccessShareLock.  It does not lock
 * the objects that the rows describe, so it does not wait for other transactions.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_trigger.h"
#include "utils/fmgroids.h"

#include "catalog/sd_catalog.h"

static CatalogScan begin_depend_scan(Oid index, AttrNumber first, Oid classid,
									 Oid objid, int objsubid);

/*
 * Begin to read the rows of a catalog that have an OID in a column, which is the
 * first column of an index of the catalog.
 */
CatalogScan
begin_catalog_scan(Oid catalog, Oid index, AttrNumber attnum, Oid value)
{
	return begin_catalog_scan_by(catalog, index, attnum, value, NULL);
}

/*
 * The same for the rows that a snapshot sees, or those of now if it is NULL.
 */
CatalogScan
begin_catalog_scan_by(Oid catalog, Oid index, AttrNumber attnum, Oid value,
					  Snapshot snapshot)
{
	CatalogScan scan = {.catalog = table_open(catalog, AccessShareLock)};
	ScanKeyData key;

	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(value));
	scan.rows = systable_beginscan(scan.catalog, index, true, snapshot, 1, &key);
	return scan;
}

/*
 * Begin to read the triggers of a relation, in the order of their names.
 */
CatalogScan
begin_trigger_scan(Oid relid)
{
	return begin_catalog_scan(TriggerRelationId, TriggerRelidNameIndexId,
							  Anum_pg_trigger_tgrelid, relid);
}

/*
 * Begin to read the rows of pg_depend that have an object in three columns that follow
 * one another, from the first one on, which an index begins with.
 */
static CatalogScan
begin_depend_scan(Oid index, AttrNumber first, Oid classid, Oid objid, int objsubid)
{
	CatalogScan scan = {.catalog = table_open(DependRelationId, AccessShareLock)};
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], first, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(classid));
	ScanKeyInit(&keys[1], first + 1, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(objid));
	ScanKeyInit(&keys[2], first + 2, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(objsubid));
	scan.rows = systable_beginscan(scan.catalog, index, true, NULL,
								   objsubid == ANY_COLUMN ? 2 : 3, keys);
	return scan;
}

/*
 * Begin to read the rows of pg_depend for what depends on an object: on the object
 * itself (0), on one of its columns, or on any of these (ANY_COLUMN).
 */
CatalogScan
begin_dependents_scan(Oid classid, Oid objid, int objsubid)
{
	return begin_depend_scan(DependReferenceIndexId, Anum_pg_depend_refclassid,
							 classid, objid, objsubid);
}

/*
 * Begin to read the rows of pg_depend for what an object depends on: the object
 * itself (0), one of its columns, or any of these (ANY_COLUMN).
 */
CatalogScan
begin_referenced_scan(Oid classid, Oid objid, int objsubid)
{
	return begin_depend_scan(DependDependerIndexId, Anum_pg_depend_classid,
							 classid, objid, objsubid);
}

/*
 * Return the next row, or NULL if there is none.
 */
HeapTuple
next_catalog_row(CatalogScan *scan)
{
	return systable_getnext(scan->rows);
}

/*
 * End a scan, and release the lock on the catalog.
 */
void
end_catalog_scan(CatalogScan *scan)
{
	systable_endscan(scan->rows);
	table_close(scan->catalog, AccessShareLock);
}
