"""Alembic: what autogenerate finds between models and tables, through migrations up and down with rows that
are deleted in between, and what SQLAlchemy's inspector says of the tables.

packages: python3-alembic python3-sqlalchemy python3-psycopg2
storages: aside
"""
import os

from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import (CheckConstraint, Column, Computed, Date, ForeignKey, ForeignKeyConstraint, Identity, Index, Integer, MetaData,
                        Numeric, String, Table, Text, UniqueConstraint, create_engine, func, inspect, text)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.schema import CreateIndex, CreateTable

engine = create_engine("postgresql+psycopg2://", connect_args={"host": os.environ["PGHOST"], "dbname": os.environ["PGDATABASE"],
                                                               "user": os.environ["PGUSER"], "port": os.environ["PGPORT"]})


def models(version):
    """The tables as the application wants them."""
    m = MetaData()
    Table("publisher", m, Column("id", Integer, Identity(), primary_key=True), Column("name", String(40), nullable=version < 3),
          Column("city", Text, server_default="nowhere"), UniqueConstraint("name", name="one_name"), comment="who prints")
    Table("book", m, Column("id", Integer, primary_key=True),
          Column("publisher_id", ForeignKey("publisher.id", name="of_publisher", ondelete="CASCADE"), nullable=False, index=True),
          Column("title", String(40 if version < 2 else 80), nullable=False),
          Column("price", Integer if version < 3 else Numeric(8, 2), server_default="1"),
          Column("tags", ARRAY(Text), comment="words"), Column("more", JSONB, server_default="{}"),
          *([Column("twice", Integer, Computed("id * 2"))] if version > 1 else []),
          *([Column("printed", Date, nullable=version < 3)] if version > 1 else [Column("legacy", Text)]),
          CheckConstraint("title <> ''", name="titled"),
          UniqueConstraint("publisher_id", "title", name="one_title", deferrable=True if version > 2 else None))
    Index("by_title", m.tables["book"].c.title, unique=version > 2)
    Index("by_lower_title", func.lower(m.tables["book"].c.title))
    Table("copy", m, Column("book_id", ForeignKey("book.id", name="of_book", ondelete="CASCADE"), primary_key=True),
          Column("number", Integer, primary_key=True), Column("lent_to", Text))
    if version > 1:
        Table("loan", m, Column("id", Integer, Identity(always=True), primary_key=True), Column("book_id", Integer), Column("number", Integer),
              ForeignKeyConstraint(["book_id", "number"], ["copy.book_id", "copy.number"], name="of_copy", ondelete="SET NULL"))
    return m


def apply(operations, op):
    """An operation, and those within it."""
    if hasattr(op, "ops"):
        for inner in op.ops:
            apply(operations, inner)
    else:
        operations.invoke(op)


def migrate(connection, version, backfill=None):
    """To the models of a version, by what autogenerate proposes; returns it."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    script = produce_migrations(context, models(version))
    print("-- to version", version)
    print(render_python_code(script.upgrade_ops))
    if backfill:
        connection.execute(text(backfill))
    apply(Operations(context), script.upgrade_ops)
    print("left to do:", compare_metadata(context, models(version)))
    return script


def report(connection):
    """What the inspector says, and the tables as they would be made."""
    inspector = inspect(connection)
    print("tables", sorted(inspector.get_table_names()), "views", sorted(inspector.get_view_names()), "sequences", sorted(inspector.get_sequence_names()))
    for table in sorted(inspector.get_table_names()):
        print(table, inspector.get_table_comment(table), inspector.get_pk_constraint(table))
        for columns in (inspector.get_columns(table), inspector.get_unique_constraints(table), inspector.get_indexes(table),
                        inspector.get_foreign_keys(table), inspector.get_check_constraints(table)):
            for column in columns:
                print("   ", column)
    reflected = MetaData()
    reflected.reflect(connection)
    for table in reflected.sorted_tables:
        print(CreateTable(table).compile(connection), *sorted(str(CreateIndex(i).compile(connection)) for i in table.indexes))


def fill(connection):
    """Some rows, of which most are deleted."""
    run = lambda sql: print(sql.split(" (")[0], connection.execute(text(sql)).rowcount)
    run("DELETE FROM publisher")
    run("INSERT INTO publisher (name) SELECT nullif('p' || g, 'p3') FROM generate_series(1, 4) AS g")
    run("INSERT INTO book (id, publisher_id, title) SELECT row_number() OVER (ORDER BY id, g), id, 't' || id || g FROM publisher, generate_series(1, 3) AS g")
    run("INSERT INTO copy SELECT id, g FROM book, generate_series(1, 2) AS g")
    run("DELETE FROM publisher WHERE name IS NULL OR name = 'p1'")
    run("DELETE FROM book WHERE title LIKE '%2'")
    run("INSERT INTO book (id, publisher_id, title) SELECT id + 10, publisher_id, 't2' || id FROM book WHERE title LIKE '%1'")


with engine.begin() as connection:
    first = migrate(connection, 1)
with engine.begin() as connection:
    fill(connection)
    second = migrate(connection, 2)
    fill(connection)
    report(connection)
with engine.begin() as connection:
    migrate(connection, 3, "UPDATE book SET printed = '2020-02-02'")
    print("printed", connection.execute(text("SELECT count(*), count(printed) FROM book")).all())
    report(connection)
with engine.begin() as connection:
    print("-- and back")
    migrate(connection, 2)
    apply(Operations(MigrationContext.configure(connection)), second.upgrade_ops.reverse())
    report(connection)
    fill(connection)
    print("left to do:", compare_metadata(MigrationContext.configure(connection), models(1)))
