"""The lines of the table: what is compared with what, and how far apart they may be."""
from dataclasses import dataclass, replace
from math import log

from contenders import ASIDE, BY_SESSION, PLAIN_UPDATE, UNLEDGERED
from harness import BY_HAND, SOFT


@dataclass
class Line:
    """Turns of a measurement, ours and theirs, by case and contender.

    At most "most", or at least "least", is to be our figure by theirs; at most
    "more" what ours is greater by.
    """
    measurement: str
    what: str
    case: str
    theirs: str
    most: float = None
    least: float = None
    more: float = None
    ours: str = SOFT
    their_case: str = None
    brief: bool = True      # whether docs/performance.md shows it

    def target(self):
        if self.more is not None:
            return f"≤ {self.more:g} ms more"
        return "" if self.most is self.least is None else f"≤ {self.most:.3g}" if self.least is None else f"≥ {self.least:.3g}"


def bulk_lines(case, how):
    what = f"`DELETE` of {{rows}} rows, 4 secondary indexes, {how}"
    return [Line("bulk", what, case, PLAIN_UPDATE, most=0.6), Line("bulk", what, case, BY_HAND, most=1.0),
            Line("bulk", what, case, "PL/pgSQL trigger", most=0.4), Line("bulk", f"{what}, aside", case, BY_HAND, most=0.8, ours=ASIDE)]


def single_lines(case, how):
    for clients in (1, 2, 8):
        of = f"{clients} client{'s' if clients > 1 else ''}"
        yield Line("single", f"prepared single-row `DELETE`, {of}, {how}", f"{case}, {clients}", BY_HAND, least=0.92)
        yield Line("single", f"the same without the ledger, {of}", f"{case}, {clients}", BY_HAND, least=0.97, ours=UNLEDGERED, brief=False)
        yield Line("single", f"the same aside, {of}", f"{case}, {clients}", SOFT, least=1.0, ours=ASIDE)
    if case == "fast":
        yield Line("single", "its instructions, 1 client", f"{case}, 1, instructions", BY_HAND, most=1 / 0.92)
        yield Line("single", "its instructions without the ledger, 1 client", f"{case}, 1, instructions", BY_HAND, most=1 / 0.97, ours=UNLEDGERED)
        yield Line("single", "its instructions aside, 1 client", f"{case}, 1, instructions", SOFT, most=1.0, ours=ASIDE)


def with_instructions(line):
    """A line, and the one for the instructions that callgrind has counted: twice as many are half as good."""
    return [line, replace(line, what="its instructions", case=f"{line.case}, instructions", least=None, most=line.most or 1 / line.least)]


def untagged_lines(measurement, what, case, **target):
    """What a table aside costs its application: nothing."""
    return with_instructions(Line(measurement, f"{what}, aside", case, "untagged", ours=ASIDE, brief=False, **target))


def order_lines():
    for what in ("the first 10", "min and max", "a page", "dequeue"):
        for share in (0, 50, 90, 99):
            for which in ("oldest", "newest", "spread") if share else ("oldest",):
                brief = share == 99 and which == "oldest"
                for ours, how in ((SOFT, ""), (ASIDE, ", aside")):
                    line = Line("order", f"{what} by primary key, {share} % deleted, the {which}{how}",
                                f"{what}, {which}, {share} %", "hard DELETE", most=1.1, ours=ours, brief=brief)
                    yield from with_instructions(line) if which == "oldest" else [line]


def live_key_lines():
    for kind, most in (("bigint", 1.2), ("uuid v4", 1.4), ("uuid v7", 1.4), ("two columns", 1.2)):
        for what in ("INSERT", "COPY", "UPDATE"):
            yield Line("livekey", f"`{what}` of {{rows}} rows where the key, {kind}, has its live key", f"{what}, {kind}", "without",
                       most=most if what == "INSERT" else None, ours="with", brief=what == "INSERT")


def graveyard_lines():
    for query in ("unique key", "secondary key", "index-only count", "top 10 by date", "join"):
        for share in (0, 50, 90, 99):
            what = f"read by {query}, {share} % deleted"
            yield Line("graveyard", what, f"{query}, {share} %", "hard DELETE", most=1.1, brief=share == 99)
            yield Line("graveyard", f"{what}, after `REINDEX`", f"{query}, {share} %, reindexed", "live rows only", most=1.1, brief=share == 99)
            yield Line("graveyard", f"{what}, aside", f"{query}, {share} %", "hard DELETE", most=1.02, ours=ASIDE, brief=False)


def schema_lines():
    for ours, where in ((SOFT, "in place"), ("aside", "aside")):
        yield Line("schema", f"schema file of {{tables}} tables and {{keys}} foreign keys, tagged {where}", "file", "untagged", most=3, ours=ours)
        yield Line("schema", f"`CREATE TABLE` at its end, {where}", "create last", ours, most=1.2, ours=ours, their_case="create first")
        for what in ("check()", "tables", "timeline()"):
            yield Line("schema", f"`{what}` of that schema, {where}", what, None, ours=ours)


LINES = [
    *bulk_lines("fast", "not durable"),
    *bulk_lines("durable", "durable"),
    *single_lines("fast", "not durable"),
    *single_lines("durable", "durable"),
    Line("wide", "`DELETE` of {rows 20 kB} rows with 20 kB out of line", "20 kB", BY_HAND, most=1.2),
    Line("wide", "`DELETE` of {rows 1 MB} rows with 1 MB out of line", "1 MB", BY_HAND, most=1.2),
    Line("family", "`DELETE` of a parent with {rows} children by cascade", "delete", BY_HAND, most=1.1),
    Line("wide", "`DELETE` of {rows 20 kB} rows with 20 kB out of line, aside", "20 kB", "hard DELETE and INSERT", most=1.3, ours=ASIDE),
    Line("wide", "`DELETE` of {rows 1 MB} rows with 1 MB out of line, aside", "1 MB", "hard DELETE and INSERT", most=1.3, ours=ASIDE),
    Line("family", "the same aside", "delete", "hard DELETE", ours=ASIDE),
    Line("family", "restore of that family, against its `DELETE`", "restore", SOFT, their_case="delete", most=1.5),
    Line("family", "restore of that family aside", "restore", "its INSERTs", most=1.5, ours=ASIDE),
    Line("family", "purge of that family", "purge", "hard DELETE", most=3),
    Line("family", "purge of that family aside", "purge", "hard DELETE", ours=ASIDE),
    *with_instructions(Line("select", "`SELECT` by key, prepared", "prepared", BY_HAND, least=0.99)),
    *with_instructions(Line("select", "`SELECT` by key, simple protocol", "simple", BY_HAND, least=0.97)),
    Line("joins", "planning a join of 5 tables", "planning", BY_HAND, most=1.03),
    Line("joins", "planning a join of 5 tables", "planning", "untagged"),
    Line("joins", "planning a join of 5 tables, aside", "planning", "untagged", most=1.02, ours=ASIDE),
    *graveyard_lines(),
    *order_lines(),
    *live_key_lines(),
    *(Line("reload", f"`DELETE` of {{rows}} rows and `INSERT` by the same keys{where}", "reload", "untagged", most=most, ours=ours)
      for where, most, ours in (("", 2.5, SOFT), (", aside", 2, ASIDE))),
    *with_instructions(Line("bystander", "`SELECT` where nothing is tagged, prepared", "prepared", "not loaded", least=0.99)),
    *with_instructions(Line("bystander", "`SELECT` where nothing is tagged, simple protocol", "simple", "not loaded", least=0.99)),
    *(line for case, how in (("prepared", "prepared"), ("simple", "simple protocol")) for theirs in ("untagged", BY_HAND)
      for line in with_instructions(Line("tpcb", f"TPC-B-like transactions, 2 clients, {how}", case, theirs, least=0.97))),
    Line("insert", "`INSERT` of {rows} rows, primary key", "bulk, primary key", "untagged", most=1.1),
    Line("insert", "`INSERT` of {rows} rows, primary key and unique text", "bulk, primary key and unique text", "untagged", most=1.1),
    Line("insert", "`COPY` of {rows} rows, primary key and unique text", "copy", "untagged", most=1.05),
    *with_instructions(Line("insert", "prepared single-row `INSERT`", "single", "untagged", most=1.1)),
    *with_instructions(Line("upsert", "prepared single-row upsert by primary key", "by key", "untagged", most=1.1)),
    *with_instructions(Line("upsert", "prepared single-row upsert by constraint name", "by constraint", "untagged", most=1.1)),
    *(line for case in ("bulk, primary key and unique text", "copy", "single") for line in untagged_lines("insert", f"`INSERT`, {case}", case, most=1.02)),
    *(line for case in ("by key", "by constraint") for line in untagged_lines("upsert", f"prepared single-row upsert, {case}", case, most=1.02)),
    *(line for case in ("prepared", "simple") for line in untagged_lines("tpcb", f"TPC-B-like transactions, 2 clients, {case}", case, least=0.98)),
    *(line for case in ("prepared", "simple") for line in with_instructions(
        Line("select", f"`SELECT` by key, {case}, aside", case, "hard DELETE", least=0.98, ours=ASIDE, brief=False))),
    Line("children", "`INSERT` of {rows} children of 1,000 parents", "bulk, 1000 parents", "untagged"),
    Line("children", "`INSERT` of {rows} children of 100,000 parents", "bulk, 100000 parents", "untagged"),
    Line("children", "prepared single-row `INSERT` of a child", "single", "untagged"),
    Line("memory", "memory of one `DELETE` of {rows} rows, at the most", "peak", "its first quarter", most=1.1),
    Line("purge", "`purge()` of {deleted} of {rows} rows, batches of {batch}", "purge", "batched DELETE", most=1 / 0.9),
    Line("purge", "its last batches", "batches", "the first ones", most=1.1),
    Line("purge", "`purge()` of {deleted} rows of a month of a companion, 1,000 in each deletion", "month", "rows aside", most=0.5),
    Line("purge", "point reads and writes beside a purge that pauses", "beside", "no purge", least=0.9),
    Line("lock", "lock of the `tag()` that `plan()` has prepared, {rows} rows", "tag", None),
    *(line for ours, where in ((SOFT, ""), (ASIDE, ", aside")) for line in (
        Line("adopt", f"a bridge for {{rows}} rows, {{deleted}} of them deleted before, by what `plan()` prints{where}", "adopt", None, ours=ours),
        Line("adopt", f"reads and writes beside it{where}", f"beside{where}", "before it", least=0.9, ours=ours),
        Line("adopt", f"the longest of these transactions{where}", f"wait{where}", "before it", more=100, ours=ours))),
    *(Line("growth", f"`DELETE` of a row of {rows:,}", str(rows), SOFT, most=log(rows) / log(1e6), their_case="1000000") for rows in (10_000_000, 50_000_000)),
    *(Line("growth", f"`DELETE` of a row of {rows:,}", str(rows), BY_HAND) for rows in (1_000_000, 10_000_000, 50_000_000)),
    Line("thousand", "connect and first query, {rows} tagged tables, library in the server", "connect and query", "untagged", more=1),
    Line("thousand", "the same, library loaded by each session", "connect and query", "untagged", more=1, ours=BY_SESSION),
    Line("thousand", "the same, library loaded by each session", "connect and query", "auto_explain", ours=BY_SESSION),
    *(Line("thousand", f"`{command}` of another table, {{rows}} tagged tables", command, "untagged", more=0.2)
      for command in ("CREATE TABLE", "ALTER TABLE", "CREATE INDEX", "DROP TABLE")),
    Line("thousand", "`tag()`, {rows} tagged tables", "tag", "no other tagged table"),
    Line("thousand", "`purge()` of {rows} tables with a row each", "purge of a row each", None),
    Line("thousand", "`purge()` of {rows} tables with nothing due", "purge of nothing", None),
    *schema_lines(),
]
