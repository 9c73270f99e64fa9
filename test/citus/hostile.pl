# Ordinary roles that may not, and owners who mean harm, on the coordinator and on workers: nobody reads, restores or
# destroys deleted rows of sharded tables without a right, says when a row was deleted, or keeps others from their tables.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Citus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $worker) = start_citus();
$node->append_conf('postgresql.conf', q{
	shared_preload_libraries = 'citus, soft_delete'
	soft_delete.purge_grace = 0});
$node->restart;
add_database('app');
# ask SQL, on_worker SQL: what a session of the coordinator, or of a worker, answers
sub clean { return $_[0] =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
sub ask { return clean(answer($node, 'app', "SET client_min_messages = error; $_[0]")) }
sub on_worker { return clean(answer($worker, 'app', "SET client_min_messages = error; $_[0]")) }

$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE EXTENSION soft_delete;
	CREATE ROLE keeper LOGIN; CREATE ROLE clerk LOGIN; CREATE ROLE evil LOGIN;
	CREATE SCHEMA shop; GRANT ALL ON SCHEMA shop TO keeper, evil; GRANT USAGE ON SCHEMA shop TO clerk;
	CREATE SCHEMA lair; GRANT ALL ON SCHEMA lair TO evil;
	ALTER DEFAULT PRIVILEGES FOR ROLE keeper GRANT ALL ON TABLES TO clerk;
	SET ROLE keeper;
	CREATE TABLE shop.t (k integer PRIMARY KEY, secret text); SELECT create_distributed_table('shop.t', 'k', colocate_with => 'none');
	INSERT INTO shop.t SELECT g, 'secret ' || g FROM generate_series(1, 100) AS g;
	SELECT soft_delete.tag('shop.t', storage => 'aside');
	RESET ROLE;
	ALTER DEFAULT PRIVILEGES FOR ROLE keeper REVOKE ALL ON TABLES FROM clerk;
	SET ROLE keeper;
	REVOKE ALL ON shop.t FROM clerk; GRANT SELECT, DELETE ON shop.t TO clerk;
	DELETE FROM shop.t WHERE k <= 50});
my $counts = 'SELECT (SELECT count(*) FROM shop.t), (SELECT count(*) FROM shop.t_deleted)';

# a bin is granted by name, and so are its shards
ask($_) foreach ('SET ROLE keeper; GRANT SELECT ON ALL TABLES IN SCHEMA shop TO evil', 'GRANT ALL ON ALL TABLES IN SCHEMA shop TO clerk; REVOKE INSERT, UPDATE, TRUNCATE, REFERENCES, TRIGGER ON shop.t FROM clerk');
is(ask("SET ROLE $_; SELECT count(*) FROM shop.t; SELECT count(*) FROM shop.t_deleted"), "50\nERROR:  permission denied for table t_deleted", "$_ has what is granted on all tables of a schema, but for the bin") foreach ('clerk', 'evil');
is(on_worker('SET ROLE clerk; SELECT count(*) FROM shop.t; SELECT count(*) FROM shop.t_deleted'), "50\nERROR:  permission denied for table t_deleted", 'on a worker, too');
is(ask(q{SELECT string_agg(DISTINCT result, ',') FROM run_command_on_all_nodes($$SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relname LIKE 't\_deleted%' AND grantee <> relowner$$)}), 0, 'default privileges gave nobody a shard of it');
is(ask(q{SELECT string_agg(DISTINCT result, ',') FROM run_command_on_shards('shop.t', $$SELECT has_table_privilege('evil', '%s', 'SELECT')$$)}), 't', 'shards of the table have what it has');
my $shards = q{SET citus.override_table_visibility = off; SELECT min('shop.' || relname) FILTER (WHERE relname LIKE 't\_deleted%') AS bin, min('shop.' || relname) FILTER (WHERE relname NOT LIKE 't\_deleted%') AS shard FROM pg_class WHERE relname ~ '^t(_deleted)?_[0-9]+$' AND relnamespace = 'shop'::regnamespace} . " \\gset\n";
foreach my $sql ('SELECT * FROM :bin', 'DELETE FROM :bin', 'UPDATE :bin SET deleted_at = NULL', 'INSERT INTO :bin SELECT 1', 'COPY :bin TO STDOUT', q{SET citus.enable_manual_changes_to_shards = on; TRUNCATE :bin}, q{SET citus.enable_manual_changes_to_shards = on; TRUNCATE :shard})
{
	like(on_worker("$shards SET ROLE clerk; $sql;"), qr/^ERROR:  permission denied for table t_(?:deleted_)?\d+\n?\z/m, "on a worker: $sql");
}
is(on_worker("$shards SET ROLE clerk; BEGIN; DELETE FROM :shard; SELECT count(*) = 0 FROM :shard; RESET ROLE; SELECT count(*) > 0 FROM :bin WHERE deleted_by = 'clerk'; ROLLBACK"), "t\nt", 'what is deleted from a shard by its name is kept');
like(on_worker("SET ROLE clerk; SELECT $_"), qr/^ERROR:  permission denied for schema soft_delete_internal/m, "on a worker: $_") foreach (q{soft_delete_internal.change_shards('shop.t', 'DELETE FROM shop.t_deleted')}, q{* FROM soft_delete_internal.query_as_owner('shop.t', 'SELECT * FROM shop.t_deleted') AS q(k integer)}, q{soft_delete_internal.restore_sharded('shop.t', 'true')});
like(ask(q{SET ROLE clerk; SELECT DISTINCT success, substr(result, 1, 24) FROM run_command_on_workers('SELECT count(*) FROM shop.t_deleted')}), qr/\A(?:f\|ERROR:  permission denie|ERROR:  )/, 'by commands on workers');
is(ask($counts), '50|50', 'nothing has changed');

# nobody says when a row was deleted
foreach my $stamp ('2000-01-01', '2100-01-01')
{
	my $forge = "SET ROLE clerk; BEGIN; SELECT assign_distributed_transaction_id(1, 4711, '$stamp')";
	is($_->("$shards $forge; DELETE FROM :shard; DELETE FROM shop.t WHERE k IN (98, 99); COMMIT; RESET ROLE; SELECT count(*) > 2, bool_and(abs(extract(epoch FROM clock_timestamp() - deleted_at)) < 100000) FROM shop.t_deleted WHERE deleted_by = 'clerk'; UPDATE shop.t_deleted SET deleted_at = NULL WHERE deleted_by = 'clerk'"), 't|t', "a stamp that is forged: $stamp") foreach (\&ask, \&on_worker);
}

# names that look like shards, and triggers of ours on tables of others
foreach my $of (\&ask, \&on_worker)
{
	my $name = $of->("$shards SELECT replace(:'bin', 'shop.', 'lair.')") =~ s/\n//gr;
	my $made = $of->("SET citus.enable_ddl_propagation = off; SET ROLE evil;
CREATE TABLE $name (k integer, secret text, deleted_at timestamptz, deleted_by text, hold text[], unlinked jsonb);
SELECT split_part(encode(tgargs, 'escape'), E'\\\\000', 1) AS tag FROM pg_trigger WHERE tgrelid = 'shop.t_deleted'::regclass AND tgname = '~soft_delete_shard_bin' \\gset
SET citus.enable_unsafe_triggers = on;
CREATE TRIGGER \"~soft_delete_shard_bin\" AFTER UPDATE ON $name REFERENCING OLD TABLE AS soft_delete_old NEW TABLE AS soft_delete_new FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.restore_shard_rows(:'tag', 'deleted_at');
CREATE TRIGGER x AFTER DELETE ON $name FOR EACH ROW EXECUTE FUNCTION soft_delete.keep_shard_row(:'tag', 'deleted_at');
CREATE TRIGGER y BEFORE TRUNCATE ON $name FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.keep_truncated(:'tag', 'deleted_at');
INSERT INTO $name VALUES (1, 'forged', now()); SELECT length(:'tag')");
	is($made, 32, 'a table that is called as a shard, with triggers of ours') or diag($made);
	like($of->("SET ROLE evil; $_ $name" . (/UPDATE/ ? ' SET deleted_at = NULL' : '')), qr/^ERROR:  there is no (?:table for the rows of bin|bin for (?:the )?rows)/m, "$_ of it reaches nothing") foreach ('UPDATE', 'DELETE FROM', 'TRUNCATE');
	is(ask($counts), '50|50', 'and changes nothing');
	$of->("SET citus.enable_ddl_propagation = off; DROP TABLE $name");
}

# a table that somebody has tagged by hand, without a bin, is no concern of others
$node->safe_psql('app', q{
	SET client_min_messages = error;
	SET ROLE evil; SET citus.enable_unsafe_triggers = on;
	CREATE TABLE shop.blocker (k integer PRIMARY KEY); SELECT create_distributed_table('shop.blocker', 'k', colocate_with => 'none');
	CREATE TRIGGER x AFTER DELETE ON shop.blocker FOR EACH ROW EXECUTE FUNCTION soft_delete.keep_shard_row('a', 'deleted_at')});
is(ask("SET ROLE keeper; BEGIN; DROP TABLE shop.t, shop.t_deleted; SELECT to_regclass('shop.t_deleted'); ROLLBACK; RESET ROLE; BEGIN; DROP SCHEMA shop CASCADE; SELECT to_regnamespace('shop'); ROLLBACK"), '', 'others drop their tables with their bins');
like(ask('DROP TABLE shop.t_deleted'), qr/^ERROR:  cannot drop the bin of tagged table "shop\.t"/m, 'and no bin alone');
like(ask(q{DROP TRIGGER "~soft_delete_shard_bin" ON shop.t_deleted}), qr/^ERROR:  cannot drop the bin of tagged table "shop\.t"|^ERROR:  triggers are not supported/m, 'nor its trigger');
ask('DROP TABLE shop.blocker');

# an owner's functions take their time, and not that of others
$node->safe_psql('app', q{
	SET client_min_messages = error;
	SET ROLE evil;
	CREATE TABLE lair.slow (k integer PRIMARY KEY); SELECT create_distributed_table('lair.slow', 'k', colocate_with => 'none');
	SELECT soft_delete.tag('lair.slow', storage => 'aside');
	CREATE FUNCTION lair.sleep(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN IF current_setting('application_name') <> 'awake' THEN PERFORM pg_sleep(100); END IF; RETURN $1; END $f$;
	SET application_name = 'awake'; SET citus.enable_ddl_propagation = off;
	CREATE INDEX ON lair.slow_deleted (lair.sleep(1))});
$node->append_conf('postgresql.conf', 'soft_delete.keep_ledger = 1');
$node->reload;
my $old = q{INSERT INTO soft_delete_internal.sharded_transactions VALUES ('1', '2020-01-01', 'other', 1) ON CONFLICT DO NOTHING};
foreach my $role ('keeper', 'postgres')
{
	is(ask(q{SET statement_timeout = '60s'; SET soft_delete.owner_timeout = '2s'; } . "BEGIN; DELETE FROM shop.t WHERE k IN (60, 61, 62); COMMIT; $old; SET ROLE $role; CALL soft_delete.purge('shop.t', older_than => '0'); RESET ROLE; SELECT count(*) FROM shop.t_deleted; SELECT count(*) FROM soft_delete_internal.sharded_transactions WHERE deleted_by = 'other'; INSERT INTO shop.t VALUES (60), (61), (62)"), "0\n0", "$role purges, though a table of another role takes long");
}
is(ask(q{SET statement_timeout = '60s'; SET soft_delete.owner_timeout = '2s'; SELECT deleted_rows FROM soft_delete.tables WHERE relation = 'shop.t'::regclass; SELECT count(*) > 0 FROM soft_delete.metrics}), "0\nt", 'and figures are told');

# foreign keys in a circle
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE TABLE a (k integer, id integer, other integer, PRIMARY KEY (k, id)); CREATE TABLE b (k integer, id integer, other integer, PRIMARY KEY (k, id));
	SELECT create_distributed_table('a', 'k', colocate_with => 'none'); SELECT create_distributed_table('b', 'k', colocate_with => 'a');
	ALTER TABLE a ADD FOREIGN KEY (k, other) REFERENCES b ON DELETE CASCADE; ALTER TABLE b ADD FOREIGN KEY (k, other) REFERENCES a ON DELETE CASCADE;
	SELECT soft_delete.tag('a', storage => 'aside', cascade => true);
	INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO b VALUES (1, 1, 1), (2, 2, 2)});
is(ask('TRUNCATE a, b; SELECT count(*) FROM a_deleted; UPDATE a_deleted SET deleted_at = NULL; SELECT count(*) FROM b'), "2\n2", 'TRUNCATE of tables that reference one another in a circle');

done_testing();
