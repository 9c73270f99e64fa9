# The pages: README.md and docs/*.md.
#
# The ```sql blocks of a page are run in order, as one session of psql, in a database of
# the page's own.  A ```text block after one is what it prints.  Not compared are times, the
# widths of columns, names made of OIDs, empty results of functions that return nothing, and
# the tags of commands that count nothing ("CREATE TABLE").  The errors of a block without a
# ```text block must be those that it announces as "-- ERROR: ...".
# The queries of exporters in ```yaml blocks are run as SQL.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

# blocks_of FILE: its SQL blocks, each { line, sql, text }; text is undef where nothing is shown
sub blocks_of
{
	my ($file) = @_;
	my $page = slurp_file("$top/$file");
	my @blocks;
	while ($page =~ /^```(sql|yaml)\n(.*?)^```\n(?:\n*```text\n(.*?)^```\n)?/gms)
	{
		my ($kind, $sql, $text) = ($1, $2, $3);
		my $line = 1 + substr($page, 0, $-[0]) =~ tr/\n//;
		$sql = join('', map { "$_;\n" } $sql =~ /^ *query: \|\n((?: {4}.*\n)+)/mg) if $kind eq 'yaml';
		push(@blocks, { line => $line, sql => $sql, text => $text });
	}
	return @blocks;
}

# comparable TEXT: what is printed, without what differs from run to run
sub comparable
{
	my ($text) = @_;
	$text =~ s/\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::\d\d)?)?)?/TIME/g;
	$text =~ s/\b\d\d:\d\d:\d\d(?:\.\d+)?\b/DURATION/g;
	$text =~ s/\bsoft_delete_\d+/soft_delete_OID/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/-{2,}/-/g;
	$text =~ s/^ | $//mg;
	$text = join("\n", grep { $_ ne '' && !/^[A-Z ]+$/ } split(/\n/, $text));
	$text =~ s/^\w+\n-\n\(1 row\)(?:\n|\z)//mg;
	return $text =~ s/\n+\z//r;
}

# run_page NODE, FILE, DATABASE: runs its blocks, and compares what they print, or their errors
sub run_page
{
	my ($node, $file, $database) = @_;
	my @blocks = blocks_of($file);
	my ($printed, $got, $expected) = ('', '', '');
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $script = "\\cd $folder\n\\set SHOW_CONTEXT never\n" . join('', map { "\\echo ==== $_\n$blocks[$_]{sql}" } 0 .. $#blocks);
	# a test has a name of its own in PGAPPNAME
	delete local $ENV{PGAPPNAME};
	IPC::Run::run([ 'psql', '-X', '-d', $node->connstr($database), '-P', 'pager=off' ], '<', \$script, '>&', \$printed);
	# the pages are written as user postgres
	my $user = $node->safe_psql('postgres', 'SELECT current_user');
	$printed =~ s/\b\Q$user\E\b/postgres/g;
	my %printed = $printed =~ /^==== (\d+)\n((?:(?!^==== ).*\n?)*)/mg;
	foreach my $n (0 .. $#blocks)
	{
		my $name = "$file:$blocks[$n]{line}\n";
		if (defined $blocks[$n]{text})
		{
			$got .= $name . comparable($printed{$n}) . "\n";
			$expected .= $name . comparable($blocks[$n]{text}) . "\n";
		}
		else
		{
			$got .= $name . join('', map { "$_\n" } $printed{$n} =~ /^(ERROR:  .*)$/mg);
			$expected .= $name . join('', map { "$_\n" } $blocks[$n]{sql} =~ /^-- (ERROR:  .*)$/mg);
		}
	}
	same_lines($got, $expected, "$file runs as written");
	return;
}

# headings_of FILE: the anchors that a link may name
sub headings_of
{
	my ($file) = @_;
	my $text = slurp_file($file) =~ s/^```.*?^```$//mgsr;
	return { map { (lc($_) =~ s/[^\w\- ]//gr) =~ tr/ /-/r, 1 } $text =~ /^#+ +(.*)$/mg };
}

# broken_links FILE: the relative links that lead nowhere
sub broken_links
{
	my ($file) = @_;
	my $text = slurp_file("$top/$file") =~ s/^```.*?^```$//mgsr;
	my ($folder) = "$top/$file" =~ m{^(.*)/};
	my @broken;
	foreach my $link (grep { !/^\w+:/ } $text =~ /\]\(([^)\s]+)\)/g)
	{
		my ($path, $anchor) = $link =~ /^([^#]*)#?(.*)$/;
		my $target = $path eq '' ? "$top/$file" : "$folder/$path";
		push(@broken, "$file: $link")
			if !-e $target || ($anchor ne '' && !headings_of($target)->{$anchor});
	}
	return @broken;
}

my @pages = ('README.md', map { s{^\Q$top\E/}{}r } sort glob("$top/docs/*.md"));
my @papers = (@pages, qw(SECURITY.md CONTRIBUTING.md src/README.md test/README.md));

# the form
cmp_ok(-s "$top/README.md", '<=', 20_000, 'README.md is at most 20 kB');
is(join("\n", map { broken_links($_) } @papers), '', 'every relative link leads somewhere');
foreach my $page (@pages, 'CHANGELOG.md')
{
	my ($number, $is_output, @long) = (0, 0);
	foreach my $line (split(/\n/, slurp_file("$top/$page")))
	{
		$number++;
		utf8::decode($line);
		$is_output = $line eq '```text' if $line =~ /^```/;
		push(@long, "$page:$number") if length($line) > 100 && !$is_output && $line !~ /^\||\]\(/;
	}
	is(join(' ', @long), '', "$page: no line is longer than 100 columns, but tables, links and output");
}

# the blocks
my $node = start_node('readme');
foreach my $page (@pages)
{
	my ($database) = lc($page) =~ m{([^/]*)\.md$};
	$node->safe_psql('postgres', qq{CREATE DATABASE "$database"});
	$node->safe_psql($database, 'CREATE EXTENSION soft_delete') if slurp_file("$top/$page") !~ /^CREATE EXTENSION soft_delete;$/m;
	# something that is deleted, and something that is purged
	$node->safe_psql($database, q{
		SET client_min_messages = warning;
		CREATE TABLE notes (id integer PRIMARY KEY, note text);
		SELECT soft_delete.tag('notes');
		SELECT soft_delete.retain('notes', '0');
		INSERT INTO notes VALUES (1, 'one'), (2, 'two'), (3, 'three');
		DELETE FROM notes WHERE id = 1;
		CALL soft_delete.purge();
		DELETE FROM notes WHERE id = 2}) if $page eq 'docs/monitoring.md';
	run_page($node, $page, $database);
}

# what the monitor is shown, as the role that the page makes for it
my $queries = join('', map { $_->{sql} } blocks_of('docs/monitoring.md')) =~ s/^(?:CREATE|ALTER|[^;\n]*check\(\)).*\n//mgr;
my (undef, $shown, $errors) = $node->psql('monitoring', $queries, on_error_stop => 0,
	extra_params => [ '-P', 'format=aligned', '-P', 'tuples_only=off', '-d', $node->connstr('monitoring') . " options='-c role=watcher'" ]);
is($errors, '', 'the monitor may run it');
unlike($shown, qr/\(0 rows\)/, 'every query of it finds something');
like($shown, qr/ soft_delete_deleted_rows\{schema="public",table="notes"\} 1 *$/m, 'OpenMetrics text');

# the table of privileges is what sql/privileges_table.sql prints
my ($chapter) = slurp_file("$top/docs/security.md") =~ /^(## Who may do what\n.*?)(?:^## |\z)/ms;
my @written = $chapter =~ /^(\| [^|].*[a-z`)].*\|)$/mg;
my @tested = slurp_file("$top/expected/privileges_table.out") =~ /^(\| .*)$/mg;
ok(@tested > 10, 'there is a tested table of privileges');
is(join("\n", @written), join("\n", @tested), 'the privileges are those that are tested');

# nothing that people call is without its heading in the reference
my $reference = headings_of("$top/docs/reference.md");
my @used = split(/\n/, $node->safe_psql('reference', q{
	-- other functions are called by triggers, bins and views
	SELECT proname FROM pg_proc WHERE pronamespace = 'soft_delete'::regnamespace AND prorettype <> 'trigger'::regtype
	   AND proname NOT IN ('admits_tombstone', 'deletion_of', 'hold_of', 'list_tables')
	UNION SELECT relname FROM pg_class WHERE relnamespace = 'soft_delete'::regnamespace AND relkind = 'v'
	UNION SELECT replace(name, '.', '') FROM pg_settings WHERE name LIKE 'soft\_delete.%'}));
ok(@used > 30, 'there are functions, views and settings');
is(join(' ', grep { !$reference->{$_} } @used), '', 'docs/reference.md has a heading for each of them');

# lacks SECTION: what the section of a function or view lacks
sub lacks
{
	my ($section) = @_;
	my ($name, $text) = split(/\n/, $section, 2);
	my ($synopsis) = $text =~ /^```\n(.*?)^```$/ms;
	my @wanted = $name =~ /\(\)$/ ? ('arguments', 'errors', 'rights') : ('rights');
	# of a procedure, and of what takes no argument
	push(@wanted, 'returns') if defined $synopsis && $synopsis =~ /returns (?!void)/ && $synopsis !~ /returns void.*returns void/s;
	@wanted = grep { $_ ne 'arguments' } @wanted if defined $synopsis && $synopsis =~ /\(\)/;
	my %has = map { (lc($_) => 1) } map { split(/, /, $_) } $text =~ /^- \*\*(.*?):\*\*/mg;
	my @lacks = grep { !$has{$_} } @wanted;
	push(@lacks, 'synopsis') if $name =~ /\(\)$/ && !defined $synopsis;
	push(@lacks, 'example') if $text !~ /^```sql$/m;
	return map { "$name: $_" } @lacks;
}
my @sections = grep { !/^soft_delete\./ } split(/^### /m, slurp_file("$top/docs/reference.md") =~ s/^## .*\n//mgr);
shift(@sections);
is(join("\n", map { lacks($_) } @sections), '', 'each function and view has a synopsis, arguments, results, errors, rights and an example');

done_testing();
