# What the tests of this folder share.
package SoftDelete;

use strict;
use warnings;
use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw($top start_node answer eventually server_processes kill_server same_lines);

# the repository
our $top = "$FindBin::RealBin/../..";

# start_node NAME, OPTION...: starts a server whose sessions load the library; conf =>
# settings, and what init() knows
sub start_node
{
	my ($name, %options) = @_;
	my $conf = delete $options{conf} // '';
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(%options);
	$node->append_conf('postgresql.conf', "session_preload_libraries = 'soft_delete'\n$conf");
	$node->start;
	return $node;
}

# answer NODE, DATABASE, SQL, OPTION...: what a session returns up to the first error, and
# that without its place; options are those of psql()
sub answer
{
	my ($node, $database, $sql, %options) = @_;
	my (undef, $stdout, $stderr) = $node->psql($database, $sql, %options);
	$stderr =~ s/^psql:[^ ]*: //mg;
	return join("\n", grep { $_ ne '' } $stdout, $stderr);
}

# eventually SECONDS, CODE: waits until the code returns true
sub eventually
{
	my ($seconds, $code) = @_;
	foreach (1 .. $seconds * 10)
	{
		return 1 if $code->();
		usleep(100_000);
	}
	return 0;
}

# server_processes NODE: its children, each pid with its title; those that no view of the server shows too
sub server_processes
{
	my ($node) = @_;
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my %title;
	foreach my $directory (glob('/proc/[0-9]*'))
	{
		open(my $stat, '<', "$directory/stat") or next;
		my ($pid, $parent) = (<$stat> // '') =~ /^(\d+) \(.*\) \S (\d+)/;
		next if !defined $parent || $parent != $postmaster;
		open(my $cmdline, '<', "$directory/cmdline") or next;
		$title{$pid} = <$cmdline> // '';
	}
	return %title;
}

# kill_server NODE: kills the postmaster with SIGKILL, then its children
sub kill_server
{
	my ($node) = @_;
	my $lock = $node->data_dir . '/postmaster.pid';
	my ($postmaster) = slurp_file($lock) =~ /^(\d+)/;
	my %title = server_processes($node);
	my @children = keys %title;
	$node->kill9;
	kill('KILL', @children);
	foreach my $pid ($postmaster, @children)
	{
		usleep(10_000) while -e "/proc/$pid" && slurp_file("/proc/$pid/stat") !~ /\) Z/;
	}
	# init may be slow to bury the postmaster, and until then its lock file counts
	for (1 .. 500) { usleep(10_000) if -e "/proc/$postmaster" }
	unlink $lock if -e "/proc/$postmaster";
	return;
}

# same_lines GOT, EXPECTED, NAME: compares long texts, and shows only what differs
sub same_lines
{
	my ($got, $expected, $name) = @_;
	my $tmp = PostgreSQL::Test::Utils::tempdir();
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return 1 if ok($got eq $expected, $name);
	append_to_file("$tmp/expected", "$expected\n");
	append_to_file("$tmp/got", "$got\n");
	my ($differences) = run_command([ 'diff', '-U', '0', "$tmp/expected", "$tmp/got" ]);
	diag(join("\n", grep { defined } (split(/\n/, $differences))[ 0 .. 39 ]));
	return 0;
}

1;
