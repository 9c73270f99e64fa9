# A partitioned table that Citus has sharded keeps what is deleted from it and from its partitions, those that come and
# go too; a row that moves to another partition is not deleted.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Citus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $worker) = start_citus();
add_database('app');
my $quiet = 'SET client_min_messages = error;';
# ask SQL, on_worker SQL: what a session of the coordinator, or of a worker, answers
sub ask { return answer($node, 'app', "$quiet $_[0]") =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
sub on_worker { return answer($worker, 'app', "$quiet $_[0]") =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
# same NAME, SQL, EXPECTED: the SQL answers that, in a transaction that is rolled back
sub same
{
	my ($name, $sql, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(ask("BEGIN; $sql; ROLLBACK"), $expected, $name);
	return;
}

$node->safe_psql('app', "$quiet CREATE EXTENSION soft_delete; SET citus.enable_schema_based_sharding = on; CREATE SCHEMA tenant; RESET citus.enable_schema_based_sharding; CREATE SCHEMA hash");
my %kind = (
	hash => q{SELECT create_distributed_table('hash.p', 'k'); SELECT create_distributed_table('hash.c', 'k', colocate_with => 'hash.p'); SELECT create_distributed_table('hash.m', 'k', colocate_with => 'hash.p');},
	tenant => '');
foreach my $s (sort keys %kind)
{
	# 30 rows in the first month, and 10 in the second
	$node->safe_psql('app', qq{
		$quiet
		CREATE TABLE $s.p (k integer, id integer, day date, PRIMARY KEY (k, id, day)) PARTITION BY RANGE (day);
		CREATE TABLE $s.c (k integer, id integer, p integer, day date, PRIMARY KEY (k, id, day)) PARTITION BY RANGE (day);
		CREATE TABLE $s.m (k integer, day date, v text, PRIMARY KEY (k, day)) PARTITION BY RANGE (day);
		CREATE TABLE $s.p_1 PARTITION OF $s.p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
		CREATE TABLE $s.c_1 PARTITION OF $s.c FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
		CREATE TABLE $s.m_1 PARTITION OF $s.m FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
		$kind{$s}
		CREATE TABLE $s.p_2 PARTITION OF $s.p FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
		CREATE TABLE $s.c_2 PARTITION OF $s.c FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
		ALTER TABLE $s.c ADD CONSTRAINT c_p FOREIGN KEY (k, p, day) REFERENCES $s.p ON DELETE CASCADE;
		INSERT INTO $s.p SELECT g % 8, g, '2026-01-01'::date + g FROM generate_series(1, 40) AS g;
		INSERT INTO $s.c SELECT k, id, id, day FROM $s.p;
		SELECT soft_delete.tag('$s.p', storage => 'aside', cascade => true);
		SELECT soft_delete.tag('$s.m', storage => 'aside');
		CREATE TABLE $s.m_2 PARTITION OF $s.m FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
		INSERT INTO $s.m SELECT g % 8, '2026-01-01'::date + g, 'row ' || g FROM generate_series(1, 40) AS g});
	my $counts = "SELECT (SELECT count(*) FROM $s.p), (SELECT count(*) FROM $s.c), (SELECT count(*) FROM $s.p_deleted), (SELECT count(*) FROM $s.c_deleted)";
	my $moved = "SELECT (SELECT count(*) FROM $s.m_1), (SELECT count(*) FROM $s.m_2), (SELECT count(*) FROM $s.m_deleted)";
	my $rows = "SELECT tableoid::regclass, * FROM $s.p ORDER BY id; SELECT tableoid::regclass, * FROM $s.c ORDER BY id; SELECT tableoid::regclass, * FROM $s.m ORDER BY day";
	my $whole = ask($rows);
	is(ask("$counts; $moved; SELECT relation, bin, deleted_rows FROM soft_delete.tables WHERE relation::text LIKE '$s.%'; SELECT * FROM soft_delete.check()"), "40|40|0|0\n30|10|0\n$s.p|$s.p_deleted|0\n$s.c|$s.c_deleted|0\n$s.m|$s.m_deleted|0", "$s: the partitioned tables are tagged");
	like(answer($node, 'app', "SELECT soft_delete.tag('$s.p_1', storage => 'aside')"), qr/^NOTICE:  table "$s\.p_1" is already tagged$/m, "$s: a partition has their tag");

	# deletes, and restores to where the rows were
	same("$s: DELETE from the table", "DELETE FROM $s.p WHERE id <= 35; $counts; SELECT count(DISTINCT s) FROM (SELECT deleted_at FROM $s.p_deleted UNION ALL SELECT deleted_at FROM $s.c_deleted) AS x(s); UPDATE $s.p_deleted SET deleted_at = NULL; $rows", "5|5|35|35\n1\n$whole");
	same("$s: DELETE from a partition", "DELETE FROM $s.p_1 WHERE k = 3; DELETE FROM $s.c_2 WHERE id = 40 RETURNING id; $counts; UPDATE $s.p_deleted SET deleted_at = NULL; UPDATE $s.c_deleted SET deleted_at = NULL; $rows", "40\n36|35|4|5\n$whole");
	is(on_worker("DELETE FROM $s.p WHERE day = '2026-01-11'; DELETE FROM $s.p_2; $counts; UPDATE $s.p_deleted SET deleted_at = NULL; $counts"), "29|29|11|11\n40|40|0|0", "$s: from a worker");
	same("$s: a row that moves to another partition is not deleted", "UPDATE $s.m SET day = day + 31 WHERE day < '2026-01-11' AND k <> 1; $moved; DELETE FROM $s.m WHERE v = 'row 2'; SELECT day FROM $s.m_deleted; UPDATE $s.m_deleted SET deleted_at = NULL; $moved", "23|17|0\n2026-02-03\n23|17|0");

	# TRUNCATE
	same("$s: TRUNCATE of the table", "TRUNCATE $s.p CASCADE; TRUNCATE $s.m; $counts; $moved; SELECT count(DISTINCT deleted_at) FROM $s.m_deleted; UPDATE $s.p_deleted SET deleted_at = NULL; UPDATE $s.m_deleted SET deleted_at = NULL; $rows", "0|0|40|40\n0|0|40\n1\n$whole");
	same("$s: TRUNCATE of a partition", "TRUNCATE $s.m_1; $moved; TRUNCATE $s.m_2, $s.c_1; $moved; $counts; UPDATE $s.m_deleted SET deleted_at = NULL; UPDATE $s.c_deleted SET deleted_at = NULL; $rows", "0|10|30\n0|0|40\n40|10|0|30\n$whole");
	is(on_worker("TRUNCATE $s.m_1; $moved; UPDATE $s.m_deleted SET deleted_at = NULL; $moved"), "0|10|30\n30|10|0", "$s: from a worker");

	# partitions come and go
	is(ask("CREATE TABLE $s.m_3 PARTITION OF $s.m FOR VALUES FROM ('2026-03-01') TO ('2026-04-01'); INSERT INTO $s.m VALUES (1, '2026-03-01', 'a'), (2, '2026-03-02', 'b'); DELETE FROM $s.m WHERE v = 'a'; TRUNCATE $s.m_3; SELECT v FROM $s.m_deleted ORDER BY v; UPDATE $s.m_deleted SET deleted_at = NULL; SELECT v FROM $s.m_3 ORDER BY v; TRUNCATE $s.m_3; DELETE FROM $s.m_deleted"), "a\nb\na\nb", "$s: a partition comes");
	# the trigger of a login would load it
	$ENV{PGOPTIONS} = '-c session_preload_libraries= -c event_triggers=off';
	my $create = "CREATE TABLE $s.m_4 PARTITION OF $s.m FOR VALUES FROM ('2026-04-01') TO ('2026-05-01')";
	is(answer($node, 'app', "$quiet SET event_triggers = on; $create; SHOW citus.enable_unsafe_triggers; INSERT INTO $s.m VALUES (1, '2026-04-01', 'c'); TRUNCATE $s.m_4; SELECT v FROM $s.m_deleted; DELETE FROM $s.m_deleted") =~ s/^\n+//r, "off\nc", "$s: and so it does in a session that loads the library by that");
	is(answer($node, 'app', "$quiet SET event_triggers = on; BEGIN; " . $create =~ s/m_4/m_0/r =~ s/2026-0/2025-0/gr . "; INSERT INTO $s.m VALUES (1, '2025-04-01', 'c'); TRUNCATE $s.m_0; SELECT v FROM $s.m_deleted; ROLLBACK") =~ s/^\n+//r, 'c', "$s: in a transaction, too");
	ask("CREATE TABLE $s.m_5 PARTITION OF $s.m FOR VALUES FROM ('2026-05-01') TO ('2026-06-01')");
	delete $ENV{PGOPTIONS};
	is(ask('SELECT relation, problem, remedy FROM soft_delete.check()'), qq{$s.m_5|trigger "~soft_delete_shard_truncate" is missing: TRUNCATE destroys|SELECT soft_delete.repair('$s.m');}, "$s: check() finds one that came where nothing saw it");
	like(ask("TRUNCATE $s.m"), qr/^ERROR:  cannot truncate tagged table "$s\.m" with its partition "$s\.m_5"\n.*\nHINT:  SELECT soft_delete\.repair\('$s\.m'\);$/m, "$s: TRUNCATE of the table fails then");
	same("$s: the remedy works", "SELECT soft_delete.repair('$s.m'); SELECT * FROM soft_delete.check(); INSERT INTO $s.m VALUES (1, '2026-05-01', 'd'); TRUNCATE $s.m_5; SELECT v FROM $s.m_deleted; TRUNCATE $s.m; SELECT count(*) FROM $s.m_deleted", "d\n41");
	ask("SELECT soft_delete.repair('$s.m')");
	# its columns are in another order, and one is gone
	is(ask("CREATE TABLE $s.other (v text, gone integer, day date NOT NULL, k integer NOT NULL, PRIMARY KEY (k, day)); ALTER TABLE $s.other DROP COLUMN gone; INSERT INTO $s.other VALUES ('e', '2026-06-01', 1), ('f', '2026-06-02', 2); ALTER TABLE $s.m ATTACH PARTITION $s.other FOR VALUES FROM ('2026-06-01') TO ('2026-07-01'); DELETE FROM $s.m WHERE v = 'e'; TRUNCATE $s.other; SELECT k, day, v FROM $s.m_deleted ORDER BY v; UPDATE $s.m_deleted SET deleted_at = NULL; SELECT count(*) FROM $s.other; SELECT * FROM soft_delete.check()"), "1|2026-06-01|e\n2|2026-06-02|f\n2", "$s: a table becomes a partition");
	is(ask("DELETE FROM $s.m WHERE v = 'e'; ALTER TABLE $s.m DETACH PARTITION $s.other; DELETE FROM $s.other; INSERT INTO $s.other (v, day, k) VALUES ('g', '2026-06-03', 3); TRUNCATE $s.other; SELECT v FROM $s.m_deleted; SELECT tgname FROM pg_trigger WHERE tgrelid = '$s.other'::regclass AND tgname LIKE '~soft%'"), 'e', "$s: it is one no more, and has no tag");
	like(ask("UPDATE $s.m_deleted SET deleted_at = NULL"), qr/^ERROR:  no partition of relation "m(?:_\d+)?" found for row/m, "$s: what was deleted from it has nowhere to come back to");
	is(ask("DELETE FROM $s.m_deleted; DROP TABLE $s.other, $s.m_3, $s.m_4, $s.m_5; $moved; SELECT * FROM soft_delete.check()"), '30|10|0', "$s: partitions are dropped");

	# columns
	is(ask("DELETE FROM $s.m_1 WHERE k = 1; ALTER TABLE $s.m ADD COLUMN n integer DEFAULT 5; ALTER TABLE $s.m RENAME COLUMN v TO w; DELETE FROM $s.m_2 WHERE k = 1; SELECT count(w), sum(n) FROM $s.m_deleted; ALTER TABLE $s.m DROP COLUMN n; ALTER TABLE $s.m RENAME COLUMN w TO v; UPDATE $s.m_deleted SET deleted_at = NULL; $rows"), "5|25\n$whole", "$s: columns come and go");

	# from retention to erasure
	is(ask("DELETE FROM $s.p WHERE id <= 3; SELECT soft_delete.hold('$s.p', 1, 1, '2026-01-02', 'lawsuit'); SELECT soft_delete.erase('$s.p', 2, 2, '2026-01-03'); CALL soft_delete.purge('$s.p', older_than => '0'); $counts; SELECT soft_delete.lift('lawsuit'); SELECT deleted_at AS stamp FROM $s.p_deleted \\gset\nSELECT soft_delete.undo(:'stamp'::timestamptz); $counts"), "2\n37|37|1|1\n1\n2\n38|38|0|0", "$s: a hold, an erasure, a purge and undo()");
	same("$s: a hold on a live row", "SELECT soft_delete.hold('$s.p', 4, 4, '2026-01-05', 'case'); DELETE FROM $s.p_1 WHERE id = 5; DELETE FROM $s.p WHERE id = 4; SELECT id, hold[1] FROM $s.p_deleted ORDER BY id; SELECT id, hold[1] ~ '^case .with' FROM $s.c_deleted ORDER BY id; TRUNCATE $s.p CASCADE; SELECT count(hold) FROM $s.p_deleted; ROLLBACK; BEGIN; SELECT soft_delete.hold('$s.p', 4, 4, '2026-01-05', 'case'); TRUNCATE $s.p CASCADE; SELECT id, hold[1] FROM $s.p_deleted WHERE hold IS NOT NULL; SELECT id FROM $s.c_deleted WHERE hold IS NOT NULL; SELECT soft_delete.lift('case')", "4|case\n5|\n4|t\n5|\n1\n4|case\n4\n1");
	is(ask("SELECT soft_delete.hold('$s.p', 'audit'), soft_delete.hold('$s.p', NULL)"), '|', "$s: a hold on the table comes and goes");
	is(ask("INSERT INTO $s.p VALUES (2, 2, '2026-01-03'), (3, 3, '2026-01-04'); INSERT INTO $s.c VALUES (2, 2, 2, '2026-01-03'), (3, 3, 3, '2026-01-04'); $rows"), $whole, "$s: all is as before");
	like(ask("SELECT undistribute_table('$s.m')"), qr/^ERROR:  (?:Citus cannot convert tagged table|$s\.m is not allowed for undistribute_table)/m, "$s: undistribute_table() is refused");
}

# shards move and split
ask("DELETE FROM $_.p WHERE id <= 10; DELETE FROM $_.m WHERE day < '2026-01-12'") foreach sort keys %kind;
my $content = join('; ', map { "TABLE $_.p_deleted ORDER BY id; TABLE $_.c_deleted ORDER BY id; TABLE $_.m_deleted ORDER BY day" } sort keys %kind);
my $kept = ask($content);
foreach my $step (
	[ 'a shard moves, writes blocked', q{SELECT citus_move_shard_placement(s.shardid, s.nodename, s.nodeport, t.nodename, t.nodeport, shard_transfer_mode => 'block_writes') FROM citus_shards AS s, pg_dist_node AS t WHERE table_name = 'hash.p'::regclass AND s.nodeport <> t.nodeport ORDER BY s.shardid, t.nodeport LIMIT 1} ],
	[ 'a shard moves, by logical replication', q{SELECT citus_move_shard_placement(s.shardid, s.nodename, s.nodeport, t.nodename, t.nodeport, shard_transfer_mode => 'force_logical') FROM citus_shards AS s, pg_dist_node AS t WHERE table_name = 'hash.p'::regclass AND s.nodeport <> t.nodeport ORDER BY s.shardid DESC, t.nodeport LIMIT 1} ],
	[ 'the schema of a tenant moves', q{SELECT citus_schema_move('tenant', nodename, nodeport, 'block_writes') FROM pg_dist_node WHERE nodeport NOT IN (SELECT nodeport FROM citus_shards WHERE table_name = 'tenant.p'::regclass) ORDER BY nodeport LIMIT 1} ],
	[ 'a tenant is isolated', q{SELECT isolate_tenant_to_new_shard('hash.p', 5, 'CASCADE', shard_transfer_mode => 'block_writes')} ])
{
	my ($name, $sql) = @$step;
	unlike(ask($sql), qr/ERROR/, $name);
	is(ask($content), $kept, "$name: all is there");
	foreach my $s (sort keys %kind)
	{
		same("$name, $s", "DELETE FROM $s.p_1 WHERE id <= 20; UPDATE $s.m SET day = day + 31 WHERE day BETWEEN '2026-01-20' AND '2026-01-22'; TRUNCATE $s.m_1; SELECT count(*) FROM $s.m_deleted; TRUNCATE $s.m, $s.p CASCADE; SELECT (SELECT count(*) FROM $s.p_deleted), (SELECT count(*) FROM $s.c_deleted), (SELECT count(*) FROM $s.m_deleted); UPDATE $s.p_deleted SET deleted_at = NULL; UPDATE $s.m_deleted SET deleted_at = NULL; SELECT (SELECT count(*) FROM $s.p), (SELECT count(*) FROM $s.c), (SELECT count(*) FROM $s.m)", "27\n40|40|40\n40|40|40");
	}
}

foreach my $s (sort keys %kind)
{
	is(ask("SELECT soft_delete.untag('$s.p', tombstones => 'keep', cascade => true); SELECT soft_delete.untag('$s.m', tombstones => 'keep'); SELECT (SELECT count(*) FROM $s.p), (SELECT count(*) FROM $s.c), (SELECT count(*) FROM $s.m); SELECT tgrelid::regclass, tgname FROM pg_trigger JOIN pg_dist_partition ON logicalrelid = tgrelid WHERE tgname LIKE '~soft%' AND tgrelid::regclass::text LIKE '$s.%'; DELETE FROM $s.p; TRUNCATE $s.m_1; SELECT count(*) FROM $s.c"), "40|40|40\n0", "$s: untagged, they are as other tables");
}

done_testing();
