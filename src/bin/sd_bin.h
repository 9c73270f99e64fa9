/*
 * sd_bin.h
 *	  Bins: the views that list tombstones, to restore and to purge them.
 */
#ifndef SD_BIN_H
#define SD_BIN_H

#include "references/sd_references.h"

/*
 * bin.c: the triggers of bins
 */
/*
 * The rows that a running query has collected from bins, or from bridged tables.  They
 * are allocated in the query's memory context, by which the triggers of one query find
 * them, and are forgotten when that is reset, after an error too.
 */
typedef struct BinQuery
{
	MemoryContext context;
	Cascade *restored; /* NULL if there are no rows, or no more: so are the others */
	Cascade *purged;
	bool is_restoring; /* rows have been restored, whose triggers fire or will */
	Cascade *held;	   /* the rows on which holds have been placed */
	List *flagged; /* FlaggedTable: what the application has done to bridged tables */
	struct BinQuery *next;
} BinQuery;

extern void init_bin(void);
extern BinQuery *open_bin_query(MemoryContext context);
extern BinQuery *find_bin_query(MemoryContext context);
extern void act_on_bin_query(BinQuery *query);

/*
 * restore.c: restores the tombstones of a cascade
 */
extern void restore_cascade(Cascade *cascade);

/*
 * erase.c: erases rows by their primary key
 */
/* A primary key that a caller has given */
typedef struct RowKey
{
	Relation rel;
	int n; /* number of columns */
	AttrNumber attnums[INDEX_MAX_KEYS];
	Oid types[INDEX_MAX_KEYS];
	Datum values[INDEX_MAX_KEYS];
} RowKey;

extern void read_key(RowKey *key, Relation rel, int n, const Datum *values,
					 const Oid *types, const bool *nulls);
extern void append_key_condition(StringInfo query, const RowKey *key);

/*
 * sharded_row.c: what concerns a row of a table that Citus has sharded
 */
extern bool has_sharded_bin(Oid relid);
extern int64 call_for_sharded(const char *name, Oid relid, int n, const Datum *values,
							  const Oid *types, const bool *nulls);

/*
 * rekey.c: tombstones that are restored under another key
 */
/* New values of columns of a tombstone */
typedef struct NewKey
{
	int n;
	AttrNumber *attnums; /* of the table */
	Datum *values;		 /* of the base types of domains */
	bool *nulls;
	int32 *typmods; /* of the values */
} NewKey;

extern bool may_change_key(Relation rel, AttrNumber attnum);
extern bool change_key(Relation rel, Tombstone *tombstone, NewKey *key);

/*
 * follow_hold.c: holds on the keys of live rows follow these
 */
extern void prepare_hold_on_key(Oid relid);
extern void check_held_move(Relation rel, TupleTableSlot *old);

#endif /* SD_BIN_H */
