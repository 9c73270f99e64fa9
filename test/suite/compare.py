"""What PostgreSQL's regression tests print beside soft_delete, or on tagged tables,
against what they print without.

    compare.py MAJOR beside EXPECTED RESULTS [RESULTS WITHOUT THE LIBRARY]
    compare.py MAJOR tagged RESULTS WITH A MERE COLUMN RESULTS TEST...

filter() takes out the tombstone column's fellows.  What differs still must be in
explained/KIND/TEST.diff, hunk by hunk and in that order, each after a line
"@@ MAJORS: REASON".  A hunk of major "18?" may be there or not.  Reports TAP; exits with
3 if anything else differs.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent

# What tag() says to who creates or alters a table, and what the server says of the
# tombstone column, which the mere column does not provoke
MESSAGES = re.compile(
    r'WARNING:  foreign key "\S+" lets a delete from table "\S+" overwrite what rows of table "\S+" refer to'
    r"|DETAIL:  Restoring the deleted row does not bring that back\.$"
    r'|NOTICE:  merging (multiple inherited definitions of )?column "deleted_at"')
# Catalog rows and lines of \d that show tag()'s own objects
OBJECTS = re.compile(r"~soft_delete|\bRI_SoftDelete_|\bsoft_delete[._]|\w_(deleted|active)\b|_deleted_at_idx\"? ")
LIVE = r"\((?:\w+\.)?deleted_at IS NULL\)"
PLAN = re.compile(r"QUERY PLAN|explain_\w+$")


def unwrap(match):
    """A condition without the live filter, in parentheses only where it needs them."""
    name, condition = match.groups()
    condition = re.sub(rf"{LIVE} AND | AND {LIVE}", "", condition)
    if is_wrapped(condition) or re.fullmatch(r"\(\w+\)", condition):
        condition = condition[1:-1]
    return name + condition


def is_wrapped(condition):
    """Is it in two pairs of parentheses, one around the other?"""
    condition = re.sub(r"'[^']*'", lambda literal: "_" * len(literal[0]), condition)
    depth = 0
    for i, c in enumerate(condition):
        depth += (c == "(") - (c == ")")
        if condition[:2] != "((" or i > 1 and depth < 2:
            return i == len(condition) - 2
    return False


def filter_plan(lines):
    """Plans without the live filter, the tag's triggers, and what reading the table
    for the former makes of index-only scans."""
    result = []
    was_filter = False
    for line in lines:
        # the number of rows that it alone removes goes with it
        if was_filter and re.match(r"\s*Rows Removed by Filter: ", line) or re.match(r"\s*Trigger ~soft_delete", line):
            continue
        was_filter = bool(re.match(rf"\s*Filter: {LIVE}$", line))
        if was_filter:
            continue
        line = re.sub(r"^(\s*(?:Filter|Recheck Cond): )(.*deleted_at IS NULL.*)$", unwrap, line)
        result.append(line.replace("Index Only Scan", "Index Scan"))
    return result


def filter_rows(lines):
    return [line for line in lines if not OBJECTS.search(line)]


def filter_table(lines):
    """A table that psql has printed, without the rows that show objects of the tag."""
    head, body, foot = lines[:2], lines[2:-1], lines[-1]
    is_plan = PLAN.match(head[0].strip())
    rows = body if is_plan else filter_rows(body)
    count = re.match(r"\((\d+) rows?\)", foot)
    if count:
        foot = "" if is_plan else f"({int(count[1]) - len(body) + len(rows)} rows)"
    return head + rows + [foot]


def filter_sections(lines):
    """What \\d says below a table, without the tag's indexes, triggers and stand-ins."""
    result = []
    for line in lines:
        if re.match(r' {4}"', line):
            if OBJECTS.search(line) or line.endswith(" CHECK (true)"):
                continue
            line = re.sub(r" UNIQUE, (btree \(.*\)) WHERE deleted_at IS NULL$", r" UNIQUE CONSTRAINT, \1", line)
            line = re.sub(r" WHERE deleted_at IS NULL$", "", line)
        elif result and result[-1] in ("Indexes:", "Triggers:", "Check constraints:"):
            result.pop()
        result.append(line)
    return result


def filter(text):
    """Return the lines of a test's output without what goes with a tombstone column."""
    result = []
    lines = filter_plan(line.rstrip() for line in text.splitlines() if not MESSAGES.match(line))
    i = 0
    while i < len(lines):
        if re.match(r"-[-+]+$", lines[i]) and result and result[-1].startswith(" "):
            # a plan may have empty lines; what \\d prints has no count
            end = next((n for n in range(i, len(lines)) if re.match(r"\(\d+ rows?\)$", lines[n])
                        or not lines[n] and not PLAN.match(result[-1].strip())), i)
            result[-1:] = filter_table([result[-1]] + lines[i:end + 1])
            i = end
        else:
            result.append(lines[i])
        i += 1
    return [squeeze(line) for line in filter_sections(result)]


def squeeze(line):
    """The widths of columns follow from what is in them."""
    line = re.sub(r"(?:^|(?<=\|)) *1[6-9]\d{3} \|", " oid |", line)
    return re.sub(r"-{2,}", "--", re.sub(r"\s+", " ", line)).strip()


def hunks(old, new):
    """Return what differs, as a list of hunks without line numbers."""
    with tempfile.NamedTemporaryFile("w", errors="surrogateescape") as a, \
            tempfile.NamedTemporaryFile("w", errors="surrogateescape") as b:
        a.write("\n".join(old) + "\n")
        b.write("\n".join(new) + "\n")
        a.flush()
        b.flush()
        diff = subprocess.run(["diff", "-U0", a.name, b.name], capture_output=True, text=True, errors="surrogateescape").stdout
    return ["\n".join(hunk.splitlines()[1:]) for hunk in re.split(r"^@@", diff, flags=re.M)[1:]]


def explained(kind, test, major):
    """Return the hunks that are explained for a major, which may be one with "?"."""
    path = HERE / "explained" / kind / f"{test}.diff"
    result = []
    if path.exists():
        for hunk in re.split(r"^@@ ", path.read_text(), flags=re.M)[1:]:
            head, _, body = hunk.partition("\n")
            majors, _, reason = head.partition(": ")
            assert reason, f"{path}: a hunk without a reason: {head}"
            if major in majors.split():
                result.append(body.rstrip("\n"))
    return result


class Report:
    def __init__(self, kind, major):
        self.kind, self.major, self.n, self.failed = kind, major, 0, False

    def compare(self, test, candidates, result, filter):
        """Report one test: its output is one of the candidates, but for what is explained."""
        self.n += 1
        new = filter(result.read_text(errors="surrogateescape"))
        possible = explained(self.kind, test, self.major + "?")
        found = [[h for h in hunks(filter(c.read_text(errors="surrogateescape")), new) if h not in possible]
                 for c in candidates]
        known = explained(self.kind, test, self.major)
        note = " # as explained" if known else ""
        if known in found:
            print(f"ok {self.n} - {self.kind}: {test}{note}")
            return
        self.failed = True
        print(f"not ok {self.n} - {self.kind}: {test}")
        best = min(found, key=lambda f: sum(len(h) for h in f), default=[f"no {test}.out to compare with"])
        for line in ["differs:"] + ["@@\n" + h for h in best if h not in known] + \
                ["explained, but does not differ:"] + ["@@\n" + h for h in known if h not in best]:
            print("\n".join("# " + part for part in line.splitlines()))


def main(major, kind, old, new, *rest):
    report = Report(kind, major)
    old, new = pathlib.Path(old), pathlib.Path(new)
    if kind == "beside":
        for result in sorted(new.glob("*.out")):
            candidates = [c for c in sorted(old.glob(f"{result.stem}*.out")) if re.fullmatch(result.stem + r"(_\d)?", c.stem)]
            candidates += [c for directory in rest for c in [pathlib.Path(directory) / result.name] if c.exists()]
            report.compare(result.stem, candidates, result, lambda text: [squeeze(line) for line in text.splitlines()])
    else:
        for test in rest:
            report.compare(test, [old / f"{test}.out"], new / f"{test}.out", filter)
    return 3 if report.failed else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="surrogateescape")
    sys.exit(main(*sys.argv[1:]))
