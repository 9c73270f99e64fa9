# What readers of changes are told, by each decoder and each storage, as docs/replication.md says.
# packages: postgresql-MAJOR-wal2json postgresql-MAJOR-decoderbufs postgresql-MAJOR-pglogical postgresql-MAJOR-slony1-2 slony1-2-bin
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Neighbours;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $has_pglogical = -e "/usr/lib/postgresql/$ENV{NEIGHBOURS_MAJOR}/lib/pglogical.so";
my $node = start_shops("max_connections = 60\nmax_worker_processes = 30\nmax_replication_slots = 30\nmax_wal_senders = 30" . ($has_pglogical ? "\nshared_preload_libraries = 'pglogical'" : ''));
my $tmp = PostgreSQL::Test::Utils::tempdir();

# what is done: to one row, then to another, and to all
my @steps = (
	[ 'INSERT', q{INSERT INTO orders VALUES (900, 20, 1, 'a'), (901, 20, 1, 'b')} ],
	[ 'UPDATE', q{UPDATE orders SET note = 'c' WHERE id = 900} ],
	[ 'DELETE', q{DELETE FROM orders WHERE id = 900} ],
	[ 'a restore', q{UPDATE orders_deleted SET deleted_at = NULL WHERE id = 900} ],
	[ 'DELETE, again', q{DELETE FROM orders WHERE id = 900} ],
	[ 'a live row takes the key', q{INSERT INTO orders VALUES (900, 20, 1, 'new')} ],
	[ 'a purge', q{DELETE FROM orders WHERE id = 901; DELETE FROM orders_deleted WHERE id = 901} ]);

# told DATABASE, CODE: for each step, what the code returns of the changes of orders, in order
sub told
{
	my ($database, $read) = @_;
	my @told;
	foreach my $step (@steps)
	{
		$node->safe_psql($database, $step->[1]);
		push(@told, "$step->[0]: " . $read->($database));
	}
	$node->safe_psql($database, q{DELETE FROM orders WHERE id >= 900; DELETE FROM orders_deleted WHERE id >= 900});
	return join('; ', @told);
}

my %expected = (
	in_place => 'INSERT: I I; UPDATE: U; DELETE: U; a restore: U; DELETE, again: U; a live row takes the key: D I; a purge: U D',
	filtered => 'INSERT: I I; UPDATE: U; DELETE: D; a restore: I; DELETE, again: D; a live row takes the key: I; a purge: D',
	aside => 'INSERT: I I; UPDATE: U; DELETE: D; a restore: I; DELETE, again: D; a live row takes the key: I; a purge: D');

# with_slot DATABASE, PLUGIN, CODE: the result of the code, while there is a slot
sub with_slot
{
	my ($database, $plugin, $code) = @_;
	$node->safe_psql($database, "SELECT pg_create_logical_replication_slot('reader', '$plugin')");
	my $result = $code->();
	$node->safe_psql($database, q{SELECT pg_drop_replication_slot('reader')});
	return $result;
}

# tells_both PLUGIN, CODE: what a consumer is told of each storage
sub tells_both
{
	my ($plugin, $read) = @_;
	foreach my $storage ('in_place', 'aside')
	{
		found($storage, 'what a consumer is told', $storage eq 'aside' ? 'DELETE, and INSERT of what is restored' : 'UPDATE of deleted_at; DELETE of what is purged',
			with_slot($storage, $plugin, sub { told($storage, $read) }), $expected{$storage});
	}
	return;
}

# in_short WORD...: the first letters of operations
sub in_short { return join(' ', map { uc(substr($_, 0, 1)) } @_) }

if (tool('wal2json', 'postgresql-MAJOR-wal2json'))
{
	my $read = sub { return in_short($node->safe_psql($_[0], q{SELECT data FROM pg_logical_slot_get_changes('reader', NULL, NULL, 'format-version', '2', 'add-tables', 'public.orders')}) =~ /"action":"([IUD])"/g) };
	tells_both('wal2json', $read);
}

if (tool('contrib: test_decoding', 'postgresql-MAJOR'))
{
	tells_both('test_decoding', sub { return in_short($node->safe_psql($_[0], q{SELECT data FROM pg_logical_slot_get_changes('reader', NULL, NULL)}) =~ /^table public\.orders: ([IUD])/mg) });
}

if (tool('decoderbufs', 'postgresql-MAJOR-decoderbufs'))
{
	my @operations = ('I', 'U', 'D');
	my $read = sub {
		my $changes = $node->safe_psql($_[0], q{SET client_min_messages = warning; SELECT data FROM pg_logical_slot_get_changes('reader', NULL, NULL, 'debug-mode', '1')});
		return in_short(map { $operations[$_] } $changes =~ /table\[public\.orders\], op\[(\d)\]/g);
	};
	tells_both('decoderbufs', $read);
}

if (tool('pgoutput, as Debezium reads it', 'postgresql-MAJOR'))
{
	# read DATABASE: the messages about rows, by their first byte
	my $read = sub {
		return $node->safe_psql($_[0], q{SELECT string_agg(chr(get_byte(data, 0)), ' ') FROM (
			SELECT data FROM pg_logical_slot_get_binary_changes('reader', NULL, NULL, 'proto_version', '1', 'publication_names', 'readers')) AS c
			WHERE chr(get_byte(data, 0)) IN ('I', 'U', 'D', 'T')});
	};
	$node->safe_psql($_, 'CREATE PUBLICATION readers FOR TABLE orders') foreach ('in_place', 'aside');
	tells_both('pgoutput', $read);
	$node->safe_psql($_, 'DROP PUBLICATION readers') foreach ('in_place', 'aside');
	$node->safe_psql('in_place', 'ALTER TABLE orders REPLICA IDENTITY FULL; CREATE PUBLICATION readers FOR TABLE orders WHERE (deleted_at IS NULL)');
	found('in_place', 'what is told by a publication WHERE (deleted_at IS NULL)', 'DELETE, and INSERT of what is restored', with_slot('in_place', 'pgoutput', sub { told('in_place', $read) }), $expected{filtered});
	$node->safe_psql('in_place', 'DROP PUBLICATION readers; ALTER TABLE orders REPLICA IDENTITY DEFAULT');
	is($node->safe_psql('in_place', 'SELECT count(*) FROM soft_delete.check() WHERE relation IS NOT NULL'), 0, 'check() finds nothing');
}

if (tool('logical replication', 'postgresql-MAJOR'))
{
	# the subscriber's tables have no tag
	$node->safe_psql('postgres', 'CREATE DATABASE subscriber');
	$node->safe_psql('subscriber', 'CREATE TABLE customers (id integer PRIMARY KEY, email text, name text); CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer, total numeric, note text)');
	my $all = 'SELECT id, email, name FROM customers ORDER BY id; SELECT id, customer_id, total, note FROM orders ORDER BY id';
	foreach my $storage ('in_place', 'aside')
	{
		my $column = $storage eq 'in_place' ? 'ALTER TABLE customers ADD deleted_at timestamptz; ALTER TABLE orders ADD deleted_at timestamptz;' : '';
		my $filter = $storage eq 'in_place' ? 'WHERE (deleted_at IS NULL)' : '';
		$node->safe_psql('subscriber', "TRUNCATE customers, orders; $column");
		$node->safe_psql($storage, 'ALTER TABLE customers REPLICA IDENTITY FULL; ALTER TABLE orders REPLICA IDENTITY FULL') if $column;
		$node->safe_psql($storage, "CREATE PUBLICATION live FOR TABLE customers $filter, orders $filter; SELECT pg_create_logical_replication_slot('live_$storage', 'pgoutput')");
		my $connection = $node->connstr($storage);
		$node->safe_psql('subscriber', "CREATE SUBSCRIPTION live CONNECTION \$\$$connection\$\$ PUBLICATION live WITH (create_slot = false, slot_name = 'live_$storage')");
		$node->poll_query_until('subscriber', q{SELECT bool_and(srsubstate IN ('r', 's')) FROM pg_subscription_rel}) or die;
		my $checked = $storage eq 'aside' ? 'first copy and changes' : 'first copy and changes, by a publication WHERE (deleted_at IS NULL)';
		my $same = is($node->safe_psql('subscriber', $all), live($storage), "$storage: the first copy has the live rows");
		$node->safe_psql($storage, q{DELETE FROM customers WHERE id IN (33, 34); INSERT INTO orders VALUES (33, 35, 1, 'new'); DELETE FROM orders_deleted WHERE id = 34;
			UPDATE customers_deleted SET deleted_at = NULL WHERE id = 34});
		$node->wait_for_catchup('live');
		found($storage, $checked, 'the subscriber has the live rows', $node->safe_psql('subscriber', $all), live($storage));
		$node->safe_psql('subscriber', 'DROP SUBSCRIPTION live');
		$node->safe_psql($storage, 'DROP PUBLICATION live; ALTER TABLE customers REPLICA IDENTITY DEFAULT; ALTER TABLE orders REPLICA IDENTITY DEFAULT');
		$node->safe_psql('subscriber', 'ALTER TABLE customers DROP deleted_at; ALTER TABLE orders DROP deleted_at') if $column;
	}
}

if (tool('pglogical', 'postgresql-MAJOR-pglogical'))
{
	foreach my $storage ('in_place', 'aside')
	{
		make_shop("copy_$storage", $storage, '');
		my $dsn = sub { return $node->connstr($_[0]) . q{ options='-c row_security=off'} };
		foreach my $database ($storage, "copy_$storage")
		{
			$node->safe_psql($database, sprintf(q{SET client_min_messages = warning; CREATE EXTENSION pglogical; SELECT pglogical.create_node('%s', $dsn$%s$dsn$)}, $database, $dsn->($database)));
		}
		$node->safe_psql($storage, "SELECT pglogical.replication_set_add_table('default', t::regclass) FROM unnest(ARRAY['customers', 'orders']) AS t");
		if ($storage eq 'in_place')
		{
			my $offset = -s $node->logfile;
			$node->safe_psql('copy_in_place', sprintf(q{SELECT pglogical.create_subscription('s_refused', $dsn$%s$dsn$, synchronize_data => true)}, $node->connstr('in_place')));
			eventually(30, sub { slurp_file($node->logfile, $offset) =~ /table copy failed/ });
			found('in_place', 'first copy', 'refused, with an error in the log', slurp_file($node->logfile, $offset), qr/COPY would leave out deleted rows of table.*PGOPTIONS="-c row_security=off".*HINT: +SET row_security = off;/s);
			$node->safe_psql('copy_in_place', q{SET client_min_messages = error; SELECT pglogical.drop_subscription('s_refused')});
			is(answer($node, 'copy_in_place', q{SELECT count(*) FROM orders TABLESAMPLE soft_delete.rows('all')}), 0, 'and nothing is copied');
		}
		$node->safe_psql("copy_$storage", sprintf(q{SELECT pglogical.create_subscription('s_%1$s', $dsn$%2$s$dsn$, synchronize_data => true)}, $storage, $dsn->($storage)));
		$node->poll_query_until("copy_$storage", q{SELECT count(*) > 0 AND bool_and(sync_status = 'r') FROM pglogical.local_sync_status}) or diag('no sync');
		# deleted rows that have stepped aside are in no table of the application's
		my $rows = $storage eq 'aside' ? 'SELECT id, note FROM orders ORDER BY id' : q{SELECT id, note, deleted_at FROM orders TABLESAMPLE soft_delete.rows('all') ORDER BY id};
		my $checked = $storage eq 'aside' ? 'first copy' : q{first copy, with "-c row_security=off" in the options of both nodes' DSN};
		is(answer($node, "copy_$storage", $rows), answer($node, $storage, $rows), "pglogical, $storage: first copy");
		$node->safe_psql($storage, q{DELETE FROM customers WHERE id = 44; UPDATE customers_deleted SET deleted_at = NULL WHERE id = 3});
		my $expected = answer($node, $storage, $rows);
		$node->poll_query_until("copy_$storage", 'SELECT count(*) = 4 FROM orders WHERE customer_id = 3');
		eventually(20, sub { answer($node, "copy_$storage", $rows) eq $expected });
		found($storage, "$checked, then a deletion and a restore", $storage eq 'aside' ? 'the subscriber has the live rows' : 'live and deleted rows are there, but those that stepped aside', answer($node, "copy_$storage", $rows), $expected);
	}
}

if (tool('Slony-I', 'slony1-2-bin'))
{
	my $cluster = sub {
		my ($storage) = @_;
		my $conninfo = join("\n", map { "node $_->[0] admin conninfo = '" . $node->connstr($_->[1]) =~ s/'//gr . " user=postgres';" } ([ 1, $storage ], [ 2, "slave_$storage" ]));
		return "cluster name = shop;\n$conninfo\n";
	};
	# slonik STORAGE, SCRIPT
	my $slonik = sub {
		my ($storage, $script) = @_;
		my $output = '';
		IPC::Run::run(['slonik'], '<', \($cluster->($storage) . $script), '>&', \$output) or diag($output);
	};
	foreach my $storage ('in_place', 'aside')
	{
		$node->safe_psql('postgres', "CREATE DATABASE slave_$storage");
		my $column = $storage eq 'in_place' ? ', deleted_at timestamptz' : '';
		$node->safe_psql("slave_$storage", "CREATE TABLE customers (id integer PRIMARY KEY, email text, name text$column); CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer, total numeric, note text$column)");
		my @conninfo = map { $node->connstr($_) =~ s/'//gr . ' user=postgres' } ($storage, "slave_$storage");
		$slonik->($storage, "init cluster (id = 1, comment = 'origin');
			store node (id = 2, comment = 'subscriber', event node = 1);
			store path (server = 1, client = 2, conninfo = '$conninfo[0]');
			store path (server = 2, client = 1, conninfo = '$conninfo[1]');
			create set (id = 1, origin = 1, comment = 'shop');
			set add table (set id = 1, origin = 1, id = 1, fully qualified name = 'public.customers');
			set add table (set id = 1, origin = 1, id = 2, fully qualified name = 'public.orders');");
		my @slons = map { IPC::Run::start([ 'slon', '-d', '0', '-s', '200', 'shop', $_ ], '<', \undef, '>&', "$tmp/slon_$storage") } @conninfo;
		$slonik->($storage, 'subscribe set (id = 1, provider = 1, receiver = 2, forward = no);');
		my $all = 'SELECT id, email, name FROM customers ORDER BY id; SELECT id, customer_id, total, note FROM orders ORDER BY id';
		my $reaches = sub {
			eventually(60, sub { answer($node, "slave_$storage", $all) eq live($storage) });
			return answer($node, "slave_$storage", $all);
		};
		is($reaches->(), live($storage), "Slony-I, $storage: the first copy");
		$node->safe_psql($storage, q{DELETE FROM customers WHERE id = 45; INSERT INTO orders VALUES (1, 46, 1, 'new'); DELETE FROM orders WHERE id = 47; UPDATE customers_deleted SET deleted_at = NULL WHERE id = 4});
		found($storage, 'first copy, then a deletion and a restore', 'the subscriber has the live rows', $reaches->(), live($storage));
		$_->kill_kill foreach @slons;
	}
}

done_testing();
