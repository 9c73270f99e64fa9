/*
 * sd_storage.h
 *	  Where tombstones are, and the stamp that they carry.
 *
 * A tombstone is in its table or aside from it.  Whoever lists, restores, holds,
 * purges or erases tombstones asks the functions of storage.c, and knows neither.
 */
#ifndef SD_STORAGE_H
#define SD_STORAGE_H

#include "access/tableam.h"
#include "catalog/sd_catalog.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "utils/snapshot.h"

/*
 * stamp.c: one stamp per client statement
 */
extern void init_stamp(void);
extern void begin_statement(void);
extern void enter_statement(void);
extern void leave_statement(void);
extern TimestampTz deletion_stamp(void);
extern bool deletion_is_running(void);

/*
 * ledger.c: one row per deletion, whose key makes stamps unique
 */
extern void init_ledger(void);
extern bool enter_deletion(TimestampTz stamp);
extern text *deletion_text(TimestampTz stamp, const char *column);

/*
 * row_version.c: the next version of a row that is deleted or restored, or whose key changes
 */
typedef struct TombstoneIndex
{
	Oid relid;
	IndexInfo *info;
	bool is_unchanged; /* the tombstone's key is that of the live row */
} TombstoneIndex;

typedef struct VersionBuilder
{
	Oid relid;	/* the relation it was made for */
	int nattrs; /* the columns that change */
	AttrNumber *attnums;
	Bitmapset *changed; /* these and what is computed from them, as pull_varattnos() numbers */
	EState *estate;		  /* evaluates the expressions below */
	TupleTableSlot *slot; /* the version under construction */
	List *generated;	  /* GeneratedColumn that read what changes */
	List *checks;		  /* AffectedCheck that read what changes */
	int nindexes;		  /* indexes that hold tombstones */
	TombstoneIndex *indexes;
} VersionBuilder;

extern VersionBuilder *make_version_builder(Relation rel, int nattrs,
											const AttrNumber *attnums,
											MemoryContext context);
extern TupleTableSlot *build_version(VersionBuilder *builder, Relation rel,
									 TupleTableSlot *old, const Datum *values,
									 const bool *nulls);
extern TupleTableSlot *write_version(VersionBuilder *builder,
									 ResultRelInfo *relinfo, ItemPointer tid,
									 TupleTableSlot *old, const Datum *values,
									 const bool *nulls, List **recheck);
extern void find_tombstone_indexes(VersionBuilder *builder, Relation rel,
								   AttrNumber tombstone);
extern TM_Result write_tombstone(VersionBuilder *builder, Relation rel,
								 ItemPointer tid, TupleTableSlot *old, CommandId cid,
								 Snapshot snapshot, Snapshot crosscheck,
								 bool wait, TM_FailureData *tmfd);
extern bool index_hides_tombstones(Relation index, AttrNumber attnum);
extern bool tests_null(Node *expr, AttrNumber attnum, NullTestType type);

/*
 * storage.c: the interface to where tombstones are
 */
typedef enum StorageKind
{
	IN_PLACE, /* in the table, by its tombstone column */
	ASIDE,	  /* in soft_delete_internal.displaced */
	N_STORAGES
} StorageKind;

/* A tombstone, and where it is */
typedef struct Tombstone
{
	StorageKind storage;
	ItemPointerData tid; /* there */
	TimestampTz stamp;
} Tombstone;

/* A place in a relation, as a hash key: no padding may stay unset */
typedef struct RowIdentity
{
	Oid relid;
	ItemPointerData tid;
	uint16 padding;
} RowIdentity;

/* How far a scan has come */
typedef struct ScanPosition
{
	bool is_set;
	TimestampTz stamp;
	ItemPointerData tid; /* in the index */
	Oid file;
	bool has_whole_stamp; /* it goes on after all of that stamp */
} ScanPosition;

/* The tombstones of a table that are older than the limit, oldest first */
typedef struct TombstoneScan
{
	Relation rel;
	StorageKind storage;
	TimestampTz limit;
	Oid file;		   /* that the places are in */
	bool is_resumable; /* it can be ended before its end, and go on later, */
	bool is_by_place; /* after any tombstone; else after the last one of a stamp */
	Tombstone current;
	ItemPointerData place; /* of the current one, to go on from */
	TransactionId xmin;	   /* who wrote that version */
	void *state;
} TombstoneScan;

/* Makes room for a row in the indexes of its table, before it is entered */
typedef void (*MakeRoom)(Relation rel, TupleTableSlot *slot);

/* What a storage does; the comments are at the functions of storage.c */
typedef struct StorageRoutine
{
	const char *sample;	 /* of soft_delete.rows(), which reads its tombstones */
	bool may_share_keys; /* other rows of the table may have their keys */
	bool (*may_have_any)(Oid relid);
	bool (*lock)(Relation rel, Tombstone *tombstone, const TimestampTz *stamp,
				 TupleTableSlot *slot);
	bool (*peek)(Relation rel, Tombstone *tombstone, TupleTableSlot *slot);
	void (*fetch)(Relation rel, const Tombstone *tombstone, TupleTableSlot *slot);
	bool (*is_version)(Relation rel, const Tombstone *tombstone, Oid file,
					   TransactionId xmin, Snapshot snapshot, TupleTableSlot *slot);
	TupleTableSlot *(*restore)(ResultRelInfo *relinfo, VersionBuilder *builder,
							   Tombstone *tombstone, TupleTableSlot *old,
							   MakeRoom make_room, List **recheck);
	TM_Result (*destroy)(Relation rel, const Tombstone *tombstone, bool waits);
	void (*begin_scan)(TombstoneScan *scan, const ScanPosition *position);
	bool (*next)(TombstoneScan *scan);
	void (*end_scan)(TombstoneScan *scan);
} StorageRoutine;

extern Oid locate_tombstone(Oid relid, ItemPointer tid, Tombstone *tombstone);
extern RowIdentity tombstone_identity(Oid relid, const Tombstone *tombstone);
extern const char *sample_of(StorageKind storage, bool with_live);
extern bool has_tombstones(StorageKind storage, Oid relid);
extern bool shares_keys(const Tombstone *tombstone);
extern bool lock_tombstone(Relation rel, Tombstone *tombstone,
						   const TimestampTz *stamp, TupleTableSlot *slot);
extern bool peek_tombstone(Relation rel, Tombstone *tombstone, TupleTableSlot *slot);
extern void fetch_tombstone(Relation rel, const Tombstone *tombstone,
							TupleTableSlot *slot);
extern bool is_tombstone_version(Relation rel, const Tombstone *tombstone,
								 Oid file, TransactionId xmin,
								 Snapshot snapshot, TupleTableSlot *slot);
extern TupleTableSlot *restore_tombstone(ResultRelInfo *relinfo,
										 VersionBuilder *builder,
										 Tombstone *tombstone, TupleTableSlot *old,
										 MakeRoom make_room, List **recheck);
extern void destroy_tombstone(Relation rel, const Tombstone *tombstone);
extern TM_Result destroy_tombstone_unless_locked(Relation rel,
												 const Tombstone *tombstone);
extern TombstoneScan *begin_tombstone_scan(Relation rel, StorageKind storage,
										   TimestampTz limit,
										   const ScanPosition *position);
extern bool next_tombstone(TombstoneScan *scan);
extern void end_tombstone_scan(TombstoneScan *scan);

/*
 * in_place.c: tombstones in their table
 */
extern const StorageRoutine in_place_storage;

extern bool fetch_version_at(Relation rel, ItemPointer tid, TupleTableSlot *slot);
extern bool lock_newest(Relation rel, ItemPointer tid, TupleTableSlot *slot);
extern bool index_has_tombstones(Relation index, AttrNumber attnum);
extern Relation open_bin_index(Relation rel, AttrNumber attnum);
extern void init_stamp_key(struct ScanKeyData *key, Relation index, int n,
						   StrategyNumber strategy, TimestampTz stamp);

/*
 * aside.c: tombstones that stepped aside
 */
extern const StorageRoutine aside_storage;

extern Oid displaced_from(ItemPointer tid);
extern void keep_aside(Relation rel, AttrNumber attnum, TupleTableSlot *slot);
extern void destroy_all_aside(Oid relid);

/* The columns of soft_delete_internal.displaced */
enum
{
	DISPLACED_RELATION = 1,
	DISPLACED_STAMP,
	DISPLACED_ROW,
	DISPLACED_TYPES,
	N_DISPLACED_COLUMNS = DISPLACED_TYPES
};

typedef struct DisplacedReader DisplacedReader;

extern DisplacedReader *make_displaced_reader(Relation rel);
extern void read_displaced(DisplacedReader *reader, HeapTuple tuple,
						   TupleDesc tupdesc, TupleTableSlot *slot);

/*
 * aside_scan.c: queries read them
 */
extern void init_aside_scan(void);
extern bool samples_aside(RangeTblEntry *rte);

/*
 * index_method.c: the index whose use loads the library
 */
extern bool has_own_method(Relation index);

#endif /* SD_STORAGE_H */
