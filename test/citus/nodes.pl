# Nodes die while rows of sharded tables are deleted, restored and purged, are replaced by their standbys, go and come,
# and shards move under load: each row is in the table or in its bin, with its stamp, and never in both.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Citus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, @workers) = start_citus();
add_database('app');
sub ask { return answer($node, 'app', "SET client_min_messages = error; $_[0]") =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
my $recover = 'SELECT count(*) FROM (SELECT recover_prepared_transactions()) AS x';
my $prepared = q{SELECT count(*) FROM pg_prepared_xacts WHERE database = 'app'};
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE EXTENSION soft_delete;
	CREATE TABLE p (k integer PRIMARY KEY, v text);
	CREATE TABLE c (k integer, id integer, PRIMARY KEY (k, id));
	SELECT create_distributed_table('p', 'k'); SELECT create_distributed_table('c', 'k', colocate_with => 'p');
	ALTER TABLE c ADD FOREIGN KEY (k) REFERENCES p ON DELETE CASCADE;
	SELECT soft_delete.tag('p', storage => 'aside', cascade => true);
	INSERT INTO p SELECT g, 'row ' || g FROM generate_series(1, 1000) AS g;
	INSERT INTO c SELECT k, 1 FROM p});
# what is there: rows of table and bin, none in both, none of another content, and children as parents
my $content = q{SELECT (SELECT count(*) FROM p), (SELECT count(*) FROM p_deleted), (SELECT count(*) FROM c), (SELECT count(*) FROM c_deleted),
	(SELECT count(*) FROM p JOIN p_deleted USING (k)), (SELECT count(*) FROM (SELECT k, v FROM p UNION ALL SELECT k, v FROM p_deleted) AS x WHERE v = 'row ' || k), (SELECT count(DISTINCT deleted_at) FROM p_deleted)};
is(ask("DELETE FROM p WHERE k <= 100; $content"), '900|100|900|100|0|1000|1', 'rows are deleted');

# settle WORKER...: starts nodes that were killed, and has Citus end what was prepared
sub settle
{
	$_->start foreach @_;
	ask($recover);
	return;
}

my %done = (
	'DELETE' => [ 'DELETE FROM p WHERE k BETWEEN 101 AND 300', '700|300|700|300|0|1000|2', 'UPDATE p_deleted SET deleted_at = NULL WHERE k > 100' ],
	'restore' => [ 'UPDATE p_deleted SET deleted_at = NULL', '1000|0|1000|0|0|1000|0', 'DELETE FROM p WHERE k <= 100' ],
	'undo()' => [ q{SELECT soft_delete.undo((SELECT min(deleted_at) FROM p_deleted))}, '1000|0|1000|0|0|1000|0', 'DELETE FROM p WHERE k <= 100' ],
	'purge' => [ q{DELETE FROM c_deleted; DELETE FROM p_deleted}, '900|0|900|0|0|900|0', q{INSERT INTO p SELECT g, 'row ' || g FROM generate_series(1, 100) AS g; INSERT INTO c SELECT g, 1 FROM generate_series(1, 100) AS g; DELETE FROM p WHERE k <= 100} ],
	'TRUNCATE' => [ 'TRUNCATE p CASCADE', '0|1000|0|1000|0|1000|2', 'UPDATE p_deleted SET deleted_at = NULL WHERE k > 100' ]);
my $before = '900|100|900|100|0|1000|1';
foreach my $what (sort keys %done)
{
	my ($sql, $after, $undo) = @{ $done{$what} };

	# between the statement and COMMIT
	my $session = $node->background_psql('app', on_error_stop => 0);
	$session->query_safe("SET client_min_messages = error; BEGIN; $sql");
	$workers[1]->stop('immediate');
	$session->query('COMMIT');
	$session->quit;
	settle($workers[1]);
	is(ask($content), $before, "$what: a node dies before COMMIT, and nothing has happened");

	# in the midst of the statement, which waits for another session on the first node
	my ($table, $from, $to) = $what =~ /DELETE|TRUNCATE/ ? ('p', 101, 300) : ('p_deleted', 1, 100);
	my $k = $node->safe_psql('app', "SELECT min(k) FROM generate_series($from, $to) AS k JOIN citus_shards ON shardid = get_shard_id_for_distribution_column('p', k) WHERE table_name = 'p'::regclass AND nodeport = " . $workers[0]->port);
	my $other = $node->background_psql('app', on_error_stop => 0);
	$other->query_safe("BEGIN; SELECT v FROM $table WHERE k = $k FOR UPDATE");
	$session = $node->background_psql('app', on_error_stop => 0);
	$session->query_until(qr/^$/m, "\\echo\nSET client_min_messages = error; BEGIN; $sql; COMMIT;\n");
	ok($node->poll_query_until('app', 'SELECT count(*) > 0 FROM citus_lock_waits'), "$what: it waits for a row");
	$workers[1]->kill9;
	$other->query('ROLLBACK');
	$other->quit;
	# Citus may pass on to the client that the node has ended its session
	eval { $session->query('ROLLBACK'); $session->quit; };
	# its sessions end when they see that the server has gone
	sleep 3;
	settle($workers[1]);
	is(ask($content), $before, "$what: a node dies in the midst of it, and nothing has happened");
	is($_->safe_psql('app', $prepared), 0, "$what: nothing is left prepared then") foreach @workers;

	# one node has prepared, and the other one prepares and dies with the coordinator: nobody has committed
	$workers[1]->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
	$workers[1]->reload;
	$session = $node->background_psql('app', on_error_stop => 0);
	$session->query_until(qr/^$/m, "\\echo\nSET client_min_messages = error; BEGIN; $sql; COMMIT;\n");
	ok($workers[0]->poll_query_until('app', "SELECT ($prepared) > 0"), "$what: one node has prepared");
	ok($workers[1]->poll_query_until('app', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'}), "$what: the other one waits");
	$_->stop('immediate') foreach $node, $workers[1];
	$session->{run}->finish;
	$workers[1]->append_conf('postgresql.conf', "synchronous_standby_names = ''");
	settle($workers[1], $node);
	is(ask($content), $before, "$what: nodes die as they prepare, and nothing has happened");
	is($_->safe_psql('app', $prepared), 0, "$what: nothing is left prepared") foreach @workers;

	# the coordinator has committed, the others have prepared, and one of them dies with it
	$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
	$node->reload;
	$session = $node->background_psql('app', on_error_stop => 0);
	$session->query_until(qr/^$/m, "\\echo\nSET client_min_messages = error; BEGIN; $sql; COMMIT;\n");
	ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'}), "$what: the coordinator has written its commit");
	cmp_ok($workers[0]->safe_psql('app', $prepared), '>', 0, "$what: the others have prepared");
	$_->stop('immediate') foreach $node, $workers[0];
	$session->{run}->finish;
	$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
	settle($workers[0], $node);
	is(ask($content), $after, "$what: nodes die when it is committed, and all has happened");
	is(ask("$undo; $content"), $before, "$what: as before");
}

# a standby takes the place of a node
my $standby = PostgreSQL::Test::Cluster->new('standby');
$workers[0]->backup('base');
$standby->init_from_backup($workers[0], 'base', has_streaming => 1);
$standby->start;
ask(q{DELETE FROM p WHERE k BETWEEN 101 AND 200; SELECT soft_delete.hold('p', 'lawsuit')});
$workers[0]->wait_for_catchup($standby);
$workers[0]->stop('immediate');
$standby->promote;
is(ask(sprintf(q{SELECT count(*) FROM (SELECT citus_update_node(nodeid, '%s', %d) FROM pg_dist_node WHERE nodeport = %d) AS x}, $standby->host, $standby->port, $workers[0]->port)), 1, 'a standby takes the place of a node');
ok($node->poll_query_until('app', 'SELECT bool_and(metadatasynced) FROM pg_dist_node'), 'which Citus has told what it missed');
is(ask($content), '800|200|800|200|0|1000|2', 'it has what is deleted');
like(ask('DELETE FROM p_deleted'), qr/which are held: lawsuit/, 'and the holds');
is(ask("SELECT soft_delete.hold('p', NULL); DELETE FROM p WHERE k BETWEEN 201 AND 300; UPDATE p_deleted SET deleted_at = NULL WHERE k BETWEEN 101 AND 300; $content"), $before, 'it deletes and restores');

# shards move, and nodes go and come, while rows are deleted one by one
my $rows = 150_000;
my $deletes = 20_000;
$node->safe_psql('app', qq{
	SET client_min_messages = error;
	CREATE TABLE big (id integer PRIMARY KEY, name text);
	SELECT create_distributed_table('big', 'id', colocate_with => 'none');
	SELECT soft_delete.tag('big', storage => 'aside');
	INSERT INTO big SELECT g, 'name ' || g FROM generate_series(1, $rows) AS g;
	CREATE PROCEDURE delete_many() LANGUAGE plpgsql AS \$\$
	DECLARE n integer;
	BEGIN
		FOR i IN 1 .. $deletes LOOP
			-- Citus answers, of tables without a tag too, that there is no such row where its shard has just moved
			FOR attempt IN 1 .. 10 LOOP
				DELETE FROM big WHERE id = i * 7;
				GET DIAGNOSTICS n = ROW_COUNT;
				COMMIT;
				EXIT WHEN n = 1;
			END LOOP;
		END LOOP;
	END \$\$});
my $loader = $node->background_psql('app', on_error_stop => 0);
$loader->query_until(qr/^$/m, "\\echo\nCALL delete_many();\n");
my $last = $node->safe_psql('app', q{SELECT format('%L, %s', nodename, nodeport) FROM pg_dist_node ORDER BY nodeport DESC LIMIT 1});
my ($moves, $is_loaded) = (0, 1);
while ($is_loaded || $moves < 4)
{
	my $mode = $moves % 2 ? 'force_logical' : 'block_writes';
	unlike(ask($moves % 4 == 3 ? "SELECT citus_drain_node($last, shard_transfer_mode => 'force_logical'); SELECT citus_set_node_property($last, 'shouldhaveshards', true); SELECT rebalance_table_shards(shard_transfer_mode => 'force_logical')"
		: "SELECT citus_move_shard_placement(shardid, nodename, nodeport, to_name, to_port, shard_transfer_mode => '$mode') FROM (SELECT s.shardid, s.nodename, s.nodeport, t.nodename AS to_name, t.nodeport AS to_port FROM citus_shards AS s, pg_dist_node AS t WHERE table_name = 'big'::regclass AND s.nodeport <> t.nodeport ORDER BY s.shardid, t.nodeport OFFSET $moves LIMIT 1) AS x"), qr/ERROR/, "move $moves under load");
	$moves++;
	$is_loaded = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL delete_many%' AND state = 'active'});
}
is($loader->query('SELECT 1') =~ s/^\n//r, 1, 'the deletions have ended');
is($loader->{stderr}, '', 'without an error');
$loader->quit;
is(ask(q{SELECT count(*), count(DISTINCT id), count(DISTINCT deleted_at) > count(*) / 2, bool_and(id % 7 = 0 AND name = 'name ' || id AND deleted_by = 'postgres') FROM big_deleted; SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE id % 7 = 0) FROM big}), "$deletes|$deletes|t|t\n" . ($rows - $deletes) . '|' . ($rows - $deletes) . '|' . (int($rows / 7) - $deletes), "$rows rows, of which $deletes are deleted while shards move $moves times: every row and stamp is there");
is(ask('UPDATE big_deleted SET deleted_at = NULL; SELECT count(*) FROM big; SELECT count(*) FROM big_deleted'), "$rows\n0", 'and comes back');

done_testing();
