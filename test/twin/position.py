"""Statements that the tombstone column in place would answer for: whole rows, row types,
rows by position, what migrations do to columns, and what catalogs say.

Where deleted rows are aside, a table has no such column, and everything is compared.  What
migrations do is, in place, too.
"""

import re

# the tables of a schema, and their partitions and children, by name
OURS = "'^t[0-9]+(_[pq][0-9]+|_child)?$'"

COLUMNS = (
    "SELECT attrelid::regclass, attnum, attname, atttypid::regtype, atttypmod, attnotnull,"
    " atthasdef, attidentity, attgenerated, attislocal, attinhcount, pg_get_expr(adbin, adrelid)"
    " FROM pg_attribute JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid ="
    " attrelid AND adnum = attnum WHERE relname ~ %s AND attnum > 0 AND NOT attisdropped"
)
CATALOGS = [
    COLUMNS,
    (
        "SELECT table_name, column_name, column_default, is_nullable, data_type, is_generated,"
        " is_identity, is_updatable FROM information_schema.columns WHERE table_name ~ %s"
    ),
    (
        "SELECT conrelid::regclass, conname, contype, condeferrable, condeferred, convalidated,"
        " conislocal, coninhcount, connoinherit, confrelid::regclass, pg_get_constraintdef(oid)"
        " FROM pg_constraint WHERE conrelid IN (SELECT oid FROM pg_class WHERE relname ~ %s)"
    ),
    (
        "SELECT constraint_name, table_name, constraint_type, is_deferrable FROM"
        " information_schema.table_constraints WHERE table_name ~ %s AND constraint_type <> 'CHECK'"
    ),
    (
        "SELECT indrelid::regclass, indexrelid::regclass, indisunique, indisprimary,"
        " indisexclusion, indimmediate, indisvalid, indkey, pg_get_indexdef(indexrelid),"
        " pg_get_expr(indpred, indrelid) FROM pg_index WHERE indrelid IN (SELECT oid FROM pg_class"
        " WHERE relname ~ %s)"
    ),
    (
        "SELECT tgrelid::regclass, tgname, tgtype, tgenabled, pg_get_triggerdef(oid) FROM"
        " pg_trigger WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relname ~ %s) AND NOT"
        " tgisinternal AND tgname !~ '^~soft_delete'"
    ),
    (
        "SELECT relname, relkind, relnatts, relchecks, relhasrules, relrowsecurity,"
        " relforcerowsecurity, relreplident, relispartition, reloptions,"
        " relowner::regrole, (SELECT count(*) FROM aclexplode(relacl)) FROM pg_class WHERE relname"
        " ~ %s"
    ),
    (
        "SELECT viewname, definition FROM pg_views WHERE viewname ~ '^[avwrj]2?_t[0-9]' OR viewname"
        " ~ %s"
    ),
]

# where the bins are in a schema of their own, nothing is in the application's that it did not make
NAMES = [
    "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "SELECT typname, typtype FROM pg_type WHERE typnamespace = 'public'::regnamespace",
    "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public'",
    "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
]


class ByPosition:
    """Generates such statements for a session."""

    def __init__(self, session):
        self.session = session
        self.rng = session.rng

    def number(self):
        return self.rng.randint(0, 5)

    # -- reading --------------------------------------------------------------

    def select(self, t):
        s, name = self.session, t.name
        other = s.table()
        compare = self.rng.choice(["=", "<", "<>", ">=", "IS DISTINCT FROM", "*="])
        return self.rng.choice(
            [
                lambda: "SELECT i, i::text, to_jsonb(i) FROM %s i%s" % (name, s.where(t, "i")),
                lambda: "SELECT l.n, r.n FROM %s l JOIN %s r ON l %s r" % (name, name, compare),
                lambda: "SELECT l, r FROM %s l JOIN %s r ON l %s r" % (name, other.name, compare),
                lambda: "SELECT * FROM %s i ORDER BY i" % name,
                lambda: "SELECT i, count(*) FROM %s i GROUP BY i" % name,
                lambda: "SELECT DISTINCT i FROM %s i" % name,
                lambda: "SELECT count(i), count(DISTINCT i), array_agg(i ORDER BY i) FROM %s i"
                % name,
                lambda: "SELECT * FROM %s %s SELECT * FROM %s%s"
                % (
                    name,
                    self.rng.choice(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]),
                    self.rng.choice([name, other.name]),
                    s.where(t) if self.rng.random() < 0.5 else "",
                ),
                lambda: "SELECT * FROM %s NATURAL %s JOIN %s"
                % (name, self.rng.choice(["", "LEFT", "FULL"]), other.name),
                lambda: "SELECT l, r FROM %s l NATURAL JOIN %s r" % (name, other.name),
                lambda: "SELECT * FROM %s JOIN %s USING (n, s)" % (name, other.name),
                lambda: "TABLE " + name,
                lambda: "SELECT * FROM %s AS i (a, b)" % name,
                lambda: "SELECT i FROM %s i WHERE i IN (SELECT o FROM %s o%s)"
                % (name, name, s.where(t, "o")),
                lambda: "SELECT i FROM %s i WHERE i::text IN (SELECT say_%s(o) FROM %s o)"
                % (name, name, name),
                lambda: "SELECT * FROM %s_%s(%d)"
                % (self.rng.choice(["all", "row", "one", "out"]), name, self.number()),
                lambda: "SELECT f, f IS NULL, (f).n FROM all_%s(%d) f" % (name, self.number()),
                lambda: "SELECT i.n, f.* FROM %s i, LATERAL all_%s(i.n) f" % (other.name, name),
                lambda: "SELECT one_%s(%d) = one_%s(%d)"
                % (name, self.number(), name, self.number()),
                lambda: "SELECT i.* IS NOT DISTINCT FROM (SELECT o FROM %s o ORDER BY o LIMIT 1)"
                " FROM %s i" % (name, name),
                lambda: "SELECT p.*, q FROM jsonb_populate_record(NULL::%s, '{\"n\": %d}') p LEFT"
                " JOIN %s q ON q.n = p.n" % (name, self.number(), name),
                lambda: "SELECT * FROM %s"
                % (self.rng.choice([v for v in t.views if v != "m_" + name] or [name])),
                lambda: "SELECT pg_typeof(i), i IS NULL, i IS NOT NULL, row(i.*) IS NOT NULL,"
                " row(i.*) = row(i.*) FROM %s i" % name,
                self.loop(t),
            ]
        )()

    def loop(self, t):
        return lambda: (
            "DO $$ DECLARE r %s%%ROWTYPE; c integer := 0; x record; BEGIN FOR r IN SELECT * FROM %s"
            " ORDER BY %s LOOP IF r IS NOT NULL THEN c := c + 1; END IF; END LOOP; FOR x IN SELECT"
            " * FROM %s ORDER BY %s LOOP IF x IS NULL OR x IS NOT NULL THEN c := c + 100; END IF;"
            " END LOOP; RAISE NOTICE '%% %%', c, r; END $$"
            % (t.name, t.name, t.names(), t.name, t.names())
        )

    # -- writing --------------------------------------------------------------

    def insert(self, t):
        s, name = self.session, t.name
        source = self.rng.choice([t, t, s.table()]).name
        everything = ", ".join(s.row(t.columns))
        values = ", ".join(v if v != "DEFAULT" else "NULL" for v in s.row(t.columns))
        cte = "WITH gone AS (DELETE FROM %s%s RETURNING *)" % (name, s.where(t))
        log = t.log or "audit"
        order = t.names() if source == name else "n, s"
        return self.rng.choice(
            [
                lambda: "INSERT INTO %s VALUES (%s)%s" % (name, everything, s.returning(t)),
                lambda: "INSERT INTO %s SELECT * FROM %s ORDER BY %s LIMIT 2"
                % (name, source, order),
                lambda: cte + " INSERT INTO %s SELECT * FROM gone ORDER BY %s" % (name, t.names()),
                lambda: cte + " INSERT INTO %s SELECT 'gone', * FROM gone" % log,
                lambda: "INSERT INTO %s SELECT 'copy', * FROM %s%s" % (log, name, s.where(t)),
                lambda: "INSERT INTO %s SELECT (r).* FROM (SELECT ROW(%s)::%s AS r) q"
                % (name, values, name),
                lambda: "SELECT put_%s(ROW(%s)::%s)" % (name, values, name),
                lambda: "SELECT put_%s((SELECT i FROM %s i ORDER BY %s LIMIT 1))"
                % (name, source, order),
                lambda: "INSERT INTO %s SELECT * FROM jsonb_populate_record(NULL::%s, (SELECT"
                " to_jsonb(i) FROM %s i ORDER BY %s LIMIT 1)) ON CONFLICT DO NOTHING"
                % (name, name, source, order)
                if not any(k.deferrable for k in t.keys)
                else "INSERT INTO %s VALUES (%s)" % (name, everything),
            ]
        )()

    def delete(self, t):
        s, name = self.session, t.name
        return self.rng.choice(
            [
                lambda: "DELETE FROM %s d USING %s u WHERE d = u AND %s%s"
                % (name, name, s.condition(t, "u"), s.returning(t, "d")),
                lambda: "DELETE FROM %s d WHERE d = (SELECT i FROM %s i ORDER BY i LIMIT 1)%s"
                % (name, name, s.returning(t, "d")),
                lambda: "DELETE FROM %s d WHERE d::text IN (SELECT say_%s(i) FROM %s i WHERE i.n ="
                " %d) RETURNING d" % (name, name, name, self.number()),
                lambda: "SELECT * FROM out_%s(%d)" % (name, self.number()),
                lambda: "SELECT o, o IS NOT NULL FROM out_%s(%d) o" % (name, self.number()),
                lambda: "MERGE INTO %s d USING (SELECT DISTINCT i FROM %s i WHERE n = %d) u ON d ="
                " u.i WHEN MATCHED THEN DELETE" % (name, name, self.number()),
                lambda: "WITH gone AS (DELETE FROM %s%s RETURNING *) SELECT gone, * FROM gone"
                % (name, s.where(t)),
            ]
        )()

    def copied(self):
        """A bulk load by way of a temporary table like another one."""
        s = self.session
        t = s.table()
        copy = s.copy_from()
        if copy.sql.split()[1] == t.name:
            copy.sql = copy.sql.replace(t.name, "liked", 1)
        return [
            "BEGIN",
            "CREATE TEMP TABLE liked (LIKE %s%s) ON COMMIT DROP"
            % (t.name, self.rng.choice(["", " INCLUDING DEFAULTS", " INCLUDING ALL"])),
            "SAVEPOINT s",
            "INSERT INTO liked SELECT * FROM %s%s" % (t.name, s.where(t)),
            "ROLLBACK TO s",
            "SAVEPOINT s",
            copy,
            "ROLLBACK TO s",
            "INSERT INTO liked (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s"
            % (t.names(t.writable()), t.names(t.writable()), t.name),
            "SELECT * FROM liked",
            "SAVEPOINT s",
            s.delete_plain(t),
            self.rng.choice(["RELEASE s", "ROLLBACK TO s"]),
            "SAVEPOINT s",
            "INSERT INTO %s SELECT * FROM liked ORDER BY %s" % (t.name, t.names()),
            self.rng.choice(["RELEASE s", "ROLLBACK TO s"]),
            "SELECT * FROM %s EXCEPT SELECT * FROM liked" % t.name,
            self.rng.choice(["COMMIT", "COMMIT", "ROLLBACK"]),
        ]

    # -- migrations -----------------------------------------------------------

    def migrate(self, t):
        """A migration that scans the whole table, deleted rows too if they are in it."""
        aside = self.session.schema.aside
        return self.rng.choice(self.checks(t) + (self.rewrites(t) if aside else []))()

    def whole(self, name):
        """All columns, where the tombstone column is none of them."""
        return ["SELECT * FROM " + name] if self.session.schema.aside else []

    def checks(self, t):
        """Migrations that a row in the table may refuse."""
        s, name, number = self.session, t.name, self.session.names
        column = "m%d" % number
        alter = "ALTER TABLE %s " % name
        plain = self.rng.choice(t.plain() or t.columns)
        return [
            lambda: [
                alter + "ADD COLUMN %s integer" % column,
                "UPDATE %s SET %s = 1" % (name, column),
                alter + "ALTER COLUMN %s SET NOT NULL" % column,
                s.delete_plain(t),
                alter + "ALTER COLUMN %s SET DEFAULT 2" % column,
                s.insert_values(t, 1),
                alter
                + "ALTER COLUMN %s TYPE text USING (ARRAY['a', 'b', 'c'])[%s]"
                % (column, column),
                s.insert_values(t, 1),
                *s.drop_column(t, column),
            ],
            lambda: [
                "BEGIN",
                "DELETE FROM %s WHERE %s IS NULL" % (name, plain.name),
                alter + "ALTER COLUMN %s SET NOT NULL" % plain.name,
                s.insert_values(t, 2),
                "ROLLBACK",
            ],
            lambda: [
                "DELETE FROM %s WHERE n = %d" % (name, self.number()),
                alter
                + "ADD CONSTRAINT %s_k CHECK (n IS DISTINCT FROM %d)%s"
                % (name, self.number(), self.rng.choice(["", " NOT VALID"])),
                alter + "VALIDATE CONSTRAINT %s_k" % name,
                s.insert_values(t, 2),
                s.delete_plain(t),
                alter + "DROP CONSTRAINT %s_k" % name,
            ],
            lambda: [
                alter
                + "ADD COLUMN %s integer GENERATED ALWAYS AS (100 / (n + 1)) STORED" % column,
                s.insert_values(t, 1),
                s.delete_plain(t),
                *self.whole(name),
                *s.drop_column(t, column),
            ],
            lambda: [
                "CREATE UNIQUE INDEX %s_x%d ON %s (%s)"
                % (name, number, name, plain.name if not t.partitions else t.names(t.key())),
                alter + "ADD CONSTRAINT %s_y%d UNIQUE USING INDEX %s_x%d"
                % (name, number, name, number),
                s.insert_values(t, 2),
                alter + "DROP CONSTRAINT IF EXISTS %s_y%d" % (name, number),
                "DROP INDEX IF EXISTS %s_x%d" % (name, number),
            ],
            lambda: [
                alter + "ADD CONSTRAINT %s_z%d UNIQUE (n, s)%s"
                % (name, number, self.rng.choice(["", " DEFERRABLE"])),
                s.insert_values(t, 2),
                alter + "DROP CONSTRAINT IF EXISTS %s_z%d" % (name, number),
            ],
        ]

    def rewrites(self, t):
        """Migrations after which rows are where they were, in their order."""
        s, name, number = self.session, t.name, self.session.names
        column = "m%d" % number
        alter = "ALTER TABLE %s " % name
        key = next((k for k in t.keys if k.shape == "primary"), None)
        log = ["ALTER TABLE %s ADD COLUMN %s text" % (t.log, column)] if t.log else []
        return [
            lambda: [
                alter + "ADD COLUMN %s integer DEFAULT %d" % (column, self.number()),
                alter + "RENAME COLUMN %s TO %s_r" % (column, column),
                s.delete_plain(t),
                s.insert_values(t, 1),
                alter + "ALTER COLUMN %s_r TYPE bigint" % column,
                "TABLE " + name,
                *s.drop_column(t, column + "_r"),
            ],
            lambda: (
                ["CLUSTER %s USING %s" % (name, key.name), "SELECT * FROM " + name]
                if key
                else ["VACUUM FULL " + name]
            ),
            lambda: [
                alter + "RENAME TO %s_other" % name,
                "DELETE FROM %s_other WHERE n = %d" % (name, self.number()),
                "ALTER TABLE %s_other RENAME TO %s" % (name, name),
                s.insert_values(t, 1),
            ],
            lambda: [
                alter + "ADD COLUMN %s text DEFAULT 'new'" % column,
                *log,
                s.insert_values(t, 1),
                s.delete_plain(t),
                self.insert(t),
            ],
            lambda: [
                "ANALYZE " + name,
                "SELECT attname, null_frac, avg_width, n_distinct, most_common_vals FROM"
                " pg_stats WHERE tablename = '%s'" % name,
                "EXPLAIN (COSTS OFF) SELECT * FROM %s%s" % (name, s.where(t)),
                "EXPLAIN (COSTS OFF) SELECT * FROM %s ORDER BY %s LIMIT 1"
                % (name, t.names(t.key() or None)),
            ],
        ]

    # -- catalogs -------------------------------------------------------------

    def catalog(self):
        schema = self.session.schema
        if schema.views and self.rng.random() < 0.4:
            return self.rng.choice(NAMES)
        catalog = self.rng.choice(CATALOGS) % OURS
        # a column that was dropped keeps its number, a constraint that was attached is NO INHERIT
        left = "attnum, |relnatts, |indkey, |connoinherit, "
        return re.sub(left, "", catalog) if schema.moves else catalog
