/*
 * membership.c
 *	  Finds the extension's own functions and relations.
 *
 * Invariant: an object is ours because it is a member of the extension, never
 * because of its name: any role may create a schema and call it soft_delete.  In a
 * database without the extension nothing is found, and the library does nothing.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/sd_catalog.h"

/*
 * How each ExtensionFunction is declared.  Its C symbol is its name with a prefix, or
 * "symbol" with it: triggers of an older version call the function by that, until
 * ALTER EXTENSION UPDATE.
 */
static const struct
{
	const char *schema;
	const char *name;
	int nargs;
	Oid argtypes[3];
	const char *symbol;
} function_signatures[N_EXTENSION_FUNCTIONS] = {
	[TAG_TRIGGER] = {EXTENSION_SCHEMA, "delete_row", 0, {0}},
	[SAMPLING_METHOD] = {EXTENSION_SCHEMA, "rows", 1, {INTERNALOID}},
	[SHOWS_TOMBSTONES] = {INTERNAL_SCHEMA, "shows_tombstones", 1, {OIDOID}},
	[ADMITS_TOMBSTONE] = {EXTENSION_SCHEMA, "admits_tombstone", 1, {OIDOID}},
	[WANTS_ROW] = {INTERNAL_SCHEMA, "wants_row", 2, {TEXTOID, BOOLOID}},
	[REFERENCE_CHECK] = {INTERNAL_SCHEMA, "check_parent", 0, {0}, "check_reference"},
	[ON_UPDATE_TRIGGER] = {INTERNAL_SCHEMA, "on_update_key", 0, {0}, "follow_key"},
	[SET_NULL_TRIGGER] = {INTERNAL_SCHEMA, "record_set_null", 0, {0}, "note_cut"},
	[BIN_UPDATE] = {EXTENSION_SCHEMA, "restore_row", 0, {0}},
	[BIN_DELETE] = {EXTENSION_SCHEMA, "purge_row", 0, {0}},
	[BIN_STATEMENT] = {EXTENSION_SCHEMA, "finish_bin", 0, {0}},
	[KEY_CLAIM] = {EXTENSION_SCHEMA, "claim_key", 0, {0}},
	[CLAIMS_KEY] = {INTERNAL_SCHEMA, "claims_key", 3, {OIDOID, RECORDOID, INTERNALOID}},
	[TRUNCATE_TRIGGER] = {EXTENSION_SCHEMA, "guard_truncate", 0, {0}},
	[INDEX_HANDLER] = {INTERNAL_SCHEMA, "btree_handler", 1, {INTERNALOID}},
	[SPARES_HELD] = {INTERNAL_SCHEMA, "spares_held", 3, {OIDOID, TIDOID, INTERNALOID}},
	[SHOWS_STATISTICS] = {INTERNAL_SCHEMA, "shows_statistics", 1, {OIDOID}},
	[COMPANION_TRIGGER] = {EXTENSION_SCHEMA, "guard_companion", 0, {0}},
	[BRIDGE_TRIGGER] = {EXTENSION_SCHEMA, "follow_bridge", 0, {0}},
	[SEES_ALL_ROWS] = {INTERNAL_SCHEMA, "sees_all_rows", 1, {OIDOID}},
	[HOLD_TRIGGER] = {INTERNAL_SCHEMA, "follow_hold", 0, {0}},
	[SHARD_TRIGGER] = {EXTENSION_SCHEMA, "keep_shard_row", 0, {0}},
	[SHARD_BIN_TRIGGER] = {EXTENSION_SCHEMA, "restore_shard_rows", 0, {0}},
	[VIEW_IS_CHANGING] = {INTERNAL_SCHEMA, "is_changing", 0, {0}},
};

/* What has been looked up.  It is valid until a function or a schema changes. */
static bool extension_is_known = false;
static Oid known_extension = InvalidOid;
static Oid known_owner = InvalidOid;
static Oid function_oids[N_EXTENSION_FUNCTIONS];
static bool function_is_known[N_EXTENSION_FUNCTIONS];

/*
 * Counts the calls of invalidate().  A lookup during which it grows may have read
 * an outdated row, so its result is not kept.
 */
static uint64 invalidations = 0;

static Oid look_up_extension(Oid *owner);
static void invalidate(Datum arg, int cacheid, uint32 hashvalue);
static Oid find_function(ExtensionFunction which, Oid extension);
static Oid find_by_symbol(ExtensionFunction which, Oid extension);
static bool has_symbol(Oid function, ExtensionFunction which);

/*
 * Register the syscache callbacks.
 */
void
init_membership(void)
{
	CacheRegisterSyscacheCallback(PROCOID, invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, invalidate, (Datum) 0);
}

/*
 * Invalidate what has been looked up (syscache callback).  CREATE EXTENSION and
 * DROP EXTENSION change functions, so this is called for each of them.
 */
static void
invalidate(Datum arg, int cacheid, uint32 hashvalue)
{
	extension_is_known = false;
	memset(function_is_known, 0, sizeof(function_is_known));
	invalidations++;
}

/*
 * Look up the extension and its owner in pg_extension, which has no syscache.
 * Returns InvalidOid if this database does not have the extension.
 */
static Oid
look_up_extension(Oid *owner)
{
	uint64 before = invalidations;
	Relation extensions = table_open(ExtensionRelationId, AccessShareLock);
	Oid extension = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(EXTENSION_NAME));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	*owner = InvalidOid;
	if (HeapTupleIsValid(tuple))
	{
		extension = ((Form_pg_extension) GETSTRUCT(tuple))->oid;
		*owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	}
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);

	if (before == invalidations)
	{
		known_extension = extension;
		known_owner = *owner;
		extension_is_known = true;
	}
	return extension;
}

/*
 * Return the OID of the extension, or InvalidOid if this database does not have it.
 */
Oid
extension_oid(void)
{
	Oid owner;

	return extension_is_known ? known_extension : look_up_extension(&owner);
}

/*
 * Has this database Citus?
 */
bool
has_citus(void)
{
	return OidIsValid(get_extension_oid("citus", true));
}

/*
 * Return the owner of the extension, which must be installed.
 */
Oid
extension_owner(void)
{
	Oid owner;

	if (extension_is_known && OidIsValid(known_extension))
		return known_owner;
	if (!OidIsValid(look_up_extension(&owner)))
		elog(ERROR, "extension \"%s\" does not exist", EXTENSION_NAME);
	return owner;
}

/*
 * Is an object a member of the extension?
 */
bool
is_extension_member(Oid classid, Oid objid)
{
	Oid extension = extension_oid();

	return OidIsValid(extension) && getExtensionOfObject(classid, objid) == extension;
}

/*
 * Return the OID of one of the extension's functions.  Returns InvalidOid if the
 * extension is not installed in this database, or does not have the function.
 */
Oid
extension_function(ExtensionFunction which)
{
	uint64 before = invalidations;
	Oid extension, function;

	if (function_is_known[which])
		return function_oids[which];
	extension = extension_oid();
	function = OidIsValid(extension) ? find_function(which, extension) : InvalidOid;
	/*
	 * A missing function may be added to the extension at any time, and no
	 * callback reports that, so its absence is not kept.
	 */
	if (before == invalidations && (OidIsValid(function) || !OidIsValid(extension)))
	{
		function_oids[which] = function;
		function_is_known[which] = true;
	}
	return function;
}

/*
 * Look up a function by its name or, if it was renamed, by its C symbol.
 */
static Oid
find_function(ExtensionFunction which, Oid extension)
{
	Oid schema = get_namespace_oid(function_signatures[which].schema, true);
	Oid function = InvalidOid;

	if (OidIsValid(schema))
		function =
			GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
							CStringGetDatum(function_signatures[which].name),
							PointerGetDatum(
								buildoidvector(function_signatures[which].argtypes,
											   function_signatures[which].nargs)),
							ObjectIdGetDatum(schema));
	if (OidIsValid(function) && is_extension_member(ProcedureRelationId, function))
		return function;
	return find_by_symbol(which, extension);
}

/*
 * Look for the function with a C symbol among the members of the extension.
 * Returns InvalidOid if there is none, as while the extension is created or
 * dropped.
 */
static Oid
find_by_symbol(ExtensionFunction which, Oid extension)
{
	CatalogScan scan =
		begin_dependents_scan(ExtensionRelationId, extension, ANY_COLUMN);
	Oid function = InvalidOid;
	HeapTuple tuple;

	while (!OidIsValid(function) && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend member = (Form_pg_depend) GETSTRUCT(tuple);

		if (member->deptype == DEPENDENCY_EXTENSION &&
			member->classid == ProcedureRelationId &&
			has_symbol(member->objid, which))
			function = member->objid;
	}
	end_catalog_scan(&scan);
	return function;
}

/*
 * Is that one of the extension's functions, by its C symbol?
 */
static bool
has_symbol(Oid function, ExtensionFunction which)
{
	const char *symbol = function_signatures[which].symbol != NULL
							 ? function_signatures[which].symbol
							 : function_signatures[which].name;
	HeapTuple proc = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool found = false;

	if (HeapTupleIsValid(proc))
	{
		bool isnull;
		Datum source = SysCacheGetAttr(PROCOID, proc, Anum_pg_proc_prosrc, &isnull);

		found = ((Form_pg_proc) GETSTRUCT(proc))->prolang == ClanguageId &&
				!isnull &&
				strcmp(TextDatumGetCString(source),
					   psprintf(EXTENSION_NAME "_%s", symbol)) == 0;
		ReleaseSysCache(proc);
	}
	return found;
}

/*
 * Return the OID of a function of the extension that a plan or a trigger needs.
 *
 * Raises 42883 if the function was removed from the extension.
 */
Oid
needed_function(ExtensionFunction which)
{
	Oid function = extension_function(which);
	StringInfoData signature;

	if (OidIsValid(function))
		return function;
	initStringInfo(&signature);
	appendStringInfo(&signature, "%s.%s(", function_signatures[which].schema,
					 function_signatures[which].name);
	for (int i = 0; i < function_signatures[which].nargs; i++)
		appendStringInfo(&signature, "%s%s", i > 0 ? ", " : "",
						 format_type_be(function_signatures[which].argtypes[i]));
	appendStringInfoChar(&signature, ')');
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
					errmsg("function %s is not a member of extension \"%s\"",
						   signature.data, EXTENSION_NAME),
					errhint("ALTER EXTENSION %s ADD FUNCTION %s;",
							EXTENSION_NAME, signature.data)));
	return InvalidOid; /* keep compiler quiet */
}

/*
 * Is this a function of the extension that was removed from it, by ALTER EXTENSION
 * ... DROP FUNCTION?  A trigger that calls it looks like one of ours, but is not.
 */
bool
is_removed_function(Oid function, ExtensionFunction which)
{
	return OidIsValid(extension_oid()) &&
		   !OidIsValid(extension_function(which)) && has_symbol(function, which);
}

/*
 * Return the OID of one of the extension's own tables or indexes.
 *
 * Raises 55000 if there is no relation of that name, or if it is not ours.
 */
Oid
extension_relation(const char *name)
{
	Oid schema = get_namespace_oid(INTERNAL_SCHEMA, true);
	Oid relid = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
	char kind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

	/* an index is not a member of the extension, but its table is */
	if (!OidIsValid(relid) ||
		(kind != RELKIND_INDEX && !is_extension_member(RelationRelationId, relid)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" is older than its library", EXTENSION_NAME),
				 errdetail("It has no relation %s.%s.", INTERNAL_SCHEMA, name),
				 errhint("ALTER EXTENSION %s UPDATE;", EXTENSION_NAME)));
	return relid;
}
