/*
 * sd_references.h
 *	  Foreign keys of tagged tables: what we add to the server's own triggers.
 */
#ifndef SD_REFERENCES_H
#define SD_REFERENCES_H

#include "catalog/objectaddress.h"

#include "cascade/sd_cascade.h"

/*
 * trigger.c: creates and drops the triggers that we add to foreign keys
 */
extern void check_called_as_key_trigger(FunctionCallInfo fcinfo,
										ExtensionFunction function,
										const char *name);
extern void make_dependent(const ObjectAddress *trigger, Oid relid, Oid constraint);
extern bool overwrites_references(const ForeignKey *fk);

/*
 * adopt_rows.c: rows that move aside, but for those that live ones reference
 */
extern void leave_referenced(CascadeTable *table, Relation rel);

/*
 * on_update.c: updates deleted children when the key that they reference changes
 */
extern void check_partition_move(Relation parent, TupleTableSlot *old);

/*
 * set_null.c: references that a deletion overwrites and a restore relinks
 */
extern void relink_references(CascadeTable *table);
extern void collect_reference_keys(CascadeTable *table, struct HTAB *keys);
extern void erase_overwritten_references(struct HTAB *keys);

#endif /* SD_REFERENCES_H */
