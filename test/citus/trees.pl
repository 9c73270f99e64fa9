# Holds on rows of tables that reference themselves, or one another in a circle, and of what is below them: each covers
# what a restore of the row would bring back, at any depth, as on one node.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Citus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, @workers) = start_citus();
sub ask { my ($sql) = @_; return answer($node, 'app', "SET client_min_messages = error; $sql") =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
add_database('app');
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE EXTENSION soft_delete;
	SET citus.enable_schema_based_sharding = on;
	CREATE SCHEMA tenant;
	RESET citus.enable_schema_based_sharding;
	CREATE SCHEMA hash; CREATE SCHEMA replicated; CREATE SCHEMA local; CREATE SCHEMA mixed});

# tree has rows below others, and leaf is below it
my %kind = (
	hash => q{SELECT create_distributed_table('hash.tree', 'k', colocate_with => 'none'); SELECT create_distributed_table('hash.leaf', 'k', colocate_with => 'hash.tree');},
	replicated => q{SELECT create_reference_table('replicated.' || t) FROM unnest('{tree,leaf}'::text[]) AS t;},
	local => q{SELECT citus_add_local_table_to_metadata(('local.' || t)::regclass) FROM unnest('{tree,leaf}'::text[]) AS t;},
	mixed => q{SELECT create_reference_table('mixed.tree'); SELECT create_distributed_table('mixed.leaf', 'k', colocate_with => 'none');},
	tenant => '');
foreach my $s (sort keys %kind)
{
	$node->safe_psql('app', qq{
		SET client_min_messages = error;
		CREATE TABLE $s.tree (k integer, id integer, up integer, PRIMARY KEY (k, id));
		CREATE TABLE $s.leaf (k integer, id integer, tree integer, PRIMARY KEY (k, id));
		$kind{$s}
		ALTER TABLE $s.tree ADD FOREIGN KEY (k, up) REFERENCES $s.tree ON DELETE CASCADE;
		ALTER TABLE $s.leaf ADD FOREIGN KEY (k, tree) REFERENCES $s.tree ON DELETE CASCADE;
		SELECT soft_delete.tag('$s.tree', storage => 'aside', cascade => true);
		INSERT INTO $s.tree SELECT k, id, nullif(id / 2, 0) FROM generate_series(1, 3) AS k, generate_series(1, 15) AS id;
		INSERT INTO $s.leaf SELECT k, id, id FROM $s.tree});
	# which rows of the first tenant are held, with the number of their holds
	my $held = "SELECT (SELECT string_agg(id || CASE WHEN cardinality(hold) > 1 THEN '*' || cardinality(hold) ELSE '' END, ',' ORDER BY id) FROM $s.tree_deleted WHERE k = 1 AND hold IS NOT NULL) AS tree, (SELECT string_agg(id || CASE WHEN cardinality(hold) > 1 THEN '*' || cardinality(hold) ELSE '' END, ',' ORDER BY id) FROM $s.leaf_deleted WHERE k = 1 AND hold IS NOT NULL) AS leaf";
	my $counts = "SELECT (SELECT count(*) FROM $s.tree), (SELECT count(*) FROM $s.tree_deleted), (SELECT count(*) FROM $s.leaf), (SELECT count(*) FROM $s.leaf_deleted)";
	my $reset = "UPDATE $s.tree_deleted SET deleted_at = NULL; UPDATE $s.leaf_deleted SET deleted_at = NULL; $counts";
	my $whole = '45|0|45|0';

	# deleted rows
	is(ask("DELETE FROM $s.tree WHERE k = 1 AND id = 1; SELECT soft_delete.hold('$s.tree', 1, 2, 'case'); SELECT soft_delete.hold('$s.tree', 1, 4, 'case'); SELECT soft_delete.hold('$s.tree', 1, 9, 'other'); SELECT soft_delete.hold('$s.leaf', 1, 3, 'leaf'); $held"), "2,4*2,5,8*2,9*3,10,11|2,3,4*2,5,8*2,9*3,10,11", "$s: holds on deleted rows cover what is below, side by side");
	is(ask("SELECT soft_delete.hold('$s.tree', 1, 4, 'case'); SELECT soft_delete.lift('$s.tree', 1, 2, 'case'); $held"), "1\n4,8,9*2|3,4,8,9*2", "$s: each is lifted by itself");
	foreach my $case ([ "DELETE FROM $s.tree_deleted WHERE k = 1 AND id = 8", qr/^ERROR:  cannot purge rows of "tree_deleted\w*", which are held/m ],
		[ "DELETE FROM $s.leaf_deleted WHERE k = 1 AND id = 9", qr/^ERROR:  cannot purge rows of "leaf_deleted\w*", which are held/m ],
		[ "UPDATE $s.tree_deleted SET deleted_at = NULL WHERE k = 1 AND id = 1", qr/^ERROR:  cannot restore rows of "\w+_deleted\w*", which are held/m ],
		[ "SELECT max(deleted_at) AS stamp FROM $s.tree_deleted \\gset\nSELECT soft_delete.undo(:'stamp'::timestamptz)", qr/^ERROR:  cannot restore rows of "\w+_deleted\w*", which are held/m ],
		[ "SELECT soft_delete.untag('$s.tree', tombstones => 'purge', cascade => true)", qr/^ERROR:  cannot untag table "$s\.\w+", where rows are held/m ])
	{
		is_refused('app', "$s: $$case[0]", "SET client_min_messages = error; $$case[0]", $$case[1], "$counts; $held");
	}
	is(ask("CALL soft_delete.purge('$s.tree', older_than => '0'); $held"), "4,8,9*2|3,4,8,9*2", "$s: purge() leaves them");
	is(ask("SELECT soft_delete.lift('$s.tree', 1, 9, 'other'); $held; SELECT soft_delete.lift('case'); SELECT soft_delete.lift('leaf'); $held; CALL soft_delete.purge('$s.tree', older_than => '0'); $counts"), "1\n4,8,9|3,4,8,9\n1\n1\n|\n30|0|30|0", "$s: and without holds all is purged");

	is(ask("INSERT INTO $s.tree VALUES (1, 1, NULL), (1, 2, 1), (1, 3, 1), (1, 4, 2), (1, 5, 4); INSERT INTO $s.leaf VALUES (1, 1, 5), (1, 2, 3); DELETE FROM $s.tree WHERE k = 1; SELECT soft_delete.erase('$s.tree', 1, 2); SELECT string_agg(id::text, ',' ORDER BY id), count(hold) FROM $s.tree_deleted; SELECT string_agg(id::text, ',' ORDER BY id) FROM $s.leaf_deleted"), "4\n1,3|0\n2", "$s: erase() of a row with what went with it, at any depth");
	is_refused('app', "$s: erase() of what is held", "SET client_min_messages = error; SELECT soft_delete.hold('$s.leaf', 1, 2, 'case'); SELECT soft_delete.erase('$s.tree', 1, 1)", qr/^ERROR:  cannot purge rows of "leaf_deleted\w*", which are held: \{case/m, $counts);
	ask("SELECT soft_delete.lift('case'); SELECT soft_delete.erase('$s.tree', 1, 1)");
	ask("INSERT INTO $s.tree SELECT 1, id, nullif(id / 2, 0) FROM generate_series(1, 15) AS id; INSERT INTO $s.leaf SELECT 1, id, id FROM generate_series(1, 15) AS id");

	# live rows
	is(ask("SELECT soft_delete.hold('$s.tree', 1, 2, 'case'); SELECT soft_delete.hold('$s.tree', 1, 9, 'other'); SELECT soft_delete.hold('$s.leaf', 1, 3, 'leaf'); DELETE FROM $s.tree WHERE id = 1; $held"), "2,4,5,8,9*2,10,11|2,3,4,5,8,9*2,10,11", "$s: holds on live rows go to the bins with what goes with them");
	is(ask("SELECT soft_delete.lift('case'); $held; SELECT soft_delete.lift('other'), soft_delete.lift('leaf'); $held; $reset"), "1\n9|3,9\n1|1\n|\n$whole", "$s: and are lifted there");
	ask("SELECT soft_delete.hold('$s.tree', 1, 2, 'case')");
	foreach my $case ([ 'all rows by one statement', "DELETE FROM $s.tree", '2,4,5,8,9,10,11|2,4,5,8,9,10,11' ],
		[ 'the lowest first', "DELETE FROM $s.leaf WHERE id = 9; DELETE FROM $s.tree WHERE id = 9; DELETE FROM $s.tree WHERE id = 4; DELETE FROM $s.tree WHERE id = 1", '2,4,5,8,9,10,11|2,4,5,8,9,10,11' ],
		[ 'what is below alone', "DELETE FROM $s.tree WHERE id = 4", '|' ],
		[ 'what a savepoint has undone', "SAVEPOINT s; DELETE FROM $s.tree WHERE id = 2; ROLLBACK TO s; DELETE FROM $s.tree WHERE id = 4", '|' ],
		[ 'by a CTE', "WITH gone AS (DELETE FROM $s.tree WHERE id = 2 RETURNING id) SELECT count(*) > 0 FROM gone", "t\n2,4,5,8,9,10,11|2,4,5,8,9,10,11" ],
		[ 'by TRUNCATE', "TRUNCATE $s.tree CASCADE", '2,4,5,8,9,10,11|2,4,5,8,9,10,11' ],
		[ 'by TRUNCATE, the other way around', "TRUNCATE $s.leaf, $s.tree", '2,4,5,8,9,10,11|2,4,5,8,9,10,11' ])
	{
		my ($name, $sql, $expected) = @$case;
		$sql = "SET LOCAL citus.multi_shard_modify_mode = sequential; $sql" if $s eq 'mixed';
		is(ask("BEGIN; $sql; $held; SELECT soft_delete.lift('case'); $held; ROLLBACK"), "$expected\n1\n|", "$s: $name");
	}
	is(ask("SELECT soft_delete.hold('$s.tree', 1, 2, NULL); DELETE FROM $s.tree WHERE id = 1; $held; $reset"), "|\n$whole", "$s: all holds on a live row are lifted");
}

# with the shards of a tree, which move and split
is(ask(q{DELETE FROM hash.tree WHERE k = 2 AND id = 1; SELECT soft_delete.hold('hash.tree', 2, 2, 'moved'); SELECT soft_delete.hold('hash.tree', 3, 2, 'moved');
	SELECT count(*) FROM (SELECT citus_move_shard_placement(s.shardid, s.nodename, s.nodeport, t.nodename, t.nodeport, shard_transfer_mode => 'block_writes') FROM citus_shards AS s, pg_dist_node AS t WHERE s.shardid IN (get_shard_id_for_distribution_column('hash.tree', 2), get_shard_id_for_distribution_column('hash.tree', 3)) AND s.nodeport <> t.nodeport AND t.groupid = (SELECT max(groupid) FROM pg_dist_node WHERE nodeport <> s.nodeport)) AS x;
	DELETE FROM hash.tree WHERE k = 3 AND id = 1; SELECT k, count(*) FROM hash.tree_deleted WHERE hold IS NOT NULL GROUP BY 1 ORDER BY 1; SELECT k, count(*) FROM hash.leaf_deleted WHERE hold IS NOT NULL GROUP BY 1 ORDER BY 1; SELECT soft_delete.lift('moved'); SELECT count(hold) FROM hash.tree_deleted; UPDATE hash.tree_deleted SET deleted_at = NULL; SELECT count(*) FROM hash.leaf}) =~ s/^\d\n/N\n/r, "N\n2|7\n3|7\n2|7\n3|7\n2\n0\n45", 'shards move with holds on rows of a tree');
is(answer($workers[0], 'app', q{SET client_min_messages = error; DELETE FROM hash.tree WHERE k = 1 AND id = 1; SELECT soft_delete.hold('hash.tree', 1, 2, 'from a worker'); SELECT count(hold) FROM hash.tree_deleted; SELECT soft_delete.lift('from a worker'); SELECT count(hold) FROM hash.tree_deleted; UPDATE hash.tree_deleted SET deleted_at = NULL; SELECT count(*) FROM hash.leaf}), "\n7\n1\n0\n45", 'a worker holds deleted rows of a tree');

# who may delete and not lift
is(ask(q{CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA hash TO clerk; GRANT SELECT, DELETE, TRUNCATE ON hash.tree, hash.leaf TO clerk; GRANT SELECT, INSERT ON hash.tree_deleted, hash.leaf_deleted TO clerk; SELECT soft_delete.hold('hash.tree', 1, 2, 'case');
	BEGIN; SET ROLE clerk; DELETE FROM hash.tree WHERE k = 1; RESET ROLE; SELECT count(hold) FROM hash.leaf_deleted; ROLLBACK}), "7", 'another role deletes what is held');
is_refused('app', 'TRUNCATE by a role that may not mark what is below', 'SET client_min_messages = error; SET ROLE clerk; TRUNCATE hash.tree CASCADE', qr/^ERROR:  permission denied for table tree_deleted/m, 'SELECT count(*) FROM hash.tree; SELECT count(*) FROM hash.tree_deleted');
ask(q{SELECT soft_delete.lift('case')});

# a foreign key that has gone leaves marks, which the name lifts
is(ask(q{DELETE FROM hash.tree WHERE k = 1 AND id = 2; SELECT soft_delete.hold('hash.tree', 1, 2, 'case'); ALTER TABLE hash.leaf DROP CONSTRAINT leaf_k_tree_fkey; SELECT soft_delete.lift('case'); SELECT count(hold) FROM hash.tree_deleted; SELECT count(hold) FROM hash.leaf_deleted}), "1\n0\n0", 'lift() of what a foreign key connects no more');

# rows that reference one another in a circle, by keys that are not deferrable
my %circle = map { $_ => $kind{$_} =~ s/\btree\b/first/gr =~ s/\bleaf\b/second/gr } qw(hash replicated local tenant);
foreach my $s (sort keys %circle)
{
	$circle{$s} =~ s/first', 'k', colocate_with => 'none'/first', 'k', colocate_with => 'hash.tree'/;
	$node->safe_psql('app', qq{
		SET client_min_messages = error;
		CREATE TABLE $s.first (k integer, id integer, favourite integer, PRIMARY KEY (k, id));
		CREATE TABLE $s.second (k integer, id integer, first integer NOT NULL, PRIMARY KEY (k, id));
		CREATE TABLE $s.third (k integer, id integer, second integer NOT NULL, first integer, PRIMARY KEY (k, id));
		$circle{$s} } . ($circle{$s} =~ s/\bsecond\b/third/gr =~ s/'\{first,third\}'/'{third}'/r =~ s/^SELECT create_distributed_table\('hash\.first'[^;]*;//r) . qq{
		ALTER TABLE $s.second ADD FOREIGN KEY (k, first) REFERENCES $s.first ON DELETE CASCADE;
		ALTER TABLE $s.third ADD FOREIGN KEY (k, second) REFERENCES $s.second ON DELETE CASCADE;
		ALTER TABLE $s.first ADD CONSTRAINT favours FOREIGN KEY (k, favourite) REFERENCES $s.third;
		ALTER TABLE $s.third ADD FOREIGN KEY (k, first) REFERENCES $s.first ON DELETE CASCADE;
		SELECT soft_delete.tag('$s.first', storage => 'aside', cascade => true);
		INSERT INTO $s.first SELECT k, id FROM generate_series(1, 5) AS k, generate_series(1, 4) AS id;
		INSERT INTO $s.second SELECT k, id, id FROM $s.first; INSERT INTO $s.third SELECT k, id, id, id FROM $s.first;
		UPDATE $s.first SET favourite = id});
	my $counts = "SELECT (SELECT count(*) FROM $s.first), (SELECT count(*) FROM $s.second), (SELECT count(*) FROM $s.third), (SELECT count(*) FROM $s.first_deleted)";
	is(ask("DELETE FROM $s.first WHERE id < 3; $counts; UPDATE $s.first_deleted SET deleted_at = NULL WHERE id = 1 AND k < 3; $counts; UPDATE $s.first_deleted SET deleted_at = NULL; $counts"), "10|10|10|10\n12|12|12|8\n20|20|20|0", "$s: rows in a circle come back");
	is(ask("DELETE FROM $s.first WHERE id < 3; SELECT DISTINCT deleted_at AS stamp FROM $s.first_deleted \\gset\nSELECT soft_delete.undo(:'stamp'::timestamptz); $counts"), "30\n20|20|20|0", "$s: and by undo()");
	is_refused('app', "$s: one whose circle is not complete", "SET client_min_messages = error; DELETE FROM $s.first WHERE k = 1 AND id = 1; DELETE FROM $s.third_deleted; UPDATE $s.first_deleted SET deleted_at = NULL", qr/^ERROR:  insert or update on table "first\w*" violates foreign key constraint "favours/m, "SELECT (SELECT count(*) FROM $s.first WHERE id > 1), (SELECT count(*) FROM $s.second WHERE id > 1)");
	is(ask("UPDATE $s.first_deleted SET deleted_at = NULL, favourite = NULL; $counts"), "20|20|19|0", "$s: comes back without that reference");
	is(ask("DELETE FROM $s.first WHERE id < 3; SELECT soft_delete.untag('$s.first', tombstones => 'keep', cascade => true); SELECT (SELECT count(*) FROM $s.first), (SELECT count(*) FROM $s.second), (SELECT count(*) FROM $s.third)"), "20|20|19", "$s: untag() keeps them");
}

# a library that the trigger loads
$node->safe_psql('app', q{SET client_min_messages = error; CREATE TABLE late (k integer, id integer, up integer, PRIMARY KEY (k, id)); SELECT create_distributed_table('late', 'k', colocate_with => 'none'); ALTER TABLE late ADD FOREIGN KEY (k, up) REFERENCES late ON DELETE CASCADE; SELECT soft_delete.tag('late', storage => 'aside');
	INSERT INTO late SELECT k, id, nullif(id / 2, 0) FROM generate_series(1, 9) AS k, generate_series(1, 15) AS id; SELECT soft_delete.hold('late', k, 2, 'case') FROM generate_series(1, 9) AS k});
foreach my $any ($node, @workers)
{
	$any->append_conf('postgresql.conf', q{session_preload_libraries = ''});
	$any->reload;
}
ask(q{SELECT run_command_on_all_nodes($$SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%' AND pid <> pg_backend_pid()$$)});
is(ask('DELETE FROM late WHERE k = 1; BEGIN; DELETE FROM late WHERE id = 9; DELETE FROM late; COMMIT; SELECT k, count(hold) FROM late_deleted GROUP BY 1 ORDER BY 1'), join("\n", map { "$_|7" } 1 .. 9), 'marks are made by sessions without the library');

done_testing();
