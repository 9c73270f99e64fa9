/*
 * rekey.c
 *	  Gives a tombstone another unique key, under which it is to be restored.
 *
 * A row whose key a live row has taken can come back under another one: the UPDATE of
 * the bin that restores it sets the columns of the key, too.  The new version of the
 * tombstone is written before the row is restored, by the same statement.
 *
 * Invariant: only what no foreign key references is changed, and no row that is held.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_index.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "bin/sd_bin.h"
#include "keys/sd_keys.h"

static bool is_in_unique_key(Relation rel, AttrNumber attnum);
static bool is_referenced(Relation rel, AttrNumber attnum);
static void check_new_value(Relation rel, NewKey *key, int i);
static void refuse_held_key(Relation rel, const Tombstone *tombstone);

/*
 * May a restore change a column of tombstones of a relation?  It must be in a unique key,
 * which may be taken, and no foreign key may reference it.
 */
bool
may_change_key(Relation rel, AttrNumber attnum)
{
	return attnum > 0 &&
		   TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated == '\0' &&
		   is_in_unique_key(rel, attnum) && !is_referenced(rel, attnum);
}

/*
 * Is a column in the key of a unique index or of an exclusion constraint, or does an
 * expression there read it?
 */
static bool
is_in_unique_key(Relation rel, AttrNumber attnum)
{
	List *indexes = RelationGetIndexList(rel);
	bool found = false;
	ListCell *lc;

	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		Bitmapset *read = NULL;

		if (form->indisunique || form->indisexclusion)
		{
			for (int i = 0; i < form->indnkeyatts; i++)
				found = found || form->indkey.values[i] == attnum;
			pull_varattnos(stored_tree(index, Anum_pg_index_indexprs), 1, &read);
			found = found ||
					bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, read);
			bms_free(read);
		}
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return found;
}

/*
 * Does a foreign key reference a column?
 */
static bool
is_referenced(Relation rel, AttrNumber attnum)
{
	ListCell *lc;

	foreach (lc, foreign_keys_to(rel))
	{
		const ForeignKey *fk = lfirst(lc);

		for (int i = 0; i < fk->nkeys; i++)
		{
			if (fk->parent_attnums[i] == attnum)
				return true;
		}
	}
	return false;
}

/*
 * Give a tombstone another key, and set its place to that of the new version.  Returns
 * false if it is no longer a tombstone with that stamp.
 *
 * Raises 55006 if the row is held, 23502, 23514 and what the domains of the columns raise
 * for a value that they do not take, 23505 or 23P01 if another row has the key.
 */
bool
change_key(Relation rel, Tombstone *tombstone, NewKey *key)
{
	bool is_aside = tombstone->storage == ASIDE;
	TimestampTz stamp = tombstone->stamp;
	AttrNumber attnums[MaxHeapAttributeNumber];
	Relation stored_in;
	TupleTableSlot *old;
	ResultRelInfo *relinfo = makeNode(ResultRelInfo);
	VersionBuilder *builder;
	TupleTableSlot *new;
	List *recheck;

	lock_holds(list_make1_oid(RelationGetRelid(rel)), RowShareLock);
	if (!lock_tombstone(rel, tombstone, &stamp, NULL))
		return false;
	refuse_held_key(rel, tombstone);
	for (int i = 0; i < key->n; i++)
		check_new_value(rel, key, i);

	stored_in = is_aside ? open_place(rel, tombstone, RowExclusiveLock) : rel;
	for (int i = 0; i < key->n; i++)
		attnums[i] =
			get_attnum(RelationGetRelid(stored_in),
					   get_attname(RelationGetRelid(rel), key->attnums[i], false));
	old = table_slot_create(stored_in, NULL);
	builder = make_version_builder(stored_in, key->n, attnums, CurrentMemoryContext);
	InitResultRelInfo(relinfo, stored_in, 0, NULL, 0);
	ExecOpenIndices(relinfo, false);
	if (!is_aside)
		arm_keys(rel);
	if (!fetch_version_at(stored_in, &tombstone->tid, old))
		elog(ERROR, "failed to fetch a locked tombstone");
	new = write_version(builder, relinfo, &tombstone->tid, old, key->values,
						key->nulls, &recheck); /* the restore rechecks the key */
	if (stored_in->rd_rel->relispartition)
		(void) ExecPartitionCheck(relinfo, new, builder->estate, true);
	ExecCloseIndices(relinfo);
	ExecDropSingleTupleTableSlot(old);
	FreeExecutorState(builder->estate);
	if (is_aside)
		table_close(stored_in, NoLock);
	CommandCounterIncrement(); /* the restore sees the new version */
	return true;
}

/*
 * Raise 23502 for a null that a column does not take, and what its type raises.
 *
 * A bin has the base types of domains, and a view may lack the length of a type, so the
 * value is read again as one of the column.
 */
static void
check_new_value(Relation rel, NewKey *key, int i)
{
	Form_pg_attribute att =
		TupleDescAttr(RelationGetDescr(rel), key->attnums[i] - 1);
	Oid base = getBaseType(att->atttypid);

	if (att->attnotnull && key->nulls[i])
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
						NameStr(att->attname), RelationGetRelationName(rel)),
				 errtablecol(rel, att->attnum)));
	if (base != att->atttypid || key->typmods[i] != att->atttypmod)
	{
		Oid output, input, element;
		bool is_varlena;
		char *text;

		getTypeOutputInfo(base, &output, &is_varlena);
		getTypeInputInfo(att->atttypid, &input, &element);
		text = key->nulls[i] ? NULL : OidOutputFunctionCall(output, key->values[i]);
		key->values[i] = OidInputFunctionCall(input, text, element, att->atttypmod);
	}
}

/*
 * Raise 55006 if a tombstone is held, by whatever hold: it is known by its key.
 */
static void
refuse_held_key(Relation rel, const Tombstone *tombstone)
{
	Hold *hold = find_hold(rel, tombstone, false, SnapshotSelf);

	if (hold != NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("cannot change the key of a row of table \"%s\" that is held: %s",
							   RelationGetRelationName(rel), hold->text),
						errdetail("Nothing that is held is changed."),
						errhint("%s", lifting_statement(hold))));
}
