# Purges in the background, by the worker of shared_preload_libraries and by pg_cron,
# where its package is installed.
#
# Fails if the launcher forgets a database, if one that fails stops another, if a
# table's functions run with a superuser's rights, or with die() for the launcher's
# SIGTERM, or an exit with 0.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $node = start_node('worker', conf => q{
restart_after_crash = on
max_prepared_transactions = 2
});
my $has_cron = -e $node->config_data('--pkglibdir') . '/pg_cron.so';

# query DATABASE, SQL: what it returns to a superuser
sub query { return $node->safe_psql(@_) }

# own DATABASE, SQL: what it returns to the owner of the tables; dies of no error, for the server may be away
sub own
{
	my ($database, $sql) = @_;
	my (undef, $stdout) = $node->psql($database, $sql, extra_params => [ '-U', 'worker_owner' ]);
	return $stdout;
}

# is_purged DATABASE, TABLE, NAME: the owner's bin is empty within half a minute
sub is_purged
{
	my ($database, $table, $name, $seconds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(eventually($seconds // 30, sub { own($database, "SELECT count(*) = 0 FROM ${table}_deleted") eq 't' }), $name);
}

# delete_good ID: the owner deletes a row of table "good"
sub delete_good
{
	my ($id) = @_;
	is(own('one', "INSERT INTO good VALUES ($id); DELETE FROM good; SELECT count(*) FROM good"), 0, "row $id is deleted");
	return;
}

query('postgres', $_) foreach (
	'CREATE ROLE worker_owner LOGIN',
	'CREATE DATABASE one OWNER worker_owner',
	'CREATE DATABASE "Number Two"',
	'CREATE DATABASE none',
	'CREATE DATABASE cron');
foreach my $database ('one', 'Number Two', 'cron')
{
	query($database, q{
		SET client_min_messages = warning;
		CREATE EXTENSION soft_delete;
		GRANT CREATE ON SCHEMA public TO PUBLIC;
		CREATE TABLE as_whom (who text);
		GRANT INSERT ON as_whom TO PUBLIC;
		SET ROLE worker_owner;
		CREATE TABLE bad (id integer PRIMARY KEY);
		CREATE TABLE good (id integer PRIMARY KEY);
		SELECT soft_delete.tag('bad'), soft_delete.tag('good');
		INSERT INTO bad VALUES (1);
		INSERT INTO good SELECT generate_series(1, 100);
		DELETE FROM bad;
		DELETE FROM good;
		SELECT soft_delete.retain('bad', '0'), soft_delete.retain('good', '0');
		-- code of the owner's that a look at his table calls
		CREATE FUNCTION tell() RETURNS boolean LANGUAGE sql VOLATILE AS
			'INSERT INTO public.as_whom VALUES (current_user) RETURNING true';
		CREATE FUNCTION strange(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.tell(); END';
		CREATE TABLE child (id integer PRIMARY KEY, good_id integer REFERENCES good);
		CREATE INDEX ON child (id) WHERE strange(1);
		CREATE INDEX ON good (id) WHERE strange(1);
		CREATE INDEX ON good (deleted_at) WHERE deleted_at IS NOT NULL AND strange(1);
		RESET ROLE;
		DELETE FROM as_whom});
}

$node->append_conf('postgresql.conf', $has_cron ? q{
shared_preload_libraries = 'soft_delete, pg_cron'
cron.database_name = 'cron'
cron.use_background_workers = on
} : q{
shared_preload_libraries = 'soft_delete'
});
$node->append_conf('postgresql.conf', q{
soft_delete.purge_databases = 'nowhere, none, one, "Number Two"'
soft_delete.purge_interval = 1
});
$node->restart;
# it looks at the clock once a minute
query('cron', q{CREATE EXTENSION pg_cron; SELECT cron.schedule('purge', '* * * * *', 'CALL soft_delete.purge()')}) if $has_cron;

foreach my $database ('one', 'Number Two')
{
	is_purged($database, 'good', "database $database is purged");
	is(query($database, q{SELECT rows, purged_by = (SELECT rolname FROM pg_roles WHERE oid = 10), error IS NULL FROM soft_delete.purge_log WHERE relation = 'public.good'}),
		'100|t|t', 'as the log says');
	like(slurp_file($node->logfile), qr/LOG:  purged 100 rows of table "(?:public\.)?good"/, 'and that of the server');
}
is(query('one', 'SELECT DISTINCT who FROM as_whom'), 'worker_owner', q{the owner's code runs with his rights});
ok(eventually(30, sub { query('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'soft_delete purge'}) eq '0' }),
	'an idle launcher sleeps, a worker ends');

# settings are reloaded; the next purge comes by itself
delete_good(200);
is_purged('one', 'good', 'purged again after the interval');
$node->adjust_conf('postgresql.conf', "soft_delete.$_", undef) foreach ('purge_databases', 'purge_interval');
$node->restart;
query('postgres', q{ALTER SYSTEM SET soft_delete.purge_interval = '1 s'});
delete_good(300);
query('postgres', q{ALTER SYSTEM SET soft_delete.purge_databases = 'one'});
$node->reload;
is_purged('one', 'good', 'a database is added by a reload');

# a table that fails stops no other
query('one', q{ALTER DATABASE one SET lock_timeout = '100ms'});
own('one', q{
	INSERT INTO bad VALUES (350);
	DELETE FROM bad;
	BEGIN;
	LOCK TABLE bad;
	PREPARE TRANSACTION 'lock'});
is(query('one', 'SELECT count(*) FROM pg_prepared_xacts'), 1, 'a table is locked');
delete_good(350);
is_purged('one', 'good', 'the other is purged');
ok(eventually(30, sub { query('one', q{SELECT count(*) > 0 FROM soft_delete.purge_log
		WHERE relation = 'public.bad' AND error = 'canceling statement due to lock timeout'}) eq 't' }),
	'the log says why');
own('one', q{COMMIT PREPARED 'lock'});
is_purged('one', 'bad', 'the locked one goes the next time');

# nor does one whose owner's function sleeps: a new worker looks at the predicate of an index
query('one', $_) foreach (
	q{ALTER DATABASE one SET soft_delete.owner_timeout = '500ms'},
	'CREATE ROLE worker_sleeper',
	q{SET ROLE worker_sleeper;
		CREATE FUNCTION sleeps() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
		CREATE TABLE sleeper (id integer PRIMARY KEY);
		SELECT soft_delete.tag('sleeper');
		CREATE TABLE below (sleeper_id integer REFERENCES sleeper);
		CREATE INDEX ON below (sleeper_id) WHERE sleeps();
		INSERT INTO sleeper VALUES (1);
		DELETE FROM sleeper;
		CREATE OR REPLACE FUNCTION sleeps() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(1e6); RETURN true; END';
		SELECT soft_delete.retain('sleeper', '0')});
ok(eventually(30, sub { query('one', q{SELECT error FROM soft_delete.purge_log WHERE relation = 'public.sleeper' ORDER BY purged_at DESC LIMIT 1}) =~ /owner_timeout/ }),
	'a purge that sleeps is canceled');
delete_good(355);
is_purged('one', 'good', 'the next one comes');
query('one', 'SET lock_timeout = 0; DROP TABLE below, sleeper');

# the worker makes live keys, unless it is told not to
my $live_key = q{SELECT indisvalid, pg_get_userbyid(relowner), pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE oid = to_regclass('jobs_pkey_live')};
query('postgres', 'ALTER SYSTEM SET soft_delete.live_keys = off');
$node->reload;
own('one', q{
	CREATE TABLE jobs (id integer PRIMARY KEY);
	CREATE TABLE few (id integer PRIMARY KEY);
	CREATE TABLE taken (id integer PRIMARY KEY);
	CREATE TABLE taken_pkey_live ();
	SELECT soft_delete.tag(t) FROM unnest('{jobs,few,taken}'::regclass[]) AS t;
	INSERT INTO jobs SELECT generate_series(1, 12000);
	INSERT INTO few SELECT generate_series(1, 12000);
	INSERT INTO taken SELECT generate_series(1, 12000);
	DELETE FROM jobs WHERE id <= 11000;
	DELETE FROM few WHERE id <= 1000;
	DELETE FROM taken WHERE id <= 11000;
	ANALYZE jobs, few, taken});
foreach my $id (360, 361)
{
	delete_good($id);
	is_purged('one', 'good', 'a worker has come by');
}
is(query('one', $live_key), '', 'without the setting it makes none');
query('postgres', 'ALTER SYSTEM RESET soft_delete.live_keys');
$node->reload;
my $expected = 't|worker_owner|CREATE INDEX jobs_pkey_live ON public.jobs USING btree (id) WHERE (deleted_at IS NULL)';
ok(eventually(30, sub { query('one', $live_key) eq $expected }), 'a live key comes by itself');
# as a worker that was stopped leaves one
my $old = query('one', q{UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'jobs_pkey_live'::regclass RETURNING indexrelid});
ok(eventually(30, sub { query('one', $live_key) eq $expected && query('one', q{SELECT 'jobs_pkey_live'::regclass::oid}) ne $old }), 'an invalid one is made again');
# one that somebody is making is left alone: it waits for a transaction, and is not valid yet
query('postgres', 'ALTER SYSTEM SET soft_delete.live_keys = off');
$node->reload;
ok(eventually(30, sub { query('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'soft_delete purge'}) eq '0' }), 'no worker makes one');
query('one', 'DROP INDEX jobs_pkey_live');
my $writer = $node->background_psql('one', on_error_stop => 1);
$writer->query_safe("BEGIN; INSERT INTO jobs VALUES (12001)");
my $offset = -s $node->logfile;
my $maker = start([ 'psql', '-qXAt', '-d', $node->connstr('one'), '-c', 'SET lock_timeout = 0', '-c', 'CREATE INDEX CONCURRENTLY jobs_pkey_live ON jobs (id) WHERE deleted_at IS NULL' ]);
ok(eventually(30, sub { query('one', q{SELECT count(*) FROM pg_stat_progress_create_index WHERE relid = 'jobs'::regclass}) eq '1' }), 'it is being made');
query('postgres', 'ALTER SYSTEM RESET soft_delete.live_keys');
$node->reload;
foreach my $id (370, 371)
{
	delete_good($id);
	is_purged('one', 'good', 'a worker has come by');
}
unlike(slurp_file($node->logfile, $offset), qr/INDEX CONCURRENTLY.*jobs_pkey_live(?! ON jobs \(id\))/, 'and has left it alone');
$writer->query_safe('COMMIT');
$writer->quit;
$maker->finish;
is(query('one', $live_key), $expected =~ s/worker_owner/query('one', q{SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'jobs'})/er, 'it is there');
is(query('one', q{SELECT count(*) FROM pg_class WHERE relname ~ '_pkey_live$' AND relkind = 'i'}), 1, 'none where few rows are deleted, or where something else has its name');
is(query('one', q{SELECT count(*) FROM soft_delete.check() WHERE relation = 'jobs'::regclass}), 0, 'check() has nothing more to propose');

# live keys that wait for somebody's transaction do not hold off the next purge
query('one', $_) foreach (q{ALTER DATABASE one SET lock_timeout = '1500ms'}, q{ALTER DATABASE one SET soft_delete.owner_timeout = '10s'});
own('one', q{
	CREATE TABLE slow_1 (id integer PRIMARY KEY);
	CREATE TABLE slow_2 (id integer PRIMARY KEY);
	SELECT soft_delete.tag(t) FROM unnest('{slow_1,slow_2}'::regclass[]) AS t;
	INSERT INTO slow_1 SELECT generate_series(1, 12000);
	INSERT INTO slow_2 SELECT generate_series(1, 12000);
	DELETE FROM slow_1 WHERE id <= 11000;
	DELETE FROM slow_2 WHERE id <= 11000;
	BEGIN;
	INSERT INTO slow_1 VALUES (12001);
	INSERT INTO slow_2 VALUES (12001);
	PREPARE TRANSACTION 'slow'});
own('one', 'ANALYZE slow_1, slow_2');
$offset = -s $node->logfile;
my %waits;
ok(eventually(60, sub
	{
		%waits = ();
		$waits{$_}++ foreach slurp_file($node->logfile, $offset) =~ /\[(\d+)\][^\n]* ERROR:  canceling statement due to lock timeout/g;
		return keys %waits >= 3;
	}), 'three workers have waited');
is((sort { $b <=> $a } values %waits)[0], 1, 'each for no more than one live key, when the next was due');
query('one', q{ROLLBACK PREPARED 'slow'});
ok(eventually(60, sub { query('one', q{SELECT count(*) FROM pg_class JOIN pg_index ON indexrelid = oid WHERE relname ~ '^slow_._pkey_live$' AND indisvalid}) eq '2' }), 'the keys come later');
own('one', 'DROP TABLE slow_1, slow_2');

# nor one for which the server calls a function that sleeps as long as it can
query('one', q{ALTER DATABASE one SET soft_delete.owner_timeout = '500ms'});
query('one', q{SET ROLE worker_sleeper;
	CREATE FUNCTION sleeps_later() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END';
	CREATE TABLE endless (id integer PRIMARY KEY);
	SELECT soft_delete.tag('endless');
	CREATE STATISTICS endless_statistics ON (id + sleeps_later()), (id * 2) FROM endless;
	INSERT INTO endless SELECT generate_series(1, 12000);
	DELETE FROM endless WHERE id <= 11000;
	ANALYZE endless;
	CREATE OR REPLACE FUNCTION sleeps_later() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		WHILE EXISTS (SELECT FROM pg_stat_progress_create_index WHERE pid = pg_backend_pid()) LOOP
			BEGIN
				PERFORM pg_sleep(1e6);
			EXCEPTION WHEN query_canceled OR OTHERS THEN
			END;
		END LOOP;
		RETURN 1;
	END $$});
own('one', q{
	CREATE TABLE beside (id integer PRIMARY KEY);
	SELECT soft_delete.tag('beside');
	INSERT INTO beside SELECT generate_series(1, 12000);
	DELETE FROM beside WHERE id <= 11000;
	ANALYZE beside});
ok(eventually(60, sub { slurp_file($node->logfile) =~ /canceled, for the next purge is due: CREATE INDEX CONCURRENTLY endless_pkey_live/ }), 'a live key that is never ready is given up');
delete_good(375);
is_purged('one', 'good', 'the next purge comes');
ok(eventually(60, sub { query('one', q{SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('beside_pkey_live')}) eq 't' }), 'and the live keys of others');
query('one', 'SET lock_timeout = 0; DROP TABLE endless, beside');

# a launcher that is stopped comes back, and is not taken for a failure
my %title = server_processes($node);
my @launchers = grep { $title{$_} =~ /soft_delete purge launcher/ } keys %title;
is(scalar(@launchers), 1, 'there is a launcher, which has no backend');
kill('TERM', @launchers);
ok(eventually(30, sub { !-e "/proc/$launchers[0]" }), 'it is stopped');
delete_good(380);
is_purged('one', 'good', 'purged after the launcher was stopped');
unlike(slurp_file($node->logfile), qr/FATAL.*soft_delete purge launcher/, 'shutdowns of the launcher are no errors');

# a crash takes the launcher along, and it comes back
my $checkpointer = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'};
my $before = query('postgres', $checkpointer);
my $victim = start([ 'psql', '-qXAt', '-d', $node->connstr('postgres'), '-c', 'SELECT pg_backend_pid()', '-c', 'SELECT pg_sleep(100)' ],
	'>', \my $pid, '2>', \my $errors);
$victim->pump until $pid =~ /^\d+\n/;
chomp($pid);
kill('KILL', $pid);
eval { $victim->finish };
ok(eventually(30, sub { (($node->psql('postgres', $checkpointer))[1] || $before) != $before }), 'the server comes back');
delete_good(400);
is_purged('one', 'good', 'so does the purge');

# pg_cron does the same
SKIP:
{
	skip 'the package of pg_cron is not installed', 1 if !$has_cron;
	is_purged('cron', 'good', 'pg_cron purges', 90);
}

done_testing();
