# What copies, moves or dumps tables has all of them, or fails.
# packages: postgresql-MAJOR-repack postgresql-MAJOR-partman postgresql-MAJOR-squeeze pgcopydb
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Neighbours;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;

my $has_squeeze = -e "/usr/lib/postgresql/$ENV{NEIGHBOURS_MAJOR}/lib/pg_squeeze.so";
my $conf = "listen_addresses = ''\nmax_worker_processes = 20\nmax_replication_slots = 20";
$conf .= "\nshared_preload_libraries = 'pg_squeeze, soft_delete'\nwal_level = logical" if $has_squeeze;
$conf .= "\nwal_level = logical" if $ENV{NEIGHBOURS_MAJOR} >= 19;
$conf .= "\nsummarize_wal = on" if $ENV{NEIGHBOURS_MAJOR} >= 17;
my $node = start_shops($conf);
my $tmp = PostgreSQL::Test::Utils::tempdir();
my %bins = map { $_ => bins($_) } ('in_place', 'aside');
like($bins{$_}, qr/^(1\|.*\n)+(.*\n)+0$/, "$_: there are deleted rows, and no problems") foreach ('in_place', 'aside');

# copy_has COPY, STORAGE, CHECKED, VERDICT: a copy has the live and deleted rows of the original
sub copy_has
{
	my ($copy, $storage, $checked, $verdict) = @_;
	return found($storage, $checked, $verdict, live($copy) . "\n" . bins($copy), live('plain') . "\n" . $bins{$storage});
}

# churned STORAGE, CHECKED, SQL: a table that the SQL rewrites again and again, while rows are deleted, restored and
# purged, is as one where the same was done and nothing was rewritten
sub churned
{
	my ($storage, $checked, $sql) = @_;
	my $churn = q{
		CREATE PROCEDURE churn() LANGUAGE plpgsql AS $$
		BEGIN
			FOR i IN 1 .. 3000 LOOP
				DELETE FROM orders WHERE id = 50 + i % 140;
				COMMIT;
				IF i % 3 = 0 AND NOT EXISTS (SELECT FROM orders WHERE id = 50 + (i + 70) % 140) THEN
					UPDATE orders_deleted SET deleted_at = NULL
					WHERE id = 50 + (i + 70) % 140 AND customer_id > 10 AND deleted_at = (SELECT max(deleted_at) FROM orders_deleted WHERE id = 50 + (i + 70) % 140);
					COMMIT;
				END IF;
				IF i % 7 = 0 THEN DELETE FROM orders_deleted WHERE id = 50 + (i + 110) % 140; COMMIT; END IF;
				IF i % 11 = 0 THEN INSERT INTO orders VALUES (50 + (i + 110) % 140, 20, i, 'again') ON CONFLICT (id) DO NOTHING; COMMIT; END IF;
			END LOOP;
		END
		$$};
	my $all = 'SELECT id, total, note FROM orders ORDER BY id; SELECT id, total, note FROM orders_deleted ORDER BY id, total, note';
	make_shop($_, $storage) foreach ('calm', 'churned');
	$node->safe_psql($_, $churn) foreach ('calm', 'churned');
	$node->safe_psql('calm', 'CALL churn()');
	my $session = IPC::Run::start([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'churned', '-c', 'CALL churn()' ], '<', \undef, '>&', \my $output);
	my ($times, $file) = (0, $node->safe_psql('churned', q{SELECT pg_relation_filenode('orders')}));
	while ($session->pumpable && $times < 500)
	{
		my (undef, undef, $error) = $node->psql('churned', $sql);
		note($error) if $error ne '';
		$times++;
		$session->pump_nb;
	}
	$session->finish;
	is($output // '', '', "$checked: nothing fails meanwhile");
	cmp_ok($times, '>', 1, "$checked: it was rewritten meanwhile");
	isnt($node->safe_psql('churned', q{SELECT pg_relation_filenode('orders')}), $file, "$checked: it has another file");
	found($storage, $checked, 'no row is lost, none comes back', answer($node, 'churned', "$all; SELECT count(*) FROM soft_delete.check() WHERE relation IS NOT NULL"), answer($node, 'calm', $all) . "\n0");
	$node->safe_psql('postgres', 'DROP DATABASE calm; DROP DATABASE churned');
	return;
}

if (tool('pg_repack', 'postgresql-MAJOR-repack'))
{
	my @repack = ('pg_repack', '--no-superuser-check', '-t', 'customers');
	$node->safe_psql($_, 'CREATE EXTENSION pg_repack') foreach ('plain', 'in_place', 'aside');
	like(run_tool(@repack, '-d', 'plain'), qr/^exit 0\n/, 'pg_repack of a plain table');
	my $refused = qr/^exit [^0].*cannot copy tagged table "public.customers".*HINT:  VACUUM FULL public.customers/s;
	found('in_place', 'a table', 'refused, with the way that works', run_tool(@repack, '-d', 'in_place'), $refused);
	$ENV{PGOPTIONS} = '-c session_replication_role=replica -c session_preload_libraries=';
	found('in_place', 'a table, where neither event triggers nor the library are there', 'refused, with the way that works', run_tool(@repack, '-d', 'in_place'), $refused);
	delete $ENV{PGOPTIONS};
	like(run_tool(@repack, '--only-indexes', '-d', 'in_place'), qr/^exit 0\n/, 'it packs the indexes of a table in place');
	has_all('in_place', 'indexes', $bins{in_place});
	like(run_tool(@repack, '-d', 'aside'), qr/^exit 0\n/, 'it packs a table whose deleted rows are aside');
	has_all('aside', 'a table', $bins{aside});
	$node->safe_psql('aside', q{CREATE TABLE single (id integer PRIMARY KEY); SELECT soft_delete.tag('single', storage => 'aside'); CREATE UNIQUE INDEX ON single_tombstones (deleted_at)});
	my $companion_refused = qr/^exit [^0].*cannot copy table "public.single_tombstones", which has the deleted rows of table "public.single".*HINT:  VACUUM FULL public.single_tombstones/s;
	foreach my $options ('', '-c session_preload_libraries=')
	{
		local $ENV{PGOPTIONS} = $options;
		like(run_tool('pg_repack', '--no-superuser-check', '-t', 'single_tombstones', '-d', 'aside'), $companion_refused, "a companion is not packed: '$options'");
	}
	$node->safe_psql('aside', 'DROP TABLE single');
	$node->safe_psql($_, 'DROP EXTENSION pg_repack') foreach ('plain', 'in_place', 'aside');
}

if (tool('pg_squeeze', 'postgresql-MAJOR-squeeze'))
{
	$node->safe_psql($_, q{CREATE EXTENSION pg_squeeze; SELECT squeeze.squeeze_table('public', 'customers')}) foreach ('plain', 'in_place', 'aside');
	has_all($_, 'squeeze_table()', $bins{$_}) foreach ('in_place', 'aside');
	$node->safe_psql($_, 'DROP EXTENSION pg_squeeze') foreach ('plain', 'in_place', 'aside');
	churned($_, 'squeeze_table(), with deletions, restores and purges beside it', q{SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS pg_squeeze; SELECT squeeze.squeeze_table('public', 'orders')}) foreach ('in_place', 'aside');
}

if (major() >= 19 && tool('REPACK', 'postgresql-MAJOR'))
{
	foreach my $command ('REPACK customers', 'REPACK customers USING INDEX customers_pkey', 'REPACK (CONCURRENTLY) customers')
	{
		$node->safe_psql($_, $command) foreach ('plain', 'in_place', 'aside');
		has_all($_, $command, $bins{$_}) foreach ('in_place', 'aside');
	}
	churned($_, 'REPACK (CONCURRENTLY), with deletions, restores and purges beside it', 'REPACK (CONCURRENTLY) orders') foreach ('in_place', 'aside');
}

if (tool('VACUUM FULL, CLUSTER, REINDEX', 'postgresql-MAJOR'))
{
	foreach my $command ('VACUUM FULL customers', 'CLUSTER customers USING customers_pkey', 'REINDEX TABLE CONCURRENTLY customers')
	{
		$node->safe_psql($_, $command) foreach ('plain', 'in_place', 'aside');
		has_all($_, $command, $bins{$_}) foreach ('in_place', 'aside');
	}
	churned($_, 'VACUUM FULL, with deletions, restores and purges beside it', 'VACUUM FULL orders') foreach ('in_place', 'aside');
}

if (tool('pg_partman', 'postgresql-MAJOR-partman'))
{
	my $count = major() < 17 ? 'p_batch_count' : 'p_loop_count';
	# of each storage: rows in old partitions' time in the default one, some deleted
	foreach my $storage ('plain', 'in_place', 'aside')
	{
		my $native = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'pg_partman'}) =~ /^4/ ? "'native', " : '';
		my $tag = $storage eq 'plain' ? '' : "SELECT soft_delete.tag('events', storage => '$storage');";
		$node->safe_psql($storage, qq{
			SET client_min_messages = warning;
			CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman;
			CREATE TABLE events (id integer, at date NOT NULL, note text) PARTITION BY RANGE (at);
			SELECT partman.create_parent('public.events', 'at', ${native}'1 month', p_premake => 1, p_start_partition => (current_date - 60)::text);
			$tag
			INSERT INTO events SELECT g, current_date - 100 + g, 'event ' || g FROM generate_series(1, 90) AS g;
			DELETE FROM events WHERE id IN (3, 4, 80);
			CREATE TABLE undone (id integer, at date NOT NULL, note text)});
	}
	my $all = q{SELECT id, at, note FROM events UNION ALL SELECT id, at, note FROM undone ORDER BY id};
	my $deleted = 'SELECT string_agg(id::text, \' \' ORDER BY id) FROM events_deleted WHERE id IN (3, 4, 80)';
	# move DATABASE: moves what is in the default partition
	my $move = sub { return answer($node, $_[0], q{SELECT partman.partition_data_time('public.events', 100) > 0}) };
	my $undo = sub { return answer($node, $_[0], qq{SET client_min_messages = warning; SELECT partitions_undone > 0 FROM partman.undo_partition(p_parent_table => 'public.events', $count => 100, p_target_table => 'public.undone', p_keep_table => $_[1])}) };
	is($move->('plain'), 't', 'pg_partman moves rows of a plain table');
	found($_, 'partition_data_time()', 'as a plain table; moved rows are listed by the bin, too', $move->($_), 't') foreach ('in_place', 'aside');
	same('run_maintenance()', sub { return answer($node, $_[0], q{SELECT partman.run_maintenance('public.events') IS NOT NULL; } . $all) });
	is($undo->('plain', 'false'), 't', 'pg_partman gives up the partitions of a plain table');
	found('aside', 'undo_partition() that drops partitions', 'as a plain table, no deleted row is lost', $undo->('aside', 'false') . "\n" . answer($node, 'aside', "$all; $deleted"), "t\n" . $node->safe_psql('plain', $all) . "\n3 4 80");
	found('in_place', 'undo_partition() that drops partitions', 'refused while deleted rows are in one, with the way that works', $undo->('in_place', 'false'), qr/cannot drop table "public.events_.*", which this transaction has detached.*p_keep_table => true/s);
	is(answer($node, 'in_place', $deleted), '3 4 80', 'and none is lost');
	# each of them has a bin then
	my $everywhere = q{
		CREATE TABLE seen (id integer);
		DO $$ DECLARE b text; BEGIN FOR b IN SELECT bin FROM soft_delete.tables WHERE relation::text ~ '^events' LOOP EXECUTE format('INSERT INTO seen SELECT id FROM %s', b); END LOOP; END $$;
		SELECT string_agg(DISTINCT id::text, ' ') FROM seen WHERE id IN (3, 4, 80)};
	found('in_place', 'undo_partition() that keeps partitions', 'as a plain table, no deleted row is lost',
		$undo->('in_place', 'true') . "\n" . answer($node, 'in_place', "$all; $everywhere"), "t\n" . $node->safe_psql('plain', $all) . "\n3 4 80");
	$node->safe_psql($_, 'SET client_min_messages = error; DROP TABLE events; DROP TABLE undone; DROP SCHEMA partman CASCADE') foreach ('plain', 'in_place', 'aside');
}

if (tool('pgcopydb', 'pgcopydb'))
{
	# clone DATABASE: into a new database; what it prints
	my $clone = sub {
		my ($database) = @_;
		$node->safe_psql('postgres', "CREATE DATABASE ${database}_clone");
		return run_tool('pgcopydb', 'clone', '--source', $node->connstr($database), '--target', $node->connstr("${database}_clone"), '--dir', "$tmp/pgcopydb_$database$_[1]");
	};
	like($clone->('plain', ''), qr/^exit 0\n/, 'pgcopydb clones a plain database');
	$clone->('aside', '');
	copy_has('aside_clone', 'aside', 'clone', 'complete');
	found('in_place', 'clone', 'refused, an error per table in its log', $clone->('in_place', ''), qr/COPY would leave out deleted rows of table "\w+".*PGOPTIONS="-c row_security=off".*HINT: +SET row_security = off;/s);
	is(answer($node, 'in_place_clone', 'SELECT count(*) FROM customers'), 0, 'and nothing is copied');
	$node->safe_psql('postgres', 'DROP DATABASE in_place_clone');
	$ENV{PGOPTIONS} = '-c row_security=off';
	$clone->('in_place', '2');
	delete $ENV{PGOPTIONS};
	copy_has('in_place_clone', 'in_place', 'clone, with PGOPTIONS="-c row_security=off"', 'complete');
}

if (tool('pg_dump, pg_restore', 'postgresql-client-MAJOR'))
{
	foreach my $storage ('in_place', 'aside')
	{
		# into a database whose sessions do not load the library by a setting
		$node->append_conf('postgresql.conf', "session_preload_libraries = ''");
		$node->reload;
		$node->safe_psql('postgres', "CREATE DATABASE piped; CREATE DATABASE of_template TEMPLATE $storage");
		my $output = "";
		IPC::Run::run([ 'pg_dump', $storage ], '|', [ 'psql', '-qX', '-d', 'piped' ], '>&', \$output) or note($output);
		foreach my $copy ('piped', 'of_template')
		{
			my $checked = $copy eq 'piped' ? 'pg_dump | psql, into a database that does not load the library' : 'CREATE DATABASE ... TEMPLATE, into one that does not load it';
			# each statement is the first one of its session
			found($storage, "$checked: what a session reads", 'live rows', answer($node, $copy, 'SELECT count(*) FROM customers'), $node->safe_psql('plain', 'SELECT count(*) FROM customers'));
			my $update = answer($node, $copy, q{UPDATE orders SET note = 'new' WHERE id = 1});
			# from 17 on it loads the library as it logs in
			my $is_fine = $storage eq 'aside' || major() >= 17;
			found($storage, "$checked: what a session writes", $is_fine ? 'live rows' : 'nothing, with an error: the first statement fails', $update, $is_fine ? '' : qr/ERROR/);
			copy_has($copy, $storage, "$checked: all rows", 'complete');
		}
		$node->append_conf('postgresql.conf', "session_preload_libraries = 'soft_delete'");
		$node->reload;
		$node->safe_psql('postgres', 'DROP DATABASE of_template');

		is(run_tool('pg_dump', '-Fc', '-f', "$tmp/$storage", $storage), "exit 0\n", "pg_dump of $storage");
		run_tool('pg_restore', '--clean', '--if-exists', '-d', 'piped', "$tmp/$storage");
		copy_has('piped', $storage, '--clean --if-exists, over what is there', 'complete');
		$node->safe_psql('piped', 'SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public');
		run_tool('pg_restore', '-d', 'piped', "$tmp/$storage");
		copy_has('piped', $storage, 'DROP SCHEMA public CASCADE, then pg_restore', 'complete, the ledger is merged');
		$node->safe_psql('postgres', 'DROP DATABASE piped; CREATE DATABASE piped');
		run_tool('pg_restore', '--no-owner', '--no-privileges', '-d', 'piped', "$tmp/$storage");
		copy_has('piped', $storage, '--no-owner --no-privileges', 'complete');
		$node->safe_psql('postgres', 'DROP DATABASE piped');
	}
	$node->safe_psql('postgres', 'CREATE ROLE bk LOGIN BYPASSRLS IN ROLE pg_read_all_data; CREATE ROLE reader LOGIN IN ROLE pg_read_all_data');
	foreach my $options ('-t customers', '-n public', '')
	{
		my $what = $options eq '' ? 'a dump' : "a dump with $options";
		foreach my $storage ('in_place', 'aside')
		{
			my $own = run_tool('pg_dump', '-a', split(/ /, $options), $storage) =~ s/^\\(?:un)?restrict .*\n//mgr;
			found($storage, "$what by a role with BYPASSRLS", 'complete', run_tool('pg_dump', '-U', 'bk', '-a', split(/ /, $options), $storage) =~ s/^\\(?:un)?restrict .*\n//mgr, $own);
		}
		found('in_place', "$what by another reader", 'refused, with who gets them', run_tool('pg_dump', '-U', 'reader', '-a', split(/ /, $options), 'in_place'), qr/^exit [^0].*would leave out deleted rows.*roles with BYPASSRLS/s);
	}
	found('in_place', 'a dump with --enable-row-security by another reader', 'live rows, as asked for',
		run_tool('pg_dump', '-U', 'reader', '-a', '-t', 'customers', '--enable-row-security', 'in_place') =~ /\t2\@example/ ? 'deleted rows' : 'live rows', 'live rows');
	found('aside', 'a dump with --enable-row-security of a table and its companion', 'complete',
		run_tool('pg_dump', '-U', 'reader', '-a', '-t', 'customers*', '--enable-row-security', 'aside') =~ /\t2\@example/ ? 'deleted rows' : 'live rows', 'deleted rows');
}

if (tool('pg_basebackup', 'postgresql-MAJOR'))
{
	# restored NAME, CHECKED, DIRECTORY: a server on a copy of the data
	my $restored = sub {
		my ($name, $checked, $directory) = @_;
		my $copy = PostgreSQL::Test::Cluster->new($name);
		# the data come from a backup that is no longer one of the original
		PostgreSQL::Test::RecursiveCopy::copypath($directory, $copy->data_dir);
		chmod(0700, $copy->data_dir) or die;
		$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
		$copy->append_conf('postgresql.conf', "unix_socket_directories = '" . $copy->host . "'");
		$copy->start;
		foreach my $storage ('in_place', 'aside')
		{
			my $query = q{SELECT id, email, name, deleted_at FROM customers_deleted ORDER BY id; SELECT id, customer_id, total, note, deleted_at FROM orders_deleted ORDER BY id};
			found($storage, $checked, 'complete', answer($copy, $storage, $query), $node->safe_psql($storage, $query));
		}
		$copy->stop;
	};
	is(run_tool('pg_basebackup', '-D', "$tmp/full", '-c', 'fast', '--no-sync') =~ s/\n.*//sr, 'exit 0', 'pg_basebackup');
	$restored->('full', 'a backup', "$tmp/full") if major() < 17;
	if (major() >= 17)
	{
		$node->safe_psql($_, 'DELETE FROM customers WHERE id BETWEEN 20 AND 22') foreach ('plain', 'in_place', 'aside');
		is(run_tool('pg_basebackup', '-D', "$tmp/incremental", '-c', 'fast', '--no-sync', '-i', "$tmp/full/backup_manifest") =~ s/\n.*//sr, 'exit 0', 'an incremental backup');
		is(run_tool('pg_combinebackup', "$tmp/full", "$tmp/incremental", '-o', "$tmp/combined", '--no-sync') =~ s/\n.*//sr, 'exit 0', 'both together');
		$restored->('combined', 'an incremental backup', "$tmp/combined");
	}
}

done_testing();
