/*
 * key.c
 *	  Finds the primary key of a relation, and converts keys of rows to text: for
 *	  conditions, for messages, and for the extension's own tables.
 *
 * Invariant: the text of a stored value does not depend on settings.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/xml.h"

#include "catalog/sd_catalog.h"

/* An entry of a set of keys: see key_in_set() */
typedef struct KeySetEntry
{
	uint64 hash; /* of the key */
	Oid of; /* what it belongs to: others can make keys with the same hash */
	uint32 padding; /* is hashed, too */
} KeySetEntry;

static int look_up_primary_key(Oid relid, AttrNumber *attnums);
static const char *operator_name(Oid operator);
static char *attribute_text(TupleTableSlot *row, AttrNumber attnum);
static bool ignores_settings(Oid type);
static void set_unless(bool is_set, const char *name, const char *value);

/*
 * Does the relation have a primary key?
 */
bool
has_primary_key(Oid relid)
{
	Oid constraint;

	(void) get_primary_key_attnos(relid, true, &constraint);
	return OidIsValid(constraint);
}

/*
 * Find the columns of a relation's primary key, in the order of the key.  Returns
 * their number, which is 0 if there is no primary key.
 */
int
primary_key(Oid relid, AttrNumber *attnums)
{
	static RelationMemo memo; /* callers ask for each row */
	static int n;
	static AttrNumber known[INDEX_MAX_KEYS];

	if (!memo_holds(&memo, relid))
	{
		n = look_up_primary_key(relid, known);
		memo_set(&memo, relid);
	}
	memcpy(attnums, known, n * sizeof(AttrNumber));
	return n;
}

/*
 * Look up the result of primary_key() in pg_constraint.
 */
static int
look_up_primary_key(Oid relid, AttrNumber *attnums)
{
	Oid constraint;
	HeapTuple tuple;
	ArrayType *columns;
	bool isnull;
	int n;

	(void) get_primary_key_attnos(relid, true, &constraint);
	if (!OidIsValid(constraint))
		return 0;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	columns = DatumGetArrayTypeP(
		SysCacheGetAttr(CONSTROID, tuple, Anum_pg_constraint_conkey, &isnull));
	n = ARR_DIMS(columns)[0];
	memcpy(attnums, ARR_DATA_PTR(columns), n * sizeof(AttrNumber));
	ReleaseSysCache(tuple);
	return n;
}

/*
 * Are some columns of two versions of a row binary equal?
 */
bool
columns_equal(int n, const AttrNumber *attnums, TupleTableSlot *old,
			  TupleTableSlot *new)
{
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att =
			TupleDescAttr(old->tts_tupleDescriptor, attnums[i] - 1);
		bool old_isnull, new_isnull;
		Datum old_value = slot_getattr(old, attnums[i], &old_isnull);
		Datum new_value = slot_getattr(new, attnums[i], &new_isnull);

		if (old_isnull != new_isnull ||
			(!old_isnull &&
			 !datum_image_eq(old_value, new_value, att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

/*
 * Return a key as a condition that can be pasted into a statement: "a = '1' AND b =
 * '2'".  The names are those of columns of relation "named", the values those of
 * columns of the row.
 */
char *
key_condition(int nkeys, Oid named, const AttrNumber *named_attnums,
			  TupleTableSlot *row, const AttrNumber *row_attnums)
{
	StringInfoData condition;

	initStringInfo(&condition);
	for (int i = 0; i < nkeys; i++)
		appendStringInfo(&condition, "%s%s = %s", i > 0 ? " AND " : "",
						 quote_identifier(get_attname(named, named_attnums[i], false)),
						 quote_literal_cstr(attribute_text(row, row_attnums[i])));
	return condition.data;
}

/*
 * Return the condition that a row conflicts with another one in an exclusion constraint,
 * for pasting: "room = '1'::integer AND during && '[1,5)'::int4range".
 */
char *
exclusion_condition(int nkeys, const Oid *operators, TupleTableSlot *row,
					const AttrNumber *attnums)
{
	StringInfoData condition;

	initStringInfo(&condition);
	for (int i = 0; i < nkeys; i++)
	{
		Form_pg_attribute att =
			TupleDescAttr(row->tts_tupleDescriptor, attnums[i] - 1);

		appendStringInfo(&condition, "%s%s %s %s::%s", i > 0 ? " AND " : "",
						 quote_identifier(NameStr(att->attname)),
						 operator_name(operators[i]),
						 quote_literal_cstr(attribute_text(row, attnums[i])),
						 format_type_be(att->atttypid));
	}
	return condition.data;
}

/*
 * Return the name of an operator for a condition, qualified unless it is the server's.
 */
static const char *
operator_name(Oid operator)
{
	HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	const char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	name = form->oprnamespace == PG_CATALOG_NAMESPACE
			   ? pstrdup(NameStr(form->oprname))
			   : psprintf("OPERATOR(%s.%s)",
						  quote_identifier(get_namespace_name(form->oprnamespace)),
						  NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return name;
}

/*
 * Return a key in the form that the server's errors have: "(a, b)=(1, 2)".
 */
char *
key_description(int nkeys, TupleTableSlot *row, const AttrNumber *attnums)
{
	StringInfoData names, values;

	initStringInfo(&names);
	initStringInfo(&values);
	for (int i = 0; i < nkeys; i++)
	{
		Form_pg_attribute att =
			TupleDescAttr(row->tts_tupleDescriptor, attnums[i] - 1);

		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", NameStr(att->attname));
		appendStringInfo(&values, "%s%s", i > 0 ? ", " : "",
						 attribute_text(row, attnums[i]));
	}
	return psprintf("(%s)=(%s)", names.data, values.data);
}

/*
 * Return the value of an attribute as text, or "null" if it is null.
 */
static char *
attribute_text(TupleTableSlot *row, AttrNumber attnum)
{
	bool is_varlena, isnull;
	Datum value = slot_getattr(row, attnum, &isnull);
	Oid output;

	if (isnull)
		return pstrdup("null");
	getTypeOutputInfo(TupleDescAttr(row->tts_tupleDescriptor, attnum - 1)->atttypid,
					  &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

/*
 * Return attributes of a row as a value of type text[].
 */
Datum
text_array(TupleTableSlot *row, int n, const AttrNumber *attnums)
{
	Datum texts[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];
	int lower = 1;

	for (int i = 0; i < n; i++)
	{
		(void) slot_getattr(row, attnums[i], &nulls[i]);
		texts[i] = nulls[i] ? (Datum) 0
							: CStringGetTextDatum(attribute_text(row, attnums[i]));
	}
	return PointerGetDatum(construct_md_array(texts, nulls, 1, &n, &lower,
											  TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Return the primary key of a row of the relation as a value of type text[], which
 * does not depend on settings, or 0 if the relation has no primary key.
 */
Datum
primary_key_text(Oid relid, TupleTableSlot *row)
{
	AttrNumber attnums[INDEX_MAX_KEYS];
	int n = primary_key(relid, attnums);
	bool is_simple = true;
	int nestlevel = 0;
	Datum key;

	if (n == 0)
		return (Datum) 0;
	for (int i = 0; i < n; i++)
		is_simple =
			is_simple &&
			ignores_settings(
				TupleDescAttr(row->tts_tupleDescriptor, attnums[i] - 1)->atttypid);
	if (!is_simple)
		nestlevel = begin_key_form();
	key = text_array(row, n, attnums);
	if (!is_simple)
		end_text_form(nestlevel);
	return key;
}

/*
 * Is it certain that the text of a value of the type does not depend on settings?
 * If it is, begin_key_form() can be left out, which takes time.
 */
static bool
ignores_settings(Oid type)
{
	return type == INT4OID || type == INT8OID || type == INT2OID ||
		   type == UUIDOID || type == TEXTOID || type == VARCHAROID;
}

/*
 * Change the settings on which the conversion of values to text, and back, depends
 * to the same values in all sessions.  Returns a nesting level for end_text_form(),
 * which must follow.
 */
int
begin_text_form(void)
{
	int nestlevel = NewGUCNestLevel();

	set_unless(strcmp(namespace_search_path, "pg_catalog") == 0, "search_path",
			   "pg_catalog");
	set_unless(DateStyle == USE_ISO_DATES, "datestyle", "ISO");
	set_unless(IntervalStyle == INTSTYLE_POSTGRES, "intervalstyle", "postgres");
	set_unless(extra_float_digits > 0, "extra_float_digits", "1");
	set_unless(strcmp(GetConfigOption("lc_monetary", false, false), "C") == 0,
			   "lc_monetary", "C");
	set_unless(xmloption == XMLOPTION_CONTENT, "xmloption", "content");
	set_unless(Array_nulls, "array_nulls", "on");
	return nestlevel;
}

/*
 * Change the settings as begin_text_form() does, and also those that make the texts
 * of binary equal values differ, so that texts can be compared.
 */
int
begin_key_form(void)
{
	int nestlevel = begin_text_form();

	set_unless(strcmp(pg_get_timezone_name(session_timezone), "UTC") == 0,
			   "timezone", "UTC");
	set_unless(bytea_output == BYTEA_OUTPUT_HEX, "bytea_output", "hex");
	return nestlevel;
}

/*
 * Change a setting until end_text_form(), unless it has the value already.
 */
static void
set_unless(bool is_set, const char *name, const char *value)
{
	if (!is_set)
		(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Restore the settings that begin_text_form() or begin_key_form() has changed.
 */
void
end_text_form(int nestlevel)
{
	AtEOXact_GUC(true, nestlevel);
}

/*
 * Make an empty set of keys, in the current memory context.
 */
HTAB *
make_key_set(void)
{
	HASHCTL ctl = {.keysize = sizeof(KeySetEntry),
				   .entrysize = sizeof(KeySetEntry),
				   .hcxt = CurrentMemoryContext};

	return hash_create("soft_delete keys", 64, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Is a key in a set of keys, to which it is added first if "add"?  The key is a
 * value of type text[], and belongs to the relation or foreign key with the OID
 * "of".
 */
bool
key_in_set(HTAB *keys, Oid of, Datum key, bool add)
{
	ArrayType *array = DatumGetArrayTypeP(key);
	KeySetEntry entry = {.hash =
							 hash_bytes_extended((unsigned char *) VARDATA(array),
												 VARSIZE(array) - VARHDRSZ, of),
						 .of = of};

	return hash_search(keys, &entry, add ? HASH_ENTER : HASH_FIND, NULL) != NULL;
}
