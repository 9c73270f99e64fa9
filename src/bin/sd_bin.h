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
extern void init_bin(void);

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
 * rekey.c: tombstones that are restored under another key
 */
/* New values of columns of a tombstone */
typedef struct NewKey
{
	int n;
	AttrNumber *attnums; /* of the table */
	Datum *values;
	bool *nulls;
} NewKey;

extern bool may_change_key(Relation rel, AttrNumber attnum);
extern bool change_key(Relation rel, Tombstone *tombstone, NewKey *key);

/*
 * follow_hold.c: holds on the keys of live rows follow these
 */
extern void prepare_hold_on_key(Oid relid);
extern void check_held_move(Relation rel, TupleTableSlot *old);

#endif /* SD_BIN_H */
