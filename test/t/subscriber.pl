# Logical replication: to a subscriber a deletion is an UPDATE of the tombstone
# column and a purge is a DELETE, whether its table is tagged or not.  Where deleted rows are
# kept aside, a deletion is a DELETE and a restore is an INSERT.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $publisher = start_node('publisher', allows_streaming => 'logical', conf => 'logical_decoding_work_mem = 64kB');
my $subscriber = start_node('subscriber', allows_streaming => 'logical');
$subscriber->safe_psql('postgres', 'CREATE DATABASE plain');

my $tables = q{
	CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE, note text);
	CREATE TABLE away (id integer PRIMARY KEY, note text);
};
my $tag = q{CREATE EXTENSION soft_delete; SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('away', storage => 'aside')};
$publisher->safe_psql('postgres', "$tables; $tag");
$subscriber->safe_psql('postgres', "$tables; $tag");
# without the extension, a table has the tombstone column as any other
$subscriber->safe_psql('plain', "$tables; ALTER TABLE parent ADD deleted_at timestamptz; ALTER TABLE child ADD deleted_at timestamptz; ALTER TABLE parent DROP CONSTRAINT parent_code_key");

$publisher->safe_psql('postgres', q{
	INSERT INTO parent SELECT g, 'code ' || g FROM generate_series(1, 9) g;
	INSERT INTO child SELECT g, g FROM generate_series(1, 9) g;
	DELETE FROM parent WHERE id < 3;
	INSERT INTO away SELECT g, 'note ' || g FROM generate_series(1, 3) g;
	DELETE FROM away WHERE id = 3;
	CREATE PUBLICATION tables FOR TABLE parent, child, away;
});

my $version = $subscriber->safe_psql('postgres', 'SHOW server_version_num');
my $streaming = $version >= 160000 ? 'parallel' : 'on';
foreach my $database ('plain', 'postgres')
{
	my $connection = $publisher->connstr('postgres');
	$subscriber->safe_psql($database, "CREATE SUBSCRIPTION $database CONNECTION \$\$$connection\$\$ PUBLICATION tables WITH (streaming = $streaming)");
}

# catch_up: waits until both subscriptions have applied everything
sub catch_up
{
	$publisher->wait_for_catchup($_) foreach ('plain', 'postgres');
}

# rows_are NAME: compares every row of both subscribers with the publisher's
sub rows_are
{
	my ($name) = @_;
	my $all = q{
		SELECT 'parent', id, code, deleted_at FROM parent %1$s ORDER BY id, deleted_at;
		SELECT 'child', id, parent_id, note, deleted_at FROM child %1$s ORDER BY id, deleted_at};
	my $tagged = $all =~ s/%1\$s/TABLESAMPLE soft_delete.rows('all')/gr;
	my $plain = $all =~ s/%1\$s//gr;

	catch_up();
	my $rows = $publisher->safe_psql('postgres', $tagged);
	is($subscriber->safe_psql('plain', $plain), $rows, "$name, to a plain table");
	is($subscriber->safe_psql('postgres', $tagged), $rows, "$name, to a tagged table");
}

$subscriber->wait_for_subscription_sync($publisher, $_, $_) foreach ('plain', 'postgres');
rows_are('deleted rows are copied at first');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM parent; SELECT count(*) FROM parent_deleted; SELECT count(*) FROM child_deleted'),
	"7\n2\n2", 'the tagged subscriber hides them, and its bin lists them');

$publisher->safe_psql('postgres', 'DELETE FROM parent WHERE id = 3');
rows_are('a deletion and its cascade arrive as updates');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM parent; SELECT count(*) FROM parent_deleted; SELECT count(*) FROM child_deleted'),
	"6\n3\n3", 'the tagged subscriber has deleted them');

$publisher->safe_psql('postgres', 'UPDATE parent_deleted SET deleted_at = NULL WHERE id = 3');
rows_are('a restore arrives');
$publisher->safe_psql('postgres', q{
	BEGIN; DELETE FROM parent WHERE id = 4; SAVEPOINT s; DELETE FROM parent WHERE id = 5; ROLLBACK TO s; COMMIT;
	BEGIN; DELETE FROM parent; ROLLBACK});
rows_are('what is rolled back does not arrive');
$publisher->safe_psql('postgres', 'DELETE FROM parent_deleted WHERE id = 4');
rows_are('a purge arrives as deletes');
is($subscriber->safe_psql('plain', 'SELECT count(*) FROM child WHERE id = 4'), 0, 'the purged rows are gone');

$publisher->safe_psql('postgres', q{
	INSERT INTO parent VALUES (1, 'code 1');
	INSERT INTO parent VALUES (2, 'new') ON CONFLICT (id) DO UPDATE SET code = 'conflict';
	UPDATE child SET id = 2 WHERE id = 9});
rows_are('new rows take the keys of deleted ones');

$publisher->safe_psql('postgres', q{
	INSERT INTO parent SELECT g, 'bulk ' || g FROM generate_series(1001, 4000) g;
	INSERT INTO child SELECT g, g, repeat('x', 100) FROM generate_series(1001, 4000) g});
catch_up();
my $streamed = q{SELECT stream_txns FROM pg_stat_replication_slots WHERE slot_name = 'postgres'};
my $before = $publisher->safe_psql('postgres', $streamed);
$publisher->safe_psql('postgres', 'DELETE FROM parent WHERE id > 1000');
rows_are('a bulk deletion arrives');
ok($publisher->poll_query_until('postgres', "$streamed AND stream_txns > $before", $before + 1), 'it was streamed while it ran');
$publisher->safe_psql('postgres', 'DELETE FROM parent_deleted WHERE id > 1000');
rows_are('a bulk purge arrives');

# of a table whose deleted rows are aside, subscribers have the live ones
foreach my $step ([ 'DELETE FROM away WHERE id < 3', '', 'a deletion aside is a DELETE' ], [ 'SELECT soft_delete.undo(deleted_at) FROM away_deleted WHERE id = 1', "1|note 1\n2|note 2", 'its restore is an INSERT' ],
	[ 'DELETE FROM away_deleted', "1|note 1\n2|note 2", 'a purge is nothing' ])
{
	$publisher->safe_psql('postgres', $step->[0]);
	catch_up();
	is($subscriber->safe_psql($_, 'SELECT * FROM away ORDER BY id'), $step->[1], "$step->[2], to database $_") foreach ('plain', 'postgres');
}

# the tagged subscriber is an ordinary tagged database
is($subscriber->safe_psql('postgres', 'SELECT * FROM soft_delete.check()'), '', 'check() finds nothing');
$subscriber->safe_psql('postgres', 'DELETE FROM parent WHERE id = 8');
is($subscriber->safe_psql('postgres', 'SELECT id FROM child_deleted WHERE id = 8'), 8, 'deletes of its own are soft');
is($subscriber->safe_psql('postgres', 'SELECT soft_delete.undo(max(deleted_at)) FROM parent_deleted'), 2, 'and undone');
rows_are('the subscriber is as the publisher');

# rows are published whole
$subscriber->safe_psql('postgres', 'DELETE FROM parent WHERE id = 8');
$publisher->safe_psql('postgres', q{UPDATE parent SET code = 'news' WHERE id = 8});
catch_up();
is($subscriber->safe_psql('postgres', 'SELECT code FROM parent WHERE id = 8; SELECT id FROM child_deleted WHERE id = 8'), "news\n8",
	'what the publisher updates is live again');
$subscriber->safe_psql('postgres', 'UPDATE child_deleted SET deleted_at = NULL WHERE id = 8');
rows_are('the subscriber is as the publisher again');

# where the trigger fires for what is published, too, the rows that are restored and purged are found
$subscriber->safe_psql('postgres', 'ALTER TABLE parent ENABLE ALWAYS TRIGGER "~soft_delete_key"');
$publisher->safe_psql('postgres', $_)
	foreach (q{INSERT INTO parent VALUES (50, 'code 50'), (51, 'code 51')}, 'DELETE FROM parent WHERE id IN (50, 51)', 'UPDATE parent_deleted SET deleted_at = NULL WHERE id = 50', 'DELETE FROM parent_deleted WHERE id = 51');
rows_are('what is deleted is found by a restore and by a purge');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM parent WHERE id = 50; SELECT count(*) FROM parent_deleted WHERE id IN (50, 51)'), "1\n0", 'it is not aside');

# who may write to all tables, and owns a subscription, writes to no record: from PostgreSQL 16 on it
# applies changes with the rights of its owner, and fires no trigger for statements
if ($version >= 160000)
{
	my @records = qw(ledger events holds retention purge_log tagged_schemas set_null_references truncations erasures lifted_holds);
	# there are few workers
	$subscriber->safe_psql($_, "ALTER SUBSCRIPTION $_ DISABLE") foreach ('plain', 'postgres');
	my $rows = join('; ', map { "SELECT '$_', count(*) FROM soft_delete_internal.$_" } @records);

	$publisher->safe_psql('postgres', 'CREATE DATABASE forger');
	$publisher->safe_psql('forger', q{CREATE SCHEMA soft_delete_internal; CREATE PUBLICATION records FOR ALL TABLES});
	foreach my $record (@records)
	{
		my $columns = $subscriber->safe_psql('postgres', "SELECT string_agg(format('%I %s', attname, CASE atttypid WHEN 'regclass'::regtype THEN 'text' ELSE format_type(atttypid, atttypmod) END), ', ')
			FROM pg_attribute WHERE attrelid = 'soft_delete_internal.$record'::regclass AND attnum > 0 AND NOT attisdropped");
		$publisher->safe_psql('forger', "CREATE TABLE soft_delete_internal.$record ($columns); ALTER TABLE soft_delete_internal.$record REPLICA IDENTITY FULL");
	}
	$subscriber->safe_psql('postgres', sprintf(q{
		CREATE ROLE eve LOGIN; GRANT pg_read_all_data, pg_write_all_data TO eve; GRANT CREATE ON DATABASE postgres TO eve;
		CREATE SUBSCRIPTION records CONNECTION $$%s$$ PUBLICATION records WITH (copy_data = false, run_as_owner = true, password_required = false);
		ALTER SUBSCRIPTION records DISABLE; ALTER SUBSCRIPTION records OWNER TO eve}, $publisher->connstr('forger')));
	my $before = $subscriber->safe_psql('postgres', $rows);
	my $log = -s $subscriber->logfile;
	$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION records ENABLE');
	$publisher->safe_psql('forger', q{INSERT INTO soft_delete_internal.ledger VALUES ('2020-01-01', '9', 'nobody', 'nobody', NULL, NULL, 'forged', 10, 'public.parent')});
	foreach (1 .. 300)
	{
		last if slurp_file($subscriber->logfile, $log) =~ /permission denied for table ledger/ || $subscriber->safe_psql('postgres', $rows) ne $before;
		select undef, undef, undef, 0.2;
	}
	like(slurp_file($subscriber->logfile, $log), qr/permission denied for table ledger/, 'what a subscription writes to a record is refused');
	is($subscriber->safe_psql('postgres', $rows), $before, 'a subscription of another role writes to no record');
	$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION records DISABLE; ALTER SUBSCRIPTION records SET (slot_name = NONE); DROP SUBSCRIPTION records');
}

done_testing();
