# What subscribers are told.  A tombstone leaves before the row enters that takes its
# key, or a subscriber would meet a conflict and then delete the wrong row; TRUNCATE is
# an UPDATE of each row; and who fills a subscriber's table sends deleted rows, too.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoftDelete;
use Test::More;

my $node = start_node('publisher', allows_streaming => 'logical');

# changes: what has been decoded of the tables since the last time, in short
sub changes
{
	return join(' ', split(/\n/, $node->safe_psql('postgres', q{
		SELECT regexp_replace(data, 'table public.t: (\w+): .*', '\1')
		FROM pg_logical_slot_get_changes('soft_delete_test', NULL, NULL) WHERE data ~ '^table public' AND data !~ '^table public\.t_tombstones'})));
}

$node->safe_psql('postgres', q{
	CREATE EXTENSION soft_delete;
	CREATE TABLE t (id integer PRIMARY KEY, v text);
	SELECT soft_delete.tag('t');
	INSERT INTO t VALUES (1, 'a'), (2, 'b');
	DELETE FROM t WHERE id = 1;
	SELECT pg_create_logical_replication_slot('soft_delete_test', 'test_decoding');
	INSERT INTO t VALUES (1, 'insert');
	DELETE FROM t WHERE id = 1;
	INSERT INTO t VALUES (1, 'upsert') ON CONFLICT (id) DO UPDATE SET v = 'conflict';
	DELETE FROM t WHERE id = 1;
	UPDATE t SET id = 1 WHERE id = 2;
	DELETE FROM t WHERE id = 1;
	UPDATE t_deleted SET deleted_at = NULL WHERE v = 'a'});
is(changes(), 'DELETE INSERT UPDATE DELETE INSERT UPDATE DELETE UPDATE UPDATE DELETE INSERT', 'a tombstone leaves before the row enters');

$node->safe_psql('postgres', q{
	INSERT INTO t VALUES (3, 'c');
	CREATE TABLE plain (id integer REFERENCES t);
	TRUNCATE t, plain});
is(changes(), 'INSERT UPDATE UPDATE table public.plain: TRUNCATE: (no-flags)', 'TRUNCATE updates each row, and empties the table that is not tagged');
$node->safe_psql('postgres', $_)
	foreach 'CREATE TABLE u (id integer)', "SELECT soft_delete.tag('u')", 'INSERT INTO u VALUES (1), (2)', 'DELETE FROM u WHERE id = 1', 'DELETE FROM u', 'DELETE FROM u_deleted';
is($node->safe_psql('postgres', q{
	SELECT (SELECT count(*) FROM soft_delete_internal.events WHERE table_name = 'public.u' AND event = 'purged'), (SELECT count(*)
	FROM pg_logical_slot_get_changes('soft_delete_test', NULL, NULL) WHERE data ~ '^table soft_delete_internal')}), '2|0', 'what becomes of deletions is recorded, and not decoded');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('soft_delete_test')});

$node->safe_psql('postgres', q{INSERT INTO t VALUES (4, 'd')});
is($node->safe_psql('postgres', q{SELECT count(*) FROM t TABLESAMPLE soft_delete.rows('all')}), 3, 'there are deleted rows');
my $copy = 'COPY (SELECT v FROM t WHERE deleted_at IS NOT NULL) TO STDOUT';
is(answer($node, 'postgres', $copy), '', 'a session is given none of them');
my @rows = split(/\n/, answer($node, 'postgres', $copy, replication => 'database'));
is(scalar(@rows), 2, 'a subscriber is');
@rows = split(/\n/, answer($node, 'postgres', 'COPY t TO STDOUT', replication => 'database'));
is(scalar(@rows), 3, 'also by COPY of the table');
is(scalar(grep { split(/\t/, $_, -1) == 3 } @rows), 3, 'with the tombstone column');

# a row that is deleted after its key was looked for, and before the new row gets it: too late to step
# aside, but no duplicate either, for who tries again gets the key
$node->safe_psql('postgres', q{
	CREATE FUNCTION gate(n integer) RETURNS boolean LANGUAGE sql AS $$SELECT CASE WHEN n = 20 THEN pg_advisory_xact_lock_shared(1) IS NOT NULL ELSE true END$$;
	CREATE TABLE raced (id integer PRIMARY KEY, n integer);
	SELECT soft_delete.tag('raced');
	INSERT INTO raced VALUES (1, 1);
	ALTER TABLE raced ADD CHECK (gate(n))});
my $gate = $node->background_psql('postgres', on_error_stop => 1);
$gate->query('SELECT pg_advisory_lock(1)');
my ($out, $errors) = ('', '');
my $insert = start([ 'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres'), '-c', 'INSERT INTO raced VALUES (1, 20)' ], '>', \$out, '2>', \$errors);
$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)}) or die 'the INSERT does not wait';
$node->safe_psql('postgres', 'DELETE FROM raced');
$gate->query('SELECT pg_advisory_unlock(1)');
$insert->finish;
like($errors, qr/40001/, 'a key that becomes free too late is a serialization failure');
is($node->safe_psql('postgres', 'INSERT INTO raced VALUES (1, 20); SELECT n FROM raced'), 20, 'who tries again gets it');
my ($status, undef, $duplicate) = $node->psql('postgres', 'INSERT INTO raced VALUES (1, 2)', extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
like($duplicate, qr/23505/, 'that of a live row is a duplicate');
$gate->quit;

# a publication of all tables, as tools make one: no command fails for that, and nothing of what is kept of deleted rows is
# told
$node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	CREATE TABLE parent (id integer PRIMARY KEY, code text);
	CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON UPDATE CASCADE, w text);
	CREATE TABLE linked (id integer PRIMARY KEY, parent_id integer CONSTRAINT link REFERENCES parent ON DELETE SET NULL);
	SELECT soft_delete.tag('parent'), soft_delete.tag('linked'), soft_delete.tag('child', storage => 'aside');
	INSERT INTO parent VALUES (1), (2), (3);
	INSERT INTO child VALUES (1, 1, '1'), (2, 2, '2'), (3, 2, '3');
	INSERT INTO linked VALUES (3, 3);
	CREATE PUBLICATION everything FOR ALL TABLES;
	SELECT pg_create_logical_replication_slot('everything', 'pgoutput')});
foreach my $command ('DELETE FROM child WHERE id IN (1, 2)', 'DELETE FROM parent WHERE id = 3', 'TRUNCATE linked', 'SELECT soft_delete.undo(deleted_at) FROM linked_deleted',
	'UPDATE parent SET id = 10 WHERE id = 1', 'UPDATE child_deleted SET id = 10, deleted_at = NULL WHERE id = 1', 'ALTER TABLE linked RENAME CONSTRAINT link TO linked_with', 'ALTER TABLE linked RENAME COLUMN id TO key',
	q{SELECT soft_delete.undo(deleted_at) FROM parent_deleted}, q{SELECT soft_delete.retain('child', '1 day')}, q{SELECT soft_delete.retain('child', '2 days')}, 'ALTER TABLE child ALTER w TYPE integer USING w::integer',
	q{SELECT soft_delete.hold('child', 3, 'case 1')}, q{SELECT soft_delete.lift('case 1')}, q{SELECT soft_delete.tag('child', storage => 'in_place')}, q{SELECT soft_delete.tag('child', storage => 'aside')})
{
	unlike(answer($node, 'postgres', "SET client_min_messages = warning; $command"), qr/ERROR/, "while all tables are published: $command");
}
is($node->safe_psql('postgres', 'SELECT key, parent_id FROM linked; SELECT * FROM child ORDER BY id; SELECT id, parent_id, w FROM child_deleted'), "3|3\n3|2|3\n10|10|1\n2|2|2", 'what is deleted follows, and comes back');

# who waits for such a row, which is written anew, does not take it for one that is gone
my $mover = $node->background_psql('postgres', on_error_stop => 1);
$mover->query_safe('BEGIN; UPDATE parent SET id = 20 WHERE id = 2');
($out, $errors) = ('', '');
my $restore = start([ 'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres'), '-c', 'UPDATE child_deleted SET deleted_at = NULL' ], '>', \$out, '2>', \$errors);
$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)}) or die 'the restore does not wait';
$mover->query_safe('COMMIT');
$restore->finish;
like($errors, qr/40001/, 'a restore that waits for a row whose key changes is a serialization failure');
is($node->safe_psql('postgres', 'UPDATE child_deleted SET deleted_at = NULL; SELECT parent_id FROM child WHERE id = 2'), 20, 'who tries again gets it');
$mover->quit;

foreach my $command (q{SELECT soft_delete.untag('linked', tombstones => 'purge')}, 'DROP TABLE child', 'DROP TABLE linked, parent')
{
	unlike(answer($node, 'postgres', "SET client_min_messages = warning; $command"), qr/ERROR/, "while all tables are published: $command");
}
is($node->safe_psql('postgres', q{
	SELECT DISTINCT convert_from(substring(data FROM 6 FOR position('\x00'::bytea IN substring(data FROM 6)) - 1), 'UTF8') || '.' || convert_from(substring(rest FROM 1 FOR position('\x00'::bytea IN rest) - 1), 'UTF8') AS name
	FROM pg_logical_slot_get_binary_changes('everything', NULL, NULL, 'proto_version', '1', 'publication_names', 'everything'),
		substring(data FROM 6 + position('\x00'::bytea IN substring(data FROM 6))) AS rest
	WHERE get_byte(data, 0) = ascii('R') ORDER BY 1}), "public.child\npublic.linked\npublic.parent\nsoft_delete_internal.retention", 'subscribers are told of these tables');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('everything'); DROP PUBLICATION everything});

done_testing();
