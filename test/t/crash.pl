# kill -9 of the whole server amid deletions, restores, purges, tags and deleted
# rows that step aside: what was acknowledged is there, nothing is half done.
#
# Only processes are killed and the machine stays up, so fsync may be off as in
# other tests: what a process has written, the kernel has.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;
use Time::HiRes qw(usleep);

my $seed = $ENV{CRASH_SEED} || 15;
my $rounds = $ENV{CRASH_ROUNDS} || 3;
my $nworkers = 3;
srand($seed);
note("seed $seed");

my $node = start_node('crash', conf => q{
shared_buffers = 1MB
max_wal_size = 32MB
max_prepared_transactions = 2
log_statement = none
deadlock_timeout = 100ms
});

# make_database NAME: the tables, without rows
sub make_database
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, q{
		SET client_min_messages = warning;
		CREATE EXTENSION soft_delete;
		CREATE TABLE journal (worker integer, n integer, PRIMARY KEY (worker, n));
		CREATE TABLE parent (id integer PRIMARY KEY, worker integer, code text UNIQUE);
		CREATE TABLE child (id integer PRIMARY KEY, worker integer, parent_id integer REFERENCES parent ON DELETE CASCADE, wide text);
		CREATE TABLE linked (id integer PRIMARY KEY, worker integer, parent_id integer REFERENCES parent ON DELETE SET NULL) PARTITION BY HASH (id);
		CREATE TABLE linked_0 PARTITION OF linked FOR VALUES WITH (MODULUS 2, REMAINDER 0);
		CREATE TABLE linked_1 PARTITION OF linked FOR VALUES WITH (MODULUS 2, REMAINDER 1);
		ALTER TABLE child ALTER wide SET STORAGE EXTERNAL;
		SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('linked')});
	foreach my $worker (1 .. $nworkers)
	{
		$node->safe_psql($name, "CREATE TABLE own_$worker AS SELECT g AS id, g AS code FROM generate_series(1, 500) g;
			ALTER TABLE own_$worker ADD PRIMARY KEY (id), ADD UNIQUE (code)");
	}
}

# transaction WORKER N: the statements of a worker's transaction; they touch rows of that worker alone
sub transaction
{
	my ($worker, $n) = @_;
	my $first = $worker * 10000 + int(rand(4)) * 100;
	my $some = "id BETWEEN $first AND " . ($first + 20 + int(rand(120)));
	my $own = "own_$worker";
	my $residue = int(rand(7));
	my $insert = "INSERT INTO parent SELECT id, $worker, 'code ' || id FROM generate_series($first, $first + 150) id ON CONFLICT DO NOTHING;
		INSERT INTO child SELECT id * 3 + k, $worker, id, repeat('x', 2500 * k) FROM parent, generate_series(0, 2) k WHERE $some ON CONFLICT DO NOTHING;
		INSERT INTO linked SELECT id, $worker, id FROM parent WHERE $some ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id";
	my @kinds = ($insert, $insert,
		"DELETE FROM parent WHERE $some", "DELETE FROM parent WHERE $some",
		"DELETE FROM child WHERE parent_id IN (SELECT id FROM parent WHERE $some) AND id % 7 = $residue",
		"DELETE FROM linked WHERE $some; SAVEPOINT s; DELETE FROM parent WHERE $some AND id % 2 = 0; ROLLBACK TO s; DELETE FROM parent WHERE $some AND id % 7 = $residue",
		"UPDATE parent_deleted b SET deleted_at = NULL WHERE $some AND NOT EXISTS (SELECT FROM parent p WHERE p.id = b.id)
			AND deleted_at = (SELECT max(deleted_at) FROM parent_deleted d WHERE d.id = b.id)",
		"SELECT soft_delete.undo(newest) FROM (SELECT max(deleted_at) FROM parent_deleted WHERE worker = $worker) AS d(newest) WHERE newest IS NOT NULL",
		"DELETE FROM parent_deleted WHERE $some AND id % 3 = 0",
		"SELECT soft_delete.tag('$own'); DELETE FROM $own WHERE id % 7 = $residue; INSERT INTO $own SELECT id, code FROM ${own}_deleted WHERE id % 2 = 0 ON CONFLICT DO NOTHING",
		"SELECT soft_delete.untag('$own', tombstones => 'purge')");
	return $kinds[ int(rand(@kinds)) ];
}

# script WORKER FIRST LAST: all its transactions, each entering itself into the journal, and each reporting when it is committed
my @transactions = ([]);
foreach my $worker (1 .. $nworkers)
{
	push @transactions, [ map { transaction($worker, $_) } 0 .. 499 ];
}
sub script
{
	my ($worker, @numbers) = @_;
	return join("\n", map {
		($_ % 10 == 9 ? 'CHECKPOINT; ' : '') . "BEGIN; $transactions[$worker][$_]; INSERT INTO journal VALUES ($worker, $_); COMMIT;\n"
			. "SELECT 'committed ' || n FROM journal WHERE worker = $worker AND n = $_;" } @numbers) . "\n";
}

# state_of DATABASE: every row of every worker, sorted; stamps as their rank, for their values differ
my $state = q{
	SELECT 'live', 'parent', worker, id, code FROM parent;
	SELECT 'live', 'child', worker, id, parent_id, length(wide) FROM child;
	SELECT 'live', 'linked', worker, id, parent_id FROM linked;
	SELECT dense_rank() OVER (PARTITION BY worker ORDER BY deleted_at), * FROM (
		SELECT deleted_at, 'parent', worker, id, NULL::integer, length(code) FROM parent_deleted
		UNION ALL SELECT deleted_at, 'child', worker, id, parent_id, length(wide) FROM child_deleted
		UNION ALL SELECT deleted_at, 'linked', worker, id, parent_id, 0 FROM linked_deleted) AS d(deleted_at, relation, worker, id, a, b);
	SELECT 'deletions', count(*) FROM soft_delete_internal.ledger;
	SELECT 'events', relation, event, sum(rows) FROM soft_delete.events GROUP BY 2, 3;
	SELECT 'cuts', count(*) FROM soft_delete_internal.set_null_references;
	SELECT 'tagged', tgrelid::regclass FROM pg_trigger WHERE tgname = '~soft_delete';
	SELECT 'index', indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid IN
		(SELECT oid FROM pg_class WHERE relname ~ '^(own|parent|child|linked)' AND relnamespace = 'public'::regnamespace);
};
sub state_of
{
	my ($database) = @_;
	my $rows = $node->safe_psql($database, $state);
	# the stamp itself, after its rank
	$rows =~ s/^(\d+\|)\d{4}-[^|]*\|/$1/mg;
	foreach my $worker (1 .. $nworkers)
	{
		$rows .= "\n" . $node->safe_psql($database, "SELECT 'own', id, code FROM own_$worker;
			SELECT 'bin', id, code, dense_rank() OVER (ORDER BY deleted_at) FROM own_${worker}_deleted")
			if $rows =~ /^tagged\|own_$worker$/m;
		$rows .= "\n" . $node->safe_psql($database, "SELECT 'own', id, code FROM own_$worker")
			if $rows !~ /^tagged\|own_$worker$/m;
	}
	return join("\n", sort split(/\n/, $rows));
}

make_database('crashed');
$node->safe_psql('crashed', q{
	CREATE TABLE two_phase (id integer PRIMARY KEY);
	SELECT soft_delete.tag('two_phase');
	INSERT INTO two_phase VALUES (1), (2);
	BEGIN; DELETE FROM two_phase WHERE id = 1; PREPARE TRANSACTION 'first';
	BEGIN; DELETE FROM two_phase WHERE id = 2; PREPARE TRANSACTION 'second'});

my @next = (0) x ($nworkers + 1);
foreach my $round (1 .. $rounds)
{
	my @run;
	my $files = PostgreSQL::Test::Utils::tempdir();
	foreach my $worker (1 .. $nworkers)
	{
		append_to_file("$files/$worker.sql", script($worker, $next[$worker] .. 499));
		push @run, start([ 'psql', '-XAtq', '-d', $node->connstr('crashed'), '-f', "$files/$worker.sql" ],
			'>', "$files/$worker.out", '2>', "$files/$worker.errors");
	}
	my $enough = $node->safe_psql('crashed', 'SELECT count(*) FROM journal') + 25 + int(rand(20));
	$node->poll_query_until('crashed', "SELECT count(*) >= $enough FROM journal") or die "the workers do not work";
	usleep(int(rand(50_000)));
	kill_server($node);
	$_->finish foreach @run;
	$node->start;

	if ($round == 1)
	{
		$node->safe_psql('crashed', "COMMIT PREPARED 'first'; ROLLBACK PREPARED 'second'");
		is($node->safe_psql('crashed', 'SELECT * FROM two_phase_active; SELECT id FROM two_phase_deleted; SELECT soft_delete.undo(max(deleted_at)) FROM two_phase_deleted'),
			"2\n1\n1", 'prepared deletions outlive the crash');
		$node->safe_psql('crashed', "DROP TABLE two_phase; DELETE FROM soft_delete_internal.ledger WHERE deleted_at = (SELECT min(deleted_at) FROM soft_delete_internal.ledger)");
	}

	my ($kept, $unknown) = (1, 0);
	foreach my $worker (1 .. $nworkers)
	{
		my @journal = split(/\n/, $node->safe_psql('crashed', "SELECT n FROM journal WHERE worker = $worker AND n >= $next[$worker] ORDER BY n"));
		my @committed = slurp_file("$files/$worker.out") =~ /^committed (\d+)$/mg;
		# one may have been committed and not reported
		$unknown++ if @journal == @committed + 1;
		pop(@journal) if @journal == @committed + 1;
		$kept = 0 if "@journal" ne "@committed";
		diag("worker $worker: journal @journal, committed @committed") if "@journal" ne "@committed";
		$next[$worker] = $node->safe_psql('crashed', "SELECT coalesce(max(n) + 1, 0) FROM journal WHERE worker = $worker");
		note($_) foreach slurp_file("$files/$worker.errors") =~ /(ERROR: .*)/g;
	}
	ok($kept, "round $round: every transaction that was reported is there, and no other ($unknown in flight)");
	is($node->safe_psql('crashed', 'SELECT * FROM soft_delete.check()'), '', "round $round: check() finds nothing");
	$node->command_ok([ 'pg_amcheck', '--install-missing', '--heapallindexed', '--rootdescend', '-d', 'crashed' ],
		"round $round: pg_amcheck finds nothing");
}

# the same transactions, one worker after the other, without a crash
make_database('replayed');
foreach my $worker (1 .. $nworkers)
{
	$node->psql('replayed', script($worker, split(/\n/, $node->safe_psql('crashed', "SELECT n FROM journal WHERE worker = $worker ORDER BY n"))), on_error_stop => 0);
}
is($node->safe_psql('replayed', 'SELECT count(*) FROM journal'), $node->safe_psql('crashed', 'SELECT count(*) FROM journal'), 'every transaction is replayed');
$node->safe_psql('crashed', 'SELECT count(*) FROM parent_deleted') > 100 or die 'the bin is nearly empty';
my ($crashed, $replayed) = map { state_of($_) } ('crashed', 'replayed');
same_lines($crashed, $replayed, 'rows, bins, ledger, tags and indexes are as without a crash');

done_testing();
