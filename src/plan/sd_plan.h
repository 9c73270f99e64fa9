/*
 * sd_plan.h
 *	  The planner hooks for statements on tagged tables.
 */
#ifndef SD_PLAN_H
#define SD_PLAN_H

#include "keys/sd_keys.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

/*
 * expression.c: calls of the extension's functions
 */
extern Expr *make_extension_call(ExtensionFunction which, List *args);
extern Expr *make_live_or_call(NullTest *is_live, ExtensionFunction which, Oid relid);

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
extern void refuse_late_write(Relation relation);

#endif /* SD_PLAN_H */
