/*
 * catalog_scan.c
 *	  Reads rows of a system catalog by the OIDs in their columns.
 *
 * Invariant: a scan locks no object that a row is about, and waits for nobody.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_trigger.h"
#include "utils/fmgroids.h"

#include "catalog/sd_catalog.h"

/*
 * Begin to read the rows of a catalog that have an OID in a column, which an index
 * of the catalog begins with.
 */
CatalogScan
begin_catalog_scan(Oid catalog, Oid index, AttrNumber attnum, Oid value)
{
	CatalogScan scan = {.catalog = table_open(catalog, AccessShareLock)};
	ScanKeyData key;

	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(value));
	scan.rows = systable_beginscan(scan.catalog, index, true, NULL, 1, &key);
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
 * Begin to read what depends on an object, or on one column of it, unless that is
 * ANY_COLUMN.
 */
CatalogScan
begin_dependents_scan(Oid classid, Oid objid, int objsubid)
{
	CatalogScan scan = {.catalog = table_open(DependRelationId, AccessShareLock)};
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(classid));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objid));
	ScanKeyInit(&keys[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(objsubid));
	scan.rows = systable_beginscan(scan.catalog, DependReferenceIndexId, true,
								   NULL, objsubid == ANY_COLUMN ? 2 : 3, keys);
	return scan;
}

/*
 * Begin to read what an object, or one column of it, depends on.
 */
CatalogScan
begin_referenced_scan(Oid classid, Oid objid, int objsubid)
{
	CatalogScan scan = {.catalog = table_open(DependRelationId, AccessShareLock)};
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(classid));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(objid));
	ScanKeyInit(&keys[2], Anum_pg_depend_objsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(objsubid));
	scan.rows = systable_beginscan(scan.catalog, DependDependerIndexId, true,
								   NULL, objsubid == ANY_COLUMN ? 2 : 3, keys);
	return scan;
}

/*
 * Return the next row, or NULL.
 */
HeapTuple
next_catalog_row(CatalogScan *scan)
{
	return systable_getnext(scan->rows);
}

/*
 * End a scan.
 */
void
end_catalog_scan(CatalogScan *scan)
{
	systable_endscan(scan->rows);
	table_close(scan->catalog, AccessShareLock);
}
