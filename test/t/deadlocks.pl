# Eight clients delete, insert, lock and reference the same few rows: where the
# hard-deleting twin has no deadlock, there is none, no statement fails, and every row
# is in its table, and referenced by what may reference it.
#
#   DEADLOCK_SECONDS=60 test/one t/deadlocks.pl      as long as wanted for each table
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $seconds = $ENV{DEADLOCK_SECONDS} || 5;
my $rows = 20;
my $node = start_node('deadlocks', conf => q{
deadlock_timeout = 100ms
log_statement = none
});
$node->safe_psql('postgres', 'CREATE EXTENSION soft_delete');

# by weight of their kind; each transaction concerns one row, but that which takes any
my %transactions = (
	3 => [
		q{DELETE FROM t WHERE id = :id;
		INSERT INTO t VALUES (:id, 'user' || :id, 0) ON CONFLICT DO NOTHING;},
		q{BEGIN;
		DELETE FROM t WHERE id = :id;
		INSERT INTO t VALUES (:id, 'user' || :id, 0) ON CONFLICT DO NOTHING;
		COMMIT;} ],
	2 => [
		q{SELECT FROM t WHERE id = :id FOR UPDATE;
		UPDATE t SET n = n + 1 WHERE id = :id;},
		q{WITH p AS (SELECT id FROM t WHERE id = :id FOR KEY SHARE) INSERT INTO t_child SELECT id, id FROM p ON CONFLICT DO NOTHING;} ],
	1 => [
		q{BEGIN;
		SELECT id FROM t ORDER BY n LIMIT 1 FOR UPDATE SKIP LOCKED;
		COMMIT;} ]);

my %had;
foreach my $table ('plain', 'in_place', 'aside')
{
	$node->safe_psql('postgres', qq{
		SET client_min_messages = warning;
		CREATE TABLE $table (id integer PRIMARY KEY, email text UNIQUE, n integer);
		CREATE INDEX ON $table (n);
		CREATE TABLE ${table}_child (id integer PRIMARY KEY, parent integer REFERENCES $table ON DELETE CASCADE);
		CREATE INDEX ON ${table}_child (parent);
		INSERT INTO $table SELECT g, 'user' || g, 0 FROM generate_series(1, $rows) g;}
		. ($table eq 'plain' ? '' : "SELECT soft_delete.tag('$table', cascade => true, storage => '$table')"));
	my @files;
	foreach my $weight (keys %transactions)
	{
		foreach my $sql (@{ $transactions{$weight} })
		{
			my $file = PostgreSQL::Test::Utils::tempdir() . '/transaction';
			append_to_file($file, "\\set id random(1, $rows)\n" . $sql =~ s/\bt(_child)?\b/$table . ($1 \/\/ '')/ger =~ s/^\s+//gmr . "\n");
			push @files, '-f', "$file\@$weight";
		}
	}
	my $offset = -s $node->logfile;
	$node->command_ok([ 'pgbench', '-n', '-c', 8, '-j', 2, '-T', $seconds, @files, 'postgres' ], "$table: no client is stopped by an error");
	$had{$table} = () = slurp_file($node->logfile, $offset) =~ /deadlock detected/g;
	cmp_ok($had{$table}, '<=', $had{plain}, "$table: no more deadlocks than without it");
}
foreach my $table ('in_place', 'aside')
{
	is($node->safe_psql('postgres', "SELECT count(*) FROM ${table}_child AS c LEFT JOIN $table AS p ON p.id = c.parent WHERE p.id IS NULL"), 0, "$table: every child has its parent");
	is($node->safe_psql('postgres', "SELECT count(*) - count(DISTINCT id) FROM $table"), 0, "$table: no key is there twice");
	isnt($node->safe_psql('postgres', "SELECT count(*) FROM ${table}_deleted"), 0, "$table: what was deleted is in the bin");
}
is($node->safe_psql('postgres', "SELECT * FROM soft_delete.check() WHERE severity = 'error'"), '', 'check() finds no error');

done_testing();
