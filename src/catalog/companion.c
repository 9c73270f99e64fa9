/*
 * companion.c
 *	  Finds the companion of a table: the ordinary table that has its tombstones,
 *	  where they are kept aside.
 *
 * A companion has a check constraint that names its table, CHECK ('t'::regclass IS
 * NOT NULL).  So it is found by the server's own record of dependencies, whatever
 * its name, and after a dump was restored.  And it has the trigger
 * "~soft_delete_companion" with soft_delete.guard_companion() for all that can be written
 * to it (delete/guard.c), whose argument is the name of its column for stamps.
 *
 * A companion may have months: inheritance children, in each of which are the rows that
 * were deleted in a month, UTC.  Then a purge can drop the table instead of its rows.
 * They are found as companions are, and a second argument of the trigger is the month,
 * "2026-11".  A row is where its insertion has found the month's table, else in the
 * companion itself: which rows a month has is asked, not concluded from its name.  So a
 * DELETE needs no table that is not there, and months come and go without a lock on the
 * companion that a DELETE would wait for.
 *
 * Invariant: a table and its companion have the same owner, so nobody can pass off
 * a table as the companion of another role's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/sd_catalog.h"

/* On which events the trigger of a companion fires */
#define GUARDED_EVENTS \
	(TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE | \
	 TRIGGER_TYPE_TRUNCATE)

/* How many statements of the extension may still begin to write to a companion */
static int writes_left = 0;

PG_FUNCTION_INFO_V1(soft_delete_companion_of);
PG_FUNCTION_INFO_V1(soft_delete_companions_table);
PG_FUNCTION_INFO_V1(soft_delete_own_companion);
PG_FUNCTION_INFO_V1(soft_delete_tombstones_in);
PG_FUNCTION_INFO_V1(soft_delete_companion_month);
PG_FUNCTION_INFO_V1(soft_delete_base_type);

static Oid companion_on(Oid relid);
static Oid checked_relation(Oid constraint);
static List *companion_arguments(Oid relid);
static char *stamp_column(Oid relid);
static bool parse_month(Oid relid, Month *month);
static List *look_up_months(Oid companion);
static bool is_companion_trigger(Form_pg_trigger trigger);
static Oid table_named_by(Oid companion, Oid constraint);

/*
 * Return the companion of a table or of the nearest ancestor that has one, or
 * InvalidOid.
 */
Oid
companion_of(Oid relid)
{
	static RelationMemo memo;
	static Oid companion;
	Oid found;

	if (memo_holds(&memo, relid))
		return companion;
	found = find_on_ancestors(relid, companion_on);
	companion = found;
	memo_set(&memo, relid);
	return companion;
}

/*
 * Return the companion whose check constraint names a table, or InvalidOid.
 */
static Oid
companion_on(Oid relid)
{
	CatalogScan scan = begin_dependents_scan(RelationRelationId, relid, 0);
	Oid found = InvalidOid;
	HeapTuple tuple;

	while (!OidIsValid(found) && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend dependent = (Form_pg_depend) GETSTRUCT(tuple);

		if (dependent->classid != ConstraintRelationId ||
			dependent->deptype != DEPENDENCY_NORMAL)
			continue;
		found = checked_relation(dependent->objid);
		if (OidIsValid(found) &&
			(found == relid || owner_of(found) != owner_of(relid) ||
			 stamp_column(found) == NULL || is_month(found)))
			found = InvalidOid;
	}
	end_catalog_scan(&scan);
	return found;
}

/*
 * Return the table that a check constraint is about, or InvalidOid if the constraint
 * is none of a table.
 */
static Oid
checked_relation(Oid constraint)
{
	CatalogScan scan = begin_catalog_scan(ConstraintRelationId, ConstraintOidIndexId,
										  Anum_pg_constraint_oid, constraint);
	HeapTuple tuple = next_catalog_row(&scan);
	Oid relid = InvalidOid;

	if (HeapTupleIsValid(tuple) &&
		((Form_pg_constraint) GETSTRUCT(tuple))->contype == CONSTRAINT_CHECK)
		relid = ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid;
	end_catalog_scan(&scan);
	return relid;
}

/*
 * Return the arguments of the trigger that makes a table a companion: the name of its
 * column for stamps, and "monthly" if it gets months, or its own month.  Returns NIL if the
 * table has no such trigger.
 */
static List *
companion_arguments(Oid relid)
{
	CatalogScan scan = begin_trigger_scan(relid);
	List *arguments = NIL;
	HeapTuple tuple;

	while (arguments == NIL && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		if (is_companion_trigger((Form_pg_trigger) GETSTRUCT(tuple)) &&
			heap_attisnull(tuple, Anum_pg_trigger_tgqual, NULL))
			arguments = trigger_arguments(scan.catalog, tuple);
	}
	end_catalog_scan(&scan);
	return arguments;
}

/*
 * Return the name of the column for stamps of a companion, or NULL if it is none.
 */
static char *
stamp_column(Oid relid)
{
	List *arguments = companion_arguments(relid);

	return arguments != NIL ? linitial(arguments) : NULL;
}

/*
 * Is a relation a month of a companion?
 */
bool
is_month(Oid relid)
{
	Month month;

	return parse_month(relid, &month);
}

/*
 * Does a companion get months?
 */
bool
gets_months(Oid companion)
{
	List *arguments = companion_arguments(companion);

	return list_length(arguments) == 2 && strcmp(lsecond(arguments), "monthly") == 0;
}

/*
 * Read the month of a relation from its trigger.  Returns false if it is no month.
 */
static bool
parse_month(Oid relid, Month *month)
{
	List *arguments = companion_arguments(relid);
	int year, number;
	char rest;

	if (list_length(arguments) != 2 ||
		sscanf(lsecond(arguments), "%4d-%2d%c", &year, &number, &rest) != 2 ||
		year < 2000 || number < 1 || number > 12)
		return false;
	month->relid = relid;
	month->from = (date2j(year, number, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	month->until = (date2j(number == 12 ? year + 1 : year, number % 12 + 1, 1) -
					POSTGRES_EPOCH_JDATE) *
				   USECS_PER_DAY;
	return true;
}

/*
 * Return the months of a companion (Month), which are not locked.  The list is not to be
 * changed, and valid until a relation changes.
 */
List *
months_of(Oid companion)
{
	static RelationMemo memo;
	static MemoryContext context = NULL;
	static List *months;
	List *found;
	MemoryContext oldcontext;
	ListCell *lc;

	if (memo_holds(&memo, companion))
		return months;
	found = look_up_months(companion);
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "soft_delete months",
										ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);
	months = NIL;
	oldcontext = MemoryContextSwitchTo(context);
	foreach (lc, found)
	{
		Month *copy = palloc(sizeof(Month));

		*copy = *(Month *) lfirst(lc);
		months = lappend(months, copy);
	}
	MemoryContextSwitchTo(oldcontext);
	memo_set(&memo, companion);
	return months;
}

/*
 * Look up the result of months_of() in the catalogs: the inheritance children that are
 * months, and have the companion's table and owner.
 */
static List *
look_up_months(Oid companion)
{
	Oid table = companions_table(companion);
	List *months = NIL;
	ListCell *lc;

	if (!OidIsValid(table) || companion_on(table) != companion)
		return NIL;
	foreach (lc, find_inheritance_children(companion, NoLock))
	{
		Month *month = palloc(sizeof(Month));

		if (companions_table(lfirst_oid(lc)) == table &&
			owner_of(lfirst_oid(lc)) == owner_of(companion) &&
			parse_month(lfirst_oid(lc), month))
			months = lappend(months, month);
	}
	return months;
}

/*
 * Return the OIDs of the relations that have the rows of a companion: its months, and the
 * companion itself.
 */
List *
places_of(Oid companion)
{
	List *places = NIL;
	ListCell *lc;

	foreach (lc, months_of(companion))
		places = lappend_oid(places, ((Month *) lfirst(lc))->relid);
	return lappend_oid(places, companion);
}

/*
 * Is a trigger, if it has no WHEN, the one that makes a table a companion?  One that lets
 * statements write to the table does not, nor does one that would take its place.
 */
static bool
is_companion_trigger(Form_pg_trigger trigger)
{
	Oid function = extension_function(COMPANION_TRIGGER);

	return OidIsValid(function) && trigger->tgfoid == function &&
		   (trigger->tgnargs == 1 || trigger->tgnargs == 2) &&
		   TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_STATEMENT,
								TRIGGER_TYPE_BEFORE, GUARDED_EVENTS) &&
		   strcmp(NameStr(trigger->tgname), COMPANION_TRIGGER_NAME) == 0;
}

/*
 * Return the table whose tombstones a relation has, or InvalidOid if the relation is
 * not a companion, or does not exist.
 */
Oid
companions_table(Oid companion)
{
	static RelationMemo memo;
	static Oid relid;
	Oid found = InvalidOid;
	CatalogScan scan;
	HeapTuple tuple;

	if (memo_holds(&memo, companion))
		return relid;
	if (get_rel_relkind(companion) == RELKIND_RELATION &&
		stamp_column(companion) != NULL)
	{
		scan = begin_catalog_scan(ConstraintRelationId,
								  ConstraintRelidTypidNameIndexId,
								  Anum_pg_constraint_conrelid, companion);
		while (!OidIsValid(found) &&
			   HeapTupleIsValid(tuple = next_catalog_row(&scan)))
			found = table_named_by(companion,
								   ((Form_pg_constraint) GETSTRUCT(tuple))->oid);
		end_catalog_scan(&scan);
	}
	relid = found;
	memo_set(&memo, companion);
	return relid;
}

/*
 * Return the table that a constraint of a companion names, or InvalidOid if it names
 * none whose tombstones are there.
 */
static Oid
table_named_by(Oid companion, Oid constraint)
{
	CatalogScan scan = begin_referenced_scan(ConstraintRelationId, constraint, 0);
	Oid found = InvalidOid;
	HeapTuple tuple;

	while (!OidIsValid(found) && HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->refclassid != RelationRelationId || form->refobjid == companion)
			continue;
		/* a month is below the companion */
		if (list_member_oid(is_month(companion) ? with_ancestors(companion)
												: list_make1_oid(companion),
							companion_on(form->refobjid)))
			found = form->refobjid;
	}
	end_catalog_scan(&scan);
	return found;
}

/*
 * Return the companion of a table itself, or InvalidOid: that of a partition is its
 * root's.
 */
Oid
own_companion(Oid relid)
{
	Oid companion = companion_of(relid);

	return OidIsValid(companion) && companions_table(companion) == relid
			   ? companion
			   : InvalidOid;
}

/*
 * Return the relation that has the tombstones of a table, and the column for their
 * stamps: the table, or its companion.  Returns the table, too, where the companion is
 * missing.
 */
Oid
tombstones_in(Oid relid)
{
	Oid companion = is_kept_aside(relid) ? companion_of(relid) : InvalidOid;

	return OidIsValid(companion) ? companion : relid;
}

/*
 * Open the companion of a table whose tombstones are kept aside.
 *
 * Raises 42P01 if it is missing: without it, rows that are deleted would be lost.
 */
Relation
open_companion(Relation rel, LOCKMODE lockmode)
{
	Oid relid = companion_of(RelationGetRelid(rel));
	Relation companion = OidIsValid(relid) ? try_table_open(relid, lockmode) : NULL;

	if (companion == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" has no companion to keep its deleted rows",
						RelationGetRelationName(rel)),
				 errdetail("The companion of a table belongs to the table's owner, and has a check constraint that names the table and a trigger of soft_delete.guard_companion()."),
				 errhint("SELECT soft_delete.repair(%s);",
						 quote_literal_cstr(qualified_name(
							 llast_oid(with_ancestors(RelationGetRelid(rel))))))));
	return companion;
}

/*
 * Return the number of the column for stamps of a companion.
 *
 * Raises 42703 if it does not exist.
 */
AttrNumber
stamp_attribute(Relation companion)
{
	static RelationMemo memo;
	static AttrNumber attnum;
	Oid relid = RelationGetRelid(companion);
	AttrNumber found;
	char *name;

	if (memo_holds(&memo, relid))
		return attnum;
	name = stamp_column(relid);
	found = name ? get_attnum(relid, name) : InvalidAttrNumber;
	if (found <= 0 || get_atttype(relid, found) != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("companion \"%s\" has no column for the stamps of deleted rows",
						RelationGetRelationName(companion)),
				 errdetail("The argument of its trigger names a column of type timestamptz.")));
	attnum = found;
	memo_set(&memo, relid);
	return attnum;
}

/*
 * soft_delete_internal.companion_of(relation regclass) returns regclass
 *
 * Returns the companion of a table or of the nearest ancestor that has one; null if
 * there is none.
 */
Datum
soft_delete_companion_of(PG_FUNCTION_ARGS)
{
	Oid companion = companion_of(PG_GETARG_OID(0));

	if (!OidIsValid(companion))
		PG_RETURN_NULL();
	PG_RETURN_OID(companion);
}

/*
 * soft_delete_internal.companions_table(companion regclass) returns regclass
 *
 * Returns the table that a companion belongs to; null if the relation is none.
 */
Datum
soft_delete_companions_table(PG_FUNCTION_ARGS)
{
	Oid table = companions_table(PG_GETARG_OID(0));

	if (!OidIsValid(table))
		PG_RETURN_NULL();
	PG_RETURN_OID(table);
}

/*
 * soft_delete_internal.own_companion(relation regclass) returns regclass
 *
 * Returns the companion of a table itself; null if there is none.
 */
Datum
soft_delete_own_companion(PG_FUNCTION_ARGS)
{
	Oid companion = own_companion(PG_GETARG_OID(0));

	if (!OidIsValid(companion))
		PG_RETURN_NULL();
	PG_RETURN_OID(companion);
}

/*
 * soft_delete_internal.tombstones_in(relation regclass) returns regclass
 *
 * Returns the relation that has the tombstones of a table.
 */
Datum
soft_delete_tombstones_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(tombstones_in(PG_GETARG_OID(0)));
}

/*
 * soft_delete_internal.companion_month(relation regclass) returns text
 *
 * Returns the second argument of the trigger that makes a table a companion: "monthly" if it
 * gets months, the month if it is one, else null.
 */
Datum
soft_delete_companion_month(PG_FUNCTION_ARGS)
{
	List *arguments = companion_arguments(PG_GETARG_OID(0));

	if (list_length(arguments) != 2)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(lsecond(arguments)));
}

/*
 * Let so many statements of the extension begin to write to companions.  Returns how many
 * might before, to be put back, after an error too.
 */
int
allow_companion_writes(int n)
{
	int before = writes_left;

	writes_left = n;
	return before;
}

/*
 * May the statement that begins write to a companion, as one of the extension?  Statements
 * within it, in functions of the table's owner, are none.
 */
bool
begin_companion_write(void)
{
	if (writes_left == 0)
		return false;
	writes_left--;
	return true;
}

/*
 * soft_delete_internal.base_type(type oid, typmod integer, OUT base oid,
 * OUT base_typmod integer)
 *
 * Returns the type that a domain is made of, at any depth, and its modifier, as a companion
 * has it; any other type itself.
 */
Datum
soft_delete_base_type(PG_FUNCTION_ARGS)
{
	Oid type = PG_GETARG_OID(0);
	int32 typmod = PG_GETARG_INT32(1);
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "base_type() must return a row");
	if (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		typmod = -1;
		type = getBaseTypeAndTypmod(type, &typmod);
	}
	values[0] = ObjectIdGetDatum(type);
	values[1] = Int32GetDatum(typmod);
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
