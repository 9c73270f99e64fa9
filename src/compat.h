/*
 * compat.h
 *	  Hides the differences between server versions.
 *
 * Each section names the version that has brought the difference.
 *
 * Invariant: PG_VERSION_NUM is compared in this file only.
 */
#ifndef COMPAT_H
#define COMPAT_H

#include "access/genam.h"
#include "access/tableam.h"
#include "access/tupdesc.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/restrictinfo.h"
#include "parser/parse_relation.h"
#include "rewrite/rewriteHandler.h"
#include "storage/proc.h"
#include "utils/acl.h"

#if PG_VERSION_NUM < 150000
#error "soft_delete needs PostgreSQL 15 or later"
#endif

/*
 * 16: PGDLLEXPORT exports a function from a library that is built with
 * -fvisibility=hidden.  The Makefile sets that for older versions too, so that the
 * functions of this library do not replace those of another one, nor theirs ours.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(funcname) \
	extern PGDLLEXPORT Datum funcname(PG_FUNCTION_ARGS); \
	extern PGDLLEXPORT const Pg_finfo_record *CppConcat(pg_finfo_, funcname)(void); \
	const Pg_finfo_record *CppConcat(pg_finfo_, funcname)(void) \
	{ \
		static const Pg_finfo_record my_finfo = {1}; \
		return &my_finfo; \
	} \
	extern int no_such_variable
#endif

/* 16: tuple_update tells which indexes need an entry, not only whether any does */
#if PG_VERSION_NUM < 160000
typedef bool TU_UpdateIndexes;
#define TU_None false
#define TU_All true
#define update_skips_index(which, info) (!(which))
#else
#define update_skips_index(which, info) \
	((which) == TU_None || ((which) == TU_Summarizing && !(info)->ii_Summarizing))
#endif

/* 16: attributes of summarizing indexes, which are not unique, have their own bitmap */
#if PG_VERSION_NUM < 160000
#define INDEX_ATTR_BITMAP_HOT_BLOCKING INDEX_ATTR_BITMAP_ALL
#endif

/* 16: make_restrictinfo() has arguments for clones of outer-join clauses */
#if PG_VERSION_NUM < 160000
#define make_scan_restrictinfo(root, clause, level) \
	make_restrictinfo(root, clause, true, false, false, level, NULL, NULL, NULL)
#else
#define make_scan_restrictinfo(root, clause, level) \
	make_restrictinfo(root, clause, true, false, false, false, level, NULL, \
					  NULL, NULL)
#endif

/* 16: one function checks the ownership, and one the privileges, of all objects */
#if PG_VERSION_NUM < 160000
#define relation_ownercheck(relid, roleid) pg_class_ownercheck(relid, roleid)
#define schema_ownercheck(nspid, roleid) pg_namespace_ownercheck(nspid, roleid)
#define function_aclcheck(funcid, roleid, mode) \
	pg_proc_aclcheck(funcid, roleid, mode)
#else
#define relation_ownercheck(relid, roleid) \
	(superuser_arg(roleid) || \
	 (check_relation_exists(relid), \
	  object_ownercheck(RelationRelationId, relid, roleid)))
#define schema_ownercheck(nspid, roleid) \
	object_ownercheck(NamespaceRelationId, nspid, roleid)
#define function_aclcheck(funcid, roleid, mode) \
	object_aclcheck(ProcedureRelationId, funcid, roleid, mode)
#endif

/* 16: the role whose privileges apply to a table is not in its range table entry */
#if PG_VERSION_NUM < 160000
#define checked_role(query, rte) ((rte)->checkAsUser)
#define is_checked_range(rte) ((rte)->requiredPerms != 0)
#else
#define checked_role(query, rte) \
	((rte)->perminfoindex > 0 \
		 ? getRTEPermissionInfo((query)->rteperminfos, rte)->checkAsUser \
		 : InvalidOid)
#define is_checked_range(rte) ((rte)->perminfoindex > 0)
#endif
#define role_of_range(query, rte) \
	(OidIsValid(checked_role(query, rte)) ? checked_role(query, rte) : GetUserId())

/* 17: the join condition of MERGE is not in FROM */
#if PG_VERSION_NUM < 170000
#define merge_condition(query) NULL
#else
#define merge_condition(query) ((query)->mergeJoinCondition)
#endif

/* 18: the sort for an index supports any ordered access method, not only the B-tree */
#if PG_VERSION_NUM < 180000
#define SORTS_FOR_BTREE_ONLY 1
#else
#define SORTS_FOR_BTREE_ONLY 0
#endif

/* 17: an access method tells whether it builds in parallel; before, only the B-tree did */
#if PG_VERSION_NUM < 170000
#define forbid_parallel_build(routine) ((void) 0)
#else
#define forbid_parallel_build(routine) ((routine)->amcanbuildparallel = false)
#endif

/* 17: the state of the lexer of JSON may be the caller's */
#if PG_VERSION_NUM < 170000
#define make_json_lexer(json) \
	makeJsonLexContextCstringLen(unconstify(char *, json), strlen(json), \
								 GetDatabaseEncoding(), true)
#else
#define make_json_lexer(json) \
	makeJsonLexContextCstringLen(NULL, json, strlen(json), \
								 GetDatabaseEncoding(), true)
#endif

/* 17: ALTER COLUMN SET EXPRESSION changes the values of a column */
#if PG_VERSION_NUM < 170000
#define changes_column(subtype) ((subtype) == AT_AlterColumnType)
#else
#define changes_column(subtype) \
	((subtype) == AT_AlterColumnType || (subtype) == AT_SetExpression)
#endif

/* 17: an access method may keep state between insertions, which must be released */
#if PG_VERSION_NUM < 170000
#define index_insert_cleanup(index, info) ((void) 0)
#endif

/* 17: the local transaction id of the backend is in another struct */
#if PG_VERSION_NUM < 170000
#define my_local_xid() (MyProc->lxid)
#else
#define my_local_xid() (MyProc->vxid.lxid)
#endif

/* 18: ExecutorRun has no argument execute_once */
#if PG_VERSION_NUM < 180000
#define EXECUTOR_RUN_PARAMS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define EXECUTOR_RUN_ARGS queryDesc, direction, count, execute_once
#define run_to_end(query) ExecutorRun(query, ForwardScanDirection, 0, true)
#else
#define EXECUTOR_RUN_PARAMS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_ARGS queryDesc, direction, count
#define run_to_end(query) ExecutorRun(query, ForwardScanDirection, 0)
#endif

/* 18 and 19: index_beginscan() has an argument for instrumentation, then flags too */
#if PG_VERSION_NUM < 180000
#define begin_index_scan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, nkeys, 0)
#elif PG_VERSION_NUM < 190000
#define begin_index_scan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, NULL, nkeys, 0)
#else
#define begin_index_scan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, NULL, nkeys, 0, SO_NONE)
#endif

/* 18: generated columns may be VIRTUAL, and CHECK constraints NOT ENFORCED */
#if PG_VERSION_NUM < 180000
#define is_virtual_column(att) false
#define expand_virtual_columns(node, rel) (node)
#define check_is_enforced(check) true
#define set_not_enforced(constraint) ((void) 0)
#else
#define is_virtual_column(att) \
	((att)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#define expand_virtual_columns(node, rel) \
	expand_generated_columns_in_expr(node, rel, 1)
#define check_is_enforced(check) ((check)->ccenforced)
#define set_not_enforced(constraint) ((constraint)->is_enforced = false)
#endif

/* 18: a query that groups has a range table entry for its groups */
#if PG_VERSION_NUM < 180000
#define group_expression(rte, attnum) NULL
#else
#define group_expression(rte, attnum) \
	((rte)->rtekind == RTE_GROUP ? list_nth((rte)->groupexprs, (attnum) -1) : NULL)
#endif

/* 18: expandRTE() has an argument for OLD and NEW in RETURNING */
#if PG_VERSION_NUM < 180000
#define expand_range(rte, rtindex, sublevels_up, columns) \
	expandRTE(rte, rtindex, sublevels_up, -1, true, NULL, columns)
#else
#define expand_range(rte, rtindex, sublevels_up, columns) \
	expandRTE(rte, rtindex, sublevels_up, VAR_RETURNING_DEFAULT, -1, true, \
			  NULL, columns)
#endif

/* 18: unique constraints may be WITHOUT OVERLAPS */
#if PG_VERSION_NUM < 180000
#define unique_over_periods(constraint) false
#else
#define unique_over_periods(constraint) ((constraint)->without_overlaps)
#endif

/* 18: foreign keys may have PERIOD, or be NOT ENFORCED */
#if PG_VERSION_NUM < 180000
#define foreign_key_ties_rows(con) true
#else
#define foreign_key_ties_rows(con) ((con)->conenforced && !(con)->conperiod)
#endif

/* 19: the planner hook gets the EXPLAIN state, and another hook the base relation */
#if PG_VERSION_NUM < 190000
#define PLANNER_PARAMS \
	Query *parse, const char *query_string, int cursorOptions, ParamListInfo boundParams
#define PLANNER_ARGS parse, query_string, cursorOptions, boundParams
#define REL_HOOK get_relation_info_hook
#define REL_HOOK_TYPE get_relation_info_hook_type
#define REL_HOOK_PARAMS \
	PlannerInfo *root, Oid relationObjectId, bool inhparent, RelOptInfo *rel
#define REL_HOOK_ARGS root, relationObjectId, inhparent, rel
#else
#define PLANNER_PARAMS \
	Query *parse, const char *query_string, int cursorOptions, \
		ParamListInfo boundParams, struct ExplainState *es
#define PLANNER_ARGS parse, query_string, cursorOptions, boundParams, es
#define REL_HOOK build_simple_rel_hook
#define REL_HOOK_TYPE build_simple_rel_hook_type
#define REL_HOOK_PARAMS PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte
#define REL_HOOK_ARGS root, rel, rte
#endif

/* 19: tuple_delete and tuple_update have an argument for options */
#if PG_VERSION_NUM < 190000
#define TUPLE_DELETE_PARAMS \
	Relation rel, ItemPointer tid, CommandId cid, Snapshot snapshot, \
		Snapshot crosscheck, bool wait, TM_FailureData *tmfd, bool changingPart
#define TUPLE_DELETE_ARGS \
	rel, tid, cid, snapshot, crosscheck, wait, tmfd, changingPart
#define row_is_moving() (changingPart)
#define destroy_tuple(rel, tid, cid, snapshot, tmfd) \
	table_tuple_delete(rel, tid, cid, snapshot, InvalidSnapshot, true, tmfd, false)
#define destroy_unless_locked(rel, tid, cid, snapshot, tmfd) \
	table_tuple_delete(rel, tid, cid, snapshot, InvalidSnapshot, false, tmfd, false)
#define replace_tuple(rel, tid, slot, cid, snapshot, crosscheck, wait, tmfd, \
					  mode, which) \
	table_tuple_update(rel, tid, slot, cid, snapshot, crosscheck, wait, tmfd, \
					   mode, which)
#else
#define TUPLE_DELETE_PARAMS \
	Relation rel, ItemPointer tid, CommandId cid, uint32 options, \
		Snapshot snapshot, Snapshot crosscheck, bool wait, TM_FailureData *tmfd
#define TUPLE_DELETE_ARGS \
	rel, tid, cid, options, snapshot, crosscheck, wait, tmfd
#define row_is_moving() ((options & TABLE_DELETE_CHANGING_PARTITION) != 0)
#define destroy_tuple(rel, tid, cid, snapshot, tmfd) \
	table_tuple_delete(rel, tid, cid, 0, snapshot, InvalidSnapshot, true, tmfd)
#define destroy_unless_locked(rel, tid, cid, snapshot, tmfd) \
	table_tuple_delete(rel, tid, cid, 0, snapshot, InvalidSnapshot, false, tmfd)
#define replace_tuple(rel, tid, slot, cid, snapshot, crosscheck, wait, tmfd, \
					  mode, which) \
	table_tuple_update(rel, tid, slot, cid, 0, snapshot, crosscheck, wait, \
					   tmfd, mode, which)
#endif

/* 16: TRUNCATE may run as the owner of each table */
#if PG_VERSION_NUM < 160000
#define truncate_tables(rels, relids, logged, behavior, restarts) \
	ExecuteTruncateGuts(rels, relids, logged, behavior, restarts)
#else
#define truncate_tables(rels, relids, logged, behavior, restarts) \
	ExecuteTruncateGuts(rels, relids, logged, behavior, restarts, false)
#endif

/* 16: a subcommand that adds a constraint has one type, whether it recurses or not */
#if PG_VERSION_NUM < 160000
#define adds_constraint(type) \
	((type) == AT_AddConstraint || (type) == AT_AddConstraintRecurse)
#else
#define adds_constraint(type) ((type) == AT_AddConstraint)
#endif

/* 19: COPY TO accepts partitioned tables */
#if PG_VERSION_NUM < 190000
#define can_be_copied(rel) ((rel)->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
#else
#define can_be_copied(rel) true
#endif

/* 19: table_beginscan() has an argument for flags */
#if PG_VERSION_NUM < 190000
#define begin_table_scan(rel, snapshot) table_beginscan(rel, snapshot, 0, NULL)
#else
#define begin_table_scan(rel, snapshot) \
	table_beginscan(rel, snapshot, 0, NULL, SO_NONE)
#endif

/* 19: table_beginscan_tidrange() has one, too */
#if PG_VERSION_NUM < 190000
#define begin_range_scan(rel, snapshot, low, high) \
	table_beginscan_tidrange(rel, snapshot, low, high)
#else
#define begin_range_scan(rel, snapshot, low, high) \
	table_beginscan_tidrange(rel, snapshot, low, high, SO_NONE)
#endif

/* 19: foreign keys look up the parent in its index, without a query */
#if PG_VERSION_NUM < 190000
#define foreign_keys_probe_index() false
#else
#define foreign_keys_probe_index() true
#endif

/* 19: a new tuple descriptor must be finalized */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(desc) ((void) 0)
#endif

/* 19: MakeTupleTableSlot() has an argument for flags */
#if PG_VERSION_NUM < 190000
#define make_slot(tupdesc, ops) MakeTupleTableSlot(tupdesc, ops)
#else
#define make_slot(tupdesc, ops) MakeTupleTableSlot(tupdesc, ops, 0)
#endif
#define make_virtual_slot(tupdesc) make_slot(tupdesc, &TTSOpsVirtual)

/* 19: CLUSTER is a kind of REPACK, which cannot have written before it runs concurrently */
#if PG_VERSION_NUM < 190000
#define is_cluster(stmt) IsA(stmt, ClusterStmt)
#define clustered_table(stmt) (((ClusterStmt *) (stmt))->relation)
#define clustering_index(stmt) (((ClusterStmt *) (stmt))->indexname)
#else
#include "commands/defrem.h"
static inline bool
is_cluster(Node *stmt)
{
	ListCell *lc;

	if (!IsA(stmt, RepackStmt) || ((RepackStmt *) stmt)->relation == NULL)
		return false;
	foreach (lc, ((RepackStmt *) stmt)->params)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "concurrently") == 0 &&
			defGetBoolean(lfirst(lc)))
			return false;
	}
	return true;
}
#define clustered_table(stmt) (((RepackStmt *) (stmt))->relation->relation)
#define clustering_index(stmt) (((RepackStmt *) (stmt))->indexname)
#endif

/* 18: PortalRun() has no argument run_once */
#if PG_VERSION_NUM < 180000
#define run_portal(portal, dest, completion) \
	PortalRun(portal, FETCH_ALL, true, true, dest, dest, completion)
#else
#define run_portal(portal, dest, completion) \
	PortalRun(portal, FETCH_ALL, true, dest, dest, completion)
#endif

/* 19: table_index_fetch_begin() has an argument for flags */
#if PG_VERSION_NUM < 190000
#define begin_index_fetch(heap) table_index_fetch_begin(heap)
#else
#define begin_index_fetch(heap) table_index_fetch_begin(heap, 0)
#endif

/* 16 and 19: ExecInsertIndexTuples() has one more argument, then flags instead */
#if PG_VERSION_NUM < 160000
#define insert_index_tuples(relinfo, slot, estate, which) \
	ExecInsertIndexTuples(relinfo, slot, estate, false, false, NULL, NIL)
#elif PG_VERSION_NUM < 190000
#define insert_index_tuples(relinfo, slot, estate, which) \
	ExecInsertIndexTuples(relinfo, slot, estate, false, false, NULL, NIL, \
						  (which) == TU_Summarizing)
#else
#define insert_index_tuples(relinfo, slot, estate, which) \
	ExecInsertIndexTuples(relinfo, estate, \
						  (which) == TU_Summarizing ? EIIT_ONLY_SUMMARIZING : 0, \
						  slot, NIL, NULL)
#endif

#endif /* COMPAT_H */
