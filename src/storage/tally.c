/*
 * tally.c
 *	  Counts rows that are restored, purged or erased, by their deletion and table.
 *
 * Invariant: the counts are recorded (ledger.c) in the subtransaction that changes the
 * rows.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "storage/sd_storage.h"

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
} TalliedRows;

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
	TallyKey key = {.stamp = stamp, .relid = relid};
	bool found;
	TalliedRows *entry = hash_search(tally, &key, HASH_ENTER, &found);

	entry->rows = found ? entry->rows + 1 : 1;
}

/*
 * Record what was counted as events of a kind, and destroy the tally.
 */
void
record_tally(HTAB *tally, const char *event)
{
	HASH_SEQ_STATUS status;
	TalliedRows *entry;
	TimestampTz now = GetCurrentTimestamp();

	hash_seq_init(&status, tally);
	while ((entry = hash_seq_search(&status)) != NULL)
		record_event(entry->key.stamp, event, recorded_name(entry->key.relid),
					 entry->rows, now);
	hash_destroy(tally);
}
