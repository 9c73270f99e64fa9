# Where the clock of the server is set back, stamps stay unique, those of a session go on
# growing, and nothing is destroyed before it is due by the clock.  A deletion of the future is
# listed, restored and undone as any other.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my ($library) = glob('/usr/lib/*/faketime/libfaketime.so.1');
plan skip_all => 'libfaketime is not installed' unless defined $library;

my $clock = PostgreSQL::Test::Utils::tempdir() . '/clock';
my $node;

# set_clock OFFSET: what the clock of the server differs from the real one
sub set_clock
{
	my ($offset) = @_;
	open(my $file, '>', $clock) or die "$clock: $!";
	print $file "$offset\n";
	close($file);
	return;
}

set_clock('+0');
{
	local $ENV{LD_PRELOAD} = $library;
	local $ENV{FAKETIME_TIMESTAMP_FILE} = $clock;
	local $ENV{FAKETIME_NO_CACHE} = 1;
	local $ENV{FAKETIME_DONT_FAKE_MONOTONIC} = 1;
	local $ENV{DONT_FAKE_MONOTONIC} = 1;
	$node = start_node('clock', conf => "autovacuum = off\n");
}

# is_answer SQL, EXPECTED, NAME
sub is_answer
{
	my ($sql, $expected, $name) = @_;
	return is($node->safe_psql('postgres', $sql), $expected, $name);
}

$node->safe_psql('postgres', q{
	CREATE EXTENSION soft_delete;
	CREATE TABLE t (id integer PRIMARY KEY);
	SELECT soft_delete.tag('t');
	SELECT soft_delete.retain('t', '30 minutes');
	INSERT INTO t SELECT generate_series(1, 100)});

my $session = $node->background_psql('postgres');
$session->query_safe('DELETE FROM t WHERE id = 1');
my $before = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
set_clock('-1h');
is_answer("SELECT clock_timestamp() < '$before'::timestamptz - interval '59 minutes'", 't', 'the clock is an hour behind');
$session->query_safe("DELETE FROM t WHERE id = $_") foreach 2 .. 5;
$session->quit;
is_answer('SELECT string_agg(id::text, $$,$$ ORDER BY deleted_at) FROM t_deleted', '1,2,3,4,5', 'the stamps of a session grow while the clock goes back');

# sessions of their own, each at another time, some at the same one
foreach my $id (6 .. 15)
{
	set_clock('-' . ($id % 3) . 'h');
	$node->safe_psql('postgres', "DELETE FROM t WHERE id = $id");
}
is_answer('SELECT count(*), count(DISTINCT deleted_at) FROM t_deleted', '15|15', 'no two deletions share a stamp');
is_answer('SELECT count(*) FROM t_deleted JOIN soft_delete.deletions USING (deleted_at)', '15', 'each is in the ledger');

# two hours behind: all stamps are of the future or of now
set_clock('-2h');
$node->safe_psql('postgres', 'CALL soft_delete.purge()');
is_answer('SELECT count(*) FROM t_deleted', '15', 'nothing is due while the clock is behind');
is_answer('SELECT deleted_rows, due_rows FROM soft_delete.tables', '15|0', 'tables shows nothing as due');
is_answer('SELECT count(*) FROM soft_delete.check() WHERE severity <> $$notice$$', '0', 'check() finds no problem');
is_answer('SELECT count(*) FROM soft_delete.timeline()', '14', 'timeline() shows as many days as ever');
is_answer('SELECT soft_delete.undo(deleted_at) FROM t_deleted WHERE id = 1', '1', 'a deletion of the future is undone');
is_answer('SELECT count(*) FROM t WHERE id = 1', '1', 'its row is live');

# in time again: what the ledger says was deleted long ago is due, and no other
set_clock('+0');
my $due = $node->safe_psql('postgres', q{SELECT string_agg(id::text, ',' ORDER BY id) FROM t_deleted WHERE deleted_at < now() - interval '30 minutes'});
is($due, '7,8,10,11,13,14', 'the rows whose stamps are old');
$node->safe_psql('postgres', 'CALL soft_delete.purge()');
is_answer('SELECT string_agg(id::text, $$,$$ ORDER BY id) FROM t_deleted', '2,3,4,5,6,9,12,15', 'those alone are purged');

$node->stop;
done_testing();
