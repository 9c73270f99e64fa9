/*
 * place_hold.c
 *	  Places and lifts holds, for a role that may.
 *
 * The owner of a table may hold its rows, and so may a role with the UPDATE privilege
 * on the column of its bin that shows holds.
 *
 * Invariant: a hold that is placed is obeyed by all purges and restores that begin
 * after it has been committed; those that have begun are waited for (hold.c).
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cascade/sd_cascade.h"

PG_FUNCTION_INFO_V1(soft_delete_set_hold);
PG_FUNCTION_INFO_V1(soft_delete_may_hold);
PG_FUNCTION_INFO_V1(soft_delete_lift_everywhere);

static int errhint_wider_hold(Relation rel, const TimestampTz *stamp,
							  const char *hold);
static int lift_row(Relation rel, const HoldKey *key);
static void report_wider_hold(Relation rel, const Tombstone *tombstone);
static bool has_text(TupleTableSlot *slot, const char *text);
static bool keys_equal(Datum a, Datum b);

/*
 * Place a hold on a tombstone of the relation, or where "text" is NULL lift all holds
 * on it.  Returns false if the row is no longer a tombstone with that stamp.
 * hold_cascade() must follow a hold that is placed.
 *
 * Raises 55000 where there is no primary key, 0A000 where its text is not stable,
 * 55006 where the only hold that is to be lifted is on more than the row, 22023 where
 * a hold is empty or too long.
 */
bool
hold_row(Relation rel, Tombstone *tombstone, const char *text)
{
	TupleTableSlot *row = table_slot_create(rel, NULL);
	TimestampTz stamp = tombstone->stamp;
	HoldKey key = {.relid = RelationGetRelid(rel), .stamp = &stamp};
	bool is_there;

	/* before the row is locked: a purge locks in this order */
	lock_holds_to_place(key.relid, RowExclusiveLock);
	is_there = lock_tombstone(rel, tombstone, &stamp, row);
	if (is_there && text != NULL)
	{
		check_can_be_held(rel, &stamp, text);
		key.key = primary_key_text(key.relid, row);
		place_hold(&key, text);
	}
	else if (is_there)
	{
		key.key = primary_key_text(key.relid, row);
		if (!key.key || lift_row(rel, &key) == 0)
			report_wider_hold(rel, tombstone);
	}
	ExecDropSingleTupleTableSlot(row);
	return is_there;
}

/*
 * Lock all that a restore of held rows, the members of a cascade, would bring back.
 * So a statement that is destroying some of it is waited for.
 */
void
hold_cascade(Cascade *cascade)
{
	complete_cascade(cascade);
}

/*
 * Lift the holds on a tombstone and on its primary key.  Returns their number.
 */
static int
lift_row(Relation rel, const HoldKey *key)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, tables_of_rows(RelationGetRelid(rel)))
	{
		HoldKey on_row = {.relid = lfirst_oid(lc), .stamp = key->stamp, .key = key->key};
		HoldKey on_key = {.relid = lfirst_oid(lc), .key = key->key};

		n += lift_holds_with_key(&on_row);
		n += lift_holds_with_key(&on_key);
	}
	return n;
}

/*
 * Raise 55000 if rows of a table cannot be held one by one because there is no
 * primary key, and 0A000 if that has a column whose text changes when the object
 * that it names is renamed: the hold would no longer find its row.
 */
void
check_can_be_held(Relation rel, const TimestampTz *stamp, const char *hold)
{
	AttrNumber attnums[INDEX_MAX_KEYS];
	int n = primary_key(RelationGetRelid(rel), attnums);

	if (n == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot hold a row of table \"%s\", which has no primary key",
							   RelationGetRelationName(rel)),
						errdetail("A hold finds its row by the primary key."),
						errhint_wider_hold(rel, stamp, hold)));
	for (int i = 0; i < n; i++)
	{
		Oid type = getBaseType(
			TupleDescAttr(RelationGetDescr(rel), attnums[i] - 1)->atttypid);

		switch (type)
		{
			case REGPROCOID:
			case REGPROCEDUREOID:
			case REGOPEROID:
			case REGOPERATOROID:
			case REGCLASSOID:
			case REGCOLLATIONOID:
			case REGTYPEOID:
			case REGROLEOID:
			case REGNAMESPACEOID:
			case REGCONFIGOID:
			case REGDICTIONARYOID:
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot hold a row of table \"%s\" by a key of type %s",
								RelationGetRelationName(rel), format_type_be(type)),
						 errdetail("The text of such a key changes when the object that it names is renamed."),
						 errhint_wider_hold(rel, stamp, hold)));
			default:
				break;
		}
	}
}

/*
 * Add the hint to an error that the deletion, or without a stamp the table, can be held
 * where a row cannot.
 */
static int
errhint_wider_hold(Relation rel, const TimestampTz *stamp, const char *hold)
{
	char *text = quote_literal_cstr(hold);

	if (stamp != NULL)
		return errhint("SELECT soft_delete.hold_deletion('%s', %s);",
					   timestamptz_to_str(*stamp), text);
	return errhint("SELECT soft_delete.hold(%s, %s);",
				   quote_literal_cstr(qualified_name(RelationGetRelid(rel))), text);
}

/*
 * Raise 55006 if a tombstone is held by a hold that is not on the row alone.
 */
static void
report_wider_hold(Relation rel, const Tombstone *tombstone)
{
	Hold *hold = find_hold(rel, tombstone, false, SnapshotSelf);

	if (hold != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the hold on a row of table \"%s\" is not on the row alone: %s",
						RelationGetRelationName(rel), hold->text),
				 hold->holder != RelationGetRelid(rel)
					 ? errdetail("It is on a row of table \"%s\", with which the row was deleted.",
								 get_rel_name(hold->holder))
				 : hold->scope == HOLD_ON_TABLE ? errdetail("It is on the whole table.")
				 : hold->scope == HOLD_ON_DELETION
					 ? errdetail("It is on the whole deletion.")
					 : errdetail("It is on a row with which the row was deleted."),
				 errhint("%s", lifting_statement(hold))));
}

/*
 * soft_delete_internal.set_hold(relation regclass, deleted_at timestamptz, hold
 * text) returns boolean
 *
 * Places a hold on what the deletion with that stamp took from the table, or if
 * the stamp is null, on all deleted rows of the table; lifts all such holds if "hold"
 * is null.  Returns false if there was none to lift.  Waits for all transactions that
 * have purged or restored rows of the table or of tables below it.
 *
 * Raises 22004 for a null table, 22023 for a hold that is empty or too long,
 * 55000 for a table that is not tagged, 42501 unless the caller may hold rows of
 * the table.
 */
Datum
soft_delete_set_hold(PG_FUNCTION_ARGS)
{
	TimestampTz stamp = PG_ARGISNULL(1) ? 0 : PG_GETARG_TIMESTAMPTZ(1);
	HoldKey key = {.stamp = PG_ARGISNULL(1) ? NULL : &stamp};

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the table to hold must not be null")));
	key.relid = PG_GETARG_OID(0);
	table_close(open_holdable(key.relid), NoLock); /* keeps it tagged */
	lock_holds_to_place(key.relid, ExclusiveLock);
	if (PG_ARGISNULL(2))
		PG_RETURN_BOOL(lift_holds_with_key(&key) > 0);
	place_hold(&key, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	PG_RETURN_BOOL(true);
}

/*
 * Open a table to place or lift holds.
 *
 * Raises 55000 for a table that is not tagged, 42501 unless the caller may hold rows of
 * the table.
 */
Relation
open_holdable(Oid relid)
{
	Relation rel = open_given_table(relid, AccessShareLock);

	if (!has_tag(rel))
	{
		call_internal("refuse_sharded", 1, (Oid[]){REGCLASSOID},
					  (Datum[]){ObjectIdGetDatum(relid)});
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not tagged", RelationGetRelationName(rel)),
				 errdetail("Only rows of tagged tables can be held."),
				 errhint("SELECT soft_delete.tag(%s);",
						 quote_literal_cstr(qualified_name(relid)))));
	}
	if (!may_hold(relid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to hold deleted rows of table \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("The UPDATE privilege on column \"hold\" of its bin is required.")));
	return rel;
}

/*
 * soft_delete_internal.may_hold(relation regclass) returns boolean
 *
 * Returns whether the caller may hold deleted rows of a table.
 */
Datum
soft_delete_may_hold(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(may_hold(PG_GETARG_OID(0)));
}

/*
 * May the caller hold deleted rows of a table?  The owner may, and roles with the
 * UPDATE privilege on the column of its bin that shows holds.
 */
bool
may_hold(Oid relid)
{
	return relation_ownercheck(relid, calling_role()) ||
		   may_use_bin(relid, BIN_HOLD, ACL_UPDATE);
}

/*
 * Lift the holds with a text that name a table, a partition or an inheritance child of
 * it: unless "key" is 0, those on the rows with that primary key.  Returns their number.
 */
int64
lift_holds_on(Oid relid, Datum key, const char *text)
{
	Relation holds = table_open(extension_relation("holds"), RowExclusiveLock);
	List *relids = find_all_inheritors(relid, NoLock, NULL);
	int64 n = 0;
	ListCell *lc, *cell;

	/* who else lifts one of them has done so after this */
	lock_holds(relids, ExclusiveLock);
	foreach (lc, relids)
	{
		foreach (cell, holds_on(holds, lfirst_oid(lc)))
		{
			TupleTableSlot *slot = lfirst(cell);

			if (!has_text(slot, text) ||
				(key && (slot->tts_isnull[HOLD_KEY] ||
						 !keys_equal(key, slot->tts_values[HOLD_KEY]))))
				continue;
			lift_hold(holds, slot);
			n++;
		}
	}
	table_close(holds, NoLock);
	return n;
}

/*
 * Is the text of a hold the given one, or is none given?
 */
static bool
has_text(TupleTableSlot *slot, const char *text)
{
	return text == NULL || strcmp(hold_text(slot), text) == 0;
}

/*
 * Are two primary keys, of type text[], equal?
 */
static bool
keys_equal(Datum a, Datum b)
{
	return DatumGetBool(
		OidFunctionCall2Coll(F_ARRAY_EQ, DEFAULT_COLLATION_OID, a, b));
}

/*
 * soft_delete.lift(hold text) returns bigint
 *
 * Lifts all holds with a text that the caller may lift, whatever they are on.  Returns
 * their number, and tells if there are none.
 */
Datum
soft_delete_lift_everywhere(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Relation holds = table_open(extension_relation("holds"), AccessShareLock);
	List *relids = NIL;
	int64 n = 0;
	ListCell *lc;

	foreach (lc, holds_on(holds, InvalidOid))
	{
		TupleTableSlot *slot = lfirst(lc);
		Oid relid = DatumGetObjectId(slot->tts_values[HOLD_RELATION]);

		if (has_text(slot, name) && may_hold(relid))
			relids = list_append_unique_oid(relids, relid);
	}
	table_close(holds, NoLock);
	list_sort(relids, list_oid_cmp);
	foreach (lc, relids)
		n += lift_holds_on(lfirst_oid(lc), (Datum) 0, name);
	n += call_internal_for_number("lift_sharded_everywhere", 1, (Oid[]){TEXTOID},
								  (Datum[]){PG_GETARG_DATUM(0)});
	/* the same for who sees a hold and who does not: it tells nothing of those of others */
	if (n == 0)
		ereport(NOTICE,
				(errmsg("no hold is lifted: %s", name),
				 errdetail("Nothing that the caller may hold has a hold of that name.")));
	PG_RETURN_INT64(n);
}
