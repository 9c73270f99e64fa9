/*
 * tally.c
 *	  Counts rows that are restored, purged or erased, by their deletion and table.
 *
 * Invariant: the counts are recorded (ledger.c) in the subtransaction that changes the
 * rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "storage/sd_storage.h"

/*
 * The most hashes in one event.  As text, these are 21 bytes each: an array of all the rows
 * that a statement restores may be more than a field of a dump, or of a table, can have.
 */
#define MAX_HASHES 100000

/* The rows of one deletion in one relation */
typedef struct TallyKey
{
	TimestampTz stamp;
	Oid relid;
	uint32 padding; /* is hashed, too */
} TallyKey;

typedef struct TalliedRows
{
	TallyKey key; /* hash key */
	int64 rows;
	Datum *hashes; /* of the primary keys of those that tally_key() counted, or NULL */
	int nhashes;
	int nallocated;
} TalliedRows;

static int count_events(const TalliedRows *entry);
static void make_event(Event *event, const TalliedRows *entry, int part);
static TalliedRows *find_entry(HTAB *tally, Oid relid, TimestampTz stamp);
static int64 hash_key(Datum key);
static int compare_by_stamp(const void *a, const void *b);

/*
 * Make a tally without rows in the current memory context.
 */
HTAB *
make_tally(void)
{
	HASHCTL ctl = {.keysize = sizeof(TallyKey),
				   .entrysize = sizeof(TalliedRows),
				   .hcxt = CurrentMemoryContext};

	return hash_create("soft_delete tally", 64, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Count a row of a relation that had a stamp.
 */
void
tally_row(HTAB *tally, Oid relid, TimestampTz stamp)
{
	tally_rows(tally, relid, stamp, 1);
}

/*
 * Count rows of a relation that had a stamp.
 */
void
tally_rows(HTAB *tally, Oid relid, TimestampTz stamp, int64 rows)
{
	find_entry(tally, relid, stamp)->rows += rows;
}

/*
 * Count a row as tally_row() does, and note a hash of its primary key, if there is one.
 */
void
tally_key(HTAB *tally, Oid relid, TimestampTz stamp, TupleTableSlot *row)
{
	TalliedRows *entry = find_entry(tally, relid, stamp);
	Datum key = primary_key_text(relid, row);

	entry->rows++;
	if (key == (Datum) 0)
		return;
	entry->hashes = grow_if_full(CurrentMemoryContext, entry->hashes, entry->nhashes,
								 &entry->nallocated, sizeof(Datum));
	entry->hashes[entry->nhashes++] = Int64GetDatum(hash_key(key));
	pfree(DatumGetPointer(key));
}

/*
 * Return the entry for rows of a relation that had a stamp, which may be a new one.
 */
static TalliedRows *
find_entry(HTAB *tally, Oid relid, TimestampTz stamp)
{
	TallyKey key = {.stamp = stamp, .relid = relid};
	bool found;
	TalliedRows *entry = hash_search(tally, &key, HASH_ENTER, &found);

	if (!found)
		*entry = (TalliedRows){.key = key};
	return entry;
}

/*
 * Return the first eight bytes of what proofs of erasures have as the hash of a key:
 * SHA-256 of the output of a text[].
 */
static int64
hash_key(Datum key)
{
	char *output = OidOutputFunctionCall(F_ARRAY_OUT, key);
	text *input = cstring_to_text(output);
	bytea *hash =
		DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(input)));
	uint64 first;

	memcpy(&first, VARDATA_ANY(hash), sizeof(first));
	pfree(output);
	pfree(input);
	pfree(hash);
	return pg_ntoh64(first);
}

/*
 * Record what was counted as events of a kind, and destroy the tally.
 */
void
record_tally(HTAB *tally, const char *event)
{
	Event *events;
	HASH_SEQ_STATUS status;
	TalliedRows *entry;
	int n = 0;

	hash_seq_init(&status, tally);
	while ((entry = hash_seq_search(&status)) != NULL)
		n += count_events(entry);
	events = palloc(Max(n, 1) * sizeof(Event));
	n = 0;
	hash_seq_init(&status, tally);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		for (int part = 0; part < count_events(entry); part++)
			make_event(&events[n++], entry, part);
	}
	/* the index on stamps takes them faster in their order */
	qsort(events, n, sizeof(Event), compare_by_stamp);
	record_events(event, events, n, GetCurrentTimestamp());
	pfree(events);
	hash_destroy(tally);
}

/*
 * Return the number of events by which the rows of an entry are recorded.
 */
static int
count_events(const TalliedRows *entry)
{
	return Max(1, (entry->nhashes + MAX_HASHES - 1) / MAX_HASHES);
}

/*
 * Make one of the events by which the rows of an entry are recorded: the first one counts
 * the rows that the others do not.
 */
static void
make_event(Event *event, const TalliedRows *entry, int part)
{
	int first = part * MAX_HASHES;
	int nhashes = Min(entry->nhashes - first, MAX_HASHES);

	*event = (Event){.stamp = entry->key.stamp,
					 .table_name = pstrdup(recorded_name(entry->key.relid)),
					 .rows = part > 0 ? nhashes
									  : entry->rows - (entry->nhashes - nhashes)};
	if (entry->hashes == NULL)
		return;
	event->key_hashes =
		construct_array(entry->hashes + first, nhashes, INT8OID, sizeof(int64),
						FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	event->owner = owner_of(llast_oid(with_ancestors(entry->key.relid)));
}

/*
 * Compare the stamps of two events for qsort().
 */
static int
compare_by_stamp(const void *a, const void *b)
{
	TimestampTz one = ((const Event *) a)->stamp;
	TimestampTz other = ((const Event *) b)->stamp;

	return one < other ? -1 : one > other;
}
