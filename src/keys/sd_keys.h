/*
 * sd_keys.h
 *	  Unique keys of tombstones and live rows, and the definitions of indexes.
 */
#ifndef SD_KEYS_H
#define SD_KEYS_H

#include "storage/sd_storage.h"

/*
 * claim.c: tombstones step aside for live rows that claim their keys
 */
extern void free_keys(Relation rel, TupleTableSlot *slot);
extern void arm_keys(Relation rel);

/*
 * stand_in.c: constraints that stand in for unique indexes, under their names
 */
extern void infer_stand_in(Query *query, Relation relation, AttrNumber attnum);

#endif /* SD_KEYS_H */
