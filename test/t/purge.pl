# A purge that is broken off, by a cancel or by kill -9 of the server, has lost
# nothing and left no orphan; the next one goes on.  The worker purges no standby,
# until that is promoted.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $rows = 3000;
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', q{
shared_preload_libraries = 'soft_delete'
restart_after_crash = off
soft_delete.keep_ledger = 0
});
$primary->start;
$primary->safe_psql('postgres', qq{
	CREATE EXTENSION soft_delete;
	CREATE TABLE parent (id integer PRIMARY KEY);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
	CREATE INDEX ON child (parent_id);
	SELECT soft_delete.tag('parent', cascade => true);
	INSERT INTO parent SELECT generate_series(1, $rows + 10);
	INSERT INTO child SELECT g, g FROM generate_series(1, $rows + 10) g;
	DELETE FROM parent WHERE id <= $rows;
	SELECT soft_delete.retain('parent', '0');
});

# counts NODE: deleted children, deleted parents, errors of check() that are about rows
sub counts
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM child_deleted), (SELECT count(*) FROM parent_deleted),
		(SELECT count(*) FROM soft_delete.check() WHERE problem ~ 'rows reference')});
}

# begin_purge TABLE: a purge that pauses for long after each batch; returns when one is committed
sub begin_purge
{
	my ($table) = @_;
	my $left = $primary->safe_psql('postgres', "SELECT count(*) FROM ${table}_deleted");
	my $purge = start([ 'psql', '-qX', '-d', $primary->connstr('postgres'), '-c', "CALL soft_delete.purge(batch_size => 100, pause => '0.1 s')" ],
		'>', \my $out, '2>', \my $errors);
	$primary->poll_query_until('postgres', "SELECT count(*) < $left FROM ${table}_deleted");
	return $purge;
}

# a cancel
my $purge = begin_purge('child');
is($primary->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE query ~ 'soft_delete.purge: [0-9]+ rows of public.child so far|CALL soft_delete.purge' AND pid <> pg_backend_pid()}),
	1, 'pg_stat_activity shows a running purge');
$primary->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ 'soft_delete.purge' AND pid <> pg_backend_pid()});
$purge->finish;
my ($children, $parents, $orphans) = split /\|/, counts($primary);
ok($children < $rows && $children > 0, 'a cancelled purge has done what it had committed');
is("$parents|$orphans", "$rows|0", 'and left no orphan');
is($primary->safe_psql('postgres', "SELECT rows, error FROM soft_delete.purge_log"), $rows - $children . '|not finished', 'as the log says');

# kill -9, amid children and amid parents
foreach my $table ('child', 'parent')
{
	$purge = begin_purge($table);
	kill_server($primary);
	eval { $purge->finish };
	$primary->start;
	my ($children_left, $parents_left, $orphans_left) = split /\|/, counts($primary);
	ok($table eq 'child' ? $children_left < $children && $parents_left == $rows : $children_left == 0 && $parents_left < $rows,
		"after a crash amid the purge of table $table the rest is there") or diag("$children_left|$parents_left");
	is($orphans_left, 0, 'and no orphan');
}
$primary->safe_psql('postgres', 'CALL soft_delete.purge()');
is(counts($primary), '0|0|0', 'the next purge goes on');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM soft_delete_internal.ledger'), 0, 'and the ledger forgets what the crashes had left there');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM child'), 10, 'live rows are there');

# a standby is not purged, until it is promoted
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', q{
soft_delete.purge_databases = 'postgres'
soft_delete.purge_interval = 1
});
$standby->start;
$primary->safe_psql('postgres', 'DELETE FROM parent');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'soft_delete'}), 0, 'no launcher on a standby');
is($standby->safe_psql('postgres', q{SELECT member, rows FROM soft_delete.preview_purge()}), "child|10\nparent|10", 'where a dry run can be made');
$primary->stop;
$standby->promote;
ok($standby->poll_query_until('postgres', 'SELECT count(*) = 0 FROM parent_deleted'), 'promoted, it is purged');
is(counts($standby), '0|0|0', 'with the children');
$standby->stop;
unlike(slurp_file($standby->logfile), qr/PANIC|TRAP|exited with exit code 1.*soft_delete purge of/, 'and stops cleanly');

done_testing();
