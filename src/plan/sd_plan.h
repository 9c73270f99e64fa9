/*
 * sd_plan.h
 *	  The planner hooks for statements on tagged tables.
 */
#ifndef SD_PLAN_H
#define SD_PLAN_H

#include "keys/sd_keys.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "utils/snapshot.h"

/*
 * expression.c: calls of the extension's functions
 */
extern Expr *make_extension_call(ExtensionFunction which, List *args);
extern Expr *make_live_or_call(NullTest *is_live, ExtensionFunction which, Oid relid);

/*
 * origin.c: which columns of a query are tombstone columns
 */
/* A query and the queries around it, in which its variables are found */
typedef struct QueryLevel
{
	Query *query;
	const struct QueryLevel *outer; /* or NULL */
} QueryLevel;

/* Where a tombstone column of a query comes from */
typedef struct TombstoneOrigin
{
	Oid relid;		 /* the tagged table */
	bool is_sampled; /* does the query name the rows that it reads, by TABLESAMPLE? */
} TombstoneOrigin;

extern RangeTblEntry *range_of(const QueryLevel **level, Var *var);
extern Node *output_of(const QueryLevel **level, Query *query, AttrNumber resno);
extern Node *source_of(const QueryLevel **level, Var *var);
extern bool is_tombstone_column(const QueryLevel *level, Node *node,
								TombstoneOrigin *origin);
extern bool is_tombstone_of_relation(Oid relid, AttrNumber attnum,
									 TombstoneOrigin *origin);

/*
 * whole_row.c: natural joins, and null tests of rows
 */
extern void exclude_tombstone_columns(Query *query, List **row_types);
extern bool depends_on_tombstone_column(Query *query);
extern bool may_depend_on_column(Query *query, char *column);

/*
 * live_test.c: conditions that demand a live row
 */
extern bool demands_live(Node *condition, int varno, const Bridge *bridge,
						 ParamListInfo params);

/*
 * answer.c: statements that ask about the column of a bridge
 */
extern bool answer_by_bridges(Query *parse, ParamListInfo params);
extern bool reads_bridged_table(Query *query);
extern void depend_on_role(PlannedStmt *stmt);
extern bool samples_all_rows(const RangeTblEntry *rte);

/*
 * sample.c: samples of tagged tables
 */
extern void init_sample(void);
extern void note_sample(void);

/*
 * filter.c: the live filter of planned scans of tagged tables
 */
extern void init_filter(void);
extern bool set_foreign_key_is_added(bool is_added);

/*
 * statistics.c: values of deleted rows in statistics
 */
extern Expr *statistics_filter(RelOptInfo *rel, Oid relid);
extern void hide_statistics(PlannerInfo *root, RangeTblEntry *rte);
extern void forget_searched_queries(void);

/*
 * modify.c: clauses and checks for statements that write to tagged tables
 */
extern void init_modify(void);
extern bool is_prepared_by_hook(void);
extern void follow_row_security(void);
extern void refuse_late_statement(Relation relation, const char *what);

/*
 * outdated.c: snapshots from before a table was untagged
 */
extern void init_outdated(void);
extern void note_imported_snapshot(VariableSetStmt *stmt);
extern bool has_imported_snapshot(void);
extern void check_snapshot_of_statement(const PlannedStmt *stmt, Snapshot snapshot);
extern void check_snapshot(Oid relid, Snapshot snapshot);

/*
 * inline.c: functions in SQL that must not be inlined
 */
extern void init_inline(void);

#endif /* SD_PLAN_H */
