/*
 * sd_catalog.h
 *	  What the catalogs say: the extension's own objects, who acts for whom, which
 *	  relation is tagged, and what it has to do with others.
 *
 * The lowest layer: it includes nothing of ours but compat.h.
 */
#ifndef SD_CATALOG_H
#define SD_CATALOG_H

#include "access/attnum.h"
#include "access/htup.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/rel.h"
#include "utils/resowner.h"

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
	TAG_TRIGGER,	   /* soft_delete.delete_row() */
	SAMPLING_METHOD,   /* soft_delete.rows(internal) */
	SHOWS_TOMBSTONES,  /* soft_delete_internal.shows_tombstones(oid) */
	ADMITS_TOMBSTONE,  /* soft_delete.admits_tombstone(oid) */
	WANTS_ROW,		   /* soft_delete_internal.wants_row(text, boolean) */
	REFERENCE_CHECK,   /* soft_delete_internal.check_parent() */
	ON_UPDATE_TRIGGER, /* soft_delete_internal.on_update_key() */
	SET_NULL_TRIGGER,  /* soft_delete_internal.record_set_null() */
	BIN_UPDATE,		   /* soft_delete.restore_row() */
	BIN_STATEMENT,	   /* soft_delete.finish_bin() */
	KEY_CLAIM,		   /* soft_delete.claim_key() */
	CLAIMS_KEY, /* soft_delete_internal.claims_key(oid, record, internal) */
	TRUNCATE_TRIGGER, /* soft_delete.guard_truncate() */
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
 * caller.c: where callers enter the extension
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
 * owner_error.c: errors that an owner's functions raise
 */
extern bool is_raised(const ErrorData *error);
extern void throw_owners_error(MemoryContext context);
extern ErrorData *end_failed_subtransactions(int nestlevel, MemoryContext context,
											 ResourceOwner owner);

/*
 * relation.c: what can be said of any relation
 */
/* Counts changes of the relation cache: what was read from it holds until the next */
extern uint64 relcache_changes;

/* What was found out about a relation, until the relation cache changes */
typedef struct RelationMemo
{
	Oid relid;
	uint64 at; /* value of relcache_changes */
} RelationMemo;

/*
 * Is what is remembered about a relation still true?  If not, the caller looks it up,
 * which may fail, and then calls memo_set().
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
 * Note that what is remembered now is about that relation.
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

/*
 * catalog_scan.c: rows of system catalogs
 */
#define ANY_COLUMN (-1)

typedef struct CatalogScan
{
	Relation catalog;
	struct SysScanDescData *rows;
} CatalogScan;

extern CatalogScan begin_catalog_scan(Oid catalog, Oid index, AttrNumber attnum,
									  Oid value);
extern CatalogScan begin_trigger_scan(Oid relid);
extern CatalogScan begin_dependents_scan(Oid classid, Oid objid, int objsubid);
extern CatalogScan begin_referenced_scan(Oid classid, Oid objid, int objsubid);
extern HeapTuple next_catalog_row(CatalogScan *scan);
extern void end_catalog_scan(CatalogScan *scan);

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
extern bool input_calls_users(Oid type);

/*
 * tagged.c: which relation is tagged, and who is exempt
 */
extern void init_tagged(void);
extern bool shows_deleted(void);
extern AttrNumber tombstone_attribute(Relation rel);
extern List *tag_arguments(Oid relid);
extern List *trigger_arguments(Relation triggers, HeapTuple tuple);
extern bool is_tagged(Oid relid);
extern const char *tombstone_name(Oid relid);
extern bool is_maintenance(Oid relid);
extern bool wants_whole_tables(void);
extern bool reads_tombstones(Oid relid);
extern void admit_tombstone(Oid relid);
extern bool may_see_tombstones(Oid relid, Oid roleid);

/*
 * bin_of.c: the bin of a table, and who may use it
 */
typedef enum BinColumn
{
	BIN_DELETED_BY,
	BIN_ACTOR,
	BIN_REASON,
	BIN_HOLD,
	N_BIN_COLUMNS
} BinColumn;

extern Oid bin_of(Oid relid);
extern AttrNumber bin_column(Oid bin, BinColumn which);
extern bool may_use_bin(Oid relid, BinColumn which, AclMode mode);
extern char *bin_name(Oid relid);
extern bool may_read(Oid relid, int n, const AttrNumber *attnums);
extern bool may_read_tombstones(Oid relid, int n, const AttrNumber *attnums);

/*
 * key.c: keys of rows, as text
 */
extern int begin_text_form(void);
extern int begin_key_form(void);
extern void end_text_form(int nestlevel);
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
extern bool key_in_set(struct HTAB *keys, Oid of, Datum key, bool add);
extern struct HTAB *make_key_set(void);

/*
 * own_table.c: rows of the extension's own tables
 */
extern bool append_row(Relation rel, Datum *values, bool *nulls);
extern void remove_row(Relation rel, ItemPointer tid);

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

#endif /* SD_CATALOG_H */
