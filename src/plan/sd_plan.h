/*
 * sd_plan.h
 *	  What the planner makes of statements on tagged tables.
 */
#ifndef SD_PLAN_H
#define SD_PLAN_H

#include "keys/sd_keys.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

/*
 * filter.c: planned scans of tagged tables see live rows
 */
extern void init_filter(void);
extern bool set_foreign_key_is_added(bool is_added);

/*
 * statistics.c: what they know of deleted rows
 */
extern Expr *statistics_filter(RelOptInfo *rel, Oid relid);
extern void hide_statistics(PlannerInfo *root, RangeTblEntry *rte);
extern void forget_operators(void);

/*
 * modify.c: statements that write meet partial indexes and the checks of new rows
 */
extern void init_modify(void);
extern bool is_prepared_by_hook(void);
extern void refuse_late_write(Relation relation);

#endif /* SD_PLAN_H */
