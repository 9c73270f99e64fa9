"""What a DELETE costs."""
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

from contenders import CONTENDERS, TAG, UNLEDGERED, Contender, make_databases
from harness import APPLICATION, BY_HAND, SOFT, TMP, Script, connect, set_durable, turns, wal_bytes

DURABILITIES = {"fast": False, "durable": True}


def bulk(bench):
    """One statement deletes all rows of a table with a primary key and four secondary indexes."""
    rows = bench.rows(1_000_000)
    bench.state(rows=rows)
    make_databases(bench)
    for case, durable in DURABILITIES.items():
        set_durable(durable)
        for number, contender in turns(bench.rounds(3), CONTENDERS):
            with connect(contender.database) as owner, connect(contender.database, APPLICATION) as session:
                contender.make(owner, rows)
                before = wal_bytes(owner)
                bench.record(case, contender.name, number, session.seconds(contender.sql(contender.delete_all)), "s")
                bench.record(f"{case}, WAL", contender.name, number, (wal_bytes(owner) - before) / 1e6, "MB")
                assert contender.live_rows(owner) == 0, contender.name
                for what, function in (("table", "pg_table_size"), ("indexes", "pg_indexes_size")):
                    size = owner.value(f"SELECT sum({function}(oid)) FROM pg_class "
                                       f"WHERE relkind = 'r' AND relname IN ('{contender.table()}', '{contender.table()}_archive')")
                    bench.record(f"{case}, {what}", contender.name, number, float(size) / 1e6, "MB")
                owner.run(f"DROP TABLE {contender.table()} CASCADE", f"DROP TABLE IF EXISTS {contender.table()}_archive")


def make_unledgered(bench, contender, rows):
    """Makes a database whose library is built without the entry into the ledger."""
    copy = TMP / "unledgered"
    shutil.copytree(os.environ["BENCH_BUILD"], copy, dirs_exist_ok=True)
    source = copy / "src/storage/stamp.c"
    entry = "while (!record_deletion(last_stamp, relid))"
    text = source.read_text()
    assert text.count(entry) == 1, "stamp.c does not enter deletions where it did"
    source.write_text(text.replace(entry, "while (false)"))
    library = "soft_delete_unledgered"
    subprocess.run(["make", "-s", "-C", copy, f"MODULE_big={library}", f"PG_CONFIG={os.environ['PG_CONFIG']}", "with_llvm=no",
                    f"{library}.so"], check=True)
    shutil.copy(copy / f"{library}.so", os.environ["BENCH_LIBDIR"])
    bench.database(contender.database)
    with connect(contender.database) as session:
        contender.make(session, rows)
        session.run(f"UPDATE pg_proc SET probin = '$libdir/{library}' WHERE probin = '$libdir/soft_delete'",
                    f"ALTER DATABASE {contender.database} SET session_preload_libraries = '{library}'")


def single(bench):
    """Prepared single-row deletes, rows far apart; each turn deletes rows of its own."""
    unledgered = Contender(UNLEDGERED, database="unledgered", filtered="", setup=TAG)
    contenders = CONTENDERS + [unledgered]
    plan = [(case, clients, bench.rounds(rounds), bench.rows(deletes) // 8 * 8)
            for case, rounds, deletes in (("fast", 9, 20000), ("durable", 5, 1600)) for clients in (1, 2, 8)]
    counted = 1000
    rows = sum(rounds * deletes for _, _, rounds, deletes in plan) + 3 * bench.rows(counted) + 1
    bench.state(rows=rows)
    make_databases(bench)
    set_durable(False)
    make_unledgered(bench, unledgered, rows)
    for contender in CONTENDERS:
        with connect(contender.database) as session:
            contender.make(session, rows)

    first = 0
    for case, clients, rounds, deletes in plan:
        set_durable(DURABILITIES[case])
        scripts = {contender.name: Script(contender.database, single_delete(contender, rows, clients)) for contender in contenders}
        with connect("postgres") as session:
            for number, contender in turns(rounds, contenders):
                before = wal_bytes(session)
                start = first + number * deletes - clients
                rate = scripts[contender.name].rate(deletes, clients, options=("-D", f"n={start}"))
                bench.record(f"{case}, {clients}", contender.name, number, rate, "/s")
                bench.record(f"{case}, {clients}, WAL", contender.name, number, (wal_bytes(session) - before) / deletes, "bytes")
        first += rounds * deletes
    bench.count("fast, 1", {contender.name: Script(contender.database, single_delete(contender, rows, 1)) for contender in contenders}, counted, first)
    for contender in contenders:
        with connect(contender.database) as session:
            assert contender.live_rows(session) == rows - first, contender.name
    with connect(unledgered.database) as session:
        assert session.value("SELECT count(*) FROM soft_delete_internal.ledger") == 0, "the library without a ledger has one"


def single_delete(contender, rows, clients):
    """What a client does that deletes one row after the other."""
    return f"""
\\set n :n + {clients}
\\set i (:n + :client_id) * 7919 % {rows} + 1
{contender.sql(contender.delete_one)};
"""


def wide(bench):
    """Rows with a value out of line, which a deletion must not write again."""
    make_databases(bench)
    databases = {BY_HAND: "hand", SOFT: "soft"}
    rounds = bench.rounds(7)
    for case, repeats, per_round in (("20 kB", 640, bench.rows(2000)), ("1 MB", 32768, max(int(50 * bench.scale), 5))):
        for database in databases.values():
            with connect(database) as session:
                session.load("wide", "id integer PRIMARY KEY, doc text, deleted_at timestamptz", "SELECT 0 WHERE false",
                             "ALTER TABLE wide ALTER COLUMN doc SET STORAGE EXTERNAL",
                             f"INSERT INTO wide SELECT g, repeat(md5(g::text), {repeats}) FROM generate_series(1, {rounds * per_round}) g",
                             "CREATE INDEX ON wide (deleted_at) WHERE deleted_at IS NOT NULL")
                if database == "soft":
                    session.run("SELECT soft_delete.tag('wide')")
                session.settle("wide")
        bench.state(**{f"rows {case}": per_round})
        with connect("hand", APPLICATION) as hand, connect("soft", APPLICATION) as soft:
            for number, who in turns(rounds, databases):
                session = soft if who == SOFT else hand
                these = f"WHERE id % {rounds} = {number}"
                before = wal_bytes(session)
                statement = f"DELETE FROM wide {these}" if who == SOFT else f"UPDATE wide SET deleted_at = now() {these} AND deleted_at IS NULL"
                bench.record(case, who, number, session.seconds(statement), "s")
                bench.record(f"{case}, WAL", who, number, (wal_bytes(session) - before) / per_round, "bytes")
                assert session.value(f"SELECT count(*) FROM wide {these} AND deleted_at IS NULL") == 0


def family(bench):
    """A parent and its children by cascade: delete, restore, purge."""
    children = bench.rows(10_000)
    families = bench.rounds(9)
    bench.state(rows=children)
    make_databases(bench)
    for database, name, tombstone in (("hand", "hand", True), ("hand", "plain", False), ("soft", "soft", True)):
        column = ", deleted_at timestamptz" if tombstone else ""
        live = " WHERE deleted_at IS NULL" if tombstone else ""
        with connect(database) as session:
            session.load(name, f"id integer PRIMARY KEY, name text{column}", f"SELECT g, 'parent ' || g FROM generate_series(1, {families}) g")
            session.load(f"{name}_child",
                         f"id integer PRIMARY KEY, parent_id integer REFERENCES {name} ON DELETE CASCADE, filler text{column}",
                         f"SELECT g, (g - 1) / {children} + 1, repeat('x', 60) FROM generate_series(1, {families * children}) g",
                         f"CREATE INDEX ON {name}_child (parent_id){live}")
            for table in (name, f"{name}_child") if tombstone else ():
                session.run(f"CREATE INDEX ON {table} (deleted_at) WHERE deleted_at IS NOT NULL")
            if name == "soft":
                session.run("SELECT soft_delete.tag('soft', cascade => true)")
            session.settle(name, f"{name}_child")
    with connect("hand", APPLICATION) as hand, connect("soft", APPLICATION) as soft:
        def by_hand(key):
            return hand.seconds(f"BEGIN; UPDATE hand SET deleted_at = now() WHERE id = {key} AND deleted_at IS NULL;"
                                f"UPDATE hand_child SET deleted_at = now() WHERE parent_id = {key} AND deleted_at IS NULL; COMMIT")
        for number, who in turns(families, (BY_HAND, SOFT)):
            key = number + 1
            bench.record("delete", who, number, by_hand(key) if who == BY_HAND else soft.seconds(f"DELETE FROM soft WHERE id = {key}"), "s")
        for key in range(1, families + 1):
            bench.record("restore", SOFT, key - 1, soft.seconds(f"UPDATE soft_deleted SET deleted_at = NULL WHERE id = {key}"), "s")
        soft.run("DELETE FROM soft")
        assert soft.value("SELECT count(*) FROM soft_child_deleted") == families * children
        for number, who in turns(families, ("hard DELETE", SOFT)):
            bench.record("purge", who, number, soft.seconds(f"DELETE FROM soft_deleted WHERE id = {number + 1}") if who == SOFT
                         else hand.seconds(f"DELETE FROM plain WHERE id = {number + 1}"), "s")


def load_narrow(session, table, rows):
    """Makes a tagged table of narrow rows, as fast as can be."""
    session.load(table, "id integer, kind integer, n integer, deleted_at timestamptz",
                 f"SELECT g, g::bigint * 7919 % {rows}, 0 FROM generate_series(1, {rows}) g",
                 f"ALTER TABLE {table} ADD PRIMARY KEY (id)",
                 f"CREATE INDEX ON {table} (kind) WHERE deleted_at IS NULL",
                 f"CREATE INDEX ON {table} (deleted_at) WHERE deleted_at IS NOT NULL",
                 f"SELECT soft_delete.tag('{table}')")
    session.settle(table)


def growth(bench):
    """Single-row deletes from ever bigger tables, beside updates of them that delete nothing."""
    database = bench.database("soft")
    set_durable(False)
    per_turn = bench.rows(10_000)
    for full in (1_000_000, 10_000_000, 50_000_000):
        rows = bench.rows(full)
        with connect(database) as session:
            load_narrow(session, "grown", rows)
        scripts = {who: Script(database, f"\\set n :n + 1\n\\set i :n * 7919 % {rows} + 1\n{statement};\n") for who, statement in
                   ((SOFT, "DELETE FROM grown WHERE id = :i"), (BY_HAND, "UPDATE grown SET n = n + 1 WHERE id = :i"))}
        for number, who in turns(bench.rounds(7), scripts):
            first = number * 2 * per_turn + (per_turn if who == SOFT else 0)
            rate = scripts[who].rate(per_turn, options=("-D", f"n={first}"))
            bench.record(f"{full}", who, number, 1e6 / rate, "µs")
        with connect(database) as session:
            assert session.value("SELECT count(*) FROM grown") == rows - bench.rounds(7) * per_turn


def memory(bench):
    """Private memory of the server process while one statement deletes many rows."""
    rows = bench.rows(10_000_000)
    bench.state(rows=rows)
    with connect(bench.database("soft")) as session:
        load_narrow(session, "grown", rows)
    with connect("soft") as session:
        pid = session.value("SELECT pg_backend_pid()")
        session.run("DELETE FROM grown WHERE id = 1")
        delete = threading.Thread(target=session.run, args=("DELETE FROM grown",))
        delete.start()
        samples = []
        while delete.is_alive():
            status = Path(f"/proc/{pid}/status").read_text()
            samples.append(int(status.split("RssAnon:")[1].split()[0]))
            time.sleep(0.1)
        delete.join()
        assert session.value("SELECT count(*) FROM grown") == 0
    assert len(samples) > 3, "too few rows to see anything"
    for number, kb in enumerate(samples):
        bench.record("DELETE", SOFT, number, kb, "kB")
    start = samples[: len(samples) // 4 + 1]
    bench.record("peak", "its first quarter", 0, max(start), "kB")
    bench.record("peak", SOFT, 0, max(samples), "kB")
