"""The ways to delete softly that people write by hand, beside hard deletes and soft_delete.

Each has a table of the same rows and columns, in a database that the extension
has not touched but for soft_delete itself.  Those that keep deleted rows have
the indexes that tag() makes: four on live rows, one on deleted_at to find the
others.  "UPDATE, plain indexes" is what most people have.
"""
from dataclasses import dataclass

from harness import BY_HAND, SOFT

COLUMNS = ("id integer PRIMARY KEY", "email text", "kind integer", "customer integer", "created_at timestamptz", "filler text")
INDEXES = {"email": "UNIQUE INDEX", "kind": "INDEX", "customer": "INDEX", "created_at": "INDEX"}
PLAIN_UPDATE = BY_HAND + ", plain indexes"
UNLEDGERED = SOFT + " without its ledger"
BY_SESSION = SOFT + ", loaded by the session"
ASIDE = SOFT + ", aside"
LIVE = " WHERE deleted_at IS NULL"


@dataclass
class Contender:
    """A table t, how to delete all of it or one row, and how to read a row."""
    name: str
    database: str = "hand"
    filtered: str = LIVE                # of the indexes
    setup: str = ""
    delete_all: str = "DELETE FROM {t}"
    delete_one: str = "DELETE FROM {t} WHERE id = :i"
    read: str = "SELECT email FROM {t} WHERE id = :i"

    def table(self):
        return "t_" + "".join(c for c in self.name.lower() if c.isalnum())

    def sql(self, statement):
        return statement.replace("{t}", self.table())

    def make(self, session, rows):
        """Makes the table, as its contender wants it."""
        columns = list(COLUMNS)
        if self.filtered or self.name == PLAIN_UPDATE:
            columns.append("deleted_at timestamptz")
        session.load(self.table(), ", ".join(columns),
                     f"SELECT g, 'user' || g || '@example.com', g % 1000, (g * 7919::bigint) % 50000, "
                     f"timestamptz '2026-01-01' + g * interval '1 s', repeat('x', 60) FROM generate_series(1, {rows}) g",
                     *(self.sql(f"CREATE {kind} {{t}}_{column} ON {{t}} ({column}){self.filtered}") for column, kind in INDEXES.items()))
        if self.filtered:
            session.run(self.sql("CREATE INDEX {t}_bin ON {t} (deleted_at) WHERE deleted_at IS NOT NULL"))
        if self.setup:
            session.run(self.sql(self.setup))
        session.settle(self.table())

    def live_rows(self, session):
        """How many rows are not deleted, for who may see all."""
        hidden = session.value(f"SELECT count(*) FROM pg_attribute WHERE attrelid = '{self.table()}'::regclass AND attname = 'deleted_at'")
        return session.value(self.sql("SELECT count(*) FROM {t}" + (LIVE if hidden else "")))


UPDATE_ALL = "UPDATE {t} SET deleted_at = now()"
UPDATE_ONE = "UPDATE {t} SET deleted_at = now() WHERE id = :i AND deleted_at IS NULL"
READ_LIVE = "SELECT email FROM {t} WHERE id = :i AND deleted_at IS NULL"

RULE = "CREATE RULE soft AS ON DELETE TO {t} DO INSTEAD UPDATE {t} SET deleted_at = now() WHERE id = OLD.id AND deleted_at IS NULL"

TRIGGER = """
CREATE OR REPLACE FUNCTION {t}_soft() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {t} SET deleted_at = now() WHERE id = OLD.id AND deleted_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER soft BEFORE DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION {t}_soft()"""

VIEW = """
CREATE VIEW {t}_live AS SELECT id, email, kind, customer, created_at, filler FROM {t} WHERE deleted_at IS NULL;
CREATE OR REPLACE FUNCTION {t}_soft() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {t} SET deleted_at = now() WHERE id = OLD.id AND deleted_at IS NULL;
    RETURN OLD;
END $$;
CREATE TRIGGER soft INSTEAD OF DELETE ON {t}_live FOR EACH ROW EXECUTE FUNCTION {t}_soft()"""

# A policy that hides deleted rows refuses the UPDATE that makes one of a row it has looked for, so that
# runs as the owner, by a function.
POLICY = """
ALTER TABLE {t} ENABLE ROW LEVEL SECURITY;
CREATE POLICY live ON {t} USING (deleted_at IS NULL) WITH CHECK (true);
CREATE OR REPLACE FUNCTION {t}_soft(gone integer) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS 'UPDATE {t} SET deleted_at = now() WHERE id = gone AND deleted_at IS NULL'"""

ARCHIVE = """
DROP TABLE IF EXISTS {t}_archive;
CREATE TABLE {t}_archive (LIKE {t}, deleted_at timestamptz, PRIMARY KEY (id));
CREATE INDEX ON {t}_archive (deleted_at);
CREATE OR REPLACE FUNCTION {t}_soft() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {t}_archive VALUES (OLD.*, now());
    RETURN OLD;
END $$;
CREATE TRIGGER soft AFTER DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION {t}_soft()"""

TAG = "SELECT soft_delete.tag('{t}')"
TAG_ASIDE = "SELECT soft_delete.tag('{t}', storage => 'aside')"

CONTENDERS = [
    Contender("hard DELETE", filtered=""),
    Contender(PLAIN_UPDATE, filtered="", delete_all=UPDATE_ALL, delete_one=UPDATE_ONE, read=READ_LIVE),
    Contender(BY_HAND, delete_all=UPDATE_ALL, delete_one=UPDATE_ONE, read=READ_LIVE),
    Contender("rule", setup=RULE, read=READ_LIVE),
    Contender("PL/pgSQL trigger", setup=TRIGGER, read=READ_LIVE),
    Contender("view, INSTEAD OF", setup=VIEW, delete_all="DELETE FROM {t}_live", delete_one="DELETE FROM {t}_live WHERE id = :i",
              read="SELECT email FROM {t}_live WHERE id = :i"),
    Contender("row security", setup=POLICY, delete_all=UPDATE_ALL, delete_one="SELECT {t}_soft(:i)"),
    Contender("archive trigger", filtered="", setup=ARCHIVE),
    Contender(SOFT, database="soft", filtered="", setup=TAG),
    Contender(ASIDE, database="soft", filtered="", setup=TAG_ASIDE),
]


def make_databases(bench):
    """Makes the databases of the contenders."""
    bench.database("hand", extension=False)
    bench.database("soft")
