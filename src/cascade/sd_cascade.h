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
	int first_number; /* that order.c gives to the first member */
	Member *members;
} CascadeTable;

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
extern void join_selected_row(Cascade *cascade, SPITupleTable *result, uint64 n);
extern void complete_cascade(Cascade *cascade);
extern Tuplestorestate *register_members(CascadeTable *table, Relation rel,
										 int nkeys, const AttrNumber *attnums,
										 int first, Oid except);
extern void mark_childless_members(CascadeTable *table, Relation rel,
								   const ForeignKey *fk);
extern void append_parent_key_match(StringInfo query, const ForeignKey *fk,
									const char *alias, const char *values);
extern void report_cascade(const char *what, Relation rel, int done);
extern uint64 purge_cascade(Cascade *cascade);
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
 * skip.c: rows that a restore skips
 */
extern void init_skip(void);
extern bool is_skipped(const RowIdentity *row);

/*
 * hold.c: holds on tombstones, which keep them from being purged
 */
typedef enum HoldScope
{
	HOLD_ON_ROW,
	HOLD_ON_DELETION, /* on what one deletion took from a table */
	HOLD_ON_TABLE
} HoldScope;

typedef struct Hold
{
	HoldScope scope;
	Oid relid;	/* the table that it names: that of the row or an ancestor */
	char *text; /* why the rows are held */
} Hold;

extern void lock_holds(List *relids, LOCKMODE lockmode);
extern bool try_lock_holds(Oid relid, LOCKMODE lockmode);
extern bool has_holds(Oid relid);
extern bool any_hold(Snapshot snapshot);
extern bool tombstone_is_held(Relation rel, TimestampTz stamp, TupleTableSlot *row);
extern bool find_hold_on(Relation rel, TimestampTz stamp, TupleTableSlot *row,
						 Snapshot snapshot, Hold *hold);
extern void refuse_held(Cascade *cascade);
extern void refuse_held_table(Relation rel, const char *action);
extern void lift_all_holds(Oid relid, const char *name);
extern bool hold_row(Relation rel, Tombstone *tombstone, const char *hold);
extern void collect_primary_keys(CascadeTable *table, struct HTAB *keys);
extern void erase_lifted_hold_keys(struct HTAB *keys);
extern void update_hold_key(Relation rel, TimestampTz stamp,
							TupleTableSlot *old, TupleTableSlot *new);

#endif /* SD_CASCADE_H */
