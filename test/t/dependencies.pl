# The server's own dependencies stay: a session without the library, and whatever
# else our hook does not see, is refused by the server or takes the views along;
# in a single-user server, where no event trigger fires, the views follow.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(run);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $node = start_node('primary');
$node->safe_psql('postgres', q{
	CREATE EXTENSION soft_delete;
	CREATE TYPE mood AS ENUM ('good');
	CREATE TABLE t (id integer PRIMARY KEY, a text, b text, m mood);
	CREATE TABLE p (id integer PRIMARY KEY, a text, b text) PARTITION BY RANGE (id);
	CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10000);
	SELECT soft_delete.tag('t'), soft_delete.tag('p');
	INSERT INTO t SELECT g, g, g FROM generate_series(1, 5000) g;
	INSERT INTO p SELECT g, g, g FROM generate_series(1, 5000) g;
	DELETE FROM t WHERE id % 2 = 0;
	DELETE FROM p WHERE id % 2 = 0});

# a connection string of a session that does not load the library
my $without = $node->connstr('postgres') . " options='-c session_preload_libraries= -c event_triggers=off'";
$without =~ s/ -c event_triggers=off// if $node->safe_psql('postgres', 'SHOW server_version_num') < 170000;

# refused COMMAND, PATTERN, NAME
sub refused
{
	my ($command, $pattern, $name) = @_;
	my ($stdout, $stderr);
	isnt($node->psql('postgres', "SET session_replication_role = replica; $command", stdout => \$stdout, stderr => \$stderr,
			extra_params => [ '-d', $without ]), 0, $name);
	like($stderr, $pattern, "$name: why");
	return;
}

for my $table ('t', 'p')
{
	refused("ALTER TABLE $table ALTER a TYPE integer USING a::integer", qr/cannot alter type of a column used by a view or rule/, "ALTER TYPE of $table");
	refused("ALTER TABLE $table DROP a", qr/view ${table}_active depends on column a of table $table/, "DROP COLUMN of $table");
}
refused('DROP TYPE mood', qr/column m of table t depends on type mood/, 'DROP TYPE');

# what is not refused leaves views that can be read, and that follow later
is($node->safe_psql('postgres', q{
	SET session_replication_role = replica;
	ALTER TABLE t ADD c integer DEFAULT 7;
	ALTER TABLE t RENAME b TO bb;
	ANALYZE t;
	SELECT count(*) FROM t_active WHERE b = '3'}, extra_params => [ '-d', $without ]), 1, 'ADD and RENAME without the library');
is($node->safe_psql('postgres', q{
	ALTER TABLE t ALTER a TYPE integer USING a::integer;
	ANALYZE t;
	SELECT count(*) FROM t_active WHERE a = 3 AND bb = '3' AND c = 7;
	SELECT count(*) FROM t_deleted WHERE a = 4 AND bb = '4' AND c = 7}), "1\n1", 'the views follow in a session with the library');
is($node->safe_psql('postgres', q{
	SET session_replication_role = replica;
	DROP TYPE mood CASCADE;
	SELECT to_regclass('t_active') IS NULL, to_regclass('t_deleted') IS NULL}, extra_params => [ '-d', $without ]), 't|t', 'CASCADE takes the views along');
is($node->safe_psql('postgres', q{SELECT count(*) FROM soft_delete.check() WHERE problem ~ 'missing'}), 2, 'check() misses them');
$node->safe_psql('postgres', q{SELECT soft_delete.tag('t')});
is($node->safe_psql('postgres', q{SELECT count(*) FROM t_deleted WHERE a = 4}), 1, 'tag() makes them again');

# a single-user server
$node->stop;
my ($stdout, $stderr);
run [ 'postgres', '--single', '-j', '-F', '-D', $node->data_dir, 'postgres' ], '<', \q{ALTER TABLE t ALTER a TYPE bigint, DROP bb, ADD d integer DEFAULT 8;

ALTER TABLE t RENAME c TO cc;

ALTER TABLE p ALTER a TYPE bigint USING a::bigint, DROP b, ADD c integer DEFAULT 7;

}, '>', \$stdout, '2>', \$stderr;
unlike($stderr, qr/ERROR|FATAL|PANIC/, 'DDL in a single-user server');
$node->start;
is($node->safe_psql('postgres', q{
	ANALYZE;
	SELECT count(*) FROM t_active WHERE a = 3 AND cc = 7 AND d = 8;
	SELECT count(*) FROM t_deleted WHERE a = 4 AND cc = 7 AND d = 8;
	SELECT count(*) FROM p_active WHERE a = 3 AND c = 7;
	SELECT count(*) FROM p_deleted WHERE a = 4 AND c = 7}), "1\n1\n1\n1", 'the views have followed');
is($node->safe_psql('postgres', 'SELECT * FROM soft_delete.check()'), '', 'check() finds nothing');

done_testing();
