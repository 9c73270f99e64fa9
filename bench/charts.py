"""Charts of the measurements, readable on light and dark pages."""
from statistics import median

import matplotlib
from contenders import CONTENDERS
from harness import BY_HAND, SOFT

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

INK = "#7d8590"         # has contrast enough on white and on black
OURS = "#e8590c"
OTHERS = "#5c7cfa"
LINES = [OURS, OTHERS, "#2f9e44", "#c2255c", "#9c6ade"]
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "soft_delete", "font.family": "sans-serif", "font.size": 10, "text.color": INK, "axes.labelcolor": INK,
         "axes.edgecolor": INK, "axes.titlecolor": INK, "axes.titlesize": 10, "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": INK,
         "grid.alpha": 0.25, "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}


def save(figure, results, name):
    figure.savefig(results / f"{name}.svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def bars(axes, data, case, title, label):
    """A bar per contender, with its spread."""
    names = [c.name for c in CONTENDERS if data.values(case, c.name)][::-1]
    values = [data.values(case, name) for name in names]
    middles = [median(v) for v in values]
    errors = [[m - min(v) for m, v in zip(middles, values)], [max(v) - m for m, v in zip(middles, values)]]
    axes.barh(names, middles, xerr=errors, color=[OURS if name == SOFT else OTHERS for name in names], ecolor=INK, capsize=2)
    axes.set(title=title, xlabel=label)
    axes.grid(axis="y", visible=False)


def panels(data, results, name, title, cases, width=4):
    """Bars of several cases beside each other; cases are (case, title, label)."""
    figure, axes = pyplot.subplots(1, len(cases), sharey=True, figsize=(2 + width * len(cases) * 0.8, 3.2))
    for ax, (case, heading, label) in zip(axes, cases):
        bars(ax, data, case, heading, label)
    figure.suptitle(title, color=INK, fontsize=11)
    figure.tight_layout()
    save(figure, results, name)


def graveyard(data, results, title):
    figure, ax = pyplot.subplots(figsize=(7, 3.6))
    shares = (0, 50, 90, 99)
    queries = list(dict.fromkeys(case.split(", ")[0] for case, _ in data.turns))
    for color, query in zip(LINES, queries):
        ratios = [[a / b for a, b in zip(data.values(f"{query}, {s} %, reindexed", SOFT), data.values(f"{query}, {s} %, reindexed", "live rows only"))] for s in shares]
        middles = [median(r) for r in ratios]
        ax.errorbar([str(s) for s in shares], middles, [[m - min(r) for m, r in zip(middles, ratios)], [max(r) - m for m, r in zip(middles, ratios)]],
                    color=color, marker="o", capsize=2, label=f"by {query}" if "key" in query else query)
    ax.axhline(1.1, color=INK, linestyle="--", linewidth=1)
    ax.set(xlabel="deleted rows, % of the table", ylabel="time, by that of live rows alone", ylim=(0, None), title=title)
    ax.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    save(figure, results, "graveyard")


def growth(data, results, title):
    figure, ax = pyplot.subplots(figsize=(7, 3.2))
    for who, color, label in ((SOFT, OURS, "DELETE, soft_delete"), (BY_HAND, OTHERS, "UPDATE of the same table")):
        rows = sorted(int(case) for case, name in data.turns if name == who)
        values = [data.values(str(n), who) for n in rows]
        middles = [median(v) for v in values]
        ax.errorbar(rows, middles, [[m - min(v) for m, v in zip(middles, values)], [max(v) - m for m, v in zip(middles, values)]],
                    color=color, marker="o", capsize=2, label=label)
    ax.set(xscale="log", xlabel="rows of the table", ylabel="µs for a row", ylim=(0, None), title=title)
    ax.legend()
    save(figure, results, "growth")


def purge(data, results, title):
    figure, ax = pyplot.subplots(figsize=(7, 2.6))
    values = data.values("batch", SOFT)
    ax.plot(range(1, len(values) + 1), values, color=OURS, linewidth=1)
    ax.set(xlabel="batch", ylabel="ms", ylim=(0, None), title=f"{title}, {int(data.facts['batch']):,} rows each")
    save(figure, results, "purge")


def memory(data, results, title):
    figure, ax = pyplot.subplots(figsize=(7, 2.6))
    values = [kb / 1024 for kb in data.values("DELETE", SOFT)]
    ax.plot([n / 10 for n in range(len(values))], values, color=OURS)
    ax.set(xlabel="s", ylabel="MB", ylim=(0, None), title=f"{title} of {int(data.facts['rows']):,} rows")
    save(figure, results, "memory")


def glance(rows, results):
    """What everyday statements cost; rows are (what, compared with what, ratios of times)."""
    figure, ax = pyplot.subplots(figsize=(7, 0.5 + 0.42 * len(rows)))
    for place, (what, than, ratios) in enumerate(rows[::-1]):
        middle = median(ratios)
        ax.errorbar(middle, place, xerr=[[middle - min(ratios)], [max(ratios) - middle]], color=OURS, marker="o", capsize=2)
    ax.axvline(1, color=INK, linewidth=1)
    ax.set(yticks=range(len(rows)), yticklabels=[f"{what}\n({than})" for what, than, _ in rows[::-1]],
           xlabel="time of soft_delete by time of the other; left of 1 is faster", xlim=(0, 2))
    ax.tick_params(axis="y", labelsize=8)
    save(figure, results, "glance")


CLIENTS = ((1, "1 client"), (2, "2 clients"), (8, "8 clients"))
# name of the chart: (title, measurement, drawing)
DRAWINGS = {
    "bulk": ("DELETE of all rows, 4 secondary indexes", "bulk", lambda data, results, title: panels(data, results, "bulk", title, [
        ("fast", "not durable", "s"), ("durable", "durable", "s")])),
    "storage": ("What a DELETE of all rows writes and leaves", "bulk", lambda data, results, title: panels(data, results, "storage", title, [
        ("fast, WAL", "WAL", "MB"), ("fast, table", "table afterwards", "MB"), ("fast, indexes", "indexes afterwards", "MB")], 3)),
    "single": ("Prepared single-row DELETE, not durable", "single", lambda data, results, title: panels(data, results, "single", title, [
        (f"fast, {n}", heading, "rows/s") for n, heading in CLIENTS], 3)),
    "durable": ("Prepared single-row DELETE, durable", "single", lambda data, results, title: panels(data, results, "durable", title, [
        (f"durable, {n}", heading, "rows/s") for n, heading in CLIENTS], 3)),
    "select": ("SELECT by key, 1 client", "select", lambda data, results, title: panels(data, results, "select", title, [
        ("prepared", "prepared", "queries/s"), ("simple", "simple protocol", "queries/s")])),
    "graveyard": ("Reads of a table with deleted rows", "graveyard", graveyard),
    "growth": ("Single-row DELETE of a growing table, 1 client", "growth", growth),
    "purge": ("Time of each batch of a purge", "purge", purge),
    "memory": ("Private memory of the server during one DELETE", "memory", memory),
}


def draw(measured, results):
    """Draws what has been measured; returns names and titles."""
    drawn = {}
    with matplotlib.rc_context(STYLE):
        for name, (title, measurement, drawing) in DRAWINGS.items():
            if measurement in measured:
                drawing(measured[measurement], results, title)
                drawn[name] = title
    return drawn


def draw_glance(rows, results):
    """Draws the ratios of everyday statements."""
    with matplotlib.rc_context(STYLE):
        glance(rows, results)
