/*
 * on_update.c
 *	  Lets deleted children follow a change of the key that they reference.
 *
 * The server's own ON UPDATE actions and checks are about live rows.  A deleted
 * child follows by the same action: its reference becomes the new key, null or
 * the default.  Where the action is NO ACTION or RESTRICT it follows as by
 * CASCADE: a table without deleted rows would let the key change, so it must,
 * and the child still belongs to that parent when it comes back.
 *
 * The application's triggers do not fire, for its child is gone.
 *
 * Invariant: no change of a key leaves a tombstone that references nothing.
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

static void follow_row(Relation parent, TupleTableSlot *old, TupleTableSlot *new);
static bool key_is_whole(const ForeignKey *fk, TupleTableSlot *row);
static bool key_changes(const ForeignKey *fk, TupleTableSlot *old,
						TupleTableSlot *new);
static void follow_key(const ForeignKey *fk, TupleTableSlot *old,
					   TupleTableSlot *new);
static Cascade *deleted_children(const ForeignKey *fk, TupleTableSlot *old);
static bool key_is_still_there(const ForeignKey *fk, TupleTableSlot *old);
static uint64 execute_for_key(const ForeignKey *fk, Oid relid,
							  const char *query, TupleTableSlot *row);
static void compute_reference(const ForeignKey *fk, char action, TupleTableSlot *new,
							  EState *estate, Datum *values, bool *nulls);
static bool reference_dangles(const ForeignKey *fk, Datum *values, const bool *nulls);
static Expr *reference_expr(const ForeignKey *fk, char action, int i,
							Relation child, TupleTableSlot *new);
static void rewrite_children(const ForeignKey *fk, CascadeTable *table,
							 const Datum *values, const bool *nulls);

/*
 * soft_delete_internal.on_update_key() returns trigger
 *
 * The trigger of a foreign key on its referenced table: AFTER UPDATE of the key.
 *
 * Raises 39P01 where it is not called as the trigger of a foreign key, and 23505, 23P01 or 23514
 * where a deleted child cannot take the key over.
 */
Datum
soft_delete_follow_key(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	ForeignKey *fk;

	check_called_as_reference_trigger(fcinfo, ON_UPDATE_TRIGGER,
									  "soft_delete_internal.on_update_key");

	fk = load_foreign_key(trigdata->tg_trigger->tgconstraint);
	if (fk != NULL && is_tagged(fk->child) &&
		key_changes(fk, trigdata->tg_trigslot, trigdata->tg_newslot))
		follow_key(fk, trigdata->tg_trigslot, trigdata->tg_newslot);
	return PointerGetDatum(NULL);
}

/*
 * Let deleted children follow a row of any table, by all foreign keys.
 */
static void
follow_row(Relation parent, TupleTableSlot *old, TupleTableSlot *new)
{
	ListCell *lc;

	check_stack_depth();
	foreach (lc, foreign_keys_to(parent))
	{
		const ForeignKey *fk = lfirst(lc);

		if (is_tagged(fk->child) && key_changes(fk, old, new))
			follow_key(fk, old, new);
	}
}

/*
 * Raise 0A000 if a row that moves to another partition, which is always with
 * another key, would leave deleted children behind.
 *
 * The server lets its own triggers alone see both versions of such a row.
 */
void
refuse_to_strand(Relation parent, TupleTableSlot *old)
{
	ListCell *lc;

	foreach (lc, foreign_keys_to(parent))
	{
		const ForeignKey *fk = lfirst(lc);

		if (!is_tagged(fk->child) || !key_is_whole(fk, old))
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
					 errhint("Purge them first: DELETE FROM %s WHERE %s;",
							 bin_name(fk->child),
							 key_condition(fk->nkeys, fk->child, fk->child_attnums,
										   old, fk->parent_attnums))));
		SPI_finish();
	}
}

/*
 * Is no part of the key of a row null?  A row whose key has a null has no children.
 */
static bool
key_is_whole(const ForeignKey *fk, TupleTableSlot *row)
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
 * Do the versions of a parent differ in the key?
 */
static bool
key_changes(const ForeignKey *fk, TupleTableSlot *old, TupleTableSlot *new)
{
	return key_is_whole(fk, old) &&
		   !columns_equal(fk->nkeys, fk->parent_attnums, old, new);
}

/*
 * Let deleted children follow a row, by one foreign key.  What is computed for
 * them runs with the rights of their owner, as the actions of foreign keys do.
 */
static void
follow_key(const ForeignKey *fk, TupleTableSlot *old, TupleTableSlot *new)
{
	Cascade *children;
	SavedRole saved;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	children = deleted_children(fk, old);
	if (children->tables != NIL && !key_is_still_there(fk, old))
	{
		EState *estate = CreateExecutorState();
		Datum values[INDEX_MAX_KEYS];
		bool nulls[INDEX_MAX_KEYS];
		ListCell *lc;

		become_owner_for_reference(fk->child, &saved);
		compute_reference(fk, fk->on_update, new, estate, values, nulls);
		if (fk->on_update == FKCONSTR_ACTION_SETDEFAULT &&
			reference_dangles(fk, values, nulls))
			compute_reference(fk, FKCONSTR_ACTION_CASCADE, new, estate, values, nulls);
		foreach (lc, children->tables)
			rewrite_children(fk, lfirst(lc), values, nulls);
		restore_role(&saved);
		FreeExecutorState(estate);
	}
	SPI_finish();
}

/*
 * Lock and return the deleted children of a row.
 */
static Cascade *
deleted_children(const ForeignKey *fk, TupleTableSlot *old)
{
	Cascade *children = make_cascade(true, NULL, CurrentMemoryContext);
	StringInfoData query;
	uint64 n;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT c.tableoid, c.ctid FROM ");
	append_side(&query, fk->child, "c", "deleted");
	appendStringInfoString(&query, " WHERE ");
	append_key_match(&query, fk, NULL, NULL, "c", fk->child_attnums);

	n = execute_for_key(fk, fk->child, query.data, old);
	for (uint64 i = 0; i < n; i++)
		join_selected_row(children, SPI_tuptable, i);
	return children;
}

/*
 * Does another row have the old key now?  Only NO ACTION and RESTRICT care:
 * then the children reference that one, as live ones do.
 */
static bool
key_is_still_there(const ForeignKey *fk, TupleTableSlot *old)
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
 * Run a query that has the key of a parent as its parameters.
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
 * Compute what the children reference after an action.  Values live as long as
 * the executor state.
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
 * Is a reference to no row at all, live or deleted, in whatever partition?
 */
static bool
reference_dangles(const ForeignKey *fk, Datum *values, const bool *nulls)
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
 * Return what one column references after an action, or NULL if that is nothing.
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
 * Let the children in one relation reference something else, and their own
 * deleted children follow them.
 */
static void
rewrite_children(const ForeignKey *fk, CascadeTable *table, const Datum *values,
				 const bool *nulls)
{
	Relation rel = table_open(table->relid, RowExclusiveLock);
	AttrNumber attnums[INDEX_MAX_KEYS];
	TupleTableSlot *old = table_slot_create(rel, NULL);
	ResultRelInfo *relinfo = makeNode(ResultRelInfo);
	VersionBuilder *builder;
	bool any_held;

	for (int i = 0; i < fk->nkeys; i++)
		attnums[i] =
			get_attnum(table->relid,
					   get_attname(fk->child, fk->child_attnums[i], false));
	builder = make_version_builder(rel, fk->nkeys, attnums, CurrentMemoryContext);
	InitResultRelInfo(relinfo, rel, 0, NULL, 0);
	ExecOpenIndices(relinfo, false);
	arm_keys(rel);
	/* the rows are locked, so no hold comes meanwhile */
	any_held = has_holds(table->relid);

	for (int i = 0; i < table->nmembers; i++)
	{
		TupleTableSlot *new;
		List *recheck;

		CHECK_FOR_INTERRUPTS();
		fetch_tombstone(rel, &table->members[i].tombstone, old);
		new = write_version(builder, relinfo, &table->members[i].tombstone.tid,
							old, values, nulls, &recheck);
		if (recheck != NIL)
			ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
							errmsg("a deleted row of table \"%s\" cannot follow the key that it references",
								   RelationGetRelationName(rel)),
							errdetail("Key %s already exists.",
									  key_description(fk->nkeys, new, attnums))));
		if (rel->rd_rel->relispartition)
			(void) ExecPartitionCheck(relinfo, new, builder->estate, true);
		if (any_held)
			update_hold_key(rel, table->members[i].tombstone.stamp, old, new);
		follow_row(rel, old, new);
	}

	ExecCloseIndices(relinfo);
	ExecDropSingleTupleTableSlot(old);
	FreeExecutorState(builder->estate);
	table_close(rel, NoLock);
}
