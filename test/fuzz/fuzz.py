"""Calls everything that the extension has with whatever its types allow.

Each function and procedure, each trigger function attached in each way, the sampling
method, the settings, and tables and columns with odd names, as superuser, as the owner
of the tables and as a stranger to them.  After each call:
- the server lives, and an error has a code of its own: no XX, no 58, no P0001 or P0004;
- what a stranger does changes nothing, and tells him nothing of a deleted row;
- tag() and untag() leave a table that is wholly tagged or not at all, and check() finds
  nothing that it has not found before.

    test/fuzz/run fuzz.py [--seconds 60] [--seed 1]         on a private cluster

Prints TAP; a finding with the statements that show it.
"""
import argparse
import os
import random
import re
import sys
import time

import psycopg2
import psycopg2.extensions

# dates and times of all kinds, which PostgreSQL has in years that Python has not
TIMES = (1082, 1083, 1114, 1184, 1186, 1266, 1182, 1183, 1115, 1185, 1187, 1270)
psycopg2.extensions.register_type(
    psycopg2.extensions.new_type(TIMES, "TIME AS TEXT", lambda value, cursor: value))

SECRET = "sEcReT"
ROLES = ["postgres", "fuzz_owner", "fuzz_stranger"]

SETUP = """
SET client_min_messages = error;
DELETE FROM soft_delete_internal.holds;
DROP SCHEMA IF EXISTS fuzz, strange CASCADE;
DO $$ BEGIN CREATE ROLE fuzz_owner; CREATE ROLE fuzz_stranger; EXCEPTION WHEN duplicate_object THEN END $$;
CREATE SCHEMA fuzz AUTHORIZATION fuzz_owner;
CREATE SCHEMA strange AUTHORIZATION fuzz_stranger;
GRANT USAGE ON SCHEMA fuzz TO fuzz_stranger;
SET ROLE fuzz_owner;
SET search_path = fuzz;
CREATE TYPE kind AS ENUM ('a', 'b');
CREATE DOMAIN stamp AS timestamptz;
CREATE TABLE plain (id integer PRIMARY KEY, v text);
CREATE TABLE typed (gone integer, id integer PRIMARY KEY, k kind, arr text[], d stamp, g integer GENERATED ALWAYS AS (id * 2) STORED,
	flag boolean, day date, dflt timestamptz DEFAULT now(), nn timestamptz NOT NULL DEFAULT now(), few timestamptz(3), "%s ""x"".y" timestamp, ts timestamp);
ALTER TABLE typed DROP COLUMN gone;
CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE, note text);
CREATE TABLE child (id integer PRIMARY KEY, p integer REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, o integer REFERENCES parent ON DELETE SET NULL, note text);
CREATE TABLE parts (id integer PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
CREATE TABLE above (id integer);
CREATE TABLE below (x integer) INHERITS (above);
CREATE VIEW a_view AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM plain;
CREATE SEQUENCE a_sequence;
CREATE UNLOGGED TABLE unlogged (id integer PRIMARY KEY);
RESET ROLE;
CREATE FOREIGN DATA WRAPPER fuzz_fdw;
CREATE SERVER fuzz_server FOREIGN DATA WRAPPER fuzz_fdw;
CREATE FOREIGN TABLE fuzz.a_foreign (id integer) SERVER fuzz_server;
CREATE TABLE fuzz.dropped (id integer);
SET ROLE fuzz_owner;
SELECT soft_delete.tag('parent', cascade => true), soft_delete.tag('parts'), soft_delete.tag('typed', 'ts');
INSERT INTO parent SELECT g, 'code' || g, 'sEcReT parent ' || g FROM generate_series(1, 6) AS g;
INSERT INTO child SELECT g, g, g % 3 + 4, 'sEcReT child ' || g FROM generate_series(1, 6) AS g;
INSERT INTO parts SELECT g * 5, 'sEcReT part ' || g FROM generate_series(1, 6) AS g;
INSERT INTO typed (id, k) VALUES (1, 'a'), (2, 'b');
SET soft_delete.reason = 'sEcReT reason';
DELETE FROM parent WHERE id IN (1, 2);
DELETE FROM child WHERE id = 3;
DELETE FROM parts WHERE id IN (5, 20);
DELETE FROM typed WHERE id = 1;
INSERT INTO parent VALUES (1, 'code1', 'new');
UPDATE parent_deleted SET hold = 'sEcReT hold' WHERE id = 2;
SELECT soft_delete.retain('parts', '1 day');
GRANT SELECT, INSERT, UPDATE, DELETE ON parent, child, parts, typed TO fuzz_stranger;
DELETE FROM parts WHERE id = 10;
UPDATE parent SET note = 'p';
UPDATE child SET note = 'c';
UPDATE parts SET note = 'p';
RESET ROLE;
RESET soft_delete.reason;
ANALYZE fuzz.parent, fuzz.child, fuzz.parts;
"""

# what a stranger must not change
STATE = """SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
	SELECT t::text FROM fuzz.parent AS t TABLESAMPLE soft_delete.rows('all') UNION ALL SELECT t::text FROM fuzz.child AS t TABLESAMPLE soft_delete.rows('all')
	UNION ALL SELECT t::text FROM fuzz.parts AS t TABLESAMPLE soft_delete.rows('all') UNION ALL SELECT t::text FROM fuzz.typed AS t TABLESAMPLE soft_delete.rows('all')
	UNION ALL SELECT t::text FROM fuzz.parent_tombstones AS t UNION ALL SELECT t::text FROM soft_delete.holds AS t
	UNION ALL SELECT t::text FROM soft_delete.retention AS t WHERE schema IS DISTINCT FROM 'strange' UNION ALL SELECT t::text FROM soft_delete_internal.ledger AS t
	UNION ALL SELECT t::text FROM soft_delete_internal.set_null_references AS t
	UNION ALL SELECT concat_ws(' ', tgrelid::regclass, tgname, tgfoid::regprocedure, tgenabled) FROM pg_trigger
	UNION ALL SELECT concat_ws(' ', oid::regclass, relowner, relkind, relacl::text) FROM pg_class
	UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relnamespace = 'fuzz'::regnamespace AND relkind = 'v'
	UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
	UNION ALL SELECT concat_ws(' ', objid, refobjid, refobjsubid, deptype) FROM pg_depend WHERE objid >= 16384) AS s (line)"""

PROBLEMS = "SELECT relation::text, problem FROM soft_delete.check()"

# tables that are tagged in part: not all of what tag() makes, and not nothing of it
HALVES = """SELECT c.oid::regclass::text FROM pg_class AS c WHERE relnamespace IN ('fuzz'::regnamespace, 'strange'::regnamespace) AND relkind IN ('r', 'p')
	AND (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND tgname IN ('~soft_delete', '~soft_delete_key', '~soft_delete_truncate')) NOT IN (0, 3)
	UNION ALL SELECT c.oid::regclass::text FROM pg_class AS c WHERE relnamespace IN ('fuzz'::regnamespace, 'strange'::regnamespace) AND relkind IN ('r', 'p') AND NOT relispartition
	AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)
	AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND conname LIKE 'soft\\_delete\\_companion%')
	AND ((soft_delete_internal.tag_arguments(c.oid) IS NOT NULL) <> (soft_delete_internal.bin_of(c.oid) IS NOT NULL)
		OR (soft_delete_internal.tag_arguments(c.oid) IS NOT NULL) <> (soft_delete_internal.own_companion(c.oid) IS NOT NULL))"""

RELATIONS = ["parent", "child", "parts", "parts_1", "parts_2", "plain", "typed", "above", "below", "a_view", "a_matview", "a_sequence", "unlogged", "a_foreign",
             "parent_deleted", "parent_active", "parent_pkey", "parent_code_key", "parts_pkey"]
OTHERS = ["pg_class", "pg_attribute", "pg_statistic", "pg_toast.pg_toast_1255", "pg_stats", "soft_delete_internal.ledger", "soft_delete.holds",
          "soft_delete.tables", "soft_delete.deletions", "information_schema.tables"]
NAMES = ["", "id", "deleted_at", "ts", "d", "g", "flag", "day", "dflt", "nn", "few", "note", "ctid", "fuzz", "strange", "pg_catalog", "pg_temp", "soft_delete", "nothing",
         "x" * 63, "é" * 31 + "x", "%s %I %L %1$s", 'a "b".c', "new\nline", "select", "user", "it's", "\\", "~soft_delete", '%s "x".y', "parent_code_key", "parent",
         '";DROP TABLE fuzz.plain;--', "');DROP TABLE fuzz.plain;--", "$$;DROP TABLE fuzz.plain;$$", "'||fuzz.nothing()||'", "*/DROP TABLE fuzz.plain;--"]
WORDS = ["all", "unique", "error", "purge", "keep", "live", "deleted", "deleted_by", "actor", "hold", "1", "{1}", "fuzz.parent", "SELECT 1", "bin:x", "partial:x", "a;b",
         "soft_delete.nothing(", "x" * 10000, "{", "[]", "é"]


def quote(text):
    return "'" + text.replace("'", "''") + "'" if "\\" not in text else "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


class Fuzzer:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.findings = []
        self.counts = {}
        self.states = {}
        self.connect()
        self.prepare()

    def connect(self):
        self.connection = psycopg2.connect("")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.cursor.execute("SET jit = off; SET statement_timeout = '10s'; SET lock_timeout = '2s'; SET client_min_messages = notice; SET search_path = fuzz, public")

    def ask(self, query):
        self.cursor.execute(query)
        return self.cursor.fetchall()

    def prepare(self):
        """Make the tables anew, and look at what there is."""
        self.cursor.execute("RESET ROLE; DROP FOREIGN DATA WRAPPER IF EXISTS fuzz_fdw CASCADE")
        self.cursor.execute(SETUP)
        self.cursor.execute("SET client_min_messages = notice; SET search_path = fuzz, public")
        self.dropped = self.ask("SELECT 'fuzz.dropped'::regclass::oid")[0][0]
        self.cursor.execute("DROP TABLE fuzz.dropped")
        self.other = psycopg2.connect("")
        self.other.autocommit = True
        other = self.other.cursor()
        other.execute("CREATE TEMP TABLE elsewhere (id integer PRIMARY KEY); GRANT ALL ON elsewhere TO PUBLIC; SELECT 'elsewhere'::regclass::oid")
        self.elsewhere = other.fetchone()[0]
        # those of the inner schema are called by whom the wall lets in: the superuser
        self.functions = self.ask("""SELECT pronamespace::regnamespace || '.' || proname, ARRAY(SELECT format_type(t, NULL) FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS u (t, n) ORDER BY n), prokind = 'p', provariadic <> 0
			FROM pg_proc WHERE pronamespace IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace) AND prokind IN ('f', 'p')
			  AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'tsm_handler'::regtype) AND 'internal'::regtype <> ALL (proargtypes::oid[]) ORDER BY 1, 2""")
        self.triggers = [name for name, in self.ask("""SELECT pronamespace::regnamespace || '.' || proname FROM pg_proc
			WHERE pronamespace IN ('soft_delete'::regnamespace, 'soft_delete_internal'::regnamespace) AND prorettype = 'trigger'::regtype ORDER BY 1""")]
        self.stamps = [stamp for stamp, in self.ask("SELECT deleted_at::text FROM soft_delete_internal.ledger")]
        self.tids = [tid for tid, in self.ask("SELECT ctid::text FROM fuzz.parent TABLESAMPLE soft_delete.rows('all')")]
        self.constraints = [oid for oid, in self.ask("SELECT oid::text FROM pg_constraint WHERE connamespace = 'fuzz'::regnamespace")]
        self.baseline = self.look()
        self.cursor.execute("SET search_path = fuzz, public")

    def look(self):
        self.cursor.execute("SET search_path = pg_catalog; RESET ROLE")
        return set(self.ask(PROBLEMS)), self.ask(STATE)[0][0]

    # -- values ---------------------------------------------------------------

    def relation(self):
        name = self.rng.choice(RELATIONS * 3 + OTHERS + ["0", "4294967295", str(self.dropped), str(self.elsewhere)])
        return "fuzz." + name if name in RELATIONS else name

    def value(self, type):
        """A value of a type as SQL."""
        rng = self.rng
        if rng.random() < 0.08:
            return "NULL::" + type
        if type.endswith("[]"):
            values = [self.value(type[:-2]) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
            return "ARRAY[%s]::%s" % (", ".join(values), type)
        if type in ("regclass", "oid"):
            if type == "oid" and rng.random() < 0.3:
                return rng.choice(self.constraints + ["2619", "16384"]) + "::oid"
            return quote(self.relation()) + "::regclass" + ("::oid" if type == "oid" else "")
        choices = {
            "name": NAMES, "text": WORDS + NAMES, "boolean": ["t", "f"],
            "smallint": ["0", "1", "2", "3", "-1", "-7", "32767"], "integer": ["0", "1", "2", "-1", "2147483647", "-2147483648", "1000"],
            "bigint": ["0", "1", "-1", "9223372036854775807"], "interval": ["0", "1 day", "-1 day", "178000000 years", "1 mon -1 day"],
            "timestamp with time zone": self.stamps * 2 + ["now", "infinity", "-infinity", "4713-01-01 BC", "294276-12-31"],
            "tid": self.tids * 2 + ["(0,0)", "(0,1)", "(0,65535)", "(4294967295,65535)", "(100,1)"],
            "xid": ["0", "1", "2", "3", "4294967295"], "xid8": ["0", "3", "18446744073709551615", "1000"],
            "jsonb": ["null", "[]", "{}", '{"id": "1", "no": 2}', '{"id": "1", "code": "x", "note": null, "deleted_at": "2020-01-01"}', '{"id": "integer"}'],
            '"char"': ["", "c", "r"],
        }.get(type)
        if type == "record":
            return rng.choice(["ROW()", "ROW(1, 'x')", "(SELECT t FROM fuzz.parent AS t LIMIT 1)"])
        return "NULL::" + type if choices is None else "%s::%s" % (quote(rng.choice(choices)), type)

    # -- statements -----------------------------------------------------------

    def call(self):
        name, types, is_procedure, is_variadic = self.rng.choice(self.functions)
        values = [self.value(type) for type in types]
        if is_variadic and values:
            values[-1] = "VARIADIC " + values[-1]
        return name, ["%s %s(%s)" % ("CALL" if is_procedure else "SELECT * FROM", name, ", ".join(values))]

    def tag(self):
        """tag() and untag(), with sensible values more often than call() has them."""
        rng = self.rng
        table = quote("fuzz." + rng.choice(["plain", "typed", "above", "unlogged", "parent", "child", "parts", "below"]))
        options = "".join(option for option in (
            ", deleted_at => %s" % quote(rng.choice(NAMES)), ", indexes => %s" % quote(rng.choice(["all", "unique", "none"])),
            ", cascade => %s" % rng.choice(["true", "false"]), ", views => %s" % quote(rng.choice(NAMES))) if rng.random() < 0.3)
        untag = "SELECT soft_delete.untag(%s, tombstones => %s, cascade => %s)" % (table, quote(rng.choice(["error", "purge", "keep"])), rng.choice(["true", "false"]))
        return "soft_delete.tag", rng.choice([["SELECT soft_delete.tag(%s%s)" % (table, options)], [untag], ["SELECT soft_delete.tag(%s%s)" % (table, options), untag]])

    def odd_table(self):
        """A table whose names and columns are odd, or are in the way of each other."""
        rng = self.rng
        name = rng.choice([n for n in NAMES if n])
        quoted = '"%s"' % name.replace('"', '""')
        columns = ["id integer PRIMARY KEY"] + ['"%s" %s' % (c.replace('"', '""'), rng.choice(["text", "text UNIQUE", "timestamptz", "boolean", "stamp", "kind", "date", "timestamp NOT NULL",
                   "integer GENERATED ALWAYS AS (1) STORED", "timestamptz DEFAULT now()", "timestamptz(2)", "text[]"]))
                   for c in rng.sample([n for n in NAMES if n not in ("", "id", "ctid")] + ["tableoid", "reason", "actor", "hold", "soft_delete_reason"], rng.randint(0, 4))]
        return "odd table", [
            "CREATE TABLE strange.%s (%s)" % (quoted, ", ".join(columns)),
            rng.choice(["SELECT 1", "CREATE TABLE strange.%s (x integer)" % ('"%s_deleted"' % name[:55].replace('"', '""'))]),
            "SELECT soft_delete.tag(%s%s)" % (quote("strange." + quoted), rng.choice(["", ", %s" % quote(rng.choice(NAMES)), ", views => %s" % quote(rng.choice(NAMES))])),
            "INSERT INTO strange.%s (id) VALUES (1), (2)" % quoted, "DELETE FROM strange.%s WHERE id = 1" % quoted, "INSERT INTO strange.%s (id) VALUES (1)" % quoted,
            rng.choice(["SELECT soft_delete.untag(%s, 'purge')" % quote("strange." + quoted), "DROP TABLE strange.%s" % quoted,
                        "ALTER TABLE strange.%s RENAME TO %s" % (quoted, '"%s"' % rng.choice([n for n in NAMES if n]).replace('"', '""'))])]

    def trigger(self):
        """A trigger function of ours that is attached to what it is not for."""
        rng = self.rng
        function = rng.choice(self.triggers)
        if rng.random() < 0.1:
            return function, ["SELECT %s()" % function]
        table = rng.choice(["plain", "typed", "parent", "parts", "parts_1", "above", "below", "a_view", "parent_deleted", "parent_active", "child"])
        when = rng.choice(["BEFORE", "AFTER", "INSTEAD OF"] if "view" in table or "_" in table and "parts" not in table else ["BEFORE", "AFTER"])
        event = rng.choice(["INSERT", "UPDATE", "DELETE", "TRUNCATE", "INSERT OR UPDATE OR DELETE", "DELETE OR UPDATE"])
        level = "STATEMENT" if event == "TRUNCATE" or rng.random() < 0.3 else "ROW"
        kind = rng.choice(["", "", "", "CONSTRAINT "]) if when == "AFTER" and level == "ROW" else ""
        arguments = ", ".join(quote(rng.choice(NAMES + ["hold", "reason"])) for _ in range(rng.choice([0, 0, 1, 1, 2, 4])))
        make = 'CREATE %sTRIGGER %s %s %s ON fuzz.%s FOR EACH %s EXECUTE FUNCTION %s(%s)' % (
            kind, rng.choice(["a", "zz", '"~soft_delete"', '"~~"', "soft_delete_restore"]), when, event, table, level, function, arguments)
        uses = ["INSERT INTO fuzz.{t} (id) VALUES (77), (78)", "UPDATE fuzz.{t} SET id = id + 1000", "UPDATE fuzz.{t} SET id = id", "DELETE FROM fuzz.{t} WHERE id > 4", "DELETE FROM fuzz.{t}",
                "TRUNCATE fuzz.{t} CASCADE", "SELECT * FROM fuzz.{t}", "UPDATE fuzz.parent_deleted SET deleted_at = NULL", "DELETE FROM fuzz.parts_deleted",
                "INSERT INTO fuzz.{t} (id) VALUES (4) ON CONFLICT (id) DO UPDATE SET id = 79", "SELECT soft_delete.tag('fuzz.{t}')", "COPY fuzz.{t} TO STDOUT", "SELECT * FROM soft_delete.check()",
                "SET CONSTRAINTS ALL IMMEDIATE", "SELECT soft_delete.untag('fuzz.{t}', 'purge', true)", "ANALYZE fuzz.{t}"]
        return function, [make] + [rng.choice(uses).format(t=table) for _ in range(rng.randint(1, 3))]

    def sample(self):
        argument = self.rng.choice(["'all'", "'live'", "'deleted'", "''", "NULL", "'ALL'", "repeat('x', 100)", "(SELECT 'all')", "current_user::text", "'all', 'live'", "1"])
        return "rows", ["SELECT * FROM %s TABLESAMPLE %s (%s)%s%s" % (
            self.relation().replace("4294967295", "fuzz.parent"), self.rng.choice(["soft_delete.rows"] * 4 + ["bernoulli", "system"]), argument,
            self.rng.choice(["", "", " REPEATABLE (1)", " REPEATABLE (NULL)"]), self.rng.choice(["", " WHERE id > 0", " AS t WHERE t::text ~ 'x'", " FOR UPDATE"]))]

    def setting(self):
        rng = self.rng
        name = rng.choice(["show_deleted", "actor", "reason", "truncate", "purge_databases", "purge_interval", "nothing", "actor.x", "Show_Deleted"])
        value = quote(rng.choice(["on", "off", "", "maybe", "hard", "soft", "error", "SOFT", "-1", "0", "1h", "99999999999", 'a, "b', ",", '"A"', "x" * 5000, "é", "%s", "new\nline"]))
        if rng.random() < 0.1:
            value = "DEFAULT"
        make = rng.choice(["SET soft_delete.%s = %s", "SET LOCAL soft_delete.%s = %s", "ALTER ROLE fuzz_stranger SET soft_delete.%s = %s", "ALTER DATABASE fuzz SET soft_delete.%s = %s",
                           "ALTER ROLE CURRENT_USER SET soft_delete.%s = %s", "ALTER FUNCTION fuzz.nothing() SET soft_delete.%s = %s"]) % (name, value)
        use = rng.choice(["DELETE FROM fuzz.parent WHERE id = 4", "TRUNCATE fuzz.parts", "SELECT * FROM fuzz.parent", "SELECT actor, reason FROM soft_delete.deletions"])
        return "settings", [make, use] if not re.search("^SET.*show_deleted", make) else [make, "SELECT count(*) FROM fuzz.parent"]

    # -- what must hold ---------------------------------------------------------

    def step(self):
        rng = self.rng
        role = rng.choice(ROLES)
        what, statements = rng.choices([self.call, self.tag, self.odd_table, self.trigger, self.sample, self.setting], [10, 3, 2, 5, 2, 1])[0]()
        self.counts[what] = self.counts.get(what, 0) + 1
        done, state = self.play(role, what, statements)
        self.states[state] = self.states.get(state, 0) + 1

    def play(self, role, what, statements):
        """Run statements as a role in a transaction, which is undone."""
        del self.connection.notices[:]
        said, state, done = [], "00000", []
        in_block = not (statements[0].startswith("CALL") and role != "fuzz_stranger" and self.rng.random() < 0.2)
        try:
            self.cursor.execute(("BEGIN; " if in_block else "") + "SET ROLE " + role)
            try:
                for statement in statements:
                    done.append(statement)
                    if statement.startswith("COPY"):
                        self.cursor.copy_expert(statement, open(os.devnull, "w"))
                        continue
                    self.cursor.execute(statement)
                    if self.cursor.description is not None:
                        said += [str(row) for row in self.cursor.fetchmany(1000)]
            except psycopg2.Error as error:
                state = error.pgcode or "none"
                said.append("%s %s" % (error, error.diag.message_detail))
            script = ["SET ROLE %s" % role] + done
            if self.connection.closed:
                raise psycopg2.OperationalError("the connection is gone")
            if state[:2] in ("XX", "58", "no") or state in ("P0001", "P0004", "P0003"):
                self.report(script, "%s: %s" % (state, said[-1]))
            said += self.connection.notices
            if role == "fuzz_stranger" and any(SECRET in line for line in said) and what not in ("settings",):
                self.report(script, "a deleted row is told of: %s" % next(line for line in said if SECRET in line))
            if state == "00000" and in_block:
                self.inspect(role, what, script)
            if in_block:
                self.cursor.execute("ROLLBACK")
            self.cursor.execute("RESET ROLE; SET search_path = fuzz, public")
            if not in_block:
                self.prepare()
        except psycopg2.OperationalError as error:
            self.report(["SET ROLE %s" % role] + done, "the server has crashed: %s" % error)
            for _ in range(60):
                time.sleep(1)
                try:
                    self.connect()
                    self.prepare()
                    break
                except psycopg2.OperationalError:
                    pass
        return done, state

    def inspect(self, role, what, script):
        """Look at what a call that succeeded has left."""
        self.cursor.execute("SET search_path = pg_catalog; RESET ROLE")
        if what in ("soft_delete.tag", "odd table"):
            halves = self.ask(HALVES)
            if halves:
                self.report(script, "tagged in part: %s" % halves)
            new = set(self.ask(PROBLEMS)) - self.baseline[0]
            if new and not any("untag(" in line and "'keep'" in line for line in script):
                self.report(script, "check() finds %s" % new)
        if not self.ask("SELECT to_regclass('fuzz.plain')")[0][0]:
            self.report(script, "a name was run as SQL")
        if role == "fuzz_stranger" and what not in ("odd table", "settings") and script[1].startswith(("SELECT", "CALL")):
            if self.ask(STATE)[0][0] != self.baseline[1]:
                self.report(script, "a stranger has changed something")

    def report(self, script, finding):
        print("# %s\n#   %s;" % (finding.strip().replace("\n", "\n# ")[:600], ";\n#   ".join(line[:500].replace("\n", " ") for line in script)), flush=True)
        self.findings.append(finding)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stop", type=int, default=20, help="stop after so many findings")
    options = parser.parse_args()
    log = os.environ.get("SERVER_LOG")
    before = os.path.getsize(log) if log else 0     # other tests kill servers
    fuzzer = Fuzzer(options.seed)
    steps = 0
    end = time.time() + options.seconds
    while time.time() < end and len(fuzzer.findings) < options.stop:
        fuzzer.step()
        steps += 1
        if steps % 500 == 0:
            fuzzer.connection.close()
            fuzzer.other.close()
            fuzzer.connect()
            fuzzer.prepare()
    left_out = [name for name, *_ in fuzzer.functions if name not in fuzzer.counts] + [name for name in fuzzer.triggers if name not in fuzzer.counts]
    print("# %d calls, %d functions not called, %d SQLSTATEs: %s" % (steps, len(left_out), len(fuzzer.states),
          " ".join("%s %d" % item for item in sorted(fuzzer.states.items(), key=lambda item: -item[1])[:12])))
    if log:
        with open(log, errors="replace") as file:
            file.seek(before)
            traps = [line for line in file if re.search("TRAP:|PANIC|terminated by signal", line)]
        fuzzer.findings += traps
        print("".join("# " + line for line in traps), end="")
    print("%s 1 - whatever is called with whatever" % ("not ok" if fuzzer.findings else "ok"))
    print("1..1")
    sys.exit(len(fuzzer.findings) > 0)


main()
