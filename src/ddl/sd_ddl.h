/*
 * sd_ddl.h
 *	  Utility commands on tagged tables, and event triggers.
 */
#ifndef SD_DDL_H
#define SD_DDL_H

#include "delete/sd_delete.h"
#include "plan/sd_plan.h"
#include "purge/sd_purge.h"

/*
 * utility.c: the hook for utility commands
 */
extern void init_utility(void);

/*
 * affected.c: finds out whether a command affects tagged tables
 */
extern bool own_table_has_row(const char *table);

/*
 * alter.c: commands that change the definition of tagged tables
 */
/* What prepare_ddl() tells finish_ddl() about a command */
typedef struct DdlContext
{
	Oid renamed; /* tagged table that is renamed or moved to a schema, or InvalidOid */
	Oid old_namespace;
	char *old_name;
	Oid owner_changed; /* tagged table whose owner may change, or InvalidOid */
	List *tables;	   /* OIDs of tagged tables whose views must be checked */
	List *released;	   /* ReleasedView of the views that have been released */
} DdlContext;

extern PlannedStmt *prepare_ddl(PlannedStmt *pstmt, DdlContext *context);
extern void finish_ddl(PlannedStmt *pstmt, const DdlContext *context);
extern List *tables_of_type(Oid type);

/*
 * views.c: keeps the two views of a tagged table in line with its columns
 */
typedef struct ReleasedView ReleasedView;

extern List *views_of(Oid relid);
extern Oid table_of_view(Oid view);
extern void give_way(RangeVar *name);
extern void lock_views(Oid relid);
extern ReleasedView *release_view(Oid view, Oid relid, List *retyped, List *dropped);
extern void replace_views(Oid relid, List *released);

/*
 * move.c: moves tombstones to companions
 */
extern uint64 move_tombstones_aside(Oid relid, bool recurse, LOCKMODE lockmode,
									const char *column, uint64 *left);

/*
 * obstacle.c: runs commands past tombstones that stand in their way
 */
typedef struct Obstacle Obstacle;

/* Runs a utility command, after remove_obstacle() for each of a list of Obstacle */
typedef void (*RunCommand)(void *call, List *obstacles);

extern bool may_meet_tombstones(Node *command);
extern void run_past_tombstones(Node *command, RunCommand run, void *call);
extern void remove_obstacle(Node *command, Obstacle *obstacle, bool is_prepared);

/*
 * drop.c: finds the tagged tables and their columns that a DROP takes along
 */
extern List *columns_dropped_by(Node *stmt, List **aside);
extern List *tables_dropped_by(Node *stmt);

/*
 * protect.c: refuses commands that would show deleted rows, or lose a hold
 */
extern void protect_tombstones(Node *command);
extern void refuse_dropping_held(Node *command);
extern PlannedStmt *exclude_bins(PlannedStmt *pstmt);
extern bool event_triggers_fire(void);

/*
 * copied.c: refuses, or warns of, what replaces a table by a copy
 */
extern bool has_trigger_of(Oid relid, ExtensionFunction which);
extern void init_copied(void);
extern void note_detached(AlterTableStmt *stmt);
extern void check_dropped_tables(DropStmt *stmt);
extern void check_large_object_list(CreateTableAsStmt *stmt);

/*
 * forget.c: deletes what is stored about tables that are dropped
 */
extern void init_forget(void);

/*
 * schema.c: helpers in C for tagged schemas and for partitions
 */
extern void prepare_partitions(AlterTableStmt *stmt);
extern void tag_distributed(Node *command);

/*
 * extension.c: refuses to drop the extension while tables are tagged
 */
extern void init_extension(void);
extern void refuse_schema_rename(const RenameStmt *stmt);

#endif /* SD_DDL_H */
