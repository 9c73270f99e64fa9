# What the tests of this folder share: a coordinator and two workers, and what a session answers.
package Citus;

use strict;
use warnings;
use Exporter 'import';
use FindBin;
use lib "$FindBin::RealBin/../t";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

our @EXPORT = (qw(start_citus add_database is_refused), @SoftDelete::EXPORT);

my @nodes;

# start_citus: starts a coordinator, which is a node that has shards, and two workers, and returns the three
sub start_citus
{
	@nodes = map { PostgreSQL::Test::Cluster->new($_) } qw(coordinator worker_1 worker_2);
	foreach my $node (@nodes)
	{
		my $host = $node->host;
		$node->init(allows_streaming => 'logical');
		# the library of Citus has to be the first
		$node->append_conf('postgresql.conf', qq{
			shared_preload_libraries = 'citus'
			session_preload_libraries = 'soft_delete'
			citus.local_hostname = '$host'
			citus.node_conninfo = 'sslmode=disable'
			citus.shard_count = 6
			citus.background_task_queue_interval = 100
			max_connections = 100
			max_prepared_transactions = 100
			max_worker_processes = 30
			fsync = off});
		$node->start;
		# newer minor versions of the server have a list of output plugins
		my $allowed = $node->safe_psql('postgres', q{SELECT setting FROM pg_settings WHERE name = 'output_plugin_libraries'});
		next if $allowed eq '';
		$node->append_conf('postgresql.conf', "output_plugin_libraries = '$allowed, citus, citus_pgoutput'");
		$node->reload;
	}
	note($nodes[0]->safe_psql('postgres', 'SELECT version()'));
	return @nodes;
}

# add_database NAME: makes a database with Citus on all nodes
sub add_database
{
	my ($database) = @_;
	my ($coordinator, @workers) = @nodes;
	foreach my $node (@nodes)
	{
		$node->safe_psql('postgres', "SET citus.enable_create_database_propagation = off; CREATE DATABASE $database");
		$node->safe_psql($database, 'SET client_min_messages = error; CREATE EXTENSION citus');
	}
	$coordinator->safe_psql($database, sprintf("SELECT citus_set_coordinator_host('%s', %d)", $coordinator->host, $coordinator->port));
	$coordinator->safe_psql($database, sprintf("SELECT citus_add_node('%s', %d)", $_->host, $_->port)) foreach @workers;
	$coordinator->safe_psql($database, sprintf("SELECT citus_set_node_property('%s', %d, 'shouldhaveshards', true)", $coordinator->host, $coordinator->port));
	# of an older Citus the access method is part
	$coordinator->psql($database, 'CREATE EXTENSION citus_columnar');
	note('Citus ' . $coordinator->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'citus'}));
	return;
}

# is_refused DATABASE, NAME, SQL, PATTERN, STATE: the SQL fails, with an error like that, and the query STATE returns after it what it did before
sub is_refused
{
	my ($database, $name, $sql, $pattern, $state) = @_;
	my $before = answer($nodes[0], $database, $state);
	my $answer = answer($nodes[0], $database, $sql);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($answer, $pattern, $name);
	is(answer($nodes[0], $database, $state), $before, "$name: nothing has changed");
	return;
}

1;
