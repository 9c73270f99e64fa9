/*
 * foreign_key.c
 *	  Reads foreign keys from the catalogs, and builds and runs queries on them.
 *
 * Such a query runs as the owner of the table that it reads, as the queries of the
 * server's foreign keys do.
 *
 * Invariant: every name and operator in such a query is schema-qualified.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/sd_catalog.h"

PG_FUNCTION_INFO_V1(soft_delete_foreign_keys_of);

static List *foreign_keys_on(Oid relid);
static List *copies_for_partitions(Oid constraint);
static bool is_foreign_key(Oid constraint, Form_pg_constraint form);
static Oid top_constraint(Oid constraint, bool *is_parent_copy);
static List *foreign_keys_by_trigger(Relation rel, int kind, int16 event);
static const char *key_column(Oid relid, const char *alias,
							  const AttrNumber *attnums, int i);
static void append_collation(StringInfo query, const ForeignKey *fk, int i);

/*
 * Return a foreign key, from its row of pg_constraint.  Returns NULL if the
 * constraint is not a foreign key, or one that is not enforced or has PERIOD: it
 * does not relate single live rows.
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
 * Return the constraint that was declared, of which that of a partition is a copy,
 * or the constraint itself.  Sets "is_parent_copy" to whether it is a copy for a
 * partition of the referenced table: then both have the same referencing table.
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
 * Return the foreign keys whose triggers of a kind (RI_TRIGGER_PK or RI_TRIGGER_FK)
 * and event a table has.  They are found by the triggers because pg_constraint has
 * no index on the referenced table.
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
 * Append a table of a foreign key to the FROM clause of a query, with an alias.
 * "which" says which of its rows, if it is tagged: the argument of
 * soft_delete.rows() or, for those in its companion, "aside".  Inheritance children are left
 * out: foreign keys neither reference their rows nor check them.  A companion with months has
 * no others.
 */
void
append_side(StringInfo query, Oid relid, const char *alias, const char *which)
{
	bool is_aside = strcmp(which, "aside") == 0;
	bool has_column = !is_aside && is_tagged(relid) && !is_kept_aside(relid);
	bool has_months = false;

	if (is_aside || (strcmp(which, "deleted") == 0 && is_kept_aside(relid)))
	{
		relid = companion_of(relid);
		has_months = months_of(relid) != NIL;
	}
	appendStringInfo(query, "%s%s %s",
					 has_months || get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE
						 ? ""
						 : "ONLY ",
					 qualified_name(relid), alias);
	if (has_column)
		appendStringInfo(query, " TABLESAMPLE " EXTENSION_SCHEMA ".rows('%s')", which);
}

/*
 * Return the ith column of a key, from 0 on, as append_key_match() needs it: see
 * there.
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
 * Append the condition that the key of the parent equals that of the child.  The
 * columns of either side are given by the alias of the table and their attribute
 * numbers.  If the latter are NULL, the columns are "alias.k1" and so on.  If the
 * alias is NULL too, they are the parameters "$1" and so on.
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
 * Append COLLATE with the collation of the parent's column, by which foreign keys
 * compare, if the child's column has another one.
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
 * Switch to the owner of a relation for a SELECT, which needs no names of the application.
 * Where the owner is another role than the caller, its code must not see the caller's
 * search_path, for it would call his functions.  To be ended by restore_role().
 */
void
become_owner_to_read(Oid relid, SavedRole *saved)
{
	if (owner_of(relid) != calling_role())
		become_owner_of(relid, saved);
	else
		become_owner_for_reference(relid, saved);
}

/*
 * Run a query as the owner of a relation, as foreign keys do.  It sees what is
 * committed now, also in a transaction that keeps its snapshot.  The triggers that
 * it queues fire with those of the statement that runs.
 *
 * SPI must be connected, and must return the result code "expected".  Returns the
 * number of rows.
 */
uint64
execute_as_owner(Oid relid, const char *query, int nargs, Oid *argtypes,
				 Datum *values, int expected)
{
	Relation rel = table_open(relid, AccessShareLock);
	SavedRole saved;
	uint64 nrows;

	if (expected == SPI_OK_SELECT)
		become_owner_to_read(relid, &saved);
	else
		become_owner_for_reference(relid, &saved);
	nrows = execute_latest(query, nargs, argtypes, values, false, expected);
	restore_role(&saved);
	table_close(rel, NoLock);
	return nrows;
}

/*
 * Run a query that sees what is committed now, as execute_as_owner() does, but as the
 * current role.  If "fires_triggers", those that it queues fire before this returns.
 */
uint64
execute_latest(const char *query, int nargs, Oid *argtypes, Datum *values,
			   bool fires_triggers, int expected)
{
	Snapshot snapshot = InvalidSnapshot;
	SPIPlanPtr plan = SPI_prepare(query, nargs, argtypes);
	int result;

	if (plan == NULL)
		elog(ERROR, "%s for %s", SPI_result_code_string(SPI_result), query);
	if (IsolationUsesXactSnapshot())
	{
		CommandCounterIncrement();
		snapshot = GetLatestSnapshot();
	}
	result = SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot,
								  false, fires_triggers, 0);
	if (result == SPI_OK_REWRITTEN)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("a rule has rewritten a query of the extension"),
						errdetail("The query is: %s", query)));
	if (result != expected)
		elog(ERROR, "%s for %s", SPI_result_code_string(result), query);
	return SPI_processed;
}

/*
 * soft_delete_internal.foreign_keys_of(relation regclass) returns setof oid
 *
 * Returns the foreign keys from and to a table, its partitions and its inheritance
 * children, with the copies of partitions.
 */
Datum
soft_delete_foreign_keys_of(PG_FUNCTION_ARGS)
{
	List *found = NIL;
	List *copies = NIL;
	ListCell *lc;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach (lc, with_descendants(PG_GETARG_OID(0)))
		found = list_concat(found, foreign_keys_on(lfirst_oid(lc)));
	/* a copy for a partition of the referencing table has no trigger on the referenced one */
	foreach (lc, found)
		copies = list_concat(copies, copies_for_partitions(lfirst_oid(lc)));
	found = list_concat(found, copies);
	list_sort(found, list_oid_cmp);
	list_deduplicate_oid(found);
	foreach (lc, found)
		return_oid(fcinfo, lfirst_oid(lc));
	return (Datum) 0;
}

/*
 * Return the foreign keys from a relation, and those to it, which its triggers name, for
 * no index finds them.
 */
static List *
foreign_keys_on(Oid relid)
{
	CatalogScan scan =
		begin_catalog_scan(ConstraintRelationId, ConstraintRelidTypidNameIndexId,
						   Anum_pg_constraint_conrelid, relid);
	FormData_pg_constraint form;
	List *constraints = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		if (((Form_pg_constraint) GETSTRUCT(tuple))->contype == CONSTRAINT_FOREIGN)
			constraints = lappend_oid(constraints,
									  ((Form_pg_constraint) GETSTRUCT(tuple))->oid);
	}
	end_catalog_scan(&scan);
	scan = begin_trigger_scan(relid);
	while (HeapTupleIsValid(tuple = next_catalog_row(&scan)))
	{
		Oid constraint = ((Form_pg_trigger) GETSTRUCT(tuple))->tgconstraint;

		if (OidIsValid(constraint) && is_foreign_key(constraint, &form))
			constraints = lappend_oid(constraints, constraint);
	}
	end_catalog_scan(&scan);
	return constraints;
}

/*
 * Return the foreign keys from the partitions of a partitioned table to what a foreign key
 * of that references; NIL if it is one of another kind of table.
 */
static List *
copies_for_partitions(Oid constraint)
{
	FormData_pg_constraint form, other;
	List *copies = NIL;
	ListCell *member, *lc;

	if (!is_foreign_key(constraint, &form) ||
		get_rel_relkind(form.conrelid) != RELKIND_PARTITIONED_TABLE)
		return NIL;
	foreach (member, with_descendants(form.conrelid))
	{
		foreach (lc, foreign_keys_on(lfirst_oid(member)))
		{
			if (is_foreign_key(lfirst_oid(lc), &other) &&
				other.conrelid == lfirst_oid(member) &&
				other.confrelid == form.confrelid)
				copies = lappend_oid(copies, lfirst_oid(lc));
		}
	}
	return copies;
}

/*
 * Is a constraint a foreign key?  Sets "form" if it is.
 */
static bool
is_foreign_key(Oid constraint, Form_pg_constraint form)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	bool found = false;

	if (HeapTupleIsValid(tuple))
	{
		*form = *(Form_pg_constraint) GETSTRUCT(tuple);
		found = form->contype == CONSTRAINT_FOREIGN;
		ReleaseSysCache(tuple);
	}
	return found;
}
