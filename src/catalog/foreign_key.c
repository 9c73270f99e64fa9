/*
 * foreign_key.c
 *	  Reads foreign keys from the catalogs, and says in SQL and in errors what
 *	  they say.
 *
 * Queries made here run with the rights of the owner of the table that they
 * read, as the server's own do, so every name and operator in them is
 * qualified.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/sd_catalog.h"

static Oid top_constraint(Oid constraint, bool *is_parent_copy);
static List *foreign_keys_by_trigger(Relation rel, int kind, int16 event);
static const char *key_column(Oid relid, const char *alias,
							  const AttrNumber *attnums, int i);
static void append_collation(StringInfo query, const ForeignKey *fk, int i);

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
