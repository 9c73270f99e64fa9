# A reference that ON DELETE SET NULL or SET DEFAULT overwrites is set again when the row comes back: between reference tables, between
# local tables, and in the schema of a tenant. Where Citus has a row of which no node knows all references it is refused.
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
# ask SQL: what a session of the coordinator answers
sub ask { return answer($node, 'app', "$quiet $_[0]") =~ s/^\n+//r =~ s/\n{2,}/\n/gr }
# same NAME, SQL, EXPECTED: the SQL answers that, in a transaction that is rolled back
sub same
{
	my ($name, $sql, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(ask("BEGIN; $sql; ROLLBACK"), $expected, $name);
	return;
}

$node->safe_psql('app', "$quiet CREATE EXTENSION soft_delete; SET citus.enable_schema_based_sharding = on; CREATE SCHEMA tenant; RESET citus.enable_schema_based_sharding; CREATE SCHEMA replicated; CREATE SCHEMA local");
my %kind = (
	replicated => q{SELECT create_reference_table('replicated.' || t) FROM unnest('{p,c,d,q,e}'::text[]) AS t;},
	local => q{SELECT citus_add_local_table_to_metadata(('local.' || t)::regclass) FROM unnest('{p,c,d,q,e}'::text[]) AS t;},
	tenant => '');
# p has c, which lose their reference, and d, which lose half of it; q has e, whose reference gets a default
foreach my $s (sort keys %kind)
{
	$node->safe_psql('app', qq{
		$quiet
		CREATE TABLE $s.p (k integer, id integer, PRIMARY KEY (k, id));
		CREATE TABLE $s.c (at date, id integer, pk integer, pid integer, PRIMARY KEY (at, id));
		CREATE TABLE $s.d (id integer PRIMARY KEY, pk integer, pid integer);
		CREATE TABLE $s.q (at date PRIMARY KEY);
		CREATE TABLE $s.e (id integer PRIMARY KEY, at date DEFAULT '2026-01-01', other date DEFAULT '2026-01-02');
		$kind{$s}
		ALTER TABLE $s.e ADD CONSTRAINT e_q FOREIGN KEY (at) REFERENCES $s.q ON DELETE SET DEFAULT;
		ALTER TABLE $s.e ADD CONSTRAINT e_other FOREIGN KEY (other) REFERENCES $s.q ON DELETE SET NULL;
		ALTER TABLE $s.c ADD CONSTRAINT c_p FOREIGN KEY (pk, pid) REFERENCES $s.p ON DELETE SET NULL;
		ALTER TABLE $s.d ADD CONSTRAINT d_p FOREIGN KEY (pk, pid) REFERENCES $s.p ON DELETE SET NULL (pid);
		INSERT INTO $s.p SELECT g % 3, g FROM generate_series(1, 10) AS g;
		INSERT INTO $s.c SELECT '2026-01-01'::date + g, id, k, id FROM $s.p, generate_series(1, 2) AS g;
		INSERT INTO $s.d SELECT id, k, id FROM $s.p;
		SELECT soft_delete.tag('$s.p', storage => 'aside')});
	my $links = "SELECT (SELECT count(pid) FROM $s.c), (SELECT count(pid) FROM $s.d), (SELECT count(pk) FROM $s.d), (SELECT count(*) FROM $s.p)";
	my $rows = "TABLE $s.p ORDER BY id; TABLE $s.c ORDER BY id, pid, at; TABLE $s.d ORDER BY id";
	my $whole = ask($rows);
	is(ask("$links; SELECT * FROM soft_delete.check()"), '20|10|10|10', "$s: the table is tagged");
	same("$s: a row comes back with the references to it", "SET datestyle = 'German'; DELETE FROM $s.p WHERE id = 4; $links; SELECT k, id, unlinked FROM $s.p_deleted; SET datestyle = 'ISO'; UPDATE $s.p_deleted SET deleted_at = NULL; $rows",
		qq[18|9|10|9\n1|4|{"c_p": {"[\\"2026-01-02\\", \\"4\\"]": 1, "[\\"2026-01-03\\", \\"4\\"]": 1}, "d_p": {"[\\"4\\"]": 1}}\n$whole]);
	is(ask("DELETE FROM $s.p WHERE id <= 6; $links; UPDATE $s.p_deleted SET deleted_at = NULL; $rows"), "8|4|10|4\n$whole", "$s: and so do many");
	is(answer($worker, 'app', "$quiet DELETE FROM $s.p WHERE id = 5; UPDATE $s.p_deleted SET deleted_at = NULL; SELECT count(*) FROM $s.c WHERE pid = 5") =~ s/^\n+//r, 2, "$s: from a worker") if $s ne 'local';
	same("$s: what has been changed meanwhile stays", "DELETE FROM $s.p WHERE id IN (4, 5); UPDATE $s.c SET pk = 0, pid = 6 WHERE id = 4 AND at = '2026-01-02'; DELETE FROM $s.c WHERE id = 4 AND at = '2026-01-03'; UPDATE $s.d SET pk = 0 WHERE id = 4; UPDATE $s.p_deleted SET deleted_at = NULL; SELECT id, at, pid FROM $s.c WHERE id IN (4, 5) ORDER BY at, id; SELECT id, pk, pid FROM $s.d WHERE id IN (4, 5) ORDER BY id", "4|2026-01-02|6\n5|2026-01-02|5\n5|2026-01-03|5\n4|0|\n5|2|5");
	same("$s: under another key it has none of them", "DELETE FROM $s.p WHERE id = 4; UPDATE $s.p_deleted SET deleted_at = NULL, id = 40; $links; SELECT count(*) FROM $s.p_deleted", "18|9|10|10\n0");
	is(ask("UPDATE $s.p_deleted SET unlinked = '{}'; $rows"), $whole, "$s: an UPDATE of nothing");
	is(ask("DELETE FROM $s.p WHERE id = 7; DELETE FROM $s.p_deleted; INSERT INTO $s.p VALUES (1, 7); UPDATE $s.c SET pk = 1, pid = 7 WHERE id = 7; UPDATE $s.d SET pid = 7 WHERE id = 7; $rows"), $whole, "$s: they go with the row");
	like(ask("TRUNCATE $s.p CASCADE"), qr/^ERROR:  cannot truncate tagged table "$s\.p": table "$s\.[cd]" references it, and is not tagged/m, "$s: TRUNCATE with tables that are not tagged");

	# a default
	$node->safe_psql('app', qq{
		$quiet
		INSERT INTO $s.q SELECT '2026-01-01'::date + g FROM generate_series(0, 5) AS g;
		INSERT INTO $s.e SELECT g, '2026-01-01'::date + g % 6, '2026-01-01'::date + 3 FROM generate_series(1, 12) AS g;
		SELECT soft_delete.tag('$s.q', storage => 'aside')});
	my $of_e = "SELECT count(*) FILTER (WHERE at = '2026-01-01'), count(*) FILTER (WHERE at = '2026-01-04'), count(other) FROM $s.e";
	my $all_e = "TABLE $s.q ORDER BY at; TABLE $s.e ORDER BY id";
	my $before_e = ask($all_e);
	same("$s: a reference that got a default is set again", "$of_e; DELETE FROM $s.q WHERE at = '2026-01-04'; $of_e; SELECT unlinked -> 'e_q' FROM $s.q_deleted; UPDATE $s.q_deleted SET deleted_at = NULL; $all_e", qq[2|2|12\n4|0|0\n{"[\\"3\\"]": 1, "[\\"9\\"]": 1}\n$before_e]);
	same("$s: one that has another value meanwhile stays", "DELETE FROM $s.q WHERE at = '2026-01-04'; UPDATE $s.e SET at = '2026-01-03' WHERE id = 3; UPDATE $s.e SET other = '2026-01-05' WHERE id < 3; UPDATE $s.q_deleted SET deleted_at = NULL; SELECT id, at FROM $s.e WHERE id IN (3, 9) ORDER BY id; SELECT other, count(*) FROM $s.e GROUP BY 1 ORDER BY 1", "3|2026-01-03\n9|2026-01-04\n2026-01-04|10\n2026-01-05|2");
	like(ask("DELETE FROM $s.q WHERE at = '2026-01-01'"), qr/^ERROR:  .*violates foreign key constraint "e_q/m, "$s: the default itself cannot be deleted while rows have it");
	is(ask("$all_e; SELECT * FROM soft_delete.check()"), $before_e, "$s: and nothing has changed");

	# the tables that reference it are tagged, too
	is(ask("SELECT FROM soft_delete.tag('$s.c', storage => 'aside'); SELECT FROM soft_delete.tag('$s.d', storage => 'aside'); TRUNCATE $s.p CASCADE; $links; UPDATE $s.p_deleted SET deleted_at = NULL; UPDATE $s.c_deleted SET deleted_at = NULL; UPDATE $s.d_deleted SET deleted_at = NULL; $rows"), "0|0|0|0\n$whole", "$s: TRUNCATE of all of them");
	is(ask("DELETE FROM $s.p WHERE id = 8; DELETE FROM $s.c WHERE id = 8; UPDATE $s.p_deleted SET deleted_at = NULL; UPDATE $s.c_deleted SET deleted_at = NULL; SELECT count(*), count(pid) FROM $s.c WHERE id = 8; UPDATE $s.c SET pk = 2, pid = 8 WHERE id = 8; $rows"), "2|0\n$whole", "$s: a deleted one comes back as it was deleted");
	is(ask("DELETE FROM $s.p WHERE id = 9; SELECT soft_delete.erase('$s.c', '2026-01-02', 9), soft_delete.erase('$s.d', 9); SELECT unlinked FROM $s.p_deleted; UPDATE $s.p_deleted SET deleted_at = NULL; SELECT count(pid) FROM $s.c WHERE id = 9"), qq[1|1\n{"c_p": {"[\\"2026-01-03\\", \\"9\\"]": 1}, "d_p": {}}\n1], "$s: an erased row leaves no key");

	# the foreign key comes later
	is(ask("SELECT soft_delete.untag(t, tombstones => 'keep') FROM unnest('{$s.p,$s.c,$s.d}'::regclass[]) AS t; ALTER TABLE $s.c DROP CONSTRAINT c_p; ALTER TABLE $s.d DROP CONSTRAINT d_p; SELECT FROM soft_delete.tag('$s.p', storage => 'aside'); ALTER TABLE $s.c ADD CONSTRAINT c_p FOREIGN KEY (pk, pid) REFERENCES $s.p ON DELETE SET NULL; SELECT problem, remedy FROM soft_delete.check()"), qq{foreign key "c_p" would overwrite references of table $s.c: DELETE fails|SELECT soft_delete.repair('$s.p');}, "$s: check() finds a foreign key that comes later");
	like(ask("DELETE FROM $s.p WHERE id = 1"), qr/^ERROR:  cannot delete from tagged table "$s\.p": a foreign key would overwrite references of table "$s\.c"\nDETAIL.*\nHINT:  SELECT soft_delete\.repair\('$s\.p'\);$/m, "$s: DELETE fails then");
	is(ask("SELECT soft_delete.repair('$s.p'); SELECT * FROM soft_delete.check(); DELETE FROM $s.p WHERE id = 1; SELECT count(pid) FROM $s.c WHERE id = 1; UPDATE $s.p_deleted SET deleted_at = NULL; SELECT count(pid) FROM $s.c WHERE id = 1"), "0\n2", "$s: the hint works");
}

# a table that references itself, and tables of two owners, in the schema of a tenant
$node->safe_psql('app', qq{
	$quiet
	CREATE TABLE tenant.tree (id integer PRIMARY KEY, up integer REFERENCES tenant.tree ON DELETE SET NULL);
	INSERT INTO tenant.tree VALUES (1, NULL), (2, 1), (3, 1), (4, 2);
	SELECT soft_delete.tag('tenant.tree', storage => 'aside')});
same('a table that references itself', 'DELETE FROM tenant.tree WHERE id = 1; SELECT id, up FROM tenant.tree ORDER BY id; UPDATE tenant.tree_deleted SET deleted_at = NULL; SELECT id, up FROM tenant.tree ORDER BY id', "2|\n3|\n4|2\n1|\n2|1\n3|1\n4|2");

# who restores calls nothing of hers as the owner, with names that come before those of the server in her search_path
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE ROLE owner LOGIN; CREATE ROLE eve LOGIN;
	CREATE SCHEMA shop AUTHORIZATION owner; CREATE SCHEMA eve AUTHORIZATION eve;
	GRANT USAGE ON SCHEMA shop, eve TO PUBLIC;
	CREATE TABLE public.calls (runs_as name, called text);
	GRANT INSERT ON public.calls TO PUBLIC;
	CREATE TABLE shop.state (name varchar PRIMARY KEY);
	CREATE TABLE shop.item (id text PRIMARY KEY, state varchar DEFAULT upper('new'));
	ALTER TABLE shop.state OWNER TO owner; ALTER TABLE shop.item OWNER TO owner;
	SELECT citus_add_local_table_to_metadata('shop.state'), citus_add_local_table_to_metadata('shop.item');
	ALTER TABLE shop.item ADD FOREIGN KEY (state) REFERENCES shop.state ON DELETE SET DEFAULT;
	INSERT INTO shop.state VALUES ('NEW'), ('old'); INSERT INTO shop.item VALUES ('a', 'old');
	SELECT soft_delete.tag('shop.state', storage => 'aside');
	GRANT SELECT, DELETE, UPDATE, TRUNCATE ON shop.state, shop.item TO eve; GRANT SELECT, UPDATE ON shop.state_deleted TO eve;
	SET ROLE eve;
	SET citus.enable_ddl_propagation = off;
	CREATE FUNCTION eve.note(what pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.calls VALUES (current_user, what); RETURN true; END $$;
	CREATE FUNCTION eve.equals(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN eve.note('operator'); END $$;
	CREATE OPERATOR eve.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = eve.equals);
	CREATE FUNCTION eve.upper(pg_catalog.text) RETURNS pg_catalog.text LANGUAGE plpgsql AS $$ BEGIN PERFORM eve.note('function'); RETURN pg_catalog.upper($1); END $$;
	CREATE DOMAIN eve.text AS pg_catalog.text CHECK (eve.note('type'))});
is(ask(q{SET ROLE eve; SET search_path = eve, pg_catalog; DELETE FROM shop.state WHERE name OPERATOR(pg_catalog.=) 'old'::pg_catalog.text; UPDATE shop.state_deleted SET deleted_at = NULL; RESET search_path; SELECT * FROM shop.item; RESET ROLE; SELECT * FROM public.calls}), 'a|old', 'what a restore evaluates is not the caller\'s');

# nor does an operator of hers let TRUNCATE leave out a hold on a live row
$node->safe_psql('app', q{
	SET client_min_messages = error;
	CREATE TABLE shop.alone (name varchar PRIMARY KEY);
	ALTER TABLE shop.alone OWNER TO owner;
	SELECT citus_add_local_table_to_metadata('shop.alone');
	SELECT soft_delete.tag('shop.alone', storage => 'aside');
	INSERT INTO shop.alone VALUES ('a'), ('b');
	SELECT soft_delete.hold('shop.alone', 'a', 'why');
	GRANT SELECT, TRUNCATE ON shop.alone TO eve; GRANT SELECT, INSERT ON shop.alone_deleted TO eve;
	SET citus.enable_ddl_propagation = off;
	CREATE OR REPLACE FUNCTION eve.equals(varchar, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT false'});
is(ask(q{SET ROLE eve; SET search_path = eve, pg_catalog; TRUNCATE shop.alone; RESET search_path; SELECT name, hold FROM shop.alone_deleted ORDER BY name}), "a|{why}\nb|", 'a hold on a live row goes to the bin with TRUNCATE');

# what is refused
$node->safe_psql('app', qq{
	$quiet
	CREATE TABLE country (id integer PRIMARY KEY); SELECT create_reference_table('country');
	CREATE TABLE town (k integer PRIMARY KEY, country integer DEFAULT 5); SELECT create_distributed_table('town', 'k')});
foreach my $action ('NULL', 'DEFAULT')
{
	ask("ALTER TABLE town DROP CONSTRAINT IF EXISTS town_country; ALTER TABLE town ADD CONSTRAINT town_country FOREIGN KEY (country) REFERENCES country ON DELETE SET $action");
	like(ask(q{SELECT soft_delete.tag('country', storage => 'aside')}), qr/^ERROR:  cannot tag "public\.country", which is a reference table of Citus, alone\nDETAIL:  .*\nHINT:  ALTER TABLE public\.town DROP CONSTRAINT town_country;$/m, "a reference table that distributed ones reference, with SET $action");
}
is(ask(q{ALTER TABLE public.town DROP CONSTRAINT town_country; SELECT FROM soft_delete.tag('country', storage => 'aside'); INSERT INTO country VALUES (1); DELETE FROM country; SELECT count(*) FROM country_deleted}), 1, 'the hint works');

done_testing();
