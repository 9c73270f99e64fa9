# Sessions that no setting makes load the library: background workers, a database
# made from a template, a session older than the setting.  The index of the bin
# loads it as a statement is planned, so none of them reads a deleted row or
# changes one.  COPY table TO plans nothing: what it shows is stated here.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init;
$node->start;
my $version = $node->safe_psql('postgres', 'SHOW server_version_num');

$node->safe_psql('postgres', 'CREATE DATABASE app');
my $early = $node->background_psql('app', on_error_stop => 0);
$node->safe_psql('postgres', "ALTER DATABASE app SET session_preload_libraries = 'soft_delete'");

$node->safe_psql('app', q{
	CREATE EXTENSION soft_delete;
	CREATE TABLE t (id integer PRIMARY KEY, v text);
	INSERT INTO t SELECT g, 'v' FROM generate_series(1, 4) g;
	CREATE TABLE parted (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);
	CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10);
	CREATE TABLE high PARTITION OF parted FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
	CREATE TABLE higher PARTITION OF high FOR VALUES FROM (10) TO (20);
	INSERT INTO parted VALUES (1, 'v'), (2, 'v'), (11, 'v'), (12, 'v');
	CREATE TABLE above (id integer, v text);
	CREATE TABLE below () INHERITS (above);
	INSERT INTO above VALUES (1, 'v'), (2, 'v');
	INSERT INTO below VALUES (3, 'v'), (4, 'v');
	CREATE TABLE plain (id integer, v text);
	INSERT INTO plain SELECT g, 'v' FROM generate_series(1, 12) g;
	CREATE TABLE referenced (id integer PRIMARY KEY);
	CREATE TABLE referencing (id integer PRIMARY KEY, r integer REFERENCES t);
	SELECT soft_delete.tag('t'), soft_delete.tag('parted'), soft_delete.tag('above');
	CREATE TABLE cascaded (id integer PRIMARY KEY, r integer REFERENCES referenced ON DELETE SET NULL);
	INSERT INTO referenced VALUES (1);
	INSERT INTO cascaded VALUES (1, 1);
	SELECT soft_delete.tag('cascaded');
	DELETE FROM t WHERE id = 1;
	DELETE FROM parted WHERE id IN (1, 11);
	DELETE FROM above WHERE id IN (1, 3)});
# a session from before: its statements and plans are older than tag and library
{
	$early->query('CREATE TABLE late (id integer PRIMARY KEY); INSERT INTO late VALUES (1), (2)');
	$early->query('PREPARE p AS SELECT count(*) FROM late');
	$early->query("CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM late); END'");
	foreach (1 .. 6) { $early->query('EXECUTE p'); $early->query('SELECT f()'); }
	$node->safe_psql('app', "SELECT soft_delete.tag('late'); DELETE FROM late WHERE id = 1");
	is($early->query('EXECUTE p'), '1', 'a statement prepared before the tag hides deleted rows');
	is($early->query('SELECT f()'), '1', 'and so does the plan of a function');
	$early->quit;
}

# a template takes the settings of no database along; from 17 on a login event
# trigger loads the library, which a template's sessions may be without
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE app');
my $no_login = $version >= 170000 ? "options='-c event_triggers=off'" : '';
my $connection = $node->connstr('copied') . " $no_login";

# query SQL...: what a new session without the library returns, as one script of statements
sub query
{
	my @statements = @_;
	my ($stdout, $stderr) = ('', '');
	$node->psql('copied', join(";\n", @statements), stdout => \$stdout, stderr => \$stderr,
		on_error_stop => 0, extra_params => [ '-d', $connection ]);
	return ($stdout, $stderr);
}
# first NAME, SQL, EXPECTED: compares the result of a session's very first statement
sub first
{
	my ($name, $sql, $expected) = @_;
	my ($stdout, $stderr) = query($sql);
	is($stdout . $stderr, $expected, $name);
}

first('the setting is not there', 'SHOW session_preload_libraries', '');
first('a first SELECT hides deleted rows', 'SELECT count(*), min(id) FROM t', '3|2');
first('ONLY', 'SELECT count(*) FROM ONLY t', '3');
first('by the primary key', 'SELECT count(*) FROM t WHERE id = 1', '0');
first('of a partitioned table', 'SELECT id FROM parted ORDER BY id', "2\n12");
first('with a condition that leaves one partition', 'SELECT id FROM parted WHERE id > 9', '12');
first('joined to another', 'SELECT t.id, p.id FROM parted p JOIN t USING (id) ORDER BY 1', '2|2');
first('before another', 'SELECT count(*) FROM t, parted', '6');
first('of a partition', 'SELECT id FROM higher', '12');
first('of an inheritance parent', 'SELECT id FROM above ORDER BY id', "2\n4");
first('in a UNION ALL', 'SELECT id FROM t UNION ALL SELECT id FROM above ORDER BY id', "2\n2\n3\n4\n4");
first('in a subquery', 'SELECT (SELECT count(*) FROM parted), ARRAY(SELECT id FROM above ORDER BY id)', '2|{2,4}');
first('in a function', q{DO $$BEGIN IF (SELECT count(*) FROM t) <> 3 THEN RAISE 'seen'; END IF; END$$}, '');
first('by a cursor', "BEGIN; DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id; FETCH 1 FROM c; COMMIT", '2');
first('by COPY of a query', 'COPY (SELECT id FROM t ORDER BY id) TO STDOUT', "2\n3\n4");
first('for a bin', 'SELECT id FROM t_deleted', '1');
first('for the bin of a partitioned table', 'SELECT id FROM parted_deleted ORDER BY id', "1\n11");
first('FOR UPDATE', 'SELECT id FROM t WHERE id < 3 FOR UPDATE', '2');
first('into a table', 'CREATE TEMPORARY TABLE c AS SELECT * FROM t; SELECT count(*) FROM c', '3');
# what depends on all columns must be changed before it is planned
foreach my $sql ('SELECT count(*) FROM t WHERE t IS NOT NULL', 'SELECT t IS NULL FROM t', 'SELECT id FROM t NATURAL JOIN parted',
	'SELECT s IS NOT NULL FROM (SELECT * FROM t OFFSET 0) s', 'SELECT t.id FROM plain JOIN t ON t IS NOT NULL',
	'SELECT id FROM t JOIN parted USING (id, deleted_at)')
{
	like((query($sql))[1], qr/too late to read whole rows of table "(t|parted)"/, "a first $sql is refused");
}
is((query(('SELECT id FROM t NATURAL JOIN parted') x 2))[0], '2', 'a second one is answered');

my ($stdout, $stderr) = query('UPDATE t SET v = v WHERE id < 3 RETURNING id');
is($stdout, '', 'a first UPDATE changes nothing');
like($stderr, qr/library "soft_delete" was loaded too late to change rows of table "t"/, 'and says so');
like((query("\\set VERBOSITY verbose\nUPDATE t SET v = v"))[1], qr/55000/, 'with SQLSTATE 55000');
($stdout, $stderr) = query('UPDATE t SET v = v WHERE id = 0', 'UPDATE t SET v = v RETURNING id');
is($stdout, "2\n3\n4", 'the second one is as ever');
like((query('UPDATE parted SET v = v'))[1], qr/too late/, 'UPDATE of a partitioned table');
like((query('UPDATE above SET v = v'))[1], qr/too late/, 'UPDATE of an inheritance parent');
like((query('UPDATE t_active SET v = v'))[1], qr/too late/, 'UPDATE of a view');
like((query('UPDATE plain SET v = t.v FROM t WHERE t.id = plain.id'))[1], qr/too late/, 'UPDATE from a tagged table');
like((query('WITH u AS (UPDATE t SET v = v RETURNING id) SELECT * FROM u'))[1], qr/too late/, 'UPDATE in WITH');
like((query('MERGE INTO t USING plain p ON p.id = t.id WHEN MATCHED THEN UPDATE SET v = p.v'))[1], qr/too late/, 'MERGE');
like((query("INSERT INTO t VALUES (1, 'x', now())"))[1], qr/cannot write a deleted row into table "t"/, 'a first INSERT writes no tombstone');
like((query('INSERT INTO t SELECT 9, v, now() FROM plain LIMIT 1'))[1], qr/cannot write a deleted row/, 'nor does INSERT SELECT');
like((query("INSERT INTO parted VALUES (3, 'x', now())"))[1], qr/cannot write a deleted row/, 'nor one into a partitioned table');
like((query("COPY t FROM STDIN;\n9\tx\t2020-01-01\n\\."))[1], qr/cannot write a deleted row|extra data/, 'nor COPY');
like((query("INSERT INTO t (id) VALUES (2) ON CONFLICT (id) DO UPDATE SET deleted_at = now()"))[1], qr/too late/, 'nor ON CONFLICT');
like((query("WITH u AS (INSERT INTO t (id) VALUES (2) ON CONFLICT (id) DO UPDATE SET deleted_at = now() RETURNING id) SELECT * FROM u"))[1], qr/too late/, 'nor ON CONFLICT in WITH');
like((query("CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE sql AS 'INSERT INTO t (id) VALUES (2) ON CONFLICT (id) DO UPDATE SET deleted_at = now()'", 'SELECT pg_temp.f()'))[1], qr/too late|cannot write a deleted row/, 'nor ON CONFLICT in a function');
is((query('SELECT count(*) FROM t'))[0], '3', 'nothing was changed');
($stdout, $stderr) = query('DELETE FROM t WHERE id < 3 RETURNING id', 'SELECT id FROM t_deleted ORDER BY id');
is($stdout . $stderr, "2\n1\n2", 'a first DELETE is soft');
($stdout, $stderr) = query('DELETE FROM parted RETURNING id', 'SELECT id FROM parted_deleted ORDER BY id');
is($stdout . $stderr, "2\n12\n1\n2\n11\n12", 'and of a partitioned table');
like((query('INSERT INTO referencing VALUES (1, 1)'))[1], qr/violates foreign key constraint/, 'a foreign key does not find a deleted row');
like((query('TRUNCATE t CASCADE'))[1], qr/had not loaded library/, 'a first TRUNCATE is refused');
like((query('DELETE FROM referenced'))[1], qr/too late to change rows of table "cascaded"/, 'an action of a foreign key is refused');
is((query('SELECT 1 FROM cascaded', 'DELETE FROM referenced', 'SELECT r IS NULL FROM cascaded'))[0], "1\nt", 'but once the library is loaded');

# what remains: COPY of a table plans nothing and opens no index
is(join(' ', sort split /\n/, (query('COPY t (id) TO STDOUT'))[0]), '1 2 3 4', 'a first COPY table TO shows deleted rows');
is(join(' ', sort split /\n/, (query('SELECT 1 FROM t WHERE false', 'COPY t (id) TO STDOUT'))[0]), '3 4', 'but once the library is loaded');

# where the library's file is gone nothing is planned
$node->safe_psql('postgres', q{UPDATE pg_proc SET probin = '$libdir/soft_delete_is_gone' WHERE probin LIKE '%soft_delete'}, extra_params => [ '-d', $connection ]);
like((query('SELECT count(*) FROM t'))[1], qr/could not access file/, 'without the file a SELECT fails');
like((query('UPDATE t SET v = v'))[1], qr/could not access file/, 'and an UPDATE');
like((query('SELECT count(*) FROM parted'))[1], qr/could not access file/, 'and one of a partitioned table');
is((query('SELECT count(*) FROM plain'))[0], '12', 'other tables can be read');

done_testing();
