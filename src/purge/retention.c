/*
 * retention.c
 *	  Makes a purge and a change of a table's retention wait for each other, and for
 *	  nothing else.
 *
 * Each row of soft_delete_internal.retention sets the retention of a table or of a
 * schema, here called the subject of the row.  Each subject has a lock tag of its
 * own.  Whoever writes the row takes that lock in ExclusiveLock mode; a trigger does
 * so, hence DML on the table itself is covered, too.  A purge takes ShareLock on
 * the subjects that the retention of its tables depends on (sql/purge.sql).
 *
 * Invariant: a batch of a purge obeys each change of retention that is committed
 * before the batch is.
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

/* The columns of soft_delete_internal.retention that name the subject */
enum RetentionColumn
{
	RETENTION_RELATION,
	RETENTION_SCHEMA
};

/* The kind of a subject; it is the objsubid of its lock tag */
typedef enum SubjectKind
{
	SUBJECT_TABLE,
	SUBJECT_SCHEMA
} SubjectKind;

PG_FUNCTION_INFO_V1(soft_delete_lock_retention);
PG_FUNCTION_INFO_V1(soft_delete_keep_retention);

static void lock_subject(HeapTuple tuple, TupleDesc tupdesc);
static bool share_subject(Oid subject, SubjectKind kind, bool waits);

/*
 * soft_delete_internal.lock_retention() returns trigger
 *
 * BEFORE INSERT OR UPDATE OR DELETE FOR EACH ROW trigger of table
 * soft_delete_internal.retention: waits for the batches of purges that depend on
 * the row, and makes later ones wait until the transaction ends.  Returns the row.
 *
 * Raises 39P01 if it is not called by such a trigger.
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
 * Lock the subject of a row of soft_delete_internal.retention.  A schema that does
 * not exist has no tables, so it needs no lock.
 */
static void
lock_subject(HeapTuple tuple, TupleDesc tupdesc)
{
	Oid retention = extension_relation("retention");
	bool isnull;
	Datum value = heap_getattr(tuple, RETENTION_RELATION + 1, tupdesc, &isnull);
	Oid schema = InvalidOid;

	if (!isnull)
		LockDatabaseObject(retention, DatumGetObjectId(value), SUBJECT_TABLE,
						   ExclusiveLock);
	value = heap_getattr(tuple, RETENTION_SCHEMA + 1, tupdesc, &isnull);
	if (!isnull)
		schema = get_namespace_oid(NameStr(*DatumGetName(value)), true);
	if (OidIsValid(schema))
		LockDatabaseObject(retention, schema, SUBJECT_SCHEMA, ExclusiveLock);
}

/*
 * soft_delete_internal.keep_retention(relation regclass, waits boolean) returns boolean
 *
 * Keeps the retention of a table and of its schema from being changed until the
 * transaction ends.  Waits for a transaction that is changing one of them if "waits"
 * is true, else returns false.
 */
Datum
soft_delete_keep_retention(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	bool waits = PG_GETARG_BOOL(1);

	PG_RETURN_BOOL(share_subject(relid, SUBJECT_TABLE, waits) &&
				   share_subject(get_rel_namespace(relid), SUBJECT_SCHEMA, waits));
}

/*
 * Keep the retention of a table or a schema from being changed until the transaction
 * ends.  Returns false if another transaction is changing it and "waits" is false.
 */
static bool
share_subject(Oid subject, SubjectKind kind, bool waits)
{
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, extension_relation("retention"),
					   subject, kind);
	return !OidIsValid(subject) ||
		   LockAcquire(&tag, ShareLock, false, !waits) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Keep all that the retention of a table depends on from being changed until the
 * transaction ends.  Waits for the transactions that are changing it.
 */
void
share_retention(Oid relid)
{
	call_internal("share_retention", 2, (Oid[]){REGCLASSOID, BOOLOID},
				  (Datum[]){ObjectIdGetDatum(relid), BoolGetDatum(true)});
}
