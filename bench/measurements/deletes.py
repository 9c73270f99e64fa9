"""What a DELETE costs."""
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

from contenders import ASIDE, CONTENDERS, TAG, TAG_ASIDE, UNLEDGERED, Contender, make_databases
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


COPIED = "hard DELETE and INSERT"


def wide(bench):
    """Rows with a value out of line, which a deletion in place must not write again, and one aside moves."""
    make_databases(bench)
    contenders = {
        BY_HAND: ("hand", ", deleted_at timestamptz", "", "UPDATE {t} SET deleted_at = now() WHERE {these} AND deleted_at IS NULL"),
        SOFT: ("soft", ", deleted_at timestamptz", TAG, "DELETE FROM {t} WHERE {these}"),
        ASIDE: ("soft", "", TAG_ASIDE, "DELETE FROM {t} WHERE {these}"),
        COPIED: ("hand", "", "CREATE TABLE {t}_copy (LIKE {t})", "INSERT INTO {t}_copy SELECT * FROM {t} WHERE {these}; DELETE FROM {t} WHERE {these}"),
    }
    rounds = bench.rounds(7)
    for case, repeats, per_round in (("20 kB", 640, bench.rows(2000)), ("1 MB", 32768, max(int(50 * bench.scale), 5))):
        bench.state(**{f"rows {case}": per_round})
        for place, (database, column, setup, _) in enumerate(contenders.values()):
            with connect(database) as session:
                session.run(f"DROP TABLE IF EXISTS wide{place}_copy")
                session.load(f"wide{place}", f"id integer PRIMARY KEY, doc text{column}", "SELECT 0 WHERE false",
                             f"ALTER TABLE wide{place} ALTER COLUMN doc SET STORAGE EXTERNAL",
                             f"INSERT INTO wide{place} SELECT g, repeat(md5(g::text), {repeats}) FROM generate_series(1, {rounds * per_round}) g")
                if column:
                    session.run(f"CREATE INDEX ON wide{place} (deleted_at) WHERE deleted_at IS NOT NULL")
                if setup:
                    session.run(setup.replace("{t}", f"wide{place}"))
                session.settle(f"wide{place}")
        with connect("hand", APPLICATION) as hand, connect("soft", APPLICATION) as soft:
            for number, who in turns(rounds, contenders):
                database, column, _, statement = contenders[who]
                session = soft if database == "soft" else hand
                table, these = f"wide{list(contenders).index(who)}", f"id % {rounds} = {number}"
                before = wal_bytes(session)
                bench.record(case, who, number, session.seconds(statement.format(t=table, these=these)), "s")
                bench.record(f"{case}, WAL", who, number, (wal_bytes(session) - before) / per_round, "bytes")
                assert session.value(f"SELECT count(*) FROM {table} WHERE {these}" + (" AND deleted_at IS NULL" if column else "")) == 0


INSERTED = "its INSERTs"


def family(bench):
    """A parent and its children by cascade: delete, restore, purge."""
    children = bench.rows(10_000)
    families = bench.rounds(9)
    bench.state(rows=children)
    make_databases(bench)
    tables = {BY_HAND: ("hand", "hand", True), "hard DELETE": ("hand", "plain", False), SOFT: ("soft", "soft", True), ASIDE: ("soft", "aside", False)}
    for who, (database, name, tombstone) in tables.items():
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
            if database == "soft":
                session.run(f"SELECT soft_delete.tag('{name}', cascade => true, storage => '{'in_place' if tombstone else 'aside'}')")
            session.settle(name, f"{name}_child")
            if database == "soft":
                session.run(f"GRANT SELECT, UPDATE, DELETE ON {name}_deleted, {name}_child_deleted TO {APPLICATION}")
    with connect("hand", APPLICATION) as hand, connect("soft", APPLICATION) as soft:
        def delete(who, key):
            name = tables[who][1]
            if who == BY_HAND:
                return hand.seconds(f"BEGIN; UPDATE hand SET deleted_at = now() WHERE id = {key} AND deleted_at IS NULL;"
                                    f"UPDATE hand_child SET deleted_at = now() WHERE parent_id = {key} AND deleted_at IS NULL; COMMIT")
            return (hand if who == "hard DELETE" else soft).seconds(f"DELETE FROM {name} WHERE id = {key}")

        def restore(who, key):
            if who == INSERTED:
                return hand.seconds(f"BEGIN; INSERT INTO plain VALUES ({key}, 'parent {key}');"
                                    f"INSERT INTO plain_child SELECT g, {key}, repeat('x', 60) FROM generate_series({(key - 1) * children + 1}, {key * children}) g; COMMIT")
            return soft.seconds(f"UPDATE {tables[who][1]}_deleted SET deleted_at = NULL WHERE id = {key}")

        for number, who in turns(families, tables):
            bench.record("delete", who, number, delete(who, number + 1), "s")
        for number, who in turns(families, (SOFT, ASIDE, INSERTED)):
            bench.record("restore", who, number, restore(who, number + 1), "s")
        for name in ("soft", "aside"):
            soft.run(f"DELETE FROM {name}")
            assert soft.value(f"SELECT count(*) FROM {name}_child_deleted") == families * children
        for number, who in turns(families, ("hard DELETE", SOFT, ASIDE)):
            bench.record("purge", who, number, delete(who, number + 1) if who == "hard DELETE"
                         else soft.seconds(f"DELETE FROM {tables[who][1]}_deleted WHERE id = {number + 1}"), "s")


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
