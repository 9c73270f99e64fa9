"""What else a tagged table is written with: inserts, upserts, TPC-B.  It is compared with the same table, untagged."""
import io
import subprocess
import time

from contenders import ASIDE, TAG, TAG_ASIDE
from harness import APPLICATION, BY_HAND, SOFT, Script, connect, turns

UNTAGGED = "untagged"
TAGS = {SOFT: TAG, ASIDE: TAG_ASIDE, UNTAGGED: ""}


def make_databases(bench, *contenders):
    """A database for each contender, by default tables in place and untagged ones."""
    return {who: bench.database("".join(c for c in who if c.isalpha()), extension=TAGS[who] != "") for who in contenders or (SOFT, UNTAGGED)}


def make_keys(session, who, columns, deleted):
    """Makes a table; a tagged one has so many deleted rows more."""
    session.load("keyed", columns, "SELECT WHERE false")
    if TAGS[who]:
        session.run(TAGS[who].replace("{t}", "keyed"),
                    f"INSERT INTO keyed (id, email) SELECT -g, 'gone' || g FROM generate_series(1, {deleted}) g",
                    "DELETE FROM keyed")
    session.settle("keyed")


def insert(bench):
    """Inserts, in bulk and one by one."""
    rows = bench.rows(300_000)
    bench.state(rows=rows)
    databases = make_databases(bench, *TAGS)
    for case, columns in (("primary key", "id integer PRIMARY KEY, email text, filler text"),
                          ("primary key and unique text", "id integer PRIMARY KEY, email text UNIQUE, filler text")):
        for number, who in turns(bench.rounds(7), databases):
            with connect(databases[who]) as session:
                make_keys(session, who, columns, rows // 10)
            with connect(databases[who], APPLICATION) as session:
                bench.record(f"bulk, {case}", who, number, session.seconds(
                    f"INSERT INTO keyed SELECT g, 'user' || g || '@example.com', repeat('x', 60) FROM generate_series(1, {rows}) g"), "s")
    text = "".join(f"{g}\tuser{g}@example.com\t{'x' * 60}\n" for g in range(1, rows + 1))
    for number, who in turns(bench.rounds(5), databases):
        with connect(databases[who]) as session:
            make_keys(session, who, columns, rows // 10)
        with connect(databases[who], APPLICATION) as session:
            start = time.perf_counter()
            session.cursor.copy_expert("COPY keyed (id, email, filler) FROM STDIN", io.StringIO(text))
            bench.record("copy", who, number, time.perf_counter() - start, "s")
    single_statements(bench, databases, {"single": "INSERT INTO keyed VALUES (:n, 'user' || :n, 'filler')"})


def upsert(bench):
    """Single-row upserts, which find the row or not in equal shares."""
    single_statements(bench, make_databases(bench, *TAGS), {
        "by key": "INSERT INTO keyed VALUES (:i, 'user' || :i, 'filler') ON CONFLICT (id) DO UPDATE SET filler = excluded.filler",
        "by constraint": "INSERT INTO keyed VALUES (:i, 'user' || :i, 'filler') ON CONFLICT ON CONSTRAINT keyed_email_key "
                         "DO UPDATE SET filler = excluded.filler"})


def reload(bench):
    """Deletes all rows of a table, and inserts them again by the same keys."""
    rows = bench.rows(100_000)
    bench.state(rows=rows)
    for number, who in turns(bench.rounds(7), databases := make_databases(bench, *TAGS)):
        with connect(databases[who]) as session:
            make_keys(session, who, "id integer PRIMARY KEY, email text UNIQUE, filler text", 100)
            fill = f"INSERT INTO keyed SELECT g, 'user' || g, repeat('x', 60) FROM generate_series(1, {rows}) g"
            session.run(fill)
            session.settle("keyed")
        with connect(databases[who], APPLICATION) as session:
            bench.record("reload", who, number, session.seconds("BEGIN", "DELETE FROM keyed", fill, "COMMIT"), "s")
            assert session.value("SELECT count(*) FROM keyed") == rows


# a value of each kind of key for row g: that of uuid v7 begins with the time
KEYS = {
    "bigint": ("id bigint", "id", "{g}"),
    "uuid v4": ("id uuid", "id", "gen_random_uuid()"),
    "uuid v7": ("id uuid", "id", "(lpad(to_hex({g}), 12, '0') || substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid"),
    "two columns": ("tenant integer, id bigint", "tenant, id", "{g} % 100, {g}"),
}


def livekey(bench):
    """What the live key of a primary key costs writes, which read nothing in its order, by the type of the key."""
    rows = bench.rows(300_000)
    bench.state(rows=rows)
    database = bench.database("soft")
    for kind, (columns, key, value) in KEYS.items():
        for number, who in turns(bench.rounds(7), ("with", "without")):
            with connect(database) as session:
                session.load("keyed", f"{columns}, email text UNIQUE, n integer, filler text, PRIMARY KEY ({key})", "SELECT WHERE false",
                             "CREATE INDEX ON keyed (n)", TAG.replace("{t}", "keyed"))
                if who == "with":
                    session.run(f"CREATE INDEX keyed_live_key ON keyed ({key}) WHERE deleted_at IS NULL")
                session.load("source", f"{columns}, email text, n integer, filler text",
                             f"SELECT {value.format(g='g')}, 'user' || g, g % 1000, repeat('x', 60) FROM generate_series(1, {rows}) g")
                session.settle("keyed", "source")
                text = io.StringIO()
                session.cursor.copy_expert("COPY source TO STDOUT", text)
            names = f"({key}, email, n, filler)"
            with connect(database, APPLICATION) as session:
                bench.record(f"INSERT, {kind}", who, number, session.seconds(f"INSERT INTO keyed {names} SELECT * FROM source"), "s")
                bench.record(f"UPDATE, {kind}", who, number, session.seconds("UPDATE keyed SET n = n + 1"), "s")
            with connect(database) as session:
                session.run("CALL soft_delete.purge('keyed', older_than => '0')", "TRUNCATE keyed", "CHECKPOINT")
            with connect(database, APPLICATION) as session:
                text.seek(0)
                start = time.perf_counter()
                session.cursor.copy_expert(f"COPY keyed {names} FROM STDIN", text)
                bench.record(f"COPY, {kind}", who, number, time.perf_counter() - start, "s")


def single_statements(bench, databases, statements):
    """Prepared single-row statements; :n counts, :i is random."""
    rows = bench.rows(100_000)
    per_turn = bench.rows(6000)
    for case, statement in statements.items():
        for who, database in databases.items():
            with connect(database) as session:
                make_keys(session, who, "id integer PRIMARY KEY, email text UNIQUE, filler text", rows // 10)
                session.run(f"INSERT INTO keyed SELECT g, 'user' || g FROM generate_series(1, {rows}, 2) g", "CHECKPOINT")
        scripts = {who: Script(database, f"\\set n :n + 1\n\\set i random(1, {rows})\n{statement};\n") for who, database in databases.items()}
        for number, who in turns(bench.rounds(15), scripts):
            rate = scripts[who].rate(per_turn, options=("-D", f"n={10_000_000 + number * per_turn}"))
            bench.record(case, who, number, 1e6 / rate, "µs")
        bench.count(case, scripts, 1000, 20_000_000)


def children(bench):
    """New children of a tagged parent."""
    rows = bench.rows(100_000)
    bench.state(rows=rows)
    databases = make_databases(bench)

    def make(session, tagged, parents):
        session.run("DROP TABLE IF EXISTS child, parent CASCADE")
        session.load("parent", "id integer PRIMARY KEY, filler text", f"SELECT g, repeat('x', 60) FROM generate_series(1, {parents}) g")
        session.run("CREATE TABLE child (id integer PRIMARY KEY, parent_id integer NOT NULL REFERENCES parent)")
        if tagged:
            session.run("SELECT soft_delete.tag('parent')")
        session.settle("parent", "child")

    for parents in (1000, 100_000):
        parents_here = bench.rows(parents)
        for who, database in databases.items():
            with connect(database) as session:
                make(session, who == SOFT, parents_here)
        for number, who in turns(bench.rounds(7), databases):
            with connect(databases[who]) as session:
                session.run("TRUNCATE child")
            with connect(databases[who], APPLICATION) as session:
                bench.record(f"bulk, {parents} parents", who, number, session.seconds(
                    f"INSERT INTO child SELECT g, g::bigint * 7919 % {parents_here} + 1 FROM generate_series(1, {rows}) g"), "s")
    scripts = {who: Script(database, f"\\set n :n + 1\n\\set i random(1, {parents_here})\nINSERT INTO child VALUES (:n, :i);\n")
               for who, database in databases.items()}
    per_turn = bench.rows(6000)
    for number, who in turns(bench.rounds(15), scripts):
        rate = scripts[who].rate(per_turn, options=("-D", f"n={10_000_000 + number * per_turn}"))
        bench.record("single", who, number, 1e6 / rate, "µs")


def tpcb(bench):
    """pgbench's own TPC-B-like transaction, with all of its tables tagged, or with the column, the index and the filters of a tag."""
    databases = {**make_databases(bench, *TAGS), BY_HAND: bench.database("hand", extension=False)}
    tables = [f"pgbench_{name}" for name in ("accounts", "branches", "tellers", "history")]
    branches = max(int(50 * bench.scale), 2)
    bench.state(branches=branches)
    for who, database in databases.items():
        subprocess.run(["pgbench", "-i", "-q", "-s", str(branches), database], check=True, capture_output=True)
        with connect(database) as session:
            for table in tables:
                if who == BY_HAND:
                    session.run(f"ALTER TABLE {table} ADD deleted_at timestamptz", f"CREATE INDEX ON {table} (deleted_at) WHERE deleted_at IS NOT NULL")
                elif TAGS[who]:
                    session.run(TAGS[who].replace("{t}", table))
            session.settle(*tables)
    # pgbench's own text, but for the scale that its -b option would ask the database for
    text = f"""
\\set aid random(1, {100_000 * branches})
\\set bid random(1, {branches})
\\set tid random(1, {10 * branches})
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid{{live}};
SELECT abalance FROM pgbench_accounts WHERE aid = :aid{{live}};
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid{{live}};
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid{{live}};
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
"""
    for protocol in ("prepared", "simple"):
        scripts = {who: Script(database, text.format(live=" AND deleted_at IS NULL" if who == BY_HAND else ""), protocol=protocol)
                   for who, database in databases.items()}
        for number, who in turns(bench.rounds(15), scripts):
            with connect(databases[who]) as session:
                session.settle("pgbench_branches", "pgbench_tellers")
            bench.record(protocol, who, number, scripts[who].timed_rate(1.5, clients=2), "/s")
        bench.count(protocol, scripts, 500)
