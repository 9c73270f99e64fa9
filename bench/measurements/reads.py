"""What reading costs, and whether it notices what is deleted."""
from contenders import ASIDE, CONTENDERS, TAG, TAG_ASIDE, make_databases
from harness import APPLICATION, BY_HAND, SOFT, Script, connect, turns

LIVE_ONLY = "live rows only"
HARD = "hard DELETE"
TAGS = {SOFT: TAG, ASIDE: TAG_ASIDE}


def select(bench):
    """SELECT by primary key."""
    rows = bench.rows(500_000)
    bench.state(rows=rows)
    make_databases(bench)
    contenders = [c for c in CONTENDERS if c.name in (HARD, BY_HAND, "view, INSTEAD OF", "row security", SOFT, ASIDE)]
    for contender in contenders:
        with connect(contender.database) as session:
            contender.make(session, rows)
    for protocol in ("prepared", "simple"):
        scripts = {c.name: Script(c.database, f"\\set i random(1, {rows})\n{c.sql(c.read)};\n", protocol) for c in contenders}
        for number, who in turns(bench.rounds(15), scripts):
            bench.record(protocol, who, number, scripts[who].timed_rate(0.5), "/s")
        bench.count(protocol, scripts, 2000)


def joins(bench):
    """Planning a join of five tables."""
    explains = bench.rows(300)
    bench.database("soft")
    bench.database("hand", extension=False)
    tables = {SOFT: ("soft", "", ""), ASIDE: ("soft", "a", ""), BY_HAND: ("hand", "h", ", deleted_at timestamptz"), "untagged": ("hand", "u", "")}
    queries = {}
    for who, (database, prefix, column) in tables.items():
        names = [f"{prefix}t{i}" for i in range(1, 6)]
        live = " WHERE deleted_at IS NULL" if column else ""
        with connect(database) as session:
            for name, parent in zip(names, [None] + names):
                session.load(name, f"id integer PRIMARY KEY, parent_id integer{f' REFERENCES {parent}' if parent else ''}, kind integer{column}",
                             "SELECT g, g, g % 100 FROM generate_series(1, 10000) g",
                             f"CREATE INDEX ON {name} (parent_id){live}", f"CREATE INDEX ON {name} (kind){live}")
                if column:
                    session.run(f"CREATE INDEX ON {name} (deleted_at) WHERE deleted_at IS NOT NULL")
            for name in names if who in TAGS else ():
                session.run(TAGS[who].replace("{t}", name))
            session.settle(*names)
        joined = names[0] + "".join(f" JOIN {name} ON {name}.parent_id = {parent}.id" for parent, name in zip(names, names[1:]))
        filters = "".join(f" AND {name}.deleted_at IS NULL" for name in names) if column else ""
        queries[who] = f"EXPLAIN (SUMMARY) SELECT {names[4]}.id FROM {joined} WHERE {names[0]}.kind = 42{filters}"
    with connect("soft", APPLICATION) as soft, connect("hand", APPLICATION) as hand:
        for number, who in turns(bench.rounds(21), tables):
            session = soft if who in TAGS else hand
            total = 0.0
            for _ in range(explains):
                session.run(queries[who])
                total += next(float(line.split()[2]) for (line,) in session.cursor.fetchall() if line.startswith("Planning Time"))
            bench.record("planning", who, number, total / explains, "ms")


QUERIES = {
    "unique key": "\\set i {step} * random(1, {live})\nSELECT filler FROM items WHERE email = 'user' || :i;\n",
    "secondary key": "\\set k random(0, {kinds} - 1)\nSELECT filler FROM items WHERE kind = :k;\n",
    "index-only count": "\\set i {step} * random(1, {live} - {counted})\nSELECT count(*) FROM items WHERE n >= :i AND n < :i + {step} * {counted};\n",
    "top 10 by date": "SELECT id, filler FROM items ORDER BY created_at DESC LIMIT 10;\n",
    "join": "\\set k random(0, {kinds} - 1)\nSELECT sum(amount) FROM items JOIN lines ON item_id = items.id WHERE kind = :k;\n",
}


def load_graveyard(session, who, live, kinds, step):
    """Makes tables of which one row of so many is live; for a table that never had others, of those alone."""
    stored = "generate_series({0}, {1}, {0}) g".format(step if who == LIVE_ONLY else 1, live * step)
    session.load("items", "id integer PRIMARY KEY, email text UNIQUE, kind integer, n integer, created_at timestamptz, filler text",
                 f"SELECT g, 'user' || g, g / {step} * 7919::bigint % {kinds}, g, timestamptz '2026-01-01' + g * interval '1 s', "
                 f"repeat('x', 60) FROM {stored}",
                 *(f"CREATE INDEX ON items ({column})" for column in ("kind", "n", "created_at")))
    session.load("lines", "id integer PRIMARY KEY, item_id integer, amount integer",
                 f"SELECT 2 * g + i, g, i FROM {stored}, generate_series(0, 1) i", "CREATE INDEX ON lines (item_id)")
    if who in TAGS:
        session.run(*(TAGS[who].replace("{t}", table) for table in ("items", "lines")))
    session.run(f"DELETE FROM items WHERE id % {step} <> 0", f"DELETE FROM lines WHERE item_id % {step} <> 0")
    assert session.value("SELECT count(*) FROM items JOIN lines ON item_id = items.id") == 2 * live
    session.settle("items", "lines")


def graveyard(bench):
    """Reads of a table by how many of its rows are deleted.

    First beside the same table after hard deletes: in both, the pages of
    indexes that deletes have left half empty stay so.  Then, indexes made anew,
    beside a table that never had other rows than the live ones.
    """
    live = bench.rows(10_000)
    kinds = live // 10
    bench.state(rows=live)
    databases = {SOFT: bench.database("soft"), ASIDE: bench.database("aside"), HARD: bench.database("hard", extension=False),
                 LIVE_ONLY: bench.database("plain", extension=False)}
    for share, step in ((0, 1), (50, 2), (90, 10), (99, 100)):
        for who, database in databases.items():
            with connect(database) as session:
                load_graveyard(session, who, live, kinds, step)
        for theirs, case in ((HARD, "{}, {} %"), (LIVE_ONLY, "{}, {} %, reindexed")):
            for what, text in QUERIES.items():
                text = text.format(step=step, live=live, kinds=kinds, counted=min(1000, live // 2))
                scripts = {who: Script(databases[who], text) for who in (SOFT, ASIDE, theirs)}
                for number, who in turns(bench.rounds(5), scripts):
                    bench.record(case.format(what, share), who, number, 1e6 / scripts[who].timed_rate(0.3), "µs")
            for who in TAGS:
                with connect(databases[who]) as session:
                    session.run("REINDEX TABLE items", "REINDEX TABLE lines")


ORDERED = {
    "the first 10": "SELECT * FROM {table} ORDER BY id LIMIT 10;\n",
    "min and max": "SELECT min(id), max(id) FROM {table};\n",
    "a page": "\\set i random(1, {rows})\nSELECT * FROM {table} WHERE id > :i ORDER BY id LIMIT 10;\n",
    "dequeue": "DELETE FROM {table} WHERE id = (SELECT id FROM {table} ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED);\n",
}


def order(bench):
    """Reads in the order of the primary key, by how many rows are deleted, and which; in place, the key has its live key."""
    rows = bench.rows(200_000)
    bench.state(rows=rows)
    contenders = {SOFT: bench.database("soft"), ASIDE: bench.database("aside"), HARD: bench.database("hard", extension=False)}
    graves = [(which, share, of.format(rows * share // 100, rows)) for share in (0, 50, 90, 99)
              for which, of in (("oldest", "id <= {0}"), ("newest", "id > {1} - {0}"), ("spread", "id * 7919 % {1} < {0}")) if share or which == "oldest"]
    for which, share, deleted in graves:
        table = f"jobs_{which}_{share}"
        for who, database in contenders.items():
            with connect(database) as session:
                session.load(table, "id bigint PRIMARY KEY, payload text", f"SELECT g, repeat('x', 60) FROM generate_series(1, {rows}) g")
                if who in TAGS:
                    session.run(TAGS[who].replace("{t}", table))
                session.run(f"DELETE FROM {table} WHERE {deleted}")
                if who == SOFT and share:
                    session.run(f"CREATE INDEX {table}_live_key ON {table} (id) WHERE deleted_at IS NULL")
                session.settle(table)
        for what, text in ORDERED.items():
            case = f"{what}, {which}, {share} %"
            scripts = {who: Script(database, text.format(rows=rows, table=table)) for who, database in contenders.items()}
            number_of = min(rows * (100 - share) // 100 // 20, 1000) if what == "dequeue" else 2000
            for number, who in turns(bench.rounds(5), scripts):
                bench.record(case, who, number, 1e6 / scripts[who].rate(number_of), "µs")
            if which == "oldest":
                bench.count(case, scripts, 500)


def bystander(bench):
    """A database without a tagged table, with the library and without it."""
    databases = {SOFT: bench.database("loaded"), "not loaded": bench.database("plain", extension=False)}
    for database in databases.values():
        with connect(database) as session:
            session.load("plain", "id integer PRIMARY KEY, n integer", "SELECT g, 0 FROM generate_series(1, 1000) g")
            session.settle("plain")
    for protocol in ("prepared", "simple"):
        scripts = {who: Script(database, "\\set i random(1, 1000)\nSELECT n FROM plain WHERE id = :i;\n", protocol=protocol)
                   for who, database in databases.items()}
        for number, who in turns(bench.rounds(15), scripts):
            bench.record(protocol, who, number, scripts[who].timed_rate(0.5), "/s")
        bench.count(protocol, scripts, 2000)
