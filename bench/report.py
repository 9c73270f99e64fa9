"""Makes the table and the charts of all data files: report.py RESULTS"""
import sys
from pathlib import Path
from statistics import median
from textwrap import wrap

import charts
from contenders import CONTENDERS, PLAIN_UPDATE
from harness import BY_HAND, SOFT
from targets import LINES


class Data:
    """The turns of one measurement, and the facts about it."""

    def __init__(self, path):
        self.facts = {}
        self.turns = {}
        self.units = {}
        for line in path.read_text().splitlines():
            fields = line.split("\t")
            if fields[0] == "#":
                self.facts[fields[1]] = fields[2]
            elif fields[0] != "case":
                case, contender, number, value, unit = fields
                self.turns.setdefault((case, contender), {})[int(number)] = float(value)
                self.units[case] = unit

    def values(self, case, contender):
        return list(self.turns.get((case, contender), {}).values())


def load(results):
    return {path.stem: Data(path) for path in sorted((results / "data").glob("*.tsv"))}


def figure(value, unit):
    """A measured value for people."""
    for bigger, factor in {"s": [("ms", 1e3)], "ms": [("µs", 1e3)], "µs": []}.get(unit, []):
        if value < 0.1:
            value, unit = value * factor, bigger
    digits = 0 if value >= 1000 else 1 if value >= 100 else 2 if value >= 10 else 3
    return f"{value:,.{digits}f} {unit}".replace(" /s", "/s")


def spread(values, form):
    return f"{form(median(values))} ({form(min(values))}–{form(max(values))})" if len(values) > 1 else form(values[0])


def markdown(header, rows):
    return ["| " + " | ".join(header) + " |", "|" + "-|" * len(header), *("| " + " | ".join(row) + " |" for row in rows)]


def judge(line, data):
    """One line of the table, or nothing if it has not been measured."""
    ours = data.turns.get((line.case, line.ours))
    theirs = data.turns.get((line.their_case or line.case, line.theirs))
    if ours is None or (line.theirs and theirs is None):
        return None
    facts = {key: f"{int(value):,}" if value.isdigit() else value for key, value in data.facts.items()}
    unit = data.units[line.case]
    row = [line.what.format(**facts), figure(median(ours.values()), unit)]
    if not line.theirs:
        return row + ["", "", "", "", ""]
    them = line.theirs if line.their_case is None else f"that of {int(line.their_case):,}" if line.their_case.isdigit() else line.their_case
    row += [them, figure(median(theirs.values()), unit)]
    pairs = [(ours[number], theirs[number]) for number in ours if number in theirs]
    if line.more is not None:
        compared = [a - b for a, b in pairs]
        met = median(compared) <= line.more
        row.append(spread(compared, lambda value: f"{value:+.2f}") + f" {unit}")
    else:
        compared = [a / b for a, b in pairs]
        # what two digits show is what is judged
        shown = round(median(compared), 2)
        met = (line.most is None or shown <= round(line.most, 2)) and (line.least is None or shown >= line.least)
        row.append(spread(compared, lambda value: f"{value:.2f}"))
    return row + [line.target(), ("yes" if met else "**no**") if line.target() else ""]


# what a reader asks first: measurement, case, what it is, and the contenders that it is compared with
GLANCE = (
    ("single", "fast, 1", "DELETE of one row", {BY_HAND: "the UPDATE by hand"}),
    ("bulk", "durable", "DELETE of 1,000,000 rows", {BY_HAND: "the UPDATE by hand", PLAIN_UPDATE: "that, with indexes as they were", "PL/pgSQL trigger": "a trigger of one's own"}),
    ("family", "delete", "DELETE of 10,000 children by CASCADE", {BY_HAND: "the UPDATEs by hand"}),
    ("select", "prepared", "SELECT by key", {BY_HAND: "the condition by hand"}),
    ("graveyard", "unique key, 99 %", "SELECT, 99 % of the rows deleted", {"hard DELETE": "after hard deletes"}),
    ("insert", "bulk, primary key and unique text", "INSERT of 300,000 rows", {"untagged": "an untagged table"}),
    ("insert", "copy", "COPY of 300,000 rows", {"untagged": "an untagged table"}),
    ("bystander", "prepared", "SELECT where nothing is tagged", {"not loaded": "without the library"}))


def ratios_at_a_glance(measured):
    """What charts.glance() draws: ratios of times, a list for each comparison."""
    for measurement, case, what, contenders in GLANCE:
        data = measured.get(measurement)
        for name, than in contenders.items():
            ours, theirs = (data.turns.get((case, who), {}) if data else {} for who in (SOFT, name))
            ratios = [theirs[n] / ours[n] if data.units[case] == "/s" else ours[n] / theirs[n] for n in ours if n in theirs]
            if ratios:
                yield what, than, ratios


def target_table(measured, brief=False):
    rows = [judge(line, measured[line.measurement]) for line in LINES if line.measurement in measured and (line.brief or not brief)]
    return markdown(["", "soft_delete", "compared with", "", "ratio", "target", "met"], [row for row in rows if row])


def contender_table(data, columns):
    """One row per contender; columns are (heading, case)."""
    names = [c.name for c in CONTENDERS] + sorted({name for _, name in data.turns} - {c.name for c in CONTENDERS})
    rows = [[name, *(spread(data.values(case, name), lambda value: figure(value, data.units[case])) for _, case in columns)]
            for name in names if all(data.values(case, name) for _, case in columns)]
    return markdown(["", *(heading for heading, _ in columns)], rows)


def conditions(measured):
    """Where and when, one line per set of measurements that share it."""
    groups = {}
    for name, data in measured.items():
        key = tuple(data.facts[fact] for fact in ("postgresql", "cores", "huge_pages", "date", "commit", "scale"))
        groups.setdefault(key, []).append(name)
    for (version, cores, huge_pages, date, commit, scale), names in groups.items():
        which = "" if len(groups) == 1 else ": " + ", ".join(names)
        yield f"PostgreSQL {version}, {cores} cores, huge pages {huge_pages}, {date}, soft_delete at {commit}, scale {scale}{which}."


SETTINGS = """`shared_buffers = 4GB`, `max_wal_size = 16GB`, `checkpoint_timeout = 1h`, `maintenance_work_mem = 1GB`, `autovacuum`, `jit` and parallel query off.
Durable: `fsync`, `synchronous_commit` and `full_page_writes` on; everything else is measured with the three off. Figures are medians of the
turns; a ratio is the median of those of each round, in which contenders take turns, with the least and the greatest."""


def report(results):
    measured = load(results)
    text = ["# Measurements", "", *(line + "  " for line in conditions(measured)), SETTINGS, "", "## Targets", "", *target_table(measured)]
    sections = {
        "bulk": ("DELETE of all rows, 4 secondary indexes", [("not durable", "fast"), ("durable", "durable"), ("WAL", "fast, WAL"),
                 ("WAL, durable", "durable, WAL"), ("table then", "fast, table"), ("indexes then", "fast, indexes")]),
        "single": ("Prepared single-row DELETE", [*((f"{n} client{'s' * (n > 1)}", f"fast, {n}") for n in (1, 2, 8)),
                   *((f"{n}, durable", f"durable, {n}") for n in (1, 2, 8)), ("WAL of one", "fast, 1, WAL"), ("instructions of one", "fast, 1, instructions")]),
        "select": ("SELECT by key", [(f"{what}{how}", f"{case}{counted}") for what, counted in (("", ""), ("instructions, ", ", instructions"))
                                     for how, case in (("prepared", "prepared"), ("simple protocol", "simple"))]),
    }
    for name, (title, columns) in sections.items():
        if name in measured:
            text += ["", f"## {title}", "", f"{int(measured[name].facts['rows']):,} rows.", "", *contender_table(measured[name], columns)]
    text += ["", "## Charts", ""]
    for name, title in charts.draw(measured, results).items():
        text += ["", f"![{title}]({name}.svg)"]
    charts.draw_glance(list(ratios_at_a_glance(measured)), results)
    (results / "results.md").write_text("\n".join(text) + "\n")
    print("\n".join(text))
    return measured


def update_page(measured):
    """Puts the table into docs/performance.md, between its marks."""
    path = Path(__file__).parent.parent / "docs" / "performance.md"
    page = path.read_text()
    begin, end = "<!-- bench/run: begin -->\n", "<!-- bench/run: end -->\n"
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    lines = [*target_table(measured, brief=True), "", *wrap(" ".join(conditions(measured)), 98)]
    path.write_text(before + begin + "\n".join(lines) + "\n" + end + after)


results = Path(sys.argv[1])
measured = report(results)
# a quick look is not for the page
if results == Path(__file__).parent / "results":
    update_page(measured)
