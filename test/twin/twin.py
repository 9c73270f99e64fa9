"""The twin comparison: does an application see that its DELETE is soft?

Makes random schemas in two databases, tags tables in one, lets random sessions
run in both, and compares answer by answer.  A difference is shrunk to a small
script and printed.

    test/twin/run [OPTION...]       on a private cluster; see --help

Prints TAP.  Files: schema.py and session.py generate, limits.py says what they
leave out, answers.py runs and compares, shrink.py makes small, breaks.py breaks
the tagged twin to see that it is noticed.
"""
import argparse
import multiprocessing
import os
import random
import re
import sys
import time

import limits
from answers import CRASHED, Comparison, Twin, connect, left_out, signature
from breaks import BREAKS
from schema import GUEST, OWNER, Schema
from session import Session, Statement
from shrink import shrink


class Pair:
    """The two twins."""

    def __init__(self, suffix, broken=None):
        server = connect("postgres")
        cursor = server.cursor()
        self.version = server.server_version // 10000
        for name in ("plain", "tagged"):
            cursor.execute("DROP DATABASE IF EXISTS twin_%s_%s" % (name, suffix))
            cursor.execute("CREATE DATABASE twin_%s_%s" % (name, suffix))
        server.close()
        self.plain = Twin("twin_plain_%s" % suffix, False)
        self.tagged = Twin("twin_tagged_%s" % suffix, True)
        self.break_it(broken)
        extension = self.tagged.connect()
        extension.cursor().execute("CREATE EXTENSION soft_delete")
        extension.close()

    def break_it(self, name):
        """Break the tagged twin, or mend it (None)."""
        self.tagged.adjust, self.tagged.session_settings = BREAKS[name] if name else ([], [])

    def compare(self, ddl, statements):
        """Run a script in both.

        Returns the first difference (index, plain, tagged) or None, and counts.
        """
        self.without = set()  # see left_out()
        # where deleted rows are aside, nothing is left out that only in place needs
        aside = any(s.role == "dba" and "'aside'" in s.sql for s in statements)
        self.plain.hides_column = self.tagged.hides_column = not aside
        self.refused = self.plain.reset(ddl)
        self.tagged.reset(ddl)
        plain = self.plain.play(statements)
        tagged = self.tagged.play(statements)
        while True:
            comparison = self.comparison = Comparison(aside)
            difference = comparison.first_difference(statements, plain, tagged)
            more = (
                left_out(statements, difference[0], plain, tagged, aside) - self.without
                if difference
                else None
            )
            if not more:
                break
            self.without |= more
            self.plain.reset(ddl)
            plain = self.plain.play(statements, without=self.without)
        self.plain.close()
        self.tagged.close()
        if difference is not None and CRASHED in signature(*difference[1:])[1]:
            time.sleep(1)  # until the server has noticed
        return difference, plain, comparison.either


def generate(seed, length, version, tables=None):
    """The schema and the session of a seed."""
    rng = random.Random(seed)
    schema = Schema(rng, version, tables)
    ddl = schema.ddl()
    statements = Session(rng, schema).script(length)
    return ddl, statements


# Other plans than the server would choose for such small tables
PLANS = [
    [],
    ["SET enable_seqscan = off"],
    ["SET enable_seqscan = off", "SET enable_bitmapscan = off"],
    ["SET enable_hashjoin = off", "SET enable_mergejoin = off", "SET enable_indexscan = off"],
    ["SET enable_hashjoin = off", "SET enable_nestloop = off"],
]


# Other orders of the rows in the heap, and whether they seem to be many
ORDERS = [
    (many, order)
    for many in ("false", "true")
    for order in (
        "ctid DESC",
        "to_jsonb(t)::text",
        "to_jsonb(t)::text DESC",
        *("md5(to_jsonb(t)::text || %d)" % shuffle for shuffle in range(8)),
    )
]


def quiet_point(statements, index):
    """The last statement up to this one that is in no transaction."""
    busy, quiet = set(), 0
    for i, statement in enumerate(statements[: index + 1]):
        if i > 0 and statement.form != "two_sessions" == statements[i - 1].form:
            busy.clear()  # see Twin.play()
        if not busy:
            quiet = i
        if statement.sql.startswith("BEGIN"):
            busy.add(statement.session)
        elif statement.sql in ("COMMIT", "ROLLBACK"):
            busy.discard(statement.session)
    return quiet


def watched(statements, look):
    """The statements, with a look at a whole table after each."""
    for statement in statements:
        yield statement
        if statement.form != "two_sessions":
            yield Statement(look, session=statement.session)


def is_matter_of_order(pair, ddl, statements, difference, orders=ORDERS):
    """Does the plain twin answer as the tagged one too, with its rows in another order?"""
    look = statements[difference[0]].sql
    if re.fullmatch(
        r"SELECT \* FROM (t\d+|audit|counters)", look
    ):  # which are there from the start
        # what differs was written long before, perhaps
        longer, without = list(watched(statements[: difference[0] + 1], look)), pair.without
        earlier = pair.compare(ddl, longer)[0]
        if earlier:
            statements, difference = longer, earlier
        else:
            pair.without = without
    index, _, tagged = difference
    if tagged is None or tagged.error and tagged.error["code"] == CRASHED:
        return False
    try:
        # what an answer shows may have been done by the statements before
        quiet = sorted(
            {quiet_point(statements, index - back) for back in range(min(index + 1, 20))}
        )[:-5:-1]
        for plan, reorder in [
            (plan, reorder) for plan in PLANS for reorder in ((quiet[0], ORDERS[0]), (None, None))
        ] + [([], (point, order)) for point in quiet for order in orders]:
            pair.plain.session_settings = plan
            pair.plain.reset(ddl)
            if Comparison(pair.comparison.aside).same(
                pair.plain.play(statements[: index + 1], reorder, pair.without)[index], tagged
            ):
                return True
    finally:
        pair.plain.session_settings = []
        pair.plain.close()
    return False


def run_seed(pair, seed, length, tables=None, orders=ORDERS):
    """Compare one seed; returns what the summary needs."""
    began = time.monotonic()
    ddl, statements = generate(seed, length, pair.version, tables)
    difference, answers, either = pair.compare(ddl, statements)
    if difference is not None and is_matter_of_order(
        pair, ddl, statements, difference, orders
    ):
        answers, difference, either = answers[: difference[0]], None, either + 1
    asked = [a for a, s in zip(answers, statements) if a is not None]
    return {
        "seed": seed,
        "difference": difference,
        "statements": len(asked),
        "errors": sum(1 for a in asked if a.error),
        "either": either,
        "refused": len(pair.refused),
        "seconds": time.monotonic() - began,
    }


def shrink_seed(pair, seed, length, difference, tables=None, carefully=True):
    """Shrink a failing seed; returns DDL, statements and the difference that is left.

    Carefully: not into a matter of order.
    """
    ddl, statements = generate(seed, length, pair.version, tables)
    wanted = signature(*difference[1:])
    tags = sum(s.role == "dba" for s in statements)
    last = [None]

    def fails(ddl, statements):
        # what is not tagged does not come back, and that is another matter
        if (
            wanted[0] != wanted[1]
            and difference[1]
            and difference[1].text
            and sum(s.role == "dba" for s in statements) < tags
        ):
            return False
        found = pair.compare(ddl, statements)[0]
        if (
            found is not None
            and signature(*found[1:]) == wanted
            and not (carefully and is_matter_of_order(pair, ddl, statements, found))
        ):
            last[0] = found
            return True
        return False

    # what lets a waiting statement go on comes after it
    if not fails(ddl, statements[: difference[0] + 1]):
        if not fails(ddl, statements):
            return ddl, statements, None
    else:
        statements = statements[: difference[0] + 1]
    statements = shrink(statements, lambda part: fails(ddl, part))
    ddl = shrink(ddl, lambda part: fails(part, statements))
    statements = shrink(statements, lambda part: fails(ddl, part))
    fails(ddl, statements)
    return ddl, statements, last[0]


def print_script(seed, ddl, statements, difference, out=sys.stdout):
    """A script for psql that shows the difference."""
    print("-- seed %d" % seed, file=out)
    print(
        "SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS soft_delete;", file=out
    )
    for command in ddl:
        print(command + ";", file=out)
    for i, statement in enumerate(statements):
        print(statement.script(), file=out)
        if difference is not None and i == difference[0]:
            print(
                "-- the plain twin:  %s" % (difference[1].said() if difference[1] else "no answer"),
                file=out,
            )
            print(
                "-- the tagged twin: %s" % (difference[2].said() if difference[2] else "no answer"),
                file=out,
            )
    out.flush()


# -- jobs ---------------------------------------------------------------------


def start_worker(options):
    global worker, worker_options
    worker_options = options
    limits.lifted.update(options.lift)
    worker = Pair(str(os.getpid()), options.breaks)


def work(seed):
    try:
        result = run_seed(worker, seed, worker_options.length)
        # how long a session waits, and for whom, is also a matter of the machine's load
        if (
            result["difference"] is not None
            and run_seed(worker, seed, worker_options.length)["difference"] is None
        ):
            result["once"], result["difference"] = result["difference"], None
        return result
    except Exception as e:  # say which seed it was
        raise RuntimeError("seed %d: %r" % (seed, e)) from e


def make_roles():
    server = connect("postgres")
    cursor = server.cursor()
    for role in (OWNER, GUEST):
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
        if cursor.fetchone() is None:
            cursor.execute("CREATE ROLE %s" % role)
    cursor.execute("GRANT %s TO %s" % (GUEST, OWNER))
    server.close()


def compare_many(options):
    """Run seeds until there are enough statements, or no time is left.

    Returns totals and failing results.
    """
    began = time.monotonic()
    total = {"statements": 0, "errors": 0, "either": 0, "scripts": 0, "refused": 0, "once": 0}
    failures = []
    last_said = began
    if options.jobs == 1:
        start_worker(options)
        results = map(work, range(options.seed, sys.maxsize))
        pool = None
    else:
        pool = multiprocessing.Pool(options.jobs, start_worker, (options,))
        results = pool.imap_unordered(work, iter(range(options.seed, options.seed + 10**6)))
    for result in results:
        total["scripts"] += 1
        for name in ("statements", "errors", "either", "refused"):
            total[name] += result[name]
        if "once" in result:
            total["once"] += 1
            print(
                "# seed %d differed at statement %d, and not when run again: %s, %s"
                % (
                    result["seed"],
                    result["once"][0],
                    *(answer and answer.said() for answer in result["once"][1:]),
                ),
                flush=True,
            )
        if result["difference"] is not None:
            failures.append(result)
            print(
                "# seed %d differs at statement %d: %s"
                % (
                    result["seed"],
                    result["difference"][0],
                    ", ".join(
                        answer.said() if answer else "no answer"
                        for answer in result["difference"][1:]
                    ),
                ),
                flush=True,
            )
        now = time.monotonic()
        if options.seconds > 60 and now - last_said > 60:
            print(
                "# %d statements, %d a second, %d differences"
                % (total["statements"], total["statements"] / (now - began), len(failures)),
                flush=True,
            )
            last_said = now
        if (
            len(failures) >= options.failures
            or total["statements"] >= options.statements
            or now - began >= options.seconds
            or options.count
            and total["scripts"] >= options.count
        ):
            break
    if pool:
        pool.terminate()
    total["seconds"] = time.monotonic() - began
    return total, failures


def check_limits(number):
    """Every limit is in docs, in the same words."""
    docs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")
    pages = [open(os.path.join(docs, page)).read() for page in ("limits.md", "behaviour.md")]
    words = " ".join(" ".join(pages).split())
    unknown = [name for name, sentence in limits.LIMITS.items() if sentence not in words]
    print(
        "%s %d - docs/limits.md lists what the comparison leaves out%s"
        % ("not ok" if unknown else "ok", number, "".join(": " + name for name in unknown)),
        flush=True,
    )
    return len(unknown)


def self_test(options, first):
    """Break the tagged twin in each way: the comparison must notice it and shrink it."""
    pair = Pair("broken")
    length, failed = 80, 0
    for number, name in enumerate(BREAKS, first):
        pair.break_it(name)
        for seed in range(options.seed, options.seed + 100):
            # what is broken differs in any order
            result = run_seed(pair, seed, length, tables=1, orders=ORDERS[:4])
            difference = result["difference"]
            if difference is not None:
                break
        ddl, statements = [], []
        if difference is not None:
            ddl, statements, difference = shrink_seed(
                pair, seed, length, difference, tables=1, carefully=False
            )
        good = difference is not None and len(statements) <= length // 4
        failed += not good
        print(
            "%s %d - a broken twin is noticed: %s (seed %d, %d statements left of %d)"
            % ("ok" if good else "not ok", number, name, seed, len(statements), length),
            flush=True,
        )
        if options.verbose or not good:
            print_script(seed, ddl, statements, difference)
    return failed


def parse_options():
    parser = argparse.ArgumentParser(
        prog="test/twin/run", description="Compares a tagged database with its hard-deleting twin."
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        help="first seed; a seed makes the same schema and session every time",
    )
    parser.add_argument("--count", type=int, default=0, help="number of seeds")
    parser.add_argument(
        "--statements", type=int, default=10**12, help="stop after so many statements"
    )
    parser.add_argument("--seconds", type=float, default=10, help="stop after so many seconds")
    parser.add_argument("--length", type=int, default=600, help="statements per seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many differences")
    parser.add_argument("--no-shrink", action="store_true", help="report differences as they are")
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="also break the tagged twin and see that it is noticed",
    )
    parser.add_argument(
        "--break", dest="breaks", choices=sorted(BREAKS), help="break the tagged twin"
    )
    parser.add_argument(
        "--lift",
        action="append",
        default=[],
        choices=sorted(limits.LIMITS),
        help="do not respect a limit",
    )
    parser.add_argument(
        "--print", action="store_true", help="print the script of the seed, and run nothing"
    )
    parser.add_argument("--verbose", action="store_true", help="print what --self-test finds")
    return parser.parse_args()


def main():
    options = parse_options()
    limits.lifted.update(options.lift)
    if options.print:
        major = int(os.environ.get("PG_MAJOR", 15))
        print_script(options.seed, *generate(options.seed, options.length, major), None)
        return 0
    make_roles()
    total, failures = compare_many(options)
    print(
        "# %(scripts)d schemas, %(statements)d statements, %(errors)d errors among the answers,"
        " %(either)d that depend on the order of rows, %(once)d that did not come again,"
        " %(refused)d commands refused" % total
    )
    print("# %d statements a second" % (total["statements"] / total["seconds"]))
    print(
        "%s 1 - the tagged twin answers as the plain one (%d statements, seeds from %d)"
        % ("not ok" if failures else "ok", total["statements"], options.seed),
        flush=True,
    )
    pair = Pair("shrink", options.breaks) if failures and not options.no_shrink else None
    for result in failures if pair else []:
        ddl, statements, difference = shrink_seed(
            pair, result["seed"], options.length, result["difference"]
        )
        if difference is None:
            print("# seed %d did not differ again; it did in" % result["seed"])
            print_script(
                result["seed"],
                [],
                [
                    generate(result["seed"], options.length, pair.version)[1][
                        result["difference"][0]
                    ]
                ],
                (0, *result["difference"][1:]),
            )
        else:
            print_script(result["seed"], ddl, statements, difference)
    failed = len(failures)
    if options.self_test:
        failed += check_limits(2) + self_test(options, 3)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
