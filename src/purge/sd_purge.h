/*
 * sd_purge.h
 *	  Destroys the tombstones that are due: older than the retention of their table.
 */
#ifndef SD_PURGE_H
#define SD_PURGE_H

#include "bin/sd_bin.h"

/*
 * retention.c: purges and changes of the retention wait for each other
 */
extern void share_retention(Oid relid);

/*
 * scan.c: finds the tombstones that are due, in the order in which they can go
 */
/* A table to purge, with its partitions and children, and the counts of its due rows */
typedef struct PurgeTable
{
	Oid relid;
	bool has_limit;	   /* else nothing is due */
	TimestampTz limit; /* tombstones with an older stamp are due */
	uint64 purged;
	uint64 held;
	uint64 referenced;	/* by a row that is not destroyed */
	uint64 locked;		/* by another transaction */
	TimestampTz oldest; /* stamp of the rows that were purged */
	TimestampTz newest;
	TimestampTz started; /* when the purge began: part of the key of its log row */
	bool is_logged;		 /* this purge has a log row */
} PurgeTable;

/* A storage of a table to purge, or of one of its partitions and children */
typedef struct PurgeLeaf
{
	Oid relid;
	StorageKind storage;
	Oid month;		 /* of its companion, or InvalidOid */
	bool is_dropped; /* that month is */
	PurgeTable *root;
	bool is_open; /* the current batch has set the next three members */
	Relation rel; /* NULL if it cannot be purged: see open_leaf() */
	TupleTableSlot *slot;
	bool may_be_held; /* there is a hold on the table, a row of it, or above */
	Oid file;		  /* the relation file that it was read from */
	TransactionId xmin; /* of the snapshot that it was first read with */
	TimestampTz limit;	/* the oldest one that it was read with */
	bool has_left;		/* not all of its due rows have been destroyed */
} PurgeLeaf;

/* A tombstone that is due */
typedef struct DueRow
{
	Tombstone tombstone;
	PurgeLeaf *leaf;
	bool is_kept; /* it is not destroyed: it must not be, or a row that is kept references it */
	bool is_kept_itself; /* it must not be destroyed, whatever references it */
	bool is_held;		 /* by the holds that the current batch has found */
	TransactionId xmin;	 /* of the version that was read */
	int edges; /* number of the first edge from it to a row that it references, or -1 */
} DueRow;

typedef struct Edge Edge;

/* The due rows of a group of tables, which are read in portions */
typedef struct PurgeScan
{
	MemoryContext context;
	bool is_dry_run; /* rows are counted, not destroyed */
	bool begins;	 /* no batch has run yet */
	int nroots;
	PurgeTable *roots;
	List *members; /* OIDs of the roots and of all their partitions and children */
	int nleaves;
	int nleaves_allocated;
	PurgeLeaf *leaves;
	bool is_referenced; /* a foreign key references a leaf */

	/* how far reading has come */
	int leaf_number;	   /* of the leaf that is being read */
	ScanPosition position; /* in that leaf */
	bool is_complete;	   /* all leaves have been read */

	/* the current portion: the rows that were read last, and how many are done */
	MemoryContext rows_context;
	DueRow *rows;
	int nrows;
	int nallocated;
	bool is_fresh;		/* they were read with the active snapshot */
	struct HTAB *tally; /* the rows that the current batch has destroyed */
	int *order; /* numbers of the rows, children first; NULL if any order will do */
	int next;			/* the first row that is not done, in that order */
	int first_circular; /* rows from here on reference one another in circles */
	Edge *edges;
	int nedges;
	int nedges_allocated;
	struct HTAB *by_place; /* DueRowEntry: the rows by place; NULL if not needed */
} PurgeScan;

extern PurgeScan *begin_purge_scan(int nroots, const Oid *roots);
extern void read_due_rows(PurgeScan *scan, int batch_size);
extern bool any_reference_to(PurgeScan *scan, PurgeLeaf *leaf);
extern DueRow *nth_row(PurgeScan *scan, int n);
extern Relation open_leaf(PurgeLeaf *leaf, Oid caller);
extern void keep_row(PurgeScan *scan, int number);

extern void note_dry_purge(DueRow *row);
extern void forget_dry_purges(void);

/*
 * month.c: makes months of companions, and drops those that are due
 */
extern void make_next_months(PurgeScan *scan);
extern void drop_due_months(PurgeScan *scan);

/*
 * purge.c: destroys due tombstones batch by batch
 */
extern void init_purge(void);
extern void report_purged(const char *table_name, uint64 purged, uint64 held,
						  uint64 referenced, uint64 locked);

/*
 * emptied.c: deletes what is kept of deletions that have no rows left
 */
extern void remember_emptied(Oid relid, TransactionId xmin, TimestampTz limit);
extern void forget_emptied_tables(void);

/*
 * worker.c: purges in background workers
 */
extern void init_worker(void);
extern bool next_purge_is_due(TimestampTz started);

#endif /* SD_PURGE_H */
