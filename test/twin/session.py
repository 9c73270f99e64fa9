"""Random sessions: statements of an application that uses a random schema.

Statements do not depend on answers, so a session can be run anywhere and any
part of it can be left out.  What they must not contain is in limits.py.
"""
from dataclasses import dataclass, field

from position import ByPosition
from schema import GUEST, KEY_POOL, KINDS, literal


@dataclass
class Statement:
    sql: str
    session: str = "a"  # a or b: two sessions of the application
    data: str = None  # what COPY ... FROM STDIN reads
    role: str = "application"  # "dba": to the tagged twin alone; "probe": see answers.py
    form: str = ""  # for the count of what was covered
    tables: list = field(default_factory=list)  # of a probe: what must come back
    first: list = field(default_factory=list)  # of a probe: what is noted before
    then: list = field(
        default_factory=list
    )  # of a probe: (what goes on, whether that is undone too)

    def script(self):
        """As a line of psql's."""
        if self.role == "sessions":
            return "\\c -reuse-previous=on \"options=-c session_preload_libraries=\""
        if self.role == "dump":
            return "\\! pg_dump -s " + " ".join("-t " + name for name in self.tables)
        line = "; ".join(self.first + [self.sql] + [sql for sql, _ in self.then]) + ";"
        if self.data is not None:
            line += "\n" + self.data + "\\."
        if self.session == "b":
            line = "/* second session */ " + line
        return line


class Session:
    """Generates statements for a schema."""

    def __init__(self, rng, schema):
        self.rng = rng
        self.schema = schema
        self.version = schema.version
        self.names = 0  # of cursors
        self.prepared = []
        self.by_position = ByPosition(self)
        self.is_parallel = (
            rng.random() < 0.08
        )  # each query starts a worker, which takes as long as ten of them

    def chance(self, p):
        return self.rng.random() < p

    def one_of(self, *forms):
        """Call one of (weight, function) and return what it does."""
        weights = [w for w, _ in forms]
        return self.rng.choices([f for _, f in forms], weights)[0]()

    def table(self):
        return self.rng.choice(self.schema.tables)

    # -- values ---------------------------------------------------------------

    def raw(self, column):
        """A value for a column, unquoted, or None."""
        rng = self.rng
        if column.nullable and self.chance(0.12):
            return None
        if column.refers:
            parent = column.refers[0].key.columns[column.refers[1]]
            if parent.source:
                return None if column.nullable and self.chance(0.3) else self.seen(parent)
            return rng.choice(self.pool(parent))
        return rng.choice(self.pool(column))

    def pool(self, column):
        if column.refers:
            return self.pool(column.refers[0].key.columns[column.refers[1]])
        return (
            KEY_POOL.get(column.kind, KINDS[column.kind][1])
            if column.in_key
            else KINDS[column.kind][1]
        )

    def seen(self, column):
        """A value that a generated key may have had."""
        return str(self.rng.randint(1, 12))

    def value(self, column):
        """A value for a column, as SQL."""
        if column.refers and column.refers[1] == 0 and self.chance(0.75):
            return self.parent_value(column, self.rng.randint(0, 3))
        if column.default and self.chance(0.08):
            return "DEFAULT"
        return literal(column.kind, self.raw(column))

    def parent_value(self, column, offset):
        reference, position = column.refers
        order = ", ".join(c.name for c in reference.key.columns)
        return "(SELECT p.%s FROM %s p WHERE p.%s IS NOT NULL ORDER BY %s LIMIT 1 OFFSET %d)" % (
            reference.key.columns[position].name,
            reference.parent.name,
            reference.key.columns[0].name,
            order,
            offset,
        )

    def row(self, columns):
        """Values for the columns, as SQL; those of a composite reference belong together."""
        values = {}
        for c in columns:
            if c.refers and c.refers[1] == 0 and len(c.refers[0].columns) > 1 and self.chance(0.8):
                offset = self.rng.randint(0, 3)
                for d in c.refers[0].columns:
                    values[d.name] = self.parent_value(d, offset)
        return [values.get(c.name) or self.value(c) for c in columns]

    def known(self, column):
        """A value to look for."""
        if column.source:
            return literal(column.kind, self.seen(column))
        if column.refers:
            parent = column.refers[0].key.columns[column.refers[1]]
            if parent.source:
                return literal(column.kind, self.seen(parent))
        return literal(column.kind, self.rng.choice(self.pool(column)))

    # -- conditions -----------------------------------------------------------

    def one_row(self, table, alias=None):
        """A condition that holds for one row at most."""
        prefix = alias + "." if alias else ""
        key = table.key()
        if not key:
            return (
                "(%stableoid, %sctid) = (SELECT i.tableoid, i.ctid FROM %s i ORDER BY %s LIMIT 1"
                " OFFSET %d)"
                % (prefix, prefix, table.name, table.names(alias="i"), self.rng.randint(0, 4))
            )
        if self.chance(0.5):
            order = table.names(key, "i")
            return "(%s) = (SELECT %s FROM %s i ORDER BY %s LIMIT 1 OFFSET %d)" % (
                table.names(key, alias),
                order,
                table.name,
                order,
                self.rng.randint(0, 4),
            )
        return " AND ".join("%s%s = %s" % (prefix, c.name, self.known(c)) for c in key)

    def condition(self, table, alias=None):
        """Any condition."""
        prefix = alias + "." if alias else ""
        outer = alias or table.name
        column = self.rng.choice([c for c in table.columns if c.kind not in ("wide",)])
        return self.one_of(
            (30, lambda: self.one_row(table, alias)),
            (14, lambda: "%sn = %d" % (prefix, self.rng.randint(0, 5))),
            (8, lambda: "%sn %s %d" % (prefix, self.rng.choice("<>"), self.rng.randint(0, 5))),
            (8, lambda: "%ss IN ('a', '%s')" % (prefix, self.rng.choice("bcde"))),
            (10, lambda: "%s%s = %s" % (prefix, column.name, self.known(column))),
            (4, lambda: "%s%s IS %sNULL" % (prefix, column.name, self.rng.choice(["", "NOT "]))),
            (10, lambda: self.by_relative(table, outer)),
            (5, lambda: "%sn IS DISTINCT FROM 2 AND coalesce(%ss, 'a') <> 'b'" % (prefix, prefix)),
            (
                4,
                lambda: "cnt_%s(%d) > %d"
                % (self.table().name, self.rng.randint(0, 5), self.rng.randint(0, 2)),
            ),
            (4, lambda: "%s IS %sNULL" % (outer, self.rng.choice(["", "NOT "]))),
            (3, lambda: "true"),
        )

    def by_relative(self, table, outer):
        """A condition on a parent or child, or one on another table."""
        word = self.rng.choice(["EXISTS", "NOT EXISTS"])
        near = [r for r in self.schema.references if table in (r.child, r.parent)]
        if not near:
            other = self.table()
            return "%s.n IN (SELECT o.n FROM %s o WHERE %s)" % (outer, other.name, "o.s <> 'c'")
        r = self.rng.choice(near)
        mine, theirs, other = (
            (r.columns, r.key.columns, r.parent)
            if r.child is table
            else (r.key.columns, r.columns, r.child)
        )
        return "%s (SELECT FROM %s o WHERE %s)" % (
            word,
            other.name,
            " AND ".join("o.%s = %s.%s" % (t.name, outer, m.name) for m, t in zip(mine, theirs)),
        )

    def where(self, table, alias=None):
        return " WHERE " + self.condition(table, alias)

    def returning(self, table, alias=None):
        if self.chance(0.5):
            return ""
        if alias is None and self.chance(0.3):
            return " RETURNING *"
        if self.version >= 18 and self.chance(0.2):
            return " RETURNING old.n, new.n, old.s, new.s"
        if self.schema.aside and self.chance(0.1):
            return " RETURNING %s.*, %s" % ((alias or table.name,) * 2)
        if self.chance(0.15):
            row = alias or table.name
            rows = [row] + ["old", "new"] * (self.version >= 18)
            return " RETURNING %s.n, %s" % (
                row,
                ", ".join("%s IS NULL, %s IS NOT NULL" % (r, r) for r in rows),
            )
        columns = self.rng.sample(table.columns, min(len(table.columns), 3))
        return " RETURNING " + table.names(columns, alias or table.name)

    def order(self, table, alias=None):
        """An order that leaves nothing open (json and arrays have one too)."""
        return " ORDER BY " + table.names(table.key() or None, alias)

    # -- DELETE ---------------------------------------------------------------

    def delete(self):
        t = self.table()
        if self.schema.aside and self.chance(0.15):
            return self.by_position.delete(t)
        return self.one_of(
            (36, lambda: self.delete_plain(t)),
            (10, lambda: self.delete_using(t)),
            (10, lambda: self.delete_view(t)),
            (14, lambda: self.delete_cte(t)),
            (10, lambda: self.delete_function(t)),
            (10, lambda: self.merge_delete(t)),
            (6, lambda: self.delete_partition(t)),
            (6, lambda: self.delete_loop(t)),
        )

    def drop_column(self, t, column):
        """Drops a column, but where the server would take it for null from then on."""
        if not self.schema.aside and any(c.virtual for c in t.columns):
            return []
        return ["ALTER TABLE %s DROP COLUMN %s" % (t.name, column)]

    def delete_plain(self, t):
        return "DELETE FROM %s%s%s" % (t.name, self.where(t), self.returning(t))

    def delete_using(self, t):
        r = self.rng.choice([r for r in self.schema.references if r.child is t] or [None])
        if r is None:
            other = self.table()
            return (
                "DELETE FROM %s d USING (SELECT DISTINCT n FROM %s WHERE n > %d) u WHERE d.n ="
                " u.n%s" % (t.name, other.name, self.rng.randint(0, 4), self.returning(t, "d"))
            )
        join = " AND ".join(
            "d.%s = u.%s" % (c.name, k.name) for c, k in zip(r.columns, r.key.columns)
        )
        return "DELETE FROM %s d USING %s u WHERE %s AND %s%s" % (
            t.name,
            r.parent.name,
            join,
            self.condition(r.parent, "u"),
            self.returning(t, "d"),
        )

    def delete_view(self, t):
        views = [v for v in t.views if v[0] in "vjr"]
        if not views:
            return self.delete_plain(t)
        if views[-1][0] == "r":
            return "DELETE FROM %s WHERE n = %d" % (views[-1], self.rng.randint(0, 5))
        return "DELETE FROM %s WHERE n = %d RETURNING n, s" % (
            self.rng.choice(views),
            self.rng.randint(0, 5),
        )

    def delete_cte(self, t):
        gone = "WITH gone AS (DELETE FROM %s%s RETURNING %s)" % (
            t.name,
            self.where(t),
            t.names(alias=t.name),
        )
        other = self.table()
        return self.one_of(
            (3, lambda: gone + " SELECT %s FROM gone" % t.names()),
            (
                2,
                lambda: gone
                + " SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM %s)" % t.name,
            ),
            (2, lambda: gone + " INSERT INTO audit SELECT 'gone', n::text, s, NULL FROM gone"),
            (
                3,
                lambda: gone
                + " INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM gone ORDER BY %s%s"
                % (
                    t.name,
                    t.names(t.writable()),
                    t.names(t.writable()),
                    t.names(),
                    self.returning(t),
                ),
            ),
            (
                2,
                lambda: (
                    gone
                    + ", also AS (DELETE FROM %s%s RETURNING n) SELECT (SELECT count(*) FROM gone),"
                    " (SELECT count(*) FROM also)" % (other.name, self.where(other))
                    if other is not t
                    else gone + " SELECT count(*) FROM gone"
                ),
            ),
            (
                2,
                lambda: (
                    gone
                    + " UPDATE %s SET %s = %s WHERE %s AND EXISTS (SELECT FROM gone)%s"
                    % (
                        (other.name,)
                        + self.assignment(other)
                        + (self.one_row(other), self.returning(other))
                    )
                    if other is not t and other.plain()
                    else gone + " SELECT n FROM gone"
                ),
            ),
        )

    def assignment(self, t):
        c = self.rng.choice(t.plain())
        return c.name, literal(c.kind, self.raw(c))

    def delete_function(self, t):
        return self.rng.choice(["SELECT del_%s(%d)", "SELECT pop_%s(%d)"]) % (
            t.name,
            self.rng.randint(0, 5),
        )

    def delete_partition(self, t):
        if t.children and self.chance(0.7):
            return "DELETE FROM %s%s" % (t.children[0], self.where(t, t.children[0]))
        if not t.partitions:
            return "DELETE FROM ONLY %s%s" % (t.name, self.where(t))
        return "DELETE FROM %s WHERE n < %d RETURNING *" % (
            self.rng.choice(t.partitions)[0],
            self.rng.randint(0, 5),
        )

    def delete_loop(self, t):
        alias = self.rng.choice(["OTHERS", "foreign_key_violation"])
        return (
            "DO $$ DECLARE r record; c integer; t integer := 0; BEGIN FOR r IN SELECT %s FROM %s"
            " WHERE n > %d%s LOOP BEGIN DELETE FROM %s WHERE %s; GET DIAGNOSTICS c = ROW_COUNT; t"
            " := t + c; EXCEPTION WHEN %s THEN RAISE NOTICE 'caught %%', SQLSTATE; END; END LOOP;"
            " RAISE NOTICE 'deleted %%', t; END $$"
            % (
                t.names(),
                t.name,
                self.rng.randint(0, 4),
                self.order(t),
                t.name,
                " AND ".join("%s = r.%s" % (c.name, c.name) for c in t.key())
                or "n = r.n AND s = r.s",
                alias,
            )
        )

    # -- INSERT ---------------------------------------------------------------

    def insert_columns(self, t):
        """Columns to give values for; generated keys mostly come by themselves."""
        columns = [
            c
            for c in t.writable()
            if not c.source or (c.source != "always" or self.chance(0.3)) and self.chance(0.1)
        ]
        if self.chance(0.25):
            columns = [c for c in columns if not (c.nullable or c.default) or self.chance(0.6)]
        return columns

    def insert(self):
        t = self.table()
        if self.schema.aside and self.chance(0.15):
            return self.by_position.insert(t)
        return self.one_of(
            (40, lambda: self.insert_values(t, 1)),
            (20, lambda: self.insert_values(t, self.rng.randint(2, 4))),
            (10, lambda: self.insert_select(t)),
            (3, lambda: "INSERT INTO %s DEFAULT VALUES RETURNING n, s" % t.name),
            (32, lambda: self.upsert(t)),
            (6, lambda: self.insert_view(t)),
            (3, lambda: self.insert_cte(t)),
        )

    def insert_values(self, t, rows, tail=None):
        if t.children and tail is None and self.chance(0.3):
            columns = self.insert_columns(t)
            return (
                "INSERT INTO %s (%s) VALUES (%s)"
                % (t.children[0], t.names(columns), ", ".join(self.row(columns)))
                if columns
                else "SELECT 1"
            )
        columns = self.insert_columns(t)
        if not columns:
            return "INSERT INTO %s DEFAULT VALUES" % t.name
        values = ", ".join("(%s)" % ", ".join(self.row(columns)) for _ in range(rows))
        overriding = (
            " OVERRIDING SYSTEM VALUE"
            if any(c.source == "always" for c in columns) and self.chance(0.7)
            else ""
        )
        return "INSERT INTO %s%s (%s)%s VALUES %s%s" % (
            t.name,
            " AS target" if tail and "target." in tail else "",
            t.names(columns),
            overriding,
            values,
            self.returning(t) if tail is None else tail,
        )

    def insert_select(self, t):
        """From another table, by columns of the same kind."""
        source = self.table()
        columns = [c for c in self.insert_columns(t)]
        picks = []
        for c in columns:
            same = [d for d in source.columns if d.kind == c.kind and not d.generated]
            picks.append(
                "i." + self.rng.choice(same).name
                if same and self.chance(0.7)
                else self.value(c).replace("DEFAULT", "NULL")
            )
        if not columns:
            return self.insert_values(t, 2)
        return "INSERT INTO %s (%s) SELECT %s FROM %s i%s ORDER BY %s LIMIT %d%s" % (
            t.name,
            t.names(columns),
            ", ".join(picks),
            source.name,
            self.where(source, "i"),
            source.names(alias="i"),
            self.rng.randint(1, 3),
            self.returning(t),
        )

    def insert_view(self, t):
        if "v_" + t.name not in t.views:
            return self.insert_values(t, 1)
        columns = self.insert_columns(t)
        return (
            "INSERT INTO v_%s (%s) VALUES (%s) RETURNING n, s"
            % (t.name, t.names(columns), ", ".join(self.row(columns)))
            if columns
            else self.insert_values(t, 1)
        )

    def insert_cte(self, t):
        return "WITH new AS (%s) SELECT count(*) FROM new" % (
            self.insert_values(t, 2, " RETURNING n")
        )

    def upsert(self, t):
        # without a target the first index decides, and a deferrable one refuses
        limited = self.schema.limited("conflict_order")
        targets = [] if limited and any(k.deferrable for k in t.keys) else [""]
        for k in t.keys:
            if k.shape in ("exclusion", "temporal") or k.deferrable:
                continue
            elements = ", ".join(k.elements)
            targets += ["(%s)%s" % (elements, " WHERE " + k.predicate if k.predicate else "")] * 3
            if k.shape != "index":
                targets += ["ON CONSTRAINT " + k.name] * 2
        for k in t.keys:
            if k.shape in ("exclusion", "temporal") and not k.deferrable:
                targets.append("ON CONSTRAINT " + k.name)
        if not targets:
            return self.insert_values(t, 1)
        target = self.rng.choice(targets)
        exclusion = any(
            k.shape in ("exclusion", "temporal") and target.endswith(k.name) for k in t.keys
        )
        plain = t.plain()
        if not target or not plain or exclusion or self.chance(0.4):
            sql = self.insert_values(
                t,
                self.rng.choice([1, 1, 2]),
                " ON CONFLICT %s DO NOTHING%s" % (target, self.returning(t)),
            )
            # without a target the order of the keys decides
            mixed = (
                not target
                and "'empty'" in sql
                and any(k.shape == "temporal" for k in t.keys)
                and limited
            )
            return self.insert_values(t, 1) if mixed else sql
        c = self.rng.choice(plain)
        if self.chance(0.2):
            c = self.rng.choice(
                [d for d in t.writable() if d is not t.partition_by and not d.source] or plain
            )
        action = self.rng.choice(
            [
                "%s = excluded.%s" % (c.name, c.name),
                "%s = %s" % (c.name, literal(c.kind, self.raw(c))),
                "%s = target.%s" % (c.name, c.name),
            ]
        )
        if c not in plain:
            return self.insert_values(
                t,
                1,
                " ON CONFLICT %s DO UPDATE SET %s RETURNING target.n, target.s" % (target, action),
            )
        condition = (
            " WHERE target.n IS DISTINCT FROM %d" % self.rng.randint(0, 5)
            if self.chance(0.25)
            else ""
        )
        return self.insert_values(
            t,
            self.rng.choice([1, 1, 1, 2]),
            " ON CONFLICT %s DO UPDATE SET %s%s RETURNING target.n, target.s"
            % (target, action, condition),
        )

    # -- UPDATE ---------------------------------------------------------------

    def update(self):
        t = self.table()
        return self.one_of(
            (40, lambda: self.update_plain(t)),
            (34, lambda: self.update_key(t)),
            (10, lambda: self.update_from(t)),
            (8, lambda: self.update_view(t)),
            (8, lambda: self.update_cte(t)),
        )

    def update_plain(self, t):
        free = [c for c in t.writable() if c not in t.unique_columns() and not c.source]
        if not free:
            return self.update_key(t)
        chosen = self.rng.sample(free, min(len(free), self.rng.choice([1, 1, 2])))
        changes = ", ".join(
            "%s = %s" % (c.name, "n + 1" if c.name == "n" and self.chance(0.2) else self.value(c))
            for c in chosen
        )
        return "UPDATE %s SET %s%s%s" % (t.name, changes, self.where(t), self.returning(t))

    def update_key(self, t, narrow=False):
        """Any columns, in one row."""
        free = [c for c in t.writable() if c.source != "always"]
        if narrow:
            if self.schema.limited("key_locks"):
                free = [c for c in free if c not in t.unique_columns()]
            if self.schema.limited("early_locks") and any(
                r.on_delete.startswith("SET") for r in t.references
            ):
                free = [c for c in free if c.nullable and not (t.checks and c.name in "ns")]
        if (
            t.tagged
            and any(r.parent is t for r in self.schema.references)
            and self.schema.limited("partition_moves")
        ):
            free = [c for c in free if c is not t.partition_by]
        if not free:
            return self.delete_plain(t)
        chosen = self.rng.sample(free, min(len(free), self.rng.choice([1, 1, 2])))
        values = [
            (
                "nullif(%s + 1, 9)" % c.name
                if c.kind == "int" and c.nullable and self.chance(0.1)
                else self.value(c)
            )
            for c in chosen
        ]
        if len(chosen) > 1 and self.chance(0.2) and "DEFAULT" not in values:
            changes = "(%s) = (SELECT %s)" % (
                t.names(chosen),
                ", ".join("%s::%s" % (v, KINDS[c.kind][0]) for c, v in zip(chosen, values)),
            )
        else:
            changes = ", ".join("%s = %s" % (c.name, v) for c, v in zip(chosen, values))
        return "UPDATE %s SET %s WHERE %s%s" % (t.name, changes, self.one_row(t), self.returning(t))

    def update_from(self, t):
        r = self.rng.choice(
            [r for r in self.schema.references if r.child is t and r.parent is not t] or [None]
        )
        free = [c for c in t.plain()]
        if r is None or not free:
            return self.update_plain(t)
        c = self.rng.choice(free)
        same = [d for d in r.parent.columns if d.kind == c.kind]
        return "UPDATE %s d SET %s = %s FROM %s%s u WHERE %s%s" % (
            t.name,
            c.name,
            "u." + self.rng.choice(same).name if same else self.value(c),
            "ONLY " * bool(r.parent.children),
            r.parent.name,
            " AND ".join(
                "d.%s = u.%s" % (a.name, b.name) for a, b in zip(r.columns, r.key.columns)
            ),
            self.returning(t, "d"),
        )

    def update_view(self, t):
        if "v_" + t.name not in t.views or not t.plain():
            return self.update_plain(t)
        c = self.rng.choice(t.plain())
        return "UPDATE v_%s SET %s = %s WHERE n = %d RETURNING n, s" % (
            t.name,
            c.name,
            self.value(c),
            self.rng.randint(0, 5),
        )

    def update_cte(self, t):
        if not t.plain():
            return self.update_plain(t)
        other = self.table()
        return (
            "WITH changed AS (UPDATE %s SET %s = %s WHERE %s RETURNING n) SELECT (SELECT count(*)"
            " FROM changed), (SELECT count(*) FROM %s)"
            % ((t.name,) + self.assignment(t) + (self.condition(t), other.name))
        )

    # -- MERGE ----------------------------------------------------------------

    def merge_delete(self, t):
        key = t.key()
        if len(key) != 1 or key[0].source:
            return self.merge_only_delete(t)
        return self.merge(t, "DELETE") if t.plain() else self.delete_plain(t)

    def merge_only_delete(self, t):
        return (
            "MERGE INTO %s t USING (SELECT %d AS k) s ON t.n = s.k WHEN MATCHED %sTHEN DELETE"
            % (t.name, self.rng.randint(0, 5), self.rng.choice(["", "AND t.s <> 'b' "]))
        )

    def merge_cte(self):
        t = self.table()
        merge = self.merge(t)
        if self.version < 17 or "RETURNING" not in merge or not merge.startswith("MERGE"):
            return merge
        return (
            "WITH merged (a, n, s) AS (%s) SELECT a, n, s, (SELECT count(*) FROM %s) FROM merged"
            % (merge, t.name)
        )

    def merge(self, t=None, first=None):
        t = t or self.table()
        key, plain = t.key(), t.plain()
        if len(key) != 1 or not plain:
            return self.merge_delete(t)
        k, c = key[0], self.rng.choice(plain)
        generated = bool(k.source)
        rows = 1 if generated else self.rng.randint(1, 4)
        pool = [self.seen(k)] if generated else self.rng.sample(self.pool(k), rows)
        cast = "%s::" + KINDS[k.kind][0]
        source = ", ".join(
            "(%s, %s::%s)"
            % (
                (
                    cast % literal(k.kind, v)
                    if not KINDS[k.kind][2]
                    else literal(k.kind, v) + "::" + KINDS[k.kind][0]
                ),
                literal(c.kind, self.raw(c)),
                KINDS[c.kind][0],
            )
            for v in pool
        )
        actions = {
            "DELETE": "DELETE",
            "UPDATE": "UPDATE SET %s = s.v" % c.name,
            "NOTHING": "DO NOTHING",
        }
        clauses = []
        order = self.rng.sample(sorted(actions), 3)
        if first:
            order = [first] + [a for a in order if a != first]
        for action in order[: self.rng.randint(1, 2)]:
            clauses.append(
                "WHEN MATCHED %sTHEN %s"
                % (self.rng.choice(["", "AND t.n > 1 ", "AND s.v IS NOT NULL "]), actions[action])
            )
        if self.version >= 17 and self.chance(0.25):
            clauses.append(
                "WHEN NOT MATCHED BY SOURCE AND t.n = %d THEN %s"
                % (self.rng.randint(0, 5), self.rng.choice(["DELETE", "DO NOTHING"]))
            )
        # see limits.SERVER and limits.ORDER
        mixes = (
            self.version >= 18
            and t.partitions
            and any("NEW TABLE" in command for command in t.triggers)
            or self.version < 16
            and any(d.generated for d in t.columns)
            and any("EACH STATEMENT" in command for command in t.triggers)
        )
        deletes = any(clause.endswith("DELETE") for clause in clauses)
        own = (
            [
                d
                for r in t.references
                if r.parent is t and r.on_delete not in ("NO ACTION", "RESTRICT")
                for d in r.columns
            ]
            if deletes
            else []
        )
        if (
            self.chance(0.7)
            and not mixes
            and all(d.nullable for d in own)
            and not (deletes and (generated or len(t.keys) > 1))
        ):
            columns = [
                d
                for d in t.writable()
                if d is not c
                and not d.source
                and d is not k
                and (not d.nullable or d.refers or self.chance(0.3))
            ]
            values = [("s.k", k)] if not generated else []
            values += [("s.v", c)] + [
                ("NULL" if d in own else v, d) for v, d in zip(self.row(columns), columns)
            ]
            clauses.insert(
                self.rng.randint(0, len(clauses)),
                "WHEN NOT MATCHED THEN INSERT (%s) VALUES (%s)"
                % (", ".join(d.name for _, d in values), ", ".join(v for v, _ in values)),
            )
        tail = (
            " RETURNING merge_action(), t.n, t.s" if self.version >= 17 and self.chance(0.5) else ""
        )
        return "MERGE INTO %s t USING (VALUES %s) s (k, v) ON t.%s = s.k %s%s" % (
            t.name,
            source,
            k.name,
            " ".join(clauses),
            tail,
        )

    # -- SELECT ---------------------------------------------------------------

    def select(self):
        t = self.table()
        if self.schema.aside and self.chance(0.3):
            return self.by_position.select(t)
        return self.one_of(
            (14, lambda: "SELECT %s FROM %s%s" % (t.names(), t.name, self.where(t))),
            (5, lambda: "SELECT * FROM %s%s" % (t.name, self.where(t))),
            (
                6,
                lambda: "SELECT %s FROM %s i%s ORDER BY %s LIMIT %d"
                % (
                    t.names(alias="i"),
                    t.name,
                    self.where(t, "i"),
                    t.names(alias="i"),
                    self.rng.randint(1, 3),
                ),
            ),
            (
                8,
                lambda: "SELECT count(*), count(n), sum(n), min(s), max(s) FROM %s%s"
                % (t.name, self.where(t)),
            ),
            (
                5,
                lambda: (
                    "SELECT n, count(*), string_agg(s, ',' ORDER BY s) FROM %s GROUP BY ROLLUP (n)"
                    " HAVING count(*) > %d"
                )
                % (t.name, self.rng.randint(0, 2)),
            ),
            (10, lambda: self.select_join(t)),
            (8, lambda: self.select_natural_join(t)),
            (10, lambda: self.select_whole_rows(t)),
            (6, lambda: self.select_view(t)),
            (
                4,
                lambda: "SELECT s FROM %s UNION%s SELECT s FROM %s EXCEPT SELECT 'b'"
                % (t.name, self.rng.choice(["", " ALL"]), self.table().name),
            ),
            (
                4,
                lambda: (
                    "SELECT %s, row_number() OVER (ORDER BY %s), sum(n) OVER (PARTITION BY s)"
                    " FROM %s"
                )
                % (t.names(), t.names(), t.name),
            ),
            (
                5,
                lambda: "SELECT %s FROM %s i%s FOR %s"
                % (
                    t.names(alias="i"),
                    t.name,
                    self.where(t, "i"),
                    self.rng.choice(["UPDATE", "SHARE", "KEY SHARE", "NO KEY UPDATE"]),
                ),
            ),
            (
                4,
                lambda: "SELECT cnt_%s(%d), has_%s(%d)"
                % (t.name, self.rng.randint(0, 5), self.table().name, self.rng.randint(0, 5)),
            ),
            (3, lambda: "SELECT DISTINCT ON (n) n, s FROM %s ORDER BY n, s" % t.name),
            (
                3,
                lambda: (
                    "SELECT i.n, (SELECT count(*) FROM %s o WHERE o.n = i.n), ARRAY(SELECT o.s FROM"
                    " %s o WHERE o.n = i.n ORDER BY o.s) FROM %s i"
                )
                % (self.table().name, self.table().name, t.name),
            ),
            (3, lambda: "SELECT count(*) FROM %s TABLESAMPLE bernoulli (100) WHERE n > 0" % t.name),
            (3, lambda: self.select_tree(t)),
            (
                3,
                lambda: (
                    "SELECT %s, count(*) FROM %s GROUP BY %s"
                    % (t.names(), t.name, t.names(t.key()))
                    if t.key()
                    and not t.children
                    and not any(k.deferrable for k in t.keys if k.shape == "primary")
                    else "SELECT max(n) FROM %s" % t.name
                ),
            ),
            (2, lambda: "SELECT %s FROM ONLY %s" % (t.names(), t.name)),
            (
                2,
                lambda: (
                    "SELECT sum(c) FROM (SELECT count(*) AS c FROM %s UNION ALL SELECT count(*)"
                    " FROM %s WHERE n > 2) u"
                )
                % (t.name, self.table().name),
            ),
            (2, lambda: "SELECT name, n FROM counters"),
        )

    def select_join(self, t):
        r = self.rng.choice(
            [r for r in self.schema.references if t in (r.child, r.parent)] or [None]
        )
        if r is None:
            other = self.table()
            return "SELECT l.n, l.s, r.s FROM %s l %s JOIN %s r ON l.n = r.n" % (
                t.name,
                self.rng.choice(["", "LEFT", "FULL"]),
                other.name,
            )
        join = " AND ".join(
            "c.%s = p.%s" % (a.name, b.name) for a, b in zip(r.columns, r.key.columns)
        )
        how = self.rng.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        tail = self.rng.choice(
            ["", " WHERE p.%s IS NULL" % r.key.columns[0].name, " WHERE c.n > 1"]
        )
        if self.chance(0.2):
            return (
                "SELECT p.n, p.s, l.c FROM %s p, LATERAL (SELECT count(*) AS c FROM %s c WHERE"
                " %s) l" % (r.parent.name, r.child.name, join)
            )
        return "SELECT %s, %s FROM %s c %s %s p ON %s%s" % (
            r.child.names(r.child.columns[:4], "c"),
            r.parent.names(r.parent.columns[:4], "p"),
            r.child.name,
            how,
            r.parent.name,
            join,
            tail,
        )

    def select_natural_join(self, t):
        """By all columns of a common name; some cannot be compared."""
        how = self.rng.choice(["", "LEFT", "RIGHT", "FULL"])
        left, right = self.rng.choice(
            [
                ("%s l", "%s r"),
                ("(SELECT * FROM %s) l", "%s r"),
                ("%s l", "(SELECT * FROM %s OFFSET 0) r"),
                ("(SELECT n, s FROM %s) l", "%s r"),
            ]
        )
        return "SELECT n, s, l IS NULL, r IS NOT NULL FROM %s NATURAL %s JOIN %s" % (
            left % t.name,
            how,
            right % self.table().name,
        )

    def select_whole_rows(self, t):
        """Null tests of rows: of a table, a join, a query, a function."""
        other = self.table()
        test = self.rng.choice(["%s IS NULL", "%s IS NOT NULL", "NOT %s IS NULL"])
        on = self.rng.choice(["l.n = r.n", "l.s = r.s AND " + test % "r", "l.n > r.n"])
        return self.one_of(
            (4, lambda: "SELECT n, s, %s FROM %s i" % (test % "i", t.name)),
            (
                4,
                lambda: "SELECT l.n, r.n, %s FROM %s l LEFT JOIN %s r ON %s WHERE %s"
                % (test % "l", t.name, other.name, on, test % "r"),
            ),
            (
                3,
                lambda: "SELECT l.n, r.n, %s, %s FROM %s l FULL JOIN %s r ON l.n = r.n"
                % (test % "l", test % "r", t.name, other.name),
            ),
            (2, lambda: "SELECT %s, count(*) FROM %s i GROUP BY 1" % (test % "i", t.name)),
            (
                2,
                lambda: "SELECT n, count(*), bool_or(%s) FROM %s i GROUP BY n HAVING bool_and(%s)"
                % (test % "i", t.name, test % "i"),
            ),
            (
                2,
                lambda: "SELECT i.n, %s FROM (SELECT * FROM %s%s) i"
                % (test % "i", t.name, self.rng.choice(["", " OFFSET 0"])),
            ),
            (
                2,
                lambda: "WITH i AS (SELECT * FROM %s) SELECT n, (SELECT %s) FROM i WHERE %s"
                % (t.name, test % "i", test % "i"),
            ),
            (
                2,
                lambda: "SELECT j.c, %s FROM (%s l LEFT JOIN %s r ON l.n = r.n) AS j(c)"
                % (test % "j", t.name, other.name),
            ),
            (
                1,
                lambda: "SELECT n, (SELECT i FROM %s i WHERE i.n = o.n LIMIT 0) IS NULL FROM %s o"
                % (other.name, t.name),
            ),
            (2, lambda: "SELECT * FROM whl_%s(%d)" % (t.name, self.rng.randint(0, 5))),
            (2, lambda: "SELECT n, is_whl_%s(i) FROM %s i" % (t.name, t.name)),
        )

    def select_view(self, t):
        if not t.views:
            return "SELECT %s FROM %s" % (t.names(), t.name)
        v = self.rng.choice(sorted(t.views))
        if v[0] == "m" and self.chance(0.6):
            return "REFRESH MATERIALIZED VIEW " + v
        return "SELECT * FROM %s%s" % (v, self.rng.choice(["", " WHERE n > 1"]))

    def select_tree(self, t):
        r = next((r for r in t.references if r.parent is t and len(r.columns) == 1), None)
        if r is None:
            return "SELECT count(DISTINCT n) FROM " + t.name
        return (
            "WITH RECURSIVE tree AS (SELECT i.%s AS k, 0 AS depth FROM %s i WHERE i.%s IS NULL"
            " UNION SELECT i.%s, depth + 1 FROM %s i JOIN tree ON i.%s = k WHERE depth < 5) SELECT"
            " k, depth FROM tree"
            % (
                r.key.columns[0].name,
                t.name,
                r.columns[0].name,
                r.key.columns[0].name,
                t.name,
                r.columns[0].name,
            )
        )

    # -- COPY -----------------------------------------------------------------

    def copy_to(self):
        t = self.table()
        if (t.partitions and self.version < 19) or self.chance(0.4):
            return "COPY (SELECT %s FROM %s%s) TO STDOUT" % (t.names(), t.name, self.where(t))
        forms = [
            "",
            " (FORMAT csv)",
            " (FORMAT csv, HEADER)",
            " (FORMAT csv, FORCE_QUOTE *)",
            " (NULL 'none')",
        ] + [" (FORMAT json)"] * (self.version >= 19)
        return "COPY %s%s TO STDOUT%s" % (
            t.name,
            self.rng.choice(["", " (n, s)"]),
            self.rng.choice(forms),
        )

    def copy_from(self):
        t = self.table()
        columns = [c for c in t.writable() if not c.source]
        lines = []
        rows = (
            1
            if self.schema.limited("copy_batches") and any(c.source for c in t.columns)
            else self.rng.randint(1, 3)
        )
        for _ in range(rows):
            values = [self.raw(c) for c in columns]
            lines.append(
                "\t".join(
                    "\\N" if v is None else v * 600 if c.kind == "wide" else v
                    for c, v in zip(columns, values)
                )
                + "\n"
            )
        every = len(columns) == len(t.writable()) and self.chance(0.5)
        option = self.rng.choice(["", "", " WHERE n > 1", " (HEADER MATCH)"])
        if option.endswith("MATCH)"):
            lines.insert(0, "\t".join(c.name for c in columns) + "\n")
        return Statement(
            "COPY %s%s FROM STDIN%s"
            % (t.name, "" if every else " (%s)" % t.names(columns), option),
            data="".join(lines),
        )

    def copy_frozen(self):
        """COPY FREEZE, for which the transaction must have truncated the table."""
        copy = self.copy_from()
        copy.sql = copy.sql.split(" WHERE ")[0].replace(" (HEADER MATCH)", "") + " FREEZE"
        copy.data = "".join(line for line in copy.data.splitlines(True)[-1:])
        t = copy.sql.split()[1]
        return (
            ["BEGIN"]
            + self.rng.choice([[], ["SAVEPOINT s"]])
            + [
                "TRUNCATE " + t,
                copy,
                "SELECT count(*) FROM " + t,
                self.rng.choice(["ROLLBACK", "ROLLBACK", "COMMIT"]),
            ]
        )

    # -- TRUNCATE -------------------------------------------------------------

    def leaves_guards(self):
        """Is what is written earlier in a transaction in the way of TRUNCATE?"""
        return (
            self.version >= 19
            and self.schema.limited("pending_guards")
            and any(r.deferrable for r in self.schema.references)
        )

    def truncate(self):
        """Mostly one that does not last, for there is little to do with empty tables."""
        rng = self.rng
        tables = rng.sample(
            self.schema.tables,
            (
                rng.choice([1, 1, 2, min(3, len(self.schema.tables))])
                if len(self.schema.tables) > 1
                else 1
            ),
        )
        names = [
            (
                rng.choice(["", "", "ONLY "]) + t.name
                if not t.partitions
                else rng.choice([t.name, t.partitions[0][0]])
            )
            for t in tables
        ]
        sql = "TRUNCATE %s%s%s" % (
            ", ".join(names),
            rng.choice(["", " RESTART IDENTITY"]),
            rng.choice(["", " CASCADE", " CASCADE"]),
        )
        if self.chance(0.2) or self.leaves_guards():
            return [sql]
        return (
            [
                "BEGIN" + rng.choice(["", "", " ISOLATION LEVEL SERIALIZABLE"]),
                self.any_statement(),
                "SAVEPOINT s",
                sql,
                self.any_statement(),
                self.any_statement(),
            ]
            + rng.choice([[], ["ROLLBACK TO s", self.any_statement()]])
            + [rng.choice(["ROLLBACK", "ROLLBACK", "COMMIT"])]
        )

    # -- prepared statements --------------------------------------------------

    def prepare(self):
        """PREPARE some statements for a table."""
        t = self.table()
        n = len(self.prepared)
        body = self.one_of(
            (3, lambda: "DELETE FROM %s WHERE n = $1 RETURNING n, s" % t.name),
            (2, lambda: "SELECT %s FROM %s WHERE n >= $1" % (t.names(), t.name)),
            (
                1,
                lambda: "SELECT count(*) FROM %s i LEFT JOIN %s o ON i.n = o.n WHERE o.n = $1"
                % (t.name, self.table().name),
            ),
            (1, lambda: "UPDATE %s SET s = s WHERE n = $1 RETURNING n" % t.name),
            (1, lambda: "SELECT del_%s($1)" % t.name),
            (
                1,
                lambda: "WITH d AS (DELETE FROM %s WHERE n = $1 RETURNING s) SELECT count(*) FROM d"
                % t.name,
            ),
            (1, lambda: "SELECT 1 FROM %s WHERE n = $1 FOR UPDATE" % t.name),
        )
        self.prepared.append("p%d" % n)
        return "PREPARE p%d (integer) AS %s" % (n, body)

    def execute(self):
        if not self.prepared:
            return self.select()
        return "EXECUTE %s (%d)" % (self.rng.choice(self.prepared), self.rng.randint(0, 5))

    # -- other commands -------------------------------------------------------

    def maintain(self):
        """What keeps the plans and the heap of the twins apart; outside of transactions."""
        t = self.table()
        return self.one_of(
            (3, lambda: ["ANALYZE " + t.name]),
            (2, lambda: ["VACUUM " + t.name]),
            (2, lambda: ["CALL clear_%s(%d)" % (t.name, self.rng.randint(0, 5))]),
            (2, lambda: [self.plan_setting()]),
            (0.3, lambda: ["VACUUM (FULL) " + t.name]),
            (1, lambda: self.migrate(t)),
        )

    def migrate(self, t):
        """A migration of the application's, and what comes after it."""
        self.names += 1
        if self.chance(0.6 if self.schema.aside else 0.4):
            return self.by_position.migrate(t)
        named = [k for k in t.keys if k.shape != "index"]
        indexes = [k for k in t.keys if k.shape == "index"]
        # where there is no key, no other statement could tell the rows apart
        counts = (
            ["UPDATE %s SET z%d = z%d + 1%s" % (t.name, self.names, self.names, self.where(t))]
            if t.key()
            else []
        )
        forms = [
            (
                3,
                lambda: [
                    "ALTER TABLE %s ADD COLUMN z%d integer DEFAULT %d"
                    % (t.name, self.names, self.rng.randint(0, 5)),
                ]
                + self.logged("ALTER TABLE %s ADD COLUMN z%d integer", t)
                + [self.insert_values(t, 1)]
                + counts,
            ),
            (1, lambda: ["CREATE INDEX %s_j%d ON %s (n, s)" % (t.name, self.names, t.name)]),
            (1, lambda: ["ALTER TABLE %s ALTER COLUMN s SET DEFAULT 'e'" % t.name]),
            (
                1,
                lambda: [
                    "ALTER TABLE %s ADD COLUMN y%d text" % (t.name, self.names),
                    *self.drop_column(t, "y%d" % self.names),
                    self.delete_plain(t),
                ],
            ),
        ]
        if named:
            forms.append(
                (
                    2,
                    lambda: self.renamed(
                        "ALTER TABLE %s RENAME CONSTRAINT" % t.name, "", self.rng.choice(named), t
                    ),
                )
            )
        if indexes:
            forms.append(
                (1, lambda: self.renamed("ALTER INDEX", "RENAME ", self.rng.choice(indexes), t))
            )
        return self.one_of(*forms)

    def logged(self, command, t):
        """The same for the table that takes the rows of a table by position."""
        return [command % (t.log, self.names)] if t.log else []

    def renamed(self, command, word, key, t):
        """A constraint or index with another name for a while."""
        return [
            "%s %s %sTO %s_else" % (command, key.name, word, key.name),
            self.insert_values(t, 2),
            self.insert_values(t, 1),
            "%s %s_else %sTO %s" % (command, key.name, word, key.name),
        ]

    def change_schema(self):
        """Tables, partitions and constraints that come and go."""
        t = self.table()
        uniques = [k for k in t.keys if k.shape in ("constraint", "index") and not k.deferrable]
        # what else is put into their place meanwhile would be in the way
        leaves = [p for p in t.partitions if p[1] == t.name and "PARTITION BY" not in p[2]]
        forms = [(1, lambda: [self.any_statement()])]
        if self.schema.grows and self.schema.names < 8:
            forms.append((3, self.new_table))
        if (
            self.schema.grows
            and len(self.schema.tables) > 2
            and not any(r.parent is t and r.child is not t for r in self.schema.references)
        ):
            forms.append((1, lambda: self.old_table(t)))
        if leaves:
            forms += [
                (2, lambda: self.detached(t, self.rng.choice(leaves))),
                (2, lambda: self.replaced(t, self.rng.choice(leaves))),
            ]
        if uniques:
            forms.append((2, lambda: self.without_key(t, self.rng.choice(uniques))))
        return self.one_of(*forms)

    def new_table(self):
        out = self.schema.add_table()
        if self.chance(0.5):
            out = ["BEGIN"] + out + ["COMMIT"]
        t = self.schema.tables[-1]
        return (
            out
            + [self.insert_values(t, 1) for _ in range(3)]
            + [self.delete_plain(t), self.insert_values(t, 2)]
        )

    def old_table(self, t):
        self.schema.drop_table(t)
        return ["DROP TABLE %s%s" % (t.name, " CASCADE" if t.views or self.schema.aside else "")]

    def detached(self, t, partition):
        name, _, bound = partition
        return [
            "ALTER TABLE %s DETACH PARTITION %s" % (t.name, name),
            "SELECT %s FROM %s" % (t.names(), name),
            self.select(),
            "DELETE FROM %s%s" % (name, self.where(t, name)),
            "SELECT count(*) FROM " + t.name,
            "ALTER TABLE %s ATTACH PARTITION %s %s" % (t.name, name, bound),
            self.insert_values(t, 2),
        ]

    def replaced(self, t, partition):
        name, _, bound = partition
        return [
            "DROP TABLE " + name,
            "SELECT count(*) FROM " + t.name,
            "CREATE TABLE %s PARTITION OF %s %s" % (name, t.name, bound),
            self.insert_values(t, 2),
            self.insert_values(t, 1),
            self.delete_plain(t),
        ]

    def without_key(self, t, key):
        """A key that is dropped, and added again if the rows allow it."""
        drop = (
            "DROP INDEX " + key.name
            if key.shape == "index"
            else "ALTER TABLE %s DROP CONSTRAINT %s" % (t.name, key.name)
        )
        return [
            drop,
            self.insert_values(t, 1),
            self.insert_values(t, 1),
            self.delete_plain(t),
            key.definition(t.name),
            self.insert_values(t, 1),
        ]

    def plan_setting(self):
        settings = [
            "%s = %s" % (name, value)
            for name in ("enable_seqscan", "enable_indexscan")
            for value in ("off", "on")
        ]
        settings += [
            "%s = off" % name
            for name in ("enable_hashjoin", "enable_nestloop", "enable_bitmapscan")
        ]
        if self.is_parallel:
            parallel = "debug_parallel_query" if self.version >= 16 else "force_parallel_mode"
            settings += [parallel + " = on", parallel + " = off"] * 2
        return "SET " + self.rng.choice(settings)

    def dba(self):
        """What the DBA may do meanwhile, and the application must not notice."""
        tagged = [t.name for t in self.schema.tables if t.tagged]
        first = self.rng.choice(tagged)
        # a table that has been in place keeps a dropped column: see limits.SERVER
        moves = not any(c.virtual for t in self.schema.tables for c in t.columns)
        return [
            Statement(sql, role="dba", form="dba")
            for sql in self.one_of(
                (2, lambda: ["DELETE FROM " + self.schema.bin(name) for name in tagged]),
                (1, lambda: ["REINDEX TABLE %s" % first]),
                (
                    moves and self.schema.moves,
                    lambda: [
                        "SELECT soft_delete.tag('%s', cascade => true, storage => 'in_place')"
                        % first
                    ]
                    + self.schema.tags(),
                ),
                (
                    1,
                    lambda: [
                        "SELECT soft_delete.untag('%s', tombstones => 'purge', cascade => true)"
                        % first
                    ]
                    + self.schema.tags(),
                ),
            )
        ]

    def temporary(self):
        """A copy in a transaction of its own."""
        t = self.table()
        return [
            "BEGIN",
            "CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT %s FROM %s%s"
            % (t.names(), t.name, self.where(t)),
            self.delete_plain(t),
            "SELECT %s FROM copied" % t.names(),
            "DELETE FROM %s d USING copied u WHERE d.n = u.n" % t.name,
            "COMMIT",
        ]

    # -- several statements ---------------------------------------------------

    def any_statement(self):
        return self.one_of(
            (30, self.delete),
            (31, self.insert),
            (18, self.update),
            (5, self.merge_cte),
            (25, self.select),
            (3, self.copy_to),
            (4, self.copy_from),
            (8, self.execute),
        )

    def transaction(self):
        """A transaction with savepoints."""
        rng = self.rng
        begin = "BEGIN" + rng.choice(
            ["", "", "", " ISOLATION LEVEL REPEATABLE READ", " ISOLATION LEVEL SERIALIZABLE"]
        )
        out = [begin]
        depth = 0
        if self.chance(0.25):
            out.append("SET CONSTRAINTS ALL " + rng.choice(["DEFERRED", "DEFERRED", "IMMEDIATE"]))
        for _ in range(rng.randint(1, 6)):
            if self.chance(0.35):
                depth += 1
                out.append("SAVEPOINT s%d" % depth)
            out.append(self.any_statement())
            if depth and self.chance(0.35):
                out.append(rng.choice(["ROLLBACK TO s%d", "RELEASE s%d"]) % depth)
                if out[-1].startswith("RELEASE"):
                    depth -= 1
            if self.chance(0.06):
                out.append("SET CONSTRAINTS ALL " + rng.choice(["DEFERRED", "IMMEDIATE"]))
        out.append(rng.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
        return out

    def cursor(self):
        """A cursor, and what WHERE CURRENT OF does at it."""
        t = self.table()
        self.names += 1
        c = "c%d" % self.names
        scroll = not self.chance(0.6)
        out = [
            "BEGIN",
            "DECLARE %s %sCURSOR FOR SELECT %s FROM %s i%s ORDER BY %s%s"
            % (
                c,
                "SCROLL " if scroll else "",
                t.names(alias="i"),
                t.name,
                self.where(t, "i") if self.chance(0.5) else "",
                t.names(alias="i"),
                "" if scroll else " FOR UPDATE",
            ),
        ]
        for _ in range(self.rng.randint(1, 3)):
            out.append(
                "FETCH %s FROM %s"
                % (
                    (
                        self.rng.choice(["NEXT", "1", "2"])
                        if not scroll
                        else self.rng.choice(["NEXT", "ALL", "FIRST", "PRIOR", "LAST"])
                    ),
                    c,
                )
            )
            if not scroll and self.chance(0.8):
                out.append("SAVEPOINT s")
                free = t.plain()
                if free and self.chance(0.3):
                    column = self.rng.choice(free)
                    out.append(
                        "UPDATE %s SET %s = %s WHERE CURRENT OF %s"
                        % (t.name, column.name, self.value(column), c)
                    )
                else:
                    out.append(
                        "DELETE FROM %s WHERE CURRENT OF %s%s" % (t.name, c, self.returning(t))
                    )
                if self.chance(0.4):
                    out.append("ROLLBACK TO s")
            elif self.chance(0.3):
                out += ["SAVEPOINT s", self.delete()]
        return out + ["CLOSE %s" % c, self.rng.choice(["COMMIT", "COMMIT", "ROLLBACK"])]

    def as_guest(self):
        """Statements of a role that owns nothing and is subject to row security."""
        if not self.schema.guarded:
            return [self.any_statement()]
        return (
            ["SET ROLE " + GUEST]
            + [self.any_statement() for _ in range(self.rng.randint(1, 4))]
            + ["RESET ROLE"]
        )

    def two_sessions(self):
        """Two transactions that interleave, one row at a time."""
        parts = {}
        tables = [self.table(), self.table()]
        isolation = self.rng.choice(["", "", " ISOLATION LEVEL REPEATABLE READ"])
        for session in "ab":
            part = ["BEGIN" + isolation]
            for _ in range(self.rng.randint(1, 2)):
                t = self.rng.choice(tables)
                # a deferred check fails or waits, by which row of the same key lies first, and to
                # wait for whom waits for the counter is a deadlock
                claims = not (
                    any(k.deferrable for k in t.keys)
                    and any("counters" in command for command in t.triggers)
                )
                part.append(
                    self.one_of(
                        (
                            5,
                            lambda: "DELETE FROM %s WHERE %s%s"
                            % (t.name, self.one_row(t), self.returning(t)),
                        ),
                        (
                            1,
                            lambda: "DELETE FROM %s d USING counters u WHERE %s AND u.name = '%s'%s"
                            % (t.name, self.one_row(t, "d"), t.name, self.returning(t, "d")),
                        ),
                        (
                            1,
                            lambda: (
                                "WITH gone AS (DELETE FROM %s WHERE %s RETURNING n) SELECT count(*)"
                                " FROM gone"
                            )
                            % (t.name, self.one_row(t)),
                        ),
                        (
                            1,
                            lambda: (
                                "MERGE INTO %s t USING (SELECT 2 AS v) s ON %s WHEN MATCHED AND t.n"
                                " > s.v THEN DELETE WHEN MATCHED THEN DO NOTHING"
                            )
                            % (t.name, self.one_row(t, "t")),
                        ),
                        (3 * claims, lambda: self.insert_values(t, 1)),
                        (2 * claims, lambda: self.upsert_one(t)),
                        (3, lambda: self.update_key(t, narrow=True)),
                        (
                            1,
                            lambda: "SELECT %s FROM %s WHERE %s FOR UPDATE%s"
                            % (
                                t.names(),
                                t.name,
                                self.one_row(t),
                                self.rng.choice(["", " NOWAIT", " SKIP LOCKED"]),
                            ),
                        ),
                        (1, lambda: "SELECT %s FROM %s" % (t.names(), t.name)),
                        # an older snapshot goes on seeing the rows
                        (
                            (
                                0
                                if isolation
                                and self.schema.limited("truncate_snapshots")
                                or self.leaves_guards()
                                else 0.4
                            ),
                            lambda: "TRUNCATE " + t.name,
                        ),
                    )
                )
            part.append(self.rng.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
            parts[session] = part
        out = []
        while parts["a"] or parts["b"]:
            session = self.rng.choice([s for s in "ab" if parts[s]])
            out.append(Statement(parts[session].pop(0), session=session, form="two_sessions"))
        return out

    def upsert_one(self, t):
        while True:
            sql = self.upsert(t)
            if sql.count("), (") == 0:
                return sql

    def comes_back(self):
        """Can what is deleted be restored?"""
        if self.schema.orphans:  # what has no parent cannot
            return False
        for t in self.schema.tables:
            # undo() leaves what its caller does not see, and foreign keys and a policy of its own
            # let DELETE take that
            if t.forced and (
                t.blind or any(r.on_delete not in ("NO ACTION", "RESTRICT") for r in t.references)
            ):
                return False
            # a trigger that counts lets a role enter more rows, the fewer it sees, and then
            # refuses them all
            if t.guarded and any(
                "too many" in command for command in t.triggers if isinstance(command, str)
            ):
                return False
        return True

    def probe(self):
        """A deletion to be undone; nothing of it stays."""
        if not self.comes_back():
            return [self.any_statement()]
        t = self.tagged_table()
        first, then = self.reuse(t) if self.chance(0.3) else ([], [])
        if self.chance(0.4):
            then += [(self.gone(self.tagged_table()), True) for _ in range(self.rng.randint(1, 3))]
        return [
            Statement(
                self.gone(t),
                role="probe",
                form="probe",
                tables=self.come_back(),
                first=first,
                then=then,
            )
        ]

    def tagged_table(self):
        return self.rng.choice([t for t in self.schema.tables if t.tagged])

    def gone(self, t):
        form = self.rng.choice(
            [
                self.delete_plain,
                self.delete_plain,
                self.delete_using,
                self.delete_view,
                self.delete_function,
                self.merge_only_delete,
            ]
        )
        return form(t)

    def reuse(self, t):
        """Insert rows with the keys that were freed, and delete them.

        Only what was there before comes back.
        """
        if not t.key() or any(
            "DELETE FROM" in command
            for other in self.schema.tables
            for command in other.triggers
            if isinstance(command, str)
        ):
            return [], []
        key, columns = t.names(t.key()), t.names(t.writable())
        return [
            "CREATE TEMP TABLE before ON COMMIT DROP AS SELECT %s FROM %s" % (columns, t.name)
        ], [
            (
                "CREATE TEMP TABLE gone ON COMMIT DROP AS SELECT * FROM before WHERE (%s) NOT IN"
                " (SELECT %s FROM %s)" % (key, key, t.name),
                False,
            ),
            (
                "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM gone ORDER BY %s"
                % (t.name, columns, columns, columns),
                False,
            ),
            ("DELETE FROM %s WHERE (%s) IN (SELECT %s FROM gone)" % (t.name, key, key), False),
        ]

    def last_probe(self):
        """All that there is goes, table by table, and comes back."""
        if not self.comes_back():
            return []
        tagged = [t for t in self.schema.tables if t.tagged]
        self.rng.shuffle(tagged)
        deletes = [("DELETE FROM " + t.name, True) for t in tagged]
        return [
            Statement(
                "SELECT count(*) FROM " + tagged[0].name,
                role="probe",
                form="last probe",
                tables=self.come_back(),
                then=deletes + deletes,
            )
        ]

    def come_back(self):
        """The tagged tables, and columns of them, that undo() must bring back as they were."""
        out = [("counters", "name, n")]
        for t in self.schema.tables:
            if t.tagged:
                # a reference that was cut comes back by the primary key, and what a trigger did
                # meanwhile stays
                cut = {
                    c.name for r in t.references if r.on_delete.startswith("SET") for c in r.columns
                }
                same = [
                    c
                    for c in t.columns
                    if t.key() or c.name not in cut or not self.schema.limited("relinks_by_key")
                ]
                out.append((t.name, "count(*)" if cut and t.changes_updates else t.names(same)))
        return out

    def contents(self):
        return [
            "SELECT * FROM " + name
            for name in [t.name for t in self.schema.tables]
            + [t.log for t in self.schema.tables if t.log]
            + ["audit", "counters"]
        ]

    def reconnect(self):
        """New sessions, which have not loaded the library where deleted rows are aside."""
        self.prepared = []
        return [Statement("sessions without the library", role="sessions", form="sessions")] + [
            self.prepare() for _ in range(2)
        ]

    def look(self):
        """At the catalogs, as tools do."""
        return [self.by_position.catalog()]

    def dump(self):
        """pg_dump -s of the tables."""
        names = [
            name
            for t in self.schema.tables
            for name in [t.name] + t.children + [p[0] for p in t.partitions]
        ]
        return Statement("pg_dump -s", role="dump", form="dump", tables=names)

    def unit(self):
        """Some statements that belong together, outside of any transaction."""
        return self.one_of(
            (48, lambda: [self.any_statement()]),
            (10, self.transaction),
            (3, self.cursor),
            (4, self.as_guest),
            (4, self.two_sessions),
            (3, self.probe),
            (0.5, self.dba),
            (1, self.contents),
            (1, lambda: [self.prepare()]),
            (1.5, self.maintain),
            (0.7, self.temporary),
            (2, self.change_schema),
            (1.2, self.truncate),
            (0.4, self.copy_frozen),
            (1 * self.schema.aside, self.reconnect),
            (1.5 * self.schema.aside, self.look),
            (0.7 * self.schema.aside, self.by_position.copied),
        )

    def script(self, length):
        """The session: a list of statements, the DBA's tags among them."""
        out = []
        settings = ["SET plan_cache_mode = force_generic_plan"] if self.chance(0.5) else []
        first = settings + [self.prepare() for _ in range(2)]
        for t in self.schema.tables * 3:
            first.append(self.insert_values(t, 1))
        tags = [Statement(sql, role="dba", form="tag") for sql in self.schema.tags()]
        # a table is tagged before it has rows, or later
        out += first + tags if self.chance(0.3) else tags + first
        if self.schema.aside and self.chance(0.6):
            out = self.reconnect() + out
        while len(out) < length:
            unit = self.unit()
            out += unit
        out += self.contents()
        if self.schema.aside and self.chance(0.3):
            out.append(self.dump())
        out += self.last_probe()
        return [s if isinstance(s, Statement) else Statement(s) for s in out]
