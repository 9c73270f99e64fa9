# No two deletions share a stamp.  Four clients delete single rows as fast as they can;
# some meet in one microsecond, and every hundredth stamp is taken from the start.
#
# Fails without the unique check of the ledger's key: with UNIQUE_CHECK_NO deletions
# share stamps, with UNIQUE_CHECK_YES clients see duplicate keys.  Fails with stamps that
# are not entered, as often as two clients meet.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $node = start_node('stamps');
$node->safe_psql('postgres', q{
	CREATE EXTENSION soft_delete;
	CREATE TABLE t (id integer PRIMARY KEY);
	SELECT soft_delete.tag('t');
	INSERT INTO t SELECT generate_series(0, 39999);
	-- of the next four seconds
	INSERT INTO soft_delete_internal.ledger (deleted_at, xid, deleted_by, session_role, roleid)
		SELECT clock_timestamp() + g * interval '100 microseconds', '1', 'nobody', 'nobody', 0 FROM generate_series(1, 40000) g});

$node->pgbench('--no-vacuum --protocol=prepared --define=n=0 --client=4 --jobs=1 --transactions=5000',
	0, [qr{processed: 20000/20000}], [qr{^$}], 'no client sees an error',
	{ 'delete' => "\\set id :client_id * 10000 + :n\nDELETE FROM t WHERE id = :id;\n\\set n :n + 1\n" });

# is_answer SQL, EXPECTED, NAME
sub is_answer
{
	my ($sql, $expected, $name) = @_;
	return is($node->safe_psql('postgres', $sql), $expected, $name);
}
is_answer('SELECT count(*) FROM t_deleted', 20000, 'every row is deleted');
is_answer('SELECT count(DISTINCT deleted_at) FROM t_deleted', 20000, 'no two deletions share a stamp');
is_answer('SELECT count(*), count(DISTINCT xid) FROM t_deleted JOIN soft_delete_internal.ledger USING (deleted_at)',
	'20000|20000', 'no two transactions share a stamp');

done_testing();
