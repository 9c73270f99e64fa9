# pg_stat_activity shows how far a restore has come, by the bin and by undo(), in either storage,
# and how far untag() has.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $node = start_node('progress');
$node->safe_psql('postgres', 'CREATE EXTENSION soft_delete');
foreach my $storage ('in_place', 'aside')
{
	$node->safe_psql('postgres', qq{
		CREATE TABLE $storage (id integer PRIMARY KEY, code text UNIQUE);
		SELECT soft_delete.tag('$storage', storage => '$storage');
		INSERT INTO $storage SELECT g, 'code ' || g FROM generate_series(1, 10001) g});
	foreach my $restore ("UPDATE ${storage}_deleted SET deleted_at = NULL", "SELECT soft_delete.undo(max(deleted_at)) FROM ${storage}_deleted")
	{
		$node->safe_psql('postgres', "DELETE FROM $storage");
		# the last row waits for who may take its key
		my $other = $node->background_psql('postgres');
		$other->query_safe("BEGIN; INSERT INTO $storage VALUES (0, 'code 10001')");
		my $session = start([ 'psql', '-qX', '-d', $node->connstr('postgres'), '-c', $restore ], '>', \my $out, '2>', \my $errors);
		ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'soft_delete: restored 10000 rows of public.$storage so far'"),
			"$storage: $restore");
		$other->query_safe('ROLLBACK');
		$other->quit;
		$session->finish;
		is($errors . $node->safe_psql('postgres', "SELECT count(*) FROM $storage"), '10001', "$storage: and then all is restored");
	}
}

# what untag() does after it has treated the rows tells what it has shown
$node->safe_psql('postgres', q{
	CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN
		RAISE NOTICE '%', (SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid());
	END $$;
	CREATE EVENT TRIGGER tell ON sql_drop WHEN TAG IN ('DROP VIEW') EXECUTE FUNCTION tell()});
foreach my $case ([ 'in_place', 'purge', 'destroyed' ], [ 'aside', 'purge', 'destroyed' ], [ 'aside', 'keep', 'restored' ])
{
	my ($storage, $tombstones, $done) = @$case;
	my $table = "${storage}_$tombstones";
	$node->safe_psql('postgres', qq{
		CREATE TABLE $table (id integer PRIMARY KEY);
		SELECT soft_delete.tag('$table', storage => '$storage');
		INSERT INTO $table SELECT generate_series(1, 10000);
		DELETE FROM $table});
	like(answer($node, 'postgres', "SELECT soft_delete.untag('$table', tombstones => '$tombstones')"),
		qr/NOTICE:  soft_delete: $done 10000 rows of public.$table so far$/m, "$storage: untag() with '$tombstones'");
}
$node->stop;
done_testing();
