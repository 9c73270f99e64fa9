/*
 * stand_in.c
 *	  Lets unique constraints that have become partial indexes be named.
 *
 * A unique constraint cannot have a predicate, so tag() makes it an index on
 * live rows, under its name.  ON CONFLICT ON CONSTRAINT, and migrations, go on
 * naming the constraint: a stand-in has the name, CHECK (true), which is always
 * satisfied.  The planner hook turns the one into the inference of the index.
 * Of the other, DROP CONSTRAINT takes the index along, and event triggers
 * (sql/stand_ins.sql) see to the rest.
 *
 * A stand-in has the name of its index, which is all that makes it one, so
 * dumps carry it.
 */
#include "soft_delete.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "rewrite/rewriteManip.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

PG_FUNCTION_INFO_V1(soft_delete_bind_index);

static void process_attach(PlannedStmt *pstmt, const char *queryString,
						   bool readOnlyTree, ProcessUtilityContext context,
						   ParamListInfo params, QueryEnvironment *queryEnv,
						   DestReceiver *dest, QueryCompletion *qc);
static void prepare_partition(Oid parent, RangeVar *partition);

/*
 * Install the hook that sees partitions being attached.
 */
void
init_stand_in(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = process_attach;
}

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
 * ProcessUtility hook: a table that becomes a partition must have the columns
 * and the CHECK constraints of its parent, and nobody knows of the tombstone
 * column and the stand-ins among them.
 */
static void
process_attach(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			   ProcessUtilityContext context, ParamListInfo params,
			   QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	AlterTableStmt *stmt = (AlterTableStmt *) pstmt->utilityStmt;

	if (IsA(stmt, AlterTableStmt))
	{
		ListCell *lc;

		foreach (lc, stmt->cmds)
		{
			AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
			Oid parent = InvalidOid;

			if (cmd->subtype == AT_AttachPartition && stmt->objtype == OBJECT_TABLE)
				parent = RangeVarGetRelid(stmt->relation, AccessShareLock, true);
			if (OidIsValid(parent) && is_tagged(parent))
				prepare_partition(parent, castNode(PartitionCmd, cmd->def)->name);
		}
	}

	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context, params,
							queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

/*
 * Give a table that is to become a partition what its parent's tag has added.
 */
static void
prepare_partition(Oid parent, RangeVar *partition)
{
	Oid relid = RangeVarGetRelid(partition, AccessShareLock, true);

	if (!OidIsValid(relid))
		return; /* ALTER TABLE will complain */

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	SPI_execute_with_args("SELECT soft_delete.prepare_partition($1, $2)", 2,
						  (Oid[]){OIDOID, OIDOID},
						  (Datum[]){ObjectIdGetDatum(parent), ObjectIdGetDatum(relid)},
						  NULL, false, 0);
	SPI_finish();
}

/*
 * soft_delete.bind_index(index regclass, constraint oid) returns void
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
