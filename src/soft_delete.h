/*
 * soft_delete.h
 *	  What the files of the extension share, one section per file.
 */
#ifndef SOFT_DELETE_H
#define SOFT_DELETE_H

#include "postgres.h"

#include "access/tableam.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

#include "compat.h"

#define EXTENSION_NAME "soft_delete"
/* The trigger that is the tag */
#define TAG_NAME "~soft_delete"
/* What people call and what dumps name is in the one schema, the rest in the other */
#define EXTENSION_SCHEMA "soft_delete"
#define INTERNAL_SCHEMA "soft_delete_internal"

/*
 * Return twice a number of rows, for an array that grows.  Raises 54000 where there
 * are more than an integer counts.
 */
static inline int
doubled(int n)
{
	if (n > INT_MAX / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot handle more than %d rows at once", INT_MAX / 2)));
	return n * 2;
}

/*
 * membership.c: the extension's own functions and relations
 */

/* Functions of the extension that C code looks up by name. */
typedef enum ExtensionFunction
{
	TAG_TRIGGER,	  /* soft_delete.delete_row() */
	SAMPLING_METHOD,  /* soft_delete.rows(internal) */
	SHOWS_TOMBSTONES, /* soft_delete_internal.shows_tombstones(oid) */
	ADMITS_TOMBSTONE, /* soft_delete.admits_tombstone(oid) */
	WANTS_ROW,		  /* soft_delete_internal.wants_row(text, boolean) */
	REFERENCE_GUARD,  /* soft_delete_internal.check_parent() */
	KEY_FOLLOWER,	  /* soft_delete_internal.on_update_key() */
	CUT_NOTE,		  /* soft_delete_internal.record_set_null() */
	BIN_UPDATE,		  /* soft_delete.restore_row() */
	BIN_STATEMENT,	  /* soft_delete.finish_bin() */
	KEY_CLAIM,		  /* soft_delete.claim_key() */
	CLAIMS_KEY,		/* soft_delete_internal.claims_key(oid, record, internal) */
	TRUNCATE_GUARD, /* soft_delete.guard_truncate() */
	SHOWS_STATISTICS, /* soft_delete_internal.shows_statistics(oid) */
	VIEW_IS_CHANGING, /* soft_delete_internal.is_changing() */
	INDEX_HANDLER,	  /* soft_delete_internal.btree_handler(internal) */
	SPARES_HELD,	  /* soft_delete_internal.spares_held(oid, tid, internal) */
	N_EXTENSION_FUNCTIONS
} ExtensionFunction;

extern void init_membership(void);
extern Oid extension_oid(void);
extern Oid extension_owner(void);
extern bool is_extension_member(Oid classid, Oid objid);
extern Oid extension_function(ExtensionFunction which);
extern Oid needed_function(ExtensionFunction which);
extern bool is_lost_function(Oid function, ExtensionFunction which);
extern Oid extension_relation(const char *name);

/*
 * entry.c: where callers enter the extension
 */

/* Beside the server's bits of the security context: our own code runs */
#define SECURITY_OWN_CODE 0x4000

/* A call from outside, until it returns */
typedef struct Entry
{
	Oid roleid; /* who was at work, and is again when it returns */
	int sec_context;
	Oid caller; /* who had the say when the outermost of our code was called */
	int caller_context;
	char *search_path;
	struct Entry *outer;
} Entry;

/* Who was at work before become_owner() and its like */
typedef struct SavedRole
{
	Oid roleid;
	int sec_context;
	int nestlevel; /* of settings, or 0 */
} SavedRole;

extern void enter(Entry *entry);
extern void leave(const Entry *entry);
extern Oid calling_role(void);
extern bool is_caller(Oid roleid);
extern bool caller_is_session_role(void);
extern void become_caller(SavedRole *saved);
extern void announce_own_command(bool comes);
extern bool begin_command(void);
extern void end_command(bool before);
extern bool command_is_own(void);
extern void call_internal(const char *name, int nargs, Oid *argtypes, Datum *values);

/*
 * owner.c: acting as the owner of a relation
 */

extern void become_owner(Relation rel, SavedRole *saved);
extern void become_restricted(Oid roleid, bool is_temporary, SavedRole *saved);
extern void become_owner_of(Oid relid, SavedRole *saved);
extern void become_owner_to_write(Oid relid, SavedRole *saved);
extern void end_owners_write(Oid relid, const SavedRole *saved);
extern void become_owner_for_reference(Oid relid, SavedRole *saved);
extern void restore_role(const SavedRole *saved);

/*
 * tag.c: which relation is tagged, and who is exempt
 */
extern uint64 relcache_changes;

extern void init_tag(void);
extern bool shows_deleted(void);
extern AttrNumber tombstone_attribute(Relation rel);
extern List *tag_arguments(Oid relid);
extern List *trigger_arguments(Relation triggers, HeapTuple tuple);
extern void check_relation_exists(Oid relid);
extern Relation open_given_table(Oid relid, LOCKMODE lockmode);
extern bool is_tagged(Oid relid);
extern const char *tombstone_name(Oid relid);
extern const char *qualified_name(Oid relid);
extern bool is_maintenance(Oid relid);
extern bool wants_whole_tables(void);
extern bool reads_tombstones(Oid relid);
extern void admit_tombstone(Oid relid);

/*
 * filter.c: planned scans of tagged tables see live rows
 */
extern void init_filter(void);
extern bool may_see_tombstones(Oid relid, Oid roleid);
extern bool set_foreign_key_is_added(bool is_added);

/*
 * index_method.c: the index whose use loads the library
 */
extern bool is_guard_index(Relation index);

/*
 * statistics.c: what they know of deleted rows
 */
extern Expr *statistics_filter(RelOptInfo *rel, Oid relid);
extern void guard_statistics(PlannerInfo *root, RangeTblEntry *rte);
extern void forget_operators(void);

/*
 * write.c: statements that write meet the partial indexes and the guard
 */
extern void init_write(void);
extern bool is_prepared_by_hook(void);
extern void check_late_upserts(PlannedStmt *stmt);
extern void refuse_late_write(Relation relation);

/*
 * displaced.c: tombstones that stepped aside
 */
extern void init_displaced(void);
extern int begin_text_form(void);
extern int begin_key_form(void);
extern void end_text_form(int nestlevel);
extern void store_displaced(Relation rel, AttrNumber attnum, TupleTableSlot *slot);
extern bool samples_displaced(RangeTblEntry *rte);
extern Oid displaced_from(ItemPointer tid);
extern bool lock_displaced(Relation rel, ItemPointer tid,
						   const TimestampTz *stamp, TimestampTz *found);
extern void fetch_displaced(Relation rel, ItemPointer tid, TupleTableSlot *slot);
extern void destroy_displaced(ItemPointer tid);
extern bool has_displaced(Oid relid);
extern void destroy_all_displaced(Oid relid);

typedef struct DisplacedRow
{
	ItemPointerData tid;
	TimestampTz stamp;
	TransactionId xmin; /* who wrote it */
} DisplacedRow;

extern List *displaced_before(Oid relid, TimestampTz limit, Oid *storage);
extern bool is_displaced_version(Oid storage, ItemPointer tid, TransactionId xmin,
								 Snapshot snapshot);
extern TM_Result destroy_displaced_unless_locked(ItemPointer tid);

/*
 * displace.c: tombstones step aside
 */
extern void free_keys(Relation rel, TupleTableSlot *slot);
extern void arm_keys(Relation rel);

/*
 * stand_in.c: constraints whose name a unique index has
 */
extern void infer_stand_in(Query *query, Relation relation, AttrNumber attnum);

/*
 * utility.c: utility commands that mean something else on a tagged table
 */
extern void init_utility(void);

/*
 * schema.c: tags of whole schemas, and of partitions that come
 */
extern void prepare_partitions(AlterTableStmt *stmt);

/*
 * concern.c: whether a command has anything to do with what is tagged
 */
extern bool has_row(const char *table);

/*
 * copy.c: COPY of a tagged table
 */
extern PlannedStmt *copy_live_rows(PlannedStmt *pstmt);

/*
 * truncate.c: TRUNCATE of a tagged table
 */
extern void init_truncate(void);
extern PlannedStmt *truncate_softly(PlannedStmt *pstmt);
extern bool was_truncated(Oid relid);

/*
 * ddl.c: commands that change tagged tables
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
extern bool append_row(Relation rel, Datum *values, bool *nulls);
extern void remove_row(Relation rel, ItemPointer tid);
extern text *deletion_text(TimestampTz stamp, const char *column);

/*
 * version.c: the next version of a row that dies, comes back or follows a key
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
 * index_definition.c: indexes as the catalogs have them
 */
extern bool input_calls_users(Oid type);

/*
 * foreign_key.c: what foreign keys say, in SQL and in errors
 */
typedef struct ForeignKey
{
	Oid constraint;
	Oid top; /* the one that was declared, of which a partition's is a copy */
	bool is_parent_copy; /* a copy for a partition of the referenced table */
	Oid child;
	Oid parent;
	char on_delete; /* FKCONSTR_ACTION_... */
	char on_update;
	bool is_deferrable;
	bool is_deferred; /* initially */
	int nkeys;
	AttrNumber child_attnums[INDEX_MAX_KEYS];
	AttrNumber parent_attnums[INDEX_MAX_KEYS];
	Oid operators[INDEX_MAX_KEYS];		  /* parent key = child key */
	Oid parent_operators[INDEX_MAX_KEYS]; /* parent key = parent key */
	Oid child_operators[INDEX_MAX_KEYS];  /* child key = child key */
} ForeignKey;

extern ForeignKey *load_foreign_key(Oid constraint);
extern List *foreign_keys_to(Relation parent);
extern List *foreign_keys_from(Relation child);
extern void append_side(StringInfo query, Oid relid, const char *alias,
						const char *which);
extern void append_key_match(StringInfo query, const ForeignKey *fk,
							 const char *parent, const AttrNumber *parent_attnums,
							 const char *child, const AttrNumber *child_attnums);
extern uint64 execute_as_owner(Oid relid, const char *query, int nargs,
							   Oid *argtypes, Datum *values, int expected);
extern bool columns_equal(int n, const AttrNumber *attnums, TupleTableSlot *old,
						  TupleTableSlot *new);
extern bool has_primary_key(Oid relid);
extern int primary_key(Oid relid, AttrNumber *attnums);
extern char *key_condition(int nkeys, Oid named, const AttrNumber *named_attnums,
						   TupleTableSlot *row, const AttrNumber *row_attnums);
extern char *key_description(int nkeys, TupleTableSlot *row,
							 const AttrNumber *attnums);
extern Datum text_array(TupleTableSlot *row, int n, const AttrNumber *attnums);
extern Datum primary_key_text(Oid relid, TupleTableSlot *row);
extern char *bin_name(Oid relid);
extern bool may_read(Oid relid, int n, const AttrNumber *attnums);
extern bool may_read_tombstones(Oid relid, int n, const AttrNumber *attnums);

/*
 * guard.c: the triggers that foreign keys need
 */
extern void check_called_as_guard(FunctionCallInfo fcinfo,
								  ExtensionFunction function, const char *name);

/*
 * family.c: tombstones that must come back, or go, together
 */
/* A row's identity, as a hash key: no padding may stay unset */
typedef struct RowIdentity
{
	Oid relid;
	ItemPointerData tid;
	uint16 padding;
} RowIdentity;

typedef struct Member
{
	ItemPointerData tid; /* of the newest version, which is locked */
	TimestampTz stamp;
	Oid via;		   /* the foreign key that brought it in, if one did */
	bool is_displaced; /* tid is in soft_delete_internal.displaced */
	bool is_childless; /* leave_children(): by the foreign key at hand */
} Member;

/* The members in one relation */
typedef struct Lot
{
	Oid relid;
	int nmembers;
	int nallocated;
	int ncomplete; /* the first so many have brought in their children */
	Member *members;
} Lot;

typedef struct Family
{
	bool is_purge; /* else a restore */
	MemoryContext context;
	List *lots;
	struct HTAB *known; /* rows of this family, and of its sibling */
	List *blockers;		/* rows that reference members and have not joined */
} Family;

/* The name that queries know members by: columns k1, k2, ..., stamp, member */
#define FAMILY_MEMBERS "soft_delete_members"

extern Family *make_family(bool is_purge, Family *sibling, MemoryContext context);
extern bool join_family(Family *family, Relation rel, ItemPointer tid,
						const TimestampTz *stamp, Oid via);
extern bool join_displaced(Family *family, Relation rel, ItemPointer tid,
						   const TimestampTz *stamp, Oid via);
extern bool lock_tombstone(Relation rel, ItemPointer tid, const TimestampTz *stamp,
						   TimestampTz *found, TupleTableSlot *slot);
extern bool fetch_version_at(Relation rel, ItemPointer tid, TupleTableSlot *slot);
extern bool lock_newest(Relation rel, ItemPointer tid, TupleTableSlot *slot);
extern void complete_family(Family *family);
extern Tuplestorestate *register_members(Lot *lot, Relation rel, int nkeys,
										 const AttrNumber *attnums, int first,
										 Oid except);
extern void leave_children(Lot *lot, Relation rel, const ForeignKey *fk);
extern void fetch_member(Relation rel, Member *member, TupleTableSlot *slot);

/*
 * hold.c: what must not be destroyed
 */
typedef enum HoldScope
{
	HOLD_ON_ROW,
	HOLD_ON_DELETION, /* what it took from a table */
	HOLD_ON_TABLE
} HoldScope;

typedef struct Hold
{
	HoldScope scope;
	Oid relid; /* where it says so: the table, or one above */
	char *text;
} Hold;

extern void lock_holds(List *relids, LOCKMODE lockmode);
extern bool lock_holds_unless_busy(Oid relid, LOCKMODE lockmode);
extern bool has_holds(Oid relid);
extern bool any_hold(Relation holds, Snapshot snapshot);
extern const char *hold_of(Relation rel, TimestampTz stamp, TupleTableSlot *row);
extern bool find_hold_on(Relation rel, TimestampTz stamp, TupleTableSlot *row,
						 Snapshot snapshot, Hold *hold);
extern void refuse_held(Family *family);
extern void refuse_held_table(Relation rel, const char *action);
extern void lift_all_holds(Oid relid, const char *name);
extern bool hold_row(Relation rel, ItemPointer tid, bool is_displaced,
					 TimestampTz stamp, const char *hold);
extern List *with_ancestors(Oid relid);
extern void collect_held_keys(Lot *lot, struct HTAB *keys);
extern void erase_held_keys(struct HTAB *keys);
extern void move_hold(Relation rel, TimestampTz stamp, TupleTableSlot *old,
					  TupleTableSlot *new);

/*
 * columns.c: what a bin shows beside the columns of its table
 */
typedef enum BinColumn
{
	BIN_DELETED_BY,
	BIN_ACTOR,
	BIN_REASON,
	BIN_HOLD,
	N_BIN_COLUMNS
} BinColumn;

extern Oid owner_of(Oid relid);
extern Oid bin_of(Oid relid);
extern AttrNumber bin_column(Oid bin, BinColumn which);
extern bool may_use_bin(Oid relid, BinColumn which, AclMode mode);

/*
 * retention.c: who waits for whom about how long deleted rows are kept
 */
extern void share_retention(Oid relid);

/*
 * fault.c: errors that an owner's functions raise
 */
extern bool is_raised(const ErrorData *error);
extern void throw_owners_error(MemoryContext context);
extern ErrorData *end_failed_subtransactions(int nestlevel, MemoryContext context,
											 ResourceOwner owner);

/*
 * due.c: tombstones whose time has come, in the order in which they can go
 */

/* A table with its partitions and children, and what has become of its due rows */
typedef struct Root
{
	Oid relid;
	bool has_limit; /* else all stays */
	TimestampTz limit;
	uint64 purged;
	uint64 held;
	uint64 referenced;
	uint64 locked;
	TimestampTz oldest; /* of those purged */
	TimestampTz newest;
	TimestampTz started;
	bool is_logged;
} Root;

/* A table that holds rows */
typedef struct Leaf
{
	Oid relid;
	Root *root;
	bool is_open; /* then: */
	Relation rel; /* NULL if there is nothing to do */
	TupleTableSlot *slot;
	bool has_holds; /* on it, or on something in it */
	Oid storage; /* the file that it was read from */
	Oid displaced_storage; /* and that of what stepped aside */
	TransactionId xmin; /* of the snapshot that it was first read with */
	TimestampTz limit;	/* the least one that it was read with */
	bool has_left;		/* a due row of it has not been destroyed */
} Leaf;

typedef struct DueRow
{
	TimestampTz stamp;
	Leaf *leaf;
	ItemPointerData tid;
	bool is_displaced;	/* tid is in soft_delete_internal.displaced */
	bool stays;			/* something that stays references it */
	bool is_refused;	/* it stays of itself */
	TransactionId xmin; /* who wrote the version at that place */
	int edges; /* the first of those that say what it references, or -1 */
} DueRow;

typedef struct Edge Edge;

typedef struct Walk
{
	MemoryContext context;
	bool is_dry; /* nothing is destroyed, but imagined to be */
	int nroots;
	Root *roots;
	List *members; /* their OIDs, and those of all partitions and children */
	int nleaves;
	Leaf *leaves;
	bool is_referenced; /* by foreign keys */

	/* how far reading has come */
	int reading;	   /* the leaf that is being read */
	bool has_position; /* reading it goes on after: */
	TimestampTz stamp;
	ItemPointerData tid;
	bool has_whole_stamp; /* after all of that stamp, whatever their places */
	bool is_complete;	  /* there is no more to read */

	/* the rows that have been read, and how far they are done */
	MemoryContext rows_context;
	DueRow *rows;
	int nrows;
	int nallocated;
	bool is_fresh; /* they are as the active snapshot has them */
	int *order; /* NULL: as they are */
	int next;
	int first_circular; /* from here on they can only go all at once */
	Edge *edges;
	int nedges;
	int nedges_allocated;
	struct HTAB *known; /* the rows by place, where they are asked for */
} Walk;

extern Walk *begin_walk(int nroots, const Oid *roots);
extern void read_on(Walk *walk, int batch_size);
extern DueRow *nth_due(Walk *walk, int n);
extern Relation open_leaf(Leaf *leaf, Oid caller);
extern bool fetch_due(Relation rel, DueRow *row, Snapshot snapshot,
					  TupleTableSlot *slot);
extern void keep_due(Walk *walk, int number);
extern Relation open_bin_index(Relation rel, AttrNumber attnum);
extern void init_stamp_key(struct ScanKeyData *key, Relation index, int n,
						   StrategyNumber strategy, TimestampTz stamp);

/*
 * purge.c: destroys them, batch by batch
 */
extern void init_purge(void);
extern bool is_imagined_gone(const RowIdentity *row);

/*
 * prune.c: the ledger forgets deletions that have no rows left
 */
extern void remember_emptied(Oid relid, TransactionId xmin, TimestampTz limit);
extern void forget_emptied_tables(void);

/*
 * worker.c: a background worker purges
 */
extern void init_worker(void);

/*
 * bin.c: the view of tombstones
 */
extern void check_bin_query(MemoryContext context);
extern uint64 purge_family(Family *family);

/*
 * follow.c: deleted children follow a change of the key that they reference
 */
extern void refuse_to_strand(Relation parent, TupleTableSlot *old);

/*
 * link.c: references that a deletion cuts and a restore mends
 */
extern void relink_references(Lot *lot);
extern void collect_cut_keys(Lot *lot, struct HTAB *keys);
extern void erase_cuts(struct HTAB *keys);

/*
 * erase.c: rows go for good, with what is known about them
 */
extern bool key_in_set(struct HTAB *keys, Oid of, Datum key, bool add);

/*
 * delete.c: the tag trigger and the table-AM callback it arms
 */
extern void init_delete(void);

/*
 * extension.c: the extension stays where tables are tagged
 */
extern void init_extension(void);
extern void refuse_schema_rename(const RenameStmt *stmt);

#endif /* SOFT_DELETE_H */
