# From the day a row of a sharded table is deleted to the day it is purged: retention, purges and the worker, holds,
# erasures, undo(), history(), figures and check(), from the coordinator.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Citus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $worker) = start_citus();
# ask SQL: what a session of the coordinator answers; notices SQL: with notices
sub notices { return answer($node, 'app', $_[0]) =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
sub ask { return notices("SET client_min_messages = error; $_[0]") }
# fails NAME, SQL, PATTERN, STATE: fails like that, and changes nothing
sub fails
{
	my ($name, $sql, $pattern, $state) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_refused('app', $name, "SET client_min_messages = error; $sql", $pattern, $state);
	return;
}
# the worker that purges is started later, when its database has tables
$node->append_conf('postgresql.conf', q{
	shared_preload_libraries = 'citus, soft_delete'
	soft_delete.purge_grace = 0});
$node->restart;
add_database('app');
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE EXTENSION soft_delete;
	SET citus.enable_schema_based_sharding = on;
	CREATE SCHEMA tenant;
	RESET citus.enable_schema_based_sharding;
	CREATE SCHEMA hash; CREATE SCHEMA replicated; CREATE SCHEMA local});

# p has c, and c has d, each with the keys of p
my %kind = (
	hash => q{SELECT create_distributed_table('hash.' || t, 'k', colocate_with => 'none') FROM unnest('{p}'::text[]) AS t; SELECT create_distributed_table('hash.' || t, 'k', colocate_with => 'hash.p') FROM unnest('{c,d}'::text[]) AS t;},
	replicated => q{SELECT create_reference_table('replicated.' || t) FROM unnest('{p,c,d}'::text[]) AS t;},
	local => q{SELECT citus_add_local_table_to_metadata(('local.' || t)::regclass) FROM unnest('{p,c,d}'::text[]) AS t;},
	tenant => '');
my %counts;
$node->safe_psql('app', q{SET client_min_messages = error; CREATE ROLE nobody; CREATE TABLE mine (id integer PRIMARY KEY); SELECT soft_delete.tag('mine'); INSERT INTO mine VALUES (1), (2)});
foreach my $s (sort keys %kind)
{
	$node->safe_psql('app', qq{
		SET client_min_messages = error;
		CREATE TABLE $s.p (k integer, id integer, name text, PRIMARY KEY (k, id));
		CREATE TABLE $s.c (k integer, id integer, p integer, PRIMARY KEY (k, id));
		CREATE TABLE $s.d (k integer, id integer, c integer, PRIMARY KEY (k, id));
		$kind{$s}
		ALTER TABLE $s.c ADD FOREIGN KEY (k, p) REFERENCES $s.p ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
		ALTER TABLE $s.d ADD FOREIGN KEY (k, c) REFERENCES $s.c ON DELETE CASCADE;
		INSERT INTO $s.p SELECT g % 20, g, 'row ' || g FROM generate_series(1, 100) AS g;
		INSERT INTO $s.c SELECT k, id, id FROM $s.p;
		INSERT INTO $s.d SELECT k, id, id FROM $s.p;
		SELECT soft_delete.tag('$s.p', storage => 'aside', cascade => true)});
	$counts{$s} = "SELECT (SELECT count(*) FROM $s.p), (SELECT count(*) FROM $s.p_deleted), (SELECT count(*) FROM $s.c_deleted), (SELECT count(*) FROM $s.d_deleted)";
	my $stamp_of = sub { return $node->safe_psql('app', "SELECT deleted_at FROM $s.p_deleted WHERE id = $_[0]") };

	# three deletions of ten rows each, and a child alone
	$node->safe_psql('app', "DELETE FROM $s.p WHERE id <= 10; DELETE FROM $s.p WHERE id BETWEEN 11 AND 20; DELETE FROM $s.p WHERE id BETWEEN 21 AND 30; DELETE FROM $s.d WHERE id = 40");
	my ($first, $second, $third) = map { $stamp_of->($_) } 1, 11, 21;
	is(ask("SELECT relation, rows FROM soft_delete.deletion_rows('$first'::timestamptz)"), "$s.p|10\n$s.c|10\n$s.d|10", "$s: deletion_rows()");
	is(ask("SELECT relation, bin, tombstone_column, deleted_rows, oldest = '$first', retention, due_rows, last_purge, storage, companion, companion_bytes > 0, holds FROM soft_delete.tables WHERE relation = '$s.p'::regclass"), "$s.p|$s.p_deleted|deleted_at|30|t||0||aside|$s.p_deleted|t|0", "$s: soft_delete.tables");
	is(ask("SELECT deleted, purged FROM soft_delete.timeline('$s.d', 1)"), '31|0', "$s: timeline()");
	is(ask('SELECT * FROM soft_delete.check()'), '', "$s: check() finds nothing");
	is(ask("SELECT event, happened_at = '$first', done_by, deleted_at = '$first' FROM soft_delete.history('$s.p', '3', '3')"), 'deleted|t|postgres|t', "$s: history()");
	is(ask("SELECT * FROM soft_delete.history('$s.p', '3', '99')"), '', "$s: history() of a row that was never deleted");
	fails("$s: history() of half a key", "SELECT * FROM soft_delete.history('$s.p', '3')", qr/^ERROR:  the key of table "$s\.p" must have 2 values/m, $counts{$s});

	# undo
	is(ask("BEGIN; SELECT soft_delete.undo('$second'::timestamptz); $counts{$s}; ROLLBACK"), "30\n80|20|20|21", "$s: undo() restores a deletion with what went with it, and counts it");
	my $preview = sub { my ($stamp) = @_; return qq{SELECT relation, outcome, "constraint", count(*), min("row") FROM soft_delete.preview('$stamp'::timestamptz) GROUP BY 1, 2, 3 ORDER BY 1, 2} };
	is(ask($preview->($second)), join("\n", map { "$s.$_|comes back||10|(k, id)=(0, 20)" } qw(p c d)), "$s: preview()");
	is(ask("BEGIN; INSERT INTO $s.p VALUES (12, 12, 'new'); " . $preview->($second) . "; ROLLBACK"), "$s.p|comes back||9|(k, id)=(0, 20)\n$s.p|key is taken|p_pkey|1|(k, id)=(12, 12)\n$s.c|comes back||10|(k, id)=(0, 20)\n$s.d|comes back||10|(k, id)=(0, 20)", "$s: preview() of a key that is taken");
	my $of_child = $node->safe_psql('app', "SELECT deleted_at FROM $s.d_deleted WHERE id = 40");
	is(ask("BEGIN; DELETE FROM $s.p WHERE id = 40; SELECT outcome FROM soft_delete.preview('$of_child'::timestamptz); ROLLBACK"), 'parent is deleted', "$s: preview() of a child whose parent another deletion has");
	fails("$s: undo() of nothing", q{SELECT soft_delete.undo('2020-01-01'::timestamptz)}, qr/^ERROR:  no deletion has the stamp 2020-01-01/m, $counts{$s});
	is(ask("BEGIN; DELETE FROM $s.p WHERE id = 40; SELECT soft_delete.undo('$of_child'::timestamptz, with_parents => true); $counts{$s}; ROLLBACK"), "3\n70|30|30|30", "$s: undo() with the deleted parents of a row, and theirs");
	is(ask("BEGIN; SELECT soft_delete.undo('$second'::timestamptz, with_parents => true); $counts{$s}; ROLLBACK"), "30\n80|20|20|21", "$s: of rows with all their parents");
	fails("$s: a parent that cannot come back", "BEGIN; DELETE FROM $s.p WHERE id = 40; SELECT soft_delete.hold('$s.p', 0, 40, 'why'); SELECT soft_delete.undo('$of_child'::timestamptz, with_parents => true)", qr/^ERROR:  cannot restore rows of "p_deleted\w*", which are held/m, $counts{$s});
	my $skip = "SELECT soft_delete.undo('$second'::timestamptz, skip_conflicts => true); $counts{$s}; SELECT count(hold) FROM $s.c_deleted";
	is(ask("BEGIN; INSERT INTO $s.p VALUES (12, 12, 'new'); $skip; ROLLBACK"), "29\n80|21|20|21\n0", "$s: undo() leaves a row whose key is taken");
	like(notices("BEGIN; DELETE FROM $s.p_deleted WHERE id = 12; $skip; ROLLBACK"), qr/\A27\n79\|20\|21\|22\n0\nNOTICE:  2 rows stay deleted\nHINT:  SELECT \* FROM soft_delete\.preview\('.*'\);/, "$s: and what is below one that has no parent");
	is(ask("BEGIN; DELETE FROM $s.p_deleted WHERE id = 12; SELECT relation, outcome, detail FROM soft_delete.preview('$second'::timestamptz) WHERE outcome <> 'comes back'; ROLLBACK"), "$s.c|parent is gone|Its parent in table $s.p does not exist.\n$s.d|parent is deleted|Its parent in table $s.c does not come back.", "$s: as preview() has told");
	is(ask("BEGIN; SELECT soft_delete.hold('$s.c', 12, 12, 'why'); $skip; ROLLBACK"), "28\n80|20|21|22\n1", "$s: undo() leaves held rows, and what went with them");
	is(ask("BEGIN; $skip; ROLLBACK"), "30\n80|20|20|21\n0", "$s: where all come back it leaves none");
	fails("$s: undo() where a key is taken", "BEGIN; INSERT INTO $s.p VALUES (12, 12, 'new'); SELECT soft_delete.undo('$second'::timestamptz)", qr/^ERROR:  duplicate key value violates unique constraint "p_pkey/m, $counts{$s});

	# unique indexes of all kinds, and constraints that came later
	$node->safe_psql('app', qq{
		SET client_min_messages = error;
		CREATE TABLE $s.u (k integer, id integer, v text, state text, n integer, m integer, PRIMARY KEY (k, id));
		CREATE TABLE $s.w (k integer, id integer, u integer, PRIMARY KEY (k, id));
		} . ($kind{$s} =~ s/\b$s\.p'/$s.u'/r =~ s/\{p,c,d\}/{u,w}/r =~ s/\{p\}/{u}/r =~ s/\{c,d\}/{w}/r) . qq{
		ALTER TABLE $s.w ADD CONSTRAINT w_u FOREIGN KEY (k, u) REFERENCES $s.u ON DELETE CASCADE;
		CREATE UNIQUE INDEX u_lower ON $s.u (k, lower(v));
		CREATE UNIQUE INDEX u_open ON $s.u (k) WHERE state = 'open';
		CREATE UNIQUE INDEX u_part ON $s.u (k, (100 / n)) WHERE n <> 0;
		CREATE UNIQUE INDEX u_null ON $s.u (k, m) NULLS NOT DISTINCT;
		SELECT soft_delete.tag('$s.u', storage => 'aside', cascade => true);
		INSERT INTO $s.u VALUES (1, 1, 'A', 'open', 0, 1), (1, 2, 'B', NULL, 0, 2), (1, 3, 'C', 'shut', 7, 3), (1, 4, 'D', 'shut', 0, NULL), (1, 5, 'E', 'shut', NULL, 5), (1, 6, 'F', 'shut', 0, 6), (2, 1, 'A', 'open', 7, NULL);
		INSERT INTO $s.w SELECT k, id, id FROM $s.u;
		DELETE FROM $s.u WHERE k = 1;
		INSERT INTO $s.u VALUES (1, 11, 'G', 'open', 0, 11), (1, 12, 'b', NULL, 0, 12), (1, 13, 'H', 'shut', 7, 13), (1, 14, 'I', 'shut', 0, NULL);
		ALTER TABLE $s.u ADD CONSTRAINT u_few CHECK (id <> 5)});
	my $of_u = $node->safe_psql('app', "SELECT DISTINCT deleted_at FROM $s.u_deleted");
	my $left = "SELECT string_agg(id::text, ',' ORDER BY id) FROM $s.u; SELECT string_agg(id::text, ',' ORDER BY id) FROM $s.u_deleted; SELECT string_agg(id::text, ',' ORDER BY id) FROM $s.w_deleted";
	is(ask(qq{SELECT relation, key ->> 'id', outcome, "constraint", detail FROM soft_delete.preview('$of_u'::timestamptz) WHERE outcome <> 'comes back' ORDER BY 1, 2}), join("\n", "$s.u|1|key is taken|u_open|Key (k) already exists.", "$s.u|2|key is taken|u_lower|Key (k, lower(v)) already exists.", "$s.u|3|key is taken|u_part|Key (k, ((100 / n))) already exists.", "$s.u|4|key is taken|u_null|Key (k, m) already exists.", "$s.u|5|relation is altered|u_few|The row would violate the constraint.",
		map { "$s.w|$_|parent is deleted|w_u|Its parent in table $s.u does not come back." } 1 .. 5), "$s: preview() knows unique indexes with conditions and expressions, and constraints that came later");
	like(notices("SELECT soft_delete.undo('$of_u'::timestamptz, skip_conflicts => true); $left"), qr/\A2\n1,6,11,12,13,14\n1,2,3,4,5\n1,2,3,4,5\nNOTICE:  10 rows stay deleted/, "$s: undo() leaves what they keep from coming back, and what is below");
	is(ask("DELETE FROM $s.u WHERE id > 6; ALTER TABLE $s.u DROP CONSTRAINT u_few; ALTER TABLE $s.u ALTER COLUMN n SET NOT NULL; SELECT soft_delete.undo('$of_u'::timestamptz, skip_conflicts => true); SELECT detail FROM soft_delete.preview('$of_u'::timestamptz) WHERE outcome = 'relation is altered'; $left"), qq{8\nColumn "n" would be null.\n1,1,2,3,4,6\n5,11,12,13,14\n5}, "$s: and nothing else");
	ask("SELECT soft_delete.untag('$s.u', tombstones => 'purge', cascade => true); DROP TABLE $s.w, $s.u");

	is(ask("BEGIN; DELETE FROM $s.p WHERE id BETWEEN 31 AND 33; DELETE FROM $s.d WHERE id = 34; DELETE FROM mine WHERE id = 1; SELECT pg_current_xact_id() AS xid \\gset\nCOMMIT; $counts{$s}; SELECT soft_delete.undo_transaction(:'xid'::xid8); $counts{$s}; SELECT count(*) FROM mine"), "67|33|33|35\n11\n70|30|30|31\n2", "$s: undo_transaction(), of other tables too");
	is(ask("BEGIN; DELETE FROM $s.p WHERE id = 31; TRUNCATE $s.d; SELECT soft_delete.undo_transaction(pg_current_xact_id()); $counts{$s}; COMMIT; $counts{$s}"), "71\n70|30|30|31\n70|30|30|31", "$s: undo_transaction() of the running one");
	is(ask("BEGIN; SAVEPOINT s; DELETE FROM $s.p; ROLLBACK TO s; DELETE FROM $s.p WHERE id = 31; SELECT pg_current_xact_id() AS xid \\gset\nCOMMIT; SET ROLE nobody; SELECT soft_delete.undo_transaction(:'xid'::xid8); RESET ROLE; $counts{$s}; SELECT soft_delete.undo_transaction(:'xid'::xid8); $counts{$s}"), "0\n69|31|31|32\n3\n70|30|30|31", "$s: not by others, and nothing that was rolled back");

	# what is due
	is(ask("SELECT member, rows, held, referenced FROM soft_delete.preview_purge('$s.p')"), '', "$s: without a retention nothing is due");
	is(ask("SELECT member, rows, held, referenced, oldest = '$first', newest >= '$third' FROM soft_delete.preview_purge('$s.p', older_than => '0')"), "$s.d|31|0|0|t|t\n$s.c|30|0|0|t|t\n$s.p|30|0|0|t|t", "$s: preview_purge()");
	like(notices("BEGIN; SELECT soft_delete.retain('$s.p', '0'); ROLLBACK"), qr/^NOTICE:  deleted rows of table "$s\.p" that are due: 30/m, "$s: retain() tells what is due at once");
	is(ask("BEGIN; SELECT soft_delete.retain('$s.p', '0'); SELECT relation, retention, due_rows FROM soft_delete.tables WHERE relation::text LIKE '$s.%'; ROLLBACK"), "$s.p|00:00:00|30\n$s.c|00:00:00|30\n$s.d|00:00:00|31", "$s: what its deletes reach has the retention, too");
	fails("$s: a retention that is none", "SELECT soft_delete.retain('$s.p', '-1 day')", qr/^ERROR:  an age cannot be negative/m, 'TABLE soft_delete.retention');

	# holds: of a deletion, which keeps what went with it and what is above
	is(ask("SELECT soft_delete.hold_deletion('$first'::timestamptz, 'lawsuit'); SELECT relation, holds FROM soft_delete.tables WHERE relation::text LIKE '$s.%'"), "3\n$s.p|1\n$s.c|1\n$s.d|1", "$s: hold_deletion()");
	fails("$s: DELETE of a held row", "DELETE FROM $s.p_deleted WHERE k = 3 AND id = 3", qr/^ERROR:  cannot purge rows of "p_deleted\w*", which are held: lawsuit/m, $counts{$s});
	fails("$s: TRUNCATE of a bin with held rows", "TRUNCATE $s.c_deleted", qr/^ERROR:  cannot purge rows of "c_deleted\w*", which are held: lawsuit/m, $counts{$s});
	fails("$s: untag() with held rows", "SELECT soft_delete.untag('$s.p', tombstones => 'purge', cascade => true)", qr/^ERROR:  cannot untag table "$s\.p", where rows are held\n.*\nHINT:  SELECT soft_delete\.hold_deletion\('.*', NULL\);/m, $counts{$s});
	is(ask("BEGIN; DELETE FROM $s.p_deleted WHERE id = 21; $counts{$s}; ROLLBACK"), '70|29|30|31', "$s: rows of other deletions are purged");
	is(ask("SELECT member, rows, held, referenced FROM soft_delete.preview_purge('$s.p', older_than => '0')"), "$s.d|21|10|0\n$s.c|20|10|0\n$s.p|20|10|0", "$s: preview_purge() knows what is held");
	is(notices("CALL soft_delete.purge('$s.p', older_than => '0', batch_size => 4)"), join("\n", map { my ($t, $n) = @$_; (qq{NOTICE:  purged $n rows of table "$t"}, 'DETAIL:  Due rows that remain: 10 held, 0 referenced, 0 locked.') } [ d => 21 ], [ c => 20 ], [ p => 20 ]), "$s: purge() in batches");
	is(ask($counts{$s}), '70|10|10|10', "$s: what is held stays");
	is(ask("SELECT relation, rows, oldest >= '$second', newest >= '$third', error FROM soft_delete.purge_log WHERE relation LIKE '$s.%' ORDER BY relation; SELECT purged FROM soft_delete.timeline('$s.p', 1); SELECT last_purge_rows, last_purge_result FROM soft_delete.tables WHERE relation = '$s.p'::regclass"), "$s.c|20|t|t|\n$s.d|21|t|t|\n$s.p|20|t|t|\n20\n20|done", "$s: the log, timeline() and soft_delete.tables tell");
	is(ask("BEGIN; SELECT soft_delete.undo('$first'::timestamptz); $counts{$s}; ROLLBACK"), "30\n80|0|0|0", "$s: what is held is restored");
	# of a table, with what is below
	is(ask("SELECT soft_delete.hold_deletion('$first'::timestamptz, NULL); SELECT soft_delete.hold('$s.c', 'audit'); DELETE FROM $s.p_deleted WHERE id = 1; $counts{$s}"), "3\n70|9|10|10", "$s: hold() of a table in the middle does not hold what is above");
	fails("$s: what is below is held", "DELETE FROM $s.d_deleted WHERE id = 2", qr/^ERROR:  cannot purge rows of "d_deleted\w*", which are held: audit/m, $counts{$s});
	is(ask("SELECT member, rows, held, referenced FROM soft_delete.preview_purge('$s.p', older_than => '0')"), "$s.d|0|10|0\n$s.c|0|10|0\n$s.p|0|0|9", "$s: what a held row references stays, too");
	ask("CALL soft_delete.purge('$s.p', older_than => '0')");
	is(ask($counts{$s}), '70|9|10|10', "$s: and purge() leaves it");
	like(notices("SELECT soft_delete.hold('$s.d', NULL)"), qr/^NOTICE:  table "$s\.d" is not held/m, "$s: a hold is lifted from where it was placed");
	ask("SELECT soft_delete.hold('$s.c', NULL); CALL soft_delete.purge('$s.p', older_than => '0')");
	is(ask($counts{$s}), '70|0|0|0', "$s: afterwards all is purged");
	fails("$s: hold_deletion() of nothing", qq{SELECT soft_delete.hold_deletion('2020-01-01'::timestamptz, 'why')}, qr/^ERROR:  no deleted row that you may hold carries the stamp/m, $counts{$s});

	# erasures
	ask("DELETE FROM $s.p WHERE id = 51");
	is(ask("SELECT soft_delete.erase('$s.p', 11, 51); SELECT soft_delete.erase('$s.p', '12', 52); $counts{$s}; SELECT count(*) FROM $s.c; SELECT relation, rows FROM soft_delete.erasures WHERE relation = '$s.p'; SELECT event FROM soft_delete.history('$s.p', '12', '52')"), "3\n3\n68|0|0|0\n68\n$s.p|3\n$s.p|3\nerased", "$s: erase() of a deleted and of a live row");
	like(notices("SELECT soft_delete.erase('$s.p', 12, 52)"), qr/^NOTICE:  table "p" has no row with that key|^NOTICE:  table "$s\.p" has no row with that key/m, "$s: erase() of no row");
	fails("$s: erase() of half a key", "SELECT soft_delete.erase('$s.p', 12)", qr/^ERROR:  the key of table "$s\.p" must have 2 values/m, $counts{$s});
	fails("$s: erase() of a held row", "SELECT soft_delete.hold('$s.p', 'why'); SELECT soft_delete.erase('$s.p', 13, 53)", qr/^ERROR:  cannot purge rows of "\w_deleted\w*", which are held: why/m, $counts{$s});
	ask("SELECT soft_delete.hold('$s.p', NULL)");
	is(ask("CREATE TABLE proofs_$s AS SELECT relation, key_hash, erased_at + '1 hour' AS erased_at, erased_by, rows FROM soft_delete.erasures WHERE relation = '$s.p' ORDER BY erased_at LIMIT 1; INSERT INTO $s.p VALUES (11, 51, 'from a backup'); DELETE FROM $s.p WHERE id = 51; SELECT soft_delete.replay_erasures('proofs_$s'); $counts{$s}"), "1\n68|0|0|0", "$s: an erasure is repeated");

	# what is broken is told
	$node->safe_psql('app', "SET client_min_messages = error; ALTER TABLE $s.p_deleted DROP COLUMN name");
	is(ask("SELECT severity, relation, problem, remedy, is_safe FROM soft_delete.check()"), qq{error|$s.p|its bin lacks column "name": DELETE fails|SELECT soft_delete.repair('$s.p');|t}, "$s: check() finds a bin that lacks a column");
	is(ask("SELECT soft_delete.repair('$s.p'); SELECT * FROM soft_delete.check()"), '', "$s: its remedy mends it");
	$node->safe_psql('app', "SET client_min_messages = error; SET citus.enable_unsafe_triggers = on; ALTER TABLE $s.p DISABLE TRIGGER \"~soft_delete_shard\"");
	is(ask("SELECT problem, remedy FROM soft_delete.check()"), qq{trigger "~soft_delete_shard" is disabled: deleted rows are not kept|ALTER TABLE $s.p ENABLE TRIGGER "~soft_delete_shard";}, "$s: a trigger that is disabled");
	is(ask(qq{SET citus.enable_unsafe_triggers = on; ALTER TABLE $s.p ENABLE TRIGGER "~soft_delete_shard"; SELECT * FROM soft_delete.check()}), '', "$s: its remedy enables it");

	# holds on single rows, and what went with them; each is lifted by itself
	ask("DELETE FROM $s.p WHERE id IN (61, 62); DELETE FROM $s.d WHERE id = 63");
	my $held = join(' UNION ALL ', map { "SELECT '$_', id, regexp_replace(hold::text, '[0-9a-f]{16}', 'X', 'g') FROM $s.${_}_deleted" } qw(p c d)) . ' ORDER BY 1, 2';
	is(ask("SELECT soft_delete.hold('$s.p', 1, 61, 'lawsuit'); SELECT soft_delete.hold('$s.p', '1', '61', 'lawsuit'); SELECT soft_delete.hold('$s.d', 2, 62, 'audit'); $held"), qq{c|61|{"lawsuit (with X)"}\nc|62|\nd|61|{"lawsuit (with X)"}\nd|62|{audit}\nd|63|\np|61|{lawsuit}\np|62|}, "$s: a row is held with what went with it");
	fails("$s: $$_[0]", $$_[0], $$_[1], "$counts{$s}; $held")
		foreach ([ "DELETE FROM $s.p_deleted WHERE k = 1 AND id = 61", qr/^ERROR:  cannot purge rows of "p_deleted\w*", which are held: \{lawsuit\}/m ],
			[ "DELETE FROM $s.d_deleted", qr/^ERROR:  cannot purge rows of "d_deleted\w*", which are held: \{/m ],
			[ "TRUNCATE $s.p_deleted", qr/^ERROR:  cannot purge rows of "p_deleted", which are held: lawsuit/m ],
			[ "UPDATE $s.p_deleted SET deleted_at = NULL WHERE id = 61", qr/^ERROR:  cannot restore rows of "p_deleted\w*", which are held\nDETAIL/m ],
			[ "UPDATE $s.p_deleted SET deleted_at = NULL WHERE k = 2 AND id = 62", qr/^ERROR:  cannot restore rows of "d_deleted\w*", which are held/m ],
			[ "UPDATE $s.p_deleted SET hold = '{forged}', name = 'forged' WHERE id = 62", qr/^ERROR:  cannot alter deleted rows in "p_deleted/m ],
			[ "SELECT soft_delete.erase('$s.p', 1, 61)", qr/^ERROR:  cannot purge rows of "\w_deleted\w*", which are held/m ],
			[ "SELECT soft_delete.untag('$s.p', tombstones => 'purge', cascade => true)", qr/^ERROR:  cannot untag table "$s\.p", where rows are held\n.*\nHINT:  SELECT soft_delete\.lift\('$s\.p', 'lawsuit'\);/m ],
			[ "BEGIN; ALTER TABLE $s.c DROP CONSTRAINT c_k_p_fkey; SELECT soft_delete.untag('$s.c', tombstones => 'purge', cascade => true)", qr/^ERROR:  cannot untag table "$s\.c", where rows are held\n.*\nHINT:  SELECT soft_delete\.lift\('lawsuit'\);/m ],
			[ "SELECT soft_delete.hold('$s.p', 1, 999, 'why')", qr/^ERROR:  table "$s\.p" has no row with that primary key, live or deleted/m ],
			[ "SELECT soft_delete.hold('$s.p', 1, 'why')", qr/^ERROR:  the key of table "$s\.p" must have 2 values/m ],
			[ "SELECT soft_delete.lift('$s.p', NULL)", qr/^ERROR:  the hold to lift must not be null/m ]);
	is(ask("SELECT relation, holds FROM soft_delete.tables WHERE relation::text LIKE '$s.%'; SELECT member, rows, held, referenced FROM soft_delete.preview_purge('$s.p', older_than => '0')"), "$s.p|1\n$s.c|1\n$s.d|2\n$s.d|1|2|0\n$s.c|0|1|1\n$s.p|1|1|0", "$s: soft_delete.tables and preview_purge() know of them");
	ask("CALL soft_delete.purge('$s.p', older_than => '0')");
	is(ask($counts{$s}), '66|2|2|2', "$s: purge() leaves them, and what they reference");
	is(ask("SELECT soft_delete.hold('$s.c', 1, 61, 'other'); SELECT soft_delete.hold('$s.p', 1, 61, NULL); $held"), qq{c|61|{other}\nc|62|\nd|61|{"other (with X)"}\nd|62|{audit}\np|61|\np|62|}, "$s: a hold is lifted, and another one stays");
	is(ask("SELECT soft_delete.lift('$s.c', 1, 61, 'audit'), soft_delete.lift('$s.d', 2, 62, 'audit'), soft_delete.lift('other'); $held"), "0|1|1\nc|61|\nc|62|\nd|61|\nd|62|\np|61|\np|62|", "$s: lift() of a row, and of whatever is held by that name");
	is(ask("SELECT soft_delete.hold('$s.p', 2, 62, 'a'); SELECT soft_delete.hold('$s.c', 'a'); SELECT deleted_at AS stamp FROM $s.p_deleted WHERE id = 62 \\gset\nSELECT soft_delete.hold_deletion(:'stamp'::timestamptz, 'a'); SELECT soft_delete.lift('$s.p', 'a'), soft_delete.lift('$s.c', 'a'), soft_delete.lift('a'); $held; SELECT sum(holds) FROM soft_delete.tables WHERE relation::text LIKE '$s.%'"), "3\n2|2|1\nc|61|\nc|62|\nd|61|\nd|62|\np|61|\np|62|\n0", "$s: lift() of a table's rows, deletions and its own hold");
	is(ask("UPDATE $s.p_deleted SET deleted_at = NULL; $counts{$s}; SELECT soft_delete.hold_schema('$s', 'all'); SELECT relation, holds FROM soft_delete.tables WHERE relation::text LIKE '$s.%'; SELECT soft_delete.hold_schema('$s', NULL), soft_delete.hold_schema('$s', NULL)"), "68|0|0|0\n3\n$s.p|1\n$s.c|2\n$s.d|3\n3|0", "$s: hold_schema()");

	# holds on live rows, which they take along
	my $marks = "SELECT (SELECT count(hold) FROM $s.p_deleted), (SELECT count(hold) FROM $s.c_deleted), (SELECT count(hold) FROM $s.d_deleted)";
	is(ask("SELECT soft_delete.hold('$s.p', 10, 70, 'case'); SELECT soft_delete.hold('$s.p', '10', '70', 'case'); SELECT soft_delete.hold('$s.c', 12, 72, 'case'); SELECT relation, holds FROM soft_delete.tables WHERE relation::text LIKE '$s.%'; UPDATE $s.p SET name = 'new' WHERE id = 70; DELETE FROM $s.p WHERE id IN (70, 71); $held; SELECT * FROM soft_delete.check()"), qq{$s.p|1\n$s.c|1\n$s.d|0\nc|70|{"case (with X)"}\nc|71|\nd|70|{"case (with X)"}\nd|71|\np|70|{case}\np|71|}, "$s: a held live row is updated and deleted, and is held with what goes with it");
	fails("$s: $$_[0]", $$_[0], $$_[1], "$counts{$s}; $held; SELECT sum(id) FROM $s.c")
		foreach ([ "DELETE FROM $s.p_deleted WHERE k = 10 AND id = 70", qr/^ERROR:  cannot purge rows of "p_deleted\w*", which are held: \{case\}/m ],
			[ "UPDATE $s.p_deleted SET deleted_at = NULL WHERE id = 70", qr/^ERROR:  cannot restore rows of "p_deleted\w*", which are held\nDETAIL/m ],
			[ "UPDATE $s.c SET id = 720 WHERE k = 12 AND id = 72", qr/^ERROR:  cannot change the key of a row of "c\w*", which is held: case$/m ],
			[ "SELECT soft_delete.erase('$s.c', 12, 72)", qr/^ERROR:  cannot purge rows of "\w_deleted\w*", which are held/m ],
			[ "SELECT soft_delete.untag('$s.p', tombstones => 'purge', cascade => true)", qr/^ERROR:  cannot untag table "$s\.p", where rows are held\n.*\nHINT:  SELECT soft_delete\.lift\('$s\.p', 'case'\);/m ],
			[ "DROP TABLE $s.c CASCADE", qr/^ERROR:  cannot drop what holds live rows of table "$s\.c"/m ]);
	is(ask("BEGIN; SELECT soft_delete.hold('$s.d', 13, 73, 'other'); DELETE FROM $s.p WHERE id BETWEEN 72 AND 74; $marks; SELECT soft_delete.lift('$s.d', 13, 73, 'other'); $marks; ROLLBACK"), "1|2|3\n1\n1|2|2", "$s: in one transaction, of rows that others take along");
	is(ask("BEGIN; TRUNCATE $s.p CASCADE; $marks; SELECT id, hold FROM $s.c_deleted WHERE hold = '{case}'; ROLLBACK"), "1|2|2\n72|{case}", "$s: TRUNCATE keeps holds, too");
	ask("CALL soft_delete.purge('$s.p', older_than => '0')");
	is(ask("$held; DELETE FROM $s.c WHERE id = 72; INSERT INTO $s.c VALUES (12, 72, 72); SELECT soft_delete.lift('case'); $marks; UPDATE $s.p_deleted SET deleted_at = NULL; UPDATE $s.c SET id = 72 WHERE id = 72; SELECT tgname FROM pg_trigger WHERE tgname LIKE '%shard\\_live%'"), qq{c|70|{"case (with X)"}\nd|70|{"case (with X)"}\np|70|{case}\n2\n0|0|0}, "$s: purge() leaves them, and lift() lifts each, live or deleted");
	is(ask("SELECT soft_delete.hold('$s.p', 12, 72, 'a'); SELECT soft_delete.hold('$s.p', 12, 72, 'b'); SELECT soft_delete.hold('$s.p', 12, 72, NULL); DELETE FROM $s.p WHERE id = 72; $marks; DELETE FROM $s.d_deleted; DELETE FROM $s.c_deleted; DELETE FROM $s.p_deleted; INSERT INTO $s.p VALUES (12, 72), (11, 71); INSERT INTO $s.c VALUES (12, 72, 72), (11, 71, 71); $counts{$s}"), "0|0|0\n68|0|0|0", "$s: all holds on a live row are lifted");
}

foreach my $s (sort keys %kind)
{
	is(ask("BEGIN; DELETE FROM $s.p WHERE id > 60; SELECT soft_delete.untag('$s.p', tombstones => 'keep', cascade => true); SELECT count(*) FROM $s.p; SELECT count(*) FROM $s.c; ROLLBACK"), "68\n68", "$s: untag() keeps rows, though a foreign key is deferred");
}

# a shard moves with the holds on its live rows
is(ask(q{SELECT soft_delete.hold('hash.p', 13, 73, 'moved'); SELECT count(*) FROM (SELECT citus_move_shard_placement(s.shardid, s.nodename, s.nodeport, t.nodename, t.nodeport, shard_transfer_mode => 'force_logical') FROM citus_shards AS s, pg_dist_node AS t WHERE s.shardid = get_shard_id_for_distribution_column('hash.p', 13) AND s.nodeport <> t.nodeport ORDER BY t.nodeport LIMIT 1) AS x; DELETE FROM hash.p WHERE k = 13 AND id = 73; SELECT hold FROM hash.p_deleted; SELECT hold[1] ~ '^moved .with' FROM hash.d_deleted; SELECT soft_delete.lift('moved'); UPDATE hash.p_deleted SET deleted_at = NULL}), "1\n{moved}\nt\n1", 'a shard moves with the holds on its live rows');
like(answer($worker, 'app', q{SELECT soft_delete.hold('hash.p', 13, 73, 'from a worker')}), qr/^ERROR:  operation is not allowed on this node/m, 'which a worker does not place');

# a transaction that writes to a temporary table only, and numbers that have begun anew
is(ask('CREATE TEMP TABLE brief AS SELECT 1 AS id; BEGIN READ ONLY; SELECT pg_current_xact_id() > \'0\'; DELETE FROM brief; COMMIT; SELECT count(*) FROM brief'), "t\n0", 'a transaction that is read-only');
is(ask(q{INSERT INTO soft_delete_internal.sharded_transactions SELECT (g + pg_current_xact_id()::text::bigint)::text::xid8, '2020-01-01', 'other', 1 FROM generate_series(1, 20) AS g; BEGIN; DELETE FROM hash.p WHERE id = 73; SELECT pg_current_xact_id() AS xid \gset
COMMIT; SELECT soft_delete.undo_transaction(:'xid'::xid8); DELETE FROM soft_delete_internal.sharded_transactions WHERE deleted_by = 'other'}), 3, 'a number that another transaction had');

# stamps of transactions are forgotten as the ledger is
is(ask(q{INSERT INTO soft_delete_internal.sharded_transactions VALUES ('1', '2020-01-01', 'other', 1); CALL soft_delete.purge(older_than => '10 years'); SELECT count(*) FROM soft_delete_internal.sharded_transactions WHERE deleted_by = 'other';
SET soft_delete.keep_ledger = 1; CALL soft_delete.purge(older_than => '10 years'); SELECT count(*) FROM soft_delete_internal.sharded_transactions WHERE deleted_by = 'other'}), "1\n0", 'a stamp that is older than soft_delete.keep_ledger and all bins is forgotten');

# rows of a distributed table that reference a reference table: the parent waits for the oldest of them
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE TABLE country (id integer PRIMARY KEY);
	CREATE TABLE town (k integer, id integer, country integer REFERENCES country ON DELETE CASCADE, PRIMARY KEY (k, id));
	SELECT create_reference_table('country'); SELECT create_distributed_table('town', 'k');
	INSERT INTO country SELECT generate_series(1, 5);
	INSERT INTO town SELECT g, g, g % 5 + 1 FROM generate_series(1, 50) AS g;
	SELECT soft_delete.tag('country', storage => 'aside', cascade => true);
	SELECT soft_delete.retain('town', '1 year')});
my $of_town = $node->safe_psql('app', 'DELETE FROM town WHERE id = 2; SELECT deleted_at FROM town_deleted');
is(ask("DELETE FROM country WHERE id = 3; SELECT outcome FROM soft_delete.preview('$of_town'::timestamptz); SELECT soft_delete.undo('$of_town'::timestamptz, skip_conflicts => true); SELECT soft_delete.undo('$of_town'::timestamptz, with_parents => true); SELECT (SELECT count(*) FROM country_deleted), (SELECT count(*) FROM town_deleted)"), "parent is deleted\n0\n11\n0|0", 'undo() of rows whose parent is in a reference table');
ask('DELETE FROM country WHERE id = 1; DELETE FROM town WHERE id = 2; DELETE FROM country WHERE id = 2');
is(ask(q{SELECT member, rows, referenced FROM soft_delete.preview_purge('country', older_than => '0')}), 'country|0|2', 'a reference table and a distributed one: the parent is referenced');
ask(q{CALL soft_delete.purge('country', older_than => '0')});
is(ask('SELECT count(*) FROM country_deleted; SELECT count(*) FROM town_deleted'), "2\n21", 'and stays');
is(ask(q{SELECT soft_delete.retain('town', NULL); SELECT soft_delete.erase('country', 1); SELECT count(*) FROM town_deleted}), "11\n11", 'erase() of a row of a reference table');

# tables of two owners
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE ROLE upper LOGIN; CREATE ROLE lower LOGIN; CREATE SCHEMA two; GRANT ALL ON SCHEMA two TO upper, lower;
	SET ROLE upper; CREATE TABLE two.p (k integer PRIMARY KEY); SELECT create_distributed_table('two.p', 'k', colocate_with => 'none'); GRANT REFERENCES, SELECT, DELETE ON two.p TO lower;
	SET ROLE lower; CREATE TABLE two.c (k integer PRIMARY KEY); SELECT create_distributed_table('two.c', 'k', colocate_with => 'two.p');
	ALTER TABLE two.c ADD FOREIGN KEY (k) REFERENCES two.p ON DELETE CASCADE;
	SELECT soft_delete.tag('two.c', storage => 'aside');
	SET ROLE upper; SELECT soft_delete.tag('two.p', storage => 'aside');
	INSERT INTO two.p SELECT generate_series(1, 20); SET ROLE lower; INSERT INTO two.c SELECT generate_series(1, 20); SET ROLE upper; DELETE FROM two.p});
like(notices(q{SET ROLE upper; CALL soft_delete.purge(older_than => '0')}), qr/^NOTICE:  purged 0 rows of table "p"\nDETAIL:  Due rows that remain: 0 held, 20 referenced, 0 locked\./m, 'a parent waits for the children of another owner');
is(ask(q{SET ROLE lower; CALL soft_delete.purge(older_than => '0'); SET ROLE upper; CALL soft_delete.purge(older_than => '0'); RESET ROLE; SELECT (SELECT count(*) FROM two.p_deleted), (SELECT count(*) FROM two.c_deleted)}), '0|0', 'and is purged after them');
is(ask(q{SET ROLE upper; DELETE FROM two.p WHERE k < 5; INSERT INTO two.p SELECT generate_series(1, 20) ON CONFLICT DO NOTHING; SET ROLE lower; INSERT INTO two.c SELECT generate_series(1, 20) ON CONFLICT DO NOTHING; SET ROLE upper; DELETE FROM two.p WHERE k > 10; RESET ROLE; SELECT DISTINCT deleted_at AS stamp FROM two.p_deleted WHERE k = 11 \gset
SELECT soft_delete.undo(:'stamp'::timestamptz); SELECT count(*) FROM two.p; SELECT count(*) FROM two.c; DELETE FROM two.p_deleted; DELETE FROM two.c_deleted}), "20\n20\n20", 'undo() brings back rows of two owners that a cascade has deleted');
is(ask(q{SET ROLE upper; DELETE FROM two.p WHERE k > 10; RESET ROLE; SELECT DISTINCT deleted_at AS stamp FROM two.p_deleted \gset
SELECT soft_delete.undo(:'stamp'::timestamptz, skip_conflicts => true); SELECT count(*) FROM two.c}), "20\n20", 'with skip_conflicts, too');
like(ask(q{BEGIN; DELETE FROM two.c WHERE k = 1; DELETE FROM two.p WHERE k = 2; COMMIT; SELECT deleted_at AS stamp FROM two.p_deleted \gset
SELECT soft_delete.undo(:'stamp'::timestamptz)}), qr/^ERROR:  cannot restore rows that one transaction would change as several roles/m, 'but not what takes two connections');
is(ask(q{SELECT count(*) FROM two.p_deleted; SELECT count(*) FROM two.c_deleted; UPDATE two.p_deleted SET deleted_at = NULL; UPDATE two.c_deleted SET deleted_at = NULL; SELECT count(*) FROM two.c}), "1\n2\n20", 'which the bins restore');
like(notices(qq{DELETE FROM two.p WHERE k = 3; $$_[0]}), qr/^ERROR:  cannot $$_[1] a row of table "two\.p", whose deletes reach table "two\.c" of another role\n.*\nHINT:  \Q$$_[2]\E$/m, "$$_[1] of a deleted row with which those of another went")
	foreach ([ q{SELECT soft_delete.hold('two.p', 3, 'why')}, 'hold', q{SELECT soft_delete.hold('two.p', 'why');} ], [ q{SELECT soft_delete.erase('two.p', 3)}, 'erase', 'SELECT * FROM two.c_deleted;' ]);
like(notices(q{SET ROLE upper; INSERT INTO two.p VALUES (99); SELECT soft_delete.hold('two.p', 99, 'why')}), qr/^ERROR:  cannot hold a row of table "two\.p", whose deletes reach table "two\.c" of another role\n.*\nHINT:  SELECT soft_delete\.hold\('two\.p', 'why'\);$/m, 'a live row with which rows of others go');
is(ask('DROP SCHEMA two CASCADE'), '', 'both go');

# a table that references itself
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE TABLE tree (k integer, id integer, up integer, PRIMARY KEY (k, id));
	SELECT create_distributed_table('tree', 'k');
	ALTER TABLE tree ADD FOREIGN KEY (k, up) REFERENCES tree ON DELETE CASCADE;
	INSERT INTO tree SELECT k, id, nullif(id / 2, 0) FROM generate_series(1, 5) AS k, generate_series(1, 31) AS id;
	SELECT soft_delete.tag('tree', storage => 'aside')});
my $stamp = $node->safe_psql('app', 'DELETE FROM tree WHERE id = 8; SELECT DISTINCT deleted_at FROM tree_deleted');
ask('DELETE FROM tree WHERE id = 4; DELETE FROM tree WHERE id = 2');
is(ask("BEGIN; SELECT soft_delete.undo('$stamp'::timestamptz, with_parents => true); SELECT count(*) FROM tree_deleted; ROLLBACK"), "75\n0", 'undo() with parents at any depth');
is(ask("BEGIN; UPDATE tree_deleted SET deleted_at = NULL; DELETE FROM tree WHERE id = 2; DELETE FROM tree_deleted WHERE k = 1 AND id = 4; SELECT max(deleted_at) AS stamp FROM tree_deleted \\gset\nSELECT soft_delete.undo(:'stamp'::timestamptz, skip_conflicts => true); SELECT id, hold FROM tree_deleted ORDER BY id; ROLLBACK"), "68\n8|\n9|\n16|\n17|\n18|\n19|", 'undo() leaves what is below a row that is gone, at any depth');
ask("SELECT soft_delete.hold_deletion('$stamp'::timestamptz, 'branch'); CALL soft_delete.purge('tree', older_than => '0')");
is(ask('SELECT count(*) FROM tree_deleted'), 75, 'with a branch that is held its trunk stays');
ask("SELECT soft_delete.hold_deletion('$stamp'::timestamptz, NULL); CALL soft_delete.purge('tree', older_than => '0', batch_size => 1)");
is(ask('SELECT count(*) FROM tree_deleted'), 0, 'and all goes without the hold');

# a worker of Citus does not know retentions
like(answer($worker, 'app', q{SELECT soft_delete.retain('hash.p', '1 day')}), qr/^ERROR:  that cannot be done for table "hash\.p" on a worker of Citus/m, 'retain() on a worker');
is(answer($worker, 'app', q{SET client_min_messages = error; DELETE FROM hash.p WHERE id = 77; CALL soft_delete.purge(older_than => '0'); SELECT count(*) FROM hash.p_deleted}), 1, 'purge() there leaves sharded tables alone');
like(answer($worker, 'app', q{SET client_min_messages = error; SELECT soft_delete.hold('hash.p', 17, 77, 'from a worker'); DELETE FROM hash.p_deleted}), qr/^ERROR:  cannot purge rows of "p_deleted\w*", which are held: \{"from a worker"\}/m, 'hold() of a row there');
is(answer($worker, 'app', q{SET client_min_messages = error; SELECT soft_delete.lift('from a worker')}), 1, 'and lift()');
ask('DELETE FROM hash.p_deleted');

# ordinary roles
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE ROLE keeper LOGIN; CREATE ROLE clerk LOGIN; CREATE ROLE monitor LOGIN IN ROLE pg_read_all_stats;
	CREATE SCHEMA shop; GRANT ALL ON SCHEMA shop TO keeper; GRANT USAGE ON SCHEMA shop TO clerk, monitor;
	SET ROLE keeper;
	CREATE TABLE shop.t (id integer PRIMARY KEY, secret text);
	SELECT create_distributed_table('shop.t', 'id', colocate_with => 'none');
	INSERT INTO shop.t SELECT g, 'secret ' || g FROM generate_series(1, 100) AS g;
	SELECT soft_delete.tag('shop.t', storage => 'aside');
	GRANT SELECT, DELETE ON shop.t TO clerk;
	DELETE FROM shop.t WHERE id <= 50});
my $state = 'SELECT count(*) FROM shop.t; SELECT count(*) FROM shop.t_deleted; SELECT count(*) FROM soft_delete.retention; SELECT count(*) FROM soft_delete.erasures';
$stamp = $node->safe_psql('app', 'SELECT DISTINCT deleted_at FROM shop.t_deleted');
is(ask("SET ROLE keeper; SELECT relation, live_rows IS NOT NULL, deleted_rows, oldest = '$stamp', companion_bytes > 0, holds FROM soft_delete.tables"), 'shop.t|t|50|t|t|0', 'an ordinary owner sees the figures');
is(ask('SET ROLE monitor; SELECT relation, deleted_rows FROM soft_delete.tables WHERE relation::text = \'shop.t\''), 'shop.t|50', 'and so does a monitor');
is(ask("SET ROLE clerk; SELECT * FROM soft_delete.tables; SELECT * FROM soft_delete.deletion_rows('$stamp'::timestamptz); CALL soft_delete.purge(older_than => '0'); SELECT * FROM soft_delete.preview_purge()"), '', 'who may not read the bin sees nothing, and purges nothing');
fails("who is not the owner: $_", "SET ROLE clerk; $_", qr/^ERROR:  (?:must be owner of table|permission denied for table|no deletion has the stamp|no deleted row that you may hold|table "shop\.t" is not tagged, or)/m, $state)
	foreach (q{SELECT soft_delete.retain('shop.t', '0')}, q{CALL soft_delete.purge('shop.t', older_than => '0')}, q{SELECT soft_delete.erase('shop.t', 1)}, q{SELECT soft_delete.hold('shop.t', 'mine')}, q{SELECT soft_delete.hold('shop.t', 1, 'mine')}, q{SELECT soft_delete.lift('shop.t', 'mine')}, q{SELECT * FROM soft_delete.history('shop.t', '1')},
	"SELECT soft_delete.undo('$stamp'::timestamptz)", "SELECT soft_delete.hold_deletion('$stamp'::timestamptz, 'mine')", q{SELECT * FROM soft_delete.preview_purge('shop.t', '0')}, q{SELECT * FROM soft_delete.timeline('shop.t')});
ask('GRANT SELECT ON shop.t_deleted TO clerk');
fails('who may read the bin and not update it', "SET ROLE clerk; SELECT soft_delete.undo('$stamp'::timestamptz)", qr/^ERROR:  permission denied for table shop\.t_deleted/m, $state);
is(ask("GRANT UPDATE (deleted_at) ON shop.t_deleted TO clerk; SET ROLE clerk; BEGIN; UPDATE shop.t_deleted SET deleted_at = NULL WHERE id <= 5; SELECT count(*) FROM shop.t; ROLLBACK; BEGIN; SELECT soft_delete.undo('$stamp'::timestamptz); ROLLBACK"), "55\n50", 'a right on the column of the stamp restores');
fails('and changes no other column', q{SET ROLE clerk; UPDATE shop.t_deleted SET deleted_at = NULL, secret = 'forged'}, qr/^ERROR:  permission denied for table t_deleted/m, $state);

# what an owner has put on a table runs with the owner's rights, whoever purges, restores, untags or looks
$node->safe_psql('app', q{
	SET client_min_messages = error;
	SET ROLE keeper;
	SET citus.enable_unsafe_triggers = on;
	CREATE FUNCTION shop.spy() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE WARNING 'spy: %', current_user; RETURN coalesce(NEW, OLD); END $f$;
	CREATE FUNCTION shop.spying(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN RAISE WARNING 'spy: %', current_user; RETURN $1; END $f$;
	CREATE TRIGGER spy BEFORE DELETE ON shop.t_deleted FOR EACH ROW EXECUTE FUNCTION shop.spy();
	CREATE TRIGGER spy_insert BEFORE INSERT ON shop.t FOR EACH ROW EXECUTE FUNCTION shop.spy();
	CREATE CONSTRAINT TRIGGER late AFTER INSERT OR DELETE ON shop.t_deleted DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.spy();
	CREATE CONSTRAINT TRIGGER late_insert AFTER INSERT ON shop.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.spy();
	CREATE INDEX spied ON shop.t_deleted (shop.spying(id))});
foreach my $case ([ "SELECT soft_delete.undo('$stamp'::timestamptz)", 'shop.t' ], [ 'DELETE FROM shop.t WHERE id <= 50', undef ], [ q{CALL soft_delete.purge('shop.t', older_than => '0')}, 'shop.t_deleted' ], [ q{SET ROLE keeper; DELETE FROM shop.t WHERE id = 60; RESET ROLE; SELECT soft_delete.erase('shop.t', 60)}, 'shop.t_deleted' ],
	# what is deferred on another node keeps Citus from dropping the bin there
	[ q{SET ROLE keeper; DELETE FROM shop.t WHERE id <= 80; SET citus.enable_unsafe_triggers = on; DROP TRIGGER late ON shop.t_deleted; DROP TRIGGER late_insert ON shop.t; RESET ROLE; SELECT soft_delete.untag('shop.t', tombstones => 'keep')}, 'shop.t' ])
{
	my ($sql, $writes) = @$case;
	my $answer = notices("SET client_min_messages = warning; $sql");
	my %who = map { $_ => 1 } $answer =~ /spy: (\w+)/g;
	# a DELETE of the superuser itself runs triggers as any other does
	next if !defined $writes;
	is_deeply([ keys %who ], ['keeper'], "a superuser's $sql runs the owner's code as the owner") or diag($answer);
	unlike($answer, qr/ERROR/, 'without an error');
}

# a table that somebody has broken is no concern of others
$node->safe_psql('app', q{
	SET client_min_messages = error;
	SET ROLE keeper;
	CREATE TABLE shop.broken (id integer PRIMARY KEY);
	SELECT create_distributed_table('shop.broken', 'id', colocate_with => 'none');
	SELECT soft_delete.tag('shop.broken', storage => 'aside');
	INSERT INTO shop.broken SELECT generate_series(1, 20); DELETE FROM shop.broken;
	SELECT soft_delete.retain('shop.broken', '0');
	CREATE TABLE shop.second (id integer, deleted_at timestamptz, deleted_by text);
	SELECT create_distributed_table('shop.second', 'id', colocate_with => 'shop.broken')});
$node->safe_psql('app', q{SET ROLE keeper; SET citus.enable_unsafe_triggers = on; } . $node->safe_psql('app', q{SELECT replace(pg_get_triggerdef(oid), 'shop.broken_deleted', 'shop.second') FROM pg_trigger WHERE tgrelid = 'shop.broken_deleted'::regclass AND tgname = '~soft_delete_shard_bin'}));
ask(q{DELETE FROM hash.p WHERE id = 88});
like(ask("SELECT soft_delete.$_"), qr/^ERROR:  there is no bin for the rows of table "shop\.broken"/m, "$_ without one") foreach ("hold('shop.broken', 1, 'why')", "lift('shop.broken', 'why')");
is(ask(q{SELECT problem FROM soft_delete.check() WHERE relation = 'shop.broken'::regclass; CALL soft_delete.purge(older_than => '0'); SELECT count(*) FROM hash.p_deleted; SELECT deleted_rows FROM soft_delete.tables WHERE relation = 'hash.p'::regclass; DROP TABLE shop.second; SELECT count(*) FROM shop.broken_deleted}), "it has two bins, of which none is the one: DELETE fails\n0\n0\n20", 'two bins of a table are its own problem');
ask(q{SET citus.enable_unsafe_triggers = on; SET ROLE keeper; CREATE TRIGGER x BEFORE DELETE ON shop.broken_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.guard_shard_row('forged', 'nobody', 'no time at all')});
ask(q{DELETE FROM hash.p WHERE id = 89});
like(notices(q{CALL soft_delete.purge(older_than => '0')}), qr/^WARNING:  purge of table "shop\.broken" failed: invalid input syntax for type timestamp/m, 'a hold that is forged');
is(ask(q{SELECT count(*) FROM hash.p_deleted; SELECT count(*) FROM shop.broken_deleted; SELECT count(*) > 0 FROM soft_delete.tables; SELECT problem LIKE 'its last purge failed%' FROM soft_delete.check() WHERE relation = 'shop.broken'::regclass}), "0\n20\nt\nt", 'keeps its own table alone');
ask('DROP TABLE shop.broken, shop.broken_deleted');

# an owner's triggers take their time on any node, and not that of others
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE ROLE sleeper LOGIN; CREATE SCHEMA bed; GRANT ALL ON SCHEMA bed TO sleeper;
	SET ROLE sleeper;
	CREATE TABLE bed.slow (id integer PRIMARY KEY); CREATE TABLE bed.stubborn (id integer PRIMARY KEY);
	SELECT create_distributed_table('bed.' || t, 'id', colocate_with => 'none') FROM unnest('{slow,stubborn}'::text[]) AS t;
	SELECT soft_delete.tag(t, storage => 'aside') FROM unnest('{bed.slow,bed.stubborn}'::regclass[]) AS t;
	INSERT INTO bed.slow SELECT generate_series(1, 50); INSERT INTO bed.stubborn SELECT generate_series(1, 50);
	DELETE FROM bed.slow; DELETE FROM bed.stubborn;
	CREATE FUNCTION bed.sleep() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM pg_sleep(600); RETURN OLD; END $f$;
	CREATE FUNCTION bed.sleep_on() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $f$;
	SET citus.enable_unsafe_triggers = on;
	CREATE TRIGGER sleep BEFORE DELETE ON bed.slow_deleted FOR EACH ROW EXECUTE FUNCTION bed.sleep();
	CREATE TRIGGER sleep BEFORE DELETE ON bed.stubborn_deleted FOR EACH ROW EXECUTE FUNCTION bed.sleep_on();
	RESET ROLE;
	CREATE TABLE last (id integer PRIMARY KEY); SELECT create_distributed_table('last', 'id', colocate_with => 'none');
	SELECT soft_delete.tag('last', storage => 'aside'); INSERT INTO last SELECT generate_series(1, 20); DELETE FROM last});
my $rows = 'SELECT (SELECT count(*) FROM bed.slow_deleted), (SELECT count(*) FROM bed.stubborn_deleted)';
my $late = q{SET client_min_messages = warning; SET soft_delete.owner_timeout = '2s'};
my $started = time;
my $answer = notices("$late; CALL soft_delete.purge(older_than => '0')");
like($answer, qr/^WARNING:  purge of table "bed\.slow" failed: soft_delete\.owner_timeout has passed$/m, 'a purge cancels triggers that sleep on other nodes');
like($answer, qr/^WARNING:  table "stubborn" was not purged: another table of its owner took longer than soft_delete\.owner_timeout$/m, 'and leaves other tables of their owner');
unlike($answer, qr/ERROR/, 'without an error');
is(ask("$rows; SELECT count(*) FROM last_deleted; SELECT rows, error FROM soft_delete.purge_log WHERE relation = 'bed.slow'; SELECT count(*) FROM pg_prepared_xacts"), "50|50\n0\n0|soft_delete.owner_timeout has passed\n0", 'the log says so, and other tables are purged');
like(notices("$late; CALL soft_delete.purge('bed.stubborn', older_than => '0')"), qr/^WARNING:  purge of table "bed\.stubborn" failed: soft_delete\.owner_timeout has passed$/m, 'one that catches the cancellation is left behind');
is(ask($rows), '50|50', 'nothing has changed');
cmp_ok(time - $started, '<', 60, 'within the time');
like(notices(q{SET client_min_messages = warning; SET ROLE sleeper; SET statement_timeout = '3s'; SET soft_delete.owner_timeout = '1s'; CALL soft_delete.purge('bed.slow', older_than => '0')}), qr/^ERROR:  canceling statement due to statement timeout$/m, 'an owner has no limit');
# what sleeps on has to be ended by its server
ask(q{SELECT run_command_on_all_nodes($$SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'sleeper'$$)});
is(ask('DROP SCHEMA bed CASCADE; DROP TABLE last, last_deleted'), '', 'both go');

# the worker purges what is due, on all nodes
ask(q{SELECT soft_delete.retain('hash.p', '0'); SELECT soft_delete.retain('tenant.p', '0'); DELETE FROM hash.p; DELETE FROM tenant.p});
$node->append_conf('postgresql.conf', "soft_delete.purge_databases = 'app'\nsoft_delete.purge_interval = '1s'");
$node->reload;
ok($node->poll_query_until('app', 'SELECT (SELECT count(*) FROM hash.p_deleted) + (SELECT count(*) FROM hash.c_deleted) + (SELECT count(*) FROM hash.d_deleted) + (SELECT count(*) FROM tenant.p_deleted) = 0'), 'the worker purges sharded tables');
is(ask(q{SELECT error FROM soft_delete.purge_log WHERE error IS NOT NULL AND relation !~ '^(shop|bed)\.'; SELECT count(*) FROM pg_prepared_xacts}), '0', 'without an error');

done_testing();
