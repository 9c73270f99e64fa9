/*
 * bulk.c
 *	  Lets COPY FROM write many rows at once to a table in place.
 *
 * COPY writes the rows one by one where a BEFORE INSERT row trigger may fire.  That of a
 * tag arms the unique indexes (claim.c).  So these are armed before the command, and the
 * description of the table's triggers says meanwhile that there is none.  COPY takes a
 * copy of that.  The indexes stay open, and so armed, until it ends.  It checks by itself
 * that no row is a tombstone (delete/copy.c).
 *
 * Invariant: the trigger is passed over only where it would find all indexes armed.  If
 * the description is read anew in between, the trigger fires.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/rel.h"

#include "keys/sd_keys.h"

/* A COPY FROM that passes over the trigger */
struct BulkCopy
{
	Relation rel;
	List *indexes; /* Relation: its indexes, which are armed */
};

static bool only_tag_fires(Relation rel);

/*
 * Prepare a COPY FROM.  Returns NULL if it must be run as it is.  The caller has locked
 * the table.
 */
BulkCopy *
begin_bulk_copy(CopyStmt *stmt)
{
	Relation rel = stmt->is_from && stmt->relation != NULL
					   ? table_openrv_extended(stmt->relation, RowExclusiveLock, true)
					   : NULL;
	BulkCopy *copy;
	List *indexes = NIL;
	ListCell *lc;

	if (rel == NULL)
		return NULL; /* COPY itself will raise the error */
	if (rel->rd_rel->relkind == RELKIND_RELATION && only_tag_fires(rel))
	{
		foreach (lc, RelationGetIndexList(rel))
			indexes =
				lappend(indexes, index_open(lfirst_oid(lc), RowExclusiveLock));
		if (arm_keys(rel))
		{
			copy = palloc(sizeof(BulkCopy));
			copy->rel = rel;
			copy->indexes = indexes;
			rel->trigdesc->trig_insert_before_row = false;
			return copy;
		}
	}
	foreach (lc, indexes)
		index_close(lfirst(lc), NoLock);
	table_close(rel, NoLock);
	return NULL;
}

/*
 * Is the trigger of the tag the only BEFORE INSERT row trigger of a table, and does it
 * fire?
 */
static bool
only_tag_fires(Relation rel)
{
	Oid function = extension_function(KEY_CLAIM);
	bool fires = false;

	if (!OidIsValid(function) || rel->trigdesc == NULL ||
		!rel->trigdesc->trig_insert_before_row || !has_tag(rel) ||
		SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		return false;
	for (int i = 0; i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (!TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								  TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_INSERT))
			continue;
		if (trigger->tgfoid != function ||
			(trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN &&
			 trigger->tgenabled != TRIGGER_FIRES_ALWAYS))
			return false;
		fires = true;
	}
	return fires;
}

/*
 * End a COPY FROM that begin_bulk_copy() has prepared.  After an error the server closes
 * the relations.
 */
void
end_bulk_copy(BulkCopy *copy, bool failed)
{
	ListCell *lc;

	if (copy->rel->trigdesc != NULL)
		copy->rel->trigdesc->trig_insert_before_row = true;
	if (failed)
		return;
	foreach (lc, copy->indexes)
		index_close(lfirst(lc), NoLock);
	table_close(copy->rel, NoLock);
	pfree(copy);
}
