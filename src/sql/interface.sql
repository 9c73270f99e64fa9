/*
 * The functions that people call.  Each enters the extension (src/catalog/caller.c) and runs the
 * function of its name in schema soft_delete_internal.
 */

CREATE FUNCTION soft_delete.tag(relation regclass, deleted_at name DEFAULT 'deleted_at',
	indexes text DEFAULT 'all', cascade boolean DEFAULT false, views name DEFAULT NULL, storage text DEFAULT NULL, only_if_prepared boolean DEFAULT false, bridge text DEFAULT NULL) RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.tag(regclass, name, text, boolean, name, text, boolean, text) IS
'makes deletes from a table soft, and returns what it made, a line each; indexes: ''all'' or ''unique'' become partial; cascade: tags what ON DELETE CASCADE connects it with too; views: schema of what tag() makes, by default the table''s; storage: ''in_place'' keeps deleted rows in the table, ''aside'' in a table beside it, ''aside_monthly'' in one for each month; null: as it is, at first in place; only_if_prepared: refuses where an index would have to be built, and leaves rows that were deleted before to adopt(); bridge: a column by which the application deletes softly by itself, such as ''deleted'' or ''status=archived''';

CREATE FUNCTION soft_delete.preview_tag(relation regclass, deleted_at name DEFAULT 'deleted_at', indexes text DEFAULT 'all', cascade boolean DEFAULT false, views name DEFAULT NULL, bridge text DEFAULT NULL)
RETURNS TABLE (member regclass, severity text, effect text, in_place boolean, aside boolean, remedy text)
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.preview_tag(regclass, name, text, boolean, name, text) IS
'dry run of tag(): what it would refuse, break, change and make, one row each; in_place, aside: with which storage; touches nothing';

CREATE FUNCTION soft_delete.untag(relation regclass, tombstones text DEFAULT 'error', cascade boolean DEFAULT false) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.untag(regclass, text, boolean) IS
'makes deletes from a table hard again; tombstones: ''error'' refuses while there are any, ''purge'' destroys them, ''keep'' makes them live rows; cascade: untags what ON DELETE CASCADE connects it with too';

CREATE FUNCTION soft_delete.tag_schema(schema name, exempt name[] DEFAULT NULL, deleted_at name DEFAULT NULL,
	indexes text DEFAULT NULL, views name DEFAULT NULL, storage text DEFAULT NULL, cascade boolean DEFAULT false, bridge text DEFAULT NULL) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.tag_schema(name, name[], name, text, name, text, boolean, text) IS
'tags every table of a schema, and each one that comes; exempt: names of tables that are not tagged; deleted_at, indexes, views, storage: as for tag(); bridge: as for tag(), of tables that have that column; null: as it was told before, at first none, ''deleted_at'', ''all'', the schema itself and ''in_place''; cascade: tags the schemas that ON DELETE CASCADE connects it with too';

CREATE FUNCTION soft_delete.preview_tag_schema(schema name, exempt name[] DEFAULT NULL, deleted_at name DEFAULT NULL, indexes text DEFAULT NULL, views name DEFAULT NULL, bridge text DEFAULT NULL)
RETURNS TABLE (member regclass, severity text, effect text, in_place boolean, aside boolean, remedy text)
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.preview_tag_schema(name, name[], name, text, name, text) IS
'dry run of tag_schema(): the rows of preview_tag() for each table that it would tag';

CREATE FUNCTION soft_delete.untag_schema(schema name, tombstones text DEFAULT 'error', cascade boolean DEFAULT false) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.untag_schema(name, text, boolean) IS
'makes deletes from the tables of a schema hard again, all or nothing, and those from tables that come stay hard; tombstones: as for untag(); cascade: untags the tagged schemas that ON DELETE CASCADE connects it with too';

CREATE FUNCTION soft_delete.plan(relation regclass, deleted_at name DEFAULT 'deleted_at', indexes text DEFAULT 'all', cascade boolean DEFAULT false, bridge text DEFAULT NULL, storage text DEFAULT NULL) RETURNS SETOF text
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.plan(regclass, name, text, boolean, text, text) IS
'statements, in order, that tag a big table, or change its storage, without a long lock, for psql''s \gexec; what is done already is left out; cascade, bridge, storage: as for tag()';

CREATE FUNCTION soft_delete.adopt(relation regclass, first_block bigint DEFAULT 0, last_block bigint DEFAULT NULL) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.adopt(regclass, bigint, bigint) IS
'makes deleted rows of those that the column of a bridge says to be deleted, of a table or of some of its blocks: for plan(); returns their number';

CREATE FUNCTION soft_delete.move_aside(relation regclass, batch_size integer DEFAULT 10000) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.move_aside(regclass, integer) IS
'moves the oldest deleted rows of a table that keeps them in place to its companion, no more than batch_size, while others read and write the table; null: all, under a lock; returns their number';

CREATE FUNCTION soft_delete.repair(relation regclass) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.repair(regclass) IS
'restores what a tagged table lacks of what the extension made for it, and removes the retention of a table that is not tagged any more';

CREATE FUNCTION soft_delete.retain(relation regclass, retain interval) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.retain(regclass, interval) IS
'says how long deleted rows of a table are kept before a purge takes them; null: for ever';

CREATE FUNCTION soft_delete.retain_schema(schema name, retain interval) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.retain_schema(name, interval) IS
'says how long deleted rows of all tables in a schema are kept, but for those that have a retention of their own; null: for ever';

CREATE FUNCTION soft_delete.hold(relation regclass, hold text) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.hold(regclass, text) IS
'forbids to purge whatever is deleted from a table, and what went with it; hold says why, null lifts all such holds';

CREATE FUNCTION soft_delete.hold_deletion(deleted_at timestamptz, hold text) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.hold_deletion(timestamptz, text) IS
'forbids to purge or restore what one deletion took from the tables whose rows the caller may hold, and what went with it; hold says why, null lifts all such holds; returns the number of tables';

CREATE FUNCTION soft_delete.hold(relation regclass, VARIADIC "any") RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_hold_key';
COMMENT ON FUNCTION soft_delete.hold(regclass, "any") IS
'forbids to destroy the row with a primary key, live or deleted, and what goes with it when it is deleted; the arguments are the values of the key, and then why, null lifts all such holds';

CREATE FUNCTION soft_delete.hold_schema(schema name, hold text) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.hold_schema(name, text) IS
'forbids to purge whatever is deleted from the tables that a schema has now, all or nothing; hold says why, null lifts all such holds; returns the number of tables';

CREATE FUNCTION soft_delete.lift(relation regclass, VARIADIC "any") RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_lift';
COMMENT ON FUNCTION soft_delete.lift(regclass, "any") IS
'lifts the holds of a name, the last argument, on a table, its deletions and its rows, or, after the values of a primary key, on rows with that key; returns their number';

CREATE FUNCTION soft_delete.lift(hold text) RETURNS bigint
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'soft_delete_lift_everywhere';
COMMENT ON FUNCTION soft_delete.lift(text) IS
'lifts all holds of that name that the caller may lift, whatever they are on; returns their number';

CREATE FUNCTION soft_delete.deletion_rows(deleted_at timestamptz) RETURNS TABLE (relation regclass, rows bigint)
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.deletion_rows(timestamptz) IS
'how many rows a deletion still has in each table whose bin the caller may read';

CREATE FUNCTION soft_delete.history(relation regclass, VARIADIC key text[])
RETURNS TABLE (event text, happened_at timestamptz, done_by name, actor text, reason text, deleted_at timestamptz)
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.history(regclass, text[]) IS
'what is known of the row of a primary key: who deleted, restored or erased it, when and why';

CREATE FUNCTION soft_delete.preview(VARIADIC deletions timestamptz[]) RETURNS TABLE (relation regclass, "row" text, outcome text, "constraint" name, detail text, key jsonb)
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.preview(timestamptz[]) IS
'dry run of undo(): what would come back, be linked again, or stand in the way, one row each; key: the primary key, to join with; touches nothing';

CREATE FUNCTION soft_delete.undo(deleted_at timestamptz, skip_conflicts boolean DEFAULT false, with_parents boolean DEFAULT false) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.undo(timestamptz, boolean, boolean) IS
'restores all that one deletion deleted, from every table whose bin the caller may read, or nothing; skip_conflicts: what cannot come back stays, with what is below it; with_parents: deleted parents come back, too, with what went with them; returns the number of rows, those of cascades included';

/* A tombstone column of type timestamp, which the table shows, has UTC, whatever the session's time zone. */
CREATE FUNCTION soft_delete.undo(deleted_at timestamp, skip_conflicts boolean DEFAULT false, with_parents boolean DEFAULT false) RETURNS bigint
LANGUAGE sql
RETURN soft_delete.undo(pg_catalog.timezone('UTC', deleted_at), skip_conflicts, with_parents);
COMMENT ON FUNCTION soft_delete.undo(timestamp, boolean, boolean) IS
'undo() of a stamp of a table whose deleted_at is a timestamp: it is in UTC';

CREATE FUNCTION soft_delete.hold_deletion(deleted_at timestamp, hold text) RETURNS bigint
LANGUAGE sql
RETURN soft_delete.hold_deletion(pg_catalog.timezone('UTC', deleted_at), hold);
COMMENT ON FUNCTION soft_delete.hold_deletion(timestamp, text) IS
'hold_deletion() of a stamp of a table whose deleted_at is a timestamp: it is in UTC';

CREATE FUNCTION soft_delete.deletion_rows(deleted_at timestamp) RETURNS TABLE (relation regclass, rows bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT * FROM soft_delete.deletion_rows(pg_catalog.timezone('UTC', deleted_at));
END;
COMMENT ON FUNCTION soft_delete.deletion_rows(timestamp) IS
'deletion_rows() of a stamp of a table whose deleted_at is a timestamp: it is in UTC';

CREATE FUNCTION soft_delete.preview(VARIADIC deletions timestamp[]) RETURNS TABLE (relation regclass, "row" text, outcome text, "constraint" name, detail text, key jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT * FROM soft_delete.preview(VARIADIC ARRAY(SELECT pg_catalog.timezone('UTC', d) FROM pg_catalog.unnest(deletions) AS d));
END;
COMMENT ON FUNCTION soft_delete.preview(timestamp[]) IS
'preview() of stamps of a table whose deleted_at is a timestamp: they are in UTC';

CREATE FUNCTION soft_delete.undo_transaction(xid xid8, skip_conflicts boolean DEFAULT false, with_parents boolean DEFAULT false) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.undo_transaction(xid8, boolean, boolean) IS
'restores all that the deletions of one transaction deleted, as undo() does';

CREATE FUNCTION soft_delete.preview_purge(relation regclass DEFAULT NULL, older_than interval DEFAULT NULL) RETURNS TABLE (member regclass, rows bigint, held bigint, referenced bigint, oldest timestamptz, newest timestamptz)
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.preview_purge(regclass, interval) IS
'dry run of purge(): how many rows of each table would go, and how many that are due would stay, because they are held or referenced by what stays; touches nothing';

CREATE FUNCTION soft_delete.replay_erasures(proofs regclass) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.replay_erasures(regclass) IS
'repeats erasures in a restored older state, from the table of proofs of the newer one; returns the number of rows destroyed';

CREATE FUNCTION soft_delete.timeline(relation regclass DEFAULT NULL, days integer DEFAULT 14) RETURNS TABLE (day date, deleted bigint, purged bigint, chart text)
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.timeline(regclass, integer) IS
'draws how many rows were deleted (#) and purged (-) on each of the last days, of one tagged table or of all whose figures the caller may know; a row that was restored or purged is not deleted any more';

CREATE FUNCTION soft_delete.check(OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text, OUT is_safe boolean) RETURNS SETOF record
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.check() IS
'problems of the tagged tables that the caller owns, or of all for members of pg_read_all_stats, each with severity and remedy: above all, rows that reference what is deleted or gone; is_safe: the remedy puts back what was; else it is yours to decide';

/* Without its columns, which the view names: \df would be as wide as they are. */
CREATE FUNCTION soft_delete.list_tables() RETURNS SETOF record
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_enter';
COMMENT ON FUNCTION soft_delete.list_tables() IS
'the rows of the view soft_delete.tables';

CREATE PROCEDURE soft_delete.purge(relation regclass DEFAULT NULL, older_than interval DEFAULT NULL, batch_size integer DEFAULT 10000, pause interval DEFAULT '0')
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_purge';
COMMENT ON PROCEDURE soft_delete.purge(regclass, interval, integer, interval) IS
'destroys deleted rows that are due, oldest first, children before parents, committing after each batch: of all tagged tables that the caller owns, or of one with what its deletes reach by CASCADE; older_than: the least age, where their retention is not longer; pause: between batches';

CREATE FUNCTION soft_delete.erase(relation regclass, VARIADIC key "any") RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'soft_delete_erase';
COMMENT ON FUNCTION soft_delete.erase(regclass, "any") IS
'destroys the rows of a primary key, live and deleted, and those below them by CASCADE; returns their number; a proof without personal data stays';
