# Who works with tables of Citus that are not tagged notices nothing of the extension: each command answers as in a
# database without it, where other tables are tagged, and a schema too.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Citus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node) = start_citus();
add_database($_) foreach ('plain', 'app');
$node->safe_psql('app', q{
	SET client_min_messages = warning;
	CREATE EXTENSION soft_delete;
	CREATE TABLE tagged (id integer PRIMARY KEY);
	CREATE TABLE tagged_aside (id integer PRIMARY KEY);
	SELECT soft_delete.tag('tagged'), soft_delete.tag('tagged_aside', storage => 'aside');
	INSERT INTO tagged VALUES (1), (2);
	INSERT INTO tagged_aside VALUES (1), (2);
	DELETE FROM tagged WHERE id = 1;
	DELETE FROM tagged_aside WHERE id = 1;
	CREATE SCHEMA shop;
	SELECT soft_delete.tag_schema('shop', exempt => '{customers, orders, items, countries, events, events_1, events_2, notes, docs, temporary}', storage => 'aside')});
$node->safe_psql('plain', 'CREATE SCHEMA shop');

# same NAME, SQL: both databases answer the same, and not an error unless the name says so
sub same
{
	my ($name, $sql) = @_;
	# names of shards are not the same
	my ($plain, $app) = map { answer($node, $_, "SET search_path = shop, public; SET client_min_messages = warning; $sql") =~ s/_1\d{5}\b/_SHARD/gr } ('plain', 'app');
	is($app, $plain, $name);
	unlike($plain, qr/ERROR/, "$name: without an error") unless $name =~ /refuses/;
	return;
}

my $rows = q{SELECT count(*), sum(id) FROM customers; SELECT count(*), sum(id), sum(customer_id) FROM orders; SELECT count(*), min(code), max(code) FROM countries};
same('tables, before they are distributed', q{
	CREATE TABLE countries (code text PRIMARY KEY, name text);
	CREATE TABLE customers (id bigint PRIMARY KEY, email text, country text);
	CREATE TABLE orders (id bigint, customer_id bigint, note text, PRIMARY KEY (customer_id, id));
	INSERT INTO countries VALUES ('DE', 'Germany'), ('FR', 'France');
	INSERT INTO customers SELECT g, g || '@example.org', 'DE' FROM generate_series(1, 100) AS g;
	INSERT INTO orders SELECT g, (g - 1) % 100 + 1, 'note' FROM generate_series(1, 500) AS g});
same('create_reference_table()', "SELECT create_reference_table('countries'); $rows");
same('create_distributed_table()', "SELECT create_distributed_table('customers', 'id'); SELECT create_distributed_table('orders', 'customer_id', colocate_with => 'customers'); $rows");
same('truncate_local_data_after_distributing_table()', "SELECT truncate_local_data_after_distributing_table('customers'); $rows");
same('foreign keys', q{
	ALTER TABLE customers ADD FOREIGN KEY (country) REFERENCES countries;
	ALTER TABLE orders ADD CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE});
same('DELETE with a cascade', "DELETE FROM customers WHERE id <= 10; DELETE FROM orders WHERE customer_id = 20 AND id = 20 RETURNING *; $rows");
same('a foreign key that refuses', "DELETE FROM countries WHERE code = 'DE'");
same('INSERT, UPDATE, upsert, MERGE', q{
	INSERT INTO orders VALUES (1, 20, 'new') ON CONFLICT (customer_id, id) DO UPDATE SET note = EXCLUDED.note;
	UPDATE orders SET note = 'changed' WHERE customer_id = 21;
	MERGE INTO orders USING customers AS c ON orders.customer_id = c.id AND c.id IN (22, 23) WHEN MATCHED THEN DELETE;
	SELECT note, count(*) FROM orders GROUP BY note ORDER BY note});
same('columns', q{
	ALTER TABLE orders ADD COLUMN total numeric DEFAULT 1, ADD COLUMN extra text;
	ALTER TABLE orders DROP COLUMN extra;
	ALTER TABLE orders RENAME COLUMN note TO remark;
	ALTER TABLE orders ALTER COLUMN total TYPE bigint;
	SELECT sum(total), count(remark) FROM orders});
same('indexes, views and renames', q{
	CREATE INDEX orders_total ON orders (total);
	CREATE VIEW totals AS SELECT customer_id, sum(total) AS total FROM orders GROUP BY 1;
	SELECT count(*), sum(total) FROM totals;
	ALTER TABLE orders RENAME TO renamed;
	SELECT sum(total) FROM totals;
	ALTER TABLE renamed RENAME TO orders});
same('a trigger, where they are allowed', q{
	SET citus.enable_unsafe_triggers = on;
	CREATE FUNCTION shop.upper_remark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.remark := upper(NEW.remark); RETURN NEW; END';
	SELECT create_distributed_function('shop.upper_remark()');
	CREATE TRIGGER upper_remark BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION shop.upper_remark();
	INSERT INTO orders VALUES (2000, 50, 'loud') RETURNING remark;
	DROP TRIGGER upper_remark ON orders});
same('partitions', q{
	CREATE TABLE events (id bigint, at date) PARTITION BY RANGE (at);
	CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
	SELECT create_distributed_table('events', 'id');
	CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
	INSERT INTO events SELECT g, date '2026-01-01' + (g % 59)::integer FROM generate_series(1, 200) AS g;
	DELETE FROM events WHERE id % 2 = 0;
	ALTER TABLE events DETACH PARTITION events_2;
	SELECT count(*) FROM events; SELECT count(*) FROM events_2});
foreach my $mode ('block_writes', 'force_logical')
{
	same("a shard moves, $mode", qq{
		DO \$\$
		DECLARE
			moved record;
		BEGIN
			SELECT s.shardid, s.nodename AS n1, s.nodeport AS p1, t.nodename AS n2, t.nodeport AS p2 INTO moved
			FROM citus_shards AS s, pg_dist_node AS t WHERE table_name = 'customers'::regclass AND s.nodeport <> t.nodeport ORDER BY shardid, t.nodeport LIMIT 1;
			PERFORM citus_move_shard_placement(moved.shardid, moved.n1, moved.p1, moved.n2, moved.p2, shard_transfer_mode => '$mode');
		END
		\$\$; $rows});
	same("a tenant is isolated, $mode", "SELECT isolate_tenant_to_new_shard('customers', @{[ $mode eq 'block_writes' ? 30 : 31 ]}, 'CASCADE', shard_transfer_mode => '$mode') IS NOT NULL; $rows");
}
same('rebalance_table_shards()', "SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes'); $rows");
same('alter_distributed_table()', "SELECT alter_distributed_table('customers', shard_count => 4, cascade_to_colocated => true); SELECT count(*) FROM citus_shards WHERE table_name = 'orders'::regclass; $rows");
same('create_distributed_table_concurrently()', "CREATE TABLE items (id bigint PRIMARY KEY, n integer); INSERT INTO items SELECT g, g FROM generate_series(1, 50) AS g; SELECT create_distributed_table_concurrently('items', 'id'); SELECT count(*), sum(n) FROM items");
same('undistribute_table()', "SELECT undistribute_table('items'); SELECT count(*), sum(n) FROM items; SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'items'::regclass");
same('alter_table_set_access_method()', "SELECT alter_table_set_access_method('items', 'columnar'); SELECT count(*), sum(n) FROM items; SELECT alter_table_set_access_method('items', 'heap'); DELETE FROM items WHERE id < 11; SELECT count(*) FROM items");
same('a local table with a foreign key to a reference table', q{
	CREATE TABLE notes (id integer PRIMARY KEY, country text REFERENCES countries, note text);
	INSERT INTO notes VALUES (1, 'DE', 'one'), (2, 'FR', 'two');
	DELETE FROM notes WHERE id = 1;
	SELECT id, note FROM notes;
	SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'notes'::regclass;
	ALTER TABLE notes DROP CONSTRAINT notes_country_fkey;
	SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'notes'::regclass;
	ALTER TABLE notes ADD FOREIGN KEY (country) REFERENCES countries;
	SELECT id, note FROM notes});
same('a table that Citus manages', q{SET citus.use_citus_managed_tables = on; CREATE TABLE docs (id integer PRIMARY KEY, n integer); INSERT INTO docs VALUES (1, 1); SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'docs'::regclass; SELECT * FROM docs});
same('a schema of a tenant', q{
	SET citus.enable_schema_based_sharding = on;
	CREATE SCHEMA tenant;
	CREATE TABLE tenant.t (id integer PRIMARY KEY, n integer);
	INSERT INTO tenant.t SELECT g, g FROM generate_series(1, 10) AS g;
	DELETE FROM tenant.t WHERE id < 4;
	SELECT count(*), sum(n) FROM tenant.t;
	SELECT count(*) FROM pg_dist_schema});
same('TRUNCATE and DROP TABLE', 'TRUNCATE orders; SELECT count(*) FROM orders; DROP VIEW totals; DROP TABLE orders, items, events, events_2, docs; SELECT count(*) FROM customers');

# the tables of the tagged schema that are exempt have become no tagged ones, nor have their shards
is($node->safe_psql('app', 'SELECT relation FROM soft_delete.tables ORDER BY 1; SELECT count(*) FROM tagged_deleted; SELECT count(*) FROM tagged_aside_deleted; SELECT exempt FROM soft_delete.tagged_schemas'),
	"tagged\ntagged_aside\n1\n1\n{customers,orders,items,countries,events,events_1,events_2,notes,docs,temporary}", 'what is tagged is as it was');
is($node->safe_psql('app', q{SELECT result FROM run_command_on_all_nodes($$SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~soft_delete%' AND tgrelid::regclass::text ~ '_\d{6}$'$$)}), "0\n0\n0", 'no shard is tagged');
# shards that have moved or been split go later
$node->safe_psql('app', 'SET client_min_messages = warning; CALL citus_cleanup_orphaned_resources()');
is(answer($node, 'app', 'SELECT * FROM soft_delete.check()'), '', 'check() finds nothing');
like(answer($node, 'app', q{SELECT soft_delete.tag_schema('tenant')}), qr/^ERROR:  cannot tag schema "tenant", which Citus distributes$/m, 'a distributed schema cannot be tagged');
# a new table of a tagged schema can be used, and is refused by Citus
is(answer($node, 'app', q{SET client_min_messages = warning; CREATE TABLE shop.added (id integer PRIMARY KEY); INSERT INTO shop.added VALUES (1), (2); DELETE FROM shop.added WHERE id = 1; SELECT id FROM shop.added_deleted}), '1', 'a new table of a tagged schema');
like(answer($node, 'app', q{SELECT create_distributed_table('shop.added', 'id')}), qr/^ERROR:  cannot distribute relation "added" because it has triggers$/m, 'it cannot be distributed');
is(answer($node, 'app', q{SET client_min_messages = warning; SELECT soft_delete.untag('shop.added', tombstones => 'keep'); SELECT create_distributed_table('shop.added', 'id'); SELECT count(*) FROM shop.added}) =~ s/^\n+//r, 2, 'untagged, it can be');

done_testing();
