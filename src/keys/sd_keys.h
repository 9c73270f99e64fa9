/*
 * sd_keys.h
 *	  Keys that tombstones keep, and that live rows claim.
 */
#ifndef SD_KEYS_H
#define SD_KEYS_H

#include "storage/sd_storage.h"

/*
 * claim.c: tombstones step aside for keys that are claimed
 */
extern void free_keys(Relation rel, TupleTableSlot *slot);
extern void arm_keys(Relation rel);

/*
 * stand_in.c: constraints whose name a unique index has
 */
extern void infer_stand_in(Query *query, Relation relation, AttrNumber attnum);

#endif /* SD_KEYS_H */
