/*
 * extension.c
 *	  Refuses to drop the extension while tables are tagged: without it their deleted
 *	  rows would be live rows again.
 *
 * DROP EXTENSION, and DROP SCHEMA of one of its schemas, are refused before they run,
 * since otherwise the server would report the tags as dependents and propose CASCADE.
 * Commands such as DROP OWNED reach the extension by a dependency; they are refused
 * when they drop it.  The drop of the tag of a single table is handled elsewhere
 * (sql/ddl_events.sql, protect.c).
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

#include "ddl/sd_ddl.h"

PG_FUNCTION_INFO_V1(soft_delete_load);
PG_FUNCTION_INFO_V1(soft_delete_keep_extension);

static object_access_hook_type prev_object_access = NULL;

static void refuse_dropped_tag_function(ObjectAccessType access, Oid classId,
										Oid objectId, int subId, void *arg);
static bool drops_extension(const DropStmt *stmt);
static void refuse_while_tagged(void);

/*
 * Finds the number of tagged tables, and the names of up to ten of them, as of the
 * beginning of the command.  $1 is the function of the tag.
 */
static const char *const tagged_tables_query =
	"SELECT count(*), "
	"string_agg(name, ', ' ORDER BY name) FILTER (WHERE n OPERATOR(pg_catalog.<=) 10) "
	"FROM (SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, "
	"pg_catalog.row_number() OVER (ORDER BY n.nspname, c.relname) AS n "
	"FROM pg_catalog.pg_trigger t "
	"JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid "
	"JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace "
	"WHERE t.tgfoid OPERATOR(pg_catalog.=) ANY (ARRAY[$1, $2]) "
	"AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid OPERATOR(pg_catalog.=) c.oid)) AS tagged";

/*
 * Install the object access hook.
 */
void
init_extension(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = refuse_dropped_tag_function;
}

/*
 * soft_delete_internal.load() returns event_trigger
 *
 * Does nothing.  The login event trigger calls it in order to load the library.
 *
 * Raises 39P01 if it is not called by an event trigger.
 */
Datum
soft_delete_load(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" must be called by an event trigger",
							   "soft_delete_internal.load")));
	PG_RETURN_NULL();
}

/*
 * soft_delete_internal.keep_extension() returns event_trigger
 *
 * Refuses a command that names the extension, or one of its schemas, to drop it while
 * tables are tagged, and one that drops a table with held rows.  For other commands the call has loaded the library, and so has
 * installed the hook refuse_dropped_tag_function().
 *
 * Raises 2BP01 or 55006 if the command is refused, 39P01 if it is not called by an event
 * trigger.
 */
Datum
soft_delete_keep_extension(PG_FUNCTION_ARGS)
{
	Node *command;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" must be called by an event trigger",
							   "soft_delete_internal.keep_extension")));
	command = ((EventTriggerData *) fcinfo->context)->parsetree;
	if (IsA(command, DropStmt) && drops_extension((DropStmt *) command))
		refuse_while_tagged();
	if (IsA(command, DropStmt) || IsA(command, DropOwnedStmt))
		refuse_dropping_held(command);
	PG_RETURN_NULL();
}

/*
 * Does the command name the extension, or one of its schemas?
 */
static bool
drops_extension(const DropStmt *stmt)
{
	ListCell *lc;

	if (stmt->removeType != OBJECT_EXTENSION && stmt->removeType != OBJECT_SCHEMA)
		return false;
	foreach (lc, stmt->objects)
	{
		/* one schema has the name of the extension */
		if (strcmp(strVal(lfirst(lc)), EXTENSION_NAME) == 0 ||
			(stmt->removeType == OBJECT_SCHEMA &&
			 strcmp(strVal(lfirst(lc)), INTERNAL_SCHEMA) == 0))
			return true;
	}
	return false;
}

/*
 * Raise 0A000 for ALTER SCHEMA ... RENAME of a schema of the extension.  Its functions
 * call one another with their schema, so any role that may create schemas could
 * substitute its own functions.
 */
void
refuse_schema_rename(const RenameStmt *stmt)
{
	Oid schema;

	if (stmt->renameType != OBJECT_SCHEMA || !OidIsValid(extension_oid()))
		return;
	schema = get_namespace_oid(stmt->subname, true);
	if (OidIsValid(schema) && (strcmp(stmt->subname, EXTENSION_SCHEMA) == 0 ||
							   is_extension_member(NamespaceRelationId, schema)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rename schema \"%s\" of extension \"%s\"",
						stmt->subname, EXTENSION_NAME),
				 errdetail("Its functions name one another with their schema.")));
}

/*
 * Object access hook: refuse to drop the function of a tag trigger while tables are
 * tagged, whatever command drops it.
 */
static void
refuse_dropped_tag_function(ObjectAccessType access, Oid classId, Oid objectId,
							int subId, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, classId, objectId, subId, arg);

	/* the function is dropped before the extension that it is a member of */
	if (access == OAT_DROP && classId == ProcedureRelationId &&
		(objectId == extension_function(TAG_TRIGGER) ||
		 objectId == extension_function(SHARD_TRIGGER)))
		refuse_while_tagged();
}

/*
 * Raise 2BP01 if tables are tagged, or were when the running command began: the
 * catalogs are read with the snapshot of the command.
 */
static void
refuse_while_tagged(void)
{
	HeapTuple row;
	TupleDesc tupdesc;
	long count;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(tagged_tables_query, 2, (Oid[]){OIDOID, OIDOID},
							  (Datum[]){ObjectIdGetDatum(extension_function(TAG_TRIGGER)),
										ObjectIdGetDatum(
											extension_function(SHARD_TRIGGER))},
							  NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not look for tagged tables");
	row = SPI_tuptable->vals[0];
	tupdesc = SPI_tuptable->tupdesc;
	count = atol(SPI_getvalue(row, tupdesc, 1));

	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop extension \"%s\" while tables are tagged",
						EXTENSION_NAME),
				 errdetail("Without it the deleted rows of %s%s would be live rows again.",
						   SPI_getvalue(row, tupdesc, 2), count > 10 ? ", ..." : ""),
				 errhint("SELECT soft_delete.untag(relation, cascade => true) FROM soft_delete.tables;")));
	SPI_finish();
}
