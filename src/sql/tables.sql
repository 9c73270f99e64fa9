/*
 * What policies of the extension's tables ask
 */

/* Not to_regclass(), which fails for who may not use the schema. */
CREATE FUNCTION soft_delete_internal.owns_named(relation text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
				   WHERE nspname = name[1]::name AND relname = name[2]::name AND pg_has_role(relowner, 'USAGE'))
	FROM parse_ident(relation) AS name
$$;
COMMENT ON FUNCTION soft_delete_internal.owns_named(text) IS
'whether there is a relation of that name, given as schema.name, that the current role owns';

/*
 * Tombstones that stepped aside: their columns as text, by name
 */

CREATE TABLE soft_delete_internal.displaced (
	relation regclass NOT NULL,
	deleted_at timestamptz NOT NULL,
	"row" jsonb NOT NULL,
	types jsonb NOT NULL
) USING heap;
-- what happens here concerns no subscriber, even where all tables are published
ALTER TABLE soft_delete_internal.displaced REPLICA IDENTITY NOTHING;
CREATE INDEX displaced_relation_deleted_at_idx ON soft_delete_internal.displaced (relation, deleted_at);
COMMENT ON TABLE soft_delete_internal.displaced IS
'tombstones whose key a live row has claimed; a bin lists those of its table';
COMMENT ON COLUMN soft_delete_internal.displaced.relation IS 'the table or partition that held it';
COMMENT ON COLUMN soft_delete_internal.displaced.deleted_at IS 'its stamp';
COMMENT ON COLUMN soft_delete_internal.displaced."row" IS 'its columns, as text by name';
COMMENT ON COLUMN soft_delete_internal.displaced.types IS 'their types by name; a column without type is one that could not follow ALTER TABLE';
COMMENT ON INDEX soft_delete_internal.displaced_relation_deleted_at_idx IS 'finds what a bin lists';
-- a name that the new database does not have would make it refuse all rows
SELECT pg_extension_config_dump('soft_delete_internal.displaced',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

/* The owner of a table may see them. */
ALTER TABLE soft_delete_internal.displaced ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_own_tables ON soft_delete_internal.displaced USING
	(EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND pg_catalog.pg_has_role(relowner, 'USAGE')));
COMMENT ON POLICY of_own_tables ON soft_delete_internal.displaced IS 'the owner of a table sees what stepped aside in it';
GRANT SELECT ON soft_delete_internal.displaced TO PUBLIC;

/*
 * The ledger
 */

CREATE TABLE soft_delete_internal.ledger (
	deleted_at timestamptz PRIMARY KEY,
	xid xid8 NOT NULL,
	-- not name, whose values take 64 bytes each
	deleted_by text NOT NULL,
	session_role text NOT NULL,
	application_name text,
	actor text,
	reason text
) USING heap;
-- what happened here is not replicated, neither as it is written nor as it goes
ALTER TABLE soft_delete_internal.ledger REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.ledger IS
'one row per deletion, written by the library; read the view soft_delete.deletions';
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.ledger', '');

CREATE TABLE soft_delete_internal.cut_references (
	deleted_at timestamptz NOT NULL,
	relation regclass NOT NULL,
	"constraint" name NOT NULL,
	key_columns name[] NOT NULL,
	key text[] NOT NULL,
	referenced text[] NOT NULL,
	left_with text[] NOT NULL
) USING heap;
CREATE INDEX cut_references_deleted_at_idx ON soft_delete_internal.cut_references (deleted_at);
ALTER TABLE soft_delete_internal.cut_references REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete_internal.cut_references IS
'references that deletions overwrote by ON DELETE SET NULL or SET DEFAULT: what a restore gives back';
-- a name that the new database does not have would make it refuse all rows
SELECT pg_catalog.pg_extension_config_dump('soft_delete_internal.cut_references',
	'WHERE relation IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');

CREATE VIEW soft_delete.deletions WITH (security_barrier) AS
SELECT deleted_at, xid, deleted_by::name, session_role::name, application_name, actor, reason FROM soft_delete_internal.ledger
WHERE (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user)
   OR EXISTS (SELECT FROM pg_catalog.pg_roles
			  WHERE rolname OPERATOR(pg_catalog.=) deleted_by::name AND pg_catalog.pg_has_role(oid, 'USAGE'));
COMMENT ON VIEW soft_delete.deletions IS
'who deleted when and why: the deletions of roles whose rights the reader has';
COMMENT ON COLUMN soft_delete.deletions.deleted_at IS 'the stamp that all rows of the deletion carry';
COMMENT ON COLUMN soft_delete.deletions.xid IS 'the transaction, for soft_delete.undo_transaction()';
COMMENT ON COLUMN soft_delete.deletions.deleted_by IS 'the role that deleted';
COMMENT ON COLUMN soft_delete.deletions.session_role IS 'the role that logged in';
COMMENT ON COLUMN soft_delete.deletions.application_name IS 'application_name of the session';
COMMENT ON COLUMN soft_delete.deletions.actor IS 'soft_delete.actor: whom the application acted for';
COMMENT ON COLUMN soft_delete.deletions.reason IS 'soft_delete.reason: why';
GRANT SELECT ON soft_delete.deletions TO PUBLIC;
