"""Django: migrations to and fro, fixtures with explicit ids, cascades by the ORM under deferred foreign keys,
get_or_create and upserts, many-to-many, generic relations, TestCase and TransactionTestCase.

packages: python3-django python3-psycopg2
"""
import io
import os
import sys

import django
from django.conf import settings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
DATABASE = {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"], "USER": os.environ["PGUSER"], "TEST": {"NAME": os.environ["PGDATABASE"]}}
settings.configure(
    DATABASES={"default": DATABASE}, SECRET_KEY="no secret", USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "shop"])
django.setup()

from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import DatabaseError, IntegrityError, connection, models, transaction  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402
from django.test.utils import get_runner  # noqa: E402
from shop.models import Customer, Line, Note, Order, Product, Profile, Refund, Tag, Wish  # noqa: E402


def show(label, value):
    print("%-52s %r" % (label, value))


def attempt(label, action):
    """Do in a savepoint what may fail; show the error as an application would tell it from others."""
    try:
        with transaction.atomic():
            show(label, action())
    except (DatabaseError, models.ProtectedError) as error:
        diag = getattr(error.__cause__, "diag", None)
        show(label, (type(error).__name__, diag and diag.sqlstate, diag and diag.constraint_name, diag and diag.table_name)
             if diag else (type(error).__name__, str(error.args[0])))


def command(*arguments, **options):
    out = io.StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def ids(queryset):
    return list(queryset.order_by("pk").values_list("pk", flat=True))


def census():
    return [(model.__name__, model.objects.count()) for model in (Customer, Profile, Product, Tag, Wish, Order, Line, Refund, Note)]


def models_of(*migration):
    return MigrationExecutor(connection).loader.project_state([migration]).apps


def migrations():
    command("migrate", "shop", "0001", verbosity=0)
    OldCustomer = models_of("shop", "0001_initial").get_model("shop", "Customer")
    for number in range(9):
        OldCustomer.objects.create(address="c%d@example.com" % (number % 4), name="C%d" % number).draft_set.create(text="?")
    show("before", (OldCustomer.objects.count(), ids(OldCustomer.objects)))
    command("migrate", verbosity=0)
    show("after", list(Customer.objects.order_by("pk").values_list("pk", "email")))
    attempt("email taken", lambda: Customer.objects.create(email="c0@example.com", name="x"))
    Customer.objects.filter(email="c3@example.com").delete()
    Customer.objects.create(email="c3@example.com", name="C3")
    command("migrate", "shop", "0001", verbosity=0)
    Draft = models_of("shop", "0001_initial").get_model("shop", "Draft")
    show("back", list(Draft.objects.order_by("pk").values_list("text", "customer__address")))
    command("migrate", verbosity=0)
    show("and forth", list(Customer.objects.order_by("pk").values_list("pk", "email")))
    show("all applied", "[ ]" not in command("showmigrations", "shop"))
    command("makemigrations", "--check", "--dry-run", verbosity=0)
    command("migrate", "shop", "zero", verbosity=0)
    show("tables", [name for name in connection.introspection.table_names() if name.startswith("shop")])
    command("migrate", verbosity=0)
    show("empty", census())


def own_tests():
    # in this very database
    runner = get_runner(settings)(keepdb=True, verbosity=0, interactive=False)
    suite = runner.build_suite(["shop"])
    results = runner.run_suite(suite)
    show("tests", (results.testsRun, [str(test) for test, _ in results.failures + results.errors]))
    for _, trace in results.failures + results.errors:
        print(trace)
    show("left", census())


def fixtures():
    for _ in range(2):
        show("loaddata", command("loaddata", "shop.json").strip())
        show("census", census())
        show("deleted", Customer.objects.filter(pk=101).delete())
        show("deleted", Tag.objects.all().delete())
        show("census", census())
    show("loaddata", command("loaddata", "shop.json").strip())
    show("dumpdata", command("dumpdata", "shop"))
    with connection.cursor() as cursor:
        cursor.execute(command("sqlsequencereset", "shop", no_color=True))
    show("next", Customer.objects.create(email="cy@example.com", name="Cy", referrer_id=101).pk)


def cascades():
    ann = Customer.objects.get(pk=101)
    ann.notes.create(text="likes tea")
    Note.objects.create(about=Order.objects.get(pk=11), text="late")
    attempt("protected", lambda: Product.objects.get(pk="sencha").delete())
    refund = Refund.objects.create(line_id=21, amount=1)
    attempt("do nothing, deferred", lambda: ann.delete())
    ann = Customer.objects.get(pk=101)
    show("rolled back", census())
    refund.delete()
    show("delete()", ann.delete())
    show("census", census())
    show("set null by the ORM", Customer.objects.get(email="cy@example.com").referrer)
    show("the instance knows", (ann.pk, ann.id))
    show("without objects", Order.objects.filter(customer=101).delete())
    attempt("the product is free", lambda: Product.objects.get(pk="sencha").delete())
    attempt("an order for who is deleted", lambda: Order.objects.create(customer_id=101, number=1))
    attempt("checked now", lambda: (Order.objects.create(customer_id=101, number=1), connection.check_constraints()))
    with connection.constraint_checks_disabled():
        show("in the other order", order_first())


def order_first():
    """A deferred foreign key lets the child come before the parent, whose key is that of a deleted one."""
    with transaction.atomic():
        order = Order.objects.create(customer_id=101, number=7)
        Customer.objects.create(pk=101, email="ann@example.com", name="Ann again")
    return order.customer.name, order.number


def stale_objects():
    ben = Customer.objects.get(pk=102)
    Customer.objects.filter(pk=102).delete()
    attempt("forced update", lambda: ben.save(force_update=True))
    attempt("update of fields", lambda: ben.save(update_fields=["name"]))
    try:
        ben.refresh_from_db()
    except Customer.DoesNotExist as error:
        show("refresh", str(error))
    ben.save()
    show("saved anew, with its id", (ben.pk, Customer.objects.filter(email="ben@example.com").count()))
    show("delete()", ben.delete())
    ben.pk = 102
    show("delete() again", ben.delete())
    show("exists", Customer.objects.filter(pk=102).exists())
    ben.pk = 102
    attempt("forced insert", lambda: ben.save(force_insert=True))
    attempt("and again", lambda: ben.save(force_insert=True))


def get_or_create():
    for _ in range(3):
        show("get_or_create", [made for _, made in (Tag.objects.get_or_create(name="tea"), Tag.objects.get_or_create(name="tea"))])
        show("deleted", Tag.objects.filter(name="tea").delete())
    for price in (1, 2):
        product, made = Product.objects.update_or_create(sku="oolong", defaults={"price": price})
        show("update_or_create", (made, product.price))
    Product.objects.filter(sku="oolong").delete()
    product, made = Product.objects.update_or_create(sku="oolong", defaults={"price": 3})
    show("update_or_create", (made, product.price))
    attempt("a race is lost", lambda: Tag.objects.create(name=Tag.objects.create(name="race").name))
    show("no tag of it", Tag.objects.filter(name="race").exists())


def bulk():
    tags = [Tag(name="t%d" % n) for n in range(20)]
    show("ids", [tag.pk is not None for tag in Tag.objects.bulk_create(tags, batch_size=7)].count(True))
    show("deleted", Tag.objects.filter(name__in=["t3", "t4", "t5"]).delete())
    Tag.objects.bulk_create([Tag(name="t%d" % n) for n in range(2, 6)], ignore_conflicts=True)
    show("ignored", list(Tag.objects.filter(name__lt="t6", name__gt="t2").order_by("name").values_list("name", "pk")))
    attempt("not ignored", lambda: Tag.objects.bulk_create([Tag(name="t30"), Tag(name="t3")]))
    if django.VERSION >= (4, 1):
        Product.objects.filter(sku="assam").delete()
        products = [Product(sku=sku, price=9) for sku in ("sencha", "assam", "oolong")]
        Product.objects.bulk_create(products, update_conflicts=True, unique_fields=["sku"], update_fields=["price"])
        show("updated", list(Product.objects.order_by("sku").values_list("sku", "price")))
    tag = Tag.objects.get(name="t1")
    tag.name = "t6"
    attempt("bulk_update", lambda: Tag.objects.bulk_update([tag], ["name"]))
    Tag.objects.filter(name="t6").delete()
    attempt("bulk_update", lambda: Tag.objects.bulk_update([tag], ["name"]))
    show("in_bulk", sorted(Tag.objects.in_bulk(["t1", "t6", "t7"], field_name="name")))
    show("iterator", sum(1 for _ in Tag.objects.iterator(chunk_size=5)))
    show("raw delete", Tag.objects.filter(name__startswith="t1")._raw_delete("default"))
    show("annotated", list(Customer.objects.annotate(n=models.Count("orders__lines")).order_by("pk").values_list("pk", "n")))


def many_to_many():
    sencha = Product.objects.get_or_create(sku="sencha", defaults={"price": 8})[0]
    green, hot = (Tag.objects.get_or_create(name=name)[0] for name in ("green", "hot"))
    for action in (lambda: sencha.tags.add(green, hot), lambda: sencha.tags.remove(green), lambda: sencha.tags.add(green, hot),
                   lambda: sencha.tags.set([hot]), lambda: sencha.tags.set([green, hot]), lambda: sencha.tags.clear(),
                   lambda: sencha.tags.add(hot)):
        action()
        show("tags", list(sencha.tags.order_by("name").values_list("name", flat=True)))
    show("deleted", hot.delete())
    show("tags", sencha.tags.count())
    cy = Customer.objects.get(email="cy@example.com")
    cy.wishes.add(sencha, through_defaults={"rank": 1})
    attempt("twice", lambda: Wish.objects.create(customer=cy, product=sencha, rank=2))
    cy.wishes.clear()
    cy.wishes.add(sencha, through_defaults={"rank": 1})
    show("wishes", list(cy.wish_set.values_list("product", "rank")))
    attempt("open orders", lambda: [cy.orders.create(number=n, state="open").number for n in (1, 2)])
    for number in (1, 2):
        cy.orders.filter(state="open").delete()
        cy.orders.create(number=number, state="open")
    show("the open one", list(cy.orders.values_list("number", "state")))
    attempt("number taken", lambda: cy.orders.create(number=2, state="paid"))
    Profile.objects.create(customer=cy, nick="c")
    cy.profile.delete()
    cy = Customer.objects.get(pk=cy.pk)
    show("one to one", hasattr(cy, "profile"))
    show("once more", Profile.objects.create(customer=cy, nick="c").pk == cy.pk)


def savepoints():
    with transaction.atomic():
        Tag.objects.create(name="outer")
        try:
            with transaction.atomic():
                Tag.objects.filter(name="outer").delete()
                Tag.objects.create(name="inner")
                Tag.objects.create(name="inner")
        except IntegrityError as error:
            show("inner", error.__cause__.diag.constraint_name)
        show("names", list(Tag.objects.filter(name__in=["inner", "outer"]).values_list("name", flat=True)))
        point = transaction.savepoint()
        Tag.objects.filter(name="outer").delete()
        transaction.savepoint_rollback(point)
    show("names", list(Tag.objects.filter(name__in=["inner", "outer"]).values_list("name", flat=True)))


def accounts():
    user = User.objects.create(pk=50, username="dora", password="!")
    group = Group.objects.create(name="staff")
    group.permissions.set(Permission.objects.filter(codename__contains="order"))
    user.groups.add(group)
    show("permissions", sorted(user.get_all_permissions()))
    show("deleted", Permission.objects.filter(codename="delete_order").delete())
    command("migrate", verbosity=0)
    show("migrate makes it again, without the group", (Permission.objects.filter(codename="delete_order").count(), group.permissions.count()))
    show("deleted", group.delete())
    show("deleted", user.delete())
    User.objects.create(pk=50, username="dora", password="!")
    show("no group", User.objects.get(username="dora").groups.count())


def sessions():
    session = SessionStore()
    session["cart"] = [1, 2]
    session.create()
    key = session.session_key
    show("made", (session.exists(key), len(SessionStore(key).keys())))
    row = SessionStore.get_model_class().objects.get(session_key=key)
    session.delete()
    show("logged out", (session.exists(key), SessionStore(key).get("cart")))
    row.save()
    show("the same again", session.exists(key))
    session = SessionStore(key)
    session.cycle_key()
    show("cycled", (session.exists(key), session.exists(session.session_key)))
    session.flush()
    show("flushed", SessionStore.get_model_class().objects.count())
    command("clearsessions")


for part in (migrations, own_tests, fixtures, cascades, stale_objects, get_or_create, bulk, many_to_many, savepoints, accounts, sessions):
    print("-- " + part.__name__)
    part()
