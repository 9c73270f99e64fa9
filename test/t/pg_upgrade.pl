# pg_upgrade takes a cluster with tagged tables from an older major to this one.  Deleted
# rows, what they need to come back, and what keeps references whole must be as before.
#
# The older server, with the extension, is where $oldinstall says, as in PostgreSQL's
# own test of pg_upgrade.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

plan skip_all => 'no older PostgreSQL with the extension, which oldinstall names' if !$ENV{oldinstall};

# the same in both, whatever a major has by default
my @init = (extra => [ '--data-checksums', '--encoding', 'UTF8', '--locale', 'C' ]);
my $old = PostgreSQL::Test::Cluster->new('old', install_path => $ENV{oldinstall});
$old->init(@init);
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(@init);

# only the database's own setting loads the library
$old->start;
$old->safe_psql('postgres', 'CREATE DATABASE app');
$old->safe_psql('postgres', q{ALTER DATABASE app SET session_preload_libraries = 'soft_delete'});
$old->safe_psql('app', q{
	CREATE EXTENSION soft_delete;
	CREATE ROLE owner;
	CREATE SCHEMA "Old Style" AUTHORIZATION owner;
	SET ROLE owner;
	SET search_path = "Old Style";
	CREATE TYPE mood AS ENUM ('sad', 'ok');
	CREATE DOMAIN code AS text CHECK (VALUE <> '');
	CREATE TABLE parent (id integer PRIMARY KEY, code code UNIQUE, mood mood, note text, EXCLUDE USING hash (note WITH =));
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE,
		late_id integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE part (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE) PARTITION BY HASH (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE part_2 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE linked (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL);
	CREATE TABLE adopted (id integer, "Gone" timestamp);
	CREATE TABLE bystander (id integer PRIMARY KEY);
	CREATE TABLE away (id integer PRIMARY KEY, mood mood, note text);
	SELECT soft_delete.tag('away', storage => 'aside_monthly');
	SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('adopted', deleted_at => 'Gone', views => 'Old Style'), soft_delete.tag('linked');
	INSERT INTO parent SELECT g, 'code ' || g, 'ok', 'note ' || g FROM generate_series(1, 9) g;
	INSERT INTO child SELECT g, g, g FROM generate_series(1, 9) g;
	INSERT INTO part SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO linked SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO adopted SELECT generate_series(1, 9);
	INSERT INTO bystander VALUES (1);
	INSERT INTO away SELECT g, 'ok', 'note ' || g FROM generate_series(1, 9) g;
	SET soft_delete.actor = 'alice';
	DELETE FROM child WHERE id < 5;
	DELETE FROM parent WHERE id < 4;
	INSERT INTO parent VALUES (10, 'code 1');
	-- take the keys of deleted rows, which step aside
	INSERT INTO child VALUES (4);
	DELETE FROM part WHERE id = 5;
	INSERT INTO part VALUES (5, 5);
	DELETE FROM adopted WHERE id > 3;
	DELETE FROM away WHERE id > 3});

# state_of NODE: everything that must be as before; what lives in catalogs is named, for oids change
sub state_of
{
	my ($node) = @_;
	my @answers = answer($node, 'app', q{
		SET search_path = "Old Style";
		SELECT * FROM soft_delete_internal.ledger ORDER BY 1;
		SELECT * FROM soft_delete_internal.set_null_references ORDER BY relation, key;
		SELECT tableoid::regclass, * FROM child_tombstones ORDER BY deleted_at;
		SELECT tableoid::regclass, * FROM part_tombstones ORDER BY deleted_at;
		SELECT tableoid::regclass, * FROM away_tombstones ORDER BY id;
		SELECT * FROM away_deleted ORDER BY id;
		SELECT * FROM away ORDER BY id;
		SELECT * FROM soft_delete.deletions, soft_delete.deletion_rows(deleted_at) ORDER BY 1, relation;
		SELECT 'problem', * FROM soft_delete.check();
		SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend JOIN pg_extension e ON e.oid = refobjid
			WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'soft_delete'
				AND pg_describe_object(classid, objid, objsubid) <> 'event trigger soft_delete_login' AND classid <> 'pg_type'::regclass ORDER BY 1;
		SELECT evtname, evtevent, evtfoid::regproc, evtenabled, evttags, obj_description(oid, 'pg_event_trigger')
			FROM pg_event_trigger WHERE evtname <> 'soft_delete_login' ORDER BY 1;
		SELECT extversion, extconfig::regclass[], extcondition FROM pg_extension WHERE extname = 'soft_delete';
		SELECT tgrelid::regclass, regexp_replace(tgname, '_\d+$', ''), conname, tgfoid::regproc, tgenabled, tgdeferrable, tginitdeferred
			FROM pg_trigger LEFT JOIN pg_constraint con ON con.oid = tgconstraint
			WHERE tgfoid::regproc::text ~ '^soft_delete(_internal)?\.' AND tgfoid::regproc::text <> 'soft_delete_internal.check_parent' ORDER BY 1, 2, 3;
		SELECT pg_describe_object(classid, objid, objsubid), pg_describe_object(refclassid, refobjid, refobjsubid), deptype
			FROM pg_depend WHERE deptype = 'a' AND classid = 'pg_class'::regclass AND refclassid IN ('pg_class'::regclass, 'pg_constraint'::regclass)
				AND objid > 16384 ORDER BY 1, 2;
		SELECT indexrelid::regclass, pg_get_indexdef(indexrelid), indisvalid FROM pg_index
			WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = '"Old Style"'::regnamespace) ORDER BY 1});
	foreach my $relation ('parent', 'child', 'part', 'linked', 'adopted', 'bystander')
	{
		push @answers, answer($node, 'app', qq{SELECT * FROM "Old Style".$relation ORDER BY 1});
		push @answers, answer($node, 'app', qq{
			SELECT * FROM "Old Style".${relation}_active ORDER BY 1;
			SELECT * FROM "Old Style".${relation}_deleted ORDER BY 1}) if $relation ne 'bystander';
	}
	return join("\n", @answers);
}

my $before = state_of($old);
unlike($before, qr/^ERROR:/m, 'the fixture can be read');
my @guards = grep { /RI_SoftDelete_follow|~soft_delete_cut/ } split(/\n/, $before);
is(scalar(@guards), 5, 'it has triggers that must survive');
is($old->safe_psql('app', 'SELECT sum(displaced_rows) FROM soft_delete.tables'), 2, 'and rows that stepped aside');
$old->stop;

# it writes where it is
chdir(PostgreSQL::Test::Utils::tempdir()) or die $!;
my $bindir = $new->config_data('--bindir');
$new->command_ok([ "$bindir/pg_upgrade", '-s', $new->host, '-b', "$ENV{oldinstall}/bin", '-B', $bindir,
		'-d', $old->data_dir, '-D', $new->data_dir, '-p', $old->port, '-P', $new->port ], 'pg_upgrade')
	or diag(map { slurp_file($_) =~ /^(.*error.*)$/mig } glob($new->data_dir . '/pg_upgrade_output.d/*/log/pg_upgrade_dump_*.log'));
$new->start;
same_lines(state_of($new), $before, 'rows, bins, ledger, triggers and members are as before');

# is_answer SQL, EXPECTED, NAME: compares what a session returns
sub is_answer
{
	my ($sql, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(answer($new, 'app', qq{SET search_path = "Old Style"; $sql}), $expected, $name);
}

# is_refused SQL, ERROR, NAME
sub is_refused
{
	my ($sql, $error, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is((split(/\n/, answer($new, 'app', qq{SET search_path = "Old Style"; $sql})))[0], $error, $name);
}

SKIP:
{
	skip 'login event triggers came with PostgreSQL 17', 2 if $new->safe_psql('postgres', 'SHOW server_version_num') < 170000;
	is_answer(q{SELECT evtenabled, deptype FROM pg_event_trigger e
		JOIN pg_depend ON classid = 'pg_event_trigger'::regclass AND objid = e.oid AND deptype = 'e' WHERE evtname = 'soft_delete_login'},
		'A|e', 'the login event trigger is there, and a member');
	$new->safe_psql('postgres', 'ALTER DATABASE app RESET session_preload_libraries');
	is_answer('SELECT count(*) FROM parent', 7, 'sessions load the library at login');
}

$new->safe_psql('app', q{SET ROLE owner; SET search_path = "Old Style"; DELETE FROM parent WHERE id = 9; DELETE FROM linked WHERE id = 8});
is_answer('SELECT count(*) FROM parent_deleted; SELECT count(*) FROM child_deleted', "4\n5", 'deletes are soft');
is_answer(q{INSERT INTO parent VALUES (9, 'code 9') ON CONFLICT (code) DO NOTHING RETURNING id}, 9, q{a deleted row's key is free});
is_refused('UPDATE parent_deleted SET deleted_at = NULL WHERE id = 9', 'ERROR:  duplicate key value violates unique constraint "parent_pkey"',
	'a deleted row waits for the one that has its key now');
$new->safe_psql('app', q{SET search_path = "Old Style"; DELETE FROM parent WHERE id IN (9, 10); UPDATE parent_deleted SET deleted_at = NULL WHERE note = 'note 9'});
is_answer('SELECT note FROM parent WHERE id = 9; SELECT id FROM child WHERE parent_id = 9', "note 9\n9", 'a deleted row whose key was taken comes back with its child');
is_answer('SELECT soft_delete.undo(deleted_at) > 2 FROM parent_deleted WHERE id = 2; SELECT count(parent_id) FROM linked WHERE id < 4', "t\n3",
	'a deletion is undone, and links what it cut');
is_answer(q{
	DELETE FROM part WHERE id = 7;
	DELETE FROM child WHERE id = 7;
	DELETE FROM linked WHERE id = 7;
	UPDATE parent SET id = 77 WHERE id = 7;
	SELECT parent_id FROM child_deleted WHERE id = 7}, 77, q{a deleted child follows its parent's key});
is_refused('DELETE FROM parent WHERE id = 77; INSERT INTO child VALUES (70, 77)',
	'ERROR:  insert or update on table "child" violates foreign key constraint "child_parent_id_fkey"', 'a child of a deleted parent is refused');
is_answer(q{SELECT bool_and(n.deleted_at > o.deleted_at AND n.xid > o.xid) FROM soft_delete_internal.ledger n, soft_delete_internal.ledger o
	WHERE n.actor IS NULL AND o.actor = 'alice'}, 't', 'new stamps and transactions are later than all before');
is_answer(q{DELETE FROM away WHERE id = 1; SELECT count(*), count(*) FILTER (WHERE stored_in = 'away_tombstones'::regclass) FROM away_deleted}, '7|0', 'what is deleted aside goes to its month');
is_answer(q{SELECT soft_delete.undo(deleted_at) FROM away_deleted WHERE id = 9; SELECT count(*) FROM away}, "6\n8", 'and comes back from there');
is_answer(q{ALTER TABLE parent DROP CONSTRAINT parent_code_key; SELECT to_regclass('parent_code_key') IS NULL}, 't', 'DROP CONSTRAINT takes the index along');
is_answer(q{DROP TABLE adopted; SELECT to_regclass('adopted_deleted') IS NULL}, 't', 'DROP TABLE takes the views along');
is_answer(q{
	SET client_min_messages = warning;
	SELECT soft_delete.tag('bystander') IS NOT NULL;
	DELETE FROM bystander;
	SELECT id FROM bystander_deleted;
	SELECT soft_delete.untag('bystander', tombstones => 'purge') IS NOT NULL;
	SELECT count(*) FROM bystander}, "t\n1\nt\n0", 'a table is tagged and untagged as ever');
is_answer('SELECT * FROM soft_delete.check()', '', 'check() finds nothing');

done_testing();
