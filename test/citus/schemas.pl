# A schema that is tagged with its tables of Citus keeps what is deleted from all of them: distributed, reference, local
# and ordinary ones, and those of a tenant's schema, as they come.
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
# notices SQL: what a session of the coordinator answers, ask SQL: without notices and warnings
sub notices { return answer($node, 'app', $_[0]) =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
sub ask { return notices("SET client_min_messages = error; $_[0]") }
# tagged SCHEMA: its tables that are tagged
sub tagged { return "SELECT relation FROM soft_delete.tables WHERE relation::text LIKE '$_[0].%' ORDER BY 1" }

$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE EXTENSION soft_delete;
	CREATE SCHEMA shop;
	CREATE TABLE shop.p (k integer, id integer, PRIMARY KEY (k, id));
	CREATE TABLE shop.c (k integer, id integer, p integer, PRIMARY KEY (k, id));
	CREATE TABLE shop.r (id integer PRIMARY KEY);
	CREATE TABLE shop.l (id integer PRIMARY KEY);
	CREATE TABLE shop.t (id integer PRIMARY KEY);
	CREATE TABLE shop.exempt (k integer PRIMARY KEY);
	CREATE TABLE shop.odd (k integer PRIMARY KEY, hold text);
	SELECT create_distributed_table('shop.p', 'k'); SELECT create_distributed_table('shop.c', 'k', colocate_with => 'shop.p');
	ALTER TABLE shop.c ADD FOREIGN KEY (k, p) REFERENCES shop.p ON DELETE CASCADE;
	SELECT create_distributed_table(t, 'k') FROM unnest('{shop.exempt,shop.odd}'::text[]) AS t;
	SELECT create_reference_table('shop.r'); SELECT citus_add_local_table_to_metadata('shop.l');
	INSERT INTO shop.p SELECT g, g FROM generate_series(1, 30) AS g; INSERT INTO shop.c SELECT g, g, g FROM generate_series(1, 30) AS g;
	INSERT INTO shop.r SELECT generate_series(1, 30); INSERT INTO shop.l SELECT generate_series(1, 30); INSERT INTO shop.t SELECT generate_series(1, 30)});
my $effects = "SELECT member, effect FROM soft_delete.preview_tag_schema('shop', exempt => '{exempt}') WHERE aside AND severity IN ('refusal', 'action') AND effect ~ 'bin|refused' ORDER BY 1, 2";
like(ask($effects), qr/^shop\.p\|creates table shop\.p_deleted, the bin.*\nshop\.c\|creates table shop\.c_deleted.*\n.*\n(?:.*\n)*shop\.odd\|refused \(0A000\): cannot tag "shop\.odd", which is a distributed table of Citus, so/m, 'preview_tag_schema() tells');
my $answer = notices(q{SELECT soft_delete.tag_schema('shop', exempt => '{exempt}', storage => 'aside')});
like($answer, qr/^WARNING:  table "shop\.odd" is not tagged: cannot tag "shop\.odd", which is a distributed table of Citus, so\nDETAIL:  It has a column deleted_at, deleted_by, hold or unlinked, which the bin has of its own\./m, 'tag_schema() warns of a table that cannot be tagged');
unlike($answer, qr/WARNING(?!:  table "shop\.odd")|ERROR/, 'and of no other');
is(ask(tagged('shop')), join("\n", map { "shop.$_" } qw(p c r t l)), 'all others are tagged');
is(ask("BEGIN; DELETE FROM shop.$_; SELECT count(*) FROM shop.${_}_deleted; ROLLBACK"), 30, "and keep what is deleted: $_") foreach qw(p r l t);
is(ask(q{DELETE FROM shop.p WHERE k <= 10; SELECT count(*), count(DISTINCT deleted_at) FROM (SELECT deleted_at FROM shop.p_deleted UNION ALL SELECT deleted_at FROM shop.c_deleted) AS x}), '20|1', 'with their children');
is(ask(q{SELECT problem, remedy FROM soft_delete.check()}), q{the table is not tagged, but its schema "shop" is|SELECT soft_delete.tag('shop.odd', storage => 'aside', cascade => true);}, 'check() names the one that is not');
is(notices(q{SELECT soft_delete.tag_schema('shop')}) =~ s/^(?:WARNING:  table "shop\.odd"|DETAIL|HINT).*\n?//mgr, '', 'tag_schema() again changes nothing');
is(ask(q{ALTER TABLE shop.odd RENAME hold TO held; SELECT soft_delete.tag_schema('shop'); INSERT INTO shop.odd VALUES (1); DELETE FROM shop.odd; SELECT count(*) FROM shop.odd_deleted; SELECT * FROM soft_delete.check()}), 1, 'but tags what has become possible');
is(ask(q{SELECT soft_delete.hold_schema('shop', 'audit'), soft_delete.hold_schema('shop', NULL)}), '6|6', 'hold_schema() holds all of them');
is(ask(q{CREATE TABLE shop.new (id integer PRIMARY KEY); } . tagged('shop') =~ s/ORDER/AND relation::text ~ 'new' ORDER/r . q{; SELECT soft_delete.untag('shop.new'); SELECT create_distributed_table('shop.new', 'id'); SELECT FROM soft_delete.tag('shop.new', storage => 'aside'); INSERT INTO shop.new VALUES (1); DELETE FROM shop.new; SELECT count(*) FROM shop.new_deleted; SELECT soft_delete.untag('shop.new', tombstones => 'keep'); SELECT count(*) FROM shop.new; SELECT exempt FROM soft_delete.tagged_schemas; SELECT * FROM soft_delete.check()}), "shop.new\n\n1\n1\n{exempt,new}" =~ s/\n\n/\n/r, 'a table that comes is tagged, and exempt once it is untagged');
like(ask(q{SELECT soft_delete.untag_schema('shop')}), qr/^ERROR:  table "shop\.p" has deleted rows/m, 'untag_schema() with deleted rows');
is(ask(q{SELECT soft_delete.untag_schema('shop', tombstones => 'keep'); SELECT (SELECT count(*) FROM shop.p), (SELECT count(*) FROM shop.c), (SELECT count(*) FROM shop.odd); SELECT relname FROM pg_class WHERE relname LIKE '%\_deleted'; SELECT relation FROM soft_delete.tables; SELECT * FROM soft_delete.tagged_schemas}), '30|30|1', 'untag_schema() keeps them, and leaves nothing of the tags');

# a family of tables in two schemas
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE SCHEMA upper; CREATE SCHEMA lower;
	CREATE TABLE upper.p (k integer PRIMARY KEY); CREATE TABLE lower.c (k integer PRIMARY KEY);
	SELECT create_distributed_table('upper.p', 'k', colocate_with => 'none'); SELECT create_distributed_table('lower.c', 'k', colocate_with => 'upper.p');
	ALTER TABLE lower.c ADD FOREIGN KEY (k) REFERENCES upper.p ON DELETE CASCADE});
like(notices(q{SELECT soft_delete.tag_schema('upper', storage => 'aside')}), qr/^WARNING:  table "upper\.p" is not tagged: .*, alone\n.*\nHINT:  SELECT soft_delete\.tag\('upper\.p', storage => 'aside', cascade => true\);$/m, 'a parent whose children are in another schema');
is(ask(q{SELECT soft_delete.tag_schema('upper', storage => 'aside', cascade => true); SELECT relation FROM soft_delete.tables ORDER BY 1; SELECT schema FROM soft_delete.tagged_schemas ORDER BY 1}), "upper.p\nlower.c\nlower\nupper", 'both are tagged with cascade');
is(ask(q{SELECT soft_delete.untag_schema('upper', cascade => true); SELECT relation FROM soft_delete.tables}), '', 'and untagged');

# the schema of a tenant
$node->safe_psql('app', q{
	SET client_min_messages = error;
	SET citus.enable_schema_based_sharding = on;
	CREATE SCHEMA tenant;
	RESET citus.enable_schema_based_sharding;
	CREATE TABLE tenant.p (id integer PRIMARY KEY);
	CREATE TABLE tenant.c (id integer PRIMARY KEY, p integer REFERENCES tenant.p ON DELETE CASCADE);
	INSERT INTO tenant.p SELECT generate_series(1, 20); INSERT INTO tenant.c SELECT g, g FROM generate_series(1, 20) AS g});
my ($hint) = ask(q{SELECT soft_delete.tag_schema('tenant')}) =~ /^HINT:  (.*)$/m;
is($hint, q{SELECT soft_delete.tag_schema('tenant', storage => 'aside');}, 'in place it is refused');
is(ask("$hint DELETE FROM tenant.p WHERE id <= 5; SELECT (SELECT count(*) FROM tenant.p_deleted), (SELECT count(*) FROM tenant.c_deleted)"), '5|5', 'and the hint works');
is(ask(q{CREATE TABLE tenant.n (id integer PRIMARY KEY, c integer REFERENCES tenant.c ON DELETE CASCADE); INSERT INTO tenant.n SELECT id, id FROM tenant.c; CREATE TABLE tenant.q AS SELECT id FROM tenant.n; DELETE FROM tenant.p WHERE id <= 10; DELETE FROM tenant.q; SELECT (SELECT count(*) FROM tenant.n_deleted), (SELECT count(*) FROM tenant.q_deleted); SELECT * FROM soft_delete.check()}), '5|15', 'tables that come are tagged');
$ENV{PGOPTIONS} = '-c session_preload_libraries= -c event_triggers=off';
ask('CREATE TABLE tenant.late (id integer PRIMARY KEY)');
delete $ENV{PGOPTIONS};
my $problem = q{SELECT relation, problem, remedy FROM soft_delete.check()};
is(ask($problem), q{tenant.late|the table is not tagged, but its schema "tenant" is|SELECT soft_delete.tag('tenant.late', storage => 'aside', cascade => true);}, 'check() names one that came in a session without the library');
is(ask("SELECT FROM soft_delete.tag('tenant.late', storage => 'aside', cascade => true); INSERT INTO tenant.late VALUES (1); DELETE FROM tenant.late; SELECT count(*) FROM tenant.late_deleted; $problem"), 1, 'the remedy works');
is(ask(q{SELECT citus_schema_move('tenant', nodename, nodeport, 'block_writes') FROM pg_dist_node WHERE nodeport NOT IN (SELECT nodeport FROM citus_shards WHERE table_name = 'tenant.p'::regclass) ORDER BY nodeport LIMIT 1; UPDATE tenant.p_deleted SET deleted_at = NULL; SELECT (SELECT count(*) FROM tenant.p), (SELECT count(*) FROM tenant.c), (SELECT count(*) FROM tenant.n), (SELECT count(*) FROM tenant.p_deleted)}), '20|20|15|0', 'it moves with its deleted rows');
is(ask(q{SELECT soft_delete.untag_schema('tenant', tombstones => 'purge'); SELECT relation FROM soft_delete.tables; DELETE FROM tenant.p; SELECT relname FROM pg_class WHERE relname LIKE '%\_deleted'}), '', 'untagged, it is as another');

# an ordinary role
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE ROLE clerk LOGIN; CREATE SCHEMA clerks AUTHORIZATION clerk;
	SET ROLE clerk; CREATE TABLE clerks.t (id integer PRIMARY KEY); SELECT create_distributed_table('clerks.t', 'id', colocate_with => 'none')});
is(ask(q{SET ROLE clerk; SELECT soft_delete.tag_schema('clerks', storage => 'aside'); INSERT INTO clerks.t VALUES (1), (2); DELETE FROM clerks.t WHERE id = 1; SELECT count(*) FROM clerks.t_deleted}), 1, 'an ordinary role tags its schema');
like(ask(q{SET ROLE clerk; SELECT soft_delete.tag_schema('tenant', storage => 'aside')}), qr/^ERROR:  must be owner of schema tenant/m, 'and not that of others');

done_testing();
