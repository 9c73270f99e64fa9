"""Looks for what a session never gives back.

One session of the database that the environment names runs statements of all kinds
on tagged tables: first each kind by itself, then all of them mixed.  After a tenth of
each, which fills the caches, its memory must not go on growing: fails where a kind
takes LIMIT bytes per statement and more.  What is measured is what is in use in
pg_backend_memory_contexts, and at the end the anonymous memory of the process.

    test/fuzz/run memory.py [--statements 1000000] [--seed 1] [KIND...]       on a private cluster

Prints TAP.
"""
import argparse
import random
import sys
import time

import psycopg2

LIMIT = 100         # bytes per statement
# What makes and drops relations leaves entries in the server's caches, which are no leak: they go when the caches are reset.
LIMITS = {"tag": 2000}
ROWS = 100

SCHEMA = """
SET client_min_messages = warning;
SET jit = off;
DROP SCHEMA IF EXISTS memory CASCADE;
CREATE SCHEMA memory;
SET search_path = memory;
CREATE TABLE o (id integer PRIMARY KEY, note text);
CREATE TABLE p (id integer PRIMARY KEY, email text UNIQUE, n integer DEFAULT 0, twice integer GENERATED ALWAYS AS (n * 2) STORED);
CREATE TABLE c (id integer PRIMARY KEY, p integer REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE,
	o integer REFERENCES o ON DELETE SET NULL, note text);
CREATE TABLE parts (id integer PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
CREATE TABLE emptied (id integer PRIMARY KEY, note text);
CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE memory.o SET note = tg_op WHERE id = 1; RETURN NULL; END';
SELECT soft_delete.tag('o'), soft_delete.tag('p', cascade => true), soft_delete.tag('parts'), soft_delete.tag('emptied');
CREATE TRIGGER bump AFTER INSERT OR DELETE ON c FOR EACH ROW WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION bump();
INSERT INTO o SELECT g, 'o' FROM generate_series(1, {rows}) AS g;
INSERT INTO p SELECT g, 'p' || g FROM generate_series(1, {rows}) AS g;
INSERT INTO c SELECT g, 1 + g % {rows}, 1 + g % {rows}, repeat('c', 50) FROM generate_series(1, 2 * {rows}) AS g;
INSERT INTO parts SELECT g, 'part' FROM generate_series(1, {rows}) AS g;
INSERT INTO emptied SELECT g, 'emptied' FROM generate_series(1, 10) AS g;
PREPARE del (integer) AS DELETE FROM c WHERE id = $1;
PREPARE see (integer) AS SELECT * FROM c JOIN p ON p.id = c.p WHERE p.id > $1 LIMIT 3;
""".format(rows=ROWS)

# Statements of each kind for a row x; after "!", the SQLSTATE that is due.  The number is how often a kind comes.
KINDS = {
    "restore": (20, ["DELETE FROM p WHERE id = {x} RETURNING email", "UPDATE p_deleted SET deleted_at = NULL WHERE id = {x}"]),
    "restore cut references": (10, ["DELETE FROM o WHERE id = {x}", "UPDATE o_deleted SET deleted_at = NULL WHERE id = {x}"]),
    "undo": (5, ["DELETE FROM c WHERE id = {x}", "SELECT soft_delete.undo(max(deleted_at)) FROM c_deleted"]),
    "step aside": (10, ["DELETE FROM c WHERE id = {x}", "INSERT INTO c VALUES ({x}, {x}, {x}, 'new')",
                        "DELETE FROM c WHERE id = {x}", "INSERT INTO c VALUES ({x}, {x}, {x}, 'newer') ON CONFLICT (id) DO UPDATE SET note = 'met'",
                        "DELETE FROM c_deleted WHERE id = {x}"]),
    "upsert": (20, ["INSERT INTO p (id, email) VALUES ({x}, 'p{x}') ON CONFLICT (email) DO UPDATE SET n = p.n + 1",
                    "INSERT INTO p (id, email) VALUES ({x}, 'p{x}') ON CONFLICT ON CONSTRAINT p_email_key DO NOTHING"]),
    "change key": (10, ["DELETE FROM c WHERE p = {x}", "UPDATE p SET id = -id WHERE id = {x}", "UPDATE p SET id = -id WHERE id = -{x}",
                        "UPDATE c_deleted SET deleted_at = NULL WHERE p = {x}"]),
    "read": (20, ["EXECUTE see ({x})", "SELECT count(*) FROM c WHERE id = {x}", "SELECT * FROM p_active WHERE id = {x}",
                  "SELECT id, deleted_by, hold FROM p_deleted LIMIT 3"]),
    "show deleted": (3, ["SET soft_delete.show_deleted = on", "EXECUTE see ({x})", "RESET soft_delete.show_deleted", "EXECUTE see ({x})"]),
    "sample": (5, ["SELECT count(*) FROM p TABLESAMPLE soft_delete.rows('all')", "SELECT count(*) FROM p TABLESAMPLE soft_delete.rows('nothing')!2202H"]),
    "fail": (20, ["INSERT INTO p VALUES ({x}, 'other')!23505", "DELETE FROM c RETURNING 1 / (id - {x})!22012", "UPDATE p SET deleted_at = now() WHERE id = {x}!0A000",
                  "INSERT INTO c VALUES (100000 + {x}, -1)!23503", "SELECT soft_delete.tag('nothing')!42P01", "UPDATE p_deleted SET n = 1 WHERE id = {x}",
                  "SELECT soft_delete.retain('p', '-1 day')!22023"]),
    "subtransactions": (10, ["BEGIN", "SAVEPOINT a", "DELETE FROM p WHERE id = {x}", "ROLLBACK TO a", "EXECUTE del ({x})", "RELEASE a", "SAVEPOINT b",
                             "INSERT INTO p VALUES (1, 'b')!23505", "ROLLBACK TO b", "INSERT INTO c VALUES ({x}, {x})", "ROLLBACK"]),
    "caught errors": (5, ["DO $$ BEGIN FOR i IN 1 .. 5 LOOP BEGIN DELETE FROM memory.p WHERE id = {x}; RAISE EXCEPTION 'no'; EXCEPTION WHEN others THEN END; END LOOP; END $$"]),
    "cursor": (5, ["BEGIN", "DECLARE k CURSOR FOR SELECT * FROM c WHERE id >= {x} FOR UPDATE", "FETCH k", "DELETE FROM c WHERE CURRENT OF k", "CLOSE k", "ROLLBACK"]),
    "partitions": (10, ["DELETE FROM parts WHERE id = {x}", "UPDATE parts_deleted SET deleted_at = NULL WHERE id = {x}",
                        "UPDATE parts SET id = id + 1000 WHERE id = {x}", "UPDATE parts SET id = id - 1000 WHERE id = 1000 + {x}"]),
    "merge": (5, ["MERGE INTO p USING (VALUES ({x})) AS v (x) ON id = x WHEN MATCHED THEN UPDATE SET n = n + 1", "BEGIN",
                  "MERGE INTO p USING (VALUES ({x})) AS v (x) ON id = x WHEN MATCHED THEN DELETE", "ROLLBACK"]),
    "truncate": (2, ["TRUNCATE emptied", "UPDATE emptied_deleted SET deleted_at = NULL"]),
    "hold": (5, ["DELETE FROM p WHERE id = {x}", "UPDATE p_deleted SET hold = 'why' WHERE id = {x}", "DELETE FROM p_deleted WHERE id = {x}!55006",
                 "UPDATE p_deleted SET hold = NULL WHERE id = {x}", "UPDATE p_deleted SET deleted_at = NULL WHERE id = {x}"]),
    "purge": (2, ["DELETE FROM c WHERE id = {x}", "CALL soft_delete.purge('c', older_than => '0')", "INSERT INTO c VALUES ({x}, {x}, {x}, 'again')",
                  "SELECT soft_delete.erase('c', '{x}')", "INSERT INTO c VALUES ({x}, {x}, {x}, 'again')"]),
    "look": (1, ["DELETE FROM c WHERE id = {x}", "SELECT * FROM soft_delete.preview((SELECT max(deleted_at) FROM c_deleted))", "UPDATE c_deleted SET deleted_at = NULL",
                 "SELECT * FROM soft_delete.tables", "SELECT * FROM soft_delete.timeline('c')"]),
    "check": (0.2, ["SELECT * FROM soft_delete.check()"]),
    "settings": (5, ["SET soft_delete.actor = 'somebody {x}'", "SET soft_delete.reason = 'reason {x}'", "SELECT 1", "RESET soft_delete.actor",
                     "SET soft_delete.nothing = 1!42602", "SET soft_delete.truncate = 'maybe'!22023"]),
    "alter": (0.5, ["ALTER TABLE o RENAME COLUMN note TO more", "SELECT more FROM o_active WHERE id = {x}", "ALTER TABLE o RENAME COLUMN more TO note",
                    "ALTER TABLE o ALTER COLUMN note TYPE varchar(100)", "ALTER TABLE o ALTER COLUMN note TYPE text"]),
    "tag": (0.5, ["CREATE TABLE scratch (id integer PRIMARY KEY, v text UNIQUE)", "SELECT soft_delete.tag('scratch')", "INSERT INTO scratch VALUES (1, 'x')",
                  "DELETE FROM scratch", "INSERT INTO scratch VALUES (1, 'x')", "ALTER TABLE scratch ADD COLUMN w integer", "ALTER TABLE scratch DROP COLUMN v",
                  "SELECT soft_delete.untag('scratch', tombstones => 'purge')", "DROP TABLE scratch"]),
}


class Session:
    def __init__(self, seed):
        self.connection = psycopg2.connect("")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.rng = random.Random(seed)
        self.statements = 0
        self.cursor.execute(SCHEMA)

    def run(self, kind):
        """Run the statements of a kind once."""
        x = self.rng.randint(2, ROWS)
        for statement in KINDS[kind][1]:
            sql, _, expected = statement.format(x=x).partition("!")
            state = ""
            try:
                self.cursor.execute(sql)
            except psycopg2.Error as error:
                state = error.pgcode
                if state != expected:
                    raise SystemExit("not ok 1 - %s: %s %s" % (sql, state, error))
            if state != expected:
                raise SystemExit("not ok 1 - no error: %s" % sql)
            self.statements += 1

    def used(self):
        """Return bytes in use, by context."""
        self.cursor.execute("SELECT name || coalesce(' ' || ident, ''), sum(used_bytes) FROM pg_backend_memory_contexts GROUP BY 1")
        return {name[:70]: int(size) for name, size in self.cursor.fetchall()}

    def anonymous(self):
        """Return the anonymous memory of the server's process in bytes, or None where that is not to be known."""
        try:
            with open("/proc/%d/status" % self.connection.get_backend_pid()) as status:
                return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))
        except OSError:
            return None

    def watch(self, rounds):
        """Run kinds, and return what they add per statement after the first tenth of them, and where."""
        start = max(len(rounds) // 10, 12)
        middle = (start + len(rounds)) // 2
        for kind in rounds[:start]:
            self.run(kind)
        self.used()         # which takes memory itself
        growths = []
        anonymous, first = self.anonymous(), self.statements
        # plans come and go: what grows does so in both halves
        for half in rounds[start:middle], rounds[middle:]:
            before, so_far = self.used(), self.statements
            for kind in half:
                self.run(kind)
            after = self.used()
            added = sum(after.values()) - sum(before.values())
            growths.append((added / (self.statements - so_far), added,
                            sorted(((size - before.get(name, 0), name) for name, size in after.items()), reverse=True)[:3]))
        statements = self.statements - first
        return min(growths), statements, anonymous and (self.anonymous() - anonymous) / statements


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--statements", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    options = parser.parse_args()
    kinds = options.kinds or list(KINDS)
    session = Session(options.seed)
    weight = sum(KINDS[kind][0] * len(KINDS[kind][1]) for kind in kinds)
    times = {kind: max(40, int(KINDS[kind][0] * options.statements / 2 / weight)) for kind in kinds}

    failed = 0
    tests = [(kind, [kind] * times[kind]) for kind in kinds]
    mixed = [kind for kind in kinds for _ in range(times[kind])]
    session.rng.shuffle(mixed)
    for number, (name, rounds) in enumerate(tests + [("all kinds, mixed", mixed)], 1):
        started = time.time()
        (growth, added, where), statements, anonymous = session.watch(rounds)
        # a cache that grows once is no leak
        good = growth < LIMITS.get(name, LIMIT) or added < 16384
        failed += not good
        print("%s %d - %s" % ("ok" if good else "not ok", number, name))
        print("# %d statements, %+.1f bytes per statement in use, %s anonymous, %.0f s" % (
            statements, growth, "?" if anonymous is None else "%+.1f" % anonymous, time.time() - started), flush=True)
        if not good:
            print("".join("# %+d bytes in %s\n" % (size, " ".join(name.split())) for size, name in where), end="")
    print("1..%d" % number)
    session.cursor.execute("DROP SCHEMA memory CASCADE")
    print("# %d statements in all" % session.statements)
    sys.exit(failed > 0)


main()
