/*
 * sd_ddl.h
 *	  Utility commands, and what becomes of tagged tables by them.
 */
#ifndef SD_DDL_H
#define SD_DDL_H

#include "delete/sd_delete.h"
#include "plan/sd_plan.h"
#include "purge/sd_purge.h"

/*
 * utility.c: utility commands that mean something else on a tagged table
 */
extern void init_utility(void);

/*
 * affected.c: whether a command has anything to do with what is tagged
 */
extern bool has_row(const char *table);

/*
 * alter.c: commands that change tagged tables
 */
typedef struct AlteredTable
{
	Oid relid; /* renamed or moved, or InvalidOid */
	Oid namespace;
	char *name;
	Oid given;		/* whose owner may have changed, or InvalidOid */
	List *tables;	/* whose views have to follow */
	List *released; /* views, for put_back_views() */
} AlteredTable;

extern PlannedStmt *prepare_ddl(PlannedStmt *pstmt, AlteredTable *altered);
extern void finish_ddl(PlannedStmt *pstmt, const AlteredTable *altered);

/*
 * views.c: the two views of a tagged table follow its columns
 */
extern List *views_of(Oid relid);
extern void *release_view(Oid view, Oid relid, List *retyped, List *dropped);
extern void put_back_views(Oid relid, List *released);

/*
 * drop.c: the columns of tagged tables that go with something else
 */
extern List *columns_dropped_with(DropStmt *stmt);
extern List *columns_dropped_with_owned(DropOwnedStmt *stmt);

/*
 * protect.c: commands that would show deleted rows again, or free what is held
 */
extern void protect_tombstones(Node *command);
extern PlannedStmt *spare_bins(PlannedStmt *pstmt);
extern bool event_triggers_fire(void);

/*
 * forget.c: tables that go without an event trigger
 */
extern void init_forget(void);

/*
 * schema.c: tags of whole schemas, and of partitions that come
 */
extern void prepare_partitions(AlterTableStmt *stmt);

/*
 * extension.c: the extension stays where tables are tagged
 */
extern void init_extension(void);
extern void refuse_schema_rename(const RenameStmt *stmt);

#endif /* SD_DDL_H */
