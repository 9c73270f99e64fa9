/*
 * sd_cascade.h
 *	  Tombstones that belong together, and what keeps them from going.
 */
#ifndef SD_CASCADE_H
#define SD_CASCADE_H

#include "storage/sd_storage.h"

/*
 * cascade.c: tombstones that must come back, or go, together
 */
typedef struct Member
{
	Tombstone tombstone; /* its newest version, which is locked */
	Oid brought_by;		 /* the foreign key that brought it in, if one did */
	bool is_childless;	 /* by the foreign key at hand: release_children() */
} Member;

/* The members in one relation */
typedef struct CascadeTable
{
	Oid relid;
	int nmembers;
	int nallocated;
	int ncomplete; /* the first so many have brought in their children */
	Member *members;
} CascadeTable;

typedef struct Cascade
{
	bool is_purge; /* else a restore */
	MemoryContext context;
	List *tables;
	struct HTAB *known; /* rows of this cascade, and of its sibling */
	List *blockers;		/* rows that reference members and have not joined */
} Cascade;

/* The name that queries know members by: columns k1, k2, ..., stamp, member */
#define CASCADE_MEMBERS "soft_delete_members"

extern Cascade *make_cascade(bool is_purge, Cascade *sibling, MemoryContext context);
extern bool join_cascade(Cascade *cascade, Relation rel, const Tombstone *tombstone,
						 const TimestampTz *stamp, Oid brought_by);
extern void complete_cascade(Cascade *cascade);
extern Tuplestorestate *register_members(CascadeTable *table, Relation rel,
										 int nkeys, const AttrNumber *attnums,
										 int first, Oid except);
extern void release_children(CascadeTable *table, Relation rel, const ForeignKey *fk);
extern uint64 purge_cascade(Cascade *cascade);

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
extern void refuse_held(Cascade *cascade);
extern void refuse_held_table(Relation rel, const char *action);
extern void lift_all_holds(Oid relid, const char *name);
extern bool hold_row(Relation rel, Tombstone *tombstone, const char *hold);
extern void collect_held_keys(CascadeTable *table, struct HTAB *keys);
extern void erase_held_keys(struct HTAB *keys);
extern void move_hold(Relation rel, TimestampTz stamp, TupleTableSlot *old,
					  TupleTableSlot *new);

#endif /* SD_CASCADE_H */
