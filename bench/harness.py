"""What every measurement needs: databases, clocks, turns, and a file for the results.

A measurement compares contenders.  They take turns, in an order that rotates
from round to round, and every turn is a line of the measurement's data file;
medians and spreads are the business of report.py.
"""
import os
import re
import shutil
import signal
import subprocess
import time
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

import psycopg2

TMP = Path(os.environ.get("BENCH_TMP", ""))     # a report needs none
CLUSTER = TMP / "cluster"
AS_SERVER = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
APPLICATION = "app"     # the role of all statements that are an application's: it owns nothing
BY_HAND = "UPDATE"
SOFT = "soft_delete"


class Bench:
    """One run of one measurement."""

    def __init__(self, name, scale, results):
        self.name = name
        self.scale = scale
        self.path = Path(results) / "data" / f"{name}.tsv"
        self.facts = {}
        self.turns = []
        self.to_count = []
        self.databases = set()

    def rows(self, full):
        """A number of rows at full size, at this size."""
        return max(int(full * self.scale), 100)

    def rounds(self, full):
        """A number of rounds at full size, at this size."""
        return full if self.scale >= 1 else min(full, 3)

    def state(self, **facts):
        """Puts numbers that the report mentions into the data file."""
        self.facts.update(facts)

    def record(self, case, contender, number, value, unit):
        """Takes down what a turn has measured."""
        self.turns.append((case, contender, str(number), f"{value:.6g}", unit))

    def count(self, case, scripts, transactions, first=0):
        """Has the server's instructions for a transaction of each script counted in the end; :n begins with the first one."""
        self.to_count.append((case, scripts, transactions, first))

    def count_all(self):
        """Counts instructions: a figure without noise."""
        if self.to_count:
            set_durable(False)
            with CountedServer() as server:
                for case, scripts, transactions, first in self.to_count:
                    for who, script in scripts.items():
                        self.record(f"{case}, instructions", who, 0, server.instructions(script, self.rows(transactions), first), "instructions")

    def write(self, seconds):
        """Writes the data file."""
        with connect("postgres") as session:
            version = session.value("SHOW server_version").split()[0]
            huge_pages = session.value("SHOW huge_pages")
        commit = commit_of_tree()
        facts = {"postgresql": version, "commit": commit, "date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(),
                 "huge_pages": huge_pages,
                 "load": f"{os.getloadavg()[0]:.1f}", "scale": self.scale, "took": f"{seconds:.0f}", **self.facts}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "w") as file:
            for key, value in facts.items():
                print("#", key, value, sep="\t", file=file)
            print("case", "contender", "round", "value", "unit", sep="\t", file=file)
            for turn in self.turns:
                print(*turn, sep="\t", file=file)

    def database(self, name, extension=True):
        """Makes a database, with the extension or without so much as its library."""
        with connect("postgres") as session:
            session.run(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}",
                        f"DO $$ BEGIN CREATE ROLE {APPLICATION} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
            if extension:
                session.run(f"ALTER DATABASE {name} SET session_preload_libraries = 'soft_delete'")
        self.databases.add(name)
        if extension:
            with connect(name) as session:
                session.run("CREATE EXTENSION soft_delete")
        return name

    def clean_up(self):
        """Drops the databases of this measurement."""
        with connect("postgres") as session:
            for name in self.databases:
                session.run(f"DROP DATABASE {name}")


class Session:
    """A connection in autocommit mode, of the owner of all tables unless told otherwise."""

    def __init__(self, database, user="postgres"):
        self.connection = psycopg2.connect(dbname=database, user=user)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.run("SET client_min_messages = error")

    def run(self, *statements):
        for statement in statements:
            self.cursor.execute(statement)

    def value(self, query):
        self.run(query)
        return self.cursor.fetchone()[0]

    def seconds(self, *statements):
        """How long statements take."""
        start = time.perf_counter()
        self.run(*statements)
        return time.perf_counter() - start

    def load(self, table, columns, query, *indexes):
        """Makes a table of what a query gives."""
        self.run(f"DROP TABLE IF EXISTS {table} CASCADE", f"CREATE TABLE {table} ({columns})",
                 f"INSERT INTO {table} {query}", *indexes)

    def settle(self, *tables):
        """Grants what the application needs, and leaves nothing to do for later: hint bits, statistics, dirty pages."""
        self.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APPLICATION}")
        for table in tables:
            self.run(f"VACUUM (FREEZE, ANALYZE) {table}")
        self.run("CHECKPOINT")


@contextmanager
def connect(database, user="postgres"):
    session = Session(database, user)
    try:
        yield session
    finally:
        session.connection.close()


def commit_of_tree():
    """The commit that is measured, and whether anything but results has changed since."""
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=Path(__file__).parent.parent, capture_output=True, text=True).stdout.strip()

    return git("describe", "--always") + ("-dirty" if git("status", "--porcelain", "--", ".", ":!bench/results") else "")


def wal_bytes(session):
    return int(session.value("SELECT pg_current_wal_insert_lsn() - '0/0'"))


def set_durable(durable):
    """Makes commits wait for the disk, or nothing wait for it."""
    value = "on" if durable else "off"
    with connect("postgres") as session:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            session.run(f"ALTER SYSTEM SET {setting} = {value}")
        session.run("SELECT pg_reload_conf()", "CHECKPOINT")
    while True:
        with connect("postgres") as session:
            if session.value("SHOW fsync") == session.value("SHOW synchronous_commit") == value:
                return
        time.sleep(0.05)


def restart_server(library=""):
    """Starts the server anew, with a library in it or none."""
    with connect("postgres") as session:
        session.run("ALTER SYSTEM " + (f"SET shared_preload_libraries = '{library}'" if library else "RESET shared_preload_libraries"))
    pg_ctl("restart")


def pg_ctl(what):
    subprocess.run([*AS_SERVER, "pg_ctl", "-D", CLUSTER / "data", "-l", CLUSTER / "log", "-m", "fast", "-w", what],
                   check=True, stdout=subprocess.DEVNULL)


class CountedServer:
    """The server under callgrind, in a with statement; it is started anew before and after."""

    def __enter__(self):
        self.counts = CLUSTER / "counts"
        self.counts.mkdir()
        if AS_SERVER:
            shutil.chown(self.counts, "postgres")
        pg_ctl("stop")
        with open(CLUSTER / "log", "a") as log:
            self.process = subprocess.Popen([*AS_SERVER, "valgrind", "--tool=callgrind", "--trace-children=yes",
                                             f"--callgrind-out-file={self.counts}/%p", "--log-file=/dev/null", shutil.which("postgres"),
                                             "-D", CLUSTER / "data", "-c", "shared_buffers=512MB", "-c", "huge_pages=off"],
                                            stdout=log, stderr=log)
        while subprocess.run(["pg_isready", "-q"]).returncode != 0:
            if self.process.poll() is not None:
                raise SystemExit((CLUSTER / "log").read_text()[-2000:])
            time.sleep(0.1)
        return self

    def __exit__(self, *error):
        pg_ctl("stop")
        self.process.wait()
        shutil.rmtree(self.counts)
        pg_ctl("start")

    def children(self):
        postmaster = (CLUSTER / "data" / "postmaster.pid").read_text().split()[0]
        return set(subprocess.run(["pgrep", "-P", postmaster], capture_output=True, text=True).stdout.split())

    def instructions(self, script, transactions, first):
        """What the longer one of two runs takes more, by transaction; a first run leaves the others no caches to build."""
        totals = []
        for number in (1, transactions, 2 * transactions):
            before, others = set(self.counts.iterdir()), self.children()
            script.rate(number, options=("-D", f"n={first}", "--random-seed=1"))
            while self.children() - others:     # a backend leaves its count as it ends
                time.sleep(0.05)
            totals.append(max(int(re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.M)[1])
                              for path in set(self.counts.iterdir()) - before))
            first += number
        return (totals[2] - totals[1]) / transactions


def turns(rounds, contenders):
    """Yields (round, contender); who is first changes from round to round."""
    contenders = list(contenders)
    for number in range(rounds):
        shift = number % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            yield number, contender


Done = namedtuple("Done", "end wait")   # a transaction: when it ended, and how long it took, in seconds


class Script:
    """A pgbench script: what one client does, again and again."""

    def __init__(self, database, text, protocol="prepared"):
        self.database = database
        self.protocol = protocol
        self.path = TMP / f"{id(self)}.pgbench"
        self.path.write_text(text)
        self.per_turn = None

    def rate(self, transactions, clients=1, options=()):
        """Transactions per second, of so many in all; what the connection costs is left out."""
        command = ["pgbench", "-n", "-M", self.protocol, "-c", str(clients), "-j", "1", "-U", APPLICATION,
                   "-t", str(max(transactions // clients, 1)), "-f", str(self.path), *options, self.database]
        done = subprocess.run(command, capture_output=True, text=True)
        found = re.search(r"^tps = ([\d.]+)", done.stdout, re.M)
        if done.returncode != 0 or found is None:
            raise SystemExit(f"{' '.join(command)}\n{self.path.read_text()}\n{done.stderr}")
        return float(found[1])

    def timed_rate(self, seconds, clients=1, options=()):
        """The same for about so many seconds, of as many transactions in each turn."""
        if self.per_turn is None:
            self.per_turn = max(int(self.rate(200 * clients, clients, options) * seconds), 100)
        return self.rate(self.per_turn, clients, options)

    @contextmanager
    def running(self):
        """Runs one client as long as a with statement takes, which must not fail; all it has done is in the list then."""
        logs = TMP / "pgbench_logs"
        logs.mkdir()
        done = []
        command = ["pgbench", "-n", "-M", self.protocol, "-U", APPLICATION, "-T", "36000", "-l", f"--log-prefix={logs}/log",
                   "-f", str(self.path), self.database]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            yield done
        finally:
            process.send_signal(signal.SIGALRM)     # as at the end of -T
            output = process.communicate()[0]
            for log in logs.iterdir():
                for line in log.read_text().splitlines():
                    _, _, wait, _, seconds, microseconds = line.split()[:6]
                    done.append(Done(int(seconds) + int(microseconds) / 1e6, int(wait) / 1e6))
            shutil.rmtree(logs)
        if process.returncode != 0 or "number of failed transactions: 0 " not in output:
            raise SystemExit(f"{' '.join(command)}\n{output}")
