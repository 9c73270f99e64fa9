/*
 * stand_in.c
 *	  Lets unique constraints that have become partial indexes be named.
 *
 * A unique constraint cannot have a predicate, so tag() makes it an index on
 * live rows, under its name.  ON CONFLICT ON CONSTRAINT, and migrations, go on
 * naming the constraint: a stand-in has the name, CHECK (true), which is always
 * satisfied.  The planner hook turns the one into the inference of the index.
 * Of the other, DROP CONSTRAINT takes the index along, and event triggers
 * (sql/keys_stand_in.sql) see to the rest.
 *
 * A stand-in has the name of its index, which is all that makes it one, so
 * dumps carry it.
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
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "keys/sd_keys.h"

PG_FUNCTION_INFO_V1(soft_delete_bind_index);

/*
 * Turn ON CONFLICT ON CONSTRAINT, where that is the stand-in of a unique index
 * on live rows, into the inference of that index.
 *
 * A stand-in has the name of its index, which is what makes it one.
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
	if (index->rd_index->indisunique && index_hides_tombstones(index, attnum))
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
 * Makes the index go with the constraint that stands in for it.
 *
 * Raises 42501 unless the caller owns the index, 42704 if there is no such
 * constraint of its table.
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
