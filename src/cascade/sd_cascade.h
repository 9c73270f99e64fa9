/*
 * sd_cascade.h
 *	  Tombstones that are restored or purged together, and the holds on them.
 */
#ifndef SD_CASCADE_H
#define SD_CASCADE_H

#include "executor/spi.h"
#include "storage/sd_storage.h"

/*
 * cascade.c: tombstones that are restored or purged together
 */
typedef struct Member
{
	Tombstone tombstone; /* the newest version of the row, which is locked */
	Oid joined_by;		 /* the foreign key to its parent, or InvalidOid */
	bool is_childless;	 /* set by mark_childless_members() */
	bool is_truncated;	 /* deleted by TRUNCATE */
	int level;			 /* set by find_levels() */
	List *recheck; /* indexes of deferrable constraints, once it is restored */
} Member;

/* The members in one relation */
typedef struct CascadeTable
{
	Oid relid;
	int nmembers;
	int nallocated; /* size of "members" */
	int ncomplete; /* the children of the first ncomplete members have joined */
	int nclimbed;  /* the parents of as many have been looked for */
	int first_number; /* that order.c gives to the first member */
	bool is_others;	  /* is it restored as its owner? set by find_others() */
	Member *members;
} CascadeTable;

/*
 * Add a member to a table, whose members are in a memory context.
 */
static inline void
append_member(MemoryContext context, CascadeTable *table, Member member)
{
	table->members = grow_if_full(context, table->members, table->nmembers,
								  &table->nallocated, sizeof(Member));
	table->members[table->nmembers++] = member;
}

/* Two members, of which the parent was there when the child was inserted */
typedef struct Kinship
{
	CascadeTable *parent_table;
	CascadeTable *child_table;
	int parent; /* its number in its table */
	int child;
} Kinship;

typedef struct Cascade
{
	bool is_purge;		   /* else a restore */
	MemoryContext context; /* holds all that is below */
	List *tables;		   /* CascadeTable, one for each relation */
	struct HTAB *joined;   /* JoinedRow, of this cascade and of its sibling */
	List *blockers; /* Blocker: what references members and may not join */
	Kinship *kinships; /* of the members of a restore, each pair once or more often */
	int nkinships;
	int nallocated; /* size of "kinships" */
} Cascade;

/* The relation of members in SPI queries: columns k1, k2, ..., stamp, member */
#define CASCADE_MEMBERS "soft_delete_members"

extern Cascade *make_cascade(bool is_purge, Cascade *sibling, MemoryContext context);
extern bool join_cascade(Cascade *cascade, Relation rel, const Tombstone *tombstone,
						 const TimestampTz *stamp, Oid joined_by);
extern bool join_selected_row(Cascade *cascade, SPITupleTable *result, uint64 n);
extern void complete_cascade(Cascade *cascade);
extern bool is_in_cascade(Cascade *cascade, const RowIdentity *row);
extern char *stamp_of(const char *alias, Oid relid, StorageKind storage);
extern Tuplestorestate *register_members(CascadeTable *table, Relation rel,
										 int nkeys, const AttrNumber *attnums,
										 int first, Oid except);
extern void mark_childless_members(CascadeTable *table, Relation rel,
								   const ForeignKey *fk);
extern void append_parent_key_match(StringInfo query, const ForeignKey *fk,
									const char *alias, const char *values);
extern void report_cascade(const char *what, Relation rel, int done);
extern uint64 purge_cascade(Cascade *cascade, const char *event);
extern void record_cascade(Cascade *cascade, const char *event);
extern uint64 cascade_size(const Cascade *cascade);

/*
 * order.c: the order in which the members of a cascade are restored
 */
/* A member, in the order of a restore */
typedef struct MemberRef
{
	CascadeTable *table;
	Member *member;
	Tombstone before; /* the member's tombstone, before it is restored */
} MemberRef;

extern void find_levels(Cascade *cascade);
extern MemberRef *order_members(Cascade *cascade, int *n);

/*
 * parents.c: deleted parents of restored rows
 */
extern void init_parents(void);
extern void complete_restore(Cascade *cascade);

/*
 * skip.c: rows that a restore skips
 */
extern void init_skip(void);
extern bool is_skipped(const RowIdentity *row);

/*
 * hold.c: the holds in force, and the record of those that were lifted
 */
/* Columns of soft_delete_internal.holds, and of lifted_holds, which adds four */
enum HoldColumn
{
	HOLD_RELATION,
	HOLD_DELETED_AT,
	HOLD_KEY,
	HOLD_TEXT,
	HOLD_HELD_BY,
	HOLD_HELD_AT,
	N_HOLD_COLUMNS,
	HOLD_LIFTED_BY = N_HOLD_COLUMNS,
	HOLD_LIFTED_AT,
	HOLD_OWNER, /* of the table, then */
	HOLD_ROLEID,
	N_LIFTED_COLUMNS
};

typedef enum HoldScope
{
	HOLD_ON_ROW,	  /* on a deleted row */
	HOLD_ON_KEY,	  /* on the row with a primary key, live or deleted */
	HOLD_ON_DELETION, /* on what one deletion took from a table */
	HOLD_ON_TABLE,
	N_HOLD_SCOPES
} HoldScope;

/* What a hold is on */
typedef struct HoldKey
{
	Oid relid;
	const TimestampTz *stamp; /* NULL for a hold on a key or a table */
	Datum key; /* text[]; 0 unless the hold is on a row or a key */
} HoldKey;

/* The holds on a tombstone */
typedef struct Hold
{
	HoldScope scope; /* the narrowest of them */
	Oid relid;	/* the table that it names: that of the row or an ancestor */
	char *text; /* the texts of all: why it is held */
	Oid holder; /* the table of the row that they are on: this one, or one above it */
	Tombstone tombstone; /* that row */
} Hold;

extern void lock_holds(List *relids, LOCKMODE lockmode);
extern bool try_lock_holds(Oid relid, LOCKMODE lockmode);
extern void lock_holds_to_place(Oid relid, LOCKMODE lockmode);
extern bool has_holds(Oid relid);
extern List *tables_of_rows(Oid relid);
extern bool any_hold(Snapshot snapshot);
extern List *holds_with_key(Relation holds, const HoldKey *key, Snapshot snapshot);
extern List *holds_on(Relation holds, Oid relid);
extern char *hold_text(TupleTableSlot *slot);
extern List *add_texts(List *texts, List *slots);
extern char *join_texts(List *texts);
extern bool find_hold_on(Relation rel, TimestampTz stamp, TupleTableSlot *row,
						 bool for_restore, Snapshot snapshot, Hold *hold);
extern void place_hold(const HoldKey *key, const char *text);
extern void check_hold_text(const char *text);
extern void lift_hold(Relation holds, TupleTableSlot *slot);
extern int lift_holds_with_key(const HoldKey *key);
extern void update_hold_key(Relation rel, TimestampTz stamp,
							TupleTableSlot *old, TupleTableSlot *new);
extern void collect_primary_keys(CascadeTable *table, struct HTAB *keys);
extern void erase_lifted_hold_keys(struct HTAB *keys);

/*
 * held.c: which tombstones are held
 */
extern bool may_be_held(Oid relid);
extern Hold **find_holds(CascadeTable *table, bool for_restore, Snapshot snapshot);
extern Hold *find_hold(Relation rel, const Tombstone *tombstone,
					   bool for_restore, Snapshot snapshot);

/*
 * refuse_held.c: refuses to destroy, to restore or to change what is held
 */
extern void refuse_held(Cascade *cascade);
extern void refuse_held_table(Relation rel, const char *action);
extern void refuse_held_aside(Oid companion, const char *action);
extern void refuse_held_live(Relation rel, const char *action);
extern char *lifting_statement(const Hold *hold);

/*
 * place_hold.c: places and lifts holds for a role that may
 */
extern bool hold_row(Relation rel, Tombstone *tombstone, const char *text);
extern void hold_cascade(Cascade *cascade);
extern void check_can_be_held(Relation rel, const TimestampTz *stamp,
							  const char *hold);
extern Relation open_holdable(Oid relid);
extern bool may_hold(Oid relid);
extern int64 lift_holds_on(Oid relid, Datum key, const char *text);

#endif /* SD_CASCADE_H */
