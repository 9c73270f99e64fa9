/*
 * sd_references.h
 *	  What foreign keys of tagged tables do beside what the server does.
 */
#ifndef SD_REFERENCES_H
#define SD_REFERENCES_H

#include "cascade/sd_cascade.h"

/*
 * trigger.c: the triggers that foreign keys need
 */
extern void check_called_as_reference_trigger(FunctionCallInfo fcinfo,
											  ExtensionFunction function,
											  const char *name);

/*
 * on_update.c: deleted children follow a change of the key that they reference
 */
extern void refuse_to_strand(Relation parent, TupleTableSlot *old);

/*
 * set_null.c: references that a deletion overwrites and a restore gives back
 */
extern void relink_references(CascadeTable *table);
extern void collect_set_null_keys(CascadeTable *table, struct HTAB *keys);
extern void erase_set_null_references(struct HTAB *keys);

#endif /* SD_REFERENCES_H */
