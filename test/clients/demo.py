#!/usr/bin/env python3
"""A Flask-SQLAlchemy application that knows nothing of soft deletes, and its DBA.

The application part has no flag column, no filter and no event hook.  The
DBA's part is two SQL statements.  Each step states what it expects and fails
where that does not hold, so the story is a test too.
"""
import os
import sys
import warnings

import psycopg2
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import SAWarning

# a DELETE that matches no row makes SQLAlchemy warn of a stale object
warnings.simplefilter("error", SAWarning)

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
    username = db.Column(db.String(80), unique=True, nullable=False)
    email = db.Column(db.String(120), unique=True, nullable=False)
    posts = db.relationship("Post", backref="author", cascade="all, delete-orphan")


class Post(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(80), nullable=False)
    user_id = db.Column(db.Integer, db.ForeignKey("user.id"), nullable=False)


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
    """Run a statement as the DBA; return its rows, or the error's code."""
    print("    postgres=# " + sql)
    connection = psycopg2.connect(DSN)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SET lock_timeout = '10s'")
    try:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else cursor.rowcount
    except psycopg2.Error as error:
        print("    " + str(error).strip().replace("\n", "\n    "))
        return error.pgcode
    finally:
        connection.close()


def usernames():
    return [user.username for user in User.query.order_by(User.id).all()]


def story():
    tell("1. The application creates its tables, three users and their posts.")
    db.create_all()
    for name in ("alice", "bob", "charlie"):
        user = User(username=name, email=name + "@example.com")
        user.posts = [Post(title="%s's post %d" % (name, i)) for i in (1, 2)]
        db.session.add(user)
    db.session.commit()
    show("User.query.all()", usernames(), ["alice", "bob", "charlie"])

    tell("2. The DBA makes deletes soft.  The application is not changed, nor restarted by more\n"
         "   than its connections.")
    db.session.remove()
    db.engine.dispose()
    dba("CREATE EXTENSION soft_delete")
    dba("SELECT soft_delete.tag(t) FROM unnest('{user,post}'::regclass[]) AS t")

    tell("3. The application deletes bob: session.delete(bob), commit.")
    bob = User.query.filter_by(username="bob").one()
    bob_id = bob.id
    db.session.delete(bob)
    db.session.commit()
    show("User.query.all()", usernames(), ["alice", "charlie"])
    show("User.query.get(bob.id)", User.query.get(bob_id), None)
    show("Post.query.count()", Post.query.count(), 4)

    tell("4. A new bob registers with the same name and email.")
    new_bob = User(username="bob", email="bob@example.com")
    db.session.add(new_bob)
    db.session.commit()
    show("User.query.all()", usernames(), ["alice", "charlie", "bob"])
    show("the new bob has another id", new_bob.id != bob_id, True)

    tell("5. The DBA looks into the bins.")
    rows = dba("SELECT id, username, email, deleted_at IS NOT NULL FROM user_deleted")
    show("user_deleted", rows, [(bob_id, "bob", "bob@example.com", True)])
    rows = dba("SELECT title FROM post_deleted ORDER BY id")
    show("post_deleted", rows, [("bob's post 1",), ("bob's post 2",)])

    tell("6. The old bob cannot come back while his email is taken.")
    code = dba("UPDATE user_deleted SET deleted_at = NULL WHERE username = 'bob'")
    show("error code", code, "23505")
    show("User.query.all()", usernames(), ["alice", "charlie", "bob"])

    tell("7. The application removes the new bob; then the DBA restores the old one and his posts.")
    db.session.delete(User.query.filter_by(id=new_bob.id).one())
    db.session.commit()
    show("restored", dba("UPDATE user_deleted SET deleted_at = NULL WHERE id = %d" % bob_id), 1)
    show("restored", dba("UPDATE post_deleted SET deleted_at = NULL WHERE user_id = %d" % bob_id), 2)
    show("User.query.all()", usernames(), ["alice", "bob", "charlie"])
    show("bob's posts", [post.title for post in User.query.filter_by(username="bob").one().posts],
         ["bob's post 1", "bob's post 2"])

    tell("8. The DBA purges what is left in the bin, for good.")
    show("purged", dba("DELETE FROM user_deleted"), 1)
    show("left in the bin", dba("SELECT count(*) FROM user_deleted"), [(0,)])
    show("User.query.all()", usernames(), ["alice", "bob", "charlie"])


with app.app_context():
    story()
    db.session.remove()
    db.engine.dispose()
print("\nok 1 - all %d statements of the story hold" % steps)
