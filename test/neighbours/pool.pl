# Behind a pooler in transaction mode: whose deletion it was, by each way to say it.
# packages: pgbouncer
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Neighbours;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_shops();
my $tmp = PostgreSQL::Test::Utils::tempdir_short();
if (!tool('PgBouncer', 'pgbouncer'))
{
	done_testing();
	exit;
}

my $port = PostgreSQL::Test::Cluster::get_free_port();
my ($host, $server_port) = ($node->host, $node->port);
my $user = $node->safe_psql('postgres', 'SELECT current_user');
append_to_file("$tmp/users", qq{"$user" ""\n});
append_to_file("$tmp/ini", qq{[databases]
* = host=$host port=$server_port
[pgbouncer]
listen_addr =
unix_socket_dir = $tmp
listen_port = $port
auth_type = any
auth_file = $tmp/users
admin_users = $user
pool_mode = transaction
default_pool_size = 1
min_pool_size = 0
logfile = $tmp/log
pidfile = $tmp/pid
});
# any: every client is this user
my ($ini) = slurp_file("$tmp/ini");
$ini =~ s/^\* = /* = user=$user /m;
unlink("$tmp/ini");
append_to_file("$tmp/ini", $ini);
my $pgbouncer = IPC::Run::start([ 'pgbouncer', '-q', "$tmp/ini" ], '<', \undef, '>&', "$tmp/output");
ok(eventually(20, sub { -S "$tmp/.s.PGSQL.$port" }), 'the pooler runs') or diag(slurp_file("$tmp/output"));

# client DATABASE, NAME: a session through the pooler, and one more to read what it left
sub client
{
	my ($database, $name, $sql) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', "host=$tmp port=$port dbname=$database user=$user application_name=$name", '-c', $sql ], '<', \undef, '>', \$out, '2>', \$err);
	note($err) if $err ne '';
	return $out . $err;
}

# actor_of DATABASE, ID: what the ledger has of that row
sub actor_of
{
	my ($database, $id) = @_;
	return $node->safe_psql($database, "SELECT coalesce(actor, 'nobody') FROM orders_deleted WHERE id = $id");
}

foreach my $database ('in_place', 'aside')
{
	client($database, 'anna', q{BEGIN; SET LOCAL soft_delete.actor = 'anna'; DELETE FROM orders WHERE id = 121; COMMIT});
	client($database, 'bert', 'DELETE FROM orders WHERE id = 122');
	found($database, 'SET LOCAL soft_delete.actor', 'names the client, and nobody afterwards', actor_of($database, 121) . ', ' . actor_of($database, 122), 'anna, nobody');

	client($database, 'anna', q{SET soft_delete.actor = 'anna'});
	client($database, 'bert', 'DELETE FROM orders WHERE id = 123');
	found($database, 'SET soft_delete.actor', '**names the wrong client**: use SET LOCAL', actor_of($database, 123), 'anna');
	client($database, 'anna', 'RESET soft_delete.actor');

	$node->safe_psql('postgres', "ALTER DATABASE $database SET soft_delete.actor_from = 'application_name'");
	client('pgbouncer', 'x', 'RECONNECT');
	client($database, 'anna', 'DELETE FROM orders WHERE id = 124');
	client($database, 'bert', 'DELETE FROM orders WHERE id = 125');
	found($database, q{soft_delete.actor_from = 'application_name'}, 'names each client', actor_of($database, 124) . ', ' . actor_of($database, 125), 'anna, bert');

	$node->safe_psql('postgres', "ALTER DATABASE $database SET soft_delete.actor_from = 'request.jwt.claims->>sub'");
	client('pgbouncer', 'x', 'RECONNECT');
	client($database, 'rest', q{BEGIN; SELECT set_config('request.jwt.claims', '{"sub": "carla", "role": "web"}', true); DELETE FROM orders WHERE id = 126; COMMIT});
	client($database, 'rest', 'DELETE FROM orders WHERE id = 127');
	found($database, q{soft_delete.actor_from = 'request.jwt.claims->>sub'}, 'names the user of the request, and nobody afterwards', actor_of($database, 126) . ', ' . actor_of($database, 127), 'carla, nobody');
}
$pgbouncer->kill_kill;

done_testing();
