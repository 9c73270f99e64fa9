# What the tests of this folder share: a server with three databases that have the same
# tables and rows, of which one deletes hard, and a record of what was found.
package Neighbours;

use strict;
use warnings;
use Exporter 'import';
use FindBin;
use lib "$FindBin::RealBin/../t";
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

our @EXPORT = (qw(start_shops make_shop major tool same found has_all run_tool live bins), @SoftDelete::EXPORT);

# the databases, and the storage of each
our @shops = ('plain', 'in_place', 'aside');
my $node;
my ($tool, $version);

my $tables = q{
	CREATE TABLE customers (id integer PRIMARY KEY, email text UNIQUE, name text);
	CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers ON DELETE CASCADE, total numeric, note text)};
my $rows = q{
	INSERT INTO customers SELECT g, g || '@example.org', 'customer ' || g FROM generate_series(1, 50) AS g;
	INSERT INTO orders SELECT g, (g - 1) % 50 + 1, g * 10, 'order ' || g FROM generate_series(1, 200) AS g;
	DELETE FROM customers WHERE id <= 10;
	DELETE FROM orders WHERE id % 10 = 0;
	INSERT INTO customers VALUES (1, '1@example.org', 'somebody else')};

# start_shops CONF: starts a server with the three databases
sub start_shops
{
	my ($conf) = @_;
	$node = start_node('shops', allows_streaming => 'logical', conf => $conf // '');
	($ENV{PGHOST}, $ENV{PGPORT}) = ($node->host, $node->port);
	allow_plugins();
	make_shop($_, $_) foreach @shops;
	return $node;
}

# allow_plugins: lets all output plugins run, of which newer minor versions have a list
sub allow_plugins
{
	my $allowed = $node->safe_psql('postgres', q{SELECT setting FROM pg_settings WHERE name = 'output_plugin_libraries'});
	return if $allowed eq '';
	$node->append_conf('postgresql.conf', "output_plugin_libraries = '$allowed, wal2json, decoderbufs, pglogical_output, pg_squeeze, test_decoding'");
	$node->reload;
	$node->poll_query_until('postgres', q{SELECT setting ~ 'wal2json' FROM pg_settings WHERE name = 'output_plugin_libraries'}) or die;
	return;
}

# make_shop DATABASE, STORAGE [SQL]: makes a database with tables of that storage; the SQL stands for what fills them
sub make_shop
{
	my ($database, $storage, $sql) = @_;
	$sql //= $rows;
	my $tag = $storage eq 'plain' ? '' : "CREATE EXTENSION soft_delete; SELECT soft_delete.tag('customers', cascade => true, storage => '$storage');";
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	return $node->safe_psql($database, "SET client_min_messages = warning; $tables; $tag $sql");
}

# major: of the server
sub major { return $node->pg_version->major }

# tool NAME, PACKAGE: begins with a tool, MAJOR in the name of its package stands for that of the server; false, and
# a test that is skipped, if the package is not there
sub tool
{
	my ($name, $package) = @_;
	my $major = major();
	$package =~ s/MAJOR/$major/;
	my ($installed) = run_command([ 'dpkg-query', '-W', '-f', '${Status} ${Version}', $package ]);
	($version) = $installed =~ /ok installed (?:\d+:)?([^-+~ ]+)/;
	$tool = $name;
	return 1 if defined $version;
	SKIP: { skip("$name: package $package is not installed", 1) }
	return 0;
}

# found STORAGE, CHECKED, VERDICT, GOT, EXPECTED: a test, of which the table of compatibility tells if it is passed; EXPECTED is a text or a pattern
sub found
{
	my ($storage, $checked, $verdict, $got, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $name = "$tool, $storage: $checked";
	my $is_passed = ref $expected ? like($got, $expected, $name) : is($got, $expected, $name);
	append_to_file($ENV{NEIGHBOURS_REPORT}, join("\t", $tool, $version, $storage, $checked, $verdict) . "\n") if $is_passed && $ENV{NEIGHBOURS_REPORT};
	return $is_passed;
}

# same CHECKED, CODE: the code, called with the name of a database, returns for each storage what it returns for the plain one
sub same
{
	my ($checked, $code) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $expected = $code->('plain');
	isnt($expected, '', "$tool: $checked, there is an answer");
	unlike($expected, qr/ERROR|FATAL/, "$tool: $checked, a plain table has it");
	return found('in_place', $checked, 'as a plain table', $code->('in_place'), $expected)
		& found('aside', $checked, 'as a plain table', $code->('aside'), $expected);
}

# live DATABASE: its live rows
sub live
{
	my ($database) = @_;
	return $node->safe_psql($database, 'SELECT id, email, name FROM customers ORDER BY id; SELECT id, customer_id, total, note FROM orders ORDER BY id');
}

# bins DATABASE: its deleted rows, and what check() finds
sub bins
{
	my ($database) = @_;
	return answer($node, $database, q{
		SELECT id, email, name, deleted_at FROM customers_deleted ORDER BY id; SELECT id, customer_id, total, note, deleted_at FROM orders_deleted ORDER BY id;
		SELECT count(*) FROM soft_delete.check() WHERE relation IS NOT NULL});
}

# has_all STORAGE, CHECKED, BINS: the live rows are those of the plain database, and the deleted ones those of before
sub has_all
{
	my ($storage, $checked, $bins) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return found($storage, $checked, 'as a plain table, no deleted row is lost', live($storage) . "\n" . bins($storage), live('plain') . "\n" . $bins);
}

# run_tool COMMAND, ARGUMENT...: its exit status, and what it prints, in one text
sub run_tool
{
	my $output = '';
	IPC::Run::run([@_], '>&', \$output, '<', \undef, IPC::Run::timeout(120));
	my $status = $? >> 8;
	note("exit $status\n$output");
	return "exit $status\n$output";
}

1;
