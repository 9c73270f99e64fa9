/*
 * sd_catalog.h
 *	  Reads the system catalogs: the extension's own objects, the caller and the
 *	  owners of relations, tags, bins, keys and foreign keys.
 *
 * The lowest layer: of our own headers it includes compat.h only.
 */
#ifndef SD_CATALOG_H
#define SD_CATALOG_H

#include "access/attnum.h"
#include "access/htup.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/primnodes.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#include "compat.h"

#define EXTENSION_NAME "soft_delete"
/* Name that tag() gives to the trigger that is the tag */
#define TAG_NAME "~soft_delete"
/*
 * The functions and views for users, and what dumps name, are in the first schema.
 * All else is in the second one.
 */
#define EXTENSION_SCHEMA "soft_delete"
#define INTERNAL_SCHEMA "soft_delete_internal"

/*
 * Return an array of n elements with room for one more.  It is allocated in the
 * context if it is NULL, and enlarged if it is full.  Raises 54000 if the number of
 * elements would not be an integer.
 */
static inline void *
grow_if_full(MemoryContext context, void *array, int n, int *nallocated, Size size)
{
	if (array == NULL)
	{
		*nallocated = 16;
		return MemoryContextAlloc(context, *nallocated * size);
	}
	if (n < *nallocated)
		return array;
	if (n > INT_MAX / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot process more than %d rows at once", INT_MAX / 2)));
	*nallocated *= 2;
	return repalloc_huge(array, *nallocated * size);
}

/*
 * Pointers that are kept until the transaction ends, with what they point to: in memory
 * that goes with it
 */
typedef struct TransactionList
{
	List *items;
	LocalTransactionId lxid;
} TransactionList;

/*
 * Return what this transaction has kept in a list.
 */
static inline List *
kept_items(TransactionList *kept)
{
	if (kept->items != NIL && kept->lxid != my_local_xid())
		kept->items = NIL;
	return kept->items;
}

/*
 * Keep another item in a list until the transaction ends.
 */
static inline void
keep_item(TransactionList *kept, void *item)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopTransactionContext);

	kept->items = lappend(kept_items(kept), item);
	kept->lxid = my_local_xid();
	MemoryContextSwitchTo(oldcontext);
}

/*
 * membership.c: the extension's own functions and relations
 */
/* Functions of the extension that C code needs the OID of */
typedef enum ExtensionFunction
{
	TAG_TRIGGER,	   /* soft_delete.delete_row() */
	SAMPLING_METHOD,   /* soft_delete.rows(internal) */
	SHOWS_TOMBSTONES,  /* soft_delete_internal.shows_tombstones(oid) */
	ADMITS_TOMBSTONE,  /* soft_delete.admits_tombstone(oid) */
	WANTS_ROW,		   /* soft_delete_internal.wants_row(text, boolean) */
	REFERENCE_CHECK,   /* soft_delete_internal.check_parent() */
	ON_UPDATE_TRIGGER, /* soft_delete_internal.on_update_key() */
	SET_NULL_TRIGGER,  /* soft_delete_internal.record_set_null() */
	BIN_UPDATE,		   /* soft_delete.restore_row() */
	BIN_DELETE,		   /* soft_delete.purge_row() */
	BIN_STATEMENT,	   /* soft_delete.finish_bin() */
	KEY_CLAIM,		   /* soft_delete.claim_key() */
	CLAIMS_KEY, /* soft_delete_internal.claims_key(oid, record, internal) */
	TRUNCATE_TRIGGER, /* soft_delete.guard_truncate() */
	SHOWS_STATISTICS, /* soft_delete_internal.shows_statistics(oid) */
	VIEW_IS_CHANGING, /* soft_delete_internal.is_changing() */
	INDEX_HANDLER,	  /* soft_delete_internal.btree_handler(internal) */
	SPARES_HELD,	  /* soft_delete_internal.spares_held(oid, tid, internal) */
	COMPANION_TRIGGER, /* soft_delete.guard_companion() */
	BRIDGE_TRIGGER,	   /* soft_delete.follow_bridge() */
	SEES_ALL_ROWS,	   /* soft_delete_internal.sees_all_rows(oid) */
	HOLD_TRIGGER,	   /* soft_delete_internal.follow_hold() */
	SHARD_TRIGGER,	   /* soft_delete.keep_shard_row() */
	SHARD_BIN_TRIGGER, /* soft_delete.restore_shard_rows() */
	N_EXTENSION_FUNCTIONS
} ExtensionFunction;

extern void init_membership(void);
extern Oid extension_oid(void);
extern bool has_citus(void);
extern Oid extension_owner(void);
extern bool is_extension_member(Oid classid, Oid objid);
extern Oid extension_function(ExtensionFunction which);
extern Oid needed_function(ExtensionFunction which);
extern bool is_removed_function(Oid function, ExtensionFunction which);
extern Oid extension_relation(const char *name);

/*
 * caller.c: the extension's own code, and the role that calls it
 */
/* Our own bit of the security context, not used by the server: our own code runs */
#define SECURITY_OWN_CODE 0x4000

/* A call of the extension that has not returned */
typedef struct ExtensionCall
{
	Oid roleid;		 /* current user before the call, to be restored after it */
	int sec_context; /* its security context */
	Oid caller; /* current user when the outermost call of our own code began */
	int caller_context; /* security context of the caller */
	char *search_path;	/* search_path of the caller */
	struct ExtensionCall *outer;
} ExtensionCall;

/* What become_owner() and similar functions have changed, for restore_role() */
typedef struct SavedRole
{
	Oid roleid;
	int sec_context;
	int nestlevel; /* of changed settings, or 0 if there are none */
} SavedRole;

/* A query of our own that runs as the owner of a table */
typedef struct OwnQuery
{
	const PlannedStmt *statement;
	MemoryContext context; /* of the query, once it has begun */
} OwnQuery;

/* A query of our own that a role runs which need not have the rights for it */
typedef struct LentQuery
{
	const char *text; /* the very string that the plan has */
	Oid roleid;		  /* or InvalidOid: it runs as who has planned it */
	int sec_context;
} LentQuery;

extern void enter_extension(ExtensionCall *call);
extern void leave_extension(const ExtensionCall *call);
extern Oid calling_role(void);
extern Oid acting_role(void);
extern OwnQuery announce_own_query(OwnQuery query);
extern void begin_own_query(const PlannedStmt *statement, MemoryContext context);
extern Oid role_of_query(MemoryContext context);
extern LentQuery lend_to_current_user(void);
extern LentQuery announce_lent_query(LentQuery query);
extern bool begin_lent_query(const char *text, SavedRole *saved);
extern bool is_caller(Oid roleid);
extern const char *callers_search_path(void);
extern bool caller_is_session_role(void);
extern void set_search_path(const char *path);
extern void become_caller(SavedRole *saved);
extern void announce_own_command(bool is_next);
extern bool begin_command(void);
extern void end_command(bool before);
extern bool command_is_own(void);
extern void call_internal(const char *name, int nargs, Oid *argtypes, Datum *values);
extern Oid call_internal_for_relation(const char *name, Oid relid);
extern char *call_internal_for_text(const char *name, Oid relid);
extern int64 call_internal_for_number(const char *name, int nargs,
									  Oid *argtypes, Datum *values);

/*
 * owner_error.c: errors that functions of an owner raise
 */
extern bool is_raised_by_function(const ErrorData *error);
extern void throw_owners_error(MemoryContext context);
extern void throw_error_of_glance(MemoryContext context, bool is_limited);
extern ErrorData *end_failed_subtransactions(int nestlevel, MemoryContext context,
											 ResourceOwner owner, bool is_limited);

/*
 * time_limit.c: how long code of an owner may take
 */
extern void init_time_limit(void);
extern int time_limit_of(Oid relid);
extern bool begin_time_limit(Oid relid);
extern bool begin_glance(Oid relid);
extern bool end_time_limit(bool has_begun);
extern void begin_command_limit(int timeout);
extern bool end_command_limit(void);
extern void throw_late_error(void);

/*
 * relation.c: the name, owner and ancestors of a relation
 */
/* Counts changes of the relation cache.  What was read from it is valid until the next */
extern uint64 relcache_changes;

/* Tells whether a static variable that was set for a relation is still valid */
typedef struct RelationMemo
{
	Oid relid; /* the relation, or InvalidOid if the variable is not set */
	uint64 at; /* value of relcache_changes when it was read */
} RelationMemo;

/*
 * Is what the memo is about valid for the relation?  If not, the caller reads it
 * again, and then calls memo_set(): not before, for reading may fail, or change the
 * relation cache.
 */
static inline bool
memo_holds(RelationMemo *memo, Oid relid)
{
	if (memo->relid == relid && memo->at == relcache_changes)
		return true;
	memo->relid = InvalidOid;
	memo->at = relcache_changes;
	return false;
}

/*
 * Note that what the memo is about was read for the relation, since memo_holds()
 * returned false.
 */
static inline void
memo_set(RelationMemo *memo, Oid relid)
{
	memo->relid = relid;
}

extern void init_relation(void);
extern void check_relation_exists(Oid relid);
extern Relation open_given_table(Oid relid, LOCKMODE lockmode);
extern const char *qualified_name(Oid relid);
extern Oid owner_of(Oid relid);
extern List *with_ancestors(Oid relid);
extern List *with_descendants(Oid relid);
extern void return_oid(FunctionCallInfo fcinfo, Oid oid);
extern Oid find_on_ancestors(Oid relid, Oid (*find_on)(Oid relid));

/*
 * catalog_scan.c: rows of system catalogs
 */
/* As "objsubid": the object and all of its columns */
#define ANY_COLUMN (-1)

/* A scan of a system catalog */
typedef struct CatalogScan
{
	Relation catalog;
	struct SysScanDescData *rows; /* the server's scan */
} CatalogScan;

extern CatalogScan begin_catalog_scan(Oid catalog, Oid index, AttrNumber attnum,
									  Oid value);
extern CatalogScan begin_catalog_scan_by(Oid catalog, Oid index, AttrNumber attnum,
										 Oid value, Snapshot snapshot);
extern CatalogScan begin_trigger_scan(Oid relid);
extern CatalogScan begin_dependents_scan(Oid classid, Oid objid, int objsubid);
extern CatalogScan begin_referenced_scan(Oid classid, Oid objid, int objsubid);
extern HeapTuple next_catalog_row(CatalogScan *scan);
extern void end_catalog_scan(CatalogScan *scan);

/*
 * owner.c: switching to the owner of a relation
 */
extern void become_owner(Relation rel, SavedRole *saved);
extern void become_restricted(Oid roleid, bool is_temporary, SavedRole *saved);
extern void become_owner_of(Oid relid, SavedRole *saved);
extern void become_owner_to_evaluate(Oid relid, SavedRole *saved);
extern void become_owner_to_write(Oid relid, SavedRole *saved);
extern void end_owners_write(Oid relid, const SavedRole *saved);
extern void become_owner_for_reference(Oid relid, SavedRole *saved);
extern void become_owner_for_shard(Oid relid, SavedRole *saved);
extern void restore_role(const SavedRole *saved);
extern bool input_calls_user_functions(Oid type);

/*
 * tagged.c: which relation is tagged, and which role sees its tombstones
 */
/* The argument of the tag of a table whose tombstones are kept in its companion */
#define ASIDE_ARGUMENT "storage:aside"

extern void init_tagged(void);
extern bool shows_deleted(void);
extern AttrNumber tombstone_attribute(Relation rel);
extern Var *column_in_utc(Node *node);
extern char *stamp_expression(const char *alias, Oid relid, const char *column);
extern bool has_tag(Relation rel);
extern bool is_aside_tag(const Trigger *tag);
extern bool tag_is_enabled(Relation rel);
extern bool keeps_aside(Relation rel);
extern bool is_kept_aside(Oid relid);
extern bool is_tagged_in_place(Oid relid);
extern List *tag_arguments(Oid relid);
extern List *in_place_arguments(Oid relid);
extern char *tombstone_name_seen(Oid relid, Snapshot snapshot);
extern List *trigger_arguments(Relation triggers, HeapTuple tuple);
extern bool is_tagged(Oid relid);
extern const char *tombstone_name(Oid relid);
extern bool is_maintenance(Oid relid);
extern bool wants_whole_tables(void);
extern bool reads_tombstones(Oid relid);
extern void admit_tombstone(Oid relid);
extern bool may_see_tombstones(Oid relid, Oid roleid);

/*
 * companion.c: the table that has the tombstones of another
 */
/* Name of the trigger that makes a table a companion */
#define COMPANION_TRIGGER_NAME "~soft_delete_companion"

/* A table for the rows of a companion that were deleted in one month */
typedef struct Month
{
	Oid relid;
	TimestampTz from;
	TimestampTz until; /* the first time that is not in it */
} Month;

extern Oid companion_of(Oid relid);
extern bool is_month(Oid relid);
extern bool gets_months(Oid companion);
extern List *months_of(Oid companion);
extern List *places_of(Oid companion);
extern Oid companions_table(Oid companion);
extern Oid own_companion(Oid relid);
extern Oid tombstones_in(Oid relid);
extern Relation open_companion(Relation rel, LOCKMODE lockmode);
extern AttrNumber stamp_attribute(Relation companion);
extern int allow_companion_writes(int n);
extern bool begin_companion_write(void);

/*
 * bridge.c: the column by which an application deletes softly by itself
 */
/* Name that tag() gives to the trigger that makes a table bridged */
#define BRIDGE_NAME "~soft_delete_bridge"

typedef enum BridgeKind
{
	BRIDGE_FLAG,
	BRIDGE_UNIX,
	BRIDGE_TIME,
	BRIDGE_VALUE
} BridgeKind;

typedef struct Bridge
{
	AttrNumber attnum; /* the column */
	Oid type;
	int32 typmod;
	Oid collation;
	BridgeKind kind;
	int64 per_second; /* of BRIDGE_UNIX: units */
	text *zone;		  /* of BRIDGE_TIME: the time zone of values without one */
	Datum deleted;	  /* of BRIDGE_VALUE: what says deleted */
	Datum live;		  /* what a restored row gets */
	bool live_isnull;
} Bridge;

extern void init_bridge(void);
extern bool sees_all_rows(Oid relid, Oid roleid);
extern bool any_bridge(void);
extern bool is_bridged(Oid relid);
extern Bridge *bridge_of(Relation rel);
extern bool says_deleted(const Bridge *bridge, Datum value, bool isnull);
extern bool row_says_deleted(const Bridge *bridge, TupleTableSlot *row);
extern Datum deleted_value(const Bridge *bridge, TimestampTz time);
extern bool time_of_deletion(const Bridge *bridge, Datum value, TimestampTz *time);

/*
 * bin_of.c: the bin of a table, and which role may use it
 */
/* The columns that a bin has in addition to those of its table */
typedef enum BinColumn
{
	BIN_DELETED_BY,
	BIN_ACTOR,
	BIN_REASON,
	BIN_HOLD,
	BIN_STORED_IN,
	BIN_STORED_PLACE,
	N_BIN_COLUMNS
} BinColumn;

extern Oid bin_of(Oid relid);
extern List *bound_views(Oid relid);
extern AttrNumber bin_column(Oid bin, BinColumn which);
extern bool may_use_bin(Oid relid, BinColumn which, AclMode mode);
extern char *bin_name(Oid relid);
extern bool may_read(Oid relid, int n, const AttrNumber *attnums);
extern bool may_read_tombstones(Oid relid, int n, const AttrNumber *attnums);

/*
 * key.c: primary keys, and keys of rows as text
 */
extern int begin_text_form(void);
extern int begin_key_form(void);
extern void end_text_form(int nestlevel);
extern bool columns_equal(int n, const AttrNumber *attnums, TupleTableSlot *old,
						  TupleTableSlot *new);
extern bool has_primary_key(Oid relid);
extern int primary_key(Oid relid, AttrNumber *attnums);
extern char *exclusion_condition(int nkeys, const Oid *operators,
								 TupleTableSlot *row, const AttrNumber *attnums);
extern char *key_condition(int nkeys, Oid named, const AttrNumber *named_attnums,
						   TupleTableSlot *row, const AttrNumber *row_attnums);
extern char *key_description(int nkeys, TupleTableSlot *row,
							 const AttrNumber *attnums);
extern Datum text_array(TupleTableSlot *row, int n, const AttrNumber *attnums);
extern Datum primary_key_text(Oid relid, TupleTableSlot *row);
extern bool key_in_set(struct HTAB *keys, Oid of, Datum key, bool add);
extern struct HTAB *make_key_set(void);

/*
 * own_table.c: rows of the extension's own tables
 */
/* How many bytes of a text are recorded: as many as a hold may have */
#define MAX_RECORDED_TEXT 10000

extern int recorded_length(const char *text);
extern Datum recorded_text(const char *text);
extern bool append_row(Relation rel, Datum *values, bool *nulls);
extern bool append_row_at(Relation rel, Datum *values, bool *nulls, ItemPointer tid);
extern void append_rows(Relation rel, HeapTuple *tuples, int n);
extern void remove_row(Relation rel, ItemPointer tid);

/*
 * written.c: which tables a transaction has written to
 */
extern void init_written(void);
extern void note_written(Oid relid);
extern bool has_written_for_others(Oid parent);

/*
 * foreign_key.c: foreign keys, and queries on them
 */
typedef struct ForeignKey
{
	Oid constraint; /* pg_constraint.oid */
	Oid top; /* the declared constraint, which is copied for partitions */
	bool is_parent_copy; /* a copy for a partition of the referenced table? */
	Oid child;			 /* the referencing table */
	Oid parent;			 /* the referenced table */
	char on_delete;		 /* FKCONSTR_ACTION_... */
	char on_update;		 /* FKCONSTR_ACTION_... */
	bool is_deferrable;
	bool is_deferred; /* INITIALLY DEFERRED? */
	int nkeys;		  /* number of columns of the key */
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
extern void become_owner_to_read(Oid relid, SavedRole *saved);
extern uint64 execute_as_owner(Oid relid, const char *query, int nargs,
							   Oid *argtypes, Datum *values, int expected);
extern uint64 execute_latest(const char *query, int nargs, Oid *argtypes,
							 Datum *values, bool fires_triggers, int expected);

#endif /* SD_CATALOG_H */
