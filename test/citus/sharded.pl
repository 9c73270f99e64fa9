# Tables that Citus has sharded keep every deleted row: hash-distributed, reference and local ones, and those of a
# tenant's schema; from the coordinator and a worker, while shards move and split and nodes come and go.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Citus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $worker) = start_citus();
add_database('app');
my $quiet = 'SET client_min_messages = error;';
# ask SQL, on_worker SQL: what a session of the coordinator, or of a worker, answers
sub ask { return answer($node, 'app', "$quiet $_[0]") =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
sub on_worker { return answer($worker, 'app', "$quiet $_[0]") =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
# same NAME, SQL, EXPECTED: the SQL answers that, in a transaction that is rolled back
sub same
{
	my ($name, $sql, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(ask("BEGIN; $sql; ROLLBACK"), $expected, $name);
	return;
}
# fails NAME, SQL, PATTERN, STATE: fails like that, and changes nothing
sub fails
{
	my ($name, $sql, $pattern, $state) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_refused('app', $name, "$quiet $sql", $pattern, $state);
	return;
}

$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE EXTENSION soft_delete;
	SET citus.enable_schema_based_sharding = on;
	CREATE SCHEMA tenant;
	RESET citus.enable_schema_based_sharding;
	CREATE SCHEMA hash; CREATE SCHEMA replicated; CREATE SCHEMA local});
# the same tables in four ways; a row of p has two of c, and each of these one of d
my %kind = (
	hash => q{SELECT create_distributed_table('hash.p', 'k'); SELECT create_distributed_table('hash.c', 'k', colocate_with => 'hash.p'); SELECT create_distributed_table('hash.d', 'k', colocate_with => 'hash.p');},
	replicated => q{SELECT create_reference_table('replicated.p'); SELECT create_reference_table('replicated.c'); SELECT create_reference_table('replicated.d');},
	local => q{SELECT citus_add_local_table_to_metadata('local.p'); SELECT citus_add_local_table_to_metadata('local.c'); SELECT citus_add_local_table_to_metadata('local.d');},
	tenant => '');
my %title = (hash => 'a distributed table', replicated => 'a reference table', local => 'a local table', tenant => 'a distributed table');
my (%live, %counts, %bins);
foreach my $s (sort keys %kind)
{
	$node->safe_psql('app', qq{
		SET client_min_messages = error;
		CREATE TABLE $s.p (k integer, id integer, name text, total numeric GENERATED ALWAYS AS (k + id) STORED, PRIMARY KEY (k, id));
		CREATE TABLE $s.c (k integer, id integer, p integer, v text[], PRIMARY KEY (k, id));
		CREATE TABLE $s.d (k integer, id integer, c integer, PRIMARY KEY (k, id));
		$kind{$s}
		ALTER TABLE $s.c ADD CONSTRAINT c_p FOREIGN KEY (k, p) REFERENCES $s.p ON DELETE CASCADE;
		ALTER TABLE $s.d ADD CONSTRAINT d_c FOREIGN KEY (k, c) REFERENCES $s.c ON DELETE CASCADE;
		INSERT INTO $s.p SELECT g % 20, g, 'row ' || g FROM generate_series(1, 100) AS g;
		INSERT INTO $s.c SELECT g % 20, g, g, ARRAY['c', g::text] FROM generate_series(1, 100) AS g UNION ALL SELECT g % 20, 1000 + g, g, NULL FROM generate_series(1, 100) AS g;
		INSERT INTO $s.d SELECT k, id, id FROM $s.c});
	$live{$s} = "SELECT (SELECT count(*) FROM $s.p), (SELECT count(*) FROM $s.c), (SELECT count(*) FROM $s.d)";
	$bins{$s} = "SELECT (SELECT count(*) FROM $s.p_deleted), (SELECT count(*) FROM $s.c_deleted), (SELECT count(*) FROM $s.d_deleted)";
	$counts{$s} = "$live{$s}; $bins{$s}";
	my $nothing = "$live{$s}; SELECT relname FROM pg_class WHERE relname LIKE '%\\_deleted' AND relnamespace = '$s'::regnamespace";
	fails("$s: tag() in place", "SELECT soft_delete.tag('$s.p')", qr/^ERROR:  cannot tag "$s\.p" in place, which is $title{$s}.*\nDETAIL/m, $nothing);
	fails("$s: tag() of a table whose children are not tagged", "SELECT soft_delete.tag('$s.p', storage => 'aside')",
		qr/^ERROR:  cannot tag "$s\.p", which is $title{$s}.*, alone\nDETAIL.*\nHINT:  SELECT soft_delete\.tag\('$s\.p', storage => 'aside', cascade => true\);$/m, $nothing);
	is(ask("SELECT * FROM soft_delete.plan('$s.p', storage => 'aside', cascade => true)"), "SELECT soft_delete.tag('$s.p', storage => 'aside', cascade => true);", "$s: plan()");
	like(ask("SELECT effect, in_place, aside, remedy FROM soft_delete.preview_tag('$s.p') WHERE severity = 'refusal'"), qr/\Arefused \(0A000\): cannot tag "$s\.p", which is $title{$s}.*, alone.*\|f\|t\|SELECT soft_delete\.tag\('$s\.p', storage => 'aside', cascade => true\);\nrefused \(0A000\): cannot tag "$s\.p" in place.*\|t\|f\|SELECT soft_delete\.tag\('$s\.p', storage => 'aside'\);\Z/, "$s: preview_tag() tells what is refused");
	my $preview = ask("SELECT string_agg(effect, E'\n') FROM (SELECT effect FROM soft_delete.preview_tag('$s.p', cascade => true) WHERE aside) AS x");
	like(answer($node, 'app', "SELECT soft_delete.tag('$s.p', storage => 'aside', cascade => true)"), qr/\A(?=.*NOTICE:  table "$s\.c" is tagged too).*\Q$preview\E/s, "$s: tag() does what preview_tag() has told");
	my $state = "$counts{$s}; TABLE $s.p ORDER BY id; TABLE $s.c ORDER BY id";
	my $whole = ask($state);
	is(ask($counts{$s}), "100|200|200\n0|0|0", "$s: nothing is deleted");

	# one row, many rows
	same("$s: one row", "DELETE FROM $s.p WHERE k = 3 AND id = 3 RETURNING name; $counts{$s}; SELECT k, id, name, total, deleted_by FROM $s.p_deleted; SELECT id, v FROM $s.c_deleted ORDER BY id", "row 3\n99|198|198\n1|2|2\n3|3|row 3|6|postgres\n3|{c,3}\n1003|");
	same("$s: rows of many shards", "DELETE FROM $s.p WHERE id <= 40; $counts{$s}; SELECT count(DISTINCT s) FROM (SELECT deleted_at FROM $s.p_deleted UNION ALL SELECT deleted_at FROM $s.c_deleted UNION ALL SELECT deleted_at FROM $s.d_deleted) AS x(s)", "60|120|120\n40|80|80\n1");
	is(ask("DELETE FROM $s.p WHERE k = 3 AND id = 3; DELETE FROM $s.p WHERE id <= 40; SELECT count(DISTINCT s) FROM (SELECT deleted_at FROM $s.p_deleted UNION ALL SELECT deleted_at FROM $s.c_deleted UNION ALL SELECT deleted_at FROM $s.d_deleted) AS x(s); $counts{$s}"), "2\n60|120|120\n40|80|80", "$s: two statements are two deletions, each with one stamp");
	is(ask("UPDATE $s.p_deleted SET deleted_at = NULL WHERE k = 3 AND id = 3; $counts{$s}"), "61|122|122\n39|78|78", "$s: a row is restored with what went with it");
	is(ask("UPDATE $s.p_deleted SET deleted_at = NULL; $state"), $whole, "$s: all are restored, as they were");
	is(ask("PREPARE del(int, int) AS DELETE FROM $s.p WHERE k = \$1 AND id = \$2; PREPARE res(int, int) AS UPDATE $s.p_deleted SET deleted_at = NULL WHERE k = \$1 AND id = \$2; "
		. join(' ', map { "EXECUTE del($_, $_);" } 1 .. 9) . " $counts{$s}; " . join(' ', map { "EXECUTE res($_, $_);" } 1 .. 9) . " $state"), "91|182|182\n9|18|18\n$whole", "$s: prepared statements");
	same("$s: a child, and then its parent, in one transaction", "DELETE FROM $s.c WHERE id = 7; DELETE FROM $s.p WHERE id = 7; $counts{$s}; SELECT count(DISTINCT deleted_at) FROM $s.c_deleted", "99|198|198\n1|2|2\n1");
	same("$s: DELETE ... USING and a CTE", "DELETE FROM $s.p USING $s.c WHERE c.k = p.k AND c.p = p.id AND c.id IN (5, 6); WITH gone AS (DELETE FROM $s.c WHERE id = 8 RETURNING k, id) SELECT count(*) FROM gone; $counts{$s}", "1\n98|195|195\n2|5|5");
	same("$s: a savepoint", "DELETE FROM $s.p WHERE id = 1; SAVEPOINT s; DELETE FROM $s.p WHERE id = 2; ROLLBACK TO s; DELETE FROM $s.p WHERE id = 3; SELECT id FROM $s.p_deleted ORDER BY id", "1\n3");
	is(ask($state), $whole, "$s: what is rolled back was not deleted");

	# TRUNCATE
	fails("$s: TRUNCATE without CASCADE", "TRUNCATE $s.p", qr/^ERROR:  cannot truncate a table referenced in a foreign key constraint/m, $state);
	same("$s: TRUNCATE after other changes of the transaction", "UPDATE $s.p SET name = 'new' WHERE id = 50; DELETE FROM $s.p WHERE id = 51; INSERT INTO $s.p VALUES (5, 5000); TRUNCATE $s.p CASCADE; $counts{$s}; SELECT name FROM $s.p_deleted WHERE id = 50; SELECT count(DISTINCT deleted_at) FROM $s.p_deleted; UPDATE $s.p_deleted SET deleted_at = NULL; $counts{$s}",
		"0|0|0\n101|200|200\nnew\n1\n101|200|200\n0|0|0");
	is(ask("TRUNCATE $s.p CASCADE; $counts{$s}; SELECT count(DISTINCT s) FROM (SELECT deleted_at FROM $s.p_deleted UNION ALL SELECT deleted_at FROM $s.c_deleted UNION ALL SELECT deleted_at FROM $s.d_deleted) AS x(s); UPDATE $s.p_deleted SET deleted_at = NULL; $state"), "0|0|0\n100|200|200\n1\n$whole", "$s: TRUNCATE is one deletion, and is restored");

	# what stands in the way
	is(ask("DELETE FROM $s.p WHERE k = 9 AND id = 9"), '', "$s: a row is deleted");
	fails("$s: a child alone", "UPDATE $s.c_deleted SET deleted_at = NULL WHERE id = 9", qr/^ERROR:  insert or update on table "c(?:_\d+)?" violates foreign key constraint/m, $counts{$s});
	fails("$s: a key that is taken", "BEGIN; INSERT INTO $s.p VALUES (9, 9, 'new'); UPDATE $s.p_deleted SET deleted_at = NULL", qr/^ERROR:  duplicate key value violates unique constraint "p_pkey/m, $counts{$s});
	same("$s: another key, which does not bring children", "UPDATE $s.p_deleted SET deleted_at = NULL, id = 109; SELECT id, name, total FROM $s.p WHERE id IN (9, 109); $counts{$s}; UPDATE $s.c_deleted SET deleted_at = NULL, p = 109; $counts{$s}", "109|row 9|118\n100|198|198\n0|2|2\n100|200|200\n0|0|0");
	fails("$s: $_", "UPDATE $s.p_deleted SET $_", qr/^ERROR:  cannot alter deleted rows in "p_deleted/m, "$counts{$s}; SELECT deleted_at, name FROM $s.p_deleted") foreach (q{name = 'x'}, 'deleted_at = now()');
	is(ask("INSERT INTO $s.p_deleted SELECT 9, 99, 'never deleted'; $counts{$s}"), "99|198|198\n2|2|2", "$s: a row without a stamp comes into the bin");
	fails("$s: it is not destroyed by a restore", "UPDATE $s.p_deleted SET deleted_at = NULL WHERE id = 9", qr/^ERROR:  could not restore rows of "p_deleted/m, $counts{$s});
	ask("DELETE FROM $s.p_deleted WHERE id = 99");

	# holds and purges
	is(ask("SELECT soft_delete.hold('$s.p', 'lawsuit')"), '', "$s: hold()");
	fails("$s: $_ of a held bin", $_, qr/^ERROR:  cannot purge rows of "p_deleted\w*", which are held: lawsuit/m, $counts{$s}) foreach ("DELETE FROM $s.p_deleted", "DELETE FROM $s.p_deleted WHERE k = 9", "TRUNCATE $s.p_deleted");
	fails("$s: untag() of a held table", "SELECT soft_delete.untag('$s.p', tombstones => 'purge', cascade => true)", qr/^ERROR:  cannot untag table "$s\.p", where rows are held\n.*\nHINT:  SELECT soft_delete\.hold\('$s\.p', NULL\);/m, $counts{$s});
	same("$s: a held row is restored, and others are deleted", "UPDATE $s.p_deleted SET deleted_at = NULL; DELETE FROM $s.p WHERE id = 10; $counts{$s}", "99|198|198\n1|2|2");
	is(ask("SELECT soft_delete.hold('$s.p', NULL); DELETE FROM $s.p_deleted WHERE deleted_at < now() - interval '1 day'; $counts{$s}; DELETE FROM $s.c_deleted; DELETE FROM $s.d_deleted; DELETE FROM $s.p_deleted WHERE deleted_at <= now(); $counts{$s}"), "99|198|198\n1|2|2\n99|198|198\n0|0|0", "$s: purge");
	is(ask("INSERT INTO $s.p VALUES (9, 9, 'row 9'); INSERT INTO $s.c VALUES (9, 9, 9, '{c,9}'), (9, 1009, 9, NULL); INSERT INTO $s.d VALUES (9, 9, 9), (9, 1009, 1009); $state"), $whole, "$s: all is as before");

	# what is not done for these tables
	fails("$s: tag() of a bin", "SELECT soft_delete.tag('$s.p_deleted', storage => 'aside')", qr/^ERROR:  cannot tag "$s\.p_deleted", which is .*, so\nDETAIL:  It is the bin of another table/m, $counts{$s});
	like(answer($node, 'app', "SELECT soft_delete.tag('$s.p', storage => 'aside')"), qr/NOTICE:  table "$s\.p" is already tagged/, "$s: tag() again");

	# DDL
	$node->safe_psql('app', "DELETE FROM $s.p WHERE k = 4");
	is(ask("ALTER TABLE $s.p ADD COLUMN extra integer DEFAULT 5; SELECT count(extra) FROM $s.p_deleted; ALTER TABLE $s.p RENAME COLUMN name TO title; ALTER TABLE $s.p ALTER COLUMN title TYPE varchar(50); DELETE FROM $s.p WHERE k = 5; SELECT count(title), sum(extra) FROM $s.p_deleted; UPDATE $s.p_deleted SET deleted_at = NULL; SELECT count(title), sum(extra) FROM $s.p; $counts{$s}"), "5\n10|50\n100|500\n100|200|200\n0|0|0", "$s: columns come, get another name and another type");
	is(ask("DELETE FROM $s.p WHERE k = 5; ALTER TABLE $s.p DROP COLUMN extra; DELETE FROM $s.p WHERE k = 6; UPDATE $s.p_deleted SET deleted_at = NULL; ALTER TABLE $s.p RENAME COLUMN title TO name; ALTER TABLE $s.p ALTER COLUMN name TYPE text; $state"), $whole, "$s: and go");
	fails("$s: a column of the bin", "ALTER TABLE $s.p ADD COLUMN deleted_by text", qr/^ERROR:  table "$s\.p" cannot have a column "deleted_at", "deleted_by", "hold" or "unlinked"/m, $counts{$s});
	is(ask("ALTER TABLE $s.p RENAME TO other; ALTER TABLE $s.p_deleted RENAME TO other_bin; DELETE FROM $s.other WHERE k = 4; SELECT count(*) FROM $s.other_bin; ALTER TABLE $s.other RENAME TO p; ALTER TABLE $s.other_bin RENAME TO p_deleted; UPDATE $s.p_deleted SET deleted_at = NULL; $state"), "5\n$whole", "$s: names change");
	fails("$s: a bin without a column, and repair()", "ALTER TABLE $s.p_deleted DROP COLUMN name; DELETE FROM $s.p WHERE id = 1", qr/^ERROR:  companion "p_deleted\w*" of table "p\w*" lacks column "name"\n.*\nHINT:  SELECT soft_delete\.repair\('$s\.p'\);$/m, $counts{$s});
	same("$s: the hint works", "SELECT soft_delete.repair('$s.p'); DELETE FROM $s.p WHERE id = 1; SELECT name FROM $s.p_deleted", 'row 1');
	ask("SELECT soft_delete.repair('$s.p')");

	# what would lose them
	my $tag = qr/^ERROR:  (?:Citus cannot convert tagged table "$s\.\w+"|$s\.\w+ is not allowed for undistribute_table because it belongs to a distributed schema)/m;
	foreach my $unsafe ('off', 'on')
	{
		my $set = "SET citus.enable_unsafe_triggers = $unsafe;";
		fails("$s: DROP TABLE of the bin, unsafe triggers $unsafe", "$set DROP TABLE $s.p_deleted", qr/^ERROR:  cannot drop the bin of tagged table "$s\.p"\n.*\nHINT:  SELECT soft_delete\.untag\('$s\.p'\);$/m, $counts{$s});
		fails("$s: undistribute_table() of $_, unsafe triggers $unsafe", "$set SELECT undistribute_table('$s.$_', cascade_via_foreign_keys => true)", $tag, $counts{$s}) foreach ('p', 'p_deleted');
		fails("$s: columnar $_, unsafe triggers $unsafe", "$set SELECT alter_table_set_access_method('$s.$_', 'columnar')", qr/^ERROR:  /m, $counts{$s}) foreach ('p', 'p_deleted');
		fails("$s: alter_distributed_table(), unsafe triggers $unsafe", "$set SELECT alter_distributed_table('$s.p', shard_count => 4, cascade_to_colocated => true)", qr/^ERROR:  /m, $counts{$s});
		fails("$s: truncate_local_data_after_distributing_table(), unsafe triggers $unsafe", "$set SELECT truncate_local_data_after_distributing_table('$s.p'); SELECT 1 / 0", qr/^ERROR:  /m, $counts{$s});
	}
	fails("$s: untag() of a child alone", "SELECT soft_delete.untag('$s.c')", qr/^ERROR:  cannot untag table "$s\.c", whose rows are deleted with those of tagged table "$s\.p"/m, $counts{$s});
	ask("DELETE FROM $s.p WHERE k = 8");
	fails("$s: untag() with deleted rows", "SELECT soft_delete.untag('$s.p', cascade => true)", qr/^ERROR:  table "$s\.p" has deleted rows\nDETAIL.*\nHINT:  SELECT \* FROM $s\.p_deleted;$/m, $counts{$s});
	same("$s: untag() keeps them", "SELECT soft_delete.untag('$s.c', tombstones => 'keep', cascade => true); $live{$s}; SELECT count(*) FROM pg_trigger WHERE tgrelid::regclass::text LIKE '$s.%' AND tgname LIKE '~soft%'", "100|200|200\n0");
	same("$s: untag() purges them", "SELECT soft_delete.untag('$s.p', tombstones => 'purge', cascade => true); $live{$s}; SELECT to_regclass('$s.p_deleted')", "95|190|190\n");
	is(ask("UPDATE $s.p_deleted SET deleted_at = NULL; $state"), $whole, "$s: all is there");

	# a worker has the same tables
	is(on_worker("DELETE FROM $s.p WHERE id <= 20; $counts{$s}; UPDATE $s.p_deleted SET deleted_at = NULL; $state"), "80|160|160\n20|40|40\n$whole", "$s: from a worker") if $s ne 'local';
}

# children that are not tagged, or lose their references; Citus has SET NULL for references to replicated tables alone
$node->safe_psql('app', q{SET client_min_messages = error; CREATE TABLE hash.e (k integer, id integer, p integer, l integer, PRIMARY KEY (k, id)); SELECT create_distributed_table('hash.e', 'k', colocate_with => 'hash.p'); INSERT INTO hash.e SELECT k, id, id, k FROM hash.p});
foreach my $case ([ 'hash', 'FOREIGN KEY (k, p) REFERENCES hash.p ON DELETE CASCADE' ], map { [ 'replicated', "FOREIGN KEY (l, p) REFERENCES replicated.p ON DELETE $_" ] } ('CASCADE', 'SET NULL', 'SET DEFAULT'))
{
	my ($s, $constraint) = @$case;
	is(ask("ALTER TABLE hash.e ADD CONSTRAINT e_p $constraint"), '', "$s: a foreign key comes: $constraint");
	fails("$s: DELETE then", "DELETE FROM $s.p WHERE id = 4", $constraint =~ /SET/ ? qr/^ERROR:  cannot delete from tagged table "$s\.p": a foreign key would overwrite references of table "hash\.e"\nDETAIL.*\nHINT:  ALTER TABLE hash\.e DROP CONSTRAINT e_p;$/m
		: qr/^ERROR:  cannot delete from tagged table "$s\.p": a foreign key would destroy rows of table "hash\.e"\nDETAIL.*\nHINT:  SELECT soft_delete\.tag\('$s\.p', storage => 'aside', cascade => true\);$/m, "$counts{$s}; SELECT count(*), count(p) FROM hash.e");
	fails("$s: TRUNCATE then", "TRUNCATE $s.p CASCADE", qr/^ERROR:  cannot truncate tagged table "$s\.p": table "hash\.e" references it, and is not tagged/m, "$counts{$s}; SELECT count(*), count(p) FROM hash.e");
	ask('ALTER TABLE hash.e DROP CONSTRAINT e_p');
}
ask('ALTER TABLE hash.e ADD CONSTRAINT e_p FOREIGN KEY (k, p) REFERENCES hash.p ON DELETE CASCADE');
is(ask(q{SELECT FROM soft_delete.tag('hash.p', storage => 'aside', cascade => true); DELETE FROM hash.p WHERE id = 4; SELECT count(*) FROM hash.e_deleted; UPDATE hash.p_deleted SET deleted_at = NULL; SELECT count(*) FROM hash.e}), "1\n100", 'the hint of that works');
# a child of two parents comes with the last of them
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE TABLE hash.q (k integer, id integer, PRIMARY KEY (k, id));
	SELECT create_distributed_table('hash.q', 'k', colocate_with => 'hash.p');
	INSERT INTO hash.q SELECT k, id FROM hash.p;
	ALTER TABLE hash.e ADD q integer;
	UPDATE hash.e SET q = id;
	ALTER TABLE hash.e ADD FOREIGN KEY (k, q) REFERENCES hash.q ON DELETE CASCADE;
	SELECT soft_delete.tag('hash.q', storage => 'aside')});
same('a child of two parents', 'DELETE FROM hash.p WHERE k = 2; DELETE FROM hash.q WHERE k = 2; SELECT count(*) FROM hash.e_deleted; UPDATE hash.p_deleted SET deleted_at = NULL; SELECT count(*) FROM hash.e_deleted; UPDATE hash.q_deleted SET deleted_at = NULL; SELECT count(*) FROM hash.e_deleted; SELECT count(*) FROM hash.e', "5\n5\n0\n100");
# a table that references itself, and a trigger that refuses rows
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE TABLE hash.tree (k integer, id integer, up integer, PRIMARY KEY (k, id));
	SELECT create_distributed_table('hash.tree', 'k', colocate_with => 'hash.p');
	ALTER TABLE hash.tree ADD FOREIGN KEY (k, up) REFERENCES hash.tree ON DELETE CASCADE;
	INSERT INTO hash.tree SELECT k, id, nullif(id / 2, 0) FROM generate_series(1, 5) AS k, generate_series(1, 31) AS id;
	SELECT soft_delete.tag('hash.tree', storage => 'aside')});
same('a tree', 'DELETE FROM hash.tree WHERE id = 2; SELECT count(*) FROM hash.tree_deleted; UPDATE hash.tree_deleted SET deleted_at = NULL WHERE id = 2; SELECT count(*) FROM hash.tree_deleted; SELECT count(*) FROM hash.tree; DELETE FROM hash.tree; UPDATE hash.tree_deleted SET deleted_at = NULL; SELECT count(*) FROM hash.tree', "75\n0\n155\n155");
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	SET citus.enable_unsafe_triggers = on;
	CREATE TRIGGER skip BEFORE INSERT ON hash.tree FOR EACH ROW WHEN (NEW.id = 31) EXECUTE FUNCTION skip();
	DELETE FROM hash.tree WHERE id >= 30});
fails('a trigger that refuses what comes back', 'UPDATE hash.tree_deleted SET deleted_at = NULL', qr/^ERROR:  could not restore rows of "tree_deleted_\d+"\nDETAIL:  The table has taken/m, 'SELECT count(*) FROM hash.tree; SELECT count(*) FROM hash.tree_deleted');

# roles
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE ROLE clerk LOGIN; CREATE ROLE other LOGIN;
	CREATE SCHEMA clerks; GRANT ALL ON SCHEMA clerks TO clerk; GRANT USAGE ON SCHEMA clerks TO other;
	SET ROLE clerk;
	CREATE TABLE clerks.t (id integer PRIMARY KEY, name text);
	SELECT create_distributed_table('clerks.t', 'id', colocate_with => 'none');
	INSERT INTO clerks.t SELECT g, 'name ' || g FROM generate_series(1, 50) AS g;
	GRANT SELECT, DELETE, TRUNCATE ON clerks.t TO other});
my $state = 'SELECT count(*) FROM clerks.t';
fails('tag() by another role', q{SET ROLE other; SELECT soft_delete.tag('clerks.t', storage => 'aside')}, qr/^ERROR:  must be owner of table clerks\.t/m, $state);
is(ask(q{SET ROLE clerk; BEGIN; INSERT INTO clerks.t VALUES (60); SELECT soft_delete.tag('clerks.t', storage => 'aside'); DELETE FROM clerks.t WHERE id = 60; COMMIT; SELECT id, deleted_by FROM clerks.t_deleted; SELECT tableowner FROM pg_tables WHERE tablename = 't_deleted' AND schemaname = 'clerks'}), "creates table clerks.t_deleted, the bin, for deleted rows of clerks.t, distributed as that is\ncreates triggers \"~soft_delete_shard\", \"~soft_delete_shard_truncate\" on clerks.t\n60|clerk\nclerk", 'an ordinary role tags a table that it has written to');
is(ask(q{SET ROLE other; DELETE FROM clerks.t WHERE id <= 10; RESET ROLE; SELECT deleted_by, count(*) FROM clerks.t_deleted GROUP BY 1 ORDER BY 1}), "clerk|1\nother|10", 'who may delete needs no right on the bin');
$state .= '; SELECT count(*) FROM clerks.t_deleted';
fails("without a right on it: $_", "SET ROLE other; $_", qr/^ERROR:  permission denied for table t_deleted/m, $state) foreach ('SELECT * FROM clerks.t_deleted', 'UPDATE clerks.t_deleted SET deleted_at = NULL', 'DELETE FROM clerks.t_deleted', 'TRUNCATE clerks.t');
is(ask(q{GRANT SELECT, UPDATE, INSERT ON clerks.t_deleted TO other; SET ROLE other; UPDATE clerks.t_deleted SET deleted_at = NULL WHERE id < 5; TRUNCATE clerks.t; SELECT count(*) FROM clerks.t; SELECT count(*) FROM clerks.t_deleted}), "0\n51", 'rights on the bin restore, and let TRUNCATE keep what it deletes');
$node->safe_psql('app', q{
	SET client_min_messages = error;
	GRANT ALL ON SCHEMA clerks TO other;
	SET ROLE other;
	CREATE TABLE clerks.false_bin (id integer, name text, deleted_at timestamptz, deleted_by text);
	SELECT create_distributed_table('clerks.false_bin', 'id', colocate_with => 'clerks.t');
	SET citus.enable_unsafe_triggers = on} . ';' . $node->safe_psql('app', q{SELECT replace(replace(pg_get_triggerdef(oid), 't_deleted', 'false_bin'), '~soft_delete_shard_bin', 'x') FROM pg_trigger WHERE tgrelid = 'clerks.t_deleted'::regclass AND tgname = '~soft_delete_shard_bin'}));
is(ask(q{INSERT INTO clerks.t VALUES (1); DELETE FROM clerks.t WHERE id = 1; SELECT count(*) FROM clerks.false_bin; SELECT count(*) FROM clerks.t_deleted; DROP TABLE clerks.false_bin}), "0\n52", 'nobody passes off a bin of another role\'s table');
fails('a table of another owner than its bin', 'BEGIN; ALTER TABLE clerks.t OWNER TO other; INSERT INTO clerks.t VALUES (1); DELETE FROM clerks.t', qr/^ERROR:  there is no bin for rows that are deleted from "clerks\.t_\d+"/m, 'SELECT count(*) FROM clerks.t_deleted');

# policies hide rows from those who read, and not from TRUNCATE
$node->safe_psql('app', q{
	SET client_min_messages = error;
	GRANT SELECT, INSERT ON clerks.t_deleted TO other;
	ALTER TABLE clerks.t ENABLE ROW LEVEL SECURITY;
	CREATE POLICY few ON clerks.t USING (id < 5);
	INSERT INTO clerks.t SELECT g, 'name ' || g FROM generate_series(1, 50) AS g});
fails('TRUNCATE by a role that does not see all rows', 'SET ROLE other; TRUNCATE clerks.t', qr/^ERROR:  cannot truncate table "t", of which policies hide rows/m, $state);
same('by one that does', 'SET ROLE clerk; DELETE FROM clerks.t_deleted; TRUNCATE clerks.t; SELECT count(*) FROM clerks.t_deleted', 50);
# the extension does not go before the tags
fails("the extension goes: $_", $_, qr/^ERROR:  cannot drop extension "soft_delete" while tables are tagged/m, "$counts{hash}; SELECT count(*) FROM pg_extension WHERE extname = 'soft_delete'") foreach ('DROP EXTENSION soft_delete CASCADE', 'DROP SCHEMA soft_delete CASCADE');
# names that want quotes, and are too long for a shard
my $long = '"A ""long"" name with spaces and more than fifty characters"';
$node->safe_psql('app', qq{
	SET client_min_messages = error;
	CREATE TABLE $long ("the key" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone integer, "v ae" text, n numeric(5, 2) DEFAULT 1.5);
	ALTER TABLE $long DROP COLUMN gone;
	SELECT create_distributed_table('$long', 'the key', colocate_with => 'none');
	SELECT soft_delete.tag('$long', storage => 'aside', deleted_at => 'At "that" time');
	INSERT INTO $long ("v ae") SELECT 'x' || g FROM generate_series(1, 50) AS g});
my ($bin) = $node->safe_psql('app', q{SELECT quote_ident(relname) FROM pg_class WHERE relname LIKE 'A "long"%deleted'});
same('names that want quotes', qq{DELETE FROM $long WHERE "the key" <= 20; SELECT count(*), count("At ""that"" time"), sum(n) FROM $bin; UPDATE $bin SET "At ""that"" time" = NULL; SELECT count(*), sum("the key"), count("v ae") FROM $long; TRUNCATE $long; SELECT count(*) FROM $bin; SELECT soft_delete.hold('$long', 'it''s "held"'); SELECT soft_delete.hold('$long', NULL); SELECT soft_delete.untag('$long', tombstones => 'keep'); SELECT count(*) FROM $long},
	"20|20|30.00\n50|1275|50\n50\n50");
ask("SELECT soft_delete.untag('$long')");

# shards move, split and are rebalanced; a node goes and comes
my $before = "$counts{hash}; $counts{replicated}; $counts{tenant}";
my $content = join('; ', $before, map { "TABLE $_.p ORDER BY id; TABLE $_.p_deleted ORDER BY id; TABLE $_.c_deleted ORDER BY id" } qw(hash replicated tenant));
ask("DELETE FROM $_.p WHERE id <= 30") foreach sort keys %kind;
my $kept = ask($content);
my $elsewhere = sub { my ($table, $mode) = @_; return "SELECT citus_move_shard_placement(s.shardid, s.nodename, s.nodeport, t.nodename, t.nodeport, shard_transfer_mode => '$mode') FROM citus_shards AS s, pg_dist_node AS t WHERE table_name = '$table'::regclass AND s.nodeport <> t.nodeport ORDER BY s.shardid, t.nodeport LIMIT 1" };
my $split = sub { my ($mode) = @_; return "SELECT citus_split_shard_by_split_points(shardid, ARRAY[((shardminvalue::bigint + shardmaxvalue::bigint) / 2)::text], ARRAY[nodeid, nodeid], '$mode') FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid) WHERE logicalrelid = 'hash.p'::regclass ORDER BY shardid LIMIT 1" };
my $last = $node->safe_psql('app', 'SELECT format(\'%L, %s\', nodename, nodeport) FROM pg_dist_node ORDER BY nodeport DESC LIMIT 1');
my @steps = (
	[ 'a shard moves, writes blocked', $elsewhere->('hash.p', 'block_writes') ],
	[ 'a shard moves, by logical replication', $elsewhere->('hash.p', 'force_logical') ],
	[ 'the schema of a tenant moves', q{SELECT citus_schema_move('tenant', nodename, nodeport, 'block_writes') FROM pg_dist_node WHERE nodeport NOT IN (SELECT nodeport FROM citus_shards WHERE table_name = 'tenant.p'::regclass) ORDER BY nodeport LIMIT 1} ],
	[ 'a shard splits, writes blocked', $split->('block_writes') ],
	[ 'a shard splits, by logical replication', $split->('force_logical') ],
	[ 'a tenant is isolated', q{SELECT isolate_tenant_to_new_shard('hash.p', 5, 'CASCADE', shard_transfer_mode => 'block_writes')} ],
	[ 'shards are rebalanced', q{SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')} ],
	[ 'a node goes', "SELECT citus_drain_node($last, shard_transfer_mode => 'block_writes'); SELECT citus_remove_node($last)" ],
	[ 'a node comes', "SELECT citus_add_node($last); SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')" ]);
foreach my $step (@steps)
{
	my ($name, $sql) = @$step;
	unlike(ask($sql), qr/ERROR/, $name);
	is(ask($content), $kept, "$name: all is there");
	foreach my $s (sort keys %kind)
	{
		same("$name, $s: deletes and restores", "DELETE FROM $s.p WHERE id BETWEEN 31 AND 60; $counts{$s}; UPDATE $s.p_deleted SET deleted_at = NULL WHERE id BETWEEN 21 AND 50; $counts{$s}; TRUNCATE $s.p CASCADE; $bins{$s}", "40|80|80\n60|120|120\n70|140|140\n30|60|60\n100|200|200");
	}
}
# replicas are alike
is($node->safe_psql('app', q{SELECT count(DISTINCT result) FROM run_command_on_all_nodes('SELECT string_agg(r::text, '';'' ORDER BY id) FROM replicated.p_deleted AS r')}), 1, 'all replicas of the bin of a reference table are alike');

# a shard moves while others delete
my $loader = $node->background_psql('app', on_error_stop => 0);
$node->safe_psql('app', q{SET client_min_messages = error; CREATE TABLE big (id integer PRIMARY KEY, name text); SELECT create_distributed_table('big', 'id', colocate_with => 'none'); SELECT soft_delete.tag('big', storage => 'aside'); INSERT INTO big SELECT g, 'name ' || g FROM generate_series(1, 20000) AS g;
	CREATE PROCEDURE delete_many() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1 .. 20000 LOOP CONTINUE WHEN i % 8 <> 0; DELETE FROM big WHERE id = i; COMMIT; END LOOP; END $$});
$loader->query_until(qr/^$/m, "\\echo\nCALL delete_many();\n");
foreach my $mode ('block_writes', 'force_logical', 'force_logical')
{
	unlike(ask($elsewhere->('big', $mode)), qr/ERROR/, "a shard moves under load: $mode");
}
$loader->query('SELECT 1');
$loader->quit;
is(ask(q{SELECT count(*), count(DISTINCT id), sum((id % 8 = 0)::integer), bool_and(name = 'name ' || id) FROM big_deleted; SELECT count(*), sum((id % 8 = 0)::integer) FROM big}), "2500|2500|2500|t\n17500|0", 'no row is lost, and none is in both');

# the example of the page
my ($example) = slurp_file("$FindBin::RealBin/../../docs/citus.md") =~ /^```\n(SELECT create_distributed_table\('orders'.*?)^```$/ms;
$node->safe_psql('app', q{CREATE TABLE orders (id integer, customer integer, placed date, PRIMARY KEY (customer, id)); INSERT INTO orders VALUES (7, 5, '2019-05-05'), (8, 5, '2019-06-06'), (9, 6, '2026-07-07')});
$node->safe_psql('app', "$quiet $example");
is(ask('SELECT id FROM orders ORDER BY id; SELECT id FROM orders_deleted; DROP TABLE orders, orders_deleted'), "7\n9\n8", 'docs/citus.md runs as written');

($example) = slurp_file("$FindBin::RealBin/../../docs/citus.md") =~ /^```\n(BEGIN;\nSET LOCAL.*?)^```$/ms;
foreach my $storage ('in_place', 'aside')
{
	$node->safe_psql('app', "$quiet CREATE TABLE invoices (id integer, customer integer, total numeric, PRIMARY KEY (customer, id)); INSERT INTO invoices SELECT g, g % 5, g * 1.5 FROM generate_series(1, 50) AS g; SELECT soft_delete.tag('invoices', storage => '$storage')");
	$node->safe_psql('app', 'DELETE FROM invoices WHERE id <= 10; DELETE FROM invoices WHERE id = 11');
	my $deleted = 'SELECT id, customer, total, deleted_at, deleted_by FROM invoices_deleted ORDER BY id';
	my $kept = ask($deleted);
	unlike(ask($example), qr/ERROR/, "$storage: a table with deleted rows is sharded");
	is(ask("SELECT citus_table_type FROM citus_tables WHERE table_name = 'invoices'::regclass; $deleted; UPDATE invoices_deleted SET deleted_at = NULL; SELECT count(*), sum(total) FROM invoices; DROP TABLE invoices, invoices_deleted"), "distributed\n$kept\n50|1912.5", "$storage: with all stamps, and they are restored");
}

# Citus gives shards that move a trigger for TRUNCATE, which does nothing there, and leaves it to them
# what Citus drops goes with the table or stays, and the extension comes off
is(ask('DROP TABLE hash.tree; SELECT count(*) > 0 FROM hash.tree_deleted; DROP TABLE hash.tree_deleted'), 't', 'a dropped table leaves its bin, until that is dropped');
is(ask('DROP SCHEMA tenant CASCADE; DROP TABLE big, big_deleted'), '', 'a schema with both is dropped, and both together');
is(ask(q{SELECT soft_delete.untag(t, tombstones => 'purge', cascade => true) FROM unnest('{hash.p,replicated.p,local.p,clerks.t}'::regclass[]) AS t; CALL citus_cleanup_orphaned_resources(); SELECT DISTINCT tgrelid::regclass FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid WHERE pronamespace = 'soft_delete'::regnamespace AND proname <> 'keep_truncated'; DELETE FROM hash.p; SELECT count(*) FROM hash.c}), "0", 'untagged, they are as other tables');

done_testing();
