/*
 * modify.c
 *	  Prepares statements that write to tagged tables for the planner.
 *
 * Three things are added to an INSERT, UPDATE or MERGE:
 * - ON CONFLICT gets the predicate of the partial unique indexes, so that they are
 *   inferred as the constraint was, by columns or by its name;
 * - a check on the new row that refuses to set the tombstone column by hand.
 *   It is a WithCheckOption of the kind that row security uses, evaluated after
 *   BEFORE triggers.  A BEFORE UPDATE trigger would do the same at the price of
 *   locking every row first (measured: 10 to 25 % of the rate of single-row
 *   updates).  It is left out where neither the statement nor a trigger can set
 *   the column: a live row stays one, and an INSERT makes one.
 * - a check of the same kind that has tombstones step aside (keys/claim.c), where
 *   the statement may change a key that they keep.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
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

#include "plan/sd_plan.h"

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static planner_hook_type prev_planner_hook = NULL;

/* How many planner runs we are in that began with plan_statement(). */
static int depth = 0;

/* Was the library loaded in the course of a statement? */
static bool is_late = false;

/* The value of row_security that cached plans were made under. */
static bool planned_row_security = true;

static void start_executor(QueryDesc *queryDesc, int eflags);
static void check_late_upserts(PlannedStmt *stmt);
static PlannedStmt *plan_statement(PLANNER_PARAMS);
static void check_late_upsert(PlannedStmt *stmt, Plan *plan);
static bool calls_tombstone_check(Node *node, void *context);
static void prepare_write(Query *query);
static void refuse_tagged_children(Relation parent);
static void claim_own_rows(Plan *plan);
static void add_arbiter_predicate(Query *query, NullTest *is_live);
static void add_tombstone_check(Query *query, RangeTblEntry *rte, Relation relation,
								Bitmapset *set, NullTest *is_live);
static bool may_insert_tombstone(Query *query, Relation relation, AttrNumber attnum);
static bool may_update_tombstone(Query *query, Relation relation,
								 Bitmapset *set, AttrNumber attnum);
static bool has_other_insert_trigger(Relation relation);
static void add_claim(Query *query, RangeTblEntry *rte);
static void add_hold_check(Query *query, RangeTblEntry *rte, NullTest *is_live);
static void add_check(Query *query, RangeTblEntry *rte, WCOKind kind, Node *qual);
static bool may_change_kept_key(Relation relation, Bitmapset *set, AttrNumber attnum);
static Bitmapset *set_attributes(Query *query);
static Bitmapset *add_targets(Bitmapset *set, List *targets);
static bool index_reads_any(Relation index, Bitmapset *attributes);

/*
 * Install the planner hook.
 */
void
init_modify(void)
{
	prev_planner_hook = planner_hook;
	planner_hook = plan_statement;
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	is_late = !process_shared_preload_libraries_in_progress && IsTransactionState();
}

/*
 * ExecutorStart hook: look at plans that were made before the library was loaded.
 */
static void
start_executor(QueryDesc *queryDesc, int eflags)
{
	check_late_upserts(queryDesc->plannedstmt);
	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

/*
 * Raise 55000 if a plan has an INSERT ... ON CONFLICT DO UPDATE that may make a
 * tombstone, and was made without plan_statement().  The planner looks at no
 * relation that is only inserted into, so restrict_rel() has not seen it.
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
 * Check one plan, by its top node.
 */
static void
check_late_upsert(PlannedStmt *stmt, Plan *plan)
{
	ModifyTable *modify = (ModifyTable *) plan;
	Relation relation;
	AttrNumber attnum;
	bool is_checked;

	if (plan == NULL || !IsA(plan, ModifyTable) ||
		modify->onConflictAction != ONCONFLICT_UPDATE)
		return;
	relation =
		table_open(rt_fetch(modify->nominalRelation, stmt->rtable)->relid, NoLock);
	attnum = tombstone_attribute(relation);
	is_checked = attnum == InvalidAttrNumber ||
				 calls_tombstone_check((Node *) modify->withCheckOptionLists, NULL) ||
				 !(relation->rd_rel->relhassubclass ||
				   list_member_int(modify->onConflictCols, attnum) ||
				   relation->trigdesc->trig_update_before_row);
	if (!is_checked)
		refuse_late_write(relation);
	table_close(relation, NoLock);
}

/*
 * Does an expression, or a check, call admits_tombstone() (walker)?
 */
static bool
calls_tombstone_check(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) &&
		((FuncExpr *) node)->funcid == extension_function(ADMITS_TOMBSTONE))
		return true;
	return expression_tree_walker(node, calls_tombstone_check, context);
}

/*
 * Raise 55000: the statement was not prepared.
 */
void
refuse_late_write(Relation relation)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("library \"%s\" was loaded too late to change rows of table \"%s\"",
					EXTENSION_NAME, RelationGetRelationName(relation)),
			 errdetail("The session has loaded it just now, to plan this statement."),
			 errhint("Run the statement again; shared_preload_libraries = '%s' loads the library in time everywhere.",
					 EXTENSION_NAME)));
}

/*
 * Did the running planner run begin with plan_statement()?  Not so the one in
 * which the library was loaded, and what the server plans by hand for CLUSTER.
 */
bool
is_prepared_by_hook(void)
{
	return depth > 0;
}

/*
 * Prepare the writes of a statement, at its top and in its WITH list, and plan
 * it.
 */
static PlannedStmt *
plan_statement(PLANNER_PARAMS)
{
	PlannedStmt *result;

	/* who is exempt depends on row_security, and plans have that built in */
	if (row_security != planned_row_security)
	{
		planned_row_security = row_security;
		ResetPlanCache();
	}
	forget_operators();

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
		/* a statement that this one is planned for may get its memory */
		forget_operators();
	}
	PG_END_TRY();

	if (parse->commandType != CMD_SELECT || parse->hasModifyingCTE)
	{
		ListCell *lc;

		claim_own_rows(result->planTree);
		foreach (lc, result->subplans)
			claim_own_rows(lfirst(lc));
	}
	return result;
}

/*
 * Have claims_key() look at the rows of inheritance children as they are: the
 * planner turns them into rows of the parent, without the columns that only the
 * children have.
 */
static void
claim_own_rows(Plan *plan)
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
 * Prepare one query, if it inserts or updates rows of a tagged table.
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
	if (attnum != InvalidAttrNumber && query->onConflict != NULL &&
		OidIsValid(query->onConflict->constraint))
		infer_stand_in(query, relation, attnum);
	if (attnum != InvalidAttrNumber)
	{
		Bitmapset *set = set_attributes(query);
		NullTest *is_live = makeNode(NullTest);
		Oid type = TupleDescAttr(RelationGetDescr(relation), attnum - 1)->atttypid;

		is_live->arg = (Expr *) makeVar(query->resultRelation, attnum, type, -1,
										InvalidOid, 0);
		is_live->nulltesttype = IS_NULL;
		is_live->argisrow = false;
		is_live->location = -1;

		add_arbiter_predicate(query, is_live);
		add_tombstone_check(query, rte, relation, set, is_live);
		if (may_change_kept_key(relation, set, attnum))
			add_claim(query, rte);
		if (is_maintenance(rte->relid))
			add_hold_check(query, rte, is_live);
	}
	else if (!row_security && relation->rd_rel->relhassubclass &&
			 query->commandType != CMD_INSERT)
		refuse_tagged_children(relation);
	table_close(relation, NoLock);
}

/*
 * Raise 0A000 if a maintenance session is going to change rows of tagged tables by
 * the name of an untagged parent: nothing would spare what is held.
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
					 errdetail("Row_security is off, and the parent is not tagged."),
					 errhint("SET row_security = on;")));
		table_close(rel, NoLock);
	}
}

/*
 * Let ON CONFLICT (columns) infer unique indexes on live rows.  One without
 * that predicate is still inferred too.
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
 * Check each new row that may be a tombstone: "tombstone IS NULL OR
 * admits_tombstone(relation)".  "set": what the query sets in rows that exist.
 */
static void
add_tombstone_check(Query *query, RangeTblEntry *rte, Relation relation,
					Bitmapset *set, NullTest *is_live)
{
	AttrNumber attnum = castNode(Var, is_live->arg)->varattno;
	bool inserts = may_insert_tombstone(query, relation, attnum);
	bool updates = may_update_tombstone(query, relation, set, attnum);

	if (inserts || updates)
	{
		Const *relid = makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
								 ObjectIdGetDatum(rte->relid), false, true);
		FuncExpr *admits = makeFuncExpr(needed_function(ADMITS_TOMBSTONE),
										BOOLOID, list_make1(relid), InvalidOid,
										InvalidOid, COERCE_EXPLICIT_CALL);
		Expr *check = makeBoolExpr(OR_EXPR, list_make2(is_live, admits), -1);

		if (inserts)
			add_check(query, rte, WCO_RLS_INSERT_CHECK, copyObject((Node *) check));
		if (updates)
			add_check(query, rte, WCO_RLS_UPDATE_CHECK, copyObject((Node *) check));
	}
}

/*
 * May the query insert a tombstone, by what it says or by what a BEFORE INSERT
 * trigger does?  A tombstone column has no default.
 */
static bool
may_insert_tombstone(Query *query, Relation relation, AttrNumber attnum)
{
	if (query->commandType == CMD_UPDATE)
		return false;
	return query->commandType == CMD_MERGE || relation->rd_rel->relhassubclass ||
		   bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
						 add_targets(NULL, query->targetList)) ||
		   has_other_insert_trigger(relation);
}

/*
 * May the query make a tombstone of a live row, by what it sets or by what a
 * BEFORE UPDATE trigger does?  That of a partition fires as well.
 */
static bool
may_update_tombstone(Query *query, Relation relation, Bitmapset *set, AttrNumber attnum)
{
	if (query->commandType == CMD_INSERT && query->onConflict == NULL)
		return false;
	return query->commandType == CMD_MERGE || relation->rd_rel->relhassubclass ||
		   bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, set) ||
		   relation->trigdesc->trig_update_before_row;
}

/*
 * Has the tagged table a BEFORE INSERT row trigger that is not the tag's?
 */
static bool
has_other_insert_trigger(Relation relation)
{
	Oid own = extension_function(KEY_CLAIM);
	TriggerDesc *trigdesc =
		relation->trigdesc; /* after that look-up, which may rebuild it */

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
 * Have the keys of each changed row freed: "claims_key(tableoid, row)".
 */
static void
add_claim(Query *query, RangeTblEntry *rte)
{
	Var *tableoid = makeVar(query->resultRelation, TableOidAttributeNumber,
							OIDOID, -1, InvalidOid, 0);
	Var *row = makeWholeRowVar(rte, query->resultRelation, 0, false);
	Const *internal = makeConst(INTERNALOID, -1, InvalidOid, sizeof(Datum),
								(Datum) 0, false, true);

	add_check(query, rte, WCO_RLS_UPDATE_CHECK,
			  (Node *) makeFuncExpr(needed_function(CLAIMS_KEY), BOOLOID,
									list_make3(tableoid, row, internal),
									InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
}

/*
 * Have a maintenance session spare deleted rows that are held: "tombstone IS NULL
 * OR spares_held(tableoid, ctid)" for each row before it is changed.  An UPDATE
 * has no check of old rows, but computes what is not stored for each of them.
 */
static void
add_hold_check(Query *query, RangeTblEntry *rte, NullTest *is_live)
{
	Var *tableoid = makeVar(query->resultRelation, TableOidAttributeNumber,
							OIDOID, -1, InvalidOid, 0);
	Var *place = makeVar(query->resultRelation, SelfItemPointerAttributeNumber,
						 TIDOID, -1, InvalidOid, 0);
	Const *internal = makeConst(INTERNALOID, -1, InvalidOid, sizeof(Datum),
								(Datum) 0, false, true);
	FuncExpr *spares = makeFuncExpr(needed_function(SPARES_HELD), BOOLOID,
									list_make3(tableoid, place, internal),
									InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
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
 * Add a check of new rows to the query, or, by its kind, of old ones.
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
 * May a query that sets these attributes change a key that a tombstone keeps, by
 * that or by what a BEFORE UPDATE trigger does?
 */
static bool
may_change_kept_key(Relation relation, Bitmapset *set, AttrNumber attnum)
{
	bool is_triggered = relation->trigdesc->trig_update_before_row;
	TupleConstr *constr = RelationGetDescr(relation)->constr;
	Bitmapset *indexed;
	List *indexes;
	ListCell *lc;
	bool may_change = false;

	if (bms_is_empty(set))
		return false;
	/* a partition may have keys and triggers of its own */
	if (relation->rd_rel->relhassubclass)
		return true;
	/* most updates leave alone what indexes read, and need not open any; an
	 * expression may read the whole row */
	indexed = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_HOT_BLOCKING);
	if (!is_triggered && !(constr != NULL && constr->has_generated_stored) &&
		!bms_overlap(set, indexed) &&
		!bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber, indexed))
		return false;

	indexes = RelationGetIndexList(relation);
	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if ((index->rd_index->indisunique || index->rd_index->indisexclusion) &&
			!index_hides_tombstones(index, attnum))
			may_change = may_change || is_triggered || index_reads_any(index, set);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return may_change;
}

/*
 * Return the attributes, offset, that a query sets in rows that exist.
 */
static Bitmapset *
set_attributes(Query *query)
{
	Bitmapset *set = NULL;
	ListCell *lc;

	if (query->commandType == CMD_UPDATE)
		set = add_targets(set, query->targetList);
	else if (query->onConflict != NULL)
		set = add_targets(set, query->onConflict->onConflictSet);

	foreach (lc, query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, lc);

		if (action->commandType == CMD_UPDATE)
			set = add_targets(set, action->targetList);
	}
	return set;
}

/*
 * Add the attributes, offset, that a target list sets.
 */
static Bitmapset *
add_targets(Bitmapset *set, List *targets)
{
	ListCell *lc;

	foreach (lc, targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (!target->resjunk)
			set = bms_add_member(set, target->resno -
										  FirstLowInvalidHeapAttributeNumber);
	}
	return set;
}

/*
 * Does the index read any of the attributes?  An expression may, and so may a
 * generated column.
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
