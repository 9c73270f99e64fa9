/*
 * stand_in.c
 *	  Lets statements name unique constraints that tag() has made partial indexes.
 *
 * A unique constraint cannot have a predicate, so tag() replaces it by a unique
 * index on live rows with the same name.  Statements with ON CONFLICT ON
 * CONSTRAINT, and migrations, still name the constraint.  So tag() adds a
 * constraint of that name, the stand-in: CHECK (true), which is always satisfied.
 * The planner hook replaces ON CONFLICT ON CONSTRAINT by the inference of the
 * index.  DROP CONSTRAINT drops the index too, because of a dependency, and event
 * triggers handle other commands.
 *
 * Invariant: a constraint is a stand-in because it has the name of a unique index
 * on live rows of its table, so a dump and restore preserves it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/readfuncs.h"
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "keys/sd_keys.h"

PG_FUNCTION_INFO_V1(soft_delete_bind_index);
PG_FUNCTION_INFO_V1(soft_delete_stand_in);

static bool is_check_true(HeapTuple constraint);

/*
 * Replace ON CONFLICT ON CONSTRAINT in a query by the inference of a unique index
 * on live rows, if the constraint is the stand-in of one.  "attnum" is the
 * tombstone column.
 */
void
infer_stand_in(Query *query, Relation relation, AttrNumber attnum)
{
	OnConflictExpr *conflict = query->onConflict;
	Oid indexoid = get_relname_relid(get_constraint_name(conflict->constraint),
									 RelationGetNamespace(relation));
	Relation index;
	Node *predicate;

	if (OidIsValid(get_constraint_index(conflict->constraint)) ||
		!list_member_oid(RelationGetIndexList(relation), indexoid))
		return;

	index = index_open(indexoid, AccessShareLock);
	if (index->rd_index->indisunique && index_hides_tombstones(index, attnum) &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL))
	{
		bool isnull;
		const oidvector *opclasses = (oidvector *) DatumGetPointer(
			SysCacheGetAttr(INDEXRELID, index->rd_indextuple,
							Anum_pg_index_indclass, &isnull));

		for (int i = 0; i < index->rd_index->indnkeyatts; i++)
		{
			InferenceElem *elem = makeNode(InferenceElem);
			AttrNumber attno = index->rd_index->indkey.values[i];
			Form_pg_attribute att =
				TupleDescAttr(RelationGetDescr(relation), attno - 1);

			elem->expr = (Node *) makeVar(query->resultRelation, attno, att->atttypid,
										  att->atttypmod, att->attcollation, 0);
			elem->infercollid = index->rd_indcollation[i];
			elem->inferopclass = opclasses->values[i];
			conflict->arbiterElems = lappend(conflict->arbiterElems, elem);
		}
		predicate = (Node *) make_ands_explicit(RelationGetIndexPredicate(index));
		ChangeVarNodes(predicate, 1, query->resultRelation, 0);
		conflict->arbiterWhere = predicate;
		conflict->constraint = InvalidOid;
	}
	index_close(index, AccessShareLock);
}

/*
 * soft_delete_internal.bind_index(index regclass, constraint oid) returns void
 *
 * Records that an index depends on the constraint that stands in for it, so that
 * DROP CONSTRAINT drops the index too.
 *
 * Raises 42501 unless the caller owns the index, 42704 if its table has no such
 * constraint.
 */
Datum
soft_delete_bind_index(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Oid constraint = PG_GETARG_OID(1);
	HeapTuple tuple;
	ObjectAddress index, stand_in;

	if (!relation_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(relid));

	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!HeapTupleIsValid(tuple) || ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid !=
										IndexGetRelation(relid, true))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("constraint with OID %u of the table of index \"%s\" does not exist",
							   constraint, get_rel_name(relid))));
	ReleaseSysCache(tuple);

	ObjectAddressSet(index, RelationRelationId, relid);
	ObjectAddressSet(stand_in, ConstraintRelationId, constraint);
	deleteDependencyRecordsForSpecific(RelationRelationId, relid, DEPENDENCY_AUTO,
									   ConstraintRelationId, constraint);
	recordDependencyOn(&index, &stand_in, DEPENDENCY_AUTO);
	PG_RETURN_VOID();
}

/*
 * soft_delete_internal.stand_in(index regclass) returns oid
 *
 * Returns the constraint that stands in for the unique constraint which an index was, or
 * null.
 */
Datum
soft_delete_stand_in(PG_FUNCTION_ARGS)
{
	Oid indexoid = PG_GETARG_OID(0);
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexoid));
	char *name = get_rel_name(indexoid); /* NULL if it has just been dropped */
	Oid constraint = InvalidOid;

	if (!HeapTupleIsValid(tuple))
		PG_RETURN_NULL();
	if (name != NULL && ((Form_pg_index) GETSTRUCT(tuple))->indisunique &&
		!heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
		heap_attisnull(tuple, Anum_pg_index_indexprs, NULL))
		constraint =
			get_relation_constraint_oid(((Form_pg_index) GETSTRUCT(tuple))->indrelid,
										name, true);
	ReleaseSysCache(tuple);
	if (!OidIsValid(constraint))
		PG_RETURN_NULL();

	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!HeapTupleIsValid(tuple) || !is_check_true(tuple))
		constraint = InvalidOid;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (!OidIsValid(constraint))
		PG_RETURN_NULL();
	PG_RETURN_OID(constraint);
}

/*
 * Is a constraint CHECK (true)?
 */
static bool
is_check_true(HeapTuple constraint)
{
	bool isnull;
	Datum expression;
	Const *value;

	if (((Form_pg_constraint) GETSTRUCT(constraint))->contype != CONSTRAINT_CHECK)
		return false;
	expression =
		SysCacheGetAttr(CONSTROID, constraint, Anum_pg_constraint_conbin, &isnull);
	if (isnull)
		return false;
	value = stringToNode(TextDatumGetCString(expression));
	return IsA(value, Const) && value->consttype == BOOLOID &&
		   !value->constisnull && DatumGetBool(value->constvalue);
}
