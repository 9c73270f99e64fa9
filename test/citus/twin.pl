# Random statements on sharded tables answer as on tables of one node that keep their deleted rows aside, and leave
# the same rows in tables and bins, while shards move and split.
# test/citus/run --statements=20000 --seed=1 twin
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Citus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $total = $ENV{STATEMENTS} || 20_000;
my $seed = $ENV{SEED} || int(rand(1_000_000));
srand($seed);
note("seed $seed");

my ($node) = start_citus();
add_database('app');
$node->safe_psql('postgres', 'SET citus.enable_create_database_propagation = off; CREATE DATABASE alone');

# tables by tenant: p, its children c, their children d; r is replicated, and t references itself
my $tables = q{
	SET client_min_messages = error;
	CREATE TABLE r (id integer PRIMARY KEY, v text);
	CREATE TABLE p (k integer, id integer, v text, PRIMARY KEY (k, id));
	CREATE TABLE c (k integer, id integer, p integer, v text, PRIMARY KEY (k, id), UNIQUE (k, v));
	CREATE TABLE d (k integer, id integer, c integer, v integer, PRIMARY KEY (k, id));
	CREATE TABLE t (k integer, id integer, up integer, PRIMARY KEY (k, id));};
my $keys = q{
	ALTER TABLE c ADD FOREIGN KEY (k, p) REFERENCES p ON DELETE CASCADE;
	ALTER TABLE d ADD FOREIGN KEY (k, c) REFERENCES c ON DELETE CASCADE;
	ALTER TABLE t ADD FOREIGN KEY (k, up) REFERENCES t ON DELETE CASCADE;
	CREATE UNIQUE INDEX r_v ON r ((substr(v, 2)::integer / 2)) WHERE v LIKE 'v%';
	CREATE UNIQUE INDEX d_v ON d (k, (v % 20)) WHERE v % 2 = 1;};
my $tag = q{SELECT soft_delete.tag(x, storage => 'aside', cascade => true) FROM unnest('{r,p,t}'::regclass[]) AS x;};
$node->safe_psql('app', "SET client_min_messages = error; CREATE EXTENSION soft_delete; $tables SELECT create_reference_table('r'); SELECT create_distributed_table('p', 'k');"
	. " SELECT create_distributed_table(x, 'k', colocate_with => 'p') FROM unnest('{c,d,t}'::text[]) AS x; $keys $tag");
$node->safe_psql('alone', "SET client_min_messages = error; CREATE EXTENSION soft_delete; $tables $keys $tag");

# pick LIST: one of it; number N: one of 1 .. N
sub pick { return $_[ rand @_ ] }
sub number { return 1 + int(rand($_[0])) }
my ($tenants, $ids) = (12, 25);

# condition TABLE: which rows
sub condition
{
	my ($table) = @_;
	my ($k, $id) = (number($tenants), number($ids));
	return pick("id = $id", "id < " . number(6), 'v LIKE \'%' . number(9) . '\'') if $table eq 'r';
	return pick("k = $k AND id = $id", "k = $k AND id = $id", "k = $k AND id < $id", "id = $id", "k IN ($k, " . number($tenants) . ") AND id % 5 = " . int(rand 5), "k = $k");
}
# insertion TABLE: of some rows
sub insertion
{
	my ($table) = @_;
	my ($k, $id) = (number($tenants), number($ids));
	my $conflict = pick('', 'ON CONFLICT DO NOTHING', 'ON CONFLICT DO NOTHING');
	return "INSERT INTO r VALUES ($id, 'v' || " . number(99) . ") $conflict" if $table eq 'r';
	return "INSERT INTO t SELECT $k, g, nullif(g / 2, 0) FROM generate_series(1, $id) AS g ORDER BY g $conflict" if $table eq 't';
	return "INSERT INTO p SELECT " . pick($k, "g % $tenants + 1") . ", g, 'v' || g FROM generate_series(1, $id) AS g $conflict" if $table eq 'p';
	my ($parent, $v) = $table eq 'c' ? ('p', "'c' || id") : ('c', 'id * 3');
	# which of two rows with one key comes in
	return "INSERT INTO $table SELECT k, id, id, $v FROM $parent WHERE " . condition($parent) . " ORDER BY k, id $conflict";
}
sub deletion
{
	my $table = pick(qw(r p p p c c d t t));
	my $where = condition($table);
	return pick("DELETE FROM $table WHERE $where", "DELETE FROM $table WHERE $where", "DELETE FROM $table WHERE $where",
		"WITH gone AS (DELETE FROM $table WHERE $where RETURNING id) SELECT count(*), sum(id) FROM gone",
		$table eq 'c' ? "DELETE FROM c USING p WHERE p.k = c.k AND p.id = c.p AND p.k = " . number($tenants) . " AND p.v LIKE '%" . number(9) . "'" : "DELETE FROM $table WHERE $where",
		rand() < 0.1 ? "TRUNCATE $table CASCADE" : "DELETE FROM $table WHERE $where",
		rand() < 0.05 ? "DELETE FROM $table" : "DELETE FROM $table WHERE $where");
}
sub restore
{
	my $table = pick(qw(r p p p c c d t t));
	my $limit = pick('', " AND deleted_at = (SELECT max(deleted_at) FROM ${table}_deleted)", " AND deleted_at = (SELECT max(deleted_at) FROM ${table}_deleted)", " AND deleted_at = (SELECT min(deleted_at) FROM ${table}_deleted)");
	my $where = pick(condition($table), condition($table), 'true');
	# on one node, a row also comes back with one that is further above, and here with its parent alone
	$where = 'true' if $table eq 't' && $where =~ /%/;
	return "UPDATE ${table}_deleted SET deleted_at = NULL WHERE $where$limit";
}
# a whole deletion, but for what cannot come back, or with the deleted parents of its rows
sub undo
{
	my $table = pick(qw(r p p c c d d t));
	return "SELECT soft_delete.undo((SELECT " . pick('max', 'max', 'min') . "(deleted_at) FROM ${table}_deleted), " . pick('skip_conflicts', 'with_parents') . ' => true)';
}
sub update
{
	my $table = pick(qw(r p c));
	return "UPDATE $table SET v = 'u' || id::text || '-" . number(999) . "' WHERE " . condition($table);
}
# with a parent, its deleted children are purged before it
sub purge
{
	my $table = pick(qw(r p t));
	my $where = $table eq 'r' ? condition('r') : 'k = ' . number($tenants);
	return $table eq 'p' ? "BEGIN; DELETE FROM d_deleted WHERE $where; DELETE FROM c_deleted WHERE $where; DELETE FROM p_deleted WHERE $where; COMMIT" : $table eq 't' ? "DELETE FROM t_deleted WHERE $where" : "DELETE FROM r_deleted WHERE $where";
}
sub insertion_of_any { return insertion(pick(qw(r p p p c c d t))) }
# at most one deletion in a transaction: on one node each statement is one, with Citus the transaction
sub transaction
{
	my @statements = map { pick(\&insertion_of_any, \&update)->() } 1 .. number(3);
	splice(@statements, int(rand(@statements + 1)), 0, pick(deletion(), 'SAVEPOINT s; ' . deletion() . '; ROLLBACK TO s; ' . insertion_of_any()));
	return join('; ', 'BEGIN', @statements, pick('COMMIT', 'COMMIT', 'ROLLBACK'));
}

# answers DATABASE, FILE: what a session prints
sub answers
{
	my ($database, $file) = @_;
	my $connection = $node->connstr($database);
	my $output = `psql -X -At -d "$connection" -f $file 2>&1`;
	# Citus reports a key that is taken by its own codes, too
	$output =~ s/^psql:[^ ]* ERROR: .*$/ERROR/mg;
	# and counts what ON CONFLICT DO NOTHING leaves out
	$output =~ s/^INSERT 0 \d+$/INSERT/mg;
	$output =~ s/^psql:[^ ]* (?:NOTICE|WARNING).*\n//mg;
	return $output;
}
my $rows = join(' UNION ALL ', map { "SELECT '$_', string_agg(x::text, ' ' ORDER BY x::text) FROM $_ AS x" } qw(r p c d t));
# stamps are others, but what has one stamp in one has one in the other
my $bins = join(' UNION ALL ', map { my ($name, $columns) = @$_; "SELECT '$name', string_agg(x::text, ' ' ORDER BY x::text) FROM (SELECT $columns, dense_rank() OVER (ORDER BY deleted_at) FROM ${name}_deleted) AS x" }
	[ r => 'id, v' ], [ p => 'k, id, v' ], [ c => 'k, id, p, v' ], [ d => 'k, id, c, v' ], [ t => 'k, id, up' ]);
my $file = PostgreSQL::Test::Utils::tempdir() . '/statements.sql';
my @moves = (
	sub { my ($mode) = @_; return "SELECT citus_move_shard_placement(s.shardid, s.nodename, s.nodeport, t.nodename, t.nodeport, shard_transfer_mode => '$mode') FROM citus_shards AS s, pg_dist_node AS t WHERE table_name = 'p'::regclass AND s.nodeport <> t.nodeport ORDER BY random() LIMIT 1" },
	sub { my ($mode) = @_; return "SELECT citus_split_shard_by_split_points(shardid, ARRAY[((shardminvalue::bigint + shardmaxvalue::bigint) / 2)::text], ARRAY[nodeid, nodeid], '$mode') FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid) WHERE logicalrelid = 'p'::regclass AND (SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'p'::regclass) < 12 ORDER BY random() LIMIT 1" });

my ($done, $differences, $moves, $errors) = (0, 0, 0, 0);
my %kinds;
while ($done < $total && $differences < 3)
{
	my $batch = "\\set VERBOSITY sqlstate\n\\set QUIET off\nSET client_min_messages = error;\n";
	my $n = 250;
	foreach my $i (1 .. $n)
	{
		my ($name, $make) = @{ pick(([ insert => \&insertion_of_any ]) x 5, ([ delete => \&deletion ]) x 7, ([ restore => \&restore ]) x 4, [ undo => \&undo ], ([ update => \&update ]) x 2, ([ transaction => \&transaction ]) x 3, [ purge => \&purge ]) };
		$kinds{$name}++;
		my $sql = $make->();
		$batch .= "\\echo " . ($done + $i) . ": " . ($sql =~ s/'/''/gr =~ s/^(.*)$/'$1'/r) . "\n$sql;\nROLLBACK;\n";
		$batch .= "$rows;\n$bins;\n" if $i % 25 == 0;
	}
	append_to_file($file, '') if !-e $file;
	open(my $handle, '>', $file) or die $!;
	print $handle $batch;
	close $handle;
	my ($sharded, $alone) = map { answers($_, $file) } 'app', 'alone';
	$done += $n;
	$errors += () = $alone =~ /^ERROR/mg;
	if ($sharded ne $alone)
	{
		$differences++;
		my @left = split(/\n(?=\d+: )/, $sharded);
		my @right = split(/\n(?=\d+: )/, $alone);
		my ($first) = grep { ($left[$_] // '') ne ($right[$_] // '') } 0 .. $#left;
		diag("sharded:\n" . ($left[$first] // '') . "\non one node:\n" . ($right[$first] // ''));
		last;
	}
	if ($done % 1000 == 0)
	{
		my $answer = answer($node, 'app', 'SET client_min_messages = error; ' . pick(@moves)->(pick('block_writes', 'force_logical')));
		diag($answer) if $answer =~ /ERROR/;
		$moves++ if $answer !~ /ERROR/;
	}
}
note(sprintf('%d statements, %d of them errors, and %d moves and splits: %s', $done, $errors, $moves, join(', ', map { "$kinds{$_} $_" } sort keys %kinds)));
is($differences, 0, "$total random statements, seed $seed");
cmp_ok($errors, '>', $done / 100, 'some of them fail, in both');
cmp_ok($moves, '>=', int($total / 1000) - 1, 'shards have moved and split meanwhile');
is($node->safe_psql('app', q{SELECT count(DISTINCT result) FROM run_command_on_all_nodes('SELECT string_agg(r::text, '';'' ORDER BY r::text) FROM (SELECT * FROM r_deleted UNION ALL SELECT *, NULL, NULL, NULL, NULL FROM r) AS r')}), 1, 'replicas are alike');
done_testing();
