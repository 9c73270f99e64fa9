/*
 * foreign_key.c
 *	  Reads foreign keys from the catalogs, and says in SQL and in errors what
 *	  they say.
 *
 * Queries made here run with the rights of the owner of the table that they
 * read, as the server's own do, so every name and operator in them is
 * qualified.
 */
#include "soft_delete.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static char *attribute_text(TupleTableSlot *row, AttrNumber attnum);
static Oid top_constraint(Oid constraint, bool *is_parent_copy);
static List *foreign_keys_by_trigger(Relation rel, int kind, int16 event);
static const char *key_column(Oid relid, const char *alias,
							  const AttrNumber *attnums, int i);
static void append_collation(StringInfo query, const ForeignKey *fk, int i);
static int look_up_primary_key(Oid relid, AttrNumber *attnums);
static bool has_one_form(Oid type);

/*
 * Return a foreign key from its catalog row, or NULL if it is none that ties
 * live rows: not enforced, or one of periods.
 */
ForeignKey *
load_foreign_key(Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Form_pg_constraint con;
	ForeignKey *fk = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	con = (Form_pg_constraint) GETSTRUCT(tuple);

	if (con->contype == CONSTRAINT_FOREIGN && foreign_key_ties_rows(con))
	{
		fk = palloc0(sizeof(ForeignKey));
		fk->constraint = constraint;
		fk->top = top_constraint(constraint, &fk->is_parent_copy);
		fk->child = con->conrelid;
		fk->parent = con->confrelid;
		fk->on_delete = con->confdeltype;
		fk->on_update = con->confupdtype;
		fk->is_deferrable = con->condeferrable;
		fk->is_deferred = con->condeferred;
		DeconstructFkConstraintRow(tuple, &fk->nkeys, fk->child_attnums,
								   fk->parent_attnums, fk->operators,
								   fk->parent_operators, fk->child_operators,
								   NULL, NULL);
	}
	ReleaseSysCache(tuple);
	return fk;
}

/*
 * Return the constraint that was declared, of which a partition's is a copy:
 * one of the referenced table, if the referencing table of both is the same.
 */
static Oid
top_constraint(Oid constraint, bool *is_parent_copy)
{
	Oid child = InvalidOid;

	*is_parent_copy = false;
	for (;;)
	{
		HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
		Form_pg_constraint con;
		Oid above;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for constraint %u", constraint);
		con = (Form_pg_constraint) GETSTRUCT(tuple);
		*is_parent_copy = *is_parent_copy || con->conrelid == child;
		child = con->conrelid;
		above = con->conparentid;
		ReleaseSysCache(tuple);
		if (!OidIsValid(above))
			return constraint;
		constraint = above;
	}
}

/*
 * Return the foreign keys that reference a table.
 */
List *
foreign_keys_to(Relation parent)
{
	return foreign_keys_by_trigger(parent, RI_TRIGGER_PK, TRIGGER_TYPE_DELETE);
}

/*
 * Return the foreign keys of a table.
 */
List *
foreign_keys_from(Relation child)
{
	return foreign_keys_by_trigger(child, RI_TRIGGER_FK, TRIGGER_TYPE_INSERT);
}

/*
 * Return the foreign keys of which a table has the triggers of that kind, as
 * RI_FKey_trigger_type() has it, and event.  pg_constraint has no index for
 * those that reference a table.
 */
static List *
foreign_keys_by_trigger(Relation rel, int kind, int16 event)
{
	List *constraints = NIL;
	List *keys = NIL;
	ListCell *lc;

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (RI_FKey_trigger_type(trigger->tgfoid) == kind &&
			(trigger->tgtype & event) != 0)
			constraints = lappend_oid(constraints, trigger->tgconstraint);
	}
	foreach (lc, constraints)
	{
		ForeignKey *fk = load_foreign_key(lfirst_oid(lc));

		if (fk != NULL)
			keys = lappend(keys, fk);
	}
	return keys;
}

/*
 * Append one side of a foreign key to a FROM clause: live rows, deleted ones,
 * or all of them.  Foreign keys look at inheritance children in no direction.
 */
void
append_side(StringInfo query, Oid relid, const char *alias, const char *which)
{
	appendStringInfo(query, "%s%s %s",
					 get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 qualified_name(relid), alias);
	if (is_tagged(relid))
		appendStringInfo(query, " TABLESAMPLE " EXTENSION_SCHEMA ".rows('%s')", which);
}

/*
 * Return one column of one side of append_key_match().
 */
static const char *
key_column(Oid relid, const char *alias, const AttrNumber *attnums, int i)
{
	if (attnums != NULL)
		return psprintf("%s.%s", alias,
						quote_identifier(get_attname(relid, attnums[i], false)));
	return alias ? psprintf("%s.k%d", alias, i + 1) : psprintf("$%d", i + 1);
}

/*
 * Append "parent's key = child's key".  A side is the alias of its table with
 * the names of its columns, or where its attnums are NULL, "alias.k1" and so
 * on, or where the alias is NULL too, "$1" and so on.
 */
void
append_key_match(StringInfo query, const ForeignKey *fk, const char *parent,
				 const AttrNumber *parent_attnums, const char *child,
				 const AttrNumber *child_attnums)
{
	for (int i = 0; i < fk->nkeys; i++)
	{
		const char *left = key_column(fk->parent, parent, parent_attnums, i);
		const char *right = key_column(fk->child, child, child_attnums, i);

		if (i > 0)
			appendStringInfoString(query, " AND ");
		generate_operator_clause(query, left,
								 get_atttype(fk->parent, fk->parent_attnums[i]),
								 fk->operators[i], right,
								 get_atttype(fk->child, fk->child_attnums[i]));
		append_collation(query, fk, i);
	}
}

/*
 * Append the collation of the parent's column, which decides, where the child's
 * has another.
 */
static void
append_collation(StringInfo query, const ForeignKey *fk, int i)
{
	Oid type, parent, child;
	int32 typmod;
	HeapTuple tuple;
	Form_pg_collation collation;

	get_atttypetypmodcoll(fk->parent, fk->parent_attnums[i], &type, &typmod, &parent);
	get_atttypetypmodcoll(fk->child, fk->child_attnums[i], &type, &typmod, &child);
	if (!OidIsValid(parent) || parent == child)
		return;

	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(parent));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", parent);
	collation = (Form_pg_collation) GETSTRUCT(tuple);
	appendStringInfo(query, " COLLATE %s",
					 quote_qualified_identifier(get_namespace_name(collation->collnamespace),
												NameStr(collation->collname)));
	ReleaseSysCache(tuple);
}

/*
 * Run a query with the rights of the owner of a relation, as foreign keys do.
 * It sees what is committed now, in a transaction that keeps its snapshot too;
 * the triggers that it queues fire with those of the statement that runs.  SPI
 * must be connected.  Returns the number of rows.
 */
uint64
execute_as_owner(Oid relid, const char *query, int nargs, Oid *argtypes,
				 Datum *values, int expected)
{
	Snapshot snapshot = InvalidSnapshot;
	SPIPlanPtr plan;
	Relation rel;
	SavedRole saved;
	int result;

	if (IsolationUsesXactSnapshot())
	{
		CommandCounterIncrement();
		snapshot = GetLatestSnapshot();
	}

	rel = table_open(relid, AccessShareLock);
	become_owner_for_reference(relid, &saved);
	plan = SPI_prepare(query, nargs, argtypes);
	if (plan == NULL)
		elog(ERROR, "%s for %s", SPI_result_code_string(SPI_result), query);
	result = SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot,
								  false, false, 0);
	restore_role(&saved);
	table_close(rel, NoLock);

	if (result != expected)
		elog(ERROR, "%s for %s", SPI_result_code_string(result), query);
	return SPI_processed;
}

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
 * Find the columns of a relation's primary key, in its order.  Returns their
 * number, which is 0 if it has none.
 */
int
primary_key(Oid relid, AttrNumber *attnums)
{
	static Oid known_relid = InvalidOid; /* asked for row after row */
	static uint64 known_at;
	static int n;
	static AttrNumber known[INDEX_MAX_KEYS];
	uint64 changes = relcache_changes;

	if (known_relid != relid || known_at != changes)
	{
		known_relid = InvalidOid;
		n = look_up_primary_key(relid, known);
		known_relid = relid;
		known_at = changes;
	}
	memcpy(attnums, known, n * sizeof(AttrNumber));
	return n;
}

/*
 * The same, from the catalogs.
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
 * Are some columns the same, to the bit, in two versions of a row?
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
 * Return a key as a condition that can be pasted: "a = '1' AND b = '2'".  The
 * names are those of "named", the values those of the row.
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
 * Return a key in the words of the server's errors: "(a, b)=(1, 2)".
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
 * Return the value of an attribute as text; "null" for null.
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
 * Return attributes of a row as an array of texts.
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
 * Return the primary key of a row of the relation as an array of texts, the same
 * under any settings; 0 if it has none.
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
		is_simple = is_simple &&
					has_one_form(TupleDescAttr(row->tts_tupleDescriptor,
											   attnums[i] - 1)
									 ->atttypid);
	if (!is_simple)
		nestlevel = begin_key_form();
	key = text_array(row, n, attnums);
	if (!is_simple)
		end_text_form(nestlevel);
	return key;
}

/*
 * Have values of the type the same text under all settings?  For others it takes
 * a while to see to that.
 */
static bool
has_one_form(Oid type)
{
	return type == INT4OID || type == INT8OID || type == INT2OID ||
		   type == UUIDOID || type == TEXTOID || type == VARCHAROID;
}

/*
 * Return the name of the bin of a table, as it can be pasted.
 */
char *
bin_name(Oid relid)
{
	Oid bin = bin_of(relid);

	return OidIsValid(bin)
			   ? DatumGetCString(
					 DirectFunctionCall1(regclassout, ObjectIdGetDatum(bin)))
			   : pstrdup("the bin");
}

/*
 * May the current role read some columns of a relation?  Else errors do not
 * tell it what is in them.  Not where row security is in force: which rows it
 * may read is not known.
 */
bool
may_read(Oid relid, int n, const AttrNumber *attnums)
{
	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return false;
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < n; i++)
	{
		if (attnums[i] == InvalidAttrNumber ||
			pg_attribute_aclcheck(relid, attnums[i], GetUserId(), ACL_SELECT) !=
				ACLCHECK_OK)
			return false;
	}
	return true;
}

/*
 * The same for the tombstones of a relation, which may be read in its bin.
 */
bool
may_read_tombstones(Oid relid, int n, const AttrNumber *attnums)
{
	Oid bin = bin_of(relid);
	AttrNumber bin_attnums[INDEX_MAX_KEYS];

	if (may_read(relid, n, attnums))
		return true;
	for (int i = 0; i < n && OidIsValid(bin); i++)
		bin_attnums[i] = get_attnum(bin, get_attname(relid, attnums[i], false));
	return OidIsValid(bin) && may_read(bin, n, bin_attnums);
}
