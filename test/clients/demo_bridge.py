#!/usr/bin/env python3
"""A Flask-SQLAlchemy application that deletes softly by a flag of its own, and its DBA.

The application sets User.deleted and filters by it.  It runs on plain tables, and then,
unchanged, on tables with a bridge.  What is to be the same is compared; each difference
is stated.
"""
import os
import sys

import psycopg2
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import IntegrityError

DSN = "host=%s port=%s user=%s dbname=%s" % (
    os.environ["PGHOST"], os.environ.get("PGPORT", "5432"),
    os.environ["PGUSER"], os.environ["PGDATABASE"])

# ---------------------------------------------------------------- application

app = Flask("demo")
app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg2://"
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"creator": lambda: psycopg2.connect(DSN)}
db = SQLAlchemy(app)


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    username = db.Column(db.String(80), nullable=False)
    email = db.Column(db.String(120), unique=True, nullable=False)
    deleted = db.Column(db.Boolean, default=False)


class Post(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(80), nullable=False)
    user_id = db.Column(db.Integer, db.ForeignKey("user.id", ondelete="CASCADE"), nullable=False)


def names(query):
    return [user.username for user in query.order_by(User.id)]


def program():
    """What the application does: a list of what it finds."""
    found = []

    def note(label, value):
        found.append((label, value))

    for name in ("alice", "bob", "charlie"):
        db.session.add(User(username=name, email=name + "@example.com"))
    db.session.commit()
    bob = User.query.filter_by(username="bob").one()
    bob_id = bob.id
    db.session.add(Post(title="bob's post", user_id=bob_id))
    db.session.commit()

    bob.deleted = True
    db.session.commit()
    note("the flag of bob, after commit", bob.deleted)
    db.session.expunge_all()
    note("users that are not deleted", names(User.query.filter_by(deleted=False)))
    note("deleted users", names(User.query.filter_by(deleted=True)))
    note("all users", names(User.query))
    gone = db.session.get(User, bob_id)
    note("get by id", gone.username if gone else None)
    note("count of users", User.query.count())
    note("posts", Post.query.count())
    note("bulk: delete again", User.query.filter_by(id=bob_id, deleted=False).update({"deleted": True}))
    db.session.commit()

    db.session.add(User(username="new bob", email="bob@example.com"))
    try:
        db.session.commit()
        note("a new bob with the same email", "is welcome")
        User.query.filter_by(username="new bob").update({"deleted": True})
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        note("a new bob with the same email", "is refused")

    note("bulk: restore", User.query.filter_by(id=bob_id).update({"deleted": False}))
    db.session.commit()
    db.session.expunge_all()
    note("users that are not deleted, then", names(User.query.filter_by(deleted=False)))
    note("posts, then", Post.query.count())
    db.session.delete(User.query.filter_by(username="charlie").one())
    db.session.commit()
    note("after a DELETE of charlie", names(User.query.filter_by(deleted=False)))
    return dict(found)


# ------------------------------------------------------------------- the story

steps = 0


def tell(text):
    print("\n" + text)


def show(label, value, expected):
    """Print a value of the story, which must be the expected one."""
    global steps
    print("    %-42s %s" % (label, value))
    if value != expected:
        print("not ok %d - %s: expected %r" % (steps + 1, label, expected))
        sys.exit(1)
    steps += 1


def dba(sql):
    """Run statements as the DBA; return the rows of the last one."""
    print("    postgres=# " + sql)
    connection = psycopg2.connect(DSN)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(sql)
    rows = cursor.fetchall() if cursor.description else None
    connection.close()
    return rows


def run(*preparations):
    """Run the application on new tables; return what it finds."""
    db.session.remove()
    db.engine.dispose()
    db.drop_all()
    db.create_all()
    for sql in preparations:
        dba(sql)
    db.session.remove()
    db.engine.dispose()
    return program()


def story():
    tell("1. The application on plain tables.")
    plain = run()
    for label, value in plain.items():
        show(label, value, value)

    tell("2. The DBA gives its tables a bridge.  The application brings its own filter.")
    bridged = run("CREATE EXTENSION soft_delete",
                  "SELECT soft_delete.tag('\"user\"', bridge => 'deleted', cascade => true)",
                  "ALTER ROLE CURRENT_USER IN DATABASE %s SET soft_delete.bridge = 'application'" % os.environ["PGDATABASE"])
    better = {"posts": 0, "a new bob with the same email": "is welcome"}
    for label, value in plain.items():
        show(label, bridged[label], better.get(label, value))
    print("    Different, and better: bob's posts went with him and came back, and his email was free.")

    tell("3. Every other program sees live users, whether it knows of the flag or not.")
    dba("CREATE ROLE demo_report; GRANT SELECT ON ALL TABLES IN SCHEMA public TO demo_report")
    show("a report", dba("SET ROLE demo_report; SELECT string_agg(username, ', ' ORDER BY id) FROM \"user\""), [("alice, bob",)])

    tell("4. What the DBA has of it.")
    rows = dba("SELECT username, deleted FROM user_deleted ORDER BY deleted_at")
    show("the bin", rows, [("new bob", True), ("charlie", True)])
    rows = dba("SELECT sum(deleted), sum(restored) FROM soft_delete.deletions")
    show("rows deleted and restored, in the ledger", [int(n) for n in rows[0]], [4, 2])
    dba("UPDATE user_deleted SET deleted_at = NULL WHERE username = 'charlie'")
    show("charlie is back, says his flag", User.query.filter_by(username="charlie").one().deleted, False)


with app.app_context():
    story()
    db.session.remove()
    db.engine.dispose()
print("\nok 1 - all %d statements of the story hold" % steps)
