# The library exports what the server looks up by name, and nothing else: neither does
# another library replace a function of ours, nor we one of another's.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('symbols');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION soft_delete');

my $functions = $node->safe_psql('postgres', q{SELECT DISTINCT prosrc FROM pg_proc JOIN pg_language ON pg_language.oid = prolang
	JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'
	JOIN pg_extension ON refclassid = 'pg_extension'::regclass AND refobjid = pg_extension.oid
	WHERE lanname = 'c' AND extname = 'soft_delete'});
# and the background workers
my @expected = sort qw(_PG_init Pg_magic_func soft_delete_launch_purges soft_delete_purge_database),
	map { ($_, "pg_finfo_$_") } split /\n/, $functions;

my $directory = $node->config_data('--pkglibdir');
my ($output, $errors) = run_command([ 'nm', '-D', '--defined-only', "$directory/soft_delete.so" ]);
my @exported = sort map { (split)[2] } split /\n/, $output;
is_deeply(\@exported, \@expected, 'the library exports what the server calls');

done_testing();
