"""The twin comparison of bridges: does an application's own soft deletion do what a DELETE does?

Makes random schemas in two databases.  In one, tables are tagged, in place or aside, and some
of them have a bridge: the application deletes from them by an UPDATE of its own column.  In the
other one, the same statement is a DELETE.  Random statements run in both, and their answers
are compared: the number of rows, the rows returned, the error and its constraint.  After each
of them the tables are compared, and after a script the bins with what triggers of the other
twin have written down.  A deletion is brought back now and then, by undo(), by the bin or, in
place, by the column; in the other twin it is then rolled back.

    test/twin/run --bridges [OPTION...]     on a private cluster; see --help

Prints TAP.  What an application reads of deleted rows in place, where it asks about its column,
is not compared: the other twin has none.
"""
import argparse
import random
import sys
import time

import psycopg2

from answers import connect

# kind: type and default, the argument of tag(), what says deleted, live, and asks for live rows
BRIDGES = {
    "flag": ("boolean NOT NULL DEFAULT false", "gone", "true", "false", "NOT gone"),
    "null flag": ("boolean", "gone", "true", "NULL", "gone IS NOT TRUE"),
    "number": ("integer DEFAULT 0", "gone=flag", "7", "0", "gone = 0"),
    "seconds": ("bigint", "gone=seconds", "extract(epoch FROM now())::bigint", "NULL", "gone IS NULL"),
    "time": ("timestamptz", "gone", "now()", "NULL", "gone IS NULL"),
    "time0": ("timestamp(0)", "gone=Europe/Berlin", "now()", "NULL", "gone IS NULL"),
    "status": ("text NOT NULL DEFAULT 'new'", "gone=archived", "'archived'", "'new'", "gone <> 'archived'"),
}
ACTIONS = ["NO ACTION", "RESTRICT", "CASCADE", "CASCADE", "SET NULL"]


class Table:
    """A table: name, kind of its bridge or None, references (column, parent, action)."""

    def __init__(self, name, kind):
        self.name = name
        self.kind = kind
        self.references = []

    def flag(self):
        return BRIDGES[self.kind]


class Schema:
    """Random tables, which may reference one another."""

    def __init__(self, rng):
        self.rng = rng
        self.aside = rng.random() < 0.5
        kinds = list(BRIDGES) + [None]
        self.tables = [Table("t%d" % n, rng.choice(kinds)) for n in range(rng.randint(1, 4))]
        self.tables[0].kind = rng.choice(list(BRIDGES))
        self.partitioned = rng.random() < 0.2
        for n, table in enumerate(self.tables):
            for k in range(rng.choice([0, 1, 1, 2])):
                parent = rng.choice(self.tables[: n + 1])
                deferred = rng.choice(["", "", " DEFERRABLE INITIALLY DEFERRED"])
                table.references.append(("r%d" % k, parent, rng.choice(ACTIONS), deferred))
        self.says = rng.random() < 0.5  # have tables triggers of the application on DELETE?

    def ddl(self):
        """The application's tables."""
        commands = []
        for n, table in enumerate(self.tables):
            is_parts = self.partitioned and n == len(self.tables) - 1
            columns = ["id integer PRIMARY KEY", "k integer", "v text DEFAULT 'v'"]
            columns += ["%s integer" % r[0] for r in table.references]
            if table.kind:
                columns.append("gone " + table.flag()[0])
            if self.rng.random() < 0.3:
                columns.append("g integer GENERATED ALWAYS AS (coalesce(k, 0) * 10) STORED")
            commands.append(
                "CREATE TABLE %s (%s)%s"
                % (table.name, ", ".join(columns), " PARTITION BY RANGE (id)" if is_parts else "")
            )
            if is_parts:
                for low, high in (("MINVALUE", "6"), ("6", "MAXVALUE")):
                    commands.append(
                        "CREATE TABLE %s_%s PARTITION OF %s FOR VALUES FROM (%s) TO (%s)"
                        % (table.name, high.lower()[:2], table.name, low, high)
                    )
            elif self.rng.random() < 0.5:
                commands.append("ALTER TABLE %s ADD UNIQUE (k)" % table.name)
        commands.append("CREATE TABLE said (what text)")
        commands.append(
            "CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO said"
            " (what) VALUES (TG_TABLE_NAME || OLD.id); RETURN OLD; END $$"
        )
        for table in self.tables if self.says else []:
            when = self.rng.choice(["BEFORE", "AFTER"])
            commands.append(
                "CREATE TRIGGER say %s DELETE ON %s FOR EACH ROW EXECUTE FUNCTION say()"
                % (when, table.name)
            )
        return commands

    def tags(self):
        """What the DBA does in the tagged twin, while no foreign key connects the tables."""
        storage = "aside" if self.aside else "in_place"
        return [
            "SELECT soft_delete.tag('%s', storage => '%s', deleted_at => 'stamp'%s)"
            % (t.name, storage, ", bridge => '%s'" % t.flag()[1] if t.kind else "")
            for t in self.tables
        ]

    def foreign_keys(self):
        """The foreign keys of the tables."""
        return [
            "ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES %s ON DELETE %s%s"
            % (t.name, column, parent.name, action, deferred)
            for t in self.tables
            for column, parent, action, deferred in t.references
        ]

    def audit(self):
        """What writes down, in the other twin, which rows are deleted."""
        commands = [
            "CREATE TABLE audit (t text, row jsonb)",
            "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit"
            " VALUES (TG_ARGV[0], to_jsonb(OLD) - 'gone'); RETURN NULL; END $$",
        ]
        return commands + [
            "CREATE TRIGGER zz_audit AFTER DELETE ON %s FOR EACH ROW EXECUTE FUNCTION audit('%s')"
            % (t.name, t.name)
            for t in self.tables
        ]


class Session:
    """Random statements: pairs of what the tagged twin and the other one are told."""

    def __init__(self, rng, schema):
        self.rng = rng
        self.schema = schema

    def table(self, bridged=False):
        return self.rng.choice([t for t in self.schema.tables if t.kind or not bridged])

    def condition(self, t):
        rng = self.rng
        condition = rng.choice(
            [
                "id = %d" % rng.randint(1, 10),
                "id IN (%d, %d, %d)" % tuple(rng.randint(1, 10) for _ in range(3)),
                "k > %d" % rng.randint(0, 9),
                "k IS NULL OR id < %d" % rng.randint(1, 5),
                "id IN (SELECT k FROM %s)" % self.table().name,
                "EXISTS (SELECT FROM %s AS o WHERE o.id = t.k)" % self.table().name,
                "true",
            ]
        )
        if t.kind and rng.random() < 0.4:
            condition = "(%s) AND %s" % (condition, t.flag()[4])
        return condition

    def soft_condition(self, t, condition):
        """The condition of an UPDATE that sets the column, which in place finds deleted rows, too."""
        if self.schema.aside or t.flag()[4] in condition:
            return condition
        return "(%s) AND %s" % (condition, t.flag()[4])

    def remove(self, t):
        """A deletion, by the column or by DELETE."""
        condition = self.condition(t)
        returning = self.rng.choice(["", " RETURNING id, k, v"])
        in_cte = self.rng.random() < 0.15
        frame = "WITH d AS (%s RETURNING 1) SELECT count(*) FROM d" if in_cte else "%s" + returning
        delete = frame % ("DELETE FROM %s AS t WHERE %s" % (t.name, condition))
        if not t.kind or self.rng.random() < 0.2:
            return delete, [delete]
        extra = self.rng.choice(["", "", ", v = 'last'"])
        update = "UPDATE %s AS t SET gone = %s%s WHERE %s" % (
            t.name,
            t.flag()[2],
            extra,
            self.soft_condition(t, condition),
        )
        before = ["UPDATE %s AS t SET v = 'last' WHERE %s" % (t.name, condition)] if extra else []
        return frame % update, before + [delete]

    def merge(self, t):
        """MERGE by which the application deletes some rows, changes some and inserts some."""
        rng = self.rng
        text = (
            "MERGE INTO %s AS t USING (VALUES (%d), (%d)) AS s(id) ON t.id = s.id"
            " WHEN MATCHED AND k > 4 THEN %%s WHEN MATCHED THEN UPDATE SET v = 'merged'"
            " WHEN NOT MATCHED THEN INSERT (id, k) VALUES (s.id, %s)"
            % (t.name, *rng.sample(range(1, 11), 2), rng.choice(["NULL", "s.id"]))
        )
        # in place it would match deleted rows, too
        by_column = "UPDATE SET gone = %s" % t.flag()[2] if self.schema.aside else "DELETE"
        return text % by_column, [text % "DELETE"]

    def insert(self, t):
        rng = self.rng
        columns = ["id", "k"] + [r[0] for r in t.references]
        values = [str(rng.randint(1, 10)), rng.choice(["NULL", str(rng.randint(0, 9))])]
        values += [rng.choice(["NULL", str(rng.randint(1, 10))]) for _ in t.references]
        frame = "INSERT INTO " + t.name + " (%s) VALUES (%s)"
        text = frame % (", ".join(columns), ", ".join(values))
        form = rng.random()
        if form < 0.1 and t.kind:  # deleted when it comes
            delete = "DELETE FROM %s WHERE id = %s" % (t.name, values[0])
            columns.append("gone")
            values.append(t.flag()[2])
            return frame % (", ".join(columns), ", ".join(values)), [text, delete]
        if form < 0.3:
            text += " ON CONFLICT DO NOTHING"
        elif form < 0.5:
            text += " ON CONFLICT (id) DO UPDATE SET v = 'met', k = excluded.k"
        text += rng.choice(["", " RETURNING id, k"])
        return text, [text]

    def update(self, t):
        what = ["v = v || 'x'", "k = k + 1", "k = NULL"] + ["%s = NULL" % r[0] for r in t.references]
        condition = self.condition(t)
        if t.kind and self.rng.random() < 0.2:
            what = ["v = 'live', gone = %s" % t.flag()[3]]
            condition = self.soft_condition(t, condition)
        text = "UPDATE %s AS t SET %s WHERE %s RETURNING id, k, v"
        text = text % (t.name, self.rng.choice(what), condition)
        return text, [text]

    def select(self, t):
        condition = self.condition(t)
        text = self.rng.choice(
            [
                "SELECT id, k, v FROM %s AS t WHERE %s" % (t.name, condition),
                "SELECT count(*), max(k) FROM %s AS t WHERE %s" % (t.name, condition),
                "SELECT id, (SELECT count(*) FROM %s AS o WHERE o.k = t.id) FROM %s AS t WHERE %s"
                % (self.table().name, t.name, condition),
            ]
        )
        return text, [text]

    def statement(self):
        t = self.table()
        form = self.rng.random()
        if form < 0.3:
            return self.insert(t)
        if form < 0.55:
            return self.remove(t)
        if form < 0.65 and t.kind:
            return self.merge(t)
        if form < 0.8:
            return self.update(t)
        return self.select(t)


class Answer:
    """What a twin answers to the last of some commands: rows and their number, or an error."""

    def __init__(self, connection, *commands):
        self.error, self.rows, self.count = None, None, None
        cursor = connection.cursor()
        try:
            for command in commands:
                cursor.execute(command)
            self.count = cursor.rowcount
            if cursor.description:
                self.rows = sorted(map(repr, cursor.fetchall()))
        except psycopg2.Error as e:
            self.error = (e.pgcode, e.diag.constraint_name)

    def fails_with(self, error):
        """Have an error instead of the answer."""
        self.error, self.rows, self.count = error, None, None

    def __eq__(self, other):
        return (self.error, self.rows, self.count) == (other.error, other.rows, other.count)

    def __str__(self):
        return str(self.error or (self.count, self.rows))


class Pair:
    """The two twins, with a session each."""

    def __init__(self):
        server = connect("postgres")
        for name in ("twin_bridged", "twin_unbridged"):
            server.cursor().execute("DROP DATABASE IF EXISTS %s" % name)
            server.cursor().execute("CREATE DATABASE %s" % name)
        server.close()
        self.soft, self.hard = connect("twin_bridged"), connect("twin_unbridged")
        self.soft.cursor().execute("CREATE EXTENSION soft_delete")
        self.soft.cursor().execute("SET client_min_messages = error")
        for twin in (self.soft, self.hard):
            twin.cursor().execute("SET client_min_messages = error")
            twin.cursor().execute("CREATE SCHEMA s")
            twin.cursor().execute("SET search_path = s")

    def reset(self, schema, ddl):
        for twin in (self.soft, self.hard):
            cursor = twin.cursor()
            cursor.execute("DROP SCHEMA s CASCADE")
            cursor.execute("CREATE SCHEMA s")
            for command in ddl:
                cursor.execute(command)
        for command in schema.tags():
            self.soft.cursor().execute(command)
        for command in schema.foreign_keys():
            self.execute(command)
        for command in schema.audit():
            self.hard.cursor().execute(command)

    def execute(self, text):
        for twin in (self.soft, self.hard):
            twin.cursor().execute(text)

    def rows(self, twin, query):
        cursor = twin.cursor()
        cursor.execute(query)
        return sorted(map(repr, cursor.fetchall()))

    def difference(self, schema):
        """What differs between the tables of the twins, or None."""
        for t in schema.tables:
            query = "SELECT to_jsonb(t) - 'gone' - 'stamp' FROM %s AS t" % t.name
            soft, hard = self.rows(self.soft, query), self.rows(self.hard, query)
            if soft != hard:
                return "%s: %s, %s" % (t.name, soft, hard)
            if t.kind:
                query = "SELECT id FROM %s WHERE NOT (%s)" % (t.name, t.flag()[4])
                if schema.aside and self.rows(self.soft, query):
                    return "%s has rows that say deleted" % t.name
        query = "SELECT what, count(*) FROM said GROUP BY what"
        soft, hard = self.rows(self.soft, query), self.rows(self.hard, query)
        return None if soft == hard else "said: %s, %s" % (soft, hard)

    def lost(self, schema):
        """What differs between the bins and what triggers have written down, or None."""
        for t in schema.tables:
            strip = "- '{gone,stamp,deleted_by,actor,reason,hold,stored_in,stored_place}'::text[]"
            soft = self.rows(self.soft, "SELECT to_jsonb(b) %s FROM %s_deleted AS b" % (strip, t.name))
            hard = self.rows(self.hard, "SELECT row FROM audit WHERE t = '%s'" % t.name)
            if soft != hard:
                return "bin of %s: %s, %s" % (t.name, soft, hard)
            if t.kind and self.rows(
                self.soft, "SELECT id FROM %s_deleted AS b WHERE %s" % (t.name, t.flag()[4])
            ):
                return "bin of %s has rows that say live" % t.name
        cursor = self.soft.cursor()
        # where a check at the end of a transaction is passed by deleting, too, there was no parent
        cursor.execute(
            "SELECT problem FROM soft_delete.check() WHERE severity = 'error'"
            " AND relation::text LIKE '%t_' AND problem NOT LIKE '%cannot be restored'"
        )
        problems = [p for p, in cursor.fetchall()]
        return "check(): %s" % problems if problems else None


def bring_back(session, t, ids):
    """A statement by which the application or the DBA brings back rows that were just deleted."""
    of_rows = "id IN (%s)" % ids
    latest = "(SELECT max(stamp) FROM %s_deleted WHERE %s)" % (t.name, of_rows)
    if session.rng.random() < 0.4:
        return "SELECT soft_delete.undo(%s)" % latest
    live = "gone = %s" % t.flag()[3]
    if session.schema.aside or session.rng.random() < 0.5:
        what = session.rng.choice(["stamp = NULL", live])
        return "UPDATE %s_deleted SET %s WHERE %s AND stamp = %s" % (t.name, what, of_rows, latest)
    return "UPDATE %s SET %s WHERE %s AND NOT coalesce(%s, false)" % (t.name, live, of_rows, t.flag()[4])


def comes_back(pair, session):
    """Delete in both twins, and bring back: in the other one by ROLLBACK.

    Returns what differs or None, and the script.
    """
    t = session.table(bridged=True)
    condition = session.condition(t)
    delete = "DELETE FROM %s AS t WHERE %s RETURNING id" % (t.name, condition)
    update = "UPDATE %s AS t SET gone = %s WHERE %s RETURNING id"
    update = update % (t.name, t.flag()[2], session.soft_condition(t, condition))
    soft = Answer(pair.soft, update)
    # what is checked at the end of a transaction may refuse it, too
    hard = Answer(pair.hard, "BEGIN", delete)
    checked = Answer(pair.hard, "SET CONSTRAINTS ALL IMMEDIATE")
    pair.hard.cursor().execute("ROLLBACK")
    if hard.error is None and checked.error is not None:
        hard.fails_with(checked.error)
    script = ["%s;" % update, "-- the other twin: %s, and ROLLBACK" % delete]
    if soft != hard:
        return "%s, %s" % (soft, hard), script
    if soft.error or not soft.rows:
        return None, script
    back = bring_back(session, t, ", ".join(row.strip("(),") for row in soft.rows))
    script.append(back + ";")
    restored = Answer(pair.soft, back)
    # what triggers have said of it was not rolled back
    pair.execute("DELETE FROM said")
    return ("%s, and it should come back" % restored if restored.error else None), script


def tell(pair, session, in_block):
    """Tell both twins a random statement.  Returns what differs or None, and the script."""
    soft, hard = session.statement()
    if in_block:
        pair.execute("SAVEPOINT x")
    else:
        pair.hard.cursor().execute("BEGIN")
    answers = Answer(pair.soft, soft), Answer(pair.hard, *hard)
    if in_block:
        for twin, answer in zip((pair.soft, pair.hard), answers):
            if answer.error:
                twin.cursor().execute("ROLLBACK TO x")
    else:
        end = Answer(pair.hard, "COMMIT")
        if end.error:
            answers[1].fails_with(end.error)
    script = [soft + ";"] + ["-- the other twin: " + "; ".join(hard)] * (hard != [soft])
    return (None if answers[0] == answers[1] else "%s, %s" % answers), script


def run_seed(pair, seed, length):
    """Compare one seed; returns how many statements ran, and the script if they differ."""
    rng = random.Random(seed)
    schema = Schema(rng)
    session = Session(rng, schema)
    ddl = schema.ddl()
    script = ["-- seed %d" % seed]
    script += [command + ";" for command in ddl + schema.tags() + schema.foreign_keys()]
    pair.reset(schema, ddl)
    in_block = False
    n = 0
    while n < length or in_block:
        n += 1
        form = rng.random()
        if form < (0.25 if in_block else 0.1):
            command = rng.choice(["COMMIT", "ROLLBACK"]) if in_block else "BEGIN"
            answers = Answer(pair.soft, command), Answer(pair.hard, command)
            said = None if answers[0] == answers[1] else "%s, %s" % answers
            in_block = not in_block
            more = [command + ";"]
        elif form < 0.2 and not in_block:
            said, more = comes_back(pair, session)
        else:
            said, more = tell(pair, session, in_block)
        script += more
        said = said or pair.difference(schema)
        if not said and n >= length and not in_block:
            said = pair.lost(schema)
        if said:
            script.append("-- differs: " + said)
            pair.execute("ROLLBACK")
            return n, script
    return n, None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--statements", type=int, default=10**9, help="stop after that many")
    parser.add_argument("--seconds", type=float, default=10**9, help="stop after that time")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=10**9, help="how many seeds")
    parser.add_argument("--length", type=int, default=40, help="statements of a script")
    options = parser.parse_args()
    began = time.monotonic()
    pair = Pair()
    done = 0
    failed = 0
    seed = options.seed
    while (
        done < options.statements
        and time.monotonic() - began < options.seconds
        and seed < options.seed + options.count
        and failed < 5
    ):
        n, script = run_seed(pair, seed, options.length)
        done += n
        if script:
            failed += 1
            print("\n".join(script), flush=True)
        seed += 1
    print("%s 1 - bridges: %d statements of %d scripts answered alike" % ("not ok" if failed else "ok", done, seed - options.seed))
    print("1..1")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
