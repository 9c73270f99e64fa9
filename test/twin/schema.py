"""Random schemas: tables, keys, references, triggers, views, policies, as DDL.

The same DDL makes both twins.  Names tell what they are: t0 is a table, t0_u1 a
unique key, t2_f1 a reference, and so on; errors name them.
"""
from limits import limited

OWNER = "twin_owner"
GUEST = "twin_guest"

# kind: type, values, whether a literal is quoted.  Few values, so that they meet.
KINDS = {
    "int": ("integer", [str(n) for n in range(6)], False),
    "text": ("text", list("abcde"), True),
    "bool": ("boolean", ["t", "f"], True),
    "date": ("date", ["2020-01-0%d" % n for n in range(1, 6)], True),
    "numeric": ("numeric(6,2)", ["0.00", "1.50", "2.25", "-3.10"], False),
    "uuid": ("uuid", ["00000000-0000-0000-0000-00000000000%d" % n for n in range(1, 9)], True),
    "range": ("int4range", ["[1,3)", "[2,5)", "[5,7)", "[6,9)", "[9,12)", "empty"], True),
    "array": ("integer[]", ["{}", "{1}", "{1,2}", "{2,NULL}"], True),
    "json": ("jsonb", ["{}", '{"k": 1}', '{"k": [1, null]}'], True),
    "wide": ("text", ["wide%d" % n for n in range(3)], True),
}
KEY_POOL = {
    "int": [str(n) for n in range(1, 9)],
    "text": list("abcdefgh"),
    "uuid": KINDS["uuid"][1],
}


def literal(kind, value):
    """A value as SQL."""
    if value is None:
        return "NULL"
    if kind == "wide":
        return "repeat('%s', 600)" % value
    return "'%s'" % value if KINDS[kind][2] else value


class Column:
    def __init__(self, name, kind, nullable=True, default=None, generated=None, source=None):
        self.name = name
        self.kind = kind
        self.nullable = nullable
        self.default = default  # SQL
        self.generated = generated  # SQL
        self.virtual = False
        self.source = source  # serial, always, by default
        self.refers = None  # (reference, position) for a referencing column
        self.in_key = False

    def definition(self):
        if self.source == "serial":
            return "%s serial" % self.name
        parts = [self.name, KINDS[self.kind][0]]
        if self.source:
            parts.append("GENERATED %s AS IDENTITY" % self.source.upper())
        if self.generated:
            parts.append(
                "GENERATED ALWAYS AS (%s) %s"
                % (self.generated, "VIRTUAL" if self.virtual else "STORED")
            )
        if self.default:
            parts.append("DEFAULT %s" % self.default)
        if not self.nullable:
            parts.append("NOT NULL")
        return " ".join(parts)


class Key:
    """A primary key, unique constraint, unique index, exclusion constraint or key of periods."""

    def __init__(
        self, name, shape, columns, elements=None, predicate=None, deferrable="", distinct=True
    ):
        self.name = name
        self.shape = shape  # primary, constraint, index, exclusion, temporal
        self.columns = columns
        self.elements = elements or [c.name for c in columns]
        self.predicate = predicate
        self.deferrable = deferrable
        self.distinct = distinct

    def is_plain_index(self):
        """A unique index that foreign keys can reference, too."""
        return (
            self.shape == "index"
            and self.predicate is None
            and self.elements == [c.name for c in self.columns]
        )

    def definition(self, table):
        elements = ", ".join(self.elements)
        where = " WHERE (%s)" % self.predicate if self.predicate else ""
        distinct = "" if self.distinct else " NULLS NOT DISTINCT"
        if self.shape == "index":
            return "CREATE UNIQUE INDEX %s ON %s (%s)%s%s" % (
                self.name,
                table,
                elements,
                distinct,
                where,
            )
        if self.shape == "exclusion":
            return "ALTER TABLE %s ADD CONSTRAINT %s EXCLUDE %s%s%s" % (
                table,
                self.name,
                elements,
                where,
                self.deferrable,
            )
        word = "PRIMARY KEY" if self.shape == "primary" else "UNIQUE" + distinct
        return "ALTER TABLE %s ADD CONSTRAINT %s %s (%s)%s" % (
            table,
            self.name,
            word,
            elements,
            self.deferrable,
        )


class Reference:
    """A foreign key."""

    def __init__(self, name, child, columns, parent, key):
        self.name = name
        self.child = child
        self.columns = columns
        self.parent = parent
        self.key = key
        self.on_delete = "NO ACTION"
        self.on_update = "NO ACTION"
        self.deferrable = ""
        self.full = False

    def definition(self):
        def names(columns):
            return (", PERIOD " if self.key.shape == "temporal" else ", ").join(
                c.name for c in columns
            )

        return (
            "ALTER TABLE %s ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s)%s ON DELETE %s ON"
            " UPDATE %s%s"
            % (
                self.child.name,
                self.name,
                names(self.columns),
                self.parent.name,
                names(self.key.columns),
                " MATCH FULL" if self.full else "",
                self.on_delete,
                self.on_update,
                self.deferrable,
            )
        )

    def cascades(self):
        return self.on_delete == "CASCADE"


class Table:
    def __init__(self, name):
        self.name = name
        self.columns = []
        self.keys = []
        self.references = []
        self.checks = []
        self.partition_by = None  # column
        self.partitions = []  # (name, parent, definition)
        self.children = []  # that inherit from it
        self.indexes = []
        self.views = {}  # name: shape
        self.triggers = []
        self.functions = []
        self.changes_updates = False  # a BEFORE UPDATE trigger changes rows
        self.guarded = False  # row level security
        self.forced = False  # for its owner, too
        self.blind = False  # who deletes does not see all that goes
        self.tagged = True
        self.log = None  # the table that takes its rows by position

    def key(self):
        """Columns that identify a row, or none."""
        return next((k.columns for k in self.keys if k.shape == "primary"), [])

    def by_position(self):
        """Can its rows be inserted as they are read?"""
        return not any(c.generated or c.source == "always" for c in self.columns)

    def plain(self):
        """Columns that can be written and are in no key, partition key or reference."""
        return [c for c in self.columns if not (c.generated or c.source or c.in_key or c.refers)]

    def writable(self):
        return [c for c in self.columns if not c.generated]

    def names(self, columns=None, alias=None):
        return ", ".join((alias + "." if alias else "") + c.name for c in (columns or self.columns))

    def unique_columns(self):
        """Columns that an UPDATE in several rows must leave alone."""
        return [c for c in self.columns if c.in_key or (c.refers and c.refers[0].parent is self)]


class Schema:
    """A random schema: attributes for the statements, ddl() for the twins."""

    def __init__(self, rng, version, tables=None):
        self.rng = rng
        self.version = version
        self.tables = []
        self.names = 0  # of tables, so far
        self.references = []
        self.aside = self.chance(0.5)  # where deleted rows are kept
        for n in range(tables or rng.randint(2, 5)):
            self.tables.append(self.make_table("t%d" % n))
        for table in self.tables:
            self.add_keys(table)
        for table in self.tables:
            self.add_references(table)
        for table in self.tables:
            self.add_index(table)
        self.choose_tagged()
        # tagged as a schema, to which tables come
        self.grows = all(t.tagged for t in self.tables) and self.chance(0.4)
        self.orphans = False  # a trigger may leave children without parents
        # where the bins are, so that the application's own schema has its own tables only
        self.views = ", views => 'bins'" if self.aside and self.chance(0.5) else ""
        # and whether they are moved into the tables, and back
        self.moves = self.aside and not self.grows and self.chance(0.3)
        for table in self.tables:
            self.add_behaviour(table)
        self.guarded = rng.random() < 0.4
        if self.guarded:
            for table in self.tables:
                table.guarded = rng.random() < 0.7

    def chance(self, p):
        return self.rng.random() < p

    def limited(self, name):
        """Is this limit to be respected here?"""
        return limited(name, self.aside)

    def add_table(self):
        """One more table; returns the DDL that makes it."""
        table = self.make_table("t%d" % self.names)
        self.tables.append(table)
        self.add_keys(table)
        self.add_references(table)
        self.add_index(table)
        self.add_behaviour(table)
        return self.ddl_of([table])

    def drop_table(self, table):
        """Forget a table."""
        self.tables.remove(table)
        self.references = [r for r in self.references if r.child is not table]

    # -- tables ---------------------------------------------------------------

    def make_table(self, name):
        rng = self.rng
        self.names += 1
        table = Table(name)
        shape = rng.choices(
            ["serial", "always", "by default", "int", "text", "uuid", "composite", "none"],
            [12, 8, 8, 30, 12, 10, 14, 6],
        )[0]
        key = []
        if shape in ("serial", "always", "by default"):
            key = [Column("id", "int", nullable=False, source=shape)]
        elif shape in ("int", "text", "uuid"):
            key = [Column("id", shape, nullable=False)]
        elif shape == "composite":
            key = [
                Column("x", "int", nullable=False),
                Column("y", rng.choice(["int", "text"]), nullable=False),
            ]
        table.columns += key
        kinds = ["int", "text"] + rng.sample(
            ["bool", "date", "numeric", "range", "array", "json", "wide", "uuid", "int", "text"],
            rng.randint(0, 3),
        )
        for i, kind in enumerate(kinds):
            column = Column(
                "n" if i == 0 else "s" if i == 1 else "c%d" % i, kind, nullable=self.chance(0.75)
            )
            if self.chance(0.3):
                column.default = literal(kind, rng.choice(KINDS[kind][1]))
            table.columns.append(column)
        if self.chance(0.35):
            table.columns.append(Column("g", "int", generated="coalesce(n, 0) * 10"))
        if self.chance(0.15):
            table.columns.append(Column("h", "text", generated="upper(s)"))
        for column in table.columns:
            column.virtual = bool(column.generated) and self.version >= 18 and self.chance(0.4)
        if key:
            self.add_key(
                table,
                Key(
                    name + "_pk",
                    "primary",
                    key,
                    deferrable=" DEFERRABLE" if self.chance(0.05) else "",
                ),
            )
            if self.chance(0.2):
                self.partition(table, rng.choice(key))
        if not table.partitions and self.chance(0.08):
            table.children = [name + "_child"]
        return table

    def partition(self, table, column):
        """Partition a table by a column of its primary key."""
        table.partition_by = column
        name = table.name
        how = self.rng.choice(["RANGE", "LIST", "HASH"])
        if how == "HASH":
            bounds = ["FOR VALUES WITH (MODULUS 2, REMAINDER %d)" % n for n in range(2)]
        else:
            pool = KEY_POOL[column.kind]
            values = [literal(column.kind, v) for v in pool]
            if how == "RANGE":
                bounds = [
                    "FOR VALUES FROM (MINVALUE) TO (%s)" % values[2],
                    "FOR VALUES FROM (%s) TO (%s)" % (values[2], values[5]),
                    "DEFAULT",
                ]
            else:
                bounds = [
                    "FOR VALUES IN (%s)" % ", ".join(values[:3]),
                    "FOR VALUES IN (%s)" % ", ".join(values[3:5]),
                    "DEFAULT",
                ]
        table.partition_how = how
        table.partitions = [("%s_p%d" % (name, n), name, bound) for n, bound in enumerate(bounds)]
        if self.chance(0.2):  # a partition that is partitioned itself
            last, parent, bound = table.partitions.pop()
            table.partitions += [
                (last, parent, bound + " PARTITION BY HASH (%s)" % column.name)
            ] + [
                ("%s_q%d" % (name, n), last, "FOR VALUES WITH (MODULUS 2, REMAINDER %d)" % n)
                for n in range(2)
            ]

    def add_key(self, table, key):
        table.keys.append(key)
        for column in key.columns:
            column.in_key = True

    def add_keys(self, table):
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            self.add_unique(table)
        if self.version >= 18 and self.chance(0.12):
            self.add_temporal(table)

    def add_unique(self, table):
        rng = self.rng
        name = "%s_u%d" % (table.name, len(table.keys))
        candidates = [
            c
            for c in table.columns
            if c.kind in ("int", "text", "date", "uuid") and not c.generated and not c.in_key
        ]
        ranges = [c for c in table.columns if c.kind == "range" and not c.in_key]
        shape = rng.choices(
            ["constraint", "partial", "expression", "exclusion", "plain"], [50, 18, 14, 18, 12]
        )[0]
        if table.partitions:
            if not candidates:
                return
            columns = [rng.choice(candidates), table.partition_by]
            return self.add_key(table, Key(name, "constraint", columns))
        if shape == "exclusion":
            deferrable = rng.choice(["", "", " DEFERRABLE INITIALLY DEFERRED"])
            if ranges:
                column = ranges[0]
                self.add_key(
                    table,
                    Key(
                        name,
                        "exclusion",
                        [column],
                        ["USING gist (%s WITH &&)" % column.name],
                        deferrable=deferrable,
                        predicate=rng.choice([None, "n IS NOT NULL"]),
                    ),
                )
            elif candidates:
                column = rng.choice(candidates)
                self.add_key(
                    table,
                    Key(
                        name,
                        "exclusion",
                        [column],
                        ["USING btree (%s WITH =)" % column.name],
                        deferrable=deferrable,
                        predicate=rng.choice([None, "n > 2"]),
                    ),
                )
            return
        if not candidates:
            return
        columns = rng.sample(candidates, 2 if len(candidates) > 1 and self.chance(0.4) else 1)
        distinct = self.chance(0.75)
        if shape == "plain":
            self.add_key(table, Key(name, "index", columns, distinct=distinct))
        elif shape == "constraint":
            self.add_key(
                table,
                Key(
                    name,
                    "constraint",
                    columns,
                    distinct=distinct,
                    deferrable=rng.choice(
                        ["", "", "", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"]
                    ),
                ),
            )
        elif shape == "partial":
            self.add_key(
                table,
                Key(
                    name,
                    "index",
                    columns,
                    predicate=rng.choice(["n > 1", "s <> 'a'", "n IS NOT NULL AND n < 5"]),
                    distinct=distinct,
                ),
            )
        else:
            column = rng.choice(candidates)
            element = {"text": "lower(%s)", "int": "abs(%s - 3)"}.get(column.kind, "(%s::text)")
            self.add_key(
                table,
                Key(
                    name,
                    "index",
                    [column],
                    (
                        [
                            (
                                element % column.name
                                if "::" not in element
                                else "(%s::text)" % column.name
                            )
                        ]
                        if column.kind not in ("date",)
                        else [column.name]
                    ),
                ),
            )

    def add_temporal(self, table):
        """A key of periods that do not overlap."""
        if table.partitions:
            return
        columns = [
            Column("r", "range", nullable=self.chance(0.5)),
            Column("w", "range", nullable=self.chance(0.5)),
        ]
        table.columns += columns
        self.add_key(
            table,
            Key(
                "%s_u%d" % (table.name, len(table.keys)),
                "temporal",
                columns,
                ["r", "w WITHOUT OVERLAPS"],
                deferrable=(
                    "" if self.limited("deferred_periods") else " DEFERRABLE INITIALLY DEFERRED"
                ),
            ),
        )

    def add_index(self, table):
        if self.chance(0.5):
            column = self.rng.choice([c for c in table.columns if c.kind not in ("json", "wide")])
            table.indexes.append(
                "CREATE INDEX %s_i%d ON %s (%s)"
                % (table.name, len(table.indexes), table.name, column.name)
            )
        if self.chance(0.15):
            table.indexes.append(
                "CREATE INDEX %s_ip ON %s (s) WHERE n > 2" % (table.name, table.name)
            )

    # -- references -----------------------------------------------------------

    def add_references(self, child):
        for _ in range(self.rng.choice([0, 1, 1, 2])):
            self.add_reference(child)

    def add_reference(self, child):
        rng = self.rng
        parent = child if self.chance(0.2) else rng.choice(self.tables)
        keys = [
            k
            for k in parent.keys
            if (k.shape in ("primary", "constraint", "temporal") or k.is_plain_index())
            and not k.deferrable
        ]
        if not keys:
            return
        key = keys[0] if self.chance(0.75) else rng.choice(keys)
        temporal = key.shape == "temporal"
        name = "%s_f%d" % (child.name, len(child.references))
        columns = []
        for n, target in enumerate(key.columns):
            column = Column(
                "%s%s" % (name[name.index("_") + 1 :], "" if n == 0 else chr(ord("a") + n)),
                target.kind,
                nullable=self.chance(0.85),
            )
            if self.chance(0.35):
                column.default = literal(
                    column.kind,
                    rng.choice((KEY_POOL.get(column.kind) or KINDS[column.kind][1])[:4]),
                )
            columns.append(column)
        reference = Reference(name, child, columns, parent, key)
        for n, column in enumerate(columns):
            column.refers = (reference, n)
        child.columns += columns
        actions = ["NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"]
        reference.on_delete = rng.choices(actions, [15, 15, 40, 18, 12])[0]
        reference.on_update = rng.choices(actions, [25, 10, 40, 15, 10])[0]
        if len(columns) > 1 and reference.on_delete.startswith("SET") and self.chance(0.5):
            reference.on_delete += " (%s)" % columns[1].name
        if temporal:
            reference.on_delete = reference.on_update = "NO ACTION"
        reference.deferrable = rng.choice(
            ["", "", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"]
        )
        reference.full = len(columns) > 1 and not temporal and self.chance(0.2)
        child.references.append(reference)
        self.references.append(reference)

    def choose_tagged(self):
        """Tag most tables; those that ON DELETE CASCADE connects, together."""
        group = {t: t for t in self.tables}
        for r in self.references:
            if r.cascades():
                old, new = group[r.parent], group[r.child]
                for t in self.tables:
                    if group[t] is old:
                        group[t] = new
        leaders = [t for t in self.tables if t in group.values()]
        for leader in leaders if len(leaders) > 1 else []:
            if self.chance(0.2):
                for t in self.tables:
                    if group[t] is leader:
                        t.tagged = False
        if not any(t.tagged for t in self.tables):
            for t in self.tables:
                t.tagged = True

    # -- checks, triggers, functions, views -----------------------------------

    def add_behaviour(self, table):
        self.add_checks(table)
        self.add_triggers(table)
        self.add_functions(table)
        self.add_views(table)
        if self.aside:
            self.add_row_types(table)

    def add_row_types(self, table):
        """What takes rows by position, for which the tombstone column would be one too many."""
        name = table.name
        if self.chance(0.4):
            table.log = name + "_log"
            events = self.rng.choice(["DELETE", "DELETE OR UPDATE", "INSERT OR DELETE OR UPDATE"])
            new = self.rng.choice(["NEW.*", "(NEW).*", "x.* FROM (SELECT NEW.*) x"])
            self.add_trigger(
                table,
                "logs",
                "AFTER " + events,
                "BEGIN IF TG_OP <> 'INSERT' THEN INSERT INTO %s SELECT TG_OP || ' old', OLD.*; END"
                " IF; IF TG_OP <> 'DELETE' THEN INSERT INTO %s SELECT TG_OP, %s; END IF; RETURN"
                " NULL; END" % (table.log, table.log, new),
            )
        if self.chance(0.2):
            self.add_trigger(
                table,
                "texts",
                "AFTER INSERT OR DELETE OR UPDATE",
                "BEGIN INSERT INTO audit VALUES (TG_TABLE_NAME, TG_OP, OLD::text, NEW::text);"
                " RETURN NULL; END",
            )
        if self.chance(0.15):
            self.add_trigger(
                table,
                "whole",
                "AFTER DELETE OR UPDATE",
                "BEGIN RAISE NOTICE 'whole % %', TG_TABLE_NAME, TG_OP; RETURN NULL; END",
                "FOR EACH ROW WHEN (OLD IS NOT NULL)",
            )
        order = table.names()
        table.functions += [
            "CREATE FUNCTION all_%s(k integer) RETURNS SETOF %s LANGUAGE sql STABLE AS $f$ SELECT *"
            " FROM %s WHERE n >= k $f$" % (name, name, name),
            "CREATE FUNCTION row_%s(k integer) RETURNS SETOF %s LANGUAGE plpgsql AS $f$ BEGIN"
            " RETURN QUERY SELECT %s FROM %s WHERE n >= k; END $f$" % (name, name, order, name),
            "CREATE FUNCTION one_%s(k integer) RETURNS %s LANGUAGE plpgsql AS $f$ DECLARE r %s;"
            " BEGIN SELECT * INTO r FROM %s WHERE n >= k ORDER BY %s LIMIT 1; IF r IS NOT NULL THEN"
            " RAISE NOTICE 'whole'; END IF; RETURN r; END $f$" % (name, name, name, name, order),
            "CREATE FUNCTION put_%s(r %s) RETURNS integer LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO"
            " %s SELECT r.*; RETURN 1; END $f$" % (name, name, name),
            "CREATE FUNCTION out_%s(k integer) RETURNS SETOF %s LANGUAGE sql AS $f$ DELETE FROM %s"
            " WHERE n = k RETURNING * $f$" % (name, name, name),
            "CREATE FUNCTION say_%s(r %s) RETURNS text LANGUAGE sql AS $f$ SELECT r::text $f$"
            % (name, name),
        ]
        if self.chance(0.3):
            table.views["v2_" + name] = "CREATE VIEW v2_%s AS SELECT i, i.* FROM %s i" % (
                name,
                name,
            )

    def add_checks(self, table):
        if self.chance(0.3):
            table.checks.append(
                "ALTER TABLE %s ADD CONSTRAINT %s_c0 CHECK (n <> 4)" % (table.name, table.name)
            )
        if self.chance(0.15):
            table.checks.append(
                "ALTER TABLE %s ADD CONSTRAINT %s_c1 CHECK (n IS NOT NULL OR s IS NOT NULL)"
                % (table.name, table.name)
            )

    def add_trigger(self, table, name, timing, body, extra=""):
        function = "%s_%s" % (table.name, name)
        table.triggers += [
            "CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $f$ %s $f$"
            % (function, body),
            "CREATE %sTRIGGER %s %s ON %s %s EXECUTE FUNCTION %s()"
            % (
                "CONSTRAINT " if "DEFERRED" in extra else "",
                name,
                timing,
                table.name,
                extra or "FOR EACH ROW",
                function,
            ),
        ]

    def add_triggers(self, table):
        rng = self.rng
        row = "(to_jsonb(%s) - 'deleted_at')::text"
        if self.chance(0.3):
            events = rng.choice(["DELETE", "DELETE OR UPDATE", "INSERT OR DELETE OR UPDATE"])
            self.add_trigger(
                table,
                "audit",
                "AFTER " + events,
                "BEGIN INSERT INTO audit VALUES (TG_TABLE_NAME, TG_OP, CASE WHEN TG_OP <> 'INSERT'"
                " THEN %s END, CASE WHEN TG_OP <> 'DELETE' THEN %s END); RETURN NULL; END"
                % (row % "OLD", row % "NEW"),
            )
        if self.chance(0.15):
            self.orphans = self.orphans or any(r.cascades() for r in table.references)
            self.add_trigger(
                table,
                "veto",
                "BEFORE DELETE",
                (
                    "BEGIN IF OLD.n = 3 THEN RAISE NOTICE 'no delete from %', TG_TABLE_NAME; RETURN"
                    " NULL; END IF; RETURN OLD; END"
                ),
            )
        if self.chance(0.12):
            table.changes_updates = True
            self.add_trigger(
                table,
                "change",
                "BEFORE INSERT OR UPDATE",
                "BEGIN NEW.n := coalesce(NEW.n, 1); RETURN NEW; END",
            )
        if self.chance(0.2) and not table.partitions and not table.children:
            self.add_trigger(
                table,
                "old_rows",
                "AFTER DELETE",
                (
                    "BEGIN RAISE NOTICE '% % % %', TG_TABLE_NAME, TG_OP, (SELECT count(*) FROM"
                    " gone), (SELECT sum(n) FROM gone); RETURN NULL; END"
                ),
                "REFERENCING OLD TABLE AS gone FOR EACH STATEMENT",
            )
        if self.chance(0.15):
            self.add_trigger(
                table,
                "new_rows",
                "AFTER UPDATE",
                (
                    "BEGIN INSERT INTO audit SELECT TG_TABLE_NAME, TG_OP, (SELECT"
                    " string_agg(concat_ws('/', n, s), ',' ORDER BY n, s) FROM old_rows), (SELECT"
                    " string_agg(concat_ws('/', n, s), ',' ORDER BY n, s) FROM new_rows); RETURN"
                    " NULL; END"
                ),
                "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT",
            )
        if self.chance(0.15):
            self.add_trigger(
                table,
                "says",
                rng.choice(["BEFORE", "AFTER"]) + " INSERT OR UPDATE OR DELETE",
                "BEGIN RAISE NOTICE '% % %', TG_TABLE_NAME, TG_WHEN, TG_OP; RETURN NULL; END",
                "FOR EACH STATEMENT",
            )
        if self.chance(0.25):
            self.add_trigger(
                table,
                "balance",
                "AFTER INSERT OR DELETE",
                "BEGIN UPDATE counters SET n = n + CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END"
                " WHERE name = '%s'; RETURN NULL; END"
                % table.name,
            )
        others = [t for t in self.tables if t is not table and t.tagged == table.tagged]
        if self.chance(0.1) and others:
            self.add_trigger(
                table,
                "chain",
                "AFTER DELETE",
                "BEGIN DELETE FROM %s WHERE n = OLD.n AND n > 2; RETURN NULL; END"
                % rng.choice(others).name,
            )
        if self.chance(0.1) and not table.children:  # whose rows it would count, and not check
            self.add_trigger(
                table,
                "late",
                "AFTER INSERT OR DELETE",
                "BEGIN RAISE NOTICE 'late % %', TG_OP, (SELECT count(*) FROM {0}); IF (SELECT"
                " count(*) FROM {0}) > 9 THEN RAISE EXCEPTION 'too many' USING ERRCODE = '23514',"
                " CONSTRAINT = '{0}_late'; END IF; RETURN NULL; END".format(table.name),
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
            )
        keys = [c for c in table.key() if len(table.key()) == 1 and not c.source]
        if self.chance(0.08) and keys and not table.children:
            self.add_trigger(
                table,
                "replace",
                "BEFORE INSERT",
                "BEGIN DELETE FROM %s WHERE %s = NEW.%s AND n < 3; RETURN NEW; END"
                % (table.name, keys[0].name, keys[0].name),
            )
        # a row born again references none of the rows that go with it: which of them are there
        # again is a matter of order
        own = [c for r in table.references if r.parent is table for c in r.columns]
        if self.chance(0.06) and all(c.nullable for c in own):
            self.orphans = True
            columns = table.writable()
            self.add_trigger(
                table,
                "rebirth",
                "AFTER DELETE",
                "BEGIN IF pg_trigger_depth() = 1 THEN INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE"
                " VALUES (%s); END IF; RETURN NULL; END"
                % (
                    table.name,
                    ", ".join(c.name for c in columns),
                    ", ".join("NULL" if c in own else "OLD." + c.name for c in columns),
                ),
                "FOR EACH ROW WHEN (OLD.n = 2)",
            )
        if self.chance(0.1):
            self.add_trigger(
                table,
                "only_some",
                "AFTER DELETE",
                "BEGIN RAISE NOTICE 'gone: %', OLD.n; RETURN NULL; END",
                "FOR EACH ROW WHEN (OLD.n > 1)",
            )
        if self.chance(0.2) and all(t.tagged for t in self.tables):  # see "truncate_order"
            self.add_trigger(
                table,
                "wipe",
                rng.choice(["BEFORE", "AFTER"]) + " TRUNCATE",
                "BEGIN RAISE NOTICE '% % % %', TG_TABLE_NAME, TG_WHEN, TG_OP, (SELECT count(*) FROM"
                " {0}); RETURN NULL; END".format(table.name),
                "FOR EACH STATEMENT",
            )
        if self.chance(0.08) and not any(r.cascades() for r in table.references):
            self.add_trigger(
                table,
                "touch",
                "BEFORE DELETE",
                "BEGIN UPDATE %s SET s = 'e' WHERE n = OLD.n AND n = 2; RETURN OLD; END"
                % table.name,
            )

    def add_functions(self, table):
        table.functions = [
            "CREATE FUNCTION del_%s(k integer) RETURNS integer LANGUAGE plpgsql AS $f$ DECLARE c"
            " integer; BEGIN DELETE FROM %s WHERE n = k; GET DIAGNOSTICS c = ROW_COUNT; RETURN c;"
            " END $f$" % (table.name, table.name),
            "CREATE FUNCTION cnt_%s(k integer) RETURNS bigint LANGUAGE sql STABLE AS $f$ SELECT"
            " count(*) FROM %s WHERE n >= k $f$" % (table.name, table.name),
            "CREATE FUNCTION whl_%s(k integer) RETURNS SETOF integer LANGUAGE sql STABLE AS $f$ SELECT"
            " n FROM %s WHERE n >= k AND %s IS NOT NULL $f$" % (table.name, table.name, table.name),
            "CREATE FUNCTION is_whl_%s(%s) RETURNS boolean LANGUAGE sql AS $f$ SELECT $1 IS NOT"
            " NULL $f$" % (table.name, table.name),
            "CREATE FUNCTION has_%s(k integer) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN"
            " PERFORM FROM %s WHERE n = k; RETURN FOUND; END $f$" % (table.name, table.name),
            "CREATE FUNCTION pop_%s(k integer) RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC DELETE"
            " FROM %s WHERE n = k RETURNING s; END" % (table.name, table.name),
            "CREATE PROCEDURE clear_%s(k integer) LANGUAGE plpgsql AS $p$ BEGIN DELETE FROM %s"
            " WHERE n = k; COMMIT; DELETE FROM %s WHERE n = k + 1; END $p$"
            % (table.name, table.name, table.name),
        ]

    def add_views(self, table):
        name = table.name
        columns = table.names()
        option = self.rng.choice(["", "", " WITH CHECK OPTION", " WITH LOCAL CHECK OPTION"])
        barrier = self.rng.choice(["", "", " WITH (security_barrier)", " WITH (security_invoker)"])
        if self.chance(0.6):
            table.views["v_" + name] = "CREATE VIEW v_%s%s AS SELECT %s FROM %s WHERE n < 4%s" % (
                name,
                barrier,
                columns,
                name,
                option,
            )
        if self.chance(0.3):
            table.views["a_" + name] = (
                "CREATE VIEW a_%s AS SELECT n, count(*) AS c, min(s) AS least, max(s) AS most FROM"
                " %s GROUP BY n" % (name, name)
            )
        if self.chance(0.3):
            table.views["w_" + name] = (
                "CREATE VIEW w_%s AS SELECT n, s, %s IS NULL AS none, %s IS NOT NULL AS whole FROM %s"
                % (name, name, name, name)
            )
        if self.chance(0.15):
            table.views["m_" + name] = "CREATE MATERIALIZED VIEW m_%s AS SELECT n, s FROM %s" % (
                name,
                name,
            )
        if self.chance(0.15) and table.key():
            k = " AND ".join("%s = OLD.%s" % (c.name, c.name) for c in table.key())
            table.views["r_" + name] = "CREATE VIEW r_%s AS SELECT %s FROM %s" % (
                name,
                columns,
                name,
            )
            table.triggers += [
                (
                    "CREATE RULE gone AS ON DELETE TO r_%s DO INSTEAD DELETE FROM %s WHERE %s"
                    % (name, name, k),
                    "view",
                )
            ]
        if self.chance(0.2) and table.key() and not any(c.kind in ("range",) for c in table.key()):
            k = table.key()[0].name
            table.views["j_" + name] = (
                "CREATE VIEW j_%s AS SELECT %s FROM %s JOIN counters ON name = '%s'"
                % (name, table.names(alias=name), name, name)
            )
            table.triggers += [
                "CREATE FUNCTION j_%s_gone() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN DELETE"
                " FROM %s WHERE %s = OLD.%s; IF NOT FOUND THEN RETURN NULL; END IF; RETURN OLD;"
                " END $f$" % (name, name, k, k),
                (
                    "CREATE TRIGGER gone INSTEAD OF DELETE ON j_%s FOR EACH ROW EXECUTE FUNCTION"
                    " j_%s_gone()" % (name, name),
                    "view",
                ),
            ]

    # -- as DDL ---------------------------------------------------------------

    def ddl(self):
        """All commands that make the schema, in order."""
        out = [
            "CREATE TABLE audit (relation text, op text, old_row text, new_row text)",
            "CREATE TABLE counters (name text PRIMARY KEY, n integer)",
        ] + self.ddl_of(self.tables)
        return out + self.grants() if self.guarded else out

    def ddl_of(self, tables):
        """The commands that make tables, in order."""
        out = []
        for t in tables:
            how = (
                " PARTITION BY %s (%s)" % (t.partition_how, t.partition_by.name)
                if t.partitions
                else ""
            )
            out.append(
                "CREATE TABLE %s (%s)%s"
                % (t.name, ", ".join(c.definition() for c in t.columns), how)
            )
            out += ["CREATE TABLE %s PARTITION OF %s %s" % partition for partition in t.partitions]
            out += ["CREATE TABLE %s () INHERITS (%s)" % (child, t.name) for child in t.children]
            out += [
                "ALTER TABLE %s ALTER COLUMN %s SET STORAGE EXTERNAL" % (t.name, c.name)
                for c in t.columns
                if c.kind == "wide"
            ]
            out.append("INSERT INTO counters VALUES ('%s', 0)" % t.name)
        for t in tables:
            out += [k.definition(t.name) for k in t.keys] + t.indexes
        out += [r.definition() for r in self.references if r.child in tables]
        for t in tables:
            late = [command for command in t.triggers if isinstance(command, tuple)]
            if t.log:
                out.append("CREATE TABLE %s (what text, LIKE %s)" % (t.log, t.name))
                out += [
                    "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL" % (t.log, c.name)
                    for c in t.columns
                    if not c.nullable
                ]
            out += (
                t.checks
                + [command for command in t.triggers if not isinstance(command, tuple)]
                + t.functions
            )
            out += list(t.views.values()) + [command for command, _ in late]
        return out

    def grants(self):
        out = [
            "GRANT USAGE ON SCHEMA public TO %s" % GUEST,
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %s" % GUEST,
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %s" % GUEST,
        ]
        for t in self.tables:
            if not t.guarded:
                continue
            out.append("ALTER TABLE %s ENABLE ROW LEVEL SECURITY" % t.name)
            if self.chance(0.5):
                out.append(
                    "CREATE POLICY low ON %s TO %s USING (n < 4)%s"
                    % (t.name, GUEST, self.rng.choice(["", " WITH CHECK (n < 3)"]))
                )
            else:
                out += [
                    "CREATE POLICY reads ON %s FOR SELECT TO %s USING (n < 5)" % (t.name, GUEST),
                    "CREATE POLICY writes ON %s FOR INSERT TO %s WITH CHECK (n < 3)"
                    % (t.name, GUEST),
                    "CREATE POLICY deletes ON %s FOR DELETE TO %s USING (s <> 'a')"
                    % (t.name, GUEST),
                ]
                t.blind = True
                if self.chance(0.5):
                    out.append(
                        "CREATE POLICY changes ON %s FOR UPDATE TO %s USING (s <> 'b')"
                        % (t.name, GUEST)
                    )
            if self.chance(0.2):
                t.forced = True
                out += [
                    "ALTER TABLE %s FORCE ROW LEVEL SECURITY" % t.name,
                    "CREATE POLICY own ON %s TO %s USING (n IS NULL OR n < 5)" % (t.name, OWNER),
                ]
        return out

    def bin(self, name):
        """The bin of a table."""
        return ("bins." if self.views else "") + name + "_deleted"

    def tags(self):
        """What the DBA does to the tagged twin."""
        storage = ", storage => 'aside'" if self.aside else ""
        if self.grows:
            return [
                "SELECT soft_delete.tag_schema('public', exempt => '{audit,counters}'%s%s)"
                % (storage, self.views)
            ]
        return [
            "SELECT soft_delete.tag('%s'%s)"
            % (
                t.name,
                ", cascade => true"
                + (storage + self.views or self.rng.choice(["", ", indexes => 'unique'"])),
            )
            for t in self.tables
            if t.tagged
        ]
