# What cannot work on a tagged table is told before it is tagged, and works aside where it can.
# packages: postgresql-MAJOR-tablelog postgresql-MAJOR-periods postgresql-MAJOR-timescaledb
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Neighbours;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $has_timescaledb = -e "/usr/lib/postgresql/$ENV{NEIGHBOURS_MAJOR}/lib/timescaledb.so";
my $node = start_shops($has_timescaledb ? "shared_preload_libraries = 'timescaledb'\ntimescaledb.telemetry_level = off" : '');

# tag DATABASE, TABLE: tags it in the way of that database
sub tag
{
	my ($database, $table) = @_;
	return $database eq 'plain' ? '' : answer($node, $database, "SELECT FROM soft_delete.tag('$table', storage => '$database')");
}

# everywhere SQL: runs it in each database
sub everywhere
{
	my ($sql) = @_;
	return map { $node->safe_psql($_, "SET client_min_messages = warning; $sql") } ('plain', 'in_place', 'aside');
}

if (tool('tablelog', 'postgresql-MAJOR-tablelog'))
{
	everywhere(q{CREATE EXTENSION table_log; CREATE TABLE logged (id integer PRIMARY KEY, v text); SELECT table_log_init(5, 'logged')});
	found('in_place', 'tag()', 'refused, with the way that works', tag('in_place', 'logged'), qr/cannot tag table "public.logged" with trigger "table_log_trigger" of extension "table_log".*HINT:  SELECT soft_delete.tag\('public.logged', storage => 'aside'\)/s);
	is(tag('aside', 'logged'), '', 'it can be tagged aside');
	my $works = sub { return answer($node, $_[0], q{INSERT INTO logged VALUES (1, 'a'); UPDATE logged SET v = 'b'; DELETE FROM logged; SELECT id, v, trigger_mode, trigger_tuple FROM logged_log ORDER BY trigger_id}) };
	my $expected = $works->('plain');
	found('aside', 'what is logged of INSERT, UPDATE, DELETE', 'as a plain table', $works->('aside'), $expected);
	is($node->safe_psql('aside', q{UPDATE logged_deleted SET deleted_at = NULL; SELECT v FROM logged}), 'b', 'and the row comes back');
	# the other way round
	$node->safe_psql('in_place', q{CREATE TABLE later (id integer PRIMARY KEY); SELECT soft_delete.tag('later')});
	found('in_place', 'its trigger on a tagged table', 'refused, with the way that works', answer($node, 'in_place', q{SELECT table_log_init(5, 'later')}), qr/cannot tag table "public.later" with trigger.*HINT:  SELECT soft_delete.tag\('public.later', storage => 'aside'\)/s);
}

if (tool('a trigger: INSERT INTO audit SELECT OLD.*', 'postgresql-MAJOR'))
{
	everywhere(q{
		CREATE TABLE audited (id integer PRIMARY KEY, v text);
		CREATE TABLE audit (id integer, v text);
		CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit SELECT OLD.*; RETURN NULL; END';
		CREATE TRIGGER audit AFTER DELETE ON audited FOR EACH ROW EXECUTE FUNCTION audit()});
	found('in_place', 'preview_tag()', 'warns of it, with what to do', answer($node, 'in_place', q{SELECT effect, remedy FROM soft_delete.preview_tag('audited') WHERE in_place AND effect ~ 'OLD'}), qr/^function (public\.)?audit\(\) is a trigger of the table, and may take OLD or NEW by position.*\|name the columns$/);
	is(tag('aside', 'audited'), '', 'it can be tagged aside');
	my $works = sub { return answer($node, $_[0], q{INSERT INTO audited VALUES (1, 'a'); DELETE FROM audited; SELECT id, v FROM audit}) };
	my $expected = $works->('plain');
	found('aside', 'what it writes', 'as a plain table', $works->('aside'), $expected);
}

if (tool('periods', 'postgresql-MAJOR-periods'))
{
	everywhere(q{
		CREATE EXTENSION periods CASCADE;
		CREATE TABLE versioned (id integer PRIMARY KEY, v text);
		SELECT periods.add_system_time_period('versioned', 'row_start', 'row_end'), periods.add_system_versioning('versioned');
		CREATE TABLE spans (id integer, s date, e date, v text);
		SELECT periods.add_period('spans', 'p', 's', 'e'), periods.add_unique_key('spans', ARRAY['id'], 'p')});
	my $drop = q{SELECT periods.drop_system_versioning('public.versioned'), periods.drop_system_time_period('public.versioned')};
	foreach my $storage ('in_place', 'aside')
	{
		found($storage, 'tag() of a table with system versioning', 'refused, with the way that works', tag($storage, 'versioned'), qr/cannot tag table "public.versioned" with trigger .* of extension "periods".*HINT:  \Q$drop\E;/s);
		$node->safe_psql($storage, $drop);
		is(tag($storage, 'versioned'), '', 'it can be tagged without');
	}
	found('in_place', 'tag() of a table with a period key', 'refused, with the way that works', tag('in_place', 'spans'), qr/cannot tag table "public.spans" with a period key.*HINT:  SELECT soft_delete.tag\('public.spans', storage => 'aside'\)/s);
	is(tag('aside', 'spans'), '', 'it can be tagged aside');
	my $works = sub { return answer($node, $_[0], q{
		INSERT INTO spans VALUES (1, '2020-01-01', '2021-01-01', 'a'); DELETE FROM spans; INSERT INTO spans VALUES (1, '2020-06-01', '2021-01-01', 'b') RETURNING v;
		INSERT INTO spans VALUES (1, '2020-07-01', '2020-08-01', 'c')}) =~ s/\nDETAIL.*//sr };
	my $expected = $works->('plain');
	found('aside', 'period keys', 'as a plain table', $works->('aside'), $expected);
	is($node->safe_psql('aside', q{DELETE FROM spans; UPDATE spans_deleted SET deleted_at = NULL WHERE v = 'a'; SELECT v FROM spans}), 'a', 'and the row comes back');
}

if (tool('contrib: lo, vacuumlo', 'postgresql-MAJOR'))
{
	everywhere(q{
		CREATE EXTENSION lo;
		CREATE TABLE managed (id integer PRIMARY KEY, raster lo);
		CREATE TRIGGER t_raster BEFORE UPDATE OR DELETE ON managed FOR EACH ROW EXECUTE FUNCTION lo_manage(raster);
		CREATE TABLE images (id integer PRIMARY KEY, raster lo)});
	foreach my $storage ('in_place', 'aside')
	{
		found($storage, 'tag() of a table with lo_manage()', 'refused: a restored row would lack its large object. Drop the trigger, run vacuumlo', tag($storage, 'managed'), qr/cannot tag table "public.managed" with trigger "t_raster" of extension "lo".*HINT:  DROP TRIGGER t_raster ON public.managed;/s);
		is(tag($storage, 'images'), '', 'a table without it is tagged');
		$node->safe_psql($storage, q{
			SELECT lo_from_bytea(4711, 'kept'), lo_from_bytea(4712, 'orphan'), lo_from_bytea(4713, 'live');
			INSERT INTO images VALUES (1, 4711), (2, 4713); DELETE FROM images WHERE id = 1});
		local $ENV{PGOPTIONS} = '-c row_security=off';
		like(run_tool('vacuumlo', $storage), qr/^exit 0\n/, "vacuumlo $storage");
		my $checked = $storage eq 'aside' ? 'large objects of deleted rows, after vacuumlo' : 'large objects of deleted rows, after PGOPTIONS="-c row_security=off" vacuumlo';
		found($storage, $checked, 'kept', answer($node, $storage, 'SELECT string_agg(oid::text, \' \' ORDER BY oid) FROM pg_largeobject_metadata'), '4711 4713');
	}
	found('in_place', 'vacuumlo without options', 'refused, with the way that works', run_tool('vacuumlo', 'in_place'), qr/^exit [^0].*large objects cannot be listed.*PGOPTIONS="-c row_security=off".*HINT:  SET row_security = off;/s);
	run_tool('vacuumlo', 'aside');
	found($_, 'large objects of deleted rows, after vacuumlo without options', 'kept', answer($node, $_, 'SELECT count(*) FROM pg_largeobject_metadata WHERE oid = 4711'), '1') foreach ('in_place', 'aside');
}

if (tool('TimescaleDB', 'postgresql-MAJOR-timescaledb'))
{
	foreach my $storage ('in_place', 'aside')
	{
		$node->safe_psql($storage, q{SET client_min_messages = error; CREATE EXTENSION timescaledb; CREATE TABLE samples (at timestamptz NOT NULL, v integer)});
		answer($node, $storage, q{SELECT create_hypertable('samples', 'at')});
		found($storage, 'tag() of a hypertable', 'refused: leave it untagged', tag($storage, 'samples'), qr/cannot tag table "public.samples" with trigger .* of extension "timescaledb"/s);
		$node->safe_psql($storage, q{INSERT INTO samples VALUES (now(), 1), (now() - interval '1 year', 2)});
		found($storage, 'tag() of one with chunks', 'refused: leave it untagged', tag($storage, 'samples'), qr/cannot tag table "public.samples"/s);
		# the other way round
		$node->safe_psql($storage, q{CREATE TABLE tagged (at timestamptz NOT NULL, v integer)});
		is(tag($storage, 'tagged'), '', 'an ordinary table is tagged');
		found($storage, 'create_hypertable() of a tagged table', 'refused: untag() first', answer($node, $storage, q{SET client_min_messages = error; SELECT create_hypertable('tagged', 'at')}), qr/cannot turn tagged table "public.tagged" into a hypertable.*HINT:  SELECT soft_delete.untag\('public.tagged'\)/s);
	}
}

done_testing();
