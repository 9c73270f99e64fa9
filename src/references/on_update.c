/*
 * on_update.c
 *	  Updates deleted children when the key that they reference changes.
 *
 * The server's own ON UPDATE actions and checks are about live rows.  The same
 * action is applied to deleted children: the reference is set to the new key, to
 * null or to the default.  NO ACTION and RESTRICT are treated as CASCADE here.
 * They must not refuse, because the key could change if the table had no deleted
 * rows; and the child still belongs to that parent when it is restored.
 *
 * The application's triggers do not fire: to the application the child does not
 * exist.
 *
 * Invariant: no change of a key leaves a tombstone that references no row.
 * trigger.c creates the trigger.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_coerce.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "keys/sd_keys.h"
#include "references/sd_references.h"

PG_FUNCTION_INFO_V1(soft_delete_follow_key);

static void update_children(Relation parent, TupleTableSlot *old,
							TupleTableSlot *new);
static bool key_is_complete(const ForeignKey *fk, TupleTableSlot *row);
static bool key_changes(const ForeignKey *fk, TupleTableSlot *old,
						TupleTableSlot *new);
static void update_children_by(const ForeignKey *fk, TupleTableSlot *old,
							   TupleTableSlot *new);
static bool stamp_of_newest_parent(const ForeignKey *fk, TupleTableSlot *old,
								   TimestampTz *stamp);
static void append_younger_than(StringInfo query, Oid relid,
								StorageKind storage, TimestampTz stamp);
static Cascade *deleted_children(const ForeignKey *fk, TupleTableSlot *old);
static uint64 select_children(const ForeignKey *fk, TupleTableSlot *old,
							  StorageKind storage, const TimestampTz *newest);
static bool has_other_parent(const ForeignKey *fk, TupleTableSlot *old);
static uint64 execute_for_key(const ForeignKey *fk, Oid relid,
							  const char *query, TupleTableSlot *row);
static void compute_reference(const ForeignKey *fk, char action, TupleTableSlot *new,
							  EState *estate, Datum *values, bool *nulls);
static bool references_no_row(const ForeignKey *fk, Datum *values, const bool *nulls);
static Expr *reference_expr(const ForeignKey *fk, char action, int i,
							Relation child, TupleTableSlot *new);
static void update_table(const ForeignKey *fk, CascadeTable *table,
						 StorageKind storage, Oid month, const Datum *values,
						 const bool *nulls);
static bool has_members(const CascadeTable *table, StorageKind storage, Oid month);
static bool is_in(const Tombstone *tombstone, StorageKind storage, Oid month);

/*
 * soft_delete_internal.on_update_key() returns trigger
 *
 * Its symbol is that of version 0.2.0, whose triggers call it until the extension is
 * updated.
 *
 * The key trigger of a foreign key on its referenced table: AFTER UPDATE, when
 * the key changes.
 *
 * Raises 39P01 where it is not called as the trigger that trigger.c creates, and
 * 23505, 23P01 or 23514 where the new version of a deleted child would violate a
 * constraint.
 */
Datum
soft_delete_follow_key(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	ForeignKey *fk;

	check_called_as_key_trigger(fcinfo, ON_UPDATE_TRIGGER,
								"soft_delete_internal.on_update_key");

	fk = load_foreign_key(trigdata->tg_trigger->tgconstraint);
	if (fk != NULL && is_tagged(fk->child) &&
		key_changes(fk, trigdata->tg_trigslot, trigdata->tg_newslot))
		update_children_by(fk, trigdata->tg_trigslot, trigdata->tg_newslot);
	return PointerGetDatum(NULL);
}

/*
 * Update the deleted children of a row that has been updated, by all foreign keys.
 */
static void
update_children(Relation parent, TupleTableSlot *old, TupleTableSlot *new)
{
	ListCell *lc;

	check_stack_depth();
	foreach (lc, foreign_keys_to(parent))
	{
		const ForeignKey *fk = lfirst(lc);

		if (is_tagged(fk->child) && key_changes(fk, old, new))
			update_children_by(fk, old, new);
	}
}

/*
 * Raise 0A000 if a row that an UPDATE moves to another partition has deleted
 * children.  They could not be updated: of such a row, only the server's own
 * triggers get both versions.  Its key always changes, because it has the
 * partition key.
 */
void
check_partition_move(Relation parent, TupleTableSlot *old)
{
	ListCell *lc;

	foreach (lc, foreign_keys_to(parent))
	{
		const ForeignKey *fk = lfirst(lc);

		if (!is_tagged(fk->child) || !key_is_complete(fk, old))
			continue;
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		if (deleted_children(fk, old)->tables != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot move a row of table \"%s\" to another partition, because deleted rows of table \"%s\" reference it",
							RelationGetRelationName(parent), get_rel_name(fk->child)),
					 errdetail("Key %s is referenced by foreign key \"%s\".",
							   key_description(fk->nkeys, old, fk->parent_attnums),
							   get_constraint_name(fk->top)),
					 errhint("SELECT * FROM %s WHERE %s;", bin_name(fk->child),
							 key_condition(fk->nkeys, fk->child, fk->child_attnums,
										   old, fk->parent_attnums))));
		SPI_finish();
	}
}

/*
 * Is no column of the referenced key null?  A row with a null there has no
 * children.
 */
static bool
key_is_complete(const ForeignKey *fk, TupleTableSlot *row)
{
	for (int i = 0; i < fk->nkeys; i++)
	{
		bool isnull;

		(void) slot_getattr(row, fk->parent_attnums[i], &isnull);
		if (isnull)
			return false;
	}
	return true;
}

/*
 * Does the referenced key differ between two versions of a row with children?
 */
static bool
key_changes(const ForeignKey *fk, TupleTableSlot *old, TupleTableSlot *new)
{
	return key_is_complete(fk, old) &&
		   !columns_equal(fk->nkeys, fk->parent_attnums, old, new);
}

/*
 * Update the deleted children of a row that has been updated, by one foreign key.
 * Defaults and casts are evaluated with the rights of the children's owner, as in
 * the server's actions.
 */
static void
update_children_by(const ForeignKey *fk, TupleTableSlot *old, TupleTableSlot *new)
{
	Cascade *children;
	SavedRole saved;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	children = deleted_children(fk, old);
	if (children->tables != NIL && !has_other_parent(fk, old))
	{
		EState *estate = CreateExecutorState();
		Datum values[INDEX_MAX_KEYS];
		bool nulls[INDEX_MAX_KEYS];
		ListCell *lc;

		become_owner_for_reference(fk->child, &saved);
		compute_reference(fk, fk->on_update, new, estate, values, nulls);
		if (fk->on_update == FKCONSTR_ACTION_SETDEFAULT &&
			references_no_row(fk, values, nulls))
			compute_reference(fk, FKCONSTR_ACTION_CASCADE, new, estate, values, nulls);
		foreach (lc, children->tables)
		{
			CascadeTable *table = lfirst(lc);

			for (StorageKind storage = 0; storage < N_STORAGES; storage++)
			{
				ListCell *month;

				foreach (month, tombstone_months(storage, table->relid))
				{
					if (has_members(table, storage, lfirst_oid(month)))
						update_table(fk, table, storage, lfirst_oid(month),
									 values, nulls);
				}
			}
		}
		restore_role(&saved);
		FreeExecutorState(estate);
	}
	SPI_finish();
}

/*
 * Lock the deleted children of a row by one foreign key, and return them.  SPI
 * must be connected.
 *
 * Deleted rows that had the same key are looked for only where there is a child:
 * a companion has no index on a key that is not the primary key.
 */
static Cascade *
deleted_children(const ForeignKey *fk, TupleTableSlot *old)
{
	Cascade *children = make_cascade(true, NULL, CurrentMemoryContext);

	for (StorageKind storage = 0; storage < N_STORAGES; storage++)
	{
		uint64 n;
		SPITupleTable *found;
		TimestampTz newest;

		if (!has_tombstones(storage, fk->child))
			continue;
		n = select_children(fk, old, storage, NULL);
		found = SPI_tuptable;
		if (n > 0 && stamp_of_newest_parent(fk, old, &newest))
		{
			n = select_children(fk, old, storage, &newest);
			found = SPI_tuptable;
		}
		for (uint64 i = 0; i < n; i++)
			(void) join_selected_row(children, found, i);
	}
	return children;
}

/*
 * Select the deleted children of a row in a storage, by one foreign key; with
 * "newest", those alone that are younger than that stamp.  Returns their number.
 */
static uint64
select_children(const ForeignKey *fk, TupleTableSlot *old, StorageKind storage,
				const TimestampTz *newest)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT c.tableoid, c.ctid FROM ");
	append_side(&query, fk->child, "c", sample_of(storage, false));
	appendStringInfoString(&query, " WHERE ");
	append_key_match(&query, fk, NULL, NULL, "c", fk->child_attnums);
	if (newest != NULL)
		append_younger_than(&query, fk->child, storage, *newest);
	return execute_for_key(fk, fk->child, query.data, old);
}

/*
 * Find the stamp of the newest row, in a companion, that had the same key.  Deleted
 * children that are not younger went with that row.  Returns false if there is none.
 */
static bool
stamp_of_newest_parent(const ForeignKey *fk, TupleTableSlot *old, TimestampTz *stamp)
{
	StringInfoData query;
	bool isnull;

	if (!is_tagged(fk->parent) || !has_tombstones(ASIDE, fk->parent))
		return false;
	initStringInfo(&query);
	appendStringInfo(&query, "SELECT pg_catalog.max(p.%s) FROM ",
					 quote_identifier(tombstone_name(fk->parent)));
	append_side(&query, fk->parent, "p", sample_of(ASIDE, false));
	appendStringInfoString(&query, " WHERE ");
	append_parent_key_match(&query, fk, "p", "$");
	(void) execute_for_key(fk, fk->parent, query.data, old);
	*stamp = DatumGetTimestampTz(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	return !isnull;
}

/*
 * Append the condition that a deleted row of the table, in that storage, is younger than
 * a stamp.
 */
static void
append_younger_than(StringInfo query, Oid relid, StorageKind storage, TimestampTz stamp)
{
	/* microseconds since 2000-01-01, whatever the session's time zone */
	appendStringInfo(query,
					 " AND %s OPERATOR(pg_catalog.>) ('2000-01-01 00:00+00'::pg_catalog.timestamptz OPERATOR(pg_catalog.+) '" INT64_FORMAT
					 " microseconds'::pg_catalog.interval)",
					 stamp_of("c", relid, storage), stamp);
}

/*
 * Does another row have the old key now?  With NO ACTION and RESTRICT, deleted
 * children reference that row then, as live ones do.  The other actions update
 * them whether there is such a row or not.
 */
static bool
has_other_parent(const ForeignKey *fk, TupleTableSlot *old)
{
	StringInfoData query;

	if (fk->on_update != FKCONSTR_ACTION_NOACTION &&
		fk->on_update != FKCONSTR_ACTION_RESTRICT)
		return false;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT FROM ");
	append_side(&query, fk->parent, "p", "all");
	appendStringInfoString(&query, " WHERE ");
	append_parent_key_match(&query, fk, "p", "$");
	return execute_for_key(fk, fk->parent, query.data, old) > 0;
}

/*
 * Execute a query with the rights of a relation's owner.  Its parameters are the
 * referenced key of a row.  Returns the number of rows.
 */
static uint64
execute_for_key(const ForeignKey *fk, Oid relid, const char *query,
				TupleTableSlot *row)
{
	Oid argtypes[INDEX_MAX_KEYS];
	Datum values[INDEX_MAX_KEYS];

	for (int i = 0; i < fk->nkeys; i++)
	{
		bool isnull;

		argtypes[i] = get_atttype(fk->parent, fk->parent_attnums[i]);
		values[i] = slot_getattr(row, fk->parent_attnums[i], &isnull);
	}
	return execute_as_owner(relid, query, fk->nkeys, argtypes, values, SPI_OK_SELECT);
}

/*
 * Compute the values of the children's key after an action, of which "new" is the
 * new version of the parent.  They live as long as the executor state.
 */
static void
compute_reference(const ForeignKey *fk, char action, TupleTableSlot *new,
				  EState *estate, Datum *values, bool *nulls)
{
	Relation child = table_open(fk->child, NoLock);

	for (int i = 0; i < fk->nkeys; i++)
	{
		Expr *expr = reference_expr(fk, action, i, child, new);

		nulls[i] = true;
		values[i] = (Datum) 0;
		if (expr != NULL)
			values[i] = ExecEvalExprSwitchContext(ExecPrepareExpr(expr, estate),
												  GetPerTupleExprContext(estate),
												  &nulls[i]);
	}
	table_close(child, NoLock);
}

/*
 * Do values of the children's key reference no row, neither a live nor a deleted
 * one, in any partition?  A null references nothing, and returns false.
 */
static bool
references_no_row(const ForeignKey *fk, Datum *values, const bool *nulls)
{
	const ForeignKey *declared = load_foreign_key(fk->top);
	Oid argtypes[INDEX_MAX_KEYS];
	StringInfoData query;

	for (int i = 0; i < fk->nkeys; i++)
	{
		if (nulls[i])
			return false;
		argtypes[i] = get_atttype(declared->child, declared->child_attnums[i]);
	}
	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT FROM ");
	append_side(&query, declared->parent, "p", "all");
	appendStringInfoString(&query, " WHERE ");
	append_key_match(&query, declared, "p", declared->parent_attnums, NULL, NULL);
	return execute_as_owner(declared->parent, query.data, declared->nkeys,
							argtypes, values, SPI_OK_SELECT) == 0;
}

/*
 * Return the expression for one column of the children's key after an action.
 * NULL stands for a null.
 */
static Expr *
reference_expr(const ForeignKey *fk, char action, int i, Relation child,
			   TupleTableSlot *new)
{
	Form_pg_attribute to =
		TupleDescAttr(RelationGetDescr(child), fk->child_attnums[i] - 1);
	Form_pg_attribute from =
		TupleDescAttr(new->tts_tupleDescriptor, fk->parent_attnums[i] - 1);
	Node *value;
	bool isnull;
	Datum datum;

	switch (action)
	{
		case FKCONSTR_ACTION_SETNULL:
			return NULL;

		case FKCONSTR_ACTION_SETDEFAULT:
			return (Expr *) build_column_default(child, fk->child_attnums[i]);

		default:
			datum = slot_getattr(new, fk->parent_attnums[i], &isnull);
			value = (Node *) makeConst(from->atttypid, from->atttypmod,
									   from->attcollation, from->attlen, datum,
									   isnull, from->attbyval);
			return (Expr *) coerce_to_target_type(NULL, value, from->atttypid,
												  to->atttypid, to->atttypmod,
												  COERCION_ASSIGNMENT,
												  COERCE_IMPLICIT_CAST, -1);
	}
}

/*
 * Is any member of a table in a storage, and in a month or in none?
 */
static bool
has_members(const CascadeTable *table, StorageKind storage, Oid month)
{
	for (int i = 0; i < table->nmembers; i++)
	{
		if (is_in(&table->members[i].tombstone, storage, month))
			return true;
	}
	return false;
}

/*
 * Is a tombstone in a storage, and in a month or in none?
 */
static bool
is_in(const Tombstone *tombstone, StorageKind storage, Oid month)
{
	return tombstone->storage == storage && tombstone->month == month;
}

/*
 * Set the key of the deleted children of one relation in a storage, of those in its
 * companion the ones of a month or of none, to new values, and update their own deleted
 * children in turn.  The companion has columns of the same names.
 */
static void
update_table(const ForeignKey *fk, CascadeTable *table, StorageKind storage,
			 Oid month, const Datum *values, const bool *nulls)
{
	Relation rel = table_open(table->relid, RowExclusiveLock);
	bool is_aside = storage == ASIDE;
	Tombstone place = {.storage = storage, .month = month};
	Relation stored_in = is_aside ? open_place(rel, &place, RowExclusiveLock) : rel;
	AttrNumber attnums[INDEX_MAX_KEYS];
	TupleTableSlot *stored = table_slot_create(stored_in, NULL);
	TupleTableSlot *old = is_aside ? table_slot_create(rel, NULL) : stored;
	TupleTableSlot *moved = is_aside ? table_slot_create(rel, NULL) : NULL;
	ResultRelInfo *relinfo = makeNode(ResultRelInfo);
	VersionBuilder *builder;
	bool any_held;

	for (int i = 0; i < fk->nkeys; i++)
		attnums[i] =
			get_attnum(RelationGetRelid(stored_in),
					   get_attname(fk->child, fk->child_attnums[i], false));
	builder =
		make_version_builder(stored_in, fk->nkeys, attnums, CurrentMemoryContext);
	InitResultRelInfo(relinfo, stored_in, 0, NULL, 0);
	ExecOpenIndices(relinfo, false);
	if (!is_aside)
		(void) arm_keys(rel);
	/* the rows are locked, so no hold can be placed on one of them now */
	any_held = has_holds(table->relid);

	for (int i = 0; i < table->nmembers; i++)
	{
		Tombstone *tombstone = &table->members[i].tombstone;
		TupleTableSlot *new;
		List *recheck;

		CHECK_FOR_INTERRUPTS();
		if (!is_in(tombstone, storage, month))
			continue;
		fetch_tombstone(rel, tombstone, old);
		if (is_aside && !fetch_version_at(stored_in, &tombstone->tid, stored))
			elog(ERROR, "failed to fetch a locked tombstone");
		new = write_version(builder, relinfo, &tombstone->tid, stored, values,
							nulls, &recheck);
		if (recheck != NIL)
			ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
							errmsg("could not update the reference of a deleted row of table \"%s\"",
								   RelationGetRelationName(rel)),
							errdetail("Key %s already exists.",
									  key_description(fk->nkeys, new, attnums))));
		if (stored_in->rd_rel->relispartition)
			(void) ExecPartitionCheck(relinfo, new, builder->estate, true);
		if (is_aside)
		{
			fetch_tombstone(rel, tombstone, moved);
			new = moved;
		}
		if (any_held)
			update_hold_key(rel, tombstone->stamp, old, new);
		update_children(rel, old, new);
	}

	ExecCloseIndices(relinfo);
	ExecDropSingleTupleTableSlot(stored);
	if (is_aside)
	{
		ExecDropSingleTupleTableSlot(old);
		ExecDropSingleTupleTableSlot(moved);
		table_close(stored_in, NoLock);
	}
	FreeExecutorState(builder->estate);
	table_close(rel, NoLock);
}
