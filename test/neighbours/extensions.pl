# Extensions that read, index, watch or check tables: on tagged tables they answer as on plain ones.
# packages: postgresql-MAJOR-cron postgresql-MAJOR-pgaudit postgresql-MAJOR-hypopg postgresql-MAJOR-plpgsql-check
# packages: postgresql-MAJOR-pgtap postgresql-MAJOR-postgis-3 postgresql-MAJOR-rum postgresql-MAJOR-set-user
# packages: postgresql-MAJOR-dirtyread postgresql-MAJOR-pg-catcheck postgresql-MAJOR-pgvector postgresql-MAJOR-pg-hint-plan
# packages: postgresql-MAJOR-hll postgresql-MAJOR-pg-qualstats postgresql-MAJOR-pgq3
# packages: postgresql-plperl-MAJOR postgresql-plpython3-MAJOR postgresql-pltcl-MAJOR
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Neighbours;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# which libraries there are
my @libraries = grep { -e "/usr/lib/postgresql/$ENV{NEIGHBOURS_MAJOR}/lib/$_.so" } qw(pg_cron pgaudit set_user pg_hint_plan pg_qualstats);
my $node = start_shops("shared_preload_libraries = '" . join(', ', 'pg_stat_statements', @libraries) . "'\ncron.database_name = 'in_place'\ncron.use_background_workers = on\nmax_worker_processes = 20");

# ask SQL: what each database answers to it
sub ask
{
	my ($sql, %options) = @_;
	return sub { return answer($node, $_[0], $sql, %options) };
}

# asks EXTENSION, CHECKED, SQL: creates an extension in each database, and compares what it answers
sub asks
{
	my ($extension, $checked, $sql) = @_;
	return same($checked, ask("SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS $extension CASCADE; $sql"));
}

if (tool('pgaudit', 'postgresql-MAJOR-pgaudit'))
{
	# logged DATABASE: what the log says of a deletion there
	my $logged = sub {
		my ($database) = @_;
		my $offset = -s $node->logfile;
		$node->safe_psql($database, q{LOAD 'pgaudit'; SET pgaudit.log = 'write'; SET pgaudit.log_relation = on; BEGIN; DELETE FROM orders WHERE id = 12; ROLLBACK});
		my @lines = slurp_file($node->logfile, $offset) =~ /AUDIT: (SESSION.*)/g;
		return join("\n", @lines);
	};
	same('what a DELETE logs', $logged);
}

if (tool('hypopg', 'postgresql-MAJOR-hypopg'))
{
	asks('hypopg', 'a hypothetical index is used', q{
		CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RETURN QUERY EXECUTE ''EXPLAIN (COSTS OFF) '' || query; END';
		SET enable_seqscan = off;
		SELECT count(*) FROM hypopg_create_index('CREATE INDEX ON orders (total)');
		SELECT count(*) FROM plan('SELECT * FROM orders WHERE total = 70') AS p WHERE p ~ 'btree_orders_total'});
}

if (tool('plpgsql_check', 'postgresql-MAJOR-plpgsql-check'))
{
	asks('plpgsql_check', 'functions that delete, and one with a fault', q{
		CREATE FUNCTION good() RETURNS bigint LANGUAGE plpgsql AS
			'DECLARE n bigint; BEGIN DELETE FROM orders WHERE id = 1; GET DIAGNOSTICS n = ROW_COUNT; SELECT count(*) INTO n FROM orders WHERE total > 3; RETURN n; END';
		CREATE FUNCTION bad() RETURNS void LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders WHERE missing = 1; END';
		SELECT count(*) FROM plpgsql_check_function('good()');
		SELECT * FROM plpgsql_check_function('bad()') WHERE plpgsql_check_function ~ 'missing'});
}

if (tool('pgTAP', 'postgresql-MAJOR-pgtap'))
{
	asks('pgtap', 'assertions on data, keys, indexes and triggers', q{
		BEGIN;
		SELECT plan(7);
		SELECT results_eq('SELECT count(*)::int FROM customers', ARRAY[41], 'rows');
		SELECT is_empty('SELECT * FROM customers WHERE id = 2', 'a deleted row');
		SELECT lives_ok('DELETE FROM customers WHERE id = 20', 'DELETE');
		SELECT is_empty('SELECT * FROM orders WHERE customer_id = 20', 'with what goes with it');
		SELECT has_pk('customers'), col_is_pk('customers', 'id'), fk_ok('orders', 'customer_id', 'customers', 'id');
		ROLLBACK});
	found('in_place', 'col_is_unique() of a unique key', 'differs: the key is a partial unique index',
		answer($node, 'in_place', q{SELECT plan(1); SELECT col_is_unique('customers', 'email')}), qr/not ok/);
	found('aside', 'col_is_unique() of a unique key', 'as a plain table',
		answer($node, 'aside', q{SELECT plan(1); SELECT col_is_unique('customers', 'email')}), qr/^ok/m);
}

if (tool('PostGIS', 'postgresql-MAJOR-postgis-3'))
{
	asks('postgis', 'queries by a spatial index, and CLUSTER by a primary key', q{
		ALTER TABLE customers ADD place geometry(Point, 4326);
		UPDATE customers SET place = ST_SetSRID(ST_MakePoint(id, id), 4326);
		CREATE INDEX customers_place ON customers USING gist (place);
		DELETE FROM customers WHERE id = 30;
		SET enable_seqscan = off;
		SELECT id FROM customers WHERE place && ST_MakeEnvelope(28, 28, 32, 32, 4326) ORDER BY id;
		SELECT ST_AsText(ST_Extent(place)) FROM customers;
		SELECT id FROM customers ORDER BY place <-> ST_SetSRID(ST_MakePoint(30, 30.1), 4326) LIMIT 3;
		CLUSTER customers USING customers_pkey;
		ALTER TABLE customers DROP place});
}

if (tool('RUM', 'postgresql-MAJOR-rum'))
{
	asks('rum', 'full text search by its index', q{
		CREATE INDEX orders_rum ON orders USING rum (to_tsvector('simple', note) rum_tsvector_ops);
		SET enable_seqscan = off;
		DELETE FROM orders WHERE id = 21;
		SELECT id FROM orders WHERE to_tsvector('simple', note) @@ to_tsquery('simple', '20 | 21 | 22 | 23') ORDER BY id;
		DROP INDEX orders_rum});
}

if (tool('pgvector', 'postgresql-MAJOR-pgvector'))
{
	asks('vector', 'nearest neighbours by an HNSW index', q{
		ALTER TABLE customers ADD v vector(2);
		UPDATE customers SET v = ARRAY[id, id]::vector;
		CREATE INDEX customers_v ON customers USING hnsw (v vector_l2_ops);
		DELETE FROM customers WHERE id = 40;
		SET enable_seqscan = off;
		SELECT id FROM customers ORDER BY v <-> '[40.1,40]' LIMIT 3;
		ALTER TABLE customers DROP v});
}

if (tool('pg_hint_plan', 'postgresql-MAJOR-pg-hint-plan'))
{
	same('a hint chooses the scan', sub {
		my $plan = answer($node, $_[0], q{/*+ IndexScan(orders orders_pkey) */ EXPLAIN (COSTS OFF) SELECT sum(total) FROM orders WHERE id < 1000000});
		return ($plan =~ /(Index Scan using orders_pkey)/)[0] // $plan});
}

if (tool('set_user', 'postgresql-MAJOR-set-user'))
{
	$node->safe_psql('postgres', 'CREATE ROLE clerk_boss');
	$node->safe_psql($_, 'CREATE EXTENSION set_user; GRANT DELETE, SELECT ON orders TO clerk_boss') foreach ('plain', 'in_place', 'aside');
	same('a deletion by a role that set_user() has changed', ask(q{SELECT set_user('clerk_boss'); DELETE FROM orders WHERE id = 31 RETURNING id, current_user; SELECT reset_user(), current_user = session_user}));
	is(answer($node, 'in_place', 'SELECT deleted_by FROM orders_deleted WHERE id = 31'), 'clerk_boss', 'the ledger names that role');
}

if (tool('pg_dirtyread', 'postgresql-MAJOR-dirtyread'))
{
	asks('pg_dirtyread', 'it reads rows of the table\'s file',
		q{SELECT count(*) > 0 FROM pg_dirtyread('orders') AS t(id integer, customer_id integer) WHERE id = 199});
}

if (tool('pg_catcheck', 'postgresql-MAJOR-pg-catcheck'))
{
	same('the catalogs', sub {
		my $result = run_tool("/usr/lib/postgresql/" . major() . '/bin/pg_catcheck', $_[0]);
		$result =~ s/done \(.*//;
		return $result});
}

if (tool('contrib: amcheck, pg_amcheck', 'postgresql-MAJOR'))
{
	asks('amcheck', 'heaps and the B-trees of keys', q{
		SELECT relation, msg FROM (VALUES ('customers'::regclass), ('orders')) AS v(relation), verify_heapam(relation) UNION ALL SELECT 'orders', 'no more';
		SELECT bt_index_check('customers_pkey', true) IS NULL, bt_index_check('orders_pkey', true) IS NULL, bt_index_check('customers_email_key', true) IS NULL});
	same('a database', sub { return run_tool('pg_amcheck', '--heapallindexed', $_[0]) });
}

if (tool('contrib: pg_stat_statements', 'postgresql-MAJOR'))
{
	asks('pg_stat_statements', 'texts, calls and rows of statements', q{
		SELECT pg_stat_statements_reset() \gset
		DELETE FROM orders WHERE id IN (51, 52); SELECT count(*) FROM customers; SELECT count(*) FROM customers;
		SELECT query, calls, rows FROM pg_stat_statements WHERE query ~ 'orders|customers' AND query !~ 'pg_stat' ORDER BY query COLLATE "C"});
}

if (tool('contrib: auto_explain', 'postgresql-MAJOR'))
{
	# its log has the condition that hides deleted rows, of a table in place
	my $plan = sub {
		my ($database) = @_;
		my $offset = -s $node->logfile;
		$node->safe_psql($database, q{LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on; SET auto_explain.log_timing = off; SELECT count(*) FROM customers});
		return join("\n", map { s/^\s+|\s+$//gr } grep { /Seq Scan|Query Text|Index/ } map { s/.*?cost=\S+ //r } split(/\n/, slurp_file($node->logfile, $offset) =~ s/ \(cost=.*? rows=\d+ width=\d+\)//gr));
	};
	same('plans of a query, with the rows that it reads', $plan);
}

if (tool('pg_qualstats', 'postgresql-MAJOR-pg-qualstats'))
{
	asks('pg_qualstats', 'conditions on the columns of the application', q{
		SET pg_qualstats.sample_rate = 1; SET enable_indexscan = off; SET enable_bitmapscan = off;
		SELECT pg_qualstats_reset() \gset
		SELECT count(*) FROM orders WHERE total = 70 AND id > 5;
		SELECT attname, sum(occurences) FROM pg_qualstats JOIN pg_attribute ON attrelid = lrelid AND attnum = lattnum
		WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND lrelid = 'orders'::regclass AND attname <> 'deleted_at' GROUP BY attname ORDER BY attname;
		DROP EXTENSION pg_qualstats});
}

if (tool('PgQ', 'postgresql-MAJOR-pgq3'))
{
	asks('pgq', 'events of its triggers', q{
		SELECT pgq.create_queue('q');
		CREATE TRIGGER queued AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION pgq.sqltriga('q', 'ignore=deleted_at');
		INSERT INTO orders VALUES (700, 15, 1, 'a'); UPDATE orders SET note = 'b' WHERE id = 700; DELETE FROM orders WHERE id = 700;
		SELECT ev_type, ev_data FROM pgq.event_template ORDER BY ev_id;
		DROP TRIGGER queued ON orders;
		SELECT pgq.drop_queue('q', true)});
}

foreach my $language ([ 'PL/Perl', 'plperl', 'postgresql-plperl-MAJOR', q{my $rv = spi_exec_query('DELETE FROM orders WHERE id = 72'); return $rv->{processed} . ' ' . spi_exec_query('SELECT count(*) AS n FROM orders')->{rows}[0]{n};} ],
	[ 'PL/Python', 'plpython3u', 'postgresql-plpython3-MAJOR', q{return str(plpy.execute('DELETE FROM orders WHERE id = 72').nrows()) + ' ' + str(plpy.execute('SELECT count(*) AS n FROM orders')[0]['n'])} ],
	[ 'PL/Tcl', 'pltcl', 'postgresql-pltcl-MAJOR', q{set n [spi_exec "DELETE FROM orders WHERE id = 72"]; spi_exec "SELECT count(*) AS m FROM orders"; return "$n $m"} ])
{
	my ($name, $extension, $package, $body) = @{$language};
	next if !tool($name, $package);
	asks($extension, 'a function that deletes, and counts what it has deleted', "BEGIN; CREATE FUNCTION deletes() RETURNS text LANGUAGE $extension AS \$body\$$body\$body\$; SELECT deletes(); ROLLBACK");
}

if (tool('contrib: citext, hstore, ltree, pg_trgm, btree_gist', 'postgresql-MAJOR'))
{
	foreach my $storage ('plain', 'in_place', 'aside')
	{
		$node->safe_psql($storage, q{SET client_min_messages = warning; CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gist;
			CREATE TABLE typed (id integer PRIMARY KEY, name citext UNIQUE, tags hstore, path ltree, room integer, during int4range, EXCLUDE USING gist (room WITH =, during WITH &&));
			CREATE INDEX ON typed USING gin (tags); CREATE INDEX ON typed USING gist (path); CREATE INDEX ON typed USING gin ((name::text) gin_trgm_ops)});
		$node->safe_psql($storage, "SELECT soft_delete.tag('typed', storage => '$storage')") if $storage ne 'plain';
	}
	same('types, their indexes and keys', ask(q{
		INSERT INTO typed SELECT g, 'Name ' || g, hstore('a', g::text), ('top.n' || g)::ltree, g, '[1,5)' FROM generate_series(1, 50) AS g;
		DELETE FROM typed WHERE name = 'NAME 7' RETURNING id, tags, path;
		INSERT INTO typed VALUES (51, 'name 7', 'a=>7', 'top.again', 7, '[2,3)');
		SET enable_seqscan = off;
		SELECT id FROM typed WHERE tags @> 'a=>7'; SELECT id FROM typed WHERE path <@ 'top.n7'; SELECT id FROM typed WHERE name::text LIKE '%ame 7%';
		INSERT INTO typed VALUES (52, 'NAME 7') ON CONFLICT (name) DO NOTHING RETURNING id; INSERT INTO typed VALUES (52, 'x', NULL, NULL, 7, '[1,9)') ON CONFLICT DO NOTHING RETURNING id}));
	is($node->safe_psql($_, q{SELECT id, name, tags, path, room, during FROM typed_deleted}), '7|Name 7|"a"=>"7"|top.n7|7|[1,5)', "$_: the deleted row is as it was") foreach ('in_place', 'aside');
	$node->safe_psql($_, 'SET client_min_messages = warning; DROP TABLE typed CASCADE') foreach ('plain', 'in_place', 'aside');
}

if (tool('hll', 'postgresql-MAJOR-hll'))
{
	asks('hll', 'it counts live rows', q{SELECT hll_cardinality(hll_add_agg(hll_hash_integer(id))) FROM customers});
}

if (tool('contrib: tsm_system_rows', 'postgresql-MAJOR'))
{
	$node->safe_psql($_, 'CREATE TABLE samples (id integer PRIMARY KEY)') foreach ('plain', 'in_place', 'aside');
	$node->safe_psql($_, "SELECT soft_delete.tag('samples', storage => '$_')") foreach ('in_place', 'aside');
	asks('tsm_system_rows', 'as many rows as are asked for', q{
		INSERT INTO samples SELECT generate_series(1, 1000);
		DELETE FROM samples WHERE id > 100;
		SELECT count(*), bool_and(id <= 100) FROM samples TABLESAMPLE system_rows(50)});
}

if (tool('contrib: postgres_fdw', 'postgresql-MAJOR'))
{
	my $port = $node->port;
	my $host = $node->host;
	# imported DATABASE, OPTION: a database that imports its tables
	my $imported = sub {
		my ($database, $tables) = @_;
		return answer($node, 'postgres', qq{
			SET client_min_messages = warning;
			CREATE EXTENSION IF NOT EXISTS postgres_fdw;
			DROP SERVER IF EXISTS other CASCADE;
			DROP SCHEMA IF EXISTS imported CASCADE;
			CREATE SCHEMA imported;
			CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname '$database');
			CREATE USER MAPPING FOR CURRENT_USER SERVER other;
			IMPORT FOREIGN SCHEMA public $tables FROM SERVER other INTO imported;
			DELETE FROM imported.orders WHERE id = 61 RETURNING id;
			INSERT INTO imported.orders (id, customer_id, note) VALUES (1000, 15, 'new');
			UPDATE imported.orders SET note = 'newer' WHERE id = 1000 RETURNING note;
			DELETE FROM imported.orders WHERE id = 1000;
			UPDATE imported.orders SET note = 'not there' WHERE id = 1000;
			SELECT count(*), sum(id) FROM imported.orders;
			SELECT count(*) FROM imported.customers JOIN imported.orders ON customer_id = customers.id});
	};
	same('IMPORT FOREIGN SCHEMA, LIMIT TO tables', sub { return $imported->($_[0], 'LIMIT TO (customers, orders)') });
	same('IMPORT FOREIGN SCHEMA, EXCEPT bins', sub { return $imported->($_[0], $_[0] eq 'plain' ? 'LIMIT TO (customers, orders)' : 'EXCEPT (customers_deleted, orders_deleted, samples_deleted)') });
}

if (tool('contrib: postgres_fdw', 'postgresql-MAJOR'))
{
	foreach my $storage ('in_place', 'aside')
	{
		my $server = sprintf(q{
			SET client_min_messages = warning;
			DROP SERVER other CASCADE;
			CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%1$s', port '%2$s', dbname '%3$s');
			CREATE USER MAPPING FOR CURRENT_USER SERVER other;}, $node->host, $node->port, $storage);
		$node->safe_psql($storage, qq{CREATE SCHEMA apart; CREATE TABLE apart.things (id integer PRIMARY KEY);
			SELECT soft_delete.tag('apart.things', storage => '$storage'); INSERT INTO apart.things SELECT generate_series(1, 4); DELETE FROM apart.things WHERE id < 4});
		my $import = "$server IMPORT FOREIGN SCHEMA apart FROM SERVER other INTO imported;";
		found($storage, 'IMPORT FOREIGN SCHEMA, whole', 'has the live rows, and the bin', answer($node, 'postgres', "$import SELECT id FROM imported.things;
			SELECT id, deleted_at IS NOT NULL, deleted_by IS NOT NULL, stored_in IS NOT NULL, stored_place IS NOT NULL FROM imported.things_deleted ORDER BY id"),
			"4\n1|t|t|t|t\n2|t|t|t|t\n3|t|t|t|t");
		found($storage, 'the bin as a foreign table: restore, purge', 'as the bin', answer($node, 'postgres', "$import UPDATE imported.things_deleted SET deleted_at = NULL WHERE id = 1;
			DELETE FROM imported.things_deleted WHERE id = 2; SELECT id FROM imported.things_deleted; SELECT id FROM imported.things ORDER BY id"), "3\n1\n4");
	}
}

if (tool('contrib: dblink', 'postgresql-MAJOR'))
{
	same('a deletion', ask(sprintf(q{SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS dblink; SELECT dblink_connect('host=%s port=%s dbname=' || current_database());
		SELECT dblink_exec('DELETE FROM orders WHERE id = 73'); SELECT * FROM dblink('SELECT count(*) FROM orders WHERE id BETWEEN 71 AND 75') AS d(n integer)}, $node->host, $node->port)));
}

if (tool('pg_cron', 'postgresql-MAJOR-cron'))
{
	# a job begins with any minute, and so comes last: it would come between answers that are compared
	$node->safe_psql('in_place', q{CREATE EXTENSION pg_cron});
	$node->safe_psql('in_place', sprintf(q{SELECT cron.schedule_in_database('%1$s', '* * * * *', 'DELETE FROM orders WHERE id = 41', '%1$s')}, $_)) foreach ('in_place', 'aside');
	foreach my $storage ('in_place', 'aside')
	{
		eventually(90, sub { $node->safe_psql($storage, 'SELECT count(*) FROM orders_deleted WHERE id = 41') });
		found($storage, 'a job that deletes', 'its deletions are soft', answer($node, $storage, 'SELECT count(*) FROM orders WHERE id = 41; SELECT count(*) FROM orders_deleted WHERE id = 41'), "0\n1");
	}
}

done_testing();
