# Every hint is SQL that runs as it is pasted, helps, and destroys no row.
#
# The sources are searched for hints, and each of these has a case below, by its file and the
# message that it belongs to: a hint without a case fails the test, and so does a case
# without a hint.
#
# A case provokes the message in a database of its own, a copy of one that has an empty
# table "plain", and the tagged tables "t" and "a" (aside), with a live row 1 and a deleted
# row 2.  "prepare" and "make" prepare it, the latter without the library where "unloaded" is 1;
# "session" is what each session begins with, "statement" has the message.  Then the hint is pasted into a session of its own.  It helps if what is done
# "then" succeeds: by default the statement again.  Where "then" is "shown", the hint is a
# query, and must find something.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;


# A table with partitions, tagged, and with deleted rows
my $parted = q{
	CREATE TABLE p (id integer, k integer, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
	CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);
	CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2);
	SELECT soft_delete.tag('p');
	INSERT INTO p VALUES (1, 1), (2, 1), (3, 2);
	DELETE FROM p WHERE id = 2;
};
# A table whose application deletes by a flag
my $bridged = q{
	CREATE TABLE b (id integer PRIMARY KEY, gone boolean);
	SELECT soft_delete.tag('b', bridge => 'gone');
	INSERT INTO b VALUES (1), (2);
	UPDATE b SET gone = true WHERE id = 2;
};
# A parent and its child, by CASCADE, tagged, both deleted
my $family = q{
	CREATE TABLE parent (id integer PRIMARY KEY);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
	SELECT soft_delete.tag('parent', cascade => true);
	INSERT INTO parent VALUES (1);
	INSERT INTO child VALUES (1, 1);
	DELETE FROM parent;
};
# An extension that is none, with a function for triggers
my $stranger = sub {
	my ($name) = @_;
	return qq{
		CREATE FUNCTION stranger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
		SET allow_system_table_mods = on;
		INSERT INTO pg_extension SELECT 90000, '$name', 10, 2200, true, '1' WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = '$name');
		INSERT INTO pg_depend SELECT 'pg_proc'::regclass, 'stranger()'::regprocedure, 0, 'pg_extension'::regclass, 90000, 0, 'e';
		RESET allow_system_table_mods;
	};
};

my @cases = (
	[ 'bin/bin.c: cannot update column "%s" of bin "%s"',
		statement => q{UPDATE t_deleted SET deleted_at = now()}, then => q{SELECT 1 / count(*) FROM t_active WHERE id = 2} ],
	[ 'bin/bin.c: trigger "%s" of bin "%s" is missing',
		make => q{SET session_replication_role = replica; DROP TRIGGER soft_delete_statement ON t_deleted}, statement => q{UPDATE t_deleted SET deleted_at = NULL} ],
	[ 'bin/bin.c: trigger "%s" of a bridged table is missing or disabled', message => 'trigger "~soft_delete_bridge_end" of a bridged table is missing or disabled',
		prepare => $bridged, unloaded => 1, make => q{SET session_replication_role = replica; DROP TRIGGER "~soft_delete_bridge_end" ON b}, statement => q{UPDATE b SET gone = true WHERE id = 1}, then => 'shown' ],
	[ 'bin/follow.c: a trigger keeps a row of table "%s" that the application has deleted',
		make => "$bridged; CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER keep BEFORE DELETE ON b FOR EACH ROW EXECUTE FUNCTION keep()",
		statement => q{UPDATE b SET gone = true WHERE id = 1}, then => 'shown' ],
	[ 'bin/follow.c: a rule keeps a row of table "%s" that the application has deleted',
		make => "$bridged; CREATE RULE keep AS ON DELETE TO b DO INSTEAD NOTHING", statement => q{UPDATE b SET gone = true WHERE id = 1}, then => 'shown' ],
	[ 'catalog/bridge.c: trigger "%s" of table "%s" does not suit its column', message => 'trigger "~soft_delete_bridge" of table "b" does not suit its column',
		prepare => $bridged, unloaded => 1, make => q{SET session_replication_role = replica; ALTER TABLE b RENAME gone TO away}, statement => q{DELETE FROM b WHERE id = 1} ],
	[ 'bin/erase.c: column "%s" of a primary key cannot be null',
		message => 'invalid input syntax for type integer: "one"', statement => q{SELECT soft_delete.erase('t', 'one')}, then => 'shown' ],
	[ 'bin/follow_hold.c: cannot move a row of table "%s" that is held to another partition: %s',
		make => "$parted; SELECT soft_delete.hold('p', 1, 1, 'case')", statement => q{UPDATE p SET k = 2 WHERE id = 1} ],
	[ 'bin/hold_key.c: cannot hold rows of table "%s" alone',
		make => $parted, statement => q{SELECT soft_delete.hold('p_1', 1, 1, 'case')}, then => q{SELECT 1 / count(*) FROM soft_delete.holds WHERE key = '{1,1}'} ],
	[ 'bin/hold_key.c: the hold to lift must not be null',
		make => q{SELECT soft_delete.hold('t', 'case')}, statement => q{SELECT soft_delete.lift('t', NULL::text)}, then => 'shown' ],
	[ 'bin/rekey.c: cannot change the key of a row of table "%s" that is held: %s',
		make => q{SELECT soft_delete.hold('t', 2, 'case')}, statement => q{UPDATE t_deleted SET deleted_at = NULL, v = 'new'} ],
	[ 'bin/restore.c: rows are restored together with the rows that they reference',
		make => q{INSERT INTO t VALUES (3, 'two')}, message => 'duplicate key value violates unique constraint "t_v_key"', statement => q{UPDATE t_deleted SET deleted_at = NULL}, then => 'shown' ],
	[ 'bin/restore.c: insert or update on table "%s" violates foreign key constraint "%s"',
		make => $family, statement => q{UPDATE child_deleted SET deleted_at = NULL} ],
	[ 'cascade/cascade.c: update or delete on table "%s" violates foreign key constraint "%s" on table "%s"',
		make => q{CREATE TABLE c (id integer PRIMARY KEY, t_id integer REFERENCES t); SELECT soft_delete.tag('c'); INSERT INTO c VALUES (1, 1); DELETE FROM c; DELETE FROM t},
		statement => q{DELETE FROM t_deleted WHERE id = 1}, then => 'shown' ],
	[ 'cascade/place_hold.c: cannot hold a row of table "%s" by a key of type %s',
		make => q{CREATE TABLE k (r regclass PRIMARY KEY); SELECT soft_delete.tag('k'); INSERT INTO k VALUES ('t'); DELETE FROM k}, statement => q{UPDATE k_deleted SET hold = 'case'},
		then => q{SELECT 1 / count(*) FROM k_deleted WHERE hold = 'case'} ],
	[ 'cascade/place_hold.c: cannot hold a row of table "%s" by a key of type %s',
		make => q{CREATE TABLE k (r regclass PRIMARY KEY); SELECT soft_delete.tag('k'); INSERT INTO k VALUES ('t')}, statement => q{SELECT soft_delete.hold('k', 'public.t', 'case')},
		then => q{SELECT 1 / count(*) FROM soft_delete.holds WHERE relation = 'k'::regclass} ],
	[ 'cascade/place_hold.c: table "%s" is not tagged',
		statement => q{SELECT soft_delete.hold('plain', 'case')} ],
	[ 'cascade/place_hold.c: the hold on a row of table "%s" is not on the row alone: %s',
		make => q{SELECT soft_delete.hold('t', 'case')}, statement => q{UPDATE t_deleted SET hold = NULL WHERE hold IS NOT NULL} ],
	[ 'cascade/refuse_held.c: cannot %s table "%s", where rows are held%s',
		make => "$family; UPDATE parent_deleted SET hold = 'case'", statement => q{DROP TABLE child} ],
	[ 'cascade/refuse_held.c: cannot %s table "%s", where rows are held%s',
		make => q{SELECT soft_delete.hold('t', 'case')}, statement => q{DROP TABLE t} ],
	[ 'cascade/refuse_held.c: cannot change a deleted row of table "%s" that is held: %s',
		make => q{UPDATE t_deleted SET hold = 'case'}, session => 'SET row_security = off', statement => q{UPDATE t SET v = 'new' WHERE id = 2} ],
	[ 'cascade/refuse_held.c: cannot purge a row of table "%s" that is held: %s',
		make => q{UPDATE t_deleted SET hold = 'case'}, statement => q{DELETE FROM t_deleted} ],
	[ 'catalog/companion.c: table "%s" has no companion to keep its deleted rows',
		make => q{SET session_replication_role = replica; DROP TABLE a_tombstones CASCADE}, unloaded => 1, statement => q{DELETE FROM a} ],
	[ 'catalog/membership.c: function %s is not a member of extension "%s"',
		make => q{SET allow_system_table_mods = on; DELETE FROM pg_depend WHERE objid = 'soft_delete_internal.claims_key(oid, record, internal)'::regprocedure AND deptype = 'e'},
		statement => q{UPDATE t SET id = 5} ],
	[ 'catalog/tagged.c: query would leave out deleted rows of table "%s"',
		make => q{GRANT SELECT ON t TO other}, session => 'SET ROLE other; SET row_security = off', statement => q{TABLE t}, then => q{SET row_security = on; TABLE t} ],
	[ 'catalog/tagged.c: tombstone column "%s" of tagged table "%s" does not exist',
		make => q{SET session_replication_role = replica; ALTER TABLE t RENAME COLUMN deleted_at TO gone}, unloaded => 1, statement => q{DELETE FROM t} ],
	[ 'catalog/tagged.c: tombstone column "%s" of tagged table "%s" is a generated column',
		message => 'tombstone column "deleted_at" of tagged table "g" has type text', unloaded => 1,
		make => q{CREATE TABLE g (id integer PRIMARY KEY, deleted_at text); CREATE TRIGGER other BEFORE DELETE ON g FOR EACH ROW EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger('deleted_at');
			UPDATE pg_trigger SET tgfoid = 'soft_delete.delete_row()'::regprocedure WHERE tgname = 'other' AND tgrelid = 'g'::regclass},
		statement => q{DELETE FROM g} ],
	[ 'ddl/copied.c: cannot turn tagged table "%s" into a hypertable',
		make => $stranger->('timescaledb'), statement => q{CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stranger()}, clear => 1 ],
	[ 'ddl/copied.c: pg_repack cannot copy table "%s", which has the deleted rows of table "%s"',
		make => $stranger->('pg_repack'), statement => q{CREATE TRIGGER x BEFORE INSERT ON t_tombstones FOR EACH ROW EXECUTE FUNCTION stranger()}, then => q{SELECT 1} ],
	[ 'ddl/copied.c: pg_repack cannot copy tagged table "%s"',
		make => $stranger->('pg_repack'), statement => q{CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stranger()}, then => q{SELECT 1} ],
	[ 'ddl/extension.c: cannot drop extension "%s" while tables are tagged',
		make => $family, statement => q{DROP EXTENSION soft_delete}, clear => 1 ],
	[ 'ddl/protect.c: cannot alter tombstone column "%s" of tagged table "%s"',
		statement => q{ALTER TABLE t ALTER deleted_at SET NOT NULL}, clear => 1, then => q{SELECT 1} ],
	[ 'ddl/protect.c: cannot drop index "%s" of tagged table "%s"',
		statement => q{DROP INDEX t_deleted_at_idx}, clear => 1, then => q{SELECT 1} ],
	[ 'ddl/protect.c: cannot drop tombstone column "%s" of tagged table "%s"',
		statement => q{ALTER TABLE t DROP COLUMN deleted_at}, clear => 1 ],
	[ 'ddl/protect.c: cannot rename tombstone column "%s" of tagged table "%s" where event triggers do not fire',
		session => q{SET session_replication_role = replica}, statement => q{ALTER TABLE t RENAME deleted_at TO gone} ],
	[ 'ddl/protect.c: cannot give view "%s" another owner than tagged table "%s"',
		statement => q{ALTER VIEW t_deleted OWNER TO other} ],
	[ 'ddl/protect.c: cannot %s trigger "%s" of table "%s"',
		statement => q{DROP TRIGGER "~soft_delete_companion" ON t_tombstones}, clear => 1, then => q{SELECT 1} ],
	[ 'ddl/protect.c: the tag of a table cannot be called "%s"',
		statement => q{CREATE TRIGGER x BEFORE DELETE ON plain FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at')}, then => q{DELETE FROM plain; SELECT FROM plain_deleted} ],
	[ 'delete/guard.c: cannot write to table "%s", which has the deleted rows of another table',
		statement => q{INSERT INTO a_tombstones (id) VALUES (3)}, then => 'shown' ],
	[ 'delete/delete.c: trigger "%s" of table "%s" would fire after the tag "%s"',
		prepare => q{CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'}, unloaded => 1,
		make => q{SET session_replication_role = replica; CREATE TRIGGER "~z" BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f()}, statement => q{DELETE FROM t} ],
	[ 'delete/truncate.c: cannot truncate tagged table "%s"',
		session => q{SET soft_delete.truncate = error}, statement => q{TRUNCATE t}, then => q{SELECT 1 / (count(*) = 0)::integer FROM t} ],
	[ 'plan/filter.c: permission denied to see deleted rows of table "%s"',
		make => q{GRANT SELECT ON t TO other}, session => q{SET ROLE other}, by => 'postgres', statement => q{SELECT FROM t TABLESAMPLE soft_delete.rows('all')} ],
	[ 'plan/modify.c: cannot change rows of tagged table "%s" by the name of table "%s"',
		prepare => q{CREATE TABLE kid (LIKE plain); SELECT soft_delete.tag('kid')}, unloaded => 1, make => q{SET session_replication_role = replica; ALTER TABLE kid INHERIT plain},
		session => q{SET row_security = off}, statement => q{UPDATE plain SET v = 'new'} ],
	[ 'purge/procedure.c: %s cannot run inside a transaction block',
		session => q{BEGIN}, statement => q{CALL soft_delete.purge()}, then => q{SELECT 1} ],
	[ 'references/on_update.c: cannot move a row of table "%s" to another partition, because deleted rows of table "%s" reference it',
		make => "$parted; CREATE TABLE c (id integer PRIMARY KEY, p_id integer, k integer, FOREIGN KEY (p_id, k) REFERENCES p ON UPDATE CASCADE); SELECT soft_delete.tag('c'); INSERT INTO c VALUES (1, 1, 1); DELETE FROM c",
		statement => q{UPDATE p SET k = 2 WHERE id = 1}, then => 'shown' ],
	[ 'storage/actor.c: permission denied to examine "%s"',
		make => q{GRANT SELECT, DELETE ON t TO other}, session => q{SET ROLE other; SET soft_delete.actor_from = 'config_file'}, statement => q{DELETE FROM t} ],
	[ 'storage/aside.c: companion "%s" of table "%s" lacks column "%s"',
		make => q{SET session_replication_role = replica; ALTER TABLE a ADD COLUMN more integer}, unloaded => 1, statement => q{DELETE FROM a} ],
	[ 'sql/ddl_citus.sql: cannot tag table "%", which has access method "%"',
		make => q{CREATE FUNCTION other(internal) RETURNS table_am_handler LANGUAGE internal AS 'heap_tableam_handler'; CREATE ACCESS METHOD other TYPE TABLE HANDLER other; CREATE TABLE o (id integer PRIMARY KEY) USING other},
		statement => q{SELECT soft_delete.tag('o')} ],
	[ 'sql/ddl_bridge.sql: in table "%" the application finds no row that it has deleted',
		make => $bridged, statement => q{SELECT soft_delete.tag('b', storage => 'aside')}, then => q{UPDATE b SET gone = true WHERE id = 1; SELECT 1 / count(*) FROM b WHERE gone} ],
	[ 'sql/ddl_bridge.sql: table "%" keeps % rows that column "%" says to be deleted', message => 'table "%o" keeps 1 rows that column "gone" says to be deleted',
		make => q{CREATE TABLE o (id integer PRIMARY KEY, gone boolean); CREATE TABLE k (id integer PRIMARY KEY, o_id integer REFERENCES o); INSERT INTO o VALUES (1, true); INSERT INTO k VALUES (1, 1);
			SET client_min_messages = error; SELECT soft_delete.tag('o', bridge => 'gone', storage => 'aside')},
		statement => q{SELECT soft_delete.adopt('o')}, then => 'shown' ],
	[ 'sql/ddl_tag.sql: deleted rows of table "%" reference rows that are not in table "%"',
		make => q{CREATE TABLE o (id integer PRIMARY KEY, gone boolean); CREATE TABLE k (id integer PRIMARY KEY, o_id integer REFERENCES o, gone boolean); INSERT INTO o VALUES (1); INSERT INTO k VALUES (1, 1);
			SELECT soft_delete.tag('o', bridge => 'gone', storage => 'aside'), soft_delete.tag('k', bridge => 'gone', storage => 'aside'); UPDATE k SET gone = true; UPDATE o SET gone = true},
		statement => q{SELECT soft_delete.untag('k', tombstones => 'keep')} ],
	[ 'sql/ddl_tag_refusals.sql: cannot move the deleted rows of table "%" aside: % live rows of table "%" reference some',
		make => q{CREATE TABLE o (id integer PRIMARY KEY, gone boolean); CREATE TABLE k (id integer PRIMARY KEY, o_id integer REFERENCES o); INSERT INTO o VALUES (1, true); INSERT INTO k VALUES (1, 1);
			SET client_min_messages = error; SELECT soft_delete.tag('o', bridge => 'gone')},
		statement => q{SELECT soft_delete.tag('o', storage => 'aside')}, then => 'shown' ],
	[ 'sql/ddl_bridge.sql: column "%" of relation "%" does not exist',
		statement => q{SELECT soft_delete.tag('plain', bridge => 'gone')}, then => q{SELECT 'plain_deleted'::regclass} ],
	[ 'sql/ddl_bridge.sql: column "%" of table "%" cannot be a bridge: %', message => 'column "v" of table "%" cannot be a bridge: it is not said which value means deleted',
		statement => q{SELECT soft_delete.tag('plain', bridge => 'v')}, then => q{SELECT 'plain_deleted'::regclass} ],
	[ 'sql/ddl_bridge.sql: column "%" of table "%" cannot be a bridge: %', message => 'column "gone" of table "%" cannot be a bridge: it is NOT NULL, and has no default that says live',
		make => q{ALTER TABLE plain ADD COLUMN gone date NOT NULL}, statement => q{SELECT soft_delete.tag('plain', bridge => 'gone')} ],
	[ 'sql/ddl_bridge.sql: column "%" of table "%" cannot be a bridge: %', message => 'column "gone" of table "%" cannot be a bridge: its type is interval',
		make => q{ALTER TABLE plain ADD COLUMN gone interval}, statement => q{SELECT soft_delete.tag('plain', bridge => 'gone')}, then => q{SELECT 'plain_deleted'::regclass} ],
	[ 'sql/ddl_bridge.sql: column "%" of table "%" cannot be a bridge: %', message => 'column "gone" of table "%" cannot be a bridge: 7 says neither live nor deleted',
		make => q{ALTER TABLE plain ADD COLUMN gone integer; INSERT INTO plain VALUES (1, 'v', 7)}, statement => q{SELECT soft_delete.tag('plain', bridge => 'gone')}, then => q{SELECT 'plain_deleted'::regclass} ],
	[ 'sql/ddl_bridge.sql: table "%": %', message => 'table "%": 1 live rows of % reference rows that were deleted before, by foreign key "k_o_id_fkey"',
		make => q{CREATE TABLE o (id integer PRIMARY KEY, gone boolean); CREATE TABLE k (id integer PRIMARY KEY, o_id integer REFERENCES o); INSERT INTO o VALUES (1, true); INSERT INTO k VALUES (1, 1)},
		statement => q{SELECT soft_delete.tag('o', bridge => 'gone')}, then => 'shown' ],
	[ 'sql/bin_erase.sql: table "%" is not tagged',
		statement => q{SELECT * FROM soft_delete.history('plain', '1')} ],
	[ 'sql/bin_hold.sql: cannot change the primary key of table "%", by which held rows are known%',
		make => q{UPDATE t_deleted SET hold = 'case'}, statement => q{ALTER TABLE t ALTER COLUMN id TYPE text USING 'k' || id}, then => q{ALTER TABLE t ALTER COLUMN id TYPE text USING 'k' || id; SELECT 1 / count(*) FROM t_deleted WHERE hold = 'case'} ],
	[ 'sql/bin_hold.sql: no deleted row that you may hold carries the stamp %',
		statement => q{SELECT soft_delete.hold_deletion('2020-01-01', 'case')}, then => 'shown' ],
	[ 'sql/bin_undo.sql: %',
		make => q{CREATE TABLE b (id integer PRIMARY KEY); SELECT soft_delete.tag('b'); INSERT INTO b VALUES (1); DELETE FROM b; ALTER TABLE b OWNER TO owner; GRANT owner TO other; GRANT ALL ON b_deleted TO other;
			CREATE TABLE secret (id integer); CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM FROM public.secret; RETURN NULL; END'; GRANT SELECT ON secret TO other;
			CREATE TRIGGER look AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION look()},
		session => q{SET ROLE other}, message => 'permission denied for table secret', statement => q{SELECT soft_delete.undo(deleted_at) FROM b_deleted}, then => q{SELECT 1} ],
	[ 'sql/bin_undo.sql: %',
		make => q{INSERT INTO t VALUES (3, 'two')}, message => '1 row stays deleted', statement => q{SELECT soft_delete.undo(deleted_at, skip_conflicts => true) FROM t_deleted}, then => 'shown' ],
	[ 'sql/bin_undo.sql: %',
		make => q{INSERT INTO t VALUES (3, 'two')}, session => q{SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Kolkata'},
		message => '1 row stays deleted', statement => q{SELECT soft_delete.undo(deleted_at, skip_conflicts => true) FROM t_deleted}, then => 'shown' ],
	[ 'sql/bin_undo.sql: no deletion has the stamp %',
		statement => q{SELECT soft_delete.undo('2020-01-01')}, then => 'shown' ],
	[ 'sql/bin_views.sql: cannot change view % of table % because other objects depend on it',
		make => q{CREATE MATERIALIZED VIEW m AS SELECT id FROM t_active}, statement => q{ALTER TABLE t DROP COLUMN v} ],
	[ 'sql/bin_views.sql: cannot change view % of table % because other objects depend on it',
		make => q{GRANT SELECT ON t_active TO other; GRANT CREATE ON SCHEMA public TO other; SET ROLE other; CREATE VIEW o AS SELECT id FROM public.t_active}, statement => q{ALTER TABLE t DROP COLUMN v} ],
	[ 'sql/bin_views.sql: cannot drop view "%" of tagged table "%"',
		statement => q{DROP VIEW t_deleted}, clear => 1, then => q{SELECT 1} ],
	[ 'sql/bin_views.sql: permission denied for schema %',
		make => q{CREATE SCHEMA s AUTHORIZATION owner; CREATE TABLE s.o (id integer PRIMARY KEY); ALTER TABLE s.o OWNER TO third; GRANT USAGE ON SCHEMA s TO third}, session => q{SET ROLE third}, by => 'postgres',
		statement => q{SELECT soft_delete.tag('s.o')} ],
	[ 'sql/bin_views.sql: relation "%" already exists',
		make => q{CREATE TABLE plain_deleted (id integer)}, statement => q{SELECT soft_delete.tag('plain')} ],
	[ 'sql/ddl_aside.sql: rows of table "%" have % out of line on average, which a DELETE copies to the companion',
		make => q{ALTER TABLE plain ALTER v SET STORAGE EXTERNAL; INSERT INTO plain SELECT g, repeat('x', 100000) FROM generate_series(1, 30) AS g; VACUUM ANALYZE plain},
		statement => q{SELECT soft_delete.tag('plain', storage => 'aside')}, then => q{SELECT 1} ],
	[ 'sql/ddl_aside.sql: cannot keep deleted rows of table "%" in a table for each month',
		prepare => q{CREATE TABLE heir () INHERITS (plain)}, statement => q{SELECT soft_delete.tag('plain', storage => 'aside_monthly')},
		then => q{DELETE FROM plain; SELECT FROM plain_deleted} ],
	[ 'sql/ddl_aside.sql: cannot drop the companion of table "%" because other objects depend on it',
		make => q{GRANT CREATE ON SCHEMA public TO other; SET ROLE other; CREATE VIEW o AS SELECT id FROM public.t_tombstones}, statement => q{SELECT soft_delete.untag('t', tombstones => 'keep')} ],
	[ 'sql/ddl_aside.sql: table "%" has deleted rows',
		statement => q{SELECT soft_delete.untag('a')}, then => 'shown' ],
	[ 'sql/ddl_events.sql: cannot alter tombstone column "%" of tagged table "%"',
		statement => q{DO $$ BEGIN ALTER TABLE t ALTER deleted_at SET DEFAULT now(); END $$}, unloaded => 'statement', clear => 1, then => q{SELECT 1} ],
	[ 'sql/ddl_events.sql: cannot drop % "%" of tagged table "%"',
		statement => q{DROP TRIGGER "~soft_delete" ON t}, clear => 1, then => q{SELECT 1} ],
	[ 'sql/ddl_events.sql: cannot drop table "%", where rows are held',
		make => q{CREATE TABLE b (id integer PRIMARY KEY); CREATE FUNCTION f(b) RETURNS integer LANGUAGE sql AS 'SELECT 1'; SELECT soft_delete.tag('b'); SELECT soft_delete.hold('b', 'case'); ALTER EVENT TRIGGER soft_delete_keep DISABLE}, before => 170000, unloaded => 'statement', statement => q{DROP TABLE b CASCADE}, then => 'shown' ],
	[ 'sql/ddl_events.sql: cannot drop the bin or the companion of tagged table "%"',
		unloaded => 'statement', statement => q{DROP TABLE a_tombstones CASCADE}, clear => 1, then => q{SELECT 1} ],
	[ 'sql/ddl_events.sql: cannot replace trigger "%" of tagged table "%"',
		make => q{CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'}, statement => q{CREATE OR REPLACE TRIGGER "~soft_delete_key" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()}, clear => 1, then => q{SELECT 1} ],
	[ 'sql/ddl_events.sql: deletes from table "%" are hard now',
		statement => q{ALTER TABLE t DISABLE TRIGGER "~soft_delete"}, then => q{DELETE FROM t; SELECT 1 / (count(*) / 2) FROM t_deleted} ],
	[ 'sql/ddl_events.sql: large objects cannot be listed beside table "%", whose deleted rows are in place',
		make => q{ALTER TABLE t ADD COLUMN lo oid}, statement => q{CREATE TEMP TABLE vacuum_l AS SELECT oid AS lo FROM pg_largeobject_metadata} ],
	[ 'sql/ddl_events.sql: table "%" is dropped with % deleted rows, and table "%" of this transaction does not have them',
		session => q{BEGIN}, statement => q{CREATE TABLE new_t AS SELECT id, v FROM t; DROP TABLE t}, fresh => 1, then => q{SELECT 1 / count(*) FROM t_deleted} ],
	[ 'sql/ddl_events.sql: table "%" is tagged, because deletes from tagged table "%" reach it by ON DELETE CASCADE',
		statement => q{CREATE TABLE c (id integer PRIMARY KEY, t_id integer REFERENCES t ON DELETE CASCADE)}, then => q{SELECT 1} ],
	[ 'sql/ddl_partitions.sql: cannot attach table "%" to table "%": one of them keeps its deleted rows aside, and the other one in place',
		make => "$parted; CREATE TABLE n (id integer NOT NULL, k integer NOT NULL, PRIMARY KEY (id, k)); SELECT soft_delete.tag('n', storage => 'aside')", statement => q{ALTER TABLE p ATTACH PARTITION n FOR VALUES IN (9)}, then => q{SELECT 1} ],
	[ 'sql/ddl_partitions.sql: cannot attach tagged table "%" to untagged table "%"',
		make => q{CREATE TABLE n (id integer, v text); SELECT soft_delete.tag('n'); CREATE TABLE q (id integer, v text, deleted_at timestamptz) PARTITION BY LIST (id)}, statement => q{ALTER TABLE q ATTACH PARTITION n FOR VALUES IN (9)} ],
	[ 'sql/ddl_partitions.sql: cannot tag "%" with two columns',
		make => q{CREATE TABLE one (id integer); CREATE TABLE two (id integer); SELECT soft_delete.tag('one', deleted_at => 'gone'), soft_delete.tag('two', deleted_at => 'away')}, statement => q{CREATE TABLE kid () INHERITS (one, two)} ],
	[ 'sql/ddl_partitions.sql: table "%" is already tagged with column "%"',
		make => "$parted; CREATE TABLE n (id integer NOT NULL, k integer NOT NULL, deleted_at timestamptz, PRIMARY KEY (id, k)); ALTER TABLE n DROP COLUMN deleted_at; SELECT soft_delete.tag('n', deleted_at => 'gone'); ALTER TABLE n ADD deleted_at timestamptz; ALTER TABLE n DROP deleted_at",
		statement => q{ALTER TABLE p ATTACH PARTITION n FOR VALUES IN (9)} ],
	[ 'sql/ddl_schemas.sql: cannot tag a schema in a transaction of isolation level %',
		make => q{CREATE SCHEMA s}, session => q{BEGIN ISOLATION LEVEL REPEATABLE READ}, statement => q{SELECT soft_delete.tag_schema('s')} ],
	[ 'sql/ddl_schemas.sql: permission denied for schema %',
		make => q{CREATE SCHEMA s AUTHORIZATION owner; CREATE SCHEMA v}, session => q{SET ROLE owner}, by => 'postgres', statement => q{SELECT soft_delete.tag_schema('s', views => 'v')} ],
	[ 'sql/ddl_schemas.sql: table "%" is exempt from the tag of schema "%"',
		make => q{CREATE SCHEMA s; CREATE TABLE s.o (id integer); SELECT soft_delete.tag_schema('s')}, statement => q{SELECT soft_delete.untag('s.o')}, then => q{DELETE FROM s.o; SELECT FROM s.o_deleted} ],
	[ 'sql/ddl_schemas.sql: table "%" is exempt, but tagged',
		make => q{CREATE SCHEMA s; CREATE TABLE s.o (id integer); SELECT soft_delete.tag('s.o')}, statement => q{SELECT soft_delete.tag_schema('s', exempt => '{o}')} ],
	[ 'sql/ddl_schemas.sql: table "%" is not tagged',
		make => q{CREATE SCHEMA s; SELECT soft_delete.tag_schema('s')}, session => q{SET row_security = off}, statement => q{CREATE TABLE s.o (id integer)}, then => q{SET row_security = on; DELETE FROM s.o; SELECT FROM s.o_deleted} ],
	[ 'sql/ddl_schemas.sql: table "%" is not tagged: %',
		make => q{CREATE SCHEMA s; SELECT soft_delete.tag_schema('s'); CREATE VIEW s.o_deleted AS SELECT 1}, statement => q{CREATE TABLE s.o (id integer)}, then => q{DELETE FROM s.o; SELECT FROM s_views.o_deleted} ],
	[ 'sql/ddl_schemas.sql: table "%" is not tagged: it has deleted rows',
		make => q{CREATE SCHEMA s; SELECT soft_delete.tag_schema('s')}, statement => q{CREATE TABLE s.o AS SELECT id, v, deleted_at FROM t_deleted}, then => q{SELECT 1 / count(*) FROM s.o_deleted} ],
	[ 'sql/ddl_tag.sql: table "%" has deleted rows',
		statement => q{SELECT soft_delete.untag('t')}, then => 'shown' ],
	[ 'sql/ddl_tag.sql: table "%" is not prepared',
		statement => q{SELECT soft_delete.tag('plain', only_if_prepared => true)}, then => 'shown' ],
	[ 'sql/ddl_tag_refusals.sql: cannot keep the deleted rows of "%" aside because other objects depend on column "%"',
		make => q{CREATE VIEW w AS SELECT deleted_at FROM t}, statement => q{SELECT soft_delete.tag('t', storage => 'aside')}, then => q{SELECT 1 / count(*) FROM t_deleted WHERE deleted_at_by_delete IS NOT NULL} ],
	[ 'sql/ddl_tag_refusals.sql: cannot keep the deleted rows of "%" aside because other objects depend on view "%"',
		make => q{CREATE VIEW w AS SELECT id FROM t_active}, statement => q{SELECT soft_delete.tag('t', storage => 'aside')}, then => q{SELECT 1 / count(*) FROM t_deleted} ],
	[ 'sql/ddl_tag_refusals.sql: cannot tag "%" because it has a foreign table, "%"',
		make => q{CREATE FOREIGN DATA WRAPPER f; CREATE SERVER f FOREIGN DATA WRAPPER f; CREATE FOREIGN TABLE far (id integer NOT NULL, v text) SERVER f; ALTER TABLE far INHERIT plain}, statement => q{SELECT soft_delete.tag('plain')} ],
	[ 'sql/ddl_tag_refusals.sql: cannot tag "%" because it has an ON DELETE rule',
		make => q{CREATE RULE r AS ON DELETE TO plain DO INSTEAD NOTHING}, statement => q{SELECT soft_delete.tag('plain')} ],
	[ 'sql/ddl_tag_refusals.sql: cannot tag "%" without its parent "%"',
		make => q{CREATE TABLE q (id integer) PARTITION BY LIST (id); CREATE TABLE q_1 PARTITION OF q FOR VALUES IN (1)}, statement => q{SELECT soft_delete.tag('q_1')} ],
	[ 'sql/ddl_tag_refusals.sql: cannot tag table "%" with a period key of extension "periods"',
		make => $stranger->('periods') . q{CREATE SCHEMA periods; CREATE TABLE periods.unique_keys (table_name regclass); INSERT INTO periods.unique_keys VALUES ('plain');
			INSERT INTO pg_depend SELECT 'pg_class'::regclass, 'periods.unique_keys'::regclass, 0, 'pg_extension'::regclass, 90000, 0, 'e'},
		statement => q{SELECT soft_delete.tag('plain')}, then => q{DELETE FROM plain; SELECT FROM plain_deleted} ],
	[ 'sql/ddl_tag_refusals.sql: cannot tag table "%" with trigger "%" of extension "%"',
		make => $stranger->('table_log') . q{CREATE TRIGGER x AFTER DELETE ON plain FOR EACH ROW EXECUTE FUNCTION stranger()}, statement => q{SELECT soft_delete.tag('plain')}, then => q{DELETE FROM plain; SELECT FROM plain_deleted} ],
	[ 'sql/ddl_tag_refusals.sql: cannot tag table "%" with trigger "%" of extension "%"',
		make => $stranger->('lo') . q{CREATE TRIGGER x BEFORE DELETE ON plain FOR EACH ROW EXECUTE FUNCTION stranger()}, statement => q{SELECT soft_delete.tag('plain')} ],
	[ 'sql/ddl_tag_refusals.sql: column "%" is part of the partition key of table "%"',
		make => q{CREATE TABLE q (id integer, deleted_at timestamptz) PARTITION BY LIST (deleted_at)}, statement => q{SELECT soft_delete.tag('q')}, then => q{SELECT FROM q_deleted} ],
	[ 'sql/ddl_tag_refusals.sql: column "%" of table "%" %',
		make => q{CREATE TABLE q (id integer, deleted_at timestamptz NOT NULL); INSERT INTO q VALUES (1, now())}, statement => q{SELECT soft_delete.tag('q')}, then => q{SELECT 1 / count(*) FROM q_active} ],
	[ q{sql/ddl_tag_refusals.sql: column "%" of table "%" has the name of the bin''s column for the time of the deletion},
		make => q{ALTER TABLE plain ADD deleted_at timestamptz}, statement => q{SELECT soft_delete.tag('plain', storage => 'aside')}, then => q{DELETE FROM plain; SELECT FROM plain_deleted} ],
	[ 'sql/ddl_tag_refusals.sql: column "%" of table "%" has type %',
		make => q{ALTER TABLE plain ADD deleted_at date}, statement => q{SELECT soft_delete.tag('plain')}, then => q{DELETE FROM plain; SELECT FROM plain_deleted} ],
	[ 'sql/ddl_tag_refusals.sql: column "%" of table "%" is a flag, not a time',
		make => q{ALTER TABLE plain ADD deleted_at boolean NOT NULL DEFAULT false; INSERT INTO plain VALUES (1, 'one', false), (2, 'two', true)}, statement => q{SELECT soft_delete.tag('plain')}, then => q{SELECT soft_delete.tag('plain'); SELECT 1 / count(*) FROM plain_deleted} ],
	[ 'sql/ddl_tag_refusals.sql: column name "%" conflicts with a system column name',
		statement => q{SELECT soft_delete.tag('plain', deleted_at => 'xmin')}, then => q{DELETE FROM plain; SELECT FROM plain_deleted} ],
	[ 'sql/ddl_tag_refusals.sql: new sessions of database "%" will not load library "soft_delete"',
		make => q{DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = %L', current_database(), 'plpgsql'); END $$}, statement => q{SELECT soft_delete.tag('plain')}, before => 170000 ],
	[ 'sql/ddl_tag_refusals.sql: partition "%" is held: %',
		make => "$parted; SELECT soft_delete.hold('p_1', 'case')", statement => q{SELECT soft_delete.tag('p', storage => 'aside')} ],
	[ 'sql/ddl_tag_refusals.sql: table "%" is already tagged with column "%"',
		statement => q{SELECT soft_delete.tag('t', deleted_at => 'gone')}, clear => 1 ],
	[ 'sql/ddl_tag_refusals.sql: the tag of a table cannot be called "%"',
		make => q{SELECT soft_delete.tag('plain'); UPDATE pg_trigger SET tgname = 'x' WHERE tgname = '~soft_delete' AND tgrelid = 'plain'::regclass},
		statement => q{SELECT soft_delete.tag('plain')}, then => q{DELETE FROM plain; SELECT FROM plain_deleted} ],
	[ 'sql/ddl_tag_refusals.sql: trigger "%" of table "%" would fire after the tag',
		make => q{CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'; CREATE TRIGGER "~z" BEFORE DELETE ON plain FOR EACH ROW EXECUTE FUNCTION f()}, statement => q{SELECT soft_delete.tag('plain')} ],
	[ 'sql/install.sql: schema "soft_delete" is not one that the extension can have for itself',
		make => q{SELECT soft_delete.untag(relation, tombstones => 'keep') FROM soft_delete.tables; DROP EXTENSION soft_delete; CREATE SCHEMA IF NOT EXISTS soft_delete; CREATE TABLE soft_delete.o (id integer)}, statement => q{CREATE EXTENSION soft_delete} ],
	[ 'sql/monitor.sql: invalid argument of soft_delete.timeline()',
		statement => q{SELECT * FROM soft_delete.timeline(days => 0)}, then => 'shown' ],
	[ 'sql/monitor.sql: table "%" is not tagged, or its bin is not yours to read',
		statement => q{SELECT * FROM soft_delete.timeline('plain')}, then => 'shown' ],
	[ 'sql/purge.sql: table "%" is a partition or inheritance child',
		make => "$parted; SET client_min_messages = error; SELECT soft_delete.retain('p', '0')", statement => q{CALL soft_delete.purge('p_1')}, then => 'shown' ],
	[ 'sql/purge.sql: table "%" is not tagged',
		statement => q{CALL soft_delete.purge('plain')} ],
	[ 'sql/purge_retention.sql: deleted rows of table "%" that are due: %',
		statement => q{SELECT soft_delete.retain('t', '0')}, then => 'shown' ],
	[ 'sql/references.sql: foreign key "%" cascades deletes from table "%" to table "%", and only one of them is tagged',
		make => q{CREATE TABLE c (id integer PRIMARY KEY REFERENCES plain ON DELETE CASCADE)}, statement => q{SELECT soft_delete.tag('plain')} ],
	# a session that holds a snapshot for another one
	[ 'delete/copy.c: COPY would leave out deleted rows of table "%s"',
		exports => 1, statement => q{COPY t TO stdout}, then => q{COPY t TO stdout} ],
);
# Hints of these messages are in another test
my %elsewhere = (
	'catalog/caller.c: extension "%s" is older than its library' => 't/climb.pl',
	'catalog/membership.c: extension "%s" is older than its library' => 't/climb.pl',
	'sql/ddl_citus.sql: cannot tag "%" in place, which is %' => 'citus/tagged.pl',
	(map { ("sql/ddl_sharded.sql: $_" => 'citus/sharded.pl') } 'cannot delete from tagged table "%": a foreign key would destroy rows of table "%"', 'cannot delete from tagged table "%": a foreign key would overwrite references of table "%"', 'cannot tag "%", which is %, alone',
		'cannot untag table "%", whose rows are deleted with those of tagged table "%"', 'cannot untag table "%", where rows are held', 'table "%" has deleted rows',
		'cannot drop the bin of tagged table "%"'),
	'sql/bin_sharded.sql: cannot % a row of table "%", whose deletes reach table "%" of another role' => 'citus/lifecycle.pl',
	'sql/ddl_schemas.sql: cannot tag schema "%", which Citus distributes' => 'citus/tagged.pl',
	'sql/ddl_sharded.sql: cannot truncate tagged table "%" with its partition "%"' => 'citus/partitions.pl',
	'sql/ddl_citus.sql: Citus cannot convert tagged table "%"' => 'citus/tagged.pl');
# It is in the log of the server
my $of_worker = 'purge/worker.c: could not start a background worker that purges database "%s"';

# hints_of FILE: "FILE: message" for each hint of a source, the message being the one before it
sub hints_of
{
	my ($file) = @_;
	my $text = slurp_file("$top/src/$file");
	my $pattern = $file =~ /\.c$/
		? qr/\berrmsg(?:_plural)?\(\s*(?:\w+ \? )?"((?:[^"\\]|\\.)*)"|\berrhint\(|->hint = /
		: qr/\bRAISE (?:EXCEPTION|WARNING|NOTICE)\s+'((?:[^']|'')*)'|\bHINT = |\bsoft_delete_internal\.refuse\('\w+', (?:format\()?'?((?:[^',]|'')*)/;
	my $message = '';
	my @found;
	while ($text =~ /$pattern/g)
	{
		if (defined $1) { $message = $1 =~ s/\\"/"/gr }
		# it has the message and the hint
		elsif (defined $2) { push @found, "$file: " . ($2 eq 'message' ? '%' : $2 =~ s/%s/%/gr) }
		else { push @found, "$file: $message" }
	}
	return @found;
}

# hint_of OUTPUT, MESSAGE: the hint of the message
sub hint_of
{
	my ($output, $message) = @_;
	my $pattern = join('.*', map { quotemeta } split(/%[sd]?/, $message =~ s/''/'/gr, -1));
	foreach my $part (split(/^(?:psql:\S+ )?(?=(?:ERROR|WARNING|NOTICE):  )/m, $output))
	{
		return $1 if $part =~ /^\w+:  $pattern\n(?:.*\n)*?HINT:  (.*)/;
	}
	return;
}

my $node = start_node('hints');
my $version = $node->safe_psql('postgres', 'SHOW server_version_num');
$node->safe_psql('postgres', q{CREATE ROLE owner; CREATE ROLE other; CREATE ROLE third});
$node->safe_psql('template1', q{
	CREATE EXTENSION soft_delete;
	GRANT CREATE ON SCHEMA public TO owner;
	CREATE TABLE plain (id integer PRIMARY KEY, v text);
	CREATE TABLE t (id integer PRIMARY KEY, v text UNIQUE);
	CREATE TABLE a (id integer PRIMARY KEY, v text UNIQUE);
	SELECT soft_delete.tag('t'), soft_delete.tag('a', storage => 'aside');
	INSERT INTO t VALUES (1, 'one'), (2, 'two');
	INSERT INTO a VALUES (1, 'one'), (2, 'two');
	DELETE FROM t WHERE id = 2;
	DELETE FROM a WHERE id = 2;
	CREATE FUNCTION count_rows() RETURNS bigint LANGUAGE plpgsql AS $$
	DECLARE
		total bigint := 0;
		n bigint;
		relation regclass;
	BEGIN
		FOR relation IN SELECT oid FROM pg_class WHERE relkind = 'r' AND oid >= 16384 AND relnamespace::regnamespace::text NOT IN ('soft_delete', 'soft_delete_internal') LOOP
			BEGIN
				EXECUTE format('SELECT count(*) FROM ONLY %s', relation) INTO n;
				total := total + n;
			EXCEPTION WHEN OTHERS THEN NULL;
			END;
		END LOOP;
		RETURN total;
	END $$});

# session DATABASE, UNLOADED, SQL...: the status of psql, and what it prints; without the library where that is 'make' or 'statement'
sub session
{
	my ($database, $is_unloaded, @sql) = @_;
	my $options = $is_unloaded ? '-c session_preload_libraries=' : '';
	# the trigger of a login would load it
	$options .= ' -c event_triggers=off' if $is_unloaded eq 'make' && $version >= 170000;
	my ($status, $stdout, $stderr) = $node->psql($database, join("\n", map { /;\s*$/ ? $_ : "$_;" } grep { defined && $_ ne '' } @sql),
		extra_params => [ '-d', $node->connstr($database) . " options='$options'" ]);
	return ($status, $stdout, $stderr);
}

# count_rows DATABASE: how many rows its tables have, live and deleted; what cannot be read has none
sub count_rows
{
	my ($database) = @_;
	return $node->safe_psql($database, 'SET row_security = off; SELECT count_rows()');
}

my $number = 0;
foreach my $entry (@cases)
{
	my ($key, %case) = @$entry;
	my $database = 'hint_' . ++$number;
	next if $case{before} && $version >= $case{before};
	my $is_unloaded = ($case{unloaded} // '') eq 'statement' ? 'statement' : '';
	my $message = $case{message} // $key =~ s/^[^:]*: //r;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	my $exporter = $case{exports} ? $node->background_psql($database, on_error_stop => 1) : undef;
	if ($exporter)
	{
		my $id = $exporter->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT pg_export_snapshot()");
		$case{session} = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$id'";
	}
	my ($failed, undef, $made) = session($database, '', $case{prepare});
	($failed, undef, $made) = session($database, ($case{unloaded} // '') eq '1' ? 'make' : '', $case{make}) if !$failed;
	ok(!$failed, "$key: made") or diag($made);
	my (undef, undef, $said) = session($database, $is_unloaded, $case{session}, $case{statement});
	my $hint = hint_of($said, $message);
	ok(defined $hint, "$key: provoked") or diag($said);
	next if !defined $hint;
	my $before = count_rows($database);
	my @pasted = ($case{by} ? "RESET ROLE; SET ROLE $case{by}" : (), $hint);
	# with "clear" the first hint is in the way of deleted rows, which the test restores
	if ($case{clear})
	{
		session($database, '', q{UPDATE t_deleted SET deleted_at = NULL}, q{UPDATE a_deleted SET deleted_at = NULL}, q{DO $$ BEGIN UPDATE parent_deleted SET deleted_at = NULL; EXCEPTION WHEN undefined_table THEN END $$});
	}
	my ($wrong, $shown, $reason) = session($database, $is_unloaded, $case{session}, @pasted);
	ok(!$wrong, "$key: the hint runs") or diag("$hint\n$reason");
	cmp_ok(count_rows($database), '>=', $before, "$key: the hint destroys no row") if !$case{destroys};
	my $then = $case{then} // $case{statement};
	if ($then eq 'shown')
	{
		like($hint, qr/^SELECT /, "$key: the hint is a query");
		isnt($shown, '', "$key: the hint finds something");
	}
	else
	{
		my @again = grep { defined } ($case{session}, @pasted);
		# a session is another one: what it has set is set again, and what it has made is there
		@again = grep { /^(?:SET|BEGIN|ROLLBACK|RESET|COMMIT)\b/ } @again if !$case{exports};
		my ($fails, undef, $why) = session($database, $is_unloaded, @again, ($case{by} ? "RESET ROLE" . (($case{session} // '') =~ /(SET ROLE \w+)/ ? "; $1" : '') : ()), $then);
		ok(!$fails, "$key: the hint helps") or diag("$hint\n$why");
	}
	$exporter->quit if $exporter;
}

# the launchers of logical replication and of purges take all workers that the server may have
my $crowded = start_node('crowded', conf => "shared_preload_libraries = 'soft_delete'\nmax_worker_processes = 2\nsoft_delete.purge_databases = 'postgres'\nsoft_delete.purge_interval = 1");
my $log;
ok(eventually(30, sub { $log = slurp_file($crowded->logfile); return $log =~ /could not start a background worker/ }), "$of_worker: provoked");
my ($hint) = $log =~ /could not start a background worker.*\n.*HINT:  (.*)/;
$crowded->safe_psql('postgres', q{CREATE EXTENSION soft_delete; CREATE TABLE t (id integer PRIMARY KEY); SELECT soft_delete.tag('t'), soft_delete.retain('t', '0')});
$crowded->safe_psql('postgres', 'INSERT INTO t VALUES (1); DELETE FROM t');
$crowded->safe_psql('postgres', $hint);
$crowded->restart;
ok(eventually(30, sub { return $crowded->safe_psql(q{postgres}, q{SELECT count(*) > 0 FROM soft_delete.purge_log}) eq q{t} }), "$of_worker: the hint helps");
$crowded->stop;

# no message says "HINT" and nothing
my @empty = map { my $file = $_; map { "$file: $_" } grep { /^HINT: *$/ } split(/\n/, slurp_file($file)) } sort(glob("$top/expected/*.out"), glob("$top/test/isolation/expected/*.out"));
is(join("\n", @empty), '', 'no hint is empty');

# every hint of the sources has a case, and every case a hint
chdir("$top/src") or die $!;
my %in_sources;
$in_sources{$_}++ foreach map { hints_of($_) } sort(glob('*/*.c'), glob('sql/*.sql'));
delete $in_sources{'sql/catalog.sql: %'};    # refuse(), whose callers count
my %in_cases;
$in_cases{ $_->[0] }++ foreach @cases;
$in_cases{$_}++ foreach keys %elsewhere, $of_worker;
foreach my $key (sort keys %in_sources, grep { !$in_sources{$_} } keys %in_cases)
{
	cmp_ok($in_cases{$key} // 0, '>=', $in_sources{$key} // 1e9, "$key: each of its hints has a case");
}
foreach my $key (sort keys %elsewhere)
{
	my ($message) = map { join('.*?', map { quotemeta } split(/%/, $_)) } $key =~ /: (.*?)"/;
	like(slurp_file("$top/test/$elsewhere{$key}"), qr/$message.*HINT:  \S/, "$key: $elsewhere{$key} has the hint");
}
$node->stop;

done_testing();
