/*
 * compat.h
 *	  Every difference between server versions, in one place.
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
#include "rewrite/rewriteHandler.h"
#include "storage/proc.h"
#include "utils/acl.h"

#if PG_VERSION_NUM < 150000
#error "soft_delete needs PostgreSQL 15 or later"
#endif

/*
 * 16: functions that the server calls are exported by name, and the library is built
 * with -fvisibility=hidden (Makefile): what another library exports does not become
 * ours, nor ours another's
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

/* 16: an update says which indexes it needs, not just whether it needs any */
#if PG_VERSION_NUM < 160000
typedef bool TU_UpdateIndexes;
#define TU_None false
#define TU_All true
#define update_skips_index(which, info) (!(which))
#else
#define update_skips_index(which, info) \
	((which) == TU_None || ((which) == TU_Summarizing && !(info)->ii_Summarizing))
#endif

/* 16: those of summarizing indexes, which are no keys, are told apart */
#if PG_VERSION_NUM < 160000
#define INDEX_ATTR_BITMAP_HOT_BLOCKING INDEX_ATTR_BITMAP_ALL
#endif

/* 16: outer-join clones are told apart */
#if PG_VERSION_NUM < 160000
#define make_scan_restrictinfo(root, clause, level) \
	make_restrictinfo(root, clause, true, false, false, level, NULL, NULL, NULL)
#else
#define make_scan_restrictinfo(root, clause, level) \
	make_restrictinfo(root, clause, true, false, false, false, level, NULL, \
					  NULL, NULL)
#endif

/* 16: ownership and privilege checks go through one function each */
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

/* 18: sorting for an index takes any ordered access method, not just the B-tree */
#if PG_VERSION_NUM < 180000
#define SORTS_FOR_BTREE_ONLY 1
#else
#define SORTS_FOR_BTREE_ONLY 0
#endif

/* 17: an access method says whether it builds in parallel; before, the B-tree alone */
#if PG_VERSION_NUM < 170000
#define forbid_parallel_build(routine) ((void) 0)
#else
#define forbid_parallel_build(routine) ((routine)->amcanbuildparallel = false)
#endif

/* 17: what changes the type or the value of a column */
#if PG_VERSION_NUM < 170000
#define changes_column(subtype) ((subtype) == AT_AlterColumnType)
#else
#define changes_column(subtype) \
	((subtype) == AT_AlterColumnType || (subtype) == AT_SetExpression)
#endif

/* 17: an index AM may keep state between insertions */
#if PG_VERSION_NUM < 170000
#define index_insert_cleanup(index, info) ((void) 0)
#endif

/* 17: the backend's local transaction id moved */
#if PG_VERSION_NUM < 170000
#define my_local_xid() (MyProc->lxid)
#else
#define my_local_xid() (MyProc->vxid.lxid)
#endif

/* 18: ExecutorRun lost execute_once */
#if PG_VERSION_NUM < 180000
#define EXECUTOR_RUN_PARAMS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define EXECUTOR_RUN_ARGS queryDesc, direction, count, execute_once
#else
#define EXECUTOR_RUN_PARAMS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_ARGS queryDesc, direction, count
#endif

/* 18 and 19: an index scan is instrumented, then takes flags */
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

/* 18: generated columns may be virtual, CHECK constraints not enforced */
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

/* 18: unique constraints may be WITHOUT OVERLAPS */
#if PG_VERSION_NUM < 180000
#define unique_over_periods(constraint) false
#else
#define unique_over_periods(constraint) ((constraint)->without_overlaps)
#endif

/* 18: foreign keys may be of periods, or not enforced */
#if PG_VERSION_NUM < 180000
#define foreign_key_ties_rows(con) true
#else
#define foreign_key_ties_rows(con) ((con)->conenforced && !(con)->conperiod)
#endif

/* 19: the planner is told of EXPLAIN, and a hook sees the finished rel */
#if PG_VERSION_NUM < 190000
#define PLANNER_PARAMS \
	Query *parse, const char *query_string, int cursorOptions, ParamListInfo boundParams
#define PLANNER_ARGS parse, query_string, cursorOptions, boundParams
#define REL_HOOK get_relation_info_hook
#define REL_HOOK_PARAMS \
	PlannerInfo *root, Oid relationObjectId, bool inhparent, RelOptInfo *rel
#define REL_HOOK_ARGS root, relationObjectId, inhparent, rel
#else
#define PLANNER_PARAMS \
	Query *parse, const char *query_string, int cursorOptions, \
		ParamListInfo boundParams, struct ExplainState *es
#define PLANNER_ARGS parse, query_string, cursorOptions, boundParams, es
#define REL_HOOK build_simple_rel_hook
#define REL_HOOK_PARAMS PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte
#define REL_HOOK_ARGS root, rel, rte
#endif

/* 19: tuple_delete and tuple_update take a word of options */
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

/* 19: COPY TO takes partitioned tables */
#if PG_VERSION_NUM < 190000
#define can_be_copied(rel) ((rel)->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
#else
#define can_be_copied(rel) true
#endif

/* 19: a table scan takes flags */
#if PG_VERSION_NUM < 190000
#define begin_table_scan(rel, snapshot) table_beginscan(rel, snapshot, 0, NULL)
#else
#define begin_table_scan(rel, snapshot) \
	table_beginscan(rel, snapshot, 0, NULL, SO_NONE)
#endif

/* 19: foreign keys look for parents in their index, not by a planned query */
#if PG_VERSION_NUM < 190000
#define foreign_keys_probe_index() false
#else
#define foreign_keys_probe_index() true
#endif

/* 19: a descriptor that is built by hand must be finished */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(desc) ((void) 0)
#endif

/* 19: a slot is made with flags */
#if PG_VERSION_NUM < 190000
#define make_slot(tupdesc, ops) MakeTupleTableSlot(tupdesc, ops)
#else
#define make_slot(tupdesc, ops) MakeTupleTableSlot(tupdesc, ops, 0)
#endif
#define make_virtual_slot(tupdesc) make_slot(tupdesc, &TTSOpsVirtual)

/* 18: a portal always runs once */
#if PG_VERSION_NUM < 180000
#define run_portal(portal, dest, completion) \
	PortalRun(portal, FETCH_ALL, true, true, dest, dest, completion)
#else
#define run_portal(portal, dest, completion) \
	PortalRun(portal, FETCH_ALL, true, dest, dest, completion)
#endif

/* 19: fetching what an index entry leads to takes flags */
#if PG_VERSION_NUM < 190000
#define begin_index_fetch(heap) table_index_fetch_begin(heap)
#else
#define begin_index_fetch(heap) table_index_fetch_begin(heap, 0)
#endif

/* 16 and 19: ExecInsertIndexTuples grew an argument, then took flags */
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
