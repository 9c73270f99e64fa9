# A thousand tagged tables: what looks at all of them sees each, one deletion of rows of hundreds
# of them is recorded, undone, held and purged as a whole, and what needs more locks than the
# server has fails as a whole, and says so.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $n = 500;    # in place, and as many aside
my $too_many = qr/out of shared memory.*max_locks_per_transaction/s;

my $node = start_node('thousand', conf => "autovacuum = off\nfsync = off\nsoft_delete.purge_grace = 0\nmax_locks_per_transaction = 20\n");

# is_answer SQL, EXPECTED, NAME
sub is_answer
{
	my ($sql, $expected, $name) = @_;
	return is($node->safe_psql('postgres', "SET client_min_messages = warning; $sql"), $expected, $name);
}

# one row each: t1 is above all others
$node->safe_psql('postgres', 'CREATE EXTENSION soft_delete');
foreach my $schema (qw(in_place aside))
{
	$node->safe_psql('postgres', "CREATE SCHEMA $schema; SET search_path = $schema;\n" . join("\n", map {
		my $parent = int($_ / 2) || 1;
		"CREATE TABLE t$_ (id integer PRIMARY KEY, name text UNIQUE, parent_id integer REFERENCES t$parent ON DELETE CASCADE);\n" .
		"INSERT INTO t$_ VALUES (1, 'a', " . ($_ == 1 ? 'NULL' : 1) . ");" } 1 .. $n));
	like(answer($node, 'postgres', "SELECT soft_delete.tag_schema('$schema', storage => '$schema')"), $too_many, "$schema: tag_schema() needs more locks");
}
is_answer('SELECT count(*) FROM soft_delete.tables', '0', 'no table is tagged then');
is_answer('SELECT count(*) FROM soft_delete_internal.tagged_schemas', '0', 'nor is a schema');

$node->append_conf('postgresql.conf', "max_locks_per_transaction = 1000\n");
$node->restart;
$node->safe_psql('postgres', "SELECT soft_delete.tag_schema('$_', storage => '$_')") foreach qw(in_place aside);
is_answer('SELECT storage, count(*) FROM soft_delete.tables GROUP BY 1 ORDER BY 1', "aside|$n\nin_place|$n", 'with these, it tags all');
is_answer('SELECT * FROM soft_delete.check()', '', 'check() finds nothing');

foreach my $schema (qw(in_place aside))
{
	$node->safe_psql('postgres', "DELETE FROM $schema.t1");
	my $stamp = $node->safe_psql('postgres', "SELECT max(deleted_at) FROM $schema.t1_deleted");
	is_answer(qq{
		SELECT count(DISTINCT relation), sum(rows) FROM soft_delete.events JOIN soft_delete.deletions USING (deleted_at)
		WHERE event = 'deleted' AND deleted_at >= current_date AND deleted_at = '$stamp'}, "$n|$n", "$schema: the ledger has what a deletion took, table by table");
	is_answer("SELECT deleted, restored FROM soft_delete.deletions WHERE deleted_at = '$stamp'", "$n|0", "$schema: and counts it");
	is_answer("SELECT count(*), sum(rows) FROM soft_delete.deletion_rows('$stamp')", "$n|$n", "$schema: the bins have it");
	is_answer("SELECT outcome, count(*) FROM soft_delete.preview('$stamp') GROUP BY 1", "comes back|$n", "$schema: preview() sees it come back");
	is_answer("SELECT soft_delete.undo('$stamp')", $n, "$schema: undo() restores it");
	is_answer("SELECT deleted, restored FROM soft_delete.deletions WHERE deleted_at = '$stamp'", "$n|$n", "$schema: and says so in the ledger");
	is_answer("SELECT count(*) FROM $schema.t$n JOIN $schema.t2 USING (id)", '1', "$schema: all are live again");
	is_answer("DELETE FROM $schema.t1; SELECT deleted_rows, count(*) FROM soft_delete.tables JOIN pg_class ON pg_class.oid = relation WHERE relnamespace = '$schema'::regnamespace GROUP BY 1",
		"1|$n", "$schema: tables counts what is deleted");
}
is_answer('SELECT deleted FROM soft_delete.timeline(days => 1)', 2 * $n, 'timeline() counts it');
is_answer("SELECT soft_delete.hold_schema('in_place', 'case')", $n, 'a schema is held, table by table');
is_answer("SELECT soft_delete.retain_schema('in_place', '0'), soft_delete.retain_schema('aside', '0')", '|', 'what is deleted is due');
is_answer('SELECT sum(due_rows), count(*) FILTER (WHERE holds > 0) FROM soft_delete.tables', 2 * $n . "|$n", 'and tables says so');
$node->safe_psql('postgres', 'CALL soft_delete.purge()');
is_answer('SELECT storage, sum(deleted_rows) FROM soft_delete.tables GROUP BY 1 ORDER BY 1', "aside|0\nin_place|$n", 'a purge destroys what is due and not held');
is_answer("SELECT soft_delete.lift('case')", $n, 'a hold on a schema is lifted by its name');
$node->safe_psql('postgres', 'CALL soft_delete.purge()');
is_answer('SELECT sum(deleted_rows) FROM soft_delete.tables', '0', 'then the rest is purged');
is_answer("SELECT sum(purged) FROM soft_delete.deletions WHERE deleted_at >= current_date", 2 * $n, 'the ledger keeps what became of it');
is_answer('SELECT * FROM soft_delete.check()', '', 'check() still finds nothing');

$node->append_conf('postgresql.conf', "max_locks_per_transaction = 20\n");
$node->restart;
like(answer($node, 'postgres', "INSERT INTO in_place.t1 VALUES (2, 'b'); DELETE FROM in_place.t1; SELECT soft_delete.undo(max(deleted_at)) FROM in_place.t1_deleted"),
	$too_many, 'undo() looks into each bin, and fails as a whole where that takes too many locks');
is_answer('SELECT count(*) FROM in_place.t1_deleted', '1', 'then nothing is restored');
is_answer('UPDATE in_place.t1_deleted SET deleted_at = NULL; SELECT count(*) FROM in_place.t1', '1', 'the bin of a table restores its row');
like(answer($node, 'postgres', "SELECT soft_delete.untag_schema('aside')"), $too_many, 'untag_schema() needs as many locks');
# what looks at one table after the other keeps no lock: an owner of many tables stops nobody's purge or monitor
is_answer("SELECT (SELECT count(*) FROM soft_delete.tables), (SELECT count(DISTINCT labels) FROM soft_delete.metrics)", join('|', (2 * $n) x 2), 'tables and metrics do not');
is_answer('SELECT * FROM soft_delete.check()', '', 'nor does check()');
is_answer("INSERT INTO aside.t1 VALUES (3, 'c'); DELETE FROM aside.t1; SELECT deleted FROM soft_delete.timeline(days => 1)", '1', 'nor does timeline()');
is_answer('SELECT relation, rows FROM soft_delete.deletion_rows((SELECT max(deleted_at) FROM aside.t1_deleted))', 'aside.t1|1', 'nor deletion_rows()');
is_answer("SELECT soft_delete.hold_deletion(max(deleted_at), 'case') FROM aside.t1_deleted; SELECT soft_delete.lift('case')", "1\n1", 'nor hold_deletion()');
$node->safe_psql('postgres', q{
	CREATE ROLE other;
	CREATE SCHEMA other AUTHORIZATION other;
	SET ROLE other;
	CREATE TABLE other.t (id integer PRIMARY KEY);
	SELECT soft_delete.tag('other.t');
	INSERT INTO other.t VALUES (1);
	DELETE FROM other.t});
$node->safe_psql('postgres', q{
	SET soft_delete.keep_ledger = 0;
	SET ROLE other;
	CALL soft_delete.purge(older_than => '0')});
is_answer("SELECT count(*) FROM other.t_deleted; SELECT relation, rows FROM soft_delete.events WHERE event = 'deleted'", "0\naside.t1|1", 'nor does a purge, which forgets deletions that have no rows left');
$node->safe_psql('postgres', 'UPDATE aside.t1_deleted SET deleted_at = NULL; DROP OWNED BY other; DROP ROLE other');
$node->append_conf('postgresql.conf', "max_locks_per_transaction = 1000\n");
$node->restart;
is_answer("SELECT count(*) FROM soft_delete.tables WHERE storage = 'aside'", $n, 'and then all are tagged');
is_answer("SELECT soft_delete.untag_schema('aside'); SELECT storage, count(*) FROM soft_delete.tables GROUP BY 1", "\nin_place|$n", 'with more, it untags all');
is_answer(q{SELECT count(*) FROM pg_class WHERE relnamespace = 'aside'::regnamespace AND relkind IN ('r', 'v')}, $n, 'and leaves the tables alone');

$node->stop;
done_testing();
