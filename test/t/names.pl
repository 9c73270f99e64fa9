# The ledger names the tables of a restore, while other sessions change the relation cache
# all the time.
#
# Fails where names are kept beyond the next one that is looked up.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $restores = 500;
my $node = start_node('names');
$node->safe_psql('postgres', q{
	CREATE EXTENSION soft_delete;
	CREATE TABLE t1 (id integer PRIMARY KEY);
	CREATE TABLE t2 (id integer PRIMARY KEY REFERENCES t1 ON DELETE CASCADE);
	CREATE TABLE t3 (id integer PRIMARY KEY REFERENCES t2 ON DELETE CASCADE);
	CREATE TABLE t4 (id integer PRIMARY KEY REFERENCES t3 ON DELETE CASCADE);
	CREATE TABLE t5 (id integer PRIMARY KEY REFERENCES t4 ON DELETE CASCADE);
	CREATE TABLE other (id integer);
	SELECT soft_delete.tag('t1', cascade => true);
	INSERT INTO t1 VALUES (1); INSERT INTO t2 VALUES (1); INSERT INTO t3 VALUES (1); INSERT INTO t4 VALUES (1); INSERT INTO t5 VALUES (1);
	-- all that ALTER TABLE tells other sessions, and nothing else
	CREATE PROCEDURE change_cache() LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			UPDATE pg_class SET reltuples = reltuples + 1 WHERE oid = 'other'::regclass;
			COMMIT;
		END LOOP;
	END $$;
	CREATE PROCEDURE restore(n integer) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. n LOOP
			DELETE FROM t1;
			UPDATE t1_deleted SET deleted_at = NULL;
			COMMIT;
		END LOOP;
	END $$});

my $other = $node->background_psql('postgres', on_error_stop => 0);
$other->query_safe('SET allow_system_table_mods = on');
$other->query_until(qr/^begun$/m, "\\echo begun\nCALL change_cache();\n");
$node->safe_psql('postgres', "CALL restore($restores)");
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL change%'});
is($node->safe_psql('postgres', q{SELECT table_name, sum(rows) FROM soft_delete_internal.events WHERE event = 'restored' GROUP BY 1 ORDER BY 1}),
	join("\n", map { "public.t$_|$restores" } 1 .. 5), 'each row is recorded under the name of its table');
$node->stop;
done_testing();
