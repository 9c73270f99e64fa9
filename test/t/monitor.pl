# The dashboard and the alerts of docs/: every query runs as a role that is a monitor and no
# more, and finds something where there is something to be found.
#
# The rules are evaluated as SQL upon the figures of now and of an hour ago.  Where there is
# promtool, Prometheus itself does the same.
use strict;
use warnings;
use CPAN::Meta::YAML;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my %macros = (
	timeFilter => sub { "$_[0] BETWEEN now() - interval '30 days' AND now()" },
	timeFrom => sub { "to_char(now() - interval '30 days', 'YYYY-MM-DD\"T\"HH24:MI:SSOF')" });

# queries_of PANEL...: { title, sql } of each query of the panels and of those in their rows
sub queries_of
{
	return map {
		my $panel = $_;
		((map { { title => $panel->{title}, sql => $_->{rawSql} } } @{ $panel->{targets} // [] }), queries_of(@{ $panel->{panels} // [] }))
	} @_;
}

# sql_of EXPRESSION: the query of the tables for which an expression of a rule holds; its operators are SQL's, or are made so here
sub sql_of
{
	my ($sql) = @_;
	return "SELECT 'none' WHERE NOT EXISTS (SELECT FROM figures_now WHERE name = '$1')" if $sql =~ /^absent\((\w+)\)$/;
	$sql =~ s/\b(soft_delete_\w+)( offset 1h)?\b/sprintf("(SELECT value FROM figures_%s AS figure WHERE name = '$1' AND figure.series = l.series)", $2 ? 'then' : 'now')/ge;
	$sql =~ s/\btime\(\)/extract(epoch FROM pg_catalog.now())/g;
	$sql =~ s/==/=/g;
	return "SELECT series FROM (SELECT DISTINCT series FROM figures_now) AS l WHERE $sql ORDER BY series";
}

# write_figures NODE, FILE, EXPRESSION...: a test for promtool, in which the figures were those of "then" for an hour, and
# are those of "now".  Its clock begins with 1970.
sub write_figures
{
	my ($node, $file, %expected) = @_;
	my $series = $node->safe_psql('postgres', q{
		SELECT format(E'      - series: ''%s%s''\n        values: "%s+0x60 %s"', name, series, shifted[1], shifted[2])
		FROM figures_now LEFT JOIN figures_then USING (name, series), LATERAL (SELECT ARRAY(
			SELECT round((coalesce(v, 0) - CASE WHEN name LIKE '%timestamp_seconds' THEN extract(epoch FROM now()) - 3660 ELSE 0 END)::numeric, 3)
			FROM unnest(ARRAY[figures_then.value, figures_now.value]) WITH ORDINALITY AS u(v, n) ORDER BY n)) AS s(shifted)});
	my $tests = join('', map {
		"      - expr: 'count($_)'\n        eval_time: 61m\n        exp_samples:" . ($expected{$_} ? "\n          - value: $expected{$_}\n" : " []\n") } sort keys %expected);
	append_to_file($file, "rule_files: [$top/docs/alerts.yaml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n$series\n    promql_expr_test:\n$tests");
	return;
}

my $node = start_node('monitor');
$node->safe_psql('postgres', q{
	CREATE EXTENSION soft_delete;
	CREATE ROLE watcher IN ROLE pg_monitor;
	-- the figures of an hour ago, and of now
	CREATE TABLE figures_then (name text, series text, value double precision);
	CREATE TABLE figures_now (LIKE figures_then);
	GRANT ALL ON figures_then, figures_now TO watcher});

# what there is to be found; rows with stamps of one's choice are restored as from a dump
my $figures = q{INSERT INTO figures_%s SELECT name, format('{schema="%%s",table="%%s"}', labels ->> 'schema', labels ->> 'table'), value FROM soft_delete.metrics};
$node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	CREATE TABLE fails (id integer PRIMARY KEY);
	CREATE TABLE overdue (id integer PRIMARY KEY);
	CREATE TABLE held (id integer PRIMARY KEY);
	CREATE TABLE mass (id integer PRIMARY KEY);
	CREATE TABLE quiet (id integer PRIMARY KEY);
	SELECT soft_delete.tag(t), soft_delete.retain(t, '10 days') FROM unnest('{fails,overdue,held,mass,quiet}'::regclass[]) AS t;
	INSERT INTO mass SELECT generate_series(1, 20000);
	INSERT INTO quiet SELECT generate_series(1, 20000);
	DELETE FROM quiet WHERE id <= 10;
	SET row_security = off;
	INSERT INTO overdue VALUES (1, now() - interval '12 days');
	INSERT INTO held VALUES (1, now() - interval '12 days');
	INSERT INTO fails VALUES (1, now() - interval '20 days');
	RESET row_security;
	SELECT soft_delete.hold('held', 'case 4711');
	VACUUM ANALYZE});
$node->safe_psql('postgres', q{INSERT INTO soft_delete_internal.purge_log (relation, purged_at, purged_by, rows, duration, error, owner, roleid)
	SELECT 'public.fails', now(), 'owner', 0, '1s', 'not this one: 4711', relowner::regrole::text, relowner FROM pg_class WHERE oid = 'fails'::regclass});
$node->safe_psql('postgres', 'SET ROLE watcher; ' . sprintf($figures, 'then'));
$node->safe_psql('postgres', 'DELETE FROM mass WHERE id <= 15000; ANALYZE mass; SELECT pg_stat_force_next_flush()');
$node->safe_psql('postgres', 'SET ROLE watcher; ' . sprintf($figures, 'now'));

# the dashboard
my $board = decode_json(slurp_file("$top/docs/grafana.json"));
my @queries = queries_of(@{ $board->{panels} });
cmp_ok(scalar(@queries), '>', 10, 'the dashboard has queries');
foreach my $query (@queries)
{
	my $sql = $query->{sql} =~ s/\$__(\w+)\(([^()]*)\)/$macros{$1}->($2)/ger;
	my (undef, $rows, $errors) = $node->psql('postgres', "SET ROLE watcher; $sql");
	is($errors, '', "$query->{title}: its query runs");
	isnt($rows, '', "$query->{title}: it finds something");
	unlike($rows, qr/4711/, "$query->{title}: it shows no key") if $query->{title} ne 'Holds';
}

# no metric is missing from the page, or from its query for postgres_exporter
my $page = slurp_file("$top/docs/monitoring.md");
foreach my $name (split(/\n/, $node->safe_psql('postgres', 'SELECT DISTINCT name FROM figures_now ORDER BY 1')))
{
	like($page, qr/^\|[^\n|]*`$name`/m, "docs/monitoring.md explains $name");
	like($page, qr/^ {4}- @{[ $name =~ s,^soft_delete_,,r ]}: \{usage: "GAUGE"/m, "and exports it");
}

# the alerts
my ($rules) = map { $_->{groups}[0]{rules} } CPAN::Meta::YAML->read("$top/docs/alerts.yaml")->[0];
my %fires = (
	SoftDeletePurgeFailed => ['fails'], SoftDeleteRowsOverdue => [ 'fails', 'overdue' ], SoftDeleteMassDeletion => ['mass'],
	SoftDeleteGraveyard => ['mass'], SoftDeleteNoFigures => []);
is_deeply([ sort map { $_->{alert} } @$rules ], [ sort keys %fires ], 'each alert is tested');
my %count;
foreach my $rule (@$rules)
{
	my $expected = join("\n", map { qq({schema="public",table="$_"}) } @{ $fires{ $rule->{alert} } });
	is($node->safe_psql('postgres', 'SET ROLE watcher; ' . sql_of($rule->{expr})), $expected, "$rule->{alert} fires where it should");
	$count{ $rule->{expr} } = @{ $fires{ $rule->{alert} } };
	# what a description proposes is SQL
	my ($proposal) = $rule->{annotations}{description} =~ /: (SELECT.*)$/;
	my (undef, undef, $errors) = $node->psql('postgres', $proposal);
	is($errors, '', "$rule->{alert} proposes what runs");
}
is($node->safe_psql('postgres', 'DELETE FROM figures_now; ' . sql_of('absent(soft_delete_holds)')), 'none', 'SoftDeleteNoFigures fires if there are none');

SKIP:
{
	my ($promtool) = grep { -x } map { "$_/promtool" } split(/:/, $ENV{PATH});
	skip('there is no promtool', 2) if !$promtool;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/figures.yaml';
	$node->safe_psql('postgres', 'SET ROLE watcher; ' . sprintf($figures, 'now'));
	write_figures($node, $file, %count);
	command_ok([ $promtool, 'check', 'rules', "$top/docs/alerts.yaml" ], 'Prometheus reads the rules');
	command_ok([ $promtool, 'test', 'rules', $file ], 'and they fire there where they should');
}

done_testing();
