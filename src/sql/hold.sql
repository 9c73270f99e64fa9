/*
 * Holds: what must not be destroyed
 */

CREATE TABLE soft_delete.holds (
	relation regclass NOT NULL,
	deleted_at timestamptz,
	key text[],
	hold text NOT NULL,
	held_by text NOT NULL,
	held_at timestamptz NOT NULL,
	UNIQUE NULLS NOT DISTINCT (relation, deleted_at, key)
) USING heap;
-- what is held here is nobody else's business, neither as it is written nor as it goes
ALTER TABLE soft_delete.holds REPLICA IDENTITY NOTHING;
COMMENT ON TABLE soft_delete.holds IS
'holds in force: on a deleted row, on what one deletion took from a table (key is null), or on all that is deleted from a table (deleted_at is null, too)';
COMMENT ON COLUMN soft_delete.holds.relation IS 'the table; of a row, the table or partition that it is in';
COMMENT ON COLUMN soft_delete.holds.deleted_at IS 'the stamp of what is held';
COMMENT ON COLUMN soft_delete.holds.key IS 'its primary key as text, in the order of the columns';
COMMENT ON COLUMN soft_delete.holds.hold IS 'why it is held';
COMMENT ON COLUMN soft_delete.holds.held_by IS 'the role that holds it';
COMMENT ON COLUMN soft_delete.holds.held_at IS 'since when';
SELECT pg_catalog.pg_extension_config_dump('soft_delete.holds', '');

/* The owner of a table may see them. */
ALTER TABLE soft_delete.holds ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_own_tables ON soft_delete.holds USING
	(EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) relation AND pg_catalog.pg_has_role(relowner, 'USAGE')));
COMMENT ON POLICY of_own_tables ON soft_delete.holds IS 'the owner of a table sees what is held in it';
GRANT SELECT ON soft_delete.holds TO PUBLIC;
