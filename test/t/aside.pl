# Tables whose deleted rows are kept aside, in a server whose sessions do not load the
# library: their first DELETE does, and what it takes along has one stamp.  What is
# kept is in every kind of dump, on a standby, and in what is decoded.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('unloaded');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->start;
($ENV{PGHOST}, $ENV{PGPORT}) = ($node->host, $node->port);

$node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	CREATE EXTENSION soft_delete;
	CREATE SCHEMA bins;
	CREATE TABLE parent (id integer PRIMARY KEY, name text);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
	CREATE TABLE part (id integer, n integer) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (1000);
	SELECT soft_delete.tag('parent', cascade => true, storage => 'aside');
	SELECT soft_delete.tag('part', views => 'bins', storage => 'aside');
	INSERT INTO parent SELECT g, 'p' || g FROM generate_series(1, 20) AS g;
	INSERT INTO child SELECT g, g FROM generate_series(1, 20) AS g;
	INSERT INTO part SELECT g, g FROM generate_series(1, 9) AS g});
# from PostgreSQL 17 on, CREATE EXTENSION makes sessions load it
$node->safe_psql('postgres', 'ALTER EVENT TRIGGER soft_delete_login DISABLE') if $node->pg_version >= 17;
like(answer($node, 'postgres', q{CREATE TABLE t (id integer); SELECT soft_delete.tag('t')}), qr/new sessions of database "postgres" will not load library/, 'in place, sessions must load the library');
is(answer($node, 'postgres', 'SHOW soft_delete.truncate'), 'ERROR:  unrecognized configuration parameter "soft_delete.truncate"', 'here none does');

# deletion DELETION: the first statements of a session; which tables it deleted from, and with how many stamps
sub deletion
{
	my ($sql) = @_;
	my $before = $node->safe_psql('postgres', 'SELECT coalesce(max(deleted_at), \'-infinity\') FROM soft_delete.deletions');
	return answer($node, 'postgres', $sql) . $node->safe_psql('postgres', qq{
		WITH rows AS (SELECT 'parent' AS t, deleted_at FROM parent_deleted UNION ALL SELECT 'child', deleted_at FROM child_deleted UNION ALL SELECT 'part', deleted_at FROM bins.part_deleted)
		SELECT string_agg(DISTINCT t, ',' ORDER BY t), count(*), count(DISTINCT deleted_at) FROM rows WHERE deleted_at > '$before'});
}
is(deletion('DELETE FROM parent WHERE id <= 2'), 'child,parent|4|1', 'a cascade has one stamp');
is(deletion('DELETE FROM parent WHERE id = 3; DELETE FROM parent WHERE id = 4'), 'child,parent|4|2', 'two statements have two');
is(deletion('DO $$ BEGIN DELETE FROM parent WHERE id = 5; DELETE FROM part WHERE id = 1; END $$'), 'child,parent,part|3|1', 'a block has one');
is(deletion('PREPARE p AS DELETE FROM parent WHERE id = $1; EXECUTE p (6); EXECUTE p (7)'), 'child,parent|4|2', 'prepared statements have one each');
is(deletion('BEGIN; SAVEPOINT a; DELETE FROM parent WHERE id = 8; ROLLBACK TO a; DELETE FROM parent WHERE id = 9; COMMIT'), 'child,parent|2|1', 'a savepoint takes nothing with it');
is(deletion('PREPARE p AS DELETE FROM parent WHERE id IN (17, 18); BEGIN; EXECUTE p; SAVEPOINT a; RELEASE a; COMMIT'), 'child,parent|4|1', 'a savepoint that comes next has no part in it');
is(deletion('TRUNCATE child, part'), 'child,part|18|1', 'TRUNCATE has one');
is(deletion(q{BEGIN; DELETE FROM parent WHERE id = 10; PREPARE TRANSACTION 'two'}), '|0|0', 'nothing is deleted before the second phase');
is(deletion(q{COMMIT PREPARED 'two'}), 'parent|1|1', 'and it is after it');
is(answer($node, 'postgres', 'SELECT count(*) FROM soft_delete.check() WHERE relation IS NOT NULL'), '0', 'there is no problem');
is(answer($node, 'postgres', q{
	WITH kept AS (SELECT deleted_at, 'public.parent' AS relation FROM parent_deleted UNION ALL SELECT deleted_at, 'public.child' FROM child_deleted
			UNION ALL SELECT deleted_at, 'public.part' FROM bins.part_deleted),
		counted AS (SELECT deleted_at, relation, rows FROM soft_delete.events WHERE event = 'deleted')
	SELECT count(*) > 10, count(*) FILTER (WHERE rows IS DISTINCT FROM n)
	FROM counted FULL JOIN (SELECT deleted_at, relation, count(*) AS n FROM kept GROUP BY 1, 2) AS k USING (deleted_at, relation)}), 't|0', 'the ledger has counted all of it');

# dumps
sub state_of
{
	my ($database) = @_;
	return answer($node, $database, q{
		SELECT (SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM (SELECT id, name, deleted_at, deleted_by FROM parent_deleted) AS r),
			(SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM (SELECT id, parent_id, deleted_at FROM child_deleted) AS r),
			(SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM (SELECT id, n, deleted_at FROM bins.part_deleted) AS r),
			(SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM (SELECT relation, event, sum(rows) FROM soft_delete.events GROUP BY 1, 2) AS r),
			(SELECT count(*) FROM parent), (SELECT count(*) FROM soft_delete.check() WHERE relation IS NOT NULL)});
}
my $tmp = PostgreSQL::Test::Utils::tempdir();
my %dumps = (
	plain => [ [ 'pg_dump', '-f', "$tmp/plain", 'postgres' ], [ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-d', 'copy', '-f', "$tmp/plain" ] ],
	custom => [ [ 'pg_dump', '-Fc', '-f', "$tmp/custom", 'postgres' ], [ 'pg_restore', '-e', '-d', 'copy', "$tmp/custom" ] ],
	directory => [ [ 'pg_dump', '-Fd', '-f', "$tmp/directory", 'postgres' ], [ 'pg_restore', '-j2', '-e', '-d', 'copy', "$tmp/directory" ] ],
	tar => [ [ 'pg_dump', '-Ft', '-f', "$tmp/tar", 'postgres' ], [ 'pg_restore', '-1', '-d', 'copy', "$tmp/tar" ] ]);
foreach my $format (sort keys %dumps)
{
	my ($dump, $restore) = @{ $dumps{$format} };
	$node->safe_psql('postgres', 'CREATE DATABASE copy');
	command_ok($dump, "$format: is dumped");
	command_ok($restore, "$format: is restored");
	is(state_of('copy'), state_of('postgres'), "$format: has all that was deleted, and no problem");
	is(answer($node, 'copy', 'DELETE FROM parent WHERE id = 11; SELECT count(*) FROM parent_deleted WHERE id = 11'), '1', "$format: and goes on");
	is(answer($node, 'copy', q{SELECT count(*) > 0 FROM soft_delete.undo((SELECT deleted_at FROM child_deleted WHERE id = 1)); SELECT count(*) FROM child WHERE id = 1}), "t\n1", "$format: and back");
	is(answer($node, 'copy', q{DROP TABLE child, parent, part; SELECT count(*) FROM pg_class WHERE relname ~ '^(parent|child|part)_(deleted|tombstones)'}), '0', "$format: nothing is left of dropped tables");
	$node->safe_psql('postgres', 'DROP DATABASE copy');
}
# over what is there already
$node->safe_psql('postgres', 'CREATE DATABASE copy');
command_ok([ 'pg_restore', '-d', 'copy', "$tmp/custom" ], 'restored');
command_ok([ 'pg_restore', '--clean', '--if-exists', '-d', 'copy', "$tmp/custom" ], 'restored over it');
is(state_of('copy'), state_of('postgres'), 'is the same');

# a standby has it
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', 'DELETE FROM parent WHERE id = 12');
$node->wait_for_catchup($standby);
is(answer($standby, 'postgres', 'SELECT id, deleted_by IS NOT NULL FROM parent_deleted WHERE id = 12; DELETE FROM parent'), "12|t\nERROR:  cannot execute DELETE in a read-only transaction", 'a standby lists what was deleted');
$standby->stop;

# who decodes sees a DELETE, and an INSERT on restore
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('aside', 'test_decoding');
	DELETE FROM parent WHERE id = 13; UPDATE parent_deleted SET deleted_at = NULL WHERE id = 13});
is($node->safe_psql('postgres', q{SELECT string_agg(regexp_replace(data, '^table public.parent: (\w+): .*', '\1'), ' ')
	FROM pg_logical_slot_get_changes('aside', NULL, NULL) WHERE data ~ '^table public.parent:'}), 'DELETE INSERT', 'a subscriber of the table is told of a DELETE and an INSERT');
is($node->safe_psql('postgres', q{ALTER TABLE parent_tombstones REPLICA IDENTITY FULL; CREATE PUBLICATION p FOR TABLE parent_tombstones; UPDATE parent_deleted SET deleted_at = NULL WHERE id = 12; SELECT count(*) FROM parent WHERE id = 12}), '1', 'a companion can be published');

# a crash leaves both or none
$node->safe_psql('postgres', 'DELETE FROM parent WHERE id = 14');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM parent WHERE id = 14), (SELECT count(*) FROM parent_deleted WHERE id = 14)'), '0|1', 'what was committed is kept');
unlike(slurp_file($node->logfile), qr/reference leak|PANIC|TRAP/, 'no reference has leaked');
done_testing();
