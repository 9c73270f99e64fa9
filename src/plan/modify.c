/*
 * modify.c
 *	  Adds clauses and checks to statements that write to tagged tables, before they
 *	  are planned.
 *
 * An INSERT, UPDATE or MERGE gets:
 * - in ON CONFLICT, the predicate of the unique indexes on live rows, so that these
 *   are inferred as the unique constraint was, by columns or by its name;
 * - a check of the new row that refuses tombstones, for only the extension may set
 *   the tombstone column.  It is a WithCheckOption such as those of row-level
 *   security, and evaluated after BEFORE triggers.  A BEFORE UPDATE trigger would
 *   lock every row first, which costs 10 to 25 % of the rate of single-row updates.
 *   The check is left out if neither the statement nor a trigger can set the
 *   column;
 * - a check of the same kind that displaces tombstones (keys/claim.c), if the
 *   statement may change a key that tombstones have;
 * - in a maintenance session, and where it reads tombstones of a bridged table
 *   (answer.c), a check that refuses changes of held rows.
 *
 * Invariant: no statement that was planned by plan_statement() makes a tombstone of
 * a row, except in a maintenance session.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "plan/sd_plan.h"

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static planner_hook_type prev_planner_hook = NULL;

/* Number of planner runs that run, one within the other, and began in plan_statement() */
static int depth = 0;

/* Was the library loaded while a statement was planned or executed? */
static bool is_late = false;

/* The value of row_security that cached plans were made for */
static bool planned_row_security = true;

static void start_executor(QueryDesc *queryDesc, int eflags);
static void note_targets(const PlannedStmt *stmt);
static void check_late_upserts(PlannedStmt *stmt);
static PlannedStmt *plan_statement(PLANNER_PARAMS);
static void check_late_upsert(PlannedStmt *stmt, Plan *plan);
static bool calls_admits_tombstone(Node *node, void *context);
static void prepare_write(Query *query);
static void add_checks(Query *query, RangeTblEntry *rte, Relation relation,
					   AttrNumber attnum);
static void refuse_tagged_children(Relation parent);
static void pass_unconverted_rows(Plan *plan);
static void add_arbiter_predicate(Query *query, NullTest *is_live);
static bool reads_all_rows(Query *query, RangeTblEntry *rte);
static void add_tombstone_check(Query *query, RangeTblEntry *rte,
								Relation relation, Bitmapset *updated,
								NullTest *is_live, bool reads_all);
static bool may_insert_tombstone(Query *query, Relation relation, AttrNumber attnum);
static bool may_update_tombstone(Query *query, Relation relation,
								 Bitmapset *updated, AttrNumber attnum);
static bool has_other_insert_trigger(Relation relation);
static void add_key_claim(Query *query, RangeTblEntry *rte);
static void add_hold_check(Query *query, RangeTblEntry *rte, NullTest *is_live);
static Expr *call_for_row(Query *query, ExtensionFunction which, Var *row);
static void add_check(Query *query, RangeTblEntry *rte, WCOKind kind, Node *qual);
static bool may_change_kept_key(Relation relation, Bitmapset *updated,
								AttrNumber attnum);
static Bitmapset *updated_attributes(Query *query);
static Bitmapset *add_target_attributes(Bitmapset *attributes, List *targets);
static bool index_reads_any(Relation index, Bitmapset *attributes);

/*
 * Install the planner and executor hooks.
 */
void
init_modify(void)
{
	prev_planner_hook = planner_hook;
	planner_hook = plan_statement;
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	is_late = ActiveSnapshotSet(); /* a session that begins has none */
}

/*
 * Discard all cached plans if row_security has another value than when they were made: they
 * depend on it, and the plan cache does not compare it.
 */
void
follow_row_security(void)
{
	if (row_security == planned_row_security)
		return;
	planned_row_security = row_security;
	ResetPlanCache();
}

/*
 * Check plans that were made before the library was loaded, and have later ones made again
 * if a function has set row_security.  INSERTs whose rows are checked by their plan do
 * without the trigger (ExecutorStart hook).
 */
static void
start_executor(QueryDesc *queryDesc, int eflags)
{
	PlannedStmt *stmt = queryDesc->plannedstmt;

	follow_row_security();
	check_late_upserts(stmt);
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		check_snapshot_of_statement(stmt, queryDesc->snapshot);
	note_targets(stmt);
	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
	if (!is_late && (stmt->commandType == CMD_INSERT || stmt->hasModifyingCTE) &&
		(eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		pass_over_insert_triggers(queryDesc->estate, queryDesc->planstate);
}

/*
 * Note which tables a statement writes to: those that it names, and not their partitions.
 */
static void
note_targets(const PlannedStmt *stmt)
{
	ListCell *lc;

	if (stmt->commandType == CMD_SELECT && !stmt->hasModifyingCTE)
		return;
	foreach (lc, stmt->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION &&
			rte->rellockmode == RowExclusiveLock && is_checked_range(rte))
			note_written(rte->relid);
	}
}

/*
 * Raise 55000 if a plan that was made without plan_statement() has an INSERT ... ON
 * CONFLICT DO UPDATE that may make a tombstone.  The planner does not call
 * add_filter() for a relation that is only inserted into.
 */
static void
check_late_upserts(PlannedStmt *stmt)
{
	ListCell *lc;

	if (!is_late || (stmt->commandType == CMD_SELECT && !stmt->hasModifyingCTE))
		return;
	check_late_upsert(stmt, stmt->planTree);
	foreach (lc, stmt->subplans)
		check_late_upsert(stmt, lfirst(lc));
}

/*
 * Raise 55000 if the top node of a plan is such an INSERT.
 */
static void
check_late_upsert(PlannedStmt *stmt, Plan *plan)
{
	ModifyTable *modify = (ModifyTable *) plan;
	Relation relation;
	AttrNumber attnum;
	bool is_safe;

	if (plan == NULL || !IsA(plan, ModifyTable) ||
		modify->onConflictAction != ONCONFLICT_UPDATE)
		return;
	relation =
		table_open(rt_fetch(modify->nominalRelation, stmt->rtable)->relid, NoLock);
	attnum = tombstone_attribute(relation);
	is_safe = attnum == InvalidAttrNumber ||
			  calls_admits_tombstone((Node *) modify->withCheckOptionLists, NULL) ||
			  !(relation->rd_rel->relhassubclass ||
				list_member_int(modify->onConflictCols, attnum) ||
				relation->trigdesc->trig_update_before_row);
	if (!is_safe)
		refuse_late_statement(relation, "change rows");
	table_close(relation, NoLock);
}

/*
 * Does an expression, or a check, call admits_tombstone() (tree walker)?
 */
static bool
calls_admits_tombstone(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) &&
		((FuncExpr *) node)->funcid == extension_function(ADMITS_TOMBSTONE))
		return true;
	return expression_tree_walker(node, calls_admits_tombstone, context);
}

/*
 * Raise 55000: the statement does something with a tagged table for which it would have
 * to be changed by plan_statement(), and was not.  "what" is what it does.
 */
void
refuse_late_statement(Relation relation, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("library \"%s\" was loaded too late to %s of table \"%s\"",
					EXTENSION_NAME, what, RelationGetRelationName(relation)),
			 errdetail("The session has loaded it while it planned this statement, which can be run again. With shared_preload_libraries = '%s' every session loads the library in time.",
					   EXTENSION_NAME)));
}

/*
 * Did the planner run that runs begin in plan_statement()?  The one in which the
 * library was loaded did not, nor does the server call the planner hook for
 * CLUSTER.
 */
bool
is_prepared_by_hook(void)
{
	return depth > 0;
}

/*
 * Add what this file adds to the queries of a statement, also to those in its WITH
 * list, and plan it (planner hook).
 */
static PlannedStmt *
plan_statement(PLANNER_PARAMS)
{
	PlannedStmt *result;
	List *row_types = NIL;
	bool depends_on_role = false;

	follow_row_security();
	forget_searched_queries();

	if (OidIsValid(extension_oid()))
	{
		exclude_tombstone_columns(parse, &row_types);
		depends_on_role = answer_by_bridges(parse, boundParams);
	}
	if (parse->commandType != CMD_SELECT || parse->hasModifyingCTE)
	{
		ListCell *lc;

		prepare_write(parse);
		foreach (lc, parse->cteList)
			prepare_write(castNode(Query, lfirst_node(CommonTableExpr, lc)->ctequery));
	}

	depth++;
	PG_TRY();
	{
		if (prev_planner_hook)
			result = prev_planner_hook(PLANNER_ARGS);
		else
			result = standard_planner(PLANNER_ARGS);
	}
	PG_FINALLY();
	{
		depth--;
		/* another statement may get the memory of this one */
		forget_searched_queries();
	}
	PG_END_TRY();

	/* the plan is invalid when such a relation changes, or is tagged */
	result->relationOids = list_concat_unique_oid(result->relationOids, row_types);
	if (depends_on_role)
		depend_on_role(result);
	if (parse->commandType != CMD_SELECT || parse->hasModifyingCTE)
	{
		ListCell *lc;

		pass_unconverted_rows(result->planTree);
		foreach (lc, result->subplans)
			pass_unconverted_rows(lfirst(lc));
	}
	return result;
}

/*
 * Change the calls of claims_key() in a plan so that they get the rows of
 * inheritance children as they are.  The planner converts them to rows of the
 * parent, without the columns that only a child has.
 */
static void
pass_unconverted_rows(Plan *plan)
{
	ListCell *lc;

	if (plan == NULL || !IsA(plan, ModifyTable))
		return;
	foreach (lc, ((ModifyTable *) plan)->withCheckOptionLists)
	{
		ListCell *lc2;

		foreach (lc2, (List *) lfirst(lc))
		{
			Node *qual = lfirst_node(WithCheckOption, lc2)->qual;
			FuncExpr *claim =
				qual && IsA(qual, List) && IsA(linitial((List *) qual), FuncExpr)
					? linitial((List *) qual)
					: NULL;
			ListCell *row;

			if (claim == NULL || claim->funcid != extension_function(CLAIMS_KEY))
				continue;
			row = list_second_cell(claim->args);
			while (IsA(lfirst(row), ConvertRowtypeExpr))
				lfirst(row) = ((ConvertRowtypeExpr *) lfirst(row))->arg;
		}
	}
}

/*
 * Add what this file adds to one query, if it inserts or updates rows of a tagged
 * table.
 */
static void
prepare_write(Query *query)
{
	RangeTblEntry *rte;
	Relation relation;
	AttrNumber attnum;

	if ((query->commandType != CMD_INSERT && query->commandType != CMD_UPDATE &&
		 query->commandType != CMD_MERGE) ||
		query->resultRelation == 0)
		return;

	rte = rt_fetch(query->resultRelation, query->rtable);
	if (rte->rtekind != RTE_RELATION || (rte->relkind != RELKIND_RELATION &&
										 rte->relkind != RELKIND_PARTITIONED_TABLE))
		return;

	relation = table_open(rte->relid, NoLock);
	attnum = tombstone_attribute(relation);
	if (attnum != InvalidAttrNumber)
		add_checks(query, rte, relation, attnum);
	else if (!row_security && relation->rd_rel->relhassubclass &&
			 query->commandType != CMD_INSERT)
		refuse_tagged_children(relation);
	table_close(relation, NoLock);
}

/*
 * Add what this file adds to a query that writes to a tagged table, whose tombstone
 * column is "attnum".
 */
static void
add_checks(Query *query, RangeTblEntry *rte, Relation relation, AttrNumber attnum)
{
	Bitmapset *updated = updated_attributes(query);
	Oid type = TupleDescAttr(RelationGetDescr(relation), attnum - 1)->atttypid;
	NullTest *is_live = make_live_test(
		makeVar(query->resultRelation, attnum, type, -1, InvalidOid, 0));
	bool reads_all = reads_all_rows(query, rte);

	if (query->onConflict != NULL && OidIsValid(query->onConflict->constraint))
		infer_stand_in(query, relation, attnum);
	add_arbiter_predicate(query, is_live);
	add_tombstone_check(query, rte, relation, updated, is_live, reads_all);
	if (may_change_kept_key(relation, updated, attnum))
		add_key_claim(query, rte);
	if (is_maintenance(rte->relid) || reads_all)
		add_hold_check(query, rte, is_live);
}

/*
 * May the query change tombstones of its target, because that is bridged?
 */
static bool
reads_all_rows(Query *query, RangeTblEntry *rte)
{
	return samples_all_rows(rte) ||
		   (rte->tablesample == NULL && query->commandType != CMD_INSERT &&
			sees_all_rows(rte->relid, role_of_range(query, rte)));
}

/*
 * Raise 0A000 if a maintenance session changes rows of tagged tables by the name of
 * a parent that is not tagged: the statement has no check that refuses changes of
 * held rows.
 */
static void
refuse_tagged_children(Relation parent)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(RelationGetRelid(parent), RowExclusiveLock, NULL))
	{
		Relation rel = table_open(lfirst_oid(lc), NoLock);

		if (tombstone_attribute(rel) != InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot change rows of tagged table \"%s\" by the name of table \"%s\"",
							RelationGetRelationName(rel),
							RelationGetRelationName(parent)),
					 errdetail("The setting row_security is off, and the parent is not tagged."),
					 errhint("SET row_security = on;")));
		table_close(rel, NoLock);
	}
}

/*
 * Add the predicate of unique indexes on live rows to ON CONFLICT (columns), so
 * that these are inferred.  Unique indexes without a predicate are inferred too.
 */
static void
add_arbiter_predicate(Query *query, NullTest *is_live)
{
	OnConflictExpr *conflict = query->onConflict;

	if (conflict != NULL && conflict->arbiterElems != NIL)
		conflict->arbiterWhere =
			make_and_qual(conflict->arbiterWhere, copyObject((Node *) is_live));
}

/*
 * Add the check of new rows "tombstone IS NULL OR admits_tombstone(relation)", if
 * they may be tombstones.  "updated" are the attributes that the query sets in
 * existing rows; it may change tombstones if "reads_all".
 */
static void
add_tombstone_check(Query *query, RangeTblEntry *rte, Relation relation,
					Bitmapset *updated, NullTest *is_live, bool reads_all)
{
	AttrNumber attnum = castNode(Var, is_live->arg)->varattno;
	bool inserts = may_insert_tombstone(query, relation, attnum);
	bool updates = may_update_tombstone(query, relation, updated, attnum);

	/* what the query does not set stays, which the trigger of the bridge checks */
	if (reads_all)
		updates =
			bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, updated);

	if (inserts || updates)
	{
		Expr *check = make_live_or_call(is_live, ADMITS_TOMBSTONE, rte->relid);

		if (inserts)
			add_check(query, rte, WCO_RLS_INSERT_CHECK, copyObject((Node *) check));
		if (updates)
			add_check(query, rte, WCO_RLS_UPDATE_CHECK, copyObject((Node *) check));
	}
}

/*
 * May the query insert a tombstone, by its own values or by those of a BEFORE
 * INSERT trigger?  A tombstone column has no default.  A partition may have
 * triggers of its own.
 */
static bool
may_insert_tombstone(Query *query, Relation relation, AttrNumber attnum)
{
	if (query->commandType == CMD_UPDATE)
		return false;
	return query->commandType == CMD_MERGE || relation->rd_rel->relhassubclass ||
		   bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
						 add_target_attributes(NULL, query->targetList)) ||
		   has_other_insert_trigger(relation);
}

/*
 * May the query make a tombstone of a live row, by what it sets or by what a BEFORE
 * UPDATE trigger sets?  A partition may have triggers of its own.
 */
static bool
may_update_tombstone(Query *query, Relation relation, Bitmapset *updated,
					 AttrNumber attnum)
{
	if (query->commandType == CMD_INSERT && query->onConflict == NULL)
		return false;
	return query->commandType == CMD_MERGE || relation->rd_rel->relhassubclass ||
		   bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, updated) ||
		   relation->trigdesc->trig_update_before_row;
}

/*
 * Does the tagged table have a BEFORE INSERT row trigger that is not one of ours?
 */
static bool
has_other_insert_trigger(Relation relation)
{
	Oid own = extension_function(KEY_CLAIM);
	/* not before that lookup, which may rebuild the trigger descriptor */
	TriggerDesc *trigdesc = relation->trigdesc;

	for (int i = 0; i < trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &trigdesc->triggers[i];

		if (TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								 TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_INSERT) &&
			trigger->tgfoid != own)
			return true;
	}
	return false;
}

/*
 * Add the check of updated rows "claims_key(tableoid, row, internal)", which
 * displaces the tombstones that have a key of the row.
 */
static void
add_key_claim(Query *query, RangeTblEntry *rte)
{
	Var *row = makeWholeRowVar(rte, query->resultRelation, 0, false);

	add_check(query, rte, WCO_RLS_UPDATE_CHECK,
			  (Node *) call_for_row(query, CLAIMS_KEY, row));
}

/*
 * Add the check "tombstone IS NULL OR spares_held(tableoid, ctid, internal)" of
 * each row before it is changed, which raises for a held row.  An UPDATE has no
 * checks of old rows, but computes resjunk entries of its target list for each of
 * them.
 */
static void
add_hold_check(Query *query, RangeTblEntry *rte, NullTest *is_live)
{
	Var *ctid = makeVar(query->resultRelation, SelfItemPointerAttributeNumber,
						TIDOID, -1, InvalidOid, 0);
	Expr *spares = call_for_row(query, SPARES_HELD, ctid);
	Expr *check =
		makeBoolExpr(OR_EXPR, list_make2(copyObject(is_live), spares), -1);

	if (query->commandType == CMD_UPDATE)
		query->targetList =
			lappend(query->targetList,
					makeTargetEntry(check, list_length(query->targetList) + 1,
									pstrdup("held"), true));
	else if (query->commandType == CMD_MERGE)
	{
		add_check(query, rte, WCO_RLS_MERGE_UPDATE_CHECK, (Node *) check);
		add_check(query, rte, WCO_RLS_MERGE_DELETE_CHECK, copyObject((Node *) check));
	}
	else if (query->onConflict != NULL)
		add_check(query, rte, WCO_RLS_CONFLICT_CHECK, (Node *) check);
}

/*
 * Return a call of a function of the extension with tableoid, "row" and an argument
 * of type internal, which keeps the function from being called in SQL.
 */
static Expr *
call_for_row(Query *query, ExtensionFunction which, Var *row)
{
	Var *tableoid = makeVar(query->resultRelation, TableOidAttributeNumber,
							OIDOID, -1, InvalidOid, 0);
	Const *internal = makeConst(INTERNALOID, -1, InvalidOid, sizeof(Datum),
								(Datum) 0, false, true);

	return make_extension_call(which, list_make3(tableoid, row, internal));
}

/*
 * Add a check to the query, of new rows or, by its kind, of old rows.
 */
static void
add_check(Query *query, RangeTblEntry *rte, WCOKind kind, Node *qual)
{
	WithCheckOption *check = makeNode(WithCheckOption);

	check->kind = kind;
	check->relname = get_rel_name(rte->relid);
	check->polname = NULL;
	check->qual = qual;
	check->cascaded = false;
	query->withCheckOptions = lappend(query->withCheckOptions, check);
}

/*
 * May a query that updates these attributes change a key that tombstones may have,
 * by what it sets or by what a BEFORE UPDATE trigger sets?
 */
static bool
may_change_kept_key(Relation relation, Bitmapset *updated, AttrNumber attnum)
{
	bool is_triggered = relation->trigdesc->trig_update_before_row;
	TupleConstr *constr = RelationGetDescr(relation)->constr;
	Bitmapset *indexed;
	List *indexes;
	ListCell *lc;
	bool may_change = false;

	if (bms_is_empty(updated))
		return false;
	/* a partition may have keys and triggers of its own */
	if (relation->rd_rel->relhassubclass)
		return true;
	/*
	 * Most updates do not change indexed columns, and then no index need be opened.
	 * An expression may read the whole row.
	 */
	indexed = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_HOT_BLOCKING);
	if (!is_triggered && !(constr != NULL && constr->has_generated_stored) &&
		!bms_overlap(updated, indexed) &&
		!bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber, indexed))
		return false;

	indexes = RelationGetIndexList(relation);
	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if ((index->rd_index->indisunique || index->rd_index->indisexclusion) &&
			!index_hides_tombstones(index, attnum))
			may_change =
				may_change || is_triggered || index_reads_any(index, updated);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return may_change;
}

/*
 * Return the attributes that a query sets in existing rows, as pull_varattnos()
 * numbers them.
 */
static Bitmapset *
updated_attributes(Query *query)
{
	Bitmapset *updated = NULL;
	ListCell *lc;

	if (query->commandType == CMD_UPDATE)
		updated = add_target_attributes(updated, query->targetList);
	else if (query->onConflict != NULL)
		updated = add_target_attributes(updated, query->onConflict->onConflictSet);

	foreach (lc, query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, lc);

		if (action->commandType == CMD_UPDATE)
			updated = add_target_attributes(updated, action->targetList);
	}
	return updated;
}

/*
 * Add the attributes that a target list sets to a set of attributes.
 */
static Bitmapset *
add_target_attributes(Bitmapset *attributes, List *targets)
{
	ListCell *lc;

	foreach (lc, targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (!target->resjunk)
			attributes =
				bms_add_member(attributes,
							   target->resno - FirstLowInvalidHeapAttributeNumber);
	}
	return attributes;
}

/*
 * May the index depend on any of the attributes?  If it has an expression, a
 * generated column or a predicate, it may.
 */
static bool
index_reads_any(Relation index, Bitmapset *attributes)
{
	for (int i = 0; i < index->rd_index->indnatts; i++)
	{
		AttrNumber attno = index->rd_index->indkey.values[i];

		if (attno == 0 || get_attgenerated(index->rd_index->indrelid, attno) != '\0' ||
			bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, attributes))
			return true;
	}
	return RelationGetIndexPredicate(index) != NIL;
}
