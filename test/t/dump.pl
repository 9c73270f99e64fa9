# No dump loses a tombstone.  A database is restored in each way that pg_dump and
# pg_restore have; the copy's own dump must equal the original's.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(run);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $node = start_node('original');
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
# for pg_dump, pg_restore and createdb
($ENV{PGHOST}, $ENV{PGPORT}) = ($node->host, $node->port);

# plain OPTION...: a dump as SQL, without the random key of newer pg_dumps, and what pg_dump complains of
sub plain
{
	my ($stdout, $stderr) = run_command([ 'pg_dump', @_ ]);
	$stdout =~ s/^\\(?:un)?restrict .*\n//mg;
	return $stdout . $stderr;
}

# make_copy [SQL]: makes the database "copy", and runs SQL in it up to the first error
sub make_copy
{
	my ($sql) = @_;
	$node->safe_psql('postgres', 'CREATE DATABASE copy');
	load($sql) if defined $sql;
	return;
}

# load SQL: runs it in "copy", up to the first error
sub load { return note(answer($node, 'copy', $_[0])) }

# load_over SQL: runs it in "copy", where some of it is already, as pg_restore would
sub load_over { return note(answer($node, 'copy', $_[0], on_error_stop => 0)) }

# restore OPTION...: restores into "copy", going on after errors
sub restore
{
	my ($stdout, $stderr) = run_command([ 'pg_restore', '-d', 'copy', @_ ]);
	note($stdout . $stderr);
	return;
}

# drop_copy: drops it
sub drop_copy { return $node->safe_psql('postgres', 'DROP DATABASE copy') }

# bins NODE, DATABASE: how many deleted rows its bins list, those that stepped aside among them, and how many problems there are
sub bins
{
	my ($server, $database) = @_;
	return answer($server, $database, q{
		SELECT (SELECT count(*) FROM parent_deleted), (SELECT count(*) FROM child_deleted), (SELECT count(*) FROM part_deleted),
			(SELECT sum(displaced_rows) FROM soft_delete.tables), (SELECT count(*) FROM soft_delete.check())});
}

$node->safe_psql('postgres', 'CREATE DATABASE original');
$node->safe_psql('original', q{
	CREATE EXTENSION soft_delete;
	CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE, note text);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE,
		late_id integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE part (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE) PARTITION BY HASH (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE part_2 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE adopted (id integer, "Gone" timestamp);
	CREATE TABLE flagged (id integer PRIMARY KEY, gone boolean NOT NULL DEFAULT false, "At" timestamp(0));
	CREATE TABLE linked (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL);
	CREATE TABLE monthly (id integer PRIMARY KEY, note text);
	SELECT soft_delete.tag('monthly', storage => 'aside_monthly');
	INSERT INTO monthly VALUES (1, 'x'), (2, 'y');
	DELETE FROM monthly WHERE id = 2;
	CREATE TABLE away (id integer PRIMARY KEY, gone boolean NOT NULL DEFAULT false);
	SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('adopted', deleted_at => 'Gone'), soft_delete.tag('linked');
	GRANT SELECT ON parent_deleted TO PUBLIC;
	INSERT INTO flagged VALUES (1), (2), (3);
	UPDATE flagged SET gone = true WHERE id = 3;
	SELECT soft_delete.tag('flagged', bridge => 'gone');
	UPDATE flagged SET gone = true WHERE id = 2;
	INSERT INTO away VALUES (1, false), (2, true), (3, false), (4, false);
	SELECT soft_delete.tag('away', bridge => 'gone', storage => 'aside');
	UPDATE away SET gone = true WHERE id = 3;
	DELETE FROM away WHERE id = 4;
	INSERT INTO parent SELECT g, 'code ' || g, E'a\tb' FROM generate_series(1, 9) g;
	INSERT INTO child SELECT g, g, g FROM generate_series(1, 9) g;
	INSERT INTO part SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO adopted SELECT generate_series(1, 9);
	INSERT INTO linked SELECT g, g FROM generate_series(1, 9) g;
	DELETE FROM child WHERE id < 5;
	DELETE FROM parent WHERE id < 4;
	INSERT INTO parent VALUES (10, 'code 1');
	-- take the keys of deleted rows, which step aside
	INSERT INTO child VALUES (4);
	DELETE FROM part WHERE id = 5;
	INSERT INTO part VALUES (5, 5);
	DELETE FROM adopted WHERE id > 3;
	CREATE SCHEMA whole;
	SELECT soft_delete.tag_schema('whole', exempt => '{later}');
	CREATE TABLE whole.made (id integer PRIMARY KEY, code text UNIQUE);
	INSERT INTO whole.made VALUES (1, 'a'), (2, 'b');
	TRUNCATE whole.made;
	SELECT soft_delete.retain('parent', '90 days'), soft_delete.retain_schema('public', NULL);
	INSERT INTO soft_delete_internal.purge_log VALUES ('public.parent', now(), 'postgres', 1, now(), now(), '1 s', NULL);
	UPDATE part_deleted SET hold = 'case 1' WHERE id = 5;
	SELECT soft_delete.hold('adopted', 'case 2'), soft_delete.hold('adopted', NULL), soft_delete.erase('child', '9')});
foreach my $table (split(/\n/, $node->safe_psql('original', q{SELECT unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'soft_delete'})))
{
	is($node->safe_psql('original', "SELECT EXISTS (SELECT FROM $table)"), 't', "the original has rows in $table");
}
my $original = plain('original');
my $all = bins($node, 'original');
like($all, qr/^3\|\d+\|4\|2\|/, 'the original has tombstones, and some that stepped aside');

# check_copy NAME: compares "copy" with the original, and drops it; a deletion in it can be undone, references that
# it cut included, and DROP CONSTRAINT still means the index that the constraint has become
sub check_copy
{
	my ($name) = @_;
	same_lines(plain('copy'), $original, "dump and restore: $name");
	is(answer($node, 'copy', q{ALTER TABLE parent DROP CONSTRAINT parent_code_key; SELECT to_regclass('parent_code_key') IS NULL}),
		't', "DROP CONSTRAINT in the copy: $name");
	is(answer($node, 'copy', q{
		UPDATE flagged SET gone = true WHERE id = 1;
		UPDATE flagged SET gone = false WHERE id = 2;
		SELECT string_agg(id::text, ',') FROM flagged;
		SELECT string_agg(id::text, ',' ORDER BY id) FROM flagged WHERE gone;
		DELETE FROM parent WHERE code = 'code 1';
		SELECT soft_delete.undo(max(deleted_at)) FROM parent_deleted WHERE id = 2;
		SELECT count(*), max(parent_id) FROM linked WHERE id < 4 AND parent_id = id;
		DELETE FROM monthly;
		SELECT string_agg(id::text, ',' ORDER BY id), count(DISTINCT stored_in), min(soft_delete_internal.companion_month(stored_in)) <> 'monthly' FROM monthly_deleted;
		CREATE TABLE whole.new ();
		CREATE TABLE whole.later ();
		SELECT soft_delete_internal.tag_arguments('whole.new') IS NOT NULL, soft_delete_internal.tag_arguments('whole.later') IS NOT NULL}),
		"2\n1,3\n6\n3|3\n1,2|1|t\nt|f", "undo and tag in the copy: $name");
	drop_copy();
	return;
}

make_copy($original);
check_copy('plain');
foreach my $options ('--inserts', '--column-inserts', '--inserts --rows-per-insert=3 --on-conflict-do-nothing', "--no-owner --role=$superuser")
{
	make_copy(plain(split(/ /, $options), 'original'));
	check_copy($options);
}
foreach my $options ('', '--disable-triggers')
{
	make_copy(plain('--schema-only', 'original'));
	load(plain('--data-only', split(/ /, $options), 'original'));
	check_copy("--data-only $options");
}
make_copy(join('', map { plain("--section=$_", 'original') . "\n" } ('pre-data', 'data', 'post-data')));
check_copy('--section, one after the other');
make_copy($original);
# what is held would be destroyed by the restore, which is refused
$node->safe_psql('copy', q{SELECT soft_delete.lift('case 1')});
load_over(plain('--clean', '--if-exists', 'original'));
check_copy('--clean, over what is there');
make_copy('CREATE EXTENSION soft_delete');
load_over($original);
check_copy('where the extension is already');

# the ledger outlives the tables, and takes that of the dump in
make_copy($original);
$node->safe_psql('copy', q{SELECT soft_delete.lift('case 1')});
load('DROP SCHEMA public, whole CASCADE; CREATE SCHEMA public; DELETE FROM soft_delete_internal.ledger WHERE deleted_at = (SELECT min(deleted_at) FROM soft_delete_internal.ledger);
	CREATE TABLE public.later (id integer); SELECT soft_delete.tag(\'public.later\'); INSERT INTO public.later VALUES (1); DELETE FROM public.later; DROP TABLE public.later');
load_over($original);
is(bins($node, 'copy'), $all, 'DROP SCHEMA, then the dump: all deleted rows');
is(answer($node, 'copy', q{SELECT count(*), count(*) FILTER (WHERE deleted_at > (SELECT max(deleted_at) FROM parent_deleted)) FROM soft_delete.deletions}),
	$node->safe_psql('original', q{SELECT count(*) + 1, count(*) FILTER (WHERE deleted_at > (SELECT max(deleted_at) FROM parent_deleted)) + 1 FROM soft_delete.deletions}),
	'all deletions of both, once');
drop_copy();

# another session's temporary table is in no dump, nor is what is said about it, while it is there and when it has gone
my $session = $node->background_psql('original', on_error_stop => 1);
$session->query(q{CREATE TEMP TABLE passing (id integer PRIMARY KEY)});
$session->query(q{SELECT soft_delete.tag('passing'), soft_delete.hold('passing', 'case'), soft_delete.retain('passing', '0')});
is($node->safe_psql('original', q{SELECT count(*) FROM soft_delete.retention WHERE relation::text ~ 'passing'}), 1, 'something is said about a temporary table');
make_copy(plain('original'));
check_copy('beside a temporary table');
$session->quit;
make_copy(plain('original'));
check_copy('after it');

$node->command_ok([ 'pg_dump', '-Fc', '-f', "$tmp/custom", 'original' ], 'pg_dump in custom format');
make_copy();
restore("$tmp/custom");
check_copy('custom format');
run([ 'pg_restore', '-l', "$tmp/custom" ], '>', "$tmp/list") or die 'pg_restore -l';
make_copy();
restore('-L', "$tmp/list", '--single-transaction', '--exit-on-error', "$tmp/custom");
check_copy('by a list, in one transaction');
make_copy();
restore("$tmp/custom");
$node->safe_psql('copy', q{SELECT soft_delete.lift('case 1')});
restore('--clean', '--if-exists', "$tmp/custom");
check_copy('pg_restore --clean');
$node->command_ok([ 'pg_dump', '-Fd', '-j2', '-f', "$tmp/directory", 'original' ], 'pg_dump into a directory');
make_copy();
restore('-j2', "$tmp/directory");
check_copy('directory format, two jobs');
$node->command_ok([ 'pg_dump', '-Ft', '-f', "$tmp/tar", 'original' ], 'pg_dump in tar format');
make_copy();
restore("$tmp/tar");
check_copy('tar format');

# a role that may read everything gets all of a table, or an error
$node->safe_psql('postgres', 'CREATE ROLE dump_reader LOGIN; GRANT pg_read_all_data TO dump_reader');
my @parts = ('', '-a -t parent', '-a -t child --inserts', '-n public');
foreach my $options (@parts)
{
	$node->command_checks_all([ 'pg_dump', '-U', 'dump_reader', split(/ /, $options), '-d', 'original' ],
		1, [], [qr/would leave out deleted rows of table/], "dump by a reader fails, with $options");
}
$node->safe_psql('postgres', 'ALTER ROLE dump_reader BYPASSRLS');
foreach my $options (@parts)
{
	my @options = split(/ /, $options);
	same_lines(plain(@options, '-U', 'dump_reader', '-d', 'original'), plain(@options, '-d', 'original'), "dump by a reader with BYPASSRLS, with $options");
}
$node->safe_psql('postgres', 'DROP ROLE dump_reader');

# what copies a database in several sessions, which import one snapshot, gets all of a table, or an error, but where it
# asks for live rows
my $exporter = $node->background_psql('original', on_error_stop => 1);
my $snapshot = $exporter->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()');
# copies COPY [OPTION]: how many lines it copies with that snapshot, or the error
my $copies = sub {
	my ($copy, $option) = @_;
	local $ENV{PGOPTIONS} = $option // '';
	my $answer = answer($node, 'original', "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$snapshot'; COPY $copy TO stdout");
	return $answer =~ /ERROR|HINT/ ? join(' ', $answer =~ /(?:ERROR|HINT): +(.*)/g) : scalar split(/\n/, $answer);
};
my $refused = 'COPY would leave out deleted rows of table "parent" SET row_security = off;';
foreach my $copy ('parent', 'parent (id, deleted_at)', '(SELECT id, deleted_at FROM ONLY parent)', '(SELECT * FROM parent p WHERE id > 0)')
{
	is($copies->($copy), $refused, "a tool that copies: $copy");
	is($copies->($copy, '-c row_security=off'), 10, "and in a maintenance session: $copy");
}
is($copies->($_), 7, "live rows alone: $_") foreach ('parent (id)', '(SELECT id FROM parent)', '(SELECT * FROM parent_active)');
# what the snapshot sees of a table that is tagged no longer, a session that has begun since is not shown either
$node->safe_psql('postgres', 'CREATE DATABASE outdated');
$node->safe_psql('outdated', q{CREATE EXTENSION soft_delete; CREATE TABLE t (id integer PRIMARY KEY); SELECT soft_delete.tag('t'); INSERT INTO t VALUES (1), (2); DELETE FROM t WHERE id = 2});
my $older = $node->background_psql('outdated', on_error_stop => 1);
my $outdated = $older->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()');
$node->safe_psql('outdated', q{SET client_min_messages = warning; SELECT soft_delete.untag('t', tombstones => 'purge')});
foreach my $query ('SELECT id FROM t', 'COPY t (id) TO stdout')
{
	like(answer($node, 'outdated', "SELECT 1; BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$outdated'; $query"),
		qr/could not serialize access/, "an imported snapshot from before untag(): $query");
}
$older->quit;
$node->safe_psql('postgres', 'DROP DATABASE outdated');
$exporter->quit;
is(answer($node, 'original', 'COPY (SELECT count(*) FROM parent) TO stdout'), 7, 'without a snapshot');

# sessions that restore one dump do not get into each other's way by the rights on its tables
$node->safe_psql('postgres', 'CREATE DATABASE granted; CREATE ROLE dump_granted');
$node->safe_psql('granted', q{
	SET client_min_messages = warning;
	CREATE EXTENSION soft_delete;
	SELECT soft_delete.tag_schema('public');
	DO $$ BEGIN
		FOR i IN 1 .. 60 LOOP
			EXECUTE format('CREATE TABLE t%s (id integer PRIMARY KEY)', i);
			EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON t%1$s, t%1$s_active TO dump_granted', i);
		END LOOP;
	END $$});
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$tmp/granted", 'granted' ], 'pg_dump of many tables with rights');
make_copy();
$node->command_ok([ 'pg_restore', '-j2', '-d', 'copy', "$tmp/granted" ], 'pg_restore of them, two jobs');
is(plain('copy'), plain('granted'), 'with all rights');
drop_copy();
$node->safe_psql('postgres', 'DROP DATABASE granted; DROP ROLE dump_granted');

# some tables of it: what stepped aside has to be asked for, as docs/tools-and-backups.md says
make_copy('CREATE EXTENSION soft_delete');
load_over(plain('--strict-names', '-t', 'child', '-t', 'parent', '-t', '*_tombstones', 'original'));
my @lines = split(/\n/, answer($node, 'copy', q{
	SELECT count(*) FROM parent TABLESAMPLE soft_delete.rows('deleted');
	SELECT soft_delete.tag('parent'), soft_delete.tag('child');
	SELECT (SELECT count(*) FROM parent_deleted), (SELECT count(*) FROM child_deleted)}, on_error_stop => 0));
is((grep { /^\d+\|\d+$/ } @lines)[-1], '3|4', '-t, with what stepped aside, and no views') or diag(join("\n", @lines));
drop_copy();

make_copy('CREATE EXTENSION soft_delete');
load_over(plain('-n', 'public', '-e', 'soft_delete', 'original'));
is(bins($node, 'copy'), $all, '-n, the extension along with it');
drop_copy();

make_copy('CREATE EXTENSION soft_delete');
restore('-t', 'parent', '-t', 'child', "$tmp/custom");
my (undef, $stdout) = $node->psql('copy', q{
	SELECT count(*) FROM parent;
	SELECT FROM soft_delete.tag('parent', cascade => true);
	SELECT count(*) FROM parent_deleted}, on_error_stop => 0);
is(join(' ', split(' ', $stdout)), '10 3', 'pg_restore -t, which leaves out triggers, and tag()');
drop_copy();

# without its companions: tag() makes them again
make_copy('CREATE EXTENSION soft_delete');
load_over(plain('-t', 'child', '-t', 'parent', 'original'));
like(answer($node, 'copy', "INSERT INTO child VALUES (3)", on_error_stop => 0), qr/42P01|has no companion/, 'a deleted row whose companion is missing does not step aside');
@lines = split(/\n/, answer($node, 'copy', q{
	SELECT soft_delete.tag('parent'), soft_delete.tag('child');
	INSERT INTO child VALUES (3);
	SELECT count(*) FROM child_tombstones}, on_error_stop => 0));
is($lines[-1], '1', '-t without companions, and tag()') or diag(join("\n", @lines));
drop_copy();

# what stepped aside in a table that is left out is left out
make_copy();
load_over(plain('--inserts', '-T', 'part*', 'original'));
is(answer($node, 'copy', 'SELECT count(*) FROM child_tombstones'), 1, '-T, with --inserts');
drop_copy();

# what is recorded of a table that is left out, or that has become an extension's, so that no dump has it, takes nothing
# along of what is recorded of others
$node->safe_psql('postgres', 'CREATE DATABASE recorded');
$node->safe_psql('recorded', q{
	CREATE EXTENSION soft_delete;
	CREATE EXTENSION lo;
	CREATE TABLE kept (id integer PRIMARY KEY, note text);
	CREATE TABLE gone (id integer PRIMARY KEY);
	CREATE TABLE kept_child (id integer PRIMARY KEY, kept_id integer REFERENCES kept ON DELETE SET NULL);
	CREATE TABLE gone_child (id integer PRIMARY KEY, kept_id integer REFERENCES kept ON DELETE SET NULL);
	SELECT soft_delete.tag(t) FROM unnest('{kept,gone,kept_child,gone_child}'::regclass[]) AS t;
	INSERT INTO kept SELECT generate_series(1, 3), 'x';
	INSERT INTO gone SELECT * FROM generate_series(1, 3);
	INSERT INTO kept_child VALUES (1, 1), (2, 1);
	INSERT INTO gone_child VALUES (1, 1);
	DELETE FROM kept WHERE id = 1;
	TRUNCATE gone;
	TRUNCATE kept_child;
	SELECT soft_delete.retain(t, '30 days'), soft_delete.hold(t, 'case ' || t) FROM unnest('{gone,kept}'::regclass[]) AS t;
	SELECT soft_delete.hold('gone', 1, 'case 1'), soft_delete.hold('kept', 1, 'case 1'), soft_delete.hold_deletion(max(deleted_at), 'case 2') FROM kept_deleted});
my $recorded = q{
	SELECT string_agg(concat_ws(':', relation, key, hold), ' ' ORDER BY relation::text, hold COLLATE "C") FROM soft_delete.holds WHERE relation::text ~ '^kept';
	SELECT string_agg(concat_ws(':', relation, retain), ' ' ORDER BY relation::text) FROM soft_delete.retention WHERE relation::text ~ '^kept';
	SELECT count(*) FROM soft_delete_internal.set_null_references WHERE relation::text ~ '^kept';
	SELECT count(*) FROM soft_delete_internal.truncations WHERE relation::text ~ '^kept'};
is(answer($node, 'recorded', $recorded), "kept:{1}:case 1 kept:case 2 kept:case kept\nkept:30 days\n2\n1", 'what is recorded');
make_copy();
like(answer($node, 'copy', plain('-T', 'gone*', 'recorded'), on_error_stop => 0), qr/WARNING:  a row of .*holds is left out.*"public\.gone"/s, 'what is left out is said');
is(answer($node, 'copy', $recorded), answer($node, 'recorded', $recorded), '-T loses nothing that is recorded of other tables');
drop_copy();
make_copy("SET session_replication_role = replica;\n" . plain('recorded'));
is(answer($node, 'copy', $recorded), answer($node, 'recorded', $recorded), 'nor is it lost where no triggers fire');
drop_copy();
$node->safe_psql('recorded', 'ALTER EXTENSION lo ADD TABLE gone; ALTER EXTENSION lo ADD TABLE gone_child');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$tmp/recorded", 'recorded' ], 'pg_dump where an extension has two tagged tables');
make_copy();
restore("$tmp/recorded");
is(answer($node, 'copy', $recorded), answer($node, 'recorded', $recorded), 'nor does a table that is an extension\'s lose it');
drop_copy();
$node->safe_psql('postgres', 'DROP DATABASE recorded');

# bins and companions stay private where the database has default privileges for who restores
foreach my $options ('', '--enable-row-security')
{
	make_copy('ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC');
	load(plain(split(/ /, $options), 'original'));
	is(answer($node, 'copy', q{
		SELECT DISTINCT tgrelid::regclass FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid, aclexplode(relacl)
		WHERE tgfoid IN ('soft_delete.finish_bin()'::regprocedure, 'soft_delete.guard_companion()'::regprocedure) AND grantee = 0}),
		'parent_deleted', "a bin that is granted by name is the only one that others may read $options");
	drop_copy();
}

# a role that is no superuser restores its tables, and a superuser what is the extension's
$node->safe_psql('postgres', 'CREATE ROLE dump_owner LOGIN');
$node->safe_psql('postgres', 'CREATE DATABASE copy OWNER dump_owner');
load('CREATE EXTENSION soft_delete');
restore('-U', 'dump_owner', '--no-owner', "$tmp/custom");
restore('--data-only', '-n', 'soft_delete_internal', "$tmp/custom");
is(bins($node, 'copy'), $all, 'by the owner of a database');
is(answer($node, 'copy', q{SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname IN ('parent', 'parent_deleted', 'part_1')}),
	'dump_owner', 'who owns its tables then');
drop_copy();
$node->safe_psql('postgres', 'DROP ROLE dump_owner');

# a table alone, with its bridge
make_copy('CREATE EXTENSION soft_delete');
load(plain('-t', 'flagged', '-t', 'flagged_*', 'original'));
is(answer($node, 'copy', q{
	UPDATE flagged SET gone = NOT gone WHERE id < 3;
	SELECT string_agg(id::text, ',') FROM flagged;
	SELECT string_agg(id::text, ',' ORDER BY id) FROM flagged_deleted;
	SELECT string_agg(id::text, ',' ORDER BY id) FROM flagged WHERE gone}), "2\n1,3\n1,3", 'a table with a bridge alone');
drop_copy();

# and one that keeps deleted rows aside
make_copy('CREATE EXTENSION soft_delete');
load(plain('-t', 'away', '-t', 'away_*', 'original'));
is(answer($node, 'copy', q{
	UPDATE away SET gone = true WHERE id = 1;
	UPDATE away_deleted SET gone = false WHERE id = 3;
	SELECT string_agg(id::text, ',') FROM away;
	SELECT string_agg(id || gone::text, ',' ORDER BY id) FROM away_deleted;
	SELECT soft_delete.untag('away', tombstones => 'keep');
	SELECT string_agg(id || gone::text, ',' ORDER BY id) FROM away}), "3\n1true,2true,4true\n\n1true,2true,3false,4true", 'a table with a bridge alone, whose deleted rows are aside');
drop_copy();

# all databases, into another cluster
my $other = start_node('other');
my ($everything) = run_command(['pg_dumpall']);
note(answer($other, 'postgres', $everything, on_error_stop => 0));
same_lines(plain('-h', $other->host, '-p', $other->port, 'original'), $original, 'dump and restore: pg_dumpall');
is(bins($other, 'original'), $all, 'with all deleted rows');

done_testing();
