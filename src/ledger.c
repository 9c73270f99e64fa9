/*
 * ledger.c
 *	  Writes the ledger: one row per deletion, whose key makes stamps unique.
 *
 * The ledger is the table soft_delete.ledger, read through the view
 * soft_delete.deletions.  Its rows are written by C alone, with nobody's
 * rights, and not for logical decoding: they say what happened here.
 *
 * Invariant: no two deletions share a stamp, committed, running or of a
 * session that took its own in the same microsecond.  Nobody waits for that:
 * who finds a stamp taken takes another.
 */
#include "soft_delete.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

/* Columns of soft_delete.ledger */
enum LedgerColumn
{
	LEDGER_DELETED_AT,
	LEDGER_XID,
	LEDGER_DELETED_BY,
	LEDGER_SESSION_ROLE,
	LEDGER_APPLICATION_NAME,
	LEDGER_ACTOR,
	LEDGER_REASON,
	N_LEDGER_COLUMNS
};

/* A class of advisory locks that the advisory lock functions do not use */
#define STAMP_LOCK_CLASS 3

static char *actor = NULL;
static char *reason = NULL;

static bool is_taken(Relation ledger, TimestampTz stamp);
static void insert_ledger_row(Relation ledger, TimestampTz stamp);
static void set_text(Datum *values, bool *nulls, int column, const char *text);

/*
 * Define the settings that the ledger records.
 */
void
init_ledger(void)
{
	DefineCustomStringVariable("soft_delete.actor",
							   "Names whom the application acts for, as the ledger of deletions records it.",
							   "An empty string records nothing.", &actor, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("soft_delete.reason",
							   "Says why rows are deleted, as the ledger of deletions records it.",
							   "An empty string records nothing.", &reason, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
}

/*
 * Enter a deletion into the ledger.  Returns false, and enters nothing, if
 * another deletion has that stamp.
 *
 * Two sessions could look for the same stamp at the same time and both find it
 * free, so a lock on the stamp covers the look and the entry, after which the
 * entry itself is there to be found.
 */
bool
enter_deletion(TimestampTz stamp)
{
	Relation ledger;
	LOCKTAG tag;
	bool is_free;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (stamp >> 32),
						 (uint32) stamp, STAMP_LOCK_CLASS);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;

	ledger = table_open(extension_relation("ledger"), RowExclusiveLock);
	is_free = !is_taken(ledger, stamp);
	if (is_free)
		insert_ledger_row(ledger, stamp);
	table_close(ledger, NoLock);

	LockRelease(&tag, ExclusiveLock, false);
	return is_free;
}

/*
 * Return the OID of one of the extension's own tables.
 */
Oid
extension_relation(const char *name)
{
	Oid relid = get_relname_relid(name, get_namespace_oid(EXTENSION_SCHEMA, false));

	if (!OidIsValid(relid))
		elog(ERROR, "table \"%s.%s\" does not exist", EXTENSION_SCHEMA, name);
	return relid;
}

/*
 * Does a deletion have that stamp, one of a running transaction included?
 */
static bool
is_taken(Relation ledger, TimestampTz stamp)
{
	SnapshotData dirty;
	ScanKeyData key;
	SysScanDesc scan;
	bool taken;

	InitDirtySnapshot(dirty);
	ScanKeyInit(&key, LEDGER_DELETED_AT + 1, BTEqualStrategyNumber,
				F_TIMESTAMPTZ_EQ, TimestampTzGetDatum(stamp));
	scan = systable_beginscan(ledger, linitial_oid(RelationGetIndexList(ledger)),
							  true, &dirty, 1, &key);
	taken = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	return taken;
}

/*
 * Write the row of the running statement's deletion.
 */
static void
insert_ledger_row(Relation ledger, TimestampTz stamp)
{
	Datum values[N_LEDGER_COLUMNS];
	bool nulls[N_LEDGER_COLUMNS] = {false};
	NameData deleted_by, session_role;

	namestrcpy(&deleted_by, GetUserNameFromId(GetUserId(), false));
	namestrcpy(&session_role, GetUserNameFromId(GetSessionUserId(), false));

	values[LEDGER_DELETED_AT] = TimestampTzGetDatum(stamp);
	values[LEDGER_XID] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[LEDGER_DELETED_BY] = NameGetDatum(&deleted_by);
	values[LEDGER_SESSION_ROLE] = NameGetDatum(&session_role);
	set_text(values, nulls, LEDGER_APPLICATION_NAME, application_name);
	set_text(values, nulls, LEDGER_ACTOR, actor);
	set_text(values, nulls, LEDGER_REASON, reason);
	append_row(ledger, values, nulls);
}

/*
 * Set a column to a text, or to null if that is empty.
 */
static void
set_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL || text[0] == '\0';
	values[column] = nulls[column] ? (Datum) 0 : CStringGetTextDatum(text);
}

/*
 * Append a row to one of the extension's own tables and enter it into their
 * indexes, which are on plain columns.
 */
void
append_row(Relation rel, Datum *values, bool *nulls)
{
	HeapTuple tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;

	heap_insert(rel, tuple, GetCurrentCommandId(true), HEAP_INSERT_NO_LOGICAL, NULL);
	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), RowExclusiveLock);
		IndexInfo *info = BuildIndexInfo(index);
		Datum keys[INDEX_MAX_KEYS];
		bool key_nulls[INDEX_MAX_KEYS];

		for (int i = 0; i < info->ii_NumIndexAttrs; i++)
		{
			keys[i] = values[info->ii_IndexAttrNumbers[i] - 1];
			key_nulls[i] = nulls[info->ii_IndexAttrNumbers[i] - 1];
		}
		index_insert(index, keys, key_nulls, &tuple->t_self, rel,
					 info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
					 false, info);
		index_insert_cleanup(index, info);
		index_close(index, NoLock);
	}
	list_free(indexes);
	heap_freetuple(tuple);
}
