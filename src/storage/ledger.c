/*
 * ledger.c
 *	  Writes the ledger: one row per deletion, whose key makes stamps unique.
 *
 * The ledger is the table soft_delete_internal.ledger.  Users read it in the view
 * soft_delete.deletions.  Its rows are inserted by own_table.c only: no role needs
 * a privilege for that, and they are not decoded for logical replication.
 *
 * Invariant: no two deletions have the same stamp, whether they are committed or
 * not, and whatever their sessions' clocks say.  The primary key of the ledger
 * ensures that.  No session waits for another one: if a stamp is taken already, the
 * session takes another stamp.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "storage/sd_storage.h"

/* Columns of soft_delete_internal.ledger */
enum LedgerColumn
{
	LEDGER_DELETED_AT,
	LEDGER_XID,
	LEDGER_DELETED_BY,
	LEDGER_SESSION_ROLE,
	LEDGER_APPLICATION_NAME,
	LEDGER_ACTOR,
	LEDGER_REASON,
	LEDGER_ROLEID,
	N_LEDGER_COLUMNS
};

static char *actor = NULL;
static char *reason = NULL;

static void set_text(Datum *values, bool *nulls, enum LedgerColumn column,
					 const char *text);

/*
 * Define the settings that the ledger records.
 */
void
init_ledger(void)
{
	DefineCustomStringVariable("soft_delete.actor",
							   "Names the user on whose behalf the application deletes rows, for the ledger of deletions.",
							   "An empty string records nothing.", &actor, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("soft_delete.reason",
							   "States why the application deletes rows, for the ledger of deletions.",
							   "An empty string records nothing.", &reason, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
}

/*
 * Insert the deletion of the running statement into the ledger.  Returns false, and
 * inserts nothing, if another deletion has that stamp.
 */
bool
record_deletion(TimestampTz stamp)
{
	static RelationMemo memo; /* the ledger, for each statement needs its OID */
	Datum values[N_LEDGER_COLUMNS];
	bool nulls[N_LEDGER_COLUMNS] = {false};
	Relation ledger;
	bool is_free;

	if (!memo_holds(&memo, memo.relid) || !OidIsValid(memo.relid))
		memo_set(&memo, extension_relation("ledger"));
	ledger = table_open(memo.relid, RowExclusiveLock);

	values[LEDGER_DELETED_AT] = TimestampTzGetDatum(stamp);
	values[LEDGER_XID] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	set_text(values, nulls, LEDGER_DELETED_BY, GetUserNameFromId(GetUserId(), false));
	set_text(values, nulls, LEDGER_SESSION_ROLE,
			 GetUserNameFromId(GetSessionUserId(), false));
	set_text(values, nulls, LEDGER_APPLICATION_NAME, application_name);
	set_text(values, nulls, LEDGER_ACTOR, actor);
	set_text(values, nulls, LEDGER_REASON, reason);
	values[LEDGER_ROLEID] = ObjectIdGetDatum(GetUserId());
	is_free = append_row(ledger, values, nulls);
	table_close(ledger, NoLock);
	return is_free;
}

/*
 * Return the value of a text column of the ledger for a deletion.  Returns NULL if
 * it is null, or if the active snapshot does not see the deletion.
 */
text *
deletion_text(TimestampTz stamp, const char *column)
{
	Relation ledger = table_open(extension_relation("ledger"), AccessShareLock);
	TupleDesc desc = RelationGetDescr(ledger);
	AttrNumber attnum = get_attnum(RelationGetRelid(ledger), column);
	text *value = NULL;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	if (attnum <= 0 || TupleDescAttr(desc, attnum - 1)->atttypid != TEXTOID)
		elog(ERROR, "ledger has no column \"%s\" of type text", column);
	ScanKeyInit(&key, LEDGER_DELETED_AT + 1, BTEqualStrategyNumber,
				F_TIMESTAMPTZ_EQ, TimestampTzGetDatum(stamp));
	scan = systable_beginscan(ledger, extension_relation("ledger_pkey"), true,
							  GetActiveSnapshot(), 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool isnull;
		Datum datum = heap_getattr(tuple, attnum, desc, &isnull);

		value = isnull ? NULL : DatumGetTextPCopy(datum);
	}
	systable_endscan(scan);
	table_close(ledger, AccessShareLock);
	return value;
}

/*
 * Set a column to a text, or to null if the text is empty or NULL.
 */
static void
set_text(Datum *values, bool *nulls, enum LedgerColumn column, const char *text)
{
	nulls[column] = text == NULL || text[0] == '\0';
	values[column] = nulls[column] ? (Datum) 0 : CStringGetTextDatum(text);
}
