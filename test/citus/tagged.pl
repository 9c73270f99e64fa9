# No deleted row, hold or entry of the ledger is lost by what Citus does: what it would copy by a query
# is refused, and the rest keeps them.
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
# sql SQL: what a session answers, without notices
sub sql { return answer($node, 'app', "SET client_min_messages = warning; $_[0]") =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
# cannot_tag TABLE, KIND: the error of tag()
sub cannot_tag { return qr/^ERROR:  cannot tag "public\.$_[0]"(?: in place)?, which is $_[1]\nDETAIL:  \w.*\./m }

$node->safe_psql('app', q{
	CREATE EXTENSION soft_delete;
	CREATE TABLE ref (id integer PRIMARY KEY, name text);
	SELECT create_reference_table('ref');
	INSERT INTO ref SELECT g, 'ref ' || g FROM generate_series(1, 9) AS g;
	CREATE TABLE distributed (id integer PRIMARY KEY, name text);
	SELECT create_distributed_table('distributed', 'id');
	INSERT INTO distributed SELECT g, 'row ' || g FROM generate_series(1, 100) AS g;
	CREATE TABLE single_shard (id integer PRIMARY KEY);
	SELECT create_distributed_table('single_shard', NULL);
	CREATE TABLE managed (id integer PRIMARY KEY, name text);
	SELECT citus_add_local_table_to_metadata('managed');
	INSERT INTO managed VALUES (1, 'one'), (2, 'two');
	CREATE TABLE referencing (id integer PRIMARY KEY, ref_id integer REFERENCES ref);
	CREATE TABLE columns (id integer, name text) USING columnar;
	INSERT INTO columns VALUES (1, 'one'), (2, 'two');
	CREATE TABLE lists (id integer) PARTITION BY LIST (id);
	CREATE TABLE lists_1 PARTITION OF lists FOR VALUES IN (1) USING columnar;
	CREATE TABLE parts (id integer, name text) PARTITION BY LIST (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
	SELECT create_distributed_table('parts', 'id')});

# what has no tag
foreach my $storage ('in_place', 'aside')
{
	my $nothing = q{SELECT relname FROM pg_class WHERE relname LIKE '%\_deleted'; SELECT count(*) FROM pg_attribute WHERE attname = 'deleted_at' AND attrelid >= 16384 AND attrelid::regclass::text NOT LIKE 'soft_delete%'};
	my %kind = (ref => 'a reference table of Citus', distributed => 'a distributed table of Citus', single_shard => 'a distributed table of Citus',
		managed => 'a local table in the metadata of Citus', referencing => 'a local table in the metadata of Citus', parts => 'a distributed table of Citus');
	# aside, those of one shard or more can be tagged: sharded.pl
	foreach my $table ($storage eq 'aside' ? 'parts_1' : sort keys %kind)
	{
		is_refused('app', "$storage: tag() of $table", "SELECT soft_delete.tag('$table', storage => '$storage')", $storage eq 'aside' ? qr/^ERROR:  cannot tag "public\.parts_1", which is a distributed table of Citus, alone\nDETAIL:  It is a partition.*\nHINT:  SELECT soft_delete\.tag\('public\.parts', storage => 'aside'\);$/m : cannot_tag($table, $kind{$table}), $nothing);
	}
	is_refused('app', "$storage: tag() of a columnar table", "SELECT soft_delete.tag('columns', storage => '$storage')",
		qr/^ERROR:  cannot tag table "public\.columns", which has access method "columnar"\nDETAIL:  .*\nHINT:  ALTER TABLE public\.columns SET ACCESS METHOD heap;$/m, $nothing);
	is_refused('app', "$storage: tag() of a table with a columnar partition", "SELECT soft_delete.tag('lists', storage => '$storage')",
		qr/^ERROR:  cannot tag table "public\.lists_1", which has access method "columnar"/m, $nothing);
}
like(sql(q{SELECT soft_delete.tag('managed')}), qr/^HINT:  SELECT undistribute_table\('public\.managed'\);$/m, 'the hint for a local table without foreign keys');
like(sql(q{SELECT soft_delete.tag('referencing')}), qr/^HINT:  SELECT soft_delete\.tag\('public\.referencing', storage => 'aside'\);$/m, 'the one where others would come out with it');
is(sql(q{BEGIN; SELECT undistribute_table('public.managed'); SELECT FROM soft_delete.tag('managed'); DELETE FROM managed WHERE id = 1; SELECT id, name FROM managed_deleted; ROLLBACK}), '1|one', 'the hint works');
is(sql(q{BEGIN; ALTER TABLE public.columns SET ACCESS METHOD heap; SELECT FROM soft_delete.tag('columns'); DELETE FROM columns WHERE id = 1; SELECT id, name FROM columns_deleted; ROLLBACK}), '1|one', 'and that for a columnar one');
like(sql(q{SET citus.override_table_visibility = off; SELECT soft_delete.tag(format('public.distributed_%s', shardid)::regclass)
	FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid) WHERE logicalrelid = 'distributed'::regclass AND groupid = 0 LIMIT 1}),
	cannot_tag('distributed_\d+', 'a shard of Citus'), 'tag() of a shard');
like(sql(q{SET citus.override_table_visibility = off; SELECT soft_delete.tag(format('public.distributed_%s', shardid)::regclass, storage => 'aside')
	FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid) WHERE logicalrelid = 'distributed'::regclass AND groupid = 0 LIMIT 1}),
	cannot_tag('distributed_\d+', 'a shard of Citus'), 'tag() of a shard, aside');

like(sql(q{SELECT * FROM soft_delete.preview_tag('distributed')}), qr/cannot tag "public\.distributed" in place, which is a distributed table of Citus/, 'preview_tag() tells of it');

# what has one: everything that is kept of a table
# long STORAGE: the longest name
sub long { return substr("$_[0]_" . 'a' x 63, 0, 63) }
my %state;
foreach my $storage ('in_place', 'aside')
{
	my $long = long($storage);
	$node->safe_psql('app', qq{
		SET client_min_messages = error;
		CREATE TABLE t_$storage (id integer PRIMARY KEY, code text UNIQUE, ref_id integer);
		CREATE TABLE p_$storage (id integer PRIMARY KEY, ref_id integer) PARTITION BY RANGE (id);
		CREATE TABLE p_${storage}_1 PARTITION OF p_$storage FOR VALUES FROM (0) TO (100);
		CREATE TABLE $long (id integer GENERATED ALWAYS AS IDENTITY, n integer PRIMARY KEY);
		SELECT soft_delete.tag(t, storage => '$storage') FROM unnest('{t_$storage, p_$storage, $long}'::regclass[]) AS t;
		INSERT INTO t_$storage SELECT g, 'code ' || g, 1 FROM generate_series(1, 5) AS g;
		INSERT INTO p_$storage SELECT g, 1 FROM generate_series(1, 5) AS g;
		INSERT INTO $long (n) SELECT g FROM generate_series(1, 5) AS g;
		DELETE FROM t_$storage WHERE id < 4;
		-- one steps aside
		INSERT INTO t_$storage VALUES (3, 'code 3', 1);
		DELETE FROM p_$storage WHERE id < 3;
		DELETE FROM $long WHERE n < 3;
		SELECT soft_delete.hold('t_$storage', 'lawsuit');
		SELECT soft_delete.retain('t_$storage', '30 days')});
	my $views = join(' UNION ALL ', map { "SELECT '$_', to_jsonb(r) - 'stored_place' FROM ${_}_deleted AS r UNION ALL SELECT '$_', to_jsonb(r) FROM $_ AS r" } "t_$storage", "p_$storage");
	$state{$storage} = qq{
		$views ORDER BY 1, 2;
		SELECT count(*) FROM (SELECT bin FROM soft_delete.tables WHERE relation = '$long'::regclass AND deleted_rows = 2) AS s;
		SELECT to_jsonb(h) FROM soft_delete.holds AS h ORDER BY 1;
		SELECT to_jsonb(r) FROM soft_delete.retention AS r ORDER BY 1;
		SELECT to_jsonb(e) FROM soft_delete.events AS e ORDER BY 1;
		SELECT relation, bin, storage, companion, deleted_rows FROM soft_delete.tables ORDER BY 1;
		SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ 'soft_delete' ORDER BY 1, 2;
		SELECT logicalrelid FROM pg_dist_partition ORDER BY 1;
		SELECT problem FROM soft_delete.check()};
	my $before = answer($node, 'app', $state{$storage});
	like($before, qr/"hold": "lawsuit"/, "$storage: there is something to lose");
	unlike($before, qr/ERROR/, "$storage: and it can be asked for");
}

my $untag = sub { return qr/^ERROR:  Citus cannot convert tagged table "public\.$_[0]"\n(?:DETAIL:  .*\n)HINT:  SELECT soft_delete\.untag\('public\.$_[0]'\);$/m };
my $partition = qr/^ERROR:  Citus cannot convert tagged table "public\.p_\w+_1"$/m;
my %session = ('' => '', 'row_security = off' => 'SET row_security = off;');
foreach my $storage ('in_place', 'aside')
{
	my ($table, $parent, $long) = ("t_$storage", "p_$storage", long($storage));
	my ($companion) = $node->safe_psql('app', "SELECT companion FROM soft_delete.tables WHERE relation = '$table'::regclass");
	foreach my $session (sort keys %session)
	{
		my $is_refused = sub {
			my ($name, $sql, $pattern) = @_;
			is_refused('app', join(', ', grep { $_ ne '' } $storage, $session, $name), "SET client_min_messages = warning; $session{$session} $sql", $pattern, $state{$storage});
		};
		$is_refused->('a foreign key to a reference table', "ALTER TABLE $table ADD FOREIGN KEY (ref_id) REFERENCES ref", $untag->($table));
		$is_refused->('a foreign key of a neighbour', "CREATE TABLE neighbour (id integer REFERENCES $table, ref_id integer REFERENCES ref)", $untag->($table));
		$is_refused->('a foreign key of a partitioned table', "ALTER TABLE $parent ADD FOREIGN KEY (ref_id) REFERENCES ref", $partition);
		$is_refused->('citus_add_local_table_to_metadata()', "SELECT citus_add_local_table_to_metadata('$table')", $untag->($table));
		$is_refused->('citus_add_local_table_to_metadata() of a partitioned table', "SELECT citus_add_local_table_to_metadata('$parent')", $partition);
		$is_refused->('citus_add_local_table_to_metadata() of a long name', "SELECT citus_add_local_table_to_metadata('$long')", $untag->($long));
		$is_refused->('citus_add_local_table_to_metadata() of the companion', "SELECT citus_add_local_table_to_metadata('$companion')", qr/^ERROR:  Citus cannot convert tagged table "public\.$table"/m);
		$is_refused->('create_distributed_table()', "SELECT create_distributed_table('$table', 'id')", qr/^ERROR:  cannot distribute relation "$table" because it has triggers/m);
		$is_refused->('create_reference_table()', "SELECT create_reference_table('$table')", qr/^ERROR:  cannot distribute relation "$table" because it has triggers/m);
		my $unsafe = 'SET citus.enable_unsafe_triggers = on;';
		$is_refused->('create_reference_table(), with triggers', "$unsafe SELECT create_reference_table('$table')", $untag->($table));
		$is_refused->('create_distributed_table(), with triggers', "$unsafe SELECT create_distributed_table('$parent', 'id')", qr/^ERROR:  Citus cannot convert tagged table "public\.$parent/m);
		$is_refused->('create_distributed_table(NULL), with triggers', "$unsafe SELECT create_distributed_table('$table', NULL)", $untag->($table));
		$is_refused->('create_distributed_table_concurrently(), with triggers', "$unsafe SELECT create_distributed_table_concurrently('$long', 'n')", qr/^ERROR:  (?:Citus )?cannot /m);
		$is_refused->('create_reference_table() of the companion, with triggers', "$unsafe SELECT create_reference_table('$companion')", qr/^ERROR:  Citus cannot convert tagged table "public\.$table"/m);
		$is_refused->('alter_table_set_access_method()', "SELECT alter_table_set_access_method('$table', 'columnar')", qr/^ERROR:  (?:Citus cannot convert tagged table "public\.$table"|cannot drop index "\w+" of tagged table "$table")/m);
		$is_refused->('alter_table_set_access_method() of the companion', "SELECT alter_table_set_access_method('$companion', 'columnar')", qr/^ERROR:  Citus cannot convert tagged table "public\.$table"/m);
		$is_refused->('alter_table_set_access_method() of a partition', "SELECT alter_table_set_access_method('${parent}_1', 'columnar')", qr/^ERROR:  (?:Citus cannot convert tagged table "public\.${parent}_1"|cannot drop index "\w+" of tagged table "${parent}_1"|cannot drop index \w+ because index \w+ requires it)/m);
		$is_refused->("ALTER TABLE $_ SET ACCESS METHOD", "ALTER TABLE $_ SET ACCESS METHOD columnar", qr/^ERROR:  tagged table "public\.(?:$table|${parent}_1)" cannot have access method "columnar"\nDETAIL/m) foreach ($table, "${parent}_1", $companion);
		$is_refused->('a columnar partition', "CREATE TABLE ${parent}_2 PARTITION OF $parent FOR VALUES FROM (100) TO (200) USING columnar", qr/^ERROR:  tagged table "public\.${parent}_2" cannot have access method "columnar"/m);
		$is_refused->('undistribute_table()', "SELECT undistribute_table('$table')", qr/^ERROR:  cannot undistribute table because the table is not distributed/m);
		$is_refused->('truncate_local_data_after_distributing_table()', "SELECT truncate_local_data_after_distributing_table('$table')", qr/^ERROR:  /m);
	}
}

# beside tables of Citus, a tagged table answers as any other
$node->safe_psql('app', q{SELECT soft_delete.lift(t, 'lawsuit') FROM unnest('{t_in_place,t_aside}'::regclass[]) AS t});
foreach my $table ('t_in_place', 't_aside')
{
	my $same = sub { my ($name, $sql, $expected) = @_; is(sql("BEGIN; $sql; ROLLBACK"), $expected, "$table: $name") };
	$same->('a join with a distributed table', "SELECT id, d.name FROM $table JOIN distributed AS d USING (id) ORDER BY id", "3|row 3\n4|row 4\n5|row 5");
	$same->('a join with a reference table', "SELECT id, r.name FROM $table JOIN ref AS r USING (id) ORDER BY id", "3|ref 3\n4|ref 4\n5|ref 5");
	$same->('a join with the bin', "SELECT id, d.name FROM ${table}_deleted JOIN distributed AS d USING (id) ORDER BY id", "1|row 1\n2|row 2\n3|row 3");
	$same->('a subquery', "SELECT count(*) FROM distributed WHERE id IN (SELECT id FROM $table)", 3);
	$same->('DELETE ... USING a distributed table', "DELETE FROM $table USING distributed AS d WHERE d.id = $table.id AND d.name = 'row 4' RETURNING $table.id; SELECT id FROM ${table}_deleted ORDER BY id", "4\n1\n2\n3\n4");
	$same->('DELETE from a distributed table USING it', "DELETE FROM distributed AS d USING $table AS t WHERE d.id = t.id; SELECT count(*) FROM distributed", 97);
	$same->('a CTE that deletes', "WITH gone AS (DELETE FROM $table WHERE id = 4 RETURNING id) SELECT d.name FROM distributed AS d JOIN gone USING (id); SELECT count(*) FROM ${table}_deleted", "row 4\n4");
	$same->('INSERT ... SELECT into a distributed table', "INSERT INTO distributed SELECT id + 1000, code FROM $table; SELECT id, name FROM distributed WHERE id > 1000 ORDER BY id", "1003|code 3\n1004|code 4\n1005|code 5");
	$same->('INSERT ... SELECT from one', "INSERT INTO $table SELECT id, name FROM distributed WHERE id <= 2; SELECT id, code FROM $table WHERE id < 4 ORDER BY id; SELECT count(*) FROM ${table}_deleted", "1|row 1\n2|row 2\n3|code 3\n3");
	$same->('TRUNCATE and undo()', "TRUNCATE $table; SELECT count(*) FROM $table; SELECT count(*) FROM ${table}_deleted; SELECT soft_delete.undo((SELECT max(deleted_at) FROM ${table}_deleted)); SELECT count(*) FROM $table", "0\n6\n3\n3");
	$same->('restore and purge', "UPDATE ${table}_deleted SET deleted_at = NULL WHERE id = 1; DELETE FROM ${table}_deleted WHERE id = 2; SELECT id FROM $table ORDER BY id; SELECT id FROM ${table}_deleted ORDER BY id", "1\n3\n4\n5\n3");
	$same->('COPY', "COPY (SELECT id FROM $table ORDER BY id) TO STDOUT", "3\n4\n5");
	$same->('DROP TABLE', "DROP TABLE $table CASCADE; SELECT to_regclass('${table}_deleted') IS NULL, to_regclass('${table}_tombstones') IS NULL", 't|t');
	# a copy that Citus does not make: a warning, as without Citus
	like(sql("BEGIN; CREATE TABLE other (LIKE $table); INSERT INTO other SELECT * FROM $table; DROP TABLE $table; ALTER TABLE other RENAME TO $table; ROLLBACK"), qr/^WARNING:  table "public\.$table" is dropped with 3 deleted rows/, "$table: a copy by hand");
	is(sql("BEGIN; ALTER TABLE $table RENAME TO ${table}_102008; SELECT id FROM ${table}_102008_deleted ORDER BY id; ROLLBACK"), "1\n2\n3", "$table: a name like that of a shard");
}

# shards move, a node goes and comes, while tagged tables stay
my $all = "$state{in_place}; $state{aside}";
my $before = answer($node, 'app', $all);
sql($_) foreach (q{SELECT citus_move_shard_placement(shardid, s.nodename, s.nodeport, t.nodename, t.nodeport, shard_transfer_mode => 'block_writes')
	FROM citus_shards AS s, pg_dist_node AS t WHERE table_name = 'distributed'::regclass AND s.nodeport <> t.nodeport ORDER BY shardid LIMIT 1},
	q{SELECT rebalance_table_shards()});
is(answer($node, 'app', $all), $before, 'shards move, and tagged tables keep everything');
# schemas of tenants
$node->safe_psql('app', q{
	SET client_min_messages = error;
	SET citus.enable_schema_based_sharding = on;
	CREATE SCHEMA tenant;
	RESET citus.enable_schema_based_sharding;
	CREATE SCHEMA plain;
	CREATE TABLE plain.t (id integer PRIMARY KEY);
	SELECT soft_delete.tag('plain.t', storage => 'aside');
	INSERT INTO plain.t VALUES (1), (2);
	DELETE FROM plain.t WHERE id = 1;
	CREATE TABLE untagged (id integer)});
my $plain = 'SELECT id FROM plain.t; SELECT id FROM plain.t_deleted; SELECT companion FROM soft_delete.tables WHERE relation = \'plain.t\'::regclass; SELECT count(*) FROM pg_dist_schema';
foreach my $unsafe ('off', 'on')
{
	my $error = $unsafe eq 'on' ? qr/^ERROR:  Citus cannot convert tagged table "\w+\.t"/m : qr/^ERROR:  cannot distribute relation "t" because it has triggers/m;
	is_refused('app', "citus_schema_distribute(), unsafe triggers $unsafe", "SET citus.enable_unsafe_triggers = $unsafe; SELECT citus_schema_distribute('plain')", $error, $plain);
	is_refused('app', "SET SCHEMA to that of a tenant, unsafe triggers $unsafe", "SET citus.enable_unsafe_triggers = $unsafe; ALTER TABLE plain.t SET SCHEMA tenant", $error, $plain);
}
is_refused('app', "$_: bins in the schema of a tenant", "SELECT soft_delete.tag('untagged', storage => '$_', views => 'tenant')", qr/^ERROR:  cannot keep deleted rows in schema "tenant", which Citus distributes$/m, q{SELECT relname FROM pg_class WHERE relnamespace = 'tenant'::regnamespace}) foreach ('in_place', 'aside');
is_refused('app', 'tag_schema() of that of a tenant', "SELECT soft_delete.tag_schema('tenant')", qr/^ERROR:  cannot tag schema "tenant", which Citus distributes\n.*\nHINT:  SELECT soft_delete\.tag_schema\('tenant', storage => 'aside'\);$/m, 'SELECT * FROM soft_delete.tagged_schemas');
# a worker has tables of its own, too
my $on_worker = sub { return answer($worker, 'app', "SET client_min_messages = warning; $_[0]") =~ s/^\n+//r =~ s/\n{2,}/\n/gr };
is($on_worker->(q{CREATE TABLE w (id integer PRIMARY KEY, ref_id integer); SELECT FROM soft_delete.tag('w'); INSERT INTO w VALUES (1, 1), (2, 1); DELETE FROM w WHERE id = 1; SELECT w.id, d.name FROM w JOIN distributed AS d USING (id); SELECT id FROM w_deleted}), "2|row 2\n1", 'a tagged table of a worker');
like($on_worker->("SELECT soft_delete.tag('$_')"), cannot_tag($_, 'a \w+ table of Citus'), "on a worker, tag() of $_") foreach ('ref', 'distributed');
is(sql(q{CREATE SCHEMA shop; CREATE TABLE shop.first (id integer PRIMARY KEY); SELECT create_distributed_table('shop.first', 'id')}), '', 'a schema of all nodes');
like($on_worker->(q{SELECT soft_delete.tag_schema('shop')}), qr/^WARNING:  table "shop\.first" is not tagged: cannot tag "shop\.first" in place, which is a distributed table of Citus\n(?:(?!WARNING).*\n?)*\z/, 'tag_schema() on a worker warns of the table, and not of its shards');
is(sql(q{CREATE TABLE shop.second (id integer PRIMARY KEY); SELECT create_distributed_table('shop.second', 'id'); INSERT INTO shop.second SELECT generate_series(1, 20); DELETE FROM shop.second WHERE id < 11; SELECT count(*) FROM shop.second}), 10, 'a distributed table that comes to a schema that a worker has tagged');
is($on_worker->(q{SELECT relation FROM soft_delete.tables; SELECT * FROM soft_delete.check(); SELECT id FROM w_deleted}), "w\n1", 'the worker has tagged neither it nor its shards');
# whoever owns the table
is(sql(q{CREATE ROLE clerk; GRANT CREATE ON SCHEMA public TO clerk; SET ROLE clerk; CREATE TABLE own (id integer PRIMARY KEY, ref_id integer); SELECT FROM soft_delete.tag('own', storage => 'aside'); INSERT INTO own VALUES (1, 1), (2, 1); DELETE FROM own WHERE id = 1; SELECT id FROM own_deleted}), 1, 'a table of an ordinary role');
is_refused('app', "an ordinary role, $_", "SET client_min_messages = warning; SET ROLE clerk; $_", qr/^ERROR:  Citus cannot convert tagged table "public\.own"/m, 'SELECT id FROM own_deleted')
	foreach (q{SELECT citus_add_local_table_to_metadata('own')}, q{SELECT alter_table_set_access_method('own', 'columnar')});

# a table that has become one of Citus, where nothing could refuse it, does not lose its bin on the way back
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE TABLE stale (id integer PRIMARY KEY, name text);
	SELECT soft_delete.tag('stale', storage => 'aside');
	INSERT INTO stale VALUES (1, 'one'), (2, 'two'), (3, 'three');
	DELETE FROM stale WHERE id = 1;
	ALTER EVENT TRIGGER soft_delete_login DISABLE});
$ENV{PGOPTIONS} = '-c session_preload_libraries= -c session_replication_role=replica';
is(sql(q{SELECT citus_add_local_table_to_metadata('stale'); SELECT logicalrelid FROM pg_dist_partition WHERE logicalrelid = 'stale'::regclass}), 'stale', 'a session without the library and without event triggers converts a table');
delete $ENV{PGOPTIONS};
is(sql(q{DELETE FROM stale WHERE id = 2; SELECT id FROM stale; SELECT id FROM stale_deleted ORDER BY id}), "3\n1\n2", 'it keeps what is deleted');
is(sql(q{SELECT severity, problem FROM soft_delete.check() WHERE relation = 'stale'::regclass}), 'error|the table has become a local table in the metadata of Citus, which copies it without its deleted rows', 'check() finds it');
is_refused('app', 'undistribute_table()', q{SET client_min_messages = warning; SELECT undistribute_table('stale')}, qr/^ERROR:  Citus cannot convert tagged table "public\.stale"/m, 'SELECT id, name FROM stale_deleted ORDER BY id');
$node->safe_psql('app', 'ALTER EVENT TRIGGER soft_delete_login ENABLE ALWAYS');
# untagged, a table may become one of Citus
is(sql(q{SELECT soft_delete.untag('t_aside', tombstones => 'purge'); ALTER TABLE t_aside ADD FOREIGN KEY (ref_id) REFERENCES ref; SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 't_aside'::regclass; DELETE FROM t_aside WHERE id = 5; SELECT count(*) FROM t_aside}), "1\n2", 'an untagged table becomes one of Citus');
is(sql(q{ALTER TABLE t_aside DROP CONSTRAINT t_aside_ref_id_fkey; SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 't_aside'::regclass; SELECT FROM soft_delete.tag('t_aside', storage => 'aside'); DELETE FROM t_aside WHERE id = 4; SELECT id FROM t_aside_deleted}), "0\n4", 'and can be tagged again when it is none');

done_testing();
