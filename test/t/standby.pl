# A physical standby hides deleted rows as its primary does, in sessions and
# plans that were there before the tag too; promoted, it deletes softly.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $primary = start_node('primary', allows_streaming => 1);
$primary->safe_psql('postgres', q{
	CREATE EXTENSION soft_delete;
	CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
	CREATE TABLE late (id integer PRIMARY KEY);
	SELECT soft_delete.tag('parent', cascade => true);
	INSERT INTO parent SELECT g, 'code ' || g FROM generate_series(1, 9) g;
	INSERT INTO child SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO late VALUES (1), (2);
});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

# answer NODE SQL: what it returns, or the error and its code
sub answer
{
	my ($node, $sql) = @_;
	my ($status, $out, $errors) = $node->psql('postgres', $sql, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	return $status == 0 ? $out : $errors =~ s/^psql:[^ ]* //r;
}

# catch_up: waits until the standby has applied everything
sub catch_up { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')) }

catch_up();
my $session = $standby->background_psql('postgres', on_error_stop => 1);
$session->query('PREPARE late AS SELECT count(*) FROM late');
$session->query('SET plan_cache_mode = force_generic_plan');
is($session->query('EXECUTE late'), 2, 'a plan is made before the tag');

$primary->safe_psql('postgres', q{
	SELECT soft_delete.tag('late');
	DELETE FROM late WHERE id = 1;
	DELETE FROM parent WHERE id < 4;
	INSERT INTO parent VALUES (1, 'code 1');
});
catch_up();
is($session->query('EXECUTE late'), 1, 'a session and a plan that are older than the tag hide what was deleted');
$session->quit;

my %same = (
	'live rows' => q{SELECT count(*), min(id) FROM child},
	'a live row that has a deleted one\'s key' => q{SELECT count(*) FROM parent WHERE code = 'code 1'},
	'the bin' => q{SELECT * FROM parent_deleted ORDER BY id},
	'the bin of children' => q{SELECT * FROM child_deleted ORDER BY id},
	'all rows of one table' => q{SELECT count(*) FROM child TABLESAMPLE soft_delete.rows('all')},
	'the active view' => q{SELECT * FROM parent_active ORDER BY id},
	'COPY' => q{COPY child TO STDOUT},
	'the ledger' => q{SELECT deleted_at, relation, rows FROM soft_delete.deletions, soft_delete.deletion_rows(deleted_at) ORDER BY 1, 2},
	'the dry run of undo()' => q{SELECT * FROM soft_delete.preview((SELECT max(deleted_at) FROM child_deleted))},
	'check()' => q{SELECT * FROM soft_delete.check()});
foreach my $name (sort keys %same)
{
	is(answer($standby, $same{$name}), answer($primary, $same{$name}), "the standby answers as the primary does: $name");
}
is(answer($standby, 'SELECT count(*) FROM parent_deleted'), 3, 'the bin is not empty');

foreach my $write (
	'DELETE FROM parent WHERE id = 5',
	'INSERT INTO parent VALUES (2)',
	q{UPDATE parent_deleted SET deleted_at = NULL},
	'DELETE FROM parent_deleted',
	'SELECT soft_delete.undo(max(deleted_at)) FROM parent_deleted',
	q{SELECT soft_delete.untag('late', tombstones => 'purge')})
{
	like(answer($standby, $write), qr/25006$/, "read-only: $write");
}

$standby->promote;
is(answer($standby, q{
	DELETE FROM parent WHERE id = 9;
	SELECT count(*) FROM parent;
	SELECT max(deleted_at) > (SELECT max(deleted_at) FROM parent_deleted WHERE id < 9) FROM parent_deleted;
	SELECT count(*) FROM child_deleted WHERE id = 9;
}), "6\nt\n1", 'the promoted standby deletes softly, by cascade too');
is(answer($standby, q{
	DELETE FROM parent WHERE id = 1;
	SELECT soft_delete.undo(min(deleted_at)) FROM parent_deleted WHERE id = 1;
	SELECT string_agg(id::text, ',' ORDER BY id) FROM parent;
	SELECT count(*) FROM child WHERE id < 4;
	SELECT sum(displaced_rows) FROM soft_delete.tables;
	SELECT * FROM soft_delete.check();
}), "6\n1,2,3,4,5,6,7,8\n3\n1", 'what was deleted on the primary is undone on the promoted standby');

done_testing();
