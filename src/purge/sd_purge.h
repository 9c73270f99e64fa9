/*
 * sd_purge.h
 *	  Tombstones go when their time has come.
 */
#ifndef SD_PURGE_H
#define SD_PURGE_H

#include "bin/sd_bin.h"

/*
 * retention.c: who waits for whom about how long deleted rows are kept
 */
extern void share_retention(Oid relid);

/*
 * scan.c: tombstones whose time has come, in the order in which they can go
 */
/* A table with its partitions and children, and what has become of its due rows */
typedef struct PurgeTable
{
	Oid relid;
	bool has_limit; /* else all stays */
	TimestampTz limit;
	uint64 purged;
	uint64 held;
	uint64 referenced;
	uint64 locked;
	TimestampTz oldest; /* of those purged */
	TimestampTz newest;
	TimestampTz started;
	bool is_logged;
} PurgeTable;

/* A table that holds rows */
typedef struct PurgeLeaf
{
	Oid relid;
	PurgeTable *root;
	bool is_open; /* then: */
	Relation rel; /* NULL if there is nothing to do */
	TupleTableSlot *slot;
	bool has_holds;		   /* on it, or on something in it */
	Oid files[N_STORAGES]; /* that it was read from */
	TransactionId xmin;	   /* of the snapshot that it was first read with */
	TimestampTz limit;	   /* the least one that it was read with */
	bool has_left;		   /* a due row of it has not been destroyed */
} PurgeLeaf;

typedef struct DueRow
{
	Tombstone tombstone;
	PurgeLeaf *leaf;
	bool stays;			/* something that stays references it */
	bool is_refused;	/* it stays of itself */
	TransactionId xmin; /* who wrote the version at that place */
	int edges; /* the first of those that say what it references, or -1 */
} DueRow;

typedef struct Edge Edge;

typedef struct PurgeScan
{
	MemoryContext context;
	bool is_dry; /* nothing is destroyed, but imagined to be */
	int nroots;
	PurgeTable *roots;
	List *members; /* their OIDs, and those of all partitions and children */
	int nleaves;
	PurgeLeaf *leaves;
	bool is_referenced; /* by foreign keys */

	/* how far reading has come */
	int reading;		   /* the leaf that is being read */
	ScanPosition position; /* there */
	bool is_complete;	   /* there is no more to read */

	/* the rows that have been read, and how far they are done */
	MemoryContext rows_context;
	DueRow *rows;
	int nrows;
	int nallocated;
	bool is_fresh; /* they are as the active snapshot has them */
	int *order;	   /* NULL: as they are */
	int next;
	int first_circular; /* from here on they can only go all at once */
	Edge *edges;
	int nedges;
	int nedges_allocated;
	struct HTAB *known; /* the rows by place, where they are asked for */
} PurgeScan;

extern PurgeScan *begin_purge_scan(int nroots, const Oid *roots);
extern void read_on(PurgeScan *scan, int batch_size);
extern DueRow *nth_row(PurgeScan *scan, int n);
extern Relation open_leaf(PurgeLeaf *leaf, Oid caller);
extern void keep_row(PurgeScan *scan, int number);

extern void imagine_gone(DueRow *row);
extern void forget_imagined(void);

/*
 * purge.c: destroys them, batch by batch
 */
extern void init_purge(void);

/*
 * emptied.c: the ledger forgets deletions that have no rows left
 */
extern void remember_emptied(Oid relid, TransactionId xmin, TimestampTz limit);
extern void forget_emptied_tables(void);

/*
 * worker.c: a background worker purges
 */
extern void init_worker(void);

#endif /* SD_PURGE_H */
