/*
 * soft_delete.h
 *	  What the files of the extension share, one section per file.
 */
#ifndef SOFT_DELETE_H
#define SOFT_DELETE_H

#include "postgres.h"

#include "access/tableam.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

#include "compat.h"

#define EXTENSION_SCHEMA "soft_delete"

/*
 * tag.c: which relation is tagged, and who is exempt
 */

/* Functions of the extension that C code looks up by name. */
typedef enum ExtensionFunction
{
	TAG_TRIGGER,	  /* soft_delete.delete_row() */
	SAMPLING_METHOD,  /* soft_delete.rows(internal) */
	SHOWS_TOMBSTONES, /* soft_delete.shows_tombstones(oid) */
	ADMITS_TOMBSTONE, /* soft_delete.admits_tombstone(oid) */
	WANTS_ROW,		  /* soft_delete.wants_row(text, boolean) */
	REFERENCE_GUARD,  /* soft_delete.check_reference() */
	N_EXTENSION_FUNCTIONS
} ExtensionFunction;

extern bool show_deleted;

extern void init_tag(void);
extern Oid extension_function(ExtensionFunction which);
extern AttrNumber tombstone_attribute(Relation rel);
extern const char *qualified_name(Oid relid);
extern bool is_maintenance(Oid relid);

/*
 * filter.c: planned scans of tagged tables see live rows
 */
extern void init_filter(void);

/*
 * write.c: statements that write meet the partial indexes and the guard
 */
extern void init_write(void);

/*
 * copy.c: COPY of a tagged table
 */
extern PlannedStmt *copy_live_rows(PlannedStmt *pstmt);

/*
 * stamp.c: one stamp per client statement
 */
extern void init_stamp(void);
extern TimestampTz deletion_stamp(void);

/*
 * version.c: the next version of a row that dies or comes back
 */
typedef struct VersionBuilder
{
	Oid relid;			  /* the relation it was made for */
	AttrNumber attnum;	  /* its tombstone column */
	EState *estate;		  /* evaluates the expressions below */
	TupleTableSlot *slot; /* the version under construction */
	List *generated;	  /* GeneratedColumn that read the tombstone */
	List *checks;		  /* TombstoneCheck that read the tombstone */
	int nindexes;		  /* indexes that hold tombstones */
	Oid *indexes;
	IndexInfo **index_infos;
} VersionBuilder;

extern VersionBuilder *make_version_builder(Relation rel, AttrNumber attnum,
											MemoryContext context);
extern TupleTableSlot *build_version(VersionBuilder *builder, Relation rel,
									 TupleTableSlot *old, Datum stamp, bool isnull);
extern void insert_tombstone_index_entries(VersionBuilder *builder,
										   Relation rel, TU_UpdateIndexes which);
extern bool index_hides_tombstones(Relation index, AttrNumber attnum);

/*
 * delete.c: the tag trigger and the table-AM callback it arms
 */
extern void init_delete(void);

#endif /* SOFT_DELETE_H */
