/*
 * sd_storage.h
 *	  Where tombstones are stored, and the stamps that they have.
 *
 * A tombstone is in its table or in the companion of its table.  Code that lists, restores, holds, purges or erases tombstones calls
 * the functions of storage.c, and does not depend on which it is.
 */
#ifndef SD_STORAGE_H
#define SD_STORAGE_H

#include "access/tableam.h"
#include "catalog/sd_catalog.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/snapshot.h"

/*
 * stamp.c: one stamp per client statement that deletes
 */
extern void init_stamp(void);
extern void begin_statement(void);
extern void enter_statement(void);
extern void leave_statement(void);
extern void end_statement(void);
extern TimestampTz deletion_stamp(Oid relid);
extern bool deletion_is_running(void);

/*
 * counter.c: how many rows a deletion deletes
 */
extern void init_counter(void);
extern void count_deleted(TimestampTz stamp, Oid relid, int rows);
extern void record_counts(void);

/*
 * actor.c: on whose behalf the application deletes
 */
extern void init_actor(void);
extern const char *current_actor(void);

/*
 * ledger.c: one row per deletion, whose key makes stamps unique
 */
/* What becomes of rows */
#define EVENT_OF_DELETION "deleted"
#define EVENT_OF_RESTORE "restored"
#define EVENT_OF_PURGE "purged"
#define EVENT_OF_ERASURE "erased"

extern void init_ledger(void);
extern const char *recorded_name(Oid relid);
extern bool record_deletion(TimestampTz stamp, Oid relid);

/* What has become of rows of a deletion in one table */
typedef struct Event
{
	TimestampTz stamp;
	const char *table_name;
	int64 rows;
	ArrayType *key_hashes; /* of the primary key of each row (bigint[]), or NULL */
	Oid owner; /* of the table, if there are hashes, or InvalidOid */
} Event;

extern void record_events(const char *event, const Event *events, int n,
						  TimestampTz happened_at);

/*
 * tally.c: how many rows are restored, purged or erased
 */
extern struct HTAB *make_tally(void);
extern void tally_row(struct HTAB *tally, Oid relid, TimestampTz stamp);
extern void tally_rows(struct HTAB *tally, Oid relid, TimestampTz stamp, int64 rows);
extern void tally_key(struct HTAB *tally, Oid relid, TimestampTz stamp,
					  TupleTableSlot *row);
extern void record_tally(struct HTAB *tally, const char *event);
extern TimestampTz ledger_limit(void);
extern text *deletion_text(TimestampTz stamp, const char *column);

/*
 * truncation.c: which tombstones TRUNCATE has made
 */
extern void record_truncation(Oid relid);
extern bool any_truncation(void);
extern bool deleted_by_truncate(Oid relid, TimestampTz stamp);

/*
 * row_version.c: next versions of rows that are deleted, restored or get a new key
 */
/* An index that tombstones must be inserted into */
typedef struct TombstoneIndex
{
	Oid relid;		 /* the index */
	IndexInfo *info; /* its predicate without what is true for every tombstone */
	bool is_unchanged; /* the tombstone's key is that of the live row */
} TombstoneIndex;

/* What building versions of rows needs */
typedef struct VersionBuilder
{
	Oid relid;			 /* the relation that it was made for */
	int nattrs;			 /* number of the columns that are given new values */
	AttrNumber *attnums; /* these columns */
	const Bridge *bridge; /* of a table, if its column is the last one of these */
	Bitmapset *changed; /* these and generated columns that read them, as of pull_varattnos() */
	EState *estate;		  /* evaluates the expressions below */
	TupleTableSlot *slot; /* the version that is being built */
	List *generated;	  /* GeneratedColumn that read changed columns */
	List *checks;		  /* AffectedCheck that read changed columns */
	int nindexes;		  /* length of "indexes" */
	TombstoneIndex *indexes;
} VersionBuilder;

extern VersionBuilder *make_version_builder(Relation rel, int nattrs,
											const AttrNumber *attnums,
											MemoryContext context);
extern VersionBuilder *make_tombstone_builder(Relation rel, MemoryContext context);
extern TupleTableSlot *build_live_version(VersionBuilder *builder, Relation rel,
										  TupleTableSlot *old);
extern TupleTableSlot *build_version(VersionBuilder *builder, Relation rel,
									 TupleTableSlot *old, const Datum *values,
									 const bool *nulls);
extern TupleTableSlot *write_version(VersionBuilder *builder,
									 ResultRelInfo *relinfo, ItemPointer tid,
									 TupleTableSlot *old, const Datum *values,
									 const bool *nulls, List **recheck);
extern bool is_kept_from_decoding(Relation rel);
extern TupleTableSlot *write_live_version(VersionBuilder *builder,
										  ResultRelInfo *relinfo, ItemPointer tid,
										  TupleTableSlot *old, List **recheck);
extern void find_tombstone_indexes(VersionBuilder *builder, Relation rel,
								   AttrNumber tombstone);
extern TM_Result write_tombstone(VersionBuilder *builder, Relation rel,
								 ItemPointer tid, TupleTableSlot *old, CommandId cid,
								 Snapshot snapshot, Snapshot crosscheck,
								 bool wait, TM_FailureData *tmfd);
extern TM_Result write_stamped(VersionBuilder *builder, Relation rel,
							   ItemPointer tid, TupleTableSlot *old,
							   TimestampTz stamp, CommandId cid,
							   Snapshot snapshot, Snapshot crosscheck,
							   bool wait, TM_FailureData *tmfd);
extern void insert_tombstone_index_entries(VersionBuilder *builder,
										   Relation rel, TU_UpdateIndexes which);
extern List *add_generated_column(List *columns, AttrNumber attnum, Node *expr,
								  EState *estate);
extern void compute_generated_columns(List *columns, EState *estate,
									  TupleTableSlot *slot);
extern bool index_hides_tombstones(Relation index, AttrNumber attnum);
extern TransactionId xmin_of(TupleTableSlot *slot);
extern bool index_hides_tombstones_as_owner(Relation index, AttrNumber attnum);
extern NullTest *make_live_test(Var *column);
extern bool tests_null(Node *expr, AttrNumber attnum, NullTestType type);

/*
 * adopt.c: rows that an application has deleted before their table was bridged
 */
typedef struct Adopter
{
	AttrNumber attnum; /* the tombstone column */
	VersionBuilder *builder;
	TupleTableSlot *row;
} Adopter;

extern Adopter *make_adopter(Relation rel);
extern void free_adopter(Adopter *adopter);
extern bool adopt_row(Relation rel, Adopter *adopter, const ItemPointerData *place);
extern int64 adopt_blocks(Relation rel, BlockNumber first, BlockNumber last);
extern TimestampTz told_time(const Bridge *bridge, TupleTableSlot *row);

/*
 * storage.c: the interface to tombstones, wherever they are stored
 */
/* Where a tombstone is stored */
typedef enum StorageKind
{
	IN_PLACE, /* in the table, by its tombstone column */
	ASIDE,	  /* in the companion of the table */
	N_STORAGES
} StorageKind;

/* A tombstone, and where it is */
typedef struct Tombstone
{
	StorageKind storage;
	Oid month; /* the month of the companion that it is in, or InvalidOid */
	ItemPointerData tid; /* its place in the table, the companion or the month */
	TimestampTz stamp;
} Tombstone;

/* A place in a relation, as a hash key.  All bytes are hashed, padding included. */
typedef struct RowIdentity
{
	Oid relid;
	ItemPointerData tid;
	uint16 padding;
} RowIdentity;

/* The position after which a resumed scan begins */
typedef struct ScanPosition
{
	bool is_set; /* if not, the scan begins with the first tombstone */
	TimestampTz stamp;
	ItemPointerData tid;  /* place of the tombstone in the index */
	Oid file;			  /* relfilenode that the place is in */
	bool has_whole_stamp; /* begin after all tombstones of the stamp? */
} ScanPosition;

/* A scan of the tombstones of a table that are older than a limit, oldest first */
typedef struct TombstoneScan
{
	Relation rel;
	StorageKind storage;
	Oid month; /* of the companion, or InvalidOid for the companion itself */
	TimestampTz limit;
	Oid file;		   /* relfilenode that the places are in */
	bool is_resumable; /* can another scan begin after the position of this one? */
	bool is_by_place; /* after any tombstone?  Else after the last one of a stamp. */
	Tombstone current;	   /* the tombstone that was read last */
	ItemPointerData place; /* its place in the index, for a ScanPosition */
	TransactionId xmin;	   /* xmin of its version */
	void *state;		   /* of the storage */
} TombstoneScan;

/*
 * Called before a row is inserted into its table, to make its keys free in the
 * indexes of the table
 */
typedef void (*MakeRoom)(Relation rel, TupleTableSlot *slot);

/* Functions of a storage, which the functions of storage.c describe */
typedef struct StorageRoutine
{
	const char *sample; /* argument of append_side() that reads its tombstones */
	bool sees_live_rows; /* can a query read live rows with them? */
	bool may_share_keys; /* may other rows of the table have their keys? */
	bool (*may_have_any)(Oid relid);
	bool (*lock)(Relation rel, Tombstone *tombstone);
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
extern List *tombstone_months(StorageKind storage, Oid relid);
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
										   Oid month, TimestampTz limit,
										   const ScanPosition *position);
extern bool next_tombstone(TombstoneScan *scan);
extern void end_tombstone_scan(TombstoneScan *scan);

/*
 * in_place.c: tombstones that are in their table
 */
extern const StorageRoutine in_place_storage;

extern void begin_stamp_scan(TombstoneScan *scan, Relation rel,
							 AttrNumber attnum, const ScanPosition *position);
extern bool next_in_place(TombstoneScan *scan);
extern void end_in_place_scan(TombstoneScan *scan);
extern bool fetch_version_at(Relation rel, ItemPointer tid, TupleTableSlot *slot);
extern bool is_version_at(Relation rel, ItemPointerData tid, Oid file,
						  TransactionId xmin, Snapshot snapshot,
						  TupleTableSlot *slot);
extern TM_Result destroy_version(Relation rel, ItemPointerData tid, bool waits);
extern bool lock_newest_version(Relation rel, ItemPointer tid, TupleTableSlot *slot);
extern bool index_has_tombstones(Relation index, AttrNumber attnum);
extern Relation open_stamp_index(Relation rel, AttrNumber attnum);
extern void init_stamp_key(struct ScanKeyData *key, Relation index, int n,
						   StrategyNumber strategy, TimestampTz stamp);

/*
 * chain.c: who follows the versions of a row ends where it was deleted
 */
extern void init_chain(void);
extern TableAmRoutine *copy_routine(List **copies, const TableAmRoutine *original);
extern TM_Result lock_last_version(Relation rel, ItemPointer tid,
								   TupleTableSlot *slot);

/*
 * aside.c: tombstones that are in the companion of their table
 */
extern const StorageRoutine aside_storage;

typedef struct Keeper Keeper;

extern Relation open_place(Relation rel, const Tombstone *tombstone,
						   LOCKMODE lockmode);
extern Keeper *make_keeper(Relation rel, MemoryContext context);
extern Keeper *make_shards_keeper(Relation rel, Relation bin, const char *stamp,
								  MemoryContext context);
extern void set_unlinked(Keeper *keeper, Datum references);
extern void set_kept_hold(Keeper *keeper, Datum hold);
extern void free_keeper(Keeper *keeper);
extern bool keeps_rows_of(const Keeper *keeper, Relation rel);
extern void keep_aside(Keeper *keeper, Relation rel, TupleTableSlot *row);
extern void insert_kept(Keeper *keeper, TupleTableSlot *row, TimestampTz stamp);
extern bool keep_all_aside(Relation rel);
extern void step_aside(Relation rel, TupleTableSlot *row, TimestampTz stamp);
extern void destroy_all_aside(Relation rel);

/*
 * index_method.c: the access method of the index on stamps, which loads the library
 */
extern bool has_own_method(Relation index);

#endif /* SD_STORAGE_H */
