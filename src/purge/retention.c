/*
 * retention.c
 *	  Lets a purge and a change of the retention of a table wait for each other, and
 *	  for nobody else.
 *
 * Each row of soft_delete_internal.retention is about a table or a schema.  Who
 * writes it locks an object of that table, whose OID is that of what it is about;
 * a trigger does that, so it holds for DML by hand too.  A purge locks the objects
 * of all that its table's retention depends on (sql/purge.sql).
 *
 * Invariant: a batch of a purge obeys what has been said before it is committed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "purge/sd_purge.h"

/* The columns of soft_delete_internal.retention */
enum
{
	RETENTION_RELATION = 1,
	RETENTION_SCHEMA
};

/* What is locked, as the subobject of a lock */
enum
{
	ABOUT_TABLE,
	ABOUT_SCHEMA
};

PG_FUNCTION_INFO_V1(soft_delete_lock_retention);
PG_FUNCTION_INFO_V1(soft_delete_keep_retention);

static void lock_subject(HeapTuple tuple, TupleDesc tupdesc);
static bool share_subject(Oid subject, uint16 kind, bool waits);

/*
 * soft_delete_internal.lock_retention() returns trigger
 *
 * BEFORE INSERT OR UPDATE OR DELETE trigger of soft_delete_internal.retention: waits
 * for the batches of purges that obey the row, and lets those that come wait.
 *
 * Raises 39P01 where it is no such trigger.
 */
Datum
soft_delete_lock_retention(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc tupdesc;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		RelationGetRelid(trigdata->tg_relation) != extension_relation("retention"))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by the trigger of table \"%s\"",
						"soft_delete_internal.lock_retention", "retention")));
	tupdesc = RelationGetDescr(trigdata->tg_relation);
	lock_subject(trigdata->tg_trigtuple, tupdesc);
	if (!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		return PointerGetDatum(trigdata->tg_trigtuple);
	lock_subject(trigdata->tg_newtuple, tupdesc);
	return PointerGetDatum(trigdata->tg_newtuple);
}

/*
 * Lock what a row is about.  A schema that is not there has no tables either.
 */
static void
lock_subject(HeapTuple tuple, TupleDesc tupdesc)
{
	Oid retention = extension_relation("retention");
	bool isnull;
	Datum value = heap_getattr(tuple, RETENTION_RELATION, tupdesc, &isnull);
	Oid schema = InvalidOid;

	if (!isnull)
		LockDatabaseObject(retention, DatumGetObjectId(value), ABOUT_TABLE,
						   ExclusiveLock);
	value = heap_getattr(tuple, RETENTION_SCHEMA, tupdesc, &isnull);
	if (!isnull)
		schema = get_namespace_oid(NameStr(*DatumGetName(value)), true);
	if (OidIsValid(schema))
		LockDatabaseObject(retention, schema, ABOUT_SCHEMA, ExclusiveLock);
}

/*
 * soft_delete_internal.keep_retention(relation regclass, waits boolean) returns boolean
 *
 * Keeps what is said about a table, and about its schema, as it is until the
 * transaction ends.  Returns false if somebody is changing it and this is not to
 * wait.
 */
Datum
soft_delete_keep_retention(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	bool waits = PG_GETARG_BOOL(1);

	PG_RETURN_BOOL(share_subject(relid, ABOUT_TABLE, waits) &&
				   share_subject(get_rel_namespace(relid), ABOUT_SCHEMA, waits));
}

/*
 * Keep what is said about a table or a schema as it is.  Returns false if that
 * takes waiting, and this is not to wait.
 */
static bool
share_subject(Oid subject, uint16 kind, bool waits)
{
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, extension_relation("retention"),
					   subject, kind);
	return !OidIsValid(subject) ||
		   LockAcquire(&tag, ShareLock, false, !waits) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Keep all that a table's retention depends on as it is until the transaction ends.
 */
void
share_retention(Oid relid)
{
	call_internal("share_retention", 2, (Oid[]){REGCLASSOID, BOOLOID},
				  (Datum[]){ObjectIdGetDatum(relid), BoolGetDatum(true)});
}
