/*
 * sd_delete.h
 *	  DELETE, TRUNCATE and COPY of a tagged table.
 */
#ifndef SD_DELETE_H
#define SD_DELETE_H

#include "bin/sd_bin.h"
#include "nodes/plannodes.h"

/*
 * delete.c: the tag trigger, and the tuple_delete callback that it installs
 */
extern void init_delete(void);

/*
 * truncate.c: TRUNCATE of a tagged table deletes its live rows
 */
extern void init_truncate(void);
extern PlannedStmt *truncate_softly(PlannedStmt *pstmt);
extern bool was_truncated(Oid relid);

/*
 * copy.c: COPY of a tagged table reads live rows, without the tombstone column
 */
extern PlannedStmt *copy_live_rows(PlannedStmt *pstmt);

/*
 * sharded.c: rows of tables that Citus has sharded
 */
extern void init_sharded(void);

#endif /* SD_DELETE_H */
