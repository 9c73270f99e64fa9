/*
 * bridge.c
 *	  Knows the column by which an application deletes softly by itself.
 *
 * A tagged table is bridged if it has an AFTER UPDATE row trigger that calls
 * soft_delete.follow_bridge(), enabled or not.  The arguments of the trigger tell the
 * name of the column, of which kind it is, a detail of that kind and, unless that is
 * null, the value that a restored row gets:
 * - 'flag': a boolean, or a number that is not 0 in deleted rows;
 * - 'seconds', 'milliseconds', 'microseconds', 'nanoseconds': a Unix time, which is null
 *   or 0 in live rows;
 * - 'time': a date or timestamp, which is null or infinite in live rows; the detail is the
 *   time zone of values that have none;
 * - 'value': the detail is the value of deleted rows.
 *
 * Invariant: no function of a user is called to tell what a value of the column says, for
 * it is of a type of the server or an enum.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "catalog/sd_catalog.h"

/* Arguments of the trigger */
enum BridgeArgument
{
	BRIDGE_COLUMN,
	BRIDGE_KIND,
	BRIDGE_DETAIL,
	BRIDGE_LIVE, /* left out if it is null */
	N_BRIDGE_ARGUMENTS
};

/* Unix times, and how many of their units a second has */
static const struct
{
	const char *name;
	int64 per_second;
} unix_units[] = {
	{"seconds", 1},
	{"milliseconds", 1000},
	{"microseconds", USECS_PER_SEC},
	{"nanoseconds", INT64CONST(1000) * USECS_PER_SEC},
};

/* Microseconds from the epoch of Unix to that of the server */
#define EPOCH_DIFFERENCE \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* The bridged relations of the database, sorted, as of the memo */
static Oid *bridged = NULL;
static int nbridged = 0;

/* Values of soft_delete.bridge */
enum BridgeMode
{
	BY_COLUMN,		/* statements that ask about the column see deleted rows */
	BY_APPLICATION, /* all statements do */
};

static const struct config_enum_entry bridge_modes[] = {
	{"column", BY_COLUMN, false},
	{"application", BY_APPLICATION, false},
	{NULL, 0, false},
};

static int bridge_mode = BY_COLUMN;

PG_FUNCTION_INFO_V1(soft_delete_sees_all_rows);

static void assign_bridge_mode(int newval, void *extra);
static const Trigger *bridge_trigger(Relation rel);
static Bridge *make_bridge(Relation rel, const Trigger *trigger);
static bool set_kind(Bridge *bridge, const char *kind, const char *detail);
static bool is_number(Oid type);
static bool suits_kind(const Bridge *bridge);
static Datum value_from_text(const Bridge *bridge, char *text);
static void find_bridged(Oid function);
static Oid relation_of_trigger(Oid trigger);
static int64 number_of(const Bridge *bridge, Datum value);
static bool is_absurd(const Bridge *bridge, Datum value);
static bool unix_to_time(int64 number, int64 per_second, TimestampTz *time);
static Datum time_to_unix(const Bridge *bridge, TimestampTz time);

/*
 * Define the setting soft_delete.bridge.
 */
void
init_bridge(void)
{
	DefineCustomEnumVariable("soft_delete.bridge",
							 "Sets who filters the rows of tables that an application deletes softly from by itself.",
							 "\"column\" shows deleted rows to statements that ask about the column by which it does, \"application\" to all statements; either to roles alone that may see deleted rows.",
							 &bridge_mode, BY_COLUMN, bridge_modes, PGC_USERSET,
							 0, NULL, assign_bridge_mode, NULL);
}

/*
 * Discard all cached plans when the setting changes, as assign_show_deleted() does
 * (assign hook).
 */
static void
assign_bridge_mode(int newval, void *extra)
{
	if (newval != bridge_mode)
		ResetPlanCache();
}

/*
 * Does the session's application bring its own filter for a bridged relation, and may it,
 * and the role whose rights apply to the relation, see all of its rows?
 *
 * Any role may set soft_delete.bridge.  So the session's role counts, too: in a SECURITY
 * DEFINER function the current user is another one.
 */
bool
sees_all_rows(Oid relid, Oid roleid)
{
	return bridge_mode == BY_APPLICATION && is_bridged(relid) &&
		   !InSecurityRestrictedOperation() && !InNoForceRLSOperation() &&
		   may_see_tombstones(relid, roleid) &&
		   may_see_tombstones(relid, GetUserId()) &&
		   may_see_tombstones(relid, GetOuterUserId());
}

/*
 * soft_delete_internal.sees_all_rows(relation oid) returns boolean
 *
 * Returns sees_all_rows() for the current user.  A plan that was made where that was true
 * calls it for each tombstone, so that it hides tombstones as soon as the role changes.
 */
Datum
soft_delete_sees_all_rows(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(sees_all_rows(PG_GETARG_OID(0), GetUserId()));
}

/*
 * Is any table of the database bridged?
 */
bool
any_bridge(void)
{
	static RelationMemo memo; /* each statement asks */
	Oid function;

	/* the relation of the memo is the function */
	if (memo_holds(&memo, memo.relid) && OidIsValid(memo.relid))
		return nbridged > 0;
	function = extension_function(BRIDGE_TRIGGER);
	if (!OidIsValid(function))
		return false;
	find_bridged(function);
	memo_set(&memo, function);
	return nbridged > 0;
}

/*
 * Is the relation bridged?  It need not be open.
 */
bool
is_bridged(Oid relid)
{
	return any_bridge() &&
		   bsearch(&relid, bridged, nbridged, sizeof(Oid), oid_cmp) != NULL;
}

/*
 * Find the bridged relations: those with triggers that depend on a function.
 */
static void
find_bridged(Oid function)
{
	CatalogScan scan = begin_dependents_scan(ProcedureRelationId, function, 0);
	List *relids = NIL;
	Oid *before = bridged;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		if (depend->classid == TriggerRelationId)
			relids =
				list_append_unique_oid(relids, relation_of_trigger(depend->objid));
	}
	end_catalog_scan(&scan);

	nbridged = 0;
	bridged = NULL;
	if (before != NULL)
		pfree(before);
	if (relids == NIL)
		return;
	list_sort(relids, list_oid_cmp);
	bridged =
		MemoryContextAlloc(TopMemoryContext, list_length(relids) * sizeof(Oid));
	for (int i = 0; i < list_length(relids); i++)
		bridged[i] = list_nth_oid(relids, i);
	nbridged = list_length(relids);
	list_free(relids);
}

/*
 * Return the relation that has a trigger.
 */
static Oid
relation_of_trigger(Oid trigger)
{
	CatalogScan scan = begin_catalog_scan(TriggerRelationId, TriggerOidIndexId,
										  Anum_pg_trigger_oid, trigger);
	HeapTuple tuple = next_catalog_row(&scan);
	Oid relid = InvalidOid;

	if (HeapTupleIsValid(tuple))
		relid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
	end_catalog_scan(&scan);
	return relid;
}

/*
 * Return the bridge of a tagged relation, or NULL if it has none.
 *
 * Raises 42804 if the column that the trigger names does not exist, or is of a type that
 * does not suit its kind.
 */
Bridge *
bridge_of(Relation rel)
{
	const Trigger *trigger = bridge_trigger(rel);
	Bridge *bridge;

	if (trigger == NULL || !has_tag(rel))
		return NULL;
	trigger = bridge_trigger(rel); /* the lookups may have rebuilt it */
	bridge = trigger == NULL ? NULL : make_bridge(rel, trigger);
	if (bridge == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("trigger \"%s\" of table \"%s\" does not suit its column",
						BRIDGE_NAME, RelationGetRelationName(rel)),
				 errdetail("By that column the application tells which rows are deleted."),
				 errhint("DROP TRIGGER %s ON %s;", quote_identifier(BRIDGE_NAME),
						 qualified_name(RelationGetRelid(rel)))));
	return bridge;
}

/*
 * Return the trigger that makes a relation bridged, or NULL.
 *
 * The result is valid until the next catalog lookup, as that of tag_of() is.
 */
static const Trigger *
bridge_trigger(Relation rel)
{
	TriggerDesc *trigdesc = rel->trigdesc;
	Oid function;

	if (trigdesc == NULL || !trigdesc->trig_update_after_row)
		return NULL;
	function = extension_function(BRIDGE_TRIGGER);
	trigdesc = rel->trigdesc; /* the lookup may have rebuilt it */
	for (int i = 0; OidIsValid(function) && i < trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &trigdesc->triggers[i];

		if (trigger->tgfoid == function &&
			TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								 TRIGGER_TYPE_AFTER, TRIGGER_TYPE_UPDATE))
			return trigger;
	}
	return NULL;
}

/*
 * Return the bridge that the arguments of a trigger describe, or NULL if there is no
 * such column or it does not suit them.
 */
static Bridge *
make_bridge(Relation rel, const Trigger *trigger)
{
	TupleDesc tupdesc = RelationGetDescr(rel);
	Bridge *bridge = palloc0(sizeof(Bridge));
	int nargs = trigger->tgnargs;
	char *arguments[N_BRIDGE_ARGUMENTS] = {NULL};

	if (nargs <= BRIDGE_DETAIL || nargs > N_BRIDGE_ARGUMENTS)
		return NULL;
	for (int i = 0; i < nargs; i++)
		arguments[i] = pstrdup(trigger->tgargs[i]);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (att->attisdropped || att->attgenerated != '\0' ||
			strcmp(NameStr(att->attname), arguments[BRIDGE_COLUMN]) != 0)
			continue;
		bridge->attnum = att->attnum;
		bridge->type = att->atttypid;
		bridge->typmod = att->atttypmod;
		bridge->collation = att->attcollation;
	}
	if (bridge->attnum == InvalidAttrNumber ||
		!set_kind(bridge, arguments[BRIDGE_KIND], arguments[BRIDGE_DETAIL]) ||
		!suits_kind(bridge))
		return NULL;
	if (bridge->kind == BRIDGE_VALUE)
		bridge->deleted = value_from_text(bridge, arguments[BRIDGE_DETAIL]);
	bridge->live_isnull = nargs <= BRIDGE_LIVE;
	if (!bridge->live_isnull)
		bridge->live = value_from_text(bridge, arguments[BRIDGE_LIVE]);
	return bridge;
}

/*
 * Set the kind of a bridge, as the argument of the trigger calls it.  Returns false if
 * there is no such kind.
 */
static bool
set_kind(Bridge *bridge, const char *kind, const char *detail)
{
	if (strcmp(kind, "flag") == 0)
		bridge->kind = BRIDGE_FLAG;
	else if (strcmp(kind, "value") == 0)
		bridge->kind = BRIDGE_VALUE;
	else if (strcmp(kind, "time") == 0)
	{
		bridge->kind = BRIDGE_TIME;
		bridge->zone = cstring_to_text(detail);
	}
	else
	{
		bridge->kind = BRIDGE_UNIX;
		for (int i = 0; i < lengthof(unix_units); i++)
		{
			if (strcmp(kind, unix_units[i].name) == 0)
				bridge->per_second = unix_units[i].per_second;
		}
		return bridge->per_second > 0;
	}
	return true;
}

/*
 * Is the type one of whole numbers?
 */
static bool
is_number(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/*
 * May the column of the bridge be of its kind?
 */
static bool
suits_kind(const Bridge *bridge)
{
	switch (bridge->kind)
	{
		case BRIDGE_FLAG:
			return bridge->type == BOOLOID || is_number(bridge->type);
		case BRIDGE_UNIX:
			return bridge->type == INT8OID ||
				   (bridge->type == INT4OID && bridge->per_second == 1);
		case BRIDGE_TIME:
			return bridge->type == DATEOID || bridge->type == TIMESTAMPOID ||
				   bridge->type == TIMESTAMPTZOID;
		case BRIDGE_VALUE:
			return bridge->type == TEXTOID || bridge->type == VARCHAROID ||
				   bridge->type == BPCHAROID || is_number(bridge->type) ||
				   get_typtype(bridge->type) == TYPTYPE_ENUM;
	}
	return false;
}

/*
 * Return a value of the column of the bridge from its text form.
 */
static Datum
value_from_text(const Bridge *bridge, char *text)
{
	Oid input, ioparam;

	getTypeInputInfo(bridge->type, &input, &ioparam);
	return OidInputFunctionCall(input, text, ioparam, bridge->typmod);
}

/*
 * Does a value of the column say that its row is deleted?
 */
bool
says_deleted(const Bridge *bridge, Datum value, bool isnull)
{
	if (isnull)
		return false;
	switch (bridge->kind)
	{
		case BRIDGE_FLAG:
			if (bridge->type == BOOLOID)
				return DatumGetBool(value);
			return number_of(bridge, value) != 0;
		case BRIDGE_UNIX:
			return number_of(bridge, value) != 0;
		case BRIDGE_TIME:
			if (bridge->type == DATEOID)
				return !DATE_NOT_FINITE(DatumGetDateADT(value));
			return !TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value));
		case BRIDGE_VALUE:
			return DatumGetBool(
				FunctionCall2Coll(&lookup_type_cache(bridge->type, TYPECACHE_EQ_OPR_FINFO)
									   ->eq_opr_finfo,
								  bridge->collation, value, bridge->deleted));
	}
	return false;
}

/*
 * Does the column say that the row in a slot is deleted?
 */
bool
row_says_deleted(const Bridge *bridge, TupleTableSlot *row)
{
	bool isnull;
	Datum value = slot_getattr(row, bridge->attnum, &isnull);

	return says_deleted(bridge, value, isnull);
}

/*
 * Return the number that a value of the column is.
 */
static int64
number_of(const Bridge *bridge, Datum value)
{
	switch (bridge->type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

/*
 * Return the value of the column that says that a row was deleted at a time.
 */
Datum
deleted_value(const Bridge *bridge, TimestampTz time)
{
	Datum local;

	switch (bridge->kind)
	{
		case BRIDGE_FLAG:
			if (bridge->type == INT8OID)
				return Int64GetDatum(1);
			return bridge->type == BOOLOID ? BoolGetDatum(true) : Int32GetDatum(1);
		case BRIDGE_VALUE:
			return bridge->deleted;
		case BRIDGE_UNIX:
			return time_to_unix(bridge, time);
		case BRIDGE_TIME:
			break;
	}
	if (bridge->type == TIMESTAMPTZOID)
		return DirectFunctionCall2(timestamptz_scale, TimestampTzGetDatum(time),
								   Int32GetDatum(bridge->typmod));
	local = DirectFunctionCall2(timestamptz_zone, PointerGetDatum(bridge->zone),
								TimestampTzGetDatum(time));
	if (bridge->type == DATEOID)
		return DirectFunctionCall1(timestamp_date, local);
	return DirectFunctionCall2(timestamp_scale, local, Int32GetDatum(bridge->typmod));
}

/*
 * Return a time as a Unix time in the units of the column.
 */
static Datum
time_to_unix(const Bridge *bridge, TimestampTz time)
{
	int64 since_epoch = time + EPOCH_DIFFERENCE;
	int64 number = bridge->per_second > USECS_PER_SEC
					   ? since_epoch * (bridge->per_second / USECS_PER_SEC)
					   : since_epoch / (USECS_PER_SEC / bridge->per_second);

	if (bridge->type == INT8OID)
		return Int64GetDatum(number);
	return Int32GetDatum(
		DatumGetInt32(DirectFunctionCall1(int84, Int64GetDatum(number))));
}

/*
 * Is a date or a time that the column has so far from the present that its conversion could
 * fail?
 */
static bool
is_absurd(const Bridge *bridge, Datum value)
{
	if (bridge->type == DATEOID)
		return DatumGetDateADT(value) <
				   DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE + 2 ||
			   DatumGetDateADT(value) >
				   TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE - 2;
	return DatumGetTimestamp(value) < MIN_TIMESTAMP + 2 * USECS_PER_DAY ||
		   DatumGetTimestamp(value) > END_TIMESTAMP - 2 * USECS_PER_DAY;
}

/*
 * Find the time at which a row was deleted, as the value of the column says.  Returns
 * false if it says none, or one that has not come yet.
 */
bool
time_of_deletion(const Bridge *bridge, Datum value, TimestampTz *time)
{
	if (bridge->kind == BRIDGE_UNIX)
	{
		if (!unix_to_time(number_of(bridge, value), bridge->per_second, time))
			return false;
	}
	else if (bridge->kind == BRIDGE_TIME)
	{
		if (is_absurd(bridge, value))
			return false;
		if (bridge->type == DATEOID)
			value = DirectFunctionCall1(date_timestamp, value);
		if (bridge->type != TIMESTAMPTZOID)
			value = DirectFunctionCall2(timestamp_zone,
										PointerGetDatum(bridge->zone), value);
		*time = DatumGetTimestampTz(value);
	}
	else
		return false;
	return *time <= GetCurrentTimestamp();
}

/*
 * Convert a Unix time.  Returns false if the server has no such time.
 */
static bool
unix_to_time(int64 number, int64 per_second, TimestampTz *time)
{
	int64 since_epoch;

	if (per_second > USECS_PER_SEC)
		since_epoch = number / (per_second / USECS_PER_SEC);
	else if (pg_mul_s64_overflow(number, USECS_PER_SEC / per_second, &since_epoch))
		return false;
	return !pg_sub_s64_overflow(since_epoch, EPOCH_DIFFERENCE, time) &&
		   IS_VALID_TIMESTAMP(*time);
}
