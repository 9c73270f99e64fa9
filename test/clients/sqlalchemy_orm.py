"""SQLAlchemy: unit of work, cascades by the ORM and by the database, many-to-many, joined inheritance,
optimistic locking, upserts, RETURNING, savepoints, server-side cursors.

packages: python3-sqlalchemy python3-psycopg2
"""
import io
import os
import warnings

from sqlalchemy import (CheckConstraint, Column, ForeignKey, Index, Integer, MetaData, String, Table, UniqueConstraint,
                        create_engine, delete, exc, func, insert, inspect, select, text, update)
from sqlalchemy.dialects.postgresql import INT4RANGE, ExcludeConstraint, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, backref, declarative_base, relationship, selectinload
from sqlalchemy.orm.exc import StaleDataError

warnings.simplefilter("error", exc.SAWarning)
NAMES = {"ix": "ix_%(column_0_label)s", "uq": "uq_%(table_name)s_%(column_0_name)s", "ck": "ck_%(table_name)s_%(constraint_name)s",
         "fk": "fk_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"}
Base = declarative_base(metadata=MetaData(naming_convention=NAMES))

post_tag = Table("post_tag", Base.metadata,
                 Column("post_id", ForeignKey("post.id", ondelete="CASCADE"), primary_key=True),
                 Column("tag_name", ForeignKey("tag.name"), primary_key=True))


class Account(Base):
    __tablename__ = "account"
    id = Column(Integer, primary_key=True)
    email = Column(String(80), nullable=False, unique=True)
    settings = Column(JSONB, nullable=False, server_default="{}")
    version = Column(Integer, nullable=False)
    posts = relationship("Post", back_populates="author", cascade="all, delete-orphan", order_by="Post.id")
    logins = relationship("Login", cascade="all, delete-orphan", passive_deletes=True, order_by="Login.id")
    __mapper_args__ = {"version_id_col": version}


class Post(Base):
    __tablename__ = "post"
    id = Column(Integer, primary_key=True)
    author_id = Column(ForeignKey("account.id"), nullable=False)
    slug = Column(String(40), nullable=False)
    title = Column(String(80), nullable=False)
    author = relationship("Account", back_populates="posts")
    tags = relationship("Tag", secondary=post_tag, back_populates="posts", order_by="Tag.name")
    __table_args__ = (UniqueConstraint("author_id", "slug", name="one_slug_per_author"), CheckConstraint("title <> ''", name="title"))


class Tag(Base):
    __tablename__ = "tag"
    name = Column(String(20), primary_key=True)
    posts = relationship("Post", secondary=post_tag, back_populates="tags", order_by="Post.id")


class Login(Base):
    __tablename__ = "login"
    id = Column(Integer, primary_key=True)
    account_id = Column(ForeignKey("account.id", ondelete="CASCADE"), nullable=False)
    provider = Column(String(20), nullable=False)
    __table_args__ = (Index("one_login_per_provider", "account_id", "provider", unique=True),)


class Folder(Base):
    __tablename__ = "folder"
    id = Column(Integer, primary_key=True)
    name = Column(String(20), nullable=False)
    parent_id = Column(ForeignKey("folder.id", ondelete="SET NULL"))
    position = Column(Integer, nullable=False)
    children = relationship("Folder", backref=backref("parent", remote_side=[id]), passive_deletes=True, order_by="Folder.position")
    __table_args__ = (UniqueConstraint("position", name="one_position", deferrable=True, initially="DEFERRED"),)


class Employee(Base):
    __tablename__ = "employee"
    id = Column(Integer, primary_key=True)
    kind = Column(String(10), nullable=False)
    badge = Column(String(10), unique=True)
    __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "employee"}


class Manager(Employee):
    __tablename__ = "manager"
    id = Column(ForeignKey("employee.id"), primary_key=True)
    car = Column(String(10), unique=True)
    __mapper_args__ = {"polymorphic_identity": "manager"}


class Booking(Base):
    __tablename__ = "booking"
    id = Column(Integer, primary_key=True)
    hours = Column(INT4RANGE, nullable=False)
    __table_args__ = (ExcludeConstraint(("hours", "&&"), name="no_overlap"),)


def show(label, value):
    print("%-52s %r" % (label, value))


def attempt(label, action):
    """Do what may fail; show the error as an application would tell it from others."""
    try:
        show(label, action())
    except exc.DBAPIError as error:
        diag = error.orig.diag
        show(label, (type(error).__name__, error.orig.pgcode, diag.constraint_name, diag.table_name, diag.message_primary))
    except StaleDataError as error:
        show(label, str(error))


def dsn():
    return "postgresql+psycopg2://%s@/%s?host=%s&port=%s" % tuple(os.environ[key] for key in ("PGUSER", "PGDATABASE", "PGHOST", "PGPORT"))


engine = create_engine(dsn())


def fill(session):
    names = ("red", "green", "blue")
    tags = {name: Tag(name=name) for name in names}
    session.add_all(tags.values())
    session.flush()
    for number, who in enumerate(("alice", "bob", "carol", "dave")):
        account = Account(email=who + "@example.com")
        account.posts = [Post(slug="post-%d" % n, title="%s %d" % (who, n), tags=[tags[names[(n + number) % 3]], tags[names[n % 3]]]
                              if number % 3 else [tags[names[n]]]) for n in range(3)]
        account.logins = [Login(provider=provider) for provider in ("password", "oidc")]
        session.add(account)
        session.flush()
    session.commit()


def account(session, who):
    return session.execute(select(Account).where(Account.email == who + "@example.com")).scalar_one_or_none()


def census(session):
    return [(mapped.__tablename__, session.scalar(select(func.count()).select_from(mapped)))
            for mapped in (Account, Post, Tag, Login, Folder, Employee, Manager, Booking)] + \
        [("post_tag", session.scalar(select(func.count()).select_from(post_tag)))]


def unit_of_work():
    with Session(engine) as session:
        fill(session)
        show("filled", census(session))
        bob = account(session, "bob")
        old = bob.id
        session.delete(bob)
        session.commit()
        show("bob is deleted, with posts, logins and links", census(session))
        show("get() of a deleted object", session.get(Account, old))
        new = Account(id=old, email="bob@example.com", posts=[Post(slug="post-0", title="again")])
        session.add(new)
        session.commit()
        show("the same key and email again", (new.id == old, new.version, [post.title for post in new.posts], len(new.logins)))
        new.posts.pop()
        session.commit()
        show("an orphan is deleted", session.scalar(select(func.count()).select_from(Post).where(Post.author_id == old)))


def identity_in_one_transaction():
    """Delete and insert of the same key in one flush, which SQLAlchemy turns into an UPDATE, and in two, which it does not."""
    with Session(engine) as session:
        carol = account(session, "carol")
        key = carol.id
        session.delete(carol)
        session.flush()
        session.add(Account(id=key, email="carol@example.com", settings={"theme": "dark"}))
        session.flush()
        session.rollback()
        show("rolled back", (account(session, "carol").settings, len(account(session, "carol").posts)))
        session.delete(account(session, "carol"))
        session.flush()
        session.add(Account(id=key, email="carol@example.com", settings={"theme": "light"}))
        session.commit()
        show("replaced", (account(session, "carol").settings, len(account(session, "carol").posts)))


def many_to_many():
    with Session(engine) as session:
        post = account(session, "alice").posts[0]
        before = [tag.name for tag in post.tags]
        for names in (["green", "blue"], ["red"], ["red", "green", "blue"], [], ["green"]):
            post.tags = [session.get(Tag, name) for name in names]
            session.commit()
            show("tags %s" % names, [tag.name for tag in post.tags])
        show("before", before)
        attempt("link twice", lambda: session.execute(insert(post_tag).values(post_id=post.id, tag_name="green")).rowcount)
        session.rollback()
        attempt("a tag in use", lambda: session.execute(delete(Tag).where(Tag.name == "green")).rowcount)
        session.rollback()
        session.delete(session.get(Tag, "green"))
        session.commit()
        show("the ORM unlinks before it deletes", ([tag.name for tag in post.tags], census(session)[-1]))
        session.add(Tag(name="green", posts=[post]))
        session.commit()
        show("a deleted tag again", [tag.name for tag in post.tags])
        show("posts by tag", session.execute(select(Tag.name, func.count(post_tag.c.post_id)).outerjoin(post_tag)
                                             .group_by(Tag.name).order_by(Tag.name)).all())


def stale_data():
    with Session(engine) as one, Session(engine) as two:
        first, second = account(one, "dave"), account(two, "dave")
        first.settings = {"a": 1}
        one.commit()
        second.settings = {"a": 2}
        attempt("update of an old version", two.commit)
        two.rollback()
        second = account(two, "dave")
        show("version", second.version)
        one.delete(account(one, "dave"))
        one.commit()
        second.settings = {"a": 3}
        attempt("update of what is deleted", two.commit)
        two.rollback()
    with Session(engine) as one, Session(engine) as two:
        post, twin = (session.execute(select(Post).order_by(Post.id.desc()).limit(1)).scalar_one() for session in (one, two))
        one.delete(post)
        one.commit()
        two.delete(twin)
        try:
            two.commit()
            show("deleted twice", "no warning")
        except exc.SAWarning as warning:
            show("deleted twice", str(warning).split(" ('")[0])
            two.rollback()


def errors():
    with Session(engine) as session:
        alice = account(session, "alice").id
        attempt("email taken", lambda: session.execute(insert(Account).values(email="alice@example.com", version=1)))
        session.rollback()
        attempt("slug taken", lambda: session.execute(insert(Post).values(author_id=alice, slug="post-1", title="x")))
        session.rollback()
        attempt("login taken", lambda: session.execute(insert(Login).values(account_id=alice, provider="oidc")))
        session.rollback()
        attempt("key taken", lambda: session.execute(insert(Account).values(id=alice, email="z@example.com", version=1)))
        session.rollback()
        attempt("no such author", lambda: session.execute(insert(Post).values(author_id=4711, slug="x", title="x")))
        session.rollback()
        gone = session.execute(insert(Account).values(email="gone@example.com", version=1).returning(Account.id)).scalar_one()
        session.commit()
        show("rowcount", session.execute(delete(Account).where(Account.id == gone)).rowcount)
        session.commit()
        attempt("the author is deleted", lambda: session.execute(insert(Post).values(author_id=gone, slug="x", title="x")))
        session.rollback()
        attempt("an author with posts", lambda: session.execute(delete(Account).where(Account.id == alice)).rowcount)
        session.rollback()
        attempt("check", lambda: session.execute(insert(Post).values(author_id=alice, slug="x", title="")))
        session.rollback()
        for _ in range(3):
            with_retry(session, "eve")
            session.execute(delete(Account).where(Account.email == "eve@example.com"))
            session.commit()
        with_retry(session, "alice")


def with_retry(session, who):
    """Register a name; take another where that is taken, which the constraint's name says."""
    for suffix in ("", "-2", "-3"):
        try:
            with session.begin_nested():
                session.execute(insert(Account).values(email="%s%s@example.com" % (who, suffix), version=1))
            show("registered", who + suffix)
            break
        except exc.IntegrityError as error:
            show("retry because of", (error.orig.pgcode, error.orig.diag.constraint_name))
    session.commit()


def upserts():
    with Session(engine) as session:
        query = upsert(Account).values([{"email": "alice@example.com", "version": 9}, {"email": "bob@example.com", "version": 9},
                                        {"email": "frank@example.com", "version": 9}])
        for round_ in range(2):
            rows = session.execute(query.on_conflict_do_update(index_elements=["email"], set_={"version": Account.version + 1})
                                   .returning(Account.email, Account.version)).all()
            show("by column", sorted(tuple(row) for row in rows))
            rows = session.execute(query.on_conflict_do_update(constraint="uq_account_email", set_={"version": query.excluded.version})
                                   .returning(Account.email, Account.version)).all()
            show("by constraint", sorted(tuple(row) for row in rows))
            show("do nothing", session.execute(query.on_conflict_do_nothing()).rowcount)
            show("deleted", session.execute(delete(Account).where(Account.email == "frank@example.com")).rowcount)
            session.commit()
        attempt("no such constraint", lambda: session.execute(query.on_conflict_do_nothing(constraint="uq_nothing")))
        session.rollback()
        tags = upsert(Tag).values([{"name": name} for name in ("red", "violet")]).on_conflict_do_nothing(index_elements=["name"])
        for round_ in range(2):
            show("tags", sorted(session.execute(tags.returning(Tag.name)).scalars()))
            show("deleted", session.execute(delete(Tag).where(Tag.name == "violet").returning(Tag.name)).scalars().all())
        session.commit()


def bulk():
    with Session(engine) as session:
        session.bulk_insert_mappings(Folder, [{"id": n, "name": "f%d" % n, "position": n, "parent_id": n // 2 or None} for n in range(1, 40)])
        session.commit()
        session.execute(text("SELECT setval('folder_id_seq', 100)"))
        show("deleted", session.execute(delete(Folder).where(Folder.id.in_([2, 3]))).rowcount)
        session.commit()
        show("their children are roots", [folder.id for folder in session.execute(
            select(Folder).where(Folder.parent_id.is_(None)).order_by(Folder.id)).scalars()])
        session.execute(update(Folder).values(position=Folder.position + 1))
        session.commit()
        one, four = session.get(Folder, 1), session.get(Folder, 4)
        one.position, four.position = four.position, one.position
        session.commit()
        show("swapped, which a deferred constraint allows", (one.position, four.position))
        session.add(Folder(name="double", position=one.position))
        session.flush()
        attempt("deferred", session.commit)
        session.rollback()
        position = one.position
        session.delete(one)
        session.flush()
        session.add(Folder(id=1, name="anew", position=position))
        session.commit()
        show("anew", [(folder.id, folder.parent_id) for folder in session.execute(select(Folder).where(Folder.position == position)).scalars()])
        show("in chunks", sum(len(chunk) for chunk in session.execute(
            select(Folder.id).execution_options(stream_results=True, yield_per=7)).partitions(7)))
        show("returned", sorted(session.execute(delete(Folder).where(Folder.id > 20).returning(Folder.id, Folder.name)).all())[:3])
        show("once more", session.execute(delete(Folder).where(Folder.id > 20)).rowcount)
        session.commit()
        gone = session.execute(delete(Folder).where(Folder.id == select(func.max(Folder.id)).scalar_subquery()),
                               execution_options={"synchronize_session": "fetch"}).rowcount
        session.commit()
        show("by subquery", (gone, session.scalar(select(func.max(Folder.id)))))


def inheritance():
    with Session(engine) as session:
        session.add_all([Employee(badge="e1"), Manager(badge="m1", car="c1"), Manager(badge="m2", car="c2")])
        session.commit()
        manager = session.execute(select(Manager).where(Manager.car == "c1")).scalar_one()
        session.delete(manager)
        session.commit()
        show("staff", [(type(each).__name__, each.badge) for each in session.execute(select(Employee).order_by(Employee.id)).scalars()])
        session.add(Manager(badge="m1", car="c1"))
        session.commit()
        show("staff", [(type(each).__name__, each.badge) for each in session.execute(select(Employee).order_by(Employee.id)).scalars()])
        attempt("half of it", lambda: session.execute(delete(Employee.__table__).where(Employee.badge == "m1")).rowcount)
        session.rollback()


def bookings():
    with Session(engine) as session:
        hours = text("INSERT INTO booking (hours) VALUES (int4range(:low, :high)) RETURNING id")
        show("booked", session.execute(hours, {"low": 9, "high": 11}).scalar_one())
        session.commit()
        attempt("overlaps", lambda: session.execute(hours, {"low": 10, "high": 12}).scalar_one())
        session.rollback()
        show("cancelled", session.execute(delete(Booking)).rowcount)
        show("free again", session.execute(hours, {"low": 10, "high": 12}).scalar_one())
        session.commit()


def raw_connections():
    """What scripts do beside the ORM: a named cursor, COPY, LISTEN."""
    raw = engine.raw_connection()
    cursor = raw.cursor("pages")
    cursor.itersize = 2
    cursor.execute("SELECT id, email FROM account ORDER BY id")
    show("named cursor", list(cursor))
    cursor.close()
    other = raw.cursor()
    other.execute("LISTEN deleted")
    other.execute("DELETE FROM login WHERE provider = 'oidc'")
    count = other.rowcount
    other.execute("NOTIFY deleted, 'oidc'")
    raw.commit()
    raw.driver_connection.poll()
    show("notified", (count, [(each.channel, each.payload) for each in raw.driver_connection.notifies]))
    buffer = io.StringIO()
    other.copy_expert("COPY login (id, account_id, provider) TO STDOUT", buffer)
    show("copied", sorted(buffer.getvalue().splitlines()))
    raw.rollback()
    raw.close()


def reflection():
    inspector = inspect(engine)
    show("primary keys", [inspector.get_pk_constraint(name)["name"] for name in ("account", "post_tag")])
    show("foreign keys", sorted(key["name"] for key in inspector.get_foreign_keys("post_tag")))


Base.metadata.create_all(engine)
Base.metadata.create_all(engine)
for part in (unit_of_work, identity_in_one_transaction, many_to_many, stale_data, errors, upserts, bulk, inheritance, bookings,
             raw_connections, reflection):
    print("-- " + part.__name__)
    part()
