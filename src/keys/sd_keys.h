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
extern bool arm_keys(Relation rel);
extern bool claim_keys_of_row(FmgrInfo *flinfo, Relation rel, TupleTableSlot *slot);

/*
 * bulk.c: INSERT and COPY FROM write without a row trigger
 */
typedef struct BulkCopy BulkCopy;

extern void pass_over_insert_triggers(EState *estate, PlanState *planstate);
extern BulkCopy *begin_bulk_copy(CopyStmt *stmt);
extern void end_bulk_copy(BulkCopy *copy, bool failed);

/*
 * stand_in.c: constraints that stand in for unique indexes, under their names
 */
extern void infer_stand_in(Query *query, Relation relation, AttrNumber attnum);

/*
 * index_definition.c: indexes with or without the condition that hides tombstones
 */
extern Node *stored_tree(Relation index, AttrNumber attribute);

#endif /* SD_KEYS_H */
