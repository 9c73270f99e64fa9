# Every older version of the extension, with tagged tables, loses and shows nothing with
# the present library, and once updated is what a fresh install is.
#
# versions/tagged--VERSION.sql is a dump of what make_tables() has made with that version.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $versions = "$top/test/versions";

# path_of DIRECTORY: where pg_config says that it is
sub path_of
{
	my ($directory) = @_;
	my ($path) = run_command([ 'pg_config', "--$directory" ]);
	return $path;
}

# write_old SCRIPT, DIRECTORY: puts the install script of an old version there.  What the library has not any more,
# it need not have: no function of an old version is called
sub write_old
{
	my ($script, $directory) = @_;
	my ($symbols) = run_command([ 'nm', '-D', '--defined-only', path_of('pkglibdir') . '/soft_delete.so' ]);
	my %is_known = map { ((split)[2] => 1) } split(/\n/, $symbols);
	my ($name) = $script =~ m{([^/]*)$};
	my $sql = slurp_file($script);
	$sql =~ s{^(.*MODULE_PATHNAME.*')(soft_delete_[a-z_]+)(';?)$}{$1 . ($is_known{$2} ? $2 : 'soft_delete_load') . $3}emg;
	append_to_file("$directory/$name", $sql);
	return;
}

# make_installation: a copy of the server that has the old versions, too; returns its prefix, whose bin/ has the programs
sub make_installation
{
	my $tmp = PostgreSQL::Test::Utils::tempdir();
	my %path = map { ($_ => path_of($_)) } ('bindir', 'pkglibdir', 'sharedir');
	# programs find the rest relative to themselves
	my $common = $path{bindir};
	$common =~ s{/[^/]*$}{} while grep { index($_, "$common/") != 0 } values %path;
	my %copy = map { ($_ => $tmp . substr($path{$_}, length($common))) } keys %path;

	system_or_bail('mkdir', '-p', @copy{ 'bindir', 'pkglibdir' }, "$copy{sharedir}/extension");
	system_or_bail('cp', '-r', "$path{bindir}/.", $copy{bindir});
	foreach my $entry (map { glob("$_/*") } @path{ 'pkglibdir', 'sharedir' }, "$path{sharedir}/extension")
	{
		my $link = $tmp . substr($entry, length($common));
		symlink($entry, $link) or die "$link: $!" if !-e $link;
	}
	write_old($_, "$copy{sharedir}/extension") foreach glob("$versions/soft_delete--*.sql");
	return $copy{bindir} =~ s{/bin$}{}r;
}

my $node = PostgreSQL::Test::Cluster->new('climb', install_path => make_installation());
$node->init;
$node->append_conf('postgresql.conf', "session_preload_libraries = 'soft_delete'");
$node->start;
my $version = $node->safe_psql('postgres', 'SHOW server_version_num');
$node->safe_psql('postgres', 'CREATE ROLE climb_owner');

# make_tables DATABASE: tagged tables with deleted rows, of an ordinary role
sub make_tables
{
	my ($database) = @_;
	$node->safe_psql($database, q{
		SET client_min_messages = warning;
		CREATE SCHEMA app AUTHORIZATION climb_owner;
		SET ROLE climb_owner;
		SET search_path = app;
		CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE);
		CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE) PARTITION BY HASH (id);
		CREATE TABLE child_1 PARTITION OF child FOR VALUES WITH (MODULUS 1, REMAINDER 0);
		CREATE TABLE base (id integer PRIMARY KEY);
		CREATE TABLE derived (more text) INHERITS (base);
		CREATE TABLE linked (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL);
		CREATE TABLE timed (id integer PRIMARY KEY, deleted_at timestamp);
		SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('base'), soft_delete.tag('linked'), soft_delete.tag('timed');
		GRANT SELECT ON parent_deleted TO PUBLIC;
		INSERT INTO parent SELECT g, 'code ' || g FROM generate_series(1, 9) g;
		INSERT INTO child SELECT g, g FROM generate_series(1, 9) g;
		INSERT INTO linked SELECT g, g FROM generate_series(1, 9) g;
		INSERT INTO timed SELECT g FROM generate_series(1, 9) g;
		INSERT INTO base VALUES (1), (2)});
	$node->safe_psql($database, q{
		SET ROLE climb_owner;
		DELETE FROM app.parent WHERE id < 4;
		DELETE FROM app.base WHERE id = 1;
		INSERT INTO app.parent VALUES (1, 'code 1');
		DELETE FROM app.parent WHERE id = 4;
		UPDATE app.parent_deleted SET deleted_at = NULL WHERE id = 4;
		DELETE FROM app.parent_deleted WHERE id = 2;
		DELETE FROM app.linked WHERE id = 9;
		DELETE FROM app.timed WHERE id = 9});
	return;
}

# make_old DATABASE, VERSION: the tables of an older version, as they were made with it
sub make_old
{
	my ($database, $old) = @_;
	$node->safe_psql($database, "CREATE EXTENSION soft_delete VERSION '$old'");
	# in sessions without the library, which views load, and without what the version does by triggers
	my $options = '-c session_preload_libraries= -c session_replication_role=replica';
	$options .= ' -c event_triggers=off' if $version >= 170000;
	my ($tables, $references) = split(/^.*Type: FK CONSTRAINT.*\n/m, slurp_file("$versions/tagged--$old.sql"), 2);
	$tables =~ s/^CREATE SCHEMA soft_delete;\n//m;
	foreach my $part ($tables, $references)
	{
		$node->safe_psql($database, $part, extra_params => [ '-d', $node->connstr($database) . " options='$options'" ]);
	}
	return;
}

# answers DATABASE: what applications and DBAs see
sub answers
{
	my ($database) = @_;
	my @answers;
	foreach my $relation ('parent', 'child', 'base', 'linked', 'timed')
	{
		push @answers, answer($node, $database, qq{
			SET ROLE climb_owner;
			SELECT * FROM app.${relation}_active ORDER BY 1;
			SELECT count(*), sum(id) FROM app.${relation}_deleted;
			SELECT count(*) FROM app.${relation}_deleted WHERE deleted_by IS NOT NULL AND stored_in IS NOT NULL AND stored_place IS NOT NULL});
	}
	push @answers, answer($node, $database, q{
		SET ROLE climb_owner;
		SELECT relation, sum(rows) FROM soft_delete.deletions, soft_delete.deletion_rows(deleted_at) GROUP BY 1 ORDER BY relation::text;
		SELECT * FROM soft_delete.check();
		SELECT outcome, count(*) FROM soft_delete.preview((SELECT max(deleted_at) FROM app.parent_deleted WHERE id = 3)) GROUP BY 1 ORDER BY 1;
		BEGIN;
		DELETE FROM app.parent WHERE id IN (1, 8);
		DELETE FROM app.parent_deleted WHERE id = 8;
		SELECT soft_delete.undo(max(deleted_at)) FROM app.parent_deleted WHERE id = 3;
		SELECT count(*), sum(parent_id) FROM app.linked;
		UPDATE app.timed_deleted SET deleted_at = NULL WHERE deleted_at > '2020-01-01 UTC';
		SELECT count(*), count(deleted_at) FROM app.timed;
		ROLLBACK});
	# what was purged with an old version is not recorded
	return join("\n", @answers) =~ s/\nNOTICE:  not all that was deleted.*\nDETAIL:.*//gr;
}

# catalog DATABASE: everything that the extension consists of, and what it has made for tagged tables
sub catalog { return answer($node, $_[0], slurp_file("$versions/catalog.sql")) }

$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', 'CREATE EXTENSION soft_delete');
make_tables('fresh');
my $live_rows = 'SELECT count(*), sum(id) FROM app.parent';
my %fresh = (live => $node->safe_psql('fresh', $live_rows), catalog => catalog('fresh'), answers => answers('fresh'));
ok($fresh{$_} ne '' && $fresh{$_} !~ /^ERROR:/m, "a fresh install has $_") foreach ('catalog', 'answers');

my @old = map { m{soft_delete--(.*)\.sql$} } glob("$versions/soft_delete--*.sql");
cmp_ok(scalar(@old), '>', 0, 'there are older versions');
foreach my $old (@old)
{
	$node->safe_psql('postgres', 'CREATE DATABASE old');
	make_old('old', $old);
	# bins had other names for their columns
	my ($place, $table) = $old eq '0.1.0' ? ('deleted_at', 'deleted_at') : ('ctid', 'tableoid');
	$node->safe_psql('old', "SET ROLE climb_owner; CREATE VIEW app.of_bin AS SELECT id, $place AS place, $table AS stored FROM app.parent_deleted");
	is(answer($node, 'old', $live_rows), $fresh{live}, "$old hides deleted rows, with the library of now");
	is(answer($node, 'old', 'DELETE FROM app.parent WHERE id = 9') =~ s/^DETAIL:.*\n//mr,
		qq{ERROR:  extension "soft_delete" is older than its library\nHINT:  ALTER EXTENSION soft_delete UPDATE;},
		"$old deletes nothing, with the library of now");
	$node->safe_psql('old', 'ALTER EXTENSION soft_delete UPDATE');
	is($node->safe_psql('old', q{SELECT extversion = default_version FROM pg_extension JOIN pg_available_extensions ON name = extname WHERE extname = 'soft_delete'}),
		't', "$old is updated");
	is(answer($node, 'old', 'SELECT count(*), bool_and(place IS NOT NULL AND stored IS NOT NULL) FROM app.of_bin; DROP VIEW app.of_bin'),
		answer($node, 'fresh', 'SELECT count(*), true FROM app.parent_deleted'), "$old, updated, has a view upon a bin that there was before");
	same_lines(catalog('old'), $fresh{catalog}, "$old, updated, is what a fresh install is");
	same_lines(answers('old'), $fresh{answers}, "$old, updated, answers as a fresh install");
	$node->safe_psql('postgres', 'DROP DATABASE old');
}

done_testing();
