"""What the DBA runs: purges, tags of big tables, many tagged tables."""
import subprocess
import threading
import time
from statistics import median

from contenders import ASIDE, BY_SESSION
from harness import APPLICATION, SOFT, Script, connect, restart_server, turns

BATCH = 10_000
BATCHED = "batched DELETE"

# What one would write: a cursor that resumes, and a commit after each batch.
PURGE_BY_HAND = """
DO $$
DECLARE
    after timestamptz := '-infinity';
    tids tid[];
BEGIN
    LOOP
        SELECT array_agg(ctid), max(deleted_at) INTO tids, after FROM
            (SELECT ctid, deleted_at FROM graves WHERE deleted_at > after AND deleted_at < {before} ORDER BY deleted_at LIMIT {batch}) AS due;
        EXIT WHEN tids IS NULL;
        DELETE FROM graves WHERE ctid = ANY (tids);
        COMMIT;
    END LOOP;
END $$"""


def make_graves(session, rows, deleted, ages):
    """Makes a table with so many deleted rows of each of so many years."""
    every = rows // deleted
    session.load("graves", "id integer PRIMARY KEY, email text, filler text, deleted_at timestamptz",
                 f"SELECT g, 'user' || g || '@example.com', repeat('x', 60), CASE WHEN g % {every} < {ages} THEN "
                 f"make_timestamptz(2015 + g % {every}, 1, 1, 0, 0, 0) + g * interval '1 ms' END FROM generate_series(1, {rows}) g",
                 "CREATE INDEX ON graves (email) WHERE deleted_at IS NULL",
                 "CREATE INDEX ON graves (deleted_at) WHERE deleted_at IS NOT NULL")


def purge(bench):
    """Purges a tenth of a table, batch by batch."""
    rows = bench.rows(10_000_000)
    deleted = rows // 10
    batch = max(int(BATCH * min(bench.scale, 1)), 100)
    rounds = 3
    bench.state(rows=rows, deleted=deleted, batch=batch)
    databases = {BATCHED: bench.database("hand", extension=False), SOFT: bench.database("soft")}
    for database in databases.values():
        with connect(database) as session:
            make_graves(session, rows, deleted, rounds + 1)
            if database == "soft":
                session.run("SELECT soft_delete.tag('graves')")
            session.settle("graves")
    for number, who in turns(rounds, databases):
        before = f"make_timestamptz({2015 + number}, 7, 1, 0, 0, 0)"
        with connect(databases[who]) as session:
            statement = (f"CALL soft_delete.purge('graves', older_than => now() - {before}, batch_size => {batch})" if who == SOFT
                         else PURGE_BY_HAND.format(before=before, batch=batch))
            bench.record("purge", who, number, session.seconds(statement), "s")
            left = session.value("SELECT count(*) FROM graves_deleted" if who == SOFT else "SELECT count(*) FROM graves WHERE deleted_at IS NOT NULL")
            assert left == deleted * (rounds - number), (who, number, left)
            session.settle("graves")
    batches = batch_times(f"CALL soft_delete.purge('graves', older_than => '0', batch_size => {batch})")
    for number, took in enumerate(batches):
        bench.record("batch", SOFT, number, took * 1e3, "ms")
    tenth = len(batches) // 10
    bench.record("batches", SOFT, 0, median(batches[-tenth:]) * 1e3, "ms")
    bench.record("batches", "the first ones", 0, median(batches[:tenth]) * 1e3, "ms")
    drop_month(bench, deleted, batch)
    beside(bench, rows)


def drop_month(bench, rows, batch):
    """Purges deleted rows that are aside, in the companion itself and in a month of it that is dropped."""
    with connect("soft") as session:
        for case, storage, place in (("month", "aside_monthly", "m_tombstones_2020_01"), ("rows aside", "aside", "m_tombstones")):
            session.run("CREATE TABLE m (id integer PRIMARY KEY, email text)")
            session.run(f"SELECT soft_delete.tag('m', storage => '{storage}')")
            session.run("SET session_replication_role = replica; SET row_security = off")
            if storage == "aside_monthly":
                session.run("SELECT soft_delete_internal.make_month('m', 'm_tombstones', '2020-01'), soft_delete_internal.bind_companion('m')")
            session.run(f"INSERT INTO {place} SELECT timestamptz '2020-01-10 00:00 UTC' + g / 1000 * interval '1 s', g, 'user' || g FROM generate_series(1, {rows}) g")
            session.run("RESET session_replication_role; RESET row_security")
            session.settle(place)
            bench.record("month", SOFT if storage == "aside_monthly" else case, 0,
                         session.seconds(f"CALL soft_delete.purge('m', older_than => '1 year', batch_size => {batch})"), "s")
            assert session.value("SELECT count(*) FROM m_deleted") == 0
            session.run("DROP TABLE m")


def batch_times(statement):
    """Seconds from one message that a batch is done to the next."""
    command = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", "soft", "-c", "SET client_min_messages = debug1", "-c", statement]
    times = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as psql:
        for line in psql.stderr:
            if "rows of" in line:
                times.append(time.perf_counter())
    assert psql.returncode == 0 and len(times) > 10, "no batches"
    return [after - before for before, after in zip(times, times[1:])]


def beside(bench, rows):
    """Point reads and writes while a purge goes on that pauses after each batch."""
    script = Script("soft", f"\\set i random(1, {rows})\nSELECT email FROM graves WHERE id = :i;\n"
                            "UPDATE graves SET filler = filler WHERE id = :i;\n")
    script.timed_rate(0.5)
    with connect("soft") as session:
        for number in range(bench.rounds(5)):
            with connect("soft") as other:
                computing = threading.Thread(target=keep_busy, args=(other, 3))
                computing.start()
                bench.record("beside", "no purge", number, script.timed_rate(2), "/s")
                computing.join()
            session.run(f"DELETE FROM graves WHERE id % 10 = {5 + number}")
            with connect("soft") as purger:
                pid = purger.value("SELECT pg_backend_pid()")
                purging = threading.Thread(target=purge_until_stopped, args=(purger,))
                purging.start()
                bench.record("beside", SOFT, number, script.timed_rate(2), "/s")
                assert purging.is_alive() or bench.scale < 1, "the purge was over too soon"
                session.run(f"SELECT pg_cancel_backend({pid})")
                purging.join()


def purge_until_stopped(session):
    import psycopg2
    try:
        session.run("CALL soft_delete.purge('graves', older_than => '0', batch_size => 1000, pause => '10 ms')")
    except psycopg2.errors.QueryCanceled:
        pass


def lock(bench):
    """How long the tag() that plan() has prepared holds its lock; the commit lets go before it removes old indexes."""
    rows = bench.rows(10_000_000)
    bench.state(rows=rows)
    with connect(bench.database("soft")) as session:
        session.load("big", "id integer, email text, kind integer", f"SELECT g, 'user' || g, g % 1000 FROM generate_series(1, {rows}) g",
                     "ALTER TABLE big ADD PRIMARY KEY (id), ADD UNIQUE (email)", "CREATE INDEX ON big (kind)")
        session.run("SELECT plan FROM soft_delete.plan('big') AS plan WHERE plan NOT LIKE 'SELECT%'")
        session.run(*(statement for (statement,) in session.cursor.fetchall()))
        session.run("CHECKPOINT", "BEGIN")
        bench.record("tag", SOFT, 0, session.seconds("SELECT soft_delete.tag('big')") * 1e3, "ms")
        session.run("COMMIT")


# An application that deletes softly by itself; it reads and writes, and at times deletes or restores a row, that it has deleted long ago, too.
FLAGGING = """
\\set i random(1, {rows})
\\set k random(1, 20)
SELECT email FROM users WHERE id = :i AND NOT deleted;
UPDATE users SET seen = now() WHERE id = :i AND NOT deleted;
\\if :k = 1
UPDATE users SET deleted = NOT deleted WHERE id = :i;
\\endif
"""


def keep_busy(session, seconds):
    """Lets a session compute, and touch no table: an idle core would be slow to wake, and what is compared keeps it busy, too."""
    session.run(f"DO $$ DECLARE done timestamptz := clock_timestamp() + interval '{seconds} s'; "
                "BEGIN WHILE clock_timestamp() < done LOOP NULL; END LOOP; END $$")


def adopt(bench):
    """Gives a table a bridge by what plan() prints, half of whose rows the application has deleted before, beside it."""
    rows = bench.rows(4_000_000)
    bench.state(rows=rows, deleted=rows // 2)
    alone = 5 if bench.scale >= 1 else 2
    script = Script("soft", FLAGGING.format(rows=rows))
    for number, who in turns(bench.rounds(3), (SOFT, ASIDE)):
        where, storage = ("", "in_place") if who == SOFT else (", aside", "aside")
        with connect(bench.database("soft")) as session:
            session.load("users", "id integer, email text, deleted boolean NOT NULL DEFAULT false, seen timestamptz",
                         f"SELECT g, 'user' || g || '@example.com', g % 2 = 0 FROM generate_series(1, {rows}) g",
                         "ALTER TABLE users ADD PRIMARY KEY (id), ADD UNIQUE (email)", "CREATE INDEX ON users (seen)")
            session.run(f"GRANT EXECUTE ON FUNCTION soft_delete.rows(internal) TO {APPLICATION}")
            session.settle("users")
            with script.running() as transactions:
                keep_busy(session, alone)
                begin = time.time()
                session.run(f"SELECT plan FROM soft_delete.plan('users', bridge => 'deleted', storage => '{storage}') AS plan")
                parts = [session.seconds(statement) for (statement,) in session.cursor.fetchall()]
                end = time.time()
                keep_busy(session, alone)
            found = session.value("SELECT array_agg(concat_ws(': ', relation, problem)) FROM soft_delete.check()")
            assert found is None, found
        bench.record("adopt", who, number, end - begin, "s")
        bench.record("part", who, number, max(parts[-len(parts) // 2:]) * 1e3, "ms")
        for when, since, until in (("before it", begin - alone, begin), (who, begin, end), ("after it", end, end + alone)):
            done = [transaction.wait for transaction in transactions if since <= transaction.end <= until]
            bench.record(f"beside{where}", when, number, len(done) / (until - since), "/s")
            bench.record(f"wait{where}", when, number, max(done) * 1e3, "ms")


def thousand(bench):
    """A thousand tables, tagged or not: connecting, other tables' DDL, one more tag, a purge of all."""
    tables = bench.rows(1000)
    bench.state(rows=tables)
    databases = {SOFT: bench.database("many"), "untagged": bench.database("plain", extension=False),
                 "auto_explain": bench.database("explained", extension=False)}
    for who, database in databases.items():
        with connect(database) as session:
            for i in range(1, tables + 1):
                session.run(f"CREATE TABLE t{i} (id integer PRIMARY KEY, email text UNIQUE)", f"INSERT INTO t{i} VALUES (1, 'a'), (2, 'b')")
                if who == SOFT:
                    session.run(f"SELECT soft_delete.tag('t{i}')", f"DELETE FROM t{i} WHERE id = 1")
            session.run("CREATE SCHEMA other", "VACUUM ANALYZE")
            session.settle()
    with connect("explained") as session:
        session.run("ALTER DATABASE explained SET session_preload_libraries = 'auto_explain'")

    for number, who in turns(bench.rounds(25), [*databases, BY_SESSION]):
        restart_server("soft_delete" if who == SOFT else "")
        database = databases.get(who, databases[SOFT])
        for i in range(40):
            if i == 10:     # the others fill the caches
                start = time.perf_counter()
            with connect(database, APPLICATION) as session:
                session.value(f"SELECT email FROM t{(number * 40 + i) % tables + 1} WHERE id = 2")
        bench.record("connect and query", who, number, (time.perf_counter() - start) / 30 * 1e3, "ms")
    restart_server()
    del databases["auto_explain"]

    repeats = bench.rows(200)
    statements = {"CREATE TABLE": "CREATE TABLE other.o (id integer)", "ALTER TABLE": "ALTER TABLE other.o ADD note text",
                  "CREATE INDEX": "CREATE INDEX ON other.o (id)", "DROP TABLE": "DROP TABLE other.o"}
    with connect("many") as many, connect("plain") as plain:
        for number, who in turns(bench.rounds(7), databases):
            took = dict.fromkeys(statements, 0.0)
            for _ in range(repeats):
                for what, statement in statements.items():
                    took[what] += (many if who == SOFT else plain).seconds(statement)
            for what, seconds in took.items():
                bench.record(what, who, number, seconds / repeats * 1e3, "ms")

    databases = {SOFT: "many", "no other tagged table": bench.database("few")}
    for number, who in turns(bench.rounds(7), databases):
        with connect(databases[who]) as session:
            session.run("CREATE TABLE one_more (id integer PRIMARY KEY, email text UNIQUE)")
            bench.record("tag", who, number, session.seconds("SELECT soft_delete.tag('one_more')") * 1e3, "ms")
            session.run("SELECT soft_delete.untag('one_more')", "DROP TABLE one_more")

    with connect("many") as session:
        session.run("SELECT soft_delete.retain_schema('public', '0')")
        for case in ("purge of a row each", "purge of nothing"):
            bench.record(case, SOFT, 0, session.seconds("CALL soft_delete.purge()"), "s")


def make_schema(tables):
    """The statements of an application's schema file: tables, and two foreign keys of each."""
    for n in range(tables):
        yield f"CREATE TABLE t{n} (id bigint PRIMARY KEY, code text UNIQUE, a bigint, b bigint)"
    for n in range(1, tables):
        yield f"ALTER TABLE t{n} ADD FOREIGN KEY (a) REFERENCES t{n // 2} ON DELETE CASCADE"
        yield f"ALTER TABLE t{n} ADD FOREIGN KEY (b) REFERENCES t{n // 3}"


def schema(bench):
    """Runs a schema file where the schema is tagged, and asks for what the tables have."""
    tables = max(int(500 * min(bench.scale, 1)), 20)
    bench.state(tables=tables, keys=2 * (tables - 1))
    databases = {"untagged": bench.database("plain", extension=False)}
    databases |= {storage: bench.database(storage) for storage in ("in_place", "aside")}
    for number, who in turns(bench.rounds(3), databases):
        with connect(databases[who]) as session:
            session.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
            if who != "untagged":
                session.run(f"SELECT soft_delete.tag_schema('public', storage => '{who}')")
        with connect(databases[who]) as session:
            took = [session.seconds(statement) for statement in make_schema(tables)]
            ours = SOFT if who == "in_place" else who
            bench.record("file", ours, number, sum(took), "s")
            bench.record("create first", ours, number, 1000 * median(took[1:11]), "ms")
            bench.record("create last", ours, number, 1000 * median(took[tables - 10:tables]), "ms")
            session.run(*(f"INSERT INTO t{n} VALUES (1, 'a', 1, 1)" for n in range(tables)))
            for what in ("check()", "tables", "timeline()") if who != "untagged" else ():
                bench.record(what, ours, number, 1000 * session.seconds(f"SELECT count(*) FROM soft_delete.{what}"), "ms")
