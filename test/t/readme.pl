# Every SQL block of README.md, and of each file of docs, is run in order, in a database
# of its own.  The errors must be those that the blocks announce as "-- ERROR: ...".  The
# files of docs find something that is deleted and purged; Grafana's macros, and the
# queries of exporters, are run as SQL.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $node = start_node('readme', conf => 'max_prepared_transactions = 10');

# sql_of FILE: its SQL
sub sql_of
{
	my ($file) = @_;
	my ($in_sql, $in_yaml, $in_query) = (0, 0, 0);
	my $sql = '';
	foreach (split(/^/, slurp_file("$top/$file")))
	{
		if (/^```sql$/) { $in_sql = 1; next }
		if (/^```yaml$/) { $in_yaml = 1; next }
		if (/^```$/) { $in_sql = $in_yaml = 0; next }
		if ($in_yaml && /^ *query: \|$/) { $in_query = 1; next }
		if ($in_query && !/^    /) { $in_query = 0; $sql .= ";\n" }
		$sql .= $_ if $in_sql || $in_query;
	}
	$sql =~ s{\$__timeGroupAlias\((\w+), \$__interval\)}{floor(extract(epoch FROM $1) / 300) * 300 AS "time"}g;
	$sql =~ s{\$__timeFilter\((\w+)\)}{$1 BETWEEN now() - interval '1 hour' AND now()}g;
	return $sql;
}

# run_file FILE, DATABASE: runs it, and compares the errors
sub run_file
{
	my ($file, $database) = @_;
	my (undef, undef, $stderr) = $node->psql($database, sql_of($file), on_error_stop => 0);
	my @errors = $stderr =~ /^(?:psql.*)?(ERROR:  .*)$/mg;
	my @announced = slurp_file("$top/$file") =~ /^-- (ERROR:  .*)$/mg;
	is(join("\n", @errors), join("\n", @announced), "$file runs as written");
	return;
}

$node->safe_psql('postgres', 'CREATE DATABASE readme');
run_file('README.md', 'readme');

foreach my $file (sort glob("$top/docs/*.md"))
{
	my ($name) = $file =~ m{([^/]*)\.md$};
	$node->safe_psql('postgres', qq{CREATE DATABASE "$name"});
	$node->safe_psql($name, q{
		SET client_min_messages = warning;
		CREATE EXTENSION soft_delete;
		CREATE TABLE notes (id integer PRIMARY KEY, note text);
		SELECT soft_delete.tag('notes');
		SELECT soft_delete.retain('notes', '0');
		INSERT INTO notes VALUES (1, 'one'), (2, 'two'), (3, 'three');
		DELETE FROM notes WHERE id = 1;
		CALL soft_delete.purge();
		DELETE FROM notes WHERE id = 2});
	run_file("docs/$name.md", $name);
}

# what the monitor is shown, as the role that the file makes for it
my $queries = sql_of('docs/monitoring.md') =~ s/^(?:CREATE|ALTER|GRANT|[^;\n]*check\(\)).*\n//mgr;
my (undef, $shown, $errors) = $node->psql('monitoring', $queries, on_error_stop => 0,
	extra_params => [ '-P', 'format=aligned', '-P', 'tuples_only=off', '-d', $node->connstr('monitoring') . " options='-c role=watcher'" ]);
is($errors, '', 'the monitor may run it');
unlike($shown, qr/\(0 rows\)/, 'every query of it finds something');
like($shown, qr/ soft_delete_deleted_rows\{schema="public",table="notes"\} 1 *$/m, 'OpenMetrics text');

# the table of privileges is what sql/privileges_table.sql prints
my ($chapter) = slurp_file("$top/README.md") =~ /^(## Privileges.*?)^## How/ms;
my @written = $chapter =~ /^(\| [^|].*[a-z`)].*\|)$/mg;
my @tested = slurp_file("$top/expected/privileges_table.out") =~ /^(\| .*)$/mg;
ok(@tested > 10, 'there is a tested table of privileges');
is(join("\n", @written), join("\n", @tested), 'the privileges are those that are tested');

done_testing();
