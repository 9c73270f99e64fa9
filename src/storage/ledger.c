/*
 * ledger.c
 *	  Writes the ledger: one row per deletion, whose key makes stamps unique, and
 *	  what becomes of its rows.
 *
 * The ledger is the table soft_delete_internal.ledger.  Users read it in the view
 * soft_delete.deletions.  A row of it also stands for the first row that is deleted:
 * it says from which table.  All that comes after is a row of
 * soft_delete_internal.events: how many more rows were deleted (counter.c), how many
 * have been restored, purged or erased.  Nothing of this is ever updated.
 *
 * The rows are inserted by own_table.c only: no role needs a privilege for that, and
 * they are not decoded for logical replication.
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
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
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
	LEDGER_TABLE_NAME,
	N_LEDGER_COLUMNS
};

/* How many events are written together */
#define EVENTS_AT_ONCE 1000

/* Columns of soft_delete_internal.events */
enum EventColumn
{
	EVENT_DELETED_AT,
	EVENT_EVENT,
	EVENT_TABLE_NAME,
	EVENT_ROWS,
	EVENT_HAPPENED_AT,
	EVENT_DONE_BY,
	EVENT_ACTOR,
	EVENT_REASON,
	EVENT_ROLEID,
	EVENT_KEY_HASHES,
	EVENT_OWNER,
	EVENT_OWNERID,
	N_EVENT_COLUMNS
};

/* The name by which the records know a relation, in a hash table */
typedef struct RecordedName
{
	Oid relid; /* hash key */
	/* schema and table, either of which quoting may make twice as long, and more */
	char name[4 * NAMEDATALEN + 6];
} RecordedName;

/* Names that were looked up, for a deletion asks for the same ones as that before */
static HTAB *names = NULL;
static uint64 names_at; /* value of relcache_changes when the first one was */

static char *reason = NULL;
static int keep_ledger = -1; /* in minutes; -1: for ever */

static void forget_names(Datum arg, int cacheid, uint32 hash);
static void set_text(Datum *value, bool *isnull, const char *text);

/*
 * Define the settings of the ledger.
 */
void
init_ledger(void)
{
	DefineCustomStringVariable("soft_delete.reason",
							   "States why the application deletes rows, for the ledger of deletions.",
							   "An empty string records nothing.", &reason, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("soft_delete.keep_ledger",
							"Sets how long the ledger keeps a deletion of which no row is left.",
							"A purge removes older ones. -1 keeps them for ever.",
							&keep_ledger, -1, -1, INT_MAX, PGC_SUSET,
							GUC_UNIT_MIN, NULL, NULL, NULL);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_names, (Datum) 0);
}

/*
 * Return the name by which the records know a relation: that of the table which is
 * tagged, of which it may be a partition or an inheritance child.  The name is valid
 * until the next call.
 */
const char *
recorded_name(Oid relid)
{
	RecordedName *entry;
	bool found;

	if (names != NULL && names_at != relcache_changes)
	{
		hash_destroy(names);
		names = NULL;
	}
	if (names == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(RecordedName)};

		names = hash_create("soft_delete recorded names", 64, &ctl,
							HASH_ELEM | HASH_BLOBS);
		names_at = relcache_changes;
	}
	entry = hash_search(names, &relid, HASH_FIND, NULL);
	if (entry == NULL)
	{
		const char *name = qualified_name(llast_oid(with_ancestors(relid)));

		entry = hash_search(names, &relid, HASH_ENTER, &found);
		strlcpy(entry->name, name, sizeof(entry->name));
	}
	return entry->name;
}

/*
 * Have names looked up again, since a schema may have another name (syscache callback).
 */
static void
forget_names(Datum arg, int cacheid, uint32 hash)
{
	names_at = UINT64_MAX;
}

/*
 * Insert the deletion of the running statement into the ledger, with the relation of
 * its first row.  Returns false, and inserts nothing, if another deletion has that
 * stamp.
 */
bool
record_deletion(TimestampTz stamp, Oid relid)
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
	set_text(&values[LEDGER_DELETED_BY], &nulls[LEDGER_DELETED_BY],
			 GetUserNameFromId(GetUserId(), false));
	set_text(&values[LEDGER_SESSION_ROLE], &nulls[LEDGER_SESSION_ROLE],
			 GetUserNameFromId(GetSessionUserId(), false));
	set_text(&values[LEDGER_APPLICATION_NAME], &nulls[LEDGER_APPLICATION_NAME],
			 application_name);
	set_text(&values[LEDGER_ACTOR], &nulls[LEDGER_ACTOR], current_actor());
	set_text(&values[LEDGER_REASON], &nulls[LEDGER_REASON], reason);
	values[LEDGER_ROLEID] = ObjectIdGetDatum(GetUserId());
	values[LEDGER_TABLE_NAME] = CStringGetTextDatum(recorded_name(relid));
	is_free = append_row(ledger, values, nulls);
	table_close(ledger, NoLock);
	return is_free;
}

/*
 * Return the time before which the ledger need not know a deletion of which no row is
 * left, which is -infinity if it keeps them for ever.
 */
TimestampTz
ledger_limit(void)
{
	if (keep_ledger < 0)
		return DT_NOBEGIN;
	return GetCurrentTimestamp() - keep_ledger * USECS_PER_MINUTE;
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
 * Record what has become of rows, by their deletion and table.  An event "deleted"
 * completes the row of the ledger, which says when and by whom; with other events that is
 * recorded here.
 */
void
record_events(const char *event, const Event *events, int n, TimestampTz happened_at)
{
	static RelationMemo memo; /* events, for each statement needs its OID */
	bool is_deletion = strcmp(event, EVENT_OF_DELETION) == 0;
	Datum values[N_EVENT_COLUMNS] = {0};
	bool nulls[N_EVENT_COLUMNS];
	HeapTuple *tuples = palloc(Min(n, EVENTS_AT_ONCE) * sizeof(HeapTuple));
	int ntuples = 0;
	Relation rel;

	if (!memo_holds(&memo, memo.relid) || !OidIsValid(memo.relid))
		memo_set(&memo, extension_relation("events"));
	rel = table_open(memo.relid, RowExclusiveLock);
	memset(nulls, is_deletion, sizeof(nulls));
	nulls[EVENT_DELETED_AT] = nulls[EVENT_EVENT] = false;
	nulls[EVENT_TABLE_NAME] = nulls[EVENT_ROWS] = false;
	values[EVENT_EVENT] = CStringGetTextDatum(event);
	if (!is_deletion)
	{
		values[EVENT_HAPPENED_AT] = TimestampTzGetDatum(happened_at);
		set_text(&values[EVENT_DONE_BY], &nulls[EVENT_DONE_BY],
				 GetUserNameFromId(acting_role(), false));
		set_text(&values[EVENT_ACTOR], &nulls[EVENT_ACTOR], current_actor());
		set_text(&values[EVENT_REASON], &nulls[EVENT_REASON], reason);
		values[EVENT_ROLEID] = ObjectIdGetDatum(acting_role());
	}
	for (int i = 0; i < n; i++)
	{
		values[EVENT_DELETED_AT] = TimestampTzGetDatum(events[i].stamp);
		values[EVENT_TABLE_NAME] = CStringGetTextDatum(events[i].table_name);
		values[EVENT_ROWS] = Int64GetDatum(events[i].rows);
		nulls[EVENT_KEY_HASHES] = events[i].key_hashes == NULL;
		values[EVENT_KEY_HASHES] = PointerGetDatum(events[i].key_hashes);
		nulls[EVENT_OWNERID] = !OidIsValid(events[i].owner);
		values[EVENT_OWNERID] = ObjectIdGetDatum(events[i].owner);
		set_text(&values[EVENT_OWNER], &nulls[EVENT_OWNER],
				 OidIsValid(events[i].owner) ? GetUserNameFromId(events[i].owner, true)
											 : NULL);
		if (n == 1)
			(void) append_row(rel, values, nulls);
		else
			tuples[ntuples++] =
				heap_form_tuple(RelationGetDescr(rel), values, nulls);
		pfree(DatumGetPointer(values[EVENT_TABLE_NAME]));
		if (ntuples > 0 && (ntuples == EVENTS_AT_ONCE || i == n - 1))
		{
			append_rows(rel, tuples, ntuples);
			while (ntuples > 0)
				heap_freetuple(tuples[--ntuples]);
		}
	}
	table_close(rel, NoLock);
	pfree(tuples);
}

/*
 * Set a value to a text, of which no more is recorded than recorded_text() has, or to null
 * if it is empty or NULL.
 */
static void
set_text(Datum *value, bool *isnull, const char *text)
{
	*isnull = text == NULL || text[0] == '\0';
	*value = *isnull ? (Datum) 0 : recorded_text(text);
}
