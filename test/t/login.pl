# From PostgreSQL 17 on the login event trigger loads the library: no session
# sees deleted rows though no setting preloads it, on a standby neither.  Where
# the library is gone nobody is let in to see them, but a superuser who says so.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->start;
plan skip_all => 'login event triggers came with PostgreSQL 17'
	if $node->safe_psql('postgres', 'SHOW server_version_num') < 170000;

$node->safe_psql('postgres', q{
	CREATE ROLE app LOGIN;
	CREATE EXTENSION soft_delete;
	CREATE TABLE t (id integer PRIMARY KEY);
	GRANT SELECT, DELETE ON t TO app;
	INSERT INTO t VALUES (1), (2), (3);
	SELECT soft_delete.tag('t');
	DELETE FROM t WHERE id = 1});
$node->backup('backup');

my $count = 'SELECT count(*) FROM t';
is($node->safe_psql('postgres', $count), 2, 'a new session of a superuser hides deleted rows');
is($node->safe_psql('postgres', $count, extra_params => [ '-U', 'app' ]), 2, 'and one of an ordinary role');
is($node->safe_psql('postgres', "SET session_replication_role = replica; SHOW session_replication_role; $count"), "replica\n2", 'and one that fires no triggers later');
is($node->safe_psql('postgres', 'DELETE FROM t WHERE id = 2; SELECT count(*) FROM t TABLESAMPLE soft_delete.rows(\'all\')'), 3, 'deletes are soft');
is($node->safe_psql('postgres', 'SELECT * FROM soft_delete.check()'), '', 'check() finds nothing');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', $count, extra_params => [ '-U', 'app' ]), 1, 'a new session on a standby hides deleted rows');

# as if the library's file were gone
$node->safe_psql('postgres', q{UPDATE pg_proc SET probin = '$libdir/soft_delete_is_gone' WHERE pronamespace IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace) AND probin IS NOT NULL});
my $connection = $node->connstr('postgres');
$node->connect_fails("$connection user=app", 'without the library an ordinary role is not let in',
	expected_stderr => qr/could not access file "(\$libdir\/)?soft_delete_is_gone"/);
$node->connect_fails($connection, 'nor a superuser', expected_stderr => qr/could not access file/);
$node->connect_fails("$connection user=app options='-c event_triggers=off'", 'nor an ordinary role that asks for it',
	expected_stderr => qr/permission denied to set parameter "event_triggers"/);
$node->connect_ok("$connection options='-c event_triggers=off'", 'a superuser who asks for it is');
$node->connect_ok($node->connstr('template1'), 'and everybody into other databases');

# dropped with the extension
$node->safe_psql('postgres', q{UPDATE pg_proc SET probin = '$libdir/soft_delete' WHERE probin = '$libdir/soft_delete_is_gone';
	SELECT soft_delete.untag('t', tombstones => 'purge'); DROP EXTENSION soft_delete}, extra_params => [ '-d', "$connection options='-c event_triggers=off'" ]);
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_event_trigger'), 0, 'DROP EXTENSION takes the event triggers along');
$node->connect_ok("$connection user=app", 'and sessions begin without it');

done_testing();
